"""Levels and effect columns of the random effects for new data."""

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.backend import (
    design_matrices,
)
from statsmodels_lmm.formula.columns import plain_column
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.random.random_effects import factorize_unsorted


def codes_of(effects, frame):
    """Level of each row of new data: -1 for a new level, -2 for a missing one."""
    missing = np.zeros(len(frame), dtype=bool)
    positions = []
    for name, keys in zip(effects.columns, effects.keys):
        column = find_column(frame, name)
        values = pd.Series(plain_column(frame[column], name, {"group"}), name=name)
        missing |= values.isna().to_numpy()
        if values.dtype == object:  # to reject values that cannot be levels
            factorize_unsorted(values)
        positions.append(keys.uniques.get_indexer(_comparable(values)))
    known = pd.MultiIndex.from_arrays([k.codes for k in effects.keys])
    codes = known.get_indexer(pd.MultiIndex.from_arrays(positions))
    return np.where(missing, -2, codes)


def effects_of(effects, frame, specs, scope, engine):
    """Effect columns for new data, shape (n, k)."""
    parts = [
        _effect_columns(specs.get(term.effects), frame, scope, engine)
        for term, _ in effects.terms
    ]
    return np.column_stack(parts)


def _comparable(column):
    """A column of new data as an Index comparable with the known values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    return pd.Index(column)


def _effect_columns(spec, frame, scope, engine):
    if spec is None:
        return np.ones((len(frame), 1))
    columns = design_matrices(spec, frame, scope, engine, prediction=True)[1]
    return columns.to_numpy(float)
