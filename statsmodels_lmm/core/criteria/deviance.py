"""
The profiled deviance and the REML criterion.

With W = [X y], W'V^-1 W is what remains of W'W after the effects are eliminated. Where
so little remains that digits are lost, it is computed from the rows instead,

    W'V^-1 W = E'E + U'U,      U = L'Z'V^-1 W,      E = W - Z L U,

    as a sum of squares.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import lapack

from statsmodels_lmm.core.algebra.dense import (
    cholesky,
    concatenated,
    inverse_lower,
    times_shared,
    transpose,
)
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.derivatives import (
    MAX_DENSE_COLUMNS,
    average_derivatives,
    dual_matrices,
    gradient,
    with_exact_hessian,
)
from statsmodels_lmm.core.criteria.variance_forms import VarianceForms
from statsmodels_lmm.core.engines.base import Elimination
from statsmodels_lmm.core.engines.cross_products import CrossProducts
from statsmodels_lmm.core.engines.selected_inverse import SelectedInverse
from statsmodels_lmm.core.engines.sparse_elimination import SparseInverse
from statsmodels_lmm.core.engines.sparse_products import SparseProducts

EPSILON = np.finfo(float).eps

TINY = np.finfo(float).tiny

EXACT_BELOW = 1e-1
"""Promised decrease below which the exact Hessian, if cheap, is worth its cost."""

VISIBLE = 1e-8
"""Rounding of the criterion above which r^2 is recomputed from the rows."""


@dataclass(frozen=True)
class ProfiledDeviance:
    """
    The criterion at one value of the relative covariances.

    With nu = n - p (REML) or n (ML) and r^2 = y'P y,

        d = log |V| + [log |X'V^-1 X|] + nu (1 + log(2 pi r^2 / nu)),

    where the term in brackets is for REML only (Bates et al. 2015, equations 34, 41).

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    factors : tuple of RelativeFactor
        Relative covariance factors, in elimination order.
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
    squares : ndarray
        r^2, shape (...).
    rounding : ndarray
        Rounding error of the criterion, shape (...).
    inverse : SelectedInverse or SparseInverse, optional
        Blocks of the inverse, if already known.
    """

    elimination: Elimination
    factors: tuple
    reml: bool
    value: np.ndarray
    coefficients: np.ndarray
    fixed_root: np.ndarray
    scale: np.ndarray
    squares: np.ndarray
    rounding: np.ndarray
    inverse: SelectedInverse | SparseInverse | None = None

    extra = None
    """The parameter that only generalized families have."""

    @property
    def point(self):
        """The point of evaluation: the factors."""
        return self.factors

    @property
    def nu(self):
        """Degrees of freedom of the residual variance, n - p or n."""
        products = self.elimination.products
        return products.nobs - (products.k_fixed if self.reml else 0)

    @cached_property
    def selected(self):
        """Blocks of the inverse, computed on first use."""
        return self.inverse or self.elimination.selected_inverse()

    @property
    def information(self):
        """Sums of the diagonal blocks of Z_i'V^-1 Z_i, shapes (..., k_i, k_i)."""
        return self.selected.level_sums

    @cached_property
    def contrast(self):
        """(-beta, 1), which turns columns [X y] into y - X beta."""
        ones = np.ones((*self.coefficients.shape[:-1], 1))
        return np.concatenate([-self.coefficients, ones], axis=-1)

    @cached_property
    def scores(self):
        """Z_i'P y of each term, shapes (..., l_i, k_i)."""
        column = self.contrast[..., None]
        return tuple(times_shared(z, column)[..., 0] for z in self.selected.projected)

    @property
    def precisions(self):
        """Mean over the levels of the diagonal of Z_i'V^-1 Z_i, shapes (..., k_i)."""
        terms = self.elimination.products.plan.terms
        return tuple(
            np.diagonal(s, axis1=-2, axis2=-1) / f.n_levels
            for s, f in zip(self.information, terms)
        )

    @cached_property
    def units(self):
        """Natural step lengths of the free parameters, shape (..., m)."""
        pairs = zip(self.factors, self.precisions)
        return concatenated([f.units(p) for f, p in pairs])

    @property
    def fixed_modes(self):
        """M Z'X of each term, shapes (..., l_i, k_i, p)."""
        return tuple(modes[..., :-1] for modes in self.selected.modes)

    @cached_property
    def modes(self):
        """Conditional modes of each term, shapes (..., l_i, k_i)."""
        column = self.contrast[..., None]
        return tuple(times_shared(z, column)[..., 0] for z in self.selected.modes)

    @cached_property
    def half_fixed(self):
        """Inverse of the lower Cholesky factor of X'V^-1 X, shape (..., p, p)."""
        return inverse_lower(self.fixed_root)

    @cached_property
    def fixed_scores(self):
        """Z_i'V^-1 X (X'V^-1 X)^(-1/2) of each term, (..., l_i, k_i, p)."""
        p = self.fixed_root.shape[-1]
        inverse = transpose(self.half_fixed)
        return tuple(times_shared(z[..., :p], inverse) for z in self.selected.projected)

    @cached_property
    def _average(self):
        return average_derivatives(self)

    def derivatives(self, exact=False):
        """
        First derivatives and a curvature in the free parameters of the factors.

        Parameters
        ----------
        exact : bool, optional
            True for the Hessian as curvature, False for the average information.

        Returns
        -------
        Derivatives
        """
        return with_exact_hessian(self, self._average) if exact else self._average

    @property
    def slope(self):
        """The gradient in the free parameters, shape (..., m)."""
        return gradient(self.factors, dual_matrices(self))

    @property
    def variance_forms(self):
        """What changes of the covariance matrix do to the fit."""
        return VarianceForms(self)

    def elsewhere(self, factors):
        """The same criterion at other factors, see `profiled_deviance`."""
        products = self.elimination.products
        return profiled_deviance(
            products, factors, self.reml, valued=not products.is_stochastic
        )


@dataclass(frozen=True)
class Profiled(Criterion):
    """
    The profiled deviance or the REML criterion of a design and its responses.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics in standardized units, of one response or of many.
    reml : bool
        Whether it is the REML criterion.
    """

    products: CrossProducts | SparseProducts
    reml: bool

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian saves more than it costs."""
        is_cheap = self.products.projection_is_affordable(MAX_DENSE_COLUMNS // 3)
        return EXACT_BELOW if is_cheap else 0.0

    def evaluate(self, factors):
        """The ProfiledDeviance at given factors, or None if undefined."""
        try:
            return profiled_deviance(self.products, factors, self.reml)
        except np.linalg.LinAlgError:
            return None

    def take(self, which):
        """The criterion for selected responses; a single response is kept as it is."""
        if self.products.gram.ndim == 2:
            return self
        return replace(self, products=self.products.select(which))


def profiled_deviance(products, factors, reml, valued=True):
    """
    Evaluate the profiled deviance or the REML criterion.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.
    factors : sequence of RelativeFactor
        In elimination order.
    reml : bool
        Whether to evaluate the REML criterion.
    valued : bool, optional
        False to leave the value NaN, where log |V| costs much and only derivatives are
        asked for.

    Returns
    -------
    ProfiledDeviance

    Raises
    ------
    numpy.linalg.LinAlgError
        If the system is not positive definite in floating point.
    """
    roots = [f.matrix for f in factors]
    nu = products.nobs - products.k_fixed if reml else products.nobs
    elimination, inverse = products.eliminate(roots), None
    coefficients, fixed_root, squares = _least_squares(elimination)
    rounding = subtraction_error(products.nobs, nu, squares)
    alone = squares.ndim == 0 and products.rows is not None
    if alone and rounding > VISIBLE:
        elimination, inverse, spread = from_rows(products, roots)
        coefficients, fixed_root, _ = _least_squares(elimination)
        squares = ((spread @ np.append(-coefficients, 1.0)) ** 2).sum()
        rounding = EPSILON * products.nobs * np.sqrt(nu / np.maximum(squares, TINY))
        rounding = rounding + 10.0 * EPSILON * elimination.cancelled
    if not (squares > 0.0).all():
        raise np.linalg.LinAlgError("nothing is left of the residual variance")
    scale = squares / nu
    logdet = elimination.logdet if valued else np.asarray(np.nan)
    value = logdet + nu * (1.0 + np.log(2.0 * np.pi * scale))
    if reml:
        diagonal = np.diagonal(fixed_root, axis1=-2, axis2=-1)
        value = value + 2.0 * np.log(diagonal).sum(axis=-1)
    return ProfiledDeviance(
        elimination,
        tuple(factors),
        reml,
        value,
        coefficients,
        fixed_root,
        scale,
        squares,
        np.fmax(elimination.precision * np.abs(value), rounding),
        inverse,
    )


def subtraction_error(nobs, nu, squares):
    """Rounding error of the criterion if r^2 was found by subtraction, shape (...)."""
    return EPSILON * nobs * nu / np.maximum(squares, TINY)


def _least_squares(elimination):
    """Coefficients, Cholesky factor of X'V^-1 X and r^2 by subtraction."""
    products = elimination.products
    p, gram = products.k_fixed, elimination.gram.copy()
    # keep the last pivot positive despite rounding
    gram[..., p, p] = np.abs(gram[..., p, p]) + products.nobs
    root = cholesky(gram)
    fixed_root, right = root[..., :p, :p], root[..., p, :p]
    squares = elimination.gram[..., p, p] - (right**2).sum(axis=-1)
    if right.ndim > 1:
        transposed = fixed_root.swapaxes(-1, -2)
        coefficients = np.linalg.solve(transposed, right[..., None])[..., 0]
    elif p:
        coefficients = lapack.dtrtrs(fixed_root.T, right, lower=0)[0]
    else:
        coefficients = np.zeros(0)
    return coefficients, fixed_root, squares


def from_rows(products, roots):
    """
    Eliminate the random effects with W'V^-1 W from passes over the rows.

    The residual of the normal equations after the first pass, Z'E - Z'V^-1 W, is solved
    for once more, as in iterative refinement.

    Parameters
    ----------
    products : CrossProducts or SparseProducts
        Sufficient statistics, with their rows.
    roots : sequence of ndarray
        L of each term in the order of the plan, shapes (k, k).

    Returns
    -------
    elimination : Elimination or SparseElimination
        The elimination, with W'V^-1 W as a sum of squares.
    inverse : SelectedInverse or SparseInverse
        The inverse, with Z'V^-1 W refined.
    spread : ndarray
        [E; U], with cross-products W'V^-1 W, shape (n + q, w).
    """
    elimination = products.eliminate(roots, closely=True)
    inverse = elimination.selected_inverse()
    columns = products.rows.columns()
    spread, projected, spherical = spread_rows(elimination, columns, inverse.projected)
    modes = tuple(root @ u for root, u in zip(roots, spherical))
    return (
        replace(elimination, gram=spread.T @ spread),
        replace(inverse, projected=tuple(projected), modes=modes),
        spread,
    )


def spread_rows(elimination, columns, change=None):
    """
    Rows with cross-products C'V^-1 C of columns C, from two passes over their rows.

    Parameters
    ----------
    elimination : Elimination
        The factorized system.
    columns : ndarray
        C, shape (n, m).
    change : sequence of ndarray, optional
        Z_i'V^-1 C, if known, shapes (l_i, k_i, m).

    Returns
    -------
    spread : ndarray
        [E; U] with E = C - Z L U and U = L'Z'V^-1 C, shape (n + q, m).
    projected, spherical : list of ndarray
        Z_i'V^-1 C, refined, and the U of each term, shapes (l_i, k_i, m).
    """
    terms, roots = elimination.products.plan.terms, elimination.roots
    if change is None:
        change = elimination.project([term.level_sums(columns) for term in terms])
    left, projected = columns, [0.0] * len(terms)
    for again in (True, False):
        projected = [t + c for t, c in zip(projected, change)]
        for term, root, c in zip(terms, roots, change):
            left = left - term.times(np.moveaxis(root @ (root.T @ c), -1, 0)).T
        if again:
            sums = [term.level_sums(left) for term in terms]
            rest = [a - t for a, t in zip(sums, projected)]
            change = elimination.project(rest)
    spherical = [root.T @ t for root, t in zip(roots, projected)]
    spread = np.vstack([left, *(u.reshape(-1, u.shape[-1]) for u in spherical)])
    return spread, projected, spherical
