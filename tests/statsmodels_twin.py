"""
statsmodels' MixedLM where our search has ended.

Its formulas are compared with, not its search: where that stops, and whether it does,
depends on its version and on the processor.
"""

import warnings

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLMParams


def mixedlm_at(model, result):
    """
    Results of MixedLM at the covariance parameters of ours.

    Parameters
    ----------
    model : MixedLM
        The model of statsmodels. Its ``reml`` is set to that of the result.
    result : CrossedMixedLMResults
        Our fit of the same model, with at most one grouping factor.

    Returns
    -------
    MixedLMResults
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(point_of(result), reml=result.reml, method="bfgs", maxiter=0)


def point_of(result):
    """Our estimates as MixedLM's parameters."""
    if hasattr(result, "params_object"):
        return result.params_object
    (covariance,) = result.cov_re.values()
    variances = {"cov_re": covariance.to_numpy() / result.scale}
    return MixedLMParams.from_components(np.asarray(result.params), **variances)


def gain_left(model, result):
    """How much a Newton step of MixedLM would add to its likelihood at our optimum."""
    point = point_of(result)
    slope = np.concatenate([np.ravel(s) for s in model.score_full(point, calc_fe=True)])
    hessian, _ = model.hessian(point)
    return 0.5 * slope @ np.linalg.solve(-hessian, slope)
