"""Evaluation of parsed formulas on data."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.by_name import covariance_blocks
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.formula.backend import (
    categorical_factors,
    design_matrices,
)
from statsmodels_lmm.formula.columns import true_or_false
from statsmodels_lmm.formula.evaluation import (
    evaluate,
    single_levels,
    warn_of_levels,
    warn_of_near_levels,
)
from statsmodels_lmm.formula.frame import find_column, prepare_frame
from statsmodels_lmm.formula.model_formula import offset_formula
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.remembered import grouping_factors
from statsmodels_lmm.formula.responses import evaluate_response
from statsmodels_lmm.formula.tokens import written
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.row_values import named_rows
from statsmodels_lmm.random.random_effects import RandomEffects, group_levels
from statsmodels_lmm.residual.covariance import error_covariance


@dataclass(frozen=True)
class Design:
    """
    A formula evaluated on data.

    Parameters
    ----------
    endog, exog : DataFrame
        Response and fixed-effects design for the rows used. The response may have two
        columns, successes and failures, and is zero if the formula has none.
    spec : DesignInfo or ModelSpec
        Specification for evaluating the fixed-effects design again.
    random : tuple of RandomEffects
        Random effects of each grouping factor, in the order of the formula.
    column_specs : dict
        Specifications for evaluating effect columns and offsets again, by formula.
    offset : ndarray or None
        Sum of the offsets in the formula.
    scope : dict
        Names that are not columns, with arrays as long as the data reduced to the
        rows used.
    frame : DataFrame
        The columns and rows used.
    rows : ndarray
        Positions of these rows in the user's data.
    groupings : dict of RememberedFactor
        The grouping factors that are expressions, by their text.
    event : object
        The level of the response that is coded as 1, see `coded_response`.
    errors : ErrorCovariance or None
        The covariance of the errors; None if they are independent and of one variance.
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
    groupings: dict
    event: object = None
    errors: object = None


def build_design(
    formula,
    data,
    scope,
    engine,
    missing="drop",
    extra=None,
    structures=None,
    relationships=None,
    family=None,
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
        Weights and offsets, which must be complete as well.
    structures : dict, optional
        User-defined covariance structures by their names in the formula.
    relationships : dict of KnownLevels, optional
        Known relationships of levels, by grouping factor.
    family : Family, optional
        The family of a generalized model.

    Returns
    -------
    Design
    """
    known = {*default_scope(engine), *scope}
    frame, rows = prepare_frame(data, formula, known, missing, extra)
    scope = {name: _used_rows(v, name, data.index, rows) for name, v in scope.items()}
    warned: set = set()
    event = None
    if not formula.response:
        _, exog, spec = evaluate(formula.fixed, frame, scope, engine)
        endog = pd.DataFrame(np.zeros((len(frame), 1)), frame.index, ["y"])
    elif family is None:
        endog, exog, spec = evaluate(formula.fixed_formula, frame, scope, engine)
        if [str(c).rpartition("[")[2] for c in endog] == ["False]", "True]"]:
            raise true_or_false(formula.response)
        if endog.shape[1] > 1:
            raise DataError(f"the response '{formula.response}' has several columns")
    else:
        endog, event = evaluate_response(formula, frame, scope, family)
        _, exog, spec = evaluate(formula.fixed, frame, scope, engine)
    warn_of_levels(spec, engine, warned)
    _check_evaluated(endog, formula.response, frame)
    _check_evaluated(exog, "the fixed effects", frame)
    if len(set(exog.columns)) < exog.shape[1]:
        twice = exog.columns[exog.columns.duplicated()][0]
        raise DataError(f"column '{twice}' appears twice in the fixed effects")
    specs: dict = {}
    offset = evaluate_offset(formula.offsets, frame, scope, engine, specs)
    designs = {formula.fixed: (exog, spec)}

    def evaluated(effects):
        if effects not in designs:
            designs[effects] = evaluate(effects, frame, scope, engine)[1:]
        return designs[effects]

    groupings, computed = grouping_factors(formula, frame, scope)
    columns = {**dict(frame.items()), **computed}
    random = tuple(
        _random_effects(
            terms,
            [columns[find_column(columns, name)] for name in terms[0].grouping],
            *(frame, evaluated, engine, specs, warned, structures or {}),
            relationships,
        )
        for terms in formula.by_factor
    )
    errors = _errors(formula, data, columns, evaluated, frame, specs)
    values = endog, exog, spec, random, specs, offset, scope, frame, rows
    return Design(*values, groupings, event, errors)


def _errors(formula, data, columns, evaluated, frame, specs):
    """The covariance of the errors, or None."""
    if formula.residual is None and not formula.dispersion:
        return None
    values, spread = {}, None
    if formula.residual is not None:
        term = formula.residual
        for name in (*term.when, *term.group, *(term.by or ())):
            values[name] = columns[find_column(columns, name)]
        for name in term.when:
            every = data[find_column(data, name)].dtype
            if isinstance(every, pd.CategoricalDtype) and every.ordered:
                # a level that was never observed is a step all the same
                values[name] = values[name].astype(every)
    if formula.dispersion:
        spread, specs[formula.dispersion] = evaluated(formula.dispersion)
        check_finite(spread, f"dispersion ~ {formula.dispersion}", frame.index)
        constant = (spread == spread.iloc[0]).all() & (spread.iloc[0] == 1.0)
        spread = spread.loc[:, ~constant]
        if not spread.shape[1]:
            raise DataError(
                f"dispersion ~ {formula.dispersion} has one value in all rows, so that "
                "it gives them one variance; leave it out"
            )
    return error_covariance(
        formula.residual, formula.dispersion, values, spread, frame.index
    )


def _used_rows(value, name, labels, rows):
    """A variable of the caller, in the rows used if it is as long as the data."""
    if not isinstance(value, np.ndarray | pd.Series | pd.Categorical):
        return value
    if value.ndim == 0 or len(value) != len(labels):
        return value
    if np.ma.isMaskedArray(value) and value.mask.any():
        raise DataError(
            f"the variable '{name}' in the formula has masked values; make it a column "
            "of the data, so that incomplete rows can be dropped"
        )
    if isinstance(value, pd.Series):
        value = aligned(value, labels, f"the variable '{name}' in the formula")
        return value.iloc[rows].reset_index(drop=True)
    return value[rows]


def _check_evaluated(columns, what, frame):
    """Reject infinite or undefined values, of which one makes all of ``center(x)``."""
    finite = np.isfinite(columns.to_numpy(float))
    if finite.all():
        return
    for column in columns.columns[~finite.any(axis=0)]:
        for name in columns_in(column, frame.columns):
            if frame[name].dtype.kind == "f":
                check_finite(frame[[name]], column, frame.index)
    check_finite(columns, what, frame.index)


def check_finite(columns, what, labels):
    """
    Reject infinite or undefined values, naming the column and the rows.

    Parameters
    ----------
    columns : DataFrame
        Evaluated columns.
    what : str
        What the columns are, for messages.
    labels : Index
        Labels of the rows.
    """
    bad = ~np.isfinite(columns.to_numpy(float))
    if bad.any():
        column = columns.columns[np.argmax(bad.any(axis=0))]
        rows = labels[np.flatnonzero(bad.any(axis=1))]
        where = "" if column == what else f" in {what}"
        raise DataError(
            f"'{column}'{where} is infinite or undefined in {named_rows(rows)}"
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
        Specification of each offset by formula; missing ones are added.

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
    terms, groups, frame, evaluated, engine, specs, warned, structures, relationships
):
    """Random effects of the terms whose common levels are those of some columns."""
    codes, levels, keys = group_levels(groups)
    for column, key in zip(groups, keys):
        warn_of_near_levels(column.name, key.uniques, warned)
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
            warn_of_levels(spec, engine, warned)
            single = single_levels(spec, engine) if term.double_bar else {}
            if single and any(np.array_equal(exog, m) for m in columns):
                raise repeated_effects(term, single)
            specs[term.effects] = spec
            check_finite(exog, str(term), frame.index)
            matrix, labels = exog.to_numpy(float), list(exog.columns)
            if term.double_bar and term.group not in warned:
                has_constant = any(t.double_bar and t.effects == "1" for t in terms)
                twice = has_constant and bool((matrix.sum(axis=1) == 1.0).all())
                warn_of_correlated(term, twice, spec, engine, warned)
        columns.append(matrix)
        names += labels
        size = matrix.shape[1]
        done.append((term, size))
        structure = structures.get(term.structure, term.structure)
        sizes, models = covariance_blocks(structure, labels, term.hom)
        blocks += sizes
        structured += models
    return RandomEffects(
        name=terms[0].group,
        levels=levels,
        effect_names=tuple(names),
        grouped=GroupedEffects(
            codes,
            len(levels),
            columns[0] if len(columns) == 1 else np.column_stack(columns),
            tuple(blocks),
            tuple(structured),
            relationship,
        ),
        columns=terms[0].grouping,
        terms=tuple(done),
        keys=keys,
    )


def repeated_effects(term, single):
    """
    The error for a part of a term that repeats another.

    Parameters
    ----------
    term : RandomTerm
        The part.
    single : dict
        Its factors with a single level.

    Returns
    -------
    DataError
    """
    return DataError(
        f"'{', '.join(single)}' has only one level in the rows used, so the effects of "
        f"{term} repeat those of another part of the term; leave it out"
    )


def warn_of_correlated(term, twice, spec, engine, warned):
    """
    Warn that ``||`` leaves the columns of a factor correlated, as in lme4.

    Parameters
    ----------
    term : RandomTerm
        Part of an expanded ``(effects || grouping)``.
    twice : bool
        Whether its columns span the intercept of another part.
    spec : DesignInfo or ModelSpec
        Specification of its design.
    engine : {"patsy", "formulaic"}
        Formula engine.
    warned : set
        Names already warned of; new ones are added.
    """
    factors = categorical_factors(spec, engine)
    if not factors:
        return
    warned.add(term.group)
    name = in_backticks(", ".join(sorted(factors)))
    group = in_backticks(":".join(map(written, term.grouping)))
    beside = ""
    if twice:  # indicators of all levels add up to the constant
        beside = (
            f". The columns span the intercept (1 | {group}) of the same term, so that "
            f"only the sum of the two covariances is determined; (0 + {name} || "
            f"{group}) leaves the intercept out"
        )
    warn(
        f"'||' does not separate the columns of the categorical {name}: as in lme4 the "
        f"term is ({in_backticks(term.effects)} | {group}); write diag({name} | "
        f"{group}) for independent columns{beside}",
        DataWarning,
    )
