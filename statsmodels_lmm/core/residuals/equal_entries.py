"""
Precision matrices that combine few fixed ones: R^-1 = sum_j c_j(phi) Q_j.

Q_j marks entries of R^-1 that are equal whatever the parameters, such as the ends, the
inner rows and the neighbors of an autoregression in whole steps, the diagonal and the
rest for compound symmetry, or each pair of visits of an unstructured covariance. No
structure is asked for them: entries that agree at some arbitrary values of the
parameters agree everywhere. That they do is verified wherever the sum is used.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.algebra.distinct_rows import distinct_rows
from statsmodels_lmm.core.residuals.patterns import PatternCovariance, Patterns

STEPS = 0.5, 2.0
"""Distances from the start of the coordinates at which entries are compared."""

EQUAL = 1e-8
"""Difference, relative to the largest entry, below which entries may be equal."""

VERIFIED = 1e-9
"""Largest difference of entries from the sum, relative to the diagonal."""


@dataclass(frozen=True)
class EqualEntries:
    """
    Which entries of the precision matrices of all patterns are equal.

    Parameters
    ----------
    shapes : tuple
        Shapes (P, m, m) of the matrices of each batch of patterns.
    labels : ndarray
        j of each entry, for all batches one after the other; the number of the Q_j for
        entries that are always zero, shape (N,).
    first : ndarray
        An entry of each Q_j, shape (J,).
    """

    shapes: tuple
    labels: np.ndarray
    first: np.ndarray

    @property
    def count(self):
        """Number of matrices Q_j."""
        return len(self.first)

    @cached_property
    def _sizes(self):
        return np.bincount(self.labels, minlength=self.count + 1)[:-1]

    @cached_property
    def by_batch(self):
        """Labels of the patterns of each batch, shapes (P, m, m)."""
        return self._split(self.labels)

    def _split(self, flat):
        ends = np.cumsum([np.prod(shape) for shape in self.shapes])[:-1]
        pairs = zip(np.split(flat, ends), self.shapes)
        return [each.reshape(shape) for each, shape in pairs]

    def values(self, covariance):
        """
        c_j at a PatternCovariance, shape (J,).

        Returns
        -------
        ndarray or None
            None if R^-1 is not the sum, as far as can be seen in floating point.
        """
        flat = _flat(covariance.precisions)
        values = flat[self.first]
        sum_of_fixed = np.append(values, 0.0)[self.labels]
        sizes = []
        for precision in covariance.precisions:
            root = np.sqrt(np.diagonal(precision, axis1=-2, axis2=-1))
            sizes.append(root[:, :, None] * root[:, None, :])
        if not (np.abs(flat - sum_of_fixed) <= VERIFIED * _flat(sizes)).all():
            return None
        return values

    def slopes(self, covariance):
        """-dc_j, the entries of R^-1 R_k R^-1, shape (c, J)."""
        pairs = zip(covariance.roots, covariance.bends)
        turned = [np.swapaxes(u, 1, 2) @ bend @ u for u, bend in pairs]
        flat = np.concatenate([t.reshape(len(t), -1) for t in turned], axis=1)
        return flat[:, self.first]

    def spread(self, traces):
        """
        Matrices T of the patterns with given tr(Q_j T).

        Parameters
        ----------
        traces : ndarray
            Shape (J,).

        Returns
        -------
        list of ndarray
            Symmetric, shapes (P, m, m).
        """
        return self._split(np.append(traces / self._sizes, 0.0)[self.labels])


def equal_entries(patterns: Patterns, model):
    """
    Find the entries of the precision matrices that are equal.

    Parameters
    ----------
    patterns : Patterns
        The patterns.
    model : ResidualCovariance
        The covariance of one group of each.

    Returns
    -------
    EqualEntries or None
        None if the covariance is hardly defined.
    """
    keys, rng, start = [], np.random.default_rng(0), model.start()
    for step in STEPS:
        x = start + step * model.units * rng.uniform(0.5, 1.0, len(start))
        try:
            precisions = PatternCovariance.at(patterns, model, x).precisions
        except np.linalg.LinAlgError:
            return None
        flat = _flat([0.5 * (p + np.swapaxes(p, 1, 2)) for p in precisions])
        keys.append(np.rint(flat / (EQUAL * np.abs(flat).max())))
    whole = np.column_stack(keys)
    first, labels = distinct_rows(whole)
    zero = (whole[first] == 0.0).all(axis=1)
    number = np.where(zero, np.count_nonzero(~zero), np.cumsum(~zero) - 1)
    shapes = tuple(p.shape for p in precisions)
    return EqualEntries(shapes, number[labels], first[~zero])


def _flat(matrices):
    return np.concatenate([matrix.ravel() for matrix in matrices])
