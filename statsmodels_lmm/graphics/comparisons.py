"""Plot of marginal means or contrasts with their intervals and comparison arrows."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from statsmodels_lmm.core.uncertainty.comparison_arrows import (
    arrow_lengths,
    discrepancies,
)
from statsmodels_lmm.exceptions import DataWarning, warn
from statsmodels_lmm.graphics.canvas import (
    BLUE,
    GRAY,
    ORANGE,
    canvas,
    finish,
    panels,
    percent,
    tick_labels,
)
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.inference.marginal.contrast_estimates import IDENTITY
from statsmodels_lmm.inference.marginal.marginal_tables import level_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEYOND = 0.02
"""Length of arrows beyond the outermost means, relative to the range of the means."""


def plot_comparisons(
    means: Any,
    comparisons: bool = False,
    ax: Any = None,
    alpha: Any = None,
    adjust: Any = None,
) -> "Figure":
    """
    Plot estimates with intervals, one panel per group.

    Parameters
    ----------
    means : MarginalMeans
        Marginal means, slopes, or contrasts of these.
    comparisons, ax, alpha, adjust : optional
        See `MarginalMeans.plot`.

    Returns
    -------
    Figure
    """
    groups = means.groups(means.by)
    count = len(groups[0])
    height = min(1.2 + 0.3 * count, 24.0)
    if len(groups) == 1:
        figure, panel = canvas(ax, (6.4, max(height, 2.2)))
        axes = [panel]
    else:
        size = (3.2, max(0.8 * height, 2.0))
        figure, axes = panels(len(groups), ax, size=size, sharex=ax is None)
    compared = [name for name in means.table if name not in means.by]
    arrows = _arrows(means, groups, alpha, adjust) if comparisons else None
    for panel, group in zip(axes, groups):
        _draw(panel, means, group)
        if arrows is not None:
            _draw_arrows(panel, means, group, arrows[:, group])
        levels = means.table[compared].iloc[group].to_numpy(dtype=object)
        labels = [short(" ".join(map(level_text, row)), 40) for row in levels]
        tick_labels(panel.yaxis, labels, 5.0 * figure.get_figheight())
        panel.tick_params("x", labelbottom=True)
        panel.set_ylim(len(group) - 0.5, -0.5)
        title = ", ".join(
            f"{name} = {level_text(means.table[name].iloc[group[0]])}"
            for name in means.by
        )
        finish(panel, title=short(title, 40) if title else None)
        if means.means is None:
            panel.set_ylabel(short(" ".join(map(str, compared))))
        panel.set_xlabel(f"{means.kind} and {percent(1.0 - means.alpha)} interval")
    return figure


def _draw(panel, means, group):
    """Draw points with intervals, and the value that contrasts are tested against."""
    columns = [means.names[name] for name in (means.kind, "ci_lower", "ci_upper")]
    estimates, lower, upper = means.frame[columns].iloc[group].to_numpy().T
    if means.hypothesis is not None:
        value = means.link.mean(np.array([means.hypothesis.null]))[0]
        panel.axvline(value, color=GRAY, linewidth=0.8, linestyle="--")
    places = np.arange(len(group))
    ends = (
        np.where(np.isfinite(lower), lower, estimates),
        np.where(np.isfinite(upper), upper, estimates),
    )
    panel.hlines(places, *ends, BLUE, linewidth=6.0, alpha=0.3)
    panel.plot(estimates, places, "o", color=BLUE, markersize=5.0)


def _arrows(means, groups, alpha, adjust):
    """Ends of the arrows to the left and right, on the scale of the tests, (2, m)."""
    plain = replace(
        means, of_response=False, link=IDENTITY, kind="mean", ratio="", hypothesis=None
    )
    pairs = plain.contrasts("pairwise", adjust, alpha=alpha)
    widths = pairs.frame[pairs.names["ci_upper"]] - pairs.frame[pairs.names["ci_lower"]]
    estimates = plain.frame[plain.names["mean"]].to_numpy()
    ends, start, wrong = np.full((2, len(estimates)), np.nan), 0, 0
    for group in groups:
        k = len(group)
        reach = np.full((k, k), np.nan)
        upper = np.triu_indices(k, 1)
        count = len(upper[0])
        reach[upper] = 0.5 * widths.to_numpy()[start : start + count]
        start += count
        reach = np.where(np.isnan(reach), reach.T, reach)
        lengths = arrow_lengths(estimates[group], reach)
        wrong += int(discrepancies(estimates[group], reach, lengths).sum())
        ends[:, group] = _inside(estimates[group], lengths)
    if wrong:
        warn(
            f"for {wrong} pairs of means the comparison arrows contradict the test of "
            "the difference, because no lengths of arrows fit all pairs: see pairs()",
            DataWarning,
        )
    return ends


def _inside(estimates, lengths):
    """Ends of arrows, cut off beyond the outermost means, which need none outward."""
    low, high = np.nanmin(estimates), np.nanmax(estimates)
    more = BEYOND * (high - low)
    left = np.maximum(estimates - lengths[0], low - more)
    right = np.minimum(estimates + lengths[1], high + more)
    left[estimates == low] = np.nan
    right[estimates == high] = np.nan
    return left, right


def _draw_arrows(panel, means, group, ends):
    """Draw the arrows from the estimates to their ends."""
    estimates = means.frame[means.names[means.kind]].to_numpy()[group]
    for side in means.link.mean(ends):
        for place, (start, end) in enumerate(zip(estimates, side)):
            if np.isfinite(start) and np.isfinite(end):
                style = {"arrowstyle": "-|>", "color": ORANGE, "shrinkA": 0.0}
                style |= {"shrinkB": 0.0, "mutation_scale": 8.0}
                panel.annotate("", (end, place), (start, place), arrowprops=style)
