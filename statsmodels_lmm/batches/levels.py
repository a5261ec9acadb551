"""Levels of grouping factors, numbered in the order in which batches bring them."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.columns import EXACT_INTEGERS
from statsmodels_lmm.random.random_effects import (
    LevelKeys,
    factorize_unsorted,
    joined_levels,
)

HALF = np.int64(2**32)
"""Base in which two numbers of levels are one number."""


class Values:
    """
    The distinct values that a column has had so far.

    They are kept in indexes of different sizes, of which only those of similar size are
    joined, so that a value is hashed as many times as the logarithm of their number.

    Parameters
    ----------
    name : str, optional
        The column, for messages.

    Attributes
    ----------
    categories : Index or None
        The categories of the column, if they are the same in all batches.
    is_ordered : bool
        Whether these categories are ordered.
    """

    def __init__(self, name=""):
        self.name = name
        self._parts = []
        self._of_batches = []

    @classmethod
    def restored(cls, index, kinds, name=""):
        """Values with their numbers, and the `plain_kinds` of their batches."""
        values = cls(name)
        values._parts = [index] if len(index) else []
        for plain in kinds:
            kind = plain and pd.CategoricalDtype(*plain)
            values._of_batches.append(kind)
        return values

    def copy(self):
        """The same values, to which others can be added."""
        values = type(self)(self.name)
        values._parts, values._of_batches = self._parts[:], self._of_batches[:]
        return values

    def plain_kinds(self):
        """The categories of the batches and whether they are ordered, or None."""
        kinds = self._of_batches
        if len(kinds) > 1:  # of which only that they differ will count
            kinds = [None, *[k for k in kinds if k is not None][:1]]
        return [k and [k.categories.tolist(), bool(k.ordered)] for k in kinds]

    @property
    def categories(self):
        """The categories of the column, None if batches have different ones."""
        found = self._of_batches
        return found[0].categories if len(found) == 1 and found[0] is not None else None

    @property
    def is_ordered(self):
        """Whether these categories are ordered."""
        return self.categories is not None and bool(self._of_batches[0].ordered)

    def unused(self):
        """Categories that no batch has used."""
        seen = [kind.categories for kind in self._of_batches if kind is not None]
        every = _joined(seen).unique() if seen else pd.Index([])
        return every.difference(self.index, sort=False)

    def see(self, kind):
        """
        Note the categories of a batch, or that they are not the same in all batches.

        Parameters
        ----------
        kind : CategoricalDtype or None
            None for values that are not categorical.
        """
        if not any(_are_same(kind, other) for other in self._of_batches):
            self._of_batches.append(kind)

    def __len__(self):
        return sum(map(len, self._parts))

    @property
    def first(self):
        """The first value as a column, or none."""
        return pd.Series(self._parts[0][:1] if self._parts else [])

    @property
    def index(self):
        """The values in the order of their numbers."""
        if not self._parts:
            return pd.Index([])
        self._parts = [_joined(self._parts)]
        return self._parts[0]

    def see_all(self, other):
        """Note the categories of the batches of other values."""
        for kind in other._of_batches:
            self.see(kind)

    def place(self, uniques):
        """
        Numbers of distinct values, new ones included.

        Parameters
        ----------
        uniques : Index
            Distinct values.

        Returns
        -------
        ndarray
            Shape (number of values,).

        Raises
        ------
        DataError
            If whole numbers would lose digits.
        """
        self._check_digits(uniques)
        is_float = uniques.dtype.kind == "f"
        if is_float and any(part.dtype.kind in "iu" for part in self._parts):
            # as all rows in memory would be, so that levels have the same labels
            self._parts = [_as_floats(part) for part in self._parts]
        if self._parts and _is_decimal(uniques) != _is_decimal(self._parts[0]):
            codes, alike = pd.factorize(_like(uniques, self._parts[0]))
            return self._placed(alike)[codes]
        return self._placed(uniques)

    def _check_digits(self, uniques):
        """Reject large whole numbers beside decimals, as which some would be equal."""
        every = [*map(_numbers, self._parts), _numbers(uniques)]
        every = [v for v in every if v.dtype.kind in "iuf"]
        if len({v.dtype.kind for v in every}) < 2:
            return
        whole = [v for v in every if v.dtype.kind in "iu" and len(v)]
        if any(v.max() > EXACT_INTEGERS or v.min() < -EXACT_INTEGERS for v in whole):
            types = " and ".join(dict.fromkeys(str(v.dtype) for v in every))
            raise DataError(
                f"grouping column '{self.name}' has whole numbers above 2**53 and is "
                f"of the types {types} in different batches, together in which they "
                "lose digits; convert the column to text, or to int64 in all batches"
            )

    def _placed(self, uniques):
        at = np.full(len(uniques), -1)
        start = 0
        for part in self._parts:
            rest = np.flatnonzero(at < 0)
            if not len(rest):
                break
            found = part.get_indexer(uniques[rest])
            at[rest] = np.where(found < 0, -1, found + start)
            start += len(part)
        new = at < 0
        if new.any():
            at[new] = len(self) + np.arange(np.count_nonzero(new))
            self._parts.append(uniques[new])
            while len(self._parts) > 1 and len(self._parts[-2]) <= 2 * len(
                self._parts[-1]
            ):
                self._parts[-2:] = [_joined(self._parts[-2:])]
        return at

    def codes(self, column, is_text=False):
        """
        Number of the value of each row.

        Parameters
        ----------
        column : Series
            A value for each row, none of them missing.
        is_text : bool, optional
            Whether the order of categories has no meaning, because the column is text.

        Returns
        -------
        ndarray
            Shape (n,).
        """
        is_category = isinstance(column.dtype, pd.CategoricalDtype)
        self.see(column.dtype if is_category and not is_text else None)
        if is_category:
            codes, categories = column.cat.codes.to_numpy(), column.cat.categories
            counts = np.bincount(codes, minlength=len(categories))
            used = np.flatnonzero(counts)
            numbers = np.empty(len(categories), dtype=np.int64)
            numbers[used] = self.place(categories[used])
            return numbers[codes]
        codes, uniques = factorize_unsorted(column)
        return self.place(pd.Index(uniques))[codes]


def _joined(parts):
    """Indexes one after the other, of a type that holds the values of all."""
    return parts[0].append(parts[1:]) if len(parts) > 1 else parts[0]


def _numbers(values):
    """Objects that are numbers, those of nullable columns, as these."""
    are = values.dtype == object and len(values) > 0 and isinstance(values[0], int)
    return values.infer_objects() if are else values


def _as_floats(values):
    """Whole numbers as decimal numbers."""
    return values.astype(float) if values.dtype.kind in "iu" else values


def _is_decimal(values):
    """Whether values are objects of the type Decimal, by the first of them."""
    return values.dtype == object and len(values) > 0 and type(values[0]) is Decimal


def _like(values, known):
    """Numbers as decimals, or decimals as numbers, since 0.1 is not Decimal("0.1")."""
    if _is_decimal(known):
        return pd.Index([Decimal(str(value)) for value in values], dtype=object)
    return pd.Index(values.astype(float)) if _is_decimal(values) else values


def _are_same(one, other):
    """Whether two types, or None, have the same categories in the same order."""
    if one is None or other is None:
        return one is other
    return one.ordered == other.ordered and one.categories.equals(other.categories)


@dataclass
class Factor:
    """
    The levels of one grouping factor: values of a column, or combinations of several.

    Parameters
    ----------
    values : list of Values
        The values of each column, which factors may share.
    pairs : list of Values
        For the second and each further column, the combinations of the levels so far
        with its values, as numbers.
    """

    values: list
    pairs: list

    @classmethod
    def of(cls, values):
        """A factor of these columns without levels."""
        return cls(values, [Values() for _ in values[1:]])

    @property
    def n_levels(self):
        """Number of levels so far."""
        return len((self.pairs or self.values)[-1])

    def codes(self, columns):
        """
        Number of the level of each row.

        Parameters
        ----------
        columns : list of ndarray
            Number of the value of each column in each row, shapes (n,).

        Returns
        -------
        ndarray
            Shape (n,).
        """
        codes = columns[0]
        for column, pairs in zip(columns[1:], self.pairs):
            codes = pairs.codes(pd.Series(codes * HALF + column))
        return codes

    def place(self, other, columns):
        """
        Numbers of the levels of another factor of the same columns.

        Parameters
        ----------
        other : Factor
            The other factor.
        columns : list of ndarray
            Numbers here of the values of each of its columns.

        Returns
        -------
        ndarray
            Shape (levels of the other factor,).
        """
        numbers = columns[0]
        for pairs, others, column in zip(self.pairs, other.pairs, columns[1:]):
            left, right = np.divmod(others.index.to_numpy(), HALF)
            numbers = pairs.place(pd.Index(numbers[left] * HALF + column[right]))
        return numbers

    def sorted(self, orders):
        """
        The levels in the order that they have with all rows in memory.

        Parameters
        ----------
        orders : list of (Index, ndarray)
            For each column its values in order, and the place of each value.

        Returns
        -------
        levels : Index
            The levels in order.
        keys : tuple of LevelKeys
            How they derive from the values of the columns.
        places : ndarray
            Place of each level, shape (n_levels,).
        """
        parts = [orders[0][1][np.arange(len(self.values[0]))]]
        for pairs, (_, place) in zip(self.pairs, orders[1:]):
            left, right = np.divmod(pairs.index.to_numpy(), HALF)
            parts = [*(part[left] for part in parts), place[right]]
        order = np.lexsort(parts[::-1])
        places = np.empty(len(order), dtype=np.int64)
        places[order] = np.arange(len(order))
        keys = tuple(
            LevelKeys(values, part[order]) for (values, _), part in zip(orders, parts)
        )
        return joined_levels(keys), keys, places


def value_order(values, categories=None):
    """
    Distinct values in the order of the levels of a factor.

    Parameters
    ----------
    values : Index
        The values as they arrived.
    categories : Index, optional
        The categories of a categorical column, whose order counts.

    Returns
    -------
    ordered : Index
        The values in order: that of the categories, or sorted if they can be.
    places : ndarray
        Place of each value.
    """
    if categories is not None:
        order = np.argsort(categories.get_indexer(values))
    else:
        try:
            order = values.argsort()
        except TypeError:  # values of different types stay as they arrived
            order = np.arange(len(values))
    places = np.empty(len(values), dtype=np.int64)
    places[order] = np.arange(len(values))
    return values[order], places
