"""
Scans of a model from whose cross-products the random effects are eliminated.

With the variances held, c'V^-1 c and c'V^-1 [X y] are those of rows [E; U] with as many
columns, see `spread_rows`. If they are estimated for each candidate, its cross-products
stand beside those of X, and the searches run side by side as those of the bootstrap do.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import transpose
from statsmodels_lmm.core.criteria.deviance import Profiled, spread_rows
from statsmodels_lmm.core.engines.batches import is_batchable
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.many.many_contrasts import contrast_dfs
from statsmodels_lmm.core.resampling.refits import batch_size, lifted, refit_all
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.scans.base import ScanModel
from statsmodels_lmm.core.scans.estimates import NONE, NOT_FOUND
from statsmodels_lmm.core.scans.forms import Forms
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.search.several_starts import search
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor
from statsmodels_lmm.core.uncertainty.small_sample import satterthwaite

SETTINGS = Settings(maxiter=100, tol=1e-13)
"""When a search stops: the decrease promised is below the rounding of the criterion."""

ONE_STEP = Settings(maxiter=1)
"""A single step, whatever it promises."""

FURTHER = 2
"""Further steps from there, each of which leaves about a tenth of the gradient."""


@dataclass(frozen=True, eq=False, kw_only=True)
class EliminatedModel(ScanModel):
    """
    A model with any random effects, and its optimum without candidates.

    Parameters
    ----------
    exog, endog, reml, without
        See `ScanModel`.
    terms : tuple of GroupedEffects or RawEffects
        Random-effects terms in standardized units, in the user's order.
    products : Products
        Cross-products with them.
    deviance : ProfiledDeviance
        The optimum.
    idle : tuple of int, optional
        Terms with variances held at zero, by position in the elimination plan.
    """

    terms: tuple
    products: Any
    deviance: Any
    idle: tuple = ()

    # at the variances without candidates ----------------------------------------

    @cached_property
    def _elimination(self):
        roots = [f.matrix for f in self.deviance.factors]
        return self.products.eliminate(roots, closely=True)

    @cached_property
    def _base(self):
        """Rows of left-out rows, X and y, their root and determinants."""
        columns = np.column_stack([self._unit_columns(), self.exog, self.endog])
        spread, _, _ = spread_rows(self._elimination, columns)
        root = np.linalg.cholesky(spread.T @ spread)
        lost = len(self.without)
        used = lost + self.k_fixed if self.reml else lost
        logdet = self._elimination.logdet + 2.0 * np.log(np.diagonal(root)[:used]).sum()
        return spread, root, logdet

    def _null(self, is_exact):
        if is_exact and len(self.without):
            return self._best_null
        _, root, logdet = self._base
        squares = float(root[-1, -1] ** 2)
        return float(logdet + self.nu(0) * np.log(squares)), squares

    def _held(self, columns, is_set):
        spread, _, _ = spread_rows(self._elimination, columns)
        mine, root, logdet = self._base
        if is_set:
            own, cross = (spread.T @ spread)[None], (spread.T @ mine)[None]
        else:
            own = np.einsum("ir,ir->r", spread, spread)[:, None, None]
            cross = (spread.T @ mine)[:, None, :]
        forms = Forms.of(own[:, None], cross[:, None], root[None], logdet[None])
        df_resid = self.df_resid(own.shape[-1])
        return forms.held(np.nan, self.nobs, df_resid, self.reml)

    # at the best variances -------------------------------------------------------

    @cached_property
    def _best_null(self):
        """Criterion and r^2 at the best variances for the rows that are used."""
        found = self._alone(np.zeros((len(self.endog), 0)))
        return float(found.value[0]), float(found.squares[0])

    def _exact(self, columns, is_set):
        if is_set:
            return self._alone(columns)
        count = columns.shape[1]
        out, one_by_one = self.nothing(1, np.zeros(count)), np.arange(count)
        if not (len(self.without) or self.idle) and is_batchable(self.products):
            size = batch_size(self.products)
            for which in np.split(one_by_one, range(size, count, size)):
                out.put(which, self._side_by_side(columns[:, which]))
            one_by_one = np.flatnonzero(out.reason)
        for j in one_by_one:
            out.put([j], self._alone(columns[:, [j]]))
        return out

    def _side_by_side(self, columns):
        """Estimates of many candidates, found by searches side by side."""
        products = with_candidates(self.products, self.exog, columns)
        criterion = Profiled(products, self.reml)
        fits = refit_all(criterion, lifted(self.deviance.factors, products), SETTINGS)
        slices = [f.slices for f in self.deviance.factors]
        for _ in range(FURTHER):
            if not np.isfinite(fits.value).all():
                break
            start = list(map(pivoted_factor, fits.covariances, slices))
            fits = refit_all(criterion, start, ONE_STEP)
        out = self._of_fits(fits, 1, fits.certified)
        if np.isfinite(fits.value).all():
            ends = list(map(pivoted_factor, fits.covariances, slices))
            out.spread[:] = _spread(criterion.evaluate(ends))
        return out

    def _alone(self, columns):
        """Estimates of a set of candidates, by a search like that of a fit."""
        kept = np.ones(len(self.endog), dtype=bool)
        kept[self.without] = False
        width = columns.shape[1]
        exog = np.column_stack([self.exog, columns])[kept]
        if len(self.without):
            terms = [f.subset(kept) for f in self.terms]
            products = sufficient_statistics(self.endog[kept], exog, terms)
        else:
            products = with_candidates(self.products, self.exog, columns.T[None])
            rows = Rows(self.endog, exog)
            products = replace(products.select(0), rows=rows)
        try:
            criterion = Profiled(products, self.reml)
            found, optimum = search(criterion, Settings(), None, self.idle)
        except np.linalg.LinAlgError:
            return self.nothing(width, np.array([NOT_FOUND]))
        out = self._of_fits(found, width, optimum.certified)
        if width == 1:
            out.spread[:] = _spread(found)
        return out

    def _of_fits(self, fits, width, certified):
        """Estimates of the last columns of X from one fit or many."""
        value = np.atleast_1d(fits.value)
        nu, p = self.nu(width), fits.coefficients.shape[-1] - width
        root = fits.fixed_root[..., p:, p:]
        out = self.nothing(width, np.zeros(len(value)))
        out.effect[:] = fits.coefficients[..., p:]
        out.information[:] = root @ root.swapaxes(-1, -2)
        out.squares[:] = nu * fits.scale
        out.value[:] = value - nu * (1.0 + np.log(2.0 * np.pi / nu))
        out.reason[:] = np.where(certified, NONE, NOT_FOUND)
        return out


def _spread(evaluation):
    """Variance of the logarithm of that of the last coefficient, given sigma^2."""
    if evaluation is None:
        return np.nan
    slopes = satterthwaite(evaluation).slopes
    contrast = transpose(evaluation.half_fixed)[..., -1:, :]
    if slopes.ndim == 3:
        slopes, contrast = slopes[None], contrast[None]
    df = contrast_dfs(slopes, contrast)[:, 0]
    return 2.0 / df - 2.0 / np.asarray(evaluation.nu)


def with_candidates(products, exog, columns):
    """
    Cross-products with candidates between the columns of X and y.

    Parameters
    ----------
    products : Products
        Those of the model.
    exog : ndarray
        X, shape (n, p).
    columns : ndarray
        One candidate for each of r models, shape (n, r), or q of them, (r, q, n).

    Returns
    -------
    Products
        With a leading axis of length r.
    """
    if columns.ndim == 2:
        columns = columns.T[:, None]
    count, width, n = columns.shape
    p = exog.shape[1]
    place = [*range(p), *range(p + width, p + width + 1)]
    new = slice(p, p + width)

    def widened(cross, sums):
        out = np.empty((count, *cross.shape[:-1], p + width + 1))
        out[..., place] = cross
        out[..., new] = sums
        return out

    flat = columns.reshape(-1, n)
    sums = []
    for term, cross in zip(products.plan.terms, products.level_sums):
        own = term.transposed_times(flat).reshape(count, width, *cross.shape[:2])
        sums.append(widened(cross, np.moveaxis(own, 1, -1)))
    rows = products.rows.columns()
    gram = np.empty((count, p + width + 1, p + width + 1))
    gram[np.ix_(range(count), place, place)] = products.gram
    gram[:, new, new] = columns @ columns.swapaxes(1, 2)
    across = columns @ rows
    gram[:, new, place] = across
    gram[:, place, new] = across.swapaxes(1, 2)
    return replace(products, level_sums=tuple(sums), gram=gram, rows=None)
