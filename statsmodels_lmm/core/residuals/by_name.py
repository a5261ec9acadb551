"""Structures of errors by their names in formulas."""

from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.unstructured import Unstructured

RESIDUALS: dict = {
    kind.name: kind
    for kind in (
        Autoregressive,
        ContinuousAutoregressive,
        CompoundSymmetry,
        Unstructured,
    )
}
"""Classes of the structures by name."""
