"""Methods of results for tests, intervals and the functions of `inference`."""

from copy import copy
from functools import cached_property
from typing import Any, Self

import numpy as np
from statsmodels.base.model import LikelihoodModelResults
from statsmodels.stats.contrast import ContrastResults

from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.inference.comparison.anova import (
    anova,
    drop1,
    fixed_effect_tests,
    random_effect_tests,
    ranova,
)
from statsmodels_lmm.inference.comparison.exact_likelihood_ratio import exact_lr_test
from statsmodels_lmm.inference.comparison.likelihood_ratio import compare
from statsmodels_lmm.inference.comparison.reduced_models import drop_fixed, drop_random
from statsmodels_lmm.inference.deletion.influence import influence
from statsmodels_lmm.inference.derived.derived import derive
from statsmodels_lmm.inference.derived.heritability import heritability
from statsmodels_lmm.inference.fixed import (
    contrasts,
    degrees_of_freedom,
    robust_covariance,
)
from statsmodels_lmm.inference.fixed.collinearity import vif
from statsmodels_lmm.inference.fixed.degrees_of_freedom import SMALL_SAMPLE
from statsmodels_lmm.inference.fixed.standardized import standardized
from statsmodels_lmm.inference.marginal.joint_tests import joint_tests
from statsmodels_lmm.inference.marginal.marginal_means import (
    marginal_means,
    marginal_slopes,
)
from statsmodels_lmm.inference.power.power import power, power_curve
from statsmodels_lmm.inference.prediction.prediction import get_prediction
from statsmodels_lmm.inference.prediction.prediction_variance import joint_covariance
from statsmodels_lmm.inference.replicates.bootstrap import bootstrap
from statsmodels_lmm.inference.replicates.bootstrap_intervals import INTERVALS
from statsmodels_lmm.inference.replicates.simulated_residuals import simulated_residuals
from statsmodels_lmm.inference.replicates.simulation import refit, simulate
from statsmodels_lmm.inference.requirements import check_alpha
from statsmodels_lmm.inference.tidy import augment, glance, tidy
from statsmodels_lmm.inference.variances.explained_variance import (
    icc,
    r_squared,
    repeatability,
)
from statsmodels_lmm.inference.variances.profile import profile
from statsmodels_lmm.inference.variances.variance_parameters import (
    variance_covariance,
    variance_table,
)
from statsmodels_lmm.keywords import refuse_r_names

BY_DF_METHOD = ("inference", "cov_params_default", "df_resid_inference")
"""Cached values that depend on the kind of degrees of freedom."""


class MixedInference(LikelihoodModelResults):
    """
    Mixin with the inference methods of the results of a mixed model.

    Attributes
    ----------
    df_method : str
        Source of the degrees of freedom of the fixed effects; see `with_df_method`.
    """

    df_method = "asymptotic"

    _cov_types: tuple = ("nonrobust",)
    """Covariances of the fixed effects that are not cluster-robust."""

    _robust: robust_covariance.RobustCovariance | None = None
    """The cluster-robust covariance, if one was chosen."""

    with_cov_type = robust_covariance.with_cov_type

    def with_df_method(self, df_method: str) -> Self:
        """
        Return the results with other degrees of freedom for the fixed effects.

        Standard errors, tests and intervals of the fixed effects change accordingly.
        Other packages see the Kenward-Roger covariance but use their own degrees of
        freedom: n - p in those that read `df_resid`; infinite ones in pymmeans, of
        which `fe_params` warns.

        Parameters
        ----------
        df_method : str
            "asymptotic", normal and chi-squared tests; "residual", t and F tests
            with n - p degrees of freedom, or with a cluster-robust covariance the
            number of clusters minus one; "satterthwaite" or "kenward-roger", t and F
            tests with separate degrees of freedom for each contrast, see
            `inference.fixed.degrees_of_freedom.inference`. The last has options:
            "kenward-roger(linear)" leaves out the second derivatives of the covariance
            matrix, as SAS's ``DDFM=KR(LINEAR)``; with "expected" or "observed" in the
            parentheses the information about the variances is of that kind. Default
            is "expected" for independent errors, as in pbkrtest, and "observed" with
            ``residual=`` or ``dispersion=``, as in SAS.

        Returns
        -------
        CrossedMixedLMResults
        """
        other = copy(self)
        for name in BY_DF_METHOD:
            other.__dict__.pop(name, None)
        other.inference = degrees_of_freedom.inference(self, df_method)
        other.df_method = other.inference.method
        other.use_t = other.df_method != "asymptotic"
        other._cache = {("df", other.df_method): other.inference}
        return other

    @cached_property
    def inference(self):
        """Inference for the fixed effects by `df_method`, a FixedInference."""
        return degrees_of_freedom.inference(self, self.df_method)

    @cached_property
    def cov_params_default(self):
        """Covariance of the fixed effects by `df_method`, which statsmodels reads."""
        return self.inference.covariance.copy()

    @cached_property
    def df_resid_inference(self):
        """Degrees of freedom of t tests by `df_method`, those of each fixed effect."""
        if self.df_method not in SMALL_SAMPLE:
            return self._residual_df
        return np.array([self.inference.df(c) for c in np.eye(len(self.params))])

    @property
    def _residual_df(self):
        """Clusters minus one if the covariance is cluster-robust; else `df_resid`."""
        if self._robust is None:
            return self.df_resid
        return self._robust.estimate.n_clusters - 1.0

    @property
    def without_robust_error(self) -> list[str]:
        """Names of the fixed effects that a single cluster determines."""
        if self._robust is None:
            return []
        unknown = self._robust.estimate.undetermined(self._estimates.fixed_root)
        return [self.model.exog_names[j] for j in self._estimates.kept[unknown]]

    @property
    def _cov_kwds(self):
        """The groups of a cluster-robust covariance, as for ``fit``; else empty."""
        if self._robust is None or self._robust.codes is None:
            return {}
        return {"groups": self._robust.groups(self.model)}

    @property
    def _chosen_df_method(self):
        """The `df_method` asked for, even if it is the default; else None."""
        return vars(self).get("df_method")

    def _by(self, df_method):
        """These results, with other degrees of freedom if given."""
        if df_method in (None, self._chosen_df_method):
            return self
        return self.with_df_method(df_method)

    def wald_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        use_f: Any = None,
        df_constraints: Any = None,
        scalar: bool = True,
        *,
        df_method: str | None = None,
    ) -> ContrastResults:
        """
        Wald test; see `LikelihoodModelResults.wald_test`.

        Constraints that the data do not determine, such as those on columns dropped
        as redundant, are left out.

        Parameters
        ----------
        r_matrix : array_like, str or tuple
            The constraints.
        cov_p, invcov, use_f, df_constraints, scalar : optional
            As in statsmodels; a covariance matrix given here is used unchanged.
        df_method : str, optional
            Degrees of freedom, see `with_df_method`; an F test unless "asymptotic".

        Returns
        -------
        ContrastResults
        """
        asked = cov_p, invcov, use_f, df_constraints, scalar
        return contrasts.wald_test(self._by(df_method), r_matrix, *asked)

    def f_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        invcov: Any = None,
        *,
        df_method: str | None = None,
    ) -> ContrastResults:
        """
        F test; see `LikelihoodModelResults.f_test`.

        Parameters
        ----------
        r_matrix : array_like, str or tuple
            The constraints.
        cov_p, invcov : optional
            As in statsmodels.
        df_method : str, optional
            Degrees of freedom, see `with_df_method`; residual if "asymptotic".

        Returns
        -------
        ContrastResults
        """
        other = self._by(df_method)
        return super(MixedInference, other).f_test(r_matrix, cov_p, invcov)

    def t_test(
        self,
        r_matrix: Any,
        cov_p: Any = None,
        use_t: Any = None,
        *,
        df_method: str | None = None,
    ) -> ContrastResults:
        """
        Test single contrasts; see `LikelihoodModelResults.t_test`.

        Parameters
        ----------
        r_matrix : array_like, str or tuple
            The contrasts. Those that the data do not determine, such as one on a
            dropped column, are NaN.
        cov_p, use_t : optional
            As in statsmodels; a covariance matrix given here is used unchanged.
        df_method : str, optional
            Degrees of freedom, see `with_df_method`; t tests unless "asymptotic".

        Returns
        -------
        ContrastResults
        """
        return contrasts.t_test(self._by(df_method), r_matrix, cov_p, use_t)

    def wald_test_terms(
        self,
        skip_single: bool = False,
        extra_constraints: Any = None,
        combine_terms: Any = None,
        scalar: bool = True,
        *,
        df_method: str | None = None,
    ) -> Any:
        """
        Wald tests by term; see `LikelihoodModelResults.wald_test_terms`.

        Parameters
        ----------
        skip_single, extra_constraints, combine_terms, scalar : optional
            As in statsmodels.
        df_method : str, optional
            Degrees of freedom, see `with_df_method`; F tests unless "asymptotic".

        Returns
        -------
        WaldTestResults
        """
        other = self._by(df_method)
        asked = skip_single, extra_constraints, combine_terms, scalar
        with formula_engine(getattr(self.model.data, "engine", None)):
            return super(MixedInference, other).wald_test_terms(*asked)

    def t_test_pairwise(
        self,
        term_name: str,
        method: str = "hs",
        alpha: float = 0.05,
        factor_labels: Any = None,
        *,
        df_method: str | None = None,
    ) -> Any:
        """
        Compare levels pairwise; see `LikelihoodModelResults.t_test_pairwise`.

        Parameters
        ----------
        term_name : str
            The factor, as in the formula.
        method, alpha, factor_labels : optional
            Adjustment of the p-values, one minus the level, and names of the levels,
            as in statsmodels.
        df_method : str, optional
            Degrees of freedom, see `with_df_method`; t tests unless "asymptotic".

        Returns
        -------
        MultiCompResult
        """
        other = self._by(df_method)
        asked = term_name, method, alpha, factor_labels
        with formula_engine(getattr(self.model.data, "engine", None)):
            return super(MixedInference, other).t_test_pairwise(*asked)

    @refuse_r_names("level")
    def conf_int(
        self,
        alpha: float = 0.05,
        method: str = "wald",
        df_method: str | None = None,
        **options: Any,
    ) -> Any:
        """
        Compute confidence intervals.

        Parameters
        ----------
        alpha : float, optional
            One minus the level.
        method : str, optional
            "wald", intervals for the fixed effects from their standard errors;
            "profile", for all parameters from their profile likelihoods, see
            `profile`; or a bootstrap method, "basic", "normal", "studentized",
            "percentile" or "all", see `bootstrap`.
        df_method : str, optional
            Degrees of freedom of Wald intervals; see `with_df_method`.
        **options
            Passed on to `profile` or `bootstrap`.

        Returns
        -------
        DataFrame
            Lower and upper limits, one row per parameter; for "wald" the fixed effects
            alone, as an array of shape (p, 2) if the model was built from arrays.
        """
        if method != "wald" and df_method is not None:
            raise ValueError("df_method applies to Wald intervals only")
        if method == "profile":
            return profile(self, **options).conf_int(alpha)
        if method != "wald":
            if method not in (*INTERVALS, "all"):
                raise ValueError(
                    "method must be wald, profile, basic, normal, studentized, "
                    f"percentile or all, not {method!r}"
                )
            return bootstrap(self, **options).conf_int(method, alpha)
        if options:
            raise TypeError(f"unknown argument {', '.join(sorted(options))}")
        check_alpha(alpha)
        ends = super(MixedInference, self._by(df_method)).conf_int(alpha)
        return ends.reshape(-1, 2)

    # inference: functions of a result that are also methods ------------------

    variance_parameters = variance_table
    cov_variance_parameters = variance_covariance
    tidy = tidy
    glance = glance
    augment = augment
    r_squared = r_squared
    icc = icc
    repeatability = repeatability
    derive = derive
    heritability = heritability
    get_influence = influence
    simulate = simulate
    simulated_residuals = simulated_residuals
    refit = refit
    bootstrap = bootstrap
    power = power
    power_curve = power_curve
    profile = profile
    compare_lr_test = compare
    exact_lr_test = exact_lr_test
    vif = vif
    standardized = standardized
    anova = anova
    fixed_effect_tests = fixed_effect_tests
    random_effect_tests = random_effect_tests
    ranova = ranova
    drop1 = drop1
    drop_fixed = drop_fixed
    drop_random = drop_random
    get_prediction = get_prediction
    marginal_means = marginal_means
    marginal_slopes = marginal_slopes
    joint_tests = joint_tests
    joint_covariance = joint_covariance
