"""Make a frame that a formula can be evaluated on, or say why not."""

import builtins
import difflib
import keyword
import numbers
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError
from statsmodels_lmm.formula.parser import names_in, tokenize

EXACT_INTEGERS = 2**53

CODINGS = {"Diff", "Helmert", "Poly", "Sum", "Treatment", "contr"}
"""Names that the formula engines know inside ``C(f, ...)``."""


def prepare_frame(data, formula, scope, missing="drop", extra=None):
    """
    Columns that a formula needs, complete rows only, with plain types.

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
        Complete rows; the index is that of `data`.
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
    frame = pd.DataFrame(columns, index=data.index)
    gaps = frame.isna()
    for name, values in (extra or {}).items():
        gaps[name] = gaps.get(name, False) | np.isnan(values)
    incomplete = gaps.to_numpy().any(axis=1)
    counts = gaps.sum()
    if incomplete.any():
        listed = ", ".join(f"{name} ({n})" for name, n in counts[counts > 0].items())
        if missing == "raise":
            raise DataError(f"missing values in {listed}; missing='drop' drops them")
        if incomplete.all():
            raise DataError(f"no complete row is left: missing values in {listed}")
        grouping = [n for n, role in roles.items() if "group" in role and counts[n]]
        for name in grouping:
            warnings.warn(
                f"{counts[name]} rows dropped: no value in grouping column '{name}'",
                DataWarning,
                stacklevel=4,
            )
    rows = np.flatnonzero(~incomplete)
    frame = frame.iloc[rows]
    return _drop_unused_levels(frame, roles), rows


def column_roles(data, formula, scope):
    """
    Which columns a formula reads and as what.

    Returns
    -------
    dict
        Column name to a set of "response", "fixed", "random" and "group".
    """
    sides = [("response", formula.response), ("fixed", formula.fixed)]
    sides += [("fixed", offset) for offset in formula.offsets]
    sides += [("random", term.effects) for term in formula.random]
    roles: dict = {}
    for role, text in sides:
        for name in _column_names(text, data, formula, scope):
            roles.setdefault(name, set()).add(role)
    for name in formula.grouping_columns:
        roles.setdefault(find_column(data, name), set()).add("group")
    for name in roles:
        if isinstance(data.columns, pd.MultiIndex) or (data.columns == name).sum() > 1:
            raise DataError(f"column '{name}' appears twice in the data")
        if name == "Intercept":
            raise DataError(
                "a column named 'Intercept' collides with the intercept; rename it"
            )
    return roles


def _column_names(text, data, formula, scope):
    """Columns that occur in a piece of formula; unknown names raise."""
    tokens = tokenize(text)
    found = [n for n in names_in(text) if n in data.columns]
    found += [n for n in data.columns if isinstance(n, int) and f"Q({n})" in text]
    following = [*tokens[1:], None]
    for before, token, after in zip([None, *tokens], tokens, following):
        if token.kind != "name" or token.text.startswith("Q("):
            continue
        name = token.text.split(".")[0]
        called = after is not None and after.text == "("
        is_keyword_argument = after is not None and after.text == "="
        attribute = before is not None and before.text == "."
        if name in data.columns or is_keyword_argument or attribute:
            if keyword.iskeyword(name) and name in data.columns:
                raise _name_error(
                    f"'{name}' is a word of Python; write Q('{name}')", formula, name
                )
            continue
        known = name in scope or name in CODINGS or hasattr(builtins, name)
        if called or known or keyword.iskeyword(name):
            continue
        raise _name_error(_unknown(name, data), formula, name)
    return dict.fromkeys(found)


def find_column(data, name):
    """A column by its name in a formula; columns named by integers as well."""
    if name in data.columns:
        return name
    if name.isdigit() and int(name) in data.columns:
        return int(name)
    raise DataError(f"grouping factor: {_unknown(name, data)}")


def _unknown(name, data):
    close = difflib.get_close_matches(name, [str(c) for c in data.columns], n=3)
    hint = f"; close: {', '.join(close)}" if close else ""
    return f"column '{name}' not in data{hint}"


def _name_error(message, formula, name):
    for token in tokenize(formula.text):
        if token.text.split(".")[0] == name:
            return FormulaError(message, formula.text, (token.start, token.stop))
    return FormulaError(message, formula.text)


def plain_column(column, name, role):
    """
    A column as float, int, bool, object or categorical, missing as NaN.

    Parameters
    ----------
    column : Series
        The column.
    name : hashable
        Its name.
    role : set of str
        What it is used for.

    Returns
    -------
    Series or ndarray
    """
    kind = column.dtype
    if isinstance(kind, pd.SparseDtype):
        column = column.sparse.to_dense()
        kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        if "response" in role:
            raise DataError(f"the response '{name}' must be numeric, not categorical")
        return column.array
    if pd.api.types.is_extension_array_dtype(kind):
        column, kind = _from_extension(column)
    if isinstance(kind, pd.CategoricalDtype):
        return column.array
    only_group = role == {"group"}
    if pd.api.types.is_datetime64_any_dtype(kind) or kind.kind in "mM":
        if only_group:
            return column.array
        raise DataError(
            f"column '{name}' holds dates or times; convert it to a number, such as "
            f"days since the first: (x - x.min()).dt.days"
        )
    if kind.kind == "c":
        raise DataError(f"column '{name}' is complex")
    if kind.kind == "b" and "response" in role:
        raise DataError(
            f"the response '{name}' is true/false; a linear mixed model is not a "
            "logistic one; convert it to 0/1 if you mean a linear model"
        )
    if kind.kind == "f":
        values = column.to_numpy(float)
        if only_group:
            _warn_float_keys(values, name)
        return values
    if kind.kind in "iu":
        values = column.to_numpy()
        if not only_group and len(values) and np.abs(values).max() > EXACT_INTEGERS:
            warnings.warn(
                f"column '{name}' holds integers above 2**53, which lose digits",
                DataWarning,
                stacklevel=5,
            )
        return values.astype(np.int64) if kind.itemsize < 8 else values
    if kind.kind == "b":
        return column.to_numpy()
    return column.array if only_group else _object_column(column, name, role)


def _from_extension(column):
    """A nullable, Arrow-backed or string column with a NumPy type."""
    kind = column.dtype
    if pd.api.types.is_bool_dtype(kind):
        if column.isna().any():
            column = column.astype(object).where(column.notna(), np.nan)
        else:
            column = column.astype(bool)
    elif pd.api.types.is_numeric_dtype(kind):
        whole = pd.api.types.is_integer_dtype(kind) and not column.isna().any()
        column = pd.Series(
            column.to_numpy(dtype=np.int64 if whole else float, na_value=np.nan)
            if not whole
            else column.to_numpy(dtype=np.int64),
            index=column.index,
        )
    elif pd.api.types.is_string_dtype(kind):
        missing = column.isna()
        column = column.astype(object).where(~missing, np.nan)
    elif str(kind).startswith("dictionary"):
        column = column.astype("category")
    elif pd.api.types.is_datetime64_any_dtype(kind) or "timestamp" in str(kind):
        column = pd.Series(column.array, index=column.index)
        if not pd.api.types.is_datetime64_any_dtype(column.dtype):
            column = pd.to_datetime(column.astype(object))
    else:
        column = column.astype(object)
    return column, column.dtype


def _object_column(column, name, role):
    """Strings stay, numbers become float, a mixture is refused."""
    values = column.dropna()
    is_number = values.map(
        lambda v: isinstance(v, (numbers.Number, Decimal)) and not isinstance(v, bool)
    ).to_numpy(bool)
    if "response" in role and not is_number.all():
        raise DataError(f"the response '{name}' must be numeric; it holds text")
    if not len(values) or not is_number.any():
        if values.map(lambda v: isinstance(v, bool)).all() and "response" in role:
            raise DataError(f"the response '{name}' is true/false")
        return column.where(column.notna(), np.nan).to_numpy(object)
    if not is_number.all():
        raise DataError(f"column '{name}' mixes numbers and text")
    warnings.warn(
        f"column '{name}' holds numbers as Python objects; they are read as floats",
        DataWarning,
        stacklevel=6,
    )
    return pd.to_numeric(column.map(float, na_action="ignore")).to_numpy(float)


def _warn_float_keys(values, name):
    if len(values) > 20 and len(np.unique(values)) > 0.5 * len(values):
        warnings.warn(
            f"grouping column '{name}' holds mostly distinct decimal numbers",
            DataWarning,
            stacklevel=6,
        )


def _drop_unused_levels(frame, roles):
    """Categories without a row left go, with a warning if the fixed part has them."""
    for name, role in roles.items():
        column = frame[name]
        if not isinstance(column.dtype, pd.CategoricalDtype):
            continue
        used = column.cat.remove_unused_categories()
        if len(used.cat.categories) == len(column.cat.categories):
            continue
        if "fixed" in role:
            gone = column.cat.categories.difference(used.cat.categories, sort=False)
            warnings.warn(
                f"levels of '{name}' without observations dropped: "
                + ", ".join(map(str, gone)),
                DataWarning,
                stacklevel=5,
            )
        frame = frame.assign(**{name: used}) if isinstance(name, str) else frame
    return frame
