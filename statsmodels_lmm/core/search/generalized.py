"""
The search for the parameters of a generalized mixed model.

The Laplace deviance is minimized first. Quadrature starts where that search is almost
done: its nodes are placed by the same modes.
"""

from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.criteria.laplace import Laplace, Place
from statsmodels_lmm.core.criteria.quadrature import Quadrature
from statsmodels_lmm.core.search.descent import descend
from statsmodels_lmm.core.search.newton import Settings, minimize

NEAR = Settings(maxiter=30, tol=1e-2)
"""How closely quadrature wants to know the Laplace optimum."""

LOWER = 1e-4
"""Difference of criteria at which one optimum counts as below another."""


def search_generalized(criterion, settings, start=None):
    """
    Minimize the deviance of a generalized mixed model.

    Parameters
    ----------
    criterion : Laplace or Quadrature
        The criterion, in standardized units.
    settings : Settings
        When the search stops.
    start : Place, optional
        Where it starts; default is a joint minimization at moderate variances.

    Returns
    -------
    evaluation : LaplaceDeviance
        The criterion at the optimum.
    optimum : Optimum
        How the search went.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start.
    """
    if start is not None:
        evaluation, optimum = minimize(criterion, start, settings)
    else:
        try:
            evaluation, optimum = _first_search(criterion, settings, criterion.start)
        except np.linalg.LinAlgError:
            start = criterion.cautious_start
            evaluation, optimum = _first_search(criterion, settings, start)
    settled = optimum.certified and not _has_doubts(evaluation)
    if settled or optimum.interrupted:
        return evaluation, optimum
    # a singular matrix may hide a second optimum, as in a linear model
    values = [float(evaluation.value)]
    lifted = [f.lifted(LIFT) for f in evaluation.factors]
    point = criterion.point(evaluation.coefficients, lifted, evaluation.extra)
    place = Place(point, evaluation.coefficients, evaluation.inner.state)
    try:
        other, further = minimize(criterion, place, settings, evaluation)
    except np.linalg.LinAlgError:
        other = None
    if other is not None:
        values.append(float(other.value))
        better = other.value < evaluation.value - max(LOWER, float(other.rounding))
        if better or (further.certified and not optimum.certified):
            evaluation, optimum = other, further
    gaps = np.sort(values) - float(evaluation.value)
    others = tuple(gaps[gaps > LOWER].tolist())
    return evaluation, replace(optimum, starts=2, others=others)


def _first_search(criterion, settings, start):
    """The search from a start that the criterion makes itself."""
    place, before = start(), 0
    if isinstance(criterion, Quadrature):
        laplace = Laplace(criterion.model, criterion.observed)
        end = descend(laplace, place, NEAR)
        last = end.last.evaluation
        place = Place(last.point, last.coefficients, last.inner.state)
        before = int(end.evaluations)
    evaluation, optimum = minimize(criterion, place, settings)
    return evaluation, replace(optimum, evaluations=optimum.evaluations + before)


LIFT = 0.5
"""Deviation, of standardized effects, to which a second start is moved."""


def _has_doubts(evaluation):
    """Whether another optimum is likely."""
    factors = evaluation.factors
    if sum(f.n_parameters for f in factors) == 1:
        return False  # no second optimum is known for a single variance
    return any(f.may_be_elsewhere for f in factors)
