"""
Sums over the rows, level by level and for the pairs of levels that share rows.

They are all that a fit needs of terms with unrelated levels, whatever the engine: rows
in memory give them in one pass, and those of batches of rows can be added.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.rows.grouped_effects import level_sums


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
        key = one.codes.astype(np.int64) * other.n_levels + other.codes
        order = np.argsort(key, kind="stable")
        return _summed(key[order], other.n_levels, one.effects, other.effects, order)

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
        levels = np.arange(n_second, dtype=np.int32)
        if is_scalar:
            blocks = found.data[:, None, None]
        else:
            blocks = np.ascontiguousarray(self.blocks.swapaxes(1, 2)[found.data])
        first = np.repeat(levels, np.diff(found.indptr))
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


def _summed(key, n_second, left, right, order):
    """Sums of products over runs of equal keys, of rows in a given order."""
    is_new = np.empty(len(key), dtype=bool)
    is_new[:1] = True
    np.not_equal(key[1:], key[:-1], out=is_new[1:])
    at = np.flatnonzero(is_new)
    first, second = np.divmod(key[at], n_second)
    blocks = np.empty((len(at), left.shape[1], right.shape[1]))
    for a in range(left.shape[1]):
        for b in range(right.shape[1]):
            products = (left[:, a] * right[:, b])[order]
            blocks[:, a, b] = np.add.reduceat(products, at) if len(at) else 0.0
    return LinkedBlocks(first.astype(np.int32), second.astype(np.int32), blocks)


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
    def of(cls, terms, columns):
        """
        The sums over rows in memory.

        Parameters
        ----------
        terms : sequence of GroupedEffects
            The terms.
        columns : ndarray
            W, shape (n, w).
        """
        terms = list(terms)
        return cls(
            nobs=len(columns),
            gram=columns.T @ columns,
            level_sums=tuple(
                level_sums(f.codes, f.n_levels, f.effects, columns) for f in terms
            ),
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
