"""
Names of earlier versions.

Pickles name each class by its module, and users import from modules. This table is the
only record of the old modules: each stays importable and takes its names from their
present places.
"""

import sys
from functools import partial
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

PACKAGE = __name__.rpartition(".")[0] + "."

MODULES = {
    "alignment": "inputs.alignment",
    "arrays": "models.arrays inputs.row_values",
    "compat": "formula.backend",
    "core.case_deletion": "core.uncertainty.case_deletion",
    "core.constrained": "core.search.constrained",
    "core.constraints": "core.search.constraints",
    "core.coupling": "core.engines.coupling",
    "core.covariance": "core.structures.relative_factor core.structures.roots "
    "core.structures.unstructured_block",
    "core.cross_products": "core.engines.cross_products core.engines.block_engine",
    "core.dense": "core.algebra.dense",
    "core.derivatives": "core.criteria.derivatives",
    "core.deviance": "core.criteria.deviance",
    "core.differences": "core.algebra.differences",
    "core.elimination": "core.engines.elimination",
    "core.elimination_plan": "core.engines.plan",
    "core.elimination_tree": "core.algebra.elimination_tree",
    "core.engine": "core.engines.choice",
    "core.estimability": "core.rows.estimability",
    "core.grouped_effects": "core.rows.grouped_effects",
    "core.identification": "core.uncertainty.identification",
    "core.level_covariance": "core.rows.level_covariance",
    "core.memory": "core.algebra.memory",
    "core.minimum_degree": "core.algebra.minimum_degree",
    "core.mixed_model_inverse": "core.uncertainty.mixed_model_inverse",
    "core.newton": "core.search.newton",
    "core.null_distribution": "core.uncertainty.null_distribution",
    "core.precision_effects": "core.rows.precision_effects",
    "core.profile_curve": "core.search.profile_curve",
    "core.raw_effects": "core.rows.raw_effects",
    "core.refits": "core.resampling.refits",
    "core.related_effects": "core.rows.related_effects",
    "core.replicates": "core.resampling.replicates",
    "core.responses": "core.engines.row_sums",
    "core.row_forms": "core.engines.row_forms",
    "core.rows": "core.rows.model_rows",
    "core.saturation": "core.criteria.saturation",
    "core.search": "core.search.several_starts",
    "core.selected_inverse": "core.engines.selected_inverse",
    "core.simulation": "core.resampling.draws",
    "core.small_sample": "core.uncertainty.small_sample",
    "core.sparse_cholesky": "core.algebra.sparse_cholesky",
    "core.sparse_elimination": "core.engines.sparse_elimination "
    "core.engines.sparse_products core.engines.sparse_engine",
    "core.standardize": "core.rows.standardize",
    "core.start": "core.criteria.start",
    "core.structure_checks": "core.structures.checks",
    "core.structured_block": "core.structures.structured_block",
    "core.structured_factor": "core.structures.relative_factor core.structures.by_name",
    "core.structures": "core.structures.base core.structures.correlated "
    "core.structures.known core.structures.function core.structures.by_name",
    "core.symbolic_cholesky": "core.algebra.symbolic_cholesky",
    "core.trust_region": "core.search.trust_region",
    "core.variance_information": "core.uncertainty.variance_information",
    "core.within_levels": "core.engines.within_levels",
    "data_doors": "inputs.tables",
    "distribution": "models.distribution",
    "formula.design": "formula.design random.random_effects",
    "formula.parser": "formula.parser formula.model_formula formula.random_terms",
    "formula.tokens": "formula.tokens formula.pieces",
    "inference.anova": "inference.comparison.anova",
    "inference.array_rows": "inference.prediction.array_rows",
    "inference.bootstrap": "inference.replicates.bootstrap",
    "inference.bootstrap_intervals": "inference.replicates.bootstrap_intervals",
    "inference.bootstrap_likelihood_ratio": "inference.comparison."
    "bootstrap_likelihood_ratio",
    "inference.case_refits": "inference.deletion.case_refits",
    "inference.contrast_sets": "inference.marginal.contrast_sets",
    "inference.contrasts": "inference.fixed.contrasts",
    "inference.degrees_of_freedom": "inference.fixed.degrees_of_freedom",
    "inference.exact_likelihood_ratio": "inference.comparison.exact_likelihood_ratio",
    "inference.explained_variance": "inference.variances.explained_variance",
    "inference.identification": "inference.variances.identification",
    "inference.influence": "inference.deletion.influence",
    "inference.likelihood_ratio": "inference.comparison.likelihood_ratio",
    "inference.marginal_estimates": "inference.marginal.marginal_estimates",
    "inference.marginal_means": "inference.marginal.marginal_means",
    "inference.multiple_comparisons": "inference.marginal.multiple_comparisons",
    "inference.nested_models": "inference.comparison.nested_models "
    "inference.requirements",
    "inference.prediction": "inference.prediction.prediction",
    "inference.prediction_rows": "inference.prediction.prediction_rows",
    "inference.prediction_variance": "inference.prediction.prediction_variance",
    "inference.profile": "inference.variances.profile",
    "inference.reduced_models": "inference.comparison.reduced_models",
    "inference.reference_grid": "inference.marginal.reference_grid",
    "inference.simulated_residuals": "inference.replicates.simulated_residuals",
    "inference.simulation": "inference.replicates.simulation",
    "inference.terms": "inference.fixed.terms",
    "inference.variance_parameters": "inference.variances.variance_parameters",
    "known_levels": "random.known_levels",
    "level_dict": "results.level_dict",
    "light_results": "results.light",
    "model": "models.linear models.base",
    "packing": "formula.packing",
    "plain_arrays": "inputs.plain_arrays",
    "random_effects": "random.terms",
    "restoring": "results.restoring",
    "results": "results.linear results.base",
    "saved_values": "inputs.saved_values",
    "saving": "results.saving",
    "shared_design": "core.engines.shared_design",
    "summary": "results.summary",
    "validation": "models.validation inference.requirements inputs.row_values",
    "variance_components": "random.variance_components",
}
"""For each old module the modules that now define its names."""

NAMES = {
    "core.elimination.EliminatedFactor": "EliminatedTerm",
    "core.elimination.Elimination": "BlockElimination",
    "core.replicates.Design": "Refitting",
    "core.simulation.Fixed": "Held",
    "core.structured_block.StructuredBlock": "StructuredCovariance",
    "core.structured_block.StructuredPart": "StructuredBlock",
    "core.structured_factor.StructuredFactor": "RelativeFactor",
    "inference.prediction_rows.Rows": "PredictionRows",
    "inference.profile.Parameter": "ProfiledValue",
    "inference.variance_parameters.Estimates": "VarianceFunctions",
    "inference.variance_parameters.VarianceParameters": "VarianceEstimates",
    "inference.variance_parameters.variance_parameters": "variance_estimates",
}
"""Present names of what was renamed."""


def old_name(module, name):
    """
    Look up a name of an old module.

    Parameters
    ----------
    module : str
        Full name of the old module.
    name : str
        The name.

    Returns
    -------
    object

    Raises
    ------
    AttributeError
        If no module defines it now.
    """
    old = module.removeprefix(PACKAGE)
    new = NAMES.get(f"{old}.{name}", name)
    places = [vars(import_module(PACKAGE + place)) for place in MODULES[old].split()]
    for names in places:
        if new in names and not new.startswith("__"):
            return names[new]
    if name == "__all__":
        return [n for names in places for n in names if not n.startswith("_")]
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def install():
    """
    Make the old modules importable, even where a folder has replaced a module.

    The modules are registered directly, because importing them would overwrite
    functions of the same name.
    """
    for old in MODULES:
        module = sys.modules.setdefault(PACKAGE + old, ModuleType(PACKAGE + old))
        module.__spec__ = module.__spec__ or ModuleSpec(module.__name__, None)
        vars(module)["__getattr__"] = partial(old_name, module.__name__)
    for folder in {old.rpartition(".")[0] for old in MODULES}:
        name = (PACKAGE + folder).rstrip(".")
        vars(sys.modules[name])["__getattr__"] = partial(old_module, name)


def old_module(folder, name):
    """Look up an old module of a folder."""
    if f"{folder}.{name}".removeprefix(PACKAGE) in MODULES:
        return sys.modules[f"{folder}.{name}"]
    raise AttributeError(f"module {folder!r} has no attribute {name!r}")
