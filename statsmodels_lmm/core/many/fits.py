"""What is kept of each of many fits, in the order and units of the user."""

from dataclasses import dataclass, fields

import numpy as np

from statsmodels_lmm.core.algebra.dense import concatenated, transpose
from statsmodels_lmm.core.many.many_contrasts import contrast_dfs
from statsmodels_lmm.core.many.problems import FINE
from statsmodels_lmm.core.uncertainty.small_sample import inverse_root, satterthwaite

VISIBLE = 1e-8
"""Rounding of the criterion above which a fit needs a pass over its rows."""


@dataclass(frozen=True)
class ManyFits:
    """
    Estimates of many fits, one row for each.

    Parameters
    ----------
    params, bse, df : ndarray
        Fixed effects, their standard errors and Satterthwaite's degrees of freedom,
        shape (r, p); NaN for columns that were dropped.
    theta : ndarray
        Relative covariance parameters, shape (r, t).
    scale, scale_df : ndarray
        Residual variances and their degrees of freedom, 2 s^4 / Var(s^2), shape (r,).
    llf : ndarray
        Log-likelihoods or restricted log-likelihoods, shape (r,).
    nobs : ndarray
        Numbers of rows used, shape (r,).
    certified, singular : ndarray
        Whether a point is proved to be an optimum, and whether a standard deviation
        counts as zero there, booleans, shape (r,).
    promised, gradient : ndarray
        Decrease of the criterion promised by one more step, and the largest entry of
        its gradient in standardized units, shape (r,).
    evaluations : ndarray
        Evaluations of the criterion, shape (r,).
    problem : ndarray
        Numbers of what prevents a fit, see `problems`, shape (r,).
    """

    params: np.ndarray
    bse: np.ndarray
    df: np.ndarray
    theta: np.ndarray
    scale: np.ndarray
    scale_df: np.ndarray
    llf: np.ndarray
    nobs: np.ndarray
    certified: np.ndarray
    singular: np.ndarray
    promised: np.ndarray
    gradient: np.ndarray
    evaluations: np.ndarray
    problem: np.ndarray

    @classmethod
    def nothing(cls, count, n_fixed, n_theta):
        """Fits that could not be done: NaN, not certified."""
        widths = {"params": n_fixed, "bse": n_fixed, "df": n_fixed, "theta": n_theta}
        kinds: dict = {
            "nobs": int,
            "evaluations": int,
            "certified": bool,
            "singular": bool,
        }
        kinds["problem"] = np.int8
        columns = {}
        for name in (f.name for f in fields(cls)):
            shape = (count, widths[name]) if name in widths else (count,)
            if name in kinds:
                columns[name] = np.zeros(shape, dtype=kinds[name])
            else:
                columns[name] = np.full(shape, np.nan)
        return cls(**columns)

    @classmethod
    def join(cls, parts):
        """Several sets of fits joined into one."""
        names = [f.name for f in fields(cls)]
        return cls(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))

    def take(self, which):
        """A selection of the fits, in any order."""
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    def put(self, places, other):
        """Write other fits into places of these."""
        for f in fields(self):
            getattr(self, f.name)[places] = getattr(other, f.name)


def summarize(units, evaluation, optimum, responses, nobs):
    """
    The estimates at the ends of many searches.

    Parameters
    ----------
    units : Units
        The conversion to the user's order and units.
    evaluation : Evaluation
        The criterion at the ends.
    optimum : Optimum
        How close they are to an optimum.
    responses : StandardizedResponses
        The responses.
    nobs : ndarray
        Numbers of rows, shape (r,).

    Returns
    -------
    ManyFits
        With log-likelihoods for weights of one.
    """
    data, scale = units.data, responses.scale
    params, root = fixed_part(units, evaluation, responses)
    uncertain = satterthwaite(evaluation)
    residual = np.asarray(evaluation.scale) * scale**2
    lengths = (root**2).sum(axis=-1)
    bse = np.sqrt(lengths * np.asarray(evaluation.scale)[:, None]) * scale[:, None]
    shift = 2.0 * np.asarray(evaluation.nu) * np.log(scale)
    shift = shift - data.log_weights
    if evaluation.reml:
        shift = shift + 2.0 * data.log_fixed
    singular = np.zeros(len(scale), dtype=bool)
    for factor in evaluation.factors:
        for block in factor.blocks:
            singular |= block.is_singular
    pairs = zip(units.of_user(evaluation.factors), data.to_effects)
    return ManyFits(
        params=params,
        bse=units.whole(bse),
        df=units.whole(contrast_dfs(uncertain.slopes, root)),
        theta=concatenated([factor.theta(change) for factor, change in pairs]),
        scale=residual,
        scale_df=residual_df(evaluation),
        llf=-0.5 * (evaluation.value + shift),
        nobs=np.broadcast_to(nobs, len(scale)).copy(),
        certified=optimum.certified & (evaluation.rounding < VISIBLE),
        singular=singular,
        promised=optimum.promised,
        gradient=optimum.gradient_norm,
        evaluations=optimum.evaluations,
        problem=np.full(len(scale), FINE, dtype=np.int8),
    )


def fixed_part(units, evaluation, responses):
    """
    Fixed effects, and a root of their covariance over sigma^2.

    Parameters
    ----------
    units, evaluation, responses
        See `summarize`.

    Returns
    -------
    params : ndarray
        NaN for dropped columns, shape (r, p).
    root : ndarray
        Of the columns kept, each row a contrast of R'beta, shape (r, kept, kept).
    """
    change = units.data.to_fixed
    above = evaluation.coefficients @ change.T * responses.scale[:, None]
    root = change @ transpose(evaluation.half_fixed)
    return units.whole(responses.least_squares + above), root


def residual_df(evaluation):
    """
    Degrees of freedom of the residual variances, 2 s^4 / Var(s^2), shape (r,).

    Given L, s^2 has variance 2 s^4 / nu, and its derivative in L is -s^2 working / nu,
    see `small_sample.satterthwaite`. In a balanced one-way layout they are those within
    the levels.
    """
    found = evaluation.derivatives(exact=True)
    nu = np.asarray(evaluation.nu, dtype=float)
    share = found.working / nu[..., None]
    along = (share[..., None, :] @ inverse_root(found.curvature))[..., 0, :]
    return 1.0 / ((along**2).sum(axis=-1) + 1.0 / nu)
