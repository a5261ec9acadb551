"""Sums over rows in batches, all that a fit needs of them."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from statsmodels_lmm.batches.complete_rows import Counts, kind_of_levels, mixed_levels
from statsmodels_lmm.batches.levels import Factor, Values, value_order
from statsmodels_lmm.batches.recipe import Recipe
from statsmodels_lmm.core.rows.growing_links import (
    changed,
    linked_blocks,
    links_of,
    pushed,
    renumbered,
    total,
)
from statsmodels_lmm.core.rows.growing_sums import GrowingSums, shift_of_effects
from statsmodels_lmm.core.rows.pair_sums import PairSums
from statsmodels_lmm.core.rows.summed_rows import PlainSums, SummedRows
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.random.random_effects import RandomEffects

LARGEST = 1e153
"""Norm of a column whose square has all its digits."""


@dataclass
class Sums:
    """
    The sums of a recipe over the batches so far.

    Parameters
    ----------
    recipe : Recipe
        How batches become columns.
    counts : Counts
        Rows read and left out.
    values : dict of Values
        The values of each grouping column.
    seen : dict of Values
        The values of columns of text that are no factors.
    factors : list of Factor
        The levels of each grouping factor, of the columns in `values`.
    shift : ndarray or None
        What is subtracted from X and the response, shape (p + 1,); None without rows.
    effect_shifts : list of ndarray
        What is subtracted from the effects of each term, shapes (k_i,).
    levels : GrowingSums or None
        Sums by level; None without rows.
    offsets : float
        Sum of the offsets that are not in the formula.
    links : dict of tuple
        Cross-products of each pair of terms, in parts, see `growing_links.pushed`.
    """

    recipe: Recipe
    counts: Counts = field(default_factory=Counts)
    values: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)
    factors: list = field(default_factory=list)
    shift: Any = None
    effect_shifts: list = field(default_factory=list)
    levels: Any = None
    offsets: float = 0.0
    links: dict = field(default_factory=dict)

    @classmethod
    def empty(cls, recipe):
        """The sums over no rows."""
        values = {name: Values(name) for name in recipe.grouping}
        factors = [
            Factor.of([values[name] for name in terms[0].grouping])
            for terms in recipe.parsed.by_factor
        ]
        seen = {n: Values() for n, kind in recipe.kinds.items() if kind == "text"}
        return cls(recipe, values=values, seen=seen, factors=factors)

    def copy(self):
        """The same sums, to which others can be added; no array is copied."""
        values = {name: found.copy() for name, found in self.values.items()}
        factors = [
            Factor(
                [values[name] for name in terms[0].grouping],
                [pairs.copy() for pairs in factor.pairs],
            )
            for factor, terms in zip(self.factors, self.recipe.parsed.by_factor)
        ]
        return replace(
            self,
            values=values,
            seen={name: found.copy() for name, found in self.seen.items()},
            factors=factors,
            links=dict(self.links),
        )

    @property
    def nbytes(self):
        """Memory of the sums, without that of the levels' names."""
        arrays = [part for parts in self.links.values() for part in parts]
        size = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in arrays)
        if self.levels is not None:
            size += sum(a.nbytes for a in self.levels.level_sums + self.levels.diagonal)
        return size

    def add(self, table, start=None):
        """
        Add the rows of a batch.

        Parameters
        ----------
        table : DataFrame or table
            The batch.
        start : int, optional
            Number of rows before it, for messages. Default is that of these sums.
        """
        rows = self.recipe.rows(table, self.counts.read if start is None else start)
        self.counts = self.counts.plus(rows.complete.counts)
        if not len(rows.columns):
            return
        if rows.complete.sides["offset"] is not None:
            self.offsets += float(rows.complete.sides["offset"].sum())
        if self.shift is None:
            self._place(rows)
        frame, text = rows.complete.frame, rows.complete.text
        for name, seen in self.seen.items():
            seen.codes(frame[name], True)
        self._check_kinds(rows.groups, f"the batch with row {frame.index[0]}")
        found = {
            name: values.codes(rows.groups[name], name in text)
            for name, values in self.values.items()
        }
        codes = [
            factor.codes([found[name] for name in terms[0].grouping])
            for factor, terms in zip(self.factors, self.recipe.parsed.by_factor)
        ]
        n_levels = [factor.n_levels for factor in self.factors]
        rows.columns[:, 1:] -= self.shift
        sums, effects = GrowingSums.of(
            rows.columns,
            codes,
            n_levels,
            rows.effects,
            self.effect_shifts,
            rows.weights,
        )
        self.levels = sums if self.levels is None else self.levels.plus(sums)
        terms = list(zip(codes, n_levels, effects))
        for i, j in _pairs(len(terms)):
            links = links_of(terms[i], terms[j])
            self.links[i, j] = pushed(self.links.get((i, j), ()), links)

    def _check_kinds(self, groups, where):
        """Reject grouping values of another kind than before, such as 1 and "1"."""
        for name, values in self.values.items():
            if len(values) and len(groups[name]):
                kinds = kind_of_levels(values.first), kind_of_levels(groups[name])
                if len(set(kinds)) > 1:
                    raise mixed_levels(name, *kinds, where)

    def _place(self, rows):
        """Choose the shifts: the means of the first rows."""
        columns = rows.columns[:, 1:]
        first, means = columns[0].copy(), columns.mean(axis=0)
        constant = (columns == first).all(axis=0)
        self.shift = np.where(constant, first, means)
        self.effect_shifts = []
        for i, effects in enumerate(rows.effects):
            intercept = self.recipe.intercepts(i)
            move = np.where(intercept < 0, 0.0, effects.mean(axis=0))
            move[intercept[intercept >= 0]] = 0.0
            self.effect_shifts.append(move)

    def merge(self, other):
        """
        Add the sums of other batches.

        Parameters
        ----------
        other : Sums
            Sums of the same recipe, which are not changed.
        """
        rows = self.counts.plus(other.counts)
        if other.levels is None:
            self.counts = rows
            return
        theirs = {name: values.first for name, values in other.values.items()}
        self._check_kinds(theirs, "the sums to be added")
        self.offsets += other.offsets
        for name, values in other.seen.items():
            self.seen[name].place(values.index)
        codes = self._merged_levels(other)
        n_levels = [factor.n_levels for factor in self.factors]
        if self.levels is None:
            self.shift, self.effect_shifts = other.shift, list(other.effect_shifts)
        by = np.concatenate([[0.0], other.shift - self.shift])
        changes = [
            shift_of_effects(before, after, self.recipe.intercepts(i))
            for i, (before, after) in enumerate(
                zip(other.effect_shifts, self.effect_shifts)
            )
        ]
        sums = other.levels.moved(by, changes).numbered(codes, n_levels)
        self.levels = sums if self.levels is None else self.levels.plus(sums)
        for (i, j), parts in other.links.items():
            sizes = len(changes[i]), len(changes[j])
            levels = n_levels[i], n_levels[j]
            for part in parts:
                moved = changed(part, changes[i], changes[j])
                placed = renumbered(moved, sizes, codes[i], codes[j], levels)
                self.links[i, j] = pushed(self.links.get((i, j), ()), placed)
        self.counts = rows

    def _merged_levels(self, other):
        """Numbers here of the levels of each factor there."""
        numbers = {}
        for name, values in other.values.items():
            self.values[name].see_all(values)
            numbers[name] = self.values[name].place(values.index)
        return [
            mine.place(theirs, [numbers[name] for name in terms[0].grouping])
            for mine, theirs, terms in zip(
                self.factors, other.factors, self.recipe.parsed.by_factor
            )
        ]

    def finish(self):
        """
        The sums with their levels sorted.

        Returns
        -------
        summed : SummedRows
            The sums.
        random : tuple of RandomEffects
            The random effects without rows.
        """
        orders = {
            name: value_order(values.index, values.categories)
            for name, values in self.values.items()
        }
        random, places = [], []
        for factor, terms in zip(self.factors, self.recipe.parsed.by_factor):
            of_columns = [orders[name] for name in terms[0].grouping]
            levels, keys, place = factor.sorted(of_columns)
            random.append(self._random_effects(terms, levels, keys))
            places.append(place)
        n_levels = [effects.n_levels for effects in random]
        sums, shift = self._about_constants()
        self._check_range(sums.triangle)
        sums = sums.numbered(places, n_levels)
        sizes = [len(effects.effect_names) for effects in random]
        links = {}
        for i, j in _pairs(len(random)):
            # the parts are not needed beside their sum
            self.links[i, j] = (total(self.links[i, j]),)
            blocks, levels = (sizes[i], sizes[j]), (n_levels[i], n_levels[j])
            placed = renumbered(
                self.links[i, j][0], blocks, places[i], places[j], levels
            )
            links[i, j] = linked_blocks(placed, blocks)
        summed = SummedRows(
            sums=PairSums(
                nobs=sums.nobs,
                gram=sums.triangle.T @ sums.triangle,
                level_sums=sums.level_sums,
                diagonal=sums.diagonal,
                links=links,
            ),
            triangle=sums.triangle,
            shift=shift,
            effect_shifts=tuple(self.effect_shifts),
            constants=tuple(map(self._constants, range(len(random)))),
            terms=tuple(effects.grouped for effects in random),
            log_weights=sums.log_weights,
            has_weights=sums.plain is not None,
            plain=None if sums.plain is None else PlainSums(*sums.plain),
            mean_offset=self.offsets / sums.nobs,
        )
        return summed, tuple(random)

    def _random_effects(self, terms, levels, keys):
        names, sizes, grouped = self.recipe.term(terms)
        return RandomEffects(
            name=terms[0].group,
            levels=levels,
            effect_names=tuple(names),
            grouped=replace(grouped, n_levels=len(levels)),
            columns=terms[0].grouping,
            terms=tuple(zip(terms, sizes)),
            keys=keys,
        )

    def _about_constants(self):
        """The sums and the shift, which is 0 in columns of X that are constant."""
        sums = self.levels
        constant = sums.lowest[1:] == sums.highest[1:]
        constant[-1] = False  # the response
        back = np.where(constant, self.shift, 0.0)
        unchanged = [np.eye(len(shift)) for shift in self.effect_shifts]
        moved = sums.moved(np.concatenate([[0.0], back]), unchanged)
        return moved, self.shift - back

    def _check_range(self, triangle):
        """Reject columns of [1 X y] whose squares overflow, given the triangle."""
        names = ["", *(f"column {n}" for n in self.recipe.exog_names), "the response"]
        for name, size in zip(names, np.hypot.reduce(triangle, axis=0)):
            if not size < LARGEST:
                raise DataError(
                    f"{name} is too large: the sum of its squares is beyond the range "
                    "of floating-point numbers; use other units"
                )

    def _constants(self, i):
        """Position of the column of ones in each block of a term, or None."""
        ones, found = self.levels.ones[i], []
        for block in self.recipe.blocks(i):
            places = np.flatnonzero(ones[block])
            found.append(int(block.start + places[0]) if len(places) else None)
        return tuple(found)


def _pairs(count):
    """Pairs i < j in the order of PairSums."""
    return [(i, j) for j in range(count) for i in range(j)]
