"""Rows ordered by the level of one grouping factor, for many values at once."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LevelRows:
    """
    Rows of one grouping factor, those of a level side by side.

    Arrays of rows have these last, so that a sum over a level runs along memory.

    Parameters
    ----------
    order : ndarray
        Positions of the rows among those of the data, shape (n,).
    codes : ndarray
        Level of each row, ascending, shape (n,).
    starts : ndarray
        First row of each level, shape (l,).
    effects : ndarray
        Z of the effects of the rows' own levels, shape (k, n).
    """

    order: np.ndarray
    codes: np.ndarray
    starts: np.ndarray
    effects: np.ndarray

    @classmethod
    def of(cls, term):
        """
        The rows of a term with independent levels.

        Parameters
        ----------
        term : GroupedEffects
            The term.
        """
        order = np.argsort(term.codes, kind="stable")
        codes = term.codes[order]
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        return cls(order, codes, starts, np.ascontiguousarray(term.effects[order].T))

    @property
    def k_effects(self):
        """Number of effects k of a level."""
        return len(self.effects)

    def totals(self, values):
        """Sums over the rows of each level, shape (..., n) to (..., l)."""
        return np.add.reduceat(values, self.starts, axis=-1)

    def sums(self, values):
        """Z'v for values v of shape (..., n), shape (..., l, k)."""
        return np.stack([self.totals(values * z) for z in self.effects], axis=-1)

    def squares(self, weights):
        """Z' diag(w) Z by level, for weights of shape (..., n), (..., l, k, k)."""
        k = self.k_effects
        out = np.empty((*weights.shape[:-1], len(self.starts), k, k))
        for a in range(k):
            for b in range(a + 1):
                both = self.effects[a] * self.effects[b]
                out[..., a, b] = out[..., b, a] = self.totals(weights * both)
        return out

    def times(self, effects):
        """Z b for effects b of shape (..., l, k), shape (..., n)."""
        columns = np.moveaxis(effects, -1, 0)
        return sum(
            c.take(self.codes, axis=-1) * z for c, z in zip(columns, self.effects)
        )

    def forms(self, blocks):
        """Forms z'M z of the rows, for blocks M of the levels, (..., l, k, k)."""
        out = 0.0
        for a, first in enumerate(self.effects):
            for b, second in enumerate(self.effects):
                out = out + blocks[..., a, b].take(self.codes, axis=-1) * first * second
        return out
