"""A pandas frame from every kind of table that users bring."""

import numpy as np
import pandas as pd


def to_frame(data, names=None):
    """
    A pandas frame from what users call data.

    Parameters
    ----------
    data : DataFrame, mapping, recarray or table
        pandas, polars (eager or lazy) and pyarrow tables, mappings of columns and
        structured arrays. Anything else that narwhals knows or that has
        ``__arrow_c_stream__``, such as a DuckDB relation or a dask frame, is read
        through narwhals, the extra ``frames``.
    names : iterable of str, optional
        The columns that are needed. Lazy tables read no others; names that are no
        columns are left to whoever uses the frame.

    Returns
    -------
    DataFrame
        What is a pandas frame already is returned as it is.

    Raises
    ------
    ImportError
        If the table needs narwhals and narwhals is not installed.
    """
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, np.ndarray) and data.dtype.names:
        return pd.DataFrame.from_records(data)
    home = type(data).__module__.partition(".")[0]
    if home == "polars" and hasattr(data, "collect"):
        return _needed(data, names).collect().to_pandas()
    if home in ("polars", "pyarrow") and hasattr(data, "to_pandas"):
        return data.to_pandas()
    if hasattr(data, "columns") or hasattr(data, "__arrow_c_stream__"):
        return _through_narwhals(data, names)
    return pd.DataFrame(data)


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
            f"data of type {type(data).__module__}.{type(data).__qualname__} are read "
            "with narwhals: pip install 'statsmodels-lmm[frames]', or convert them to "
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
