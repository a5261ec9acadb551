"""Plots of likelihood profiles and bootstrap draws, one panel per parameter."""

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.interpolate import CubicHermiteSpline

from statsmodels_lmm.graphics.canvas import (
    BLACK,
    BLUE,
    GRAY,
    ORANGE,
    error_probability,
    finish,
    panels,
    percent,
)
from statsmodels_lmm.graphics.labels import wrapped
from statsmodels_lmm.inference.requirements import as_fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99)
"""Levels of the intervals marked, as in lme4's xyplot."""

NEAR = 0.2
"""Zeta below which a density at the end of a range may be cut off at the top."""

AT_BOUND = 1e-6
"""Relative distance from the end of its range at which a draw counts as there."""


def plot_profile(
    results: Any, which: Any = None, ax: Any = None, **options: Any
) -> "Figure":
    """
    Plot the profile zeta of parameters, as lme4's xyplot of a profile.

    Vertical lines mark the limits of the 50, 80, 90, 95 and 99 % intervals, except
    those that the curve does not reach. Where zeta is a straight line the likelihood
    is Gaussian. A curve that stops at the end of the range of its parameter, such as
    0, ends in an open circle.

    Parameters
    ----------
    results : CrossedMixedLMResults or ProfileLikelihood
        A fit, which is then profiled, or a profile.
    which : {"fixed", "random"}, str or list of str, optional
        The fixed effects, the variance parameters, or names of parameters. Default
        is all.
    ax : Axes or sequence of Axes, optional
        Axes to draw on, one per parameter.
    **options
        Options of `profile`, such as ``scale="var"``, if `results` is a fit.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such parameter.
    """
    _, chosen = profiled(results, which, options)
    figure, axes = _panels(len(chosen), ax, sharey=ax is None)
    labels = wrapped(parameter.label for parameter in chosen)
    for panel, parameter, label in zip(axes, chosen, labels):
        values, zeta, ends = fine_curve(parameter)
        panel.axhline(0.0, color=GRAY, linewidth=0.8)
        panel.plot(values, zeta, color=BLUE)
        for level in LEVELS:
            for height in stats.norm.ppf([0.5 - level / 2.0, 0.5 + level / 2.0]):
                x = _crossing(values, zeta, height)
                style = "-" if level == 0.95 else ":"
                if np.isfinite(x):
                    panel.vlines(x, min(height, 0.0), max(height, 0.0), BLUE, style)
        panel.plot(values[ends], zeta[ends], "o", color=BLUE, markerfacecolor="white")
        if parameter.curve is None:
            _say(panel, "the likelihood\ndoes not depend\non this parameter")
        finish(panel, xlabel=label)
    for panel in axes:
        if ax is not None or panel.get_subplotspec().is_first_col():
            panel.set_ylabel("zeta")
        if ax is not None or panel.get_subplotspec().is_last_col():
            _mark_levels(panel)
    return figure


def plot_profile_density(
    results: Any, which: Any = None, ax: Any = None, **options: Any
) -> "Figure":
    r"""
    Plot the densities implied by profiles, as lme4's densityplot of a profile.

    For the profile zeta of a parameter :math:`\psi` the density is
    :math:`d \Phi(\zeta) / d \psi`. If the curve stops at the end of the range of the
    parameter, the rest of the probability is a point mass there, drawn as a line of
    arbitrary height. The dashed line marks the estimate.

    Parameters
    ----------
    results : CrossedMixedLMResults or ProfileLikelihood
        A fit, which is then profiled, or a profile. The curves extend as far as the
        profile.
    which : {"fixed", "random"}, str or list of str, optional
        The fixed effects, the variance parameters, or names of parameters. Default
        is all.
    ax : Axes or sequence of Axes, optional
        Axes to draw on, one per parameter.
    **options
        Options of `profile`, such as ``scale="var"``, if `results` is a fit.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such parameter.
    """
    _, chosen = profiled(results, which, options)
    figure, axes = _panels(len(chosen), ax)
    labels = wrapped(parameter.label for parameter in chosen)
    for panel, parameter, label in zip(axes, chosen, labels):
        finish(panel, xlabel=label)
        if ax is not None or panel.get_subplotspec().is_first_col():
            panel.set_ylabel("density")
        values, zeta, ends = fine_curve(parameter)
        if parameter.curve is None:
            _say(panel, "the likelihood\ndoes not depend\non this parameter")
            continue
        middle = 0.5 * (values[1:] + values[:-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            density = np.diff(stats.norm.cdf(zeta)) / np.diff(values)
        density = np.maximum(np.nan_to_num(density, posinf=0.0), 0.0)
        drawn = [values[0], *middle, values[-1]], np.pad(density, 1, mode="edge")
        panel.plot(*drawn, color=BLUE)
        panel.fill_between(*drawn, color=BLUE, alpha=0.15, linewidth=0.0)
        estimate, height = np.argmin(np.abs(zeta)), np.abs(zeta[1:])
        panel.axvline(values[estimate], color=GRAY, linestyle="--", linewidth=1.0)
        top = density.max()
        if ends[estimate]:
            # like that of a variance at 0, it may have no limit there
            top = density[height > min(NEAR, 0.5 * height.max())].max()
        for end in np.flatnonzero(ends):
            _spike(panel, values[end], top, stats.norm.cdf(-abs(zeta[end])))
        panel.set_ylim(0.0, 1.2 * top)
    return figure


def plot_bootstrap(
    bootstrap: Any,
    which: Any = None,
    method: str = "percentile",
    level: float = 0.95,
    ax: Any = None,
) -> "Figure":
    """
    Plot histograms of the replicates of a bootstrap.

    Replicates at the end of the range of a parameter, such as standard deviations of
    0 and correlations of 1, are counted separately, as a spike whose height is their
    share. The line is the estimate, the band its interval.

    Parameters
    ----------
    bootstrap : BootstrapResults
        The replicates.
    which : {"fixed", "random"}, str or list of str, optional
        The fixed effects, the variance parameters, or names of columns of
        ``bootstrap.all_draws``. Default is all fixed effects, variance parameters and
        statistics.
    method : {"wald", "basic", "normal", "studentized", "percentile"}, optional
        Kind of interval; see `BootstrapResults.conf_int`.
    level : float, optional
        Level of the interval.
    ax : Axes or sequence of Axes, optional
        Axes to draw on, one per parameter.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no such parameter or method.
    """
    table = bootstrap.summary(method, error_probability(level), every=True)
    draws_of, ranges = bootstrap.all_draws, dict(enumerate(bootstrap.ranges))
    lost = draws_of.isna().all()
    kinds = [
        "other" if gone and kind == "fixed" else kind  # dropped as redundant
        for gone, kind in zip(lost, bootstrap.kinds)
    ]
    chosen = _chosen(list(table.index), kinds, which)
    figure, axes = _panels(len(chosen), ax)
    labels = wrapped(table.index[chosen])
    for panel, i, label in zip(axes, chosen, labels):
        draws = draws_of.iloc[:, i].dropna().to_numpy()
        row = table.iloc[i]
        if len(draws):
            _histogram(panel, draws, ranges.get(i, (-np.inf, np.inf)))
        else:
            _say(panel, "not defined in any replicate")
        if np.isfinite(row[["lower", "upper"]]).all():
            band = {"color": GRAY, "alpha": 0.25, "linewidth": 0.0, "zorder": 0}
            panel.axvspan(row["lower"], row["upper"], **band)
        if np.isfinite(row["estimate"]):
            panel.axvline(row["estimate"], color=BLACK, linewidth=1.2)
        finish(panel, xlabel=label)
        if ax is not None or panel.get_subplotspec().is_first_col():
            panel.set_ylabel("share of replicates")
    caption = _caption(bootstrap, method, level)
    if ax is None:
        figure.supxlabel(caption, fontsize="small", color=GRAY)
    else:
        axes[0].set_title(caption, fontsize="small", color=GRAY)
    return figure


def _caption(bootstrap, method, level):
    """The numbers of replicates and of those lost, and what the marks mean."""
    count = len(bootstrap.draws)
    replicates = f"{count:,} replicates, {bootstrap.kind} bootstrap"
    counts = {"failed": bootstrap.n_failed, "separated": bootstrap.n_separated}
    lost = "".join(f", {n:,} {what}" for what, n in counts.items() if n)
    marks = f"line: estimate, band: {percent(level)} {method} interval"
    return f"{replicates}{lost}\n{marks}"


# parameters ------------------------------------------------------------------


def profiled(results, which, options):
    """
    A profile, computed if a fit is given, and those of its parameters that are shown.

    Parameters
    ----------
    results : CrossedMixedLMResults or ProfileLikelihood
        A fit or a profile.
    which : {"fixed", "random"}, str, list of str or None
        The parameters.
    options : dict
        Options of `profile` for a fit.

    Returns
    -------
    profile : ProfileLikelihood
        The profile.
    chosen : list of ProfiledValue
        The parameters.
    """
    if not hasattr(results, "curves"):
        profile = as_fit(results).profile(which, **options)
        return profile, list(profile.parameters)
    if options:
        raise TypeError(f"{', '.join(sorted(options))}: results is already a profile")
    kinds = ["fixed" if p.kind == "fixed" else "random" for p in results.parameters]
    chosen = _chosen([p.label for p in results.parameters], kinds, which)
    return results, [results.parameters[i] for i in chosen]


def _chosen(labels, kinds, which):
    """Positions of the parameters asked for."""
    if which is None or (isinstance(which, str) and which in ("fixed", "random")):
        wanted = ("fixed", "random", "statistic") if which is None else (which,)
        chosen = [i for i, kind in enumerate(kinds) if kind in wanted]
        if not chosen:
            raise ValueError(f"there are no parameters to plot for which={which!r}")
        return chosen
    names = [which] if isinstance(which, str) else list(which)
    unknown = [name for name in names if name not in labels]
    if unknown or not names:
        raise ValueError(
            f"there is no parameter {', '.join(map(repr, unknown))}; choose from "
            f"{labels}, or 'fixed' or 'random'"
        )
    return [labels.index(name) for name in names]


# curves ----------------------------------------------------------------------


def fine_curve(parameter, parts=30):
    """
    Interpolate the curve of a parameter from values and slopes at computed points.

    Parameters
    ----------
    parameter : ProfiledValue
        The parameter.
    parts : int, optional
        Number of steps between two computed points.

    Returns
    -------
    values, zeta : ndarray
        Ascending values of the parameter, and zeta at each.
    ends : ndarray
        Which of them are ends of the range of the parameter.
    """
    curve = parameter.curve
    if curve is None:
        return np.array([-1.0, 1.0]), np.zeros(2), np.zeros(2, dtype=bool)
    held = np.array([point.at for point in curve.points])
    origin = len(curve.below)
    zeta = np.sign(held - held[origin]) * [point.height for point in curve.points]
    limits = curve.constraint.lower, curve.constraint.upper
    fine = held
    if len(held) > 1:
        slopes = _slopes(curve, held, zeta, np.isin(held, limits))
        steps = np.linspace(0.0, 1.0, parts, endpoint=False)
        fine = np.append(
            np.ravel(held[:-1, None] + np.diff(held)[:, None] * steps), held[-1]
        )
        zeta = CubicHermiteSpline(held, zeta, slopes)(fine)
    values = np.array([parameter.to_user(x) for x in fine])
    ends = np.isin(fine, limits)
    if parameter.kind == "cor":
        return values[::-1], -zeta[::-1], ends[::-1]
    return values, zeta, ends


def _slopes(curve, held, zeta, at_limit):
    """
    Slopes of zeta, d' / (2 zeta) with d the criterion.

    At the origin this is 0 / 0, and at the end of a range d' is not the slope of the
    curve, because correlations with a standard deviation of 0 are undefined there. In
    these places the slopes make the second derivative continuous or, next to a single
    interval, constant.
    """
    slopes = np.array([point.optimum.slope for point in curve.points])
    slopes = np.divide(slopes, 2.0 * zeta, np.zeros(len(held)), where=zeta != 0.0)
    known = ~at_limit
    known[len(curve.below)] = False
    for i in dict.fromkeys([len(curve.below), 0, len(held) - 1]):
        if known[i]:
            continue
        near = [j for j in (i - 1, i + 1) if 0 <= j < len(held)]
        near = [j for j in near if known[j]] or near
        width = np.abs(held[near] - held[i])
        secants = (zeta[near] - zeta[i]) / (held[near] - held[i])
        if not known[near].any():
            slopes[i] = secants.mean()
        elif len(near) == 1:
            slopes[i] = 2.0 * secants[0] - slopes[near[0]]
        else:
            bend = (3.0 * secants - slopes[near]) / width
            slopes[i] = bend.sum() / (2.0 / width).sum()
        known[i] = True
    return slopes


def _crossing(values, zeta, height):
    """Point at which a curve, from the estimate on, first reaches a height, or NaN."""
    side = np.sign(height)
    start = np.argmin(np.abs(zeta))
    outward = slice(start, None) if side > 0 else slice(start, None, -1)
    reached = np.maximum.accumulate(side * zeta[outward])
    return np.interp(abs(height), reached, values[outward], right=np.nan)


# panels and marks ------------------------------------------------------------


def _panels(count, ax, **kwargs):
    """Panels, up to three per row."""
    return panels(count, ax, count if count <= 3 else None, **kwargs)


def _mark_levels(panel):
    """Label the levels of intervals on the right, at their heights."""
    right = panel.secondary_yaxis("right")
    heights = stats.norm.isf(0.5 - np.array(LEVELS) / 2.0)
    right.set_yticks([*-heights, *heights], [f"{x:.0%}" for x in LEVELS] * 2)
    right.tick_params(labelsize="x-small", length=2.0)
    right.spines["right"].set_visible(False)


def _spike(panel, value, height, share):
    """Draw the share of the probability at one point."""
    panel.vlines(value, 0.0, height, ORANGE, linewidth=2.5, zorder=3)
    panel.plot([value], [height], "D", color=ORANGE, markersize=5.0, zorder=3)
    left, right = panel.get_xlim()
    side = "left" if value < 0.5 * (left + right) else "right"
    panel.annotate(
        f"{share:.1%}" if share < 0.1 else f"{share:.0%}",
        (value, height),
        (6 if side == "left" else -6, 2),
        textcoords="offset points",
        ha=side,
        va="bottom",
        fontsize="small",
        bbox={"facecolor": "white", "alpha": 0.8, "linewidth": 0.0, "pad": 0.5},
    )


def _histogram(panel, draws, limits):
    """Draw the shares of draws in bins, and of those at the ends of the range."""
    size = max(1.0, np.abs(draws).max()) if np.isfinite(limits[1]) else np.ptp(draws)
    ends = [np.abs(draws - limit) <= AT_BOUND * size for limit in limits]
    inside = draws[~np.logical_or(*ends)]
    if len(inside):
        weights = np.full(len(inside), 1.0 / len(draws))
        edges = np.histogram_bin_edges(inside, "fd")
        count = int(np.clip(len(edges) - 1, 5, 40))
        panel.hist(inside, count, weights=weights, color=BLUE, alpha=0.6)
    for limit, there in zip(limits, ends):
        if there.any():
            _spike(panel, limit, there.mean(), there.mean())


def _say(panel, text):
    """Say in an empty panel why it is empty."""
    panel.text(0.5, 0.6, text, transform=panel.transAxes, ha="center", color=GRAY)
