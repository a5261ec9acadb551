import numpy as np
from exact_families import exact_slopes, own_slopes

from statsmodels_lmm.core.families.gaussian import Gaussian
from statsmodels_lmm.core.families.links import Log, Power

Y = np.array([[-3.0], [0.0], [40.0]])


def test_slopes_to_sixty_digits():
    for link, eta in (
        (Log(), np.array([-90.0, -2.0, 1e-9, 3.0, 80.0])),
        (Power(-1.0), np.array([-4.0, 0.01, 9.0])),
        (Power(1.0), np.array([-4.0, 0.01, 9.0])),
    ):
        family = Gaussian(link)
        exact = exact_slopes(family, Y, 2.0, eta, 0.3)
        own = own_slopes(family, Y, 2.0, eta, 0.3)
        np.testing.assert_allclose(own, exact, rtol=1e-13, atol=1e-100)


def test_the_identity_is_least_squares():
    family = Gaussian(Power(1.0))
    slopes = family.slopes(Y, 2.0, np.array([1.0]), np.log(4.0))
    np.testing.assert_allclose(slopes.first, 0.5 * (1.0 - Y))
    np.testing.assert_allclose(slopes.second, 0.5 + 0.0 * Y)
    assert not slopes.third.any()
    assert family.is_canonical


def test_starting_means_suit_the_link():
    y = np.array([-5.0, 1.0, 2.0])
    assert Gaussian(Log()).starting_mean(y, 1.0) == 8.0 / 3.0
    assert Gaussian(Power(1.0)).starting_mean(y, 1.0) == -2.0 / 3.0
    assert Gaussian(Log()).starting_mean(np.abs(y), 1.0) == 8.0 / 3.0


def test_problems():
    assert Gaussian(Log()).problem(np.array([-1.0, 0.0]), 1.0) is None
    text, mask = Gaussian(Log()).problem(np.array([np.nan, 0.0]), 1.0)
    assert "missing" in text
    assert mask.tolist() == [True, False]
