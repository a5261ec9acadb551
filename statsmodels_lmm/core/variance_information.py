"""
Information about the variances and covariances themselves.

The parameters are the lower triangles of sigma^2 S_i, column by column, and sigma^2.
Unlike the entries of L they have an information matrix that is regular where S is
singular, too.
"""

import numpy as np

from statsmodels_lmm.core.covariance import lower_triangles
from statsmodels_lmm.core.dense import transpose
from statsmodels_lmm.core.derivatives import (
    of_all_factors,
    projected_products,
    trace_products,
)

FLAT = 1e-12
"""Eigenvalues of the scaled information, relative to the largest, that count as 0."""


def unit_directions(slices, k_effects):
    """
    The symmetric matrices E_r of which a block-diagonal matrix is a combination.

    Parameters
    ----------
    slices : sequence of slice
        Columns of each covariance block.
    k_effects : int
        Number of effect columns k.

    Returns
    -------
    ndarray
        Shape (m, k, k), in the order of `covariance.lower_triangles`.
    """
    rows, columns = lower_triangles(slices)
    out = np.zeros((len(rows), k_effects, k_effects))
    each = np.arange(len(rows))
    out[each, rows, columns] = out[each, columns, rows] = 1.0
    return out


def average_information(deviance):
    """
    Average of the observed and the expected information.

    With V_r = dV / d(parameter r) it is y'P V_r P V_s P y / (2 sigma^6) (Gilmour,
    Thompson and Cullis 1995). For an entry of S, V_r = Z (I (x) E_r) Z'; for sigma^2
    it is I = V - Z S Z', which acts as -S on the random effects.

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
    for change, t, modes in zip(
        unit_changes(deviance), deviance.scores, deviance.modes
    ):
        m, k, _ = change.shape
        moved = (t @ np.moveaxis(change, 0, -1).reshape(k, -1)).reshape(*t.shape, m)
        own = np.concatenate([moved, -modes[..., None]], axis=-1)
        linear = linear + (t[..., None] * own).sum(axis=(-3, -2))
        columns.append(own)
    scale = np.asarray(deviance.scale)
    out = projected_products(deviance, columns)
    out[..., -1, :] += linear
    out[..., :, -1] += linear
    out[..., -1, -1] += deviance.nu * scale
    return out / (2.0 * scale[..., None, None] ** 3)


def unit_changes(deviance):
    """
    Changes of every S by one unit of each covariance parameter.

    Parameters
    ----------
    deviance : ProfiledDeviance
        Gives the covariance blocks.

    Returns
    -------
    list of ndarray
        For each factor in the order of the elimination plan, shapes (m, k_i, k_i).
    """
    factors = deviance.elimination.products.plan.factors
    return of_all_factors(unit_directions(f.block_slices, f.k_effects) for f in factors)


def expected_traces(deviance, changes):
    """
    Tr(P V_r P V_s) for changes V_r = Z (I (x) D_r) Z' and, at last, for V itself.

    After ML V^-1 takes the place of P.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    changes : sequence of ndarray
        D_r of each factor, shapes (m, k_i, k_i).

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
    Half the second derivatives of the criterion in the parameters of this module.

    It is twice the average information less the expected one,
    tr(P V_r P V_s) / (2 sigma^4).

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
    slices = [f.block_slices for f in deviance.elimination.products.plan.factors]
    entries = [
        f.covariance[lower_triangles(s)] for f, s in zip(deviance.factors, slices)
    ]
    # I is V - Z S Z'
    change = np.eye(len(traces))
    change[:-1, -1] = -np.concatenate(entries)
    expected = change.T @ traces @ change / (2.0 * float(deviance.scale) ** 2)
    return 2.0 * average_information(deviance) - expected


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
    used = values > FLAT * values[..., -1:]
    reciprocal = used / np.where(used, values, 1.0)
    return (vectors * reciprocal[..., None, :]) @ transpose(vectors) * both
