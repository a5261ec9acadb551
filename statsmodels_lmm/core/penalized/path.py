"""
The path of penalized fits, from the first column to many.

The model meets all columns in one product X'v for each penalty, with v = V^-1 r / s or,
for the plain objective, V^-1 r / s^2: the pull on every coefficient. A working set
holds the columns that are not zero and those that may become so (the strong rule of
Tibshirani et al. 2012), and grows until no column outside is pulled harder than its
penalty holds it: that proves the minimum over all columns.

References
----------
Tibshirani, R. et al. (2012). Strong rules for discarding predictors in lasso-type
problems. Journal of the Royal Statistical Society B 74, 245-266.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.algebra.dense import cholesky, solve_lower
from statsmodels_lmm.core.criteria.correlated import Correlated
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.penalized.correlated import CorrelatedPenalized
from statsmodels_lmm.core.penalized.criterion import Penalized
from statsmodels_lmm.core.penalized.objective import Penalty
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings, minimize

VIOLATED = 1e-8
"""Excess of a pull, relative to the penalty, at which a column joins the set."""

LIFTED = 0.3
"""How far variances of zero are moved if the data pull them off."""

MAX_ROUNDS = 50
"""Largest number of working sets for one penalty."""


@dataclass(frozen=True)
class PenalizedProblem:
    """
    A model with many columns.

    Parameters
    ----------
    endog : ndarray
        Response in standardized units, shape (n,).
    exog : ndarray
        Columns that are not penalized, in standardized units, shape (n, r).
    columns : WideColumns
        The penalized columns.
    engine : Engine
        The engine of the random effects.
    weights : ndarray
        Weights of the penalty, shape (p,); infinite for columns never chosen.
    objective : ScaledObjective or PlainObjective
        The objective.
    lasso : callable
        Solver of the lasso, see `objective`.
    l1 : float
        Share of absolute values in the penalty.
    settings : Settings
        When searches stop.
    errors : ResidualCovariance, optional
        The covariance of the errors; independent ones by default.
    """

    endog: np.ndarray
    exog: np.ndarray
    columns: Any
    engine: Any
    weights: np.ndarray
    objective: Any
    lasso: Any
    l1: float = 1.0
    settings: Settings = field(default_factory=Settings)
    errors: Any = None

    def without_columns(self):
        """The fit without penalized columns, a PenalizedFit with an infinite lambda."""
        n, none = len(self.endog), np.zeros(0, dtype=int)
        b = np.linalg.lstsq(self.exog, self.endog, rcond=None)[0]
        rest = self.endog - self.exog @ b
        if self.errors is None:
            start = moment_start(self.engine.gather(Rows(rest, np.zeros((n, 0)))))
        else:
            rows = Rows(self.endog, self.exog)
            plain = Correlated(self.engine, rows, self.errors, False)
            start = search_correlated(plain, self.settings)[0].point
        criterion = self._criterion(none, np.inf, (b, float(np.mean(rest**2))))
        deviance, optimum = minimize(criterion, start, self.settings)
        return self._fit(np.inf, none, deviance, optimum, 1)

    def _criterion(self, working, amount, start, largest=np.inf):
        """The criterion of a working set."""
        r = self.exog.shape[1]
        exog = np.column_stack([self.exog, self.columns.take(working)])
        weights = np.append(np.zeros(r), self.weights[working])
        penalty = Penalty(amount if len(working) else 0.0, weights, self.l1)
        rows = Rows(self.endog, exog)
        same = self.objective, penalty, self.lasso, start, largest
        if self.errors is None:
            return Penalized(self.engine.gather(rows), *same)
        products = self.engine.gather(rows, self.errors.at(self.errors.start()))
        parts = {"engine": self.engine, "rows": rows, "model": self.errors}
        return CorrelatedPenalized(products, *same, **parts)

    def at(self, amount, near, largest=np.inf, previous=None):
        """
        The fit at one penalty.

        Parameters
        ----------
        amount : float
            lambda.
        near : PenalizedFit
            A fit at a similar penalty.
        largest : float, optional
            Number of columns above which to give up.
        previous : float, optional
            The lambda of `near`, for the strong rule.

        Returns
        -------
        PenalizedFit or None
            None if more columns than `largest` were chosen, or there is no minimum.
        """
        r, limits = self.exog.shape[1], self.l1 * self.weights
        working = near.chosen
        if previous is not None:
            # after a long step the rule would admit every column
            strong = limits * max(2.0 * amount - previous, 0.5 * amount)
            strong = np.abs(near.pulls) >= strong
            working = np.union1d(working, np.flatnonzero(strong))
        start, point = near.expanded(working, r), near.deviance.point
        for rounds in range(1, MAX_ROUNDS + 1):
            criterion = self._criterion(working, amount, start, largest)
            try:
                deviance, optimum = self._search(criterion, point)
            except np.linalg.LinAlgError:
                return None
            fit = self._fit(amount, working, deviance, optimum, rounds)
            if len(fit.chosen) > largest:
                return None
            outside = np.abs(fit.pulls) > limits * amount * (1.0 + VIOLATED)
            outside[working] = False
            if not outside.any():
                return fit
            working = np.union1d(working, np.flatnonzero(outside))
            start, point = fit.expanded(working, r), deviance.point
        return replace(fit, is_proved=False)

    def _search(self, criterion, point):
        """The lowest point near the given one, off the boundary if need be."""
        deviance, optimum = minimize(criterion, point, self.settings)
        if optimum.certified:
            return deviance, optimum
        lifted = [f.lifted(LIFTED) for f in deviance.factors]
        lifted += deviance.point[len(lifted) :]
        other, further = minimize(criterion, lifted, self.settings)
        if further.certified or other.value < deviance.value:
            return other, further
        return deviance, optimum

    def _fit(self, amount, working, deviance, optimum, rounds):
        """A PenalizedFit, with the pull on every column."""
        r = self.exog.shape[1]
        v = weighted_residuals(deviance)
        v = v / (self.objective.loosened(float(deviance.scale)) * deviance.tightness)
        pulls = self.columns.transposed_times(v)
        b = deviance.coefficients
        among = b[r:] != 0.0
        fit = PenalizedFit(
            amount=amount,
            chosen=working[among],
            coefficients=b[r:][among],
            unpenalized=b[:r],
            deviance=deviance,
            optimum=optimum,
            pulls=pulls,
            violation=0.0,
            rounds=rounds,
        )
        return replace(fit, violation=self._violation(fit, v))

    def _violation(self, fit, v):
        """Largest departure from the optimality conditions, relative to the penalty."""
        if not np.isfinite(fit.amount):
            return 0.0
        own = np.abs(self.exog.T @ v).max(initial=0.0)
        limits = self.l1 * self.weights * fit.amount
        chosen = fit.chosen
        ridge = fit.amount * (1.0 - self.l1) * self.weights[chosen] * fit.coefficients
        if self.objective.name == "scaled":
            ridge = ridge * fit.deviance.tightness / np.sqrt(fit.scale)
        pull = np.sign(fit.coefficients) * (fit.pulls[chosen] - ridge)
        on = np.abs(pull - limits[chosen]).max(initial=0.0)
        outside = np.abs(fit.pulls) - limits
        outside[chosen] = -np.inf
        off = outside.max(initial=0.0)
        return float(max(own, on, off, 0.0) / fit.amount)

    def sizes(self, fit, some):
        """
        The size of pulls at random, sqrt(x'P x), adjusted for unpenalized columns.

        Parameters
        ----------
        fit : PenalizedFit
            The fit whose V is meant.
        some : ndarray
            Positions of the columns, shape (m,).

        Returns
        -------
        ndarray
            Shape (m,).
        """
        r = self.exog.shape[1]
        rows = Rows(self.endog, np.column_stack([self.exog, self.columns.take(some)]))
        products = self.engine.gather(rows, fit.whitening)
        gram = products.eliminate([f.matrix for f in fit.deviance.factors]).gram
        across = solve_lower(cholesky(gram[:r, :r]), gram[:r, r:-1])
        squares = np.diagonal(gram)[r:-1] - (across**2).sum(axis=0)
        return np.sqrt(np.maximum(squares, 0.0)) / fit.deviance.tightness

    def largest_amount(self, null):
        """The smallest lambda at which no column is chosen."""
        usable = np.isfinite(self.weights) & (self.weights > 0.0)
        ratio = np.abs(null.pulls[usable]) / self.weights[usable]
        return float(ratio.max(initial=0.0) / self.l1)

    def path(self, amounts, largest=np.inf, null=None):
        """
        Fits at descending penalties, each started from the one before.

        Parameters
        ----------
        amounts : sequence of float
            Values of lambda, descending.
        largest : float, optional
            Number of chosen columns at which the path ends.
        null : PenalizedFit, optional
            The fit without penalized columns.

        Yields
        ------
        PenalizedFit
            One for each penalty reached; each holds a copy of its working set.
        """
        near = self.without_columns() if null is None else null
        previous = self.largest_amount(near)
        for amount in amounts:
            fit = self.at(amount, near, largest, previous)
            if fit is None:
                return
            yield fit
            near, previous = fit, amount

    def back(self, amounts, near, largest=np.inf):
        """
        Fits at ascending penalties, which may be lower than those on the way down.

        With the covariances, either objective has several minima: without columns, the
        random effects account for what columns could, and hold these out.

        Parameters
        ----------
        amounts : iterable of float
            Values of lambda, ascending.
        near : PenalizedFit
            The fit at a smaller penalty.
        largest : float, optional
            Number of chosen columns above which to end.

        Yields
        ------
        PenalizedFit
            One for each penalty reached.
        """
        for amount in amounts:
            fit = self.at(amount, near, largest)
            if fit is None:
                return
            yield fit
            near = fit


@dataclass(frozen=True)
class PenalizedFit:
    """
    The minimum at one penalty.

    Parameters
    ----------
    amount : float
        lambda.
    chosen : ndarray
        Penalized columns with coefficients that are not zero, ascending, shape (m,).
    coefficients : ndarray
        Their coefficients, shape (m,).
    unpenalized : ndarray
        Coefficients of the columns that are not penalized, shape (r,).
    deviance : PenalizedDeviance
        The criterion.
    optimum : Optimum
        How the search for the covariances went.
    pulls : ndarray
        The pull on the coefficient of every column, shape (p,).
    violation : float
        Largest departure from the conditions for a minimum in the coefficients,
        relative to lambda.
    rounds : int
        Number of working sets.
    is_proved : bool
        Whether every column was found to be held.
    """

    amount: float
    chosen: np.ndarray
    coefficients: np.ndarray
    unpenalized: np.ndarray
    deviance: Any
    optimum: Any
    pulls: np.ndarray
    violation: float
    rounds: int
    is_proved: bool = True

    @property
    def value(self):
        """Twice the objective."""
        return float(self.deviance.value)

    @property
    def scale(self):
        """s^2."""
        return float(self.deviance.scale)

    def expanded(self, working, r):
        """Coefficients of another working set, and s^2, to start from."""
        b = np.zeros(r + len(working))
        b[:r] = self.unpenalized
        b[r + np.searchsorted(working, self.chosen)] = self.coefficients
        return b, self.scale

    @property
    def whitening(self):
        """The covariance of the errors; None if they are independent."""
        return getattr(self.deviance, "whitening", None)


def weighted_residuals(deviance):
    """V^-1 (y - A b), shape (n,)."""
    products = deviance.elimination.products
    rows = products.rows.columns() @ deviance.contrast
    for term, modes in zip(products.plan.terms, deviance.modes):
        rows = rows - term.times(modes)
    whitening = getattr(deviance, "whitening", None)
    return rows if whitening is None else whitening.apply_transposed(rows)
