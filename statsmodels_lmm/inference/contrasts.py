"""Tests of contrasts when redundant columns were dropped."""

from copy import copy

import numpy as np
from patsy import DesignInfo
from statsmodels.stats.contrast import ContrastResults


def estimable(results):
    """
    A copy of the results with zeros for the dropped columns.

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
    other.dropped, other._cache = [], {}
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
        A fit with dropped columns.
    r_matrix : array_like, str or tuple
        The constraints.
    *args, **kwargs
        Passed on to statsmodels.

    Returns
    -------
    ContrastResults
    """
    coefficients, values, possible = linear_constraints(results, r_matrix)
    if not possible.any():
        return ContrastResults(
            chi2=np.nan, df_denom=0, statistic=np.nan, distribution="chi2"
        )
    left = coefficients[possible], values[possible]
    return estimable(results).wald_test(left, *args, **kwargs)


def t_test(results, r_matrix, *args, **kwargs):
    """
    Tests of single contrasts, NaN for those that touch a dropped column.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit with dropped columns.
    r_matrix : array_like, str or tuple
        The contrasts.
    *args, **kwargs
        Passed on to statsmodels.

    Returns
    -------
    ContrastResults
    """
    coefficients, values, possible = linear_constraints(results, r_matrix)
    tested = estimable(results).t_test((coefficients, values), *args, **kwargs)
    for name in ("effect", "sd", "tvalue", "statistic", "pvalue"):
        numbers = np.array(getattr(tested, name), dtype=float)
        shape = numbers.shape
        numbers = np.atleast_1d(numbers)
        numbers[~possible] = np.nan
        setattr(tested, name, numbers.reshape(shape))
    return tested
