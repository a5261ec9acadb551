"""Tests of the fixed effects in many fits."""

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.core.many.moderation import prior_of, robust_prior_of
from statsmodels_lmm.inference.adjustments import adjusted, adjustment_of
from statsmodels_lmm.inference.comparison.nested_models import contains
from statsmodels_lmm.inference.fixed.contrasts import hypotheses
from statsmodels_lmm.inference.fixed.degrees_of_freedom import df_method_of
from statsmodels_lmm.inference.fixed.terms import fixed_terms
from statsmodels_lmm.inference.requirements import check_choice
from statsmodels_lmm.many.contrast_forms import contrasts_of, joint_forms

MODERATIONS = False, True, "robust"


def t_test(many, contrast, df_method=None, adjust="fdr_bh", moderated=False):
    """
    Test one contrast of the fixed effects for every response.

    Parameters
    ----------
    many : ManyResults
        The fits.
    contrast : str or array_like
        A coefficient such as ``"age:treatment"``, an equation such as ``"a - b = 1"``,
        or coefficients (p,). The degrees of freedom of a single coefficient are
        known; others need the responses again.
    df_method : {"satterthwaite", "asymptotic", "residual"}, optional
        Degrees of freedom. Default is that of the fits.
    adjust : str or None, optional
        Adjustment for many tests, a method of statsmodels' ``multipletests`` or R's
        name for one, such as "BH".
    moderated : {False, True, "robust"}, optional
        Whether to draw the residual variances towards what they have in common, as
        limma does (Smyth 2004), or robustly (Phipson et al. 2016). A standard error
        changes in proportion to sigma, and degrees of freedom are added. The residual
        variance of a mixed model counts with the degrees of freedom `scale_df`.

    Returns
    -------
    DataFrame
        Columns effect, se, df, t, p and p_adjusted, a row for each response; NaN where
        there is no fit, which does not count among the tests.
    """
    method = _method(many, df_method)
    adjustment_of(adjust)
    coefficients, constant = _single_contrast(many, contrast)
    effect, se, df = contrasts_of(many, coefficients, method)
    effect = effect - constant
    if moderated:
        factor, prior = _moderation(many, method, moderated)
        se, df = se * np.sqrt(factor), _added(many, df, prior)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = effect / se
    p = 2.0 * stats.t.sf(np.abs(t), df)
    columns = {"effect": effect + constant, "se": se, "df": df, "t": t, "p": p}
    return _adjusted_table(many, columns, adjust)


def f_test(many, contrasts, df_method=None, adjust="fdr_bh", moderated=False):
    """
    Test several contrasts jointly for every response.

    Parameters
    ----------
    many : ManyResults
        The fits.
    contrasts : str or array_like
        A term of the formula such as ``"treatment"``, equations, or coefficients
        (q, p).
    df_method, adjust, moderated : optional
        As for `t_test`. Satterthwaite's denominator degrees of freedom are those of Fai
        and Cornelius (1996).

    Returns
    -------
    DataFrame
        Columns F, df_num, df_denom, p and p_adjusted.
    """
    method = _method(many, df_method)
    adjustment_of(adjust)
    rows, constants = _joint_contrasts(many, contrasts)
    statistic, rank, df = joint_forms(many, rows, constants, method)
    if moderated:
        factor, prior = _moderation(many, method, moderated)
        statistic, df = statistic / factor, _added(many, df, prior)
    finite = np.where(np.isinf(df), 1.0, df)
    p = stats.f.sf(statistic, rank, finite)
    p = np.where(np.isinf(df), stats.chi2.sf(statistic * rank, rank), p)
    columns = {"F": statistic, "df_num": rank, "df_denom": df, "p": p}
    return _adjusted_table(many, columns, adjust)


def compare_lr_test(many, restricted, adjust="fdr_bh"):
    """
    Likelihood-ratio tests against a smaller model of the same responses.

    Parameters
    ----------
    many, restricted : ManyResults
        Fits of the larger and of the smaller model, by maximum likelihood, or by REML
        with the same fixed effects.
    adjust : str or None, optional
        As for `t_test`.

    Returns
    -------
    DataFrame
        Columns lr, df, p and p_adjusted. Where a variance is tested, the chi-squared
        distribution is conservative, because zero is the end of its range.

    Raises
    ------
    ValueError
        If the fits cannot be compared.
    """
    if not hasattr(restricted, "fits"):
        raise TypeError(
            "restricted is what `fit_many` of the smaller model returns, not "
            f"{type(restricted).__name__}"
        )
    adjustment_of(adjust)
    if not many.names.equals(restricted.names):
        raise ValueError("the fits are not of the same responses")
    if many.reml != restricted.reml:
        raise ValueError("one model was fitted by REML and the other by ML")
    large, small = many.model.exog, restricted.model.exog
    if (
        len(large) != len(small)
        or (many.fits.nobs != restricted.fits.nobs)[
            np.isfinite(many.fits.llf) & np.isfinite(restricted.fits.llf)
        ].any()
    ):
        raise ValueError("the models were fitted to different rows")
    left = small - large @ np.linalg.lstsq(large, small)[0]
    if np.abs(left).max(initial=0.0) > 1e-7 * np.abs(small).max(initial=1.0):
        raise ValueError(
            "the fixed effects of the smaller model are not in the larger, which comes "
            "first: `larger.compare_lr_test(smaller)`"
        )
    of_large = [effects.grouped for effects in many.model.random]
    for effects in restricted.model.random:
        if not any(contains(own, effects.grouped) for own in of_large):
            raise ValueError(
                f"the random effects of {effects.name} in the smaller model are not in "
                "the larger"
            )
    rank = [np.linalg.matrix_rank(x) for x in (large, small)]
    if many.reml and rank[0] != rank[1]:
        raise ValueError(
            "REML likelihoods of different fixed effects cannot be compared: fit both "
            "models with reml=False"
        )
    df = rank[0] - rank[1] + many.fits.theta.shape[1] - restricted.fits.theta.shape[1]
    if df <= 0:
        raise ValueError("the first model is not larger than the other")
    lr = 2.0 * (many.fits.llf - restricted.fits.llf)
    p = stats.chi2.sf(np.maximum(lr, 0.0), df)
    columns = {"lr": lr, "df": df, "p": np.where(np.isnan(lr), np.nan, p)}
    return _adjusted_table(many, columns, adjust)


def dfs_by(many, method):
    """
    Degrees of freedom of the coefficients by a method.

    Parameters
    ----------
    many : ManyResults
        The fits.
    method : str
        One of the methods of `fit_many`.

    Returns
    -------
    ndarray
        Shape (r, p).
    """
    df = many.fits.df
    if method == "satterthwaite":
        return df
    constant = np.full(len(df), np.inf)
    if method == "residual":
        constant = many.fits.nobs - np.isfinite(many.fits.params).sum(axis=1)
    return np.where(np.isnan(df), np.nan, constant[:, None])


def _adjusted_table(many, columns, adjust):
    table = pd.DataFrame(columns, many.names)
    table["p_adjusted"] = adjusted(table["p"].to_numpy(), adjust)
    return table


def _method(many, df_method):
    """The chosen method of degrees of freedom."""
    from_fit = many.df_method
    method = from_fit if df_method is None else df_method_of(df_method)
    check_choice("df_method", method, ("satterthwaite", "asymptotic", "residual"))
    return method


def _single_contrast(many, contrast):
    """Coefficients (p,) and the value that they have under the hypothesis."""
    names = many.model.exog_names
    if isinstance(contrast, str) and contrast in names:
        return np.eye(len(names))[names.index(contrast)], 0.0
    if contrast is None:
        raise TypeError(f"t_test needs a contrast; {_advice(many)}")
    given = hypotheses(contrast, names, _advice(many))
    if len(given.coefs) != 1:
        raise ValueError(
            f"t_test takes one contrast, and this is {len(given.coefs)}; f_test takes "
            "several"
        )
    _check_contrasts(given.coefs)
    return given.coefs[0], float(given.constants[0, 0])


def _advice(many):
    """What to write instead of a text that is no contrast."""
    example = f"write for instance `many.t_test({many.model.exog_names[-1]!r})`"
    terms = ", ".join(repr(term.name) for term in fixed_terms(many))
    return example + f"; `many.f_test` takes a term, {terms}" * bool(terms)


def _joint_contrasts(many, contrasts):
    """Coefficients (q, p) and values (q,)."""
    names = many.model.exog_names
    if isinstance(contrasts, str):
        for term in fixed_terms(many):
            if contrasts in (term.name, term.text):
                rows = np.eye(len(names))[list(term.columns)]
                return rows, np.zeros(len(rows))
    given = hypotheses(contrasts, names, _advice(many))
    _check_contrasts(given.coefs)
    return given.coefs, given.constants[:, 0]


def _check_contrasts(coefficients):
    """Reject contrasts that are missing, or of nothing."""
    if not np.isfinite(coefficients).all():
        raise ValueError("the contrast has missing or infinite coefficients")
    if not coefficients.any(axis=1).all():
        raise ValueError(
            "the coefficients of a contrast are all zero: it tests nothing"
        )


def _moderation(many, method, moderated):
    """Moderated over estimated residual variances, and degrees of freedom added."""
    check_choice("moderated", moderated, MODERATIONS)
    if method != "satterthwaite":
        raise ValueError(
            "moderated variances add to Satterthwaite's degrees of freedom; leave out "
            f"df_method={method!r}"
        )
    fits = many.fits
    known = np.isfinite(fits.scale) & np.isfinite(fits.scale_df) & (fits.scale > 0.0)
    factor, added = np.full((2, len(known)), np.nan)
    if known.sum() < 2:
        raise ValueError("moderated variances need at least two fits")
    scale, df = fits.scale[known], fits.scale_df[known]
    prior = (robust_prior_of if moderated == "robust" else prior_of)(scale, df)
    factor[known] = prior.posterior(scale, df) / scale
    added[known] = prior.df
    return factor, added


def _added(many, df, prior):
    """Degrees of freedom with those of the prior, at most those of all fits."""
    return np.minimum(df + prior, np.nansum(many.fits.scale_df))
