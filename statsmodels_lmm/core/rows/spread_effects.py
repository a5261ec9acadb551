"""Random effects whose rows, after whitening, take part in several levels."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.rows.grouped_effects import CovarianceBlocks, GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision


@dataclass(frozen=True)
class SpreadEffects(CovarianceBlocks):
    """
    Effects of one grouping factor, in rows that combine those of several levels.

    Errors that are correlated across the levels of a factor mix its rows when they are
    whitened. The model matrix then is sparse without having one level per row.

    Parameters
    ----------
    matrix : csr_array
        Z, shape (n, l k).
    n_levels, k_effects : int
        Numbers of levels l and of effect columns k.
    blocks : tuple of int
        Sizes of the diagonal blocks of the k x k covariance matrix.
    structures : tuple
        The CovarianceModel of each block.
    relationship : Relationship, optional
        Known covariances among the levels; None if these are independent.
    """

    matrix: Any
    n_levels: int
    k_effects: int
    blocks: tuple
    structures: tuple
    relationship: Any = None

    has_level_blocks = False

    @classmethod
    def of(cls, term):
        """The effects of a grouped term, before whitening."""
        sizes = term.n_levels, term.k_effects
        known = term.relationship
        known = known.dense() if isinstance(known, Precision) else known
        return cls(term.indicator(), *sizes, term.blocks, term.structures, known)

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.matrix.shape[0]

    @property
    def sparse_columns(self):
        """Number of columns of Z."""
        return self.n_columns

    def at(self, codes, effects):
        """The same random effects at rows that each have one level."""
        shape = self.blocks, self.structures, self.relationship
        return GroupedEffects(codes, self.n_levels, effects, *shape)

    def take(self, rows):
        """The same random effects at a subset of the rows."""
        return replace(self, matrix=self.matrix[rows])

    def transformed(self, transform):
        """The same effects after a transform of the rows."""
        return replace(self, matrix=transform.apply(self.matrix))

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), shape (l, k, w)."""
        sums = np.asarray(self.matrix.T @ columns)
        return sums.reshape(self.n_levels, self.k_effects, -1)

    def transposed_times(self, rows):
        """Z'y for rows y of shape (r, n), shape (r, l, k)."""
        sums = np.asarray(self.matrix.T @ rows.T).T
        return sums.reshape(len(rows), self.n_levels, self.k_effects)

    def times(self, b):
        """Z b for random effects b of shape (..., l, k), shape (..., n)."""
        flat = b.reshape(-1, self.n_columns)
        return np.asarray(self.matrix @ flat.T).T.reshape(*b.shape[:-2], -1)

    def level_modes(self, modes):
        """Conditional modes of the levels, shape (l, k)."""
        return modes

    def indicator(self):
        """The model matrix Z."""
        return self.matrix
