"""Fits of models whose errors are correlated or of unequal variance."""

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.correlated import Correlated, spread_if_crossed
from statsmodels_lmm.core.criteria.units import Units, rescaled_theta
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.engines.fixed_sums import fixed_sums
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import stay
from statsmodels_lmm.core.structures.free_parameters import FreeParameters
from statsmodels_lmm.exceptions import ConvergenceWarning, DataError, warn
from statsmodels_lmm.models.unbounded_errors import check_bounded, check_origin
from statsmodels_lmm.residual.covariance import is_constant

NOTHING_LEFT = 1e-15
"""Share of the residual variance below which its digits are mere rounding."""

ROUNDS = 50
"""Largest number of fits by which fitted values and variances find each other."""

UNCHANGED = 1e-9
"""Change of fitted values, as a share of the spread of the response, that is none."""

NO_RESIDUAL = (
    "the residual variance is zero, or too small to be distinguished from zero: "
    "fixed and random effects reproduce the response to its last digit"
)


class FitsWithErrors:
    """Fits of a model with a residual structure, a part of `CrossedMixedLM`."""

    def _fit_to_fitted(self: Any, reml, settings):
        """The results of fits repeated until the fitted values do not change."""
        offset = 0.0 if self.offset is None else self.offset
        start = np.linalg.lstsq(self.exog, self.endog - offset)[0]
        fitted = self.exog @ start + offset
        if is_constant(fitted) and self.random:  # the effects may tell rows apart
            model, errors = copy(self), self.residual
            told = errors.term is not None or errors.log_sd_names
            model.residual = replace(errors, follows_fitted=False) if told else None
            model._cross = ()
            fitted = model.fit(reml, maxiter=settings.maxiter).fittedvalues
        for _ in range(ROUNDS):
            model = copy(self)
            model.residual = self.residual.with_fitted(fitted)
            model._cross = ()
            results = model._fit_with_errors(reml, None, settings)
            change = np.abs(results.fittedvalues - fitted).max()
            fitted = results.fittedvalues
            if change <= UNCHANGED * np.std(self.endog):
                return results
        warn(
            "the fitted values, which set the errors' standard deviations, still "
            f"change by {change:.1g} after {ROUNDS} fits; the results are those of the "
            "last one",
            ConvergenceWarning,
        )
        return results

    def _fit_with_errors(self: Any, reml, start_params, settings):
        """The results of a model whose errors are correlated or of unequal variance."""
        units, start = self._units, start_params
        try:
            if start is not None:
                criterion = self._criterion(reml)
                start = self._point_at(start)
                if settings.maxiter:
                    deviance, optimum = search_correlated(criterion, settings, start)
                else:
                    deviance, optimum = stay(criterion, start)
            else:
                criterion = self._criterion(reml, is_centered=True)
                deviance, optimum = search_correlated(criterion, settings)
                self._check_errors(deviance, optimum)
                check_origin(self.residual, deviance.whitening)
                deviance, optimum = self._anchored(deviance, optimum)
        except np.linalg.LinAlgError:
            raise undefined_start(start_params) from None
        self._check_errors(deviance, optimum)
        optimum = units.optimum(optimum, deviance.factors)
        self._last_theta = optimum.theta
        return self._results_classes[0](self, units, deviance, optimum)

    def _check_errors(self: Any, deviance, optimum):
        """Reject a search that ended where errors have no variance."""
        largest = deviance.whitening.log_deviations.max()
        if np.log(deviance.scale) + 2.0 * largest < np.log(NOTHING_LEFT):
            raise DataError(NO_RESIDUAL)
        if not optimum.given:
            check_bounded(self, deviance, optimum.certified)

    def _anchored(self: Any, deviance, optimum):
        """The optimum with sigma that of a row with log standard deviation zero."""
        if not deviance.whitening.model.log_sd.size:
            return deviance, optimum
        shift = deviance.whitening.mean_log_deviation
        criterion = self._criterion(deviance.reml)
        theta = rescaled_theta(self._units, deviance.factors, np.exp(shift))
        start = self._point_at(np.append(theta, deviance.whitening.parameters))
        end, there = stay(criterion, start)
        # proved where sigma is not collinear with the deviations
        return end, replace(
            optimum,
            theta=there.theta,
            duals=there.duals,
            dual_eigenvalues=there.dual_eigenvalues,
            curvature=there.curvature,
        )

    def _point_at(self: Any, params):
        """A starting point from theta and the parameters of the errors."""
        params = np.asarray(params, dtype=float)
        model = self.residual.model
        count = sum(e.grouped.n_parameters for e in self.random)
        if params.shape != (count + model.n_parameters,):
            raise ValueError(
                f"start_params are theta and the parameters of the errors, {count} and "
                f"{model.n_parameters} numbers; got an array of shape {params.shape}"
            )
        factors = self._units.factors_at(params[:count], pivoted=True)
        return [*factors, FreeParameters(model.fold(params[count:]))]

    def _criterion(self: Any, reml, is_centered=False):
        """The criterion of a model with errors, in standardized units."""
        data, engine, _, sums = self._prepared_errors()
        model = replace(self.residual.model, is_centered=is_centered)
        return Correlated(engine, Rows(data.endog, data.exog), model, reml, sums)

    def _prepared_errors(self: Any):
        """Standardized data, engine, units and fixed sums of a model with errors."""
        if not self._cross:
            data = self._standardized()
            layout = self.residual.model.layout
            terms = tuple(spread_if_crossed(f, layout) for f in data.terms)
            data = replace(data, terms=terms)
            engine = engine_for(terms, len(data.endog))
            rows = Rows(data.endog, data.exog)
            sums = fixed_sums(engine, rows, self.residual.model)
            self._cross = data, engine, Units(data, engine.plan), sums
        return self._cross


def undefined_start(start_params):
    """
    The error for a criterion that cannot be evaluated where a search starts.

    Parameters
    ----------
    start_params : array_like or None
        Where the user has it start, if anywhere.

    Returns
    -------
    ValueError or DataError
    """
    if start_params is None:
        return DataError(NO_RESIDUAL)
    return ValueError(
        "the criterion cannot be evaluated at start_params; leave them out"
    )
