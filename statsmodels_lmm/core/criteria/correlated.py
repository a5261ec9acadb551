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
    ProfiledDeviance,
    profiled_deviance,
)
from statsmodels_lmm.core.criteria.projection_forms import ProjectionForm
from statsmodels_lmm.core.residuals.layout import nested_in_levels
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
    """

    whitening: Any = field(kw_only=True)
    criterion: Any = field(kw_only=True, repr=False)

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

    def elsewhere(self, point):
        """The criterion at another point."""
        return self.criterion.evaluate(point)

    # rows ------------------------------------------------------------------------

    @property
    def terms(self):
        """The terms, with whitened effects."""
        return self.elimination.products.plan.terms

    @cached_property
    def residuals(self):
        """e, the whitened residuals, shape (n,)."""
        rows = self.elimination.products.rows.columns() @ self.contrast
        for term, modes in zip(self.terms, self.modes):
            rows = rows - term.times(modes)
        return rows

    @cached_property
    def fixed_rows(self):
        """(X - Z M Z'X) F^-T, shape (n, p)."""
        rows = self.elimination.products.rows.columns()[:, :-1]
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
        first, products = self.variance_forms.products_of(self._directions)
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
        return self.whitening.paired(self.form)

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
        average, forms = self._average, self.variance_forms
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
    """

    engine: Any
    rows: Any
    model: ResidualCovariance
    reml: bool

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian saves more than it costs."""
        return EXACT_BELOW if is_affordable(self.first_products, self.model) else 0.0

    @cached_property
    def first_products(self):
        """Cross-products where a search usually starts."""
        return self.products_at(self.model.at(self.model.start()))

    @property
    def k_fixed(self):
        """Number of columns of X."""
        change = self.rows.change
        return self.rows.exog.shape[1] if change is None else change.shape[1] - 1

    def turned(self, change):
        """The criterion with [X y] times a matrix, see `Products.turned`."""
        return replace(self, rows=self.rows.turned(change))

    def products_at(self, whitening: Whitening):
        """Cross-products of the whitened rows."""
        return self.engine.gather(self.rows, whitening)

    def evaluate(self, point):
        """The CorrelatedDeviance at factors and coordinates, or None if undefined."""
        *factors, phi = point
        whitening = self.model.at(phi.values)
        try:
            products = self.products_at(whitening)
            plain = profiled_deviance(products, factors, self.reml)
            own = {f.name: getattr(plain, f.name) for f in fields(ProfiledDeviance)}
            own["value"] = own["value"] + whitening.log_determinant
        except np.linalg.LinAlgError:
            return None
        return CorrelatedDeviance(**own, whitening=whitening, criterion=self)


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
