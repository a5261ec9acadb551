"""Tables one after the other, from functions, iterables and clusters."""

from collections.abc import Mapping
from contextlib import suppress
from inspect import signature
from itertools import chain

from statsmodels_lmm.batches.sources import Source, close
from statsmodels_lmm.exceptions import DataError


def dask_source(frame, batch_size):
    """Rows of a frame of Dask, summed where they are."""

    def batches(names):
        for part in frame[names].partitions:
            yield part.compute()

    return Source(list(frame.columns), batches, partitions=frame)


def function_source(function, batch_size):
    """Rows of the tables that a function gives anew at each call."""
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


def tables_source(tables, batch_size):
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
