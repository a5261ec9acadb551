"""Draws of the random part of a response."""

from dataclasses import dataclass

import numpy as np


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
    The model of the response minus its fixed part, Z b + e / sqrt(w).

    Parameters
    ----------
    terms : tuple of GroupedEffects, RelatedEffects or RawEffects
        The rows that multiply the random effects.
    effects : tuple of Gaussian, Resampled or Held
        The random effects b of each term.
    residuals : Gaussian or Resampled
        e, with one column.
    root_weights : ndarray or float
        sqrt(w), shape (n,).
    """

    terms: tuple
    effects: tuple
    residuals: Gaussian | Resampled
    root_weights: np.ndarray | float = 1.0

    def draw(self, generators):
        """
        One response for each generator.

        Each response uses only its own generator, so it does not matter which are
        drawn together.

        Parameters
        ----------
        generators : sequence of numpy.random.Generator
            One for each response, r in all.

        Returns
        -------
        ndarray
            Shape (r, n).
        """
        effects = [e.draw(generators) for e in self.effects]
        out = self.residuals.draw(generators)[..., 0] / self.root_weights
        for term, b in zip(self.terms, effects):
            out += term.times(b)
        return out


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
