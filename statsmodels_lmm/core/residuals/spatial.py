"""
Correlations that fade with the distance of two rows, in one coordinate or more.

Distances d are Euclidean, in the units of the coordinates. With a nugget, rows of any
distance are correlated by (1 - nugget) times the function: nlme's ``nugget = TRUE``.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, kve

from statsmodels_lmm.core.algebra.differences import (
    differenced_gradient,
    differenced_hessian,
)
from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.structures.base import Parameter

SMOOTHEST = 30.0
"""Largest smoothness; the function is then all but that of `Gaussian`."""


@dataclass(frozen=True)
class Spatial(ResidualStructure):
    """
    A function of distance over range.

    A subclass defines `function`.

    Parameters
    ----------
    nugget : bool, optional
        Whether the correlation of two rows at the same place is below 1. Default is
        False.
    """

    nugget: bool = False

    def __post_init__(self):
        """Check the options."""
        if self.nugget not in (True, False):
            raise ValueError(f"nugget must be True or False, not {self.nugget}")

    def parameters(self, size):
        """The range, in units of distance, and the nugget, a share."""
        nugget = Parameter("nugget", lower=0.0, upper=1.0, start=0.1)
        return [Parameter("range", lower=0.0), *[nugget] * self.nugget]

    def start(self, size, spread):
        """A range of a tenth of the largest distance, and a nugget of 0.1."""
        values = super().start(size, spread)
        values[0] = 0.1 * spread if spread > 0.0 else 1.0
        return values

    def function(self, u):
        """
        The correlation at distances u of one range, and derivatives.

        Returns
        -------
        value, slope, bend : ndarray
            f, u f' and u^2 f'', shape of u.
        """
        raise NotImplementedError

    def correlation(self, phi, where):
        """Ones on the diagonal, (1 - nugget) f(d / range) elsewhere."""
        distances, square = _pairs(where)
        f, *_ = self._at(phi, distances)
        return square(f * self._share(phi), 1.0)

    def derivative(self, phi, where):
        """Derivatives in the range and the nugget, shape (c, ..., m, m)."""
        distances, square = _pairs(where)
        f, slope, _ = self._at(phi, distances)
        each = [-slope * self._share(phi) / phi[0], *[-f] * self.nugget]
        return square(np.array(each))

    def second_derivative(self, phi, where):
        """Second derivatives, shape (c, c, ..., m, m)."""
        distances, square = _pairs(where)
        _, slope, bend = self._at(phi, distances)
        out = np.zeros((len(phi), len(phi), *distances.shape))
        out[0, 0] = self._share(phi) * (bend + 2.0 * slope) / phi[0] ** 2
        if self.nugget:
            out[0, -1] = out[-1, 0] = slope / phi[0]
        return square(out)

    def _at(self, phi, distances):
        """`function` at distances in the units of the coordinates."""
        return self.function(distances / phi[0])

    def _share(self, phi):
        return 1.0 - phi[-1] if self.nugget else 1.0

    def __str__(self):
        return self.name


def _pairs(where):
    """
    Distances of all pairs of rows, shape (P, r).

    The second of what is returned turns values of the pairs, shape (..., r), into
    symmetric matrices, shape (..., m, m).
    """
    places = where if where.ndim == 3 else where[..., None]
    m = places.shape[1]
    i, j = np.triu_indices(m, 1)
    squares = sum(
        (each[:, :, None] - each[:, None, :]) ** 2
        for each in np.moveaxis(places.astype(float), -1, 0)
    )
    distances = np.sqrt(squares[:, i, j])

    def square(values, diagonal=0.0):
        out = np.full((*values.shape[:-1], m, m), diagonal)
        out[..., i, j] = out[..., j, i] = values
        return out

    return distances, square


class Exponential(Spatial):
    """
    Correlation exp(-d / range), nlme's ``corExp``.

    In one coordinate and without nugget it is that of `ContinuousAutoregressive`.
    """

    name = "exp"

    @property
    def is_markov(self):  # type: ignore[override]
        """Whether rows along a line depend on the one before alone."""
        return not self.nugget

    def lag(self, phi, before, after):
        """See `Autoregressive.lag`."""
        f, slope, bend = self._at(phi, after - before)
        second = (bend + 2.0 * slope) / phi[0] ** 2
        return f, -slope[None] / phi[0], second[None, None]

    def function(self, u):
        """exp(-u), see `Spatial.function`."""
        value = np.exp(-u)
        return value, -u * value, u**2 * value


class Gaussian(Spatial):
    """Correlation exp(-(d / range)^2), nlme's ``corGaus``."""

    name = "gau"

    def function(self, u):
        """exp(-u^2), see `Spatial.function`."""
        square = u**2
        value = np.exp(-square)
        return value, -2.0 * square * value, (4.0 * square - 2.0) * square * value


@dataclass(frozen=True)
class Matern(Spatial):
    """
    Matern's correlation 2^(1 - nu) / Gamma(nu) u^nu K_nu(u) with u = d / range.

    K_nu is the modified Bessel function of the second kind and nu the smoothness, as in
    glmmTMB's ``mat`` and R's fields; a smoothness of 1/2 is `Exponential`. Elsewhere u
    is sqrt(2 nu) d / range.

    Parameters
    ----------
    nugget : bool, optional
        As for `Spatial`.
    smoothness : float, optional
        nu, above 0 and at most 30. Default is to estimate it.

    Raises
    ------
    ValueError
        If the smoothness is out of its range.
    """

    smoothness: float | None = None

    name = "matern"

    def __post_init__(self):
        """Check the options."""
        super().__post_init__()
        nu = self.smoothness
        if nu is not None and not 0.0 < nu <= SMOOTHEST:
            raise ValueError(
                f"the smoothness of matern is {nu}; it must be above 0 and at most "
                f"{SMOOTHEST:g}"
            )

    def parameters(self, size):
        """The range, the smoothness unless it is given, and the nugget."""
        first, *rest = super().parameters(size)
        if self.smoothness is not None:
            return [first, *rest]
        return [first, Parameter("smoothness", 0.0, SMOOTHEST, start=0.5), *rest]

    def _at(self, phi, distances):
        nu = phi[1] if self.smoothness is None else self.smoothness
        return matern(distances / phi[0], nu)

    def derivative(self, phi, where):
        """Derivatives in range, smoothness and nugget, shape (c, ..., m, m)."""
        out = super().derivative(phi, where)
        if self.smoothness is not None:
            return out
        distances, square = _pairs(where)
        values, _ = _in_smoothness(distances / phi[0], phi[1])
        return np.insert(out, 1, square(values * self._share(phi)), axis=0)

    def second_derivative(self, phi, where):
        """Second derivatives, shape (c, c, ..., m, m)."""
        out = super().second_derivative(phi, where)
        if self.smoothness is not None:
            return out
        distances, square = _pairs(where)
        u, share = distances / phi[0], self._share(phi)
        values, slopes = _in_smoothness(u, phi[1])
        twice = differenced_hessian(lambda nu: matern(u, nu[0])[0], phi[1:2])
        out[0, 1] = out[1, 0] = square(-slopes * share / phi[0])
        out[1, 1] = square(twice[0, 0] * share)
        if self.nugget:
            out[1, 2] = out[2, 1] = square(-values)
        return out


def matern(u, nu):
    """
    Matern's function, see `Matern`.

    Parameters
    ----------
    u : ndarray
        Distances of one range.
    nu : float
        The smoothness.

    Returns
    -------
    value, slope, bend : ndarray
        f, u f' and u^2 f'', shape of u.
    """
    logs = np.log(np.maximum(u, np.finfo(float).tiny))
    constant = (1.0 - nu) * np.log(2.0) - gammaln(nu)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.exp(constant + nu * logs - u)
        value = scaled * kve(nu, u)
        slope = -u * scaled * kve(nu - 1.0, u)
    # closer than floating point can tell the function from 1
    near = ~np.isfinite(value) | (u == 0.0)
    value, slope = np.where(near, 1.0, value), np.where(near, 0.0, slope)
    return value, slope, u**2 * value + (2.0 * nu - 1.0) * slope


def _in_smoothness(u, nu):
    """Derivatives of f and u f' in the smoothness, from differences."""
    both = differenced_gradient(
        lambda t: np.array(matern(u, t[0])[:2]), [nu], [(0.0, SMOOTHEST)]
    )
    return both[0]
