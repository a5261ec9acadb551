"""A fit without its data, restored from lists and numbers that are all checked."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.model_formula import offset_formula
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.residual_terms import with_errors
from statsmodels_lmm.formula.saved_design import restore_states, restored_design
from statsmodels_lmm.inputs.saved_values import (
    covariance,
    dtype,
    index,
    level,
    number,
    numbers,
    text,
    texts,
    truth,
    whole,
)
from statsmodels_lmm.random.random_effects import LevelKeys, RandomEffects
from statsmodels_lmm.results.light import (
    LightData,
    LightErrors,
    LightModel,
    LightResults,
)
from statsmodels_lmm.results.saved_family import restored_family

SMALLEST = 1e-300
"""A lower bound of the residual variance."""

FARTHEST = 1e20
"""Largest distance of an estimate from 0, in standard errors, allowed by rounding."""


DATES = "datetime64[ns]"
"""The type of a column of dates."""


def restored(saved):
    """
    Restore a fit from the output of `to_json`.

    Parameters
    ----------
    saved : dict
        The JSON object as read.

    Returns
    -------
    LightResults

    Raises
    ------
    FormulaError
        If the formula is not allowed.
    Exception
        Of any kind, if anything is missing or damaged.
    """
    parsed, data = None, LightData(pd.DataFrame())
    structures = texts(saved["structures"], "structures")
    names = texts(saved["exog_names"], "exog_names")
    plain = saved["generalized"] if saved["version"] > 2 else None
    family = None if plain is None else restored_family(plain["family"])
    plain_errors = saved["errors"] if saved["version"] > 5 else None
    told, errors, values = _restored_errors(plain_errors)
    if saved["formula"] is not None:
        name = None if family is None else family.name
        check_formula(saved["formula"], saved["columns"], structures, name, **told)
        parsed = parse(saved["formula"], structures, name, alone=errors is not None)
        parsed = with_errors(parsed, **told)
        data = _restored_data(saved, parsed)
        if plain_names(data.model_spec.column_names) != plain_names(names):
            raise ValueError("exog_names are not the columns of the design")
    random, modes, covariances = [], [], []
    for each, terms in zip(saved["random"], _terms(parsed, saved["random"])):
        random.append(_restored_effects(each, terms, data.column_specs))
        n, k = random[-1].n_levels, len(random[-1].effect_names)
        modes.append(numbers(each["modes"], "modes", (n, k)))
        covariances.append(
            covariance(each["mode_covariances"], "mode_covariances", (n, k, k))
        )
    needs, relative = _restored_distribution(plain, random)
    model = LightModel(
        formula=saved["formula"],
        exog_names=names,
        random=tuple(random),
        data=data,
        structures=tuple(structures),
        needs=needs,
        residual=errors,
        _parsed=parsed,
    )
    p = len(names)
    params = numbers(saved["params"], "params", (p,), missing=True)
    cov_params = covariance(saved["cov_params"], "cov_params", (p, p), missing=True)
    dropped = np.isnan(params)
    unknown = dropped
    if family is not None:  # whose infinite coefficients have no variance
        unknown = dropped | np.isnan(np.diag(cov_params))
    if (np.isnan(cov_params) != (unknown | unknown[:, None])).any():
        raise ValueError("params and cov_params have different gaps")
    errors = np.sqrt(np.maximum(np.diag(cov_params)[~unknown], 0.0))
    if (np.abs(params[~unknown]) > FARTHEST * errors).any():
        raise ValueError("params are farther from 0 than cov_params allows")
    scale = number(saved["scale"], "scale", least=SMALLEST)
    components = _restored_components(saved["variance_components"])
    residual = components.loc[components["group"] == "Residual", "variance"]
    if family is None and len(residual) != 1:
        raise ValueError("there is no variance of the residuals")
    if len(residual) and not np.isclose(residual.iloc[-1], scale, atol=0.0):
        raise ValueError("scale is not the variance of the residuals")
    method = text(saved["method"], "method")
    if family is None and method not in ("REML", "ML"):
        raise ValueError(f"method is {method!r}")
    theta, labels = saved["theta"], texts(saved["theta"]["name"], "theta")
    return LightResults(
        model=model,
        params=pd.Series(params, names),
        scale=scale,
        llf=number(saved["llf"], "llf"),
        nobs=float(whole(saved["nobs"], "nobs", 1)),
        df_resid=number(saved["df_resid"], "df_resid", least=0),
        method=method,
        cov_type=text(saved["cov_type"], "cov_type") if saved["version"] > 3 else "",
        converged=truth(saved["converged"], "converged"),
        theta=pd.Series(
            numbers(theta["theta"], "theta", (len(labels),)), labels, name="theta"
        ),
        versions={name: text(v, name) for name, v in saved["packages"].items()},
        _covariance=cov_params,
        _components=components,
        _modes=modes,
        _mode_covariances=covariances,
        _estimability=_restored_estimability(~dropped, saved),
        _text=text(saved["summary"], "summary"),
        family=family,
        residual_params=values,
        _relative=relative,
    )


def _restored_errors(plain):
    """Arguments residual and dispersion, the LightErrors, and their parameters."""
    none = {"residual": None, "dispersion": None}
    if plain is None:
        return none, None, np.zeros(0)
    told = {n: None if plain[n] is None else text(plain[n], n) for n in none}
    names = texts(plain["names"], "parameters of errors")
    values = numbers(plain["values"], "parameters of errors", (len(names),))
    return told, LightErrors(text(plain["title"], "errors"), tuple(names)), values


def _restored_distribution(plain, random):
    """Needs of new data and covariances of a generalized model."""
    if plain is None:
        return {}, []
    needs = {n: truth(plain["needs"][n], n) for n in ("offset", "exposure")}
    if len(plain["covariances"]) != len(random):
        raise ValueError("there is not one covariance matrix per grouping factor")
    sizes = [len(effects.effect_names) for effects in random]
    pairs = zip(plain["covariances"], sizes)
    relative = [covariance(c, "covariances", (k, k)) for c, k in pairs]
    return needs, relative


def _restored_estimability(kept, saved):
    """Relations among the columns; unknown in a fit saved in version 1."""
    shape = int(kept.sum()), int((~kept).sum())
    if saved["version"] == 1:
        return Estimability(kept, np.full(shape, np.nan))
    return Estimability(kept, numbers(saved["relations"], "relations", shape))


def _restored_data(saved, parsed):
    """How designs are built from new data."""
    groupings = saved["groupings"] if saved["version"] > 4 else {}
    data = LightData(
        _restored_frame(saved["types"]),
        restored_design(saved["design"], parsed.fixed),
        {
            text: restored_design(saved["column_designs"][text], text)
            for text in (
                *(t.effects for t in parsed.random if t.effects != "1"),
                *map(offset_formula, parsed.offsets),
            )
        },
        {
            text: _restored_grouping(text, saved["columns"], groupings[text])
            for text in parsed.grouping_expressions
        },
    )
    for offset in map(offset_formula, parsed.offsets):
        if len(data.column_specs[offset].column_names) != 1:
            raise ValueError(f"'{offset}' is not one column")
    for formula in (parsed.fixed, *data.column_specs):
        lost = set(columns_in(formula, saved["columns"])) - set(data.frame.columns)
        if lost:
            raise ValueError(f"the type of column '{lost.pop()}' is missing")
    return data


def _restored_grouping(text, columns, plain):
    """A grouping factor that is computed from columns."""
    remembered, _ = RememberedFactor.blank(text, columns)
    restore_states(remembered.state, plain, remembered.factor)
    return remembered


def _restored_components(plain):
    """The table of variances, checked for negative variances."""
    names = ("group", "effect1", "effect2")
    table = pd.DataFrame(
        {name: [text(v, name) for v in plain[name]] for name in names}
        | {
            name: numbers(plain[name], name, (-1,), missing=True)
            for name in ("variance", "sd")
        }
    )
    variances = table.loc[table["effect2"] == "", ["variance", "sd"]]
    if (variances < 0).any(axis=None) or not len(table):
        raise ValueError("a variance is negative")
    return table


def _terms(parsed, random):
    """The terms of each factor; none for a model from arrays."""
    if parsed is None:
        return [()] * len(random)
    if len(parsed.by_factor) != len(random):
        raise ValueError("the grouping factors differ from the formula's")
    return parsed.by_factor


def _restored_effects(plain, terms, specs):
    name = text(plain["name"], "a grouping factor")
    levels = index(plain["levels"], name)
    effects = [text(effect, name) for effect in plain["effects"]]
    columns = terms[0].grouping if terms else ()
    if terms and name != terms[0].group:
        raise ValueError(f"{name} is not a grouping factor of the formula")
    sizes = [
        1 if term.effects == "1" else len(specs[term.effects].column_names)
        for term in terms
    ]
    if plain["sizes"] != sizes or (terms and sum(sizes) != len(effects)):
        raise ValueError(f"{name} has effects that differ from the formula's")
    keys = tuple(_restored_keys(key, name, len(levels)) for key in plain["keys"])
    if len(keys) != len(columns):
        raise ValueError(f"{name} has levels of {len(keys)} columns")
    if keys and len(set(zip(*(key.codes.tolist() for key in keys)))) != len(levels):
        raise ValueError(f"{name} has a level twice")
    k, none = len(effects), np.zeros(0, dtype=np.int64)
    grouped: GroupedEffects | RawEffects
    grouped = GroupedEffects(none, len(levels), np.zeros((0, k)), (k,))
    if truth(plain["is_matrix"], "is_matrix"):
        grouped = RawEffects(np.zeros((0, len(levels))))
    return RandomEffects(
        name=name,
        levels=levels,
        effect_names=tuple(effects),
        grouped=grouped,
        columns=columns,
        terms=tuple(zip(terms, sizes)),
        keys=keys,
    )


def _restored_keys(plain, name, n_levels):
    """How the levels of a factor are formed from those of its columns."""
    uniques = index(plain["uniques"], name)
    codes = [whole(code, name, 0, len(uniques) - 1) for code in plain["codes"]]
    if len(codes) != n_levels:
        raise ValueError(f"{name} has {n_levels} levels and {len(codes)} codes")
    return LevelKeys(uniques, np.array(codes, dtype=np.int64))


def _restored_frame(types):
    """Columns with the types and levels of the original data, in rows without data."""
    levels = {
        level(name, "types"): index(plain["levels"], name)
        for name, plain in types
        if "levels" in plain
    }
    n_rows = max([1, *map(len, levels.values())])
    columns = {}
    for name, plain in types:
        if name not in levels:
            kind = DATES if plain["dtype"] == DATES else dtype(plain["dtype"])
            columns[level(name, "types")] = np.zeros(n_rows, kind)
            continue
        columns[name] = np.resize(levels[name].to_numpy(object), n_rows)
        if plain["dtype"] == "category":
            ordered = truth(plain["ordered"], name)
            columns[name] = pd.Categorical(columns[name], levels[name], ordered=ordered)
    return pd.DataFrame(columns)
