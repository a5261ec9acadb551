"""Means over the rows of a linear model, whether the rows are kept or only summed."""

import numpy as np

from statsmodels_lmm.exceptions import DataError


def effect_moments(model):
    """
    Second moments of the standardized effects, and the mean inverse weight.

    Parameters
    ----------
    model : CrossedMixedLM
        A model of rows in memory or of sums over them.

    Returns
    -------
    moments : list of ndarray
        For each term the matrix M for which the rows' mean variance due to the term is
        Tr(M S) in units of sigma^2, in standardized units, shapes (k, k).
    inverse_weight : float
        Mean of 1 / w.

    Raises
    ------
    DataError
        If only sums with prior weights were kept.
    """
    if model.summed is None:
        data, n = model._standardized(), len(model.endog)
        share = np.ones(n) / n
        if model.weights is not None:
            share = share / model.weights
        return [f.summed_variances(share) for f in data.terms], float(share.sum())
    data, _ = model._sufficient_statistics()
    if data.moments is None:
        raise DataError(
            "shares of variance need sums over the rows without their prior weights, "
            "which were not kept"
        )
    return list(data.moments), data.inverse_weight


def column_covariance(model):
    """
    Covariance matrix of the columns of X over the rows.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.

    Returns
    -------
    ndarray
        With n - 1 in the denominator, shape (p, p).
    """
    rows = model.standing_rows
    ones, columns = rows[:, 0], rows[:, 1:]
    centered = columns - np.outer(ones, ones @ columns / (ones @ ones))
    return centered.T @ centered / (model.nobs - 1.0)
