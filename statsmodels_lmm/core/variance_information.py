"""
Information about the variances and covariances themselves.

The parameters are the lower triangles of sigma^2 S_i, column by column, and sigma^2.
Unlike the entries of L they have an information matrix that is regular where S is
singular, too.
"""

import numpy as np

from statsmodels_lmm.core.covariance import lower_triangles
from statsmodels_lmm.core.dense import transpose
from statsmodels_lmm.core.derivatives import projected_products

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
    products = deviance.elimination.products
    nu = products.nobs - (products.k_fixed if deviance.reml else 0)
    slices = [f.block_slices for f in products.plan.factors]
    sizes = [len(lower_triangles(s)[0]) for s in slices]
    m, start = sum(sizes), 0
    columns, linear = [], 0.0
    for factor, blocks, size, t, modes in zip(
        products.plan.factors, slices, sizes, deviance.scores, deviance.modes
    ):
        own = np.zeros((*t.shape, m + 1))
        units = unit_directions(blocks, factor.k_effects)
        flat = np.moveaxis(units, 0, -1).reshape(factor.k_effects, -1)
        own[..., start : start + size] = (t @ flat).reshape(*t.shape, size)
        own[..., m] = -modes
        linear = linear + (t[..., None] * own).sum(axis=(-3, -2))
        columns.append(own)
        start += size
    scale = np.asarray(deviance.scale)
    out = projected_products(deviance, columns)
    out[..., m, :] += linear
    out[..., :, m] += linear
    out[..., m, m] += nu * scale
    return out / (2.0 * scale[..., None, None] ** 3)


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
