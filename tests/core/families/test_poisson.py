import numpy as np
from exact_families import exact_slopes, mp, own_slopes, vectorized
from scipy import stats

from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.poisson import Poisson

ETA = np.array([-150.0, -9.0, -0.3, 1e-8, 2.0, 30.0, 150.0])


def test_slopes_to_sixty_digits():
    family, y = Poisson(Log()), np.array([[0.0], [1.0], [40.0]])
    np.testing.assert_allclose(
        own_slopes(family, y, 2.0, ETA),
        exact_slopes(family, y, 2.0, ETA),
        rtol=1e-12,
        atol=1e-12,
    )
    for power in (1.0, 0.5):
        family, eta = Poisson(Power(power)), np.array([1e-3, 0.4, 7.0, 90.0])
        exact = exact_slopes(family, y, 2.0, eta)
        np.testing.assert_allclose(
            own_slopes(family, y, 2.0, eta), exact, rtol=1e-12, atol=1e-11
        )


def test_counts_of_a_billion():
    y = np.array([1e9, 123_456_789.0, 5.0, 1.0])
    errors = np.array([3e-5, -1e-7, 1e-3, -2.0])
    eta = np.log(y) + errors
    exact = vectorized(lambda y, e: y * (mp.log(y) - e) - y + mp.exp(e))(y, eta)[0]
    half = Poisson(Log()).half_deviance(y, 1.0, eta)
    # a rounding error of eta alone moves the result by slope times error
    slope = np.abs((np.exp(eta) - y) * eta) * 4e-16
    np.testing.assert_array_less(np.abs(half - exact), slope + 1e-15)
    textbook = y * (np.log(y) - eta) - y + np.exp(eta)
    assert np.abs(half - exact).sum() < 1e-3 * np.abs(textbook - exact).sum()


def test_saturated_is_the_largest_probability():
    y = np.array([0.0, 1.0, 2.0, 8.0, 9.0, 500.0, 1e9])
    exact = vectorized(lambda y: y - (y * mp.log(y) if y else 0) + mp.loggamma(y + 1))
    found = Poisson(Log()).saturated(y, 1.0)
    np.testing.assert_allclose(found, exact(y)[0], rtol=1e-14)
    np.testing.assert_allclose(found[:5], -stats.poisson.logpmf(y[:5], y[:5]))


def test_far_limits():
    family, y = Poisson(Log()), np.array([0.0, 3.0, 3.0])
    half = family.half_deviance(y, 1.0, np.array([-800.0, -800.0, 800.0]))
    np.testing.assert_allclose(half[:2], [0.0, 3.0 * (np.log(3.0) + 799.0)], atol=1e-80)
    assert half[2] > 1e80


def test_weights_multiply():
    y, eta = np.array([2.0, 0.0]), np.array([0.3, -1.0])
    family = Poisson(Log())
    for one, three in zip(family.slopes(y, 1.0, eta), family.slopes(y, 3.0, eta)):
        np.testing.assert_allclose(three, 3.0 * one)
    np.testing.assert_allclose(family.saturated(y, 3.0), 3.0 * family.saturated(y, 1.0))


def test_no_mean_is_impossible():
    half = Poisson(Power(1.0)).half_deviance(
        np.ones(3), 1.0, np.array([-1.0, 0.0, 1.0])
    )
    assert half.tolist() == [np.inf, np.inf, 0.0] or half[1] > 1e200
    assert half[0] == np.inf


def test_problems():
    text, mask = Poisson(Log()).problem(np.array([1.0, -1.0]), 1.0)
    assert "negative" in text
    assert mask.tolist() == [False, True]
    text, mask = Poisson(Log()).problem(np.array([1.5, 1e9, np.inf]), 1.0)
    assert "missing or infinite" in text
    text, mask = Poisson(Log()).problem(np.array([1.5, 1e9]), 1.0)
    assert "whole numbers" in text
    assert mask.tolist() == [True, False]
