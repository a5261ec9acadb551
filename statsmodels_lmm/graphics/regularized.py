"""Coefficients and criteria along a path of penalties."""

import numpy as np

from statsmodels_lmm.graphics.canvas import BLUE, COLORS, GRAY, ORANGE, canvas

NAMED = 10
"""Largest number of columns with a color and a name."""


def plot_path(path, ax=None):
    """
    Draw the coefficients against the penalty.

    Parameters
    ----------
    path : RegularizedPath
        The path.
    ax : Axes, optional
        Axes to draw on. Default is a new figure.

    Returns
    -------
    Figure
        Columns that enter first have names.
    """
    figure, ax = canvas(ax)
    coefs = path.coefs
    entered = (coefs.to_numpy() != 0.0).argmax(axis=0) if len(coefs.columns) else []
    order = np.argsort(entered, kind="stable")
    for i, j in enumerate(order):
        style = {"color": GRAY, "linewidth": 0.6, "zorder": 1}
        if i < NAMED:
            line = "-" if i < len(COLORS) else "--"
            style = {"color": COLORS[i % len(COLORS)], "linestyle": line}
            style["label"] = str(coefs.columns[j])
        ax.plot(path.alphas, coefs.iloc[:, j], **style)
    ax.axhline(0.0, color=GRAY, linewidth=0.8)
    ax.set(xscale="log", xlabel="alpha", ylabel="Coefficient")
    ax.invert_xaxis()
    ax.set_title("Penalized coefficients")
    if len(order):
        ax.legend(fontsize="small", loc="upper left")
    return figure


def plot_criteria(path, criterion="ebic", ax=None):
    """
    Draw a criterion and the number of chosen columns against the penalty.

    Parameters
    ----------
    path : RegularizedPath
        The path.
    criterion : {"ebic", "bic", "aic"}, optional
        A column of the path's ``criteria``.
    ax : Axes, optional
        Axes to draw on. Default is a new figure.

    Returns
    -------
    Figure
        With a line at the lowest value.
    """
    figure, ax = canvas(ax)
    best = path.best_alpha(criterion)
    table = path.criteria
    ax.plot(path.alphas, table[criterion], "o-", color=BLUE, markersize=3)
    ax.axvline(best, color=GRAY, linestyle="--", linewidth=1)
    name = criterion.upper()
    ax.set(xscale="log", xlabel="alpha", ylabel=f"{name} of the refit")
    ax.invert_xaxis()
    other = ax.twinx()
    other.step(path.alphas, table["n_nonzero"], where="mid", color=ORANGE, linewidth=1)
    other.set_ylabel("Chosen columns", color=ORANGE)
    ax.set_title(f"{name}, lowest at alpha={best:.3g}")
    return figure
