"""
The response of a generalized mixed model, given its random effects.

    eta = X beta + Z b + offset,    b ~ N(0, S),    c(eta) = -log f(y | eta)

for every row. S is on the scale of eta, not relative to a residual variance.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.engines.base import Engine
from statsmodels_lmm.core.families.base import Expected, ExtraSlopes, Family, Slopes
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.row_transforms import RowWeights

BLOCK = 16_384
"""Number of rows whose intermediate results stay in the cache."""


@dataclass(frozen=True)
class ConditionalModel:
    """
    Rows, their distribution, and the engine of their random effects.

    Parameters
    ----------
    engine : Engine
        The elimination of the random effects.
    family : Family
        The conditional distribution, with its link.
    endog, weights : ndarray
        Response y and prior weights a, shape (n,).
    exog : ndarray
        Design of the fixed effects, X'X = n I, shape (n, p).
    offset : ndarray or float
        Known part of eta.
    repeats : ndarray or None
        How often each row was observed; once if None.
    """

    engine: Engine
    family: Family
    endog: np.ndarray
    weights: np.ndarray
    exog: np.ndarray
    offset: Any = 0.0
    repeats: Any = None

    @property
    def terms(self):
        """The random-effects terms in the order of the plan."""
        return self.engine.plan.terms

    @property
    def nobs(self):
        """Number of observations."""
        return len(self.endog) if self.repeats is None else float(self.repeats.sum())

    def random(self, effects):
        """Z b for the effects of each term, shapes (..., l_i, k_i); shape (..., n)."""
        return sum(term.times(b) for term, b in zip(self.terms, effects))

    def random_columns(self, columns):
        """Z T for columns T of each term, shapes (l_i, k_i, m); shape (n, m)."""
        pairs = zip(self.terms, columns)
        return sum(term.times(np.moveaxis(t, -1, 0)) for term, t in pairs).T

    def sums(self, columns):
        """Z'C for columns C (n, m) of each term, as the engine expects them."""
        return [term.level_sums(columns) for term in self.terms]

    def gather(self, weights, exog=None):
        """
        Cross-products of rows with weights w, some of which may be negative.

        Parameters
        ----------
        weights : ndarray
            w, shape (n,).
        exog : ndarray, optional
            Fixed columns to include, shape (n, p); default is none.

        Returns
        -------
        Products
        """
        rows = Rows(None, np.empty((len(weights), 0)) if exog is None else exog)
        negative = weights < 0.0
        if not negative.any():
            return self.engine.gather(rows, RowWeights(np.sqrt(weights)))
        signs = [np.where(negative, 0.0, weights), np.where(negative, -weights, 0.0)]
        parts = [self.engine.gather(rows, RowWeights(np.sqrt(w))) for w in signs]
        return parts[0] + -parts[1]

    # the conditional distribution ------------------------------------------------

    def half_deviances(self, eta, extra=None):
        """C of the rows, less its smallest value."""

        def kernel(*row):
            return (self.family.half_deviance(*row),)

        (each,) = self._by_blocks(kernel, eta, extra)
        return each

    def quadratic(self, eta, extra=None, out=None):
        """The loss, with c' and c'' of the rows: what a Newton step needs."""
        total: Any = 0.0
        found = np.empty((2, *eta.shape)) if out is None else out
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for rows, y, a, part in self._blocks(eta):
                loss, *slopes = self.family.quadratic(y, a, part, extra)
                total = total + self._repeated(loss, rows).sum(axis=-1)
                for whole, each in zip(found, slopes):
                    whole[..., rows] = self._repeated(each, rows)
        return total, found

    def constant(self, extra=None):
        """The smallest value that the sum of c can have."""
        each = self.family.saturated(self.endog, self.weights, extra)
        return self._repeated(each).sum(axis=-1)

    def slopes(self, eta, extra=None):
        """The first four derivatives of c of the rows, a Slopes."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return Slopes(*self._by_blocks(self.family.slopes, eta, extra))

    def expected(self, eta, extra=None):
        """The expectation of c'' given eta and its derivatives, an Expected."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            return Expected(*self._by_blocks(self.family.expected, eta, extra))

    def extra_slopes(self, eta, extra):
        """Derivatives of the rows in the extra parameter, an ExtraSlopes."""
        return ExtraSlopes(*self._by_blocks(self.family.extra_slopes, eta, extra))

    def _by_blocks(self, kernel, eta, extra):
        """A tuple of functions of the rows, a block of them at a time."""
        found: Any = None
        for rows, *row in self._blocks(eta):
            each = kernel(*row, extra)
            if found is None:
                found = tuple(np.empty(eta.shape) for _ in each)
            for whole, part in zip(found, each):
                whole[..., rows] = self._repeated(part, rows)
        return found

    def _blocks(self, eta):
        """Blocks of rows, with their response, prior weights and predictor."""
        for start in range(0, len(self.endog), BLOCK):
            rows = slice(start, start + BLOCK)
            yield rows, self.endog[rows], self.weights[rows], eta[..., rows]

    def _repeated(self, each, rows=slice(None)):
        return each if self.repeats is None else self.repeats[rows] * each
