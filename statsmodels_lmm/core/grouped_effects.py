"""The rows of one random-effects factor."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse


@dataclass(frozen=True)
class GroupedEffects:
    """
    Effect columns that vary over the levels of one grouping factor.

    Terms that share a grouping factor are one `GroupedEffects`; `blocks` says
    which of their columns are correlated.

    Parameters
    ----------
    codes : ndarray
        Level of each row, integers in 0, ..., n_levels - 1, shape (n,).
    n_levels : int
        Number of levels l; each occurs in at least one row.
    effects : ndarray
        Values of the effect columns, shape (n, k).
    blocks : tuple of int
        Sizes of the unstructured diagonal blocks of the k x k covariance
        matrix, in the order of the columns; they sum to k.
    """

    codes: np.ndarray
    n_levels: int
    effects: np.ndarray
    blocks: tuple

    @property
    def k_effects(self):
        """Number of effect columns k."""
        return self.effects.shape[1]

    @property
    def n_columns(self):
        """Number of random effects, l k."""
        return self.n_levels * self.k_effects

    @property
    def block_slices(self):
        """Column slices of the covariance blocks."""
        ends = np.cumsum(self.blocks)
        return [slice(e - b, e) for e, b in zip(ends.tolist(), self.blocks)]

    def indicator(self):
        """
        The model matrix Z of this factor.

        Returns
        -------
        csr_array
            Shape (n, l k); row r holds the effects of r at its level.
        """
        n, k = self.effects.shape
        columns = (self.codes * k)[:, None] + np.arange(k)
        return sparse.csr_array(
            (self.effects.ravel(), columns.ravel(), np.arange(0, n * k + 1, k)),
            shape=(n, self.n_columns),
        )
