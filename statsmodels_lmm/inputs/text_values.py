"""Columns of text in which numbers were meant, or the same level was."""

import pandas as pd

MOSTLY = 0.9
"""Share of numbers among the values of text that was meant to be numeric."""

FEW, MANY = 10, 20
"""Fewer different numbers are levels, with and without signs of missing values."""


THOUSANDS = r"\s*[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?\s*"
"""A number with commas that may group its digits."""


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


def levels_meant_as_numbers(column, name):
    """
    Advice on a predictor that is text although its values look like measurements.

    Parameters
    ----------
    column : Series
        The predictor.
    name : hashable
        Its name.

    Returns
    -------
    str or None
        None for numbers, for the levels of a factor and for codes such as "007". A few
        entries such as "?" among numbers suggest that numbers were meant, and so do
        many different numbers, unless the column was made categorical.
    """
    if not is_text(column):
        return None
    values = column.dropna().drop_duplicates().astype(object).astype(str)
    found = max((numbers_in(values, comma) for comma in (False, True)), key=_count)
    others = values[found.isna()]
    if not len(others) and isinstance(column.dtype, pd.CategoricalDtype):
        return None
    is_gap = len(others) and not others.str.contains(r"\d").any()  # unlike "3+"
    is_code = values.str.fullmatch(r"0\d+").any()
    least = max(FEW if is_gap else MANY, MOSTLY * len(values))
    if is_code or _count(found) < least:
        return None
    are = "they are numbers except" if len(others) else "all are numbers:"
    return (
        f"column '{name}' is text, so that each of its {len(values)} values becomes a "
        f"level of a factor, but {are} {reading_advice(column, name)}"
    )


def _count(numbers):
    """How many values are numbers."""
    return int(numbers.notna().sum())


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
        line += f" reads a comma as the decimal point{rest}"
        commas = bad[found.notna().to_numpy()[plain.isna().to_numpy()]]
        if commas.str.fullmatch(THOUSANDS).all():
            line += "; if it groups thousands, replace it by '' instead"
        return f"{shown}. {line}"
    return f"{shown}. {line} makes these missing"
