"""
Minimize the deviance of a generalized mixed model with one parameter held at a value.

The criterion is a function of the fixed effects, the entries of all L, which are
absolute, and the extra parameter of the family. A constraint confines them to a linear
space, see `constraints`. By the envelope theorem the slope of the minimum in the
parameter held is the derivative of the criterion along the constraint's normal.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.laplace import Laplace, LaplaceDeviance, Place
from statsmodels_lmm.core.search.constrained import (
    EXACT_TOLERANCE,
    MAX_EVALUATIONS,
    TOLERANCE,
    bounded_step,
    constrained_optimum,
)
from statsmodels_lmm.core.search.constraints import Constraint, Coordinates
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.relative_factor import (
    split_step,
)


@dataclass(frozen=True)
class ConstrainedLaplaceDeviance:
    """
    The criterion at a point of a constraint.

    Parameters
    ----------
    coordinates : Coordinates
        The point; its rows are the fixed effects, the entries of L, and the extra
        parameter if there is one.
    deviance : LaplaceDeviance
        The criterion.
    """

    coordinates: Coordinates
    deviance: LaplaceDeviance

    @property
    def point(self):
        """The parts with free parameters."""
        return self.deviance.point

    @property
    def value(self):
        """The criterion."""
        return self.deviance.value

    @property
    def rounding(self):
        """Rounding error of the criterion."""
        return self.deviance.rounding

    @property
    def units(self):
        """Ones: steps are measured in the standardized parameters."""
        return np.ones(len(self.coordinates.along))

    def derivatives(self, exact=False):
        """Derivatives with respect to all parameters, see `LaplaceDeviance`."""
        slopes = self.deviance.derivatives(exact)
        bent = self.coordinates.curvature(slopes.gradient, slopes.curvature)
        return replace(slopes, curvature=bent)


@dataclass(frozen=True)
class ConstrainedLaplace(Criterion):
    """
    The deviance with one parameter held at a value.

    Parameters
    ----------
    criterion : Laplace or Quadrature
        The deviance.
    constraint : Constraint
        The parameter to hold.
    at : float
        Value of the parameter, in the units of the constraint.
    """

    criterion: Laplace
    constraint: Constraint
    at: float

    @property
    def exact_below(self):  # type: ignore[override]
        """As for the criterion itself."""
        return self.criterion.exact_below

    def evaluate(self, place):
        """The criterion after moving a place onto the constraint, or None."""
        try:
            coordinates, point = self._placed(place)
            deviance = self.criterion.at(replace(place, point=point))
        except (np.linalg.LinAlgError, FloatingPointError):
            return None
        return ConstrainedLaplaceDeviance(coordinates, deviance)

    def _placed(self, place):
        """The coordinates and the parts of a point on the constraint."""
        coefficients, factors, extra = self.criterion.parameters(place)
        coordinates, coefficients, extra = self.constraint.place_parameters(
            coefficients, factors, extra, self.at
        )
        point = self.criterion.point(coefficients, coordinates.factors, extra)
        return coordinates, point

    def step(self, current, radius):
        """A step in all parameters, within the bounds."""
        coordinates = current.evaluation.coordinates
        return bounded_step(coordinates, current.gradient, current.curvature, radius)

    def moved(self, current, step):
        """The place to which a step leads, with predicted modes."""
        deviance = current.evaluation.deviance
        place = self.criterion.moved(replace(current, evaluation=deviance), step)
        # a new pivot would leave the coordinates of the constraint
        pairs = zip(deviance.point, split_step(step, deviance.point))
        return replace(place, point=tuple(part.moved(s) for part, s in pairs))


@dataclass(frozen=True)
class GeneralizedSearch:
    """
    The minima of a generalized model's deviance under constraints.

    Parameters
    ----------
    criterion : Laplace or Quadrature
        The deviance, a function of the fixed effects, too.
    """

    criterion: Laplace

    def minimum(self, constraint, at, start, tol=None):
        """
        Minimize the deviance with one parameter held at a value.

        Parameters
        ----------
        constraint : Constraint
            The parameter to hold.
        at : float
            Value of the parameter, in the units of the constraint.
        start : Place
            Where to start, not necessarily on the constraint.
        tol : float, optional
            Promised decrease at which to stop; by default `EXACT_TOLERANCE` or
            `TOLERANCE`.

        Returns
        -------
        ConstrainedOptimum

        Raises
        ------
        numpy.linalg.LinAlgError
            If the deviance is not defined at the start.
        """
        held = ConstrainedLaplace(self.criterion, constraint, at)
        if tol is None:
            tol = EXACT_TOLERANCE if held.exact_below > TOLERANCE else TOLERANCE
        descent = descend(held, start, Settings(MAX_EVALUATIONS, tol))
        end = descent.last.evaluation
        light, nearby = _without_rows(end.deviance), self.start(end.deviance)
        return constrained_optimum(descent, at, 0.0, light, nearby, tol)

    def start(self, deviance):
        """Where a search near an evaluated criterion starts."""
        return Place(deviance.point, deviance.coefficients, deviance.inner.state)

    def ahead(self, optimum, at, before=None):
        """Where a search near a minimum starts, see `ConstrainedOptimum.towards`."""
        place, step = optimum.start, optimum.towards(at, before)
        pairs = zip(place.point, split_step(step, place.point))
        return replace(place, point=tuple(part.moved(s) for part, s in pairs))

    def spread(self, constraint, optimum):
        """Change of a parameter that raises the deviance by about one."""
        return float(optimum.spread(constraint.widest))


def _without_rows(deviance: Any):
    """A deviance without what has the size of the data."""
    inner = replace(deviance.inner, eta=None)
    place = replace(deviance.place, secant=None, before=None)
    lost = dict.fromkeys(("criterion", "slopes", "elimination", "determinant"))
    return replace(deviance, inner=inner, place=place, **lost)
