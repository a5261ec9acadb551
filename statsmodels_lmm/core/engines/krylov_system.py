"""
The system of the tail, which is only ever multiplied by columns, and its approximation.

With C_g = L_1 (L_1'A_gg L_1 + I)^-1 L_1' of the head's levels, the Schur complement is

    S x = x + L_t'(A_tt L_t x - A_t1 C A_1t L_t x).

It is preconditioned in two levels (Mandel 1993). Delta holds the diagonal blocks of S,
and the columns of the coarse space V are the sums of each effect over all levels of a
term, and all effects of a small term. With E = V'S V,

    B = V E^-1 V' + (I - V E^-1 V'S) Delta^-1 (I - S V E^-1 V') = Delta^-1 + U U'_w,

where U has twice as many columns as V. Delta^-1/2 S Delta^-1/2 is I + N, and where rows
are well mixed N has hardly any eigenvalue away from zero but those of V. Since B is
Delta^-1 plus few columns, the diagonal blocks of B, and those of

    P = 2 B - B S B = S^-1 - (I - B S) S^-1 (I - S B),

are known exactly, and only the rest of S^-1 is left to chance.

References
----------
Mandel, J. (1993). Balancing domain decomposition. Communications in Numerical Methods
in Engineering 9, 233-241.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.algebra.conjugate_gradients import conjugate_gradients
from statsmodels_lmm.core.algebra.dense import identity, product, transpose
from statsmodels_lmm.core.algebra.threads import by_columns
from statsmodels_lmm.core.engines.levels import solve_levels
from statsmodels_lmm.core.engines.linked_forms import linked_forms

TOGETHER = 16
"""Number of columns that are multiplied together; more would not stay in the cache."""

SMALL_TERM = 64
"""Number of columns up to which all effects of a term are in the coarse space."""


@dataclass(frozen=True)
class KrylovSystem:
    """
    The Schur complement of the tail and its preconditioner.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics.
    roots : tuple of ndarray
        The symmetric roots L of each S, so that nothing depends on the choice of a
        root, shapes (k_i, k_i).
    half : ndarray
        Roots of C_g = half' half, shape (l_1, k_1, k_1).
    inner : ndarray
        J_g = (I + A_gg S_1)^-1, shape (l_1, k_1, k_1).
    covariance : ndarray
        C_g, shape (l_1, k_1, k_1).
    log_head : float
        Sum of log |I + A_gg S_1|.
    blocks : tuple of ndarray
        Delta: the diagonal blocks of S for each term of the tail, shapes (l, k, k).
    """

    products: Any
    roots: tuple
    half: np.ndarray
    inner: np.ndarray
    covariance: np.ndarray
    log_head: float
    blocks: tuple

    @property
    def tail(self):
        """The terms of the tail with their rows, a list of pairs."""
        plan = self.products.plan
        return list(zip(plan.tail, plan.tail_slices))

    # products --------------------------------------------------------------

    def rooted(self, x):
        """L_t x, which is also L_t'x, for columns x, shape (q, m)."""
        parts = (
            times_blocks(root[None], x[rows])
            for root, (_, rows) in zip(self.roots[1:], self.tail)
        )
        return _joined(x, self.tail, parts)

    def tail_gram(self, x):
        """A_tt x for columns x, shape (q, m)."""
        products, slices = self.products, self.products.plan.tail_slices
        own = products.diagonal[1:]
        parts = (times_blocks(a, x[rows]) for a, rows in zip(own, slices))
        out = _joined(x, self.tail, parts)
        for (i, j), (matrix, upwards) in products.across.items():
            out[slices[i]] += matrix @ x[slices[j]]
            out[slices[j]] += upwards @ x[slices[i]]
        return out

    def at_head(self, x, part):
        """A_1t x at a part of the head's levels, shape (levels k_1, m)."""
        slices = self.products.plan.tail_slices
        pairs = zip(self.products.coupling[part][1], slices)
        return sum(matrix @ x[rows] for matrix, rows in pairs)

    def reduced_gram(self, x):
        """(A_tt - A_t1 C A_1t) x for columns x, shape (q, m)."""
        out = self.tail_gram(x)
        for part, (levels, _, upwards) in enumerate(self.products.coupling):
            across = times_blocks(self.covariance[levels], self.at_head(x, part))
            for matrix, rows in zip(upwards, self.products.plan.tail_slices):
                out[rows] -= matrix @ across
        return out

    def times(self, x):
        """S x for columns x, shape (q, m)."""

        def few(x):
            return x + self.rooted(self.reduced_gram(self.rooted(x)))

        return by_columns(few, x, TOGETHER, 2.0 * self.products.n_entries)

    def solve(self, right, tolerance):
        """S^-1 b for columns b, shape (q, m)."""
        parts = [
            conjugate_gradients(
                self.times,
                self.precondition,
                np.ascontiguousarray(right[:, start : start + TOGETHER]),
                tolerance,
            )
            for start in range(0, right.shape[1], TOGETHER)
        ]
        return np.hstack(parts) if parts else np.zeros(right.shape)

    # preconditioner ----------------------------------------------------------

    @cached_property
    def inverse_blocks(self):
        """Delta^-1 of each term of the tail, shapes (l, k, k)."""
        return [inverse_of(block) for block in self.blocks]

    def jacobi(self, x):
        """Delta^-1 x for columns x, shape (q, m)."""
        pairs = zip(self.inverse_blocks, self.tail)
        return _joined(x, self.tail, (times_blocks(b, x[r]) for b, (_, r) in pairs))

    @cached_property
    def coarse(self):
        """V, shape (q, r)."""
        return block_diag(
            *(
                np.eye(f.n_columns)
                if f.n_columns <= SMALL_TERM
                else np.tile(np.eye(f.k_effects), (f.n_levels, 1))
                for f, _ in self.tail
            )
        )

    @cached_property
    def coarse_image(self):
        """S V, shape (q, r)."""
        return self.times(self.coarse)

    @cached_property
    def coarse_inverse(self):
        """E^-1 with E = V'S V, shape (r, r)."""
        inner = product(self.coarse.T, self.coarse_image)
        return np.linalg.inv(0.5 * (inner + inner.T))

    def precondition(self, x):
        """B x for columns x, shape (q, m)."""
        v, image, inverse = self.coarse, self.coarse_image, self.coarse_inverse
        first = inverse @ product(v.T, x)
        y = self.jacobi(x - product(image, first))
        second = first - inverse @ product(image.T, y)
        y += product(v, second)
        return y

    def twice(self, x):
        """B x and P x = (2 B - B S B) x for columns x, shapes (q, m)."""
        once = self.precondition(x)
        return once, 2.0 * once - self.precondition(self.times(once))

    @cached_property
    def low_rank(self):
        """
        U and weights w with B = Delta^-1 + U diag(w) U', and S U.

        Returns
        -------
        columns : ndarray
            U, shape (q, 2 r).
        weights : ndarray
            Shape (2 r,).
        images : ndarray
            S U, shape (q, 2 r).
        """
        v, image, inverse = self.coarse, self.coarse_image, self.coarse_inverse
        smooth = self.jacobi(image)
        middle = inverse @ product(image.T, smooth) @ inverse
        corner = np.zeros(inverse.shape)
        whole = np.block([[inverse + middle, -inverse], [-inverse, corner]])
        weights, vectors = np.linalg.eigh(0.5 * (whole + whole.T))
        columns = product(np.hstack([v, smooth]), vectors)
        images = product(np.hstack([image, self.times(smooth)]), vectors)
        return columns, weights, images

    # blocks that are known exactly -------------------------------------------

    def tail_blocks(self):
        """Diagonal blocks of P for each term of the tail, shapes (l, k, k)."""
        columns, weights, images = self.low_rank
        smooth = self.jacobi(images)
        inner = weights[:, None] * product(columns.T, images) * weights
        # 2 U w U' - J S U w U' - (...)' - U w U'S U w U'
        half = columns * weights - smooth * weights - 0.5 * product(columns, inner)
        out = []
        for (f, rows), own in zip(self.tail, self.inverse_blocks):
            one = level_products(half[rows], columns[rows], f)
            out.append(own + one + transpose(one))
        return out

    def head_blocks(self):
        """Diagonal blocks of A_1t L_t B L_t'A_t1, shape (l_1, k_1, k_1)."""
        products = self.products
        head = products.plan.terms[0]
        out = np.zeros(self.covariance.shape)
        pairs = zip(self.roots[1:], self.inverse_blocks)
        for j, (root, own) in enumerate(pairs, 1):
            inner, link = root @ own @ root, products.links[0, j]
            out += linked_forms(link, inner, head.n_levels, by_first=True)
        columns, weights, _ = self.low_rank
        rooted = self.rooted(columns)
        for start in range(0, len(weights), TOGETHER):
            some = slice(start, start + TOGETHER)
            x = np.ascontiguousarray(rooted[:, some])
            for part, (levels, *_) in enumerate(products.coupling):
                at = self.at_head(x, part)
                out[levels] += level_products(at * weights[some], at, head)
        return out


def krylov_system(products, roots):
    """
    The system at given covariances.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics.
    roots : sequence of ndarray
        Symmetric roots of each S, shapes (k_i, k_i).

    Returns
    -------
    KrylovSystem

    Raises
    ------
    numpy.linalg.LinAlgError
        If a block is not positive definite in floating point.
    """
    half, inner, log_head = solve_levels(products.diagonal[0], roots[0])
    covariance = transpose(half) @ half if half.shape[-1] > 1 else half**2
    blocks = []
    for j, (f, root) in enumerate(zip(products.plan.tail, roots[1:]), 1):
        explained = linked_forms(products.links[0, j], covariance, f.n_levels)
        block = root @ (products.diagonal[j] - explained) @ root
        blocks.append(block + identity(f.k_effects))
    if not np.isfinite(log_head):
        raise np.linalg.LinAlgError("a level's block is not positive definite")
    return KrylovSystem(
        products,
        tuple(roots),
        half,
        inner,
        covariance,
        float(log_head),
        tuple(blocks),
    )


def symmetric_root(root, least=0.0):
    """
    The symmetric root of L L', with eigenvalues raised to at least `least`.

    Parameters
    ----------
    root : ndarray
        L, shape (k, k).
    least : float, optional
        Smallest eigenvalue of the result.
    """
    vectors, values, _ = np.linalg.svd(root)
    return (vectors * np.maximum(values, least)) @ vectors.T


def times_blocks(blocks, x):
    """
    Block-diagonal times columns.

    Parameters
    ----------
    blocks : ndarray
        The block of each level, or one for all, shape (l, k, k) or (1, k, k).
    x : ndarray
        Shape (l k, m).
    """
    k = blocks.shape[-1]
    if k == 1:
        return blocks[:, 0] * x
    by_level = x.reshape(-1, k, x.shape[1])
    out = np.empty(by_level.shape)
    for a in range(k):
        out[:, a] = blocks[:, a, :1] * by_level[:, 0]
        for b in range(1, k):
            out[:, a] += blocks[:, a, b, None] * by_level[:, b]
    return out.reshape(x.shape)


def level_products(left, right, term):
    """Products left_g right_g' of the rows of each level, shape (l, k, k)."""
    shape = (-1, term.k_effects, left.shape[1])
    return np.einsum("gar,gbr->gab", left.reshape(shape), right.reshape(shape))


def level_sums_of(left, right, term):
    """Sums over the levels of left_g right_g', column by column, shape (m, k, k)."""
    shape = (-1, term.k_effects, left.shape[1])
    return np.einsum("gam,gbm->mab", left.reshape(shape), right.reshape(shape))


def inverse_of(blocks):
    """Inverses of the blocks, shape (l, k, k)."""
    return 1.0 / blocks if blocks.shape[-1] == 1 else np.linalg.inv(blocks)


def _joined(x, tail, parts):
    """The rows of the terms, written into one array."""
    out = np.empty(x.shape)
    for (_, rows), part in zip(tail, parts):
        out[rows] = part
    return out
