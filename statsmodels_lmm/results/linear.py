"""The results of a linear mixed model."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base.wrapper import populate_wrapper

from statsmodels_lmm.batches.opening import is_lazy
from statsmodels_lmm.batches.row_results import augment_batches, sample_batches
from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.criteria.estimates import Estimates
from statsmodels_lmm.core.uncertainty.identification import flat_with_errors
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.inference.tidy import augment
from statsmodels_lmm.inference.variances.identification import (
    Identification,
    identification,
)
from statsmodels_lmm.inference.variances.residual_parameters import (
    log_deviations,
    normalized_residuals,
    residual_covariance,
    residual_table,
)
from statsmodels_lmm.results.base import MixedResults
from statsmodels_lmm.results.monte_carlo import (
    monte_carlo_note,
    monte_carlo_table,
    shown,
)
from statsmodels_lmm.results.saving import to_json
from statsmodels_lmm.results.wrapper import MixedResultsWrapper


class CrossedMixedLMResults(MixedResults):
    """
    Results of a linear mixed model.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    units : Units
        The conversion between the search's order and units and the user's.
    deviance : ProfiledDeviance
        The criterion at the optimum, in standardized units.
    optimum : Optimum
        How the search went, in the user's order and units.
    uninformative : tuple of str
        Grouping factors whose levels the fixed effects already distinguish.

    Attributes
    ----------
    params, fe_params : Series
        Fixed effects; NaN for redundant columns that were dropped.
    scale : float
        Residual variance sigma^2.
    llf : float
        Log-likelihood, or restricted log-likelihood for ``reml=True``, with all
        constants, as in lme4.
    theta : Series
        Relative covariance parameters: the lower Cholesky factors of the random
        effects' covariance matrices divided by sigma^2, column by column, with grouping
        factors in the order of the formula. lme4 sorts these by number of levels.
    optimum : Optimum
        Evaluations, gradient, eigenvalues of the dual matrices, trace of the search.
    converged : bool
        Whether the point is proved to be a local optimum.
    nobs : float
        Number of rows used.
    df_resid : float
        Rows minus the rank of X, as in statsmodels. lme4 subtracts the variance
        parameters as well.
    df_model : float
        Rank of X minus the constant, as in statsmodels.
    residual_share : float
        Residual variance, with errors of unequal variance its mean over the rows,
        divided by that of the least-squares residuals.
    n_params : int
        Fixed effects, relative covariance parameters and sigma, as in lme4, but
        without those that the data do not determine.
    """

    _is_gaussian = True
    _monte_carlo = None
    _probes = None
    _title = "Linear Mixed Model Results"
    _of_data = "at_optimum", "_curves", "_fixed_part"

    selection: Any = None
    """How the columns were chosen by `fit_regularized`, a Selection, or None."""

    def __init__(self, model, units, deviance, optimum, uninformative=()):
        super().__init__(model, units, deviance, optimum, uninformative)
        self.reml = deviance.reml
        self.residual_share = float(deviance.scale)
        self.residual_params = np.zeros(0)
        products = deviance.elimination.products
        if products.is_stochastic:
            self._monte_carlo = monte_carlo_table(model, units, deviance)
            self._probes = products.probes
            self.__dict__["at_optimum"] = deviance
        if model.residual is not None:
            self.residual_params = deviance.whitening.parameters
            variances = np.exp(2.0 * deviance.whitening.log_deviations)
            self.residual_share *= float(variances.mean())
            self._flat = flat_with_errors(deviance)

    @cached_property
    def at_optimum(self):
        """The criterion evaluated at the optimum, in standardized units."""
        if self.model.residual is not None:
            theta = np.append(self.optimum.theta, self.residual_params)
            return self.model._deviance(theta, self.reml)
        _, products = self.model._sufficient_statistics()
        factors = self._units.of_plan(self._estimates.factors)
        return profiled_deviance(products, factors, self.reml)

    def __setstate__(self, state):
        """Read pickles, including earlier ones with estimates in other places."""
        self.__dict__.update(state if "_estimates" in state else _converted(state))

    @cached_property
    def method(self) -> str:
        """REML or ML."""
        return "REML" if self.reml else "ML"

    @cached_property
    def mle_settings(self) -> dict[str, Any]:
        """The settings of the fit, in statsmodels' terms."""
        return {"optimizer": "newton", "reml": self.reml}

    @property
    def _fit_options(self):
        """How the model was fitted, as arguments of ``fit``."""
        options = {"reml": self.reml, "df_method": self._chosen_df_method}
        options |= {"cov_type": self.cov_type, "cov_kwds": self._cov_kwds}
        if self._probes is not None:
            asked = self.model._choice
            options |= {"engine": asked.engine, "probes": asked.probes}
            options["rng"] = asked.seed
        return options

    @property
    def monte_carlo(self) -> pd.DataFrame | None:
        """
        Errors due to the random probes of `fit(engine="krylov")`.

        Returns
        -------
        DataFrame or None
            A row for each theta and for ``llf``: the estimate, its standard error from
            the data, ``se`` (NaN for ``llf``, and where theta is zero), and that from
            the probes, ``mc_se``. It covers estimates of traces and of the determinant,
            the only ones from probes; fixed effects and conditional modes are exact for
            these theta. None if the fit is exact.
        """
        return shown(self._monte_carlo)

    @cached_property
    def identification(self) -> Identification:
        """What the data leave open about the variances, an Identification."""
        return identification(self)

    @cached_property
    def _fixed_part(self):
        require_data(self.model, "a fitted value")
        return self.model.predict(self.params)

    @property
    def fittedvalues(self) -> Any:
        """Fitted values with the conditional modes, as in lme4 and MixedLM."""
        fitted = self._fixed_part.copy()
        for effects, modes in zip(self.model.random, self._modes):
            fitted += effects.grouped.times(modes)
        return fitted

    @property
    def resid(self) -> Any:
        """Response minus fitted values."""
        return self.model.endog - self.fittedvalues

    @property
    def resid_pearson(self) -> Any:
        """Residuals divided by the standard deviations of their errors."""
        weights = self.model.weights
        root = 1.0 if weights is None else np.sqrt(weights)
        if self.model.residual is not None:
            root = root * np.exp(-log_deviations(self))
        return self.resid * root / np.sqrt(self.scale)

    def _notes(self):
        """What to know of chosen columns, and if the likelihood has no maximum here."""
        lines = [] if self.selection is None else [self.selection.note]
        errors = self.model.residual
        if errors is None or not errors.follows_fitted:
            return [*lines, *monte_carlo_note(self)]
        return [
            *lines,
            "The errors' standard deviations follow the fitted values: the estimates "
            "are those that repeated fits settle at, not a maximum of a likelihood.",
        ]

    @property
    def resid_normalized(self) -> Any:
        """Residuals made independent with variance 1, see `normalized_residuals`."""
        return normalized_residuals(self)

    def augment(
        self,
        data: Any = None,
        influence: bool = False,
        *,
        to: Any = None,
        new_levels: str = "error",
    ) -> Any:
        """
        Add fitted values and residuals to the rows of a table or of a source.

        Parameters
        ----------
        data : DataFrame or source of rows, optional
            The data of the model, see `inference.tidy.augment`, or any rows with the
            columns of the formula that are read in batches, see `RowSums.of`.
        influence : bool, optional
            Whether to add hat and cooksd; for rows in memory.
        to : str or PathLike, optional
            Parquet file to which the rows of a source are written.
        new_levels : {"error", "population", "nan"}, optional
            How to treat a level of a source that the fit has not seen.

        Returns
        -------
        DataFrame
            The data with the columns fitted, resid and fixed. For a source an iterator
            of DataFrames, NaN in incomplete rows, or None if they were written.
        """
        if is_lazy(data) or (data is not None and self.model.summed is not None):
            if influence:
                raise ValueError("influence=True needs the rows of the model in memory")
            return augment_batches(self, data, new_levels, to)
        if to is not None:
            raise ValueError("to= is for the rows of a source, such as a Parquet file")
        return augment(self, data, influence)

    def sample_residuals(
        self, source: Any, n: int = 10_000, rng: Any = 0
    ) -> pd.DataFrame:
        """
        Fitted values and residuals of a random sample of the rows of a source.

        Parameters
        ----------
        source : source of rows
            Rows with the columns of the formula, see `RowSums.of`.
        n : int, optional
            Number of rows.
        rng : int or Generator, optional
            Source of random numbers.

        Returns
        -------
        DataFrame
            The rows with fitted, resid and fixed, for pictures of residuals, such as
            ``sample.plot.scatter("fitted", "resid")``. Rows that the sums of the fit
            have left out, by ``subset=`` or a weight of 0, are not among them.
        """
        return sample_batches(self, source, n, rng)

    residual_table = residual_table
    residual_covariance = residual_covariance

    to_json = to_json


def _converted(state):
    """The state of an earlier version's results, with the estimates in one place."""
    converted = dict(state)
    params, order = np.asarray(converted["params"]), converted.pop("_plan_order")
    factors, covariances = converted.pop("_factors"), converted.pop("_mode_variances")
    converted["_estimates"] = Estimates(
        fixed=params,
        kept=np.flatnonzero(np.isfinite(params)),
        fixed_root=converted.pop("_fixed_root"),
        scale=converted["scale"],
        factors=tuple(factors[place] for place in np.argsort(order)),
        relative=tuple(converted.pop("_relative")),
        modes=tuple(converted.pop("_modes")),
        level_blocks=(None,) * len(order),
        criterion=converted.pop("deviance_criterion"),
    )
    known = enumerate(covariances)
    converted["_mode_variances"] = {i: c for i, c in known if c is not None}
    del converted["_llf"]
    return converted


if TYPE_CHECKING:  # a wrapper has the attributes of what it wraps
    _Wrapped = CrossedMixedLMResults
else:
    _Wrapped = object


class CrossedMixedLMResultsWrapper(MixedResultsWrapper, _Wrapped):
    """Results with pandas labels, see `CrossedMixedLMResults`."""


populate_wrapper(CrossedMixedLMResultsWrapper, CrossedMixedLMResults)
