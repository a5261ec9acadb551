"""
The blocks of (S^-1 + Z'Z)^-1 that a gradient and its users read.

Written M = L (I + L'Z'Z L)^-1 L', the matrix exists for any S = L L'. Its
diagonal blocks times sigma^2 are the conditional variances of the random
effects. It is found by the recursion of Takahashi, Fagan and Chin (1973) on
the blocks of the elimination.
"""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    inverse_from_cholesky,
    product,
    solve_lower,
    solve_upper,
    symmetric,
    times_each,
    transpose,
)
from statsmodels_lmm.core.engines.elimination import (
    Elimination,
    is_scalar,
    scale_tail,
    times_tail_factor,
)

WELL_CONDITIONED = 1e-3
"""Smallest singular value of L from which Z'V^-1 Z is found from I - T^-1."""


@dataclass(frozen=True)
class SelectedInverse:
    """
    Blocks of M and products with V^-1.

    Factors are in the order of the elimination plan.

    Parameters
    ----------
    elimination : Elimination
        What the blocks were found from.
    diagonal : tuple of ndarray
        Diagonal blocks of M, shapes (..., l_i, k_i, k_i).
    tail : ndarray
        Block of M of the tail, shape (..., q, q); lower triangle if coupled
        sparsely.
    level_sums : tuple of ndarray
        Sum over the levels of the diagonal blocks of Z_i' V^-1 Z_i, shapes
        (..., k_i, k_i).
    projected : tuple of ndarray
        Z_i' V^-1 W, shapes (..., l_i, k_i, w).
    modes : tuple of ndarray
        S_i Z_i' V^-1 W, the conditional modes that each column of W would
        have, shapes (..., l_i, k_i, w).
    """

    elimination: Elimination
    diagonal: tuple
    tail: np.ndarray
    level_sums: tuple
    projected: tuple
    modes: tuple


@dataclass(frozen=True)
class _Tail:
    """The tail's part of a SelectedInverse; `columns` are its stacked modes."""

    inverse: np.ndarray
    columns: np.ndarray
    diagonal: list
    level_sums: list
    projected: list
    modes: list


def selected_inverse(elimination):
    """
    Find the blocks of the inverse after an elimination.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.

    Returns
    -------
    SelectedInverse
    """
    plan = elimination.products.plan
    tail = _tail_inverse(elimination) if plan.tail else None
    blocks: dict = {}
    to_tail: dict = {}
    sums: dict = {}
    projected: dict = {}
    modes: dict = {}

    def between_ancestors(i, j, m):
        """Blocks of M between the ancestors in j and m of each level of i."""
        low, high = min(j, m), max(j, m)
        block = blocks[low, high].take(plan.parents[i, low], axis=-3)
        return block if j <= m else transpose(block)

    for i in reversed(range(plan.n_chain)):
        factor = elimination.factors[i]
        later = list(factor.nested)
        up = {j: plan.parents[i, j] for j in later}
        linked = factor.fixed
        for j in later:
            linked = linked - factor.nested[j] @ modes[j].take(up[j], axis=-3)
        if tail:
            linked = linked - factor.coupling.times(tail.columns)
        modes[i] = times_each(factor.covariance, linked)
        projected[i] = times_each(factor.inner, linked)

        through = {
            m: sum(factor.nested[j] @ between_ancestors(i, j, m) for j in later)
            for m in later
        }
        quadratic = None
        if tail and not later and i == 0:
            quadratic = factor.coupling.quadratic(tail.inverse)
        elif tail:
            values = factor.coupling.values
            reach = factor.coupling.times(tail.inverse)
            for j in later:
                above = to_tail[j].take(up[j], axis=-3)
                through[j] = through[j] + values @ transpose(above)
                reach = reach + factor.nested[j] @ above
            to_tail[i] = -factor.covariance @ reach
            quadratic = reach @ transpose(values)
        for j in later:
            term = through[j] @ transpose(factor.nested[j])
            quadratic = term if quadratic is None else quadratic + term
            blocks[i, j] = -factor.covariance @ through[j]
        blocks[i, i] = factor.covariance
        sums[i] = times_each(factor.inner, factor.diagonal)
        if quadratic is not None:
            blocks[i, i] = factor.covariance + (
                factor.covariance @ quadratic @ factor.covariance
            )
            sums[i] = sums[i] - factor.inner @ quadratic @ transpose(factor.inner)
        sums[i] = sums[i].sum(axis=-3)
    chain = range(plan.n_chain)
    return SelectedInverse(
        elimination,
        tuple([blocks[i, i] for i in chain] + (tail.diagonal if tail else [])),
        tail.inverse if tail else np.zeros((0, 0)),
        tuple([sums[i] for i in chain] + (tail.level_sums if tail else [])),
        tuple([projected[i] for i in chain] + (tail.projected if tail else [])),
        tuple([modes[i] for i in chain] + (tail.modes if tail else [])),
    )


def _tail_inverse(elimination):
    """Everything about the tail, which the recursion starts from."""
    products = elimination.products
    plan = products.plan
    factors = elimination.tail_factors
    root = elimination.tail_cholesky
    transposed = [transpose(f) for f in factors]
    dense = not products.is_coupled_sparsely
    inverse = inverse_from_cholesky(root, both=dense)
    scaled = times_tail_factor(products, transposed, elimination.tail_fixed)
    spherical = solve_upper(root, solve_lower(root, scaled))
    columns = times_tail_factor(products, factors, spherical)
    shapes = [(f.n_levels, f.k_effects) for f in plan.tail]
    spreads = [
        diagonal_blocks(inverse, rows, *shape)
        for rows, shape in zip(plan.tail_slices, shapes)
    ]
    if not dense and not is_scalar(plan.tail):
        inverse = symmetric(inverse)
    middle = scale_tail(products, factors, inverse, overwrite=True)
    full = None
    diagonal, sums, projected, modes = [], [], [], []
    for left, rows, shape, spread in zip(factors, plan.tail_slices, shapes, spreads):
        each = left[..., None, :, :]
        diagonal.append(each @ spread @ transpose(each))
        if np.linalg.svd(left, compute_uv=False).min() > WELL_CONDITIONED:
            solve = transpose(np.linalg.inv(left))
            explained = shape[0] * np.eye(shape[1]) - spread.sum(axis=-3)
            sums.append(solve @ explained @ transpose(solve))
            part = _by_level(spherical[..., rows, :], shape)
            projected.append(solve[..., None, :, :] @ part)
        else:
            if full is None:
                full = elimination.tail if dense else symmetric(elimination.tail)
                full_middle = middle if dense else symmetric(middle)
            row = full[..., rows, :]
            through = _by_level(product(row, full_middle), shape)
            explained = through @ transpose(_by_level(row, shape))
            sums.append((diagonal_blocks(full, rows, *shape) - explained).sum(axis=-3))
            part = elimination.tail_fixed[..., rows, :] - product(row, columns)
            projected.append(_by_level(part, shape))
        modes.append(_by_level(columns[..., rows, :], shape))
    return _Tail(middle, columns, diagonal, sums, projected, modes)


def _by_level(rows, shape):
    """Rows of one tail factor, shape (..., l, k, m)."""
    return rows.reshape(*rows.shape[:-2], *shape, -1)


def diagonal_blocks(matrix, rows, n_levels, k_effects):
    """
    Diagonal blocks of a symmetric matrix of which the lower triangle is known.

    Parameters
    ----------
    matrix : ndarray
        Shape (..., q, q).
    rows : slice
        Rows and columns of one factor.
    n_levels, k_effects : int
        Numbers of blocks and of their rows.

    Returns
    -------
    ndarray
        Shape (..., n_levels, k_effects, k_effects).
    """
    at = np.arange(rows.start, rows.stop).reshape(n_levels, k_effects)
    a, b = np.indices((k_effects, k_effects))
    return matrix[..., at[:, np.maximum(a, b)], at[:, np.minimum(a, b)]]
