"""
Correlations of the errors within a residual group: one small class per structure.

The errors of a group of m rows have correlation matrix C(phi), which depends on *when
or where* the rows were observed. To write your own, subclass `ResidualStructure` and
define `parameters` and `correlation`; finite differences supply the rest.
"""

import numpy as np

from statsmodels_lmm.core.algebra.differences import differenced_gradient
from statsmodels_lmm.core.structures.base import Parameter

INSIDE = 1e-12
"""How close, as a share of its range, a parameter may come to an open end of it."""


class ResidualStructure:
    """
    A correlation matrix of errors as a function of parameters phi.

    Attributes
    ----------
    name : str
        Name in formulas and tables.
    of_visits : bool
        Whether rows are placed by the number of a visit, 0, 1, ..., T - 1; otherwise by
        coordinates, of one column or more.
    has_equal_variances : bool
        Whether all visits have one variance unless told otherwise.
    """

    name = "residual"
    of_visits = False
    has_equal_variances = True
    is_markov = False
    """Whether each row depends on the one before it alone; `lag` tells how."""
    is_linear = False
    """Whether correlations are linear in the parameters."""
    of_whole_steps = False
    """Whether rows are placed in time by whole numbers."""
    needs_place = True
    """Whether correlations depend on when or where rows were observed."""

    def parameters(self, size):
        """
        The parameters, with their open ranges.

        Parameters
        ----------
        size : int
            Number of visits T, or of rows in the largest group.

        Returns
        -------
        list of Parameter
        """
        raise NotImplementedError

    def correlation(self, phi, where):
        """
        Correlation matrices of groups with the same number of rows.

        Parameters
        ----------
        phi : ndarray
            Parameters, shape (c,).
        where : ndarray
            Places of the rows, shape (..., m) for visits or a single coordinate,
            (..., m, d) for d coordinates.

        Returns
        -------
        ndarray
            Shape (..., m, m).
        """
        raise NotImplementedError

    def derivative(self, phi, where):
        """
        Derivatives of the correlation matrices; by default from differences.

        Returns
        -------
        ndarray
            Shape (c, ..., m, m).
        """
        ranges = self._ranges(phi, where)
        return differenced_gradient(lambda t: self.correlation(t, where), phi, ranges)

    def second_derivative(self, phi, where):
        """
        Second derivatives of the correlation matrices; by default from differences.

        Returns
        -------
        ndarray
            Shape (c, c, ..., m, m).
        """
        if self.is_linear:
            return np.zeros((len(phi), len(phi), *where.shape, where.shape[-1]))
        ranges = self._ranges(phi, where)
        out = differenced_gradient(lambda t: self.derivative(t, where), phi, ranges)
        return 0.5 * (out + out.swapaxes(0, 1))

    def _ranges(self, phi, where):
        """Ranges of the parameters; the last visits may be missing among the places."""
        least = int(np.max(where, initial=0)) + 1
        for size in range(least, least + len(phi) + 1):
            parameters = self.parameters(size)
            if len(parameters) == len(phi):
                break
        return [(p.lower, p.upper) for p in parameters]

    def lag(self, phi, before, after):
        """
        Correlation of each row with the one before it, if `is_markov`.

        Parameters
        ----------
        phi : ndarray
            The parameters, shape (c,).
        before, after : ndarray
            Places of the row before and of the row, shape (k,).

        Returns
        -------
        value, slopes, bends : ndarray
            The correlation and its derivatives, shapes (k,), (c, k) and (c, c, k).
        """
        raise NotImplementedError

    def start(self, size, spread):
        """
        Parameters at which a search starts.

        Parameters
        ----------
        size : int
            As for `parameters`.
        spread : float
            Largest distance of two rows of a group; 0 for visits.

        Returns
        -------
        ndarray
            Shape (c,).
        """
        return np.array([_inside(p) for p in self.parameters(size)])

    # coordinates without bounds, in which a search moves ------------------------

    def unfold(self, x, size):
        """
        Parameters from coordinates without bounds.

        Parameters
        ----------
        x : ndarray
            Coordinates, shape (c,).
        size : int
            As for `parameters`.

        Returns
        -------
        phi : ndarray
            Shape (c,).
        jacobian : ndarray
            Derivatives of phi, by row, in x, shape (c, c).
        """
        values, slopes, _ = self._opened(x, size)
        return values, np.diag(slopes)

    def _opened(self, x, size):
        """Each parameter from its coordinate, with two derivatives, shape (3, c)."""
        pairs = zip(self.parameters(size), x)
        return np.reshape([_opened(p, value) for p, value in pairs], (-1, 3)).T

    def bends(self, x, slopes, size):
        """
        Second derivatives of `unfold`, by default from differences of its own.

        Parameters
        ----------
        x : ndarray
            Coordinates, shape (c,).
        slopes : ndarray
            Weights of the parameters, shape (c,).
        size : int
            As for `parameters`.

        Returns
        -------
        ndarray
            The sum over the parameters, shape (c, c).
        """
        if type(self).unfold is ResidualStructure.unfold:
            return np.diag(slopes * self._opened(x, size)[2])
        ranges = [(-np.inf, np.inf)] * len(x)
        turns = differenced_gradient(lambda t: self.unfold(t, size)[1], x, ranges)
        out = np.einsum("lik,i->lk", turns, slopes)
        return 0.5 * (out + out.T)

    def fold(self, phi, size):
        """Coordinates of given parameters, shape (c,)."""
        return np.array([_closed(p, v) for p, v in zip(self.parameters(size), phi)])

    def __str__(self):
        return self.name


def gaps(where):
    """Distances of all pairs of rows along a line, shape (..., m, m)."""
    return np.abs(where[..., :, None] - where[..., None, :])


def bounded(x):
    """Numbers between -1 and 1 from coordinates, and their slopes."""
    tanh = np.minimum(np.maximum(np.tanh(x), INSIDE - 1.0), 1.0 - INSIDE)
    return tanh, 1.0 - tanh**2


def unbounded(values):
    """Coordinates of numbers between -1 and 1."""
    return np.arctanh(np.clip(values, INSIDE - 1.0, 1.0 - INSIDE))


def _opened(parameter, x):
    """A parameter in an open range from a coordinate, and two derivatives."""
    low, high = parameter.lower, parameter.upper
    if np.isfinite(low) and np.isfinite(high):
        half = 0.5 * (high - low)
        value, slope = bounded(x)
        return low + half * (1.0 + value), half * slope, -2.0 * half * value * slope
    if np.isfinite(low):
        size = np.exp(np.clip(x, -300.0, 300.0))
        return low + size, size, size
    return x, 1.0, 0.0


def _closed(parameter, value):
    """The coordinate of a parameter in an open range."""
    low, high = parameter.lower, parameter.upper
    if np.isfinite(low) and np.isfinite(high):
        return unbounded(2.0 * (value - low) / (high - low) - 1.0)
    if np.isfinite(low):
        return np.log(value - low)
    return value


def _inside(parameter):
    """Where a search starts: at a small positive correlation, or as the user says."""
    if parameter.start is not None:
        return parameter.start
    if parameter.kind == "cor":
        return 0.2 * parameter.upper
    return parameter.initial


def correlation_parameter(name="rho", lower=-1.0, upper=1.0, start=None):
    """A correlation, in an open range."""
    return Parameter(name, lower=lower, upper=upper, start=start, kind="cor")
