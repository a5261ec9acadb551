"""
Minima under constraints where traces are estimated from probes.

All of the criterion but log |V| is known, and the change of log |V| between neighbors
is the integral of its score, which the same probes estimate everywhere. It is known far
better than log |V| itself, and so are the heights of a profile.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.criteria.krylov import KrylovProfiled, known_part
from statsmodels_lmm.core.engines.krylov_probes import variance_of_mean
from statsmodels_lmm.core.engines.krylov_system import symmetric_root
from statsmodels_lmm.core.search.constrained import (
    Constrained,
    ConstrainedSearch,
    minimize_held,
    start_at,
)

LOBATTO = np.array([-1.0, -(0.2**0.5), 0.2**0.5, 1.0]) / 2.0 + 0.5
WEIGHTS = np.array([1.0, 5.0, 5.0, 1.0]) / 12.0
"""Lobatto's rule on [0, 1], exact for polynomials of degree five."""

HIGH = 0.1
"""|zeta| from which its error is stated, a quotient of zeros at the estimate."""


@dataclass(frozen=True)
class Anchor:
    """
    A point with log |V| of each probe, from which that of others is integrated.

    Parameters
    ----------
    roots : tuple of ndarray
        Symmetric roots of the relative covariances, in elimination order.
    sums : tuple of ndarray
        Estimates of the level sums by each probe, shapes (probes, k_i, k_i).
    logdet : ndarray
        log |V| by each probe, shape (probes,).
    """

    roots: tuple
    sums: tuple
    logdet: np.ndarray

    @classmethod
    def of(cls, deviance):
        """The anchor at an evaluated criterion."""
        sums = deviance.selected.samples
        logdet = np.full(len(sums[0]), float(deviance.value - known_part(deviance)))
        return cls(_roots(deviance.factors), sums, logdet)

    def moved(self, deviance):
        """The anchor at another evaluated point, by Lobatto's rule."""
        products, roots = deviance.elimination.products, _roots(deviance.factors)
        changes = [new - old for new, old in zip(roots, self.roots)]
        sums, total = deviance.selected.samples, 0.0
        for share, weight in zip(LOBATTO, WEIGHTS):
            here = [old + share * c for old, c in zip(self.roots, changes)]
            if share in (0.0, 1.0):
                samples = sums if share else self.sums
            else:
                samples = products.eliminate(here).selected_inverse().samples
            for sample, root, change in zip(samples, here, changes):
                total = total + 2.0 * weight * np.sum(sample * (root @ change), (1, 2))
        return Anchor(roots, sums, self.logdet + total)

    def error(self, other):
        """Standard error of the difference of log |V| between two anchors."""
        return float(np.sqrt(variance_of_mean(self.logdet - other.logdet)))


def _roots(factors):
    return tuple(symmetric_root(f.matrix) for f in factors)


@dataclass(frozen=True)
class WithoutDeterminant(KrylovProfiled):
    """The criterion without log |V|."""

    def evaluate(self, factors):
        """The ProfiledDeviance with what is known of its value, or None."""
        deviance = super().evaluate(factors)
        return deviance and replace(deviance, value=np.asarray(known_part(deviance)))


@dataclass(frozen=True)
class KrylovConstrained(Constrained):
    """A criterion without log |V|, with one parameter held, see `Constrained`."""

    def gain(self, current, trial, step, promised):
        """The decrease, that of log |V| by the trapezoid rule of its score."""
        before = current.evaluation.deviance
        sums = zip(before.information, trial.deviance.information)
        pairs = zip(sums, before.factors, trial.deviance.factors)
        rise = sum(
            0.5 * np.sum((one + other) * (new.covariance - old.covariance))
            for (one, other), old, new in pairs
        )
        return current.value - trial.value - rise


@dataclass(frozen=True)
class KrylovSearch(ConstrainedSearch):
    """
    The minima under constraints of a criterion with estimated traces.

    A start has an Anchor nearby besides factors and tau.

    Parameters
    ----------
    criterion : KrylovProfiled
        The criterion in standardized units.
    """

    def minimum(self, constraint, at, start):
        """The minimum with a parameter held at a value, see `minimize_constrained`."""
        *point, anchor = start
        held = WithoutDeterminant(
            constraint.reduced(self.criterion.products, at), self.criterion.reml
        )
        constrained = KrylovConstrained(held, constraint, at)
        found, end = minimize_held(constrained, self.criterion.products, tuple(point))
        anchor = anchor.moved(end)
        value = found.value + anchor.logdet.mean()
        return replace(found, value=float(value), start=(*found.start, anchor))

    def start(self, deviance):
        """Where a search near the optimum starts."""
        return (*start_at(deviance), Anchor.of(deviance))

    def ahead(self, optimum, at, before=None):
        """Where a search near a minimum starts, see `ConstrainedOptimum.towards`."""
        return (*super().ahead(optimum, at, before), optimum.start[-1])


def zeta_error(curve):
    """
    Standard error of zeta due to the probes.

    A limit of an interval is off by as many standard errors of its parameter.

    Parameters
    ----------
    curve : ProfileCurve
        A curve, with its search.

    Returns
    -------
    float
        The largest of all points; 0 if traces are exact.
    """
    if not isinstance(curve.search, KrylovSearch):
        return 0.0
    origin = curve.origin.optimum.start[-1]
    errors = [
        p.optimum.start[-1].error(origin) / (2.0 * p.height)
        for p in curve.points
        if p.height > HIGH
    ]
    return max(errors, default=0.0)
