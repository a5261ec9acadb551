"""
Families and links of the user, known only by their methods.

A family has, as in statsmodels, a `variance` with a `deriv`, `resid_dev`,
`loglike_obs`, `starting_mu` and perhaps `get_distribution`; a link has `inverse`,
`inverse_deriv` and `inverse_deriv2`. Derivatives that they lack are replaced by
five-point differences.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.differences import CENTRAL, STEP
from statsmodels_lmm.core.families.checks import first_problem
from statsmodels_lmm.core.families.exponential_family import (
    ExponentialFamily,
    column,
)
from statsmodels_lmm.core.families.links import Link

SECOND = {-2: -1 / 12, -1: 4 / 3, 0: -5 / 2, 1: 4 / 3, 2: -1 / 12}
"""Steps and weights of a second derivative (Fornberg 1988)."""


def differenced(function, x):
    """
    First and second derivatives of a function of numbers.

    Parameters
    ----------
    function : callable
        Maps an array of shape (m,) to one of this shape, entry by entry.
    x : ndarray
        The points.

    Returns
    -------
    tuple of ndarray
        First and second derivatives, each of the shape of x.
    """
    x = np.asarray(x, dtype=float)
    size = STEP * np.maximum(np.abs(x), 0.1)
    values = {step: entrywise(function, x + step * size) for step in SECOND}
    first = sum(weight * values[step] for step, weight in CENTRAL.items())
    second = sum(weight * values[step] for step, weight in SECOND.items())
    return first / size, second / size**2


def entrywise(function, x):
    """A function of vectors at an array of any shape."""
    x = np.asarray(x, dtype=float)
    values = np.asarray(function(x.ravel()), dtype=float)
    return np.broadcast_to(values, x.size).reshape(x.shape)


@dataclass(frozen=True)
class UserLink(Link):
    """
    The user's link.

    Parameters
    ----------
    given : object
        The link; calling it gives eta of a mean.
    """

    given: Any

    @property
    def name(self):
        """The name of its class in small letters."""
        return type(self.given).__name__.lower()

    def link(self, mu):
        """Calls the object."""
        return entrywise(self.given, mu)

    def mean(self, eta):
        """`inverse`."""
        with np.errstate(all="ignore"):
            return entrywise(self.given.inverse, eta)

    def mean_slope(self, eta):
        """`inverse_deriv`."""
        with np.errstate(all="ignore"):
            return entrywise(self.given.inverse_deriv, eta)

    def slopes(self, eta):
        """`inverse_deriv`, `inverse_deriv2` and differences of the latter."""
        with np.errstate(all="ignore"):
            second = entrywise(self.given.inverse_deriv2, eta)
            further = differenced(self.given.inverse_deriv2, eta)
        return (self.mean_slope(eta), second, *further)


@dataclass(frozen=True)
class GenericFamily(ExponentialFamily):
    """
    The user's family.

    Parameters
    ----------
    link_function : Link
        The link.
    given : object
        The family.
    has_extra : bool, optional
        Whether the scale of its log-likelihood, the dispersion, is estimated.
    is_discrete : bool, optional
        Whether responses are counts.
    """

    given: Any
    has_extra: bool = True
    is_discrete: bool = False

    @property
    def name(self):
        """The name of its class."""
        return type(self.given).__name__

    def reciprocal_variance(self, mu, extra=None):
        """1 / V and its derivatives, from `variance` and its `deriv`."""
        function = self.given.variance
        v = entrywise(function, mu)
        if hasattr(function, "deriv"):
            v1 = entrywise(function.deriv, mu)
            v2, v3 = differenced(function.deriv, mu)
        else:
            v1, v2 = differenced(function, mu)
            v3 = differenced(lambda m: differenced(function, m)[1], mu)[0]
        one, two, three = v1 / v, v2 / v, v3 / v
        u1 = -one
        u2 = 2.0 * one**2 - two
        u3 = 6.0 * one * two - 6.0 * one**3 - three
        return tuple(u / v for u in (1.0, u1, u2, u3))

    def unit_deviance(self, y, mu, extra=None):
        """The square of `resid_dev`."""
        y, mu = np.broadcast_arrays(np.asarray(y, dtype=float), mu)
        found = self.given.resid_dev(y.ravel(), mu.ravel())
        return np.square(found).reshape(mu.shape)

    def saturated(self, y, a, extra=None):
        """From `loglike_obs` at `starting_mu`, less the deviance from there."""
        y = np.asarray(y, dtype=float)
        precision = np.broadcast_to(self._precision(a, extra), y.shape)
        mu = self.given.starting_mu(y.ravel())
        phi = np.broadcast_to(column(self.dispersion(extra)), y.shape).ravel()
        a = np.broadcast_to(a, y.shape).ravel()
        loss = -self.given.loglike_obs(y.ravel(), mu, var_weights=a, scale=phi)
        less = 0.5 * self.unit_deviance(y.ravel(), mu)
        return loss.reshape(y.shape) - precision * less.reshape(y.shape)

    def saturated_slopes(self, y, a, extra):
        """Differences with respect to log phi."""

        def value(shift):
            return self.saturated(y, a, np.asarray(extra) + shift)

        size = 10.0 * STEP
        first = sum(w * value(step * size) for step, w in CENTRAL.items())
        second = sum(w * value(step * size) for step, w in SECOND.items())
        return first / size, second / size**2

    def starting_mean(self, y, a):
        """The weighted mean of `starting_mu`."""
        mu = entrywise(self.given.starting_mu, y)
        return super().starting_mean(mu, a)

    def _distribution(self, mu, a, extra):
        if not hasattr(self.given, "get_distribution"):
            raise NotImplementedError(
                f"the family {self.name} has no get_distribution, which simulation and "
                f"distribution functions need"
            )
        phi = column(self.dispersion(extra))
        return self.given.get_distribution(mu, scale=phi, var_weights=a)

    def draw(self, rng, mu, a, extra=None):
        """From `get_distribution`, one response after another."""
        mu = np.asarray(mu, dtype=float)
        a = np.broadcast_to(a, mu.shape)
        out = np.empty_like(mu)
        for index in np.ndindex(mu.shape[:-1]):
            found = self._distribution(mu[index], a[index], extra)
            out[index] = found.rvs(size=mu.shape[-1:], random_state=rng)
        return out

    def cdf(self, y, mu, a, extra=None):
        """From `get_distribution`."""
        return self._distribution(mu, a, extra).cdf(y)

    def problem(self, y, a):
        """Missing values, and values outside `valid`."""
        low, high = getattr(self.given, "valid", (-np.inf, np.inf))
        return first_problem(
            ("has missing or infinite values", ~np.isfinite(y)),
            (f"has values outside {low:g} and {high:g}", (y < low) | (y > high)),
        )
