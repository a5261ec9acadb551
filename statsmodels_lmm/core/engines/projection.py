"""
K = Z'V^-1 Z, or Z'P Z, for traces of its products with covariance changes.

The covariance of the random effects changes by D_a = I (x) D_a,i for term i. A Hessian
and an information matrix need the traces tr(K D_a K D_b).
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import product, transpose
from statsmodels_lmm.core.engines.plan import EliminationPlan

WIDE = 10
"""Number of effects per level from which k x k x k x k arrays are avoided."""

DENSE_COPIES = 8
"""Matrices as large as Z'PZ that exist at once while it is formed."""


@dataclass(frozen=True)
class LevelProjection:
    """
    K = K_0 - y y' for one term whose levels share no rows.

    Parameters
    ----------
    blocks : ndarray
        Blocks of the levels of K_0 = Z'V^-1 Z, shape (..., l, k, k).
    scores : ndarray or None
        y = Z'V^-1 X (X'V^-1 X)^(-1/2), shape (..., l, k, p); None if K is K_0.
    """

    blocks: np.ndarray
    scores: np.ndarray | None

    def trace_products(self, changes):
        """
        Traces tr(K D_a K D_b) for pairs of changes.

        Parameters
        ----------
        changes : sequence of ndarray
            Change of the S of the term, symmetric, one array of shape (..., m, k, k).

        Returns
        -------
        ndarray
            Shape (..., m, m). There are no leading axes if levels have many effects.
        """
        if self.blocks.shape[-1] > WIDE:
            return self._wide_trace_products(changes[0])
        return _contracted(changes[0], self._squares(), changes[0])

    def _squares(self):
        """Sum over levels g, h of K_gh (x) K_gh, shape (..., k, k, k, k)."""
        k0, y = self.blocks, self.scores
        *batch, levels, k, _ = k0.shape
        flat = k0.reshape(*batch, levels, k * k)
        out = product(transpose(flat), flat)
        if y is None:
            return out.reshape(*batch, k, k, k, k)
        squares = (y @ transpose(y)).reshape(*batch, levels, k * k)
        cross = product(transpose(flat), squares)
        out = (out - cross - transpose(cross)).reshape(*batch, k, k, k, k)
        p = y.shape[-1]
        rows = y.reshape(*batch, levels, k * p)
        pairs = product(transpose(rows), rows).reshape(*batch, k, p, k, p)
        pairs = pairs.swapaxes(-3, -2).reshape(*batch, k * k, p * p)
        inner = product(pairs, transpose(pairs)).reshape(*batch, k, k, k, k)
        return out + inner.swapaxes(-3, -2)

    def _wide_trace_products(self, changes):
        """The traces without squares of K, for levels with many effects."""
        k0, y = self.blocks, self.scores
        moved = np.array([k0 @ change for change in changes])
        out = np.einsum("mgab,ngba->mn", moved, moved, optimize=True)
        if y is not None:
            turned = np.array([change @ y for change in changes])
            flat = [t.reshape(-1, y.shape[-1]) for t in turned]
            across = np.array([(k0 @ t).reshape(f.shape) for t, f in zip(turned, flat)])
            out -= 2.0 * np.einsum("mip,nip->mn", across, np.array(flat))
            inner = np.array([f.T @ y.reshape(f.shape) for f in flat])
            out += np.einsum("mpq,nqp->mn", inner, inner)
        return out


@dataclass(frozen=True)
class DenseProjection:
    """
    K as a whole matrix, for several terms.

    Parameters
    ----------
    matrix : ndarray
        K, with terms in the plan's order, shape (..., q, q).
    plan : EliminationPlan
        The layout of the rows by term.
    """

    matrix: np.ndarray
    plan: EliminationPlan

    def trace_products(self, changes):
        """
        Traces tr(K D_a K D_b) for pairs of changes.

        Parameters
        ----------
        changes : sequence of ndarray
            Change of the S of each term, symmetric, in the order of the plan,
            shapes (..., m, k_i, k_i).

        Returns
        -------
        ndarray
            Shape (..., m, m). There are no leading axes if levels have many effects.
        """
        if max(f.k_effects for f in self.plan.terms) > WIDE:
            return self._wide_trace_products(changes)
        out = 0.0
        for i in range(len(changes)):
            for j in range(i + 1):
                block = _contracted(changes[i], self._squares(i, j), changes[j])
                out = out + (block if i == j else block + transpose(block))
        return out

    def _squares(self, i, j):
        """Sum over levels g of one term and h of another of K_gh (x) K_gh."""
        f, g = self.plan.terms[i], self.plan.terms[j]
        block = self.matrix[..., self.plan.slices[i], self.plan.slices[j]]
        shape, batch = (f.k_effects, g.k_effects), block.shape[:-2]
        if shape == (1, 1):
            return np.einsum("...gh,...gh->...", block, block)[..., *[None] * 4]
        block = block.reshape(*batch, f.n_levels, shape[0], g.n_levels, shape[1])
        flat = np.moveaxis(block, (-3, -1), (-4, -3))
        flat = flat.reshape(*batch, shape[0] * shape[1], -1)
        return product(flat, transpose(flat)).reshape(*batch, *shape, *shape)

    def _wide_trace_products(self, changes):
        """The traces without squares of K, for levels with many effects."""
        columns, q = [], len(self.matrix)
        for f, place, of_term in zip(self.plan.terms, self.plan.slices, changes):
            rows = self.matrix[:, place].reshape(q, f.n_levels, f.k_effects)
            columns.append([(rows @ d).reshape(q, -1) for d in of_term])
        matrices = np.array([np.hstack(each) for each in zip(*columns)])
        flat = matrices.reshape(len(matrices), -1)
        return flat @ transpose(matrices).reshape(len(matrices), -1).T


def _contracted(left, squares, right):
    """Sum of D_ac (sum K (x) K)_abcd D_bd for pairs of changes, shape (..., m, m)."""
    *batch, i, j, _, _ = squares.shape
    squares = squares.swapaxes(-3, -2).reshape(*batch, i * i, j * j)
    half = left.reshape(*left.shape[:-2], i * i) @ squares
    return half @ transpose(right.reshape(*right.shape[:-2], j * j))
