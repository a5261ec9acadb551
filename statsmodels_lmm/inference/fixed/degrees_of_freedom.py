"""Degrees of freedom and F tests of the fixed effects."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from statsmodels_lmm.core.uncertainty.small_sample import (
    UncertainCovariance,
    contrast_df,
    joint_df,
    kenward_roger,
    satterthwaite,
    scaled_f,
)
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_data,
    require_gaussian,
)

SMALL_SAMPLE = ("satterthwaite", "kenward-roger")
"""Methods that give every contrast of the fixed effects its degrees of freedom."""

METHODS = ("asymptotic", "residual", *SMALL_SAMPLE)

NO_F = (
    "Kenward and Roger's method finds no F distribution for a joint test: its "
    "denominator degrees of freedom would be negative, since the data say too little "
    "about the variances. The test is NaN; use Satterthwaite's method or the bootstrap"
)

RANK_TOLERANCE = 1e-8
"""Singular values of standardized contrasts, over the largest, that count as 0."""


@dataclass(frozen=True)
class FTest:
    """
    An F test of several contrasts at once.

    Parameters
    ----------
    statistic : float
        F; after Kenward and Roger the scaled one.
    df_num : int
        Rank of the contrasts.
    df_denom : float
        Denominator degrees of freedom, infinite for a chi-squared test of
        ``df_num * statistic``.
    pvalue : float
        Probability of a larger statistic.
    unscaled : float
        F before Kenward and Roger's scale.
    """

    statistic: float
    df_num: int
    df_denom: float
    pvalue: float
    unscaled: float


@dataclass(frozen=True, eq=False)
class FixedInference:
    """
    What is known about the fixed effects of a fit.

    Parameters
    ----------
    method : {"asymptotic", "residual", "satterthwaite", "kenward-roger"}
        Where the degrees of freedom come from.
    params : ndarray
        Fixed effects, NaN for dropped columns, shape (p,).
    covariance : ndarray
        Their covariance, NaN for dropped columns, shape (p, p).
    scale : float
        Residual variance sigma^2.
    root : ndarray
        A square root of the covariance of the r columns that were kept, over
        sigma^2 and before any adjustment, shape (r, r).
    constant_df : float
        The degrees of freedom of every contrast, if they are the same.
    uncertain : UncertainCovariance or None
        Where they are not, how well the covariance is known.
    """

    method: str
    params: np.ndarray
    covariance: np.ndarray
    scale: float
    root: np.ndarray
    constant_df: float = np.inf
    uncertain: UncertainCovariance | None = None

    def df(self, contrast):
        """
        Degrees of freedom of a contrast of the fixed effects.

        Parameters
        ----------
        contrast : array_like
            Coefficients, shape (p,).

        Returns
        -------
        float
            NaN if the contrast involves a column that was dropped. A contrast of
            zeros has no error and infinite degrees of freedom by the methods of
            Satterthwaite and of Kenward and Roger.
        """
        contrast = self._contrasts(contrast)[0]
        if not self._estimable(contrast):
            return np.nan
        if self.uncertain is None:
            return self.constant_df
        whitened = contrast[np.isfinite(self.params)] @ self.root
        return float(contrast_df(self.uncertain.slopes, whitened))

    def variances(self, contrasts):
        """
        Variances of contrasts of the fixed effects.

        Found from a square root of the covariance: columns of X with a large mean
        would cost their quadratic form most of its digits.

        Parameters
        ----------
        contrasts : array_like
            Coefficients, shape (q, p); those of dropped columns do not count.

        Returns
        -------
        ndarray
            Shape (q,); NaN where the squares of numbers overflow.
        """
        kept = np.isfinite(self.params)
        whitened = self._contrasts(contrasts)[:, kept] @ self.root
        inner = whitened
        if self.uncertain is not None:
            inner = whitened @ self.uncertain.covariance
        with np.errstate(over="ignore"):
            found = self.scale * (inner * whitened).sum(axis=1)
        return np.where(np.isfinite(found), found, np.nan)

    def f_test(self, contrasts, values=0.0):
        """
        Test that some contrasts of the fixed effects have given values.

        Satterthwaite's denominator degrees of freedom are Fai and Cornelius' (1996),
        as in lmerTest: they depend a little on which contrasts stand for the
        hypothesis, because their covariance is decomposed into principal components.

        Parameters
        ----------
        contrasts : array_like
            Coefficients L, shape (q, p). Rows that depend linearly on others add
            nothing; rows that involve a column that was dropped are left out.
        values : array_like, optional
            What L beta is under the hypothesis, shape (q,). Default is 0.

        Returns
        -------
        FTest
            NaN if nothing can be tested, or if Kenward and Roger's method has no F
            distribution for it.

        Raises
        ------
        DataError
            If the values of linearly dependent contrasts contradict each other.

        Warns
        -----
        DataWarning
            If there is no such distribution.
        """
        contrasts = self._contrasts(contrasts)
        values = np.broadcast_to(np.asarray(values, dtype=float), len(contrasts))
        possible = self._estimable(contrasts)
        kept = np.isfinite(self.params)
        contrasts, values = contrasts[possible][:, kept], values[possible]
        whitened = contrasts @ self.root
        basis, errors = _reduced(whitened, contrasts, self.params[kept], values)
        q = len(basis)
        if not q:
            return FTest(np.nan, 0, np.nan, np.nan, np.nan)
        covariance, df, factor = np.eye(q), self.constant_df, 1.0
        if self.uncertain is not None and self.method == "satterthwaite":
            principal = np.linalg.svd(whitened, full_matrices=False)[2][:q]
            df = joint_df(self.uncertain.slopes, principal)
        elif self.uncertain is not None:
            covariance = basis @ self.uncertain.covariance @ basis.T
            df, factor = scaled_f(self.uncertain.slopes, basis)
        wald = errors @ np.linalg.solve(covariance, errors) / self.scale
        statistic = factor * wald / q
        if np.isnan(df):
            warn(NO_F, DataWarning)
        if np.isinf(df):
            pvalue = stats.chi2.sf(statistic * q, q)
        else:
            pvalue = stats.f.sf(statistic, q, df)
        return FTest(float(statistic), q, float(df), float(pvalue), float(wald / q))

    def _contrasts(self, contrasts):
        """Contrasts as a matrix with a column for each fixed effect."""
        rows = np.asarray(contrasts, dtype=float)
        rows = rows[None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or rows.shape[1] != len(self.params):
            raise ValueError(
                f"contrasts need {len(self.params)} coefficients, one for each fixed "
                f"effect; got an array of shape {np.shape(contrasts)}"
            )
        return rows

    def _estimable(self, contrasts):
        """Whether each contrast involves only columns that were kept."""
        return (contrasts[..., np.isnan(self.params)] == 0.0).all(axis=-1)


def inference(results, df_method=None):
    """
    Covariance, degrees of freedom and F tests of the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    df_method : {None, "asymptotic", "residual", "satterthwaite", "kenward-roger"}
        Normal and chi-squared distributions, also if it is None; rows less the rank
        of X; the method of Satterthwaite as Giesbrecht and Burns (1985) and Fai and
        Cornelius (1996) apply it; or that of Kenward and Roger (1997), with their
        adjusted covariance. The last two are lmerTest's and pbkrtest's.

    Returns
    -------
    FixedInference
        Found once for each method.

    Raises
    ------
    ValueError
        If the method is unknown, or is one of the last two and the model is not linear.
    DataError
        If Kenward and Roger's method is asked for after maximum likelihood, or if
        the data of the model were removed.

    References
    ----------
    See `statsmodels_lmm.core.uncertainty.small_sample`.
    """
    results = as_fit(results)
    method = "asymptotic" if df_method is None else df_method
    check_choice("df_method", method, METHODS)
    key = "df", method
    if key not in results._cache:
        results._cache[key] = _inference(results, method)
    return results._cache[key]


def _inference(results, method):
    covariance = results.normalized_cov_params * results.scale
    kept = np.isfinite(results.params)
    root = results._estimates.fixed_root
    if method in ("asymptotic", "residual"):
        df = results.df_resid if method == "residual" else np.inf
        return FixedInference(
            method, results.params, covariance, results.scale, root, df
        )
    require_gaussian(results, f"df_method={method!r}")
    if method == "kenward-roger" and not results.reml:
        raise DataError(
            "Kenward and Roger's method is defined for REML: refit with reml=True"
        )
    require_data(results.model, f"df_method={method!r}")
    deviance = results.at_optimum
    if method == "satterthwaite":
        uncertain = satterthwaite(deviance)
    else:
        uncertain = kenward_roger(deviance)
        adjusted = root @ uncertain.covariance @ root.T * results.scale
        covariance[np.ix_(kept, kept)] = adjusted
    return FixedInference(
        method, results.params, covariance, results.scale, root, uncertain=uncertain
    )


def _reduced(whitened, contrasts, params, values):
    """
    Orthonormal contrasts with the same span, and by how much they miss their values.

    Parameters
    ----------
    whitened : ndarray
        The contrasts as coefficients of uncorrelated estimates, shape (q, p).
    contrasts : ndarray
        The contrasts themselves, shape (q, p).
    params : ndarray
        Fixed effects, shape (p,).
    values : ndarray
        Values under the hypothesis, shape (q,).

    Returns
    -------
    basis : ndarray
        Shape (rank, p).
    errors : ndarray
        Shape (rank,).
    """
    sizes = np.linalg.norm(whitened, axis=1)
    sizes = np.where(sizes > 0.0, sizes, 1.0)
    left, singular, basis = np.linalg.svd(whitened / sizes[:, None], full_matrices=True)
    rank = int((singular > RANK_TOLERANCE * singular.max(initial=0.0)).sum())
    errors = left.T @ ((contrasts @ params - values) / sizes)
    magnitude = (np.abs(contrasts) @ np.abs(params) + np.abs(values)) / sizes
    if (np.abs(errors[rank:]) > RANK_TOLERANCE * magnitude.max(initial=0.0)).any():
        raise DataError(
            "the hypothesis contradicts itself: some of its contrasts depend linearly "
            "on others, but their values do not"
        )
    return basis[:rank], errors[:rank] / singular[:rank]
