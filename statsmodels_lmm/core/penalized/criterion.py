"""
The penalized deviance as a function of the relative covariances alone.

Fixed effects and residual variance are profiled out, so that

    d(theta) = log |V| + min over b and s of the objective in `objective`.

The derivative of a minimum is that of what is minimized: the slope in theta is that of
the deviance at b and s. With e = (y - A b) / s, K = V^-1 - V^-1 A G^-1 A'V^-1 for the
active columns A, V_a the derivative of V and the shrinkage h, the Hessian is

    - tr(V^-1 V_a V^-1 V_b) + 2 e'V^-1 V_a K V_b V^-1 e - c_a c_b / k,
    c_a = e'V^-1 V_a V^-1 (e - A h),

while the signs stay as they are; k is the stiffness of s. The average information has
the second term once and no first.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import (
    consecutive,
    inverse_lower,
    times_shared,
    transpose,
)
from statsmodels_lmm.core.criteria.base import Criterion
from statsmodels_lmm.core.criteria.derivatives import (
    MAX_DENSE_COLUMNS,
    Derivatives,
    dual_matrices,
    gradient,
    of_all_factors,
    projected_products,
    trace_products,
    working_columns,
)
from statsmodels_lmm.core.criteria.deviance import (
    EPSILON,
    EXACT_BELOW,
    ProfiledDeviance,
)
from statsmodels_lmm.core.engines.levels import level_gram
from statsmodels_lmm.core.penalized.objective import Penalty, Solution


@dataclass(frozen=True)
class PenalizedDeviance(ProfiledDeviance):
    """
    The criterion at one value of the relative covariances.

    Parameters
    ----------
    solution : Solution
        The coefficients of the working set.
    criterion : Penalized
        The criterion as a function.
    """

    solution: Solution = field(kw_only=True)
    criterion: Any = field(kw_only=True, repr=False)

    tightness = 1.0
    """How much larger the penalized coefficients are than b / s, see `correlated`."""

    def elsewhere(self, point):
        """The criterion at another point."""
        found = self.criterion.evaluate(point)
        if found is None:
            raise np.linalg.LinAlgError("the criterion is undefined there")
        return found

    @cached_property
    def fixed_scores(self):  # type: ignore[override]
        """Z_i'V^-1 A G^-1/2 of each term for the active columns, (l_i, k_i, m)."""
        active = self.solution.active
        inverse = transpose(inverse_lower(self.solution.root))
        return tuple(
            times_shared(np.ascontiguousarray(z[..., active]), inverse)
            for z in self.selected.projected
        )

    @cached_property
    def shrunken(self):
        """The shrinkage h of the columns [A y], shape (a + 1, 1)."""
        h = np.zeros((len(self.coefficients) + 1, 1))
        h[self.solution.active, 0] = self.solution.shrinkage
        return h

    def products_of(self, directions):
        """
        Products for changes of S, see `CorrelatedForms.products_of`, and what shrinks.

        Returns
        -------
        first, products, less : ndarray
            y'V^-1 V_a e, e'V_a K V_b e and (A h)'V^-1 V_a V^-1 y, with y less the
            columns, shapes (m,), (m, m) and (m,).
        """
        first, columns = working_columns(self, directions)
        less = np.zeros(len(first))
        for z, t in zip(self.selected.projected, columns):
            less = less + level_gram(times_shared(z, self.shrunken), t)[0]
        return first, projected_products(self, columns), less

    @property
    def slope(self):
        """The gradient in the free parameters, shape (m,)."""
        return gradient(self.factors, dual_matrices(self))

    @cached_property
    def _average(self):
        duals = dual_matrices(self)
        directions = [f.directions for f in self.factors]
        first, products, less = self.products_of(directions)
        observed, cross = products / self.scale, first / self.scale - less
        curvature = observed - np.outer(cross, cross) / self.solution.stiffness
        parts = consecutive(f.n_free for f in self.factors)
        for f, dual, part in zip(self.factors, duals, parts):
            curvature[part, part] += f.curvature(dual)
        return Derivatives(duals, self.slope, curvature, observed, cross)

    def derivatives(self, exact=False):
        """The gradient, with the average information or the Hessian."""
        return self._exact if exact else self._average

    @cached_property
    def _exact(self):
        average = self._average
        changes = of_all_factors(f.directions for f in self.factors)
        traces = trace_products(self, changes)
        return replace(average, curvature=average.curvature + average.observed - traces)


@dataclass(frozen=True)
class Penalized(Criterion):
    """
    The penalized deviance of a working set of columns.

    Parameters
    ----------
    products : Products
        Of the working columns and the response.
    objective : ScaledObjective or PlainObjective
        The objective.
    penalty : Penalty
        The penalty on the working set.
    lasso : callable
        Solver of the lasso, see `objective`.
    start : tuple
        Coefficients close to the solution, shape (a,), and s^2.
    largest : float, optional
        Number of penalized columns above which the criterion counts as undefined.
    """

    products: Any
    objective: Any
    penalty: Penalty
    lasso: Any = field(repr=False)
    start: tuple = field(repr=False)
    largest: float = np.inf

    @cached_property
    def _last(self):
        """Where the last minimum was, to start the next from."""
        return [self.start]

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian saves more than it costs."""
        is_cheap = self.products.projection_is_affordable(MAX_DENSE_COLUMNS // 3)
        return EXACT_BELOW if is_cheap else 0.0

    def evaluate(self, factors):
        """The PenalizedDeviance at given factors, or None if undefined."""
        try:
            found = self._minimum(self.products, factors, self.penalty)
            return PenalizedDeviance(**found)
        except np.linalg.LinAlgError:
            return None

    def _minimum(self, products, factors, penalty):
        """Fields of the PenalizedDeviance for given products and penalty."""
        nobs = products.nobs
        elimination = products.eliminate([f.matrix for f in factors])
        found = self.objective.solve(
            elimination.gram,
            nobs,
            penalty,
            self.lasso,
            self._last[0],
            self.largest,
        )
        value = np.asarray(elimination.logdet + found.value)
        b = found.coefficients
        self._last[0] = b, found.scale
        scale, squares = np.asarray(found.scale), nobs * found.scale
        rounding = EPSILON * nobs * max(float(elimination.gram[-1, -1]) / squares, 1.0)
        return dict(
            elimination=elimination,
            factors=tuple(factors),
            reml=False,
            value=value,
            coefficients=b,
            fixed_root=found.root,
            scale=scale,
            squares=np.asarray(squares),
            rounding=np.maximum(elimination.precision * np.abs(value), rounding),
            solution=found,
            criterion=self,
        )
