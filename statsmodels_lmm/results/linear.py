"""The results of a fit; thin: it delegates."""

from functools import cached_property

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodResultsWrapper
from statsmodels.base.wrapper import populate_wrapper

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.criteria.estimates import Estimates, estimates
from statsmodels_lmm.core.rows.estimability import estimability
from statsmodels_lmm.graphics.methods import Pictures
from statsmodels_lmm.inference.methods import MixedInference
from statsmodels_lmm.inference.prediction.prediction import predict
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.inference.variances.identification import identification
from statsmodels_lmm.results import summary as summaries
from statsmodels_lmm.results.by_factor import ByFactor
from statsmodels_lmm.results.conditional_modes import (
    covariances_by_factor,
    modes_by_factor,
    modes_table,
)
from statsmodels_lmm.results.saving import to_json

OF_DATA = ("at_optimum", "_fixed_part")
"""What is found from the data when it is needed."""


class CrossedMixedLMResults(Pictures, MixedInference):
    """
    Results of a linear mixed model.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    units : Units
        The way from the order and units of the search to those of the user.
    deviance : ProfiledDeviance
        The criterion at the optimum, in standardized units.
    optimum : Optimum
        How the search went, in the order and units of the user.
    uninformative : tuple of str
        Grouping factors that the fixed effects tell apart already.

    Attributes
    ----------
    params, fe_params : Series
        Fixed effects; NaN for redundant columns that were dropped.
    scale : float
        Residual variance sigma^2.
    llf : float
        Log-likelihood, or restricted log-likelihood after ``reml=True``, with all
        constants, as lme4.
    theta : Series
        Relative covariance parameters: the lower Cholesky factors of the random
        effects' covariance matrices over sigma^2, column by column, factors in the
        order of the formula. lme4 sorts factors by number of levels.
    optimum : Optimum
        Evaluations, gradient, eigenvalues of the dual matrices, trace of the search.
    converged : bool
        Whether the point is proved to be a local optimum.
    nobs : float
        Number of rows used.
    df_resid : float
        Rows less the rank of X, as statsmodels. lme4 counts the variance
        parameters too.
    df_model : float
        Rank of X less the constant, as statsmodels.
    residual_share : float
        Residual variance over that of the least-squares residuals.
    n_params : int
        Fixed effects, relative covariance parameters and sigma, as lme4 counts, but
        without those that the data do not determine.
    """

    def __init__(self, model, units, deviance, optimum, uninformative=()):
        self._estimates = estimates(units, deviance)
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
        self.reml = deviance.reml
        self.residual_share = float(deviance.scale)
        self.optimum = optimum
        self.uninformative = uninformative

    @cached_property
    def at_optimum(self):
        """The criterion evaluated at the optimum, in standardized units."""
        _, products = self.model._sufficient_statistics()
        factors = self._units.of_plan(self._estimates.factors)
        return profiled_deviance(products, factors, self.reml)

    @property
    def _units(self):
        """The way between the order and units of the search and those of the user."""
        return self.model._units

    def __getstate__(self):
        """Pickle without what can be found again."""
        again = {*OF_DATA, "random_effects", "random_effects_cov"}
        state = {n: v for n, v in self.__dict__.items() if n not in again}
        at_hand = self._estimates.level_blocks
        known = self._mode_variances.items()
        return state | {
            "_mode_variances": {i: v for i, v in known if at_hand[i] is None}
        }

    def __setstate__(self, state):
        """Take the estimates from where earlier versions had them, too."""
        self.__dict__.update(state if "_estimates" in state else _converted(state))

    # counts ----------------------------------------------------------------

    @cached_property
    def nobs(self):
        """Number of rows used."""
        return float(self.model.nobs)

    @cached_property
    def df_resid(self):
        """Rows less the rank of X, as statsmodels."""
        return self.nobs - len(self._estimates.kept)

    @cached_property
    def df_model(self):
        """Rank of X less the constant, as statsmodels."""
        return float(len(self._estimates.kept) - self.model.k_constant)

    @cached_property
    def dropped(self):
        """Names of the columns of X that depend on those before them."""
        kept = set(self._estimates.kept.tolist())
        return [n for j, n in enumerate(self.model.exog_names) if j not in kept]

    @cached_property
    def out_of_range(self):
        """Names of the fixed effects whose variance no number holds."""
        return [self.model.exog_names[j] for j in self._estimates.out_of_range]

    @cached_property
    def method(self):
        """REML or ML."""
        return "REML" if self.reml else "ML"

    @cached_property
    def converged(self):
        """Whether the point is proved to be a local optimum."""
        return self.optimum.certified

    @cached_property
    def mle_retvals(self):
        """How the search ended, in statsmodels' words."""
        return {
            "converged": self.converged,
            "iterations": self.optimum.evaluations,
            "fopt": self.deviance_criterion,
        }

    @cached_property
    def mle_settings(self):
        """What was asked for, in statsmodels' words."""
        return {"optimizer": "newton", "reml": self.reml}

    @property
    def deviance_criterion(self):
        """The criterion, -2 times the (restricted) log-likelihood."""
        return self._estimates.criterion

    # fixed effects ---------------------------------------------------------

    @property
    def llf(self):
        """Log-likelihood; restricted log-likelihood after ``reml=True``."""
        return -0.5 * self.deviance_criterion

    @property
    def fe_params(self):
        """Fixed effects, the same as `params`."""
        return self.params

    @property
    def bse_fe(self):
        """Standard errors of the fixed effects, the same as `bse`."""
        return self.bse

    @property
    def n_params(self):
        """
        Number of fixed effects, variance parameters and sigma that are determined.

        Where the likelihood depends on the sum of two variances, say, that is one.
        """
        count = int(np.isfinite(self.params).sum()) + len(self.optimum.theta) + 1
        return count - self.identification.idle

    @property
    def df_modelwc(self):
        """Number of estimated parameters, see `n_params`."""
        return self.n_params

    @property
    def aic(self):
        """-2 llf + 2 n_params, as lme4 also after ``reml=True``."""
        return -2.0 * self.llf + 2.0 * self.n_params

    @property
    def bic(self):
        """-2 llf + log(n) n_params, as lme4 also after ``reml=True``."""
        return -2.0 * self.llf + np.log(self.nobs) * self.n_params

    # variance components ---------------------------------------------------

    @cached_property
    def identification(self):
        """What the data leave open about the variances, an Identification."""
        return identification(self)

    @property
    def theta(self):
        """Relative covariance parameters as a Series, see the class."""
        labels = [name for e in self.model.random for name in e.theta_labels]
        return pd.Series(self.optimum.theta, index=labels, name="theta")

    def _block_theta(self):
        """Relative covariance parameters of each block of each factor."""
        random = self.model.random
        ends = np.cumsum([e.grouped.n_parameters for e in random])[:-1]
        parts = np.split(self.optimum.theta, ends)
        return [e.split_theta(part) for e, part in zip(random, parts)]

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
        """Covariance matrices of the random effects over sigma^2, of each factor."""
        return self._estimates.relative

    def _covariances(self):
        return [self.scale * s for s in self._relative]

    @property
    def cov_re(self):
        """Covariance matrices of the random effects of a level, a dict by factor."""
        frames = {}
        for effects, covariance in zip(self.model.random, self._covariances()):
            names = list(effects.effect_names)
            frames[effects.name] = pd.DataFrame(covariance, names, names)
        return ByFactor(frames, "cov_re")

    @property
    def vcomp(self):
        """Variances of the random effects, a Series by factor and effect."""
        values = {
            (effects.name, name): value
            for effects, covariance in zip(self.model.random, self._covariances())
            for name, value in zip(effects.effect_names, np.diag(covariance))
        }
        index = pd.MultiIndex.from_tuples(values, names=["group", "effect"])
        return pd.Series(list(values.values()), index=index, name="variance")

    def variance_components(self):
        """
        Variances, standard deviations, covariances and correlations.

        Returns
        -------
        DataFrame
            As R's ``as.data.frame(VarCorr(m))``: columns group, effect1, effect2
            (empty for a variance), variance (or covariance) and sd (or
            correlation), the residual last. A term with a structure has a row for
            each of its parameters; of one that is not a standard deviation effect1 is
            the structure, effect2 its name and sd its value.
        """
        rows, sigma = [], np.sqrt(self.scale)
        for effects, relative, theta in zip(
            self.model.random, self._relative, self._block_theta()
        ):
            for (block, _, model), told, own in zip(
                effects.blocks, effects.quantities, theta
            ):
                values = model.quantity_values(told, relative[block, block], own)
                for q, (variance, value) in zip(told, values):
                    value = value * (sigma if q.kind == "sd" else 1.0)
                    row = q.effect1, q.effect2, variance * self.scale, value
                    rows.append((effects.name, *row))
        rows.append(("Residual", "", "", self.scale, sigma))
        columns = ["group", "effect1", "effect2", "variance", "sd"]
        return pd.DataFrame(rows, columns=columns)

    # singular fits ---------------------------------------------------------

    def _block_ranks(self):
        """(effects, names, rank, whether it is singular) of each block."""
        out = []
        for factor, effects in zip(self._estimates.factors, self.model.random):
            for block, names in zip(factor.blocks, effects.block_names):
                out.append((effects, names, block.rank(), bool(block.is_singular)))
        return out

    def boundary_table(self):
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
            away from the ends of the ranges of its parameters.
        """
        duals = np.concatenate(self.optimum.dual_eigenvalues)
        rows = []
        for (effects, names, rank, singular), dual in zip(self._block_ranks(), duals):
            rows.append(
                (effects.name, ", ".join(names), len(names), rank, singular, dual)
            )
        columns = ["group", "effects", "n_effects", "rank", "singular", "dual"]
        return pd.DataFrame(rows, columns=columns)

    @property
    def singular(self):
        """Which terms are singular, a Series of bool by "group: effects"."""
        table = self.boundary_table()
        index = table["group"] + ": " + table["effects"]
        return pd.Series(table["singular"].to_numpy(bool), index=index, name="singular")

    @property
    def is_singular(self):
        """Whether any term is singular, one bool, as lme4's isSingular."""
        return bool(self.singular.any())

    def re_pca(self):
        """
        Principal components of the random effects, as lme4's rePCA.

        Returns
        -------
        DataFrame
            For each grouping factor and component the standard deviation, relative
            to sigma, and the share and cumulative share of the variance.
        """
        rows = []
        for effects, relative in zip(self.model.random, self._relative):
            values = np.maximum(np.linalg.eigvalsh(relative)[::-1], 0.0)
            total = values.sum() or 1.0
            for j, value in enumerate(values):
                rows.append(
                    (
                        effects.name,
                        j + 1,
                        np.sqrt(value),
                        value / total,
                        values[: j + 1].sum() / total,
                    )
                )
        columns = ["group", "component", "sd", "share", "cumulative"]
        return pd.DataFrame(rows, columns=columns)

    # conditional modes -----------------------------------------------------

    @property
    def _modes(self):
        """Conditional modes of each factor, shapes (l, k)."""
        return self._estimates.modes

    def _mode_covariances(self, i):
        """Conditional covariances of the modes of a factor, shape (l, k, k)."""
        if i not in self._mode_variances:
            found = self._estimates.mode_covariances(i)
            if found is None:
                require_data(self.model, "a conditional variance of related levels")
                found = self._units.mode_covariances(self.at_optimum, i)
            self._mode_variances[i] = self.scale * found
        return self._mode_variances[i]

    @cached_property
    def random_effects(self):
        """Conditional modes, a dict of factor to DataFrame of levels by effects."""
        return modes_by_factor(self.model.random, self._modes)

    @cached_property
    def random_effects_cov(self):
        """
        Conditional covariances of the random effects given the data.

        The fixed effects and variances are taken as known, as in lme4. A dict of
        factor to dict of level to DataFrame, each made when it is asked for.
        """
        return covariances_by_factor(self.model.random, self._all_mode_covariances())

    def random_effects_table(self):
        """
        Conditional modes with their standard deviations, one row each.

        Returns
        -------
        DataFrame
            Columns group, effect, level, mode and sd, as R's
            ``as.data.frame(ranef(m))``.
        """
        covariances = self._all_mode_covariances()
        return modes_table(self.model.random, self._modes, covariances)

    def _all_mode_covariances(self):
        return [self._mode_covariances(i) for i in range(len(self.model.random))]

    # fit -------------------------------------------------------------------

    @cached_property
    def _fixed_part(self):
        return self.model.predict(self.params)

    @cached_property
    def _estimability(self):
        """Which combinations of the fixed effects the data determine."""
        return estimability(self.model.exog, np.isfinite(self.params))

    @property
    def fittedvalues(self):
        """Fitted values with the conditional modes, as lme4 and MixedLM."""
        fitted = self._fixed_part.copy()
        for effects, modes in zip(self.model.random, self._modes):
            fitted += effects.grouped.times(modes)
        return fitted

    @property
    def resid(self):
        """Response less fitted values."""
        return self.model.endog - self.fittedvalues

    @property
    def resid_pearson(self):
        """Residuals times the square root of the weights, over sigma."""
        weights = self.model.weights
        root = 1.0 if weights is None else np.sqrt(weights)
        return self.resid * root / np.sqrt(self.scale)

    # prediction ------------------------------------------------------------

    def predict(
        self,
        exog=None,
        transform=True,
        random_effects=False,
        new_levels="error",
        offset=None,
        random=None,
        *,
        which="mean",
        type=None,
    ):
        """
        Predict the response.

        Parameters
        ----------
        exog : DataFrame or array_like, optional
            New data; for a model without a formula the design of the fixed effects.
            Default is the data of the model.
        transform : bool, optional
            Whether `exog` is data for the formula rather than a design matrix.
        random_effects : bool or list of str, optional
            Whether to add the conditional modes: False, the fixed part only, as
            MixedLM; True, those of all factors, as lme4; or the names of factors or
            terms such as ``["Subject"]`` or ``["(1 | Subject)"]``.
        new_levels : {"error", "population", "nan"}, optional
            What a level that the fit has not seen contributes: an error, nothing, or
            NaN.
        offset : array_like, optional
            Offset of the new rows, in addition to ``offset(...)`` in the formula.
        random : dict or sequence, optional
            For a model without a formula the groups, effects or matrices of the new
            rows, as the ``random`` of `CrossedMixedLM`, by the names of the factors.
        which : {"mean", "linear"}, optional
            The scale; both are the same for a linear model.
        type : {"response", "link"}, optional
            `which` in R's words.

        Returns
        -------
        Series or ndarray
            Rows with missing values are NaN, and so are, with a RankWarning, those
            whose mean the data do not determine, such as one of a combination of
            levels that was never seen.
        """
        asked = random_effects, new_levels, offset, random
        return predict(self, exog, transform, *asked, which, type)

    # tables ----------------------------------------------------------------

    def summary(self, yname=None, xname=None, title=None, alpha=0.05, df_method=None):
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
            One less the level of the confidence intervals.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see `with_df_method`.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return summaries.summary(self._by(df_method), yname, xname, title, alpha)

    def summary2(self, yname=None, xname=None, title=None, alpha=0.05, df_method=None):
        """
        Summarize the fit as statsmodels' ``summary2`` does, tables as DataFrames.

        Parameters
        ----------
        yname : str, optional
            Name of the response.
        xname : list of str, optional
            Names of the fixed effects.
        title : str, optional
            Title of the table.
        alpha : float, optional
            One less the level of the confidence intervals.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see `with_df_method`.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
        """
        return summaries.summary2(self._by(df_method), yname, xname, title, alpha)

    def _repr_html_(self):
        return self.summary().as_html()

    to_json = to_json

    def remove_data(self):
        """Drop all arrays of the length of the data, as statsmodels."""
        _ = self._estimability  # predictions need it, and it is small
        for name in OF_DATA:
            self.__dict__.pop(name, None)
        self.model._forget()
        self.model.random = tuple(e.without_data() for e in self.model.random)
        super().remove_data()


def _converted(state):
    """The state of results of earlier versions, with their estimates in one place."""
    own = dict(state)
    params, order = np.asarray(own["params"]), own.pop("_plan_order")
    factors, covariances = own.pop("_factors"), own.pop("_mode_variances")
    own["_estimates"] = Estimates(
        fixed=params,
        kept=np.flatnonzero(np.isfinite(params)),
        fixed_root=own.pop("_fixed_root"),
        scale=own["scale"],
        factors=tuple(factors[at] for at in np.argsort(order)),
        relative=tuple(own.pop("_relative")),
        modes=tuple(own.pop("_modes")),
        level_blocks=(None,) * len(order),
        criterion=own.pop("deviance_criterion"),
    )
    known = enumerate(covariances)
    own["_mode_variances"] = {i: c for i, c in known if c is not None}
    del own["_llf"]
    return own


class CrossedMixedLMResultsWrapper(LikelihoodResultsWrapper):
    """Results with pandas labels, see `CrossedMixedLMResults`."""

    _attrs = {
        "fe_params": "columns",
        "bse_fe": "columns",
        "resid": "rows",
        "resid_pearson": "rows",
        "fittedvalues": "rows",
    }
    _wrap_attrs = {**LikelihoodResultsWrapper._wrap_attrs, **_attrs}
    # intervals of all parameters have labels of their own
    _wrap_methods = {
        name: how
        for name, how in LikelihoodResultsWrapper._wrap_methods.items()
        if name != "conf_int"
    }

    def conf_int(self, *args, **kwargs):
        """Confidence intervals, see `CrossedMixedLMResults.conf_int`."""
        found = self._results.conf_int(*args, **kwargs)
        if isinstance(found, pd.DataFrame):
            return found
        return self.model.data.wrap_output(found, "columns")

    def with_df_method(self, df_method):
        """See `CrossedMixedLMResults.with_df_method`."""
        return type(self)(self._results.with_df_method(df_method))

    def _repr_html_(self):
        return self._results._repr_html_()


populate_wrapper(CrossedMixedLMResultsWrapper, CrossedMixedLMResults)
