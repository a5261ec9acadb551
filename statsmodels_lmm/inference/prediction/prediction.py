"""Predictions with and without random effects, and intervals for them."""

from typing import Any

import numpy as np
import pandas as pd
from statsmodels.base._prediction_inference import PredictionResultsBase

from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.degrees_of_freedom import (
    SMALL_SAMPLE,
    df_method_of,
    inference,
)
from statsmodels_lmm.inference.prediction.error_prediction import (
    predicted_errors,
    row_variances,
    rows_of_errors,
    variances_with_errors,
)
from statsmodels_lmm.inference.prediction.prediction_rows import (
    effect_rows,
    new_rows,
    no_effects,
    wanted_effects,
)
from statsmodels_lmm.inference.prediction.prediction_variance import (
    draw_variance,
    error_variance,
)
from statsmodels_lmm.inference.requirements import as_fit, check_choice
from statsmodels_lmm.inputs.row_values import row_values
from statsmodels_lmm.keywords import refuse_r_names, scale_of

NEW_LEVELS = ("error", "population", "nan")
"""Possible treatments of a level not in the fit."""


class MixedPredictionResults(Brief, PredictionResultsBase):
    """
    Predictions of a mixed model with standard errors and intervals.

    Parameters
    ----------
    predicted : ndarray
        Predictions, shape (n,).
    var_pred : ndarray
        Variances of the prediction errors, shape (n,).
    var_obs : ndarray or None
        Variances of the errors in predicting new observations; None if prediction
        intervals were not requested.
    **kwargs
        As for statsmodels' ``PredictionResultsBase``.

    Attributes
    ----------
    se : ndarray
        Standard errors of the predicted means.
    se_obs : ndarray
        Standard errors in predicting new observations.
    """

    def __init__(self, predicted, var_pred, var_obs=None, **kwargs):
        super().__init__(predicted, var_pred, var_obs=var_obs, **kwargs)

    def _brief(self):
        kind = "means" if self.var_obs is None else "means and new observations"
        return [f"{kind} of {len(self.predicted):,} rows, see summary_frame()"]

    def _repr_html_(self):
        return self.summary_frame().to_html(max_rows=60, show_dimensions=True)

    @property
    def se_obs(self) -> np.ndarray:
        """Standard errors in predicting new observations."""
        if self.var_obs is None:
            raise ValueError("use get_prediction(..., interval='prediction')")
        return np.sqrt(self.var_obs)

    def conf_int(self, obs: Any = None, alpha: float = 0.05) -> np.ndarray:
        """
        Compute confidence or prediction intervals.

        Parameters
        ----------
        obs : bool, optional
            True for prediction intervals of new observations, False for confidence
            intervals of the predicted means. Default is the kind requested from
            `get_prediction`.
        alpha : float, optional
            One minus the level.

        Returns
        -------
        ndarray
            Lower and upper limits, shape (n, 2).
        """
        obs = self.var_obs is not None if obs is None else obs
        return self._conf_int_generic(
            self.predicted, self.se_obs if obs else self.se, alpha, self.dist_args
        )

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """
        Collect predictions, standard errors and intervals in a table.

        Parameters
        ----------
        alpha : float, optional
            One minus the level.

        Returns
        -------
        DataFrame
            Columns predicted, se, ci_lower and ci_upper (for the mean), and
            obs_ci_lower and obs_ci_upper if prediction intervals were requested.
        """
        columns = {"predicted": self.predicted, "se": self.se}
        columns["ci_lower"], columns["ci_upper"] = self.conf_int(False, alpha).T
        if self.var_obs is not None:
            lower, upper = self.conf_int(True, alpha).T
            columns["obs_ci_lower"], columns["obs_ci_upper"] = lower, upper
        columns = {name: np.asarray(values) for name, values in columns.items()}
        return pd.DataFrame(columns, index=self.row_labels)


def predict(
    results,
    exog,
    transform,
    random_effects,
    new_levels,
    offset,
    random=None,
    which="mean",
    type=None,
    include_residual=False,
):
    """Predict the response, see `MixedResults.predict`."""
    scale_of(which, type)
    rows, mean = linear_predictor(
        results, exog, transform, random_effects, new_levels, offset, random
    )
    if include_residual:
        _check_residual(results, wanted_effects(results, random_effects))
        placed = rows_of_errors(results, rows)
        inside = rows.complete
        weights = np.broadcast_to(_row_weights(results, rows, exog, None), len(inside))
        variances = row_variances(results, placed) / weights[inside]
        mean[inside] += predicted_errors(results, placed, variances).mean
    return rows.labeled(mean)


def linear_predictor(
    results, exog, transform, random_effects, new_levels, offset, random
):
    """
    Compute the linear predictor of some rows.

    Parameters
    ----------
    results, exog, transform, random_effects, new_levels, offset, random
        As for `predict`.

    Returns
    -------
    rows : PredictionRows
        The rows.
    eta : ndarray
        Shape (n,).
    """
    check_choice("new_levels", new_levels, NEW_LEVELS)
    wanted = wanted_effects(results, random_effects)
    used = [e for e, take in zip(results.model.random, wanted) if take.any()]
    rows = new_rows(results, exog, transform, used, offset, random=random)
    mean = rows.fixed_part(results)
    for effects, modes, take in zip(results.model.random, results._modes, wanted):
        if take.any():
            part = effect_rows(results, effects, rows, take, new_levels)
            mean[rows.complete] += part.mean(modes)
    return rows, mean


@refuse_r_names("allow_new_levels", "level", "newdata", "re_form")
def get_prediction(
    results: Any,
    exog: Any = None,
    transform: bool = True,
    row_labels: Any = None,
    offset: Any = None,
    random_effects: Any = False,
    new_levels: str = "error",
    interval: str = "confidence",
    weights: Any = None,
    df_method: str | None = None,
    random: Any = None,
    *,
    include_residual: bool = False,
    which: str = "mean",
    type: Any = None,
) -> MixedPredictionResults:
    r"""
    Predict with standard errors and intervals.

    The variances of the random effects and of the residuals are treated as known. The
    standard error of a prediction is that of

    .. math:: x'(\hat\beta - \beta) + z'(\hat b - b),

    from the inverse of the mixed model equations (Henderson 1975), as in lme4's
    ``predict(se.fit = TRUE)``; without random effects it is that of
    :math:`x'\hat\beta`. Random effects left out of the prediction do not contribute.
    A prediction interval is for a new observation in the row: it adds
    :math:`\sigma^2 / w` and, for the random effects left out, the variance
    :math:`z' \Sigma z` of a new draw.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : DataFrame or array_like, optional
        New data; for a model without a formula, the design of the fixed effects.
        Default is the data of the model.
    transform : bool, optional
        Whether `exog` holds data for the formula rather than a design matrix.
    row_labels : array_like, optional
        Labels of the rows.
    offset : array_like, optional
        Offset of the new rows, in addition to ``offset(...)`` in the formula.
    random_effects : bool, str or list of str, optional
        Conditional modes to add: none, all, or those of the named factors or terms.
    new_levels : {"error", "population", "nan"}, optional
        Treatment of a level not in the fit: an error; a contribution of zero, with
        the variance :math:`z' \Sigma z` of a new draw; or NaN.
    interval : {"confidence", "prediction"}, optional
        Whether ``conf_int`` refers to the predicted mean or to a new observation.
        For "prediction" the new data need the effect columns of all random effects.
    weights : array_like or str, optional
        Prior weights w of the new observations, or the column of `exog` that holds
        them; only for prediction intervals. Default is the weights of the model
        without new data, and otherwise 1.
    df_method : {None, "asymptotic", "residual", "satterthwaite", "kenward-roger"}
        Normal quantiles, or quantiles of a t distribution with the residual degrees
        of freedom or with separate ones for each row. The last two methods are for
        confidence intervals of the fixed part; Kenward and Roger's has its own
        covariance. Default is that of the results, where applicable.
    random : dict or sequence, optional
        For a model without a formula, the groups, effects or matrices for the new
        rows, in the form of ``random`` of `CrossedMixedLM`, keyed by factor name.
    include_residual : bool, optional
        Whether to add the prediction of each row's error from those of its residual
        group, for a model with correlated errors: a forecast in time, kriging in space.
        It needs ``random_effects=True`` if there are any.
    which : {"mean", "linear"}, optional
        The mean of the response, or the linear predictor; in a linear model they are
        equal.
    type : {"response", "link"}, optional
        `which` in R's terms.

    Returns
    -------
    MixedPredictionResults
        The predictions, with ``predicted``, ``se``, ``conf_int()`` and
        ``summary_frame()``. NaN in rows with missing values or whose mean the data do
        not determine.

    Raises
    ------
    DataError
        If the new data lack a column or have new levels, or weights are missing.
    ValueError
        If an argument has an unknown value or arguments are incompatible.

    Warns
    -----
    RankWarning
        If columns were dropped as redundant and predictions depend on which ones.

    References
    ----------
    Henderson, C. R. (1975). Best linear unbiased estimation and prediction under a
    selection model. Biometrics 31, 423-447.
    """
    results = as_fit(results)
    scale_of(which, type)
    check_choice("new_levels", new_levels, NEW_LEVELS)
    check_choice("interval", interval, ("confidence", "prediction"))
    df_method = df_method_of(df_method)
    # which random effects are added to the mean, and which vary between observations
    new_observation = interval == "prediction"
    wanted = wanted_effects(results, random_effects)
    conditional = any(take.any() for take in wanted)
    of_fixed_part = not (conditional or new_observation)
    df_method = _method_of_rows(results, df_method, of_fixed_part)
    if include_residual:
        _check_residual(results, wanted)
    factors = list(zip(results.model.random, wanted))
    rows = new_rows(
        results,
        exog,
        transform,
        [effects for effects, take in factors if take.any()],
        offset,
        [effects for effects, take in factors if new_observation and not take.any()],
        random,
    )
    parts = [
        effect_rows(results, effects, rows, take, new_levels)
        if new_observation or take.any()
        else no_effects(effects, rows)
        for effects, take in factors
    ]
    # the mean with its variance, in complete rows
    predicted = with_variances(results, rows, parts if conditional else None, df_method)
    mean, variance, distribution = predicted
    inside, var_obs = rows.complete, None
    spread: Any = 1.0
    if new_observation or include_residual:
        spread = 1.0 / _row_weights(results, rows, exog, weights)
    if results.model.residual is not None and (new_observation or include_residual):
        placed = rows_of_errors(results, rows)
        spread = spread * np.where(inside, 1.0, np.nan)
        spread[inside] *= row_variances(results, placed)
    if include_residual:
        errors = predicted_errors(results, placed, spread[inside])
        mean[inside] += errors.mean
        variance[inside] = results.scale * variances_with_errors(
            results, rows, parts, errors
        )
        variance[np.isnan(mean)] = np.nan
        spread[inside] = errors.left
    if new_observation:
        var_obs = variance + results.scale * spread
        var_obs[inside] += _drawn_variance(results, parts)
    labels = rows.labels if row_labels is None else row_labels
    return MixedPredictionResults(
        mean, variance, var_obs, row_labels=labels, **distribution
    )


def with_variances(results, rows, parts, df_method):
    """
    Predictions on the scale of the linear predictor, with their variances.

    Parameters
    ----------
    results : MixedResults
        A fit.
    rows : PredictionRows
        The rows.
    parts : list of EffectRows or RawRows, or None
        The factors in the rows; None without random effects.
    df_method : str or None
        Degrees of freedom of the fixed part.

    Returns
    -------
    mean, variance : ndarray
        Shape (n,).
    distribution : dict
        Distribution of the quantiles, for `MixedPredictionResults`.
    """
    found, distribution = _fixed_inference(results, rows, df_method)
    inside, mean = rows.complete, rows.fixed_part(results)
    variance = np.full(len(inside), np.nan)
    if parts is not None:
        for part, modes in zip(parts, results._modes):
            mean[inside] += part.mean(modes)
        variance[inside] = error_variance(results, rows.design, parts)
        variance[inside] *= np.where(found.involves_infinity(rows.design), np.nan, 1.0)
    else:
        variance[inside] = found.variances(rows.design)
    variance[np.isnan(mean)] = np.nan
    return mean, variance, distribution


def _method_of_rows(results, df_method, of_fixed_part):
    """Degrees of freedom of predictions; those of the results where applicable."""
    if df_method is None and (of_fixed_part or results.df_method not in SMALL_SAMPLE):
        return results.df_method
    if df_method in SMALL_SAMPLE and not of_fixed_part:
        raise ValueError(
            f"df_method={df_method!r} is for confidence intervals of the fixed part; "
            "with random effects or for new observations use None or 'residual'"
        )
    return df_method


def _fixed_inference(results, rows, df_method):
    """Inference for the fixed effects, and the distribution of the quantiles."""
    fixed = inference(results, df_method)
    if df_method not in SMALL_SAMPLE:
        dist = "t" if df_method == "residual" else None
        return fixed, {"df": results._residual_df, "dist": dist}
    estimable = rows.design * np.isfinite(results.params)
    contrasts, each = np.unique(estimable, axis=0, return_inverse=True)
    df = np.full(len(rows.complete), np.nan)
    df[rows.complete] = np.array([fixed.df(c) for c in contrasts])[each.ravel()]
    return fixed, {"df": df, "dist": "t"}


def _check_residual(results, wanted):
    """Reject predictions of errors that are independent, or without random effects."""
    errors = results.model.residual
    if errors is None or errors.term is None:
        raise ValueError(
            "include_residual=True needs correlated errors, as of "
            'residual="ar1(time | group)": independent ones tell nothing of each other'
        )
    if not all(take.all() for take in wanted):
        raise ValueError(
            "the error of a row is predicted given its random effects: write "
            "`get_prediction(..., random_effects=True, include_residual=True)`"
        )


def _drawn_variance(results, parts):
    """Variance of the random effects that are left out of the mean, by row."""
    return sum(
        draw_variance(results, i, part.left_out, part.prior_variances(effects.grouped))
        for i, (part, effects) in enumerate(zip(parts, results.model.random))
    )


def _row_weights(results, rows, exog, weights):
    """Weights of new observations, a number or one for each row."""
    if weights is None and (exog is None or results.model.weights is None):
        return 1.0 if results.model.weights is None else results.model.weights
    if weights is None:
        raise DataError(
            "the model has weights, so new observations need theirs: pass weights to "
            "get_prediction, as an array or the name of a column"
        )
    index = range(len(rows.complete)) if rows.labels is None else rows.labels
    data = pd.DataFrame(index=index) if rows.data is None else rows.data
    weights = row_values(weights, data, "weights")
    if (weights == 0).any():
        raise DataError("weights of new observations must be positive")
    return weights
