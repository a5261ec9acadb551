"""
Log densities as a deviance and Stirling's remainder, without loss of digits.

For a count y with mean mu, for instance,

    -log f(y) = y excess(log(mu / y)) + log(2 pi y) / 2 + remainder(1 / y).

The textbook formula subtracts numbers of the size of y; here no term is larger than the
result (Loader 2000, Fast and accurate computation of binomial probabilities).
"""

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy import special

SERIES = 0.125
"""Largest v at which the remainder is summed as a series, exact to rounding."""

POWERS = 2 * np.arange(1, 11) - 1
COEFFICIENTS = special.bernoulli(20)[2::2] / (POWERS * (POWERS + 1))
"""Coefficients of the remainder (Abramowitz and Stegun 6.1.41)."""

LARGEST = 600.0
"""Largest exponent: its exponential is finite, even times a count."""


def excess(x):
    """
    exp(x) - 1 - x.

    Half a unit deviance is a sum of such terms, as exp(x) - 1 cancels over them.
    """
    x = np.asarray(np.minimum(x, LARGEST))
    out = np.asarray(np.expm1(x) - x)
    near = np.abs(x) < 1e-3
    if near.any():
        x = x[near]
        out[near] = 0.5 * x**2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5)))
    return out


def stirling_remainder(v):
    """
    What Stirling's formula leaves of the logarithm of the gamma function at 1 / v.

    T(v) = log Gamma(1/v) - (1/v - 1/2) log(1/v) + 1/v - log(2 pi) / 2, which is
    v/12 - v^3/360 + ... and vanishes at zero.

    Parameters
    ----------
    v : array_like
        At least zero.

    Returns
    -------
    ndarray
        T.
    """
    v = np.asarray(v, dtype=float)
    value = np.asarray(v * polyval(np.minimum(v, SERIES) ** 2, COEFFICIENTS))
    far = v > SERIES
    x = 1.0 / v[far]
    gamma = special.gammaln(x) - (x - 0.5) * np.log(x) + x
    value[far] = gamma - 0.5 * np.log(2.0 * np.pi)
    return value


def stirling_slopes(v):
    """
    First and second derivatives of the remainder T with respect to v.

    Parameters
    ----------
    v : array_like
        At least zero.

    Returns
    -------
    tuple of ndarray
        T' and T''.
    """
    v = np.asarray(v, dtype=float)
    near = np.minimum(v, SERIES)
    first = np.asarray(polyval(near**2, COEFFICIENTS * POWERS))
    second = COEFFICIENTS * POWERS * (POWERS - 1)
    second = np.asarray(near * polyval(near**2, second[1:]))
    far = v > SERIES
    x = 1.0 / v[far]
    one = special.digamma(x) - np.log(x) + 0.5 / x
    two = special.polygamma(1, x) - 1.0 / x - 0.5 / x**2
    first[far], second[far] = -(x**2) * one, x**4 * two + 2.0 * x**3 * one
    return first, second
