"""Relative covariance factors of which some blocks have a structure."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.core.structures.by_name import structure_named
from statsmodels_lmm.core.structures.checks import check_structure
from statsmodels_lmm.core.structures.correlated import Diagonal
from statsmodels_lmm.core.structures.relative_factor import (
    RelativeFactor,
    full_factor,
    pivoted_factor,
    split_step,
)
from statsmodels_lmm.core.structures.structured_block import (
    StructuredBlock,
    StructuredPart,
)


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
        ends = np.cumsum([0] + [p.size for p in self.parts]).tolist()
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:])]

    @cached_property
    def directions(self):
        """Derivatives of S in the free parameters, shape (m, k, k)."""
        k, start = sum(p.size for p in self.parts), 0
        out = np.zeros((self.n_free, k, k))
        for part, block in zip(self.parts, self.slices):
            here = slice(start, start + part.n_free)
            out[here, block, block] = part.directions
            start = here.stop
        return out

    def units(self, precision):
        """Lengths in which steps of the free parameters are measured, shape (m,)."""
        pairs = zip(self.parts, self.slices)
        return np.concatenate([p.units(precision[b]) for p, b in pairs])

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
        pairs = zip(self.parts, split_step(step, self.parts))
        return StructuredFactor(tuple(p.stepped(s) for p, s in pairs))

    def moved(self, step):
        """The same, unstructured blocks without a new pivot."""
        pairs = zip(self.parts, split_step(step, self.parts))
        return StructuredFactor(tuple(p.moved(s) for p, s in pairs))

    def snapped(self):
        """The factor without what is almost on a boundary, itself if nothing is."""
        parts = tuple(p.snapped() for p in self.parts)
        same = all(p is q for p, q in zip(parts, self.parts))
        return self if same else StructuredFactor(parts)

    def lifted(self, amount):
        """The factor moved off the boundary."""
        return StructuredFactor(tuple(p.lifted(amount) for p in self.parts))

    def correlated(self, share):
        """The factor with correlations of structures at a share of their ends."""
        return StructuredFactor(tuple(p.correlated(share) for p in self.parts))

    @property
    def may_be_elsewhere(self):
        """Whether another optimum is likely, see the parts."""
        return any(p.may_be_elsewhere for p in self.parts)

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
    if structure == Diagonal(hom=False):
        structure = "diag"
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
            structure.check_range(own)
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
