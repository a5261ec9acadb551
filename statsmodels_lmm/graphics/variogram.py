"""Plot of the semivariogram of residuals within residual groups."""

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import BLUE, GRAY, canvas, finish
from statsmodels_lmm.graphics.diagnostics import row_residuals
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.inference.requirements import as_fit

BINS = 15
"""Number of distances at which pairs are averaged."""


def plot_variogram(results, kind="pearson", max_distance=None, bins=BINS, ax=None):
    r"""
    Plot the semivariogram of the residuals within residual groups, as nlme's Variogram.

    .. math:: \hat\gamma(d) = \tfrac12 \operatorname{mean}\,(e_i - e_j)^2

    over pairs of rows of a group at a distance of about d. For Pearson residuals the
    curve is that of the model, :math:`1 - \rho(d)`. Normalized residuals of a model
    that holds show a level line at 1. With random effects points stay below either,
    because residuals are differences from modes that are estimated themselves.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit of a model with ``residual=`` in time or space.
    kind : {"pearson", "normalized", "studentized", "response"}, optional
        Kind of residuals.
    max_distance : float, optional
        Largest distance. Default is half the longest one.
    bins : int, optional
        Number of classes of distances with about as many pairs each.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the errors have no places.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS.
    Springer, section 5.3.
    """
    results = as_fit(results)
    errors = results.model.residual
    if errors is None or errors.term is None or not errors.term.when or errors.visits:
        raise DataError(
            "a variogram needs the times or places of errors, as of "
            "residual='exp(time | group)'"
        )
    residuals, label = row_residuals(results, kind)
    distances, halves = pairs_of(residuals, errors.codes, errors.where)
    reach = 0.5 * distances.max() if max_distance is None else float(max_distance)
    near = distances <= reach
    if not near.any():
        raise DataError(f"no two rows of a group are at most {reach:g} apart")
    means, heights = binned(distances[near], halves[near], bins)
    figure, ax = canvas(ax)
    ax.plot(means, heights, "o", color=BLUE, markersize=4.5)
    if kind == "pearson":
        d = np.linspace(0.0, means.max(), 201)[1:]
        ax.plot(d, 1.0 - _model(results, errors, d), color=GRAY)
    elif kind == "normalized":
        ax.axhline(1.0, color=GRAY, linewidth=0.8)
    ax.set_ylim(0.0, 1.1 * max(1.0, heights.max()))
    ax.set_xlim(0.0, None)
    name = " and ".join(short(str(x)) for x in errors.term.when)
    within = short(errors.group)
    finish(ax, f"distance in {name}", f"semivariogram within {within}\n{label}")
    return figure


def pairs_of(residuals, codes, where):
    """
    Distances and half squared differences of all pairs of rows of a group.

    Parameters
    ----------
    residuals : ndarray
        Shape (n,).
    codes : ndarray
        Group of each row.
    where : ndarray
        Places, shape (n,) or (n, d).

    Returns
    -------
    distances, halves : ndarray
        One entry for each pair.
    """
    places = np.asarray(where, dtype=float).reshape(len(codes), -1)
    distances, halves = [np.zeros(0)], [np.zeros(0)]
    for rows in np.split(
        np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1]
    ):
        one, two = np.triu_indices(len(rows), 1)
        apart = places[rows[one]] - places[rows[two]]
        distances.append(np.sqrt((apart**2).sum(axis=1)))
        halves.append(0.5 * (residuals[rows[one]] - residuals[rows[two]]) ** 2)
    distance, half = np.concatenate(distances), np.concatenate(halves)
    known = np.isfinite(half)
    return distance[known], half[known]


def binned(distances, halves, bins):
    """Mean distances and heights of classes with about as many pairs each."""
    values, each = np.unique(distances, return_inverse=True)
    if len(values) > bins:
        ends = np.quantile(distances, np.linspace(0.0, 1.0, bins + 1)[1:-1])
        each = np.searchsorted(ends, distances)
    counts = np.bincount(each)
    used = counts > 0
    sums = [np.bincount(each, weights=w)[used] for w in (distances, halves)]
    return sums[0] / counts[used], sums[1] / counts[used]


def _model(results, errors, distances):
    """The correlation of the model at given distances in one direction."""
    phi = results.at_optimum.whitening.model.split(results.residual_params)[0][0]
    places = np.column_stack([np.zeros(len(distances)), distances])
    if errors.structure.name in ("ar1", "arma"):
        places = np.rint(places)
    if errors.where.ndim == 2:
        places = np.stack([places, np.zeros_like(places)], axis=-1)
        extra = errors.where.shape[1] - 2
        zeros = np.zeros((*places.shape[:-1], extra))
        places = np.concatenate([places, zeros], axis=-1)
    return errors.structure.correlation(phi, places)[:, 0, 1]
