"""Pictures of one test for each of many responses."""

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    BLUE,
    GRAY,
    MANY_ROWS,
    ORANGE,
    canvas,
    finish,
)
from statsmodels_lmm.inputs.row_values import listed

LEAST = 1e-300
"""Smallest p-value with a logarithm."""


def plot_volcano(table, level=0.05, labels=10, ax=None):
    """
    Plot -log10 p against the effect.

    Parameters
    ----------
    table : DataFrame
        Tests of one contrast, see `ManyResults.t_test`.
    level : float, optional
        Adjusted p-value below which a response is marked.
    labels : int or sequence, optional
        Number of marked responses that are named, those with the smallest p-values, or
        the names of the responses to be named.
    ax : Axes, optional
        Axes to draw on. Default is a new figure.

    Returns
    -------
    Figure
    """
    figure, ax = canvas(ax)
    table = table.dropna(subset=["p"])
    height = -np.log10(np.maximum(table["p"].to_numpy(), LEAST))
    effect, found = table["effect"].to_numpy(), table["p_adjusted"].to_numpy() < level
    many = len(table) > MANY_ROWS
    for which, color in ((~found, GRAY), (found, ORANGE)):
        ax.scatter(
            effect[which], height[which], s=8, color=color, linewidths=0,
            alpha=0.5, rasterized=many,
        )  # fmt: skip
    if found.any():
        ax.axhline(height[found].min(), color=GRAY, linestyle="--", linewidth=1)
    if isinstance(labels, int | np.integer):
        named = np.argsort(-height, kind="stable")[: min(labels, int(found.sum()))]
    else:
        named = _places(
            pd.Index([labels] if isinstance(labels, str) else labels), table
        )
    for i in named:
        ax.annotate(
            str(table.index[i]), (effect[i], height[i]), (3, 3),
            textcoords="offset points", fontsize=7,
        )  # fmt: skip
    title = f"{int(found.sum()):,} of {len(table):,} below {level:g}, adjusted"
    finish(ax, "effect", r"$-\log_{10}\, p$", title)
    return figure


def _places(names, table):
    """Positions of named responses in the table of those that have a test."""
    absent = names[~names.isin(table.index)]
    if len(absent):
        raise DataError(f"labels: no response with a test is named {listed(absent)}")
    return np.flatnonzero(table.index.isin(names))


def plot_pvalues(table, ax=None):
    """
    Plot the ordered p-values against those of uniform ones, as -log10.

    Parameters
    ----------
    table : DataFrame
        Tests with a column p.
    ax : Axes, optional
        Axes to draw on. Default is a new figure.

    Returns
    -------
    Figure
        With the band in which each of as many uniform p-values lies with probability
        95 %.
    """
    figure, ax = canvas(ax)
    p = np.sort(table["p"].dropna().to_numpy())
    n = len(p)
    order = np.arange(1, n + 1)
    expected = -np.log10((order - 0.5) / max(n, 1))
    band = stats.beta.ppf([[0.025], [0.975]], order, n + 1 - order)
    ends = -np.log10(np.maximum(band, LEAST))
    ax.fill_between(expected, *ends, color=GRAY, alpha=0.3, linewidth=0)
    ax.plot(expected, expected, color=GRAY, linewidth=1)
    ax.plot(
        expected, -np.log10(np.maximum(p, LEAST)), ".", color=BLUE, markersize=3,
        rasterized=n > MANY_ROWS,
    )  # fmt: skip
    expected_label, observed_label = (
        rf"{word} $-\log_{{10}}\, p$" for word in ("expected", "observed")
    )
    finish(ax, expected_label, observed_label, f"{n:,} p-values")
    return figure
