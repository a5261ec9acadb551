"""Plots of residuals."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from statsmodels.nonparametric.smoothers_lowess import lowess

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    BLACK,
    BLUE,
    GRAY,
    MANY_ROWS,
    ORANGE,
    canvas,
    finish,
    panels,
    plain_ticks,
)
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.graphics.residual_groups import draw_residual_groups
from statsmodels_lmm.inference.deletion.influence import influence
from statsmodels_lmm.inference.replicates.simulated_residuals import (
    SimulatedResiduals,
    simulated_residuals,
)
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_gaussian,
)
from statsmodels_lmm.inference.row_groups import row_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RESIDUAL_LABELS = {
    "pearson": "Pearson residual",
    "studentized": "studentized residual",
    "normalized": "normalized residual",
    "response": "residual of ",
}

LONG = 24
"""Number of characters of a name."""

FEW_ROWS = 3
"""Number of rows from which a hexagon shows them better than points."""

QUARTILES = (0.25, 0.5, 0.75)
STYLES = ("--", "-", "-.")


def plot_residuals(
    results: Any, kind: str = "pearson", ax: Any = None, *, by: Any = None
) -> "Figure":
    """
    Plot the residuals against the fitted values, with a smoother.

    In a generalized model they are drawn against the linear predictor. For a response
    of zeros and ones `plot_binned_residuals` is easier to read.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "normalized", "response"}, optional
        `resid_pearson`; the same divided by sqrt(1 - leverage), see `get_influence`,
        which takes longer; `resid_normalized`, free of the correlations of the errors;
        or `resid`.
    ax : Axes, optional
        Axes to draw on.
    by : str or array_like, optional
        Groups of rows: a factor, a column of the data that the formula uses or one
        value per row. Each group then has a row with its median, the range of its
        middle half, lines to the outermost residuals within 1.5 times this range, and
        points beyond.

    Returns
    -------
    Figure
        Beyond 5,000 rows, hexagons show the numbers of rows, and points the rows
        where a hexagon would hold fewer than three. The line is a lowess
        smooth (Cleveland 1979) with two thirds of the rows, and is omitted for fewer
        than four different fitted values.

    Raises
    ------
    DataError
        If the data of the model have been removed, or no residual is defined.
    ValueError
        If `kind` is unknown, or there is no such group.
    """
    results = as_fit(results)
    if by is not None:
        residuals, label = row_residuals(results, kind)
        known = np.isfinite(residuals)
        codes, names = row_groups(results.model, by, "by")
        return draw_residual_groups(residuals[known], codes[known], names, label, ax)
    fitted, residuals, label = _residuals(results, kind)
    figure, ax = canvas(ax)
    _cloud(figure, ax, fitted, residuals)
    ax.axhline(0.0, color=GRAY, linewidth=0.8, linestyle="--")
    _smoother(ax, fitted, residuals)
    finish(ax, _fitted_label(results), label)
    return figure


def plot_scale_location(
    results: Any, kind: str = "pearson", ax: Any = None
) -> "Figure":
    """
    Plot the square roots of the absolute residuals against the fitted values.

    The smoother rises or falls with the variance of the residuals.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "normalized", "response"}, optional
        Kind of residuals; see `plot_residuals`.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data of the model have been removed, or no residual is defined.
    ValueError
        If `kind` is unknown, or the response consists of zeros and ones.
    """
    results = as_fit(results)
    require_data(results.model, "a plot of residuals")
    if getattr(results.model, "is_binary", False):
        raise ValueError(
            "the size of the residuals of zeros and ones is a function of the mean: "
            "use plot_binned_residuals or plot_simulated_residuals"
        )
    fitted, residuals, label = _residuals(results, kind)
    sizes = np.sqrt(np.abs(residuals))
    figure, ax = canvas(ax)
    _cloud(figure, ax, fitted, sizes)
    _smoother(ax, fitted, sizes)
    ax.set_ylim(bottom=0.0)
    finish(ax, _fitted_label(results), f"square root of |{label}|")
    return figure


def plot_residuals_qq(results: Any, kind: str = "pearson", ax: Any = None) -> "Figure":
    """
    Plot the ordered residuals against normal quantiles.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "normalized", "response"}, optional
        Kind of residuals; see `plot_residuals`.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure
        The line passes through the quartiles, as R's ``qqline`` does. The band holds
        each order statistic of a normal sample with these quartiles with probability
        95%: pointwise, not jointly.

    Raises
    ------
    DataError
        If the data of the model have been removed, or no residual is defined.
    ValueError
        If `kind` is unknown, or the model is generalized.
    """
    results = as_fit(results)
    require_gaussian(
        results,
        "a normal Q-Q plot of residuals",
        "plot_simulated_residuals, whose Q-Q plot is uniform",
    )
    _, residuals, label = _residuals(results, kind)
    n = len(residuals)
    low, high = np.quantile(residuals, [0.25, 0.75])
    slope = (high - low) / np.diff(stats.norm.ppf([0.25, 0.75]))[0]
    middle = (high + low) / 2.0

    figure, ax = canvas(ax)
    quantiles = stats.norm.ppf(_positions(n))
    # a few points suffice for a smooth curve
    grid = np.linspace(quantiles[0], quantiles[-1], min(n, 200))
    order = n * stats.norm.cdf(grid) + 0.5
    ends = [
        middle + slope * stats.norm.ppf(stats.beta.ppf(p, order, n + 1 - order))
        for p in (0.025, 0.975)
    ]
    ax.fill_between(
        grid, *ends, color=GRAY, alpha=0.25, linewidth=0.0, label="95% band, pointwise"
    )
    ax.plot(grid, middle + slope * grid, color=BLACK, linewidth=1.0, label="normal")
    _dots(ax, quantiles, np.sort(residuals))
    finish(ax, "normal quantile", label)
    ax.legend(frameon=False, loc="upper left")
    return figure


def plot_simulated_residuals(
    results: Any, nsim: int = 250, rng: Any = None, ax: Any = None
) -> "Figure":
    """
    Plot simulated residuals: a uniform Q-Q plot, and a plot against predictions.

    Parameters
    ----------
    results : CrossedMixedLMResults or SimulatedResiduals
        A fit, or the result of its `simulated_residuals`.
    nsim : int, optional
        Number of simulated responses.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness.
    ax : sequence of Axes, optional
        Two axes to draw on.

    Returns
    -------
    Figure
        Left: the ordered residuals, with the tests of `SimulatedResiduals`. Right:
        the residuals against the rank of the prediction, with crosses for those
        outside all simulated responses, and running quartiles, which are horizontal
        if the model is right.

    Raises
    ------
    DataError
        If the data of the model have been removed.
    ValueError
        If `ax` is not a pair of axes.
    """
    if not isinstance(results, SimulatedResiduals):
        results = simulated_residuals(results, nsim, rng)
    figure, (left, right) = panels(2, ax, columns=2, size=(4.4, 4.2))
    values = results.residuals.to_numpy()

    left.axline((0.0, 0.0), slope=1.0, color=BLACK, linewidth=1.0)
    _dots(left, _positions(len(values)), np.sort(values))
    left.text(
        0.03,
        0.97,
        _tests(results),
        transform=left.transAxes,
        va="top",
        fontsize="small",
        linespacing=1.5,
    )
    finish(left, "uniform quantile", "simulated residual")

    order = np.argsort(results.predicted, kind="stable")
    places, outside = _positions(len(values)), results.outliers.to_numpy()[order]
    values, predicted = values[order], results.predicted[order]
    _cloud(figure, right, places, values, legend=False)
    right.plot(
        places[outside],
        values[outside],
        "X",
        color=ORANGE,
        markersize=7.0,
        label="outside all simulations",
    )
    for level in QUARTILES:
        right.axhline(level, color=GRAY, linewidth=0.8, linestyle=":")
    for x, curves in _running_quartiles(places, values, predicted):
        for curve, style in zip(curves, STYLES):
            right.plot(x, curve, style, color=BLACK, linewidth=1.5)
    finish(right, "rank of the prediction", "simulated residual")
    right.set_yticks([0.0, *QUARTILES, 1.0])
    for each in (left, right):
        each.set_xlim(-0.02, 1.02)
        each.set_ylim(-0.02, 1.02)
    return figure


def row_residuals(results, kind):
    """
    The residuals of all rows.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "normalized", "response"}
        Kind of residuals.

    Returns
    -------
    residuals : ndarray
        Shape (n,), NaN where it is not defined.
    label : str
        Its name.

    Raises
    ------
    DataError
        If the data of the model have been removed, or no residual is defined.
    ValueError
        If `kind` is unknown.
    """
    if kind not in RESIDUAL_LABELS:
        listed = ", ".join(map(repr, RESIDUAL_LABELS))
        raise ValueError(f"kind must be one of {listed}, not {kind!r}")
    require_data(results.model, "a plot of residuals")
    label = RESIDUAL_LABELS[kind]
    if kind == "pearson":
        residuals = results.resid_pearson
    elif kind == "normalized":
        require_gaussian(results, "a normalized residual", "kind='pearson'")
        residuals = results.resid_normalized
    elif kind == "response":
        residuals, label = results.resid, label + _response(results)
    else:
        residuals = influence(results).resid_studentized.to_numpy()
    residuals = np.asarray(residuals)
    if not np.isfinite(residuals).any():
        raise DataError(f"no {label} is defined; try kind='response'")
    return residuals, label


def _residuals(results, kind):
    """Fitted values and residuals of the rows that have them, and a label."""
    residuals, label = row_residuals(results, kind)
    known = np.isfinite(residuals)
    fitted = results.fittedvalues if results._is_gaussian else results.linear_predictor
    return fitted[known], residuals[known], label


def _fitted_label(results):
    """The name of the fitted values."""
    if results._is_gaussian:
        return f"fitted {_response(results)}"
    return f"linear predictor of {_response(results)}"


def _response(results):
    """The name of the response."""
    return short(results.model.endog_names, LONG)


def _positions(n):
    """Plotting positions of n ordered values."""
    return (np.arange(n) + 0.5) / n


def _dots(ax, x, y):
    """Draw the points of a curve."""
    many = len(x) > MANY_ROWS
    size = 2.0 if many else 4.0
    ax.plot(x, y, "o", color=BLUE, markersize=size, alpha=0.7, mew=0, rasterized=many)


def _cloud(figure, ax, x, y, legend=True):
    """Draw points, or hexagons of counts if there are many, and points between."""
    if len(x) <= MANY_ROWS:
        size = float(np.clip(4000.0 / len(x), 6.0, 25.0))
        ax.scatter(x, y, s=size, color=BLUE, alpha=0.6, linewidths=0)
        return
    alone: list[int] = []

    def count(rows):
        if len(rows) < FEW_ROWS:
            alone.extend(map(int, rows))
            return np.nan
        return len(rows)

    drawn = ax.hexbin(
        x,
        y,
        np.arange(len(x)),
        reduce_C_function=count,
        gridsize=(60, 35),
        bins="log",
        mincnt=0,
        cmap="Blues",
    )
    evenly = len(alone) > 0.5 * len(x)
    if evenly:
        drawn.remove()
    rows = slice(None) if evenly else alone
    x, y = np.asarray(x)[rows], np.asarray(y)[rows]
    ax.scatter(x, y, s=3.0, color=BLUE, alpha=0.6, linewidths=0)
    if legend and not evenly:
        bar = figure.colorbar(drawn, ax=ax, label="rows", pad=0.02, aspect=30)
        bar.outline.set_visible(False)
        plain_ticks(bar.ax.yaxis)


def _smoother(ax, x, y):
    """Draw a lowess curve."""
    if len(np.unique(x)) < 4:
        return
    curve = lowess(y, x, delta=0.01 * np.ptp(x))
    curve = curve[np.isfinite(curve).all(axis=1)]
    ax.plot(*curve.T, color=ORANGE, linewidth=2.0)


def _running_quartiles(places, values, predicted):
    """
    Running quartiles of the residuals along the predictions, in pieces.

    Rows are ordered by prediction. If there are few predictions, each has a piece of
    its own; otherwise there is one piece, from windows of three tenths of the rows.
    """
    starts = np.flatnonzero(np.diff(predicted, prepend=-np.inf) > 0.0)
    n = len(values)
    if len(starts) <= 12:
        for a, b in zip(starts, np.append(starts[1:], n)):
            level = np.quantile(values[a:b], QUARTILES)
            yield np.array([a, b]) / n, np.column_stack([level, level])
        return
    half = max(int(0.15 * n), 2)
    centers = np.unique(np.linspace(0, n - 1, 60).astype(int))
    windows = [values[max(i - half, 0) : i + half + 1] for i in centers]
    levels = np.array([np.quantile(window, QUARTILES) for window in windows])
    yield places[centers], levels.T


def _tests(residuals):
    """The tests of simulated residuals, as text."""
    uniform, spread = residuals.uniformity_test(), residuals.dispersion_test()
    outside, count = residuals.outlier_test(), int(residuals.outliers.sum())
    lines = [
        f"Kolmogorov-Smirnov {uniform.statistic:.3f}, {_pvalue(uniform)}",
        f"dispersion {spread.statistic:.3f}, {_pvalue(spread)}",
        f"outside all simulations {count:,}, {_pvalue(outside)}",
    ]
    if residuals.is_discrete:
        zeros = residuals.zero_inflation_test()
        lines.append(f"zeros, relative {zeros.statistic:.3f}, {_pvalue(zeros)}")
    return "\n".join(lines)


def _pvalue(test):
    return "p < 0.001" if test.pvalue < 0.001 else f"p = {test.pvalue:.3f}"
