"""Combinations of levels without rows, of which the data say nothing."""

from itertools import combinations

import numpy as np

from statsmodels_lmm.inference.marginal.marginal_tables import level_text

MOST_NAMED = 3
"""Number of combinations that are named; the others are counted."""


def empty_cells(grid, known):
    """
    Name the combinations of levels without rows that leave means undetermined.

    Parameters
    ----------
    grid : ReferenceGrid
        The grid.
    known : ndarray
        Whether the data determine the linear predictor, for each combination of the
        grid, shape (n_1, ..., n_k).

    Returns
    -------
    str
        Such as "f = a, k = 2", for as few factors as tell; "" if there are none.
    """
    axes = [i for i, n in enumerate(grid.counts.shape) if n > 1]
    names = list(grid.levels)
    for size in range(1, len(axes) + 1):
        found = []
        for chosen in combinations(axes, size):
            others = tuple(i for i in range(grid.counts.ndim) if i not in chosen)
            empty = (grid.counts == 0.0).all(axis=others) & ~known.any(axis=others)
            for cell in np.argwhere(empty):
                at = [names[i] for i in chosen]
                levels = [level_text(grid.levels[n][j]) for n, j in zip(at, cell)]
                found.append(", ".join(f"{n} = {v}" for n, v in zip(at, levels)))
        if found:
            more = len(found) - MOST_NAMED
            rest = f" and {more:,} other combinations" if more > 0 else ""
            return "; ".join(found[:MOST_NAMED]) + rest
    return ""
