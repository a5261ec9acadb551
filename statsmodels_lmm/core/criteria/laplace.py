"""
The Laplace approximation to the deviance of a generalized mixed model.

With f(beta, S) = min over t of 2 sum c + t'S t, see `conditional_modes`, and
A = Z' diag(w) Z at the modes,

    d = f + log |I + A S| = -2 log L,

all constants kept. w is the observed c'', with which d is Laplace's, or its expectation
given eta, as in lme4. The fixed effects are parameters of d; with `jointly` they are
instead minimized over together with t, which is faster and less accurate.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky, concatenated
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.conditional import ConditionalModel
from statsmodels_lmm.core.criteria.conditional_modes import (
    TOLERANCE,
    Modes,
    conditional_modes,
)
from statsmodels_lmm.core.criteria.laplace_derivatives import (
    DIFFERENCE_TOLERANCE,
    LaplaceSlopes,
    Secant,
    determinant_information,
    first_derivatives,
    gradient_alone,
    laplace_hessian,
)
from statsmodels_lmm.core.engines.base import Elimination
from statsmodels_lmm.core.families.base import Slopes
from statsmodels_lmm.core.structures.free_parameters import FreeParameters, SquareRoots
from statsmodels_lmm.core.structures.relative_factor import (
    split_step,
    starting_factor,
)

MAX_DENSE_COLUMNS = 1000
"""Number of random effects up to which the Hessian is formed densely."""

FEW_COLUMNS = 150
"""Number of random effects up to which a dense Hessian costs little."""

EXACT_BELOW = 1.0, 1e-5
"""Promised decrease below which a dense Hessian is worth its cost, if little or not."""

SHARE, LOOSEST = 1e-4, 1e-4
"""
Newton decrement of the modes after a step of the search, as a share of the square of
what that promised, to which the next promise is similar, and its largest value. The log
determinant feels it to first order.
"""

STARTING_VARIANCES = 0.25, 0.01, 1e-4
"""
Variances of standardized effects at which a search starts; the smaller ones where a
link leaves the range of means.
"""


@dataclass(frozen=True)
class Place:
    """
    Where to evaluate the criterion, with what is known from nearby.

    Parameters
    ----------
    point : tuple
        Fixed effects unless they are minimized over jointly, the factors, and the extra
        parameter if there is one.
    coefficients : ndarray, optional
        Fixed effects from which a joint minimization starts, shape (p,).
    state : tuple of ndarray, optional
        State from which the search for the modes starts.
    secant : Secant, optional
        What was known at the place before.
    before : Modes, optional
        The modes at the place before, from which `state` was predicted.
    tolerance : float, optional
        As for `conditional_modes`; default is that of the criterion.
    """

    point: tuple
    coefficients: Any = None
    state: Any = None
    secant: Secant | None = None
    before: Modes | None = None
    tolerance: float | None = None

    def __iter__(self):
        """The parts of the point."""
        return iter(self.point)


@dataclass(frozen=True)
class LaplaceDeviance:
    """
    The criterion at one point.

    Parameters
    ----------
    criterion : Laplace
        What is evaluated.
    place : Place
        Where.
    factors : tuple of RelativeFactor
        Factors of S in the order of the plan.
    extra : float or None
        The extra parameter as the family takes it.
    inner : Modes
        The conditional modes.
    slopes : Slopes
        Derivatives of c of the rows at the modes.
    elimination : Elimination
        The system with the observed weights.
    determinant : Elimination
        The system whose determinant enters d.
    value : ndarray
        d.
    """

    criterion: Any
    place: Place
    factors: tuple
    extra: Any
    inner: Modes
    slopes: Slopes
    elimination: Elimination
    determinant: Elimination
    value: np.ndarray

    reml = False

    scale = 1.0
    """S is absolute."""

    leaves_range = False
    """Whether nodes of a quadrature lie beyond the range of the link."""

    @property
    def point(self):
        """The parts with free parameters."""
        return self.place.point

    @property
    def model(self):
        """The conditional model."""
        return self.criterion.model

    @property
    def coefficients(self):
        """Standardized fixed effects, shape (p,)."""
        return self.inner.coefficients

    @property
    def rounding(self):
        """Rounding error of d."""
        size = np.abs(self.value) + np.abs(self.inner.height)
        return np.asarray(self.elimination.precision * size)

    @cached_property
    def selected(self):
        """Blocks of the inverse with the weights of the determinant."""
        return self.determinant.selected_inverse()

    @property
    def information(self):
        """Sums of the diagonal blocks of (I + A S)^-1 A, shapes (k_i, k_i)."""
        return self.selected.level_sums

    @property
    def fixed_modes(self):
        """M Z'W X of each term with observed weights W, shapes (l_i, k_i, p)."""
        columns = self.slopes.second[:, None] * self.model.exog
        return tuple(self.elimination.solve(self.model.sums(columns)))

    @property
    def modes(self):
        """Conditional modes b of each term, shapes (l_i, k_i)."""
        return self.inner.effects

    @property
    def scores(self):
        """T of each term, shapes (l_i, k_i)."""
        return self.inner.state

    @cached_property
    def units(self):
        """Natural step lengths of the free parameters, shape (m,)."""
        first, last = self.criterion.counts
        each = [f.units(np.ones(f.size)) for f in self.factors]
        own = np.ones(last)
        if last and self.model.family.extra_is_squared:
            # d is a quadratic of alpha, of which the search moves the root
            known = np.abs(self.extra_slopes.curvature).sum()
            own[:] = max(known, 1.0) ** -0.25
        return concatenated([np.ones(first), *each, own])

    @cached_property
    def first(self) -> LaplaceSlopes:
        """First derivatives, and what second derivatives are made of."""
        return first_derivatives(self)

    @cached_property
    def weight_slopes(self):
        """Derivatives of the weights of the determinant in eta, shape (n,)."""
        if self.criterion.is_observed:
            return self.slopes.third
        return self.model.expected(self.inner.eta, self.extra).third

    @cached_property
    def extra_slopes(self):
        """Derivatives in the extra parameter; of `second`, the determinant's."""
        place = self.inner.eta, self.extra
        each = self.model.extra_slopes(*place)
        if self.criterion.is_observed:
            return each
        return each._replace(second=self.model.expected(*place).extra)

    @cached_property
    def fixed_information(self):
        """X'V^-1 X with the weights of the determinant, shape (p, p)."""
        return determinant_information(self)

    @property
    def fixed_root(self):
        """Lower Cholesky factor of X'V^-1 X with the weights of the determinant."""
        return cholesky(self.fixed_information.copy())

    @cached_property
    def hessian(self):
        """The Hessian of d in the free parameters, shape (m, m)."""
        return laplace_hessian(self)

    def derivatives(self, exact=False):
        """
        First derivatives and a curvature in the free parameters.

        Parameters
        ----------
        exact : bool, optional
            True for the Hessian as curvature, False for the average information,
            corrected by the gradients seen before.

        Returns
        -------
        LaplaceSlopes
        """
        curvature = self.hessian if exact else self.first.curvature + self.correction
        return replace(self.first, curvature=curvature)

    @cached_property
    def correction(self):
        """What gradients have shown of the Hessian beyond the average information."""
        secant = self.place.secant
        return 0.0 if secant is None else secant.correction(self)

    def near(self, moves, tolerance=TOLERANCE):
        """
        The criterion after a move of the free parameters in the same coordinates.

        Parameters
        ----------
        moves : ndarray
            Changes of the free parameters, shape (m,).
        tolerance : float or None, optional
            As for `conditional_modes`.
        """
        pairs = zip(self.point, split_step(moves, self.point))
        point = tuple(part.moved(move) for part, move in pairs)
        place = Place(point, self.coefficients, self.first.state_after(moves))
        return self.criterion.at(place, tolerance)

    def gradient_near(self, moves):
        """
        The gradient after a move of the free parameters, to be differenced.

        The modes are those predicted to first order: what they miss is the same after
        the opposite move, but for terms of third order.

        Parameters
        ----------
        moves : ndarray
            Changes of the free parameters, shape (m,).

        Returns
        -------
        ndarray
            Shape (m,).
        """
        if self.criterion.jointly:
            return self.near(moves, DIFFERENCE_TOLERANCE).first.gradient
        return gradient_alone(self.near(moves, None))


@dataclass(frozen=True)
class Laplace(Criterion):
    """
    The Laplace deviance as a function of its parameters.

    Parameters
    ----------
    model : ConditionalModel
        The rows, their distribution and the engine.
    observed : bool, optional
        Whether the determinant has observed weights, or expected ones.
    jointly : bool, optional
        Whether the fixed effects are minimized over together with the modes.
    """

    model: ConditionalModel
    observed: bool = True
    jointly: bool = False

    @cached_property
    def counts(self):
        """Numbers of free parameters before and after those of the factors."""
        first = 0 if self.jointly else self.model.exog.shape[1]
        return first, int(self.model.family.has_extra)

    @property
    def nagq(self):
        """The number of nodes; 0 for the joint minimization."""
        return 0 if self.jointly else 1

    @property
    def factor_places(self):
        """Start and end of the factors among the parts of a point."""
        first = int(self.counts[0] > 0)
        return first, first + len(self.model.terms)

    @property
    def is_observed(self):
        """Whether the weights are the observed ones, or the same as these."""
        return self.observed or self.model.family.is_canonical

    @cached_property
    def has_exact_hessian(self):
        """Whether the Hessian is computed by a formula rather than by differences."""
        if not self.is_observed or self.jointly:
            return False
        return self._products.projection_is_affordable(MAX_DENSE_COLUMNS)

    @cached_property
    def _products(self):
        """Products with some weights, which show what the others can do."""
        return self.model.gather(self.model.weights)

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian is worth its cost."""
        if not self.has_exact_hessian:
            return 0.0
        plan = self._products.plan
        if plan.is_diagonal and not self.counts[1]:
            return np.inf
        few = plan.is_diagonal or plan.n_columns <= FEW_COLUMNS
        return EXACT_BELOW[0 if few else 1]

    polished = 1e-18
    """Promised decrease that leaves parameters within about 1e-9 standard errors."""

    # points ------------------------------------------------------------------------

    def point(self, coefficients, factors, extra=None):
        """
        The parts with free parameters.

        Parameters
        ----------
        coefficients : ndarray
            Standardized fixed effects, shape (p,).
        factors : sequence of RelativeFactor
            In the order of the plan.
        extra : float, optional
            The extra parameter as the family takes it.

        Returns
        -------
        tuple
        """
        parts = [FreeParameters(np.asarray(coefficients))] if self.counts[0] else []
        parts += factors
        if self.model.family.has_extra:
            if self.model.family.extra_is_squared:
                parts.append(SquareRoots(np.sqrt(np.atleast_1d(extra))))
            else:
                parts.append(FreeParameters(np.atleast_1d(extra)))
        return tuple(parts)

    def parameters(self, place):
        """
        The arguments of `point` at a place.

        Parameters
        ----------
        place : Place
            The place.

        Returns
        -------
        coefficients : ndarray
            Shape (p,).
        factors : tuple of RelativeFactor
            In the order of the plan.
        extra : float or None
            As the family takes it.
        """
        (first, last), parts, extra = self.counts, list(place.point), None
        if last:
            extra = float(parts.pop().values[0])
            extra = extra**2 if self.model.family.extra_is_squared else extra
        coefficients = parts.pop(0).values if first else place.coefficients
        if coefficients is None:
            coefficients = np.zeros(self.model.exog.shape[1])
        return coefficients, tuple(parts), extra

    def at_parameters(self, coefficients, factors, extra=None):
        """The criterion at given parameters, see `point`."""
        return self.at(Place(self.point(coefficients, factors, extra), coefficients))

    def start(self):
        """The place from which a search starts, by a joint minimization."""
        for variance in STARTING_VARIANCES[:-1]:
            try:
                return self._start(variance)
            except np.linalg.LinAlgError:
                continue
        return self._start(STARTING_VARIANCES[-1])

    def cautious_start(self):
        """
        A place with the same mean in all rows and hardly any random effects.

        A joint minimization may leave the range of a link such as the identity.
        """
        coefficients, factors, extra = self._constant(STARTING_VARIANCES[-1])
        return Place(self.point(coefficients, factors, extra), coefficients)

    def constant_predictor(self):
        """Linear predictors at the cautious start, shape (n,)."""
        coefficients = self._constant(STARTING_VARIANCES[-1])[0]
        return self.model.exog @ coefficients + self.model.offset

    def _constant(self, variance):
        """Parameters of one mean at a given variance of standardized effects."""
        model = self.model
        factors = [
            starting_factor(term, variance * np.eye(term.k_effects))
            for term in model.terms
        ]
        eta = model.family.link(model.family.starting_mean(model.endog, model.weights))
        constant = np.full(len(model.endog), eta) - model.offset
        coefficients, extra = model.exog.T @ constant / len(constant), None
        if model.family.has_extra:
            extra = model.family.starting_extra(model.endog, model.weights, eta)
        return coefficients, factors, extra

    def _start(self, variance):
        """The place at a given variance of standardized effects."""
        model = self.model
        coefficients, factors, extra = self._constant(variance)
        roots = [f.matrix for f in factors]
        inner = conditional_modes(
            model, coefficients, roots, extra, None, True, START_TOLERANCE
        )
        if model.family.has_extra:
            extra = model.family.starting_extra(model.endog, model.weights, inner.eta)
        point = self.point(inner.coefficients, factors, extra)
        return Place(point, inner.coefficients, inner.state)

    def placed(self, point, current):
        """The place of a point close to where the search is, with its modes."""
        evaluation = current.evaluation
        return Place(tuple(point), evaluation.coefficients, evaluation.inner.state)

    def moved(self, current, step):
        """The place to which a step leads, with predicted modes."""
        evaluation = current.evaluation
        point = tuple(super().moved(current, step))
        promised = -step @ (current.gradient + 0.5 * current.curvature @ step)
        return Place(
            point,
            evaluation.coefficients,
            evaluation.first.state_after(step),
            Secant.before(evaluation, step),
            evaluation.inner,
            float(np.clip(SHARE * promised**2, TOLERANCE, LOOSEST)),
        )

    # evaluation ----------------------------------------------------------------------

    def evaluate(self, place):
        """The LaplaceDeviance at a place or the parts of a point; None if undefined."""
        if not isinstance(place, Place):
            place = Place(tuple(place))
        try:
            if place.tolerance is None:
                return self.at(place)
            return self.at(place, place.tolerance)
        except (np.linalg.LinAlgError, FloatingPointError):
            return None

    def at(self, place, tolerance=TOLERANCE):
        """
        The LaplaceDeviance at a place.

        Parameters
        ----------
        place : Place
            Where to evaluate.
        tolerance : float or None, optional
            As for `conditional_modes`.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the criterion is undefined there.
        """
        model = self.model
        coefficients, factors, extra = self.parameters(place)
        roots = [f.matrix for f in factors]
        inner = conditional_modes(
            model,
            coefficients,
            roots,
            extra,
            place.state,
            self.jointly,
            tolerance,
            place.before,
        )
        slopes = model.slopes(inner.eta, extra)
        with np.errstate(invalid="ignore"):
            elimination = model.gather(slopes.second).eliminate(roots)
        determinant = elimination
        if not self.is_observed:
            expected = model.expected(inner.eta, extra).second
            determinant = model.gather(expected).eliminate(roots)
        value = inner.height + 2.0 * model.constant(extra) + determinant.logdet
        if not np.isfinite(value):
            raise np.linalg.LinAlgError("the determinant does not exist")
        return LaplaceDeviance(
            self,
            place,
            factors,
            extra,
            inner,
            slopes,
            elimination,
            determinant,
            np.asarray(value),
        )


START_TOLERANCE = 1e-2
"""Newton decrement at which a joint minimization is a good enough start."""
