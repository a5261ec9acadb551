"""Plots of results, with matplotlib; most are also methods of the results."""

from statsmodels_lmm.graphics.autocorrelation import plot_autocorrelation
from statsmodels_lmm.graphics.binned_residuals import plot_binned_residuals
from statsmodels_lmm.graphics.coefficients import plot_coefficients
from statsmodels_lmm.graphics.diagnostic_panel import plot_diagnostics
from statsmodels_lmm.graphics.diagnostics import (
    plot_residuals,
    plot_residuals_qq,
    plot_scale_location,
    plot_simulated_residuals,
)
from statsmodels_lmm.graphics.effects import plot_effects
from statsmodels_lmm.graphics.groups import plot_groups
from statsmodels_lmm.graphics.influence import plot_influence
from statsmodels_lmm.graphics.many_tests import plot_pvalues, plot_volcano
from statsmodels_lmm.graphics.power import plot_power
from statsmodels_lmm.graphics.profile_pairs import plot_profile_pairs
from statsmodels_lmm.graphics.profiles import (
    plot_bootstrap,
    plot_profile,
    plot_profile_density,
)
from statsmodels_lmm.graphics.random_effects import (
    plot_random_effects,
    plot_random_effects_correlation,
    plot_random_effects_qq,
)
from statsmodels_lmm.graphics.scans import plot_manhattan, plot_scan_qq
from statsmodels_lmm.graphics.shrinkage import plot_shrinkage
from statsmodels_lmm.graphics.variance_shares import plot_variance_shares
from statsmodels_lmm.graphics.variogram import plot_variogram

__all__ = [
    "plot_autocorrelation",
    "plot_binned_residuals",
    "plot_bootstrap",
    "plot_coefficients",
    "plot_diagnostics",
    "plot_effects",
    "plot_groups",
    "plot_influence",
    "plot_manhattan",
    "plot_power",
    "plot_profile",
    "plot_profile_density",
    "plot_profile_pairs",
    "plot_pvalues",
    "plot_random_effects",
    "plot_random_effects_correlation",
    "plot_random_effects_qq",
    "plot_residuals",
    "plot_residuals_qq",
    "plot_scale_location",
    "plot_scan_qq",
    "plot_shrinkage",
    "plot_simulated_residuals",
    "plot_variance_shares",
    "plot_variogram",
    "plot_volcano",
]
