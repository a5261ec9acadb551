"""
The Laplace deviance of many responses of one design, for one grouping factor.

The formulas are those of `laplace` and `laplace_derivatives`, with a leading axis for
the responses: each has its own coefficients, covariance and modes, and the Hessian is
exact. Families with an extra parameter are not among those covered.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.modes_in_batches import HUGE, modes_in_batch
from statsmodels_lmm.core.criteria.quadrature import can_be_integrated
from statsmodels_lmm.core.engines.levels import solve_levels
from statsmodels_lmm.core.families.base import Slopes
from statsmodels_lmm.core.rows.level_rows import LevelRows
from statsmodels_lmm.core.structures.free_parameters import Carried, FreeParameters


@dataclass(frozen=True)
class BatchRows:
    """
    Responses of one design, with their distribution.

    Parameters
    ----------
    levels : LevelRows
        The rows, ordered by level.
    family : Family
        The conditional distribution, with its link.
    responses : ndarray
        y, shape (r, n).
    weights : ndarray
        Prior weights a, shape (n,).
    repeats : ndarray or float
        How often each row was observed, shape (n,).
    """

    levels: LevelRows
    family: Any
    responses: np.ndarray
    weights: np.ndarray
    repeats: Any = 1.0

    def take(self, which):
        """A selection of the responses."""
        return replace(self, responses=self.responses[which])

    def loss(self, eta):
        """Sum over the rows of c, less its smallest value, shape (r,)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            each = self.family.half_deviance(self.responses, self.weights, eta)
            return (self.repeats * each).sum(axis=-1)

    def slopes(self, eta):
        """The first four derivatives of c of the rows, shapes (r, n)."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            each = self.family.slopes(self.responses, self.weights, eta)
            return Slopes(*(self.repeats * d for d in each))


@dataclass(frozen=True)
class LaplaceBatch(Criterion):
    """
    The Laplace deviances of many responses.

    Parameters
    ----------
    rows : BatchRows
        The responses, r of them.
    exog : ndarray
        Design of the fixed effects, of ordered rows, shape (n, p).
    offset : ndarray or float
        Known part of the linear predictor, shape (n,).
    constant : ndarray
        Smallest value that the sum of c can have, shape (r,).
    """

    rows: BatchRows
    exog: np.ndarray
    offset: Any
    constant: np.ndarray

    exact_below = np.inf

    @staticmethod
    def suits(model, observed=True):
        """
        Whether a conditional model can be fitted in batches.

        Parameters
        ----------
        model : ConditionalModel
            The model.
        observed : bool, optional
            Whether the determinant has observed weights.
        """
        family = model.family
        if family.has_extra or not can_be_integrated(model):
            return False
        (term,) = model.terms
        return (observed or family.is_canonical) and not term.is_structured

    @classmethod
    def of(cls, model, responses):
        """
        The criterion for responses of a conditional model.

        Parameters
        ----------
        model : ConditionalModel
            The model, of which `suits` is true.
        responses : ndarray
            In the order of its rows, shape (r, n).
        """
        (term,) = model.terms
        levels, family = LevelRows.of(term), model.family
        order = levels.order
        y = np.ascontiguousarray(responses[:, order])
        weights = model.weights[order]
        repeats = 1.0 if model.repeats is None else model.repeats[order]
        offset = model.offset[order] if np.ndim(model.offset) else model.offset
        rows = BatchRows(levels, family, y, weights, repeats)
        constant = (repeats * family.saturated(y, weights)).sum(axis=-1)
        return cls(rows, model.exog[order], offset, constant)

    def __len__(self):
        """Number of responses."""
        return len(self.rows.responses)

    @cached_property
    def squares(self):
        """The products of the columns of X, shape (n, p p)."""
        p = self.exog.shape[1]
        return (self.exog[:, :, None] * self.exog[:, None]).reshape(-1, p * p)

    @cached_property
    def weighted(self):
        """Products of each effect with X, shape (k, p, n)."""
        return np.ascontiguousarray(self.rows.levels.effects[:, None] * self.exog.T)

    def start(self, coefficients, factor, state):
        """
        One starting point for all responses.

        Parameters
        ----------
        coefficients : ndarray
            Standardized fixed effects, shape (p,).
        factor : RelativeFactor
            The factor of S.
        state : ndarray
            t of the levels, shape (l, k).
        """
        count = len(self)
        values = np.broadcast_to(coefficients, (count, len(coefficients)))
        states = np.broadcast_to(state, (count, *state.shape))
        fixed = FreeParameters(values)
        return fixed, factor.broadcast(count), Carried((states,))

    def take(self, which):
        """The criterion for a selection of the responses."""
        rows, constant = self.rows.take(which), self.constant[which]
        return replace(self, rows=rows, constant=constant)

    def moved(self, current, step):
        """Where a step leads, with states predicted to first order."""
        fixed, factor, carried = super().moved(current, step)
        state, slopes = carried.values
        predicted = state + np.einsum("rlkm,rm->rlk", slopes, step)
        return fixed, factor, Carried((predicted,))

    def evaluate(self, point):
        """The LaplaceBatchDeviance at a point; NaN where it is undefined."""
        fixed, factor, carried = point
        roots = factor.matrix
        linear = fixed.values @ self.exog.T + self.offset
        inner = modes_in_batch(self.rows, linear, roots, carried.values[0])
        slopes = self.rows.slopes(inner.eta)
        height = 2.0 * self.rows.loss(inner.eta) + inner.penalty
        convex = (slopes.second >= 0.0) & (slopes.second < HUGE)
        convex = convex.all(axis=-1) & np.isfinite(height)
        weights = np.where(convex[:, None], slopes.second, 0.0)
        gathered = self.rows.levels.squares(weights)
        half, turned, logdet = solve_levels(gathered, roots)
        value = np.where(convex, height + 2.0 * self.constant + logdet, np.nan)
        return LaplaceBatchDeviance(
            self, fixed, factor, inner, slopes, gathered, half, turned, height, value
        )


@dataclass(frozen=True)
class BatchSlopes:
    """
    First derivatives and Hessians, see `Evaluation.derivatives`.

    Parameters
    ----------
    gradient, curvature : ndarray
        Shapes (r, m) and (r, m, m).
    duals : tuple of ndarray
        G of the only term, shape (r, k, k).
    """

    gradient: np.ndarray
    curvature: np.ndarray
    duals: tuple

    escape = 0.0
    """There is no extra parameter."""


@dataclass(frozen=True)
class _First:
    """
    The gradient and what Hessians are made of, see `laplace_derivatives`.

    Parameters
    ----------
    gradient : ndarray
        Shape (r, m).
    dual : ndarray
        G, shape (r, k, k).
    inverse : ndarray
        C = S J of each level, shape (r, l, k, k).
    changes : ndarray
        dS t for each free parameter of S, shape (r, l, k, m - p).
    by_level : ndarray
        Z'W R for all parameters, shape (r, l, k, m).
    state_slopes : ndarray
        Total derivatives of the state, shape (r, l, k, m).
    leverages, pull : ndarray
        h and Z C Z's, shape (r, n).
    adjoint : ndarray
        q, shape (r, l, k).
    """

    gradient: np.ndarray
    dual: np.ndarray
    inverse: np.ndarray
    changes: np.ndarray
    by_level: np.ndarray
    state_slopes: np.ndarray
    leverages: np.ndarray
    pull: np.ndarray
    adjoint: np.ndarray


@dataclass(frozen=True)
class LaplaceBatchDeviance:
    """
    The criterion at one point for each response.

    Parameters
    ----------
    criterion : LaplaceBatch
        What is evaluated.
    fixed : FreeParameters
        Standardized fixed effects, shape (r, p).
    factor : RelativeFactor
        Factors of S.
    inner : ModesInBatch
        The conditional modes.
    slopes : Slopes
        Derivatives of c of the rows at the modes, shapes (r, n).
    gathered : ndarray
        A of each level, shape (r, l, k, k).
    half, turned : ndarray
        R^-1 L' with L'A L + I = R R', and J = (I + A S)^-1, shapes (r, l, k, k).
    height, value : ndarray
        f less twice the constant of the rows, and d, shape (r,).
    """

    criterion: LaplaceBatch
    fixed: FreeParameters
    factor: Any
    inner: Any
    slopes: Slopes
    gathered: np.ndarray
    half: np.ndarray
    turned: np.ndarray
    height: np.ndarray
    value: np.ndarray

    @property
    def coefficients(self):
        """Standardized fixed effects, shape (r, p)."""
        return self.fixed.values

    @property
    def factors(self):
        """The factor of the only term."""
        return (self.factor,)

    @property
    def rounding(self):
        """Rounding errors of d, shape (r,)."""
        size = np.abs(self.value) + np.abs(self.height)
        return np.finfo(float).eps * size

    @property
    def units(self):
        """Natural step lengths of the free parameters, shape (m,)."""
        return np.ones(self.fixed.n_free + self.factor.n_free)

    @property
    def point(self):
        """The parts with free parameters, and the states with their derivatives."""
        carried = self.inner.state, self._first.state_slopes
        return self.fixed, self.factor, Carried(carried)

    @cached_property
    def _reduced(self):
        """J A of each level, shape (r, l, k, k)."""
        return self.turned @ self.gathered

    @property
    def information(self):
        """Sums over the levels of J A, shape (r, k, k), of the only term."""
        return (self._reduced.sum(axis=-3),)

    @cached_property
    def _first(self):
        """The gradient and what Hessians are made of."""
        levels, criterion = self.criterion.rows.levels, self.criterion
        c1, w, c3, _ = self.slopes
        inverse = transpose(self.half) @ self.half  # C = S J
        covariance = self.factor.covariance
        state = -levels.sums(c1)
        leverages = levels.forms(inverse)
        through = leverages * c3
        adjoint = (self.turned @ levels.sums(through)[..., None])[..., 0]
        pull = levels.times(adjoint @ covariance)
        dual = self.information[0] + transpose(adjoint - state) @ state
        dual = 0.5 * (dual + transpose(dual))
        # Z'W R, by level, for the columns of X and those of Z dS t
        changes = np.einsum("rlk,rmkj->rljm", state, self.factor.directions)
        by_fixed = np.stack(
            [levels.totals(w[:, None] * column) for column in criterion.weighted], -1
        )
        by_fixed = np.moveaxis(by_fixed, 1, -1)
        by_level = np.concatenate([by_fixed, self.gathered @ changes], axis=-1)
        rows = 2.0 * c1 + through - w * pull
        gradient = [rows @ criterion.exog, self.factor.slope(dual)]
        return _First(
            np.concatenate(gradient, axis=-1),
            dual,
            inverse,
            changes,
            by_level,
            -self.turned @ by_level,
            leverages,
            pull,
            adjoint,
        )

    def derivatives(self, exact=True):
        """The gradients with exact Hessians, see `Evaluation.derivatives`."""
        first, curvature = self._first, self.hessian
        lost = np.isnan(self.value)
        if lost.any():  # these searches end where they are
            first.gradient[lost], first.dual[lost] = 0.0, 0.0
            curvature[lost] = np.eye(curvature.shape[-1])
        return BatchSlopes(first.gradient, curvature, (first.dual,))

    @cached_property
    def hessian(self):
        """Hessians of d in the free parameters, shape (r, m, m)."""
        first, levels, factor = self._first, self.criterion.rows.levels, self.factor
        _, _, c3, c4 = self.slopes
        p = self.fixed.n_free
        out = 2.0 * self._response_information
        moved = self._moved()
        each = first.leverages * c4 - c3 * first.pull
        out += (moved * each[:, None]) @ transpose(moved)
        here = slice(p, None)
        out[:, here, here] += factor.curvature(first.dual)
        turned = np.einsum(
            "rlk,rmkj,rljd->rmd", first.adjoint, factor.directions, first.state_slopes
        )
        out[:, here] += turned
        out[:, :, here] += transpose(turned)

        # the determinant, level by level
        change = levels.squares(c3[:, None] * moved)  # (r, m, l, k, k), of A
        through = first.inverse[:, None] @ change
        count, m = through.shape[:2]
        flat = through.reshape(count, m, -1)
        out -= flat @ transpose(transpose(through).reshape(count, m, -1))
        directions = factor.directions[:, :, None]
        inside = transpose(self.turned)[:, None] @ directions @ self.turned[:, None]
        free = inside.shape[1]
        across = inside.reshape(count, free, -1) @ transpose(
            change.reshape(count, m, -1)
        )
        out[:, here] += across
        out[:, :, here] += transpose(across)
        kernel = self._reduced[:, None] @ directions
        flat = kernel.reshape(count, free, -1)
        both = transpose(transpose(kernel).reshape(count, free, -1))
        out[:, here, here] -= flat @ both
        return out

    @property
    def fixed_information(self):
        """X'V^-1 X, shape (r, p, p)."""
        p = self.fixed.n_free
        return self._response_information[:, :p, :p]

    @cached_property
    def _response_information(self):
        """R'V^-1 R of the columns of X and Z dS t, shape (r, m, m)."""
        first, criterion, w = self._first, self.criterion, self.slopes.second
        p, m = self.fixed.n_free, first.by_level.shape[-1]
        count = len(self.value)
        out = np.empty((count, m, m))
        out[:, :p, :p] = (w @ criterion.squares).reshape(count, p, p)
        levels, k, _ = first.changes.shape[1:]
        changes = first.changes.reshape(count, levels * k, m - p)
        by_level = first.by_level.reshape(count, levels * k, m)
        across = transpose(changes) @ by_level
        out[:, p:] = across
        out[:, :p, p:] = transpose(across[..., :p])
        solved = (first.inverse @ first.by_level).reshape(count, levels * k, m)
        out -= transpose(by_level) @ solved
        return out

    def _moved(self):
        """Total derivatives of eta, shape (r, m, n)."""
        first, levels = self._first, self.criterion.rows.levels
        p = self.fixed.n_free
        effects = -(first.inverse @ first.by_level)
        effects[..., p:] += first.changes
        out = levels.times(np.moveaxis(effects, -1, 1))
        out[:, :p] += self.criterion.exog.T
        return out
