"""The profiled deviance and the REML criterion."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from statsmodels_lmm.core.dense import times_shared
from statsmodels_lmm.core.elimination import Elimination
from statsmodels_lmm.core.engine import eliminate, selected_inverse
from statsmodels_lmm.core.sparse_elimination import SparseElimination


@dataclass(frozen=True)
class ProfiledDeviance:
    """
    The criterion at one value of the relative covariances.

    With nu = n - p (REML) or n (ML) and r^2 = y'P y,

        d = log |V| + [log |X'V^-1 X|] + nu (1 + log(2 pi r^2 / nu)),

    the term in brackets under REML only (Bates et al. 2015, equations 34, 41).

    Parameters
    ----------
    elimination : Elimination or SparseElimination
        The factorized system.
    factors : tuple of RelativeFactor
        Relative covariance factors, in the order of the elimination plan.
    reml : bool
        Whether this is the REML criterion.
    value : ndarray
        d, shape (...).
    coefficients : ndarray
        Fixed effects, shape (..., p).
    fixed_root : ndarray
        Lower Cholesky factor of X'V^-1 X, shape (..., p, p).
    scale : ndarray
        Residual variance r^2 / nu, shape (...).
    """

    elimination: Elimination | SparseElimination
    factors: tuple
    reml: bool
    value: np.ndarray
    coefficients: np.ndarray
    fixed_root: np.ndarray
    scale: np.ndarray

    @property
    def nu(self):
        """Degrees of freedom of the residual variance, n - p or n."""
        products = self.elimination.products
        return products.nobs - (products.k_fixed if self.reml else 0)

    @cached_property
    def selected(self):
        """Blocks of the inverse, found when first asked for."""
        return selected_inverse(self.elimination)

    @cached_property
    def contrast(self):
        """(-beta, 1), which turns columns [X y] into y - X beta."""
        ones = np.ones((*self.coefficients.shape[:-1], 1))
        return np.concatenate([-self.coefficients, ones], axis=-1)

    @cached_property
    def scores(self):
        """Z_i' P y of each factor, shapes (..., l_i, k_i)."""
        column = self.contrast[..., None]
        return tuple(times_shared(z, column)[..., 0] for z in self.selected.projected)

    @cached_property
    def modes(self):
        """Conditional modes of each factor, shapes (..., l_i, k_i)."""
        column = self.contrast[..., None]
        return tuple(times_shared(z, column)[..., 0] for z in self.selected.modes)

    @cached_property
    def fixed_scores(self):
        """Z_i'V^-1 X (X'V^-1 X)^(-1/2) of each factor, (..., l_i, k_i, p)."""
        p = self.fixed_root.shape[-1]
        inverse = np.linalg.inv(self.fixed_root).swapaxes(-1, -2)
        return tuple(times_shared(z[..., :p], inverse) for z in self.selected.projected)


def profiled_deviance(products, factors, reml):
    """
    Evaluate the profiled deviance or the REML criterion.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    factors : sequence of RelativeFactor
        In the order of the elimination plan.
    reml : bool
        Whether to evaluate the REML criterion.

    Returns
    -------
    ProfiledDeviance

    Raises
    ------
    numpy.linalg.LinAlgError
        If the system is not positive definite in floating point.
    """
    elimination = eliminate(products, [f.matrix for f in factors])
    p = products.k_fixed
    root = np.linalg.cholesky(elimination.gram)
    fixed_root = root[..., :p, :p]
    residual = root[..., p, p]
    nu = products.nobs - p if reml else products.nobs
    scale = residual**2 / nu
    value = elimination.logdet + nu * (1.0 + np.log(2.0 * np.pi * scale))
    if reml:
        diagonal = np.diagonal(fixed_root, axis1=-2, axis2=-1)
        value = value + 2.0 * np.log(diagonal).sum(axis=-1)
    right = root[..., p, :p]
    if right.ndim > 1:
        transposed = fixed_root.swapaxes(-1, -2)
        coefficients = np.linalg.solve(transposed, right[..., None])[..., 0]
    elif p:
        coefficients = lapack.dtrtrs(fixed_root.T, right, lower=0)[0]
    else:
        coefficients = np.zeros(0)
    return ProfiledDeviance(
        elimination, tuple(factors), reml, value, coefficients, fixed_root, scale
    )
