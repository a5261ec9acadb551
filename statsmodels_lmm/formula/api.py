"""Models from formulas."""

from statsmodels_lmm.model import CrossedMixedLM

__all__ = ["crossedmixedlm"]

crossedmixedlm = CrossedMixedLM.from_formula
