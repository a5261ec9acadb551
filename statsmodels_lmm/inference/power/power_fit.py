"""An increasing curve fitted to simulated powers."""

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from scipy import stats

EXPONENTS = (0.5, 1.0, 1.5)
"""Powers of n in which the probit may be linear."""

POOR = 0.001
"""p-value of the test of fit below which the curve does not describe the powers."""


CLOSE = 3.84
"""Deviance above the best up to which another exponent is as likely."""


@dataclass(frozen=True)
class PowerLine:
    """
    A probit regression of rejections on a power of n.

    Parameters
    ----------
    exponent : float
        The power of n.
    params : ndarray
        Constant and slope, shape (2,).
    covariance : ndarray
        Their covariance, shape (2, 2).
    deviance : float
        Distance from the powers, chi-squared with s - 2 degrees of freedom.
    """

    exponent: float
    params: np.ndarray
    covariance: np.ndarray
    deviance: float

    @classmethod
    def of(cls, exponent, sizes, counts):
        """The fit to rejections and the rest, shape (s, 2)."""
        family = sm.families.Binomial(sm.families.links.Probit())
        units = np.array([1.0, sizes.max() ** -exponent])
        exog = np.column_stack([np.ones(len(sizes)), sizes**exponent]) * units
        found = sm.GLM(counts, exog, family=family).fit()
        covariance = found.cov_params() * np.outer(units, units)
        return cls(exponent, found.params * units, covariance, found.deviance)

    def power(self, n):
        """The power at sizes n."""
        constant, slope = self.params
        return stats.norm.cdf(constant + slope * np.asarray(n) ** self.exponent)

    def size(self, target):
        """The size at which the probit has a value."""
        constant, slope = self.params
        return max((target - constant) / slope, 0.0) ** (1.0 / self.exponent)

    def limits(self, target, z):
        """
        Fieller's limits of `size`.

        Parameters
        ----------
        target : float
            The probit.
        z : float
            Normal quantile of the limits.

        Returns
        -------
        lower, upper : float
            0 or infinite if there is none.
        """
        constant, slope = self.params
        (v0, v01), (_, v1) = self.covariance
        away = constant - target
        # (away + slope x)^2 = z^2 (v0 + 2 x v01 + x^2 v1)
        a, b = slope**2 - z**2 * v1, away * slope - z**2 * v01
        if not a > 0.0:
            return 0.0, np.inf
        root = np.sqrt(max(b**2 - a * (away**2 - z**2 * v0), 0.0))
        ends = np.maximum([(-b - root) / a, (-b + root) / a], 0.0)
        return tuple(ends ** (1.0 / self.exponent))


@dataclass(frozen=True)
class PowerFit:
    """
    The lines that describe the powers.

    Parameters
    ----------
    best : PowerLine
        That with the smallest deviance.
    close : tuple of PowerLine
        Those that fit almost as well, including the best.
    is_adequate : bool
        Whether the best agrees with the powers within their simulation error.
    """

    best: PowerLine
    close: tuple
    is_adequate: bool

    def power(self, n):
        """The power at sizes n."""
        return self.best.power(n)

    def inverse(self, target, z):
        """
        The size at which the probit has a value, with limits.

        Parameters
        ----------
        target : float
            The probit.
        z : float
            Normal quantile of the limits.

        Returns
        -------
        n, lower, upper : float
            The limits span those of all lines that fit almost as well.
        """
        ends = np.array([line.limits(target, z) for line in self.close])
        return self.best.size(target), ends[:, 0].min(), ends[:, 1].max()


def fitted_power(sizes, rejected, studies):
    """
    Fit an increasing curve.

    Parameters
    ----------
    sizes, rejected, studies : ndarray
        Sizes, numbers of rejections and of studies, shape (s,).

    Returns
    -------
    PowerFit or None
        None if the power does not increase with n.
    """
    if not 0 < rejected.sum() < studies.sum():
        return None
    counts = np.column_stack([rejected, studies - rejected])
    lines = [PowerLine.of(exponent, sizes, counts) for exponent in EXPONENTS]
    best = min(lines, key=lambda line: line.deviance)
    close = [x for x in lines if x.deviance < best.deviance + CLOSE]
    if not all(line.params[1] > 0.0 for line in close):
        return None
    tail = stats.chi2.sf(best.deviance, len(sizes) - 2)
    return PowerFit(best, tuple(close), bool(tail > POOR))
