"""Boxes of the residuals of the levels of a factor."""

import numpy as np
import pandas as pd

from statsmodels_lmm.graphics.canvas import BLUE, GRAY, ORANGE, canvas, finish
from statsmodels_lmm.graphics.levels import LABELED, name_rows, panel_height
from statsmodels_lmm.inference.marginal.marginal_tables import level_text


def draw_residual_groups(residuals, codes, names, label, ax=None):
    """
    Draw a box of the residuals of each group, the first on top.

    Many groups are in the order of their medians.

    Parameters
    ----------
    residuals : ndarray
        The residuals.
    codes : ndarray
        Group of each, a position in `names`.
    names : Index
        The groups.
    label : str
        Name of the residuals.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure
    """
    grouped = pd.Series(residuals).groupby(codes)
    low, middle, high = (grouped.quantile(q) for q in (0.25, 0.5, 0.75))
    reach = 1.5 * (high - low)
    above, below = high + reach, low - reach
    outside = (residuals > above.loc[codes].to_numpy()) | (
        residuals < below.loc[codes].to_numpy()
    )
    inside = pd.Series(residuals[~outside]).groupby(codes[~outside])
    whiskers = inside.min(), inside.max()

    figure, ax = canvas(ax, (6.4, panel_height([len(middle)])))
    order = middle.index
    if len(order) > LABELED:
        order = middle.sort_values(ascending=False, kind="stable").index
    rows = pd.Series(np.arange(len(order))[::-1], order).loc[middle.index]
    many = len(middle) > 200
    thick = float(np.clip(900.0 / len(middle), 1.0, 7.0))
    ax.axvline(0.0, color=GRAY, linewidth=0.8, linestyle="--")
    ax.hlines(rows.loc[inside.groups.keys()], *whiskers, color=GRAY, linewidth=0.8)
    ax.hlines(rows, low, high, color=BLUE, linewidth=thick, alpha=0.6)
    ax.plot(middle, rows, "o", color=ORANGE, markersize=2.0 if many else 4.0)
    ax.plot(
        residuals[outside],
        rows.loc[codes[outside]],
        ".",
        color=BLUE,
        markersize=2.0 if many else 4.0,
        rasterized=many,
    )
    ax.set_ylim(-0.02 * len(rows) - 0.6, 1.02 * len(rows) - 0.4)
    name_rows(ax, [level_text(names[k]) for k in order[::-1]], names.name or "group")
    finish(ax, label)
    return figure
