"""A fit as JSON without its data, from which it predicts again."""

import json
from importlib.metadata import version

import numpy as np
import pandas as pd
import patsy.builtins

from statsmodels_lmm.core.grouped_effects import GroupedEffects
from statsmodels_lmm.core.raw_effects import RawEffects
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.allow_list import ATTRIBUTES, FUNCTIONS
from statsmodels_lmm.formula.design import LevelKeys, RandomEffects, offset_formula
from statsmodels_lmm.formula.frame import columns_in
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.saved_design import (
    plain_design,
    plain_levels,
    plain_numbers,
    restored_design,
)
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inference.terms import has_formula
from statsmodels_lmm.light_results import LightData, LightModel, LightResults

FORMAT = "statsmodels_lmm"
VERSION = 1
CALLED = {*FUNCTIONS, *ATTRIBUTES, "pi"}
"""Names besides columns that a formula that passed can use."""

PACKAGES = ("statsmodels-lmm", "statsmodels", "patsy", "pandas", "numpy")


# writing -------------------------------------------------------------------


def to_json(results):
    """
    A fit as JSON, without its data and without code but the formula.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    str
        What `from_json` reads: names, estimates and their covariances, conditional
        modes and theirs, levels and codings of factors, what transforms such as
        ``scale(x)`` remember, the summary, and the versions of the packages.

    Raises
    ------
    FormulaError
        If the formula uses more than `check_formula` allows, such as a function of
        yours.
    DataError
        If a name of yours stands for a function that the formula uses, if levels are
        neither text nor numbers, or if the formula was evaluated by formulaic.

    Notes
    -----
    Levels and conditional modes say something of the people they stand for.
    """
    raw = getattr(results, "_results", results)
    model = raw.model
    saved = {
        "format": FORMAT,
        "version": VERSION,
        "packages": {name: version(name) for name in PACKAGES},
        "formula": None,
        "structures": sorted(model.structures),
        "exog_names": list(model.exog_names),
        "params": plain_numbers(raw.params, "params"),
        "cov_params": plain_numbers(raw.cov_params(), "cov_params"),
        "scale": float(raw.scale),
        "llf": float(raw.llf),
        "nobs": float(raw.nobs),
        "df_resid": float(raw.df_resid),
        "method": raw.method,
        "converged": bool(raw.converged),
        "theta": _plain_table(raw.theta.rename_axis("name").reset_index()),
        "variance_components": _plain_table(raw.variance_components()),
        "random": [_plain_effects(raw, i) for i in range(len(model.random))],
        "summary": str(raw.summary()),
    }
    if has_formula(model):
        saved |= _plain_formula(model)
    return json.dumps(saved, allow_nan=False)


def _plain_table(table):
    return {
        name: plain_numbers(column, name) if column.dtype == float else list(column)
        for name, column in table.items()
    }


def _plain_effects(raw, i):
    """The random effects of one factor."""
    effects = raw.model.random[i]
    return {
        "name": effects.name,
        "levels": _plain_index(effects.levels, effects.name),
        "effects": list(effects.effect_names),
        "sizes": [size for _, size in effects.terms],
        "keys": [
            {
                "uniques": _plain_index(key.uniques, effects.name),
                "codes": key.codes.tolist(),
            }
            for key in effects.keys
        ],
        "is_matrix": isinstance(effects.grouped, RawEffects),
        "modes": plain_numbers(raw._modes[i], "modes"),
        "mode_covariances": plain_numbers(raw._mode_covariances(i), "modes"),
    }


def _plain_index(index, what):
    return {"dtype": str(index.dtype), "values": plain_levels(index, what)}


def _plain_formula(model):
    """The formula, the columns that it uses, and how designs are made of them."""
    data = model.data
    if data.engine != "patsy":
        raise DataError(
            "a formula that formulaic has evaluated cannot be saved; fit it with "
            "patsy, statsmodels' default engine"
        )
    columns = check_formula(model.formula_full, data.frame.columns, model.structures)
    known = {name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__}
    known |= default_scope("patsy")
    for name, value in data.scope.items():
        if name in CALLED and checked(value) is not known.get(name):
            raise DataError(
                f"'{name}' in the formula is a name of yours and cannot be saved"
            )
    parsed = model._parsed
    texts = [parsed.fixed, *data.column_specs]
    used = {c: 0 for text in texts for c in columns_in(text, data.frame.columns)}
    return {
        "formula": model.formula_full,
        "columns": columns,
        "types": [[name, _plain_type(data.frame[name], name)] for name in used],
        "design": plain_design(data.model_spec),
        "column_designs": {
            text: plain_design(spec) for text, spec in data.column_specs.items()
        },
    }


def _plain_type(column, name):
    """Type and levels of a column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = _plain_index(column.cat.categories, name)
        return {"dtype": "category", "levels": levels, "ordered": column.cat.ordered}
    if pd.api.types.is_numeric_dtype(column.dtype):
        return {"dtype": str(column.dtype)}
    return {"dtype": "text", "levels": _plain_index(pd.Index(column.unique()), name)}


# reading -------------------------------------------------------------------


def from_json(text):
    """
    A fit from what `to_json` returned.

    Parameters
    ----------
    text : str
        JSON. Nothing in it is evaluated but its formula, when predictions are made,
        which must pass `check_formula`; see there what that is worth.

    Returns
    -------
    LightResults

    Raises
    ------
    FormulaError
        If the formula is not allowed.
    DataError
        If this is no saved fit, or one of a newer version.
    """
    try:
        saved = json.loads(text)
        if saved["format"] != FORMAT:
            raise KeyError("format")
        if saved["version"] > VERSION:
            raise DataError(
                f"the fit was saved in version {saved['version']} of the format, by "
                f"{_written(saved)}; this package reads up to {VERSION}: upgrade it"
            )
        return _restored(saved)
    except (FormulaError, DataError):
        raise
    except (AttributeError, IndexError, KeyError, RecursionError) as error:
        raise DataError(f"this is no saved fit, or a damaged one: {error!r}") from error
    except (TypeError, ValueError) as error:
        raise DataError(f"this is no saved fit, or a damaged one: {error}") from error


def _written(saved):
    return ", ".join(f"{name} {v}" for name, v in saved["packages"].items())


def _restored(saved):
    parsed, data, structures = None, LightData(pd.DataFrame()), saved["structures"]
    if saved["formula"] is not None:
        check_formula(saved["formula"], saved["columns"], structures)
        parsed = parse(saved["formula"], structures)
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
        )
    names = [str(name) for name in saved["exog_names"]]
    random, modes, covariances = [], [], []
    for plain, terms in zip(saved["random"], _terms(parsed, saved["random"])):
        random.append(_restored_effects(plain, terms))
        shape = random[-1].n_levels, len(plain["effects"])
        modes.append(_array(plain["modes"], shape))
        covariances.append(_array(plain["mode_covariances"], (*shape, shape[1])))
    model = LightModel(
        saved["formula"], names, tuple(random), data, tuple(structures), None, parsed
    )
    theta, size = saved["theta"], (len(names),)
    return LightResults(
        model=model,
        params=pd.Series(_array(saved["params"], size), names),
        scale=float(saved["scale"]),
        llf=float(saved["llf"]),
        nobs=float(saved["nobs"]),
        df_resid=float(saved["df_resid"]),
        method=str(saved["method"]),
        converged=bool(saved["converged"]),
        theta=pd.Series(_array(theta["theta"], (-1,)), theta["name"], name="theta"),
        versions=dict(saved["packages"]),
        _covariance=_array(saved["cov_params"], size * 2),
        _components=_restored_components(saved["variance_components"]),
        _modes=modes,
        _mode_covariances=covariances,
        _text=str(saved["summary"]),
    )


def _array(plain, shape):
    """An array of floats of a shape, None as NaN."""
    array = np.array(plain, dtype=float)
    if array.size and -1 not in shape and array.shape != shape:
        raise ValueError(f"an array has shape {array.shape} instead of {shape}")
    return array.reshape(shape)


def _restored_components(plain):
    table = pd.DataFrame(plain)
    return table.astype({"variance": float, "sd": float})


def _terms(parsed, random):
    """The terms of each factor, none for a model from arrays."""
    if parsed is None:
        return [()] * len(random)
    if len(parsed.by_factor) != len(random):
        raise ValueError("the formula has other grouping factors")
    return parsed.by_factor


def _restored_effects(plain, terms):
    levels, k = _restored_index(plain["levels"]), len(plain["effects"])
    none = np.zeros(0, dtype=np.int64)
    grouped: GroupedEffects | RawEffects
    grouped = GroupedEffects(none, len(levels), np.zeros((0, k)), (k,))
    if plain["is_matrix"]:
        grouped = RawEffects(np.zeros((0, len(levels))))
    return RandomEffects(
        name=str(plain["name"]),
        levels=levels,
        effect_names=tuple(plain["effects"]),
        grouped=grouped,
        columns=terms[0].grouping if terms else (),
        terms=tuple(zip(terms, plain["sizes"])),
        keys=tuple(
            LevelKeys(_restored_index(key["uniques"]), np.array(key["codes"], int))
            for key in plain["keys"]
        ),
    )


def _restored_index(plain):
    values = [tuple(v) if isinstance(v, list) else v for v in plain["values"]]
    return pd.Index(values, dtype=_dtype(plain["dtype"]), tupleize_cols=False)


def _restored_frame(types):
    """Columns with the types and levels of the fit; the rows mean nothing."""
    levels = {
        name: _restored_index(plain["levels"])
        for name, plain in types
        if "levels" in plain
    }
    n_rows = max([1, *map(len, levels.values())])
    columns = {}
    for name, plain in types:
        if name not in levels:
            columns[name] = np.zeros(n_rows, _dtype(plain["dtype"]))
            continue
        columns[name] = np.resize(levels[name].to_numpy(object), n_rows)
        if plain["dtype"] == "category":
            columns[name] = pd.Categorical(
                columns[name], levels[name], ordered=plain["ordered"]
            )
    return pd.DataFrame(columns)


def _dtype(name):
    """A type of numbers or text by its name."""
    if name in ("object", "str", "string"):
        return object
    dtype = np.dtype(name)
    if dtype.kind not in "biuf":
        raise ValueError(f"a column of type {name}")
    return dtype
