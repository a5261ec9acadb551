"""Where candidates are: chromosomes and positions."""

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import aligned

SPELLINGS = {
    "chromosome": ("chromosome", "chrom", "chr", "#chrom"),
    "position": ("position", "pos", "bp", "bp_position"),
}
"""Names of the columns, in lower case."""


def read_positions(given, names):
    """
    Chromosome and position of each candidate.

    Parameters
    ----------
    given : DataFrame or None
        Columns "chromosome" and "position", or one of their `SPELLINGS`, by name of the
        candidate or in their order.
    names : Index
        Names of the candidates.

    Returns
    -------
    DataFrame or None
        By name of the candidate.

    Raises
    ------
    DataError
        If a column is missing or candidates have no row.
    """
    if given is None:
        return None
    if not isinstance(given, pd.DataFrame):
        raise TypeError(
            "positions must be a DataFrame with the columns chromosome and position, "
            f"not {type(given).__name__}"
        )
    frame = aligned(given, names, "positions")
    if len(frame) != len(names):
        raise DataError(f"positions has {len(frame)} rows for {len(names)} candidates")
    lower = {str(column).lower(): column for column in frame.columns}
    columns = {}
    for name, spellings in SPELLINGS.items():
        found = [lower[s] for s in spellings if s in lower]
        if not found:
            raise DataError(
                f"positions has no column {name}; it has "
                + ", ".join(map(str, frame.columns))
            )
        columns[name] = frame[found[0]].to_numpy()
    return pd.DataFrame(columns, names)


def chromosome_order(chromosomes):
    """
    Chromosomes in their usual order: numbers, then X, Y and others by name.

    Parameters
    ----------
    chromosomes : array_like
        Chromosome of each candidate.

    Returns
    -------
    list
        Each once.
    """
    distinct = list(pd.unique(np.asarray(chromosomes, dtype=object)))

    def key(chromosome):
        text = str(chromosome).lower().removeprefix("chr")
        return (0, int(text), "") if text.isdigit() else (1, 0, text)

    return sorted(distinct, key=key)
