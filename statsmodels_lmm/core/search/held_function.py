"""
A function g of the parameters held at a value, a curved constraint.

A point is moved onto the surface g = c by Newton's method along the gradient of g. The
search moves in the plane that touches the surface there, with the second derivatives of
the Lagrangian, so that it converges as fast as one on a linear constraint (Nocedal and
Wright 2006, section 18.1). At an end of the range of g, such as a share of 0, the
gradient vanishes; so the range must end before.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.search.constraints import Constraint, Coordinates
from statsmodels_lmm.core.structures.relative_factor import RelativeFactor, split_step

MAX_STEPS = 50
"""Largest number of steps onto the surface."""

MET = 1e-14
"""Relative error of the value at which a point counts as on the surface."""

BEYOND = 1e-12
"""Relative distance from the range at which a point counts as beyond it."""

LIFT = 0.1
"""Variance, or coordinate, by which to leave an end of the range of g."""

STEP = 1e-6
"""Step of the differences for the second derivatives of g, which need no precision."""


@dataclass(frozen=True)
class SurfacePoint:
    """
    All parameters of a criterion.

    Parameters
    ----------
    coefficients : ndarray or None
        Standardized fixed effects if they are parameters of the criterion, shape (p,).
    factors : tuple of RelativeFactor
        In elimination order, with the coordinates of `CovarianceBlock.freed`.
    tau : float or None
        1 / sigma in a linear model.
    extra : float or None
        The extra parameter of a family, its root if `is_squared`.
    is_squared : bool
        Whether it is an alpha.
    """

    coefficients: np.ndarray | None
    factors: tuple
    tau: float | None
    extra: float | None = None
    is_squared: bool = False

    @property
    def extra_of_family(self):
        """The extra parameter as the family takes it, if there is one."""
        if self.extra is None or not self.is_squared:
            return self.extra
        return self.extra**2

    def moved(self, step):
        """The point after a step in all entries, the last in log(tau) or `extra`."""
        coefficients, tau, extra = self.coefficients, self.tau, self.extra
        if coefficients is not None:
            p = len(coefficients)
            coefficients, step = coefficients + step[:p], step[p:]
        steps = split_step(step, self.factors)
        factors = tuple(f.moved(s) for f, s in zip(self.factors, steps))
        if tau is not None:
            tau = tau * float(np.exp(step[-1]))
        if extra is not None:
            extra = extra + float(step[-1])
        moved = coefficients, factors, tau, extra
        return SurfacePoint(*moved, self.is_squared)


@dataclass(frozen=True)
class HeldFunction(Constraint):
    """
    A function of the parameters.

    Parameters
    ----------
    function : callable
        From a `SurfacePoint` to the value and its derivatives in all entries of the
        fixed effects, of L, and of log(tau) or the extra parameter.
    has_sigma : bool
        Whether sigma is a parameter rather than the fixed effects, as in a linear
        model.
    is_squared : bool, optional
        Whether the extra parameter of the family is an alpha.
    lower, upper : float, optional
        The range within which it may be held.
    undefined : tuple, optional
        Constraints, with values, under which the function may be undefined.
    widest : float, optional
        See `Constraint`.
    """

    function: Any
    has_sigma: bool
    is_squared: bool = False
    lower: float = -np.inf
    upper: float = np.inf
    widest: float = 1.0
    undefined: tuple = ()

    def cases(self):
        """Where the function is undefined, and so compatible with any value."""
        return self.undefined

    def estimate(self, coefficients, factors, tau, extra=None):
        """The function's value, moved inside the range."""
        value = self._value(coefficients, factors, tau, extra)
        return float(np.clip(value, self.lower, self.upper))

    def is_defined(self, coefficients, factors, tau, extra=None):
        """Whether the function has a value at given parameters."""
        return bool(np.isfinite(self._value(coefficients, factors, tau, extra)))

    def _value(self, coefficients, factors, tau, extra):
        """The function's value."""
        point = SurfacePoint(None, factors, tau)
        if not self.has_sigma:
            point = self._generalized(coefficients, factors, extra)
        return self.function(point)[0]

    def _generalized(self, coefficients, factors, extra):
        """The point of a generalized model."""
        if extra is not None:
            extra = float(np.sqrt(extra) if self.is_squared else extra)
        return SurfacePoint(coefficients, factors, None, extra, self.is_squared)

    def place(self, factors, tau, at):
        """Move (factors, tau) onto the surface."""

        def start(factors):
            freed, moves = _freed(factors)
            return SurfacePoint(None, freed, float(tau)), block_diag(*moves, 1.0)

        point, coordinates = self._placed(start, factors, at)
        return replace(coordinates, tau=point.tau)

    def place_parameters(self, coefficients, factors, extra, at):
        """Move all parameters of a generalized model onto the surface."""

        def start(factors):
            freed, moves = _freed(factors)
            last = [] if extra is None else [np.eye(1)]
            moves = block_diag(np.eye(len(coefficients)), *moves, *last)
            return self._generalized(coefficients, freed, extra), moves

        point, coordinates = self._placed(start, factors, at)
        return coordinates, point.coefficients, point.extra_of_family

    def _placed(self, start, factors, at):
        """The point on the surface, and the plane that touches it there."""
        point, moves = start(factors)
        value, slopes = self.function(point)
        beyond = abs(value - np.clip(value, self.lower, self.upper))
        is_plain = np.isfinite(slopes).all() and (slopes @ moves).any()
        if beyond > BEYOND * abs(value) or not is_plain:
            # at an end of the range of the function, where its slopes vanish
            point, moves = start([f.lifted(LIFT) for f in factors])
        point, normal = self._on_surface(point, moves, at)
        frame = np.linalg.qr(normal[:, None], mode="complete")[0]
        bend = moves @ self._bend(point, moves, normal) @ moves.T
        along = moves @ normal / (normal @ normal)
        plane = moves @ frame[:, 1:]
        return point, Coordinates(point.factors, None, plane, along, {}, bend)

    def _on_surface(self, point, moves, at):
        """The point after Newton's method along the gradient, and the gradient."""
        for _ in range(MAX_STEPS):
            value, slopes = self.function(point)
            normal = slopes @ moves
            square, gap = normal @ normal, at - value
            if not (np.isfinite(value) and np.isfinite(square) and square > 0.0):
                break
            if abs(gap) <= MET * max(abs(at), abs(value)):
                return point, normal
            step = moves @ normal * (gap / square)
            # far from linear near an end of the range of g
            farthest = max(
                1.0, 0.5 * max(np.abs(f.matrix).max() for f in point.factors)
            )
            length = np.linalg.norm(step)
            point = point.moved(step * min(1.0, farthest / max(length, 1e-300)))
        if np.isfinite(square) and square > 0.0 and abs(gap) <= 1e-9 * abs(at):
            return point, normal
        raise np.linalg.LinAlgError("the function does not reach the value")

    def _bend(self, point, moves, normal):
        """Second derivatives along the moves, by differences of the first."""
        rows = [
            self.function(point.moved(STEP * move))[1] @ moves - normal
            for move in moves.T
        ]
        bend = np.array(rows).reshape(len(normal), -1) / STEP
        return 0.5 * (bend + bend.T)


def _freed(factors):
    """Factors in coordinates without redundancy, and the allowed moves by block."""
    freed, moves = [], []
    for factor in factors:
        pairs = [block.freed() for block in factor.blocks]
        freed.append(RelativeFactor(tuple(block for block, _ in pairs)))
        moves += [move.T for _, move in pairs]
    return tuple(freed), moves
