"""One pass over the rows: everything the data contribute to a fit."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.coupling import DenseCoupling, SparseCoupling
from statsmodels_lmm.core.elimination_plan import EliminationPlan, plan_elimination
from statsmodels_lmm.core.memory import check_memory

DENSE_SHARE = 0.2
"""Share of occupied entries above which the coupling is held densely."""

DENSE_ENTRIES = 250_000
"""Size below which the coupling is always held densely."""


@dataclass(frozen=True)
class CrossProducts:
    """
    Sufficient statistics of a linear mixed model.

    With W = [X y] (w = p + 1 columns), chain factors 1, ..., c of l_i levels
    and k_i effects, and q tail columns. After these are formed no evaluation
    of the criterion touches the n rows again.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the factors.
    nobs : int
        Number of rows n.
    diagonal : tuple of ndarray
        Z_i'Z_i of the chain factors, level by level, shapes (l_i, k_i, k_i).
    nested : dict
        ``nested[i, j]``, i < j < c: the rows of Z_i'Z_j at each level of i and
        its parent, shape (l_i, k_i, k_j).
    coupling : tuple
        Z_i'Z_t of the chain factors with the tail, None without a tail.
    fixed : tuple of ndarray
        Z_i'W of the chain factors, shapes (..., l_i, k_i, w).
    tail : ndarray
        Z_t'Z_t, shape (q, q).
    tail_fixed : ndarray
        Z_t'W, shape (..., q, w).
    gram : ndarray
        W'W, shape (..., w, w).
    """

    plan: EliminationPlan
    nobs: int
    diagonal: tuple
    nested: dict
    coupling: tuple
    fixed: tuple
    tail: np.ndarray
    tail_fixed: np.ndarray
    gram: np.ndarray

    @property
    def k_fixed(self):
        """Number of columns of X."""
        return self.gram.shape[-1] - 1


def level_sums(codes, n_levels, left, right):
    """
    Sum of outer products of two sets of columns over the rows of each level.

    Parameters
    ----------
    codes : ndarray
        Level of each row, shape (n,).
    n_levels : int
        Number of levels l.
    left, right : ndarray
        Shapes (n, a) and (n, b).

    Returns
    -------
    ndarray
        Shape (l, a, b).
    """
    out = np.empty((n_levels, left.shape[1], right.shape[1]))
    same = left is right
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            if same and b < a:
                out[:, a, b] = out[:, b, a]
            else:
                out[:, a, b] = np.bincount(
                    codes, left[:, a] * right[:, b], minlength=n_levels
                )
    return out


def cross_products(endog, exog, factors):
    """
    Form the cross-products of a model.

    Parameters
    ----------
    endog : ndarray
        Response, shape (n,).
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    factors : sequence of GroupedEffects
        Random-effects factors, in the order the user gave.

    Returns
    -------
    CrossProducts
    """
    plan = plan_elimination(factors)
    head = plan.chain[0]
    entries = head.n_columns * plan.n_tail
    occupied = head.k_effects * len(endog) * sum(f.k_effects for f in plan.tail)
    densely = entries <= DENSE_ENTRIES or occupied >= DENSE_SHARE * entries
    if not densely:
        plan = plan_elimination(factors, chain_tail=False)
    check_memory(plan, densely)
    fixed = np.column_stack([exog, endog])
    chain = plan.chain
    nested = {
        (i, j): level_sums(
            chain[i].codes, chain[i].n_levels, chain[i].effects, chain[j].effects
        )
        for i, j in plan.parents
    }
    if plan.tail:
        tail = _tail_gram(plan.tail, plan.tail_slices)
        tail_fixed = np.vstack([f.indicator().T @ fixed for f in plan.tail])
        coupling = tuple(_coupling(f, plan, densely) for f in chain)
    else:
        tail, tail_fixed = np.zeros((0, 0)), np.zeros((0, fixed.shape[1]))
        coupling = (None,) * plan.n_chain
    return CrossProducts(
        plan=plan,
        nobs=len(endog),
        diagonal=tuple(
            level_sums(f.codes, f.n_levels, f.effects, f.effects) for f in chain
        ),
        nested=nested,
        coupling=coupling,
        fixed=tuple(level_sums(f.codes, f.n_levels, f.effects, fixed) for f in chain),
        tail=tail,
        tail_fixed=tail_fixed,
        gram=fixed.T @ fixed,
    )


def _linked_blocks(first, second):
    """Levels of two factors that share rows, and Z_1'Z_2 for each such pair."""
    codes = first.codes.astype(np.int64) * second.n_levels + second.codes
    pairs, pair_codes = np.unique(codes, return_inverse=True)
    blocks = level_sums(pair_codes, len(pairs), first.effects, second.effects)
    return pairs // second.n_levels, pairs % second.n_levels, blocks


def _sparse_product(first, second):
    """Z_1'Z_2, of which every occupied block is held whole."""
    rows, columns, blocks = _linked_blocks(first, second)
    a, b = np.indices(blocks.shape[1:])
    at_row = rows[:, None, None] * first.k_effects + a
    at_column = columns[:, None, None] * second.k_effects + b
    return sparse.coo_array(
        (blocks.ravel(), (at_row.ravel(), at_column.ravel())),
        shape=(first.n_columns, second.n_columns),
    )


def _tail_gram(factors, slices):
    """Z_t'Z_t as a dense array."""
    out = np.zeros((slices[-1].stop, slices[-1].stop))
    for a, rows in enumerate(slices):
        for b in range(a + 1):
            block = _sparse_product(factors[a], factors[b])
            row, column = rows.start + block.row, slices[b].start + block.col
            out[row, column] = out[column, row] = block.data
    return out


def _coupling(factor, plan, densely):
    """Z_i'Z_t as an array, or sparse."""
    matrix = sparse.hstack([_sparse_product(factor, f) for f in plan.tail])
    if densely:
        shape = (factor.n_levels, factor.k_effects, plan.n_tail)
        return DenseCoupling(matrix.toarray().reshape(shape))
    matrix = matrix.tocsr()
    matrix.sort_indices()
    return SparseCoupling(matrix, factor.k_effects)
