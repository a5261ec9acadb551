"""The engine that eliminates all random effects at once in a fill-reducing order."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.symbolic_cholesky import SymbolicCholesky, analyze
from statsmodels_lmm.core.engines.plan import EliminationPlan
from statsmodels_lmm.core.engines.row_sums import sums_over_rows
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.precision_effects import PrecisionEffects
from statsmodels_lmm.core.rows.related_effects import related

MANY_COLUMNS = 2000
"""Number of columns from which a sparse model matrix is kept sparse."""


def is_sparse(term):
    """Whether a term calls for this engine."""
    if isinstance(term.relationship, Precision):
        return True
    return term.sparse_columns > MANY_COLUMNS


@dataclass(frozen=True)
class SparseEngine:
    """
    The precision of all random effects and the pattern of the system.

    Parameters
    ----------
    plan : EliminationPlan
        The terms in the user's order, all of them in the chain.
    precision : csc_array
        Q (x) I of all terms, shape (q, q).
    symbolic : SymbolicCholesky
        The pattern of H.
    """

    plan: EliminationPlan
    precision: sparse.csc_array
    symbolic: SymbolicCholesky

    @classmethod
    def suits(cls, terms):
        """Whether any term has a sparse precision or a large sparse model matrix."""
        return any(map(is_sparse, terms))

    @classmethod
    def of(cls, terms, nobs):
        """
        Choose an order of elimination.

        Parameters
        ----------
        terms : sequence of GroupedEffects or RawEffects
            In standardized units, in the order given by the user.
        nobs : int
            Number of rows n.

        Returns
        -------
        SparseEngine

        Raises
        ------
        MemoryError
            If the factor of the system does not fit.
        """
        effects = tuple(
            PrecisionEffects(f if is_sparse(f) else related(f)) for f in terms
        )
        relabel = tuple(np.arange(f.of_user.n_levels) for f in effects)
        plan = EliminationPlan(
            effects, tuple(range(len(effects))), relabel, len(effects), {}
        )
        blocks, spread = [], []
        for f in effects:
            k = f.k_effects
            blocks.append(sparse.kron(f.precision, sparse.eye_array(k)))
            spread.append(sparse.kron(abs(f.precision), np.ones((k, k))))
        pattern = _whole_blocks(effects, _gram(effects))
        pattern = pattern + sparse.csc_array(sparse.block_diag(spread))
        precision = sparse.csc_array(sparse.block_diag(blocks))
        return cls(plan, precision, analyze(pattern))

    def take(self, which):
        """
        The engine of a subset of the rows, with the same plan and pattern.

        Parameters
        ----------
        which : slice or ndarray
            Positions of the rows, or booleans.

        Returns
        -------
        SparseEngine
        """
        return replace(self, plan=self.plan.take(which))

    def gather(self, rows, transform=None):
        """
        Form the cross-products in one pass over the rows.

        Parameters
        ----------
        rows : Rows
            X and y.
        transform : RowTransform, optional
            A matrix that multiplies X, y and Z from the left.

        Returns
        -------
        SparseProducts
        """
        sums = sums_over_rows(self.plan, rows, transform)
        matrix = _gram(sums["plan"].terms)
        return SparseProducts(
            **sums, matrix=matrix, precision=self.precision, symbolic=self.symbolic
        )


def _gram(terms):
    """Z'Z of all terms, shape (q, q)."""
    z = sparse.hstack([sparse.csr_array(f.indicator()) for f in terms]).tocsc()
    return sparse.csc_array(z.T @ z)


def _whole_blocks(terms, matrix):
    """A pattern in which each k x k block is either full or empty."""
    effects = np.concatenate([np.full(f.n_columns, f.k_effects) for f in terms])
    if (effects == 1).all():
        return abs(matrix)
    whole = [
        sparse.kron(sparse.eye_array(f.n_levels), np.ones((f.k_effects,) * 2))
        for f in terms
    ]
    spread = sparse.block_diag(whole).tocsc()
    return spread @ abs(matrix) @ spread
