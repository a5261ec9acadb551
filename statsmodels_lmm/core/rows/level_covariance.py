"""Known covariances among the levels of a term."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import linalg, sparse

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.algebra.sparse_cholesky import factorize
from statsmodels_lmm.core.algebra.symbolic_cholesky import analyze

OUTSIDE_ROOT = 1e-12
"""Eigenvalues left out of a root, relative to the largest."""

EVEN = 1e-3
"""Smallest length of a level's column, relative to the largest, used as divisor."""


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
    _kept: dict = field(default_factory=dict, init=False, repr=False, compare=False)

    def __getstate__(self):
        """Pickle without what can be recomputed."""
        return {"matrix": self.matrix, "_kept": {}}

    @property
    def variances(self):
        """Diagonal of K, shape (l,)."""
        return np.diagonal(self.matrix)

    def orthogonal_root(self, seen, lengths):
        """
        A root C of K for which the columns of Z C are orthogonal.

        It is kept for the next model with the same rows.

        Parameters
        ----------
        seen : ndarray
            Levels with data, shape (s,).
        lengths : ndarray
            Lengths of their columns of Z, which are orthogonal, shape (s,).

        Returns
        -------
        root : ndarray
            C, shape (l, r).
        squares : ndarray
            Diagonal of C'Z'Z C, shape (r,).
        """
        key = seen.tobytes(), lengths.tobytes()
        kept = self._kept.get("last")
        if kept is None or kept[0] != key:
            kept = key, _orthogonal_root(self.matrix, seen, lengths)
            self._kept["last"] = kept  # a single assignment, as threads may share it
        return kept[1]

    def among(self, levels):
        """The covariances among a subset of the levels."""
        return Relationship(self.matrix[np.ix_(levels, levels)])

    @cached_property
    def root(self):
        """A root of the whole of K, shape (l, r)."""
        return symmetric_root(self.matrix)


@dataclass(frozen=True)
class Precision:
    """
    A known covariance matrix of the levels, given by its inverse.

    Parameters
    ----------
    matrix : csc_array
        K^-1, sparse, symmetric and positive definite, shape (l, l).
    log_determinant : float, optional
        log |K^-1|, if known.
    """

    matrix: sparse.csc_array
    log_determinant: float | None = None

    @cached_property
    def root(self):
        """The Cholesky factor R of K^-1, a SparseCholesky."""
        return factorize(analyze(self.matrix), self.matrix)

    @cached_property
    def variances(self):
        """Diagonal of K, shape (l,)."""
        return self.root.selected_inverse().diagonal()

    @cached_property
    def size(self):
        """The order of magnitude of the variances, at no cost."""
        return float((1.0 / self.matrix.diagonal()).mean())

    def dense(self):
        """K as a Relationship; raises MemoryError if it does not fit."""
        size = self.matrix.shape[0]
        require_memory(
            3 * 8 * size**2,
            f"a dense matrix of {size:,} related levels",
            "Methods that need it are not available for so many levels",
        )
        covariance = self.root.solve(np.eye(size))
        return Relationship(0.5 * (covariance + covariance.T))

    def __getstate__(self):
        """Pickle without what can be recomputed."""
        return {"matrix": self.matrix, "log_determinant": self.log_determinant}


def _orthogonal_root(matrix, seen, lengths):
    among = matrix[np.ix_(seen, seen)]
    values, vectors = positive_eigh(among * np.outer(lengths, lengths))
    if not values.any():
        return np.zeros((len(matrix), 1)), values
    if len(seen) == len(matrix) and lengths.min() > EVEN * lengths.max():
        return vectors * np.sqrt(values) / lengths[:, None], values
    # regress all levels on those seen, without dividing by a small length
    return matrix[:, seen] @ (lengths[:, None] * vectors / np.sqrt(values)), values


def symmetric_root(matrix):
    """U D^1/2 of a positive semi-definite matrix U D U', shape (l, rank)."""
    values, vectors = positive_eigh(matrix)
    return vectors * np.sqrt(values)


def positive_eigh(matrix):
    """Non-negligible eigenvalues and their eigenvectors."""
    values, vectors = linalg.eigh(matrix, driver="evd", check_finite=False)
    used = values > OUTSIDE_ROOT * max(values[-1], 0.0)
    if not used.any():  # a column of zeros stands for an empty root
        return np.zeros(1), vectors[:, :1]
    return values[used], vectors[:, used]
