import mpmath
import numpy as np
import pytest
from exact_families import (
    derivatives,
    exact_slopes,
    mp,
    mpf,
    negative_binomial,
    own_slopes,
    vectorized,
)
from scipy import stats

from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson

FAMILY = NegativeBinomial(Log())
Y = np.array([[0.0], [1.0], [40.0], [1e9]])


@pytest.mark.parametrize("alpha", [1e-8, 0.09, 0.1296, 900.0])
def test_slopes_to_sixty_digits(alpha):
    eta = np.array([-90.0, -3.0, 1e-8, 2.0, 20.0, 90.0])
    exact = exact_slopes(FAMILY, Y, 2.0, eta, alpha)
    own = own_slopes(FAMILY, Y, 2.0, eta, alpha)
    np.testing.assert_allclose(own, exact, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("alpha", [1e-12, 0.0025, 0.1296, 900.0])
def test_alpha_slopes_to_sixty_digits(alpha):
    """Also where y and mu are close, or alpha y is large."""
    y = np.repeat(Y.ravel(), 3)
    eta = np.log(np.maximum(y, 0.5)) + np.tile([-3.0, -1e-4, 2.0], 4)

    @vectorized
    def exact(y, eta):
        def loss(eta, alpha):
            return negative_binomial("log", y, 1, eta, alpha)

        def in_eta(alpha, order):
            part = lambda e: (y + 1 / alpha) * mp.log1p(alpha * mp.exp(e)) - y * e  # noqa: E731
            return mpmath.diff(part, eta, order, h=mpf(10) ** -14)

        at = mpf(alpha)
        one, two = derivatives(lambda x: loss(eta, x), at, (1, 2))
        (first,) = derivatives(lambda x: in_eta(x, 1), at, (1,))
        (second,) = derivatives(lambda x: in_eta(x, 2), at, (1,))
        return one, first, second, two

    with mp.workdps(100):
        expected = exact(y, eta)
    for found, other in zip(FAMILY.extra_slopes(y, 1.0, eta, alpha), expected):
        np.testing.assert_allclose(found, other, rtol=1e-10)


@pytest.mark.parametrize("given", [1e-8, 0.0025, 0.25, 100.0])
def test_counts_of_a_billion(given):
    """Relative digits of a half deviance that is a small rest of large terms."""
    y = np.array([1e9, 123_456_789.0, 5.0])
    alpha = mpf(given)

    @vectorized
    def exact(y, eta):
        own = negative_binomial("log", y, 1, mp.log(y), alpha)
        return negative_binomial("log", y, 1, eta, alpha) - own, own

    eta = np.log(y) + np.array([3e-5, -0.7, 1e-4])
    half, own = exact(y, eta)
    found = FAMILY.half_deviance(y, 1.0, eta, given)
    np.testing.assert_allclose(found, half, rtol=1e-10)
    np.testing.assert_allclose(FAMILY.saturated(y, 1.0, given), own, rtol=1e-14)


def rows():
    y = np.array([0.0, 1.0, 7.0, 300.0, 1e6])
    return y, np.full(5, 2.0), np.log(y + 0.5) + np.array([0.0, -1.0, 0.2, 0.03, 1e-3])


@pytest.mark.parametrize("link", [Log(), Power(0.5), Power(1.0)], ids=lambda x: x.name)
def test_alpha_zero_is_poisson(link):
    y, a, eta = rows()
    eta = link.link(np.exp(eta))
    family, poisson = NegativeBinomial(link), Poisson(link)
    found, expected = (
        family.half_deviance(y, a, eta, 0.0),
        poisson.half_deviance(y, a, eta),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        family.saturated(y, a, 0.0), poisson.saturated(y, a), rtol=1e-14
    )
    for method in ("slopes", "expected"):
        found = getattr(family, method)(y, a, eta, 0.0)
        # Expected.extra is a derivative in alpha, which a Poisson family has not
        count = 4 if method == "slopes" else 2
        for one, other in zip(found[:count], getattr(poisson, method)(y, a, eta)):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    mu = family.mean(eta)
    np.testing.assert_allclose(family.cdf(y, mu, a, 0.0), poisson.cdf(y, mu, a))
    one, other = (
        f.draw(np.random.default_rng(3), mu, a, 0.0) for f in (family, poisson)
    )
    np.testing.assert_array_equal(one, other)


def test_the_poisson_limit_is_smooth():
    """The slope in alpha at zero is that of the score test (Dean 1992)."""
    y, a, eta = rows()
    mu = np.exp(eta)
    score = -0.5 * a * ((y - mu) ** 2 - y)
    at_zero = FAMILY.extra_slopes(y, a, eta, 0.0)
    np.testing.assert_allclose(at_zero.loss, score, rtol=1e-12)
    alpha = 1e-18
    near = FAMILY.extra_slopes(y, a, eta, alpha)
    for one, other in zip(near, at_zero):
        np.testing.assert_allclose(one, other, rtol=1e-9)
    total = [
        FAMILY.half_deviance(y, a, eta, x) + FAMILY.saturated(y, a, x)
        for x in (alpha, 0.0)
    ]
    np.testing.assert_allclose(*total, rtol=1e-12)


def test_a_known_alpha():
    """It needs no extra parameter, and ignores one."""
    y, a, eta = rows()
    known, free = NegativeBinomial(Log(), 0.25), FAMILY
    assert not known.has_extra
    assert free.has_extra
    for extra in (None, 3.0):
        np.testing.assert_array_equal(
            known.half_deviance(y, a, eta, extra), free.half_deviance(y, a, eta, 0.25)
        )
    np.testing.assert_array_equal(known.variance(2.0, 1.0), [3.0])


def test_probabilities():
    y, mu = np.array([0.0, 3.0, 50.0]), np.array([0.5, 2.0, 80.0])
    for alpha in (0.04, 2.25):
        law = stats.nbinom(1.0 / alpha, 1.0 / (1.0 + alpha * mu))
        c = FAMILY.half_deviance(y, 1.0, np.log(mu), alpha)
        c += FAMILY.saturated(y, 1.0, alpha)
        np.testing.assert_allclose(c, -law.logpmf(y), rtol=1e-10)
        found = FAMILY.cdf(y, mu, 1.0, alpha)
        np.testing.assert_allclose(found, law.cdf(y), rtol=1e-9)
    np.testing.assert_allclose(
        FAMILY.cdf(y, mu, 1.0, 1e-14), stats.poisson.cdf(y, mu), rtol=1e-9
    )
    assert FAMILY.cdf(-1.0, 2.0, 1.0, 0.5).tolist() == [0.0]


def test_a_search_starts_off_the_stationary_point():
    """Underdispersed counts have a negative moment estimate."""
    y = np.full(50, 3.0)
    start = FAMILY.starting_extra(y, 1.0, np.log(y))
    np.testing.assert_allclose(start, np.sqrt(2.0 / (50 * 9.0)))
