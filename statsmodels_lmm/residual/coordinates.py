"""When or where rows were observed, as numbers that mean the same in new data."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.row_values import named_rows

DAY = 86400.0
"""Seconds of a day."""


@dataclass(frozen=True)
class Coordinate:
    """
    How a column becomes a coordinate of the rows.

    Parameters
    ----------
    name : str
        Name of the column.
    structure : ResidualStructure
        What the coordinate is for.
    origin : Timestamp, optional
        The date from which days are counted; None for other columns.
    levels : Index, optional
        The levels whose order is the coordinate; None for other columns.
    """

    name: str
    structure: Any
    origin: Any = None
    levels: Any = None

    @classmethod
    def of(cls, column, name, structure):
        """
        The coordinate that a column of the fit defines.

        Raises
        ------
        DataError
            If the column has neither numbers nor dates nor ordered levels.
        """
        if isinstance(column.dtype, pd.CategoricalDtype):
            levels = column.cat.categories
            is_numeric = pd.api.types.is_numeric_dtype(levels.dtype)
            if column.cat.ordered and (structure.of_whole_steps or not is_numeric):
                return cls(name, structure, levels=levels)
            if not is_numeric:
                raise DataError(
                    f"'{name}' tells when rows were observed, but its levels have no "
                    "order: make it a number, or an ordered categorical"
                )
        if pd.api.types.is_datetime64_any_dtype(column.dtype):
            return cls(name, structure, origin=column.min())
        return cls(name, structure)

    def values(self, column):
        """
        Numbers of the rows of a column, of the fit or of new data.

        Raises
        ------
        DataError
            If a row has none.
        """
        numbers = self._numbers(column)
        if not np.isfinite(numbers).all():
            at = named_rows(column.index[~np.isfinite(numbers)])
            raise DataError(f"'{self.name}' is infinite in {at}")
        whole = numbers == np.rint(numbers)
        if self.structure.of_whole_steps and not whole.all():
            at = named_rows(column.index[~whole])
            raise DataError(
                f"{self.structure} counts whole steps, but '{self.name}' is no whole "
                f"number in {at}; car1 takes continuous time"
            )
        return numbers

    def _numbers(self, column):
        if self.levels is not None:
            numbers = self.levels.get_indexer(pd.Index(column))
            if (numbers < 0).any():
                unknown = column.iloc[np.argmin(numbers)]
                raise DataError(f"'{self.name}' of the fit has no level {unknown!r}")
            return numbers.astype(float)
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(column.cat.categories.dtype)
        is_date = pd.api.types.is_datetime64_any_dtype(column.dtype)
        if self.origin is not None and is_date:
            return (column - self.origin).dt.total_seconds().to_numpy() / DAY
        if self.origin is not None:
            raise DataError(
                f"'{self.name}' has dates in the fit; `pd.to_datetime` makes dates of "
                "the new ones"
            )
        if pd.api.types.is_timedelta64_dtype(column.dtype):
            return column.dt.total_seconds().to_numpy() / DAY
        if is_date or not pd.api.types.is_numeric_dtype(column.dtype):
            advice = "`pd.to_numeric` makes numbers of text"
            if pd.api.types.infer_dtype(column) in ("date", "datetime"):
                advice = "`pd.to_datetime` makes dates of objects"
            if isinstance(column.dtype, pd.PeriodDtype):
                advice = f"`{self.name}.dt.to_timestamp()` makes dates of periods"
            raise DataError(
                f"'{self.name}' tells when or where rows were observed and must be "
                f"numeric, a date or an ordered categorical; {advice}"
            )
        return column.to_numpy(float)
