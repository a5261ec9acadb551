"""The rows of one random-effects term."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance


def level_sums(codes, n_levels, left, right):
    """
    Sums, over the rows of each level, of outer products of two sets of columns.

    Parameters
    ----------
    codes : ndarray
        Level of each row, shape (n,).
    n_levels : int
        Number of levels l.
    left, right : ndarray
        Shapes (n, a) and (n, b).

    Returns
    -------
    ndarray
        Shape (l, a, b).
    """
    if n_levels == 1:
        return (left.T @ right)[None]
    out = np.empty((n_levels, left.shape[1], right.shape[1]))
    same = left is right
    for a, column in enumerate(left.T):
        is_one = _is_one(column)
        for b, other in enumerate(right.T):
            if same and b < a:
                out[:, a, b] = out[:, b, a]
            elif is_one and _is_one(other):
                out[:, a, b] = np.bincount(codes, minlength=n_levels)
            else:
                products = other if is_one else column * other
                out[:, a, b] = np.bincount(codes, products, minlength=n_levels)
    return out


def _is_one(column):
    """Whether all values are 1, so that products with them need not be formed."""
    return bool((column[:1] == 1.0).all()) and bool((column == 1.0).all())


class CovarianceBlocks:
    """
    How the covariance matrix of k effects is divided into blocks.

    Attributes
    ----------
    blocks : tuple of int
        Sizes of the diagonal blocks.
    structures : tuple
        The CovarianceModel of each.
    n_levels, k_effects : int
        Numbers of levels and of effect columns.
    """

    @property
    def n_columns(self: Any):
        """Number of random effects, l k."""
        return self.n_levels * self.k_effects

    @property
    def is_structured(self: Any):
        """Whether any covariance block has a structure."""
        return any(s.has_structure for s in self.structures)

    @property
    def parameter_counts(self: Any):
        """Number of covariance parameters of each block."""
        return [s.n_parameters for s in self.structures]

    @property
    def n_parameters(self: Any):
        """Number of covariance parameters."""
        return sum(self.parameter_counts)

    @property
    def n_structured(self: Any):
        """Number of covariance parameters that belong to a structure."""
        return sum(s.n_structured for s in self.structures)

    @property
    def block_slices(self: Any):
        """Column slices of the covariance blocks."""
        return consecutive(self.blocks)

    @property
    def level_variance(self: Any):
        """Mean variance of the levels that supply the starting moments."""
        return 1.0

    is_grouped = False
    """Whether each row has the effects of a single level, given by its code."""

    @property
    def has_level_blocks(self: Any):
        """Whether Z'Z is block-diagonal by level."""
        return True

    @property
    def sparse_columns(self: Any):
        """Number of columns of a sparse model matrix of its own."""
        return 0

    def independent(self: Any, rows):
        """A matrix with one row per random effect, mapped to independent levels."""
        return rows

    def whitened(self: Any, sums):
        """Sums by independent level from sums by the term's own levels, (l, k, ...)."""
        return sums

    def unit_rows(self: Any, columns):
        """
        Rows that are unit vectors or zero.

        Parameters
        ----------
        columns : ndarray
            The column of Z that is one in each row, shape (m,); a value outside the
            l k columns gives a row of zeros.

        Returns
        -------
        GroupedEffects, RawEffects or OfLevels
        """
        inside = np.flatnonzero((columns >= 0) & (columns < self.n_columns))
        levels, effect = np.divmod(columns[inside], self.k_effects)
        codes = np.zeros(len(columns), dtype=np.intp)
        effects = np.zeros((len(columns), self.k_effects))
        codes[inside] = levels
        effects[inside, effect] = 1.0
        return self.at(codes, effects)

    @property
    def of_user(self: Any):
        """The effects of the user's levels: the term itself."""
        return self

    @property
    def has_user_levels(self: Any):
        """Whether the term's levels are the user's."""
        return self.of_user is self


@dataclass(frozen=True)
class GroupedEffects(CovarianceBlocks):
    """
    Effect columns that vary over the levels of one grouping factor.

    Terms that share a grouping factor form one `GroupedEffects`; `blocks` states which
    of their columns are correlated.

    Parameters
    ----------
    codes : ndarray
        Level of each row, integers in 0, ..., n_levels - 1, shape (n,).
    n_levels : int
        Number of levels l; each occurs in at least one row, unless levels are
        related.
    effects : ndarray
        Values of the effect columns, shape (n, k).
    blocks : tuple of int
        Sizes of the diagonal blocks of the k x k covariance matrix, in the order of
        the columns; they sum to k.
    structures : tuple, optional
        A CovarianceModel for each block; by default they are unstructured.
    relationship : Relationship or Precision, optional
        Known covariances among the levels; None if these are independent.
    """

    codes: np.ndarray
    n_levels: int
    effects: np.ndarray
    blocks: tuple
    structures: tuple = ()
    relationship: Any = None

    is_grouped = True

    def __post_init__(self):
        """Make blocks unstructured unless structures are given."""
        if not self.structures:
            unstructured = tuple(map(UnstructuredCovariance, self.blocks))
            object.__setattr__(self, "structures", unstructured)

    def __setstate__(self, state):
        """Read pickles, including earlier ones in which unstructured was None."""
        pairs = zip(state["blocks"], state["structures"])
        models = tuple(s or UnstructuredCovariance(size) for size, s in pairs)
        self.__dict__.update(state, structures=models)

    @property
    def k_effects(self):
        """Number of effect columns k."""
        return self.effects.shape[1]

    @property
    def n_rows(self):
        """Number of rows n."""
        return len(self.codes)

    def at(self, codes, effects):
        """The same random effects at other rows."""
        return replace(self, codes=codes, effects=effects)

    def take(self, rows):
        """The same random effects at a subset of the rows."""
        return self.at(self.codes[rows], self.effects[rows])

    def transformed(self, transform):
        """The same effects after a row transform that preserves levels."""
        return replace(self, effects=transform.apply(self.effects))

    def columns(self, block):
        """The term with the effects of one of its covariance blocks."""
        place = self.block_slices.index(block)
        return replace(
            self,
            effects=self.effects[:, block],
            blocks=self.blocks[place : place + 1],
            structures=self.structures[place : place + 1],
        )

    def subset(self, rows):
        """A term of a subset of the rows, without unrelated levels that have no row."""
        if self.relationship is not None:
            return self.take(rows)
        levels, codes = np.unique(self.codes[rows], return_inverse=True)
        return replace(
            self, codes=codes, n_levels=len(levels), effects=self.effects[rows]
        )

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), level by level, shape (l, k, w)."""
        return level_sums(self.codes, self.n_levels, self.effects, columns)

    def diagonal_blocks(self):
        """The blocks of Z'Z of every level, shape (l, k, k)."""
        return self.level_sums(self.effects)

    def times(self, b):
        """Z b for random effects b of shape (..., l, k), shape (..., n)."""
        out: Any = 0.0
        for j, column in enumerate(self.effects.T):
            each = b[..., j].take(self.codes, axis=-1)
            each *= column
            out = each if j == 0 else np.add(out, each, out=out)
        return out

    def row_variances(self, root):
        """Variances of Z b divided by sigma^2 for S = R R', shape (n,)."""
        variances = ((self.effects @ root) ** 2).sum(axis=1)
        known = self.relationship
        return variances if known is None else variances * known.variances[self.codes]

    def crossed(self, levels, rows):
        """Products z_ra b_b of effects and values b of the levels, shape (r, k, k)."""
        return self.effects[rows][:, :, None] * levels[self.codes[rows]][:, None, :]

    def summed_variances(self, share):
        """Matrix M with sum_r share_r Var(z_r'b) / sigma^2 = Tr(M S), shape (k, k)."""
        known = self.relationship
        each = share if known is None else share * known.variances[self.codes]
        return self.effects.T @ (each[:, None] * self.effects)

    def transposed_times(self, rows):
        """Z'y for rows y of shape (r, n), shape (r, l, k)."""
        if len(rows) == 1:
            return self.level_sums(rows.T)[None, ..., 0]
        sums = np.asarray((self.indicator().T @ rows.T).T)
        return sums.reshape(len(rows), self.n_levels, self.k_effects)

    def level_modes(self, modes):
        """Conditional modes of the levels from those of the fit, shape (l, k)."""
        return modes

    def indicator(self):
        """
        The model matrix Z of this term.

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
