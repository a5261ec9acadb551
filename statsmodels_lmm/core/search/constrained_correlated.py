"""
Minimize the criterion of a model with correlated errors, one parameter held at a value.

The coordinates x of the errors' covariance join the entries of L and log(tau), between
the two, and move freely unless one of them is held. A parameter that depends on several
of them, such as a correlation of an unstructured matrix, is held on a curved surface
g(x) = v: a step along its tangent is followed by Newton steps onto it, and the
curvature is that of the Lagrangian.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg import null_space

from statsmodels_lmm.core.algebra.differences import differenced_gradient
from statsmodels_lmm.core.criteria.correlated import Correlated
from statsmodels_lmm.core.search.constrained import (
    EXACT_TOLERANCE,
    MAX_EVALUATIONS,
    TOLERANCE,
    Constrained,
    constrained_optimum,
)
from statsmodels_lmm.core.search.constraints import Constraint
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.free_parameters import FreeParameters
from statsmodels_lmm.core.structures.relative_factor import split_step

NEWTON_STEPS = 50
"""Largest number of steps onto a surface of one value of a parameter."""

PLACED = 1e-12
"""Distance from such a surface, relative to the value, that is rounding."""


class ErrorConstraint(Constraint):
    """A constraint on the coordinates x of the errors' covariance alone."""

    def placed(self, x, at):
        """The coordinates moved onto the constraint, shape (m,)."""
        raise NotImplementedError

    def directions(self, x):
        """
        How the coordinates may move.

        Parameters
        ----------
        x : ndarray
            A point of the constraint, shape (m,).

        Returns
        -------
        moves : ndarray
            Orthonormal directions along the constraint, shape (m, m - 1).
        along : ndarray
            The direction across it in which the parameter grows by one, shape (m,).
        bend : ndarray or None
            Second derivatives of the parameter, shape (m, m); None if it is linear.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class ErrorCoordinate(ErrorConstraint):
    """
    One coordinate of the errors' covariance.

    Parameters
    ----------
    position : int
        Which coordinate.
    plateau : tuple of float, optional
        Where its parameter has come to the ends of its range.
    """

    position: int
    plateau: tuple = (-np.inf, np.inf)

    def estimate(self, coefficients, factors, tau, extra=None):
        """The coordinate."""
        return float(extra[self.position])

    def placed(self, x, at):
        """The coordinates with this one replaced."""
        x = x.copy()
        x[self.position] = at
        return x

    def directions(self, x):
        """All other coordinates, and this one."""
        unit = np.eye(len(x))
        return np.delete(unit, self.position, axis=1), unit[self.position], None


@dataclass(frozen=True)
class ErrorParameter(ErrorConstraint):
    """
    A parameter of the errors' covariance that depends on several coordinates.

    What is held is g(x), the parameter itself or, with a range between two ends, the
    inverse hyperbolic tangent of its place in the range.

    Parameters
    ----------
    model : ResidualCovariance
        How parameters depend on coordinates.
    position : int
        Which parameter.
    ends : tuple of float
        Its range.
    """

    model: Any
    position: int
    ends: tuple

    @property
    def _is_between(self):
        return bool(np.isfinite(self.ends).all())

    def of_parameter(self, value):
        """What is held, from the parameter."""
        if not self._is_between:
            return value
        low, high = self.ends
        return np.arctanh((2.0 * value - low - high) / (high - low))

    def parameter(self, at):
        """The parameter from what is held."""
        if not self._is_between:
            return at
        low, high = self.ends
        return 0.5 * (low + high + (high - low) * np.tanh(at))

    def value(self, x):
        """What is held, g(x)."""
        return float(self.of_parameter(self.model.unfold(x)[0][self.position]))

    def gradient(self, x):
        """Derivatives of g, shape (m,)."""
        values, jacobian = self.model.unfold(x)
        row = jacobian[self.position]
        if not self._is_between:
            return row
        low, high = self.ends
        value = values[self.position]
        return row * 0.5 * (high - low) / ((value - low) * (high - value))

    def estimate(self, coefficients, factors, tau, extra=None):
        """What is held, at the coordinates."""
        return self.value(np.asarray(extra))

    def placed(self, x, at):
        """
        The point of the surface g = at that Newton's method reaches.

        Raises
        ------
        numpy.linalg.LinAlgError
            If it reaches none.
        """
        for _ in range(NEWTON_STEPS):
            gap = at - self.value(x)
            if abs(gap) <= PLACED * (1.0 + abs(at)):
                return x
            gradient = self.gradient(x)
            step = gap * gradient / (gradient @ gradient)
            x = x + step / max(1.0, float(np.linalg.norm(step)))
        raise np.linalg.LinAlgError("no errors have this value of the parameter")

    def directions(self, x):
        """The tangent, the normal and the curvature of the surface."""
        gradient = self.gradient(x)
        moves = null_space(gradient[None], rcond=0.0)[:, -len(x) + 1 :]
        ranges = [(-np.inf, np.inf)] * len(x)
        bend = differenced_gradient(self.gradient, x, ranges)
        along = gradient / (gradient @ gradient)
        return moves, along, 0.5 * (bend + bend.T)


def with_errors(coordinates, x, constraint):
    """
    Coordinates that include those of the errors.

    Parameters
    ----------
    coordinates : Coordinates
        The entries of L and log(tau).
    x : ndarray
        The errors' coordinates, shape (m,).
    constraint : Constraint
        What is held.

    Returns
    -------
    Coordinates
    """
    moves, across, inner = np.eye(len(x)), np.zeros(len(x)), None
    if isinstance(constraint, ErrorConstraint):
        moves, across, inner = constraint.directions(x)
    rows, columns = coordinates.jacobian.shape
    jacobian = np.zeros((rows + len(x), columns + moves.shape[1]))
    jacobian[: rows - 1, :columns] = coordinates.jacobian[:-1]
    jacobian[-1, :columns] = coordinates.jacobian[-1]
    jacobian[rows - 1 : -1, columns:] = moves
    before, last = coordinates.along[:-1], coordinates.along[-1:]
    bend = coordinates.bend
    if inner is not None:
        bend = np.zeros((len(jacobian),) * 2)
        bend[rows - 1 : -1, rows - 1 : -1] = inner
    return replace(
        coordinates,
        jacobian=jacobian,
        along=np.concatenate([before, across, last]),
        bend=bend,
        errors=x,
    )


@dataclass(frozen=True)
class ConstrainedCorrelated(Constrained):
    """A criterion with correlated errors, a function of (factors, tau, x)."""

    criterion: Correlated

    @property
    def is_exact(self):  # type: ignore[override]
        """Whether the Hessian is cheap enough to be used from the start."""
        return self.criterion.exact_below > 0.0

    def evaluate(self, state):
        """The criterion after moving the point onto the constraint, or None."""
        *state, x = state
        if isinstance(self.constraint, ErrorConstraint):
            try:
                x = self.constraint.placed(x, self.at)
            except np.linalg.LinAlgError:
                return None
        return super().evaluate((*state, x))

    def _at(self, state):
        factors, tau, x = state
        coordinates = self.constraint.place(factors, tau, self.at)
        coordinates = with_errors(coordinates, x, self.constraint)
        return coordinates, [*coordinates.factors, FreeParameters(x)]

    def moved(self, current, step):
        """Factors, tau and x after a step."""
        coordinates = current.evaluation.coordinates
        factors, x = coordinates.factors, coordinates.errors
        scale = current.evaluation.deviance.scale
        count = sum(f.n_free for f in factors)
        moved = [f.moved(m) for f, m in zip(factors, split_step(step[:count], factors))]
        return moved, scale**-0.5 * (1.0 + step[-1]), x + step[count:-1]


@dataclass(frozen=True)
class CorrelatedSearch:
    """
    The minima of a criterion with correlated errors under constraints.

    Parameters
    ----------
    criterion : Correlated
        The criterion in standardized units.
    """

    criterion: Correlated

    def minimum(self, constraint, at, start):
        """The minimum with a parameter held, see `constrained.minimize_constrained`."""
        held = constraint.reduced(self.criterion, at)
        constrained = ConstrainedCorrelated(held, constraint, at)
        tol = EXACT_TOLERANCE if constrained.is_exact else TOLERANCE
        descent = descend(constrained, start, Settings(MAX_EVALUATIONS, tol))
        end = descent.last.evaluation.deviance
        products = self.criterion.products_at(end.whitening.x)
        slope = constraint.direct_slope(products, end, at)
        coefficients = constraint.whole(end.coefficients, at)
        light = replace(end, elimination=None, coefficients=coefficients)
        return constrained_optimum(descent, at, slope, light, self.start(light), tol)

    def start(self, deviance):
        """Where a search near an evaluated criterion starts."""
        tau = float(deviance.scale) ** -0.5
        return deviance.factors, tau, np.array(deviance.whitening.x)

    def ahead(self, optimum, at, before=None):
        """Where a search near a minimum starts, see `ConstrainedOptimum.towards`."""
        step = optimum.towards(at, before)
        factors, tau, x = optimum.start
        factors = optimum.coordinates.factors
        count = sum(f.n_free for f in factors)
        moved = [f.moved(m) for f, m in zip(factors, split_step(step[:count], factors))]
        return moved, tau * np.exp(step[-1]), x + step[count:-1]

    def spread(self, constraint, optimum):
        """Change of a parameter that raises the criterion by about one."""
        products = self.criterion.products_at(optimum.deviance.whitening.x)
        return float(constraint.spread(products, optimum))
