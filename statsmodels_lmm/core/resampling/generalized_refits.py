"""Fits of a generalized model to many responses, one by one."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky
from statsmodels_lmm.core.criteria.conditional import ConditionalModel
from statsmodels_lmm.core.criteria.conditional_modes import conditional_modes
from statsmodels_lmm.core.criteria.laplace import START_TOLERANCE, Laplace, Place
from statsmodels_lmm.core.criteria.without_effects import without_effects
from statsmodels_lmm.core.resampling.refits import Refits
from statsmodels_lmm.core.search.generalized import search_generalized
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.relative_factor import structured_parameters
from statsmodels_lmm.core.uncertainty.joint_covariance import (
    joint_covariance,
    variance_slopes,
)
from statsmodels_lmm.core.uncertainty.separation import is_separated

AT_ONCE = 20
"""Number of fits in a piece of work, which has to be sent to a process."""

SETTINGS = Settings(maxiter=100, tol=1e-7)
"""When a refit stops, as for linear models."""

OFF_BOUNDARY = 0.01
"""Variance of standardized effects added to those from which a search starts."""


@dataclass(frozen=True)
class GeneralizedRefits(Refits):
    """
    Optima of many fits of a generalized model, in standardized units.

    Those of `Refits` with a scale of 1. The coefficients are relative to those of the
    model from which the responses were drawn.

    Parameters
    ----------
    extra : ndarray
        Dispersions, or alphas of the negative binomial family, shape (r,); NaN if the
        family has neither.
    """

    extra: np.ndarray


@dataclass(frozen=True)
class GeneralizedRefitting:
    """
    A generalized model with which responses are fitted.

    A search starts at the variances of a fit, with the fixed effects and modes that
    suit the response best.

    Parameters
    ----------
    criterion : Laplace or Quadrature
        The criterion; its response is replaced.
    coefficients : ndarray
        Standardized fixed effects of the fit, shape (p,).
    factors : tuple of RelativeFactor
        Covariances of the fit, in the order of the plan.
    extra : float or None
        Extra parameter of the fit.
    of_user : tuple of GroupedEffects or RawEffects
        The random effects as they were given.
    variances_known : bool
        Whether standard errors of fixed effects are for known variances.
    """

    criterion: Laplace
    coefficients: np.ndarray
    factors: tuple
    extra: Any
    of_user: tuple
    variances_known: bool = False

    size = AT_ONCE
    in_batches = False

    def fit(self, responses):
        """Fits to responses, shape (r, n), in the form that the family takes."""
        return GeneralizedRefits.join([self._fit_one(y) for y in responses])

    def criteria(self, responses):
        """-2 log-likelihood at the fits to responses, shape (r,)."""
        ends = (self._search(y) for y in responses)
        return np.array([np.nan if e is None else float(e.value) for e, _ in ends])

    @cached_property
    def _start(self):
        """Factors and extra parameter moved off the boundary; there slopes vanish."""
        model, extra = self.criterion.model, self.extra
        if model.family.has_extra and model.family.extra_is_squared:
            eta = model.exog @ self.coefficients + model.offset
            mu = model.family.mean(eta)
            extra = max(extra, model.family.starting_extra(mu, model.weights, eta))
        return [f.lifted(OFF_BOUNDARY) for f in self.factors], extra

    def _place(self, criterion):
        """Where the search for a response starts."""
        factors, extra = self._start
        roots = [f.matrix for f in factors]
        inner = conditional_modes(
            criterion.model,
            self.coefficients,
            roots,
            extra,
            jointly=True,
            tolerance=START_TOLERANCE,
        )
        point = criterion.point(inner.coefficients, factors, extra)
        return Place(point, inner.coefficients, inner.state)

    def _search(self, response):
        """The criterion at the optimum and the Optimum; None if it was not found."""
        if not np.isfinite(response).all():
            return None, None
        model = replace(self.criterion.model, endog=response)
        criterion = replace(self.criterion, model=model)
        for start in (self._place, lambda criterion: None):
            try:
                return search_generalized(criterion, SETTINGS, start(criterion))
            except np.linalg.LinAlgError:  # as where a link has a limited range
                continue
        return None, None

    def _fit_one(self, response):
        """The results kept from one fit, as a batch of one."""
        evaluation, optimum = self._search(response)
        if evaluation is None:
            return self._nothing()
        try:
            return self._collect(evaluation, optimum)
        except np.linalg.LinAlgError:  # the information is not positive
            return self._nothing()

    def _collect(self, evaluation, optimum):
        if is_separated(evaluation, self.of_user):
            value, separated = np.atleast_1d(evaluation.value), np.array([True])
            return replace(self._nothing(), value=value, separated=separated)
        joint = joint_covariance(evaluation, evaluation.hessian)
        root = joint.known_root if self.variances_known else joint.fixed_root
        family, extra = evaluation.model.family, np.nan
        if family.has_extra:
            squared = family.extra_is_squared
            extra = evaluation.extra if squared else family.dispersion(evaluation.extra)
        slopes, first = variance_slopes(evaluation), evaluation.criterion.counts[0]
        factors = evaluation.factors
        return GeneralizedRefits(
            np.atleast_1d(evaluation.value),
            (evaluation.coefficients - self.coefficients)[None],
            _information_root(root)[None],
            np.ones(1),
            tuple(f.covariance[None] for f in factors),
            structured_parameters(factors)[None],
            (slopes @ joint.covariance[first:, first:] @ slopes.T)[None],
            np.array([optimum.certified]),
            np.array([optimum.evaluations]),
            np.zeros(1, dtype=bool),
            np.array([extra]),
        )

    def _nothing(self):
        """A fit without results, as a batch of one."""
        p, nan = len(self.coefficients), np.full(1, np.nan)
        m = sum(f.n_parameters for f in self.factors)
        m += 1 + self.criterion.model.family.has_extra
        return GeneralizedRefits(
            nan,
            np.full((1, p), np.nan),
            np.full((1, p, p), np.nan),
            nan,
            tuple(np.full((1, *f.matrix.shape), np.nan) for f in self.factors),
            np.full((1, len(structured_parameters(self.factors))), np.nan),
            np.full((1, m, m), np.nan),
            np.zeros(1, dtype=bool),
            np.zeros(1, dtype=int),
            np.zeros(1, dtype=bool),
            nan,
        )


def _information_root(root):
    """The lower Cholesky factor of the inverse of R R'; NaN where that is unknown."""
    if not np.isfinite(root).all():
        return np.full_like(root, np.nan)
    return cholesky(np.linalg.inv(root @ root.T))


@dataclass(frozen=True)
class WithoutEffects:
    """
    A generalized model without random effects, with which responses are fitted.

    Parameters
    ----------
    model : ConditionalModel
        The rows; their response is replaced and their random effects are left out.
    coefficients : ndarray
        Standardized fixed effects of the fit, shape (p,).
    extra : float or None
        Extra parameter of the fit.
    """

    model: ConditionalModel
    coefficients: np.ndarray
    extra: Any

    size = AT_ONCE
    in_batches = False

    def criteria(self, responses):
        """-2 log-likelihood at the fits to responses, shape (r,)."""
        return np.array([self._criterion(y) for y in responses])

    def _criterion(self, response):
        model = replace(self.model, endog=response)
        try:
            found = without_effects(model, self.coefficients, self.extra)
        except np.linalg.LinAlgError:
            return np.nan
        return float(found.value)
