"""Trellis plot of each group's data with the fitted lines."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.graphics.canvas import (
    BLACK,
    BLUE,
    COLORS,
    MANY_ROWS,
    ORANGE,
    entry,
    finish,
    legend,
    panels,
    plain,
)
from statsmodels_lmm.graphics.group_lines import (
    is_numeric,
    lines_in_rows,
    lines_on_grid,
)
from statsmodels_lmm.graphics.labels import distinct, short, wrapped
from statsmodels_lmm.graphics.levels import chosen_factors
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.marginal.contrast_sets import as_list
from statsmodels_lmm.inference.marginal.marginal_tables import level_text
from statsmodels_lmm.inference.marginal.reference_grid import is_factor
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_random_effects,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False)
class Across:
    """
    The variable on the horizontal axis.

    Parameters
    ----------
    name : hashable
        Name of the variable.
    values : ndarray
        Value, or position among the categories, in each row, shape (n,).
    categories : Index or None
        Names of the positions; None for a numeric variable.
    on_grid : bool
        Whether the model can be evaluated with other columns held at one value.
    between : bool
        Whether it can be evaluated between the observed values.
    """

    name: object
    values: np.ndarray
    categories: pd.Index | None = None
    on_grid: bool = False
    between: bool = False


def plot_groups(
    results: Any,
    x: Any = None,
    group: Any = None,
    levels: Any = None,
    max_groups: int = 36,
    ax: Any = None,
    *,
    by: Any = None,
) -> "Figure":
    r"""
    Plot the data of each group with the lines of the group and of the population.

    Each group has a panel with its data as points, the fit for the group,
    :math:`x'\hat\beta + z'\hat b`, as a solid line, and that for the population,
    :math:`x'\hat\beta`, as a dashed line. Both leave out the random effects of other
    factors. Those of a generalized model are means of the response.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    x : str or array_like, optional
        Variable on the horizontal axis: a column of the data, or for a model from
        arrays a column of its design or of the effects of the factor; or one value per
        row used. Categories are placed in their order, and rows of one category side
        by side. Default is the first numeric
        column of the fixed effects, or else of the random effects of the factor, that
        varies within groups; failing that the first such factor, or the number of the
        row within its group.
    group : str, optional
        The grouping factor. Default is the first.
    levels : label or list, optional
        Levels to show, in this order. Default is all, in ascending order of the mode
        of their first effect.
    max_groups : int, optional
        Largest number of groups. If there are more, a selection evenly spaced by rank
        is shown, and the title says so.
    ax : list of Axes, optional
        Axes to draw on, one per group, without a legend. Default is a new figure.
    by : str or array_like, optional
        A second variable, given like `x`, with at most six values, such as a treatment:
        each has a color, and lines of its own.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data have been removed, or the random effects have no groups.
    ValueError
        If there is no such column, factor or level, or `by` has more than six values.

    Notes
    -----
    If x is a column of a formula, lines are evaluated over its range in the group, or
    at the categories that it has there, with the other columns held at a value of the
    group: numbers at the median, the lower of two, and the others at the value most
    frequent in the data, of those in the group. An offset passed as an argument is held
    at its mean in the group, an exposure at its geometric mean. Otherwise lines are
    evaluated in the rows of the group and joined if there is one value for each x; if
    not, the values are drawn as dashes, shorter for the population.
    """
    results = as_fit(results)
    model = results.model
    require_data(model, "a plot of the data")
    require_random_effects(model, "a plot of the data by group")
    i, factor = _factor(results, group)
    codes = factor.grouped.codes
    shown, title = _shown_levels(results, i, levels, max_groups)
    across = _across(results, factor, x)
    kinds, names = _kinds(results, factor, by)
    parts = [(p, k) for p in range(len(shown)) for k in range(len(names))]
    cells = {(p, k): (codes == shown[p]) & (kinds == k) for p, k in parts}
    rows = {part: np.flatnonzero(cell) for part, cell in cells.items() if cell.any()}
    evaluate = lines_on_grid if across.on_grid else lines_in_rows
    lines = evaluate(results, i, across, list(rows.values()))
    size = (2.4, 2.1) if len(shown) <= 12 else (1.7, 1.6)
    figure, axes = panels(len(shown), ax, None, size, sharex=True, sharey=True)
    labels = "population", entry(short(factor.name))
    look = {"s": 12.0, "alpha": 0.8}
    if sum(map(len, rows.values())) > MANY_ROWS:
        look = {"s": 4.0, "alpha": 0.3}
    for ((p, k), of_part), (x, own, population) in zip(rows.items(), lines):
        dodge = 0.0 if across.categories is None else 0.2 * (k - (len(names) - 1) / 2.0)
        colors = (BLACK, ORANGE, BLUE) if by is None else [COLORS[k]] * 3
        axes[p].scatter(
            _side_by_side(across, of_part) + dodge,
            model.endog[of_part],
            color=colors[0],
            linewidth=0,
            label=names[k],
            **look,
        )
        told = labels if by is None else (None, None)
        _draw_line(axes[p], x + dodge, population, "--", colors[1], told[0])
        _draw_line(axes[p], x + dodge, own, "-", colors[2], told[1])
    for panel, of_panel in zip(axes, wrapped(factor.levels[shown], 18, 1)):
        _ticks(panel, across)
        finish(panel, title=of_panel)
    if by is not None:
        # in black, as the lines of all colors
        for style, label in zip(("--", "-"), labels):
            axes[0].plot([], [], style, color=BLACK, label=label)
    if ax is None:
        columns = axes[0].get_gridspec().ncols
        for panel in axes[-columns:]:
            panel.tick_params(labelbottom=True)
        figure.supxlabel(short(across.name, 60))
        figure.supylabel(short(model.endog_names, 40))
        legend(figure, axes, True, "upper", title)
    else:
        for panel in axes:
            finish(panel, short(across.name, 40), short(model.endog_names, 40))
    return figure


def _factor(results, group):
    """Position and RandomEffects of the grouping factor."""
    if group is not None and not isinstance(group, str):
        raise ValueError(f"group must be the name of one factor, not {group!r}")
    factors = chosen_factors(results, group)
    for i, factor in factors:
        if factor.has_groups:
            return i, factor
    raise DataError(
        f"the random effects {factors[0][1].name} have a model matrix of their own; "
        "there are no groups to plot"
    )


def _shown_levels(results, i, levels, max_groups):
    """Positions of the levels to show, and a title if some are left out."""
    factor = results.model.random[i]
    if not isinstance(max_groups, int | np.integer) or max_groups < 1:
        raise ValueError(f"max_groups must be at least 1, not {max_groups!r}")
    seen = np.bincount(factor.grouped.codes, minlength=factor.n_levels) > 0
    if levels is not None:
        levels = as_list(levels)
        positions = factor.levels.get_indexer(pd.Index(levels, dtype=object))
        for level, known in zip(levels, (positions >= 0) & seen[positions]):
            if not known:
                raise ValueError(f"{factor.name} has no rows with level {level!r}")
        if not levels:
            raise ValueError("levels is empty: nothing to plot")
        return positions, None
    order = np.argsort(results._modes[i][:, 0], kind="stable")
    order = order[seen[order]]
    if len(order) <= max_groups:
        return order, None
    ranks = np.linspace(0, len(order) - 1, max_groups).round().astype(int)
    title = f"{max_groups} of {len(order):,} levels of {factor.name}, evenly by rank"
    return order[ranks], plain(title)


def _across(results, factor, x):
    """The variable on the horizontal axis; see `plot_groups`."""
    model, codes = results.model, factor.grouped.codes
    if x is not None and np.ndim(x) == 1 and not isinstance(x, str):
        if len(x) != model.nobs:
            raise ValueError(f"x has {len(x)} values but the model {model.nobs} rows")
        name = getattr(x, "name", None) or "x"
        values = pd.Series(x).reset_index(drop=True)
        if values.isna().any():
            raise ValueError(f"{name} has missing values")
        return _coded(name, values)
    columns = _columns(model, factor)
    if x is not None:
        known = model.data.frame if has_formula(model) else columns
        if x not in known:
            listed = ", ".join(map(str, known))
            raise ValueError(f"there is no column {x!r}; there are {listed}")
        return _from_column(results, x, known[x])
    varying = [c for c, v in columns.items() if _varies(v, codes)]
    numeric = [c for c in varying if is_numeric(columns[c])]
    for name in [*numeric, *varying]:
        return _from_column(results, name, columns[name])
    number = pd.Series(codes).groupby(codes).cumcount() + 1
    return Across(f"Row in {factor.name}", number.to_numpy(float))


def _kinds(results, factor, by):
    """Position of each row among the values of a second variable, and their names."""
    if by is None:
        return np.zeros(results.model.nobs, dtype=int), ["data"]
    found = _across(results, factor, by)
    values = found.values
    if found.categories is not None:
        values = np.where(values < 0.0, np.nan, values)
    kinds, known = pd.factorize(values, sort=True)
    if (kinds < 0).any():
        raise ValueError(f"{found.name} has missing values")
    if len(known) > len(COLORS):
        raise ValueError(
            f"{found.name} has {len(known)} values, too many for colors: choose a "
            f"variable with at most {len(COLORS)}"
        )
    names = known
    if found.categories is not None:
        names = found.categories[known.astype(int)]
    return kinds, wrapped([f"{found.name} = {level_text(v)}" for v in names])


def _side_by_side(across, rows):
    """The values of rows; those of one category lie next to each other."""
    values = across.values[rows]
    if across.categories is None:
        return values
    shared = pd.Series(values).duplicated(keep=False).to_numpy()
    return values + shared * np.random.default_rng(0).uniform(-0.08, 0.08, len(rows))


def _columns(model, factor):
    """Columns of the fixed effects, then of the effects of the factor, by name."""
    if not has_formula(model):
        names = [*factor.effect_names, *model.exog_names]
        values = np.column_stack([factor.grouped.effects, model.exog])
        of = dict(zip(names, map(pd.Series, values.T)))
        return {n: of[n] for n in dict.fromkeys([*model.exog_names, *names])}
    frame = model.data.frame
    columns: dict = {}
    for text in (model._parsed.fixed, *(t.effects for t, _ in factor.terms)):
        inside = columns_in(text, frame.columns)
        for name in sorted(inside, key=lambda c: _place(c, text)):
            columns.setdefault(name, frame[name])
    return columns


def _place(name, text):
    """Position of a name in a formula."""
    match = re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", text)
    return len(text) if match is None else match.start()


def _varies(values, codes):
    """Whether a column varies within some group."""
    return values.groupby(codes, observed=True).nunique().max() > 1


def _from_column(results, name, values):
    model = results.model
    if not has_formula(model) or model.data.model_spec is None:
        return _coded(name, values)
    # variables of the caller with one value per row have none in between
    by_row = any(
        isinstance(v, np.ndarray | pd.Series | pd.Categorical)
        and np.shape(v)[:1] == (model.nobs,)
        for v in model.data.scope.values()
    )
    between = not by_row and is_numeric(values) and not is_factor(results, name)
    return _coded(name, values, not by_row, between)


def _coded(name, values, on_grid=False, between=False):
    """A variable as numbers, or as positions of its categories."""
    if is_numeric(values):
        return Across(name, values.to_numpy(float), None, on_grid, between)
    if not isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype("category")
    codes = values.cat.codes.to_numpy(float)
    return Across(name, codes, values.cat.categories, on_grid)


def _draw_line(ax, x, values, style, color, label):
    """Draw a line if values are a function of x, which is sorted, else dashes."""
    same = np.flatnonzero(np.diff(x) == 0.0)
    steps = np.abs(values[same + 1] - values[same])
    if (steps <= 1e-8 * np.abs(values).max()).all():
        ax.plot(x, values, style, color=color, linewidth=1.4, label=label)
        if np.ptp(x) == 0.0:
            ax.plot(x[:1], values[:1], "_", color=color, markersize=14)
    else:
        size = 11 if style == "-" else 5
        ax.plot(x, values, "_", color=color, markersize=size, label=label)


def _ticks(ax, across):
    """Set few ticks, because panels are small."""
    if across.categories is None:
        ax.locator_params(nbins=4, steps=[1, 2, 5, 10])
        return
    names = across.categories
    step = -(-len(names) // 12)
    places = range(0, len(names), step)
    labels = distinct(names[::step], 10)
    long = sum(map(len, labels)) > 12
    ax.set_xticks(places, labels, rotation=90 if long else 0, fontsize="small")
    ax.set_xlim(-0.5, len(names) - 0.5)
    ax.locator_params(axis="y", nbins=4)
