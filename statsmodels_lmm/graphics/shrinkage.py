"""Shrinkage of the groups' own estimates towards those of the model."""

from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from statsmodels_lmm.core.rows.grouped_effects import level_sums
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import BLUE, GRAY, ORANGE, finish, legend, panels
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.graphics.levels import (
    chosen_effects,
    correlation,
    has_no_variance,
    name_rows,
    panel_height,
)
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_random_effects,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPENDENT = 1e-10
"""Share of a column that must remain for it to count as independent."""

MOST_STEPS, MOST_HALVINGS = 60, 12
"""Largest numbers of steps of a group's own fit, and of halvings of a step."""

SETTLED = 1e-10
"""Promised decrease of -2 log-likelihood at which a group's own fit ends."""

VANISHED = 1e-5
"""Share of the information at the start below which an estimate is infinite."""


def plot_shrinkage(
    results: Any, group: Any = None, effects: Any = None, ax: Any = None
) -> "Figure":
    r"""
    Plot how the model shrinks the estimates of the groups towards the population.

    Every group has two marks joined by a line: an open one for the estimate from its
    own rows alone, and a filled one for that of the model, fixed effect plus
    conditional mode. Each panel shows two effects of a factor, with ellipses that hold
    50 % and 95 % of the groups under the estimated covariance; if this is singular,
    they collapse to a line on which all filled marks lie. A factor with one effect has
    one row per group, and bands.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all whose random effects have groups.
    effects : str or list of str, optional
        Names of the effects to show. Default is all. Up to four effects have one panel
        per pair; more have the first effect with each of the others.
    ax : Axes or list of Axes, optional
        Axes to draw on, one per panel. Default is a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data have been removed, or no group determines its own coefficients.
    ValueError
        If there is no such factor or effect.

    Notes
    -----
    The population's coefficients :math:`\gamma` of the effect columns Z of a factor are
    those of the part of :math:`X \hat\beta` whose columns lie in the span of Z,
    :math:`X_1 \hat\beta_1 = Z \gamma`; they are 0 for effects without a fixed
    counterpart. The estimate of a group alone is the weighted least squares fit of
    :math:`y - o - X_2 \hat\beta_2 - \sum_{\text{others}} Z_i \hat b_i` on Z in its own
    rows, with all effects of the factor; in a generalized model the maximum likelihood
    fit of y with the rest as an offset, on the scale of the linear predictor. Groups
    whose rows do not determine these, or that have no finite estimate because all
    their responses are zero, say, are left out and counted in the title. With a
    relationship among the levels the ellipses are those of a level with relationship 1
    to itself.
    """
    results = as_fit(results)
    require_random_effects(results.model, "a plot of shrinkage")
    chosen = chosen_effects(results, group, effects)
    if group is None:
        chosen = [c for c in chosen if c[1].has_groups] or chosen
    plots = []
    for i, factor, columns in chosen:
        estimates = group_estimates(results, i)
        first = combinations(columns, 2) if len(columns) <= 4 else None
        pairs = first or ((columns[0], c) for c in columns[1:])
        for pair in [columns] if len(columns) == 1 else pairs:
            plots.append((i, factor, list(pair), estimates))
    columns = min(len(plots), 3)
    width = 4.8 if columns == 1 else 3.8
    rows = [f.n_levels for _, f, pair, _ in plots if len(pair) < 2]
    height = max(3.8, panel_height(rows))
    figure, axes = panels(len(plots), ax, columns, size=(width, height))
    for panel, (i, factor, pair, (population, alone, model)) in zip(axes, plots):
        covariance = results._covariances()[i][np.ix_(pair, pair)]
        shown = np.isfinite(alone).all(axis=1)
        parts = population[pair], alone[shown][:, pair], model[shown][:, pair]
        names = [factor.effect_names[j] for j in pair]
        zero = [has_no_variance(results, i, j) for j in pair]
        draw = _shrunken_rows if len(pair) == 1 else _shrunken_pairs
        draw(panel, *parts, covariance, factor, names, shown)
        title = [short(factor.name, 40)]
        if any(zero):
            title.append("variance 0: " + ", ".join(map(short, np.array(names)[zero])))
        elif len(pair) == 2 and abs(correlation(covariance)[0, 1]) > 1.0 - 1e-6:
            title.append(f"singular: correlation {correlation(covariance)[0, 1]:.0f}")
        if not shown.all():
            title.append(f"left out: {(~shown).sum():,} of {len(shown):,} levels")
        finish(panel, title="\n".join(title))
    legend(figure, axes, ax is None)
    return figure


def group_estimates(results, i):
    """
    Coefficients of the effects of a factor, in the population and in its groups.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    i : int
        Position of the factor.

    Returns
    -------
    population : ndarray
        Fixed part, shape (k,); see `plot_shrinkage`.
    alone : ndarray
        Least squares, or maximum likelihood, in the rows of each level, shape (l, k);
        NaN where undetermined or infinite.
    model : ndarray
        Fixed part plus conditional modes, shape (l, k).

    Raises
    ------
    DataError
        If the data have been removed, or no level determines its own coefficients.
    """
    model, factor = results.model, results.model.random[i]
    require_data(model, "a plot of shrinkage")
    grouped = factor.grouped
    if not factor.has_groups:
        raise DataError(
            f"the random effects {factor.name} have a model matrix of their own; "
            "there are no groups to estimate them in"
        )
    none = DataError(f"no level of {factor.name} determines its own coefficients")
    lengths = np.linalg.norm(grouped.effects, axis=0)
    if not lengths.all():
        raise none
    # orthonormal columns: a covariate far from 0 loses no digits
    unit, root = np.linalg.qr(grouped.effects / lengths)
    if (np.abs(np.diag(root)) <= DEPENDENT).any():
        raise none
    x, beta = model.exog, np.nan_to_num(np.asarray(results.params))
    inside = unit.T @ x
    left = np.linalg.norm(x - unit @ inside, axis=0)
    beside = left > 1e-8 * np.linalg.norm(x, axis=0)
    known = x[:, beside] @ beta[beside]
    if model._offset is not None:
        known = known + model._offset
    for j, other in enumerate(model.random):
        if j != i:
            known = known + other.grouped.times(results._modes[j])
    back = np.linalg.inv(root) / lengths[:, None]
    population = back @ (inside[:, ~beside] @ beta[~beside])
    fitted = population + results._modes[i]
    if results._is_gaussian:
        determined, estimates = _least_squares(model, grouped, unit, known)
    else:
        start = fitted @ np.linalg.inv(back).T
        determined, estimates = _maximum_likelihood(
            results, grouped, unit, known, start
        )
    if not determined.any():
        raise none
    alone = np.full((grouped.n_levels, grouped.k_effects), np.nan)
    alone[determined] = estimates @ back.T
    return population, alone, fitted


def _least_squares(model, grouped, unit, known):
    """Levels that determine their own coefficients, booleans, and these, (m, k)."""
    rest = model.endog - known
    weights = 1.0 if model.weights is None else model.weights[:, None]
    sums = (grouped.codes, grouped.n_levels, weights * unit)
    gram, right = level_sums(*sums, unit), level_sums(*sums, rest[:, None])
    determined = _is_determined(gram)
    return determined, np.linalg.solve(gram[determined], right[determined])[..., 0]


def _maximum_likelihood(results, grouped, unit, known, start):
    """As `_least_squares`, by Fisher's scoring in all levels at once."""
    model, family = results.model, results.family
    of_levels, n_levels = grouped.codes, grouped.n_levels
    row = model.endog, model._prior_weights
    repeats = model._repeats * np.ones(len(known))

    def pieces(points):
        eta = known + (unit * points[of_levels]).sum(axis=1)
        loss = family.half_deviance(*row, eta, results.extra)
        first = family.slopes(*row, eta, results.extra).first
        second = family.expected(*row, eta, results.extra).second
        sums = of_levels, n_levels, repeats[:, None] * unit
        return (
            np.bincount(of_levels, repeats * loss, n_levels),
            level_sums(*sums, first[:, None])[..., 0],
            level_sums(*sums, second[:, None] * unit),
        )

    points = start.copy()
    losses, gradient, information = pieces(points)
    determined = _is_determined(information)
    initial = np.linalg.eigvalsh(information)[:, 0]
    ends = np.full(n_levels, np.inf)
    for _ in range(MOST_STEPS):
        step = np.zeros_like(points)
        step[determined] = -np.linalg.solve(
            information[determined], gradient[determined][..., None]
        )[..., 0]
        ends = -(gradient * step).sum(axis=1)
        if (ends <= SETTLED).all():
            break
        share = np.ones((n_levels, 1))
        for _ in range(MOST_HALVINGS):
            worse = ~(pieces(points + share * step)[0] <= losses + 1e-12)
            if not worse.any():
                break
            share[worse] *= 0.5
        share[worse] = 0.0
        points = points + share * step
        losses, gradient, information = pieces(points)
        determined &= np.isfinite(information).all(axis=(1, 2))
        smallest = np.full(n_levels, np.nan)
        smallest[determined] = np.linalg.eigvalsh(information[determined])[:, 0]
        # where an estimate is infinite the information vanishes on the way
        determined &= smallest > VANISHED * initial
    determined &= ends <= SETTLED
    return determined, points[determined]


def _is_determined(gram):
    """Whether matrices, shape (l, k, k), are invertible."""
    values = np.linalg.eigvalsh(gram)
    return values[:, 0] > DEPENDENT * values[:, -1]


def _shrunken_pairs(ax, population, alone, model, covariance, factor, names, shown):
    """Draw two effects of each group, alone and in the model."""
    circle = np.linspace(0.0, 2.0 * np.pi, 200)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    for share, style in ((0.5, ":"), (0.95, "--")):
        radius = np.sqrt(stats.chi2.ppf(share, 2))
        ring = radius * root @ np.array([np.cos(circle), np.sin(circle)])
        ax.plot(
            *(population[:, None] + ring),
            style,
            color=ORANGE,
            linewidth=1.0,
            label=f"{100 * share:.0f} % of groups",
        )
    _marks(ax, alone, model)
    ax.plot(
        *population, "P", color=ORANGE, mec="white", ms=9, zorder=5, label="population"
    )
    finish(ax, *map(short, names))


def _shrunken_rows(ax, population, alone, model, covariance, factor, names, shown):
    """Draw one effect of each group, alone and in the model, sorted by the latter."""
    order = np.argsort(model[:, 0], kind="stable")
    rows = np.arange(len(order), dtype=float)
    for share, alpha in ((0.5, 0.18), (0.95, 0.12)):
        half = stats.norm.ppf(0.5 + share / 2.0) * np.sqrt(max(covariance[0, 0], 0.0))
        ax.axvspan(
            population[0] - half,
            population[0] + half,
            color=ORANGE,
            alpha=alpha,
            linewidth=0,
            label=f"{100 * share:.0f} % of groups",
        )
    ax.axvline(population[0], color=ORANGE, linestyle="--", label="population")
    _marks(
        ax,
        np.column_stack([alone[order, 0], rows]),
        np.column_stack([model[order, 0], rows]),
    )
    name_rows(ax, [str(level) for level in factor.levels[shown][order]], factor.name)
    finish(ax, short(names[0]))


def _marks(ax, alone, model):
    """Draw two marks per group and the line between them."""
    many = len(alone) > 200
    size, alpha = (5.0, 0.5) if many else (22.0, 1.0)
    steps = np.stack([alone, model, np.full_like(alone, np.nan)], axis=1)
    ax.plot(
        *steps.reshape(-1, 2).T,
        color=GRAY,
        linewidth=0.3 if many else 0.9,
        alpha=0.6,
        zorder=2,
    )
    ax.scatter(
        *alone.T,
        s=size,
        facecolor="white",
        edgecolor=GRAY,
        linewidth=0.5 if many else 1.0,
        alpha=alpha,
        zorder=3,
        label="group alone",
    )
    ax.scatter(
        *model.T,
        s=size,
        color=BLUE,
        alpha=alpha,
        linewidth=0,
        zorder=4,
        label="model: fixed + mode",
    )
