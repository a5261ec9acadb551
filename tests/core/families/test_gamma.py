import numpy as np
import pytest
from exact_families import (
    derivatives,
    exact_slopes,
    gamma,
    own_slopes,
    vectorized,
)
from scipy import stats

from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.links import Log, Power

Y = np.array([[1e-6], [2.0], [900.0]])


def test_slopes_to_sixty_digits():
    for link, eta in (
        (Log(), np.array([-90.0, -2.0, 1e-9, 3.0, 80.0])),
        (Power(-1.0), np.array([1e-4, 0.3, 9.0])),
        (Power(1.0), np.array([1e-4, 0.3, 9.0])),
    ):
        family = Gamma(link)
        exact = exact_slopes(family, Y, 2.0, eta, 0.3)
        own = own_slopes(family, Y, 2.0, eta, 0.3)
        np.testing.assert_allclose(own, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("log_phi", [-20.0, -2.0, 0.0, 4.0, 12.0])
def test_dispersion_slopes_to_sixty_digits(log_phi):
    eta = np.log(Y.ravel()) + np.array([0.1, -0.2, 1e-4])

    @vectorized
    def exact(y, eta):
        loss = lambda x: gamma("log", y, 2, eta, x)  # noqa: E731
        return derivatives(loss, log_phi, (1, 2))

    found = Gamma(Log()).extra_slopes(Y.ravel(), 2.0, eta, log_phi)
    one, two = exact(Y.ravel(), eta)
    np.testing.assert_allclose(found.loss, one, rtol=1e-10)
    np.testing.assert_allclose(found.curvature, two, rtol=1e-10)


def test_density():
    y, mu, a, phi = np.array([0.2, 3.0]), np.array([1.0, 2.0]), 3.0, 0.6
    family = Gamma(Log())
    c = family.half_deviance(y, a, np.log(mu), np.log(phi))
    c += family.saturated(y, a, np.log(phi))
    shape = a / phi
    np.testing.assert_allclose(c, -stats.gamma.logpdf(y, shape, scale=mu / shape))
    assert family.unit_deviance(5.0, 5.0) == 0.0


def test_a_negative_mean_is_impossible():
    half = Gamma(Power(-1.0)).half_deviance(np.ones(2), 1.0, np.array([-1.0, 1.0]), 0.0)
    assert half.tolist() == [np.inf, 0.0]


def test_problems():
    text, mask = Gamma(Log()).problem(np.array([1.0, 0.0]), 1.0)
    assert "not positive" in text
    assert mask.tolist() == [False, True]
