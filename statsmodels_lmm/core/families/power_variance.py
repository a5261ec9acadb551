"""Families in which the variance is a power of the mean, V(mu) = mu^p."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.families.exponential_family import ExponentialFamily
from statsmodels_lmm.core.families.links import BOUND, Log, Power, power_slopes


@dataclass(frozen=True)
class PowerVariance(ExponentialFamily):
    """
    V(mu) = mu^p.

    With a log link or a power of the mean, mu = eta^e, the first derivative of half a
    unit deviance,

        (mu - y) mu^-p dmu/deta,

    is a difference of two exponentials exp((2 - p) eta) - y exp((1 - p) eta), or of two
    powers e eta^(e (2 - p) - 1) - y e eta^(e (1 - p) - 1).
    """

    variance_power = 0

    def reciprocal_variance(self, mu, extra=None):
        """mu^-p and its derivatives."""
        mu = np.asarray(mu, dtype=float)
        p = float(self.variance_power)
        return (mu**-p, *power_slopes(mu, -p, 3))

    def unit_slopes(self, y, eta, extra):
        """The first four derivatives of half the unit deviance with respect to eta."""
        p, link = self.variance_power, self.link_function
        if isinstance(link, Log):
            held = np.clip(eta, -BOUND, BOUND)
            up, down = np.exp((2 - p) * held), y * np.exp((1 - p) * held)
            return tuple((2 - p) ** j * up - (1 - p) ** j * down for j in range(4))
        if isinstance(link, Power):
            e = link.exponent
            up, down = (_powers(eta, e * (k - p) - 1.0) for k in (2, 1))
            return tuple(e * (u - y * d) for u, d in zip(up, down))
        return super().unit_slopes(y, eta, extra)

    def unit_expected(self, eta, extra):
        """mu^-p (dmu/deta)^2 and its derivative."""
        p, link = self.variance_power, self.link_function
        if isinstance(link, Log):
            weight = np.exp((2 - p) * np.clip(eta, -BOUND, BOUND))
            return weight, (2 - p) * weight
        if isinstance(link, Power):
            e = link.exponent
            both = _powers(eta, e * (2 - p) - 2.0)[:2]
            return tuple(e * e * x for x in both)
        return super().unit_expected(eta, extra)


def _powers(eta, exponent):
    """A power with its first three derivatives."""
    with np.errstate(invalid="ignore", divide="ignore"):
        value = np.asarray(eta, dtype=float) ** exponent
    return (value, *power_slopes(eta, exponent, 3))
