"""Terms and a frame to arrays."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.alignment import aligned
from statsmodels_lmm.compat import (
    categorical_factors,
    design_matrices,
)
from statsmodels_lmm.core.grouped_effects import GroupedEffects
from statsmodels_lmm.core.raw_effects import RawEffects
from statsmodels_lmm.core.structured_factor import covariance_blocks
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.formula.columns import plain_column
from statsmodels_lmm.formula.evaluation import (
    evaluate,
    single_levels,
    warn_of_single_levels,
)
from statsmodels_lmm.formula.frame import (
    find_column,
    has_all_levels,
    prepare_frame,
    rows_text,
)
from statsmodels_lmm.formula.parser import offset_formula
from statsmodels_lmm.formula.transforms import default_scope


@dataclass(frozen=True)
class Quantity:
    """
    A standard deviation, a correlation or another parameter of a covariance block.

    Parameters
    ----------
    kind : {"sd", "cor", ""}
        What it is.
    first, second : int or None
        The effects that it is about, by position in the block; None where it is about
        all. For a block with a structure `first` is None for all but deviations.
    effect1, effect2 : str
        What they are called in tables.
    label : str
        Its name in tables of parameters, without the grouping factor.
    """

    kind: str
    first: int | None
    second: int | None
    effect1: str
    effect2: str
    label: str


@dataclass(frozen=True)
class RandomEffects:
    """
    The random effects of one grouping factor, with their names.

    Parameters
    ----------
    name : str
        Name of the grouping factor, such as "batch:cask".
    levels : Index
        Its l levels, in the order of their codes.
    effect_names : tuple of str
        Names of its k effect columns.
    grouped : GroupedEffects or RawEffects
        Codes, effect columns and covariance blocks.
    columns : tuple of str
        Columns of the data whose observed combinations are the levels; empty
        for a model from arrays.
    terms : tuple
        (term, number of columns) of each formula term.
    keys : tuple
        Levels of each of `columns`.
    """

    name: str
    levels: pd.Index
    effect_names: tuple
    grouped: GroupedEffects | RawEffects
    columns: tuple = ()
    terms: tuple = ()
    keys: tuple = ()

    @property
    def n_levels(self):
        """Number of levels."""
        return self.grouped.n_levels

    @property
    def block_names(self):
        """Effect names of each covariance block."""
        return [self.effect_names[s] for s in self.grouped.block_slices]

    @property
    def blocks(self):
        """(columns, names, structure or None) of each covariance block."""
        return list(
            zip(self.grouped.block_slices, self.block_names, self.grouped.structures)
        )

    @property
    def quantities(self):
        """Deviations, correlations and parameters of each block, lists of Quantity."""
        found, taken = [], []
        for _, names, structured in self.blocks:
            if structured is None:
                found.append(_of_unstructured(names))
            else:
                name = structured.structure.name
                taken.append(name)
                again = taken.count(name)
                name += str(again) if again > 1 else ""
                found.append(_of_structure(structured, name))
        return found

    @property
    def theta_labels(self):
        """Names of the relative covariance parameters."""
        labels = []
        for (_, names, structured), quantities in zip(self.blocks, self.quantities):
            if structured is None:
                column, row = np.triu_indices(len(names))
                labels += [
                    names[r] if r == c else f"{names[r]}.{names[c]}"
                    for r, c in zip(row, column)
                ]
            else:
                labels += [
                    q.effect1 if q.kind == "sd" else f"{q.effect1}.{q.effect2}"
                    for q in quantities
                ]
        return [f"{self.name}.{label}" for label in labels]

    def split_theta(self, theta):
        """Parameters of each block, from those of all of them."""
        ends = np.cumsum(self.grouped.parameter_counts)[:-1]
        return np.split(theta, ends)

    def without_data(self):
        """The same without its arrays of the length of the data."""
        return replace(self, grouped=self.grouped.take(slice(0, 0)))

    def codes_of(self, frame):
        """Level of each row of new data; -1 for a new one, -2 where missing."""
        missing = np.zeros(len(frame), dtype=bool)
        positions = []
        for name, keys in zip(self.columns, self.keys):
            column = find_column(frame, name)
            values = pd.Series(plain_column(frame[column], name, {"group"}), name=name)
            missing |= values.isna().to_numpy()
            if values.dtype == object:  # what cannot be a level is refused here
                _as_they_come(values)
            positions.append(keys.uniques.get_indexer(_comparable(values)))
        known = pd.MultiIndex.from_arrays([k.codes for k in self.keys])
        at = known.get_indexer(pd.MultiIndex.from_arrays(positions))
        return np.where(missing, -2, at)

    def effects_of(self, frame, specs, scope, engine):
        """Effect columns of new data, shape (n, k)."""
        parts = [
            _effect_columns(specs.get(term.effects), frame, scope, engine)
            for term, _ in self.terms
        ]
        return np.column_stack(parts)


def _of_unstructured(names):
    """Deviations, then correlations below the diagonal, row by row."""
    found = [Quantity("sd", a, None, n, "", n) for a, n in enumerate(names)]
    for a in range(len(names)):
        for b in range(a):
            label = f"{names[a]}, {names[b]}"
            found.append(Quantity("cor", a, b, names[b], names[a], label))
    return found


def _of_structure(structured, name):
    """The parameters of a structure, which goes by a name."""
    found = []
    for p in structured.parameters:
        if p.kind == "sd":
            own = name if p.name == structured.structure.name else p.name
            effect = own if p.effect is None else structured.effects[p.effect]
            found.append(Quantity("sd", p.effect or 0, None, effect, "", effect))
        else:
            found.append(Quantity(p.kind, None, None, name, p.name, f"{name} {p.name}"))
    return found


@dataclass(frozen=True)
class LevelKeys:
    """
    How the levels of a factor are made of the values of one column.

    Parameters
    ----------
    uniques : Index
        Distinct values of the column.
    codes : ndarray
        Position in `uniques` for each level of the factor.
    """

    uniques: pd.Index
    codes: np.ndarray


@dataclass(frozen=True)
class Design:
    """
    A formula evaluated on data.

    Parameters
    ----------
    endog, exog : DataFrame
        Response and fixed design of the rows used.
    spec : DesignInfo or ModelSpec
        How to evaluate the fixed design again.
    random : tuple of RandomEffects
        One for each grouping factor, in the order of the formula.
    column_specs : dict
        How to evaluate columns of effects and offsets again, by their formula.
    offset : ndarray or None
        Sum of the offsets in the formula.
    scope : dict
        Names that are not columns; those as long as the data have the rows used.
    frame : DataFrame
        The columns and rows that were used.
    rows : ndarray
        Their positions in the user's data.
    """

    endog: pd.DataFrame
    exog: pd.DataFrame
    spec: object
    random: tuple
    column_specs: dict
    offset: np.ndarray
    scope: dict
    frame: pd.DataFrame
    rows: np.ndarray


def build_design(
    formula,
    data,
    scope,
    engine,
    missing="drop",
    extra=None,
    structures=None,
    relationships=None,
):
    """
    Evaluate a formula on data.

    Parameters
    ----------
    formula : ModelFormula
        The parsed formula.
    data : DataFrame
        The data.
    scope : dict
        Names that are not columns.
    engine : {"patsy", "formulaic"}
        Formula engine.
    missing : {"drop", "raise"}, optional
        What to do with incomplete rows.
    extra : dict of ndarray, optional
        Columns of weights and offsets, which must be complete too.
    structures : dict, optional
        Covariance structures of the user by their names in the formula.
    relationships : dict of KnownLevels, optional
        Levels that are related, by grouping factor.

    Returns
    -------
    Design
    """
    known = {*default_scope(engine), *scope}
    frame, rows = prepare_frame(data, formula, known, missing, extra)
    scope = {name: _used_rows(v, name, data.index, rows) for name, v in scope.items()}
    warned: set = set()
    endog, exog, spec = evaluate(formula.fixed_formula, frame, scope, engine)
    warn_of_single_levels(spec, engine, warned)
    if endog.shape[1] > 1:
        raise DataError(f"the response '{formula.response}' has several columns")
    check_finite(endog, formula.response, frame.index)
    check_finite(exog, "the fixed effects", frame.index)
    if len(set(exog.columns)) < exog.shape[1]:
        twice = exog.columns[exog.columns.duplicated()][0]
        raise DataError(f"column '{twice}' appears twice in the fixed effects")
    specs: dict = {}
    offset = evaluate_offset(formula.offsets, frame, scope, engine, specs)
    found = {formula.fixed: (exog, spec)}

    def evaluated(effects):
        if effects not in found:
            found[effects] = evaluate(effects, frame, scope, engine)[1:]
        return found[effects]

    random = tuple(
        _random_effects(
            *(terms, frame, evaluated, engine, specs, warned, structures or {}),
            relationships,
        )
        for terms in formula.by_factor
    )
    return Design(endog, exog, spec, random, specs, offset, scope, frame, rows)


def _used_rows(value, name, labels, rows):
    """The rows used of a variable of the caller that is as long as the data."""
    if not isinstance(value, np.ndarray | pd.Series | pd.Categorical):
        return value
    if value.ndim == 0 or len(value) != len(labels):
        return value
    if np.ma.isMaskedArray(value) and value.mask.any():
        raise DataError(
            f"'{name}', a variable of yours in the formula, has masked values; make it "
            "a column of the data, whose incomplete rows can be dropped"
        )
    if isinstance(value, pd.Series):
        value = aligned(value, labels, f"'{name}', a variable of yours in the formula,")
        return value.iloc[rows].reset_index(drop=True)
    return value[rows]


def check_finite(columns, what, labels):
    """
    Refuse infinite or undefined values, naming column and rows.

    Parameters
    ----------
    columns : DataFrame
        Evaluated columns.
    what : str
        What they are.
    labels : Index
        Labels of the rows.
    """
    bad = ~np.isfinite(columns.to_numpy(float))
    if bad.any():
        column = columns.columns[np.argmax(bad.any(axis=0))]
        at = labels[np.flatnonzero(bad.any(axis=1))]
        listed = ", ".join(map(str, at[:5])) + (", ..." if len(at) > 5 else "")
        where = "" if column == what else f" in {what}"
        raise DataError(
            f"'{column}'{where} is infinite or undefined in "
            f"{rows_text(len(at))}: {listed}"
        )


def evaluate_offset(offsets, frame, scope, engine, specs):
    """
    Sum of the offsets of a formula.

    Parameters
    ----------
    offsets : tuple of str
        Expressions.
    frame : DataFrame
        The data.
    scope : dict
        Names that are not columns.
    engine : str
        Formula engine.
    specs : dict
        How to evaluate each again, by its formula; those that are not there are added.

    Returns
    -------
    ndarray or None
    """
    if not offsets:
        return None
    total = np.zeros(len(frame))
    for expression in offsets:
        formula = offset_formula(expression)
        is_new = formula not in specs
        _, columns, spec = design_matrices(
            formula if is_new else specs[formula],
            frame,
            scope,
            engine,
            prediction=not is_new,
        )
        if is_new and (columns.shape[1] != 1 or categorical_factors(spec, engine)):
            raise DataError(f"offset({expression}) is not one numeric column")
        specs.setdefault(formula, spec)
        check_finite(columns, f"offset({expression})", frame.index)
        total += columns.to_numpy(float)[:, 0]
    return total


def _random_effects(
    terms, frame, evaluated, engine, specs, warned, structures, relationships
):
    """Random effects of the terms that share a grouping factor."""
    codes, levels, keys = group_levels(
        [frame[find_column(frame, name)] for name in terms[0].grouping]
    )
    known = (relationships or {}).get(terms[0].group)
    relationship = None
    if known is not None:
        codes, levels, keys = known.place(codes, levels, keys)
        relationship = known.relationship
    columns: list = []
    names, blocks, done, structured = [], [], [], []
    for term in terms:
        matrix = np.ones((len(frame), 1))
        labels = ["Intercept"]
        if term.effects != "1":
            exog, spec = evaluated(term.effects)
            warn_of_single_levels(spec, engine, warned)
            single = single_levels(spec, engine) if term.double_bar else {}
            if single and any(np.array_equal(exog, m) for m in columns):
                name = ", ".join(single)
                raise DataError(
                    f"'{name}' has one level in the rows used, so that {term} has the "
                    "effects of another part of the term; leave it out"
                )
            specs[term.effects] = spec
            check_finite(exog, str(term), frame.index)
            matrix, labels = exog.to_numpy(float), list(exog.columns)
            if term.double_bar and term.group not in warned:
                _warn_correlated(term, spec, engine, warned)
        columns.append(matrix)
        names += labels
        size = matrix.shape[1]
        done.append((term, size))
        structure = structures.get(term.structure, term.structure)
        own = covariance_blocks(structure, labels, term.hom)
        blocks += own[0]
        structured += own[1]
    return RandomEffects(
        name=terms[0].group,
        levels=levels,
        effect_names=tuple(names),
        grouped=GroupedEffects(
            codes,
            len(levels),
            np.column_stack(columns),
            tuple(blocks),
            tuple(structured),
            relationship,
        ),
        columns=terms[0].grouping,
        terms=tuple(done),
        keys=keys,
    )


def _warn_correlated(term, spec, engine, warned):
    """As in lme4, ``||`` leaves the columns of a factor correlated."""
    factors = categorical_factors(spec, engine)
    if factors:
        warned.add(term.group)
        name = ", ".join(sorted(factors))
        warn(
            f"'||' does not separate the columns of the categorical {name}: as in "
            f"lme4 the term is ({term.effects} | {term.group}); write "
            f"diag({name} | {term.group}) for independent columns",
            DataWarning,
        )


def _effect_columns(spec, frame, scope, engine):
    if spec is None:
        return np.ones((len(frame), 1))
    columns = design_matrices(spec, frame, scope, engine, prediction=True)[1]
    return columns.to_numpy(float)


def group_levels(columns):
    """
    Observed combinations of the values of some columns.

    Parameters
    ----------
    columns : list of Series
        Columns without missing values.

    Returns
    -------
    codes : ndarray
        Level of each row, int64.
    levels : Index
        The levels; those of several columns are joined by ":".
    keys : tuple of LevelKeys
        How the levels are made, for each column.
    """
    factorized = [_factorize(c) for c in columns]
    if len(columns) == 1:
        codes, uniques = factorized[0]
        return codes, uniques, (LevelKeys(uniques, np.arange(len(uniques))),)
    combined = factorized[0][0]
    for codes, uniques in factorized[1:]:
        pairs = combined * np.int64(len(uniques)) + codes
        _, first, combined = np.unique(pairs, return_index=True, return_inverse=True)
    keys = tuple(LevelKeys(uniques, codes[first]) for codes, uniques in factorized)
    labels = [k.uniques.astype(str).to_numpy()[k.codes] for k in keys]
    levels = pd.Index([":".join(parts) for parts in zip(*labels)])
    if not levels.is_unique:
        levels = pd.Index(list(zip(*labels)), tupleize_cols=False)
    return combined.astype(np.int64), levels, keys


def _factorize(column):
    """Codes and distinct values of a column, sorted where they can be."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.array
        if not has_all_levels(used):
            used = used.remove_unused_categories()
        codes, uniques = used.codes, used.categories
    else:
        try:
            codes, uniques = pd.factorize(column, sort=True)
        except TypeError:
            codes, uniques = _as_they_come(column)
    if (codes < 0).any():
        raise DataError(f"grouping factor {column.name} has missing values")
    return codes.astype(np.int64), pd.Index(uniques)


def _as_they_come(column):
    """Codes and distinct values of a column that cannot be sorted."""
    try:
        return pd.factorize(column)
    except TypeError:
        kinds = sorted({type(v).__name__ for v in column if not _is_hashable(v)})
        raise DataError(
            f"grouping factor {column.name} has values that cannot be levels, such as "
            f"a {' or '.join(kinds)}; make them text or tuples"
        ) from None


def _is_hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _comparable(column):
    """A column of new data as an Index that compares with known values."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    return pd.Index(column)
