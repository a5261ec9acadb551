"""
K = Z'V^-1 Z of one chain term and a tail, from the blocks of their elimination.

With D = Z_1'Z_1 and C = Z_1'Z_t, the first term leaves J D, J C and the reduced tail T;
with R R' = I + L_t'T L_t and H = R^-1 L_t', eliminating the tail subtracts the square
of H [C'J', T] from all of them.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import flat_rows, product, times_each, transpose
from statsmodels_lmm.core.engines.solution import stacked
from statsmodels_lmm.core.engines.tail import times_tail_root


def coupled_kernel(elimination, fixed_scores=None):
    """
    Form K, or Z'P Z.

    Parameters
    ----------
    elimination : BlockElimination
        That of one chain term and a tail, densely coupled.
    fixed_scores : sequence of ndarray, optional
        Z_i'V^-1 X (X'V^-1 X)^(-1/2) of each term, to obtain Z'P Z.

    Returns
    -------
    ndarray
        Shape (..., q, q), terms in the order of the plan.
    """
    (term,), plan = elimination.terms, elimination.products.plan
    tail = elimination.tail
    link = flat_rows(times_each(term.inner, term.coupling.values))
    q = link.shape[-2]
    rows = np.concatenate([transpose(link), tail], axis=-1)
    roots = [transpose(root) for root in elimination.tail_roots]
    half = elimination.tail_cholesky.half_solve(times_tail_root(plan, roots, rows))
    out = -product(transpose(half), half)
    out[..., q:, q:] += tail
    out[..., :q, q:] += link
    out[..., q:, :q] += transpose(link)
    _, levels, k, _ = (1, *term.kernel.shape)[-4:]
    at = np.arange(q).reshape(levels, k)
    out[..., at[:, :, None], at[:, None, :]] += term.kernel
    if fixed_scores is not None:
        y = stacked(fixed_scores)
        out -= product(y, transpose(y))
    return out
