"""Sums over the pairs of levels that share rows, a piece of the pairs at a time."""

import numpy as np

from statsmodels_lmm.core.algebra.dense import consecutive, transpose
from statsmodels_lmm.core.engines.moments import Moments

PIECE = 2**20
"""Number of pairs whose products are held at once."""


def linked_forms(link, inner, count, by_first=False):
    """
    Sums over the linked levels g of A_gh'M_g A_gh for every level h.

    Parameters
    ----------
    link : LinkedBlocks
        The blocks A of two terms.
    inner : ndarray
        M for each level of the first term, or of the second, shape (l, a, a).
    count : int
        Number of levels h.
    by_first : bool, optional
        Whether h are the levels of the first term; then A' takes the place of A.

    Returns
    -------
    ndarray
        Shape (count, b, b).
    """
    blocks, here, there = link.blocks, link.second, link.first
    if by_first:
        blocks, here, there = transpose(blocks), there, here
    size = blocks.shape[2]
    out = np.zeros((count, size, size))
    for piece in _pieces(len(here)):
        level, some = here[piece], blocks[piece]
        if some.shape[1:] == (1, 1):
            forms = some**2
            forms *= inner.take(there[piece], axis=0)
        else:
            forms = transpose(some) @ (inner.take(there[piece], axis=0) @ some)
        for a in range(size):
            for b in range(size):
                out[:, a, b] += np.bincount(level, forms[:, a, b], count)
    return out


def linked_moments(products):
    """
    The moments of `moments.block_moments`, from sums over pairs of levels.

    Parameters
    ----------
    products : KrylovProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    Moments
    """
    places = consecutive(f.k_effects for f in products.plan.terms)
    diagonals, width = products.squares, places[-1].stop
    inverses = [_reciprocal(d) for d in diagonals]
    squares = np.zeros((width, width))
    for own, inverse, place in zip(products.diagonal, inverses, places):
        squares[place, place] += np.einsum("gc,gcd->cd", inverse, own**2)
    for (i, j), link in products.links.items():
        for piece in _pieces(len(link.first)):
            each = link.blocks[piece] ** 2
            first = inverses[i].take(link.first[piece], axis=0)
            squares[places[i], places[j]] += np.einsum("nc,ncd->cd", first, each)
            second = inverses[j].take(link.second[piece], axis=0)
            squares[places[j], places[i]] += np.einsum("nd,ncd->dc", second, each)
    responses = [sums[..., -1] for sums in products.level_sums]
    pairs = zip(inverses, responses)
    return Moments(
        squares,
        np.concatenate([(r * t**2).sum(axis=0) for r, t in pairs]),
        np.concatenate([d.sum(axis=0) for d in diagonals]),
        np.concatenate([(r > 0).sum(axis=0) for r in inverses]),
    )


def _reciprocal(values):
    """Reciprocals of the values, zero where they are zero."""
    positive = values > 1e-12 * values.max(initial=0.0)
    return np.where(positive, 1.0 / np.where(positive, values, 1.0), 0.0)


def _pieces(count):
    """Consecutive slices of pairs."""
    return [slice(at, at + PIECE) for at in range(0, count, PIECE)]
