"""Values of groups and of the population along a variable."""

import numpy as np
import pandas as pd

GRID = 41
"""Number of points on a line."""


def is_numeric(values):
    """
    Whether a column is numeric; truth values are not.

    Parameters
    ----------
    values : Series
        The column.

    Returns
    -------
    bool
    """
    kind = values.dtype
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def lines_on_grid(results, i, across, rows):
    """
    Evaluate lines with the other columns held at one value.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    i : int
        Position of the grouping factor.
    across : Across
        The variable on the horizontal axis.
    rows : list of ndarray
        The rows of each line.

    Returns
    -------
    list of tuple
        Values of x, of the group and of the population for each line.
    """
    model = results.model
    frame = model.data.frame
    seen = [np.unique(across.values[r], return_index=True) for r in rows]
    grid = [v for v, _ in seen]
    if across.between:
        grid = [np.linspace(v[0], v[-1], GRID) for v in grid]
    counts = list(map(len, grid))
    typical = {
        name: np.repeat([_typical(frame[name], r) for r in rows], counts)
        for name in frame.columns
    }
    if not across.between:
        first = [r[places] for r, (_, places) in zip(rows, seen)]
        typical[across.name] = np.concatenate(first)
    new = pd.DataFrame(
        {n: frame[n].iloc[r].reset_index(drop=True) for n, r in typical.items()}
    )
    if across.between:
        new[across.name] = np.concatenate(grid)
    offset = None
    if model.offset is not None:
        inside = 0.0 if model.formula_offset is None else model.formula_offset
        beyond = model.offset - inside
        offset = np.repeat([beyond[r].mean() for r in rows], counts)
    known = {"offset": offset}
    if getattr(model, "exposure", None) is not None:
        each = [np.exp(np.log(model.exposure[r]).mean()) for r in rows]
        known["exposure"] = np.repeat(each, counts)
    ends = np.cumsum(counts)[:-1]
    own, population = (
        np.split(np.asarray(results.predict(new, random_effects=e, **known)), ends)
        for e in ([model.random[i].name], False)
    )
    return list(zip(grid, own, population))


def _typical(column, rows):
    """The row with the median of numbers, or the overall most frequent other value."""
    values = column.iloc[rows]
    if is_numeric(values):
        return rows[np.argsort(values.to_numpy(), kind="stable")[(len(rows) - 1) // 2]]
    codes = pd.factorize(column)[0]
    counts = np.bincount(codes)
    # of levels that are as frequent the first, so that groups are alike
    return rows[np.argmax((counts - np.arange(len(counts)) / len(counts))[codes[rows]])]


def lines_in_rows(results, i, across, rows):
    """
    Evaluate lines in their rows.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    i : int
        Position of the grouping factor.
    across : Across
        The variable on the horizontal axis.
    rows : list of ndarray
        The rows of each line.

    Returns
    -------
    list of tuple
        Values of x, of the group and of the population for each line.
    """
    population = results._fixed_part
    grouped = results.model.random[i].grouped
    conditional = results._mean(population + grouped.times(results._modes[i]))
    population = results._mean(population)
    orders = [r[np.argsort(across.values[r], kind="stable")] for r in rows]
    return [(across.values[o], conditional[o], population[o]) for o in orders]
