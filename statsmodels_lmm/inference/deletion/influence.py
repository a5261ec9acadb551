"""Influence of single rows and groups of rows on a fit."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

import numpy as np
import pandas as pd
from scipy import stats

from statsmodels_lmm.core.rows.standardize import independent_columns
from statsmodels_lmm.core.uncertainty.case_deletion import (
    Deletions,
    delete_groups,
    delete_rows,
)
from statsmodels_lmm.core.uncertainty.working_model import working_model
from statsmodels_lmm.display import Brief, captioned
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.deletion.case_refits import (
    NOT_DETERMINED,
    as_deletions,
    refits_without,
    refitted_variances,
)
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_exact,
    require_independent_errors,
)
from statsmodels_lmm.inference.row_groups import row_groups


@dataclass(frozen=True, eq=False, repr=False)
class MixedInfluence(Brief):
    """
    Changes of the fit if each group of rows were left out.

    Series and DataFrames have one row per group. Values are NaN for dropped and
    infinite fixed effects, and for groups without which the fixed effects are not
    estimable.

    Parameters
    ----------
    results : CrossedMixedLMResults
        The fit.
    labels : Index
        The groups.
    deletions : Deletions
        The fits without each group.
    root : ndarray
        T, where T T' is the covariance of the fixed effects kept; it converts the
        coordinates of `deletions` to those of the fixed effects.
    not_estimable : Series
        Reason for each group that cannot be left out.
    variance_params_without : DataFrame or None
        Standard deviations and correlations of the random effects, sigma and theta
        without each group; None if theta was held fixed.
    converged : Series or None
        Whether each refit is a proved optimum; None if theta was held fixed.
    """

    results: Any
    labels: pd.Index
    deletions: Deletions
    root: np.ndarray
    not_estimable: pd.Series
    variance_params_without: pd.DataFrame | None = None
    converged: pd.Series | None = None

    def _fixed(self, values):
        """Values for the fixed effects kept, as a DataFrame of all."""
        model = self.results.model
        full = np.full((len(self.labels), model.exog.shape[1]), np.nan)
        full[:, np.isfinite(self.results.params)] = values
        return pd.DataFrame(full, self.labels, model.exog_names)

    def _series(self, values, name):
        return pd.Series(values, self.labels, name=name)

    def _cooks(self, distance):
        """Distances divided by p, and their tail probabilities as in statsmodels."""
        p = self.deletions.change.shape[1]
        distance = distance / p if p else np.full(len(distance), np.nan)
        pvalues = stats.f.sf(distance, p, self.results.df_resid)
        return self._series(distance, "cooks_d"), self._series(pvalues, "pvalue")

    @cached_property
    def dfbeta(self) -> pd.DataFrame:
        """Fixed effects minus those without each group, groups x p."""
        return self._fixed(self.deletions.change @ self.root.T)

    @cached_property
    def params_without(self) -> pd.DataFrame:
        """Fixed effects without each group, groups x p."""
        return self.results.params - self.dfbeta

    @cached_property
    def scale_without(self) -> pd.Series:
        """Residual variance sigma^2 without each group."""
        return self._series(self.results.scale * self.deletions.scale, "scale")

    @cached_property
    def bse_without(self) -> pd.DataFrame:
        """Standard errors of the fixed effects without each group, groups x p."""
        variances = self.deletions.variances(self.root)
        return self._fixed(np.sqrt(self.deletions.scale[:, None] * variances))

    @cached_property
    def dfbetas(self) -> pd.DataFrame:
        """`dfbeta` divided by `bse_without`, as in R's influence.ME, groups x p."""
        return self.dfbeta / self.bse_without

    @cached_property
    def cooks_distance(self) -> tuple[pd.Series, pd.Series]:
        """
        Cook's distances of the fixed effects, and p-values.

        A pair of Series. The distance is (beta - beta_g)' C^-1 (beta - beta_g) / p with
        the covariance C of the fit. R's lme4 and car multiply it by (m - p) / m for m
        groups; influence.ME uses the covariance without the group. The p-values come
        from an F distribution with p and df_resid degrees of freedom, as in
        statsmodels: a scale for judging the distance rather than a test.
        """
        return self._cooks((self.deletions.change**2).sum(axis=1))

    @cached_property
    def cov_ratio(self) -> pd.Series:
        """
        Determinant of the covariance of the fixed effects relative to that of the fit.

        Sigma is estimated without the group, as in statsmodels. Values below 1 mean
        that the fit is more precise without the group.
        """
        p = self.deletions.change.shape[1]
        values = self.deletions.scale**p * self.deletions.determinant
        return self._series(values, "cov_ratio")

    def _columns(self):
        return {"cooks_d": self.cooks_distance[0], "cov_ratio": self.cov_ratio}

    def _brief(self):
        what = f"{len(self.labels):,} deletions from"
        return [f"{what} {self.results.model._brief()[0]}", "see summary_frame()"]

    def _repr_html_(self):
        table = self.summary_frame().to_html(max_rows=60, show_dimensions=True)
        return captioned(self._brief()[:1], table)

    def summary_frame(self) -> pd.DataFrame:
        """
        Collect the measures in one table.

        Returns
        -------
        DataFrame
            `dfbetas` in columns named ``dfb_`` and the fixed effect; `cooks_distance`
            in cooks_d. Groups also have cov_ratio; rows, as in statsmodels, have
            standard_resid, hat_diag and student_resid, which are `resid_studentized`,
            `hat_matrix_diag` and `resid_studentized_external`.
        """
        columns = pd.DataFrame(self._columns(), index=self.labels)
        return pd.concat([self.dfbetas.add_prefix("dfb_"), columns], axis=1)


@dataclass(frozen=True, eq=False, repr=False)
class RowInfluence(MixedInfluence):
    """
    Changes of the fit if each row were left out; see `MixedInfluence`.

    If all variances of random effects are zero, the results are those of
    statsmodels' OLSInfluence.

    Parameters
    ----------
    leverages : ndarray
        Diagonal of the hat matrix, shape (n,).
    residuals : ndarray
        Residuals times the square root of the weights, divided by sigma, shape (n,).
    """

    leverages: np.ndarray = field(default_factory=lambda: np.zeros(0))
    residuals: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @cached_property
    def _spread(self):
        """1 - h; NaN for rows that cannot be left out."""
        possible = np.isfinite(self.deletions.scale)
        return np.where(possible, 1.0 - self.leverages, np.nan)

    @cached_property
    def hat_matrix_diag(self) -> pd.Series:
        """
        Leverage of each row, d yhat / d y, as in R's ``hatvalues``.

        The fitted values include the conditional modes; theta is treated as known. The
        sum of the leverages is the effective number of parameters.
        """
        return self._series(self.leverages, "hat_diag")

    @cached_property
    def resid_studentized(self) -> pd.Series:
        """Pearson residuals / sqrt(1 - h), as in R's ``rstudent`` for lme4."""
        values = self.residuals / np.sqrt(self._spread)
        return self._series(values, "standard_resid")

    @cached_property
    def resid_studentized_external(self) -> pd.Series:
        """`resid_studentized` with the residual variance estimated without the row."""
        values = self.residuals / np.sqrt(self._spread * self.deletions.scale)
        return self._series(values, "student_resid")

    @cached_property
    def dfbetas(self) -> pd.DataFrame:
        """
        `dfbeta` divided by standard errors with sigma estimated without the row, n x p.

        The standard errors use the design including the row, as in statsmodels.
        """
        variances = self.deletions.scale[:, None] * (self.root**2).sum(axis=1)
        return self.dfbeta / self._fixed(np.sqrt(variances))

    @cached_property
    def cooks_distance(self) -> tuple[pd.Series, pd.Series]:
        """
        Cook's distances as in R's ``cooks.distance`` for lme4, and p-values.

        A pair of Series. The distance is r^2 h / (1 - h) / p for a studentized residual
        r. It concerns the fitted values including conditional modes, whereas
        `cooks_distance` of groups concerns the fixed effects alone.
        """
        square = self.resid_studentized.to_numpy() ** 2
        return self._cooks(square * self.leverages / self._spread)

    def _columns(self):
        return {
            "cooks_d": self.cooks_distance[0],
            "standard_resid": self.resid_studentized,
            "hat_diag": self.hat_matrix_diag,
            "student_resid": self.resid_studentized_external,
        }


@overload
def influence(
    results: Any, group: None = None, refit: bool = False
) -> RowInfluence: ...


@overload
def influence(
    results: Any,
    group: Any,
    refit: bool = False,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> MixedInfluence: ...


def influence(
    results: Any,
    group: Any = None,
    refit: bool = False,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> MixedInfluence:
    """
    Measure the influence of single rows, or of groups of rows.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    group : str or array_like, optional
        Groups of rows to leave out: a grouping factor such as "Subject" or
        "batch:cask", a column of the data that the formula uses, or one label per row
        used. A Series is aligned with the rows if it has their labels. Default is to
        leave out one row at a time.
    refit : bool, optional
        Whether to estimate the variances anew without each group. By default the
        relative covariance parameters theta are held fixed, and everything else,
        including sigma, is exact without a refit. In a generalized model the fixed
        effects then change by one step of Fisher scoring, and the dispersion is held
        fixed, too.
    n_jobs : int, optional
        Number of workers for refits, as in joblib.
    progress : bool, optional
        Whether to show a progress bar of refits. Default is to show one after two
        seconds on a terminal, if tqdm is installed.

    Returns
    -------
    MixedInfluence
        A `RowInfluence` if `group` is None.

    Raises
    ------
    ImportError
        If `n_jobs` or `progress` needs a package that is not installed.
    DataError
        If the groups do not match the rows.
    ValueError
        If there is no such group, or `refit` is True without a group.

    Warns
    -----
    DataWarning
        If the fixed effects are not estimable without some group.

    References
    ----------
    Demidenko, E. and Stukel, T. A. (2005). Influence analysis for linear mixed-effects
    models. Statistics in Medicine 24, 893-909.
    Nieuwenhuis, R., te Grotenhuis, M. and Pelzer, B. (2012). influence.ME: tools for
    detecting influential data in mixed effects models. The R Journal 4(2), 38-47.
    """
    results = as_fit(results)
    require_data(results.model, "influence")
    require_independent_errors(results.model, "influence")
    require_exact(results, "influence")
    if group is None:
        if refit:
            raise ValueError(
                "refit=True needs a group; group=range(n) leaves out one row at a time"
            )
        return _of_rows(results)
    codes, labels = row_groups(results.model, group)
    if len(labels) < 2:
        raise DataError("group has only one value; without it no rows remain")
    if refit:
        return _by_refits(results, codes, labels, n_jobs, progress)
    deviance, data, root, working = _linear(results)
    deletions = delete_groups(deviance, data, codes, len(labels))
    if working is not None:
        deletions = working.with_known_scale(deletions)
    reasons = _reasons(results, deletions, codes)
    return MixedInfluence(results, labels, deletions, root, _reported(reasons, labels))


def _linear(results):
    """
    The linear model whose rows are left out, and the root of `MixedInfluence`.

    For a generalized model it is the working model, returned last; rows of the root
    are NaN for infinite coefficients.
    """
    if results._is_gaussian:
        data, _ = results.model._sufficient_statistics()
        return results.at_optimum, data, _root(results), None
    working = working_model(results.at_optimum)
    root = results._units.data.to_fixed @ working.root
    if results.unbounded.columns is not None:
        root[results.unbounded.columns] = np.nan
    return working.deviance, working.data, root, working


def _of_rows(results):
    """Influence of single rows."""
    deviance, data, root, working = _linear(results)
    deletions, leverages, residuals = delete_rows(deviance, data)
    if working is not None:
        deletions = working.with_known_scale(deletions)
        residuals = working.sigma * residuals
    codes = np.arange(len(leverages))
    labels = results.model.data.row_labels
    labels = pd.Index(codes if labels is None else labels)
    reasons = _reasons(results, deletions, codes)
    return RowInfluence(
        results,
        labels,
        deletions,
        root,
        _reported(reasons, labels),
        leverages=leverages,
        residuals=residuals,
    )


def _root(results):
    """A square root of the covariance; see `MixedInfluence`."""
    return np.sqrt(results._unit) * results._estimates.fixed_root


def _reasons(results, deletions, codes):
    """Reasons why groups cannot be left out, by code."""
    gone = np.flatnonzero(~np.isfinite(deletions.scale))
    return {g: _why_not(results, codes != g) for g in gone}


def _why_not(results, keep):
    """Why the remaining rows do not determine the fixed effects."""
    model = results.model
    kept = np.flatnonzero(np.isfinite(results.params))
    root = 1.0 if model.weights is None else np.sqrt(model.weights[keep])[:, None]
    columns = model.exog[np.ix_(keep, kept)] * root
    lost = np.delete(kept, independent_columns(columns).astype(int))
    if not len(lost):
        return "too few rows remain for the model"
    names = ", ".join(model.exog_names[j] for j in lost)
    return NOT_DETERMINED + names


def _reported(reasons, labels):
    """Reasons as a Series, with a warning if there are any."""
    lost = list(reasons)
    if lost:
        first = f"without {labels.name or 'row'} {labels[lost[0]]} {reasons[lost[0]]}"
        more = (
            f" (and {len(lost) - 1} more, see not_estimable)" if len(lost) > 1 else ""
        )
        warn(f"influence: {first}; NaN{more}", DataWarning)
    return pd.Series(list(reasons.values()), labels[lost], dtype=object, name="reason")


def _by_refits(results, codes, labels, n_jobs, progress):
    """Influence of groups, from refits that each omit one group."""
    fits, reasons = refits_without(results, codes, len(labels), n_jobs, progress)
    good = np.array(list(fits))
    table = refitted_variances(results.model, fits.values()).set_axis(labels[good])
    converged = [fit.converged for fit in fits.values()]
    root = _root(results)
    return MixedInfluence(
        results,
        labels,
        as_deletions(results, root, fits, len(labels)),
        root,
        _reported(reasons, labels),
        table.reindex(labels),
        pd.Series(converged, labels[good], name="converged"),
    )
