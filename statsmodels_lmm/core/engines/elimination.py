"""
Block elimination of the random effects.

With V = I + Z S Z', everything a fit needs is a product A'V^-1 B of columns of Z, X
and y. Terms of the chain are eliminated level by level, see `levels`, and the tail all
at once. The reduced cross-products are differences: they lose as many digits as the
ratio to sigma^2 of a random effect's variance times the rows per level has.

All arrays may have leading batch axes, unless the coupling is sparse.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.bordered_cholesky import DenseCholesky
from statsmodels_lmm.core.algebra.dense import (
    add_identity,
    as_array,
    cholesky,
    product,
    times_each,
    transpose,
)
from statsmodels_lmm.core.engines.coupled_projection import coupled_kernel
from statsmodels_lmm.core.engines.levels import (
    level_gram,
    solve_levels,
    sum_by_parent,
)
from statsmodels_lmm.core.engines.projection import DenseProjection, LevelProjection
from statsmodels_lmm.core.engines.row_forms import row_forms
from statsmodels_lmm.core.engines.selected_inverse import selected_inverse
from statsmodels_lmm.core.engines.solution import (
    back_substitute,
    inverse_if_regular,
    projected,
    reduced,
    sparsely_reduced,
    stacked,
)
from statsmodels_lmm.core.engines.tail import (
    is_scalar,
    scalar_scale,
    scale_tail,
    times_tail_root,
)


@dataclass(frozen=True)
class EliminatedTerm:
    """
    A chain term at the point of its elimination.

    Parameters
    ----------
    inner : ndarray
        J, shape (..., l, k, k).
    covariance : ndarray
        C, shape (..., l, k, k).
    diagonal : ndarray
        Reduced Z'Z of the term, shape (..., l, k, k).
    nested : dict
        Reduced cross-products with the ancestors, ``nested[j]`` of shape
        (..., l, k, k_j).
    coupling : DenseCoupling, SparseCoupling or None
        Reduced cross-products with the tail.
    sums : ndarray
        Reduced Z'W, shape (..., l, k, w).
    """

    inner: np.ndarray
    covariance: np.ndarray
    diagonal: np.ndarray
    nested: dict
    coupling: object
    sums: np.ndarray

    @cached_property
    def kernel(self):
        """Z'V^-1 Z of each level where no other term is left: J times reduced Z'Z."""
        return times_each(self.inner, self.diagonal)


@dataclass(frozen=True)
class BlockElimination:
    """
    The factorized system at one value of the relative covariances.

    Parameters
    ----------
    products : CrossProducts
        What was eliminated.
    roots : tuple of ndarray
        L of each term in the order of the plan, shapes (..., k, k).
    terms : tuple of EliminatedTerm
        The chain.
    tail : ndarray or None
        Reduced Z_t'Z_t, shape (..., q, q); None if coupled sparsely, see
        `solution.whole_tail`.
    tail_cholesky : DenseCholesky or BorderedCholesky
        Cholesky factor of I + L_t' tail L_t.
    tail_sums : ndarray
        Reduced Z_t'W, shape (..., q, w).
    gram : ndarray
        W' V^-1 W, shape (..., w, w).
    logdet : ndarray
        log |V|, shape (...).
    """

    products: Any
    roots: tuple
    terms: tuple
    tail: np.ndarray
    tail_cholesky: Any
    tail_sums: np.ndarray
    gram: np.ndarray
    logdet: np.ndarray

    precision = 1e-14
    """Lower bound on the relative error of log |V| and W'V^-1 W: that of arithmetic."""

    @property
    def tail_roots(self):
        """L of each term of the tail."""
        return self.roots[self.products.plan.n_chain :]

    @cached_property
    def tail_inverses(self):
        """L^-1 of each term of the tail; None where L cannot safely be inverted."""
        return [inverse_if_regular(root) for root in self.tail_roots]

    @property
    def cancelled(self):
        """Sum of diagonal entries of I + L_t'Z_t'Z_t L_t divided by the pivots left."""
        plan = self.products.plan
        if not plan.tail:
            return 0.0
        transposed = [transpose(root) for root in self.tail_roots]
        scaled = scale_tail(plan, transposed, as_array(self.products.tail))
        pivots = self.tail_cholesky.pivots()
        return float(((1.0 + np.diagonal(scaled)) / pivots).sum())

    def solve(self, sums=None):
        """
        M C with M = (S^-1 + Z'Z)^-1 = L (I + L'Z'Z L)^-1 L'.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            Rows of C for each term in the order of the plan, (..., l_i, k_i, m);
            default is Z'W, which gives the conditional modes.

        Returns
        -------
        list of ndarray
            Rows of each term, shapes (..., l_i, k_i, m).
        """
        return back_substitute(self, *self._reduced(sums)).modes

    def project(self, sums=None):
        """
        C - Z'Z M C, which is Z'V^-1 A for sums C = Z'A of columns A.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            See `solve`.

        Returns
        -------
        list of ndarray
            Rows of each term, shapes (..., l_i, k_i, m).
        """
        chain, tail = self._reduced(sums)
        return projected(self, tail, back_substitute(self, chain, tail))

    def _reduced(self, sums):
        """Sums as they stand when each term and, finally, the tail is eliminated."""
        if sums is None:
            return [term.sums for term in self.terms], self.tail_sums
        chain, tail, _ = reduced(self, sums)
        return chain, tail

    def projected_forms(self, columns):
        """
        T'Z'V^-1 Z T.

        Parameters
        ----------
        columns : list of ndarray
            Rows of T for each term in elimination order, shapes
            (..., l_i, k_i, m).

        Returns
        -------
        ndarray
            Shape (..., m, m).
        """
        if self.products.plan.is_diagonal:
            return level_gram(columns[0], times_each(self.terms[0].kernel, columns[0]))
        right = self.products.gram_times(columns)
        whole = sum(level_gram(c, r) for c, r in zip(columns, right))
        return whole - self._explained(right)

    def _explained(self, sums):
        """C'M C for sums C by term, shape (..., m, m)."""
        plan, total = self.products.plan, 0.0
        chain, tail, weighted = reduced(self, sums)
        for left, c_left in zip(chain, weighted):
            total = total + level_gram(left, c_left)
        if plan.tail:
            transposed = [transpose(root) for root in self.tail_roots]
            scaled = times_tail_root(plan, transposed, tail)
            half = self.tail_cholesky.half_solve(scaled)
            total = total + product(transpose(half), half)
        return total

    def selected_inverse(self):
        """Blocks of M and products with V^-1, a SelectedInverse."""
        return selected_inverse(self)

    @property
    def row_width(self):
        """Numbers stored per row while its form is computed; 0 if it stays sparse."""
        plan = self.products.plan
        return plan.n_tail + sum(f.n_columns for f in plan.chain if not f.is_grouped)

    def row_forms(self, terms):
        """Pairs of rows whose products are quadratic forms, see `row_forms`."""
        return row_forms(self, terms)

    def projection(self, fixed_scores=None):
        """
        The matrix K = Z'V^-1 Z, or Z'P Z.

        Parameters
        ----------
        fixed_scores : sequence of ndarray, optional
            Z_i'V^-1 X (X'V^-1 X)^(-1/2) of each term, shapes (l_i, k_i, p), to obtain
            K = Z'P Z.

        Returns
        -------
        LevelProjection or DenseProjection
        """
        plan = self.products.plan
        if plan.is_diagonal:
            scores = None if fixed_scores is None else fixed_scores[0]
            return LevelProjection(self.terms[0].kernel, scores)
        if len(self.terms) == 1 and not self.products.is_coupled_sparsely:
            return DenseProjection(coupled_kernel(self, fixed_scores), plan)
        identity = np.eye(plan.n_columns)
        unit = [
            identity[rows].reshape(f.n_levels, f.k_effects, -1)
            for f, rows in zip(plan.terms, plan.slices)
        ]
        right = self.products.gram_times(unit)
        kernel = stacked(right) - self._explained(right)
        if fixed_scores is not None:
            y = stacked(fixed_scores)
            kernel = kernel - product(y, transpose(y))
        return DenseProjection(kernel, plan)


def eliminate_blocks(products, roots, within=None):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    roots : sequence of ndarray
        L of the terms, S = L L', shapes (..., k, k), in the order of the plan.
    within : WithinLevels, optional
        What remains within the levels of the first term, to avoid computing it by
        subtraction.

    Returns
    -------
    BlockElimination
    """
    plan = products.plan
    left = _Left(products)
    done = []
    for i, root in enumerate(roots[: plan.n_chain]):
        done.append(left.eliminate_levels(i, root))
        if within and i == 0:
            left.replace(within, root)
    cholesky_root = left.eliminate_tail(roots[plan.n_chain :], done)
    return BlockElimination(
        products,
        tuple(roots),
        tuple(done),
        left.tail,
        cholesky_root,
        left.tail_sums,
        left.gram,
        left.logdet,
    )


class _Left:
    """The cross-products that remain after some terms are eliminated."""

    def __init__(self, products):
        self.products, self.plan = products, products.plan
        self.diagonal, self.nested = list(products.diagonal), dict(products.nested)
        self.sums = list(products.level_sums[: self.plan.n_chain])
        self.coupling = list(products.coupling)
        self.tail, self.tail_sums = products.tail, products.tail_sums
        self.gram, self.logdet = products.gram, np.zeros(())

    def eliminate_levels(self, i, root):
        """Eliminate a term of the chain and return its EliminatedTerm."""
        half, inner, logdet = solve_levels(self.diagonal[i], root)
        c = times_each(transpose(half), half)
        self.logdet = self.logdet + logdet
        half_sums = times_each(half, self.sums[i])
        later = range(i + 1, self.plan.n_chain)
        if later or self.plan.tail:
            c_sums = times_each(transpose(half), half_sums)
        for j in later:
            self._reduce_ancestor(i, j, c, c_sums)
        if self.plan.tail:
            if self.products.is_coupled_sparsely:
                self.tail = None
            else:
                change = self.coupling[i].gram(c)
                self.tail = np.subtract(self.tail, change, out=change)
            explained = self.coupling[i].transposed_times(c_sums)
            self.tail_sums = self.tail_sums - explained
        self.gram = self.gram - level_gram(half_sums, half_sums)
        nested = {j: self.nested[i, j] for j in later}
        return EliminatedTerm(
            inner, c, self.diagonal[i], nested, self.coupling[i], self.sums[i]
        )

    def _reduce_ancestor(self, i, j, c, c_sums):
        """Subtract what term i explains from the products of its ancestor j."""
        parents = self.plan.parents[i, j]
        across = transpose(self.nested[i, j])
        reduced = across @ c

        def less(whole, explained):
            return whole - sum_by_parent(explained, parents)

        self.diagonal[j] = less(self.diagonal[j], reduced @ self.nested[i, j])
        self.sums[j] = less(self.sums[j], across @ c_sums)
        for m in range(j + 1, self.plan.n_chain):
            self.nested[j, m] = less(self.nested[j, m], reduced @ self.nested[i, m])
        if self.plan.tail:
            change = sum_by_parent(reduced @ self.coupling[i].values, parents)
            self.coupling[j] = self.coupling[j].minus(change)

    def replace(self, within, root):
        """Replace differences by what remains within the levels of the first term."""
        half = within.half_inverse(root)
        own_sums = half @ within.fixed
        for (j, m), left in within.left.items():
            first = transpose(half @ within.nested[j])
            parents = self.plan.parents[0, j]
            summed = left + sum_by_parent(first @ (half @ within.nested[m]), parents)
            if j == m:
                self.diagonal[j] = summed
                explained = sum_by_parent(first @ own_sums, parents)
                self.sums[j] = within.left_fixed[j] + explained
            else:
                self.nested[j, m] = summed
        self.gram = within.gram + level_gram(own_sums, own_sums)

    def eliminate_tail(self, roots, done):
        """Eliminate the tail and return the Cholesky factor of I + L_t' tail L_t."""
        plan = self.plan
        if not plan.tail:
            return DenseCholesky(self.tail)
        transposed = [transpose(root) for root in roots]
        tail_root = self._tail_root(transposed, done)
        scaled = times_tail_root(plan, transposed, self.tail_sums)
        half = tail_root.half_solve(scaled)
        self.gram = self.gram - product(transpose(half), half)
        self.logdet = self.logdet + tail_root.logdet
        return tail_root

    def _tail_root(self, transposed, done):
        """The Cholesky factor of I + L_t' tail L_t for the L_t' of each term."""
        plan, tail = self.plan, self.tail
        if tail is None:
            (head,) = done
            if is_scalar(plan.tail):
                scale = scalar_scale(plan, transposed)
                whole, link = self.products.tail, head.coupling
                return link.rest_cholesky(whole, head.covariance, scale)
            tail = sparsely_reduced(self.products, head)
        scaled = add_identity(scale_tail(plan, transposed, tail))
        return DenseCholesky(cholesky(scaled))
