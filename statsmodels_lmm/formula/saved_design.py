"""Conversion of fitted designs to plain lists and back, without evaluation."""

from collections import OrderedDict

import numpy as np
from patsy import (
    ContrastMatrix,
    DesignInfo,
    EvalEnvironment,
    EvalFactor,
    FactorInfo,
    ModelDesc,
    SubtermInfo,
    Term,
)

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.dialects import engine_text, readable
from statsmodels_lmm.formula.states import STATES, check_state
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.saved_values import levels, number, numbers, texts, whole

LARGEST_CODE = 1e6
"""Limit on the entries of a coding; those of Helmert reach the number of levels."""


def plain_design(spec):
    """
    Convert a patsy design to values that JSON can hold.

    Parameters
    ----------
    spec : DesignInfo
        Specification of an evaluated formula.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        If the state of a transform cannot be saved, or a level is neither text nor a
        number.
    """
    factors = {}
    for factor, info in spec.factor_infos.items():
        factors[factor.name()] = {
            "type": info.type,
            "num_columns": info.num_columns,
            "categories": plain_levels(info.categories, factor.name()),
            "transforms": plain_states(info.state, factor.name()),
        }
    terms = [
        {
            "factors": [factor.name() for factor in term.factors],
            "subterms": [_plain_subterm(subterm) for subterm in subterms],
        }
        for term, subterms in spec.term_codings.items()
    ]
    columns = [readable(name, "patsy") for name in spec.column_names]
    return {"columns": columns, "factors": factors, "terms": terms}


def plain_states(state, factor):
    """
    Convert what the transforms of a factor remember to values that JSON can hold.

    Parameters
    ----------
    state : dict
        patsy's state of the factor.
    factor : str
        Name of the factor, for messages.

    Returns
    -------
    dict
        The attributes of each transform.
    """
    transforms = state.get("transforms", {})
    return {name: _plain_state(t, factor) for name, t in transforms.items()}


def _plain_state(transform, factor):
    kind = type(transform).__name__
    if kind not in STATES:
        raise DataError(f"the state of {kind} in '{factor}' cannot be saved")
    return {
        name: plain_numbers(getattr(transform, name), f"{kind} in '{factor}'")
        for name in STATES[kind]
    }


def _plain_subterm(subterm):
    contrasts = {
        factor.name(): {
            "matrix": plain_numbers(contrast.matrix, factor.name()),
            "suffixes": list(contrast.column_suffixes),
        }
        for factor, contrast in subterm.contrast_matrices.items()
    }
    names = [factor.name() for factor in subterm.factors]
    return {
        "factors": names,
        "contrasts": contrasts,
        "num_columns": subterm.num_columns,
    }


def plain_numbers(value, what):
    """
    Convert numbers to lists of floats, NaN to None.

    Parameters
    ----------
    value : array_like or None
        The numbers.
    what : str
        What the numbers are, for messages.

    Returns
    -------
    float, list or None
    """
    if value is None:
        return None
    numbers = np.asarray(value, dtype=float)
    if np.isinf(numbers).any():
        raise DataError(f"{what} is infinite and cannot be saved")
    plain = numbers.astype(object)
    plain[np.isnan(numbers)] = None
    return plain.tolist()


def plain_levels(levels, what):
    """
    Convert levels to a list of strings, numbers and booleans.

    Parameters
    ----------
    levels : iterable or None
        The levels; tuples are allowed for several columns.
    what : str
        What has these levels, for messages.

    Returns
    -------
    list or None

    Raises
    ------
    DataError
        If a level is of another type.
    """
    if levels is None:
        return None
    plain = [x.item() if isinstance(x, np.generic) else x for x in levels]
    for level in plain:
        parts = level if isinstance(level, tuple) else (level,)
        if not all(isinstance(part, str | int | float) for part in parts):
            raise DataError(
                f"levels of '{what}' are of type {type(level).__name__}, which cannot "
                "be saved; convert the column to text before the fit"
            )
    return plain


def restored_design(plain, formula, scope=None):
    """
    Restore a design saved by `plain_design`.

    Parameters
    ----------
    plain : dict
        The design.
    formula : str
        The formula, which has passed `check_formula`. No other code is used.
    scope : dict, optional
        Names of one's own that the formula uses.

    Returns
    -------
    DesignInfo

    Raises
    ------
    DataError
        If the design has factors or transforms that are not in the formula.
    ValueError
        If the parts of the design are inconsistent.
    """
    terms = ModelDesc.from_formula(engine_text(formula, "patsy")).rhs_termlist
    known = {factor.name() for term in terms for factor in term.factors}
    unknown = set(plain["factors"]) - known
    if unknown:
        raise DataError(f"'{unknown.pop()}' is not part of the formula {formula}")
    expected = [frozenset(f.name() for f in term.factors) for term in terms]
    saved = [frozenset(term["factors"]) for term in plain["terms"]]
    if len(saved) != len(expected) or set(saved) != set(expected):
        raise ValueError(f"the terms do not match the formula {formula}")
    factors = {name: EvalFactor(name) for name in plain["factors"]}
    infos = {
        factors[name]: _factor_info(factors[name], info, scope or {})
        for name, info in plain["factors"].items()
    }
    codings = OrderedDict(
        (
            Term([factors[name] for name in term["factors"]]),
            [_subterm(subterm, factors) for subterm in term["subterms"]],
        )
        for term in plain["terms"]
    )
    return DesignInfo(texts(plain["columns"], "a design"), infos, codings)


def _factor_info(factor, plain, scope):
    state: dict = {}
    known = EvalEnvironment([{**default_scope("patsy"), **scope}])
    factor.memorize_passes_needed(state, known)
    restore_states(state, plain["transforms"], factor)
    columns, categories = plain["num_columns"], plain["categories"]
    if columns is not None:
        columns = whole(columns, factor.name(), 1)
    if categories is not None:
        categories = tuple(levels(categories, factor.name()))
    return FactorInfo(factor, plain["type"], state, columns, categories)


def restore_states(state, plain, factor):
    """
    Restore what the transforms of a factor remember, saved by `plain_states`.

    Parameters
    ----------
    state : dict
        patsy's state of the factor, which has seen no data; it is modified.
    plain : dict
        The attributes of each transform.
    factor : EvalFactor
        The factor.
    """
    if set(state["transforms"]) != set(plain):
        raise DataError(f"the transforms of '{factor.name()}' do not match the formula")
    for name, transform in state["transforms"].items():
        kind, given = type(transform).__name__, plain[name]
        restored = {a: _restored_numbers(given[a], factor) for a in STATES[kind]}
        check_state(kind, restored)
        for attribute, value in restored.items():
            setattr(transform, attribute, value)


def _restored_numbers(value, factor):
    """An array, a float, an int if whole, or None."""
    if value is None:
        return None
    if isinstance(value, list):
        depth = np.ndim(np.array(value, dtype=object))
        return numbers(value, factor.name(), (-1,) * depth)
    restored = number(value, factor.name())
    return int(restored) if restored.is_integer() else restored


def _contrasts(plain, name):
    suffixes = texts(plain["suffixes"], name)
    matrix = numbers(plain["matrix"], name, (-1, len(suffixes)))
    if (np.abs(matrix) > LARGEST_CODE).any():
        raise ValueError(f"a coding of {name} is damaged")
    return ContrastMatrix(matrix, suffixes)


def _subterm(plain, factors):
    contrasts = {
        factors[name]: _contrasts(contrast, name)
        for name, contrast in plain["contrasts"].items()
    }
    names = plain["factors"]
    return SubtermInfo([factors[n] for n in names], contrasts, plain["num_columns"])
