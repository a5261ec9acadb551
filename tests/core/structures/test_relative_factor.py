"""Roots of covariance matrices, singular or not."""

import numpy as np
import pytest

from statsmodels_lmm.core.structures.relative_factor import (
    full_factor,
    lower_root,
    lower_triangles,
    pivoted_factor,
)


def semidefinite(size, rank, seed, scale=1.0):
    root = np.random.default_rng(seed).standard_normal((size, rank)) * scale
    return root @ root.T


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_roots_give_the_covariance_back(rank, scale):
    for seed in range(5):
        s = semidefinite(4, rank, seed, scale)
        for root in (lower_root(s), pivoted_factor(s, [slice(0, 4)]).matrix):
            np.testing.assert_allclose(root @ root.T, s, atol=1e-14 * scale**2 * 40)
        lower = lower_root(s)
        assert np.array_equal(lower, np.tril(lower))
        assert (np.diag(lower) >= 0).all()


def test_lower_root_of_unequal_scales():
    """Each variance keeps its own digits."""
    scales = np.array([1e-8, 1.0, 1e8])
    s = semidefinite(3, 3, 1)
    got = lower_root(s * np.outer(scales, scales))
    np.testing.assert_allclose(got, np.linalg.cholesky(s) * scales[:, None], 1e-10)


def test_pivoted_factor():
    s = np.diag([1.0, 4.0, 9.0]) + 0.5
    s[2, :2] = s[:2, 2] = 0.0
    factor = pivoted_factor(s, [slice(0, 2), slice(2, 3)])
    # the larger variance first; entries below its pivots are free
    assert factor.matrix[1, 0] == pytest.approx(np.sqrt(4.5))
    assert factor.matrix[1, 1] == 0.0
    entries = set(zip(factor.rows.tolist(), factor.columns.tolist()))
    assert entries == {(1, 0), (0, 0), (0, 1), (2, 2)}
    np.testing.assert_allclose(factor.covariance, s, atol=1e-14)
    step = np.array([0.1, 0.2, 0.3, 0.4])
    changed = factor.moved(step).matrix - factor.matrix
    np.testing.assert_allclose(changed[factor.rows, factor.columns], step)
    assert np.count_nonzero(changed) == 4


def test_small_pivots_become_zero():
    s = np.diag([1.0, 1e-12])
    assert pivoted_factor(s, [slice(0, 2)], 1e-5).matrix[1].tolist() == [0.0, 0.0]
    assert pivoted_factor(s, [slice(0, 2)]).matrix[1, 1] == pytest.approx(1e-6)
    blocks = [slice(0, 1), slice(1, 2)]
    assert pivoted_factor(s, blocks, 1e-5).matrix[1, 1] == 0.0


def test_orders_of_entries():
    rows, columns = lower_triangles([slice(0, 2), slice(2, 3)])
    assert list(zip(rows, columns)) == [(0, 0), (1, 0), (1, 1), (2, 2)]
    factor = full_factor(np.eye(3), [slice(0, 2), slice(2, 3)])
    assert len(factor.rows) == 5
