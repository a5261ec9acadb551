"""
Penalized least squares at one value of the covariances, with the residual variance.

For columns A of the working set, G = A'V^-1 A, q = A'V^-1 y and t = y'V^-1 y, and the
penalty

    h(b) = lambda sum_j w_j (c |b_j| + (1 - c) b_j^2 / 2),

there are two objectives in the coefficients b and the residual standard deviation s.
The scaled one, in beta = b / s and rho = 1 / s, is jointly convex (Staedler, Buehlmann
and van de Geer 2010):

    -2 n log rho + |rho y - A beta|^2 + 2 h(beta),                              (scaled)

with squares in the metric of V^-1. That of Schelldorfer, Buehlmann and van de Geer
(2011) is not:

    n log s^2 + |y - A b|^2 / s^2 + 2 h(b).                                     (plain)

With the signs of the coefficients that are not zero known, either is solved in closed
form, which also proves the solution: the others must not be pulled harder than the
penalty holds them. Where the signs are not known, a lasso at the last s finds them.

References
----------
Staedler, N., Buehlmann, P. and van de Geer, S. (2010). l1-penalization for mixture
regression models. TEST 19, 209-256.
Schelldorfer, J., Buehlmann, P. and van de Geer, S. (2011). Estimation for
high-dimensional linear mixed-effects models using l1-penalization. Scandinavian Journal
of Statistics 38, 197-214.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky, solve_lower, solve_upper

ROUNDS = 100
"""Largest number of lassos while the signs are not settled."""

COLLAPSED = 1e-8
"""Share of the response's squares at which the residual variance counts as none."""

HELD = 1e-9
"""Excess, relative to the penalty, of a pull that counts as held."""

SETTLED = 1e-13
"""Relative change of s at which lassos stop, should the signs never settle."""


@dataclass(frozen=True)
class Penalty:
    """
    The penalty on the coefficients of the working set.

    Parameters
    ----------
    amount : float
        lambda.
    weights : ndarray
        w, zero for columns that are not penalized, shape (a,).
    l1 : float
        c, the share of absolute values in the penalty.
    """

    amount: float
    weights: np.ndarray
    l1: float = 1.0

    @cached_property
    def pulls(self):
        """Largest pull with which a coefficient stays at zero, shape (a,)."""
        return self.amount * self.l1 * self.weights

    @cached_property
    def ridge(self):
        """Second derivatives of the penalty, shape (a,)."""
        return self.amount * (1.0 - self.l1) * self.weights

    def tightened(self, g):
        """The penalty h(g b) as a function of b."""
        own, rest = g * self.l1, g**2 * (1.0 - self.l1)
        return Penalty(self.amount * (own + rest), self.weights, own / (own + rest))

    def __call__(self, b):
        """h(b)."""
        return float(self.pulls @ np.abs(b) + 0.5 * self.ridge @ b**2)


@dataclass(frozen=True)
class Solution:
    """
    The minimum over the coefficients and the residual variance.

    Parameters
    ----------
    coefficients : ndarray
        b, shape (a,).
    scale : float
        s^2.
    value : float
        The objective without log |V|.
    active : ndarray
        Positions of the columns that are unpenalized or not zero, shape (m,).
    root : ndarray
        Lower Cholesky factor of their G, with the ridge, shape (m, m).
    shrinkage : ndarray
        How much the cross derivatives of s and a covariance shrink with the
        coefficients of these columns, see `criterion`, shape (m,).
    stiffness : float
        The second derivative by which these cross derivatives are divided when s is
        profiled out; n without a penalty.
    """

    coefficients: np.ndarray
    scale: float
    value: float
    active: np.ndarray
    root: np.ndarray
    shrinkage: np.ndarray
    stiffness: float


@dataclass(frozen=True)
class _Support:
    """The quadratic on columns that are active, with their signs."""

    active: np.ndarray
    root: np.ndarray
    least_squares: np.ndarray
    shrinkage: np.ndarray
    left: float


class _Objective:
    """What both objectives share."""

    loosened: Any
    stiffened: Any
    scale_of: Any
    on: Any

    def solve(self, gram, nobs, penalty, lasso, start, largest=np.inf):
        """
        Minimize over coefficients and residual variance.

        Parameters
        ----------
        gram : ndarray
            [A y]'V^-1 [A y], shape (a + 1, a + 1).
        nobs : int
            Number of rows n.
        penalty : Penalty
            The penalty.
        lasso : callable
            ``lasso(root, target, pulls, start)`` minimizes |target - root x|^2 / 2 plus
            the sum of pulls times |x|.
        start : tuple
            Coefficients close to the solution, shape (a,), and its s^2.
        largest : float, optional
            Number of penalized columns above which to give up.

        Returns
        -------
        Solution

        Raises
        ------
        numpy.linalg.LinAlgError
            If active columns are linearly dependent or too many, or if there is no
            minimum.
        """
        problem = _Problem(gram, nobs, penalty)
        b, scale = start
        found = self._proved(problem, b)
        if found is not None:
            return found
        for _ in range(ROUNDS):
            b = problem.lasso(lasso, b, self.loosened(scale), self.stiffened(scale))
            if np.count_nonzero(b[problem.is_held]) > largest:
                raise np.linalg.LinAlgError("more columns are chosen than allowed")
            found = self._proved(problem, b)
            if found is not None:
                return found
            before, scale = scale, self.scale_of(problem, b)
            if not scale > COLLAPSED * problem.total / nobs:
                raise np.linalg.LinAlgError("the columns reproduce the response")
            if abs(scale - before) <= SETTLED * before:
                break
        return self.on(problem, problem.support(b), np.sign(b))

    def _proved(self, problem, b):
        """The solution with the signs of b, if they are right."""
        signs = np.sign(b)
        try:
            found = self.on(problem, problem.support(b), signs)
        except np.linalg.LinAlgError:
            return None
        kept = np.sign(found.coefficients)
        if not np.array_equal(kept[problem.is_held], signs[problem.is_held]):
            return None
        pull = np.abs(problem.pull(found.coefficients))
        limit = problem.penalty.pulls * self.loosened(found.scale)
        outside = signs == 0.0
        held = pull <= limit * (1.0 + HELD)
        return found if held[outside & problem.is_held].all() else None


@dataclass(frozen=True)
class _Problem:
    """The numbers of one problem."""

    gram: np.ndarray
    nobs: int
    penalty: Penalty

    @property
    def squares(self):
        return self.gram[:-1, :-1]

    @property
    def right(self):
        return self.gram[:-1, -1]

    @property
    def total(self):
        return float(self.gram[-1, -1])

    @cached_property
    def is_held(self):
        """Which columns are penalized."""
        return self.penalty.weights > 0.0

    def support(self, b):
        """Positions of unpenalized columns and of those not zero."""
        return np.flatnonzero(~self.is_held | (b != 0.0))

    def pull(self, b):
        """Minus half the slope of the squares, shape (a,)."""
        return self.right - self.squares @ b

    def residual(self, b):
        """The squares of y - A b."""
        return float(self.total - 2.0 * self.right @ b + b @ self.squares @ b)

    def quadratic(self, active, signs, ridge):
        """The quadratic on the active columns."""
        gram = self.squares[np.ix_(active, active)] + np.diag(ridge[active])
        root = cholesky(gram)
        right = np.column_stack(
            [self.right[active], self.penalty.pulls[active] * signs[active]]
        )
        half = solve_lower(root, right)
        both = solve_upper(root, half)
        left = self.total - float(half[:, 0] @ half[:, 0])
        return _Support(active, root, both[:, 0], both[:, 1], left)

    def lasso(self, solver, b, loosened, stiffened):
        """The coefficients at given factors of the penalty's pulls and ridge."""
        gram = self.squares + np.diag(self.penalty.ridge * stiffened)
        free, held = np.flatnonzero(~self.is_held), np.flatnonzero(self.is_held)
        root = cholesky(gram[np.ix_(free, free)])
        across = solve_lower(root, gram[np.ix_(free, held)])
        own = solve_lower(root, self.right[free])
        inner = gram[np.ix_(held, held)] - across.T @ across
        values, vectors = np.linalg.eigh(0.5 * (inner + inner.T))
        large = values > 1e-13 * values[-1]
        sizes, basis = np.sqrt(values[large]), vectors[:, large]
        target = (basis.T @ (self.right[held] - across.T @ own)) / sizes
        pulls = self.penalty.pulls[held] * loosened
        out = np.zeros(len(b))
        out[held] = solver(sizes[:, None] * basis.T, target, pulls, b[held])
        out[free] = solve_upper(root, own - across @ out[held])
        return out

    def solution(self, support, whole, scale, value, shrinkage, stiffness):
        """A Solution with these coefficients."""
        value = value + self.nobs * np.log(2.0 * np.pi)
        parts = support.active, support.root, shrinkage, stiffness
        return Solution(whole, float(scale), float(value), *parts)

    def whole(self, active, b):
        """Coefficients of all columns from those of the active ones."""
        out = np.zeros(len(self.right))
        out[active] = b
        return out


class ScaledObjective(_Objective):
    """The objective that is equivariant: the penalty is on b / s."""

    name = "scaled"

    def tightness(self, whitening):
        """g, by which b / s is multiplied for correlated errors, see `correlated`."""
        n = len(whitening.model.log_sd)
        return float(np.exp(-0.5 * whitening.log_determinant / n))

    def loosened(self, scale):
        """The factor of the pulls for b at a given s^2."""
        return np.sqrt(scale)

    def stiffened(self, scale):
        """The factor of the ridge for b at a given s^2."""
        return 1.0

    def scale_of(self, problem, b):
        """The best s^2 for given coefficients: n s^2 = |y - A b|^2 + s lambda w|b|."""
        squares, n = problem.residual(b), problem.nobs
        size = problem.penalty.pulls @ np.abs(b)
        ridge = problem.penalty.ridge @ b**2
        root = np.sqrt(size**2 + 4.0 * n * (squares + ridge))
        return float(((size + root) / (2.0 * n)) ** 2)

    def on(self, problem, active, signs):
        """The solution on given columns: rho solves rho^2 t + rho m = n."""
        support = problem.quadratic(active, signs, problem.penalty.ridge)
        n, left = problem.nobs, max(support.left, 0.0)
        pulled = float(problem.right[active] @ support.shrinkage)
        total = pulled + np.sqrt(pulled**2 + 4.0 * n * left)
        if not total > COLLAPSED * np.sqrt(n * problem.total):
            raise np.linalg.LinAlgError("nothing is left of the residual variance")
        rho = 2.0 * n / total
        beta = rho * support.least_squares - support.shrinkage
        whole = problem.whole(active, beta / rho)
        squares = problem.residual(whole) * rho**2
        value = -2.0 * n * np.log(rho) + squares
        value += 2.0 * problem.penalty(rho * whole)
        stiffness = 0.5 * (n + left * rho**2)
        shrinkage = rho * support.shrinkage
        return problem.solution(
            support, whole, 1.0 / rho**2, value, shrinkage, stiffness
        )


class PlainObjective(_Objective):
    """The objective of lmmlasso: the penalty is on b."""

    name = "lmmlasso"

    def tightness(self, whitening):
        """The penalty on b does not depend on the errors."""
        return 1.0

    def loosened(self, scale):
        """The factor of the pulls for b at a given s^2."""
        return scale

    def stiffened(self, scale):
        """The factor of the ridge for b at a given s^2."""
        return scale

    def scale_of(self, problem, b):
        """The best s^2 for given coefficients."""
        return problem.residual(b) / problem.nobs

    def on(self, problem, active, signs):
        """The solution on given columns, by fixed point if there is a ridge."""
        n, ridge = problem.nobs, problem.penalty.ridge
        support = problem.quadratic(active, signs, np.zeros(len(signs)))
        scale = self._scale(n, support, problem, active, signs)
        if ridge.any():
            for _ in range(ROUNDS):
                support = problem.quadratic(active, signs, scale * ridge)
                b = support.least_squares - scale * support.shrinkage
                whole = problem.whole(active, b)
                before, scale = scale, problem.residual(whole) / n
                if abs(scale - before) <= SETTLED * before:
                    break
        b = support.least_squares - scale * support.shrinkage
        whole = problem.whole(active, b)
        squares = problem.residual(whole) / scale
        value = n * np.log(scale) + squares + 2.0 * problem.penalty(whole)
        stiffness = 2.0 * max(support.left, 0.0) / scale - n
        shrinkage = 2.0 * support.shrinkage
        return problem.solution(support, whole, scale, value, shrinkage, stiffness)

    def _scale(self, n, support, problem, active, signs):
        """The smaller root of n x = t + x^2 c, the minimum on these columns."""
        pulls = problem.penalty.pulls[active] * signs[active]
        c, left = float(pulls @ support.shrinkage), max(support.left, 0.0)
        discriminant = n**2 - 4.0 * c * left
        if discriminant < 0.0 or left == 0.0:
            raise np.linalg.LinAlgError("the objective has no minimum")
        return 2.0 * left / (n + np.sqrt(discriminant))


OBJECTIVES: dict[str, Any] = {o.name: o for o in (ScaledObjective(), PlainObjective())}
"""The objectives by name."""
