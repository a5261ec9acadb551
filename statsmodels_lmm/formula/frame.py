"""Preparation of the data on which a formula is evaluated."""

import builtins
import difflib

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError, warn
from statsmodels_lmm.formula.codings import coding_advice
from statsmodels_lmm.formula.columns import plain_column
from statsmodels_lmm.formula.names import CODINGS, columns_in, names_in
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.tokens import is_python_name, tokenize, written
from statsmodels_lmm.inputs.row_values import rows_text
from statsmodels_lmm.inputs.tables import has_all_levels
from statsmodels_lmm.inputs.text_values import levels_meant_as_numbers

WORDS_OF_R = {
    "c": "[1, 2]",
    "ifelse": "np.where(x > 0, 1, 0)",
    "relevel": "C(f, Treatment('r'))",
    "interaction": "a:b",
    "ordered": "C(f, Poly)",
    "pmax": "np.maximum(x, 0)",
    "pmin": "np.minimum(x, 0)",
    "mean": "center(x) for x - mean(x)",
    "lag": "a column computed before, data.groupby('g')['x'].shift()",
    "rcs": "ns(x, 3)",
    "s": "bs(x, df=4)",
}
"""Functions of R, and what to write instead."""

COPY_ON_WRITE = int(pd.__version__.partition(".")[0]) > 2
"""Whether columns that share memory are told apart when one is written to."""

CONSTANTS_OF_R = {"TRUE": "True", "FALSE": "False", "NULL": "None"}
"""Constants of R, and what to write instead."""


def prepare_frame(data, formula, scope, missing="drop", extra=None):
    """
    Select the complete rows of the columns a formula needs, converted to plain types.

    Parameters
    ----------
    data : DataFrame
        The data.
    formula : ModelFormula
        The formula.
    scope : container of str
        Names that need not be columns.
    missing : {"drop", "raise"}, optional
        What to do with incomplete rows.
    extra : dict of ndarray, optional
        Columns of weights and offsets, which must be complete too.

    Returns
    -------
    frame : DataFrame
        The complete rows, with the index of `data`.
    rows : ndarray
        Positions of these rows in `data`.

    Raises
    ------
    DataError
        If a column cannot be used; the message names it.
    """
    roles = column_roles(data, formula, scope)
    if not len(data):
        raise DataError("the data have no rows")
    columns = {name: plain_column(data[name], name, roles[name]) for name in roles}
    for name, role in roles.items():
        if "term" in role and role & {"fixed", "random"}:
            warn_of_numbers_as_text(pd.Series(columns[name], data.index), name)
    gaps = {name: pd.isna(values) for name, values in columns.items()}
    for name, values in (extra or {}).items():
        gaps[name] = gaps.get(name, False) | np.isnan(values)
    incomplete = np.any(list(gaps.values()), axis=0)
    each = {name: _series(values, data[name]) for name, values in columns.items()}
    frame = pd.DataFrame(each, index=data.index, copy=not COPY_ON_WRITE)
    rows = np.flatnonzero(~incomplete)
    if incomplete.any():
        counts = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any()}
        if missing == "raise" or incomplete.all():
            raise incomplete_rows(counts, missing)
        warn_of_rows_without_group(counts, roles)
        frame = frame.iloc[rows]
    for name, values in columns.items():
        if not isinstance(values, pd.Categorical):
            continue
        if not has_all_levels(values[rows] if incomplete.any() else values):
            frame = _drop_unused_levels(frame, name, roles[name])
    return frame, rows


def _series(values, column):
    """Values as a Series, the column itself if they are its own."""
    found = pd.Series(values, column.index, copy=False)
    if found.dtype != column.dtype:
        return found
    is_array = isinstance(values, np.ndarray)  # else the column's own array
    if is_array and not np.shares_memory(values, column.to_numpy()):
        return found
    return column  # so that pandas copies it should the user write into it


def incomplete_rows(counts, missing):
    """
    The error for missing values, where there may be none or no complete row is left.

    Parameters
    ----------
    counts : dict of int
        Number of missing values of each column that has any.
    missing : {"drop", "raise"}
        What to do with incomplete rows.

    Returns
    -------
    DataError
    """
    listed = ", ".join(f"{name} ({n})" for name, n in counts.items())
    if missing == "raise":
        return DataError(f"missing values in {listed}; missing='drop' drops them")
    return DataError(f"no complete row is left: missing values in {listed}")


def warn_of_rows_without_group(counts, roles):
    """
    Warn of rows that are dropped because a grouping column has no value.

    Parameters
    ----------
    counts : dict of int
        Number of missing values of each column that has any.
    roles : dict
        See `column_roles`.
    """
    for name, count in counts.items():
        if "group" in roles.get(name, ()):
            what = "column" if "when" in roles[name] else "grouping column"
            warn(
                f"{rows_text(count)} dropped: no value in {what} '{name}'", DataWarning
            )


def warn_of_numbers_as_text(column, name):
    """
    Warn of a term that is text, although its values look like measurements.

    Parameters
    ----------
    column : Series
        The column.
    name : hashable
        Its name.
    """
    advice = levels_meant_as_numbers(column, name)
    if advice:
        level = in_backticks(written(name))
        warn(f"{advice}. If levels are meant, write C({level})", DataWarning)


def warn_of_unused_levels(gone, name):
    """
    Warn of levels of a factor in the fixed effects that no row has.

    Parameters
    ----------
    gone : Index
        The levels, at least one.
    name : hashable
        The factor.
    """
    warn(
        f"levels of '{name}' without observations dropped: "
        + ", ".join(map(str, gone)),
        DataWarning,
    )


def column_roles(data, formula, scope):
    """
    Columns that a formula uses, and their uses.

    Returns
    -------
    dict
        For each column name a set of "response", "outcome" (the response of a
        generalized model), "fixed", "random" and "group", and "term" if it is a term
        by itself.
    """
    pieces = [("response", formula.response)] if formula.response else []
    if formula.response_columns:
        pieces = [("outcome", column) for column in formula.response_columns]
    pieces += [("fixed", piece) for piece in formula.fixed_pieces]
    pieces += [("random", term.effects) for term in formula.random]
    pieces += [("random", text) for text in formula.grouping_expressions]
    if formula.dispersion:
        pieces.append(("random", formula.dispersion))
    roles: dict = {}
    check_columns(data)
    for role, text in pieces:
        check_names(text, data, formula.text, scope)
        for name in columns_in(text, data.columns):
            roles.setdefault(name, set()).add(role)
            if name in names_in(text).alone:
                roles[name].add("term")
    if formula.residual is not None:
        _check_residual_columns(formula.residual, data)
    for name in formula.grouping_columns:
        try:
            column = find_column(data, name)
        except DataError as error:
            raise _name_error(str(error), formula.text, name) from None
        roles.setdefault(column, set()).add("group")
    if formula.residual is not None:
        for name in formula.residual.when:
            roles[find_column(data, name)].add("when")
    for text in formula.grouping_expressions:
        if text in data.columns:
            raise DataError(
                f"a column and a grouping factor are both called {text}; rename the "
                "column"
            )
    unique = data.columns.is_unique
    for name in roles:
        if not unique and (data.columns == name).sum() > 1:
            raise DataError(f"column '{name}' appears twice in the data")
        if name == "Intercept":
            raise DataError(
                "a column named 'Intercept' clashes with the intercept; rename it"
            )
    return roles


def check_columns(data):
    """Reject a MultiIndex of columns."""
    if isinstance(data.columns, pd.MultiIndex):
        raise DataError(
            f"the columns have a MultiIndex; join its {data.columns.nlevels} levels: "
            "data.columns = ['_'.join(map(str, c)) for c in data.columns]"
        )


def check_names(text, data, whole, scope):
    """
    Reject unknown names in a piece of a formula.

    Parameters
    ----------
    text : str
        The piece.
    data : DataFrame
        The data.
    whole : str
        The whole text, for messages.
    scope : container of str
        Names that need not be columns.

    Raises
    ------
    FormulaError
    """
    names = names_in(text)
    for name in names.called:
        if name in WORDS_OF_R and name not in scope:
            raise _name_error(
                f"'{name}()' is an R function; write {WORDS_OF_R[name]}", whole, name
            )
    for name in names.read:
        known = isinstance(name, str) and is_python_name(name)
        known &= name in scope or name in CODINGS or hasattr(builtins, str(name))
        if name not in data.columns and not known:
            message = coding_advice(text) or _unknown(name, data)
            raise _name_error(message, whole, name)


def _check_residual_columns(residual, data):
    """Reject unknown columns of a structure of errors, in its own text."""
    for name in (*residual.when, *residual.group, *(residual.by or ())):
        if isinstance(name, str) and name not in data and not name.isdigit():
            message = f"residual: {_unknown(name, data)}"
            raise _name_error(message, str(residual), name)


def find_column(data, name):
    """A column by its name in a formula; the name may be an integer."""
    if name in data:
        return name
    if name.isdigit() and int(name) in data:
        return int(name)
    raise DataError(f"grouping factor: {_unknown(name, data)}")


def _unknown(name, data):
    if name in CONSTANTS_OF_R:
        return f"'{name}' is an R constant; write {CONSTANTS_OF_R[name]}"
    known = {str(c).casefold(): str(c) for c in data.columns}
    close = difflib.get_close_matches(str(name).casefold(), known, n=3)
    close = [known[c] for c in close]
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    if any(str(c).strip() == name for c in data.columns):
        hint = (
            "; its name in the data has white space around it, which "
            "`data.columns = data.columns.str.strip()` takes off"
        )
    if name in data.index.names:
        hint = "; it is the index: data.reset_index() makes it a column"
    return f"column '{name}' not in data{hint}"


def _name_error(message, whole, name):
    for token in tokenize(whole):
        if name in (token.column, token.text.split(".")[0]):
            return FormulaError(message, whole, (token.start, token.stop))
    return FormulaError(message, whole)


def _drop_unused_levels(frame, name, role):
    """Drop categories without rows, with a warning if the fixed part uses them."""
    column = frame[name]
    used = column.cat.remove_unused_categories()
    if "fixed" in role:
        gone = column.cat.categories.difference(used.cat.categories, sort=False)
        warn_of_unused_levels(gone, name)
    return frame.assign(**{name: used}) if isinstance(name, str) else frame
