"""Variances of the random effects in many fits."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.structures.roots import lower_triangle


def components(many):
    """
    Standard deviations and correlations, see `ManyResults.variance_components`.

    Parameters
    ----------
    many : ManyResults
        The fits.

    Returns
    -------
    DataFrame
    """
    random, theta = many.model.random, many.fits.theta
    parts = consecutive(e.grouped.n_parameters for e in random)
    sigma = np.sqrt(many.fits.scale)
    columns: dict = {}
    for effects, part in zip(random, parts):
        own = consecutive(effects.grouped.parameter_counts)
        blocks = zip(effects.blocks, effects.quantities, own)
        for (_, names, model), quantities, place in blocks:
            values = theta[:, part][:, place]
            if model.has_structure:
                each = model.theta_labels(names, quantities)
                columns |= {f"{effects.name}: {n}": v for n, v in zip(each, values.T)}
                continue
            relative = _relative(values, len(names))
            for q in quantities:
                columns[f"{effects.name}: {q.kind} {q.label}"] = (
                    sigma * np.sqrt(relative[:, q.first, q.first])
                    if q.kind == "sd"
                    else _correlation(relative, q.first, q.second)
                )
    columns["sigma"] = sigma
    return pd.DataFrame(columns, many.names)


def _relative(theta, size):
    """S from the lower triangles of its root, shape (r, k, k)."""
    root = np.zeros((len(theta), size, size))
    root[(slice(None), *lower_triangle(size))] = theta
    return root @ root.swapaxes(1, 2)


def _correlation(relative, a, b):
    """NaN where a variance is zero."""
    size = np.sqrt(relative[:, a, a] * relative[:, b, b])
    with np.errstate(divide="ignore", invalid="ignore"):
        share = relative[:, a, b] / size
    return np.where(size > 0.0, np.clip(share, -1.0, 1.0), np.nan)
