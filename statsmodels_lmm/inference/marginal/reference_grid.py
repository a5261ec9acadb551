"""The combinations of predictors at which marginal means are evaluated."""

from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
import pandas as pd

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import categorical_factors
from statsmodels_lmm.formula.columns import holds_dates
from statsmodels_lmm.formula.names import coded_column, columns_in
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.prediction_rows import new_rows
from statsmodels_lmm.inference.requirements import names_lost, require_sums, rows_summed

ROUNDING = 1e-12
"""Mean of a centered column, relative to its largest value, that is due to rounding."""

WEIGHTS = ("equal", "proportional", "outer", "cells")

STEP = 1e-3
"""Step of a difference quotient, relative to the range of the predictor."""


@dataclass(frozen=True, eq=False)
class ReferenceGrid:
    """
    The fixed-effects design at all combinations of levels of the predictors.

    Parameters
    ----------
    levels : dict
        Values of each of k predictors, as an Index of length n_j.
    design : ndarray
        Fixed-effects design, or its slope in a predictor, shape (n_1, ..., n_k, p).
    offset : ndarray
        Offset, shape (n_1, ..., n_k).
    counts : ndarray
        Number of rows of the data, or sum of their prior weights, with these levels
        of the factors; constant along covariates, NaN if the rows were not kept. Shape
        (n_1, ..., n_k).
    """

    levels: dict
    design: np.ndarray
    offset: np.ndarray
    counts: np.ndarray

    def averaged(self, names, weights="equal"):
        """
        Average over all predictors except the given ones.

        Parameters
        ----------
        names : list of str
            The predictors to keep.
        weights : {"equal", "proportional", "outer", "cells"}, optional
            See `marginal_means`.

        Returns
        -------
        table : DataFrame
            The m combinations of levels of `names`, the first varying fastest.
        rows : ndarray
            Averaged design, shape (m, p); NaN where all weights are 0.
        offset : ndarray
            Averaged offset, shape (m,).
        """
        axes = [list(self.levels).index(name) for name in names]
        others = tuple(i for i in range(len(self.levels)) if i not in axes)
        shares = self._weights(weights, tuple(axes), others)
        with np.errstate(invalid="ignore"):
            shares = shares / shares.sum(axis=others, keepdims=True)
        rows = (shares[..., None] * self.design).sum(axis=others)
        offset = (shares * self.offset).sum(axis=others)
        # the predictors left are in the order of the grid, the last varying fastest
        order = [sorted(axes).index(i) for i in reversed(axes)]
        rows = rows.transpose(*order, len(order)).reshape(-1, rows.shape[-1])
        offset = offset.transpose(order).ravel()
        cells = product(*(range(len(self.levels[name])) for name in reversed(names)))
        codes = np.array(list(cells), dtype=int).reshape(len(offset), len(names))
        table = {n: self.levels[n][c] for n, c in zip(names, codes.T[::-1])}
        return pd.DataFrame(table, index=range(len(offset))), rows, offset

    def _weights(self, weights, axes, others):
        """Unnormalized weights of the cells."""
        if weights == "equal":
            return np.ones_like(self.counts)
        if np.isnan(self.counts).any():
            raise rows_summed(f"weights={weights!r}")
        if weights == "cells":
            return self.counts
        marginal = self.counts.sum(axis=axes, keepdims=True)
        if weights == "proportional":
            return np.broadcast_to(marginal, self.counts.shape)
        shares = np.ones_like(self.counts)
        for i in others:
            rest = tuple(j for j in others if j != i)
            shares = shares * marginal.sum(axis=rest, keepdims=True)
        return shares


def reference_grid(results, at=None, slope=None, means=None):
    """
    Build the reference grid of a fit, by the rules of R's emmeans.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    at : dict, optional
        Values of predictors. By default categorical columns, booleans and ``C(x)``
        have all their levels; a numeric column has its mean over the rows used, which
        count as often as `freq_weights` say, or both of its values if there are only
        two; dates have their median.
    slope : str, optional
        A numeric column: the design is replaced by its slope in that column, from
        difference quotients with an error of fourth order in the step; they are
        exact, except for rounding, for polynomials up to degree 4.
    means : ResponseMeans, optional
        Means of the response, whose gradients and values replace the design and the
        offset. Default is the linear predictor.

    Returns
    -------
    ReferenceGrid

    Raises
    ------
    DataError
        If the model has no formula or no data, or a level was not observed.
    ValueError
        If `at` or `slope` names an unsuitable predictor, or `at` has no values.
    """
    model = results.model
    if not has_formula(model):
        raise DataError(
            "marginal means need the factors of a formula, but a model from arrays has "
            "only columns; test combinations of these with t_test"
        )
    require_sums(model, "a marginal mean")
    if not len(results.params):
        raise DataError("the model has no fixed effects, so there are no means")
    if model.data.model_spec is None:
        raise names_lost(model)
    frame = model.data.frame
    texts = [*model._parsed.fixed_pieces]
    if means is not None and means.average:
        texts += [t.effects for e in model.random for t, _ in e.terms]
    columns = list(
        dict.fromkeys(c for t in texts for c in columns_in(t, frame.columns))
    )
    factors = [c for c in columns if is_factor(results, c)]
    at = {} if at is None else at
    for name in at:
        check_predictor(name, columns)
    levels = {
        name: _chosen(at[name], frame[name], name in factors)
        if name in at
        else _typical_levels(model, name, name in factors)
        for name in columns
    }
    size = prod(len(values) for values in levels.values())
    require_memory(
        8 * 4 * size * len(results.params),
        f"a reference grid of {size} combinations of levels",
        "Select fewer with at={...}",
    )
    if slope is None:
        design, offset = _evaluated(results, levels, means)
        if means is None:
            offset = offset + mean_offset(model)
    else:
        check_predictor(slope, columns)
        if slope in factors:
            raise ValueError(f"'{slope}' is a factor; slopes need a numeric column")
        if holds_dates(frame[slope]):
            raise ValueError(f"'{slope}' holds dates; slopes need a numeric column")
        design, offset = _slope(results, levels, slope, means)
    counted = [
        c for c in columns if c in factors or (c not in at and len(levels[c]) > 1)
    ]
    counts = _counts(model, levels, counted)
    return ReferenceGrid(levels, design, offset, counts)


def check_predictor(name, known):
    """
    Reject a name that is not a predictor.

    Parameters
    ----------
    name : hashable
        Name of a column.
    known : iterable
        Names of the columns used by the fixed effects.

    Raises
    ------
    ValueError
    """
    if name not in known:
        listed = ", ".join(map(str, known)) or "none"
        hint = "; pass several as a list" if set(str(name)) & set("~*:|+") else ""
        raise ValueError(
            f"'{name}' is not a column of the fixed effects, which use {listed}{hint}"
        )


def is_factor(results, name):
    """Whether a column is categorical, or numeric but coded by ``C(...)``."""
    data = results.model.data
    kind = data.frame[name].dtype
    if holds_dates(data.frame[name]):
        return False
    if pd.api.types.is_bool_dtype(kind) or not pd.api.types.is_numeric_dtype(kind):
        return True
    factors = categorical_factors(data.model_spec, data.engine)
    return any(coded_column(factor) == name for factor in factors)


def is_covariate(values):
    """
    Whether a predictor is numeric with more than two values, as in its default.

    Parameters
    ----------
    values : Index
        Values in a reference grid.

    Returns
    -------
    bool
    """
    return len(values) == 1 and pd.api.types.is_numeric_dtype(values)


def _repeats(model):
    """How often each row was observed; None if once."""
    return getattr(model, "freq_weights", None)


def _typical_levels(model, name, is_factor):
    """Values of a predictor at which means are taken unless others are chosen."""
    column = model.data.frame[name]
    if model.summed is None or is_factor:
        return _default_levels(column, is_factor, _repeats(model))
    known = numeric_column(model, name, f"at={{{name!r}: ...}}")
    return pd.Index([known.mean] if known.values is None else known.values)


def numeric_column(model, name, instead):
    """
    What is known of a numeric column of a model of sums over rows.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    name : hashable
        Name of the column.
    instead : str
        What to give if nothing is known, for the message.

    Returns
    -------
    NumericColumn

    Raises
    ------
    DataError
    """
    if name not in model.data.numeric:
        raise DataError(
            f"the rows of the model were summed in batches, and neither mean nor range "
            f"of '{name}' is known: give {instead}"
        )
    return model.data.numeric[name]


def _default_levels(column, is_factor, repeats=None):
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories
    if is_factor:
        return pd.Index(pd.factorize(column, sort=True)[1])
    if holds_dates(column):
        middle = column.sort_values().iloc[(len(column) - 1) // 2]
        return pd.Index(pd.Series([middle], dtype=column.dtype))
    values = pd.Index(np.unique(column))
    if len(values) <= 2:
        return values
    mean = np.average(column.to_numpy(dtype=float), weights=repeats)
    # a centered column has a mean of zero but for rounding
    return pd.Index([mean if abs(mean) > ROUNDING * column.abs().max() else 0.0])


def _chosen(values, column, is_factor):
    """The values requested for a predictor."""
    is_one = isinstance(values, str) or not np.iterable(values)
    wanted = list(dict.fromkeys([values] if is_one else values))
    if not wanted:
        raise ValueError(f"at has no values for '{column.name}'")
    if is_factor:
        known = _default_levels(column, True)
        unseen = [value for value in wanted if value not in known]
        if unseen:
            raise DataError(
                f"'{column.name}' has no level {unseen[0]!r}; it has "
                + ", ".join(map(str, known[:10]))
            )
        return pd.Index(wanted, dtype=known.dtype)
    if holds_dates(column):
        try:
            return pd.Index(pd.Series(wanted).astype(column.dtype))
        except (TypeError, ValueError):
            raise ValueError(
                f"'{column.name}' holds dates, but at={{...}} gives {wanted}"
            ) from None
    numbers = pd.to_numeric(pd.Series(wanted), errors="coerce").to_numpy(float)
    if not np.isfinite(numbers).all():
        raise ValueError(f"'{column.name}' is numeric, but at={{...}} gives {wanted}")
    return pd.Index(numbers)


def _evaluated(results, levels, means):
    """Design and offset of the formula, or means, at all combinations of the levels."""
    shape = tuple(len(values) for values in levels.values())
    codes = np.indices(shape).reshape(len(shape), prod(shape))
    frame = pd.DataFrame(
        {name: values[c] for (name, values), c in zip(levels.items(), codes)},
        index=range(prod(shape)),
    )
    if means is not None:
        gradient, values = means.at(frame, mean_offset(results.model))
        return gradient.reshape(*shape, -1), values.reshape(shape)
    rows = new_rows(results, frame, True, [], None)
    offset = np.zeros(shape) if rows.offset is None else rows.offset.reshape(shape)
    return rows.design.reshape(*shape, -1), offset


def _slope(results, levels, name, means):
    """Slope of the design and of the offset, or of means, along a numeric column."""
    column = results.model.data.frame[name]
    lowest, highest = column.min(), column.max()
    if results.model.summed is not None:
        known = results.model.data.numeric.get(name)
        lowest, highest = 0.0, max(1.0, np.abs(levels[name]).max())
        if known is not None:
            lowest, highest = known.lowest, known.highest
    step = STEP * (highest - lowest)
    if step == 0.0:
        raise DataError(f"'{name}' is constant, so its slope cannot be estimated")
    slopes = []
    for h in (step, 2.0 * step):
        upper, lower = levels[name] + h, levels[name] - h
        width = (upper - lower).to_numpy()
        axes = [-1 if n == name else 1 for n in levels]
        above = _evaluated(results, {**levels, name: upper}, means)
        below = _evaluated(results, {**levels, name: lower}, means)
        design = (above[0] - below[0]) / width.reshape(*axes, 1)
        slopes.append((design, (above[1] - below[1]) / width.reshape(axes)))
    near, far = slopes
    return tuple((4.0 * a - b) / 3.0 for a, b in zip(near, far))


def mean_offset(model):
    """
    Mean of the offset that is not part of the formula, with logarithms of exposures.

    Parameters
    ----------
    model : MixedModel
        A model.

    Returns
    -------
    float
    """
    if model.summed is not None:
        return model.summed.mean_offset
    if model._offset is None:
        return 0.0
    inside = 0.0 if model.formula_offset is None else model.formula_offset
    return float(np.average(model._offset - inside, weights=_repeats(model)))


def _counts(model, levels, factors):
    """Numbers of rows, or sums of prior weights, at combinations of factors."""
    if model.summed is not None:
        return np.full([len(values) for values in levels.values()], np.nan)
    weights = model._frequencies
    cell, seen = np.zeros(len(weights), dtype=int), np.ones(len(weights), dtype=bool)
    for name in factors:
        codes = levels[name].get_indexer(pd.Index(model.data.frame[name]))
        cell = cell * len(levels[name]) + codes
        seen &= codes >= 0
    shape = [len(values) if n in factors else 1 for n, values in levels.items()]
    counts = np.bincount(cell[seen], weights[seen], prod(shape)).reshape(shape)
    return np.broadcast_to(counts, [len(values) for values in levels.values()])
