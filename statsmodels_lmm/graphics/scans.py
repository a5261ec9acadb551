"""Plots of scans: p-values along the genome, and against those expected."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    SKY,
    canvas,
    finish,
    plain,
)
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.inference.requirements import check_alpha
from statsmodels_lmm.scan.positions import chromosome_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GAP = 0.01
"""Gap between chromosomes, as a share of the genome."""

NAMED = 8
"""Largest number of candidates that are named."""

LARGE = 14.0
"""Size of points above the threshold, and of all points if they are few."""

LEAST = np.finfo(float).tiny
"""p-value drawn for zero."""

POINTS = 5000
"""Number of points of a Q-Q plot beyond which the dense end is thinned out."""


def plot_manhattan(
    scan: Any, alpha: float | None = 0.05, ax: Any = None, names: bool = True
) -> "Figure":
    """
    Plot -log10 p of every candidate along the genome.

    Parameters
    ----------
    scan : PredictorScan
        The scan. Without positions, candidates are drawn in their order.
    alpha : float or None, optional
        Level of Bonferroni's threshold, drawn as a dashed line; None for no line.
    ax : Axes, optional
        Axes to draw on.
    names : bool, optional
        Whether to name the best candidate of each chromosome beyond the threshold,
        at most eight.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If no candidate has a p-value.
    """
    table = _known(scan)
    heights = -np.log10(np.maximum(table["p"].to_numpy(), LEAST))
    figure, ax = canvas(ax, (9.0, 3.8))
    if "chromosome" in table:
        places, codes, ticks, labels = _genome(table)
        ax.set_xticks(ticks, labels)
        xlabel = "chromosome"
    else:
        places, codes = np.arange(1.0, len(table) + 1.0), np.zeros(len(table), int)
        xlabel = "set" if "n_columns" in table else "candidate"
    threshold = np.inf
    if alpha is not None:
        check_alpha(alpha)
        threshold = -np.log10(alpha / len(table))
    size = float(np.clip(2e3 / len(table), 3.0, LARGE))
    sizes = np.where(heights > threshold, LARGE, size)
    for parity, color in enumerate((BLUE, SKY)):
        chosen = codes % 2 == parity
        style = {"color": color, "linewidths": 0.0, "rasterized": True}
        ax.scatter(places[chosen], heights[chosen], sizes[chosen], **style)
    if alpha is not None:
        ax.axhline(threshold, color=GRAY, linewidth=1.0, linestyle="--")
        if names:
            _name_best(ax, table, places, heights, codes, threshold)
    ax.set_ylim(bottom=0.0)
    ax.margins(x=0.01)
    finish(ax, xlabel, r"$-\log_{10}\, p$")
    return figure


def _known(scan):
    """The rows of the table with a p-value."""
    table = scan.table[scan.table["p"].notna()]
    if table.empty:
        raise DataError("no candidate of the scan has a p-value to plot")
    return table


def _genome(table):
    """Places along the genome, number of each chromosome, and its tick."""
    order = chromosome_order(table["chromosome"])
    codes = pd.Categorical(table["chromosome"].astype(object), order).codes
    position = table["position"].to_numpy(float)
    lengths = np.array([np.ptp(position[codes == c]) for c in range(len(order))])
    gap = GAP * max(lengths.sum(), 1.0)
    starts = np.concatenate([[0.0], np.cumsum(lengths + gap)[:-1]])
    firsts = np.array([position[codes == c].min() for c in range(len(order))])
    places = position - firsts[codes] + starts[codes]
    return places, codes, starts + 0.5 * lengths, [plain(c) for c in order]


def _name_best(ax, table, places, heights, codes, threshold):
    """Name the best candidates of the chromosomes, or of all, beyond a threshold."""
    beyond = np.flatnonzero(heights > threshold)
    beyond = beyond[np.argsort(-heights[beyond], kind="stable")]
    if "chromosome" in table:
        _, first = np.unique(codes[beyond], return_index=True)
        beyond = beyond[np.sort(first)]
    middle = 0.5 * (places.min() + places.max())
    for at in beyond[:NAMED]:
        side = -1.0 if places[at] > middle else 1.0
        ax.annotate(
            plain(short(str(table.index[at]), 24)),
            (places[at], heights[at]),
            (5.0 * side, 0.0),
            textcoords="offset points",
            ha="left" if side > 0.0 else "right",
            va="center",
            fontsize="small",
        )


def plot_scan_qq(scan: Any, ax: Any = None, level: float = 0.95) -> "Figure":
    """
    Plot sorted p-values against those expected if no candidate has an effect.

    Parameters
    ----------
    scan : PredictorScan
        The scan; its inflation factor is in the title.
    ax : Axes, optional
        Axes to draw on.
    level : float, optional
        Level of the intervals, each of a single order statistic of independent
        p-values.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If no candidate has a p-value.
    """
    check_alpha(level, "level")
    p = np.sort(np.maximum(_known(scan)["p"].to_numpy(), LEAST))
    m = len(p)
    ranks = np.arange(1, m + 1)
    if m > POINTS:
        ranks = np.unique(np.geomspace(1, m, POINTS).round().astype(int))
    expected = -np.log10((ranks - 0.5) / m)
    tail = 0.5 * (1.0 - level)
    ends = [
        -np.log10(stats.beta.ppf(share, ranks, m + 1 - ranks))
        for share in (tail, 1.0 - tail)
    ]
    figure, ax = canvas(ax, (4.8, 4.4))
    ax.fill_between(expected, *ends, color=GRAY, alpha=0.25, linewidth=0.0)
    ax.axline((0.0, 0.0), slope=1.0, color=ORANGE, linewidth=1.0)
    ax.plot(expected, -np.log10(p[ranks - 1]), "o", color=BLUE, markersize=2.5)
    ax.set_xlim(left=0.0)
    ax.set_ylim(bottom=0.0)
    finish(
        ax,
        r"expected $-\log_{10}\, p$",
        r"observed $-\log_{10}\, p$",
        f"inflation {scan.inflation:.3f}",
    )
    return figure
