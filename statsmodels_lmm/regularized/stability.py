"""Stability selection: which columns are chosen again and again on halves of groups."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.inference.parallel import run
from statsmodels_lmm.regularized.folds import groups_of_rows, halves
from statsmodels_lmm.regularized.parts import on_rows
from statsmodels_lmm.regularized.path import fit_path, grid

STEPS, LAST = 25, 0.25
"""Number of penalties for a half, and the last over the first."""


def default_columns(p, threshold):
    """The largest q with q^2 / ((2 t - 1) p) <= 1 for a threshold t, at least 1."""
    return max(1, int(np.sqrt((2.0 * threshold - 1.0) * p)))


@dataclass(frozen=True)
class _FirstColumns:
    """The columns that enter first on some rows of a model."""

    penalized: Any
    q: int

    def __call__(self, pair):
        """The largest sets of at most q columns, for each half of a pair."""
        model = self.penalized.model
        parts = [self.penalized.on(on_rows(model, rows)) for rows in pair]
        return [first_columns(part, self.q) for part in parts]


def stability(
    penalized,
    groups,
    n_pairs,
    threshold,
    n_columns,
    rng,
    n_jobs=None,
    progress=None,
):
    r"""
    Frequencies with which columns are among the first on halves of the groups.

    At most q columns enter first on a half of the groups. With p columns of which
    those that do not matter are exchangeable, the expected number of false ones among
    those with a frequency of t or more is at most

    .. math:: q^2 / ((2 t - 1) p).

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    groups : str, array_like or None
        See `groups_of_rows`.
    n_pairs : int
        Number of pairs of complementary halves.
    threshold : float
        t, above 0.5.
    n_columns : int or None
        q. Default makes the bound 1, within a quarter of the rows.
    rng : numpy.random.Generator
        Draws the halves.
    n_jobs, progress : optional
        See `CrossedMixedLM.fit_regularized`. After an interrupt, the frequencies are
        those of the pairs completed.

    Returns
    -------
    DataFrame
        By name of the column: its position and frequency, the highest first, for
        columns chosen at least once. The attribute ``attrs["expected_false"]`` is the
        bound.

    References
    ----------
    Meinshausen, N. and Buehlmann, P. (2010). Stability selection. Journal of the Royal
    Statistical Society B 72, 417-473.
    Shah, R. D. and Samworth, R. J. (2013). Variable selection with error control:
    another look at stability selection. Journal of the Royal Statistical Society B 75,
    55-80.
    """
    if not 0.5 < threshold <= 1.0:
        raise ValueError(f"threshold must be above 0.5, at most 1, not {threshold!r}")
    if not isinstance(n_pairs, int | np.integer) or n_pairs < 1:
        raise ValueError(f"n_pairs must be a positive number, not {n_pairs!r}")
    model, p = penalized.model, penalized.n_penalized
    codes, count = groups_of_rows(model, groups)
    q = n_columns
    if q is None:
        q = max(1, min(default_columns(p, threshold), int(model.nobs) // 4))
    counts = np.zeros(len(penalized.columns.names))
    pairs = [halves(codes, count, rng) for _ in range(n_pairs)]
    task = _FirstColumns(penalized, q)
    done, interrupted = run(task, pairs, n_jobs, progress, "if it pays")
    if interrupted:
        warn(f"interrupted after {len(done)} of {n_pairs} pairs", DataWarning)
    for both in done:
        for columns in both:
            counts[columns] += 1.0
    chosen = np.flatnonzero(counts)
    table = pd.DataFrame(
        {"position": chosen, "frequency": counts[chosen] / (2 * len(done))},
        index=penalized.columns.names[chosen],
    ).sort_values(["frequency", "position"], ascending=[False, True])
    table.attrs["expected_false"] = q**2 / ((2.0 * threshold - 1.0) * p)
    return table


def first_columns(penalized, q):
    """The largest set of at most q columns on a path, shape (m,)."""
    path = fit_path(penalized, grid(penalized, STEPS, LAST), is_open=True)
    each = [p.estimate.chosen for p in path.points]
    none = np.zeros(0, dtype=int)
    return max((c for c in each if len(c) <= q), key=len, default=none)
