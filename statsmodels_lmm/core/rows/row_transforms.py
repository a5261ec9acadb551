"""
Transforms of the rows that turn a weighted model into an unweighted one.

If the errors have covariance sigma^2 R, the model for R^-1/2 y, R^-1/2 X and
R^-1/2 Z has independent errors of variance sigma^2.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse


class RowTransform(Protocol):
    """A matrix T that multiplies y, X and Z from the left."""

    def apply(self, columns):
        """
        T A for columns A.

        Parameters
        ----------
        columns : ndarray or sparse array
            A, shape (n,) or (n, m).

        Returns
        -------
        ndarray or csr_array
            Shape of `columns`.
        """


@dataclass(frozen=True)
class RowWeights:
    """
    One weight per row; the error variance of a row is sigma^2 / root^2.

    Parameters
    ----------
    root : ndarray
        Square roots of the weights, positive, shape (n,).
    """

    root: np.ndarray

    def apply(self, columns):
        """Columns, shape (n,) or (n, m), with each row multiplied by its root."""
        if columns.ndim == 1:
            return self.root * columns
        if sparse.issparse(columns):
            return columns.multiply(self.root[:, None]).tocsr()
        return self.root[:, None] * columns

    def take(self, rows):
        """The weights of a subset of the rows."""
        return RowWeights(self.root[rows])
