"""
Natural parameters of a covariance of errors, on which second derivatives depend.

They are those of SAS: correlations and variances or, where the covariance matrix is
linear in them, covariances. With lambda = (log sigma^2, gamma) an entry of sigma^2 R
is

    C_rs(phi) exp(b_rs' lambda),    b_rs = (1, f_r + f_s),

f_r a row of F and sigma^2 the variance of a row with f = 0. If F distinguishes as many
*cells* of rows as lambda has entries, so that each cell has a variance of its own, the
variances of the cells are natural, and otherwise sigma^2 and gamma are.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.residuals.block_roots import BlockRoots


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
    def _blocks_of(self):
        """The matrices of the patterns, also where rows are whitened by neighbors."""
        phi, _ = self._model.split(self.whitening.parameters)
        return BlockRoots(self._model, phi)

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

    def _has_own_covariances(self):
        model = self._model
        seen: dict = {}
        for batch, bends in zip(model.layout.batches, self._changes):
            f = model.log_sd[batch.rows]
            sums = f[:, :, None] + f[:, None]
            for pattern, part in enumerate(batch.parts):
                groups = slice(batch.starts[pattern], batch.starts[pattern + 1])
                for k, change in enumerate(bends[:, pattern]):
                    values = sums[groups][:, change != 0.0].reshape(-1, f.shape[-1])
                    if not len(values):
                        continue
                    first = seen.setdefault((part, k), values[0])
                    if not np.allclose(values, first):
                        return False
        return True

    @cached_property
    def _changes(self):
        """C_k of the patterns of each batch, shapes (c, P, m, m)."""
        return self._blocks_of.of_patterns(self._model.structure.derivative, 1)

    @cached_property
    def _second_changes(self):
        """C_kl of the patterns of each batch, shapes (c, c, P, m, m)."""
        return self._blocks_of.of_patterns(self._model.structure.second_derivative, 2)

    def curvature(self, columns, root):
        """See `natural_curvature`."""
        model, out = self._model, 0.0
        phi, powers = self._roots(root)
        inverse = [transpose(each) for each in self._blocks_of.inverses]
        turned = columns
        if model.structure is not None:
            turned = model.layout.multiply(inverse, columns)
        for number, batch in enumerate(model.layout.batches):
            blocks = self._blocks(number, batch, phi, powers)
            rows = turned[batch.rows]
            out = out + np.einsum("gmp,gmn,gnq->pq", rows, blocks, rows, optimize=True)
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

    def _blocks(self, number, batch, phi, powers):
        """
        Sums of W_rs times second derivatives for the groups of a batch, over D.

        In lambda a second derivative is b_a b_b C, and of a variance v_a, less b_a C
        where both are the same, with b_a the power of v_a in the entry.
        """
        model = self._model
        f = model.log_sd[batch.rows]
        b = f[:, :, None] + f[:, None]
        b = np.concatenate([np.ones((*b.shape[:-1], 1)), b], axis=-1)
        along = b @ powers  # of log V, shape (G, m, m, r)
        factor = (along**2).sum(axis=-1) - self._less(b, powers)
        pattern = batch.patterns
        blocks = self._blocks_of.correlations[number][pattern] * factor
        if not model.n_correlations:
            return blocks
        phi = phi[batch.parts]
        changes = np.einsum("pcr,cpij->pijr", phi, self._changes[number])
        blocks = blocks + 2.0 * (changes[pattern] * along).sum(axis=-1)
        weights = phi @ phi.swapaxes(1, 2)
        second = np.einsum("pkl,klpij->pij", weights, self._second_changes[number])
        return blocks + second[pattern]

    def _less(self, b, powers):
        """The sum of W_aa b_a over variances."""
        if self.cells is None:  # sigma^2 alone is a variance
            return (powers[0] ** 2).sum() * b[..., 0]
        variances = ((self.cells @ powers) ** 2).sum(axis=-1)
        return (b @ np.linalg.inv(self.cells)) @ variances
