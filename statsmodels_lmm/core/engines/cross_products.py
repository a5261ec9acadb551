"""One pass over the rows: everything the data contribute to a fit."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.memory import check_memory, check_parameters
from statsmodels_lmm.core.engines.coupling import DenseCoupling, SparseCoupling
from statsmodels_lmm.core.engines.plan import EliminationPlan, plan_elimination
from statsmodels_lmm.core.engines.within_levels import within_levels
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects, level_sums
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.related_effects import RelatedEffects, related

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
    rows : Rows, optional
        What they were formed from. It is read again only where a residual sum of
        squares that is found by subtraction would have too few digits.
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
    rows: Rows | None = None

    def with_sums(self, sums):
        """
        The same of other Z'W, with W'W left out.

        Parameters
        ----------
        sums : list of ndarray
            Z_i'W of each factor in the order of the plan, shapes (l_i, k_i, w).
        """
        n_chain, width = self.plan.n_chain, self.gram.shape[-1]
        tail = [s.reshape(-1, width) for s in sums[n_chain:]]
        return replace(
            self,
            fixed=tuple(sums[:n_chain]),
            tail_fixed=np.vstack([np.zeros((0, width)), *tail]),
            gram=np.zeros_like(self.gram),
        )

    @cached_property
    def within(self):
        """What the levels of the first factor leave, None if they are not grouped."""
        if self.rows is None or not self.plan.chain:
            return None
        if not all(isinstance(f, GroupedEffects) for f in self.plan.chain):
            return None
        return within_levels(self.plan.chain, self.rows.columns())

    @property
    def k_fixed(self):
        """Number of columns of X."""
        return self.gram.shape[-1] - 1

    @property
    def is_coupled_sparsely(self):
        """Whether the coupling of chain and tail is sparse, so without batch axes."""
        return any(isinstance(c, SparseCoupling) for c in self.coupling)


def cross_products(endog, exog, factors):
    """
    Form the cross-products of a model.

    Parameters
    ----------
    endog : ndarray
        Response, shape (n,).
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    factors : sequence of GroupedEffects or RawEffects
        Random-effects factors, in the order the user gave.

    Returns
    -------
    CrossProducts
    """
    check_parameters(sum(f.n_parameters for f in factors))
    factors = [related(f) for f in factors]
    plan = plan_elimination(factors)
    densely = _is_dense(plan, len(endog))
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
        tail_fixed = np.vstack(
            [f.level_sums(fixed).reshape(f.n_columns, -1) for f in plan.tail]
        )
        coupling = tuple(_coupling(f, plan, densely) for f in chain)
    else:
        tail, tail_fixed = np.zeros((0, 0)), np.zeros((0, fixed.shape[1]))
        coupling = (None,) * plan.n_chain
    return CrossProducts(
        plan=plan,
        nobs=len(endog),
        diagonal=tuple(f.diagonal_blocks() for f in chain),
        nested=nested,
        coupling=coupling,
        fixed=tuple(f.level_sums(fixed) for f in chain),
        tail=tail,
        tail_fixed=tail_fixed,
        gram=fixed.T @ fixed,
        rows=Rows(endog, exog),
    )


def _is_dense(plan, nobs):
    """Whether the coupling of the head with the tail is held densely."""
    if not plan.chain or not plan.tail:
        return True
    if any(isinstance(f, RelatedEffects) for f in plan.factors):
        return True
    head = plan.chain[0]
    entries = head.n_columns * plan.n_tail
    occupied = head.k_effects * nobs * sum(f.k_effects for f in plan.tail)
    return entries <= DENSE_ENTRIES or occupied >= DENSE_SHARE * entries


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


def _fill(out, first, second):
    """Write Z_1'Z_2 into an array of zeros."""
    if not any(isinstance(f, RelatedEffects) for f in (first, second)):
        block = _sparse_product(first, second)
        out[block.row, block.col] = block.data
        return
    block = first.of_user.indicator().T @ second.of_user.indicator()
    if isinstance(first, RelatedEffects):
        block = first.independent(block)
    if isinstance(second, RelatedEffects):
        block = second.independent(block.T).T
    out[...] = block


def _tail_gram(factors, slices):
    """Z_t'Z_t as a dense array."""
    out = np.zeros((slices[-1].stop, slices[-1].stop))
    for a, rows in enumerate(slices):
        for b in range(a + 1):
            columns = slices[b]
            _fill(out[rows, columns], factors[a], factors[b])
            if a != b:
                out[columns, rows] = out[rows, columns].T
    return out


def _coupling(factor, plan, densely):
    """Z_i'Z_t as an array, or sparse."""
    if densely:
        out = np.zeros((factor.n_columns, plan.n_tail))
        for other, columns in zip(plan.tail, plan.tail_slices):
            _fill(out[:, columns], factor, other)
        return DenseCoupling(out.reshape(factor.n_levels, factor.k_effects, -1))
    matrix = sparse.hstack([_sparse_product(factor, f) for f in plan.tail]).tocsr()
    matrix.sort_indices()
    return SparseCoupling(matrix, factor.k_effects)
