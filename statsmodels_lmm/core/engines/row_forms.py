"""Quadratic forms of single rows in the inverse, by blocks of the elimination."""

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import as_array, transpose
from statsmodels_lmm.core.engines.tail import times_tail_root

ROW_ENTRIES = 4_000_000
"""Size of the largest dense array formed for a batch of rows."""


def row_forms(elimination, terms):
    """
    Pairs of row sets B, D, dense or sparse, for which z'M z sums b'd over pairs.

    Here M = (S^-1 + Z'Z)^-1.

    Parameters
    ----------
    elimination : Elimination
        The factorized system, without batch axes.
    terms : sequence of GroupedEffects or RelatedEffects
        The rows z, with terms and levels in elimination order.

    Yields
    ------
    left, right : ndarray or sparse array
        B and D.
    """
    plan = elimination.products.plan
    rows = [f.indicator() for f in terms]
    chain, tail = rows[: plan.n_chain], rows[plan.n_chain :]
    remaining = np.hstack([as_array(r) for r in tail]) if plan.tail else None
    for i, term in enumerate(elimination.terms):
        weighted = chain[i] @ _block_matrix(
            term.covariance, np.arange(len(term.covariance)), len(term.covariance)
        )
        yield chain[i], weighted
        for j, block in term.nested.items():
            above = plan.terms[j].n_levels
            link = _block_matrix(block, plan.parents[i, j], above)
            chain[j] = sparse.csr_array(chain[j] - weighted @ link)
        if remaining is not None:
            remaining -= term.coupling.after(weighted)
    if remaining is not None:
        transposed = [transpose(root) for root in elimination.tail_roots]
        scaled = times_tail_root(plan, transposed, remaining.T)
        half = elimination.tail_cholesky.half_solve(scaled).T
        yield half, half


def _block_matrix(blocks, columns, n_columns):
    """Blocks of shape (l, a, b), one per block row, as a sparse matrix."""
    n, a, b = blocks.shape
    return sparse.bsr_array(
        (blocks, columns, np.arange(n + 1)), shape=(n * a, n_columns * b)
    ).tocsr()
