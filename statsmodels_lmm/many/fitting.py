"""Fits of one model to many responses."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.many.many_design import ManyDesign
from statsmodels_lmm.core.many.problems import ALONE, FAILED, RANK, SENTENCES
from statsmodels_lmm.exceptions import DataError, DataWarning, RankWarning, warn
from statsmodels_lmm.inference.fixed.degrees_of_freedom import df_method_of
from statsmodels_lmm.inference.parallel import run
from statsmodels_lmm.inference.replicates.simulation import check_count
from statsmodels_lmm.inference.requirements import (
    check_choice,
    require_data,
    require_independent_errors,
)
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.many.many_results import ManyResults
from statsmodels_lmm.many.own_weights import Source, read_weights, with_weights
from statsmodels_lmm.many.response_table import is_iterable_of_tables
from statsmodels_lmm.many.single_fits import design_of, fit_alone
from statsmodels_lmm.many.storage import ParquetFile, ParquetWriter

FEW = 25
"""Number of responses in a piece of work if they are fitted one by one."""

METHODS = "asymptotic", "residual", "satterthwaite"


def fit_many(
    model: Any,
    responses: Any,
    reml: bool = True,
    *,
    df_method: str | None = "satterthwaite",
    weights: Any = None,
    n_jobs: int | None = None,
    chunk_size: int | None = None,
    progress: bool | None = None,
    to: Any = None,
) -> ManyResults | ParquetFile:
    """
    Fit a model to many responses at once.

    Parameters
    ----------
    model : CrossedMixedLM
        The model; its own response, if it has one, is not used.
    responses : DataFrame, array_like or iterable
        One column for each response and one row for each row of the model: a pandas,
        polars or Arrow table, an array, a memory map or a sparse matrix; or an iterable
        of such tables, which are read one after the other. A DataFrame is aligned by
        its index. A response need not have a value in every row.
    reml : bool, optional
        Whether to maximize the restricted likelihood or the likelihood.
    df_method : {"satterthwaite", "asymptotic", "residual"}, optional
        Degrees of freedom of the tests unless they are told otherwise. Satterthwaite's
        come with every fit.
    weights : array_like or DataFrame, optional
        Prior weights: one for each row of the model, or a table like that of the
        responses with a weight for each value. A row of weight zero is not used. They
        multiply the weights of the model.
    n_jobs : int, optional
        Number of workers, as for `bootstrap`. The results have the same bits whatever
        the number and kind of workers.
    chunk_size : int, optional
        Number of responses fitted as one array computation. Default depends on the
        design alone.
    progress : bool, optional
        Whether to show a progress bar, as for `bootstrap`.
    to : path-like, optional
        A Parquet file to which the results are written as they become available, so
        that memory does not grow with the number of responses.

    Returns
    -------
    ManyResults
        With a row for each response; with `to`, a `ParquetFile` to read them from.
        After an interrupt it holds the fits that were done. If an iterable of tables
        raises an error, `to` has those that were done.

    Raises
    ------
    DataError
        If the tables do not match the model.
    NotImplementedError
        If the errors are correlated or of unequal variance.

    Warns
    -----
    DataWarning
        If names are repeated.
    RankWarning
        If columns of the fixed effects are redundant and have been left out.
    """
    require_data(model, "fit_many")
    instead = "fit each response, with `model.with_response(y).fit()`"
    require_independent_errors(model, "fit_many", instead)
    method = df_method_of(df_method) or "asymptotic"
    if method not in METHODS:
        raise ValueError(
            f"df_method={df_method!r} is not available for many responses; use one of "
            f"{', '.join(METHODS)}, or `many[name].with_df_method({df_method!r})`"
        )
    if chunk_size is not None:
        check_count("chunk_size", chunk_size)
    check_choice("reml", reml, (True, False))
    design = design_of(model, bool(reml))
    _warn_of_columns(model, design)
    size = int(chunk_size or (design.size if design.in_batches else FEW))
    work = _Work(model, design, reml)
    about = {"model": model, "reml": bool(reml), "df_method": method}
    once = is_iterable_of_tables(responses)
    pairs = with_weights(model, responses, weights)
    writer = None if to is None else ParquetWriter(to, about)
    parts, names, interrupted, source = [], [], False, None

    def keep(done):
        part = ManyResults(*done, **about)
        return part if writer is None else writer.write(part)

    parallel = "threads" if design.in_batches else "if it pays"
    try:
        for table, own in pairs:
            starts = range(0, len(table), size)
            pieces = [_Piece(table, own, s, min(s + size, len(table))) for s in starts]
            done, interrupted = run(work, pieces, n_jobs, progress, parallel, keep)
            parts += done
            names.append(table.names[: sum(len(p) for p in pieces[: len(done)])])
            source = None if once else Source(table, own)
            if interrupted:
                break
    except BaseException as error:
        if writer is not None:
            writer.close(True)
        if not parts or not isinstance(error, KeyboardInterrupt):
            raise
        interrupted = True
    if not parts:
        raise DataError("there are no responses")
    _warn_of_names(names)
    if writer is not None:
        return writer.close(interrupted)
    return ManyResults.join(parts, about, source, interrupted)


@dataclass
class _Piece:
    """
    A piece of work, which reads its responses where they are needed.

    It is pickled with them, and without the tables.
    """

    table: Any
    weights: Any
    start: int
    stop: int
    given: Any = None

    def __len__(self):
        return self.stop - self.start

    def read(self):
        """Names, responses (r, n) and weights (r, n) or None."""
        if self.given is not None:
            return self.given
        names = self.table.names[self.start : self.stop]
        y = self.table.block(self.start, self.stop)
        return names, y, read_weights(self.weights, self.start, self.stop)

    def __getstate__(self):
        return {**self.__dict__, "table": None, "weights": None, "given": self.read()}


@dataclass(frozen=True)
class _Work:
    """The fits of a piece of work."""

    model: Any
    design: ManyDesign
    reml: bool

    @property
    def in_batches(self):
        """Whether many responses are one array computation."""
        return self.design.in_batches

    def __call__(self, piece):
        """Fits, names, and reasons by position."""
        names, y, weights = piece.read()
        offset = 0.0 if self.model.offset is None else self.model.offset
        fits = self.design.fit(y - offset, weights)
        reasons = {}
        for i in np.flatnonzero(fits.problem):
            problem = int(fits.problem[i])
            if problem not in (ALONE, RANK):
                reasons[int(i)] = SENTENCES[problem]
                continue
            own = None if weights is None else weights[i]
            one, reason = fit_alone(self.model, y[i], own, self.reml)
            fits.put(np.array([i]), one)
            if reason or one.problem[0] == FAILED:
                reasons[int(i)] = reason or SENTENCES[FAILED]
        return fits, names, reasons


def _warn_of_columns(model, design):
    """Tell of columns of X that have been left out; refuse them if asked to."""
    redundant = model.redundant_columns(design.data)
    if not redundant:
        return
    columns = ", ".join(map(str, redundant))
    if model.rank == "raise":
        raise DataError(f"the fixed effects are not linearly independent: {columns}")
    warn(
        f"redundant columns of the fixed effects are left out: {columns}; their "
        "coefficients are NaN",
        RankWarning,
    )


def _warn_of_names(parts):
    """Tell of names that several responses have."""
    names = parts[0] if len(parts) == 1 else pd.Index(np.concatenate(parts))
    twice = names[names.duplicated()].unique()
    if len(twice):
        warn(
            f"several responses have the same name: {listed(list(twice))}; each is "
            "fitted, but `many[name]` does not know which is meant",
            DataWarning,
        )
