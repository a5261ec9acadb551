"""Fits at descending penalties, and what is chosen at each."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import gammaln

from statsmodels_lmm.display import Brief, captioned
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.regularized.estimates import Estimate

CRITERIA = ("ebic", "bic", "aic")

LOWER = 1e-8
"""Difference of objectives at which one minimum counts as below another."""

BEYOND = 100
"""Largest number of penalties above the first."""


@dataclass(frozen=True)
class PathPoint:
    """
    The fit at one penalty.

    Parameters
    ----------
    alpha : float
        The penalty, lambda / n.
    estimate : Estimate
        The estimates, in the units of the data.
    objective : float
        The objective, half of -2 times the log-likelihood plus the penalty.
    violation : float
        Largest departure from the conditions for a minimum in the coefficients,
        relative to the penalty.
    certified : bool
        Whether these conditions were checked for all columns, and the covariances are
        proved to be a local optimum.
    """

    alpha: float
    estimate: Estimate
    objective: float
    violation: float
    certified: bool


class RegularizedPath(Brief):
    """
    The path of a penalized model.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    points : sequence of PathPoint
        The fits, from the largest penalty to the smallest.
    notes : sequence of str
        What to know about the path.

    Attributes
    ----------
    alphas : ndarray
        Penalties lambda / n, descending.
    alpha_max : float
        The smallest penalty at which the fit without columns is a minimum. A lower one
        may exist there and above it.
    names : Index
        Names of the penalized columns.
    """

    def __init__(self, penalized, points, notes=()):
        self._penalized, self.points = penalized, tuple(points)
        self.notes = list(notes)
        self.alphas = np.array([p.alpha for p in points])
        self.alpha_max = penalized.alpha_max
        self.names = penalized.columns.names

    def _brief(self):
        n, p = self._penalized.problem.columns.shape
        last = int(self.n_nonzero.iloc[-1])
        return [
            f"{len(self.points)} penalties from {self.alphas[0]:.3g} to "
            f"{self.alphas[-1]:.3g}",
            f"{n:,} rows, {self._penalized.n_penalized:,} of {p:,} columns penalized, "
            f"up to {last} chosen",
            *self.notes[:2],
        ]

    def _repr_html_(self):
        return captioned(self._brief(), self.criteria.to_html(max_rows=60))

    def _series(self, values, name):
        index = pd.Index(self.alphas, name="alpha")
        return pd.Series(list(values), index, name=name)

    @property
    def model(self) -> Any:
        """The model."""
        return self._penalized.model

    @property
    def n_nonzero(self) -> pd.Series:
        """Number of chosen columns at each penalty."""
        return self._series((len(p.estimate.chosen) for p in self.points), "n_nonzero")

    @property
    def scale(self) -> pd.Series:
        """Residual variance at each penalty; too large, as the coefficients shrink."""
        return self._series((p.estimate.scale for p in self.points), "scale")

    @property
    def theta(self) -> pd.DataFrame:
        """Relative covariance parameters, a row for each penalty."""
        labels = [name for e in self.model.random for name in e.theta_labels]
        rows = [p.estimate.theta for p in self.points]
        return pd.DataFrame(rows, pd.Index(self.alphas, name="alpha"), labels)

    @property
    def residual_params(self) -> pd.DataFrame:
        """Parameters of the errors' covariance, a row for each penalty."""
        errors = self.model.residual
        labels = [] if errors is None else errors.parameter_names
        rows = [p.estimate.errors for p in self.points]
        return pd.DataFrame(rows, pd.Index(self.alphas, name="alpha"), labels)

    @property
    def fixed(self) -> pd.DataFrame:
        """Coefficients of the columns that are not penalized."""
        rows, names = [p.estimate.fixed for p in self.points], self._penalized.base
        return pd.DataFrame(rows, pd.Index(self.alphas, name="alpha"), names.exog_names)

    @property
    def coefs_sparse(self) -> sparse.csr_array:
        """Coefficients of all penalized columns, a row for each penalty."""
        each = [p.estimate for p in self.points]
        ends = np.cumsum([0, *(len(e.chosen) for e in each)])
        parts = (
            np.concatenate([e.coefficients for e in each]),
            np.concatenate([e.chosen for e in each]),
            ends,
        )
        return sparse.csr_array(parts, shape=(len(each), len(self.names)))

    @property
    def coefs(self) -> pd.DataFrame:
        """Coefficients of the columns that are chosen at some penalty."""
        whole = self.coefs_sparse
        ever = np.unique(whole.indices)
        values = whole[:, ever].toarray()
        return pd.DataFrame(
            values, pd.Index(self.alphas, name="alpha"), self.names[ever]
        )

    @cached_property
    def _refits(self):
        """Estimates and log-likelihoods of the ML fits of the chosen columns."""
        known: dict = {}
        for p in self.points:
            key = p.estimate.chosen.tobytes()
            if key not in known:
                known[key] = self._penalized.refitted(p.estimate.chosen)
        return [known[p.estimate.chosen.tobytes()] for p in self.points]

    @cached_property
    def criteria(self) -> pd.DataFrame:
        r"""
        What is chosen at each penalty, and how well its refit does.

        Returns
        -------
        DataFrame
            By alpha: n_nonzero; scale and objective of the penalized fit; violation of
            the conditions for its minimum, and whether it is certified; and of the ML
            fit of the m chosen columns, with k covariance parameters and r columns not
            penalized, the log-likelihood llf and

            .. math:: aic = -2 llf + 2 (m + r + k), \quad
               bic = -2 llf + \log(n) (m + r + k), \quad
               ebic = bic + 2 \log \binom{p}{m}.

        References
        ----------
        Chen, J. and Chen, Z. (2008). Extended Bayesian information criteria for model
        selection with large model spaces. Biometrika 95, 759-771.
        """
        llf = np.array([llf for _, llf in self._refits])
        m, p = self.n_nonzero.to_numpy(float), self._penalized.n_penalized
        first = self.points[0].estimate
        k = m + np.isfinite(first.fixed).sum() + len(first.theta)
        k += len(first.errors) + 1
        bic = -2.0 * llf + np.log(self.model.nobs) * k
        choices = gammaln(p + 1.0) - gammaln(m + 1.0) - gammaln(p - m + 1.0)
        columns = {
            "n_nonzero": m.astype(int),
            "scale": self.scale.to_numpy(),
            "objective": [p.objective for p in self.points],
            "violation": [p.violation for p in self.points],
            "certified": [p.certified for p in self.points],
            "llf": llf,
            "aic": -2.0 * llf + 2.0 * k,
            "bic": bic,
            "ebic": bic + 2.0 * choices,
        }
        return pd.DataFrame(columns, index=pd.Index(self.alphas, name="alpha"))

    def best_alpha(self, criterion: str = "ebic") -> float:
        """
        The penalty whose chosen columns have the lowest criterion.

        Parameters
        ----------
        criterion : {"ebic", "bic", "aic"}, optional
            A column of `criteria`. With many columns the last two choose too many.

        Returns
        -------
        float
        """
        return float(self.alphas[self._place(criterion)])

    def _place(self, criterion):
        check_choice("criterion", criterion, CRITERIA)
        values = self.criteria[criterion].to_numpy()
        if not np.isfinite(values).any():
            raise DataError(
                "no point of the path leaves a residual for a fit of its columns; "
                "use larger penalties"
            )
        return int(np.nanargmin(values))

    def best(self, criterion: str = "ebic", refit: bool = True, **fit_kwds: Any) -> Any:
        """
        The results at the penalty with the lowest criterion.

        Parameters
        ----------
        criterion : {"ebic", "bic", "aic"}, optional
            A column of `criteria`.
        refit : bool, optional
            Whether to fit the chosen columns without a penalty.
        **fit_kwds
            Arguments of `CrossedMixedLM.fit` for this fit.

        Returns
        -------
        CrossedMixedLMResults or RegularizedResults
        """
        from statsmodels_lmm.regularized.selected import results_at

        place = self._place(criterion)
        return results_at(self, place, criterion, refit, fit_kwds)

    def plot(self, ax: Any = None) -> Any:
        """
        Draw the coefficients against the penalty.

        Parameters
        ----------
        ax : Axes, optional
            Axes to draw on. Default is a new figure.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.regularized import plot_path

        return plot_path(self, ax)

    def plot_criteria(self, criterion: str = "ebic", ax: Any = None) -> Any:
        """
        Draw a criterion and the number of chosen columns against the penalty.

        Parameters
        ----------
        criterion : {"ebic", "bic", "aic"}, optional
            A column of `criteria`.
        ax : Axes, optional
            Axes to draw on. Default is a new figure.

        Returns
        -------
        Figure
        """
        from statsmodels_lmm.graphics.regularized import plot_criteria

        return plot_criteria(self, criterion, ax)


def grid(penalized, n_alphas, eps):
    """
    Penalties from the first column to many, in equal ratios.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    n_alphas : int
        Number of penalties.
    eps : float or None
        The last over the first. Default is 0.1 if there are as many columns as rows,
        and otherwise 0.01.

    Returns
    -------
    ndarray
    """
    if eps is None:
        n, _ = penalized.problem.columns.shape
        eps = 0.1 if penalized.n_penalized >= n else 0.01
    if not 0.0 < eps < 1.0:
        raise ValueError(f"eps must be between 0 and 1, not {eps!r}")
    if not isinstance(n_alphas, int | np.integer) or n_alphas < 1:
        raise ValueError(f"n_alphas must be a positive number, not {n_alphas!r}")
    return penalized.alpha_max * np.geomspace(1.0, eps, n_alphas)


def fit_path(penalized, alphas, is_open=False):
    """
    Fit at descending penalties, and on the way back if the path is retraced.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    alphas : ndarray
        Penalties, shape (m,), in any order.
    is_open : bool, optional
        Whether a way back leads beyond the first penalty, for as long as there is a
        lower minimum than that without columns.

    Returns
    -------
    RegularizedPath
        With as many of the penalties as can be reached.

    Raises
    ------
    DataError
        If there is no penalty to be reached.
    """
    problem = penalized.problem
    alphas = np.unique(np.asarray(alphas, dtype=float))[::-1]
    if not len(alphas) or not (alphas > 0.0).all() or not np.isfinite(alphas).all():
        raise ValueError("alphas must be positive numbers")
    largest = penalized.options.largest(problem.columns.shape[0])

    # fits hold copies of their columns, so that none but the last is kept
    points, values = {}, {}
    amounts = [penalized.amount(alpha) for alpha in alphas]
    for alpha, fit in zip(alphas, problem.path(amounts, largest, penalized.null)):
        points[alpha] = _point(penalized, alpha, fit, largest)
        values[alpha] = fit.value
    if not points:
        raise DataError(
            f"at alpha={alphas[0]:.3g} more than {largest} columns would be chosen, or "
            f"nothing be left of the residual variance; alpha_max is "
            f"{penalized.alpha_max:.3g}"
        )
    end = None if len(points) == len(alphas) else alphas[len(points) - 1]
    lower: dict = {}
    if penalized.options.is_retraced:
        lower = _lower_on_the_way_back(penalized, values, fit, largest, is_open)
    points |= lower
    notes = _notes(penalized, end, largest, len(lower))
    every = [points[alpha] for alpha in sorted(points, reverse=True)]
    return RegularizedPath(penalized, every, notes)


def _point(penalized, alpha, fit, largest):
    """The point of a path for a fit."""
    rounds = penalized.options.adaptive
    fit = reweighted(penalized.problem, fit, rounds, largest)
    return PathPoint(
        alpha=float(alpha),
        estimate=penalized.estimate(fit),
        objective=penalized.objective(fit),
        violation=fit.violation,
        certified=bool(fit.is_proved and fit.optimum.certified),
    )


def _lower_on_the_way_back(penalized, values, fit, largest, is_open):
    """
    Points with lower minima than those on the way down.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    values : dict of float
        Twice the objective by penalty, descending.
    fit : PenalizedFit
        The fit at the last penalty.
    largest : int
        Number of columns above which to give up.
    is_open : bool
        See `fit_path`.

    Returns
    -------
    dict of PathPoint
        By penalty; those above the first penalty follow each other.
    """
    up, found = list(values)[-2::-1], {}
    if is_open and len(values) > 1:
        first, second, *_ = values
        up += list(first * (first / second) ** np.arange(1, BEYOND + 1))
    amounts = [penalized.amount(alpha) for alpha in up]
    way = penalized.problem.back(amounts, fit, largest)
    for alpha, other in zip(up, way):
        if other.value < values.get(alpha, penalized.null.value) - LOWER:
            found[alpha] = _point(penalized, alpha, other, largest)
        elif alpha not in values:
            break
    return found


def _notes(penalized, end, largest, n_lower):
    """What is to be known of a path, which may end at a penalty."""
    notes = []
    if end is not None:
        notes.append(
            f"The path ends at alpha={end:.3g}: below it more than {largest} columns "
            "would be chosen, or nothing be left of the residual variance."
        )
    if n_lower:
        notes.append(
            f"The objective has several minima; at {n_lower} penalties the lower one "
            "was found on the way back."
        )
    constant = np.flatnonzero(penalized.problem.columns.sizes == 0.0)
    if len(constant):
        names = listed(penalized.columns.names[constant])
        notes.append(f"Constant columns are never chosen: {names}.")
    again = penalized.problem.columns.equal_columns
    if again:
        names = penalized.columns.names
        pairs = [f"{names[j]} = {names[i]}" for i, j in again]
        notes.append(
            f"{len(pairs)} left out as equal, up to units, to one before "
            f"them: {listed(pairs)}."
        )
    return notes


def reweighted(problem, fit, rounds, largest=np.inf):
    """
    Penalize large coefficients less, which shrinks them less.

    A weight w_j is divided by ``1 + |b_j| h_j / (lambda s)``, with h_j = x_j'V^-1 x_j:
    at the coefficient that a penalty lambda would just remove if x_j were alone, by 2.
    That is the penalty lambda log(1 + .) to first order.

    Parameters
    ----------
    problem : PenalizedProblem
        The model.
    fit : PenalizedFit
        The fit with the weights of the problem.
    rounds : int
        Number of rounds.
    largest : float, optional
        Number of columns above which to give up.

    Returns
    -------
    PenalizedFit

    References
    ----------
    Candes, E. J., Wakin, M. B. and Boyd, S. P. (2008). Enhancing sparsity by reweighted
    l1 minimization. Journal of Fourier Analysis and Applications 14, 877-905.
    """
    r = problem.exog.shape[1]
    for _ in range(rounds):
        among = r + np.flatnonzero(fit.deviance.coefficients[r:])
        squares = np.diagonal(fit.deviance.elimination.gram)[among]
        pulled = fit.amount * problem.objective.loosened(fit.scale)
        pulled *= fit.deviance.tightness
        weights = problem.weights.copy()
        weights[fit.chosen] /= 1.0 + np.abs(fit.coefficients) * squares / pulled
        found = replace(problem, weights=weights).at(fit.amount, fit, largest)
        if found is None:
            return fit
        fit = found
    return fit
