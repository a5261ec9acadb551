"""Arrays of any kind as plain arrays that the model owns, with gaps as NaN."""

import numbers
from decimal import Decimal

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.core.algebra.memory import available_bytes, require_memory
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.tables import native

DATES = pd.PeriodDtype | pd.DatetimeTZDtype | pd.IntervalDtype


def numeric(values, what):
    """
    Copy numbers to a plain array.

    Parameters
    ----------
    values : array_like
        Numbers of any kind: NumPy arrays of any width and byte order, masked arrays,
        nullable, sparse and Arrow-backed pandas columns, sparse matrices, and objects
        such as Decimal.
    what : str
        What the values are, for messages.

    Returns
    -------
    ndarray
        A float64 copy, with NaN for masked and missing values.

    Raises
    ------
    DataError
        If the values are not real numbers.
    """
    if isinstance(values, pd.DataFrame):
        return _of_frame(values, what)
    if np.ma.isMaskedArray(values):
        mask = np.ma.getmaskarray(values)
        out = numeric(np.where(mask, np.zeros((), values.dtype), values.data), what)
        out[mask] = np.nan
        return out
    if sparse.issparse(values):
        size = 8 * int(np.prod(values.shape))
        require_memory(size, f"{what} as a dense array", "Use fewer columns")
        values = values.toarray()
    elif isinstance(values, pd.Series):
        values = _of_series(values, what)
    else:
        try:
            values = np.asarray(values)
        except (TypeError, ValueError):
            raise DataError(f"{what} is not an array of numbers") from None
    kind = values.dtype.kind
    if kind == "c":
        raise DataError(f"{what} must be real, not complex")
    if kind in "mM":
        raise DataError(
            f"{what} holds dates or times; convert it to numbers, such as days since "
            "the first"
        )
    if kind == "O":
        return float_objects(values, what)
    if kind not in "fiub":
        raise DataError(f"{what} must be numeric")
    require_room(8 * values.size, what)
    with np.errstate(over="ignore"):  # a long double may exceed the range of a double
        return np.array(values, dtype=float)


def float_objects(values, what):
    """
    Python objects as floats.

    Parameters
    ----------
    values : ndarray
        Numbers, Decimals, and missing values, dtype object.
    what : str
        What the values are, for messages.

    Returns
    -------
    ndarray
        Array of the same shape, NaN where missing.
    """
    out = np.full(values.shape, np.nan)
    for place, value in np.ndenumerate(values):
        if isinstance(value, numbers.Real | Decimal | np.bool_):
            try:
                out[place] = float(value)
            except OverflowError:
                raise DataError(f"{what} has numbers too large for a float") from None
        elif isinstance(value, numbers.Complex):
            raise DataError(f"{what} must be real, not complex")
        elif not _is_missing(value):
            shown = str(value)[:40]
            raise DataError(
                f"{what} must be numeric; it holds {shown!r} ({type(value).__name__})"
            )
    return out


def group_values(values, what):
    """
    Copy the groups of rows to a plain array.

    Parameters
    ----------
    values : array_like
        One value per row.
    what : str
        What the values are, for messages.

    Returns
    -------
    ndarray
        Shape (n,), in the machine's byte order, with NaN for masked values.

    Raises
    ------
    DataError
        If the values are not one-dimensional, or are records.
    """
    if np.ma.isMaskedArray(values):
        plain = values.astype(object)
        values = np.where(np.ma.getmaskarray(values), np.nan, plain.data)
    try:
        values = np.array(values)
    except (TypeError, ValueError):
        raise DataError(f"{what} are not an array") from None
    if values.ndim != 1:
        raise DataError(f"{what} must be one-dimensional, not of shape {values.shape}")
    if values.dtype.kind == "V":
        raise DataError(f"{what} are records; give a single field")
    return native(values)


def require_room(size, what):
    """
    Warn before a copy that takes more than half of the free memory.

    Parameters
    ----------
    size : int
        Bytes of the copy.
    what : str
        What is copied.

    Raises
    ------
    MemoryError
        If the copy does not fit in memory.
    """
    available = available_bytes()
    if available is None or 2 * size <= available:
        return
    require_memory(size, f"the model's own copy of {what}", "Use fewer rows or columns")
    warn(
        f"the model's own copy of {what} takes {size / 2**30:.1f} of the "
        f"{available / 2**30:.1f} GiB of free memory",
        DataWarning,
    )


def _of_frame(frame, what):
    plain = all(isinstance(d, np.dtype) and d.kind in "fiub" for d in frame.dtypes)
    require_room(8 * frame.size, what)
    if plain:
        return frame.to_numpy(dtype=float, copy=True)
    out = np.empty(frame.shape)
    for j, name in enumerate(frame.columns):
        out[:, j] = numeric(frame.iloc[:, j], f"column '{name}' of {what}")
    return out


def _of_series(column, what):
    """The values of a pandas column as a NumPy array."""
    kind = column.dtype
    if isinstance(kind, np.dtype):
        return column.to_numpy()
    if isinstance(kind, pd.CategoricalDtype) or pd.api.types.is_string_dtype(kind):
        raise DataError(f"{what} must be numeric, not {kind}")
    if isinstance(kind, DATES):
        raise DataError(f"{what} holds dates or intervals; convert it to numbers")
    if pd.api.types.is_complex_dtype(kind):
        return column.to_numpy(dtype=complex)
    if pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
        return column.to_numpy(dtype=float, na_value=np.nan)
    return column.to_numpy(dtype=object)


def _is_missing(value):
    return value is None or value is pd.NA or value is pd.NaT
