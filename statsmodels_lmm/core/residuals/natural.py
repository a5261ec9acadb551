"""
Natural parameters of a covariance of errors, on which second derivatives depend.

They are those of SAS: correlations and variances or, where the covariance matrix is
linear in them, covariances. With lambda = (log sigma^2, gamma) an entry of sigma^2 R is

    C_rs(phi) exp(b_rs' lambda),    b_rs = (1, f_r + f_s),

f_r a row of F and sigma^2 the variance of a row with f = 0. If F distinguishes as many
*cells* of rows as lambda has entries, so that each cell has a variance of its own, the
variances of the cells are natural. Otherwise gamma is, and the variance of a row with
the mean of F gamma: that with f = 0 would change with the origin of a column.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.residuals.block_roots import by_parts

ENTRIES = 4_000_000
"""Size of the largest array formed for a batch of groups."""

LARGEST = 5000
"""Largest number of rows of a group of which a dense matrix is formed."""


def of_user(whitening, scale):
    """
    Derivatives of coordinates and scale in the user's parameters.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors.
    scale : float
        sigma^2, of a row at the mean of F gamma if F is centered.

    Returns
    -------
    ndarray
        Of the coordinates and this scale, by row, with respect to the correlations,
        gamma and sigma^2 of a row with f = 0, shape (m + 1, m + 1).
    """
    m, mean = whitening.model.n_parameters, _mean(whitening.model)
    _, gamma = whitening.model.split(whitening.parameters)
    change = np.zeros((m + 1, m + 1))
    change[:m, :m] = np.linalg.inv(whitening.jacobian)
    change[m, m - len(gamma) : m] = 2.0 * scale * mean
    change[m, m] = np.exp(2.0 * mean @ gamma)
    return change


def _mean(model):
    """What is subtracted from the columns of F, shape (s,)."""
    return (model.log_sd - model.columns).mean(axis=0)


def natural_curvature(whitening, columns, root):
    """
    A'U W_rs R_rs U'A, summed over pairs of natural parameters, for columns A.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors.
    columns : ndarray
        A, shape (n, p).
    root : ndarray
        B with B B' the covariance W of the estimates of the coordinates and of the
        logarithm of the scale, shape (m + 1, r).

    Returns
    -------
    ndarray
        Shape (p, p).

    Raises
    ------
    MemoryError
        If a group has too many rows for a dense matrix.
    """
    natural = NaturalParameters(whitening)
    if natural.is_linear:
        p = columns.shape[1]
        return np.zeros((p, p))
    return natural.curvature(columns, root)


@dataclass(frozen=True)
class NaturalParameters:
    """
    The second derivatives of sigma^2 R, divided by sigma^2.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors.
    """

    whitening: Any

    @property
    def _model(self):
        return self.whitening.model

    @cached_property
    def cells(self):
        """
        Logarithms of the cells' variances as functions of lambda, shape (k, k).

        None unless there are as many cells as entries of lambda.
        """
        f = self._model.log_sd
        count = f.shape[1] + 1
        rows = np.unique(f, axis=0) if count > 1 else f[:1]
        whole = np.hstack([np.ones((len(rows), 1)), 2.0 * rows])
        if len(rows) != count or np.linalg.matrix_rank(whole) < count:
            return None
        return whole

    @cached_property
    def is_linear(self):
        """
        Whether the covariance matrix is linear in variances and covariances.

        It is if the correlation matrix is linear in phi, each cell has a variance, and
        each correlation occurs with one product of standard deviations only.
        """
        model = self._model
        if self.cells is None:
            return False
        if model.structure is None or model.log_sd.shape[1] == 0:
            return model.structure is None or model.structure.is_linear
        return model.structure.is_linear and self._has_own_covariances()

    def _check_size(self):
        largest = self._model.layout.largest
        if largest > LARGEST:
            raise MemoryError(
                "second derivatives of the covariance of errors need a dense matrix of "
                f"the {largest:,} rows of a group; 'kenward-roger(linear)' leaves them "
                "out"
            )

    def _has_own_covariances(self):
        self._check_size()
        model, seen = self._model, dict[tuple, np.ndarray]()
        for batch in model.layout.batches:
            changes = self._at(model.structure.derivative, batch, slice(None), 1)
            for pattern, part in enumerate(batch.parts):
                groups = slice(*batch.starts[pattern : pattern + 2])
                f = model.log_sd[batch.rows[groups]]
                sums = f[:, :, None] + f[:, None]
                for k, change in enumerate(changes[:, pattern]):
                    values = sums[:, change != 0.0].reshape(-1, f.shape[-1])
                    if not len(values):
                        continue
                    first = seen.setdefault((part, k), values[0])
                    if not np.allclose(values, first):
                        return False
        return True

    def curvature(self, columns, root):
        """See `natural_curvature`."""
        self._check_size()
        model, out = self._model, 0.0
        phi, powers = self._roots(root)
        turned = self.whitening.roots.whiten_transposed(columns)
        for batch in model.layout.batches:
            n_groups, m = batch.rows.shape
            step = max(1, ENTRIES // (m * m * (len(powers) + root.shape[1])))
            for start in range(0, n_groups, step):
                groups = slice(start, start + step)
                blocks = self._blocks(batch, groups, phi, powers)
                rows = turned[batch.rows[groups]]
                out = out + np.einsum(
                    "gmp,gmn,gnq->pq", rows, blocks, rows, optimize=True
                )
        return out

    def _roots(self, root):
        """Roots for the correlations (parts, c, r) and for lambda (1 + s, r)."""
        model = self._model
        natural = self.whitening.jacobian @ root[:-1]
        count = model.n_parts * model.n_correlations
        phi = natural[:count].reshape(model.n_parts, -1, root.shape[1])
        gamma = natural[count:]
        log_scale = root[-1] - 2.0 * _mean(model) @ gamma
        return phi, np.vstack([log_scale, gamma])

    def _blocks(self, batch, groups, phi, powers):
        """
        Sums of W_rs times second derivatives for some groups of a batch, over D.

        In lambda a second derivative is b_a b_b C, and of a variance v_a, less b_a C
        where both are the same, with b_a the power of v_a in the entry.
        """
        f = self._model.log_sd[batch.rows[groups]]
        b = f[:, :, None] + f[:, None]
        b = np.concatenate([np.ones((*b.shape[:-1], 1)), b], axis=-1)
        along = b @ powers  # of log V, shape (G, m, m, r)
        factor = (along**2).sum(axis=-1) - self._less(b, powers)
        structure = self._model.structure
        if structure is None:
            return factor
        # groups of one pattern are side by side
        pattern = batch.patterns[groups]
        here, pattern = slice(pattern[0], pattern[-1] + 1), pattern - pattern[0]
        blocks = self._at(structure.correlation, batch, here)[pattern] * factor
        phi = phi[batch.parts[here]]
        changes = self._at(structure.derivative, batch, here, 1)
        changes = np.einsum("pcr,cpij->pijr", phi, changes)
        blocks = blocks + 2.0 * (changes[pattern] * along).sum(axis=-1)
        if structure.is_linear:
            return blocks
        bends = self._at(structure.second_derivative, batch, here, 2)
        weights = phi @ phi.swapaxes(1, 2)
        return blocks + np.einsum("pkl,klpij->pij", weights, bends)[pattern]

    def _at(self, function, batch, patterns, axes=0):
        """A function of parameters and places at some patterns of a batch."""
        phi, _ = self._model.split(self.whitening.parameters)
        where, parts = batch.where[patterns], batch.parts[patterns]
        return by_parts(function, phi, where, parts, axes)

    def _less(self, b, powers):
        """The sum of W_aa b_a over variances."""
        if self.cells is None:  # that of a row with the mean of F gamma alone
            usual = powers[0] + 2.0 * self._model.log_sd.mean(axis=0) @ powers[1:]
            return (usual**2).sum() * b[..., 0]
        variances = ((self.cells @ powers) ** 2).sum(axis=-1)
        return (b @ np.linalg.inv(self.cells)) @ variances
