"""Square roots of covariance matrices, their triangles, and tests of singularity."""

from functools import lru_cache

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    eigh,
    eigvalsh,
    transpose,
    triangle_of_qr,
)

SINGULAR = 1e-4
"""Share of a block's largest standard deviation below which one counts as 0."""

INDEFINITE = -1e-9
"""Smallest eigenvalue allowed in a correlation matrix."""


def is_singular(covariance, tolerance=SINGULAR):
    """
    Whether a covariance matrix has a standard deviation that counts as zero.

    The standard deviations are those of the principal components. They are compared
    with the largest of them and with sigma, which is one.

    Parameters
    ----------
    covariance : ndarray
        S in standardized units, shape (..., k, k).
    tolerance : float, optional
        Share below which a standard deviation counts as zero.

    Returns
    -------
    ndarray of bool
        Shape (...).
    """
    values = eigvalsh(covariance)
    deviations = np.sqrt(np.maximum(values, 0.0))
    largest = np.maximum(1.0, deviations[..., -1])
    return deviations[..., 0] <= tolerance * largest


def vanishes(covariance):
    """Whether all variances in standardized units count as zero, shape (...)."""
    variances = np.diagonal(covariance, axis1=-2, axis2=-1)
    return variances.max(axis=-1, initial=0.0) <= SINGULAR**2


def rank(matrix):
    """
    Number of standard deviations that do not count as zero, see `is_singular`.

    Parameters
    ----------
    matrix : ndarray
        A root L of S = L L', shape (k, k).

    Returns
    -------
    int
    """
    values = np.linalg.svd(matrix, compute_uv=False)
    return int((values > SINGULAR * max(1.0, values[0])).sum())


def lower_root(covariance, strict=False):
    """
    Lower triangular L of a positive semi-definite S = L L', singular or not.

    Parameters
    ----------
    covariance : ndarray
        S, shape (..., k, k).
    strict : bool, optional
        Whether to reject an S that is not positive semi-definite.

    Returns
    -------
    ndarray
        L with a non-negative diagonal, shape (..., k, k).

    Raises
    ------
    numpy.linalg.LinAlgError
        If S is rejected.
    """
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)
    if strict and not (diagonal >= 0.0).all():
        raise np.linalg.LinAlgError("Matrix is not positive semi-definite")
    scale = np.sqrt(diagonal)
    scale = np.where(scale == 0.0, 1.0, scale)
    both = scale[..., :, None] * scale[..., None, :]
    values, vectors = eigh(covariance / both)
    if strict and not (values >= INDEFINITE).all():
        raise np.linalg.LinAlgError("Matrix is not positive semi-definite")
    half = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return triangular(half) * scale[..., :, None]


def triangular(root):
    """
    Lower triangular L with L L' = R R' for a square R.

    Parameters
    ----------
    root : ndarray
        R, shape (..., k, k).

    Returns
    -------
    ndarray
        L with a non-negative diagonal, shape (..., k, k).
    """
    lower = transpose(triangle_of_qr(transpose(root)))
    signs = np.where(np.diagonal(lower, axis1=-2, axis2=-1) < 0.0, -1.0, 1.0)
    return lower * signs[..., None, :]


def lower_blocks(covariance, slices):
    """
    Lower triangular roots of the blocks of S, as one matrix.

    Parameters
    ----------
    covariance : ndarray
        S, block-diagonal and positive semi-definite, shape (..., k, k).
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    ndarray
        Shape (..., k, k).
    """
    lower = np.zeros_like(covariance)
    for block in slices:
        lower[..., block, block] = lower_root(covariance[..., block, block])
    return lower


@lru_cache
def lower_triangle(size):
    """
    Rows and columns of the lower triangle of a matrix, column by column.

    This is the order in which lme4 lists theta.

    Parameters
    ----------
    size : int
        Number of rows k.

    Returns
    -------
    rows, columns : ndarray
        Shape (k (k + 1) / 2,).
    """
    columns, rows = np.triu_indices(size)
    return rows, columns


def lower_entries(matrix):
    """Lower triangles of matrices (..., k, k), in the order of `lower_triangle`."""
    return matrix[(..., *lower_triangle(matrix.shape[-1]))]


def lower_triangles(slices):
    """
    Rows and columns of the lower triangles of blocks, concatenated.

    Parameters
    ----------
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    rows, columns : ndarray
        Shape (number of parameters,), each block in the order of `lower_triangle`.
    """
    rows, columns = [], []
    for block in slices:
        row, column = lower_triangle(block.stop - block.start)
        rows.append(block.start + row)
        columns.append(block.start + column)
    return np.concatenate(rows), np.concatenate(columns)


def symmetric_units(size):
    """
    The basis E_r of the symmetric matrices.

    Parameters
    ----------
    size : int
        Number of rows k.

    Returns
    -------
    ndarray
        Shape (k (k + 1) / 2, k, k), in the order of `lower_triangle`.
    """
    rows, columns = lower_triangle(size)
    out = np.zeros((len(rows), size, size))
    each = np.arange(len(rows))
    out[each, rows, columns] = out[each, columns, rows] = 1.0
    return out
