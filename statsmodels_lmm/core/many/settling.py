"""
The ends of many searches, to the last digits that the criterion's derivatives give.

The criterion itself shows a distance from its minimum only while its square is above
rounding. The gradient shows the distance itself, and exact Newton steps continue for as
long as they halve the gradient, or promise more than rounding.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.search.descent import Iterate, descend
from statsmodels_lmm.core.search.newton import REACHED, Settings, certify

SETTINGS = Settings(maxiter=100, tol=1e-7)
"""When a search ends and exact steps begin; the step that promises less is taken."""

SETTLED = 1e-20
"""Promised decrease below which another step changes nothing that is reported."""

WORTHWHILE = 1e-14
"""Promised decrease that is no rounding: beside a small pivot a step may go too far."""

ROUNDS = 12
"""Largest number of exact steps."""


@dataclass(frozen=True)
class Settled:
    """
    Points at which some of the searches have arrived.

    Parameters
    ----------
    places : ndarray
        Positions of the searches, shape (s,).
    is_closer : ndarray
        Whether each is closer to its optimum than ever before, booleans, shape (s,).
    evaluation : Evaluation
        The criterion at these points.
    optimum : Optimum
        How close they are to an optimum.
    """

    places: np.ndarray
    is_closer: np.ndarray
    evaluation: Any
    optimum: Any


def settle(criterion, start, settings=SETTINGS):
    """
    Minimize a criterion of many responses.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    start : sequence of RelativeFactor
        Where each search starts.
    settings : Settings, optional
        When exact steps take over.

    Yields
    ------
    Settled
        All searches, and after that those for which another step was worthwhile.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start or on the way of any response.
    """
    descent = descend(criterion, start, settings)
    places, evaluations = np.arange(len(descent.promised)), descent.evaluations
    point = criterion.moved(descent.last, descent.step)
    least = np.full(len(places), np.inf)
    for _ in range(ROUNDS):
        evaluation = criterion.evaluate([part.snapped() for part in point])
        if evaluation is None:
            raise np.linalg.LinAlgError("the criterion is undefined at an end")
        here, evaluations = Iterate.of(evaluation, True), evaluations + 1
        size = np.abs(here.gradient * here.units).max(axis=-1, initial=0.0)
        optimum = certify(criterion, here, evaluations, ())
        yield Settled(places, size < least, evaluation, optimum)
        step, promised = here.step(1.0)
        on = (promised > SETTLED) & (promised < REACHED)
        on &= (size < 0.5 * least) | (promised > WORTHWHILE)
        if not on.any():
            return
        criterion, here = criterion.take(on), here.take(on)
        places, evaluations = places[on], evaluations[on]
        least = np.minimum(size, least)[on]
        point = criterion.moved(here, step[on])
