"""The errors of a model from arrays."""

from dataclasses import replace

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.residual.covariance import ErrorCovariance, error_covariance
from statsmodels_lmm.residual.terms import Residual


def array_errors(residual, dispersion, n_rows, rows=None):
    """
    Build the errors of a model without a formula.

    Parameters
    ----------
    residual : Residual, ErrorCovariance or None
        The correlations, with one value per row for `when`, `group` and `by`.
    dispersion : DataFrame, array_like or None
        Columns of the logarithms of the standard deviations, shape (n,) or (n, s).
    n_rows : int
        Number of rows used.
    rows : ndarray, optional
        Whether each of the rows given is used.

    Returns
    -------
    ErrorCovariance or None
    """
    if residual is None and dispersion is None:
        return None
    if isinstance(residual, ErrorCovariance):
        if len(residual.codes) != n_rows:
            raise DataError(
                f"the errors have {len(residual.codes)} rows, endog has {n_rows}"
            )
        return residual
    if isinstance(residual, str):
        raise DataError(
            "a text such as 'ar1(trial | subject)' names columns, which arrays have "
            "not; pass `residual=Residual('ar1', when=trial, group=subject)`"
        )
    labels = pd.RangeIndex(n_rows)
    values: dict = {}
    term = residual
    if residual is not None:
        if not isinstance(residual, Residual):
            raise TypeError(f"residual must be a Residual, not {residual!r}")
        names: dict = {}
        for role in ("when", "group", "by"):
            given = getattr(residual, role)
            if isinstance(given, str):
                raise DataError(
                    f"{role}={given!r} names a column; without a formula give its "
                    "values"
                )
            names[role] = () if given is None else _columns(given, role, rows, values)
        for name, column in values.items():
            if len(column) != n_rows:
                raise DataError(f"{name} has {len(column)} rows, endog has {n_rows}")
            if column.isna().any():
                raise DataError(f"{name} of the errors has missing values")
        term = replace(residual, **names)
    columns = None
    if dispersion is not None:
        columns = _spread(dispersion, n_rows, rows)
    text = "" if columns is None else " + ".join(map(str, columns))
    return error_covariance(term, text, values, columns, labels)


def _columns(given, role, rows, values):
    """Names of the columns of an argument, whose values are added to `values`."""
    if isinstance(given, pd.DataFrame):
        columns = [(str(name), column) for name, column in given.items()]
    elif getattr(given, "ndim", 1) == 2:
        columns = [(f"{role} {j + 1}", c) for j, c in enumerate(np.asarray(given).T)]
    else:
        columns = [(str(getattr(given, "name", None) or role), given)]
    names = []
    for name, column in columns:
        series = pd.Series(column).reset_index(drop=True)
        series = series if rows is None else series[rows].reset_index(drop=True)
        values[name] = series.rename(name)
        names.append(name)
    return tuple(names)


def _spread(dispersion, n_rows, rows):
    """The columns of the dispersion, without a constant."""
    frame = pd.DataFrame(dispersion).reset_index(drop=True)
    if not isinstance(dispersion, pd.DataFrame):
        names = [getattr(dispersion, "name", None) or "dispersion"]
        if frame.shape[1] > 1:
            names = [f"dispersion {j + 1}" for j in range(frame.shape[1])]
        frame.columns = names
    frame = frame if rows is None else frame[rows].reset_index(drop=True)
    if len(frame) != n_rows:
        raise DataError(f"the dispersion has {len(frame)} rows, endog has {n_rows}")
    if not np.isfinite(frame.to_numpy(float)).all():
        raise DataError("the dispersion has missing or infinite values")
    return frame.loc[:, (frame != frame.iloc[0]).any()]
