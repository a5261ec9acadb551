"""Tables of marginal means, with contrasts and tests."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.families.links import Link
from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.inference.fixed.degrees_of_freedom import FixedInference
from statsmodels_lmm.inference.marginal.contrast_estimates import (
    IDENTITY,
    LOG,
    contrasts,
    eff_size,
    pairs,
)
from statsmodels_lmm.inference.marginal.contrast_sets import free
from statsmodels_lmm.inference.marginal.estimate_tests import joint_test, single_tests
from statsmodels_lmm.inference.marginal.hypotheses import Hypothesis
from statsmodels_lmm.inference.marginal.letter_displays import cld
from statsmodels_lmm.inference.marginal.marginal_tables import summary
from statsmodels_lmm.inference.marginal.multiple_comparisons import (
    MULTIVARIATE,
    adjusted_pvalues,
    critical_values,
)
from statsmodels_lmm.inference.requirements import check_alpha
from statsmodels_lmm.markup import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    kind : {"mean", "slope", "estimate", "ratio", "effect size"}
        Name of the estimates; contrasts are "estimate" or "ratio".
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
    hypothesis : Hypothesis or None
        What is tested, on the scale of h's argument; None if nothing is.
    edf : float
        Degrees of freedom of the standard deviation by which effect sizes are divided;
        it is known if they are infinite.
    means : MarginalMeans or None
        The estimates of which these are contrasts.
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
    hypothesis: Hypothesis | None = None
    edf: float = np.inf
    means: "MarginalMeans | None" = None

    @cached_property
    def estimable(self) -> np.ndarray:
        """Whether each estimate is finite and determined by the data, shape (m,)."""
        seen = np.isfinite(self.rows).all(axis=1)
        known = seen & self.estimability.determined(self.rows)
        return known & ~self.inference.involves_infinity(self.rows)

    @property
    def names(self) -> dict[str, str]:
        """Names of the columns of numbers in `frame`, as a dict."""
        tests = () if self.hypothesis is None else ("statistic", "pvalue")
        columns = (self.kind, "std err", "df", *tests, "ci_lower", "ci_upper")
        return free(columns, self.table.columns)

    @cached_property
    def frame(self) -> ResultTable:
        """
        Return the estimates as a table.

        Returns
        -------
        DataFrame
            Columns of the factors, preceded for contrasts by "contrast"; "mean",
            "slope", "estimate", "ratio" or "effect size"; "std err"; "df", infinite for
            a normal distribution; for contrasts "statistic", t or z for the hypothesis
            that the contrast is 0 or the ratio 1, or for that of `test`, and "pvalue";
            "ci_lower" and "ci_upper". Both the statistic and the limits are those of
            h's argument. NaN where nothing can be estimated. A factor keeps its name:
            if one is called "mean", the means are in the column ``"mean_"``, and
            likewise for the others; see `names`.
        """
        rows, known = self._rows(), self.estimable
        params = np.nan_to_num(self.inference.params)
        estimates = np.where(known, self.offset + rows @ params, np.nan)
        variances = np.where(known, self.inference.variances(rows), np.nan)
        errors = np.sqrt(variances + 0.5 * estimates**2 / self.edf)
        df = np.array([self.inference.df(row) for row in rows])
        df[~known] = np.nan
        asked = self.hypothesis or Hypothesis()
        statistics = asked.statistics(estimates, errors)
        pvalues, reach = self._simultaneous(asked, statistics, df)
        limits = asked.limits(estimates, reach * errors)
        if self.link != IDENTITY:
            slopes = np.abs(self.link.mean_slope(estimates))
            estimates, errors = self.link.mean(estimates), slopes * errors
            limits = np.sort(self.link.mean(limits), axis=0)  # the link may decrease
        columns = {self.kind: estimates, "std err": errors, "df": df}
        if self.hypothesis is not None:
            columns |= {"statistic": statistics, "pvalue": pvalues}
        columns["ci_lower"], columns["ci_upper"] = limits
        numbers = pd.DataFrame(columns).rename(columns=self.names)
        return ResultTable(pd.concat([self.table, numbers], axis=1))

    def _simultaneous(self, asked, statistics, df):
        """P-values and half-widths of intervals in standard errors, in each group."""
        pvalues, reach = np.empty((2, len(df)))
        evidence = asked.evidence(statistics)
        for group in self.groups(self.by):
            how = self.adjust, self.family
            correlation = None
            if self.adjust in MULTIVARIATE:
                correlation = self._correlation(group)
            pvalues[group] = adjusted_pvalues(
                evidence[group], df[group], *how, correlation, asked.sided
            )
            reach[group] = critical_values(
                df[group], *how, self.alpha, correlation, asked.n_limits
            )
        return pvalues, reach

    def _correlation(self, group):
        """Correlations of the estimates of a group, 0 with those without a variance."""
        covariance = self.inference.covariances(self._rows()[group])
        variances = np.diag(covariance)
        scale = np.where(variances > 0.0, np.sqrt(variances), np.inf)
        correlation = covariance / np.outer(scale, scale)
        np.fill_diagonal(correlation, 1.0)
        return correlation

    def summary_frame(self, alpha: float | None = None) -> pd.DataFrame:
        """
        Return the estimates as a table, like `frame`.

        Parameters
        ----------
        alpha : float, optional
            One minus the level of the intervals. Default is that of the estimates.

        Returns
        -------
        DataFrame
        """
        if alpha is None:
            return self.frame.copy()
        check_alpha(alpha)
        return replace(self, alpha=alpha).frame

    # functions of estimates that are also methods

    contrasts = contrasts
    pairs = pairs
    test = single_tests
    joint_test = joint_test
    eff_size = eff_size
    cld = cld

    def plot(
        self,
        comparisons: bool = False,
        ax: Any = None,
        *,
        alpha: float | None = None,
        adjust: str | None = None,
    ) -> "Figure":
        """
        Plot the estimates with their intervals.

        Parameters
        ----------
        comparisons : bool, optional
            Whether to draw comparison arrows, as emmeans does: two arrows that point
            at each other overlap if the means do not differ significantly.
        ax : Axes or sequence of Axes, optional
            Axes to draw on, one per group.
        alpha, adjust : optional
            Level of significance and adjustment of the comparisons; see `cld`.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.comparisons import plot_comparisons

        return plot_comparisons(self, comparisons, ax, alpha, adjust)

    def through(self, link: Link) -> "MarginalMeans":
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

    def for_contrasts(self, exponentiate: bool = False) -> "MarginalMeans":
        """
        Estimates whose differences, or the exponentials of these, are contrasts.

        Parameters
        ----------
        exponentiate : bool, optional
            Whether ratios are formed.

        Returns
        -------
        MarginalMeans
        """
        if not self.of_response:
            return self
        return self.through(LOG if exponentiate else IDENTITY)

    def summary(self) -> Summary:
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

    def groups(self, by: Any) -> list[np.ndarray]:
        """
        Positions of the rows of each group.

        Parameters
        ----------
        by : list of str
            Columns of `table` that form the groups.

        Returns
        -------
        list of ndarray
        """
        if not len(by):
            return [np.arange(len(self.table))]
        numbers = self.table.groupby(list(by), sort=False, observed=True).ngroup()
        return [np.flatnonzero(numbers == i) for i in range(numbers.max() + 1)]
