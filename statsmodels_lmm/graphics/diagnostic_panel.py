"""The four pictures of a fit that one looks at first."""

from typing import TYPE_CHECKING, Any

from statsmodels_lmm.graphics.binned_residuals import plot_binned_residuals
from statsmodels_lmm.graphics.canvas import COLORS, MARKERS, entry, finish, panels
from statsmodels_lmm.graphics.diagnostics import (
    plot_residuals,
    plot_residuals_qq,
    plot_scale_location,
    plot_simulated_residuals,
)
from statsmodels_lmm.graphics.levels import say
from statsmodels_lmm.graphics.random_effects import (
    draw_quantiles,
    effect_modes,
    effect_titles,
)
from statsmodels_lmm.inference.requirements import as_fit, require_data

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_diagnostics(
    results: Any, nsim: int = 250, rng: Any = None, ax: Any = None
) -> "Figure":
    """
    Plot the four pictures of a fit that one looks at first.

    For a linear model they are the residuals against the fitted values, their normal
    Q-Q plot, the square roots of their sizes, and the normal Q-Q plot of the random
    effects. For a generalized model they are the residuals, in bins if the response
    consists of zeros and ones, the Q-Q plot of the random effects, and both plots of
    the simulated residuals.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    nsim : int, optional
        Number of simulated responses of a generalized model.
    rng : None, int or numpy.random.Generator, optional
        Source of their randomness.
    ax : sequence of Axes, optional
        Four axes to draw on.

    Returns
    -------
    Figure
        The Q-Q plot of the random effects has a color for each effect, of the first six
        if there are more; see `plot_random_effects_qq`, which has a panel for each.

    Raises
    ------
    DataError
        If the data of the model have been removed.
    ValueError
        If `ax` does not have four axes.

    See Also
    --------
    plot_residuals, plot_binned_residuals, plot_residuals_qq, plot_scale_location,
    plot_simulated_residuals, plot_random_effects_qq
    """
    results = as_fit(results)
    require_data(results.model, "a plot of residuals")
    figure, axes = panels(4, ax, 2, (4.4, 3.6))
    if results._is_gaussian:
        plot_residuals(results, ax=axes[0])
        plot_residuals_qq(results, ax=axes[1])
        plot_scale_location(results, ax=axes[2])
        _random_effects(results, axes[3])
        return figure
    is_binary = getattr(results.model, "is_binary", False)
    residuals = plot_binned_residuals if is_binary else plot_residuals
    residuals(results, ax=axes[0])
    _random_effects(results, axes[1])
    plot_simulated_residuals(results, nsim, rng, axes[2:])
    return figure


def _random_effects(results, ax):
    """Draw the Q-Q plots of the random effects on top of each other."""
    every = effect_modes(results)
    shown = every[: len(COLORS)]
    lost = []
    for each, title, color, marker in zip(shown, effect_titles(shown), COLORS, MARKERS):
        drawn = draw_quantiles(ax, each, color, marker)
        if drawn:
            ax.lines[-1].set_label(entry(title))
        else:
            lost.append(title)
    if lost:
        say(ax, "\n".join(f"{title}: variance 0" for title in lost))
    if len(lost) < len(shown):
        ax.legend(frameon=False, fontsize="small", loc="lower right")
    else:
        ax.set(xlim=(-2.0, 2.0), ylim=(-2.0, 2.0))
    left = f", first {len(shown)} of {len(every)} effects"
    which = left if len(every) > len(shown) else ""
    finish(ax, f"normal quantile{which}", "mode / its SD")
