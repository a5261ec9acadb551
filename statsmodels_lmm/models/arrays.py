"""The data of a model from arrays: one value per row, complete rows only."""

import numpy as np
import pandas as pd
from statsmodels.tools.sm_exceptions import MissingDataError

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.row_values import argument_of, taken
from statsmodels_lmm.random.random_effects import RandomEffects
from statsmodels_lmm.random.terms import as_terms
from statsmodels_lmm.residual.from_arrays import ErrorColumns


def complete_rows(endog, exog, random, sides, missing, known, errors=None):
    """
    Drop the incomplete rows of the arrays of a model.

    Parameters
    ----------
    endog, exog : array_like
        Response and fixed design.
    random : dict or sequence
        Random effects, see `random.terms.as_terms`.
    sides : dict
        Values of the rows, such as weights and offset: array_like or None, by name.
    missing : {"none", "drop", "raise"}
        What to do with incomplete rows.
    known : callable
        Maps names of grouping factors to a dict of `KnownLevels`.
    errors : ErrorColumns, ErrorCovariance or None, optional
        What is known of the errors of each row.

    Returns
    -------
    endog, exog : array_like
        Complete rows.
    random : tuple of RandomEffects
        Random effects of these rows.
    sides : dict
        The values in these rows, ndarray or None, by name.
    rows : ndarray or None
        Positions of these rows; None for all.
    errors : ErrorCovariance or None
        The covariance of the errors in these rows.
    """
    terms = as_terms(random)
    raw = [t for t in terms if not isinstance(t, RandomEffects)]
    is_raw = isinstance(errors, ErrorColumns)
    labels = _first_labels(endog, exog, [*raw, *[errors] * is_raw], sides.values())
    endog = plain(endog, labels, "the response")
    exog = plain(exog, labels, "the fixed effects")
    n = len(endog)
    terms = [t if isinstance(t, RandomEffects) else t.aligned(labels) for t in terms]
    raw = [t for t in terms if not isinstance(t, RandomEffects)]
    if len(exog) != n:
        raise DataError(f"endog has {n} rows, exog has {len(exog)}")
    for term in raw:
        if term.n_rows != n:
            raise DataError(
                f"the random effects {term.name} have {term.n_rows} rows, endog has {n}"
            )
    sides = {
        name: _side_values(v, labels, n, argument_of(name)) for name, v in sides.items()
    }
    if is_raw:
        errors = errors.aligned(labels, n)
    elif errors is not None and len(errors.codes) != n:
        raise DataError(f"the errors have {len(errors.codes)} rows, endog has {n}")
    rows = _kept_rows(endog, exog, sides, [*raw, *[errors] * is_raw], missing)
    if rows is not None:
        if errors is not None and not is_raw:
            raise DataError("drop incomplete rows before building ErrorCovariance")
        if len(raw) < len(terms):
            raise DataError("drop incomplete rows before building RandomEffects")
        endog, exog, sides = endog[rows], exog[rows], taken(sides, rows)
        terms = [t.take(rows) for t in terms]
        errors = errors.take(rows) if is_raw else None
    related = known([t.name for t in raw])
    random = tuple(
        t if isinstance(t, RandomEffects) else t.build(related.get(t.name))
        for t in terms
    )
    return endog, exog, random, sides, rows, errors.build() if is_raw else errors


def _kept_rows(endog, exog, sides, terms, missing):
    """Rows with weight and, unless `missing` is "none", without gaps; None for all."""
    keep = np.ones(len(endog), dtype=bool)
    for name, values in sides.items():
        if name.endswith("weights") and values is not None:
            keep &= values != 0
    if not keep.all():
        warn("rows of weight 0 dropped", DataWarning)
    if missing != "none":
        complete = np.ones(len(keep), dtype=bool)
        for array in (endog, exog, *sides.values()):
            if array is not None:
                gaps = np.isnan(np.asarray(array).reshape(len(keep), -1))
                complete &= ~gaps.any(axis=1)
        for term in terms:
            complete &= ~term.incomplete()
        if missing == "raise" and not complete[keep].all():
            raise MissingDataError("missing values in the data")
        keep = keep & complete
    return None if keep.all() else keep


def _first_labels(endog, exog, terms, sides):
    """Labels of the rows, from the response or the first argument with labels."""
    given = [labels_of(endog), labels_of(exog), *(t.labels for t in terms)]
    given += [labels_of(values) for values in sides]
    return next((labels for labels in given if labels is not None), None)


def plain(values, labels, what):
    """
    Response or design in the order of the rows, as float64, keeping its names.

    Parameters
    ----------
    values : array_like
        One row for each row of the model.
    labels : Index or None
        Labels of these rows.
    what : str
        What the values are, for messages.

    Returns
    -------
    DataFrame, Series or ndarray
        A copy.
    """
    values = aligned(values, labels, what)
    numbers = numeric(values, what)
    if what == "the response" and not (numbers > 1.0).any() and _is_bool(values):
        raise DataError(
            "the response is true/false; a linear mixed model is not a logistic one"
        )
    if not numbers.ndim:
        raise DataError(f"{what} is a single value, not one per row")
    if isinstance(values, pd.DataFrame):
        return pd.DataFrame(numbers, labels, values.columns, copy=False)
    if isinstance(values, pd.Series):
        return pd.Series(numbers, labels, name=values.name, copy=False)
    return numbers


def _is_bool(values):
    """Whether all values are true or false."""
    if isinstance(values, pd.DataFrame):
        return bool(len(values.columns)) and all(_is_bool(c) for _, c in values.items())
    if pd.api.types.is_object_dtype(getattr(values, "dtype", object)):
        values = pd.Series(np.ravel(np.asarray(values, dtype=object))).infer_objects()
    return pd.api.types.is_bool_dtype(values)


def _side_values(values, labels, n, what):
    """Weights, offset and the like of the rows."""
    if values is None:
        return None
    values = numeric(aligned(values, labels, what), what)
    if values.shape != (n,):
        raise DataError(f"{what} has shape {values.shape}, endog has {n} rows")
    return values
