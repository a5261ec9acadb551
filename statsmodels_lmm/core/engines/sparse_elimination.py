"""
Elimination of sparsely coupled random effects in a fill-reducing order.

When levels are related by a sparse precision Q = K^-1, like animals in a pedigree, or
random effects have a sparse model matrix of their own, nothing is block-diagonal. All
random effects are then eliminated at once from

    H = L'Z'Z L + Q (x) I,    |V| = |H| |K|^k,    Z'V^-1 Z = Z'Z - Z'Z L H^-1 L'Z'Z,

with L the relative factors of all levels (Henderson 1976). H exists for any S = L L',
singular or not, and its pattern is always the same.

The rest of the core treats the levels as independent, as in `related_effects`: with
K = C C' it sees Z C. C is the inverse of a sparse Cholesky factor; it is applied but
never formed. The sum over related levels that a gradient needs is, for a nonsingular L,

    sum_gh K_gh [Z'V^-1 Z]_gh = L'^-1 (l I - sum_gh Q_gh [H^-1]_gh) L^-1,

which takes only the elements of H^-1 on the pattern of Q.

References
----------
Henderson, C. R. (1976). A simple method for computing the inverse of a numerator
relationship matrix used in prediction of breeding values. Biometrics 32, 69-83.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.sparse_cholesky import SparseCholesky, factorize
from statsmodels_lmm.core.engines.leverages import forms_within, row_by_row
from statsmodels_lmm.core.engines.solution import stacked

REGULAR = 1e-4
"""
Smallest singular value of L, relative to the largest or to 1, in the sums over the
levels; smaller values are raised to it.
"""


@dataclass(frozen=True)
class SparseElimination:
    """
    The factorized system at one value of the relative covariances.

    Parameters
    ----------
    products : SparseProducts
        What was eliminated.
    roots : tuple of ndarray
        L of each term, shapes (k, k).
    scale : csc_array
        L of all levels, shape (q, q).
    cholesky : SparseCholesky
        Factor of H.
    sums : ndarray
        Z'W of all random effects, shape (q, w).
    gram : ndarray
        W'V^-1 W, shape (w, w).
    logdet : ndarray
        log |V|.
    """

    products: Any
    roots: tuple
    scale: sparse.csc_array
    cholesky: SparseCholesky
    sums: np.ndarray
    gram: np.ndarray
    logdet: np.ndarray

    cancelled = 0.0

    precision = 1e-14
    """Lower bound on the relative error of log |V| and W'V^-1 W: that of arithmetic."""

    def solve(self, sums=None):
        """
        Conditional modes M C of independent levels.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            Rows of C for each term in the order of the plan, shapes (l_i, k_i, m), as
            `level_sums` of the terms' levels; default is Z'W.

        Returns
        -------
        list of ndarray
            Rows of each term, shapes (l_i, k_i, m).
        """
        pairs = zip(self.roots, self.project(sums))
        return [root @ root.T @ projected for root, projected in pairs]

    def project(self, sums=None):
        """
        C - Z'Z M C for independent levels, which is Z'V^-1 A for sums of columns A.

        Parameters
        ----------
        sums : sequence of ndarray, optional
            See `solve`.

        Returns
        -------
        list of ndarray
            Rows of each term, shapes (l_i, k_i, m).
        """
        right = self.sums if sums is None else stacked(sums)
        solved = self.scale @ self.cholesky.solve(self.scale.T @ right)
        rest, plan = right - self.products.matrix @ solved, self.products.plan
        return [
            f.whitened(rest[rows].reshape(f.n_levels, f.k_effects, rest.shape[-1]))
            for f, rows in zip(plan.terms, plan.slices)
        ]

    def projected_forms(self, columns):
        """
        T'Z'V^-1 Z T.

        Parameters
        ----------
        columns : list of ndarray
            Rows of T for each term, for independent levels, shapes (l_i, k_i, m).

        Returns
        -------
        ndarray
            Shape (m, m).
        """
        pairs = zip(self.products.plan.terms, columns)
        flat = stacked([f.colored(c) for f, c in pairs])
        right = self.products.matrix @ flat
        half = self.cholesky.half_solve(self.scale.T @ right)
        return flat.T @ right - half.T @ half

    def selected_inverse(self):
        """Blocks of M and products with V^-1, a SparseInverse."""
        return sparse_inverse(self)

    @property
    def row_width(self):
        """Numbers stored per row while its form is computed."""
        return self.products.matrix.shape[0]

    def row_forms(self, terms):
        """A pair (B, B) whose rows b give the forms z'M z = b'b of the rows z."""
        rows = sparse.hstack([sparse.csr_array(f.indicator()) for f in terms])
        scaled = (rows @ self.scale).T.toarray()
        half = self.cholesky.half_solve(scaled).T
        yield half, half

    def projection(self, fixed_scores=None):
        """None: Z'V^-1 Z would be dense."""
        return None


@dataclass(frozen=True)
class SparseInverse:
    """
    Counterpart of `selected_inverse.SelectedInverse` for this engine.

    Parameters
    ----------
    elimination : SparseElimination
        The elimination from which it was computed.
    diagonal : tuple of ndarray
        Conditional covariances of the levels, shapes (l_i, k_i, k_i), divided by
        sigma^2.
    level_sums, projected, modes : tuple of ndarray
        As in that class, for independent levels.
    """

    elimination: SparseElimination
    diagonal: tuple
    level_sums: tuple
    projected: tuple
    modes: tuple

    diagonal_is_cheap = True
    """Whether `diagonal` is known."""

    nested = None
    """Blocks between nested terms are not kept."""

    def leverages(self, terms):
        """Z'M z of rows z, see `leverages`."""
        return row_by_row(self.elimination, terms)

    def forms_within(self, terms, m):
        """Forms of rows within groups of m, see `leverages.forms_within`."""
        return forms_within(self, terms, m)


def _scaling(products, roots):
    """L of all levels; every block is stored whole."""
    blocks = [
        sparse.bsr_array(
            (
                np.broadcast_to(root, (f.n_levels, *root.shape)),
                np.arange(f.n_levels),
                np.arange(f.n_levels + 1),
            ),
            shape=(f.n_columns,) * 2,
        )
        for f, root in zip(products.plan.terms, roots)
    ]
    return sparse.csc_array(sparse.block_diag(blocks, format="csc"))


def _system(products, scale):
    """The Cholesky factor of H."""
    inner = scale.T @ products.matrix @ scale
    return factorize(products.symbolic, inner + products.precision)


def eliminate_sparsely(products, roots):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : SparseProducts
        Sufficient statistics.
    roots : sequence of ndarray
        L of each term, S = L L', shapes (k, k).

    Returns
    -------
    SparseElimination
    """
    scale = _scaling(products, roots)
    cholesky = _system(products, scale)
    sums = stacked(products.level_sums)
    half = cholesky.half_solve(scale.T @ sums)
    return SparseElimination(
        products,
        tuple(roots),
        scale,
        cholesky,
        sums,
        products.gram - half.T @ half,
        np.asarray(cholesky.logdet - products.log_precision),
    )


def sparse_inverse(elimination):
    """
    Compute the elements of the inverse that a gradient needs.

    Parameters
    ----------
    elimination : SparseElimination
        The factorized system.

    Returns
    -------
    SparseInverse
    """
    products, roots = elimination.products, elimination.roots
    inverse = elimination.cholesky.selected_inverse()
    lifted = [_regular(root) for root in roots]
    summed = inverse
    if any(a is not b for a, b in zip(lifted, roots)):
        summed = _system(products, _scaling(products, lifted)).selected_inverse()
    projected = elimination.project()
    diagonal, sums, modes = [], [], []
    for i, (f, rows) in enumerate(zip(products.plan.terms, products.plan.slices)):
        k, root = f.k_effects, roots[i]
        columns = np.arange(rows.start, rows.stop).reshape(-1, k)
        each = [
            inverse[columns[:, a], columns[:, b]] for a in range(k) for b in range(k)
        ]
        blocks = np.array(each).reshape(k, k, -1).transpose(2, 0, 1)
        diagonal.append(root @ blocks @ root.T)
        traces = [(summed.multiply(t)).sum() for t in products.traces[i]]
        explained = f.n_levels * np.eye(k) - np.reshape(traces, (k, k))
        solve = np.linalg.inv(lifted[i])
        sums.append(solve.T @ explained @ solve)
        modes.append(root @ root.T @ projected[i])
    return SparseInverse(
        elimination, tuple(diagonal), tuple(sums), tuple(projected), tuple(modes)
    )


def _regular(root):
    """The root itself, or one with singular values kept away from zero."""
    left, values, right = np.linalg.svd(root)
    limit = REGULAR * max(1.0, values[0])
    if values[-1] >= limit:
        return root
    return left @ np.diag(np.maximum(values, limit)) @ right
