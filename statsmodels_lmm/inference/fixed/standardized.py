"""Fixed effects in units of standard deviations."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.names import names_in
from statsmodels_lmm.formula.random_terms import term_names
from statsmodels_lmm.inference.comparison.reduced_models import with_formula
from statsmodels_lmm.inference.fixed.terms import fixed_terms, has_formula
from statsmodels_lmm.inference.replicates.simulation import fit_like
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_alpha,
    check_choice,
    require_data,
    require_sums,
)
from statsmodels_lmm.inference.variances.row_moments import column_covariance
from statsmodels_lmm.keywords import refuse_r_names

METHODS = ("refit", "basic", "pseudo")


@refuse_r_names(
    ci="is spelled alpha= here: one minus the level",
    robust="is not offered: standardize the data by their medians, and fit",
)
def standardized(
    results: Any,
    method: str = "refit",
    alpha: float = 0.05,
    *,
    two_sd: bool = False,
    group: str | None = None,
) -> pd.DataFrame:
    """
    Tabulate the fixed effects in units of standard deviations.

    Parameters
    ----------
    results : MixedResults
        A fit.
    method : {"refit", "basic", "pseudo"}, optional
        Standardize the numeric columns of the data, and the response of a linear model,
        and fit again, so that interactions and powers are of standardized columns;
        divide each coefficient by the standard deviation of the response and multiply
        it by that of its column of X, even an indicator or a product; or do so with
        standard deviations of the level to which a column belongs, see the notes.
    alpha : float, optional
        One minus the level of the intervals.
    two_sd : bool, optional
        Whether to divide predictors by two standard deviations, which makes them
        comparable with indicators (Gelman 2008).
    group : str, optional
        For "pseudo", the grouping factor. Default is the only one.

    Returns
    -------
    DataFrame
        Columns estimate, std err, lower and upper, by the degrees of freedom of the
        fit; one row for each fixed effect, without the constant unless by "refit".
        ``attrs["unchanged"]`` lists the numeric columns that "refit" leaves as they
        are, because the formula uses them inside functions only, such as log(x).

    Raises
    ------
    ValueError
        If an argument has an unknown value.
    DataError
        If a method needs a formula or another design, or a response has an offset.

    Notes
    -----
    The response of a generalized model is not standardized: its coefficients stay in
    the units of the linear predictor.

    "pseudo" is for two levels. A column that varies within groups is multiplied by its
    standard deviation and divided by that of the residuals of a model without
    predictors, ``y ~ 1 + (1 | group)``; a column that is constant within groups by the
    standard deviations of its group means and of the groups' intercepts in that model
    (Hoffman 2015). Standard deviations have n - 1 in the denominator. The methods are
    those of the R package effectsize.

    References
    ----------
    Gelman, A. (2008). Scaling regression inputs by dividing by two standard deviations.
    Statistics in Medicine 27, 2865-2873.
    Hoffman, L. (2015). Longitudinal Analysis: Modeling Within-Person Fluctuation and
    Change. Routledge.
    """
    results = as_fit(results)
    check_choice("method", method, METHODS)
    check_alpha(alpha)
    if method != "basic":
        require_data(results.model, "standardization by refits or within groups")
    require_sums(results.model, "standardization")
    times = 2.0 if two_sd else 1.0
    if method == "refit":
        other, unchanged = _refitted(results, times)
        table = _table(other, np.ones(len(other.params)), alpha)
        table.attrs["unchanged"] = unchanged
        return table
    if method == "basic":
        factors = _column_spreads(results.model) / _response_spread(results)
    else:
        factors = _factors_by_level(results, group)
    return _table(results, times * factors, alpha)[factors > 0.0]


def _table(results, factors, alpha):
    """Estimates, errors and limits times positive factors."""
    lower, upper = np.asarray(results.conf_int(alpha)).T
    columns = {"estimate": results.params, "std err": results.bse}
    columns |= {"lower": lower, "upper": upper}
    names = pd.Index(results.model.exog_names, name="effect")
    return pd.DataFrame({n: factors * v for n, v in columns.items()}, names)


def _spreads(columns):
    """Standard deviations of columns, 0 for constants."""
    spread = columns.std(axis=0, ddof=1)
    return np.where(np.ptp(columns, axis=0) > 0.0, spread, 0.0)


def _column_spreads(model):
    """Standard deviations of the columns of X, whether its rows are kept or summed."""
    if model.summed is None:
        return _spreads(model.exog)
    spreads = np.sqrt(np.diagonal(column_covariance(model)))
    means = model.standing_rows[0, 1:] / model.standing_rows[0, 0]
    return np.where(spreads > 1e-10 * np.abs(means), spreads, 0.0)


def _response_spread(results):
    """The standard deviation of the response of a linear model, else 1."""
    model = results.model
    if model.summed is not None:
        triangle = model.summed.unweighted
        offset = model.side_names["offset"] is not None or _has_offset(model)
        if triangle is None or offset:
            raise DataError(
                "the spread of the response itself is not known from sums with an "
                "offset or with prior weights alone"
            )
        left = triangle.triangle[1:, -1]
        return np.linalg.norm(left) / np.sqrt(model.nobs - 1.0)
    return np.std(results.model.endog, ddof=1) if results._is_gaussian else 1.0


def _has_offset(model):
    """Whether the formula has an offset."""
    return model._parsed is not None and bool(model._parsed.offsets)


def _refitted(results, times):
    """The fit to standardized data, and the numeric columns left as they are."""
    model = results.model
    if not has_formula(model):
        raise DataError(
            "a model from arrays does not say which columns are numeric: use "
            "standardized(method='basic'), or standardize the arrays"
        )
    if results._is_gaussian and model.offset is not None:
        raise DataError(
            "a response with an offset has no scale of its own: subtract the offset, "
            "or use standardized(method='basic')"
        )
    if model.residual is not None and model.residual.follows_fitted:
        raise DataError(
            "the standard deviations of the errors follow the fitted values, which "
            "have other powers once they are standardized: use "
            "standardized(method='basic')"
        )
    data = model.data.frame
    numeric = [c for c in data if pd.api.types.is_numeric_dtype(data[c])]
    bare = _bare_names(results)
    scaled = [c for c in numeric if str(c) in bare and data[c].dtype != bool]
    if not model.random:
        _check_errors_keep(model, scaled)
    values = {c: _scores(data[c].to_numpy(float), times) for c in scaled}
    other = with_formula(
        model,
        model.formula_full,
        model._parsed.random,
        data.assign(**values),
        dict(model.data.scope),
        errors=(None, None) if model.random else None,
    )
    # the times of the errors and what their size depends on are not standardized
    other.residual = model.residual
    endog = _scores(model.endog, 1.0) if results._is_gaussian else model.endog
    own = {model.endog_names, *model._parsed.response_columns}
    unchanged = [str(c) for c in numeric if c not in scaled and c not in own]
    return fit_like(results, other._with_endog(endog))._results, unchanged


def _check_errors_keep(model, scaled):
    """Reject columns that errors without random effects need as they are."""
    parsed = model._parsed
    used = set(names_in(parsed.dispersion).read) if parsed.dispersion else set()
    used |= set(parsed.residual.when) if parsed.residual is not None else set()
    both = [str(c) for c in scaled if str(c) in used]
    if both:
        raise DataError(
            f"the errors depend on {', '.join(both)} in the units of the data, and the "
            "formula with standardized columns cannot be read without them: use "
            "`result.standardized(method='basic')`"
        )


def _bare_names(results):
    """Names that the formula uses by themselves, not inside functions."""
    names = [n for term in fixed_terms(results) for n in term.numeric]
    for term in results.model._parsed.random:
        names += [n for each in term_names(term.effects) for n in each.split(":")]
    return {name.strip().strip("`") for name in names}


def _scores(values, times):
    spread = np.std(values, ddof=1)
    return (values - values.mean()) / (times * spread if spread > 0.0 else 1.0)


def _factors_by_level(results, group):
    """Ratios of standard deviations at the level of each column of X."""
    model = results.model
    names = [e.name for e in model.random if e.has_groups]
    if group is None and len(names) != 1:
        raise ValueError(f"name one of the grouping factors, group= {', '.join(names)}")
    group = names[0] if group is None else group
    check_choice("group", group, (*names,) if len(names) > 1 else (*names, None))
    effects = model.random[[e.name for e in model.random].index(group)]
    codes, count = effects.grouped.codes, effects.n_levels
    rows = np.bincount(codes, minlength=count)
    sums = np.stack([np.bincount(codes, c, count) for c in model.exog.T], axis=1)
    means = sums / rows[:, None]
    varies = np.ptp(model.exog - means[codes], axis=0) > 1e-10 * _spreads(model.exog)
    between, within = 1.0, 1.0
    if results._is_gaussian:
        between, within = _levels_of_response(results, codes)
    if not between > 0.0 and (~varies & (_spreads(means) > 0.0)).any():
        raise DataError(
            f"the response does not vary between the levels of {group}, so columns "
            "that are constant within them have no scale"
        )
    of_means = _spreads(means) / (between if between > 0.0 else 1.0)
    return np.where(varies, _spreads(model.exog) / within, of_means)


def _levels_of_response(results, codes):
    """Standard deviations of the response between and within groups."""
    model = results.model
    null = model._general_class(
        model.endog, np.ones((len(codes), 1)), {"g": codes}, weights=model.weights
    ).fit()
    return float(np.sqrt(null.vcomp.iloc[0])), float(np.sqrt(null.scale))
