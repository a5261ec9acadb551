"""Structures of correlated errors by their names in formulas."""

from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.spatial import Exponential, Gaussian, Matern
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured

RESIDUALS: dict = {
    kind.name: kind
    for kind in (
        Autoregressive,
        ContinuousAutoregressive,
        CompoundSymmetry,
        Unstructured,
        Toeplitz,
        AnteDependence,
        ARMA,
        Exponential,
        Gaussian,
        Matern,
    )
}
"""Classes of the structures by name; ``arma(t | g, p=2)`` is ``ARMA(p=2)``."""
