"""Zeros and ones, and proportions of successes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

from statsmodels_lmm.core.families.checks import first_problem, is_broken
from statsmodels_lmm.core.families.exponential_family import ExponentialFamily
from statsmodels_lmm.core.families.probability_links import SymmetricLink
from statsmodels_lmm.core.families.saddle_point import excess, stirling_remainder


@dataclass(frozen=True)
class Binomial(ExponentialFamily):
    """
    Proportions y of successes in a trials, of which the mean is a probability.

        c = a (y A + (1 - y) B) - log(binomial coefficient)

    with A = -log mu and B = -log(1 - mu) of the link, computed from eta. As
    dmu/deta = -A' mu = B' (1 - mu), the expectation of c'' is -a A' B'.
    """

    name = "Binomial"
    is_discrete = True
    canonical = "logit"

    def reciprocal_variance(self, mu, extra=None):
        """1 / mu + 1 / (1 - mu) and its derivatives."""
        p, q = 1.0 / mu, 1.0 / (1.0 - mu)
        return p + q, q**2 - p**2, 2.0 * (p**3 + q**3), 6.0 * (q**4 - p**4)

    def unit_loss(self, y, eta, extra):
        """Half the unit deviance."""
        return _half_unit_deviance(y, *self.link_function.losses(eta))

    def unit_deviance(self, y, mu, extra=None):
        """2 (y log(y / mu) + (1 - y) log((1 - y) / (1 - mu)))."""
        with np.errstate(divide="ignore"):
            losses = -np.log(mu), -np.log1p(-mu)
        return 2.0 * _half_unit_deviance(y, *losses)

    def unit_slopes(self, y, eta, extra):
        """The derivatives of y A + (1 - y) B."""
        link: Any = self.link_function
        if self._is_one_sided(y):
            sign = 2.0 * y - 1.0
            success = link.success_slopes(sign * eta)
            return tuple(s if j % 2 else sign * s for j, s in enumerate(success))
        success, failure = link.loss_slopes(eta)
        # those of the logit agree but for the first
        shape = np.broadcast_shapes(np.shape(y), np.shape(eta))
        return tuple(
            np.broadcast_to(s, shape) if s is f else y * s + (1.0 - y) * f
            for s, f in zip(success, failure)
        )

    def quadratic(self, y, a, eta, extra=None):
        """From A alone, where each row is a single success or failure."""
        if not self._is_one_sided(y):
            return super().quadratic(y, a, eta, extra)
        sign = 2.0 * y - 1.0
        link: Any = self.link_function
        loss, first, second = link.success_quadratic(sign * eta)
        return a * loss, a * (sign * first), a * second

    def _is_one_sided(self, y):
        """Whether all rows are ends, and the failures those of a mirrored success."""
        symmetric = isinstance(self.link_function, SymmetricLink)
        return symmetric and bool(np.all((y == 0.0) | (y == 1.0)))

    def unit_expected(self, eta, extra):
        """-A' B' and its derivative."""
        (a1, a2, _, _), (b1, b2, _, _) = self.link_function.loss_slopes(eta)
        return -a1 * b1, -(a2 * b1 + a1 * b2)

    def saturated(self, y, a, extra=None):
        """Minus the log-probability of a proportion with itself as mean."""
        inner = (y > 0.0) & (y < 1.0)
        if not inner.any():
            return np.zeros(np.broadcast_shapes(np.shape(y), np.shape(a)))
        p, a = np.where(inner, y, 0.5), np.asarray(a, dtype=float)
        parts = (stirling_remainder(1.0 / n) for n in (a * p, a * (1.0 - p), a))
        successes, failures, trials = parts
        value = 0.5 * np.log(2.0 * np.pi * a * p * (1.0 - p))
        return np.where(inner, value + successes + failures - trials, 0.0)

    def starting_mean(self, y, a):
        """The proportion of successes, with half a success and half a failure added."""
        successes = (a * y).sum(-1)
        return (successes + 0.5) / (np.broadcast_to(a, np.shape(y)).sum(-1) + 1.0)

    def draw(self, rng, mu, a, extra=None):
        """Proportions of successes."""
        trials = np.broadcast_to(np.round(a).astype(int), np.shape(mu))
        return rng.binomial(trials, mu) / trials

    def cdf(self, y, mu, a, extra=None):
        """The regularized incomplete beta function."""
        count = np.floor(a * y + 1e-6)
        inside = (count >= 0.0) & (count < a)
        safe = np.where(inside, count, 0.0)
        found = special.betaincc(safe + 1.0, a - safe, mu)
        return np.where(inside, found, count >= 0.0)

    def problem(self, y, a):
        """Values outside 0 and 1, and broken numbers of successes."""
        return first_problem(
            ("has missing or infinite values", ~np.isfinite(y)),
            ("has values outside 0 and 1", (y < 0.0) | (y > 1.0)),
            (
                "times the number of trials is not a whole number of successes",
                is_broken(a * y),
            ),
        )


def _half_unit_deviance(y, success, failure):
    """Half the unit deviance, from the losses A and B of a mean."""
    ends = np.where(y > 0.0, success, failure)
    inner = (y > 0.0) & (y < 1.0)
    if not inner.any():
        return ends
    p = np.where(inner, y, 0.5)
    found = p * excess(-success - np.log(p))
    found = found + (1.0 - p) * excess(-failure - np.log1p(-p))
    return np.where(inner, found, ends)
