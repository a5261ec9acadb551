"""Responses drawn from a linear model at parameters that are told, without a fit."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from statsmodels_lmm.core.resampling.draws import Gaussian, NormalResponse, RandomPart
from statsmodels_lmm.core.rows.precision_effects import independent_levels
from statsmodels_lmm.core.structures.roots import lower_blocks
from statsmodels_lmm.inference.replicates.simulation import (
    check_count,
    generators,
    seeds,
)
from statsmodels_lmm.inference.requirements import (
    require_data,
    require_independent_errors,
)
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.row_values import listed


def simulate_model(
    model: Any, params: Any, cov_re: Any, scale: float, nsim: int = 1, rng: Any = None
) -> pd.DataFrame:
    """
    Draw responses at given parameters, see `CrossedMixedLM.simulate`.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    params, cov_re, scale, nsim, rng
        The arguments.

    Returns
    -------
    DataFrame
        One column per response.
    """
    require_data(model, "simulate")
    require_independent_errors(
        model, "model.simulate", "fit the model and use `result.simulate()`"
    )
    check_count("nsim", nsim)
    mean = model.predict(_fixed_effects(params, model.exog_names))
    unit = numeric(scale, "scale")
    if unit.shape or not (np.isfinite(unit) and unit > 0.0):
        raise ValueError(f"scale is the residual variance, a positive number: {scale}")
    covariances = _by_term(cov_re, model.random)
    part = RandomPart(
        tuple(_terms(model.random)),
        tuple(_drawn(e, c) for e, c in zip(model.random, covariances)),
    )
    weights = np.ones(len(mean)) if model.weights is None else model.weights
    residuals = Gaussian(len(mean), np.sqrt(unit.reshape(1, 1)))
    response = NormalResponse(part, residuals, np.sqrt(weights), mean)
    values = response.draw(generators(seeds(rng, nsim))) + response.left_out
    return pd.DataFrame(values.T, index=model.data.row_labels)


def _fixed_effects(params, names):
    """Fixed effects in the order of the columns of X."""
    if isinstance(params, Mapping | pd.Series):
        given = pd.Series(params)
        if set(given.index) != set(names) or len(given) != len(names):
            raise ValueError(
                f"params are of {listed(list(given.index))}, and the fixed effects are "
                f"{listed(names)}"
            )
        params = given[names]
    values = numeric(params, "params")
    if values.shape != (len(names),):
        raise ValueError(
            f"params have shape {values.shape}, and the model {len(names)} fixed "
            f"effects: {listed(names)}"
        )
    return values


def _by_term(cov_re, random):
    """The covariance matrix of each term, checked."""
    names = [effects.name for effects in random]
    if not isinstance(cov_re, Mapping):
        raise TypeError(
            "cov_re is a dict from grouping factor to covariance matrix or variance, "
            f"as `result.cov_re`, with {listed(names)}; not {type(cov_re).__name__}"
        )
    if set(cov_re) != set(names):
        raise ValueError(
            f"cov_re is of {listed(list(cov_re))}, and the random effects of the model "
            f"are of {listed(names)}"
        )
    return [_covariance(cov_re[effects.name], effects) for effects in random]


def _covariance(given, effects):
    """The covariance matrix of one term, shape (k, k)."""
    what, names = f"the covariance of {effects.name}", list(effects.effect_names)
    if isinstance(given, pd.DataFrame):
        labels = [list(given.index), list(given.columns)]
        if any(sorted(map(str, own)) != sorted(map(str, names)) for own in labels):
            raise ValueError(f"{what} has the labels of {listed(names)}")
        given = given.loc[names, names]
    values = np.atleast_2d(numeric(given, what))
    k = len(names)
    if values.shape != (k, k):
        raise ValueError(
            f"{what} has shape {values.shape}; the random effects are {listed(names)}, "
            f"so it is {k} x {k}"
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{what} has missing or infinite values")
    size = np.sqrt(np.abs(np.diag(values)))
    near = 1e-9 * np.outer(size, size)
    if (np.abs(values - values.T) > near).any():
        raise ValueError(f"{what} is not symmetric")
    unit = np.where(size > 0.0, size, 1.0)
    if np.linalg.eigvalsh(values / np.outer(unit, unit))[0] < -1e-9:
        raise ValueError(f"{what} is not positive semi-definite")
    blocks = effects.grouped.block_slices
    between = block_diag(*(np.ones((s.stop - s.start,) * 2) for s in blocks)) == 0.0
    if (np.abs(values[between]) > near[between]).any():
        raise ValueError(
            f"{what} has a covariance of effects that the formula makes independent"
        )
    return values


def _terms(random):
    """Model matrices for effects of independent levels."""
    for effects in random:
        grouped = effects.grouped
        known = grouped.relationship is not None
        yield independent_levels(grouped) if known else grouped


def _drawn(effects, covariance):
    """How the effects of a term are drawn."""
    (term,) = _terms([effects])
    root = lower_blocks(covariance, effects.grouped.block_slices)
    return Gaussian(term.n_levels, root)
