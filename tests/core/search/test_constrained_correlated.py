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
    """The deviance with one of (theta, rho, gamma) held, by a general minimizer."""
    start = np.append(result.theta, result.residual_params)
    free = np.delete(np.arange(3), position)

    def deviance(values):
        values = np.insert(values, position, held)
        if not (values[0] >= 0.0 and -1.0 < values[1] < 1.0):
            return 1e9
        return -2.0 * result.model.loglike(values, reml=False)

    told = {"xatol": 1e-7, "fatol": 1e-9}
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
