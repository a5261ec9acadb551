"""One-line models: ``crossedmixedlm(formula, data).fit()``."""

from statsmodels_lmm.mixedlm.model import MixedLM
from statsmodels_lmm.models.generalized import CrossedMixedGLM
from statsmodels_lmm.models.linear import CrossedMixedLM

crossedmixedlm = CrossedMixedLM.from_formula
crossedmixedglm = CrossedMixedGLM.from_formula
mixedlm = MixedLM.from_formula

__all__ = ["crossedmixedglm", "crossedmixedlm", "mixedlm"]
