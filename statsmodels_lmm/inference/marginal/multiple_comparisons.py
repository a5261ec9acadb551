"""P-values and intervals for multiple comparisons."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

SIMULTANEOUS = ("tukey", "sidak", "bonferroni")
"""Adjustments with simultaneous intervals."""

STEPWISE = ("holm", "holm-sidak", "simes-hochberg", "hommel", "fdr_bh", "fdr_by")

ADJUSTMENTS = (*SIMULTANEOUS, *STEPWISE, "none")

NODES = 12
"""Number of quantiles of the studentized range computed to interpolate others."""


def adjusted_pvalues(statistics, df, adjust, family):
    """
    Two-sided p-values of a family of contrasts.

    Parameters
    ----------
    statistics : ndarray
        t or z statistics, shape (m,); NaN for contrasts that cannot be tested, which
        do not count.
    df : ndarray
        Degrees of freedom, infinite for z, shape (m,).
    adjust : str
        One of `ADJUSTMENTS`.
    family : int
        Number of means compared, for "tukey".

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
    Half-widths of the intervals of a family, in standard errors.

    Parameters
    ----------
    df : ndarray
        Degrees of freedom, shape (m,); NaN for contrasts that do not count.
    adjust : str
        One of `ADJUSTMENTS`; only those in `SIMULTANEOUS` have an effect.
    family : int
        Number of means compared, for "tukey".
    alpha : float
        One minus the level of the intervals.

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
    """Upper quantiles of the studentized range, smooth in 1 / df but slow."""
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
