"""
Relative covariance factors of terms with a structure.

A search must not leave the range of a parameter, and may end at its end. So it moves
in coordinates phi without bounds, which are folded into the range:

    a standard deviation            theta = unit |phi|
    between two ends                theta = middle + half sin(phi)
    above or below one end          theta = end +- unit phi^2

At an end dS / dphi is zero, and the second derivative tells whether the criterion
rises from there, as with the free entries of an unstructured factor.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.covariance import (
    SINGULAR,
    SNAP,
    RelativeFactor,
    full_factor,
    lower_root,
    pivoted_factor,
)
from statsmodels_lmm.core.structures import Structure, check_structure, structure_named

EVEN = 1e-6
"""Derivative at a lower end, relative to that at the start, that counts as zero."""

OFF_EDGE = 0.98
"""Largest sine of an angle at which a search starts."""


@dataclass(frozen=True)
class StructuredBlock:
    """
    A covariance block with a structure.

    Parameters
    ----------
    structure : Structure
        From parameters to S in the units of the data.
    effects : tuple of str
        Names of the k effects.
    unit : ndarray, optional
        Units of the standardized effects, so that S_ab / (unit_a unit_b) is in these
        units, shape (k,); ones if None.
    """

    structure: Structure
    effects: tuple
    unit: np.ndarray | None = None

    @property
    def size(self):
        """Number of effects k."""
        return len(self.effects)

    @cached_property
    def parameters(self):
        """The parameters, a tuple of Parameter."""
        return tuple(self.structure.parameters(self.effects))

    @property
    def n_parameters(self):
        """Number of parameters m."""
        return len(self.parameters)

    def _scaled(self, matrices):
        if self.unit is None:
            return matrices
        return matrices / np.outer(self.unit, self.unit)

    def covariance(self, theta):
        """S in standardized units, shape (k, k)."""
        return self._scaled(self.structure.covariance(theta, self.size))

    def derivative(self, theta):
        """Derivatives of S in theta, in standardized units, shape (m, k, k)."""
        return self._scaled(self.structure.derivative(theta, self.size))

    def second_derivative(self, theta):
        """Second derivatives of S in theta, shape (m, m, k, k)."""
        return self._scaled(self.structure.second_derivative(theta, self.size))

    @cached_property
    def folds(self):
        """How each parameter is folded, a tuple of `Fold`."""
        return tuple(self._fold(a, p) for a, p in enumerate(self.parameters))

    def _fold(self, a, parameter):
        low, high = parameter.lower, parameter.upper
        if np.isfinite(low) and np.isfinite(high):
            return Fold("angle", 0.5 * (low + high), 0.5 * (high - low))
        if parameter.kind == "sd":
            return Fold("even", 0.0, 1.0 / self._length(parameter.effect))
        if not (np.isfinite(low) or np.isfinite(high)):
            return Fold("free", 0.0, 1.0)
        end, side = (low, 1.0) if np.isfinite(low) else (high, -1.0)
        kind = "even" if self._is_flat(a, end) else "square"
        return Fold(kind, end, side)

    def _length(self, effect):
        """Length in standardized units of an effect, or their root mean square."""
        if self.unit is None:
            return 1.0
        squares = self.unit**-2.0
        return float(np.sqrt(squares.mean() if effect is None else squares[effect]))

    def _is_flat(self, a, end):
        """Whether S does not change at an end, so that it can be reflected there."""
        theta = np.array([p.initial for p in self.parameters])
        inside = np.abs(self.structure.derivative(theta, self.size)[a]).max()
        theta[a] = end
        with np.errstate(all="ignore"):
            at_end = np.abs(self.structure.derivative(theta, self.size)[a]).max()
        return bool(at_end <= EVEN * inside)

    def start(self, deviations):
        """
        Where a search starts.

        Parameters
        ----------
        deviations : ndarray
            Standard deviations of the effects in standardized units, shape (k,).

        Returns
        -------
        StructuredPart
        """
        theta = []
        for parameter in self.parameters:
            value = parameter.initial
            if parameter.kind == "sd" and parameter.start is None:
                each = deviations**2
                at = parameter.effect
                value = np.sqrt(each.mean() if at is None else each[at])
                value = value / self._length(at)
            theta.append(value)
        return self.part(theta).lifted()

    def part(self, theta, folded=True):
        """The block at some parameters, in coordinates of a search or in theta."""
        folds = self.folds if folded else (PLAIN,) * self.n_parameters
        coordinates = np.array([f.fold(float(t)) for f, t in zip(folds, theta)])
        return StructuredPart(self, coordinates, folds)


@dataclass(frozen=True)
class Fold:
    """
    The map from an unbounded coordinate to the range of a parameter.

    Parameters
    ----------
    kind : {"free", "even", "square", "angle"}
        Which map.
    origin, unit : float
        Its constants.
    """

    kind: str
    origin: float
    unit: float

    def unfold(self, x):
        """The parameter and its first and second derivative in the coordinate."""
        if self.kind == "angle":
            sine, cosine = np.sin(x), np.cos(x)
            value = self.origin + self.unit * sine
            return value, self.unit * cosine, -self.unit * sine
        if self.kind == "square":
            return self.origin + self.unit * x**2, 2.0 * self.unit * x, 2.0 * self.unit
        if self.kind == "even":
            sign = -1.0 if x < 0.0 else 1.0
            return self.origin + self.unit * abs(x), sign * self.unit, 0.0
        return self.origin + self.unit * x, self.unit, 0.0

    def fold(self, theta):
        """The coordinate of a parameter."""
        distance = (theta - self.origin) / self.unit
        if self.kind == "angle":
            return np.arcsin(np.clip(distance, -1.0, 1.0))
        if self.kind == "square":
            return np.sqrt(max(distance, 0.0))
        return distance


PLAIN = Fold("free", 0.0, 1.0)
"""A parameter as it is."""


@dataclass(frozen=True)
class StructuredPart:
    """
    A covariance block with a structure at one value of its parameters.

    Parameters
    ----------
    block : StructuredBlock
        The structure.
    coordinates : ndarray
        phi, shape (m,).
    folds : tuple of Fold
        How each is folded into the range of its parameter.
    """

    block: StructuredBlock
    coordinates: np.ndarray
    folds: tuple

    @property
    def n_free(self):
        """Number of free parameters m."""
        return len(self.coordinates)

    @cached_property
    def _unfolded(self):
        """Theta and its first and second derivatives in the coordinates."""
        pairs = zip(self.folds, self.coordinates)
        found = np.array([f.unfold(x) for f, x in pairs]).reshape(-1, 3)
        return tuple(found.T)

    @property
    def theta(self):
        """Parameters in the units of the data, shape (m,)."""
        return self._unfolded[0]

    @cached_property
    def covariance(self):
        """S, shape (k, k)."""
        return self.block.covariance(self.theta)

    @cached_property
    def matrix(self):
        """A root L of S, shape (k, k)."""
        return lower_root(self.covariance)

    @cached_property
    def _slopes(self):
        """Derivatives of S in theta, shape (m, k, k)."""
        return self.block.derivative(self.theta)

    @cached_property
    def directions(self):
        """Derivatives of S in the coordinates, shape (m, k, k)."""
        _, first, _ = self._unfolded
        return self._slopes * first[:, None, None]

    @cached_property
    def _second(self):
        theta, first, second = self._unfolded
        out = self.block.second_derivative(theta)
        out = out * np.multiply.outer(first, first)[:, :, None, None]
        each = np.arange(len(theta))
        if second.any():
            out[each, each] += self._slopes * second[:, None, None]
        return out

    def slope(self, dual):
        """Derivatives of the criterion, tr(G dS), shape (m,)."""
        return (self.directions * dual).sum(axis=(-1, -2))

    def curvature(self, dual):
        """The part of the second derivatives that is tr(G d^2 S), shape (m, m)."""
        return (self._second * dual).sum(axis=(-1, -2))

    def stepped(self, step):
        """The block after a step of the coordinates."""
        return replace(self, coordinates=self.coordinates + step)

    moved = stepped

    def held(self, a, theta):
        """The block with one parameter at a value, not folded."""
        coordinates, folds = self.coordinates.copy(), list(self.folds)
        coordinates[a], folds[a] = theta, PLAIN
        return replace(self, coordinates=coordinates, folds=tuple(folds))

    def lifted(self, amount=0.1):
        """The block with coordinates moved off the ends of ranges."""
        out = self.coordinates.copy()
        for a, (fold, parameter) in enumerate(zip(self.folds, out)):
            if fold.kind == "angle":
                out[a] = np.clip(parameter, -np.arcsin(OFF_EDGE), np.arcsin(OFF_EDGE))
            elif fold.kind in ("even", "square"):
                out[a] = max(abs(parameter), amount)
        return replace(self, coordinates=out)

    def snapped(self):
        """The block with coordinates that are almost at an end put there."""
        out = self.coordinates.copy()
        for a, fold in enumerate(self.folds):
            if fold.kind == "angle":
                edge = np.pi * (np.round(out[a] / np.pi - 0.5) + 0.5)
                out[a] = edge if abs(out[a] - edge) <= SNAP else out[a]
            elif fold.kind != "free" and abs(out[a]) <= SNAP:
                out[a] = 0.0
        return (
            self if (out == self.coordinates).all() else replace(self, coordinates=out)
        )

    def nothing(self):
        """The block with its deviations at zero."""
        out = self.coordinates.copy()
        for a, parameter in enumerate(self.block.parameters):
            out[a] = 0.0 if parameter.kind == "sd" else out[a]
        return replace(self, coordinates=out)

    def certificates(self, dual, information):
        """
        Slopes away from the ends at which parameters are.

        Parameters
        ----------
        dual : ndarray
            G, shape (k, k).
        information : ndarray
            Sum of the diagonal blocks of Z'V^-1 Z, shape (k, k).

        Returns
        -------
        smallest, unused : list of float
            The smallest second derivative of a coordinate at an end, over the
            information about it; at most 0 in `unused`.
        """
        smallest = 0.0
        second = np.diagonal(self._second, axis1=0, axis2=1)
        for a in range(self.n_free):
            own, size = second[..., a], np.abs(self.directions[a]).max()
            if size > SINGULAR * np.abs(own).max(initial=0.0):
                continue
            weight = np.abs((own * information).sum())
            if weight > 0.0:
                smallest = min(smallest, float((own * dual).sum() / weight))
        return [smallest], [smallest]


@dataclass(frozen=True)
class StructuredFactor:
    """
    The relative covariance of a factor some of whose blocks have a structure.

    It knows the same verbs as `covariance.RelativeFactor`.

    Parameters
    ----------
    parts : tuple of RelativeFactor or StructuredPart
        The blocks.
    """

    parts: tuple

    @cached_property
    def matrix(self):
        """L, block-diagonal, shape (k, k)."""
        return block_diag(*(p.matrix for p in self.parts))

    @cached_property
    def covariance(self):
        """S = L L'."""
        return block_diag(*(p.covariance for p in self.parts))

    @property
    def n_free(self):
        """Number of free parameters."""
        return sum(p.n_free for p in self.parts)

    @property
    def slices(self):
        """Columns of each block."""
        ends = np.cumsum([0] + [len(p.matrix) for p in self.parts]).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]

    @cached_property
    def directions(self):
        """Derivatives of S in the free parameters, shape (m, k, k)."""
        k, start = len(self.matrix), 0
        out = np.zeros((self.n_free, k, k))
        for part, block in zip(self.parts, self.slices):
            here = slice(start, start + part.n_free)
            out[here, block, block] = part.directions
            start = here.stop
        return out

    def slope(self, dual):
        """Derivatives of the criterion in the free parameters, shape (m,)."""
        pairs = zip(self.parts, self.slices)
        return np.concatenate([p.slope(dual[b, b]) for p, b in pairs])

    def curvature(self, dual):
        """The part of the second derivatives that is tr(G d^2 S), shape (m, m)."""
        pairs = zip(self.parts, self.slices)
        return block_diag(*(p.curvature(dual[b, b]) for p, b in pairs))

    def stepped(self, step):
        """The factor after a step of the free parameters."""
        ends = np.cumsum([0] + [p.n_free for p in self.parts])
        steps = [step[a:b] for a, b in zip(ends[:-1], ends[1:])]
        return StructuredFactor(tuple(p.stepped(s) for p, s in zip(self.parts, steps)))

    def moved(self, step):
        """The same, unstructured blocks without a new pivot."""
        ends = np.cumsum([0] + [p.n_free for p in self.parts])
        steps = [step[a:b] for a, b in zip(ends[:-1], ends[1:])]
        return StructuredFactor(tuple(p.moved(s) for p, s in zip(self.parts, steps)))

    def snapped(self):
        """The factor without what is almost on a boundary, itself if nothing is."""
        parts = tuple(p.snapped() for p in self.parts)
        same = all(p is q for p, q in zip(parts, self.parts))
        return self if same else StructuredFactor(parts)

    def lifted(self, amount):
        """The factor moved off the boundary."""
        return StructuredFactor(tuple(p.lifted(amount) for p in self.parts))

    def nothing(self):
        """The factor without variances."""
        return StructuredFactor(tuple(p.nothing() for p in self.parts))

    def certificates(self, dual, information):
        """As those of the parts, one after another."""
        smallest, unused = [], []
        for part, block in zip(self.parts, self.slices):
            found = part.certificates(dual[block, block], information[block, block])
            smallest += found[0]
            unused += found[1]
        return smallest, unused

    @property
    def structured_theta(self):
        """Parameters of the blocks with a structure."""
        own = [p.theta for p in self.parts if isinstance(p, StructuredPart)]
        return np.concatenate(own)

    def theta(self, back):
        """
        Parameters in the units of the data, block by block.

        Parameters
        ----------
        back : ndarray
            From standardized effects to those of the data, shape (k, k).
        """
        pairs = zip(self.parts, self.slices)
        return np.concatenate(
            [
                p.theta if isinstance(p, StructuredPart) else p.theta(back[b, b])
                for p, b in pairs
            ]
        )


def covariance_blocks(structure, names, hom=None):
    """
    Covariance blocks of a term.

    Parameters
    ----------
    structure : str, Structure or None
        The structure.
    names : sequence of str
        Names of the effects.
    hom : bool, optional
        Whether they have one variance, for a structure given by its name.

    Returns
    -------
    blocks : tuple of int
        Sizes of the blocks.
    structures : tuple
        Their structures, None where unstructured.
    """
    if isinstance(structure, Structure):
        own = structure
        check_structure(own, names)
    else:
        own = structure_named(structure or "us", hom)
    if own is not None:
        return (len(names),), (StructuredBlock(own, tuple(names)),)
    blocks = (1,) * len(names) if structure == "diag" else (len(names),)
    return blocks, (None,) * len(blocks)


def starting_factor(factor, covariance):
    """
    Where the search for the covariance of a factor starts.

    Parameters
    ----------
    factor : GroupedEffects
        In standardized units.
    covariance : ndarray
        A relative covariance, of which structured blocks take the diagonal, (k, k).

    Returns
    -------
    RelativeFactor or StructuredFactor
    """
    if not factor.is_structured:
        return pivoted_factor(covariance, factor.block_slices)
    parts: list = []
    for structure, block in zip(factor.structures, factor.block_slices):
        own = covariance[block, block]
        if structure is None:
            parts.append(pivoted_factor(own, [slice(0, len(own))]))
        else:
            parts.append(structure.start(np.sqrt(np.diag(own))))
    return StructuredFactor(tuple(parts))


def factor_at(factor, theta, change, pivoted=False):
    """
    The relative covariance factor at some parameters.

    Parameters
    ----------
    factor : GroupedEffects
        In standardized units.
    theta : ndarray
        Parameters in the units of the data, shape (m,).
    change : ndarray
        From standardized effects to those of the data, shape (k, k).
    pivoted : bool, optional
        Whether a search starts there, in coordinates of its own, or derivatives in
        theta are wanted.

    Returns
    -------
    RelativeFactor or StructuredFactor
    """
    parts: list[RelativeFactor | StructuredPart] = []
    start = 0
    for structure, block in zip(factor.structures, factor.block_slices):
        size = block.stop - block.start
        if structure is not None:
            own = theta[start : start + structure.n_parameters]
            parts.append(structure.part(own, folded=pivoted))
            start += len(own)
            continue
        column, row = np.triu_indices(size)
        lower = np.zeros((size, size))
        lower[row, column] = theta[start : start + len(row)]
        start += len(row)
        root, whole = np.linalg.solve(change[block, block], lower), [slice(0, size)]
        parts.append(
            pivoted_factor(root @ root.T, whole)
            if pivoted
            else full_factor(root, whole)
        )
    if factor.is_structured:
        return StructuredFactor(tuple(parts))
    matrix = block_diag(*(p.matrix for p in parts))
    build = pivoted_factor if pivoted else full_factor
    return build(matrix @ matrix.T if pivoted else matrix, factor.block_slices)


def structured_parameters(factors):
    """
    Parameters of all blocks with a structure, one after another.

    Parameters
    ----------
    factors : sequence of RelativeFactor or StructuredFactor
        The factors.

    Returns
    -------
    ndarray
        Shape (s,).
    """
    found = [f.structured_theta for f in factors if isinstance(f, StructuredFactor)]
    return np.concatenate([np.zeros(0), *found])
