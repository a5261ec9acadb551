import numpy as np
import pytest
from exact_families import exact_slopes, mp, own_slopes, tails, vectorized
from family_cases import PROBABILITY
from scipy import stats

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.core.families.probability_links import CLogLog, Logit, Probit


@pytest.mark.parametrize("link", PROBABILITY, ids=lambda link: link.name)
def test_slopes_to_sixty_digits(link):
    family = Binomial(link)
    y, a = np.array([0.0, 1.0, 0.4])[:, None], np.array([1.0, 1.0, 5.0])[:, None]
    eta = link.link(np.array([1e-9, 0.02, 0.5000001, 0.93]))
    exact, own = exact_slopes(family, y, a, eta), own_slopes(family, y, a, eta)
    for one, other in zip(own, exact):
        np.testing.assert_allclose(one, other, rtol=5e-9, atol=1e-14)


@pytest.mark.parametrize("link", [Logit(), Probit(), CLogLog()], ids=lambda x: x.name)
def test_a_billion_trials(link):
    """Every half deviance keeps its digits, and is exact where it vanishes."""
    family, n = Binomial(link), 1e9
    y = np.array([3.0, 2e5, 4e8, n - 7e3]) / n
    errors = np.array([-1e-2, -3e-5, 1e-7, 2e-4])

    @vectorized
    def exact(y, eta):
        p, q = tails(link.name, eta)
        return n * (y * mp.log(y / p) + (1 - y) * mp.log((1 - y) / q))

    eta = link.link(y) + errors
    half = family.half_deviance(y, n, eta)
    # a rounding error of eta alone moves the result by slope times error
    slope = np.abs(family.slopes(y, n, eta).first * eta) * 4e-16
    np.testing.assert_array_less(np.abs(half - exact(y, eta)[0]), slope + 1e-15)


def test_saturated_is_the_largest_probability():
    for n in (1.0, 2.0, 7.0, 60.0):
        k = np.arange(n + 1.0)
        exact = -stats.binom.logpmf(k, n, k / n)
        found = Binomial(Logit()).saturated(k / n, n)
        np.testing.assert_allclose(found, exact, rtol=1e-12, atol=1e-14)


def test_success_and_failure_can_be_exchanged():
    y, a = np.array([0.0, 1.0, 0.25]), np.array([1.0, 1.0, 4.0])
    eta = np.array([-30.0, 0.2, 41.0])
    for link in (Logit(), Probit()):
        one = Binomial(link).slopes(y, a, eta)
        other = Binomial(link).slopes(1.0 - y, a, -eta)
        for j in range(3):
            np.testing.assert_allclose(one[j], (-1.0) ** (j + 1) * other[j], rtol=1e-14)


def test_trials_add_up():
    """A proportion has the slopes of its zeros and ones."""
    zeros_and_ones = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
    for link in PROBABILITY:
        family, eta = Binomial(link), link.link(np.array([0.3]))
        together = family.slopes(np.array([0.4]), np.array([5.0]), eta)
        apart = family.slopes(zeros_and_ones, np.ones(5), np.repeat(eta, 5))
        for one, other in zip(together, apart):
            np.testing.assert_allclose(one, other.sum(), rtol=1e-12)


def test_only_the_logit_is_canonical():
    assert [link.name for link in PROBABILITY if Binomial(link).is_canonical] == [
        "logit"
    ]
    assert not Binomial(Log()).has_extra
    assert Binomial(Log()).dispersion(None) == 1.0


def test_problems():
    family, ones = Binomial(Logit()), np.ones(3)
    assert family.problem(np.array([0.0, 1.0, 1.0]), ones) is None
    assert (
        family.problem(np.array([0.1, 0.7, 1 / 3]), np.array([10.0, 10.0, 3.0])) is None
    )
    for y, a, words, rows in (
        ([0.0, 2.0, -1.0], 1.0, "outside 0 and 1", [1, 2]),
        ([0.5, 1.0, 0.0], 1.0, "whole number of successes", [0]),
        ([0.5, np.nan, 0.0], 2.0, "missing", [1]),
    ):
        text, mask = family.problem(np.array(y), a * ones)
        assert words in text
        assert np.flatnonzero(mask).tolist() == rows
