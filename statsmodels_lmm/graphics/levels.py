"""Choice of factors and effects, and rows of levels, for plots of random effects."""

import numpy as np

from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.graphics.canvas import BLACK
from statsmodels_lmm.graphics.labels import distinct, short

LABELED = 50
"""Number of levels up to which a new figure has room for their names."""

LINE_HEIGHT = 0.13
"""Height in inches of the name of a level."""

NO_VARIANCE = 1e-6
"""Standard deviation, relative to that of the residuals, that counts as zero."""


def chosen_factors(results, group=None):
    """
    Choose the grouping factors of a plot.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or list of str, optional
        Names of the factors. Default is all.

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


def chosen_effects(results, group, effects):
    """(position, RandomEffects, positions of effects) for each factor of a plot."""
    factors = chosen_factors(results, group)
    if effects is None:
        return [(i, f, list(range(len(f.effect_names)))) for i, f in factors]
    known = dict.fromkeys(name for _, f in factors for name in f.effect_names)
    wanted = [unquoted(name, known) for name in _as_list(effects)]
    for name in wanted:
        if name not in known:
            raise ValueError(f"no effect {name!r}; there are {', '.join(known)}")
    chosen = [
        (i, f, [j for w in wanted for j, n in enumerate(f.effect_names) if n == w])
        for i, f in factors
    ]
    return [(i, f, columns) for i, f, columns in chosen if columns]


def _as_list(names):
    names = [names] if isinstance(names, str) else list(names)
    if not names:
        raise ValueError("the list of names is empty: nothing to plot")
    return names


def has_no_variance(results, i, j):
    """Whether the variance of an effect is estimated as zero."""
    effects, size = results.model.random[i], 1.0
    if effects.has_groups and effects.grouped.n_rows:
        size = np.sqrt((effects.grouped.effects[:, j] ** 2).mean())
    deviation = np.sqrt(max(results._covariances()[i][j, j], 0.0))
    return bool(deviation * size <= NO_VARIANCE * np.sqrt(results._unit))


def correlation(covariance, zero=()):
    """Correlations; NaN for effects without variance."""
    sd = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    sd[np.flatnonzero(zero)] = np.nan
    sd[sd == 0.0] = np.nan
    return np.clip(covariance / np.outer(sd, sd), -1.0, 1.0)


def name_rows(ax, names, group):
    """Name the rows of axes after levels, if there is room."""
    box = ax.get_window_extent()
    room = box.height / ax.get_figure().dpi / LINE_HEIGHT
    if len(names) <= room:
        ax.set_yticks(range(len(names)), distinct(names, 18), fontsize="small")
        ax.set_ylabel(short(group, 30))
    else:
        ax.set_yticks([])
        ax.set_ylabel(f"{short(group, 30)} ({len(names):,} levels)")


def say(ax, text):
    """Write a note in a corner of axes."""
    ax.text(
        0.03, 0.97, text, transform=ax.transAxes, va="top", style="italic", color=BLACK
    )


def panel_height(counts):
    """Height in inches of a panel with rows of levels, named if there are few."""
    named = max((n for n in counts if n <= LABELED), default=0)
    return max(
        3.8 if len(counts) and max(counts) > LABELED else 2.8, 1.3 + 0.17 * named
    )
