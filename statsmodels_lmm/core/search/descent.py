"""
One search for a minimum, or many side by side.

Each search has its own trust radius and number of steps, and leaves the batch when
done. The axis of the searches comes first in every array; a single search has none.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.criteria.base import Evaluation
from statsmodels_lmm.core.search.trust_region import (
    ACCEPTED,
    next_radius,
    step_in_units,
)

CLOSE = 0.03
"""Difference of criteria, and share of covariances, that counts as the same point."""

HOPELESS = 30.0
"""Number of promised decreases above a known optimum at which a search is hopeless."""


@dataclass(frozen=True)
class Iterate:
    """
    The current points of searches, with quadratic models of the criterion.

    Parameters
    ----------
    evaluation : Evaluation or None
        The criterion; None for searches that were evaluated separately.
    point : tuple
        The current points, part by part; the parts of a criterion of covariances alone
        are RelativeFactors.
    value, rounding : ndarray
        The criterion and its rounding error, shape (...).
    units, gradient : ndarray
        Natural step lengths, and slopes of the criterion, shape (..., m).
    curvature : ndarray
        Shape (..., m, m).
    """

    evaluation: Evaluation | None
    point: tuple
    value: np.ndarray
    rounding: np.ndarray
    units: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray

    @classmethod
    def of(cls, evaluation, exact=False):
        """The iterate of an evaluation, with the exact Hessian or a cheaper one."""
        slopes = evaluation.derivatives(exact)
        gradient, units = slopes.gradient, evaluation.units
        point = evaluation.point
        if gradient.ndim > 1:  # searches may share a start
            point = tuple(part.broadcast(len(gradient)) for part in point)
            units = np.broadcast_to(units, gradient.shape)
        model = units, gradient, slopes.curvature
        return cls(evaluation, point, evaluation.value, evaluation.rounding, *model)

    def step(self, radius):
        """The best step within a radius, and the decrease it promises."""
        return step_in_units(self.gradient, self.curvature, radius, self.units)

    def take(self, which):
        """A selection of the searches."""
        point = tuple(part.take(which) for part in self.point)
        return Iterate(None, point, *(a[which] for a in self._arrays))

    def where(self, better, other):
        """`other` where it is better, else this iterate."""
        if better.all():
            return other
        if not better.any():
            return self
        pairs = zip(self.point, other.point)
        point = tuple(mine.where(better, theirs) for mine, theirs in pairs)
        return Iterate(None, point, *_choose(better, other._arrays, self._arrays))

    @property
    def _arrays(self):
        return self.value, self.rounding, self.units, self.gradient, self.curvature


@dataclass(frozen=True)
class Descent:
    """
    The ends of searches.

    Parameters
    ----------
    last : Iterate
        The last iterates.
    step : ndarray
        One further step, not taken, shape (..., m).
    promised : ndarray
        Decrease of the criterion promised by that step, shape (...).
    left : ndarray
        Whether a search was abandoned because it was heading for a known optimum or a
        worse one, shape (...).
    evaluations : ndarray
        Evaluations of the criterion, shape (...).
    exact : bool, optional
        Whether the Hessian was exact at the end.
    trace : tuple, optional
        (criterion, largest gradient entry, trust radius) of every iterate, for a single
        search.
    interrupted : bool, optional
        Whether a single search was interrupted.
    """

    last: Iterate
    step: np.ndarray
    promised: np.ndarray
    left: np.ndarray
    evaluations: np.ndarray
    exact: bool = False
    trace: tuple = ()
    interrupted: bool = False

    def take(self, which):
        """A selection of the searches."""
        return Descent(self.last.take(which), *(a[which] for a in self._arrays))

    def put(self, places, other):
        """A copy with the ends of selected searches replaced."""
        new, position = np.zeros((2, len(self.promised)), dtype=int)
        new[places], position[places] = 1, np.arange(len(places))
        other, new = other.take(position), new > 0
        last = self.last.where(new, other.last)
        return Descent(last, *_choose(new, other._arrays, self._arrays))

    @property
    def _arrays(self):
        return self.step, self.promised, self.left, self.evaluations


def _choose(better, new, old):
    """The new arrays for the searches that are better, the old for the others."""
    pairs = zip(new, old)
    return [np.where(better.reshape(-1, *[1] * (a.ndim - 1)), a, b) for a, b in pairs]


def descend(criterion, start, settings, known=None):
    """
    Minimize a criterion by trust-region Newton steps.

    Parameters
    ----------
    criterion : Criterion
        The criterion to minimize. It runs many searches if it is for many responses or
        the start holds many values.
    start : object
        Starting point, as taken by ``criterion.evaluate``.
    settings : Settings
        When each search stops.
    known : Evaluation, optional
        A known optimum. A search heading for that optimum, or for a worse one, is
        abandoned.

    Returns
    -------
    Descent

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start or, with many searches, anywhere on
        the way.
    """
    evaluation = criterion.evaluate(start)
    if evaluation is None:
        raise np.linalg.LinAlgError("the criterion is undefined at the start")
    current = Iterate.of(evaluation)
    del evaluation  # a large system is kept no longer than needed
    batch = np.shape(current.value)
    alone, going = not batch, np.arange(np.size(current.value))
    radius, evaluations = np.ones(batch), np.ones(batch, dtype=int)
    exact, trace, is_new, ended = False, [], True, None
    while True:
        step, promised = criterion.step(current, radius)
        # a wrong curvature may also show in steps that fail, as from the optimum itself
        if alone and not exact and promised < criterion.exact_below:
            exact, current = True, Iterate.of(current.evaluation, True)
            step, promised = criterion.step(current, radius)
        if alone and is_new:
            largest = np.abs(current.gradient).max(initial=0.0)
            trace.append((float(current.value), float(largest), float(radius)))

        # a decrease below the rounding of the criterion is invisible
        left = _is_bound_for(known, criterion, current, step, promised)
        done = promised < np.maximum(settings.tol, current.rounding)
        done = left | done | (evaluations >= settings.maxiter)
        if done.any():
            here = Descent(current, step, promised, left, evaluations)
            if alone:
                return replace(here, exact=exact, trace=tuple(trace))
            # finished searches leave the batch and are stored in their places
            ended = here if ended is None else ended.put(going[done], here.take(done))
            if done.all():
                return ended
            keep = ~done
            criterion, current, step = (
                criterion.take(keep),
                current.take(keep),
                step[keep],
            )
            promised, radius = promised[keep], radius[keep]
            going, evaluations = going[keep], evaluations[keep]

        try:
            if alone and is_new and settings.watch is not None:
                settings.watch(current, promised, int(evaluations))
            trial = criterion.evaluate(criterion.moved(current, step))
        except (KeyboardInterrupt, StopIteration):
            if not alone:
                raise
            here = Descent(current, step, promised, left, evaluations)
            return replace(here, trace=tuple(trace), interrupted=True)
        evaluations = evaluations + 1
        if trial is not None:
            gain = criterion.gain(current, trial, step, promised) / promised
        elif alone:
            gain = np.float64(-1.0)
        else:
            raise np.linalg.LinAlgError("the criterion is undefined on the way")
        length = np.sqrt(((step / current.units) ** 2).sum(axis=-1))
        radius, better = next_radius(radius, length, gain), gain > ACCEPTED
        is_new = better.any()
        if is_new and alone:
            del current  # before the derivatives at the next point are computed
            current = Iterate.of(trial, exact)
        elif is_new:
            current = current.where(better, Iterate.of(trial, exact))


def _is_bound_for(known, criterion, current, step, promised):
    """Which searches approach a known optimum or will end above it."""
    if known is None:
        return np.zeros(np.shape(promised), dtype=bool)
    height = current.value - known.value
    above = (promised < CLOSE) & (height > HOPELESS * promised)
    near = (promised <= CLOSE) & (np.abs(height - promised) <= CLOSE)
    if near.any():
        for part, end in zip(criterion.moved(current, step), known.point):
            near = near & part.is_near(end, CLOSE)
    return above | near
