"""
Trust-region Newton on the pivoted relative factors.

The certificate of the optimum is that of convex optimization over a cone: a
covariance matrix S = L L' is first-order optimal if G L = 0 and G is positive
semi-definite, G = dd/dS, whether S is singular or not.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.criteria.derivatives import (
    MAX_DENSE_COLUMNS,
    derivatives,
    exact_hessian_is_feasible,
    with_exact_hessian,
)
from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.search.trust_region import step_in_units
from statsmodels_lmm.core.structures.relative_factor import split_step


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
    Where the search ended and how good that point is.

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

CLOSE = 0.03
"""Difference of criteria, and share of covariances, that counts as the same place."""

HOPELESS = 30.0
"""Promised decreases above a known optimum from which a search will not get below."""

REACHED = 1e-6
"""
Promised decrease that is left at a certified optimum, and rounding of the criterion
that may hide one.
"""

ACCEPTED = 1e-4
"""Share of the promised decrease that a step must bring."""

POLISHED = 1e-21
"""Promised decrease that leaves parameters within some 1e-11 of a standard error."""

EXACT_BELOW = 1e-1
"""Promised decrease below which the exact Hessian is worth its price."""


def minimize(products, start, reml, settings=Settings(), known=None):
    """
    Minimize the profiled deviance or the REML criterion.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics in standardized units.
    start : sequence of RelativeFactor
        Where to start from, in the order of the elimination plan.
    reml : bool
        Whether to minimize the REML criterion.
    settings : Settings, optional
        When to stop.
    known : ProfiledDeviance, optional
        An optimum that is known. A search that is bound for it, or for a worse one, is
        left.

    Returns
    -------
    deviance : ProfiledDeviance or None
        The criterion at the optimum, in standardized units; None if the search was
        left.
    optimum : Optimum or None
        How the search went.
    """
    search = _Search(products, reml, settings.maxiter)
    current = search.evaluate(start)
    if current is None:
        raise np.linalg.LinAlgError("the start is not positive definite")
    radius = 1.0
    while True:
        slope = search.differentiate(current, radius)
        step, promised = _step(current, slope, radius)
        search.record(current, slope, radius)
        # a decrease below the rounding of the criterion cannot be seen
        limit = max(settings.tol, float(current.rounding))
        if promised < limit:
            break
        if known is not None and _is_bound_for(known, current, step, promised):
            return None, None
        trial, radius = search.descend(current, slope, step, promised, radius, limit)
        if trial is None:
            break
        current = trial
    current, slope = search.polish(current, slope)
    current, slope = search.snap(current, slope)
    return _certify(current, slope, search)


def _is_bound_for(known, current, step, promised):
    """Whether a search nears a known optimum, or will end above it."""
    height = float(current.value - known.value)
    if promised < CLOSE and height > HOPELESS * promised:
        return True
    if promised > CLOSE or abs(height - promised) > CLOSE:
        return False
    nearly = [f.covariance for f in _stepped(current.factors, step)]
    return all(
        np.abs(s - f.covariance).max()
        <= CLOSE * np.abs(f.covariance).max(initial=CLOSE)
        for s, f in zip(nearly, known.factors)
    )


class _Search:
    """
    The evaluations of one search.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    reml : bool
        Whether the REML criterion is minimized.
    budget : int
        Largest number of evaluations.
    """

    def __init__(self, products, reml, budget):
        self.products, self.reml, self.budget = products, reml, budget
        self.evaluations, self.trace, self.exact = 0, [], False
        self.cheap = exact_hessian_is_feasible(products.plan, MAX_DENSE_COLUMNS // 3)

    def evaluate(self, factors):
        """The criterion at some relative factors, None if it is undefined."""
        self.evaluations += 1
        try:
            return profiled_deviance(self.products, factors, self.reml)
        except np.linalg.LinAlgError:
            return None

    def differentiate(self, current, radius):
        """Derivatives, with the exact Hessian close to the optimum if cheap."""
        slope = derivatives(current)
        if self.cheap and not self.exact:
            _, promised = _step(current, slope, radius)
            self.exact = promised < EXACT_BELOW
        return with_exact_hessian(current, slope) if self.exact else slope

    def record(self, current, slope, radius):
        """Add an iterate to the trace."""
        size = _largest(slope.gradient)
        self.trace.append((float(current.value), size, float(radius)))

    def descend(self, current, slope, step, promised, radius, limit):
        """The next iterate, None if there is none, and the next radius."""
        while self.evaluations < self.budget and promised >= limit:
            length = float(np.linalg.norm(step / current.units))
            trial = self.evaluate(_stepped(current.factors, step))
            gain = -1.0 if trial is None else (current.value - trial.value) / promised
            if gain > ACCEPTED:
                if gain > 0.75 and length > 0.9 * radius:
                    return trial, 2.0 * radius
                return trial, 0.5 * length if gain < 0.25 else radius
            radius = 0.25 * length
            step, promised = _step(current, slope, radius)
        return None, radius

    def polish(self, current, slope):
        """Exact Newton steps, each of which doubles the digits, while they do."""
        while self.exact and self.evaluations < self.budget:
            step, promised = _step(current, slope, 1.0)
            if not POLISHED < promised < REACHED:
                break
            trial = self.evaluate(_stepped(current.factors, step))
            if trial is None:
                break
            trial_slope = self.differentiate(trial, 1.0)
            size, trial_size = (_largest(s.gradient) for s in (slope, trial_slope))
            if trial_size < size:
                current, slope = trial, trial_slope
            if not trial_size < 0.5 * size:
                break
        return current, slope

    def snap(self, current, slope):
        """Pivots that are almost zero put to zero, unless the criterion rises."""
        snapped = [f.snapped() for f in current.factors]
        same = all(f is g for f, g in zip(snapped, current.factors))
        if same or self.evaluations >= self.budget:
            return current, slope
        trial = self.evaluate(snapped)
        if trial is not None and trial.value <= current.value + 1e-9:
            return trial, self.differentiate(trial, 1.0)
        return current, slope


def _step(current, slope, radius):
    """A step of the free parameters inside the trust region, and its promise."""
    return step_in_units(slope.gradient, slope.curvature, radius, current.units)


def _largest(values):
    return float(np.abs(values).max(initial=0.0))


def _stepped(factors, step):
    """Relative factors after a step of the free parameters."""
    return [f.stepped(s) for f, s in zip(factors, split_step(step, factors))]


def _certify(current, slope, search):
    """Collect the certificate of the last iterate."""
    eigenvalues, escape = [], 0.0
    for factor, dual, sums in zip(
        current.factors, slope.duals, current.selected.level_sums
    ):
        smallest, unused = factor.certificates(dual, sums)
        eigenvalues.append(np.array(smallest) + 0.0)  # no -0.0
        escape = min([escape, *unused])
    _, promised = _step(current, slope, 1.0)
    units = current.units
    curvatures = np.linalg.eigvalsh(units[:, None] * slope.curvature * units)
    theta = [f.theta(np.eye(len(f.matrix))) for f in current.factors]
    return current, Optimum(
        theta=np.concatenate(theta),
        evaluations=search.evaluations,
        gradient_norm=_largest(slope.gradient),
        promised=max(float(promised), 0.0) + 0.0,  # no -0.0
        duals=slope.duals,
        dual_eigenvalues=tuple(eigenvalues),
        curvature=slope.curvature,
        least_curvature=float(curvatures.min(initial=np.inf)),
        rounding=float(current.rounding),
        trace=tuple(search.trace),
        certified=bool(
            promised < REACHED
            and current.rounding < REACHED
            and escape > -DUAL_TOLERANCE
        ),
    )
