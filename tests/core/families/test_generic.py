"""A user's family and link, known by what they can do, against our own."""

import numpy as np
import pytest
import statsmodels.api as sm
from family_cases import CASES, case, named
from scipy import stats

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.generic import GenericFamily, UserLink, differenced
from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.core.families.probability_links import Probit

LINKS = {
    "logit": sm.families.links.Logit(),
    "probit": sm.families.links.Probit(),
    "cloglog": sm.families.links.CLogLog(),
    "loglog": sm.families.links.LogLog(),
    "cauchy": sm.families.links.Cauchy(),
    "log": sm.families.links.Log(),
    "identity": sm.families.links.Identity(),
    "sqrt": sm.families.links.Sqrt(),
    "inverse_power": sm.families.links.InversePower(),
    "inverse_squared": sm.families.links.InverseSquared(),
}


def generic(family):
    """The same family, through statsmodels' object."""
    link = LINKS[family.link_name]
    kind = getattr(sm.families, family.name)
    if family.name == "NegativeBinomial":
        given = kind(link, alpha=family.alpha, check_link=False)
        return GenericFamily(UserLink(link), given, False, True)
    given = kind(link, check_link=False)
    return GenericFamily(UserLink(link), given, family.has_extra, family.is_discrete)


def trials_are_one(c):
    """Statsmodels' likelihood of a proportion does not see its trials."""
    keep = c.a == 1.0 if c.family.name == "Binomial" else slice(None)
    return type(c)(c.family, c.y[keep], c.a[keep], c.mu[keep], c.extra)


KNOWN = [
    trials_are_one(c)
    for c in CASES
    if c.family.name != "NegativeBinomial" or c.family.alpha is not None
]


def close(found, expected, rtol):
    size = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * size)


@pytest.mark.parametrize("case", KNOWN, ids=named)
def test_generic_and_own_are_equal(case):
    """
    Closed forms of statsmodels to rounding, differences to their error.

    The complementary log-log of statsmodels has a second derivative by way of the mean.
    """
    family, other, extra = case.family, generic(case.family), case.extra
    y, a, eta = case.rows
    for name in ("half_deviance", "saturated"):
        args = (y, a, eta, extra) if name == "half_deviance" else (y, a, extra)
        close(getattr(other, name)(*args), getattr(family, name)(*args), 1e-9)
    pairs = zip(other.slopes(y, a, eta, extra), family.slopes(y, a, eta, extra))
    for order, (one, own) in enumerate(pairs):
        close(one, own, (1e-10, 1e-10, 2e-7, 1e-5)[order])
    pairs = zip(other.expected(y, a, eta, extra), family.expected(y, a, eta, extra))
    for one, own in list(pairs)[: 2 + family.has_extra]:
        close(one, own, 1e-10)
    if family.has_extra:
        own = family.extra_slopes(y, a, eta, extra)
        for one, two in zip(other.extra_slopes(y, a, eta, extra), own):
            close(one, two, 1e-7)
    mu = case.mu
    close(other.variance(mu, a, extra), family.variance(mu, a, extra), 1e-13)
    close(other.unit_deviance(y, mu), family.unit_deviance(y, mu, extra), 1e-12)
    assert other.dispersion(extra) == family.dispersion(extra)
    assert np.isfinite(other.link(other.starting_mean(y, a)))


@pytest.mark.parametrize("case", KNOWN, ids=named)
def test_constants_are_those_of_statsmodels(case):
    family, given = case.family, generic(case.family).given
    y, a, eta = case.rows
    expected = -given.loglike_obs(
        y, case.mu, var_weights=a, scale=family.dispersion(case.extra)
    )
    np.testing.assert_allclose(case.loss(eta, case.extra), expected, rtol=1e-9)


class WithoutDerivative:
    """V(mu) = mu^2."""

    def __call__(self, mu):
        return mu**2


class Exponential(sm.families.Family):
    """Exponential waiting times; the likelihood has no scale."""

    valid = (0.0, np.inf)
    links = (sm.families.links.Log,)

    def __init__(self):
        super().__init__(sm.families.links.Log(), WithoutDerivative())

    def loglike_obs(self, endog, mu, var_weights=1.0, scale=1.0):
        return -var_weights * (np.log(mu) + endog / mu)

    def _resid_dev(self, endog, mu):
        return 2.0 * (endog / mu - np.log(endog / mu) - 1.0)

    def get_distribution(self, mu, scale=1.0, var_weights=1.0):
        return stats.expon(scale=mu)


def test_a_family_of_a_user():
    """It is the gamma family with phi = 1."""
    own = case(Gamma(Log()))
    family = GenericFamily(Log(), Exponential(), has_extra=False)
    y, eta, mu = own.y, own.eta, own.mu
    assert family.name == "Exponential"
    assert family.link_name == "log"
    close(
        family.half_deviance(y, 1.0, eta),
        own.family.half_deviance(y, 1.0, eta, 0.0),
        1e-12,
    )
    close(family.saturated(y, 1.0), own.family.saturated(y, 1.0, 0.0), 1e-12)
    expected = own.family.slopes(y, 1.0, eta, 0.0)
    found = family.slopes(y, 1.0, eta)
    for one, other, error in zip(found, expected, (1e-9, 1e-9, 1e-9, 1e-4)):
        close(one, other, error)
    close(family.cdf(y, mu, 1.0), own.family.cdf(y, mu, 1.0, 0.0), 1e-12)
    batch = family.draw(np.random.default_rng(2), np.full((2, 4000), 3.0), 1.0)
    rng = np.random.default_rng(2)
    singles = [family.draw(rng, np.full(4000, 3.0), 1.0) for _ in range(2)]
    np.testing.assert_array_equal(batch, singles)
    assert abs(batch.mean() - 3.0) < 4.0 * 3.0 / np.sqrt(8000)
    text, mask = family.problem(np.array([-1.0, 2.0]), 1.0)
    assert "outside 0 and inf" in text
    assert mask.tolist() == [True, False]


def test_a_family_that_cannot_be_simulated():
    class Silent(Exponential):
        get_distribution = property()

    family = GenericFamily(Log(), Silent(), has_extra=False)
    with pytest.raises(NotImplementedError, match="no get_distribution"):
        family.draw(np.random.default_rng(1), np.ones(3), 1.0)


def test_a_link_of_a_user():
    """Statsmodels differentiates the density of a distribution numerically."""
    given = sm.families.links.CDFLink(stats.norm)
    eta = np.linspace(-2.0, 2.0, 9)
    y = np.tile([0.0, 1.0, 1.0], 3)
    user, own = Binomial(UserLink(given)), Binomial(Probit())
    assert user.link_name == "cdflink"
    close(user.half_deviance(y, 1.0, eta), own.half_deviance(y, 1.0, eta), 1e-13)
    pairs = zip(user.slopes(y, 1.0, eta), own.slopes(y, 1.0, eta))
    for (one, other), rtol in zip(pairs, (1e-13, 1e-8, 1e-6)):
        close(one, other, rtol)
    np.testing.assert_allclose(user.link(user.mean(eta)), eta, rtol=1e-12, atol=1e-14)


def test_differences():
    x = np.array([[-3.0, 0.0], [0.02, 5.0]])
    first, second = differenced(np.sin, x)
    np.testing.assert_allclose(first, np.cos(x), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(second[0], -np.sin(x[0]), rtol=1e-6, atol=1e-9)
