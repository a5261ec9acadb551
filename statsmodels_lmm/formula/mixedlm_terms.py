"""The random effects of statsmodels' MixedLM as lme4 terms."""

import re
from dataclasses import dataclass

import pandas as pd

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.plain_arrays import group_values

NAME = r"(?:\w+|Q\(['\"][^'\"]*['\"]\))"
BY_LEVEL = re.compile(rf"^0\s*\+\s*(C\(\s*)?({NAME})(?(1)\s*\))(?:\s*:\s*(.+))?$")

ONE_COLUMN = re.compile(r"^(?!C\()[\w.]+(\([^()]*\))?$")
"""A column or a function of columns that gives one number per row."""


@dataclass(frozen=True)
class MixedTerm:
    """
    A term with a bar and MixedLM's name for it.

    Parameters
    ----------
    text : str
        The term, such as "(1 | g:s)".
    component : str or None
        Name of the variance component, None for the correlated effects.
    factor : str or None
        The factor whose levels within the group have the effects, as written.
    """

    text: str
    component: str | None
    factor: str | None = None


def random_terms(groups, re_formula=None, vc_formula=None, data=None):
    """
    Translate MixedLM's arguments into terms with bars.

    ``re_formula="~x"`` becomes ``(x | g)``; without `re_formula` and `vc_formula` there
    is a random intercept. In `vc_formula`, ``"0 + C(s)"`` becomes ``(1 | g:s)``,
    ``"0 + x"`` becomes ``(0 + x | g)``, ``"0 + C(s):x"`` becomes ``(0 + x | g:s)``, and
    anything else becomes ``diag(... | g, hom=True)``: independent coefficients with a
    common variance. If there is only one group, ``g:s`` is just ``s``.

    Parameters
    ----------
    groups : str or sequence of str
        Columns of the outermost grouping factors, each with the effects of
        `re_formula`.
    re_formula : str, optional
        Correlated random effects.
    vc_formula : dict, optional
        Formula of each variance component, by name.
    data : DataFrame, optional
        The data, to distinguish categorical from numeric columns.

    Returns
    -------
    list of MixedTerm

    Raises
    ------
    FormulaError
        If there are variance components and several grouping factors.
    """
    names = [groups] if isinstance(groups, str) else list(groups)
    if vc_formula and len(names) > 1:
        raise FormulaError(
            "variance components need a single grouping factor; for several, write "
            "the formula with bars, such as y ~ x + (1 | a) + (1 | b)"
        )
    terms = []
    for name in names:
        if re_formula is not None:
            effects = _plain(re_formula)
            terms.append(MixedTerm(f"({effects} | {_quoted(name)})", None))
        elif not vc_formula:
            terms.append(MixedTerm(f"(1 | {_quoted(name)})", None))
    for component in sorted(vc_formula or {}):
        text = _plain(vc_formula[component])
        terms.append(MixedTerm(*_component_term(component, text, names[0], data)))
    return terms


def _component_term(component, text, group, data):
    """Text, name and inner factor of one variance component."""
    match = BY_LEVEL.match(text)
    if match and not _is_sum(match[3] or ""):
        declared, name, effect = match.groups()
        column = re.sub(r"^Q\(['\"]|['\"]\)$", "", name)
        if declared or _is_categorical(column, data):
            by = name if _is_constant(group, data) else f"{_quoted(group)}:{name}"
            factor = f"C({name})" if declared else name
            if effect is None:
                return f"(1 | {by})", component, factor
            if ONE_COLUMN.match(effect) and not _is_categorical(effect, data):
                return f"(0 + {effect} | {by})", component, factor
            return f"diag(0 + {effect} | {by}, hom=True)", component, factor
        if effect is None:
            return f"(0 + {name} | {_quoted(group)})", component
    without = re.match(r"^(0\s*\+|-\s*1)", text) or re.search(r"-\s*1$", text)
    names = re.findall(r"\w+", text)
    if not without and ("C(" in text or any(_is_categorical(n, data) for n in names)):
        raise FormulaError(
            f"variance component '{component}' = '{text}' depends on which label comes "
            "first in each group; write '0 + ...'"
        )
    return f"diag({text} | {_quoted(group)}, hom=True)", component


def _is_sum(effect):
    """Whether an expression is a sum outside parentheses."""
    depth = 0
    for character in effect:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in "+-":
            return True
    return False


def group_columns(data, groups):
    """
    Columns of the groups, added to the data if necessary.

    Parameters
    ----------
    data : DataFrame
        The data.
    groups : str, sequence of str, DataFrame or array_like
        Names of columns, or the groups of the rows, which become columns.

    Returns
    -------
    data : DataFrame
        The data with these columns.
    names : list of str
        Names of the columns: those of a Series or DataFrame, else "Group", changed if
        already taken by other values.
    """
    if isinstance(groups, str):
        return data, [groups]
    if isinstance(groups, list | tuple) and all(isinstance(g, str) for g in groups):
        if len(groups) != len(data) or set(groups) <= set(map(str, data.columns)):
            return data, list(groups)
    groups = aligned(groups, data.index, "groups")
    if isinstance(groups, pd.DataFrame):
        columns = [(str(name), groups[name].array) for name in groups]
    elif isinstance(groups, pd.Series):
        columns = [(str(groups.name or "Group"), groups.array)]
    else:
        columns = [("Group", group_values(groups, "groups"))]
    names = []
    for name, values in columns:
        if values.ndim != 1 or len(values) != len(data):
            raise DataError(
                f"groups have shape {values.shape} but the data have {len(data)} rows"
            )
        column = pd.Series(values, index=data.index)
        while name in data.columns and not data[name].equals(column):
            name += "_"
        data = data.assign(**{name: column})
        names.append(name)
    return data, names


def _plain(text):
    return text.strip().removeprefix("~").strip()


def _quoted(name):
    return name if name.isidentifier() or name.startswith("Q(") else f"Q({name!r})"


def _is_categorical(name, data):
    """Whether a column is coded by levels."""
    if data is None or name not in data.columns:
        return False
    column = data[name]
    return not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(
        column
    )


def _is_constant(name, data):
    """Whether a column has a single value."""
    if data is None or name not in data.columns:
        return False
    return data[name].nunique(dropna=False) == 1
