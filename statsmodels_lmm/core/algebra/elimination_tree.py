"""
The nonzero rows of each column of a sparse Cholesky factor.

Column j has the rows of the matrix below j and the rows below j of its children, which
are the columns with j as first row below the diagonal. Columns on a path of this tree
with the same rows form a supernode, a dense block of the factor (Liu 1992, SIAM Review
34, 82).
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

ROOM = 0.9
"""
Supernodes are merged if the merged front needs less than this share of their storage.

Gathering fronts takes most of the time outside LAPACK, and their storage most of the
memory. For a pedigree with many sires, 1.0 nearly doubles the fill and 0.8 the storage.
"""


@dataclass(frozen=True)
class EliminationTree:
    """
    Supernodes, children before parents.

    Parameters
    ----------
    columns : list of ndarray
        Columns of the matrix that are eliminated together.
    rows : list of ndarray
        Rows, eliminated later, in which these columns of the factor have entries.
    parent : ndarray
        Supernode of the first of these rows, -1 at a root.
    """

    columns: list
    rows: list
    parent: np.ndarray


def elimination_tree(pattern, order):
    """
    Find the supernodes of a Cholesky factor.

    Parameters
    ----------
    pattern : csc_array
        Symmetric pattern, shape (n, n).
    order : ndarray
        Columns in the order of elimination, shape (n,).

    Returns
    -------
    EliminationTree
    """
    n = pattern.shape[0]
    rank = np.argsort(order)
    row, column = rank[pattern.indices], np.repeat(rank, np.diff(pattern.indptr))
    keep = row > column
    lower = csc_array((np.ones(keep.sum()), (row[keep], column[keep])), shape=(n, n))
    indices, bounds = lower.indices.tolist(), lower.indptr.tolist()
    columns: list = []
    rows: list = []
    supernode = [0] * n
    children: list = [[] for _ in range(n)]
    below: dict = {}
    for j in range(n):
        smaller = sorted(children[j], key=lambda child: len(below[child]))
        largest = smaller.pop() if smaller else None
        # reuse the set of the largest child, which may be long
        reach = below.pop(largest, set())
        fresh = set(indices[bounds[j] : bounds[j + 1]])
        fresh = fresh.union(*[below[child] for child in smaller]) - reach - {j}
        for child in smaller:
            rows[supernode[child]] = list(below.pop(child))
        if largest is not None and not fresh:
            supernode[j] = supernode[largest]
        else:
            if largest is not None:
                rows[supernode[largest]] = list(reach)
            supernode[j] = len(columns)
            columns.append([])
            rows.append([])
        columns[supernode[j]].append(j)
        reach.discard(j)
        reach |= fresh
        if reach:
            below[j] = reach
            children[j + 1 if j + 1 in reach else min(reach)].append(j)
    return _merged(columns, rows, order)


def _merged(columns, rows, order):
    """Supernodes and their parents, merged where that saves storage."""
    by_last = sorted(range(len(columns)), key=lambda s: columns[s][-1])
    columns, rows = [columns[s] for s in by_last], [rows[s] for s in by_last]
    owner = np.empty(len(order), int)
    owner[np.concatenate(columns)] = np.repeat(
        np.arange(len(columns)), [len(c) for c in columns]
    )
    parent = [owner[min(r)].item() if r else -1 for r in rows]
    width = [len(c) + len(r) for c, r in zip(columns, rows)]
    into = list(range(len(columns)))
    for s, up in enumerate(parent):
        joint = width[s] - len(rows[s]) + width[up]
        if up >= 0 and joint**2 < ROOM * (width[s] ** 2 + width[up] ** 2):
            into[s], width[up] = up, joint
    for s in reversed(range(len(columns))):
        into[s] = into[into[s]]
        if into[s] != s:
            columns[into[s]] += columns[s]
    kept = np.unique(into)
    number = np.full(len(columns) + 1, -1)
    number[kept] = np.arange(len(kept))
    above = [into[parent[s]] if parent[s] >= 0 else -1 for s in kept.tolist()]
    return EliminationTree(
        [order[np.sort(columns[s])] for s in kept.tolist()],
        [order[rows[s]] for s in kept.tolist()],
        number[above],
    )
