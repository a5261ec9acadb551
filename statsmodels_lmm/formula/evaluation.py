"""Evaluation of formulas on the data of a fit, with clear errors and warnings."""

import pandas as pd

from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError, warn
from statsmodels_lmm.formula.backend import (
    categorical_factors,
    design_matrices,
    term_columns,
)
from statsmodels_lmm.formula.columns import holds_dates, no_number
from statsmodels_lmm.formula.names import columns_in, names_in
from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.inputs.text_values import alike, near_levels

MOST_COMPARED = 10_000
"""Largest number of levels whose spellings are compared; more are mere identifiers."""


def evaluate(text, frame, scope, engine):
    """
    Evaluate a formula for the first time.

    Parameters
    ----------
    text : str
        A one- or two-sided formula without random effects.
    frame : DataFrame
        The data.
    scope : dict
        Names that are not columns.
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    endog : DataFrame or None
        Left-hand side.
    exog : DataFrame
        Right-hand side.
    spec : DesignInfo or ModelSpec
        Specification for evaluating the right-hand side again.

    Raises
    ------
    DataError
        If a term is a date or a duration rather than a number.
    FormulaError
        If the formula cannot be evaluated.
    """
    try:
        endog, exog, spec = design_matrices(text, frame, scope, engine)
    except FormulaError as error:
        for name in columns_in(text, frame.columns):
            if holds_dates(frame[name]):
                reason = f"{error}; {no_number(frame[name], name)}"
                raise FormulaError(reason) from error
        raise
    values = {
        c: m[c]
        for m in (endog, exog)
        if m is not None and m.to_numpy().dtype.kind not in "fiub"
        for c in m
    }
    reject_dates(values, spec, engine)
    return endog, exog, spec


def reject_dates(values, spec, engine):
    """
    Reject terms that are dates or durations rather than numbers.

    Parameters
    ----------
    values : dict of Series
        Columns of a design that are not numbers, by name.
    spec : DesignInfo or ModelSpec
        Specification of an evaluated design.
    engine : {"patsy", "formulaic"}
        Formula engine.

    Raises
    ------
    DataError
    """
    levels = categorical_factors(spec, engine).items()
    factors = {n: pd.Series(found) for n, found in levels if not n.startswith("C(")}
    for name, value in {**values, **factors}.items():
        if holds_dates(value):
            raise DataError(
                f"'{unquoted(name)}' is a date or a duration; convert it to a number, "
                "such as (date - date.min()).dt.days or date.dt.month"
            )


def single_levels(spec, engine):
    """
    Categorical factors with a single level.

    Parameters
    ----------
    spec : DesignInfo or ModelSpec
        Specification of an evaluated design.
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    dict
        Level of each such factor, by name.
    """
    factors = categorical_factors(spec, engine)
    return {name: levels[0] for name, levels in factors.items() if len(levels) == 1}


def warn_of_near_levels(name, levels, warned):
    """
    Warn of levels of a factor that differ by white space or case only.

    Parameters
    ----------
    name : str
        Name of the factor.
    levels : sequence
        Its levels.
    warned : set
        Names already warned of; new ones are added.
    """
    if ("near", name) in warned or len(levels) > MOST_COMPARED:
        return
    near = near_levels(levels)
    if not near:
        return
    warned.add(("near", name))
    is_case = any(len({" ".join(x.split()) for x in found}) > 1 for found in near)
    # labels may have to match those of a relationship, so keep their case if possible
    differ, fold = ("or case ", ".str.casefold()") if is_case else ("", "")
    warn(
        f"levels of '{name}' differ by white space {differ}only: {alike(near)}"
        f". If they are the same, write `data[{name!r}] = "
        f"data[{name!r}].str.split().str.join(' '){fold}`",
        DataWarning,
    )


def warn_of_levels(spec, engine, warned):
    """
    Warn of single-level factors whose terms have no columns, and of levels alike.

    Parameters
    ----------
    spec : DesignInfo or ModelSpec
        Specification of an evaluated design.
    engine : {"patsy", "formulaic"}
        Formula engine.
    warned : set of str
        Names already warned of; new ones are added.
    """
    for name, levels in categorical_factors(spec, engine).items():
        read = names_in(name).read
        warn_of_near_levels(read[0] if len(read) == 1 else name, levels, warned)
    lost: set = set()
    for _, columns, factors in term_columns(spec, engine):
        if columns.start == columns.stop:
            lost.update(factors)
    for name, level in single_levels(spec, engine).items():
        if name in lost and name not in warned:
            warned.add(name)
            warn(
                f"'{unquoted(name)}' has only one level, '{level}', in the rows used: "
                "its effects are left out",
                DataWarning,
            )
