"""Plot of the autocorrelation of residuals within groups."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.graphics.canvas import (
    BLUE,
    GRAY,
    canvas,
    error_probability,
    finish,
    percent,
)
from statsmodels_lmm.graphics.diagnostics import row_residuals
from statsmodels_lmm.graphics.labels import short
from statsmodels_lmm.graphics.levels import chosen_factors
from statsmodels_lmm.inference.requirements import as_fit
from statsmodels_lmm.inference.row_groups import row_groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REGULAR = 1e-6
"""Distance from a whole number of steps at which times still count as regular."""


def plot_autocorrelation(
    results: Any,
    time: Any = None,
    groups: Any = None,
    max_lag: Any = None,
    level: float = 0.95,
    kind: str = "pearson",
    ax: Any = None,
) -> "Figure":
    r"""
    Plot the autocorrelation of the residuals within groups, as nlme's ACF.

    .. math:: r_k = \frac{\sum e_{gt} e_{g,t+k} / n_k}{\sum e_{gt}^2 / n_0}

    with sums over the :math:`n_k` pairs of rows of the same group that are k steps
    apart. Without serial correlation about 95% of the bars end within the bounds,
    :math:`\pm 1.96 / \sqrt{n_k}`; bars that decline from a high first one call for an
    autoregressive structure.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    time : str or array_like, optional
        Times: a column of the data that the formula uses, or one value per row used. If
        most steps from one time of a group to the next are equal and the others are
        multiples, lags count such steps; otherwise they count rows in order of time.
        Default is the order of the rows.
    groups : str or array_like, optional
        Groups of rows: a factor, a column or one value per row; see `get_influence`.
        Default is the residual groups of a model with ``residual=``, and otherwise the
        factor with the most levels.
    max_lag : int, optional
        Largest lag. Default is that of nlme, :math:`10 \log_{10} n` for the largest
        number of rows n of a group, and less than n.
    level : float, optional
        Level of the bounds, which are pointwise.
    kind : {"pearson", "studentized", "normalized", "response"}, optional
        Kind of residuals; see `plot_residuals`. Normalized ones show what the
        correlations of a model with ``residual=`` leave unexplained.
    ax : Axes, optional
        Axes to draw on.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the data of the model have been removed, or no group has two rows.
    ValueError
        If there is no such column or group, or a group has two rows at one time.

    Notes
    -----
    Residuals from modes that are estimated themselves are slightly negatively
    correlated even if the errors are independent, the more so the smaller the groups.

    References
    ----------
    Pinheiro, J. C. and Bates, D. M. (2000). Mixed-Effects Models in S and S-PLUS.
    Springer, section 5.3.
    """
    results = as_fit(results)
    residuals, label = row_residuals(results, kind)
    codes, names = _group_codes(results, groups)
    places, unit = _places(results.model, time, codes, names)
    correlations, pairs = autocorrelation(residuals, codes, places, max_lag)
    if not pairs[1:].any():
        raise DataError(
            f"no level of {names.name or 'groups'} has two rows at most "
            f"{len(pairs) - 1} lags apart, so there is no autocorrelation; choose "
            "other groups"
        )
    lags = np.arange(1, len(pairs))
    quantile = stats.norm.isf(error_probability(level) / 2.0)
    with np.errstate(divide="ignore"):
        bounds = quantile / np.sqrt(pairs[1:])
    figure, ax = canvas(ax)
    ax.axhline(0.0, color=GRAY, linewidth=0.8)
    ax.vlines(lags, 0.0, correlations[1:], BLUE, linewidth=1.5)
    ax.plot(lags, correlations[1:], "o", color=BLUE, markersize=4.5)
    for side in (-1.0, 1.0):
        ax.plot(lags, side * bounds, "--", color=GRAY, label=f"{percent(level)} bounds")
    ax.set_ylim(*np.array([-1.1, 1.1]) * _reach(correlations[1:], bounds))
    ax.locator_params("x", integer=True)
    within = short(names.name or "groups")
    finish(ax, f"lag{unit}", f"autocorrelation within {within}\n{label}")
    return figure


def autocorrelation(residuals, codes, places, max_lag=None):
    """
    Autocorrelation of residuals within groups.

    Parameters
    ----------
    residuals : ndarray
        The residuals, shape (n,); rows with NaN belong to no pair.
    codes : ndarray
        Group of each row.
    places : ndarray of int
        Position of each row, different within a group.
    max_lag : int, optional
        Largest lag.

    Returns
    -------
    correlations : ndarray
        By lag from 0, NaN without pairs.
    pairs : ndarray of int
        Number of pairs of rows at each lag.
    """
    known = np.isfinite(residuals)
    residuals, codes, places = residuals[known], codes[known], places[known]
    if max_lag is None:
        most = np.bincount(codes).max()
        max_lag = int(min(most - 1, 10.0 * np.log10(most)))
    # with gaps between groups, rows a lag apart are of one group
    keys = codes * (places.max() + max_lag + 1) + places
    order = np.argsort(keys)
    keys, residuals = keys[order], residuals[order]
    products, pairs = np.zeros(max_lag + 1), np.zeros(max_lag + 1, dtype=int)
    for lag in range(max_lag + 1):
        later = np.searchsorted(keys, keys + lag)
        later[later == len(keys)] = 0
        earlier = np.flatnonzero(keys[later] == keys + lag)
        pairs[lag] = len(earlier)
        products[lag] = residuals[earlier] @ residuals[later[earlier]]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = products / pairs
        return means / means[0], pairs


def _group_codes(results, groups):
    """Group of each row, and names of the groups."""
    errors = results.model.residual
    if groups is None and errors is not None and errors.term is not None:
        return errors.codes, errors.groups.rename(errors.group)
    return row_groups(results.model, _groups(results, groups), "groups")


def _groups(results, groups):
    """The groups given, or the factor with the most levels."""
    if groups is not None:
        return groups
    factors = [f for _, f in chosen_factors(results) if f.has_groups]
    if not factors:
        raise DataError("the random effects have no groups; choose groups=")
    return max(factors, key=lambda f: f.n_levels).name


def _places(model, time, codes, names):
    """Positions of the rows in time within their groups, and the unit of lags."""
    if time is None:
        return pd.Series(codes).groupby(codes).cumcount().to_numpy(), ", in rows"
    times = _times(model, time)
    table = pd.DataFrame({"group": codes, "time": times})
    if table.duplicated().any():
        group, when = table[table.duplicated()].iloc[0]
        raise ValueError(
            f"{names[int(group)]!r} has two rows at the same time {when:g}: choose "
            "groups with one row at each time"
        )
    steps = table.sort_values("time").groupby("group")["time"].diff()
    step = steps.min()
    places = (times - times.min()) / step
    starts = places - places.groupby(codes).transform("min")
    name = time if isinstance(time, str) else getattr(time, "name", None)
    name = short(name or "time")
    whole = (np.abs(starts - starts.round()) < REGULAR).all()
    if whole and steps.median() < 1.5 * step:
        return starts.round().to_numpy(int), f", in steps of {step:g} of {name}"
    ranks = table.groupby("group")["time"].rank(method="first").to_numpy(int) - 1
    return ranks, f", in rows by {name}"


def _times(model, time):
    """The times of the rows as numbers."""
    if isinstance(time, str):
        frame = getattr(model.data, "frame", None)
        if frame is None or time not in frame:
            known = ", ".join(map(str, [] if frame is None else frame))
            raise ValueError(
                f"no column {time!r} in the model, which has {known or 'none'}; pass "
                "other times by value, as time=data[...]"
            )
        time = frame[time]
    values = pd.Series(time).reset_index(drop=True)
    if len(values) != model.nobs:
        raise ValueError(
            f"time has {len(values)} values but the model {model.nobs} rows"
        )
    if pd.api.types.is_datetime64_any_dtype(values):
        values = (values - values.min()) / pd.Timedelta(days=1)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.codes.where(values.notna(), np.nan)
    elif not pd.api.types.is_numeric_dtype(values):
        raise ValueError(
            "the times are text, which has no order: make the column an ordered "
            "categorical, or pass numbers as time="
        )
    values = values.astype(float)
    if values.isna().any():
        raise ValueError("time has missing values")
    return values


def _reach(correlations, bounds):
    """Largest absolute value in sight."""
    finite = np.concatenate([correlations, bounds])
    return np.abs(finite[np.isfinite(finite)]).max()
