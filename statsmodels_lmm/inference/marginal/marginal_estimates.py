"""Tables of marginal means, with contrasts and tests."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count

import numpy as np
import pandas as pd
from scipy.linalg import null_space

from statsmodels_lmm.core.families.links import Link, Log, Power
from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.degrees_of_freedom import FixedInference
from statsmodels_lmm.inference.marginal.contrast_sets import contrast_set
from statsmodels_lmm.inference.marginal.marginal_tables import TESTED, summary
from statsmodels_lmm.inference.marginal.multiple_comparisons import (
    ADJUSTMENTS,
    adjusted_pvalues,
    critical_values,
)
from statsmodels_lmm.inference.requirements import check_alpha

ADJUST = {
    "pairwise": "tukey",
    "reference": "sidak",
    "consecutive": "sidak",
    "effects": "fdr_bh",
}
"""Default adjustment of each set of contrasts; others are not adjusted."""


CANCELLED = 1e-13
"""Size of a sum relative to its terms below which it counts as 0."""

IDENTITY, LOG = Power(1.0), Log()

NO_RATIOS = (
    "exponentiate needs estimates that are differences of logarithms: linear "
    "predictors of a link such as log or logit, or means of the response of a "
    "generalized model"
)


@dataclass(frozen=True, eq=False, repr=False)
class MarginalMeans:
    r"""
    Marginal means or slopes, or contrasts of these, :math:`h(o + L \beta)`.

    The function h is the identity, except for means of the response of a generalized
    model, which have the inverse link, and for ratios, which have the exponential.
    Intervals and tests are computed for :math:`o + L \beta`, and intervals transformed
    by h; standard errors are by the delta method.

    Parameters
    ----------
    table : DataFrame
        Levels to which each of m rows refers.
    by : tuple of str
        Columns of `table` that form the groups.
    rows : ndarray
        L, shape (m, p).
    offset : ndarray
        o, shape (m,).
    estimability : Estimability
        The relations among the columns of X.
    inference : FixedInference
        Estimates, covariance and degrees of freedom of the fixed effects.
    alpha : float
        One minus the level of the intervals.
    kind : {"mean", "slope", "estimate", "ratio"}
        Name of the estimates; contrasts are "estimate" or "ratio" and have p-values.
    adjust : str
        Adjustment of the p-values and intervals of a group.
    family : int
        Number of means per group that are compared, for Tukey's adjustment.
    title : str
        Title of the summary.
    notes : tuple of str
        Lines below the table.
    link : Link
        The inverse of h.
    ratio : str
        What the exponential of a contrast is, such as "odds ratio"; "" if nothing.
    of_response : bool
        Whether these are means of the response of a generalized model.
    """

    table: pd.DataFrame
    by: tuple
    rows: np.ndarray
    offset: np.ndarray
    estimability: Estimability
    inference: FixedInference
    alpha: float
    kind: str = "mean"
    adjust: str = "none"
    family: int = 0
    title: str = ""
    notes: tuple = ()
    link: Link = IDENTITY
    ratio: str = ""
    of_response: bool = False

    @cached_property
    def estimable(self):
        """Whether each estimate is finite and determined by the data, shape (m,)."""
        seen = np.isfinite(self.rows).all(axis=1)
        known = seen & self.estimability.determined(self.rows)
        return known & ~self.inference.involves_infinity(self.rows)

    @property
    def names(self):
        """Names of the columns of numbers in `frame`, as a dict."""
        tests = ("statistic", "pvalue") if self.kind in TESTED else ()
        columns = (self.kind, "std err", "df", *tests, "ci_lower", "ci_upper")
        return _free(columns, self.table.columns)

    @cached_property
    def frame(self):
        """
        Return the estimates as a table.

        Returns
        -------
        DataFrame
            Columns of the factors, preceded for contrasts by "contrast"; "mean",
            "slope", "estimate" or "ratio"; "std err"; "df", infinite for a normal
            distribution; for contrasts "statistic", t or z for the hypothesis that
            the contrast is 0 or the ratio 1, and "pvalue"; "ci_lower" and "ci_upper".
            Both the statistic and the limits are those of h's argument. NaN where
            nothing can be estimated. A factor keeps its name: if one is called
            "mean", the means are in the column ``"mean_"``, and likewise for the
            others; see `names`.
        """
        rows, known = self._rows(), self.estimable
        params = np.nan_to_num(self.inference.params)
        estimates = np.where(known, self.offset + rows @ params, np.nan)
        variances = np.where(known, self.inference.variances(rows), np.nan)
        errors = np.sqrt(variances)
        df = np.array([self.inference.df(row) for row in rows])
        df[~known] = np.nan
        with np.errstate(divide="ignore", invalid="ignore"):
            statistics = estimates / errors
        pvalues, critical = np.empty((2, len(df)))
        for group in self._groups(self.by):
            family = self.adjust, self.family
            pvalues[group] = adjusted_pvalues(statistics[group], df[group], *family)
            critical[group] = critical_values(df[group], *family, self.alpha)
        limits = estimates + np.multiply.outer([-1.0, 1.0], critical * errors)
        if self.link != IDENTITY:
            slopes = np.abs(self.link.mean_slope(estimates))
            estimates, errors = self.link.mean(estimates), slopes * errors
            limits = np.sort(self.link.mean(limits), axis=0)  # the link may decrease
        columns = {self.kind: estimates, "std err": errors, "df": df}
        if self.kind in TESTED:
            columns |= {"statistic": statistics, "pvalue": pvalues}
        columns["ci_lower"], columns["ci_upper"] = limits
        numbers = pd.DataFrame(columns).rename(columns=self.names)
        return pd.concat([self.table, numbers], axis=1)

    def contrasts(
        self,
        method="pairwise",
        adjust=None,
        reverse=False,
        reference=None,
        by=None,
        alpha=None,
        exponentiate=False,
    ):
        """
        Form contrasts of the means within each group.

        Contrasts of linear predictors are on the scale of the link; of means of the
        response they are differences, such as risk differences, with intervals that
        are symmetric.

        Parameters
        ----------
        method : str, dict or array_like, optional
            "pairwise", all differences; "reference", differences from one mean;
            "consecutive", each mean minus the one before; "effects", each mean minus
            their average; "poly", orthogonal polynomials in the order of the means,
            up to degree 6, with whole-number coefficients; or your own coefficients
            for the k means, as an array of shape (q, k) or a dict from names of
            contrasts to coefficients.
        adjust : str, optional
            Adjustment of p-values for the number of contrasts in a group: "none";
            "tukey", by the studentized range, for all pairwise differences;
            "bonferroni" and "sidak"; or "holm", "holm-sidak", "simes-hochberg",
            "hommel", "fdr_bh" and "fdr_by" of
            `statsmodels.stats.multitest.multipletests`. Intervals are adjusted only
            for "tukey", "bonferroni" and "sidak". Default is "tukey" for "pairwise",
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
            The contrasts, with tests in `frame`.

        Raises
        ------
        ValueError
            If an argument has an unknown value or shape, or the exponential of a
            contrast is not a ratio.
        DataError
            If no group has two means.
        """
        exponentiate = exponentiate or self.kind == "ratio"
        if exponentiate and not self.ratio:
            raise ValueError(NO_RATIOS)
        alpha = self.alpha if alpha is None else alpha
        check_alpha(alpha)
        by = list(self.by) if by is None else as_list(by)
        for name in by:
            if name not in self.table:
                known = ", ".join(map(str, self.table.columns))
                raise ValueError(f"by has '{name}'; the columns are {known}")
        named = isinstance(method, str)
        if adjust is None:
            adjust = ADJUST.get(method, "none") if named else "none"
        if adjust not in ADJUSTMENTS:
            raise ValueError(f"adjust must be {quoted(ADJUSTMENTS)}, not {adjust!r}")
        if adjust == "tukey" and not (named and method == "pairwise"):
            raise ValueError("adjust='tukey' is for all pairwise differences")
        compared = [name for name in self.table if name not in by]
        column = next(name for name in _contrast_columns() if name not in by)
        tables, rows, offsets = [], [], []
        base, groups = self._for_contrasts(exponentiate), self._groups(by)
        sign = "/" if exponentiate else "-"
        if named and max(map(len, groups)) < 2:
            raise DataError(
                "there is only one estimate"
                + (f" for each of {quoted(by)}" if by else "")
                + " and nothing to compare it with; name the factors to compare in "
                "specs rather than by, or set their values with at="
            )
        for group in groups:
            levels = self.table[compared].iloc[group]
            names, coefficients = contrast_set(method, levels, reverse, reference, sign)
            table = pd.DataFrame({column: names})
            for name in by:
                table[name] = self.table[name].iloc[[group[0]] * len(names)].array
            tables.append(table)
            rows.append(_combined(coefficients, base.rows[group]))
            offsets.append(_combined(coefficients, base.offset[group]))
        return replace(
            base,
            table=pd.concat(tables, ignore_index=True),
            by=tuple(by),
            rows=np.vstack(rows),
            offset=np.concatenate(offsets),
            alpha=alpha,
            kind="ratio" if exponentiate else "estimate",
            adjust=adjust,
            family=len(groups[0]),
            title="Contrasts: " + self.title.removeprefix("Contrasts: "),
            link=LOG if exponentiate else IDENTITY,
            ratio=self.ratio if exponentiate or not self.of_response else "",
            of_response=False,
        )

    def through(self, link):
        """
        Express the estimates by another function h, with the same standard errors.

        Parameters
        ----------
        link : Link
            The inverse of the function.

        Returns
        -------
        MarginalMeans
            With o and L linearized at the estimates.
        """
        params = np.nan_to_num(self.inference.params)
        rows = np.where(np.isnan(self.inference.params), 0.0, self.rows)
        with np.errstate(invalid="ignore", divide="ignore"):
            before = self.offset + rows @ params
            after = link.link(self.link.mean(before))
            slopes = self.link.mean_slope(before) / link.mean_slope(after)
            rows = slopes[:, None] * rows
            return replace(self, rows=rows, offset=after - rows @ params, link=link)

    def _for_contrasts(self, exponentiate):
        """Estimates whose differences, or the exponentials of these, are contrasts."""
        if not self.of_response:
            return self
        return self.through(LOG if exponentiate else IDENTITY)

    def joint_test(self):
        """
        F tests that all means of a group are equal, or all contrasts are 0.

        Returns
        -------
        DataFrame
            One row per group with its levels; "df"; "df_denom", infinite for a
            chi-squared test of df times F; "F" and "PR(>F)". Contrasts that cannot
            be estimated are left out. Columns are named as in `frame`.
        """
        numbers, groups = [], self._groups(self.by)
        lost = np.isnan(self.inference.params)
        for group in groups:
            seen = group[np.isfinite(self.rows[group]).all(axis=1)]
            rows, offset = self.rows[seen], self.offset[seen]
            if self.kind not in TESTED:
                steps = np.diff(np.eye(len(seen)), axis=0)
                rows, offset = _combined(steps, rows), _combined(steps, offset)
            outside = self.estimability.outside(rows)
            if outside.any():
                combine = null_space(outside.T).T
                rows, offset = combine @ rows, combine @ offset
            test = self.inference.f_test(np.where(lost, 0.0, rows), -offset)
            numbers.append((test.df_num, test.df_denom, test.statistic, test.pvalue))
        names = _free(("df", "df_denom", "F", "PR(>F)"), self.by)
        tests = pd.DataFrame(numbers, columns=list(names.values()))
        first = [group[0] for group in groups]
        levels = self.table[list(self.by)].iloc[first].reset_index(drop=True)
        return pd.concat([levels, tests], axis=1)

    def summary(self):
        """
        Format the estimates for printing.

        Returns
        -------
        statsmodels.iolib.summary.Summary
        """
        return summary(self)

    def __str__(self):
        return str(self.summary())

    __repr__ = __str__

    def _repr_html_(self):
        return self.summary().as_html()

    def _rows(self):
        """L with zeros for dropped columns, and where it cannot be estimated."""
        lost = np.isnan(self.inference.params)
        return np.where(self.estimable[:, None] & ~lost, self.rows, 0.0)

    def _groups(self, by):
        """Positions of the rows of each group."""
        if not len(by):
            return [np.arange(len(self.table))]
        numbers = self.table.groupby(list(by), sort=False, observed=True).ngroup()
        return [np.flatnonzero(numbers == i) for i in range(numbers.max() + 1)]


def _free(names, taken):
    """Names, with an underscore appended to those taken by factors."""
    free = {}
    for name in names:
        free[name] = name
        while free[name] in taken:
            free[name] += "_"
    return free


def _contrast_columns():
    yield "contrast"
    yield from (f"contrast{i}" for i in count(1))


def _combined(coefficients, values):
    """Combinations of rows, NaN where a row involved is, 0 where terms cancel."""
    missing = np.isnan(values)
    values = np.where(missing, 0.0, values)
    sums = coefficients @ values
    sums[np.abs(sums) <= CANCELLED * (np.abs(coefficients) @ np.abs(values))] = 0.0
    sums[(coefficients != 0.0).astype(float) @ missing > 0.0] = np.nan
    return sums


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
