"""
The levels of one term at the point of their elimination.

For a level with reduced cross-product A and relative covariance S,

    J = (I + A S)^-1,    C = S J = L (I + L'A L)^-1 L',

and eliminating it subtracts R' C R from the cross-products of everything linked to it,
where R holds the level's cross-products with them. J and C exist for any S, singular or
not, and neither is computed by subtraction.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    flat_rows,
    identity,
    product,
    times_each,
    times_shared,
    transpose,
)

REGULAR = 1e-7
"""Smallest ratio of extreme singular values at which L is inverted."""

CHECKERED = np.array([[1.0, -1.0], [-1.0, 1.0]])
"""Signs of the cofactors of a 2 x 2 matrix."""


def solve_levels(diagonal, root):
    """
    Eliminate the levels of one term.

    Everything follows from the Cholesky factor R of I + L'A L, which is as well
    conditioned as the problem; I + A S is worse by the condition of L.

    Parameters
    ----------
    diagonal : ndarray
        A, shape (..., l, k, k).
    root : ndarray
        L, shape (..., k, k).

    Returns
    -------
    half : ndarray
        R^-1 L', so that C = half' half, shape (..., l, k, k).
    inner : ndarray
        J = (I + A S)^-1, shape (..., l, k, k).
    logdet : ndarray
        Sum of log |I + A S| over the levels, shape (...); NaN if I + L'A L of a single
        effect is negative, as with weights below zero.

    Raises
    ------
    numpy.linalg.LinAlgError
        If I + L'A L of several effects is not positive definite.
    """
    k = root.shape[-1]
    if k == 1:
        each = root[..., None, :, :]
        explained = diagonal * each**2
        with np.errstate(invalid="ignore", divide="ignore"):
            logdet = np.log1p(explained).sum(axis=(-1, -2, -3))
            inner = 1.0 / (1.0 + explained)
            return each * np.sqrt(inner), inner, logdet
    # L'A L is (A L)'L
    explained = times_shared(transpose(times_shared(diagonal, root)), root)
    explained += identity(k)
    inverse, logdet = _inverse_root(explained)
    half = times_shared(inverse, transpose(root))
    outer = _inverse_if_regular(root)
    if outer is not None:
        # J = L'^-1 R^-T half, so that J' is half' R^-1 L^-1
        inner = times_each(transpose(half), inverse)
        inner = transpose(times_shared(inner, outer))
    else:
        inner = identity(k) - diagonal @ (transpose(half) @ half)
    return half, inner, logdet


def _inverse_if_regular(root):
    """L^-1; None if any L is too close to singular to be inverted."""
    if root.shape[-1] == 2:
        size = (root**2).sum(axis=(-1, -2))
        crossed = root[..., 0, 1] * root[..., 1, 0]
        determinant = root[..., 0, 0] * root[..., 1, 1] - crossed
        if not (np.abs(determinant) > REGULAR * size).all():
            return None
        adjugate = transpose(root[..., ::-1, ::-1]) * CHECKERED
        return adjugate / determinant[..., None, None]
    values = np.linalg.svd(root, compute_uv=False)
    regular = (values[..., -1] > REGULAR * values[..., 0]).all()
    return np.linalg.inv(root) if regular else None


def _inverse_root(matrices):
    """Inverse of the lower Cholesky factors, and the sum of log-determinants."""
    if matrices.shape[-1] > 2:
        root = np.linalg.cholesky(matrices)
        diagonal = np.diagonal(root, axis1=-2, axis2=-1)
        return np.linalg.inv(root), 2.0 * np.log(diagonal).sum(axis=(-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        first = np.sqrt(matrices[..., 0, 0])
        across = matrices[..., 1, 0] / first
        rest = matrices[..., 1, 1] - across**2
    if not (rest > 0.0).all():
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    second = np.sqrt(rest)
    inverse = np.zeros(matrices.shape)
    inverse[..., 0, 0], inverse[..., 1, 1] = 1.0 / first, 1.0 / second
    determinant = first * second
    inverse[..., 1, 0] = -across / determinant
    return inverse, 2.0 * np.log(determinant).sum(axis=-1)


def sum_by_parent(values, parents):
    """
    Sum blocks over the levels that share a parent.

    Parameters
    ----------
    values : ndarray
        Shape (..., l, a, b).
    parents : ndarray
        Parent of each level, ascending and with none left out, shape (l,).

    Returns
    -------
    ndarray
        Shape (..., number of parents, a, b).
    """
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    return np.add.reduceat(values, starts, axis=-3)


def level_gram(left, right):
    """Sum over levels and effects of left' right, shape (..., a, b)."""
    return product(transpose(flat_rows(left)), flat_rows(right))
