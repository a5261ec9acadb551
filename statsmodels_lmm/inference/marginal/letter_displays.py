"""Tables of means with letters for those that do not differ."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.uncertainty.compact_letters import compact_letters
from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.inference.marginal.contrast_estimates import contrasts
from statsmodels_lmm.inference.marginal.contrast_sets import free


def cld(
    means: Any, alpha: Any = None, adjust: Any = None, reverse: bool = False
) -> pd.DataFrame:
    """
    Tabulate the means with letters that those which do not differ have in common.

    Two means of a group share a letter if and only if their difference is not
    significant, by Piepho's (2004) algorithm, "compact letter display". That does
    not show them to be equal.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means.
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
    pairs = contrasts(means, "pairwise", adjust, alpha=alpha)
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
    return ResultTable(pd.concat(parts, ignore_index=True))
