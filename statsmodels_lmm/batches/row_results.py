"""Fitted values, residuals and predictions for rows that are read in batches."""

from collections.abc import Callable, Iterator
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.opening import source_of
from statsmodels_lmm.batches.sources import BATCH_SIZE, READ_FIRST, close, needed
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import design_matrices
from statsmodels_lmm.formula.chunks import remembering_factors, response_formula
from statsmodels_lmm.formula.columns import plain_column
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.names import columns_in, names_in
from statsmodels_lmm.formula.subsets import condition_of, rows_that_hold
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.prediction import predict
from statsmodels_lmm.inference.replicates.simulation import check_count
from statsmodels_lmm.inputs.row_values import row_values
from statsmodels_lmm.inputs.tables import to_frame

ADDED = ("fitted", "resid", "fixed")
"""Columns that `augment_batches` adds."""


def predict_batches(
    results, source, random_effects, new_levels, to=None, batch_size=BATCH_SIZE
):
    """
    Predict the rows of a source, batch by batch.

    Parameters
    ----------
    results : CrossedMixedLMResults or LightResults
        A fit from a formula.
    source : object
        The rows, see `RowSums.of`.
    random_effects, new_levels
        As for ``predict``.
    to : str or PathLike, optional
        A Parquet file to write.
    batch_size : int, optional
        Rows in a batch.

    Returns
    -------
    iterator of DataFrame, or None
        The columns of the source with the predictions as "predicted", labeled by the
        positions of the rows; None if they were written.
    """

    def added(frame):
        asked = random_effects, new_levels, _offset(results, frame)
        return {"predicted": predict(results, frame, True, *asked)}

    return _given(_batches(results, source, batch_size, ("predicted",), added), to)


def augment_batches(
    results, source, new_levels="error", to=None, batch_size=BATCH_SIZE, chosen=None
):
    """
    Add fitted values and residuals to the rows of a source, batch by batch.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    source : object
        The rows, see `RowSums.of`.
    new_levels : {"error", "population", "nan"}, optional
        How to treat a level that the fit has not seen.
    to : str or PathLike, optional
        A Parquet file to write.
    batch_size : int, optional
        Rows in a batch.
    chosen : callable, optional
        Gives the rows of a batch that are wanted. Default is all of them.

    Returns
    -------
    iterator of DataFrame, or None
        The columns of the source with fitted, resid and fixed, NaN in incomplete rows;
        None if they were written.
    """

    def added(frame):
        offset = _offset(results, frame)
        fitted, fixed = (
            np.asarray(predict(results, frame, True, each, new_levels, offset))
            for each in (True, False)
        )
        fitted = np.where(_without_group(results, frame), np.nan, fitted)
        return {
            "fitted": fitted,
            "resid": _response(results, frame) - fitted,
            "fixed": fixed,
        }

    batches = _batches(results, source, batch_size, ADDED, added, chosen)
    return _given(batches, to)


def sample_batches(results, source, n, rng, batch_size=BATCH_SIZE):
    """
    Fitted values and residuals of a random sample of the complete rows of a source.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    source : object
        The rows, see `RowSums.of`.
    n : int
        Number of rows; all complete rows if there are fewer.
    rng : int or Generator
        Source of random numbers.
    batch_size : int, optional
        Rows in a batch.

    Returns
    -------
    DataFrame
        As from `augment_batches`, in the order of the rows. Each set of n rows is
        equally likely, whatever the batches. Rows that sums have left out, by subset=
        or a weight of 0, are not among them.
    """
    check_count("n", n)
    try:
        rng = np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"rng is a seed, a Generator or None, not {rng!r}: {error}"
        ) from None
    kept, keys = None, np.zeros(0)
    summed = partial(_summed, results.model)
    batches = augment_batches(results, source, "nan", None, batch_size, summed)
    for frame in batches:
        if not len(frame):
            continue
        frame = frame[frame["resid"].notna()]
        kept = frame if kept is None else pd.concat([kept, frame])
        # the rows with the smallest of independent numbers are a random sample
        keys = np.concatenate([keys, rng.random(len(frame))])
        if len(keys) > n:
            chosen = np.sort(np.argpartition(keys, n)[:n])
            kept, keys = kept.iloc[chosen], keys[chosen]
    if kept is None:
        raise DataError("the data have no rows")
    return kept


def _batches(
    results: Any,
    source: Any,
    batch_size: int,
    names: tuple,
    added: Callable[[pd.DataFrame], dict],
    chosen: Callable[[pd.DataFrame], pd.DataFrame] | None = None,
) -> Iterator[pd.DataFrame]:
    """The batches of a source with further columns."""
    if not has_formula(results.model):
        raise DataError("rows in batches can be predicted by a model with a formula")
    source, start = source_of(source, batch_size), 0
    taken = [name for name in names if name in source.names]
    if taken:
        raise DataError(f"the data already have a column '{taken[0]}'; rename it")
    tables = source.open(source.names)

    def batches():
        nonlocal start
        try:
            for table in tables:
                frame = _frame(table)
                labels = pd.RangeIndex(start, start + len(frame))
                frame = frame.set_axis(labels)
                start += len(frame)
                frame = frame if chosen is None else chosen(frame)
                yield frame.assign(**added(frame)) if len(frame) else frame
        finally:
            close(tables)

    return batches()


def _summed(model, frame):
    """The rows that sums have not left out."""
    if model.summed is None or not len(frame):
        return frame
    subset, weights = model.side_names.get("subset"), model.side_names["weights"]
    if subset is not None:
        text = condition_of(subset)
        frame = frame[rows_that_hold(text, subset, frame, model.data.scope)]
    if weights is not None:
        frame = frame[row_values(weights, frame, "weights") > 0]
    return frame


def _frame(table):
    if hasattr(table, "num_columns") and not hasattr(table, "combine_chunks"):
        table = needed("pyarrow").Table.from_batches([table])
    return to_frame(table)


def _without_group(results, frame):
    """Whether a grouping column has no value, shape (n,)."""
    groupings = results.model.data.groupings
    names = [n for e in results.model.random for n in e.columns if n not in groupings]
    columns = [find_column(frame, name) for name in names]
    return frame[columns].isna().to_numpy().any(axis=1)


def _offset(results, frame):
    """The column of the offset beside that of the formula, or None."""
    model = results.model
    if model.summed is None:
        in_formula = 0.0 if model.formula_offset is None else model.formula_offset
        if model.offset is not None and (model.offset != in_formula).any():
            raise DataError(
                "the model has an offset= beside its formula, which batches do not "
                "have: write offset(column) in the formula"
            )
        return None
    name = model.side_names["offset"]
    return None if name is None else row_values(name, frame, "offset")


def _response(results, frame):
    """The response, NaN where it has no value."""
    model = results.model
    response, known = model._parsed.response, frame.columns
    remembering = remembering_factors([response_formula(response)], model.data.scope)
    if remembering:
        raise DataError(
            f"the response remembers the data of the fit, {next(iter(remembering))}, "
            "which batches do not have, so they have no residuals: make the response a "
            "column of the rows; result.predict(source) gives fitted values without it"
        )
    alone = names_in(response).alone
    columns = {
        name: plain_column(
            frame[name],
            name,
            {"response", "term"} if name in alone else {"response"},
            is_whole=False,
        )
        for name in columns_in(response, known)
    }
    values = pd.DataFrame(columns, index=frame.index)
    complete = values.notna().all(axis=1).to_numpy()
    out = np.full(len(frame), np.nan)
    if complete.any():
        formula, scope = response_formula(response), model.data.scope
        rows = values[complete]
        _, found, _ = design_matrices(formula, rows, scope, "patsy")
        out[complete] = found.to_numpy(float)[:, 0]
    return out


def _given(batches, to):
    """The batches, or None after they were written to a Parquet file."""
    if to is None:
        return batches
    if not isinstance(to, str | PathLike):
        raise TypeError(f"to= is the path of a Parquet file, not {to!r}")
    # a source that is read while it is written would be lost
    unfinished = Path(f"{fspath(to)}.unfinished")
    try:
        _check_target(Path(to))
        _write(batches, unfinished)
        unfinished.replace(to)
    finally:
        close(batches)
        unfinished.unlink(missing_ok=True)
    return None


def _check_target(path):
    if path.suffix.lower() in READ_FIRST:
        raise ValueError(
            f"to= is the path of a Parquet file, not {path}; without to= you can write "
            "batch by batch what `augment` and `predict` give"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"there is no folder {path.parent} for {path.name}")


def _write(batches, path):
    """Write batches to a Parquet file, with the types of the first rows."""
    arrow, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    writer = None
    try:
        for frame in batches:
            if not len(frame):
                continue
            schema = None if writer is None else writer.schema
            try:
                table = arrow.Table.from_pandas(frame, schema, preserve_index=False)
            except arrow.ArrowException as error:
                raise DataError(
                    "batches with columns of different types cannot be written to one "
                    f"file, here at row {frame.index[0]}: {error}"
                ) from None
            if writer is None:
                writer = parquet.ParquetWriter(path, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()
    if writer is None:
        raise DataError("the data have no rows")
