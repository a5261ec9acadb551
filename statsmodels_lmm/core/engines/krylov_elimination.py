"""
Elimination of the random effects by conjugate gradients on the tail's system.

Notation as in `krylov_system`. For sums C of columns A,

    r = L_t'(C_t - A_t1 C C_1),    x = S^-1 r,

L_t x are the modes of the tail, and those of the head follow level by level. W'V^-1 W,
modes and projections are exact to the tolerance of the solver. The traces of
`selected_inverse` and log |V| are estimated with the probes of the products.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import flat_rows, product
from statsmodels_lmm.core.engines.krylov_determinant import DEFLATED, log_determinant
from statsmodels_lmm.core.engines.krylov_inverse import krylov_inverse
from statsmodels_lmm.core.engines.krylov_system import (
    TOGETHER,
    KrylovSystem,
    krylov_system,
    symmetric_root,
    times_blocks,
)
from statsmodels_lmm.core.engines.solution import by_term, inverse_if_regular, stacked

EXACT = 1e-10
"""Residual, as a share, at which systems for W are solved."""

CLOSE = 1e-8
"""Residual, as a share, at which systems for a curvature are solved."""


@dataclass(frozen=True)
class KrylovElimination:
    """
    The system at one value of the relative covariances.

    Parameters
    ----------
    products : KrylovProducts
        What was eliminated.
    roots : tuple of ndarray
        The symmetric root L of each S in the order of the plan, shapes (k_i, k_i).
    system : KrylovSystem
        The Schur complement of the tail.
    solved : ndarray
        S^-1 L_t'(Z_t'W - A_t1 C Z_1'W), shape (q, w).
    gram : ndarray
        W'V^-1 W, shape (w, w).
    """

    products: Any
    roots: tuple
    system: KrylovSystem
    solved: np.ndarray
    gram: np.ndarray
    _kept: dict = field(default_factory=dict, repr=False, compare=False)

    precision = 1e-12
    """Lower bound on the relative error of W'V^-1 W."""

    cancelled = 0.0

    def probed(self, **changes):
        """The same system with more probes; what is known of the first is kept."""
        return KrylovElimination(
            self.products.probed(**changes),
            self.roots,
            self.system,
            self.solved,
            self.gram,
            self._kept,
        )

    @cached_property
    def log_determinant(self):
        """The estimate of log |V| with its Monte-Carlo error, a LogDeterminant."""
        probes = self.products.probes.of_determinant()
        return log_determinant(self.system, probes, self._kept)

    def forget_matrices(self):
        """Free what only another determinant would need."""
        for name in [n for n in self._kept if n[0] == DEFLATED]:
            del self._kept[name]

    @property
    def logdet(self):
        """The estimate of log |V|."""
        return np.asarray(self.log_determinant.value)

    def _reduced(self, sums):
        """C_t - A_t1 C C_1 of the tail, shape (q, m), and C C_1 of the head."""
        system, products = self.system, self.products
        first, tail = flat_rows(sums[0]), stacked(sums[1:]).copy()
        weighted = times_blocks(system.covariance, first)
        k = sums[0].shape[1]
        for levels, _, upwards in products.coupling:
            some = weighted[levels.start * k : levels.stop * k]
            for matrix, rows in zip(upwards, products.plan.tail_slices):
                tail[rows] -= matrix @ some
        return tail, weighted

    def _left(self, first, spherical):
        """C_1 - A_1t L_t x of the head, shape (l_1 k_1, m)."""
        system, out, k = self.system, flat_rows(first).copy(), first.shape[1]
        rooted = system.rooted(spherical)
        for part, (levels, *_) in enumerate(self.products.coupling):
            out[levels.start * k : levels.stop * k] -= system.at_head(rooted, part)
        return out

    def solve(self, sums=None):
        """
        M C with M = (S^-1 + Z'Z)^-1.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            Rows of C for each term in the order of the plan, shapes (l_i, k_i, m);
            default is Z'W, which gives the conditional modes.

        Returns
        -------
        list of ndarray
            Rows of each term, shapes (l_i, k_i, m).
        """
        pairs = zip(self.roots, self.project(sums))
        return [(root @ root) @ projected for root, projected in pairs]

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
            Rows of each term, shapes (l_i, k_i, m).
        """
        system, known = self.system, sums is None
        sums = self.products.level_sums if known else sums
        tail, _ = self._reduced(sums)
        if known:
            x = self.solved
        else:
            x = system.solve(system.rooted(tail), EXACT)
        head = times_blocks(system.inner, self._left(sums[0], x))
        out, rest = [head.reshape(sums[0].shape)], None
        for i, part in enumerate(by_term(self.products.plan, x)):
            inverse = inverse_if_regular(self.roots[i + 1])
            if inverse is not None:
                out.append(inverse.T @ part)
                continue
            if rest is None:
                whole = tail - system.reduced_gram(system.rooted(x))
                rest = by_term(self.products.plan, whole)
            out.append(rest[i])
        return out

    def projected_forms(self, columns):
        """
        T'Z'V^-1 Z T.

        Parameters
        ----------
        columns : list of ndarray
            Rows of T for each term in elimination order, shapes (l_i, k_i, m).

        Returns
        -------
        ndarray
            Shape (m, m).
        """
        right = self.products.gram_times(columns)
        pairs = zip(columns, right)
        total = sum(product(flat_rows(c).T, flat_rows(r)) for c, r in pairs)
        tail, weighted = self._reduced(right)
        scaled = self.system.rooted(tail)
        solved = self.system.solve(scaled, CLOSE)
        total = total - product(flat_rows(right[0]).T, weighted)
        total = total - product(scaled.T, solved)
        return 0.5 * (total + total.T)

    def selected_inverse(self):
        """Blocks of M and products with V^-1, a KrylovInverse."""
        return krylov_inverse(self)

    @property
    def row_width(self):
        """Numbers stored per row while its form is computed."""
        return self.products.plan.n_columns

    def row_forms(self, terms):
        """Pairs (Z, Z M) of a few rows at a time added up, one solve for each row."""
        plan = self.products.plan
        rows = sparse.hstack([sparse.csr_array(f.indicator()) for f in terms]).tocsr()
        out = np.empty(rows.shape)
        for start in range(0, rows.shape[0], TOGETHER):
            some = slice(start, start + TOGETHER)
            columns = rows[some].toarray().T
            sums = [
                columns[at].reshape(f.n_levels, f.k_effects, -1)
                for f, at in zip(plan.terms, plan.slices)
            ]
            out[some] = stacked(self.solve(sums)).T
        yield rows, out

    def projection(self, fixed_scores=None):
        """None: Z'V^-1 Z would be dense."""
        return None


def eliminate_iteratively(products, roots):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics.
    roots : sequence of ndarray
        L of each term in the order of the plan, shapes (k_i, k_i).

    Returns
    -------
    KrylovElimination
    """
    symmetric = tuple(symmetric_root(root) for root in roots)
    system = krylov_system(products, symmetric)
    nothing = np.zeros((products.plan.n_tail, 0))
    before = KrylovElimination(products, symmetric, system, nothing, products.gram)
    tail, weighted = before._reduced(products.level_sums)
    scaled = system.rooted(tail)
    solved = system.solve(scaled, EXACT)
    explained = product(flat_rows(products.level_sums[0]).T, weighted)
    explained = explained + product(scaled.T, solved)
    gram = products.gram - 0.5 * (explained + explained.T)
    return KrylovElimination(products, symmetric, system, solved, gram)
