"""
Rows after whitening: R^-1/2 y, R^-1/2 X and R^-1/2 Z have independent errors.

The errors of the (weighted, standardized) rows have covariance sigma^2 R, with

    R = D C D,    C = L L',    D = diag(exp(F gamma - m)),    U = L^-1 D^-1,

where m is the mean of F gamma over the rows during a search, so that sigma, the
relative covariances and gamma are not collinear, and zero in results. With R_k the
derivative in a parameter and B_k = U R_k U',

    B_k = L^-1 C_k L^-T for correlations,    B_f = L^-1 F_f L + L' F_f L^-T for gamma,

where F_f is the diagonal matrix of the f-th column of F, centered or not.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.residuals.block_roots import BlockRoots
from statsmodels_lmm.core.residuals.layout import ResidualLayout
from statsmodels_lmm.core.residuals.markov import BidiagonalRoots, chain_of
from statsmodels_lmm.core.rows.row_transforms import RowWeights

LONG = 40
"""Number of rows of a group from which neighbors do better than blocks."""


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
        if not self.is_centered or not self.log_sd.size:
            return self.log_sd
        return self.log_sd - self.log_sd.mean(axis=0)

    @cached_property
    def chain(self):
        """The rows one after the other, or None if groups are taken as blocks."""
        if self.structure is None or not self.structure.is_markov:
            return None
        along_a_line = all(batch.where.ndim == 2 for batch in self.layout.batches)
        if self.layout.largest <= LONG or not along_a_line:
            return None
        return chain_of(self.layout, self.structure.of_visits)

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
        own, _ = self.split(x)
        values, jacobian, c = np.array(x, dtype=float), np.eye(len(x)), own.shape[1]
        if self.structure is None:
            return values, jacobian
        for part, each in enumerate(own):
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
        count = self.log_sd.shape[1]
        lengths = np.sqrt((self.columns**2).mean(axis=0)) if count else np.zeros(0)
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
        if not self.model.log_sd.size:
            return np.zeros(len(self.model.log_sd))
        return self.model.columns @ self.model.split(self.parameters)[1]

    @property
    def mean_log_deviation(self):
        """The mean over the rows of F gamma, by which sigma differs from the user's."""
        return float(
            self.model.log_sd.mean(axis=0) @ self.model.split(self.parameters)[1]
        )

    @cached_property
    def roots(self):
        """The correlations at their parameters, BlockRoots or BidiagonalRoots."""
        kind = BlockRoots if self.model.chain is None else BidiagonalRoots
        return kind(self.model, self.model.split(self.parameters)[0])

    # the row transform ---------------------------------------------------------------

    @cached_property
    def scaling(self):
        """D^-1, as a transform of the rows."""
        return RowWeights(np.exp(-self.log_deviations))

    def apply(self, columns):
        """U A for columns A, dense or sparse, shape (n,) or (n, c)."""
        if self.model.log_sd.size:
            columns = self.scaling.apply(columns)
        return self.roots.whiten(columns)

    def apply_transposed(self, columns):
        """U'A for columns A, shape (n,) or (n, c)."""
        columns = self.roots.whiten_transposed(columns)
        return self.scaling.apply(columns) if self.model.log_sd.size else columns

    def colored(self, columns):
        """U^-1 A: rows with covariance R from independent ones."""
        colored = self.roots.color(columns)
        if not self.model.log_sd.size:
            return colored
        return RowWeights(np.exp(self.log_deviations)).apply(colored)

    @property
    def log_determinant(self):
        """Logarithm of the determinant of R."""
        return 2.0 * float(self.log_deviations.sum()) + self.roots.log_determinant

    # derivatives, in the coordinates -------------------------------------------------

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
        own = self.roots.bent(columns)
        own = own.reshape(own.shape[0] * own.shape[1], *columns.shape)
        every = np.concatenate([own, self._bent_by_deviations(columns)])
        return np.tensordot(self.jacobian.T, every, 1)

    def _bent_by_deviations(self, columns):
        """B_f A for all columns of F, shape (s, n, ...)."""
        f = self.model.columns.T
        f = f.reshape(*f.shape, *[1] * (columns.ndim - 1))
        if self.model.structure is None or not len(f):
            return 2.0 * f * columns
        roots = self.roots
        colored, whitened = roots.color(columns), roots.whiten_transposed(columns)
        each = [
            roots.whiten(one * colored) + roots.color_transposed(one * whitened)
            for one in f
        ]
        return np.array(each)

    def along(self, direction, columns):
        """
        The sum of d_k B_k A for a direction d.

        Parameters
        ----------
        direction : ndarray
            Changes of the coordinates, shape (m,).
        columns : ndarray
            A, shape (n,) or (n, c).

        Returns
        -------
        ndarray
            Shape of `columns`.
        """
        phi, gamma = self.model.split(self.jacobian @ direction)
        out = np.zeros(columns.shape)
        if phi.any():
            out += self.roots.along(phi, columns)
        if gamma.any():
            out += self._along_deviations(self.model.columns @ gamma, columns)
        return out

    def _along_deviations(self, f, columns):
        """The change of B A if the logarithms of standard deviations change by f."""
        scaling = RowWeights(f)
        if self.model.structure is None:
            return 2.0 * scaling.apply(columns)
        roots = self.roots
        colored = scaling.apply(roots.color(columns))
        whitened = scaling.apply(roots.whiten_transposed(columns))
        return roots.whiten(colored) + roots.color_transposed(whitened)

    def paired(self, form):
        """
        tr(B_k H) for a symmetric matrix H.

        Parameters
        ----------
        form : ProjectionForm
            H.

        Returns
        -------
        ndarray
            Shape (m,).
        """
        return self.jacobian.T @ self.roots.paired(form)

    def pair_traces(self):
        """Traces tr(B_k B_l), shape (m, m)."""
        return self.jacobian.T @ self.roots.pair_traces() @ self.jacobian

    def second_traces(self, form, slopes):
        """
        Second derivatives tr(B_kl H), with the part due to the coordinates.

        Parameters
        ----------
        form : ProjectionForm
            H.
        slopes : ndarray
            First derivatives in the coordinates, shape (m,).

        Returns
        -------
        ndarray
            Shape (m, m).
        """
        out = self.jacobian.T @ self.roots.second_traces(form) @ self.jacobian
        if self.roots.leaves_pairs:
            out += 2.0 * form.pair_traces
        return out + self._of_coordinates(slopes)

    def _of_coordinates(self, slopes):
        """Slopes times the second derivatives of the parameters in the coordinates."""
        structure = self.model.structure
        if structure is None:
            return 0.0
        own, _ = self.model.split(np.linalg.solve(self.jacobian.T, slopes))
        x, _ = self.model.split(self.x)
        out, (parts, c) = np.zeros((len(slopes),) * 2), own.shape
        for part in range(parts):
            here = slice(part * c, (part + 1) * c)
            out[here, here] = structure.bends(x[part], own[part], self.model.size)
        return out
