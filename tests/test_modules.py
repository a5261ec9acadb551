"""Every module of the package has a test of its name, or a line that says where."""

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "statsmodels_lmm"

ELSEWHERE = {
    # the dense twins and invariants of core
    "test_against_dense": "deviance",
    "test_certificates": "differences",
    "test_constrained": "constraints",
    "test_related_effects": "level_covariance raw_effects",
    "test_several_starts": "saturation",
    "test_growing_sums": "growing_links",
    "test_krylov_elimination": "krylov_engine krylov_inverse krylov_products "
    "linked_forms",
    "test_krylov_system": "conjugate_gradients",
    "test_krylov_determinant": "krylov_probes",
    "test_engine_choice": "monte_carlo",
    "test_exponential_family": "power_variance",
    "test_sparse_cholesky": "elimination_tree minimum_degree symbolic_cholesky",
    "test_sparse_elimination": "precision_effects",
    "test_laplace": "conditional",
    "test_laplace_derivatives": "determinant_traces",
    "test_laplace_in_batches": "level_rows modes_in_batches",
    "test_correlated_small_sample": "correlated_forms natural variance_forms",
    "test_fixed_sums": "equal_entries patterns summed_forms",
    "test_random_part": "draws",
    "test_generalized_refits": "without_effects",
    "test_structures": "checks known",
    "test_class_evaluation": "level_classes",
    "test_many_design": "fits problems",
    "test_fit_many": "fitting own_weights response_table single_fits",
    "test_candidates": "plink",
    "test_many_results": "adjustments contrast_forms many_estimates many_summary "
    "many_tests many_variances storage",
    "test_correlated": "projection_forms spread_effects",
    "test_predictors": "blocks standard_models",
    "test_correlations": "antedependence moving_average partial_autocorrelations "
    "toeplitz",
    "test_path": "criterion objective wide_columns",
    "test_residual_structures": "autoregressive compound unstructured",
    "test_limits_of_errors": "degenerate unbounded_errors",
    "test_times_of_errors": "coordinates",
    "test_whitening": "block_roots second_order",
    # inference
    "test_from_sums": "summed_data",
    "test_summed_results": "artificial_rows reduced_design reduced_sums summed_models",
    "test_explained_variance": "row_moments",
    "test_generalized_replicates": "refitted_parameters row_weights",
    "test_planned_values": "planned",
    "test_power": "power_tests tested_effects",
    "test_power_curve": "power_fit",
    "test_prediction": "array_rows new_rows prediction_rows",
    "test_derived": "functions joint_estimates named_parameters",
    "test_derived_profile": "held_function",
    "test_df_methods": "contrasts",
    "test_exact_likelihood_ratio": "null_distribution",
    "test_generalized_influence": "working_model",
    "test_influence": "case_deletion case_refits row_groups",
    "test_likelihood_ratio": "nested_models spans",
    "test_models_with_errors": "absorbed_effects covariance fits_with_errors "
    "from_arrays residual_terms",
    "test_residual_parameters": "correlated_refits",
    "test_marginal_contrasts": "comparisons contrast_estimates estimate_tests "
    "hypotheses joint_tests letter_displays response_transforms specs",
    "test_marginal_means": "contrast_sets marginal_estimates marginal_tables "
    "multiple_comparisons reference_grid",
    "test_variance_parameters": "block_functions",
    "test_prediction_intervals": "prediction_variance",
    # formulas and data
    "test_batches_in_memory": "chunks finishing from_batches learning passes reading "
    "recipe sums told_once",
    "test_sources": "arrow_sources opening table_sources",
    "test_bad_inputs": "exceptions quoting row_values validation",
    "test_data_frames": "columns frame",
    "test_messy_columns": "text_values",
    "test_datasets": "_loader",
    "test_design": "engine_errors evaluation transforms",
    "test_everyday_formulas": "api constructors",
    "test_gate": "allow_list expressions",
    "test_names": "dialects tokens",
    "test_parser": "model_formula pieces r_syntax random_terms",
    "test_pedigree": "labeled",
    "test_phylogeny": "newick",
    "test_relationships": "known_levels",
    "test_responses_of_formulas": "response_terms",
    "test_statsmodels_contract": "backend generalized_likelihood",
    # tables and sentences
    "test_comparison_table": "caveats model_columns typesetting",
    "test_prose": "wording",
    # models, results and pictures
    "test_arguments": "layout mixedlm_terms",
    "test_fit": "coefficients model penalized",
    "test_regularized_path": "lasso problem regularized universal",
    "test_selected": "folds parts penalized_fits stability",
    "test_mediation_and_imputation": "distribution",
    "test_old_pickles": "old_names",
    "test_estimates": "effects",
    "test_generalized_pictures": "binned_residuals",
    "test_groups": "group_lines",
    "test_methods": "canvas",
    "test_random_effects": "shrinkage",
    "test_results": "linear summary variance_components variance_tables wrapper",
    "test_generalized_results": "generalized generalized_notes joint_covariance "
    "null_model saved_family",
    "test_saving": "light restoring saved_design saved_values states",
}
"""Modules without a test of their name, by the test that is theirs."""


def test_every_module_has_its_test():
    tests = {path.stem for path in TESTS.rglob("test_*.py")}
    modules = {path.stem for path in PACKAGE.rglob("*.py")} - {"__init__"}
    without = {name for name in modules if f"test_{name}" not in tests}
    told = [name for names in ELSEWHERE.values() for name in names.split()]
    assert sorted(told) == sorted(without)
    assert set(ELSEWHERE) <= tests
