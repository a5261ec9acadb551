"""Plot of the marginal means along predictors, with the data."""

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    COLORS,
    GRAY,
    MANY_ROWS,
    MARKERS,
    canvas,
    entry,
    error_probability,
    finish,
    legend,
    panels,
    percent,
    tick_labels,
)
from statsmodels_lmm.graphics.labels import distinct, short, wrapped
from statsmodels_lmm.inference.marginal.contrast_sets import as_list
from statsmodels_lmm.inference.marginal.marginal_tables import level_text
from statsmodels_lmm.inference.marginal.reference_grid import (
    check_predictor,
    is_covariate,
    is_factor,
    numeric_column,
    reference_grid,
)
from statsmodels_lmm.inference.requirements import as_fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LINES = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 3)))

MANY_PANELS = 60
"""Largest number of panels of one plot."""

GRID = 51
"""Number of points on the line of a numeric predictor."""

STATISTICS = ("mean", "ci_lower", "ci_upper")

BINS = 10
"""Number of bins of a numeric predictor in which proportions are formed."""


COVARIATE = re.compile(r"(?<= = )-?\d+\.\d+(e[-+]\d+)?(?=,|\. |\.$)")
"""The value of a covariate in a note on means."""


def plot_effects(
    results: Any,
    x: Any,
    by: Any = None,
    at: Any = None,
    level: float = 0.95,
    df_method: Any = None,
    data: bool = True,
    ax: Any = None,
    *,
    facet: Any = None,
    which: str = "mean",
    random_effects: bool | str = False,
) -> "Figure":
    """
    Plot the marginal means along one predictor, by a second and by a third.

    Other covariates are held at their means and other factors averaged over; see
    `marginal_means`. A numeric predictor has a line with a band over its range; a
    factor, or a numeric predictor with two values, has points with intervals.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    x : str
        The predictor on the axis, a column of the data.
    by : str, optional
        A second predictor: one line per level of a factor or, if numeric, one each
        for its 10, 50 and 90% quantiles; one panel each if there are more than six.
    at : dict, optional
        Values of predictors, including these; see `marginal_means`.
    level : float, optional
        Level of the intervals, which are pointwise.
    df_method : str, optional
        Degrees of freedom; see `with_df_method`.
    data : bool, optional
        Whether to draw the responses as faint points: as observed, not adjusted for
        other predictors, random effects or offset. They are left out if there are more
        than 5,000, in panels of a numeric predictor, and if their levels are not in
        `at`. Zeros and ones are drawn as open circles, the observed proportions in each
        level of `x` or in ten bins with equal numbers of rows; other proportions have
        areas that grow with their numbers of trials.
    ax : Axes or sequence of Axes, optional
        Axes to draw on, one per panel.
    facet : str, optional
        A third predictor: one panel per level or quantile.
    which : {"mean", "linear"}, optional
        The mean of the response, or the linear predictor, without data.
    random_effects : {False, "average"}, optional
        For means of the response of a generalized model: at random effects of zero, or
        over their distribution, which is what the data scatter around.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the model has no formula or no fixed effects, or its data have been removed.
    ValueError
        If `x`, `by` or `facet` is not a predictor of the fixed effects, or there are
        more than 60 panels or, with `facet`, more than six lines.
    """
    results, at = as_fit(results), {} if at is None else dict(at)
    specs = [name for name in (x, by, facet) if name is not None]
    others = {name: values for name, values in at.items() if name not in specs}
    lines = _lines(results, specs, others, at)
    frame = results.model.data.frame
    for name in lines - set(at):
        if results.model.summed is not None:
            known = numeric_column(results.model, name, f"at={{{name!r}: ...}}")
            ends = known.lowest, known.highest
            at[name] = np.linspace(*ends, GRID if name == x else 3)
        else:
            at[name] = _range(frame[name]) if name == x else _quantiles(frame[name])
    alpha = error_probability(level)
    own = None if which == "mean" else which  # data are on the scale of the model
    how = {"which": own, "random_effects": random_effects}
    means = results.marginal_means(
        [x], specs[1:], at, alpha=alpha, df_method=df_method, **how
    )
    if not means.estimable.any():
        raise DataError(f"the data do not determine the means along {x!r}")
    by, facet = _lines_and_panels(means.frame, by, facet)

    # responses and means of each value
    on_scale = results._is_gaussian or means.of_response
    few = len(frame) <= MANY_ROWS or _is_binary(results)
    of_levels = facet not in lines
    shown = _shown(frame, others) & (data and on_scale and few and of_levels)
    values, texts = _values(means.frame, facet)
    if facet is None:
        figure, panel = canvas(ax)
        axes = [panel]
    else:
        figure, axes = panels(len(values), ax, sharex=ax is None, sharey=ax is None)
    for panel, value, text in zip(axes, values, texts):
        rows = shown & _matching(frame, facet, value)
        table = means.frame[_matching(means.frame, facet, value)]
        _draw_panel(panel, results, means, table, x, by, rows, lines)
        if facet is not None:
            panel.set_title(text, fontsize="small")

    response = short(results.model.endog_names, 24)
    what = f"mean and {percent(level)} interval"
    if not on_scale:
        what = f"linear predictor\n{what}"
    in_grid = facet is not None and ax is None
    _name_axes(axes, in_grid, x, f"{response}\n{what}")
    if by is not None and in_grid:
        legend(figure, axes, True)
    elif by is not None:
        axes[0].legend(frameon=False, fontsize="small")
    circles = "Circles: observed proportions." if shown.any() else ""
    circles = circles if _is_binary(results) else ""
    _caption(figure if in_grid else axes[0], means, circles)
    return figure


def _lines(results, specs, others, at):
    """The predictors along which the means form lines; other names raise an error."""
    for name in specs:
        if specs.count(name) > 1:
            raise ValueError(f"{name!r} is given twice; choose different predictors")
    told = {n: np.atleast_1d(at[n])[:1] for n in specs if _is_only_told(results, n, at)}
    levels = reference_grid(results, others | told).levels
    for name in specs:
        check_predictor(name, levels)
    return {name for name in specs if is_covariate(levels[name])}


def _is_only_told(results, name, at):
    """Whether nothing is known of a numeric predictor but the values in `at`."""
    model = results.model
    unknown = model.summed is not None and name not in model.data.numeric
    is_told = unknown and name in at and name in model.data.frame
    return is_told and not is_factor(results, name)


def _lines_and_panels(table, by, facet):
    """The predictors of lines and of panels: many lines become panels."""
    many = by is not None and table[by].nunique() > len(COLORS)
    if many and facet is None:
        by, facet = None, by
    elif many:
        raise ValueError(
            f"{by!r} has {table[by].nunique()} values, too many lines for one panel: "
            f"select some with at={{{by!r}: [...]}}"
        )
    if facet is not None and table[facet].nunique() > MANY_PANELS:
        raise ValueError(
            f"{facet!r} has {table[facet].nunique()} values, too many panels for one "
            f"plot: select some with at={{{facet!r}: [...]}}"
        )
    return by, facet


def _values(table, name):
    """The values of a predictor, and a label of each; of none, a single one."""
    if name is None:
        return [None], [None]
    values = list(table[name].unique())
    return values, wrapped([f"{name} = {_text(v)}" for v in values])


def _matching(table, name, value):
    """Whether rows have a value, if there is a predictor."""
    if name is None:
        return np.ones(len(table), dtype=bool)
    return (table[name] == value).to_numpy()


def _draw_panel(panel, results, means, table, x, by, rows, lines):
    """Draw the responses, and the means along x for each value of another predictor."""
    frame, columns = results.model.data.frame, [means.names[n] for n in STATISTICS]
    places = None if x in lines else pd.Index(means.frame[x].unique())
    joined = len(means.frame) > means.frame[x].nunique()
    values, texts = _values(means.frame, by)
    of_all = by is None or by in lines
    if of_all:
        _draw_rows(panel, results, x, rows, places, 0.0, GRAY)
    for i, (value, text) in enumerate(zip(values, texts)):
        dodge = 0.0 if x in lines else 0.13 * (i - (len(values) - 1) / 2.0)
        if not of_all:
            own = rows & _matching(frame, by, value)
            _draw_rows(panel, results, x, own, places, dodge, COLORS[i])
        part = table[_matching(table, by, value)]
        positions = part[x] if places is None else places.get_indexer(part[x])
        positions, numbers = np.asarray(positions) + dodge, part[columns].to_numpy()
        label = text and entry(text)
        _draw_means(panel, positions, numbers, places, i, label, joined)
    if places is not None:
        _name_levels(panel, places)


def _range(column):
    """Values from the smallest to the largest one."""
    return np.linspace(column.min(), column.max(), GRID)


def _quantiles(column):
    """Observed values at the 10, 50 and 90% quantiles."""
    return np.unique(column.quantile([0.1, 0.5, 0.9], interpolation="nearest"))


def _name_axes(axes, in_grid, x, y):
    """Label the axes of each panel; in a grid, those at the left and lower edges."""
    for i, panel in enumerate(dict.fromkeys(axes)):
        finish(panel)
        columns = panel.get_subplotspec().get_gridspec().ncols if in_grid else 1
        if not in_grid or i + columns >= len(axes):
            panel.set_xlabel(short(x))
            panel.tick_params("x", labelbottom=True)
        if not in_grid or i % columns == 0:
            panel.set_ylabel(y)


def _shown(frame, others):
    """Rows with the selected levels of other factors."""
    shown = np.ones(len(frame), dtype=bool)
    for name, values in others.items():
        kind = frame[name].dtype
        if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            shown &= frame[name].isin(as_list(values)).to_numpy()
    return shown


def _is_binary(results):
    """Whether the responses are zeros and ones."""
    return getattr(results.model, "is_binary", False)


def _draw_rows(panel, results, x, rows, places, dodge, color):
    """Draw the observed responses, side by side within a level of a factor."""
    if not rows.any():
        return
    model = results.model
    positions, response = model.data.frame[x][rows], model.endog[rows]
    if places is not None:
        positions = places.get_indexer(positions)
        positions = np.where(positions >= 0, positions + dodge, np.nan)
    if _is_binary(results):
        proportions = _proportions(positions, response, places is None)
        panel.plot(*proportions, "o", color=color, mfc="none", markersize=5.0, zorder=1)
        return
    if places is not None:
        positions += np.random.default_rng(0).uniform(-0.05, 0.05, len(positions))
    family = getattr(results, "family", None)
    if family is not None and family.name == "Binomial":
        area = 12.0 * model._prior_weights[rows] / model._prior_weights.mean()
        panel.scatter(positions, response, area, color, alpha=0.4, zorder=1, lw=0.0)
        return
    panel.plot(
        positions, response, ".", color=color, alpha=0.3, markersize=4.0, zorder=1
    )


def _proportions(positions, response, in_bins):
    """Observed proportions of ones, at each position or in bins of positions."""
    positions = np.asarray(positions, dtype=float)
    bins = pd.qcut(positions, BINS, duplicates="drop") if in_bins else positions
    table = pd.DataFrame({"x": positions, "y": response})
    return table.groupby(bins, observed=True).mean().to_numpy().T


def _draw_means(panel, positions, numbers, places, style, label, joined):
    """Draw a line with a band, or points with intervals."""
    color, (mean, lower, upper) = COLORS[style], numbers.T
    if places is None:
        panel.plot(positions, mean, color=color, linestyle=LINES[style], label=label)
        panel.fill_between(
            positions, lower, upper, color=color, alpha=0.15, linewidth=0.0
        )
        return
    panel.errorbar(
        positions,
        mean,
        yerr=[mean - lower, upper - mean],
        color=color,
        marker=MARKERS[style],
        markersize=5.0,
        linestyle=LINES[style] if joined else "none",
        linewidth=1.0,
        elinewidth=1.5,
        label=label,
    )


def _name_levels(panel, places):
    """Name the levels along the axis, rotated or thinned out if space is short."""
    names = distinct(map(_text, places), 18)
    room = panel.get_figure().get_figwidth() * panel.get_position().width
    turned = len(names) * (0.085 * max(map(len, names)) + 0.08) > room
    tick_labels(panel.xaxis, names, room / 0.17 if turned else len(names))
    panel.tick_params("x", labelrotation=90.0 if turned else 0.0)
    panel.set_xlim(-0.6, len(names) - 0.4)


def _caption(target, means, more):
    """What the means average over, and how many of them cannot be estimated."""
    notes = [*means.notes, *([more] if more else [])]
    lost = int((~means.estimable).sum())
    if lost:
        notes.append(f"{lost} of {len(means.estimable)} means cannot be estimated.")
    told = COVARIATE.sub(lambda m: _text(float(m[0])), " ".join(notes))
    text = textwrap.fill(short(told, 180), 75)
    if text:
        draw = target.suptitle if hasattr(target, "suptitle") else target.set_title
        draw(text, fontsize="small")


def _text(value):
    """A level as text, or the value of a covariate to three digits."""
    number = isinstance(value, float) and not value.is_integer()
    return f"{value:.3g}" if number else level_text(value)
