"""Sums of squares by effect column, for the method of moments."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.core.algebra.dense import concatenated, consecutive


@dataclass(frozen=True)
class Moments:
    """
    Sums by effect column, for all terms in turn.

    Notation: t = Z'y, a is the diagonal of Z'Z, g and h the levels of columns c and d.

    Parameters
    ----------
    squares : ndarray
        sum_gh (Z'Z)_gc,hd^2 / a_gc, shape (width, width).
    between : ndarray
        q_c = sum_g t_gc^2 / a_gc, shape (..., width).
    traces : ndarray
        sum_g a_gc, shape (width,).
    counts : ndarray
        Number of levels with a_gc > 0, shape (width,).
    """

    squares: np.ndarray
    between: np.ndarray
    traces: np.ndarray
    counts: np.ndarray


def _places(terms):
    """Positions of the effect columns of each term, and their total."""
    places = consecutive(f.k_effects for f in terms)
    return places, places[-1].stop


def _repeated(places, terms):
    """The number of the effect column of each random effect."""
    pairs = zip(places, terms)
    each = [np.tile(np.arange(s.start, s.stop), f.n_levels) for s, f in pairs]
    return np.concatenate(each)


def sparse_moments(products):
    """
    The moments of `block_moments`, from the whole of Z'Z.

    Parameters
    ----------
    products : SparseProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    Moments
    """
    terms = products.plan.terms
    places, width = _places(terms)
    label = _repeated(places, terms)
    diagonal = products.matrix.diagonal()
    inverse = _reciprocal(diagonal)
    matrix = products.matrix.tocoo()
    weighted = inverse[matrix.row] * matrix.data**2
    cell = label[matrix.row] * width + label[matrix.col]
    squares = np.bincount(cell, weighted, width**2).reshape(width, width)
    t = np.concatenate([f[..., -1].ravel() for f in products.level_sums])
    return Moments(
        squares,
        np.bincount(label, inverse * t**2, width),
        np.bincount(label, diagonal, width),
        np.bincount(label, inverse > 0, width),
    )


def block_moments(products):
    """
    Sums by effect column for the method of moments, from the blocks of Z'Z.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics of standardized data.

    Returns
    -------
    Moments
    """
    plan, n_chain = products.plan, products.plan.n_chain
    places, width = _places(plan.terms)
    diagonals = products.squares
    inverses = [_reciprocal(d) for d in diagonals[:n_chain]]
    if plan.tail:
        tail_inverse = _reciprocal(products.tail.diagonal())
        inverses += [tail_inverse[rows] for rows in plan.tail_slices]
    inverses = [r.reshape(d.shape) for r, d in zip(inverses, diagonals)]

    squares = np.zeros((width, width))
    for i, block in enumerate(products.diagonal):
        within = np.einsum("gc,gcd->cd", inverses[i], block**2)
        squares[places[i], places[i]] += within
    for (i, j), block in products.nested.items():
        above = inverses[j][plan.parents[i, j]]
        down = np.einsum("gc,gcd->cd", inverses[i], block**2)
        squares[places[i], places[j]] += down
        up = np.einsum("gd,gcd->dc", above, block**2)
        squares[places[j], places[i]] += up
    if plan.tail:
        tail_labels = _repeated(places[n_chain:], plan.tail)
        for i, coupling in enumerate(products.coupling):
            down, up = _coupling_squares(
                coupling, inverses[i], tail_inverse, tail_labels, width
            )
            squares[places[i]] += down
            squares[:, places[i]] += up
        is_of = (tail_labels[:, None] == np.arange(width)).astype(float)
        squares += (tail_inverse[:, None] * is_of).T @ (products.tail**2 @ is_of)

    responses = [sums[..., -1] for sums in products.level_sums]
    return Moments(
        squares,
        concatenated([(r * t**2).sum(axis=-2) for r, t in zip(inverses, responses)]),
        np.concatenate([d.sum(axis=0) for d in diagonals]),
        np.concatenate([(r > 0).sum(axis=0) for r in inverses]),
    )


def _reciprocal(values):
    """Reciprocals of the values, zero where they are zero."""
    positive = values > 1e-12 * values.max(initial=0.0)
    return np.where(positive, 1.0 / np.where(positive, values, 1.0), 0.0)


def _coupling_squares(coupling, inverse, tail_inverse, tail_labels, width):
    """Squares of Z_i'Z_t divided by both diagonals, summed by effect column."""
    k = inverse.shape[1]
    row, column, values = coupling.entries()
    squares = values**2
    cell = (row % k) * width + tail_labels[column]
    down = np.bincount(cell, squares * inverse.ravel()[row], k * width)
    up = np.bincount(cell, squares * tail_inverse[column], k * width)
    return down.reshape(k, width), up.reshape(k, width).T
