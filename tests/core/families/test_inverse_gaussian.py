import numpy as np
from exact_families import exact_slopes, own_slopes
from scipy import stats

from statsmodels_lmm.core.families.inverse_gaussian import InverseGaussian
from statsmodels_lmm.core.families.links import Log, Power

Y = np.array([[1e-6], [2.0], [900.0]])


def test_slopes_to_sixty_digits():
    for link, eta in (
        (Log(), np.array([-90.0, -2.0, 1e-9, 3.0, 80.0])),
        (Power(-2.0), np.array([1e-4, 0.3, 9.0])),
        (Power(-1.0), np.array([1e-4, 0.3, 9.0])),
        (Power(1.0), np.array([1e-2, 0.3, 9.0])),
    ):
        family = InverseGaussian(link)
        exact = exact_slopes(family, Y, 2.0, eta, 0.3)
        own = own_slopes(family, Y, 2.0, eta, 0.3)
        np.testing.assert_allclose(own, exact, rtol=1e-12, atol=1e-9)


def test_density_and_distribution():
    y, mu, a, phi = np.array([0.2, 3.0]), np.array([1.0, 2.0]), 3.0, 0.6
    family, extra = InverseGaussian(Log()), np.log(0.6)
    c = family.half_deviance(y, a, np.log(mu), extra) + family.saturated(y, a, extra)
    law = stats.invgauss(mu * phi / a, scale=a / phi)
    np.testing.assert_allclose(c, -law.logpdf(y))
    np.testing.assert_allclose(family.cdf(y, mu, a, extra), law.cdf(y))
    assert family.cdf(np.array([-1.0, 0.0]), 1.0, 1.0, 0.0).tolist() == [0.0, 0.0]


def test_the_distribution_of_nearly_constant_responses():
    """Its two terms are e^(2a/phi mu) times a tail that underflows."""
    found = InverseGaussian(Log()).cdf(
        np.array([0.9999, 1.0001]), 1.0, 1.0, np.log(1e-8)
    )
    np.testing.assert_allclose(found, stats.norm.cdf([-1.0, 1.0]), atol=1e-4)


def test_problems():
    text, mask = InverseGaussian(Log()).problem(np.array([1.0, -2.0]), 1.0)
    assert "not positive" in text
    assert mask.tolist() == [False, True]
