"""Mixed models with crossed, nested and singular random effects."""

from statsmodels_lmm import old_names
from statsmodels_lmm.batches.row_sums import RowSums
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.inference.comparison.anova import anova
from statsmodels_lmm.inference.fixed.pooling import pool_imputations
from statsmodels_lmm.mixedlm.model import MixedLM
from statsmodels_lmm.models.generalized import CrossedMixedGLM
from statsmodels_lmm.models.linear import CrossedMixedLM
from statsmodels_lmm.models.planned import planned
from statsmodels_lmm.random.terms import matrix_effects, random_effects
from statsmodels_lmm.reporting.comparison_table import compare_table
from statsmodels_lmm.reporting.criteria_table import compare_criteria
from statsmodels_lmm.reporting.prose import report
from statsmodels_lmm.results.saving import from_json, to_json
from statsmodels_lmm.show_versions import show_versions
from statsmodels_lmm.structures import Parameter, Structure

__all__ = [
    "CrossedMixedGLM",
    "CrossedMixedLM",
    "MixedLM",
    "Parameter",
    "RowSums",
    "Structure",
    "anova",
    "check_formula",
    "compare_criteria",
    "compare_table",
    "crossedmixedglm",
    "crossedmixedlm",
    "from_json",
    "matrix_effects",
    "planned",
    "pool_imputations",
    "random_effects",
    "report",
    "show_versions",
    "to_json",
]

__version__ = "0.1.0"

old_names.install()
