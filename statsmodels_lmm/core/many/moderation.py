"""
Moderated variances: each drawn towards what many responses have in common.

Variances s^2 with d degrees of freedom scatter about true ones that follow a scaled
inverse chi-squared distribution with d0 degrees of freedom about s0^2. Then s^2 / s0^2
has the F distribution with d and d0 degrees of freedom, of which both are estimated
from the moments of log s^2, and the posterior variance is (d0 s0^2 + d s^2) / (d0 + d).

References
----------
Smyth, G. K. (2004). Linear models and empirical Bayes methods for assessing
differential expression in microarray experiments. Statistical Applications in Genetics
and Molecular Biology 3(1), article 3.

Phipson, B., Lee, S., Majewski, I. J., Alexander, W. S. and Smyth, G. K. (2016). Robust
hyperparameter estimation protects against hypervariable genes and improves power to
detect differential expression. Annals of Applied Statistics 10, 946-963.
"""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

TAILS = 0.05, 0.1
"""Shares of the smallest and largest log-variances that are winsorized."""

NODES = 128
"""Nodes of the quadrature for the moments of a winsorized distribution."""


@dataclass(frozen=True)
class Prior:
    """
    The distribution of the true variances.

    Parameters
    ----------
    variance : float
        s0^2.
    df : ndarray
        d0 of each response, shape (r,); smaller for outliers if estimated robustly.
    """

    variance: float
    df: np.ndarray

    def posterior(self, variances, df):
        """
        Moderated variances.

        Parameters
        ----------
        variances, df : ndarray
            s^2 and d, shape (r,).

        Returns
        -------
        ndarray
            Shape (r,).
        """
        limit = np.isinf(self.df)
        prior = np.where(limit, 0.0, self.df)
        both = (prior * self.variance + df * variances) / (prior + df)
        return np.where(limit, self.variance, both)


def prior_of(variances, df):
    """
    Estimate the prior from moments (Smyth 2004, section 6.2).

    Parameters
    ----------
    variances, df : ndarray
        s^2 > 0 and d, shape (r,).

    Returns
    -------
    Prior
    """
    log = np.log(variances) - special.digamma(df / 2.0) + np.log(df / 2.0)
    mean, n = log.mean(), len(log)
    excess = ((log - mean) ** 2).sum() / (n - 1) if n > 1 else 0.0
    excess -= special.polygamma(1, df / 2.0).mean()
    if excess <= 0.0:
        return Prior(float(np.exp(mean)), np.full(n, np.inf))
    d0 = 2.0 * inverse_trigamma(excess)
    s0 = np.exp(mean + special.digamma(d0 / 2.0) - np.log(d0 / 2.0))
    return Prior(float(s0), np.full(n, d0))


def inverse_trigamma(value):
    """
    The y > 0 with trigamma(y) = value, by Newton's method (Smyth 2004, appendix).

    Parameters
    ----------
    value : float
        Positive.

    Returns
    -------
    float
    """
    y = 0.5 + 1.0 / value
    for _ in range(100):
        own = special.polygamma(1, y)
        change = own * (1.0 - own / value) / special.polygamma(2, y)
        y += change
        if -change < 1e-12 * y:
            break
    return float(y)


def robust_prior_of(variances, df):
    """
    Estimate the prior from winsorized moments (Phipson et al. 2016).

    Parameters
    ----------
    variances, df : ndarray
        s^2 > 0 and d, shape (r,).

    Returns
    -------
    Prior
        With fewer degrees of freedom for variances too large to follow the
        distribution of the others.
    """
    usual, n = prior_of(variances, df), len(variances)
    most = float(df.max())
    ratios = _with_common_df(variances / usual.variance, df, float(usual.df[0]), most)
    log = np.log(ratios)
    center = stats.trim_mean(log, TAILS[1])
    low, high = np.quantile(log - center, [TAILS[0], 1.0 - TAILS[1]])
    wins = np.clip(log - center, low, high)
    variance = wins.var(ddof=1)

    def excess(share):
        return np.log(variance / _winsorized_moments(most, _from_share(share))[1])

    lower = _to_share(float(usual.df[0]))
    if lower == 1.0 or excess(1.0) <= 0.0:
        d0 = np.inf
    elif excess(lower) >= 0.0:
        d0 = float(usual.df[0])
    else:
        d0 = _from_share(optimize.brentq(excess, lower, 1.0, xtol=1e-12))
    center += wins.mean() - _winsorized_moments(most, d0)[0]
    own = _outlying_df(np.exp(log - center), most, d0, n)
    return Prior(float(usual.variance * np.exp(center)), own)


def _with_common_df(ratios, df, d0, most):
    """F statistics with the largest degrees of freedom and the same tail areas."""
    if df.min() >= most * (1.0 - 1e-14):
        return ratios
    upper, lower = _log_sf(ratios, df, d0), _f(df, d0).logcdf(ratios)
    is_up = upper < lower
    same = _f(np.full(len(df), most), d0)
    tails = np.exp(np.where(is_up, upper, lower))
    moved = np.where(is_up, same.isf(tails), same.ppf(tails))
    return np.where(df < most, moved, ratios)


def _winsorized_moments(d, d0):
    """Mean and variance of a winsorized log F variable."""
    law = _f(d, d0)
    ends = law.ppf([TAILS[0], 1.0 - TAILS[1]])
    edge = np.log(ends)
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    q = ends / (1.0 + ends)
    x = q[0] + (q[1] - q[0]) * (nodes + 1.0) / 2.0
    f = x / (1.0 - x)
    density = weights / 2.0 * (q[1] - q[0]) * law.pdf(f) / (1.0 - x) ** 2
    mean = (density * np.log(f)).sum() + edge @ TAILS
    variance = (density * (np.log(f) - mean) ** 2).sum()
    return mean, variance + (edge - mean) ** 2 @ TAILS


def _outlying_df(ratios, d, d0, n):
    """Prior degrees of freedom, reduced for outliers and monotone in the ratio."""
    order = np.argsort(-ratios, kind="stable")
    tail = _log_sf(ratios, d, d0)
    empirical = np.log((n - stats.rankdata(ratios) + 0.5) / n)
    not_outlying = np.minimum(tail - empirical, 0.0)
    if not (not_outlying < 0.0).any():
        return np.full(n, d0)
    share = np.exp(not_outlying)
    if np.isinf(d0):
        own = np.where(share < 1.0, share * n * d, np.inf)
        own[order] = np.maximum.accumulate(own[order])
        return own
    # the largest ratio is the median of the distribution with this d0
    least = np.log(0.5) / tail.min() * d0
    least *= np.log(0.5) / float(_log_sf(ratios.max(), d, least))
    own = (share * d0 - np.expm1(not_outlying) * least)[order]
    means = np.cumsum(own) / np.arange(1, n + 1)
    first = int(means.argmin())
    own[: first + 1] = means[first]
    out = np.empty(n)
    out[order] = np.maximum.accumulate(own)
    return out


def _f(d, d0):
    """The F distribution; chi-squared over d if d0 is infinite."""
    return stats.chi2(d, scale=1.0 / d) if np.isinf(d0) else stats.f(d, d0)


def _log_sf(ratios, d, d0):
    return _f(d, d0).logsf(ratios)


def _to_share(df):
    return 1.0 if np.isinf(df) else df / (1.0 + df)


def _from_share(share):
    return np.inf if share >= 1.0 else share / (1.0 - share)
