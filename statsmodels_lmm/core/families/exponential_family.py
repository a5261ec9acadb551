"""
Families from their variance function and link, by the chain rule.

Half a unit deviance D(mu), with precision U = 1 / V at the mean, has the derivatives

    D1 = -(y - mu) U,              D2 =  U  - (y - mu) U',
    D3 = 2 U' - (y - mu) U'',      D4 = 3 U'' - (y - mu) U''',

from which derivatives with respect to eta follow by the chain rule (McCullagh and
Nelder 1989, 2.5). Families with common links replace these by formulas in eta.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.families.base import Expected, ExtraSlopes, Slopes
from statsmodels_lmm.core.families.links import Link


def column(extra):
    """The extra parameter with an axis for the rows, shape (..., 1)."""
    return np.asarray(extra, dtype=float)[..., None]


@dataclass(frozen=True)
class ExponentialFamily:
    """
    A distribution with a variance function.

    Subclasses give `reciprocal_variance`, `unit_deviance`, `saturated`, `draw`, `cdf`,
    `problem` and `starting_mean`.

    Parameters
    ----------
    link_function : Link
        The link.
    """

    link_function: Link

    canonical = ""
    """The link with which c'' does not depend on y."""

    @property
    def name(self):
        """As in statsmodels."""
        raise NotImplementedError

    @property
    def has_extra(self):
        """Whether there is an extra parameter."""
        return False

    @property
    def extra_is_squared(self):
        """Whether the extra parameter is not negative."""
        return False

    @property
    def is_discrete(self):
        """Whether y is a count, or a count over the prior weight."""
        return False

    @property
    def link_name(self):
        """The name of the link."""
        return self.link_function.name

    @property
    def is_canonical(self):
        """Whether c'' does not depend on y."""
        return self.link_name == self.canonical

    def reciprocal_variance(self, mu, extra=None):
        """1 / V and its first three derivatives at a mean, a tuple."""
        raise NotImplementedError

    def unit_deviance(self, y, mu, extra=None):
        """Twice the log-likelihood ratio of y and mu for a = 1 and phi = 1."""
        raise NotImplementedError

    def dispersion(self, extra):
        """exp(extra), or 1 without an extra parameter."""
        return np.exp(extra) if self.has_extra else 1.0

    def _precision(self, a, extra):
        """The weight divided by the dispersion, a / phi."""
        return a / column(self.dispersion(extra)) if self.has_extra else a

    def unit_loss(self, y, eta, extra):
        """Half the unit deviance; infinite where eta belongs to no mean."""
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            loss = 0.5 * self.unit_deviance(y, self.mean(eta), extra)
        return np.where(np.isnan(loss), np.inf, loss)

    def unit_slopes(self, y, eta, extra):
        """The first four derivatives of half the unit deviance with respect to eta."""
        mu = self.mean(eta)
        u, u1, u2, u3 = self.reciprocal_variance(mu, extra)
        h1, h2, h3, h4 = self.link_function.slopes(eta)
        r = mu - y
        d1, d2, d3, d4 = r * u, u + r * u1, 2 * u1 + r * u2, 3 * u2 + r * u3
        return (
            d1 * h1,
            d2 * h1**2 + d1 * h2,
            d3 * h1**3 + 3 * d2 * h1 * h2 + d1 * h3,
            d4 * h1**4 + 6 * d3 * h1**2 * h2 + d2 * (3 * h2**2 + 4 * h1 * h3) + d1 * h4,
        )

    def unit_expected(self, eta, extra):
        """h'^2 / V and its derivative."""
        u, u1, _, _ = self.reciprocal_variance(self.mean(eta), extra)
        h1, h2, _, _ = self.link_function.slopes(eta)
        return u * h1**2, u1 * h1**3 + 2 * u * h1 * h2

    def half_deviance(self, y, a, eta, extra=None):
        """c(eta) minus `saturated`."""
        return self._precision(a, extra) * self.unit_loss(y, eta, extra)

    def slopes(self, y, a, eta, extra=None):
        """The first four derivatives of c."""
        precision = self._precision(a, extra)
        return Slopes(*(precision * d for d in self.unit_slopes(y, eta, extra)))

    def quadratic(self, y, a, eta, extra=None):
        """The half deviance and the first two derivatives of c."""
        loss = self.half_deviance(y, a, eta, extra)
        return loss, *self.slopes(y, a, eta, extra)[:2]

    def expected(self, y, a, eta, extra=None):
        """The expectation of c'' over y, its derivatives in eta and log phi."""
        precision = self._precision(a, extra)
        second, third = (precision * e for e in self.unit_expected(eta, extra))
        return Expected(second, third, -second)

    def saturated_slopes(self, y, a, extra):
        """First and second derivatives of `saturated` with respect to log phi."""
        raise NotImplementedError

    def extra_slopes(self, y, a, eta, extra):
        """Derivatives with respect to log phi, of which a / phi is an exponential."""
        loss = self.half_deviance(y, a, eta, extra)
        slopes = self.slopes(y, a, eta, extra)
        one, two = self.saturated_slopes(y, a, extra)
        return ExtraSlopes(one - loss, -slopes.first, -slopes.second, two + loss)

    def mean(self, eta):
        """The inverse link."""
        return self.link_function.mean(eta)

    def mean_slope(self, eta):
        """The derivative d mu / d eta."""
        return self.link_function.mean_slope(eta)

    @property
    def link(self):
        """The link, which maps means to linear predictors when called."""
        return self.link_function

    def variance(self, mu, a, extra=None):
        """The variance phi V(mu) / a."""
        v = 1.0 / self.reciprocal_variance(mu, extra)[0]
        return v / self._precision(a, extra)

    def starting_mean(self, y, a):
        """The weighted mean of the responses."""
        return (a * y).sum(-1) / np.broadcast_to(a, np.shape(y)).sum(-1)

    def starting_extra(self, y, a, eta):
        """The logarithm of the mean of Pearson's squared residuals."""
        mu = self.mean(eta)
        squares = a * (y - mu) ** 2 * self.reciprocal_variance(mu)[0]
        return np.log(squares.mean(-1))
