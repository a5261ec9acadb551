"""Modes of the random effects: the minimum, and every way to it."""

import numpy as np
import pytest
from generalized_twin import COEFFICIENTS, EXTRA, conditional, factors_of
from numpy.testing import assert_allclose
from scipy import optimize

from statsmodels_lmm.core.criteria import conditional_modes as modes
from statsmodels_lmm.core.criteria.conditional_modes import conditional_modes


def gradient(model, found, roots, extra):
    """Half the gradient of f in the effects: Z'c' + t for independent levels."""
    first = model.slopes(found.eta, extra).first
    sums = model.sums(first[:, None])
    pairs = zip(model.terms, sums, found.state)
    return [term.whitened(s)[..., 0] + t for term, s, t in pairs]


@pytest.mark.parametrize("jointly", [False, True])
@pytest.mark.parametrize("family", ["logit", "negative binomial", "gaussian, log"])
@pytest.mark.parametrize("name", ["one factor", "2 crossed", "chain and tail"])
def test_the_gradient_vanishes(name, family, jointly):
    model, extra = conditional(name, family), EXTRA.get(family)
    roots = [f.matrix for f in factors_of(name)]
    found = conditional_modes(
        model, COEFFICIENTS, roots, extra, None, jointly, tolerance=1e-16
    )
    for each in gradient(model, found, roots, extra):
        assert_allclose(each, 0.0, atol=1e-6)
    if jointly:
        first = model.slopes(found.eta, extra).first
        assert_allclose(model.exog.T @ first, 0.0, atol=1e-6)
    else:
        assert np.array_equal(found.coefficients, COEFFICIENTS)


def test_height_is_that_of_the_predictor():
    model = conditional("2 crossed", "poisson")
    factors = factors_of("2 crossed")
    found = conditional_modes(model, COEFFICIENTS, [f.matrix for f in factors])
    effects = [t @ f.covariance for t, f in zip(found.state, factors)]
    penalty = sum((t * b).sum() for t, b in zip(found.state, effects))
    assert_allclose(
        found.height, 2.0 * model.half_deviances(found.eta).sum() + penalty, rtol=1e-12
    )
    eta = model.exog @ COEFFICIENTS + model.random(effects) + model.offset
    assert_allclose(found.eta, eta, rtol=1e-12)


def test_a_scalar_minimizer_finds_the_same():
    model = conditional("one factor", "logit")
    (factor,), (term,) = factors_of("one factor"), model.terms
    found = conditional_modes(model, COEFFICIENTS, [factor.matrix])
    fixed = model.exog @ COEFFICIENTS + model.offset
    variance = float(factor.covariance[0, 0])

    def height(b):
        effects = b.reshape(term.n_levels, 1)
        loss = model.half_deviances(fixed + term.times(effects)).sum(axis=-1)
        return 2.0 * loss + (b**2).sum() / variance

    other = optimize.minimize(height, np.zeros(term.n_levels), tol=1e-12)
    assert_allclose(found.state[0][:, 0] * variance, other.x, atol=1e-5)
    assert_allclose(found.height, other.fun, rtol=1e-10)


def test_a_start_far_away_comes_back():
    """Full Newton steps from there would overshoot."""
    model = conditional("one factor", "poisson")
    roots = [f.matrix for f in factors_of("one factor", 2.0)]
    near = conditional_modes(model, COEFFICIENTS, roots)
    far = [np.full_like(near.state[0], -40.0)]
    found = conditional_modes(model, COEFFICIENTS, roots, None, far)
    assert found.steps > near.steps
    assert_allclose(found.height, near.height, rtol=1e-12)


def test_a_start_at_which_the_likelihood_is_zero_is_not_used():
    model = conditional("one factor", "poisson")
    roots = [f.matrix for f in factors_of("one factor")]
    expected = conditional_modes(model, COEFFICIENTS, roots)
    lost = [np.full_like(expected.state[0], np.nan)]
    found = conditional_modes(model, COEFFICIENTS, roots, None, lost)
    assert found.height == expected.height
    with pytest.raises(np.linalg.LinAlgError, match="zero at the start"):
        conditional_modes(model, np.full(2, np.nan), roots)


def test_effects_are_kept_where_a_prediction_raises_f():
    model = conditional("one factor", "poisson")
    small, large = ([f.matrix for f in factors_of("one factor", s)] for s in (0.3, 3.0))
    before = conditional_modes(model, COEFFICIENTS, small)
    assert_allclose(before.effects[0], before.state[0] @ small[0] @ small[0].T)

    def found(start, **given):
        return conditional_modes(model, COEFFICIENTS, large, start=start, **given)

    # effects would be a hundred times as large at the same state
    expected, poor = found(before.state), found(before.state, before=before)
    assert poor.steps < expected.steps
    assert_allclose(poor.height, expected.height, rtol=1e-12)
    # where f falls, the prediction stands
    good = found(expected.state, before=before)
    assert good.height == found(expected.state).height
    assert good.steps == 1


def test_a_shortened_step_is_not_the_last():
    model = conditional("one factor", "poisson")
    roots = [f.matrix for f in factors_of("one factor", 2.0)]
    near = conditional_modes(model, COEFFICIENTS, roots)
    far = [np.full_like(near.state[0], -40.0)]
    found = conditional_modes(model, COEFFICIENTS, roots, None, far, tolerance=np.inf)
    assert found.steps > 1


def test_a_looser_tolerance_takes_fewer_steps():
    model = conditional("2 crossed", "logit")
    roots = [f.matrix for f in factors_of("2 crossed")]
    close = conditional_modes(model, COEFFICIENTS, roots, tolerance=1e-14)
    loose = conditional_modes(model, COEFFICIENTS, roots, tolerance=1.0)
    assert loose.steps < close.steps
    assert loose.height > close.height


def test_steps_are_limited(monkeypatch):
    model = conditional("2 crossed", "logit")
    roots = [f.matrix for f in factors_of("2 crossed")]
    monkeypatch.setattr(modes, "MAX_STEPS", 1)
    with pytest.raises(np.linalg.LinAlgError, match="not reached"):
        conditional_modes(model, COEFFICIENTS, roots)
