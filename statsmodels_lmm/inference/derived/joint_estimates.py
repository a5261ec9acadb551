"""All parameters of a fit or of replicates of it, and their joint covariance."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from statsmodels_lmm.core.algebra.dense import consecutive, transpose
from statsmodels_lmm.core.structures.roots import lower_triangle
from statsmodels_lmm.core.uncertainty.joint_covariance import variance_slopes
from statsmodels_lmm.inference.derived.named_parameters import NamedParameters
from statsmodels_lmm.inference.variances.distribution_variance import (
    variance_of_distribution,
)
from statsmodels_lmm.inference.variances.variance_parameters import (
    AbsoluteEstimates,
    VarianceEstimates,
    absolute_change,
    variance_estimates,
)


@dataclass(frozen=True)
class JointEstimates:
    """
    The estimates of all parameters and their covariance matrix.

    Parameters
    ----------
    parameters : NamedParameters
        The estimates, differentiable.
    covariance : ndarray
        Of the fixed effects and of the parameters of `VarianceEstimates`, shape
        (P, P).
    """

    parameters: NamedParameters
    covariance: np.ndarray


def joint_estimates(results, distribution=None):
    """
    The estimates of all parameters of a fit, with their joint covariance matrix.

    In a linear model the fixed effects and the variance parameters are asymptotically
    independent. In a generalized one the matrix is the inverse of the joint Hessian,
    unless another covariance of the fixed effects was chosen, which then stands beside
    that of the variances.

    Parameters
    ----------
    results : MixedResults
        A fit.
    distribution : dict, optional
        Arguments of `variance_of_distribution`.

    Returns
    -------
    JointEstimates
    """
    variances = variance_estimates(results)
    p = len(results.params)
    covariance = block_diag(results.cov_params(), variances.uncertainty)
    if _is_joint(results):
        across = _across(results)
        kept = results._estimates.kept
        covariance[np.ix_(kept, range(p, len(covariance)))] = across
        covariance[np.ix_(range(p, len(covariance)), kept)] = across.T
    parameters = NamedParameters(
        list(results.model.exog_names),
        np.asarray(results.params),
        variances,
        _distribution(results, distribution),
        True,
    )
    return JointEstimates(parameters, covariance)


def _is_joint(results):
    """Whether the fixed effects and the variances share a Hessian."""
    if results._is_gaussian or not results.at_optimum.criterion.counts[0]:
        return False
    return results.cov_type == "hessian" and results._robust is None


def _across(results):
    """Covariances of the fixed effects kept and the variance parameters."""
    units, evaluation = results._units, results.at_optimum
    first = evaluation.criterion.counts[0]
    change = absolute_change(units, results.family)
    joint = np.nan_to_num(results._joint.covariance[:first, first:])
    fixed = units.response_scale * units.data.to_fixed
    return fixed @ joint @ (change @ variance_slopes(evaluation)).T


def _distribution(results, options):
    if results._is_gaussian:
        return None
    return _Lazy(results, options or {})


class _Lazy:
    """The variance of a distribution, prepared on first use."""

    def __init__(self, results, options):
        self._results, self._options, self._function = results, options, None

    def __call__(self, extra):
        """The variance at an extra parameter, alpha or a dispersion."""
        if self._function is None:
            self._function = variance_of_distribution(self._results, **self._options)
        return self._function(extra)


def drawn_parameters(results, draws, distribution=None):
    """
    The parameters of replicates.

    Parameters
    ----------
    results : MixedResults
        The fit from which they were drawn.
    draws : DataFrame
        `BootstrapResults.draws`.
    distribution : dict, optional
        Arguments of `variance_of_distribution`.

    Returns
    -------
    NamedParameters
        With arrays of shape (R,).
    """
    random, p = results.model.random, len(results.params)
    values = draws.to_numpy(dtype=float)
    counts = [c for e in random for c in e.grouped.parameter_counts]
    start = values.shape[1] - sum(counts)
    theta = values[:, start:]
    scale, extra = np.ones(len(values)), None
    if results._is_gaussian:
        scale = values[:, start - 1] ** 2
    elif results.family.has_extra:
        last = values[:, start - 1]
        extra = last if results.family.extra_is_squared else last**2
    parts = iter([theta[:, part] for part in consecutive(counts)])
    covariances: list = []
    structured: list = [np.zeros((len(values), 0))]
    for effects in random:
        k = len(effects.effect_names)
        whole = np.zeros((len(values), k, k))
        for columns, _, model in effects.blocks:
            part = next(parts)
            if model.has_structure:
                structured.append(part)
                continue
            root = np.zeros((len(values), model.size, model.size))
            root[(..., *lower_triangle(model.size))] = part
            square = scale[:, None, None] * (root @ transpose(root))
            whole[:, columns, columns] = square
        covariances.append(whole)
    of_structures = np.concatenate(structured, axis=-1)
    variances = variances_at(results, covariances, scale, of_structures, extra)
    fixed = values[:, :p]
    names, of = list(results.model.exog_names), _distribution(results, distribution)
    return NamedParameters(names, fixed, variances, of)


def variances_at(results, covariances, scale, structured, extra=None):
    """
    Variance parameters at given values, without their uncertainty.

    Parameters
    ----------
    results : MixedResults
        A fit of the model.
    covariances : sequence of ndarray
        Covariance matrix of each factor in user units, shapes (..., k, k).
    scale : ndarray
        Residual variance, 1 in a generalized model, shape (...).
    structured : ndarray
        Parameters of all blocks with a structure, shape (..., s).
    extra : ndarray, optional
        The dispersion or the alpha of a family, shape (...).

    Returns
    -------
    VarianceEstimates
    """
    random = results.model.random
    width = sum(e.grouped.n_parameters for e in random) + 1 + (extra is not None)
    unknown = np.zeros((width, width))
    given = random, tuple(covariances), np.asarray(scale), unknown, structured
    if results._is_gaussian:
        return VarianceEstimates(*given)
    is_dispersion = not results.family.extra_is_squared
    return AbsoluteEstimates(*given, extra=extra, is_dispersion=is_dispersion)
