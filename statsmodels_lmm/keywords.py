"""Keywords with earlier names, and R's names for what has another name here."""

import warnings
from functools import wraps

ONE_OPTIMIZER = "is not needed here: fit has one optimizer, with maxiter= and tol="

R_ARGUMENTS = {
    "FUN": "is spelled statistic= here",
    "REML": "is spelled reml= here, in fit",
    "alpha": "belongs to the family: sm.families.NegativeBinomial(alpha=...)",
    "allow_new_levels": "is spelled new_levels='population' here",
    "contrasts": "is not known here: write C(f, Sum) in the formula",
    "control": ONE_OPTIMIZER,
    "ddf": "is spelled df_method= here: 'satterthwaite' or 'kenward-roger'",
    "dispformula": "has no counterpart here: one dispersion is common to all rows",
    "family": "belongs to a generalized model: crossedmixedglm(..., family=...)",
    "level": "is spelled alpha= here: 0.05 for a level of 0.95",
    "link": "belongs to the family: sm.families.Binomial(sm.families.links.Probit())",
    "nAGQ": "is spelled nagq= here, in fit",
    "na_action": "is spelled missing= here: 'drop' or 'raise'",
    "newdata": "is spelled exog= here",
    "optimizer": ONE_OPTIMIZER,
    "random": "is part of the formula here: write + (1 | g)",
    "re_form": "is spelled random_effects= here: False for NA or ~0, True for NULL",
    "seed": "is spelled rng= here",
    "test": "is not needed here: anova has Wald and F tests, drop1 likelihood ratios",
    "ziformula": "has no counterpart here: zero inflation is not available",
}
"""R's arguments, and what to write instead."""

NO_DF = "is for linear models; tests of a generalized one are z tests"

R_FUNCTIONS = {
    "Anova": "anova()",
    "VarCorr": "variance_components()",
    "bootMer": "bootstrap()",
    "coef": "coef_by_level(), and of the fixed effects params",
    "confint": "conf_int(method='profile')",
    "emmeans": "marginal_means()",
    "emtrends": "marginal_slopes()",
    "fixef": "params",
    "getME": "theta, and of the model exog and random",
    "isSingular": "is_singular",
    "logLik": "llf",
    "r2": "r_squared()",
    "ranef": "random_effects, with standard deviations random_effects_table()",
    "rePCA": "re_pca()",
    "sigma": "scale, the square of sigma",
    "simulateResiduals": "simulated_residuals()",
    "vcov": "cov_params()",
    "vcovCR": "with_cov_type('CR2', groups=...)",
}
"""R's functions of a fit, and the attributes that have their values."""

R_SCALES = {"response": "mean", "link": "linear"}
"""R's names of the scales of a prediction, in statsmodels' words."""


def renamed(**names):
    """
    Accept keywords of a function by their earlier names, with a DeprecationWarning.

    Parameters
    ----------
    **names
        The new name by the old one.

    Returns
    -------
    callable
        Decorates the function, whose signature has the new names only.
    """

    def decorate(function):
        @wraps(function)
        def accepting(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{old} is now called {new}: give one of them")
                warnings.warn(
                    f"{old} is now called {new}", DeprecationWarning, stacklevel=2
                )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return accepting

    return decorate


def refuse_r_names(*names, **others):
    """
    Reject arguments by R's names, with what to write instead.

    Parameters
    ----------
    *names : str
        Names among `R_ARGUMENTS`.
    **others
        Further names, with what to write.

    Returns
    -------
    callable
        Decorates the function.
    """
    advice = {name: R_ARGUMENTS[name] for name in names} | others

    def decorate(function):
        @wraps(function)
        def refusing(*args, **kwargs):
            for name in advice.keys() & kwargs.keys():
                raise TypeError(f"{name}= {advice[name]}")
            return function(*args, **kwargs)

        return refusing

    return decorate


def scale_of(which, type=None):
    """
    The scale of a prediction.

    Parameters
    ----------
    which : {"mean", "linear"}
        The mean of the response, or the linear predictor.
    type : {None, "response", "link"}
        R's name for the scale, which takes precedence.

    Returns
    -------
    str
        "mean" or "linear".

    Raises
    ------
    ValueError
        If the scale is unknown.
    """
    if type is not None:
        if type not in R_SCALES:
            raise ValueError(f"type must be 'response' or 'link', not {type!r}")
        return R_SCALES[type]
    if which not in R_SCALES.values():
        raise ValueError(f"which must be 'mean' or 'linear', not {which!r}")
    return which
