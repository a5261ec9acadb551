"""
A trust-region Newton method in the pivoted relative factors.

The certificate of the optimum is that of convex optimization over a cone: with
G = dd/dS, a covariance matrix S = L L', singular or not, is first-order optimal if
G L = 0 and G is positive semi-definite.
"""

from dataclasses import dataclass, replace
from typing import Any

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
        Stop when the quadratic model promises a smaller decrease than this.
    watch : callable, optional
        Called at each new point of a single search with the Iterate, the decrease
        promised and the number of evaluations.
    """

    maxiter: int = 200
    tol: float = 1e-10
    watch: Any = None


@dataclass(frozen=True, repr=False)
class Optimum:
    """
    The end of a search, and how good that point is.

    For many searches every array has their axis first, and there is no trace.

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
        Decrease of the criterion promised by one more step.
    duals : tuple of ndarray
        G of each term, in elimination order.
    dual_eigenvalues : tuple of ndarray
        Smallest eigenvalue of G of each covariance block, relative to the
        information about it, in elimination order. For a block with a structure, the
        smallest second derivative at an end of a parameter's range.
    curvature : ndarray
        Curvature at the optimum.
    least_curvature : float
        Smallest eigenvalue of the curvature in natural step lengths; not above zero if
        directions are flat.
    rounding : float
        Rounding error of the criterion, which may hide the remaining gain.
    trace : tuple
        (criterion, largest gradient entry, trust radius) of every iterate.
    certified : bool
        Whether the point is proved to be a first-order optimum; there may be several.
    starts : int
        Number of starts. `evaluations` and `trace` are those of the search that found
        the optimum.
    others : tuple of float
        Heights of other optima found above this one, ascending.
    saturated : bool
        Whether the effects can reproduce any response, see `saturation`.
    interrupted : bool
        Whether the search was interrupted.
    given : bool
        Whether the point was given, without a search.
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
    interrupted: bool = False
    given: bool = False

    def __repr__(self):
        proof = "proved" if self.certified else "not proved"
        left = f"gradient {self.gradient_norm:.1g}, remaining gain {self.promised:.1g}"
        return f"<Optimum: {proof}, {self.evaluations} evaluations, {left}>"


DUAL_TOLERANCE = 1e-5
"""
How negative a relative eigenvalue of G may be at a certified optimum, in directions
that S does not use. In directions that it uses, G is as small as the gradient.
"""

SURELY = 3.0
"""Number of standard errors by which an estimated eigenvalue may be below that."""

REACHED = 1e-6
"""
Largest promised decrease remaining at a certified optimum, and largest rounding error
of the criterion that may hide one.
"""

NOT_HIGHER = 1e-9
"""Largest rise of the criterion allowed when small pivots are set to zero."""


def minimize(criterion, start, settings=Settings(), known=None):
    """
    Minimize a criterion and certify the result.

    Parameters
    ----------
    criterion : Criterion
        The criterion to minimize; many responses are searched side by side.
    start : sequence of RelativeFactor
        Starting point, in elimination order.
    settings : Settings, optional
        When to stop.
    known : Evaluation, optional
        A known optimum. A search heading for that optimum, or for a worse one, is
        abandoned.

    Returns
    -------
    evaluation : Evaluation or None
        The criterion at the optimum; None if every search was abandoned.
    optimum : Optimum or None
        How the search went.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined at the start or, with many searches, anywhere on
        the way.
    """
    descent = descend(criterion, start, settings, known)
    if descent.left.all():
        return None, None
    if descent.interrupted:
        return descent.last.evaluation, replace(
            certify(criterion, descent.last, int(descent.evaluations), descent.trace),
            certified=False,
            interrupted=True,
        )
    if descent.left.ndim:
        end, evaluations = _together(criterion, descent), descent.evaluations
    else:
        end, evaluations = _polished(criterion, descent, settings.maxiter)
    return end.evaluation, certify(criterion, end, evaluations, descent.trace)


def stay(criterion, start):
    """
    Evaluate a criterion at a point that is given, with the certificates of an optimum.

    Parameters
    ----------
    criterion : Criterion
        The criterion.
    start : sequence of RelativeFactor
        The point, as for `minimize`.

    Returns
    -------
    evaluation : Evaluation
        The criterion there.
    optimum : Optimum
        What a search would say that ended there.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is undefined there.
    """
    evaluation, optimum = minimize(criterion, start, Settings(maxiter=1))
    return evaluation, replace(optimum, given=True)


def _together(criterion, descent):
    """The ends of many searches after one more step, with small pivots at zero."""
    ends = criterion.moved(descent.last, descent.step)
    evaluation = criterion.evaluate([f.snapped(SINGULAR) for f in ends])
    if evaluation is None:
        raise np.linalg.LinAlgError("the criterion is undefined at an end")
    return Iterate.of(evaluation)


def _polished(criterion, descent, budget):
    """
    The end of one search after some final steps, and its total evaluations.

    Each exact Newton step doubles the digits, and steps continue while this holds.
    Pivots that are almost zero are set to zero unless the criterion rises.
    """
    current, evaluations = descent.last, int(descent.evaluations)
    # not the last step, which the trust region may have shortened
    step, promised = criterion.step(current, 1.0)
    while descent.exact and evaluations < budget:
        if not criterion.polished < promised < REACHED:
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
        step, promised = criterion.step(current, 1.0)

    snapped = [part.snapped() for part in current.point]
    same = all(new is old for new, old in zip(snapped, current.point))
    if not same and evaluations < budget:
        trial = criterion.evaluate(criterion.placed(snapped, current))
        evaluations += 1
        if trial is None:
            return current, evaluations
        if criterion.gain(current, trial, None, 0.0) >= -NOT_HIGHER:
            current = Iterate.of(trial, descent.exact)
    return current, evaluations


def _largest(values):
    return np.abs(values).max(axis=-1, initial=0.0)


def certify(criterion, end, evaluations, trace):
    """
    The certificates at the ends of searches.

    Parameters
    ----------
    criterion : Criterion
        What was minimized.
    end : Iterate
        The ends.
    evaluations : int or ndarray
        Number of evaluations of the criterion, shape (...).
    trace : tuple
        The iterates of a single search.

    Returns
    -------
    Optimum
    """
    evaluation, eigenvalues = end.evaluation, []
    slopes = evaluation.derivatives()
    duals, escape = slopes.duals, slopes.escape
    for factor, dual, weight in zip(evaluation.factors, duals, evaluation.information):
        smallest, unused = factor.certificates(dual, weight)
        eigenvalues.append(np.array(smallest).T + 0.0)  # no -0.0
        for value in unused:
            escape = np.minimum(escape, value)
    _, promised = end.step(1.0)
    units = end.units
    scaled = units[..., :, None] * end.curvature * units[..., None, :]
    theta = [f.theta(np.eye(f.matrix.shape[-1])) for f in evaluation.factors]
    allowed = DUAL_TOLERANCE + SURELY * criterion.dual_error(evaluation)
    reached = (promised < REACHED) & (end.rounding < REACHED)
    return Optimum(
        theta=np.concatenate(theta, axis=-1) if theta else np.zeros(0),
        evaluations=evaluations,
        gradient_norm=_plain(_largest(end.gradient)),
        promised=_plain(np.maximum(promised, 0.0) + 0.0),  # no -0.0
        duals=duals,
        dual_eigenvalues=tuple(eigenvalues),
        curvature=end.curvature,
        least_curvature=_plain(eigvalsh(scaled).min(axis=-1, initial=np.inf)),
        rounding=_plain(end.rounding),
        trace=trace,
        certified=_plain(reached & (escape > -allowed)),
    )


def _plain(value):
    """A number as a Python number if there is a single search."""
    return value if np.ndim(value) else value.item()
