"""
Derivatives of the profiled deviance with respect to entries of the relative factors.

Notation: t = Z'Py, u = L't, K = Z'V^-1 Z (ML) or Z'P Z (REML), nu and r^2 as in
`deviance`. For a parameter a, the entry (i, j) of one factor's L,

    dS_a = e_i L_j' + L_j e_i',      t_a = (I (x) dS_a) t.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    concatenated,
    consecutive,
    flat_rows,
    transpose,
)
from statsmodels_lmm.core.engines.levels import level_gram

MAX_DENSE_COLUMNS = 2500
"""Number of random effects up to which Z'V^-1 Z is formed densely."""


@dataclass(frozen=True)
class Derivatives:
    """
    First derivatives and a curvature matrix of the criterion.

    Parameters
    ----------
    duals : tuple of ndarray
        G_i = dd/dS_i, symmetric, shapes (..., k_i, k_i). At a minimum over the
        cone of covariance matrices G_i L_i = 0 and G_i is positive semi-definite.
    gradient : ndarray
        Derivatives in the free entries of the factors, shape (..., m).
    curvature : ndarray
        Average information plus the exact part due to S being quadratic in L, or
        the exact Hessian, shape (..., m, m).
    observed : ndarray
        t_a'Z'PZ t_b / scale, twice the information added by the response,
        shape (..., m, m).
    working : ndarray
        t't_a / scale, minus the derivative of nu log(scale), shape (..., m).
    """

    duals: tuple
    gradient: np.ndarray
    curvature: np.ndarray
    observed: np.ndarray
    working: np.ndarray

    escape = 0.0
    """No other parameter has a boundary."""


def dual_matrices(deviance):
    """
    G_i = sum_g [K_i]_gg - (1 / scale) sum_g t_g t_g', shapes (..., k_i, k_i).

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.
    """
    duals = []
    for i, sums in enumerate(deviance.selected.level_sums):
        t = deviance.scores[i]
        scale = np.asarray(deviance.scale)[..., None, None]
        dual = sums - t.swapaxes(-1, -2) @ t / scale
        if deviance.reml:
            y = deviance.fixed_scores[i]
            flat = flat_rows(transpose(y))
            dual = dual - transpose(flat) @ flat
        duals.append(0.5 * (dual + dual.swapaxes(-1, -2)))
    return tuple(duals)


def gradient(factors, duals):
    """The gradient 2 G_i L_i at the free entries, shape (..., m)."""
    return concatenated([f.slope(dual) for f, dual in zip(factors, duals)])


def average_derivatives(deviance):
    """
    Gradient and average information of the criterion.

    The average information is that of Gilmour, Thompson and Cullis (1995) and
    Johnson and Thompson (1995) with the residual variance profiled out, plus
    2 G_i, the second derivative of S = L L'.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.

    Returns
    -------
    Derivatives
    """
    duals = dual_matrices(deviance)
    working, products = working_products(
        deviance, [f.directions for f in deviance.factors]
    )
    scale = np.asarray(deviance.scale)[..., None]
    observed, steps = products / scale[..., None], working / scale
    nu = np.asarray(deviance.nu)[..., None, None]
    curvature = observed - steps[..., :, None] * steps[..., None, :] / nu
    parts = consecutive(factor.n_free for factor in deviance.factors)
    for factor, dual, part in zip(deviance.factors, duals, parts):
        curvature[..., part, part] += factor.curvature(dual)
    slope = gradient(deviance.factors, duals)
    return Derivatives(duals, slope, curvature, observed, steps)


def with_exact_hessian(deviance, derivatives):
    """
    Replace the average information by the Hessian.

    It is analytic for one term and for up to `MAX_DENSE_COLUMNS` random effects;
    beyond that it is formed from central differences of the exact gradient.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.
    derivatives : Derivatives
        Its first derivatives and average information.

    Returns
    -------
    Derivatives
    """
    products = deviance.elimination.products
    if products.projection_is_affordable(MAX_DENSE_COLUMNS):
        curvature = (
            derivatives.curvature
            + derivatives.observed
            - expected_information(deviance)
        )
    else:
        curvature = differenced_gradient(deviance)
    rest = derivatives.observed, derivatives.working
    return Derivatives(derivatives.duals, derivatives.gradient, curvature, *rest)


def differenced_gradient(deviance, lengths=1.0, step=1e-4):
    """
    Central differences of the gradient in the free parameters.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.
    lengths : float or ndarray, optional
        Units of the parameters, shape (m,).
    step : float, optional
        Length of a step, in these units.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    parts = consecutive(part.n_free for part in deviance.point)

    def gradient_after(move):
        point = [f.moved(move[part]) for f, part in zip(deviance.point, parts)]
        return deviance.elsewhere(point).slope

    steps = np.broadcast_to(step * lengths, parts[-1].stop)
    rows = [
        (gradient_after(d) - gradient_after(-d)) / (2 * h)
        for d, h in zip(np.diag(steps), steps)
    ]
    return 0.5 * (np.array(rows) + np.array(rows).T)


def working_products(deviance, changes):
    """
    Products of the responses Z t_a to changes D_a of the S of each term.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.
    changes : sequence of ndarray
        Changes of the S of each term by its own parameters, (..., m_i, k_i, k_i).

    Returns
    -------
    first : ndarray
        t't_a, shape (..., m).
    products : ndarray
        t_a'Z'PZ t_b, shape (..., m, m).
    """
    first, columns = working_columns(deviance, changes)
    return first, projected_products(deviance, columns)


def working_columns(deviance, changes):
    """
    The products t't_a, and the changes t_a = (I (x) D_a) t of each term.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point at which to differentiate.
    changes : sequence of ndarray
        As for `working_products`.

    Returns
    -------
    products : ndarray
        Shape (..., m).
    columns : list of ndarray
        Shapes (..., l_i, k_i, m).
    """
    parts = consecutive(change.shape[-3] for change in changes)
    m, columns, first = parts[-1].stop, [], []
    for change, t, part in zip(changes, deviance.scores, parts):
        turned = change.swapaxes(-1, -3)  # symmetric, so any order
        flat = turned.reshape(*turned.shape[:-2], -1)
        moved = (t @ flat).reshape(*t.shape, change.shape[-3])
        first.append(level_gram(t[..., None], moved)[..., 0, :])
        if len(parts) > 1:  # parameters of other terms do not change this one
            among = np.zeros((*t.shape, m))
            among[..., part] = moved
            moved = among
        columns.append(moved)
    return concatenated(first), columns


def projected_products(deviance, columns):
    """
    T'Z'PZ T for columns T with one row for each random effect.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Gives P.
    columns : list of ndarray
        Rows of T for each term in elimination order, shapes
        (..., l_i, k_i, m).

    Returns
    -------
    ndarray
        Shape (..., m, m).
    """
    total = deviance.elimination.projected_forms(columns)
    half = sum(level_gram(y, c) for y, c in zip(deviance.fixed_scores, columns))
    return total - transpose(half) @ half


def expected_information(deviance):
    """Traces tr(K dS_a K dS_b) for pairs of free entries, shape (m, m)."""
    changes = of_all_factors(f.directions for f in deviance.factors)
    return trace_products(deviance, changes)


def of_all_factors(changes):
    """
    Changes of each S by the parameters of all terms; those of other terms are zero.

    Parameters
    ----------
    changes : iterable of ndarray
        Changes of the S of each term by its own parameters, (..., m_i, k_i, k_i).

    Returns
    -------
    list of ndarray
        Changes by all m parameters, term by term, shapes (..., m, k_i, k_i).
    """
    changes = list(changes)
    if len(changes) < 2:
        return changes
    parts, out = consecutive(change.shape[-3] for change in changes), []
    for change, part in zip(changes, parts):
        *batch, _, k, _ = change.shape
        among = np.zeros((*batch, parts[-1].stop, k, k))
        among[..., part, :, :] = change
        out.append(among)
    return out


def trace_products(deviance, changes):
    """
    Traces tr(K D_a K D_b) for pairs of changes D of the random-effects covariance.

    K is Z'PZ for REML and Z'V^-1 Z for ML.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Supplies K.
    changes : sequence of ndarray
        Change of the S of each term, symmetric, in the order of the elimination
        plan, shapes (..., m, k_i, k_i).

    Returns
    -------
    ndarray
        Shape (..., m, m).
    """
    scores = deviance.fixed_scores if deviance.reml else None
    return deviance.elimination.projection(scores).trace_products(changes)
