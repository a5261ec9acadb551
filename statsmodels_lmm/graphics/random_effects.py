"""Plots of random effects: modes, normality and correlations."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    BLACK,
    BLUE,
    GRAY,
    finish,
    legend,
    panels,
    percent,
)
from statsmodels_lmm.graphics.labels import distinct, short, wrapped
from statsmodels_lmm.graphics.levels import (
    LABELED,
    chosen_effects,
    correlation,
    has_no_variance,
    name_rows,
    panel_height,
    say,
)
from statsmodels_lmm.inference.requirements import as_fit, require_random_effects

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXPLAINED = 1e-10
"""Share of the prior variance that the data must explain for a mode to vary."""


@dataclass(frozen=True, eq=False)
class EffectModes:
    """
    Conditional modes of one effect of a factor.

    Parameters
    ----------
    group, effect : str
        Names of the factor and of the effect.
    levels : tuple of str
        Names of the l levels.
    modes, sd : ndarray
        Conditional modes and their conditional standard deviations, shape (l,).
    prior : ndarray
        Prior standard deviations, shape (l,).
    is_zero : bool
        Whether the variance is estimated as zero.
    """

    group: str
    effect: str
    levels: tuple
    modes: np.ndarray
    sd: np.ndarray
    prior: np.ndarray
    is_zero: bool


def plot_random_effects(
    results: Any,
    group: Any = None,
    effects: Any = None,
    level: float = 0.95,
    sort: bool = True,
    ax: Any = None,
) -> "Figure":
    r"""
    Caterpillar plot of the conditional modes of the random effects with intervals.

    One panel per effect of each factor shows :math:`\hat b \pm z \,
    \mathrm{sd}(b \mid y)`, with fixed effects and variances treated as known, as in
    lme4's ``dotplot(ranef(m))``. Marks are filled if the interval excludes 0, and open
    otherwise.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all.
    effects : str or list of str, optional
        Names of the effects to show. Default is all.
    level : float, optional
        Level of the intervals.
    sort : bool, optional
        Whether to sort levels by the mode of the first effect shown, with the largest
        on top; all panels of a factor have the same order, so that each row is one
        level. Otherwise the first level is on top.
    ax : Axes or list of Axes, optional
        Axes to draw on, one per panel. Default is a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such factor or effect, or `level` is not between 0 and 1.

    Notes
    -----
    A term with one level and several effects, such as a matrix with a structure, has
    one panel with one row per effect.
    """
    results = as_fit(results)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    require_random_effects(results.model, "a plot of random effects")
    shown = effect_modes(results, group, effects)
    columns = min(len(shown), 4)
    width = 4.4 if columns == 1 else 3.2
    height = panel_height([len(each.levels) for each in shown])
    figure, axes = panels(len(shown), ax, columns, size=(width, height))
    quantile = stats.norm.ppf(0.5 + level / 2.0)
    for position, (panel, each, title) in enumerate(
        zip(axes, shown, effect_titles(shown))
    ):
        is_first = not position or each.group != shown[position - 1].group
        if is_first:
            order = np.argsort(each.modes, kind="stable")
            if not sort:
                order = np.arange(len(each.modes))[::-1]
        _caterpillar(panel, each, order, quantile)
        name_rows(panel, [each.levels[i] for i in order], each.group)
        if not is_first and (ax is not None or position % columns):
            panel.set_yticklabels([])
            panel.set_ylabel("")
        finish(panel, f"mode and {percent(level)} interval", None, title)
    legend(figure, axes, ax is None)
    return figure


def _caterpillar(ax, each, order, quantile):
    """Draw the modes and intervals of one effect, in a given order from the bottom."""
    modes, half = each.modes[order], quantile * each.sd[order]
    rows, many = np.arange(len(order)), len(order) > LABELED
    outside = np.abs(modes) > half
    ax.axvline(0.0, color=GRAY, linewidth=0.8, zorder=0)
    for which, color, width, face, label in (
        (~outside, GRAY, 0.4, "white", "interval includes 0"),
        (outside, BLUE, 0.9, BLUE, "interval excludes 0"),
    ):
        ends = modes[which] - half[which], modes[which] + half[which]
        ax.hlines(
            rows[which],
            *ends,
            color=color,
            linewidth=width if many else 3.0 * width,
            label=label if many else None,
        )
        ax.scatter(
            modes[which],
            rows[which],
            s=3.0 if many else 20.0,
            facecolor=BLACK if many else face,
            edgecolor="none" if many else color,
            linewidth=1.2,
            zorder=3,
            label=None if many else label,
        )
    ax.locator_params("x", nbins=5)
    if each.is_zero:
        ax.set_xlim(-1.0, 1.0)
        ax.set_xticks([0.0])
        say(ax, "variance 0")
    ax.set_ylim(-0.02 * len(rows) - 0.6, 1.02 * len(rows) - 0.4)


def plot_random_effects_qq(results: Any, group: Any = None, ax: Any = None) -> "Figure":
    r"""
    Normal Q-Q plot of the conditional modes, one panel per effect.

    Modes are divided by their marginal standard deviations, which are
    :math:`\sqrt{\tau^2 - \mathrm{Var}(b \mid y)}` if fixed effects and variances are
    known. All are then standard normal and should lie on the line, whatever the number
    of rows of a level.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all.
    ax : Axes or list of Axes, optional
        Axes to draw on, one per panel. Default is a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such factor.

    Notes
    -----
    The horizontal axis has normal quantiles of the medians of uniform order statistics,
    and the band holds each ordered value with probability 95 %: the i-th of m uniform
    values is Beta(i, m + 1 - i). Both treat the modes as independent, which is only
    approximately true. Levels without information in the data are left out.
    """
    results = as_fit(results)
    require_random_effects(results.model, "a plot of random effects")
    shown = effect_modes(results, group, None)
    figure, axes = panels(len(shown), ax, min(len(shown), 4), size=(3.2, 3.2))
    for panel, each, title in zip(axes, shown, effect_titles(shown)):
        if not draw_quantiles(panel, each):
            say(panel, "variance 0")
            panel.set_xlim(-2.0, 2.0)
            panel.set_ylim(-2.0, 2.0)
        finish(panel, "normal quantile, 95% band", "mode / its SD", title)
    return figure


def draw_quantiles(panel, each, color=BLUE, marker="o"):
    """
    Draw the Q-Q plot of one effect, with its band.

    Parameters
    ----------
    panel : Axes
        The axes.
    each : EffectModes
        The effect.
    color, marker : str, optional
        Look of the points.

    Returns
    -------
    bool
        Whether there are points: the variance is not 0.
    """
    explained = each.prior**2 - each.sd**2
    inside = explained > EXPLAINED * each.prior**2
    inside &= not each.is_zero
    values = np.sort(each.modes[inside] / np.sqrt(explained[inside]))
    ranks = np.arange(1, len(values) + 1)
    lower, middle, upper = stats.norm.ppf(
        [stats.beta.ppf(p, ranks, ranks[::-1]) for p in (0.025, 0.5, 0.975)]
    )
    panel.fill_between(middle, lower, upper, color=GRAY, alpha=0.25, linewidth=0)
    panel.axline((0.0, 0.0), slope=1.0, color=GRAY, linewidth=0.9)
    panel.plot(
        middle,
        values,
        marker,
        color=color,
        markersize=2.0 if len(values) > 200 else 4.5,
        alpha=0.5 if len(values) > 200 else 1.0,
    )
    return bool(inside.any())


def plot_random_effects_correlation(
    results: Any, group: Any = None, ax: Any = None
) -> "Figure":
    """
    Heat map of the correlations among the random effects of a level.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all.
    ax : Axes or list of Axes, optional
        Axes to draw on, one per term with two or more effects. Default is a new
        figure.

    Returns
    -------
    Figure
        The values are printed for up to 12 effects. Effects whose variance is estimated
        as zero have no correlations and stay blank.

    Raises
    ------
    DataError
        If no term has two or more effects.
    ValueError
        If there is no such factor.
    """
    results = as_fit(results)
    require_random_effects(results.model, "a plot of random effects")
    blocks = [
        (i, factor, block, names)
        for i, factor, _ in chosen_effects(results, group, None)
        for block, names, _ in factor.blocks
        if len(names) > 1
    ]
    if not blocks:
        raise DataError(
            "no term has two or more random effects, so there are no correlations"
        )
    longest = max(len(short(name, 18)) for *_, names in blocks for name in names)
    cells = max(1.6, 0.45 * min(max(len(names) for *_, names in blocks), 12))
    side = cells + 0.5 + 0.07 * longest
    columns = min(len(blocks), 3)
    figure, axes = panels(len(blocks), ax, columns, size=(side + 1.0, side))
    for panel, (i, factor, block, names) in zip(axes, blocks):
        covariance = results._covariances()[i][block, block]
        zero = [has_no_variance(results, i, j) for j in range(block.start, block.stop)]
        image = _heat_map(panel, correlation(covariance, zero), names)
        finish(panel, title=short(factor.name))
        panel.spines[:].set_visible(False)
        figure.colorbar(image, ax=panel, label="Correlation", shrink=0.8)
    return figure


def _heat_map(ax, correlation, names):
    """Draw a matrix of correlations; NaN is left blank."""
    image = ax.imshow(correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto")
    k = len(names)
    step = -(-k // 25)
    shown = distinct(names[::step], 18)
    upright = k > 3 or max(map(len, shown)) > 10
    ax.set_xticks(range(0, k, step), shown, rotation=90 if upright else 0)
    ax.set_yticks(range(0, k, step), shown)
    ax.tick_params(length=0, labelsize="small")
    ax.set_facecolor("#f0f0f0")
    if k > 12:
        if np.isnan(np.diag(correlation)).any():
            say(ax, "gray: variance 0")
        return image
    for (a, b), value in np.ndenumerate(correlation):
        if np.isfinite(value):
            color, text = "white" if abs(value) > 0.6 else BLACK, f"{value:.2f}"
        elif a == b:
            color, text = GRAY, "variance 0" if k < 6 else "0"
        else:
            continue
        ax.text(b, a, text, ha="center", va="center", color=color, fontsize="small")
    return image


def effect_modes(results, group=None, effects=None):
    """
    Conditional modes of the effects of factors.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group, effects : str or list of str, optional
        The factors and effects. Default is all.

    Returns
    -------
    list of EffectModes
    """
    shown = []
    for i, factor, columns in chosen_effects(results, group, effects):
        modes, covariances = results._modes[i], results._mode_covariances(i)
        sd = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
        deviations = np.sqrt(np.maximum(np.diag(results._covariances()[i]), 0.0))
        known = factor.grouped.relationship
        spread = np.ones(len(modes)) if known is None else np.sqrt(known.variances)
        prior = spread[:, None] * deviations
        zero = [has_no_variance(results, i, j) for j in columns]
        if len(modes) == 1 and len(columns) > 1:
            names = tuple(factor.effect_names[j] for j in columns)
            values = modes[0, columns], sd[0, columns], prior[0, columns]
            shown.append(EffectModes(factor.name, "", names, *values, all(zero)))
            continue
        levels = tuple(map(str, factor.levels))
        for j, is_zero in zip(columns, zero):
            values = modes[:, j], sd[:, j], prior[:, j]
            name = factor.effect_names[j]
            shown.append(EffectModes(factor.name, name, levels, *values, is_zero))
    return shown


def effect_titles(shown):
    """
    Names of factors and effects.

    Parameters
    ----------
    shown : list of EffectModes
        The effects.

    Returns
    -------
    list of str
    """
    names = (f"{e.group}: {e.effect}" if e.effect else e.group for e in shown)
    return wrapped(names, 36, 2)
