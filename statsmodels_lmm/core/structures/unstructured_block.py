"""
Covariance blocks in which every entry is free.

L is lower triangular once its rows are in pivot order, and the free parameters are the
entries of that triangle. With a fixed order of rows the criterion would have a curved
valley wherever a leading minor of S is singular; pivoting avoids it.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from scipy.linalg import lapack

from statsmodels_lmm.core.algebra.dense import eigh, eigvalsh, identity, lower_part
from statsmodels_lmm.core.structures.quantity import Quantity
from statsmodels_lmm.core.structures.roots import (
    is_singular,
    lower_entries,
    lower_triangle,
    rank,
    symmetric_units,
    triangular,
)

SMALLEST_PRECISION = 1e-30
"""Precision below which the data say nothing about an effect."""

SNAP = 1e-5
"""Pivots of L, in standardized units, that are tried at zero at the end."""

NO_PIVOT = 1e-300
"""Smallest square of a pivot."""


@dataclass(frozen=True)
class UnstructuredCovariance:
    """
    An arbitrary covariance matrix, see `block.CovarianceModel`.

    In the units of the data the parameters are the lower triangle, column by column, of
    L, the lower triangular root of the relative covariance.

    Parameters
    ----------
    size : int
        Number of effects k.
    """

    size: int

    name = "us"
    structure = None
    has_structure = False
    parameters = ()
    n_structured = 0

    @property
    def n_parameters(self):
        """Number of parameters, k (k + 1) / 2."""
        return self.size * (self.size + 1) // 2

    def in_units(self, change):
        """The same model: a change of effects leaves the matrix arbitrary."""
        return self

    def start(self, covariance):
        """The block from which a search starts, at a given covariance."""
        return UnstructuredBlock.pivoted(covariance)

    def at(self, theta, change, pivoted=False):
        """The block at given parameters, see `block.CovarianceModel`."""
        lower = np.zeros((self.size, self.size))
        lower[lower_triangle(self.size)] = theta
        root = np.linalg.solve(change, lower)
        if pivoted:
            return UnstructuredBlock.pivoted(root @ root.T)
        return UnstructuredBlock.full(root)

    def generic(self):
        """The block at an arbitrary point: the changes of S are the same everywhere."""
        return UnstructuredBlock.full(np.eye(self.size))

    def is_singular(self, covariance, structured_theta):
        """Which S have a standard deviation that counts as zero, shape (...)."""
        return is_singular(covariance)

    def holds(self, other):
        """True: any model of effects in this one's span is a special case."""
        return True

    def parts(self):
        """An empty tuple: the effects are not independent."""
        return ()

    def quantities(self, names, title):
        """Standard deviations, then correlations below the diagonal, row by row."""
        quantities = [Quantity("sd", a, None, n, "", n) for a, n in enumerate(names)]
        for a, b in zip(*np.tril_indices(self.size, -1)):
            label = f"{names[a]}, {names[b]}"
            quantities.append(
                Quantity("cor", int(a), int(b), names[b], names[a], label)
            )
        return quantities

    def quantity_values(self, quantities, covariance, theta):
        """The values that `block.CovarianceModel` asks for."""
        values, deviations = [], np.sqrt(np.diag(covariance))
        for q in quantities:
            if q.kind == "sd":
                values.append((covariance[q.first, q.first], deviations[q.first]))
                continue
            product = deviations[q.first] * deviations[q.second]
            both = covariance[q.first, q.second]
            share = np.clip(both / product, -1.0, 1.0) if product else np.nan
            values.append((both, share))
        return values

    def theta_labels(self, names, quantities):
        """Names of the entries of L, column by column."""
        return [
            names[r] if r == c else f"{names[r]}.{names[c]}"
            for r, c in zip(*lower_triangle(self.size))
        ]

    def unit_change(self, back, unit):
        """Entries of unit B S B' from those of S, a linear map, shape (m, m)."""
        return unit * lower_entries(back @ symmetric_units(self.size) @ back.T).T


@dataclass(frozen=True)
class UnstructuredBlock:
    """
    An unstructured covariance block at one value, or at many.

    See `block.CovarianceBlock` for its methods.

    Parameters
    ----------
    matrix : ndarray
        L, shape (..., k, k).
    rows : ndarray
        Row in L of each free parameter, shape (..., m).
    columns : ndarray
        Column in L of each free parameter, shape (m,).
    """

    matrix: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    structured_theta = np.zeros(0)

    @classmethod
    def pivoted(cls, covariance, tolerance=0.0):
        """
        The block with the pivoted Cholesky factor of a covariance.

        Parameters
        ----------
        covariance : ndarray
            S, positive semi-definite, shape (..., k, k).
        tolerance : float, optional
            Pivots up to this size (of L, not of S) are set to zero.
        """
        size = covariance.shape[-1]
        if size == 1:
            root = np.sqrt(np.maximum(covariance, 0.0))
            matrix = np.where(root > tolerance, root, 0.0)
            pivot = np.zeros((*matrix.shape[:-2], 1), dtype=np.intp)
        elif covariance.ndim == 2:
            least = max(tolerance**2, NO_PIVOT)
            lower, pivot, filled, _ = lapack.dpstrf(covariance, lower=1, tol=least)
            lower = lower_part(lower)
            lower[:, filled:] = 0.0
            pivot = pivot - 1
            matrix = np.empty(covariance.shape)
            matrix[pivot] = lower
        else:
            matrix, pivot = _pivoted_cholesky(covariance, tolerance)
        row, column = _triangle(size)
        return cls(matrix, pivot[..., row], column)

    @classmethod
    def full(cls, matrix):
        """The block with a root L, shape (k, k), every entry of which is free."""
        rows, columns = np.indices(matrix.shape)
        return cls(matrix, rows.ravel(), columns.ravel())

    @property
    def size(self):
        """Number of effects k."""
        return self.matrix.shape[-1]

    @property
    def n_free(self):
        """Number of free parameters m."""
        return len(self.columns)

    @property
    def n_parameters(self):
        """Number of parameters in the units of the data, k (k + 1) / 2."""
        return self.size * (self.size + 1) // 2

    @cached_property
    def covariance(self):
        """S = L L'."""
        return self.matrix @ self.matrix.swapaxes(-1, -2)

    @cached_property
    def _selection(self):
        """Unit vectors of the rows of the free parameters, shape (..., m, k)."""
        return identity(self.size)[self.rows]

    @cached_property
    def _places(self):
        """Index of the free parameters in L."""
        if self.rows.ndim == 1:
            return (..., self.rows, self.columns)
        which = np.ix_(*map(np.arange, self.rows.shape))[:-1]
        return (*which, self.rows, self.columns)

    @cached_property
    def directions(self):
        """Derivatives dS / d(free parameters), shape (..., m, k, k)."""
        columns = self.matrix.swapaxes(-1, -2)[..., self.columns, :]
        out = self._selection[..., :, None] * columns[..., None, :]
        return out + out.swapaxes(-1, -2)

    @property
    def free_values(self):
        """The free parameters, shape (..., m)."""
        return self.matrix[self._places]

    def units(self, precision):
        """Natural step lengths of the free parameters, (..., m)."""
        return row_units(precision, self.rows)

    def slope(self, dual):
        """Derivatives tr(G dS) = 2 (G L) of the criterion, shape (..., m)."""
        return 2.0 * (dual @ self.matrix)[self._places]

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (..., m, m)."""
        same = self.columns[:, None] == self.columns
        both = self._selection @ dual @ self._selection.swapaxes(-1, -2)
        return 2.0 * same * both

    def moved(self, step):
        """The block after a step of the free parameters, without a new pivot."""
        matrix = self.matrix.copy()
        matrix[self._places] += step
        return UnstructuredBlock(matrix, self.rows, self.columns)

    def stepped(self, step):
        """The block after a step of the free parameters, pivoted anew."""
        return UnstructuredBlock.pivoted(self.moved(step).covariance)

    def snapped(self, tolerance=SNAP):
        """The block with small pivots set to zero, or itself if there are none."""
        largest = np.abs(self.matrix).max(axis=-2, keepdims=True)
        if not ((self.matrix != 0.0) & (largest <= tolerance)).any():
            return self
        return UnstructuredBlock.pivoted(self.covariance, tolerance)

    def lifted(self, amount):
        """The block moved off the boundary by adding a variance to every effect."""
        return UnstructuredBlock.pivoted(self.covariance + amount * identity(self.size))

    def correlated(self, share):
        """The block itself: only structures have correlation parameters."""
        return self

    def nothing(self):
        """The block with L = 0."""
        return UnstructuredBlock.pivoted(np.zeros_like(self.matrix))

    @property
    def is_singular(self):
        """Whether S has a standard deviation that counts as zero, shape (...)."""
        return is_singular(self.covariance)

    @property
    def may_be_elsewhere(self):
        """Whether another optimum is likely: the block is singular."""
        return bool(self.is_singular)

    def rank(self):
        """Number of standard deviations that do not count as zero."""
        return rank(self.matrix)

    def certificates(self, dual, information):
        """
        How far from positive semi-definite G is, see `block.CovarianceBlock`.

        Both eigenvalues are relative to the information about the block: the first over
        all directions, the second, at most 0, over those that S does not use.
        """
        weight = np.trace(information, axis1=-2, axis2=-1)
        weight = np.where(weight > 0.0, weight, np.inf)
        smallest = eigvalsh(dual)[..., 0] / weight
        return [smallest], [lowest_unused(dual, self.covariance) / weight]

    def theta(self, back):
        """Lower triangle of the root of B S B', column by column."""
        return lower_entries(triangular(back @ self.matrix))

    def theta_jacobian(self, back):
        """Jacobian matrix d(free parameters) / d(theta), shape (m, n_parameters)."""
        rows, columns = lower_triangle(self.size)
        inverse = np.linalg.inv(back)[self.rows[:, None], rows]
        return (self.columns[:, None] == columns) * inverse

    def unit_changes(self, scale):
        """Changes of sigma^2 S per unit of each of its entries, (m, k, k)."""
        return symmetric_units(self.size)

    def parameter_slopes(self, scale):
        """Derivatives of the entries of sigma^2 S in those of L, (n_parameters, m)."""
        return scale * lower_entries(self.directions).T

    def traces(self, inner):
        """Inner products of those changes with matrices, shape (..., m)."""
        row, column = lower_triangle(self.size)
        out = inner[..., row, column] + inner[..., column, row]
        out[..., row == column] *= 0.5
        return out

    def scale_slopes(self):
        """Derivatives of entries of sigma^2 S with respect to sigma^2, shape (m,)."""
        return lower_entries(self.covariance)

    def bend(self, dual):
        """Zero: sigma^2 S is linear in its entries, shape (m, m)."""
        return np.zeros((self.n_parameters, self.n_parameters))

    def natural_bend(self, root, along):
        """Zero: covariances are natural parameters, shape (k, k)."""
        return np.zeros_like(self.covariance)

    def freed(self):
        """The block with every entry free, and moves confined to its triangle."""
        root, rows, columns = pivoted_triangle(self.matrix)
        moves = np.zeros((len(rows), *root.shape))
        moves[np.arange(len(rows)), rows, columns] = 1.0
        return UnstructuredBlock.full(root), moves.reshape(len(rows), -1)

    def take(self, which):
        """A selection of the values."""
        return UnstructuredBlock(self.matrix[which], self.rows[which], self.columns)

    def where(self, better, other):
        """The other block where it is better, else this one; `better` is (count,)."""
        better = better[:, None]
        return UnstructuredBlock(
            np.where(better[..., None], other.matrix, self.matrix),
            np.where(better, other.rows, self.rows),
            self.columns,
        )

    def broadcast(self, count):
        """One value repeated `count` times; many values stay as they are."""
        return UnstructuredBlock(
            np.broadcast_to(self.matrix, (count, *self.matrix.shape[-2:])),
            np.broadcast_to(self.rows, (count, self.rows.shape[-1])),
            self.columns,
        )


def row_units(precision, rows):
    """
    Natural step lengths of given rows of L.

    An effect of a level is known to within 1 / sqrt(precision), relative to sigma, and
    a standard deviation in proportion. Lengths below one are raised to one.

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
    values, vectors = eigh(covariance)
    vectors = vectors * (values <= SNAP**2)[..., None, :]
    within = vectors.swapaxes(-1, -2) @ dual @ vectors
    return np.minimum(eigvalsh(within)[..., 0], 0.0)


def pivoted_triangle(rows):
    """
    A root with the inner products of given rows, triangular in pivot order.

    Parameters
    ----------
    rows : ndarray
        L, with k rows.

    Returns
    -------
    root : ndarray
        U with U U' = L L', shape (k, k).
    at_row, at_column : ndarray
        The entries of its triangle, shape (k (k + 1) / 2,).
    """
    k = len(rows)
    root, rest = np.zeros((k, k)), rows
    pivots: list[int] = []
    for j in range(k):
        sizes = (rest**2).sum(axis=1)
        sizes[pivots] = -1.0
        pivot = int(sizes.argmax())
        length = np.sqrt(sizes[pivot])
        if length > 0.0:
            unit = rest[pivot] / length
            column = rest @ unit
            column[pivots] = 0.0
            root[:, j] = column
            rest = rest - column[:, None] * unit
        pivots.append(pivot)
    row, column = _triangle(k)
    return root, np.array(pivots, dtype=np.intp)[row], column


def _pivoted_cholesky(covariance, tolerance):
    """Pivoted Cholesky factors with rows left in place, and the pivots."""
    rest = covariance.copy()
    matrix, pivots = np.zeros_like(rest), []
    left = np.ones(rest.shape[:-1], dtype=bool)
    for j in range(rest.shape[-1]):
        diagonal = np.where(left, np.diagonal(rest, axis1=-2, axis2=-1), -np.inf)
        pivot = diagonal.argmax(axis=-1)[..., None]
        square = np.take_along_axis(diagonal, pivot, axis=-1)
        positive = square > max(tolerance**2, NO_PIVOT)
        column = np.take_along_axis(rest, pivot[..., None], axis=-1)[..., 0]
        scale = 1.0 / np.sqrt(np.where(positive, square, np.inf))
        column = np.where(left, column, 0.0) * scale
        matrix[..., j] = column
        rest -= column[..., :, None] * column[..., None, :]
        np.put_along_axis(left, pivot, False, axis=-1)
        pivots.append(pivot)
    return matrix, np.concatenate(pivots, axis=-1)


@lru_cache(maxsize=16)
def _triangle(size):
    """Rows and columns of a lower triangle, row by row."""
    return np.tril_indices(size)
