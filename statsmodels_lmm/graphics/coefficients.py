"""Plot of fixed effects with intervals."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.uncertainty.separation import FINITE
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    COLORS,
    GRAY,
    MARKERS,
    canvas,
    entry,
    error_probability,
    finish,
    percent,
    plain,
    plain_ticks,
    tick_labels,
)
from statsmodels_lmm.graphics.labels import short, wrapped
from statsmodels_lmm.inference.fixed.ratios import ratio_name
from statsmodels_lmm.inference.marginal.contrast_sets import as_list
from statsmodels_lmm.inference.requirements import as_fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INTERCEPTS = ("Intercept", "const")


def plot_coefficients(
    results: Any,
    *others: Any,
    names: Any = None,
    level: float = 0.95,
    intercept: bool = False,
    method: str = "wald",
    df_method: Any = None,
    exponentiate: bool = False,
    ax: Any = None,
    **options: Any,
) -> "Figure":
    """
    Plot fixed effects with intervals, for one fit or for several side by side.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    *others : results
        Further fits, of this package or of statsmodels: anything with coefficients and
        `conf_int`, such as OLS. From a fit by statsmodels' MixedLM, only the fixed
        effects are drawn.
    names : list of str, optional
        Names of the fits in the legend. Default is "model 1", "model 2", ...
    level : float, optional
        Level of the intervals.
    intercept : bool, optional
        Whether to draw the intercept as well. It is always drawn if there is nothing
        else.
    method : str, optional
        Kind of intervals; see `CrossedMixedLMResults.conf_int`. Results of
        statsmodels keep their own.
    df_method : str, optional
        Degrees of freedom of Wald intervals; see `with_df_method`.
    exponentiate : bool, optional
        Whether to draw ratios, such as odds ratios or rate ratios, on a logarithmic
        axis.
    ax : Axes, optional
        Axes to draw on.
    **options
        Options of the profile or the bootstrap, such as ``rng``.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If there are no coefficients.
    ValueError
        If the number of names differs from that of the fits, or the exponentials of
        the coefficients are not ratios of one kind.

    Notes
    -----
    Coefficients that are not estimated, such as those of redundant columns, or that are
    infinite are left out and listed below the axis.
    """
    fits = [as_fit(r) for r in (results, *others)]
    alpha = error_probability(level)
    if names is None:
        names = [f"model {i + 1}" for i in range(len(fits))]
    names = as_list(names)
    if len(names) != len(fits):
        raise ValueError(f"there are {len(names)} names for {len(fits)} results")
    tables = [_coefficients(fit, alpha, method, df_method, options) for fit in fits]
    what = _ratio_of_all(fits) if exponentiate else "estimate"
    if exponentiate:
        tables = [np.exp(table) for table in tables]
    known = [table.dropna(subset="estimate") for table in tables]
    labels = list(dict.fromkeys(label for table in known for label in table.index))
    if not labels:
        raise DataError("there are no fixed effects to plot")
    slopes = [label for label in labels if label not in INTERCEPTS]
    labels = labels if intercept or not slopes else slopes
    lost = [
        label if len(fits) == 1 else f"{label} ({name})"
        for table, name in zip(tables, names)
        for label in table.index[table["estimate"].isna()]
    ]

    texts = wrapped(labels, 40, 2)
    lines = [line for text in texts for line in text.split("\n")]
    deepest = max(text.count("\n") for text in texts) + 1
    height = 1.2 + len(labels) * max(0.22 + 0.08 * len(fits), 0.26 * deepest - 0.04)
    width = 6.4 + 0.07 * max(max(map(len, lines)) - 28, 0)
    figure, ax = canvas(ax, (width, min(max(height, 2.2), 24.0)))
    ax.axvline(float(exponentiate), color=GRAY, linewidth=0.8, linestyle="--")
    room = figure.get_figheight() * ax.get_position().height
    size = float(np.clip(45.0 * room / (len(labels) * len(fits)), 1.0, 5.0))
    dodges = np.linspace(-0.28, 0.28, len(fits)) if len(fits) > 1 else [0.0]
    for i, (table, name, dodge) in enumerate(zip(known, names, dodges)):
        rows = table[table.index.isin(labels)]
        heights = pd.Index(labels).get_indexer(rows.index) + dodge
        color = COLORS[i % len(COLORS)]
        marker = MARKERS[(i + i // len(COLORS)) % len(MARKERS)]
        ax.hlines(heights, rows["lower"], rows["upper"], color, linewidth=0.3 * size)
        ax.plot(
            rows["estimate"],
            heights,
            marker,
            color=color,
            markersize=size,
            label=entry(plain(name)),
        )
    ax.set_ylim(len(labels) - 0.5, -0.5)
    tick_labels(ax.yaxis, texts, room / (0.2 * deepest - 0.03))
    note = f"\nnot estimated: {short(', '.join(map(str, lost)), 70)}" if lost else ""
    if exponentiate:
        ax.set_xscale("log")
        plain_ticks(ax.xaxis)
    else:
        ax.ticklabel_format(axis="x", scilimits=(-3, 5))
    finish(ax, xlabel=f"{what} and {percent(level)} interval{note}")
    if len(fits) > 1:
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3)
    return figure


def _ratio_of_all(fits):
    """The kind of ratio that the exponentials of all coefficients are."""
    kinds = {ratio_name(fit) for fit in fits}
    if len(kinds) > 1:
        listed = " and ".join(sorted(kinds))
        raise ValueError(f"exponentiate would mix {listed} in one plot")
    return kinds.pop()


def _coefficients(fit, alpha, method, df_method, options):
    """Estimates and limits of the fixed effects of any results, NaN if infinite."""
    own = hasattr(fit, "with_df_method")
    estimates = fit.params if own else getattr(fit, "fe_params", fit.params)
    if np.ndim(estimates) != 1:
        raise DataError(f"{type(fit).__name__} has more than one column of params")
    labels = list(fit.model.exog_names)[: len(estimates)]
    estimates = np.asarray(estimates)
    known = np.ones(len(labels), dtype=bool)
    if not own:
        ends = fit.conf_int(alpha=alpha)
    elif method == "wald":
        ends = fit.conf_int(alpha, df_method=df_method, **options)
    else:
        if method == "profile":
            options = {"which": "fixed", **options}
            known = np.isfinite(estimates)
        ends = fit.conf_int(alpha, method, df_method, **options)
    intervals = np.full((len(labels), 2), np.nan)
    intervals[known] = np.asarray(ends)[: known.sum()]
    unbounded = getattr(fit, "unbounded", FINITE).columns
    if unbounded is not None:
        kept = np.flatnonzero(np.isfinite(estimates))
        estimates = estimates.copy()
        estimates[kept[unbounded]] = np.nan
    columns = np.column_stack([estimates, intervals])
    return pd.DataFrame(columns, labels, ["estimate", "lower", "upper"])
