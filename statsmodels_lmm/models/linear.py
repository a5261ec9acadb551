"""The linear mixed model: its data, likelihood and fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.krylov import criterion_of
from statsmodels_lmm.core.criteria.saturation import is_saturated
from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.search.krylov import after, search_krylov, with_value
from statsmodels_lmm.core.search.newton import Settings, stay
from statsmodels_lmm.core.search.several_starts import VANISHING, search
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.degrees_of_freedom import df_method_of
from statsmodels_lmm.inference.fixed.robust_covariance import ROBUST, check_cov_type
from statsmodels_lmm.inference.replicates.model_simulation import simulate_model
from statsmodels_lmm.inference.requirements import (
    require_independent_errors,
    require_response,
    require_sums,
    rows_summed,
)
from statsmodels_lmm.keywords import (
    MANY_ARGUMENTS,
    METHOD,
    NO_NODES,
    refuse_r_names,
    scale_of,
)
from statsmodels_lmm.many.fitting import fit_many
from statsmodels_lmm.models.base import MixedModel
from statsmodels_lmm.models.distribution import Distribution
from statsmodels_lmm.models.engine_choice import (
    EngineChoice,
    exactly,
    settle,
    told_of_krylov,
    use_sums,
)
from statsmodels_lmm.models.fits_with_errors import (
    NO_RESIDUAL,
    NOTHING_LEFT,
    FitsWithErrors,
    undefined_start,
)
from statsmodels_lmm.models.from_batches import FromBatches
from statsmodels_lmm.models.penalized_fits import PenalizedFits
from statsmodels_lmm.models.validation import (
    check_maxiter,
    check_number_of_columns,
    check_range,
    check_residual,
    warn_after_fit,
)
from statsmodels_lmm.results.linear import (
    CrossedMixedLMResults,
    CrossedMixedLMResultsWrapper,
)

UNINFORMATIVE = 1e-10
"""Share of effect columns outside the span of X that is mere rounding."""

NO_MAXIMUM = (
    "the likelihood has no maximum: fixed and random effects together reproduce any "
    "response of these rows, and it grows without bound as the residual variance goes "
    "to zero. Leave out a random effect"
)


CHOOSE = "; fit_regularized() chooses among more columns than rows"

OF_PENALIZED = (
    "a model with penalized columns is fitted by fit_regularized(), which chooses "
    "among them, or fit_regularized_path()"
)


class CrossedMixedLM(FromBatches, FitsWithErrors, PenalizedFits, MixedModel):
    r"""
    Linear mixed model with crossed, nested or partially crossed random effects.

    .. math:: y = X \beta + \sum_i Z_i b_i + \epsilon, \quad
       b_i \sim N(0, I \otimes \Sigma_i), \quad
       \epsilon \sim N(0, \sigma^2 W^{-1/2} R W^{-1/2})

    Parameters
    ----------
    endog : array_like
        Response, shape (n,).
    exog : array_like
        Design of the fixed effects, shape (n, p). No constant is added.
    random : dict or sequence
        The random effects, by name or in sequence. Each is the result of
        `random_effects` or `matrix_effects`; groups, shape (n,), for random intercepts;
        a pair (groups, effects) with mutually correlated effect columns, shape (n, k);
        a model matrix Z, dense or sparse, shape (n, q); or such a tuple with a
        covariance structure at the end.
    weights : array_like, optional
        Prior weights; the residual variance of a row is sigma^2 / weight.
    offset : array_like, optional
        Known part of the linear predictor.
    missing : {"none", "drop", "raise"}, optional
        What to do with incomplete rows.
    check_levels : bool, optional
        Whether to reject, as lme4 does, a grouping factor with as many levels as rows
        and a term with as many random effects as rows.
    rank : {"drop", "raise"}, optional
        What to do with columns of X that depend linearly on the columns before
        them.
    relationship, relationship_inverse : dict, optional
        Known covariance matrices of the levels of grouping factors, or their inverses,
        by the names of the factors: a DataFrame with the levels as labels, a
        LabeledMatrix, or a pair of a matrix, dense or sparse, and its labels. Levels
        may be in any order and may include some without data, which are predicted. The
        covariance of all random effects of a factor is then K (x) Sigma.
    residual : Residual, optional
        Correlations of the errors within groups of rows, see `residual.Residual`. R is
        the identity without `residual` and `dispersion`. With either, `random` may be
        left out.
    dispersion : array_like, optional
        Columns of the logarithms of the errors' standard deviations, without a
        constant, shape (n,) or (n, s).
    power_of_fitted : bool, optional
        See `from_formula`.
    penalized : DataFrame, array or sparse matrix, optional
        Further columns of the fixed effects, of any type and number, among which
        `fit_regularized` chooses. They are not copied.
    groups, exog_re, exog_vc : optional
        One grouping factor, its effect columns and its variance components, as in
        statsmodels' MixedLM, instead of `random`.
    **kwargs
        Used by `from_formula`.

    Notes
    -----
    Series and DataFrames are aligned with the rows by label, see
    `inputs.alignment.row_positions`. Masked entries of an array count as missing. The
    model keeps copies of its data.

    Variances are estimated by minimizing the profiled deviance of Bates et al.
    (2015) or the REML criterion. The results' `params` are the fixed effects only.
    A formula is code: it is evaluated by statsmodels' formula engine, so do not
    accept one from someone you do not trust.

    References
    ----------
    Bates, D., Maechler, M., Bolker, B. and Walker, S. (2015). Fitting linear
    mixed-effects models using lme4. Journal of Statistical Software 67(1).

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    >>> round(-2 * result.llf, 4)
    1743.6283
    """

    _choice: Any = None
    """How the fit of a model with the engine of conjugate gradients was asked for."""

    _results_classes = CrossedMixedLMResults, CrossedMixedLMResultsWrapper
    _sums_rows = True
    _own_arguments: tuple = ("penalized",)
    _sides = ("weights", "offset", "penalized_rows")

    def _forget(self):
        """Discard standardized data and cross-products; they are formed when needed."""
        super()._forget()
        self._cross: tuple = ()

    @refuse_r_names("family", **MANY_ARGUMENTS)
    def fit_many(
        self,
        responses: Any,
        reml: bool = True,
        *,
        df_method: str | None = "satterthwaite",
        weights: Any = None,
        n_jobs: int | None = None,
        chunk_size: int | None = None,
        progress: bool | None = None,
        to: Any = None,
    ) -> Any:
        """
        Fit the model to many responses at once; see `many.fitting.fit_many`.

        Parameters
        ----------
        responses : DataFrame, array_like or iterable
            One column for each response, one row for each row of the model, NaN where
            missing; or an iterable of such tables.
        reml, df_method, weights, n_jobs, chunk_size, progress, to : optional
            See `many.fitting.fit_many`.

        Returns
        -------
        ManyResults
        """
        return fit_many(
            self,
            responses,
            reml,
            df_method=df_method,
            weights=weights,
            n_jobs=n_jobs,
            chunk_size=chunk_size,
            progress=progress,
            to=to,
        )

    @refuse_r_names(
        "seed",
        newparams="is three arguments here: params, cov_re and scale",
        newdata="is the data of the model here",
    )
    def simulate(
        self, params: Any, cov_re: Any, scale: float, nsim: int = 1, rng: Any = None
    ) -> pd.DataFrame:
        """
        Draw responses at given parameters, without a fit.

        The model needs no response of its own, as in lme4's ``simulate`` of a formula
        with ``newparams``. `CrossedMixedLMResults.simulate` draws from a fit.

        Parameters
        ----------
        params : array_like, Series or dict
            Fixed effects, in the order of the columns or by their names.
        cov_re : dict
            For each grouping factor the covariance matrix of its random effects, or the
            variance of a single one, in the units of the data, as
            `CrossedMixedLMResults.cov_re`.
        scale : float
            Residual variance.
        nsim : int, optional
            Number of responses.
        rng : None, int or numpy.random.Generator, optional
            Source of randomness. Response i depends only on it and on i.

        Returns
        -------
        DataFrame
            One column per response, with the rows of the model; `fit_many` takes it.

        Raises
        ------
        ValueError
            If a parameter is missing or outside its range.
        NotImplementedError
            If the errors are correlated or of unequal variance.

        Examples
        --------
        >>> import pandas as pd
        >>> from statsmodels_lmm.formula.api import crossedmixedlm
        >>> visits = pd.DataFrame({"patient": [0, 0, 1, 1], "visit": [0, 1, 0, 1]})
        >>> model = crossedmixedlm("~ visit + (1 | patient)", visits)
        >>> model.simulate([10.0, 0.5], {"patient": 4.0}, 1.0, nsim=3, rng=1).shape
        (4, 3)
        """
        return simulate_model(self, params, cov_re, scale, nsim, rng)

    @refuse_r_names(method=METHOD, nagq=NO_NODES)
    def fit(
        self,
        reml: bool = True,
        *,
        start_params: Any = None,
        maxiter: int = 200,
        tol: float = 1e-10,
        df_method: str | None = None,
        cov_type: str = "nonrobust",
        cov_kwds: Mapping[str, Any] | None = None,
        engine: str = "auto",
        probes: int | None = None,
        rng: Any = 0,
    ) -> CrossedMixedLMResultsWrapper:
        """
        Estimate the model.

        Parameters
        ----------
        reml : bool, optional
            Whether to maximize the restricted likelihood (lme4's ``REML``) or the
            likelihood.
        start_params : array_like, optional
            Starting values of the relative covariance parameters, in the order of
            `CrossedMixedLMResults.theta`. A Series of fixed effects, as passed by
            statsmodels' MICE, is ignored.
        maxiter : int, optional
            Largest number of evaluations of the criterion. With 0 the results are those
            at `start_params`, without a search: the fixed effects and the residual
            variance are the best for these theta.
        tol : float, optional
            The search ends when one more step promises a smaller decrease of the
            criterion, -2 times the log-likelihood.
        df_method : str, optional
            Degrees of freedom of the fixed effects, see
            `CrossedMixedLMResults.with_df_method`. Default is "asymptotic".
        cov_type : str, optional
            Covariance of the fixed effects: that of the model, or a cluster-robust one,
            see `CrossedMixedLMResults.with_cov_type`.
        cov_kwds : dict, optional
            ``{"groups": ...}``, the clusters of a cluster-robust covariance: a grouping
            factor or column of the model, or one label per row used.
        engine : {"auto", "exact", "krylov"}, optional
            How crossed factors with many levels are treated. "exact" forms a dense
            matrix of all factors but the largest. "krylov" never does: it solves by
            conjugate gradients and estimates traces from random probes, with errors
            stated in `CrossedMixedLMResults.monte_carlo`. One factor, and nested ones,
            are eliminated level by level, exactly, with either. "auto" is "exact" up to
            some 1,250 columns; beyond that it starts as "krylov" and ends with a step
            that is exact if that takes only seconds.
        probes : int, optional
            Number of probes of "krylov". Default is as many as it takes for the
            Monte-Carlo errors to be at most 0.01 standard errors of each theta, and
            0.01 of the criterion: 8, doubled up to 256 and 512.
        rng : None, int or numpy.random.Generator, optional
            Source of the probes.

        Returns
        -------
        CrossedMixedLMResults

        Raises
        ------
        ValueError
            If an argument has an unknown value, or if `engine` is "krylov" and levels
            are related, a random effect is a model matrix, or errors are correlated.
        MemoryError
            If the dense matrix of the exact engine does not fit.
        DataError
            If the data leave nothing for the residual variance, or if the likelihood
            has no maximum.

        Warns
        -----
        ConvergenceWarning
            If the point found is not proved to be a local optimum.
        DataWarning
            If fixed and random effects can reproduce any response.
        """
        if not isinstance(reml, bool | np.bool_):
            raise ValueError(f"reml must be True or False, not {reml!r}")
        if start_params is not None and self._are_fixed(start_params):
            start_params = None
        check_maxiter(maxiter, start_params)
        df_method = df_method_of(df_method)
        cov_type, groups = check_cov_type(
            cov_type, cov_kwds, self._results_classes[0]._cov_types
        )
        settings = Settings(maxiter=int(maxiter), tol=float(tol))
        choice = EngineChoice.of(engine, probes, rng)
        wrapper = self._results_classes[1]
        if self.residual is None:
            fitted = self._fit_by_engine(choice, bool(reml), start_params, settings)
        else:
            choice.model_for(self)  # raises if the engine is not for such errors
            if groups is not None:
                require_independent_errors(self, ROBUST)
            if self.residual.follows_fitted and start_params is None:
                fitted = self._fit_to_fitted(bool(reml), settings)
            else:
                fitted = self._fit_with_errors(bool(reml), start_params, settings)
        warn_after_fit(fitted)
        if groups is not None:
            fitted = fitted.with_cov_type(cov_type, groups)
        return wrapper(fitted._by(df_method))

    def _fit_by_engine(self, choice, reml, start_params, settings):
        """The results of a model whose errors are independent and of equal variance."""
        try:
            model, deviance, optimum = self._optimum(
                choice, reml, start_params, settings
            )
        except np.linalg.LinAlgError:
            raise undefined_start(start_params) from None
        except MemoryError as error:
            raise told_of_krylov(error, [r.grouped for r in self.random]) from None
        _, products = model._sufficient_statistics()
        units, idle = model._units, model._idle
        if products.is_stochastic:
            deviance = with_value(deviance, choice.is_fixed)
            settle(model, deviance)
        vanished = deviance.scale < VANISHING and is_saturated(products)
        if vanished and not reml:
            raise DataError(NO_MAXIMUM)
        if deviance.scale < NOTHING_LEFT:
            raise DataError(NO_RESIDUAL)
        random = units.of_plan(self.random)
        optimum = units.optimum(optimum, deviance.factors)
        uninformative = tuple(random[i].name for i in idle)
        self._last_theta = model._last_theta = optimum.theta
        return self._results_classes[0](model, units, deviance, optimum, uninformative)

    def _optimum(self, choice, reml, start_params, settings):
        """The model with the engine of the last search, and that search."""
        exact = exactly(self)
        model = choice.model_for(exact)
        if model is exact:
            return model, *model._searched(reml, start_params, settings)
        deviance, optimum = model._searched(reml, start_params, settings, choice)
        if not choice.may_polish(model._cross[1]):
            return model, deviance, optimum
        start = model._units.of_user(deviance.factors)
        use_sums(exact, model)
        deviance, polished = exact._searched(reml, start, settings, is_found=True)
        return exact, deviance, after(optimum, polished)

    @property
    def _idle(self):
        """Terms in the span of X, without a variance to estimate, in the plan."""
        shares = enumerate(self._design.left_by_fixed)
        return [i for i, left in shares if left <= UNINFORMATIVE]

    def _searched(self, reml, start, settings, choice=None, is_found=False):
        """
        The optimum of the criterion, and how the search went.

        Parameters
        ----------
        reml, settings
            See `search`.
        start : array_like or list of RelativeFactor or None
            Theta; or, if an optimum has been found, its factors in the user's order.
        choice : EngineChoice, optional
            For a model with the engine of conjugate gradients.
        is_found : bool, optional
            Whether the start is an optimum of that engine.
        """
        _, products = self._sufficient_statistics()
        units, idle = self._units, self._idle
        if is_found:
            start = units.of_plan(start)
        elif start is not None:
            start = units.factors_at(start, pivoted=True)
        if not settings.maxiter:
            return stay(criterion_of(products, reml), start)
        if products.is_stochastic:
            fixed = choice.is_fixed
            return search_krylov(products, reml, settings, start, idle, fixed)
        return search(Profiled(products, reml), settings, start, idle)

    def loglike(self, params: Any, reml: bool = True) -> float:
        """
        Log-likelihood with fixed effects and residual variance profiled out.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta, in the order of
            `CrossedMixedLMResults.theta`.
        reml : bool, optional
            Whether to return the restricted log-likelihood.

        Returns
        -------
        float
        """
        return -0.5 * self._units.criterion(self._deviance(params, reml))

    def score(self, params: Any, reml: bool = True) -> np.ndarray:
        """
        Gradient of `loglike` with respect to theta.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to differentiate the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -0.5 * self._derivatives(params, reml, exact=False)[0]

    def hessian(self, params: Any, reml: bool = True) -> np.ndarray:
        """
        Hessian of `loglike` with respect to theta.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to differentiate the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -0.5 * self._derivatives(params, reml, exact=True)[1]

    def information(self, params: Any, reml: bool = True) -> np.ndarray:
        """
        The negative of `hessian`.

        Parameters
        ----------
        params : array_like
            Relative covariance parameters theta.
        reml : bool, optional
            Whether to use the restricted log-likelihood.

        Returns
        -------
        ndarray
        """
        return -self.hessian(params, reml)

    def predict(
        self,
        params: Any,
        exog: Any = None,
        which: str = "mean",
        offset: Any = None,
        *,
        type: Any = None,
    ) -> np.ndarray:
        """
        Fixed part of the linear predictor.

        Parameters
        ----------
        params : array_like
            Fixed effects, shape (p,); those of dropped columns may be NaN.
        exog : array_like, optional
            Design, shape (n, p); default is the model's design, with its offset.
        which : {"mean", "linear"}, optional
            The response or the linear predictor, which have the same mean here.
        offset : array_like, optional
            Known part of the linear predictor of `exog`.
        type : {"response", "link"}, optional
            `which` in R's terms.

        Returns
        -------
        ndarray
            NaN, with a RankWarning, in rows of `exog` whose mean the data do not
            determine.
        """
        scale_of(which, type)
        return self._linear_predictor(params, exog, offset)

    def relative_covariances(self, theta: Any) -> list[np.ndarray]:
        """Relative covariance matrix of each term at a given theta, (k, k) each."""
        units = self._units
        return units.relative_covariances(units.factors_at(theta, pivoted=True))

    def get_distribution(self, params: Any, scale: float, exog: Any = None) -> Any:
        """
        The distribution of the response with the variances of the last fit.

        statsmodels' mediation analysis draws from it.

        Parameters
        ----------
        params : array_like
            Fixed effects, shape (p,).
        scale : float
            Residual variance.
        exog : array_like, optional
            Design of the fixed effects; default is the model's.

        Returns
        -------
        object
            An object with ``rvs(n, rng=None)``, which draws one response; n is ignored.
        """
        if self.summed is not None:
            raise rows_summed("a distribution of responses")
        theta = self._last_theta
        if theta is None:
            theta = self.fit().optimum.theta
        mean = self.predict(params, self.exog if exog is None else exog)
        return Distribution(self, mean, theta, float(scale))

    def _sufficient_statistics(self):
        """Standardized data and cross-products, formed once."""
        require_independent_errors(self, "this method")
        if not self._cross:
            data = self._standardized()
            if self.summed is None:
                products = self._design.cross_products(data)
            else:
                products = self._design.products
            self._cross = data, products, Units(data, products.plan)
        return self._cross[:2]

    def _standardized(self):
        """The standardized data, checked."""
        require_sums(self, "a fit")
        require_response(self)
        if self.penalized is not None:
            raise DataError(OF_PENALIZED)
        if self.summed is not None:
            data = self._design.of_sums(self.summed)
            check_residual(self.summed.response_size, data)
        else:
            check_number_of_columns(self.exog, CHOOSE)
            endog = self.endog if self.offset is None else self.endog - self.offset
            factors = [r.grouped for r in self.random]
            data = self._design.standardize(endog, self.exog, factors, self.weights)
            root = 1.0 if self.weights is None else np.sqrt(self.weights)
            check_residual(np.abs(endog * root).max(), data)
        check_range(data, self.random)
        if self.rank == "raise" and len(data.kept) < len(self.exog_names):
            raise DataError(
                "the fixed effects are not linearly independent: "
                + ", ".join(self.redundant_columns(data))
            )
        return data

    @property
    def _units(self):
        """The conversion between the order and units of a fit and the user's."""
        if self.residual is not None:
            return self._prepared_errors()[2]
        self._sufficient_statistics()
        return self._cross[2]

    def _deviance(self, theta, reml):
        """The criterion at a given theta, in standardized units."""
        if self.residual is not None:
            found = self._criterion(reml).whitened.evaluate(self._point_at(theta))
            if found is None:
                raise ValueError("the criterion cannot be evaluated there")
            return found
        _, products = self._sufficient_statistics()
        return profiled_deviance(products, self._units.factors_at(theta), reml)

    def _derivatives(self, theta, reml, exact):
        """Gradient and Hessian of the criterion with respect to theta."""
        deviance = self._deviance(theta, reml)
        derivatives = deviance.derivatives(exact)
        jacobian = self._units.theta_jacobian(deviance.factors)
        return (
            jacobian.T @ derivatives.gradient,
            jacobian.T @ derivatives.curvature @ jacobian,
        )

    def __getstate__(self):
        """Pickle and copy without what can be recomputed."""
        return {**super().__getstate__(), "_cross": ()}
