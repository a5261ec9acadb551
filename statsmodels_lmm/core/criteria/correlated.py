"""
The profiled deviance with errors that are correlated or of unequal variance.

With U'U = R^-1, the rows U y, U X and U Z have independent errors, so that

    d(theta, phi) = log |R| + d(theta; U y, U X, U Z),

where the last term is that of `deviance`. What depends on phi follows from the
matrices B_k of `residuals.whitening`: with e = U (y - X beta - Z u), and with whitened
Z and X,

    slope                tr(B_k) - tr(B_k Hat) - e'B_k e / scale
    average information  q_k'P q_l / scale - (e'q_k)(e'q_l) / (scale^2 nu),  q_k = B_k e
    Hessian              twice the first term, minus the second, - tr(K B_k K B_l)
                         + tr(B_kl K) - e'B_kl e / scale

    Hat = A N A',   K = I - Hat,   A = [Z (X - Z M Z'X) F^-T],   N = diag(M, I),

F F' = X'V^-1 X, without the columns of X for ML. Only blocks of Hat within residual
groups are needed, or products of neighboring rows, but for the trace of two parameters,
which takes A itself.
"""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import concatenated, consecutive, solve_lower
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.correlated_forms import CorrelatedForms, half_shape
from statsmodels_lmm.core.criteria.derivatives import (
    MAX_DENSE_COLUMNS,
    Derivatives,
    differenced_gradient,
    dual_matrices,
    expected_information,
)
from statsmodels_lmm.core.criteria.deviance import (
    EXACT_BELOW,
    VISIBLE,
    ProfiledDeviance,
    profiled_deviance,
    subtraction_error,
)
from statsmodels_lmm.core.criteria.projection_forms import ProjectionForm
from statsmodels_lmm.core.criteria.summed_forms import SummedErrors, SummedForms
from statsmodels_lmm.core.engines.fixed_sums import FixedSums
from statsmodels_lmm.core.residuals.layout import nested_in_levels
from statsmodels_lmm.core.residuals.patterns import PatternCovariance
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance, Whitening
from statsmodels_lmm.core.rows.spread_effects import SpreadEffects
from statsmodels_lmm.core.structures.free_parameters import FreeParameters

EXACT_ENTRIES = 20_000_000
"""Largest array formed for an exact Hessian."""


@dataclass(frozen=True)
class CorrelatedDeviance(ProfiledDeviance):
    """
    The criterion at one value of the relative covariances and of phi.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors; rows and products are whitened by it.
    criterion : Correlated
        The criterion as a function.
    errors : SummedErrors, optional
        The sums from which the products were combined, without rows.
    """

    whitening: Any = field(kw_only=True)
    criterion: Any = field(kw_only=True, repr=False)
    errors: SummedErrors | None = field(default=None, kw_only=True, repr=False)

    @property
    def extra(self):  # type: ignore[override]
        """The coordinates of phi."""
        return self.whitening.x

    @property
    def point(self):
        """The factors, and the coordinates of phi."""
        return *self.factors, FreeParameters(self.whitening.x)

    @cached_property
    def units(self):
        """Natural step lengths of the free parameters, shape (m,)."""
        pairs = zip(self.factors, self.precisions)
        own = [f.units(p) for f, p in pairs]
        return concatenated([*own, self.whitening.model.units])

    @property
    def raw_terms(self):
        """The terms with effects as they were before, in the plan's order."""
        return self.criterion.engine.plan.terms

    @cached_property
    def variance_forms(self):  # type: ignore[override]
        """What changes of the covariance matrix do to the fit."""
        return CorrelatedForms(self)

    @cached_property
    def _forms(self):
        """What of them the derivatives need, from sums if there are any."""
        return self.variance_forms if self.errors is None else SummedForms(self)

    def elsewhere(self, point):
        """The criterion at another point."""
        return self.criterion.evaluate(point)

    # rows ------------------------------------------------------------------------

    @cached_property
    def _whitened(self):
        """The products of whitened rows."""
        if self.errors is None:
            return self.elimination.products
        return self.criterion.whitened_products(self.whitening)

    @property
    def terms(self):
        """The terms, with whitened effects."""
        return self._whitened.plan.terms

    @cached_property
    def residuals(self):
        """e, the whitened residuals, shape (n,)."""
        rows = self._whitened.rows.times(self.contrast)
        for term, modes in zip(self.terms, self.modes):
            rows = rows - term.times(modes)
        return rows

    @cached_property
    def fixed_rows(self):
        """(X - Z M Z'X) F^-T, shape (n, p)."""
        rows = self._whitened.rows.columns()[:, :-1]
        for term, modes in zip(self.terms, self.fixed_modes):
            rows = rows - term.times(np.moveaxis(modes, -1, 0)).T
        return solve_lower(self.fixed_root, rows.T).T

    # derivatives ------------------------------------------------------------------

    @property
    def _directions(self):
        return [f.directions for f in self.factors]

    @cached_property
    def _average(self):
        duals = dual_matrices(self)
        first, products = self._forms.products_of(self._directions)
        working, observed = first / self.scale, products / self.scale
        curvature = observed - np.outer(working, working) / self.nu
        parts = consecutive(f.n_free for f in self.factors)
        for f, dual, part in zip(self.factors, duals, parts):
            curvature[part, part] += f.curvature(dual)
        return Derivatives(duals, self.slope, curvature, observed, working)

    @property
    def slope(self):
        """The gradient in the free parameters, shape (m,)."""
        own = [super().slope] if self.factors else []
        return concatenated([*own, self.error_slopes])

    @cached_property
    def form(self):
        """K - e e' / scale."""
        return ProjectionForm(self)

    @cached_property
    def bent_residuals(self):
        """q_k = B_k e, shape (n, m)."""
        return self.whitening.bent(self.residuals).T

    @cached_property
    def error_slopes(self):
        """Derivatives in the coordinates of phi, shape (m,)."""
        return self._forms.error_slopes()

    def derivatives(self, exact=False):
        """
        First derivatives and a curvature in the free parameters and coordinates.

        Parameters
        ----------
        exact : bool, optional
            True for the Hessian as curvature, False for the average information.

        Returns
        -------
        Derivatives
        """
        return self._exact if exact else self._average

    @cached_property
    def _exact(self):
        average, forms = self._average, self._forms
        if not forms.are_affordable:
            own = np.ones(sum(f.n_free for f in self.factors))
            lengths = np.append(own, self.whitening.model.units)
            return replace(average, curvature=differenced_gradient(self, lengths))
        count = len(average.gradient) - forms.n_coordinates
        traces = np.zeros_like(average.curvature)
        if self.factors:
            traces[:count, :count] = expected_information(self)
        traces[:count, count:] = forms.pairs.across(self._directions)
        traces[count:, :count] = traces[:count, count:].T
        traces[count:, count:] = forms.pairs.projected
        curvature = average.curvature + average.observed - traces
        curvature[count:, count:] += forms.second_traces()
        return replace(average, curvature=curvature)


def is_affordable(products, model):
    """Whether an exact Hessian is worth its cost, for a covariance of errors."""
    if not products.projection_is_affordable(MAX_DENSE_COLUMNS // 3):
        return False
    n, width = half_shape(products)
    count = max(model.n_parameters, 1)
    return max(n * width, width**2) * count <= EXACT_ENTRIES


@dataclass(frozen=True)
class Correlated(Criterion):
    """
    The profiled deviance or the REML criterion with a covariance of errors.

    Parameters
    ----------
    engine : Engine
        The engine of the standardized terms.
    rows : Rows
        X and y, standardized.
    model : ResidualCovariance
        The covariance of the errors.
    reml : bool
        Whether it is the REML criterion.
    sums : FixedSums, optional
        Sums that combine to the products; by default whitened rows are added up.
    """

    engine: Any
    rows: Any
    model: ResidualCovariance
    reml: bool
    sums: FixedSums | None = None

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian saves more than it costs."""
        if self.sums is not None:
            return EXACT_BELOW
        return EXACT_BELOW if is_affordable(self.first_products, self.model) else 0.0

    @cached_property
    def first_products(self):
        """Cross-products where a search usually starts."""
        return self.products_at(self.model.start())

    @property
    def k_fixed(self):
        """Number of columns of X."""
        change = self.rows.change
        return self.rows.exog.shape[1] if change is None else change.shape[1] - 1

    def turned(self, change):
        """The criterion with [X y] times a matrix, see `Products.turned`."""
        sums = None if self.sums is None else self.sums.turned(change)
        return replace(self, rows=self.rows.turned(change), sums=sums)

    def with_response(self, endog):
        """The criterion of another response, in standardized units, shape (n,)."""
        rows = replace(self.rows, endog=endog)
        sums = None if self.sums is None else self.sums.with_response(rows)
        return replace(self, rows=rows, sums=sums)

    def products_at(self, x):
        """Cross-products at coordinates x, combined if possible."""
        products, _ = self._combined(x)
        return products or self.whitened_products(self.model.at(x))

    def whitened_products(self, whitening: Whitening):
        """Cross-products of the whitened rows."""
        return self.engine.gather(self.rows, whitening)

    @cached_property
    def _representatives(self):
        """The covariance of one group of each pattern of the sums, if there are any."""
        sums = self.sums
        return None if sums is None else sums.patterns.representatives(self.model)

    def _combined(self, x):
        """Products from the sums, and SummedErrors; None where rows are needed."""
        sums, one_of_each = self.sums, self._representatives
        if sums is None or one_of_each is None:
            return None, None
        covariance = PatternCovariance.at(sums.patterns, one_of_each, x)
        weights = sums.entries.values(covariance)
        products = None if weights is None else sums.combined(weights)
        return products, SummedErrors(covariance, sums)

    def evaluate(self, point):
        """The CorrelatedDeviance at factors and coordinates, or None if undefined."""
        try:
            return self._from_sums(point) or self._from_rows(point)
        except np.linalg.LinAlgError:
            return None

    @property
    def whitened(self):
        """The criterion that adds up whitened rows at each point."""
        return replace(self, sums=None)

    def _from_sums(self, point):
        """The criterion from the sums; None if too many digits are lost."""
        *factors, phi = point
        products, errors = self._combined(phi.values)
        if products is None:
            return None
        try:
            plain = profiled_deviance(products, factors, self.reml)
        except np.linalg.LinAlgError:  # by subtraction; the rows may tell more
            return None
        if subtraction_error(products.nobs, plain.nu, plain.squares) > VISIBLE:
            return None
        whitening = self.model.at(phi.values)
        return self._with(plain, whitening, errors.covariance.log_determinant, errors)

    def _from_rows(self, point):
        """The criterion from whitened rows."""
        *factors, phi = point
        whitening = self.model.at(phi.values)
        products = self.whitened_products(whitening)
        plain = profiled_deviance(products, factors, self.reml)
        return self._with(plain, whitening, whitening.log_determinant)

    def _with(self, plain, whitening, log_determinant, errors=None):
        """The criterion from that of independent errors."""
        own = {f.name: getattr(plain, f.name) for f in fields(ProfiledDeviance)}
        own["value"] = own["value"] + log_determinant
        return CorrelatedDeviance(
            **own, whitening=whitening, criterion=self, errors=errors
        )


def spread_if_crossed(term, layout):
    """
    A random-effects term as whitening needs it.

    Parameters
    ----------
    term : GroupedEffects or RawEffects
        The term.
    layout : ResidualLayout
        The residual groups.

    Returns
    -------
    GroupedEffects, RawEffects or SpreadEffects
        The term itself if the rows of each residual group share one of its levels.
    """
    if not term.is_grouped or nested_in_levels(layout, term.codes):
        return term
    return SpreadEffects.of(term)
