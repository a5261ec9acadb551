"""
What a covariance of errors needs of the projection: entries of rows near each other.

With K = I - Hat as in `correlated`, the criterion's derivatives are traces with

    H = K - e e' / scale,

of which block-diagonal derivatives need the blocks within residual groups, and
bidiagonal ones the products of neighboring rows.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import add_identity, transpose
from statsmodels_lmm.core.rows.row_transforms import RowWeights

ENTRIES = 4_000_000
"""Size of the largest dense array formed for a batch of rows."""


@dataclass(frozen=True)
class Neighbors:
    """
    Entries of V^-1 H V^-T, of H and between, for rows one after the other.

    Parameters
    ----------
    whitened : ndarray
        Diagonal entries of H, shape (n,).
    across : ndarray
        Entries of V^-1 H in the row before and the column of each row, shape (n,).
    before : ndarray
        Diagonal entries of V^-1 H V^-T at the row before, shape (n,).
    """

    whitened: np.ndarray
    across: np.ndarray
    before: np.ndarray


@dataclass(frozen=True)
class ProjectionForm:
    """
    H = I - Hat - e e' / scale.

    Parameters
    ----------
    deviance : CorrelatedDeviance
        The point.
    """

    deviance: Any

    @cached_property
    def blocks(self):
        """Blocks within the residual groups of each batch, shapes (G, m, m)."""
        deviance = self.deviance
        out = []
        for batch in deviance.whitening.model.layout.batches:
            e = deviance.residuals[batch.rows]
            block = -e[:, :, None] * e[:, None, :] / deviance.scale
            block -= hat_blocks(deviance, batch)
            out.append(add_identity(block))
        return out

    @cached_property
    def turned(self):
        """L^-T H L^-1, summed over the groups of each pattern, shapes (P, m, m)."""
        whitening = self.deviance.whitening
        each = zip(
            whitening.model.layout.batches, self.blocks, whitening.roots.inverses
        )
        return [
            transpose(inverse) @ batch.pattern_sums(h) @ inverse
            for batch, h, inverse in each
        ]

    @cached_property
    def neighbors(self):
        """Products of rows with those before them in the order of the chain."""
        e, whitening = self.deviance.residuals, self.deviance.whitening
        order, colored = whitening.model.chain.order, whitening.roots.color(e)
        own = _neighbors(*[e[order, None]] * 2, *[colored[order, None]] * 2)
        whole = -hat_neighbors(self.deviance, order) - own / self.deviance.scale
        whole[[0, 2]] += 1.0
        return Neighbors(*whole)

    @property
    def pair_traces(self):
        """Traces tr(B_k B_l H) in the coordinates, shape (m, m)."""
        pairs, q = self.deviance.variance_forms.pairs, self.deviance.bent_residuals
        return pairs.plain - pairs.once - q.T @ q / self.deviance.scale


def hat_blocks(deviance, batch):
    """
    Blocks of Hat within the residual groups of a batch.

    Parameters
    ----------
    deviance : CorrelatedDeviance
        The point.
    batch : Batch
        Groups of m rows.

    Returns
    -------
    ndarray
        Shape (G, m, m).
    """
    n_groups, m = batch.rows.shape
    out = np.zeros((n_groups, m, m))
    if deviance.reml:
        fixed = deviance.fixed_rows[batch.rows]
        out += fixed @ fixed.swapaxes(1, 2)
    if deviance.terms:
        terms = [f.take(batch.rows.ravel()) for f in deviance.terms]
        out += deviance.selected.forms_within(terms, m)
    return out


def hat_neighbors(deviance, order):
    """
    Products of rows of Hat with those before them, see `Neighbors`.

    Parameters
    ----------
    deviance : CorrelatedDeviance
        The point, with rows that are whitened by neighbors.
    order : ndarray
        The rows one after the other, shape (n,).

    Returns
    -------
    ndarray
        Shape (3, n).
    """
    whitening, elimination = deviance.whitening, deviance.elimination
    out = np.zeros((3, len(order)))
    if deviance.reml:
        fixed = deviance.fixed_rows
        colored = whitening.roots.color(fixed)
        out += _neighbors(*[fixed[order]] * 2, *[colored[order]] * 2)
    if not deviance.terms:
        return out
    scaling = RowWeights(np.exp(-whitening.log_deviations))
    raw = [term.transformed(scaling) for term in deviance.raw_terms]
    step = max(2, ENTRIES // max(1, elimination.row_width))
    for start in range(0, len(order), step):
        # the row before the first comes along
        lead = min(start, 1)
        rows = order[start - lead : start + step]
        each = [[f.take(rows) for f in terms] for terms in (deviance.terms, raw)]
        for pairs in zip(*map(elimination.row_forms, each)):
            products = _neighbors(*pairs[0], *pairs[1])
            out[:, start : start + step] += products[:, lead:]
    return out


def _neighbors(left, right, before_left, before_right):
    """Products of pairs of row sets, whitened and not, as in `Neighbors`, (3, n)."""
    out = np.zeros((3, left.shape[0]))
    out[0] = _row_products(left, right)
    out[1, 1:] = _row_products(before_left[:-1], right[1:])
    out[2, 1:] = _row_products(before_left[:-1], before_right[:-1])
    return out


def _row_products(left, right):
    """Inner products of the rows of two matrices, dense or sparse, shape (n,)."""
    if sparse.issparse(left):
        return np.asarray(left.multiply(right).sum(axis=1)).ravel()
    return np.einsum("na,na->n", left, right)
