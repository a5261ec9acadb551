"""Plot of the influence of rows and groups."""

from typing import TYPE_CHECKING, Any

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import BLUE, MANY_ROWS, ORANGE, canvas, finish
from statsmodels_lmm.graphics.labels import distinct, short
from statsmodels_lmm.inference.deletion.influence import MixedInfluence, influence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONG = 24
"""Number of characters of a name."""

MANY_GROUPS = 40
"""Number of groups beyond which only the largest are named."""


def plot_influence(
    results: Any, group: Any = None, n_labels: int = 3, ax: Any = None
) -> "Figure":
    """
    Plot Cook's distances of the rows, or of groups of rows.

    Parameters
    ----------
    results : CrossedMixedLMResults or MixedInfluence
        A fit, or the result of its `get_influence`.
    group : str or array_like, optional
        Groups of rows; see `get_influence`. Default is single rows.
    n_labels : int, optional
        Number of the largest distances to mark and name.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure
        Rows in their order, groups in descending order, all of them named if there
        are at most 40. The axis label counts those that cannot be left out.

    Raises
    ------
    DataError
        If no distance is defined, for instance without fixed effects, or the data of
        the model have been removed.
    ValueError
        If `group` is unknown.
    """
    if not isinstance(results, MixedInfluence):
        results = influence(results, group)
    distances = results.cooks_distance[0]
    known = distances[np.isfinite(distances)]
    if known.empty:
        raise DataError(
            "no Cook's distance is defined: the model has no fixed effects, or they "
            "cannot be estimated after deletion of any row or group"
        )
    lost = len(distances) - len(known)
    of_rows = hasattr(results, "leverages")
    what = distances.index.name or "row"
    note = f" ({lost:,} without which the fit is not estimable)" if lost else ""
    if of_rows:
        places, xlabel = np.flatnonzero(np.isfinite(distances)), f"row{note}"
    else:
        known = known.sort_values(ascending=False, kind="stable")
        places, xlabel = np.arange(len(known)), f"{short(what, LONG)}, by size{note}"
    values = known.to_numpy()
    largest = np.argsort(-values, kind="stable")[: max(n_labels, 0)]

    if not of_rows and len(known) <= MANY_GROUPS:
        figure, ax = canvas(ax, (6.4, 1.2 + 0.22 * max(len(known), 5)))
        ax.hlines(places, 0.0, values, color=BLUE, linewidth=1.2)
        ax.plot(values, places, "o", color=BLUE, markersize=4.5)
        ax.plot(values[largest], places[largest], "D", color=ORANGE, markersize=6.0)
        ax.set_yticks(places, distinct(known.index, LONG))
        ax.set_ylim(len(known) - 0.4, -0.6)
        ax.set_xlim(left=0.0)
        finish(ax, f"Cook's distance{note}", short(what, LONG))
        return figure

    figure, ax = canvas(ax)
    many = len(known) > MANY_ROWS
    width = 0.3 if many else float(np.clip(400.0 / len(known), 0.5, 1.5))
    ax.vlines(places, 0.0, values, color=BLUE, linewidth=width, rasterized=many)
    ax.plot(places[largest], values[largest], "D", color=ORANGE, markersize=5.0)
    ax.set_ylim(0.0, 1.08 * values.max() or 1.0)
    ax.margins(x=0.02)
    finish(ax, xlabel, "Cook's distance")
    _name(ax, places[largest], values[largest], known.index[largest])
    return figure


def _name(ax, x, y, labels):
    """Write names beside points, given from the highest down, without overlap."""
    low, high = ax.get_xlim()
    lines = 0.045 * ax.get_ylim()[1]
    placed: list = []
    for a, b, label in zip(x, y, distinct(labels, LONG)):
        near = [top for other, top in placed if abs(other - a) < 0.3 * (high - low)]
        height = min([b, *(top - lines for top in near)])
        placed.append((a, height))
        side = -1 if a > low + 0.75 * (high - low) else 1
        ax.annotate(
            label,
            (a, height),
            (7.0 * side, 0.0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize="small",
        )
