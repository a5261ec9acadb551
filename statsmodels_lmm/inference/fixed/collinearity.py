"""Variance inflation factors of the fixed effects."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.fixed.terms import fixed_terms
from statsmodels_lmm.inference.requirements import as_fit


def vif(results: Any) -> pd.DataFrame:
    r"""
    Compute generalized variance inflation factors of the terms of the fixed effects.

    For a term with the coefficients :math:`\beta_1`, and the others :math:`\beta_2`
    but for the constant,

    .. math:: \mathrm{GVIF} = \frac{\det R_{11} \det R_{22}}{\det R},

    where R is the correlation matrix of the estimates. For a term of one coefficient
    it is the factor by which its variance exceeds that without collinearity.

    Parameters
    ----------
    results : MixedResults
        A fit.

    Returns
    -------
    DataFrame
        One row per term, with columns gvif; df, the number of coefficients; and
        gvif_scaled, :math:`\mathrm{GVIF}^{1 / (2\,\mathrm{df})}`, which is comparable
        among terms. Redundant columns are left out, and a term of such columns alone
        is NaN.

    Raises
    ------
    DataError
        If there are fewer than two terms besides the constant.

    Notes
    -----
    R is that of the covariance matrix of the fit: in a generalized model from the exact
    Hessian of the likelihood, or with ``fit(cov_type="rx")`` from the weights alone.
    The ``vif`` of R's car takes the matrix of lme4, whose Hessian is one of differences
    and with default settings may change the factors by a thousandth.

    References
    ----------
    Fox, J. and Monette, G. (1992). Generalized collinearity diagnostics. Journal of
    the American Statistical Association 87, 178-183.
    """
    results = as_fit(results)
    determined = np.isfinite(np.asarray(results.params))
    terms = [term for term in fixed_terms(results) if not term.is_constant]
    if len(terms) < 2:
        raise DataError(
            "variance inflation needs at least two terms besides the constant"
        )
    columns = [[c for c in term.columns if determined[c]] for term in terms]
    every = [c for own in columns for c in own]
    covariance = np.asarray(results.cov_params())
    factors = {}
    for term, own in zip(terms, columns):
        rest = [c for c in every if c not in own]
        logs = [_log_determinant(covariance, part) for part in (own, rest, every)]
        value = np.exp(logs[0] + logs[1] - logs[2]) if own else np.nan
        power = 0.5 / len(own) if own else np.nan
        factors[term.name] = value, len(own), value**power
    table = pd.DataFrame.from_dict(
        factors, orient="index", columns=["gvif", "df", "gvif_scaled"]
    )
    return table.rename_axis("term")


def _log_determinant(covariance, columns):
    """Logarithm of the determinant of the correlation matrix of some columns."""
    part = covariance[np.ix_(columns, columns)]
    errors = np.sqrt(np.diag(part))
    return np.linalg.slogdet(part / np.outer(errors, errors))[1]
