"""Likelihood-ratio tests, against likelihoods of dense matrices and formulas."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.regression.linear_model import CompareLRTestResult

from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.likelihood_ratio import mixture_pvalue

N = 120


@functools.cache
def sample():
    rng = np.random.default_rng(8)
    g, h = rng.permutation(np.arange(N) % 10), rng.permutation(np.arange(N) % 8)
    x, z = rng.standard_normal((2, N))
    u, v = rng.standard_normal((10, 3)), rng.standard_normal(8)
    y = 1.0 + 0.3 * x + 0.8 * u[g, 0] + 0.5 * u[g, 1] * x + 0.3 * u[g, 2] * z
    y += 0.5 * v[h] + rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": g, "h": h})
    frame["f"] = np.array(["a", "b", "c"])[rng.integers(3, size=N)]
    return frame.assign(w=rng.uniform(0.5, 2.0, N), o=rng.standard_normal(N))


@functools.cache
def fit(formula, reml=False, weights=None, offset=None):
    model = crossedmixedlm("y ~ " + formula, sample(), weights=weights, offset=offset)
    return model.fit(reml=reml)


def ols(formula):
    return smf.ols("y ~ " + formula, sample()).fit()


def dense_llf(result):
    """Log-likelihood (ML) from V and the estimated variances."""
    model = result.model
    weights = np.ones(N) if model.weights is None else model.weights
    v = result.scale * np.diag(1.0 / weights)
    covs = result.cov_re if isinstance(result.cov_re, dict) else [result.cov_re]
    covs = covs.values() if isinstance(covs, dict) else covs
    for effects, cov in zip(model.random, covs):
        columns, codes = effects.grouped.effects, effects.grouped.codes
        v += columns @ cov.to_numpy() @ columns.T * (codes[:, None] == codes)
    mean = model.exog @ np.asarray(result.params)
    return stats.multivariate_normal(mean, v).logpdf(model.endog)


def chi2(statistic, df):
    return stats.chi2.sf(statistic, df)


# name: full, restricted, df, mixture of p-values
NESTED = {
    "fixed": ("x + f + (1 | g)", "x + (1 | g)", 2, {2: 1.0}),
    "fixed, slopes": ("x + (x | g)", "1 + (x | g)", 1, {1: 1.0}),
    "one variance": ("x + (1 | g) + (1 | h)", "x + (1 | g)", 1, {0: 0.5, 1: 0.5}),
    "slope": ("x + (x | g)", "x + (1 | g)", 2, {1: 0.5, 2: 0.5}),
    "two slopes": (
        "x + (x + z | g)",
        "x + (x | g)",
        3,
        {2: 0.5, 3: 0.5},
    ),
    "independent slope": ("x + (x || g)", "x + (1 | g)", 1, {0: 0.5, 1: 0.5}),
    "intercept": ("x + (x || g)", "x + (0 + x | g)", 1, {0: 0.5, 1: 0.5}),
    "covariance": ("x + (x | g)", "x + (x || g)", 1, {1: 1.0}),
    "two variances": (
        "x + (x || g) + (1 | h)",
        "x + (1 | g)",
        2,
        {0: 0.25, 1: 0.5, 2: 0.25},
    ),
    "fixed and variance": (
        "x + f + (1 | g) + (1 | h)",
        "x + (1 | g)",
        3,
        {2: 0.5, 3: 0.5},
    ),
    "one level per cell": (
        "x + (1 | g / f)",
        "x + (1 | g)",
        1,
        {0: 0.5, 1: 0.5},
    ),
    "other basis": ("x + (x | g)", "x + (0 + I(x + 1) | g)", 2, {1: 0.5, 2: 0.5}),
    "order of factors": ("x + (1 | h) + (x | g)", "x + (1 | g) + (1 | h)", 2, None),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested_models(name):
    full, restricted, df, mixture = NESTED[name]
    full, restricted = fit(full), fit(restricted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = full.compare_lr_test(restricted)
    expected = 2 * (dense_llf(full) - dense_llf(restricted))
    assert expected > 1e-6
    assert_allclose(test.statistic, expected, rtol=1e-8, atol=1e-10)
    assert test.df_diff == df
    assert_allclose(test.pvalue, chi2(expected, df), rtol=1e-7)
    mixture = mixture or {1: 0.5, 2: 0.5}
    # a chi-squared variable with 0 degrees of freedom is 0
    value = sum(w * chi2(expected, k) for k, w in mixture.items() if k)
    assert_allclose(test.pvalue_mixture, value, rtol=1e-7)
    assert test.refitted is False


def test_result_is_that_of_statsmodels():
    test = fit("x + f + (1 | g)").compare_lr_test(fit("x + (1 | g)"))
    statistic, pvalue, df_diff = test
    assert isinstance(test, CompareLRTestResult)
    assert (statistic, pvalue, df_diff) == (test.statistic, test.pvalue, test.df_diff)
    assert test[0] == statistic
    assert len(test) == 3
    assert test.pvalue_mixture == pvalue


def test_names_of_levels_do_not_matter():
    data = sample().assign(k=[f"level {9 - g}" for g in sample()["g"]])
    restricted = crossedmixedlm("y ~ x + (1 | k)", data).fit(reml=False)
    test = fit("x + (x | g)").compare_lr_test(restricted)
    assert_allclose(test, fit("x + (x | g)").compare_lr_test(fit("x + (1 | g)")))


def test_wrapped_or_not():
    full, restricted = fit("x + f + (1 | g)"), fit("x + (1 | g)")
    expected = full.compare_lr_test(restricted)
    assert full._results.compare_lr_test(restricted._results) == expected
    assert full._results.compare_lr_test(restricted) == expected
    assert full.compare_lr_test(restricted._results) == expected


# without random effects ----------------------------------------------------


@pytest.mark.parametrize(
    ("full", "restricted", "df", "mixture"),
    [
        ("x + (1 | g)", "x", 1, {0: 0.5, 1: 0.5}),
        ("x + (x | g)", "x", 3, None),
        ("x + f + (1 | g)", "x", 3, {2: 0.5, 3: 0.5}),
        ("x + (1 | g) + (1 | h)", "x", 2, {0: 0.25, 1: 0.5, 2: 0.25}),
    ],
)
def test_against_ols(full, restricted, df, mixture):
    test = fit(full).compare_lr_test(ols(restricted))
    rest = ols(restricted).resid
    llf = stats.norm.logpdf(rest, scale=np.sqrt((rest**2).mean())).sum()
    statistic = 2 * (dense_llf(fit(full)) - llf)
    assert_allclose(test.statistic, statistic, rtol=1e-8)
    assert test.df_diff == df
    assert_allclose(test.pvalue, chi2(statistic, df), rtol=1e-7)
    if mixture is None:
        # no known mixture: conservative, but not more than chi2(df)
        assert chi2(statistic, df - 1) <= test.pvalue_mixture <= test.pvalue
    else:
        value = sum(w * chi2(statistic, k) for k, w in mixture.items() if k)
        assert_allclose(test.pvalue_mixture, value, rtol=1e-7)


def test_ols_after_reml():
    with pytest.warns(DataWarning, match="refitted by maximum likelihood") as caught:
        test = fit("x + (1 | g)", True).compare_lr_test(ols("x"))
    assert len(caught) == 1
    assert test.refitted is True
    assert tuple(test) == tuple(fit("x + (1 | g)").compare_lr_test(ols("x")))


def test_against_wls():
    full = fit("x + (1 | g)", weights="w")
    data = sample()
    wls = smf.wls("y ~ x", data, weights=data["w"]).fit()
    test = full.compare_lr_test(wls)
    sd = np.sqrt((wls.resid**2 * data["w"]).mean() / data["w"])
    llf = stats.norm.logpdf(wls.resid, scale=sd).sum()
    assert_allclose(test.statistic, 2 * (dense_llf(full) - llf), rtol=1e-8)
    with pytest.raises(DataError, match="different weights"):
        full.compare_lr_test(ols("x"))
    with pytest.raises(DataError, match="different weights"):
        fit("x + (1 | g)").compare_lr_test(wls)


@pytest.mark.filterwarnings("ignore:The design matrix is rank-deficient")
def test_ols_with_redundant_columns():
    test = fit("x + (1 | g)").compare_lr_test(ols("x + I(2 * x)"))
    assert test.df_diff == 1
    assert_allclose(test.statistic, fit("x + (1 | g)").compare_lr_test(ols("x"))[0])


def test_a_variance_of_zero():
    rng = np.random.default_rng(2)
    data = sample().assign(k=np.arange(N) % 12, e=rng.standard_normal(N))
    data["e"] -= data.groupby("k")["e"].transform("mean")
    full = crossedmixedlm("e ~ 1 + (1 | k)", data).fit(reml=False)
    assert full.is_singular
    test = full.compare_lr_test(smf.ols("e ~ 1", data).fit())
    assert test.statistic == pytest.approx(0.0, abs=1e-8)
    assert test.pvalue == pytest.approx(1.0, abs=1e-3)
    assert test.pvalue_mixture == pytest.approx(1.0, abs=1e-3)


# REML ----------------------------------------------------------------------


def test_reml_with_the_same_fixed_effects():
    full, restricted = fit("x + (x | g)", True), fit("x + (1 | g)", True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        test = full.compare_lr_test(restricted)
    assert_allclose(test.statistic, 2 * (full.llf - restricted.llf), rtol=1e-12)
    assert test.df_diff == 2
    assert test.refitted is False


@pytest.mark.parametrize(("reml", "reml0"), [(True, True), (True, False)])
def test_reml_with_other_fixed_effects(reml, reml0):
    full, restricted = fit("x + f + (1 | g)", reml), fit("x + (1 | g)", reml0)
    expected = fit("x + f + (1 | g)").compare_lr_test(fit("x + (1 | g)"))
    with pytest.warns(DataWarning, match="refitted by maximum likelihood") as caught:
        test = full.compare_lr_test(restricted)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(test, expected, rtol=1e-6)
    assert test.refitted is True
    # the fits themselves stay
    assert full.reml is reml


def test_reml_of_the_restricted_model_only():
    expected = fit("x + f + (1 | g)").compare_lr_test(fit("x + (1 | g)"))
    with pytest.warns(DataWarning, match="refitted by maximum likelihood"):
        test = fit("x + f + (1 | g)").compare_lr_test(fit("x + (1 | g)", True))
    assert_allclose(test, expected, rtol=1e-6)
    assert test.refitted is True


@pytest.mark.filterwarnings("ignore:refitted by maximum likelihood")
@pytest.mark.parametrize(
    ("one", "other"),
    [("x", "I(10 * x)"), ("f", "C(f, Sum)"), ("f", "0 + f"), ("x", "center(x)")],
)
def test_reml_with_the_fixed_effects_in_other_words(one, other):
    """A restricted likelihood depends on the units of X, this test must not."""
    full = fit(one + " + (x | g)", True)
    expected = full.compare_lr_test(fit(one + " + (1 | g)", True))
    by_ml = fit(one + " + (x | g)").compare_lr_test(fit(one + " + (1 | g)"))
    test = full.compare_lr_test(fit(other + " + (1 | g)", True))
    expected = by_ml if test.refitted else expected
    assert_allclose(test.statistic, expected.statistic, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:refitted by maximum likelihood")
def test_refits_keep_weights_and_offset():
    formulas = ["x + f + (1 | g)", "x + (1 | g)"]
    full, restricted = (fit(f, True, "w", "o") for f in formulas)
    llf, llf0 = (fit(f, False, "w", "o").llf for f in formulas)
    test = full.compare_lr_test(restricted)
    expected = 2 * (llf - llf0)
    assert_allclose(test.statistic, expected, rtol=1e-7)


# what is refused -----------------------------------------------------------


def test_other_data():
    data = sample()
    full = fit("x + (x | g)")
    part = crossedmixedlm("y ~ x + (1 | g)", data[5:]).fit(reml=False)
    with pytest.raises(DataError, match="different data: 120 and 115 rows"):
        full.compare_lr_test(part)
    moved = data.assign(y=data["y"] * 1.001)
    other = crossedmixedlm("y ~ x + (1 | g)", moved).fit(reml=False)
    with pytest.raises(DataError, match="different responses"):
        full.compare_lr_test(other)
    with pytest.raises(DataError, match="different weights"):
        full.compare_lr_test(fit("x + (1 | g)", weights="w"))
    with pytest.raises(DataError, match="different data"):
        full.compare_lr_test(smf.ols("y ~ x", data[5:]).fit())


def test_other_offset():
    with pytest.raises(DataError, match="offset"):
        fit("x + (x | g)", offset="o").compare_lr_test(fit("x + (1 | g)", offset="z"))
    with pytest.raises(DataError, match="offset"):
        fit("x + (x | g)", offset="o").compare_lr_test(ols("x"))


@pytest.mark.parametrize(
    ("full", "restricted"),
    [
        ("x + (1 | g)", "z + (1 | g)"),
        ("x + (x | g)", "x + z + (1 | g)"),
        ("1 + (1 | g)", "f + (1 | g)"),
    ],
)
def test_fixed_effects_that_are_not_nested(full, restricted):
    with pytest.raises(DataError, match="not nested"):
        fit(full).compare_lr_test(fit(restricted))


@pytest.mark.parametrize(
    ("full", "restricted"),
    [
        ("x + (x | g)", "x + (1 | h)"),
        ("x + f + (1 | g)", "x + (1 | h)"),
        ("x + (x | g)", "x + (0 + z | g)"),
        ("x + (x || g) + (1 | h) + (0 + z | h)", "x + (x | g)"),
        ("x + diag(0 + f | g)", "x + (1 | g)"),
    ],
)
def test_random_effects_that_are_not_nested(full, restricted):
    with pytest.raises(DataError, match="not nested"):
        fit(full).compare_lr_test(fit(restricted))


@pytest.mark.parametrize(
    ("full", "restricted"),
    [
        ("x + (1 | g)", "x + (1 | g)"),
        ("x + (1 | g)", "x + (x | g)"),
        ("x + (1 | g)", "1 + (1 | g) + (1 | h)"),
        ("x + (1 | g)", "x + (1 | h)"),
    ],
)
def test_more_parameters_in_the_restricted_model(full, restricted):
    with pytest.raises(DataError, match=r"parameters|not nested"):
        fit(full).compare_lr_test(fit(restricted))


@pytest.mark.parametrize("reml", [True, False])
def test_fits_of_mixedlm_are_refused_or_understood(reml):
    """Its params hold variances, too, and its REML likelihood is no likelihood."""
    theirs = smf.mixedlm("y ~ 1", sample(), groups="g").fit(reml=reml)
    expected = fit("x + (x | g)").compare_lr_test(fit("1 + (1 | g)"))
    try:
        test = fit("x + (x | g)").compare_lr_test(theirs)
    except (DataError, TypeError):
        return
    assert_allclose(test, expected, rtol=1e-4)
    assert_allclose(test.pvalue_mixture, expected.pvalue_mixture, rtol=1e-4)


# mixtures ------------------------------------------------------------------


@pytest.mark.parametrize("statistic", [0.4, 2.7, 9.0])
def test_mixtures(statistic):
    c = [0.0, *(chi2(statistic, k) for k in range(1, 8))]
    expected = {
        (1, 0, 0): c[1],
        (3, 0, 0): c[3],
        (0, 1, 0): 0.5 * c[1],
        (0, 1, 1): 0.5 * (c[1] + c[2]),
        (0, 1, 3): 0.5 * (c[3] + c[4]),
        (2, 1, 0): 0.5 * (c[2] + c[3]),
        (0, 2, 0): 0.25 * c[0] + 0.5 * c[1] + 0.25 * c[2],
        (1, 2, 0): 0.25 * c[1] + 0.5 * c[2] + 0.25 * c[3],
        (0, 3, 0): (3 * c[1] + 3 * c[2] + c[3]) / 8,
        (0, 0, 1): c[1],
    }
    for counts, value in expected.items():
        assert_allclose(mixture_pvalue(statistic, *counts), value, rtol=1e-12)


def test_mixture_of_one_variance_is_that_of_simulated_fits():
    """Half of the statistics are 0 where the variance is."""
    rng = np.random.default_rng(4)
    k = np.repeat(np.arange(30), 3)
    found = []
    for _ in range(200):
        data = pd.DataFrame({"y": rng.standard_normal(90), "k": k})
        full = crossedmixedlm("y ~ 1 + (1 | k)", data).fit(reml=False)
        test = full.compare_lr_test(smf.ols("y ~ 1", data).fit())
        found.append((test.pvalue, test.pvalue_mixture))
    plain, mixture = np.array(found).T
    # standard error 0.03
    assert abs((mixture < 0.2).mean() - 0.2) < 0.09
    assert (plain < 0.2).mean() < (mixture < 0.2).mean()
    assert 0.35 < (mixture > 0.6).mean() < 0.7
