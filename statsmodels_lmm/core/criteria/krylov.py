"""
The profiled deviance where traces and log |V| are estimated from probes.

Its probes are the same everywhere, so that the score is a smooth function of the
covariances. It is not exactly the gradient of the estimated criterion; the merit of a
step s is therefore the trapezoid rule of the score, a decrease of -(g_0 + g_1)'s / 2,
and the criterion itself is evaluated only at the end.

The estimates of the single probes give the Monte-Carlo covariance of the score, and
with the curvature H that of the parameters, H^-1 cov(g) H^-1, beside the statistical
2 H^-1.
"""

from dataclasses import dataclass, replace

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive, eigh
from statsmodels_lmm.core.criteria.derivatives import gradient
from statsmodels_lmm.core.criteria.deviance import (
    Profiled,
    ProfiledDeviance,
    profiled_deviance,
)
from statsmodels_lmm.core.engines.krylov_probes import variance_of_mean
from statsmodels_lmm.core.structures.relative_factor import split_step

NO_CURVATURE = 1e-10
"""Curvature, relative to the largest, along which no error is stated."""


@dataclass(frozen=True)
class KrylovProfiled(Profiled):
    """
    The criterion of a search with estimated traces.

    Parameters
    ----------
    products, reml
        See `Profiled`; the products are KrylovProducts.
    known : ProfiledDeviance, optional
        The criterion at the start, if it has been evaluated.
    """

    known: ProfiledDeviance | None = None

    exact_below = 0.0

    def evaluate(self, factors):
        """The ProfiledDeviance at given factors, without its value."""
        known = self.known
        if known is not None and all(map(_is, factors, known.factors)):
            return known
        try:
            return profiled_deviance(self.products, factors, self.reml, valued=False)
        except np.linalg.LinAlgError:
            return None

    def gain(self, current, trial, step, promised):
        """The decrease of the criterion by the trapezoid rule of the score."""
        duals = trial.derivatives().duals
        if step is not None:
            # where the step led before a new pivot, in the coordinates of its start
            pairs = zip(current.point, split_step(step, current.point))
            slope = gradient([f.moved(s) for f, s in pairs], duals)
            return -0.5 * (current.gradient + slope) @ step
        before = current.evaluation.derivatives().duals
        changes = [
            f.covariance - g.covariance for f, g in zip(trial.factors, current.point)
        ]
        each = zip(before, duals, changes)
        return -0.5 * sum(((g + h) * change).sum() for g, h, change in each)

    def dual_error(self, evaluation):
        """The largest standard error of any dual, relative to the information."""
        pairs = zip(evaluation.selected.samples, evaluation.information)
        return max(
            np.sqrt(variance_of_mean(each).max()) / max(np.trace(known), 1e-300)
            for each, known in pairs
        )


def criterion_of(products, reml):
    """
    The criterion that suits the products.

    Parameters
    ----------
    products : Products
        Sufficient statistics.
    reml : bool
        Whether it is the REML criterion.

    Returns
    -------
    Profiled
    """
    kind = KrylovProfiled if products.is_stochastic else Profiled
    return kind(products, reml)


def _is(one, other):
    return one is other


def probed(deviance, **changes):
    """
    The same point with other numbers of probes.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The point.
    **changes : int
        Fields of `Probes`.

    Returns
    -------
    ProfiledDeviance
    """
    return replace(deviance, elimination=deviance.elimination.probed(**changes))


def valued(deviance):
    """The same point with its value."""
    value = deviance.elimination.logdet + known_part(deviance)
    out = replace(deviance, value=np.asarray(value))
    known = {k: v for k, v in deviance.__dict__.items() if k not in out.__dict__}
    out.__dict__.update(known)  # what was computed on first use stays
    return out


def known_part(deviance):
    """The criterion without log |V|, the only part that is estimated."""
    value = deviance.nu * (1.0 + np.log(2.0 * np.pi * deviance.scale))
    if deviance.reml:
        value = value + 2.0 * np.log(np.diag(deviance.fixed_root)).sum()
    return value


@dataclass(frozen=True)
class Errors:
    """
    How well an optimum is known.

    Parameters
    ----------
    statistical : ndarray
        Covariance of the free parameters from the data, 2 H^-1, shape (m, m).
    simulated : ndarray
        Their covariance due to the probes and to the end of the search, shape (m, m).
    """

    statistical: np.ndarray
    simulated: np.ndarray

    @property
    def ratio(self):
        """Largest error of any combination due to the probes, in standard errors."""
        values, vectors = eigh(self.statistical)
        used = values > 1e-14 * values.max(initial=0.0)
        whitened = vectors[:, used] / np.sqrt(values[used])
        inner = whitened.T @ self.simulated @ whitened
        return float(np.sqrt(max(np.linalg.eigvalsh(inner).max(initial=0.0), 0.0)))


def errors(deviance):
    """
    The covariances of the free parameters at an optimum.

    Parameters
    ----------
    deviance : ProfiledDeviance
        The optimum.

    Returns
    -------
    Errors
    """
    samples, parts = deviance.selected.samples, []
    for factor, each in zip(deviance.factors, samples):
        parts.append(np.array([factor.slope(sample) for sample in each]))
    noise, slopes = variance_of_mean(np.hstack(parts)), deviance.derivatives()
    values, vectors = eigh(slopes.curvature)
    used = values > NO_CURVATURE * np.abs(values).max(initial=0.0)
    inverse = (vectors[:, used] / values[used]) @ vectors[:, used].T
    promised = 0.5 * slopes.gradient @ inverse @ slopes.gradient
    # a search that stops with p promised leaves sqrt(p) standard errors
    left = 2.0 * promised * inverse
    return Errors(2.0 * inverse, inverse @ noise @ inverse + left)


def theta_errors(units, deviance):
    """
    Standard errors of theta, from the data and from the probes.

    Parameters
    ----------
    units : Units
        The conversion to the user's order and units.
    deviance : ProfiledDeviance
        The optimum.

    Returns
    -------
    statistical, simulated : ndarray
        In the user's order, shape (m,); NaN where a parameter is zero and moves no
        covariance.
    """
    found = errors(deviance)
    unpivoted = units.factors_at(units.theta(deviance.factors))
    by_theta = _covariance_changes(unpivoted) @ units.theta_jacobian(unpivoted)
    change = np.linalg.pinv(by_theta) @ _covariance_changes(deviance.factors)
    idle = np.abs(by_theta).max(axis=0, initial=0.0) <= 0.0
    out = []
    for covariance in (found.statistical, found.simulated):
        variances = np.einsum("ta,ab,tb->t", change, covariance, change)
        out.append(np.where(idle, np.nan, np.sqrt(np.maximum(variances, 0.0))))
    return tuple(out)


def _covariance_changes(factors):
    """Changes of the entries of all S by the free parameters, (entries, m)."""
    rows = consecutive(f.size**2 for f in factors)
    columns = consecutive(f.n_free for f in factors)
    out = np.zeros((rows[-1].stop, columns[-1].stop))
    for f, row, column in zip(factors, rows, columns):
        out[row, column] = f.directions.reshape(f.n_free, -1).T
    return out
