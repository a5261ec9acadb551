"""Plot of pairs of parameters: contours of the likelihood from the profiles of both."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.interpolate import CubicSpline

from statsmodels_lmm.graphics.canvas import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    error_probability,
    finish,
    panels,
    percent,
)
from statsmodels_lmm.graphics.labels import wrapped
from statsmodels_lmm.graphics.profiles import fine_curve, profiled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 12
"""Largest number of parameters of one plot."""

NEAR_ONE = 1e-6
"""Distance from 1 that the cosine of the angle of two traces keeps."""


def plot_profile_pairs(
    results: Any,
    which: Any = None,
    levels: Any = (0.5, 0.8, 0.95),
    ax: Any = None,
    **options: Any,
) -> "Figure":
    r"""
    Plot contours of the likelihood of each pair of parameters, as lme4's splom.

    Below the diagonal the parameters are in their units, above it on the scale of zeta,
    on which a Gaussian likelihood has ellipses. Lines through the estimate are profile
    traces: the estimate of one parameter given the other, whose curvature and angle
    show how the two depend on each other. The diagonal has zeta itself, as in
    `plot_profile`.

    Parameters
    ----------
    results : CrossedMixedLMResults or ProfileLikelihood
        A fit, which is then profiled, or a profile.
    which : {"fixed", "random"}, str or list of str, optional
        The fixed effects, the variance parameters, or names of parameters. Default
        is all.
    levels : sequence of float, optional
        Levels of the regions, by the chi-squared distribution with two degrees of
        freedom.
    ax : sequence of Axes, optional
        Axes to draw on, by rows, as many as the square of the number of parameters.
    **options
        Options of `profile`, such as ``scale="var"``, if `results` is a fit.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there are fewer than two or more than twelve parameters, or a level is not
        between 0 and 1.

    Notes
    -----
    A contour at height :math:`L` has extremes :math:`\zeta_i = \pm L` and
    :math:`\zeta_j = \pm L` on the traces. In between it is
    :math:`\zeta_i = L \cos(a + d / 2)`, :math:`\zeta_j = L \cos(a - d / 2)` with a
    periodic cubic spline d(a) through these four points. It is exact if the likelihood
    is Gaussian on the scale of zeta, and otherwise an approximation that needs no
    likelihood but that of the profiles. Contours end where a parameter reaches the end
    of its range. Parameters on which the likelihood does not depend are left out.

    References
    ----------
    Bates, D. M. and Watts, D. G. (1988). Nonlinear Regression Analysis and Its
    Applications. Wiley, section 6.1.2 and appendix A6.
    """
    heights = [np.sqrt(stats.chi2.isf(error_probability(p), 2)) for p in levels]
    profile, parameters = profiled(results, which, options)
    parameters = [p for p in parameters if p.curve is not None]
    count = len(parameters)
    if not 2 <= count <= MANY:
        raise ValueError(
            f"a plot of pairs has 2 to {MANY} parameters, not {count}: choose them by "
            "which=[...]"
        )
    curves = [fine_curve(p)[:2] for p in parameters]
    rows = [profile.curves[profile.curves["parameter"] == p.label] for p in parameters]
    traces = {
        (i, j): _trace(rows[i], parameters[j].label, curves[j])
        for i in range(count)
        for j in range(count)
        if i != j
    }
    figure, axes = panels(count**2, ax, count, (2.1, 1.9))
    for place, panel in enumerate(axes):
        j, i = divmod(place, count)
        finish(panel)
        panel.locator_params(nbins=3, steps=[1, 2, 5, 10])
        panel.tick_params("x", labelsize="small")
        if i == j:
            panel.axhline(0.0, color=GRAY, linewidth=0.8)
            panel.plot(*curves[i], color=BLUE)
        else:
            scales = (curves[i], curves[j]) if i < j else None
            _draw_pair(panel, traces[i, j], traces[j, i], heights, scales)
    labels = wrapped((p.label for p in parameters), 24)
    for i, label in enumerate(labels):
        axes[count * i].set_ylabel(label if i else "zeta")
        axes[count * (count - 1) + i].set_xlabel(label)
        axes[i * (count + 1)].set_title(label, fontsize="small")
    if ax is None:
        listed = ", ".join(map(percent, levels))
        figure.supxlabel(
            f"regions of {listed}; units below the diagonal, zeta above",
            fontsize="small",
            color=GRAY,
        )
    return figure


def contour(height, of_y, of_x, count=1001):
    r"""
    Interpolate a contour on the scale of zeta from two traces.

    Parameters
    ----------
    height : float
        Its height, the largest :math:`|\zeta|`.
    of_y : callable
        Trace of y: its zeta given that of x.
    of_x : callable
        Trace of x: its zeta given that of y.
    count : int, optional
        Number of points.

    Returns
    -------
    ndarray
        Zeta of x and of y, shape (2, count), the last point being the first.
    """
    cosines = [f(side * height) / height for side in (1.0, -1.0) for f in (of_y, of_x)]
    limit = 1.0 - NEAR_ONE
    right, top, left, bottom = np.arccos(np.clip(cosines, -limit, limit))
    # where x, y is largest and smallest: y = L cos(a - d / 2), x = L cos(a + d / 2)
    turns = np.array([-(np.pi + bottom), -right, top, np.pi + left]) / 2.0
    angles = np.array([np.pi - bottom, right, top, np.pi - left])
    spline = CubicSpline(
        np.append(turns, turns[0] + 2.0 * np.pi),
        np.append(angles, angles[0]),
        bc_type="periodic",
    )
    turn = np.linspace(-np.pi, np.pi, count)
    half = spline(turn) / 2.0
    return height * np.cos([turn + half, turn - half])


def _trace(rows, label, curve):
    """
    Points (zeta given, zeta of another parameter at its estimate) of a profile.

    They are in ascending order.
    """
    points = np.array([rows["zeta"], np.interp(rows[label], *curve)])
    points = points[:, np.isfinite(points).all(axis=0)]
    _, first = np.unique(points[0], return_index=True)
    return points[:, first]


def _continued(trace):
    """A natural cubic spline through points of a trace, a line beyond them."""
    ends = trace[0, [0, -1]]
    spline = CubicSpline(*trace, bc_type="natural")
    slope = spline.derivative()

    def at(zeta):
        inside = np.clip(zeta, *ends)
        return spline(inside) + (zeta - inside) * slope(inside)

    return at


def _draw_pair(panel, of_y, of_x, heights, scales):
    """Draw the contours and traces of two parameters, in units given their curves."""
    closed = min(of_y.shape[1], of_x.shape[1]) > 1
    shapes = []
    if closed:
        along = _continued(of_y), _continued(of_x)
        shapes = [contour(height, *along) for height in heights]
    lines = [
        *((shape, BLUE, 1.2) for shape in shapes),
        (of_y, ORANGE, 0.9),
        (of_x[::-1], GREEN, 0.9),
    ]
    for (x, y), color, width in lines:
        inside = np.ones(len(x), dtype=bool)
        for zeta, trace in ((x, of_y), (y, of_x)):
            inside &= (zeta >= trace[0, 0] - 1e-9) & (zeta <= trace[0, -1] + 1e-9)
        x, y = np.where(inside, x, np.nan), np.where(inside, y, np.nan)
        if scales is not None:
            x, y = _in_units(x, *scales[0]), _in_units(y, *scales[1])
        panel.plot(x, y, color=color, linewidth=width)


def _in_units(zeta, values, of_values):
    """The values of a parameter with given zeta, NaN where that is NaN."""
    rising = np.maximum.accumulate(of_values)
    return np.where(np.isnan(zeta), np.nan, np.interp(zeta, rising, values))
