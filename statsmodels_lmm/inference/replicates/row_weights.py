"""Weights and numbers of trials of the rows whose responses are drawn."""

import numpy as np

from statsmodels_lmm.core.families.checks import is_broken
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.row_values import listed, row_values
from statsmodels_lmm.inputs.tables import to_frame


def row_weights(results):
    """
    Weights with which responses of the rows of a model are drawn.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    ndarray
        Numbers of trials for a binomial family; otherwise prior weights, shape (n,).

    Raises
    ------
    DataError
        If a row stands for several observations, or for a broken number of trials.

    Warns
    -----
    DataWarning
        If prior weights are not part of the distribution of a single row.
    """
    model = results.model
    if results._is_gaussian:
        return np.ones(len(model.endog)) if model.weights is None else model.weights
    if np.any(model._repeats != 1.0):
        raise DataError(
            "a row with freq_weights stands for several observations, of which each "
            "has a response of its own: repeat the rows to simulate"
        )
    prior, family = model._prior_weights, results.family
    drawn = prior
    if family.name == "Binomial":
        drawn = prior if model.trials is None else model.trials
        _require_whole(drawn, model._row_labels)
    elif not family.has_extra or family.extra_is_squared:
        drawn = np.ones(len(prior))
    if (drawn != prior).any():
        warn(
            f"responses are drawn without the prior weights: a {family.name} "
            "distribution has none",
            DataWarning,
        )
    return drawn


def new_weights(results, exog, weights):
    """
    Weights of new rows.

    Parameters
    ----------
    results : MixedResults
        A fit.
    exog : DataFrame
        The new data.
    weights : array_like, float, str or None
        Values of the rows, a number, or the name of a column.

    Returns
    -------
    ndarray
        Shape (n,), NaN where missing.

    Raises
    ------
    DataError
        If numbers of trials are needed, weights are not positive or trials are broken.
    """
    data, model = to_frame(exog), results.model
    is_binomial = not results._is_gaussian and results.family.name == "Binomial"
    if weights is None:
        if is_binomial and not model.is_binary:
            raise DataError(
                "the response of new rows needs numbers of trials: pass weights= as an "
                "array, a number or the name of a column"
            )
        return np.ones(len(data))
    if np.ndim(weights) == 0 and not isinstance(weights, str):
        weights = np.full(len(data), weights)
    found = row_values(weights, data, "weights")
    bad = found <= 0.0
    if bad.any():
        raise DataError(f"weights are not positive in rows {listed(data.index[bad])}")
    if is_binomial:
        _require_whole(found, data.index)
    return found


def _require_whole(trials, labels):
    """Reject numbers of trials that are not whole."""
    broken = is_broken(trials)
    if broken.any():
        raise DataError(
            "responses cannot be drawn: the weights are not whole numbers of trials in "
            f"rows {listed(labels[broken])}"
        )
