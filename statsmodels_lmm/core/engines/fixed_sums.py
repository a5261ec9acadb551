"""
Cross-products that combine linearly, so that an evaluation does not touch the rows.

With R^-1 = sum_j c_j Q_j, see `equal_entries`, and A = [Z X y],

    A'R^-1 A = sum_j c_j A'Q_j A,

where the sums on the right are formed once, in one pass over the rows.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.residuals.equal_entries import EqualEntries, equal_entries
from statsmodels_lmm.core.residuals.patterns import Patterns
from statsmodels_lmm.core.residuals.whitening import LONG

FEW = 10_000
"""Number of entries of matrices of patterns that are compared whatever the rows."""

LOST = 1e5
"""How much larger than their sum terms may be; digits are lost by subtraction."""


@dataclass(frozen=True)
class FixedSums:
    """
    The sums A'Q_j A, for random effects of one grouping factor or none.

    Parameters
    ----------
    engine : BlockEngine
        The engine of the terms.
    patterns : Patterns
        The residual groups.
    entries : EqualEntries
        The matrices Q_j.
    nobs : int
        Number of rows n.
    squares, sums : ndarray
        Z'Q_j Z and Z'Q_j W of each level, shapes (J, l, k, k) and (J, l, k, w).
    gram : ndarray
        W'Q_j W, shape (J, w, w).
    """

    engine: Any
    patterns: Patterns
    entries: EqualEntries
    nobs: int
    squares: np.ndarray
    sums: np.ndarray
    gram: np.ndarray

    @classmethod
    def of(cls, engine, rows, patterns, entries):
        """Form the sums in one pass over the rows."""
        columns = rows.columns()
        effects = _effects(engine, len(columns))
        k = effects.shape[1]
        right = np.hstack([effects, columns])
        sums, gram = _forms(engine, patterns, entries, columns, right)
        squares, sums = sums[..., :k].copy(), sums[..., k:].copy()
        return cls(
            engine, patterns, entries, len(columns), squares, sums, gram[..., k:]
        )

    def combined(self, weights):
        """
        The products with the sum of weights times Q_j in place of R^-1.

        Parameters
        ----------
        weights : ndarray
            Shape (J,).

        Returns
        -------
        Products or None
            None if too many digits are lost.
        """
        each = self.squares, self.sums, self.gram
        squares, sums, gram = (combined(weights, matrices) for matrices in each)
        terms = np.abs(weights) @ np.diagonal(self.gram, axis1=1, axis2=2)
        if not (terms <= LOST * np.diagonal(gram)).all():
            return None
        return self.engine.of_sums(self.nobs, squares, sums, gram)

    def turned(self, change):
        """The sums of [X y] times a matrix, see `Products.turned`."""
        gram = change.T @ self.gram @ change
        return replace(self, sums=self.sums @ change, gram=gram)

    def with_response(self, rows):
        """The sums with another response, that of `rows`."""
        columns = rows.columns()
        last = columns[:, -1:]
        sums, gram = self.sums.copy(), self.gram.copy()
        changed = _forms(self.engine, self.patterns, self.entries, columns, last)
        sums[..., -1:], gram[..., -1:] = changed
        gram[..., -1, :] = gram[..., -1]
        return replace(self, sums=sums, gram=gram)


def combined(weights, matrices):
    """
    Linear combinations of matrices.

    Parameters
    ----------
    weights, matrices : ndarray
        Shapes (..., J) and (J, ...).

    Returns
    -------
    ndarray
    """
    count, *shape = matrices.shape
    flat = matrices.reshape(count, matrices.size // count)
    return (weights @ flat).reshape(*weights.shape[:-1], *shape)


def fixed_sums(engine, rows, model):
    """
    The fixed sums of a model, if combining them is less work than whitening rows.

    With J matrices Q_j, q random effects and w columns of [X y], the sums hold
    J (q + w) numbers for each column of Z and of [X y]. Whitening such a column takes
    as many products as there are entries in the blocks of R.

    Parameters
    ----------
    engine : Engine
        The engine of the terms.
    rows : Rows
        X and y.
    model : ResidualCovariance
        The covariance of the errors.

    Returns
    -------
    FixedSums or None
    """
    n, terms = model.layout.n_rows, engine.plan.terms
    if not _suits(engine, model):
        return None
    patterns = Patterns.of(model)
    if patterns.n_entries > max(n, FEW):
        return None
    entries = equal_entries(patterns, patterns.representatives(model))
    width = rows.exog.shape[1] + 1 + sum(f.n_columns for f in terms)
    in_blocks = sum(batch.rows.size * batch.rows.shape[1] for batch in patterns.batches)
    if entries is None or entries.count * width > in_blocks:
        return None
    return FixedSums.of(engine, rows, patterns, entries)


def _suits(engine, model):
    """
    Whether there is one independent term around the residual groups, or none.

    Terms whose levels cross the groups are not grouped, see `SpreadEffects`.
    """
    terms, layout = engine.plan.terms, model.layout
    if len(terms) > 1 or not isinstance(engine, BlockEngine) or layout.largest > LONG:
        return False
    return all(f.is_grouped and f.relationship is None for f in terms)


def _effects(engine, nobs):
    """Effect columns of the term, shape (n, k); no column without a term."""
    terms = engine.plan.terms
    return terms[0].effects if terms else np.zeros((nobs, 0))


def _forms(engine, patterns, entries, left, right):
    """
    Z'Q_j B of each level and A'Q_j B, for columns A and B.

    Returns
    -------
    sums, gram : ndarray
        Shapes (J, l, k, b) and (J, a, b).
    """
    terms, count, width = engine.plan.terms, entries.count, right.shape[1]
    levels = terms[0].n_levels if terms else 0
    effects = _effects(engine, len(left))
    sums = np.zeros((count, levels, effects.shape[1], width))
    gram = np.zeros((count, left.shape[1], width))
    for batch, labels in zip(patterns.batches, entries.by_batch):
        for label, start, stop in zip(labels, batch.starts[:-1], batch.starts[1:]):
            rows = batch.rows[start:stop].T
            here, there = left[rows], right[rows]
            for j in np.unique(label[label < count]):
                at = np.flatnonzero((label == j).any(axis=0))
                mark = (label[np.ix_(at, at)] == j).astype(float)
                changed = np.tensordot(mark, there[at], 1)
                flat = changed.reshape(-1, width)
                gram[j] += here[at].reshape(len(flat), -1).T @ flat
                if terms:
                    levels_at = terms[0].codes[rows[0]]
                    _add_by_level(sums[j], levels_at, effects[rows[at]], changed)
    return sums, gram


def _add_by_level(out, levels, effects, columns):
    """
    Add sums over the rows of groups of products of effects and columns.

    Parameters
    ----------
    out : ndarray
        Where they are added, shape (l, k, b).
    levels : ndarray
        Level of each group, shape (G,).
    effects, columns : ndarray
        Shapes (m, G, k) and (m, G, b).
    """
    n_levels, k, width = out.shape
    for a in range(k):
        each = np.einsum("mg,mgb->gb", effects[..., a], columns)
        for b in range(width):
            out[:, a, b] += np.bincount(levels, each[:, b], n_levels)
