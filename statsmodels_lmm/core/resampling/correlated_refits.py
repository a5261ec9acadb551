"""Fits of a model with correlated errors to many responses, one by one."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.correlated import Correlated
from statsmodels_lmm.core.resampling.refits import Refits
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.free_parameters import FreeParameters
from statsmodels_lmm.core.structures.relative_factor import structured_parameters
from statsmodels_lmm.core.uncertainty.variance_information import (
    inverse_information,
    joint_information,
)

AT_ONCE = 20
"""Number of fits in a piece of work, which has to be sent to a process."""

SETTINGS = Settings(maxiter=100, tol=1e-7)
"""When a refit stops, as for independent errors."""

OFF_BOUNDARY = 0.05
"""Deviation, of standardized effects, to which a start is lifted off zero."""


@dataclass(frozen=True)
class CorrelatedRefits(Refits):
    """
    Optima of many fits of a model with correlated errors, in standardized units.

    Parameters
    ----------
    errors : ndarray
        Parameters of the errors' covariance, shape (r, e). Their uncertainty stands
        before that of the scale in `variance_covariance`.
    """

    errors: np.ndarray


@dataclass(frozen=True)
class CorrelatedRefitting:
    """
    A model with correlated errors with which responses are fitted.

    Parameters
    ----------
    criterion : Correlated
        The criterion; its response is replaced.
    data : Standardized
        Standardized data.
    factors : tuple of RelativeFactor
        Covariances of the fit, in the order of the plan.
    x : ndarray
        Coordinates of the errors' covariance of the fit, shape (e,).
    root_weights : ndarray or float
        Square roots of the prior weights, shape (n,).
    """

    criterion: Correlated
    data: Any
    factors: tuple
    x: np.ndarray
    root_weights: np.ndarray | float = 1.0

    size = AT_ONCE
    in_batches = False

    def fit(self, responses):
        """Fits to responses in the units of the data, shape (r, n)."""
        return CorrelatedRefits.join([self._fit_one(y) for y in responses])

    def criteria(self, responses):
        """-2 log-likelihood at the fits to responses, shape (r,)."""
        shift = self.data.criterion_shift(self.criterion.reml)
        ends = (self._search(y) for y in responses)
        return np.array(
            [np.nan if e is None else float(e.value) + shift for e, _ in ends]
        )

    def _search(self, response):
        """The criterion at the optimum and the Optimum; None if it was not found."""
        endog = response * self.root_weights / self.data.response_scale
        criterion = self.criterion.with_response(endog)
        factors = [f.lifted(OFF_BOUNDARY) for f in self.factors]
        try:
            start = [*factors, FreeParameters(self.x)]
            return search_correlated(criterion, SETTINGS, start)
        except np.linalg.LinAlgError:
            return None, None

    def _fit_one(self, response):
        """The results kept from one fit, as a batch of one."""
        deviance, optimum = self._search(response)
        if deviance is None:
            return self._nothing()
        factors = deviance.factors
        structured = structured_parameters(factors) if factors else np.zeros(0)
        information = joint_information(deviance, "average")
        return CorrelatedRefits(
            np.atleast_1d(deviance.value),
            deviance.coefficients[None],
            deviance.fixed_root[None],
            np.atleast_1d(deviance.scale),
            tuple(f.covariance[None] for f in factors),
            structured[None],
            inverse_information(information)[None],
            np.array([optimum.certified]),
            np.array([optimum.evaluations]),
            np.zeros(1, dtype=bool),
            deviance.whitening.parameters[None],
        )

    def _nothing(self):
        """A fit without results, as a batch of one."""
        p, nan = self.criterion.k_fixed, np.full(1, np.nan)
        factors, e = self.factors, len(self.x)
        m = sum(f.n_parameters for f in factors) + e + 1
        structured = structured_parameters(factors) if factors else np.zeros(0)
        return CorrelatedRefits(
            nan,
            np.full((1, p), np.nan),
            np.full((1, p, p), np.nan),
            nan,
            tuple(np.full((1, *f.matrix.shape), np.nan) for f in factors),
            np.full((1, len(structured)), np.nan),
            np.full((1, m, m), np.nan),
            np.zeros(1, dtype=bool),
            np.zeros(1, dtype=int),
            np.zeros(1, dtype=bool),
            np.full((1, e), np.nan),
        )
