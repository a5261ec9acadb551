"""Which levels of two grouping factors share rows, whatever the weights."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.engines.level_pairs import LevelPairs
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.rows.pair_sums import rows_by_pair, starts_of_pairs


@dataclass(frozen=True)
class Link:
    """
    The pairs of levels of two grouping factors that share rows.

    Parameters
    ----------
    first, second : ndarray
        Levels of each pair, ascending, shape (m,).
    codes : ndarray
        Pair of each row, shape (n,).
    """

    first: np.ndarray
    second: np.ndarray
    codes: np.ndarray

    def take(self, rows):
        """The same pairs at a subset of the rows."""
        return replace(self, codes=self.codes[rows])

    def blocks(self, first, second):
        """
        The occupied blocks of Z_1'Z_2.

        Parameters
        ----------
        first, second : GroupedEffects
            The terms.

        Returns
        -------
        ndarray
            The block of each pair, shape (m, k_1, k_2).
        """
        return level_sums(self.codes, len(self.first), first.effects, second.effects)

    def places(self, first, second):
        """Rows and columns in Z_1'Z_2 of all entries of the blocks, (m, k_1, k_2)."""
        a, b = np.indices((first.k_effects, second.k_effects))
        row = self.first[:, None, None] * first.k_effects + a
        return row, self.second[:, None, None] * second.k_effects + b


def linked(first, second):
    """
    Find the pairs of levels that share rows.

    Parameters
    ----------
    first, second : GroupedEffects
        The terms.

    Returns
    -------
    Link
    """
    order = rows_by_pair(first, second)
    one, other = first.codes[order], second.codes[order]
    is_new = starts_of_pairs(one, other)
    codes = np.empty(len(order), dtype=np.intp)
    codes[order] = np.cumsum(is_new) - 1
    return Link(one[is_new], other[is_new], codes)


@dataclass(frozen=True)
class CouplingPattern:
    """
    The pattern of a sparse coupling of a chain term with the tail.

    Parameters
    ----------
    places : ndarray
        Position of each entry among those of all blocks, link by link.
    pairs : LevelPairs
        The pairs of entries multiplied in T_g'W_g T_g.
    """

    places: np.ndarray
    pairs: LevelPairs

    def matrix(self, blocks):
        """The coupling from the blocks of each link, a csr_array."""
        values = np.concatenate([block.ravel() for block in blocks])[self.places]
        indices, indptr = self.pairs.indices, self.pairs.indptr
        shape = len(indptr) - 1, self.pairs.width
        return sparse.csr_array((values, indices, indptr), shape)


def coupling_pattern(term, tail, links):
    """
    Lay out the coupling of a term with the tail.

    Parameters
    ----------
    term : GroupedEffects
        A term of the chain.
    tail : sequence of GroupedEffects
        The terms of the tail.
    links : sequence of Link
        The links of the term with each term of the tail.

    Returns
    -------
    CouplingPattern
    """
    parts, count = [], 0
    for other, link in zip(tail, links):
        row, column = (place.ravel() for place in link.places(term, other))
        number = np.arange(count, count + row.size, dtype=float)
        shape = term.n_columns, other.n_columns
        parts.append(sparse.coo_array((number, (row, column)), shape=shape))
        count += row.size
    matrix = sparse.hstack(parts).tocsr()
    matrix.sort_indices()
    pairs = LevelPairs(matrix.indices, matrix.indptr, term.k_effects, matrix.shape[1])
    places = matrix.data.astype(np.intp)
    return CouplingPattern(places, pairs)
