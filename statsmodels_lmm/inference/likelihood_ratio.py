"""Likelihood-ratio tests of nested models."""

from math import comb

import numpy as np
from scipy import stats
from statsmodels.regression.linear_model import CompareLRTestResult, RegressionModel

from statsmodels_lmm.exceptions import DataError, DataWarning, warn

ROUNDING = 1e-12
"""Statistics below this share of the log-likelihood are zero."""


class LikelihoodRatioResult(CompareLRTestResult):
    """
    A statsmodels ``CompareLRTestResult`` that knows about boundaries.

    Attributes
    ----------
    pvalue_mixture : float
        p-value from the mixture of chi-squared distributions that the statistic
        follows when variances are zero under the restricted model (Self and Liang
        1987; Stram and Lee 1994). Equal to `pvalue` if no variance is tested.
    refitted : bool
        Whether REML fits were refitted by maximum likelihood.
    """

    def __new__(cls, statistic, pvalue, df_diff, pvalue_mixture, refitted):
        """Add the two attributes to the tuple."""
        self = super().__new__(cls, statistic, pvalue, df_diff)
        self.pvalue_mixture, self.refitted = pvalue_mixture, refitted
        return self


def compare(full, restricted):
    """
    Likelihood-ratio test of a restricted model against a full one.

    Parameters
    ----------
    full : CrossedMixedLMResults
        Fit of the larger model.
    restricted : CrossedMixedLMResults or RegressionResults
        Fit of the smaller one.

    Returns
    -------
    LikelihoodRatioResult

    Raises
    ------
    DataError
        If the data differ or the models are not nested.
    """
    full = getattr(full, "_results", full)
    restricted = getattr(restricted, "_results", restricted)
    mixed = hasattr(restricted.model, "random")
    if not mixed and not isinstance(restricted.model, RegressionModel):
        raise DataError(
            f"a fit of {type(restricted.model).__name__} cannot be compared; fit the "
            "restricted model with CrossedMixedLM or OLS"
        )
    _check_same_data(full, restricted)
    x, x0 = full.model.exog, np.asarray(restricted.model.exog)
    if not _spans(x, x0):
        raise DataError(
            "the models are not nested: the restricted one has fixed effects that "
            "are not in the full one"
        )
    for effects in restricted.model.random if mixed else ():
        if not any(_contains(e.grouped, effects.grouped) for e in full.model.random):
            raise DataError(
                "the models are not nested: the random effects "
                f"({', '.join(effects.effect_names)} | {effects.name}) are not in the "
                "full one"
            )
    # a restricted likelihood depends on how X is coded
    comparable = full.reml and mixed and restricted.reml and np.array_equal(x, x0)
    refitted = not comparable and (full.reml or (mixed and restricted.reml))
    if refitted:
        warn(
            "refitted by maximum likelihood: REML likelihoods compare only between "
            "mixed models with the same fixed effects",
            DataWarning,
        )
        full = _by_ml(full)
        restricted = _by_ml(restricted) if mixed else restricted
    parameters = _covariance_parameters(full)
    parameters0 = _covariance_parameters(restricted) if mixed else (0, 0)
    k_fixed = int(np.isfinite(full.params).sum() - _rank(restricted))
    variances = parameters[0] - parameters0[0]
    covariances = parameters[1] - parameters0[1]
    df = k_fixed + variances + covariances
    if df <= 0 or variances < 0:
        raise DataError(
            "the restricted model has as many parameters as the full one, or more"
        )
    statistic = 2.0 * float(full.llf - restricted.llf)
    if statistic < ROUNDING * max(1.0, abs(full.llf)):
        statistic = 0.0
    return LikelihoodRatioResult(
        statistic,
        float(stats.chi2.sf(statistic, df)),
        df,
        mixture_pvalue(statistic, k_fixed, variances, covariances),
        refitted,
    )


def mixture_pvalue(statistic, k_fixed, variances, covariances):
    """
    Tail probability of the mixture for variances on the boundary.

    Parameters
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    k_fixed : int
        Number of fixed effects tested.
    variances : int
        Number of variances tested.
    covariances : int
        Number of covariances tested.

    Returns
    -------
    float
        With one variance and c covariances half of chi2(c) and half of chi2(c + 1);
        with v independent variances binomial weights; otherwise the larger, hence
        conservative, of the two neighboring halves.
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


def _check_same_data(full, restricted):
    y, y0 = full.model.endog, np.asarray(restricted.model.endog)
    if len(y) != len(y0):
        raise DataError(
            f"the models were fitted to different data: {len(y)} and {len(y0)} rows"
        )
    if not np.array_equal(y, y0):
        raise DataError("the models were fitted to different responses")
    for name, default in (("weights", 1.0), ("offset", 0.0)):
        w, w0 = (getattr(r.model, name, None) for r in (full, restricted))
        w, w0 = (np.broadcast_to(default if v is None else v, y.shape) for v in (w, w0))
        if not np.array_equal(w, w0):
            raise DataError(f"the models were fitted with different {name}")


def _contains(full, restricted):
    """Whether every covariance block of one factor lies in a block of another."""
    if full.n_levels != restricted.n_levels:
        return False
    matched = np.zeros(full.n_levels, dtype=np.int64)
    matched[full.codes] = restricted.codes
    if not np.array_equal(matched[full.codes], restricted.codes):
        return False
    return all(
        any(
            _spans(full.effects[:, block], restricted.effects[:, inner])
            for block in full.block_slices
        )
        for inner in restricted.block_slices
    )


def _spans(x, x0):
    """Whether the columns of x0 lie in the span of those of x."""
    scale = np.sqrt((x0**2).sum(axis=0))
    rest = x0 - x @ np.linalg.lstsq(x, x0, rcond=None)[0]
    return bool((np.sqrt((rest**2).sum(axis=0)) <= 1e-7 * scale).all())


def _rank(results):
    if hasattr(results.model, "random"):
        return np.isfinite(results.params).sum()
    return results.model.rank if hasattr(results.model, "rank") else len(results.params)


def _by_ml(results):
    return results.model.fit(reml=False)._results if results.reml else results


def _covariance_parameters(results):
    """Numbers of variances and covariances."""
    blocks = [b for e in results.model.random for b in e.grouped.blocks]
    return sum(blocks), sum(b * (b - 1) // 2 for b in blocks)
