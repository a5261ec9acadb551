"""Linear mixed models with crossed, nested and singular random effects."""

from statsmodels_lmm.inference.anova import anova
from statsmodels_lmm.model import CrossedMixedLM

__all__ = ["CrossedMixedLM", "anova"]

__version__ = "0.1.0"
