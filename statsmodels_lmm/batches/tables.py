"""Batches of every kind as pandas frames, with text as codes."""

import pandas as pd

from statsmodels_lmm.inputs.tables import to_frame


def batch_frame(table, names, start):
    """
    Columns of a batch.

    Parameters
    ----------
    table : DataFrame or table
        A pandas, polars or pyarrow table, or any other that `to_frame` takes.
    names : list
        The columns.
    start : int
        Number of rows before this batch.

    Returns
    -------
    frame : DataFrame
        The columns as with all rows in memory, except for those in `text`; its labels
        are the positions of the rows in all the data.
    text : frozenset
        Columns of text that are categorical here, with categories in any order.
    """
    home = type(table).__module__.partition(".")[0]
    text: frozenset = frozenset()
    if home == "polars":
        table, home = table.select(names).to_arrow(), "pyarrow"
    if home == "pyarrow":
        frame, text = _from_arrow(table.select(names))
    else:
        frame = to_frame(table, names)[list(names)]
    labels = pd.RangeIndex(start, start + len(frame))
    return frame.set_axis(labels), text


def as_text(column):
    """
    A column of text that was categorical as an object column.

    Parameters
    ----------
    column : Series
        A column in `text`, see `batch_frame`.

    Returns
    -------
    Series
    """
    return column.astype(object)


def _from_arrow(table):
    """A pandas frame; text, of which each value is stored many times, as codes."""
    import pyarrow as pa

    if not isinstance(table, pa.Table):
        table = pa.Table.from_batches([table])
    text = []
    for i, kind in enumerate(table.schema):
        types = pa.types
        is_view = types.is_string_view(kind.type)
        if types.is_string(kind.type) or types.is_large_string(kind.type) or is_view:
            coded = table.column(i).dictionary_encode()
            table = table.set_column(i, kind.name, coded)
            text.append(kind.name)
    frame = table.to_pandas()
    plain = {name: _with_objects(frame[name].array) for name in text}
    return frame.assign(**plain) if plain else frame, frozenset(text)


def _with_objects(values):
    """Categories of text as Python strings, as levels are with all rows in memory."""
    categories = pd.Index(values.categories.to_numpy(object))
    return pd.Categorical.from_codes(values.codes, categories)
