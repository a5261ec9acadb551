"""
Variances of prediction errors.

The relative covariances and the residual variance are treated as known, as in lme4;
only the fixed effects and the random effects are uncertain.
"""

from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.algebra.memory import require_memory
from statsmodels_lmm.core.uncertainty.mixed_model_inverse import (
    error_covariance,
    error_variances,
)
from statsmodels_lmm.inference.requirements import as_fit, require_sums

JOINT_ROWS = 1000
"""Number of random effects whose joint covariance is computed at once."""


def error_variance(results, design, parts):
    """
    Compute the variance of x'(beta_hat - beta) + z'(b_hat - b).

    Henderson's prediction error variance sigma^2 [x z] K [x z]', with K the inverse of
    the mixed model equations. The random effects of a level not in the fit are
    predicted to be zero; their full variance z' Sigma z is added.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    design : ndarray
        Fixed-effects design of the rows, shape (m, p).
    parts : list of EffectRows
        The factors in these rows, in the order of the model.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    units, optimum = _units(results), results.at_optimum
    forms = error_variances(optimum, units.fixed(design), units.rows(parts))
    variance = results._unit * forms
    for i, part in enumerate(parts):
        term = units.term(i)
        if not term.has_user_levels:
            variance += draw_variance(results, i, *part.left_over(term))
        variance += draw_variance(results, i, part.drawn)
    return variance


def draw_variance(results, i, columns, share=1.0):
    """
    Compute the variance z' Sigma z of new random effects of a factor.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    i : int
        Position of the factor in the model.
    columns : ndarray
        Effect columns of the factor, shape (m, k).
    share : float or ndarray, optional
        Multiplier of Sigma, shape (m,).

    Returns
    -------
    ndarray
        Shape (m,).
    """
    spread = ((columns @ results._relative[i]) * columns).sum(axis=1)
    return results._unit * share * spread


class ModeCovariances:
    """
    Conditional covariances of groups of random effects, given the fixed effects.

    They are computed for many groups together, when one of these is requested.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    factors, levels, columns : ndarray
        Position of the factor in the model, level and effect column of each random
        effect, group by group, shape (m,).
    ends : ndarray
        Start of each group and end of the last, shape (groups + 1,).
    """

    def __init__(self, results, factors, levels, columns, ends):
        self._results, self._places = results, (factors, levels, columns)
        self._ends = ends
        self._batches: dict = {}

    def __call__(self, group):
        """The matrix of the group at a position, shape (k, k)."""
        a, b = self._ends[group : group + 2]
        factors, levels, columns = (each[a:b] for each in self._places)
        if (factors == factors[0]).all() and (levels == levels[0]).all():
            covariance = self._results._mode_covariances(factors[0])[levels[0]]
            return covariance[np.ix_(columns, columns)]
        batch = a // JOINT_ROWS
        if batch not in self._batches:
            self._batches[batch] = self._of_batch(batch)
        return self._batches[batch][group]

    def _of_batch(self, batch):
        """Matrices of the groups whose first row is in this batch."""
        starts = self._ends[:-1]
        groups = np.flatnonzero(starts // JOINT_ROWS == batch)
        a, b = starts[groups[0]], self._ends[groups[-1] + 1]
        whole = _joint_modes(self._results, *(each[a:b] for each in self._places))
        inside = [slice(*(self._ends[g : g + 2] - a)) for g in groups]
        return {g: whole[part, part].copy() for g, part in zip(groups.tolist(), inside)}


def _joint_modes(results, factors, levels, columns):
    """Conditional covariance matrix of random effects, shape (m, m)."""
    rows = _units(results).unit_rows(factors, levels, columns)
    out = np.zeros((len(factors),) * 2)
    for left, right in results.at_optimum.elimination.row_forms(rows):
        out += as_array(left @ right.T)
    return results._unit * 0.5 * (out + out.T)


def joint_covariance(results: Any, factors: Any = None) -> pd.DataFrame:
    """
    Compute the joint covariance of the fixed effects and the conditional modes.

    This is the covariance matrix of the errors (beta_hat - beta, b_hat - b), sigma^2
    times the inverse of Henderson's mixed model equations, as in lme4's
    ``vcov(model, full = TRUE)``. Variances are treated as known. The block of the fixed
    effects is `cov_params`; that of the modes, unlike `random_effects_cov`, includes
    the uncertainty of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    factors : str or list of str, optional
        Grouping factors whose modes to include. Default is all.

    Returns
    -------
    DataFrame
        Symmetric, in the units of the data. Rows and columns are labeled by group
        (empty for fixed effects), effect, and level (empty for fixed effects): first
        the fixed effects, then the modes level by level. Fixed effects that
        were dropped, or have no standard error, are NaN.

    Raises
    ------
    MemoryError
        If the matrix does not fit in memory; name fewer factors.
    ValueError
        If there is no such factor.
    """
    results = as_fit(results)
    random, wanted = results.model.random, _asked(results.model.random, factors)
    units, kept = _units(results), np.isfinite(results.params)
    labels = [("", name, "") for name in results.model.exog_names]
    # a unit vector for each fixed effect and each of the wanted random effects
    places = [np.full((3, len(labels)), -1)]
    for i in np.flatnonzero(wanted):
        effects, k = random[i], random[i].grouped.k_effects
        names, each = effects.effect_names, np.arange(effects.grouped.n_columns)
        places.append(np.array([np.full(len(each), i), each // k, each % k]))
        labels += [(effects.name, n, level) for level in effects.levels for n in names]
    terms, levels, columns = np.hstack(places)
    _check_memory(len(labels), units.plan)
    design = np.eye(len(labels), len(kept))
    covariance = results._unit * error_covariance(
        results.at_optimum,
        units.fixed(design),
        units.unit_rows(terms, levels, columns),
    )
    for i in np.flatnonzero(wanted):
        term, block = units.term(i), np.flatnonzero(terms == i)
        if not term.has_user_levels:
            left = np.kron(term.left_over_matrix, results._relative[i])
            covariance[np.ix_(block, block)] += results._unit * left
    unknown = np.flatnonzero(np.isnan(np.diag(results.normalized_cov_params)))
    covariance[unknown], covariance[:, unknown] = np.nan, np.nan
    index = pd.MultiIndex.from_tuples(labels, names=["group", "effect", "level"])
    return pd.DataFrame(covariance, index, index)


def _asked(random, factors):
    """Whether each factor is one of those named."""
    names = [e.name for e in random]
    asked = names if factors is None else factors
    asked = [asked] if isinstance(asked, str) else list(asked)
    unknown = ", ".join(str(f) for f in asked if f not in names)
    if unknown:
        raise ValueError(f"no grouping factor {unknown}; there are {', '.join(names)}")
    return [name in asked for name in names]


def _units(results):
    """The model's units, which require its data."""
    require_sums(results.model, "a standard error with random effects")
    return results._units


def _check_memory(size, plan):
    """Reject a joint covariance that does not fit in memory."""
    require_memory(
        8 * (4 * size**2 + 3 * size * plan.n_tail),
        f"the joint covariance of {size:,} effects",
        "Name fewer factors",
    )
