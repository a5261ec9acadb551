"""Families in sixty digits, written out from their densities."""

from functools import wraps

import mpmath
import numpy as np
from mpmath import mp

DIGITS = 60
mpf = mp.mpf


def vectorized(function):
    """A function of numbers as one of arrays, computed exactly and rounded."""

    @wraps(function)
    def over_arrays(*arrays):
        arrays = np.broadcast_arrays(*arrays)
        with mp.workdps(max(mp.dps, DIGITS)):
            rows = [
                np.atleast_1d(function(*map(mpf, row))).astype(float)
                for row in zip(*(np.ravel(a).tolist() for a in arrays))
            ]
        return np.array(rows).T

    return over_arrays


def derivatives(function, x, orders):
    """Some derivatives of a function at a number."""
    # relative steps, for functions that change as fast as a power of x
    step = mpf(10) ** -10 * max(abs(x), mpf(10) ** -6)
    return [mpmath.diff(function, x, n, h=step) for n in orders]


PROBABILITIES = {
    "logit": lambda eta: 1 / (1 + mp.exp(-eta)),
    "probit": lambda eta: mp.erfc(-eta / mp.sqrt(2)) / 2,
    "cauchy": lambda eta: mp.atan2(1, -eta) / mp.pi,
}


def tails(link, eta):
    """The probabilities of a success and of a failure."""
    if link in PROBABILITIES:
        return PROBABILITIES[link](eta), PROBABILITIES[link](-eta)
    if link == "cloglog":
        return -mp.expm1(-mp.exp(eta)), mp.exp(-mp.exp(eta))
    if link == "loglog":
        return mp.exp(-mp.exp(-eta)), -mp.expm1(-mp.exp(-eta))
    return mean(link, eta), 1 - mean(link, eta)


def mean(link, eta):
    """The inverse of a link."""
    powers = {
        "identity": 1,
        "sqrt": 2,
        "inverse_power": -1,
        "inverse_squared": mpf(-1) / 2,
    }
    if link in powers:
        return eta ** powers[link]
    return mp.exp(eta) if link == "log" else tails(link, eta)[0]


def binomial(link, y, a, eta):
    p, q = tails(link, eta)
    k = a * y
    chosen = mp.loggamma(a + 1) - mp.loggamma(k + 1) - mp.loggamma(a - k + 1)
    # the logarithm of a probability near one, by the other
    log_p = mp.log(p) if p < q else mp.log1p(-q)
    log_q = mp.log(q) if q < p else mp.log1p(-p)
    return -chosen - (k * log_p if k else 0) - ((a - k) * log_q if a - k else 0)


def poisson(link, y, a, eta):
    mu = mean(link, eta)
    return a * (mu - (y * mp.log(mu) if y else 0) + mp.loggamma(y + 1))


def negative_binomial(link, y, a, eta, alpha):
    if alpha == 0:
        return poisson(link, y, a, eta)
    mu, r = mean(link, eta), 1 / alpha
    chosen = mp.loggamma(y + r) - mp.loggamma(r) - mp.loggamma(y + 1)
    odds = mp.log(alpha * mu / (1 + alpha * mu)) if y else 0
    return a * (r * mp.log1p(alpha * mu) - y * odds - chosen)


def gaussian(link, y, a, eta, log_phi):
    phi = mp.exp(log_phi) / a
    return (y - mean(link, eta)) ** 2 / (2 * phi) + mp.log(2 * mp.pi * phi) / 2


def gamma(link, y, a, eta, log_phi):
    shape = a * mp.exp(-log_phi)
    rate = shape / mean(link, eta)
    log = shape * mp.log(rate) + (shape - 1) * mp.log(y) - rate * y
    return mp.loggamma(shape) - log


def inverse_gaussian(link, y, a, eta, log_phi):
    phi, mu = mp.exp(log_phi) / a, mean(link, eta)
    square = (y - mu) ** 2 / (phi * mu**2 * y)
    return (square + mp.log(2 * mp.pi * phi * y**3)) / 2


DENSITIES = {
    "Binomial": binomial,
    "Poisson": poisson,
    "NegativeBinomial": negative_binomial,
    "Gaussian": gaussian,
    "Gamma": gamma,
    "InverseGaussian": inverse_gaussian,
}


def exact_loss(family, *extra):
    """c of a family as a function of y, a and eta, in sixty digits."""
    density = DENSITIES[family.name]
    return lambda y, a, eta: density(family.link_name, y, a, eta, *map(mpf, extra))


def exact_slopes(family, y, a, eta, *extra):
    """c and its first four derivatives in eta, rounded."""
    loss = exact_loss(family, *extra)

    @vectorized
    def found(y, a, eta):
        return derivatives(lambda e: loss(y, a, e), eta, range(5))

    return found(y, a, eta)


def own_slopes(family, y, a, eta, extra=None):
    """The same of a family."""
    arrays = np.broadcast_arrays(y, a, eta)
    y, a, eta = (np.ravel(x).astype(float) for x in arrays)
    loss = family.half_deviance(y, a, eta, extra) + family.saturated(y, a, extra)
    return np.array([loss, *family.slopes(y, a, eta, extra)])
