"""
Coordinates in which the covariance matrix of a one-variance model is diagonal.

The rows of Z, one column for each level, are orthogonal by level. With N = Z (Z'Z)^-1/2
and the eigendecomposition (Z'Z)^1/2 K (Z'Z)^1/2 = U D U',

    V = I + r Z K Z' = I + r (N U) D (N U)',

so V is diagonal in the coordinates U'N'c and c - N N'c of a column c, whatever the
variance ratio r (Lippert et al. 2011; Zhou and Stephens 2012). Where K falls apart into
families, so does U.

References
----------
Lippert, C. et al. (2011). FaST linear mixed models for genome-wide association
studies. Nature Methods 8, 833-835.
Zhou, X. and Stephens, M. (2012). Genome-wide efficient mixed-model analysis for
association studies. Nature Genetics 44, 821-824.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.rows.related_effects import NO_COLUMN


@dataclass(frozen=True)
class Rotation:
    """
    Coordinates of columns, with the eigenvalue of Z K Z' that belongs to each.

    Parameters
    ----------
    levels : csr_array or None
        N', shape (l, n); None if every row has a level of its own, whose sign is then
        in `families`.
    families : tuple of (ndarray, ndarray)
        Members, shape (f, s), and eigenvectors, shape (f, s, s), of the f families of
        each size s. Members are positions of levels, or of rows without `levels`.
    values : ndarray
        Eigenvalues D, followed by zeros for the n coordinates within levels, shape
        (l,) or (l + n,).
    """

    levels: sparse.csr_array | None
    families: tuple
    values: np.ndarray

    def times(self, columns):
        """
        The coordinates of columns, whose squares sum to those of the columns.

        Parameters
        ----------
        columns : ndarray
            Shape (n, r).

        Returns
        -------
        ndarray
            Shape (l, r), or (l + n, r) where levels have several rows.
        """
        sums = columns if self.levels is None else self.levels @ columns
        out = np.empty((len(self.values), columns.shape[1]))
        start = 0
        for members, vectors in self.families:
            count, size = members.shape
            part = out[start : start + count * size]
            if count == 1:
                np.matmul(vectors[0].T, sums[members[0]], out=part)
            else:
                turned = vectors.swapaxes(1, 2) @ sums[members]
                part[:] = turned.reshape(part.shape)
            start += count * size
        if self.levels is not None:
            np.subtract(columns, self.levels.T @ sums, out=out[start:])
        return out


def can_rotate(terms):
    """
    Whether V of a model is diagonal in fixed coordinates.

    Parameters
    ----------
    terms : sequence of GroupedEffects or RawEffects
        Random-effects terms in standardized units.

    Returns
    -------
    bool
        True for a single variance of the levels of one factor, unless they are related
        by a sparse precision.
    """
    if len(terms) != 1 or not isinstance(terms[0], GroupedEffects):
        return False
    (term,) = terms
    has_column = term.k_effects == 1 and bool(term.effects.any())
    is_dense = not isinstance(term.relationship, Precision)
    return has_column and is_dense and not term.is_structured


def rotation_of(term):
    """
    The coordinates of a term with one effect column.

    Parameters
    ----------
    term : GroupedEffects
        In standardized units; the levels may be related.

    Returns
    -------
    Rotation
    """
    squares = term.diagonal_blocks()[:, 0, 0]
    seen = np.flatnonzero(squares > NO_COLUMN * squares.max())
    lengths = np.sqrt(squares[seen])
    if term.relationship is None:
        members, vectors = np.arange(len(seen))[:, None], np.ones((len(seen), 1, 1))
        families, values = ((members, vectors),), squares[seen]
    else:
        require_memory(
            8 * 3 * len(seen) ** 2,
            f"{len(seen):,} related levels need dense matrices",
            "A sparse inverse, relationship_inverse=, needs less memory",
        )
        among = term.relationship.matrix[np.ix_(seen, seen)]
        families, values = _families(among * np.outer(lengths, lengths))
    columns = sparse.csr_array(term.indicator())[:, seen] / lengths
    levels = sparse.csr_array(columns.T)
    n = term.n_rows
    if len(seen) < n:
        return Rotation(levels, families, np.append(values, np.zeros(n)))
    # each level is one row, and its entry of N a sign
    rows, signs = levels.indices, levels.data
    signed = tuple((rows[m], signs[m][..., None] * v) for m, v in families)
    return Rotation(None, tuple(map(_plain_order, signed)), values)


def _families(matrix):
    """Members and eigenvectors of the connected parts, and all eigenvalues."""
    count, family = connected_components(sparse.csr_array(matrix), directed=False)
    sizes = np.bincount(family, minlength=count)
    order = np.argsort(family, kind="stable")
    starts = np.cumsum(sizes) - sizes
    parts, values = [], []
    for size in np.unique(sizes):
        first = starts[sizes == size]
        members = order[first[:, None] + np.arange(size)]
        blocks = matrix[members[:, :, None], members[:, None, :]]
        each, vectors = np.linalg.eigh(blocks)
        parts.append((members, vectors))
        values.append(np.maximum(each, 0.0).ravel())
    return tuple(parts), np.concatenate(values)


def _plain_order(family):
    """A single family with its members in the order of the rows, which need no copy."""
    members, vectors = family
    if len(members) > 1:
        return family
    order = np.argsort(members[0])
    return members[:, order], vectors[:, order]
