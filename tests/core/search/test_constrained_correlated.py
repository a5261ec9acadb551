"""Profiles with correlated errors, against a general minimizer."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from scipy.optimize import minimize

from statsmodels_lmm import datasets
from statsmodels_lmm.core.search.constrained_correlated import (
    CorrelatedSearch,
    ErrorCoordinate,
    ErrorParameter,
)
from statsmodels_lmm.formula.api import crossedmixedlm


@pytest.fixture(scope="module")
def result():
    data = datasets.sleepstudy.load_pandas().data
    model = crossedmixedlm(
        "Reaction ~ Days + (1 | Subject)",
        data,
        residual="ar1(Days | Subject)",
        dispersion="~ Days",
    )
    return model.fit(reml=False)


@pytest.fixture(scope="module")
def limits(result):
    return result.profile(which=["ar1 rho", "log sd Days", "Days", "sigma"]).conf_int()


def lowest(result, held, position):
    """The deviance with a theta or a parameter of the errors held, by Nelder-Mead."""
    start = np.append(result.theta, result.residual_params)
    free = np.delete(np.arange(len(start)), position)

    def deviance(values):
        values = np.insert(values, position, held)
        if (values[: len(result.theta)] < 0.0).any():
            return 1e9
        try:
            found = -2.0 * result.model.loglike(values, reml=False)
        except (ValueError, np.linalg.LinAlgError):
            return 1e9
        return found if np.isfinite(found) else 1e9

    told = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000, "maxfev": 4000}
    return minimize(deviance, start[free], method="Nelder-Mead", options=told).fun


@pytest.mark.parametrize(("name", "position"), [("ar1 rho", 1), ("log sd Days", 2)])
def test_limits_are_where_the_deviance_has_risen(result, limits, name, position):
    rise = stats.chi2.isf(0.05, 1)
    for limit in limits.loc[name]:
        height = lowest(result, limit, position) + 2.0 * result.llf
        assert_allclose(height, rise, atol=2e-5)


def test_a_fixed_effect(result, limits):
    # an offset holds the effect: the rise of the deviance is that of a refit
    data = datasets.sleepstudy.load_pandas().data
    for limit in limits.loc["Days"]:
        held = crossedmixedlm(
            "Reaction ~ 1 + (1 | Subject)",
            data,
            offset=limit * data["Days"],
            residual="ar1(Days | Subject)",
            dispersion="~ Days",
        ).fit(reml=False)
        rise = 2.0 * (result.llf - held.llf)
        assert_allclose(rise, stats.chi2.isf(0.05, 1), atol=2e-5)


def test_sigma_is_inside_its_interval(result, limits):
    lower, upper = limits.loc["sigma"]
    assert lower < np.sqrt(result.scale) < upper


def test_a_search_moves_onto_the_constraint_and_ahead_along_it(result):
    search = CorrelatedSearch(result.model._criterion(False))
    held, x = ErrorCoordinate(0), result.at_optimum.whitening.x[0]
    first = search.minimum(held, x + 0.2, search.start(result.at_optimum))
    assert_allclose(first.deviance.whitening.x[0], x + 0.2, rtol=1e-12)
    second = search.minimum(held, x + 0.21, first.start)

    def place(start):
        return np.append(start[2], start[0][0].matrix.item())

    ahead = place(search.ahead(first, x + 0.21))
    before, after = place(first.start), place(second.start)
    assert_allclose(ahead[0], after[0], rtol=1e-12)
    assert (abs(ahead - after)[1:] < 0.2 * abs(before - after)[1:]).all()


# parameters that depend on several coordinates ----------------------------------------

CURVED = {
    "us (8, 12)": "us(age | Subject)",
    "us (10, 12)": "us(age | Subject)",
    "toep lag 2": "toep(age | Subject)",
    "arma(2, 0) ar.1": "arma(visit | Subject, p=2)",
}


@pytest.fixture(scope="module")
def growth():
    data = datasets.orthodont.load_pandas().data
    data["visit"] = (data["age"] - 8) // 2
    return data


@pytest.mark.parametrize("name", CURVED)
def test_limits_of_parameters_of_several_coordinates(growth, name):
    data = growth[growth["age"] < 14] if name != "arma(2, 0) ar.1" else growth
    formula = "distance ~ Sex" + " + (1 | Subject)" * ("arma" in name)
    model = crossedmixedlm(formula, data, residual=CURVED[name])
    fitted = model.fit(reml=False)
    names = list(fitted.residual_table().index)
    position = len(fitted.theta) + names.index(name)
    profile = fitted.profile(which=[name])
    assert sum(p.curve.evaluations for p in profile.parameters) < 120
    limits = profile.conf_int().loc[name]
    estimate = fitted.residual_params[names.index(name)]
    assert limits["lower"] < estimate < limits["upper"]
    for limit in limits:
        height = lowest(fitted, limit, position) + 2.0 * fitted.llf
        assert_allclose(height, stats.chi2.isf(0.05, 1), atol=2e-5)


def test_a_surface_its_normal_and_its_curvature(growth):
    fitted = crossedmixedlm("distance ~ Sex", growth, residual="us(age | Subject)")
    model = fitted.residual.without_data().model
    held = ErrorParameter(model, 1, (-1.0, 1.0))
    x = np.array([0.7, 0.4, -0.3, 0.9, 0.2, 0.1, 0.0, 0.3, -0.2])
    step = 1e-5 * np.eye(len(x))
    slopes = [(held.value(x + e) - held.value(x - e)) / 2e-5 for e in step]
    assert_allclose(held.gradient(x), slopes, atol=1e-9)
    moves, along, bend = held.directions(x)
    assert_allclose(moves.T @ moves, np.eye(8), atol=1e-12)
    assert_allclose(
        np.array(slopes) @ np.column_stack([moves, along]), [0] * 8 + [1.0], atol=1e-9
    )
    turns = [(held.gradient(x + e) - held.gradient(x - e)) / 2e-5 for e in step]
    assert_allclose(bend, turns, atol=1e-6)
    there = held.placed(x, 1.2)
    assert_allclose(model.unfold(there)[0][1], np.tanh(1.2), rtol=1e-11)
    assert_allclose(held.parameter(held.value(x)), model.unfold(x)[0][1], rtol=1e-12)


def test_a_correlation_that_other_parameters_forbid(growth):
    model = crossedmixedlm("distance ~ Sex", growth, residual=CURVED["toep lag 2"])
    small = model.residual.without_data().model
    held = ErrorParameter(small, 1, (-3.0, 3.0))
    with pytest.raises(np.linalg.LinAlgError, match="no errors have"):
        held.placed(small.start(), held.of_parameter(1.5))


def test_an_interval_ends_with_the_range_of_the_parameter(growth):
    # as ar.1 goes to 1 the series becomes a random intercept and noise
    model = crossedmixedlm(
        "distance ~ Sex * age", growth, residual="arma(visit | Subject, p=1, q=1)"
    )
    fitted = model.fit(reml=False)
    limits = fitted.profile(which="arma(1, 1) ar.1").conf_int()
    assert_allclose(limits["upper"], 1.0, rtol=1e-9)
    wald = fitted.variance_parameters(alpha=0.05).loc["arma(1, 1) ar.1"]
    assert wald["upper"] < 1.0
    intercepts = crossedmixedlm("distance ~ Sex * age + (1 | Subject)", growth)
    rise = 2.0 * (fitted.llf - intercepts.fit(reml=False).llf)
    assert rise < stats.chi2.isf(0.05, 1)
