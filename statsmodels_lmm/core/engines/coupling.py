"""
The block Z_1'Z_t that links the chain to the tail, dense or sparse.

Both kinds have the same methods. T is the coupling of l levels with k effects
to q tail columns, T_g its k x q rows for level g.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.bordered_cholesky import DenseCholesky
from statsmodels_lmm.core.algebra.dense import (
    add_identity,
    cholesky,
    flat_rows,
    product,
    symmetric,
    times_each,
    transpose,
)
from statsmodels_lmm.core.engines.column_split import lower_product
from statsmodels_lmm.core.engines.equal_weights import EqualWeights
from statsmodels_lmm.core.engines.level_pairs import LevelPairs
from statsmodels_lmm.core.engines.levels import level_gram


@dataclass(frozen=True)
class DenseCoupling:
    """
    A coupling stored as an array.

    Parameters
    ----------
    values : ndarray
        Shape (..., l, k, q).
    """

    values: np.ndarray

    is_sparse = False

    def __add__(self, other):
        """The coupling of both sets of rows."""
        return DenseCoupling(self.values + other.values)

    def gram(self, weights):
        """Sum over g of T_g' W_g T_g, shape (..., q, q); W is (..., l, k, k)."""
        return level_gram(self.values, times_each(weights, self.values))

    def transposed_times(self, rows):
        """T' R, shape (..., q, m), for R of shape (..., l, k, m)."""
        return level_gram(self.values, rows)

    def times(self, columns):
        """T B, shape (..., l, k, m), for B of shape (..., q, m)."""
        out = product(flat_rows(self.values), columns)
        return out.reshape(*out.shape[:-2], *self.values.shape[-3:-1], out.shape[-1])

    def quadratic(self, middle):
        """T_g C T_g', shape (..., l, k, k), for a symmetric C (..., q, q)."""
        return self.times(middle) @ transpose(self.values)

    def minus(self, change):
        """Subtract a dense array of the same shape."""
        return DenseCoupling(self.values - change)

    def __neg__(self):
        """The coupling times -1."""
        return DenseCoupling(-self.values)

    def through(self, middle):
        """T C for a symmetric C (..., q, q), shape (..., l, k, q)."""
        return self.times(middle)

    def after(self, rows):
        """R T as an array, for sparse rows R of shape (m, l k)."""
        return rows @ self.values.reshape(rows.shape[1], -1)

    def entries(self):
        """Rows, columns and values of the nonzero entries."""
        values = self.values.reshape(-1, self.values.shape[-1])
        row, column = np.nonzero(values)
        return row, column, values[row, column]


@dataclass(frozen=True)
class SparseCoupling:
    """
    A coupling with few occupied blocks; it has no batch axes.

    The two quadratic methods are sparse matrix-vector products over the pairs i >= j of
    entries of a level, see `LevelPairs`. Their matrices are formed once, unless they
    would hold more than `max_pairs` numbers; then both methods multiply afresh each
    time, see `ColumnSplit`.

    Parameters
    ----------
    matrix : csr_array
        Shape (l k, q), indices sorted; the k rows of a level share one pattern.
    k_effects : int
        Number of effects k.
    max_pairs : int, optional
        Largest number of products stored.
    pairs : LevelPairs, optional
        Positions of the products, if shared by other couplings of this pattern.
    """

    matrix: sparse.csr_array
    k_effects: int
    max_pairs: int = 36_000_000
    pairs: LevelPairs | None = None
    _classes: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    is_sparse = True

    def __add__(self, other):
        """The coupling of both sets of rows, with entries in the same places."""
        same = np.array_equal(self.matrix.indices, other.matrix.indices)
        if not same or not np.array_equal(self.matrix.indptr, other.matrix.indptr):
            raise ValueError("only couplings of the same engine can be added")
        matrix = self.matrix.copy()
        matrix.data += other.matrix.data
        return replace(self, matrix=matrix)

    def __neg__(self):
        """The coupling times -1."""
        return replace(self, matrix=-self.matrix)

    @cached_property
    def _layout(self):
        """Positions of the products."""
        indices, indptr = self.matrix.indices, self.matrix.indptr
        width = self.matrix.shape[1]
        return self.pairs or LevelPairs(indices, indptr, self.k_effects, width)

    @cached_property
    def _by_cell(self):
        """The matrices for each effect, or None."""
        layout = self._layout
        return layout.products(self.matrix.data) if layout.fit(self.max_pairs) else None

    @property
    def is_kept(self):
        """Whether the products are formed once."""
        return self._by_cell is not None

    @cached_property
    def _by_effect(self):
        """The entries of T of each effect, shape (k, m)."""
        return self._layout.by_effect(self.matrix.data)

    def gram(self, weights):
        """
        Sum over g of T_g' W_g T_g, shape (q, q), for W of shape (l, k, k).

        Only the lower triangle is valid.
        """
        if self.is_kept:
            return self._square(self._gram_cells(weights))
        if self.k_effects == 1:
            return self._gram_by_weight(weights[:, 0, 0])
        return self._layout.split.gram(self.matrix, self._weighted(weights))

    def _gram_by_weight(self, weights):
        """The gram for weights (l,), of which many may be equal as they were before."""
        split, known = self._layout.split, self._classes.get("kept")
        if known is None or not known.fit(weights):
            known = EqualWeights.of(self.matrix, weights, split)
            self._classes["kept"] = known
        if known is None:
            return split.gram(self.matrix, self._weighted(weights[:, None, None]))
        return known.gram(self.matrix, weights)

    def _weighted(self, weights):
        """W_g T_g of all levels, with the pattern of T, for symmetric W_g."""
        out = self.matrix.copy()
        if self.k_effects == 1:
            out.data *= weights[self._layout.levels, 0, 0]
            return out
        places = self._layout.by_effect(np.arange(out.nnz))
        each = weights[self._layout.levels]
        for b, place in enumerate(places):
            out.data[place] = (self._by_effect * each[:, :, b].T).sum(axis=0)
        return out

    def _gram_cells(self, weights):
        """Entries of sum over g of T_g' W_g T_g, one for each cell."""
        each = weights[self._layout.levels]
        total = None
        for b, products in enumerate(self._by_cell):
            part = products @ (self._by_effect * each[:, :, b].T).sum(axis=0)
            total = part if total is None else np.add(total, part, out=total)
        return total

    def _square(self, values):
        """A matrix with given values in its cells, shape (q, q)."""
        q = self.matrix.shape[1]
        if self._layout.is_full:
            return values.reshape(q, q)
        out = np.zeros(q * q)
        out[self._layout.cells] = values
        return out.reshape(q, q)

    def rest_cholesky(self, tail, weights, scale):
        """
        The factor of I + D (Z_t'Z_t - sum over g of T_g' W_g T_g) D for a diagonal D.

        Parameters
        ----------
        tail : csr_array
            Z_t'Z_t, with no entries outside the pattern of T'T, shape (q, q).
        weights : ndarray
            W, shape (l, k, k).
        scale : ndarray
            Diagonal of D, shape (q,).

        Returns
        -------
        DenseCholesky or BorderedCholesky
        """
        lower = sparse.tril(tail)
        if not self.is_kept or self._layout.is_full:
            rest = self.gram(weights)
            np.negative(rest, out=rest)
            rest[lower.row, lower.col] += lower.data
            rest *= scale
            rest *= scale[:, None]
            is_lower = self.is_kept
            return DenseCholesky(cholesky(add_identity(rest), is_lower))
        q, (row, column) = len(scale), self._layout.places
        rest = self._gram_cells(weights)
        np.negative(rest, out=rest)
        at = np.searchsorted(self._layout.cells, lower.row * q + lower.col)
        rest[at] += lower.data
        rest *= scale[row]
        rest *= scale[column]
        if self._layout.bordered is not None:
            return self._layout.bordered.factorize(rest)
        square = add_identity(self._square(rest))
        return DenseCholesky(cholesky(square, is_lower=True))

    def transposed_times(self, rows):
        """T' R, shape (q, m), for R of shape (l, k, m)."""
        return self.matrix.T @ flat_rows(rows)

    def times(self, columns):
        """T B, shape (l, k, m), for B of shape (q, m)."""
        product = self.matrix @ columns
        k = self.k_effects
        return product.reshape(len(product) // k, k, columns.shape[-1])

    def quadratic(self, middle):
        """
        T_g C T_g', shape (l, k, k), for a symmetric C of shape (q, q).

        Only the lower triangle of C is read.
        """
        k = self.k_effects
        n_levels = self.matrix.shape[0] // k
        out = np.empty((n_levels, k, k))
        if not self.is_kept:
            middle = symmetric(middle)
            step = max(1, 2**25 // (k * self.matrix.shape[1]))
            for start in range(0, n_levels, step):
                part = self.matrix[start * k : (start + step) * k]
                levels = (part @ middle).reshape(-1, k, self.matrix.shape[1])
                dense = part.toarray().reshape(levels.shape)
                out[start : start + step] = levels @ dense.swapaxes(-1, -2)
            return out
        cells = middle.reshape(-1)[self._layout.cells]
        diagonal = np.diagonal(middle)[self._layout.columns]
        for b, products in enumerate(self._by_cell):
            # an entry with itself is half of both triangles
            through = products.T @ cells - 0.5 * diagonal * self._by_effect[b]
            for a in range(k):
                both = self._by_effect[a] * through
                out[:, a, b] = np.bincount(self._layout.levels, both, n_levels)
        return out + out.swapaxes(-1, -2)

    def quadratic_sum(self, outer, middle):
        """
        Sum over g of J_g T_g C T_g' J_g', shape (k, k), for a symmetric C (q, q).

        This is <C, sum over g of T_g' W_g T_g> with W_g from the rows of J_g. Only the
        lower triangle of C is read.
        """
        if self.is_kept:
            quadratic = self.quadratic(middle)
            return (outer @ quadratic @ transpose(outer)).sum(axis=0)
        k = self.k_effects
        out = np.empty((k, k))
        for a in range(k):
            for b in range(a + 1):
                crossed = outer[:, a, :, None] * outer[:, b, None, :]
                weights = 0.5 * (crossed + transpose(crossed))
                out[a, b] = out[b, a] = lower_product(middle, self.gram(weights))
        return out

    def through(self, middle):
        """
        T C at the occupied entries of T, for a symmetric C of shape (q, q).

        Only the lower triangle of C is read.

        Returns
        -------
        csr_array
            With the pattern of T.
        """
        out = self.matrix.copy()
        if not self.is_kept:
            middle = symmetric(middle)
            step = max(1, 2**25 // self.matrix.shape[1])
            for start in range(0, self.matrix.shape[0], step):
                part = self.matrix[start : start + step]
                row, column = part.nonzero()
                here = slice(*self.matrix.indptr[[start, start + part.shape[0]]])
                out.data[here] = (part @ middle)[row, column]
        else:
            out.data = self._layout.through(self.matrix.data, middle)
        return out

    def after(self, rows):
        """R T as an array, for sparse rows R of shape (m, l k)."""
        return (rows @ self.matrix).toarray()

    def entries(self):
        """Rows, columns and values of the nonzero entries."""
        matrix = self.matrix.tocoo()
        return matrix.row.astype(int), matrix.col.astype(int), matrix.data
