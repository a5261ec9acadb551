"""Degrees of freedom and F tests for the fixed effects."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import stats

from statsmodels_lmm.core.uncertainty.cluster_robust import ClusterRobust
from statsmodels_lmm.core.uncertainty.recession import speeds, without_motion
from statsmodels_lmm.core.uncertainty.small_sample import (
    UncertainCovariance,
    kenward_roger,
    satterthwaite,
)
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.requirements import (
    as_fit,
    check_choice,
    require_gaussian,
    require_sums,
)

SMALL_SAMPLE = ("satterthwaite", "kenward-roger")
"""Methods with separate degrees of freedom for every contrast."""

DF_METHODS = ("asymptotic", "residual", *SMALL_SAMPLE)

SPELLINGS = {"kr": "kenward-roger", "s": "satterthwaite", "z": "asymptotic"}
"""Short names of methods, in lower case."""

NO_F = (
    "Kenward and Roger's method finds no F distribution for a joint test: its "
    "denominator degrees of freedom would be negative, because the data say too "
    "little about the variances. The test is NaN; use Satterthwaite's method or the "
    "bootstrap"
)

TOO_FEW = (
    "the clusters are too few for a joint test of so many contrasts: their "
    "cluster-robust covariance is singular or has too few degrees of freedom. The test "
    "is NaN; test fewer contrasts, or use the covariance of the model"
)

RANK_TOLERANCE = 1e-8
"""Singular values of standardized contrasts, relative to the largest, taken as 0."""

OF_FORMULA = ("containment", "contain", "between-within", "betwithin")
"""Degrees of freedom of SAS, nlme and mmrm that count rows and levels of a formula."""


def df_method_of(name):
    """
    A method of degrees of freedom by any of its names.

    Parameters
    ----------
    name : str or None
        A name in `DF_METHODS` or `SPELLINGS`, in upper or lower case, as in lmerTest's
        "Kenward-Roger".

    Returns
    -------
    str or None
        A name in `DF_METHODS`, or None.

    Raises
    ------
    ValueError
        If there is no such method.
    """
    method = name.lower().replace("_", "-") if isinstance(name, str) else name
    method = SPELLINGS.get(method, method) if isinstance(method, str) else method
    if method in OF_FORMULA:
        raise ValueError(
            f"df_method={name!r} would follow from the formula and not from the data; "
            "in balanced designs df_method='satterthwaite' is the same"
        )
    check_choice("df_method", method, (None, *DF_METHODS))
    return method


@dataclass(frozen=True)
class FTest:
    """
    A joint F test of several contrasts.

    Parameters
    ----------
    statistic : float
        F, scaled under Kenward and Roger's method and in Hotelling's T^2.
    df_num : int
        Rank of the contrasts.
    df_denom : float
        Denominator degrees of freedom, infinite for a chi-squared test of
        ``df_num * statistic``.
    pvalue : float
        Probability of a larger statistic.
    unscaled : float
        F before scaling.
    """

    statistic: float
    df_num: int
    df_denom: float
    pvalue: float
    unscaled: float


@dataclass(frozen=True, eq=False, repr=False)
class FixedInference(Brief):
    """
    Estimates, covariance and degrees of freedom of the fixed effects.

    Parameters
    ----------
    method : {"asymptotic", "residual", "satterthwaite", "kenward-roger"}
        Source of the degrees of freedom.
    params : ndarray
        Fixed effects, NaN for dropped columns, shape (p,).
    covariance : ndarray
        Covariance of the fixed effects, NaN for dropped columns, shape (p, p).
    scale : float
        Residual variance sigma^2.
    root : ndarray
        A square root of the unadjusted covariance matrix of the fixed effects of the r
        columns kept, divided by sigma^2, shape (r, r); its rows are NaN for what has no
        variance.
    constant_df : float
        Degrees of freedom of every contrast, if they are all the same.
    uncertain : UncertainCovariance, ClusterRobust or None
        Uncertainty of the covariance, if they differ or it is not that of the model.
    recession : ndarray or None
        Directions in which the likelihood increases forever, shape (r, k).
    """

    method: str
    params: np.ndarray
    covariance: np.ndarray
    scale: float
    root: np.ndarray
    constant_df: float = np.inf
    uncertain: UncertainCovariance | ClusterRobust | None = None
    recession: np.ndarray | None = None

    def _brief(self):
        return [f"{self.method}, {len(self.params)} fixed effects"]

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
            NaN if the contrast involves a dropped column or is infinite, or if its
            variance is not determined. By the methods of Satterthwaite and of
            Kenward and Roger, a contrast of zeros has no error and infinite degrees of
            freedom.
        """
        contrast = self._contrasts(contrast)[0]
        if not self._estimable(contrast):
            return np.nan
        if self.uncertain is None:
            return self.constant_df
        return self.uncertain.df(self._whitened(contrast[None])[0])

    def variances(self, contrasts):
        """
        Variances of contrasts of the fixed effects.

        They are computed from a square root of the covariance, because columns of X
        with a large mean would cost the quadratic form most of its digits.

        Parameters
        ----------
        contrasts : array_like
            Coefficients, shape (q, p); those of dropped columns are ignored.

        Returns
        -------
        ndarray
            Shape (q,); NaN where squares overflow, a contrast is infinite, or a single
            cluster determines it.
        """
        contrasts = self._contrasts(contrasts)
        whitened = self._whitened(contrasts)
        inner = self._inner(whitened)
        with np.errstate(over="ignore"):
            variances = self.scale * (inner * whitened).sum(axis=1)
        known = np.isfinite(variances) & ~self.involves_infinity(contrasts)
        known &= ~self._undetermined(whitened)
        return np.where(known, variances, np.nan)

    def covariances(self, contrasts):
        """
        Covariances of contrasts of the fixed effects that are determined.

        Parameters
        ----------
        contrasts : array_like
            Coefficients, shape (q, p); those of dropped columns are ignored.

        Returns
        -------
        ndarray
            Shape (q, q).
        """
        whitened = self._whitened(self._contrasts(contrasts))
        return self.scale * (self._inner(whitened) @ whitened.T)

    def f_test(self, contrasts, values=0.0):
        """
        Test that contrasts of the fixed effects have given values.

        Satterthwaite's denominator degrees of freedom are those of Fai and Cornelius
        (1996), as in lmerTest. They depend slightly on the contrasts that represent
        the hypothesis, because these are decomposed into principal components. With a
        cluster-robust covariance the test is Hotelling's T^2 with the degrees of
        freedom of Pustejovsky and Tipton (2018), "HTZ" in clubSandwich.

        Parameters
        ----------
        contrasts : array_like
            Coefficients L, shape (q, p). Linearly dependent rows add nothing; rows
            that involve a dropped column, or whose variance is not determined, are left
            out. Of infinite contrasts, the combinations that are finite are tested.
        values : array_like, optional
            Values of L beta under the hypothesis, shape (q,). Default is 0.

        Returns
        -------
        FTest
            The test, NaN if nothing can be tested, Kenward and Roger's method finds
            no F distribution, or there are too few clusters.

        Raises
        ------
        DataError
            If the values of linearly dependent contrasts contradict each other.

        Warns
        -----
        DataWarning
            If Kenward and Roger's method finds no F distribution, or there are too few
            clusters.
        """
        contrasts = self._contrasts(contrasts)
        values = np.broadcast_to(np.asarray(values, dtype=float), len(contrasts))
        possible = self._involves_kept(contrasts)
        kept = np.isfinite(self.params)
        contrasts, values = contrasts[possible], values[possible]
        finite = without_motion(contrasts[:, kept], self._recession)
        contrasts, values = finite @ contrasts, finite @ values
        whitened, contrasts = self._whitened(contrasts), contrasts[:, kept]
        known = ~self._undetermined(whitened)
        whitened, contrasts, values = whitened[known], contrasts[known], values[known]
        basis, errors = _reduced(whitened, contrasts, self.params[kept], values)
        q = len(basis)
        if not q:
            return FTest(np.nan, 0, np.nan, np.nan, np.nan)
        covariance, df, factor = np.eye(q), self.constant_df, 1.0
        if self.uncertain is not None:
            covariance = self.uncertain.restricted(basis)
            df, factor = self.uncertain.joint(whitened, basis)
        wald = errors @ np.linalg.solve(covariance, errors) / self.scale
        statistic = factor * wald / q
        if np.isnan(df) or np.isnan(wald):
            warn(NO_F if self.method == "kenward-roger" else TOO_FEW, DataWarning)
        if np.isinf(df):
            pvalue = stats.chi2.sf(statistic * q, q)
        else:
            pvalue = stats.f.sf(statistic, q, df)
        return FTest(float(statistic), q, float(df), float(pvalue), float(wald / q))

    def _contrasts(self, contrasts):
        """Contrasts as a matrix with one column per fixed effect."""
        rows = np.asarray(contrasts, dtype=float)
        rows = rows[None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or rows.shape[1] != len(self.params):
            raise ValueError(
                f"contrasts need {len(self.params)} coefficients, one for each fixed "
                f"effect; got an array of shape {np.shape(contrasts)}"
            )
        return rows

    def involves_infinity(self, contrasts):
        """
        Whether contrasts are infinite, or have no variance.

        Parameters
        ----------
        contrasts : ndarray
            Coefficients, shape (..., p).

        Returns
        -------
        ndarray
            Booleans, shape (...).
        """
        kept = contrasts[..., np.isfinite(self.params)]
        return (speeds(kept, self._recession) != 0.0).any(axis=-1)

    @cached_property
    def _recession(self):
        """Directions in which contrasts are infinite or have no variance."""
        lost = np.eye(len(self.root))[:, np.isnan(self.root).any(axis=1)]
        return lost if self.recession is None else np.hstack([lost, self.recession])

    def _whitened(self, contrasts):
        """Contrasts as coefficients of uncorrelated estimates, shape (q, r)."""
        root = np.where(np.isnan(self.root), 0.0, self.root)
        return contrasts[..., np.isfinite(self.params)] @ root

    def _inner(self, whitened):
        """Whitened contrasts times the covariance of the uncorrelated estimates."""
        if self.uncertain is None:
            return whitened
        return whitened @ self.uncertain.covariance

    def _estimable(self, contrasts):
        """Whether each contrast involves only columns that were kept, and numbers."""
        known = ~self._undetermined(self._whitened(contrasts))
        known &= self._involves_kept(contrasts)
        return known & ~self.involves_infinity(contrasts)

    def _involves_kept(self, contrasts):
        """Whether each contrast involves only columns that were kept."""
        return (contrasts[..., np.isnan(self.params)] == 0.0).all(axis=-1)

    def _undetermined(self, whitened):
        """Whether the variance of each contrast is not determined."""
        if self.uncertain is None:
            return np.zeros(whitened.shape[:-1], dtype=bool)
        return self.uncertain.undetermined(whitened)


def inference(results, df_method=None):
    """
    Covariance, degrees of freedom and F tests for the fixed effects.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    df_method : {None, "asymptotic", "residual", "satterthwaite", "kenward-roger"}
        Normal and chi-squared distributions, as for None; rows minus the rank of X;
        Satterthwaite's method in the form of Giesbrecht and Burns (1985) and Fai and
        Cornelius (1996); or that of Kenward and Roger (1997), with their adjusted
        covariance. The last two are those of lmerTest and pbkrtest. With a
        cluster-robust covariance "residual" is the number of clusters minus one, and
        Satterthwaite's method is that of Pustejovsky and Tipton (2018).

    Returns
    -------
    FixedInference
        Computed once per method.

    Raises
    ------
    ValueError
        If the method is unknown, or is one of the last two and the model is not linear,
        or that of Kenward and Roger with a cluster-robust covariance.
    DataError
        If Kenward and Roger's method is requested after maximum likelihood, the data
        of the model have been removed, or random effects cross the clusters.

    References
    ----------
    See `statsmodels_lmm.core.uncertainty.small_sample`.
    """
    results = as_fit(results)
    method = df_method_of(df_method) or "asymptotic"
    key = "df", method
    if key not in results._cache:
        results._cache[key] = _inference(results, method)
    return results._cache[key]


def _inference(results, method):
    if results._robust is not None:
        return _robust_inference(results, method)
    covariance = results.normalized_cov_params * results.scale
    kept = np.isfinite(results.params)
    root = results._estimates.fixed_root
    if method in ("asymptotic", "residual"):
        df = results._residual_df if method == "residual" else np.inf
        unit, recession = results._unit, results.unbounded.basis(len(root))
        return FixedInference(
            method, results.params, covariance, unit, root, df, recession=recession
        )
    instead = "df_method='asymptotic', or fixed_effect_tests(method='lrt')"
    require_gaussian(results, f"df_method={method!r}", instead)
    if method == "kenward-roger" and not results.reml:
        raise DataError(
            "Kenward and Roger's method is defined only for REML: refit with reml=True"
        )
    require_sums(results.model, f"df_method={method!r}")
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


def _robust_inference(results, method):
    """Inference with a cluster-robust covariance."""
    if method == "kenward-roger":
        raise ValueError(
            "Kenward and Roger's method adjusts the covariance of the model, not a "
            "cluster-robust one: use df_method='satterthwaite'"
        )
    robust, df = results._robust.estimate, np.inf
    if method == "satterthwaite":
        require_gaussian(results, f"df_method={method!r}")
        if results._robust.crossing:
            raise DataError(
                "Satterthwaite's degrees of freedom need clusters that contain the "
                f"levels of all random effects, but {results._robust.crossing}: use "
                "df_method='residual', the number of clusters minus one"
            )
    else:
        df = results._residual_df if method == "residual" else np.inf
        robust = replace(robust, constant_df=df)
    params, root = results.params, results._estimates.fixed_root
    covariance = np.full((len(params),) * 2, np.nan)
    kept = np.isfinite(params)
    within = results._unit * (root @ robust.covariance @ root.T)
    unknown = robust.undetermined(root)
    within[unknown], within[:, unknown] = np.nan, np.nan
    covariance[np.ix_(kept, kept)] = within
    covariance[np.isnan(results.normalized_cov_params)] = np.nan
    unit, recession = results._unit, results.unbounded.basis(len(root))
    return FixedInference(method, params, covariance, unit, root, df, robust, recession)


def _reduced(whitened, contrasts, params, values):
    """
    Orthonormal contrasts with the same span, and their deviations from the hypothesis.

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
