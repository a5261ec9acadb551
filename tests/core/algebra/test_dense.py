"""Dense linear algebra against that of NumPy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.algebra import dense
from statsmodels_lmm.core.algebra.dense import (
    FILLED_AT_ONCE,
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


@pytest.mark.parametrize(
    "q",
    [
        1,
        30,
        FILLED_AT_ONCE,
        FILLED_AT_ONCE + 1,
        2 * FILLED_AT_ONCE + 7,
    ],
)
def test_inverse(q):
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


SHAPES = [(), (3,)]


def positive(shape, size, seed=0):
    half = np.random.default_rng(seed).standard_normal((*shape, size, size + 2))
    return half @ half.swapaxes(-1, -2)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 2, 5])
def test_factors_and_their_inverses(shape, size):
    matrix = positive(shape, size)
    root = dense.cholesky(matrix.copy())
    assert_allclose(root, np.linalg.cholesky(matrix), rtol=1e-12, atol=1e-14)
    assert_allclose(dense.inverse_lower(root), np.linalg.inv(root), atol=1e-10)
    right = np.ones((*shape, size, 2))
    assert_allclose(dense.solve_lower(root, right), np.linalg.solve(root, right))
    assert_allclose(dense.eigvalsh(matrix), np.linalg.eigvalsh(matrix), rtol=1e-9)
    assert_array_equal(dense.lower_part(matrix), np.tril(matrix))
    assert_array_equal(dense.symmetric(np.tril(matrix)), matrix)
    sum_of_both = dense.add_identity(matrix.copy())
    assert_array_equal(sum_of_both, matrix + np.eye(size))


def test_a_singular_triangle_has_no_inverse():
    with pytest.raises(np.linalg.LinAlgError):
        dense.inverse_lower(np.array([[1.0, 0.0], [1.0, 0.0]]))


@pytest.mark.parametrize("shape", [(6, 3), (3, 3), (3, 6), (4, 0), (3000, 2)])
def test_triangles_of_qr(shape):
    matrix = np.random.default_rng(1).standard_normal(shape)
    triangle = dense.triangle_of_qr(matrix)
    assert_array_equal(triangle, np.triu(triangle))
    assert_allclose(triangle.T @ triangle, matrix.T @ matrix, rtol=1e-9, atol=1e-10)


def test_nothing_is_of_no_size():
    nothing = np.zeros((0, 0))
    assert dense.inverse_lower(nothing).shape == (0, 0)
    assert dense.eigvalsh(nothing).shape == (0,)
    assert dense.solve_lower(nothing, np.zeros((0, 3))).shape == (0, 3)


def test_what_is_kept_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        dense.identity(3)[0, 0] = 2.0


def test_pieces_in_a_row():
    slices = slice(0, 2), slice(2, 2), slice(2, 5)
    assert dense.consecutive((2, 0, 3)) == dense.consecutive(iter([2, 0, 3])) == slices
    one, other = np.ones((2, 1)), np.zeros((2, 2))
    assert dense.concatenated([one]) is one
    assert_array_equal(dense.concatenated([one, other]), [[1, 0, 0]] * 2)
    blocks = np.arange(24.0).reshape(2, 3, 2, 2)
    assert_array_equal(dense.flat_rows(blocks), blocks.reshape(2, 6, 2))
