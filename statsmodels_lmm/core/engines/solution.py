"""
M C with M = (S^-1 + Z'Z)^-1 for sums C, by the blocks of an elimination.

The sums are reduced like the cross-products, and the solution proceeds from the tail
down to the levels of the first term. Nothing is inverted, least of all S.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    flat_rows,
    product,
    symmetric,
    times_each,
    transpose,
)
from statsmodels_lmm.core.engines.levels import sum_by_parent
from statsmodels_lmm.core.engines.tail import times_tail_root

WELL_CONDITIONED = 1e-3
"""Smallest singular value of L at which Z'V^-1 Z is computed from I - T^-1."""


@dataclass(frozen=True)
class Solution:
    """
    Conditional modes and intermediate results.

    Parameters
    ----------
    modes : list of ndarray
        M C of each term in the order of the plan, shapes (..., l_i, k_i, m).
    left : list of ndarray
        Sums of each chain term after subtracting the other terms' modes, in the same
        shapes; the covariance of the levels times these gives the modes.
    spherical : ndarray
        Modes of the tail before they are multiplied by its L, shape (..., q, m).
    tail : ndarray
        Modes of the tail, shape (..., q, m).
    """

    modes: list
    left: list
    spherical: np.ndarray
    tail: np.ndarray


def reduced(elimination, sums):
    """
    Sums as they stand when each term and, finally, the tail is eliminated.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    sums : sequence of ndarray
        Rows of C for each term in the order of the plan, shapes (..., l_i, k_i, m).

    Returns
    -------
    chain : list of ndarray
        Sums of each chain term.
    tail : ndarray
        Sums of the tail, shape (..., q, m).
    weighted : list of ndarray
        Covariances of the levels times `chain`.
    """
    plan = elimination.products.plan
    chain, tail = list(sums[: plan.n_chain]), stacked(sums[plan.n_chain :])
    weighted = []
    for i, term in enumerate(elimination.terms):
        weighted.append(times_each(term.covariance, chain[i]))
        for j, block in term.nested.items():
            explained = transpose(block) @ weighted[i]
            chain[j] = chain[j] - sum_by_parent(explained, plan.parents[i, j])
        if plan.tail:
            tail = tail - term.coupling.transposed_times(weighted[i])
    return chain, tail, weighted


def back_substitute(elimination, chain, tail):
    """
    Solve for the modes from the tail down.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    chain, tail
        Reduced sums, see `reduced`.

    Returns
    -------
    Solution
    """
    plan, roots = elimination.products.plan, elimination.tail_roots
    modes: dict = {}
    left = list(chain)
    spherical = columns = tail
    if plan.tail:
        scaled = times_tail_root(plan, [transpose(root) for root in roots], tail)
        root = elimination.tail_cholesky
        spherical = root.back_solve(root.half_solve(scaled))
        columns = times_tail_root(plan, roots, spherical)
    for i in reversed(range(plan.n_chain)):
        term = elimination.terms[i]
        for j, block in term.nested.items():
            left[i] = left[i] - block @ modes[j].take(plan.parents[i, j], axis=-3)
        if plan.tail:
            left[i] = left[i] - term.coupling.times(columns)
        modes[i] = times_each(term.covariance, left[i])
    each = [modes[i] for i in range(plan.n_chain)] + by_term(plan, columns)
    return Solution(each, left, spherical, columns)


def projected(elimination, tail, solution):
    """
    C - Z'Z M C.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    tail : ndarray
        Reduced sums of the tail, shape (..., q, m).
    solution : Solution
        Solution for these sums.

    Returns
    -------
    list of ndarray
        Rows of each term in the order of the plan, shapes (..., l_i, k_i, m).
    """
    plan = elimination.products.plan
    out = [
        times_each(term.inner, left)
        for term, left in zip(elimination.terms, solution.left)
    ]
    if not plan.tail:
        return out
    inverses = elimination.tail_inverses
    spherical = by_term(plan, solution.spherical)
    for inverse, rows, part in zip(inverses, plan.tail_slices, spherical):
        if inverse is not None:
            out.append(transpose(inverse)[..., None, :, :] @ part)
        else:
            row = whole_tail(elimination)[..., rows, :]
            explained = product(row, solution.tail)
            rest = tail[..., rows, :] - explained
            out.append(rest.reshape(*rest.shape[:-2], *part.shape[-3:]))
    return out


def inverse_if_regular(root):
    """L^-1 of a tail term; None if L cannot safely be inverted."""
    if root.shape[-1] == 1:
        return 1.0 / root if np.abs(root).min() > WELL_CONDITIONED else None
    regular = np.linalg.svd(root, compute_uv=False).min() > WELL_CONDITIONED
    return np.linalg.inv(root) if regular else None


def whole_tail(elimination):
    """Both triangles of the reduced Z_t'Z_t, shape (..., q, q)."""
    if elimination.tail is not None:
        return elimination.tail
    return sparsely_reduced(elimination.products, elimination.terms[0])


def sparsely_reduced(products, head):
    """Reduced Z_t'Z_t if the only chain term is coupled sparsely, shape (q, q)."""
    rest, whole = head.coupling.gram(head.covariance), sparse.coo_array(products.tail)
    np.negative(rest, out=rest)
    rest[whole.row, whole.col] += whole.data
    return symmetric(rest)


def by_term(plan, rows):
    """Rows of the tail, term by term, shapes (..., l, k, m)."""
    *batch, _, columns = rows.shape
    return [
        rows[..., place, :].reshape(*batch, f.n_levels, f.k_effects, columns)
        for f, place in zip(plan.tail, plan.tail_slices)
    ]


def stacked(parts):
    """Rows of several terms stacked, shape (..., q, m)."""
    flat = [flat_rows(part) for part in parts]
    if len(flat) == 1:
        return flat[0]
    return np.concatenate(flat, axis=-2) if flat else np.zeros((0, 1))
