"""The covariance of the errors as tables, and residuals that take it into account."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import require_data


def whitening(results):
    """
    The covariance of the errors at the estimates, a Whitening.

    Its sigma is that of a row whose log standard deviation is zero.
    """
    require_data(results.model, "the covariance of the errors")
    return results.at_optimum.whitening


def log_deviations(results):
    """Logarithms of the errors' standard deviations over sigma / sqrt(w), (n,)."""
    if results.model.residual is None:
        return np.zeros(len(results.model.endog))
    return whitening(results).log_deviations


def normalized_residuals(results):
    """
    Residuals that are independent with variance 1 if the model holds.

    They are U e / sigma with U'U = R^-1, as nlme's ``type = "normalized"``; within a
    residual group each is the error that the rows before it leave unexplained.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    ndarray
        Shape (n,).
    """
    require_data(results.model, "a residual")
    weights = results.model.weights
    weighted = results.resid * (1.0 if weights is None else np.sqrt(weights))
    if results.model.residual is not None:
        weighted = whitening(results).apply(weighted)
    return weighted / np.sqrt(results.scale)


def residual_covariance(results: Any, group: Any = None) -> pd.DataFrame:
    """
    Covariance matrix of the errors of one residual group.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit of a model with ``residual=`` or ``dispersion=``.
    group : object, optional
        Label of the residual group. Default is the first with most rows.

    Returns
    -------
    DataFrame
        sigma^2 R with prior weights, labeled by visit, by time or by row.

    Raises
    ------
    DataError
        If there is no such group.
    """
    errors = results.model.residual
    if errors is None or errors.term is None:
        raise DataError(
            "the errors are not correlated; their variances follow from "
            "residual_table() and, row by row, from resid and resid_pearson"
        )
    covariance = whitening(results)
    sizes = np.bincount(errors.codes)
    if group is None:
        number = int(np.argmax(sizes))
    else:
        number = (
            errors.groups.get_indexer([group])[0] if errors.groups is not None else -1
        )
        if number < 0:
            raise DataError(f"no residual group {group!r} in {errors.group}")
    rows = np.flatnonzero(errors.codes == number)
    where = errors.where[rows]
    if where.ndim == 1:
        rows = rows[np.argsort(where, kind="stable")]
    phi = covariance.model.split(results.residual_params)[0][errors.parts[rows[0]]]
    deviations = np.sqrt(results.scale) * np.exp(covariance.log_deviations[rows])
    if results.model.weights is not None:
        deviations = deviations / np.sqrt(results.model.weights[rows])
    matrix = errors.structure.correlation(phi, errors.where[rows][None])[0]
    matrix = matrix * np.outer(deviations, deviations)
    labels = _row_labels(results, errors, rows)
    return pd.DataFrame(matrix, labels, labels)


def _row_labels(results, errors, rows):
    """Labels of the rows of a residual group: visits, times, or those of the data."""
    when = errors.where[rows]
    if errors.visits:
        return pd.Index([errors.visits[i] for i in when], name=errors.term.when[0])
    if errors.term.when and when.ndim == 1:
        name, frame = errors.term.when[0], getattr(results.model.data, "frame", None)
        if frame is not None and name in frame:
            return pd.Index(frame[name].iloc[rows])
        return pd.Index(when, name=name)
    labels = results.model.data.row_labels
    return pd.RangeIndex(len(rows)) if labels is None else labels[rows]


def residual_table(results: Any) -> pd.DataFrame:
    """
    The parameters of the errors' covariance.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    DataFrame
        One row per parameter, with its estimate: correlations by their names, and for
        standard deviations the coefficients of their logarithm ("log sd x") and, as
        column ratio, the factor exp(coefficient) by which they multiply sigma.
    """
    errors = results.model.residual
    if errors is None:
        names, values = [], np.zeros(0)
    else:
        names, values = errors.parameter_names, results.residual_params
    with np.errstate(over="ignore"):  # per unit of a column that hardly varies
        ratios = [
            np.exp(value) if name.startswith("log sd ") else np.nan
            for name, value in zip(names, values)
        ]
    columns = {"estimate": values, "ratio": ratios}
    return pd.DataFrame(columns, pd.Index(names, name="parameter"))
