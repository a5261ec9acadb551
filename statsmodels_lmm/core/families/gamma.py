"""Positive responses with a constant coefficient of variation."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from statsmodels_lmm.core.families.checks import problem_with_positive
from statsmodels_lmm.core.families.exponential_family import column
from statsmodels_lmm.core.families.power_variance import PowerVariance
from statsmodels_lmm.core.families.saddle_point import (
    excess,
    stirling_remainder,
    stirling_slopes,
)


@dataclass(frozen=True)
class Gamma(PowerVariance):
    """
    The gamma distribution with shape k = a / phi and mean mu.

        c = k (y / mu - log(y / mu) - 1) + log y + log(2 pi / k) / 2 + T(1 / k)

    with Stirling's remainder T.
    """

    name = "Gamma"
    has_extra = True
    canonical = "inverse_power"
    variance_power = 2

    def unit_loss(self, y, eta, extra):
        """The excess of log(y / mu)."""
        loss = excess(np.log(y) - self.link_function.log_mean(eta))
        return np.where(np.isnan(loss), np.inf, loss)

    def unit_deviance(self, y, mu, extra=None):
        """2 (y / mu - log(y / mu) - 1)."""
        return 2.0 * excess(np.log(y / mu))

    def saturated(self, y, a, extra=None):
        """The part log y + log(2 pi / k) / 2 + T(1 / k)."""
        log_reciprocal = column(extra) - np.log(a)
        remainder = stirling_remainder(np.exp(log_reciprocal))
        return np.log(y) + 0.5 * (np.log(2.0 * np.pi) + log_reciprocal) + remainder

    def saturated_slopes(self, y, a, extra):
        """With v = 1 / k, dv / d log phi = v."""
        v = np.exp(column(extra)) / a
        one, two = stirling_slopes(v)
        return 0.5 + v * one, v * one + v * v * two

    def draw(self, rng, mu, a, extra=None):
        """Gamma responses."""
        shape = self._precision(a, extra)
        return rng.gamma(np.broadcast_to(shape, np.shape(mu)), mu / shape)

    def cdf(self, y, mu, a, extra=None):
        """The regularized incomplete gamma function."""
        shape = self._precision(a, extra)
        return special.gammainc(shape, shape * np.maximum(y, 0.0) / mu)

    def problem(self, y, a):
        """Values that are not positive."""
        return problem_with_positive(y)
