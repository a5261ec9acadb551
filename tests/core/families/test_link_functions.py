"""Links with a mean that need not be a probability."""

import numpy as np
import pytest
from exact_families import derivatives, mean, vectorized
from family_cases import POSITIVE

from statsmodels_lmm.core.families.links import BOUND, Log, Power, log_slopes


@pytest.mark.parametrize("link", POSITIVE, ids=lambda link: link.name)
def test_mean_and_slopes(link):
    eta = np.array([1e-6, 0.02, 0.7, 3.0, 50.0])
    exact = vectorized(lambda e: derivatives(lambda x: mean(link.name, x), e, range(5)))
    found = [link.mean(eta), *link.slopes(eta)]
    np.testing.assert_allclose(found, exact(eta), rtol=1e-14, atol=1e-18)
    np.testing.assert_allclose(link.link(link.mean(eta)), eta, rtol=1e-9)
    np.testing.assert_allclose(link.log_mean(eta), np.log(link.mean(eta)), rtol=1e-10)


def test_exponentials_are_held():
    eta = np.array([-800.0, -BOUND, BOUND, 800.0])
    assert Log().mean(eta).tolist() == np.exp([-BOUND, -BOUND, BOUND, BOUND]).tolist()
    assert Log().log_mean(eta) is eta


def test_no_mean_belongs_to_some_predictors():
    eta = np.array([-1.0, 2.0])
    for power in (0.5, -2.0):
        assert np.isnan(Power(power).mean(eta)).tolist() == [True, False]
    assert Power(-1.0).mean(eta).tolist() == [-1.0, 0.5]


def test_slopes_that_vanish_do_so_at_zero():
    assert [s.item() for s in Power(1.0).slopes(np.zeros(1))] == [1.0, 0.0, 0.0, 0.0]


def test_slopes_of_a_logarithm():
    x = np.array([0.3, 2.0])
    found = log_slopes(x**3, (3.0 * x**2, 6.0 * x, 6.0 + 0.0 * x, 0.0 * x))
    expected = 3.0 / x, -3.0 / x**2, 6.0 / x**3, -18.0 / x**4
    np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_names():
    assert [link.name for link in POSITIVE] == [
        "log",
        "identity",
        "sqrt",
        "inverse_power",
        "inverse_squared",
    ]
    assert Power(3.0).name == "power"
