"""The errors of a model: which rows are correlated, and which columns set variances."""

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance
from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.row_values import named_rows
from statsmodels_lmm.random.random_effects import group_levels
from statsmodels_lmm.residual.coordinates import Coordinate

SHORT = 0.01
"""Usual step of time, in units, below which car1 cannot count in this unit."""

FAR_APART = 7.0
"""Smallest step, in units, from which ar1 and arma cannot count in this unit."""

FITTED = "log |fitted|"
"""Name of the column of fitted values, of which a standard deviation is a power."""

SAME = 1e-9
"""Spread of fitted values, relative to their size, that is rounding."""


@dataclass(frozen=True)
class ErrorCovariance:
    """
    The covariance of the errors of a linear mixed model, for given rows.

    Parameters
    ----------
    term : Residual or None
        The structure with its names; None for independent errors.
    dispersion : str
        The formula of the standard deviations; empty without one.
    group : str
        Name of the factor of the residual groups.
    codes : ndarray
        Residual group of each row, shape (n,).
    groups : Index or None
        Labels of the residual groups.
    where : ndarray
        Place of each row: number of the visit, or coordinates, shape (n,) or (n, d).
    visits : tuple
        Labels of the visits; empty for coordinates.
    parts : ndarray
        Set of parameters of each row, shape (n,).
    part_names : tuple of str
        Names of the sets, one empty name for a single one.
    log_sd : ndarray
        Columns of the logarithms of the standard deviations, shape (n, s).
    log_sd_names : tuple of str
        Their names.
    cells : Cells
        The variances that the structure itself asks for.
    columns : tuple of str
        Columns of the residual groups.
    keys : tuple of LevelKeys
        How the groups derive from these columns.
    coordinates : tuple of Coordinate
        How the coordinates derive from columns; empty for visits.
    """

    term: Any
    dispersion: str
    group: str
    codes: np.ndarray
    groups: Any
    where: np.ndarray
    visits: tuple
    parts: np.ndarray
    part_names: tuple
    log_sd: np.ndarray
    log_sd_names: tuple
    cells: Any = None
    columns: tuple = ()
    keys: tuple = ()
    coordinates: tuple = ()
    follows_fitted: bool = False

    def __str__(self):
        parts = [] if self.term is None else [str(self.term)]
        parts += ["sd a power of the fitted values"] if self.follows_fitted else []
        parts += [f"dispersion ~ {self.dispersion}"] if self.dispersion else []
        return ", ".join(parts)

    @property
    def structure(self):
        """The ResidualStructure, or None."""
        return None if self.term is None else self.term.structure

    @cached_property
    def model(self):
        """How the covariance depends on parameters, a ResidualCovariance."""
        structure = self.structure
        if structure is None:
            layout = lay_out(np.arange(len(self.codes)), np.zeros(len(self.codes)))
            return ResidualCovariance(None, layout, 1, 1, self.log_sd)
        layout = lay_out(
            self.codes, self.where, self.parts, relative=not structure.of_visits
        )
        spread = 0.0
        if not structure.of_visits:
            spread = max(float(np.ptp(b.where, axis=1).max()) for b in layout.batches)
        size = len(self.visits) if structure.of_visits else layout.largest
        n_parts = len(self.part_names)
        return ResidualCovariance(structure, layout, size, n_parts, self.log_sd, spread)

    def with_fitted(self, fitted):
        """The errors whose standard deviations follow given fitted values, (n,)."""
        if not (fitted != 0.0).all():
            raise DataError(
                "a fitted value is zero, of which no power is a standard deviation; "
                "leave out power_of_fitted"
            )
        if is_constant(fitted):
            raise DataError(
                "all fitted values are the same, and so are their powers: leave out "
                "power_of_fitted, or add what tells the means of rows apart"
            )
        names = tuple(name for name in self.log_sd_names if name != FITTED)
        columns = self.log_sd[:, : len(names)], np.log(np.abs(fitted))
        log_sd, names = np.column_stack(columns), (*names, FITTED)
        _check_spread(log_sd, names, self.term, self.cells)
        return replace(self, log_sd=log_sd, log_sd_names=names)

    def on(self, rows):
        """The same errors of some rows of the model."""
        each = ("codes", "where", "parts", "log_sd")
        return replace(self, **{name: getattr(self, name)[rows] for name in each})

    def without_data(self):
        """What remains when the data of the rows are removed: names and numbers."""
        none, n_columns = np.zeros(0, dtype=np.intp), self.log_sd.shape[1]
        log_sd = np.zeros((0, n_columns))
        other = replace(
            self, codes=none, where=none, parts=none, log_sd=log_sd, cells=None
        )
        small = replace(self.model, layout=None, log_sd=log_sd)
        other.__dict__["model"] = small  # which could not be formed without rows
        return other

    @property
    def parameter_ranges(self):
        """Range of each parameter, a list of pairs."""
        own = []
        if self.structure is not None:
            parameters = self.structure.parameters(self.model.size)
            own = [(p.lower, p.upper) for p in parameters]
        free = [(-np.inf, np.inf)] * len(self.log_sd_names)
        return own * len(self.part_names) + free

    @property
    def parameter_names(self):
        """Names of all parameters, those of correlations first."""
        names = []
        if self.structure is not None:
            for part in self.part_names:
                for p in self.structure.parameters(self.model.size):
                    name = _visit_name(p.name, self.visits)
                    names.append(f"{self.term.structure} {name}" + _of(part))
        of_sd = {FITTED: "power of |fitted|"}
        return names + [of_sd.get(x, f"log sd {x}") for x in self.log_sd_names]


def is_constant(fitted):
    """Whether fitted values are the same but for rounding."""
    return bool(np.ptp(fitted) <= SAME * np.abs(fitted).max())


def following_fitted(errors, n_rows):
    """
    Errors whose standard deviations are proportional to a power of the fitted values.

    Parameters
    ----------
    errors : ErrorCovariance or None
        What else is said of them.
    n_rows : int
        Number of rows.

    Returns
    -------
    ErrorCovariance
    """
    if errors is None:
        errors = error_covariance(None, "", {}, None, pd.RangeIndex(n_rows))
    return replace(errors, follows_fitted=True)


def _of(part):
    return f" [{part}]" if part else ""


def _visit_name(name, visits):
    """The name of a parameter of numbered visits, with their labels."""
    if not visits or not name.startswith("("):
        return name
    numbers = [int(number) for number in name.strip("()").split(",")]
    return "(" + ", ".join(_visit_text(visits[n - 1]) for n in numbers) + ")"


def _visit_text(visit):
    """A level as it stands in names of parameters: 2 rather than 2.0, and dates."""
    if isinstance(visit, pd.Timestamp) and visit == visit.normalize():
        return str(visit.date())
    return f"{visit:g}" if isinstance(visit, float) else str(visit)


def _visit_labels(visits):
    """Values of a column as labels of visits: 8 rather than 8.0."""
    labels = pd.Index(visits)
    if pd.api.types.is_float_dtype(labels.dtype) and (labels == labels.round()).all():
        labels = labels.astype(np.int64)
    return tuple(labels)


def error_covariance(term, dispersion, values, columns, labels):
    """
    Build the errors of a model from columns of its rows.

    Parameters
    ----------
    term : Residual or None
        The structure, with `when`, `group` and `by` as tuples of names.
    dispersion : str
        Formula of the standard deviations; empty without one.
    values : dict of Series
        The columns that the term names.
    columns : DataFrame or None
        Columns of the dispersion formula, without a constant.
    labels : Index
        Labels of the rows, for messages.

    Returns
    -------
    ErrorCovariance

    Raises
    ------
    DataError
        If rows cannot be placed, or if the data cannot tell parameters apart.
    """
    n = len(labels)
    zeros = np.zeros(n, dtype=np.intp)
    names: list = []
    extra = [np.zeros((n, 0))]
    codes, groups, where, visits, coordinates = np.arange(n), None, zeros, (), ()
    parts, part_names, group, cells, keys = zeros, ("",), "", None, ()
    if term is not None:
        codes, groups, keys = group_levels([values[name] for name in term.group])
        group = ":".join(map(str, term.group))
        where, visits, coordinates = _where(term, values)
        if term.when and term.structure.needs_place and not _has_nugget(term.structure):
            _check_distinct(term, where, codes, groups, labels)
        if term.by:
            parts, part_names = _parts(term, values, codes, groups)
        column = values[term.when[0]] if term.when else None
        cells = Cells.of(term, where, visits or column, parts, part_names)
        extra.append(cells.columns(where, parts))
        names += cells.names[1:]
        _check_pairs(term, codes, where, visits, parts, part_names)
        if term.structure.name == "car1" or term.structure.of_whole_steps:
            _check_unit(term, codes, where)
    if columns is not None:
        extra.append(columns.to_numpy(float))
        names += list(columns.columns)
    log_sd = np.column_stack(extra)
    _check_spread(log_sd, names, term, cells)
    return ErrorCovariance(
        term, dispersion, group, codes, groups, where, visits,
        parts, part_names, log_sd, tuple(names), cells,
        () if term is None else term.group, keys, coordinates,
    )  # fmt: skip


@dataclass(frozen=True)
class ErrorRows:
    """
    Where new rows stand among the errors of a fit.

    Parameters
    ----------
    codes : ndarray
        Residual group of each row, -1 for one that the fit has not seen, shape (n,).
    where : ndarray
        Places as in `ErrorCovariance`; visits that the fit has not seen are -1.
    parts : ndarray
        Sets of parameters.
    log_sd : ndarray
        Columns of the log standard deviations, NaN where unknown, shape (n, s).
    """

    codes: np.ndarray
    where: np.ndarray
    parts: np.ndarray
    log_sd: np.ndarray

    def take(self, rows):
        """A subset of the rows."""
        each = (self.codes, self.where, self.parts, self.log_sd)
        return ErrorRows(*(values[rows] for values in each))


def error_rows(errors, codes, values, columns):
    """
    Place new rows among the errors of a fit.

    Parameters
    ----------
    errors : ErrorCovariance
        The errors of the fit.
    codes : ndarray or None
        Residual group of each row, -1 if new; None without a structure.
    values : dict of Series
        The columns that the structure names, in the new rows.
    columns : DataFrame or None
        Columns of the dispersion formula, without a constant.

    Returns
    -------
    ErrorRows
    """
    term = errors.term
    n = len(columns) if term is None else len(codes)
    where, parts, extra = np.zeros(n), np.zeros(n, dtype=np.intp), [np.zeros((n, 0))]
    if term is not None:
        if term.when and errors.visits:
            column = values[term.when[0]]
            where = pd.Index(errors.visits).get_indexer(pd.Index(column))
        elif term.when:
            where = _joined(errors.coordinates, values)
        if term.by:
            joined = values[term.by[0]].astype(object).map(_visit_text)
            for name in term.by[1:]:
                joined = joined + ":" + values[name].astype(object).map(_visit_text)
            parts = pd.Index(errors.part_names).get_indexer(pd.Index(joined))
            if (parts < 0).any():
                raise DataError(
                    f"no errors of {':'.join(map(str, term.by))} "
                    f"{joined.iloc[np.argmin(parts)]} are in the fit"
                )
        extra.append(errors.cells.columns(where, parts))
    if columns is not None:
        extra.append(columns.to_numpy(float))
    return ErrorRows(codes, where, parts, np.column_stack(extra))


def _where(term, values):
    """Places of the rows, labels of the visits, and the coordinates."""
    structure = term.structure
    if not term.when:
        return np.zeros(len(values[term.group[0]])), (), ()
    if structure.of_visits or not structure.needs_place:
        return *_visits(term, values), ()
    coordinates = tuple(Coordinate.of(values[x], x, structure) for x in term.when)
    return _joined(coordinates, values), (), coordinates


def _joined(coordinates, values):
    """Places from the columns of coordinates, shape (n,) or (n, d)."""
    each = [coordinate.values(values[coordinate.name]) for coordinate in coordinates]
    return each[0] if len(each) == 1 else np.column_stack(each)


def _visits(term, values):
    """Number of the visit of each row, and the labels of the visits."""
    if len(term.when) != 1:
        raise DataError(
            f"{term.structure} needs one column that names the visit, not "
            f"{len(term.when)}"
        )
    column = values[term.when[0]]
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories()
        codes = used.cat.codes.to_numpy(np.intp)
        return codes, _visit_labels(used.cat.categories)
    numbers, labels = pd.factorize(column, sort=True)
    _check_order(term, labels)
    return numbers.astype(np.intp), _visit_labels(labels)


def _check_order(term, labels):
    """Reject visits named by text whose order is that of numbers in it."""
    if term.structure.name == "us" or pd.api.types.is_numeric_dtype(labels.dtype):
        return
    if not all(isinstance(label, str) for label in labels):
        return
    by_number = sorted(labels, key=_with_numbers)
    if list(labels) != by_number:
        raise DataError(
            f"'{term.when[0]}' is text, in which {', '.join(labels)} follow each "
            f"other; {term.structure} needs the order of the visits: make it a number, "
            f"or `pd.Categorical(column, {by_number}, ordered=True)`"
        )


def _with_numbers(text):
    """A text for sorting, its digits as numbers."""
    pieces = re.split(r"(\d+)", text)
    return [(int(p), "") if p.isdigit() else (-1, p) for p in pieces]


def _has_nugget(structure):
    """Whether two rows of a group at one place are not the same."""
    return bool(getattr(structure, "nugget", False))


def _check_distinct(term, where, codes, groups, labels):
    """Reject two rows of a group at the same place."""
    keys = pd.DataFrame(np.column_stack([codes, where]))
    twice = keys.duplicated(keep=False).to_numpy()
    if twice.any():
        first = np.flatnonzero(twice)[0]
        same = np.flatnonzero((keys == keys.iloc[first]).all(axis=1).to_numpy())
        raise DataError(
            f"{named_rows(labels[same])} of group {groups[codes[first]]} have the same "
            f"{' and '.join(term.when)}, so that {term.structure} cannot place them"
        )


def _parts(term, values, codes, groups):
    """The set of parameters of each row, constant within groups."""
    columns = [values[name] for name in term.by]
    if len(columns) > 1:  # levels joined by colons
        columns = [
            c.map(_visit_text) if pd.api.types.is_float_dtype(c.dtype) else c
            for c in columns
        ]
    parts, levels, _ = group_levels(columns)
    first = np.zeros(codes.max() + 1, dtype=np.intp)
    first[codes] = parts
    if (first[codes] != parts).any():
        row = np.flatnonzero(first[codes] != parts)[0]
        raise DataError(
            f"by={':'.join(map(str, term.by))} varies within the group "
            f"{groups[codes[row]]}; it must be constant in each of "
            f"{':'.join(map(str, term.group))}"
        )
    return parts, tuple(map(_visit_text, levels))


@dataclass(frozen=True)
class Cells:
    """
    Combinations of visits and sets of parameters with variances of their own.

    Parameters
    ----------
    names : list of str
        Their names; the first is the reference.
    codes : ndarray
        Number of each, sets outside and visits inside, ascending.
    visits : Index
        Values of the visits; empty if only the sets differ.
    """

    names: list
    codes: np.ndarray
    visits: Any

    @classmethod
    def of(cls, term, where, shown, parts, part_names):
        """The combinations that a structure tells apart in given rows."""
        structure = term.structure
        equal = structure.has_equal_variances if term.hom is None else term.hom
        if len(term.when or ()) != 1:
            if term.hom is False:
                raise DataError(
                    f"{structure} with hom=False needs one column left of the bar, "
                    "whose values have variances of their own"
                )
            equal = True
        if equal:
            values, names = pd.Index([]), list(part_names)
        else:
            values, first = np.unique(where, return_index=True)
            values = pd.Index(range(len(shown)) if isinstance(shown, tuple) else values)
            shown = shown if isinstance(shown, tuple) else shown.iloc[first]
            shown = shown if isinstance(shown, tuple) else _visit_labels(shown)
            labels = [_visit_text(v) for v in shown]
            names = [f"{v}{_of(part)}" for part in part_names for v in labels]
        cells = cls(names, np.arange(len(names)), values)
        present, counts = np.unique(cells.numbers(where, parts), return_counts=True)
        if not equal and counts.min() < 2:
            alone = names[present[np.argmin(counts)]]
            raise DataError(
                f"one row alone was observed at {':'.join(map(str, term.when))} "
                f"{alone}, from which its variance cannot be estimated: leave it out, "
                "or give all visits one variance with hom=True"
            )
        return cls([names[i] for i in present], present, values)

    def numbers(self, where, parts):
        """The combination of each row; -1 for a visit that the fit has not seen."""
        if not len(self.visits):
            return np.asarray(parts)
        place = self.visits.get_indexer(where)
        return np.where(place < 0, -1, np.asarray(parts) * len(self.visits) + place)

    def columns(self, where, parts):
        """An indicator of each combination but the first; NaN if it is not known."""
        numbers = self.numbers(where, parts)
        out = (numbers[:, None] == self.codes[1:]).astype(float)
        out[~np.isin(numbers, self.codes)] = np.nan
        return out.reshape(len(numbers), -1)


def _check_unit(term, codes, where):
    """Reject a unit of time in which neighboring rows are much too close or too far."""
    order = np.lexsort((where, codes))
    steps = np.diff(where[order])[np.diff(codes[order]) == 0]
    name, group = term.when[0], ":".join(map(str, term.group))
    structure = term.structure
    if structure.of_whole_steps:
        least = float(steps.min(initial=np.inf))
        if np.isfinite(least) and least >= FAR_APART:
            raise DataError(
                f"rows follow each other after {least:g} units of '{name}' or more, "
                f"and {structure} takes a unit as one step, so that neighbors would "
                f"hardly be correlated: count visits, or write `car1({name} | {group})`"
            )
        return
    usual = float(np.median(steps))
    if usual < SHORT:
        raise DataError(
            f"rows follow each other after {usual:.2g} units of '{name}', and car1 has "
            "the correlation of rows one unit apart, too small for a number: measure "
            f"time in shorter units, or write `exp({name} | {group})`"
        )


def _check_pairs(term, codes, where, visits, parts, part_names):
    """Reject correlations of visits that never meet in a group."""
    structure = term.structure
    if np.bincount(codes).max() < 2:
        raise DataError(
            f"each group of {':'.join(map(str, term.group))} has one row, which says "
            "nothing about correlations; use dispersion= for unequal variances"
        )
    if structure.name not in ("us", "toep"):
        return
    for part, name in enumerate(part_names):
        rows = parts == part
        seen = np.zeros((codes.max() + 1, len(visits)))
        seen[codes[rows], where[rows]] = 1.0
        together = seen.T @ seen
        if structure.name == "toep":
            lags = [k for k in range(1, len(visits)) if not np.trace(together, k)]
            missing = [f"two visits that are {k} steps apart" for k in lags]
        else:
            pairs = np.argwhere(together == 0.0)
            missing = [f"both visits {visits[a]} and {visits[b]}" for a, b in pairs]
        if missing:
            raise DataError(
                f"no group of {':'.join(map(str, term.group))} has {missing[0]}"
                f"{_of(name)}, so that their correlation is not determined; use a "
                "structure with fewer parameters, such as ad or ar1"
            )


def _check_spread(log_sd, names, term, cells):
    """Reject columns of log standard deviations that are not independent."""
    whole = np.column_stack([np.ones(len(log_sd)), log_sd])
    kept = set(independent_columns(whole).tolist())
    lost = [name for j, name in enumerate(names, 1) if j not in kept]
    if lost:
        own = cells is not None and len(cells.names) > 1
        raise DataError(
            "the standard deviations of the errors do not determine the coefficients "
            f"of {', '.join(map(str, lost))}: these columns depend linearly on the "
            "others and the constant"
            + (f", among them the variances that {term} has already" if own else "")
        )
