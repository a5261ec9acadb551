"""
Rows that arrive in batches, from files, queries, clusters and functions.

Each kind has its own door of a few lines, because no common interface of data frames
has batches. Only the columns that a formula needs are read.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from glob import glob
from importlib import import_module
from inspect import signature
from itertools import chain
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from statsmodels_lmm.exceptions import DataError

BATCH_SIZE = 500_000
"""Rows in a batch, where the source lets us choose."""

READ_FIRST = {
    ".csv": "pd.read_csv({0!r})",
    ".feather": "pd.read_feather({0!r})",
    ".json": "pd.read_json({0!r})",
    ".xlsx": "pd.read_excel({0!r})",
}
"""How to read a file that is not a Parquet file, by its ending."""


@dataclass(frozen=True)
class Source:
    """
    Rows in batches.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    open : callable
        Called with names of columns; returns an iterator of tables that have them.
    once : bool
        Whether the rows can be read only once.
    n_rows : int, optional
        Number of rows, if known.
    partitions : DataFrame of Dask, optional
        A frame whose partitions are summed where they are.
    """

    names: list
    open: Callable[[list], Iterator[Any]]
    once: bool = False
    n_rows: int | None = None
    partitions: Any = None


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
    return door is not None and not (collected and door in (_lazy_frame, _relation))


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
        return _parquet(fspath(data), batch_size)
    if _are_paths(data):
        return _parquet([fspath(path) for path in data], batch_size)
    door = _door(data) or _tables
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
        return _dataset
    if home == "pyarrow" and kind == "RecordBatchReader":
        return _reader
    if home == "polars" and kind == "LazyFrame":
        return _lazy_frame
    if home in ("duckdb", "_duckdb") and kind == "DuckDBPyRelation":
        return _relation
    if home in ("dask", "dask_expr") and hasattr(data, "partitions"):
        return _dask
    is_function = callable(data) and not hasattr(data, "columns")
    return _function if is_function and not isinstance(data, type) else None


def needed(module, extra="batches"):
    """
    Import a package that only some sources need.

    Parameters
    ----------
    module : str
        Its name.
    extra : str, optional
        The extra that installs it.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        It says how to install the package.
    """
    try:
        return import_module(module)
    except ImportError:
        raise ImportError(
            f"{module.partition('.')[0]} is needed to read these batches; "
            f"pip install 'statsmodels-lmm[{extra}]'"
        ) from None


def _parquet(path, batch_size):
    """The rows of a file, a folder, the files of a pattern, or a list of files."""
    is_one = isinstance(path, str)
    first = path if is_one else path[0]
    ending = Path(first).suffix.lower()
    if ending in READ_FIRST:
        line = READ_FIRST[ending].format(first)
        raise TypeError(
            "data are a table or Parquet files, not the name of a file like this: read "
            f"it first, as in `crossedmixedlm(formula, {line})`"
        )
    where: Any = path
    if is_one and not Path(path).exists():
        where = sorted(glob(path, recursive=True))
        if not where:
            order = ""
            if " ~ " in str(path):
                order = "; data come before the formula: `from_batches(data, formula)`"
            raise FileNotFoundError(f"there is no Parquet file {path}{order}")
    absent = [] if is_one else [each for each in path if not Path(each).exists()]
    if absent:
        raise FileNotFoundError(f"there is no Parquet file {absent[0]}")
    arrow, datasets = needed("pyarrow"), needed("pyarrow.dataset")
    how = {"format": "parquet", "partitioning": "hive"}
    try:
        dataset = datasets.dataset(where, **how)
        if not dataset.files:
            raise FileNotFoundError(f"there is no Parquet file in {path}")
        # a column may be whole numbers in one file and decimals in another
        schemas = [f.physical_schema for f in dataset.get_fragments()]
        schemas.insert(0, dataset.schema)
        schema = arrow.unify_schemas(schemas, promote_options="permissive")
        return _dataset(datasets.dataset(where, schema=schema, **how), batch_size)
    except arrow.ArrowException as error:
        raise DataError(
            f"{path} cannot be read as Parquet files of the same columns: {error}"
        ) from None


def _dataset(dataset, batch_size):
    needed("pyarrow.dataset")

    def batches(names):
        # pyarrow would read 16 batches ahead, gigabytes of rows
        scanner = dataset.scanner(
            columns=names,
            batch_size=batch_size,
            batch_readahead=1,
            fragment_readahead=1,
        )
        return _gathered(scanner.to_batches(), batch_size)

    names = list(dataset.schema.names)
    return Source(names, batches, n_rows=dataset.count_rows())


def _reader(reader, batch_size):
    def batches(names):
        try:
            parts = (batch.select(names) for batch in reader)
            yield from _gathered(parts, batch_size)
        finally:
            reader.close()

    return Source(list(reader.schema.names), batches, once=True)


def _lazy_frame(lazy, batch_size):
    needed("pyarrow")

    def batches(names):
        return iter(lazy.select(names).collect_batches(chunk_size=batch_size))

    return Source(lazy.collect_schema().names(), batches)


def _relation(relation, batch_size):
    needed("pyarrow")

    def batches(names):
        column = needed("duckdb").ColumnExpression
        chosen = relation.select(*map(column, names))
        with _without_bar(relation):
            reader = chosen.to_arrow_reader(batch_size)
            try:
                yield from _gathered(reader, batch_size)
            finally:
                reader.close()

    return Source(list(relation.columns), batches)


class _without_bar:
    """DuckDB without its progress bar, which would cover ours."""

    def __init__(self, relation):
        self.relation = relation

    def __enter__(self):
        self.before = self._setting()
        self._set("false")

    def __exit__(self, *error):
        self._set(str(self.before).lower())

    def _setting(self):
        text = "select current_setting('enable_progress_bar')"
        return self.relation.query("_rows", text).fetchall()[0][0]

    def _set(self, value):
        self.relation.query("_rows", f"set enable_progress_bar = {value}")


def _dask(frame, batch_size):
    def batches(names):
        for part in frame[names].partitions:
            yield part.compute()

    return Source(list(frame.columns), batches, partitions=frame)


def _function(function, batch_size):
    with suppress(ValueError):  # some functions of C have no signature
        required = [
            name
            for name, each in signature(function).parameters.items()
            if each.default is each.empty
            and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        if required:
            raise TypeError(
                "a function that gives data is called without arguments, but this one "
                f"needs {', '.join(required)}; write `lambda: read(...)` with them"
            )

    def tables():
        found = function()
        if _is_table(found) or not hasattr(found, "__iter__"):
            raise TypeError(
                "a function that gives data returns an iterator of tables, not "
                f"{type(found).__name__}"
            )
        return iter(found)

    begun = tables()

    def batches(names):
        again = tables()
        if again is begun:
            raise DataError(
                "the function returned the same iterator a second time, of which "
                "tables have been read; it must return a new one each time"
            )
        opened, every = again, again
        if unread:
            opened, every = begun, unread.pop()
        try:
            yield from _checked(every, names)
        finally:
            close(opened)

    try:
        first = next(begun)
    except StopIteration:
        raise DataError("the data have no rows: the function gives no table") from None
    unread = [chain([first], begun)]
    return Source(_names(first), batches)


def _tables(tables, batch_size):
    """Tables one after the other; an iterator gives them once."""
    if _is_table(tables):
        tables = [tables]
    once = hasattr(tables, "__next__")
    try:
        iterator = iter(tables)
        first = next(iterator)
    except TypeError:
        raise TypeError(
            f"data of type {type(tables).__name__} are not batches of rows; give a "
            "path of Parquet files, a function that returns an iterator of tables, or "
            "a list of tables"
        ) from None
    except StopIteration:
        raise DataError("the data have no rows: there is no table") from None

    def batches(names):
        every = chain([first], iterator) if once else iter(tables)
        return _checked(every, names)

    return Source(_names(first), batches, once)


def close(tables):
    """Close an iterator of tables, if it can be closed."""
    if hasattr(tables, "close"):
        tables.close()


def _is_table(data):
    """Whether data are one table, not several."""
    kinds = "columns", "column_names"
    return isinstance(data, Mapping) or any(hasattr(data, kind) for kind in kinds)


def _names(table):
    """Names of the columns of a table of any kind."""
    if hasattr(table, "column_names"):  # of pyarrow
        return list(table.column_names)
    if hasattr(table, "schema") and hasattr(table.schema, "names"):
        names = table.schema.names
        return list(names() if callable(names) else names)
    if not _is_table(table):
        raise TypeError(f"a batch is a table, not of type {type(table).__name__}")
    return list(getattr(table, "columns", table))


def _checked(tables, names):
    """Tables that all have some columns."""
    for i, table in enumerate(tables):
        absent = [name for name in names if name not in _names(table)]
        if absent:
            raise DataError(f"batch {i + 1} has no column '{absent[0]}'")
        yield table


def _gathered(batches, size):
    """Tables of about as many rows as asked for, from smaller record batches."""
    arrow = needed("pyarrow")
    waiting, n_waiting = [], 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += batch.num_rows
        if n_waiting >= size:
            yield arrow.Table.from_batches(waiting)
            waiting, n_waiting = [], 0
    if n_waiting:
        yield arrow.Table.from_batches(waiting)
