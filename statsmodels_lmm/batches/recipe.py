"""How batches of rows become the columns of a model."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.complete_rows import (
    CompleteRows,
    Wanted,
    check_kinds,
    complete_rows,
)
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.by_name import covariance_blocks
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.chunks import ChunkDesigns, response_formula
from statsmodels_lmm.formula.columns import new_levels
from statsmodels_lmm.formula.design import check_finite
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.model_formula import ModelFormula, offset_formula
from statsmodels_lmm.formula.remembered import complete_values
from statsmodels_lmm.formula.saved_design import plain_design


@dataclass(frozen=True)
class BatchRows:
    """
    The complete rows of a batch.

    Parameters
    ----------
    columns : ndarray
        V = [1, X, y - o], shape (n, p + 2), in Fortran's order.
    effects : list of ndarray
        Effect columns of each term, shapes (n, k_i).
    groups : dict of Series
        Values of the grouping columns.
    weights : ndarray or None
        Prior weights, shape (n,).
    complete : CompleteRows
        The rows from which they come.
    """

    columns: np.ndarray
    effects: list
    groups: dict
    weights: np.ndarray | None
    complete: CompleteRows


@dataclass(frozen=True)
class Recipe:
    """
    A formula with all that it has to know before it can be evaluated batch by batch.

    Parameters
    ----------
    text : str
        The formula as written.
    parsed : ModelFormula
        The parsed formula.
    structures : dict
        The user's covariance structures.
    wanted : Wanted
        What is taken from a batch.
    levels : dict of CategoricalDtype
        Levels of the columns that are factors of the fixed or random effects.
    kinds : dict of str
        Kinds of values of the other columns, see `complete_rows.kind_of`.
    types : dict of dtype
        Types of these columns.
    designs : ChunkDesigns
        Designs of the response, the fixed effects, the effects and the offsets.
    groupings : dict of RememberedFactor
        The grouping factors that are expressions, by their text.
    """

    text: str
    parsed: ModelFormula
    structures: dict
    wanted: Wanted
    levels: dict
    kinds: dict
    types: dict
    designs: ChunkDesigns
    groupings: dict

    @property
    def formulas(self):
        """The formulas of all designs."""
        return formulas_of(self.parsed)

    @property
    def exog_names(self):
        """Names of the fixed effects."""
        return self.designs.column_names(self.parsed.fixed)

    @property
    def grouping(self):
        """Grouping columns and expressions, each once, as found in the rows."""
        names = [n for terms in self.parsed.by_factor for n in terms[0].grouping]
        return list(dict.fromkeys(names))

    def frame(self, table, start):
        """
        The complete rows of a batch with the levels of the fit.

        Parameters
        ----------
        table : DataFrame or table
            The batch.
        start : int
            Number of rows before it.

        Returns
        -------
        CompleteRows
        """
        rows = complete_rows(table, self.wanted, start)
        if len(rows.frame):
            check_kinds(rows.frame, self.kinds)
        text = rows.text - self.levels.keys()
        return replace(rows, frame=leveled(rows.frame, self.levels), text=text)

    def rows(self, table, start):
        """
        Evaluate the formula on a batch.

        Parameters
        ----------
        table : DataFrame or table
            The batch.
        start : int
            Number of rows before it.

        Returns
        -------
        BatchRows

        Raises
        ------
        DataError
            If a value is infinite or undefined; the message names term and rows.
        """
        complete = self.frame(table, start)
        frame, sides = complete.frame, complete.sides
        if not len(frame):
            return BatchRows(np.zeros((0, 0)), [], {}, None, complete)
        found = self.designs.matrices(frame, self.text)
        parsed = self.parsed
        endog = found[response_formula(parsed.response)]
        self._check_finite(endog, parsed.response, frame, [parsed.response])
        exog = found[parsed.fixed]
        self._check_finite(exog, "the fixed effects", frame, self.exog_names)
        offset = 0.0 if sides["offset"] is None else sides["offset"]
        for expression in parsed.offsets:
            values = found[offset_formula(expression)]
            what = f"offset({expression})"
            self._check_finite(values, what, frame, [what])
            offset = offset + values[:, 0]
        ones = np.ones((len(frame), 1))
        effects = []
        for terms in parsed.by_factor:
            for term in terms:
                if term.effects != "1":
                    names = self.designs.column_names(term.effects)
                    self._check_finite(found[term.effects], str(term), frame, names)
            parts = [ones if t.effects == "1" else found[t.effects] for t in terms]
            effects.append(_side_by_side(parts) if len(parts) > 1 else parts[0])
        columns = _side_by_side([ones, exog, endog])
        columns[:, -1] -= offset
        groups = self._groups(frame)
        return BatchRows(columns, effects, groups, sides["weights"], complete)

    def _groups(self, frame):
        """Values of the grouping columns."""
        groups = {}
        for name in self.grouping:
            if name in self.groupings:
                remembered = self.groupings[name]
                groups[name] = complete_values(name, remembered, frame)
            else:
                groups[name] = frame[find_column(frame, name)]
        return groups

    def _check_finite(self, values, what, frame, names):
        if not np.isfinite(values).all():
            check_finite(pd.DataFrame(values, frame.index, names), what, frame.index)

    def term(self, terms):
        """
        The effects of one grouping factor.

        Parameters
        ----------
        terms : list of RandomTerm
            Its terms.

        Returns
        -------
        names : list of str
            Names of its effects.
        sizes : list of int
            Number of effects of each term.
        grouped : GroupedEffects
            The effects without rows, of no levels.
        """
        names, sizes, blocks, structured = [], [], [], []
        for term in terms:
            labels = ["Intercept"]
            if term.effects != "1":
                labels = self.designs.column_names(term.effects)
            structure = self.structures.get(term.structure, term.structure)
            of_term, models = covariance_blocks(structure, labels, term.hom)
            names += labels
            sizes.append(len(labels))
            blocks += of_term
            structured += models
        none = np.zeros(0, dtype=np.int64), 0, np.zeros((0, len(names)))
        grouped = GroupedEffects(*none, tuple(blocks), tuple(structured))
        return names, sizes, grouped

    def blocks(self, i):
        """Slices of the covariance blocks among the effects of a grouping factor."""
        return self.term(self.parsed.by_factor[i])[2].block_slices

    def intercepts(self, i):
        """
        The intercepts of the effects of a grouping factor.

        Parameters
        ----------
        i : int
            Position of the factor.

        Returns
        -------
        ndarray
            For each effect the position of the intercept in its block, -1 if it has
            none, shape (k,).
        """
        names, _, grouped = self.term(self.parsed.by_factor[i])
        found = np.full(len(names), -1)
        for block in grouped.block_slices:
            if "Intercept" in names[block]:
                found[block] = block.start + names[block].index("Intercept")
        return found

    def empty_frame(self, seen):
        """
        The columns of the formula with their types and levels, without rows.

        Parameters
        ----------
        seen : dict of Index
            The values of columns of text that are no factors.

        Returns
        -------
        DataFrame
        """
        columns = {}
        for name in self.wanted.predictors:
            kind = self.types.get(name)
            if name in self.levels:
                kind = self.levels[name]
            elif name in seen:
                kind = pd.CategoricalDtype(seen[name])
            columns[name] = pd.Series([], dtype=kind)
        return pd.DataFrame(columns)

    def check_same(self, other):
        """
        Reject sums that cannot be added to those of this recipe.

        Parameters
        ----------
        other : Recipe
            How the other sums were made.

        Raises
        ------
        DataError
        """
        if other is self:
            return
        if other.text != self.text:
            raise DataError(
                f"sums of different formulas cannot be added: {self.text} and "
                f"{other.text}"
            )
        for what in ("sides", "subset"):
            mine, theirs = getattr(self.wanted, what), getattr(other.wanted, what)
            if mine != theirs:
                raise DataError(
                    "sums with different weights, offset or subset cannot be added: "
                    f"{mine} and {theirs}"
                )
        for formula, info in self.designs.infos.items():
            if plain_design(info) != plain_design(other.designs.infos[formula]):
                raise DataError(
                    f"the sums remember different data in '{formula}', such as levels "
                    "or means, so they cannot be added: begin the others with "
                    "`sums.empty()`"
                )


def _side_by_side(parts):
    """Columns of several arrays in a new one, each of them contiguous."""
    size = sum(part.shape[1] for part in parts), len(parts[0])
    return np.concatenate([part.T for part in parts], out=np.empty(size)).T


def formulas_of(parsed):
    """
    The formulas of all designs of a model.

    Parameters
    ----------
    parsed : ModelFormula
        The model.

    Returns
    -------
    list of str
        Those of the response and the fixed effects, and each once those of the effects
        of terms and the offsets.
    """
    effects = [t.effects for t in parsed.random if t.effects != "1"]
    offsets = [offset_formula(e) for e in parsed.offsets]
    further = dict.fromkeys([*effects, *offsets])
    return [response_formula(parsed.response), parsed.fixed, *further]


def leveled(frame, levels):
    """
    Columns of a batch as categorical, with the levels of all batches.

    Parameters
    ----------
    frame : DataFrame
        Complete rows.
    levels : dict of CategoricalDtype
        The levels, by column.

    Returns
    -------
    DataFrame

    Raises
    ------
    DataError
        If a value is not among the levels.
    """
    columns = {}
    for name, kind in levels.items():
        values = pd.Categorical(frame[name])
        codes = kind.categories.get_indexer(values.categories)[values.codes]
        if (codes < 0).any():
            unseen = pd.Index(values).unique().difference(kind.categories, sort=False)
            raise new_levels(name, unseen, kind.categories)
        columns[name] = pd.Categorical.from_codes(codes, dtype=kind)
    return frame.assign(**columns) if columns else frame
