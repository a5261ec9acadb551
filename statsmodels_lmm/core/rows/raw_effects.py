"""Random effects with a model matrix of their own."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.rows.grouped_effects import CovarianceBlocks
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance


@dataclass(frozen=True)
class RawEffects(CovarianceBlocks):
    """
    Random effects with a model matrix of their own, one for each column.

    Parameters
    ----------
    matrix : ndarray or sparse array
        Z, shape (n, l).
    relationship : Relationship or Precision, optional
        Covariances among the columns; None if they are independent.
    """

    matrix: Any
    relationship: Any = None

    blocks, structures, k_effects = (1,), (UnstructuredCovariance(1),), 1

    @property
    def n_levels(self):
        """Number of columns l."""
        return self.matrix.shape[1]

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.matrix.shape[0]

    def at(self, codes, effects):
        """Rows that each hold one random effect times a number."""
        ends = np.arange(len(codes) + 1)
        shape = len(codes), self.n_levels
        matrix = sparse.csr_array((effects[:, 0], codes, ends), shape=shape)
        return replace(self, matrix=matrix)

    def take(self, rows):
        """The same random effects at a subset of the rows."""
        return replace(self, matrix=self.matrix[rows])

    subset = take

    @property
    def sparse_columns(self):
        """Number of columns of Z if it is sparse and they are independent."""
        is_sparse = sparse.issparse(self.matrix) and self.relationship is None
        return self.n_levels if is_sparse else 0

    def transformed(self, transform):
        """The same effects after a transform of the rows."""
        return replace(self, matrix=transform.apply(self.matrix))

    def columns(self, block):
        """The term itself, which has a single effect."""
        return self

    def level_modes(self, modes):
        """Conditional modes of the columns from those of the fit, shape (l, 1)."""
        return modes

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), shape (l, 1, w)."""
        return np.asarray(self.matrix.T @ columns)[:, None, :]

    def times(self, b):
        """Z b for random effects b of shape (..., l, 1), shape (..., n)."""
        flat = b.reshape(-1, self.n_levels)
        return np.asarray(self.matrix @ flat.T).T.reshape(*b.shape[:-2], -1)

    def row_variances(self, root):
        """Variances of Z b divided by sigma^2 for S = R R', shape (n,)."""
        return self.forms() * float(root[0, 0]) ** 2

    def crossed(self, levels, rows):
        """Products of rows of Z and values b of the columns, shape (r, 1, 1)."""
        return np.asarray(self.matrix[rows] @ levels)[..., None]

    def summed_variances(self, share):
        """Sum over rows of share_r z_r'K z_r, shape (1, 1)."""
        return (share @ self.forms())[None, None]

    def forms(self):
        """Quadratic forms z'K z of the rows, shape (n,)."""
        known, z = self.relationship, self.matrix
        if isinstance(known, Precision):
            half = known.root.half_solve(as_array(z).T)
            return (half**2).sum(axis=0)
        spread = z if known is None else z @ known.matrix
        both = z.multiply(spread) if sparse.issparse(z) else z * spread
        return np.asarray(both.sum(axis=1)).ravel()

    def indicator(self):
        """The model matrix Z."""
        return self.matrix
