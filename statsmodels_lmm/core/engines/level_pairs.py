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

    def fit(self, most):
        """Whether at most `most` products exist and 63 bits can number them."""
        k, sizes = self.k_effects, self._sizes
        count = int((sizes * (sizes + 1) // 2).sum()) * (k * (k + 1) // 2)
        return count <= most and sum(self._bits) <= 63

    @cached_property
    def _bits(self):
        """Bits for a cell, for an entry and for the distance between two in a level."""
        sizes = self.width**2, len(self.indices), self._sizes.max(initial=1)
        return [int(size - 1).bit_length() for size in sizes]

    @cached_property
    def _layout(self):
        """
        The pairs in the order of their cells i q + j.

        Returns
        -------
        first, second, levels : ndarray
            Entries and level of each pair.
        bounds, cells : ndarray
            Bounds of the pairs of each occupied cell, and these cells.
        """
        k, (_, entry_bits, distance_bits) = self.k_effects, self._bits
        starts, keys = self.indptr[:-1:k].astype(np.int64), []
        for size in np.unique(self._sizes[self._sizes > 0]).tolist():
            entries = starts[self._sizes == size][:, None] + np.arange(size)
            columns = self.indices[entries].astype(np.int64)
            left = ((columns * self.width << entry_bits) + entries) << distance_bits
            right = columns << entry_bits + distance_bits
            i, j = np.tril_indices(size)
            key = left[:, i]
            key += right[:, j]
            key += i - j
            keys.append(key.ravel())
        # sorting numbers is much faster than argsort
        key = np.concatenate([np.zeros(0, np.int64), *keys])
        key.sort()
        first = (key >> distance_bits) & ((1 << entry_bits) - 1)
        second = first - (key & ((1 << distance_bits) - 1))
        key >>= entry_bits + distance_bits
        begin = np.flatnonzero(np.diff(key, prepend=-1))
        small = len(key) < 2**31
        kind = np.dtype("int32" if small else "int64")
        level_of = np.repeat(np.arange(len(starts), dtype=kind), k * self._sizes)
        bounds = np.append(begin, len(key)).astype(kind)
        return first, second, level_of[first], bounds, key[begin]

    @property
    def cells(self):
        """Cells i q + j, one for each row of the products."""
        return self._layout[-1]

    def products(self, values):
        """
        The products (T_ga,i T_gb,j + T_gb,i T_ga,j) / 2.

        Parameters
        ----------
        values : ndarray
            The entries of T in the order of the pattern.

        Returns
        -------
        list of csr_array
            For each pair of effects a >= b, a matrix with one row for each of `cells`
            and one column for each level.
        """
        first, second, levels, bounds, cells = self._layout
        shape = len(cells), len(self._sizes)
        step = self._sizes[levels] if self.k_effects > 1 else 0
        out = []
        for a, b in zip(*np.tril_indices(self.k_effects)):
            data = values[first + a * step if a else first]
            data *= values[second + b * step if b else second]
            if a != b:
                other = values[first + b * step if b else first]
                data += other * values[second + a * step]
                data *= 0.5
            out.append(sparse.csr_array((data, levels, bounds), shape=shape))
        return out
