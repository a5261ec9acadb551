"""Conversion of single data columns for the formula engines."""

import numbers
from decimal import Decimal

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.formula.tokens import written
from statsmodels_lmm.inputs.plain_arrays import float_objects
from statsmodels_lmm.inputs.responses import text_response

EXACT_INTEGERS = 2**53

DATES = {"date", "datetime", "datetime64", "period", "time", "timedelta", "timedelta64"}


def plain_column(column, name, role, is_whole=True):
    """
    Convert a column to float, int, bool, object or categorical, with gaps as NaN.

    Parameters
    ----------
    column : Series
        The column.
    name : hashable
        Name of the column.
    role : set of str
        Uses of the column, see `formula.frame.column_roles`.
    is_whole : bool, optional
        Whether these are all the values, not those of a batch of rows.

    Returns
    -------
    ndarray or ExtensionArray

    Raises
    ------
    DataError
        If the column cannot be used in that role.
    """
    if isinstance(column.dtype, pd.SparseDtype):
        column = column.sparse.to_dense()
    only_group = role == {"group"}
    is_response = {"response", "term"} <= role
    if not isinstance(column.dtype, np.dtype):
        column = _from_extension(column, only_group)
    kind = column.dtype
    if isinstance(kind, np.dtype) and not kind.isnative:
        column = column.astype(kind.newbyteorder("="))
        kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype):
        if is_response:
            raise text_response(column, name)
        return column.array
    if holds_dates(column):
        if "term" in role:
            raise DataError(no_number(column, name))
        return column.array
    if isinstance(kind, pd.IntervalDtype):
        return column.array if only_group else column.astype("category").array
    if kind.kind == "c":
        raise DataError(f"column '{name}' must be real, not complex")
    if kind.kind == "b" and is_response:
        raise true_or_false(name)
    if kind.kind == "f":
        values = column.to_numpy(float)
        if only_group and is_whole:
            warn_of_float_keys(len(values), len(np.unique(values)), name)
        return values
    if kind.kind in "iu":
        return _integers(column.to_numpy(), name, only_group)
    if kind.kind == "b":
        return column.to_numpy()
    return column.array if only_group else _object_column(column, name, is_response)


def holds_dates(column):
    """
    Whether values are dates, times or durations.

    Parameters
    ----------
    column : Series
        The values.

    Returns
    -------
    bool
    """
    kind = column.dtype
    if isinstance(kind, pd.PeriodDtype | pd.DatetimeTZDtype) or kind.kind in "mM":
        return True
    return kind.kind == "O" and pd.api.types.infer_dtype(column, skipna=True) in DATES


def no_number(column, name):
    """
    Say that dates cannot be a term, and suggest a conversion to numbers.

    Parameters
    ----------
    column : Series
        The column.
    name : hashable
        Name of the column.

    Returns
    -------
    str
    """
    x = written(name)
    kind = pd.api.types.infer_dtype(column.dropna())
    advice = f"days since the first: ({x} - {x}.min()).dt.days"
    if kind == "period":
        start = f"{x}.dt.to_timestamp()"
        advice = f"days since the first: ({start} - {start}.min()).dt.days"
    elif kind in ("timedelta", "timedelta64"):
        advice = f"seconds: pd.to_timedelta({x}).dt.total_seconds()"
    elif kind == "time":
        advice = f"hours: {x}.map(lambda t: t.hour + t.minute / 60)"
    elif kind != "datetime64":
        days = f"pd.to_datetime({x})"
        advice = f"days since the first: ({days} - {days}.min()).dt.days"
    return (
        f"column '{name}' holds dates or times; convert it to numbers, such as {advice}"
    )


def true_or_false(name):
    """
    The error for a response of a linear model that is true or false.

    Parameters
    ----------
    name : str
        The response.

    Returns
    -------
    DataError
    """
    return DataError(
        f"the response '{name}' is true/false: crossedmixedglm fits a logistic mixed "
        "model, `crossedmixedglm(formula, data, family='binomial')`; convert it to 0/1 "
        "if you want a linear one"
    )


def _integers(values, name, only_group):
    """Integers as int64, so that differences can be negative, or float if too large."""
    if only_group:
        return values
    largest = max(int(values.max()), -int(values.min())) if len(values) else 0
    if largest > EXACT_INTEGERS:
        warn(
            f"column '{name}' holds integers above 2**53, which lose digits as floats",
            DataWarning,
        )
    fits = largest <= np.iinfo(np.int64).max
    return values.astype(np.int64 if fits else float, copy=False)


def _from_extension(column, only_group):
    """A nullable, Arrow-backed or string column as a NumPy type."""
    kind = column.dtype
    if isinstance(kind, pd.CategoricalDtype | pd.PeriodDtype | pd.IntervalDtype):
        return column
    if isinstance(kind, pd.DatetimeTZDtype):
        return column
    text = pd.Index(["text"]).dtype
    if only_group and {type(kind), type(text)} == {pd.StringDtype}:
        return column.astype(text)  # what pandas would make of objects, without these
    missing = column.isna()
    if str(kind).startswith("dictionary"):
        values = column.array.__arrow_array__().to_pandas().array
        return pd.Series(values, index=column.index)
    if only_group or pd.api.types.is_string_dtype(kind):
        return column.astype(object).where(~missing, np.nan)
    if pd.api.types.is_bool_dtype(kind):
        if missing.any():
            return column.astype(object).where(~missing, np.nan)
        # not astype, which may give the user's own memory
        return pd.Series(column.to_numpy(bool, copy=True), column.index)
    if pd.api.types.is_numeric_dtype(kind):
        if pd.api.types.is_integer_dtype(kind) and not missing.any():
            unsigned = pd.api.types.is_unsigned_integer_dtype(kind)
            return pd.Series(
                column.to_numpy(dtype=np.uint64 if unsigned else np.int64),
                index=column.index,
            )
        values = column.to_numpy(dtype=float, na_value=np.nan)
        return pd.Series(values, index=column.index)
    return column.astype(object).where(~missing, np.nan)


def _object_column(column, name, is_response):
    """Keep strings, convert numbers to float and reject a mixture."""
    values = column.dropna()
    is_bool = values.map(lambda v: isinstance(v, bool | np.bool_)).to_numpy(bool)
    is_number = values.map(lambda v: isinstance(v, numbers.Number | Decimal))
    is_number = is_number.to_numpy(bool) & ~is_bool
    if is_response and len(values) and is_bool.all():
        raise true_or_false(name)
    if is_response and not is_number.all():
        raise text_response(values, name)
    if not is_number.any():
        return column.where(column.notna(), np.nan).to_numpy(object)
    if not is_number.all():
        raise DataError(f"column '{name}' mixes numbers and text")
    floats = float_objects(column.to_numpy(object), f"column '{name}'")
    warn(
        f"column '{name}' holds Python objects, which are converted to floats",
        DataWarning,
    )
    return floats


def warn_of_float_keys(n_rows, n_distinct, name):
    """
    Warn of a grouping column of decimal numbers that looks like a covariate.

    Parameters
    ----------
    n_rows, n_distinct : int
        Numbers of rows and of distinct values.
    name : hashable
        Name of the column.
    """
    if n_rows > 20 and n_distinct > 0.5 * n_rows:
        warn(
            f"grouping column '{name}' holds mostly distinct decimal numbers; check "
            "that it is not a covariate",
            DataWarning,
        )


def like_known(values, known, name):
    """
    Convert a column of new data to the type it had in the fit.

    Parameters
    ----------
    values : array_like
        The new column, from `plain_column`.
    known : Series
        The column in the fit.
    name : hashable
        Name of the column.

    Returns
    -------
    array_like
        Categorical with the categories of the fit, or float for numbers.

    Raises
    ------
    DataError
        If a level is new, or the kind of values differs from that in the fit.
    """
    if pd.api.types.is_numeric_dtype(known.dtype):
        if not pd.api.types.is_numeric_dtype(values):
            raise DataError(
                f"column '{name}' was numeric in the fit; the new data hold text"
            )
        was_bool = pd.api.types.is_bool_dtype(known.dtype)
        is_bool = pd.api.types.is_bool_dtype(values)
        return np.asarray(values, dtype=float) if is_bool and not was_bool else values
    if holds_dates(known):
        if not holds_dates(pd.Series(values)):
            raise DataError(
                f"column '{name}' held dates or times in the fit; the new data do not"
            )
        return values
    if isinstance(known.dtype, pd.CategoricalDtype):
        levels = known.cat.categories
    else:
        levels = pd.Index(known.unique())
    new = pd.Series(values).astype(object)
    unseen = new[~new.isin(levels) & new.notna()].unique()
    if len(unseen):
        raise new_levels(name, unseen, levels)
    if isinstance(known.dtype, pd.CategoricalDtype):
        return pd.Categorical(new, levels, ordered=known.cat.ordered)
    return new.to_numpy(object)


def new_levels(name, unseen, levels):
    """
    The error for levels of a column that the fit does not know.

    Parameters
    ----------
    name : hashable
        Name of the column.
    unseen, levels : sequence
        The new levels and those of the fit.

    Returns
    -------
    DataError
    """
    return DataError(
        f"new levels of '{name}': {_shown(unseen[:5])}; the levels in the fit are "
        f"{_shown(levels[:10])}"
    )


def _shown(levels):
    """Levels as text, quoted where white space would not be seen."""
    return ", ".join(
        repr(level) if str(level) != str(level).strip() else str(level)
        for level in levels
    )
