"""Plot of the shares of the variance of the response."""

from typing import TYPE_CHECKING, Any

import numpy as np

from statsmodels_lmm.graphics.canvas import BLUE, GRAY, canvas, finish
from statsmodels_lmm.graphics.labels import wrapped
from statsmodels_lmm.inference.requirements import as_fit
from statsmodels_lmm.inference.variances.explained_variance import icc, r_squared

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_variance_shares(
    results: Any, method: Any = None, random_effects: bool = False, ax: Any = None
) -> "Figure":
    r"""
    Plot the shares of the fixed effects, of each factor and of the residual.

    The share of the fixed effects is the marginal R-squared, that of a factor its
    unadjusted intraclass correlation, and that of the residual the rest:
    :math:`v / (v_f + v_r + v_e)` with the variances of `r_squared`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    method, random_effects : optional
        Residual variance of a generalized model; see `r_squared`. Its shares are on the
        scale of the linear predictor.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure
        Shares that the data do not determine are left out and called so.

    Raises
    ------
    DataError
        If the data of the model have been removed.
    ValueError
        If the method is not defined for the family and link.
    """
    results = as_fit(results)
    marginal, conditional = r_squared(results, method, random_effects)
    of_factors = icc(results, True, method, random_effects)["unadjusted"]
    last = "residual" if results._is_gaussian else "distribution"
    names = wrapped(["fixed effects", *of_factors.index, last])
    shares = np.array([marginal, *of_factors, 1.0 - conditional])
    lines = sum(name.count("\n") + 1 for name in names)
    figure, ax = canvas(ax, (6.4, 1.1 + 0.25 * max(lines, len(names) + 1)))
    places = np.arange(len(shares))
    colors = [BLUE] * (len(shares) - 1) + [GRAY]
    ax.barh(places, np.nan_to_num(shares), height=0.65, color=colors)
    for place, share in zip(places, shares):
        known = np.isfinite(share)
        text = f"{share:.1%}" if known else "not determined by the data"
        end = share if known else 0.0
        ax.annotate(
            text, (end, place), (4.0, 0.0), textcoords="offset points", va="center"
        )
    ax.set_yticks(places, names)
    ax.set_ylim(len(shares) - 0.5, -0.5)
    ax.set_xlim(0.0, 1.12 * max(np.nanmax([*shares, 0.3]), 0.3))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    scale = "" if results._is_gaussian else " on the scale of the linear predictor"
    finish(ax, f"share of the variance{scale}")
    return figure
