"""Fits as plain tables: the estimates, a one-row summary, and the data."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.deletion.influence import influence as influence_of
from statsmodels_lmm.inference.fixed.ratios import ratio_name
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_alpha,
    has_sums,
    require_data,
)
from statsmodels_lmm.inference.variances.profile import profile
from statsmodels_lmm.inference.variances.variance_parameters import (
    variance_labels,
    variance_table,
)
from statsmodels_lmm.inputs.tables import to_frame

EFFECTS = ("fixed", "ran_pars", "ran_vals", "ran_coefs")
COLUMNS = ["effect", "group", "level", "term", "estimate", "std_error"]
COLUMNS += ["statistic", "df", "p_value", "conf_low", "conf_high"]


def tidy(
    results: Any,
    effects: Any = ("fixed", "ran_pars"),
    conf_int: bool = False,
    conf_level: float = 0.95,
    conf_method: str = "wald",
    scale: str = "sd",
    df_method: str | None = None,
    exponentiate: bool = False,
) -> pd.DataFrame:
    """
    Tabulate the estimates of a fit, one per row, with the names of R's broom.mixed.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    effects : str or sequence of str, optional
        "fixed", the fixed effects; "ran_pars", the parameters of the random effects
        and sigma; "ran_vals", the conditional modes; "ran_coefs", the coefficients of
        each level, see `coef_by_level`, without standard errors as in broom.mixed.
    conf_int : bool, optional
        Whether to add confidence intervals.
    conf_level : float, optional
        Level of the intervals.
    conf_method : str, object or DataFrame, optional
        "wald", from the standard errors, which gives no intervals for "ran_pars";
        "profile"; the result of `profile` or `bootstrap`, for its ``conf_int``; or a
        table of intervals of any level with columns lower and upper, such as
        ``boot.conf_int("basic")``. Intervals for "ran_vals" always come from their
        standard deviations given the data.
    scale : {"sd", "var"}, optional
        Whether "ran_pars" are standard deviations or variances; the intervals follow.
        Correlations are the same on both scales.
    df_method : str, optional
        Degrees of freedom of the fixed effects; see `with_df_method`. Default is that
        of the results.
    exponentiate : bool, optional
        Whether the fixed effects of a generalized model are odds ratios, rate ratios
        or the like, see `inference.fixed.ratios`. Their standard errors are by the
        delta method, as in broom.mixed; statistics are those of the coefficients.

    Returns
    -------
    DataFrame
        One row per estimate, with the columns

        ========== ==========================================================
        effect     "fixed", "ran_pars", "ran_vals" or "ran_coefs"
        group      grouping factor, "Residual" for sigma and for the alpha of a
                   negative binomial model, missing for "fixed"
        level      level of the grouping factor; only with the last two
        term       name of the effect; for "ran_pars" ``sd__Days``,
                   ``cor__Intercept.Days``, ``sd__Observation``
        estimate   the estimate
        std_error  its standard error; NaN without data
        statistic  z or t statistic of a fixed effect
        df         its degrees of freedom, infinite for a normal distribution
        p_value    its p-value
        conf_low   limits of the interval; only with `conf_int`
        conf_high
        ========== ==========================================================

        A parameter of a structure that is not a standard deviation is named like
        ``cor__ar1.rho``, or ``name.parameter`` if it is not a correlation.

    Raises
    ------
    ValueError
        If an argument has an unknown value.

    Notes
    -----
    The rows have the same meaning as in broom.mixed, with these differences: the
    intercept has statsmodels' name; correlations follow all standard deviations of
    their term; and variances come with correlations instead of covariances, which
    `variance_components` has. Standard errors of "ran_pars" are those of
    `variance_parameters`; broom.mixed has none.
    """
    raw = as_fit(results)
    effects = (effects,) if isinstance(effects, str) else tuple(effects)
    for effect in effects or [effects]:
        if effect not in EFFECTS:
            raise ValueError(f"effects must be in {', '.join(EFFECTS)}, not {effect!r}")
    if scale not in ("sd", "var"):
        raise ValueError(f"scale must be 'sd' or 'var', not {scale!r}")
    check_alpha(conf_level, "conf_level")
    if isinstance(conf_method, str) and conf_method not in ("wald", "profile"):
        raise ValueError(
            "conf_method must be 'wald', 'profile' or the result of profile or "
            f"bootstrap, not {conf_method!r}"
        )
    if exponentiate:
        ratio_name(raw)  # rejects other links
    alpha = 1.0 - conf_level
    parts = {}
    if "fixed" in effects:
        parts["fixed"] = _fixed(raw._by(df_method), alpha)
    if "ran_pars" in effects:
        parts["ran_pars"] = _random_parameters(raw, scale)
    if "ran_vals" in effects:
        parts["ran_vals"] = _modes(raw, alpha)
    if "ran_coefs" in effects:
        parts["ran_coefs"] = _coefficients(raw)
    if conf_int and not (isinstance(conf_method, str) and conf_method == "wald"):
        ends = _intervals(raw, effects, conf_method, alpha)
        if "fixed" in effects:
            fixed = ends.reindex(raw.model.exog_names)
            parts["fixed"][["conf_low", "conf_high"]] = fixed.to_numpy()
        if "ran_pars" in effects:
            ends = _variance_intervals(raw, ends, scale)
            parts["ran_pars"][["conf_low", "conf_high"]] = ends
    if exponentiate and "fixed" in effects:
        _exponentiate(parts["fixed"])
    table = pd.concat([parts[e].assign(effect=e) for e in effects], ignore_index=True)
    table = table.reindex(columns=COLUMNS)
    unused = [] if conf_int else ["conf_low", "conf_high"]
    unused += [] if {"ran_vals", "ran_coefs"} & set(effects) else ["level"]
    return table.drop(columns=unused)


def _fixed(raw, alpha):
    """Fixed effects with their Wald intervals."""
    ends = raw.conf_int(alpha)
    normal = raw.df_method == "asymptotic"
    df = np.inf if normal else raw.df_resid_inference
    columns = {
        "group": None,
        "term": list(raw.model.exog_names),
        "estimate": raw.params,
        "std_error": raw.bse,
        "statistic": raw.tvalues,
        "df": df,
        "p_value": raw.pvalues,
        "conf_low": ends[:, 0],
        "conf_high": ends[:, 1],
    }
    return ResultTable(columns).astype({"df": float})


def _exponentiate(fixed):
    """Coefficients as ratios, in place."""
    columns = ["estimate", "conf_low", "conf_high"]
    with np.errstate(over="ignore"):
        fixed[columns] = np.exp(fixed[columns])
    fixed["std_error"] *= fixed["estimate"]


def _random_parameters(raw, scale):
    """Standard deviations or variances, correlations and other parameters."""
    quantities = [
        (effects.name, q)
        for effects in raw.model.random
        for block in effects.quantities
        for q in block
    ]
    terms = [_term(q, scale) for _, q in quantities]
    table = raw.variance_components()
    if raw._has_residual:
        terms.append(f"{scale}__Observation")
    is_sd = np.array([q.kind == "sd" for _, q in quantities] + [True])[: len(terms)]
    values = np.where(is_sd & (scale == "var"), table["variance"], table["sd"])
    groups = table["group"].tolist()
    if raw._n_scales and not raw._has_residual:
        terms.append("alpha")
        groups.append("Residual")
        values = np.append(values, raw.alpha)
    if raw.model.residual is not None:
        names = raw.model.residual.parameter_names
        terms += names
        groups += ["Residual"] * len(names)
        values = np.append(values, raw.residual_params)
    errors = np.full(len(terms), np.nan)
    if has_sums(raw.model):
        errors = variance_table(raw, scale)["std err"].to_numpy()
    else:
        warn(
            "standard errors of variance parameters need the data, which were removed, "
            "so they are NaN",
            DataWarning,
        )
    columns = {"group": groups, "term": terms, "estimate": values, "std_error": errors}
    return pd.DataFrame(columns)


def _term(q, scale):
    if q.kind == "sd":
        return f"{scale}__{q.effect1}"
    return f"{q.kind}__{q.effect1}.{q.effect2}".removeprefix("__")


def _modes(raw, alpha):
    """Conditional modes with intervals from their standard deviations."""
    table = raw.random_effects_table().rename(
        columns={"effect": "term", "mode": "estimate", "sd": "std_error"}
    )
    reach = stats.norm.isf(alpha / 2.0) * table["std_error"]
    table["conf_low"] = table["estimate"] - reach
    table["conf_high"] = table["estimate"] + reach
    return table


def _coefficients(raw):
    """Coefficients of each level, effect by effect."""
    columns = [
        pd.DataFrame({"group": group, "term": name, "level": table.index})
        .astype({"level": object})
        .assign(estimate=table[name].to_numpy())
        for group, table in raw.coef_by_level().items()
        for name in table
    ]
    return pd.concat(columns, ignore_index=True)


def _intervals(raw, effects, method, alpha):
    """A table of intervals with one row per parameter."""
    if isinstance(method, pd.DataFrame):
        if list(method.columns) != ["lower", "upper"]:
            raise ValueError("a table of intervals needs the columns lower and upper")
        return method
    if isinstance(method, str):
        kinds = [{"fixed": "fixed", "ran_pars": "random"}.get(e) for e in effects]
        wanted = {kind for kind in kinds if kind}
        if not wanted:
            return pd.DataFrame(columns=["lower", "upper"], dtype=float)
        method = profile(raw, which=None if len(wanted) > 1 else wanted.pop())
    return method.conf_int(alpha=alpha)


def _variance_intervals(raw, ends, scale):
    """Intervals of the variance parameters, from intervals on either scale."""
    labels = {s: variance_labels(raw.model.random, s) for s in ("sd", "var")}
    if not raw._has_residual:
        last = ["alpha"] if raw._n_scales else []
        labels = {s: [*names[:-1], *last] for s, names in labels.items()}
    if raw.model.residual is not None:
        errors = raw.model.residual.parameter_names
        labels = {s: [*names, *errors] for s, names in labels.items()}
    variances = set(labels["var"]) - set(labels["sd"])
    given = "var" if variances & set(ends.index) else "sd"
    intervals = ends.reindex(labels[given]).to_numpy(float, copy=True)
    if given != scale:
        is_sd = [a != b for a, b in zip(labels["sd"], labels["var"])]
        intervals[is_sd] = intervals[is_sd] ** (2.0 if scale == "var" else 0.5)
    return intervals


def glance(results: Any) -> pd.DataFrame:
    """
    Summarize a fit in one row.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    DataFrame
        One row with the columns

        =========== ===========================================================
        nobs        rows used
        sigma       residual standard deviation, or root of the dispersion
        logLik      log-likelihood, restricted after REML, as in lme4
        AIC, BIC    for `n_params` parameters, as in lme4
        REMLcrit    REML criterion; after ML the column is named deviance and is
                    -2 logLik or, in a generalized model, the sum of the unit
                    deviances, as in broom.mixed
        df_residual rows minus `n_params`, as in lme4; `df_resid` of the
                    results counts the fixed effects only
        converged   whether the optimum is certified
        singular    whether any covariance matrix is singular
        =========== ===========================================================
    """
    raw = as_fit(results)
    deviance = raw.deviance_criterion if raw._is_gaussian else raw.deviance
    row = {
        "nobs": int(raw.nobs),
        "sigma": np.sqrt(raw.scale),
        "logLik": raw.llf,
        "AIC": raw.aic,
        "BIC": raw.bic,
        "REMLcrit" if raw.reml else "deviance": deviance,
        "df_residual": int(raw.nobs) - raw.n_params,
        "converged": bool(raw.converged),
        "singular": raw.is_singular,
    }
    return ResultTable([row])


def augment(results: Any, data: Any = None, influence: bool = False) -> pd.DataFrame:
    """
    Add fitted values and residuals to the data of a fit.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    data : DataFrame, optional
        The data from which the model was built, with all columns and rows; rows not
        used get NaN. Default is the columns of the formula in the rows used or, for a
        model from arrays, the response, the design and the levels.
    influence : bool, optional
        Whether to add hat and cooksd.

    Returns
    -------
    DataFrame
        The data and the columns

        ====== ===========================================================
        fitted fitted value including conditional modes, broom's ``.fitted``
        resid  response minus fitted, ``.resid``
        fixed  fitted value from fixed effects and offset only, ``.fixed``
        hat    leverage, ``.hat``
        cooksd Cook's distance, ``.cooksd``
        ====== ===========================================================

        In a generalized model, as in broom.mixed, fitted and fixed are on the scale of
        the linear predictor, and resid is the deviance residual; further columns are
        mu, the fitted mean, offset, weights, the prior weights, and wtres, the Pearson
        residual.

    Raises
    ------
    DataError
        If the data have been removed, already have a column of such a name, or are
        not those of the fit.
    """
    raw = as_fit(results)
    model = raw.model
    require_data(model, "a table of its rows")
    if raw._is_gaussian:
        columns = {"fitted": raw.fittedvalues, "resid": raw.resid}
        columns["fixed"] = raw._fixed_part
    else:
        columns = {
            "fitted": raw.linear_predictor,
            "resid": raw.resid_deviance,
            "fixed": raw._fixed_part,
            "mu": raw.mu,
            "offset": 0.0 if model._offset is None else model._offset,
            "weights": model._prior_weights,
            "wtres": raw.resid_pearson,
        }
    if influence:
        measures = influence_of(raw)
        columns["hat"] = measures.hat_matrix_diag.to_numpy()
        columns["cooksd"] = measures.cooks_distance[0].to_numpy()
    labels = model.data.row_labels
    added = pd.DataFrame(columns, index=labels)
    frame = _model_frame(model) if data is None else to_frame(data)
    taken = [name for name in columns if name in frame.columns]
    if taken:
        raise DataError(f"the data already have a column '{taken[0]}'; rename it")
    if data is None:
        return pd.concat([frame.set_axis(added.index), added], axis=1)
    return _joined(frame, added)


def _joined(frame, added):
    """Columns for the rows used, joined to all rows of the data."""
    if len(frame) == len(added) and frame.index.equals(added.index):
        return pd.concat([frame, added], axis=1)
    known = added.index.isin(frame.index).all()
    if not known or not frame.index.is_unique or not added.index.is_unique:
        raise DataError(
            f"the labels of the {len(frame)} rows of data do not identify the "
            f"{len(added)} rows of the fit; pass the data from which the model was "
            "built, with unique labels"
        )
    return frame.join(added)


def _model_frame(model):
    """Response, predictors and levels of the rows used."""
    frame = getattr(model.data, "frame", None)
    if frame is not None:
        return frame
    columns = {model.endog_names: model.endog}
    columns |= dict(zip(model.exog_names, model.exog.T))
    for effects in model.random:
        if effects.has_groups:
            columns[effects.name] = effects.levels[effects.grouped.codes]
    return pd.DataFrame(columns)
