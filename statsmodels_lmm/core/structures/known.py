"""Covariance matrices that are known, or known up to a variance."""

import numpy as np

from statsmodels_lmm.core.structures.base import Structure, deviation
from statsmodels_lmm.core.structures.roots import SINGULAR


class Known(Structure):
    """
    A known matrix times one variance, S = theta^2 K.

    Parameters
    ----------
    matrix : array_like
        K, positive semi-definite, shape (k, k).
    name : str, optional
        Name in tables.
    """

    def __init__(self, matrix, name="known"):
        self.matrix = np.array(matrix, dtype=float)
        self.name = name

    def parameters(self, effects):
        """One standard deviation."""
        return [deviation(self.name)]

    def covariance(self, theta, k):
        """The matrix times theta^2."""
        return theta[0] ** 2 * self.matrix

    def derivative(self, theta, k):
        """2 theta K."""
        return 2.0 * theta[0] * self.matrix[None]

    def second_derivative(self, theta, k):
        """2 K."""
        return 2.0 * self.matrix[None, None]

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Whether theta is zero; K itself is not examined."""
        return bool(abs(theta[0]) <= tolerance)


class Fixed(Structure):
    """
    A covariance matrix that is not estimated, S = K.

    Parameters
    ----------
    matrix : array_like
        Covariance of the random effects divided by sigma^2, shape (k, k).
    name : str, optional
        Name in tables.
    """

    def __init__(self, matrix, name="fixed"):
        self.matrix = np.array(matrix, dtype=float)
        self.name = name

    def parameters(self, effects):
        """None."""
        return []

    def covariance(self, theta, k):
        """The matrix."""
        return self.matrix

    def is_singular(self, theta, k, tolerance=SINGULAR):
        """Nothing is estimated, so nothing is on a boundary."""
        return False
