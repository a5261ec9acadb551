"""
Cross-products of pairs of levels in batches of rows, as sparse matrices that grow.

The matrix of two terms is Z_1'Z_2, shape (l_1 k_1, l_2 k_2). That of a later batch may
have more rows and columns. An entry that happens to be zero may be missing.
"""

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.rows.pair_sums import LinkedBlocks


def links_of(first, second):
    """
    Z_1'Z_2 of some rows.

    Parameters
    ----------
    first, second : tuple
        Level of each row, shape (n,), number of levels, and effects, shape (n, k), of
        each term.

    Returns
    -------
    csr_array
        With sorted indices.
    """
    (g, n_first, left), (h, n_second, right) = first, second
    a, b = left.shape[1], right.shape[1]
    shape = n_first * a, n_second * b
    kind = np.int32 if max(shape) < 2**31 else np.int64
    g, h = g.astype(kind), h.astype(kind)
    if a == b == 1:
        places, products = (g, h), left[:, 0] * right[:, 0]
    else:
        rows, columns = _places(g, a), _places(h, b)
        places = np.repeat(rows, b), np.tile(columns.reshape(-1, b), a).ravel()
        products = (left[:, :, None] * right[:, None, :]).ravel()
    return sparse.coo_array((products, places), shape=shape).tocsr()


def pushed(pending, matrix):
    """
    Add a matrix to a sum that is kept in parts of different sizes.

    Only matrices of similar size are added, so that an entry is moved as many times as
    the logarithm of the number of batches.

    Parameters
    ----------
    pending : tuple of csr_array
        The parts, from large to small.
    matrix : csr_array
        The matrix.

    Returns
    -------
    tuple of csr_array
    """
    parts = [*pending, matrix]
    while len(parts) > 1 and parts[-2].nnz <= 2 * parts[-1].nnz:
        parts.append(_sum(parts.pop(), parts.pop()))
    return tuple(parts)


def total(pending):
    """
    The sum of its parts.

    Parameters
    ----------
    pending : tuple of csr_array
        At least one part, see `pushed`.

    Returns
    -------
    csr_array
    """
    parts = list(pending)
    while len(parts) > 1:
        parts.append(_sum(parts.pop(), parts.pop()))
    return parts[0]


def renumbered(matrix, blocks, first, second, n_levels):
    """
    The cross-products with other numbers of the levels.

    Parameters
    ----------
    matrix : csr_array
        Z_1'Z_2.
    blocks : tuple of int
        k_1 and k_2.
    first, second : ndarray
        New number of each level, shapes (l_1,) and (l_2,).
    n_levels : tuple of int
        New numbers of levels.

    Returns
    -------
    csr_array
        With sorted indices.
    """
    a, b = blocks
    shape = n_levels[0] * a, n_levels[1] * b
    rows, columns = _places(first, a), _places(second, b).astype(matrix.indices.dtype)
    # the rows in their new order, empty where no level has the number
    source = np.full(shape[0], -1)
    source[rows[: matrix.shape[0]]] = np.arange(matrix.shape[0])
    counts = np.where(source < 0, 0, np.diff(matrix.indptr)[source])
    order = source[source >= 0]
    moved = matrix if _ascending(order, matrix) else matrix[order]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(moved.indptr.dtype)
    data, is_sorted = moved.data, (columns == np.arange(len(columns))).all()
    if moved is matrix and not is_sorted:
        data = data.copy()  # it is sorted in place, and belongs to the matrix
    places = moved.indices if is_sorted else columns[moved.indices]
    placed = sparse.csr_array((data, places, starts), shape=shape)
    if not is_sorted:
        placed.sort_indices()
    return placed


def linked_blocks(matrix, blocks):
    """
    Cross-products of pairs of levels as blocks.

    Parameters
    ----------
    matrix : csr_array
        Z_1'Z_2 with sorted indices.
    blocks : tuple of int
        k_1 and k_2.

    Returns
    -------
    LinkedBlocks
    """
    if blocks != (1, 1):
        matrix = matrix.tobsr(blocksize=blocks)
        matrix.sort_indices()
    counts = np.diff(matrix.indptr)
    first = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    second = matrix.indices.astype(np.int32, copy=False)
    return LinkedBlocks(first, second, matrix.data.reshape(-1, *blocks))


def changed(matrix, left, right):
    """
    The cross-products after linear changes of the effects.

    Parameters
    ----------
    matrix : csr_array
        Z_1'Z_2.
    left, right : ndarray
        Multiply the effects of each term from the right, shapes (k, k).

    Returns
    -------
    csr_array
    """
    if (left == np.eye(len(left))).all() and (right == np.eye(len(right))).all():
        return matrix
    found = matrix.tobsr(blocksize=(len(left), len(right)))
    data = left.T @ found.data @ right
    parts = data, found.indices, found.indptr
    changed = sparse.bsr_array(parts, shape=matrix.shape).tocsr()
    changed.sort_indices()
    return changed


def _sum(one, other):
    shape = tuple(map(max, one.shape, other.shape))
    return _grown(one, shape) + _grown(other, shape)


def _grown(matrix, shape):
    """The same entries in a larger matrix."""
    starts, more = matrix.indptr, shape[0] - matrix.shape[0]
    if more:
        starts = np.concatenate([starts, np.full(more, starts[-1], starts.dtype)])
    return sparse.csr_array((matrix.data, matrix.indices, starts), shape=shape)


def _places(levels, size):
    """Rows or columns of the effects of levels."""
    return (levels[:, None] * size + np.arange(size, dtype=levels.dtype)).ravel()


def _ascending(order, matrix):
    return len(order) == matrix.shape[0] and (order == np.arange(len(order))).all()
