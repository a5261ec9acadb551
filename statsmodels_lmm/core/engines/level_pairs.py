"""Positions of the products of two entries in one level of a coupling."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class LevelPairs:
    """
    The pairs i >= j of entries within each level of a coupling.

    Parameters
    ----------
    indices, indptr : ndarray
        Pattern of the coupling by rows; the k rows of a level share one pattern.
    k_effects : int
        Number of effects k.
    width : int
        Number of columns q.
    """

    indices: np.ndarray
    indptr: np.ndarray
    k_effects: int
    width: int

    @cached_property
    def _sizes(self):
        """Number of entries of each level, shape (l,)."""
        return np.diff(self.indptr)[:: self.k_effects].astype(np.int64)

    @cached_property
    def _levels(self):
        """Level of each entry of the first effects, level by level, shape (m,)."""
        return np.repeat(np.arange(len(self._sizes)), self._sizes)

    @cached_property
    def _by_column(self):
        """Order that sorts entries of the first effects by column."""
        columns = self._level_by_level(self.indices)[0]
        bounds = np.append(0, np.cumsum(self._sizes))
        entries = np.arange(len(columns))
        shape = len(self._sizes), self.width
        return sparse.csr_array((entries, columns, bounds), shape=shape).tocsc().data

    @cached_property
    def levels(self):
        """Level of each entry of the first effects, column by column, shape (m,)."""
        return self._levels[self._by_column]

    def fit(self, most):
        """Whether there are at most `most` products."""
        sizes = self._sizes
        return int((sizes * (sizes + 1) // 2).sum()) * self.k_effects <= most

    @cached_property
    def _order(self):
        """
        The pairs in the order of their cells i q + j.

        Returns
        -------
        first, second : ndarray
            Entries of each pair among those of the first effects; the first are
            counted column by column, the second level by level.
        bounds, cells : ndarray
            Bounds of the pairs of each occupied cell, and these cells.
        """
        q, m, order = self.width, len(self._levels), self._by_column
        before = np.cumsum(self._sizes) - self._sizes
        # an entry is paired with those of its level up to itself
        counts = order - before[self.levels] + 1
        ends = np.cumsum(counts)
        n_pairs = int(ends[-1]) if m else 0
        kind = np.dtype("int32" if max(q * q, n_pairs) < 2**31 else "int64")
        columns = self._level_by_level(self.indices)[0].astype(kind)
        second = np.arange(n_pairs, dtype=kind)
        second += np.repeat((order + 1 - ends).astype(kind), counts)
        cells = columns[second]
        cells += np.repeat(columns[order] * q, counts)
        # transposing a sparse matrix counts, which is faster than sorting
        bounds = np.append(0, ends).astype(kind)
        pairs = sparse.csr_array((second, cells, bounds), shape=(m, q * q)).tocsc()
        cells = np.flatnonzero(pairs.indptr[1:] > pairs.indptr[:-1]).astype(kind)
        bounds = np.append(pairs.indptr[cells], pairs.indptr[-1:])
        return pairs.indices, pairs.data, bounds, cells

    @property
    def cells(self):
        """Cells i q + j, one for each row of the products."""
        return self._order[-1]

    @cached_property
    def places(self):
        """Rows i and columns j of `cells`."""
        return np.divmod(self.cells, self.cells.dtype.type(self.width))

    def _level_by_level(self, values):
        """The entries of T of each effect, level by level, shape (k, m)."""
        if self.k_effects == 1:
            return values[None]
        levels, sizes = self._levels, self._sizes
        starts = self.indptr[: -1 : self.k_effects]
        first = np.arange(len(levels)) + (starts - np.cumsum(sizes) + sizes)[levels]
        steps = np.arange(self.k_effects)[:, None]
        return values[first + steps * sizes[levels]]

    def by_effect(self, values):
        """
        The entries of T of each effect, column by column.

        Parameters
        ----------
        values : ndarray
            In the order of the pattern.

        Returns
        -------
        ndarray
            Shape (k, m).
        """
        return self._level_by_level(values)[:, self._by_column]

    def products(self, values):
        """
        Matrices A_b with sums over the pairs of a cell of x_i T_gb,j in A_b x.

        Parameters
        ----------
        values : ndarray
            The entries of T in the order of the pattern.

        Returns
        -------
        list of csr_array
            For each effect b, a matrix with one row for each of `cells` and one column
            for each entry of the first effects, column by column.
        """
        first, second, bounds, cells = self._order
        shape = len(cells), len(self.levels)
        return [
            sparse.csr_array((each[second], first, bounds), shape=shape)
            for each in self._level_by_level(values)
        ]

    def through(self, values, middle):
        """
        The entries of T C at the pattern of T, for a symmetric C.

        Parameters
        ----------
        values : ndarray
            The entries of T in the order of the pattern.
        middle : ndarray
            C, shape (q, q); only its lower triangle is read.

        Returns
        -------
        ndarray
            In the order of the pattern.
        """
        first, second, bounds, cells = self._order
        each = np.repeat(middle.reshape(-1)[cells], np.diff(bounds))
        # a pair of an entry with itself counts once
        before = self._by_column[first]
        other = np.where(before == second, 0.0, each)
        m, by_effect = len(self._levels), []
        for entries in self._level_by_level(values):
            down = np.bincount(before, entries[second] * each, m)
            by_effect.append(down + np.bincount(second, entries[before] * other, m))
        return self._in_pattern(np.array(by_effect))

    def _in_pattern(self, by_effect):
        """The inverse of `_level_by_level`."""
        positions = self._level_by_level(np.arange(by_effect.size))
        out = np.empty(by_effect.size)
        out[positions] = by_effect
        return out
