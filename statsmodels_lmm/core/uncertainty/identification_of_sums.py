"""
Which variances the data determine, from sums over the rows.

The matrices V_a of `identification`, after the projection M off X, are combined to zero
by the null vectors of their Gram matrix, which sums over pairs of levels give:

    tr(M V_a M V_b) = sum_gh tr(D_a A_gh D_b A_gh'),    A = Z_a'M Z_b,

where A_gh = (Z_a'Z_b)_gh - S_g S_h' / n, with S = Z'X for X'X = n I. The second part
has a block for every pair of levels, and is summed as a product of two sums.
"""

import numpy as np

from statsmodels_lmm.core.structures.relative_factor import generic_factor
from statsmodels_lmm.core.uncertainty.identification import UNCHANGED

FLAT = 1e-13
"""Square of a combination's length, relative to the V_a, treated as zero."""


def flat_directions_of_sums(data, products, reml, informative, places=None):
    """
    Changes of the covariance parameters that do not change the likelihood.

    Parameters
    ----------
    data : StandardizedSums
        The sums, with terms in the user's order.
    products : CrossProducts
        Their products, which have the order of the elimination.
    reml, informative, places
        As for `identification.flat_directions`.

    Returns
    -------
    ndarray
        As from `identification.flat_directions`, shape (m + 1, number of flat
        directions).
    """
    order = products.plan.order
    if places is None:
        places = [generic_factor(f) for f in products.plan.terms]
    asked = np.append(informative, True)
    directions = [_changes(place, data.terms[i]) for place, i in zip(places, order)]
    whole = _gram(data.sums, order, directions, products.k_fixed, False)
    lengths = np.sqrt(np.diagonal(whole)[asked])
    lengths[lengths == 0.0] = 1.0
    gram = whole
    if reml:
        gram = _gram(data.sums, order, directions, products.k_fixed, True)
    gram = gram[np.ix_(asked, asked)] / lengths / lengths[:, None]
    values, vectors = np.linalg.eigh(gram)
    basis = vectors[:, values <= FLAT * len(values)]
    basis[np.abs(basis) <= UNCHANGED] = 0.0
    out = np.zeros((len(asked), basis.shape[1]))
    out[asked] = basis / lengths[:, None]
    return out


def _changes(place, term):
    """The changes D_a of S with the covariance parameters, shape (m, k, k)."""
    k = term.k_effects
    units = np.eye(k * k).reshape(k, k, k, k)
    return np.moveaxis(place.traces(units), -1, 0)


def _gram(sums, order, directions, p, projected):
    """tr(M V_a M V_b) and, last, with the identity, for all parameters."""
    counts = [len(d) for d in directions]
    starts = np.concatenate([[0], np.cumsum(counts)])
    out = np.zeros((starts[-1] + 1,) * 2)
    fixed = [sums.level_sums[i][..., :p] / np.sqrt(sums.nobs) for i in order]
    if not projected:
        fixed = [s[..., :0] for s in fixed]
    out[-1, -1] = sums.nobs - (p if projected else 0)
    removed = [
        np.einsum("aki,gip,gkq->apq", d, s, s, optimize=True)
        for d, s in zip(directions, fixed)
    ]
    for b, j in enumerate(order):
        for a, i in enumerate(order[: b + 1]):
            first, second, blocks = _pairs(sums, i, j)
            across = fixed[a][first] @ fixed[b][second].swapaxes(1, 2)
            both = blocks - across
            # B o B - B o C - C o B, where the last, C o C, is a product of sums
            inner = _products(both, both) - _products(across, across)
            values = np.einsum(
                "aki,bjl,ijkl->ab", directions[a], directions[b], inner, optimize=True
            )
            values += np.tensordot(removed[a], removed[b], axes=((1, 2), (1, 2)))
            rows, columns = (slice(*starts[c : c + 2]) for c in (a, b))
            out[rows, columns], out[columns, rows] = values, values.T
        left = sums.diagonal[j].sum(axis=0)
        left = left - np.einsum("gip,gkp->ik", fixed[b], fixed[b])
        here = slice(*starts[b : b + 2])
        out[here, -1] = out[-1, here] = np.tensordot(directions[b], left)
    return out


def _pairs(sums, i, j):
    """Levels of the occupied blocks of Z_i'Z_j, and the blocks."""
    if i == j:
        every = np.arange(len(sums.diagonal[i]))
        return every, every, sums.diagonal[i]
    link = sums.links[min(i, j), max(i, j)]
    if i < j:
        return link.first, link.second, link.blocks
    return link.second, link.first, link.blocks.swapaxes(1, 2)


def _products(one, other):
    """Sum over the pairs of B_ij C_kl, shape (k_1, k_2, k_1, k_2)."""
    flat = one.reshape(len(one), -1).T @ other.reshape(len(other), -1)
    return flat.reshape(*one.shape[1:], *other.shape[1:])
