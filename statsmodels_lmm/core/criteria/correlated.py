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
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import (
    as_array,
    concatenated,
    consecutive,
    solve_lower,
)
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.derivatives import (
    MAX_DENSE_COLUMNS,
    Derivatives,
    dual_matrices,
    expected_information,
    gradient,
    projected_products,
    working_columns,
)
from statsmodels_lmm.core.criteria.deviance import (
    EXACT_BELOW,
    ProfiledDeviance,
    profiled_deviance,
)
from statsmodels_lmm.core.criteria.projection_forms import ProjectionForm
from statsmodels_lmm.core.engines.levels import level_gram
from statsmodels_lmm.core.residuals.layout import nested_in_levels
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance, Whitening
from statsmodels_lmm.core.rows.spread_effects import SpreadEffects
from statsmodels_lmm.core.structures.free_parameters import FreeParameters

EXACT_ENTRIES = 20_000_000
"""Largest array formed for an exact Hessian."""


@dataclass(frozen=True)
class PairTraces:
    """
    Traces of products of derivatives of the covariance, with K = I - Hat.

    Parameters
    ----------
    across : ndarray
        tr(K B_a K B_k) for theta and phi, shape (m_theta, m).
    plain, once, twice : ndarray
        tr(B_k B_l), tr(B_k Hat B_l) and tr(Hat B_k Hat B_l) for phi, shape (m, m).
    """

    across: np.ndarray
    plain: np.ndarray
    once: np.ndarray
    twice: np.ndarray

    @property
    def projected(self):
        """tr(K B_k K B_l), shape (m, m)."""
        return self.plain - 2.0 * self.once + self.twice


@dataclass(frozen=True)
class CorrelatedDeviance(ProfiledDeviance):
    """
    The criterion at one value of the relative covariances and of phi.

    Parameters
    ----------
    whitening : Whitening
        The covariance of the errors; rows and products are whitened by it.
    raw_terms : sequence of GroupedEffects or RawEffects
        The terms with effects as they were before, in the plan's order.
    """

    whitening: Any = field(kw_only=True)
    raw_terms: Any = field(kw_only=True)

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

    def elsewhere(self, factors):
        """The criterion at other factors and the same phi."""
        return _correlated(super().elsewhere(factors), self.whitening, self.raw_terms)

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

    @cached_property
    def _average(self):
        duals = dual_matrices(self)
        first, columns = working_columns(self) if self.factors else (np.zeros(0), [])
        count = sum(f.n_free for f in self.factors)
        q = self.bent_residuals
        working = np.append(first, self.residuals @ q) / self.scale
        observed = np.empty((len(working),) * 2)
        if self.factors:
            observed[:count, :count] = projected_products(self, columns)
        across, observed[count:, count:] = self._projected_rows(q)
        observed[:count, count:] = sum(
            (level_gram(c, r) for c, r in zip(columns, across)),
            np.zeros((count, q.shape[1])),
        )
        observed[count:, :count] = observed[:count, count:].T
        observed /= self.scale
        curvature = observed - np.outer(working, working) / self.nu
        for f, dual, part in zip(
            self.factors, duals, consecutive(f.n_free for f in self.factors)
        ):
            curvature[part, part] += f.curvature(dual)
        own = gradient(self.factors, duals) if self.factors else np.zeros(0)
        slope = np.append(own, self._slopes)
        return Derivatives(duals, slope, curvature, observed, working)

    @cached_property
    def _form(self):
        """K - e e' / scale."""
        return ProjectionForm(self)

    @cached_property
    def bent_residuals(self):
        """q_k = B_k e, shape (n, m)."""
        return self.whitening.bent(self.residuals).T

    @cached_property
    def _slopes(self):
        """Derivatives in the coordinates of phi, shape (m,)."""
        return self.whitening.paired(self._form)

    def _projected_rows(self, q):
        """Z'P q of each term, shapes (l, k, m), and q'P q, for columns q (n, m)."""
        products, p = self.elimination.products, self.fixed_root.shape[0]
        exog = products.rows.columns()[:, :-1]
        total, fixed, across = q.T @ q, exog.T @ q, []
        if self.terms:
            sums = [term.level_sums(q) for term in self.terms]
            modes = self.elimination.solve(sums)
            total = total - sum(map(level_gram, sums, modes))
            fixed = fixed - sum(
                level_gram(z[..., :p], m) for z, m in zip(products.level_sums, modes)
            )
            across = self.elimination.project(sums)
        half = solve_lower(self.fixed_root, fixed)
        across = [a - y @ half for a, y in zip(across, self.fixed_scores)]
        return across, total - half.T @ half

    @property
    def exact_is_affordable(self):
        """Whether the exact Hessian is worth its cost."""
        products = self.elimination.products
        return is_affordable(products, self.whitening.model)

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
        average = self._average
        count = sum(f.n_free for f in self.factors)
        m = len(average.gradient)
        traces = np.zeros((m, m))
        if self.factors:
            traces[:count, :count] = expected_information(self)
        pairs = self.pairs
        traces[count:, count:] = pairs.projected
        traces[:count, count:] = pairs.across
        traces[count:, :count] = pairs.across.T
        second = self.whitening.second_traces(self._form, self._slopes)
        curvature = average.curvature + average.observed - traces
        curvature[count:, count:] += second
        return replace(average, curvature=curvature)

    @cached_property
    def pairs(self):
        """Traces of products of two derivatives of the covariance, PairTraces."""
        a = [as_array(sparse.csr_array(f.indicator())) for f in self.terms]
        widths = [each.shape[1] for each in a]
        q = sum(widths)
        middle = np.eye(q + (self.fixed_root.shape[0] if self.reml else 0))
        if self.terms:
            unit, places = np.eye(q), consecutive(widths)
            sums = [
                unit[rows].reshape(f.n_levels, f.k_effects, q)
                for f, rows in zip(self.terms, places)
            ]
            middle[:q, :q] = np.vstack(
                [each.reshape(-1, q) for each in self.elimination.solve(sums)]
            )
        if self.reml:
            a.append(self.fixed_rows)
        whole = np.hstack(a) if a else np.zeros((len(self.residuals), 0))
        bent = self.whitening.bent(whole)
        inner = whole.T @ bent  # A'B_k A
        once = np.einsum("kna,lna->kl", bent @ middle, bent)
        twice = np.einsum("kab,lba->kl", middle @ inner, middle @ inner)
        across = [np.zeros((0, len(inner)))]
        # with N = K Z = Z - A middle A'Z, N'B_k N
        out = middle @ (whole.T @ whole[:, :q])
        n_inner = inner[:, :q, :q] - inner[:, :q] @ out
        n_inner = n_inner - out.T @ inner[:, :, :q] + out.T @ inner @ out
        for f, factor, rows in zip(self.terms, self.factors, consecutive(widths)):
            block = n_inner[:, rows, rows].reshape(
                -1, f.n_levels, f.k_effects, f.n_levels, f.k_effects
            )
            sums = np.einsum("kgagb->kab", block)
            across.append(np.einsum("mab,kab->mk", factor.directions, sums))
        plain = self.whitening.pair_traces()
        return PairTraces(np.vstack(across), plain, once, twice)


def is_affordable(products, model):
    """Whether an exact Hessian is worth its cost, for a covariance of errors."""
    terms = products.plan.terms
    width = products.k_fixed + sum(f.n_columns for f in terms)
    entries = products.nobs * width * max(model.n_parameters, 1)
    if not products.projection_is_affordable(MAX_DENSE_COLUMNS // 3):
        return False
    return entries <= EXACT_ENTRIES and width**2 * model.n_parameters <= EXACT_ENTRIES


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
        unweighted = self.products_at(self.model.at(self.model.start()))
        return EXACT_BELOW if is_affordable(unweighted, self.model) else 0.0

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
            return _correlated(plain, whitening, self.engine.plan.terms)
        except np.linalg.LinAlgError:
            return None


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


def _correlated(deviance, whitening, raw_terms):
    """A ProfiledDeviance of whitened rows, with log |R|."""
    own = {f.name: getattr(deviance, f.name) for f in fields(ProfiledDeviance)}
    own["value"] = own["value"] + whitening.log_determinant
    return CorrelatedDeviance(**own, whitening=whitening, raw_terms=raw_terms)
