"""The plot methods of results."""

from statsmodels_lmm import graphics


class Pictures:
    """Mixin with the plots of the results of a mixed model."""

    plot_autocorrelation = graphics.plot_autocorrelation
    plot_binned_residuals = graphics.plot_binned_residuals
    plot_coefficients = graphics.plot_coefficients
    plot_diagnostics = graphics.plot_diagnostics
    plot_effects = graphics.plot_effects
    plot_groups = graphics.plot_groups
    plot_influence = graphics.plot_influence
    plot_profile = graphics.plot_profile
    plot_profile_density = graphics.plot_profile_density
    plot_profile_pairs = graphics.plot_profile_pairs
    plot_random_effects = graphics.plot_random_effects
    plot_random_effects_correlation = graphics.plot_random_effects_correlation
    plot_random_effects_qq = graphics.plot_random_effects_qq
    plot_residuals = graphics.plot_residuals
    plot_residuals_qq = graphics.plot_residuals_qq
    plot_scale_location = graphics.plot_scale_location
    plot_shrinkage = graphics.plot_shrinkage
    plot_simulated_residuals = graphics.plot_simulated_residuals
    plot_variance_shares = graphics.plot_variance_shares
    plot_variogram = graphics.plot_variogram
