"""
Many columns, of which only a working set is ever formed.

All columns meet the data as X'v for one vector v at a time. They are standardized by
arithmetic on these products, without a copy, so that X may be an array of any type, a
memory map, or sparse.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

BLOCK = 4_000_000
"""Number of entries converted to double precision at a time."""

ALIKE = 1e-10
"""Relative difference up to which columns may be equal."""


@dataclass(frozen=True)
class WideColumns:
    """
    The penalized columns, with means of zero and mean squares of one.

    Parameters
    ----------
    matrix : ndarray or sparse array
        X, shape (N, p).
    rows : ndarray or None
        The rows used, shape (n,); None for all.
    root_weights : ndarray or None
        Square roots of the prior weights of the rows used, shape (n,).
    means, sizes : ndarray
        What is subtracted from the columns, and by what they are divided, shape (p,).
        A column of size 0 is constant, and never chosen.
    """

    matrix: Any
    rows: Any
    root_weights: Any
    means: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, matrix, rows=None, root_weights=None, center=True, scale=True):
        """
        Standardize columns.

        Parameters
        ----------
        matrix, rows, root_weights
            See the class.
        center, scale : bool, optional
            Whether to subtract means and to divide by root mean squares.

        Raises
        ------
        ValueError
            If an entry is not finite; the message names the columns.
        """
        if sparse.issparse(matrix):
            matrix = sparse.csc_array(matrix)
        n = matrix.shape[0] if rows is None else len(rows)
        p = matrix.shape[1]
        one = cls(matrix, rows, None, np.zeros(p), np.ones(p))
        sums, squares = one.sums()
        bad = np.flatnonzero(~np.isfinite(squares))
        if len(bad):
            raise ValueError(bad)
        means = sums / n
        variances = np.maximum(squares / n - means**2, 0.0)
        is_constant = variances <= 1e-14 * squares / n
        sizes = np.sqrt(variances if center else squares / n) if scale else np.ones(p)
        return cls(
            matrix,
            rows,
            root_weights,
            means if center else np.zeros(p),
            np.where(is_constant & center, 0.0, sizes),
        )

    @property
    def shape(self):
        """Numbers of rows used and of columns."""
        n = self.matrix.shape[0] if self.rows is None else len(self.rows)
        return n, self.matrix.shape[1]

    def _blocks(self):
        """Slices of columns and the entries of the rows used, a block at a time."""
        n, p = self.matrix.shape
        step = max(1, BLOCK // max(n, 1))
        for start in range(0, p, step):
            part = slice(start, min(start + step, p))
            yield part, self._plain(self.matrix[:, part])

    def _plain(self, block):
        """A block in double precision, with the rows used."""
        if sparse.issparse(block):
            return block if self.rows is None else block[self.rows]
        block = np.asarray(block, dtype=float)
        return block if self.rows is None else block[self.rows]

    def sums(self):
        """Sums and sums of squares of the raw columns, shapes (p,)."""
        sums, squares = np.empty((2, self.matrix.shape[1]))
        for part, block in self._blocks():
            if sparse.issparse(block):
                sums[part] = block.sum(axis=0)
                squares[part] = block.multiply(block).sum(axis=0)
            else:
                sums[part] = block.sum(axis=0)
                squares[part] = np.einsum("ij,ij->j", block, block)
        return sums, squares

    def transposed_times(self, v):
        """
        X'v for the standardized columns.

        Parameters
        ----------
        v : ndarray
            Shape (n,).

        Returns
        -------
        ndarray
            Shape (p,); zero for constant columns.
        """
        if self.root_weights is not None:
            v = v * self.root_weights
        out = np.empty(self.matrix.shape[1])
        if sparse.issparse(self.matrix) and self.rows is None:
            out[:] = self.matrix.T @ v
        else:
            for part, block in self._blocks():
                out[part] = block.T @ v
        out -= self.means * v.sum()
        usable = self.sizes > 0.0
        out[usable] /= self.sizes[usable]
        out[~usable] = 0.0
        return out

    @cached_property
    def equal_columns(self):
        """
        Columns that are equal to one before them, up to sign and units.

        Equal columns have equal products with a vector, so that few need be compared.

        Returns
        -------
        list of (int, int)
            The first of the equal columns, and another.
        """
        v = np.random.default_rng(0).standard_normal(self.shape[0])
        size = np.abs(self.transposed_times(v))
        order = np.argsort(size, kind="stable")
        order = order[size[order] > 0.0]
        starts = np.diff(size[order]) > ALIKE * size[order][1:]
        found = []
        for alike in np.split(order, np.flatnonzero(starts) + 1):
            while len(alike) > 1:
                alike = np.sort(alike)
                block = self.take(alike)
                block = block / np.linalg.norm(block, axis=0)
                same = np.abs(block[:, 0] @ block) > 1.0 - ALIKE
                found += [(int(alike[0]), int(j)) for j in alike[same][1:]]
                alike = alike[~same]
        return sorted(found, key=lambda pair: pair[1])

    def take(self, columns):
        """
        Some standardized columns, times the root weights.

        Parameters
        ----------
        columns : ndarray
            Their positions, shape (a,).

        Returns
        -------
        ndarray
            Shape (n, a).
        """
        block = self._plain(self.matrix[:, columns])
        if sparse.issparse(block):
            block = block.toarray()
        block = (block - self.means[columns]) / self.sizes[columns]
        if self.root_weights is not None:
            block = block * self.root_weights[:, None]
        return block

    def unstandardized(self, coefficients, columns):
        """
        Coefficients of the raw columns, and what they add to a constant.

        Parameters
        ----------
        coefficients : ndarray
            Of the standardized columns, shape (a,).
        columns : ndarray
            Their positions, shape (a,).

        Returns
        -------
        raw : ndarray
            Shape (a,).
        constant : float
        """
        raw = coefficients / self.sizes[columns]
        return raw, -float(raw @ self.means[columns])
