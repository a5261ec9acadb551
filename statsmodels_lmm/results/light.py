"""A fit without its data: the numbers, and predictions for new data."""

from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.formula.model_formula import ModelFormula
from statsmodels_lmm.inference.prediction.generalized_prediction import (
    predict_generalized,
)
from statsmodels_lmm.inference.prediction.prediction import predict
from statsmodels_lmm.inference.variances.residual_parameters import residual_table
from statsmodels_lmm.keywords import refuse_r_names
from statsmodels_lmm.results.conditional_modes import (
    covariances_by_factor,
    modes_by_factor,
    modes_table,
)


@dataclass(frozen=True)
class LightData:
    """
    The required form of new data, and how designs are built from them.

    Parameters
    ----------
    frame : DataFrame
        The columns of the formula, with the types and levels of the original data, in
        rows without data.
    model_spec : DesignInfo or None
        Specification of the fixed design.
    column_specs : dict
        Specifications of the effect columns, by formula.
    groupings : dict of RememberedFactor
        The grouping factors that are expressions, by their text.
    """

    frame: pd.DataFrame
    model_spec: object = None
    column_specs: dict = field(default_factory=dict)
    groupings: dict = field(default_factory=dict)
    scope: dict = field(default_factory=dict)
    engine: str = "patsy"
    lost: tuple = ()


@dataclass(frozen=True)
class LightErrors:
    """
    The covariance of the errors without rows.

    Parameters
    ----------
    title : str
        Structure and formula of the standard deviations, as printed.
    parameter_names : tuple of str
        Names of the parameters.
    """

    title: str
    parameter_names: tuple

    def __str__(self):
        return self.title


@dataclass(frozen=True)
class LightModel:
    """
    A model without data.

    Parameters
    ----------
    formula : str or None
        The formula; None for a model from arrays.
    exog_names : list of str
        Names of the fixed effects.
    random : tuple of RandomEffects
        The random effects, without rows.
    data : LightData
        How designs are built.
    structures : tuple of str
        Names of user-defined covariance structures.
    needs : dict
        Whether a generalized model needs the "offset" and "exposure" of new data.
    residual : LightErrors or None
        The covariance of the errors; None if they are independent.
    """

    formula: str | None
    exog_names: list
    random: tuple
    data: LightData
    structures: tuple = ()
    needs: dict = field(default_factory=dict)
    exog: None = None
    residual: LightErrors | None = None
    _parsed: ModelFormula | None = None


@dataclass(frozen=True, repr=False)
class LightResults:
    """
    A fit loaded from JSON: its numbers, and predictions for new data.

    Attributes
    ----------
    params : Series
        Fixed effects; NaN for redundant columns.
    scale, llf, nobs, df_resid : float
        As in `CrossedMixedLMResults`.
    method : str
        "REML", "ML", or the approximation of the likelihood of a generalized model.
    cov_type : str
        Source of the standard errors; empty if saved before it was.
    converged : bool
        Whether the optimum was certified.
    theta : Series
        Relative covariance parameters.
    versions : dict
        Versions of the packages with which the fit was saved.
    family : Family or None
        The conditional distribution with its link; None for a linear model.
    residual_params : ndarray
        Parameters of the errors' covariance, see `residual_table`.
    """

    model: LightModel
    params: pd.Series
    scale: float
    llf: float
    nobs: float
    df_resid: float
    method: str
    cov_type: str
    converged: bool
    theta: pd.Series
    versions: dict
    _covariance: np.ndarray
    _components: pd.DataFrame
    _modes: list
    _mode_covariances: list
    _estimability: Estimability
    _text: str
    family: Any = None
    residual_params: np.ndarray = field(default_factory=lambda: np.zeros(0))
    _relative: list = field(default_factory=list)

    _unit = 1.0
    """The covariances of a generalized model are absolute."""

    @property
    def fe_params(self) -> pd.Series:
        """Fixed effects, the same as `params`."""
        return self.params

    @property
    def bse(self) -> pd.Series:
        """Standard errors of the fixed effects."""
        return pd.Series(np.sqrt(np.diag(self._covariance)), self.params.index)

    def cov_params(self) -> pd.DataFrame:
        """
        Covariance matrix of the fixed effects.

        Returns
        -------
        DataFrame
        """
        names = self.params.index
        return pd.DataFrame(self._covariance, names, names)

    def variance_components(self) -> pd.DataFrame:
        """
        Variances and correlations, see `CrossedMixedLMResults.variance_components`.

        Returns
        -------
        DataFrame
        """
        return ResultTable(self._components, copy=True)

    residual_table = residual_table

    @cached_property
    def random_effects(self) -> Any:
        """Conditional modes, see `CrossedMixedLMResults.random_effects`."""
        return modes_by_factor(self.model.random, self._modes)

    @cached_property
    def random_effects_cov(self) -> Any:
        """Conditional covariances, see `CrossedMixedLMResults.random_effects_cov`."""
        return covariances_by_factor(self.model.random, self._mode_covariances)

    def random_effects_table(self) -> pd.DataFrame:
        """
        Conditional modes, see `CrossedMixedLMResults.random_effects_table`.

        Returns
        -------
        DataFrame
            Columns group, effect, level, mode and sd.
        """
        return modes_table(self.model.random, self._modes, self._mode_covariances)

    @refuse_r_names("allow_new_levels", "newdata", "re_form")
    def predict(
        self,
        exog: Any,
        *,
        random_effects: Any = False,
        new_levels: str = "error",
        offset: Any = None,
        random: Any = None,
        exposure: Any = None,
        which: str = "mean",
        type: Any = None,
    ) -> Any:
        """
        Predict the response, see the ``predict`` of the results that were saved.

        Parameters
        ----------
        exog : DataFrame or array_like
            New data; for a model without a formula, the design of the fixed effects.
        random_effects : bool, str or list of str, optional
            Which conditional modes to add; for a generalized model also "average".
        new_levels : {"error", "population", "nan"}, optional
            Contribution of a level that the fit has not seen.
        offset : array_like, optional
            Offset of the rows, in addition to ``offset(...)`` in the formula.
        random : dict or sequence, optional
            For a model without a formula, the groups or matrices of the new rows.
        exposure : array_like, optional
            Exposure of the rows, if the model has one.
        which : {"mean", "linear"}, optional
            The mean of the response, or the linear predictor; in a linear model they
            are equal.
        type : {"response", "link"}, optional
            `which` in R's terms.

        Returns
        -------
        Series or ndarray
        """
        if self.family is not None:
            rows = random_effects, new_levels, offset, exposure, random
            return predict_generalized(self, exog, True, *rows, which, type)
        if exposure is not None:
            raise ValueError("a linear mixed model has no exposure")
        asked = random_effects, new_levels, offset, random
        return predict(self, exog, True, *asked, which, type)

    def summary(self) -> str:
        """The summary of the fit as text, as of when it was saved."""
        return self._text

    def _repr_html_(self):
        return f"<pre>{escape(self._text)}</pre>"

    def __repr__(self):
        return f"<LightResults of {self.model.formula or 'a model from arrays'}>"
