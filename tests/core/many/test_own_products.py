"""Products with a weight for each row of each response are those of weighted rows."""

import numpy as np
import pytest
from many_designs import FORMULAS, design, responses_of

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.many.own_products import own_products


@pytest.mark.parametrize("name", FORMULAS)
def test_they_are_sums_over_weighted_rows(name):
    model = design(name)
    data, products = model._sufficient_statistics()
    y = responses_of(model, 3)
    w = np.random.default_rng(0).uniform(0.0, 2.0, y.shape)
    found = own_products(products, data.exog, y, w)
    plan = products.plan
    z = [as_array(term.indicator()) for term in plan.terms]
    for i in range(3):
        one, columns = found.select(i), np.column_stack([data.exog, y[i]])
        weighted = w[i][:, None] * columns
        np.testing.assert_allclose(one.gram, columns.T @ weighted)
        for each, sums in zip(z, one.level_sums):
            flat = sums.reshape(-1, columns.shape[1])
            np.testing.assert_allclose(flat, each.T @ weighted, atol=1e-9)
        chain, tail = (
            z[: plan.n_chain],
            np.hstack([np.zeros((model.nobs, 0)), *z[plan.n_chain :]]),
        )
        np.testing.assert_allclose(
            one.tail, tail.T @ (w[i][:, None] * tail), atol=1e-12
        )
        for j, each in enumerate(chain):
            term = plan.terms[j]
            shape = term.n_levels, term.k_effects
            whole = (each.T @ (w[i][:, None] * each)).reshape(*shape, *shape)
            blocks = np.einsum("gagb->gab", whole)
            np.testing.assert_allclose(one.diagonal[j], blocks, atol=1e-12)
            if plan.tail:
                link = one.coupling[j].values.reshape(-1, plan.n_tail)
                np.testing.assert_allclose(
                    link, each.T @ (w[i][:, None] * tail), atol=1e-12
                )
        for (a, b), block in one.nested.items():
            whole = z[a].T @ (w[i][:, None] * z[b])
            np.testing.assert_allclose(block.sum(), whole.sum())
    np.testing.assert_array_equal(found.nobs, (w > 0.0).sum(axis=1))
