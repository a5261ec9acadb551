"""Scans of models with any random effects, against dense matrices and searches."""

from dataclasses import replace

import numpy as np
import pytest
from scan_cases import dense_fit

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.engines.choice import engine_for, sufficient_statistics
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.scans import eliminated
from statsmodels_lmm.core.scans.eliminated import EliminatedModel, with_candidates
from statsmodels_lmm.core.scans.estimates import CONSTANT, NOT_FOUND
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.search.several_starts import search

N = 240


def terms_of(kind):
    rng = np.random.default_rng(2)
    g, h = np.repeat(np.arange(20), 12), rng.integers(8, size=N)
    one, slopes = np.ones((N, 1)), np.column_stack([np.ones(N), rng.normal(size=N)])
    k = 0.5 * np.eye(20) + 0.5
    return {
        "crossed": [GroupedEffects(g, 20, one, (1,)), GroupedEffects(h, 8, one, (1,))],
        "slopes": [GroupedEffects(g, 20, slopes, (2,))],
        "related": [
            GroupedEffects(g, 20, one, (1,), relationship=Relationship(k)),
            GroupedEffects(h, 8, one, (1,)),
        ],
        "matrix": [RawEffects(rng.normal(size=(N, 15)))],
    }[kind]


class Case:
    """A model at its optimum, with candidates."""

    def __init__(self, kind="crossed", reml=True, weights=None):
        rng = np.random.default_rng(4)
        terms = terms_of(kind)
        self.x = np.column_stack([np.ones(N), rng.normal(size=N)])
        self.y = self.x @ [2.0, 1.0] + rng.normal(size=N)
        for term in terms:
            shape = (term.n_levels, term.k_effects)
            self.y = self.y + term.times(rng.normal(size=shape))
        self.counts = rng.binomial(2, 0.3, (N, 7)).astype(float)
        self.reml, self.weights = reml, np.ones(N) if weights is None else weights
        data = standardize(self.y, self.x, terms, weights)
        self.data = data
        self.products = sufficient_statistics(data.endog, data.exog, data.terms)
        deviance, _ = search(Profiled(self.products, reml), Settings(tol=1e-14))
        self.model = EliminatedModel(
            exog=data.exog,
            endog=data.endog,
            reml=reml,
            terms=data.terms,
            products=self.products,
            deviance=deviance,
        )
        self.scale = data.response_scale / data.root_unit

    def columns(self):
        centered = self.counts - self.counts.mean(axis=0)
        return centered * self.data.root_weights[:, None]

    def v(self, factors):
        """Dense V in standardized units."""
        v = np.eye(N)
        plan = self.products.plan
        for term, factor in zip(plan.terms, factors):
            z = term.indicator()
            z = z.toarray() if hasattr(z, "toarray") else z
            s = np.kron(np.eye(term.n_levels), factor.matrix @ factor.matrix.T)
            v += z @ s @ z.T
        return v


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["crossed", "slopes", "related", "matrix"])
def test_held_is_generalized_least_squares_at_the_null(kind, reml):
    weights = np.random.default_rng(0).uniform(0.5, 3.0, N)
    case = Case(kind, reml, weights)
    out = case.model.estimates(case.columns(), False)
    v = case.v(case.model.deviance.factors)
    for j in range(7):
        x = np.column_stack([case.data.exog, case.columns()[:, j]])
        beta, covariance, _, value = dense_fit(case.data.endog, x, v, reml)
        se = np.sqrt(covariance[-1, -1])
        assert abs(out.effect[j, 0] - beta[-1]) < 1e-11 * se
        nu = out.df_resid[j] if reml else N
        own = np.sqrt(out.squares[j] / nu / out.information[j, 0, 0])
        assert np.isclose(own, se, rtol=1e-11)
        null = dense_fit(case.data.endog, case.data.exog, v, reml)
        assert np.isclose(out.null_squares[j], null[2], rtol=1e-11)
        if not reml:
            assert np.isclose(out.null_value[j] - out.value[j], null[3] - value)
    assert np.isnan(out.ratio).all()


def own_fit(case, j, rows=slice(None)):
    """A search for one candidate in a model of its own."""
    x = np.column_stack([case.x, case.counts[:, j]])[rows]
    terms = [f.take(rows) for f in case.model.terms]
    y, weights = case.y[rows], case.weights[rows]
    user = terms_of(case.kind)
    data = standardize(y, x, [f.take(rows) for f in user], weights)
    assert len(terms) == len(user)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    found, _ = search(Profiled(products, case.reml), Settings(tol=1e-14))
    beta = data.response_scale * data.to_fixed @ found.coefficients
    beta = beta + data.least_squares
    root = data.to_fixed @ np.linalg.inv(found.fixed_root).T
    covariance = data.response_scale**2 * found.scale * root @ root.T
    return beta[-1], np.sqrt(covariance[-1, -1])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["crossed", "slopes", "related", "matrix"])
def test_exact_is_a_fit_of_its_own(kind, reml):
    case = Case(kind, reml)
    case.kind = kind
    out = case.model.estimates(case.columns(), True)
    assert not out.reason.any()
    nu = out.df_resid if reml else out.nobs
    errors = np.sqrt(out.squares / nu / out.information[:, 0, 0]) * case.scale
    for j in range(7):
        effect, se = own_fit(case, j)
        assert abs(out.effect[j, 0] * case.scale - effect) < 3e-9 * se
        assert np.isclose(errors[j], se, rtol=1e-8)


def test_one_by_one_is_side_by_side(monkeypatch):
    case = Case("crossed", False)
    together = case.model.estimates(case.columns(), True)
    monkeypatch.setattr(eliminated, "is_batchable", lambda products: False)
    alone = case.model.estimates(case.columns(), True)
    assert np.allclose(together.effect, alone.effect, rtol=1e-7)
    assert np.allclose(together.value, alone.value, atol=1e-8)
    assert np.allclose(together.squares, alone.squares, rtol=1e-6)
    assert np.allclose(together.information, alone.information, rtol=1e-6)


def test_batches_of_any_size_agree(monkeypatch):
    case = Case("crossed")
    whole = case.model.estimates(case.columns(), True)
    monkeypatch.setattr(eliminated, "batch_size", lambda products: 3)
    parts = case.model.estimates(case.columns(), True)
    assert np.allclose(whole.effect, parts.effect, rtol=1e-9)


@pytest.mark.parametrize("reml", [True, False])
def test_rows_left_out_are_as_if_they_were_not_there(reml):
    case = Case("crossed", reml)
    case.kind = "crossed"
    rows = np.array([0, 13, 100])
    kept = np.setdiff1d(np.arange(N), rows)
    columns = case.counts[:, [0]] - case.counts[kept, 0].mean()
    columns[rows] = 0.0
    left = case.model.left_out(rows)
    exact, held = (left.estimates(columns.copy(), e) for e in (True, False))
    effect, se = own_fit(case, 0, kept)
    assert abs(exact.effect[0, 0] * case.scale - effect) < 1e-7 * se
    v = case.v(case.model.deviance.factors)[np.ix_(kept, kept)]
    x = np.column_stack([case.data.exog, columns])[kept]
    beta, _, squares, value = dense_fit(case.data.endog[kept], x, v, reml)
    assert np.isclose(held.effect[0, 0], beta[-1], rtol=1e-10)
    assert np.isclose(held.squares[0], squares, rtol=1e-10)
    assert held.nobs[0] == len(kept)
    if not reml:
        null = dense_fit(case.data.endog[kept], case.data.exog[kept], v, reml)
        assert np.isclose(held.null_value[0] - held.value[0], null[3] - value)
        assert 0.0 <= exact.null_value[0] - exact.value[0] < 20.0


def test_a_set_is_estimated_together():
    case = Case("slopes")
    columns = case.columns()[:, :3]
    exact, held = (
        case.model.estimates(columns.copy(), e, is_set=True) for e in (True, False)
    )
    v = case.v(case.model.deviance.factors)
    x = np.column_stack([case.data.exog, columns])
    beta, covariance, _, _ = dense_fit(case.data.endog, x, v, True)
    assert np.allclose(held.effect[0], beta[-3:], rtol=1e-9)
    own = held.squares[0] / held.df_resid[0] * np.linalg.inv(held.information[0])
    assert np.allclose(own, covariance[-3:, -3:], rtol=1e-9)
    assert exact.value[0] <= held.value[0] + 1e-9
    products = engine_for(case.data.terms, N).gather(
        Rows(case.data.endog, np.column_stack([case.data.exog, columns]))
    )
    found, _ = search(Profiled(products, True), Settings(tol=1e-14))
    assert np.allclose(exact.effect[0], found.coefficients[-3:], rtol=1e-7)


def test_cross_products_with_candidates_are_those_of_their_rows():
    case = Case("related")
    products = with_candidates(case.products, case.data.exog, case.columns())
    for j in range(7):
        exog = np.column_stack([case.data.exog, case.columns()[:, j]])
        own = case.products.plan
        direct = engine_for(case.data.terms, N).gather(Rows(case.data.endog, exog))
        assert direct.plan.order == own.order
        assert np.allclose(products.gram[j], direct.gram)
        for ours, theirs in zip(products.level_sums, direct.level_sums):
            assert np.allclose(ours[j], theirs, atol=1e-9)


def test_an_optimum_without_a_proof_is_not_an_estimate(monkeypatch):
    case = Case("crossed")

    def without_proof(*args):
        found, optimum = search(*args)
        return found, replace(optimum, certified=False)

    monkeypatch.setattr(eliminated, "is_batchable", lambda products: False)
    monkeypatch.setattr(eliminated, "search", without_proof)
    out = case.model.estimates(case.columns()[:, :1], True)
    assert out.reason.tolist() == [NOT_FOUND]


def test_what_is_not_found_has_a_reason(monkeypatch):
    case = Case("crossed")
    columns = case.columns()
    columns[:, 2] = 0.0

    def fails(*args):
        raise np.linalg.LinAlgError

    monkeypatch.setattr(eliminated, "is_batchable", lambda products: False)
    monkeypatch.setattr(eliminated, "search", fails)
    out = case.model.estimates(columns, True)
    assert out.reason[2] == CONSTANT
    assert (np.delete(out.reason, 2) == NOT_FOUND).all()
