"""Structures by their names in a formula."""

from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)

STRUCTURES = ("us", "diag", "cs", "ar1")
"""Covariance structures that may stand before a term: ``diag(x | g)``."""


def structure_named(name, hom=None):
    """
    A structure by its name in a formula.

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
        None for "us" and for "diag" with different variances: they are the
        unstructured matrices of all effects together and of each by itself.
    """
    if name in ("us", "diag") and not hom:
        return None
    return {
        "diag": Diagonal,
        "cs": CompoundSymmetry,
        "ar1": AutoRegressive,
    }[name](name == "ar1" if hom is None else bool(hom))
