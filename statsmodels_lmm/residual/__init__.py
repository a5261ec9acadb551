"""
Errors that are correlated or of unequal variance.

Pass `Residual` as ``residual=`` to a linear mixed model, or write its text, as in
``residual="ar1(trial | subject)"``.
"""

from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.residual.terms import Residual

__all__ = [
    "Autoregressive",
    "CompoundSymmetry",
    "ContinuousAutoregressive",
    "Residual",
    "ResidualStructure",
    "Unstructured",
]
