"""
The mean of a response over the distribution of its random effects.

With eta the linear predictor of a row without random effects and v = z'Sigma z the
variance of those added to it, the mean is E h(eta + sqrt(v) N) for the inverse link h
and a standard normal N, whatever the number of terms: one integral on one axis.
"""

import numpy as np

from statsmodels_lmm.core.criteria.quadrature import product_grid
from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.inference.fixed.degrees_of_freedom import FixedInference, inference
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
        Shape (n,); NaN where the distribution leaves the range of the link.

    Warns
    -----
    DataWarning
        If it does so somewhere.
    """
    points, weights, _ = _nodes(eta, variance)
    means = family.mean(points) @ weights
    lost = int((np.isnan(means) & np.isfinite(eta)).sum())
    if lost:
        warn(
            f"{lost} of {len(means)} means over the random effects do not exist: the "
            "normal distribution of the linear predictor leaves the range of the "
            f"{family.link_name} link",
            DataWarning,
        )
    return means


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


def population_gradient(results, design, parts, eta):
    """
    Derivatives of the population means with respect to the parameters.

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
    fixed : ndarray
        In the fixed effects, shape (m, p).
    own : ndarray
        In the free parameters of the covariance matrices, shape (m, d).
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
    return design * first[:, None], np.hstack(columns)


def population_root(results, n_own):
    """
    A root of the covariance of the fixed effects and the covariance parameters.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    n_own : int
        Number d of free parameters of the covariance matrices.

    Returns
    -------
    ndarray
        R with R R' the covariance of the r fixed effects kept and the d parameters,
        shape (r + d, r + d); the rows of what has no variance are NaN.
    """
    joint, robust = results._joint, results._robust
    r = len(joint.fixed_root)
    size, start = r + n_own, 0 if results.nagq == 0 else r
    covariance = np.zeros((size, size))
    if results.cov_type == "rx":  # the variances are taken as known
        covariance[:r, :r] = joint.known_root @ joint.known_root.T
    else:
        if start == 0:  # the fixed effects are not among the parameters
            covariance[:r, :r] = joint.fixed_root @ joint.fixed_root.T
        known = joint.covariance if robust is None else robust.estimate.whole
        inside = slice(r - start, size)
        covariance[inside, inside] = known[: start + n_own, : start + n_own]
    lost = np.isnan(np.diag(covariance))
    values, vectors = np.linalg.eigh(np.where(lost | lost[:, None], 0.0, covariance))
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    root[lost] = np.nan
    root[:r] = results._units.data.to_fixed @ root[:r]
    if robust is not None:
        root[:r][robust.estimate.undetermined(results._estimates.fixed_root)] = np.nan
    return root


def population_inference(results, n_own, df_method=None):
    """
    Inference for functions of the fixed effects and of the covariance parameters.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    n_own : int
        Number d of free parameters of the covariance matrices.
    df_method : {None, "asymptotic", "residual"}, optional
        Degrees of freedom. Default is those of the results.

    Returns
    -------
    FixedInference
        Of p + d parameters, as deviations from their estimates: zero, or NaN for
        redundant columns that were dropped.
    """
    fixed = inference(results, df_method or results.df_method)
    root = population_root(results, n_own)
    params = np.concatenate([0.0 * np.asarray(fixed.params), np.zeros(n_own)])
    kept = np.isfinite(params)
    covariance = np.full((len(params),) * 2, np.nan)
    covariance[np.ix_(kept, kept)] = root @ root.T
    recession = np.pad(fixed.recession, [(0, n_own), (0, 0)])
    return FixedInference(
        fixed.method,
        params,
        covariance,
        1.0,
        root,
        fixed.constant_df,
        recession=recession,
    )
