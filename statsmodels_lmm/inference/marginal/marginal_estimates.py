"""Tables of marginal means, with contrasts and tests."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.linalg import null_space

from statsmodels_lmm.core.families.links import Link
from statsmodels_lmm.core.rows.estimability import Estimability
from statsmodels_lmm.inference.fixed.degrees_of_freedom import FixedInference
from statsmodels_lmm.inference.marginal.contrast_estimates import (
    IDENTITY,
    LOG,
    check_adjustment,
    combined,
    contrasts,
    effect_sizes,
    free,
    letters,
)
from statsmodels_lmm.inference.marginal.hypotheses import Hypothesis, hypothesis
from statsmodels_lmm.inference.marginal.marginal_tables import summary
from statsmodels_lmm.inference.marginal.multiple_comparisons import (
    MULTIVARIATE,
    adjusted_pvalues,
    critical_values,
)
from statsmodels_lmm.inference.requirements import check_alpha

NOT_ONE_SIDED = (
    "adjust='tukey' is for two-sided tests of differences from 0, and 'dunnett' and "
    "'mvt' for tests without a margin; 'sidak' and 'holm' suit all"
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
    def estimable(self):
        """Whether the data determine each estimate, shape (m,)."""
        seen = np.isfinite(self.rows).all(axis=1)
        return seen & self.estimability.determined(self.rows)

    @property
    def names(self):
        """Names of the columns of numbers in `frame`, as a dict."""
        tests = () if self.hypothesis is None else ("statistic", "pvalue")
        columns = (self.kind, "std err", "df", *tests, "ci_lower", "ci_upper")
        return free(columns, self.table.columns)

    @cached_property
    def frame(self):
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
        return pd.concat([self.table, numbers], axis=1)

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
        return covariance / np.outer(scale, scale)

    def summary_frame(self, alpha=None):
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
        return contrasts(
            self, method, adjust, reverse, reference, by, alpha, exponentiate
        )

    def pairs(self, **options):
        """
        Form all pairwise differences of the means within each group.

        Parameters
        ----------
        **options
            Passed to `contrasts`.

        Returns
        -------
        MarginalMeans
        """
        return self.contrasts("pairwise", **options)

    def test(self, null=0.0, delta=0.0, side="two-sided", adjust=None):
        r"""
        Test the estimates against a value, or for equivalence or non-inferiority.

        With a margin the two-sided test is that of equivalence by two one-sided tests
        (Schuirmann 1987), with :math:`t = (|\hat\theta - \theta_0| - \delta) / s` and
        the lower tail; "larger" tests for non-inferiority,
        :math:`\theta > \theta_0 - \delta`, and "smaller" for non-superiority. Intervals
        of one-sided tests have one finite limit.

        Parameters
        ----------
        null, delta : float, optional
            The value :math:`\theta_0` and the margin :math:`\delta`, on the scale on
            which tests are made: for ratios that of the logarithm, such as
            ``delta=np.log(1.25)``, and for means of the response that of the link.
        side : str, optional
            The alternative: "two-sided", "larger" or "smaller", as in statsmodels;
            emmeans' "equivalence", "noninferiority", "nonsuperiority", "superiority",
            "inferiority", ">" and "<" are understood.
        adjust : str, optional
            Adjustment; see `contrasts`. Default is that of the estimates, except that
            "sidak" replaces those that do not suit: "tukey" is for two-sided tests of
            differences from 0, "dunnett" and "mvt" for tests without a margin.

        Returns
        -------
        MarginalMeans
            The same estimates with these tests in `frame`.

        References
        ----------
        Schuirmann, D. J. (1987). A comparison of the two one-sided tests procedure and
        the power approach for assessing the equivalence of average bioavailability.
        Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
        """
        asked = hypothesis(null, delta, side)
        given = self.adjust if adjust is None else check_adjustment(adjust)
        unsuited = (given == "tukey" and (asked.sided == 1 or self.kind == "mean")) or (
            given in MULTIVARIATE and asked.delta > 0.0
        )
        if unsuited and adjust is not None:
            raise ValueError(NOT_ONE_SIDED)
        return replace(self, hypothesis=asked, adjust="sidak" if unsuited else given)

    def eff_size(self, sigma, edf, method="pairwise"):
        r"""
        Compute standardized effect sizes, Cohen's d, as emmeans' eff_size.

        A contrast :math:`c` divided by :math:`\sigma`, with variance
        :math:`\mathrm{Var}(c) / \sigma^2 + c^2 / (2 \nu \sigma^2)`, in which
        :math:`\nu` are the degrees of freedom of the estimate of :math:`\sigma`.

        Parameters
        ----------
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
        return effect_sizes(self, sigma, edf, method)

    def cld(self, alpha=None, adjust=None, reverse=False):
        """
        Tabulate the means with letters that those which do not differ have in common.

        Two means of a group share a letter if and only if their difference is not
        significant, by Piepho's (2004) algorithm, "compact letter display". That does
        not show them to be equal.

        Parameters
        ----------
        alpha : float, optional
            Level of significance. Default is that of the means, 0.05.
        adjust : str, optional
            Adjustment of the p-values of pairwise differences. Default is "tukey".
        reverse : bool, optional
            Whether the largest mean comes first rather than last.

        Returns
        -------
        DataFrame
            `frame` with the means of each group in their order, and "letters".

        References
        ----------
        Piepho, H.-P. (2004). An algorithm for a letter-based representation of
        all-pairwise comparisons. Journal of Computational and Graphical Statistics 13,
        456-466.
        """
        return letters(self, alpha, adjust, reverse)

    def plot(self, comparisons=False, ax=None, *, alpha=None, adjust=None):
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
        from statsmodels_lmm.graphics.marginal import plot_marginal

        return plot_marginal(self, comparisons, ax, alpha, adjust)

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

    def for_contrasts(self, exponentiate=False):
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
        numbers, groups = [], self.groups(self.by)
        lost = np.isnan(self.inference.params)
        for group in groups:
            seen = group[np.isfinite(self.rows[group]).all(axis=1)]
            rows, offset = self.rows[seen], self.offset[seen]
            if self.kind in ("mean", "slope"):
                steps = np.diff(np.eye(len(seen)), axis=0)
                rows, offset = combined(steps, rows), combined(steps, offset)
            outside = self.estimability.outside(rows)
            if outside.any():
                combine = null_space(outside.T).T
                rows, offset = combine @ rows, combine @ offset
            test = self.inference.f_test(np.where(lost, 0.0, rows), -offset)
            numbers.append((test.df_num, test.df_denom, test.statistic, test.pvalue))
        names = free(("df", "df_denom", "F", "PR(>F)"), self.by)
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

    def groups(self, by):
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
