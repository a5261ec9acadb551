"""The response of a generalized model: one column, or successes and failures."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import labels_of
from statsmodels_lmm.inputs.row_values import check_row_values, listed, refuse
from statsmodels_lmm.inputs.text_values import numbers_in, reading_advice

ADVICE = (
    "; a proportion needs its number of trials in weights, counts of successes need "
    "two columns, successes + failures, and other counts family='poisson'"
)
"""What a binomial response may be."""


@dataclass(frozen=True)
class ResponseData:
    """
    The response of a generalized model, one value per row.

    Parameters
    ----------
    y : ndarray
        Proportions of successes for a binomial family, else the values, shape (n,).
    weights : ndarray or None
        Numbers of trials times the given weights, shape (n,); None if all are 1.
    trials : ndarray or None
        Numbers of trials, if the response has columns of successes and failures.
    name : str
        Name of the response.
    event : object
        The level that counts as a success, True for booleans, None for numbers.
    """

    y: np.ndarray
    weights: np.ndarray | None
    trials: np.ndarray | None
    name: str
    event: object = None


def coded_response(endog, is_binary, name=None):
    """
    Convert text, categories and booleans to 0 and 1.

    Parameters
    ----------
    endog : array_like
        One value per row, or two columns. Numbers are returned unchanged.
    is_binary : bool
        Whether the response may have two levels, of which the second is the event, as
        it may for a binomial family. Otherwise booleans are numbers.
    name : str, optional
        Name of the response; default is that of the Series or column.

    Returns
    -------
    endog : array_like
        Labeled like the original, with NaN for missing values.
    event : object
        The level that is now 1, True for booleans, None for numbers.

    Raises
    ------
    DataError
        If there are not two levels, or the response must be numeric.
    """
    labels = labels_of(endog)
    column = _single_column(endog)
    if column is None:
        return endog, None
    name = name or column.name or "y"
    kind = _kind(column)
    if kind is None:
        return endog, None
    event = None
    if kind == "boolean":
        event = True if is_binary else None
        values = column.astype("boolean").to_numpy(dtype=float, na_value=np.nan)
    elif is_binary:
        found = pd.Categorical(column).remove_unused_categories()
        event = event_of(found.categories, name)
        values = np.where(found.codes < 0, np.nan, found.codes)
    else:
        raise text_response(column, name)
    return (values if labels is None else pd.Series(values, labels, name=name)), event


def as_vector(endog):
    """
    A response of a single column as a vector.

    Parameters
    ----------
    endog : array_like, Series or DataFrame
        The response.

    Returns
    -------
    array_like
        Any other response is returned unchanged.
    """
    if np.shape(endog)[1:] != (1,):
        return endog
    if isinstance(endog, pd.DataFrame):
        return endog.iloc[:, 0]
    return np.asarray(endog)[:, 0]


def text_response(column, name):
    """
    The error for a response that is text where numbers are needed.

    Parameters
    ----------
    column : Series
        The response, of text or categories.
    name : str
        Its name.

    Returns
    -------
    DataError
        It names the first values that are no numbers with their rows.
    """
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    kind = "categorical" if is_category else "text"
    text = f"the response '{name}' must be numeric, but it is {kind}"
    levels = column.dropna().astype(object).unique()
    if len(levels) == 2 and not numbers_in(column).notna().any():
        return DataError(
            f"{text}; as it has the two levels {levels[0]!r} and {levels[1]!r}, a "
            "logistic model suits: "
            "`crossedmixedglm(formula, data, family='binomial')`"
        )
    joint = ": " if numbers_in(column).isna().any() else "; "
    return DataError(f"{text}{joint}{reading_advice(column, name)}")


def event_of(levels, name):
    """
    The level of a binary response that counts as a success, the second.

    Parameters
    ----------
    levels : sequence
        The levels in their order.
    name : str
        Name of the response.

    Returns
    -------
    object

    Raises
    ------
    DataError
        If there are not two levels.
    """
    levels = list(levels)
    if len(levels) != 2:
        s = "" if len(levels) == 1 else "s"
        raise DataError(
            f"the response '{name}' has {len(levels)} level{s}: {listed(levels)}; a "
            "binary response has two"
        )
    return levels[1].item() if isinstance(levels[1], np.generic) else levels[1]


def response_data(endog, family, weights=None, name=None, event=None):
    """
    The response of a generalized model, after a check of its values.

    Parameters
    ----------
    endog : ndarray, Series or DataFrame
        Numbers in the rows used, shape (n,), (n, 1), or (n, 2) for the successes and
        failures of a binomial family.
    family : Family
        The family.
    weights : ndarray, optional
        Numbers of trials or prior weights, shape (n,); they multiply the numbers of
        trials that two columns give.
    name : str, optional
        Name of the response; default is that of the Series or column.
    event : object, optional
        The level that was coded as 1, see `coded_response`.

    Returns
    -------
    ResponseData

    Raises
    ------
    DataError
        If the family cannot have such a response, or the likelihood no maximum; the
        message names the column and rows.
    """
    values = np.asarray(endog, dtype=float)
    labels = labels_of(endog)
    labels = pd.RangeIndex(len(values)) if labels is None else labels
    columns = list(getattr(endog, "columns", [getattr(endog, "name", None)]))
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    is_binomial = family.name == "Binomial"
    if values.ndim != 1 and not (is_binomial and values.shape[1:] == (2,)):
        allowed = ", or two: successes and failures" if is_binomial else ""
        raise DataError(
            f"a {family.name} response has one column{allowed}; its shape is "
            f"{values.shape}"
        )
    if weights is not None:
        check_row_values(weights, "weights", labels)
    trials = None
    if values.ndim == 2:
        names = columns if len(columns) == 2 else ["successes", "failures"]
        name = name or (" + ".join(map(str, names)) if len(columns) == 2 else "y")
        trials = _trials(values, names, labels, name)
        values = values[:, 0] / trials
    name = name or columns[0] or "y"
    # weights of 0/1 values need not be numbers of trials
    is_binary = is_binomial and ((values == 0.0) | (values == 1.0)).all()
    counted = trials if trials is not None else weights
    if counted is None or is_binary:
        counted = np.ones(len(values))
    what = f"the response '{name}'"
    refuse(f"{what} is missing or infinite", ~np.isfinite(values), labels)
    problem = family.problem(values, counted)
    if problem is not None:
        advice = _advice(values, name, trials) if is_binomial else ""
        refuse(f"{what} {problem[0]}", problem[1], labels, advice)
    _refuse_constant(values, family, name, event)
    if trials is not None:
        weights = trials if weights is None else trials * weights
    return ResponseData(values, weights, trials, name, event)


def another_response(endog, is_binomial, trials, event, labels):
    """
    Another response of a model that keeps its numbers of trials and its event.

    Parameters
    ----------
    endog : array_like
        One value per row, or successes and failures. Counts of successes are converted
        to proportions if there are numbers of trials.
    is_binomial : bool
        Whether two levels are allowed.
    trials : ndarray or None
        Numbers of trials of a model with successes and failures, shape (n,).
    event : object
        The level that counts as a success in the model, if it has levels.
    labels : Index
        Labels of the rows, for messages.

    Returns
    -------
    array_like
        One value per row.

    Raises
    ------
    DataError
        If trials or levels differ from those of the model.
    """
    endog, found = coded_response(endog, is_binomial)
    if found is not None and found is not True and event is not None and found != event:
        raise DataError(
            f"the levels of the response differ: the event is {found!r}, and "
            f"{event!r} in the model"
        )
    if trials is None:
        return endog
    counts = np.asarray(endog, dtype=float)
    if counts.shape == (len(trials), 2):
        other = counts.sum(axis=1) != trials
        refuse("the numbers of trials are not those of the model", other, labels)
        return counts[:, 0] / trials
    if counts.shape == trials.shape:
        refuse("there are more successes than trials", counts > trials, labels)
        broken = np.abs(counts - np.round(counts)) > 1e-6 * np.maximum(1.0, counts)
        advice = "; multiply proportions by the numbers of trials"
        refuse("the successes are not whole numbers", broken, labels, advice)
        return counts / trials
    return endog


def _advice(values, name, trials):
    """What to do about a binomial response."""
    levels = np.unique(values)
    if trials is not None or len(levels) != 2:
        return ADVICE
    return f"; if {levels[1]:g} is the event, write {name} == {levels[1]:g}"


def _single_column(values):
    """Values as a Series, None if there are several columns."""
    if isinstance(values, pd.DataFrame):
        return values.iloc[:, 0] if values.shape[1] == 1 else None
    if isinstance(values, pd.Series):
        return values
    if np.ma.isMaskedArray(values) and values.dtype.kind in "bU":
        values = np.where(
            np.ma.getmaskarray(values), np.nan, values.data.astype(object)
        )
    if not isinstance(values, pd.Categorical | pd.api.extensions.ExtensionArray):
        values = np.asarray(values)
        if values.ndim == 2 and values.shape[1] == 1:
            values = values[:, 0]
    return pd.Series(values) if values.ndim == 1 else None


def _kind(column):
    """What a column holds instead of numbers, None for numbers."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "categorical"
    inferred = pd.api.types.infer_dtype(column, skipna=True)
    return {"boolean": "boolean", "string": "text"}.get(inferred)


def _trials(counts, names, labels, name):
    """Numbers of trials from columns of successes and failures."""
    for values, column, what in zip(counts.T, names, ("successes", "failures")):
        given = what if str(column) == what else f"the {what} '{column}'"
        refuse(f"{given} are missing or infinite", ~np.isfinite(values), labels)
        many = "; there are more successes than trials" if what == "failures" else ""
        refuse(f"{given} are negative", values < 0.0, labels, many)
        broken = np.abs(values - np.round(values)) > 1e-6 * np.maximum(1.0, values)
        refuse(f"{given} are not whole numbers", broken, labels)
    trials = counts.sum(axis=1)
    out = "; leave such rows out"
    refuse(f"the response '{name}' has no trials", trials == 0.0, labels, out)
    return trials


def _refuse_constant(y, family, name, event):
    """Reject a response at which the likelihood has no maximum."""
    if len(y) < 2 or (y != y[0]).any():
        return
    if family.name == "Binomial":
        if 0.0 < y[0] < 1.0:
            return
        said = f"is {y[0]:.0f} in every row"
        if event is not None:
            said = f"is {'always' if y[0] else 'never'} {event}"
    elif family.is_discrete:
        if y[0]:
            return
        said = "is 0 in every row"
    else:
        said = "is constant"
    raise DataError(f"the response '{name}' {said}, so the likelihood has no maximum")
