"""
Quadratic forms z'M z of the rows, from blocks of M at the levels that share a row.

A row has one level of each term, so that z'M z takes the diagonal blocks of M and the
blocks of the pairs of levels that occur together. The selected inverse contains exactly
these blocks; no row is multiplied by a whole matrix.
"""

import numpy as np

ENTRIES = 4_000_000
"""Size of the largest dense array formed for a batch of rows."""


def leverages(inverse, terms):
    """
    Quadratic forms z'M z of the rows.

    Parameters
    ----------
    inverse : SelectedInverse
        Blocks of M.
    terms : sequence of GroupedEffects or RelatedEffects
        The rows z, in the order of the plan, with the levels of its rows.

    Returns
    -------
    ndarray
        Shape (..., n).
    """
    if not all(f.is_grouped for f in terms):
        return row_by_row(inverse.elimination, terms)
    plan, total = inverse.elimination.products.plan, 0.0
    for f, blocks in zip(terms, inverse.diagonal):
        total = total + _forms(f.effects, blocks.take(f.codes, axis=-3), f.effects)
    for (i, j), blocks in inverse.nested.items():
        here = blocks.take(terms[i].codes, axis=-3)
        total = total + 2.0 * _forms(terms[i].effects, here, terms[j].effects)
    tail = list(zip(terms[plan.n_chain :], plan.tail_slices))
    for i in range(plan.n_chain if tail else 0):
        between = _ToTail(inverse, i)
        for f, place in tail:
            here = between.blocks(terms[i], f, place.start)
            total = total + 2.0 * _forms(terms[i].effects, here, f.effects)
    for b, second in enumerate(tail):
        for first in tail[b + 1 :]:  # below the diagonal
            total = total + 2.0 * _between(inverse.tail, first, second)
    return total


def whole_forms(matrix, terms, places):
    """
    Quadratic forms z'M z of the rows, for grouped terms.

    Parameters
    ----------
    matrix : ndarray
        M, symmetric, shape (..., q, q).
    terms : sequence of GroupedEffects
        The rows z.
    places : sequence of slice
        Rows of M of each term.

    Returns
    -------
    ndarray
        Shape (..., n).
    """
    pairs, total = list(zip(terms, places)), 0.0
    for b, second in enumerate(pairs):
        total = total + _between(matrix, second, second)
        for first in pairs[b + 1 :]:
            total = total + 2.0 * _between(matrix, first, second)
    return total


def _between(matrix, first, second):
    """The part of the forms between two terms with their places, shape (..., n)."""
    (term, rows), (other, columns) = first, second
    row = _columns(term, rows.start)[:, :, None]
    column = _columns(other, columns.start)[:, None, :]
    return _forms(term.effects, matrix[..., row, column], other.effects)


class _ToTail:
    """The blocks of M between the levels of a chain term and the tail."""

    def __init__(self, inverse, i):
        self.chain = inverse.elimination.terms[i]
        self.whole = inverse.to_tail.get(i)
        if self.whole is None:
            through = self.chain.coupling.through(inverse.tail)
            if self.chain.coupling.is_sparse:
                self.through = through
            else:
                self.whole = -self.chain.covariance @ through

    def blocks(self, term, other, start):
        """The block of each row's levels, shape (..., n, k, k_other)."""
        columns = _columns(other, start)
        if self.whole is not None:
            effects = np.arange(term.k_effects)[:, None]
            return self.whole[..., term.codes[:, None, None], effects, columns[:, None]]
        rows = _columns(term, 0)[:, :, None]
        shape = len(columns), term.k_effects, other.k_effects
        each = entries_of(self.through, rows, columns[:, None], shape)
        return -self.chain.covariance[term.codes] @ each


def entries_of(matrix, rows, columns, shape):
    """Entries of a csr_array at given places, all of which it stores."""
    rows, columns = (np.broadcast_to(a, shape).ravel() for a in (rows, columns))
    width = np.int64(matrix.shape[1])
    lengths = np.diff(matrix.indptr)
    stored = np.repeat(np.arange(len(lengths)), lengths) * width + matrix.indices
    return matrix.data[np.searchsorted(stored, rows * width + columns)].reshape(shape)


def _columns(term, start):
    """Columns of a term's effects at each row, shape (n, k)."""
    return start + (term.codes * term.k_effects)[:, None] + np.arange(term.k_effects)


def _forms(left, blocks, right):
    """Sums over a and b of left_a blocks_ab right_b, shape (..., n)."""
    if blocks.shape[-1] == blocks.shape[-2] == 1:
        return left[:, 0] * right[:, 0] * blocks[..., 0, 0]
    return np.einsum("na,...nab,nb->...n", left, blocks, right)


def forms_within(inverse, terms, m):
    """
    Forms z_r'M z_s of the rows of small groups.

    Parameters
    ----------
    inverse : SelectedInverse or SparseInverse
        Blocks of M.
    terms : sequence of GroupedEffects or SpreadEffects
        The rows z, in groups of m that follow one another, in the order of the plan.
    m : int
        Number of rows in a group.

    Returns
    -------
    ndarray
        Shape (G, m, m).
    """
    if m == 1:
        return inverse.leverages(terms)[:, None, None]
    plan = inverse.elimination.products.plan
    if inverse.nested is not None and not plan.tail:
        return _in_shared_levels(inverse, terms, m)
    n = terms[0].n_rows
    out = np.zeros((n // m, m, m))
    step = max(1, ENTRIES // (m * max(m, inverse.elimination.row_width)))
    for start in range(0, n // m, step):
        here = slice(start, start + step)
        rows = [f.take(slice(start * m, (start + step) * m)) for f in terms]
        for left, right in inverse.elimination.row_forms(rows):
            out[here] += _products_within(left, right, m)
    return out


def _in_shared_levels(inverse, terms, m):
    """Forms within groups whose rows have the same level of every term."""
    effects = [f.effects.reshape(-1, m, f.k_effects) for f in terms]
    codes = [f.codes[::m] for f in terms]
    total = 0.0
    for each, level, blocks in zip(effects, codes, inverse.diagonal):
        total = total + each @ blocks[level] @ each.swapaxes(1, 2)
    for (i, j), blocks in inverse.nested.items():
        part = effects[i] @ blocks[codes[i]] @ effects[j].swapaxes(1, 2)
        total = total + part + part.swapaxes(1, 2)
    return total


def _products_within(left, right, m):
    """Products of rows, dense or sparse, within groups of m rows, shape (G, m, m)."""
    if not hasattr(left, "multiply"):
        left, right = (rows.reshape(-1, m, rows.shape[1]) for rows in (left, right))
        return left @ right.swapaxes(1, 2)
    n_groups = left.shape[0] // m
    out = np.empty((n_groups, m, m))
    if n_groups < m:
        for g in range(n_groups):
            rows = slice(g * m, (g + 1) * m)
            out[g] = (left[rows] @ right[rows].T).toarray()
        return out
    first = np.arange(n_groups) * m
    for a in range(m):
        one = left[first + a]
        for b in range(a + 1):
            both = one.multiply(right[first + b])
            out[:, a, b] = out[:, b, a] = np.asarray(both.sum(axis=1)).ravel()
    return out


def row_by_row(elimination, terms):
    """Quadratic forms by `row_forms`, in batches of rows."""
    n, out = terms[0].n_rows, []
    step = max(1, ENTRIES // max(1, elimination.row_width))
    for start in range(0, n, step):
        rows = [f.take(slice(start, start + step)) for f in terms]
        pairs = elimination.row_forms(rows)
        out.append(sum(_row_sums(left, right) for left, right in pairs))
    return np.concatenate(out)


def _row_sums(left, right):
    """Sums of products row by row, dense or sparse."""
    both = left.multiply(right) if hasattr(left, "multiply") else left * right
    return np.asarray(both.sum(axis=1)).ravel()
