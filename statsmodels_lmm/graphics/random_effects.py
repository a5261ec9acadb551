"""Pictures of the random effects: modes, shrinkage, normality, correlations."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import stats

from statsmodels_lmm.core.grouped_effects import level_sums
from statsmodels_lmm.core.raw_effects import RawEffects
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import BLACK, BLUE, GRAY, ORANGE, finish, panels
from statsmodels_lmm.validation import require_data

LABELED = 50
"""Levels up to which a new figure has room for their names."""

LINE_HEIGHT = 0.13
"""Inches that the name of a level needs."""

NO_VARIANCE = 1e-6
"""Deviation of an effect, over that of the residuals, that counts as zero."""

DEPENDENT = 1e-10
"""Share of columns that must be left for them to be independent."""


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
        Standard deviations without data, shape (l,).
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
    results, group=None, effects=None, level=0.95, sort=True, ax=None
):
    r"""
    Conditional modes of the random effects with intervals, a caterpillar plot.

    A panel for each effect of each factor shows :math:`\hat b \pm z \,
    \mathrm{sd}(b \mid y)`, fixed effects and variances taken as known, as lme4's
    ``dotplot(ranef(m))``. Intervals that exclude 0 have filled marks, the others
    open ones.

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
        Whether levels are sorted by the mode of the first effect that is shown, the
        largest on top; all panels of a factor have the same order, so that a level
        is a row. Otherwise the first level is on top.
    ax : Axes or list of Axes, optional
        Axes to draw on, one for each panel; by default those of a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such factor or effect, or `level` is not between 0 and 1.

    Notes
    -----
    A term that has one level and several effects, such as a matrix with a structure,
    has one panel with a row for each effect.
    """
    results = getattr(results, "_results", results)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, not {level!r}")
    found = _effect_modes(results, group, effects)
    columns = min(len(found), 4)
    width = 4.4 if columns == 1 else 3.2
    height = _height([len(each.levels) for each in found])
    figure, axes = panels(len(found), ax, columns, size=(width, height))
    quantile = stats.norm.ppf(0.5 + level / 2.0)
    for at, (panel, each) in enumerate(zip(axes, found)):
        is_first = not at or each.group != found[at - 1].group
        if is_first:
            order = np.argsort(each.modes, kind="stable")
            if not sort:
                order = np.arange(len(each.modes))[::-1]
        _caterpillar(panel, each, order, quantile)
        _name_rows(panel, [each.levels[i] for i in order], each.group)
        if not is_first and (ax is not None or at % columns):
            panel.set_yticklabels([])
            panel.set_ylabel("")
        finish(panel, f"Mode, {100 * level:g} % interval", None, _title(each))
    legend(figure, axes, ax is None)
    return figure


def _caterpillar(ax, each, order, quantile):
    """Modes and intervals of one effect, from below in an order."""
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
    if each.is_zero:
        ax.set_xlim(-1.0, 1.0)
        ax.set_xticks([0.0])
        _say(ax, "variance 0")
    ax.set_ylim(-0.02 * len(rows) - 0.6, 1.02 * len(rows) - 0.4)


def plot_shrinkage(results, group=None, effects=None, ax=None):
    r"""
    How the model pulls the estimates of the groups towards the population.

    Every group has two marks, joined by a line: open, what its own rows say alone;
    filled, what the model says, fixed effect plus conditional mode. A panel shows two
    effects of a factor, with ellipses that hold 50 % and 95 % of the groups under the
    estimated covariance; if it is singular they are a line, and all filled marks lie
    on it. A factor with one effect has a row for each group and bands.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all whose random effects have groups.
    effects : str or list of str, optional
        Names of the effects to show. Default is all. There is a panel for each pair of
        up to four effects; of more, the first with each of the others.
    ax : Axes or list of Axes, optional
        Axes to draw on, one for each panel; by default those of a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data were removed, or no group determines its own coefficients.
    ValueError
        If there is no such factor or effect.

    Notes
    -----
    The population's coefficients :math:`\gamma` of the effect columns Z of a factor
    are those of the part of :math:`X \hat\beta` whose columns lie in the span of Z:
    :math:`X_1 \hat\beta_1 = Z \gamma`; they are 0 for effects without a fixed one. A
    group alone is the weighted least squares fit of :math:`y - o - X_2 \hat\beta_2 -
    \sum_{\text{others}} Z_i \hat b_i` on Z in its own rows, with all effects of the
    factor. Groups whose rows do not determine these are left out and counted in the
    title. With a relationship among the levels the ellipses are for one of variance 1.
    """
    results = getattr(results, "_results", results)
    chosen = _chosen(results, group, effects)
    if group is None:
        chosen = [c for c in chosen if not isinstance(c[1].grouped, RawEffects)] or (
            chosen
        )
    found = []
    for i, factor, columns in chosen:
        estimates = group_estimates(results, i)
        first = combinations(columns, 2) if len(columns) <= 4 else None
        pairs = first or ((columns[0], c) for c in columns[1:])
        for pair in [columns] if len(columns) == 1 else pairs:
            found.append((i, factor, list(pair), estimates))
    columns = min(len(found), 3)
    width = 4.8 if columns == 1 else 3.8
    height = max(3.8, _height([f.n_levels for _, f, pair, _ in found if len(pair) < 2]))
    figure, axes = panels(len(found), ax, columns, size=(width, height))
    for panel, (i, factor, pair, (population, alone, model)) in zip(axes, found):
        covariance = results._covariances()[i][np.ix_(pair, pair)]
        shown = np.isfinite(alone).all(axis=1)
        parts = population[pair], alone[shown][:, pair], model[shown][:, pair]
        names = [factor.effect_names[j] for j in pair]
        zero = [_is_zero(results, i, j) for j in pair]
        draw = _shrunken_rows if len(pair) == 1 else _shrunken_pairs
        draw(panel, *parts, covariance, factor, names, shown)
        title = [cut(factor.name, 40)]
        if any(zero):
            title.append("variance 0: " + ", ".join(map(cut, np.array(names)[zero])))
        elif len(pair) == 2 and abs(_correlation(covariance)[0, 1]) > 1.0 - 1e-6:
            title.append(f"singular: correlation {_correlation(covariance)[0, 1]:.0f}")
        if not shown.all():
            title.append(f"left out: {(~shown).sum():,} of {len(shown):,} levels")
        finish(panel, title="\n".join(title))
    legend(figure, axes, ax is None)
    return figure


def group_estimates(results, i):
    """
    Coefficients of the effects of a factor in the population and in its groups.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    i : int
        Position of the factor.

    Returns
    -------
    population : ndarray
        Fixed part, shape (k,), see `plot_shrinkage`.
    alone : ndarray
        Least squares in the rows of each level, shape (l, k); NaN where they do not
        determine it.
    model : ndarray
        Fixed part plus conditional modes, shape (l, k).

    Raises
    ------
    DataError
        If the data were removed, or no level determines its own coefficients.
    """
    model, factor = results.model, results.model.random[i]
    require_data(model, "a picture of shrinkage")
    grouped = factor.grouped
    if isinstance(grouped, RawEffects):
        raise DataError(
            f"the random effects {factor.name} have a model matrix of their own; "
            "there are no groups to estimate them in"
        )
    none = DataError(f"no level of {factor.name} determines its own coefficients")
    lengths = np.linalg.norm(grouped.effects, axis=0)
    if not lengths.all():
        raise none
    # orthonormal columns: a covariate far from 0 costs no digits
    unit, root = np.linalg.qr(grouped.effects / lengths)
    if (np.abs(np.diag(root)) <= DEPENDENT).any():
        raise none
    x, beta = model.exog, np.nan_to_num(np.asarray(results.params))
    inside = unit.T @ x
    left = np.linalg.norm(x - unit @ inside, axis=0)
    beside = left > 1e-8 * np.linalg.norm(x, axis=0)
    rest = model.endog - x[:, beside] @ beta[beside]
    if model.offset is not None:
        rest = rest - model.offset
    for j, other in enumerate(model.random):
        if j != i:
            rest = rest - other.grouped.times(results._modes[j])
    weights = 1.0 if model.weights is None else model.weights[:, None]
    sums = (grouped.codes, grouped.n_levels, weights * unit)
    gram, right = level_sums(*sums, unit), level_sums(*sums, rest[:, None])
    values = np.linalg.eigvalsh(gram)
    determined = values[:, 0] > DEPENDENT * values[:, -1]
    if not determined.any():
        raise none
    back = np.linalg.inv(root) / lengths[:, None]
    population = back @ (inside[:, ~beside] @ beta[~beside])
    alone = np.full((grouped.n_levels, grouped.k_effects), np.nan)
    found = np.linalg.solve(gram[determined], right[determined])[..., 0]
    alone[determined] = found @ back.T
    return population, alone, population + results._modes[i]


def _shrunken_pairs(ax, population, alone, model, covariance, factor, names, shown):
    """Two effects of each group, alone and in the model."""
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
    finish(ax, *map(cut, names))


def _shrunken_rows(ax, population, alone, model, covariance, factor, names, shown):
    """One effect of each group, alone and in the model, sorted by the latter."""
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
    _name_rows(ax, [str(level) for level in factor.levels[shown][order]], factor.name)
    finish(ax, cut(names[0]))


def _marks(ax, alone, model):
    """Two marks for each group, and a line between them."""
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


def plot_random_effects_qq(results, group=None, ax=None):
    r"""
    Normal Q-Q plot of the conditional modes, a panel for each effect.

    Modes are divided by their standard deviations over samples, which are
    :math:`\sqrt{\tau^2 - \mathrm{Var}(b \mid y)}` for fixed effects and variances
    that are known: so all are standard normal and belong on the line, however many
    rows a level has.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all.
    ax : Axes or list of Axes, optional
        Axes to draw on, one for each panel; by default those of a new figure.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such factor.

    Notes
    -----
    Across are normal quantiles of the medians of uniform order statistics, and the
    band holds each ordered value with probability 95 %: the i-th of m uniform values
    is Beta(i, m + 1 - i). Both take the modes as independent, which they are only
    about. Levels that the data say nothing about are left out.
    """
    results = getattr(results, "_results", results)
    found = _effect_modes(results, group, None)
    figure, axes = panels(len(found), ax, min(len(found), 4), size=(3.2, 3.2))
    for panel, each in zip(axes, found):
        explained = each.prior**2 - each.sd**2
        inside = explained > DEPENDENT * each.prior**2
        if each.is_zero or not inside.any():
            _say(panel, "variance 0")
            panel.set_xlim(-2.0, 2.0)
            panel.set_ylim(-2.0, 2.0)
            inside[:] = False
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
            "o",
            color=BLUE,
            markersize=2.0 if len(values) > 200 else 4.5,
            alpha=0.5 if len(values) > 200 else 1.0,
        )
        finish(panel, "Normal quantile, 95 % band", "Mode / its SD", _title(each))
    return figure


def plot_random_effects_correlation(results, group=None, ax=None):
    """
    Heat map of the correlations of the random effects of a level.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Grouping factors. Default is all.
    ax : Axes or list of Axes, optional
        Axes to draw on, one for each term with two effects or more; by default those
        of a new figure.

    Returns
    -------
    Figure
        Up to 12 effects have numbers. Effects whose variance is estimated as zero have
        no correlations and stay empty.

    Raises
    ------
    DataError
        If no term has two effects or more.
    ValueError
        If there is no such factor.
    """
    results = getattr(results, "_results", results)
    found = [
        (i, factor, block, names)
        for i, factor, _ in _chosen(results, group, None)
        for block, names, _ in factor.blocks
        if len(names) > 1
    ]
    if not found:
        raise DataError(
            "no term has two random effects or more, so there are no correlations"
        )
    longest = max(len(cut(name)) for *_, names in found for name in names)
    cells = max(1.6, 0.45 * min(max(len(names) for *_, names in found), 12))
    side = cells + 0.5 + 0.07 * longest
    columns = min(len(found), 3)
    figure, axes = panels(len(found), ax, columns, size=(side + 1.0, side))
    for panel, (i, factor, block, names) in zip(axes, found):
        covariance = results._covariances()[i][block, block]
        zero = [_is_zero(results, i, j) for j in range(block.start, block.stop)]
        image = _heat_map(panel, _correlation(covariance, zero), names)
        finish(panel, title=factor.name)
        panel.spines[:].set_visible(False)
        figure.colorbar(image, ax=panel, label="Correlation", shrink=0.8)
    return figure


def _heat_map(ax, correlation, names):
    """One matrix of correlations; NaN is empty."""
    image = ax.imshow(correlation, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto")
    k = len(names)
    step = -(-k // 25)
    shown = [cut(name) for name in names[::step]]
    upright = k > 3 or max(map(len, shown)) > 10
    ax.set_xticks(range(0, k, step), shown, rotation=90 if upright else 0)
    ax.set_yticks(range(0, k, step), shown)
    ax.tick_params(length=0, labelsize="small")
    ax.set_facecolor("#f0f0f0")
    if k > 12:
        if np.isnan(np.diag(correlation)).any():
            _say(ax, "gray: variance 0")
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


# what the pictures share ----------------------------------------------------


def chosen_factors(results, group=None):
    """
    The grouping factors of a picture.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Their names. Default is all.

    Returns
    -------
    list
        Pairs of position and RandomEffects.

    Raises
    ------
    ValueError
        If there is no such factor.
    """
    factors = {e.name: (i, e) for i, e in enumerate(results.model.random)}
    wanted = list(factors) if group is None else _as_list(group)
    for name in wanted:
        if name not in factors:
            raise ValueError(
                f"no grouping factor {name!r}; there are {', '.join(factors)}"
            )
    return [factors[name] for name in wanted]


def _chosen(results, group, effects):
    """(position, RandomEffects, positions of effects) of the factors of a picture."""
    factors = chosen_factors(results, group)
    if effects is None:
        return [(i, f, list(range(len(f.effect_names)))) for i, f in factors]
    known = dict.fromkeys(name for _, f in factors for name in f.effect_names)
    wanted = _as_list(effects)
    for name in wanted:
        if name not in known:
            raise ValueError(f"no effect {name!r}; there are {', '.join(known)}")
    found = [
        (i, f, [j for w in wanted for j, n in enumerate(f.effect_names) if n == w])
        for i, f in factors
    ]
    return [(i, f, columns) for i, f, columns in found if columns]


def _as_list(names):
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("an empty list leaves nothing to draw")
    return names


def _effect_modes(results, group, effects):
    """The effects of a picture, a list of EffectModes."""
    found = []
    for i, factor, columns in _chosen(results, group, effects):
        modes, covariances = results._modes[i], results._mode_covariances(i)
        sd = np.sqrt(np.maximum(np.diagonal(covariances, axis1=1, axis2=2), 0.0))
        own = np.sqrt(np.maximum(np.diag(results._covariances()[i]), 0.0))
        known = factor.grouped.relationship
        spread = np.ones(len(modes)) if known is None else np.sqrt(known.variances)
        prior = spread[:, None] * own
        zero = [_is_zero(results, i, j) for j in columns]
        if len(modes) == 1 and len(columns) > 1:
            names = tuple(factor.effect_names[j] for j in columns)
            values = modes[0, columns], sd[0, columns], prior[0, columns]
            found.append(EffectModes(factor.name, "", names, *values, all(zero)))
            continue
        levels = tuple(map(str, factor.levels))
        for j, is_zero in zip(columns, zero):
            values = modes[:, j], sd[:, j], prior[:, j]
            name = factor.effect_names[j]
            found.append(EffectModes(factor.name, name, levels, *values, is_zero))
    return found


def _is_zero(results, i, j):
    """Whether the variance of an effect is estimated as zero."""
    grouped = results.model.random[i].grouped
    size = 1.0
    if not isinstance(grouped, RawEffects) and grouped.n_rows:
        size = np.sqrt((grouped.effects[:, j] ** 2).mean())
    deviation = np.sqrt(max(results._covariances()[i][j, j], 0.0))
    return bool(deviation * size <= NO_VARIANCE * np.sqrt(results.scale))


def _correlation(covariance, zero=()):
    """Correlations, NaN for effects without variance."""
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    sd[np.flatnonzero(zero)] = np.nan
    sd[sd == 0.0] = np.nan
    return np.clip(covariance / np.outer(sd, sd), -1.0, 1.0)


def _title(each):
    return cut(each.group) + (f": {cut(each.effect, 24)}" if each.effect else "")


def cut(name, length=18):
    """
    A name, its end cut if it is long.

    Parameters
    ----------
    name : hashable
        The name.
    length : int, optional
        Characters that there is room for.

    Returns
    -------
    str
    """
    name = str(name)
    return name if len(name) <= length else name[: length - 1] + "…"


def _name_rows(ax, names, group):
    """Name the rows of axes after levels where there is room."""
    box = ax.get_window_extent()
    room = box.height / ax.get_figure().dpi / LINE_HEIGHT
    if len(names) <= room:
        ax.set_yticks(range(len(names)), [cut(n) for n in names], fontsize="small")
        ax.set_ylabel(cut(group, 30))
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{cut(group, 30)} ({len(names):,} levels)")


def _say(ax, text):
    """A word in a corner of axes."""
    ax.text(
        0.03, 0.97, text, transform=ax.transAxes, va="top", style="italic", color=BLACK
    )


def _height(counts):
    """Inches for a panel with rows for levels, those of few levels named."""
    named = max((n for n in counts if n <= LABELED), default=0)
    return max(
        3.8 if len(counts) and max(counts) > LABELED else 2.8, 1.3 + 0.17 * named
    )


def legend(figure, axes, outside, where="lower", title=None):
    """
    Say what the marks mean.

    Parameters
    ----------
    figure : Figure
        The figure.
    axes : list of Axes
        Its panels; each mark is explained once.
    outside : bool
        Whether outside of all axes, rather than in the first.
    where : {"lower", "upper"}, optional
        At which end of the figure.
    title : str, optional
        What stands above it.
    """
    marks: dict = {}
    for ax in axes:
        marks |= {name: mark for mark, name in zip(*ax.get_legend_handles_labels())}
    if outside:
        columns = min(len(marks), max(int(figure.get_figwidth() / 1.9), 1))
        figure.legend(
            marks.values(),
            marks,
            loc=f"outside {where} center",
            title=title,
            ncols=columns,
            frameon=False,
            fontsize="small",
        )
    else:
        axes[0].legend(marks.values(), marks, fontsize="small", loc="best")
