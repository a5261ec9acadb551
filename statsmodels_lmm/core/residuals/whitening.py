"""
Rows after whitening: R^-1/2 y, R^-1/2 X and R^-1/2 Z have independent errors.

The errors of the (weighted, standardized) rows have covariance sigma^2 R, with

    R = D C D,    C = L L',    D = diag(exp(F gamma - m)),    U = L^-1 D^-1,

where m is the mean of F gamma over the rows during a search, so that sigma, the relative
covariances and gamma are not collinear, and zero in results. With R_k the derivative in a parameter and B_k = U R_k U',

    B_k = L^-1 C_k L^-T for correlations,    B_f = L^-1 F_f L + L' F_f L^-T for gamma,

where F_f is the diagonal matrix of the f-th column of F, centered or not.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import inverse_lower, transpose
from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.residuals.layout import ResidualLayout


@dataclass(frozen=True)
class ResidualCovariance:
    """
    How the covariance of the errors of a design depends on parameters.

    Parameters
    ----------
    structure : ResidualStructure or None
        The correlations; None for independent errors.
    layout : ResidualLayout
        The residual groups; groups of one row without a structure.
    size : int
        Number of visits, or of rows of the largest group.
    n_parts : int
        Number of sets of correlation parameters.
    log_sd : ndarray
        F, the columns of the logarithms of the standard deviations, shape (n, s).
    spread : float
        Largest distance of two rows of a group.
    is_centered : bool
        Whether sigma is the standard deviation of a row with the mean of F gamma, as in
        a search; otherwise it is that of a row with F gamma = 0.
    """

    structure: ResidualStructure | None
    layout: ResidualLayout
    size: int
    n_parts: int
    log_sd: np.ndarray
    spread: float = 0.0
    is_centered: bool = True

    @cached_property
    def columns(self):
        """F, with columns of mean zero if it is centered, shape (n, s)."""
        return (
            self.log_sd - self.log_sd.mean(axis=0) if self.is_centered else self.log_sd
        )

    @cached_property
    def n_correlations(self):
        """Number of correlation parameters of one set, c."""
        return (
            0 if self.structure is None else len(self.structure.parameters(self.size))
        )

    @property
    def n_parameters(self):
        """Number of parameters, sets of correlations first, then gamma."""
        return self.n_parts * self.n_correlations + self.log_sd.shape[1]

    def split(self, values):
        """Correlation parameters (parts, c), and gamma (s,), of all parameters."""
        count = self.n_parts * self.n_correlations
        return values[:count].reshape(self.n_parts, -1), values[count:]

    def start(self):
        """Coordinates at which a search starts, shape (m,)."""
        own = np.zeros(0)
        if self.structure is not None:
            phi = self.structure.start(self.size, self.spread)
            own = np.tile(self.structure.fold(phi, self.size), self.n_parts)
        return np.append(own, np.zeros(self.log_sd.shape[1]))

    def unfold(self, x):
        """
        Parameters from coordinates without bounds.

        Parameters
        ----------
        x : ndarray
            Coordinates, shape (m,).

        Returns
        -------
        parameters : ndarray
            Shape (m,).
        jacobian : ndarray
            Derivatives of parameters, by row, in coordinates, shape (m, m).
        """
        own, gamma = self.split(x)
        values, jacobian, c = np.array(x, dtype=float), np.eye(len(x)), own.shape[1]
        for part, each in enumerate(own if c else ()):
            here = slice(part * c, (part + 1) * c)
            values[here], jacobian[here, here] = self.structure.unfold(each, self.size)
        return values, jacobian

    def fold(self, parameters):
        """Coordinates of given parameters, shape (m,)."""
        own, gamma = self.split(np.asarray(parameters, dtype=float))
        if self.structure is None:
            return gamma
        each = [self.structure.fold(phi, self.size) for phi in own]
        return np.concatenate([*each, gamma])

    @cached_property
    def units(self):
        """Natural step lengths of the coordinates, shape (m,)."""
        lengths = np.sqrt((self.columns**2).mean(axis=0))
        gamma = 1.0 / np.where(lengths > 0.0, lengths, 1.0)
        return np.append(np.ones(self.n_parts * self.n_correlations), gamma)

    def at(self, x):
        """
        The covariance at given coordinates.

        Raises
        ------
        numpy.linalg.LinAlgError
            If it is not positive definite in floating point.
        """
        return Whitening(self, np.asarray(x, dtype=float))


@dataclass(frozen=True)
class Whitening:
    """
    The covariance of the errors at one value of the parameters: a row transform.

    Parameters
    ----------
    model : ResidualCovariance
        How it depends on parameters.
    x : ndarray
        The coordinates, shape (m,).
    """

    model: ResidualCovariance
    x: np.ndarray

    @cached_property
    def _unfolded(self):
        return self.model.unfold(self.x)

    @property
    def parameters(self):
        """The parameters themselves, shape (m,)."""
        return self._unfolded[0]

    @property
    def jacobian(self):
        """Derivatives of the parameters, by row, in the coordinates, shape (m, m)."""
        return self._unfolded[1]

    @cached_property
    def log_deviations(self):
        """Logarithms of the standard deviations of the rows over sigma, shape (n,)."""
        return self.model.columns @ self.model.split(self.parameters)[1]

    @property
    def mean_log_deviation(self):
        """The mean over the rows of F gamma, by which sigma differs from the user's."""
        return float(
            self.model.log_sd.mean(axis=0) @ self.model.split(self.parameters)[1]
        )

    # one matrix for each pattern --------------------------------------------------

    def _of_patterns(self, function, axes):
        """A function of parameters and places at the patterns of each batch."""
        phi, _ = self.model.split(self.parameters)
        out = []
        for batch in self.model.layout.batches:
            parts = np.unique(batch.parts)
            if len(parts) == 1:
                out.append(function(phi[parts[0]], batch.where))
                continue
            each = [function(phi[p], batch.where[batch.parts == p]) for p in parts]
            whole = np.empty(
                (*each[0].shape[:axes], len(batch.parts), *each[0].shape[axes + 1 :])
            )
            for p, values in zip(parts, each):
                whole[(slice(None),) * axes + (batch.parts == p,)] = values
            out.append(whole)
        return out

    @cached_property
    def correlations(self):
        """C of the patterns of each batch, shapes (P, m, m)."""
        if self.model.structure is None:
            return [np.ones((len(b.counts), 1, 1)) for b in self.model.layout.batches]
        return self._of_patterns(self.model.structure.correlation, 0)

    @cached_property
    def roots(self):
        """L of the patterns of each batch, lower triangles, shapes (P, m, m)."""
        return [np.linalg.cholesky(c) for c in self.correlations]

    @cached_property
    def inverse_roots(self):
        """L^-1 of the patterns of each batch, shapes (P, m, m)."""
        return [inverse_lower(root) for root in self.roots]

    @cached_property
    def bends(self):
        """B_k of the correlations of one set, in each batch, shapes (c, P, m, m)."""
        if not self.model.n_correlations:
            return [np.zeros((0, *c.shape)) for c in self.correlations]
        changes = self._of_patterns(self.model.structure.derivative, 1)
        pairs = zip(changes, self.inverse_roots)
        return [inverse @ change @ transpose(inverse) for change, inverse in pairs]

    @cached_property
    def second_bends(self):
        """U R_kl U' of pairs of correlations, shapes (c, c, P, m, m)."""
        changes = self._of_patterns(self.model.structure.second_derivative, 2)
        pairs = zip(changes, self.inverse_roots)
        return [inverse @ change @ transpose(inverse) for change, inverse in pairs]

    # the row transform ---------------------------------------------------------------

    def _scaled(self, columns, sign):
        """Rows multiplied by D (sign 1) or D^-1 (sign -1)."""
        factors = np.exp(sign * self.log_deviations)
        if sparse.issparse(columns):
            return columns.multiply(factors[:, None]).tocsr()
        return (columns.T * factors).T

    def apply(self, columns):
        """U A for columns A, dense or sparse, shape (n,) or (n, c)."""
        scaled = self._scaled(columns, -1.0) if self.model.log_sd.size else columns
        if self.model.structure is None:
            return scaled
        return self.model.layout.multiply(self.inverse_roots, scaled)

    def colored(self, columns):
        """U^-1 A: rows with covariance R from independent ones."""
        if self.model.structure is not None:
            columns = self.model.layout.multiply(self.roots, columns)
        return self._scaled(columns, 1.0) if self.model.log_sd.size else columns

    @property
    def log_determinant(self):
        """log |R|."""
        total = 2.0 * float(self.log_deviations.sum())
        for batch, root in zip(self.model.layout.batches, self.roots):
            diagonal = np.diagonal(root, axis1=-2, axis2=-1)
            total += 2.0 * float(batch.counts @ np.log(diagonal).sum(axis=-1))
        return total

    # derivatives, in the coordinates -------------------------------------------------

    def traces(self):
        """tr(B_k) of all parameters, shape (m,)."""
        slopes = np.zeros(self.model.n_parameters)
        for batch, bends in zip(self.model.layout.batches, self.bends):
            each = np.trace(bends, axis1=-2, axis2=-1) * batch.counts
            self._by_part(slopes, batch, each)
        s = self.model.log_sd.shape[1]
        slopes[len(slopes) - s :] = 2.0 * self.model.columns.sum(axis=0)
        return self.jacobian.T @ slopes

    def _by_part(self, out, batch, each):
        """Add values (c, P) of the patterns to those of their sets of parameters."""
        c = self.model.n_correlations
        for part in np.unique(batch.parts) if c else ():
            total = each[:, batch.parts == part].sum(axis=1)
            out[part * c : (part + 1) * c] += total

    def bent(self, columns):
        """
        B_k A for columns A.

        Parameters
        ----------
        columns : ndarray
            A, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape (m, n) or (m, n, c).
        """
        model, layout = self.model, self.model.layout
        c = model.n_correlations
        own = np.zeros((model.n_parts, c, *columns.shape))
        for k in range(c):
            whole = layout.multiply([b[k] for b in self.bends], columns)
            for part in range(model.n_parts):
                here = self.rows_of(part)
                own[part, k, here] = whole[here]
        own = own.reshape(model.n_parts * c, *columns.shape)
        every = np.concatenate([own, self._bent_by_deviations(columns)])
        return np.tensordot(self.jacobian.T, every, 1)

    def rows_of(self, part):
        """Rows whose correlations depend on one set of parameters."""
        if self.model.n_parts == 1:
            return slice(None)
        each = [
            b.rows[b.parts[b.patterns] == part].ravel()
            for b in self.model.layout.batches
        ]
        return np.concatenate(each)

    def _bent_by_deviations(self, columns):
        """B_f A for all columns of F, shape (s, n, ...)."""
        f = self.model.columns.T
        f = f.reshape(*f.shape, *[1] * (columns.ndim - 1))
        if self.model.structure is None or not len(f):
            return 2.0 * f * columns
        multiply = self.model.layout.multiply
        colored = multiply(self.roots, columns)
        lower = [transpose(root) for root in self.inverse_roots]
        whitened = multiply(lower, columns)
        upper = [transpose(root) for root in self.roots]
        each = [
            multiply(self.inverse_roots, one * colored)
            + multiply(upper, one * whitened)
            for one in f
        ]
        return np.array(each)

    def paired(self, blocks):
        """
        tr(B_k H) for a block-diagonal matrix H.

        Parameters
        ----------
        blocks : callable
            Gives the blocks of H of a batch, symmetric, shape (G, m, m).

        Returns
        -------
        ndarray
            Shape (m,).
        """
        model = self.model
        out = np.zeros(model.n_parameters)
        s = model.log_sd.shape[1]
        each = zip(model.layout.batches, self.bends, self.roots, self.inverse_roots)
        for batch, bends, roots, inverses in each:
            h = blocks(batch)
            by_pattern = batch.pattern_sums(h)
            self._by_part(out, batch, np.einsum("cpij,pij->cp", bends, by_pattern))
            if s:
                pattern = batch.patterns
                turned = h @ inverses[pattern]
                diagonal = 2.0 * (roots[pattern] * transpose(turned)).sum(axis=-1)
                out[-s:] += np.einsum("gm,gms->s", diagonal, model.columns[batch.rows])
        return self.jacobian.T @ out
