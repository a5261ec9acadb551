"""A fit with MixedLM's attributes."""

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from statsmodels.base.wrapper import populate_wrapper

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.search.constrained import minimize_constrained
from statsmodels_lmm.inference.prediction.prediction_variance import ModeCovariances
from statsmodels_lmm.inference.variances.profile import parameter_of
from statsmodels_lmm.inference.variances.variance_parameters import variance_estimates
from statsmodels_lmm.mixedlm.coefficients import group_coefficients
from statsmodels_lmm.mixedlm.summary import summary
from statsmodels_lmm.results.level_dict import LevelDict
from statsmodels_lmm.results.linear import (
    CrossedMixedLMResults,
    CrossedMixedLMResultsWrapper,
)


class MixedLMResults(CrossedMixedLMResults):
    """
    Results of a linear mixed model with MixedLM's attributes.

    `params` and all inherited attributes concern the fixed effects. MixedLM's vector,
    which appends the variances relative to the residual variance, is `packed_params`.

    Attributes
    ----------
    packed_params : Series
        MixedLM's ``params``.
    params_object : MixedLMParams
        The same parameters as an object.
    cov_re, cov_re_unscaled : DataFrame or ndarray
        Covariance matrix of the correlated effects, as it is and relative to the
        residual variance; an array if the model was built from arrays.
    vcomp : ndarray
        Variance components, sorted by their names.
    bse_re : Series
        Standard errors of the variances and covariances that the summary prints.
        MixedLM's are too small by a factor of the residual standard deviation and
        ignore the uncertainty of the residual variance.
    k_fe, k_re, k_re2, k_vc : int
        Numbers of fixed effects, of correlated random effects, of their variances and
        covariances, and of variance components.
    hist : list or None
        Iterates of the search after ``fit(full_output=True)``.
    """

    cov_pen = None
    hist = None
    freepat = None

    @property
    def layout(self):
        """The layout of MixedLM's parameters."""
        return self.model.layout

    @property
    def use_sqrt(self) -> bool:
        """The model's `use_sqrt`."""
        return self.model.use_sqrt

    @property
    def k_fe(self) -> int:
        """Number of fixed effects."""
        return len(self.params)

    @property
    def k_re(self) -> int:
        """Number of correlated random effects."""
        return len(self.layout.effect_names(self.model))

    @property
    def k_re2(self) -> int:
        """Number of variances and covariances of the correlated effects."""
        return self.k_re * (self.k_re + 1) // 2

    @property
    def k_vc(self) -> int:
        """Number of variance components."""
        return len(self.layout.components)

    @property
    def params_object(self):
        """The parameters as a MixedLMParams."""
        fixed = np.nan_to_num(self.params)
        return self.layout.parameters(self.model, fixed, self._relative)

    @property
    def _has_names(self):
        """Whether the data came with names, in a DataFrame or through a formula."""
        return self.model.data.row_labels is not None

    @property
    def packed_params(self):
        """Fixed effects, then `cov_re` row by row and `vcomp`, divided by `scale`."""
        values = self.params_object.get_packed(use_sqrt=False, has_fe=True)
        names = [*self.model.exog_names, *self.layout.variance_names(self.model)]
        return pd.Series(values, index=names)

    @property
    def cov_re_unscaled(self) -> Any:
        """Covariance matrix of the correlated effects divided by `scale`."""
        values = self.params_object.cov_re
        if not self._has_names:
            return values
        names = self.layout.effect_names(self.model)
        return pd.DataFrame(values, names, names)

    @property
    def cov_re(self) -> Any:
        """Covariance matrix of the correlated effects."""
        return self.scale * self.cov_re_unscaled

    @property
    def vcomp(self) -> np.ndarray:
        """Variance components, sorted by their names."""
        return self.scale * self.params_object.vcomp

    @property
    def bse_re(self) -> pd.Series:
        """Standard errors of `cov_re`, row by row, and of `vcomp`."""
        names = self.layout.variance_names(self.model)
        return pd.Series(self._variances[1], index=names)

    @cached_property
    def _variances(self):
        """Variance parameters and their standard errors."""
        if self.model.endog is None:
            values = self.scale * self.packed_params.to_numpy()[self.k_fe :]
            return values, np.full(len(values), np.nan)
        return self.layout.variances(variance_estimates(self))

    @cached_property
    def random_effects(self) -> Any:
        """Conditional modes by group: a Series each, effects before components."""
        by_group = group_coefficients(self.model)
        values, index = by_group.values(self._modes), cache(pd.Index)
        return LevelDict(
            self.model.group_labels,
            lambda _, group: pd.Series(
                values[by_group.of(group)].copy(), index(by_group.names_of(group))
            ),
        )

    @cached_property
    def random_effects_cov(self) -> Any:
        """
        Conditional covariances of the random effects, a dict of DataFrames by group.

        The fixed effects and the variances are treated as known.
        """
        by_group = group_coefficients(self.model)
        places = by_group.factors, by_group.levels, by_group.columns
        covariance = ModeCovariances(self, *places, by_group.ends)
        index = cache(pd.Index)

        def frame(_, group):
            names = index(by_group.names_of(group))
            return pd.DataFrame(covariance(group), names, names)

        return LevelDict(self.model.group_labels, frame)

    def t_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        use_t: Any = None,
        *,
        df_method: str | None = None,
    ) -> Any:
        """As inherited, but a matrix must have one column per fixed effect."""
        shape = np.shape(r_matrix)
        if len(shape) == 2 and shape[1] != self.k_fe:
            raise ValueError(f"r_matrix for t-test should have {self.k_fe:d} columns")
        return super().t_test(r_matrix, cov_p, use_t, df_method=df_method)

    def profile_re(
        self,
        re_ix: Any,
        vtype: Any,
        num_low: int = 5,
        dist_low: float = 1.0,
        num_high: int = 5,
        dist_high: float = 1.0,
    ) -> np.ndarray:
        """
        Log-likelihood as a function of one variance.

        Parameters
        ----------
        re_ix : int or str
            Position of a correlated effect, or name of a variance component.
        vtype : {"re", "vc"}
            Whether `re_ix` is a correlated effect or a variance component.
        num_low, num_high : int, optional
            Numbers of points below and above the estimate.
        dist_low, dist_high : float, optional
            How far the points reach below and above the estimate.

        Returns
        -------
        ndarray
            Values of the variance and, beside them, of the log-likelihood maximized
            over all other parameters. MixedLM holds the ratio to the residual variance
            fixed instead.
        """
        if vtype not in ("re", "vc"):
            raise ValueError(f"vtype must be 're' or 'vc', not {vtype!r}")
        names = list(self.layout.components if vtype == "vc" else range(self.k_re))
        if re_ix not in names:
            raise ValueError(f"re_ix must be in {names} for {vtype!r}, not {re_ix!r}")
        if vtype == "vc":
            factor, block = self.layout.components[re_ix]
            estimate, effect = self.vcomp[names.index(re_ix)], 0
        else:
            factor, block = self.layout.effects
            estimate, effect = np.asarray(self.cov_re)[re_ix, re_ix], re_ix
            if self.layout.n_independent:
                block, effect = block + re_ix, 0
        if estimate <= dist_low:
            raise ValueError(
                "dist_low is too large: it would reach a negative variance. Try a "
                "smaller value."
            )
        values = np.concatenate(
            [
                np.linspace(estimate - dist_low, estimate, num_low + 1),
                np.linspace(estimate, estimate + dist_high, num_high + 1)[1:],
            ]
        )
        return np.array([(v, self._profiled(factor, block, effect, v)) for v in values])

    def _profiled(self, factor, block, effect, variance):
        """Log-likelihood with a variance held at a value."""
        parameter = parameter_of(self, factor, block, effect)
        _, products = self.model._sufficient_statistics()
        optimum = self.at_optimum
        start = optimum.factors, float(optimum.scale) ** -0.5
        held = float(np.sqrt(variance)) / parameter.to_user.unit
        criterion = Profiled(products, self.reml)
        constrained = minimize_constrained(criterion, parameter.constraint, held, start)
        return -0.5 * (constrained.value + parameter.shift)

    def summary(  # type: ignore[override]
        self,
        yname: str | None = None,
        xname_fe: Any = None,
        xname_re: Any = None,
        title: str | None = None,
        alpha: float = 0.05,
    ) -> Any:
        """
        Summarize the fit as MixedLM does.

        Parameters
        ----------
        yname : str, optional
            Name of the response.
        xname_fe : list of str, optional
            Names of the fixed effects.
        xname_re : list of str, optional
            Names of the variance parameters.
        title : str, optional
            Title.
        alpha : float, optional
            One minus the level of the confidence intervals.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
        """
        return summary(self, yname, xname_fe, xname_re, title, alpha)


if TYPE_CHECKING:  # a wrapper has the attributes of what it wraps
    _Wrapped = MixedLMResults
else:
    _Wrapped = object


class MixedLMResultsWrapper(CrossedMixedLMResultsWrapper, _Wrapped):
    """Results with pandas labels; see `MixedLMResults`."""


populate_wrapper(MixedLMResultsWrapper, MixedLMResults)
