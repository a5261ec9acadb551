"""Counts with a variance equal to their mean."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from statsmodels_lmm.core.families.checks import problem_with_counts
from statsmodels_lmm.core.families.power_variance import PowerVariance
from statsmodels_lmm.core.families.saddle_point import (
    LARGEST,
    excess,
    stirling_remainder,
)


def half_unit_deviance(y, log_mu):
    """The deviance y log(y / mu) - (y - mu)."""
    positive = np.where(y > 0.0, y, 1.0)
    some = positive * excess(log_mu - np.log(positive))
    return np.where(y > 0.0, some, np.exp(np.minimum(log_mu, LARGEST)))


def saturated_count(y):
    """Minus the Poisson log-probability of a count with itself as mean."""
    positive = np.where(y > 0.0, y, 1.0)
    value = 0.5 * np.log(2.0 * np.pi * positive) + stirling_remainder(1.0 / positive)
    return np.where(y > 0.0, value, 0.0)


def mean_of_counts(y, a):
    """The weighted mean, or that of half a count in all where there are none."""
    total = np.broadcast_to(a, np.shape(y)).sum(-1)
    return np.maximum((a * y).sum(-1), 0.5) / total


def poisson_cdf(y, mu):
    """P(Y <= y)."""
    count = np.floor(y)
    return np.where(count < 0, 0.0, special.gammaincc(np.maximum(count, 0) + 1, mu))


@dataclass(frozen=True)
class Poisson(PowerVariance):
    """
    The Poisson distribution.

        c = a (mu - y log mu + log y!)

    A row with prior weight a counts as a rows; simulated responses have weight one.
    """

    name = "Poisson"
    is_discrete = True
    canonical = "log"
    variance_power = 1

    def unit_loss(self, y, eta, extra):
        """Half the unit deviance, by the logarithm of the mean."""
        loss = half_unit_deviance(y, self.link_function.log_mean(eta))
        return np.where(np.isnan(loss), np.inf, loss)

    def unit_deviance(self, y, mu, extra=None):
        """2 (y log(y / mu) - (y - mu))."""
        with np.errstate(divide="ignore"):
            return 2.0 * half_unit_deviance(y, np.log(mu))

    def saturated(self, y, a, extra=None):
        """The sum a (y - y log y + log y!), by Stirling's formula."""
        return a * saturated_count(y)

    def starting_mean(self, y, a):
        """The mean, or that of half a count in all where there are none."""
        return mean_of_counts(y, a)

    def draw(self, rng, mu, a, extra=None):
        """Poisson counts."""
        return rng.poisson(mu).astype(float)

    def cdf(self, y, mu, a, extra=None):
        """The regularized incomplete gamma function."""
        return poisson_cdf(y, mu)

    def problem(self, y, a):
        """Negative or broken counts."""
        return problem_with_counts(y)
