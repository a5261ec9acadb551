"""The errors of a model from arrays."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.residual.covariance import ErrorCovariance, error_covariance
from statsmodels_lmm.residual.terms import Residual

ROLES = ("when", "group", "by")


@dataclass(frozen=True)
class ErrorColumns:
    """
    What is known of the errors of each row: when, in which group, and how variable.

    Parameters
    ----------
    residual : Residual or None
        The correlations.
    columns : dict
        Series, DataFrame or array_like for each row, by role: "when", "group", "by" and
        "dispersion".
    """

    residual: Residual | None
    columns: dict

    @property
    def labels(self):
        """Labels of the rows; None without any."""
        each = map(labels_of, self.columns.values())
        return next((labels for labels in each if labels is not None), None)

    def aligned(self, labels, n_rows):
        """The columns in the order of the rows of a model, without labels."""
        columns = {}
        for role, values in self.columns.items():
            values = aligned(values, labels, f"{role} of the errors")
            length = len(values) if np.ndim(values) else 1
            if length != n_rows:
                raise DataError(
                    f"{role} of the errors has {length} rows, endog has {n_rows}"
                )
            columns[role] = _frame(values, role)
        return replace(self, columns=columns)

    def incomplete(self):
        """Whether a value is missing, shape (n,)."""
        gaps = [frame.isna().any(axis=1).to_numpy() for frame in self.columns.values()]
        return np.any(gaps, axis=0)

    def take(self, rows):
        """The columns in some rows."""
        pairs = self.columns.items()
        taken = {r: frame[rows].reset_index(drop=True) for r, frame in pairs}
        return replace(self, columns=taken)

    def build(self):
        """The ErrorCovariance, or None if all errors have one variance."""
        for role, frame in self.columns.items():
            if frame.isna().any(axis=None):
                raise DataError(
                    f"{role} of the errors has missing values; `missing='drop'` drops "
                    "these rows"
                )
        columns = dict(self.columns)
        spread, text = columns.pop("dispersion", None), ""
        if spread is not None:
            if not np.isfinite(spread.to_numpy(float)).all():
                raise DataError("the dispersion has infinite values")
            spread = spread.loc[:, (spread != spread.iloc[0]).any()]
            text = " + ".join(map(str, spread))
        names: dict = dict.fromkeys(ROLES, ())
        values: dict = {}
        for role, frame in columns.items():
            for name, column in frame.items():
                name = f"{role} {name}" if name in values else name
                values[name] = column.rename(name)
                names[role] = (*names[role], name)
        if self.residual is None and not text:
            return None
        term = None if self.residual is None else replace(self.residual, **names)
        n_rows = len(next(iter(self.columns.values())))
        return error_covariance(term, text, values, spread, pd.RangeIndex(n_rows))


def array_errors(residual, dispersion):
    """
    Read the errors of a model without a formula.

    Parameters
    ----------
    residual : Residual, ErrorCovariance or None
        The correlations, with one value per row for `when`, `group` and `by`.
    dispersion : DataFrame, array_like or None
        Columns of the logarithms of the standard deviations, shape (n,) or (n, s).

    Returns
    -------
    ErrorColumns, ErrorCovariance or None
        What has yet to be aligned with the rows, or is complete.

    Raises
    ------
    DataError
        If names of columns are given.
    """
    if isinstance(residual, ErrorCovariance):
        return residual
    if residual is None and dispersion is None:
        return None
    if isinstance(residual, str):
        raise DataError(
            "a text such as 'ar1(trial | subject)' names columns, which arrays have "
            "not; pass `residual=Residual('ar1', when=trial, group=subject)`"
        )
    if residual is not None and not isinstance(residual, Residual):
        raise TypeError(f"residual must be a Residual, not {residual!r}")
    columns = {} if residual is None else {r: getattr(residual, r) for r in ROLES}
    columns |= {"dispersion": dispersion}
    columns = {role: values for role, values in columns.items() if values is not None}
    for role, values in columns.items():
        if isinstance(values, str):
            what = "is a formula" if role == "dispersion" else "names a column"
            raise DataError(
                f"{role}={values!r} {what}; without a formula give its values"
            )
    return ErrorColumns(residual, columns)


def _frame(values, role):
    """Named columns with rows 0, 1, ..., from one column or several."""
    if isinstance(values, pd.DataFrame):
        return values.reset_index(drop=True).rename(columns=str)
    if getattr(values, "ndim", 1) == 2:
        array = np.asarray(values)
        names = [f"{role} {j + 1}" for j in range(array.shape[1])]
        return pd.DataFrame(array, columns=names)
    name = str(getattr(values, "name", None) or role)
    return pd.Series(values, name=name).reset_index(drop=True).to_frame()
