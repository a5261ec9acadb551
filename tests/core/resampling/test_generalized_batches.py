"""Fits to many responses at once against fits one by one."""

from dataclasses import fields

import numpy as np
import pytest
from generalized_twin import conditional
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.laplace import Laplace
from statsmodels_lmm.core.criteria.quadrature import Quadrature
from statsmodels_lmm.core.resampling.generalized_batches import GeneralizedBatches
from statsmodels_lmm.core.resampling.generalized_refits import GeneralizedRefitting
from statsmodels_lmm.core.search.generalized import search_generalized
from statsmodels_lmm.core.search.newton import Settings


def design(name, known=False):
    """The design of a fit, and responses near it, the last two of them useless."""
    model = conditional(name, "logit")
    found, _ = search_generalized(Laplace(model), Settings())
    arguments = (
        found.criterion,
        found.coefficients,
        found.factors,
        None,
        model.terms,
        known,
    )
    rng, mean = np.random.default_rng(4), model.family.mean(found.inner.eta)
    responses = [model.family.draw(rng, mean, model.weights) for _ in range(8)]
    responses += [np.ones_like(mean), np.full_like(mean, np.nan)]
    return arguments, np.array(responses)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("name", ["one factor", "one factor, blocks 1 and 2"])
def test_fits_together_and_alone(name, known):
    arguments, responses = design(name, known)
    together = GeneralizedBatches(*arguments).fit(responses)
    alone = GeneralizedRefitting(*arguments).fit(responses)
    assert together.separated[-2]
    assert np.isnan(together.value[-1])
    assert np.isfinite(together.value[:-2]).all()
    for field in fields(alone):
        if field.name == "evaluations":
            continue
        one, many = getattr(alone, field.name), getattr(together, field.name)
        assert_allclose(np.asarray(many), np.asarray(one), rtol=1e-4, atol=2e-4)
    assert_allclose(together.value, alone.value, rtol=0, atol=1e-7)


def test_what_suits():
    model = conditional("one factor", "logit")
    assert GeneralizedBatches.suits(Laplace(model))
    assert not GeneralizedBatches.suits(Laplace(model, jointly=True))
    assert not GeneralizedBatches.suits(Quadrature(model, n_nodes=3))
