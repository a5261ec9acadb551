"""Products with the relative factors of the tail, treated as one matrix."""

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose


def is_scalar(terms):
    """Whether every term has one effect column."""
    return all(f.k_effects == 1 for f in terms)


def times_tail_root(plan, roots, matrix):
    """
    L_t' M for M with a row for each tail column, shape (..., q, m).

    Parameters
    ----------
    plan : EliminationPlan
        Supplies the layout of the tail.
    roots : sequence of ndarray
        L' or L of each tail term, which multiplies from the left.
    matrix : ndarray
        Shape (..., q, m).
    """
    out = np.empty(np.broadcast(matrix, roots[0][..., :1, :1]).shape)
    for term, left, rows in zip(plan.tail, roots, plan.tail_slices):
        part = matrix[..., rows, :]
        if term.k_effects == 1:
            out[..., rows, :] = part * left
        else:
            shape = (*part.shape[:-2], term.n_levels, term.k_effects, -1)
            block = left[..., None, :, :] @ part.reshape(shape)
            out[..., rows, :] = block.reshape(*block.shape[:-3], *part.shape[-2:])
    return out


def scalar_scale(plan, roots):
    """Diagonal of L if L is diagonal, shape (..., q)."""
    return np.concatenate(
        [
            np.repeat(left[..., 0], f.n_levels, axis=-1)
            for f, left in zip(plan.tail, roots)
        ],
        axis=-1,
    )


def scale_tail(plan, roots, matrix, overwrite=False):
    """
    L M L' for a symmetric M over the tail columns.

    Parameters
    ----------
    plan : EliminationPlan
        Supplies the layout of the tail.
    roots : sequence of ndarray
        L of each tail term, shapes (..., k, k).
    matrix : ndarray
        Shape (..., q, q); one triangle is enough if every k is 1.
    overwrite : bool, optional
        Whether the result may overwrite `matrix`.

    Returns
    -------
    ndarray
        Shape (..., q, q).
    """
    if is_scalar(plan.tail):
        same = overwrite and matrix.ndim == roots[0].ndim
        shape = np.broadcast_shapes(matrix.shape, (*roots[0].shape[:-2], 1, 1))
        out = matrix if same else np.empty(shape)
        for left, rows in zip(roots, plan.tail_slices):
            for right, columns in zip(roots, plan.tail_slices):
                block = (..., rows, columns)
                np.multiply(matrix[block], left * right, out=out[block])
        return out
    half = times_tail_root(plan, roots, matrix)
    return transpose(times_tail_root(plan, roots, transpose(half)))
