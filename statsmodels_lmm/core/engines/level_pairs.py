"""Positions of the products of two entries in one level of a coupling."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.bordered_cholesky import bordered_pattern


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
    def _positions(self):
        """
        The pairs, in the order of their first entries.

        Returns
        -------
        second, rows : ndarray
            Second entry of each pair, and its number among the cells.
        bounds, cells : ndarray
            Bounds of the pairs of each first entry, and the occupied cells i q + j.
        """
        q, levels = self.width, self.levels
        entries = np.arange(len(levels))
        # an entry is paired with those of its level up to itself
        counts = entries - (np.cumsum(self._sizes) - self._sizes)[levels] + 1
        bounds = np.append(0, np.cumsum(counts))
        n_pairs = bounds[-1]
        kind = np.dtype("int32" if max(q * q, n_pairs) < 2**31 else "int64")
        columns = self.by_effect(self.indices)[0].astype(kind)
        # NumPy takes values at indices of any other type half as fast
        second = np.arange(n_pairs) + np.repeat(entries + 1 - bounds[1:], counts)
        rows = columns[second]
        rows += np.repeat(columns * q, counts)
        number = np.zeros(q * q, kind)
        number[rows] = 1
        cells = np.flatnonzero(number).astype(kind)
        number[cells] = np.arange(len(cells))
        return second, number[rows], bounds.astype(kind), cells

    @property
    def cells(self):
        """Cells i q + j, ascending, one for each row of the products."""
        return self._positions[-1]

    @cached_property
    def places(self):
        """Rows i and columns j of `cells`."""
        return np.divmod(self.cells, self.cells.dtype.type(self.width))

    @cached_property
    def bordered(self):
        """The blocks of a matrix with these cells; None if that is nearly full."""
        return bordered_pattern(self.cells, self.width)

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
        second, rows, bounds, cells = self._positions
        shape = len(cells), len(self.levels)
        return [
            sparse.csc_array((each.take(second, mode="clip"), rows, bounds), shape)
            for each in self.by_effect(values)
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
        second, rows, bounds, cells = self._positions
        each = middle.reshape(-1)[cells][rows]
        counts, last = np.diff(bounds), bounds[1:] - 1  # an entry with itself is last
        out = np.empty(len(values))
        places = self.by_effect(np.arange(len(values)))
        for place in places:
            entries = values[place]
            below = np.add.reduceat(entries[second] * each, bounds[:-1])
            from_first = np.repeat(entries, counts) * each
            above = np.bincount(second, from_first, len(entries))
            out[place] = below + above - entries * each[last]
        return out
