"""P-values and intervals for multiple comparisons."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

from statsmodels_lmm.core.uncertainty.multivariate_t import LargestT
from statsmodels_lmm.core.uncertainty.studentized_range import range_isf, range_sf

MULTIVARIATE = ("dunnett", "mvt")
"""Adjustments by the joint distribution of the statistics."""

SIMULTANEOUS = ("tukey", *MULTIVARIATE, "sidak", "bonferroni")
"""Adjustments with simultaneous intervals."""

STEPWISE = ("holm", "holm-sidak", "simes-hochberg", "hommel", "fdr_bh", "fdr_by")

ADJUSTMENTS = (*SIMULTANEOUS, *STEPWISE, "none")


def adjusted_pvalues(statistics, df, adjust, family, correlation=None, sided=2):
    """
    P-values of a family of contrasts.

    Parameters
    ----------
    statistics : ndarray
        t or z statistics, large if they contradict the hypothesis, shape (m,); NaN for
        contrasts that cannot be tested, which do not count.
    df : ndarray
        Degrees of freedom, infinite for z, shape (m,).
    adjust : str
        One of `ADJUSTMENTS`; "tukey" is for two-sided tests.
    family : int
        Number of means compared, for "tukey".
    correlation : ndarray, optional
        Correlations of the statistics for one of `MULTIVARIATE`, shape (m, m).
    sided : {1, 2}, optional
        Whether the sign of a statistic matters.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    reach = np.abs(statistics) if sided == 2 else statistics
    pvalues = sided * stats.t.sf(reach, df)
    known = np.isfinite(pvalues)
    if adjust == "none" or not known.any():
        return pvalues
    reach, df = reach[known], df[known]
    if adjust == "tukey":
        pvalues[known] = range_sf(np.sqrt(2.0) * reach, family, df)
    elif adjust in MULTIVARIATE:
        largest = LargestT(correlation[np.ix_(known, known)], sided == 2)
        pvalues[known] = largest.sf(reach, df)
    else:
        pvalues[known] = multipletests(pvalues[known], method=adjust)[1]
    return pvalues


def critical_values(df, adjust, family, alpha, correlation=None, sided=2):
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
    correlation : ndarray, optional
        Correlations of the statistics for one of `MULTIVARIATE`, shape (m, m).
    sided : {1, 2}, optional
        Number of limits of an interval.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    known = np.isfinite(1.0 / df)
    if not known.any():
        return np.full(len(df), np.nan)
    if adjust == "tukey":
        return _of_distinct(df, lambda d: range_isf(alpha, family, d)) / np.sqrt(2.0)
    if adjust in MULTIVARIATE:
        largest = LargestT(correlation[np.ix_(known, known)], sided == 2)
        return _of_distinct(df, lambda d: largest.isf(alpha, d))
    if adjust == "bonferroni":
        alpha = alpha / known.sum()
    elif adjust == "sidak":
        alpha = -np.expm1(np.log1p(-alpha) / known.sum())
    return stats.t.isf(alpha / sided, df)


def _of_distinct(df, quantile):
    """Quantiles, computed once where degrees of freedom differ by rounding alone."""
    distinct, where = np.unique((1.0 / df).round(12), return_inverse=True)
    with np.errstate(divide="ignore"):
        return quantile(1.0 / distinct)[where]
