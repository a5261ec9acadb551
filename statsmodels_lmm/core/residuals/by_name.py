"""Structures of correlated errors by their names in formulas."""

import inspect

from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.residuals.moving_average import ARMA
from statsmodels_lmm.core.residuals.spatial import Exponential, Gaussian, Matern
from statsmodels_lmm.core.residuals.toeplitz import Toeplitz
from statsmodels_lmm.core.residuals.unstructured import Unstructured

RESIDUALS: dict = {
    kind.name: kind
    for kind in (
        Autoregressive,
        ContinuousAutoregressive,
        CompoundSymmetry,
        Unstructured,
        Toeplitz,
        AnteDependence,
        ARMA,
        Exponential,
        Gaussian,
        Matern,
    )
}
"""Structures of the errors, as in ``residual="ar1(time | subject)"``."""


def options_of(name):
    """Names of the keyword arguments of a structure, such as p and q, as a tuple."""
    return tuple(
        key
        for key, each in inspect.signature(RESIDUALS[name]).parameters.items()
        if each.kind is each.POSITIONAL_OR_KEYWORD
    )


def residual_named(name, **options):
    """
    The structure with a given name in a formula.

    Parameters
    ----------
    name : {"ar1", "car1", "cs", "us", "toep", "ad", "arma", "exp", "gau", "matern"}
        The name.
    **options
        ``p`` and ``q`` of "arma", ``nugget`` of "exp", "gau" and "matern", and
        ``smoothness`` of "matern".

    Returns
    -------
    ResidualStructure

    Raises
    ------
    ValueError
        If there is no such structure, or it has no such option.
    """
    if name not in RESIDUALS:
        known = ", ".join(RESIDUALS)
        raise ValueError(f"no structure of the errors is named {name!r}: take {known}")
    known = options_of(name)
    for key in options:
        if key not in known:
            has = f"it has {' and '.join(known)}" if known else "it has none"
            raise ValueError(f"{name} has no option {key!r}: {has}")
    return RESIDUALS[name](**options)
