"""Estimates from several imputations of missing values, pooled by Rubin's rules."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.fixed.contrasts import FixedContrasts, hypotheses
from statsmodels_lmm.inference.requirements import as_fit, check_alpha


@dataclass(frozen=True)
class PooledResults:
    """
    Fixed effects pooled over imputed data sets.

    Parameters
    ----------
    params : Series
        Means of the estimates.
    within, between : DataFrame
        Mean of the covariance matrices of the fits, and covariance matrix of their
        estimates.
    df_complete : Series
        Degrees of freedom with which each effect would be tested in complete data.
    variances : Series
        Means of the variances and covariances of the random effects; empty if the
        fits have none.
    n_imputations : int
        Number of fits.
    """

    params: pd.Series
    within: pd.DataFrame = field(repr=False)
    between: pd.DataFrame = field(repr=False)
    df_complete: pd.Series
    variances: pd.Series
    n_imputations: int

    def cov_params(self) -> pd.DataFrame:
        """The covariance matrix, W + (1 + 1/m) B."""
        return self.within + (1.0 + 1.0 / self.n_imputations) * self.between

    @property
    def bse(self) -> pd.Series:
        """Standard errors."""
        return np.sqrt(self._diagonal(self.cov_params()))

    @property
    def fraction_by_imputation(self) -> pd.Series:
        """Share of each variance that is due to the missing values, lambda."""
        m = self.n_imputations
        between = (1.0 + 1.0 / m) * self._diagonal(self.between)
        return between / self._diagonal(self.cov_params())

    @property
    def df(self) -> pd.Series:
        """Degrees of freedom of Barnard and Rubin."""
        share, complete = self.fraction_by_imputation, self.df_complete
        # reciprocals, as both numbers may be infinite
        old = share**2 / (self.n_imputations - 1.0)
        observed = (1.0 + 2.0 / (complete + 1.0)) / complete / (1.0 - share)
        with np.errstate(divide="ignore"):
            return 1.0 / (old + observed)

    def conf_int(self, alpha: float = 0.05) -> pd.DataFrame:
        """Confidence intervals of level 1 - `alpha`, with columns lower and upper."""
        check_alpha(alpha)
        half = stats.t.isf(alpha / 2.0, self.df) * self.bse
        return pd.DataFrame({"lower": self.params - half, "upper": self.params + half})

    def summary_frame(self, alpha: float = 0.05) -> pd.DataFrame:
        """
        The table of the fixed effects.

        Parameters
        ----------
        alpha : float, optional
            One minus the level of the intervals.

        Returns
        -------
        DataFrame
            Columns estimate, std_error, statistic, df, p_value, lower, upper; riv, the
            relative increase in variance due to the missing values; and fmi, the
            fraction of missing information.
        """
        share, df = self.fraction_by_imputation, self.df
        statistic = self.params / self.bse
        riv = share / (1.0 - share)
        columns = {
            "estimate": self.params,
            "std_error": self.bse,
            "statistic": statistic,
            "df": df,
            "p_value": 2.0 * stats.t.sf(np.abs(statistic), df),
            **self.conf_int(alpha),
            "riv": riv,
            "fmi": (riv + 2.0 / (df + 3.0)) / (riv + 1.0),
        }
        return pd.DataFrame(columns, index=self.params.index)

    def wald_test(self, r_matrix: Any) -> FixedContrasts:
        r"""
        Test several coefficients or contrasts jointly.

        Parameters
        ----------
        r_matrix : str, list of str or array_like
            The hypotheses, as in statsmodels: ``"x = 0, z = 0"``, ``["x", "z"]``, or a
            matrix with a row for each and a column for each coefficient.

        Returns
        -------
        FixedContrasts
            An F test, with ``statistic``, ``df_num``, ``df_denom`` and ``pvalue``; NaN
            if some fit does not determine a coefficient.

        Raises
        ------
        ValueError
            If a hypothesis follows from the others or contradicts them.

        Notes
        -----
        A few fits determine the matrix B badly. The test takes it as proportional to W,

        .. math:: F = \frac{q' W_q^{-1} q}{k (1 + r)}, \quad
           r = \left(1 + \frac1m\right) \frac{\mathrm{tr}(B_q W_q^{-1})}{k},

        where q are the k contrasts, and :math:`W_q` and :math:`B_q` their matrices (Li,
        Raghunathan and Rubin 1991; ``D1`` in R's mice and mitml). The second degrees of
        freedom are those of Reiter (2007), which in large samples are those of Li et
        al.; :math:`\nu_0` is the smallest of the coefficients involved. Reiter's do not
        exist if :math:`k (m - 1) \le 4` or :math:`\nu_0` is very small. Then, and for a
        single contrast, the reciprocals of those of Li et al. and of
        :math:`\nu_0 (\nu_0 + 1) / (\nu_0 + 3) / (1 + r)` are added, so that the test of
        one coefficient is that of the table.

        References
        ----------
        Li, K. H., Raghunathan, T. E. and Rubin, D. B. (1991). Large-sample significance
        levels from multiply imputed data using moment-based statistics and an F
        reference distribution. Journal of the American Statistical Association 86,
        1065-1073.
        Reiter, J. P. (2007). Small-sample degrees of freedom for multi-component
        significance tests with multiple imputation for missing data. Biometrika 94,
        502-508.
        """
        given = hypotheses(r_matrix, list(self.params.index))
        used = (given.coefs != 0.0).any(axis=0)
        rows, k = given.coefs[:, used], len(given.coefs)
        if np.linalg.matrix_rank(rows) < k:
            raise ValueError(
                f"the {k} hypotheses are not independent: leave out those that follow "
                "from others"
            )
        q = rows @ self.params.to_numpy()[used] - given.constants[:, 0]
        if np.isnan(q).any():
            return FixedContrasts(F=np.nan, df_num=k, df_denom=np.nan)
        inner = np.ix_(used, used)
        inverse = np.linalg.inv(rows @ self.within.to_numpy()[inner] @ rows.T)
        between = rows @ self.between.to_numpy()[inner] @ rows.T
        riv = (1.0 + 1.0 / self.n_imputations) * np.trace(between @ inverse) / k
        statistic = q @ inverse @ q / k / (1.0 + riv)
        df = _denominator(
            k, self.n_imputations, riv, float(self.df_complete[used].min())
        )
        test = FixedContrasts(F=statistic, df_num=k, df_denom=df)
        if np.isinf(df):
            test.pvalue = stats.chi2.sf(k * statistic, k)
        return test

    def _diagonal(self, matrix):
        return pd.Series(np.diag(matrix), self.params.index)

    def __str__(self):
        return f"{self.n_imputations} imputations\n{self.summary_frame().to_string()}"

    def _repr_html_(self):
        return self.summary_frame().to_html()


def pool_imputations(fits: Any, df_complete: float | None = None) -> PooledResults:
    r"""
    Pool fits to several imputations of the missing values by Rubin's rules.

    With the mean W of the covariance matrices of m fits, and the covariance matrix B
    of their estimates, the covariance matrix of the mean estimates is

    .. math:: T = W + \left(1 + \frac1m\right) B,

    and with :math:`\lambda`, the share of B in a variance, each effect has

    .. math:: \frac1\nu = \frac{\lambda^2}{m - 1} + \left(\frac{\nu_0 + 1}{\nu_0 + 3}
       \nu_0 (1 - \lambda)\right)^{-1}

    degrees of freedom, where :math:`\nu_0` are those of complete data.

    Parameters
    ----------
    fits : sequence of MixedResults, RegressionResults or GLMResults
        Fits of one model to the imputed data sets.
    df_complete : float, optional
        :math:`\nu_0`. Default is the mean of those of the fits, infinite for a fit
        whose tests are asymptotic; see ``fit(df_method=...)``.

    Returns
    -------
    PooledResults
        The results; NaN for effects that some fit does not determine.

    Raises
    ------
    DataError
        If the fits have different fixed effects or numbers of rows.

    Warns
    -----
    DataWarning
        If a fit has not converged.

    References
    ----------
    Rubin, D. B. (1987). Multiple Imputation for Nonresponse in Surveys. Wiley.
    Barnard, J. and Rubin, D. B. (1999). Small-sample degrees of freedom with multiple
    imputation. Biometrika 86, 948-955.
    """
    raw = [as_fit(fit) for fit in fits]
    if len(raw) < 2:
        raise TypeError("at least two fits, to as many imputations, are needed")
    if df_complete is not None and not df_complete > 0.0:
        raise ValueError(f"df_complete must be positive, not {df_complete!r}")
    names = list(raw[0].model.exog_names)
    for number, fit in enumerate(raw, start=1):
        if list(fit.model.exog_names) != names:
            raise DataError(f"fit {number} has other fixed effects than fit 1")
        if fit.nobs != raw[0].nobs:
            raise DataError(
                f"fit {number} has {fit.nobs:.0f} rows and fit 1 has "
                f"{raw[0].nobs:.0f}: impute all missing values"
            )
        if not getattr(fit, "converged", True):
            warn(f"fit {number} has not converged", DataWarning)
    estimates = pd.DataFrame([np.asarray(fit.params) for fit in raw], columns=names)
    within = np.mean([np.asarray(fit.cov_params()) for fit in raw], axis=0)
    complete = np.full(len(names), df_complete, dtype=float)
    if df_complete is None:
        complete = np.mean([_df(fit, len(names)) for fit in raw], axis=0)
    between = np.atleast_2d(np.cov(estimates.to_numpy(), rowvar=False))
    return PooledResults(
        estimates.mean(skipna=False),
        pd.DataFrame(within, names, names),
        pd.DataFrame(between, names, names),
        pd.Series(complete, names),
        _mean_variances(raw),
        len(raw),
    )


def _denominator(k, m, riv, complete):
    """Second degrees of freedom of the F test of k contrasts over m imputations."""
    t = k * (m - 1.0)
    observed = complete / (1.0 + 2.0 / (complete + 1.0))
    a = riv * t / (t - 2.0) if t > 4.0 else np.inf
    if k > 1 and observed > 4.0 * (1.0 + a):
        inverse = 1.0 / (observed - 4.0 * (1.0 + a))
        ratio = 1.0 + 2.0 * (1.0 + a) * inverse
        imputed = ratio / (1.0 + a) ** 2
        imputed += 4.0 * inverse * (1.0 + 2.0 * ratio) / (1.0 + a)
        imputed += 4.0 * inverse**2 * (1.0 / ratio + 4.0 * ratio + 2.0)
        return 4.0 + 1.0 / (inverse + a**2 * imputed / (t - 4.0))
    relative = 1.0 + 1.0 / riv if riv > 0.0 else np.inf
    if k > 1 and t > 4.0:
        old = 4.0 + (t - 4.0) * (1.0 + (1.0 - 2.0 / t) * (relative - 1.0)) ** 2
    else:
        old = 0.5 * t * (1.0 + 1.0 / k) * relative**2
    inverse = 1.0 / old + (1.0 + riv) / observed
    return 1.0 / inverse if inverse > 0.0 else np.inf


def _df(fit, count):
    """Degrees of freedom of the tests of a fit, infinite for normal tests."""
    if not fit.use_t:
        return np.full(count, np.inf)
    return np.broadcast_to(getattr(fit, "df_resid_inference", fit.df_resid), count)


def _mean_variances(fits):
    """Means of the variances and covariances, by group and effects."""
    if not all(hasattr(fit, "variance_components") for fit in fits):
        return pd.Series(dtype=float, name="variance")
    keys = ["group", "effect1", "effect2"]
    tables = [fit.variance_components() for fit in fits]
    values = np.mean([table["variance"] for table in tables], axis=0)
    return pd.Series(values, pd.MultiIndex.from_frame(tables[0][keys]), name="variance")
