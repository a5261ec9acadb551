"""Contrasts of marginal means within groups, their effect sizes and letters."""

from dataclasses import replace
from itertools import count

import numpy as np
import pandas as pd

from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.core.uncertainty.compact_letters import compact_letters
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.marginal.contrast_sets import (
    contrast_set,
    is_interaction,
)
from statsmodels_lmm.inference.marginal.hypotheses import Hypothesis
from statsmodels_lmm.inference.marginal.multiple_comparisons import ADJUSTMENTS
from statsmodels_lmm.inference.requirements import check_alpha

ADJUST = {
    "pairwise": "tukey",
    "reference": "sidak",
    "consecutive": "sidak",
    "effects": "fdr_bh",
}
"""Default adjustment of each set of contrasts; others are not adjusted."""

ONLY_FOR = {"tukey": "pairwise", "dunnett": "reference"}
"""Adjustments for one set of contrasts."""

WHAT = {"tukey": "all pairwise differences", "dunnett": "differences from one mean"}

CANCELLED = 1e-13
"""Size of a sum relative to its terms below which it counts as 0."""

IDENTITY, LOG = Power(1.0), Log()

NO_RATIOS = (
    "exponentiate needs estimates that are differences of logarithms: linear "
    "predictors of a link such as log or logit, means of a response log(y), or means of "
    "the response of a generalized model"
)


def contrasts(means, method, adjust, reverse, reference, by, alpha, exponentiate):
    """
    Form contrasts of estimates within each group.

    Parameters
    ----------
    means : MarginalMeans
        The estimates.
    method, adjust, reverse, reference, by, alpha, exponentiate
        See `MarginalMeans.contrasts`.

    Returns
    -------
    MarginalMeans
    """
    exponentiate = exponentiate or means.kind == "ratio"
    if exponentiate and not means.ratio:
        raise ValueError(NO_RATIOS)
    alpha = means.alpha if alpha is None else alpha
    check_alpha(alpha)
    by = list(means.by) if by is None else as_list(by)
    for name in by:
        if name not in means.table:
            known = ", ".join(map(str, means.table.columns))
            raise ValueError(f"by has '{name}'; the columns are {known}")
    adjust = _adjustment(adjust, method)
    groups = means.groups(by)
    named = isinstance(method, str) or is_interaction(method)
    if named and max(map(len, groups)) < 2:
        raise DataError(
            "there is only one estimate"
            + (f" for each of {quoted(by)}" if by else "")
            + " and nothing to compare it with; name the factors to compare in "
            "specs rather than by, or set their values with at="
        )
    base = means.for_contrasts(exponentiate)
    sign = "/" if exponentiate else "-"
    table, coefficients = _sets(means.table, groups, by, method, reverse, reference, sign)
    return replace(
        base,
        table=table,
        by=tuple(by),
        rows=_stacked(coefficients, groups, base.rows),
        offset=_stacked(coefficients, groups, base.offset),
        alpha=alpha,
        kind="ratio" if exponentiate else "estimate",
        adjust=adjust,
        family=len(groups[0]),
        title="Contrasts: " + means.title.removeprefix("Contrasts: "),
        link=LOG if exponentiate else IDENTITY,
        ratio=means.ratio if exponentiate or not means.of_response else "",
        of_response=False,
        hypothesis=Hypothesis(),
        means=means,
    )


def _adjustment(adjust, method):
    """The adjustment asked for, or that of the set of contrasts."""
    name = method if isinstance(method, str) else None
    if adjust is None:
        return ADJUST.get(name, "none")
    adjust = check_adjustment(adjust)
    if ONLY_FOR.get(adjust, name) != name:
        raise ValueError(f"adjust={adjust!r} is for {WHAT[adjust]}")
    return adjust


def check_adjustment(adjust):
    """
    Reject an unknown adjustment.

    Parameters
    ----------
    adjust : str
        One of `ADJUSTMENTS`, or "lsd", Fisher's name for none.

    Returns
    -------
    str

    Raises
    ------
    ValueError
    """
    if adjust == "lsd":
        return "none"
    if adjust not in ADJUSTMENTS:
        raise ValueError(f"adjust must be {quoted(ADJUSTMENTS)} or 'lsd', not {adjust!r}")
    return adjust


def _sets(table, groups, by, method, reverse, reference, sign):
    """Names of the contrasts of all groups as a table, and the coefficients of each."""
    compared = [name for name in table if name not in by]
    column = next(name for name in _contrast_columns() if name not in by)
    tables, coefficients = [], []
    for group in groups:
        levels = table[compared].iloc[group]
        names, own = contrast_set(method, levels, reverse, reference, sign)
        part = pd.DataFrame({column: names})
        for name in by:
            part[name] = table[name].iloc[[group[0]] * len(names)].array
        tables.append(part)
        coefficients.append(own)
    return pd.concat(tables, ignore_index=True), coefficients


def _contrast_columns():
    yield "contrast"
    yield from (f"contrast{i}" for i in count(1))


def _stacked(coefficients, groups, values):
    """Combinations of the rows of each group."""
    parts = [combined(c, values[group]) for c, group in zip(coefficients, groups)]
    return np.concatenate(parts)


def combined(coefficients, values):
    """
    Combine rows, some of which may be unknown.

    Parameters
    ----------
    coefficients : ndarray
        Shape (q, k).
    values : ndarray
        Shape (k, ...).

    Returns
    -------
    ndarray
        Shape (q, ...); NaN where a row involved is, 0 where terms cancel.
    """
    missing = np.isnan(values)
    values = np.where(missing, 0.0, values)
    sums = coefficients @ values
    sums[np.abs(sums) <= CANCELLED * (np.abs(coefficients) @ np.abs(values))] = 0.0
    sums[(coefficients != 0.0).astype(float) @ missing > 0.0] = np.nan
    return sums


def effect_sizes(means, sigma, edf, method):
    """
    Divide contrasts by a standard deviation.

    Parameters
    ----------
    means : MarginalMeans
        Means, or contrasts of these.
    sigma, edf, method
        See `MarginalMeans.eff_size`.

    Returns
    -------
    MarginalMeans
    """
    if not 0.0 < sigma < np.inf:
        raise ValueError(f"sigma must be a positive number, not {sigma!r}")
    if not edf > 0.0:
        raise ValueError(f"edf must be a positive number, not {edf!r}")
    if means.kind == "ratio":
        raise ValueError("effect sizes are of differences; leave out exponentiate")
    if means.kind != "estimate":
        means = contrasts(means, method, "none", False, None, None, None, False)
    return replace(
        means,
        rows=means.rows / sigma,
        offset=means.offset / sigma,
        kind="effect size",
        adjust="none",
        edf=float(edf),
        ratio="",
        hypothesis=None,
        title=f"Effect sizes{means.title.removeprefix('Contrasts')}",
        notes=(*means.notes, f"In units of sigma = {sigma:.6g}, with edf = {edf:.6g}."),
    )


def letters(means, alpha, adjust, reverse):
    """
    Tabulate means with letters for those that do not differ.

    Parameters
    ----------
    means : MarginalMeans
        Means.
    alpha, adjust, reverse
        See `MarginalMeans.cld`.

    Returns
    -------
    DataFrame
    """
    pairs = contrasts(means, "pairwise", adjust, False, None, None, alpha, False)
    different = (pairs.frame[pairs.names["pvalue"]] < pairs.alpha).to_numpy()
    parts, start = [], 0
    for group in means.groups(means.by):
        part = means.frame.iloc[group]
        k = len(group)
        matrix = np.zeros((k, k), dtype=bool)
        upper = np.triu_indices(k, 1)
        matrix[upper] = different[start : start + len(upper[0])]
        start += len(upper[0])
        estimates = part[means.names[means.kind]].to_numpy()
        order = np.argsort(-estimates if reverse else estimates, kind="stable")
        own = compact_letters((matrix | matrix.T)[np.ix_(order, order)])
        known = np.isfinite(estimates[order])
        part = part.iloc[order]
        part[free(["letters"], part.columns)["letters"]] = np.where(known, own, "")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def free(names, taken):
    """
    Names of columns that no factor has.

    Parameters
    ----------
    names : iterable of str
        The names.
    taken : iterable
        Names of the factors.

    Returns
    -------
    dict
        Each name, with an underscore appended as long as it is taken.
    """
    chosen = {}
    for name in names:
        chosen[name] = name
        while chosen[name] in taken:
            chosen[name] += "_"
    return chosen


def as_list(given):
    """
    Make a list without duplicates from one label or several.

    Parameters
    ----------
    given : hashable, iterable or None
        A label, such as the name of a column, or several.

    Returns
    -------
    list
    """
    if given is None:
        return []
    is_one = isinstance(given, str) or not np.iterable(given)
    return list(dict.fromkeys([given] if is_one else given))


def quoted(allowed):
    """
    List the allowed values, for a message.

    Parameters
    ----------
    allowed : iterable
        The values.

    Returns
    -------
    str
    """
    return ", ".join(map(repr, allowed))
