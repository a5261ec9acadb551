"""Draws of the random part of a linear predictor, and of responses."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.families.base import Family


@dataclass(frozen=True)
class Gaussian:
    """
    Independent rows from N(0, R R').

    Parameters
    ----------
    n_rows : int
        Number of rows l.
    root : ndarray
        R, shape (k, k).
    """

    n_rows: int
    root: np.ndarray

    def draw(self, generators):
        """One sample for each generator, shape (r, l, k)."""
        shape = self.n_rows, len(self.root)
        return np.stack([g.standard_normal(shape) for g in generators]) @ self.root.T


@dataclass(frozen=True)
class Correlated:
    """
    One column of rows that are correlated or of unequal variance.

    Parameters
    ----------
    rows : Gaussian
        Independent rows, with one column.
    whitening : Whitening
        Their covariance R, divided by that of the independent rows.
    """

    rows: Gaussian
    whitening: Any

    def draw(self, generators):
        """One sample of n rows for each generator, shape (r, n, 1)."""
        drawn = self.rows.draw(generators)[..., 0]
        return self.whitening.colored(drawn.T).T[..., None]


@dataclass(frozen=True)
class Resampled:
    """
    Rows drawn from a pool with replacement.

    Parameters
    ----------
    pool : ndarray
        Shape (l, k).
    """

    pool: np.ndarray

    def draw(self, generators):
        """One sample of l rows for each generator, shape (r, l, k)."""
        n = len(self.pool)
        return self.pool[np.stack([g.integers(n, size=n) for g in generators])]


@dataclass(frozen=True)
class Held:
    """
    The same rows in every draw.

    Parameters
    ----------
    values : ndarray
        Shape (l, k).
    """

    values: np.ndarray

    def draw(self, generators):
        """The rows, shape (1, l, k)."""
        return self.values[None]


@dataclass(frozen=True)
class RandomPart:
    """
    The random part of the linear predictor, Z b.

    Parameters
    ----------
    terms : tuple of GroupedEffects, RelatedEffects or RawEffects
        The rows that multiply the random effects.
    effects : tuple of Gaussian, Resampled or Held
        The random effects b of each term.
    """

    terms: tuple
    effects: tuple

    def draw(self, generators):
        """
        One random part for each generator.

        Parameters
        ----------
        generators : sequence of numpy.random.Generator
            One for each response, r in all.

        Returns
        -------
        ndarray or float
            Shape (r, n), or (1, n) if all effects are held; 0 without terms.
        """
        effects = [e.draw(generators) for e in self.effects]
        return sum((t.times(b) for t, b in zip(self.terms, effects)), 0.0)


@dataclass(frozen=True)
class NormalResponse:
    """
    The response of a linear model minus its fixed part, Z b + e / sqrt(w).

    Each response uses only its own generator, so it does not matter which are drawn
    together. The fixed part would cost refits the digits that it has before the point.

    Parameters
    ----------
    part : RandomPart
        Z b.
    residuals : Gaussian, Correlated or Resampled
        e, with one column.
    root_weights : ndarray or float
        sqrt(w), shape (n,).
    left_out : ndarray or float
        The fixed part, shape (n,), to be added to what is drawn.
    """

    part: RandomPart
    residuals: Gaussian | Correlated | Resampled
    root_weights: np.ndarray | float = 1.0
    left_out: np.ndarray | float = 0.0

    def draw(self, generators):
        """One response for each generator, shape (r, n)."""
        random = self.part.draw(generators)
        return self.residuals.draw(generators)[..., 0] / self.root_weights + random


@dataclass(frozen=True)
class FamilyResponse:
    """
    The response of a generalized model, drawn from its family given Z b.

    Parameters
    ----------
    part : RandomPart
        Z b.
    fixed : ndarray
        The fixed part of the linear predictor, shape (n,).
    family : Family
        The conditional distribution with its link.
    weights : ndarray
        Prior weights, shape (n,).
    extra : float or None
        The extra parameter of the family.
    """

    part: RandomPart
    fixed: np.ndarray
    family: Family
    weights: np.ndarray
    extra: Any = None

    left_out = 0.0
    """Nothing: the fixed part acts through the mean."""

    def draw(self, generators):
        """
        One response for each generator, shape (r, n).

        A response is NaN if its linear predictor belongs to no distribution, as an
        identity link allows.
        """
        eta = self.fixed + self.part.draw(generators)
        each = np.broadcast_to(eta, (len(generators), len(self.fixed)))
        return np.stack([self._given(row, g) for row, g in zip(each, generators)])

    def _given(self, eta, generator):
        """A response at a linear predictor, shape (n,)."""
        mean = self.family.mean(eta)
        try:
            drawn = self.family.draw(generator, mean, self.weights, self.extra)
        except ValueError:  # NumPy has no such distribution
            drawn = np.nan
        return np.broadcast_to(drawn if np.isfinite(drawn).all() else np.nan, eta.shape)


def reflated(rows, covariance):
    """
    Rows centered and transformed to have a given covariance.

    Conditional modes and residuals vary less than the quantities they estimate;
    Carpenter, Goldstein and Rasbash (2003) rescale them before resampling.

    Parameters
    ----------
    rows : ndarray
        Shape (l, k).
    covariance : ndarray
        Positive semi-definite, shape (k, k).

    Returns
    -------
    ndarray
        Shape (l, k). Directions in which the rows do not vary remain zero.
    """
    centered = rows - rows.mean(axis=0)
    size = np.sqrt((centered**2).mean(axis=0))
    centered = centered / np.where(size > 0.0, size, 1.0)
    correlation = centered.T @ centered / len(rows)
    deviations = np.sqrt(np.diag(covariance))
    unit = np.where(deviations > 0.0, deviations, 1.0)
    wanted = covariance / np.outer(unit, unit)
    stretched = (
        centered @ _symmetric_power(correlation, -0.5) @ _symmetric_power(wanted, 0.5)
    )
    return stretched * deviations


def _symmetric_power(matrix, power):
    """A power of a positive semi-definite matrix, zero on its null space."""
    values, vectors = np.linalg.eigh(matrix)
    used = values > 1e-12 * values[-1]
    powers = np.where(used, np.where(used, values, 1.0) ** power, 0.0)
    return (vectors * powers) @ vectors.T
