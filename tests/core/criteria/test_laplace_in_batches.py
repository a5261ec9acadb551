"""The Laplace deviance of many responses against that of each alone."""

from dataclasses import replace

import numpy as np
import pytest
from generalized_twin import COEFFICIENTS, conditional, factors_of
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.laplace import Laplace, Place
from statsmodels_lmm.core.criteria.laplace_in_batches import LaplaceBatch
from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.probability_links import Cauchy
from statsmodels_lmm.core.search.generalized import search_generalized
from statsmodels_lmm.core.search.newton import Settings, minimize

DESIGNS = ["one factor", "one factor, blocks 1 and 2"]


def drawn(model, count, seed=3):
    """Responses of the same family."""
    rng, family = np.random.default_rng(seed), model.family
    eta = 0.5 * rng.standard_normal((count, len(model.endog)))
    return np.array([family.draw(rng, family.mean(e), model.weights) for e in eta])


def repeated(name, family):
    """A conditional model some of whose rows were observed several times."""
    model = conditional(name, family)
    return replace(model, repeats=1.0 + np.arange(len(model.endog)) % 3)


@pytest.mark.parametrize("family", ["logit", "probit", "poisson"])
@pytest.mark.parametrize("name", DESIGNS)
def test_value_and_derivatives(name, family):
    model, (factor,) = repeated(name, family), factors_of(name)
    responses = drawn(model, 3)
    batch = LaplaceBatch.of(model, responses)
    (term,) = model.terms
    start = np.zeros((term.n_levels, term.k_effects))
    found = batch.evaluate(batch.start(COEFFICIENTS, factor, start))
    slopes = found.derivatives()
    for i, y in enumerate(responses):
        criterion = Laplace(replace(model, endog=y))
        point = criterion.point(COEFFICIENTS, [factor])
        alone = criterion.at(Place(point, COEFFICIENTS))
        assert_allclose(found.value[i], alone.value, rtol=1e-12)
        size = np.abs(alone.first.gradient).max()
        assert_allclose(slopes.gradient[i], alone.first.gradient, atol=1e-9 * size)
        assert_allclose(slopes.duals[0][i], alone.first.duals[0], atol=1e-9 * size)
        assert_allclose(found.hessian[i], alone.hessian, atol=1e-9 * size)
        assert_allclose(
            found.fixed_information[i], alone.fixed_information, rtol=1e-9, atol=1e-9
        )


@pytest.mark.parametrize("name", DESIGNS)
def test_optima(name):
    model, (factor,) = repeated(name, "poisson"), factors_of(name)
    responses = drawn(model, 6)
    (term,) = model.terms
    batch = LaplaceBatch.of(model, responses)
    start = batch.start(COEFFICIENTS, factor, np.zeros((term.n_levels, term.k_effects)))
    found, optimum = minimize(batch, start, Settings(maxiter=100, tol=1e-7))
    assert optimum.certified.all()
    assert len(set(optimum.evaluations)) > 1
    for i, y in enumerate(responses):
        criterion = Laplace(replace(model, endog=y))
        alone, _ = search_generalized(criterion, Settings())
        assert_allclose(found.value[i], alone.value, atol=1e-8)
        assert_allclose(found.coefficients[i], alone.coefficients, atol=1e-4)
        matrix = found.factors[0].covariance[i]
        assert_allclose(matrix, alone.factors[0].covariance, atol=1e-4)


def test_what_is_not_convex_is_left_to_others():
    model, (factor,) = conditional("one factor", "logit"), factors_of("one factor")
    model = replace(model, family=Binomial(Cauchy()))
    responses = drawn(model, 2)
    (term,) = model.terms
    batch = LaplaceBatch.of(model, responses)
    zero = np.zeros((term.n_levels, term.k_effects))
    found, _ = minimize(batch, batch.start(COEFFICIENTS, factor, zero))
    assert np.isnan(found.value).any()


def test_which_models():
    assert LaplaceBatch.suits(conditional("one factor", "logit"))
    assert not LaplaceBatch.suits(conditional("2 crossed, 2 effects each", "logit"))
    assert not LaplaceBatch.suits(conditional("one factor", "gamma"))
    assert not LaplaceBatch.suits(conditional("one factor", "probit"), observed=False)
    assert LaplaceBatch.suits(conditional("one factor", "poisson"), observed=False)
