"""Information criteria of several models, which need not be nested."""

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.regression.linear_model import WLS

from statsmodels_lmm.display import ResultTable
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.comparison.likelihood_ratio import (
    model_name,
    n_parameters,
)
from statsmodels_lmm.inference.comparison.nested_models import is_mixed, rows_of
from statsmodels_lmm.inference.comparison.summed_models import (
    check_same_sums,
    have_same_fixed,
    is_summed,
)
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_likelihood,
    require_sums,
)

CRITERIA = ("aic", "aicc", "bic")

DISCRETE = ("Binomial", "Poisson", "NegativeBinomial")
"""Families whose likelihood is a probability, not a density."""


def compare_criteria(
    *fits: Any, names: Any = None, criterion: str = "aic"
) -> ResultTable:
    r"""
    Compare models of the same data, nested or not, by information criteria.

    .. math:: \mathrm{AIC} = -2 \ell + 2 k, \quad
       \mathrm{AICc} = \mathrm{AIC} + \frac{2 k (k + 1)}{n - k - 1}, \quad
       \mathrm{BIC} = -2 \ell + k \log n

    for k parameters and n observations. The weight of model i is
    :math:`\exp(-\Delta_i / 2) / \sum_j \exp(-\Delta_j / 2)`, where :math:`\Delta_i` is
    the distance of its criterion from the smallest.

    Parameters
    ----------
    *fits : MixedResults, RegressionResults or GLMResults
        Fits to the same rows and the same response. Families, links, weights and
        offsets may differ.
    names : sequence of str, optional
        Names of the models. Default is m0, m1 and so on, with the formulas below the
        table.
    criterion : {"aic", "aicc", "bic"}, optional
        The criterion by which the models are sorted and weighted.

    Returns
    -------
    DataFrame
        One row per model, the best first, with columns n_params, llf, aic, aicc, bic,
        delta and weight. AICc is NaN without more than k + 1 observations.

    Raises
    ------
    DataError
        If the likelihoods are not comparable: other rows or another response;
        restricted likelihoods, unless all fits are by REML with the same fixed effects;
        different approximations of the likelihood; or a discrete and a continuous
        distribution.

    Warns
    -----
    DataWarning
        If a fit has not converged.

    Notes
    -----
    All variances and covariances count as parameters, as in lme4; the criteria are
    marginal, for the prediction of new groups. For fits by REML they are those of the
    restricted likelihood. R's performance evaluates the likelihood at the REML
    estimates instead of refitting by ML.

    References
    ----------
    Burnham, K. P. and Anderson, D. R. (2002). Model Selection and Multimodel Inference.
    Springer, sections 2.4 and 2.9.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> formulas = ["(1 | Subject)", "(Days | Subject)", "(Days || Subject)"]
    >>> fits = [crossedmixedlm(f"Reaction ~ Days + {f}", data).fit() for f in formulas]
    >>> table = compare_criteria(*fits, names=["intercepts", "slopes", "independent"])
    >>> table["weight"].round(3).to_dict()
    {'independent': 0.727, 'slopes': 0.273, 'intercepts': 0.0}
    """
    check_choice("criterion", criterion, CRITERIA)
    raw = [as_fit(fit) for fit in fits]
    if len(raw) < 2:
        raise TypeError("at least two fitted models are needed")
    formulas = [] if names is not None else list(map(model_name, raw))
    names = [f"m{i}" for i in range(len(raw))] if names is None else list(names)
    if len(names) != len(raw):
        raise ValueError(f"there are {len(raw)} models and {len(names)} names")
    for name, fit in zip(names, raw):
        _check_fit(name, fit)
    for pair in combinations(zip(names, raw), 2):
        _check_same_data(*pair)
        _check_same_likelihood(*pair)
    table = ResultTable(map(_criteria, raw), pd.Index(names, name="model"))
    table["delta"] = table[criterion] - table[criterion].min()
    relative = np.exp(-0.5 * table["delta"])
    table["weight"] = relative / relative.sum()
    table = table.sort_values("delta", kind="stable")
    if formulas:
        table.attrs["models"] = dict(zip(names, formulas))
    return table


def _criteria(fit):
    """One row of the table."""
    k, n = n_parameters(fit), getattr(fit, "_n_observed", float(fit.nobs))
    llf = _log_likelihood(fit)
    aic = -2.0 * llf + 2.0 * k
    correction = 2.0 * k * (k + 1) / (n - k - 1) if n > k + 1 else np.nan
    bic = -2.0 * llf + np.log(n) * k
    return {"n_params": k, "llf": llf, "aic": aic, "aicc": aic + correction, "bic": bic}


def _log_likelihood(fit):
    """
    The maximum of the log-likelihood.

    statsmodels' GLM estimates a dispersion by other means, which is not the maximum.
    """
    if not isinstance(fit.model, GLM) or _family(fit) in DISCRETE:
        return float(fit.llf)
    best = minimize_scalar(
        lambda shift: -fit.llf_scaled(fit.scale * np.exp(shift)), (-1.0, 1.0)
    )
    return -float(best.fun)


def _family(fit):
    """Name of the family; "Gaussian" for a linear model."""
    family = getattr(fit.model, "family", None)
    return getattr(family, "name", type(family).__name__) if family else "Gaussian"


def _check_fit(name, fit):
    """Refuse what has no comparable likelihood."""
    require_likelihood([fit])
    require_sums(fit.model, "a comparison")
    if not is_mixed(fit) and not isinstance(fit.model, WLS | GLM):
        raise DataError(
            f"{name}: the likelihood of {type(fit.model).__name__} cannot be compared; "
            "fit the model with this package, or without random effects with OLS or GLM"
        )
    if is_mixed(fit) and not fit.converged:
        warn(f"{name}: the fit has not converged", DataWarning)


def _check_same_data(one, other):
    """Refuse fits to other rows or another response."""
    (name, fit), (name0, fit0) = one, other
    both = f"{name} and {name0}"
    if is_summed(fit, fit0):
        return check_same_sums(fit, fit0)
    y, y0 = (np.asarray(f.model.endog) for f in (fit, fit0))
    if len(y) != len(y0):
        raise DataError(
            f"{both} were fitted to {len(y)} and {len(y0)} rows; fit them to the rows "
            "in which no variable of either is missing"
        )
    # proportions may be rounded differently
    if y.shape != y0.shape or not np.allclose(y, y0, rtol=1e-12, atol=1e-12):
        raise DataError(
            f"{both} have different responses, whose likelihoods are not comparable; "
            "nor is a response comparable with a transformation of it"
        )
    labels, labels0 = (f.model.data.row_labels for f in (fit, fit0))
    if labels is not None and labels0 is not None and not labels.equals(labels0):
        raise DataError(
            f"the rows of {both} have different labels; fit the models to the same "
            "rows of the same table"
        )
    if {_family(fit), _family(fit0)} <= {"Gaussian"}:
        return
    kinds = [_family(f) in DISCRETE for f in (fit, fit0)]
    if kinds[0] != kinds[1]:
        raise DataError(
            f"{both} have a discrete and a continuous distribution; a probability and "
            "a density are not comparable"
        )
    if kinds[0]:
        _check_same_counts(both, fit.model, fit0.model)


def _check_same_counts(both, model, model0):
    """Refuse other numbers of trials or other frequencies of rows."""
    rows, rows0 = rows_of(model), rows_of(model0)
    same = ["freq_weights"]
    if "Binomial" in (type(model.family).__name__, type(model0.family).__name__):
        same.append("weights")
    for part in same:
        if not np.allclose(rows[part], rows0[part], rtol=1e-12):
            raise DataError(f"{both} were fitted with different {part}")


def _check_same_likelihood(one, other):
    """Refuse restricted or differently approximated likelihoods."""
    (name, fit), (name0, fit0) = one, other
    both = f"{name} and {name0}"
    by_reml = [getattr(f, "reml", False) is True for f in (fit, fit0)]
    if by_reml[0] != by_reml[1]:
        raise DataError(
            f"of {both} one was fitted by REML and the other by maximum likelihood; "
            "fit both with reml=False"
        )
    if by_reml[0] and not have_same_fixed(fit.model, fit0.model):
        raise DataError(
            f"{both} were fitted by REML with different fixed effects, so that their "
            "restricted likelihoods are not comparable; fit both with reml=False"
        )
    if any(not is_mixed(f) or f._is_gaussian for f in (fit, fit0)):
        return
    # with a canonical link both kinds of Hessian are the same
    canonical = fit.family.is_canonical or fit0.family.is_canonical
    for option in ("nagq",) if canonical else ("nagq", "hessian"):
        used, used0 = fit._fit_options[option], fit0._fit_options[option]
        if used != used0:
            raise DataError(
                f"{both} were fitted with {option}={used!r} and {used0!r}, so that "
                "their likelihoods are approximated differently"
            )
