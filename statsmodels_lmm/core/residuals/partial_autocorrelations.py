"""
Partial autocorrelations: any numbers between -1 and 1 belong to a stationary series.

The Durbin-Levinson recursion turns them into the coefficients of an autoregression and
into the autocorrelations at the first lags; both can be undone.
"""

import numpy as np


def coefficients(partial):
    """
    Coefficients of the autoregression with given partial autocorrelations.

    Parameters
    ----------
    partial : ndarray
        Values between -1 and 1, shape (p,).

    Returns
    -------
    values : ndarray
        The coefficients, shape (p,).
    jacobian : ndarray
        Derivatives of the coefficients, by row, shape (p, p).
    """
    p = len(partial)
    values, jacobian = np.zeros(p), np.zeros((p, p))
    for k, last in enumerate(partial):
        _lengthen(values, jacobian, k, last)
    return values, jacobian


def _lengthen(values, jacobian, k, last):
    """Turn an autoregression of order k into one of order k + 1, in place."""
    turned, slopes = values[:k][::-1].copy(), jacobian[:k][::-1].copy()
    values[:k] -= last * turned
    jacobian[:k] -= last * slopes
    jacobian[:k, k] -= turned
    values[k], jacobian[k, k] = last, 1.0


def from_coefficients(values):
    """Partial autocorrelations of a stationary autoregression, shape (p,)."""
    rest, partial = np.array(values, dtype=float), np.zeros(len(values))
    for k in reversed(range(len(partial))):
        partial[k] = last = rest[k]
        rest = (rest[:k] + last * rest[:k][::-1]) / (1.0 - last**2)
    return partial


def autocorrelations(partial):
    """
    Autocorrelations at lags 1, ..., p.

    Parameters
    ----------
    partial : ndarray
        Values between -1 and 1, shape (p,).

    Returns
    -------
    values : ndarray
        Shape (p,).
    jacobian : ndarray
        Derivatives of the autocorrelations, by row, shape (p, p).
    """
    p = len(partial)
    values, jacobian = np.zeros(p), np.zeros((p, p))
    own, slopes = np.zeros(p), np.zeros((p, p))
    variance, change = 1.0, np.zeros(p)
    for k, last in enumerate(partial):
        before = values[:k][::-1]
        values[k] = own[:k] @ before + last * variance
        jacobian[k] = own[:k] @ jacobian[:k][::-1] + before @ slopes[:k] + last * change
        jacobian[k, k] += variance
        _lengthen(own, slopes, k, last)
        change *= 1.0 - last**2
        change[k] -= 2.0 * last * variance
        variance *= 1.0 - last**2
    return values, jacobian


def from_autocorrelations(values):
    """Partial autocorrelations from the autocorrelations at lags 1, ..., p."""
    p = len(values)
    partial, own, variance = np.zeros(p), np.zeros(p), 1.0
    for k in range(p):
        partial[k] = last = (values[k] - own[:k] @ values[:k][::-1]) / variance
        own[:k] -= last * own[:k][::-1].copy()
        own[k] = last
        variance *= 1.0 - last**2
    return partial
