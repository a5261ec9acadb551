"""
Elimination of sparsely coupled random effects in a fill-reducing order.

Where levels are related by a sparse precision Q = K^-1, as animals by a pedigree, or
random effects have a sparse model matrix of their own, nothing is block-diagonal. All
random effects are eliminated at once from

    H = L'Z'Z L + Q (x) I,    |V| = |H| |K|^k,    Z'V^-1 Z = Z'Z - Z'Z L H^-1 L'Z'Z,

with L the relative factors of all levels (Henderson 1976). H exists for any S = L L',
singular or not, and its pattern is always the same.

To the rest of the core the levels are independent, as in `related_effects`: with
K = C C' it sees Z C. C is the inverse of a sparse Cholesky factor and is only applied.
The sum that a gradient needs over related levels is, for a regular L,

    sum_gh K_gh [Z'V^-1 Z]_gh = L'^-1 (l I - sum_gh Q_gh [H^-1]_gh) L^-1,

so that it takes the elements of H^-1 on the pattern of Q only.

References
----------
Henderson, C. R. (1976). A simple method for computing the inverse of a numerator
relationship matrix used in prediction of breeding values. Biometrics 32, 69-83.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.sparse_cholesky import SparseCholesky, factorize
from statsmodels_lmm.core.algebra.symbolic_cholesky import SymbolicCholesky, analyze
from statsmodels_lmm.core.engines.plan import EliminationPlan
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.precision_effects import PrecisionEffects
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.related_effects import related

REGULAR = 1e-4
"""
Smallest singular value of L, relative to the largest or to 1, with which the sums over
the levels are found; smaller ones are raised to it for that.
"""

MANY_COLUMNS = 2000
"""Columns of a sparse model matrix from which it is kept sparse."""


def is_sparse(factor):
    """Whether a factor is for this engine."""
    if isinstance(factor.relationship, Precision):
        return True
    raw = isinstance(factor, RawEffects) and factor.relationship is None
    return raw and sparse.issparse(factor.matrix) and factor.n_levels > MANY_COLUMNS


@dataclass(frozen=True)
class SparseProducts:
    """
    Sufficient statistics of a model whose random effects stay sparse.

    Parameters
    ----------
    plan : EliminationPlan
        The factors, in the order of the user; all of them are its chain.
    nobs : int
        Number of rows n.
    matrix : csc_array
        Z'Z of all factors, shape (q, q).
    precision : csc_array
        Q (x) I of all factors, shape (q, q).
    symbolic : SymbolicCholesky
        The pattern of H.
    fixed : tuple of ndarray
        Z_i'W, shapes (..., l_i, k_i, w).
    gram : ndarray
        W'W, shape (..., w, w).
    tail_fixed : ndarray
        Empty, since there is no tail, shape (..., 0, w).
    rows : Rows, optional
        What they were formed from.
    """

    plan: EliminationPlan
    nobs: int
    matrix: sparse.csc_array
    precision: sparse.csc_array
    symbolic: SymbolicCholesky
    fixed: tuple
    gram: np.ndarray
    tail_fixed: np.ndarray
    rows: Rows | None = None
    is_coupled_sparsely = True

    @property
    def k_fixed(self):
        """Number of columns of X."""
        return self.gram.shape[-1] - 1

    def with_sums(self, sums):
        """The same of other Z_i'W, with W'W left out."""
        return replace(self, fixed=tuple(sums), gram=np.zeros_like(self.gram))

    @cached_property
    def slices(self):
        """Rows of each factor among all random effects."""
        ends = np.cumsum([0] + [f.n_columns for f in self.plan.factors]).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]

    @cached_property
    def diagonal(self):
        """The blocks of Z'Z of the levels, shapes (l_i, k_i, k_i)."""
        found = []
        for f, rows in zip(self.plan.factors, self.slices):
            k = f.k_effects
            at = np.arange(rows.start, rows.stop).reshape(-1, k)
            each = [self.matrix[at[:, a], at[:, b]] for a in range(k) for b in range(k)]
            found.append(np.array(each).reshape(k, k, -1).transpose(2, 0, 1))
        return tuple(found)

    @cached_property
    def traces(self):
        """For each factor, the matrices with which the sums Q_gh X_gh are found."""
        found = []
        for f, rows in zip(self.plan.factors, self.slices):
            k, own = f.k_effects, f.precision
            each = []
            for a in range(k):
                for b in range(k):
                    unit = sparse.csc_array(([1.0], ([a], [b])), shape=(k, k))
                    block = sparse.kron(own, unit).tocoo()
                    at = (block.row + rows.start, block.col + rows.start)
                    each.append(sparse.csc_array((block.data, at), self.matrix.shape))
            found.append(each)
        return found

    @property
    def log_precision(self):
        """Log-determinant of the precision of all random effects."""
        factors = self.plan.factors
        return sum(f.k_effects * f.log_precision for f in factors)


def sparse_products(endog, exog, factors):
    """
    Form the cross-products of a model for this engine.

    Parameters
    ----------
    endog : ndarray
        Response, shape (n,).
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    factors : sequence of GroupedEffects or RawEffects
        Random-effects factors.

    Returns
    -------
    SparseProducts
    """
    own = tuple(PrecisionEffects(f if is_sparse(f) else related(f)) for f in factors)
    each = range(len(own))
    plan = EliminationPlan(
        own,
        tuple(each),
        tuple(np.arange(f.of_user.n_levels) for f in own),
        len(own),
        {},
        is_sparse=True,
    )
    z = sparse.hstack([sparse.csr_array(f.indicator()) for f in own]).tocsc()
    matrix = sparse.csc_array(z.T @ z)
    blocks = [sparse.kron(f.precision, sparse.eye_array(f.k_effects)) for f in own]
    precision = sparse.csc_array(sparse.block_diag(blocks))
    spread = [sparse.kron(abs(f.precision), np.ones((f.k_effects,) * 2)) for f in own]
    pattern = _whole_blocks(own, matrix) + sparse.csc_array(sparse.block_diag(spread))
    fixed = np.column_stack([exog, endog])
    return SparseProducts(
        plan,
        len(endog),
        matrix,
        precision,
        analyze(pattern),
        tuple(f.level_sums(fixed) for f in own),
        fixed.T @ fixed,
        np.zeros((0, fixed.shape[1])),
        Rows(endog, exog),
    )


def _whole_blocks(factors, matrix):
    """A pattern that has all of a k x k block if it has any of it."""
    effects = np.concatenate([np.full(f.n_columns, f.k_effects) for f in factors])
    if (effects == 1).all():
        return abs(matrix)
    whole = [
        sparse.kron(sparse.eye_array(f.n_levels), np.ones((f.k_effects,) * 2))
        for f in factors
    ]
    spread = sparse.block_diag(whole).tocsc()
    return spread @ abs(matrix) @ spread


@dataclass(frozen=True)
class SparseElimination:
    """
    The factorized system at one value of the relative covariances.

    Parameters
    ----------
    products : SparseProducts
        What was eliminated.
    roots : tuple of ndarray
        L of each factor, shapes (k, k).
    scale : csc_array
        L of all levels, shape (q, q).
    cholesky : SparseCholesky
        Factor of H.
    fixed : ndarray
        Z'W of all random effects, shape (q, w).
    gram : ndarray
        W'V^-1 W, shape (w, w).
    logdet : ndarray
        log |V|.
    """

    products: SparseProducts
    roots: tuple
    scale: sparse.csc_array
    cholesky: SparseCholesky
    fixed: np.ndarray
    gram: np.ndarray
    logdet: np.ndarray
    cancelled = 0.0


@dataclass(frozen=True)
class SparseInverse:
    """
    What `selected_inverse.SelectedInverse` has, for this engine.

    Parameters
    ----------
    elimination : SparseElimination
        What it was found from.
    diagonal : tuple of ndarray
        Conditional covariances of the levels over sigma^2, shapes (l_i, k_i, k_i).
    level_sums, projected, modes : tuple of ndarray
        As there, for independent levels.
    """

    elimination: SparseElimination
    diagonal: tuple
    level_sums: tuple
    projected: tuple
    modes: tuple


def _scaling(products, roots):
    """L of all levels; every block is held whole."""
    blocks = [
        sparse.bsr_array(
            (
                np.broadcast_to(root, (f.n_levels, *root.shape)),
                np.arange(f.n_levels),
                np.arange(f.n_levels + 1),
            ),
            shape=(f.n_columns,) * 2,
        )
        for f, root in zip(products.plan.factors, roots)
    ]
    return sparse.csc_array(sparse.block_diag(blocks, format="csc"))


def _system(products, scale):
    """The factor of H."""
    inner = scale.T @ products.matrix @ scale
    return factorize(products.symbolic, inner + products.precision)


def eliminate(products, roots):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : SparseProducts
        Sufficient statistics.
    roots : sequence of ndarray
        L of each factor, S = L L', shapes (k, k).

    Returns
    -------
    SparseElimination
    """
    scale = _scaling(products, roots)
    cholesky = _system(products, scale)
    flat = [f.reshape(-1, f.shape[-1]) for f in products.fixed]
    fixed = np.concatenate(flat)
    half = cholesky.half_solve(scale.T @ fixed)
    return SparseElimination(
        products,
        tuple(roots),
        scale,
        cholesky,
        fixed,
        products.gram - half.T @ half,
        np.asarray(cholesky.logdet - products.log_precision),
    )


def selected_inverse(elimination):
    """
    Find the elements of the inverse that a gradient needs.

    Parameters
    ----------
    elimination : SparseElimination
        The factorized system.

    Returns
    -------
    SparseInverse
    """
    products, scale = elimination.products, elimination.scale
    solved = elimination.cholesky.solve(scale.T @ elimination.fixed)
    residual = elimination.fixed - products.matrix @ (scale @ solved)
    inverse = elimination.cholesky.selected_inverse()
    lifted = [_regular(root) for root in elimination.roots]
    summed = inverse
    if any(a is not b for a, b in zip(lifted, elimination.roots)):
        summed = _system(products, _scaling(products, lifted)).selected_inverse()
    diagonal, sums, projected, modes = [], [], [], []
    for i, (f, rows) in enumerate(zip(products.plan.factors, products.slices)):
        k, root = f.k_effects, elimination.roots[i]
        at = np.arange(rows.start, rows.stop).reshape(-1, k)
        each = [inverse[at[:, a], at[:, b]] for a in range(k) for b in range(k)]
        blocks = np.array(each).reshape(k, k, -1).transpose(2, 0, 1)
        diagonal.append(root @ blocks @ root.T)
        traces = [(summed.multiply(t)).sum() for t in products.traces[i]]
        explained = f.n_levels * np.eye(k) - np.reshape(traces, (k, k))
        solve = np.linalg.inv(lifted[i])
        sums.append(solve.T @ explained @ solve)
        own = residual[rows].reshape(-1, k, residual.shape[1])
        projected.append(f.whitened(own))
        covariance = root @ root.T
        modes.append(covariance @ projected[i])
    return SparseInverse(
        elimination, tuple(diagonal), tuple(sums), tuple(projected), tuple(modes)
    )


def _regular(root):
    """The root itself, or one without singular values that are almost zero."""
    left, values, right = np.linalg.svd(root)
    limit = REGULAR * max(1.0, values[0])
    if values[-1] >= limit:
        return root
    return left @ np.diag(np.maximum(values, limit)) @ right


def projected_forms(elimination, columns):
    """
    T'Z'V^-1 Z T and X'V^-1 Z T.

    Parameters
    ----------
    elimination : SparseElimination
        The factorized system.
    columns : list of ndarray
        Rows of T of each factor, for independent levels, shapes (l_i, k_i, m).

    Returns
    -------
    own : ndarray
        Shape (m, m).
    with_fixed : ndarray
        Shape (p, m).
    """
    products = elimination.products
    levels = [f.colored(c) for f, c in zip(products.plan.factors, columns)]
    flat = np.concatenate([c.reshape(-1, c.shape[-1]) for c in levels])
    right = products.matrix @ flat
    p = products.k_fixed
    both = np.column_stack([right, elimination.fixed[:, :p]])
    half = elimination.cholesky.half_solve(elimination.scale.T @ both)
    m = flat.shape[1]
    forms = half.T @ half[:, :m]
    own = flat.T @ right - forms[:m]
    return own, elimination.fixed[:, :p].T @ flat - forms[m:]


def row_width(elimination):
    """Numbers that a row takes while its form is found."""
    return elimination.products.matrix.shape[0]


def halves(elimination, factors):
    """Rows B such that the forms z'M z of some rows z are those of B, (B, B)."""
    rows = sparse.hstack([sparse.csr_array(f.indicator()) for f in factors])
    scaled = (rows @ elimination.scale).T.toarray()
    half = elimination.cholesky.half_solve(scaled).T
    yield half, half
