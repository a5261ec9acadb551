"""Shares of the variance as functions of the parameters, see `explained_variance`."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.inference.derived.functions import Function
from statsmodels_lmm.inference.derived.parameter_expressions import SHARE
from statsmodels_lmm.inference.requirements import (
    require_independent_errors,
    require_sums,
)
from statsmodels_lmm.inference.variances.distribution_variance import of_observations
from statsmodels_lmm.inference.variances.row_moments import (
    column_covariance,
    effect_moments,
)


@dataclass(frozen=True)
class RowVariances:
    """
    Mean variances of the rows as functions of the parameters.

    Parameters
    ----------
    inner : list of ndarray
        M of each factor, with mean variance tr(M Sigma), shapes (k, k).
    centered : ndarray
        Q with b'Q b the variance of X b over the rows, shape (p, p).
    residual : float
        Multiple of the residual variance, or of that of the distribution.
    name : str
        Which of the two.
    of_rows : list of bool
        Which factors are random intercepts of each row, and part of the residual.
    """

    inner: list
    centered: np.ndarray
    residual: float
    name: str
    of_rows: list

    def fixed(self, parameters):
        """The variance of the fixed part."""
        return parameters.quadratic(self.centered)

    def factor(self, i, parameters):
        """The mean variance of a factor."""
        inner = self.inner[i]
        pairs = zip(*np.tril_indices(len(inner)))
        return sum(
            (1.0 if a == b else 2.0) * inner[a, b] * parameters.entry(i, a, b)
            for a, b in pairs
        )

    def random(self, parameters):
        """The sum over the factors, without those of the residual."""
        return sum(self.factor(i, parameters) for i in self.factors)

    def rest(self, parameters):
        """The residual variance."""
        own = [i for i, is_residual in enumerate(self.of_rows) if is_residual]
        of_rows = sum(self.factor(i, parameters) for i in own)
        return self.residual * parameters.var(self.name) + of_rows

    @property
    def factors(self):
        """Positions of the factors that are not part of the residual."""
        return [i for i, is_residual in enumerate(self.of_rows) if not is_residual]


def row_variances(results):
    """
    The mean variances of the rows of a fit as functions of the parameters.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    RowVariances
    """
    model, linear = results.model, results._is_gaussian
    require_sums(model, "a share of variance")
    require_independent_errors(model, "an interval of a share of variance")
    if linear:
        data, _ = model._sufficient_statistics()
        moments, residual = effect_moments(model)
        centered, name = column_covariance(model), "Residual"
        of_rows = [False] * len(model.random)
    else:
        data, _ = model._prepared()
        repeats = model._repeats * np.ones(len(model.endog))
        share = repeats / repeats.sum()
        moments = [term.summed_variances(share) for term in data.terms]
        x = model.exog - np.average(model.exog, axis=0, weights=repeats)
        centered = (x.T * repeats) @ x / (repeats.sum() - 1.0)
        residual, name = 1.0, "Distribution"
        of_rows = [of_observations(e) for e in model.random]
    inner = []
    for moment, change in zip(moments, data.to_effects):
        # a term's own units are standardized, because the user's may cancel each other
        back = np.linalg.inv(change)
        inner.append(back.T @ moment @ back)
    return RowVariances(inner, centered, residual, name, of_rows)


def r_squared_functions(results):
    """
    The marginal and the conditional R-squared.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    list of Function
    """
    parts = row_variances(results)

    def marginal(p):
        fixed = parts.fixed(p)
        return fixed / (fixed + parts.random(p) + parts.rest(p))

    def conditional(p):
        explained = parts.fixed(p) + parts.random(p)
        return explained / (explained + parts.rest(p))

    return [
        Function("marginal", marginal, SHARE),
        Function("conditional", conditional, SHARE),
    ]


def icc_functions(results, by_group=False):
    """
    The adjusted and the unadjusted intraclass correlation.

    Parameters
    ----------
    results : MixedResults
        A fit.
    by_group : bool, optional
        Whether to return the share of each grouping factor.

    Returns
    -------
    list of Function
    """
    parts = row_variances(results)

    def share(part, is_adjusted):
        def value(p):
            total = parts.random(p) + parts.rest(p)
            return part(p) / (total if is_adjusted else total + parts.fixed(p))

        return value

    def of(i):
        return lambda p: parts.factor(i, p)

    names = [effects.name for effects in results.model.random]
    numerators = {"": parts.random}
    if by_group:
        numerators = {f"{names[i]} ": of(i) for i in parts.factors}
    return [
        Function(f"{name}{kind}", share(part, kind == "adjusted"), SHARE)
        for name, part in numerators.items()
        for kind in ("adjusted", "unadjusted")
    ]
