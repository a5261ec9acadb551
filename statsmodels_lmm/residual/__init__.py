"""
Errors that are correlated or of unequal variance.

Pass `Residual` as ``residual=`` to a linear mixed model, or write its text, as in
``residual="ar1(trial | subject)"``.
"""

from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.base import ResidualStructure
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.spatial import Exponential, Gaussian, Matern
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured
from statsmodels_lmm.residual.terms import Residual

__all__ = [
    "ARMA",
    "AnteDependence",
    "Autoregressive",
    "CompoundSymmetry",
    "ContinuousAutoregressive",
    "Exponential",
    "Gaussian",
    "Matern",
    "Residual",
    "ResidualStructure",
    "Toeplitz",
    "Unstructured",
]
