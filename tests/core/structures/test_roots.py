"""Roots of covariance matrices, singular or not."""

import numpy as np
import pytest

from statsmodels_lmm.core.structures.relative_factor import pivoted_factor
from statsmodels_lmm.core.structures.roots import (
    SINGULAR,
    is_singular,
    lower_blocks,
    lower_entries,
    lower_root,
    lower_triangles,
    rank,
    symmetric_units,
    triangular,
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


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_triangular_roots_of_any_size(rank):
    """A root keeps its digits where its covariance would overflow or vanish."""
    scales = np.array([1e-200, 1.0, 1e200])[:, None]
    roots = np.random.default_rng(rank).standard_normal((4, 3, 3))
    roots[..., rank:] = 0.0
    for root in (*roots, roots):
        lower = triangular(scales * root) / scales
        assert np.array_equal(lower, np.tril(lower))
        assert (np.diagonal(lower, axis1=-2, axis2=-1) >= 0.0).all()
        again, s = lower @ lower.swapaxes(-1, -2), root @ root.swapaxes(-1, -2)
        np.testing.assert_allclose(again, s, atol=1e-14)


def test_orders_of_entries():
    rows, columns = lower_triangles([slice(0, 2), slice(2, 3)])
    assert list(zip(rows, columns)) == [(0, 0), (1, 0), (1, 1), (2, 2)]
    matrix = np.arange(9.0).reshape(3, 3)
    assert lower_entries(matrix).tolist() == [0.0, 3.0, 6.0, 4.0, 7.0, 8.0]
    many = np.stack([matrix, 2.0 * matrix])
    assert np.array_equal(lower_entries(many)[1], 2.0 * lower_entries(matrix))


def test_symmetric_units():
    s = semidefinite(3, 3, 2)
    units = symmetric_units(3)
    np.testing.assert_allclose(np.tensordot(lower_entries(s), units, 1), s, rtol=1e-15)


def test_lower_blocks():
    s = np.zeros((2, 3, 3))
    for i, each in enumerate(s):
        each[:2, :2], each[2, 2] = semidefinite(2, 1 + i, i), 4.0
    lower = lower_blocks(s, [slice(0, 2), slice(2, 3)])
    np.testing.assert_allclose(lower @ lower.swapaxes(1, 2), s, atol=1e-14)
    assert np.array_equal(lower, np.tril(lower))


def test_singular_covariances():
    """Deviations are held against the largest and against sigma."""
    below, above = (0.99 * SINGULAR) ** 2, (1.01 * SINGULAR) ** 2
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((2, 2)))[0]
    cases = [
        ([0.25, below], True, 1),
        ([0.25, above], False, 2),
        ([9.0, 8.0 * above], True, 1),
        ([9.0, 9.1 * above], False, 2),
        ([0.0, 0.0], True, 0),
    ]
    for variances, singular, left in cases:
        s = turn @ np.diag(variances) @ turn.T
        assert is_singular(s) == singular
        assert rank(turn * np.sqrt(variances)) == left
    many = np.array([np.diag(v) for v, *_ in cases])
    assert is_singular(many).tolist() == [singular for _, singular, _ in cases]
    assert is_singular(np.diag([1.0, 0.01]), 0.11)
