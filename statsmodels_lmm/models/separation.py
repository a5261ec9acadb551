"""Separation described by the names of columns and rows."""

import re

import numpy as np

from statsmodels_lmm.core.uncertainty.separation import (
    Unbounded,
    is_constant_by_level,
    is_suspicious,
    separation,
    signs,
    unlimited_effects,
)
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.names import coded_column
from statsmodels_lmm.inputs.row_values import named_rows, rows_text

LEVEL = re.compile(r"(.+?)\[(?:T\.)?(.*?)\](?::|$)")
"""A factor and its level, in the name of an indicator or a product of indicators."""


def unbounded_estimates(model, evaluation, data):
    """
    Find the fixed effects and variances without a finite estimate.

    Parameters
    ----------
    model : CrossedMixedGLM
        The model.
    evaluation : LaplaceDeviance
        The criterion at the end of the search.
    data : Standardized
        The standardized data.

    Returns
    -------
    Unbounded
    """
    sign = signs(model.family.name, model.family.link_name, model.endog)
    if sign is None:
        return Unbounded()
    unlimited = {e.name: unlimited_names(e, sign) for e in model.random}
    if any(unlimited.values()):  # and the coefficients grow with the deviations
        constant = [
            effects.name
            for effects in model.random
            if unlimited[effects.name] and is_constant_by_level(effects.grouped, sign)
        ]
        told = {n: names for n, names in unlimited.items() if n not in constant}
        sentences = [variance_sentence(constant)] if constant else []
        sentences += [effect_sentence(n, names) for n, names in told.items() if names]
        return Unbounded(tuple(sentences), np.ones(len(data.kept), dtype=bool))
    known = evaluation.first.fixed_information
    if not is_suspicious(evaluation.model.exog, evaluation.coefficients, known):
        return Unbounded()
    exog, names = model.exog[:, data.kept], [model.exog_names[j] for j in data.kept]
    found = separation(exog, sign)
    if found is None:
        return Unbounded()
    sentence = separation_sentence(found, exog, sign, names, model._row_labels)
    return Unbounded((sentence,), found.columns, found.directions)


def unlimited_names(effects, sign):
    """
    Names of the random effects whose variance has no finite estimate.

    Parameters
    ----------
    effects : RandomEffects
        The random effects of a factor.
    sign : ndarray
        1, -1 or 0 for each row, see `core.uncertainty.separation.signs`.

    Returns
    -------
    list of str
    """
    found = unlimited_effects(effects.grouped, sign)
    return [name for name, unlimited in zip(effects.effect_names, found) if unlimited]


def variance_sentence(names):
    """
    Say that the variances of grouping factors are not identified.

    Parameters
    ----------
    names : sequence of str
        The factors.

    Returns
    -------
    str
    """
    return (
        f"the response is constant within every level of {_in_words(names)}: the "
        "variance between these levels is not identified"
    )


def effect_sentence(name, effects):
    """
    Say that the variances of effects of a grouping factor are not identified.

    Parameters
    ----------
    name : str
        The factor.
    effects : sequence of str
        The effects.

    Returns
    -------
    str
    """
    plural = len(effects) > 1
    predict = "predict" if plural else "predicts"
    what = "variances of these effects are" if plural else "variance of this effect is"
    return (
        f"within every level of {name}, {_in_words(effects)} {predict} the response "
        f"without error: the {what} not identified"
    )


def separation_sentence(found, exog, sign, names, labels):
    """
    Say which coefficients are infinite, and in which rows this shows.

    Parameters
    ----------
    found : Separation
        The separation.
    exog : ndarray
        X, shape (n, p).
    sign : ndarray
        1, -1 or 0 for each row, see `core.uncertainty.separation.signs`.
    names : sequence of str
        Names of the columns, p of them.
    labels : Index
        Labels of the rows, n of them.

    Returns
    -------
    str
        Such as "the response is constant where t = b (100 rows): its coefficient is
        infinite".
    """
    columns = np.flatnonzero(found.columns)
    alone = [_where(exog[:, j], sign, names[j]) for j in columns]
    plural = len(columns) > 1
    whose = "their coefficients are" if plural else "its coefficient is"
    if all(alone):
        return f"the response is constant where {_in_words(alone)}: {whose} infinite"
    rows = f"in {named_rows(labels[found.rows])}"
    if found.rows.all():
        rows = "in every row"
    named = _in_words([names[j] for j in columns])
    together = "together predict" if plural else "predicts"
    return f"{named} {together} the response without error {rows}; {whose} infinite"


def _where(column, sign, name):
    """The rows in which a column alone separates, in words; None if it does not."""
    some = column != 0.0
    ahead = sign[some] * column[some]
    one_sided = (column[some] > 0.0).all() or (column[some] < 0.0).all()
    if not one_sided or not ((ahead > 0.0).all() or (ahead < 0.0).all()):
        return None
    is_indicator = (column[some] == 1.0).all()
    said = (is_indicator and _levels_in(name)) or f"{name} is not 0"
    return f"{said} ({rows_text(int(some.sum()))})"


def _levels_in(name):
    """Such as "t = b and u = y" for "t[T.b]:u[T.y]", None for other names."""
    found = LEVEL.findall(name)
    if LEVEL.sub("", name) or any(":" in factor for factor, _ in found):
        return None
    return " and ".join(f"{_column(factor)} = {level}" for factor, level in found)


def _column(factor):
    """The column t of a factor "C(t, ...)"; other factors are returned unchanged."""
    try:
        return coded_column(factor) or factor
    except FormulaError:  # the name of a column of an array
        return factor


def _in_words(items):
    """Items joined by commas and a last "and"."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last
