"""Curves of balanced one-way data, whose criterion is known in closed form."""

import numpy as np
import pytest
from dense_twin import Design, design, products_of
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.search.constrained import ConstrainedSearch
from statsmodels_lmm.core.search.constraints import ResidualDeviation, StandardDeviation
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.search.profile_curve import profile_curve

LEVELS, ROWS = 9, 21


def balanced():
    """Products of the data, and the sums of squares between and within levels."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(LEVELS), ROWS)
    y = 0.3 * rng.standard_normal(LEVELS)[codes] + rng.standard_normal(len(codes))
    factor = type(design("one factor").terms[0])(
        codes, LEVELS, np.ones((len(codes), 1)), (1,)
    )
    means = np.bincount(codes, y) / ROWS
    between = ROWS * ((means - means.mean()) ** 2).sum()
    within = ((y - means[codes]) ** 2).sum()
    return products_of(Design(y, np.ones((len(y), 1)), (factor,))), between, within


def criterion(log_sigma, total, between, within):
    """
    Minus twice the restricted likelihood of the variances sigma^2 and
    total = sigma^2 + rows tau^2 of the levels' means.
    """
    few, many = LEVELS - 1, LEVELS * (ROWS - 1)
    scale = np.exp(2.0 * log_sigma)
    value = few * np.log(total) + between / total
    return value + many * np.log(scale) + within / scale


def curve_of(constraint):
    products, *sums = balanced()
    deviance, _ = minimize(Profiled(products, True), moment_start(products))
    start = deviance.factors, float(deviance.scale) ** -0.5
    estimate = constraint.estimate(deviance.coefficients, *start)
    value = float(deviance.value)
    search = ConstrainedSearch(Profiled(products, True))
    return profile_curve(search, constraint, estimate, start, value), sums


def check(curve, profiled):
    """Heights, slopes and crossings are those of the closed form."""
    reached = curve.extended(2.5, 0.5)
    lowest = profiled(curve.origin.at)
    for point in reached.points:
        rise = profiled(point.at) - lowest
        assert_allclose(point.height**2, rise, atol=1e-6)
        around = profiled(point.at + 1e-5) - profiled(point.at - 1e-5)
        assert_allclose(point.optimum.slope, around / 2e-5, atol=1e-3, rtol=1e-4)
    assert reached.evaluations >= len(reached.points)
    for side in (-1.0, 1.0):
        end = reached.crossing(side, 1.96)
        assert side * (end - curve.origin.at) > 0.0
        if end > 0.0 or isinstance(curve.constraint, ResidualDeviation):
            assert profiled(end) - lowest == pytest.approx(1.96**2, abs=1e-5)
    return reached


def test_residual_deviation():
    curve, (between, within) = curve_of(ResidualDeviation())

    def profiled(log_sigma):
        total = max(between / (LEVELS - 1), np.exp(2.0 * log_sigma))
        return criterion(log_sigma, total, between, within)

    reached = check(curve, profiled)
    assert len(reached.below) > 2 < len(reached.above)


def test_standard_deviation():
    """Down to zero, where the parameter ends."""
    constraint = StandardDeviation(0, slice(0, 1), np.array([1.0]))
    curve, (between, within) = curve_of(constraint)

    def profiled(deviation):
        low, high = -1.0, 1.0
        for _ in range(200):  # the criterion is unimodal in log sigma
            inner = low + (high - low) / 3.0, high - (high - low) / 3.0
            values = [
                criterion(s, np.exp(2 * s) + ROWS * deviation**2, between, within)
                for s in inner
            ]
            low, high = (low, inner[1]) if values[0] < values[1] else (inner[0], high)
        return min(values)

    reached = check(curve, profiled)
    assert reached.below[-1].at >= 0.0
    assert min(p.at for p in reached.points) == reached.points[0].at
