"""
Algebra of small matrices, one for each of many responses, with the responses last.

An entry of all matrices is then one array, and a sum over few indices is a few passes
over memory; libraries for matrices treat these one by one.
"""

import numpy as np


def times(left, right):
    """
    Products of matrices.

    Parameters
    ----------
    left, right : ndarray
        Shapes (..., a, b, r) and (..., b, c, r).

    Returns
    -------
    ndarray
        Shape (..., a, c, r).
    """
    out = left[..., :, 0, None, :] * right[..., 0, None, :, :]
    for j in range(1, right.shape[-3]):
        out += left[..., :, j, None, :] * right[..., j, None, :, :]
    return out


def swapped(matrices):
    """Transposed matrices, shape (..., b, a, r)."""
    return matrices.swapaxes(-2, -3)


def within(outer, inner):
    """The matrices J T J', for J of shape (k, k, r) and T of shape (..., k, k, r)."""
    return times(times(outer, inner), swapped(outer))


def shared_times(matrix, values):
    """One matrix (a, b) times columns for each response, (b, ..., r)."""
    flat = matrix @ values.reshape(values.shape[0], -1)
    return flat.reshape(len(matrix), *values.shape[1:])


def inner(left, right):
    """Sum over both indices of products of entries, shapes (..., a, b, r)."""
    return np.einsum("...abr,...abr->...r", left, right)


def inverse_root(matrices):
    """
    Inverses of the lower Cholesky factors of positive definite matrices.

    Parameters
    ----------
    matrices : ndarray
        Shape (k, k, r).

    Returns
    -------
    inverse : ndarray
        Lower triangular, shape (k, k, r).
    logdet : ndarray
        Log-determinants of the matrices, shape (r,).

    Raises
    ------
    numpy.linalg.LinAlgError
        If a matrix is not positive definite.
    """
    k = len(matrices)
    root, inverse = np.zeros(matrices.shape), np.zeros(matrices.shape)
    for j in range(k):
        pivot = matrices[j, j] - (root[j, :j] ** 2).sum(axis=0)
        if not (pivot > 0.0).all():
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        root[j, j] = np.sqrt(pivot)
        for i in range(j + 1, k):
            explained = (root[i, :j] * root[j, :j]).sum(axis=0)
            root[i, j] = (matrices[i, j] - explained) / root[j, j]
    determinant = 1.0
    for j in range(k):
        determinant = determinant * root[j, j]
        inverse[j, j] = 1.0 / root[j, j]
        for i in range(j + 1, k):
            across = (root[i, j:i] * inverse[j:i, j]).sum(axis=0)
            inverse[i, j] = -across / root[i, i]
    return inverse, 2.0 * np.log(determinant)
