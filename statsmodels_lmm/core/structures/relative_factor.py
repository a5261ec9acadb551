"""How the relative covariance of a term depends on its free parameters."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from statsmodels_lmm.core.algebra.dense import concatenated, consecutive
from statsmodels_lmm.core.structures.unstructured_block import SNAP, UnstructuredBlock


@dataclass(frozen=True)
class RelativeFactor:
    """
    A square root L of the relative covariance S = L L' of one term.

    L is block-diagonal, and the methods are those of `block.CovarianceBlock`, for all
    blocks together. A factor of unstructured blocks may have leading axes, to hold many
    values at once.

    Parameters
    ----------
    blocks : tuple of CovarianceBlock
        The blocks, with their free parameters in the same order.
    """

    blocks: tuple

    def __setstate__(self, state):
        """Read pickles, also of two earlier classes: with one matrix, or `parts`."""
        if "parts" in state:
            blocks = [getattr(part, "blocks", (part,)) for part in state["parts"]]
            state = {"blocks": sum(blocks, ())}
        elif "blocks" not in state:
            state = {"blocks": _unjoined(*map(state.get, _OF_ONE_MATRIX))}
        self.__dict__.update(state)

    @cached_property
    def slices(self):
        """Columns of each block, as a tuple of slice."""
        return consecutive(b.size for b in self.blocks)

    @property
    def size(self):
        """Number of effects k."""
        return sum(b.size for b in self.blocks)

    @cached_property
    def n_free(self):
        """Number of free parameters m."""
        return sum(b.n_free for b in self.blocks)

    @property
    def free_values(self):
        """The free parameters, shape (..., m)."""
        return concatenated([b.free_values for b in self.blocks])

    @property
    def n_parameters(self):
        """Number of parameters in the units of the data."""
        return sum(b.n_parameters for b in self.blocks)

    @cached_property
    def matrix(self):
        """L, shape (..., k, k)."""
        return block_diagonal([b.matrix for b in self.blocks])

    @cached_property
    def covariance(self):
        """S = L L', shape (..., k, k)."""
        return block_diagonal([b.covariance for b in self.blocks])

    @cached_property
    def directions(self):
        """Derivatives dS / d(free parameters), shape (..., m, k, k)."""
        return self._of_whole([b.directions for b in self.blocks])

    def units(self, precision):
        """
        Natural step lengths of the free parameters, shape (..., m).

        Parameters
        ----------
        precision : ndarray
            Information in the data about the effects of a level, see `row_units`.
        """
        if len(self.blocks) == 1:
            return self.blocks[0].units(precision)
        pairs = zip(self.blocks, self.slices)
        return concatenated([b.units(precision[..., s]) for b, s in pairs])

    def slope(self, dual):
        """Derivatives tr(G dS) of the criterion, shape (..., m)."""
        return concatenated([b.slope(g) for b, g in self._with_inner(dual)])

    def curvature(self, dual):
        """The part tr(G d^2 S) of the second derivatives, shape (..., m, m)."""
        return block_diagonal([b.curvature(g) for b, g in self._with_inner(dual)])

    def moved(self, step):
        """L after a step of the free parameters, without a new pivot."""
        pairs = zip(self.blocks, split_step(step, self.blocks))
        return RelativeFactor(tuple(b.moved(s) for b, s in pairs))

    def stepped(self, step):
        """L after a step of the free parameters, pivoted anew."""
        pairs = zip(self.blocks, split_step(step, self.blocks))
        return RelativeFactor(tuple(b.stepped(s) for b, s in pairs))

    def snapped(self, tolerance=SNAP):
        """The factor with anything almost on a boundary moved onto it, or itself."""
        blocks = tuple(b.snapped(tolerance) for b in self.blocks)
        same = all(b is c for b, c in zip(blocks, self.blocks))
        return self if same else RelativeFactor(blocks)

    def lifted(self, amount):
        """The factor moved off the boundary."""
        return RelativeFactor(tuple(b.lifted(amount) for b in self.blocks))

    def correlated(self, share):
        """The factor with correlations of structures at a share of their ends."""
        return RelativeFactor(tuple(b.correlated(share) for b in self.blocks))

    def nothing(self):
        """The factor with zero variances."""
        return RelativeFactor(tuple(b.nothing() for b in self.blocks))

    @property
    def may_be_elsewhere(self):
        """Whether another optimum is likely for any block."""
        return any(b.may_be_elsewhere for b in self.blocks)

    def certificates(self, dual, information):
        """The certificates of the blocks, concatenated."""
        smallest, unused = [], []
        pairs = self._with_inner(dual), self._with_inner(information)
        for (block, inner), (_, known) in zip(*pairs):
            certified = block.certificates(inner, known)
            smallest += certified[0]
            unused += certified[1]
        return smallest, unused

    @property
    def structured_theta(self):
        """Parameters of the blocks with a structure."""
        return concatenated([b.structured_theta for b in self.blocks])

    def theta(self, back):
        """
        Relative covariance parameters in the units of the data, block by block.

        Parameters
        ----------
        back : ndarray
            Takes standardized effects to the units of the data, shape (k, k).
        """
        return concatenated([b.theta(c) for b, c in self._with_inner(back)])

    def theta_jacobian(self, back):
        """Jacobian matrix d(free parameters) / d(theta), shape (m, n_parameters)."""
        pairs = self._with_inner(back)
        return block_diagonal([b.theta_jacobian(c) for b, c in pairs])

    def unit_changes(self, scale):
        """
        Changes of sigma^2 S per unit of each covariance parameter.

        Parameters
        ----------
        scale : float
            sigma^2.

        Returns
        -------
        ndarray
            Shape (n_parameters, k, k).
        """
        return self._of_whole([b.unit_changes(scale) for b in self.blocks])

    def traces(self, inner):
        """Inner products of the changes of S with matrices, (..., n_parameters)."""
        return concatenated([b.traces(m) for b, m in self._with_inner(inner)])

    def scale_slopes(self):
        """Derivatives of covariance parameters with respect to sigma^2, S constant."""
        return concatenated([b.scale_slopes() for b in self.blocks])

    def bend(self, dual):
        """The term tr(G d^2 S) / 2 of the Hessian, shape (n_parameters,) * 2."""
        return block_diagonal([b.bend(g) for b, g in self._with_inner(dual)])

    def natural_bend(self, root, along):
        """Second derivatives in natural parameters, see `block.CovarianceBlock`."""
        places = consecutive(b.n_parameters for b in self.blocks)
        each = [b.natural_bend(root[p], along) for b, p in zip(self.blocks, places)]
        return block_diagonal(each)

    def is_near(self, other, share):
        """Whether no covariance differs by more than a share of the other's largest."""
        size = np.abs(other.covariance).max(initial=share)
        change = np.abs(self.covariance - other.covariance).max(axis=(-1, -2))
        return change <= share * size

    def take(self, which):
        """A selection of the values."""
        return RelativeFactor(tuple(b.take(which) for b in self.blocks))

    def where(self, better, other):
        """
        The better of two factors, for each of many values.

        Parameters
        ----------
        better : ndarray of bool
            Where to take the other, shape (count,).
        other : RelativeFactor
            The other factor, with the same blocks.
        """
        pairs = zip(self.blocks, other.blocks)
        return RelativeFactor(tuple(b.where(better, c) for b, c in pairs))

    def broadcast(self, count):
        """One value repeated `count` times; many values stay as they are."""
        return RelativeFactor(tuple(b.broadcast(count) for b in self.blocks))

    def _with_inner(self, matrix):
        """Each block with its diagonal part of a matrix (..., k, k)."""
        if len(self.blocks) == 1:
            return [(self.blocks[0], matrix)]
        return [(b, matrix[..., s, s]) for b, s in zip(self.blocks, self.slices)]

    def _of_whole(self, changes):
        """Changes of each block as changes of the whole S, shape (..., m, k, k)."""
        if len(changes) == 1:
            return changes[0]
        m, start = sum(c.shape[-3] for c in changes), 0
        out = np.zeros((*changes[0].shape[:-3], m, self.size, self.size))
        for change, columns in zip(changes, self.slices):
            end = start + change.shape[-3]
            out[..., start:end, columns, columns] = change
            start = end
        return out


def block_diagonal(matrices):
    """
    A block-diagonal matrix.

    Parameters
    ----------
    matrices : sequence of ndarray
        The blocks, shapes (..., a, b).

    Returns
    -------
    ndarray
        Shape (..., sum of a, sum of b); the block itself if there is only one.
    """
    if len(matrices) == 1:
        return matrices[0]
    shape = [sum(m.shape[axis] for m in matrices) for axis in (-2, -1)]
    out = np.zeros((*matrices[0].shape[:-2], *shape))
    row = column = 0
    for matrix in matrices:
        height, width = matrix.shape[-2:]
        out[..., row : row + height, column : column + width] = matrix
        row, column = row + height, column + width
    return out


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
    parts = [covariance[..., s, s] for s in slices]
    return RelativeFactor(
        tuple(UnstructuredBlock.pivoted(part, tolerance) for part in parts)
    )


def full_factor(matrix, slices):
    """
    A relative factor with every entry of every block free.

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
    return RelativeFactor(tuple(UnstructuredBlock.full(matrix[s, s]) for s in slices))


def starting_factor(term, covariance):
    """
    Where the search for the covariance of a term starts.

    Parameters
    ----------
    term : GroupedEffects
        In standardized units.
    covariance : ndarray
        A relative covariance (..., k, k); structured blocks use only its diagonal.

    Returns
    -------
    RelativeFactor
    """
    pairs = zip(term.structures, term.block_slices)
    return RelativeFactor(tuple(c.start(covariance[..., s, s]) for c, s in pairs))


def factor_at(term, theta, change, pivoted=False):
    """
    The relative covariance factor at given parameters.

    Parameters
    ----------
    term : GroupedEffects
        In standardized units.
    theta : ndarray
        Parameters in the units of the data, shape (m,).
    change : ndarray
        Takes standardized effects to the units of the data, shape (k, k).
    pivoted : bool, optional
        True if a search starts there, in its own coordinates; False if derivatives in
        theta are needed.

    Returns
    -------
    RelativeFactor
    """
    triples = zip(
        term.structures, term.block_slices, consecutive(term.parameter_counts)
    )
    return RelativeFactor(
        tuple(c.at(theta[part], change[s, s], pivoted) for c, s, part in triples)
    )


def generic_factor(term):
    """The relative covariance factor of a term at a point where nothing cancels."""
    return RelativeFactor(tuple(c.generic() for c in term.structures))


def structured_parameters(factors):
    """
    Parameters of all blocks with a structure, concatenated.

    Parameters
    ----------
    factors : sequence of RelativeFactor
        The factors.

    Returns
    -------
    ndarray
        Shape (s,).
    """
    return np.concatenate([f.structured_theta for f in factors])


def split_step(step, parts):
    """
    The free parameters of each factor or block.

    Parameters
    ----------
    step : ndarray
        All free parameters, concatenated, shape (..., m); later entries are ignored.
    parts : sequence
        Factors or blocks with `n_free` free parameters.

    Returns
    -------
    list of ndarray
    """
    steps, start = [], 0
    for part in parts:
        end = start + part.n_free
        steps.append(step[..., start:end])
        start = end
    return steps


_OF_ONE_MATRIX = "matrix", "rows", "columns", "slices"
"""The fields of a factor of unstructured blocks in old pickles."""


def _unjoined(matrix, rows, columns, slices):
    """Unstructured blocks from L and the positions of their free parameters in it."""
    blocks = []
    for s in slices:
        of_block = (columns >= s.start) & (columns < s.stop)
        places = rows[..., of_block] - s.start, columns[of_block] - s.start
        blocks.append(UnstructuredBlock(matrix[..., s, s], *places))
    return tuple(blocks)
