"""
Conditional modes of the random effects: penalized iteratively reweighted least squares.

The state is t with b = S t, which stays meaningful where S changes, is singular or is
zero. A Newton step for

    f(t) = 2 sum c(eta) + t'S t

is a weighted linear mixed model: with weights w = c'' and A = Z' diag(w) Z,

    v = Z'(w (eta - X beta - offset) - c'),    t = v - A (S^-1 + A)^-1 v.

Steps end when the decrease that one promises, the Newton decrement, is negligible;
that step is still taken, which squares the error once more.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky, solve_lower, solve_upper

MAX_STEPS = 100

TOLERANCE = 1e-10
"""Newton decrement of the last step that is taken."""

SUFFICIENT = 1e-4
"""Share of the decrease promised by the slope that a step must achieve."""

SHORTEST = 1e-8
"""Smallest share of a step that is tried."""

TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class Modes:
    """
    The state at which f is smallest.

    Parameters
    ----------
    coefficients : ndarray
        Standardized fixed effects, shape (p,).
    state, effects : tuple of ndarray
        t and b = S t of each term, shapes (l_i, k_i).
    eta : ndarray
        Linear predictor, shape (n,).
    height : float
        f, less twice the constant of the rows.
    steps : int
        Number of Newton steps.
    """

    coefficients: np.ndarray
    state: tuple
    effects: tuple
    eta: np.ndarray
    height: float
    steps: int


def conditional_modes(
    model,
    coefficients,
    roots,
    extra=None,
    start=None,
    jointly=False,
    tolerance=TOLERANCE,
    before=None,
):
    """
    Minimize f over the state, or jointly over it and the fixed effects.

    Parameters
    ----------
    model : ConditionalModel
        The rows and their distribution.
    coefficients : ndarray
        Standardized fixed effects, or those from which to start.
    roots : sequence of ndarray
        L of each term in the order of the plan, shapes (k_i, k_i).
    extra : float, optional
        Extra parameter of the family.
    start : sequence of ndarray, optional
        The state from which to start; default is zero.
    jointly : bool, optional
        Whether to minimize over the fixed effects, too.
    tolerance : float or None, optional
        Largest decrease promised by the last step; None to take the start for the
        modes.
    before : Modes, optional
        The modes from which `start` was predicted. If f is higher there than it was,
        the same effects b are a start, too.

    Returns
    -------
    Modes

    Raises
    ------
    numpy.linalg.LinAlgError
        If f cannot be evaluated or does not decrease.
    """
    relative = [root @ root.T for root in roots]
    path = _Path(model, coefficients, relative, extra)
    if start is not None:
        path.begin(start)
    if before is not None and not path.height < before.height:
        inverses = [np.linalg.pinv(s, hermitian=True) for s in relative]
        path.begin([b @ inverse for b, inverse in zip(before.effects, inverses)])
    if not np.isfinite(path.height):
        path.begin([np.zeros((f.n_levels, f.k_effects)) for f in model.terms])
    if not np.isfinite(path.height):
        raise np.linalg.LinAlgError("the likelihood is zero at the start")
    if tolerance is None:
        return path.modes(0)
    for count in range(1, MAX_STEPS + 1):
        promised = path.aim(roots, jointly)
        last = promised < tolerance
        share = path.advance(promised, last)
        if share == 0.0 and promised > REACHABLE:
            raise np.linalg.LinAlgError("no step to the conditional modes descends")
        # a shortened step leaves more than the square of what it promised
        if share == 0.0 or (last and share == 1.0):
            return path.modes(count)
    raise np.linalg.LinAlgError("the conditional modes were not reached")


FLAT = 1e-12
"""Curvature along fixed effects, relative to the largest, that counts as none."""

REACHABLE = 1e-6
"""Decrement at which rounding may keep a step from descending."""


def _solved(gram, right, known):
    """The solution of a system, or the nearest one if it has no curvature somewhere."""
    try:
        root = cholesky(gram.copy())
    except np.linalg.LinAlgError:  # as along an infinite coefficient
        return known + np.linalg.lstsq(gram, right - gram @ known, rcond=FLAT)[0]
    return solve_upper(root, solve_lower(root, right[:, None]))[:, 0]


class _Path:
    """A state with its predictor and height, and a step from it."""

    def __init__(self, model, coefficients, relative, extra):
        self.model, self.relative, self.extra = model, relative, extra
        self.coefficients, self.height = coefficients, np.inf
        self.fixed = model.exog @ coefficients

    def begin(self, state):
        """Start at a state, unless f is lower at the start so far."""
        state = [np.asarray(t) for t in state]
        effects = self._effects(state)
        random = self.model.random(effects)
        penalty = sum((t * b).sum() for t, b in zip(state, effects))
        eta = self.fixed + random + self.model.offset
        loss, slopes = self.model.quadratic(eta, self.extra)
        height = 2.0 * loss + penalty
        if height < self.height:
            self.state, self.random, self.penalty = state, random, penalty
            self.eta, self.height, self.slopes = eta, height, slopes

    def aim(self, roots, jointly):
        """Compute the Newton step and return the decrease that it promises."""
        first, second = self.slopes
        if not np.isfinite(second).all():
            raise np.linalg.LinAlgError("the linear predictor leaves the link's range")
        if (second > 0.0).all():
            return self._aim(first, second, roots, jointly)
        # c is not convex everywhere; f may be, near its minimum
        if (second < 0.0).any():
            try:
                promised = self._aim(first, second, roots, jointly)
            except np.linalg.LinAlgError:
                promised = -1.0
            if promised > 0.0:
                return promised
        expected = self.model.expected(self.eta, self.extra)[0]
        weights = np.maximum(expected, TINY)
        return self._aim(first, weights, roots, jointly)

    def _aim(self, first, weights, roots, jointly):
        """Compute the step with given weights."""
        model = self.model
        products = model.gather(weights, model.exog if jointly else None)
        with np.errstate(invalid="ignore"):
            elimination = products.eliminate(roots)
        if not np.isfinite(elimination.logdet):
            raise np.linalg.LinAlgError("f is not convex")
        inner = self.fixed + self.random if jointly else self.random
        working = weights * inner - first
        state = [t[..., 0] for t in elimination.project(model.sums(working[:, None]))]
        self.fixed_step, self.coefficient_step = 0.0, 0.0
        if jointly:
            by_fixed = elimination.project()
            effects = self._effects(state)
            rest = working - weights * model.random(effects)
            gram, right = elimination.gram, model.exog.T @ rest
            coefficients = _solved(gram, right, self.coefficients)
            state = [t - x @ coefficients for t, x in zip(state, by_fixed)]
            self.coefficient_step = coefficients - self.coefficients
            self.fixed_step = model.exog @ self.coefficient_step
        self.state_step = [new - old for new, old in zip(state, self.state)]
        effects = self._effects(state)
        self.random_step = model.random(effects) - self.random
        # t'S t along the step, a quadratic of its share
        moved = self._effects(self.state_step)
        self.linear = sum((t * m).sum() for t, m in zip(self.state, moved))
        self.square = sum((d * m).sum() for d, m in zip(self.state_step, moved))
        return -(first @ (self.fixed_step + self.random_step) + self.linear)

    def advance(self, promised, is_last):
        """Take the largest share of the step that descends, and return it."""
        share = 1.0
        rounding = 1e-12 * (1.0 + abs(self.height)) if is_last else 0.0
        while share > SHORTEST:
            eta = self.eta + share * (self.fixed_step + self.random_step)
            penalty = self.penalty + share * (2.0 * self.linear + share * self.square)
            # the slopes before the step have served
            loss, _ = self.model.quadratic(eta, self.extra, self.slopes)
            height = 2.0 * loss + penalty
            if height <= self.height - SUFFICIENT * share * promised + rounding:
                break
            share *= 0.5
        else:
            return 0.0
        self.eta, self.penalty, self.height = eta, penalty, height
        self.state = [t + share * d for t, d in zip(self.state, self.state_step)]
        self.random = self.random + share * self.random_step
        self.fixed = self.fixed + share * self.fixed_step
        self.coefficients = self.coefficients + share * self.coefficient_step
        return share

    def modes(self, steps):
        """The end of the path."""
        state, effects = tuple(self.state), tuple(self._effects(self.state))
        return Modes(self.coefficients, state, effects, self.eta, self.height, steps)

    def _effects(self, state):
        return [t @ s for t, s in zip(state, self.relative)]
