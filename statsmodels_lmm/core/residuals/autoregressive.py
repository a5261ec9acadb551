"""Autoregressive errors, in steps of one or in continuous time."""

import numpy as np
from scipy.special import expit, logit

from statsmodels_lmm.core.residuals.base import (
    INSIDE,
    ResidualStructure,
    correlation_parameter,
    gaps,
)

LEAST = 1e-150
"""Smallest correlation of rows a unit of continuous time apart."""


class Autoregressive(ResidualStructure):
    """
    Correlation rho^d of rows that are d whole steps apart.

    The first-order autoregression of SAS's ``AR(1)`` and nlme's ``corAR1``; a step that
    was not observed counts.
    """

    name = "ar1"
    is_markov = of_whole_steps = True

    def parameters(self, size):
        """One correlation, of neighbors in time."""
        return [correlation_parameter()]

    def lag(self, phi, before, after):
        """Powers of rho and their derivatives, see `ResidualStructure.lag`."""
        rho, d = phi[0], after - before
        slope, bend = self._slope(rho, d), self._bend(rho, d)
        return self._power(rho, d), slope[None], bend[None, None]

    def correlation(self, phi, where):
        """rho^|t - s|, shape (..., m, m)."""
        return self._power(phi[0], gaps(where))

    def derivative(self, phi, where):
        """Derivatives in rho, shape (1, ..., m, m)."""
        return self._slope(phi[0], gaps(where))[None]

    def second_derivative(self, phi, where):
        """Second derivatives in rho, shape (1, 1, ..., m, m)."""
        return self._bend(phi[0], gaps(where))[None, None]

    def _slope(self, rho, d):
        """The derivative of rho^d."""
        return d * self._power(rho, d - 1.0)

    def _bend(self, rho, d):
        """The second derivative of rho^d."""
        return d * (d - 1.0) * self._power(rho, d - 2.0)

    @staticmethod
    def _power(rho, exponents):
        """Powers of rho by whole numbers; those below zero count as zero."""
        whole = np.rint(exponents)
        powers = np.maximum(whole, 0.0)
        return np.where(whole < 0.0, 0.0, np.power(rho, powers))


class ContinuousAutoregressive(Autoregressive):
    """
    Correlation rho^d, rho > 0, of rows at a distance d in continuous time.

    nlme's ``corCAR1``; exp(-d / range) with rho = exp(-1 / range).
    """

    name = "car1"
    of_whole_steps = False

    def parameters(self, size):
        """One correlation, of rows a unit of time apart."""
        return [correlation_parameter(lower=0.0)]

    def start(self, size, spread):
        """A correlation of 0.2 across a tenth of the longest distance."""
        unit = 0.1 * spread if spread > 0.0 else 1.0
        return np.array([max(0.2 ** (1.0 / unit), LEAST)])

    def unfold(self, x, size):
        """The correlation from its logit, with all digits of a small one."""
        rho = np.clip(expit(x), LEAST, 1.0 - INSIDE)
        return rho, np.diag(rho * (1.0 - rho))

    def bends(self, x, slopes, size):
        """Second derivatives of the inverse logit."""
        rho, slope = self.unfold(x, size)
        return slopes * (1.0 - 2.0 * rho) * slope

    def fold(self, phi, size):
        """The logit of the correlation."""
        return logit(np.clip(phi, LEAST, 1.0 - INSIDE))

    @staticmethod
    def _power(rho, exponents):
        """Powers of rho by real numbers."""
        return np.power(rho, exponents)
