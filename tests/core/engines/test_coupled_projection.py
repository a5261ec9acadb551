"""Z'PZ from the blocks of an elimination is the dense product, for one or many."""

import numpy as np
import pytest
from many_designs import design, responses_of

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.engines.coupled_projection import coupled_kernel


@pytest.mark.parametrize("of_fixed", [True, False])
@pytest.mark.parametrize("name", ["crossed", "crossed slopes"])
def test_it_is_the_dense_product(name, of_fixed):
    model = design(name)
    data, products = model._sufficient_statistics()
    y = np.array([data.with_response(v).endog for v in responses_of(model, 3)])
    together = products.with_responses(data, y)
    factors = moment_start(together)
    many = Profiled(together, True).evaluate(factors)
    scores = many.fixed_scores if of_fixed else None
    found = coupled_kernel(many.elimination, scores)
    z = np.hstack([as_array(t.indicator()) for t in products.plan.terms])
    for i in range(3):
        v = np.eye(len(z))
        for term, f in zip(products.plan.terms, factors):
            each = as_array(term.indicator())
            s = np.kron(np.eye(term.n_levels), f.take(i).covariance)
            v += each @ s @ each.T
        p = np.linalg.inv(v)
        if of_fixed:
            px = p @ data.exog
            p = p - px @ np.linalg.solve(data.exog.T @ px, px.T)
        np.testing.assert_allclose(found[i], z.T @ p @ z, atol=1e-8)
        one = Profiled(together.select(i), True).evaluate([f.take(i) for f in factors])
        alone = coupled_kernel(one.elimination, one.fixed_scores if of_fixed else None)
        np.testing.assert_allclose(alone, found[i], atol=1e-10)
