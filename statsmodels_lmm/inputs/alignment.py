"""Rows by their labels: the rule by which Series and frames meet those of a model."""

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError

SHOWN = 5
"""How many labels a message names."""


def labels_of(values):
    """
    Labels of the rows of a pandas object.

    Parameters
    ----------
    values : object
        Anything.

    Returns
    -------
    Index or None
        None for what is no Series or DataFrame.
    """
    if isinstance(values, pd.Series | pd.DataFrame):
        return values.index
    return None


def row_positions(given, labels, what):
    """
    Where the values of some rows are among values with labels of their own.

    Values whose labels are those of the rows in another order, or those of the rows
    and more, are found by the labels. Repeated labels say which row is meant only in
    the same order. The default index 0, 1, 2, ... counts as no labels, and goes by
    position, where it shares none with the other side.

    Parameters
    ----------
    given : Index or None
        Labels of the values, None if they have none.
    labels : Index or None
        Labels of the rows, None if they have none.
    what : str
        What the values are.

    Returns
    -------
    ndarray or None
        Positions, shape (n,); None for the values as they stand.

    Raises
    ------
    DataError
        If the labels do not tell which value is whose.
    """
    if given is None or labels is None or given.equals(labels):
        return None
    unique = given.is_unique and labels.is_unique
    if unique:
        at = _indexer(given, labels)
        if (at >= 0).all():
            return at
    shared = at >= 0 if unique else _are_in(labels, given)
    default = _is_default(given) or _is_default(labels)
    if default and len(given) == len(labels) and not shared.any():
        return None
    advice = "give an array of the rows' values if they go by position"
    if not unique and shared.all():
        raise DataError(
            f"{what}: labels of the rows are repeated and in another order, so they do "
            f"not tell which value is whose; {advice}"
        )
    absent = labels[~shared]
    listed = ", ".join(map(str, absent[:SHOWN]))
    listed += ", ..." if len(absent) > SHOWN else ""
    raise DataError(
        f"{what}: the labels are not those of the rows of the model; there is no value "
        f"for {len(absent)} of {len(labels)} rows, such as {listed}; {advice}"
    )


def aligned(values, labels, what):
    """
    The values of a Series or DataFrame in the order of some rows.

    Parameters
    ----------
    values : Series, DataFrame or array_like
        The values.
    labels : Index or None
        Labels of the rows.
    what : str
        What the values are.

    Returns
    -------
    Series, DataFrame or array_like
        Anything without labels as it is.

    Raises
    ------
    DataError
        If the labels do not tell which value is whose, see `row_positions`.
    """
    at = row_positions(labels_of(values), labels, what)
    return values if at is None else values.iloc[at]


def subset_rows(subset, labels):
    """
    Positions of the rows that a subset names.

    Parameters
    ----------
    subset : array_like
        Labels, a slice of them, or booleans for each row.
    labels : Index
        Labels of the rows.

    Returns
    -------
    ndarray
        Positions of the rows.

    Raises
    ------
    DataError
        If there are no such rows, or if it is missing in some.
    """
    if np.ma.isMaskedArray(subset):
        flags = subset.data.astype(object)
        flags[np.ma.getmaskarray(subset)] = None
        subset = flags
    try:
        if isinstance(subset, slice | pd.MultiIndex):
            return _positions_of(subset, labels)
        values = pd.Series(subset)
        if not pd.api.types.is_bool_dtype(values.dropna().infer_objects()):
            return _positions_of(values.array, labels)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(subset, str):
            raise DataError(
                "subset is labels of rows, or booleans for each row; for a condition "
                f"in words give data.query({subset!r}) as the data"
            ) from None
        raise DataError(
            "subset is labels of rows, or booleans for each row; these are not: "
            f"{error}"
        ) from None
    if values.isna().any():
        raise DataError(f"subset is missing in {int(values.isna().sum())} rows")
    if isinstance(subset, pd.Series):
        values = aligned(values, labels, "subset")
    if len(values) != len(labels):
        raise DataError(
            f"subset has {len(values)} booleans, the data have {len(labels)} rows"
        )
    return np.flatnonzero(values.to_numpy(bool))


def _positions_of(chosen, labels):
    return pd.Series(np.arange(len(labels)), labels).loc[chosen].to_numpy()


def _is_default(index):
    """Whether this is pandas' index of what was given none."""
    return isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(len(index)))


def _are_in(labels, given):
    """Which labels are among others."""
    try:
        return np.asarray(labels.isin(given))
    except (TypeError, ValueError):
        return np.zeros(len(labels), dtype=bool)


def _indexer(given, labels):
    """Positions of labels among others, -1 where they are not."""
    try:
        return given.get_indexer(labels)
    except (
        TypeError,
        ValueError,
    ):  # labels that do not compare, such as pairs and text
        return np.full(len(labels), -1)
