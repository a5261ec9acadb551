"""Correlations between locations as a function of distance."""

from typing import Any

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist
from scipy.special import gammaln, kve

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.relationship.labeled import labeled_rows, quoted, require_square

CORRELATIONS = ("exponential", "gaussian", "matern")

SMOOTHEST = 50.0
"""Largest smoothness; beyond it Matern correlations are Gaussian in practice."""


def spatial_covariance(
    coordinates: Any,
    kind: str = "exponential",
    *,
    range: Any,
    smoothness: float = 1.5,
    labels: Any = None,
) -> pd.DataFrame:
    """
    Correlations between locations that decay with their Euclidean distance d.

    With range r and smoothness v they are

    - "exponential": exp(-d / r);
    - "gaussian": exp(-d^2 / (2 r^2));
    - "matern": 2^(1 - v) / Gamma(v) x^v K_v(x) with x = sqrt(2 v) d / r. It is
      exponential for v = 1/2, equals (1 + x) exp(-x) for v = 3/2, and tends to the
      Gaussian for large v (Rasmussen and Williams 2006, equation 4.14).

    The practical range, at which the correlation is 0.05, is 3.00 r, 2.45 r and, for
    v = 3/2, 2.74 r. The range of nlme's ``corGaus`` is sqrt(2) r.

    Parameters
    ----------
    coordinates : DataFrame or array_like
        Coordinates of the locations, all in the same unit, shape (n, k) or (n,); the
        index of a DataFrame labels the locations. Longitude and latitude must be
        projected first. Two locations with the same coordinates have correlation 1 and
        make the matrix singular.
    kind : {"exponential", "gaussian", "matern"}, optional
        Shape of the decay.
    range : float
        r, positive, in the unit of the coordinates.
    smoothness : float, optional
        v of "matern", positive and at most 50. Sample paths are k times differentiable
        for v > k.
    labels : array_like, optional
        Labels of the locations, without duplicates, shape (n,).

    Returns
    -------
    DataFrame
        Correlation matrix, shape (n, n).

    Raises
    ------
    DataError
        If a coordinate is missing or infinite, or a label appears twice.

    References
    ----------
    Rasmussen, C. E. and Williams, C. K. I. (2006). Gaussian Processes for Machine
    Learning, section 4.2. MIT Press.
    Stein, M. L. (1999). Interpolation of Spatial Data, section 2.10. Springer.
    """
    if kind not in CORRELATIONS:
        raise ValueError(f"kind must be one of {', '.join(CORRELATIONS)}, not {kind!r}")
    if not 0 < range < np.inf:
        raise ValueError(f"range must be a positive number, not {range!r}")
    if not 0 < smoothness <= SMOOTHEST:
        raise ValueError(
            f"smoothness must be positive and at most {SMOOTHEST:g}, not "
            f"{smoothness!r}; kind='gaussian' is the limit"
        )
    places, labels = labeled_rows(coordinates, "the coordinates", labels)
    unknown = ~np.isfinite(places).all(axis=1)
    if unknown.any():
        raise DataError(
            f"place {quoted(labels[unknown])} has missing or infinite coordinates"
        )
    require_square(len(labels), "the spatial correlation matrix")
    distances = cdist(places, places) / range
    if kind == "exponential":
        correlation = np.exp(-distances)
    elif kind == "gaussian":
        correlation = np.exp(-0.5 * distances**2)
    else:
        correlation = _matern(distances, smoothness)
    return pd.DataFrame(correlation, labels, labels)


def _matern(distances, smoothness):
    """Matern correlation at distances in units of the range."""
    # beyond 2000 the correlation underflows, and K_v fails for very large x
    x = np.minimum(np.sqrt(2.0 * smoothness) * distances, 2000.0)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        logarithm = (
            (1.0 - smoothness) * np.log(2.0)
            - gammaln(smoothness)
            + smoothness * np.log(x)
            + np.log(kve(smoothness, x))
            - x
        )
        # K_v overflows near 0, where two terms of the series are exact
        series = 1.0 - 0.25 * x**2 / (smoothness - 1.0)
    correlation = np.where(np.isfinite(logarithm), np.exp(logarithm), series)
    correlation[x == 0] = 1.0
    return correlation
