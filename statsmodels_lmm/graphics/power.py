"""Power against the size of a study."""

import numpy as np

from statsmodels_lmm.graphics.canvas import BLUE, GRAY, canvas


def plot_power(curve, power=0.8, ax=None):
    """
    Plot the power of a test against the size of the study.

    Parameters
    ----------
    curve : PowerCurve
        The powers.
    power : float or None, optional
        A power to mark, with the size that has it if that is known; None for neither.
    ax : Axes, optional
        Axes to draw on. Default is a new figure.

    Returns
    -------
    Figure
        Powers with exact 95 % intervals, and the curve of `PowerCurve.n_for`.
    """
    figure, ax = canvas(ax)
    table = curve.table
    sizes = table.index.to_numpy(float)
    reach = np.abs(table[["lower", "upper"]].T.to_numpy() - table["power"].to_numpy())
    ax.errorbar(sizes, table["power"], reach, fmt="o", color=BLUE, capsize=3)
    if curve.fit is not None and curve.fit.is_adequate:
        grid = np.linspace(sizes.min(), sizes.max(), 200)
        ax.plot(grid, curve.fit.power(grid), color=BLUE, linewidth=1)
    if power is not None:
        ax.axhline(power, color=GRAY, linestyle="--", linewidth=1)
        reached = curve.n_for(power)
        if np.isfinite(reached.n):
            ax.plot([reached.n, reached.n], [0.0, power], color=GRAY, linewidth=1)
    ax.set(ylim=(-0.02, 1.02), xlabel=f"Number of {curve.along}", ylabel="Power")
    ax.set_title(f"Power to detect {curve.effect}")
    return figure
