"""
Trust-region Newton on the pivoted relative factors.

The certificate of the optimum is that of convex optimization over a cone: a
covariance matrix S = L L' is first-order optimal if G L = 0 and G is positive
semi-definite, G = dd/dS, whether S is singular or not.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.covariance import (
    lower_root,
    lower_triangles,
    pivoted_factor,
)
from statsmodels_lmm.core.dense import eigh
from statsmodels_lmm.core.derivatives import (
    MAX_DENSE_COLUMNS,
    derivatives,
    exact_hessian_is_feasible,
    with_exact_hessian,
)
from statsmodels_lmm.core.deviance import profiled_deviance


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
        Relative covariance parameters, the lower triangles of L column by column.
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
        information about it, in the order of the elimination plan.
    curvature : ndarray
        Curvature at the optimum.
    trace : tuple
        (criterion, largest gradient entry, trust radius) of every iterate.
    certified : bool
        Whether the point is proved to be a first-order optimum.
    """

    theta: np.ndarray
    evaluations: int
    gradient_norm: float
    promised: float
    duals: tuple
    dual_eigenvalues: tuple
    curvature: np.ndarray
    trace: tuple
    certified: bool


DUAL_TOLERANCE = 1e-5
"""How negative a relative eigenvalue of G may be at a certified optimum."""

SNAP = 1e-5
"""Pivots of L, in standardized units, that are tried at zero in the end."""

FLAT = 1e-6
"""Curvature, relative to the largest, that counts as none."""

WORTHWHILE = 1e-7
"""
Promised decrease for which directions of negative curvature and hardly any slope
are put off. They mark a saddle, but also the inside of a curved valley of
parameters that the data cannot tell apart, where they mislead.
"""

ROUNDING = 1e-14
"""Relative error of the criterion."""

POLISHED = 1e-18
"""Promised decrease below which the parameters have all the digits there are."""

EXACT_BELOW = 1e-1
"""Promised decrease below which the exact Hessian is worth its price."""


def minimize(products, start, reml, settings=Settings()):
    """
    Minimize the profiled deviance or the REML criterion.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics in standardized units.
    start : sequence of ndarray
        Relative covariance of each factor to start from, in the order of the
        elimination plan.
    reml : bool
        Whether to minimize the REML criterion.
    settings : Settings, optional
        When to stop.

    Returns
    -------
    deviance : ProfiledDeviance
        The criterion at the optimum, in standardized units.
    optimum : Optimum
        How the search went; its theta is in standardized units and in the order
        of the elimination plan.
    """
    plan = products.plan
    slices = [f.block_slices for f in plan.factors]

    def pivot(covariances, tolerance=0.0):
        return [pivoted_factor(s, b, tolerance) for s, b in zip(covariances, slices)]

    cheap = exact_hessian_is_feasible(plan, MAX_DENSE_COLUMNS // 3)
    current = profiled_deviance(products, pivot(start), reml)
    evaluations, radius, exact = 1, 1.0, False
    trace = []
    while True:
        slope = derivatives(current)
        if exact:
            slope = with_exact_hessian(current, slope)
        step, promised = trust_region_step(slope.gradient, slope.curvature, radius)
        if cheap and not exact and promised < EXACT_BELOW:
            exact = True
            slope = with_exact_hessian(current, slope)
            step, promised = trust_region_step(slope.gradient, slope.curvature, radius)
        size = np.abs(slope.gradient).max(initial=0.0)
        trace.append((float(current.value), float(size), radius))
        # a decrease below the rounding of the criterion cannot be seen
        limit = max(settings.tol, ROUNDING * abs(float(current.value)))
        # one exact Newton step more doubles the digits
        polish = exact and POLISHED < promised < limit
        if evaluations >= settings.maxiter or (promised < limit and not polish):
            break
        trial = None
        while evaluations < settings.maxiter:
            moved = _moved(current.factors, step)
            factors = pivot([f.covariance for f in moved])
            evaluations += 1
            try:
                trial = profiled_deviance(products, factors, reml)
                gain = (current.value - trial.value) / promised
            except np.linalg.LinAlgError:
                gain = -1.0
            length = np.linalg.norm(step)
            if gain > 1e-4 or polish:
                break
            trial = None
            radius = 0.25 * float(length)
            step, promised = trust_region_step(slope.gradient, slope.curvature, radius)
            if promised < limit:
                break
        if trial is None:
            break
        if gain > 0.75 and length > 0.9 * radius:
            radius *= 2.0
        elif gain < 0.25:
            radius = 0.5 * float(length)
        if polish:
            current, slope = _better(current, slope, trial)
            break
        current = trial
    snapped = pivot([f.covariance for f in current.factors], SNAP)
    if any((s.matrix != f.matrix).any() for s, f in zip(snapped, current.factors)):
        trial = profiled_deviance(products, snapped, reml)
        evaluations += 1
        if trial.value <= current.value + 1e-9:
            current, slope = trial, derivatives(trial)
    _, promised = trust_region_step(slope.gradient, slope.curvature, 1.0)
    return _certify(current, slope, promised, evaluations, trace)


def _better(current, slope, trial):
    """Whichever of two points at the optimum has the smaller gradient."""
    trial_slope = derivatives(trial)
    if np.abs(trial_slope.gradient).max() < np.abs(slope.gradient).max():
        return trial, trial_slope
    return current, slope


def _moved(factors, step):
    """The factors after a step of their free entries."""
    ends = np.cumsum([0] + [len(f.rows) for f in factors])
    return [f.moved(step[a:b]) for f, a, b in zip(factors, ends[:-1], ends[1:])]


def _certify(current, slope, promised, evaluations, trace):
    """Collect the certificate of the last iterate."""
    eigenvalues = []
    plan = current.elimination.products.plan
    for factor, dual, sums in zip(
        plan.factors, slope.duals, current.selected.level_sums
    ):
        smallest = []
        for block in factor.block_slices:
            information = np.trace(sums[block, block])
            lowest = np.linalg.eigvalsh(dual[block, block])[0]
            smallest.append(lowest / information if information > 0 else 0.0)
        eigenvalues.append(np.array(smallest))
    lowest = min(e.min() for e in eigenvalues)
    theta = []
    for factor, root in zip(plan.factors, current.factors):
        lower = lower_root(root.covariance)
        theta.append(lower[lower_triangles(factor.block_slices)])
    return current, Optimum(
        theta=np.concatenate(theta),
        evaluations=evaluations,
        gradient_norm=float(np.abs(slope.gradient).max(initial=0.0)),
        promised=max(float(promised), 0.0),
        duals=slope.duals,
        dual_eigenvalues=tuple(eigenvalues),
        curvature=slope.curvature,
        trace=tuple(trace),
        certified=bool(promised < 1e-6 and lowest > -DUAL_TOLERANCE),
    )


def trust_region_step(gradient, curvature, radius):
    """
    Minimize g's + s'H s / 2 over the ball of a radius.

    Parameters
    ----------
    gradient : ndarray
        g, shape (m,).
    curvature : ndarray
        H, symmetric, not necessarily positive, shape (m, m).
    radius : float
        Radius of the ball.

    Returns
    -------
    step : ndarray
        Shape (m,).
    promised : float
        Decrease of the quadratic.
    """
    values, vectors = eigh(curvature)
    slope = vectors.T @ gradient
    largest = np.abs(values).max(initial=1e-300)
    flat = (np.abs(values) <= FLAT * largest) & (np.abs(slope) <= FLAT)
    idle = (values <= 0.0) & (np.abs(slope) <= 1e-2 * np.linalg.norm(slope))
    for left_out in (flat | idle, flat):
        used = ~left_out
        step = np.zeros_like(slope)
        step[used] = _step_along_axes(slope[used], values[used], radius)
        promised = -(slope + 0.5 * values * step) @ step
        if promised > WORTHWHILE:
            break
    return vectors @ step, float(promised)


def _step_along_axes(slope, values, radius):
    """The step in the coordinates of the eigenvectors."""
    if not len(slope):
        return slope
    lowest = values.min()
    if lowest > 0:
        step = -slope / values
        if np.linalg.norm(step) <= radius:
            return step
    low = max(0.0, -lowest)
    step = -slope / (values + low + 1e-9 * max(1.0, low))
    length = np.linalg.norm(step)
    if length < radius:
        along = np.argmin(values)
        rest = np.sqrt(radius**2 - length**2 + step[along] ** 2)
        step[along] = -rest if slope[along] > 0 else rest
        return step
    return -slope / (values + _shift_for_radius(slope, values, low, radius))


def _shift_for_radius(slope, values, low, radius):
    """The shift at which the step has the length of the radius."""
    high = low + np.linalg.norm(slope) / radius
    for _ in range(60):
        middle = 0.5 * (low + high)
        length = np.linalg.norm(slope / (values + middle))
        if abs(length - radius) < 1e-3 * radius:
            return middle
        low, high = (middle, high) if length > radius else (low, middle)
    return high
