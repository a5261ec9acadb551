"""
Random effects of levels that are related, b ~ N(0, sigma^2 K (x) S).

With K = C C', b = (C (x) I) u for independent u, so the model is the usual one with
the model matrix Z (C (x) I). Any root C of the part of K that the data involve will do.
For a single effect column, one root makes the columns of the new matrix orthogonal:
with the eigendecomposition (Z'Z)^1/2 K (Z'Z)^1/2 = U D U',

    C = K (Z'Z)^1/2 U D^-1/2,    C'Z'Z C = D.

An evaluation of the criterion then costs no more than for as many unrelated levels
(Lippert et al. 2011; Zhou and Stephens 2012; here for any number of rows per level).

References
----------
Lippert, C. et al. (2011). FaST linear mixed models for genome-wide association
studies. Nature Methods 8, 833-835.
Zhou, X. and Stephens, M. (2012). Genome-wide efficient mixed-model analysis for
association studies. Nature Genetics 44, 821-824.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg, sparse

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.rows.grouped_effects import CovarianceBlocks
from statsmodels_lmm.core.rows.level_covariance import positive_eigh, symmetric_root
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.spread_effects import SpreadEffects

NO_COLUMN = 1e-24
"""Squared length, relative to the largest, of a level's column treated as zero."""


@dataclass(frozen=True)
class OfLevels(CovarianceBlocks):
    """
    Random effects of independent levels, in place of other levels' effects.

    Parameters
    ----------
    base : GroupedEffects, RawEffects or RelatedEffects
        The effects that they replace.
    """

    base: Any

    @property
    def k_effects(self):
        """Number of effect columns k."""
        return self.base.k_effects

    @property
    def blocks(self):
        """Sizes of the covariance blocks."""
        return self.base.blocks

    @property
    def structures(self):
        """Structures of the covariance blocks."""
        return self.base.structures

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.base.n_rows

    @property
    def of_user(self):
        """The effects of the user's levels."""
        return self.base.of_user

    def at(self, codes, effects):
        """The same random effects at other rows."""
        return replace(self, base=self.base.at(codes, effects))

    def over(self, effects):
        """The same map for other effects of the user's levels."""
        if isinstance(self.base, OfLevels):
            return replace(self, base=self.base.over(effects))
        return replace(self, base=effects)


@dataclass(frozen=True)
class RelatedEffects(OfLevels):
    """
    Random effects whose model matrix is Z (C (x) I).

    Parameters
    ----------
    base : GroupedEffects or RawEffects
        Z, given by levels and effect columns or as a matrix.
    root : ndarray
        C, which maps r independent levels to the l levels of `base`, shape (l, r).
    squares : ndarray, optional
        Squared lengths of the columns of the model matrix if they are orthogonal,
        shape (r,).
    """

    root: np.ndarray
    squares: Any = None

    @property
    def n_levels(self):
        """Number of independent levels r."""
        return self.root.shape[1]

    @property
    def left_over_matrix(self):
        """The covariance K - C C' of the levels that C leaves out, shape (l, l)."""
        known = self.base.relationship
        whole = np.eye(len(self.root)) if known is None else known.matrix
        return whole - self.root @ self.root.T

    @cached_property
    def left_over(self):
        """The diagonal of K - C C', the variances that C leaves out, shape (l,)."""
        explained = (self.root**2).sum(axis=1)
        if self.base.relationship is None:
            return np.maximum(1.0 - explained, 0.0)
        left = self.base.relationship.variances - explained
        return np.where(left > 1e-10 * explained, left, 0.0)

    @property
    def has_level_blocks(self):
        """Whether the columns of the model matrix are orthogonal."""
        return self.squares is not None

    def take(self, rows):
        """The same random effects at a subset of the rows."""
        return replace(self, base=self.base.take(rows), squares=None)

    def transformed(self, transform):
        """The same effects after a row transform, which may end orthogonality."""
        return replace(self, base=self.base.transformed(transform), squares=None)

    def unit_rows(self, columns):
        """Rows that are unit vectors or zero, see `CovarianceBlocks`."""
        inside = np.flatnonzero((columns >= 0) & (columns < self.n_columns))
        shape = len(columns), self.n_columns
        ones = sparse.coo_array(
            (np.ones(len(inside)), (inside, columns[inside])), shape
        )
        return RawEffects(ones.tocsr())

    def level_sums(self, columns):
        """The transposed model matrix times columns, shape (r, k, w)."""
        return np.tensordot(self.root.T, self.base.level_sums(columns), axes=1)

    def diagonal_blocks(self):
        """Squared lengths of the columns, if orthogonal, shape (r, 1, 1)."""
        return self.squares[:, None, None]

    def independent(self, rows):
        """(C (x) I)'M for a matrix M with one row per random effect of `base`."""
        if self.k_effects == 1:
            return np.asarray((rows.T @ self.root).T)
        rows = as_array(rows).reshape(len(self.root), -1)
        return (self.root.T @ rows).reshape(self.n_columns, -1)

    def times(self, b):
        """Z b for independent random effects b; shapes (..., n) and (..., r, k)."""
        return self.base.times(self.root @ b)

    def transposed_times(self, rows):
        """The transposed model matrix times rows (r, n), shape (r, l, k)."""
        return np.moveaxis(self.level_sums(rows.T), -1, 0)

    def level_modes(self, modes):
        """Random effects of the levels from independent ones, shape (l, k, ...)."""
        return np.tensordot(self.root, modes, axes=1)

    def indicator(self):
        """The model matrix, shape (n, r k)."""
        if self.k_effects == 1:
            return np.asarray(self.base.indicator() @ self.root)
        each = np.kron(self.root, np.eye(self.k_effects))
        return np.asarray(self.base.indicator() @ each)


def related(term):
    """
    The same random effects with independent levels.

    Parameters
    ----------
    term : GroupedEffects, SpreadEffects or RawEffects
        In standardized units; the levels may be related.

    Returns
    -------
    GroupedEffects or RelatedEffects
        `term` itself if its levels are independent already.
    """
    if isinstance(term, RawEffects):
        return _rotated_columns(term)
    if term.relationship is None:
        return term
    matrix = term.relationship.matrix
    _check_memory(len(matrix), term.k_effects)
    if isinstance(term, SpreadEffects):
        return RelatedEffects(term, term.relationship.root)
    seen = np.flatnonzero(np.bincount(term.codes, minlength=term.n_levels))
    if term.k_effects > 1:
        root = symmetric_root(matrix[np.ix_(seen, seen)])
        return RelatedEffects(term, _extended(matrix, seen, root))
    squares = term.diagonal_blocks()[seen, 0, 0]
    inside = squares > NO_COLUMN * squares.max()
    if not inside.any():
        return RelatedEffects(term, np.zeros((len(matrix), 1)), np.zeros(1))
    lengths = np.sqrt(squares[inside])
    root, values = term.relationship.orthogonal_root(seen[inside], lengths)
    return RelatedEffects(term, root, values)


def _check_memory(n_levels, k_effects):
    """Reject related levels with dense matrices that do not fit."""
    require_memory(
        8 * (4 * n_levels**2 + (k_effects > 1) * 6 * (n_levels * k_effects) ** 2),
        f"{n_levels:,} related levels need dense matrices",
        "A sparse inverse, relationship_inverse=, needs less memory",
    )


def _extended(matrix, seen, root):
    """A root of the block of K for some levels, extended to all levels."""
    if len(seen) == len(matrix) and (seen == np.arange(len(seen))).all():
        return root
    if not root.any():
        return np.zeros((len(matrix), 1))
    # the regression of all levels on those seen: K_.o K_oo^- C, K_oo = C C'
    half = np.linalg.qr(root, mode="reduced")
    inverse = linalg.solve_triangular(half[1], half[0].T).T
    return matrix[:, seen] @ inverse


def _rotated_columns(term):
    """A model matrix with orthogonal columns."""
    z = term.matrix
    known = term.relationship
    n, columns = z.shape
    if n <= columns:
        # the root from the side of the rows: Z K Z' = U D U'
        spread = z if known is None else np.asarray(z @ known.matrix)
        gram = as_array(spread @ z.T)
        values, vectors = positive_eigh(gram)
        root = as_array(spread).T @ (vectors / np.sqrt(values))
        return RelatedEffects(term, root, values)
    root = np.eye(columns) if known is None else known.root
    gram = as_array(z.T @ z)
    values, vectors = positive_eigh(root.T @ gram @ root)
    return RelatedEffects(term, root @ vectors, values)
