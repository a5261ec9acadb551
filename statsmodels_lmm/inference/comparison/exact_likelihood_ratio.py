"""Exact likelihood-ratio tests of a single variance."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from statsmodels_lmm.core.rows.level_covariance import Precision
from statsmodels_lmm.core.uncertainty.null_distribution import (
    null_design,
    simulate_null,
)
from statsmodels_lmm.display import Brief
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.comparison.nested_models import (
    check_nested,
    contains,
    gain_of_random_effects,
    is_mixed,
    rank_of,
)
from statsmodels_lmm.inference.replicates.simulation import check_count
from statsmodels_lmm.inference.requirements import (
    as_fit,
    require_data,
    require_gaussian,
    require_independent_errors,
)

NO_STATISTIC = 1e-12
"""Statistics below this share of the log-likelihood are treated as zero."""

OTHER_TESTS = "random_effect_tests(), or compare by method='mixture' or 'bootstrap'"
"""What to use instead of the exact test in a generalized model."""

BOOTSTRAP = (
    "the exact test is for a single variance without covariances; use "
    "method='bootstrap'"
)


@dataclass(frozen=True, eq=False, repr=False)
class ExactLRTestResult(Brief):
    """
    An exact likelihood-ratio test of a single variance.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods, restricted or not.
    pvalue : float
        (k + 1) / (nsim + 1), where k draws reach the statistic.
    name : str
        "RLRT" for restricted likelihoods, otherwise "LRT".
    effect : str
        Effect whose variance is tested, as "group: effect".
    draws : ndarray
        Draws of the statistic under the null hypothesis, shape (nsim,).
    """

    statistic: float
    pvalue: float
    name: str
    effect: str
    draws: np.ndarray = field(repr=False)

    def _brief(self):
        return [
            f"{self.name} of the variance of {self.effect}",
            f"statistic = {self.statistic:.5g}, p = {self.pvalue:.4g} from "
            f"{self.nsim:,} draws",
        ]

    @property
    def nsim(self) -> int:
        """Number of draws."""
        return len(self.draws)

    @property
    def zero_share(self) -> float:
        """Share of draws that are zero, which is the mass at the boundary."""
        return float(np.mean(self.draws == 0.0))


def exact_lr_test(
    full: Any, restricted: Any = None, nsim: int = 10_000, rng: Any = None
) -> ExactLRTestResult:
    """
    Exact likelihood-ratio test of a single variance, as in R's RLRsim.

    The statistic is compared with draws from its finite-sample distribution for this
    design if the variance is zero, which asymptotic theory approximates badly. If the
    model has other variances, the distribution is that for a model with only the tested
    one, which is an approximation (Greven et al. 2008).

    Parameters
    ----------
    full : CrossedMixedLMResults
        Fit with the tested variance. A REML fit gives the test by restricted
        likelihood, which is the more powerful.
    restricted : CrossedMixedLMResults or RegressionResults, optional
        Fit to the same data without the tested variance; a fit by OLS or WLS if there
        is no other variance, by default with the fixed effects of `full`. The tested
        variance must be that of a random intercept or of an effect uncorrelated with
        others. After ML, the restricted fit may have fewer fixed effects, which are
        then tested too.
    nsim : int, optional
        Number of draws.
    rng : None, int or numpy.random.Generator, optional
        Seed or source of the draws.

    Returns
    -------
    ExactLRTestResult

    Raises
    ------
    DataError
        If the models are not nested, or differ in more than one variance.

    References
    ----------
    Crainiceanu, C. M. and Ruppert, D. (2004). Likelihood ratio tests in linear mixed
    models with one variance component. Journal of the Royal Statistical Society B
    66, 165-185.

    Greven, S., Crainiceanu, C. M., Kuechenhoff, H. and Peters, A. (2008). Restricted
    likelihood ratio testing for zero variance components in linear mixed models.
    Journal of Computational and Graphical Statistics 17, 870-891.

    Scheipl, F., Greven, S. and Kuechenhoff, H. (2008). Size and power of tests for a
    zero random effect variance or polynomial regression in additive and linear mixed
    models. Computational Statistics and Data Analysis 52, 3283-3299.

    Examples
    --------
    >>> from statsmodels_lmm import datasets
    >>> from statsmodels_lmm.formula.api import crossedmixedlm
    >>> data = datasets.sleepstudy.load_pandas().data
    >>> full = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    >>> round(exact_lr_test(full, rng=0).statistic, 4)
    107.1986
    """
    check_count("nsim", nsim)
    full = as_fit(full)
    restricted = None if restricted is None else as_fit(restricted)
    for fit in (full, restricted):
        if fit is not None and is_mixed(fit):
            require_independent_errors(fit.model, "the exact test of a variance")
    _check_models(full, restricted)
    place, block = _tested_block(full, restricted)
    k_tested = 0 if restricted is None else int(rank_of(full) - rank_of(restricted))
    if k_tested and full.reml:
        raise DataError(
            "restricted likelihoods can compare only models with the same fixed "
            "effects; fit with reml=False"
        )
    data, _ = full.model._sufficient_statistics()
    factor = data.terms[place]
    factor = factor.columns(block)
    if isinstance(factor.relationship, Precision):
        factor = replace(factor, relationship=factor.relationship.dense())
    design = null_design(data.exog / np.sqrt(full.nobs), factor, full.reml, k_tested)
    draws = simulate_null(design, int(nsim), np.random.default_rng(rng))
    statistic = _criterion_gain(full, restricted, k_tested)
    if statistic < NO_STATISTIC * max(1.0, abs(full.llf)):
        statistic = 0.0
    effects = full.model.random[place]
    return ExactLRTestResult(
        statistic=statistic,
        pvalue=float((np.sum(draws >= statistic) + 1) / (nsim + 1)),
        name="RLRT" if full.reml else "LRT",
        effect=f"{effects.name}: {effects.effect_names[block.start]}",
        draws=draws,
    )


def _check_models(full, restricted):
    """Reject fits whose likelihoods are not comparable."""
    for results in (full, restricted):
        require_gaussian(results, "the exact test", OTHER_TESTS)
    require_data(full.model, "the exact test")
    if restricted is not None or not is_mixed(full):
        check_nested(full, restricted)
    if restricted is None:
        return
    if is_mixed(restricted) and full.reml != restricted.reml:
        raise DataError(
            f"the full model was fitted by {full.method} and the restricted one by "
            f"{restricted.method}; fit both by the same method"
        )


def _tested_block(full, restricted):
    """Position of the factor and the column that only the full model has."""
    left = _blocks(full)
    mixed = restricted is not None and is_mixed(restricted)
    changed = False
    for other in _blocks(restricted) if mixed else ():
        for one in left:
            if contains(one[2], other[2]) and contains(other[2], one[2]):
                left.remove(one)
                break
        else:
            changed = True
    if not left:
        raise DataError("the models have the same random effects: no variance to test")
    if restricted is None and len(left) > 1:
        raise DataError(
            "the model has several variances; pass the fit without the tested one"
        )
    if changed or len(left) > 1 or left[0][2].k_effects > 1:
        raise DataError(BOOTSTRAP)
    return left[0][:2]


def _blocks(results):
    """Factor, columns and rows of each covariance block."""
    return [
        (
            i,
            s,
            g.columns(s),
        )
        for i, g in enumerate(e.grouped for e in results.model.random)
        for s in g.block_slices
    ]


def _criterion_gain(full, restricted, k_tested):
    """Twice the difference of the (restricted) log-likelihoods."""
    if restricted is not None and is_mixed(restricted):
        return float(_coding_free(restricted) - _coding_free(full))
    if k_tested:
        return 2.0 * float(full.llf - restricted.llf)
    return gain_of_random_effects(full)


def _coding_free(results):
    """The criterion minus, under REML, the part that depends on the coding of X."""
    data, _ = results.model._sufficient_statistics()
    return results.deviance_criterion - (2.0 * data.log_fixed if results.reml else 0.0)
