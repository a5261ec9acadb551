"""Shares of the variance explained by fixed and random effects."""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.uncertainty.identification import mean_variances
from statsmodels_lmm.inference.derived.derived import derived, method_of
from statsmodels_lmm.inference.derived.shares import (
    icc_functions,
    r_squared_functions,
)
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_independent_errors,
    require_sums,
)
from statsmodels_lmm.inference.variances.distribution_variance import (
    distribution_variance,
    of_observations,
    row_variances,
)
from statsmodels_lmm.inference.variances.identification import combined
from statsmodels_lmm.inference.variances.residual_parameters import log_deviations
from statsmodels_lmm.inference.variances.row_moments import (
    column_covariance,
    effect_moments,
)


def r_squared(
    results: Any,
    method: str | None = None,
    random_effects: Any = False,
    conf_int: bool | str = False,
    alpha: float = 0.05,
    **options: Any,
) -> Any:
    r"""
    Marginal and conditional R-squared of a mixed model.

    .. math:: R^2_m = \frac{v_f}{v_f + v_r + v_e}, \quad
       R^2_c = \frac{v_f + v_r}{v_f + v_r + v_e}

    The variance v_f of the fixed effects is that of X beta over the rows, with divisor
    n - 1 and without an offset; v_r is the mean over the rows of the variance
    z' Sigma z of the random effects, which is correct for random slopes too. The
    residual variance v_e is the mean over the rows of sigma^2 / w for prior weights w,
    which is sigma^2 without weights and does not depend on their units; with errors of
    unequal variance it is the mean of their variances.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    method : {None, "theoretical", "lognormal", "trigamma", "delta"}, optional
        Residual variance of a generalized model, see the notes. Default is the first
        of these that is defined.
    random_effects : {False, "average"}, optional
        The mean at which the residual variance of a generalized model is evaluated, if
        it depends on the mean.
    conf_int : {False, True, "wald", "bootstrap", "profile"}, optional
        Intervals to add, see `derive`; True is "wald".
    alpha : float, optional
        One minus the level of the intervals.
    **options
        Arguments of `bootstrap`, or ``bootstrap=`` for replicates that were drawn
        before. The mean at which the residual variance of a generalized model is
        evaluated is held at its estimate.

    Returns
    -------
    Series or DerivedQuantities
        "marginal" and "conditional", NaN where the data do not determine them. The
        values are those of ``r2_nakagawa`` in R's performance, except that they are
        also defined for singular fits, and that all slopes count, even after ``||`` or
        without a fixed effect.

    Raises
    ------
    DataError
        If the data of the model were removed.
    ValueError
        If the method is not defined for the family and link.

    Notes
    -----
    In a generalized model all variances are on the scale of the linear predictor, and
    the variance of the response given its mean takes the place of v_e:

    ===========  ================  =====================================================
    method       for               v_e
    ===========  ================  =====================================================
    theoretical  binomial          :math:`\pi^2/3` (logit), 1 (probit), :math:`\pi^2/6`
                                   (cloglog, loglog): that of a latent response
    lognormal    log link          :math:`\log(1 + \mathrm{Var}(y) / \lambda^2)`
    trigamma     counts and gamma  :math:`\psi_1(\lambda^2 / \mathrm{Var}(y))`
                 with a log link
    delta        any               :math:`\mathrm{Var}(y)\, g'(\lambda)^2`, on the scale
                                   of the observations; of one trial for a proportion
    ===========  ================  =====================================================

    Here g is the link and :math:`\lambda` a mean by the model with a constant as its
    only fixed effect: at random effects and an offset of zero, as in performance before
    version 0.12; or, for "average", the expected response, as in Nakagawa et al., which
    does not depend on the unit of an exposure. The variance of a random intercept of
    each row is overdispersion and belongs to v_e. Where fixed effects or variances are
    infinite, the values are NaN.

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
    if conf_int:
        functions = r_squared_functions(as_fit(results))
        settings = _settings(results, method, random_effects)
        kind = _interval_of(results, conf_int)
        return derived(as_fit(results), functions, kind, alpha, options, settings)
    _refuse_options(options)
    fixed, random, residual = _variances(results, method, random_effects)
    explained = np.array([fixed, fixed + random.sum()])
    shares = explained / (explained[1] + residual)
    _, split, total = _undetermined(results)
    shares[np.array([total, split or total])] = np.nan
    return pd.Series(shares, index=["marginal", "conditional"], name="r_squared")


def icc(
    results: Any,
    by_group: bool = False,
    method: str | None = None,
    random_effects: Any = False,
    conf_int: bool | str = False,
    alpha: float = 0.05,
    **options: Any,
) -> Any:
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
        those of the model. Random intercepts of each row are not listed in a
        generalized model.
    method, random_effects, conf_int, alpha, **options
        As for `r_squared`.

    Returns
    -------
    Series, DataFrame or DerivedQuantities
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
    check_choice("by_group", by_group, (False, True))
    if conf_int:
        functions = icc_functions(as_fit(results), by_group)
        settings = _settings(results, method, random_effects)
        kind = _interval_of(results, conf_int)
        return derived(as_fit(results), functions, kind, alpha, options, settings)
    _refuse_options(options)
    fixed, random, residual = _variances(results, method, random_effects)
    adjusted = random.sum() + residual
    shares = pd.DataFrame(
        {"adjusted": random / adjusted, "unadjusted": random / (adjusted + fixed)}
    )
    each, split, total = _undetermined(results)
    if by_group:
        lost = np.broadcast_to(each | [total, total], shares.shape)
        return shares.where(~lost)
    sums = shares.sum(skipna=False).rename("icc")
    return sums * np.nan if split or total else sums


def repeatability(
    results: Any,
    method: str | None = None,
    random_effects: Any = False,
    **options: Any,
) -> pd.DataFrame:
    """
    Repeatability by grouping factor, as in R's rptR.

    This is another name for the intraclass correlation of each factor: the denominator
    excludes the variance of the fixed effects for "adjusted" and includes it for
    "unadjusted". See `icc`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    method, random_effects, **options
        As for `r_squared`.

    Returns
    -------
    DataFrame or DerivedQuantities
        Columns adjusted and unadjusted, one row per factor.
    """
    return icc(results, True, method, random_effects, **options)


def _refuse_options(options):
    """Reject arguments of the bootstrap where no interval is asked for."""
    if options:
        raise TypeError(
            f"unknown argument {', '.join(options)}; conf_int=True adds intervals, and "
            "conf_int='bootstrap' takes arguments of the bootstrap"
        )


def _settings(results, method, random_effects):
    """Arguments of `variance_of_distribution`."""
    if as_fit(results)._is_gaussian:
        _refuse_settings(method, random_effects)
        return None
    check_choice("random_effects", random_effects, (False, "average"))
    return {"method": method, "average": random_effects == "average"}


def _refuse_settings(method, random_effects):
    """Reject what a linear model has no use for."""
    if method is not None or random_effects is not False:
        raise ValueError(
            "method and random_effects are for generalized models; the residual "
            "variance of a linear model is estimated"
        )


def _undetermined(results):
    """
    Whether the variance of each factor, of all factors, and in total is undetermined.

    That of a factor may be undetermined and the sum over all factors determined.
    """
    results = as_fit(results)
    flat = results.identification.directions
    if not flat.shape[1]:
        return np.zeros((1, 1), dtype=bool), False, False
    _, products = results.model._sufficient_statistics()
    parts = mean_variances(products, *effect_moments(results.model))
    each = combined(parts[:-1], flat).any(axis=1)
    split, total = (
        combined(part, flat).any() for part in (parts[:-1].sum(0), parts.sum(0))
    )
    return each[:, None], bool(split), bool(total)


def _interval_of(results, conf_int):
    """The method of an interval; the delta method alone takes all errors."""
    kind = method_of(conf_int)
    if kind != "wald":
        purpose = f"conf_int={kind!r} of a share of variance"
        require_independent_errors(as_fit(results).model, purpose, "use conf_int=True")
    return kind


def _variances(results, method, random_effects):
    """Variances of the fixed part, of the factors as a Series, and of the residual."""
    results = as_fit(results)
    model = results.model
    require_sums(model, "a share of variance")
    names = pd.Index([e.name for e in model.random], name="group")
    params = np.nan_to_num(results.params)
    if not results._is_gaussian:
        linear = model.exog @ params
        return _generalized_variances(results, linear, names, method, random_effects)
    _refuse_settings(method, random_effects)
    fixed = params @ column_covariance(model) @ params
    moments, spread = effect_moments(model)
    # standardized columns, because the user's may cancel each other
    pairs = zip(moments, results._estimates.factors)
    random = np.array([np.sum((m @ f.matrix) * f.matrix) for m, f in pairs])
    if model.residual is not None:
        weights = 1.0 if model.weights is None else model.weights
        spread = float(np.mean(np.exp(2.0 * log_deviations(results)) / weights))
    random = pd.Series(results.scale * random, index=names)
    return float(fixed), random, results.scale * spread


def _generalized_variances(results, linear, names, method, random_effects):
    """The variances of `_variances` on the scale of the linear predictor."""
    check_choice("random_effects", random_effects, (False, "average"))
    repeats = results.model._repeats * np.ones(len(linear))
    residual = distribution_variance(results, method, random_effects == "average")
    middle, count = np.average(linear, weights=repeats), repeats.sum()
    fixed = float(repeats @ (linear - middle) ** 2 / (count - 1.0))
    random = pd.Series(row_variances(results) @ repeats / count, index=names)
    if results.unbounded.sentences:
        fixed, random = np.nan, random * np.nan
    is_residual = np.array([of_observations(e) for e in results.model.random])
    return fixed, random[~is_residual], residual + random[is_residual].sum()
