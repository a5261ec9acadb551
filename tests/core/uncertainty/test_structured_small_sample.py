"""Kenward and Roger's method beside structured random effects, against dense V(eta)."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.uncertainty.small_sample import kenward_roger
from statsmodels_lmm.formula.api import crossedmixedlm

GROUPS, VISITS = 30, 4


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    data = pd.DataFrame(
        {
            "g": np.repeat(np.arange(GROUPS), VISITS),
            "t": np.tile(np.arange(VISITS), GROUPS),
        }
    )
    data["half"] = 2 * data["g"] + data["t"] // 2
    data["x"] = rng.standard_normal(len(data))
    data["f"] = pd.Categorical(data["t"])
    lags = abs(np.subtract.outer(np.arange(VISITS), np.arange(VISITS)))
    root = np.linalg.cholesky(
        0.6**lags * np.outer([1.0, 1.5, 2.0, 2.5], [1.0, 1.5, 2, 2.5])
    )
    levels = rng.standard_normal((GROUPS, VISITS)) @ root.T
    data["y"] = 0.5 * data["x"] + levels.ravel() + rng.standard_normal(len(data))
    data["y"] += 0.8 * rng.standard_normal(2 * GROUPS)[data["half"]]
    return data[rng.random(len(data)) > 0.1].reset_index(drop=True)


def ar1(data, eta, hom):
    """Variances and rho of the effects of visits."""
    *variances, rho = eta
    deviation = np.sqrt(np.resize(variances, VISITS))
    lags = abs(np.subtract.outer(np.arange(VISITS), np.arange(VISITS)))
    s = rho**lags * np.outer(deviation, deviation)
    same = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
    t = data["t"].to_numpy()
    return same * s[t[:, None], t]


def errors(data, eta, residual):
    """Of sigma^2 alone, or of a covariance within halves and sigma^2."""
    n = len(data)
    if residual is None:
        return eta[-1] * np.eye(n)
    same = data["half"].to_numpy()[:, None] == data["half"].to_numpy()
    return same * eta[0] + (eta[-1] - eta[0]) * np.eye(n)


def derivatives(function, at, step=1e-3):
    """First and second derivatives of a matrix function by differences."""
    m, h = len(at), step * np.maximum(abs(at), 0.1)
    e = np.diag(h)
    first = [(function(at + d) - function(at - d)) / (2.0 * d.max()) for d in e]
    second = [
        [
            (
                function(at + a + b)
                - function(at + a - b)
                - function(at - a + b)
                + function(at - a - b)
            )
            / (4.0 * a.max() * b.max())
            for b in e
        ]
        for a in e
    ]
    assert len(first) == m
    return first, second


@pytest.mark.parametrize("kind", ["expected", "observed"])
@pytest.mark.parametrize("hom", [True, False], ids=["hom", "het"])
@pytest.mark.parametrize("residual", [None, "cs(1 | half)"], ids=["iid", "cs"])
def test_kenward_roger(data, residual, hom, kind):
    term = "ar1(0 + f | g)" if not hom else "ar1(0 + f | g, hom=True)"
    result = crossedmixedlm(f"y ~ x + {term}", data, residual=residual).fit()
    assert result.converged
    raw = result._results
    theta = raw.theta
    variances = result.scale * theta[:-1] ** 2
    eta = np.concatenate(
        [variances, theta[-1:], result.scale * raw.residual_params, [result.scale]]
    )
    count = len(theta)

    def covariance(eta):
        return ar1(data, eta[:count], hom) + errors(data, eta[count:], residual)

    v = covariance(eta)
    slopes, bends = derivatives(covariance, eta)
    x, y = raw.model.exog, raw.model.endog
    inverse = np.linalg.inv(v)
    phi = np.linalg.inv(x.T @ inverse @ x)
    assert_allclose(phi, result.cov_params(), rtol=1e-6)
    half = phi @ x.T @ inverse
    p = inverse - half.T @ x.T @ inverse
    m = len(eta)
    information = np.empty((m, m))
    for r in range(m):
        for s in range(m):
            expected = 0.5 * np.trace(p @ slopes[r] @ p @ slopes[s])
            average = 0.5 * y @ p @ slopes[r] @ p @ slopes[s] @ p @ y
            bend = bends[r][s]
            rest = 0.5 * (np.trace(p @ bend) - y @ p @ bend @ p @ y)
            observed = 2.0 * average - expected + rest
            information[r, s] = expected if kind == "expected" else observed
    w = np.linalg.inv(information)
    root = raw._estimates.fixed_root
    for linear in (False, True):
        inner = sum(
            w[r, s]
            * (slopes[r] @ p @ slopes[s] - (0.0 if linear else 0.25) * bends[r][s])
            for r in range(m)
            for s in range(m)
        )
        expected = phi + 2.0 * half @ inner @ half.T
        found = kenward_roger(raw.at_optimum, kind, linear).covariance
        found = root @ found @ root.T * result.scale
        assert_allclose(found, expected, rtol=2e-5, atol=1e-7)
