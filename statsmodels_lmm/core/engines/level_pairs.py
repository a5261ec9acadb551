"""Positions of the products of two entries in one level of a coupling."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.bordered_cholesky import SPARSE, bordered_pattern
from statsmodels_lmm.core.engines.column_split import column_split

AT_ONCE = 2**18
"""Number of pairs that are numbered at once."""


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
    def levels(self):
        """Level of each entry of the first effects, shape (m,)."""
        return np.repeat(np.arange(len(self._sizes)), self._sizes)

    def fit(self, most):
        """Whether there are at most `most` products."""
        sizes = self._sizes
        return int((sizes * (sizes + 1) // 2).sum()) * self.k_effects <= most

    @cached_property
    def columns(self):
        """Column of each entry of the first effects, shape (m,)."""
        return self.by_effect(self.indices)[0]

    @cached_property
    def split(self):
        """Frequent and other columns, for products that are not kept."""
        shape = len(self.indptr) - 1, self.width
        ones = np.ones(len(self.indices))
        return column_split(sparse.csr_array((ones, self.indices, self.indptr), shape))

    @cached_property
    def _bounds(self):
        """Bounds of the pairs of each first entry, shape (m + 1,)."""
        # an entry is paired with those of its level up to itself
        starts = (np.cumsum(self._sizes) - self._sizes)[self.levels]
        return np.append(0, np.cumsum(np.arange(len(starts)) - starts + 1))

    def _parts(self):
        """
        The pairs in the order of their first entries, a part at a time.

        Yields
        ------
        first, here : slice
            First entries, and their pairs.
        counts : ndarray
            Number of pairs of each first entry.
        second : ndarray
            Second entry of each pair.
        """
        bounds = self._bounds
        edges = np.searchsorted(bounds, np.arange(0, bounds[-1], AT_ONCE))
        edges = np.unique(np.append(edges, len(bounds) - 1)).tolist()
        for a, b in zip(edges[:-1], edges[1:]):
            here = slice(bounds[a], bounds[b])
            counts = np.diff(bounds[a : b + 1])
            second = np.arange(here.start, here.stop)
            second += np.repeat(np.arange(a, b) + 1 - bounds[a + 1 : b + 1], counts)
            yield slice(a, b), here, counts, second

    @cached_property
    def _positions(self):
        """
        The cell of each pair, by number, and the occupied cells i q + j.

        If most of the lower triangle is occupied, all q^2 cells are counted.
        """
        q, bounds = self.width, self._bounds
        kind = np.dtype("int32" if max(q * q, bounds[-1]) < 2**31 else "int64")
        columns, rows = self.columns.astype(kind), np.empty(bounds[-1], kind)
        occupied = np.zeros(q * q, bool)
        for first, here, counts, second in self._parts():
            each = columns[second]
            each += np.repeat(columns[first] * kind.type(q), counts)
            rows[here] = each
            occupied[each] = True
        if 2 * np.count_nonzero(occupied) > SPARSE * q**2:
            return rows, slice(None)
        cells = np.flatnonzero(occupied).astype(kind)
        number = np.empty(q * q, kind)
        number[cells] = np.arange(len(cells))
        for _, here, _, _ in self._parts():
            rows[here] = number[rows[here]]
        return rows, cells

    @property
    def is_full(self):
        """Whether the rows of the products are all q^2 cells."""
        return isinstance(self.cells, slice)

    @property
    def cells(self):
        """Cells i q + j, ascending, one for each row of the products, or a slice."""
        return self._positions[1]

    @cached_property
    def places(self):
        """Rows i and columns j of `cells`, unless they are all."""
        return np.divmod(self.cells, self.cells.dtype.type(self.width))

    @cached_property
    def bordered(self):
        """The blocks of a matrix with these cells; None if that is nearly full."""
        return None if self.is_full else bordered_pattern(self.cells, self.width)

    def by_effect(self, values):
        """
        The entries of T of each effect, level by level.

        Parameters
        ----------
        values : ndarray
            In the order of the pattern.

        Returns
        -------
        ndarray
            Shape (k, m).
        """
        if self.k_effects == 1:
            return values[None]
        levels, sizes = self.levels, self._sizes
        starts = self.indptr[: -1 : self.k_effects]
        first = np.arange(len(levels)) + (starts - np.cumsum(sizes) + sizes)[levels]
        steps = np.arange(self.k_effects)[:, None]
        return values[first + steps * sizes[levels]]

    def products(self, values):
        """
        Matrices A_b with sums over the pairs of a cell of x_i T_gb,j in A_b x.

        Parameters
        ----------
        values : ndarray
            The entries of T in the order of the pattern.

        Returns
        -------
        list of csc_array
            For each effect b, a matrix with one row for each of `cells` and one column
            for each entry of the first effects.
        """
        (rows, cells), n_cells = self._positions, self.width**2
        shape = n_cells if self.is_full else len(cells), len(self.levels)
        each = self.by_effect(values)
        data = [np.empty(len(rows)) for _ in each]
        for _, here, _, second in self._parts():
            for entries, out in zip(each, data):
                np.take(entries, second, out=out[here], mode="clip")
        bounds = self._bounds.astype(rows.dtype)
        return [sparse.csc_array((d, rows, bounds), shape) for d in data]

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
        rows, cells = self._positions
        each = middle.reshape(-1)[cells]
        places = self.by_effect(np.arange(len(values)))
        entries = values[places]
        out = np.zeros_like(entries)
        for first, here, counts, second in self._parts():
            between = each[rows[here]]
            starts = np.cumsum(counts) - counts
            for effect, total in zip(entries, out):
                below = effect[second] * between
                total[first] += np.add.reduceat(below, starts)
                above = np.repeat(effect[first], counts) * between
                above[starts + counts - 1] = 0.0  # an entry with itself is counted once
                low, high = second[0], first.stop
                total[low:high] += np.bincount(second - low, above, high - low)
        found = np.empty(len(values))
        found[places] = out
        return found
