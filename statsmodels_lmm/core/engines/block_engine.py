"""The engine that eliminates level by level and treats the rest as dense."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.algebra.memory import check_memory, check_parameters
from statsmodels_lmm.core.engines.coupling import DenseCoupling, SparseCoupling
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.engines.links import coupling_pattern, linked
from statsmodels_lmm.core.engines.plan import EliminationPlan, plan_elimination
from statsmodels_lmm.core.engines.row_sums import sums_over_rows
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.rows.related_effects import related

DENSE_SHARE = 0.2
"""Share of occupied entries above which the coupling is stored densely."""

DENSE_ENTRIES = 250_000
"""Size below which the coupling is always stored densely."""


@dataclass(frozen=True)
class BlockEngine:
    """
    An elimination plan and the pattern of its cross-products.

    Parameters
    ----------
    plan : EliminationPlan
        Order of the terms.
    is_dense : bool
        Whether the coupling of chain and tail is stored as an array.
    links : dict
        ``links[i, j]``, the levels of terms i and j of the plan that share rows, for
        j in the tail and i in the chain or after j, both grouped.
    patterns : tuple of CouplingPattern
        The pattern of each chain term, if the coupling is sparse.
    """

    plan: EliminationPlan
    is_dense: bool
    links: dict
    patterns: tuple

    @classmethod
    def suits(cls, terms):
        """True: the engine suits any terms."""
        return True

    @classmethod
    def of(cls, terms, nobs):
        """
        Plan the elimination of given terms.

        Parameters
        ----------
        terms : sequence of GroupedEffects or RawEffects
            In standardized units, in the order given by the user.
        nobs : int
            Number of rows n.

        Returns
        -------
        BlockEngine

        Raises
        ------
        MemoryError
            If the parameters or the dense part of the system do not fit.
        """
        terms = [related(f) for f in terms]
        plan, densely = planned(terms, lambda i, j: nobs)
        each, n_chain = plan.terms, plan.n_chain
        links = {
            (i, j): linked(first, second)
            for j, second in enumerate(each)
            for i, first in enumerate(each)
            if j >= n_chain and (i < n_chain or i > j)
            if first.is_grouped and second.is_grouped
        }
        patterns: tuple = ()
        if not densely:
            tail = range(n_chain, len(each))
            patterns = tuple(
                coupling_pattern(f, plan.tail, [links[i, j] for j in tail])
                for i, f in enumerate(plan.chain)
            )
        return cls(plan, densely, links, patterns)

    def take(self, which):
        """
        The engine of a subset of the rows, with the same plan and pattern.

        Parameters
        ----------
        which : slice or ndarray
            Positions of the rows, or booleans.

        Returns
        -------
        BlockEngine
        """
        links = {pair: link.take(which) for pair, link in self.links.items()}
        return replace(self, plan=self.plan.take(which), links=links)

    def gather(self, rows, transform=None):
        """
        Form the cross-products in one pass over the rows.

        Parameters
        ----------
        rows : Rows
            X and y.
        transform : RowTransform, optional
            A matrix that multiplies X, y and Z from the left and preserves the levels
            of the rows.

        Returns
        -------
        CrossProducts
        """
        sums = sums_over_rows(self.plan, rows, transform)
        plan, chain = sums["plan"], sums["plan"].chain
        coupling = [
            self._coupling(plan, i) if plan.tail else None for i in range(len(chain))
        ]
        return CrossProducts(
            **sums,
            diagonal=tuple(f.diagonal_blocks() for f in chain),
            nested={
                (i, j): level_sums(
                    chain[i].codes,
                    chain[i].n_levels,
                    chain[i].effects,
                    chain[j].effects,
                )
                for i, j in plan.parents
            },
            coupling=tuple(coupling),
            tail=self._tail_gram(plan),
        )

    @cached_property
    def _places(self):
        """Rows and columns of the entries of each link."""
        each = self.plan.terms
        return {
            (i, j): link.places(each[i], each[j]) for (i, j), link in self.links.items()
        }

    def _coupling(self, plan, i):
        """Z_i'Z_t as an array, or sparse."""
        term = plan.terms[i]
        tail = range(plan.n_chain, len(plan.terms))
        if not self.is_dense:
            blocks = [self.links[i, j].blocks(term, plan.terms[j]) for j in tail]
            pattern = self.patterns[i]
            return SparseCoupling(
                pattern.matrix(blocks), term.k_effects, pairs=pattern.pairs
            )
        out = np.zeros((term.n_columns, plan.n_tail))
        for j, columns in zip(tail, plan.tail_slices):
            self._fill(out[:, columns], plan, i, j)
        return DenseCoupling(out.reshape(term.n_levels, term.k_effects, -1))

    def _tail_gram(self, plan):
        """Z_t'Z_t, dense or sparse like the coupling."""
        if not self.is_dense:
            return self._sparse_tail_gram(plan)
        out = np.zeros((plan.n_tail,) * 2)
        for a, rows in enumerate(plan.tail_slices):
            for b, columns in enumerate(plan.tail_slices[: a + 1]):
                self._fill(out[rows, columns], plan, plan.n_chain + a, plan.n_chain + b)
                if a != b:
                    out[columns, rows] = out[rows, columns].T
        return out

    def _sparse_tail_gram(self, plan):
        """Z_t'Z_t as a csr_array."""
        parts, n = [], plan.n_chain
        for a, rows in enumerate(plan.tail_slices):
            for b, columns in enumerate(plan.tail_slices[: a + 1]):
                entries = np.broadcast_arrays(*self._entries(plan, n + a, n + b))
                row, column, values = (each.ravel() for each in entries)
                row, column = row + rows.start, column + columns.start
                parts.append((row, column, values))
                if a != b:
                    parts.append((column, row, values))
        row, column, values = map(np.concatenate, zip(*parts))
        return sparse.csr_array((values, (row, column)), (plan.n_tail,) * 2)

    def _fill(self, out, plan, i, j):
        """Write Z_i'Z_j into an array of zeros."""
        first, second = plan.terms[i], plan.terms[j]
        if (i, j) in self.links or (i == j and first.is_grouped):
            row, column, values = self._entries(plan, i, j)
            out[row, column] = values
        else:
            block = as_array(first.of_user.indicator().T @ second.of_user.indicator())
            out[...] = second.independent(first.independent(block).T).T

    def _entries(self, plan, i, j):
        """Rows, columns and values of Z_i'Z_j, block by block, for grouped terms."""
        first, second = plan.terms[i], plan.terms[j]
        if i == j:
            at = np.arange(first.n_columns).reshape(-1, first.k_effects)
            return at[:, :, None], at[:, None, :], first.diagonal_blocks()
        return *self._places[i, j], self.links[i, j].blocks(first, second)


def planned(terms, n_pairs, nesting=None):
    """
    Plan the elimination and choose how the coupling is stored.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RelatedEffects
        In the order given by the user.
    n_pairs : callable
        Number of pairs of levels that share rows, or more, for the positions of two
        terms.
    nesting : callable, optional
        See `plan_elimination`.

    Returns
    -------
    plan : EliminationPlan
        The order of the terms.
    densely : bool
        Whether the coupling of chain and tail is stored as an array.

    Raises
    ------
    MemoryError
        If the parameters or the dense part of the system do not fit.
    """
    check_parameters(sum(f.n_parameters for f in terms))
    plan = plan_elimination(terms, nesting=nesting)
    densely = _is_dense(plan, n_pairs)
    if not densely:
        plan = plan_elimination(terms, chain_tail=False, nesting=nesting)
    check_memory(plan, densely)
    return plan, densely


def _is_dense(plan, n_pairs):
    """Whether the coupling of chain and tail is stored densely."""
    if not plan.chain or not plan.tail:
        return True
    if not all(f.is_grouped for f in plan.terms):
        return True
    head, first = plan.chain[0], plan.order[0]
    entries = head.n_columns * plan.n_tail
    pairs = zip(plan.tail, plan.order[plan.n_chain :])
    each = sum(f.k_effects * n_pairs(first, i) for f, i in pairs)
    occupied = head.k_effects * each
    return entries <= DENSE_ENTRIES or occupied >= DENSE_SHARE * entries
