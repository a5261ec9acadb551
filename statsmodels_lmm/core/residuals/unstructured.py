"""Errors with a correlation of its own for each pair of visits."""

import numpy as np

from statsmodels_lmm.core.residuals.base import ResidualStructure, correlation_parameter


class Unstructured(ResidualStructure):
    """
    Any correlation matrix of T visits.

    A search moves in the rows of a triangle T with T T' = C: row i is
    (sinh x_i1, ..., 1) divided by its length, so that C stays positive definite. For
    two visits x is Fisher's z. Without sinh, a correlation close to one is far away.
    """

    name = "us"
    of_visits = True
    has_equal_variances = False
    is_linear = True

    def parameters(self, size):
        """The correlations below the diagonal, row by row."""
        rows, columns = np.tril_indices(size, -1)
        return [
            correlation_parameter(f"({j + 1}, {i + 1})") for i, j in zip(rows, columns)
        ]

    def correlation(self, phi, where):
        """Entries of the matrix of all visits, shape (..., m, m)."""
        whole = _matrix(phi)
        return whole[where[..., :, None], where[..., None, :]]

    def derivative(self, phi, where):
        """Where each correlation stands in the matrices, shape (c, ..., m, m)."""
        size = _size(len(phi))
        number = np.full((size, size), -1)
        rows, columns = np.tril_indices(size, -1)
        number[rows, columns] = number[columns, rows] = np.arange(len(phi))
        here = number[where[..., :, None], where[..., None, :]]
        each = np.arange(len(phi)).reshape(-1, *[1] * here.ndim)
        return (here == each).astype(float)

    def start(self, size, spread):
        """Correlations of 0.2."""
        return np.full(size * (size - 1) // 2, 0.2)

    def unfold(self, x, size):
        """Correlations from the entries of the triangle, see `ResidualStructure`."""
        rows, columns = np.tril_indices(size, -1)
        unit, _, turns = _directions(x, size)
        correlations = (unit @ unit.T)[rows, columns]
        change = turns @ unit.T  # of the products of row i with the other rows
        jacobian = np.where(rows[:, None] == rows, change.T[columns], 0.0)
        jacobian += np.where(columns[:, None] == rows, change.T[rows], 0.0)
        return correlations, jacobian * np.cosh(x)

    def bends(self, x, slopes, size):
        """Weighted second derivatives of `unfold`, see `ResidualStructure`."""
        rows, columns = np.tril_indices(size, -1)
        unit, lengths, turns = _directions(x, size)
        weights = _matrix(slopes) - np.eye(size)
        out = (turns @ turns.T) * weights[np.ix_(rows, rows)]
        # within a row u of length l, the turns g_j and g_k, and g_j itself, change by
        # -(u_j g_k + u_k g_j + u (e_j - u u_j)_k / l) / l
        others = weights @ unit
        entry, length = unit[rows, columns], lengths[rows]
        along = (turns * others[rows]).sum(axis=1)
        size_along = (unit * others).sum(axis=1)[rows] / length
        mixed = np.outer(entry, along - 0.5 * size_along * entry)
        bend = mixed + mixed.T + np.diag(size_along)
        out = out - np.where(rows[:, None] == rows, bend / length, 0.0)
        steps = np.cosh(x)
        return out * np.outer(steps, steps) + np.diag(along * np.sinh(x))

    def fold(self, phi, size):
        """Entries of the triangle of given correlations."""
        root = np.linalg.cholesky(_matrix(phi))
        triangle = root / np.diagonal(root)[:, None]
        return np.arcsinh(triangle[np.tril_indices(size, -1)])


def _directions(x, size):
    """
    The rows u of the triangle, and how they turn.

    Returns
    -------
    unit, lengths : ndarray
        Rows u_i of length one, and their lengths before, shapes (T, T) and (T,).
    turns : ndarray
        Derivatives (e_j - u_i u_ij) / length_i of row i in sinh of its entry j, shape
        (c, T).
    """
    rows, columns = np.tril_indices(size, -1)
    triangle = np.eye(size)
    triangle[rows, columns] = np.sinh(x)
    lengths = np.sqrt((triangle**2).sum(axis=1))
    unit = triangle / lengths[:, None]
    turns = np.eye(size)[columns] - unit[rows] * unit[rows, columns][:, None]
    return unit, lengths, turns / lengths[rows][:, None]


def _size(count):
    """Number of visits with `count` correlations."""
    return round(0.5 * (1.0 + np.sqrt(1.0 + 8.0 * count)))


def _matrix(phi):
    """The correlation matrix of all visits."""
    size = _size(len(phi))
    whole = np.eye(size)
    rows, columns = np.tril_indices(size, -1)
    whole[rows, columns] = whole[columns, rows] = phi
    return whole
