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
from statsmodels_lmm.core.resampling.refits import from_starts, is_batchable
from statsmodels_lmm.core.search.newton import Settings, minimize

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


def search(products, reml, settings, start=None, idle=()):
    """
    Minimize the profiled deviance or the REML criterion.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics in standardized units.
    reml : bool
        Whether to minimize the REML criterion.
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
    first = moment_start(products) if start is None else start
    deviance, optimum = minimize(products, _without(first, idle), reml, settings)
    # a structure tells its effects from residuals, unless nothing is left of these
    if is_saturated(products, structured=deviance.scale < VANISHING):
        return deviance, replace(optimum, certified=False, saturated=True)
    if start is not None or not optimum.certified or not _has_doubts(deviance, idle):
        return deviance, optimum

    places, count = _elsewhere(products, deviance, reml, idle)
    values = [float(deviance.value)]
    for place in places:
        try:
            found, other = minimize(
                products, _without(place, idle), reml, settings, deviance
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


def _elsewhere(products, deviance, reml, idle):
    """Places to search from, and how many were looked at for them."""
    effects = sum(f.n_columns for f in products.plan.factors)
    small = effects <= SMALL and is_batchable(products)
    if small and deviance.inverse is None and not idle:
        many = many_starts(products)
        try:
            place = from_starts(products, many, reml, BRIEFLY, deviance)
        except np.linalg.LinAlgError:
            pass  # one after another bears more than a batch
        else:
            return [] if place is None else [place], len(many)
    starts = further_starts(products, deviance.factors)
    if effects > SMALL:  # where second optima are rare
        structured = any(f.is_structured for f in products.plan.factors)
        starts = starts[: 2 if structured else 1]
    return starts, len(starts)


def _has_doubts(deviance, idle):
    """Whether another optimum is likely."""
    products = deviance.elimination.products
    factors = products.plan.factors
    if sum(f.n_parameters for f in factors) == 1:
        return False  # of one variance no second optimum was ever met
    left = products.nobs - products.k_fixed - sum(f.n_columns for f in factors)
    few = left <= FEW and all(map(is_independent, factors))
    return few or any(
        factor.may_be_elsewhere
        for at, factor in enumerate(deviance.factors)
        if at not in idle
    )


def _without(factors, idle):
    """Factors of which some have no variances."""
    return [f.nothing() if at in idle else f for at, f in enumerate(factors)]
