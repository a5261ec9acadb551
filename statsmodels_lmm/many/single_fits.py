"""The design that is fitted to many responses, and single fits of it."""

import numpy as np

from statsmodels_lmm.core.many.fits import ManyFits, residual_df
from statsmodels_lmm.core.many.many_design import ManyDesign
from statsmodels_lmm.core.many.problems import FAILED, FINE
from statsmodels_lmm.formula.backend import renamed_response
from statsmodels_lmm.inference.comparison.reduced_models import with_formula
from statsmodels_lmm.inference.deletion.case_refits import on_rows
from statsmodels_lmm.inference.parallel import quiet


def design_of(model, reml):
    """
    The design of a model, for fits to many responses.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    reml : bool
        Whether to maximize the restricted likelihood.

    Returns
    -------
    ManyDesign
    """
    design, factors = model._design, [e.grouped for e in model.random]
    nothing = np.zeros(int(model.nobs))
    data = design.standardize(nothing, model.exog, factors, model.weights)
    return ManyDesign(data, design.cross_products(data), reml)


def model_of(model, response, weights=None, name=None):
    """
    The model of one response.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    response : ndarray
        NaN where missing, shape (n,).
    weights : ndarray, optional
        Weights in addition to those of the model, shape (n,).
    name : str, optional
        Name of the response.

    Returns
    -------
    CrossedMixedLM
        From arrays if it has not all rows and its columns depend on those it lacks.
    """
    other = model._with_endog(response)
    other._has_other_response = other._has_response = True
    used = np.isfinite(response)
    if weights is not None:
        used &= weights > 0.0
        own = weights if model.weights is None else weights * model.weights
        other.weights = np.where(used, own, 1.0)
        other._forget()
    if not used.all():
        other = _on_rows_used(other, used)
    if name is not None:
        other.data = renamed_response(other.data, str(name))
    return other


def _on_rows_used(model, used):
    """The model on some rows, with its formula if that gives the same columns."""
    if model._parsed is not None and not model.data.lost:
        model.check_levels = False
        frame, scope = model.data.frame[used], dict(model.data.scope)
        terms = model._parsed.random
        other = with_formula(model, model.formula_full, terms, frame, scope, used)
        if np.array_equal(other.exog, model.exog[used]):
            other = other._with_endog(model.endog[used])
            other._has_other_response = other._has_response = True
            return other
    return on_rows(model, np.arange(model.exog.shape[1]), used)


def fit_alone(model, response, weights, reml):
    """
    One fit in the place of one of many.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    response, weights : ndarray
        See `model_of`.
    reml : bool
        Whether to maximize the restricted likelihood.

    Returns
    -------
    fits : ManyFits
        One fit.
    reason : str
        Why there is none, or why it is not proved to be an optimum.
    """
    n_theta = sum(e.grouped.n_parameters for e in model.random)
    fits = ManyFits.nothing(1, model.exog.shape[1], n_theta)
    with quiet:
        try:
            result = model_of(model, response, weights).fit(reml)._results
            chosen = result.with_df_method("satterthwaite")
            df, bse = chosen.df_resid_inference, chosen.bse
            scale_df = residual_df(result.at_optimum)
        except Exception as error:
            fits.problem[:] = FAILED
            return fits, str(error)
    optimum, theta = result.optimum, np.asarray(result.theta)
    values = {
        "params": result.params, "bse": bse, "df": df, "theta": theta,
        "scale": result.scale, "scale_df": scale_df, "llf": result.llf,
        "nobs": result.nobs, "certified": result.converged,
        "singular": result.is_singular, "promised": optimum.promised,
        "gradient": optimum.gradient_norm, "evaluations": optimum.evaluations,
        "problem": FINE,
    }  # fmt: skip
    for name, value in values.items():
        getattr(fits, name)[0] = np.asarray(value)
    reason = "" if result.converged else "not proved to be an optimum"
    if result.dropped:
        reason = f"the rows left do not determine {', '.join(map(str, result.dropped))}"
    return fits, reason
