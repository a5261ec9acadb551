"""
The search for covariances of random effects together with those of errors.

A random effect and a correlation of errors may account for the same variation, so that
the likelihood may have an optimum in which one of them does the work of both. Nearly
always the first search ends with a sign of it, a singular covariance matrix; the search
is then restarted with the effects lifted off zero and the errors at their start.
"""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.structures.free_parameters import FreeParameters

LOWER = 1e-4
"""Difference of criteria at which one optimum counts as below another."""

STRONG = 3.0
"""Coordinate, as a multiple of the usual start, of a strong correlation."""


def search_correlated(criterion, settings, start=None):
    """
    Minimize the profiled deviance with a covariance of errors.

    Parameters
    ----------
    criterion : Correlated
        The criterion, in standardized units.
    settings : Settings
        When each search stops.
    start : sequence, optional
        The only starting point: factors in elimination order and `FreeParameters`.

    Returns
    -------
    deviance : CorrelatedDeviance
        The criterion at the lowest optimum.
    optimum : Optimum
        How the search went.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start.
    """
    if start is not None:
        return minimize(criterion, start, settings)
    usual = criterion.model.start()
    deviance, optimum = minimize(criterion, place(criterion, usual), settings)
    values, count = [float(deviance.value)], 1
    for other_start in _elsewhere(criterion, deviance, usual):
        count += 1
        try:
            other, further = minimize(criterion, other_start, settings, deviance)
        except np.linalg.LinAlgError:
            continue
        if other is None:
            continue
        values.append(float(other.value))
        better = other.value < deviance.value - max(LOWER, float(other.rounding))
        if better or (further.certified and not optimum.certified):
            deviance, optimum = other, further
    gaps = np.sort(values) - float(deviance.value)
    return deviance, replace(
        optimum, starts=count, others=tuple(gaps[gaps > LOWER].tolist())
    )


def place(criterion, coordinates):
    """A starting point: variances by the method of moments for whitened rows."""
    products = criterion.first_products
    if not np.array_equal(coordinates, criterion.model.start()):
        products = criterion.products_at(coordinates)
    factors = moment_start(products) if products.plan.terms else []
    return [*factors, FreeParameters(np.array(coordinates))]


def _elsewhere(criterion, deviance, usual):
    """Further starts, if another optimum is likely."""
    if not deviance.factors:
        return []
    starts = []
    if any(f.may_be_elsewhere for f in deviance.factors):
        starts.append(place(criterion, STRONG * usual))
        lifted = [f.lifted(0.5) for f in deviance.factors]
        starts.append([*lifted, FreeParameters(np.array(usual))])
    return starts
