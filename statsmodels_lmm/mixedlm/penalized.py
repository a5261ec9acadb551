"""Penalized fixed effects, given the covariance of the response."""

from dataclasses import replace

import numpy as np
from scipy import optimize


def lasso(estimate, precision, weights, zero=1e-4, tol=1e-6, maxit=200):
    r"""
    Minimize a quadratic plus weighted absolute values by cyclic coordinate descent.

    .. math:: (\beta - \hat\beta)' A (\beta - \hat\beta) + \sum_j w_j |\beta_j|

    Parameters
    ----------
    estimate : ndarray
        Minimum of the quadratic, shape (p,).
    precision : ndarray
        A, shape (p, p).
    weights : ndarray
        w, shape (p,).
    zero : float, optional
        Coefficients that become smaller than this are set to zero and stay there.
    tol : float, optional
        Change of the coefficients in one cycle at which to stop.
    maxit : int, optional
        Largest number of cycles.

    Returns
    -------
    ndarray
        Shape (p,).

    References
    ----------
    Friedman, J., Hastie, T. and Tibshirani, R. (2010). Regularization paths for
    generalized linear models via coordinate descent. Journal of Statistical Software
    33(1).
    """
    beta, right = estimate.copy(), precision @ estimate
    for _ in range(maxit):
        before = beta.copy()
        for j in range(len(beta)):
            if abs(beta[j]) < zero:
                beta[j] = 0.0
                continue
            pull = right[j] - precision[j] @ beta + precision[j, j] * beta[j]
            size = max(abs(pull) - 0.5 * weights[j], 0.0)
            beta[j] = np.sign(pull) * size / precision[j, j]
        if np.abs(beta - before).max(initial=0.0) < tol:
            break
    return beta


def smooth(estimate, precision, penalty):
    """
    Minimize half a quadratic plus a smooth penalty.

    Parameters
    ----------
    estimate, precision : ndarray
        As for `lasso`.
    penalty : statsmodels.base._penalties.Penalty
        The penalty, with ``func`` and ``deriv``.

    Returns
    -------
    ndarray
        Shape (p,).
    """

    def value(beta):
        away = beta - estimate
        return 0.5 * away @ precision @ away + np.sum(penalty.func(beta))

    def slope(beta):
        return precision @ (beta - estimate) + penalty.deriv(beta)

    return optimize.minimize(value, estimate, jac=slope, method="BFGS").x


def with_fixed_effects(results, beta):
    """
    Data and criterion of a fit with other fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    beta : ndarray
        Fixed effects, shape (p,); those of dropped columns are ignored.

    Returns
    -------
    ProfiledDeviance
        The criterion at these fixed effects and their residual variance.
    """
    optimum = results.at_optimum
    coefficients = results._units.coefficients(beta)
    away = optimum.fixed_root.T @ (coefficients - optimum.coefficients)
    scale = optimum.scale + away @ away / optimum.nu
    value = optimum.value + optimum.nu * np.log(scale / optimum.scale)
    return replace(optimum, coefficients=coefficients, scale=scale, value=value)
