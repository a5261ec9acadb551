"""
Dense linear algebra with leading batch axes.

Matrices without batch axes always go to SciPy's BLAS and LAPACK: the thread pool of
NumPy's own copy of the library would compete with SciPy's for the cores.
"""

from functools import lru_cache

import numpy as np
from scipy.linalg import blas, lapack

KEPT = 64
"""Number of rows up to which arrays that depend on nothing else are cached."""


def consecutive(sizes):
    """Consecutive slices of given sizes, as a tuple."""
    return _consecutive(tuple(sizes))


@lru_cache(maxsize=256)
def _consecutive(sizes):
    slices, start = [], 0
    for size in sizes:
        slices.append(slice(start, start + size))
        start += size
    return tuple(slices)


@lru_cache(maxsize=16)
def identity(size):
    """The identity matrix, shared and read-only."""
    out = np.eye(size)
    out.flags.writeable = False
    return out


FILLED_AT_ONCE = 512
"""Number of rows of the upper triangle that are filled at once."""

HALVED = 8
"""Number of rows from which many triangular matrices are inverted by halves."""


def transpose(matrices):
    """Swap the last two axes."""
    return matrices.swapaxes(-1, -2)


def symmetric(lower):
    """Fill the upper triangle of a matrix from the lower one."""
    return np.where(_lower_mask(lower.shape[-1]), lower, transpose(lower))


def fill_upper(matrix):
    """
    Fill the upper triangle of a matrix from the lower one in place.

    Parameters
    ----------
    matrix : ndarray
        Shape (q, q).

    Returns
    -------
    ndarray
        The matrix.
    """
    for a in range(0, len(matrix), FILLED_AT_ONCE):
        b = a + FILLED_AT_ONCE
        matrix[a:b, a:b] = symmetric(matrix[a:b, a:b])
        matrix[a:b, b:] = matrix[b:, a:b].T
    return matrix


def cholesky(matrix, is_lower=False):
    """
    Lower Cholesky factor from the lower triangle, which may be overwritten.

    Parameters
    ----------
    matrix : ndarray
        Shape (..., q, q).
    is_lower : bool, optional
        Whether the upper triangle is known to be zero.

    Returns
    -------
    ndarray
        Shape (..., q, q).

    Raises
    ------
    LinAlgError
        If the matrix is not positive definite.
    """
    if matrix.ndim > 2:
        return np.linalg.cholesky(matrix)
    factor, info = lapack.dpotrf(matrix.T, lower=0, clean=not is_lower, overwrite_a=1)
    if info:
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    return factor.T


def solve_lower(root, right):
    """Solve root x = right for a lower triangular root, batched or not."""
    if root.ndim > 2 or right.ndim > 2 or not root.size:
        return np.linalg.solve(root, right)
    return lapack.dtrtrs(root.T, right, lower=0, trans=1)[0]


def solve_upper(root, right):
    """Solve root' x = right for a lower triangular root, batched or not."""
    if root.ndim > 2 or right.ndim > 2 or not root.size:
        return np.linalg.solve(transpose(root), right)
    return lapack.dtrtrs(root.T, right, lower=0, trans=0)[0]


def add_identity(matrices):
    """Add the identity to matrices in place and return them."""
    diagonal = np.einsum("...ii->...i", matrices)
    diagonal += 1.0
    return matrices


def inverse_lower(root):
    """Inverse of a lower triangular matrix, batched or not."""
    if root.ndim > 2 or not root.shape[-1]:
        return _inverse_by_halves(root)
    inverse, info = lapack.dtrtri(root.T, lower=0)
    if info:
        raise np.linalg.LinAlgError("Singular matrix")
    return inverse.T


def _inverse_by_halves(root):
    """
    Inverses of many lower triangular matrices.

    NumPy factorizes each anew, which products of their halves avoid.
    """
    size = root.shape[-1]
    if size <= HALVED:
        return np.linalg.inv(root)
    m = size // 2
    out = np.zeros(root.shape)
    out[..., :m, :m] = first = _inverse_by_halves(root[..., :m, :m])
    out[..., m:, m:] = second = _inverse_by_halves(root[..., m:, m:])
    out[..., m:, :m] = -second @ (root[..., m:, :m] @ first)
    return out


def inverse_from_cholesky(root, both=True):
    """
    Inverse of a matrix from its lower Cholesky factor.

    Parameters
    ----------
    root : ndarray
        Shape (..., q, q).
    both : bool, optional
        Whether to fill the upper triangle as well.

    Returns
    -------
    ndarray
        Shape (..., q, q).
    """
    if root.ndim > 2:
        half = inverse_lower(root)
        return transpose(half) @ half
    if not root.size:
        return root.copy()
    upper = np.array(root.T, order="F")
    inverse = lapack.dpotri(upper, lower=0, overwrite_c=1)[0].T
    return fill_upper(inverse) if both else inverse


def product(left, right):
    """Left times right for two matrices, batched or not."""
    small = left.shape[-2] * right.shape[-1] * left.shape[-1] < 20_000
    if left.ndim > 2 or right.ndim > 2 or small:
        return left @ right
    # BLAS reads by columns, and right' left' is the transpose of the product
    flip_right, flip_left = not right.flags.c_contiguous, not left.flags.c_contiguous
    return blas.dgemm(
        1.0,
        right if flip_right else right.T,
        left if flip_left else left.T,
        trans_a=flip_right,
        trans_b=flip_left,
    ).T


def times_shared(blocks, matrix):
    """
    Blocks of every level times one matrix, as a single product.

    Parameters
    ----------
    blocks : ndarray
        Shape (..., l, a, b).
    matrix : ndarray
        Shape (..., b, c).

    Returns
    -------
    ndarray
        Shape (..., l, a, c).
    """
    *batch, levels, a, b = blocks.shape
    out = product(blocks.reshape(*batch, levels * a, b), matrix)
    return out.reshape(*out.shape[:-2], levels, a, out.shape[-1])


def times_each(left, right):
    """
    Products of the blocks of every level, shapes (..., l, a, b) and (..., l, b, c).

    NumPy multiplies small matrices fast if they are contiguous, and outer products
    faster elementwise.
    """
    if left.shape[-1] == 1:
        return left * right
    return np.ascontiguousarray(left) @ right


def triangle_of_qr(matrix):
    """R of the QR decomposition of a matrix."""
    if matrix.ndim > 2 or matrix.size > KEPT**2 or matrix.shape[0] < matrix.shape[1]:
        return np.asarray(np.linalg.qr(matrix, mode="r"))
    columns = matrix.shape[1]
    return lower_part(lapack.dgeqrf(matrix)[0][:columns].T).T


def lower_part(matrices):
    """Matrices with zeros above the diagonal."""
    return np.where(_lower_mask(matrices.shape[-1]), matrices, 0.0)


def _lower_mask(size):
    return _small_mask(size) if size <= KEPT else np.tri(size, dtype=bool)


@lru_cache(maxsize=KEPT)
def _small_mask(size):
    return np.tri(size, dtype=bool)


def eigh(matrix):
    """Eigenvalues and eigenvectors of a symmetric matrix, batched or not."""
    if matrix.shape[-1] == 1:
        return matrix[..., 0].copy(), np.ones(matrix.shape)
    if matrix.ndim > 2:
        return np.linalg.eigh(matrix)
    values, vectors, info = lapack.dsyevd(matrix)
    if info:
        return np.linalg.eigh(matrix)
    return values, vectors


def eigvalsh(matrix):
    """Ascending eigenvalues of a symmetric matrix, batched or not."""
    if matrix.ndim > 2:
        return np.linalg.eigvalsh(matrix)
    values, _, info = lapack.dsyevd(matrix, compute_v=0)
    return np.linalg.eigvalsh(matrix) if info else values


def flat_rows(blocks):
    """Levels and effects as one axis, from (..., l, k, m) to (..., l k, m)."""
    *batch, levels, effects, columns = blocks.shape
    return blocks.reshape(*batch, levels * effects, columns)


def concatenated(arrays):
    """Arrays concatenated along their last axis; a single one is returned as is."""
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, axis=-1)


def as_array(matrix):
    """
    A dense or sparse matrix as an array.

    Parameters
    ----------
    matrix : array_like or sparse matrix
        The matrix.

    Returns
    -------
    ndarray
    """
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
