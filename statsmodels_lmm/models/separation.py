"""Separation described by the names of columns and rows."""

import re

import numpy as np

from statsmodels_lmm.core.uncertainty.separation import (
    Unbounded,
    separation,
    signs,
)
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.names import coded_column
from statsmodels_lmm.inputs.row_values import listed, rows_text

LEVEL = re.compile(r"(.+?)\[(?:T\.)?(.*?)\](?::|$)")
"""A factor and its level, in the name of an indicator or a product of indicators."""


FAR = 10.0
"""Share of a linear predictor due to one standardized column that is suspicious."""

LOST = 1e-6
"""Smallest curvature along the fixed effects, over the largest, that is not."""


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
    unlimited = {e.name: unlimited_effects(e, sign) for e in model.random}
    if any(unlimited.values()):  # and the coefficients grow with the deviations
        constant = [
            effects.name
            for effects in model.random
            if unlimited[effects.name] and is_constant_by_level(effects, sign)
        ]
        told = {n: names for n, names in unlimited.items() if n not in constant}
        sentences = [variance_sentence(constant)] if constant else []
        sentences += [effect_sentence(n, names) for n, names in told.items() if names]
        return Unbounded(tuple(sentences), np.ones(len(data.kept), dtype=bool))
    if not _is_suspicious(evaluation):
        return Unbounded()
    exog, names = model.exog[:, data.kept], [model.exog_names[j] for j in data.kept]
    found = separation(exog, sign)
    if found is None:
        return Unbounded()
    sentence = separation_sentence(found, exog, sign, names, model._row_labels)
    return Unbounded((sentence,), found.columns, found.directions)


def has_intercept(effects):
    """
    Whether a factor has an intercept for each level, independent of those of others.

    Parameters
    ----------
    effects : RandomEffects
        The random effects of a factor.

    Returns
    -------
    bool
    """
    grouped = effects.grouped
    if not effects.has_groups or grouped.relationship is not None:
        return False
    return bool((grouped.effects == grouped.effects[0]).all(axis=0).any())


def unlimited_effects(effects, sign):
    """
    Random effects that can predict the response of two values in every level.

    The likelihood increases with their variance forever. Levels are related neither
    to each other nor, where effects share parameters, by fewer than all of them.

    Parameters
    ----------
    effects : RandomEffects
        The random effects of a factor.
    sign : ndarray
        1, -1 or 0 for each row, see `core.uncertainty.separation.signs`.

    Returns
    -------
    list of str
        Names of the effects.
    """
    grouped = effects.grouped
    if not sign.all() or not effects.has_groups or grouped.relationship is not None:
        return []
    codes, n = grouped.codes, grouped.n_levels

    def predicts(column):
        ahead = sign * column
        found = [np.bincount(codes[s * ahead > 0.0], minlength=n) > 0 for s in (1, -1)]
        return (found[0] | found[1]).any() and not (found[0] & found[1]).any()

    each = np.array([predicts(column) for column in grouped.effects.T], dtype=bool)
    out: list = []
    for part, names, structure in effects.blocks:
        if structure.has_structure and not each[part].all():
            continue
        out += [name for name, found in zip(names, each[part]) if found]
    return out


def is_constant_by_level(effects, values):
    """
    Whether values are the same in all rows of each level of a factor.

    Parameters
    ----------
    effects : RandomEffects
        The random effects of a factor.
    values : ndarray
        Shape (n,).

    Returns
    -------
    bool
    """
    codes = effects.grouped.codes
    of_level = np.zeros(effects.grouped.n_levels)
    of_level[codes] = values
    return bool((of_level[codes] == values).all())


def _is_suspicious(evaluation):
    """Whether a fixed effect is so large or so uncertain that it may be infinite."""
    columns, coefficients = evaluation.model.exog, evaluation.coefficients
    if not len(coefficients):
        return False
    if (np.abs(columns).max(axis=0) * np.abs(coefficients)).max() > FAR:
        return True
    curvature = np.linalg.eigvalsh(evaluation.first.fixed_information)
    return bool(curvature[0] <= LOST * curvature[-1])


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
    n = int(found.rows.sum())
    rows = f"in {rows_text(n)}: {listed(labels[found.rows])}"
    if n == len(labels):
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
