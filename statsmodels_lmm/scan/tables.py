"""The table of a scan, from estimates in standardized units."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.scans.hypotheses import no_effect_tests, reasons
from statsmodels_lmm.core.scans.rotated import UNBOUNDED, RotatedModel
from statsmodels_lmm.inference.adjustments import adjusted


def rows_of_candidates(scanned, standard, question, are_counts):
    """
    The rows of a block of candidates.

    Parameters
    ----------
    scanned : Scanned
        The block.
    standard : StandardModel
        The model, for units.
    question : Question
        What is tested.
    are_counts : bool
        Whether candidates are genotypes.

    Returns
    -------
    DataFrame
    """
    estimates = scanned.estimates
    tests = no_effect_tests(estimates, question.test, question.df_method, question.reml)
    unknown = estimates.reason > 0
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = standard.scale / scanned.units
        effect = np.where(unknown, np.nan, estimates.effect[:, 0] * scale)
        se = np.sqrt(tests.variance / estimates.information[:, 0, 0]) * scale
    columns = {
        "effect": effect,
        "se": se,
        "df": tests.df,
        "statistic": tests.statistic,
        "p": tests.pvalue,
        **_ratio(estimates, standard),
        "frequency" if are_counts else "mean": scanned.means / (1 + are_counts),
        "n_missing": scanned.n_missing,
        "reason": reasons(estimates),
    }
    return pd.DataFrame(columns)


def row_of_set(estimates, n_missing, standard, question):
    """
    The row of a set of candidates.

    Parameters
    ----------
    estimates : Estimates
        Of the set.
    n_missing : int
        Number of rows with a missing value.
    standard, question
        As for `rows_of_candidates`.

    Returns
    -------
    DataFrame
    """
    tests = no_effect_tests(
        estimates, question.test, question.df_method, question.reml, is_set=True
    )
    known = not estimates.reason[0]
    columns = {
        "n_columns": [estimates.effect.shape[1] if known else 0],
        "df": tests.df,
        "statistic": tests.statistic,
        "p": tests.pvalue,
        **_ratio(estimates, standard),
        "n_missing": [n_missing],
        "reason": reasons(estimates),
    }
    return pd.DataFrame(columns)


def _ratio(estimates, standard):
    """The column of variance ratios, if the model has one."""
    if not isinstance(standard.core, RotatedModel):
        return {}
    ratio = estimates.ratio * standard.ratio_scale
    ratio[estimates.ratio > UNBOUNDED] = np.inf
    return {"ratio": np.where(estimates.reason > 0, np.nan, ratio)}


def whole_table(parts, order, labels, name, positions, adjust):
    """
    The table of all candidates or sets that were done.

    Parameters
    ----------
    parts : list of DataFrame
        Rows in the order in which they were done.
    order : ndarray
        Position of each row among all candidates or sets.
    labels : Index
        Their names.
    name : str
        What they are.
    positions : DataFrame or None
        Chromosome and position of each.
    adjust : str or None
        Adjustment of p-values.

    Returns
    -------
    DataFrame
    """
    table = pd.concat(parts, ignore_index=True)
    table.index = labels[order].rename(name)
    where = np.argsort(order, kind="stable")
    table = table.iloc[where]
    if adjust is not None:
        p = adjusted(table["p"].to_numpy(), adjust)
        table.insert(table.columns.get_loc("p") + 1, "p_adjusted", p)
    if positions is not None:
        own = positions.iloc[order[where]].set_axis(table.index)
        table = pd.concat([own, table], axis=1)
    return table
