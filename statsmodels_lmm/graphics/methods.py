"""The plot methods of results."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from statsmodels_lmm import graphics

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Plot = Callable[..., "Figure"]


class Pictures:
    """Mixin with the plots of the results of a mixed model."""

    plot_autocorrelation: Plot = graphics.plot_autocorrelation
    plot_binned_residuals: Plot = graphics.plot_binned_residuals
    plot_coefficients: Plot = graphics.plot_coefficients
    plot_diagnostics: Plot = graphics.plot_diagnostics
    plot_effects: Plot = graphics.plot_effects
    plot_groups: Plot = graphics.plot_groups
    plot_influence: Plot = graphics.plot_influence
    plot_profile: Plot = graphics.plot_profile
    plot_profile_density: Plot = graphics.plot_profile_density
    plot_profile_pairs: Plot = graphics.plot_profile_pairs
    plot_random_effects: Plot = graphics.plot_random_effects
    plot_random_effects_correlation: Plot = graphics.plot_random_effects_correlation
    plot_random_effects_qq: Plot = graphics.plot_random_effects_qq
    plot_residuals: Plot = graphics.plot_residuals
    plot_residuals_qq: Plot = graphics.plot_residuals_qq
    plot_scale_location: Plot = graphics.plot_scale_location
    plot_shrinkage: Plot = graphics.plot_shrinkage
    plot_simulated_residuals: Plot = graphics.plot_simulated_residuals
    plot_variance_shares: Plot = graphics.plot_variance_shares
    plot_variogram: Plot = graphics.plot_variogram
