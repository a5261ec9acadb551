"""The Laplace deviance against dense matrices, on the designs of every engine."""

from dataclasses import replace

import numpy as np
import pytest
from engine_cases import DESIGNS, dense
from generalized_twin import (
    COEFFICIENTS,
    EXTRA,
    FAMILIES,
    conditional,
    dense_laplace,
    evaluation,
    factors_of,
)
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria import laplace
from statsmodels_lmm.core.criteria.laplace import Laplace, Place
from statsmodels_lmm.core.search.descent import Iterate
from statsmodels_lmm.core.structures.free_parameters import SquareRoots
from statsmodels_lmm.core.structures.relative_factor import full_factor

SOME = ["one factor", "2 crossed, 2 effects each", "chain and tail"]


def same(found, expected):
    value, effects, coefficients = expected
    assert_allclose(float(found.value), value, rtol=1e-11)
    flat = np.concatenate([b.ravel() for b in found.modes])
    assert_allclose(flat, effects, atol=2e-8)
    assert_allclose(found.coefficients, coefficients, atol=2e-8)


@pytest.mark.parametrize("name", DESIGNS)
def test_every_engine(name):
    found = evaluation(name, "logit")
    model, factors = conditional(name, "logit"), factors_of(name)
    same(found, dense_laplace(model, factors, COEFFICIENTS, None))


@pytest.mark.parametrize("jointly", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", SOME)
def test_every_family(name, family, jointly):
    found = evaluation(name, family, jointly=jointly)
    model, extra = conditional(name, family), EXTRA.get(family)
    same(
        found,
        dense_laplace(model, factors_of(name), COEFFICIENTS, extra, jointly=jointly),
    )


@pytest.mark.parametrize("name", SOME)
def test_expected_weights(name):
    found = evaluation(name, "probit", observed=False)
    model = conditional(name, "probit")
    same(found, dense_laplace(model, factors_of(name), COEFFICIENTS, None, False))
    assert float(found.value) != float(evaluation(name, "probit").value)


@pytest.mark.parametrize("observed", [True, False])
@pytest.mark.parametrize("name", SOME)
def test_information_of_the_fixed_effects(name, observed):
    """X'V^-1 X with V = W^-1 + Z S Z', W the weights of the determinant."""
    found = evaluation(name, "probit", observed=observed)
    model, eta = found.model, found.inner.eta
    weights = found.slopes.second if observed else model.expected(eta)[0]
    v = np.diag(1.0 / weights)
    for effects, factor in zip(model.terms, found.factors):
        z = dense(effects)
        v += z @ np.kron(np.eye(effects.n_levels), factor.covariance) @ z.T
    information = model.exog.T @ np.linalg.solve(v, model.exog)
    assert_allclose(found.fixed_root @ found.fixed_root.T, information, rtol=1e-9)


@pytest.mark.parametrize("name", SOME)
def test_negative_weights(name):
    """With a log link normal rows above twice their mean have c'' < 0."""
    found = evaluation(name, "gaussian, log")
    assert (found.slopes.second < 0.0).any()


def test_without_variance_it_is_a_generalized_linear_model():
    model = conditional("one factor", "poisson")
    criterion = Laplace(model)
    (term,) = model.terms
    nothing = [full_factor(np.zeros((1, 1)), term.block_slices)]
    found = criterion.at_parameters(COEFFICIENTS, nothing)
    eta = model.exog @ COEFFICIENTS + model.offset
    expected = 2.0 * (model.half_deviances(eta).sum() + model.constant())
    assert_allclose(float(found.value), expected, rtol=1e-14)


def test_rows_observed_twice_count_twice():
    model = conditional("one factor", "poisson")
    twice = np.arange(len(model.endog)) % 3 == 0
    rows = np.concatenate([np.arange(len(twice)), np.flatnonzero(twice)])
    from dataclasses import replace

    longer = replace(
        model,
        engine=type(model.engine).of([f.take(rows) for f in model.terms], len(rows)),
        endog=model.endog[rows],
        weights=model.weights[rows],
        exog=model.exog[rows],
        offset=model.offset[rows],
    )
    repeated = replace(model, repeats=1.0 + twice)
    factors = factors_of("one factor")
    one = Laplace(longer).at_parameters(COEFFICIENTS, factors)
    two = Laplace(repeated).at_parameters(COEFFICIENTS, factors)
    assert_allclose(float(one.value), float(two.value), rtol=1e-13)
    assert_allclose(one.first.gradient, two.first.gradient, atol=1e-9)
    assert repeated.nobs == len(rows)


def test_the_state_is_where_the_search_for_the_modes_starts():
    name = "2 crossed"
    found = evaluation(name, "logit")
    again = found.criterion.at(Place(found.point, None, found.inner.state))
    assert again.inner.steps == 1 < found.inner.steps
    assert_allclose(float(again.value), float(found.value), rtol=1e-14)


def test_a_point_without_a_value_is_none():
    criterion = Laplace(conditional("one factor", "poisson"))
    point = criterion.point(np.array([np.nan, 0.0]), factors_of("one factor"))
    assert criterion.evaluate(point) is None


def test_the_parts_of_a_point():
    criterion = Laplace(conditional("one factor", "negative binomial"))
    _, factor, last = criterion.point(
        COEFFICIENTS, factors_of("one factor"), EXTRA["negative binomial"]
    )
    assert isinstance(last, SquareRoots)
    assert_allclose(last.values**2, [0.4])
    assert criterion.factor_places == (1, 2)
    jointly = Laplace(criterion.model, jointly=True)
    assert len(jointly.point(COEFFICIENTS, [factor], 0.4)) == 2
    assert (criterion.nagq, jointly.nagq) == (1, 0)


def test_modes_after_a_long_step_are_less_precise():
    found = evaluation("one factor", "logit")
    current, gradient = Iterate.of(found), found.first.gradient
    direction = -gradient / np.linalg.norm(gradient)
    step = 0.01 * direction
    promised = -step @ (gradient + 0.5 * current.curvature @ step)
    place = found.criterion.moved(current, step)
    assert_allclose(place.tolerance, laplace.SHARE * promised**2)
    near = found.criterion.moved(current, 1e-6 * direction)
    assert near.tolerance == laplace.TOLERANCE
    loose, close = (
        found.criterion.evaluate(replace(place, tolerance=t)) for t in (10.0, 1e-14)
    )
    assert loose.inner.steps < close.inner.steps
