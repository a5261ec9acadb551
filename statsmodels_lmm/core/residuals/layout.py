"""
Residual groups laid out for arithmetic: groups of one size and pattern side by side.

Groups whose rows have the same places share their correlation matrix. A matrix is
formed and factorized once for each such *pattern*, and multiplies the rows of all its
groups.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows

GROUPS_PER_PATTERN = 8
"""Number of groups of a pattern from which one product for all of them is faster."""


@dataclass(frozen=True)
class Batch:
    """
    The residual groups with m rows.

    Parameters
    ----------
    rows : ndarray
        Rows of each group in order of place, groups sorted by pattern, shape (G, m).
    starts : ndarray
        First group of each pattern, and G, shape (P + 1,).
    where : ndarray
        Places of the rows of each pattern, shape (P, m) or (P, m, d).
    parts : ndarray
        The set of parameters of each pattern, shape (P,).
    """

    rows: np.ndarray
    starts: np.ndarray
    where: np.ndarray
    parts: np.ndarray

    @cached_property
    def counts(self):
        """Number of groups of each pattern, shape (P,)."""
        return np.diff(self.starts)

    @cached_property
    def patterns(self):
        """Pattern of each group, shape (G,)."""
        return np.repeat(np.arange(len(self.counts)), self.counts)

    def multiply(self, matrices, columns, out):
        """
        Products of the groups' rows with the matrices of their patterns.

        Parameters
        ----------
        matrices : ndarray
            Shape (P, m, m).
        columns : ndarray
            Shape (n, c).
        out : ndarray
            Where the products are stored, shape (n, c).
        """
        n_groups, m = self.rows.shape
        if n_groups < GROUPS_PER_PATTERN * len(matrices):
            out[self.rows] = matrices[self.patterns] @ columns[self.rows]
            return
        for matrix, start, stop in zip(matrices, self.starts[:-1], self.starts[1:]):
            rows = self.rows[start:stop].T
            side_by_side = columns[rows].reshape(m, -1)
            out[rows] = (matrix @ side_by_side).reshape(*rows.shape, -1)

    def entries(self, matrices):
        """Rows, columns and values of a block-diagonal matrix of n rows."""
        each = matrices[self.patterns]
        rows = np.broadcast_to(self.rows[:, :, None], each.shape)
        columns = np.broadcast_to(self.rows[:, None, :], each.shape)
        return rows.ravel(), columns.ravel(), each.ravel()

    def pattern_sums(self, blocks):
        """Sums over the groups of each pattern of blocks of shape (G, ...)."""
        return np.add.reduceat(blocks, self.starts[:-1], axis=0)


@dataclass(frozen=True)
class ResidualLayout:
    """
    All residual groups of a design.

    Parameters
    ----------
    n_rows : int
        Number of rows n.
    batches : tuple of Batch
        The groups by number of rows.
    """

    n_rows: int
    batches: tuple

    @property
    def largest(self):
        """Number of rows of the largest group."""
        return max(batch.rows.shape[1] for batch in self.batches)

    def multiply(self, matrices, columns):
        """
        A block-diagonal matrix times columns.

        Parameters
        ----------
        matrices : sequence of ndarray
            Blocks of the patterns of each batch, shapes (P, m, m).
        columns : ndarray or sparse array
            Shape (n,) or (n, c).

        Returns
        -------
        ndarray or csr_array
            Shape of `columns`.
        """
        if sparse.issparse(columns):
            return (self.matrix(matrices) @ columns).tocsr()
        flat = columns.reshape(self.n_rows, -1)
        out = np.empty(flat.shape)
        for batch, each in zip(self.batches, matrices):
            batch.multiply(each, flat, out)
        return out.reshape(columns.shape)

    def matrix(self, matrices):
        """The block-diagonal matrix itself, a csr_array of shape (n, n)."""
        parts = [b.entries(m) for b, m in zip(self.batches, matrices)]
        rows, columns, values = map(np.concatenate, zip(*parts))
        return sparse.csr_array((values, (rows, columns)), (self.n_rows,) * 2)


def lay_out(groups, where, parts=None, relative=False):
    """
    Lay out residual groups.

    Parameters
    ----------
    groups : ndarray
        Residual group of each row, integers from 0, shape (n,).
    where : ndarray
        Place of each row, shape (n,) or (n, d).
    parts : ndarray, optional
        The set of parameters of each row, constant within groups, shape (n,).
    relative : bool, optional
        Whether only differences of places matter.

    Returns
    -------
    ResidualLayout
    """
    n = len(groups)
    places = np.asarray(where).reshape(n, -1)
    parts = np.zeros(n, dtype=np.intp) if parts is None else parts
    order = np.lexsort((*places.T[::-1], groups))
    sizes = np.bincount(groups)
    first = np.cumsum(sizes) - sizes
    batches = []
    for m in np.unique(sizes[sizes > 0]):
        rows = order[first[sizes == m][:, None] + np.arange(m)]
        there = places[rows]
        if relative:
            there = there - there[:, :1]
        keys = np.column_stack([parts[rows[:, 0]], there.reshape(len(rows), -1)])
        one, pattern = distinct_rows(keys)
        by_pattern = np.argsort(pattern, kind="stable")
        shape = (len(one), m) if np.ndim(where) == 1 else (len(one), m, -1)
        batches.append(
            Batch(
                rows=rows[by_pattern],
                starts=np.append(0, np.cumsum(np.bincount(pattern))),
                where=there[one].reshape(shape).astype(np.asarray(where).dtype),
                parts=parts[rows[one, 0]],
            )
        )
    return ResidualLayout(n, tuple(batches))


def nested_in_levels(layout, codes):
    """Whether the rows of each residual group share one level of a grouping factor."""
    return all(
        (codes[batch.rows] == codes[batch.rows[:, :1]]).all()
        for batch in layout.batches
    )
