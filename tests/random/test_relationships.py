"""
Levels that are related: everything a fit says, against n x n algebra.

Each model is fitted by three routes: with K, with the inverse of K, and with a sparse
inverse that is kept sparse. The twin has V = I + sum Z_i (K_i (x) S_i) Z_i'.
"""

import copy
import pickle
from functools import cache

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import linalg, optimize, sparse, stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm import random_effects as by_group
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
from statsmodels_lmm.exceptions import DataError, DataWarning, RankWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates import simulation
from statsmodels_lmm.random import known_levels
from statsmodels_lmm.random.terms import matrix_effects
from statsmodels_lmm.relationship import (
    LabeledMatrix,
    numerator_relationship,
    numerator_relationship_inverse,
)
from statsmodels_lmm.structures import Fixed

N = 48
ANIMALS = [f"a{i}" for i in range(10)]
SEEN = ANIMALS[:8]
HERDS = [3, 1, 0, 2, 4]


def covariances(seed, size):
    root = np.random.default_rng(seed).standard_normal((size, size + 2))
    k = root @ root.T / size
    return k + 0.3 * np.diag(np.diag(k))


def kinship():
    """K of the animals, two of them without data, in an order of its own."""
    frame = pd.DataFrame(covariances(1, 10), ANIMALS, ANIMALS)
    order = np.random.default_rng(2).permutation(10)
    return frame.iloc[order, order]


def of_herds():
    return pd.DataFrame(covariances(3, 5), HERDS, HERDS)


def of_litters(data):
    labels = sorted({f"{i}:{h}" for i, h in zip(data["id"], data["herd"])})
    return pd.DataFrame(covariances(4, len(labels)), labels, labels)


@cache
def animals():
    """Repeated records of eight animals, with large effects of everything."""
    rng = np.random.default_rng(5)
    at = rng.permutation(np.arange(N) % 8)
    frame = pd.DataFrame(
        {
            "id": np.array(SEEN)[at],
            "x": rng.standard_normal(N) + 0.5,
            "herd": rng.integers(5, size=N),
            "part": rng.integers(2, size=N),
            "w": rng.uniform(0.4, 2.5, N),
            "known": rng.standard_normal(N),
        }
    )
    k = kinship().loc[SEEN, SEEN].to_numpy()
    root = np.kron(linalg.cholesky(k, lower=True), [[1.5, 0.0], [0.3, 1.1]])
    b = (root @ rng.standard_normal(16)).reshape(8, 2)
    frame["y"] = 2.0 + frame["x"] + b[at, 0] + frame["x"] * b[at, 1]
    frame["y"] += 1.2 * rng.standard_normal(5)[frame["herd"]]
    frame["y"] += 0.8 * rng.standard_normal((8, 2))[at, frame["part"]]
    frame["y"] += rng.standard_normal(N)
    return frame


def first_records():
    return animals().drop_duplicates("id").reset_index(drop=True)


CASES = {
    # formula, related factors, further arguments
    "intercepts": ("y ~ x + (1 | id)", ["id"], {}),
    "slopes": ("y ~ x + (x | id)", ["id"], {}),
    "uncorrelated": ("y ~ x + (x || id)", ["id"], {}),
    "equicorrelated": ("y ~ x + cs(1 + x | id)", ["id"], {}),
    "beside herds": ("y ~ x + (1 | id) + (1 | herd)", ["id"], {}),
    "two related": ("y ~ x + (x | id) + (1 | herd)", ["id", "herd"], {}),
    "nested": ("y ~ x + (1 | id / part)", ["id"], {}),
    "interaction": ("y ~ x + (1 | id:herd)", ["id:herd"], {}),
    "weights": ("y ~ x + (x | id)", ["id"], {"weights": "w", "offset": "known"}),
    "redundant": ("y ~ x + I(2 * x) + (1 | id)", ["id"], {}),
    "no fixed effects": ("y ~ 0 + (1 | id) + (1 | herd)", ["id"], {}),
}

ROUTES = ["matrix", "inverse", "sparse"]


def known_matrices(names):
    every = {"id": kinship(), "herd": of_herds(), "id:herd": of_litters(animals())}
    return {name: every[name] for name in names}


def inverse_of(k):
    return pd.DataFrame(linalg.inv(k.to_numpy()), k.index, k.columns)


def given(matrices, route):
    """Keywords for a model by one of the routes."""
    if route == "matrix":
        return {"relationship": matrices}
    found = {name: inverse_of(k) for name, k in matrices.items()}
    if route == "sparse":
        found = {
            name: (sparse.csr_array(q.to_numpy()), q.index) for name, q in found.items()
        }
    return {"relationship_inverse": found}


@cache
def fitted(name, route="matrix", reml=True):
    formula, names, options = CASES[name]
    with pytest.MonkeyPatch.context() as patch:
        if route == "sparse":
            patch.setattr(known_levels, "DENSE_LEVELS", 3)
        related = given(known_matrices(names), route)
        model = crossedmixedlm(formula, animals(), **related, **options)
    if route == "sparse":
        assert isinstance(model._sufficient_statistics()[1], SparseProducts)
    if name == "redundant":
        with pytest.warns(RankWarning):
            return model.fit(reml=reml)
    return model.fit(reml=reml)


def dense_z(effects):
    """Z of a factor, level by level in the order of its levels."""
    columns, at = effects.grouped.effects, effects.grouped.codes
    n, k = columns.shape
    z = np.zeros((n, len(effects.levels), k))
    z[np.arange(n), at] = columns
    return z.reshape(n, -1)


def among_levels(effects, matrices):
    k = matrices.get(effects.name)
    if k is None:
        return np.eye(len(effects.levels))
    return k.loc[list(effects.levels), list(effects.levels)].to_numpy()


class Twin:
    """A mixed model by V and its inverse, for given relative covariances."""

    def __init__(self, y, x, z, k, s, weights=None, reml=True):
        self.y, self.x, self.k, self.s, self.reml = y, x, k, s, reml
        self.z = np.column_stack(z)
        self.g = linalg.block_diag(*map(np.kron, k, s))
        n, p = x.shape
        self.w = np.ones(n) if weights is None else weights
        self.v = np.diag(1.0 / self.w) + self.z @ self.g @ self.z.T
        self.inverse = linalg.inv(self.v)
        vx = self.inverse @ x
        self.covariance = linalg.inv(x.T @ vx) if p else np.zeros((0, 0))
        self.p = self.inverse - vx @ self.covariance @ vx.T
        self.nu = n - p if reml else n
        self.scale = y @ self.p @ y / self.nu
        self.beta = self.covariance @ vx.T @ y
        self.modes = self.g @ self.z.T @ self.p @ y

    @property
    def llf(self):
        value = np.linalg.slogdet(self.v)[1]
        if self.reml and len(self.beta):
            value -= np.linalg.slogdet(self.covariance)[1]
        return -0.5 * (value + self.nu * (1.0 + np.log(2.0 * np.pi * self.scale)))

    @property
    def conditional(self):
        gz = self.g @ self.z.T
        return self.scale * (self.g - gz @ self.inverse @ gz.T)

    @property
    def joint(self):
        """Covariance of the errors of fixed effects and modes."""
        gz = self.g @ self.z.T
        across = -self.covariance @ self.x.T @ self.inverse @ gz.T
        errors = self.g - gz @ self.p @ gz.T
        return self.scale * np.block([[self.covariance, across], [across.T, errors]])


def arrays_of(model, params, matrices):
    kept = np.isfinite(params)
    y = model.endog - (0.0 if model.offset is None else model.offset)
    k = [among_levels(e, matrices) for e in model.random]
    return y, model.exog[:, kept], [dense_z(e) for e in model.random], k


def twin_of(result, matrices, s=None):
    """The twin at the relative covariances of a result, or at others."""
    raw = result._results
    arrays = arrays_of(raw.model, raw.params, matrices)
    s = raw._relative if s is None else s
    return Twin(*arrays, s, raw.model.weights, raw.reml)


@cache
def twin(name, route="matrix", reml=True):
    return twin_of(fitted(name, route, reml), known_matrices(CASES[name][1]))


every_case = pytest.mark.parametrize("name", CASES)
every_route = pytest.mark.parametrize("route", ROUTES)
# where the inverse has become K again
both_engines = pytest.mark.parametrize("route", ["matrix", "sparse"])


# the fit -------------------------------------------------------------------


@pytest.mark.parametrize("reml", [True, False])
@every_route
@every_case
def test_criterion_and_fixed_effects(name, route, reml):
    result, dense = fitted(name, route, reml), twin(name, route, reml)
    assert result.converged
    assert_allclose(result.llf, dense.llf, rtol=1e-10)
    assert_allclose(result.scale, dense.scale, rtol=1e-8)
    kept = np.isfinite(result.params)
    assert_allclose(result.params[kept], dense.beta, rtol=1e-7, atol=1e-9)
    errors = np.sqrt(dense.scale * np.diag(dense.covariance))
    assert_allclose(result.bse[kept], errors, rtol=1e-7)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("route", ["inverse", "sparse"])
@every_case
def test_all_routes_lead_to_one_optimum(name, route, reml):
    expected, found = fitted(name, "matrix", reml), fitted(name, route, reml)
    assert found.converged
    assert_allclose(found.llf, expected.llf, rtol=1e-9)
    assert_allclose(found.cov_params(), expected.cov_params(), rtol=1e-3)
    assert_allclose(found.theta, expected.theta, atol=1e-4)


@both_engines
@pytest.mark.parametrize("name", [c for c in CASES if c != "equicorrelated"])
def test_it_is_the_optimum(name, route):
    """The dense likelihood falls on all sides."""
    result, matrices = fitted(name, route), known_matrices(CASES[name][1])
    theta = result.theta.to_numpy()
    for step in 0.05 * np.vstack([np.eye(len(theta)), -np.eye(len(theta))]):
        relative = relative_of(name, theta + step)
        assert twin_of(result, matrices, relative).llf < result.llf - 1e-6


@every_route
def test_it_is_the_optimum_of_a_structure(route):
    result, matrices = fitted("equicorrelated", route), known_matrices(["id"])
    theta = result.theta.to_numpy()
    for step in 0.02 * np.vstack([np.eye(3), -np.eye(3)]):
        a, b, rho = theta + step
        if abs(rho) < 1.0:
            s = np.array([[a * a, rho * a * b], [rho * a * b, b * b]])
            assert twin_of(result, matrices, [s]).llf < result.llf - 1e-6


@every_route
@every_case
def test_modes_of_all_levels(name, route):
    result, dense = fitted(name, route), twin(name, route)
    found = np.concatenate([m.ravel() for m in result._results._modes])
    assert_allclose(found, dense.modes, rtol=1e-6, atol=1e-7)
    table = result.random_effects_table()
    if CASES[name][1][0] == "id":
        labels = set(table.loc[table["group"] == "id", "level"])
        assert labels == set(ANIMALS)
    fitted_values = dense.x @ dense.beta + dense.z @ dense.modes
    if result.model.offset is not None:
        fitted_values = fitted_values + result.model.offset
    found = result.predict(random_effects=True)
    assert_allclose(found, fitted_values, rtol=1e-6, atol=1e-7)


@both_engines
@every_case
def test_conditional_covariances(name, route):
    result, dense = fitted(name, route), twin(name, route)
    found = result.random_effects_cov
    start, expected = 0, dense.conditional
    for effects in result.model.random:
        k = len(effects.effect_names)
        for level in effects.levels:
            at = slice(start, start + k)
            block = found[effects.name][level]
            assert_allclose(block, expected[at, at], rtol=1e-6, atol=1e-8)
            start += k
    assert start == len(expected)


@both_engines
@every_case
def test_joint_covariance(name, route):
    result, dense = fitted(name, route), twin(name, route)
    found = result.joint_covariance()
    keep = found.notna().any(axis=1)
    found = found.loc[keep, keep]
    assert_allclose(found, dense.joint, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("other", ["relationship", "matrix"])
def test_sparse_levels_beside_dense_ones(other, monkeypatch):
    """A factor with a dense matrix in a model that is kept sparse for another one."""
    monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    frame, matrices = animals(), known_matrices(["id", "herd"])
    x = np.column_stack([np.ones(N), frame["x"]])
    related = given({"id": matrices["id"]}, "sparse")
    if other == "relationship":
        related["relationship"] = {"herd": matrices["herd"]}
        random = {"id": frame["id"], "herd": frame["herd"]}
        k = matrices["herd"].to_numpy()
        z = (frame["herd"].to_numpy()[:, None] == HERDS).astype(float)
    else:
        z = np.random.default_rng(0).standard_normal((N, 4))
        random, k = {"id": frame["id"], "herd": z}, np.eye(4)
    y = frame["y"].to_numpy() + z[:, :4] @ [2.0, -1.0, -2.0, 1.0]
    result = CrossedMixedLM(y, x, random=random, **related).fit()
    assert (result.theta > 0.1).all()
    assert isinstance(result.model._sufficient_statistics()[1], SparseProducts)
    raw = result._results
    first = result.model.random[0]
    dense = Twin(
        y,
        x,
        [dense_z(first), z],
        [among_levels(first, matrices), k],
        raw._relative,
    )
    assert_allclose(result.llf, dense.llf, rtol=1e-10)
    modes = np.concatenate([m.ravel() for m in raw._modes])
    assert_allclose(modes, dense.modes, rtol=1e-6, atol=1e-7)
    variances = result.random_effects_table()["sd"] ** 2
    assert_allclose(variances, np.diag(dense.conditional), rtol=1e-6)
    assert_allclose(result.joint_covariance(), dense.joint, rtol=1e-6, atol=1e-8)
    fitted_values = x @ dense.beta + dense.z @ dense.modes
    found = result.get_prediction(random_effects=True)
    assert_allclose(found.predicted, fitted_values, rtol=1e-7)
    both = np.column_stack([x, dense.z])
    variances = np.einsum("ij,jk,ik->i", both, dense.joint, both)
    assert_allclose(found.se**2, variances, rtol=1e-6)


# predictions ---------------------------------------------------------------


def new_rows():
    """Animals with data, without, and unknown; herds that are all known."""
    return pd.DataFrame(
        {
            "id": ["a1", "a9", "zz", "a8", "a1", "qq"],
            "x": [0.3, -2.0, 1.5, 0.0, 4.0, -1.0],
            "herd": [0, 1, 2, 3, 4, 0],
            "part": [0, 1, 0, 1, 0, 1],
            "known": 0.0,
        }
    )


def effects_at(result, rows, matrices):
    """Z of known levels, and effect columns with the variance of each level."""
    z, columns, variances, is_known = [], [], [], []
    for effects in result.model.random:
        k = len(effects.effect_names)
        own = np.column_stack([np.ones(len(rows)), rows["x"]])[:, :k]
        names = effects.name.split(":")
        labels = rows[names].astype(str).agg(":".join, axis=1)
        at = pd.Index(effects.levels.astype(str)).get_indexer(labels)
        each = np.zeros((len(rows), len(effects.levels), k))
        known = at >= 0
        each[np.flatnonzero(known), at[known]] = own[known]
        among = np.diag(among_levels(effects, matrices))
        z.append(each.reshape(len(rows), -1))
        columns.append(own)
        variances.append(np.where(known, among[at], 1.0))
        is_known.append(known)
    return np.column_stack(z), columns, variances, is_known


PREDICTED = [c for c in CASES if c not in ("redundant", "no fixed effects")]


@both_engines
@pytest.mark.parametrize("name", PREDICTED)
def test_predictions_with_modes(name, route):
    result, dense, rows = fitted(name, route), twin(name, route), new_rows()
    matrices = known_matrices(CASES[name][1])
    z, columns, _, is_known = effects_at(result, rows, matrices)
    x = np.column_stack([np.ones(len(rows)), rows["x"]])
    both = np.column_stack([x, z])
    variance = np.einsum("ij,jk,ik->i", both, dense.joint, both)
    for own, known, s in zip(columns, is_known, result._results._relative):
        new = dense.scale * np.einsum("ij,jk,ik->i", own, s, own)
        variance = variance + np.where(known, 0.0, new)
    options = {"random_effects": True, "new_levels": "population"}
    found = result.get_prediction(rows, **options)
    mean = x @ dense.beta + z @ dense.modes
    assert_allclose(found.predicted, mean, rtol=1e-6, atol=1e-7)
    assert_allclose(found.se, np.sqrt(variance), rtol=1e-6)
    found = result.get_prediction(
        rows, interval="prediction", weights=np.full(6, 0.7), **options
    )
    assert_allclose(found.se_obs**2, variance + dense.scale / 0.7, rtol=1e-6)
    assert_allclose(result.predict(rows, **options), mean, rtol=1e-6, atol=1e-7)


@both_engines
@pytest.mark.parametrize("name", PREDICTED)
def test_intervals_without_modes(name, route):
    """A new draw of an animal in the herd book has the variance K_gg Sigma."""
    result, dense, rows = fitted(name, route), twin(name, route), animals().iloc[:9]
    matrices = known_matrices(CASES[name][1])
    _, columns, variances, _ = effects_at(result, rows, matrices)
    expected = np.zeros(9)
    for own, variance, s in zip(columns, variances, result._results._relative):
        expected += variance * np.einsum("ij,jk,ik->i", own, s, own)
    x = np.column_stack([np.ones(9), rows["x"]])
    weights = np.ones(9) if result.model.weights is None else rows["w"]
    expected += 1.0 / weights + np.einsum("ij,jk,ik->i", x, dense.covariance, x)
    found = result.get_prediction(interval="prediction").se_obs[:9]
    assert_allclose(found**2, dense.scale * expected, rtol=1e-6)


@every_route
def test_unknown_levels(route):
    result, rows = fitted("intercepts", route), new_rows()
    with pytest.raises(DataError, match=r"new levels of id: zz, qq|qq, zz"):
        result.predict(rows, random_effects=True)
    found = result.predict(rows, random_effects=True, new_levels="nan")
    assert found.isna().tolist() == [False, False, True, False, False, True]
    assert found[1] != result.predict(rows)[1]


# derivatives ---------------------------------------------------------------


def relative_of(name, theta):
    """S of each factor from theta, the columns of lower triangles."""
    sizes = {"slopes": [2], "uncorrelated": [1, 1], "two related": [2, 1]}
    sizes["weights"] = sizes["slopes"]
    blocks = sizes.get(name, [1] * len(theta))
    roots, start = [], 0
    for k in blocks:
        root = np.zeros((k, k))
        root.T[np.triu_indices(k)] = theta[start : start + k * (k + 1) // 2]
        start += k * (k + 1) // 2
        roots.append(root @ root.T)
    if name == "uncorrelated":
        return [linalg.block_diag(*roots)]
    return roots


@cache
def dense_derivatives(name, point, reml):
    """
    Log-likelihood with its first and second derivatives in theta.

    V is a quadratic function of theta, of which central differences are exact.
    """
    result = fitted(name, "matrix", reml)
    theta = np.resize(POINTS[point], len(result.theta))
    here = twin_of(result, known_matrices(CASES[name][1]), relative_of(name, theta))
    m, nu = len(theta), here.nu
    unit = np.eye(m)

    def v(t):
        g = linalg.block_diag(*map(np.kron, here.k, relative_of(name, t)))
        return here.z @ g @ here.z.T

    kernel = here.p if here.reml else here.inverse
    py = here.p @ here.y
    dv = [(v(theta + e) - v(theta - e)) / 2.0 for e in unit]
    linear = np.array([py @ d @ py / here.scale for d in dv])
    gradient = np.array([(kernel * d).sum() for d in dv]) - linear
    hessian = -np.outer(linear, linear) / nu
    for a in range(m):
        for b in range(m):
            ddv = (
                v(theta + unit[a] + unit[b])
                - v(theta + unit[a] - unit[b])
                - v(theta - unit[a] + unit[b])
                + v(theta - unit[a] - unit[b])
            ) / 4.0
            hessian[a, b] += (kernel * ddv).sum() - py @ ddv @ py / here.scale
            hessian[a, b] -= (kernel @ dv[a] * (kernel @ dv[b]).T).sum()
            hessian[a, b] += 2.0 * py @ dv[a] @ here.p @ dv[b] @ py / here.scale
    return here.llf, -0.5 * gradient, -0.5 * hessian


POINTS = {
    "regular": [0.8, 0.3, 0.6],
    "singular": [0.8, 0.3, 0.0],
    "zero": [0.0, 0.0, 0.0],
    "small": [1e-5, 1e-6, 1e-5],
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("point", POINTS)
@both_engines
@pytest.mark.parametrize("name", [c for c in CASES if c != "equicorrelated"])
def test_derivatives_at_any_theta(name, route, point, reml):
    result = fitted(name, route, reml)
    theta = np.resize(POINTS[point], len(result.theta))
    value, gradient, hessian = dense_derivatives(name, point, reml)
    model, size = result.model, abs(hessian).max()
    assert_allclose(model.loglike(theta, reml), value, rtol=1e-10)
    assert_allclose(model.score(theta, reml), gradient, atol=1e-7 * size)
    assert_allclose(model.hessian(theta, reml), hessian, atol=1e-6 * size)
    information = model.information(theta, reml)
    assert_allclose(information, -model.hessian(theta, reml))


@both_engines
def test_derivatives_of_a_structure(route):
    """By differences of the dense log-likelihood."""
    result = fitted("equicorrelated", route)
    matrices = known_matrices(["id"])

    def dense(theta):
        a, b, rho = theta
        s = np.array([[a * a, rho * a * b], [rho * a * b, b * b]])
        return twin_of(result, matrices, [s]).llf

    theta = np.array([0.9, 0.7, 0.3])
    assert_allclose(result.model.loglike(theta), dense(theta), rtol=1e-10)
    gradient = optimize.approx_fprime(theta, dense, 1e-6)
    assert_allclose(result.model.score(theta), gradient, rtol=1e-4, atol=1e-4)


@both_engines
@pytest.mark.parametrize("name", ["intercepts", "beside herds"])
def test_standard_errors_of_variances(name, route):
    """
    By the inverse of the observed information, for deviations and sigma.

    Where random effects are kept sparse it is the average information.
    """
    result, dense = fitted(name, route), twin(name, route)
    table = result.variance_parameters()
    z = np.split(dense.z, np.cumsum([len(k) for k in dense.k])[:-1], axis=1)
    changes = [each @ k @ each.T for each, k in zip(z, dense.k)]
    changes.append(np.diag(1.0 / dense.w))
    p = dense.p / dense.scale
    py = p @ dense.y
    average = np.array([[py @ a @ p @ b @ py for b in changes] for a in changes])
    expected = np.array([[np.trace(p @ a @ p @ b) for b in changes] for a in changes])
    variances = dense.scale * np.append([s[0, 0] for s in dense.s], 1.0)
    sd = np.sqrt(variances)
    assert_allclose(table["estimate"], sd, rtol=1e-7)
    information = 0.5 * average if route == "sparse" else average - 0.5 * expected
    errors = np.sqrt(np.diag(linalg.inv(information))) / (2.0 * sd)
    assert_allclose(table["std err"], errors, rtol=1e-5)


# invariances ---------------------------------------------------------------


@pytest.mark.parametrize("formula", ["y ~ x + (1 | id)", "y ~ x + (x | id)"])
def test_identity_is_no_relationship(formula):
    expected = crossedmixedlm(formula, animals()).fit()
    unit = pd.DataFrame(np.eye(8), SEEN[::-1], SEEN[::-1])
    for related in (given({"id": unit}, "matrix"), given({"id": unit}, "inverse")):
        found = crossedmixedlm(formula, animals(), **related).fit()
        assert_allclose(found.llf, expected.llf, rtol=1e-12)
        assert_allclose(found.theta, expected.theta, rtol=1e-6, atol=1e-7)
        modes = found.random_effects["id"].loc[SEEN]
        wanted = expected.random_effects["id"].loc[SEEN]
        assert_allclose(modes, wanted, rtol=1e-6, atol=1e-8)
        found = found.get_prediction(interval="prediction").se_obs
        wanted = expected.get_prediction(interval="prediction").se_obs
        assert_allclose(found, wanted, rtol=1e-8)


@pytest.mark.parametrize("c", [1e-6, 4.0, 1e6])
@both_engines
@pytest.mark.parametrize("name", ["intercepts", "slopes"])
def test_units_of_a_relationship(name, route, c, monkeypatch):
    expected = fitted(name)
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    related = given({"id": c * kinship()}, route)
    found = crossedmixedlm(CASES[name][0], animals(), **related).fit()
    assert found.converged
    assert_allclose(found.llf, expected.llf, rtol=1e-9)
    assert_allclose(np.sqrt(c) * found.theta, expected.theta, atol=1e-4)
    modes = found.random_effects["id"].loc[ANIMALS]
    wanted = expected.random_effects["id"].loc[ANIMALS]
    assert_allclose(modes, wanted, atol=1e-4)
    options = {"random_effects": True, "interval": "prediction"}
    rows = new_rows().iloc[[0, 1, 3]]
    errors = found.get_prediction(rows, **options).se_obs
    wanted = expected.get_prediction(rows, **options).se_obs
    assert_allclose(errors, wanted, rtol=1e-4)
    errors = found.get_prediction(interval="prediction").se_obs
    wanted = expected.get_prediction(interval="prediction").se_obs
    assert_allclose(errors, wanted, rtol=1e-4)


def test_order_of_labels_rows_and_names():
    expected = fitted("two related")
    order = np.random.default_rng(0).permutation(10)
    matrices = known_matrices(["id", "herd"])
    matrices["id"] = matrices["id"].iloc[order, order[::-1]]
    shuffled = animals().sample(frac=1.0, random_state=1)
    formula = CASES["two related"][0]
    found = crossedmixedlm(formula, shuffled, relationship=matrices).fit()
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    for group in ("id", "herd"):
        modes = found.random_effects[group]
        wanted = expected.random_effects[group].loc[modes.index]
        assert_allclose(modes, wanted, atol=1e-6)
    renamed = {a: f"{a[1:]} x" for a in ANIMALS}
    matrices["id"] = matrices["id"].rename(index=renamed, columns=renamed)
    other = animals().replace({"id": renamed})
    found = crossedmixedlm(formula, other, relationship=matrices).fit()
    assert_allclose(found.llf, expected.llf, rtol=1e-12)


def test_kinds_of_labels_and_matrices():
    expected = fitted("intercepts").llf
    k, frame = kinship(), animals()
    numbers = frame["id"].str[1:].astype(int)
    of_numbers = pd.Index([int(a[1:]) for a in k.index])
    values = k.to_numpy()
    for data, matrix in (
        (frame, (values, list(k.index))),
        (frame, (sparse.coo_array(values), k.index)),
        (frame, (sparse.csr_matrix(values), k.index)),
        (frame, LabeledMatrix(sparse.csc_array(values), k.index)),
        (frame.assign(id=frame["id"].astype("category")), k),
        (frame.assign(id=pd.Categorical(frame["id"], ANIMALS[::-1])), k),
        (frame.assign(id=numbers), (values, of_numbers)),
        (frame.assign(id=numbers.astype(float)), (values, of_numbers)),
        (frame.assign(id=numbers), (values, of_numbers.astype(float))),
    ):
        model = crossedmixedlm("y ~ x + (1 | id)", data, relationship={"id": matrix})
        assert_allclose(model.fit().llf, expected, rtol=1e-12)


def test_blocks_of_ones_are_families():
    frame = animals().assign(family=animals()["id"].str[1:].astype(int) // 2)
    of = np.array([int(a[1:]) // 2 for a in ANIMALS])
    k = pd.DataFrame((of[:, None] == of).astype(float), ANIMALS, ANIMALS)
    found = crossedmixedlm("y ~ x + (1 | id)", frame, relationship={"id": k}).fit()
    expected = crossedmixedlm("y ~ x + (1 | family)", frame).fit()
    assert_allclose(found.llf, expected.llf, rtol=1e-12)
    assert_allclose(found.theta, expected.theta, rtol=1e-6)
    for animal, mode in found.random_effects["id"].iterrows():
        family = int(animal[1:]) // 2
        if family < 4:
            own = expected.random_effects["family"].loc[family].iloc[0]
            assert_allclose(mode.iloc[0], own, rtol=1e-6)
        else:
            assert_allclose(mode.iloc[0], 0.0, atol=1e-10)
            sd = found.random_effects_cov["id"][animal].iloc[0, 0]
            assert_allclose(sd, found.vcomp.iloc[0], rtol=1e-8)


def singular_matrices():
    k = kinship()
    twins = k.copy()
    twins.loc["a1"] = twins.loc["a0"]
    twins["a1"] = twins["a0"]
    late = k.copy()  # one of the two without data
    late.loc["a9"] = late.loc["a0"]
    late["a9"] = late["a0"]
    markers = np.random.default_rng(7).standard_normal((10, 4))
    nothing = k.copy()
    nothing.loc["a2"] = 0.0
    nothing["a2"] = 0.0
    return {
        "duplicates": twins,
        "duplicate without data": late,
        "low rank": pd.DataFrame(markers @ markers.T, ANIMALS, ANIMALS),
        "zero row": nothing,
    }


@pytest.mark.parametrize("formula", ["y ~ x + (1 | id)", "y ~ x + (x | id)"])
@pytest.mark.parametrize("kind", singular_matrices())
def test_singular_relationships(kind, formula):
    matrices = {"id": singular_matrices()[kind]}
    result = crossedmixedlm(formula, animals(), relationship=matrices).fit()
    dense = twin_of(result, matrices)
    assert result.converged
    assert_allclose(result.llf, dense.llf, rtol=1e-10)
    assert_allclose(result._results._modes[0].ravel(), dense.modes, atol=1e-7)
    joint = result.joint_covariance()
    assert_allclose(joint, dense.joint, rtol=1e-6, atol=1e-8)
    (found,) = result.random_effects_cov.values()
    k = len(result.model.random[0].effect_names)
    for at, level in enumerate(result.model.random[0].levels):
        block = dense.conditional[at * k : at * k + k, at * k : at * k + k]
        assert_allclose(found[level], block, rtol=1e-6, atol=1e-8)


@every_route
@pytest.mark.parametrize(
    "formula", ["y ~ x + (1 | id)", "y ~ x + (1 | id) + (1 | herd)"]
)
def test_one_record_of_a_level(formula, route, monkeypatch):
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    rng = np.random.default_rng(11)
    k = pd.DataFrame(covariances(8, 30), range(30), range(30))
    frame = pd.DataFrame({"id": np.arange(26), "x": rng.standard_normal(26)})
    frame["herd"] = rng.integers(5, size=26)
    root = linalg.cholesky(k.to_numpy(), lower=True)
    frame["y"] = (root @ rng.standard_normal(30))[:26] + 0.7 * rng.standard_normal(26)
    frame["y"] += rng.standard_normal(5)[frame["herd"]]
    related = given({"id": k}, route)
    result = crossedmixedlm(formula, frame, **related).fit()
    dense = twin_of(result, {"id": k})
    assert result.converged
    assert_allclose(result.llf, dense.llf, rtol=1e-9)
    found = np.concatenate([m.ravel() for m in result._results._modes])
    assert_allclose(found, dense.modes, rtol=1e-6, atol=1e-7)
    assert_allclose(result.joint_covariance(), dense.joint, rtol=1e-6, atol=1e-8)


@every_route
@pytest.mark.parametrize("formula", ["y ~ x + (1 | id)", "y ~ x + (x | id)"])
def test_no_variance_at_all(formula, route, monkeypatch):
    """The fit is that of least squares, and proved to be the optimum."""
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    frame = animals().copy()
    x = np.column_stack([np.ones(N), frame["x"]])
    z = [frame["id"].eq(a).to_numpy(float)[:, None] * x for a in SEEN]
    columns = np.column_stack([x, *z])
    noise = np.random.default_rng(3).standard_normal(N)
    noise -= columns @ np.linalg.lstsq(columns, noise)[0]
    frame["y"] = 1.0 + frame["x"] + noise
    result = crossedmixedlm(formula, frame, **given({"id": kinship()}, route)).fit()
    assert result.converged
    assert result.is_singular
    assert_allclose(result.theta, 0.0, atol=1e-6)
    expected = smf.ols("y ~ x", frame).fit()
    assert_allclose(result.params, expected.params, rtol=1e-8)
    assert_allclose(result.bse, expected.bse, rtol=1e-8)
    assert_allclose(result.random_effects_table()[["mode", "sd"]], 0.0, atol=1e-6)


@every_route
def test_effect_column_of_zeros(route, monkeypatch):
    """As without a relationship: no variance, and a word about it."""
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    frame = animals().assign(nothing=0.0)
    related = given({"id": kinship()}, route)
    model = crossedmixedlm("y ~ x + (0 + nothing | id)", frame, **related)
    with pytest.warns(DataWarning, match="its variance cannot be estimated"):
        result = model.fit()
    expected = smf.ols("y ~ x", frame).fit()
    assert_allclose(result.params, expected.params, rtol=1e-10)


def test_relationship_of_zeros():
    """Levels that do not vary: the fit is that of least squares."""
    zeros = {"id": 0.0 * kinship()}
    result = crossedmixedlm("y ~ x + (1 | id)", animals(), relationship=zeros).fit()
    expected = smf.ols("y ~ x", animals()).fit()
    assert_allclose(result.params, expected.params, rtol=1e-10)
    assert_allclose(result.random_effects_table()[["mode", "sd"]], 0.0, atol=1e-12)


@pytest.mark.parametrize("value", [1e-17, 1e-12, 1e-9, 1e-7])
def test_effect_column_that_is_zero_but_for_rounding(value):
    """A level with hardly anything in its column is like one with 0."""
    formula, k = "y ~ x + (0 + z | id)", {"id": kinship()}
    first = animals()["id"] == "a0"
    results = [
        crossedmixedlm(
            formula,
            animals().assign(z=animals()["x"].mask(first, each)),
            relationship=k,
        ).fit()
        for each in (0.0, value)
    ]
    assert_allclose(results[1].llf, results[0].llf, rtol=1e-8)
    modes = [r.random_effects["id"] for r in results]
    assert_allclose(modes[1], modes[0], atol=1e-5)
    joint = [r.joint_covariance() for r in results]
    assert_allclose(joint[1], joint[0], atol=1e-5)


def test_incomplete_rows_are_dropped():
    frame = animals().copy()
    frame.loc[3, "y"] = np.nan
    frame.loc[frame["id"] == "a5", "x"] = np.nan
    k = {"id": kinship()}
    result = crossedmixedlm("y ~ x + (1 | id)", frame, relationship=k).fit()
    left = frame.dropna()
    expected = crossedmixedlm("y ~ x + (1 | id)", left, relationship=k).fit()
    assert_allclose(result.llf, expected.llf, rtol=1e-12)
    assert set(result.random_effects["id"].index) == set(ANIMALS)
    assert_allclose(
        result._results._modes[0].ravel(), twin_of(result, k).modes, rtol=1e-6
    )


# simulation ----------------------------------------------------------------


class Unit:
    """Generator i of many: its i-th normal number is one, all others are zero."""

    def __init__(self, place):
        self.left = place

    def standard_normal(self, shape):
        out = np.zeros(shape)
        if 0 <= self.left < out.size:
            out.flat[self.left] = 1.0
        self.left -= out.size
        return out


@pytest.fixture
def unit_draws(monkeypatch):
    """Make `simulate` show what each independent normal number does."""

    def generators(sequences):
        return [Unit(i) for i in range(len(sequences))]

    monkeypatch.setattr(simulation, "generators", generators)


def covariance_of(drawn, mean):
    changes = drawn.sub(mean, axis=0)
    return changes.to_numpy() @ changes.to_numpy().T


@both_engines
@pytest.mark.parametrize("name", [c for c in CASES if c != "redundant"])
def test_covariance_of_simulated_responses(name, route, unit_draws):
    result, dense = fitted(name, route), twin(name, route)
    mean = result.predict()
    found = covariance_of(result.simulate(200), mean)
    assert_allclose(found, dense.scale * dense.v, rtol=1e-7, atol=1e-8)
    mean = result.predict(random_effects=True)
    found = covariance_of(result.simulate(200, random_effects="conditional"), mean)
    expected = np.diag(dense.scale / dense.w)
    assert_allclose(found, expected, rtol=1e-7, atol=1e-10)


@both_engines
@pytest.mark.parametrize("name", ["intercepts", "slopes", "beside herds"])
def test_covariance_of_simulated_new_data(name, route, unit_draws):
    """Known animals, with data or without, are related; new ones are not."""
    result, rows = fitted(name, route), new_rows()
    matrices, raw = known_matrices(["id"]), result._results
    z, columns, _, is_known = effects_at(result, rows, matrices)
    k = [among_levels(e, matrices) for e in raw.model.random]
    prior = z @ linalg.block_diag(*map(np.kron, k, raw._relative)) @ z.T
    new = ~is_known[0]
    same = rows["id"].to_numpy()[:, None] == rows["id"].to_numpy()
    within = columns[0] @ raw._relative[0] @ columns[0].T
    of_new = within * same * np.outer(new, new)
    residual = np.eye(len(rows))
    found = covariance_of(result.simulate(100, exog=rows), result.predict(rows))
    assert_allclose(found, result.scale * (prior + of_new + residual), atol=1e-7)
    drawn = result.simulate(100, exog=rows, random_effects="conditional")
    mean = result.predict(rows, random_effects=True, new_levels="population")
    assert_allclose(
        covariance_of(drawn, mean), result.scale * (of_new + residual), atol=1e-7
    )


@both_engines
@pytest.mark.parametrize("kind", ["parametric", "conditional", "semiparametric"])
def test_bootstrap(kind, route):
    result = fitted("beside herds", route)
    first = result.bootstrap(4, rng=3, kind=kind, n_jobs=1)
    again = result.bootstrap(4, rng=3, kind=kind, n_jobs=2)
    assert first.n_failed == 0
    pd.testing.assert_frame_equal(first.draws, again.draws)
    if kind == "semiparametric":
        return
    # replicate i is the fit to simulated response i
    how = {"parametric": "new", "conditional": "conditional"}[kind]
    responses = result.simulate(4, rng=3, random_effects=how)
    for i in range(4):
        other = result.refit(responses[i])
        assert_allclose(first.draws.loc[i, ["Intercept", "x"]], other.params, atol=1e-4)
        assert_allclose(first.draws.loc[i, "sigma"] ** 2, other.scale, rtol=1e-3)


@both_engines
def test_simulation_depends_on_the_seed_only(route):
    result = fitted("slopes", route)
    one, other = result.simulate(3, rng=1), result.simulate(2, rng=1)
    pd.testing.assert_frame_equal(one[[0, 1]], other)
    assert not np.allclose(result.simulate(2, rng=2), other)


# inference -----------------------------------------------------------------


@both_engines
@pytest.mark.parametrize("reml", [True, False])
def test_profile_interval(route, reml):
    """Its ends, by a dense minimization over the residual variance."""
    result = fitted("intercepts", route, reml)
    arrays = arrays_of(result.model, result._results.params, known_matrices(["id"]))
    label = result.variance_parameters().index[0]
    interval = result.profile(which=[label], n_points=2).conf_int().loc[label]

    def criterion(sigma, sd):
        at = Twin(*arrays, [np.array([[(sd / sigma) ** 2]])], None, reml)
        constant = at.nu * (1.0 + np.log(2.0 * np.pi * at.scale))
        of_scale = at.nu * np.log(2.0 * np.pi * sigma**2)
        return -2.0 * at.llf - constant + of_scale + at.nu * at.scale / sigma**2

    for end in interval:
        found = optimize.minimize_scalar(
            criterion, (0.9, 1.1), args=(end,), options={"xtol": 1e-10}
        )
        excess = found.fun + 2.0 * result.llf
        assert_allclose(excess, stats.chi2.ppf(0.95, 1), rtol=1e-5)


@both_engines
def test_profile_of_a_fixed_effect(route):
    """After ML its ends are where the likelihood of an offset falls that far."""
    result = fitted("intercepts", route, False)
    interval = result.profile(which=["x"], n_points=2).conf_int().loc["x"]
    k = {"id": kinship()}
    for end in interval:
        offset = end * animals()["x"].to_numpy()
        other = crossedmixedlm(
            "y ~ 1 + (1 | id)", animals(), offset=offset, relationship=k
        ).fit(reml=False)
        excess = 2.0 * (result.llf - other.llf)
        assert_allclose(excess, stats.chi2.ppf(0.95, 1), rtol=1e-5)


def dense_moments(name, route):
    """What degrees of freedom are made from, in the variances sigma^2 S and sigma^2."""
    dense = twin(name, route)
    k = dense.k[0]
    zkz = dense.z @ np.kron(k, np.eye(1)) @ dense.z.T
    derivatives = [zkz, np.diag(1.0 / dense.w)]
    v = dense.scale * dense.v
    inverse = linalg.inv(v)
    phi = linalg.inv(dense.x.T @ inverse @ dense.x)
    p = inverse - inverse @ dense.x @ phi @ dense.x.T @ inverse
    return dense, derivatives, inverse, phi, p


@both_engines
def test_satterthwaite(route):
    dense, derivatives, inverse, phi, p = dense_moments("intercepts", route)
    py = p @ dense.y
    observed = np.array(
        [
            [-0.5 * np.trace(p @ a @ p @ b) + py @ a @ p @ b @ py for b in derivatives]
            for a in derivatives
        ]
    )
    uncertainty = linalg.inv(observed)
    contrast = np.array([1.0, 0.5])
    half = inverse @ dense.x @ phi @ contrast
    slopes = np.array([half @ d @ half for d in derivatives])
    variance = contrast @ phi @ contrast
    df = 2.0 * variance**2 / (slopes @ uncertainty @ slopes)
    result = fitted("intercepts", route)
    found = result.t_test(contrast, df_method="satterthwaite")
    assert_allclose(found.df_denom, df, rtol=1e-4)
    assert_allclose(found.sd, np.sqrt(variance), rtol=1e-6)


@pytest.mark.parametrize("route", ["matrix", "inverse"])
def test_kenward_roger(route):
    dense, derivatives, inverse, phi, p = dense_moments("intercepts", route)
    expected = 0.5 * np.array(
        [[np.trace(p @ a @ p @ b) for b in derivatives] for a in derivatives]
    )
    w = linalg.inv(expected)
    vx = inverse @ dense.x
    slopes = [-vx.T @ d @ vx for d in derivatives]
    middle = np.zeros((2, 2))
    for a in range(2):
        for b in range(2):
            q = vx.T @ derivatives[a] @ inverse @ derivatives[b] @ vx
            middle += w[a, b] * (q - slopes[a] @ phi @ slopes[b])
    adjusted = phi + 2.0 * phi @ middle @ phi
    contrast = np.array([1.0, 0.5])
    half = phi @ contrast
    forms = np.array([half @ s @ half for s in slopes])
    df = 2.0 * (contrast @ half) ** 2 / (forms @ w @ forms)
    found = fitted("intercepts", route).t_test(contrast, df_method="kenward-roger")
    assert_allclose(found.sd, np.sqrt(contrast @ adjusted @ contrast), rtol=1e-6)
    assert_allclose(found.df_denom, df, rtol=1e-4)


def without(name, route, keep):
    """The twin of some of the rows, theta held."""
    dense = twin(name, route)
    return Twin(
        dense.y[keep],
        dense.x[keep],
        [dense.z[keep]],
        [np.eye(1)],
        [dense.g],
        dense.w[keep],
        dense.reml,
    )


INFLUENTIAL = ["intercepts", "slopes", "two related", "weights", "nested"]


@both_engines
@pytest.mark.parametrize("name", INFLUENTIAL)
def test_influence_of_rows(name, route):
    result = fitted(name, route)
    found = result.get_influence()
    for row in (0, 7, 20):
        other = without(name, route, np.arange(N) != row)
        assert_allclose(found.params_without.iloc[row], other.beta, rtol=1e-6)
        assert_allclose(found.scale_without.iloc[row], other.scale, rtol=1e-6)
        errors = np.sqrt(other.scale * np.diag(other.covariance))
        assert_allclose(found.bse_without.iloc[row], errors, rtol=1e-6)
    dense = twin(name, route)
    hat = np.eye(N) - np.diag(1.0 / dense.w) @ dense.p
    assert_allclose(found.hat_matrix_diag, np.diag(hat), rtol=1e-6)


@both_engines
@pytest.mark.parametrize("name", INFLUENTIAL)
def test_influence_of_groups(name, route):
    result = fitted(name, route)
    found = result.get_influence("id")
    assert set(found.labels) >= set(SEEN)
    for level in ("a0", "a6"):
        keep = (animals()["id"] != level).to_numpy()
        other = without(name, route, keep)
        assert_allclose(found.params_without.loc[level], other.beta, rtol=1e-6)
        assert_allclose(found.scale_without.loc[level], other.scale, rtol=1e-6)
        errors = np.sqrt(other.scale * np.diag(other.covariance))
        assert_allclose(found.bse_without.loc[level], errors, rtol=1e-6)
    for level in set(found.labels) - set(SEEN):
        # nothing is left out
        assert_allclose(found.dfbeta.loc[level], 0.0, atol=1e-10)
        assert_allclose(found.scale_without.loc[level], result.scale, rtol=1e-10)


@both_engines
def test_refits_without_groups(route):
    """Relatives without records keep their place."""
    result = fitted("intercepts", route)
    found = result.get_influence("id", refit=True, n_jobs=1)
    left = animals()[animals()["id"] != "a3"]
    k = {"id": kinship()}
    other = crossedmixedlm("y ~ x + (1 | id)", left, relationship=k).fit()
    assert_allclose(found.params_without.loc["a3"], other.params, rtol=1e-4)
    assert_allclose(found.scale_without.loc["a3"], other.scale, rtol=1e-4)


@both_engines
def test_tests_of_random_effects(route):
    result = fitted("beside herds", route)
    table = result.random_effect_tests()
    without_herds = crossedmixedlm(
        "y ~ x + (1 | id)", animals(), relationship={"id": kinship()}
    ).fit()
    without_animals = crossedmixedlm("y ~ x + (1 | herd)", animals()).fit()
    for other in (without_herds, without_animals):
        assert_allclose(table["llf"].sub(other.llf).abs().min(), 0.0, atol=1e-6)
    dropped = result.drop_random("(1 | herd)")
    assert_allclose(dropped.llf, without_herds.llf, atol=1e-6)
    assert set(dropped.random_effects["id"].index) == set(ANIMALS)


@both_engines
def test_exact_test(route):
    """The share of zeros is that of eigenvalues of Z K Z' found densely."""
    result = fitted("intercepts", route)
    found = result.exact_lr_test(nsim=4000, rng=1)
    null = smf.ols("y ~ x", animals()).fit()
    x = null.model.exog
    restricted = Twin(
        null.model.endog, x, [np.zeros((N, 1))], [np.eye(1)], [np.zeros((1, 1))]
    )
    assert_allclose(found.statistic, 2.0 * (result.llf - restricted.llf), rtol=1e-7)
    k = kinship().loc[SEEN, SEEN].to_numpy()
    z = (animals()["id"].to_numpy()[:, None] == np.array(SEEN)).astype(float)
    m = np.eye(N) - x @ np.linalg.pinv(x)
    values = np.linalg.eigvalsh(m @ z @ k @ z.T @ m)[::-1][: N - 2]
    draws = np.random.default_rng(2).chisquare(1, (100_000, N - 2))
    # zero where the likelihood falls from the start: nu N'(0) <= sum of mu
    zero = (N - 2) * (draws @ values) / draws.sum(axis=1) <= values.sum()
    share = zero.mean()
    spread = np.sqrt(share * (1.0 - share) / 4000)
    assert abs(found.zero_share - share) < 4.0 * spread


def test_exact_test_of_a_matrix():
    """Related levels are independent columns of another matrix."""
    k = kinship().loc[SEEN, SEEN].to_numpy()
    z = (animals()["id"].to_numpy()[:, None] == np.array(SEEN)).astype(float)
    z = z @ linalg.cholesky(k, lower=True)
    y = animals()["y"].to_numpy()
    x = np.column_stack([np.ones(N), animals()["x"]])
    other = CrossedMixedLM(y, x, random=[z]).fit()
    expected = other.exact_lr_test(nsim=300, rng=5)
    found = fitted("intercepts").exact_lr_test(nsim=300, rng=5)
    assert_allclose(found.statistic, expected.statistic, rtol=1e-8)
    assert_allclose(np.sort(found.draws), np.sort(expected.draws), rtol=1e-6, atol=1e-8)


@both_engines
@pytest.mark.parametrize("name", ["intercepts", "slopes", "two related"])
def test_r_squared(name, route):
    result, dense = fitted(name, route), twin(name, route)
    fixed = np.var(dense.x @ dense.beta, ddof=1)
    random = dense.scale * np.diag(dense.z @ dense.g @ dense.z.T).mean()
    total = fixed + random + dense.scale
    found = result.r_squared()
    assert_allclose(found["marginal"], fixed / total, rtol=1e-6)
    assert_allclose(found["conditional"], (fixed + random) / total, rtol=1e-6)
    assert_allclose(
        result.icc()["adjusted"], random / (random + dense.scale), rtol=1e-6
    )


@every_route
def test_models_derived_from_a_fit(route):
    result = fitted("two related", route)
    assert_allclose(result.refit(result.model.endog).llf, result.llf, rtol=1e-9)
    smaller = result.drop_fixed("x")
    expected = crossedmixedlm(
        "y ~ 1 + (x | id) + (1 | herd)",
        animals(),
        relationship=known_matrices(["id", "herd"]),
    ).fit()
    assert_allclose(smaller.llf, expected.llf, rtol=1e-8)
    ml, null = result.model.fit(reml=False), smaller.model.fit(reml=False)
    statistic = ml.compare_lr_test(null)[0]
    assert_allclose(statistic, 2.0 * (ml.llf - null.llf), rtol=1e-6)


@every_route
def test_pickles_and_copies(route):
    result = fitted("two related", route)
    expected = result.random_effects_table()
    for other in (
        pickle.loads(pickle.dumps(result)),
        copy.copy(result),
        copy.deepcopy(result),
    ):
        pd.testing.assert_frame_equal(other.random_effects_table(), expected)
        found = other.get_prediction(new_rows()[:2], random_effects=True).se
        wanted = result.get_prediction(new_rows()[:2], random_effects=True).se
        assert_allclose(found, wanted, rtol=1e-9)
        assert_allclose(other.model.fit().llf, result.llf, rtol=1e-10)


@every_route
def test_data_that_were_removed(route, monkeypatch):
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    related = given({"id": kinship()}, route)
    result = crossedmixedlm("y ~ x + (1 | id)", animals(), **related).fit()
    rows = new_rows()[:2]
    expected = result.predict(rows, random_effects=True)
    text = str(result.summary().tables[1])
    result.remove_data()
    assert_allclose(result.predict(rows, random_effects=True), expected, rtol=1e-12)
    assert str(result.summary().tables[1]) == text
    with pytest.raises(DataError, match="were removed"):
        result.joint_covariance()


# models from arrays --------------------------------------------------------


@every_route
def test_arrays(route, monkeypatch):
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    frame, formula = animals(), fitted("two related", route)
    x = np.column_stack([np.ones(N), frame["x"]])
    related = given(known_matrices(["id", "herd"]), route)
    random = {"id": (frame["id"], x), "herd": frame["herd"]}
    result = CrossedMixedLM(frame["y"], x, random=random, **related).fit()
    assert_allclose(result.llf, formula.llf, rtol=1e-10)
    for mine, theirs in zip(result._results._modes, formula._results._modes):
        assert_allclose(mine, theirs, atol=1e-5)
    rows = new_rows()[:2]
    found = result.get_prediction(
        np.column_stack([np.ones(2), rows["x"]]),
        random={
            "id": (rows["id"], np.column_stack([np.ones(2), rows["x"]])),
            "herd": rows["herd"],
        },
        random_effects=True,
    )
    expected = formula.get_prediction(rows, random_effects=True)
    assert_allclose(found.predicted, expected.predicted, rtol=1e-4)
    assert_allclose(found.se, expected.se, rtol=1e-4)


# what is refused -----------------------------------------------------------


def changed(frame, **at):
    """A copy of a matrix with some entries changed, symmetrically."""
    frame = frame.copy()
    for pair, value in at.items():
        one, other = pair.split("_")
        frame.loc[one, other] = frame.loc[other, one] = value
    return frame


def asymmetric():
    frame = kinship()
    frame.loc["a1", "a2"] += 0.5
    return frame


def relabeled(frame, columns=None, **names):
    out = frame.rename(index=names)
    return out.rename(columns=names if columns is None else columns)


K = kinship()
BAD = {
    "missing levels": (K.drop(index=["a3", "a5"], columns=["a3", "a5"]), "'a3', 'a5'"),
    "a row twice": (relabeled(K, a1="a0"), "'a0' appears more than once"),
    "a column twice": (relabeled(K, {"a1": "a0"}), "'a0' appears more than once"),
    "other columns": (relabeled(K, {"a1": "b1"}), "different labels: 'a1'"),
    "fewer columns": (K.drop(columns="a4"), "different labels: 'a4'"),
    "more columns": (K.assign(extra=0.0), "different labels: 'extra'"),
    "no labels": (K.to_numpy(), "has no labels"),
    "nothing": (None, "has no labels"),
    "asymmetric": (asymmetric(), "not symmetric: .* for 'a[12]', 'a[12]'"),
    "gap": (changed(K, a1_a7=np.nan), "missing or infinite values for .*'a[17]'"),
    "infinite": (changed(K, a2_a2=np.inf), "missing or infinite values for 'a2'"),
    "text": (K.astype(str).replace(str(K.iloc[0, 0]), "much"), "must be numeric"),
    "negative variance": (changed(K, a6_a6=-0.1), "negative variance for 'a6'"),
    "indefinite": (changed(K, a1_a2=50.0), "eigenvalue of -.*'a[12]', 'a[12]'"),
    "not square": ((K.to_numpy()[:, :9], K.index), r"shape \(10, 9\) and 10 labels"),
    "few labels": ((K.to_numpy(), ANIMALS[:9]), r"shape \(10, 10\) and 9 labels"),
    "numbers for text": ((K.to_numpy(), range(10)), "labels integer"),
    "label missing": ((K.to_numpy(), [None, *ANIMALS[1:]]), "is missing"),
}


@pytest.mark.parametrize("what", BAD)
def test_matrices_that_are_refused(what):
    matrix, match = BAD[what]
    with pytest.raises(DataError, match=match) as caught:
        crossedmixedlm("y ~ x + (1 | id)", animals(), relationship={"id": matrix})
    if what != "missing levels":
        assert "id" in str(caught.value) or "label" in str(caught.value)
    with pytest.raises(DataError, match=match):
        CrossedMixedLM(
            animals()["y"],
            np.ones((N, 1)),
            random={"id": animals()["id"]},
            relationship={"id": matrix},
        )


SINGULAR = singular_matrices()["duplicates"]


@pytest.mark.parametrize("limit", [3, 2000])
@pytest.mark.parametrize("is_sparse", [True, False])
@pytest.mark.parametrize(
    ("matrix", "match"),
    [
        (SINGULAR, "singular"),
        (singular_matrices()["low rank"], "singular|eigenvalue"),
        (singular_matrices()["zero row"], "singular"),
        (changed(K, a1_a2=50.0), "eigenvalue|not positive|singular"),
        (changed(K, a6_a6=-0.1), "negative variance|not positive"),
        (asymmetric(), "not symmetric"),
        (changed(K, a1_a7=np.nan), "missing or infinite"),
        (K.drop(index="a3", columns="a3"), "'a3'"),
    ],
)
def test_inverses_that_are_refused(matrix, match, is_sparse, limit, monkeypatch):
    monkeypatch.setattr(known_levels, "DENSE_LEVELS", limit)
    value = matrix.to_numpy()
    value = sparse.csc_array(value) if is_sparse else value
    with pytest.raises(DataError, match=match):
        crossedmixedlm(
            "y ~ x + (1 | id)",
            animals(),
            relationship_inverse={"id": (value, matrix.index)},
        ).fit()


@pytest.mark.parametrize("is_sparse", [True, False])
def test_every_singular_inverse_is_refused(is_sparse, monkeypatch):
    """Also where rounding makes the last pivot positive."""
    monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3 if is_sparse else 2000)
    twins = [0, 0, 2, 3, 4, 5, 6, 7, 8, 9]
    for seed in range(12):
        q = covariances(seed, 10)[np.ix_(twins, twins)]
        q = sparse.csc_array(q) if is_sparse else q
        with pytest.raises(DataError, match="singular"):
            crossedmixedlm(
                "y ~ x + (1 | id)",
                animals(),
                relationship_inverse={"id": (q, ANIMALS)},
            ).fit()


def test_arguments_that_are_refused():
    k, frame = kinship(), animals()
    for options, error, match in (
        ({"relationship": {"cow": k}}, DataError, "'cow': no such grouping factor.*id"),
        (
            {"relationship": {"id": k}, "relationship_inverse": {"id": k}},
            DataError,
            "a relationship and an inverse",
        ),
        ({"relationship": k}, TypeError, "dict from grouping factor to matrix"),
        ({"relationship_inverse": [k]}, TypeError, "dict"),
    ):
        with pytest.raises(error, match=match):
            crossedmixedlm("y ~ x + (1 | id)", frame, **options)
    numbers = frame.assign(id=frame["id"].str[1:].astype(int))
    text = (k.to_numpy(), [a[1:] for a in k.index])
    with pytest.raises(DataError, match="levels are integer, its labels string"):
        crossedmixedlm("y ~ x + (1 | id)", numbers, relationship={"id": text})


def test_small_negative_eigenvalue():
    """Rounding of a matrix is told, and does not matter."""
    values, vectors = np.linalg.eigh(kinship().to_numpy())
    expected, k = [], kinship()
    for lowest in (0.0, -1e-8 * values[-1]):
        values[0] = lowest
        matrix = pd.DataFrame((vectors * values) @ vectors.T, k.index, k.columns)
        model = ("y ~ x + (1 | id)", animals())
        if lowest:
            with pytest.warns(DataWarning, match="eigenvalue of -.*negative part"):
                result = crossedmixedlm(*model, relationship={"id": matrix}).fit()
        else:
            result = crossedmixedlm(*model, relationship={"id": matrix}).fit()
        expected.append(result.llf)
    assert_allclose(expected[1], expected[0], rtol=1e-6)


def test_as_many_levels_as_rows():
    """They are refused only where they are not related."""
    frame = first_records()
    with pytest.raises(DataError, match="as many levels as there are rows"):
        crossedmixedlm("y ~ 1 + (1 | id)", frame)
    crossedmixedlm("y ~ 1 + (1 | id)", frame, relationship={"id": kinship()})


# published -----------------------------------------------------------------

# Mrode (2014), Linear Models for the Prediction of Animal Breeding Values, 3rd ed.,
# example 3.1: pre-weaning gain of five calves, sigma_e^2 = 40, sigma_a^2 = 20
PEDIGREE = pd.DataFrame(
    {
        "animal": [4, 5, 6, 7, 8],
        "sire": [1, 3, 1, 4, 3],
        "dam": [0, 2, 2, 5, 6],
    }
)
CALVES = pd.DataFrame(
    {
        "calf": [4, 5, 6, 7, 8],
        "sex": ["male", "female", "female", "male", "male"],
        "gain": [4.5, 2.9, 3.9, 3.5, 5.0],
    }
)
SEXES = {"male": 4.358, "female": 3.404}
BREEDING_VALUES = [0.098, -0.019, -0.041, -0.009, -0.186, 0.177, -0.249, 0.183]


def mixed_model_equations():
    """Henderson's equations of the example, and their solution."""
    x = np.column_stack([CALVES["sex"] == s for s in SEXES]).astype(float)
    z = np.eye(8)[CALVES["calf"] - 1]
    a = numerator_relationship(PEDIGREE).sort_index().sort_index(axis=1).to_numpy()
    columns = np.column_stack([x, z])
    left = columns.T @ columns
    left[2:, 2:] += 2.0 * linalg.inv(a)
    solution = linalg.solve(left, columns.T @ CALVES["gain"].to_numpy())
    return x, z, a, left, solution


def test_published_breeding_values():
    solution = mixed_model_equations()[-1]
    assert_allclose(solution[:2], list(SEXES.values()), atol=6e-4)
    assert_allclose(solution[2:], BREEDING_VALUES, atol=6e-4)


def test_breeding_values_at_known_variances():
    """Nothing is estimated but sigma^2: b ~ N(0, sigma^2 A / 2)."""
    x, z, a, left, solution = mixed_model_equations()
    y = CALVES["gain"].to_numpy()
    term = matrix_effects(z, Fixed(0.5 * a), "animal", range(1, 9))
    result = CrossedMixedLM(y, x, random=[term]).fit()
    assert_allclose(result.params, list(SEXES.values()), atol=6e-4)
    modes = np.asarray(result.random_effects_table()["mode"])
    assert_allclose(modes, BREEDING_VALUES, atol=6e-4)
    assert_allclose(np.append(result.params, modes), solution, rtol=1e-8)
    # prediction errors from the inverse of the equations
    expected = result.scale * linalg.inv(left)
    assert_allclose(result.joint_covariance(), expected, rtol=1e-8, atol=1e-12)


@every_route
def test_breeding_values_of_a_pedigree(route, monkeypatch):
    """The same with the relationship of the calves, theta held at its start."""
    related = {"relationship": {"calf": numerator_relationship(PEDIGREE)}}
    if route != "matrix":
        inverse = numerator_relationship_inverse(PEDIGREE)
        related = {"relationship_inverse": {"calf": inverse}}
    if route == "sparse":
        monkeypatch.setattr(known_levels, "DENSE_LEVELS", 3)
    model = crossedmixedlm("gain ~ 0 + sex + (1 | calf)", CALVES, **related)
    deviance, units = model._deviance([np.sqrt(0.5)], True), model._units
    solution = dict(zip(model.exog_names, units.beta(deviance.coefficients)))
    for sex, value in SEXES.items():
        assert_allclose(solution[f"sex[{sex}]"], value, atol=6e-4)
    (modes,) = units.modes(deviance)
    found = pd.Series(modes[:, 0], model.random[0].levels).sort_index()
    assert found.index.tolist() == list(range(1, 9))
    assert_allclose(found, BREEDING_VALUES, atol=6e-4)
    assert_allclose(found, mixed_model_equations()[-1][2:], rtol=1e-8)
    assert_allclose(model.loglike([np.sqrt(0.5)]), _dense_llf(), rtol=1e-10)


def _dense_llf():
    x, z, a, _, _ = mixed_model_equations()
    y = CALVES["gain"].to_numpy()
    return Twin(y, x, [z], [a], [np.array([[0.5]])]).llf


def test_data_set_with_a_relationship_of_its_own():
    """Subjects of sleepstudy that are related in pairs, against the twin."""
    data = load("sleepstudy")
    levels = sorted(data["Subject"].unique())
    k = np.kron(np.eye(9), [[1.0, 0.5], [0.5, 1.0]])
    matrices = {"Subject": pd.DataFrame(k, levels, levels)}
    model = crossedmixedlm(
        "Reaction ~ Days + (Days | Subject)", data, relationship=matrices
    )
    result = model.fit()
    dense = twin_of(result, matrices)
    assert result.converged
    assert_allclose(result.llf, dense.llf, rtol=1e-10)
    assert_allclose(result._results._modes[0].ravel(), dense.modes, rtol=1e-6)
    term = by_group(
        data["Subject"], np.column_stack([np.ones(180), data["Days"]]), name="Subject"
    )
    other = CrossedMixedLM(
        data["Reaction"], model.exog, random=[term], relationship=matrices
    ).fit()
    assert_allclose(other.llf, result.llf, rtol=1e-12)


def test_a_relationship_is_named_as_in_the_tables():
    """Terms by a:b and by b:a are of one factor, which has the first name."""
    data = pd.DataFrame({"a": np.arange(40) % 4, "b": np.arange(40) // 4 % 5})
    rng = np.random.default_rng(0)
    data["x"], data["y"] = rng.normal(size=(2, 40))
    labels = (data["a"].astype(str) + ":" + data["b"].astype(str)).unique()
    known = pd.DataFrame(np.eye(len(labels)), labels, labels)
    text = "y ~ x + (1 | a:b) + (0 + x | b:a)"
    assert crossedmixedlm(text, data, relationship={"a:b": known}).fit().converged
    with pytest.raises(DataError, match="b:a"):
        crossedmixedlm(text, data, relationship={"b:a": known})


def test_nested_models_have_the_same_relationship():
    """Whatever the order of its labels, and not if it is of other levels."""
    k, data = kinship(), animals()
    text = "y ~ x + (1 | id)"
    restricted = crossedmixedlm(text, data, relationship={"id": k}).fit(reml=False)
    turned = k.iloc[::-1, ::-1]
    full = crossedmixedlm("y ~ x + (x | id)", data, relationship={"id": turned})
    full = full.fit(reml=False)
    assert full.compare_lr_test(restricted).df_diff == 2
    other = pd.DataFrame(k.to_numpy(), k.index[::-1], k.columns[::-1])
    full = crossedmixedlm("y ~ x + (x | id)", data, relationship={"id": other})
    with pytest.raises(DataError, match="nested"):
        full.fit(reml=False).compare_lr_test(restricted)
