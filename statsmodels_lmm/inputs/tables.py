"""pandas DataFrames from tables of other kinds."""

from os import PathLike, fspath

import numpy as np
import pandas as pd


def to_frame(data, names=None):
    """
    Convert a table of any kind to a pandas DataFrame.

    Parameters
    ----------
    data : DataFrame, mapping, recarray or table
        A pandas, polars (eager or lazy) or pyarrow table, a mapping of columns, or a
        structured array. Anything else that narwhals supports or that has
        ``__arrow_c_stream__``, such as a DuckDB relation or a dask frame, is read
        through narwhals, which the extra ``frames`` installs.
    names : iterable of str, optional
        The columns needed. Only these are read from lazy tables; names that are not
        columns are ignored.

    Returns
    -------
    DataFrame
        The data in the machine's byte order. A DataFrame that needs no conversion is
        returned unchanged.

    Raises
    ------
    ImportError
        If the table needs narwhals or pyarrow, and it is not installed.
    """
    if not isinstance(data, pd.DataFrame):
        data = _read(data, names)
    foreign = [isinstance(kind, np.dtype) and not kind.isnative for kind in data.dtypes]
    if not any(foreign):
        return data
    columns = [
        native(column.to_numpy()) if swapped else column.array
        for (_, column), swapped in zip(data.items(), foreign)
    ]
    frame = pd.DataFrame(dict(enumerate(columns)), data.index)
    return frame.set_axis(data.columns, axis=1)


def _read(data, names):
    if isinstance(data, str | PathLike):
        raise TypeError(
            f"data are a table, not the name of a file: read it first, as in "
            f"`crossedmixedlm(formula, pd.read_csv({fspath(data)!r}))`"
        )
    if isinstance(data, np.ma.MaskedArray) and data.dtype.names:
        return pd.DataFrame({name: data[name] for name in data.dtype.names})
    if isinstance(data, np.ndarray) and data.dtype.names:
        return pd.DataFrame.from_records(data)
    home = type(data).__module__.partition(".")[0]
    if home == "polars" and hasattr(data, "collect"):
        return _from_arrow(_needed(data, names).collect())
    if home in ("polars", "pyarrow") and hasattr(data, "to_pandas"):
        return _from_arrow(data)
    if hasattr(data, "columns") or hasattr(data, "__arrow_c_stream__"):
        return _through_narwhals(data, names)
    try:
        return pd.DataFrame(data)
    except (TypeError, ValueError):
        raise TypeError(
            f"data of type {type(data).__name__} are not a table; give a DataFrame or "
            "a mapping of columns, or several tables by "
            "`CrossedMixedLM.from_batches(tables, formula)`"
        ) from None


def _from_arrow(frame):
    """A polars or pyarrow table as pandas; polars goes by way of pyarrow."""
    try:
        return frame.to_pandas()
    except ModuleNotFoundError as error:
        raise ImportError(
            f"a polars frame is read through {error.name}: `pip install {error.name}`, "
            "or pass `data.to_dict(as_series=False)`"
        ) from None


def _needed(lazy, names):
    """The needed columns of a lazy frame."""
    if names is None:
        return lazy
    wanted = set(names)
    return lazy.select([n for n in lazy.collect_schema().names() if n in wanted])


def _through_narwhals(data, names):
    try:
        import narwhals
    except ImportError:
        raise ImportError(
            f"data of type {type(data).__module__}.{type(data).__qualname__} need "
            "narwhals: pip install 'statsmodels-lmm[frames]', or convert them to "
            "a pandas, polars or pyarrow table"
        ) from None
    try:
        frame = narwhals.from_native(data)
    except TypeError:
        if not hasattr(data, "__arrow_c_stream__"):
            raise
        frame = narwhals.from_arrow(data, backend="pyarrow")
    if isinstance(frame, narwhals.LazyFrame):
        frame = _needed(frame, names).collect()
    return frame.to_pandas()


def native(values):
    """
    Convert an array to a type that pandas can sort and look up.

    Parameters
    ----------
    values : ndarray
        The array.

    Returns
    -------
    ndarray
        The array in the machine's byte order, with half and extended precision as
        double.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize not in (4, 8):
        return values.astype(float)
    if not values.dtype.isnative:
        return values.astype(values.dtype.newbyteorder("="))
    return values


def has_all_levels(values):
    """
    Whether each category occurs.

    Parameters
    ----------
    values : Categorical
        A value for each row.

    Returns
    -------
    bool
    """
    codes = values.codes
    counts = np.bincount(codes[codes >= 0], minlength=len(values.categories))
    return bool(counts.all())
