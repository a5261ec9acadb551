"""The columns to be penalized, as the user gave them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.inputs.tables import to_frame


@dataclass(frozen=True, repr=False)
class PenalizedColumns(Brief):
    """
    A wide matrix that is read, a few columns at a time, and never copied as a whole.

    Parameters
    ----------
    matrix : ndarray, memmap, sparse array or FrameColumns
        X, shape (N, p).
    names : Index
        Names of its columns.
    """

    matrix: Any
    names: pd.Index

    def _brief(self):
        n, p = self.matrix.shape
        return [f"{p:,} columns of {n:,} rows"]

    def take(self, columns, rows=None):
        """Some columns in double precision, shape (n, m)."""
        block = self.matrix[:, columns]
        block = block.toarray() if sparse.issparse(block) else np.asarray(block)
        return (block if rows is None else block[rows]).astype(float)


@dataclass(frozen=True)
class FrameColumns:
    """A DataFrame with columns of several types, read like an array."""

    frame: pd.DataFrame

    @property
    def shape(self):
        """Numbers of rows and columns."""
        return self.frame.shape

    def __getitem__(self, key):
        return self.frame.iloc[key].to_numpy(float)


def penalized_columns(values):
    """
    Read the argument `penalized` of a model.

    Parameters
    ----------
    values : DataFrame, table, ndarray, memmap, sparse matrix or PenalizedColumns
        Columns of numbers of any type, shape (N, p).

    Returns
    -------
    PenalizedColumns
        Arrays are not copied; a sparse matrix is stored by columns.

    Raises
    ------
    DataError
        If these are not columns of numbers.
    """
    if isinstance(values, PenalizedColumns):
        return values
    if hasattr(values, "columns") or hasattr(values, "__arrow_c_stream__"):
        values = to_frame(values)  # of polars, Arrow or another library
    if isinstance(values, pd.DataFrame):
        return PenalizedColumns(_of_frame(values), values.columns.map(str))
    matrix = (
        sparse.csc_array(values) if sparse.issparse(values) else np.asanyarray(values)
    )
    if np.ma.isMaskedArray(matrix):
        raise DataError("penalized is a masked array; fill the missing values")
    _check_shape(matrix)
    if matrix.dtype.kind not in "biuf":
        raise DataError(
            f"penalized has entries of type {matrix.dtype}; give numbers, such as "
            "np.asarray(values, float)"
        )
    names = pd.Index([f"penalized[{j}]" for j in range(matrix.shape[1])])
    return PenalizedColumns(matrix, names)


def _check_shape(matrix):
    """Reject what has no rows and columns."""
    shape = np.shape(matrix)
    if len(shape) != 2 or not shape[1]:
        raise DataError(
            f"penalized is a matrix of rows and columns, not of shape {shape}"
        )


def _of_frame(frame):
    """The columns of a DataFrame, without a copy if they are of one type."""
    odd = [
        str(name)
        for name, kind in frame.dtypes.items()
        if not pd.api.types.is_numeric_dtype(kind)
    ]
    if odd:
        raise DataError(
            f"penalized has columns that are not numbers: {listed(odd)}; code them as "
            "columns of numbers, for example by pd.get_dummies"
        )
    if frame.shape[1] == 0:
        raise DataError("penalized has no columns")
    if not frame.columns.map(str).is_unique:
        again = frame.columns[frame.columns.map(str).duplicated()]
        raise DataError(f"penalized has several columns named {again[0]}")
    kinds = set(frame.dtypes)
    if len(kinds) == 1 and isinstance(next(iter(kinds)), np.dtype):
        return frame.to_numpy()
    return FrameColumns(frame)


def row_numbers(values):
    """
    The number of each row of penalized columns, to follow the rows of a model.

    Parameters
    ----------
    values : DataFrame or array
        The argument `penalized`.

    Returns
    -------
    Series or ndarray
        0, 1, ..., with the labels of the rows if they have any.
    """
    if isinstance(values, pd.DataFrame):
        return pd.Series(np.arange(len(values)), values.index)
    matrix = values.matrix if isinstance(values, PenalizedColumns) else values
    _check_shape(matrix)
    return np.arange(np.shape(matrix)[0])
