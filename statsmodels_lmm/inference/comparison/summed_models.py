"""
Comparisons of models whose rows were summed in batches.

Rows cannot be compared one by one, but their numbers, means and cross-products can. Nor
can it be told whether columns of one model span those of another, so that columns and
random effects of a smaller model must be among those of the larger one by name.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import rows_summed

SAME = 1e-9
"""Relative difference of sums that is due to rounding and the order of batches."""

ROUNDING = 1e-7
"""Spread of a constant column, relative to its mean, that is rounding."""


@dataclass(frozen=True)
class ColumnMoments:
    """
    Means and cross-products of the columns of a model, by their names.

    Parameters
    ----------
    nobs : int
        Number of rows.
    log_weights : float
        Sum of the logarithms of the prior weights.
    names : list of str
        Names of the columns of X; the response minus the offset is the last column.
    means, gram : ndarray
        Weighted means, and cross-products about these, shapes (p + 1,), (p + 1, p + 1).
    """

    nobs: int
    log_weights: float
    names: list
    means: np.ndarray
    gram: np.ndarray

    def is_same(self, other, mine, theirs):
        """Whether some columns have the moments of those of another model."""
        mine, theirs = np.array(mine, dtype=int), np.array(theirs, dtype=int)
        gram, given = self.gram[np.ix_(mine, mine)], other.gram[np.ix_(theirs, theirs)]
        root, means = np.sqrt(self.nobs), np.abs(self.means[mine])
        spread = np.sqrt(np.diagonal(gram)) + ROUNDING * root * means
        near = np.abs(self.means[mine] - other.means[theirs]) * root
        alike = np.abs(gram - given) <= SAME * np.outer(spread, spread)
        return bool((near <= SAME * (root * means + spread)).all() and alike.all())


def is_summed(*fits):
    """Whether the rows of any of some fits were summed in batches."""
    return any(getattr(fit.model, "summed", None) is not None for fit in fits)


def column_moments(model):
    """
    The moments of a model's columns, from its rows or sums over them.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.

    Returns
    -------
    ColumnMoments
    """
    if model.summed is not None:
        triangle, nobs = model.summed.triangle, model.summed.sums.nobs
        where, rows = model.summed.shift, triangle
        logarithms = model.summed.log_weights
    else:
        nobs = len(model.endog)
        root = np.ones(nobs) if model.weights is None else np.sqrt(model.weights)
        y = model.endog if model.offset is None else model.endog - model.offset
        columns = np.column_stack([model.exog, y])
        where = columns.mean(axis=0)
        rows = np.column_stack([np.ones(nobs), columns - where]) * root[:, None]
        logarithms = 2.0 * float(np.log(root).sum())
    ones, columns = rows[:, 0], rows[:, 1:]
    means = ones @ columns / (ones @ ones)
    columns = columns - np.outer(ones, means)
    gram = columns.T @ columns
    return ColumnMoments(nobs, logarithms, model.exog_names, where + means, gram)


def check_same_sums(full, restricted):
    """
    Reject models of sums over different data.

    Parameters
    ----------
    full, restricted : CrossedMixedLMResults or RegressionResults
        The fits, at least one of sums.

    Raises
    ------
    DataError
        If numbers of rows, weights or responses differ.
    """
    for fit in (full, restricted):
        if not hasattr(fit.model, "random"):
            raise rows_summed("a comparison with a model without random effects")
    one, other = column_moments(full.model), column_moments(restricted.model)
    if one.nobs != other.nobs:
        raise DataError(
            f"the models were fitted to different data: {one.nobs} and {other.nobs} "
            "rows"
        )
    if abs(one.log_weights - other.log_weights) > SAME * one.nobs:
        raise DataError("the models were fitted with different weights")
    if not one.is_same(other, [-1], [-1]):
        raise DataError("the models were fitted to different responses or offsets")


def have_same_fixed(one, other):
    """
    Whether two models have the same columns of fixed effects.

    Parameters
    ----------
    one, other : CrossedMixedLM
        The models.

    Returns
    -------
    bool
    """
    if one.summed is None and other.summed is None:
        return np.array_equal(one.exog, other.exog)
    return one.exog_names == other.exog_names and not _foreign(one, other)


def check_nested_sums(full, restricted):
    """
    Reject a restricted model that is not part of the full one, by names and moments.

    Parameters
    ----------
    full, restricted : CrossedMixedLMResults
        The fits, at least one of sums.

    Raises
    ------
    DataError
    """
    foreign = _foreign(full.model, restricted.model)
    if foreign:
        raise DataError(
            f"from sums over the rows it cannot be told that the models are nested: "
            f"{', '.join(map(str, foreign))} of the restricted one is not a column of "
            "the full one"
        )
    for effects in restricted.model.random:
        if not any(_holds(known, effects) for known in full.model.random):
            raise DataError(
                "the models are not nested: the random effects "
                f"({', '.join(map(str, effects.effect_names))} | {effects.name}) are "
                "not in the full one"
            )


def _foreign(full, restricted):
    """Names of the restricted model's columns that are not columns of the full one."""
    one, other = column_moments(full), column_moments(restricted)
    places = {name: j for j, name in enumerate(one.names)}
    found = [(places[n], j) for j, n in enumerate(other.names) if n in places]
    lost = [name for name in other.names if name not in places]
    if lost or not found:
        return lost
    mine, theirs = map(list, zip(*found))
    if one.is_same(other, [*mine, -1], [*theirs, -1]):
        return []
    each = zip(found, other.names)
    differing = [n for (i, j), n in each if not one.is_same(other, [i, -1], [j, -1])]
    return differing or other.names


def _holds(full, effects):
    """Whether the covariance blocks of one factor lie within those of another."""
    if full.name != effects.name or full.n_levels != effects.n_levels:
        return False
    return all(
        _block_is_in(full, names, inner)
        for names, inner in zip(effects.block_names, effects.grouped.structures)
    )


def _block_is_in(full, names, inner):
    """Whether one block, or each of its effects, is a special case of another."""
    pairs = zip(full.block_names, full.grouped.structures)
    if any(outer.holds(inner) and set(names) <= set(every) for every, outer in pairs):
        return True
    parts = inner.parts()
    each = (_block_is_in(full, [n], part) for n, part in zip(names, parts))
    return bool(parts) and all(each)
