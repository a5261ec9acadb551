"""
Information about the variances and covariances themselves.

The parameters are the lower triangles of sigma^2 S_i, column by column, and sigma^2.
Unlike that of the entries of L, their information matrix is nonsingular even where S is
singular. A block with a structure has the parameters of S itself, so for such a block a
change of sigma^2 changes sigma^2 S by S.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import (
    dual_matrices,
    of_all_factors,
    projected_products,
    trace_products,
)
from statsmodels_lmm.core.structures.relative_factor import block_diagonal

NO_INFORMATION = 1e-12
"""Eigenvalues of the scaled information, relative to the largest, that count as 0."""


def average_information(deviance):
    """
    Average of the observed and the expected information.

    With V_r = dV / d(parameter r) it is y'P V_r P V_s P y / (2 sigma^6) (Gilmour,
    Thompson and Cullis 1995). For an entry of S, V_r = Z (I (x) E_r) Z'; for sigma^2
    it is V minus the part Z S Z' of the unstructured blocks.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum.

    Returns
    -------
    ndarray
        Shape (..., m + 1, m + 1).
    """
    columns, linear = [], 0.0
    terms = deviance.elimination.products.plan.terms
    for term, change, t, modes in zip(
        terms, unit_changes(deviance), deviance.scores, deviance.modes
    ):
        m, k, _ = change.shape
        moved = (t @ np.moveaxis(change, 0, -1).reshape(k, -1)).reshape(*t.shape, m)
        apart = modes * unstructured_effects(term)
        column = np.concatenate([moved, -apart[..., None]], axis=-1)
        linear = linear + (t[..., None] * column).sum(axis=(-3, -2))
        columns.append(column)
    scale = np.asarray(deviance.scale)
    out = projected_products(deviance, columns)
    out[..., -1, :] += linear
    out[..., :, -1] += linear
    out[..., -1, -1] += deviance.nu * scale
    return out / (2.0 * scale[..., None, None] ** 3)


def unstructured_effects(term):
    """Which effects belong to unstructured blocks, shape (k,)."""
    inside = np.ones(term.k_effects, dtype=bool)
    for structure, block in zip(term.structures, term.block_slices):
        inside[block] = not structure.has_structure
    return inside


def unit_changes(deviance):
    """
    Changes of every S per unit of each covariance parameter.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Supplies the covariance blocks.

    Returns
    -------
    list of ndarray
        For each term in elimination order, shapes (m, k_i, k_i).
    """
    scale = np.asarray(deviance.scale)
    return of_all_factors(f.unit_changes(scale) for f in deviance.factors)


def expected_traces(deviance, changes):
    """
    Traces tr(P V_r P V_s) for changes V_r = Z (I (x) D_r) Z' and, last, V itself.

    For ML, V^-1 takes the place of P.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    changes : sequence of ndarray
        D_r of each term, shapes (m, k_i, k_i).

    Returns
    -------
    ndarray
        Shape (m + 1, m + 1).
    """
    m = len(changes[0])
    out = np.zeros((m + 1, m + 1))
    out[:m, :m] = trace_products(deviance, changes)
    for change, sums, y in zip(
        changes, deviance.selected.level_sums, deviance.fixed_scores
    ):
        # P V P is P
        within = sums - np.einsum("gap,gbp->ab", y, y) if deviance.reml else sums
        out[m, :m] += (change * within).sum(axis=(-1, -2))
    out[:m, m] = out[m, :m]
    out[m, m] = deviance.nu
    return out


def observed_information(deviance):
    """
    Half the Hessian of the criterion with respect to this module's parameters.

    It is twice the average information minus the expected information,
    tr(P V_r P V_s) / (2 sigma^4), plus tr(G d^2 S) / 2 for a structure, as S is not
    linear in its parameters.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.

    Returns
    -------
    ndarray
        Shape (m + 1, m + 1).
    """
    traces = expected_traces(deviance, unit_changes(deviance))
    # sigma^2 alone changes V by V - Z S Z', with S of the unstructured blocks
    change = np.eye(len(traces))
    change[:-1, -1] = -np.concatenate([f.scale_slopes() for f in deviance.factors])
    expected = change.T @ traces @ change / (2.0 * float(deviance.scale) ** 2)
    observed = 2.0 * average_information(deviance) - expected
    pairs = zip(deviance.factors, dual_matrices(deviance))
    observed[:-1, :-1] += block_diagonal([f.bend(dual) for f, dual in pairs])
    return observed


def inverse_information(information):
    """
    Covariance of the estimates, without directions that the data do not identify.

    Parameters
    ----------
    information : ndarray
        Shape (..., m, m).

    Returns
    -------
    ndarray
        Shape (..., m, m).
    """
    diagonal = np.diagonal(information, axis1=-2, axis2=-1)
    scale = 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, np.inf))
    both = scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(information * both)
    used = values > NO_INFORMATION * values[..., -1:]
    reciprocal = used / np.where(used, values, 1.0)
    return (vectors * reciprocal[..., None, :]) @ transpose(vectors) * both
