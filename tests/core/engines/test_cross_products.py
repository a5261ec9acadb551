"""Cross-products and the elimination plan against whole model matrices."""

import numpy as np
import pytest
from dense_twin import SHAPES, dense_z, design, products_of


@pytest.mark.parametrize("name", SHAPES)
def test_blocks(name):
    data = design(name)
    products = products_of(data)
    plan = products.plan
    w = np.column_stack([data.exog, data.endog])
    z = [dense_z(f) for f in plan.terms]
    np.testing.assert_allclose(products.gram, w.T @ w, rtol=1e-12)
    for i, f in enumerate(plan.chain):
        full = (z[i].T @ z[i]).reshape(f.n_levels, f.k_effects, f.n_levels, -1)
        for g in range(f.n_levels):
            for h in range(f.n_levels):
                block = products.diagonal[i][g] if g == h else 0.0
                np.testing.assert_allclose(full[g, :, h], block, atol=1e-12)
        fixed = (z[i].T @ w).reshape(f.n_levels, f.k_effects, -1)
        np.testing.assert_allclose(products.level_sums[i], fixed, atol=1e-11)
    for (i, j), block in products.nested.items():
        child, parent = plan.terms[i], plan.terms[j]
        full = z[i].T @ z[j]
        full = full.reshape(child.n_levels, -1, parent.n_levels, parent.k_effects)
        for g, h in enumerate(plan.parents[i, j]):
            np.testing.assert_allclose(full[g, :, h], block[g], atol=1e-12)
            full[g, :, h] = 0.0
        assert not full.any()
    if plan.tail:
        tail = np.hstack(z[plan.n_chain :])
        np.testing.assert_allclose(products.tail, tail.T @ tail, atol=1e-12)
        np.testing.assert_allclose(products.tail_sums, tail.T @ w, atol=1e-11)
        for i, coupling in enumerate(products.coupling):
            full = (z[i].T @ tail).reshape(coupling.values.shape)
            np.testing.assert_allclose(coupling.values, full, atol=1e-12)
