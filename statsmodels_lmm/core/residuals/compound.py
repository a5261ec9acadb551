"""Errors that are equally correlated within a group."""

import numpy as np

from statsmodels_lmm.core.residuals.base import ResidualStructure, correlation_parameter


class CompoundSymmetry(ResidualStructure):
    """
    One correlation rho between any two rows of a group.

    SAS's ``CS`` and nlme's ``corCompSymm``. With m rows in the largest group rho is
    above -1 / (m - 1).
    """

    name = "cs"
    needs_place = False
    has_equal_variances = False
    is_linear = True

    def parameters(self, size):
        """One correlation."""
        return [correlation_parameter(lower=-1.0 / max(size - 1, 1))]

    def correlation(self, phi, where):
        """Ones on the diagonal and rho elsewhere, shape (..., m, m)."""
        m = where.shape[-1]
        matrix = np.where(np.eye(m, dtype=bool), 1.0, phi[0])
        return np.broadcast_to(matrix, (*where.shape, m))

    def derivative(self, phi, where):
        """Zeros on the diagonal and ones elsewhere, shape (1, ..., m, m)."""
        m = where.shape[-1]
        return np.broadcast_to(1.0 - np.eye(m), (1, *where.shape, m))
