"""Errors whose correlation depends on the number of visits between them."""

import numpy as np

from statsmodels_lmm.core.residuals.base import (
    ResidualStructure,
    bounded,
    correlation_parameter,
    gaps,
    unbounded,
)
from statsmodels_lmm.core.residuals.partial_autocorrelations import (
    autocorrelations,
    from_autocorrelations,
)


class Toeplitz(ResidualStructure):
    """
    One correlation for each distance of two of T visits.

    SAS's ``TOEP``. A search moves in the partial autocorrelations, so that the matrix
    of all visits stays positive definite.
    """

    name = "toep"
    of_visits = True
    is_linear = True

    def parameters(self, size):
        """The correlations of visits 1, ..., T - 1 steps apart."""
        return [correlation_parameter(f"lag {lag}") for lag in range(1, size)]

    def correlation(self, phi, where):
        """The correlation at the lag of each pair, shape (..., m, m)."""
        return np.append(1.0, phi)[gaps(where)]

    def derivative(self, phi, where):
        """Where each correlation stands in the matrices, shape (c, ..., m, m)."""
        lags = gaps(where)
        each = np.arange(1, len(phi) + 1).reshape(-1, *[1] * lags.ndim)
        return (lags == each).astype(float)

    def unfold(self, x, size):
        """Autocorrelations from inverse tanh of the partial ones."""
        partial, slopes = bounded(x)
        values, jacobian = autocorrelations(partial)
        return values, jacobian * slopes

    def fold(self, phi, size):
        """Inverse tanh of the partial autocorrelations."""
        return unbounded(from_autocorrelations(phi))
