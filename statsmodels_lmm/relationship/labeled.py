"""Matrices and rows that carry the labels of their levels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.plain_arrays import numeric

SHOWN = 5
"""Largest number of labels that a message lists."""


@dataclass(frozen=True, repr=False)
class LabeledMatrix(Brief):
    """
    A sparse symmetric matrix with labeled rows.

    Parameters
    ----------
    matrix : sparse array
        Shape (l, l).
    labels : Index
        Labels of the rows and columns, without duplicates, shape (l,).
    log_determinant : float, optional
        Natural logarithm of the determinant of `matrix`, if known.

    Raises
    ------
    DataError
        If the labels do not fit the matrix or a label appears twice.
    """

    matrix: sparse.csc_array
    labels: pd.Index
    log_determinant: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "matrix", sparse.csc_array(self.matrix))
        object.__setattr__(self, "labels", pd.Index(self.labels))
        if self.matrix.shape != (len(self.labels),) * 2:
            shape = " x ".join(str(n) for n in self.matrix.shape)
            raise DataError(f"{len(self.labels)} labels given for a {shape} matrix")
        check_unique(self.labels, "label")

    def _brief(self):
        return [f"{len(self.labels):,} levels, {self.matrix.nnz:,} entries"]

    def to_frame(self) -> pd.DataFrame:
        """
        Return the matrix as a dense table.

        Returns
        -------
        DataFrame
            The matrix, with the labels as index and columns.

        Raises
        ------
        MemoryError
            If the table does not fit in memory.
        """
        require_square(len(self.labels), "the dense matrix")
        return pd.DataFrame(self.matrix.toarray(), self.labels, self.labels)


def recursive_precision(weights, variances, labels):
    """
    Precision of effects that depend on earlier ones, u = P u + m.

    With Var(m) = D the precision is (I - P)' D^-1 (I - P); its determinant is 1 / |D|.

    Parameters
    ----------
    weights : sparse array
        P, nilpotent, shape (l, l).
    variances : ndarray
        Diagonal of D, positive, shape (l,).
    labels : Index
        Labels of the effects.

    Returns
    -------
    LabeledMatrix
    """
    innovations = sparse.eye_array(len(variances), format="csr") - weights
    precision = innovations.T @ sparse.diags_array(1.0 / variances) @ innovations
    return LabeledMatrix(precision, labels, -float(np.log(variances).sum()))


def labeled_rows(values, what, labels=None):
    """
    Rows of numbers with their labels.

    Parameters
    ----------
    values : DataFrame or array_like
        Numbers, shape (n, m) or (n,). Missing values become NaN.
    what : str
        What the rows are, for messages.
    labels : array_like, optional
        Labels of the rows. Default is the index of a DataFrame, or 0, 1, ...

    Returns
    -------
    numbers : ndarray
        Shape (n, m).
    labels : Index

    Raises
    ------
    DataError
        If there are no rows, a value is not a number, or a label appears twice.
    """
    is_pandas = isinstance(values, pd.DataFrame | pd.Series)
    try:
        frame = pd.DataFrame(values if is_pandas else numeric(values, what))
        numbers = numeric(frame, what)
    except ValueError:
        raise DataError(f"{what} must be a table of numbers") from None
    if not numbers.size:
        raise DataError(f"{what} must have rows and columns")
    if labels is None:
        labels = frame.index
    elif is_pandas:
        labels = aligned(labels, frame.index, "labels")
    labels = pd.Index(labels)
    if len(labels) != len(numbers):
        raise DataError(f"{len(labels)} labels given for {len(numbers)} rows of {what}")
    check_unique(labels, "label")
    return numbers, labels


def check_unique(labels, what):
    """Reject labels that are missing or duplicated, and name them."""
    if labels.hasnans:
        raise DataError(f"a {what.rstrip(':')} is missing")
    twice = labels[labels.duplicated()].unique()
    if len(twice):
        verb = "appears" if len(twice) == 1 else "appear"
        raise DataError(f"{what} {quoted(twice)} {verb} more than once")


def require_square(size, what):
    """Reject a dense square matrix that does not fit in memory."""
    require_memory(
        3 * 8 * size**2,
        f"{what} of {size:,} levels",
        "Use fewer levels, or a sparse inverse",
    )


def quoted(labels):
    """Write the first few labels as text."""
    shown = ", ".join(f"'{label}'" for label in labels[:SHOWN])
    more = len(labels) - SHOWN
    return shown + (f" and {more:,} more" if more > 0 else "")
