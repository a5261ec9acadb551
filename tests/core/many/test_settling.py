"""Searches end where the gradient, not the criterion, can take them no further."""

from many_designs import design, responses_of

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.many.settling import settle
from statsmodels_lmm.core.many.standardized_responses import standardized


def test_later_points_are_closer():
    model = design("crossed")
    data, products = model._sufficient_statistics()
    scaled = standardized(data, responses_of(model, 30))
    criterion = Profiled(products.with_responses(data, scaled.values), True)
    first, *rest = settle(criterion, moment_start(criterion.products))
    assert len(first.places) == 30
    assert first.is_closer.all()
    assert rest
    size = first.optimum.gradient_norm.copy()
    for later in rest:
        closer = later.places[later.is_closer]
        now = later.optimum.gradient_norm[later.is_closer]
        assert (now < size[closer]).all()
        size[closer] = now
    assert size.max() < 1e-6
    assert first.optimum.certified.all()
