"""
Sums over the rows, level by level and for the pairs of levels that share rows.

They are all that a fit needs of terms with unrelated levels, whatever the engine: rows
in memory give them in one pass, and those of batches of rows can be added.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class LinkedBlocks:
    """
    The occupied blocks of Z_1'Z_2 for two terms.

    Parameters
    ----------
    first, second : ndarray
        Levels of each pair that shares rows, each pair once, ascending by first and
        then second level, 32-bit integers, shape (m,).
    blocks : ndarray
        The block of each pair, shape (m, k_1, k_2).
    """

    first: np.ndarray
    second: np.ndarray
    blocks: np.ndarray

    @classmethod
    def of(cls, one, other):
        """The blocks of two terms with rows, GroupedEffects."""
        if one.k_effects == other.k_effects == 1:
            places = one.codes.astype(np.int32), other.codes.astype(np.int32)
            values = one.effects[:, 0] * other.effects[:, 0]
            shape = one.n_levels, other.n_levels
            # adds up what is in the same place
            found = sparse.coo_array((values, places), shape).tocsr()
            blocks = found.data[:, None, None]
            return cls(_rows_of_entries(found), found.indices, blocks)
        order = rows_by_pair(one, other)
        first, second = one.codes[order], other.codes[order]
        at = np.flatnonzero(starts_of_pairs(first, second))
        blocks = np.empty((len(at), one.k_effects, other.k_effects))
        for a in range(one.k_effects):
            for b in range(other.k_effects):
                products = (one.effects[:, a] * other.effects[:, b])[order]
                blocks[:, a, b] = np.add.reduceat(products, at) if len(at) else 0.0
        return cls(first[at].astype(np.int32), second[at].astype(np.int32), blocks)

    @property
    def shape(self):
        """Numbers of effects k_1 and k_2."""
        return self.blocks.shape[1:]

    def changed(self, left, right):
        """The blocks left' B right for changes of the effects of both terms."""
        if self.shape == (1, 1):
            factor = float(left[0, 0] * right[0, 0])
            return self if factor == 1.0 else replace(self, blocks=self.blocks * factor)
        return replace(self, blocks=left.T @ self.blocks @ right)

    def transposed(self, n_first, n_second):
        """The blocks of Z_2'Z_1, for numbers of levels of the first and second term."""
        counts = np.bincount(self.first, minlength=n_first)
        starts = np.concatenate([[0], np.cumsum(counts)])
        is_scalar = self.shape == (1, 1)
        values = self.blocks[:, 0, 0] if is_scalar else np.arange(len(self.first))
        parts = values, self.second, starts
        # counts, instead of a sort that compares
        found = sparse.csr_array(parts, shape=(n_first, n_second)).tocsc()
        if is_scalar:
            blocks = found.data[:, None, None]
        else:
            blocks = np.ascontiguousarray(self.blocks.swapaxes(1, 2)[found.data])
        first = _rows_of_entries(found.T)
        return LinkedBlocks(first, found.indices.astype(np.int32, copy=False), blocks)

    def relabeled(self, first, second):
        """The blocks with new codes of the levels, shapes (l_1,) and (l_2,)."""
        if all((new == np.arange(len(new))).all() for new in (first, second)):
            return self
        places = (
            first.astype(np.int32)[self.first],
            second.astype(np.int32)[self.second],
        )
        return _sorted(*places, self.blocks)

    def matrix(self, n_first, n_second):
        """
        Z_1'Z_2.

        Parameters
        ----------
        n_first, n_second : int
            Numbers of levels.

        Returns
        -------
        csr_array
            Shape (n_first k_1, n_second k_2), with sorted indices.
        """
        a, b = self.shape
        counts = np.bincount(self.first, minlength=n_first)
        starts = np.concatenate([[0], np.cumsum(counts)])
        shape = n_first * a, n_second * b
        if a == b == 1:
            parts = self.blocks[:, 0, 0], self.second, starts
            return sparse.csr_array(parts, shape=shape)
        blocks = sparse.bsr_array((self.blocks, self.second, starts), shape=shape)
        return blocks.tocsr()


def suffice(terms):
    """
    Whether sums over pairs of levels are all that a fit needs.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RawEffects
        The terms.

    Returns
    -------
    bool
        True for several terms, all with unrelated levels.
    """
    return len(terms) > 1 and all(
        f.is_grouped and f.relationship is None for f in terms
    )


def rows_by_pair(one, other):
    """
    The rows by their levels of two terms.

    Parameters
    ----------
    one, other : GroupedEffects
        The terms.

    Returns
    -------
    ndarray
        Rows by level of the first, then of the second term, otherwise in their order,
        shape (n,).
    """
    # by counting, which takes a fraction of the time of a sort of the pairs
    order = _by_level(other.codes, other.n_levels)
    return order[_by_level(one.codes[order], one.n_levels)]


def starts_of_pairs(first, second):
    """Whether each row, in the order of the pairs, is the first of its pair, (n,)."""
    is_new = np.ones(len(first), dtype=bool)
    is_new[1:] = (first[1:] != first[:-1]) | (second[1:] != second[:-1])
    return is_new


def _by_level(codes, n_levels):
    """Rows by level, those of a level in their order, shape (n,)."""
    n = len(codes)
    shape, ones = (n, n_levels), np.ones(n, dtype=np.int8)
    return sparse.csr_array((ones, codes, np.arange(n + 1)), shape).tocsc().indices


def _rows_of_entries(matrix):
    """The row of each entry of a csr_array, 32-bit integers."""
    rows = np.arange(matrix.shape[0], dtype=np.int32)
    return np.repeat(rows, np.diff(matrix.indptr))


@dataclass(frozen=True)
class PairSums:
    """
    Sums over the rows for terms with unrelated levels, in any fixed order of the terms.

    Parameters
    ----------
    nobs : int
        Number of rows n.
    gram : ndarray
        W'W of the columns W = [X y], shape (w, w).
    level_sums : tuple of ndarray
        Z_i'W of each term, shapes (l_i, k_i, w).
    diagonal : tuple of ndarray
        The blocks of Z_i'Z_i of each term, shapes (l_i, k_i, k_i).
    links : dict of LinkedBlocks
        ``links[i, j]`` for i < j.
    """

    nobs: int
    gram: np.ndarray
    level_sums: tuple
    diagonal: tuple
    links: dict

    @classmethod
    def of(cls, terms, rows):
        """
        The sums over rows in memory.

        Parameters
        ----------
        terms : sequence of GroupedEffects
            The terms.
        rows : Rows
            The columns W.
        """
        terms = list(terms)
        return cls(
            nobs=len(rows.exog),
            gram=rows.gram(),
            level_sums=tuple(map(rows.level_sums, terms)),
            diagonal=tuple(f.diagonal_blocks() for f in terms),
            links={
                (i, j): LinkedBlocks.of(terms[i], terms[j])
                for j in range(len(terms))
                for i in range(j)
            },
        )

    def changed(self, fixed, effects):
        """
        The sums after linear changes of the columns.

        Parameters
        ----------
        fixed : ndarray
            Multiplies W from the right, shape (w, number of columns).
        effects : sequence of ndarray
            Multiply the effects of each term from the right, shapes (k_i, k_i).

        Returns
        -------
        PairSums
        """
        sums = zip(self.level_sums, effects)
        squares = zip(self.diagonal, effects)
        return replace(
            self,
            gram=fixed.T @ self.gram @ fixed,
            level_sums=tuple(b.T @ s @ fixed for s, b in sums),
            diagonal=tuple(b.T @ s @ b for s, b in squares),
            links={
                (i, j): link.changed(effects[i], effects[j])
                for (i, j), link in self.links.items()
            },
        )

    def ordered(self, order, relabel):
        """
        The sums in another order of the terms and of their levels.

        Parameters
        ----------
        order : sequence of int
            Position here of each term of the result.
        relabel : sequence of ndarray
            New code of each level, for the terms of the result, shapes (l_i,).

        Returns
        -------
        PairSums
        """
        old = [np.argsort(new) for new in relabel]
        links = {}
        for b in range(len(order)):
            for a in range(b):
                i, j = order[a], order[b]
                if i < j:
                    link = self.links[i, j]
                else:
                    link = self.links[j, i].transposed(len(old[b]), len(old[a]))
                links[a, b] = link.relabeled(relabel[a], relabel[b])
        pairs = list(zip(order, old))
        return replace(
            self,
            level_sums=tuple(self.level_sums[i][o] for i, o in pairs),
            diagonal=tuple(self.diagonal[i][o] for i, o in pairs),
            links=links,
        )


def _sorted(first, second, blocks):
    """Blocks in the order of their pairs of levels."""
    later = np.diff(first)
    if ((later > 0) | ((later == 0) & (np.diff(second) > 0))).all():
        return LinkedBlocks(first, second, blocks)
    # two passes that count, instead of a sort that compares
    numbers = sparse.coo_array((np.arange(len(first)), (first, second)))
    order = numbers.tocsc().tocsr().data
    pair = first[order].astype(np.int32), second[order].astype(np.int32)
    return LinkedBlocks(*pair, np.ascontiguousarray(blocks[order]))
