"""A design with which many responses are fitted, and the kernel that suits it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.engines.batches import is_batchable
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.many.fits import ManyFits, summarize
from statsmodels_lmm.core.many.level_classes import LevelClasses
from statsmodels_lmm.core.many.own_products import own_products
from statsmodels_lmm.core.many.problems import (
    ALONE,
    EXACT,
    FINE,
    SIZE,
    are_exact,
    are_out_of_range,
    problems_of_rows,
    problems_of_values,
)
from statsmodels_lmm.core.many.settling import settle
from statsmodels_lmm.core.many.standardized_responses import standardized
from statsmodels_lmm.core.resampling.refits import batch_size
from statsmodels_lmm.core.rows.standardize import Standardized

MOST = 4000
"""Largest number of responses in one batch of classes."""

ENTRIES = 2**23
"""Largest number of entries of the arrays of such a batch."""


@dataclass(frozen=True)
class ManyDesign:
    """
    A standardized design, for fits to many responses.

    Parameters
    ----------
    data : Standardized
        The standardized data, with any response.
    products : CrossProducts or SparseProducts
        Their cross-products.
    reml : bool
        Whether to maximize the restricted likelihood.
    """

    data: Standardized
    products: CrossProducts
    reml: bool

    @cached_property
    def units(self):
        """The conversion to the user's order and units."""
        return Units(self.data, self.products.plan)

    @cached_property
    def classes(self):
        """Classes of levels, if they are few."""
        return LevelClasses.of(self.products)

    @property
    def in_batches(self):
        """Whether many responses are one array computation."""
        return is_batchable(self.products) and bool(self.products.plan.terms)

    @property
    def takes_weights(self):
        """Whether responses in a batch may have rows and weights of their own."""
        terms = self.products.plan.terms
        known = any(f.relationship is not None for f in terms if f.is_grouped)
        return self.in_batches and all(f.is_grouped for f in terms) and not known

    @property
    def own_size(self):
        """Number of responses with rows of their own to fit at once."""
        return batch_size(self.products)

    @property
    def size(self):
        """Number of responses to fit at once, as determined by the design alone."""
        if self.classes is None:
            return batch_size(self.products)
        p, k = self.products.k_fixed, self.classes.grams.shape[-1]
        m = k * (k + 1) // 2
        each = len(self.classes.counts) * (p + 1) * k**2 + k**4 + 2 * m * (p + k) ** 2
        return int(np.clip(ENTRIES // max(each, self.products.nobs), 1, MOST))

    @property
    def n_theta(self):
        """Number of relative covariance parameters."""
        return sum(f.n_parameters for f in self.products.plan.terms)

    def fit(self, responses, weights=None):
        """
        Fit the design to many responses.

        Parameters
        ----------
        responses : ndarray
            Responses minus the offset, in the units of the data and NaN where missing,
            shape (r, n).
        weights : ndarray, optional
            Weights of the rows of each response, zero in rows that are not used, in
            addition to those of the design, shape (r, n).

        Returns
        -------
        ManyFits
            NaN where there is no fit, with the number of the problem.
        """
        fits = ManyFits.nothing(len(responses), self.data.n_columns, self.n_theta)
        fits.problem[:] = problems_of_values(responses)
        finite = np.isfinite(responses)
        own = np.flatnonzero((fits.problem == FINE) & ~finite.all(axis=1))
        if weights is not None:
            own = np.flatnonzero(fits.problem == FINE)
        elif self.in_batches:
            whole = np.flatnonzero(finite.all(axis=1))
            fits.put(whole, self._in_batch(responses[whole], None))
        used = finite[own] if weights is None else finite[own] & (weights[own] > 0.0)
        if len(own) and self.takes_weights:
            terms = self.products.plan.terms
            fits.problem[own] = problems_of_rows(self.data, terms, used)
            good = fits.problem[own] == FINE
            own, used = own[good], used[good]
            for start in range(0, len(own), self.own_size):
                part = slice(start, start + self.own_size)
                rows = own[part]
                each = used[part].astype(float)
                if weights is not None:
                    each *= np.where(used[part], weights[rows], 0.0)
                y = np.where(used[part], responses[rows], 0.0)
                fits.put(rows, self._in_batch(y, each))
        fits.problem[(fits.problem == FINE) & ~fits.certified] = ALONE
        return fits

    def _in_batch(self, responses, weights):
        """Fits to responses with no problem other than an exact fit."""
        fits = ManyFits.nothing(len(responses), self.data.n_columns, self.n_theta)
        if not len(responses):
            return fits
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = standardized(self.data, responses, weights)
        fits.problem[are_exact(scaled)] = EXACT
        fits.problem[are_out_of_range(scaled)] = SIZE
        good = np.flatnonzero(fits.problem == FINE)
        if len(good) < len(responses):
            scaled = scaled.take(good)
            weights = None if weights is None else weights[good]
        if len(good):
            fits.put(good, self._searched(scaled, weights))
        return fits

    def _searched(self, scaled, weights):
        """Fits to standardized responses; halving a batch isolates what fails."""
        count = len(scaled.values)
        try:
            return self._settled(scaled, weights)
        except np.linalg.LinAlgError:
            if count == 1:
                return ManyFits.nothing(1, self.data.n_columns, self.n_theta)
            parts = []
            for half in (slice(count // 2), slice(count // 2, count)):
                own = None if weights is None else weights[half]
                parts.append(self._searched(scaled.take(half), own))
            return ManyFits.join(parts)

    def _settled(self, scaled, weights):
        shared = self.products.with_responses(self.data, scaled.values)
        criterion = self._criterion(scaled, weights, shared)
        fits: Any = None
        nobs = np.full(len(scaled.values), self.products.nobs)
        if weights is not None:
            nobs = (weights > 0.0).sum(axis=1)
        for settled in settle(criterion, moment_start(shared)):
            places = settled.places
            own = scaled if fits is None else scaled.take(places)
            at = settled.evaluation, settled.optimum
            new = summarize(self.units, *at, own, nobs[places])
            if fits is None:
                fits = new
            else:
                closer = settled.is_closer
                fits.put(places[closer], new.take(closer))
        if weights is not None:
            fits.llf[:] += 0.5 * _log_weights(self.data, weights)
        return fits

    def evaluate(self, responses, theta, weights=None):
        """
        The criterion at given parameters.

        Parameters
        ----------
        responses, weights : ndarray
            As for `fit`, with zeros in rows that are not used.
        theta : ndarray
            Relative covariance parameters in the user's order and units, shape (r, t).

        Returns
        -------
        evaluation : Evaluation
            The criterion.
        responses : StandardizedResponses
            The responses.

        Raises
        ------
        numpy.linalg.LinAlgError
            If the criterion is undefined there.
        """
        scaled = standardized(self.data, responses, weights)
        shared = self.products.with_responses(self.data, scaled.values)
        criterion = self._criterion(scaled, weights, shared)
        evaluation = criterion.evaluate(self.units.factors_at_many(theta))
        if evaluation is None:
            raise np.linalg.LinAlgError("the criterion is undefined there")
        return evaluation, scaled

    def _criterion(self, scaled, weights, shared):
        """The criterion of the kernel that suits the design."""
        if weights is not None:
            x = self.data.exog
            own = own_products(self.products, x, scaled.values, weights)
            return Profiled(own, self.reml)
        if self.classes is not None:
            return self.classes.criterion(shared, self.reml)
        return Profiled(shared, self.reml)


def _log_weights(design, weights):
    """Sums of log weights of the rows used, less those of the design, shape (r,)."""
    used = weights > 0.0
    of_design = 2.0 * np.log(design.root_weights * design.root_unit)
    own = np.where(used, np.log(np.where(used, weights, 1.0)) + of_design, 0.0)
    return own.sum(axis=1) - design.log_weights
