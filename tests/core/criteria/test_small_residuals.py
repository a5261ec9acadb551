"""Residual variances that are tiny next to those of the effects keep their digits."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from dense_twin import DenseTwin, dense_z, design, products_of
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.structures.relative_factor import full_factor
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.models.validation import warn_after_fit


def residual_squares(columns, y):
    """What least squares leaves of y, by a basis that is applied twice."""
    basis = np.linalg.qr(columns)[0]
    rest = y - basis @ (basis.T @ y)
    rest -= basis @ (basis.T @ rest)
    return rest @ rest


def indicators(codes):
    return (np.asarray(codes)[:, None] == np.unique(codes)).astype(float)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("ratio", [1e4, 1e5, 1e6, 5e6])
def test_one_way(ratio, reml):
    """In balanced data with F > 1 sigma^2 is the mean square within, exactly."""
    rng = np.random.default_rng(0)
    y = ratio * rng.normal(size=20)[:, None] + rng.normal(size=(20, 10))
    within = ((y - y.mean(axis=1, keepdims=True)) ** 2).sum() / 180
    data = pd.DataFrame({"y": y.ravel(), "g": np.repeat(np.arange(20), 10)})
    result = crossedmixedlm("y ~ 1 + (1 | g)", data).fit(reml=reml)
    assert result.converged
    assert result.scale == pytest.approx(within, rel=1e-8)
    between = 10 * y.mean(axis=1).var(ddof=1 if reml else 0)
    assert result.cov_re["g"].iloc[0, 0] == pytest.approx(between / 10, rel=1e-8)


@pytest.mark.parametrize("ratio", [1e4, 1e6])
@pytest.mark.parametrize("large", ["first", "second"])
def test_two_factors_of_which_one_is_large(large, ratio):
    """Balanced crossed and nested factors, whose residual mean square is exact."""
    rng = np.random.default_rng(3)
    a, b = np.repeat(np.arange(12), 10), np.tile(np.arange(10), 12)
    sizes = (ratio, 1.0) if large == "first" else (1.0, ratio)
    y = sizes[0] * rng.normal(size=12)[a] + sizes[1] * rng.normal(size=10)[b]
    y += rng.normal(size=120)
    data = pd.DataFrame({"y": y, "a": a, "b": b})
    crossed = crossedmixedlm("y ~ 1 + (1 | a) + (1 | b)", data).fit()
    columns = np.hstack([indicators(a), indicators(b)[:, 1:]])
    assert crossed.converged
    assert crossed.scale == pytest.approx(residual_squares(columns, y) / 99, rel=1e-6)
    inner = np.repeat(np.arange(40), 3)
    outer = inner // 4
    y = sizes[0] * rng.normal(size=10)[outer] + sizes[1] * rng.normal(size=40)[inner]
    y += rng.normal(size=120)
    data = pd.DataFrame({"y": y, "outer": outer, "inner": inner})
    nested = crossedmixedlm("y ~ 1 + (1 | outer / inner)", data).fit()
    expected = residual_squares(indicators(inner), y) / 80
    assert nested.converged
    assert nested.scale == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("ratio", [1e4, 1e6])
def test_slopes_beside_a_large_intercept(ratio):
    rng = np.random.default_rng(5)
    g, x = np.repeat(np.arange(12), 10), np.tile(np.arange(10.0), 12)
    y = (ratio * rng.normal(size=12))[g] + rng.normal(size=12)[g] * x
    y += rng.normal(size=120)
    data = pd.DataFrame({"y": y, "g": g, "x": x})
    result = crossedmixedlm("y ~ x + (x | g)", data).fit()
    levels = indicators(g)
    columns = np.hstack([levels, levels * x[:, None]])
    assert result.converged
    assert result.scale == pytest.approx(residual_squares(columns, y) / 96, rel=1e-7)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    "name", ["one factor", "2 crossed", "chain of 3", "chain and tail"]
)
def test_criterion_and_duals_in_many_digits(name, reml):
    """At a point where the effects carry nearly everything, from 60 digits."""
    data = design(name, n=40)
    rng = np.random.default_rng(7)
    endog = 1e-5 * rng.normal(size=40)
    for factor in data.terms:
        z = dense_z(factor)
        endog = endog + z @ rng.normal(size=z.shape[1])
    data = standardize(endog, data.exog, data.terms)
    products = products_of(data)
    roots = [
        full_factor(1e5 * np.eye(f.k_effects), f.block_slices)
        for f in products.plan.terms
    ]
    found = profiled_deviance(products, roots, reml)
    twin = DenseTwin(data.endog, data.exog, products.plan.terms, roots, reml, digits=60)
    assert found.scale < 1e-6
    assert float(found.value) == pytest.approx(
        float(twin.value), rel=0, abs=3.0 * found.rounding
    )
    assert found.rounding < (1e-7 if name in ("one factor", "chain of 3") else 1e-3)
    assert float(found.scale) == pytest.approx(float(twin.scale), rel=1e-7)
    for i, dual in enumerate(found.derivatives().duals):
        left = roots[i].matrix
        expected = (twin.l[i].T @ twin.dual(i) @ twin.l[i]).astype(float)
        np.testing.assert_allclose(left.T @ dual @ left, expected, rtol=1e-5, atol=1e-5)


def test_an_ordinary_criterion_has_fourteen_digits():
    """A step that promises less than the last of them cannot be seen."""
    data = design("2 crossed", n=40)
    data = standardize(data.endog, data.exog, data.terms)
    products = products_of(data)
    found = profiled_deviance(products, moment_start(products), reml=True)
    assert found.rounding == pytest.approx(1e-14 * abs(found.value))


def test_what_cannot_be_told_from_rounding():
    """Beyond the digits of the response there is no residual variance to speak of."""
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(20), 10)
    data = pd.DataFrame({"g": g, "y": rng.normal(size=20)[g]})
    with pytest.raises(DataError, match="too small to be distinguished from zero"):
        crossedmixedlm("y ~ 1 + (1 | g)", data).fit()
    data["y"] += 1e-9 * rng.normal(size=200)
    with pytest.warns(match="before the best variances") as caught:
        result = crossedmixedlm("y ~ 1 + (1 | g)", data.assign(y=data["y"])).fit(
            maxiter=15
        )
    assert len(caught) == 1
    assert not result.converged


def test_rounding_that_hides_what_is_left_is_told():
    """Two large crossed factors share the mean, of which subtraction leaves little."""
    rng = np.random.default_rng(1)
    a, b = np.repeat(np.arange(12), 10), np.tile(np.arange(10), 12)
    y = 1e6 * (rng.normal(size=12)[a] + rng.normal(size=10)[b]) + rng.normal(size=120)
    data = pd.DataFrame({"y": y, "a": a, "b": b})
    with pytest.warns(ConvergenceWarning):
        result = crossedmixedlm("y ~ 1 + (1 | a) + (1 | b)", data).fit()
    assert not result.converged
    assert result.optimum.rounding > 1e-6
    results = result._results
    results.optimum = replace(results.optimum, promised=1e-9)
    with pytest.warns(ConvergenceWarning, match="rounding moves -2 log-likelihood"):
        warn_after_fit(results)
    results.optimum = replace(results.optimum, promised=1.0)
    with pytest.warns(ConvergenceWarning, match="promises a gain of 1 in"):
        warn_after_fit(results)
