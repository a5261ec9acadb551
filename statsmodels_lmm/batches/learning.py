"""What a formula has to know of all rows before it is evaluated batch by batch."""

import warnings

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.complete_rows import (
    Counts,
    check_kinds,
    complete_rows,
    kind_of,
)
from statsmodels_lmm.batches.levels import Values, value_order
from statsmodels_lmm.batches.reading import variable_of_rows
from statsmodels_lmm.batches.recipe import Recipe, formulas_of, leveled
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import categorical_factors
from statsmodels_lmm.formula.chunks import (
    check_row_by_row,
    learn_designs,
    remembering_factors,
    response_formula,
)
from statsmodels_lmm.formula.columns import true_or_false
from statsmodels_lmm.formula.design import (
    check_finite,
    repeated_effects,
    warn_of_correlated,
)
from statsmodels_lmm.formula.engine_errors import EVALUATION_ERRORS, told_of
from statsmodels_lmm.formula.evaluation import (
    evaluate,
    reject_dates,
    single_levels,
    warn_of_levels,
)
from statsmodels_lmm.formula.frame import (
    incomplete_rows,
    warn_of_numbers_as_text,
    warn_of_unused_levels,
)
from statsmodels_lmm.formula.model_formula import offset_formula
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.subsets import no_row_holds
from statsmodels_lmm.formula.widths import require_columns

ENOUGH = 2
"""Rows that show the types of the columns, and whether values depend on others."""

MANY = 10_000
"""Rows of which the others are looked at for such dependence, if there are more."""


def learn(text, parsed, structures, wanted, passes, told):
    """
    Read the rows as often as the terms of a formula need before they are summed.

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
    passes : Passes
        The rows.
    told : ToldOnce
        Warnings of batches.

    Returns
    -------
    Recipe

    Raises
    ------
    DataError
        If no row is complete, or rows that can be read once would have to be read
        again; the message names the term.
    FormulaError
        If the formula cannot be evaluated.
    """
    learner = _Learner(text, parsed, wanted, passes, told)
    sample = learner.sample()
    factors = learner.factors(sample)
    kinds = {n: kind_of(sample[n]) for n in wanted.predictors if n not in factors}
    levels = learner.levels(factors)
    sample = leveled(sample, levels)

    def frames(title, reason):
        for rows in learner.rows(title, reason):
            check_kinds(rows.frame, kinds)
            yield leveled(rows.frame, levels)

    designs = learner.designs(frames, sample)
    groupings = learner.groupings(frames)
    types = {name: _type(kind, sample[name].dtype) for name, kind in kinds.items()}
    return Recipe(
        text, parsed, structures, wanted, levels, kinds, types, designs, groupings
    )


def _type(kind, dtype):
    """The type of a column of some kind; numbers may be decimals in later batches."""
    types = {"numbers": np.dtype(float), "true and false": np.dtype(bool)}
    if kind == "dates" and dtype.kind == "O":
        return np.dtype("datetime64[ns]")
    return types.get(kind, dtype)


def _check_remembered(frame, factors):
    """Reject an infinite value, which would make the whole of ``center(x)`` NaN."""
    for factor in factors:
        name = factor.partition("(")[2].rstrip(")").partition(",")[0].strip()
        if name in frame and kind_of(frame[name]) == "numbers":
            values = frame[[name]].astype(float)
            check_finite(values, in_backticks(factor), frame.index)


class _Learner:
    """The passes over the rows, one after the other."""

    def __init__(self, text, parsed, wanted, passes, told):
        self.text, self.parsed, self.wanted = text, parsed, wanted
        self.passes, self.told = passes, told
        self.read = 0

    def sample(self):
        """The complete rows of the first batches."""
        frames, counts = [], Counts()
        for table in self.passes.first():
            with self.told.listening():
                rows = complete_rows(table, self.wanted, counts.read)
            frames.append(rows.frame)
            counts = counts.plus(rows.counts)
            if counts.complete >= ENOUGH:
                break
        self.read = counts.read
        check_some_rows(counts, self.wanted)
        return pd.concat([frame for frame in frames if len(frame)])

    def rows(self, title, reason):
        """The complete rows of all batches that have any."""
        start = 0
        for table in self.passes.every(title, reason):
            with self.told.listening():
                rows = complete_rows(table, self.wanted, start)
            start += rows.counts.read
            if len(rows.frame):
                yield rows

    def factors(self, sample):
        """Columns of text or categories whose levels become columns of a design."""
        return [
            name
            for name in self.wanted.predictors
            if kind_of(sample[name]) == "text"
            and (
                name in self.wanted.coded
                or isinstance(sample[name].dtype, pd.CategoricalDtype)
            )
        ]

    def levels(self, factors):
        """The levels of factors in all rows."""
        if not factors:
            return {}
        values = {name: Values() for name in factors}
        named = ", ".join(in_backticks(f"{name}") for name in factors)
        reason = f"the levels of {named}"
        for rows in self.rows("levels", reason):
            check_kinds(rows.frame, dict.fromkeys(factors, "text"))
            for name in factors:
                values[name].codes(rows.frame[name], name in rows.text)
        kinds = {}
        for name, found in values.items():
            ordered, _ = value_order(found.index, found.categories)
            kinds[name] = pd.CategoricalDtype(ordered, ordered=found.is_ordered)
            gone = found.unused()
            if len(gone) and "fixed" in self.wanted.roles[name]:
                warn_of_unused_levels(gone, name)
            if "term" in self.wanted.roles[name]:
                column = pd.Series(
                    ordered if found.categories is None else pd.Categorical(ordered)
                )
                warn_of_numbers_as_text(column, name)
        return kinds

    def designs(self, frames, sample):
        """The designs of all formulas."""
        formulas, scope = formulas_of(self.parsed), self.wanted.scope
        remembering = remembering_factors(formulas, scope)
        n_passes = max(remembering.values(), default=0)
        counted = iter(range(n_passes + 1))
        if remembering and self.passes.source.once:
            raise self.passes.no_more(in_backticks(next(iter(remembering))))

        def chunks():
            if next(counted) < n_passes:
                reason = in_backticks(next(iter(remembering)))
                for frame in frames("transforms", reason):
                    _check_remembered(frame, remembering)
                    yield frame
                return
            yield sample
            yield from frames("levels", "the levels of factors such as C(x)")

        for formula in formulas:
            require_columns(formula, dict(sample.items()), len(sample))
        try:
            designs = learn_designs(formulas, chunks, scope)
            self._check(designs)
            check_row_by_row(designs, sample[:: -(-len(sample) // MANY)], self.text)
        except EVALUATION_ERRORS as error:
            if isinstance(error, DataError):
                raise
            counts = len(sample), self.read, self.passes.source.n_rows
            variable = variable_of_rows(scope, counts)
            if variable is not None:
                raise variable from error
            self._explain(sample)
            with told_of(self.text, sample, "patsy"):
                raise
        self._warn(designs, designs.matrices(sample, self.text))
        return designs

    def _warn(self, designs, matrices):
        """Warn of levels as with all rows in memory."""
        warned: set = set()
        for info in designs.infos.values():
            warn_of_levels(info, "patsy", warned)
        for terms in self.parsed.by_factor:
            before: list = []
            for term in terms:
                matrix, info = np.ones((1, 1)), None
                if term.effects != "1":
                    matrix, info = matrices[term.effects], designs.infos[term.effects]
                if info is not None and term.double_bar:
                    single = single_levels(info, "patsy")
                    if single and any((matrix == other).all() for other in before):
                        raise repeated_effects(term, single)
                    if term.group not in warned:
                        has_constant = any(
                            t.double_bar and t.effects == "1" for t in terms
                        )
                        twice = bool((matrix.sum(axis=1) == 1.0).all())
                        warn_of_correlated(
                            term, has_constant and twice, info, "patsy", warned
                        )
                before.append(matrix)

    def _explain(self, sample):
        """Raise the error of the piece of the formula that cannot be evaluated."""
        pieces = [self.parsed.fixed_formula, *formulas_of(self.parsed)[1:]]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for piece in pieces:
                evaluate(piece, sample, self.wanted.scope, "patsy")

    def _check(self, designs):
        """Reject designs that are no numbers, as with all rows in memory."""
        for info in designs.infos.values():
            reject_dates({}, info, "patsy")
        response = designs.infos[response_formula(self.parsed.response)]
        names = [str(name).rpartition("[")[2] for name in response.column_names]
        if names == ["False]", "True]"]:
            raise true_or_false(self.parsed.response)
        if len(names) > 1 or categorical_factors(response, "patsy"):
            raise DataError(
                f"the response '{self.parsed.response}' has several columns"
            )
        names = designs.column_names(self.parsed.fixed)
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"column '{name}' appears twice in the fixed effects")
        for expression in self.parsed.offsets:
            info = designs.infos[offset_formula(expression)]
            if len(info.column_names) != 1 or categorical_factors(info, "patsy"):
                raise DataError(f"offset({expression}) is not one numeric column")

    def groupings(self, frames):
        """The grouping factors that are expressions."""
        found = {}
        for text in self.parsed.grouping_expressions:
            columns = self.wanted.predictors
            remembered, n_passes = RememberedFactor.blank(
                text, columns, self.wanted.scope
            )
            for i in range(n_passes):
                for frame in frames("transforms", text):
                    with told_of(text, frame, "patsy"):
                        remembered.memorize(frame, i)
                remembered.factor.memorize_finish(remembered.state, i)
            found[text] = remembered
        return found


def check_some_rows(counts, wanted):
    """
    Reject data without a row to be used.

    Parameters
    ----------
    counts : Counts
        Rows read and left out.
    wanted : Wanted
        What was taken from the batches.

    Raises
    ------
    DataError
    """
    if counts.complete:
        return
    if not counts.read:
        raise DataError("the data have no rows")
    if not counts.chosen:
        raise no_row_holds(wanted.subset)
    if not counts.missing:
        raise DataError("the data have no rows of positive weight")
    raise incomplete_rows(counts.missing, wanted.missing)
