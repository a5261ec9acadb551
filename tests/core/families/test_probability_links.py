"""Both tails of every link of a probability, near and far out."""

import numpy as np
import pytest
from exact_families import derivatives, mp, tails, vectorized
from family_cases import PROBABILITY
from scipy import stats

from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.families.probability_links import FAR

ETA = np.array(
    [-800.0, -60.0, -8.0, 1.001 * FAR, 0.999 * FAR, -2.0, -0.7, 1e-8, 0.5, 3.0, 9.0]
)

every_link = pytest.mark.parametrize("link", PROBABILITY, ids=lambda link: link.name)


def inside(link):
    """Arguments at which no exponential is beyond its bound."""
    if link.name == "log":
        return np.append(ETA[ETA < 0.0], [-1e-3, -1e-9])
    if link.name == "identity":
        return np.array([1e-9, 0.1, 0.5, 0.999])
    if link.name in ("cloglog", "loglog"):
        eta = ETA[(np.abs(ETA) < 100.0) & (ETA < 6.0)]
        return -eta if link.name == "loglog" else eta
    return np.concatenate([ETA, -ETA])


def log_tail(link, which):
    """Minus the logarithm of a tail, by the smaller one."""

    def loss(eta):
        both = tails(link, eta)
        small = both[which] < both[1 - which]
        return -mp.log(both[which]) if small else -mp.log1p(-both[1 - which])

    return loss


@every_link
@pytest.mark.parametrize("which", [0, 1], ids=["success", "failure"])
def test_losses_and_slopes(link, which):
    """
    Relative errors of each derivative.

    Those of the probit are powers of eta that cancel in part.
    """
    eta = inside(link)
    loss = log_tail(link.name, which)
    exact = vectorized(lambda e: derivatives(loss, e, range(5)))(eta)
    found = np.array([link.losses(eta)[which], *link.loss_slopes(eta)[which]])
    for order, (one, other) in enumerate(zip(found, exact)):
        rtol = 1e-9 if link.name == "probit" and order > 2 else 2e-13
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-16)


@every_link
def test_mean_and_its_slopes(link):
    eta = inside(link)
    mean = lambda e: tails(link.name, e)[0]  # noqa: E731
    exact = vectorized(lambda e: derivatives(mean, e, range(5)))(eta)
    found = np.array([link.mean(eta), *link.slopes(eta)])
    for order, (one, other) in enumerate(zip(found, exact)):
        rtol = 1e-9 if link.name == "probit" and order > 2 else 2e-13
        np.testing.assert_allclose(one, other, rtol=rtol, atol=1e-15)
    np.testing.assert_allclose(link.mean_slope(eta), exact[1], rtol=2e-13, atol=1e-80)


@every_link
def test_link_inverts_the_mean(link):
    mu = np.array([1e-12, 0.01, 0.4, 0.93, 1.0 - 1e-9])
    np.testing.assert_allclose(link.mean(link.link(mu)), mu, rtol=1e-12)


def test_far_limits():
    """Where a mean rounds to 0 or 1, a loss grows as it should."""
    eta = np.array([-800.0, 800.0])
    by_name = {link.name: link.losses(eta) for link in PROBABILITY}
    np.testing.assert_allclose(by_name["logit"], [[800.0, 0.0], [0.0, 800.0]])
    tail = -stats.norm.logcdf(-800.0)
    np.testing.assert_allclose(by_name["probit"], [[tail, 0.0], [0.0, tail]])
    far = np.log(800.0 * np.pi)
    near = -np.log1p(-np.exp(-far))
    np.testing.assert_allclose(by_name["cauchy"], [[far, near], [near, far]], rtol=1e-6)
    assert by_name["cloglog"][0][0] == 800.0
    assert by_name["loglog"][1][1] == 800.0


def test_outside_the_range_of_a_probability():
    eta = np.array([-0.1, 0.0, 0.5, 1.0, 1.1])
    success, failure = Power(1.0).losses(eta)
    assert np.isinf(success).tolist() == [True, True, False, False, True]
    assert np.isinf(failure).tolist() == [True, False, False, True, True]
    success, failure = Log().losses(np.array([-0.1, 0.0, 0.1]))
    assert np.isinf(success).tolist() == [False, False, True]
    assert np.isinf(failure).tolist() == [False, True, True]
