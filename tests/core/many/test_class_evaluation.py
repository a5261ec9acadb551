"""The criterion by classes of levels is the profiled deviance."""

import numpy as np
import pytest
from many_designs import design, responses_of

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.many.level_classes import LevelClasses
from statsmodels_lmm.core.many.standardized_responses import standardized


@pytest.mark.parametrize("reml", [True, False], ids=["REML", "ML"])
@pytest.mark.parametrize("name", ["slopes", "unbalanced", "blocks", "three"])
def test_it_is_the_profiled_deviance(name, reml):
    model = design(name)
    data, products = model._sufficient_statistics()
    scaled = standardized(data, responses_of(model, 8))
    together = products.with_responses(data, scaled.values)
    factors = moment_start(together)
    classes = LevelClasses.of(products)
    found = classes.criterion(together, reml).evaluate(factors)
    twin = Profiled(together, reml).evaluate(factors)
    for what in ("value", "scale", "coefficients", "half_fixed", "units", "nu"):
        one, other = getattr(found, what), getattr(twin, what)
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9, err_msg=what)
    np.testing.assert_allclose(found.information[0], twin.information[0], rtol=1e-9)
    mine, theirs = found.derivatives(), twin.derivatives(exact=True)
    for what in ("gradient", "curvature", "working"):
        one, other = getattr(mine, what), getattr(theirs, what)
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8, err_msg=what)
    np.testing.assert_allclose(mine.duals[0], theirs.duals[0], rtol=1e-8, atol=1e-8)
    slopes = twin.variance_forms.free_slopes()
    np.testing.assert_allclose(found.free_slopes(), slopes, rtol=1e-8, atol=1e-10)


def test_levels_of_one_kind_are_one_class():
    assert (
        len(LevelClasses.of(design("slopes")._sufficient_statistics()[1]).counts) == 1
    )
    products = design("unbalanced")._sufficient_statistics()[1]
    sizes = np.bincount(products.plan.terms[0].codes)
    assert sorted(LevelClasses.of(products).counts) == sorted(
        np.unique(sizes, return_counts=True)[1]
    )


@pytest.mark.parametrize("name", ["crossed", "nested"])
def test_several_factors_have_no_classes(name):
    assert LevelClasses.of(design(name)._sufficient_statistics()[1]) is None


def test_nothing_left_is_undefined():
    model = design("slopes")
    data, products = model._sufficient_statistics()
    together = products.with_responses(data, np.zeros((2, model.nobs)))
    criterion = LevelClasses.of(products).criterion(together, True)
    factors = moment_start(products)
    assert criterion.evaluate(factors) is None
