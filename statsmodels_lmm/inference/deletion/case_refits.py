"""Fits without a group of rows, with the variances estimated anew."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.uncertainty.case_deletion import Deletions
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.parallel import quiet, run
from statsmodels_lmm.inference.variances.variance_parameters import (
    AbsoluteEstimates,
    VarianceEstimates,
)

PIECES = 32
"""Number of pieces of work into which refits are divided."""

CRITERION = "reml", "nagq", "hessian"
"""Options of a fit that decide what it minimizes."""

NOT_DETERMINED = "the remaining rows do not determine "


@dataclass(frozen=True)
class CaseRefit:
    """
    A fit without one group, in the units of the data.

    Parameters
    ----------
    params : ndarray
        Fixed effects, shape (p,).
    normalized_cov_params : ndarray
        Covariance of the fixed effects divided by sigma^2, shape (p, p).
    scale : float
        Residual variance.
    covariances : list of ndarray
        Covariance matrix of the random effects of each factor.
    structured : ndarray
        Parameters of the terms with a structure.
    converged : bool
        Whether the optimum is proved.
    extra : float or None
        Dispersion, or alpha of the negative binomial family, of a generalized model.
    """

    params: np.ndarray
    normalized_cov_params: np.ndarray
    scale: float
    covariances: list
    structured: np.ndarray
    converged: bool
    extra: float | None


@dataclass(frozen=True)
class _Task:
    """Task that fits a model from arrays without each of some groups."""

    model: Any
    codes: np.ndarray
    options: dict

    def __call__(self, groups):
        """A `CaseRefit` for each group, or the reason why there is none."""
        with quiet:
            return [self._without(g) for g in groups]

    def _without(self, group):
        try:
            columns = np.arange(self.model.exog.shape[1])
            model = on_rows(self.model, columns, self.codes != group)
            for before, after in zip(self.model.random, model.random):
                if after.grouped.n_levels == 1 < before.grouped.n_levels:
                    return f"the remaining rows have only 1 level of {after.name}"
            results = model.fit(**self.options)._results
        except (DataError, np.linalg.LinAlgError) as error:
            return str(error)
        if results.dropped:
            return NOT_DETERMINED + ", ".join(results.dropped)
        if results.unbounded.sentences:
            return "there is no finite estimate: " + results.unbounded.sentences[0]
        return CaseRefit(
            results.params,
            results.normalized_cov_params,
            results.scale,
            results._covariances(),
            results._structured_theta(),
            results.converged,
            results.scale if results._has_residual else results.alpha,
        )


def on_rows(model, kept, rows):
    """
    The model on some rows, without a formula or dropped columns.

    Parameters
    ----------
    model : MixedModel
        The model.
    kept : ndarray
        Columns of X, shape (r,).
    rows : ndarray
        Which rows, booleans, shape (n,).

    Returns
    -------
    MixedModel
    """
    names = [model.exog_names[j] for j in kept]
    return model._general_class(
        model.endog[rows],
        pd.DataFrame(model.exog[np.ix_(rows, kept)], columns=names),
        random=tuple(_take(effects, rows) for effects in model.random),
        check_levels=False,
        **model._beyond_design(rows),
    )


def _take(effects, rows):
    """Random effects on some rows, without levels that have no rows."""
    part, levels = effects.grouped.subset(rows), effects.levels
    if part.n_levels < len(levels):
        levels = levels[np.unique(effects.grouped.codes[rows])]
    return replace(effects, levels=levels, grouped=part, columns=(), terms=(), keys=())


def refits_without(results, codes, n_groups, n_jobs=None, progress=None):
    """
    Fit the model without each group.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    codes : ndarray
        Group of each row, shape (n,).
    n_groups : int
        Number of groups.
    n_jobs : int, optional
        Number of workers, as in joblib.
    progress : bool, optional
        Whether to show a progress bar.

    Returns
    -------
    fits : dict
        `CaseRefit` by group.
    reasons : dict
        Reason why there is none, by group.

    Raises
    ------
    DataError
        If no group can be left out.
    """
    every = np.arange(len(codes))
    model = on_rows(results.model, results._estimates.kept, every)
    groups = np.array_split(np.arange(n_groups), min(PIECES, n_groups))
    options = {n: v for n, v in results._fit_options.items() if n in CRITERION}
    task = _Task(model, codes, options)
    done, interrupted = run(task, groups, n_jobs, progress)
    outcomes = dict(enumerate(fit for part in done for fit in part))
    if interrupted:
        warn(f"interrupted after {len(outcomes)} of {n_groups} groups", DataWarning)
        missing = range(len(outcomes), n_groups)
        outcomes |= dict.fromkeys(missing, "there was no refit before the interrupt")
    reasons = {g: fit for g, fit in outcomes.items() if isinstance(fit, str)}
    if len(reasons) == len(outcomes):
        raise DataError(f"no group can be left out: {reasons[0]}")
    return {g: fit for g, fit in outcomes.items() if g not in reasons}, reasons


def as_deletions(results, root, fits, n_groups):
    """
    Convert refits without groups to the coordinates of `Deletions`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        The fit of all rows.
    root : ndarray
        A square root of the covariance of the fixed effects kept, shape (p, p).
    fits : dict
        `CaseRefit` by group.
    n_groups : int
        Number of groups.

    Returns
    -------
    Deletions
    """
    inverse, unit = np.linalg.inv(root), results.scale
    params = results.params[np.isfinite(results.params)]
    p = len(params)
    change, scale = np.full((n_groups, p), np.nan), np.full(n_groups, np.nan)
    covariance = np.full((n_groups, p, p), np.nan)
    for g, fit in fits.items():
        change[g] = inverse @ (params - fit.params)
        covariance[g] = unit * inverse @ fit.normalized_cov_params @ inverse.T
        scale[g] = fit.scale / unit
    return Deletions(change, covariance, scale)


def refitted_variances(model, fits):
    """
    Variance parameters of fits.

    Parameters
    ----------
    model : CrossedMixedLM
        The model of all rows.
    fits : sequence of CaseRefit
        Fits of the model.

    Returns
    -------
    DataFrame
        One row per fit, with standard deviations, correlations, sigma and theta.
    """
    fits = list(fits)
    covariances = zip(*(fit.covariances for fit in fits))
    width = 2 + sum(e.grouped.n_parameters for e in model.random)
    family, kind = model.family, VarianceEstimates
    further: dict = {}
    scale = np.array([fit.scale for fit in fits])
    if family is not None:
        kind, scale = AbsoluteEstimates, np.ones(len(fits))
        further["is_dispersion"] = not family.extra_is_squared
        if family.has_extra:
            further["extra"] = np.array([fit.extra for fit in fits])
    parameters = kind(
        model.random,
        tuple(map(np.array, covariances)),
        scale,
        np.zeros((len(fits), width, width)),
        np.array([fit.structured for fit in fits]),
        **further,
    )
    tables = [parameters.estimates(), parameters.theta()]
    return pd.DataFrame(
        np.hstack([t.values for t in tables]),
        columns=[name for t in tables for name in t.labels],
    )
