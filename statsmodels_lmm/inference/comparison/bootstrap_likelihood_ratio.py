"""Likelihood-ratio statistics for responses drawn from a restricted model."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import qr

from statsmodels_lmm.core.criteria.without_effects import without_effects
from statsmodels_lmm.core.resampling.draws import (
    FamilyResponse,
    Gaussian,
    NormalResponse,
    RandomPart,
)
from statsmodels_lmm.core.resampling.generalized_refits import WithoutEffects
from statsmodels_lmm.core.resampling.refits import MAX_BATCH
from statsmodels_lmm.core.resampling.replicates import Replicates, ReplicateTask
from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.inference.comparison.nested_models import family_of, is_mixed
from statsmodels_lmm.inference.replicates.bootstrap import run_replicates
from statsmodels_lmm.inference.replicates.refitted_parameters import design_of
from statsmodels_lmm.inference.replicates.row_weights import row_weights
from statsmodels_lmm.inference.replicates.simulation import (
    check_count,
    drawn_response,
    generators,
)


def simulated_statistics(full, restricted, nsim, rng=None, n_jobs=None, progress=None):
    """
    Draw likelihood-ratio statistics under a restricted model.

    Parameters
    ----------
    full : MixedResults
        Fit of the larger model.
    restricted : MixedResults, RegressionResults, GLMResults or None
        Fit of the smaller model by the same method; None for the full model without
        random effects.
    nsim : int
        Number of draws.
    rng : None, int or numpy.random.Generator, optional
        Source of randomness.
    n_jobs, progress : optional
        As for `CrossedMixedLMResults.bootstrap`.

    Returns
    -------
    ndarray
        Statistics of the draws to which both models could be fitted, shape (nsim,)
        or shorter.
    """
    check_count("nsim", nsim)
    if restricted is not None and is_mixed(restricted):
        response, design = drawn_response(restricted), design_of(restricted)
    elif full._is_gaussian:
        response, design = _least_squares(full, restricted)
    else:
        response, design = _without_effects(full, restricted)
    task = _Statistics(Replicates(response, (design_of(full), design)))
    batches, _ = run_replicates(task, nsim, rng, n_jobs, progress)
    statistics = np.concatenate(batches)
    return np.maximum(statistics[np.isfinite(statistics)], 0.0)


@dataclass(frozen=True)
class _Statistics(ReplicateTask):
    """
    Task that computes the statistics of replicates.

    Parameters
    ----------
    replicates : Replicates
        Draws from the restricted model, and fits of the full and the restricted one.
    """

    def __call__(self, sequences):
        """One statistic per seed; NaN where a fit failed."""
        full, restricted = self.replicates.criteria(generators(sequences))
        return restricted - full


def without_effects_design(results):
    """
    The design of a model without its random effects, for fits to many responses.

    Parameters
    ----------
    results : MixedResults
        A fit of the model.

    Returns
    -------
    LeastSquares or WithoutEffects
    """
    alone = _least_squares if results._is_gaussian else _without_effects
    return alone(results, None)[1]


def _exog_of(full, restricted):
    """Fixed effects of a restricted model without random effects."""
    if restricted is None:
        return full.model.exog[:, np.isfinite(full.params)]
    return np.asarray(restricted.model.exog)


def _least_squares(full, restricted):
    """How a linear model without random effects is drawn from, and fitted."""
    # the statistic does not depend on sigma
    residuals = Gaussian(len(full.model.endog), np.eye(1))
    root = np.sqrt(row_weights(full))
    response = NormalResponse(RandomPart((), ()), residuals, root)
    return response, LeastSquares(_exog_of(full, restricted), root, full.reml)


def _without_effects(full, restricted):
    """How a generalized model without random effects is drawn from, and fitted."""
    _, model = full.model._prepared()
    exog = _exog_of(full, restricted)
    basis = np.linalg.qr(exog[:, independent_columns(exog)])[0]
    model = replace(model, exog=np.asfortranarray(basis * np.sqrt(len(exog))))
    if restricted is not None:
        model = replace(model, family=family_of(restricted.model, full.model))
    fixed = full._fixed_part - model.offset
    start = model.exog.T @ fixed / len(fixed)
    end = without_effects(model, start, full.extra)
    weights, part = row_weights(full), RandomPart((), ())
    response = FamilyResponse(part, end.inner.eta, model.family, weights, end.extra)
    return response, WithoutEffects(model, end.coefficients, end.extra)


@dataclass(frozen=True)
class LeastSquares:
    """
    A linear model without random effects, with which responses are fitted.

    Parameters
    ----------
    exog : ndarray
        Fixed effects, shape (n, p).
    root_weights : ndarray
        Square roots of the prior weights, shape (n,).
    reml : bool
        Whether to use the restricted likelihood.
    """

    exog: np.ndarray
    root_weights: np.ndarray
    reml: bool

    size = MAX_BATCH
    in_batches = True

    def criteria(self, responses):
        """-2 log-likelihood of responses of shape (r, n), shape (r,)."""
        return linear_criterion(self.exog, self.root_weights, responses, self.reml)


def linear_criterion(exog, root_weights, responses, reml):
    """
    Compute -2 log-likelihood, restricted or not, of models without random effects.

    Parameters
    ----------
    exog : ndarray
        Fixed effects, shape (n, p).
    root_weights : ndarray
        Square roots of the prior weights, shape (n,).
    responses : ndarray
        Shape (r, n).
    reml : bool
        Whether to use the restricted likelihood.

    Returns
    -------
    ndarray
        Shape (r,).
    """
    n = len(root_weights)
    basis, triangle, _ = qr(
        exog * root_weights[:, None], mode="economic", pivoting=True
    )
    size = np.abs(np.diag(triangle))
    used = size > 1e-10 * size.max(initial=0.0)
    basis, size = basis[:, used], size[used]
    weighted = responses * root_weights
    squares = ((weighted - (weighted @ basis) @ basis.T) ** 2).sum(axis=1)
    nu = n - len(size) if reml else n
    value = nu * (1.0 + np.log(2.0 * np.pi * squares / nu))
    value -= 2.0 * np.log(root_weights).sum()
    return value + 2.0 * np.log(size).sum() if reml else value
