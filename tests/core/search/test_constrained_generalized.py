"""The deviance of generalized models with one parameter held, against differences."""

import functools

import numpy as np
import pytest
from generalized_samples import fitted, model
from numpy.testing import assert_allclose

from statsmodels_lmm.core.search.constrained_generalized import GeneralizedSearch
from statsmodels_lmm.core.search.constraints import (
    Correlation,
    ExtraParameter,
    FixedEffect,
    StandardDeviation,
)

STEP = 1e-3
"""Change of a parameter, in its spread."""


def unit(*entries):
    return np.array(entries) / np.linalg.norm(entries)


@functools.cache
def optimum(name):
    """The criterion at its optimum; "quadrature" has two effects and three nodes."""
    if name == "quadrature":
        return model("gamma").fit(3)._results.at_optimum
    return fitted(name)._results.at_optimum


def constraint_of(name, kind):
    """A parameter of the first factor, oblique directions included."""
    best = optimum(name)
    block = best.factors[0].slices[0]
    if kind == "fixed":
        return FixedEffect(unit(1.0, *np.full(len(best.coefficients) - 1, 2.0)))
    if kind == "sd":
        return StandardDeviation(0, block, unit(*np.arange(1.0, block.stop + 1.0)))
    if kind == "correlation":
        return Correlation(0, block, *np.eye(2))
    return ExtraParameter(best.model.family.extra_is_squared)


CASES = [
    ("binomial", "fixed"),
    ("rows", "sd"),
    ("gamma", "sd"),
    ("gamma", "correlation"),
    ("log gamma", "extra"),
    ("negativebinomial", "extra"),
    ("quadrature", "correlation"),
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_value_slope_and_spread(name, kind):
    best, constraint = optimum(name), constraint_of(name, kind)
    search = GeneralizedSearch(best.criterion)
    state = best.coefficients, best.factors, 1.0, best.extra
    estimate, start = constraint.estimate(*state), search.start(best)

    def held(at, start=start):
        return search.minimum(constraint, at, start, 1e-11)

    same = held(estimate)
    spread = search.spread(constraint, same)
    if name != "quadrature":  # which depends on the coordinates
        assert_allclose(same.value, best.value, atol=1e-9)
        assert_allclose(same.slope * spread, 0.0, atol=1e-4)
        change = held(estimate + STEP * spread).slope
        change -= held(estimate - STEP * spread).slope
        assert_allclose(change, 4.0 * STEP / spread, rtol=1e-3)
    at = estimate + spread
    found = held(at)
    light = found.deviance
    assert light.elimination is light.slopes is light.inner.eta is None
    assert light.place.before is light.place.secant is None
    moved = light.coefficients, light.factors, 1.0, light.extra
    assert_allclose(constraint.estimate(*moved), at, rtol=1e-9)
    above, below = (held(at + s * spread, found.start) for s in (STEP, -STEP))
    difference = (above.value - below.value) / (2.0 * STEP * spread)
    assert found.slope > 0.0
    assert_allclose(found.slope, difference, rtol=1e-5)
    assert found.evaluations < 12
