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
        triangle = np.eye(size)
        triangle[rows, columns] = np.sinh(x)
        lengths = np.sqrt((triangle**2).sum(axis=1))
        unit = triangle / lengths[:, None]
        correlations = (unit @ unit.T)[rows, columns]
        # d row_i / d sinh x_ij = (e_j - unit_i unit_ij) / length_i
        jacobian = np.zeros((len(x), len(x)))
        for k, (i, j) in enumerate(zip(rows, columns)):
            turn = -unit[i] * unit[i, j]
            turn[j] += 1.0
            change = unit @ (turn / lengths[i])
            jacobian[:, k] = np.where(rows == i, change[columns], 0.0)
            jacobian[:, k] += np.where(columns == i, change[rows], 0.0)
        return correlations, jacobian * np.cosh(x)

    def fold(self, phi, size):
        """Entries of the triangle of given correlations."""
        root = np.linalg.cholesky(_matrix(phi))
        triangle = root / np.diagonal(root)[:, None]
        return np.arcsinh(triangle[np.tril_indices(size, -1)])


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
