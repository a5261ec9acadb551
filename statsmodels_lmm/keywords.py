"""Keywords with earlier names, and what other packages call by another name."""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])
"""A function whose signature a decorator keeps."""

ONE_OPTIMIZER = "is not needed here: fit has one optimizer, with maxiter= and tol="

METHOD = f"{ONE_OPTIMIZER}; REML is the default, and ML is `model.fit(reml=False)`"

NO_NODES = "is for generalized models; a linear one needs no quadrature: `model.fit()`"

NOTHING_PRINTED = (
    "is not needed here: a fit prints nothing, and its summary says whether the "
    "optimum is proved, `result.summary()`"
)

WEIGHTS = "is spelled weights= here: `crossedmixedlm(formula, data, weights='w')`"

OTHER_WEIGHTS = (
    "is for generalized models; a linear one divides the variance of a row by its "
    "weight: `crossedmixedlm(formula, data, weights='w')`"
)

FIT = "crossedmixedlm(formula, data).fit"

R_ARGUMENTS = {
    "FUN": "is spelled statistic= here",
    "REML": f"is spelled reml= here, in fit: `{FIT}(reml=False)`",
    "allow_new_levels": "is spelled new_levels='population' here: "
    "`result.predict(data, random_effects=True, new_levels='population')`",
    "alpha": "belongs to the family: `sm.families.NegativeBinomial(alpha=1.0)`",
    "batch_size": "is an argument of CrossedMixedLM.from_batches(source, formula, "
    "batch_size=...)",
    "cluster": "chooses a covariance of a fit: "
    "`result.with_cov_type('CR2', groups='g')`",
    "control": ONE_OPTIMIZER,
    "correlation": "is spelled residual= here, for linear models: "
    "`crossedmixedlm('y ~ x + (1 | g)', data, residual='ar1(visit | g)')`",
    "ddf": "is spelled df_method= here: 'satterthwaite' or 'kenward-roger', as in "
    f"`{FIT}(df_method='satterthwaite')`",
    "disp": NOTHING_PRINTED,
    "dispformula": "is spelled dispersion= here, for linear models: "
    "`crossedmixedlm('y ~ x + (1 | g)', data, dispersion='~ x')`",
    "exposure": "is for counts with a log link: "
    "`crossedmixedglm('n ~ x + (1 | g)', data, family='poisson', exposure='w')`",
    "factors": "is not needed here: text is a factor, and numbers become one by C(): "
    "`crossedmixedlm('y ~ C(t) + (1 | g)', data)`",
    "family": "belongs to a generalized model, as in "
    "`crossedmixedglm('n ~ x + (1 | g)', data, family='poisson')`",
    "fixed": "is the formula here, with the random effects: "
    "`crossedmixedlm('y ~ x + (1 | g)', data)`",
    "freq_weights": OTHER_WEIGHTS,
    "full_output": NOTHING_PRINTED,
    "level": "is spelled alpha= here, 0.05 for a level of 0.95: "
    "`result.conf_int(alpha=0.05)`",
    "link": "belongs to the family: `sm.families.Binomial(sm.families.links.Probit())`",
    "method": "belongs to fit, where REML is the default, and ML is "
    f"`{FIT}(reml=False)`",
    "nAGQ": "is spelled nagq= here, in fit: "
    "`crossedmixedglm('n ~ x + (1 | g)', data, family='poisson').fit(nagq=9)`",
    "na_action": "is spelled missing= here, 'drop' or 'raise': "
    "`crossedmixedlm(formula, data, missing='drop')`",
    "newdata": "is spelled exog= here: `result.predict(exog=data)`",
    "optimizer": ONE_OPTIMIZER,
    "pedigree": "is spelled relationship= here, of the factor with the animals: "
    "`crossedmixedlm(formula, data, relationship={'g': "
    "numerator_relationship(pedigree)})`",
    "random": "is part of the formula here: write + (1 | g), as in "
    "`crossedmixedlm('y ~ x + (1 | g)', data)`",
    "re_form": "is spelled random_effects= here, False for NA or ~0, True for NULL: "
    "`result.predict(random_effects=True)`",
    "rcov": "is spelled residual= here: "
    "`crossedmixedlm('y ~ x', data, residual='us(visit | g)')`",
    "repeated": "is spelled residual= here: "
    "`crossedmixedlm('y ~ x', data, residual='us(visit | g)')`",
    "sample_weight": WEIGHTS,
    "seed": "is spelled rng= here: `result.simulate(rng=1)`",
    "start": "is spelled start_params= here, in fit: for a linear model "
    f"`{FIT}(start_params=result.theta)`",
    "test": "is not needed here: anova has Wald and F tests, `result.anova()`, and "
    "drop1 likelihood ratios, `result.drop1()`",
    "var_weights": OTHER_WEIGHTS,
    "verbose": NOTHING_PRINTED,
    "weight": WEIGHTS,
    "ziformula": "has no counterpart here: zero inflation is not available",
}
"""Arguments of other packages, and the line to write instead."""

VARIANCE_FUNCTIONS = {"varIdent": "~ f", "varExp": "~ x", "varPower": "~ log(x)"}
"""nlme's functions for its argument weights, and the formula of dispersion=."""

CORRELATIONS = {
    "ar": "ar1",
    "autoregressive": "ar1",
    "corar1": "ar1",
    "corcar1": "car1",
    "ou": "car1",
    "corcompsymm": "cs",
    "compsymm": "cs",
    "exchangeable": "cs",
    "corsymm": "us",
    "un": "us",
    "unstructured": "us",
    "toeplitz": "toep",
    "toeph": "toep",
    "ante": "ad",
    "adh": "ad",
    "corarma": "arma",
    "corexp": "exp",
    "sp": "exp",
    "sp_exp": "exp",
    "sp_gau": "gau",
    "corgaus": "gau",
    "mat": "matern",
    "csh": "cs",
    "arh": "ar1",
    "ar1h": "ar1",
}
"""Structures of errors in nlme, SAS, glmmTMB and mmrm, and their names here."""

OF_FIT = {
    "cov_type": "'CR2', cov_kwds={'groups': 'g'}",
    "df_method": "'kenward-roger'",
    "engine": "'exact'",
    "maxiter": "500",
    "nagq": "9",
    "probes": "64",
    "reml": "False",
    "start_params": "result.theta",
    "tol": "1e-8",
}
"""Arguments of fit, with a value, that are first tried where the model is created."""

NO_DF = "is for linear models; tests of a generalized one are z tests"

R_FUNCTIONS = {
    "AIC": "write `result.aic`",
    "Anova": "write `result.anova()`",
    "BIC": "write `result.bic`",
    "BLUP": "write `result.random_effects`",
    "ACF": "write `result.plot_autocorrelation()`",
    "VarCorr": "write `result.variance_components()`",
    "Variogram": "plot_variogram draws it for a model with residual='exp(time | g)', "
    "and autocorrelations `result.plot_autocorrelation()`",
    "allEffects": "write `result.marginal_means('f')`",
    "allFit": "it is not needed, since the one optimizer proves its optimum: "
    "`result.converged`",
    "blup": "write `result.random_effects`",
    "bootMer": "write `result.bootstrap`, a method",
    "check_model": "write `result.plot_diagnostics()`",
    "coef": "write `result.params`, and by level `result.coef_by_level()`",
    "coefs": "write `result.params`, and with intervals `result.tidy()`",
    "confint": "write `result.conf_int(method='profile')`",
    "contrast": "write `result.marginal_means('f').contrasts()`",
    "deviance": "write `-2 * result.llf`",
    "corStruct": "write `result.residual_table()`",
    "dredge": "it is left out, since a search among models makes p-values too small: "
    "compare the models that you mean, `result.anova(small)`",
    "emmeans": "write `result.marginal_means('f')`",
    "emtrends": "write `result.marginal_slopes('x')`",
    "exactRLRT": "write `result.exact_lr_test()`",
    "fitted": "write `result.fittedvalues`",
    "fit_many": "write `result.model.fit_many`, a method of the model",
    "fixef": "write `result.params`",
    "getME": "write `result.theta`, and of the model `model.exog` and `model.random`",
    "ggpredict": "write `result.marginal_means(at={'x': [0, 1]})`",
    "intervals": "write `result.conf_int()`",
    "getVarCov": "of the random effects write `result.cov_re`, and of errors with "
    "residual= residual_covariance()",
    "isSingular": "write `result.is_singular`",
    "logLik": "write `result.llf`",
    "lrt": "write `result.drop1()`",
    "ls_means": "write `result.marginal_means('f')`",
    "lsmeans": "write `result.marginal_means('f')`",
    "ngrps": "the summary has them, `result.summary()`",
    "modelStruct": "write `result.residual_table()`",
    "pairs": "write `result.marginal_means('f').contrasts()`",
    "plot": "write `result.plot_diagnostics()`",
    "post_hoc": "write `result.marginal_means('f').contrasts()`",
    "powerCurve": "write `result.power_curve('x', n=[10, 20, 40])`",
    "powerSim": "write `result.power('x')`",
    "predictInterval": "write `result.get_prediction(interval='prediction')`",
    "pvalue": "write `result.pvalues`",
    "r2": "write `result.r_squared()`",
    "r2_nakagawa": "write `result.r_squared()`",
    "r_squaredGLMM": "write `result.r_squared()`",
    "rand": "write `result.ranova()`",
    "ranef": "write `result.random_effects`, and with standard deviations "
    "`result.random_effects_table()`",
    "rePCA": "write `result.re_pca()`",
    "residual_correlation": "write `result.residual_table()`, or "
    "residual_covariance() of a model with residual=",
    "residuals": "write `result.resid`, `result.resid_pearson` or "
    "`result.resid_normalized`",
    "rsquared": "write `result.r_squared()`",
    "scan_predictors": "write `result.model.scan_predictors`, a method of the model",
    "sigma": "write `result.scale ** 0.5`",
    "simulateResiduals": "write `result.simulated_residuals()`",
    "standardize_parameters": "write `result.standardized()`",
    "step": "it is left out, since a search among models makes p-values too small: "
    "test each term, `result.drop1()`",
    "testDispersion": "write `result.simulated_residuals()`",
    "update": "write `result.model.update('. ~ . + z', data).fit()`",
    "vcov": "write `result.cov_params()`",
    "vcovCR": "write `result.with_cov_type('CR2', groups='g')`",
}
"""Functions and attributes of a fit elsewhere, and the line to write instead."""

_SORTED = "write `many.t_test('x').sort_values('p')`"
_ADJUSTED = "write `many.t_test('x', adjust='BH')['p_adjusted']`"
_MODERATED = "write `many.t_test('x', moderated=True)`"

MANY_FUNCTIONS = {
    "aic": "write `many[response].aic`; models of the same responses are compared by "
    "`many.compare_lr_test(smaller)`",
    "anova": "write `many.f_test('x')`",
    "coef": "write `many.params`",
    "coefficients": "write `many.params`",
    "cov_re": "write `many.variance_components()`",
    "contrasts_fit": "write `many.t_test('a - b')`",
    "decideTests": "write `many.t_test('x')['p_adjusted'] < 0.05`",
    "eBayes": _MODERATED,
    "ebayes": _MODERATED,
    "fixef": "write `many.params`",
    "logLik": "write `many.llf`",
    "makeContrasts": "write `many.t_test('a - b')`",
    "p_adjust": _ADJUSTED,
    "p_adjusted": _ADJUSTED,
    "padj": _ADJUSTED,
    "qvalues": _ADJUSTED,
    "save": "write `many.to_parquet(path)`, and read by "
    "`type(many).from_parquet(path, model)`",
    "sigma": "write `many.scale ** 0.5`",
    "squeezeVar": _MODERATED,
    "to_csv": "write `many.tidy().to_csv(path)`",
    "to_frame": "write `many.tidy()`",
    "topTable": _SORTED,
    "topTags": _SORTED,
    "VarCorr": "write `many.variance_components()`",
    "volcano": "write `many.plot_volcano('x')`",
}
"""Functions of limma and others for many responses, and the line to write instead."""

SCAN_FUNCTIONS = {
    "bse": "write `scan.table['se']`",
    "lambda_gc": "write `scan.inflation`",
    "manhattan": "write `scan.plot_manhattan()`",
    "params": "write `scan.table['effect']`",
    "plot": "write `scan.plot_manhattan()` or `scan.plot_qq()`",
    "pvalues": "write `scan.table['p']`",
    "qq": "write `scan.plot_qq()`",
    "save": "write `scan.to_parquet(path)`",
    "tidy": "write `scan.table`",
    "to_csv": "write `scan.table.to_csv(path)`",
    "to_frame": "write `scan.table`",
    "top": "write `scan.summary(20)`",
}
"""The same for a scan of candidate predictors."""

_JOBS = "is spelled n_jobs= here"

_KINSHIP = (
    "belongs to the model: `crossedmixedlm('y ~ x + (1 | id)', data, "
    "relationship={'id': K})`"
)

MANY_ARGUMENTS = {
    "REML": "is spelled reml= here: `model.fit_many(responses, reml=False)`",
    "adjust": "belongs to the tests: `many.t_test('x', adjust='BH')`",
    "cores": _JOBS,
    "cov_type": "is for single fits: `many[response].with_cov_type(...)`",
    "ddf": "is spelled df_method= here, 'satterthwaite' by default",
    "engine": "is for single fits: many are exact, and need no other engine",
    "maxiter": "is not needed here: what does not end is fitted by itself",
    "method": "is not needed here: REML is the default, and ML is "
    "`model.fit_many(responses, reml=False)`",
    "moderated": "belongs to the tests: `many.t_test('x', moderated=True)`",
    "ncores": _JOBS,
    "start_params": "is not needed here: each search starts from the moments of its "
    "own response",
    "tol": "is not needed here: each search ends at rounding",
    "workers": _JOBS,
}
"""Arguments that are tried in fit_many, and what to write instead."""

SCAN_ARGUMENTS = {
    "K": _KINSHIP,
    "chunk_size": "is not needed here: candidates are read in blocks of 500",
    "cores": _JOBS,
    "covariates": "are fixed effects in the formula of the model",
    "covar": "are fixed effects in the formula of the model",
    "ddf": "is spelled df_method= here",
    "engine": "is for single fits: scans are exact, and need no other engine",
    "grm": _KINSHIP,
    "kinship": _KINSHIP,
    "relationship": _KINSHIP,
    "to": "is not available here: write `scan.to_parquet(path)`",
    "workers": _JOBS,
}
"""The same for scan_predictors."""

R_ADJUSTMENTS = {
    "BH": "fdr_bh",
    "BY": "fdr_by",
    "fdr": "fdr_bh",
    "hochberg": "simes-hochberg",
}
"""R's names of adjustments for many tests, in statsmodels' words."""

R_SCALES = {"response": "mean", "link": "linear"}
"""R's names of the scales of a prediction, in statsmodels' words."""


def renamed(warns: bool = True, **names: str) -> Callable[[Function], Function]:
    """
    Accept keywords of a function by other names.

    Parameters
    ----------
    warns : bool, optional
        Whether these are earlier names, so that their use is deprecated; otherwise
        they are R's spellings.
    **names
        The name in the signature by the other one.

    Returns
    -------
    callable
        Decorates the function, whose signature has the new names only.
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def accepting(*args, **kwargs):
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise TypeError(f"{old} is called {new}: give one of them")
                if warns:
                    warnings.warn(
                        f"{old} is now called {new}", DeprecationWarning, stacklevel=2
                    )
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return cast(Function, accepting)

    return decorate


def refuse_r_names(*names: str, **others: str) -> Callable[[Function], Function]:
    """
    Reject arguments by R's names, with what to write instead.

    Parameters
    ----------
    *names : str
        Names among `R_ARGUMENTS`; default is all that are not in the signature.
    **others
        Further names, with what to write.

    Returns
    -------
    callable
        Decorates the function.
    """

    def decorate(function: Function) -> Function:
        own = inspect.signature(function).parameters
        known = names or R_ARGUMENTS.keys() - own.keys()
        advice = {name: R_ARGUMENTS[name] for name in known} | others

        @wraps(function)
        def refusing(*args, **kwargs):
            for name in advice.keys() & kwargs.keys():
                raise TypeError(f"{name}= {advice[name]}")
            return function(*args, **kwargs)

        return cast(Function, refusing)

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
