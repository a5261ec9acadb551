"""An increasing curve fitted to simulated powers."""

from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm
from scipy import stats

EXPONENTS = (0.5, 1.0, 1.5)
"""Powers of n in which the probit may be linear."""

POOR = 0.001
"""p-value of the test of fit below which the curve does not describe the powers."""


@dataclass(frozen=True)
class PowerFit:
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
    is_adequate : bool
        Whether the curve agrees with the powers within their simulation error.
    """

    exponent: float
    params: np.ndarray
    covariance: np.ndarray
    is_adequate: bool

    def power(self, n):
        """The power at sizes n."""
        constant, slope = self.params
        return stats.norm.cdf(constant + slope * np.asarray(n) ** self.exponent)

    def inverse(self, target, z):
        """
        The size at which the probit has a value, with Fieller's limits.

        Parameters
        ----------
        target : float
            The probit.
        z : float
            Normal quantile of the limits.

        Returns
        -------
        n, lower, upper : float
            A limit is infinite, or 0, if there is none.
        """
        constant, slope = self.params
        (v0, v01), (_, v1) = self.covariance
        away = constant - target
        # (away + slope x)^2 = z^2 (v0 + 2 x v01 + x^2 v1)
        a, b = slope**2 - z**2 * v1, away * slope - z**2 * v01
        root = np.sqrt(max(b**2 - a * (away**2 - z**2 * v0), 0.0))
        ends = [(-b - root) / a, (-b + root) / a] if a > 0.0 else [0.0, np.inf]
        found = np.maximum([-away / slope, *ends], 0.0)
        return tuple(found ** (1.0 / self.exponent))


def fitted_power(sizes, rejected, studies):
    """
    Fit the curve whose power of n fits best.

    Parameters
    ----------
    sizes, rejected, studies : ndarray
        Sizes, numbers of rejections and of studies, shape (s,).

    Returns
    -------
    PowerFit or None
        None if the power does not increase with n.
    """
    family = sm.families.Binomial(sm.families.links.Probit())
    counts = np.column_stack([rejected, studies - rejected])
    if not 0 < rejected.sum() < studies.sum():
        return None
    fits = {}
    for exponent in EXPONENTS:
        scale = sizes.max() ** exponent
        exog = np.column_stack([np.ones(len(sizes)), sizes**exponent / scale])
        fits[exponent] = sm.GLM(counts, exog, family=family).fit(), scale
    exponent = min(fits, key=lambda e: fits[e][0].deviance)
    best, scale = fits[exponent]
    units = np.array([1.0, 1.0 / scale])
    if not best.params[1] > 0.0:
        return None
    tail = stats.chi2.sf(best.deviance, best.df_resid)
    covariance = best.cov_params() * np.outer(units, units)
    return PowerFit(exponent, best.params * units, covariance, bool(tail > POOR))
