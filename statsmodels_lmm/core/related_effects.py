"""
Random effects of levels that are related, b ~ N(0, sigma^2 K (x) S).

With K = C C', b = (C (x) I) u for independent u, so that the model is the usual one
with the matrix Z (C (x) I). Any root C of the part of K that the data see will do.
For one effect column there is one that makes the columns of the new matrix
orthogonal: with the eigendecomposition (Z'Z)^1/2 K (Z'Z)^1/2 = U D U',

    C = K (Z'Z)^1/2 U D^-1/2,    C'Z'Z C = D.

Then no evaluation of the criterion costs more than for as many unrelated levels
(Lippert et al. 2011; Zhou and Stephens 2012, here for any number of rows of a level).

References
----------
Lippert, C. et al. (2011). FaST linear mixed models for genome-wide association
studies. Nature Methods 8, 833-835.
Zhou, X. and Stephens, M. (2012). Genome-wide efficient mixed-model analysis for
association studies. Nature Genetics 44, 821-824.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from statsmodels_lmm.core.grouped_effects import GroupedEffects
from statsmodels_lmm.core.sparse_cholesky import factorize
from statsmodels_lmm.core.symbolic_cholesky import analyze

NEGLIGIBLE = 1e-12
"""Eigenvalues, relative to the largest, that are left out of a root."""


@dataclass(frozen=True)
class Relationship:
    """
    A known covariance matrix of the levels.

    Parameters
    ----------
    matrix : ndarray
        K, symmetric and positive semi-definite, shape (l, l).
    """

    matrix: np.ndarray

    @property
    def variances(self):
        """Diagonal of K, shape (l,)."""
        return np.diagonal(self.matrix)

    def among(self, levels):
        """The covariances among some of the levels."""
        return Relationship(self.matrix[np.ix_(levels, levels)])

    @cached_property
    def root(self):
        """A root of the whole of K, shape (l, r)."""
        return symmetric_root(self.matrix)


@dataclass(frozen=True)
class Precision:
    """
    A known covariance matrix of the levels, by its inverse.

    Parameters
    ----------
    matrix : csc_array
        K^-1, sparse, symmetric and positive definite, shape (l, l).
    log_determinant : float, optional
        log |K^-1|, where it is known.
    """

    matrix: sparse.csc_array
    log_determinant: float | None = None

    @cached_property
    def root(self):
        """The factor R of K^-1, a SparseCholesky."""
        return factorize(analyze(self.matrix), self.matrix)

    @cached_property
    def variances(self):
        """Diagonal of K, shape (l,)."""
        return self.root.selected_inverse().diagonal()

    def __getstate__(self):
        """Pickle without what can be found again."""
        return {"matrix": self.matrix, "log_determinant": self.log_determinant}


@dataclass(frozen=True)
class RawEffects:
    """
    Random effects with a model matrix of their own, one for each column.

    Parameters
    ----------
    matrix : ndarray or sparse array
        Z, shape (n, l).
    relationship : Relationship or Precision, optional
        Covariances among the columns; None if they are independent.
    """

    matrix: np.ndarray
    relationship: object = None

    blocks, structures, k_effects = (1,), (None,), 1
    is_structured, parameter_counts, n_parameters = False, [1], 1
    block_slices = [slice(0, 1)]

    @property
    def n_levels(self):
        """Number of columns l."""
        return self.matrix.shape[1]

    @property
    def n_columns(self):
        """Number of random effects, l."""
        return self.matrix.shape[1]

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.matrix.shape[0]

    def at(self, codes, effects):
        """Rows of which each has one random effect times a number."""
        ends = np.arange(len(codes) + 1)
        shape = len(codes), self.n_levels
        matrix = sparse.csr_array((effects[:, 0], codes, ends), shape=shape)
        return replace(self, matrix=matrix)

    def take(self, rows):
        """The same random effects at some of the rows."""
        return replace(self, matrix=self.matrix[rows])

    subset = take

    def columns(self, block):
        """The factor itself: it has one effect."""
        return self

    def level_modes(self, modes):
        """Conditional modes of the columns from those of a fit, shape (l, 1)."""
        return modes

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), shape (l, 1, w)."""
        return np.asarray(self.matrix.T @ columns)[:, None, :]

    def times(self, b):
        """Z b for random effects b of shape (..., l, 1), shape (..., n)."""
        flat = b.reshape(-1, self.n_levels)
        return np.asarray(self.matrix @ flat.T).T.reshape(*b.shape[:-2], -1)

    def row_variances(self, root):
        """Variances of Z b over sigma^2 for S = R R', shape (n,)."""
        known, z = self.relationship, self.matrix
        spread = z if known is None else z @ known.matrix
        both = z.multiply(spread) if sparse.issparse(z) else z * spread
        return np.asarray(both.sum(axis=1)).ravel() * float(root[0, 0]) ** 2

    def indicator(self):
        """The model matrix Z."""
        return self.matrix


@dataclass(frozen=True)
class RelatedEffects:
    """
    Random effects whose model matrix is Z (C (x) I).

    Parameters
    ----------
    base : GroupedEffects or RawEffects
        Z, by its rows' levels and effect columns, or as it is.
    root : ndarray
        C, from r independent levels to the l levels of `base`, shape (l, r).
    is_orthogonal : bool
        Whether the columns of the model matrix are orthogonal.
    """

    base: GroupedEffects | RawEffects
    root: np.ndarray
    is_orthogonal: bool

    @property
    def n_levels(self):
        """Number of independent levels r."""
        return self.root.shape[1]

    @property
    def k_effects(self):
        """Number of effect columns k."""
        return self.base.k_effects

    @property
    def n_columns(self):
        """Number of random effects, r k."""
        return self.n_levels * self.k_effects

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.base.n_rows

    @property
    def blocks(self):
        """Sizes of the covariance blocks."""
        return self.base.blocks

    @property
    def structures(self):
        """Structures of the covariance blocks."""
        return self.base.structures

    @property
    def is_structured(self):
        """Whether any covariance block has a structure."""
        return self.base.is_structured

    @property
    def parameter_counts(self):
        """Number of covariance parameters of each block."""
        return self.base.parameter_counts

    @property
    def n_parameters(self):
        """Number of covariance parameters."""
        return self.base.n_parameters

    @property
    def block_slices(self):
        """Column slices of the covariance blocks."""
        return self.base.block_slices

    @property
    def left_over_matrix(self):
        """What K - C C' leaves of the covariance among the levels, shape (l, l)."""
        known = self.base.relationship
        whole = np.eye(len(self.root)) if known is None else known.matrix
        return whole - self.root @ self.root.T

    @cached_property
    def left_over(self):
        """What K - C C' leaves of the variance of each level, shape (l,)."""
        explained = (self.root**2).sum(axis=1)
        if self.base.relationship is None:
            return np.maximum(1.0 - explained, 0.0)
        left = self.base.relationship.variances - explained
        return np.where(left > 1e-10 * explained, left, 0.0)

    def at(self, codes, effects):
        """The same random effects at other rows."""
        return replace(self, base=self.base.at(codes, effects))

    def take(self, rows):
        """The same random effects at some of the rows."""
        return replace(self, base=self.base.take(rows), is_orthogonal=False)

    def level_sums(self, columns):
        """The model matrix times columns, shape (r, k, w)."""
        return np.tensordot(self.root.T, self.base.level_sums(columns), axes=1)

    def diagonal_blocks(self):
        """Squared lengths of the columns, if they are orthogonal, (r, 1, 1)."""
        return (self.indicator() ** 2).sum(axis=0)[:, None, None]

    def times(self, b):
        """Z b for independent random effects of shape (..., r, k), (..., n)."""
        return self.base.times(self.level_modes(b))

    def transposed_times(self, rows):
        """The model matrix times rows of shape (r, n), shape (r, l, k)."""
        return np.moveaxis(self.level_sums(rows.T), -1, 0)

    def level_modes(self, modes):
        """Random effects of the levels from independent ones, shape (..., l, k)."""
        return self.root @ modes

    def indicator(self):
        """The model matrix, shape (n, r k)."""
        if self.k_effects == 1:
            return np.asarray(self.base.indicator() @ self.root)
        each = np.kron(self.root, np.eye(self.k_effects))
        return np.asarray(self.base.indicator() @ each)


@dataclass(frozen=True)
class PrecisionEffects:
    """
    Random effects whose independent levels are never formed.

    They are C' times those of the levels, K = C C' with the factor of a sparse K^-1;
    C is the identity if the levels are independent.

    Parameters
    ----------
    base : GroupedEffects, RawEffects or RelatedEffects
        The levels.
    """

    base: object

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
        """log |K^-1|."""
        if self._root is None:
            return 0.0
        known = self.base.relationship.log_determinant
        return self._root.logdet if known is None else known

    n_levels = property(lambda self: self.base.n_levels)
    k_effects = property(lambda self: self.base.k_effects)
    n_columns = property(lambda self: self.base.n_columns)
    n_rows = property(lambda self: self.base.n_rows)
    blocks = property(lambda self: self.base.blocks)
    structures = property(lambda self: self.base.structures)
    is_structured = property(lambda self: self.base.is_structured)
    parameter_counts = property(lambda self: self.base.parameter_counts)
    n_parameters = property(lambda self: self.base.n_parameters)
    block_slices = property(lambda self: self.base.block_slices)

    def at(self, codes, effects):
        """The same random effects at other rows."""
        return replace(self, base=self.base.at(codes, effects))

    def take(self, rows):
        """The same random effects at some of the rows."""
        return replace(self, base=self.base.take(rows))

    def level_sums(self, columns):
        """Z'C for columns C of shape (n, w), level by level, shape (l, k, w)."""
        return self.base.level_sums(columns)

    def transposed_times(self, rows):
        """Z'y for rows y of shape (r, n), shape (r, l, k)."""
        return np.moveaxis(self.base.level_sums(rows.T), -1, 0)

    def indicator(self):
        """The model matrix Z of the levels."""
        return self.base.indicator()

    def level_modes(self, modes):
        """C u: random effects of levels from independent ones, shape (l, k, ...)."""
        if self._root is None:
            return modes
        return self._root.back_solve(modes.reshape(len(modes), -1)).reshape(modes.shape)

    def whitened(self, sums):
        """C't for sums t over the rows of the levels, shape (l, k, ...)."""
        if self._root is None:
            return sums
        return self._root.half_solve(sums.reshape(len(sums), -1)).reshape(sums.shape)

    def times(self, b):
        """Z C b for independent random effects of shape (..., l, k), (..., n)."""
        *batch, levels, k = b.shape
        flat = np.moveaxis(b.reshape(-1, levels, k), 0, -1)
        moved = np.moveaxis(self.level_modes(flat), -1, 0)
        out = [self.base.times(each) for each in moved]
        return np.array(out).reshape(*batch, self.n_rows)



def related(factor):
    """
    The same random effects with independent levels.

    Parameters
    ----------
    factor : GroupedEffects or RawEffects
        In standardized units; the levels may be related.

    Returns
    -------
    GroupedEffects or RelatedEffects
        `factor` itself if nothing need be done.
    """
    if isinstance(factor, RawEffects):
        return _rotated_columns(factor)
    if factor.relationship is None:
        return factor
    matrix = factor.relationship.matrix
    seen = np.flatnonzero(np.bincount(factor.codes, minlength=factor.n_levels))
    among = matrix[np.ix_(seen, seen)]
    if factor.k_effects > 1:
        own = symmetric_root(among)
        return RelatedEffects(factor, _extended(matrix, seen, own), False)
    squares = factor.diagonal_blocks()[seen, 0, 0]
    inside = squares > 0.0
    seen, weights = seen[inside], np.sqrt(squares[inside])
    among = matrix[np.ix_(seen, seen)]
    root = symmetric_root(among * np.outer(weights, weights)) / weights[:, None]
    return RelatedEffects(factor, _extended(matrix, seen, root), True)


def _extended(matrix, seen, root):
    """A root of the block of K of some levels, extended to all of them."""
    if len(seen) == len(matrix) and (seen == np.arange(len(seen))).all():
        return root
    # the regression of all levels on those seen: K_.o K_oo^- C, K_oo = C C'
    half = np.linalg.qr(root, mode="reduced")
    inverse = linalg.solve_triangular(half[1], half[0].T).T
    return matrix[:, seen] @ inverse


def _rotated_columns(factor):
    """A model matrix with orthogonal columns."""
    z = factor.matrix
    known = factor.relationship
    n, l = z.shape
    if n <= l:
        # the root that the rows see: Z K Z' = U D U'
        spread = z if known is None else np.asarray(z @ known.matrix)
        gram = _dense(spread @ z.T)
        values, vectors = _eigh(gram)
        root = _dense(spread).T @ (vectors / np.sqrt(values))
        return RelatedEffects(factor, root, True)
    root = np.eye(l) if known is None else known.root
    gram = _dense(z.T @ z)
    values, vectors = _eigh(root.T @ gram @ root)
    return RelatedEffects(factor, root @ vectors, True)


def symmetric_root(matrix):
    """U D^1/2 of a positive semi-definite matrix U D U', shape (l, rank)."""
    values, vectors = _eigh(matrix)
    return vectors * np.sqrt(values)


def _eigh(matrix):
    """Eigenvalues that are not negligible and their eigenvectors."""
    values, vectors = linalg.eigh(matrix, driver="evd", check_finite=False)
    used = values > NEGLIGIBLE * max(values[-1], 0.0)
    return values[used], vectors[:, used]


def _dense(matrix):
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)
