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

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    concatenated,
    consecutive,
    flat_rows,
    transpose,
)
from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.core.structures.relative_factor import split_step

DIFFERENCE = 1e-4
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
    eta, extra = deviance.inner.eta, deviance.extra
    slopes, third = model.slopes(eta, extra), None
    third = slopes.third
    if not criterion.is_observed:
        third = model.expected(eta, extra)[1]
    weights, relative = slopes.second, [f.covariance for f in factors]
    terms = model.terms
    # the state as it follows from the scores of the rows
    raw = model.sums(slopes.first[:, None])
    state = tuple(-f.whitened(s)[..., 0] for f, s in zip(terms, raw))

    # derivatives of eta
    columns = [model.exog]
    changes = [
        np.moveaxis(t @ f.directions, 0, -1) for f, t in zip(factors, state)
    ]  # (l, k, m_i)
    for term, change in zip(terms, changes):
        columns.append(term.times(np.moveaxis(change, -1, 0)).T)
    direct = np.hstack(columns)
    sums = model.sums(weights[:, None] * direct)
    projected = deviance.elimination.project(sums)
    effects = [s @ t for s, t in zip(relative, projected)]
    moved = direct - model.random_columns(effects)
    information = direct.T @ (weights[:, None] * moved)
    state_slopes = [-t for t in projected]

    # the adjoint of the modes
    leverages = deviance.selected.leverages(terms)
    through = leverages * third
    adjoint = deviance.elimination.project(model.sums(through[:, None]))
    adjoint = [q[..., 0] for q in adjoint]
    pull = model.random([q @ s for q, s in zip(adjoint, relative)])
    p = model.exog.shape[1]
    fixed_information = information[:p, :p]
    by_fixed = model.exog.T @ (through - weights * pull)
    if criterion.jointly:
        # the fixed effects move along with the modes
        solved = np.linalg.solve(fixed_information, np.column_stack(
            [by_fixed, information[:p, p:]]
        ))
        pull = pull + moved[:, :p] @ solved[:, 0]
        adjoint = [q - t[..., :p] @ solved[:, 0] for q, t in zip(adjoint, projected)]
        moved = moved[:, p:] - moved[:, :p] @ solved[:, 1:]
        state_slopes = [
            s[..., p:] - s[..., :p] @ solved[:, 1:] for s in state_slopes
        ]
        information = information[p:, p:] - information[p:, :p] @ solved[:, 1:]
        p = 0

    duals = []
    for sums_i, t, q in zip(deviance.information, state, adjoint):
        dual = sums_i - t.T @ t + q.T @ t
        duals.append(0.5 * (dual + dual.T))
    gradient = [f.slope(dual) for f, dual in zip(factors, duals)]
    if p:
        gradient.insert(0, 2.0 * (model.exog.T @ slopes.first) + by_fixed)
    curvature = 2.0 * information
    curvature[p:, :] *= 0.5
    curvature[:p, p:] *= 0.5
    start = p
    for factor, dual in zip(factors, duals):
        here = slice(start, start + factor.n_free)
        curvature[here, here] += factor.curvature(dual)
        start = here.stop
    escape = 0.0
    if criterion.counts[1]:
        own = _ExtraDerivatives(deviance, leverages, pull, moved)
        gradient.append(own.gradient)
        curvature = own.bordered(curvature)
        escape = own.escape
        moved = np.column_stack([moved, own.moved])
        state_slopes = [
            np.concatenate([s, o[..., None]], axis=-1)
            for s, o in zip(state_slopes, own.state_slopes)
        ]
    return LaplaceSlopes(
        tuple(duals),
        np.concatenate(gradient),
        curvature,
        escape,
        fixed_information,
        moved,
        state,
        tuple(state_slopes),
        leverages,
        pull,
        tuple(adjoint),
    )
