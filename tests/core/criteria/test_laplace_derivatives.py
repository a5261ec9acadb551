"""Gradients and Hessians of the Laplace deviance against differences of its values."""

import numpy as np
import pytest
from engine_cases import CASES, DESIGNS
from generalized_twin import (
    EXTRA,
    FAMILIES,
    away,
    conditional,
    evaluation,
    factors_of,
    gradient_slope_away,
    slope_away,
)
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.laplace import Laplace
from statsmodels_lmm.core.search.descent import Iterate
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor

SOME = ["one factor", "2 crossed, 2 effects each", "chain and tail"]


def check_gradient(found):
    gradient = found.first.gradient
    size = np.abs(gradient).max()
    assert_allclose(gradient @ away(found), slope_away(found), rtol=0, atol=1e-8 * size)


def check_hessian(found):
    expected = gradient_slope_away(found)
    size = np.abs(found.hessian).max()
    assert_allclose(found.hessian @ away(found), expected, rtol=0, atol=3e-7 * size)
    assert_allclose(found.hessian, found.hessian.T, rtol=0, atol=3e-7 * size)


@pytest.mark.parametrize("name", DESIGNS)
def test_gradient_with_every_engine(name):
    check_gradient(evaluation(name, "logit"))


@pytest.mark.parametrize("jointly", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SOME)
def test_gradient_of_every_family(name, family, jointly):
    check_gradient(evaluation(name, family, jointly=jointly))


@pytest.mark.parametrize("jointly", [False, True])
@pytest.mark.parametrize("family", ["probit", "negative binomial", "gaussian, log"])
@pytest.mark.parametrize("name", SOME)
def test_gradient_with_expected_weights(name, family, jointly):
    check_gradient(evaluation(name, family, observed=False, jointly=jointly))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SOME)
def test_hessian(name, family):
    found = evaluation(name, family)
    assert found.criterion.has_exact_hessian
    check_hessian(found)


@pytest.mark.parametrize("name", [n for n in DESIGNS if n not in CASES])
def test_hessian_with_every_engine(name):
    check_hessian(evaluation(name, "logit"))


@pytest.mark.parametrize("name", CASES)
def test_sparse_random_effects_have_differences(name):
    found = evaluation(name, "logit")
    assert not found.criterion.has_exact_hessian
    check_hessian(found)


def test_average_information_is_exact_in_the_coefficients_of_a_linear_predictor():
    """With S = 0 nothing but X'WX is left."""
    model = conditional("one factor", "poisson")
    (term,) = model.terms
    nothing = [pivoted_factor(np.zeros((1, 1)), term.block_slices)]
    found = Laplace(model).at_parameters(np.array([0.2, -0.3]), nothing)
    weights = found.slopes.second
    expected = 2.0 * model.exog.T @ (weights[:, None] * model.exog)
    assert_allclose(found.first.curvature[:2, :2], expected, rtol=1e-12)


def test_the_dual_shows_a_descent_that_the_gradient_hides():
    """At S = 0 the slope in L vanishes, but not that in S."""
    model = conditional("one factor", "logit")
    criterion = Laplace(model)
    (term,) = model.terms

    def at(variance):
        factor = pivoted_factor(np.array([[variance]]), term.block_slices)
        return criterion.at_parameters(np.zeros(2), [factor])

    found, step = at(0.0), 1e-6
    assert_allclose(found.first.gradient[2:], 0.0)
    slope = (float(at(step).value) - float(found.value)) / step
    assert_allclose(found.first.duals[0][0, 0], slope, rtol=1e-4)


def test_the_slope_in_alpha_at_the_poisson_limit():
    model = conditional("one factor", "negative binomial")
    criterion, factors = Laplace(model), factors_of("one factor")

    def at(alpha):
        return criterion.at_parameters(np.array([0.2, -0.3]), factors, alpha)

    found, step = at(0.0), 1e-7
    assert found.first.gradient[-1] == 0.0
    slope = (float(at(step).value) - float(found.value)) / step
    assert_allclose(found.first.curvature[-1, -1], 2.0 * slope, rtol=1e-4)
    assert (found.first.escape < 0.0) == (slope < 0.0)


def test_modes_are_predicted_to_first_order():
    found = evaluation("2 crossed, 2 effects each", "logit")
    rng = np.random.default_rng(0)
    move = 1e-4 * rng.standard_normal(len(found.first.gradient))
    near = found.near(move, 1e-14).inner.state
    errors = [np.abs(a - b).max() for a, b in zip(near, found.first.state_after(move))]
    moves = [np.abs(a - b).max() for a, b in zip(near, found.inner.state)]
    assert max(errors) < 1e-2 * max(moves)


def test_the_secant_reproduces_the_change_of_the_gradient():
    name = "2 crossed, 2 effects each"
    criterion = Laplace(conditional(name, "logit"))
    pivoted = [pivoted_factor(f.covariance, f.slices) for f in factors_of(name)]
    found = criterion.at_parameters(np.array([0.2, -0.3]), pivoted)
    rng = np.random.default_rng(1)
    step = 0.05 * rng.standard_normal(len(found.first.gradient))
    place = found.criterion.moved(Iterate.of(found), step)
    after = found.criterion.at(place, 1e-14)
    model = 0.5 * (found.first.curvature + after.first.curvature) + after.correction
    moved = found.near(step, 1e-14).first.gradient
    assert_allclose(model @ step, moved - found.first.gradient, rtol=1e-6, atol=1e-6)
    assert np.linalg.matrix_rank(after.correction, 1e-6) == 1


def test_extra_parameters_are_known():
    assert set(EXTRA) == {n for n, f in FAMILIES.items() if f.has_extra}
