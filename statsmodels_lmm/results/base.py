"""The results common to all mixed models, which delegate to other modules."""

from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.opening import is_lazy
from statsmodels_lmm.batches.row_results import predict_batches
from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.criteria.estimates import estimates
from statsmodels_lmm.core.rows.estimability import estimability
from statsmodels_lmm.core.uncertainty.separation import FINITE
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.graphics.methods import Pictures
from statsmodels_lmm.inference.fixed.degrees_of_freedom import SMALL_SAMPLE
from statsmodels_lmm.inference.methods import MixedInference
from statsmodels_lmm.inference.prediction.prediction import predict
from statsmodels_lmm.inference.requirements import require_sums
from statsmodels_lmm.keywords import R_FUNCTIONS, refuse_r_names
from statsmodels_lmm.markup import Summary, Summary2
from statsmodels_lmm.results import summary as summaries
from statsmodels_lmm.results.by_factor import ByFactor
from statsmodels_lmm.results.conditional_modes import (
    coefficients_by_level,
    covariances_by_factor,
    exact_modes_table,
    modes_by_factor,
    modes_table,
)
from statsmodels_lmm.results.variance_tables import (
    boundary_table,
    components_table,
    principal_components,
)

DF_UNREAD = (
    "the degrees of freedom of with_df_method('{}') are not in fe_params and "
    "cov_params(): packages that read these, such as pymmeans, take infinite ones, so "
    "that their intervals are too short. Use marginal_means(), t_test() or "
    "wald_test(); for the fixed effects alone, params is the same"
)


class MixedResults(Brief, Pictures, MixedInference):
    """
    Results of a mixed model: what follows from an evaluation of its criterion.

    Each model's results add `at_optimum`, the evaluation at the optimum;
    `identification`, what the data do not determine; the name of the `method`; and
    whatever depends on the distribution of the response, such as fitted values and
    residuals.

    Parameters
    ----------
    model : MixedModel
        The model.
    units : Units
        The conversion between the search's order and units and the user's.
    evaluation : Evaluation
        The criterion at the optimum, in standardized units.
    optimum : Optimum
        How the search went, in the user's order and units.
    uninformative : tuple of str
        Grouping factors whose levels the fixed effects already distinguish.
    """

    _is_gaussian = False
    """Whether the response is normal with a residual variance, as in a linear model."""

    unbounded = FINITE
    """What has no finite estimate; nothing in a linear model."""

    reason = ""
    """Why no optimum was proved, if there is more to say than that."""

    reml = False
    """Whether the criterion is that of the restricted likelihood."""

    _title = "Mixed Model Results"
    """Title of a summary."""

    _n_scales = 1
    """Number of scale parameters: sigma, or none."""

    _has_residual = True
    """Whether the scale is a variance, or a dispersion, that is estimated."""

    _hidden = frozenset(
        "at_optimum cov_kwds cov_params_default df_modelwc df_resid_inference "
        "initialize k_constant load mle_settings normalized_cov_params use_t".split()
    )

    _of_data: tuple = ("at_optimum", "_curves")
    """Attributes that are computed from the data on first use."""

    def __init__(self, model, units, evaluation, optimum, uninformative=()):
        self._estimates = self._estimated(units, evaluation)
        super().__init__(
            model,
            self._estimates.fixed.copy(),
            normalized_cov_params=self._estimates.fixed_covariance,
            scale=self._estimates.scale,
            cov_type="nonrobust",
            use_t=False,
        )
        self._cache = {}
        self._mode_variances = {}
        self.optimum = optimum
        self.uninformative = uninformative

    def _estimated(self, units, evaluation):
        """The estimates that follow from an evaluation."""
        return estimates(units, evaluation)

    @property
    def _distribution(self):
        """What a summary says of the distribution of the response, text by name."""
        return {}

    @property
    def _scales(self):
        """The scale parameters in a summary, numbers by name."""
        return {"Scale": self.scale}

    def _notes(self):
        """Notes of a summary that hold for this kind of model alone."""
        return []

    def _mean(self, linear_predictor):
        """The mean of the response."""
        return linear_predictor

    @property
    def _unit(self):
        """The variance to which covariances are relative: sigma^2, or 1."""
        return self._estimates.scale

    @property
    def _units(self):
        """The conversion between the search's order and units and the user's."""
        return self.model._units

    def __getattr__(self, name):
        if name in R_FUNCTIONS:
            raise AttributeError(f"there is no {name} here: {R_FUNCTIONS[name]}")
        return super().__getattribute__(name)  # raises the error

    def __getstate__(self):
        """Pickle without what can be recomputed."""
        again = {*self._of_data, "random_effects", "random_effects_cov"}
        state = {n: v for n, v in self.__dict__.items() if n not in again}
        at_hand = self._estimates.level_blocks
        known = self._mode_variances.items()
        return state | {
            "_mode_variances": {i: v for i, v in known if at_hand[i] is None}
        }

    # counts ----------------------------------------------------------------

    @cached_property
    def nobs(self) -> float:
        """Number of rows used."""
        return float(self.model.nobs)

    @cached_property
    def df_resid(self) -> float:
        """Rows minus the rank of X, as in statsmodels."""
        return self.nobs - len(self._estimates.kept)

    @cached_property
    def df_model(self) -> float:
        """Rank of X minus the constant, as in statsmodels."""
        return float(len(self._estimates.kept) - self.model.k_constant)

    @cached_property
    def dropped(self) -> list[str]:
        """Names of the columns of X that depend linearly on those before them."""
        return self.model.redundant_columns(self._estimates)

    @cached_property
    def out_of_range(self) -> list[str]:
        """Names of the fixed effects whose variance overflows or underflows."""
        return [self.model.exog_names[j] for j in self._estimates.out_of_range]

    @cached_property
    def converged(self) -> bool:
        """Whether the point is proved to be a local optimum."""
        return self.optimum.certified

    @cached_property
    def mle_retvals(self) -> dict[str, Any]:
        """How the search ended, in statsmodels' terms."""
        return {
            "converged": self.converged,
            "iterations": self.optimum.evaluations,
            "fopt": self.deviance_criterion,
        }

    @property
    def deviance_criterion(self) -> float:
        """The criterion, -2 times the (restricted) log-likelihood."""
        return self._estimates.criterion

    # fixed effects ---------------------------------------------------------

    @property
    def llf(self) -> float:
        """Log-likelihood; restricted log-likelihood after ``reml=True``."""
        return -0.5 * self.deviance_criterion

    @property
    def fe_params(self) -> Any:
        """
        Fixed effects, the same as `params`.

        Warns
        -----
        DataWarning
            If there are degrees of freedom by the method of Satterthwaite or of Kenward
            and Roger, because packages that read this attribute do not use them.
        """
        if self.df_method in SMALL_SAMPLE:
            warn(DF_UNREAD.format(self.df_method), DataWarning)
        return self.params

    @property
    def bse_fe(self) -> Any:
        """Standard errors of the fixed effects, the same as `bse`."""
        return self.bse

    @property
    def n_params(self) -> int:
        """
        Number of fixed effects, variance parameters and sigma that are determined.

        If the likelihood depends only on the sum of two variances, say, they count as
        one.
        """
        count = int(np.isfinite(self.params).sum()) + len(self.optimum.theta)
        if self.model.residual is not None:
            count += self.model.residual.model.n_parameters
        return count + self._n_scales - self.identification.idle

    @property
    def df_modelwc(self) -> int:
        """Number of estimated parameters, see `n_params`."""
        return self.n_params

    @property
    def aic(self) -> float:
        """-2 llf + 2 n_params, as in lme4, even with ``reml=True``."""
        return -2.0 * self.llf + 2.0 * self.n_params

    @property
    def bic(self) -> float:
        """-2 llf + log(n) n_params, as in lme4, even with ``reml=True``."""
        return -2.0 * self.llf + np.log(self.nobs) * self.n_params

    @property
    def theta(self) -> pd.Series:
        """Relative covariance parameters as a Series, see the class."""
        labels = [name for e in self.model.random for name in e.theta_labels]
        return pd.Series(self.optimum.theta, index=labels, name="theta")

    def _block_theta(self):
        """Relative covariance parameters, by term and block."""
        random = self.model.random
        parts = consecutive(e.grouped.n_parameters for e in random)
        theta = self.optimum.theta
        return [e.split_theta(theta[part]) for e, part in zip(random, parts)]

    def _structured_theta(self):
        """Parameters of all blocks with a structure."""
        pairs = zip(self.model.random, self._block_theta())
        each = [
            values
            for effects, theta in pairs
            for model, values in zip(effects.grouped.structures, theta)
            if model.n_structured
        ]
        return np.concatenate([np.zeros(0), *each])

    @property
    def _relative(self):
        """Covariance matrix of the random effects divided by sigma^2, for each term."""
        return self._estimates.relative

    def _covariances(self):
        return [self._unit * s for s in self._relative]

    @property
    def cov_re(self) -> ByFactor:
        """Covariance matrices of the random effects of a level, as a dict by factor."""
        frames = {}
        for effects, covariance in zip(self.model.random, self._covariances()):
            names = list(effects.effect_names)
            frames[effects.name] = pd.DataFrame(covariance, names, names)
        return ByFactor(frames, "cov_re")

    @property
    def vcomp(self) -> pd.Series:
        """Variances of the random effects, as a Series by factor and effect."""
        values = {
            (effects.name, name): value
            for effects, covariance in zip(self.model.random, self._covariances())
            for name, value in zip(effects.effect_names, np.diag(covariance))
        }
        index = pd.MultiIndex.from_tuples(values, names=["group", "effect"])
        return pd.Series(list(values.values()), index=index, name="variance")

    def variance_components(self) -> pd.DataFrame:
        """
        Variances, standard deviations, covariances and correlations.

        Returns
        -------
        DataFrame
            As R's ``as.data.frame(VarCorr(m))``: columns group, effect1, effect2 (empty
            for a variance), variance (or covariance) and sd (or correlation), with the
            residual last. A term with a structure has one row for each parameter;
            unless that is a standard deviation, effect1 is the structure, effect2 the
            name of the parameter and sd its value.
        """
        return components_table(
            self.model.random,
            self._relative,
            self._block_theta(),
            self._unit,
            self.scale if self._has_residual else None,
        )

    # singular fits ---------------------------------------------------------

    def boundary_table(self) -> pd.DataFrame:
        """
        Which terms are on the boundary of the parameter space.

        Returns
        -------
        DataFrame
            One row for each term: group, effects, their number, the rank of the
            estimated covariance matrix, whether it is singular, and the smallest
            eigenvalue of the dual matrix G = d(criterion) / d(covariance), relative
            to the information about the term; at a proved optimum none is negative.
            For a term with a structure it is the smallest slope of the criterion
            away from the ends of its parameters' ranges.
        """
        factors, duals = self._estimates.factors, self.optimum.dual_eigenvalues
        return boundary_table(self.model.random, factors, duals)

    @property
    def singular(self) -> pd.Series:
        """Which terms are singular, as a Series of bool by "group: effects"."""
        table = self.boundary_table()
        index = table["group"] + ": " + table["effects"]
        return pd.Series(table["singular"].to_numpy(bool), index=index, name="singular")

    @property
    def is_singular(self) -> bool:
        """Whether any term is singular, as a single bool, like lme4's isSingular."""
        return bool(self.singular.any())

    def re_pca(self) -> pd.DataFrame:
        """
        Principal components of the random effects, as in lme4's rePCA.

        Returns
        -------
        DataFrame
            For each grouping factor and component, the standard deviation relative to
            sigma, and the share and cumulative share of the variance.
        """
        return principal_components(self.model.random, self._relative)

    # conditional modes -----------------------------------------------------

    @property
    def _modes(self):
        """Conditional modes of each term, shapes (l, k)."""
        return self._estimates.modes

    def _mode_covariances(self, i):
        """Conditional covariances of the modes of a term, shape (l, k, k)."""
        if i not in self._mode_variances:
            relative = self._estimates.mode_covariances(i)
            if relative is None:
                require_sums(self.model, "a conditional variance")
                relative = self._units.mode_covariances(self.at_optimum, i)
            self._mode_variances[i] = self._unit * relative
        return self._mode_variances[i]

    @cached_property
    def random_effects(self) -> ByFactor:
        """Conditional modes, a dict of factor to DataFrame of levels by effects."""
        return modes_by_factor(self.model.random, self._modes)

    def coef_by_level(self) -> dict[str, pd.DataFrame]:
        """
        Coefficients of each level, as lme4's ``coef``.

        The coefficient of a level is the sum of the fixed effect and the level's
        conditional mode; where either is absent, it is the other.

        Returns
        -------
        dict
            For each grouping factor a DataFrame with one row per level. The columns are
            the fixed effects, followed by random effects without a fixed one of the
            same name. A fixed effect that was dropped as redundant is NaN.
        """
        fixed = pd.Series(self.params, self.model.exog_names)
        at = self.model.data.const_idx
        constant = None if at is None else self.model.exog_names[at]
        return coefficients_by_level(self.model.random, self._modes, fixed, constant)

    @cached_property
    def random_effects_cov(self) -> ByFactor:
        """
        Conditional covariances of the random effects given the data.

        The fixed effects and variances are taken as known, as in lme4. The result is a
        dict of factor to dict of level to DataFrame, each made on access.
        """
        return covariances_by_factor(self.model.random, self._all_mode_covariances())

    def random_effects_table(self, exact: Any = None) -> pd.DataFrame:
        """
        Conditional modes with their standard deviations, one row each.

        Parameters
        ----------
        exact : dict, optional
            Levels by grouping factor, such as ``{"worker": [17, 23]}``, to which the
            table is restricted. After a fit by ``engine="krylov"`` standard deviations
            are approximate, and these are exact, at the cost of solving a system for
            each level.

        Returns
        -------
        DataFrame
            Columns group, effect, level, mode and sd, as in R's
            ``as.data.frame(ranef(m))``.

        Notes
        -----
        The approximation after ``engine="krylov"`` is good to 1e-4 of a standard
        deviation if levels are well mixed, as in ratings, and to a few percent if they
        share few rows, as workers and firms do.
        """
        if exact is not None:
            require_sums(self.model, "an exact standard deviation")
            return exact_modes_table(self, exact)
        covariances = self._all_mode_covariances()
        return modes_table(self.model.random, self._modes, covariances)

    def _all_mode_covariances(self):
        return [self._mode_covariances(i) for i in range(len(self.model.random))]

    @cached_property
    def _estimability(self):
        """Which combinations of the fixed effects the data determine."""
        return estimability(self.model.spanning, np.isfinite(self.params))

    # prediction ------------------------------------------------------------

    @refuse_r_names("allow_new_levels", "newdata", "re_form")
    def predict(
        self,
        exog: Any = None,
        transform: bool = True,
        random_effects: Any = False,
        new_levels: str = "error",
        offset: Any = None,
        random: Any = None,
        *,
        include_residual: bool = False,
        which: str = "mean",
        type: Any = None,
        to: Any = None,
    ) -> Any:
        """
        Predict the response.

        Parameters
        ----------
        exog : DataFrame, array_like or source of rows, optional
            New data; for a model without a formula, the design of the fixed effects.
            Default is the data of the model. The rows of a source, see `RowSums.of`,
            are predicted batch by batch if the model is linear; for a model of rows in
            memory, lazy frames of polars and relations of DuckDB are collected.
        transform : bool, optional
            Whether `exog` is data for the formula rather than a design matrix.
        random_effects : bool or list of str, optional
            Which conditional modes to add: False for none, as in MixedLM; True for
            those of all factors, as in lme4; or a list of factors or terms, such as
            ``["Subject"]`` or ``["(1 | Subject)"]``.
        new_levels : {"error", "population", "nan"}, optional
            How to treat a level that the fit has not seen: raise an error, add nothing,
            or return NaN.
        offset : array_like, optional
            Offset of the new rows, in addition to ``offset(...)`` in the formula.
        random : dict or sequence, optional
            For a model without a formula, the groups, effects or matrices of the new
            rows, as for ``random`` of `CrossedMixedLM`, by the names of the factors.
        include_residual : bool, optional
            Whether to add the prediction of each row's error from those of its residual
            group, see `get_prediction`.
        which : {"mean", "linear"}, optional
            The mean of the response, or the linear predictor; in a linear model they
            are equal.
        type : {"response", "link"}, optional
            `which` in R's terms.
        to : str or PathLike, optional
            Parquet file to which the rows of a source are written, with their
            predictions.

        Returns
        -------
        Series or ndarray
            For a source an iterator of DataFrames, its columns and "predicted", or None
            if they were written. Rows with missing values are NaN. So are rows whose
            mean the data do not determine, such as an unseen combination of levels;
            these also cause a RankWarning.
        """
        in_memory = self.model.summed is None
        if self._is_gaussian and is_lazy(exog, collected=in_memory):
            return predict_batches(self, exog, random_effects, new_levels, to)
        if to is not None:
            raise ValueError("to= is for the rows of a source, such as a Parquet file")
        asked = random_effects, new_levels, offset, random
        return predict(self, exog, transform, *asked, which, type, include_residual)

    # tables ----------------------------------------------------------------

    @refuse_r_names("ddf", "level")
    def summary(
        self,
        yname: str | None = None,
        xname: Any = None,
        title: str | None = None,
        alpha: float = 0.05,
        df_method: str | None = None,
    ) -> Summary:
        """
        Summarize the fit.

        Parameters
        ----------
        yname : str, optional
            Name of the response.
        xname : list of str, optional
            Names of the fixed effects.
        title : str, optional
            Title of the table.
        alpha : float, optional
            One minus the level of the confidence intervals.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see `with_df_method`.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return summaries.summary(self._by(df_method), yname, xname, title, alpha)

    @refuse_r_names("ddf", "level")
    def summary2(
        self,
        yname: str | None = None,
        xname: Any = None,
        title: str | None = None,
        alpha: float = 0.05,
        df_method: str | None = None,
    ) -> Summary2:
        """
        Summarize the fit like statsmodels' ``summary2``, with tables as DataFrames.

        Parameters
        ----------
        yname : str, optional
            Name of the response.
        xname : list of str, optional
            Names of the fixed effects.
        title : str, optional
            Title of the table.
        alpha : float, optional
            One minus the level of the confidence intervals.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see `with_df_method`.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
        """
        return summaries.summary2(self._by(df_method), yname, xname, title, alpha)

    def _brief(self):
        *lines, last = self.model._brief()
        proof = "" if self.converged else ", no optimum proved"
        if self.optimum.given:
            proof = ", parameters as given"
        return [*lines, f"{last}; {self.method}{proof}"]

    def _repr_html_(self):
        return self.summary().as_html()

    def remove_data(self) -> None:
        """Drop all arrays of the length of the data, as in statsmodels."""
        _ = self._estimability  # predictions need it, and it is small
        for name in self._of_data:
            self.__dict__.pop(name, None)
        if self._robust is not None:
            self._robust = self._robust.without_rows()
        self.model._forget()
        self.model.random = tuple(e.without_data() for e in self.model.random)
        if self.model.residual is not None:
            self.model.residual = self.model.residual.without_data()
        super().remove_data()
