"""Responses drawn once and fitted by several designs."""

import numpy as np
from dense_twin import design, starts
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.resampling.draws import Gaussian, NormalResponse, RandomPart
from statsmodels_lmm.core.resampling.refits import batch_size
from statsmodels_lmm.core.resampling.replicates import Refitting, Replicates
from statsmodels_lmm.core.rows.standardize import standardize


def refitting(name, reml, root=1.0):
    rows = design(name)
    data = standardize(rows.endog, rows.exog, rows.terms)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    eyes = [np.eye(f.k_effects) for f in products.plan.terms]
    return Refitting(data, products, tuple(starts(products, eyes)), reml, root)


def generators(count):
    return [np.random.default_rng(seed) for seed in range(count)]


def test_each_design_fits_the_same_responses():
    n = len(design("one factor").endog)
    root = np.linspace(0.5, 2.0, n)
    one, two = (refitting("one factor", reml, root) for reml in (True, False))
    part = NormalResponse(RandomPart((), ()), Gaussian(n, np.eye(1)), root)
    replicates = Replicates(part, (one, two))
    responses, fits = replicates.fit(generators(4))
    assert responses.shape == (4, n)
    alone = refitting("one factor", True).fit(root * responses)
    assert_array_equal(fits.value, alone.value)
    assert_array_equal(fits.scale, alone.scale)
    assert fits.certified.all()
    assert not fits.separated.any()
    criteria = replicates.criteria(generators(4))
    for each, found in zip((one, two), criteria):
        shift = each.data.criterion_shift(each.reml)
        assert_array_equal(found, each.fit(responses).value + shift)
    assert (criteria[0] != criteria[1]).all()
    again, _ = replicates.fit(generators(4)[2:])
    assert_array_equal(again, responses[2:])


def test_as_many_at_once_as_the_larger_design_allows():
    small, large = refitting("one factor", True), refitting("chain and tail", True)
    sizes = [batch_size(small.products), batch_size(large.products)]
    assert Replicates(None, (small, large)).size == min(sizes)
    assert Replicates(None, (small, large)).in_batches


def test_units_of_responses():
    """Weighted responses in the units of the data, whatever is fixed in them."""
    one = refitting("one factor", True)
    y = design("one factor").endog
    fits = one.fit(np.stack([y, one.data.response_scale * one.data.endog]))
    assert_allclose(fits.value[0], fits.value[1], atol=1e-8)
    assert_allclose(fits.scale[0], fits.scale[1], rtol=1e-6)
