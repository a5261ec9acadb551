"""
Cholesky factors of dense matrices and of sparse ones with a bordered block diagonal.

A sparse matrix whose factor fills in may still have, in a suitable order, the form

    [ H_1            .   ]
    [      ...       .   ]
    [           H_m  .   ]
    [ E_1  ...  E_m  B   ]

with blocks that are not linked to one another, each linked to few rows of the border.
With R_i R_i' = H_i and F_i = E_i R_i'^-1, it remains to factorize the dense matrix B -
sum F_i F_i', each of whose terms has only the rows linked to its block. The elements of
the inverse on the pattern are found in the opposite direction (Takahashi, Fagan and
Chin 1973).

Full supernodal or multifrontal methods need fewer operations, but in Python a few large
blocks are faster.
"""

from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush

import numpy as np
from scipy.linalg import blas

from statsmodels_lmm.core.algebra.dense import (
    cholesky,
    inverse_from_cholesky,
    inverse_lower,
    product,
    solve_lower,
    solve_upper,
    transpose,
)

FEWEST = 400
"""Number of columns below which a matrix is factorized as dense."""

SPARSE = 0.5
"""Share of the lower triangle, above which a matrix is factorized as dense."""

WORTHWHILE = 0.75
"""Largest expected share of the time of a dense factorization."""

LARGEST_BLOCK = 0.05
"""Share of all columns that a block may have."""

PER_BLOCK, PER_UPDATE = 1.5e6, 250.0
"""Overhead of a block, and of each update in the border, in multiplications."""


@dataclass(frozen=True)
class DenseCholesky:
    """
    The factor R of a dense matrix R R'.

    Parameters
    ----------
    root : ndarray
        R, lower triangular, shape (..., q, q).
    """

    root: np.ndarray

    @property
    def _diagonal(self):
        return np.diagonal(self.root, axis1=-2, axis2=-1)

    @property
    def logdet(self):
        """Log-determinant of the matrix, shape (...)."""
        return 2.0 * np.log(self._diagonal).sum(axis=-1)

    def pivots(self):
        """Squares of the diagonal of R, shape (..., q)."""
        return self._diagonal**2

    @cached_property
    def _inverse_root(self):
        """R^-1 of many matrices, of which NumPy solves no triangular system."""
        return inverse_lower(self.root)

    def half_solve(self, right):
        """R^-1 B for B of shape (..., q, c)."""
        if self.root.ndim > 2:
            return product(self._inverse_root, right)
        return solve_lower(self.root, right)

    def back_solve(self, right):
        """R'^-1 B for B of shape (..., q, c)."""
        if self.root.ndim > 2:
            return product(transpose(self._inverse_root), right)
        return solve_upper(self.root, right)

    def inverse(self, whole):
        """Inverse of the matrix, shape (..., q, q), or at least its lower triangle."""
        if self.root.ndim > 2:
            return product(transpose(self._inverse_root), self._inverse_root)
        return inverse_from_cholesky(self.root, both=whole)


@dataclass(frozen=True)
class BorderedBlock:
    """
    A block of s columns, linked to b rows of the border.

    Parameters
    ----------
    columns : slice
        Columns of the block in the order of elimination.
    start : int
        Offset in the storage of the block and its links, s + b rows of s numbers.
    rows : ndarray
        Rows of the border linked to the block, ascending, shape (b,).
    updated : ndarray
        Positions in the border of the lower triangle of these rows and columns, shape
        (b (b + 1) / 2,).
    lower : ndarray
        The same positions in a matrix of these rows and columns alone.
    """

    columns: slice
    start: int
    rows: np.ndarray
    updated: np.ndarray
    lower: np.ndarray

    def panel(self, storage):
        """The block and, below it, its links, a view of shape (s + b, s)."""
        s = self.columns.stop - self.columns.start
        stop = self.start + (s + len(self.rows)) * s
        return storage[self.start : stop].reshape(-1, s)


@dataclass(frozen=True)
class BorderedPattern:
    """
    Everything that depends only on the pattern of a matrix with q columns.

    Parameters
    ----------
    order : ndarray
        Columns in the order of elimination, the border last, shape (q,).
    blocks : tuple of BorderedBlock
        The blocks.
    border : slice
        Columns of the border in the order of elimination.
    start, size : int
        Offset of the border in the storage, and size of the storage.
    cells : ndarray
        Entries i q + j of the lower triangle.
    positions, diagonal : ndarray
        Positions of these entries, and of the diagonal, in the storage.
    """

    order: np.ndarray
    blocks: tuple
    border: slice
    start: int
    size: int
    cells: np.ndarray
    positions: np.ndarray
    diagonal: np.ndarray

    def border_of(self, storage):
        """The border, a view of shape (b, b)."""
        width = self.border.stop - self.border.start
        return storage[self.start :].reshape(width, width)

    def factorize(self, values):
        """
        Factorize I + H.

        Parameters
        ----------
        values : ndarray
            Values of H, one for each of `cells`.

        Returns
        -------
        BorderedCholesky

        Raises
        ------
        LinAlgError
            If the matrix is not positive definite.
        """
        storage = np.zeros(self.size)
        storage[self.positions] = values
        storage[self.diagonal] += 1.0
        border = self.border_of(storage)
        roots, halves = [], []
        for block in self.blocks:
            panel = block.panel(storage)
            s = panel.shape[1]
            root = cholesky(panel[:s], is_lower=True)
            half = solve_lower(root, panel[s:].T)
            if half.size:  # BLAS complains of blocks that no border links
                update = blas.dsyrk(1.0, half, trans=1).T.reshape(-1)
                np.subtract.at(border.reshape(-1), block.updated, update[block.lower])
            roots.append(root)
            halves.append(half)
        roots.append(cholesky(border, is_lower=True))
        return BorderedCholesky(self, tuple(roots), tuple(halves))


@dataclass(frozen=True)
class BorderedCholesky:
    """
    The factor R of P H P' = R R' for a sparse H.

    Parameters
    ----------
    pattern : BorderedPattern
        The order P, and the blocks.
    roots : tuple of ndarray
        R_i of each block and, last, that of the border, lower triangular.
    halves : tuple of ndarray
        F_i' of each block.
    """

    pattern: BorderedPattern
    roots: tuple
    halves: tuple

    @property
    def logdet(self):
        """Log-determinant of H."""
        return 2.0 * np.log(self._diagonal).sum()

    @property
    def _diagonal(self):
        """Diagonal of R, shape (q,)."""
        return np.concatenate([np.diagonal(root) for root in self.roots])

    @property
    def _parts(self):
        """Each block with its R_i and F_i'."""
        return zip(self.pattern.blocks, self.roots, self.halves)

    def pivots(self):
        """Squares of the diagonal of R, in the order of the rows of H, shape (q,)."""
        out = np.empty(len(self.pattern.order))
        out[self.pattern.order] = self._diagonal**2
        return out

    def half_solve(self, right):
        """R^-1 P B for B of shape (q, c), rows in the order of elimination."""
        x = right[self.pattern.order]
        border = x[self.pattern.border]
        for block, root, half in self._parts:
            part = solve_lower(root, x[block.columns])
            x[block.columns] = part
            border[block.rows] -= half.T @ part
        border[...] = solve_lower(self.roots[-1], border)
        return x

    def back_solve(self, right):
        """P'R'^-1 B for B of shape (q, c), rows in the order of elimination."""
        x = np.empty_like(right)
        border = solve_upper(self.roots[-1], right[self.pattern.border])
        x[self.pattern.border] = border
        for block, root, half in self._parts:
            rest = right[block.columns] - half @ border[block.rows]
            x[block.columns] = solve_upper(root, rest)
        out = np.empty_like(x)
        out[self.pattern.order] = x
        return out

    def inverse(self, whole):
        """H^-1, shape (q, q), or at least its lower triangle on the pattern of H."""
        pattern, q = self.pattern, len(self.pattern.order)
        if whole:
            return self.back_solve(self.half_solve(np.eye(q)))
        storage = np.empty(pattern.size)
        border = pattern.border_of(storage)
        border[...] = inverse_from_cholesky(self.roots[-1], both=False)
        for block, root, half in self._parts:
            panel = block.panel(storage)
            s, b = half.shape
            panel[:s] = inverse_from_cholesky(root, both=False)
            if not b:
                continue
            within = np.empty(b * b)
            within[block.lower] = border.reshape(-1)[block.updated]
            through = solve_upper(root, half)
            # the blocks of the inverse below H_i, and H_i's own
            across = blas.dsymm(-1.0, within.reshape(b, b).T, through, side=1)
            panel[s:] = across.T
            panel[:s] -= through @ across.T
        out = np.zeros(q * q)
        out[pattern.cells] = storage[pattern.positions]
        return out.reshape(q, q)


def bordered_pattern(cells, size):
    """
    Find blocks and a border, if they make a factorization faster.

    Parameters
    ----------
    cells : ndarray
        Entries i q + j, i >= j, of the lower triangle, ascending.
    size : int
        Number of columns q.

    Returns
    -------
    BorderedPattern or None
        None if the matrix had better be factorized as dense.
    """
    if size < FEWEST or len(cells) > SPARSE * size**2 / 2:
        return None
    linked = np.eye(size, dtype=bool)
    linked.flat[cells] = True
    linked |= linked.T
    blocks, border = _blocks(linked, LARGEST_BLOCK * size)
    if _work(blocks, border) > WORTHWHILE * size**3 / 3.0:
        return None
    row, column = np.divmod(cells.astype(np.int64), size)
    return _laid_out(row, column, blocks, border)


def _blocks(linked, largest):
    """
    Columns of each block with its rows of the border, and columns of the border.

    Each column merges the blocks to which it is linked, unless their columns would
    exceed a number; then it becomes part of the border. As in minimum-degree orders,
    the next column is the one whose merged block is linked to the fewest others. These
    only become more, so they are counted anew when a column comes to the front.

    Parameters
    ----------
    linked : ndarray
        Pattern of the matrix, booleans of shape (q, q).
    largest : float
        Largest number of columns of a block.

    Returns
    -------
    blocks : list of tuple of ndarray
    border : ndarray
    """
    # integers as sets of columns, the first column as the highest bit
    rows = np.packbits(linked, axis=1)
    links = [int.from_bytes(row.tobytes(), "big") for row in rows]
    bits = [1 << i for i in reversed(range(8 * rows.shape[1]))]
    queue = [(link.bit_count(), j) for j, link in enumerate(links)]
    heapify(queue)
    blocks: list = []
    while queue:
        _, j = heappop(queue)
        merged = [block for block in blocks if block[1] & bits[j]]
        columns = sum([block[0] for block in merged], [j])
        if len(columns) > largest:
            continue
        reach = links[j]
        for _, link in merged:
            reach |= link
        others = reach.bit_count() - len(columns)
        if queue and others > queue[0][0]:
            heappush(queue, (others, j))
            continue
        blocks = [block for block in blocks if not block[1] & bits[j]]
        blocks.append((columns, reach))
    is_border = np.ones(len(links), dtype=bool)
    is_border[[j for columns, _ in blocks for j in columns]] = False
    found = [
        (np.array(columns), np.flatnonzero(linked[columns].any(axis=0) & is_border))
        for columns, _ in blocks
    ]
    return found, np.flatnonzero(is_border)


def _work(blocks, border):
    """Multiplications of a factorization, or what takes as long."""
    s = np.array([len(columns) for columns, _ in blocks], dtype=float)
    b = np.array([len(rows) for _, rows in blocks], dtype=float)
    each = s**3 / 3.0 + s**2 * b + s * b**2 + PER_UPDATE * b**2 / 2.0 + PER_BLOCK
    return each.sum() + len(border) ** 3 / 3.0


def _laid_out(row, column, blocks, border):
    """The BorderedPattern of given blocks and entries of the lower triangle."""
    order = np.concatenate([*(columns for columns, _ in blocks), border])
    q, width, m = len(order), len(border), len(blocks)
    rank = np.argsort(order)
    # the block of each column, that of the border being the last, and its place in it
    owner, local = np.empty((2, q), np.intp)
    owner[border], local[border] = m, np.arange(width)
    # the row in each block's panel of each row of the border
    below = np.tile(np.arange(width), (m + 1, 1))
    laid, start, stop = [], 0, 0
    for number, (columns, rows) in enumerate(blocks):
        s, b, at = len(columns), len(rows), local[rows]
        owner[columns], local[columns] = number, np.arange(s)
        below[number, at] = np.arange(s, s + b)
        is_lower = np.tri(b, dtype=bool)
        updated = (at[:, None] * width + at)[is_lower]
        places = slice(stop, stop + s)
        lower = np.flatnonzero(is_lower)
        laid.append(BorderedBlock(places, start, at, updated, lower))
        start, stop = start + s * (s + b), stop + s
    starts = np.array([*(block.start for block in laid), start])
    widths = np.array([*(len(columns) for columns, _ in blocks), width])

    # an entry belongs to the block of its column that is eliminated first
    swapped = rank[row] < rank[column]
    first, second = np.where(swapped, (row, column), (column, row))
    block, at = owner[first], local[second]
    linked = owner[second] == m
    at[linked] = below[block[linked], at[linked]]
    return BorderedPattern(
        order,
        tuple(laid),
        slice(stop, q),
        start,
        start + width**2,
        row * q + column,
        starts[block] + at * widths[block] + local[first],
        starts[owner] + local * (widths[owner] + 1),
    )
