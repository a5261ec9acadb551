"""Covariance structures of random effects, and the base class for your own."""

from statsmodels_lmm.core.structures.base import Parameter, Structure, deviation
from statsmodels_lmm.core.structures.correlated import (
    AutoRegressive,
    CompoundSymmetry,
    Diagonal,
)
from statsmodels_lmm.core.structures.known import Fixed, Known

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
