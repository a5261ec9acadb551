"""
The search for the best optimum, from one start or from several.

The likelihood of variances may have several optima, each with a certificate. Nearly
always the first search ends with a sign of a second one: the covariance matrix is
singular although the effects account for much of the response; or the model has a
structure, and its parameters cannot be guessed from moments; or there are hardly more
rows than effects. Then, and only then, the search is restarted from other points: side
by side if the model is small, so that many searches cost little more than one, and
otherwise one after another.
"""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.criteria.saturation import is_independent, is_saturated
from statsmodels_lmm.core.criteria.start import (
    further_starts,
    many_starts,
    moment_start,
)
from statsmodels_lmm.core.engines.batches import is_batchable
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor

FEW = 10
"""Number of rows in excess of effects up to which second optima are common."""

VANISHING = 1e-6
"""Residual variance, as a share, that counts as none in a saturated model."""

SMALL_MODEL = 150
"""Number of random effects up to which many searches cost little more than one."""

LOWER = 1e-4
"""Difference of criteria at which one optimum counts as below another."""

BRIEFLY = Settings(maxiter=12, tol=1e-4)
"""When searches side by side stop; the direction of each is clear by then."""


def search(criterion, settings, start=None, idle=()):
    """
    Minimize the profiled deviance or the REML criterion.

    Parameters
    ----------
    criterion : Profiled
        The criterion to minimize, in standardized units.
    settings : Settings
        When each search stops.
    start : sequence of RelativeFactor, optional
        The only starting point, in elimination order.
    idle : collection of int, optional
        Terms with variances held at zero, by position in the elimination plan.

    Returns
    -------
    deviance : ProfiledDeviance
        The criterion at the lowest optimum, in standardized units.
    optimum : Optimum
        How the search went, the number of starts, and how far above it other optima
        lie.
    """
    products = criterion.products
    first = moment_start(products) if start is None else start
    deviance, optimum = minimize(criterion, without(first, idle), settings)
    # a structure separates effects from residuals, unless none of these remain
    if is_saturated(products, structured=deviance.scale < VANISHING):
        return deviance, replace(optimum, certified=False, saturated=True)
    if start is not None or not optimum.certified or not _has_doubts(deviance, idle):
        return deviance, optimum

    places, count = _elsewhere(criterion, deviance, idle)
    values = [float(deviance.value)]
    for place in places:
        try:
            other, other_optimum = minimize(
                criterion, without(place, idle), settings, deviance
            )
        except np.linalg.LinAlgError:
            continue
        if other is None:
            continue
        values.append(float(other.value))
        if other.value < deviance.value - max(LOWER, other.rounding):
            deviance, optimum = other, other_optimum
    gaps = np.sort(values) - float(deviance.value)
    return deviance, replace(
        optimum, starts=1 + count, others=tuple(gaps[gaps > LOWER].tolist())
    )


def _elsewhere(criterion, deviance, idle):
    """Starting points, and the number of starts tried to find them."""
    products = criterion.products
    effects = sum(f.n_columns for f in products.plan.terms)
    small = effects <= SMALL_MODEL and is_batchable(products)
    if small and deviance.inverse is None and not idle:
        many = many_starts(products)
        try:
            place = from_starts(criterion, many, deviance)
        except np.linalg.LinAlgError:
            pass  # single searches tolerate more than a batch
        else:
            return [] if place is None else [place], len(many)
    starts = further_starts(products, deviance.factors)
    if effects > SMALL_MODEL:  # where second optima are rare
        structured = any(f.is_structured for f in products.plan.terms)
        starts = starts[: 2 if structured else 1]
    return starts, len(starts)


def from_starts(criterion, starts, known):
    """
    Search from many starts side by side for points below a known optimum.

    Parameters
    ----------
    criterion : Profiled
        The criterion of one response, see `is_batchable`.
    starts : sequence of sequence of RelativeFactor
        Starting points, each in elimination order.
    known : ProfiledDeviance
        The optimum.

    Returns
    -------
    list of RelativeFactor or None
        The end of the lowest search; None if no search got below.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a system is not positive definite in floating point.
    """
    side_by_side = [
        pivoted_factor(np.array([f.covariance for f in each]), each[0].slices)
        for each in zip(*starts)
    ]
    descent = descend(criterion, side_by_side, BRIEFLY, known)
    values = np.where(descent.left, np.inf, descent.last.value)
    best = int(np.argmin(values))
    if not values[best] < known.value:
        return None
    ends = criterion.moved(descent.last, descent.step)
    return [f.take(best) for f in ends]


def _has_doubts(deviance, idle):
    """Whether another optimum is likely."""
    products = deviance.elimination.products
    terms = products.plan.terms
    if sum(f.n_parameters for f in terms) == 1:
        return False  # no second optimum is known for a single variance
    left = products.nobs - products.k_fixed - sum(f.n_columns for f in terms)
    few = left <= FEW and all(map(is_independent, terms))
    return few or any(
        factor.may_be_elsewhere
        for i, factor in enumerate(deviance.factors)
        if i not in idle
    )


def without(factors, idle):
    """The factors, with zero variances of some terms."""
    return [f.nothing() if i in idle else f for i, f in enumerate(factors)]
