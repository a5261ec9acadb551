"""
The criterion as a function of one parameter, minimized over all others.

With d(psi) the minimum at psi and d_min the minimum over psi, the curve is stored as

    zeta(psi) = sign(psi - estimate) sqrt(d(psi) - d_min),

which is a straight line for a Gaussian likelihood. By the envelope theorem d'(psi) is
the partial derivative at the minimum, so zeta' = d' / (2 zeta) is known at every point.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.search.constrained import (
    ConstrainedOptimum,
    ConstrainedSearch,
)
from statsmodels_lmm.core.search.constraints import Constraint

MAX_POINTS = 60
"""Largest number of points on one side of the estimate."""

LARGEST = 1e4
"""
Largest entry of L, relative to a large estimate, up to which a curve is followed;
beyond it the criterion has lost half its digits.
"""

RISING = 0.01
"""Smallest derivative in the logarithm of a parameter that is not flat."""

SEPARATE = 1e-8
"""Difference of the criterion that separates two minima."""

LEVEL = 1e-3
"""|zeta| up to which it counts as zero, and its slope is mere rounding."""

PRECISION = 1e-9
"""Precision with which zeta meets the quantile at the end of an interval."""


@dataclass(frozen=True)
class CurvePoint:
    """
    One point of a curve.

    Parameters
    ----------
    optimum : ConstrainedOptimum
        The minimum with the parameter held.
    height : float
        |zeta|.
    """

    optimum: ConstrainedOptimum
    height: float

    @property
    def at(self):
        """Value of the parameter."""
        return self.optimum.at

    @property
    def size(self):
        """Largest entry of L; 0 without random effects."""
        entries = [np.abs(f.matrix).max() for f in self.optimum.factors]
        return max(entries, default=0.0)


@dataclass(frozen=True)
class ProfileCurve:
    """
    The curve of one parameter.

    Parameters
    ----------
    search : ConstrainedSearch or GeneralizedSearch
        The minima under constraints.
    constraint : Constraint
        The parameter, which sets the units of the curve.
    origin : CurvePoint
        The minimum.
    step : float
        First step away from it.
    ceilings : tuple of ConstrainedOptimum
        Minima compatible with any value of the parameter, so that no point of the
        curve is higher: for a correlation, a standard deviation of zero.
    below, above : tuple of CurvePoint
        Points on both sides, from the origin outward.
    """

    search: Any
    constraint: Constraint
    origin: CurvePoint
    step: float
    ceilings: tuple = ()
    below: tuple = ()
    above: tuple = ()

    def __setstate__(self, state):
        """Restore a pickle, an old one with the search from sufficient statistics."""
        if "products" in state:
            criterion = Profiled(state.pop("products"), state.pop("reml"))
            state["search"] = ConstrainedSearch(criterion)
        vars(self).update(state)

    @property
    def points(self):
        """All points, in ascending order of the parameter."""
        return (*self.below[::-1], self.origin, *self.above)

    @property
    def evaluations(self):
        """Evaluations of the criterion."""
        return sum(p.optimum.evaluations for p in self.points)

    def point(self, at, neighbor, before=None):
        """The point at a value, searched from one close to it and the one before."""
        start = self.search.ahead(neighbor.optimum, at, before and before.optimum)
        optimum = self.search.minimum(self.constraint, at, start)
        for other in self.ceilings:
            if other.value < optimum.value - SEPARATE:
                optimum = self.search.minimum(self.constraint, at, other.start)
            if other.value < optimum.value - SEPARATE:  # the limit of a sequence
                optimum = replace(optimum, value=other.value, slope=0.0)
        rise = max(optimum.value - self.origin.optimum.value, 0.0)
        return CurvePoint(optimum, float(np.sqrt(rise)))

    def extended(self, reach, spacing):
        """
        The curve continued on both sides until |zeta| passes `reach`.

        It stops earlier at a boundary of the parameter, with a point on it.

        Parameters
        ----------
        reach : float
            |zeta| to pass.
        spacing : float
            Intended difference of zeta between neighbors.

        Returns
        -------
        ProfileCurve
        """
        below = self._walk(self.below, -1.0, reach, spacing)
        above = self._walk(self.above, 1.0, reach, spacing)
        return replace(self, below=below, above=above)

    def _walk(self, known, side, reach, spacing):
        """Points on one side, from the origin outward."""
        end = self.constraint.lower if side < 0.0 else self.constraint.upper
        path = [self.origin, *known]
        step = spacing * self.step
        if known:
            step = abs(path[-1].at - path[-2].at)
        for _ in range(MAX_POINTS - len(known)):
            last = path[-1]
            if last.height >= reach or last.at == end or self._is_far(last, side):
                break
            point = self._next(path[-2:], side, step, end, spacing)
            if point is None:
                break
            path.append(point)
            taken = abs(point.at - last.at)
            rate = side * point.optimum.slope
            step = 2.0 * taken
            if rate > 0.0 and point.height > LEVEL:
                step = np.clip(
                    2.0 * point.height * spacing / rate, taken / 3.0, 3.0 * taken
                )
        return tuple(path[1:])

    def _is_far(self, point, side):
        """Whether the curve is flat, or the entries of L are too large, further out."""
        limit = self.constraint.plateau[int(side > 0.0)]
        large = point.size > LARGEST * max(1.0, self.origin.size)
        return large or side * (point.at - limit) >= 0.0

    def _next(self, path, side, step, end, spacing):
        """The next point outward, not much farther than intended."""
        point, last, before = None, path[-1], path[-2] if len(path) > 1 else None
        for _ in range(12):
            at = last.at + side * step
            if side * (at - end) > -0.1 * step:
                at = end
            try:
                point = self.point(at, last, before)
            except np.linalg.LinAlgError:
                step = 0.25 * step
                continue
            rise = abs(point.height - last.height)
            if rise <= 2.0 * spacing:
                break
            step = abs(at - last.at) * np.clip(spacing / rise, 0.1, 0.5)
        return point

    def crossing(self, side, height):
        """
        Where |zeta| first reaches a height on one side.

        Parameters
        ----------
        side : {-1.0, 1.0}
            Below or above the origin.
        height : float
            Positive.

        Returns
        -------
        float
            The value, or the boundary of the parameter if the curve stays below the
            height; NaN if the curve ends before either is known.
        """
        path = [self.origin, *(self.below if side < 0.0 else self.above)]
        for before, low, high in zip([None, *path], path[:-1], path[1:]):
            if high.height >= height:
                return self._root(before, low, high, side, height)
        end = self.constraint.lower if side < 0.0 else self.constraint.upper
        last = path[-1]
        rise = side * last.optimum.slope * abs(last.at)
        reached = last.at == end or (self._is_far(last, side) and rise < RISING)
        return end if reached else np.nan

    def _root(self, before, low, high, side, height):
        """Newton's method for zeta between two points, with bisection as needed."""
        at = _interpolated(low, high, side, height)
        for _ in range(60):
            if abs(high.height - height) <= PRECISION * height:
                return high.at
            inside = min(low.at, high.at) < at < max(low.at, high.at)
            if not inside:
                at = 0.5 * (low.at + high.at)
            # start inside, as the outer point may be another minimum
            point = self.point(at, low, before)
            gap = height - point.height
            if abs(gap) <= PRECISION * height:
                return at
            if gap > 0.0:
                before, low = low, point
            else:
                high = point
            if abs(high.at - low.at) <= 1e-13 * max(abs(high.at), abs(low.at)):
                return at
            rate = side * point.optimum.slope
            at = 0.5 * (low.at + high.at)
            if rate > 0.0:
                at = point.at + side * gap * 2.0 * point.height / rate
        return at


def _interpolated(low, high, side, height):
    """Value at a height of the cubic in zeta through two points and their slopes."""
    width = high.height - low.height
    secant = (high.at - low.at) / width
    slopes = []
    for point in (low, high):
        rate = point.optimum.slope
        usable = side * rate > 0.0 and point.height > 0.0
        slopes.append(2.0 * point.height / rate if usable else secant)
    if low.height == 0.0:
        slopes[0] = 2.0 * secant - slopes[1]
    t = (height - low.height) / width
    return (
        (1 + 2 * t) * (1 - t) ** 2 * low.at
        + t * (1 - t) ** 2 * width * slopes[0]
        + t**2 * (3 - 2 * t) * high.at
        + t**2 * (t - 1) * width * slopes[1]
    )


def profile_curve(search, constraint, estimate, start, value=None):
    """
    Start the curve of one parameter.

    Parameters
    ----------
    search : ConstrainedSearch or GeneralizedSearch
        The minima under constraints.
    constraint : Constraint
        The parameter.
    estimate : float
        Estimate of the parameter in the units of the constraint.
    start : object
        Where the search starts with the parameter at its estimate.
    value : float, optional
        Criterion at the optimum, if the curve has its minimum there. By default the
        minimum is sought nearby.

    Returns
    -------
    ProfileCurve
        A curve with one point, its minimum.
    """
    optimum = search.minimum(constraint, estimate, start)
    spread = search.spread(constraint, optimum)
    if value is None:
        optimum = _lowest(search, constraint, optimum, spread)
    else:
        optimum = replace(optimum, value=float(value))
    ceilings = tuple(search.minimum(*case, start) for case in constraint.cases())
    return ProfileCurve(search, constraint, CurvePoint(optimum, 0.0), spread, ceilings)


def _lowest(search, constraint, optimum, spread):
    """The minimum of a curve near a point, by the secant method."""
    curvature = 2.0 / spread**2
    for _ in range(20):
        at = optimum.at - optimum.slope / curvature
        at = min(max(at, constraint.lower), constraint.upper)
        change = at - optimum.at
        if abs(change) <= 1e-5 * spread:
            break
        other = search.minimum(constraint, at, optimum.start)
        secant = (other.slope - optimum.slope) / change
        optimum, curvature = other, secant if secant > 0.0 else curvature
    return optimum
