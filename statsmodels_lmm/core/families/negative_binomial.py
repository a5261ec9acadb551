"""Counts with a variance that grows with the square of their mean."""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy import special

from statsmodels_lmm.core.families.base import ExtraSlopes
from statsmodels_lmm.core.families.checks import problem_with_counts
from statsmodels_lmm.core.families.exponential_family import (
    ExponentialFamily,
    column,
)
from statsmodels_lmm.core.families.links import Log, held_exp
from statsmodels_lmm.core.families.poisson import (
    Poisson,
    mean_of_counts,
    poisson_cdf,
    saturated_count,
)
from statsmodels_lmm.core.families.saddle_point import (
    stirling_remainder,
    stirling_slopes,
)

SMALL = 0.1
ORDERS = np.arange(16)
SERIES = (-1.0) ** ORDERS / (ORDERS + 2.0)
"""Series of (x - log(1 + x)) / x^2, used for |x| up to SMALL."""

POISSON = 1e-15
"""Largest alpha that makes no difference to probabilities."""


@dataclass(frozen=True)
class NegativeBinomial(ExponentialFamily):
    """
    The negative binomial distribution with variance mu + alpha mu^2 (NB2).

        c = a [(y + 1/alpha) log(1 + alpha mu) - y log mu
               - sum over j < y of log(1 + j alpha) + log y!]

    A row with prior weight a counts as a rows; simulated responses have weight one.
    Unless it is given, alpha is the extra parameter, and everything is smooth at zero,
    where the family is Poisson's: with Stirling's remainder T,

        min c = a [log(2 pi y (1 + alpha y)) / 2
                   + T(1 / y) + T(alpha) - T(alpha / (1 + alpha y))].

    Parameters
    ----------
    link_function : Link
        The link.
    alpha : float, optional
        A known alpha. By default it is estimated.
    """

    alpha: float | None = None

    name = "NegativeBinomial"
    is_discrete = True

    @property
    def has_extra(self):
        """Whether alpha is estimated."""
        return self.alpha is None

    @property
    def extra_is_squared(self):
        """Whether alpha, which is not negative, is estimated."""
        return self.has_extra

    @property
    def limit(self):
        """Poisson's family with the same link, to which alpha = 0 leads."""
        return Poisson(self.link_function)

    def _alpha(self, extra):
        """Alpha with an axis for the rows."""
        return column(extra if self.has_extra else self.alpha)

    def dispersion(self, extra):
        """One, as alpha is not a dispersion."""
        return 1.0

    def reciprocal_variance(self, mu, extra=None):
        """1 / mu - alpha / (1 + alpha mu) and its derivatives."""
        alpha = self._alpha(extra)
        rest = 1.0 + alpha * mu
        p, q = 1.0 / mu, alpha / rest
        return p / rest, q**2 - p**2, 2.0 * (p**3 - q**3), 6.0 * (q**4 - p**4)

    def unit_loss(self, y, eta, extra):
        """Half the unit deviance."""
        mu, log_mu = self.mean(eta), self.link_function.log_mean(eta)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            loss = _half_unit_deviance(y, mu, log_mu, self._alpha(extra))
        return np.where((mu > 0.0) & ~np.isnan(loss), loss, np.inf)

    def unit_deviance(self, y, mu, extra=None):
        """2 (y log(y / mu) - (y + 1/alpha) log((1 + alpha y) / (1 + alpha mu)))."""
        return 2.0 * _half_unit_deviance(y, mu, np.log(mu), self._alpha(extra))

    def unit_slopes(self, y, eta, extra):
        """With the log link and q = 1 / (1 + alpha mu), q' = -q (1 - q)."""
        if not isinstance(self.link_function, Log):
            return super().unit_slopes(y, eta, extra)
        alpha, mu = self._alpha(extra), held_exp(eta)
        q = 1.0 / (1.0 + alpha * mu)
        p = alpha * mu * q
        second = (1.0 + alpha * y) * mu * q * q
        third, fourth = second * (q - p), second * (1.0 - 6.0 * p * q)
        return (mu - y) * q, second, third, fourth

    def unit_expected(self, eta, extra):
        """With the log link, mu q and mu q^2."""
        if not isinstance(self.link_function, Log):
            return super().unit_expected(eta, extra)
        mu = held_exp(eta)
        q = 1.0 / (1.0 + self._alpha(extra) * mu)
        return mu * q, mu * q * q

    def expected(self, y, a, eta, extra=None):
        """The expectation of c'' over y, its derivatives in eta and alpha."""
        slope = self.mean_slope(eta) / (1.0 + self._alpha(extra) * self.mean(eta))
        found = super().expected(y, a, eta, extra)
        return found._replace(extra=-a * slope**2)

    def saturated(self, y, a, extra=None):
        """The smallest c, of which the Poisson part is that at alpha = 0."""
        alpha = self._alpha(extra)
        spread = 1.0 + alpha * y
        more = stirling_remainder(alpha) - stirling_remainder(alpha / spread)
        value = saturated_count(y) + 0.5 * np.log(spread) + more
        return a * np.where(y > 0.0, value, 0.0)

    def extra_slopes(self, y, a, eta, extra):
        """Derivatives with respect to alpha."""
        alpha = self._alpha(extra)
        mu = self.mean(eta)
        h1, h2, _, _ = self.link_function.slopes(eta)
        q = 1.0 / (1.0 + alpha * mu)
        d = (y - mu) * q
        value, slope = _curve(alpha * d, *_log_ratio(y, mu, alpha))
        one = -d * d * value
        two = d * d * (2.0 * mu * q * value - d * q * slope)
        saturated = _saturated_slopes(y, alpha)
        one, two = a * (one + saturated[0]), a * (two + saturated[1])
        first = a * d * q * h1
        second = a * (d * q * h2 - (1.0 + 2.0 * alpha * d) * np.square(q * h1))
        return ExtraSlopes(one, first, second, two)

    def starting_mean(self, y, a):
        """The mean, or that of half a count in all where there are none."""
        return mean_of_counts(y, a)

    def starting_extra(self, y, a, eta):
        """
        By moments, the sum of (y - mu)^2 - mu divided by that of mu^2.

        A search in the root of alpha cannot leave zero, so that alpha starts no lower
        than its standard error there.
        """
        mu = self.mean(eta)
        squares = (a * mu**2).sum(-1)
        alpha = (a * ((y - mu) ** 2 - mu)).sum(-1) / squares
        return np.maximum(alpha, np.sqrt(2.0 / squares))

    def draw(self, rng, mu, a, extra=None):
        """Poisson counts with gamma means, one response after another."""
        alpha = self._alpha(extra).item()
        mu = np.asarray(mu, dtype=float)
        if alpha < np.finfo(float).tiny:
            return rng.poisson(mu).astype(float)
        out = np.empty_like(mu)
        for index in np.ndindex(mu.shape[:-1]):
            gamma = alpha * rng.standard_gamma(1.0 / alpha, mu.shape[-1:])
            out[index] = rng.poisson(mu[index] * gamma)
        return out

    def cdf(self, y, mu, a, extra=None):
        """The regularized incomplete beta function."""
        alpha, count = self._alpha(extra), np.floor(y)
        safe, size = np.maximum(alpha, POISSON), np.maximum(count, 0.0)
        odds = safe * mu
        beta = special.betaincc(size + 1.0, 1.0 / safe, odds / (1.0 + odds))
        found = np.where(alpha > POISSON, beta, poisson_cdf(y, mu))
        return np.where(count < 0.0, 0.0, found)

    def problem(self, y, a):
        """Negative or broken counts."""
        return problem_with_counts(y)


def _log_ratio(y, mu, alpha):
    """The logarithm z of (1 + alpha y) / (1 + alpha mu), and the ratio."""
    x = alpha * (y - mu) / (1.0 + alpha * mu)
    near = np.abs(x) < 0.5
    far = np.log1p(alpha * y) - np.log1p(alpha * mu)
    ratio = (1.0 + alpha * y) / (1.0 + alpha * mu)
    return np.where(near, np.log1p(np.where(near, x, 0.0)), far), ratio


def _half_unit_deviance(y, mu, log_mu, alpha):
    """
    The deviance y log((y + alpha y mu) / (mu + alpha y mu)) - z / alpha.

    Both logarithms are of numbers near one where y is near mu, and the second term has
    the limit y - mu at alpha = 0.
    """
    z, _ = _log_ratio(y, mu, alpha)
    d = (y - mu) / (1.0 + alpha * mu)
    x = alpha * d
    some = np.abs(x) > 0.0
    last = np.where(some, d * z / np.where(some, x, 1.0), d)
    u = (y - mu) / (mu * (1.0 + alpha * y))
    near = np.abs(u) < 0.5
    positive = np.where(y > 0.0, y, 1.0)
    above = np.log((positive / mu + alpha * y) / (1.0 + alpha * y))
    far = np.where(mu > y, above, np.log(positive) - log_mu - z)
    log = np.where(near, np.log1p(np.where(near, u, 0.0)), far)
    return np.where(y > 0.0, y * log, 0.0) - last


def _curve(x, z, ratio):
    """(x - log(1 + x)) / x^2 and its derivative, given z = log(1 + x) and 1 + x."""
    near = np.abs(x) < SMALL
    small, large = np.where(near, x, 0.0), np.where(near, 1.0, x)
    gap = large - z
    slope = large / ratio - 2.0 * gap / large
    return (
        np.where(near, polyval(small, SERIES), gap / large**2),
        np.where(near, polyval(small, (SERIES * ORDERS)[1:]), slope / large**2),
    )


def _saturated_slopes(y, alpha):
    """First and second derivatives of the smallest c with respect to alpha."""
    spread = 1.0 + alpha * y
    one, two = stirling_slopes(alpha)
    one_y, two_y = stirling_slopes(alpha / spread)
    ratio = y / spread
    first = 0.5 * ratio + one - one_y / spread**2
    second = two - two_y / spread**4 + 2.0 * y * one_y / spread**3
    return first, second - 0.5 * ratio**2
