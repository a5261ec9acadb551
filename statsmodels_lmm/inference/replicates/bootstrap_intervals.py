r"""
Bootstrap confidence intervals of Davison and Hinkley (1997, chapter 5).

Let t be the estimate, t* its R replicates, z* = (t* - t) / se*, and x_(a) the
a-quantile of x, which is order statistic number (R + 1) a, interpolated on the scale
of the normal distribution (their equation 5.8). Intervals of level 1 - 2a are

- basic (5.6): :math:`2t - t^*_{(1-a)}, \; 2t - t^*_{(a)}`
- normal (5.5): :math:`t - b \mp z_{1-a} s` for bias b and standard deviation s of t*
- studentized (5.7): :math:`t - se\, z^*_{(1-a)}, \; t - se\, z^*_{(a)}`
- percentile (5.18): :math:`t^*_{(a)}, \; t^*_{(1-a)}`
"""

import numpy as np
from scipy import stats

from statsmodels_lmm.exceptions import DataWarning, warn

INTERVALS = ("wald", "basic", "normal", "studentized", "percentile")


def interval(method, estimate, error, draws, errors, alpha):
    """
    Compute one interval.

    Parameters
    ----------
    method : {"wald", "basic", "normal", "studentized", "percentile"}
        Kind of interval.
    estimate, error : float
        The estimate t and its standard error se.
    draws, errors : ndarray
        Replicates t* and their standard errors se*, shape (R,). NaN are left out.
    alpha : float
        One minus the level.

    Returns
    -------
    lower, upper : float
        Limits; NaN if the method does not apply, because there is no standard error
        or fewer than two replicates.
    """
    tails = np.array([1.0 - alpha / 2.0, alpha / 2.0])
    z = stats.norm.ppf(tails)
    if method == "wald":
        return tuple(estimate - error * z)
    draws = np.asarray(draws)
    usable = np.isfinite(draws)
    if method == "studentized":
        positive = usable & (np.nan_to_num(errors) > 0.0)
        ratios = (draws[positive] - estimate) / np.asarray(errors)[positive]
        return tuple(estimate - error * quantiles(ratios, tails))
    draws = draws[usable]
    if len(draws) < 2:
        return np.nan, np.nan
    if method == "basic":
        return tuple(2.0 * estimate - quantiles(draws, tails))
    if method == "normal":
        bias = draws.mean() - estimate
        return tuple(estimate - bias - draws.std(ddof=1) * z)
    return tuple(quantiles(draws, tails[::-1]))


def quantiles(draws, tails):
    """
    Compute quantiles by equation 5.8.

    Parameters
    ----------
    draws : ndarray
        Shape (R,).
    tails : ndarray
        Probabilities.

    Returns
    -------
    ndarray
        The quantiles; the extreme draw where ``(R + 1) a`` lies beyond it, and NaN
        without draws.
    """
    count = len(draws)
    if count < 2:
        return np.full(len(tails), np.nan)
    ordered = np.sort(draws)
    rank = (count + 1) * np.asarray(tails)
    # a whole order statistic, up to rounding
    rank = np.where(np.abs(rank - np.rint(rank)) < 1e-9, np.rint(rank), rank)
    rank = np.clip(rank, 1, count)
    below = np.minimum(np.floor(rank).astype(int), count - 1)
    low, middle, high = (
        stats.norm.ppf(x / (count + 1)) for x in (below, rank, below + 1)
    )
    share = (middle - low) / (high - low)
    return ordered[below - 1] + share * (ordered[below] - ordered[below - 1])


def tell_of_few(count, alpha):
    """
    Warn if quantiles lie beyond the extreme replicates.

    Parameters
    ----------
    count : int
        Number of replicates.
    alpha : float
        One minus the level of the intervals.
    """
    if (count + 1) * alpha / 2.0 < 1.0 - 1e-9:
        warn(
            f"{count} replicates are too few for intervals of level {1.0 - alpha:g}: "
            f"{np.ceil(2.0 / alpha - 1.0):.0f} would be enough",
            DataWarning,
        )
