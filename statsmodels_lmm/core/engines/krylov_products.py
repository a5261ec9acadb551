"""The contribution of the data to a fit, as sparse sums over pairs of levels."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import flat_rows, times_each
from statsmodels_lmm.core.engines.krylov_elimination import eliminate_iteratively
from statsmodels_lmm.core.engines.krylov_probes import Probes
from statsmodels_lmm.core.engines.linked_forms import linked_moments
from statsmodels_lmm.core.engines.row_sums import RowSums, added
from statsmodels_lmm.core.rows.pair_sums import LinkedBlocks, PairSums

HEAD_LEVELS = 2**17
"""Number of levels of the first term whose products are held at once."""


@dataclass(frozen=True)
class KrylovProducts(RowSums):
    """
    Sufficient statistics of crossed terms, none of them dense.

    The first term of the plan, the *head*, has the most levels; the others are the
    *tail*, with q columns. Memory is 16 bytes and k_i k_j numbers for each pair of
    levels that share rows.

    Parameters
    ----------
    plan, nobs, level_sums, gram, rows
        See `RowSums`.
    diagonal : tuple of ndarray
        The blocks of Z_i'Z_i of each term, shapes (l_i, k_i, k_i).
    links : dict of LinkedBlocks
        ``links[i, j]`` for i < j, the linked blocks of Z_i'Z_j.
    probes : Probes
        The signs from which traces are estimated.
    """

    diagonal: tuple
    links: dict
    probes: Probes

    is_stochastic = True
    """Traces and log |V| are estimated, the rest is exact."""

    has_batch_axes = False

    @classmethod
    def of(cls, plan, sums, probes, rows=None):
        """
        The products of sums over pairs of levels.

        Parameters
        ----------
        plan : EliminationPlan
            Order of the terms.
        sums : PairSums
            In the plan's order.
        probes : Probes
            The signs from which traces are estimated.
        rows : Rows, optional
            The rows, if they are in memory.
        """
        return cls(
            plan,
            sums.nobs,
            sums.level_sums,
            sums.gram,
            sums.diagonal,
            sums.links,
            probes,
            rows=rows,
        )

    def __add__(self, other):
        """The products of both sets of rows, formed by one engine or its parts."""
        common = self._added(other)
        counts = [f.n_levels for f in self.plan.terms]
        return replace(
            self,
            **common,
            diagonal=added(self.diagonal, other.diagonal),
            links={
                (i, j): _merged(link, other.links[i, j], counts[j])
                for (i, j), link in self.links.items()
            },
        )

    def __neg__(self):
        """The products times -1, to subtract those of other rows or weights."""
        return replace(
            self,
            **self._negative(),
            diagonal=tuple(-d for d in self.diagonal),
            links={
                pair: replace(link, blocks=-link.blocks)
                for pair, link in self.links.items()
            },
        )

    def probed(self, **changes):
        """The same products with other numbers of probes, the first ones the same."""
        return replace(self, probes=replace(self.probes, **changes))

    @cached_property
    def squares(self):
        """Squared lengths of the effect columns of each term, shapes (l_i, k_i)."""
        return [np.diagonal(d, axis1=1, axis2=2) for d in self.diagonal]

    @property
    def pair_sums(self):
        """The sums without the plan, a PairSums in the plan's order."""
        own = self.level_sums, self.diagonal, self.links
        return PairSums(self.nobs, self.gram, *own)

    @cached_property
    def coupling(self):
        """
        Z_1'Z_t in parts of the head's levels, which share the memory of the links.

        Returns
        -------
        list of (slice, list of csr_array, list of csc_array)
            Levels of a part, its rows for each term of the tail, and their transposes.
        """
        head, *tail = self.plan.terms
        whole = [
            self.links[0, j].matrix(head.n_levels, f.n_levels)
            for j, f in enumerate(tail, 1)
        ]
        parts, k = [], head.k_effects
        for start in range(0, head.n_levels, HEAD_LEVELS):
            levels = slice(start, min(start + HEAD_LEVELS, head.n_levels))
            rows = slice(levels.start * k, levels.stop * k)
            some = [_rows_of(matrix, rows) for matrix in whole]
            parts.append((levels, some, [matrix.T for matrix in some]))
        return parts

    @cached_property
    def across(self):
        """Z_i'Z_j and its transpose for the terms i < j of the tail, by pair."""
        tail, out = self.plan.tail, {}
        for (i, j), link in self.links.items():
            if i > 0:
                matrix = link.matrix(tail[i - 1].n_levels, tail[j - 1].n_levels)
                out[i - 1, j - 1] = matrix, matrix.T
        return out

    @cached_property
    def n_entries(self):
        """Number of entries of `coupling` and `across`."""
        each = [m for _, matrices, _ in self.coupling for m in matrices]
        return sum(m.nnz for m in [*each, *(m for m, _ in self.across.values())])

    def gram_times(self, columns):
        """
        Z'Z T for a matrix T with one row for each random effect.

        Parameters
        ----------
        columns : sequence of ndarray
            Rows of T for each term in the order of the plan, (l_i, k_i, m).

        Returns
        -------
        list of ndarray
            Rows of the product for each term, in the same shapes.
        """
        out = [times_each(a, t) for a, t in zip(self.diagonal, columns)]
        flat = [flat_rows(c) for c in columns]
        k = self.plan.terms[0].k_effects
        for levels, matrices, transposes in self.coupling:
            rows = slice(levels.start * k, levels.stop * k)
            for j, (matrix, upwards) in enumerate(zip(matrices, transposes), 1):
                down = matrix @ flat[j]
                out[0][levels] += down.reshape(-1, *out[0].shape[1:])
                out[j] += (upwards @ flat[0][rows]).reshape(out[j].shape)
        for (i, j), (matrix, upwards) in self.across.items():
            out[i + 1] += (matrix @ flat[j + 1]).reshape(out[i + 1].shape)
            out[j + 1] += (upwards @ flat[i + 1]).reshape(out[j + 1].shape)
        return out

    def moments(self):
        """Squares of Z'Z and of Z'y by effect column, see `linked_moments`."""
        return linked_moments(self)

    def projection_is_affordable(self, largest):
        """False: Z'V^-1 Z would be dense."""
        return False

    def require_projection(self, what, instead):
        """Raise NotImplementedError, since Z'V^-1 Z is never formed."""
        raise NotImplementedError(
            f"{what} needs traces of products of matrices, which the fit by "
            f'engine="krylov" does not have; fit with engine="exact" if it fits in '
            f"memory. {instead}"
        )

    def eliminate(self, roots, closely=False):
        """
        Eliminate the random effects.

        Parameters
        ----------
        roots : sequence of ndarray
            L of each term in the order of the plan, shapes (k_i, k_i).
        closely : bool, optional
            Without effect.

        Returns
        -------
        KrylovElimination
        """
        return eliminate_iteratively(self, roots)


def _rows_of(matrix, rows):
    """Some rows of a csr_array, without a copy."""
    start, stop = matrix.indptr[rows.start], matrix.indptr[rows.stop]
    parts = (
        matrix.data[start:stop],
        matrix.indices[start:stop],
        matrix.indptr[rows.start : rows.stop + 1] - start,
    )
    shape = rows.stop - rows.start, matrix.shape[1]
    return sparse.csr_array(parts, shape=shape)


def _merged(one, other, n_second):
    """The linked blocks of both sets of rows."""
    first = np.concatenate([one.first, other.first])
    second = np.concatenate([one.second, other.second])
    blocks = np.concatenate([one.blocks, other.blocks])
    key = first.astype(np.int64) * n_second + second
    order = np.argsort(key, kind="stable")
    at = np.flatnonzero(np.diff(key[order], prepend=-1))
    if not len(at):
        return one
    blocks = np.add.reduceat(blocks[order], at, axis=0)
    return LinkedBlocks(first[order][at], second[order][at], blocks)
