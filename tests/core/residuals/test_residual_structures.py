"""Structures of errors: valid everywhere, with the derivatives they say they have."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra.differences import differenced_gradient
from statsmodels_lmm.core.residuals.base import ResidualStructure, correlation_parameter
from statsmodels_lmm.core.residuals.by_name import RESIDUALS
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.spatial import Exponential, Gaussian, Matern

VISITS = 5


class Damped(ResidualStructure):
    """A structure of visits as a user may write it: rho_t rho_s for visits t and s."""

    name = "damped"
    of_visits = True

    def parameters(self, size):
        return [correlation_parameter(f"rho {t}") for t in range(size)]

    def correlation(self, phi, where):
        rho = phi[where]
        matrix = rho[..., :, None] * rho[..., None, :]
        return np.where(np.eye(where.shape[-1], dtype=bool), 1.0, matrix)


STRUCTURES = [
    *(kind() for kind in RESIDUALS.values()),
    ARMA(2, 2),
    ARMA(0, 2),
    Exponential(nugget=True),
    Gaussian(nugget=True),
    Matern(nugget=True),
    Matern(smoothness=1.3),
    Damped(),
]
BY_NAME = pytest.mark.parametrize("structure", STRUCTURES, ids=str)
IN_SPACE = ("exp", "gau", "matern")
FREE = [(-np.inf, np.inf)]


def places(structure):
    """Three patterns of three rows; the last visit is missing from all of them."""
    visits = np.array([[0, 1, 2], [0, 1, 3], [1, 2, 3]])
    if structure.of_visits:
        return visits
    return 0.7 * visits if structure.name in IN_SPACE else 1.0 * visits


def somewhere(structure, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    x = structure.fold(structure.start(VISITS, 4.0), VISITS)
    return x + size * rng.standard_normal(len(x))


@BY_NAME
def test_every_coordinate_gives_a_correlation_matrix(structure):
    where = np.arange(VISITS)[None] if structure.of_visits else np.arange(5.0)[None]
    for seed in range(10):
        phi, _ = structure.unfold(somewhere(structure, seed), VISITS)
        (matrix,) = structure.correlation(phi, where)
        assert_allclose(matrix, matrix.T)
        assert_allclose(np.diagonal(matrix), 1.0)
        assert np.linalg.eigvalsh(matrix).min() > 0.0


@BY_NAME
def test_coordinates_and_parameters(structure):
    x = somewhere(structure, size=0.5)
    phi, jacobian = structure.unfold(x, VISITS)
    parameters = structure.parameters(VISITS)
    assert len(parameters) == len(phi) == len({p.name for p in parameters})
    assert all(p.lower < value < p.upper for p, value in zip(parameters, phi))
    assert_allclose(structure.fold(phi, VISITS), x, atol=1e-12)
    numeric = differenced_gradient(
        lambda t: structure.unfold(t, VISITS)[0], x, FREE * len(x)
    )
    assert_allclose(jacobian, numeric.T, atol=1e-9)


@BY_NAME
def test_derivatives(structure):
    where = places(structure)
    phi, _ = structure.unfold(somewhere(structure, size=0.3), VISITS)
    numeric = differenced_gradient(
        lambda t: structure.correlation(t, where), phi, FREE * len(phi), 1e-3
    )
    assert_allclose(structure.derivative(phi, where), numeric, atol=1e-8)
    numeric = differenced_gradient(
        lambda t: structure.derivative(t, where), phi, FREE * len(phi), 1e-3
    )
    second = structure.second_derivative(phi, where)
    assert_allclose(second, numeric, atol=2e-7 * max(1.0, np.abs(second).max()))


@pytest.mark.parametrize("structure", [s for s in STRUCTURES if s.is_markov], ids=str)
def test_neighbors_are_a_step_apart(structure):
    where = places(structure)
    phi, _ = structure.unfold(somewhere(structure), VISITS)
    value, slopes, bends = structure.lag(phi, where[:, 1], where[:, 2])
    assert_allclose(value, structure.correlation(phi, where)[:, 1, 2])
    assert_allclose(slopes, structure.derivative(phi, where)[..., 1, 2])
    assert_allclose(bends, structure.second_derivative(phi, where)[..., 1, 2])
    inverse = np.linalg.inv(structure.correlation(phi, where))
    assert_allclose(inverse[:, 0, 2], 0.0, atol=1e-12)  # given the row between


def test_extreme_coordinates_stay_inside():
    for structure in STRUCTURES:
        for x in (-50.0, 50.0):
            phi, jacobian = structure.unfold(
                np.full(len(somewhere(structure)), x), VISITS
            )
            assert np.isfinite(phi).all()
            assert np.isfinite(jacobian).all()


def test_options_out_of_range():
    with pytest.raises(ValueError, match="order"):
        ARMA(0, 0)
    with pytest.raises(ValueError, match=r"whole number, not -1"):
        ARMA(1, -1)
    with pytest.raises(ValueError, match=r"smoothness of matern is 0\.0"):
        Matern(smoothness=0.0)
    with pytest.raises(ValueError, match="at most 30"):
        Matern(smoothness=31.0)


@pytest.mark.parametrize("kind", RESIDUALS.values(), ids=lambda kind: kind.name)
def test_bends_of_coordinates(kind):
    # the closed forms against differences of the Jacobian, which are the default
    structure, rng = kind(), np.random.default_rng(1)
    for size in (2, 5):
        count = len(structure.parameters(size))
        x, slopes = rng.standard_normal((2, count))
        ranges = [(-np.inf, np.inf)] * count
        turns = differenced_gradient(
            lambda t, size=size: structure.unfold(t, size)[1], x, ranges
        )
        expected = np.einsum("lik,i->lk", turns, slopes)
        assert_allclose(structure.bends(x, slopes, size), expected, atol=1e-9)
