"""
Cholesky factor of a sparse matrix, and the elements of the inverse on its pattern.

The factorization is multifrontal (Duff and Reid 1983): a supernode J with rows R
below it has a dense front

    F = [F_JJ .; F_RJ F_RR],    L_JJ L_JJ' = F_JJ,    L_RJ = F_RJ L_JJ'^-1,

in which the entries of the matrix are gathered, and F_RR - L_RJ L_RJ' is added to the
front of its parent in the elimination tree. The inverse Z comes down the tree, with
Z_RR taken from the front of the parent and Y = L_RJ L_JJ^-1 (Takahashi, Fagan and
Chin 1973),

    Z_RJ = -Z_RR Y,    Z_JJ = (L_JJ L_JJ')^-1 - Y'Z_RJ.

In a pedigree nearly all fronts are tiny and the last are large. Fronts of one shape at
one height of the tree depend on nothing of each other, so all of them are one batch for
NumPy; the large ones, alone in their batch, go to LAPACK. What depends on the pattern
only is found once, by `analyze`.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from statsmodels_lmm.core.dense import (
    cholesky,
    inverse_from_cholesky,
    product,
    solve_lower,
    solve_upper,
    transpose,
)
from statsmodels_lmm.core.elimination_tree import elimination_tree, minimum_degree
from statsmodels_lmm.core.memory import require_memory

LONG = 64
"""Rows from which the fronts of a batch are added to their parents one by one."""


@dataclass(frozen=True)
class FrontBatch:
    """
    Fronts of one shape and height, k of them with m columns and r rows below.

    Parameters
    ----------
    columns : slice
        Their columns in the order of elimination, k m of them.
    start : int
        Where the first front lies in the storage of all; the others follow it.
    rows : ndarray
        Rows below, in the order of elimination, shape (k, r).
    place : ndarray
        Positions of these rows in the front of the parent, shape (k, r).
    parent_start, parent_width : ndarray
        Where the parents' fronts lie, and their numbers of rows, shape (k,).
    """

    columns: slice
    start: int
    rows: np.ndarray
    place: np.ndarray
    parent_start: np.ndarray
    parent_width: np.ndarray

    @property
    def shape(self):
        """Number of fronts, of their columns and of their rows below."""
        k, r = self.rows.shape
        return k, (self.columns.stop - self.columns.start) // k, r

    def fronts(self, storage):
        """Fronts as a view of the storage of all, shape (k, m + r, m + r)."""
        k, m, r = self.shape
        stop = self.start + k * (m + r) ** 2
        return storage[self.start : stop].reshape(k, m + r, m + r)

    def within_parents(self):
        """Index of the (k, r, r) entries that the parents' fronts share with these."""
        first = self.parent_start[:, None] + self.place * self.parent_width[:, None]
        return first[:, :, None] + self.place[:, None, :]

    def parent_blocks(self, storage):
        """For every front the front of its parent and the positions in it."""
        for start, width, place in zip(
            self.parent_start, self.parent_width, self.place
        ):
            parent = storage[start : start + width**2].reshape(width, width)
            yield parent, np.ix_(place, place)

    def add_to_parents(self, storage, updates):
        """Add a block of shape (r, r) to the front of each parent."""
        if self.shape[2] < LONG:
            np.add.at(storage, self.within_parents().ravel(), updates.ravel())
            return
        for (parent, at), update in zip(self.parent_blocks(storage), updates):
            parent[at] += update

    def from_parents(self, storage):
        """Blocks of the parents' fronts, shape (k, r, r)."""
        if self.shape[2] < LONG:
            return storage[self.within_parents()]
        return np.array([parent[at] for parent, at in self.parent_blocks(storage)])

@dataclass(frozen=True)
class SymbolicCholesky:
    """
    All that depends on the pattern of a matrix only.

    Parameters
    ----------
    indices, indptr : ndarray
        Pattern of the matrix by columns, sorted.
    order : ndarray
        Columns in the order of elimination, the P of P H P' = R R', shape (n,).
    batches : tuple of FrontBatch
        Children before parents.
    positions : ndarray
        Where the entries of the pattern lie in the storage of the fronts.
    size : int
        Numbers in this storage.
    """

    indices: np.ndarray
    indptr: np.ndarray
    order: np.ndarray
    batches: tuple
    positions: np.ndarray
    size: int

    @property
    def n_entries(self):
        """Numbers in the factor R, with the zeros of merged supernodes."""
        shapes = [b.shape for b in self.batches]
        return sum(k * (m * (m + 1) // 2 + m * r) for k, m, r in shapes)


def _canonical(matrix):
    """Columns of a sparse matrix with sorted indices, duplicates summed."""
    columns = csc_array(matrix)
    if not columns.has_canonical_format:
        columns = columns.copy()
        columns.sum_duplicates()
    return columns


def _entry_numbers(matrix):
    """Numbers column * n + row of the entries of a canonical matrix, ascending."""
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
    if pattern.shape[0] != pattern.shape[1]:
        raise ValueError(f"A symmetric matrix is square; the shape is {pattern.shape}")
    matrix = _canonical(pattern)
    n = matrix.shape[0]
    mirrored = csc_array(matrix.T)
    mirrored.sort_indices()
    if not np.array_equal(mirrored.indices, matrix.indices):
        raise ValueError("The pattern is not symmetric; both triangles are needed")
    tree = elimination_tree(matrix, minimum_degree(matrix))
    m = np.array([len(c) for c in tree.columns])
    r = np.array([len(rows) for rows in tree.rows])
    width = m + r
    size = int((width**2).sum())
    require_memory(
        8 * (2 * size + int((m * width).sum())),
        f"the Cholesky factor of a sparse matrix with {n:,} rows fills in to "
        f"{int((m * (m + 1) // 2 + m * r).sum()):,} numbers",
        "A pedigree with fewer parents, or fewer crossed effects, fills in less",
    )
    heights = _heights(tree.parent)
    sequence = np.lexsort((r, m, heights))
    shapes = np.stack([heights, m, r])[:, sequence]
    place_of = np.argsort(sequence)
    tree_columns = [tree.columns[s] for s in sequence.tolist()]
    tree_rows = [tree.rows[s] for s in sequence.tolist()]
    m, r, width = m[sequence], r[sequence], width[sequence]
    parent = np.append(place_of, -1)[tree.parent[sequence]]
    order = np.concatenate(tree_columns)
    rank = np.argsort(order)
    fronts = np.arange(len(m))
    owner = np.repeat(fronts, m)
    # rows of a front ascend; numbered by front and row they all do
    rows_owner = np.repeat(fronts, r)
    below = np.sort(rows_owner * n + rank[np.concatenate(tree_rows)])
    numbers = np.sort(np.concatenate([owner * n + np.arange(n), below]))
    first = np.cumsum(width) - width
    start = np.cumsum(width**2) - width**2

    def place(front, row):
        """Position of a row in a front."""
        return np.searchsorted(numbers, front * n + row) - first[front]

    rows = below % n
    places = place(parent[rows_owner], rows)
    batches = []
    edges = np.flatnonzero((np.diff(shapes, axis=1) != 0).any(axis=0)) + 1
    column_at, row_at = np.append(0, np.cumsum(m)), np.append(0, np.cumsum(r))
    for a, b in zip(np.append(0, edges), np.append(edges, len(m))):
        part = slice(row_at[a], row_at[b])
        above = parent[a:b]
        batches.append(
            FrontBatch(
                slice(int(column_at[a]), int(column_at[b])),
                int(start[a]),
                rows[part].reshape(b - a, r[a]),
                places[part].reshape(b - a, r[a]),
                start[above],
                width[above],
            )
        )
    row = rank[matrix.indices]
    column = np.repeat(rank, np.diff(matrix.indptr))
    row, column = np.maximum(row, column), np.minimum(row, column)
    front = owner[column]
    positions = (
        start[front] + place(front, row) * width[front] + column - column_at[front]
    )
    return SymbolicCholesky(
        matrix.indices, matrix.indptr, order, tuple(batches), positions, size
    )


def _heights(parent):
    """Height of each supernode above its lowest leaf; children precede parents."""
    heights = [0] * len(parent)
    for s, up in enumerate(parent.tolist()):
        if up >= 0:
            heights[up] = max(heights[up], heights[s] + 1)
    return np.array(heights, int)


@dataclass(frozen=True)
class SparseCholesky:
    """
    The factor R of P H P' = R R'.

    With C = P'R'^-1, C C' = H^-1: C' makes what has covariance H white.

    Parameters
    ----------
    symbolic : SymbolicCholesky
        The pattern.
    roots : tuple of ndarray
        Diagonal blocks of R of each batch, lower triangular, shapes (k, m, m).
    below : tuple of ndarray
        Blocks of R below them, shapes (k, r, m).
    logdet : float
        log |H|.
    """

    symbolic: SymbolicCholesky
    roots: tuple
    below: tuple
    logdet: float

    def half_solve(self, right):
        """
        C'B = R^-1 P B, so that B'H^-1 B = (C'B)'C'B.

        Parameters
        ----------
        right : ndarray
            B, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`, rows in the order of elimination.
        """
        right = np.asarray(right, float)
        x = right.reshape(len(right), -1)[self.symbolic.order]
        c = np.arange(x.shape[1])
        for batch, root, below in zip(self.symbolic.batches, self.roots, self.below):
            k, m, r = batch.shape
            part = _solve_lower(root, x[batch.columns].reshape(k, m, -1))
            x[batch.columns] = part.reshape(k * m, -1)
            if r:
                at = batch.rows[:, :, None] * len(c) + c
                np.subtract.at(x.reshape(-1), at.ravel(), _times(below, part).ravel())
        return x.reshape(right.shape)

    def back_solve(self, right):
        """
        C B = P'R'^-1 B: of covariance H^-1 if B is white.

        Parameters
        ----------
        right : ndarray
            B, rows in the order of elimination, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`.
        """
        right = np.asarray(right, float)
        x = right.reshape(len(right), -1).copy()
        for batch, root, below in zip(
            self.symbolic.batches[::-1], self.roots[::-1], self.below[::-1]
        ):
            k, m, r = batch.shape
            part = x[batch.columns].reshape(k, m, -1)
            if r:
                part = part - _times(transpose(below), x[batch.rows])
            x[batch.columns] = _solve_upper(root, part).reshape(k * m, -1)
        out = np.empty_like(x)
        out[self.symbolic.order] = x
        return out.reshape(right.shape)

    def solve(self, right):
        """
        H^-1 B.

        Parameters
        ----------
        right : ndarray
            B, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `right`.
        """
        return self.back_solve(self.half_solve(right))

    def selected_inverse(self):
        """
        H^-1 where H has entries.

        Returns
        -------
        csc_array
            Shape (n, n), with the pattern given to `analyze`.
        """
        symbolic = self.symbolic
        storage = np.empty(symbolic.size)
        for batch, root, below in zip(
            symbolic.batches[::-1], self.roots[::-1], self.below[::-1]
        ):
            m = batch.shape[1]
            front = batch.fronts(storage)
            inverse = _inverse(root)
            if batch.shape[2]:
                rest = batch.from_parents(storage)
                through = transpose(_solve_upper(root, transpose(below)))
                across = -_times(rest, through)
                inverse = inverse - _times(transpose(through), across)
                front[:, m:, m:] = rest
                front[:, m:, :m] = across
                front[:, :m, m:] = transpose(across)
            front[:, :m, :m] = inverse
        return csc_array(
            (storage[symbolic.positions], symbolic.indices, symbolic.indptr),
            shape=(len(symbolic.order),) * 2,
        )


def factorize(symbolic, matrix):
    """
    Factorize a matrix.

    Parameters
    ----------
    symbolic : SymbolicCholesky
        From `analyze`.
    matrix : sparse array or matrix
        H, shape (n, n), symmetric; it may lack entries of the pattern analyzed.

    Returns
    -------
    SparseCholesky

    Raises
    ------
    numpy.linalg.LinAlgError
        If H is not positive definite.
    ValueError
        If H has entries outside the pattern.
    """
    matrix = _canonical(matrix)
    storage = np.zeros(symbolic.size)
    storage[_positions(symbolic, matrix)] = matrix.data
    roots, belows, logdet = [], [], 0.0
    for batch in symbolic.batches:
        m, r = batch.shape[1:]
        front = batch.fronts(storage)
        root = _cholesky(front[:, :m, :m])
        below = np.zeros((len(front), 0, m))
        if r:
            below = transpose(_solve_lower(root, transpose(front[:, m:, :m])))
            batch.add_to_parents(
                storage, front[:, m:, m:] - _times(below, transpose(below))
            )
        logdet += 2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum()
        roots.append(root)
        belows.append(below)
    return SparseCholesky(symbolic, tuple(roots), tuple(belows), float(logdet))


def _positions(symbolic, matrix):
    """Where the entries of a canonical matrix belong in the storage of the fronts."""
    n = len(symbolic.order)
    if matrix.shape != (n, n):
        raise ValueError(f"The pattern has {n} rows, the matrix {matrix.shape}")
    if np.array_equal(matrix.indptr, symbolic.indptr) and np.array_equal(
        matrix.indices, symbolic.indices
    ):
        return symbolic.positions
    known, wanted = _entry_numbers(symbolic), _entry_numbers(matrix)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    if not np.array_equal(known[at], wanted):
        raise ValueError("The matrix has entries outside the pattern analyzed")
    return symbolic.positions[at]


def _alone(verb, *stacks):
    """Apply a verb on matrices to stacks of one."""
    return verb(*[stack[0] for stack in stacks])[None]


def _cholesky(matrices):
    """Lower Cholesky factors of a stack."""
    if matrices.shape[-1] == 1:
        if not (matrices > 0.0).all():
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        return np.sqrt(matrices)
    if len(matrices) == 1:
        return _alone(cholesky, np.array(matrices))
    return cholesky(matrices)


def _solve_lower(roots, right):
    """Solve with a stack of lower triangular matrices."""
    if roots.shape[-1] == 1:
        return right / roots
    return _alone(solve_lower, roots, right) if len(roots) == 1 else solve_lower(roots, right)


def _solve_upper(roots, right):
    """Solve with the transposes of a stack of lower triangular matrices."""
    if roots.shape[-1] == 1:
        return right / roots
    return _alone(solve_upper, roots, right) if len(roots) == 1 else solve_upper(roots, right)


def _inverse(roots):
    """Inverses of a stack of matrices from their lower Cholesky factors."""
    if roots.shape[-1] == 1:
        return 1.0 / roots**2
    return _alone(inverse_from_cholesky, roots) if len(roots) == 1 else inverse_from_cholesky(roots)


def _times(left, right):
    """Products of two stacks."""
    if left.shape[-1] == 1:
        return left * right
    return _alone(product, left, right) if len(left) == 1 else left @ right
