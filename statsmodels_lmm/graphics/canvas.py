"""Axes, colors and finish that all plots share."""

from functools import partial

import numpy as np

BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GRAY, BLACK = "#8c8c8c", "#222222"
MARKERS = ("o", "s", "^", "D", "v", "P")
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, GRAY)
"""Okabe and Ito's colors, which color-blind readers can distinguish."""

MANY_ROWS = 5000
"""Number of rows beyond which single points cannot be distinguished."""


def pyplot():
    """
    Return matplotlib's pyplot, imported when the first plot is drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "plots need matplotlib: pip install 'statsmodels-lmm[plots]'"
        ) from None
    return plt


def canvas(ax=None, size=(6.4, 4.4)):
    """
    Axes for a single plot.

    Parameters
    ----------
    ax : Axes, optional
        Axes to draw on. Default is a new figure.
    size : tuple of float, optional
        Width and height of a new figure in inches.

    Returns
    -------
    figure : Figure
        The figure.
    ax : Axes
        The axes.
    """
    if ax is not None:
        return shown_once(ax.get_figure()), ax
    figure, ax = pyplot().subplots(figsize=size, layout="constrained")
    return shown_once(figure), ax


def shown_once(figure):
    """
    Let a notebook show a figure once.

    A figure of pyplot appears at the end of its cell anyway. If it is also the value of
    the cell, it would appear twice.

    Parameters
    ----------
    figure : Figure
        The figure.

    Returns
    -------
    Figure
        The same figure.
    """
    figure._repr_mimebundle_ = partial(_leave_pyplot, figure)
    return figure


def _leave_pyplot(figure, **formats):
    """When the figure is shown, take it from those shown at the end of the cell."""
    plt = pyplot()
    if "inline" in plt.get_backend():
        plt.close(figure)
    return {}  # the formats are those of any figure


def panels(count, ax=None, columns=None, size=(3.2, 2.8), **kwargs):
    """
    Axes for a plot of several panels.

    Parameters
    ----------
    count : int
        Number of panels.
    ax : Axes or array_like of Axes, optional
        Axes to draw on, one per panel. Default is a new figure.
    columns : int, optional
        Panels per row. Default is about as many as rows, at most 6.
    size : tuple of float, optional
        Width and height of a panel in inches.
    **kwargs
        Passed to ``subplots``, such as ``sharey=True``.

    Returns
    -------
    figure : Figure
        The figure.
    axes : list of Axes
        Axes of the panels; unused axes are hidden.

    Raises
    ------
    ValueError
        If the numbers of axes and panels differ.
    """
    if ax is not None:
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != count:
            raise ValueError(f"ax has {len(axes)} axes but the plot {count} panels")
        return shown_once(axes[0].get_figure()), axes
    if columns is None:
        columns = min(int(np.ceil(np.sqrt(count))), 6)
    rows = -(-count // columns)
    figure, axes = pyplot().subplots(
        rows,
        columns,
        figsize=(columns * size[0], rows * size[1]),
        layout="constrained",
        squeeze=False,
        **kwargs,
    )
    axes = list(axes.ravel())
    for left in axes[count:]:
        left.set_visible(False)
    return shown_once(figure), axes[:count]


def finish(ax, xlabel=None, ylabel=None, title=None):
    """
    Label axes, and remove the parts of the frame that carry no scale.

    Parameters
    ----------
    ax : Axes
        The axes.
    xlabel, ylabel, title : str, optional
        Labels and title; None keeps the current one.
    """
    if xlabel is not None:
        ax.set_xlabel(xlabel)
    if ylabel is not None:
        ax.set_ylabel(ylabel)
    if title is not None:
        ax.set_title(title, fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)


def legend(figure, axes, outside, where="lower", title=None):
    """
    Add a legend of the marks.

    Parameters
    ----------
    figure : Figure
        The figure.
    axes : list of Axes
        The panels; each mark is explained once.
    outside : bool
        Whether to place it outside all axes rather than in the first.
    where : {"lower", "upper"}, optional
        The end of the figure where it is placed.
    title : str, optional
        Title of the legend.
    """
    marks: dict = {}
    for ax in axes:
        marks |= {name: mark for mark, name in zip(*ax.get_legend_handles_labels())}
    if outside:
        columns = min(len(marks), max(int(figure.get_figwidth() / 1.9), 1))
        box = figure.legend(
            marks.values(),
            marks,
            loc=f"outside {where} center",
            title=title,
            ncols=columns,
            frameon=False,
            fontsize="small",
        )
    else:
        box = axes[0].legend(marks.values(), marks, fontsize="small", loc="best")
    for mark in box.legend_handles:
        # a single one of thousands of small marks would hardly be visible
        if hasattr(mark, "set_sizes"):
            mark.set(sizes=[22.0], alpha=1.0)
        elif hasattr(mark, "get_marker"):
            mark.set_linewidth(max(mark.get_linewidth(), 1.0))


def plain(text):
    """
    Escape a text so that matplotlib finds no formulas in it.

    Parameters
    ----------
    text : object
        The text; matplotlib would take dollar signs for the ends of a formula.

    Returns
    -------
    str
    """
    return str(text).replace("$", r"\$")


def entry(text):
    """
    Make a text fit for a legend, where matplotlib omits labels that start with "_".

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
    """
    return f" {text}" if text.startswith("_") else text


def percent(level):
    """
    Format a level as a percentage.

    Parameters
    ----------
    level : float
        Such as 0.95.

    Returns
    -------
    str
    """
    return f"{100.0 * level:.4g}%"


def error_probability(level):
    """
    One minus the level of intervals.

    Parameters
    ----------
    level : float
        Level between 0 and 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If the level is not between 0 and 1.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    return 1.0 - level


def tick_labels(axis, labels, room):
    """
    Label the categories 0, 1, ... of an axis with as many of their names as fit.

    Parameters
    ----------
    axis : Axis
        The axis.
    labels : list of str
        The names.
    room : float
        How many fit.
    """
    step = int(np.ceil(len(labels) / max(room, 1.0)))
    axis.set_ticks(range(0, len(labels), step), labels[::step])


def plain_ticks(axis):
    """
    Label a logarithmic axis with numbers as they are, also between powers of 10.

    Parameters
    ----------
    axis : Axis
        The axis, whose limits are final.
    """
    from matplotlib import ticker

    low, high = axis.get_view_interval()
    within = [1.0, 2.0, 5.0] if high < 1e3 * low else [1.0]
    within = [1.0, 1.5, 2.0, 3.0, 5.0, 7.0] if high < 10.0 * low else within
    axis.set_major_locator(ticker.LogLocator(subs=within))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
