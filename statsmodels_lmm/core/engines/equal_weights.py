"""
Sums of T_g' w_g T_g over many levels g, of which many have the same weight.

A weight depends on the rows of a level alone, and where effects are intercepts, on
their number. The sums over levels of one weight are formed once, and then only added.
"""

from dataclasses import dataclass

import numpy as np

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
        size = np.int16().nbytes if (matrix.data % 1.0 == 0.0).all() else 8
        most = MOST // (size * matrix.shape[1] ** 2)
        _, labels, counts = np.unique(weights, return_inverse=True, return_counts=True)
        largest = np.argsort(-counts, kind="stable")[:most]
        if 2 * counts[largest].sum() < len(weights) or len(largest) * 2 > len(weights):
            return None
        levels = tuple(np.flatnonzero(labels == each) for each in largest)
        parts = [matrix[each] for each in levels]
        grams = tuple(_compact(split.gram(part, part)) for part in parts)
        rest = np.flatnonzero(~np.isin(labels, largest))
        return cls(split, levels, grams, rest)

    def gram(self, matrix, weights):
        """
        Sum over all levels of T_g' w_g T_g.

        Parameters
        ----------
        matrix : csr_array
            T as before.
        weights : ndarray
            Any weights, shape (l,).

        Returns
        -------
        ndarray or None
            Shape (q, q), of which only the lower triangle is valid; None if levels of a
            class have different weights now.
        """
        tolerance = SAME * np.abs(weights).max()
        each = [weights[levels] for levels in self.levels]
        if any(np.ptp(some) > tolerance for some in each):
            return None
        part = matrix[self.rest]
        scaled = part.copy()
        scaled.data *= np.repeat(weights[self.rest], np.diff(part.indptr))
        total = self.split.gram(part, scaled)
        product = np.empty_like(total)
        for some, gram in zip(each, self.grams):
            total += np.multiply(gram, some[0], out=product)
        return total


def _compact(gram):
    """Whole numbers in a small type, and other numbers as they are."""
    largest = np.abs(gram).max()
    if (gram % 1.0).any() or largest >= 2**31:
        return gram
    return gram.astype(np.min_scalar_type(-1 - int(largest)))
