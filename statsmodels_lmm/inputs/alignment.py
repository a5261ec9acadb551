"""Alignment by label of Series and DataFrames with the rows of a model."""

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError

SHOWN = 5
"""Largest number of labels that a message names."""


def labels_of(values):
    """
    Row labels of a pandas object.

    Parameters
    ----------
    values : object
        Anything.

    Returns
    -------
    Index or None
        None unless `values` is a Series or DataFrame.
    """
    if isinstance(values, pd.Series | pd.DataFrame):
        return values.index
    return None


def row_positions(given, labels, what):
    """
    Positions of rows among values that have labels of their own.

    Values are matched by label if their labels are those of the rows in any order,
    possibly with others. Repeated labels are accepted only in the order of the rows.
    The default index 0, 1, 2, ... counts as no labels, and values are matched by
    position, if it shares none with the other side.

    Parameters
    ----------
    given : Index or None
        Labels of the values, None if unlabeled.
    labels : Index or None
        Labels of the rows, None if unlabeled.
    what : str
        What the values are, for messages.

    Returns
    -------
    ndarray or None
        Positions, shape (n,); None if the values are already in order.

    Raises
    ------
    DataError
        If the labels do not determine which value belongs to which row.
    """
    if given is None or labels is None or given.equals(labels):
        return None
    unique = given.is_unique and labels.is_unique
    if unique:
        positions = _indexer(given, labels)
        if (positions >= 0).all():
            return positions
    shared = positions >= 0 if unique else _are_in(labels, given)
    default = _is_default(given) or _is_default(labels)
    if default and len(given) == len(labels) and not shared.any():
        return None
    advice = "to match by position, give an array"
    if not unique and shared.all():
        raise DataError(
            f"{what}: row labels are repeated and in a different order, so values "
            f"cannot be matched to rows; {advice}"
        )
    absent = labels[~shared]
    listed = ", ".join(map(str, absent[:SHOWN]))
    listed += ", ..." if len(absent) > SHOWN else ""
    raise DataError(
        f"{what}: the labels do not match the rows of the model; there is no value "
        f"for {len(absent)} of {len(labels)} rows, such as {listed}; {advice}"
    )


def aligned(values, labels, what):
    """
    Bring the values of a Series or DataFrame into the order of the rows.

    Parameters
    ----------
    values : Series, DataFrame or array_like
        The values.
    labels : Index or None
        Labels of the rows.
    what : str
        What the values are, for messages.

    Returns
    -------
    Series, DataFrame or array_like
        The values; those without labels are returned unchanged.

    Raises
    ------
    DataError
        If the labels do not determine which value belongs to which row; see
        `row_positions`.
    """
    positions = row_positions(labels_of(values), labels, what)
    return values if positions is None else values.iloc[positions]


def subset_rows(subset, labels):
    """
    Positions of the rows in a subset.

    Parameters
    ----------
    subset : array_like
        Labels, a slice of labels, or one boolean per row.
    labels : Index
        Labels of the rows.

    Returns
    -------
    ndarray
        Positions of the rows.

    Raises
    ------
    DataError
        If there are no such rows, or a boolean is missing.
    """
    if callable(subset):
        raise DataError(
            "subset must be row labels, one boolean per row or a condition, not a "
            "function; write a condition such as `subset='x > 0'`"
        )
    if np.ma.isMaskedArray(subset):
        flags = subset.data.astype(object)
        flags[np.ma.getmaskarray(subset)] = None
        subset = flags
    try:
        if isinstance(subset, slice | pd.MultiIndex):
            return _positions_of(subset, labels)
        values = pd.Series(subset)
        if not pd.api.types.is_bool_dtype(values.dropna().infer_objects()):
            _refuse_numbers(values, labels)
            return _positions_of(values.array, labels)
    except DataError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"subset must be row labels or one boolean per row: {error}"
        ) from None
    if values.isna().any():
        raise DataError(f"subset has missing values in {int(values.isna().sum())} rows")
    if isinstance(subset, pd.Series):
        values = aligned(values, labels, "subset")
    if len(values) != len(labels):
        raise DataError(
            f"subset has {len(values)} booleans but the data have {len(labels)} rows"
        )
    return np.flatnonzero(values.to_numpy(bool))


def _refuse_numbers(values, labels):
    """Reject numbers that are flags or measurements rather than labels."""
    if not pd.api.types.is_numeric_dtype(values):
        return
    if len(values) == len(labels) > 2 and values.isin([0, 1]).all():
        raise DataError(
            "subset is 0 or 1 in every row, which would be labels of rows; write "
            "`subset=subset == 1` for booleans"
        )
    odd = (values % 1 != 0) | values.duplicated()
    is_float = pd.api.types.is_float_dtype(values.dtype)
    if is_float and odd.any() and not pd.api.types.is_float_dtype(labels.dtype):
        raise DataError(
            "subset holds decimal numbers, not labels of rows or booleans; write a "
            "condition such as `subset='x > 0'`"
        )


def _positions_of(chosen, labels):
    return pd.Series(np.arange(len(labels)), labels).loc[chosen].to_numpy()


def _is_default(index):
    """Whether this is the index that pandas creates by default."""
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def _are_in(labels, given):
    """Which of the labels are among others."""
    try:
        return np.asarray(labels.isin(given))
    except (TypeError, ValueError):
        return np.zeros(len(labels), dtype=bool)


def _indexer(given, labels):
    """Positions of labels among others, -1 where absent."""
    try:
        return given.get_indexer(labels)
    except (
        TypeError,
        ValueError,
    ):  # labels that cannot be compared, such as pairs and text
        return np.full(len(labels), -1)
