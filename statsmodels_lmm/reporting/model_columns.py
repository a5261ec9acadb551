"""What a table of several models shows of one of them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.regression.mixed_linear_model import MixedLM

from statsmodels_lmm.display import unquoted
from statsmodels_lmm.formula.plain_names import unquoted as column_name
from statsmodels_lmm.inference.comparison.nested_models import is_mixed
from statsmodels_lmm.inference.fixed.ratios import ratio_name, ratio_of
from statsmodels_lmm.inference.requirements import as_fit, has_sums
from statsmodels_lmm.inference.variances.explained_variance import icc, r_squared
from statsmodels_lmm.reporting.caveats import caveats

DISCRETE = {"Logit": ("Binomial", "logit"), "Poisson": ("Poisson", "log")}
"""Family and link of the models of statsmodels that have neither by name."""


@dataclass(frozen=True)
class ModelColumn:
    """
    The numbers and words of one model.

    Parameters
    ----------
    fixed : DataFrame
        Columns estimate, std err, p, lower and upper, one row per coefficient.
    random : dict
        Standard deviations, correlations and other parameters, by label.
    fit : dict
        Numbers of rows and levels, shares of variance and criteria, by label.
    method : str
        How the model was fitted.
    notes : list of str
        What limits the numbers.
    """

    fixed: pd.DataFrame
    random: dict
    fit: dict
    method: str
    notes: list


def labeled(name, labels):
    """
    The label of a coefficient or another row.

    Parameters
    ----------
    name : str
        Its name, such as "Q('Dose (mg)')".
    labels : dict
        Labels by name, with or without ``Q()`` or backticks.

    Returns
    -------
    str or None
        The label, by default the name without ``Q()``.
    """
    shown = unquoted(name)
    if name not in labels:
        labels = {column_name(str(key)): label for key, label in labels.items()}
        name = shown
    label = labels.get(name, shown)
    return None if label is None else str(label)


def model_column(results, alpha=0.05, exponentiate=False):
    """
    Collect what a table shows of a model.

    Parameters
    ----------
    results : MixedResults or results of statsmodels
        A fit.
    alpha : float, optional
        One minus the level of the confidence intervals.
    exponentiate : bool, optional
        Whether coefficients are ratios, with standard errors by the delta method.

    Returns
    -------
    ModelColumn

    Raises
    ------
    TypeError
        If the fit has no vector of coefficients with standard errors, p-values and
        intervals, as one loaded from JSON.
    ValueError
        If the coefficients are not logarithms of ratios but should be shown as such.
    """
    raw = as_fit(results)
    fixed = _fixed(raw, alpha)
    if exponentiate:
        ratio_of_any(raw)  # rejects other links
        fixed[["estimate", "lower", "upper"]] = np.exp(
            fixed[["estimate", "lower", "upper"]]
        )
        fixed["std err"] *= fixed["estimate"]
    if not is_mixed(raw):
        kind, notes = type(raw.model).__name__, []
        if isinstance(raw.model, MixedLM):
            kind, notes = raw.method, [VARIANCES_LEFT_OUT]
        return ModelColumn(fixed, {}, _fit_of_statsmodels(raw), kind, notes)
    notes = caveats(raw)
    if not has_sums(raw.model):
        notes.append("R2 and ICC need the data, which were removed.")
    return ModelColumn(fixed, random_parameters(raw), _fit(raw), raw.method, notes)


VARIANCES_LEFT_OUT = (
    "The variances of statsmodels' MixedLM are left out; statsmodels_lmm.MixedLM fits "
    "the same model."
)


def _fixed(raw, alpha):
    """Coefficients with standard errors, p-values and intervals."""
    needed = ("params", "bse", "pvalues", "conf_int")
    missing = [name for name in needed if not hasattr(raw, name)]
    if missing or np.ndim(raw.params) != 1:
        what = f"has no {missing[0]}" if missing else "has several equations"
        raise TypeError(
            f"{type(raw).__name__} {what}, so it cannot be a column of a table"
        )
    # MixedLM of statsmodels appends variances
    has_variances = not is_mixed(raw) and hasattr(raw, "fe_params")
    k = len(raw.fe_params) if has_variances else len(raw.params)
    ends = np.asarray(raw.conf_int(alpha=alpha))[:k]
    values = [np.asarray(v)[:k] for v in (raw.params, raw.bse, raw.pvalues)]
    columns = ["estimate", "std err", "p", "lower", "upper"]
    names = list(raw.model.exog_names)[:k]
    return pd.DataFrame(np.column_stack([*values, ends]), names, columns)


def ratio_of_any(raw):
    """
    The kind of ratio that the exponential of a coefficient is.

    Parameters
    ----------
    raw : MixedResults or results of statsmodels
        A fit without its wrapper.

    Returns
    -------
    str
        Such as "odds ratio".

    Raises
    ------
    ValueError
        If the coefficients are not logarithms of ratios.
    """
    if is_mixed(raw):
        return ratio_name(raw)
    if isinstance(raw.model, GLM):
        family = raw.model.family
        return ratio_of(type(family).__name__, type(family.link).__name__.lower())
    return ratio_of(*DISCRETE.get(type(raw.model).__name__, ("Gaussian", "identity")))


def random_parameters(raw):
    """
    Standard deviations, correlations and other parameters of the random part.

    Parameters
    ----------
    raw : MixedResults
        A fit without its wrapper.

    Returns
    -------
    dict
        Values by labels such as "SD (Days | Subject)", the residual last.
    """
    labels = []
    for effects in raw.model.random:
        for q in (q for block in effects.quantities for q in block):
            if q.kind == "sd":
                labels.append(f"SD ({q.effect1} | {effects.name})")
            elif q.second is not None:
                labels.append(f"Cor ({q.effect1}, {q.effect2} | {effects.name})")
            else:
                labels.append(f"{q.effect1} {q.effect2} ({effects.name})")
    values = raw.variance_components()["sd"].tolist()
    if raw._has_residual:
        labels.append("SD (Residual)")
    elif raw._n_scales:
        labels.append("Alpha")
        values.append(raw.alpha)
    if raw.model.residual is not None:
        labels += raw.model.residual.parameter_names
        values += list(raw.residual_params)
    return dict(zip(labels, values))


def _fit(raw):
    """Counts, shares of variance and criteria of a mixed model."""
    levels = {f"N ({e.name})": e.n_levels for e in raw.model.random}
    names = ["R2 marginal", "R2 conditional", "ICC"]
    shares = dict.fromkeys(names, np.nan)
    if has_sums(raw.model):
        shares = dict(zip(names, [*r_squared(raw), icc(raw)["adjusted"]]))
    if not raw.model.random:  # without random effects there is nothing to share
        shares = {"R2": shares["R2 marginal"]}
    criteria = {"Log-likelihood": raw.llf, "AIC": raw.aic, "BIC": raw.bic}
    return {"N": int(raw.nobs), **levels, **shares, **criteria}


def _fit_of_statsmodels(raw):
    """Counts, R-squared and criteria of other models, as far as they have them."""
    names = {"R2": "rsquared", "Pseudo R2": "prsquared", "Log-likelihood": "llf"}
    # GLM's bic is a difference of deviances
    names |= {"AIC": "aic", "BIC": "bic_llf" if hasattr(raw, "bic_llf") else "bic"}
    values = {label: _value(raw, name) for label, name in names.items()}
    known = {label: value for label, value in values.items() if np.isfinite(value)}
    return {"N": int(raw.nobs), **known}


def _value(raw, name):
    """A number of statsmodels' results; NaN where these do not have it."""
    try:
        return float(getattr(raw, name))
    except (AttributeError, NotImplementedError):
        return np.nan
