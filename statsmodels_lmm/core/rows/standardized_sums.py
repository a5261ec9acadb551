"""
Standardize sums over rows as `standardize` does the rows themselves.

Standardization is linear in the columns, so that what it makes of the rows is known
from sums over them. X, y and their means come from R, W = Q R with W'W = R'R, because
a Gram matrix would square their condition number. Effect columns are orthonormal with
respect to the prior weights; without weights they are those of `standardize`.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.dense import inverse_lower
from statsmodels_lmm.core.rows.pair_sums import PairSums
from statsmodels_lmm.core.rows.standardize import (
    SPANNED,
    StandardUnits,
    independent_columns,
    power_of_two,
    whitener,
)


@dataclass(frozen=True)
class StandardizedSums(StandardUnits):
    """
    Sums over standardized rows and the maps back to the original units.

    Parameters
    ----------
    sums : PairSums
        Sums with the columns [X y] and the effects in standardized units, terms in
        the user's order.
    terms : tuple of GroupedEffects
        The terms in standardized units, without rows.
    n_columns, kept, to_fixed, to_effects, log_weights, log_fixed
        See `StandardizedDesign`.
    least_squares, response_scale
        See `Standardized`.
    moments : tuple of ndarray or None
        Means over the rows of z z' / w for the standardized effects z of each term,
        (k, k); None if the sums without prior weights w were not kept.
    inverse_weight : float or None
        Mean of 1 / w; None if it was not kept.
    """

    sums: PairSums
    terms: tuple
    n_columns: int
    kept: np.ndarray
    to_fixed: np.ndarray
    to_effects: tuple
    log_weights: float
    log_fixed: float
    least_squares: np.ndarray
    response_scale: float
    moments: tuple | None
    inverse_weight: float | None

    @property
    def n_rows(self):
        """Number of rows n."""
        return self.sums.nobs


def standardize_sums(summed):
    """
    Standardize the sums over the rows of a linear mixed model.

    Parameters
    ----------
    summed : SummedRows
        The sums.

    Returns
    -------
    StandardizedSums
    """
    n, p = summed.sums.nobs, len(summed.shift) - 1
    unit = 1.0
    if summed.has_weights:
        unit = power_of_two(abs(summed.triangle[0, 0]) / np.sqrt(n))
    columns = _centered(summed, unit)
    kept = independent_columns(columns.triangle[:, :p])
    exog, endog = columns.triangle[:, kept], columns.triangle[:, p]
    norms = np.linalg.norm(exog, axis=0)
    q, r = np.linalg.qr(exog / norms)
    change = inverse_lower(r.T).T / norms[:, None] * np.sqrt(n)
    coefficients = np.zeros(len(kept))
    for _ in range(2):  # twice, so that no digits are lost
        further = q.T @ endog / np.sqrt(n)
        endog = endog - q @ further * np.sqrt(n)
        coefficients += further
    scale = float(np.linalg.norm(endog) / np.sqrt(n))
    endog = endog / scale if scale > 0.0 else endog
    to_fixed = columns.back(change, kept)
    fixed = columns.change[:, kept] @ change
    response = (columns.change[:, p] - fixed @ coefficients) / (scale or 1.0)
    standard = np.column_stack([q * np.sqrt(n), endog])
    changes = [_standardize_effects(summed, i, unit) for i in range(len(summed.terms))]
    sums = summed.sums.changed(
        np.column_stack([fixed, response]) / unit, [inner for inner, _, _ in changes]
    )
    plain, moments, inverse_weight = summed.unweighted, None, None
    if plain is not None:
        pairs = zip(changes, plain.effect_moments)
        moments = tuple(inner.T @ m @ inner / n for (inner, _, _), m in pairs)
        inverse_weight = plain.inverse_weights / n
    return StandardizedSums(
        sums=replace(sums, gram=standard.T @ standard),
        terms=tuple(term for _, _, term in changes),
        n_columns=p,
        kept=kept,
        to_fixed=to_fixed / unit,
        to_effects=tuple(outer for _, outer, _ in changes),
        log_weights=summed.log_weights,
        log_fixed=-float(np.linalg.slogdet(to_fixed / unit)[1]),
        least_squares=to_fixed @ coefficients + columns.level * columns.ones[kept],
        response_scale=scale * unit,
        moments=moments,
        inverse_weight=inverse_weight,
    )


@dataclass(frozen=True)
class _Columns:
    """
    [X y], about the means if X has a constant.

    Parameters
    ----------
    triangle : ndarray
        R with the cross-products R'R of these columns, shape (p + 2, p + 1).
    change : ndarray
        What makes these columns of W, shape (p + 2, p + 1).
    constant : int or None
        Position of a constant outside the span of the columns before it.
    shifts : ndarray
        Multiples of the constant subtracted from the columns of X, shape (p,).
    level : float
        What was subtracted from y.
    ones : ndarray
        Coefficients with which X gives a column of ones, zero without a constant,
        shape (p,).
    """

    triangle: np.ndarray
    change: np.ndarray
    constant: int | None
    shifts: np.ndarray
    level: float
    ones: np.ndarray

    def back(self, change, kept):
        """Changes of centered columns kept, (r, r), as changes of those of X."""
        if self.constant is None:
            return change
        out = change.copy()
        out[kept == self.constant] -= self.shifts[kept] @ change
        return out


def _centered(summed, unit):
    """The columns of a fit, with weights divided by the square of a unit."""
    triangle, p = summed.triangle / unit, len(summed.shift) - 1
    uncentered = triangle[:, 1:] + triangle[:, :1] * summed.shift
    change = np.vstack([summed.shift, np.eye(p + 1)])
    means = triangle[0, 1:] / triangle[0, 0]
    where = summed.shift + means
    left = np.linalg.norm(triangle[1:, 1 : p + 1], axis=0)
    same = left <= SPANNED * np.abs(triangle[0, 1 : p + 1])
    constant = _independent_constant(same & (where[:p] != 0.0), uncentered)
    if constant is None:
        none = np.zeros(p)
        return _Columns(uncentered, change, None, none, 0.0, none)
    value, centered = where[constant], triangle[:, 1:].copy()
    centered[0] = 0.0
    centered[:, :p][:, same] = 0.0  # but for rounding
    centered[:, constant] = triangle[:, 0] * value
    change[0] = -means
    change[:, constant] = 0.0
    change[0, constant] = value
    shifts, ones = where[:p] / value, np.zeros(p)
    shifts[constant], ones[constant] = 0.0, 1.0 / value
    return _Columns(centered, change, constant, shifts, float(where[p]), ones)


def _independent_constant(is_constant, columns):
    """Position of a constant outside the span of the columns before it, or None."""
    if not is_constant.any():
        return None
    constant = int(np.argmax(is_constant))
    # a column with a large mean almost spans the constant, but not quite
    before = independent_columns(columns[:, : constant + 1], SPANNED)
    return constant if constant in before else None


def _standardize_effects(summed, i, unit):
    """
    Standardized effects of a term.

    Returns
    -------
    inner, outer : ndarray
        Changes of the shifted and of the user's effects, (k, k).
    term : GroupedEffects
        The term in standardized units.
    """
    term, shift = summed.terms[i], summed.effect_shifts[i]
    total = summed.triangle[0, 0] ** 2
    moments = summed.sums.diagonal[i].sum(axis=0) / total
    inner, outer = np.zeros((2, term.k_effects, term.k_effects))
    structures = []
    for block, constant, structure in zip(
        term.block_slices, summed.constants[i], term.structures
    ):
        own, moved = moments[block, block], np.zeros(len(moments[block]))
        place = None if constant is None else constant - block.start
        if structure.has_structure:  # which survives changes of units only
            moved = -shift[block]
        elif place is not None:
            moved = own[place] / own[place, place]
            moved[place] = 0.0
        centering = np.eye(len(own))
        if place is not None:
            centering[place] -= moved
        own = centering.T @ own @ centering
        norms = np.sqrt(np.diagonal(own))
        norms[norms == 0.0] = 1.0
        if place is not None:
            norms[place] = 1.0  # but for rounding
        change, turn = np.diag(1.0 / norms), None
        if len(own) > 1 and not structure.has_structure:
            turn = whitener(own / norms / norms[:, None])
        change = (change if turn is None else change @ turn) / unit
        inner[block, block] = centering @ change
        if place is not None:
            centering[place] -= shift[block]
        outer[block, block] = centering @ change
        structures.append(structure.in_units(outer[block, block]))
    return inner, outer, replace(term, structures=tuple(structures))
