"""
The mean of a response over the distribution of its random effects.

With eta the linear predictor of a row without random effects and v = z'Sigma z the
variance of those added to it, the mean is E h(eta + sqrt(v) N) for the inverse link h
and a standard normal N, whatever the number of terms: one integral on one axis.
"""

import numpy as np

from statsmodels_lmm.core.criteria.quadrature import product_grid
from statsmodels_lmm.inference.prediction.prediction_variance import draw_variance
from statsmodels_lmm.inference.requirements import require_data

N_NODES = 20
"""Nodes of the Gauss-Hermite rule."""


def population_mean(family, eta, variance):
    """
    The mean over a normal distribution of the linear predictor.

    Parameters
    ----------
    family : Family
        The conditional distribution.
    eta, variance : ndarray
        Mean and variance of the linear predictor, shape (n,).

    Returns
    -------
    ndarray
        Shape (n,).
    """
    points, weights, _ = _nodes(eta, variance)
    return family.mean(points) @ weights


def mean_slopes(family, eta, variance):
    """
    Derivatives of the population mean with respect to mean and variance of eta.

    Parameters
    ----------
    family, eta, variance
        As for `population_mean`.

    Returns
    -------
    in_eta, in_variance : ndarray
        Shape (n,). The second is zero where the variance is.
    """
    points, weights, nodes = _nodes(eta, variance)
    slopes = family.mean_slope(points)
    root = np.where(variance > 0.0, np.sqrt(variance), np.inf)
    return slopes @ weights, slopes @ (weights * nodes) / (2.0 * root)


def _nodes(eta, variance):
    """Linear predictors at the nodes (n, nodes), weights and standard nodes."""
    nodes, log_weights = product_grid(N_NODES, 1)
    nodes = nodes[:, 0]
    points = eta[:, None] + np.sqrt(variance)[:, None] * nodes
    return points, np.exp(log_weights - 0.5 * nodes**2), nodes


def predictor_variance(results, parts):
    """
    Variance of the random part of the linear predictor in each row.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    parts : sequence of EffectRows or RawRows
        The factors in the rows, with every effect left out of the prediction.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    total = 0.0
    for i, part in enumerate(parts):
        share = part.prior_variances(results.model.random[i].grouped)
        total = total + draw_variance(results, i, part.left_out, share)
    return total


def population_variance(results, design, parts, eta):
    """
    Variances of the estimated population means, by the delta method.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    design : ndarray
        Fixed-effects design of the rows, shape (m, p).
    parts : sequence of EffectRows or RawRows
        The factors in the rows, as for `predictor_variance`.
    eta : ndarray
        Linear predictor without random effects, shape (m,).

    Returns
    -------
    ndarray
        Shape (m,).
    """
    require_data(results.model, "a standard error of a population mean")
    units, factors = results._units, results.at_optimum.factors
    first, second = mean_slopes(results.family, eta, predictor_variance(results, parts))
    columns = []
    for at, i in enumerate(units.plan.order):
        part, back = parts[i], units.data.to_effects[i]
        share = part.prior_variances(results.model.random[i].grouped)
        z = part.left_out @ back
        moved = np.einsum("rk,akl,rl->ra", z, factors[at].directions, z)
        columns.append(np.reshape(second * share, (-1, 1)) * moved)
    fixed = units.fixed(design) * first[:, None]
    own = np.hstack(columns)
    n_fixed, joint = fixed.shape[1], results._joint.covariance
    if results.nagq == 0:  # the fixed effects are not among the parameters
        variance = ((fixed @ results._joint.fixed_root) ** 2).sum(axis=1)
        return variance + _forms(own, joint[: own.shape[1], : own.shape[1]])
    gradient = np.hstack([fixed, own])
    size = n_fixed + own.shape[1]
    return _forms(gradient, joint[:size, :size])


def _forms(rows, matrix):
    """Quadratic forms of rows, NaN only where a row meets NaN in the matrix."""
    lost = np.isnan(np.diag(matrix))
    known = np.where(lost | lost[:, None], 0.0, matrix)
    forms = ((rows @ known) * rows).sum(axis=1)
    return np.where((rows[:, lost] != 0.0).any(axis=1), np.nan, forms)
