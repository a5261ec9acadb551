"""The generalized linear mixed model: its data and fit."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from statsmodels.genmod.generalized_linear_model import GLM

from statsmodels_lmm.core.criteria.conditional import ConditionalModel
from statsmodels_lmm.core.criteria.laplace import Laplace
from statsmodels_lmm.core.criteria.quadrature import (
    MOST_EFFECTS,
    Quadrature,
    can_be_integrated,
)
from statsmodels_lmm.core.criteria.units import Units
from statsmodels_lmm.core.families.exponential_family import ExponentialFamily
from statsmodels_lmm.core.families.null_model import null_model
from statsmodels_lmm.core.search.generalized import search_generalized
from statsmodels_lmm.core.search.newton import Settings, stay
from statsmodels_lmm.core.uncertainty.separation import FINITE, is_constant_by_level
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.robust_covariance import (
    check_cov_type,
    require_scores,
)
from statsmodels_lmm.inference.requirements import check_choice, require_data
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.responses import (
    another_response,
    as_vector,
    coded_response,
    response_data,
)
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.keywords import (
    NO_DF,
    ONE_OPTIMIZER,
    refuse_r_names,
    renamed,
    scale_of,
)
from statsmodels_lmm.models.families import family_of, statsmodels_family
from statsmodels_lmm.models.generalized_likelihood import (
    HESSIANS,
    GeneralizedLikelihood,
)
from statsmodels_lmm.models.link_ranges import failure_sentence, no_optimum_sentence
from statsmodels_lmm.models.separation import unbounded_estimates
from statsmodels_lmm.models.validation import check_maxiter, warn_after_fit
from statsmodels_lmm.results.generalized import (
    CrossedMixedGLMResults,
    CrossedMixedGLMResultsWrapper,
)

MOST_NODES = 100
"""Largest number of nodes; weights of more underflow."""

NO_REML = "is for linear models; a generalized one is fitted by maximum likelihood"

NOT_IN_FIT = {"REML": NO_REML, "df_method": NO_DF, "reml": NO_REML}
NOT_IN_FIT |= {"method": ONE_OPTIMIZER}


class CrossedMixedGLM(GeneralizedLikelihood):
    r"""
    Generalized linear mixed model with crossed, nested or partially crossed effects.

    .. math:: g(E(y \mid b)) = X \beta + \sum_i Z_i b_i + \text{offset}, \quad
       b_i \sim N(0, I \otimes \Sigma_i)

    Parameters
    ----------
    endog : array_like
        Response, shape (n,). That of a binomial family may be 0 and 1, booleans, or
        text or a categorical with two levels, of which the second is the event;
        proportions, with the numbers of trials as weights; or successes and failures,
        shape (n, 2).
    exog : array_like
        Design of the fixed effects, shape (n, p). No constant is added.
    random : dict or sequence
        The random effects, see `CrossedMixedLM`.
    family : statsmodels family or str, optional
        Conditional distribution of the response with its link, such as
        ``sm.families.Binomial()`` or "poisson". Default is binomial with a logit link.
    weights : array_like, optional
        Prior weights: the number of trials if `endog` holds proportions, and otherwise
        what divides the dispersion of a row. `var_weights` is another name.
    freq_weights : array_like, optional
        How often each row was observed.
    trials : array_like, optional
        Numbers of trials of proportions, which multiply the weights. Successes and
        failures have their own.
    offset : array_like, optional
        Known part of the linear predictor.
    exposure : array_like, optional
        Exposure of counts; its logarithm is added to the offset. The link is the log.
    missing, check_levels, rank, relationship, relationship_inverse
        See `CrossedMixedLM`.
    groups, exog_re, exog_vc
        See `CrossedMixedLM`.
    event : object, optional
        The level that 1 stands for, if levels were already converted to 0 and 1.
    **kwargs
        Used by `from_formula`.

    Notes
    -----
    The parameters of `loglike`, `score`, `hessian` and `information` are the fixed
    effects, theta in the order of the results' ``theta``, and last, where the family
    has one, the logarithm of the dispersion or the alpha of the negative binomial
    family.

    The likelihood is the Laplace approximation, or adaptive Gauss-Hermite quadrature
    for one grouping factor. The random effects' covariances are on the scale of the
    linear predictor, even in families with a dispersion.
    """

    _results_classes = CrossedMixedGLMResults, CrossedMixedGLMResultsWrapper
    _own_arguments = ("family",)
    _trials_of_response = False
    _sides = ("weights", "offset", "exposure", "freq_weights", "var_weights", "trials")

    @classmethod
    def _require_errors(cls):
        raise TypeError(
            "residual= and dispersion= are for linear models: a generalized one has no "
            "errors besides its distribution. Times may depend on one another through "
            "random effects: `crossedmixedglm('n ~ t + ar1(0 + C(t) | g)', data, "
            "family='poisson')`"
        )

    @classmethod
    def _require_penalized(cls):
        raise TypeError(
            "penalized= is for linear models, CrossedMixedLM and crossedmixedlm"
        )

    def __init__(
        self,
        endog: Any,
        exog: Any,
        random: Any = None,
        family: Any = None,
        *args: Any,
        event: Any = None,
        **kwargs: Any,
    ) -> None:
        self.family = self._family_of({"family": family})
        source = kwargs.get("source")
        self._response_name = None if source is None else source.parsed.response
        endog, level = coded_response(endog, self.family.name == "Binomial")
        self.event = level if event is None else event
        super().__init__(endog, exog, random, *args, **kwargs)
        self._init_keys += ["family", "event"]
        sides = {"offset": self.argument_offset, "exposure": self.exposure}
        self.needs = {name: values is not None for name, values in sides.items()}

    @classmethod
    def _family_of(cls, own):
        """The family named by this model's own arguments."""
        family = own.get("family")
        if isinstance(family, ExponentialFamily):  # from a clone
            return family
        return family_of("binomial" if family is None else family)

    def _response(self, endog, sides):
        """The response and the values of the rows, with numbers of trials."""
        if sides["weights"] is not None and sides["var_weights"] is not None:
            raise DataError("weights and var_weights are the same; give one of them")
        if sides["exposure"] is not None and not _is_log(self.family):
            raise ValueError(
                "exposure= is for a log link, as its logarithm is added to the linear "
                f"predictor; with the {self.family.link_name} link use offset="
            )
        found = response_data(
            endog, self.family, _prior_weights(sides), self._response_name, self.event
        )
        y, labels = found.y, labels_of(endog)
        if labels is not None:
            y = pd.Series(y, labels, name=found.name)
        if found.trials is None:
            return y, sides
        if sides["trials"] is not None:
            raise DataError("successes and failures have their own numbers of trials")
        self._trials_of_response = True
        return y, {**sides, "trials": found.trials}

    def _confounded(self, sides):
        """As inherited, but only for families with a dispersion and for binary rows."""
        weights, family, reason = _prior_weights(sides), self.family, ""
        if family.has_extra and not family.extra_is_squared and weights is None:
            reason = "its variance and the dispersion are confounded"
        elif _is_binary(family, weights):
            reason = "rows of 0 or 1 say nothing about its variance"
        return reason, bool(reason)

    def _forget(self):
        """Discard standardized data and the engine; they are formed when needed."""
        super()._forget()
        self._cross: tuple | None = None

    # rows ----------------------------------------------------------------------------

    @property
    def _prior_weights(self):
        """Prior weights a, shape (n,)."""
        given = _prior_weights({name: getattr(self, name) for name in self._sides})
        return np.ones(len(self.endog)) if given is None else given

    @property
    def is_binary(self):
        """Whether each row is a single 0 or 1."""
        return _is_binary(self.family, self._prior_weights)

    @property
    def _repeats(self):
        """How often each row was observed."""
        return 1.0 if self.freq_weights is None else self.freq_weights

    @property
    def _frequencies(self):
        return self._prior_weights * self._repeats

    @property
    def argument_offset(self):
        """The offset beyond that of the formula; None if there is none."""
        if self.formula_offset is None or self.offset is None:
            return self.offset
        beyond = self.offset - self.formula_offset
        return beyond if beyond.any() else None

    @property
    def _offset(self):
        """Known part of the linear predictor, with the exposure; None if zero."""
        if self.exposure is None:
            return self.offset
        known = 0.0 if self.offset is None else self.offset
        return known + np.log(self.exposure)

    def _prepared(self):
        """Standardized data and the conditional model, formed once."""
        if self._cross is None:
            require_data(self, "a fit")
            self._check_dispersion()
            factors = [r.grouped for r in self.random]
            data = self._design.plain(self.endog, self.exog, factors)
            if self.rank == "raise" and len(data.kept) < self.exog.shape[1]:
                raise DataError(
                    "the fixed effects are not linearly independent: "
                    + ", ".join(self.redundant_columns(data))
                )
            offset = self._offset
            conditional = ConditionalModel(
                self._design.engine,
                self.family,
                self.endog,
                self._prior_weights,
                np.asfortranarray(data.exog),  # sums run down columns
                0.0 if offset is None else offset,
                self.freq_weights,
            )
            self._cross = data, conditional
        return self._cross

    def _check_dispersion(self):
        """Refuse a response that leaves nothing to estimate a dispersion from."""
        if not self.family.has_extra or self.family.extra_is_squared:
            return
        for effects in self.random:
            if is_constant_by_level(effects.grouped, self.endog):
                raise DataError(
                    f"the response is constant within every level of {effects.name}, "
                    "so nothing remains to estimate the dispersion from"
                )

    @property
    def _units(self):
        """The conversion between the order and units of a fit and the user's."""
        data, conditional = self._prepared()
        return Units(data, conditional.engine.plan)

    @property
    def _row_labels(self):
        """Labels of the rows, or their numbers."""
        labels = self.data.row_labels
        return pd.RangeIndex(len(self.endog)) if labels is None else labels

    def _criterion(self, nagq, observed):
        """The criterion by its number of nodes."""
        if not isinstance(nagq, int | np.integer) or nagq < 0:
            raise ValueError(f"nagq must be a number of nodes or 0, not {nagq!r}")
        if nagq > MOST_NODES:
            raise ValueError(f"nagq must be at most {MOST_NODES}, not {nagq}")
        _, conditional = self._prepared()
        if nagq > 1:
            if not can_be_integrated(conditional):
                raise ValueError(
                    f"nagq={nagq} needs one grouping factor with independent levels "
                    f"and at most {MOST_EFFECTS} effects; use nagq=1, the Laplace "
                    "approximation"
                )
            return Quadrature(conditional, observed, n_nodes=int(nagq))
        return Laplace(conditional, observed, jointly=nagq == 0)

    # fit -----------------------------------------------------------------------------

    @renamed(warns=False, nAGQ="nagq")
    @refuse_r_names(**NOT_IN_FIT)
    def fit(
        self,
        nagq: int = 1,
        *,
        hessian: str = "observed",
        start_params: Any = None,
        maxiter: int = 200,
        tol: float = 1e-9,
        progress: bool | None = None,
        callback: Any = None,
        cov_type: str = "hessian",
        cov_kwds: Mapping[str, Any] | None = None,
    ) -> CrossedMixedGLMResultsWrapper:
        """
        Estimate the model by maximum likelihood.

        Parameters
        ----------
        nagq : int, optional
            1, the Laplace approximation; more, adaptive Gauss-Hermite quadrature with
            as many nodes for each effect, for one grouping factor with at most three
            effects; 0, the Laplace approximation with the fixed effects at their
            conditional modes, which is fast and less accurate.
        hessian : {"observed", "expected"}, optional
            Curvature of the conditional log-likelihood in the Laplace approximation:
            the observed one, as in glmmTMB, or its expectation, as in lme4. They are
            the same for canonical links.
        start_params : array_like, optional
            Starting values of all parameters, in the order of `loglike`.
        maxiter : int, optional
            Largest number of evaluations of the criterion. With 0 the results are those
            at `start_params`, without a search, such as the planned parameters of a
            study that is to be simulated; then `simulate` and `bootstrap` do not depend
            on the response. (With ``nagq=0`` the fixed effects are still the
            conditional modes.)
        tol : float, optional
            The search ends when one more step promises a smaller decrease of the
            criterion, -2 times the log-likelihood.
        progress : bool, optional
            Whether to print each step of the search.
        callback : callable, optional
            Called with the number of evaluations, the criterion, and the decrease that
            the next step promises. A StopIteration raised by it ends the search, as
            Ctrl-C does.
        cov_type : str, optional
            Source of the standard errors, see
            `CrossedMixedGLMResults.with_cov_type`.
        cov_kwds : dict, optional
            ``{"groups": ...}``, the clusters of a cluster-robust covariance: a grouping
            factor or column of the model, or one label per row used.

        Returns
        -------
        CrossedMixedGLMResults

        Raises
        ------
        ValueError
            If an argument has an unknown value.
        DataError
            If the likelihood cannot be evaluated.

        Warns
        -----
        ConvergenceWarning
            If the point found is not proved to be a local optimum.
        """
        if start_params is not None and self._are_fixed(start_params):
            start_params = None
        check_maxiter(maxiter, start_params)
        check_choice("hessian", hessian, HESSIANS)
        cov_type, groups = check_cov_type(
            cov_type, cov_kwds, self._results_classes[0]._cov_types
        )
        if groups is not None:
            require_scores(cov_type, nagq)
        criterion, units = self._criterion(nagq, hessian == "observed"), self._units
        start = None
        if start_params is not None:
            start = self._place(criterion, start_params, pivoted=True)
        watch = _watch(progress, callback)
        settings = Settings(int(maxiter), float(tol), watch)
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # the end is examined
                if maxiter:
                    evaluation, optimum = search_generalized(criterion, settings, start)
                else:
                    evaluation, optimum = stay(criterion, start)
                curvature = evaluation.hessian
        except np.linalg.LinAlgError as error:
            eta, told = criterion.constant_predictor(), (self._row_labels, error)
            raise DataError(failure_sentence(self.family, eta, *told)) from None
        optimum, reason = units.optimum(optimum, evaluation.factors), ""
        if not (optimum.interrupted or optimum.given):
            ended = optimum.evaluations < maxiter
            reason = no_optimum_sentence(evaluation, self._row_labels, ended)
        results, wrapper = self._results_classes
        unbounded = FINITE
        if not optimum.given:
            unbounded = unbounded_estimates(self, evaluation, self._prepared()[0])
        found = results(self, units, evaluation, optimum, curvature, unbounded, reason)
        if cov_type != "hessian":
            found = found.with_cov_type(cov_type, groups)
        warn_after_fit(found)
        return wrapper(found)

    # other fits ----------------------------------------------------------------------

    def null_fit(self):
        """
        Fit a constant alone, without random effects.

        Returns
        -------
        NullModel
        """
        offset = self._offset
        return null_model(
            self.family,
            self.endog,
            self._prior_weights,
            0.0 if offset is None else offset,
            self._repeats,
        )

    def without_random(self, kept):
        """
        Fit the model without random effects by statsmodels.

        Parameters
        ----------
        kept : ndarray
            Columns of X to keep, booleans, shape (p,).

        Returns
        -------
        GLMResults

        Raises
        ------
        DataError
            If alpha is to be estimated, which a GLM does not do.
        """
        if self.family.extra_is_squared:
            raise DataError(
                "statsmodels' GLM does not estimate the alpha of a negative binomial "
                "family; ranova() compares with the model without random effects"
            )
        labels = self.data.row_labels
        names = np.array(self.exog_names, dtype=object)[kept]
        exog = pd.DataFrame(self.exog[:, kept], columns=names, index=labels)
        y, weights = self.endog, self._prior_weights
        if self.family.name == "Binomial":
            y = np.column_stack([y * weights, (1.0 - y) * weights])
            endog = pd.DataFrame(y, labels, ["successes", "failures"])
            weights = None
        else:
            endog = pd.Series(y, labels, name=self.endog_names)
        model = GLM(
            endog,
            exog,
            family=statsmodels_family(self.family),
            offset=self._offset,
            freq_weights=self.freq_weights,
            var_weights=weights,
        )
        return model.fit()

    def with_response(self, endog: Any) -> Self:
        """
        The same model for another response, with its numbers of trials.

        Parameters
        ----------
        endog : array_like, Series or DataFrame
            One value for each row used, in any form that the model takes; successes
            alone stand for successes and failures. Aligned as by
            `MixedModel.with_response`.

        Returns
        -------
        CrossedMixedGLM

        Raises
        ------
        DataError
            If rows, trials or levels are not those of the model, or the family excludes
            the response.
        """
        require_data(self, "another response")
        endog = aligned(as_vector(endog), self.data.row_labels, "the response")
        trials = self.trials if self._trials_of_response else None
        is_binomial = self.family.name == "Binomial"
        return super().with_response(
            another_response(endog, is_binomial, trials, self.event, self._row_labels)
        )

    def _with_endog(self, values):
        """As inherited, for a response that the family allows."""
        other = super()._with_endog(values)
        other._cross = None
        problem = self.family.problem(other.endog, other._prior_weights)
        if problem is not None:
            what, rows = problem
            where = listed(np.flatnonzero(rows))
            raise DataError(f"the response {what} in rows {where}")
        return other

    def as_given(self, values, trials=None):
        """As inherited: proportions, or successes if the model was given these."""
        if not self._trials_of_response:
            return values
        trials = self.trials if trials is None else trials
        counts = values * trials
        whole = np.round(counts)  # but for rounding, unless they are means
        return np.where(np.abs(counts - whole) < 1e-9 * trials, whole, counts)

    # prediction ----------------------------------------------------------------------

    def predict(
        self,
        params: Any,
        exog: Any = None,
        which: str = "mean",
        offset: Any = None,
        exposure: Any = None,
        *,
        type: Any = None,
    ) -> np.ndarray:
        """
        Predict from the fixed effects, with random effects of zero.

        Parameters
        ----------
        params : array_like
            Fixed effects, shape (p,); those of dropped columns may be NaN.
        exog : array_like, optional
            Design, shape (n, p); default is the model's design, with its offset.
        which : {"mean", "linear"}, optional
            The mean of the response, or the linear predictor.
        offset, exposure : array_like, optional
            Known part of the linear predictor of `exog`, including that of the formula,
            and exposure. Needed with `exog` if the model has them.
        type : {"response", "link"}, optional
            `which` in R's terms.

        Returns
        -------
        ndarray

        Raises
        ------
        DataError
            If the model has an offset or an exposure and `exog` comes without.
        """
        scale = scale_of(which, type)
        given = {"offset": offset, "exposure": exposure}
        own = {"offset": self.offset, "exposure": self.exposure}
        if exog is None:
            given = {n: own[n] if v is None else v for n, v in given.items()}
        lost = [n for n in given if given[n] is None and own[n] is not None]
        if lost:
            raise DataError(f"the model has an {lost[0]}, which {lost[0]}= must give")
        offset, exposure = given.values()
        if exposure is not None:
            offset = np.log(exposure) + (0.0 if offset is None else offset)
        eta = self._linear_predictor(params, exog, offset)
        return eta if scale == "linear" else self.family.mean(eta)

    def __getstate__(self):
        """Pickle and copy without what can be formed again."""
        return {**super().__getstate__(), "_cross": None}


def _is_binary(family, weights):
    """Whether rows with these prior weights, if any, are single zeros and ones."""
    return family.name == "Binomial" and (weights is None or bool((weights == 1).all()))


def _is_log(family):
    """Whether the link is the logarithm, also as an object of the user."""
    mu = np.array([0.25, 0.5])
    return np.allclose(family.link(mu), np.log(mu))


def _watch(progress, callback):
    """What a search calls at each of its points; None if nothing."""
    if not progress and callback is None:
        return None

    def watch(iterate, promised, evaluations):
        told = evaluations, float(iterate.value), float(promised)
        if progress:
            print("evaluation {}: deviance {:.6f}, promised {:.1e}".format(*told))
        if callback is not None:
            callback(*told)

    return watch


def _prior_weights(sides):
    """The product of the weights and numbers of trials that are given, else None."""
    weights = sides["weights" if sides["var_weights"] is None else "var_weights"]
    trials = sides["trials"]
    if weights is None or trials is None:
        return trials if weights is None else weights
    return weights * trials
