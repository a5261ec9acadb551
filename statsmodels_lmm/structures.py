"""Covariance structures of random effects, and the base class of your own."""

from statsmodels_lmm.core.structures.base import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
    Fixed,
    Known,
    Parameter,
    Structure,
    deviation,
)

__all__ = [
    "AutoRegressive",
    "CompoundSymmetry",
    "Diagonal",
    "Fixed",
    "Known",
    "Parameter",
    "Structure",
    "deviation",
]
