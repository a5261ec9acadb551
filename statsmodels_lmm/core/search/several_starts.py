"""
The search for the best optimum, from one start or from several.

The likelihood of variances may have several optima, each of them with a certificate.
Nearly always the second one shows itself at the end of the first search: it ends with
a singular covariance matrix, though the effects carry much of the response; or the
model has a structure, of which the parameters cannot be guessed from moments; or there
are hardly more rows than effects. Then, and only then, the search starts anew from
other places: side by side where the model is small, so that many cost little more than
one, and one after another elsewhere.
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
"""Rows beyond the number of effects up to which second optima are common anywhere."""

VANISHING = 1e-6
"""Share of the residual variance that may be none in a model that fits everything."""

SMALL = 150
"""Number of random effects up to which many searches cost little more than one."""

LOWER = 1e-4
"""Difference of criteria by which one optimum is below another."""

BRIEFLY = Settings(maxiter=12, tol=1e-4)
"""When searches side by side stop: where they lead is known by then."""


def search(criterion, settings, start=None, idle=()):
    """
    Minimize the profiled deviance or the REML criterion.

    Parameters
    ----------
    criterion : Profiled
        Which of the two, in standardized units.
    settings : Settings
        When each search stops.
    start : sequence of RelativeFactor, optional
        The only place to start from, in the order of the elimination plan.
    idle : collection of int, optional
        Factors that stay without variances, by their places in the elimination plan.

    Returns
    -------
    deviance : ProfiledDeviance
        The criterion at the lowest optimum, in standardized units.
    optimum : Optimum
        How the search for it went, the number of starts, and how far above it other
        optima lie.
    """
    products = criterion.products
    first = moment_start(products) if start is None else start
    deviance, optimum = minimize(criterion, _without(first, idle), settings)
    # a structure tells its effects from residuals, unless nothing is left of these
    if is_saturated(products, structured=deviance.scale < VANISHING):
        return deviance, replace(optimum, certified=False, saturated=True)
    if start is not None or not optimum.certified or not _has_doubts(deviance, idle):
        return deviance, optimum

    places, count = _elsewhere(criterion, deviance, idle)
    values = [float(deviance.value)]
    for place in places:
        try:
            found, other = minimize(
                criterion, _without(place, idle), settings, deviance
            )
        except np.linalg.LinAlgError:
            continue
        if found is None:
            continue
        values.append(float(found.value))
        if found.value < deviance.value - max(LOWER, found.rounding):
            deviance, optimum = found, other
    gaps = np.sort(values) - float(deviance.value)
    return deviance, replace(
        optimum, starts=1 + count, others=tuple(gaps[gaps > LOWER].tolist())
    )


def _elsewhere(criterion, deviance, idle):
    """Places to search from, and how many were looked at for them."""
    products = criterion.products
    effects = sum(f.n_columns for f in products.plan.terms)
    small = effects <= SMALL and is_batchable(products)
    if small and deviance.inverse is None and not idle:
        many = many_starts(products)
        try:
            place = from_starts(criterion, many, deviance)
        except np.linalg.LinAlgError:
            pass  # one after another bears more than a batch
        else:
            return [] if place is None else [place], len(many)
    starts = further_starts(products, deviance.factors)
    if effects > SMALL:  # where second optima are rare
        structured = any(f.is_structured for f in products.plan.terms)
        starts = starts[: 2 if structured else 1]
    return starts, len(starts)


def from_starts(criterion, starts, known):
    """
    Search from many starts side by side for what is below a known optimum.

    Parameters
    ----------
    criterion : Profiled
        Of one response, see `is_batchable`.
    starts : sequence of sequence of RelativeFactor
        Factors to start from, each in the order of the elimination plan.
    known : ProfiledDeviance
        The optimum.

    Returns
    -------
    list of RelativeFactor or None
        Where the lowest search got, None if none got below.

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
        return False  # of one variance no second optimum was ever met
    left = products.nobs - products.k_fixed - sum(f.n_columns for f in terms)
    few = left <= FEW and all(map(is_independent, terms))
    return few or any(
        factor.may_be_elsewhere
        for at, factor in enumerate(deviance.factors)
        if at not in idle
    )


def _without(factors, idle):
    """Factors of which some have no variances."""
    return [f.nothing() if at in idle else f for at, f in enumerate(factors)]
