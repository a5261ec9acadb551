"""The arguments of a model from a formula and a data frame."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from statsmodels_lmm.formula.backend import caller_scope, current_engine
from statsmodels_lmm.formula.codings import check_factors, with_contrasts
from statsmodels_lmm.formula.design import build_design
from statsmodels_lmm.formula.dialects import engine_text
from statsmodels_lmm.formula.frame import check_names
from statsmodels_lmm.formula.mixedlm_terms import group_columns, random_terms
from statsmodels_lmm.formula.model_formula import ModelFormula
from statsmodels_lmm.formula.names import CODINGS, SYNTAX, names_in
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.random_terms import TRANSFORMS, checked_structures
from statsmodels_lmm.formula.residual_terms import with_errors
from statsmodels_lmm.formula.subsets import condition_of, rows_where
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.alignment import subset_rows
from statsmodels_lmm.inputs.row_values import (
    argument_of,
    row_values,
    take_rows,
    taken,
    without_zero_weights,
)
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.keywords import VARIANCE_FUNCTIONS
from statsmodels_lmm.models.arrays import plain
from statsmodels_lmm.random.known_levels import known_levels


@dataclass(frozen=True)
class FormulaSource:
    """
    The formula of a model, and how to evaluate it again.

    Parameters
    ----------
    text : str
        The formula as written, including random effects.
    parsed : ModelFormula
        The parsed formula.
    structures : dict
        The user's covariance structures, by their names in the formula.
    engine : {"patsy", "formulaic"}
        The formula engine.
    scope : dict
        Names that are not columns.
    frame : DataFrame
        The columns and rows used.
    spec : DesignInfo or ModelSpec
        How the fixed design is evaluated.
    column_specs : dict
        Specifications of the columns of effects and offsets, by formula.
    groupings : dict of RememberedFactor
        The grouping factors that are expressions, by their text.
    offset : ndarray or None
        Sum of the offsets in the formula.
    n_dropped : int
        Number of incomplete rows left out.
    errors : ErrorCovariance or None
        The covariance of the errors.
    """

    text: str
    parsed: ModelFormula
    structures: dict
    engine: str
    scope: dict
    frame: pd.DataFrame
    spec: object
    column_specs: dict
    groupings: dict
    offset: np.ndarray | None
    n_dropped: int
    errors: object = None

    @property
    def fixed_text(self):
        """The response and the fixed effects in patsy's notation, for any engine."""
        columns = self.parsed.response_columns
        if not columns:
            return engine_text(self.parsed.fixed_formula, "patsy")
        sides = " + ".join(columns), self.parsed.fixed
        return " ~ ".join(engine_text(side, "patsy") for side in sides)


def with_group_terms(formula, data, groups, re_formula, vc_formula):
    """
    A formula with the random effects that MixedLM's arguments add.

    Parameters
    ----------
    formula : str
        The formula.
    data : DataFrame
        The data.
    groups, re_formula, vc_formula
        See `formula.mixedlm_terms.random_terms`.

    Returns
    -------
    formula : str
        The formula, with a term in parentheses for each of them.
    data : DataFrame
        The data, with the groups as columns.
    """
    data, groups = group_columns(to_frame(data), groups)
    terms = random_terms(groups, re_formula, vc_formula, data)
    return " + ".join([formula, *(t.text for t in terms)]), data


def read_formula(
    formula,
    data,
    *,
    subset,
    sides,
    missing,
    relationship,
    relationship_inverse,
    structures,
    eval_env,
    depth,
    family=None,
    contrasts=None,
    residual=None,
    dispersion=None,
    alone=False,
):
    """
    Evaluate a formula on data.

    Parameters
    ----------
    formula, data, subset, missing, relationship, relationship_inverse
        As for `MixedModel.from_formula`.
    sides : dict
        Values of the rows besides the response, such as weights and offset: an array,
        the name of a column, or None, by name.
    structures, eval_env
        As for `MixedModel.from_formula`.
    depth : int
        Stack frames between this function and the user.
    family : Family, optional
        The family of a generalized model.
    contrasts, residual, dispersion : optional
        As for `MixedModel.from_formula`.
    alone : bool, optional
        Whether the fixed effects may stand alone in any case.

    Returns
    -------
    dict
        Arguments of the model: endog, exog, random, those in `sides`, and source, a
        FormulaSource. With a family also event, see `coded_response`; endog then may
        have two columns, successes and failures, and is only checked to be finite.

    Raises
    ------
    FormulaError
        If the formula cannot be read or evaluated.
    DataError
        If the data cannot be used.
    """
    if missing not in ("none", "drop", "raise"):
        raise ValueError(f"missing must be 'drop' or 'raise', not {missing!r}")
    _refuse_variance_function(sides.get("weights"))
    structures = checked_structures(structures)
    formula, matrices = with_contrasts(formula, contrasts)
    told = residual is not None or dispersion is not None
    may_stand_alone = told or alone
    name, one_sided = family and family.name, family is None
    parsed = parse(formula, structures, name, may_stand_alone, one_sided)
    parsed = with_errors(parsed, residual, dispersion) if told else parsed
    condition = [condition_of(subset)] if isinstance(subset, str) else []
    factors = [terms[0].group for terms in parsed.by_factor]
    known = known_levels(relationship, relationship_inverse, factors)
    # names of the data are columns, and otherwise the caller's
    read, called = _names(parsed.pieces)
    columns = [v for v in sides.values() if isinstance(v, str)]
    needed = {*read, *_names(condition)[0], *columns, *parsed.grouping_columns}
    data = to_frame(data, needed)
    check_factors(contrasts, data)
    free = (called - SYNTAX) | (read - set(data.columns))
    scope = caller_scope(free, TRANSFORMS | CODINGS, eval_env, depth + 1) | matrices
    for text in condition:
        read, called = _names(condition)
        free = (called - SYNTAX) | (read - set(data.columns))
        own = caller_scope(free, TRANSFORMS | CODINGS, eval_env, depth + 1)
        check_names(text, data, subset, {*default_scope("patsy"), *own})
        subset = rows_where(text, subset, data, own)
    data, sides = _of_subset(data, sides, subset)
    n_rows, engine = len(data), current_engine()
    sides = {name: row_values(v, data, argument_of(name)) for name, v in sides.items()}
    data, sides = without_zero_weights(data, sides)
    design = build_design(
        parsed,
        data,
        scope,
        engine,
        "drop" if missing == "drop" else "raise",
        {name: row_values(name, data, name) for name in columns},
        structures,
        known,
        family,
    )
    sides = taken(sides, design.rows)
    if design.offset is not None:
        given = sides["offset"]
        sides["offset"] = design.offset + (0.0 if given is None else given)
    source = FormulaSource(
        text=formula,
        parsed=parsed,
        structures=structures,
        engine=engine,
        scope=design.scope,
        frame=design.frame,
        spec=design.spec,
        column_specs=design.column_specs,
        groupings=design.groupings,
        offset=design.offset,
        n_dropped=n_rows - len(design.rows),
        errors=design.errors,
    )
    endog, exog = design.endog, design.exog
    if engine != "patsy":  # which makes nothing but floats
        endog = plain(endog, endog.index, "the response")
        exog = plain(exog, exog.index, "the fixed effects")
    arguments = {
        "endog": endog,
        "exog": exog,
        "random": design.random,
        "source": source,
        **sides,
    }
    return arguments if family is None else {**arguments, "event": design.event}


def _refuse_variance_function(weights):
    """Reject nlme's functions such as ``varIdent(form = ~ 1 | sex)`` as weights."""
    name = weights.partition("(")[0].strip() if isinstance(weights, str) else ""
    if name in VARIANCE_FUNCTIONS:
        raise TypeError(
            f"weights={name}(...) is spelled dispersion= here, a formula of logarithms "
            "of standard deviations: `crossedmixedlm('y ~ x + (1 | g)', data, "
            f"dispersion='{VARIANCE_FUNCTIONS[name]}')`"
        )
    if name.startswith("~"):
        raise TypeError(
            "weights= is a column of prior weights; a formula of standard deviations "
            "is dispersion= here: `crossedmixedlm('y ~ x + (1 | g)', data, "
            "dispersion='~ f')`"
        )
    if name == "varFixed":
        raise TypeError(
            "weights=varFixed(~ v) is the column 1 / v of prior weights here: "
            "`crossedmixedlm('y ~ x + (1 | g)', data.assign(w=1 / data['v']), "
            "weights='w')`"
        )


def _names(texts):
    """Names that the parts of a formula read, and those that they call."""
    names = [names_in(text) for text in texts]
    read = {name for each in names for name in each.read}
    return read, {name for each in names for name in each.called}


def _of_subset(data, sides, subset):
    """The rows of a subset; all rows without one."""
    if subset is None:
        return data, sides
    rows = subset_rows(subset, data.index)
    pairs = sides.items()
    chosen = {name: take_rows(v, rows, data.index, name) for name, v in pairs}
    return data.iloc[rows], chosen
