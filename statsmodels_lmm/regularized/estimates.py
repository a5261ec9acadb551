"""The estimates of one fit, in the units of the data."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Estimate:
    """
    The estimates of a fit with some of many columns.

    Parameters
    ----------
    chosen : ndarray
        Penalized columns whose coefficients are not zero, shape (m,).
    coefficients : ndarray
        Their coefficients, shape (m,).
    fixed : ndarray
        Coefficients of the columns that are not penalized, shape (r,).
    scale : float
        Residual variance.
    theta : ndarray
        Relative covariance parameters.
    relative : tuple of ndarray
        Covariance matrices of the random effects over the residual variance.
    modes : tuple of ndarray
        Conditional modes of the random effects, shapes (l, k).
    errors : ndarray
        Parameters of the errors' covariance, shape (c,).
    """

    chosen: np.ndarray
    coefficients: np.ndarray
    fixed: np.ndarray
    scale: float
    theta: np.ndarray
    relative: tuple
    modes: tuple
    errors: np.ndarray
