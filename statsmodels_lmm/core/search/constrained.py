"""
Minimize the criterion with one parameter held at a value.

With L the relative factors and tau = 1 / sigma, the criterion before sigma is
profiled out is

    f(L, tau) = log |V| + [log |X'V^-1 X|] + nu log(2 pi / tau^2) + tau^2 r^2(L).

A constraint confines (L, tau) to a linear space, see `constraints`. So Newton's
method in its free coordinates needs nothing but the derivatives of f in all entries
of L and in tau, times a Jacobian matrix.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular

from statsmodels_lmm.core.criteria.derivatives import (
    derivatives,
    with_exact_hessian,
)
from statsmodels_lmm.core.criteria.deviance import ProfiledDeviance, profiled_deviance
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.search.constraints import Constraint, Coordinates
from statsmodels_lmm.core.search.newton import ACCEPTED
from statsmodels_lmm.core.search.trust_region import trust_region_step
from statsmodels_lmm.core.structures.relative_factor import split_step

TOLERANCE = 1e-8
"""Promised decrease at which a search stops; it is subtracted from the value."""

MAX_EXACT = 150
"""
Number of random effects of several factors up to which the exact Hessian is used;
beyond it two evaluations more with the average information are cheaper.
"""

MAX_EVALUATIONS = 100
"""Largest number of evaluations of one search."""


@dataclass(frozen=True)
class ConstrainedOptimum:
    """
    The minimum of the criterion with one parameter held.

    Parameters
    ----------
    at : float
        Value at which the parameter is held, in the units of its constraint.
    value : float
        Criterion in standardized units.
    slope : float
        Its derivative in the parameter, the other parameters following.
    deviance : ProfiledDeviance
        The criterion before it is minimized over sigma; `scale` is sigma^2. It comes
        without its elimination, which a curve of many points would have to hold.
    coordinates : Coordinates
        Where the minimum is.
    gradient, curvature : ndarray
        Derivatives in all entries of L and log(tau), shapes (m + 1,) and
        (m + 1, m + 1).
    evaluations : int
        Number of evaluations of the criterion.
    """

    at: float
    value: float
    slope: float
    deviance: ProfiledDeviance
    coordinates: Coordinates
    gradient: np.ndarray
    curvature: np.ndarray
    evaluations: int

    @property
    def factors(self):
        """The relative factors in the order of the elimination plan."""
        return self.deviance.factors

    @property
    def tau(self):
        """1 / sigma in standardized units."""
        return float(self.deviance.scale) ** -0.5

    @property
    def second_derivative(self):
        """
        Curvature of the minimum as a function of the parameter.

        It is exact where `gradient` is zero, that is at the minimum over all
        parameters, to the degree to which `curvature` is.
        """
        along, jacobian = self.coordinates.along, self.coordinates.jacobian
        moved = self.curvature @ along
        inner = jacobian.T @ self.curvature @ jacobian
        across = jacobian.T @ moved
        fall = across @ np.linalg.pinv(inner, 1e-10, hermitian=True) @ across
        return float(along @ moved - fall)


def minimize_constrained(products, constraint, at, start, reml, tol=TOLERANCE):
    """
    Minimize the criterion with one parameter held at a value.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics in standardized units.
    constraint : Constraint
        Which parameter.
    at : float
        Its value, in the units of the constraint.
    start : tuple
        The factors in the order of the elimination plan, and tau, not necessarily on
        the constraint.
    reml : bool
        Whether it is the REML criterion.
    tol : float, optional
        Promised decrease at which to stop.

    Returns
    -------
    ConstrainedOptimum

    Raises
    ------
    numpy.linalg.LinAlgError
        If the criterion is not defined at the start.
    """
    search = _Search(constraint.reduced(products, at), constraint, at, reml)
    current = search.evaluate(*start)
    if current is None:
        raise np.linalg.LinAlgError("the start is not positive definite")
    radius = 1.0
    while True:
        gradient, curvature = search.differentiate(current)
        coordinates, deviance, value = current
        system = (coordinates, gradient, curvature)
        limit = max(tol, float(deviance.rounding))
        move, promised = _bounded_step(*system, radius)
        trial = None
        while promised >= limit and search.evaluations < MAX_EVALUATIONS:
            length = float(np.linalg.norm(move))
            trial = search.moved(coordinates, deviance, move)
            gain = -1.0 if trial is None else (value - trial[2]) / promised
            if gain > ACCEPTED:
                break
            trial, radius = None, 0.25 * length
            move, promised = _bounded_step(*system, radius)
        if trial is None:
            break
        current = trial
        if gain > 0.75:
            radius = max(radius, 2.0 * length)
        elif gain < 0.25:
            radius = 0.5 * length
    slope = float(gradient @ coordinates.along)
    slope += constraint.direct_slope(products, deviance, at)
    value = float(value) - min(promised, limit)
    return ConstrainedOptimum(
        at,
        value,
        slope,
        replace(deviance, elimination=None),
        coordinates,
        gradient,
        curvature,
        search.evaluations,
    )


class _Search:
    """The evaluations of one search."""

    def __init__(self, products: CrossProducts, constraint: Constraint, at, reml):
        self.products, self.constraint, self.at = products, constraint, at
        self.reml, self.evaluations = reml, 0
        self.nu = products.nobs - (products.k_fixed if reml else 0)
        self.cheap = products.projection_is_affordable(MAX_EXACT)

    def evaluate(self, factors, tau):
        """(coordinates, deviance, value) on the constraint, None if undefined."""
        if tau is not None and not tau > 0.0:
            return None
        self.evaluations += 1
        try:
            coordinates = self.constraint.place(factors, tau, self.at)
            deviance = profiled_deviance(self.products, coordinates.factors, self.reml)
        except np.linalg.LinAlgError:
            return None
        if coordinates.tau is None:
            return coordinates, deviance, deviance.value
        ratio = deviance.scale * coordinates.tau**2
        value = deviance.value + self.nu * (ratio - 1.0 - np.log(ratio))
        held = replace(deviance, scale=np.asarray(coordinates.tau**-2.0))
        return coordinates, held, value

    def moved(self, coordinates, deviance, move):
        """The criterion after a move of the entries of L and log(tau)."""
        factors = coordinates.factors
        moved = [f.moved(m) for f, m in zip(factors, split_step(move, factors))]
        return self.evaluate(moved, deviance.scale**-0.5 * (1.0 + move[-1]))

    def differentiate(self, current):
        """Gradient and curvature in all entries of L and tau / tau now."""
        coordinates, deviance, _ = current
        found = derivatives(deviance)
        if self.cheap:
            found = with_exact_hessian(deviance, found)
        m = len(found.gradient)
        gradient, curvature = np.zeros(m + 1), np.zeros((m + 1, m + 1))
        gradient[:m], curvature[:m, :m] = found.gradient, found.curvature
        if coordinates.tau is None:
            return gradient, curvature
        squares = deviance.squares * coordinates.tau**2
        across = found.working[:, None] * found.working
        curvature[:m, :m] += across / self.nu
        gradient[m] = 2.0 * (squares - self.nu)
        curvature[m, :m] = curvature[:m, m] = -2.0 * found.working
        curvature[m, m] = 2.0 * (squares + self.nu)
        return gradient, curvature


def _bounded_step(coordinates, gradient, curvature, radius):
    """A step of the entries of L and log(tau) inside the bounds, and its promise."""
    jacobian, bounded = coordinates.jacobian, coordinates.bounded
    slope = jacobian.T @ gradient
    held = [c for c, v in bounded.items() if v == 0.0 and slope[c] > 0.0]
    while True:
        free = np.setdiff1d(np.arange(jacobian.shape[1]), held)
        if not len(free):
            return np.zeros(len(gradient)), 0.0
        # steps are measured in the entries of L, whatever the coordinates
        basis, triangle = np.linalg.qr(jacobian[:, free])
        step, promised = trust_region_step(
            basis.T @ gradient, basis.T @ curvature @ basis, radius
        )
        moves = dict(zip(free.tolist(), solve_triangular(triangle, step)))
        stuck = [c for c, v in bounded.items() if v == 0.0 and moves.get(c, 0.0) < 0.0]
        if not stuck:
            break
        held += stuck
    move = basis @ step
    share = min(
        [1.0] + [-v / moves[c] for c, v in bounded.items() if moves.get(c, 0.0) < -v]
    )
    if share < 1.0:
        move = share * move
        promised = -float(gradient @ move + 0.5 * move @ curvature @ move)
    return move, promised
