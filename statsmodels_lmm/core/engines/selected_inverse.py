"""
The blocks of (S^-1 + Z'Z)^-1 needed for the gradient, modes and variances.

Written M = L (I + L'Z'Z L)^-1 L', the matrix exists for any S = L L'. Its
diagonal blocks times sigma^2 are the conditional variances of the random
effects. They follow by the recursion of Takahashi, Fagan and Chin (1973) on
the blocks of the elimination.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    identity,
    product,
    symmetric,
    transpose,
)
from statsmodels_lmm.core.engines.leverages import forms_within, leverages
from statsmodels_lmm.core.engines.solution import (
    back_substitute,
    projected,
    whole_tail,
)
from statsmodels_lmm.core.engines.tail import is_scalar, scale_tail


@dataclass(frozen=True)
class SelectedInverse:
    """
    Blocks of M and products with V^-1.

    Terms are in elimination order.

    Parameters
    ----------
    elimination : Elimination
        The elimination from which the blocks were computed.
    found : tuple of ndarray
        The blocks `diagonal` as far as they were needed, else None.
    tail : ndarray
        Tail block of M, shape (..., q, q); if coupled sparsely, perhaps only the
        entries of its lower triangle that the coupling reads.
    level_sums : tuple of ndarray
        Sum over the levels of the diagonal blocks of Z_i' V^-1 Z_i, shapes
        (..., k_i, k_i).
    projected : tuple of ndarray
        Z_i' V^-1 W, shapes (..., l_i, k_i, w).
    modes : tuple of ndarray
        S_i Z_i' V^-1 W, the conditional modes that each column of W would
        have, shapes (..., l_i, k_i, w).
    nested : dict
        ``nested[i, j]``, i < j: the blocks of M of the levels of a chain term with
        their parents, shape (..., l_i, k_i, k_j).
    to_tail : dict
        The blocks of M of the levels of a chain term with the tail, shape
        (..., l_i, k_i, q), where they were needed.
    """

    elimination: Any
    found: tuple
    tail: np.ndarray
    level_sums: tuple
    projected: tuple
    modes: tuple
    nested: dict
    to_tail: dict

    @cached_property
    def diagonal(self):
        """Diagonal blocks of M, shapes (..., l_i, k_i, k_i)."""
        if not self.found or self.found[0] is not None:
            return self.found
        head = self.elimination.terms[0]
        c, quadratic = head.covariance, head.coupling.quadratic(self.tail)
        return (c + c @ quadratic @ c, *self.found[1:])

    @property
    def diagonal_is_cheap(self):
        """Whether `diagonal` is known or takes less than an evaluation."""
        is_known = not self.found or self.found[0] is not None
        return is_known or self.elimination.terms[0].coupling.is_kept

    def leverages(self, terms):
        """Z'M z of rows z with the levels of the engine's rows, see `leverages`."""
        return leverages(self, terms)

    def forms_within(self, terms, m):
        """Forms of rows within groups of m, see `leverages.forms_within`."""
        return forms_within(self, terms, m)


@dataclass(frozen=True)
class _TailBlocks:
    """The tail's part of a SelectedInverse; `inverse` is its block of M."""

    inverse: np.ndarray
    diagonal: list
    level_sums: list


def selected_inverse(elimination):
    """
    Compute the blocks of the inverse from an elimination.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.

    Returns
    -------
    SelectedInverse
    """
    reduced = [term.sums for term in elimination.terms]
    solution = back_substitute(elimination, reduced, elimination.tail_sums)
    tail = _TailBlocks(np.zeros((0, 0)), [], [])
    if elimination.products.plan.tail:
        tail = _tail_blocks(elimination)
    blocks, to_tail, sums = _chain_blocks(elimination, tail.inverse)
    diagonal = [blocks.pop((i, i)) for i in range(elimination.products.plan.n_chain)]
    return SelectedInverse(
        elimination,
        tuple(diagonal + tail.diagonal),
        tail.inverse,
        tuple(sums + tail.level_sums),
        tuple(projected(elimination, elimination.tail_sums, solution)),
        tuple(solution.modes),
        blocks,
        to_tail,
    )


def _chain_blocks(elimination, tail_inverse):
    """
    Blocks of M for each chain term, and sums of blocks of Z_i'V^-1 Z_i.

    A level is linked to its ancestors and to the tail by rows R of the reduced
    cross-products. With N the block of M for everything linked to it,

        M_gg = C + C (R N R') C,    and its blocks with the others are -C R N.

    Of levels that are coupled sparsely, only the sum of J R N R'J' is computed.
    """
    plan = elimination.products.plan
    blocks: dict = {}
    to_tail: dict = {}
    sums: dict = {}

    def between_ancestors(i, j, m):
        """Blocks of M between the ancestors in j and m of each level of i."""
        low, high = min(j, m), max(j, m)
        block = blocks[low, high].take(plan.parents[i, low], axis=-3)
        return block if j <= m else transpose(block)

    for i in reversed(range(plan.n_chain)):
        term = elimination.terms[i]
        c, later, quadratic = term.covariance, list(term.nested), None
        # R N, in the columns of each ancestor
        through = {
            m: sum(term.nested[j] @ between_ancestors(i, j, m) for j in later)
            for m in later
        }
        # and in those of the tail
        if i == 0 and term.coupling is not None and term.coupling.is_sparse:
            explained = term.coupling.quadratic_sum(term.inner, tail_inverse)
            blocks[i, i], sums[i] = None, term.kernel.sum(axis=0) - explained
            continue
        if plan.tail and not later and i == 0:
            quadratic = term.coupling.quadratic(tail_inverse)
        elif plan.tail:
            values = term.coupling.values
            reach = term.coupling.times(tail_inverse)
            for j in later:
                above = to_tail[j].take(plan.parents[i, j], axis=-3)
                through[j] = through[j] + values @ transpose(above)
                reach = reach + term.nested[j] @ above
            to_tail[i] = -c @ reach
            quadratic = reach @ transpose(values)
        # R N R'
        for j in later:
            part = through[j] @ transpose(term.nested[j])
            quadratic = part if quadratic is None else quadratic + part
            blocks[i, j] = -c @ through[j]
        blocks[i, i] = c
        sums[i] = term.kernel
        if quadratic is not None:
            blocks[i, i] = c + c @ quadratic @ c
            sums[i] = sums[i] - term.inner @ quadratic @ transpose(term.inner)
        sums[i] = sums[i].sum(axis=-3)
    return blocks, to_tail, [sums[i] for i in range(plan.n_chain)]


def _tail_blocks(elimination):
    """The tail's blocks, from which the recursion starts."""
    products, roots = elimination.products, elimination.tail_roots
    plan, dense = products.plan, not products.is_coupled_sparsely
    inverses = elimination.tail_inverses
    regular = all(inverse is not None for inverse in inverses)
    whole = dense or not (regular and is_scalar(plan.tail))
    inverse = elimination.tail_cholesky.inverse(whole)
    shapes = [(f.n_levels, f.k_effects) for f in plan.tail]
    spreads = [
        diagonal_blocks(inverse, rows, *shape)
        for rows, shape in zip(plan.tail_slices, shapes)
    ]
    middle = scale_tail(plan, roots, inverse, overwrite=True)
    diagonal, sums = [], []
    for i, (root, shape, rows) in enumerate(zip(roots, shapes, plan.tail_slices)):
        each = root[..., None, :, :]
        diagonal.append(each @ spreads[i] @ transpose(each))
        if inverses[i] is not None:
            solve = transpose(inverses[i])
            explained = shape[0] * identity(shape[1]) - spreads[i].sum(axis=-3)
            sums.append(solve @ explained @ transpose(solve))
        else:
            full = whole_tail(elimination)
            row = full[..., rows, :]
            through = _by_level(product(row, middle), shape)
            explained = through @ transpose(_by_level(row, shape))
            sums.append((diagonal_blocks(full, rows, *shape) - explained).sum(axis=-3))
    return _TailBlocks(middle, diagonal, sums)


def _by_level(rows, shape):
    """Rows of one tail term, shape (..., l, k, m)."""
    return rows.reshape(*rows.shape[:-2], *shape, -1)


def diagonal_blocks(matrix, rows, n_levels, k_effects):
    """
    Diagonal blocks of a symmetric matrix given by its lower triangle.

    Parameters
    ----------
    matrix : ndarray
        Shape (..., q, q).
    rows : slice
        Rows and columns of one term.
    n_levels, k_effects : int
        Numbers of blocks and of rows in each.

    Returns
    -------
    ndarray
        Shape (..., n_levels, k_effects, k_effects).
    """
    block, shape = matrix[..., rows, rows], (n_levels, k_effects)
    block = block.reshape(*block.shape[:-2], *shape, *shape)
    return symmetric(np.einsum("...gagb->...gab", block))
