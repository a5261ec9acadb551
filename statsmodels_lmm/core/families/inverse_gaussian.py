"""Positive responses with long tails."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from statsmodels_lmm.core.families.checks import problem_with_positive
from statsmodels_lmm.core.families.exponential_family import column
from statsmodels_lmm.core.families.power_variance import PowerVariance


@dataclass(frozen=True)
class InverseGaussian(PowerVariance):
    """
    The inverse Gaussian distribution with mean mu and variance phi mu^3 / a.

        c = a (y - mu)^2 / (2 phi y mu^2) + log(2 pi phi y^3 / a) / 2
    """

    name = "InverseGaussian"
    has_extra = True
    canonical = "inverse_squared"
    variance_power = 3

    def unit_deviance(self, y, mu, extra=None):
        """(y - mu)^2 / (y mu^2)."""
        deviance = np.square(y / mu - 1.0) / y
        return np.where(mu > 0.0, deviance, np.nan)

    def saturated(self, y, a, extra=None):
        """The logarithm of 2 pi phi y^3 / a, halved."""
        return 0.5 * (column(extra) + np.log(2.0 * np.pi / a) + 3.0 * np.log(y))

    def saturated_slopes(self, y, a, extra):
        """1/2 and 0."""
        return 0.5, 0.0

    def draw(self, rng, mu, a, extra=None):
        """Inverse Gaussian responses."""
        return rng.wald(mu, self._precision(a, extra))

    def cdf(self, y, mu, a, extra=None):
        """Two normal tails (Shuster 1968)."""
        shape, positive = self._precision(a, extra), np.maximum(y, 0.0)
        with np.errstate(divide="ignore"):
            root = np.sqrt(shape / positive)
        ratio = positive / mu
        second = 2.0 * shape / mu + special.log_ndtr(-root * (ratio + 1.0))
        found = special.ndtr(root * (ratio - 1.0)) + np.exp(second)
        return np.where(y > 0.0, found, 0.0)

    def problem(self, y, a):
        """Values that are not positive."""
        return problem_with_positive(y)
