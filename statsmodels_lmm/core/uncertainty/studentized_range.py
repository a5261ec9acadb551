"""
The distribution of the studentized range, the range of k normal variables over s.

With s^2 a chi-squared variable over its degrees of freedom, the probability of a range
above q is E S(q s), where S(w) is the same for normal variables of known variance. Both
integrands decay like normal densities, for which the trapezoidal rule is exact to
rounding with few points (Trefethen and Weideman 2014). S is a sum of positive terms, so
that small probabilities keep their relative accuracy, and its logarithm is a polynomial
that is computed once for each k.

References
----------
Lund, R. E. and Lund, J. R. (1983). Algorithm AS 190: probabilities and upper quantiles
for the studentized range. Applied Statistics 32, 204-210.

Trefethen, L. N. and Weideman, J. A. C. (2014). The exponentially convergent trapezoidal
rule. SIAM Review 56, 385-458.
"""

from functools import lru_cache

import numpy as np
from scipy import special

LARGEST = np.linspace(-9.0, 9.0, 145)
"""Points of the largest variable, relative to half of the range."""

DEGREE, WIDEST = 256, 50.0
"""Degree of the polynomial of log S, and the range beyond which S counts as 0."""

STEP, WIDE = 0.6, 0.08
"""Distance of points of log s, in its standard deviations, and the largest distance."""

TAIL = 1e-14
"""Probability of s that is left out at either end."""

LARGE = 30.0
"""Half of the degrees of freedom from which Stirling's series is exact to rounding."""

ROUNDING = 2e-11
"""Coefficients of that polynomial that are left out at its end."""

TOLERANCE, N_STEPS = 1e-12, 50
"""Relative error of quantiles, and the largest number of steps of the search."""


def range_sf(q, k, df):
    """
    Probability that the studentized range exceeds a value.

    Parameters
    ----------
    q : ndarray
        Values, not negative, shape (m,); NaN gives NaN.
    k : int
        Number of variables, at least 2.
    df : ndarray
        Degrees of freedom, infinite if the variance is known, shape (m,).

    Returns
    -------
    ndarray
        Shape (m,).
    """
    return scale_average(lambda w: _normal_tail(w, k), q, df, 0.25)


def range_isf(probability, k, df):
    """
    Upper quantiles of the studentized range.

    Parameters
    ----------
    probability : float
        Probability of a larger range.
    k : int
        Number of variables, at least 2.
    df : ndarray
        Degrees of freedom, shape (m,); NaN gives NaN.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    pairs = 0.5 * k * (k - 1)
    above = np.sqrt(2.0) * -special.stdtrit(df, 0.5 * probability / pairs)
    return quantiles(lambda q: range_sf(q, k, df), probability, above)


def scale_average(tail, q, df, decay):
    """
    Average a tail probability over the distribution of s.

    Parameters
    ----------
    tail : callable
        The probability for a known variance at points of shape (m,).
    q : ndarray
        Points when s is 1, shape (m,).
    df : ndarray
        Degrees of freedom of s^2, shape (m,).
    decay : float
        a, if the probability of a large w is like exp(-a w^2).

    Returns
    -------
    ndarray
        E tail(q s), shape (m,); NaN where `q` or `df` is.
    """
    q, df = np.asarray(q, dtype=float), np.asarray(df, dtype=float)
    averages = np.full(len(q), np.nan)
    known = np.isinf(df) & ~np.isnan(q)
    averages[known] = tail(q[known])
    rest = np.isfinite(df) & ~np.isnan(q)
    if rest.any():
        log_s, density = _scales(0.5 * df[rest], decay * np.maximum(q[rest], 0.0) ** 2)
        tails = tail((q[rest] * np.exp(log_s)).ravel()).reshape(log_s.shape)
        averages[rest] = (density * tails).sum(axis=0)
    return np.minimum(averages, 1.0)  # but for rounding


def quantiles(tail, probability, above):
    """
    Solve decreasing tail probabilities for their arguments.

    The secant method in the logarithms, in which such functions are concave, so that
    it approaches the quantile from one side.

    Parameters
    ----------
    tail : callable
        The probabilities that positive variables exceed values, shape (m,).
    probability : float
        Between 0 and 1.
    above : ndarray
        Values not below the quantiles, shape (m,); NaN gives NaN.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    last = np.log(above) + 0.01
    here = last - 0.01
    excess = np.log(tail(np.exp(last)) / probability)
    for _ in range(N_STEPS):
        now = np.log(tail(np.exp(here)) / probability)
        with np.errstate(invalid="ignore", divide="ignore"):
            step = -now * (here - last) / (now - excess)
        step = np.where(np.isfinite(step) | np.isnan(here), step, 0.0)
        last, excess, here = here, now, here + step
        if not (np.abs(step) > TOLERANCE).any():
            break
    return np.exp(here)


def _scales(half, tilt):
    """Points of log s and their weights, for halves of the degrees of freedom."""
    # the tail favours a small s: together they have the density of one with more
    low = special.gammaincinv(half, TAIL) / (half + tilt)
    high = special.gammainccinv(half, TAIL) / half
    low, high = 0.5 * np.log(low), 0.5 * np.log(high)
    steps = (high - low) / np.minimum(STEP / np.sqrt(4.0 * half), WIDE)
    log_s, step = np.linspace(low, high, int(steps.max()) + 2, retstep=True)
    log_density = half * (2.0 * log_s - np.expm1(2.0 * log_s)) + _constant(half)
    return log_s, 2.0 * step * np.exp(log_density)


def _constant(half):
    """Logarithm of (half / e)^half / gamma(half)."""
    series = 1.0 / (12.0 * half) - 1.0 / (360.0 * half**3) + 1.0 / (1260.0 * half**5)
    large = 0.5 * np.log(0.5 * half / np.pi) - series
    exact = half * (np.log(half) - 1.0) - special.gammaln(half)
    return np.where(half < LARGE, exact, large)


def _normal_tail(w, k):
    """Probability that the range of k standard normal variables exceeds w, (n,)."""
    inside = w < WIDEST
    return np.where(inside, np.exp(_log_tail(k)(np.where(inside, w, 0.0))), 0.0)


@lru_cache
def _log_tail(k):
    """Logarithm of that probability as a polynomial."""
    interpolate = np.polynomial.Chebyshev.interpolate
    whole = interpolate(lambda w: np.log(_integrated(w, k)), DEGREE, [0.0, WIDEST])
    return whole.trim(ROUNDING)


def _integrated(w, k):
    """The same by integration over the largest of the variables."""
    z = 0.5 * w[:, None] + LARGEST
    below = special.ndtr(z)
    # given that the largest is z, some other is below z - w
    share = np.minimum(special.ndtr(z - w[:, None]) / below, 1.0)
    with np.errstate(divide="ignore"):
        none = (k - 1) * np.log1p(-share)
    density = np.exp(-0.5 * z**2) * below ** (k - 1)
    step = LARGEST[1] - LARGEST[0]
    return -k * step / np.sqrt(2.0 * np.pi) * (density * np.expm1(none)).sum(axis=1)
