"""
Sums of T_g' w_g T_g over many levels g, of which many have the same weight.

A weight depends on the rows of a level alone, and where effects are intercepts, on
their number. The sums over levels of one weight are formed once, and then only added.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.whole_numbers import compact
from statsmodels_lmm.core.engines.column_split import ColumnSplit

MOST = 2**27
"""Largest number of bytes that are kept."""

SAME = 1e-15
"""Difference of weights, as a share of the largest one, that is rounding."""


@dataclass(frozen=True)
class EqualWeights:
    """
    Classes of levels that had the same weight, with their sums.

    Parameters
    ----------
    split : ColumnSplit
        How products are formed.
    levels : tuple of ndarray
        Levels of each class.
    grams : tuple of ndarray
        Sum over the levels of each class of T_g'T_g, shape (q, q), of which only the
        lower triangle is valid; numbers of rows in the smallest type that holds them.
    rest : ndarray
        Levels of no class.
    """

    split: ColumnSplit
    levels: tuple
    grams: tuple
    rest: np.ndarray

    @classmethod
    def of(cls, matrix, weights, split):
        """
        The classes of levels with the same weights.

        Parameters
        ----------
        matrix : csr_array
            T, one row for each level, shape (l, q).
        weights : ndarray
            Weights, shape (l,).
        split : ColumnSplit
            How products are formed.

        Returns
        -------
        EqualWeights or None
            None if most levels would be of no class.
        """
        size = 2 if (matrix.data % 1.0 == 0.0).all() else 8
        most = MOST // (size * matrix.shape[1] ** 2)
        _, labels, counts = np.unique(weights, return_inverse=True, return_counts=True)
        largest = np.argsort(-counts, kind="stable")[:most]
        if 2 * counts[largest].sum() < len(weights) or len(largest) * 2 > len(weights):
            return None
        levels = tuple(np.flatnonzero(labels == each) for each in largest)
        parts = [matrix[each] for each in levels]
        grams = tuple(compact(split.gram(part, part), signed=True) for part in parts)
        rest = np.flatnonzero(~np.isin(labels, largest))
        return cls(split, levels, grams, rest)

    def fit(self, weights):
        """Whether the levels of each class have the same weight now, of (l,)."""
        tolerance = SAME * np.abs(weights).max()
        return all(np.ptp(weights[levels]) <= tolerance for levels in self.levels)

    def gram(self, matrix, weights):
        """
        Sum over all levels of T_g' w_g T_g.

        Parameters
        ----------
        matrix : csr_array
            T as before.
        weights : ndarray
            Weights that `fit` the classes, shape (l,).

        Returns
        -------
        ndarray
            Shape (q, q), of which only the lower triangle is valid.
        """
        part = matrix[self.rest]
        scaled = part.copy()
        scaled.data *= np.repeat(weights[self.rest], np.diff(part.indptr))
        total = self.split.gram(part, scaled)
        product = np.empty_like(total)
        for levels, gram in zip(self.levels, self.grams):
            total += np.multiply(gram, weights[levels[0]], out=product)
        return total
