"""The data of a model from arrays: a value for each row, complete rows only."""

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import MissingDataError

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.formula.design import RandomEffects
from statsmodels_lmm.formula.frame import rows_text
from statsmodels_lmm.random_effects import as_terms
from statsmodels_lmm.validation import check_row_values


def row_values(values, data, what):
    """
    A value for each row, from an array or the name of a column.

    Parameters
    ----------
    values : str, array_like or None
        The values.
    data : DataFrame
        The data.
    what : str
        What the values are.

    Returns
    -------
    ndarray or None
        Shape (n,).
    """
    if values is None:
        return None
    is_column = isinstance(values, str)
    if is_column:
        if values not in data.columns:
            raise DataError(f"{what}: column '{values}' not in data")
        what, values = f"{what} column '{values}'", data[values]
    try:
        values = pd.Series(values).to_numpy(dtype=float, na_value=np.nan)
    except (TypeError, ValueError):
        raise DataError(f"{what} must be numeric") from None
    if values.shape != (len(data),):
        raise DataError(
            f"{what} has shape {values.shape}, the data have {len(data)} rows"
        )
    # a column may have gaps, whose rows are dropped like any other incomplete row
    check_row_values(values[~np.isnan(values)] if is_column else values, what)
    return values


def aligned(values, labels, what):
    """
    The values of a Series in the order of some rows; anything else as it is.

    Parameters
    ----------
    values : Series or array_like
        The values.
    labels : Index or None
        Labels of the rows.
    what : str
        What the values are.

    Returns
    -------
    Series or array_like

    Raises
    ------
    DataError
        If the labels of the Series are others.
    """
    if not isinstance(values, pd.Series) or labels is None:
        return values
    labels, given = pd.Index(labels), values.index
    if given.equals(labels):
        return values
    unique = labels.is_unique and given.is_unique
    if unique and labels.isin(given).all():
        return values.loc[labels]
    if isinstance(given, pd.RangeIndex) and len(given) == len(labels):
        return values
    raise DataError(
        f"the labels of {what} are not those of the rows of the model, or repeated in "
        "another order; give an array of the rows' values"
    )


def take_rows(values, rows, n_rows):
    """
    Some rows of an array that is as long as the data; anything else as it is.

    Parameters
    ----------
    values : str, array_like or None
        The values.
    rows : ndarray
        Positions of the rows.
    n_rows : int
        Number of rows of the data.

    Returns
    -------
    str, array_like or None
    """
    if values is None or isinstance(values, str) or len(values) != n_rows:
        return values
    return np.asarray(values)[rows]


def without_zero_weights(data, weights, offset):
    """
    Drop the rows of weight zero, which say nothing.

    Parameters
    ----------
    data : DataFrame
        The data.
    weights : ndarray
        Weights, shape (n,).
    offset : ndarray or None
        Offset, shape (n,).

    Returns
    -------
    data : DataFrame
        Rows of positive weight.
    weights, offset : ndarray or None
        Their weights and offset.
    """
    positive = weights != 0
    warn(f"{rows_text((~positive).sum())} of weight 0 dropped", DataWarning)
    offset = None if offset is None else offset[positive]
    return data[positive], weights[positive], offset


def complete_rows(endog, exog, random, weights, offset, missing, known):
    """
    Drop the incomplete rows of the arrays of a model.

    Parameters
    ----------
    endog, exog : array_like
        Response and fixed design.
    random : dict or sequence
        Random effects, see `random_effects.as_terms`.
    weights, offset : array_like or None
        Prior weights and known part of the linear predictor.
    missing : {"none", "drop", "raise"}
        What to do with incomplete rows.
    known : callable
        Names of grouping factors to a dict of `KnownLevels`.

    Returns
    -------
    endog, exog : array_like
        Complete rows.
    random : tuple of RandomEffects
        Random effects of these rows.
    weights, offset : ndarray or None
        Weights and offset of these rows.
    rows : ndarray or None
        Which rows these are, None for all.
    """
    endog = endog if hasattr(endog, "ndim") else np.asarray(endog)
    exog = exog if hasattr(exog, "ndim") else np.asarray(exog)
    terms, n = as_terms(random), len(endog)
    raw = [t for t in terms if not isinstance(t, RandomEffects)]
    for term in raw:
        if term.n_rows != n:
            raise DataError(
                f"the random effects {term.name} have {term.n_rows} rows, endog has {n}"
            )
    rows = None
    weights, offset = _as_array(weights), _as_array(offset)
    no_weight = weights is not None and (weights == 0).any()
    if no_weight:
        warn("rows of weight 0 dropped", DataWarning)
    if missing != "none" or no_weight:
        keep = weights != 0 if no_weight else np.ones(n, dtype=bool)
        if missing != "none":
            arrays = [endog, exog, *(a for a in (weights, offset) if a is not None)]
            for array in arrays:
                keep &= ~pd.DataFrame(np.asarray(array)).isna().to_numpy().any(axis=1)
            for term in raw:
                keep &= ~term.incomplete()
        if not keep.all():
            if missing == "raise":
                raise MissingDataError("missing values in the data")
            rows = keep
            endog, exog = endog[keep], exog[keep]
            weights, offset = (
                None if a is None else a[keep] for a in (weights, offset)
            )
            if len(raw) < len(terms):
                raise DataError("drop incomplete rows before building RandomEffects")
            terms = [t.take(keep) for t in terms]
    related = known([t.name for t in raw])
    random = tuple(
        t if isinstance(t, RandomEffects) else t.build(related.get(t.name))
        for t in terms
    )
    return endog, exog, random, weights, offset, rows


def _as_array(values):
    return None if values is None else np.asarray(values, dtype=float)
