"""
Derivatives of the Laplace deviance.

Notation, with w and w' = c''' of the rows, B = (S^-1 + A)^-1, t the state, and R_a the
derivative of eta in parameter a at fixed state: a column of X, or Z T with
T = dS_a t,

    h_r = z_r'B z_r,    s = h w',    pull = Z B Z's,    rho = s - w pull,
    q = (I + A S)^-1 Z's,    E_a = R_a - Z B Z'diag(w) R_a,

so that E_a is the total derivative of eta, and that of the state is -Z'diag(w) E_a.
Then

    G_i = sum_g [(I + A S)^-1 A]_gg - sum_g t_g t_g' + sym(sum_g q_g t_g'),
    dd/dbeta = X'(2 c' + rho),    dd/dL_i = 2 G_i L_i.

Where the determinant has expected weights, h and w' are theirs, and everything else is
of the observed ones, by which the modes move.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.determinant_traces import determinant_traces
from statsmodels_lmm.core.structures.relative_factor import split_step

DIFFERENCE = 3e-5
"""Step, in natural units, of differences of the gradient."""

DIFFERENCE_TOLERANCE = 1e-14
"""Newton decrement of the modes where gradients are differenced."""


@dataclass(frozen=True)
class LaplaceSlopes:
    """
    First derivatives of the Laplace deviance, and a curvature.

    Parameters
    ----------
    duals : tuple of ndarray
        G_i = dd/dS_i, shapes (k_i, k_i).
    gradient : ndarray
        Derivatives in the free parameters, shape (m,).
    curvature : ndarray
        Average information, or whatever replaces it, shape (m, m).
    extra_slope : float
        Derivative with respect to the extra parameter itself; 0 without one.
    escape : float
        Slope out of the boundary of the extra parameter, relative to its information,
        if negative.
    fixed_information : ndarray
        X'V^-1 X, shape (p, p).
    moved : ndarray
        E, total derivatives of eta, shape (n, m).
    state : tuple of ndarray
        The state, shapes (l_i, k_i).
    state_slopes : tuple of ndarray
        Total derivatives of the state, shapes (l_i, k_i, m).
    leverages, pull : ndarray
        h and Z B Z's, shape (n,).
    adjoint : tuple of ndarray
        q of each term, shapes (l_i, k_i).
    """

    duals: tuple
    gradient: np.ndarray
    curvature: np.ndarray
    extra_slope: float
    escape: float
    fixed_information: np.ndarray
    moved: np.ndarray
    state: tuple
    state_slopes: tuple
    leverages: np.ndarray
    pull: np.ndarray
    adjoint: tuple

    def state_after(self, step):
        """The state after a step of the free parameters, to first order."""
        return tuple(t + d @ step for t, d in zip(self.state, self.state_slopes))


@dataclass(frozen=True)
class Secant:
    """
    What is known of the Hessian at the point before, to learn from the next gradient.

    Parameters
    ----------
    point : tuple
        The parts after the step, in the coordinates before it.
    step : ndarray
        The step, shape (m,).
    gradient, curvature, correction : ndarray
        Gradient, average information and its correction before the step.
    """

    point: tuple
    step: np.ndarray
    gradient: np.ndarray
    curvature: np.ndarray
    known: Any

    @classmethod
    def before(cls, evaluation, step):
        """The secant of a step from an evaluation."""
        pairs = zip(evaluation.point, split_step(step, evaluation.point))
        point = tuple(part.moved(move) for part, move in pairs)
        first = evaluation.first
        known = evaluation.correction
        return cls(point, step, first.gradient, first.curvature, known)

    def correction(self, evaluation):
        """
        The symmetric rank-one update of the correction.

        The residual is that of the mean of the average informations before and after
        the step.
        """
        first = evaluation.first
        if first.curvature.shape != self.curvature.shape:
            return 0.0
        factors = self.point[slice(*evaluation.criterion.factor_places)]
        gradient = first.gradient.copy()
        start = evaluation.criterion.counts[0]
        for factor, dual in zip(factors, first.duals):
            gradient[start : start + factor.n_free] = factor.slope(dual)
            start += factor.n_free
        mean = 0.5 * (first.curvature + self.curvature) + self.known
        rest = gradient - self.gradient - mean @ self.step
        along = rest @ self.step
        size = np.linalg.norm(rest) * np.linalg.norm(self.step)
        if not np.abs(along) > 1e-8 * size:
            return self.known
        return self.known + np.outer(rest, rest) / along


def first_derivatives(deviance):
    """
    Gradient and average information of the Laplace deviance.

    Parameters
    ----------
    deviance : LaplaceDeviance
        The point at which to differentiate.

    Returns
    -------
    LaplaceSlopes
    """
    criterion, model, factors = deviance.criterion, deviance.model, deviance.factors
    weights, exog, p = deviance.slopes.second, model.exog, model.exog.shape[1]
    state = _state(deviance)

    # how eta and the state follow the coefficients and the covariances
    changes = [np.moveaxis(t @ f.directions, 0, -1) for f, t in zip(factors, state)]
    each = [f.times(np.moveaxis(c, -1, 0)) for f, c in zip(model.terms, changes)]
    # sums run down columns
    response = _response(deviance, np.vstack([exog.T, *each]).T, weights)
    adjoint = _adjoint(deviance, weights)
    fixed_information = response.information[:p, :p]
    settled = None
    if criterion.jointly:
        settled = _Settled(response, fixed_information)
        adjoint = settled.adjoint(adjoint, exog.T @ adjoint.along(weights))
        response = settled.response()

    duals = _duals(deviance, state, adjoint)
    curvature = 2.0 * response.information
    if criterion.jointly:
        curvature *= 0.5
    else:
        curvature[p:] *= 0.5
        curvature[:p, p:] *= 0.5
    start = criterion.counts[0]
    for factor, dual in zip(factors, duals):
        here = slice(start, start + factor.n_free)
        curvature[here, here] += factor.curvature(dual)
        start = here.stop
    found = LaplaceSlopes(
        duals,
        _gradient(deviance, duals, adjoint),
        curvature,
        0.0,
        0.0,
        fixed_information,
        response.eta,
        state,
        tuple(response.state),
        adjoint.leverages,
        adjoint.pull,
        tuple(adjoint.effects),
    )
    return _with_extra(deviance, found, settled) if criterion.counts[1] else found


def gradient_alone(deviance):
    """
    The gradient without a curvature, if the fixed effects are parameters.

    Parameters
    ----------
    deviance : LaplaceDeviance
        The point at which to differentiate.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    adjoint = _adjoint(deviance, deviance.slopes.second)
    duals = _duals(deviance, _state(deviance), adjoint)
    found = _gradient(deviance, duals, adjoint)
    if not deviance.criterion.counts[1]:
        return found
    slope = _extra_slope(deviance.extra_slopes, adjoint)
    if deviance.model.family.extra_is_squared:
        slope *= 2.0 * np.sqrt(deviance.extra)
    return np.append(found, slope)


def _state(deviance):
    """The state at which c' and the penalty balance, shapes (l_i, k_i)."""
    model = deviance.model
    raw = model.sums(deviance.slopes.first[:, None])
    return tuple(-f.whitened(s)[..., 0] for f, s in zip(model.terms, raw))


def _duals(deviance, state, adjoint):
    """G of each term, shapes (k_i, k_i)."""
    duals = []
    for total, t, q in zip(deviance.information, state, adjoint.effects):
        dual = total - t.T @ t + q.T @ t
        duals.append(0.5 * (dual + dual.T))
    return tuple(duals)


def _gradient(deviance, duals, adjoint):
    """Derivatives in the fixed effects, unless they settle, and the covariances."""
    gradient = [f.slope(dual) for f, dual in zip(deviance.factors, duals)]
    if not deviance.criterion.jointly:
        slopes = deviance.slopes
        rows = 2.0 * slopes.first + adjoint.along(slopes.second)
        gradient.insert(0, deviance.model.exog.T @ rows)
    return np.concatenate(gradient)


def _extra_slope(each, adjoint):
    """The derivative in the extra parameter from those of the rows."""
    through = adjoint.leverages @ each.second - adjoint.pull @ each.first
    return 2.0 * each.loss.sum() + through


@dataclass(frozen=True)
class _Response:
    """
    How eta and the state respond to parameters.

    Parameters
    ----------
    eta : ndarray
        E, shape (n, m).
    state : list of ndarray
        Derivatives of the state, shapes (l_i, k_i, m).
    information : ndarray
        R'V^-1 R, shape (m, m).
    """

    eta: np.ndarray
    state: list
    information: np.ndarray


def _response(deviance, direct, weights):
    """The response to changes of eta at a fixed state, shape (n, m)."""
    model = deviance.model
    projected = deviance.elimination.project(model.sums(weights[:, None] * direct))
    pairs = zip(deviance.factors, projected)
    eta = direct - model.random_columns([f.covariance @ t for f, t in pairs])
    information = direct.T @ (weights[:, None] * eta)
    return _Response(eta, [-t for t in projected], information)


def determinant_information(deviance):
    """X'V^-1 X with the weights of the determinant, shape (p, p)."""
    if deviance.criterion.is_observed:
        return deviance.first.fixed_information
    model, system = deviance.model, replace(deviance, elimination=deviance.determinant)
    weights = model.expected(deviance.inner.eta, deviance.extra).second
    return _response(system, model.exog, weights).information


@dataclass(frozen=True)
class _Adjoint:
    """h, s and pull, shape (n,), and q of each term, shapes (l_i, k_i)."""

    leverages: np.ndarray
    through: np.ndarray
    pull: np.ndarray
    effects: list

    def along(self, weights):
        """Rho for observed weights, shape (n,)."""
        return self.through - weights * self.pull


def _adjoint(deviance, weights):
    """What the log-determinant feels of a change of the modes."""
    model = deviance.model
    leverages = deviance.selected.leverages(model.terms)
    through = leverages * deviance.weight_slopes
    projected = deviance.elimination.project(model.sums(through[:, None]))
    effects = [q[..., 0] for q in projected]
    pairs = zip(effects, deviance.factors)
    pull = model.random([q @ f.covariance for q, f in pairs])
    return _Adjoint(leverages, through, pull, effects)


@dataclass(frozen=True)
class _Settled:
    """Responses if the fixed effects, the first columns, settle as the modes do."""

    before: _Response
    fixed_information: np.ndarray

    def response(self):
        """The response to the columns after the fixed effects."""
        p, before = len(self.fixed_information), self.before
        across = before.information[:p, p:]
        state = [s[..., p:] for s in before.state]
        eta, state, change = self.along(across, before.eta[:, p:], state)
        information = before.information[p:, p:] - across.T @ change
        return _Response(eta, state, information)

    def along(self, across, eta, state):
        """Responses (n, m) and (l_i, k_i, m) less what the fixed effects take up."""
        p = len(self.fixed_information)
        change = np.linalg.solve(self.fixed_information, across)
        pairs = zip(state, self.before.state)
        left = [s - f[..., :p] @ change for s, f in pairs]
        return eta - self.before.eta[:, :p] @ change, left, change

    def adjoint(self, other, by_fixed):
        """The adjoint of modes and fixed effects."""
        p = len(self.fixed_information)
        change = np.linalg.solve(self.fixed_information, by_fixed)
        pairs = zip(other.effects, self.before.state)
        effects = [q + s[..., :p] @ change for q, s in pairs]
        pull = other.pull + self.before.eta[:, :p] @ change
        return _Adjoint(other.leverages, other.through, pull, effects)


def _with_extra(deviance, found, settled):
    """The derivatives with those in the extra parameter, which comes last."""
    model, extra = deviance.model, deviance.extra
    each = deviance.extra_slopes
    first, curvature = each.first, each.curvature
    # eta moves as if the slopes `first` were those of columns
    projected = deviance.elimination.project(model.sums(first[:, None]))
    pairs = zip(deviance.factors, projected)
    eta = -model.random_columns([f.covariance @ t for f, t in pairs])
    state = [-t for t in projected]
    if settled is not None:
        p = len(settled.fixed_information)
        across = settled.before.eta[:, :p].T @ first[:, None]
        eta, state, _ = settled.along(across, eta, state)
    slope = by_extra = _extra_slope(each, found)
    own, across, escape = 2.0 * curvature.sum(), 2.0 * (found.moved.T @ first), 0.0
    if settled is not None:
        across = 0.5 * across
    if model.family.extra_is_squared:
        twice = 2.0 * np.sqrt(extra)
        escape = escape_from_zero(extra, slope, curvature)
        own = twice**2 * own + 2.0 * slope
        slope, across = twice * slope, twice * across
        eta, state = twice * eta, [twice * s for s in state]
    pairs = zip(found.state_slopes, state)
    return replace(
        found,
        gradient=np.append(found.gradient, slope),
        curvature=np.block([[found.curvature, across[:, None]], [across, own]]),
        extra_slope=by_extra,
        escape=escape,
        moved=np.column_stack([found.moved, eta]),
        state_slopes=tuple(np.concatenate(pair, axis=-1) for pair in pairs),
    )


def escape_from_zero(extra, slope, curvature):
    """
    How steeply d falls out of alpha = 0, relative to its information.

    Parameters
    ----------
    extra, slope : float
        alpha, and the derivative of d with respect to it.
    curvature : ndarray
        Second derivatives of c with respect to alpha, row by row.

    Returns
    -------
    float
        0 if d does not fall, or alpha is not zero.
    """
    if extra > 0.0:
        return 0.0
    return min(0.0, float(slope / max(np.abs(curvature).sum(), 1e-300)))


def laplace_hessian(deviance):
    """
    The Hessian of the Laplace deviance in the free parameters.

    It is a formula in the fixed effects and the covariances if the random effects are
    those of one factor or not many; otherwise, and for the extra parameter, it is made
    of central differences of the gradient.

    Parameters
    ----------
    deviance : LaplaceDeviance
        The point at which to differentiate.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    criterion, m = deviance.criterion, len(deviance.first.gradient)
    n_extra = criterion.counts[1]
    if not criterion.has_exact_hessian:
        return differenced(deviance, range(m))
    out = np.empty((m, m))
    known = m - n_extra
    out[:known, :known] = _analytic(deviance, known)
    if n_extra:
        out[known:] = differenced(deviance, [known])
        out[:known, known:] = out[known:, :known].T
    return out


def differenced(deviance, entries):
    """Rows of the Hessian by central differences of the gradient."""
    m, rows = len(deviance.first.gradient), []
    for entry in entries:
        move = np.zeros(m)
        move[entry] = DIFFERENCE * deviance.units[entry]
        plus, minus = (deviance.gradient_near(s * move) for s in (1.0, -1.0))
        rows.append((plus - minus) / (2.0 * move[entry]))
    out = np.array(rows)
    return 0.5 * (out + out.T) if len(out) == m else out


def _analytic(deviance, m):
    """The Hessian in the fixed effects and the covariances, shape (m, m)."""
    model, first, factors = deviance.model, deviance.first, deviance.factors
    p, moved = model.exog.shape[1], first.moved[:, :m]
    slopes = deviance.slopes
    each = (first.leverages * slopes.fourth - slopes.third * first.pull)[:, None]
    # twice R'V^-1 R, whose blocks the average information halves, and <d2S, G>
    out = first.curvature[:m, :m].copy()
    start, places = p, []
    for factor, dual in zip(factors, first.duals):
        here = slice(start, start + factor.n_free)
        places.append(here)
        out[here, here] -= factor.curvature(dual)
        start = here.stop
    out[p:] *= 2.0
    out[:p, p:] *= 2.0
    out += moved.T @ (each * moved)
    for factor, dual, q, slope, here in zip(
        factors, first.duals, first.adjoint, first.state_slopes, places
    ):
        out[here, here] += factor.curvature(dual)
        turned = np.einsum("lk,mkj,ljd->md", q, factor.directions, slope[..., :m])
        out[here] += turned
        out[:, here] += turned.T
    changes = slopes.third[:, None] * moved
    return out + determinant_traces(deviance, changes, places)
