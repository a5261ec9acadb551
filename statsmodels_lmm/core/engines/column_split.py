"""
Products T'U of sparse matrices of one pattern with few frequent columns.

Where a few columns have entries in a large share of the rows and most have few, the
frequent ones are multiplied as dense matrices and the others as sparse ones. T'U is
symmetric here, as in T'W T, and half of the sparse product is left out.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import product
from statsmodels_lmm.core.algebra.threads import in_threads

DENSE, MIXED, SPARSE, ADDED = 0.05, 0.5, 4.0, 6.0
"""
Nanoseconds of a multiplication of two dense columns, of a dense and a sparse one and of
two sparse ones, and of adding an entry of their product.
"""

BLOCKS = 4
"""Blocks of sparse columns, each multiplied with those up to itself."""

CACHED = 2**18
"""Number of entries that a processor keeps close at hand."""

DENSE_ENTRIES = 2**22
"""Size of the largest array of frequent columns."""

ROWS_AT_ONCE = 512
"""Rows of a square matrix whose inner product is formed at once."""


@dataclass(frozen=True)
class ColumnSplit:
    """
    Frequent and other columns, and the rows that are multiplied at once.

    Parameters
    ----------
    dense, rest : ndarray
        Frequent columns and the others, ascending.
    step : int
        Number of rows multiplied at once.
    """

    dense: np.ndarray
    rest: np.ndarray
    step: int

    def gram(self, left, right):
        """
        T'U for matrices of one pattern with a symmetric product.

        Parameters
        ----------
        left, right : csr_array
            T and U, shape (n, q).

        Returns
        -------
        ndarray
            Shape (q, q); only the lower triangle is valid.
        """
        q, n_dense = left.shape[1], len(self.dense)
        out = np.zeros((q, q))
        densely = np.zeros((n_dense, n_dense))
        across = np.zeros((len(self.rest), n_dense))
        for start in range(0, left.shape[0], self.step):
            t, u = (each[start : start + self.step] for each in (left, right))
            if n_dense:
                frequent = u[:, self.dense].toarray()
                densely += product(t[:, self.dense].toarray().T, frequent)
                t, u = t[:, self.rest], u[:, self.rest]
                across += t.T @ frequent
            self._add_rest(out, t, u)
        if n_dense:
            out[np.ix_(self.dense, self.dense)] = densely
            out[np.ix_(self.rest, self.dense)] = across
            out[np.ix_(self.dense, self.rest)] = across.T
        return out

    def _add_rest(self, out, left, right):
        """Add T'U of the other columns to the lower triangle of a matrix."""
        transposed, n_rest = left.T.tocsr(), len(self.rest)
        edges = np.linspace(0, n_rest, min(BLOCKS, n_rest) + 1).astype(int).tolist()

        def add(edges):
            a, b = edges
            block = (transposed[a:b] @ right[:, :b]).toarray()
            if n_rest == len(out):
                out[a:b, :b] += block
            else:
                out[np.ix_(self.rest[a:b], self.rest[:b])] += block

        entries = np.diff(right.indptr).astype(float)
        in_threads(add, list(zip(edges[:-1], edges[1:])), (entries**2).sum())


def column_split(matrix):
    """
    Choose the frequent columns and the rows that are multiplied at once.

    Parameters
    ----------
    matrix : csr_array
        A matrix of the pattern, shape (n, q).

    Returns
    -------
    ColumnSplit
    """
    n, q = matrix.shape
    counts = np.bincount(matrix.indices, minlength=q)
    order = np.argsort(-counts, kind="stable")
    rank = np.argsort(order)[matrix.indices]
    row = np.repeat(np.arange(n), np.diff(matrix.indptr))
    numbers = [0, *(2 ** np.arange(5, max(5, q.bit_length()))).tolist()]
    _, n_dense, step = min(_priced(m, row[rank >= m], n, q) for m in numbers)
    return ColumnSplit(np.sort(order[:n_dense]), np.sort(order[n_dense:]), step)


def _priced(n_dense, rows, n, q):
    """Price, number of dense columns and step, for the rows of the sparse entries."""
    left = np.bincount(rows, minlength=n).astype(float)
    multiplied = (left**2).sum()
    # many rows reach each column before they return to it
    step = n * max(CACHED / (len(rows) + 1.0), ADDED * q**2 / (multiplied + 1.0))
    if n_dense:
        step = min(step, DENSE_ENTRIES / n_dense)
    step = int(min(n, max(1.0, step)))
    price = n_dense * (DENSE * n * n_dense + MIXED * len(rows))
    price += SPARSE * multiplied + ADDED * (q - n_dense) ** 2 * (n // step)
    return price, n_dense, step


def lower_product(left, right):
    """
    Inner product of two symmetric matrices, given by their lower triangles.

    Parameters
    ----------
    left, right : ndarray
        Shape (q, q).

    Returns
    -------
    float
    """
    total = 0.0
    for a in range(0, len(left), ROWS_AT_ONCE):
        rows = slice(a, a + ROWS_AT_ONCE)
        total += 2.0 * np.einsum("ij,ij", left[rows, :a], right[rows, :a])
        block = np.tril(left[rows, rows]) * right[rows, rows]
        total += 2.0 * np.tril(block).sum() - np.trace(block)
    return float(total)
