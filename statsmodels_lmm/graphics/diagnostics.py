"""Pictures of residuals and of influence."""

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
    short,
)
from statsmodels_lmm.inference.deletion.influence import MixedInfluence, influence
from statsmodels_lmm.inference.replicates.simulated_residuals import (
    SimulatedResiduals,
    simulated_residuals,
)
from statsmodels_lmm.inference.requirements import as_fit, require_data

KINDS = {
    "pearson": "Pearson residual",
    "studentized": "studentized residual",
    "response": "residual of ",
}

LONG = 24
"""Characters of a name."""

MANY_GROUPS = 40
"""Groups from which only the largest have names."""

QUARTILES = (0.25, 0.5, 0.75)
STYLES = ("--", "-", "-.")


def plot_residuals(results, kind="pearson", ax=None):
    """
    Draw the residuals against the fitted values, with a smoother.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "response"}, optional
        `resid_pearson`; those over sqrt(1 - leverage), see `get_influence`, which
        takes longer; or `resid`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
        Beyond 5,000 rows the numbers of rows in hexagons. The line is lowess
        (Cleveland 1979) with two thirds of the rows; a fit with fewer than four
        different fitted values has none.

    Raises
    ------
    DataError
        If the data of the model were removed, or no residual is defined.
    ValueError
        If `kind` is unknown.
    """
    results = as_fit(results)
    fitted, residuals, label = _residuals(results, kind)
    figure, ax = canvas(ax)
    _cloud(figure, ax, fitted, residuals)
    ax.axhline(0.0, color=GRAY, linewidth=0.8, linestyle="--")
    _smoother(ax, fitted, residuals)
    finish(ax, f"fitted {_response(results)}", label)
    return figure


def plot_scale_location(results, kind="pearson", ax=None):
    """
    Draw the square roots of the absolute residuals against the fitted values.

    The smoother rises or falls where the variance of the residuals does.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "response"}, optional
        Which residuals, see `plot_residuals`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data of the model were removed, or no residual is defined.
    ValueError
        If `kind` is unknown.
    """
    results = as_fit(results)
    fitted, residuals, label = _residuals(results, kind)
    sizes = np.sqrt(np.abs(residuals))
    figure, ax = canvas(ax)
    _cloud(figure, ax, fitted, sizes)
    _smoother(ax, fitted, sizes)
    ax.set_ylim(bottom=0.0)
    finish(ax, f"fitted {_response(results)}", f"square root of |{label}|")
    return figure


def plot_residuals_qq(results, kind="pearson", ax=None):
    """
    Draw the ordered residuals against normal quantiles.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    kind : {"pearson", "studentized", "response"}, optional
        Which residuals, see `plot_residuals`.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
        The line goes through the quartiles, as R's ``qqline``. The band has 95% of
        each order statistic of a normal sample with these quartiles: one by one,
        not of all at once.

    Raises
    ------
    DataError
        If the data of the model were removed, or no residual is defined.
    ValueError
        If `kind` is unknown.
    """
    results = as_fit(results)
    _, residuals, label = _residuals(results, kind)
    n = len(residuals)
    low, high = np.quantile(residuals, [0.25, 0.75])
    slope = (high - low) / np.diff(stats.norm.ppf([0.25, 0.75]))[0]
    middle = (high + low) / 2.0

    figure, ax = canvas(ax)
    quantiles = stats.norm.ppf(_positions(n))
    # a curve needs no more points than it has bends
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


def plot_influence(results, group=None, n_labels=3, ax=None):
    """
    Draw Cook's distances of the rows, or of groups of rows.

    Parameters
    ----------
    results : CrossedMixedLMResults or MixedInfluence
        A fit, or what its `get_influence` returned.
    group : str or array_like, optional
        Groups of rows, see `get_influence`. Default is single rows.
    n_labels : int, optional
        How many of the largest are marked and named.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
        Rows in their order, groups from the largest down, all with their names if
        they are up to 40. Those that cannot be left out are counted below.

    Raises
    ------
    DataError
        If no distance is defined, such as without fixed effects, or the data of the
        model were removed.
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
            "cannot be estimated without any one of the rows or groups"
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
        ax.set_yticks(places, [short(label, LONG) for label in known.index])
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


def plot_simulated_residuals(results, nsim=250, rng=None, ax=None):
    """
    Draw simulated residuals: a uniform Q-Q plot, and against the predictions.

    Parameters
    ----------
    results : CrossedMixedLMResults or SimulatedResiduals
        A fit, or what its `simulated_residuals` returned.
    nsim : int, optional
        Number of simulated responses.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness.
    ax : sequence of Axes, optional
        Where to draw, two.

    Returns
    -------
    Figure
        On the left the ordered residuals with the tests of `SimulatedResiduals`. On
        the right the residuals by the rank of their prediction, those outside all
        simulated responses as crosses, with running quartiles, which are level if
        the model is right.

    Raises
    ------
    DataError
        If the data of the model were removed.
    ValueError
        If `ax` are not two.
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
        _told(results),
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
        label="outside all simulated",
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


def _residuals(results, kind):
    """Fitted values and residuals of the rows that have one, and what they are."""
    if kind not in KINDS:
        listed = ", ".join(map(repr, KINDS))
        raise ValueError(f"kind must be one of {listed}, not {kind!r}")
    require_data(results.model, "a picture of residuals")
    label = KINDS[kind]
    if kind == "pearson":
        residuals = results.resid_pearson
    elif kind == "response":
        residuals, label = results.resid, label + _response(results)
    else:
        residuals = influence(results).resid_studentized.to_numpy()
    known = np.isfinite(residuals)
    if not known.any():
        raise DataError(f"no {label} is defined; try kind='response'")
    return results.fittedvalues[known], residuals[known], label


def _response(results):
    """The name of the response."""
    return short(results.model.endog_names, LONG)


def _positions(n):
    """Probabilities of the order statistics of n values."""
    return (np.arange(n) + 0.5) / n


def _dots(ax, x, y):
    """Points of a curve."""
    many = len(x) > MANY_ROWS
    size = 2.0 if many else 4.0
    ax.plot(x, y, "o", color=BLUE, markersize=size, alpha=0.7, mew=0, rasterized=many)


def _cloud(figure, ax, x, y, legend=True):
    """Points, or numbers of points where they are many."""
    if len(x) <= MANY_ROWS:
        size = float(np.clip(4000.0 / len(x), 6.0, 25.0))
        ax.scatter(x, y, s=size, color=BLUE, alpha=0.6, linewidths=0)
        return
    drawn = ax.hexbin(x, y, gridsize=(60, 35), bins="log", mincnt=1, cmap="Blues")
    if legend:
        bar = figure.colorbar(drawn, ax=ax, label="rows", pad=0.02, aspect=30)
        bar.outline.set_visible(False)


def _smoother(ax, x, y):
    """A lowess curve."""
    if len(np.unique(x)) < 4:
        return
    found = lowess(y, x, delta=0.01 * np.ptp(x))
    found = found[np.isfinite(found).all(axis=1)]
    ax.plot(*found.T, color=ORANGE, linewidth=2.0)


def _running_quartiles(places, values, predicted):
    """
    Quartiles of the residuals along their predictions, in pieces.

    Rows in the order of the predictions. A piece for each prediction if they are few,
    else one, of windows with three tenths of the rows.
    """
    starts = np.flatnonzero(np.diff(predicted, prepend=-np.inf) > 0.0)
    n = len(values)
    if len(starts) <= 12:
        for a, b in zip(starts, np.append(starts[1:], n)):
            level = np.quantile(values[a:b], QUARTILES)
            yield np.array([a, b]) / n, np.column_stack([level, level])
        return
    half = max(int(0.15 * n), 2)
    at = np.unique(np.linspace(0, n - 1, 60).astype(int))
    windows = [values[max(i - half, 0) : i + half + 1] for i in at]
    levels = np.array([np.quantile(window, QUARTILES) for window in windows])
    yield places[at], levels.T


def _told(found):
    """The tests in words."""
    uniform, spread = found.uniformity_test(), found.dispersion_test()
    outside, count = found.outlier_test(), int(found.outliers.sum())
    return "\n".join(
        [
            f"Kolmogorov-Smirnov {uniform.statistic:.3f}, {_pvalue(uniform)}",
            f"dispersion {spread.statistic:.3f}, {_pvalue(spread)}",
            f"outside all simulated {count:,}, {_pvalue(outside)}",
        ]
    )


def _pvalue(test):
    return "p < 0.001" if test.pvalue < 0.001 else f"p = {test.pvalue:.3f}"


def _name(ax, x, y, labels):
    """Write names beside points, given from the highest down, not into each other."""
    low, high = ax.get_xlim()
    lines = 0.045 * ax.get_ylim()[1]
    placed: list = []
    for a, b, label in zip(x, y, labels):
        near = [top for other, top in placed if abs(other - a) < 0.3 * (high - low)]
        height = min([b, *(top - lines for top in near)])
        placed.append((a, height))
        side = -1 if a > low + 0.75 * (high - low) else 1
        ax.annotate(
            short(label, LONG),
            (a, height),
            (7.0 * side, 0.0),
            textcoords="offset points",
            ha="left" if side > 0 else "right",
            va="center",
            fontsize="small",
        )
