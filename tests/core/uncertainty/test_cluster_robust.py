"""Cluster-robust covariances against n x n matrices."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import covariances, dense_z, design, roots_of
from numpy.testing import assert_allclose
from scipy.linalg import block_diag

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.uncertainty.cluster_robust import (
    bias_reduced,
    cluster_robust,
)


class Case:
    """A design with a covariance of its effects, in standardized units."""

    def __init__(self, name, kind="regular", weighted=False, alone=False):
        data = design(name)
        self.codes = data.terms[0].codes.copy()
        exog = data.exog
        if alone:
            own = (self.codes == 1) * 1.0
            exog = np.column_stack([exog, own, own * exog[:, 1]])
        else:  # a cluster of one row, with a level of its own
            self.codes[0] = self.codes.max() + 1
            terms = [replace(f, codes=f.codes.copy()) for f in data.terms]
            terms = [replace(f, n_levels=f.n_levels + 1) for f in terms]
            for f in terms:
                f.codes[0] = f.n_levels - 1
            data = replace(data, terms=tuple(terms))
        weights = np.linspace(0.5, 2.0, len(exog)) if weighted else None
        self.data = standardize(data.endog, exog, data.terms, weights)
        relative = covariances(data, kind)
        self.factors = roots_of(data, relative)
        products = sufficient_statistics(
            self.data.endog, self.data.exog, self.data.terms
        )
        in_order = [self.factors[i] for i in products.plan.order]
        self.deviance = profiled_deviance(products, in_order, True)
        self.n_clusters = self.codes.max() + 1

    def found(self, kind):
        asked = self.deviance, self.data
        if kind == "CR2":
            return bias_reduced(*asked, self.factors, self.codes, self.n_clusters)
        return cluster_robust(*asked, self.codes, self.n_clusters)

    def whitened(self, contrasts):
        return contrasts @ np.linalg.inv(self.deviance.fixed_root).T


class Dense:
    """The definitions, with symmetric square roots."""

    def __init__(self, case, kind):
        x, y = case.data.exog, case.data.endog
        n = len(x)
        self.v = np.eye(n)
        for term, factor in zip(case.data.terms, case.factors):
            z, s = dense_z(term), factor.matrix @ factor.matrix.T
            self.v += z @ np.kron(np.eye(term.n_levels), s) @ z.T
        inverse = np.linalg.inv(self.v)
        self.bread = np.linalg.inv(x.T @ inverse @ x)
        hat = x @ self.bread @ x.T @ inverse
        residuals, self.rows = y - hat @ y, []
        of_residuals = self.v - x @ self.bread @ x.T
        for c in range(case.n_clusters):
            rows = np.flatnonzero(case.codes == c)
            each = x[rows].T @ inverse[rows]
            if kind == "CR2":
                inside = np.ix_(rows, rows)
                half = power(self.v[inside], 0.5)
                inner = power(half @ of_residuals[inside] @ half, -0.5)
                each[:, rows] = each[:, rows] @ (half @ inner @ half)
            self.rows.append(self.bread @ each)  # of the residuals
        scores = np.array([each @ residuals for each in self.rows])
        self.covariance = scores.T @ scores
        self.of_residuals = of_residuals

    def moments(self, contrasts):
        """The covariance of each contrast's part of each cluster, (m, q, m, q)."""
        stacked = np.vstack([contrasts @ each for each in self.rows])
        m, q = len(self.rows), len(contrasts)
        moments = stacked @ self.of_residuals @ stacked.T
        return moments.reshape(m, q, m, q)

    def wishart_df(self, contrasts):
        """Hotelling's degrees of freedom, by sums over all pairs of clusters."""
        moments = self.moments(contrasts)
        m, q = moments.shape[:2]
        mean = sum(moments[c, :, c] for c in range(m))
        root = block_diag(*[power(mean, -0.5)] * m)
        flat = root @ moments.reshape(m * q, m * q) @ root
        moments, total = flat.reshape(m, q, m, q), 0.0
        for c in range(m):
            for d in range(m):
                p = moments[c, :, d]
                total += np.trace(p) ** 2 + np.trace(p @ p)
        return q * (q + 1) / total


def power(matrix, exponent):
    """A power of a symmetric matrix, zero where its eigenvalues are."""
    values, vectors = np.linalg.eigh(matrix)
    known = values > 1e-9 * values[-1]
    powers = np.where(known, np.where(known, values, 1.0) ** exponent, 0.0)
    return (vectors * powers) @ vectors.T


CASES = {
    "plain": Case("one factor, 2 effects"),
    "nested": Case("chain of 3"),
    "singular": Case("one factor, 2 effects", "singular"),
    "zero": Case("chain of 3", "zero"),
    "weighted": Case("one factor", weighted=True),
    "alone": Case("one factor, 2 effects", alone=True),
}
CONTRASTS = np.array([[1.0, 0.3, 0.0, 0.0, 0.0], [0.0, 1.0, -2.0, 0.0, 0.0]])


@pytest.mark.parametrize("kind", ["CR0", "CR2"])
@pytest.mark.parametrize("name", CASES)
def test_against_dense(name, kind):
    case = CASES[name]
    found, dense = case.found(kind), Dense(case, kind)
    contrasts = CONTRASTS[:, : case.data.exog.shape[1]]
    if name == "alone":  # what the columns of the cluster do not touch
        contrasts = contrasts @ case.data.to_fixed
    rows = case.whitened(contrasts)
    scale = float(case.deviance.scale)
    assert_allclose(
        rows @ found.covariance @ rows.T * scale,
        contrasts @ dense.covariance @ contrasts.T,
        rtol=1e-9,
    )
    assert not found.undetermined(rows).any()
    for row, contrast in zip(rows, contrasts):
        assert_allclose(found.df(row), dense.wishart_df(contrast[None]), rtol=1e-8)
    basis = np.linalg.qr(rows.T)[0].T
    wishart = dense.wishart_df(contrasts)
    df, scale = found.joint(rows, basis)
    assert_allclose([df, scale], [wishart - 1.0, (wishart - 1.0) / wishart], rtol=1e-8)
    assert_allclose(found.restricted(basis), basis @ found.covariance @ basis.T)


def test_scores_of_crossed_effects():
    case = Case("2 crossed")
    found, dense = case.found("CR0"), Dense(case, "CR0")
    rows = case.whitened(np.eye(3))
    covariance = rows @ found.covariance @ rows.T * case.deviance.scale
    assert_allclose(covariance, dense.covariance, rtol=1e-9)


@pytest.mark.parametrize("name", ["plain", "nested", "singular", "weighted"])
def test_cr2_is_unbiased_if_the_model_holds(name):
    """The expectation of the estimate is the sum of the clusters' P_cc."""
    case = CASES[name]
    found, dense = case.found("CR2"), Dense(case, "CR2")
    moments = dense.moments(np.eye(3))
    mean = sum(moments[c, :, c] for c in range(len(moments)))
    assert_allclose(mean, dense.bread, atol=1e-10 * np.abs(dense.bread).max())
    assert_allclose(found.own.sum(axis=0), np.eye(3), atol=1e-10)


def test_what_a_single_cluster_determines():
    case = CASES["alone"]
    found = case.found("CR0")
    columns = case.whitened(case.data.to_fixed)
    assert found.undetermined(columns).tolist() == [False] * 3 + [True] * 2
    mixed = columns[1] + 1e-3 * columns[3]
    assert found.undetermined(mixed)
    assert not found.undetermined(np.zeros(5))


def test_few_clusters():
    case = CASES["nested"]  # four clusters
    found = case.found("CR2")
    assert found.df(np.zeros(3)) == np.inf
    given = replace(found, constant_df=3.0)
    assert given.df(np.ones(3)) == 3.0
    assert given.joint(None, np.eye(3)) == (3.0, 1.0)
    two = replace(found, own=found.own[:1], through=found.through[:1])
    assert np.isnan(two.joint(None, np.eye(3))).all()
    flat = replace(found, covariance=np.diag([1.0, 1.0, 0.0]))
    assert np.isnan(flat.restricted(np.eye(3))).all()
    assert_allclose(flat.restricted(np.eye(3)[:2]), np.eye(2))


def test_large_variances_cost_no_digits():
    """V of 1e8 beside a residual variance of 1: the P_cc still sum to the identity."""
    case = Case("one factor, 2 effects", "huge")
    own = case.found("CR2").own.sum(axis=0)
    assert_allclose(own, np.eye(3), atol=1e-6)


def test_the_factor_multiplies_the_sum():
    case = CASES["plain"]
    asked = case.deviance, case.data, case.codes, case.n_clusters
    assert_allclose(
        cluster_robust(*asked, 1.5).covariance, 1.5 * case.found("CR0").covariance
    )
