"""How the relative covariance of a factor depends on its free parameters."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

SINGULAR = 1e-4
"""Share of a block's largest standard deviation below which one counts as 0."""

SMALLEST_PRECISION = 1e-30
"""Below it an effect is not told of at all."""

SNAP = 1e-5
"""Pivots of L, in standardized units, that are tried at zero in the end."""


@dataclass(frozen=True)
class RelativeFactor:
    """
    A square root L of the relative covariance S = L L' of one factor.

    L is block-diagonal; with its rows put into pivot order each block is
    lower triangular. Its free parameters are the entries of those triangles.
    A fixed order of rows would make a curved valley wherever a leading minor
    of S is singular; pivoting avoids it.

    Parameters
    ----------
    matrix : ndarray
        L, shape (..., k, k).
    rows : ndarray
        Row in L of each free parameter, shape (..., m).
    columns : ndarray
        Column in L of each free parameter, shape (m,).
    slices : tuple of slice
        Columns of each block.
    """

    matrix: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    slices: tuple

    @property
    def covariance(self):
        """S = L L'."""
        return self.matrix @ self.matrix.swapaxes(-1, -2)

    @property
    def n_free(self):
        """Number of free parameters m."""
        return len(self.columns)

    @property
    def size(self):
        """Number of effects k."""
        return self.matrix.shape[-1]

    @cached_property
    def selection(self):
        """Unit vectors of the rows of the free parameters, shape (..., m, k)."""
        return np.eye(self.matrix.shape[-1])[self.rows]

    @cached_property
    def directions(self):
        """Derivatives of S in the free parameters, shape (..., m, k, k)."""
        out = self.selection[..., :, None]
        out = out * self.matrix.swapaxes(-1, -2)[..., self.columns, None, :]
        return out + out.swapaxes(-1, -2)

    def units(self, precision):
        """
        Lengths in which steps of the free parameters are measured, shape (..., m).

        Parameters
        ----------
        precision : ndarray
            What the data tell of the effects of a level, see `row_units`.
        """
        return row_units(precision, self.rows)

    def slope(self, dual):
        """Derivatives tr(G dS) = 2 (G L) of the criterion, shape (..., m)."""
        columns = (dual @ self.matrix).swapaxes(-1, -2)[..., self.columns, :]
        return 2.0 * (self.selection * columns).sum(-1)

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (..., m, m)."""
        same = self.columns[:, None] == self.columns
        both = self.selection @ dual @ self.selection.swapaxes(-1, -2)
        return 2.0 * same * both

    def moved(self, step):
        """L after a step of the free parameters, without a new pivot."""
        matrix = self.matrix.copy()
        if self.rows.ndim == 1:
            matrix[..., self.rows, self.columns] += step
        else:
            at = np.ix_(*map(np.arange, self.rows.shape))[:-1]
            matrix[(*at, self.rows, self.columns)] += step
        return RelativeFactor(matrix, self.rows, self.columns, self.slices)

    def stepped(self, step):
        """L after a step of the free parameters, pivoted anew."""
        return pivoted_factor(self.moved(step).covariance, self.slices)

    def snapped(self, tolerance=SNAP):
        """L with pivots that are almost zero put to zero, itself if there are none."""
        largest = np.abs(self.matrix).max(axis=-2, keepdims=True)
        if not ((self.matrix != 0.0) & (largest <= tolerance)).any():
            return self
        return pivoted_factor(self.covariance, self.slices, tolerance)

    def take(self, which):
        """Some of many values."""
        return replace(self, matrix=self.matrix[which], rows=self.rows[which])

    def where(self, better, other):
        """The other of many values where it is better, else this; shape (count,)."""
        matrix = np.where(better[:, None, None], other.matrix, self.matrix)
        rows = np.where(better[:, None], other.rows, self.rows)
        return replace(self, matrix=matrix, rows=rows)

    def broadcast(self, count):
        """The same value many times, or as many as there are."""
        matrix = np.broadcast_to(self.matrix, (count, *self.matrix.shape[-2:]))
        rows = np.broadcast_to(self.rows, (count, self.rows.shape[-1]))
        return replace(self, matrix=matrix, rows=rows)

    def lifted(self, amount):
        """L moved off the boundary by a variance for every effect."""
        identity = np.eye(self.matrix.shape[-1])
        return pivoted_factor(self.covariance + amount * identity, self.slices)

    def correlated(self, share):
        """Itself: only structures have parameters that are correlations."""
        return self

    @property
    def may_be_elsewhere(self):
        """Whether another optimum is likely: a block is singular."""
        for block in self.slices:
            values = np.linalg.eigvalsh(self.covariance[block, block])
            if values[0] <= SINGULAR**2 * max(1.0, values[-1]):
                return True
        return False

    def nothing(self):
        """L = 0."""
        return pivoted_factor(np.zeros_like(self.matrix), self.slices)

    def certificates(self, dual, information):
        """
        How far from positive semi-definite G is, block by block.

        Parameters
        ----------
        dual : ndarray
            G, shape (..., k, k).
        information : ndarray
            Sum of the diagonal blocks of Z'V^-1 Z, shape (..., k, k).

        Returns
        -------
        smallest, unused : list of ndarray
            Smallest eigenvalue of G relative to the information about a block, among
            all directions and, at most 0, among those that S does not use.
        """
        smallest, unused = [], []
        for block in self.slices:
            inside = (..., block, block)
            weight = np.trace(information[inside], axis1=-2, axis2=-1)
            weight = np.where(weight > 0.0, weight, np.inf)
            smallest.append(np.linalg.eigvalsh(dual[inside])[..., 0] / weight)
            rest = lowest_unused(dual[inside], self.covariance[inside])
            unused.append(rest / weight)
        return smallest, unused

    def theta(self, back):
        """
        Relative covariance parameters in the units of the data.

        Parameters
        ----------
        back : ndarray
            From standardized effects to those of the data, shape (k, k).
        """
        root = back @ self.matrix
        return lower_theta(root @ root.swapaxes(-1, -2), self.slices)


def row_units(precision, rows):
    """
    Lengths in which steps of some rows of L are measured.

    An effect of a level is known to 1 / sqrt(precision), relative to sigma, and a
    standard deviation in proportion to that. Below one the unit is one.

    Parameters
    ----------
    precision : ndarray
        Mean over the levels of the diagonal of Z'V^-1 Z, shape (..., k).
    rows : ndarray
        Which rows, shape (..., m).

    Returns
    -------
    ndarray
        Shape (..., m).
    """
    units = 1.0 / np.sqrt(np.minimum(np.maximum(precision, SMALLEST_PRECISION), 1.0))
    if rows.ndim == 1:
        return units[..., rows]
    rows = np.broadcast_to(rows, (*units.shape[:-1], rows.shape[-1]))
    return np.take_along_axis(units, rows, axis=-1)


def lowest_unused(dual, covariance):
    """
    Smallest eigenvalue of G in the directions that S does not use.

    Parameters
    ----------
    dual, covariance : ndarray
        G and S of one covariance block, shapes (..., k, k).

    Returns
    -------
    ndarray
        Shape (...); at most 0.
    """
    values, vectors = np.linalg.eigh(covariance)
    vectors = vectors * (values <= SNAP**2)[..., None, :]
    within = vectors.swapaxes(-1, -2) @ dual @ vectors
    return np.minimum(np.linalg.eigvalsh(within)[..., 0], 0.0)


def pivoted_factor(covariance, slices, tolerance=0.0):
    """
    Pivoted Cholesky factor of a block-diagonal relative covariance.

    Parameters
    ----------
    covariance : ndarray
        S, positive semi-definite, shape (..., k, k).
    slices : sequence of slice
        Columns of each unstructured block.
    tolerance : float, optional
        Pivots up to this size (of L, not of S) are set to zero.

    Returns
    -------
    RelativeFactor
    """
    matrix = np.zeros_like(covariance)
    rows, columns = [], []
    for block in slices:
        size = block.stop - block.start
        part = covariance[..., block, block]
        if size == 1:
            root = np.sqrt(np.maximum(part, 0.0))
            matrix[..., block, block] = np.where(root > tolerance, root, 0.0)
            pivot = np.zeros((*part.shape[:-2], 1), dtype=np.intp)
        elif part.ndim == 2:
            lower, pivot, rank, _ = lapack.dpstrf(
                part, lower=1, tol=max(tolerance**2, 1e-300)
            )
            lower = np.tril(lower)
            lower[:, rank:] = 0.0
            pivot = pivot - 1
            matrix[block.start + pivot, block] = lower
        else:
            matrix[..., block, block], pivot = _pivoted_cholesky(part, tolerance)
        row, column = np.tril_indices(size)
        rows.append(block.start + pivot[..., row])
        columns.append(block.start + column)
    return RelativeFactor(
        matrix, np.concatenate(rows, axis=-1), np.concatenate(columns), tuple(slices)
    )


def _pivoted_cholesky(covariance, tolerance):
    """Pivoted Cholesky factors of many matrices, rows not permuted, and pivots."""
    rest = covariance.copy()
    matrix, pivots = np.zeros_like(rest), []
    left = np.ones(rest.shape[:-1], dtype=bool)
    for j in range(rest.shape[-1]):
        diagonal = np.where(left, np.diagonal(rest, axis1=-2, axis2=-1), -np.inf)
        pivot = diagonal.argmax(axis=-1)[..., None]
        square = np.take_along_axis(diagonal, pivot, axis=-1)
        positive = square > max(tolerance**2, 1e-300)
        column = np.take_along_axis(rest, pivot[..., None], axis=-1)[..., 0]
        scale = 1.0 / np.sqrt(np.where(positive, square, np.inf))
        column = np.where(left, column, 0.0) * scale
        matrix[..., j] = column
        rest -= column[..., :, None] * column[..., None, :]
        np.put_along_axis(left, pivot, False, axis=-1)
        pivots.append(pivot)
    return matrix, np.concatenate(pivots, axis=-1)


def full_factor(matrix, slices):
    """
    A relative factor of which every entry of every block is free.

    Parameters
    ----------
    matrix : ndarray
        Any L, block-diagonal, shape (k, k).
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    RelativeFactor
    """
    rows, columns = [], []
    for block in slices:
        row, column = np.indices((block.stop - block.start,) * 2)
        rows.append(block.start + row.ravel())
        columns.append(block.start + column.ravel())
    return RelativeFactor(
        matrix, np.concatenate(rows), np.concatenate(columns), tuple(slices)
    )


def lower_triangles(slices):
    """
    Rows and columns of the lower triangles of some blocks, column by column.

    This is the order in which lme4 lists theta.

    Parameters
    ----------
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    rows, columns : ndarray
        Shape (number of parameters,).
    """
    rows, columns = [], []
    for block in slices:
        column, row = np.triu_indices(block.stop - block.start)
        rows.append(block.start + row)
        columns.append(block.start + column)
    return np.concatenate(rows), np.concatenate(columns)


def lower_entries(matrix):
    """Lower triangle of one block, column by column."""
    return matrix[lower_triangles([slice(0, len(matrix))])]


INDEFINITE = -1e-9
"""Eigenvalue of a correlation matrix below which it is no such matrix."""


def split_step(step, factors):
    """
    The free parameters of each factor.

    Parameters
    ----------
    step : ndarray
        Those of all, one after another, shape (..., m); what follows is left out.
    factors : sequence
        Factors with `n_free` free parameters.

    Returns
    -------
    list of ndarray
    """
    ends = np.cumsum([f.n_free for f in factors]).tolist()
    return [step[..., a:b] for a, b in zip([0, *ends], ends)]


def lower_root(covariance, strict=False):
    """
    Lower triangular L of a positive semi-definite S = L L', singular or not.

    Parameters
    ----------
    covariance : ndarray
        S, shape (..., k, k).
    strict : bool, optional
        Whether to refuse an S that is not positive semi-definite.

    Returns
    -------
    ndarray
        L with a non-negative diagonal, shape (..., k, k).

    Raises
    ------
    numpy.linalg.LinAlgError
        If S is refused.
    """
    diagonal = np.diagonal(covariance, axis1=-2, axis2=-1)
    if strict and not (diagonal >= 0.0).all():
        raise np.linalg.LinAlgError("Matrix is not positive semi-definite")
    scale = np.sqrt(diagonal)
    scale = np.where(scale == 0.0, 1.0, scale)
    both = scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(covariance / both)
    if strict and not (values >= INDEFINITE).all():
        raise np.linalg.LinAlgError("Matrix is not positive semi-definite")
    half = vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    upper = np.asarray(np.linalg.qr(half.swapaxes(-1, -2), mode="r"))
    lower = upper.swapaxes(-1, -2)
    signs = np.where(np.diagonal(lower, axis1=-2, axis2=-1) < 0.0, -1.0, 1.0)
    return lower * signs[..., None, :] * scale[..., :, None]


def lower_blocks(covariance, slices):
    """
    Lower triangular roots of the blocks of S, as one matrix.

    Parameters
    ----------
    covariance : ndarray
        S, block-diagonal and positive semi-definite, shape (..., k, k).
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    ndarray
        Shape (..., k, k).
    """
    lower = np.zeros_like(covariance)
    for block in slices:
        lower[..., block, block] = lower_root(covariance[..., block, block])
    return lower


def lower_theta(covariance, slices):
    """
    Entries of the lower triangular roots of the blocks of S, column by column.

    Parameters
    ----------
    covariance : ndarray
        S, block-diagonal and positive semi-definite, shape (..., k, k).
    slices : sequence of slice
        Columns of each unstructured block.

    Returns
    -------
    ndarray
        Shape (..., number of parameters), in the order of `lower_triangles`.
    """
    return lower_blocks(covariance, slices)[(..., *lower_triangles(slices))]
