"""
The part of a sparse factorization that does not depend on the matrix's values.

A supernode has a dense front, with its columns and its rows below as both rows and
columns. Fronts of the same shape at the same height of the elimination tree are
independent of one another and form a batch. Columns are numbered, and fronts stored,
batch by batch, so that a batch is a slice of both.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from statsmodels_lmm.core.algebra.elimination_tree import elimination_tree
from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.algebra.minimum_degree import elimination_order

LONG = 64
"""Number of rows from which fronts are added to their parents one by one."""


@dataclass(frozen=True)
class FrontBatch:
    """
    Fronts of one shape and height, k of them with m columns and r rows below.

    Parameters
    ----------
    columns : slice
        The k m columns of the fronts in the order of elimination.
    start : int
        Offset of the first front in the storage; the others follow it.
    rows : ndarray
        Rows below, in the order of elimination, shape (k, r).
    place : ndarray
        Positions of these rows in the front of the parent, shape (k, r).
    parent_start, parent_width : ndarray
        Offsets of the parents' fronts and their numbers of rows, shape (k,).
    """

    columns: slice
    start: int
    rows: np.ndarray
    place: np.ndarray
    parent_start: np.ndarray
    parent_width: np.ndarray

    @property
    def shape(self):
        """Numbers of fronts, of columns of each and of rows below."""
        k, r = self.rows.shape
        return k, (self.columns.stop - self.columns.start) // k, r

    def fronts(self, storage):
        """Fronts as a view of the storage, shape (k, m + r, m + r)."""
        k, m, r = self.shape
        stop = self.start + k * (m + r) ** 2
        return storage[self.start : stop].reshape(k, m + r, m + r)

    def add_to_parents(self, storage, updates):
        """Add blocks, shape (k, r, r), to the fronts of the parents."""
        if self.shape[2] < LONG:
            np.add.at(storage, self._within_parents().ravel(), updates.ravel())
            return
        for (parent, places), update in zip(self._parents(storage), updates):
            parent[places] += update

    def from_parents(self, storage):
        """Blocks of the fronts of the parents, shape (k, r, r)."""
        if self.shape[2] < LONG:
            return storage[self._within_parents()]
        return np.array([parent[places] for parent, places in self._parents(storage)])

    def _within_parents(self):
        """Positions of these blocks in the storage, shape (k, r, r)."""
        first = self.parent_start[:, None] + self.place * self.parent_width[:, None]
        return first[:, :, None] + self.place[:, None, :]

    def _parents(self, storage):
        """For each front, its parent's front and the block within it."""
        for start, width, place in zip(
            self.parent_start, self.parent_width, self.place
        ):
            parent = storage[start : start + width**2].reshape(width, width)
            yield parent, np.ix_(place, place)


@dataclass(frozen=True)
class SymbolicCholesky:
    """
    Everything that depends only on the pattern of a matrix.

    Parameters
    ----------
    indices, indptr : ndarray
        Pattern of the matrix by columns, sorted.
    order : ndarray
        Columns in the order of elimination, the P of P H P' = R R', shape (n,).
    batches : tuple of FrontBatch
        Children before parents.
    positions : ndarray
        Positions of the pattern's entries in the storage of the fronts.
    size : int
        Size of this storage, in numbers.
    """

    indices: np.ndarray
    indptr: np.ndarray
    order: np.ndarray
    batches: tuple
    positions: np.ndarray
    size: int

    @property
    def n_entries(self):
        """Number of stored entries of R, including the zeros of merged supernodes."""
        shapes = [b.shape for b in self.batches]
        return sum(k * (m * (m + 1) // 2 + m * r) for k, m, r in shapes)

    def values(self, matrix):
        """
        Values of a matrix at the entries of the pattern.

        Matrices that are often added are best added in this form, and the trace of Q
        times an inverse is the inner product of the values of both.

        Parameters
        ----------
        matrix : sparse array or matrix
            Shape (n, n); entries of the pattern may be absent.

        Returns
        -------
        ndarray
            Column by column, shape (entries of the pattern,).

        Raises
        ------
        ValueError
            If the matrix has the wrong shape or entries outside the pattern.
        """
        n = len(self.order)
        if matrix.shape != (n, n):
            raise ValueError(
                f"The pattern analyzed has shape {(n, n)}, the matrix {matrix.shape}"
            )
        matrix = canonical(matrix)
        if np.array_equal(matrix.indptr, self.indptr) and np.array_equal(
            matrix.indices, self.indices
        ):
            return matrix.data.astype(float)
        known, wanted = _numbers(self), _numbers(matrix)
        places = np.searchsorted(known, wanted)
        inside = known.take(places, mode="clip") == wanted
        if not inside.all():
            column, row = divmod(wanted[~inside][0].item(), n)
            raise ValueError(
                f"The matrix has an entry in row {row}, column {column}, which the "
                "pattern analyzed lacks; analyze the sum of all patterns"
            )
        values = np.zeros(len(known))
        values[places] = matrix.data
        return values


def canonical(matrix):
    """
    A sparse matrix by columns, with sorted indices and duplicates summed.

    Parameters
    ----------
    matrix : sparse array or matrix
        In any format; not modified.

    Returns
    -------
    csc_array
    """
    columns = csc_array(matrix)
    if not columns.has_canonical_format:
        columns = columns.copy()
        columns.sum_duplicates()
    return columns


def _numbers(matrix):
    """Column * n + row of each entry, ascending."""
    n = len(matrix.indptr) - 1
    return np.repeat(np.arange(n), np.diff(matrix.indptr)) * n + matrix.indices


def analyze(pattern):
    """
    Choose an order of elimination and lay out the fronts.

    Parameters
    ----------
    pattern : sparse array or matrix
        Shape (n, n), both triangles of a symmetric pattern; values are not read.

    Returns
    -------
    SymbolicCholesky

    Raises
    ------
    ValueError
        If the matrix is not square or its pattern not symmetric.
    MemoryError
        If the fronts do not fit.
    """
    n, matrix = pattern.shape[0], _symmetric(pattern)
    tree = elimination_tree(matrix, elimination_order(matrix))
    m = np.array([len(c) for c in tree.columns])
    r = np.array([len(rows) for rows in tree.rows])
    _check_memory(n, m, r)

    # order supernodes by batch and number their columns accordingly
    heights = _heights(tree.parent)
    by_batch = np.lexsort((r, m, heights))
    parent = np.append(np.argsort(by_batch), -1)[tree.parent[by_batch]]
    order = np.concatenate([tree.columns[s] for s in by_batch.tolist()])
    rows = np.concatenate([tree.rows[s] for s in by_batch.tolist()])
    heights, m, r = heights[by_batch], m[by_batch], r[by_batch]
    width = m + r
    rank = np.argsort(order)
    start = np.cumsum(width**2) - width**2

    # rows of a front and their positions in it, its own columns first
    fronts = np.arange(len(m))
    front_of_column, front_of_row = np.repeat(fronts, m), np.repeat(fronts, r)
    # front * n + row ascends over the rows of all fronts
    below = np.sort(front_of_row * n + rank[rows])
    rows = below % n
    numbers = np.sort(np.concatenate([front_of_column * n + np.arange(n), below]))
    first = np.cumsum(width) - width

    def position(front, row):
        """Position of a row in a front."""
        return np.searchsorted(numbers, front * n + row) - first[front]

    place = position(parent[front_of_row], rows)
    batches = []
    for each, columns, of_batch in _slices(heights, m, r):
        a, shape = each.start, (each.stop - each.start, r[each.start])
        batches.append(
            FrontBatch(
                columns,
                start[a].item(),
                rows[of_batch].reshape(shape),
                place[of_batch].reshape(shape),
                start[parent[each]],
                width[parent[each]],
            )
        )

    # an entry belongs to the front of its column that is eliminated first
    row, column = rank[matrix.indices], np.repeat(rank, np.diff(matrix.indptr))
    row, column = np.maximum(row, column), np.minimum(row, column)
    front = front_of_column[column]
    positions = start[front] + position(front, row) * width[front]
    positions += position(front, column)
    return SymbolicCholesky(
        matrix.indices.copy(),
        matrix.indptr.copy(),
        order,
        tuple(batches),
        positions,
        int((width**2).sum()),
    )


def _symmetric(pattern):
    """A pattern by columns; raises ValueError if it is not symmetric."""
    if pattern.shape != pattern.shape[:1] * 2:
        raise ValueError(f"A symmetric matrix is square; the shape is {pattern.shape}")
    matrix = canonical(pattern)
    if not np.array_equal(canonical(matrix.T).indices, matrix.indices):
        raise ValueError("The pattern is not symmetric; store both triangles")
    return matrix


def _slices(heights, m, r):
    """Fronts, columns and rows of each batch of one height and shape."""
    shapes = np.stack([heights, m, r])
    edges = (np.flatnonzero((np.diff(shapes) != 0).any(axis=0)) + 1).tolist()
    columns_to = np.append(0, np.cumsum(m)).tolist()
    rows_to = np.append(0, np.cumsum(r)).tolist()
    for a, b in zip([0, *edges], [*edges, len(m)]):
        columns = slice(columns_to[a], columns_to[b])
        yield slice(a, b), columns, slice(rows_to[a], rows_to[b])


def _check_memory(n, m, r):
    """Reject a factor that does not fit with its fronts and three of the largest."""
    width = m + r
    require_memory(
        8 * int((width**2 + m * width).sum() + 2 * width.max() ** 2),
        f"the Cholesky factor of a sparse matrix with {n:,} rows fills in to "
        f"{int((m * (m + 1) // 2 + m * r).sum()):,} numbers",
        "A pedigree with fewer parents, or fewer crossed effects, fills in less",
    )


def _heights(parent):
    """Height of each supernode above its lowest leaf; children precede parents."""
    heights = [0] * len(parent)
    for s, up in enumerate(parent.tolist()):
        if up >= 0:
            heights[up] = max(heights[up], heights[s] + 1)
    return np.array(heights)
