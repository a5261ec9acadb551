"""Likelihood-ratio tests, against likelihoods of dense matrices and formulas."""

import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import stats
from statsmodels.regression.linear_model import CompareLRTestResult
from statsmodels_twin import mixedlm_at

from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.comparison.likelihood_ratio import (
    compare_models,
    mixture_pvalue,
)

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
    # groups of groups, and as many groups as g has that cross them
    frame["pair"], frame["ten"] = g // 2, np.arange(N) // 12
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
    for effects, cov in zip(model.random, result.cov_re.values()):
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
        ("x + (x | g)", "x + (1 | pair)"),
        ("x + (x | pair)", "x + (1 | g)"),
        ("x + (x | g)", "x + (1 | ten)"),
        ("x + (x | g)", "x + (x | pair) + (1 | ten)"),
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
    model = smf.mixedlm("y ~ 1", sample(), groups="g")
    theirs = mixedlm_at(model, fit("1 + (1 | g)", reml))
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
        # no known mixture: the two neighbors, half each
        (0, 2, 1): 0.5 * (c[2] + c[3]),
        (1, 2, 1): 0.5 * (c[3] + c[4]),
        (0, 3, 2): 0.5 * (c[4] + c[5]),
    }
    for counts, value in expected.items():
        assert_allclose(mixture_pvalue(statistic, *counts), value, rtol=1e-12)


@pytest.mark.slow
def test_mixture_of_one_variance_is_that_of_simulated_fits():
    """Half of the statistics are 0 where the variance is."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"y": np.arange(90.0), "k": np.repeat(np.arange(30), 3)})
    mixed = crossedmixedlm("y ~ 1 + (1 | k)", data)
    found = []
    for _ in range(200):
        y = rng.standard_normal(90)
        full = mixed.with_response(y).fit(reml=False)
        test = full.compare_lr_test(sm.OLS(y, np.ones(90)).fit())
        found.append((test.pvalue, test.pvalue_mixture))
    plain, mixture = np.array(found).T
    # standard error 0.03
    assert abs((mixture < 0.2).mean() - 0.2) < 0.09
    assert (plain < 0.2).mean() < (mixture < 0.2).mean()
    assert 0.35 < (mixture > 0.6).mean() < 0.7


# where the p-value comes from ------------------------------------------------


def test_methods():
    full, restricted = fit("x + (1 | g) + (1 | h)"), fit("x + (1 | g)")
    plain = full.compare_lr_test(restricted)
    assert plain.method == "chi2"
    assert plain.draws is None
    mixture = full.compare_lr_test(restricted, "mixture")
    assert mixture.method == "mixture"
    assert mixture.pvalue == mixture.pvalue_mixture == plain.pvalue_mixture
    assert_allclose(mixture.pvalue, 0.5 * chi2(plain.statistic, 1))
    for method in ("bootstrap", "exact"):
        test = full.compare_lr_test(restricted, method, nsim=30, rng=2)
        assert test.method == method
        assert test.statistic == plain.statistic
        assert test.pvalue_mixture == plain.pvalue_mixture
        assert len(test.draws) == 30
        k = (test.draws >= test.statistic).sum()
        assert test.pvalue == pytest.approx((k + 1) / 31)
        again = full.compare_lr_test(restricted, method, nsim=30, rng=2)
        assert np.array_equal(again.draws, test.draws)
    for wrong in ("Chi2", "lrt", None, "wald"):
        with pytest.raises(
            ValueError, match="method must be one of chi2, mixture, bootstrap, exact"
        ):
            full.compare_lr_test(restricted, wrong)


def test_exact_is_that_of_its_own_function():
    for reml in (False, True):
        full, restricted = fit("x + (1 | g) + (1 | h)", reml), fit("x + (1 | g)", reml)
        test = full.compare_lr_test(restricted, "exact", nsim=500, rng=4)
        alone = full.exact_lr_test(restricted, nsim=500, rng=4)
        assert test.pvalue == alone.pvalue
        assert np.array_equal(test.draws, alone.draws)
    with pytest.raises(DataError, match="single variance"):
        fit("x + (x | g)").compare_lr_test(fit("x + (1 | g)"), "exact", nsim=10)
    alone = fit("x + (1 | g)").compare_lr_test(ols("x"), "exact", nsim=500, rng=4)
    assert 0.0 < alone.pvalue < 1.0


def test_results_can_be_copied_and_pickled():
    test = fit("x + (1 | g) + (1 | h)").compare_lr_test(
        fit("x + (1 | g)"), "bootstrap", nsim=5, rng=2
    )
    for other in (pickle.loads(pickle.dumps(test)), copy.copy(test)):
        assert tuple(other) == tuple(test)
        assert other.method == "bootstrap"
        assert other.pvalue_mixture == test.pvalue_mixture
        assert np.array_equal(other.draws, test.draws)


@pytest.mark.parametrize("kind", ["gls", "quantreg", "glm"])
def test_restricted_fits_that_are_not_of_this_package(kind):
    """Only models with independent errors are nested in a mixed model here."""
    data, full = sample(), fit("x + (1 | g)")
    lag = np.abs(np.subtract.outer(np.arange(N), np.arange(N)))
    if kind == "gls":
        other = smf.gls("y ~ x", data, sigma=0.7**lag).fit()
    else:
        other = getattr(smf, kind)("y ~ x", data).fit()
    with pytest.raises(DataError, match="cannot be compared"):
        full.compare_lr_test(other)


# several models --------------------------------------------------------------

# lme4 1.1-31, anova(m0, m1, ...) of data in this package:
# formula, n_params, AIC, BIC, logLik; then chi-squared statistics
SLEEP = {
    "Reaction ~ 1 + (1 | Subject)": (
        3,
        1916.5410580730588,
        1926.1199286257295,
        -955.2705290365294,
    ),
    "Reaction ~ Days + (1 | Subject)": (
        4,
        1802.0786430052258,
        1814.8504704087866,
        -897.0393215026129,
    ),
    "Reaction ~ Days + (Days || Subject)": (
        5,
        1762.0032551398826,
        1777.9680393943338,
        -876.0016275699413,
    ),
    "Reaction ~ Days + (Days | Subject)": (
        6,
        1763.9393444631978,
        1783.0970855685391,
        -875.9696722315989,
    ),
}
SLEEP_TESTS = [
    (116.46241506783304, 1, 3.7644614765452184e-27),
    (42.075387865343146, 1, 8.782158485287891e-11),
    (0.0639106766848272, 1, 0.800418431977498),
]


@functools.cache
def named_fit(formula, name="sleepstudy", reml=False):
    data = load(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = crossedmixedlm(formula, data, check_levels=False)
        return model.fit(reml=reml)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
@pytest.mark.parametrize("method", ["chi2", "mixture"])
def test_table_against_lme4(order, method):
    fits = [named_fit(list(SLEEP)[i]) for i in order]
    for table in (
        compare_models(*fits, method=method),
        fits[0].anova(*fits[1:], method=method),
        compare_models(*(f._results for f in fits), method=method),
    ):
        assert list(table.index) == ["m0", "m1", "m2", "m3"]
        assert list(table.attrs["models"].values()) == list(SLEEP)
        assert table.attrs["refitted"] is False
        expected = np.array(list(SLEEP.values()))
        assert_allclose(table[["n_params", "aic", "bic", "llf"]], expected, rtol=1e-10)
        assert_allclose(table["deviance"], -2.0 * expected[:, 3], rtol=1e-10)
        tests = table[["statistic", "df"]].to_numpy()
        assert np.isnan(tests[0]).all()
        assert_allclose(tests[1:], np.array(SLEEP_TESTS)[:, :2], atol=1e-8)
        if method == "chi2":
            pvalues = [t[2] for t in SLEEP_TESTS]
            assert_allclose(table["pvalue"].iloc[1:], pvalues, rtol=1e-6)
        else:
            assert_allclose(table["pvalue"], table["pvalue_mixture"])
        halves = [1.0, 0.5, 1.0] * np.array([t[2] for t in SLEEP_TESTS])
        assert_allclose(table["pvalue_mixture"].iloc[1:], halves, rtol=1e-6)


# lme4 1.1-31, anova(m0, m1, refit = FALSE) of REML fits; the same fields, chi-squared
REML_PAIRS = [
    (
        "sleepstudy",
        ["Reaction ~ Days + (1 | Subject)", "Reaction ~ Days + (Days | Subject)"],
        [1794.465085394921, 1755.6282719584906],
        [1807.2369127984819, 1774.786013063832],
        [-893.2325426974605, -871.8141359792453],
        (42.836813436430475, 2, 4.9900414269613e-10),
    ),
    (
        "pastes",
        ["strength ~ 1 + (1 | batch:cask)", "strength ~ 1 + (1 | batch / cask)"],
        [253.6484017803596, 254.99074585348603],
        [259.9314354670259, 263.36812410237445],
        [-123.8242008901798, -123.49537292674302],
        (0.6576559268735593, 1, 0.4173887109587222),
    ),
    (
        "penicillin",
        [
            "diameter ~ 1 + (1 | plate) + (1 | sample)",
            "diameter ~ 1 + (1 | plate) + (1 | sample) + (1 | plate:sample)",
        ],
        # lme4 counts a third variance, which is not told from the residual one
        [338.8605889910872, 338.86058899108787],
        [350.7398421893912, 350.7398421893912],
        [-165.4302944955436, -165.43029449554393],
        (0.0, 0, np.nan),
    ),
]


@pytest.mark.parametrize(("name", "formulas", "aic", "bic", "llf", "test"), REML_PAIRS)
def test_restricted_likelihoods_against_lme4(name, formulas, aic, bic, llf, test):
    fits = [named_fit(f, name, True) for f in formulas]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare_models(*fits)
    assert table.attrs["models"] == dict(zip(table.index, formulas))
    assert_allclose(table["aic"], aic, rtol=1e-10)
    assert_allclose(table["bic"], bic, rtol=1e-10)
    assert_allclose(table["llf"], llf, rtol=1e-10)
    row = table[["statistic", "df", "pvalue"]].iloc[1]
    assert_allclose(row, test, rtol=1e-6, atol=1e-8)


def test_refits_of_a_table_warn_once():
    formulas = list(SLEEP)
    fits = [named_fit(f, reml=True) for f in formulas]
    with pytest.warns(DataWarning, match="refitted by maximum likelihood") as caught:
        table = compare_models(*fits)
    assert len(caught) == 1
    assert table.attrs["refitted"] is True
    assert_allclose(table["llf"], [v[3] for v in SLEEP.values()], rtol=1e-10)
    with pytest.warns(DataWarning) as caught:
        table = fits[1].anova(fits[0])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert_allclose(table["statistic"].iloc[1], SLEEP_TESTS[0][0], rtol=1e-9)
    assert fits[0].reml is True


def test_least_squares_in_a_table():
    one, two, three = ols("x"), fit("x + (1 | g)"), fit("x + (x | g)")
    for fits in ((one, two, three), (three, two, one), (two, one, three)):
        table = compare_models(*fits)
        formulas = ["y ~ x", "y ~ x + (1 | g)", "y ~ x + (x | g)"]
        assert list(table.attrs["models"].values()) == formulas
        assert list(table["n_params"]) == [3, 4, 6]
        assert_allclose(table["llf"], [one.llf, two.llf, three.llf])
        assert_allclose(table["aic"], -2.0 * table["llf"] + 2.0 * table["n_params"])
        bic = -2.0 * table["llf"] + np.log(N) * table["n_params"]
        assert_allclose(table["bic"], bic)
        steps = [two.compare_lr_test(one), three.compare_lr_test(two)]
        for at, step in enumerate(steps, start=1):
            row = table.iloc[at]
            assert tuple(row[["statistic", "pvalue", "df"]]) == tuple(step)
            assert row["pvalue_mixture"] == step.pvalue_mixture
    with pytest.warns(DataWarning, match="refitted") as caught:
        table = fit("x + (1 | g)", True).anova(one)
    assert len(caught) == 1
    assert_allclose(table["llf"], [one.llf, two.llf])


def test_drawn_pvalues_in_a_table():
    fits = fit("x + (1 | g)"), fit("x + (1 | g) + (1 | h)"), ols("x")
    for method in ("bootstrap", "exact"):
        table = compare_models(*fits, method=method, nsim=40, rng=6)
        again = compare_models(*fits, method=method, nsim=40, rng=6)
        pd.testing.assert_frame_equal(table, again)
        steps = [
            fits[0].compare_lr_test(fits[2], method, nsim=40, rng=6),
            fits[1].compare_lr_test(fits[0], method, nsim=40, rng=6),
        ]
        assert list(table["pvalue"].iloc[1:]) == [s.pvalue for s in steps]


def test_tables_that_are_refused():
    with pytest.raises(DataError, match="not nested"):
        compare_models(fit("x + (1 | g)"), fit("z + f + (1 | g)"))
    with pytest.raises(DataError, match="not nested"):
        fit("x + (1 | g)").anova(fit("x + (1 | h)"), fit("x + (1 | g) + (1 | h)"))
    with pytest.raises(DataError, match="as many parameters"):
        fit("x + (1 | g)").anova(fit("x + (1 | g)"))
    with pytest.raises(DataError, match="different weights"):
        fit("x + (x | g)").anova(fit("x + (1 | g)", weights="w"))
    with pytest.raises(ValueError, match="method must be one of"):
        fit("x + (x | g)").anova(fit("x + (1 | g)"), method="wald")
    with pytest.raises(TypeError, match="nsmi"):
        fit("x + (x | g)").anova(fit("x + (1 | g)"), nsmi=3)


def test_hypotheses_are_not_for_several_models():
    """Arguments of the table of one model mean nothing there."""
    full, restricted = fit("x + (x | g)"), fit("x + (1 | g)")
    with pytest.raises(TypeError):
        full.anova(restricted, type=2)
    with pytest.raises(TypeError):
        full.anova(restricted, df_method="satterthwaite")


def test_data_that_were_removed():
    full, small = (
        crossedmixedlm(f"y ~ x + {r}", sample()).fit(reml=False)
        for r in ("(x | g)", "(1 | g)")
    )
    small.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        full.compare_lr_test(small)
    with pytest.raises(DataError, match="data of the model were removed"):
        small.compare_lr_test(ols("x"))
