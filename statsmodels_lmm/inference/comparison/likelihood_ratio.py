"""Likelihood-ratio tests of nested models."""

from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.genmod import families
from statsmodels.regression.linear_model import CompareLRTestResult

from statsmodels_lmm.display import Brief, ResultTable
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inference.comparison.bootstrap_likelihood_ratio import (
    simulated_statistics,
)
from statsmodels_lmm.inference.comparison.exact_likelihood_ratio import (
    NO_STATISTIC,
    exact_lr_test,
)
from statsmodels_lmm.inference.comparison.nested_errors import (
    is_irregular,
    numbers_tested,
)
from statsmodels_lmm.inference.comparison.nested_models import (
    check_nested,
    check_same_data,
    deviance_without_effects,
    family_of,
    gain_of_random_effects,
    is_mixed,
    rank_of,
)
from statsmodels_lmm.inference.comparison.summed_models import have_same_fixed
from statsmodels_lmm.inference.replicates.simulation import check_count
from statsmodels_lmm.inference.requirements import as_fit

COUNTS = families.Binomial, families.Poisson, families.NegativeBinomial
"""Families of statsmodels without a dispersion."""

TESTS = ("chi2", "mixture", "bootstrap", "exact")

BOOTSTRAP, EXACT = 1000, 10_000
"""Default numbers of draws."""


class LikelihoodRatioResult(Brief, CompareLRTestResult):
    """
    statsmodels' ``CompareLRTestResult``, extended for variances on the boundary.

    Attributes
    ----------
    method : {"chi2", "mixture", "bootstrap", "exact"}
        Source of `pvalue`.
    pvalue_mixture : float
        p-value from the mixture of chi-squared distributions that the statistic
        follows if variances are zero under the restricted model (Self and Liang 1987;
        Stram and Lee 1994). If no variance is tested, it is the chi-squared p-value.
    refitted : bool
        Whether REML fits were refitted by maximum likelihood.
    draws : ndarray or None
        Statistics under the restricted model, for "bootstrap" and "exact".
    mc_se : float
        Error of the statistic due to the probes of fits by ``engine="krylov"``, the sum
        of both fits' Monte-Carlo standard errors; 0 for exact fits.
    """

    def __new__(
        cls,
        statistic,
        pvalue,
        df_diff,
        pvalue_mixture,
        refitted,
        method,
        draws=None,
        mc_se=0.0,
    ):
        """Create the tuple and set its attributes."""
        self = super().__new__(cls, statistic, pvalue, df_diff)
        self.pvalue_mixture, self.refitted = pvalue_mixture, refitted
        self.method, self.draws, self.mc_se = method, draws, mc_se
        return self

    def _brief(self):
        chance = {"chi2": "chi-squared"}.get(self.method, self.method)
        lines = [
            f"statistic = {self.statistic:.5g}, df = {self.df_diff:.4g}, "
            f"p = {self.pvalue:.4g} ({chance})"
        ]
        if self.method == "chi2" and self.pvalue_mixture < self.pvalue:
            mixture = f"p = {self.pvalue_mixture:.4g} from a mixture"
            lines.append(f"{mixture}, since variances of 0 are on the boundary")
        if self.mc_se:
            lines.append(f"Monte-Carlo error of the statistic: {self.mc_se:.1g}")
        return lines + ["refitted by maximum likelihood"] * bool(self.refitted)

    def __getnewargs__(self):
        more = self.pvalue_mixture, self.refitted, self.method, self.draws
        return (*self, *more, self.mc_se)


LEVELS = 0.05, 0.01
"""p-values that readers take for limits."""

UNSURE = (
    "the log-likelihoods are estimated from probes, and the error of the statistic, "
    "{:.1g}, could move p = {:.3g} across {}; use more probes in fit, or "
    'engine="exact"'
)

NO_DISTRIBUTION = (
    "the p-value is NaN: if errors are independent, the data do not determine all "
    "parameters of {}, so that the likelihood ratio has no chi-squared distribution; "
    "compare the models by aic"
)


@dataclass(frozen=True)
class Comparison:
    """
    Two nested fits with comparable likelihoods.

    Parameters
    ----------
    full : CrossedMixedLMResults
        Fit of the larger model.
    restricted : CrossedMixedLMResults, RegressionResults or None
        Fit of the smaller model; None for the full one without random effects.
    refitted : bool
        Whether REML fits were refitted by maximum likelihood.
    """

    full: Any
    restricted: Any
    refitted: bool = False

    @property
    def counts(self):
        """
        Numbers of fixed effects, variances and covariances tested.

        Variances are all parameters on the boundary, with a family's alpha and positive
        correlations of errors; other parameters of errors count as covariances.
        """
        k_fixed = 0
        if self.restricted is not None:
            k_fixed = int(
                np.isfinite(self.full.params).sum() - rank_of(self.restricted)
            )
        kinds, kinds0 = _kinds(self.full), _kinds(self.restricted)
        variances = kinds.count("sd") - kinds0.count("sd")
        covariances = len(kinds) - len(kinds0) - variances
        on_boundary, inside = numbers_tested(*self._errors)
        variances += on_boundary + self.tests_alpha
        # correlations of errors contain variances of the restricted model
        absorbed = min(variances, 0)
        return k_fixed, variances - absorbed, covariances + inside + absorbed

    @property
    def _errors(self):
        """The errors of the full model and of the restricted one."""
        both = self.full, self.restricted
        return [getattr(getattr(fit, "model", None), "residual", None) for fit in both]

    @property
    def tests_alpha(self):
        """Whether a negative binomial family is restricted to alpha = 0, Poisson's."""
        if self.restricted is None or self.full._is_gaussian:
            return False
        model = self.full.model
        return family_of(self.restricted.model, model) != model.family

    @property
    def determined_counts(self):
        """
        The comparison without the parameters that the data do not determine.

        It is then unknown whether the others are on the boundary; they count as
        covariances.
        """
        k_fixed, variances, covariances = self.counts
        idle = _idle(self.full) - _idle(self.restricted)
        if idle:
            return k_fixed, 0, max(variances + covariances - idle, 0)
        return k_fixed, variances, covariances

    @property
    def statistic(self):
        """Twice the difference of the log-likelihoods."""
        full, restricted = self.full, self.restricted
        if restricted is None:
            statistic = gain_of_random_effects(full)
        else:
            statistic = 2.0 * float(full.llf - log_likelihood(restricted, full))
        negligible = statistic < NO_STATISTIC * max(1.0, abs(full.llf))
        return 0.0 if negligible else statistic

    @property
    def mc_se(self):
        """Error of the statistic due to probes, the sum of those of both fits."""
        tables = [
            getattr(r, "_monte_carlo", None) for r in (self.full, self.restricted)
        ]
        return 2.0 * sum(t["mc_se"].iloc[-1] for t in tables if t is not None)

    def _warn_if_unsure(self, statistic, pvalue, chance):
        """Warn if the error of the statistic leaves the verdict open."""
        error = self.mc_se
        if not error or np.isnan(pvalue):
            return
        ends = [chance(max(statistic + s * error, 0.0)) for s in (-2.0, 2.0)]
        crossed = [level for level in LEVELS if ends[1] <= level <= ends[0]]
        if crossed:
            warn(UNSURE.format(error, pvalue, crossed[0]), DataWarning)

    def test(self, method="chi2", nsim=None, rng=None, n_jobs=None, progress=None):
        """
        Test the restricted model; see `compare`.

        Parameters
        ----------
        method : {"chi2", "mixture", "bootstrap", "exact"}, optional
            Source of the p-value.
        nsim, rng, n_jobs, progress : optional
            For "bootstrap" and "exact".

        Returns
        -------
        LikelihoodRatioResult
        """
        _check_options(method, nsim)
        if sum(self.counts) <= 0:
            raise DataError(
                "the restricted model has at least as many parameters as the full one"
            )
        counts, draws = self.determined_counts, None
        df = sum(counts)
        if method == "exact":
            exact = exact_lr_test(
                self.full, self.restricted, EXACT if nsim is None else nsim, rng
            )
            statistic, pvalue, draws = exact.statistic, exact.pvalue, exact.draws
        else:
            statistic = self.statistic
            pvalue = float(stats.chi2.sf(statistic, df))
        mixture = mixture_pvalue(statistic, *counts)
        if is_irregular(*self._errors):
            pvalue = mixture = np.nan
            warn(NO_DISTRIBUTION.format(*self._errors), DataWarning)
        if method == "mixture":
            pvalue = mixture
        if method == "chi2":
            self._warn_if_unsure(statistic, pvalue, lambda x: stats.chi2.sf(x, df))
        elif method == "mixture":
            self._warn_if_unsure(
                statistic, pvalue, lambda x: mixture_pvalue(x, *counts)
            )
        if method == "bootstrap":
            nsim = BOOTSTRAP if nsim is None else nsim
            draws = simulated_statistics(
                self.full, self.restricted, nsim, rng, n_jobs, progress
            )
            # refits stop within 1e-8 of their minimum
            pvalue = float((np.sum(draws >= statistic - 1e-7) + 1) / (len(draws) + 1))
        return LikelihoodRatioResult(
            statistic, pvalue, df, mixture, self.refitted, method, draws, self.mc_se
        )


def compare(
    full: Any,
    restricted: Any,
    method: str = "chi2",
    nsim: int | None = None,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> LikelihoodRatioResult:
    """
    Likelihood-ratio test of a restricted model against a full one.

    REML fits are compared by restricted likelihood if their fixed effects are the
    same, and refitted by maximum likelihood otherwise.

    Parameters
    ----------
    full : MixedResults
        Fit of the larger model.
    restricted : MixedResults, RegressionResults or GLMResults
        Fit of a model nested in it, on the same data; a fit by OLS or, of a generalized
        model, by statsmodels' GLM has no random effects. Nesting is judged by the spans
        of columns, not by names. Poisson's family is nested in a negative binomial one
        with the same link and an estimated alpha, which is then on its boundary.
    method : {"chi2", "mixture", "bootstrap", "exact"}, optional
        Source of the p-value: the chi-squared distribution, which is conservative if
        variances are tested; the mixture of these that allows for the boundary;
        responses drawn from the restricted fit, to which both models are fitted, with
        p = (k + 1) / (nsim + 1) for k statistics that are as large; or the
        finite-sample distribution for a single variance, see `exact_lr_test`.
    nsim : int, optional
        Number of draws. Default is 1,000 for "bootstrap" and 10,000 for "exact".
    rng : None, int or numpy.random.Generator, optional
        Source of randomness.
    n_jobs, progress : optional
        For "bootstrap", as for `CrossedMixedLMResults.bootstrap`.

    Returns
    -------
    LikelihoodRatioResult
        A tuple of statistic, p-value and difference of the numbers of parameters,
        with attributes. Parameters that the data do not determine do not count; if
        no others are tested, the p-value is NaN.

    Raises
    ------
    DataError
        If the data differ, the models are not nested, or "exact" does not apply; for
        generalized models also if link or number of nodes differ, or the families in
        any other way.

    Warns
    -----
    DataWarning
        If REML fits are refitted, or the covariance of the larger one is
        cluster-robust, which does not matter for its likelihood.
    """
    full, restricted = of_the_model(as_fit(full)), as_fit(restricted)
    _check_options(method, nsim)
    check_nested(full, restricted)
    refitted = False
    if method != "exact":  # which also compares restricted likelihoods of OLS fits
        (full, restricted), refitted = comparable_fits([full, restricted])
    pair = Comparison(full, restricted, refitted)
    return pair.test(method, nsim, rng, n_jobs, progress)


def of_the_model(results):
    """
    A fit with the covariance of its model; warns if it had a cluster-robust one.

    Parameters
    ----------
    results : MixedResults or RegressionResults
        A fit without its wrapper.

    Returns
    -------
    MixedResults or RegressionResults
    """
    if getattr(results, "_robust", None) is None:
        return results
    warn(
        "a likelihood-ratio test does not use the cluster-robust covariance; anova() "
        "and wald_test() do",
        DataWarning,
    )
    return results.with_cov_type(results._cov_types[0])


def comparable_fits(fits):
    """
    Make the likelihoods of fits comparable.

    Parameters
    ----------
    fits : list of CrossedMixedLMResults or RegressionResults
        Fits to the same data.

    Returns
    -------
    fits : list
        The fits, or refits by maximum likelihood.
    refitted : bool
        Whether any fit was refitted.
    """
    mixed = [is_mixed(r) for r in fits]
    by_reml = [m and r.reml for m, r in zip(mixed, fits)]
    if not any(by_reml):
        return fits, False
    # a restricted likelihood depends on the coding of X
    first = fits[0].model
    if all(by_reml) and all(have_same_fixed(first, r.model) for r in fits):
        return fits, False
    warn(
        "refitted by maximum likelihood: REML likelihoods are comparable only for "
        "mixed models with the same fixed effects",
        DataWarning,
    )
    return [by_ml(r) if b else r for r, b in zip(fits, by_reml)], True


def log_likelihood(results, mixed):
    """
    Log-likelihood of a fit, comparable with that of a mixed model.

    Parameters
    ----------
    results : MixedResults, RegressionResults or GLMResults
        The fit.
    mixed : MixedResults
        A mixed model of the same data, in which the fit is nested if it has no random
        effects.

    Returns
    -------
    float
        With all constants. That of a generalized linear model is at the maximum
        likelihood estimate of the dispersion, which statsmodels estimates otherwise.
    """
    if is_mixed(results) or mixed._is_gaussian:
        return float(results.llf)
    exog, family = np.asarray(results.model.exog), family_of(results.model, mixed.model)
    return -0.5 * deviance_without_effects(mixed, exog, family)


def by_ml(results):
    """
    Refit a model by maximum likelihood.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit without its wrapper.

    Returns
    -------
    CrossedMixedLMResults
        The same fit if it is by maximum likelihood already.
    """
    return results.model.fit(reml=False)._results if results.reml else results


def compare_models(
    *fits: Any,
    method: str = "chi2",
    nsim: int | None = None,
    rng: Any = None,
    n_jobs: int | None = None,
    progress: bool | None = None,
) -> ResultTable:
    """
    Likelihood-ratio tests of nested models, as in lme4's ``anova(m0, m1, ...)``.

    Parameters
    ----------
    *fits : MixedResults, RegressionResults or GLMResults
        Fits to the same data, in any order.
    method : {"chi2", "mixture", "bootstrap", "exact"}, optional
        Source of the p-values; see `compare`.
    nsim, rng, n_jobs, progress : optional
        For "bootstrap" and "exact".

    Returns
    -------
    DataFrame
        One row per model, m0, m1, ... from the smallest up. Columns are n_params, aic,
        bic, llf and deviance (-2 llf), followed by statistic, df, pvalue and
        pvalue_mixture of the test against the preceding model. ``attrs["models"]``
        has the formula of each, which is printed below the table, and
        ``attrs["refitted"]`` whether REML fits were refitted.
    """
    raw = [as_fit(r) for r in fits]
    if len(raw) < 2:
        raise TypeError("at least two fitted models are needed")
    _check_options(method, nsim)
    raw = sorted(raw, key=is_mixed, reverse=True)  # one that knows the likelihood
    for fit in raw[1:]:
        check_same_data(raw[0], fit)
    raw, refitted = comparable_fits(raw)
    raw = sorted(raw, key=lambda fit: n_parameters(fit) + _idle(fit))
    mixed, rows = raw[-1], []
    for i, fit in enumerate(raw):
        count, n = n_parameters(fit), getattr(mixed, "_n_observed", float(fit.nobs))
        llf = log_likelihood(fit, mixed)
        row = {
            "n_params": count,
            "aic": -2.0 * llf + 2.0 * count,
            "bic": -2.0 * llf + np.log(n) * count,
            "llf": llf,
            "deviance": -2.0 * llf,
        }
        if i:
            test = compare(fit, raw[i - 1], method, nsim, rng, n_jobs, progress)
            row |= {
                "statistic": test.statistic,
                "df": test.df_diff,
                "pvalue": test.pvalue,
                "pvalue_mixture": test.pvalue_mixture,
            }
        rows.append(row)
    names = [model_name(fit) for fit in raw]
    if not mixed._is_gaussian:
        families = [family_of(fit.model, mixed.model).name for fit in raw]
        if len(set(families)) > 1:
            names = [f"{name}, {family}" for name, family in zip(names, families)]
    labels = [f"m{i}" for i in range(len(raw))]
    table = ResultTable(rows, index=pd.Index(labels, name="model"))
    table.attrs["models"] = dict(zip(labels, names))
    table.attrs["refitted"] = refitted
    return table


def _check_options(method, nsim):
    if method not in TESTS:
        raise ValueError(f"method must be one of {', '.join(TESTS)}, not {method!r}")
    if nsim is not None:
        check_count("nsim", nsim)


def n_parameters(fit):
    """Number of parameters of a fit, with the dispersion if that is estimated."""
    if is_mixed(fit):
        return fit.n_params
    counts = isinstance(getattr(fit.model, "family", None), COUNTS)
    return int(rank_of(fit)) + (not counts)


def _idle(fit):
    """Number of a fit's parameters that the data do not determine."""
    return fit.identification.idle if fit is not None and is_mixed(fit) else 0


def model_name(fit):
    """The formula of a fit, or a description without one."""
    text = getattr(fit.model, "formula_full", None) or getattr(
        fit.model, "formula", None
    )
    errors = getattr(fit.model, "residual", None)
    if text and errors is not None:
        return f"{text}, {errors}"
    return text or f"{type(fit.model).__name__}, {n_parameters(fit)} parameters"


def _kinds(fit):
    """Kinds of the covariance parameters of a fit, if any."""
    if fit is None or not is_mixed(fit):
        return []
    return [q.kind for e in fit.model.random for block in e.quantities for q in block]


def mixture_pvalue(statistic, k_fixed, variances, covariances):
    """
    Tail probability of the chi-squared mixture for variances on the boundary.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    k_fixed : int
        Number of fixed effects tested.
    variances : int
        Number of variances tested, and of other parameters on their boundary.
    covariances : int
        Number of covariances tested.

    Returns
    -------
    float
        For one variance and c covariances, half chi2(c) and half chi2(c + 1); for v
        independent variances, binomial weights; otherwise half each of the two
        largest chi-squared distributions, which is conservative.
    """
    df = k_fixed + covariances
    if variances == 0:
        return float(stats.chi2.sf(statistic, df))
    if covariances and variances > 1:
        weights = {df + variances - 1: 0.5, df + variances: 0.5}
    else:
        weights = {
            df + j: comb(variances, j) / 2**variances for j in range(variances + 1)
        }
    return float(
        sum(
            weight * (stats.chi2.sf(statistic, d) if d else float(statistic <= 0))
            for d, weight in weights.items()
        )
    )
