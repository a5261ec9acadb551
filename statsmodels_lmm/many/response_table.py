"""Tables of responses, one column each, aligned with the rows of a model."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Number
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import row_positions
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.inputs.tables import to_frame


@dataclass(frozen=True)
class ResponseTable:
    """
    Columns of responses, read when they are needed.

    Parameters
    ----------
    values : DataFrame, ndarray or sparse matrix
        A row for each row of the model, a column for each response.
    names : Index
        Names of the responses.
    rows : ndarray or None
        Positions of the model's rows in the table; None if they are in order.
    """

    values: Any
    names: pd.Index
    rows: np.ndarray | None

    def __len__(self):
        return len(self.names)

    def block(self, start, stop):
        """
        Some of the responses.

        Parameters
        ----------
        start, stop : int
            Positions of the columns.

        Returns
        -------
        ndarray
            New, NaN where missing, shape (stop - start, n).
        """
        values: Any = self.values
        part: Any
        if isinstance(values, pd.DataFrame):
            part = values.iloc[:, start:stop].to_numpy(dtype=float, na_value=np.nan)
        else:
            part = values[:, start:stop]
            if sparse.issparse(part):
                part = part.toarray()
            elif np.ma.isMaskedArray(part):
                part = np.ma.filled(part.astype(float), np.nan)
        rows = slice(None) if self.rows is None else self.rows
        return np.array(np.asarray(part)[rows].T, dtype=float, order="C")


def response_table(values, model, what="the responses"):
    """
    Check a table and align its rows with those of a model.

    Parameters
    ----------
    values : DataFrame, ndarray, sparse matrix or table
        A column for each response. A DataFrame is aligned by its index, as
        `with_response` does; anything else is in the order of the rows.
    model : CrossedMixedLM
        The model.
    what : str, optional
        What the values are, for messages.

    Returns
    -------
    ResponseTable

    Raises
    ------
    DataError
        If rows do not match, or columns are no numbers.
    """
    if values is None or isinstance(values, str | PathLike | Number):
        raise TypeError(
            f"{what} are a table with a column for each, not {type(values).__name__}; "
            "read a file first, as with pd.read_csv"
        )
    if isinstance(values, Mapping):
        values = pd.DataFrame(values)
    if isinstance(values, list | tuple):
        values = numeric(values, what)
    is_array = isinstance(values, np.ndarray) or sparse.issparse(values)
    if is_array or len(getattr(values, "shape", (0, 0))) == 1:
        _check_shape(values, model, what)
        if values.dtype.kind not in "fiub":  # of objects or text
            values = numeric(values, what)
        values = values.tocsc() if sparse.issparse(values) else values
        return ResponseTable(values, pd.RangeIndex(values.shape[1]), None)
    frame = to_frame(values)
    text = [n for n, k in zip(frame, frame.dtypes) if not _is_number(k)]
    if text:
        raise DataError(
            f"{what} must be numbers, but {listed(text)} are not; leave these columns "
            "out, or convert them, as with pd.to_numeric"
        )
    rows = None
    if isinstance(values, pd.DataFrame):
        rows = row_positions(frame.index, model.data.row_labels, what)
    if rows is None:
        _check_shape(frame, model, what)
    return ResponseTable(frame, frame.columns, rows)


def tables_of(values, model, what="the responses") -> Iterator[ResponseTable]:
    """
    The tables that make up all responses, one after the other.

    Parameters
    ----------
    values : object
        What `response_table` takes, or an iterable of it.
    model : CrossedMixedLM
        The model.
    what : str, optional
        What the values are, for messages.

    Yields
    ------
    ResponseTable
        With numbers that continue as names if a table has none.
    """
    if not is_iterable_of_tables(values):
        yield response_table(values, model, what)
        return
    seen = 0
    for part in values:
        table = response_table(part, model, what)
        names = table.names
        if isinstance(names, pd.RangeIndex):
            names = names + seen
        seen += len(names)
        yield ResponseTable(table.values, names, table.rows)


def is_iterable_of_tables(values):
    """Whether values are several tables, one after the other."""
    if isinstance(values, list | tuple):
        return not len(values) or len(getattr(values[0], "shape", ())) > 1
    arrays = np.ndarray | pd.DataFrame | pd.Series | Mapping | str
    known = isinstance(values, arrays) or sparse.issparse(values)
    is_table = hasattr(values, "columns") or hasattr(values, "__arrow_c_stream__")
    return not known and not is_table and hasattr(values, "__iter__")


def _is_number(kind):
    return pd.api.types.is_numeric_dtype(kind) and not (
        pd.api.types.is_complex_dtype(kind)
    )


def _check_shape(values, model, what):
    """Reject a table without one row for each row of the model."""
    shape, n = values.shape, int(model.nobs)
    if len(shape) == 2 and shape[0] == n:
        return
    advice = ""
    if len(shape) == 1:
        advice = "; for a single response use `model.with_response(y).fit()`"
    elif shape[1] == n:
        advice = "; rows are those of the data and columns the responses: transpose it"
    elif model.n_dropped and shape[0] == n + model.n_dropped:
        advice = (
            f"; {model.n_dropped} incomplete rows of the data are not in the model: "
            "give a DataFrame with the index of the data"
        )
    raise DataError(f"{what} have shape {shape}, and the model {n} rows{advice}")
