"""Correlations against formulas and programs of others."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import linalg, special
from statsmodels.tsa.arima_process import arma_acf, arma_acovf

from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.moving_average import ARMA, autocovariances
from statsmodels_lmm.core.residuals.partial_autocorrelations import (
    autocorrelations,
    coefficients,
    from_autocorrelations,
    from_coefficients,
)
from statsmodels_lmm.core.residuals.spatial import (
    Exponential,
    Gaussian,
    Matern,
    matern,
)
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz

TIMES = np.array([[0.0, 1.0, 2.0, 4.0, 7.0]])
X = np.array([[0.0, 0.5, 1.3, 2.0, 3.1]])
Y = np.array([[0.0, 1.0, 0.2, 0.7, 1.5]])


def first_row(structure, phi, where):
    return structure.correlation(np.array(phi), where)[0, 0]


def test_nlme():
    # corMatrix(Initialize(corARMA(c(.5, .2, .4), form = ~ t | g, p = 2, q = 1), d))
    # and likewise corExp(c(1.7, .15), ~ x, nugget = TRUE), corGaus with ~ x + y;
    # nlme 3.1
    row = [1.0, 0.801204819277, 0.600602409639, 0.350391566265, 0.155326054217]
    assert_allclose(first_row(ARMA(2, 1), [0.5, 0.2, 0.4], TIMES), row, rtol=1e-11)
    third = ARMA(0, 2).correlation(np.array([0.4, -0.3]), TIMES)[0, 2]
    assert_allclose(third, [-0.24, 0.224, 1.0, -0.24, 0.0], atol=1e-12)
    row = [1.0, 0.633410494461, 0.395650191920, 0.262110392712, 0.137236667816]
    assert_allclose(first_row(Exponential(True), [1.7, 0.15], X), row, rtol=1e-11)
    row = [1.0, 0.5515378117135, 0.467135998459, 0.179756495364, 0.0140332585231]
    plane = np.stack([X, Y], axis=-1)
    assert_allclose(first_row(Gaussian(True), [1.7, 0.15], plane), row, rtol=1e-11)


@pytest.mark.parametrize(
    ("ar", "ma"),
    [([0.5], []), ([], [0.4, -0.3]), ([0.5, 0.2], [0.4]), ([0.3], [0.5, 0.1, 0.2])],
)
def test_arma_and_statsmodels(ar, ma):
    left, right = np.append(1.0, np.negative(ar)), np.append(1.0, ma)
    own = autocovariances(np.array(ar), np.array(ma), 12)
    assert_allclose(own, arma_acovf(left, right, 12), atol=1e-12)
    structure = ARMA(len(ar), len(ma))
    where = np.arange(12.0)[None]
    row = first_row(structure, [*ar, *ma], where)
    assert_allclose(row, arma_acf(left, right, 12), atol=1e-12)
    matrix = structure.correlation(np.array([*ar, *ma]), where)[0]
    assert_allclose(matrix, linalg.toeplitz(row))


def test_arma_of_order_one_is_ar1():
    matrix = Autoregressive().correlation(np.array([-0.6]), TIMES)
    assert_allclose(ARMA(1, 0).correlation(np.array([-0.6]), TIMES), matrix)


def test_unfolded_arma_is_stationary_and_invertible():
    phi, _ = ARMA(3, 2).unfold(np.array([1.5, -2.0, 1.0, -1.2, 2.0]), 5)
    assert (np.abs(np.roots([1.0, *-phi[:3]])) < 1.0).all()
    assert (np.abs(np.roots([1.0, *phi[3:]])) < 1.0).all()
    assert ARMA(1, 1).unfold(np.array([0.1, 0.3]), 5)[0][1] > 0.0


def test_partial_autocorrelations():
    partial = np.array([0.6, -0.4, 0.3, 0.7])
    values, _ = autocorrelations(partial)
    # the last coefficient of the best linear prediction from k rows
    matrix = linalg.toeplitz([1.0, *values])
    last = [np.linalg.solve(matrix[:k, :k], values[:k])[-1] for k in range(1, 5)]
    assert_allclose(last, partial)
    own, _ = coefficients(partial)
    assert_allclose(own, np.linalg.solve(matrix[:4, :4], values))
    assert_allclose(from_autocorrelations(values), partial)
    assert_allclose(from_coefficients(own), partial)


def test_toeplitz_of_an_autoregression():
    where = np.array([[0, 1, 3, 4]])
    rho = -0.55
    phi, _ = Toeplitz().unfold(np.array([np.arctanh(rho), 0.0, 0.0, 0.0]), 5)
    assert_allclose(phi, rho ** np.arange(1, 5), atol=1e-14)
    matrix = Autoregressive().correlation(np.array([rho]), 1.0 * where)
    assert_allclose(Toeplitz().correlation(phi, where), matrix, atol=1e-14)


def test_ante_dependence():
    where = np.array([[0, 1, 3]])
    phi = np.array([0.5, -0.4, 0.8])
    (matrix,) = AnteDependence().correlation(phi, where)
    assert_allclose(matrix[np.triu_indices(3, 1)], [0.5, 0.5 * -0.32, -0.32])
    equal = AnteDependence().correlation(np.full(3, 0.3), where)
    assert_allclose(equal, Autoregressive().correlation(np.array([0.3]), 1.0 * where))
    # rows of any order, and a correlation of zero
    turned = AnteDependence().correlation(phi, where[:, ::-1])
    assert_allclose(turned[0], matrix[::-1, ::-1])
    slopes = AnteDependence().derivative(np.array([0.0, 0.0, 0.8]), where)
    assert_allclose(slopes[:, 0, 0, 2], 0.0)


def test_matern_and_its_bessel_function():
    u = np.array([0.1, 0.9, 2.5, 20.0])
    for nu in (0.3, 1.0, 2.2, 12.0):
        expected = 2.0 ** (1.0 - nu) / special.gamma(nu) * u**nu * special.kv(nu, u)
        assert_allclose(matern(u, nu)[0], expected, rtol=1e-12)
    assert_allclose(matern(u, 1.5)[0], (1.0 + u) * np.exp(-u), rtol=1e-12)
    assert_allclose(matern(u, 2.5)[0], (1.0 + u + u**2 / 3) * np.exp(-u), rtol=1e-12)
    assert_allclose(matern(np.array([0.0, 1e-200, 1e-12]), 20.0)[0], 1.0)


def test_matern_of_smoothness_one_half_is_exponential():
    half = Matern(smoothness=0.5, nugget=True)
    phi = np.array([1.7, 0.15])
    expected = Exponential(nugget=True).correlation(phi, X)
    assert_allclose(half.correlation(phi, X), expected, rtol=1e-12)
    free = Matern(nugget=True).correlation(np.array([1.7, 0.5, 0.15]), X)
    assert_allclose(free, expected, rtol=1e-12)


def test_smooth_matern_is_almost_gaussian():
    # Matern's function of sqrt(2 nu) d / l tends to exp(-d^2 / (2 l^2))
    nu, length = 30.0, 1.2
    phi = np.array([length / np.sqrt(2.0 * nu)])
    own = Matern(smoothness=nu).correlation(phi, X)
    limit = Gaussian().correlation(np.array([length * np.sqrt(2.0)]), X)
    assert_allclose(own, limit, atol=0.01)


def test_exponential_is_continuous_autoregression():
    rho = ContinuousAutoregressive().correlation(np.exp([-1.0 / 1.7]), X)
    assert_allclose(Exponential().correlation(np.array([1.7]), X), rho, rtol=1e-12)
    assert Exponential().is_markov
    assert not Exponential(nugget=True).is_markov


def test_distances_in_the_plane():
    plane = np.array([[[0.0, 0.0], [3.0, 4.0]]])
    assert_allclose(first_row(Exponential(), [2.0], plane), [1.0, np.exp(-2.5)])
    assert_allclose(first_row(Gaussian(), [4.0], plane), [1.0, np.exp(-1.5625)])


def test_starts():
    assert_allclose(Exponential().start(5, 30.0), [3.0])
    assert_allclose(Exponential().start(5, 0.0), [1.0])
    assert_allclose(Matern(nugget=True).start(5, 30.0), [3.0, 0.5, 0.1])
    assert_allclose(ARMA(2, 1).start(5, 0.0), [0.2, 0.0, 0.0])
    assert_allclose(Toeplitz().start(4, 0.0), 0.2)
