"""
The search for the best optimum, from one start or from several.

The likelihood of variances may have several optima, each of them with a certificate.
Nearly always the second one shows itself at the end of the first search: it ends with
a singular covariance matrix, though the effects carry much of the response, or the
model has a structure of which the parameters cannot be guessed from moments. Then,
and only then, the search starts anew from other places.
"""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.newton import minimize
from statsmodels_lmm.core.saturation import is_saturated
from statsmodels_lmm.core.start import further_starts, moment_start

LOWER = 1e-4
"""Difference of criteria by which one optimum is below another."""


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
    start : sequence of RelativeFactor or StructuredFactor, optional
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
    if is_saturated(products):
        return deviance, replace(optimum, certified=False, saturated=True)
    alone = not (optimum.certified and _may_have_company(deviance, idle))
    if alone or start is not None:
        return deviance, optimum
    values, starts = [float(deviance.value)], 1
    for start in further_starts(products, deviance.factors):
        starts += 1
        try:
            found, other = minimize(
                products, _without(start, idle), reml, settings, deviance
            )
        except np.linalg.LinAlgError:
            continue
        if found is None:
            continue
        values.append(float(found.value))
        if found.value < deviance.value - LOWER:
            deviance, optimum = found, other
    gaps = np.sort(values) - float(deviance.value)
    return deviance, replace(
        optimum, starts=starts, others=tuple(gaps[gaps > LOWER].tolist())
    )


def _may_have_company(deviance, idle):
    """Whether a covariance is singular or has a structure."""
    return any(
        at not in idle and factor.may_be_elsewhere
        for at, factor in enumerate(deviance.factors)
    )


def _without(factors, idle):
    """Factors of which some have no variances."""
    return [f.nothing() if at in idle else f for at, f in enumerate(factors)]
