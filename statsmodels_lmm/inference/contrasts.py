"""Tests of contrasts, also when redundant columns were dropped."""

from copy import copy

import numpy as np
from patsy import DesignInfo
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

SMALL_SAMPLE = ("satterthwaite", "kenward-roger")
"""Methods that give every contrast of the fixed effects its degrees of freedom."""


def estimable(results):
    """
    A copy of the results with zeros for the dropped columns.

    It has the residual degrees of freedom; statsmodels knows one number of them only.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    CrossedMixedLMResults
    """
    other = copy(results)
    other.params = np.nan_to_num(results.params)
    other.normalized_cov_params = np.nan_to_num(results.normalized_cov_params)
    if hasattr(results, "cov_params_default"):
        other.cov_params_default = np.nan_to_num(results.cov_params_default)
    other.dropped, other._cache = [], {}
    other.df_resid_inference = results.df_resid
    return other


def linear_constraints(results, r_matrix):
    """
    Coefficients and values of some constraints, and which can be estimated.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The constraints.

    Returns
    -------
    coefficients : ndarray
        Shape (number of constraints, p).
    values : ndarray
        Right-hand sides, shape (number of constraints,).
    possible : ndarray
        Whether a constraint touches no dropped column.
    """
    given = DesignInfo(results.model.data.cov_names).linear_constraint(r_matrix)
    possible = (given.coefs[:, np.isnan(results.params)] == 0).all(axis=1)
    return given.coefs, given.constants[:, 0], possible


def wald_test(results, r_matrix, *args, **kwargs):
    """
    Wald test of the constraints that touch no dropped column.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The constraints.
    *args, **kwargs
        Passed on to statsmodels.

    Returns
    -------
    ContrastResults
        An F test with the degrees of freedom of `results`, if those are of the
        contrast and no covariance is given.
    """
    small = results.df_method in SMALL_SAMPLE
    own = small and not _has_covariance(args, kwargs)
    if not small and not results.dropped:
        return LikelihoodModelResults.wald_test(results, r_matrix, *args, **kwargs)
    coefficients, values, possible = linear_constraints(results, r_matrix)
    if not possible.any():
        return ContrastResults(
            chi2=np.nan, df_denom=0, statistic=np.nan, distribution="chi2"
        )
    coefficients, values = coefficients[possible], values[possible]
    if own:
        test = results.inference.f_test(coefficients, values)
        statistic = test.statistic
        if not kwargs.get("scalar"):
            statistic = np.array([[statistic]])
        return ContrastResults(F=statistic, df_num=test.df_num, df_denom=test.df_denom)
    left = coefficients, values
    return LikelihoodModelResults.wald_test(estimable(results), left, *args, **kwargs)


def t_test(results, r_matrix, *args, **kwargs):
    """
    Tests of single contrasts, NaN for those that touch a dropped column.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The contrasts.
    *args, **kwargs
        Passed on to statsmodels.

    Returns
    -------
    ContrastResults
        With the degrees of freedom of `results` for each contrast, if those are of
        the contrast and no covariance is given.
    """
    small = results.df_method in SMALL_SAMPLE
    own = small and not _has_covariance(args, kwargs)
    if not small and not results.dropped:
        return LikelihoodModelResults.t_test(results, r_matrix, *args, **kwargs)
    coefficients, values, possible = linear_constraints(results, r_matrix)
    left = coefficients, values
    other = estimable(results)
    tested = LikelihoodModelResults.t_test(other, left, *args, **kwargs)
    if own:
        df = np.array([results.inference.df(c) for c in coefficients])
        df = df.reshape(np.shape(tested.tvalue))
        tested = ContrastResults(
            effect=tested.effect, t=tested.tvalue, sd=tested.sd, df_denom=df
        )
    for name in ("effect", "sd", "tvalue", "statistic", "pvalue"):
        numbers = np.array(getattr(tested, name), dtype=float)
        shape = numbers.shape
        numbers = np.atleast_1d(numbers)
        numbers[~possible] = np.nan
        setattr(tested, name, numbers.reshape(shape))
    return tested


def _has_covariance(args, kwargs):
    """Whether the caller gives a covariance matrix."""
    given = [*args[:1], kwargs.get("cov_p"), kwargs.get("invcov")]
    return any(matrix is not None for matrix in given)
