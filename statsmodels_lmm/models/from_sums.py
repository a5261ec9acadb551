"""
Models of rows that were summed in batches.

Such a model has neither response nor design, like one whose data were removed, but can
be fitted: `MixedModel.summed` holds all that a fit needs of them.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.base.model import LikelihoodModel

from statsmodels_lmm.core.rows.standardize import SPANNED, independent_columns
from statsmodels_lmm.formula.summed_data import SummedData
from statsmodels_lmm.models.from_formula import FormulaSource
from statsmodels_lmm.models.validation import check_sums


def model_from_sums(
    cls,
    summed,
    *,
    endog_name,
    exog_names,
    random,
    formula=None,
    parsed=None,
    frame=None,
    spec=None,
    column_specs=None,
    groupings=None,
    scope=None,
    engine="patsy",
    n_dropped=0,
    missing_counts=None,
    structures=None,
    weights_name=None,
    offset_name=None,
    subset=None,
    numeric_columns=None,
    rank="drop",
    check_levels=True,
):
    """
    Create a model from sums over its rows.

    Parameters
    ----------
    cls : type
        CrossedMixedLM, or a class derived from it.
    summed : SummedRows
        The sums.
    endog_name : str
        Name of the response.
    exog_names : sequence of str
        Names of the columns of X.
    random : tuple of RandomEffects
        The random effects, without rows, in the order of ``summed.terms``.
    formula : str, optional
        The formula as written; None for a model from arrays, which needs none of the
        following.
    parsed : ModelFormula, optional
        The formula as parsed.
    frame : DataFrame, optional
        The columns of the formula with their types and levels, without rows.
    spec : DesignInfo, optional
        How the fixed design is evaluated.
    column_specs, groupings, scope : dict, optional
        See `FormulaSource`.
    engine : {"patsy"}, optional
        The formula engine.
    n_dropped : int, optional
        Number of incomplete rows left out.
    missing_counts : dict, optional
        Number of missing values by column.
    structures : dict, optional
        The user's covariance structures, by their names in the formula.
    weights_name, offset_name : str, optional
        Columns of the prior weights and of the offset beside that of the formula.
    subset : str, optional
        The condition on the rows that were summed.
    numeric_columns : dict of NumericColumn, optional
        Means and ranges of numeric columns by name, at which marginal means and slopes
        are computed unless values are given.
    rank, check_levels : optional
        See `CrossedMixedLM`.

    Returns
    -------
    CrossedMixedLM
        A model with `summed`, whose `endog` and `exog` are None.

    Raises
    ------
    DataError
        If no model can be fitted to the sums.
    """
    names = [str(name) for name in exog_names]
    check_sums(summed, random, names, check_levels)
    model, source, further = cls.__new__(cls), None, {}
    model.summed, model.residual = summed, None
    if formula is not None:
        source = FormulaSource(
            text=formula,
            parsed=parsed,
            structures=dict(structures or {}),
            engine=engine,
            scope=dict(scope or {}),
            frame=frame,
            spec=spec,
            column_specs=dict(column_specs or {}),
            groupings=dict(groupings or {}),
            offset=None,
            n_dropped=n_dropped,
        )
        further = {"formula": parsed.fixed_formula, "model_spec": spec}
    endog = pd.Series(np.zeros(0), name=endog_name)
    exog = pd.DataFrame(np.zeros((0, len(names))), columns=names)
    # statsmodels looks for the constant in the rows
    LikelihoodModel.__init__(model, endog, exog, hasconst=False, **further)
    data = model.data
    data.xnames = names  # if there are none, statsmodels would ask the rows
    if source is not None:
        data.frame = frame
        SummedData.adopt(
            data, source.scope, engine, source.column_specs, source.groupings
        )
        data.numeric = dict(numeric_columns or {})
    data.k_constant, data.const_idx = _constant(summed)
    model.k_constant = data.k_constant
    model.initialize()
    model._set_up(random, dict.fromkeys(cls._sides), check_levels, rank, source)
    model.n_dropped, model.missing_counts = n_dropped, dict(missing_counts or {})
    model.side_names = {
        "weights": weights_name,
        "offset": offset_name,
        "subset": subset,
    }
    model.endog = model.exog = data.endog = data.exog = None
    return model


def reduced_model(model, columns, effects, text=None, parsed=None, specs=None):
    """
    A model of the same sums with some of its columns and random effects.

    Parameters
    ----------
    model : CrossedMixedLM
        A model of sums over rows.
    columns : sequence of int
        The columns of X that remain.
    effects : sequence of tuple
        For each factor that remains its position, the effect columns that remain,
        ascending, and its formula terms with their numbers of columns.
    text, parsed : optional
        The remaining formula, for a model from a formula.
    specs : tuple, optional
        The remaining design, and the specifications of the effect columns and offsets.

    Returns
    -------
    CrossedMixedLM
    """
    summed = model.summed.with_columns(columns)
    summed = summed.with_effects([(i, kept) for i, kept, _ in effects])
    random = [
        replace(
            model.random[i],
            effect_names=tuple(model.random[i].effect_names[j] for j in kept),
            grouped=term,
            terms=tuple(terms),
        )
        for (i, kept, terms), term in zip(effects, summed.terms)
    ]
    of_formula, data = {}, model.data
    if text is not None:
        of_formula = {"formula": text, "parsed": parsed, "frame": data.frame}
        of_formula |= {"scope": data.scope, "groupings": data.groupings}
        of_formula |= {"spec": specs[0], "column_specs": specs[1]}
        of_formula["numeric_columns"] = data.numeric
    return model_from_sums(
        type(model),
        summed,
        endog_name=model.endog_names,
        exog_names=[model.exog_names[j] for j in columns],
        random=tuple(random),
        **of_formula,
        n_dropped=model.n_dropped,
        missing_counts=model.missing_counts,
        structures=model.structures,
        weights_name=model.side_names["weights"],
        offset_name=model.side_names["offset"],
        subset=model.side_names.get("subset"),  # unknown in old pickles
        rank=model.rank,
        check_levels=model.check_levels,
    )


def _constant(summed):
    """Whether X spans the constant, and the position of a constant column or None."""
    rows = summed.standing_rows()
    ones, columns = rows[:, :1], rows[:, 1:]
    position = None
    if columns.shape[1]:
        level = columns[0] / ones[0]
        beyond = np.linalg.norm(columns - ones * level, axis=0)
        same = (beyond <= SPANNED * np.linalg.norm(columns, axis=0)) & (level != 0.0)
        position = int(np.argmax(same)) if same.any() else None
    spanned = columns.shape[1] not in independent_columns(np.hstack([columns, ones]))
    return int(spanned), position
