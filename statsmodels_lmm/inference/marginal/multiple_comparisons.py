"""P-values and intervals of several comparisons at once."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

SIMULTANEOUS = ("tukey", "sidak", "bonferroni")
"""Adjustments that have intervals."""

STEPWISE = ("holm", "holm-sidak", "simes-hochberg", "hommel", "fdr_bh", "fdr_by")

ADJUSTMENTS = (*SIMULTANEOUS, *STEPWISE, "none")

NODES = 12
"""Quantiles of the studentized range that are computed; others are interpolated."""


def adjusted_pvalues(statistics, df, adjust, family):
    """
    Two-sided p-values of a family of contrasts.

    Parameters
    ----------
    statistics : ndarray
        t or z statistics, NaN for what cannot be tested and does not count,
        shape (m,).
    df : ndarray
        Their degrees of freedom, infinite for z, shape (m,).
    adjust : str
        One of `ADJUSTMENTS`.
    family : int
        Number of means that are compared, for "tukey".

    Returns
    -------
    ndarray
        Shape (m,).
    """
    pvalues = 2.0 * stats.t.sf(np.abs(statistics), df)
    known = np.isfinite(pvalues)
    if adjust == "none" or not known.any():
        return pvalues
    if adjust == "tukey":
        reach = np.sqrt(2.0) * np.abs(statistics[known])
        pvalues[known] = stats.studentized_range.sf(reach, family, df[known])
    else:
        pvalues[known] = multipletests(pvalues[known], method=adjust)[1]
    return pvalues


def critical_values(df, adjust, family, alpha):
    """
    How many standard errors the intervals of a family reach.

    Parameters
    ----------
    df : ndarray
        Degrees of freedom, NaN for what does not count, shape (m,).
    adjust : str
        One of `ADJUSTMENTS`; those that are not `SIMULTANEOUS` change nothing.
    family : int
        Number of means that are compared, for "tukey".
    alpha : float
        One less the level of the intervals.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    count = max(np.isfinite(1.0 / df).sum(), 1)
    if adjust == "tukey":
        return _range_quantiles(alpha, family, df) / np.sqrt(2.0)
    if adjust == "bonferroni":
        alpha = alpha / count
    elif adjust == "sidak":
        alpha = -np.expm1(np.log1p(-alpha) / count)
    return stats.t.isf(alpha / 2.0, df)


def _range_quantiles(alpha, family, df):
    """Upper quantiles of the studentized range; smooth in 1 / df, and slow."""
    places = 1.0 / df
    distinct, where = np.unique(places.round(12), return_inverse=True)
    distinct = distinct[np.isfinite(distinct)]

    def quantile(x):
        with np.errstate(divide="ignore"):
            return np.log(stats.studentized_range.isf(alpha, family, 1.0 / x))

    if len(distinct) <= NODES:
        exact = np.append(np.exp(quantile(distinct)), np.nan)
        return exact[np.minimum(where, len(distinct))]
    ends = [distinct[0], distinct[-1]]
    curve = np.polynomial.Chebyshev.interpolate(quantile, NODES - 1, ends)
    return np.exp(curve(places))
