"""The joint covariance of the parameters of a generalized mixed model."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.algebra.dense import cholesky, inverse_lower, transpose

FLAT = 1e-10
"""Eigenvalue of the scaled Hessian, relative to the largest, treated as zero."""


@dataclass(frozen=True)
class JointCovariance:
    """
    The inverse of the observed information of all free parameters.

    Parameters
    ----------
    covariance : ndarray
        Of the free parameters in standardized units, shape (m, m); NaN in directions
        that the data do not determine.
    fixed_root : ndarray
        R with R R' the covariance of the standardized coefficients, shape (p, p).
    known_root : ndarray
        The same if the covariance parameters were known, shape (p, p).
    """

    covariance: np.ndarray
    fixed_root: np.ndarray
    known_root: np.ndarray


def joint_covariance(evaluation, hessian, separated=None):
    """
    Invert the information of a Laplace or quadrature deviance.

    With d = -2 log L, the covariance is twice the inverse of the Hessian of d. At a
    singular fit the columns of L that are zero do not take part: d is even in them.

    Parameters
    ----------
    evaluation : LaplaceDeviance
        The criterion at the optimum.
    hessian : ndarray
        Hessian of d with respect to the free parameters, shape (m, m).
    separated : ndarray, optional
        Basis of the directions in which the coefficients are infinite, in standardized
        units, shape (p, k). They are left out, as if the coefficients could not move
        there.

    Returns
    -------
    JointCovariance
    """
    units = evaluation.units
    scaled = units[:, None] * hessian * units
    first, _ = evaluation.criterion.counts
    p = evaluation.model.exog.shape[1]
    used = _used(evaluation)
    covariance = np.zeros_like(hessian)
    inner = np.ix_(used, used)
    free = np.eye(p)
    if separated is not None:
        free = np.linalg.qr(separated, mode="complete")[0][:, separated.shape[1] :]
    basis = block_diag(free, np.eye(used.sum() - p)) if first else np.eye(used.sum())
    values, vectors = np.linalg.eigh(basis.T @ scaled[inner] @ basis)
    vectors = basis @ vectors
    known = values > FLAT * np.abs(values).max(initial=1e-300)
    inverse = (vectors[:, known] / values[known]) @ vectors[:, known].T
    lost = ~known
    if lost.any():
        # whatever a flat direction moves has no variance
        share = (vectors[:, lost] ** 2).sum(axis=1) > 1e-8
        inverse[share], inverse[:, share] = np.nan, np.nan
    covariance[inner] = 2.0 * inverse * units[used][:, None] * units[used]
    information = free.T @ evaluation.fixed_information @ free
    try:
        known_root = _padded(free @ transpose(inverse_lower(cholesky(information))))
    except np.linalg.LinAlgError:  # c is not convex everywhere
        known_root = _undetermined(p)
    if not first:  # the fixed effects are not parameters of the criterion
        return JointCovariance(covariance, known_root, known_root)
    own = covariance[:p, :p]
    if not np.isfinite(own).all():
        fixed_root = _undetermined(p)
    else:
        fixed_root = _padded(free @ cholesky(free.T @ own @ free))
    return JointCovariance(covariance, fixed_root, known_root)


def joint_covariances(evaluation):
    """
    Invert the information of many responses.

    Parameters
    ----------
    evaluation : LaplaceBatchDeviance
        The criterion at the optima.

    Returns
    -------
    covariance : ndarray
        Of the free parameters in standardized units, shape (r, m, m).
    is_regular : ndarray of bool
        Whether the data determine all of them, shape (r,).
    """
    moves = (np.abs(evaluation.factor.directions) > 0.0).any(axis=(-1, -2))
    used = np.pad(moves, [(0, 0), (evaluation.fixed.n_free, 0)], constant_values=True)
    inner = used[:, :, None] & used[:, None]
    information = np.where(inner, evaluation.hessian, np.eye(used.shape[1]))
    values, vectors = np.linalg.eigh(information)
    is_regular = values[:, 0] > FLAT * values[:, -1]
    values = np.where(is_regular[:, None], values, 1.0)
    covariance = 2.0 * (vectors / values[:, None]) @ transpose(vectors)
    return np.where(inner, covariance, 0.0), is_regular


def _undetermined(p):
    """A root of variances that are NaN, shape (p, p)."""
    return np.where(np.eye(p) > 0, np.nan, 0.0)


def _padded(root):
    """A root (p, r) with zeros beside it, shape (p, p)."""
    p, r = root.shape
    return np.hstack([root, np.zeros((p, p - r))])


def _used(evaluation):
    """Which free parameters move S to first order, or are not of a covariance."""
    first, last = evaluation.criterion.counts
    out = [np.ones(first, dtype=bool)]
    for factor in evaluation.factors:
        out.append((np.abs(factor.directions) > 0.0).any(axis=(-1, -2)))
    squared = last and evaluation.model.family.extra_is_squared
    out.append(np.full(last, not (squared and evaluation.extra == 0.0)))
    return np.concatenate(out)


def covariance_slopes(factor):
    """
    Derivatives of a term's covariance parameters with respect to its free parameters.

    Parameters
    ----------
    factor : RelativeFactor
        The factor of S.

    Returns
    -------
    ndarray
        Of the lower triangles of S, column by column, or the parameters of a
        structure, block by block, shape (number of parameters, number of free ones).
        Zero for a parameter on which S does not depend.
    """
    changes = factor.unit_changes(1.0)
    directions = factor.directions
    basis = changes.reshape(len(changes), -1).T
    moves = directions.reshape(len(directions), -1).T
    return np.linalg.lstsq(basis, moves, rcond=None)[0]


def variance_slopes(evaluation):
    """
    Derivatives of the covariance parameters with respect to the free parameters.

    Parameters
    ----------
    evaluation : LaplaceDeviance
        The criterion at the optimum.

    Returns
    -------
    ndarray
        Of the parameters of all terms, see `covariance_slopes`; of the dispersion or
        alpha, if the family has one; and of the scale, which is always 1. The free
        parameters are those of the terms and the extra one.
    """
    slopes = block_diag(*map(covariance_slopes, evaluation.factors))
    family, extra = evaluation.model.family, evaluation.extra
    if family.has_extra:
        squared = family.extra_is_squared
        slope = 2.0 * np.sqrt(extra) if squared else family.dispersion(extra)
        slopes = block_diag(slopes, slope)
    return np.vstack([slopes, np.zeros(slopes.shape[1])])
