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
from statsmodels_lmm.keywords import refuse_r_names, scale_of

PLAIN = re.compile(r"\w+|Q\((['\"]).*\1\)")
"""A response that is an untransformed column."""


@refuse_r_names("level")
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
    Estimated marginal means, as in R's emmeans.

    The mean for a combination of levels is the prediction of the fixed effects,
    averaged over the other factors, with covariates at their means: :math:`L \beta`
    plus the offset, where L averages rows of the reference grid.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    specs : str or list of str, optional
        Columns of the data whose combinations of levels have a mean. Default is none,
        which gives the overall mean.
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
        The mean of the response, or the linear predictor; in a linear model they are
        equal. For a generalized model both are the linear predictor.
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
    seen, is NaN. Those of a generalized model are means of the linear predictor, not of
    the response. If the response is transformed, means are on the transformed scale;
    they are not transformed back, and ``type="response"`` is rejected.

    There are two differences from emmeans: it detects nested factors, whereas here
    ``weights="cells"`` averages over the observed combinations; and its means of
    covariates include rows that the fit leaves out because the response is missing.

    References
    ----------
    Searle, S. R., Speed, F. M. and Milliken, G. A. (1980). Population marginal means
    in the linear model. The American Statistician 34, 216-221.
    """
    _check_scale(results, which, type)
    return _marginal(results, "mean", specs, by, at, weights, alpha, df_method)


@refuse_r_names("level")
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
    Slopes of the marginal means along a numeric predictor, as in emmeans' emtrends.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    variable : str
        A numeric column. The slope, which for ``log(x)`` and ``poly(x, 2)`` varies
        with x, is at its mean unless `at` gives values.
    specs, by, at, weights, alpha, df_method, which, type : optional
        As for `marginal_means`.

    Returns
    -------
    MarginalMeans
        The slopes.
    """
    _check_scale(results, which, type)
    return _marginal(results, variable, specs, by, at, weights, alpha, df_method, True)


def _check_scale(results, which, type):
    """Reject an unknown scale, and that of a response before its transformation."""
    scale_of(which, type)
    raw = as_fit(results)
    if not raw._is_gaussian and type == "response":
        raise ValueError(
            "marginal means of a generalized model are on the scale of the linear "
            "predictor; get_prediction gives means of the response"
        )
    parsed = getattr(raw.model, "_parsed", None)
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
    if not results._is_gaussian:
        response = f"the linear predictor of {response}"
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
    """Values of the predictors that are not in the table."""
    averaged = [str(name) for name, values in others.items() if len(values) > 1]
    fixed = [f"{n} = {level_text(v[0])}" for n, v in others.items() if len(v) == 1]
    lines = []
    if averaged:
        lines.append(f"Averaged over {', '.join(averaged)} (weights: {weights}).")
    if fixed:
        lines.append(f"At {', '.join(fixed)}.")
    if not results._is_gaussian:
        lines.append(f"On the scale of the link, {results.family.link_name}.")
        return tuple(lines)
    response = results.model._parsed.response
    if not PLAIN.fullmatch(response):
        lines.append(f"On the scale of {response}.")
    return tuple(lines)
