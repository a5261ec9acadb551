"""How the formula of a model was evaluated on rows that were not kept."""

from copy import copy
from dataclasses import dataclass

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import FormulaData
from statsmodels_lmm.formula.pieces import join, sides
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.saved_design import (
    plain_design,
    plain_states,
    restore_states,
    restored_design,
)
from statsmodels_lmm.formula.tokens import tokenize


@dataclass(frozen=True)
class NumericColumn:
    """
    What is known of a numeric column whose rows were not kept.

    Parameters
    ----------
    mean, lowest, highest : float
        Over all rows used.
    values : tuple, optional
        Its distinct values, ascending, if there are at most two; None otherwise.
    """

    mean: float
    lowest: float
    highest: float
    values: tuple | None = None


class SummedData(FormulaData):
    """
    Data of a formula model whose rows were summed in batches.

    The frame has the types and levels of the columns, but no rows on which the formula
    could be evaluated again, so a pickle holds what it remembers: levels, codings and
    the states of transforms. A transform whose state cannot be saved is `lost`.
    """

    numeric: dict = {}
    """A NumericColumn for each numeric column of which it is known, by name."""

    def __getstate__(self):
        state = super().__getstate__()
        state["designs"], state["states"] = {}, {}
        specs = {"": self.model_spec, **self.column_specs}
        lost = []
        for text, spec in specs.items():
            try:
                state["designs"][text] = spec and plain_design(spec)
            except DataError:
                state["designs"][text] = None
                lost.append(text or self.formula)
        for text, grouping in self.groupings.items():
            try:
                state["states"][text] = grouping and plain_states(grouping.state, text)
            except DataError:
                state["states"][text] = None
                lost.append(text)
        state["lost"] = [*state["lost"], *lost]
        return state

    def __setstate__(self, state):
        state = copy(state)
        designs, states = state.pop("designs"), state.pop("states")
        self.__dict__.update(state)
        self.scope = self._unpacked(state["scope"])
        right = join(sides(tokenize(self.formula))[1])
        specs = {
            text: plain
            and self._unless_lost(
                lambda t=text, p=plain: restored_design(p, t or right, self.scope)
            )
            for text, plain in designs.items()
        }
        self.model_spec = specs.pop("")
        self.column_specs = specs
        self.groupings = {
            text: plain
            and self._unless_lost(lambda t=text, p=plain: self._remembered(t, p))
            for text, plain in states.items()
        }

    def _remembered(self, text, plain):
        columns = self.frame.columns
        remembered, _ = RememberedFactor.blank(text, columns, self.scope)
        restore_states(remembered.state, plain, remembered.factor)
        return remembered
