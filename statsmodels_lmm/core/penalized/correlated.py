"""
The penalized deviance with errors that are correlated or of unequal variance.

Whitened rows have independent errors, as in `criteria.correlated`; the penalty is on
the coefficients, which whitening does not change. So the criterion is that of
`criterion` for whitened rows, plus log |R|, and phi enters as any other part of V
does. Only working sets are whitened.

What the scaled objective divides coefficients by is not s, which for strong
correlations is far above what is left in a row given the others of its group, so that
the penalty would vanish as these grow, but

    s / g,    g = |R|^(-1 / 2n),

the geometric mean of the conditional standard deviations: h(b / s) becomes
h(g b / s). Its derivative in phi at given b and s, -(dh / dg) g tr(B_k) / 2n, is added
to the slope.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import solve_lower
from statsmodels_lmm.core.criteria.correlated import CorrelatedDeviance, is_affordable
from statsmodels_lmm.core.criteria.derivatives import differenced_gradient
from statsmodels_lmm.core.criteria.deviance import EXACT_BELOW
from statsmodels_lmm.core.penalized.criterion import Penalized, PenalizedDeviance
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance

STEP = 1e-3
"""Step, in natural lengths, for the derivative of log |R|."""


@dataclass(frozen=True)
class CorrelatedPenalizedDeviance(PenalizedDeviance, CorrelatedDeviance):
    """
    The criterion at one value of the relative covariances and of phi.

    Parameters
    ----------
    penalty : Penalty
        The penalty on b / s there.
    tightness : float
        g; 1 for a penalty on b.
    """

    penalty: Any = field(kw_only=True)
    tightness: float = field(kw_only=True)  # type: ignore[assignment]

    slope = CorrelatedDeviance.slope

    @cached_property
    def error_slopes(self):  # type: ignore[override]
        """Derivatives in the coordinates of phi, shape (m,)."""
        own = self._forms.error_slopes()
        if self.tightness == 1.0:
            return own
        b, n = self.coefficients / np.sqrt(self.scale), len(self.residuals)
        growth = self.penalty.pulls @ np.abs(b) + self.penalty.ridge @ b**2
        return own - growth / n * slopes_of_log_determinant(self.whitening)

    @cached_property
    def _exact(self):
        own = np.ones(sum(f.n_free for f in self.factors))
        lengths = np.append(own, self.whitening.model.units)
        return replace(self._average, curvature=differenced_gradient(self, lengths))

    def _left(self, change):
        """V^-1 A C of whitened rows for columns [A y] and a matrix C, shape (n, c)."""
        rows = self._whitened.rows.columns() @ change
        for term, modes in zip(self.terms, self.selected.modes):
            rows = rows - term.times(np.moveaxis(modes @ change, -1, 0)).T
        return rows

    @cached_property
    def fixed_rows(self):
        """V^-1 A G^-1/2 of whitened rows for the active columns, shape (n, m)."""
        unit = np.eye(len(self.coefficients) + 1)[:, self.solution.active]
        return solve_lower(self.solution.root, self._left(unit).T).T

    def products_of(self, directions):
        """Products for changes of S and of phi, see `PenalizedDeviance`."""
        first, products = self._forms.products_of(directions)
        less = np.zeros(0)
        if self.factors:
            _, _, less = super().products_of(directions)
        errors = self._left(self.shrunken)[:, 0] @ self.bent_residuals
        return first, products, np.append(less, errors)


@dataclass(frozen=True)
class CorrelatedPenalized(Penalized):
    """
    The penalized deviance of a working set, see `Penalized`.

    Parameters
    ----------
    products : Products
        Of the rows whitened at any phi.
    engine : Engine
        The engine of the random effects.
    rows : Rows
        The working columns and the response.
    model : ResidualCovariance
        The covariance of the errors.
    """

    engine: Any = field(kw_only=True)
    rows: Any = field(kw_only=True)
    model: ResidualCovariance = field(kw_only=True)

    @cached_property
    def exact_below(self):  # type: ignore[override]
        """The promised decrease below which the Hessian saves more than it costs."""
        return EXACT_BELOW if is_affordable(self.products, self.model) else 0.0

    def evaluate(self, point):
        """The criterion at factors and coordinates, or None if undefined."""
        *factors, phi = point
        try:
            whitening = self.model.at(phi.values)
            products = self.engine.gather(self.rows, whitening)
            g = self.objective.tightness(whitening)
            penalty = self.penalty.tightened(g)
            found = self._minimum(products, factors, penalty)
        except np.linalg.LinAlgError:
            return None
        found["value"] = found["value"] + whitening.log_determinant
        return CorrelatedPenalizedDeviance(
            **found, whitening=whitening, penalty=penalty, tightness=g
        )


def slopes_of_log_determinant(whitening):
    """Derivatives of log |R| in the coordinates, to about 11 digits, shape (m,)."""
    model, x = whitening.model, whitening.x

    def change(step):
        return model.at(x + step).log_determinant - model.at(x - step).log_determinant

    steps = np.diag(STEP * model.units)
    sums = [8.0 * change(step) - change(2.0 * step) for step in steps]
    return np.array(sums).reshape(len(x)) / (12.0 * STEP * model.units)
