"""Small dense algebra against NumPy's, alone and with leading axes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.algebra import dense

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
    assert dense.consecutive((2, 0, 3)) == (slice(0, 2), slice(2, 2), slice(2, 5))
    one, other = np.ones((2, 1)), np.zeros((2, 2))
    assert dense.concatenated([one]) is one
    assert_array_equal(dense.concatenated([one, other]), [[1, 0, 0]] * 2)
    blocks = np.arange(24.0).reshape(2, 3, 2, 2)
    assert_array_equal(dense.flat_rows(blocks), blocks.reshape(2, 6, 2))
