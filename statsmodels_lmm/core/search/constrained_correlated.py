"""
Minimize the criterion of a model with correlated errors, one parameter held at a value.

The coordinates x of the errors' covariance join the entries of L and log(tau), between
the two, and move freely unless one of them is held.
"""

from dataclasses import dataclass, replace

import numpy as np

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


@dataclass(frozen=True)
class ErrorCoordinate(Constraint):
    """
    One coordinate of the errors' covariance.

    Parameters
    ----------
    position : int
        Which coordinate.
    """

    position: int

    def estimate(self, coefficients, factors, tau, extra=None):
        """The coordinate."""
        return float(extra[self.position])


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
    held = constraint.position if isinstance(constraint, ErrorCoordinate) else None
    rows, columns = coordinates.jacobian.shape
    moves = np.eye(len(x))
    along = np.zeros(len(x))
    if held is not None:
        along[held], moves = 1.0, np.delete(moves, held, axis=1)
    jacobian = np.zeros((rows + len(x), columns + moves.shape[1]))
    jacobian[: rows - 1, :columns] = coordinates.jacobian[:-1]
    jacobian[-1, :columns] = coordinates.jacobian[-1]
    jacobian[rows - 1 : -1, columns:] = moves
    before, last = coordinates.along[:-1], coordinates.along[-1:]
    return replace(
        coordinates,
        jacobian=jacobian,
        along=np.concatenate([before, along, last]),
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
        if isinstance(self.constraint, ErrorCoordinate):
            x = x.copy()
            x[self.constraint.position] = self.at
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
