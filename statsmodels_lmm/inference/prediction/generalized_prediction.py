"""Predictions of a generalized linear mixed model."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.population_mean import (
    population_gradient,
    population_inference,
    population_mean,
    predictor_variance,
)
from statsmodels_lmm.inference.prediction.prediction import (
    NEW_LEVELS,
    MixedPredictionResults,
    linear_predictor,
    with_variances,
)
from statsmodels_lmm.inference.prediction.prediction_rows import (
    effect_rows,
    new_rows,
    no_effects,
    wanted_effects,
)
from statsmodels_lmm.inference.requirements import as_fit, check_choice
from statsmodels_lmm.inputs.alignment import labels_of
from statsmodels_lmm.inputs.row_values import row_values
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.keywords import refuse_r_names, scale_of

AVERAGE = "average"
"""Averaging over the distribution of the random effects."""


class GeneralizedPredictionResults(MixedPredictionResults):
    """
    Predictions of a generalized model with standard errors and intervals.

    Parameters
    ----------
    family : Family
        The conditional distribution.
    scale : {"mean", "linear"}
        The scale of the predictions.
    linear_predictor, var_linear : ndarray
        Predictions on the scale of the linear predictor, and their variances, (n,).
    **kwargs
        As for `MixedPredictionResults`.

    Attributes
    ----------
    predicted, se : ndarray
        Predictions and standard errors on the scale asked for; those of means are by
        the delta method.
    linear_predictor, se_linear : ndarray
        Predictions and standard errors on the scale of the linear predictor, on which
        intervals are computed.
    """

    def __init__(self, family, scale, linear_predictor, var_linear, **kwargs):
        predicted, variance = linear_predictor, var_linear
        if scale == "mean":
            slope = family.mean_slope(linear_predictor)
            predicted, variance = family.mean(predicted), slope**2 * variance
        super().__init__(predicted, variance, **kwargs)
        self.family, self.scale = family, scale
        self.linear_predictor, self.se_linear = linear_predictor, np.sqrt(var_linear)

    def conf_int(self, obs: bool = False, alpha: float = 0.05) -> np.ndarray:
        """
        Compute confidence intervals.

        Parameters
        ----------
        obs : bool, optional
            False; there are no prediction intervals.
        alpha : float, optional
            One minus the level.

        Returns
        -------
        ndarray
            Lower and upper limits, shape (n, 2): those of the linear predictor, on the
            scale asked for.
        """
        if obs:
            raise ValueError(NO_INTERVALS)
        ends = self._conf_int_generic(
            self.linear_predictor, self.se_linear, alpha, self.dist_args
        )
        if self.scale == "linear":
            return ends
        return np.sort(self.family.mean(ends), axis=1)  # the link may decrease


NO_INTERVALS = (
    "prediction intervals are for a linear mixed model; those of a generalized one are "
    "confidence intervals of the mean; simulate(exog=...) draws responses"
)


def predict_generalized(
    results,
    exog,
    transform,
    random_effects,
    new_levels,
    offset,
    exposure,
    random,
    which,
    type,
):
    """
    Predict the response; see `CrossedMixedGLMResults.predict`.

    Parameters
    ----------
    results : CrossedMixedGLMResults or LightResults
        A fit.
    exog, transform, random_effects, new_levels, offset, exposure, random, which, type
        See there.

    Returns
    -------
    Series or ndarray
    """
    scale = check_scale(which, type, random_effects)
    known = known_part(results, exog, transform, offset, exposure)
    if is_average(random_effects):
        rows, parts = rows_of_population(results, exog, transform, known, random)
        eta, inside = rows.fixed_part(results), rows.complete
        mean = np.full(len(inside), np.nan)
        spread = predictor_variance(results, parts)
        mean[inside] = population_mean(results.family, eta[inside], spread)
        return rows.labeled(mean)
    rows, eta = linear_predictor(
        results, exog, transform, random_effects, new_levels, known, random
    )
    return rows.labeled(results.family.mean(eta) if scale == "mean" else eta)


@refuse_r_names("allow_new_levels", "level", "newdata", "re_form")
def get_generalized_prediction(
    results: Any,
    exog: Any = None,
    transform: bool = True,
    row_labels: Any = None,
    offset: Any = None,
    random_effects: Any = False,
    new_levels: str = "error",
    interval: str = "confidence",
    exposure: Any = None,
    df_method: str | None = None,
    random: Any = None,
    *,
    which: str = "mean",
    type: Any = None,
) -> GeneralizedPredictionResults:
    """
    Predict with standard errors and intervals.

    Intervals are computed for the linear predictor and transformed to the scale of the
    mean; standard errors on that scale are by the delta method. Without random effects
    they are those of the fixed effects. With them the variances are treated as known,
    as in a linear model. For means over the population they take account of all
    parameters.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    exog : DataFrame or array_like, optional
        New data; for a model without a formula, the design of the fixed effects.
        Default is the data of the model.
    transform : bool, optional
        Whether `exog` holds data for the formula rather than a design matrix.
    row_labels : array_like, optional
        Labels of the rows.
    offset : array_like or str, optional
        As for `predict`.
    random_effects : bool, str or list of str, optional
        As for `predict`.
    new_levels : {"error", "population", "nan"}, optional
        Treatment of a level not in the fit: an error; a contribution of zero to the
        linear predictor, with the variance of a new draw; or NaN.
    interval : {"confidence"}, optional
        There are no prediction intervals.
    exposure : array_like or str, optional
        As for `predict`.
    df_method : {None, "asymptotic", "residual"}
        Normal quantiles, or quantiles of a t distribution with the residual degrees of
        freedom. Default is that of the results.
    random : dict or sequence, optional
        As for `predict`.
    which : {"mean", "linear"}, optional
        The mean of the response, or the linear predictor.
    type : {"response", "link"}, optional
        `which` in R's terms.

    Returns
    -------
    GeneralizedPredictionResults
        With ``predicted``, ``se``, ``conf_int()`` and ``summary_frame()``.

    Raises
    ------
    DataError
        If the new data lack a column, an offset or an exposure, or have new levels.
    ValueError
        If an argument has an unknown value.
    """
    results = as_fit(results)
    scale = check_scale(which, type, random_effects)
    check_choice("new_levels", new_levels, NEW_LEVELS)
    if interval != "confidence":
        raise ValueError(NO_INTERVALS)
    known = known_part(results, exog, transform, offset, exposure)
    df_method = results.df_method if df_method is None else df_method
    family, parts = results.family, None
    if is_average(random_effects):
        rows, parts = rows_of_population(results, exog, transform, known, random)
        _, _, distribution = with_variances(results, rows, None, df_method)
        eta, variance = _population_predictor(results, rows, parts)
    else:
        wanted = wanted_effects(results, random_effects)
        factors = list(zip(results.model.random, wanted))
        used = [effects for effects, take in factors if take.any()]
        rows = new_rows(results, exog, transform, used, known, random=random)
        if used:
            parts = [
                effect_rows(results, effects, rows, take, new_levels)
                if take.any()
                else no_effects(effects, rows)
                for effects, take in factors
            ]
        predicted = with_variances(results, rows, parts, df_method)
        eta, variance, distribution = predicted
    labels = rows.labels if row_labels is None else row_labels
    return GeneralizedPredictionResults(
        family, scale, eta, variance, row_labels=labels, **distribution
    )


def known_part(results, exog, transform, offset, exposure):
    """
    The known part of the linear predictor, beyond the offsets of the formula.

    Parameters
    ----------
    results : CrossedMixedGLMResults or LightResults
        A fit.
    exog : DataFrame, array_like or None
        New data; None for those of the model.
    transform : bool
        Whether `exog` holds data for the formula.
    offset, exposure : array_like, float, str or None
        Values of the rows, or names of columns of `exog`.

    Returns
    -------
    ndarray or None
        Shape (n,); None for that of the model or none.

    Raises
    ------
    DataError
        If the model has an offset or an exposure and the new data have not.
    """
    model = results.model
    given = {"offset": offset, "exposure": exposure}
    if exog is None:
        if offset is None and exposure is None:
            return None
        data = pd.DataFrame(index=model.data.row_labels)
        data = pd.DataFrame(index=range(len(model.exog))) if data.empty else data
        own = {"offset": model.argument_offset, "exposure": model.exposure}
        given = {n: own[n] if v is None else v for n, v in given.items()}
    else:
        of_formula = has_formula(model) and transform
        data = _frame_of(results, exog, of_formula)
        lost = has_formula(model) and bool(model._parsed.offsets) and not transform
        needs = model.needs | {"offset": model.needs["offset"] or lost}
        for name, needed in needs.items():
            if needed and given[name] is None:
                raise DataError(
                    f"the model has an {name}, so new data need one, too: pass "
                    f"{name}= as an array, a number or the name of a column"
                )
    known = None
    for name, values in given.items():
        if values is None:
            continue
        if np.ndim(values) == 0 and not isinstance(values, str):
            values = np.full(len(data), values)
        values = row_values(values, data, name)
        if name == "exposure":
            values = np.log(values)
        known = values if known is None else known + values
    return known


def _frame_of(results, exog, of_formula):
    """A frame with the rows of new data."""
    if of_formula:
        return exog.to_frame().T if isinstance(exog, pd.Series) else to_frame(exog)
    labels, shape = labels_of(exog), np.shape(exog)
    if len(shape) == 1 and len(results.params) > 1:
        return pd.DataFrame(index=range(1))
    return pd.DataFrame(index=range(shape[0]) if labels is None else labels)


def check_scale(which, type, random_effects):
    """
    The scale of predictions, which for averages is that of the mean.

    Parameters
    ----------
    which, type, random_effects
        As for `predict_generalized`.

    Returns
    -------
    str
        "mean" or "linear".

    Raises
    ------
    ValueError
        If the scale is unknown, or that of an average is linear.
    """
    scale = scale_of(which, type)
    if is_average(random_effects) and scale == "linear":
        raise ValueError(
            "random_effects='average' averages means of the response: use which='mean'"
        )
    return scale


def is_average(random_effects):
    """Whether predictions are averages over the distribution of the random effects."""
    return isinstance(random_effects, str) and random_effects == AVERAGE


def rows_of_population(results, exog, transform=True, offset=None, random=None):
    """
    Rows, and in them all factors at new levels, with every effect left out.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    exog, transform, offset, random
        As for `new_rows`.

    Returns
    -------
    rows : PredictionRows
        The rows.
    parts : list of EffectRows or RawRows
        The factors in the rows.
    """
    factors = results.model.random
    rows = new_rows(results, exog, transform, [], offset, list(factors), random)
    parts = []
    for effects in factors:
        nothing = np.zeros(len(effects.effect_names), dtype=bool)
        part = effect_rows(results, effects, rows, nothing, "population")
        if effects.has_groups:  # whose known levels may have other variances
            part = replace(part, codes=np.full(len(part.codes), -1))
        parts.append(part)
    return rows, parts


def _population_predictor(results, rows, parts):
    """Links of population means, and their variances by the delta method."""
    family, inside = results.family, rows.complete
    eta = rows.fixed_part(results)
    variance = np.full(len(inside), np.nan)
    mean = population_mean(family, eta[inside], predictor_variance(results, parts))
    gradient = np.hstack(population_gradient(results, rows.design, parts, eta[inside]))
    n_own = gradient.shape[1] - rows.design.shape[1]
    of_mean = population_inference(results, n_own).variances(gradient)
    linked = family.link(mean)
    eta[inside], variance[inside] = linked, of_mean / family.mean_slope(linked) ** 2
    variance[np.isnan(eta)] = np.nan
    return eta, variance
