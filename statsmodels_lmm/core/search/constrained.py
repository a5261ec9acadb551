"""
Minimize the criterion with one parameter held at a value.

With L the relative factors and tau = 1 / sigma, the criterion before sigma is
profiled out is

    f(L, tau) = log |V| + [log |X'V^-1 X|] + nu log(2 pi / tau^2) + tau^2 r^2(L).

A constraint confines (L, tau) to a linear space, see `constraints`. Newton's method in
its free coordinates therefore needs only the derivatives of f with respect to all
entries of L and to tau, times a Jacobian matrix.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.deviance import Profiled, ProfiledDeviance
from statsmodels_lmm.core.search.constraints import Constraint, Coordinates
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.search.trust_region import trust_region_step
from statsmodels_lmm.core.structures.relative_factor import split_step

TOLERANCE = 1e-8
"""Promised decrease at which a search stops; it is subtracted from the value."""

EXACT_TOLERANCE = 1e-6
"""The same where exact Hessians make the promise good to three digits."""

MAX_EXACT = 150
"""
Number of random effects up to which several terms use the exact Hessian; beyond it, two
more evaluations with the average information are cheaper.
"""

MAX_EVALUATIONS = 100
"""Largest number of evaluations of one search."""


@dataclass(frozen=True)
class ConstrainedOptimum:
    """
    The minimum of the criterion with one parameter held.

    Parameters
    ----------
    at : float
        Value at which the parameter is held, in the units of its constraint.
    value : float
        Criterion in standardized units.
    slope : float
        Derivative of the minimum over all other parameters, as a function of this one.
    deviance : ProfiledDeviance or LaplaceDeviance
        The criterion with all coefficients, in a linear model before minimization over
        sigma; `scale` is sigma^2. What has the size of the data is dropped, so that a
        curve of many points need not store it.
    start : object
        Where a search nearby starts.
    coordinates : Coordinates
        The location of the minimum.
    gradient, curvature : ndarray
        Derivatives in all entries of L and log(tau), shapes (m + 1,) and
        (m + 1, m + 1).
    evaluations : int
        Number of evaluations of the criterion.
    """

    at: float
    value: float
    slope: float
    deviance: Any
    start: Any
    coordinates: Coordinates
    gradient: np.ndarray
    curvature: np.ndarray
    evaluations: int

    def __setstate__(self, state):
        """Restore a pickle, an old one with the start from the deviance."""
        vars(self).update({"start": start_at(state["deviance"])} | state)

    @property
    def factors(self):
        """The relative factors in elimination order."""
        return self.deviance.factors

    @property
    def tau(self):
        """1 / sigma in standardized units."""
        return float(self.deviance.scale) ** -0.5

    @property
    def second_derivative(self):
        """
        Curvature of the minimum as a function of the parameter.

        It is as exact as `curvature` where `gradient` is zero, that is, at the minimum
        over all parameters.
        """
        along = self.coordinates.along
        return float(along @ self.curvature @ self._lowest(self.coordinates.jacobian))

    @cached_property
    def tangent(self):
        """
        Derivative of the minimum's location with respect to the parameter held.

        Coordinates that are zero and bounded stay there.
        """
        held = [c for c, v in self.coordinates.bounded.items() if v == 0.0]
        return self._lowest(np.delete(self.coordinates.jacobian, held, axis=1))

    def _lowest(self, jacobian):
        """
        The direction of the lowest curvature in which the parameter changes by one.

        With H the curvature, J the directions in which a step is free and a the
        derivative along the constraint, a - J (J'H J)^-1 J'H a.
        """
        along = self.coordinates.along
        inner = jacobian.T @ self.curvature @ jacobian
        across = jacobian.T @ (self.curvature @ along)
        moves = np.linalg.pinv(inner, 1e-10, hermitian=True) @ across
        return along - jacobian @ moves

    def towards(self, at, before=None):
        """
        The change of all entries from this minimum to that at another value.

        A fixed effect of a linear model does not appear among the entries; their
        change is then extrapolated from that since the minimum before.

        Parameters
        ----------
        at : float
            The other value of the parameter.
        before : ConstrainedOptimum, optional
            Another minimum nearby, which shows how the curve bends.

        Returns
        -------
        ndarray
            Shape (m + 1,), to first or second order.
        """
        change = at - self.at
        if self.coordinates.bend is not None:  # a tangent leaves a curved surface
            return np.zeros_like(self.coordinates.along)
        step = change * self.tangent
        if before is None or len(before.tangent) != len(step):
            return step
        share = change / (self.at - before.at)
        if step.any():
            bend = 0.5 * change * share * (self.tangent - before.tangent)
            # unless in other coordinates, or at another minimum
            return step + bend if np.linalg.norm(bend) <= np.linalg.norm(step) else step
        here, there = self._entries, before._entries
        same = np.array_equal(here == 0.0, there == 0.0)  # pivots
        return share * (here - there) if same else step

    @property
    def _entries(self):
        """The entries of L and log(tau)."""
        values = [f.free_values for f in self.coordinates.factors]
        errors = self.coordinates.errors
        return np.concatenate([*values, errors, [np.log(self.tau)]])

    def spread(self, widest):
        """Change, up to `widest`, that raises the criterion by about one."""
        return np.sqrt(2.0 / max(self.second_derivative, 2.0 / widest**2))


@dataclass(frozen=True)
class Slopes:
    """
    Derivatives with respect to the entries of L and to tau in units of its value.

    Parameters
    ----------
    gradient, curvature : ndarray
        Shapes (m + 1,) and (m + 1, m + 1).
    """

    gradient: np.ndarray
    curvature: np.ndarray


@dataclass(frozen=True)
class ConstrainedDeviance:
    """
    The criterion at a point of a constraint.

    Parameters
    ----------
    coordinates : Coordinates
        The point.
    deviance : ProfiledDeviance
        The criterion before minimization over sigma, see `ConstrainedOptimum`.
    value : ndarray
        The criterion at the point's sigma.
    exact : bool
        Whether the Hessian is cheap enough to be used from the start.
    """

    coordinates: Coordinates
    deviance: ProfiledDeviance
    value: np.ndarray
    exact: bool

    @property
    def point(self):
        """The factors in elimination order."""
        return self.coordinates.factors

    @property
    def rounding(self):
        """Rounding error of the criterion."""
        return self.deviance.rounding

    @property
    def units(self):
        """Ones: steps are measured in the entries of L and log(tau)."""
        return np.ones(len(self.coordinates.along))

    def derivatives(self, exact=False):
        """Derivatives with respect to L's entries and tau in units of its value."""
        deviance, tau = self.deviance, self.coordinates.tau
        slopes = deviance.derivatives(self.exact)
        m, nu = len(slopes.gradient), deviance.nu
        gradient, curvature = np.zeros(m + 1), np.zeros((m + 1, m + 1))
        gradient[:m], curvature[:m, :m] = slopes.gradient, slopes.curvature
        if tau is None:
            return Slopes(gradient, self.coordinates.curvature(gradient, curvature))
        squares, working = deviance.squares * tau**2, slopes.working
        curvature[:m, :m] += working[:, None] * working / nu
        gradient[m] = 2.0 * (squares - nu)
        curvature[m, :m] = curvature[:m, m] = -2.0 * working
        curvature[m, m] = 2.0 * (squares + nu)
        return Slopes(gradient, self.coordinates.curvature(gradient, curvature))


@dataclass(frozen=True)
class Constrained(Criterion):
    """
    A criterion with one parameter held at a value.

    A function of (factors, tau), which need not satisfy the constraint.

    Parameters
    ----------
    criterion : Profiled
        The criterion of the sufficient statistics reduced by the constraint.
    constraint : Constraint
        The parameter to hold.
    at : float
        Value of the parameter, in the units of the constraint.
    """

    criterion: Any
    constraint: Constraint
    at: float

    @cached_property
    def is_exact(self):
        """Whether the Hessian is cheap enough to be used from the start."""
        return self.criterion.products.projection_is_affordable(MAX_EXACT)

    def _at(self, state):
        """The coordinates on the constraint, and the point of the criterion."""
        factors, tau = state
        coordinates = self.constraint.place(factors, tau, self.at)
        return coordinates, coordinates.factors

    def evaluate(self, state):
        """The criterion after moving (factors, tau) onto the constraint, or None."""
        tau = state[1]
        if tau is not None and not tau > 0.0:
            return None
        try:
            coordinates, point = self._at(state)
            deviance = self.criterion.evaluate(point)
        except np.linalg.LinAlgError:
            return None
        if deviance is None:
            return None
        value, tau = deviance.value, coordinates.tau
        if tau is not None:
            ratio = deviance.scale * tau**2
            value = value + deviance.nu * (ratio - 1.0 - np.log(ratio))
            deviance = replace(deviance, scale=np.asarray(tau**-2.0))
        return ConstrainedDeviance(coordinates, deviance, value, self.is_exact)

    def step(self, current, radius):
        """A step in the entries of L and log(tau), within the bounds."""
        coordinates = current.evaluation.coordinates
        return bounded_step(coordinates, current.gradient, current.curvature, radius)

    def moved(self, current, step):
        """Factors and tau after a step in the entries of L and log(tau)."""
        factors, scale = current.point, current.evaluation.deviance.scale
        moved = [f.moved(m) for f, m in zip(factors, split_step(step, factors))]
        return moved, scale**-0.5 * (1.0 + step[-1])


def minimize_constrained(criterion, constraint, at, start, tol=None):
    """
    Minimize the criterion with one parameter held at a value.

    Parameters
    ----------
    criterion : Profiled
        The criterion in standardized units.
    constraint : Constraint
        The parameter to hold.
    at : float
        Value of the parameter, in the units of the constraint.
    start : tuple
        The factors in elimination order, and tau, not necessarily on the
        constraint.
    tol : float, optional
        Promised decrease at which to stop; by default `EXACT_TOLERANCE` or `TOLERANCE`.

    Returns
    -------
    ConstrainedOptimum

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is not defined at the start.
    """
    products = criterion.products
    held = replace(criterion, products=constraint.reduced(products, at))
    return minimize_held(Constrained(held, constraint, at), products, start, tol)[0]


def minimize_held(constrained, products, start, tol=None):
    """
    Minimize a criterion whose parameter is held.

    Parameters
    ----------
    constrained : Constrained
        The criterion of the reduced sufficient statistics.
    products : Products
        The sufficient statistics before they were reduced.
    start, tol
        See `minimize_constrained`.

    Returns
    -------
    optimum : ConstrainedOptimum
    deviance : ProfiledDeviance
        The last evaluation of the criterion.
    """
    constraint, at = constrained.constraint, constrained.at
    if tol is None:
        tol = EXACT_TOLERANCE if constrained.is_exact else TOLERANCE
    descent = descend(constrained, start, Settings(MAX_EVALUATIONS, tol))
    end = descent.last.evaluation.deviance
    slope = constraint.direct_slope(products, end, at)
    coefficients = constraint.whole(end.coefficients, at)
    deviance = replace(end, elimination=None, coefficients=coefficients)
    start = start_at(deviance)
    return constrained_optimum(descent, at, slope, deviance, start, tol), end


def start_at(deviance):
    """The factors and tau of an evaluated criterion."""
    return deviance.factors, float(deviance.scale) ** -0.5


def constrained_optimum(descent, at, slope, deviance, start, tol):
    """
    The end of a search as a ConstrainedOptimum.

    Parameters
    ----------
    descent : Descent
        The search; its evaluations have coordinates.
    at, deviance, start
        As in `ConstrainedOptimum`.
    slope : float
        Derivative of the criterion with L and sigma fixed.
    tol : float
        Promised decrease at which it stopped.

    Returns
    -------
    ConstrainedOptimum
    """
    last = descent.last
    left = min(descent.promised, max(tol, float(last.rounding)))
    coordinates = last.evaluation.coordinates
    # after the step that was not taken
    gradient = last.gradient + last.curvature @ descent.step
    return ConstrainedOptimum(
        at,
        float(last.value) - left,
        slope + float(gradient @ coordinates.along),
        deviance,
        start,
        coordinates,
        last.gradient,
        last.curvature,
        int(descent.evaluations),
    )


@dataclass(frozen=True)
class ConstrainedSearch:
    """
    The minima of a linear model's criterion under constraints.

    Parameters
    ----------
    criterion : Profiled
        The criterion in standardized units.
    """

    criterion: Profiled

    def minimum(self, constraint, at, start):
        """The minimum with a parameter held at a value, see `minimize_constrained`."""
        return minimize_constrained(self.criterion, constraint, at, start)

    def start(self, deviance):
        """Where a search near an evaluated criterion starts."""
        return start_at(deviance)

    def ahead(self, optimum, at, before=None):
        """Where a search near a minimum starts, see `ConstrainedOptimum.towards`."""
        step = optimum.towards(at, before)
        factors = optimum.factors
        moved = [f.moved(m) for f, m in zip(factors, split_step(step, factors))]
        return moved, optimum.tau * np.exp(step[-1])

    def spread(self, constraint, optimum):
        """Change of a parameter that raises the criterion by about one."""
        return float(constraint.spread(self.criterion.products, optimum))


def bounded_step(coordinates, gradient, curvature, radius):
    """
    A step along a constraint within bounds.

    Parameters
    ----------
    coordinates : Coordinates
        Where the step starts.
    gradient, curvature : ndarray
        Derivatives in all m entries, shapes (m,) and (m, m).
    radius : float
        Trust radius.

    Returns
    -------
    step : ndarray
        Shape (m,).
    promised : float
        Predicted decrease.
    """
    jacobian, bounded = coordinates.jacobian, coordinates.bounded
    slope = jacobian.T @ gradient
    held = [c for c, v in bounded.items() if v == 0.0 and slope[c] > 0.0]
    while True:
        free = np.delete(np.arange(jacobian.shape[1]), held)
        if not len(free):
            return np.zeros(len(gradient)), 0.0
        # steps are measured in the entries of L, whatever the coordinates
        basis, triangle = np.linalg.qr(jacobian[:, free])
        step, promised = trust_region_step(
            basis.T @ gradient, basis.T @ curvature @ basis, radius
        )
        move = basis @ step
        if not bounded:
            return move, promised
        moves = dict(zip(free.tolist(), solve_triangular(triangle, step)))
        stuck = [c for c, v in bounded.items() if v == 0.0 and moves.get(c, 0.0) < 0.0]
        if not stuck:
            break
        held += stuck
    share = min(
        [1.0] + [-v / moves[c] for c, v in bounded.items() if moves.get(c, 0.0) < -v]
    )
    if share < 1.0:
        move = share * move
        promised = -float(gradient @ move + 0.5 * move @ curvature @ move)
    return move, promised
