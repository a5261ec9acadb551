"""
Correlations of errors by dense blocks: C = L L' for each pattern of residual groups.

With C_k the derivative in a correlation parameter and B_k = L^-1 C_k L^-T, a symmetric
block-diagonal H enters through one small matrix for each pattern:

    tr(B_k H) = tr(C_k G),    G = L^-T H L^-1, summed over the groups.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky, inverse_lower, transpose
from statsmodels_lmm.core.residuals.second_order import (
    block_pair_traces,
    block_second_traces,
)

TOGETHER = 64
"""Number of rows up to which the matrices of all patterns are factorized at once."""


@dataclass(frozen=True)
class BlockRoots:
    """
    The correlations at one value of their parameters.

    Parameters
    ----------
    model : ResidualCovariance
        How the covariance of the errors depends on parameters.
    phi : ndarray
        Parameters of each set, shape (parts, c).
    """

    model: Any
    phi: np.ndarray

    def _of_patterns(self, function, axes):
        """A function of parameters and places at the patterns of each batch."""
        return [
            by_parts(function, self.phi, batch.where, batch.parts, axes)
            for batch in self.model.layout.batches
        ]

    @cached_property
    def correlations(self):
        """C of the patterns of each batch, shapes (P, m, m)."""
        if self.model.structure is None:
            return [np.ones((len(b.counts), 1, 1)) for b in self.model.layout.batches]
        return self._of_patterns(self.model.structure.correlation, 0)

    @cached_property
    def changes(self):
        """C_k of the parameters of one set, shapes (c, P, m, m)."""
        if not self.model.n_correlations:
            return [np.zeros((0, *c.shape)) for c in self.correlations]
        return self._of_patterns(self.model.structure.derivative, 1)

    @cached_property
    def lower(self):
        """L of the patterns of each batch, shapes (P, m, m)."""
        return [_for_each(_cholesky, c) for c in self.correlations]

    @cached_property
    def inverses(self):
        """L^-1 of the patterns of each batch, shapes (P, m, m)."""
        return [_for_each(inverse_lower, root) for root in self.lower]

    # products with rows ---------------------------------------------------------

    def _times(self, matrices, columns):
        if self.model.structure is None:
            return columns
        return self.model.layout.multiply(matrices, columns)

    def whiten(self, columns):
        """L^-1 A for columns A, dense or sparse, shape (n,) or (n, w)."""
        return self._times(self.inverses, columns)

    def color(self, columns):
        """L A."""
        return self._times(self.lower, columns)

    def whiten_transposed(self, columns):
        """L^-T A."""
        return self._times([transpose(inverse) for inverse in self.inverses], columns)

    def color_transposed(self, columns):
        """L'A."""
        return self._times([transpose(root) for root in self.lower], columns)

    def bent(self, columns):
        """B_k A of all sets of parameters, shape (parts, c, n, ...)."""
        parts, c = self.phi.shape
        out = np.zeros((parts, c, *columns.shape))
        half = self.whiten_transposed(columns).reshape(len(columns), -1)
        changed = [
            self._times([each[k] for each in self.changes], half) for k in range(c)
        ]
        whole = self.whiten(np.concatenate([half[:, :0], *changed], axis=1))
        whole = np.moveaxis(whole.reshape(len(columns), c, *columns.shape[1:]), 1, 0)
        for part in range(parts):
            here = self._rows_of(part)
            out[part][:, here] = whole[:, here]
        return out

    def along(self, direction, columns):
        """The sum of d_k B_k A for changes d of the parameters, shape (parts, c)."""
        changes = [
            np.einsum("pc,cpij->pij", direction[batch.parts], each)
            for batch, each in zip(self.model.layout.batches, self.changes)
        ]
        half = self.whiten_transposed(columns)
        return self.whiten(self._times(changes, half))

    def _rows_of(self, part):
        """Rows whose correlations depend on one set of parameters."""
        if len(self.phi) == 1:
            return slice(None)
        batches = self.model.layout.batches
        each = [b.rows[b.parts[b.patterns] == part].ravel() for b in batches]
        return np.concatenate(each)

    # scalars ---------------------------------------------------------

    @property
    def log_determinant(self):
        """Logarithm of the determinant of C, over all groups."""
        total = 0.0
        for batch, root in zip(self.model.layout.batches, self.lower):
            diagonal = np.diagonal(root, axis1=-2, axis2=-1)
            total += 2.0 * float(batch.counts @ np.log(diagonal).sum(axis=-1))
        return total

    def paired(self, form):
        """
        tr(B_k H), of correlations and of gamma.

        Parameters
        ----------
        form : ProjectionForm
            H.

        Returns
        -------
        ndarray
            Shape (m,).
        """
        own, s = np.zeros(self.phi.shape), self.model.log_sd.shape[1]
        gamma = np.zeros(s)
        each = zip(
            self.model.layout.batches,
            form.blocks,
            form.turned if self.model.n_correlations else form.blocks,
            self.lower,
            self.inverses,
            self.changes,
        )
        for batch, h, turned, lower, inverse, changes in each:
            if len(changes):
                products = np.einsum("cpij,pij->pc", changes, turned)
                np.add.at(own, batch.parts, products)
            if s:
                pattern = batch.patterns
                right = transpose(h @ inverse[pattern])
                diagonal = 2.0 * (lower[pattern] * right).sum(axis=-1)
                columns = self.model.columns[batch.rows]
                gamma += np.einsum("gm,gms->s", diagonal, columns)
        return np.append(own, gamma)

    leaves_pairs = False
    """Whether `second_traces` leaves 2 tr(B_k B_l H) to others."""

    def pair_traces(self):
        """Traces tr(B_k B_l) of correlations and of gamma, shape (m, m)."""
        return block_pair_traces(self)

    def second_traces(self, form):
        """tr(B_kl H) of correlations and of gamma, shape (m, m)."""
        return block_second_traces(self, form)


def by_parts(function, phi, where, parts, axes=0):
    """
    A function of parameters and places, each place with the parameters of its set.

    Parameters
    ----------
    function : callable
        Maps parameters (c,) and places (r, ...) to an array with an axis of length r.
    phi : ndarray
        Parameters of each set, shape (parts, c).
    where : ndarray
        Places, shape (r, ...).
    parts : ndarray
        Set of each place, shape (r,).
    axes : int, optional
        Number of axes before the one of the places. Default is 0.

    Returns
    -------
    ndarray
    """
    present = np.unique(parts) if len(phi) > 1 else np.zeros(1, int)
    if len(present) == 1:
        return function(phi[present[0]], where)
    rows = [np.flatnonzero(parts == part) for part in present]
    each = [function(phi[part], where[r]) for part, r in zip(present, rows)]
    order = np.argsort(np.concatenate(rows), kind="stable")
    return np.concatenate(each, axis=axes).take(order, axis=axes)


def _for_each(function, matrices):
    """A function of square matrices, one at a time if they are large."""
    if matrices.shape[-1] <= TOGETHER:
        return function(matrices)
    return np.array([function(matrix) for matrix in matrices])


def _cholesky(matrix):
    """A Cholesky factor that leaves the matrix as it is."""
    return cholesky(np.array(matrix))
