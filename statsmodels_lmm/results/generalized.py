"""The results of a generalized linear mixed model."""

from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from statsmodels.base.wrapper import populate_wrapper

from statsmodels_lmm.core.criteria.estimates import estimates
from statsmodels_lmm.core.criteria.quadrature import can_be_integrated
from statsmodels_lmm.core.families.base import Family
from statsmodels_lmm.core.uncertainty.joint_covariance import joint_covariance
from statsmodels_lmm.core.uncertainty.separation import FINITE
from statsmodels_lmm.inference.fixed.ratios import ratios
from statsmodels_lmm.inference.fixed.robust_covariance import with_cov_type
from statsmodels_lmm.inference.prediction.generalized_prediction import (
    get_generalized_prediction,
    predict_generalized,
)
from statsmodels_lmm.inference.requirements import check_choice, require_data
from statsmodels_lmm.inference.variances.identification import Identification
from statsmodels_lmm.keywords import NO_DF, refuse_r_names
from statsmodels_lmm.markup import Summary, Summary2
from statsmodels_lmm.results import summary as summaries
from statsmodels_lmm.results.base import MixedResults
from statsmodels_lmm.results.generalized_notes import (
    dispersion_notes,
    limit_notes,
    quadrature_notes,
)
from statsmodels_lmm.results.saving import to_json
from statsmodels_lmm.results.wrapper import MixedResultsWrapper

NODES = {1: 25, 2: 9, 3: 5}
"""Nodes for each effect by which a Laplace fit is judged, by the number of effects."""


class QuadratureChange(NamedTuple):
    """
    The change of -2 log-likelihood by quadrature.

    Parameters
    ----------
    n_nodes : int
        Nodes for each effect.
    value : float
        The change.
    """

    n_nodes: int
    value: float


class CrossedMixedGLMResults(MixedResults):
    """
    Results of a generalized linear mixed model.

    Parameters
    ----------
    model : CrossedMixedGLM
        The model.
    units : Units
        The conversion between the search's order and units and the user's.
    evaluation : LaplaceDeviance
        The criterion at the optimum, in standardized units.
    optimum : Optimum
        How the search went, in the user's order and units.
    hessian : ndarray
        Hessian of the criterion with respect to the free parameters.
    unbounded : Unbounded, optional
        Fixed effects and variances without a finite maximum likelihood estimate.
    reason : str, optional
        Why no optimum was proved, if it was not.

    Attributes
    ----------
    params, fe_params : Series
        Fixed effects; NaN for redundant columns that were dropped.
    scale : float
        The dispersion phi; 1 for the binomial, Poisson and negative binomial families.
    alpha : float or None
        The estimated alpha of the negative binomial family.
    llf : float
        Log-likelihood by the Laplace approximation or by quadrature, with all
        constants for every number of nodes.
    theta : Series
        Covariance parameters: the lower Cholesky factors of the random effects'
        covariance matrices, on the scale of the linear predictor.
    nagq : int
        Number of nodes; 1 is the Laplace approximation, 0 its faster variant.
    cov_type : {"hessian", "rx", "CR0", "CR1", "cluster"}
        Source of the standard errors, see `with_cov_type`.
    optimum : Optimum
        Evaluations, gradient, eigenvalues of the dual matrices, trace of the search.
    unbounded : Unbounded
        What has no finite maximum likelihood estimate, in sentences and by columns of
        X; the standard errors of these coefficients are NaN.
    converged : bool
        Whether the point is proved to be a local optimum. False if there is none.
    """

    _cov_types = "hessian", "rx"
    _title = "Generalized Linear Mixed Model Results"
    _of_data = "at_optimum", "_curves", "_fixed_part"

    def __init__(
        self,
        model,
        units,
        evaluation,
        optimum,
        hessian,
        unbounded=FINITE,
        reason="",
    ):
        self.unbounded = unbounded
        self.reason = "" if optimum.certified else reason
        directions = unbounded.directions
        if directions is not None:
            directions = np.linalg.solve(units.data.to_fixed, directions)
        self._joint = joint_covariance(evaluation, hessian, directions)
        if unbounded.sentences and directions is None:  # a variance is not identified
            unknown = np.full_like(self._joint.covariance, np.nan)
            self._joint = replace(self._joint, covariance=unknown)
        super().__init__(model, units, evaluation, optimum)
        family = model.family
        self.nagq = evaluation.criterion.nagq
        self.extra = evaluation.extra
        self.scale = float(family.dispersion(evaluation.extra))
        covariance = self._estimates.fixed_covariance
        self.normalized_cov_params = covariance / self.scale
        self.cov_type = "hessian"
        self._observed = evaluation.criterion.observed
        self._n_observed = float(np.sum(model._repeats * np.ones(len(model.endog))))

    def _estimated(self, units, evaluation):
        self._rx_root = units.data.to_fixed @ self._joint.known_root
        self._hessian_root = units.data.to_fixed @ self._joint.fixed_root
        infinite = self.unbounded.columns
        return estimates(units, evaluation, self._hessian_root, infinite)

    def __getattr__(self, name):
        if name == "residual_share":
            raise AttributeError(
                "residual_share is that of the residual variance of a linear model; "
                "r_squared() and icc() divide the variance of a generalized one"
            )
        return super().__getattr__(name)

    @property
    def family(self) -> Family:
        """The conditional distribution with its link."""
        return self.model.family

    @property
    def _n_scales(self):  # type: ignore[override]
        return int(self.family.has_extra)

    @property
    def _has_residual(self):  # type: ignore[override]
        return self.family.has_extra and not self.family.extra_is_squared

    @property
    def _distribution(self):
        event = self.model.event
        told = {"Family": self.family.name, "Link": self.family.link_name}
        return told if event is None else told | {"Event": str(event)}

    @property
    def _scales(self):
        scales = {}
        if self._has_residual:
            scales["Scale"] = self.scale
        elif self.alpha is not None:
            scales["Alpha"] = self.alpha
        if "pearson_chi2" in self.__dict__ or self.model.endog is not None:
            scales["Pearson chi2"] = self.pearson_chi2
        return scales

    def _notes(self):
        lines = [f"Not finite: {sentence}." for sentence in self.unbounded.sentences]
        if self.reason:
            lines.append(f"{self.reason[0].upper()}{self.reason[1:]}.")
        lines += limit_notes(self) + dispersion_notes(self) + quadrature_notes(self)
        if self.cov_type == "rx":
            lines.append("Standard errors as if the variances were known (rx).")
        return lines

    def _mean(self, linear_predictor):
        return self.family.mean(linear_predictor)

    @property
    def alpha(self) -> float | None:
        """The alpha of the negative binomial family; None otherwise."""
        if self.family.extra_is_squared:
            return float(self.extra)
        return getattr(self.family, "alpha", None)

    @cached_property
    def at_optimum(self):
        """The criterion evaluated at the optimum, in standardized units."""
        return self._evaluated(self.nagq)

    def _evaluated(self, nagq):
        """The criterion with a number of nodes at the estimates."""
        require_data(self.model, "an evaluation of the criterion")
        criterion = self.model._criterion(nagq, self._observed)
        units = self._units
        factors = units.of_plan(self._estimates.factors)
        coefficients = units.coefficients(self._estimates.fixed)
        return criterion.at_parameters(coefficients, factors, self.extra)

    @cached_property
    def converged(self) -> bool:
        """Whether the point is proved to be a local optimum; False if none exists."""
        return self.optimum.certified and not self.unbounded.sentences

    @cached_property
    def method(self) -> str:
        """The approximation of the likelihood."""
        return "ML (Laplace)" if self.nagq == 1 else f"ML (nagq={self.nagq})"

    @cached_property
    def mle_settings(self):
        """The settings of the fit, in statsmodels' terms."""
        return {"optimizer": "newton", "nagq": self.nagq}

    @property
    def _fit_options(self):
        """How the model was fitted, as arguments of ``fit``."""
        hessian = "observed" if self._observed else "expected"
        options = {"nagq": self.nagq, "hessian": hessian, "cov_type": self.cov_type}
        return options | {"cov_kwds": self._cov_kwds}

    @cached_property
    def identification(self) -> Identification:
        """What the data leave open about the variances, an Identification."""
        m = len(self.optimum.theta)
        return Identification(np.zeros((m + 1, 0)), 0, ())

    @cached_property
    def df_resid(self) -> float:
        """Observations minus the rank of X, as in statsmodels."""
        return self._n_observed - len(self._estimates.kept)

    @property
    def bic(self) -> float:
        """-2 llf + log(n) n_params, with n the number of observations."""
        return -2.0 * self.llf + np.log(self._n_observed) * self.n_params

    @cached_property
    def overdispersion(self) -> Any:
        """
        Pearson's chi-squared divided by its degrees of freedom, `nobs` - `n_params`.

        None where it does not measure overdispersion: in families whose dispersion is
        estimated, and for a response of zeros and ones.
        """
        if self._has_residual or self.model.endog is None or self.model.is_binary:
            return None
        df = self._n_observed - self.n_params
        return self.pearson_chi2 / df if df > 0 else None

    @cached_property
    def quadrature_change(self) -> Any:
        """
        What quadrature would change in -2 log-likelihood at the estimates.

        A QuadratureChange; None if the fit is not a Laplace approximation with one
        grouping factor and at most three effects, if nodes lie beyond the range of the
        link, or without data.
        """
        if self.nagq != 1 or self.model.endog is None:
            return None
        _, conditional = self.model._prepared()
        if not can_be_integrated(conditional):
            return None
        n_nodes = NODES[conditional.terms[0].k_effects]
        try:
            found = self._evaluated(n_nodes)
        except np.linalg.LinAlgError:
            return None
        if found.leaves_range:
            return None
        return QuadratureChange(n_nodes, float(found.value) - self.deviance_criterion)

    def with_cov_type(self, cov_type: str, groups: Any = None) -> Self:
        """
        Return the results with other standard errors of the fixed effects.

        Parameters
        ----------
        cov_type : {"hessian", "rx", "CR0", "CR1", "cluster"}
            From the inverse of the joint Hessian of all parameters; as lme4's
            ``vcov(m, use.hessian = FALSE)``, as if the variances were known; or
            cluster-robust, see `CrossedMixedLMResults.with_cov_type`: the scores are
            those of the Laplace approximation in all parameters, see
            `core.uncertainty.cluster_scores`.
        groups : str or array_like, optional
            The clusters of a cluster-robust covariance, which contain the levels of all
            random effects.

        Returns
        -------
        CrossedMixedGLMResults
        """
        root = self._rx_root if cov_type == "rx" else self._hessian_root
        other = copy(self)
        other._estimates = replace(self._estimates, fixed_root=root)
        covariance = other._estimates.fixed_covariance
        other.normalized_cov_params = covariance / self.scale
        return with_cov_type(other, cov_type, groups)

    # fitted values and residuals -----------------------------------------------------

    @cached_property
    def _fixed_part(self):
        require_data(self.model, "a fitted value")
        return self.model._linear_predictor(self.params, offset=self.model._offset)

    @property
    def linear_predictor(self) -> Any:
        """Linear predictor with the conditional modes."""
        eta = self._fixed_part.copy()
        for effects, modes in zip(self.model.random, self._modes):
            eta += effects.grouped.times(modes)
        return eta

    @property
    def fittedvalues(self) -> Any:
        """Conditional means of the response at the modes."""
        return self.family.mean(self.linear_predictor)

    @property
    def mu(self) -> Any:
        """Conditional means of the response at the modes, the same as fittedvalues."""
        return self.fittedvalues

    @property
    def resid_response(self) -> Any:
        """Response minus fitted values."""
        return self.model.endog - self.fittedvalues

    @property
    def resid(self) -> Any:
        """Response minus fitted values, the same as resid_response."""
        return self.resid_response

    @property
    def resid_pearson(self) -> Any:
        """Response residuals divided by the root of the variance at phi = 1."""
        mu, weights = self.fittedvalues, self.model._prior_weights
        with np.errstate(divide="ignore", invalid="ignore"):  # at the edge of a range
            variance = self.family.variance(mu, weights, self.extra) / self.scale
            return self.resid_response / np.sqrt(variance)

    @property
    def resid_deviance(self) -> Any:
        """Signed roots of the unit deviances."""
        mu, weights = self.fittedvalues, self.model._prior_weights
        each = self.family.unit_deviance(self.model.endog, mu, self.extra)
        size = np.sqrt(np.maximum(weights * each, 0.0))
        return np.sign(self.resid_response) * size

    @property
    def resid_working(self) -> Any:
        """Response residuals on the scale of the linear predictor."""
        return self.resid_response / self.family.mean_slope(self.linear_predictor)

    @cached_property
    def deviance(self) -> float:
        """Sum of the unit deviances at the modes."""
        return float((self.model._repeats * self.resid_deviance**2).sum())

    @cached_property
    def pearson_chi2(self) -> float:
        """Sum of the squared Pearson residuals."""
        return float((self.model._repeats * self.resid_pearson**2).sum())

    @cached_property
    def _null(self):
        return self.model.null_fit()

    @property
    def llnull(self) -> float:
        """Log-likelihood of a constant alone, without random effects."""
        return self._null.llf

    @property
    def null_deviance(self) -> float:
        """Deviance of a constant alone, without random effects."""
        return self._null.deviance

    def pseudo_rsquared(self, kind: str = "cs") -> float:
        """
        Pseudo R-squared against a constant without random effects.

        Parameters
        ----------
        kind : {"cs", "mcf"}, optional
            Cox and Snell's or McFadden's.

        Returns
        -------
        float
        """
        check_choice("kind", kind, ("cs", "mcf"))
        if kind == "mcf":
            return 1.0 - self.llf / self.llnull
        return 1.0 - float(np.exp(2.0 * (self.llnull - self.llf) / self._n_observed))

    @refuse_r_names("allow_new_levels", "newdata", "re_form")
    def predict(  # type: ignore[override]
        self,
        exog: Any = None,
        transform: bool = True,
        random_effects: Any = False,
        new_levels: str = "error",
        offset: Any = None,
        random: Any = None,
        *,
        exposure: Any = None,
        which: str = "mean",
        type: Any = None,
    ) -> Any:
        """
        Predict the response.

        Parameters
        ----------
        exog : DataFrame or array_like, optional
            New data; for a model without a formula, the design of the fixed effects.
            Default is the data of the model.
        transform : bool, optional
            Whether `exog` is data for the formula rather than a design matrix.
        random_effects : bool, str or list of str, optional
            Which conditional modes to add to the linear predictor: False for none;
            True for those of all factors; or a list of factors or terms. "average"
            is the mean over the distribution of the random effects of new levels, the
            mean of the population.
        new_levels : {"error", "population", "nan"}, optional
            How to treat a level that the fit has not seen: raise an error, add nothing,
            or return NaN.
        offset : array_like, float or str, optional
            Offset of the new rows or the column that holds it, in addition to
            ``offset(...)`` in the formula. Needed if the model has one.
        random : dict or sequence, optional
            For a model without a formula, the groups, effects or matrices of the new
            rows, as for ``random`` of `CrossedMixedGLM`, by the names of the factors.
        exposure : array_like, float or str, optional
            Exposure of the new rows or the column that holds it. Needed if the model
            has one.
        which : {"mean", "linear"}, optional
            The mean of the response, or the linear predictor.
        type : {"response", "link"}, optional
            `which` in R's terms.

        Returns
        -------
        Series or ndarray
            Rows with missing values are NaN. So are rows whose mean the data do not
            determine, such as an unseen combination of levels; these also cause a
            RankWarning.
        """
        asked = random_effects, new_levels, offset, exposure, random
        return predict_generalized(self, exog, transform, *asked, which, type)

    get_prediction = get_generalized_prediction  # type: ignore[assignment]
    ratios = ratios

    @refuse_r_names("level", ddf=NO_DF)
    def summary(
        self,
        yname: str | None = None,
        xname: Any = None,
        title: str | None = None,
        alpha: float = 0.05,
        df_method: str | None = None,
        *,
        exponentiate: bool = False,
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
        exponentiate : bool, optional
            Whether to print the fixed effects as odds ratios, rate ratios or the like,
            for links whose coefficients are logarithms of these. The standard errors
            are by the delta method; tests are those of the coefficients.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        names = yname, xname, title, alpha
        return summaries.summary(self._by(df_method), *names, exponentiate)

    @refuse_r_names("level", ddf=NO_DF)
    def summary2(
        self,
        yname: str | None = None,
        xname: Any = None,
        title: str | None = None,
        alpha: float = 0.05,
        df_method: str | None = None,
        *,
        exponentiate: bool = False,
    ) -> Summary2:
        """
        Summarize the fit like statsmodels' ``summary2``, with tables as DataFrames.

        Parameters
        ----------
        yname, xname, title, alpha, df_method, exponentiate
            As for `summary`.

        Returns
        -------
        statsmodels.iolib.summary2.Summary
        """
        names = yname, xname, title, alpha
        return summaries.summary2(self._by(df_method), *names, exponentiate)

    def remove_data(self) -> None:
        """Drop all arrays of the length of the data, as in statsmodels."""
        # statistics of the rows, which the summary and comparisons need
        _ = self.deviance, self.pearson_chi2, self.overdispersion, self._null
        super().remove_data()

    to_json = to_json


if TYPE_CHECKING:  # a wrapper has the attributes of what it wraps
    _Wrapped = CrossedMixedGLMResults
else:
    _Wrapped = object


class CrossedMixedGLMResultsWrapper(MixedResultsWrapper, _Wrapped):
    """Results with pandas labels, see `CrossedMixedGLMResults`."""

    _attrs = {
        **MixedResultsWrapper._attrs,
        "resid_response": "rows",
        "resid_deviance": "rows",
        "resid_working": "rows",
        "linear_predictor": "rows",
        "mu": "rows",
    }
    _wrap_attrs = {**MixedResultsWrapper._wrap_attrs, **_attrs}


populate_wrapper(CrossedMixedGLMResultsWrapper, CrossedMixedGLMResults)
