"""What all pictures share: axes to draw on, colors, and how they are finished."""

import numpy as np

BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GRAY, BLACK = "#8c8c8c", "#222222"
COLORS = (BLUE, ORANGE, GREEN, PINK, SKY, GRAY)
"""Okabe and Ito's colors, which the color-blind tell apart."""

MANY_ROWS = 5000
"""Rows from which points are too many to be told apart."""


def pyplot():
    """
    Return matplotlib's pyplot, imported when the first picture is drawn.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            "pictures need matplotlib: pip install 'statsmodels-lmm[plots]'"
        ) from None
    return plt


def canvas(ax=None, size=(6.4, 4.4)):
    """
    Axes to draw one picture on.

    Parameters
    ----------
    ax : Axes, optional
        Axes of the user; by default those of a new figure.
    size : tuple of float, optional
        Width and height of a new figure in inches.

    Returns
    -------
    figure : Figure
        The figure.
    ax : Axes
        Its axes.
    """
    if ax is not None:
        return ax.get_figure(), ax
    return pyplot().subplots(figsize=size, layout="constrained")


def panels(count, ax=None, columns=None, size=(3.2, 2.8), **kwargs):
    """
    Axes for several panels of one picture.

    Parameters
    ----------
    count : int
        Number of panels.
    ax : Axes or array_like of Axes, optional
        Axes of the user, as many as there are panels; by default those of a new
        figure.
    columns : int, optional
        Panels in a row; by default about as many as there are rows, at most 6.
    size : tuple of float, optional
        Width and height of a panel in inches.
    **kwargs
        For ``subplots``, such as ``sharey=True``.

    Returns
    -------
    figure : Figure
        The figure.
    axes : list of Axes
        One for each panel; those left over are not shown.

    Raises
    ------
    ValueError
        If there are fewer or more axes than panels.
    """
    if ax is not None:
        axes = list(np.ravel(np.asarray(ax, dtype=object)))
        if len(axes) != count:
            raise ValueError(f"ax has {len(axes)} axes, the picture {count} panels")
        return axes[0].get_figure(), axes
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
    return figure, axes[:count]


def finish(ax, xlabel=None, ylabel=None, title=None):
    """
    Label axes, and take away the frame where it says nothing.

    Parameters
    ----------
    ax : Axes
        The axes.
    xlabel, ylabel, title : str, optional
        Their labels; None leaves what there is.
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
    Say what the marks mean.

    Parameters
    ----------
    figure : Figure
        The figure.
    axes : list of Axes
        Its panels; each mark is explained once.
    outside : bool
        Whether outside of all axes, rather than in the first.
    where : {"lower", "upper"}, optional
        At which end of the figure.
    title : str, optional
        What stands above it.
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
        # of thousands of small marks one is hardly to be seen
        if hasattr(mark, "set_sizes"):
            mark.set(sizes=[22.0], alpha=1.0)
        elif hasattr(mark, "get_marker"):
            mark.set_linewidth(max(mark.get_linewidth(), 1.0))


def plain(text):
    """
    A text as it is, without formulas in it.

    Parameters
    ----------
    text : object
        The text, in which matplotlib would read dollars as the ends of a formula.

    Returns
    -------
    str
    """
    return str(text).replace("$", r"\$")


def entry(text):
    """
    A text for the legend, where matplotlib leaves out what starts with "_".

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    str
    """
    return f" {text}" if text.startswith("_") else text


def short(text, length=28):
    """
    A name that fits into a picture, `plain` and without its middle if it is long.

    Parameters
    ----------
    text : object
        The name.
    length : int, optional
        Characters that are kept.

    Returns
    -------
    str
    """
    text, half = str(text), (length - 1) // 2
    if len(text) > length:
        text = f"{text[: length - 1 - half]}\N{HORIZONTAL ELLIPSIS}{text[-half:]}"
    return plain(text)


def percent(level):
    """
    A level as it is written.

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
    One less the level of intervals.

    Parameters
    ----------
    level : float
        Between 0 and 1.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If it is not.
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    return 1.0 - level
