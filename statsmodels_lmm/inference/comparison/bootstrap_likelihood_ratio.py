"""Likelihood-ratio statistics for responses drawn from a restricted model."""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr

from statsmodels_lmm.core.resampling.draws import Gaussian, RandomPart
from statsmodels_lmm.core.resampling.replicates import Replicates
from statsmodels_lmm.inference.comparison.nested_models import is_mixed
from statsmodels_lmm.inference.replicates.bootstrap import design_of, run_replicates
from statsmodels_lmm.inference.replicates.simulation import (
    check_count,
    generators,
    random_part,
)


def simulated_statistics(full, restricted, nsim, rng=None, n_jobs=None, progress=None):
    """
    Draw likelihood-ratio statistics under a restricted model.

    Parameters
    ----------
    full : CrossedMixedLMResults
        Fit of the larger model.
    restricted : CrossedMixedLMResults, RegressionResults or None
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
    designs: tuple = (design_of(full),)
    exog = None
    if restricted is not None and is_mixed(restricted):
        part = random_part(restricted)
        designs += (design_of(restricted),)
    else:
        # the statistic does not depend on sigma
        weights = full.model.weights
        root = 1.0 if weights is None else np.sqrt(weights)
        part = RandomPart((), (), Gaussian(len(full.model.endog), np.eye(1)), root)
        if restricted is None:
            exog = full.model.exog[:, np.isfinite(full.params)]
        else:
            exog = np.asarray(restricted.model.exog)
    task = _Statistics(Replicates(part, designs), exog)
    batches, _ = run_replicates(task, nsim, rng, n_jobs, progress)
    statistics = np.concatenate(batches)
    return np.maximum(statistics[np.isfinite(statistics)], 0.0)


@dataclass(frozen=True)
class _Statistics:
    """
    Task that computes the statistics of replicates.

    Parameters
    ----------
    replicates : Replicates
        Draws from the restricted model, and fits of the full and the restricted one.
    exog : ndarray or None
        Fixed effects of a restricted model without random effects.
    """

    replicates: Replicates
    exog: np.ndarray | None

    @property
    def size(self):
        """Number of replicates to handle at once."""
        return self.replicates.size

    def __call__(self, sequences):
        """One statistic per seed; NaN where a fit failed."""
        responses, fits = self.replicates.fit(generators(sequences))
        designs = self.replicates.designs
        criteria = [
            f.value + d.data.criterion_shift(d.reml) for f, d in zip(fits, designs)
        ]
        if self.exog is None:
            return criteria[1] - criteria[0]
        root = self.replicates.part.root_weights * np.ones(responses.shape[1])
        return (
            linear_criterion(self.exog, root, responses, designs[0].reml) - criteria[0]
        )


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
