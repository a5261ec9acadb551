"""
The products of `BlockEngine` from sums over pairs of levels, without rows.

A term is nested in another if each of its levels shares rows with one level of the
other only.
"""

from dataclasses import replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.engines.block_engine import planned
from statsmodels_lmm.core.engines.coupling import DenseCoupling, SparseCoupling
from statsmodels_lmm.core.engines.cross_products import CrossProducts


def products_of_sums(sums, terms):
    """
    Form the cross-products from sums over the rows.

    Parameters
    ----------
    sums : PairSums
        Sums with the columns [X y], terms in the order given by the user.
    terms : sequence of GroupedEffects
        The terms, without rows.

    Returns
    -------
    CrossProducts
        With a plan without rows.

    Raises
    ------
    MemoryError
        If the parameters or the dense part of the system do not fit.
    """

    def n_pairs(i, j):
        return len(sums.links[min(i, j), max(i, j)].first)

    plan, densely = planned(terms, n_pairs, nesting_of(sums.links, terms))
    sums = sums.ordered(plan.order, plan.relabel)
    coupling = [
        _coupling(sums, plan, i, densely) if plan.tail else None
        for i in range(plan.n_chain)
    ]
    return CrossProducts(
        plan=plan,
        nobs=sums.nobs,
        level_sums=sums.level_sums,
        gram=sums.gram,
        diagonal=sums.diagonal[: plan.n_chain],
        nested={pair: sums.links[pair].blocks for pair in plan.parents},
        coupling=tuple(coupling),
        tail=_tail_gram(sums, plan, densely),
    )


def products_of_products(products):
    """
    The same cross-products for an exact fit.

    Parameters
    ----------
    products : KrylovProducts
        Sums over pairs of levels, with or without rows.

    Returns
    -------
    CrossProducts
    """
    before = products.plan
    found = products_of_sums(products.pair_sums, before.terms)
    order = tuple(before.order[i] for i in found.plan.order)
    return replace(found, plan=replace(found.plan, order=order), rows=products.rows)


def nesting_of(links, terms):
    """
    Which terms are nested, from the pairs of levels that share rows.

    Parameters
    ----------
    links : dict of LinkedBlocks
        ``links[i, j]`` for i < j.
    terms : sequence of GroupedEffects
        The terms, without rows.

    Returns
    -------
    callable
        Gives the level of the second term in which each level of the first lies, or
        None, for the positions of two terms, see `plan_elimination`.
    """

    def parents(child, parent):
        link = links[min(child, parent), max(child, parent)]
        levels, above = link.first, link.second
        if child > parent:
            levels, above = above, levels
        if len(levels) != terms[child].n_levels:
            return None
        out = np.empty(len(levels), dtype=np.intp)
        out[levels] = above
        return out

    return parents


def _block(sums, plan, i, j):
    """Z_i'Z_j, i <= j, as a csr_array."""
    one, other = plan.terms[i], plan.terms[j]
    if i != j:
        return sums.links[i, j].matrix(one.n_levels, other.n_levels)
    at = np.arange(one.n_levels)
    shape = (one.n_columns,) * 2
    return sparse.bsr_array((sums.diagonal[i], at, np.arange(len(at) + 1)), shape)


def _coupling(sums, plan, i, densely):
    """Z_i'Z_t as an array, or sparse."""
    term = plan.terms[i]
    tail = range(plan.n_chain, len(plan.terms))
    blocks = [_block(sums, plan, i, j) for j in tail]
    if densely:
        whole = np.hstack([block.toarray() for block in blocks])
        return DenseCoupling(whole.reshape(term.n_levels, term.k_effects, -1))
    # blocks side by side have sorted indices because each of them has
    return SparseCoupling(sparse.hstack(blocks, format="csr"), term.k_effects)


def _tail_gram(sums, plan, densely):
    """Z_t'Z_t, dense or sparse like the coupling."""
    places = range(plan.n_chain, len(plan.terms))
    if not densely:
        grid = [
            [
                _block(sums, plan, i, j) if i <= j else _block(sums, plan, j, i).T
                for j in places
            ]
            for i in places
        ]
        return sparse.block_array(grid, format="csr")
    out = np.zeros((plan.n_tail,) * 2)
    for i, rows in zip(places, plan.tail_slices):
        for j, columns in zip(places, plan.tail_slices):
            if i <= j:
                out[rows, columns] = _block(sums, plan, i, j).toarray()
                out[columns, rows] = out[rows, columns].T
    return out
