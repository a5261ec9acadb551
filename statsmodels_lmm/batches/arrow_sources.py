"""Parquet files, pyarrow, polars and DuckDB, whose rows come as tables of Arrow."""

from glob import glob
from pathlib import Path
from typing import Any

from statsmodels_lmm.batches.sources import READ_FIRST, Source, needed
from statsmodels_lmm.exceptions import DataError


def parquet_source(path, batch_size):
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
        return dataset_source(datasets.dataset(where, schema=schema, **how), batch_size)
    except arrow.ArrowException as error:
        raise DataError(
            f"{path} cannot be read as Parquet files of the same columns: {error}"
        ) from None


def dataset_source(dataset, batch_size):
    """Rows of a dataset of pyarrow."""
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


def reader_source(reader, batch_size):
    """Rows of a record batch reader, which gives them once."""

    def batches(names):
        try:
            parts = (batch.select(names) for batch in reader)
            yield from _gathered(parts, batch_size)
        finally:
            reader.close()

    return Source(list(reader.schema.names), batches, once=True)


def lazy_frame_source(lazy, batch_size):
    """Rows of a lazy frame of polars."""
    needed("pyarrow")

    def batches(names):
        return iter(lazy.select(names).collect_batches(chunk_size=batch_size))

    return Source(lazy.collect_schema().names(), batches)


def relation_source(relation, batch_size):
    """Rows of a relation of DuckDB."""
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
