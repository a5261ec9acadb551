"""Maximum likelihood on the columns that a penalized fit has chosen."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.criteria.correlated import Correlated
from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.several_starts import search


@dataclass(frozen=True)
class Refit:
    """
    The ML fit of some columns, in the units of a PenalizedProblem.

    Parameters
    ----------
    chosen : ndarray
        The penalized columns, shape (m,).
    coefficients : ndarray
        Their coefficients, zero for a column that depends on others, shape (m,).
    unpenalized : ndarray
        Coefficients of the columns that are not penalized, shape (r,).
    scale : float
        Residual variance.
    value : float
        -2 times the log-likelihood.
    deviance : ProfiledDeviance
        The criterion, of the response divided by `unit`.
    optimum : Optimum
        How the search went.
    unit : float
        Root mean square of the least-squares residuals.
    """

    chosen: np.ndarray
    coefficients: np.ndarray
    unpenalized: np.ndarray
    scale: float
    value: float
    deviance: Any
    optimum: Any
    unit: float

    @property
    def whitening(self):
        """The covariance of the errors; None if they are independent."""
        return getattr(self.deviance, "whitening", None)


def refit(problem, chosen):
    """
    Fit chosen columns without a penalty.

    Parameters
    ----------
    problem : PenalizedProblem
        The model.
    chosen : ndarray
        Penalized columns, shape (m,).

    Returns
    -------
    Refit or None
        None if the columns leave no residual.
    """
    n, r = problem.exog.shape
    columns = np.column_stack([problem.exog, problem.columns.take(chosen)])
    kept = independent_columns(columns)
    if len(kept) >= n - 1:
        return None
    q, triangle = np.linalg.qr(columns[:, kept])
    least_squares = q.T @ problem.endog
    rest = problem.endog - q @ least_squares
    rest -= q @ (q.T @ rest)
    unit = float(np.sqrt(np.mean(rest**2)))
    if not unit > 0.0:
        return None
    rows = Rows(rest / unit, q * np.sqrt(n))
    try:
        if problem.errors is None:
            plain = Profiled(problem.engine.gather(rows), False)
            deviance, optimum = search(plain, problem.settings)
        else:
            both = Correlated(problem.engine, rows, problem.errors, False)
            deviance, optimum = search_correlated(both, problem.settings)
    except np.linalg.LinAlgError:
        return None
    inner = least_squares + unit * np.sqrt(n) * deviance.coefficients
    b = np.zeros(r + len(chosen))
    b[kept] = np.linalg.solve(triangle, inner)
    return Refit(
        chosen=chosen,
        coefficients=b[r:],
        unpenalized=b[:r],
        scale=float(deviance.scale) * unit**2,
        value=float(deviance.value) + 2.0 * n * np.log(unit),
        deviance=deviance,
        optimum=optimum,
        unit=unit,
    )
