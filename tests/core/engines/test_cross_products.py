"""Cross-products and the elimination plan against whole model matrices."""

import numpy as np
import pytest
from dense_twin import SHAPES, dense_z, design, products_of

from statsmodels_lmm.core.engines.plan import parent_levels, plan_elimination
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects, level_sums


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


@pytest.mark.parametrize("name", SHAPES)
def test_relabelling_goes_back(name):
    data = design(name)
    plan = plan_elimination(data.terms)
    assert sorted(plan.order) == list(range(len(data.terms)))
    for factor, i, new in zip(plan.terms, plan.order, plan.relabel):
        assert sorted(new) == list(range(factor.n_levels))
        assert np.array_equal(factor.codes, new[data.terms[i].codes])
        assert factor.effects is data.terms[i].effects
    for (i, j), parents in plan.parents.items():
        assert (np.diff(parents) >= 0).all()
        assert np.array_equal(parents[plan.terms[i].codes], plan.terms[j].codes)


def test_shapes_of_plans():
    expected = {"chain of 3": 3, "2 crossed": 1, "3 crossed": 1, "chain and tail": 2}
    for name, n_chain in expected.items():
        assert plan_elimination(design(name).terms).n_chain == n_chain
    data = design("chain and tail")
    assert plan_elimination(data.terms, chain_tail=False).n_chain == 1
    # without a tail a chain is never cut
    data = design("chain of 3")
    assert plan_elimination(data.terms, chain_tail=False).n_chain == 3


def test_parent_levels():
    child = GroupedEffects(np.array([0, 1, 2, 0, 2]), 3, np.ones((5, 1)), (1,))
    parent = GroupedEffects(np.array([1, 0, 1, 1, 1]), 2, np.ones((5, 1)), (1,))
    assert parent_levels(child, parent).tolist() == [1, 0, 1]
    assert parent_levels(parent, child) is None


def test_level_sums():
    rng = np.random.default_rng(1)
    codes = rng.integers(4, size=20)
    left, right = rng.standard_normal((20, 2)), rng.standard_normal((20, 3))
    wanted = [left[codes == g].T @ right[codes == g] for g in range(4)]
    np.testing.assert_allclose(level_sums(codes, 4, left, right), wanted, atol=1e-13)
    same = [left[codes == g].T @ left[codes == g] for g in range(4)]
    np.testing.assert_allclose(level_sums(codes, 4, left, left), same, atol=1e-13)


def test_indicator():
    for factor in design("3 crossed").terms:
        assert np.array_equal(factor.indicator().toarray(), dense_z(factor))
