"""
Information about the variances and covariances themselves.

The parameters are the lower triangles of sigma^2 S_i, column by column, and sigma^2.
Unlike that of the entries of L, their information matrix is nonsingular even where S is
singular. A block with a structure has the parameters of S itself, so for such a block a
change of sigma^2 changes sigma^2 S by S.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.derivatives import of_all_factors, projected_products

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


def twice_information(deviance, kind):
    """
    Information about the parameters times 2 sigma^4, with V in place of sigma^2.

    With V_r the change of sigma^2 V per unit of a parameter, and V itself last, it is

        expected    tr(P V_r P V_s)
        average     y'P V_r P V_s P y / sigma^2
        observed    twice the average, less the expected, and the terms with second
                    derivatives of sigma^2 V.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    kind : {"expected", "average", "observed"}
        The kind of information.

    Returns
    -------
    ndarray
        Shape (m + 1, m + 1).
    """
    forms = deviance.variance_forms
    if kind == "expected":
        return forms.traces()
    first, products = forms.working_products()
    scale = float(deviance.scale)
    average = np.empty((len(first) + 1,) * 2)
    average[:-1, :-1] = products / scale
    average[:-1, -1] = average[-1, :-1] = first / scale
    average[-1, -1] = deviance.nu
    if kind == "average":
        return average
    observed = 2.0 * average - forms.traces()
    observed[:-1, :-1] += 2.0 * scale**2 * forms.bend()
    return observed


def joint_information(deviance, kind="observed"):
    """
    Information about all parameters of the covariance matrix, in the user's terms.

    They are the lower triangles of sigma^2 S_i, or the parameters of a structure; the
    correlations and gamma of the errors, if these have a covariance; and sigma^2, the
    variance of an error whose logarithm of the standard deviation is zero in F gamma.
    By the delta method a function of them with slopes h has variance h'J^-1 h, J the
    information. Of a standard deviation sd = sigma exp(f'gamma) the slopes are sd f in
    gamma and sd / (2 sigma^2) in sigma^2.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The criterion at the optimum, without batch axes.
    kind : {"expected", "average", "observed"}
        The kind of information. The observed one is half the Hessian of the criterion.

    Returns
    -------
    ndarray
        Shape (m + 1, m + 1).
    """
    change = deviance.variance_forms.of_user()
    twice = twice_information(deviance, kind)
    return change.T @ twice @ change / (2.0 * float(deviance.scale) ** 2)


def observed_information(deviance):
    """Half the Hessian of the criterion, see `joint_information`."""
    return joint_information(deviance)


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
