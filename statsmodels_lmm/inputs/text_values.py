"""Columns of text in which numbers were meant, or the same level was."""

import pandas as pd


def is_text(column):
    """Whether a column holds text, categories of text included."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.dtype.categories
    is_string = pd.api.types.is_string_dtype(column.dtype)
    return is_string or pd.api.types.is_object_dtype(column.dtype)


def numbers_in(column, comma=False):
    """
    The numbers that a column of text holds.

    Parameters
    ----------
    column : Series
        Text or categories.
    comma : bool
        Whether a comma is the decimal sign.

    Returns
    -------
    Series
        The values that are present, NaN where they are no numbers.
    """
    values = column.dropna().astype(object).astype(str)
    if comma:
        values = values.str.replace(",", ".")
    return pd.to_numeric(values, errors="coerce")


def near_levels(levels):
    """
    Levels that differ by white space or case only.

    Parameters
    ----------
    levels : iterable
        The levels; those that are not text are left out.

    Returns
    -------
    list of list of str
        Each two or more that are spelled alike.
    """
    plain: dict = {}
    for level in levels:
        if isinstance(level, str):
            plain.setdefault(" ".join(level.split()).casefold(), []).append(level)
    return [found for found in plain.values() if len(found) > 1]


def alike(near):
    """
    Show the first levels that are spelled alike.

    Parameters
    ----------
    near : list of list of str
        What `near_levels` returns.

    Returns
    -------
    str
    """
    shown = "; ".join(", ".join(map(repr, found)) for found in near[:3])
    return shown + ("; ..." if len(near) > 3 else "")


def reading_advice(column, name):
    """
    Name the values of a column that are no numbers, and say how to read the others.

    Parameters
    ----------
    column : Series
        Text or categories.
    name : str
        Its name.

    Returns
    -------
    str
        The first values with their rows and, if any are numbers, a line of code in
        backticks.
    """
    plain, with_comma = numbers_in(column), numbers_in(column, comma=True)
    is_comma = with_comma.notna().sum() > plain.notna().sum()
    found = with_comma if is_comma else plain
    values = f"data[{name!r}]"
    if isinstance(column.dtype, pd.CategoricalDtype):
        values += ".astype(str)"
    if is_comma:
        values += ".str.replace(',', '.')"
    bad = column.dropna().astype(object)[plain.isna().to_numpy()]
    if not len(bad):
        return f"convert it, `data[{name!r}] = pd.to_numeric({values})`"
    shown = ", ".join(f"{value!r} in row {row}" for row, value in bad.iloc[:3].items())
    shown += f" and {len(bad) - 3:,} more" if len(bad) > 3 else ""
    if found.isna().all():
        return f"{shown}; none is a number"
    coerce = ", errors='coerce'" if found.isna().any() else ""
    line = f"`data[{name!r}] = pd.to_numeric({values}{coerce})`"
    if is_comma:
        rest = "; the rest becomes missing" if coerce else ""
        return f"{shown}. {line} reads a comma as the decimal point{rest}"
    return f"{shown}. {line} makes these missing"
