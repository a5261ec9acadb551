"""Where the products of two entries of one level of a coupling stand."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class LevelPairs:
    """
    The pairs i >= j of entries of the levels of a coupling.

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

    @property
    def count(self):
        """Number of products for all pairs a >= b of effects."""
        k = self.k_effects
        return int((self._sizes * (self._sizes + 1) // 2).sum()) * (k * (k + 1) // 2)

    @cached_property
    def _layout(self):
        """First and second entry of each pair, its cell i q + j, bounds by level."""
        sizes, starts = self._sizes, self.indptr[: -1 : self.k_effects].astype(np.int64)
        bounds = np.concatenate([[0], np.cumsum(sizes * (sizes + 1) // 2)])
        small = max(len(self.indices), self.width**2) < 2**31
        kind = np.dtype("int32" if small else "int64")
        first, second = np.empty(bounds[-1], kind), np.empty(bounds[-1], kind)
        cells = np.empty(bounds[-1], kind)
        for size in np.unique(sizes[sizes > 0]).tolist():
            levels = np.flatnonzero(sizes == size)
            i, j = np.tril_indices(size)
            entries = starts[levels][:, None] + np.arange(size)
            columns = self.indices[entries].astype(kind)
            at = bounds[levels][:, None] + np.arange(len(i))
            first[at], second[at] = entries[:, i], entries[:, j]
            cells[at] = columns[:, i] * self.width + columns[:, j]
        return first, second, cells, bounds

    @cached_property
    def _pattern(self):
        """Indices and bounds of the products of all pairs of effects."""
        _, _, cells, bounds = self._layout
        k = self.k_effects
        repeats = k * (k + 1) // 2
        starts = [bounds[:-1] + part * len(cells) for part in range(repeats)]
        ends = np.concatenate([*starts, [repeats * len(cells)]])
        kind = cells.dtype if ends[-1] < 2**31 else np.dtype("int64")
        return np.tile(cells, repeats).astype(kind, copy=False), ends.astype(kind)

    def products(self, values):
        """
        The products (T_ga,i T_gb,j + T_gb,i T_ga,j) / 2.

        Parameters
        ----------
        values : ndarray
            The entries of T in the order of the pattern.

        Returns
        -------
        csr_array
            A row for each pair a >= b and each level, a column for each pair of
            columns, shape (l k(k+1)/2, q^2).
        """
        first, second, cells, _ = self._layout
        indices, ends = self._pattern
        if self.k_effects == 1:
            data = values[first]
            data *= values[second]
        else:
            step = np.repeat(self._sizes, self._sizes * (self._sizes + 1) // 2)
            data = np.empty(len(indices))
            for part, (a, b) in enumerate(zip(*np.tril_indices(self.k_effects))):
                each = values[first + a * step] * values[second + b * step]
                if a != b:
                    each += values[first + b * step] * values[second + a * step]
                    each *= 0.5
                data[part * len(cells) : (part + 1) * len(cells)] = each
        return sparse.csr_array(
            (data, indices, ends), shape=(len(ends) - 1, self.width**2)
        )
