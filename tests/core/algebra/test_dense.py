"""Dense linear algebra against that of NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra.dense import (
    SMALL,
    cholesky,
    inverse_from_cholesky,
    product,
    solve_lower,
    solve_upper,
)


def positive_definite(q, seed=0):
    root = np.random.default_rng(seed).standard_normal((q, 2 * q))
    return root @ root.T


@pytest.mark.parametrize("is_lower", [True, False])
def test_cholesky(is_lower):
    matrix = positive_definite(30)
    taken = np.tril(matrix) if is_lower else matrix.copy()
    assert_allclose(cholesky(taken, is_lower), np.linalg.cholesky(matrix))
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        cholesky(-np.eye(3), is_lower)


@pytest.mark.parametrize("q", [1, 30, SMALL, SMALL + 1, 2 * SMALL + 7, 5 * SMALL])
def test_inverse(q):
    """Above a size the factor is inverted by halves."""
    matrix = positive_definite(q)
    root = np.linalg.cholesky(matrix)
    wanted = np.linalg.inv(matrix)
    size = np.abs(wanted).max()
    assert_allclose(inverse_from_cholesky(root), wanted, rtol=0, atol=1e-11 * size)
    lower = np.tril(inverse_from_cholesky(root, both=False))
    assert_allclose(lower, np.tril(wanted), rtol=0, atol=1e-11 * size)
    assert_allclose(root @ root.T, matrix)


def test_triangular_systems():
    root, right = np.linalg.cholesky(positive_definite(20)), np.ones((20, 3))
    assert_allclose(root @ solve_lower(root, right), right)
    assert_allclose(root.T @ solve_upper(root, right), right)


@pytest.mark.parametrize("order", ["CC", "CF", "FC", "FF"])
def test_product(order):
    rng = np.random.default_rng(2)
    left = np.asarray(rng.standard_normal((40, 50)), order=order[0])
    right = np.asarray(rng.standard_normal((50, 60)), order=order[1])
    assert_allclose(product(left, right), left @ right)
