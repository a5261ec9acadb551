"""Degrees of freedom and F statistics of contrasts in many fits at once."""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose

SAME = 1e-8
"""Range of degrees of freedom that counts as none."""

RANK_TOLERANCE = 1e-8
"""Singular values of contrasts, relative to the largest, that count as zero."""


def contrast_dfs(slopes, contrasts):
    """
    Degrees of freedom of single contrasts, see `small_sample.contrast_df`.

    Parameters
    ----------
    slopes : ndarray
        See `UncertainCovariance`, shape (r, s, p, p).
    contrasts : ndarray
        Coefficients of R'beta in each fit, shape (r, q, p).

    Returns
    -------
    ndarray
        Shape (r, q); infinite for a contrast of zeros.
    """
    r, q, p = contrasts.shape
    pairs = (contrasts[..., :, None] * contrasts[..., None, :]).reshape(r, q, p * p)
    forms = pairs @ transpose(slopes.reshape(r, -1, p * p))
    variance = (contrasts**2).sum(axis=-1)
    zero = variance == 0.0
    spread = (forms**2).sum(axis=-1) / np.where(zero, 1.0, variance) ** 2
    return np.where(zero, np.inf, 2.0 / np.where(zero, 1.0, spread))


def f_statistics(slopes, contrasts, errors):
    """
    Wald F statistics and denominator degrees of freedom (Fai and Cornelius 1996).

    Parameters
    ----------
    slopes : ndarray
        See `UncertainCovariance`, shape (r, s, p, p); None for known variances.
    contrasts : ndarray
        Coefficients of R'beta in each fit, of the same rank in all, shape (r, q, p).
    errors : ndarray
        The contrasts themselves over sigma, shape (r, q).

    Returns
    -------
    statistic : ndarray
        Shape (r,).
    rank : int
        Numerator degrees of freedom.
    df : ndarray
        Denominator degrees of freedom, shape (r,).
    """
    sizes = np.linalg.norm(contrasts, axis=-1)
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    left, singular, _ = np.linalg.svd(contrasts / sizes[..., None], False)
    rank = int((singular > RANK_TOLERANCE * singular[..., :1]).sum(axis=-1).max())
    turned = (transpose(left) @ (errors / sizes)[..., None])[..., :rank, 0]
    turned = turned / singular[..., :rank]
    statistic = (turned**2).sum(axis=-1) / rank
    if slopes is None:
        return statistic, rank, np.full(len(statistic), np.inf)
    principal = np.linalg.svd(contrasts, full_matrices=False)[2][..., :rank, :]
    return statistic, rank, joint_dfs(contrast_dfs(slopes, principal))


def joint_dfs(each):
    """
    Denominator degrees of freedom from those of single contrasts.

    Parameters
    ----------
    each : ndarray
        Degrees of freedom of uncorrelated contrasts, shape (r, q).

    Returns
    -------
    ndarray
        Shape (r,); 2 where the expectation of F does not exist, as in lmerTest.
    """
    none = (each <= 2.0).any(axis=-1)
    excess = (2.0 / (np.where(each > 2.0, each, 3.0) - 2.0)).sum(axis=-1)
    q = each.shape[-1]
    joint = 2.0 * (q + excess) / np.where(excess > 0.0, excess, 1.0)
    joint = np.where(none, 2.0, np.where(excess > 0.0, joint, np.inf))
    same = each.max(axis=-1) < each.min(axis=-1) + SAME
    return np.where(same, each.mean(axis=-1), joint)
