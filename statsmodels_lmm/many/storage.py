"""Results of many fits in Parquet files, written and read in parts."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.many.fits import ManyFits
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.many.many_results import ManyResults

WIDE = "params", "bse", "df", "theta"
NARROW = (
    "scale", "scale_df", "llf", "nobs", "certified", "singular", "promised", "gradient",
    "evaluations", "problem",
)  # fmt: skip
KEY = b"statsmodels_lmm"


class ParquetWriter:
    """
    Writes parts of results to a file, one row group each.

    Parameters
    ----------
    path : path-like
        The file.
    about : dict
        The model, and how it was fitted: model, reml and df_method.
    """

    def __init__(self, path: Any, about: dict) -> None:
        self.path, self.about = path, about
        self.writer: Any = None

    def write(self, part: ManyResults) -> "Written":
        """
        Write a part.

        Parameters
        ----------
        part : ManyResults
            The fits.

        Returns
        -------
        Written
            How many they are.
        """
        pyarrow, parquet = _arrow()
        columns: dict = {"response": _names(pyarrow, part.names)}
        for name in WIDE:
            table = getattr(part, name)
            for label, values in zip(table, table.to_numpy().T):
                columns[f"{name}:{label}"] = pyarrow.array(np.ascontiguousarray(values))
        for name in NARROW:
            columns[name] = pyarrow.array(getattr(part.fits, name))
        columns["reason"] = pyarrow.array(part.reason.to_numpy().astype(str))
        rows = pyarrow.table(columns)
        if self.writer is None:
            told = {n: self.about[n] for n in ("reml", "df_method")}
            told |= {"formula": self.about["model"].formula_full}
            rows = rows.replace_schema_metadata({KEY: json.dumps(told).encode()})
            self.writer = parquet.ParquetWriter(self.path, rows.schema)
        self.writer.write_table(rows.cast(self.writer.schema))
        return Written(len(part))

    def close(self, interrupted: bool = False) -> "ParquetFile":
        """
        End the file.

        Parameters
        ----------
        interrupted : bool, optional
            Whether fits are missing because the user stopped the work.

        Returns
        -------
        ParquetFile
        """
        if self.writer is not None:
            self.writer.close()
        return ParquetFile(self.path, self.about["model"], interrupted)


class Written:
    """
    What remains in memory of a part that was written.

    Parameters
    ----------
    count : int
        Number of fits.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count


class ParquetFile(Brief):
    """
    Results of many fits in a file; iterating reads one part after the other.

    Parameters
    ----------
    path : path-like
        The file.
    model : CrossedMixedLM
        The model of the fits.
    interrupted : bool, optional
        Whether the user stopped the work that wrote it.
    """

    def __init__(self, path: Any, model: Any, interrupted: bool = False) -> None:
        self.path, self.model, self.interrupted = path, model, interrupted

    def __len__(self) -> int:
        _, parquet = _arrow()
        return parquet.ParquetFile(self.path).metadata.num_rows

    def __iter__(self) -> Iterator[ManyResults]:
        _, parquet = _arrow()
        with parquet.ParquetFile(self.path) as file:
            told = (file.schema_arrow.metadata or {}).get(KEY)
            if told is None:
                raise DataError(f"{self.path} does not hold results of fit_many")
            about = json.loads(told)
            if about.pop("formula") != self.model.formula_full:
                raise DataError(
                    f"{self.path} holds results of another model than "
                    f"{self.model.formula_full}"
                )
            for i in range(file.num_row_groups):
                yield self._part(file.read_row_group(i), about)

    def _part(self, rows, about):
        arrays = {n: rows.column(n).to_numpy() for n in rows.column_names}
        fits = {
            name: np.column_stack(
                [v for n, v in arrays.items() if n.startswith(f"{name}:")]
            )
            for name in WIDE
        }
        fits |= {name: arrays[name] for name in NARROW}
        reasons = {i: str(t) for i, t in enumerate(arrays["reason"]) if t}
        names = pd.Index(arrays["response"])
        return ManyResults(ManyFits(**fits), names, reasons, self.model, **about)

    def read(self) -> ManyResults:
        """
        All results.

        Returns
        -------
        ManyResults
            Without the responses.
        """
        parts = list(self)
        about = {n: getattr(parts[0], n) for n in ("model", "reml", "df_method")}
        return ManyResults.join(parts, about, None, self.interrupted)

    def _brief(self):
        return [f"{self.path}, {len(self):,} responses of {self.model.formula_full}"]


def _names(pyarrow, names):
    """Names of responses as a column of a file."""
    try:
        if names.nlevels == 1:
            return pyarrow.array(names.to_numpy())
    except pyarrow.ArrowException:
        pass
    raise DataError(
        "a file takes names of responses that are all text or all numbers; write "
        "others as text, as in `responses.columns = responses.columns.map(str)`"
    )


def _arrow():
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install pyarrow") from None
    return pyarrow, parquet
