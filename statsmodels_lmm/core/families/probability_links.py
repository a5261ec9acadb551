"""
Links of probabilities, through the logarithms of both tails.

The loss of a success is A = -log mu, that of a failure B = -log(1 - mu). Far out, where
mu rounds to 0 or 1, both and their derivatives are still exact to rounding. The
derivatives of mu follow from those of A.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy import special

from statsmodels_lmm.core.families.links import Link, held_exp

FAR = -5.0
"""Linear predictor below which Mills' ratio is a continued fraction."""

DEPTH = 60
"""Depth of the continued fraction, enough for rounding error at FAR."""

SMALL = 0.5
BERNOULLI = special.bernoulli(16)[2::2] / special.factorial(np.arange(2, 17, 2))
"""Series of (t / (exp(t) - 1) - 1 + t / 2) / t^2 in t^2, for t up to SMALL."""


def mirrored(slopes):
    """Derivatives of f(-eta) from those of f at -eta."""
    return tuple(s if j % 2 else -s for j, s in enumerate(slopes))


class ProbabilityLink(Link):
    """A link of a probability."""

    def slopes(self, eta):
        """From mu = exp(-A)."""
        mu = self.mean(eta)
        one, two, three, four = self.loss_slopes(eta)[0]
        return (
            -one * mu,
            (one**2 - two) * mu,
            (3 * one * two - one**3 - three) * mu,
            (one**4 - 6 * one**2 * two + 3 * two**2 + 4 * one * three - four) * mu,
        )


class SymmetricLink(ProbabilityLink):
    """A link for which a failure at eta is a success at -eta."""

    def success_loss(self, eta):
        """A."""
        raise NotImplementedError

    def success_slopes(self, eta):
        """The first four derivatives of A."""
        raise NotImplementedError

    def success_quadratic(self, eta):
        """A and its first two derivatives."""
        return self.success_loss(eta), *self.success_slopes(eta)[:2]

    def losses(self, eta):
        """A at eta and at -eta."""
        return self.success_loss(eta), self.success_loss(-eta)

    def loss_slopes(self, eta):
        """The derivatives of A at eta and at -eta."""
        return self.success_slopes(eta), mirrored(self.success_slopes(-eta))


@dataclass(frozen=True)
class Logit(SymmetricLink):
    """eta = log(mu / (1 - mu))."""

    name = "logit"

    def link(self, mu):
        """The log odds."""
        return special.logit(mu)

    def mean(self, eta):
        """1 / (1 + exp(-eta))."""
        return special.expit(eta)

    def mean_slope(self, eta):
        """The variance of a zero or one."""
        return special.expit(eta) * special.expit(-eta)

    def success_loss(self, eta):
        """The logarithm of 1 + exp(-eta)."""
        return np.log1p(np.exp(-np.abs(eta))) + np.maximum(-eta, 0.0)

    def success_slopes(self, eta):
        """A' = mu - 1, and A'' = v is the variance."""
        rest, v = self._rest_and_variance(eta, np.exp(-np.abs(eta)))
        return -rest, v, v * (2.0 * rest - 1.0), v * (1.0 - 6.0 * v)

    def success_quadratic(self, eta):
        """A, A' and A'' from a single exponential."""
        tail = np.exp(-np.abs(eta))
        rest, v = self._rest_and_variance(eta, tail)
        return np.log1p(tail) + np.maximum(-eta, 0.0), -rest, v

    def _rest_and_variance(self, eta, tail):
        """1 - mu and its product with mu, given exp(-|eta|)."""
        large = 1.0 / (1.0 + tail)
        small = tail * large
        return np.where(eta > 0.0, small, large), small * large

    def losses(self, eta):
        """The logarithms of 1 + exp(-eta) and of 1 + exp(eta)."""
        rest = np.log1p(np.exp(-np.abs(eta)))
        return rest + np.maximum(-eta, 0.0), rest + np.maximum(eta, 0.0)

    def loss_slopes(self, eta):
        """B' = mu; all further derivatives of A and B agree."""
        first, *further = self.success_slopes(eta)
        return (first, *further), (special.expit(eta), *further)


@dataclass(frozen=True)
class Probit(SymmetricLink):
    """eta = Phi^-1(mu) with the normal distribution function Phi."""

    name = "probit"

    def link(self, mu):
        """The normal quantile."""
        return special.ndtri(mu)

    def mean(self, eta):
        """Phi(eta)."""
        return special.ndtr(eta)

    def mean_slope(self, eta):
        """The normal density."""
        return np.exp(-0.5 * np.square(eta)) / np.sqrt(2.0 * np.pi)

    def success_loss(self, eta):
        """Minus log Phi(eta)."""
        return -special.log_ndtr(eta)

    def success_slopes(self, eta):
        """
        With m = phi / Phi and s = eta + m, m' = -m s.

        Laplace's continued fraction for Mills' ratio 1 / m at x = -eta makes
        s = 1 / (x + 2 s_2), s_2 = 1 / (x + 3 s_3) and so on; differences such as
        1 - m s then have no large parts that cancel.
        """
        eta = np.asarray(eta, dtype=float)
        m = np.exp(-0.5 * np.square(eta) - special.log_ndtr(eta)) / np.sqrt(2 * np.pi)
        s = eta + m
        s2 = 0.5 * (1.0 / s + eta)
        s3 = (1.0 / s2 + eta) / 3.0
        far = eta < FAR
        if far.any():
            s[far], s2[far], s3[far] = _continued_fraction(-eta[far])
            m[far] = s[far] - eta[far]
        first, second = -m, m * s
        third = 2.0 * second * (s2 - s)
        inner = s2 * (2.0 * s2 - 3.0 * s3) + 2.0 * s * s2 - s * s
        fourth = 2.0 * third * (s2 - s) - 2.0 * second * inner
        return first, second, third, fourth


def _continued_fraction(x):
    """The first three tails of Laplace's continued fraction."""
    tail = np.zeros_like(x)
    for step in range(DEPTH, 3, -1):
        tail = 1.0 / (x + step * tail)
    second = 1.0 / (x + 3.0 * tail)
    return 1.0 / (x + 2.0 * second), second, tail


@dataclass(frozen=True)
class Cauchy(SymmetricLink):
    """eta = tan(pi (mu - 1/2))."""

    name = "cauchy"

    def link(self, mu):
        """The Cauchy quantile, as a cotangent."""
        return -1.0 / np.tan(np.pi * mu)

    def mean(self, eta):
        """The Cauchy distribution function."""
        return np.arctan2(1.0, -np.asarray(eta, dtype=float)) / np.pi

    def success_loss(self, eta):
        """Minus its logarithm, from the smaller tail."""
        tail = self.mean(-np.abs(eta))
        return np.where(eta > 0.0, -np.log1p(-tail), -np.log(tail))

    def success_slopes(self, eta):
        """With m = f / F, g = f' / f and u = m - g, m' = -m u."""
        square = 1.0 + np.square(eta)
        m = 1.0 / (np.pi * square * self.mean(eta))
        g = -2.0 * eta / square
        g1 = 2.0 * (np.square(eta) - 1.0) / square**2
        g2 = 4.0 * eta * (3.0 - np.square(eta)) / square**3
        u = m - g
        u1 = -m * u - g1
        u2 = m * (u * u - u1) - g2
        inner = u1 - u * u
        return -m, m * u, m * inner, m * (u2 - 2.0 * u * u1 - u * inner)


@dataclass(frozen=True)
class CLogLog(ProbabilityLink):
    """eta = log(-log(1 - mu))."""

    name = "cloglog"

    def link(self, mu):
        """The complementary log-log."""
        return np.log(-np.log1p(-mu))

    def mean(self, eta):
        """1 - exp(-exp(eta))."""
        return -np.expm1(-held_exp(eta))

    def mean_slope(self, eta):
        """The slope exp(eta - exp(eta))."""
        return np.exp(eta - held_exp(eta))

    def losses(self, eta):
        """With t = exp(eta), B = t and A = -log(1 - exp(-t))."""
        t = held_exp(eta)
        small, large = np.minimum(t, 1.0), np.maximum(t, 1.0)
        near = -np.log(-np.expm1(-small) / small) - eta
        return np.where(t < 1.0, near, -np.log1p(-np.exp(-large))), t

    def loss_slopes(self, eta):
        """
        With r = t / (exp(t) - 1) and v = t + r - 1, r' = -r v.

        v is summed as a series at a small t, where it is t / 2 + t^2 / 12 - ...
        """
        t = held_exp(eta)
        failure = (t,) * 4
        t = np.minimum(t, 750.0)  # where r is zero
        r = t * np.exp(-t) / -np.expm1(-t)
        near = polyval(np.minimum(t, SMALL) ** 2, BERNOULLI)
        v = np.where(t < SMALL, 0.5 * t + t * t * near, t + r - 1.0)
        v1 = t - r * v
        w = t - v * (v + r)
        w1 = t - v1 * (2.0 * v + r) + r * v * v
        return (-r, r * v, r * w, r * (w1 - v * w)), failure


@dataclass(frozen=True)
class LogLog(ProbabilityLink):
    """eta = -log(-log mu): the complementary log-log of a failure, mirrored."""

    name = "loglog"

    def link(self, mu):
        """The log-log."""
        return -np.log(-np.log(mu))

    def mean(self, eta):
        """The double exponential."""
        return np.exp(-held_exp(-eta))

    def losses(self, eta):
        """The losses of the complementary log-log at -eta, exchanged."""
        return CLogLog().losses(-eta)[::-1]

    def loss_slopes(self, eta):
        """The derivatives of the complementary log-log's losses, mirrored."""
        success, failure = CLogLog().loss_slopes(-eta)
        return mirrored(failure), mirrored(success)
