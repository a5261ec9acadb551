"""
Trust-region Newton on the pivoted relative factors.

The certificate of the optimum is that of convex optimization over a cone: a
covariance matrix S = L L' is first-order optimal if G L = 0 and G is positive
semi-definite, G = dd/dS, whether S is singular or not.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import eigvalsh
from statsmodels_lmm.core.search.descent import Iterate, descend
from statsmodels_lmm.core.structures.roots import SINGULAR


@dataclass(frozen=True)
class Settings:
    """
    When to stop.

    Parameters
    ----------
    maxiter : int, optional
        Largest number of evaluations of the criterion.
    tol : float, optional
        Stop when the model of the criterion promises a smaller decrease.
    """

    maxiter: int = 200
    tol: float = 1e-10


@dataclass(frozen=True)
class Optimum:
    """
    Where a search ended and how good that point is.

    Of many searches every array has their axis first, and there is no trace.

    Parameters
    ----------
    theta : ndarray
        Relative covariance parameters, the lower triangles of L column by column or
        those of a structure.
    evaluations : int
        Number of evaluations of the criterion.
    gradient_norm : float
        Largest entry of the gradient in standardized units.
    promised : float
        Decrease of the criterion that one more step promises.
    duals : tuple of ndarray
        G of each factor in the order of the elimination plan.
    dual_eigenvalues : tuple of ndarray
        Smallest eigenvalue of G of each covariance block, relative to the
        information about it, in the order of the elimination plan. Of a block with
        a structure the smallest slope away from the ends of its parameters.
    curvature : ndarray
        Curvature at the optimum.
    least_curvature : float
        Smallest eigenvalue of the curvature in the units of steps; not above zero where
        directions are flat.
    rounding : float
        Rounding of the criterion, which may hide what is left to gain.
    trace : tuple
        (criterion, largest gradient entry, trust radius) of every iterate.
    certified : bool
        Whether the point is proved to be a first-order optimum, of which there may
        be several.
    starts : int
        From how many starts the criterion was searched. `evaluations` and `trace` are
        those of the search that found the optimum.
    others : tuple of float
        How far above it the criterion is at other optima that were seen, ascending.
    saturated : bool
        Whether the effects can reproduce any response, see `saturation`.
    """

    theta: np.ndarray
    evaluations: int
    gradient_norm: float
    promised: float
    duals: tuple
    dual_eigenvalues: tuple
    curvature: np.ndarray
    least_curvature: float
    rounding: float
    trace: tuple
    certified: bool
    starts: int = 1
    others: tuple = ()
    saturated: bool = False


DUAL_TOLERANCE = 1e-5
"""
How negative a relative eigenvalue of G may be at a certified optimum, in directions
that S does not use. In those that it uses G is as small as the gradient.
"""

REACHED = 1e-6
"""
Promised decrease that is left at a certified optimum, and rounding of the criterion
that may hide one.
"""

POLISHED = 1e-21
"""Promised decrease that leaves parameters within some 1e-11 of a standard error."""

NOT_HIGHER = 1e-9
"""How much the criterion may rise where small pivots are put to zero."""


def minimize(criterion, start, settings=Settings(), known=None):
    """
    Minimize a criterion, and certify the end.

    Parameters
    ----------
    criterion : Criterion
        What to minimize; of many responses there are many searches, side by side.
    start : sequence of RelativeFactor
        Where to start from, in the order of the elimination plan.
    settings : Settings, optional
        When to stop.
    known : Evaluation, optional
        An optimum that is known. A search that is bound for it, or for a worse one, is
        left.

    Returns
    -------
    evaluation : Evaluation or None
        The criterion at the optimum; None if every search was left.
    optimum : Optimum or None
        How the search went.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start, or anywhere on the way of many
        searches.
    """
    descent = descend(criterion, start, settings, known)
    if descent.left.all():
        return None, None
    if descent.left.ndim:
        end, evaluations = _together(criterion, descent), descent.evaluations
    else:
        end, evaluations = _polished(criterion, descent, settings.maxiter)
    return end.evaluation, _certify(end, evaluations, descent.trace)


def _together(criterion, descent):
    """The ends of many searches, one step later, and small pivots put to zero."""
    ends = criterion.moved(descent.last, descent.step)
    evaluation = criterion.evaluate([f.snapped(SINGULAR) for f in ends])
    if evaluation is None:
        raise np.linalg.LinAlgError("the criterion is undefined at an end")
    return Iterate.of(evaluation)


def _polished(criterion, descent, budget):
    """
    The end of one search after some last steps, and all its evaluations.

    Exact Newton steps double the digits each, and are taken while they do. Pivots that
    are almost zero are put to zero, unless the criterion rises.
    """
    current, evaluations = descent.last, int(descent.evaluations)
    while descent.exact and evaluations < budget:
        step, promised = criterion.step(current, 1.0)
        if not POLISHED < promised < REACHED:
            break
        trial = criterion.evaluate(criterion.moved(current, step))
        evaluations += 1
        if trial is None:
            break
        before, trial = current, Iterate.of(trial, True)
        size, trial_size = _largest(before.gradient), _largest(trial.gradient)
        if trial_size < size:
            current = trial
        if not trial_size < 0.5 * size:
            break

    snapped = [f.snapped() for f in current.factors]
    same = all(f is g for f, g in zip(snapped, current.factors))
    if not same and evaluations < budget:
        trial = criterion.evaluate(snapped)
        evaluations += 1
        if trial is not None and trial.value <= current.value + NOT_HIGHER:
            current = Iterate.of(trial, descent.exact)
    return current, evaluations


def _largest(values):
    return np.abs(values).max(axis=-1, initial=0.0)


def _certify(end, evaluations, trace):
    """The certificates of the ends of searches."""
    evaluation, eigenvalues, escape = end.evaluation, [], 0.0
    duals = evaluation.derivatives().duals
    for factor, dual, weight in zip(end.factors, duals, evaluation.information):
        smallest, unused = factor.certificates(dual, weight)
        eigenvalues.append(np.array(smallest).T + 0.0)  # no -0.0
        for value in unused:
            escape = np.minimum(escape, value)
    _, promised = end.step(1.0)
    units = end.units
    scaled = units[..., :, None] * end.curvature * units[..., None, :]
    theta = [f.theta(np.eye(f.matrix.shape[-1])) for f in end.factors]
    reached = (promised < REACHED) & (end.rounding < REACHED)
    return Optimum(
        theta=np.concatenate(theta, axis=-1),
        evaluations=evaluations,
        gradient_norm=_plain(_largest(end.gradient)),
        promised=_plain(np.maximum(promised, 0.0) + 0.0),  # no -0.0
        duals=duals,
        dual_eigenvalues=tuple(eigenvalues),
        curvature=end.curvature,
        least_curvature=_plain(eigvalsh(scaled).min(axis=-1, initial=np.inf)),
        rounding=_plain(end.rounding),
        trace=trace,
        certified=_plain(reached & (escape > -DUAL_TOLERANCE)),
    )


def _plain(value):
    """A number of one search as a Python number."""
    return value if np.ndim(value) else value.item()
