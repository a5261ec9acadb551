"""Variances of the random effects, as tables."""

import numpy as np
import pandas as pd

from statsmodels_lmm.display import ResultTable


def components_table(random, relative, thetas, unit, residual):
    """
    Variances, covariances and parameters of structures.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    relative : sequence of ndarray
        Covariance matrix of each factor divided by sigma^2, shape (k, k).
    thetas : sequence of list of ndarray
        Relative covariance parameters of each factor, block by block.
    unit : float
        The variance to which covariances are relative.
    residual : float or None
        Residual variance; None if there is none.

    Returns
    -------
    DataFrame
        See `CrossedMixedLMResults.variance_components`.
    """
    rows, sigma = [], np.sqrt(unit)
    for effects, covariance, theta in zip(random, relative, thetas):
        triples = zip(effects.blocks, effects.quantities, theta)
        for (block, _, model), quantities, parameters in triples:
            values = model.quantity_values(
                quantities, covariance[block, block], parameters
            )
            for q, (variance, value) in zip(quantities, values):
                value = value * (sigma if q.kind == "sd" else 1.0)
                row = q.effect1, q.effect2, variance * unit, value
                rows.append((effects.name, *row))
    if residual is not None:
        rows.append(("Residual", "", "", residual, np.sqrt(residual)))
    columns = ["group", "effect1", "effect2", "variance", "sd"]
    return ResultTable(rows, columns=columns)


def boundary_table(random, factors, duals):
    """
    Which covariance blocks are on the boundary of the parameter space.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    factors : sequence of RelativeFactor
        Relative covariance factor of each of them.
    duals : sequence of ndarray
        Smallest eigenvalue of the dual matrix of each block, for each factor.

    Returns
    -------
    DataFrame
        See `CrossedMixedLMResults.boundary_table`.
    """
    rows = []
    for effects, factor, each in zip(random, factors, duals):
        for block, names, dual in zip(factor.blocks, effects.block_names, each):
            state = block.rank(), bool(block.is_singular), dual
            rows.append((effects.name, ", ".join(names), len(names), *state))
    columns = ["group", "effects", "n_effects", "rank", "singular", "dual"]
    return pd.DataFrame(rows, columns=columns)


def principal_components(random, relative):
    """
    Principal components of the random effects.

    Parameters
    ----------
    random : sequence of RandomEffects
        The random effects.
    relative : sequence of ndarray
        Covariance matrix of each factor divided by sigma^2, shape (k, k).

    Returns
    -------
    DataFrame
        See `CrossedMixedLMResults.re_pca`.
    """
    rows = []
    for effects, covariance in zip(random, relative):
        values = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0.0)
        shares = values / (values.sum() or 1.0)
        numbers = zip(np.sqrt(values), shares, np.cumsum(shares))
        rows += [(effects.name, j, *each) for j, each in enumerate(numbers, start=1)]
    columns = ["group", "component", "sd", "share", "cumulative"]
    return pd.DataFrame(rows, columns=columns)
