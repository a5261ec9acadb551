"""What is left of the columns within the levels of the first term."""

import numpy as np
import pytest
from dense_twin import dense_z, design, products_of

from statsmodels_lmm.core.engines.within_levels import within_levels
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects


def test_what_levels_leave():
    """Blocks within and between, against projections of the whole columns."""
    data = design("chain of 3", n=60)
    chain = products_of(data).plan.chain
    fixed = np.column_stack([data.exog, data.endog])
    found = within_levels(chain, fixed)
    z = [dense_z(f) for f in chain]
    basis = np.linalg.svd(z[0], full_matrices=False)
    basis = basis[0][:, basis[1] > 1e-10 * basis[1][0]]
    left = np.eye(len(fixed)) - basis @ basis.T
    np.testing.assert_allclose(found.gram, fixed.T @ left @ fixed, atol=1e-10)
    for (j, m), blocks in found.left.items():
        whole = z[j].T @ left @ z[m]
        parents = np.arange(chain[j].n_levels)
        if j != m:
            parents = products_of(data).plan.parents[j, m]
        for g, h in enumerate(parents):
            rows = slice(g * chain[j].k_effects, (g + 1) * chain[j].k_effects)
            columns = slice(h * chain[m].k_effects, (h + 1) * chain[m].k_effects)
            np.testing.assert_allclose(blocks[g], whole[rows, columns], atol=1e-10)
    roots = found.root
    squares = np.swapaxes(roots, 1, 2) @ roots
    np.testing.assert_allclose(squares, chain[0].diagonal_blocks(), atol=1e-10)


@pytest.mark.parametrize("small", [1e-3, 1e-7, 1e-11])
def test_a_level_of_small_effects_leaves_as_much_as_another(small):
    """Which effects of a level depend on one another has nothing to do with size."""
    rng = np.random.default_rng(2)
    codes, fixed = np.repeat(np.arange(6), 7), rng.standard_normal((42, 2))
    effects = rng.standard_normal((42, 2))
    factor = GroupedEffects(codes, 6, effects, (2,))
    scaled = np.where((codes == 3)[:, None], small * effects, effects)
    usual = within_levels([factor], fixed)
    found = within_levels([GroupedEffects(codes, 6, scaled, (2,))], fixed)
    np.testing.assert_allclose(found.gram, usual.gram, rtol=1e-10)
    np.testing.assert_allclose(found.root[3] / small, usual.root[3], atol=1e-9)
