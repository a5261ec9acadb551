"""Errors that depend on the visit before, more or less from visit to visit."""

import numpy as np

from statsmodels_lmm.core.residuals.base import ResidualStructure, correlation_parameter


class AnteDependence(ResidualStructure):
    """
    A correlation of its own for each pair of neighbors among T visits.

    Those of other pairs are products along the way from one visit to the other: first-
    order ante-dependence, SAS's ``ANTE(1)``.
    """

    name = "ad"
    of_visits = True
    has_equal_variances = False
    is_markov = True

    def parameters(self, size):
        """The correlations of neighboring visits."""
        return [correlation_parameter(f"({t}, {t + 1})") for t in range(1, size)]

    def lag(self, phi, before, after):
        """Products on the way from one row to the next, see `ResidualStructure.lag`."""
        way = _Way(phi, before, after)
        return way.product, way.slopes, way.bends

    def correlation(self, phi, where):
        """Products of the correlations on the way, shape (..., m, m)."""
        return _between_all(phi, where).product

    def derivative(self, phi, where):
        """Products of the other correlations on the way, shape (c, ..., m, m)."""
        return _between_all(phi, where).slopes

    def second_derivative(self, phi, where):
        """Products of all but two on the way, shape (c, c, ..., m, m)."""
        return _between_all(phi, where).bends


class _Way:
    """
    Products of neighboring correlations between visits.

    Parameters
    ----------
    phi : ndarray
        The correlations, shape (c,).
    first, last : ndarray
        Visits, the first not after the last.
    """

    def __init__(self, phi, first, last):
        size = len(phi) + 1
        # products from one visit to a later one, zero below the diagonal
        self.whole = np.eye(size)
        for t, rho in enumerate(phi, start=1):
            self.whole[:t, t] = self.whole[:t, t - 1] * rho
        self.first, self.last = first, last

    @property
    def product(self):
        """Shape of the visits."""
        return self.whole[self.first, self.last]

    @property
    def _ends(self):
        """Products up to each step, and after it, shapes (..., c)."""
        return self.whole[self.first, :-1], self.whole.T[self.last, 1:]

    @property
    def slopes(self):
        """Derivatives of the product, shape (c, ...)."""
        before, after = self._ends
        return np.moveaxis(before * after, -1, 0)

    @property
    def bends(self):
        """Second derivatives of the product, shape (c, c, ...)."""
        before, after = self._ends
        out = np.einsum("...k,kl,...l->kl...", before, self.whole[1:, :-1], after)
        return out + out.swapaxes(0, 1)


def _between_all(phi, where):
    """The ways between all pairs of rows."""
    a, b = where[..., :, None], where[..., None, :]
    return _Way(phi, np.minimum(a, b), np.maximum(a, b))
