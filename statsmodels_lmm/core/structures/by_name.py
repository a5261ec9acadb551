"""Structures by their names in formulas."""

from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.core.structures.checks import check_structure
from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)
from statsmodels_lmm.core.structures.structured_block import StructuredCovariance
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredCovariance

STRUCTURES: dict = {
    "us": None,
    "diag": Diagonal,
    "cs": CompoundSymmetry,
    "ar1": AutoRegressive,
}
"""
Covariance structures that may precede a term, as in ``diag(x | g)``.

None is the unstructured matrix.
"""

WITH_HOM = tuple(n for n, kind in STRUCTURES.items() if hasattr(kind, "is_homogeneous"))
"""Structures with one variance or one for each effect, as set by ``hom=``."""


def structure_named(name, hom=None):
    """
    The structure with a given name in a formula.

    Parameters
    ----------
    name : {"us", "diag", "cs", "ar1"}
        The name.
    hom : bool, optional
        Whether all effects have the same variance. Default is True for "ar1", False
        for the others.

    Returns
    -------
    Structure or None
        None for "us" and for "diag" with different variances: these are one
        unstructured matrix for all effects, and one for each effect.
    """
    if name in ("us", "diag") and not hom:
        return None
    kind = STRUCTURES[name]
    if name not in WITH_HOM:
        return kind()
    return kind(kind.is_homogeneous if hom is None else bool(hom))


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
        Whether all effects share one variance, for a structure given by name.

    Returns
    -------
    blocks : tuple of int
        Sizes of the blocks.
    structures : tuple
        The CovarianceModel of each block.
    """
    if structure == Diagonal(hom=False):
        structure = "diag"
    if isinstance(structure, Structure):
        chosen = structure
        check_structure(chosen, names)
    else:
        chosen = structure_named(structure or "us", hom)
    if chosen is not None:
        return (len(names),), (StructuredCovariance(chosen, tuple(names)),)
    blocks = (1,) * len(names) if structure == "diag" else (len(names),)
    return blocks, tuple(map(UnstructuredCovariance, blocks))
