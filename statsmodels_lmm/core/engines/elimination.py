"""
Block elimination of the random effects.

With V = I + Z S Z', everything a fit needs is a product A' V^-1 B of columns of
Z, X and y. Factors of the chain are eliminated level by level, the tail at
once. For a level with reduced cross-product A and relative covariance S,

    J = (I + A S)^-1,    C = S J = L (I + L'A L)^-1 L',

and eliminating it subtracts R' C R from the cross-products R of everything it
is linked to. J and C exist for any S, singular or not, and neither is found by
subtraction. The reduced cross-products are: they lose about as many digits as the
variance of a random effect, times the rows of its level, exceeds sigma^2.

All arrays may carry leading batch axes, except where the coupling is sparse.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    cholesky,
    product,
    solve_lower,
    symmetric,
    times_each,
    times_shared,
    transpose,
)
from statsmodels_lmm.core.engines.cross_products import CrossProducts

REGULAR = 1e-7
"""Smallest over largest singular value of an L that is inverted."""


@dataclass(frozen=True)
class EliminatedFactor:
    """
    A chain factor at the moment it is eliminated.

    Parameters
    ----------
    inner : ndarray
        J, shape (..., l, k, k).
    covariance : ndarray
        C, shape (..., l, k, k).
    diagonal : ndarray
        Reduced Z'Z of the factor, shape (..., l, k, k).
    nested : dict
        Reduced cross-products with the ancestors, ``nested[j]`` of shape
        (..., l, k, k_j).
    coupling : DenseCoupling, SparseCoupling or None
        Reduced cross-products with the tail.
    fixed : ndarray
        Reduced Z'W, shape (..., l, k, w).
    """

    inner: np.ndarray
    covariance: np.ndarray
    diagonal: np.ndarray
    nested: dict
    coupling: object
    fixed: np.ndarray


@dataclass(frozen=True)
class Elimination:
    """
    The factorized system at one value of the relative covariances.

    Parameters
    ----------
    products : CrossProducts
        What was eliminated.
    factors : tuple of EliminatedFactor
        The chain.
    chain_factors, tail_factors : tuple of ndarray
        L of each factor of chain and tail, shapes (..., k, k).
    tail : ndarray
        Reduced Z_t'Z_t, shape (..., q, q); lower triangle if coupled sparsely.
    tail_cholesky : ndarray
        Lower Cholesky factor of I + L_t' tail L_t, shape (..., q, q).
    tail_fixed : ndarray
        Reduced Z_t'W, shape (..., q, w).
    gram : ndarray
        W' V^-1 W, shape (..., w, w).
    logdet : ndarray
        log |V|, shape (...).
    """

    products: CrossProducts
    factors: tuple
    chain_factors: tuple
    tail_factors: tuple
    tail: np.ndarray
    tail_cholesky: np.ndarray
    tail_fixed: np.ndarray
    gram: np.ndarray
    logdet: np.ndarray

    @property
    def roots(self):
        """L of each factor in the order of the plan."""
        return self.chain_factors + self.tail_factors

    @property
    def cancelled(self):
        """Entries of I + L_t'Z_t'Z_t L_t over the pivots that are left, summed."""
        if not self.tail_factors:
            return 0.0
        transposed = [transpose(f) for f in self.tail_factors]
        whole = np.diagonal(scale_tail(self.products, transposed, self.products.tail))
        return float(((1.0 + whole) / np.diagonal(self.tail_cholesky) ** 2).sum())


def solve_levels(diagonal, factor):
    """
    Eliminate the levels of one factor.

    All is found from the Cholesky factor R of I + L'A L, whose condition is that of
    the problem; I + A S itself is worse by the condition of L.

    Parameters
    ----------
    diagonal : ndarray
        A, shape (..., l, k, k).
    factor : ndarray
        L, shape (..., k, k).

    Returns
    -------
    half : ndarray
        R^-1 L', so that C = half' half, shape (..., l, k, k).
    inner : ndarray
        J = (I + A S)^-1, shape (..., l, k, k).
    logdet : ndarray
        Sum of log |I + A S| over the levels, shape (...).
    """
    k = factor.shape[-1]
    if k == 1:
        each = factor[..., None, :, :]
        explained = diagonal * each**2
        logdet = np.log1p(explained).sum(axis=(-1, -2, -3))
        return each / np.sqrt(1.0 + explained), 1.0 / (1.0 + explained), logdet
    # L'A L is (A L)'L
    matrices = times_shared(transpose(times_shared(diagonal, factor)), factor)
    matrices[..., range(k), range(k)] += 1.0
    inverse, logdet = _inverse_root(matrices)
    half = times_shared(inverse, transpose(factor))
    if _is_regular(factor):
        # J = L'^-1 R^-T half, so that J' is half' R^-1 L^-1
        inner = times_each(transpose(half), inverse)
        inner = transpose(times_shared(inner, np.linalg.inv(factor)))
    else:
        inner = np.eye(k) - diagonal @ (transpose(half) @ half)
    return half, inner, logdet


def _is_regular(factor):
    """Whether L is far enough from singular to be inverted."""
    if factor.shape[-1] == 2:
        size = (factor**2).sum(axis=(-1, -2))
        crossed = factor[..., 0, 1] * factor[..., 1, 0]
        determinant = factor[..., 0, 0] * factor[..., 1, 1] - crossed
        return bool((np.abs(determinant) > REGULAR * size).all())
    values = np.linalg.svd(factor, compute_uv=False)
    return bool((values[..., -1] > REGULAR * values[..., 0]).all())


def _inverse_root(matrices):
    """Inverse of the lower Cholesky factors, and the sum of log-determinants."""
    if matrices.shape[-1] > 2:
        root = np.linalg.cholesky(matrices)
        diagonal = np.diagonal(root, axis1=-2, axis2=-1)
        return np.linalg.inv(root), 2.0 * np.log(diagonal).sum(axis=(-1, -2))
    first = np.sqrt(matrices[..., 0, 0])
    across = matrices[..., 1, 0] / first
    rest = matrices[..., 1, 1] - across**2
    if not (rest > 0.0).all():
        raise np.linalg.LinAlgError("Matrix is not positive definite")
    second = np.sqrt(rest)
    inverse = np.zeros_like(matrices)
    inverse[..., 0, 0], inverse[..., 1, 1] = 1.0 / first, 1.0 / second
    inverse[..., 1, 0] = -across / (first * second)
    return inverse, 2.0 * (np.log(first) + np.log(second)).sum(axis=-1)


def sum_by_parent(values, parents):
    """
    Sum blocks over the levels that share a parent.

    Parameters
    ----------
    values : ndarray
        Shape (..., l, a, b).
    parents : ndarray
        Ascending parent of each level, every parent occurring, shape (l,).

    Returns
    -------
    ndarray
        Shape (..., number of parents, a, b).
    """
    starts = np.flatnonzero(np.diff(parents, prepend=-1))
    return np.add.reduceat(values, starts, axis=-3)


def is_scalar(factors):
    """Whether every factor has one effect column."""
    return all(f.k_effects == 1 for f in factors)


def times_tail_factor(products, factors, matrix):
    """
    L_t' M for M with a row for each tail column, shape (..., q, m).

    Parameters
    ----------
    products : CrossProducts
        Gives the layout of the tail.
    factors : tuple of ndarray
        L' or L of each tail factor, to multiply with from the left.
    matrix : ndarray
        Shape (..., q, m).
    """
    out = np.empty(np.broadcast_shapes(matrix.shape, (*factors[0].shape[:-2], 1, 1)))
    for factor, left, rows in zip(
        products.plan.tail, factors, products.plan.tail_slices
    ):
        part = matrix[..., rows, :]
        if factor.k_effects == 1:
            out[..., rows, :] = part * left
        else:
            shape = (*part.shape[:-2], factor.n_levels, factor.k_effects, -1)
            block = left[..., None, :, :] @ part.reshape(shape)
            out[..., rows, :] = block.reshape(*block.shape[:-3], *part.shape[-2:])
    return out


def scale_tail(products, factors, matrix, overwrite=False):
    """
    L M L' for a symmetric M over the tail columns.

    Parameters
    ----------
    products : CrossProducts
        Gives the layout of the tail.
    factors : sequence of ndarray
        L of each tail factor, shapes (..., k, k).
    matrix : ndarray
        Shape (..., q, q); one triangle is enough if every k is 1.
    overwrite : bool, optional
        Whether the result may take the place of `matrix`.

    Returns
    -------
    ndarray
        Shape (..., q, q).
    """
    if is_scalar(products.plan.tail):
        scale = np.concatenate(
            [
                np.repeat(left[..., 0], f.n_levels, axis=-1)
                for f, left in zip(products.plan.tail, factors)
            ],
            axis=-1,
        )
        same = overwrite and matrix.ndim == scale.ndim + 1
        out = np.multiply(matrix, scale[..., None, :], out=matrix if same else None)
        out *= scale[..., :, None]
        return out
    half = times_tail_factor(products, factors, matrix)
    return transpose(times_tail_factor(products, factors, transpose(half)))


def eliminate(products, chain_factors, tail_factors, within=None):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    chain_factors, tail_factors : sequence of ndarray
        L of the factors of chain and tail, S = L L', shapes (..., k, k), in the
        order of the plan.
    within : WithinLevels, optional
        What the levels of the first factor leave, if it is not to be found by
        subtraction.

    Returns
    -------
    Elimination
    """
    plan = products.plan
    diagonal, fixed = list(products.diagonal), list(products.fixed)
    nested, coupling = dict(products.nested), list(products.coupling)
    tail, tail_fixed, gram = products.tail, products.tail_fixed, products.gram
    logdet = np.zeros(())
    done = []
    for i, factor in enumerate(chain_factors):
        half, inner, level_logdet = solve_levels(diagonal[i], factor)
        c = times_each(transpose(half), half)
        logdet = logdet + level_logdet
        half_fixed = times_each(half, fixed[i])
        c_fixed = times_each(transpose(half), half_fixed)
        later = range(i + 1, plan.n_chain)
        for j in later:
            parents = plan.parents[i, j]
            across = transpose(nested[i, j])
            reduced = across @ c
            diagonal[j] = diagonal[j] - sum_by_parent(reduced @ nested[i, j], parents)
            fixed[j] = fixed[j] - sum_by_parent(across @ c_fixed, parents)
            for m in range(j + 1, plan.n_chain):
                nested[j, m] = nested[j, m] - sum_by_parent(
                    reduced @ nested[i, m], parents
                )
            if plan.tail:
                change = sum_by_parent(reduced @ coupling[i].values, parents)
                coupling[j] = coupling[j].minus(change)
        if plan.tail:
            change = coupling[i].gram(c)
            tail = np.subtract(tail, change, out=change)
            tail_fixed = tail_fixed - coupling[i].transposed_times(c_fixed)
        gram = gram - _level_gram(half_fixed, half_fixed)
        done.append(
            EliminatedFactor(
                inner,
                c,
                diagonal[i],
                {j: nested[i, j] for j in later},
                coupling[i],
                fixed[i],
            )
        )
        if within and i == 0:
            gram = _replace_reduced(within, factor, plan, diagonal, fixed, nested)
    root = tail
    if plan.tail:
        transposed = [transpose(f) for f in tail_factors]
        if products.is_coupled_sparsely and not is_scalar(plan.tail):
            tail = symmetric(tail)
        scaled = scale_tail(products, transposed, tail)
        scaled[..., range(plan.n_tail), range(plan.n_tail)] += 1.0
        root = cholesky(scaled)
        half = solve_lower(root, times_tail_factor(products, transposed, tail_fixed))
        gram = gram - product(transpose(half), half)
        logs = np.log(np.diagonal(root, axis1=-2, axis2=-1))
        logdet = logdet + 2.0 * logs.sum(axis=-1)
    return Elimination(
        products,
        tuple(done),
        tuple(chain_factors),
        tuple(tail_factors),
        tail,
        root,
        tail_fixed,
        gram,
        logdet,
    )


def _replace_reduced(within, factor, plan, diagonal, fixed, nested):
    """Put what the first factor leaves in the place of differences; the new W'W."""
    half = within.half_inverse(factor)
    own_fixed = half @ within.fixed
    for (j, m), left in within.left.items():
        first, parents = transpose(half @ within.nested[j]), plan.parents[0, j]
        summed = left + sum_by_parent(first @ (half @ within.nested[m]), parents)
        if j == m:
            diagonal[j] = summed
            own = sum_by_parent(first @ own_fixed, parents)
            fixed[j] = within.left_fixed[j] + own
        else:
            nested[j, m] = summed
    return within.gram + _level_gram(own_fixed, own_fixed)


def _level_gram(left, right):
    """Sum over levels and effects of left' right, shape (..., a, b)."""
    batch = np.broadcast_shapes(left.shape[:-1], right.shape[:-1])
    rows = batch[-2] * batch[-1]
    flat = [
        np.broadcast_to(m, (*batch, m.shape[-1])).reshape(
            *batch[:-2], rows, m.shape[-1]
        )
        for m in (left, right)
    ]
    return product(transpose(flat[0]), flat[1])


def half_forms(elimination, chain_columns, tail_columns):
    """
    N' (S^-1 + A)^-1 N and N' (S^-1 + A)^-1 Z'W for right-hand sides N.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    chain_columns : list of ndarray
        Rows of N of each chain factor, shapes (..., l, k, m).
    tail_columns : ndarray
        Rows of N of the tail, shape (..., q, m).

    Returns
    -------
    ndarray
        [N Z'W]' (S^-1 + A)^-1 N, shape (..., m + w, m).
    """
    plan = elimination.products.plan
    columns = list(chain_columns)
    total = 0.0
    for i, factor in enumerate(elimination.factors):
        c_columns = times_each(factor.covariance, columns[i])
        for j, block in factor.nested.items():
            columns[j] = columns[j] - sum_by_parent(
                transpose(block) @ c_columns, plan.parents[i, j]
            )
        if plan.tail:
            tail_columns = tail_columns - factor.coupling.transposed_times(c_columns)
        fixed = np.broadcast_to(
            factor.fixed, (*columns[i].shape[:-1], factor.fixed.shape[-1])
        )
        both = np.concatenate([columns[i], fixed], axis=-1)
        total = total + _level_gram(both, c_columns)
    if plan.tail:
        transposed = [transpose(f) for f in elimination.tail_factors]
        fixed = np.broadcast_to(
            elimination.tail_fixed,
            (*tail_columns.shape[:-1], elimination.tail_fixed.shape[-1]),
        )
        both = np.concatenate([tail_columns, fixed], axis=-1)
        half = solve_lower(
            elimination.tail_cholesky,
            times_tail_factor(elimination.products, transposed, both),
        )
        total = total + product(transpose(half), half[..., : tail_columns.shape[-1]])
    return total


def times_gram(products, chain_columns, tail_columns):
    """
    Z'Z T for a T with a row for each random effect.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    chain_columns : list of ndarray
        Rows of T of each chain factor, shapes (..., l, k, m).
    tail_columns : ndarray
        Rows of T of the tail, shape (..., q, m).

    Returns
    -------
    chain : list of ndarray
        Rows of the product of each chain factor.
    tail : ndarray
        Rows of the product of the tail.
    """
    plan = products.plan
    out = [times_each(a, t) for a, t in zip(products.diagonal, chain_columns)]
    for (i, j), block in products.nested.items():
        parents = plan.parents[i, j]
        out[i] = out[i] + block @ chain_columns[j].take(parents, axis=-3)
        out[j] = out[j] + sum_by_parent(transpose(block) @ chain_columns[i], parents)
    tail = product(products.tail, tail_columns)
    if plan.tail:
        for i, link in enumerate(products.coupling):
            out[i] = out[i] + link.times(tail_columns)
            tail = tail + link.transposed_times(chain_columns[i])
    return out, tail


def projected_forms(elimination, columns):
    """
    T'Z'V^-1 Z T and X'V^-1 Z T.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    columns : list of ndarray
        Rows of T of each factor in the order of the elimination plan, shapes
        (..., l_i, k_i, m).

    Returns
    -------
    own : ndarray
        Shape (..., m, m).
    with_fixed : ndarray
        Shape (..., p, m).
    """
    plan = elimination.products.plan
    p, m = elimination.products.k_fixed, columns[0].shape[-1]
    chain = columns[: plan.n_chain]
    tail = np.zeros((0, m))
    if plan.tail:
        tail = np.concatenate([_rows(c) for c in columns[plan.n_chain :]], axis=-2)
    right, tail_right = times_gram(elimination.products, chain, tail)
    own = product(transpose(tail), tail_right)
    with_fixed = transpose(elimination.products.tail_fixed[..., :p]) @ tail
    for c, r, w in zip(chain, right, elimination.products.fixed):
        flat = _rows(c)
        own = own + product(transpose(flat), _rows(r))
        with_fixed = with_fixed + transpose(_rows(w[..., :p])) @ flat
    forms = half_forms(elimination, right, tail_right)
    return own - forms[..., :m, :], with_fixed - forms[..., m : m + p, :]


def _rows(blocks):
    """Levels and effects as one axis, shape (..., l k, m)."""
    *batch, levels, effects, columns = blocks.shape
    return blocks.reshape(*batch, levels * effects, columns)
