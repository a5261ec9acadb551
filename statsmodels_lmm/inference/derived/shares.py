"""Shares of the variance as functions of the parameters, see `explained_variance`."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.inference.derived.functions import Function
from statsmodels_lmm.inference.derived.parameter_expressions import SHARE
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.inference.variances.distribution_variance import of_observations


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
    residual : ndarray
        Multiples of the residual variance in the rows, or that of the variance of the
        distribution, shape (n,) or (1,).
    log_sd : ndarray
        Columns of the logarithms of the errors' standard deviations, shape (n, s).
    name : str
        Which of the two.
    of_rows : list of bool
        Which factors are random intercepts of each row, and part of the residual.
    """

    inner: list
    centered: np.ndarray
    residual: np.ndarray
    log_sd: np.ndarray
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
        multiple = parameters.mean_dispersion(self.log_sd, self.residual)
        return multiple * parameters.var(self.name) + of_rows

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
    require_data(model, "a share of variance")
    n = len(model.endog)
    repeats = np.ones(n) if linear else model._repeats * np.ones(n)
    weights = 1.0 if not linear or model.weights is None else np.asarray(model.weights)
    data = model._standardized() if linear else model._prepared()[0]
    share = repeats / repeats.sum() / weights
    inner = []
    for term, change in zip(data.terms, data.to_effects):
        # a term's own units are standardized, because the user's may cancel each other
        back = np.linalg.inv(change)
        inner.append(back.T @ term.summed_variances(share) @ back)
    x = model.exog - np.average(model.exog, axis=0, weights=repeats)
    centered = (x.T * repeats) @ x / (repeats.sum() - 1.0)
    of_rows = [not linear and of_observations(e) for e in model.random]
    residual, log_sd = share if linear else np.ones(1), np.zeros((n, 0))
    if linear and model.residual is not None:
        log_sd = model.residual.log_sd
    name = "Residual" if linear else "Distribution"
    return RowVariances(inner, centered, residual, log_sd, name, of_rows)


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
