"""The normal distribution, for links other than the identity."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from statsmodels_lmm.core.families.exponential_family import column
from statsmodels_lmm.core.families.power_variance import PowerVariance


@dataclass(frozen=True)
class Gaussian(PowerVariance):
    """
    The normal distribution with variance phi / a.

        c = a (y - mu)^2 / (2 phi) + log(2 pi phi / a) / 2
    """

    name = "Gaussian"
    has_extra = True
    canonical = "identity"

    def unit_deviance(self, y, mu, extra=None):
        """(y - mu)^2."""
        return np.square(y - mu)

    def saturated(self, y, a, extra=None):
        """The logarithm of 2 pi phi / a, halved."""
        return 0.5 * (column(extra) + np.log(2.0 * np.pi / a)) + np.zeros_like(y)

    def saturated_slopes(self, y, a, extra):
        """1/2 and 0."""
        return 0.5, 0.0

    def starting_mean(self, y, a):
        """The weighted mean, or the mean size where the link needs a positive one."""
        mean = super().starting_mean(y, a)
        if self.link_name == "identity":
            return mean
        return np.where(mean > 0.0, mean, super().starting_mean(np.abs(y), a))[()]

    def draw(self, rng, mu, a, extra=None):
        """Normal responses."""
        return rng.normal(mu, np.sqrt(self.variance(mu, a, extra)))

    def cdf(self, y, mu, a, extra=None):
        """The normal distribution function."""
        return special.ndtr((y - mu) / np.sqrt(self.variance(mu, a, extra)))

    def problem(self, y, a):
        """Missing or infinite values."""
        bad = ~np.isfinite(y)
        return ("has missing or infinite values", bad) if bad.any() else None
