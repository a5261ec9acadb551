"""Shares of the variance explained by fixed and random effects."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.uncertainty.identification import mean_variances
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_gaussian,
)
from statsmodels_lmm.inference.variances.identification import combined


def r_squared(results):
    r"""
    Marginal and conditional R-squared of a mixed model.

    .. math:: R^2_m = \frac{v_f}{v_f + v_r + v_e}, \quad
       R^2_c = \frac{v_f + v_r}{v_f + v_r + v_e}

    The variance v_f of the fixed effects is that of X beta over the rows, with divisor
    n - 1 and without an offset; v_r is the mean over the rows of the variance
    z' Sigma z of the random effects, which is correct for random slopes too. The
    residual variance v_e is the mean over the rows of sigma^2 / w for prior weights w,
    which is sigma^2 without weights and does not depend on their units.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    Series
        "marginal" and "conditional", NaN where the data do not determine them. The
        values are those of ``r2_nakagawa`` in R's performance, except that they are
        also defined for singular fits, and that all slopes count, even after ``||`` or
        without a fixed effect.

    Raises
    ------
    DataError
        If the data of the model were removed.

    References
    ----------
    Johnson, P. C. D. (2014). Extension of Nakagawa & Schielzeth's R2GLMM to random
    slopes models. Methods in Ecology and Evolution 5, 944-946.

    Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017). The coefficient of
    determination R2 and intra-class correlation coefficient from generalized linear
    mixed-effects models revisited and expanded. Journal of the Royal Society
    Interface 14, 20170213.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    >>> r_squared(result).round(4).to_dict()
    {'marginal': 0.2799, 'conditional': 0.7043}
    """
    fixed, random, residual = _variances(results)
    explained = np.array([fixed, fixed + random.sum()])
    shares = explained / (explained[1] + residual)
    _, split, total = _undetermined(results)
    shares[np.array([total, split or total])] = np.nan
    return pd.Series(shares, index=["marginal", "conditional"], name="r_squared")


def icc(results, by_group=False):
    r"""
    Intraclass correlation, or repeatability of a measurement.

    .. math:: \frac{v_r}{v_r + v_e} \text{ (adjusted)}, \quad
       \frac{v_r}{v_f + v_r + v_e} \text{ (unadjusted)}

    The variances are those of `r_squared`. The adjusted coefficient is the share of the
    variance that the fixed effects leave unexplained.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    by_group : bool, optional
        Whether to return the share of each grouping factor, with the variances of all
        factors in the denominator. These are the repeatabilities of R's rptR, adjusted
        for the fixed effects or with their variance in the denominator, and sum to
        those of the model.

    Returns
    -------
    Series or DataFrame
        "adjusted" and "unadjusted"; with `by_group` these are columns, with one row per
        grouping factor. NaN where the data do not determine a share, as for two factors
        that form the same groups.

    Raises
    ------
    DataError
        If the data of the model were removed.

    References
    ----------
    Nakagawa, S. and Schielzeth, H. (2010). Repeatability for Gaussian and
    non-Gaussian data: a practical guide for biologists. Biological Reviews 85,
    935-956.

    Nakagawa, S., Johnson, P. C. D. and Schielzeth, H. (2017), see `r_squared`.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.pastes.load_pandas().data
    >>> result = crossedmixedlm("strength ~ 1 + (1 | batch / cask)", data).fit()
    >>> icc(result, by_group=True)["adjusted"].round(3).to_dict()
    {'batch': 0.154, 'batch:cask': 0.783}
    """
    fixed, random, residual = _variances(results)
    adjusted = random.sum() + residual
    shares = pd.DataFrame(
        {"adjusted": random / adjusted, "unadjusted": random / (adjusted + fixed)}
    )
    each, split, total = _undetermined(results)
    if by_group:
        return shares.where(~(each | [total, total]))
    sums = shares.sum().rename("icc")
    return sums * np.nan if split or total else sums


def repeatability(results):
    """
    Repeatability by grouping factor, as in R's rptR.

    This is another name for the intraclass correlation of each factor: the denominator
    excludes the variance of the fixed effects for "adjusted" and includes it for
    "unadjusted". See `icc`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.

    Returns
    -------
    DataFrame
        Columns adjusted and unadjusted, one row per factor.
    """
    return icc(results, by_group=True)


def _undetermined(results):
    """
    Whether the variance of each factor, of all factors, and in total is undetermined.

    That of a factor may be undetermined and the sum over all factors determined.
    """
    results = as_fit(results)
    flat = results.identification.directions
    data, products = results.model._sufficient_statistics()
    if not flat.shape[1]:
        return np.zeros((len(results.model.random), 1), dtype=bool), False, False
    weights = 1.0 if results.model.weights is None else results.model.weights
    parts = mean_variances(data, products, weights)
    each = combined(parts[:-1], flat).any(axis=1)
    split, total = (
        combined(part, flat).any() for part in (parts[:-1].sum(0), parts.sum(0))
    )
    return each[:, None], bool(split), bool(total)


def _variances(results):
    """Variances of the fixed part, of the factors as a Series, and of the residual."""
    results = as_fit(results)
    model = results.model
    require_gaussian(results, "a share of variance")
    require_data(model, "a share of variance")
    fixed = np.var(model.exog @ np.nan_to_num(results.params), ddof=1)
    data, _ = model._sufficient_statistics()
    weights = 1.0 if model.weights is None else model.weights
    # standardized columns, because the user's may cancel each other
    pairs = zip(data.terms, results._estimates.factors)
    random = np.array(
        [np.mean(rows.row_variances(f.matrix) / weights) for rows, f in pairs]
    )
    names = pd.Index([e.name for e in model.random], name="group")
    residual = results.scale * float(np.mean(1.0 / np.asarray(weights)))
    return float(fixed), pd.Series(results.scale * random, index=names), residual
