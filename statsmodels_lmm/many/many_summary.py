"""What many fits have in common, in a table and in three lines."""

import pandas as pd

from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.inference.adjustments import adjusted
from statsmodels_lmm.many.many_tests import dfs_by

SHOWN = 5
"""Largest number of reasons that are listed."""


def summary(many, adjust, level):
    """
    The fixed effects over all responses, see `ManyResults.summary`.

    Parameters
    ----------
    many : ManyResults
        The fits.
    adjust : str
        Adjustment of the p-values.
    level : float
        Adjusted p-value below which a response counts.

    Returns
    -------
    DataFrame
    """
    params, p = many.params, many.pvalues
    table = params.quantile([0.25, 0.5, 0.75]).T
    table.columns = ["25 %", "median", "75 %"]
    table["std err"] = many.bse.median()
    table["df"] = pd.DataFrame(dfs_by(many, many.df_method), columns=p.columns).median()
    table[f"{adjust} < {level:g}"] = [
        int((adjusted(p[name].to_numpy(), adjust) < level).sum()) for name in p
    ]
    return ResultTable(table.rename_axis("effect"))


def lines(many):
    """
    The model, counts of fits, and the most frequent reasons.

    Parameters
    ----------
    many : ManyResults
        The fits.

    Returns
    -------
    list of str
    """
    fits, failed = many.fits, many.n_failed
    unproved = len(many) - failed - int(fits.certified.sum())
    out = [
        f"{many.model.formula_full or 'a model from arrays'}, "
        f"{'REML' if many.reml else 'ML'}",
        f"{len(many):,} responses, {failed:,} without a fit, "
        f"{int(fits.singular.sum()):,} singular, {unproved:,} not proved"
        + ("; interrupted" if many.interrupted else ""),
    ]
    if many.reasons:
        counts = pd.Series(many.reasons).value_counts()
        listed = [f"{text} ({count})" for text, count in counts.items()]
        more = ", ..." if len(listed) > SHOWN else ""
        out.append("; ".join(listed[:SHOWN]) + more)
    return out
