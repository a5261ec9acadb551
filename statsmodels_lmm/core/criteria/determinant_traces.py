"""
How log |I + A S| curves when A and S change.

With B = (S^-1 + A)^-1, J = (I + A S)^-1 and K = J A, changes A_a and S_a of both have

    - tr(B A_a B A_b) + tr(J'S_a J A_b) + tr(J'S_b J A_a) - tr(K S_a K S_b),

to which no second derivative of A or S contributes. Levels of one term need nothing
else than their own blocks. A tail has R = A_t - T'C T left after these levels, with
their C = (S^-1 + A)^-1 and coupling T, so that it adds the same curvature of
log |I + R S_t| and that of R itself.
"""

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    flat_rows,
    product,
    times_each,
    times_shared,
    transpose,
)
from statsmodels_lmm.core.criteria.derivatives import of_all_factors
from statsmodels_lmm.core.engines.levels import level_gram
from statsmodels_lmm.core.engines.leverages import whole_forms
from statsmodels_lmm.core.engines.projection import DenseProjection
from statsmodels_lmm.core.engines.solution import stacked
from statsmodels_lmm.core.engines.tail import times_tail_root
from statsmodels_lmm.core.rows.grouped_effects import level_sums


def determinant_traces(deviance, changes, places):
    """
    The traces for the parameters of a Laplace deviance.

    Parameters
    ----------
    deviance : LaplaceDeviance
        The point at which to differentiate.
    changes : ndarray
        Derivatives of the weights of A, shape (n, m).
    places : sequence of slice
        Which parameters are those of the S of each term.

    Returns
    -------
    ndarray
        Shape (m, m).
    """
    products = deviance.elimination.products
    plan = products.plan
    if plan.is_diagonal:
        return _level_traces(deviance, _level_changes(deviance, changes), places[0])
    if plan.n_chain == 1 and not products.is_coupled_sparsely:
        return _tail_traces(deviance, changes, places)
    return _dense_traces(deviance, changes, places)


def _level_changes(deviance, changes):
    """Changes of the blocks of A of the only term, shape (l, k, k, m)."""
    (term,) = deviance.model.terms
    z, k = term.effects, term.k_effects
    out = np.empty((term.n_levels, k, k, changes.shape[1]))
    for a in range(k):
        for b in range(a + 1):
            both = (z[:, a] * z[:, b])[:, None]
            sums = level_sums(term.codes, term.n_levels, both, changes)[:, 0]
            out[:, a, b] = out[:, b, a] = sums
    return out


def _level_traces(deviance, change, here):
    """The traces of the first term, from changes of its blocks, (l, k, k, m)."""
    gathered, directions = deviance.elimination.terms[0], deviance.factors[0].directions
    inner, covariance = gathered.inner, gathered.covariance
    k, d = change.shape[-2:]
    through = np.einsum("lab,lbcd->lacd", covariance, change).reshape(-1, k * k, d)
    turned = through.reshape(-1, k, k, d).swapaxes(1, 2).reshape(-1, d)
    out = -through.reshape(-1, d).T @ turned
    inside = np.einsum("lba,mbc,lcd->mlad", inner, directions, inner)
    across = np.einsum("mlad,ladj->mj", inside, change)
    out[here] += across
    out[:, here] += across.T
    kernel = np.einsum("lab,mbc->mlac", gathered.kernel, directions)
    out[here, here] -= np.einsum("mlab,nlba->mn", kernel, kernel)
    return out


def _tail_traces(deviance, changes, places):
    """The traces of one term's levels and a dense tail."""
    elimination, (factor, *_) = deviance.elimination, deviance.factors
    head, first, inverse = elimination.terms[0], places[0], deviance.selected.tail
    coupling = head.coupling.values
    reach, outward = (times_each(a, coupling) for a in (head.covariance, head.inner))
    moved = [deviance.model.gather(change) for change in changes.T]
    blocks = np.stack([each.diagonal[0] for each in moved], axis=-1)
    out = _level_traces(deviance, blocks, first)

    # R_a for changes of T, of the levels' A and S, and of A_t
    couplings = [each.coupling[0].values for each in moved]
    across = [t - times_each(a.diagonal[0], reach) for t, a in zip(couplings, moved)]
    left = np.array([a.tail - level_gram(t, reach) for t, a in zip(couplings, moved)])
    left -= [level_gram(reach, g) for g in across]
    turned = [direction @ outward for direction in factor.directions]
    left[first] -= [level_gram(outward, u) for u in turned]

    # tr(N R_ab) for N = (S_t^-1 + R)^-1
    through = [times_shared(g, inverse) for g in across]
    out -= 2.0 * _pairs(across, [times_each(head.covariance, g) for g in through])
    mixed = 2.0 * _pairs(turned, [times_each(head.inner, g) for g in through])
    out[first] -= mixed
    out[:, first] -= mixed.T
    through = [times_each(head.kernel, times_shared(u, inverse)) for u in turned]
    out[first, first] += 2.0 * _pairs(turned, through)
    return out + _traces_of_tail(deviance, left, places[1:])


def _traces_of_tail(deviance, left, places):
    """The traces of log |I + R S_t| for changes of R, shape (m, q, q)."""
    elimination, factors = deviance.elimination, deviance.factors[1:]
    plan, whole, inverse = (
        elimination.products.plan,
        elimination.tail,
        deviance.selected,
    )
    inner = np.eye(plan.n_tail) - product(whole, inverse.tail)  # (I + R S_t)^-1
    changes = times_tail_root(plan, [f.covariance for f in factors], left)
    out = np.zeros((len(left),) * 2)
    for factor, term, rows, here in zip(factors, plan.tail, plan.tail_slices, places):
        for m, direction in enumerate(factor.directions, here.start):
            by_level = (term.n_levels, term.k_effects, -1)
            times = [
                flat_rows(direction @ each[rows].reshape(by_level))
                for each in (whole, inner)
            ]
            changes[m, rows] += times[0]
            out[m] += _pairs(left[:, rows], times[1][None])[:, 0]
    out = out + out.T
    solved = changes @ inner.T
    return out - _pairs(solved, transpose(solved))


def _pairs(one, other):
    """Sums of products of the entries of two sets of arrays, for all pairs."""
    flat, others = (np.asarray(each).reshape(len(each), -1) for each in (one, other))
    return product(flat, others.T)


def _dense_traces(deviance, changes, places):
    """The part of the Hessian due to log |I + A S|, with q x q matrices."""
    model, elimination, factors = deviance.model, deviance.elimination, deviance.factors
    plan = model.engine.plan
    shapes = [(f.n_levels, f.k_effects) for f in plan.terms]

    def by_term(matrix):
        pairs = zip(shapes, plan.slices)
        return [matrix[rows].reshape(*shape, -1) for shape, rows in pairs]

    unit = np.eye(plan.n_columns)
    blocks = elimination.solve(by_term(unit))  # B
    inner = unit - stacked(elimination.products.gram_times(blocks))  # J
    d, are_grouped = changes.shape[1], all(f.is_grouped for f in plan.terms)
    moved = [model.gather(change) for change in changes.T]  # A_a
    through = np.array([stacked(each.gram_times(blocks)) for each in moved])
    flat, out = through.reshape(d, -1), np.zeros((d, d))
    for factor, shape, rows, here in zip(factors, shapes, plan.slices, places):
        left = inner[rows]
        for m, direction in zip(range(here.start, here.stop), factor.directions):
            turned = (direction @ left.reshape(*shape, -1)).reshape(left.shape)
            middle = product(left.T, turned)  # J'D_m J
            if are_grouped:
                out[m] = whole_forms(middle, plan.terms, plan.slices) @ changes
            else:
                columns = by_term(middle)
                out[m] = [np.trace(stacked(a.gram_times(columns))) for a in moved]
    out = out + out.T
    out -= product(flat, transpose(through).reshape(d, -1).T)
    moves = of_all_factors(f.directions for f in factors)
    here = slice(places[0].start, places[-1].stop)
    kernel = stacked(elimination.products.gram_times(by_term(inner.T)))  # A J'
    projection = DenseProjection(kernel, plan)
    out[here, here] -= projection.trace_products(moves)
    return out
