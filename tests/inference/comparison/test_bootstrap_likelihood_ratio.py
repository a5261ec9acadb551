"""
Likelihood-ratio statistics of drawn responses, against explicit refits of the same.
"""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from generalized_samples import cbpp
from numpy.testing import assert_allclose
from samples import N, quiet, sample
from scipy import stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.resampling.draws import Gaussian, NormalResponse, RandomPart
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.comparison.bootstrap_likelihood_ratio import (
    linear_criterion,
    simulated_statistics,
)
from statsmodels_lmm.inference.replicates.simulation import generators, seeds

NSIM = 10


@functools.cache
def fit(right, reml=False, weights=None, offset=None):
    return quiet(f"y ~ {right}", None, reml, weights=weights, offset=offset)


def least_squares(right, weights=None):
    if weights:
        return smf.wls(f"y ~ {right}", sample(), weights=sample()[weights]).fit()
    return smf.ols(f"y ~ {right}", sample()).fit()


def refitted(model, y, reml):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.with_response(y).fit(reml=reml).llf


PAIRS = {
    # full, restricted, options
    "fixed": ("x + f + (1 | g)", "x + (1 | g)", {}),
    "fixed, crossed": ("x + z + (x | g) + (1 | h)", "x + (x | g) + (1 | h)", {}),
    "fixed, weights": ("x + z + (1 | g)", "x + (1 | g)", {"weights": "w"}),
    "fixed, offset": ("x + z + (1 | g)", "x + (1 | g)", {"offset": "o"}),
    "variance": ("x + (1 | g) + (1 | h)", "x + (1 | g)", {}),
    "variance, reml": ("x + (1 | g) + (1 | h)", "x + (1 | g)", {"reml": True}),
    "slope": ("x + (x | g)", "x + (1 | g)", {}),
    "slope, reml": ("x + (x | g)", "x + (1 | g)", {"reml": True}),
    "slope, weights": ("x + (x || g)", "x + (1 | g)", {"reml": True, "weights": "w"}),
    "both": ("x + f + (x | g)", "x + (1 | g)", {}),
    "no fixed effects": ("0 + (1 | g) + (1 | h)", "0 + (1 | g)", {"reml": True}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRS)
def test_mixed_models(name):
    full, restricted, options = PAIRS[name]
    full, restricted = fit(full, **options), fit(restricted, **options)
    found = simulated_statistics(full._results, restricted._results, NSIM, rng=5)
    responses = restricted.simulate(NSIM, rng=5)
    expected = [
        2.0
        * (
            refitted(full.model, responses[i], full.reml)
            - refitted(restricted.model, responses[i], full.reml)
        )
        for i in range(NSIM)
    ]
    assert_allclose(found, np.maximum(expected, 0.0), atol=1e-6)
    assert found.max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("right", ["x + (1 | g)", "x + f + (x | g) + (1 | h)"])
def test_without_random_effects(right, weights, reml):
    """The restricted model is the full one without random effects, also by REML."""
    full = fit(right, reml, weights)
    found = simulated_statistics(full._results, None, NSIM, rng=5)
    w = np.ones(N) if weights is None else sample()[weights].to_numpy()
    residuals = Gaussian(N, np.eye(1))
    part = NormalResponse(RandomPart((), ()), residuals, np.sqrt(w))
    drawn = part.draw(generators(seeds(5, NSIM)))
    # scale and mean do not matter
    mean = full.model.exog @ np.arange(1.0, 1.0 + len(full.params))
    zero = np.zeros(len(full.theta))
    expected = []
    for one in drawn:
        model = full.model.with_response(mean + 3.0 * one)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            llf = model.fit(reml=reml).llf
        expected.append(2.0 * (llf - model.loglike(zero, reml)))
    assert_allclose(found, np.maximum(expected, 0.0), atol=1e-6)
    # the null has its mass at zero for one variance
    if right == "x + (1 | g)":
        assert 0.2 < (found < 1e-6).mean() < 0.9


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("small", ["x", "1", "x + I(2 * x)"])
def test_least_squares(small, weights):
    """The restricted model may have fewer fixed effects, too, and redundant ones."""
    full, restricted = fit("x + f + (1 | g)", False, weights), None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        restricted = least_squares(small, weights)
    found = simulated_statistics(full._results, restricted._results, NSIM, rng=5)
    w = np.ones(N) if weights is None else sample()[weights].to_numpy()
    residuals = Gaussian(N, np.eye(1))
    part = NormalResponse(RandomPart((), ()), residuals, np.sqrt(w))
    drawn = part.draw(generators(seeds(5, NSIM)))
    exog, kind = restricted.model.exog, type(restricted.model)
    options = {} if weights is None else {"weights": w}
    expected = []
    for one in drawn:
        y = 1.0 + one
        expected.append(
            2.0 * (refitted(full.model, y, False) - kind(y, exog, **options).fit().llf)
        )
    assert_allclose(found, expected, atol=1e-6)


# p-values -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("full", "restricted", "reml"),
    [
        ("x + f + (1 | g)", "x + (1 | g)", False),
        ("x + (x | g)", "x + (1 | g)", True),
        ("x + (1 | g) + (1 | h)", "x + (1 | g)", True),
    ],
)
def test_pvalue_counts_draws(full, restricted, reml):
    full, restricted = fit(full, reml), fit(restricted, reml)
    test = full.compare_lr_test(restricted, "bootstrap", nsim=39, rng=3)
    assert test.method == "bootstrap"
    assert test.draws.shape == (39,)
    k = (test.draws >= test.statistic).sum()
    assert test.pvalue == pytest.approx((k + 1) / 40)
    plain = full.compare_lr_test(restricted)
    assert test.statistic == plain.statistic
    assert test.df_diff == plain.df_diff
    assert test.pvalue_mixture == plain.pvalue_mixture
    assert plain.draws is None
    expected = simulated_statistics(full._results, restricted._results, 39, rng=3)
    assert np.array_equal(test.draws, expected)


def test_a_statistic_of_zero_has_pvalue_one():
    rng = np.random.default_rng(2)
    data = sample().assign(e=rng.standard_normal(N))
    data["e"] -= data.groupby("g")["e"].transform("mean")
    full = crossedmixedlm("e ~ 1 + (1 | g)", data).fit(reml=False)
    test = full.compare_lr_test(smf.ols("e ~ 1", data).fit(), "bootstrap", nsim=20)
    assert test.statistic == 0.0
    assert test.pvalue == 1.0


def test_randomness():
    full, restricted = fit("x + f + (1 | g)"), fit("x + (1 | g)")

    def draws(rng, nsim=12, **more):
        return full.compare_lr_test(restricted, "bootstrap", nsim, rng, **more).draws

    assert np.array_equal(draws(1), draws(1))
    assert np.array_equal(draws(1), draws(np.random.default_rng(1)))
    assert not np.array_equal(draws(1), draws(2))
    assert not np.array_equal(draws(None), draws(None))
    # draw i does not depend on how many there are, nor on who does the work
    assert_allclose(draws(1, 30)[:12], draws(1), atol=1e-7)
    assert_allclose(draws(1, n_jobs=2), draws(1), atol=1e-7)
    generator = np.random.default_rng(1)
    assert not np.array_equal(draws(generator), draws(generator))


@pytest.mark.slow
def test_pvalues_under_the_null_are_uniform():
    """Of a fixed effect, where chi-squared is much too bold with five groups."""
    rng = np.random.default_rng(14)
    g = np.repeat(np.arange(5), 6)
    x = np.repeat(rng.standard_normal(5), 6)
    data = pd.DataFrame({"y": x, "x": x, "g": g})
    models = [crossedmixedlm(f"y ~ {right} + (1 | g)", data) for right in "x1"]
    found = []
    for _ in range(60):
        y = rng.standard_normal(5)[g] + 0.5 * rng.standard_normal(30)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            full, small = (m.with_response(y).fit(reml=False) for m in models)
            test = full.compare_lr_test(small, "bootstrap", nsim=99, rng=rng)
        found.append((test.pvalue, stats.chi2.sf(test.statistic, 1)))
    bootstrap, chi2 = np.array(found).T
    assert stats.kstest(bootstrap, "uniform").pvalue > 0.01
    assert 0.1 < (bootstrap < 0.25).mean() < 0.42
    assert abs(np.median(bootstrap) - 0.5) < 0.2
    assert (bootstrap > chi2).mean() > 0.9


def test_an_effect_is_found():
    data = sample()
    data = data.assign(y=data["y"] + 3.0 * data["z"])
    full = crossedmixedlm("y ~ x + z + (1 | g)", data).fit(reml=False)
    restricted = crossedmixedlm("y ~ x + (1 | g)", data).fit(reml=False)
    test = full.compare_lr_test(restricted, "bootstrap", nsim=49, rng=1)
    assert test.pvalue == pytest.approx(1 / 50)
    assert test.draws.max() < test.statistic / 2.0


def test_bootstrap_of_one_variance_agrees_with_the_exact_test():
    full = fit("x + (1 | g)", True)
    exact = full.exact_lr_test(rng=1)
    test = full.random_effect_tests("bootstrap", nsim=400, rng=1)
    draws = simulated_statistics(full._results, None, 400, rng=1)
    # shares of zeros and quantiles, standard errors 0.025 and about 0.2
    assert abs((draws < 1e-6).mean() - exact.zero_share) < 0.1
    assert abs(np.quantile(draws, 0.9) - np.quantile(exact.draws, 0.9)) < 0.7
    assert_allclose(test["statistic"].iloc[1], exact.statistic, rtol=1e-6)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "9"])
def test_number_of_draws(wrong):
    full, restricted = fit("x + f + (1 | g)"), fit("x + (1 | g)")
    with pytest.raises(ValueError, match="nsim must be a positive whole number"):
        full.compare_lr_test(restricted, "bootstrap", nsim=wrong)


def test_models_from_arrays():
    data = sample()
    x = sm.add_constant(data[["x", "z"]]).to_numpy()
    random = {"g": data["g"].to_numpy()}
    full = CrossedMixedLM(data["y"].to_numpy(), x, random=random).fit(reml=False)
    small = CrossedMixedLM(data["y"].to_numpy(), x[:, :2], random=random).fit(False)
    ours = full.compare_lr_test(small, "bootstrap", nsim=20, rng=3)
    theirs = fit("x + z + (1 | g)").compare_lr_test(
        fit("x + (1 | g)"), "bootstrap", nsim=20, rng=3
    )
    assert_allclose(ours.draws, theirs.draws, atol=1e-6)
    assert ours.pvalue == theirs.pvalue


def test_without_data():
    full = fit("x + f + (1 | g)").model.fit(reml=False)
    small = crossedmixedlm("y ~ x + (1 | g)", sample()).fit(reml=False)
    small.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        full.compare_lr_test(small, "bootstrap", nsim=5)


# least squares --------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [["x"], ["x", "z"], []])
def test_criterion_of_least_squares(columns, weighted):
    data, rng = sample(), np.random.default_rng(1)
    x = np.column_stack([np.ones(N), *(data[c] for c in columns)])
    responses = 5.0 + 2.0 * rng.standard_normal((4, N))
    w = data["w"].to_numpy() if weighted else np.ones(N)
    found = linear_criterion(x, np.sqrt(w), responses, False)
    assert found.shape == (4,)
    expected = [-2.0 * sm.WLS(y, x, weights=w).fit().llf for y in responses]
    assert_allclose(found, expected)
    if not weighted:
        assert_allclose(found, [-2.0 * sm.OLS(y, x).fit().llf for y in responses])


@pytest.mark.parametrize("weighted", [False, True])
def test_restricted_criterion_of_least_squares(weighted):
    """-2 log of the density of K'y with K orthogonal to X, and log|X'X|."""
    data, rng = sample(), np.random.default_rng(1)
    x = np.column_stack([np.ones(N), data["x"], data["z"]])
    w = data["w"].to_numpy() if weighted else np.ones(N)
    y = rng.standard_normal(N)
    found = linear_criterion(x, np.sqrt(w), y[None], True)
    nu = N - 3
    middle = x.T @ (w[:, None] * x)
    beta = np.linalg.solve(middle, x.T @ (w * y))
    s2 = (w * (y - x @ beta) ** 2).sum() / nu
    variance = s2 * np.diag(1.0 / w)
    k = np.linalg.svd(x)[0][:, 3:]
    inside = stats.multivariate_normal(np.zeros(nu), k.T @ variance @ k).logpdf(k.T @ y)
    # the density of K'y, K orthonormal, lacks log|X'X|
    expected = -2.0 * inside + np.linalg.slogdet(x.T @ x)[1]
    direct = nu * (1.0 + np.log(2.0 * np.pi * s2)) - np.log(w).sum()
    direct += np.linalg.slogdet(middle)[1]
    assert_allclose(found, direct)
    assert_allclose(found, expected)


def test_restricted_criterion_is_that_of_a_mixed_model_without_variance():
    for weights in (None, "w"):
        result = fit("x + f + (1 | g)", True, weights)
        w = np.ones(N) if weights is None else sample()[weights].to_numpy()
        y = result.model.endog[None]
        for reml in (True, False):
            found = linear_criterion(result.model.exog, np.sqrt(w), y, reml)
            expected = -2.0 * result.model.loglike(np.zeros(1), reml)
            assert_allclose(found, expected)


def test_criterion_with_redundant_columns_and_without_any():
    data = sample()
    x = np.column_stack([np.ones(N), data["x"]])
    twice = np.column_stack([x, 2.0 * data["x"], np.zeros(N)])
    root, y = np.ones(N), data["y"].to_numpy()[None]
    assert_allclose(
        linear_criterion(twice, root, y, False), linear_criterion(x, root, y, False)
    )
    empty = linear_criterion(np.zeros((N, 0)), root, y, True)
    expected = N * (1.0 + np.log(2.0 * np.pi * (y**2).mean()))
    assert_allclose(empty, expected)


# generalized models -----------------------------------------------------------


def test_generalized_models():
    """Statistics are those of fits to the responses drawn from the restricted model."""
    formula = "incidence ~ {} + (1 | herd)"
    full, small = (
        crossedmixedglm(formula.format(x), cbpp(), family="poisson").fit()
        for x in ("period", "1")
    )
    test = full.compare_lr_test(small, method="bootstrap", nsim=3, rng=5, n_jobs=1)
    drawn = small.simulate(3, rng=5)
    expected = [2.0 * (full.refit(y).llf - small.refit(y).llf) for y in drawn.T.values]
    assert_allclose(test.draws, expected, atol=1e-6)
    assert test.pvalue == 0.25  # one in four, as none is as large
    assert test.statistic > test.draws.max()


def test_a_generalized_model_without_random_effects():
    frame = cbpp()
    full = crossedmixedglm(
        "cbind(incidence, size - incidence) ~ period + (1 | herd)", frame
    ).fit()
    found = simulated_statistics(full._results, None, 4, rng=5, n_jobs=1)
    y = frame[["incidence"]].assign(no=frame["size"] - frame["incidence"])
    exog = full.model.exog
    null = sm.GLM(y, exog, family=sm.families.Binomial()).fit()
    expected = []
    for stream in generators(seeds(5, 4)):
        size = frame["size"].to_numpy()
        successes = stream.binomial(size, null.fittedvalues)
        both = np.column_stack([successes, size - successes])
        other = sm.GLM(both, exog, family=sm.families.Binomial()).fit()
        expected.append(2.0 * (full.refit(both).llf - other.llf))
    assert_allclose(found, np.maximum(expected, 0.0), atol=1e-6)
    same = simulated_statistics(full._results, null._results, 2, rng=5, n_jobs=1)
    assert_allclose(same, found[:2], atol=1e-8)
