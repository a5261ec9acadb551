"""
The variance of a response given its mean, on the scale of the linear predictor.

It takes the place of the residual variance in shares of variance (Nakagawa, Johnson and
Schielzeth 2017, tables 1 and 2). With a link g, the variance of y is carried to the
scale of the link at the mean of a model with a constant only.
"""

import numpy as np
from scipy.special import polygamma

from statsmodels_lmm.inference.comparison.reduced_models import with_fixed
from statsmodels_lmm.inference.prediction.population_mean import population_mean
from statsmodels_lmm.inference.replicates.simulation import fit_like
from statsmodels_lmm.inference.requirements import check_choice

METHODS = ("theoretical", "lognormal", "trigamma", "delta")

OF_LINKS = {
    "logit": np.pi**2 / 3.0,
    "probit": 1.0,
    "cloglog": np.pi**2 / 6.0,
    "loglog": np.pi**2 / 6.0,
}
"""Variances of the distributions whose distribution functions invert the links."""

LIKE_GAMMA = ("Poisson", "NegativeBinomial", "Gamma")
"""Families whose logarithm has nearly the variance of that of a gamma variable."""


def distribution_variance(results, method=None, average=False):
    """
    The variance of the response given its mean, on the scale of the linear predictor.

    Parameters
    ----------
    results, method, average
        As for `variance_of_distribution`.

    Returns
    -------
    float
    """
    extra = results.alpha if results.family.extra_is_squared else results.scale
    return variance_of_distribution(results, method, average)(extra)


def variance_of_distribution(results, method=None, average=False):
    """
    The same as a function of the extra parameter of the family.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.
    method : {None, "theoretical", "lognormal", "trigamma", "delta"}
        See `r_squared`.
    average : bool, optional
        Whether the mean at which it is evaluated is the expected response rather than
        that of a typical level.

    Returns
    -------
    callable
        From an alpha or a dispersion to the variance; the mean is that of the fit.

    Raises
    ------
    ValueError
        If the method is unknown, or not defined for the family and link.
    """
    family, link = results.family, results.family.link_name
    is_binomial = family.name == "Binomial"
    if method is None:
        method = "delta" if link != "log" else "lognormal"
        method = "theoretical" if is_binomial and link in OF_LINKS else method
    check_choice("method", method, METHODS)
    defined = {
        "theoretical": is_binomial and link in OF_LINKS,
        "lognormal": link == "log",
        "trigamma": link == "log" and family.name in LIKE_GAMMA,
        "delta": True,
    }
    if not defined[method]:
        known = ", ".join(repr(name) for name in METHODS if defined[name])
        raise ValueError(
            f"method={method!r} is not defined for the family {family.name} with link "
            f"{link}; there is {known}"
        )
    if method == "theoretical":
        return lambda extra: OF_LINKS[link]
    weights = results.model._prior_weights if results._has_residual else np.ones(1)

    def at(mean, extra):
        variance = family.variance(mean, weights, extra)
        if method == "delta":
            slope = family.mean_slope(family.link(np.array([mean])))
            return float(np.mean(variance / slope**2))
        spread = variance / mean**2
        each = np.log1p(spread) if method == "lognormal" else polygamma(1, 1.0 / spread)
        return float(np.mean(each))

    # it may be the same everywhere, as that of a gamma variable with a log link
    same = np.isclose(at(0.25, results.extra), at(0.5, results.extra), rtol=1e-12)
    mean = 0.5 if same else _null_mean(results, average)
    squared = family.extra_is_squared or not family.has_extra
    return lambda extra: at(mean, extra if squared else np.log(extra))


def _null_mean(results, average):
    """The mean by a model with a constant, as the only fixed effect, and an offset."""
    model, family = results.model, results.family
    null = results
    if not np.array_equal(model.exog, np.ones_like(model.exog[:, :1])):
        null = fit_like(results, with_fixed(results, np.ones((len(model.endog), 1))))
    constant = np.asarray(null.params)
    if not average:
        return float(family.mean(constant)[0])
    eta = constant + (0.0 if model._offset is None else model._offset)
    eta = np.broadcast_to(eta, model.endog.shape)
    means = population_mean(family, eta, row_variances(null).sum(axis=0))
    return float(np.average(means, weights=model._frequencies))


def row_variances(results):
    """
    Variance of the random part of each factor in each row.

    Parameters
    ----------
    results : CrossedMixedGLMResults
        A fit.

    Returns
    -------
    ndarray
        Shape (number of factors, n).
    """
    data, _ = results.model._prepared()
    # standardized columns, because the user's may cancel each other
    pairs = zip(data.terms, results._estimates.factors)
    return np.array([rows.row_variances(f.matrix) for rows, f in pairs])


def of_observations(effects):
    """
    Whether a factor is a random intercept of each row, that is, overdispersion.

    Parameters
    ----------
    effects : RandomEffects
        The factor.

    Returns
    -------
    bool
    """
    grouped = effects.grouped
    if not effects.has_groups or grouped.k_effects > 1:
        return False
    single = len(np.unique(grouped.codes)) == len(grouped.codes)
    return single and np.ptp(grouped.effects) == 0.0
