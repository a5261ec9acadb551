"""Marginal means and slopes of the fixed effects."""

import re
from dataclasses import replace

import numpy as np

from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference
from statsmodels_lmm.inference.fixed.ratios import mean_ratio_name, ratio_name
from statsmodels_lmm.inference.marginal.contrast_sets import as_list, quoted
from statsmodels_lmm.inference.marginal.empty_cells import empty_cells
from statsmodels_lmm.inference.marginal.marginal_estimates import MarginalMeans
from statsmodels_lmm.inference.marginal.marginal_tables import level_text
from statsmodels_lmm.inference.marginal.reference_grid import (
    WEIGHTS,
    check_predictor,
    reference_grid,
)
from statsmodels_lmm.inference.marginal.response_means import ResponseMeans
from statsmodels_lmm.inference.marginal.response_transforms import (
    TRANSFORMS,
    response_transform,
)
from statsmodels_lmm.inference.marginal.specs import parse_specs
from statsmodels_lmm.inference.prediction.generalized_prediction import (
    check_scale,
    is_average,
)
from statsmodels_lmm.inference.requirements import as_fit, check_alpha
from statsmodels_lmm.keywords import refuse_r_names, scale_of

GEOMETRIC = "ratio of geometric means"

PLAIN = re.compile(r"\w+|Q\((['\"]).*\1\)")
"""A response that is an untransformed column."""


BIAS_ADJUST = {
    "bias_adjust": "is random_effects='average' here, without an approximation"
}


@refuse_r_names("level", **BIAS_ADJUST)
def marginal_means(
    results,
    specs=(),
    by=None,
    at=None,
    weights="equal",
    alpha=0.05,
    df_method=None,
    *,
    which=None,
    random_effects=False,
    type=None,
) -> MarginalMeans:
    r"""
    Estimated marginal means, as in R's emmeans.

    The mean for a combination of levels is the prediction of the fixed effects,
    averaged over the other factors, with covariates at their means: :math:`L \beta`
    plus the offset, where L averages rows of the reference grid. In a generalized
    model the means of the response are predicted, then averaged.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    specs : str or list of str, optional
        Columns of the data whose combinations of levels have a mean. Default is none,
        which gives the overall mean. emmeans' formulas are understood: ``"~ f * k"``,
        ``"~ f | g"`` for means of f by g, and ``"pairwise ~ f | g"`` for contrasts of
        these, which have the means as their attribute `means`.
    by : str or list of str, optional
        Columns whose combinations form groups; contrasts are within groups.
    at : dict, optional
        Values of predictors: levels of a factor, numbers for a covariate. By default
        factors, booleans and ``C(x)`` have all observed levels, and a numeric column is
        at its mean over the rows used, or at both of its values if there are only two.
        Transforms such as ``log(x)`` and ``poly(x, 2)`` are evaluated at these values,
        as is an offset in the formula; an offset passed as an argument is set to its
        mean.
    weights : {"equal", "proportional", "outer", "cells"}, optional
        Weights in averages over combinations of the other factors: equal; by their
        frequency in the data; by the product of the frequencies of their levels; or by
        their frequency together with the levels of `specs` and `by`, which suits
        factors nested in others. If there are prior weights, their sums replace
        frequencies.
    alpha : float, optional
        One minus the level of the intervals.
    df_method : str, optional
        "asymptotic", "residual", "satterthwaite" or "kenward-roger"; see
        `with_df_method`. Default is that of the results.
    which : {"mean", "linear"}, optional
        The mean of the response, or the linear predictor. In a linear model they are
        equal, unless the response is transformed, such as ``log(y)``: "mean" is on the
        scale of y then, and "linear", on the transformed scale, is the default.
    random_effects : {False, "average"}, optional
        For means of the response of a generalized model, or of a transformed response:
        at random effects of zero, or over their distribution, that is, for the
        population. In other models they are equal.
    type : {"response", "link"}, optional
        `which` in R's terms.

    Returns
    -------
    MarginalMeans

    Raises
    ------
    DataError
        If the model has no formula or no fixed effects, its data have been removed,
        or a level was not observed.
    ValueError
        If an argument has an unknown value.

    Notes
    -----
    A mean that the data do not determine, because combinations of levels were not
    seen, is NaN.

    If the response of a linear model is ``log(y)``, ``log2``, ``log10``, ``log1p`` or
    ``sqrt`` of y, ``which="mean"`` gives :math:`h(\eta)` with h the inverse, for
    ``log(y)`` geometric means. Such a mean is the median of y where the random effects
    are zero. The mean of y in the population is :math:`E\,h(\eta + z'b + \epsilon)`,
    which ``random_effects="average"`` computes by quadrature over random effects and
    residuals, with their variances taken as known: :math:`\exp(\eta + v / 2)` for
    ``log(y)``.

    In a generalized model with inverse link h and linear predictor :math:`\eta`, the
    mean of the response at random effects of zero, :math:`h(\eta)`, is that of a level
    with average effects. The mean over all levels is :math:`E\,h(\eta + z'b)`, which
    ``random_effects="average"`` computes by quadrature; its standard error takes
    account of the estimated variances. For a logit link it is closer to 1/2. The bias
    adjustment of emmeans is its expansion to second order,
    :math:`h(\eta) + h''(\eta) z' \Sigma z / 2`, with the variance entered by hand and
    taken as known; it is poor when the variance is large. Standard errors are by the
    delta method on the scale asked for; intervals are computed on the scale of the link
    and transformed, so that they respect the range of the mean.

    The mean is averaged over other factors after the transformation,
    :math:`\sum_j w_j h(\eta_j)`, as with emmeans' ``regrid = "response"``. Its
    ``type = "response"`` alone is :math:`h(\sum_j w_j \eta_j)`, the transformed mean
    of ``which="linear"``. Without other factors they are equal. An exposure is set to
    its geometric mean.

    There are two more differences from emmeans: it detects nested factors, whereas here
    ``weights="cells"`` averages over the observed combinations; and its means of
    covariates include rows that the fit leaves out because the response is missing.

    References
    ----------
    Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means
    in the linear model. The American Statistician 34, 216-221.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedglm
    >>> data = datasets.cbpp.load_pandas().data
    >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    >>> result = crossedmixedglm(formula, data, family="binomial").fit()
    >>> risks = marginal_means(result, "period", random_effects="average")
    >>> risks.frame[["mean", "ci_lower", "ci_upper"]].round(2).to_numpy().tolist()[0]
    [0.22, 0.15, 0.3]
    >>> odds = marginal_means(result, "period", which="linear")
    >>> odds.contrasts("reference", exponentiate=True).frame["ratio"].round(2).tolist()
    [0.37, 0.32, 0.21]
    """
    scale = _scale(results, which, type, random_effects)
    method, specs, by = _read(results, specs, by)
    asked = specs, by, at, weights, alpha, df_method
    means = _marginal(results, "mean", *asked, scale)
    return means if method is None else means.contrasts(method)


@refuse_r_names("level", **BIAS_ADJUST)
def marginal_slopes(
    results,
    variable,
    specs=(),
    by=None,
    at=None,
    weights="equal",
    alpha=0.05,
    df_method=None,
    *,
    which=None,
    random_effects=False,
    type=None,
) -> MarginalMeans:
    """
    Slopes of the marginal means along a numeric predictor, as in emmeans' emtrends.

    In a generalized model the slopes of the means of the response are computed, then
    averaged over the other factors.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    variable : str
        A numeric column. The slope, which for ``log(x)`` and ``poly(x, 2)`` varies
        with x, is at its mean unless `at` gives values.
    specs, by, at, weights, alpha, df_method, which, random_effects, type : optional
        As for `marginal_means`.

    Returns
    -------
    MarginalMeans
        The slopes, with symmetric intervals.
    """
    scale = _scale(results, which, type, random_effects)
    method, specs, by = _read(results, specs, by)
    asked = specs, by, at, weights, alpha, df_method
    slopes = _marginal(results, variable, *asked, scale, slope=True)
    return slopes if method is None else slopes.contrasts(method)


def _read(results, specs, by):
    """Contrasts, factors and groups; `specs` may be a formula with the groups."""
    frame = getattr(as_fit(results).model.data, "frame", None)
    if not isinstance(specs, str) or "~" not in specs or specs in as_list(frame):
        return None, specs, by
    method, names, groups = parse_specs(specs)
    if groups and by is not None:
        raise ValueError(f"the groups are in specs {specs!r}; leave out by")
    return method, names, groups or by


def _scale(results, which, type, random_effects):
    """Means of the response where they are not the linear predictor, or None."""
    raw = as_fit(results)
    average = is_average(random_effects)
    if not average and random_effects is not False:
        raise ValueError(
            "random_effects must be False, for random effects of zero, or 'average', "
            f"not {random_effects!r}"
        )
    if not raw._is_gaussian:
        scale = check_scale(which or "mean", type, random_effects)
        link = raw.family.link
        return ResponseMeans(raw, average, link) if scale == "mean" else None
    scale = scale_of(which or "linear", type)
    parsed = getattr(raw.model, "_parsed", None)
    if scale == "linear" or parsed is None or PLAIN.fullmatch(parsed.response):
        return None
    link, _ = response_transform(parsed.response)
    if link is None:
        raise ValueError(
            f"means on the scale before {parsed.response} are known for "
            f"{', '.join(TRANSFORMS)} of a column or an expression; use which='linear'"
        )
    return ResponseMeans(raw, average, link)


def _marginal(
    results, what, specs, by, at, weights, alpha, df_method, means, slope=False
):
    results = as_fit(results)
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be {quoted(WEIGHTS)}, not {weights!r}")
    check_alpha(alpha)
    grid = reference_grid(results, at, what if slope else None, means)
    groups = as_list(by)
    names = [name for name in as_list(specs) if name not in groups]
    for name in [*names, *groups]:
        check_predictor(name, grid.levels)
    table, rows, offset = grid.averaged([*names, *groups], weights)
    others = {n: v for n, v in grid.levels.items() if n not in [*names, *groups]}
    response = results.model.endog_names
    if results._is_gaussian and means is not None:
        inside = response_transform(results.model._parsed.response)[1]
        (response,) = plain_names([inside])
    if not results._is_gaussian and means is None:
        response = f"the linear predictor of {response}"
    estimates = MarginalMeans(
        table,
        tuple(groups),
        rows,
        offset,
        results._estimability if means is None else means.estimability,
        means.inference(df_method)
        if means
        else inference(results, df_method or results.df_method),
        alpha,
        kind="slope" if slope else "mean",
        title=f"Slopes in {what} of {response}"
        if slope
        else f"Marginal means of {response}",
        notes=_notes(results, others, weights, means),
        ratio=_ratio(results, means, slope),
        of_response=means is not None and not slope,
    )
    if estimates.of_response:
        estimates = estimates.through(means.link)
    if not estimates.estimable.all():
        determined = estimates.estimability.determined(_stacked(grid.design))
        empty = empty_cells(grid, determined.reshape(grid.counts.shape))
        lines = [f"The data have no rows with {empty}."] if empty else []
        estimates = replace(estimates, notes=(*estimates.notes, *lines))
    return estimates


def _stacked(design):
    """The rows of the design of a grid, without gaps."""
    return np.nan_to_num(design).reshape(-1, design.shape[-1])


def _ratio(results, means, slope):
    """What the exponential of a contrast is; "" if nothing."""
    if results._is_gaussian:
        link, _ = response_transform(results.model._parsed.response)
        is_log = isinstance(link, Log)
        if means is not None and not slope:
            averaged = means.average or not is_log
            return "mean ratio" if averaged else GEOMETRIC
        return GEOMETRIC if means is None and is_log else ""
    if means is not None:
        return "" if slope else mean_ratio_name(results.family)
    try:
        return ratio_name(results)
    except ValueError:
        return ""


def _notes(results, others, weights, means):
    """Values of the predictors that are not in the table, and the scale."""
    averaged = [str(name) for name, values in others.items() if len(values) > 1]
    fixed = [f"{n} = {level_text(v[0])}" for n, v in others.items() if len(v) == 1]
    lines = []
    if averaged:
        lines.append(f"Averaged over {', '.join(averaged)} (weights: {weights}).")
    if fixed:
        lines.append(f"At {', '.join(fixed)}.")
    if getattr(results.model, "exposure", None) is not None:
        middle = np.exp(np.log(results.model.exposure).mean())
        lines.append(f"At the geometric mean of the exposure, {level_text(middle)}.")
    if means is not None and means.average:
        too = " and residuals" if results._is_gaussian else ""
        lines.append(f"Averaged over the random effects{too}.")
    elif means is not None:
        lines.append("At random effects of zero.")
    elif not results._is_gaussian:
        lines.append(f"On the scale of the link, {results.family.link_name}.")
    elif not PLAIN.fullmatch(results.model._parsed.response):
        lines.append(f"On the scale of {results.model.endog_names}.")
    return tuple(lines)
