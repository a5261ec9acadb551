"""The complete rows of a batch, in the columns that a formula needs."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.tables import as_text, batch_frame
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.columns import holds_dates, plain_column
from statsmodels_lmm.formula.frame import incomplete_rows
from statsmodels_lmm.formula.names import coded_column, columns_in, names_in
from statsmodels_lmm.formula.pieces import factors
from statsmodels_lmm.formula.subsets import condition_of, rows_that_hold
from statsmodels_lmm.formula.tokens import tokenize
from statsmodels_lmm.inputs.row_values import row_values, taken

KINDS_OF_LEVELS = {
    "bytes": "bytes",
    "decimal": "numbers",
    "datetime": "times",
    "datetime64": "times",
    "timedelta": "durations",
    "timedelta64": "durations",
    "period": "periods",
}
"""Kinds of levels by what pandas infers, where they differ from those of a term."""


@dataclass(frozen=True)
class Wanted:
    """
    What a model takes from a batch.

    Parameters
    ----------
    roles : dict
        Uses of the columns of the formula, see `formula.frame.column_roles`.
    coded : frozenset
        Columns that are read as levels only, of which text may stay codes.
    sides : dict
        Columns of "weights" and "offset", or None.
    subset : str or None
        Condition on the rows.
    missing : {"drop", "raise"}
        What to do with incomplete rows.
    scope : dict
        Names that are not columns.
    names : list
        Columns to be read.
    """

    roles: dict
    coded: frozenset
    sides: dict
    subset: str | None
    missing: str
    scope: dict
    names: list

    @property
    def predictors(self):
        """Columns that are evaluated by the formula, not only grouped by."""
        return [name for name, role in self.roles.items() if role != {"group"}]


@dataclass(frozen=True)
class CompleteRows:
    """
    The complete rows of a batch.

    Parameters
    ----------
    frame : DataFrame
        Columns of the formula in these rows, converted as with all rows in memory.
    text : frozenset
        Columns of text that are categorical, so that their order has no meaning.
    sides : dict of ndarray
        Weights and offset, or None, of these rows.
    counts : Counts
        What was read and left out.
    """

    frame: pd.DataFrame
    text: frozenset
    sides: dict
    counts: "Counts"


@dataclass(frozen=True)
class Counts:
    """
    Rows that have been read, and those that were left out.

    Parameters
    ----------
    read, chosen, weightless, complete : int
        Rows read, those that satisfy the condition, those of weight 0 among them, and
        those that are used.
    missing : dict of int
        Number of missing values of each column that has any.
    """

    read: int = 0
    chosen: int = 0
    weightless: int = 0
    complete: int = 0
    missing: dict = field(default_factory=dict)

    def plus(self, other):
        """The counts of both."""
        names = [*self.missing, *other.missing]
        missing = {
            n: self.missing.get(n, 0) + other.missing.get(n, 0)
            for n in dict.fromkeys(names)
        }
        return Counts(
            self.read + other.read,
            self.chosen + other.chosen,
            self.weightless + other.weightless,
            self.complete + other.complete,
            missing,
        )

    @property
    def dropped(self):
        """Number of chosen rows that are not used."""
        return self.chosen - self.complete


def levels_only(formula, columns):
    """
    Columns that a formula reads as levels only.

    Parameters
    ----------
    formula : ModelFormula
        The formula.
    columns : Index
        Names of the columns.

    Returns
    -------
    frozenset
        Columns that are terms by themselves or in ``C(...)``, or group rows, and are
        part of no other expression.
    """
    texts = [*formula.fixed_pieces, *formula.grouping_expressions]
    texts += [term.effects for term in formula.random]
    computed = set(columns_in(formula.response, columns))
    for text in texts:
        alone = names_in(text).alone
        for piece in factors(tokenize(text)):
            factor = text[piece[0].start : piece[-1].stop]
            read = columns_in(factor, columns)
            coded = coded_column(factor)
            computed |= {n for n in read if n not in alone and n != coded}
    return frozenset(set(columns) - computed)


def complete_rows(table, wanted, start):
    """
    Select the complete rows of a batch, converted as with all rows in memory.

    Parameters
    ----------
    table : DataFrame or table
        The batch.
    wanted : Wanted
        What to take.
    start : int
        Number of rows before this batch.

    Returns
    -------
    CompleteRows

    Raises
    ------
    DataError
        If a column cannot be used.
    """
    frame, text = batch_frame(table, wanted.names, start)
    read = len(frame)
    plain = {name: as_text(frame[name]) for name in text - wanted.coded}
    frame = frame.assign(**plain) if plain else frame
    if wanted.subset is not None:
        condition = condition_of(wanted.subset)
        chosen = rows_that_hold(condition, wanted.subset, frame, wanted.scope)
        frame = frame[chosen]
    columns = {what: name for what, name in wanted.sides.items() if name is not None}
    sides = {what: row_values(name, frame, what) for what, name in columns.items()}
    n_chosen = len(frame)
    if "weights" in sides and (sides["weights"] == 0).any():
        positive = sides["weights"] != 0
        frame, sides = frame[positive], taken(sides, positive)
    values = {
        name: plain_column(frame[name], name, role, is_whole=False)
        for name, role in wanted.roles.items()
    }
    gaps = {name: pd.isna(v) for name, v in values.items()}
    for name in (name for name, role in wanted.roles.items() if "group" in role):
        _check_one_kind(frame[name], name)
    for what, name in columns.items():
        gaps[name] = gaps.get(name, False) | np.isnan(sides[what])
    incomplete = np.any(list(gaps.values()), axis=0)
    missing = {name: int(gap.sum()) for name, gap in gaps.items() if gap.any()}
    if missing and wanted.missing == "raise":
        raise incomplete_rows(missing, "raise")
    counts = Counts(
        read, n_chosen, n_chosen - len(frame), int((~incomplete).sum()), missing
    )
    frame = pd.DataFrame(values, index=frame.index, copy=False)
    if missing:
        frame, sides = frame[~incomplete], taken(sides, ~incomplete)
    sides = {**dict.fromkeys(wanted.sides), **sides}
    return CompleteRows(frame, text & wanted.coded, sides, counts)


def _check_one_kind(column, name):
    """Reject a grouping column of values of several kinds, such as 1 and "1"."""
    if column.dtype != object:
        return
    if not pd.api.types.infer_dtype(column, skipna=True).startswith("mixed"):
        return
    first = column.dropna().map(type).drop_duplicates()
    kinds = {kind_of_levels(column.loc[[row]]): row for row in first.index[::-1]}
    if len(kinds) > 1:
        (known, _), (found, row) = list(kinds.items())[::-1][:2]
        raise mixed_levels(name, known, found, f"row {row}")


def mixed_levels(name, known, found, where):
    """
    The error for a grouping column of values of two kinds.

    Parameters
    ----------
    name : str
        The column.
    known, found : str
        The kinds, see `kind_of_levels`.
    where : str
        Where those of the second kind are.

    Returns
    -------
    DataError
    """
    return DataError(
        f"grouping column '{name}' mixes {known} and {found}, which would be different "
        f"levels: it holds {found} in {where}; convert the column"
    )


def kind_of(column):
    """
    What kind of values a column has, for those that may not be mixed.

    Parameters
    ----------
    column : Series
        Values from `complete_rows`, at least one.

    Returns
    -------
    str
        "numbers", "true and false", "dates" or "text".
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return "text"
    if pd.api.types.is_bool_dtype(column.dtype):
        return "true and false"
    if pd.api.types.is_numeric_dtype(column.dtype):
        return "numbers"
    if holds_dates(column):
        return "dates"
    if pd.api.types.infer_dtype(column, skipna=True) == "boolean":
        return "true and false"
    return "text"


def kind_of_levels(column):
    """
    The kind of values that group rows, of categories that of their values.

    Parameters
    ----------
    column : Series
        Values, at least one.

    Returns
    -------
    str
        That of `kind_of`, but decimals are numbers, and dates are told from times.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.cat.categories.to_series()
    column = column.infer_objects()
    kind = KINDS_OF_LEVELS.get(pd.api.types.infer_dtype(column, skipna=True))
    return kind or kind_of(column)


def check_kinds(frame, known):
    """
    Reject columns whose values are of another kind than in batches before.

    Parameters
    ----------
    frame : DataFrame
        Complete rows.
    known : dict of str
        Kinds of the columns to be checked.

    Raises
    ------
    DataError
    """
    for name, kind in known.items():
        found = kind_of(frame[name])
        if found != kind:
            first = frame.index[0]
            raise DataError(
                f"column '{name}' mixes {kind} and {found}: it holds {found} in the "
                f"batch with row {first}"
            )
