"""
The verbs of an elimination, whichever engine knows them.

`elimination` goes level by level with a dense rest, `sparse_elimination` takes all
levels at once in a fill-reducing order. Nothing else in the core asks which it is.
"""

from statsmodels_lmm.core.engines import elimination as by_blocks
from statsmodels_lmm.core.engines import row_forms
from statsmodels_lmm.core.engines import selected_inverse as inverse_by_blocks
from statsmodels_lmm.core.engines import sparse_elimination as by_order
from statsmodels_lmm.core.engines.cross_products import cross_products
from statsmodels_lmm.core.engines.sparse_elimination import SparseProducts


def sufficient_statistics(endog, exog, factors):
    """
    Form the cross-products of a model for the engine that suits it.

    Parameters
    ----------
    endog : ndarray
        Response, shape (n,).
    exog : ndarray
        Design of the fixed effects, shape (n, p).
    factors : sequence of GroupedEffects or RawEffects
        Random-effects factors, in the order the user gave.

    Returns
    -------
    CrossProducts or SparseProducts
    """
    if any(map(by_order.is_sparse, factors)):
        return by_order.sparse_products(endog, exog, factors)
    return cross_products(endog, exog, factors)


def eliminate(products, roots, closely=False):
    """
    Eliminate the random effects.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics.
    roots : sequence of ndarray
        L of each factor in the order of the plan, S = L L', shapes (..., k, k).
    closely : bool, optional
        Whether to spend a pass over the rows on digits that variances which are large
        next to sigma^2 would cost.

    Returns
    -------
    Elimination or SparseElimination
    """
    if isinstance(products, SparseProducts):
        return by_order.eliminate(products, roots)
    n_chain = products.plan.n_chain
    within = products.within if closely else None
    return by_blocks.eliminate(products, roots[:n_chain], roots[n_chain:], within)


def selected_inverse(elimination):
    """Blocks of the inverse, a SelectedInverse or a SparseInverse."""
    return _of(elimination, by_order, inverse_by_blocks).selected_inverse(elimination)


def projected_forms(elimination, columns):
    """
    T'Z'V^-1 Z T and X'V^-1 Z T for columns T with a row for each random effect.

    Parameters
    ----------
    elimination : Elimination or SparseElimination
        The factorized system.
    columns : list of ndarray
        Rows of T of each factor in the order of the plan, shapes (..., l_i, k_i, m).

    Returns
    -------
    own, with_fixed : ndarray
        Shapes (..., m, m) and (..., p, m).
    """
    return _of(elimination, by_order, by_blocks).projected_forms(elimination, columns)


def halves(elimination, factors):
    """Pairs of rows whose products are quadratic forms, see `row_forms.halves`."""
    return _of(elimination, by_order, row_forms).halves(elimination, factors)


def row_width(elimination):
    """Numbers that a row takes while its form is found."""
    return _of(elimination, by_order, row_forms).row_width(elimination)


def _of(elimination, sparsely, blockwise):
    return sparsely if isinstance(elimination.products, SparseProducts) else blockwise
