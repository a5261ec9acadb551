"""Values with one entry per row, such as weights and offsets."""

import difflib
import re

import numpy as np

from statsmodels_lmm.exceptions import (
    DataError,
    DataWarning,
    warn,
)
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.plain_arrays import numeric


def check_row_values(values, what, labels=None):
    """
    Reject what is not finite, negative weights and exposures that are not positive.

    Parameters
    ----------
    values : ndarray
        One value per row.
    what : str
        What the values are, such as "weights" or "offset", possibly followed by the
        name of the column.
    labels : Index, optional
        Labels of the rows; default is their positions.
    """
    labels = np.arange(len(values)) if labels is None else labels
    problems = [("has missing or infinite values", ~np.isfinite(values))]
    if what.split()[0].endswith("weights"):
        problems.append(("has negative values", values < 0.0))
    if what.startswith("exposure"):
        problems.append(("has values that are not positive", values <= 0.0))
    for problem, bad in problems:
        if bad.any():
            raise DataError(f"{what} {problem} in rows {listed(labels[bad])}")


def refuse(what, bad, labels, advice=""):
    """
    Raise a DataError that lists rows, if there are any.

    Parameters
    ----------
    what : str
        What is wrong.
    bad : ndarray
        Mask of the rows where it is wrong, shape (n,).
    labels : Index
        Labels of the rows.
    advice : str, optional
        What to do, after the rows.
    """
    if bad.any():
        raise DataError(f"{what} in {named_rows(labels[bad])}{advice}")


def named_rows(labels):
    """Rows by their labels, with their number if not all of them are named."""
    if len(labels) == 1:
        return f"row {labels[0]}"
    count = f" ({len(labels):,} in all)" if len(labels) > 5 else ""
    return f"rows {listed(labels)}{count}"


def rows_text(count):
    """A number of rows as text, such as "1 row" or "3 rows"."""
    return f"{count} row" + ("s" if count != 1 else "")


def argument_of(name):
    """What the user calls values of the rows; penalized columns are rows' numbers."""
    return name.removesuffix("_rows")


def row_values(values, data, what):
    """
    One value per row, from an array or the name of a column.

    Parameters
    ----------
    values : str, array_like or None
        The values. A Series is aligned with the rows by label.
    data : DataFrame
        The data.
    what : str
        What the values are, for messages.

    Returns
    -------
    ndarray or None
        Shape (n,).
    """
    if values is None:
        return None
    is_column = isinstance(values, str)
    if is_column:
        if values not in data.columns:
            raise DataError(
                f"{what}: column '{values}' not in data{_instead(values, data, what)}"
            )
        what, values = f"{what} column '{values}'", data[values]
    else:
        values = aligned(values, data.index, what)
    values = numeric(values, what)
    if values.shape != (len(data),):
        raise DataError(
            f"{what} has shape {values.shape} but the data have {len(data)} rows"
        )
    # rows with gaps in a column are dropped like any other incomplete row
    known = ~np.isnan(values) if is_column else slice(None)
    check_row_values(values[known], what, data.index[known])
    return values


def _instead(text, data, what):
    """What to write for the name of an unknown column."""
    names = list(map(str, data.columns))
    computed = re.sub(
        r"(?<![\w.])[^\W\d]\w*(?!\w*[.(])",
        lambda m: f"data[{m[0]!r}]" if m[0] in names else m[0],
        text,
    )
    if computed != text:
        return f"; what is computed is not text: `{what}={computed}`"
    close = difflib.get_close_matches(text, names, n=1) or [
        name for name in names if name.casefold() == text.casefold()
    ]
    return f"; did you mean {close[0]}?" if close else ""


def take_rows(values, rows, labels, what):
    """
    Select rows of values that are given for all the data.

    Parameters
    ----------
    values : str, array_like or None
        The values.
    rows : ndarray
        Positions of the rows.
    labels : Index
        Labels of all rows of the data.
    what : str
        What the values are, for messages.

    Returns
    -------
    str, array_like or None
    """
    if values is None or isinstance(values, str) or len(values) != len(labels):
        return values
    return numeric(aligned(values, labels, what), what)[rows]


def without_zero_weights(data, sides):
    """
    Drop the rows of weight zero, which carry no information.

    Parameters
    ----------
    data : DataFrame
        The data.
    sides : dict
        Arrays of shape (n,) or None by name; those whose name ends in "weights" are
        weights.

    Returns
    -------
    data : DataFrame
        The rows of positive weight.
    sides : dict
        The values of `sides` in these rows.
    """
    positive = np.ones(len(data), dtype=bool)
    for name, values in sides.items():
        if name.endswith("weights") and values is not None:
            positive &= values != 0
    if positive.all():
        return data, sides
    warn(f"{rows_text((~positive).sum())} of weight 0 dropped", DataWarning)
    return data[positive], taken(sides, positive)


def taken(sides, rows):
    """Selected rows of arrays by name, each of which may be None."""
    return {n: None if v is None else v[rows] for n, v in sides.items()}


def listed(items):
    """The first five items as text."""
    return ", ".join(map(str, items[:5])) + (", ..." if len(items) > 5 else "")
