"""The contribution of the data to a fit, in the blocks of the elimination plan."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    flat_rows,
    product,
    times_each,
    transpose,
)
from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.engines.elimination import eliminate_blocks
from statsmodels_lmm.core.engines.levels import sum_by_parent
from statsmodels_lmm.core.engines.moments import block_moments
from statsmodels_lmm.core.engines.projection import DENSE_COPIES
from statsmodels_lmm.core.engines.row_sums import RowSums, added
from statsmodels_lmm.core.engines.solution import by_term, stacked
from statsmodels_lmm.core.engines.within_levels import within_levels


@dataclass(frozen=True)
class CrossProducts(RowSums):
    """
    Sufficient statistics of a linear mixed model.

    Here W = [X y] has w = p + 1 columns, the chain terms 1, ..., c have l_i levels
    and k_i effects, and the tail has q columns. Once the statistics are formed, no
    evaluation of the criterion touches the n rows again.

    Parameters
    ----------
    plan, nobs, level_sums, gram, rows
        See `RowSums`.
    diagonal : tuple of ndarray
        Z_i'Z_i of the chain terms, level by level, shapes (l_i, k_i, k_i).
    nested : dict
        ``nested[i, j]``, i < j < c: the rows of Z_i'Z_j at each level of i and
        its parent, shape (l_i, k_i, k_j).
    coupling : tuple
        Z_i'Z_t of the chain terms with the tail, None without a tail.
    tail : ndarray or csr_array
        Z_t'Z_t, sparse if the coupling is, shape (q, q).
    """

    diagonal: tuple
    nested: dict
    coupling: tuple
    tail: np.ndarray | sparse.csr_array

    def __add__(self, other):
        """The products of both sets of rows, formed by one engine or its parts."""
        common = self._added(other)
        coupling = self.coupling
        if self.plan.tail:
            coupling = added(coupling, other.coupling)
        return replace(
            self,
            **common,
            diagonal=added(self.diagonal, other.diagonal),
            nested={pair: a + other.nested[pair] for pair, a in self.nested.items()},
            coupling=coupling,
            tail=self.tail + other.tail,
        )

    def __neg__(self):
        """The products times -1, to subtract those of other rows or weights."""
        coupling = self.coupling
        if self.plan.tail:
            coupling = tuple(-c for c in coupling)
        return replace(
            self,
            **self._negative(),
            diagonal=tuple(-d for d in self.diagonal),
            nested={pair: -a for pair, a in self.nested.items()},
            coupling=coupling,
            tail=-self.tail,
        )

    @cached_property
    def tail_sums(self):
        """Z_t'W, shape (..., q, w)."""
        *batch, _, width = self.gram.shape
        sums = self.level_sums[self.plan.n_chain :]
        flat = [flat_rows(s) for s in sums]
        return np.concatenate([np.zeros((*batch, 0, width)), *flat], axis=-2)

    @cached_property
    def within(self):
        """What remains within the levels of the first term; None if not grouped."""
        if self.rows is None or not self.plan.chain:
            return None
        if not all(f.is_grouped for f in self.plan.chain):
            return None
        return within_levels(self.plan.chain, self.rows.columns())

    @property
    def squares(self):
        """Squared lengths of the effect columns of each term, shapes (l_i, k_i)."""
        chain = [np.diagonal(d, axis1=1, axis2=2) for d in self.diagonal]
        whole, plan = self.tail.diagonal(), self.plan
        tail = [
            whole[rows].reshape(f.n_levels, f.k_effects)
            for f, rows in zip(plan.tail, plan.tail_slices)
        ]
        return chain + tail

    @property
    def is_coupled_sparsely(self):
        """Whether the coupling of chain and tail is sparse, so without batch axes."""
        return any(c is not None and c.is_sparse for c in self.coupling)

    @property
    def has_batch_axes(self):
        """Whether responses and covariances may have leading axes."""
        return not self.is_coupled_sparsely

    def gram_times(self, columns):
        """
        Z'Z T for a matrix T with one row for each random effect.

        Parameters
        ----------
        columns : sequence of ndarray
            Rows of T for each term in the order of the plan, (..., l_i, k_i, m).

        Returns
        -------
        list of ndarray
            Rows of the product for each term, in the same shapes.
        """
        plan = self.plan
        out = [times_each(a, t) for a, t in zip(self.diagonal, columns)]
        for (i, j), block in self.nested.items():
            parents = plan.parents[i, j]
            out[i] = out[i] + block @ columns[j].take(parents, axis=-3)
            out[j] = out[j] + sum_by_parent(transpose(block) @ columns[i], parents)
        if not plan.tail:
            return out
        tail_columns = stacked(columns[plan.n_chain :])
        if self.is_coupled_sparsely:
            tail = self.tail @ tail_columns
        else:
            tail = product(self.tail, tail_columns)
        for i, link in enumerate(self.coupling):
            out[i] = out[i] + link.times(tail_columns)
            tail = tail + link.transposed_times(columns[i])
        return out + by_term(plan, tail)

    def moments(self):
        """Squares of Z'Z and of Z'y by effect column, see `moments.block_moments`."""
        return block_moments(self)

    def projection_is_affordable(self, largest):
        """Whether Z'V^-1 Z is block-diagonal or has few enough columns."""
        return self.plan.is_diagonal or self.plan.n_columns <= largest

    def require_projection(self, what, instead):
        """Raise MemoryError if Z'V^-1 Z does not fit, see `base.Products`."""
        q = self.plan.n_columns
        if not self.plan.is_diagonal:
            require_memory(
                8 * DENSE_COPIES * q**2,
                f"{what} needs a dense matrix of the random effects, {q:,} x {q:,}",
                instead,
            )

    def eliminate(self, roots, closely=False):
        """
        Eliminate the random effects.

        Parameters
        ----------
        roots : sequence of ndarray
            L of each term in the order of the plan, S = L L', shapes (..., k, k).
        closely : bool, optional
            Whether to make another pass over the rows to keep the digits that variances
            large relative to sigma^2 would cost.

        Returns
        -------
        Elimination
        """
        return eliminate_blocks(self, roots, self.within if closely else None)
