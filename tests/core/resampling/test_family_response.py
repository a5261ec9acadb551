"""Responses of a generalized model, against the moments of its distribution."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.gaussian import Gaussian as Normal
from statsmodels_lmm.core.families.inverse_gaussian import InverseGaussian
from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import Logit
from statsmodels_lmm.core.resampling.draws import (
    FamilyResponse,
    Gaussian,
    Held,
    RandomPart,
)
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects

DRAWS, SD = 2_000, 0.6
FIXED = np.array([0.2, -0.5, 0.4, 0.7, -0.3, 0.1])
WEIGHTS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
LEVELS = GroupedEffects(np.arange(6) % 3, 3, np.ones((6, 1)), (1,))

VARIANCES = {
    "poisson": (Poisson(Log()), None, lambda m, v: m),
    "negative binomial": (NegativeBinomial(Log()), 0.4, lambda m, v: m + 0.4 * v),
    "gamma": (Gamma(Log()), np.log(0.3), lambda m, v: 0.3 * v / WEIGHTS),
    "inverse gaussian": (
        InverseGaussian(Log()),
        np.log(0.3),
        lambda m, v: 0.3 * m**3 * np.exp(3 * SD**2) / WEIGHTS,
    ),
    "normal": (Normal(Log()), np.log(0.3), lambda m, v: 0.3 / WEIGHTS),
}
"""Mean variance at means of moments m and v, with exp(2 eta) of expectation v."""


def streams(count=DRAWS, seed=3):
    return [np.random.default_rng((seed, i)) for i in range(count)]


def drawn(family, extra, count=DRAWS, sd=SD):
    effects = Gaussian(3, np.array([[sd]]))
    part = RandomPart((LEVELS,), (effects,))
    return FamilyResponse(part, FIXED, family, WEIGHTS, extra).draw(streams(count))


def check(draws, mean, variance, covariance):
    """Moments within five of their standard errors, those of the sample."""
    error = np.sqrt(variance / len(draws))
    assert (np.abs(draws.mean(axis=0) - mean) < 5.0 * error).all()
    squares = (draws - mean) ** 2
    error = squares.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(squares.mean(axis=0) - variance) < 5.0 * error).all()
    # rows of one level share their effect
    products = (draws - mean) * np.roll(draws - mean, 3, axis=1)
    error = products.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(products.mean(axis=0) - covariance) < 5.0 * error).all()


@pytest.mark.parametrize("name", VARIANCES)
def test_moments_with_a_log_link(name):
    """E exp(eta) and E exp(2 eta) are those of lognormal means."""
    family, extra, within = VARIANCES[name]
    mean = np.exp(FIXED + 0.5 * SD**2)
    square = mean**2 * np.exp(SD**2)
    shared = mean * np.roll(mean, 3) * np.expm1(SD**2)
    variance = within(mean, square) + square - mean**2
    check(drawn(family, extra), mean, variance, shared)


def test_moments_of_proportions():
    nodes, mass = np.polynomial.hermite_e.hermegauss(40)
    p = 1.0 / (1.0 + np.exp(-FIXED[:, None] - SD * nodes))
    mass = mass / mass.sum()
    mean = p @ mass
    variance = (p * (1.0 - p) / WEIGHTS[:, None] + p**2) @ mass - mean**2
    covariance = (p * np.roll(p, 3, axis=0)) @ mass - mean * np.roll(mean, 3)
    draws = drawn(Binomial(Logit()), None)
    check(draws, mean, variance, covariance)
    assert_allclose(draws * WEIGHTS, np.round(draws * WEIGHTS), atol=1e-9)


def test_effects_that_are_held():
    modes = np.array([[0.5], [-1.0], [0.2]])
    part = RandomPart((LEVELS,), (Held(modes),))
    response = FamilyResponse(part, FIXED, Poisson(Log()), WEIGHTS)
    mean = np.exp(FIXED + modes[LEVELS.codes, 0])
    draws = response.draw(streams(2_000))
    gap = np.abs(draws.mean(axis=0) - mean)
    assert (gap < 5.0 * np.sqrt(mean / 2_000)).all()


def test_a_response_depends_on_its_own_generator():
    family = NegativeBinomial(Log())
    together = drawn(family, 0.4, 5)
    part = RandomPart((LEVELS,), (Gaussian(3, np.array([[SD]])),))
    response = FamilyResponse(part, FIXED, family, WEIGHTS, 0.4)
    apart = np.vstack([response.draw([g]) for g in streams(5)])
    assert_array_equal(together, apart)
    assert len(np.unique(together, axis=0)) == 5


def test_a_predictor_without_a_distribution():
    """An identity link allows negative means; then the whole response is NaN."""
    draws = drawn(Poisson(Power(1.0)), None, 40, sd=0.3)
    lost = np.isnan(draws)
    assert (lost.all(axis=1) == lost.any(axis=1)).all()
    assert lost.all()  # the second row has a mean of -0.5
    response = FamilyResponse(RandomPart((), ()), np.exp(FIXED), Poisson(Power(1.0)), 1)
    assert np.isfinite(response.draw(streams(3))).all()
