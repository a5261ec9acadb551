"""Random effects of levels related by a sparse precision."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.related_effects import OfLevels, RelatedEffects


@dataclass(frozen=True)
class PrecisionEffects(OfLevels):
    """
    Random effects whose independent levels are never formed.

    The effects of the levels are C times those of independent levels. K = C C', with C
    from the Cholesky factor of a sparse K^-1, or the identity for independent levels.

    Parameters
    ----------
    base : GroupedEffects, RawEffects or RelatedEffects
        The levels.
    """

    @property
    def _root(self):
        known = getattr(self.base, "relationship", None)
        return known.root if isinstance(known, Precision) else None

    @property
    def precision(self):
        """K^-1, sparse, shape (l, l)."""
        if self._root is None:
            return sparse.eye_array(self.n_levels, format="csc")
        return self.base.relationship.matrix

    @property
    def log_precision(self):
        """Log-determinant of K^-1."""
        if self._root is None:
            return 0.0
        known = self.base.relationship.log_determinant
        return self._root.logdet if known is None else known

    @property
    def n_levels(self):
        """Number of levels l."""
        return self.base.n_levels

    @property
    def level_variance(self):
        """The approximate mean variance of the levels."""
        return 1.0 if self._root is None else self.base.relationship.size

    def take(self, rows):
        """The same random effects at a subset of the rows."""
        return replace(self, base=self.base.take(rows))

    def transformed(self, transform):
        """The same effects after a transform of the rows."""
        return replace(self, base=self.base.transformed(transform))

    def unit_rows(self, columns):
        """Rows that are unit vectors or zero, see `CovarianceBlocks`."""
        return replace(self, base=self.base.unit_rows(columns))

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), level by level, shape (l, k, w)."""
        return self.base.level_sums(columns)

    def transposed_times(self, rows):
        """Z'y for rows y of shape (r, n), shape (r, l, k)."""
        return np.moveaxis(self.base.level_sums(rows.T), -1, 0)

    def indicator(self):
        """The model matrix Z of the levels."""
        return self.base.indicator()

    def colored(self, modes):
        """C u for independent random effects u, shape (l, k, ...)."""
        if self._root is None:
            return modes
        return self._root.back_solve(modes.reshape(len(modes), -1)).reshape(modes.shape)

    def level_modes(self, modes):
        """Random effects of the user's levels from independent ones, (l, k)."""
        return self.base.level_modes(self.colored(modes))

    @property
    def has_user_levels(self):
        """Whether the term's levels are the user's."""
        return self.base.has_user_levels

    @property
    def root(self):
        """The map from these levels to the user's, if those are densely related."""
        return self.base.root

    @property
    def left_over(self):
        """Variance of each of the user's levels given these levels, shape (l,)."""
        return self.base.left_over

    @property
    def left_over_matrix(self):
        """Covariance of the user's levels given these levels, shape (l, l)."""
        return self.base.left_over_matrix

    def whitened(self, sums):
        """C't for sums t over the rows of the levels, shape (l, k, ...)."""
        if self._root is None:
            return sums
        return self._root.half_solve(sums.reshape(len(sums), -1)).reshape(sums.shape)

    def times(self, b):
        """Z C b for independent random effects b; shapes (..., n) and (..., l, k)."""
        *batch, levels, k = b.shape
        flat = np.moveaxis(b.reshape(-1, levels, k), 0, -1)
        moved = np.moveaxis(self.colored(flat), -1, 0)
        out = [self.base.times(each) for each in moved]
        return np.array(out).reshape(*batch, self.n_rows)


def independent_levels(term):
    """
    Random effects of related levels in terms of independent ones.

    Parameters
    ----------
    term : GroupedEffects
        A term with related levels, not all of which need occur.

    Returns
    -------
    RelatedEffects or PrecisionEffects
    """
    if isinstance(term.relationship, Precision):
        return PrecisionEffects(term)
    return RelatedEffects(term, term.relationship.root)
