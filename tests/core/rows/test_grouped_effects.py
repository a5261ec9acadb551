"""Sums over the rows of each level, and the model matrix of a term."""

import numpy as np
from dense_twin import dense_z, design

from statsmodels_lmm.core.rows.grouped_effects import level_sums


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
