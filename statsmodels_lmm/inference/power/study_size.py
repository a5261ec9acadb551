"""Designs of other sizes, whose rows repeat those of a model."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.new_rows import effects_of
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.prediction_rows import new_rows


@dataclass(frozen=True)
class StudySize:
    """
    The rows of a design of another size.

    Parameters
    ----------
    rows : ndarray
        The row of the model that each repeats, shape (m,).
    copies : ndarray
        Which repetition of its row it is, from 0, shape (m,).
    renewed : frozenset of str
        Grouping factors of which every repetition has levels of its own.
    covariate : tuple, optional
        Name and values, shape (m,), of a column that continues beyond its own.
    """

    rows: np.ndarray
    copies: np.ndarray
    renewed: frozenset = frozenset()
    covariate: tuple | None = None

    def model(self, results, model=None):
        """
        The model of these rows.

        Parameters
        ----------
        results : MixedResults
            A fit, which knows how new rows are coded.
        model : MixedModel, optional
            A model of the same rows with the same fixed effects. Default is that of the
            fit.

        Returns
        -------
        MixedModel
            From arrays, with the names of the original.
        """
        model = results.model if model is None else model
        exog, frame, sides = model.exog[self.rows], None, {}
        arguments = model._beyond_design(self.rows)
        if self.covariate is not None:
            name, values = self.covariate
            frame = model.data.frame.iloc[self.rows].assign(**{name: values})
            new = new_rows(results, frame, True, [], None)
            exog = new.design
            sides = _offset(model, self.rows, new.offset)
        random = tuple(self._random(model, effects, frame) for effects in model.random)
        return model._general_class(
            pd.Series(model.endog[self.rows], name=model.endog_names),
            pd.DataFrame(exog, columns=model.exog_names),
            random=random,
            check_levels=False,
            **arguments | sides,
        )

    def _random(self, model, effects, frame):
        """The random effects of a factor in these rows."""
        if not effects.has_groups or effects.grouped.relationship is not None:
            return replace(effects, grouped=effects.grouped.take(self.rows))
        columns = effects.grouped.effects[self.rows]
        if frame is not None and any(term.effects != "1" for term, _ in effects.terms):
            data = model.data
            columns = effects_of(
                effects, frame, data.column_specs, data.scope, data.engine
            )
        old = effects.grouped.codes[self.rows].astype(np.int64)
        copies = self.copies if effects.name in self.renewed else np.zeros_like(old)
        keys = copies * effects.n_levels + old
        found, codes = np.unique(keys, return_inverse=True)
        grouped = replace(
            effects.grouped, codes=codes, n_levels=len(found), effects=columns
        )
        levels = [_label(effects, key) for key in found]
        return replace(
            effects, levels=pd.Index(levels), grouped=grouped, columns=(), keys=()
        )


def _label(effects, key):
    copy, code = divmod(int(key), effects.n_levels)
    level = effects.levels[code]
    return f"{level}, copy {copy + 1}" if copy else str(level)


def _offset(model, rows, of_formula):
    """The offset of new rows: that of the formula, and what was given besides."""
    if of_formula is None:
        return {}
    beyond = model.offset - model.formula_offset
    return {"offset": beyond[rows] + of_formula}


# sizes -----------------------------------------------------------------------


def own_size(results):
    """The design of a fit as it is."""
    rows = np.arange(len(results.model.endog))
    return StudySize(rows, np.zeros(len(rows), dtype=np.int64))


def sizes(results, n, along=None, within=None):
    """
    Designs of several sizes.

    Parameters
    ----------
    results : MixedResults
        A fit.
    n : sequence of int
        The sizes.
    along : str, optional
        What there are n levels or values of: a grouping factor, whose levels are
        repeated in turn, or a numeric column, whose values continue.
    within : str, optional
        Columns or grouping factors, joined by "+"; there are n rows in each combination
        of their values.

    Returns
    -------
    list of StudySize
    name : str
        What the sizes count.

    Raises
    ------
    ValueError
        If both or neither is given where that is not clear, or names are unknown.
    DataError
        If the design cannot be changed in this way.
    """
    model = results.model
    if along is not None and within is not None:
        raise ValueError("give along= or within=, not both")
    if within is not None:
        groups = _combinations(model, within)
        each = [_within(model, groups, size) for size in n]
        return each, f"rows within {within}"
    names = [e.name for e in model.random if e.has_groups]
    if along is None:
        if len(names) != 1:
            raise ValueError(
                "say what there are n of, along= one of the grouping factors "
                f"{', '.join(names)} or a numeric column, or within= for rows"
            )
        along = names[0]
    if along in names:
        effects = model.random[[e.name for e in model.random].index(along)]
        _check_repeatable(model, effects)
        order = _order(model, effects.grouped.codes, effects.n_levels)
        nested = _nested_in(model, effects.grouped.codes)
        each = [_along_groups(effects, order, nested, size) for size in n]
        return each, f"levels of {along}"
    values = _covariate(model, along, names)
    return [_along_values(model, along, values, size) for size in n], (
        f"values of {along}"
    )


def _along_groups(effects, order, nested, n):
    """The design with n levels of a grouping factor."""
    by_level = _positions(effects.grouped.codes, effects.n_levels)
    at = np.arange(n)
    chosen = [by_level[level] for level in order[at % len(order)]]
    copies = np.repeat(at // len(order), [len(rows) for rows in chosen])
    return StudySize(np.concatenate(chosen), copies, nested)


def _positions(codes, count):
    """Rows of each level."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.cumsum(np.bincount(codes, minlength=count))[:-1])


def _order(model, codes, n_levels):
    """
    The order in which levels are taken.

    Levels that belong to different arms of a study are taken in turn, so that a smaller
    or a larger study has all arms in the same proportions. An arm is a combination of
    those columns of X that are constant within levels and whose every value several
    levels share. Within arms the order is that of the levels.
    """
    first = np.full(n_levels, -1)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    between = model.exog[first]
    constant = (model.exog == between[codes]).all(axis=0)
    arms = np.zeros((n_levels, 0))
    for column in between[:, constant].T:
        counts = np.unique(column, return_counts=True)[1]
        if counts.min() > 1 or len(counts) == 1:
            arms = np.column_stack([arms, column])
    _, arm = np.unique(arms, axis=0, return_inverse=True)
    arm = arm.ravel()
    # the share of an arm that precedes a level
    share = np.zeros(n_levels)
    for members in _positions(arm, arm.max() + 1):
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((np.arange(n_levels), share))


def _nested_in(model, codes):
    """Names of the factors of which each level is within a single level of this one."""
    nested = set()
    for effects in model.random:
        if not effects.has_groups:
            continue
        pairs = np.unique(np.column_stack([effects.grouped.codes, codes]), axis=0)
        if len(pairs) == len(np.unique(effects.grouped.codes)):
            nested.add(effects.name)
            _check_independent(effects)
    return frozenset(nested)


def _check_independent(effects):
    if effects.grouped.relationship is not None:
        raise DataError(
            f"the levels of {effects.name} have a known relationship, so that further "
            "ones cannot be copies: build a frame with all levels, and "
            "`statsmodels_lmm.planned`"
        )


def _check_repeatable(model, effects):
    """Reject a factor whose levels are among the fixed effects."""
    if not has_formula(model):
        return
    texts = model._parsed.fixed_pieces
    fixed = {c for text in texts for c in columns_in(text, model.data.frame.columns)}
    if fixed.issuperset(effects.columns):
        raise DataError(
            f"{effects.name} is also a fixed effect, which has no coefficients for "
            "further levels; vary another factor"
        )


def _combinations(model, within):
    """The combination of values to which each row belongs, from 0."""
    codes = np.zeros(len(model.endog), dtype=np.int64)
    for name in re.split(r"[+,]", within):
        one = _codes(model, name.strip())
        pairs = np.column_stack([codes, one])
        codes = np.unique(pairs, axis=0, return_inverse=True)[1].ravel()
    return codes


def _codes(model, name):
    """Values of a grouping factor or of a column, as numbers from 0."""
    for effects in model.random:
        if effects.name == name and effects.has_groups:
            return effects.grouped.codes
    known = [e.name for e in model.random if e.has_groups]
    if has_formula(model):
        if name in model.data.frame:
            return pd.factorize(model.data.frame[name], sort=True)[0]
        known += [c for c in map(str, model.data.frame) if c not in known]
    raise ValueError(
        f"there is no column {name} to be within; there are {_list(known)}"
    )


def _within(model, groups, n):
    """The design with n rows in each combination."""
    each = _positions(groups, groups.max() + 1)
    rows = np.concatenate([members[np.arange(n) % len(members)] for members in each])
    copies = np.concatenate([np.arange(n) // len(members) for members in each])
    return StudySize(rows, copies, _of_single_rows(model))


def _of_single_rows(model):
    """Names of the factors of which every row is a level."""
    single = [e for e in model.random if e.has_groups]
    single = [e for e in single if e.n_levels == len(model.endog)]
    for effects in single:
        _check_independent(effects)
    return frozenset(e.name for e in single)


def _covariate(model, name, groups):
    """Distinct values of a numeric column of the data."""
    columns = list(model.data.frame) if has_formula(model) else []
    if name not in columns:
        fixed = [c for c in columns if is_numeric_dtype(model.data.frame[c])]
        fixed = [str(c) for c in fixed if c not in groups and c != model.endog_names]
        raise ValueError(
            f"there is no grouping factor or column {name}; there are "
            f"{_list([*groups, *fixed])}"
        )
    column = model.data.frame[find_column(model.data.frame, name)]
    if not is_numeric_dtype(column) or column.dtype == bool:
        raise DataError(
            f"{name} is neither a grouping factor nor numeric, so it has no further "
            "values; vary a grouping factor"
        )
    return np.unique(column.to_numpy(float))


def _along_values(model, name, values, n):
    """The design with n values of a numeric column, which continue in equal steps."""
    at = np.arange(n)
    new = values[at % len(values)]
    if n > len(values):
        steps = np.diff(values)
        if not len(steps) or not np.allclose(steps, steps[0]):
            raise DataError(
                f"the values of {name} are not equally spaced, so it is not clear how "
                "they continue: build a frame with the values, and "
                "`statsmodels_lmm.planned`"
            )
        new = values[0] + steps[0] * at
    old = model.data.frame[name].to_numpy(float)
    chosen = [np.flatnonzero(old == values[i % len(values)]) for i in at]
    counts = [len(rows) for rows in chosen]
    return StudySize(
        np.concatenate(chosen),
        np.repeat(at // len(values), counts),
        _of_single_rows(model),
        (name, np.repeat(new, counts)),
    )


def _list(names):
    return ", ".join(names) if names else "none"
