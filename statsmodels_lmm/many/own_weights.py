"""Responses with the weights of their rows."""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.many.response_table import ResponseTable, response_table, tables_of


@dataclass(frozen=True)
class Source:
    """
    Where the responses came from, for what needs them again.

    Parameters
    ----------
    table : ResponseTable
        The responses.
    weights : ResponseTable, ndarray or None
        Their weights.
    """

    table: ResponseTable
    weights: Any


def with_weights(model, responses, weights):
    """
    Tables of responses, each with its weights.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    responses, weights : object
        As for `fit_many`.

    Yields
    ------
    ResponseTable
        The responses.
    ResponseTable, ndarray or None
        A table of weights, or one for each row of the model.

    Raises
    ------
    DataError
        If they do not match.
    """
    tables = tables_of(responses, model)
    if weights is None or _is_one_for_each_row(weights):
        own = None if weights is None else _row_weights(weights, model)
        for table in tables:
            yield table, own
        return
    for table, own in zip_longest(tables, tables_of(weights, model, "the weights")):
        if table is None or own is None:
            raise DataError(
                "there are not as many tables of weights as of responses; an iterable "
                "of responses needs an iterable of weights, a table for each"
            )
        if len(table) != len(own):
            raise DataError(
                f"there are {len(table)} responses and weights for {len(own)}"
            )
        if not isinstance(own.names, pd.RangeIndex) and not own.names.equals(
            table.names
        ):
            raise DataError("the columns of the weights are not named as the responses")
        yield table, own


def _is_one_for_each_row(weights):
    """Whether weights are not a table."""
    if isinstance(weights, list | tuple):
        return not any(hasattr(row, "__len__") for row in weights)
    return len(getattr(weights, "shape", (0, 0))) == 1


def _row_weights(weights, model):
    """One weight for each row of the model."""
    if isinstance(weights, pd.Series):
        weights = weights.to_frame()
    else:
        weights = numeric(weights, "the weights")[:, None]
    return response_table(weights, model, "the weights").block(0, 1)[0]


def read_weights(weights, start, stop):
    """
    The weights of some responses.

    Parameters
    ----------
    weights : ResponseTable, ndarray or None
        A table, or one weight for each row.
    start, stop : int
        Positions of the responses.

    Returns
    -------
    ndarray or None
        Zero where missing, shape (stop - start, n).

    Raises
    ------
    DataError
        If a weight is negative or infinite.
    """
    if weights is None:
        return None
    if isinstance(weights, np.ndarray):
        own = np.broadcast_to(weights, (stop - start, len(weights)))
    else:
        own = weights.block(start, stop)
    own = np.where(np.isnan(own), 0.0, own)
    if (own < 0.0).any() or np.isinf(own).any():
        raise DataError("weights are negative or infinite")
    return own
