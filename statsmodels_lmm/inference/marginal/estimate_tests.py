"""Tests of single marginal means or contrasts, and joint tests of several."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.linalg import null_space

from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.inference.marginal.contrast_estimates import (
    check_adjustment,
    combined,
)
from statsmodels_lmm.inference.marginal.contrast_sets import free
from statsmodels_lmm.inference.marginal.hypotheses import hypothesis
from statsmodels_lmm.inference.marginal.multiple_comparisons import MULTIVARIATE

if TYPE_CHECKING:
    from statsmodels_lmm.inference.marginal.marginal_estimates import MarginalMeans

UNSUITED = (
    "adjust='tukey' is for two-sided tests of all pairwise differences, which choose "
    "it themselves, and 'dunnett' and 'mvt' are not for tests of equivalence; 'sidak' "
    "and 'holm' suit all"
)


def single_tests(
    means: Any,
    null: Any = 0.0,
    delta: float = 0.0,
    side: Any = "two-sided",
    adjust: Any = None,
) -> "MarginalMeans":
    r"""
    Test the estimates against a value, or for equivalence or non-inferiority.

    With a margin the two-sided test is that of equivalence by two one-sided tests
    (Schuirmann 1987), with :math:`t = (|\hat\theta - \theta_0| - \delta) / s` and
    the lower tail; "larger" tests for non-inferiority,
    :math:`\theta > \theta_0 - \delta`, and "smaller" for non-superiority. Intervals
    of one-sided tests have one finite limit.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.
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
        "sidak" replaces "tukey" in one-sided tests and those with a margin, and
        "dunnett" and "mvt" in tests of equivalence.

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
    given = means.adjust if adjust is None else check_adjustment(adjust)
    unsuited = given in MULTIVARIATE and asked.is_equivalence
    if given == "tukey":
        unsuited = asked.sided == 1 or means.adjust != "tukey"
    if unsuited and adjust is not None:
        raise ValueError(UNSUITED)
    return replace(means, hypothesis=asked, adjust="sidak" if unsuited else given)


def joint_test(means: Any) -> pd.DataFrame:
    """
    F tests that all means of a group are equal, or all contrasts are 0.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.

    Returns
    -------
    DataFrame
        One row per group with its levels; "df"; "df_denom", infinite for a
        chi-squared test of df times F; "F" and "PR(>F)". Contrasts that cannot
        be estimated are left out. Columns are named as in `frame`.
    """
    numbers, groups = [], means.groups(means.by)
    lost = np.isnan(means.inference.params)
    for group in groups:
        seen = group[np.isfinite(means.rows[group]).all(axis=1)]
        rows, offset = means.rows[seen], means.offset[seen]
        if means.kind in ("mean", "slope"):
            steps = np.diff(np.eye(len(seen)), axis=0)
            rows, offset = combined(steps, rows), combined(steps, offset)
        outside = means.estimability.outside(rows)
        if outside.any():
            combine = null_space(outside.T).T
            rows, offset = combine @ rows, combine @ offset
        test = means.inference.f_test(np.where(lost, 0.0, rows), -offset)
        numbers.append((test.df_num, test.df_denom, test.statistic, test.pvalue))
    names = free(("df", "df_denom", "F", "PR(>F)"), means.by)
    tests = pd.DataFrame(numbers, columns=list(names.values()))
    first = [group[0] for group in groups]
    levels = means.table[list(means.by)].iloc[first].reset_index(drop=True)
    return ResultTable(pd.concat([levels, tests], axis=1))
