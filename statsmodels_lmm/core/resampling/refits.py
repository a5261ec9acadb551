"""
Many fits of one design to different responses, as one array computation.

The replicates share Z'Z, Z'X and X'X; each has its own response, covariances, trust
region and number of steps, and leaves the batch when done.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from statsmodels_lmm.core.criteria.krylov import valued
from statsmodels_lmm.core.criteria.start import FLOOR
from statsmodels_lmm.core.engines.batches import is_batchable
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.structures.relative_factor import (
    RelativeFactor,
    structured_parameters,
)
from statsmodels_lmm.core.structures.unstructured_block import UnstructuredBlock
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
)

MAX_BATCH = 1000
"""Largest number of fits in one batch."""

BATCH_ENTRIES = 2**20
"""Largest size of any array of one batch."""

RESPONSE_ENTRIES = 2**23
"""Largest size of the responses of one batch."""

SETTINGS = Settings(maxiter=100, tol=1e-7)
"""
When a refit stops: the decrease promised is far below the spread of the replicates but
above their rounding. The last step is still taken, so that far less remains.
"""


@dataclass(frozen=True)
class Refits:
    """
    Optima of many fits, in standardized units.

    Parameters
    ----------
    value : ndarray
        Criterion, shape (r,); NaN where a fit failed.
    coefficients : ndarray
        Fixed effects, shape (r, p).
    fixed_root : ndarray
        Lower Cholesky factors of X'V^-1 X, shape (r, p, p).
    scale : ndarray
        Residual variances, shape (r,).
    covariances : tuple of ndarray
        Relative covariance of each term in elimination order,
        shapes (r, k, k).
    structured : ndarray
        Parameters of all blocks with a structure, in the same order, shape (r, s).
    variance_covariance : ndarray
        Covariance matrices of the estimates of the covariance parameters, see
        `variance_information`, from the average information, shape (r, m + 1, m + 1).
    certified : ndarray
        Whether each optimum is certified, shape (r,).
    evaluations : ndarray
        Evaluations of the criterion, shape (r,).
    separated : ndarray
        Whether a fixed effect or a variance has no finite estimate, shape (r,); never
        in a linear model.
    """

    value: np.ndarray
    coefficients: np.ndarray
    fixed_root: np.ndarray
    scale: np.ndarray
    covariances: tuple
    structured: np.ndarray
    variance_covariance: np.ndarray
    certified: np.ndarray
    evaluations: np.ndarray
    separated: np.ndarray

    @classmethod
    def join(cls, parts):
        """Several sets of fits joined into one."""
        columns = {
            f.name: np.concatenate([getattr(p, f.name) for p in parts])
            for f in fields(cls)
            if f.name != "covariances"
        }
        covariances = zip(*(p.covariances for p in parts))
        return cls(covariances=tuple(map(np.concatenate, covariances)), **columns)

    def take(self, which):
        """A selection of the fits, in any order."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        covariances = tuple(s[which] for s in values.pop("covariances"))
        return type(self)(
            covariances=covariances, **{n: v[which] for n, v in values.items()}
        )

    def factors(self, terms, i):
        """
        The relative factors of one of the fits.

        Parameters
        ----------
        terms : sequence of GroupedEffects
            Those of the elimination plan.
        i : int
            Position of the fit.

        Returns
        -------
        list of RelativeFactor
        """
        theta, factors = list(self.structured[i]), []
        for term, covariance in zip(terms, self.covariances):
            blocks = []
            for model, s in zip(term.structures, term.block_slices):
                if model.has_structure:
                    m = model.n_structured
                    own, theta = theta[:m], theta[m:]
                    blocks.append(model.at(own, None, pivoted=True))
                else:
                    blocks.append(UnstructuredBlock.pivoted(covariance[i, s, s]))
            factors.append(RelativeFactor(tuple(blocks)))
        return factors


def batch_size(products):
    """
    Number of fits to do at once, as determined by the design alone.

    Parameters
    ----------
    products : CrossProducts
        Sufficient statistics.

    Returns
    -------
    int
    """
    plan = products.plan
    if not is_batchable(products):
        return 1
    m = sum(f.n_parameters for f in plan.terms)
    width = m + products.gram.shape[-1] + plan.n_tail
    rows = sum(f.n_columns * (f.k_effects + width) for f in plan.terms)
    fitting = min(BATCH_ENTRIES // rows, RESPONSE_ENTRIES // products.nobs)
    return int(np.clip(fitting, 1, MAX_BATCH))


def lifted(factors, products):
    """
    Relative factors moved off the boundary, where a search would start slowly.

    Parameters
    ----------
    factors : sequence of RelativeFactor
        In standardized units.
    products : CrossProducts
        Sufficient statistics.

    Returns
    -------
    list of RelativeFactor
    """
    return [
        f.lifted(FLOOR * each.n_levels / products.nobs)
        for f, each in zip(factors, products.plan.terms)
    ]


def refit_all(criterion, start, settings=SETTINGS):
    """
    Minimize the criterion for many responses.

    Parameters
    ----------
    criterion : Profiled
        With a leading axis for the responses, see `Products.with_responses`.
    start : sequence of RelativeFactor
        Relative factors from which all fits start, in elimination order.
    settings : Settings, optional
        When to stop.

    Returns
    -------
    Refits
    """
    count = len(criterion.products.gram)
    if is_batchable(criterion.products):
        try:
            return _collect(*minimize(criterion, start, settings))
        except np.linalg.LinAlgError:
            if count > 1:  # halving the batch isolates the fit that failed
                halves = slice(count // 2), slice(count // 2, count)
                parts = [refit_all(criterion.take(h), start, settings) for h in halves]
                return Refits.join(parts)
    each = [_refit_one(criterion.take(i), start, settings) for i in range(count)]
    return Refits.join(each)


def _refit_one(criterion, start, settings):
    """A single fit, as a batch of one."""
    # the certificate of a large model costs more than a replicate needs
    settings = replace(settings, tol=min(settings.tol, Settings.tol))
    try:
        deviance, optimum = minimize(criterion, start, settings)
        if criterion.products.is_stochastic:
            deviance = valued(deviance)
        return _collect(deviance, optimum).take(None)
    except np.linalg.LinAlgError:
        return _failed(criterion.products, start)


def _collect(deviance, optimum):
    """The results kept from one fit or from many."""
    # give shared arrays the shape of the batch
    batch = np.shape(deviance.value)
    structured = structured_parameters(deviance.factors)
    p = deviance.fixed_root.shape[-1]
    return Refits(
        np.asarray(deviance.value),
        deviance.coefficients,
        np.broadcast_to(deviance.fixed_root, (*batch, p, p)),
        np.asarray(deviance.scale),
        tuple(f.covariance for f in deviance.factors),
        np.broadcast_to(structured, (*batch, len(structured))),
        inverse_information(average_information(deviance)),
        np.asarray(optimum.certified),
        np.asarray(optimum.evaluations),
        np.zeros(batch, dtype=bool),
    )


def _failed(products, start):
    """A failed fit, as a batch of one."""
    p, nan = products.k_fixed, np.full(1, np.nan)
    m = 1 + sum(f.n_parameters for f in products.plan.terms)
    return Refits(
        nan,
        np.full((1, p), np.nan),
        np.full((1, p, p), np.nan),
        nan,
        tuple(np.full((1, *f.matrix.shape), np.nan) for f in start),
        np.full((1, len(structured_parameters(start))), np.nan),
        np.full((1, m, m), np.nan),
        np.zeros(1, dtype=bool),
        np.ones(1, dtype=int),
        np.zeros(1, dtype=bool),
    )
