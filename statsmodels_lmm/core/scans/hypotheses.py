"""Tests of candidates against no effect."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from statsmodels_lmm.core.scans.estimates import REASONS


@dataclass(frozen=True)
class Tests:
    """
    Tests of r candidates or sets.

    Parameters
    ----------
    variance : ndarray
        sigma^2, shape (r,).
    df : ndarray
        Degrees of freedom of the residual variance, infinite for normal and chi-squared
        tests, shape (r,).
    statistic : ndarray
        By Wald's test t or z of a candidate, F of a set with finite `df`; else
        chi-squared; shape (r,).
    pvalue : ndarray
        Shape (r,).
    """

    variance: np.ndarray
    df: np.ndarray
    statistic: np.ndarray
    pvalue: np.ndarray


def no_effect_tests(estimates, test, df_method, reml, is_set=False):
    """
    Test candidates.

    Wald's statistic is S^(1/2) effect / sigma for a candidate, and for a set of q its
    square over q. The score statistic is u'S^-1 u / sigma_0^2 with the residual
    variance without candidates; the likelihood-ratio statistic is the difference of the
    criteria of ML. By Satterthwaite's method df = 2 / Var log(sigma^2 / S).

    Parameters
    ----------
    estimates : Estimates
        Of one candidate each, or of one set.
    test : {"wald", "lr", "score"}
        The test.
    df_method : {"asymptotic", "residual", "satterthwaite"}
        Degrees of freedom of Wald's test.
    reml : bool
        Whether the estimates are REML's.
    is_set : bool, optional
        Whether they are those of a set, which may have a single column.

    Returns
    -------
    Tests
        NaN where there is a reason.
    """
    width = estimates.effect.shape[1]
    residual = estimates.df_resid.astype(float)
    nobs = estimates.nobs.astype(float)
    nu, null_nu = (residual, residual + width) if reml else (nobs, nobs)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = estimates.squares / nu
        if test == "score":
            variance = estimates.null_squares / null_nu
        df = np.full(len(nu), np.inf)
        if test == "lr":
            gain = estimates.null_value - estimates.value
            statistic = np.maximum(gain, 0.0)
            pvalue = stats.chi2.sf(statistic, width)
        else:
            if test == "wald" and df_method == "residual":
                df = residual
            elif test == "wald" and df_method == "satterthwaite":
                df = 2.0 / (estimates.spread + 2.0 / nu)
            is_t = test == "wald" and not is_set
            statistic, pvalue = (_t if is_t else _f)(estimates, variance, df)
    unknown = estimates.reason > 0
    for values in (variance, df, statistic, pvalue):
        values[unknown] = np.nan
    return Tests(variance, df, statistic, pvalue)


def _t(estimates, variance, df):
    """Statistics t or z of candidates, and their p-values."""
    statistic = estimates.effect[:, 0]
    statistic = statistic * np.sqrt(estimates.information[:, 0, 0] / variance)
    return statistic, 2.0 * stats.t.sf(np.abs(statistic), df)


def _f(estimates, variance, df):
    """Statistics F, or chi-squared if degrees of freedom are infinite."""
    effect = estimates.effect
    width = effect.shape[1]
    squares = np.einsum("ra,rab,rb->r", effect, estimates.information, effect)
    statistic = squares / variance
    if np.isinf(df).all():
        return statistic, stats.chi2.sf(statistic, width)
    return statistic / width, stats.f.sf(statistic / width, width, df)


def reasons(estimates):
    """Sentences that say why there is no estimate, shape (r,)."""
    sentences = np.array([REASONS[code] for code in sorted(REASONS)], dtype=object)
    return sentences[estimates.reason]
