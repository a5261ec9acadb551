"""Contrasts of marginal means within groups, and effect sizes."""

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.families.links import Log, Power
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.marginal.contrast_sets import (
    as_list,
    contrast_set,
    is_interaction,
    quoted,
)
from statsmodels_lmm.inference.marginal.hypotheses import Hypothesis
from statsmodels_lmm.inference.marginal.multiple_comparisons import ADJUSTMENTS
from statsmodels_lmm.inference.requirements import check_alpha
from statsmodels_lmm.keywords import R_ADJUSTMENTS

if TYPE_CHECKING:
    from statsmodels_lmm.inference.marginal.marginal_estimates import MarginalMeans

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
    "predictors of a link such as log or logit, means of a response log(y), or means "
    "of the response of a generalized model"
)


def contrasts(
    means: Any,
    method: Any = "pairwise",
    adjust: Any = None,
    reverse: bool = False,
    reference: Any = None,
    by: Any = None,
    alpha: Any = None,
    exponentiate: bool = False,
) -> "MarginalMeans":
    """
    Form contrasts of the means within each group.

    Contrasts of linear predictors are on the scale of the link; of means of the
    response they are differences, such as risk differences, with intervals that
    are symmetric.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.
    method : str, dict or array_like, optional
        "pairwise", all differences; "reference", differences from one mean;
        "consecutive", each mean minus the one before; "effects", each mean minus
        their average; "poly", orthogonal polynomials in the order of the means,
        up to degree 6, with whole-number coefficients; or your own coefficients
        for the k means, as an array of shape (q, k) or a dict from names of
        contrasts to coefficients. A list of these names, one for each factor, such
        as ``["consecutive", "poly"]``, gives interaction contrasts, contrasts of
        contrasts; "interaction" is "pairwise" for every factor.
    adjust : str, optional
        Adjustment of p-values for the number of contrasts in a group: "none" or
        "lsd"; "tukey", by the studentized range, for all pairwise differences;
        "dunnett", for differences from one mean, and "mvt", for any contrasts, by
        the multivariate t distribution of the statistics, see
        `core.uncertainty.multivariate_t`; "bonferroni" and "sidak"; or "holm",
        "holm-sidak", "simes-hochberg", "hommel", "fdr_bh" and "fdr_by" of
        `statsmodels.stats.multitest.multipletests`. Intervals are adjusted for all
        but the latter. Default is "tukey" for "pairwise",
        "sidak" for "reference" and "consecutive", "fdr_bh" for "effects", and
        "none" for the others.
    reverse : bool, optional
        Whether to reverse the sign of differences.
    reference : optional
        Level with whose mean the others are compared, or a tuple of levels if
        there are several factors. Default is the first.
    by : str or list of str, optional
        Columns that form the groups. Default is that of the means. For contrasts,
        ``by="contrast"`` compares the same contrast between groups; the new
        column is then "contrast1", as it is for groups of a factor named
        "contrast".
    alpha : float, optional
        One minus the level of the intervals. Default is that of the means.
    exponentiate : bool, optional
        Whether to return ratios: exponentials of contrasts of linear predictors,
        such as odds ratios for a logit link and rate ratios for counts with a log
        link; or of contrasts of the logarithms of means of the response, such as
        risk ratios. They are tested against 1, and intervals are made, on the
        scale of the logarithm. Contrasts of ratios are always ratios.

    Returns
    -------
    MarginalMeans
        The contrasts, with tests in `frame`, and the means as `means`.

    Raises
    ------
    ValueError
        If an argument has an unknown value or shape, or the exponential of a
        contrast is not a ratio.
    DataError
        If no group has two means.
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
    how = method, reverse, reference, "/" if exponentiate else "-"
    table, coefficients = _sets(means.table, groups, by, how)
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


def pairs(means: Any, **options: Any) -> "MarginalMeans":
    """
    Form all pairwise differences of the means within each group.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.
    **options
        Passed to `contrasts`.

    Returns
    -------
    MarginalMeans
    """
    return contrasts(means, "pairwise", **options)


def _adjustment(adjust, method):
    """The adjustment asked for, or that of the set of contrasts."""
    name = method if isinstance(method, str) else ""
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
        One of `ADJUSTMENTS`, R's name for one, or "lsd", Fisher's name for none.

    Returns
    -------
    str

    Raises
    ------
    ValueError
    """
    if adjust == "lsd":
        return "none"
    adjust = R_ADJUSTMENTS.get(adjust, adjust)
    if adjust not in ADJUSTMENTS:
        known = quoted((*ADJUSTMENTS, "lsd"))
        raise ValueError(f"adjust must be {known}, not {adjust!r}")
    return adjust


def _sets(table, groups, by, how):
    """Names of the contrasts of all groups as a table, and the coefficients of each."""
    compared = [name for name in table if name not in by]
    column = next(name for name in _contrast_columns() if name not in by)
    tables, coefficients = [], []
    for group in groups:
        levels = table[compared].iloc[group]
        names, own = contrast_set(how[0], levels, *how[1:])
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


def eff_size(
    means: Any, sigma: Any, edf: Any, method: Any = "pairwise"
) -> "MarginalMeans":
    r"""
    Compute standardized effect sizes, Cohen's d, as emmeans' eff_size.

    A contrast :math:`c` divided by :math:`\sigma`, with variance
    :math:`\mathrm{Var}(c) / \sigma^2 + c^2 / (2 \nu \sigma^2)`, in which
    :math:`\nu` are the degrees of freedom of the estimate of :math:`\sigma`.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.
    sigma : float
        Standard deviation. With random effects there are several: that of the
        residuals, or the square root of the sum of all variances.
    edf : float
        Its degrees of freedom, infinite if it is known.
    method : optional
        Contrasts of means; see `contrasts`. Contrasts remain what they are.

    Returns
    -------
    MarginalMeans
        Effect sizes with intervals, which are not adjusted.
    """
    if not 0.0 < sigma < np.inf:
        raise ValueError(f"sigma must be a positive number, not {sigma!r}")
    if not edf > 0.0:
        raise ValueError(f"edf must be a positive number, not {edf!r}")
    if means.kind == "ratio":
        raise ValueError("effect sizes are of differences; leave out exponentiate")
    if means.kind != "estimate":
        means = contrasts(means, method, "none")
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
