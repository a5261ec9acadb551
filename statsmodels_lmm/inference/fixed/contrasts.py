"""Tests of contrasts, even if redundant columns were dropped."""

from copy import copy
from html import escape
from typing import Any

import numpy as np
from patsy import DesignInfo, PatsyError
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from statsmodels_lmm.exceptions import DataWarning, FormulaError, RankWarning, warn
from statsmodels_lmm.formula.plain_names import unquoted
from statsmodels_lmm.inference.fixed.degrees_of_freedom import inference
from statsmodels_lmm.inputs.row_values import listed


class FixedContrasts(ContrastResults):
    """statsmodels' ``ContrastResults``, shown without the name of its class."""

    def summary(
        self, xname: Any = None, alpha: float = 0.05, title: str | None = None
    ) -> Any:
        """
        Summarize the tests.

        Parameters
        ----------
        xname : list of str, optional
            Names of the contrasts. Default is c0, c1 and so on.
        alpha : float, optional
            One minus the level of the intervals.
        title : str, optional
            Title of the table.

        Returns
        -------
        SimpleTable or str
            A table of t or z tests; one line for an F or chi-squared test.
        """
        if self.effect is not None:
            return super().summary(xname, alpha, title)
        number, p = np.squeeze(self.statistic), float(self.pvalue)
        if self.distribution == "F":
            df = f"df_num={self.df_num:.4g}, df_denom={self.df_denom:.5g}"
            return f"<F test: F={number:.5g}, p={p:.4g}, {df}>"
        return f"<Wald test: chi2={number:.5g}, p={p:.4g}, df={self.df_denom:.4g}>"

    def __repr__(self):
        return str(self)

    def _repr_html_(self):
        if self.effect is None:
            return f"<pre>{escape(repr(self))}</pre>"
        return self.summary().as_html()


def estimable(results):
    """
    Copy the results with zeros for the dropped columns.

    The copy has the residual degrees of freedom, as statsmodels allows for only one
    number.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    CrossedMixedLMResults
    """
    other = copy(results)
    other.params = np.nan_to_num(results.params)
    other.normalized_cov_params = np.nan_to_num(results.normalized_cov_params)
    other.cov_params_default = np.nan_to_num(results.cov_params_default)
    other.dropped, other._cache = [], {}
    other.df_resid_inference = results._residual_df
    return other


def linear_constraints(results, r_matrix):
    """
    Coefficients and values of constraints, and which of them can be estimated.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The constraints.

    Returns
    -------
    coefficients : ndarray
        Shape (number of constraints, p).
    values : ndarray
        Right-hand sides, shape (number of constraints,).
    possible : ndarray
        Whether the data determine each constraint. A single coefficient is that of the
        model without the dropped columns, as in the table of coefficients; a
        combination of several must be the same whichever of the redundant columns are
        dropped.

    Warns
    -----
    RankWarning
        If the data do not determine a combination of the columns kept.
    DataWarning
        If a combination of several coefficients is infinite.
    """
    names = results.model.data.cov_names
    given = hypotheses(r_matrix, names)
    rows, lost = given.coefs, np.isnan(results.params)
    single = (rows != 0.0).sum(axis=1) <= 1
    kept = (rows[:, lost] == 0.0).all(axis=1)
    possible = (single & kept) | results._estimability.determined(rows)
    unknown = int((~possible & kept).sum())
    if unknown:
        warn(
            f"{unknown} of {len(rows)} contrasts cannot be tested: the data do not "
            "determine them, because they depend on which redundant columns are "
            f"dropped, here {', '.join(map(str, results.dropped))}",
            RankWarning,
        )
    rows = np.where(possible[:, None] & lost, 0.0, rows)
    infinite = results.inference.involves_infinity(rows)
    count = int((infinite & ~single).sum())
    if count and results.unbounded.sentences:
        warn(
            f"{count} of {len(rows)} contrasts cannot be tested because they are "
            f"infinite: {'; '.join(results.unbounded.sentences)}",
            DataWarning,
        )
    possible &= ~infinite
    return rows, given.constants[:, 0], possible


def hypotheses(r_matrix, names, advice=None):
    """
    Coefficients and values of constraints, however they are written.

    Parameters
    ----------
    r_matrix : array_like, str, list, dict or tuple
        The constraints.
    names : list of str
        Names of the coefficients.
    advice : str, optional
        What to write instead of a text that is no equation.

    Returns
    -------
    patsy.LinearConstraint

    Raises
    ------
    FormulaError
        If a text is not a linear equation of coefficients.
    ValueError
        If a matrix has the wrong shape.
    """
    r_matrix = _spelled(r_matrix, names)
    _check_columns(r_matrix, names)
    try:
        return DesignInfo(names).linear_constraint(r_matrix)
    except (PatsyError, IndexError, SyntaxError) as error:
        place = getattr(error, "origin", None)
        text = r_matrix if place is None else place.code
        raise FormulaError(
            f"{text} is not a linear equation of the fixed effects "
            f"{listed(names)}; {advice or _advice(names)}",
            *(() if place is None else (place.code, (place.start, place.end))),
        ) from None


def _advice(names):
    return (
        f"write for instance `result.t_test({f'{names[-1]} = 0'!r})`; the terms are "
        "tested by `result.wald_test_terms()`"
    )


def _spelled(constraints, names):
    """Constraints with the names of columns as in the table of coefficients."""
    if isinstance(constraints, str):
        return unquoted(constraints, names)
    if isinstance(constraints, dict):
        return {
            unquoted(k, names) if isinstance(k, str) else k: value
            for k, value in constraints.items()
        }
    if isinstance(constraints, list):
        return [_spelled(c, names) if isinstance(c, str) else c for c in constraints]
    return constraints


def _check_columns(constraints, names):
    """Reject a matrix without one column for each fixed effect."""
    matrix = constraints[0] if isinstance(constraints, tuple) else constraints
    is_list = hasattr(matrix, "__len__")
    if isinstance(matrix, str | dict) or not (is_list or np.isscalar(matrix)):
        return
    if is_list and any(isinstance(row, str) for row in matrix):
        return
    columns = np.shape(matrix)[-1] if is_list else 1
    if columns != len(names):
        raise ValueError(
            f"the matrix has the wrong shape: one column is needed for each of the "
            f"{len(names)} fixed effects, {listed(names)}; it has {columns}"
        )


def wald_test(
    results,
    r_matrix,
    cov_p=None,
    invcov=None,
    use_f=None,
    df_constraints=None,
    scalar=True,
):
    """
    Wald test of the constraints that the data determine, leaving out the others.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The constraints.
    cov_p, invcov, use_f, df_constraints, scalar : optional
        As in statsmodels. With a covariance matrix the test is that of statsmodels.

    Returns
    -------
    ContrastResults
        An F test with the degrees of freedom of `results` if these are finite or
        ``use_f`` is True; otherwise a chi-squared test.

    Raises
    ------
    DataError
        If linearly dependent constraints contradict each other.
    """
    coefficients, values, possible = linear_constraints(results, r_matrix)
    coefficients, values = coefficients[possible], values[possible]
    given = not (cov_p is None and invcov is None)
    if given and len(coefficients):
        left = coefficients, values
        return LikelihoodModelResults.wald_test(
            estimable(results), left, cov_p, invcov, use_f, df_constraints, scalar
        )
    fixed = inference(results, results.df_method)
    test = fixed.f_test(coefficients, values)
    if results.use_t if use_f is None else use_f:
        statistic, df = test.statistic, test.df_denom
        if np.isinf(df):
            df = results._residual_df
    else:
        statistic, df = test.unscaled * test.df_num if test.df_num else np.nan, None
    if not scalar:
        statistic = np.array([[statistic]])
    if df is None:
        return FixedContrasts(
            chi2=statistic,
            df_denom=test.df_num,
            statistic=statistic,
            distribution="chi2",
        )
    return FixedContrasts(F=statistic, df_num=test.df_num, df_denom=df)


def t_test(results, r_matrix, cov_p=None, use_t=None):
    """
    Test single contrasts, with NaN for those that the data do not determine.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    r_matrix : array_like, str or tuple
        The contrasts.
    cov_p, use_t : optional
        As in statsmodels. With a covariance matrix the test is that of statsmodels.

    Returns
    -------
    ContrastResults
        Tests with the degrees of freedom of `results` for each contrast.
    """
    coefficients, values, possible = linear_constraints(results, r_matrix)
    left = coefficients, values
    tested = LikelihoodModelResults.t_test(estimable(results), left, cov_p, use_t)
    if cov_p is None:
        fixed = inference(results, results.df_method)
        errors = np.sqrt(fixed.variances(coefficients)).reshape(np.shape(tested.sd))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = (tested.effect - values).reshape(np.shape(tested.tvalue)) / errors
        if tested.distribution == "t":
            df = np.array([fixed.df(c) for c in coefficients])
            df = np.where(np.isinf(df), results._residual_df, df)
            df = df.reshape(np.shape(tested.tvalue))
            tested = FixedContrasts(
                effect=tested.effect, t=ratios, sd=errors, df_denom=df
            )
        else:
            tested = FixedContrasts(
                effect=tested.effect, statistic=ratios, sd=errors, distribution="norm"
            )
    for name in ("effect", "sd", "tvalue", "statistic", "pvalue"):
        numbers = np.array(getattr(tested, name), dtype=float)
        shape = numbers.shape
        numbers = np.atleast_1d(numbers)
        numbers[~possible] = np.nan
        setattr(tested, name, numbers.reshape(shape))
    return tested
