"""A fit as JSON without its data, from which it can predict again."""

import json
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
import patsy.builtins

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.allow_list import ATTRIBUTES, FUNCTIONS
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.residual_terms import errors_of, written_residual
from statsmodels_lmm.formula.saved_design import (
    plain_design,
    plain_levels,
    plain_numbers,
    plain_states,
)
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.requirements import as_fit
from statsmodels_lmm.inputs.saved_values import whole
from statsmodels_lmm.results.light import LightResults
from statsmodels_lmm.results.restoring import DATES, restored
from statsmodels_lmm.results.saved_family import plain_family

FORMAT = "statsmodels_lmm"
VERSION = 6
"""
Version of the format.

Version 1 lacks relations among the columns of X. Before version 3 models are linear,
before version 4 the name of the covariance of the fixed effects is missing, before
version 5 grouping factors are columns, and before version 6 errors are independent.
"""

CALLED = {*FUNCTIONS, *ATTRIBUTES, "pi"}
"""Names, apart from columns, that a checked formula may use."""

PACKAGES = ("statsmodels-lmm", "statsmodels", "patsy", "pandas", "numpy")


# writing -------------------------------------------------------------------


def to_json(results: Any) -> str:
    """
    A fit as JSON, without its data and with no code but the formula.

    Parameters
    ----------
    results : CrossedMixedLMResults or CrossedMixedGLMResults
        A fit.

    Returns
    -------
    str
        The text for `from_json`: names, estimates with their covariances, conditional
        modes with theirs, levels and codings of factors, the state of transforms such
        as ``scale(x)``, the summary, and the versions of the packages.

    Raises
    ------
    FormulaError
        If the formula uses more than `check_formula` allows, such as a function of
        your own.
    DataError
        If the family or its link is custom, if a name of your own shadows a function
        that the formula uses, if levels are neither text nor numbers, or if the formula
        was evaluated by formulaic.

    Notes
    -----
    Levels and conditional modes may reveal something about the people they represent.
    """
    raw = as_fit(results)
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
        "relations": plain_numbers(raw._estimability.relations, "relations"),
        "scale": float(raw.scale),
        "llf": float(raw.llf),
        "nobs": float(raw.nobs),
        "df_resid": float(raw.df_resid),
        "method": raw.method,
        "cov_type": raw.cov_type,
        "converged": bool(raw.converged),
        "theta": _plain_table(raw.theta.rename_axis("name").reset_index()),
        "variance_components": _plain_table(raw.variance_components()),
        "random": [_plain_effects(raw, i) for i in range(len(model.random))],
        "summary": str(raw.summary()),
        "generalized": None if raw._is_gaussian else _plain_distribution(raw),
        "errors": None if model.residual is None else _plain_errors(raw),
    }
    if has_formula(model):
        saved |= _plain_formula(model)
    return json.dumps(saved, allow_nan=False)


def _plain_distribution(raw):
    """The entries that only a generalized model has."""
    return {
        "family": plain_family(raw.family, raw.alpha),
        "needs": dict(raw.model.needs),
        "covariances": [plain_numbers(c, "covariances") for c in raw._covariances()],
    }


def _plain_errors(raw):
    """The parameters of correlated errors, and their texts in a formula."""
    errors, parsed = raw.model.residual, raw.model._parsed
    residual, dispersion = None, None
    if errors.term is not None:
        residual = written_residual(errors.term)
    if parsed is not None:
        _, dispersion = errors_of(parsed)
    return {
        "residual": None if parsed is None else residual,
        "dispersion": dispersion,
        "title": str(errors),
        "names": list(errors.parameter_names),
        "values": plain_numbers(raw.residual_params, "residual_params"),
    }


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
        "is_matrix": not effects.has_groups,
        "modes": plain_numbers(raw._modes[i], "modes"),
        "mode_covariances": plain_numbers(raw._mode_covariances(i), "modes"),
    }


def _plain_index(index, what):
    return {"dtype": str(index.dtype), "values": plain_levels(index, what)}


def _plain_formula(model):
    """The formula, the columns that it uses, and how designs are built from them."""
    data = model.data
    if data.engine != "patsy":
        raise DataError(
            "a formula evaluated by formulaic cannot be saved; fit it with "
            "patsy, statsmodels' default engine"
        )
    family = getattr(model, "family", None)
    name = None if family is None else family.name
    parsed = model._parsed
    residual, dispersion = errors_of(parsed)
    residual = None if residual is None else written_residual(residual)
    names = data.frame.columns
    if model.summed is not None:  # levels of groups are not kept by column
        names = names.union(parsed.grouping_columns, sort=False)
    columns = check_formula(
        model.formula_full,
        names,
        model.structures,
        name,
        residual=residual,
        dispersion=dispersion,
    )
    known = {name: getattr(patsy.builtins, name) for name in patsy.builtins.__all__}
    known |= default_scope("patsy")
    for name, value in data.scope.items():
        if name in CALLED and checked(value) is not known.get(name):
            raise DataError(
                f"'{name}' in the formula is a name of your own and cannot be saved"
            )
    known_effects = {*(t.effects for t in parsed.random), *parsed.offsets}
    specs = dict(data.column_specs)
    if parsed.dispersion not in known_effects:
        specs.pop(parsed.dispersion, None)  # predictions do not need it
    texts = [parsed.fixed, *specs]
    used = {c: 0 for text in texts for c in columns_in(text, data.frame.columns)}
    return {
        "formula": model.formula_full,
        "columns": columns,
        "types": [[name, _plain_type(data.frame[name], name)] for name in used],
        "design": plain_design(data.model_spec),
        "column_designs": {text: plain_design(spec) for text, spec in specs.items()},
        "groupings": {
            text: plain_states(grouping.state, text)
            for text, grouping in data.groupings.items()
        },
    }


def _plain_type(column, name):
    """Type and levels of a column."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = _plain_index(column.cat.categories, name)
        return {"dtype": "category", "levels": levels, "ordered": column.cat.ordered}
    if pd.api.types.is_numeric_dtype(column.dtype):
        return {"dtype": str(column.dtype)}
    if isinstance(column.dtype, np.dtype) and column.dtype.kind == "M":
        return {"dtype": DATES}
    return {"dtype": "text", "levels": _plain_index(pd.Index(column.unique()), name)}


# reading -------------------------------------------------------------------


def from_json(text: str) -> LightResults:
    """
    Restore a fit from the output of `to_json`.

    Parameters
    ----------
    text : str
        JSON. Only the formula is ever evaluated, for predictions, and it must pass
        `check_formula`, which describes the protection that this gives. Numbers,
        names and levels are checked: damaged text is rejected, not repaired.

    Returns
    -------
    LightResults

    Raises
    ------
    FormulaError
        If the formula is not allowed.
    DataError
        If this is not a saved fit, or one saved by a newer version.
    """
    try:
        saved = json.loads(text, parse_constant=_no_number)
        if saved["format"] != FORMAT:
            raise KeyError("format")
        if whole(saved["version"], "version", 1) > VERSION:
            raise DataError(
                f"the fit was saved in version {saved['version']} of the format, by "
                f"{_written(saved)}; this package reads up to {VERSION}: upgrade it"
            )
        return restored(saved)
    except (FormulaError, DataError):
        raise
    except (KeyError, RecursionError) as error:
        raise DataError(f"not a saved fit, or a damaged one: {error!r}") from error
    except Exception as error:  # damaged text can make the libraries raise anything
        raise DataError(f"not a saved fit, or a damaged one: {error}") from error


def _no_number(name):
    raise ValueError(f"{name} is not a number")


def _written(saved):
    return ", ".join(f"{name} {v}" for name, v in saved["packages"].items())
