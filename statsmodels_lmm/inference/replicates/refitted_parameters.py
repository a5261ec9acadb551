"""Designs for refits of a fit, and the parameters of these in the units of the data."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.resampling.correlated_refits import CorrelatedRefitting
from statsmodels_lmm.core.resampling.generalized_batches import GeneralizedBatches
from statsmodels_lmm.core.resampling.generalized_refits import GeneralizedRefitting
from statsmodels_lmm.core.resampling.refits import lifted
from statsmodels_lmm.core.resampling.replicates import Refitting
from statsmodels_lmm.inference.replicates.row_weights import row_weights
from statsmodels_lmm.inference.variances.variance_parameters import (
    absolute_in_user_units,
    in_user_units,
    variance_estimates,
)


def design_of(results):
    """
    The design of a fit, for fits to other responses.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    Refitting or GeneralizedRefitting
    """
    if results.model.residual is not None:
        return _design_with_errors(results)
    return (_linear_design if results._is_gaussian else _generalized_design)(results)


def _design_with_errors(results):
    model, units = results.model, results._units
    data, *_ = model._prepared_errors()
    return CorrelatedRefitting(
        model._criterion(results.reml),
        data,
        tuple(units.of_plan(results._estimates.factors)),
        results.at_optimum.whitening.x,
        np.sqrt(row_weights(results)),
    )


def _linear_design(results):
    units, (data, products) = results._units, results.model._sufficient_statistics()
    start = lifted(units.of_plan(results._estimates.factors), products)
    for i, effects in enumerate(units.of_plan(results.model.random)):
        if effects.name in results.uninformative:
            start[i] = start[i].nothing()
    root = np.sqrt(row_weights(results))
    return Refitting(data, products, tuple(start), results.reml, root)


def _generalized_design(results):
    units, model = results._units, results.model
    criterion = model._criterion(results.nagq, results._observed)
    suits = GeneralizedBatches.suits(criterion)
    return (GeneralizedBatches if suits else GeneralizedRefitting)(
        criterion,
        units.coefficients(results._estimates.fixed),
        tuple(units.of_plan(results._estimates.factors)),
        results.extra,
        tuple(effects.grouped for effects in model.random),
        results.cov_type == "rx",
    )


def fixed_effects_of(results, fits):
    """
    Fixed effects of fits to replicates minus the estimates, and standard errors.

    Parameters
    ----------
    results : MixedResults
        The fit from which the responses, without their fixed part, were drawn.
    fits : Refits
        Fits to the responses.

    Returns
    -------
    change, errors : ndarray
        Shape (r, p); NaN for dropped columns.
    """
    units = results._units
    root, sigma = units.beta_root(fits.fixed_root), np.sqrt(units.scale(fits.scale))
    errors = sigma[:, None] * np.linalg.norm(root, axis=-1)
    return units.beta_change(fits.coefficients), units.whole(errors)


def variances_of(results, fits):
    """
    Variance parameters of fits to replicates.

    Parameters
    ----------
    results : MixedResults
        The fit from which the responses were drawn.
    fits : Refits
        Fits to the responses.

    Returns
    -------
    VarianceEstimates
    """
    known = fits.covariances, fits.scale, fits.variance_covariance, fits.structured
    if results.model.residual is not None:
        return in_user_units(results.model, *known, errors=fits.errors)
    if results._is_gaussian:
        directions = results.identification.directions
        return in_user_units(results.model, *known, directions)
    covariances, _, uncertainty, structured = known
    return absolute_in_user_units(
        results.model, covariances, uncertainty, structured, fits.extra
    )


def replicate_tables(results, fits, parameters, numbers):
    """
    Draws of all parameters and their standard errors.

    Parameters
    ----------
    results : MixedResults
        The fit from which the responses were drawn.
    fits : Refits
        Fits to the responses, r of them.
    parameters : VarianceEstimates
        Their variance parameters.
    numbers : ndarray
        Numbers of the replicates, shape (r,).

    Returns
    -------
    draws, errors : DataFrame
        One row per replicate and one column per parameter.
    """
    change, errors = fixed_effects_of(results, fits)
    params = results.params + change
    labels, draws, spreads, _ = _every_parameter(results, parameters, params, errors)
    return (
        pd.DataFrame(draws, index=numbers, columns=labels),
        pd.DataFrame(spreads, index=numbers, columns=labels),
    )


def estimate_tables(results):
    """Estimates from the data and standard errors as Series, and ranges."""
    parameters = variance_estimates(results, average=True)
    # those of the fit, whatever its degrees of freedom
    bse = np.sqrt(np.diag(results.normalized_cov_params) * results.scale)
    labels, values, errors, ranges = _every_parameter(
        results, parameters, results.params, bse
    )
    return pd.Series(values, labels), pd.Series(errors, labels), ranges


def _every_parameter(results, parameters, fixed, errors):
    """Labels, values, standard errors and ranges, for one or many fits."""
    table, theta = parameters.estimates(), parameters.theta()
    names = results.model.exog_names
    labels = [*names, *(f"se {n}" for n in names), *table.labels, *theta.labels]
    values = [fixed, errors, table.values, theta.values]
    nothing = np.full(np.shape(errors), np.nan)
    spreads = [errors, nothing, table.errors(parameters), theta.errors(parameters)]
    ranges = [(-np.inf, np.inf)] * len(names) + [(0.0, np.inf)] * len(names)
    return (
        labels,
        np.concatenate(values, axis=-1),
        np.concatenate(spreads, axis=-1),
        (*ranges, *table.ranges, *theta.ranges),
    )
