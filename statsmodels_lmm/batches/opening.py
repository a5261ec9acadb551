"""
The sources of all kinds of data.

Each kind has its own door of a few lines, because no common interface of data frames
has batches. Only the columns that a formula needs are read.
"""

from os import PathLike, fspath

from statsmodels_lmm.batches.arrow_sources import (
    dataset_source,
    lazy_frame_source,
    parquet_source,
    reader_source,
    relation_source,
)
from statsmodels_lmm.batches.sources import BATCH_SIZE, Source
from statsmodels_lmm.batches.table_sources import (
    dask_source,
    function_source,
    tables_source,
)


def is_lazy(data, collected=False):
    """
    Whether data are read in batches rather than as a whole.

    Parameters
    ----------
    data : object
        What a user gives as data.
    collected : bool, optional
        Whether lazy frames of polars and relations of DuckDB are collected, as new data
        of a model in memory are.

    Returns
    -------
    bool
        True for paths, functions, and whatever is computed or read only when needed:
        datasets and readers of pyarrow, lazy frames of polars, relations of DuckDB and
        frames of Dask.
    """
    if isinstance(data, str | PathLike | Source) or _are_paths(data):
        return True
    door = _door(data)
    if collected and door in (lazy_frame_source, relation_source):
        return False
    return door is not None


def source_of(data, batch_size=BATCH_SIZE):
    """
    The batches of some data.

    Parameters
    ----------
    data : object
        Any of the kinds of `is_lazy`, a table, or an iterable of tables, of which an
        iterator can be read only once. A path is that of a Parquet file or of a folder
        of such files, or a pattern such as "ratings/2024-*.parquet"; a list of paths is
        one of files.
    batch_size : int, optional
        Rows in a batch. Partitions of Dask and tables of the user come as they are.

    Returns
    -------
    Source

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If a package is missing that the kind needs.
    TypeError
        If these are not batches.
    DataError
        If files are not those of Parquet, or do not go together.
    """
    if isinstance(data, Source):
        return data
    if isinstance(batch_size, bool) or not isinstance(batch_size, int):
        raise TypeError(f"batch_size is a whole number of rows, not {batch_size!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, not {batch_size}")
    if isinstance(data, str | PathLike):
        return parquet_source(fspath(data), batch_size)
    if _are_paths(data):
        return parquet_source([fspath(path) for path in data], batch_size)
    door = _door(data) or tables_source
    return door(data, batch_size)


def _are_paths(data):
    """Whether data are a list of paths of files."""
    are_some = isinstance(data, list | tuple) and len(data) > 0
    return are_some and all(isinstance(path, str | PathLike) for path in data)


def _door(data):
    """The function that reads data of a kind, None if they are no batches."""
    home = type(data).__module__.partition(".")[0]
    kind = type(data).__name__
    if home == "pyarrow" and hasattr(data, "scanner"):
        return dataset_source
    if home == "pyarrow" and kind == "RecordBatchReader":
        return reader_source
    if home == "polars" and kind == "LazyFrame":
        return lazy_frame_source
    if home in ("duckdb", "_duckdb") and kind == "DuckDBPyRelation":
        return relation_source
    if home in ("dask", "dask_expr") and hasattr(data, "partitions"):
        return dask_source
    is_function = callable(data) and not hasattr(data, "columns")
    return function_source if is_function and not isinstance(data, type) else None
