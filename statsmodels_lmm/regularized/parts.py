"""A model on some of its rows or columns, as its constructor would make it."""

from dataclasses import replace

import numpy as np
import pandas as pd


def with_columns(model, exog, names):
    """
    The model without penalized columns, with another fixed design.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    exog : ndarray
        Fixed design, shape (n, q).
    names : sequence of str
        Names of its columns.

    Returns
    -------
    CrossedMixedLM
    """
    return _model(model, exog, names, penalized=None, penalized_rows=None)


def on_rows(model, rows):
    """
    The model on some rows, with all levels, so that those without rows have modes too.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    rows : ndarray
        Positions of the rows, shape (m,).

    Returns
    -------
    CrossedMixedLM
    """
    random = tuple(replace(e, grouped=e.grouped.take(rows)) for e in model.random)
    return _model(model, model.exog, model.exog_names, rows, random)


def without_empty_levels(model):
    """The model without the levels that have no rows, unless they are related."""
    random = []
    for effects in model.random:
        part, levels = effects.grouped.subset(slice(None)), effects.levels
        if part.n_levels < len(levels):
            levels = levels[np.unique(effects.grouped.codes)]
        random.append(replace(effects, levels=levels, grouped=part, keys=()))
    return _model(model, model.exog, model.exog_names, random=tuple(random))


def _model(model, exog, names, rows=slice(None), random=None, **other):
    labels, errors = model.data.row_labels, model.residual
    labels = None if labels is None else labels[rows]
    errors = None if errors is None else errors.on(rows)
    return model._general_class(
        pd.Series(model.endog[rows], labels, name=model.endog_names),
        pd.DataFrame(exog[rows], labels, columns=list(names), copy=False),
        random=tuple(model.random) if random is None else random,
        check_levels=False,
        rank=model.rank,
        residual=errors,
        **model._beyond_design(rows) | other,
    )
