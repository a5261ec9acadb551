"""Marginal means and slopes of the fixed effects."""

import re

from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference
from statsmodels_lmm.inference.marginal.marginal_estimates import (
    MarginalMeans,
    as_list,
    level_text,
    quoted,
)
from statsmodels_lmm.inference.marginal.reference_grid import (
    WEIGHTS,
    check_predictor,
    reference_grid,
)
from statsmodels_lmm.inference.requirements import as_fit, check_alpha
from statsmodels_lmm.keywords import scale_of

PLAIN = re.compile(r"\w+|Q\((['\"]).*\1\)")
"""A response that is a column as it is."""


def marginal_means(
    results,
    specs=(),
    by=None,
    at=None,
    weights="equal",
    alpha=0.05,
    df_method=None,
    *,
    which="mean",
    type=None,
):
    r"""
    Estimated marginal means, as R's emmeans.

    The mean of a combination of levels is what the fixed effects predict there,
    averaged over the other factors, with covariates at their means: :math:`L \beta`
    plus the offset, L averaged from the rows of the reference grid.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    specs : str or list of str, optional
        Columns of the data, combinations of whose levels have a mean. Default is
        none, which gives the mean over all.
    by : str or list of str, optional
        Columns whose combinations form groups: contrasts are within groups.
    at : dict, optional
        Values of some predictors: some levels of a factor, numbers for a covariate.
        Without them factors, truth values and ``C(x)`` have all levels that were
        seen, and a numeric column is at its mean over the rows used, or at both of
        its values if there are only two. Transforms such as ``log(x)`` and
        ``poly(x, 2)`` are evaluated there, and so is an offset in the formula; an
        offset that was an argument is at its mean.
    weights : {"equal", "proportional", "outer", "cells"}, optional
        How to average over combinations of the other factors: all alike; as often as
        they are in the data; as the product of how often each level is; or as often
        as they are together with the levels of `specs` and `by`, which is the way
        for a factor that is nested in another. With prior weights their sums are
        meant.
    alpha : float, optional
        One less the level of the intervals.
    df_method : str, optional
        "asymptotic", "residual", "satterthwaite" or "kenward-roger", see
        `with_df_method`. Default is what the results have.
    which : {"mean", "linear"}, optional
        The scale; both are the same for a linear model.
    type : {"response", "link"}, optional
        `which` in R's words.

    Returns
    -------
    MarginalMeans

    Raises
    ------
    DataError
        If the model has no formula or no fixed effects, its data were removed, or a
        level was not seen.
    ValueError
        If an argument has an unknown value.

    Notes
    -----
    A mean that the data do not determine, because combinations of levels were not
    seen, is NaN. If the response is transformed, means are on the transformed scale;
    they are not transformed back, and ``type="response"`` is refused.

    Two differences from emmeans: it finds nested factors by itself, where here
    ``weights="cells"`` averages over what was seen; and it takes the means of
    covariates over rows that the fit leaves out for a missing response, too.

    References
    ----------
    Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means
    in the linear model. The American Statistician 34, 216-221.
    """
    _check_scale(results, which, type)
    return _marginal(results, "mean", specs, by, at, weights, alpha, df_method)


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
    which="mean",
    type=None,
):
    """
    Slopes of the marginal means in a numeric predictor, as emtrends of emmeans.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    variable : str
        A numeric column. The slope is at its mean unless `at` has values; it is
        there that the slopes of ``log(x)`` and ``poly(x, 2)`` are.
    specs, by, at, weights, alpha, df_method, which, type : optional
        As for `marginal_means`.

    Returns
    -------
    MarginalMeans
        Of slopes.
    """
    _check_scale(results, which, type)
    return _marginal(results, variable, specs, by, at, weights, alpha, df_method, True)


def _check_scale(results, which, type):
    """Refuse an unknown scale, and that to which nothing is transformed back."""
    scale_of(which, type)
    parsed = getattr(as_fit(results).model, "_parsed", None)
    if type == "response" and parsed and not PLAIN.fullmatch(parsed.response):
        raise ValueError(
            f"type='response' asks for means on the scale before {parsed.response}, to "
            "which they are not transformed back; leave it out"
        )


def _marginal(results, what, specs, by, at, weights, alpha, df_method, slope=False):
    results = as_fit(results)
    if weights not in WEIGHTS:
        raise ValueError(f"weights must be {quoted(WEIGHTS)}, not {weights!r}")
    check_alpha(alpha)
    grid = reference_grid(results, at, what if slope else None)
    groups = as_list(by)
    names = [name for name in as_list(specs) if name not in groups]
    for name in [*names, *groups]:
        check_predictor(name, grid.levels)
    table, rows, offset = grid.averaged([*names, *groups], weights)
    others = {n: v for n, v in grid.levels.items() if n not in [*names, *groups]}
    response = results.model.endog_names
    of = f"Slopes in {what} of {response}" if slope else f"Marginal means of {response}"
    return MarginalMeans(
        table,
        tuple(groups),
        rows,
        offset,
        results._estimability,
        inference(results, df_method or results.df_method),
        alpha,
        kind="slope" if slope else "mean",
        title=of,
        notes=_notes(results, others, weights),
    )


def _notes(results, others, weights):
    """What the predictors are that are not in the table."""
    averaged = [str(name) for name, values in others.items() if len(values) > 1]
    fixed = [f"{n} = {level_text(v[0])}" for n, v in others.items() if len(v) == 1]
    lines = []
    if averaged:
        lines.append(f"Averaged over {', '.join(averaged)} (weights: {weights}).")
    if fixed:
        lines.append(f"At {', '.join(fixed)}.")
    response = results.model._parsed.response
    if not PLAIN.fullmatch(response):
        lines.append(f"On the scale of {response}.")
    return tuple(lines)
