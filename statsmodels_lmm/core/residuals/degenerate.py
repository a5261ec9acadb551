"""
Errors without variance, where the likelihood has no maximum.

As the standard deviation of some errors goes to zero, or that of a combination of them,
log |R| goes to minus infinity. If the model reproduces the response of these rows, or
too few groups contradict the combination, nothing stops it.
"""

import numpy as np

NO_VARIANCE = 1e-14
"""Variance, relative to that of the response, at which a search has not settled."""

ROUNDING = 1e-26
"""The same for what remains of a response that the model reproduces."""

NO_SHARE = 1e-6
"""The same for what is left of a variance given other errors of the group."""


def without_variance(whitening, scale, limit=NO_VARIANCE):
    """
    Rows whose errors have no variance.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors.
    scale : float
        sigma^2, relative to the variance of the response.
    limit : float, optional
        Variance that counts as none.

    Returns
    -------
    ndarray
        Booleans, shape (n,); those around the smallest variance.
    """
    variances = np.log(scale) + 2.0 * whitening.log_deviations
    least = variances.min(initial=0.0)
    if least > np.log(limit):
        return np.zeros(len(variances), dtype=bool)
    return variances < max(least + np.log(10.0), np.log(ROUNDING))


def has_dependent_errors(whitening, scale):
    """
    Whether those before it in its group determine the error of a row.

    The variance that they leave is compared with that of the response. A variance that
    grows without bound beside a correlation that goes to one leaves some.

    Parameters
    ----------
    whitening, scale
        As for `without_variance`.

    Returns
    -------
    bool
    """
    model, roots = whitening.model, whitening.roots
    variances = scale * np.exp(2.0 * whitening.log_deviations)
    if model.chain is not None:
        least = variances[model.chain.order] * roots.rest
        return bool(least.min() < NO_SHARE)
    for batch, lower in zip(model.layout.batches, roots.lower):
        left = np.diagonal(lower, axis1=-2, axis2=-1)[batch.patterns] ** 2
        if (variances[batch.rows] * left).min() < NO_SHARE:
            return True
    return False


def dependent_visits(correlation):
    """
    Visits of which a combination has the least variance.

    Parameters
    ----------
    correlation : ndarray
        Correlation matrix of all visits, shape (T, T).

    Returns
    -------
    ndarray
        Positions of those with a weight.
    """
    weights = np.abs(np.linalg.eigh(correlation)[1][:, 0])
    return np.flatnonzero(weights > 0.05 * weights.max())
