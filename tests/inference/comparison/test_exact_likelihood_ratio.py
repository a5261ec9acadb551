"""Exact tests of one variance, against dense likelihoods, the F test and RLRsim."""

import functools

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose, assert_array_equal
from samples import N, load, sample
from scipy import optimize, stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.uncertainty import null_distribution as core
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.comparison.exact_likelihood_ratio import exact_lr_test


@functools.cache
def fit(formula, reml=True, **kwargs):
    return crossedmixedlm("y ~ " + formula, sample(), **kwargs).fit(reml=reml)


def sleepstudy(formula, reml=True):
    data = load("sleepstudy")
    return crossedmixedlm("Reaction ~ " + formula, data).fit(reml=reml)


# the distribution -----------------------------------------------------------

# number of rows, levels, fixed effects, whether a slope, whether weighted
DESIGNS = {
    "balanced": (30, 6, 2, False, False),
    "intercepts": (40, 9, 2, False, False),
    "slopes": (40, 9, 3, True, False),
    "weights": (30, 5, 2, True, True),
    "no fixed effects": (20, 6, 0, False, False),
    "more fixed effects than levels": (30, 3, 5, False, False),
}


def design_of(name):
    """Basis of X, the factor, and Z as an array."""
    n, levels, p, slope, weighted = DESIGNS[name]
    rng = np.random.default_rng(len(name))
    codes = np.arange(n) % levels
    if name != "balanced":
        codes[levels:] = rng.integers(levels, size=n - levels)
    root = np.sqrt(rng.uniform(0.5, 2.0, n)) if weighted else np.ones(n)
    x = np.column_stack([np.ones(n), rng.standard_normal((n, max(p - 1, 0)))])[:, :p]
    column = root * (rng.standard_normal(n) if slope else 1.0)
    factor = GroupedEffects(codes, levels, column[:, None], (1,))
    z = column[:, None] * (codes[:, None] == np.arange(levels))
    return np.linalg.qr(x * root[:, None])[0], factor, z


def away_from(basis, columns):
    return columns - basis @ (basis.T @ columns)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_eigenvalues(name, reml):
    basis, factor, z = design_of(name)
    n, p = basis.shape
    design = core.null_design(basis, factor, reml, 0 if reml else 1)
    mu = np.linalg.svd(away_from(basis, z), compute_uv=False) ** 2
    mu = np.sort(mu[mu > 1e-9])
    assert_allclose(np.sort(np.repeat(design.mu, design.counts)), mu / mu[-1], 1e-9)
    xi = mu if reml else np.sort((z**2).sum(axis=0))
    assert_allclose(
        np.sort(np.repeat(design.xi, design.xi_counts)), xi / mu[-1], rtol=1e-9
    )
    assert design.nu == n - p * reml
    assert design.degrees_of_freedom.sum() == n - p + (not reml)


def test_equal_eigenvalues_are_one():
    """A balanced factor has one eigenvalue, whatever the number of levels."""
    codes = np.arange(60_000) % 20_000
    factor = GroupedEffects(codes, 20_000, np.ones((60_000, 1)), (1,))
    basis = np.full((60_000, 1), 60_000**-0.5)
    design = core.null_design(basis, factor, True)
    assert_allclose(design.mu, 1.0)
    assert design.counts.sum() == 19_999
    assert len(design.mu) <= 2


def slow_maximum(design, w, rest):
    """The supremum over lambda by Brent's method between the points of a fine grid."""

    def loss(log_ratio):
        ratio = np.exp(np.asarray(log_ratio))[..., None]
        shrink = 1.0 + ratio * design.mu
        explained, residual = (1 - 1 / shrink) @ w, (1 / shrink) @ w + rest
        logdet = np.log1p(ratio * design.xi) @ design.xi_counts
        return logdet - design.nu * np.log1p(explained / residual)

    grid = np.linspace(-20.0, 35.0, 551)
    at = int(np.argmin(loss(grid)))
    found = optimize.minimize_scalar(
        loss,
        bounds=grid[[max(at - 1, 0), min(at + 1, 550)]],
        method="bounded",
        options={"xatol": 1e-9},
    )
    return max(0.0, -found.fun)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", DESIGNS)
def test_maximum_of_each_draw(name, reml):
    basis, factor, _ = design_of(name)
    k_tested = 0 if reml else 1
    design = core.null_design(basis, factor, reml, k_tested)
    rng = np.random.default_rng(2)
    draws = np.zeros((40, len(design.degrees_of_freedom)))
    positive = design.degrees_of_freedom > 0
    draws[:, positive] = rng.chisquare(
        design.degrees_of_freedom[positive], (40, positive.sum())
    )
    # some far from the null hypothesis, where the best lambda is large
    draws[::4, :-2] *= 1e4
    found = core.statistics(design, draws)
    m = len(design.mu)
    for value, (*w, rest, tested) in zip(found, draws):
        expected = slow_maximum(design, np.array(w), rest)
        expected += design.nu * np.log1p(tested / (sum(w) + rest))
        assert_allclose(value, expected, rtol=1e-9, atol=1e-6)
    assert len(w) == m
    if reml:
        assert (found == 0.0).any()
        assert (found > 1.0).any()


@pytest.mark.parametrize("df_rest", [26, 10**9])
def test_maximum_close_to_zero_and_far_away(df_rest):
    """One eigenvalue has a closed form: lambda mu = (df w) / (k v) - 1."""
    nu, k = df_rest + 4, np.array([4])
    design = core.NullDesign(nu, np.ones(1), k, df_rest, np.ones(1), k, 0)
    ratio = np.array([-0.5, -1e-7, -1e-9, 1e-9, 1e-7, 1e-4, 0.3, 50.0, 3e6, 4e9, 2e13])
    rest = 0.9 * df_rest
    w = (1.0 + ratio) * 4 * rest / df_rest
    draws = np.column_stack([w, np.full(11, rest), np.zeros(11)])
    best = np.maximum(ratio, 0.0)
    expected = nu * np.log1p(w * best / (1 + best) / (w / (1 + best) + rest))
    expected -= 4 * np.log1p(best)
    found = core.statistics(design, draws)
    assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    # slopes at zero are known up to rounding
    known = abs(ratio) > (0.0 if nu < 1e6 else 1e-5)
    assert_array_equal(found[known] > 0.0, ratio[known] > 0.0)


@pytest.mark.slow
def test_maximum_of_very_different_eigenvalues():
    """The likelihood has several maxima, and long stretches that are not concave."""
    mu = np.logspace(-7, 0, 8)
    ones = np.ones(8, dtype=int)
    design = core.NullDesign(20, mu, ones, 12, mu, ones, 0)
    rng = np.random.default_rng(4)
    draws = np.column_stack(
        [
            np.exp(rng.normal(0.0, 5.0, (200, 8))),
            rng.chisquare(12, 200),
            np.zeros(200),
        ]
    )
    expected = [slow_maximum(design, row[:8], row[8]) for row in draws]
    assert_allclose(core.statistics(design, draws), expected, rtol=1e-9, atol=1e-6)


def test_flat_likelihood():
    """A level for each row cannot be told from the residual."""
    ones = np.ones(20, dtype=int)
    design = core.NullDesign(20, np.ones(20), ones, 0, np.ones(20), ones, 0)
    draws = core.simulate_null(design, 500, np.random.default_rng(0))
    assert_allclose(draws, 0.0, atol=1e-10)


def dense_statistics(responses, x, x0, z, reml):
    """Statistics of many responses from n x n likelihoods on a grid of lambda."""
    n = len(x)

    def criteria(v, x):
        inverse = np.linalg.inv(v)
        information = x.T @ inverse @ x
        weight = inverse @ x
        p = inverse - weight @ np.linalg.solve(information, weight.T)
        nu = n - x.shape[1] * reml
        value = np.linalg.slogdet(v)[1] + reml * np.linalg.slogdet(information)[1]
        return value + nu * np.log(((responses @ p) * responses).sum(axis=1))

    best = criteria(np.eye(n), x)
    for ratio in np.exp(np.linspace(-9.0, 7.0, 200)):
        best = np.minimum(best, criteria(np.eye(n) + ratio * z @ z.T, x))
    return criteria(np.eye(n), x0) - best


@pytest.mark.parametrize(
    ("name", "reml", "dropped"),
    [
        ("intercepts", True, 0),
        ("slopes", True, 0),
        ("intercepts", False, 0),
        ("slopes", False, 2),
    ],
)
def test_brute_force_distribution(name, reml, dropped):
    """The statistic of data simulated under the null, maximized densely."""
    rng = np.random.default_rng(11)
    basis, factor, z = design_of(name)
    x0 = basis[:, : basis.shape[1] - dropped]
    responses = rng.standard_normal((3000, len(z)))
    dense = dense_statistics(responses, basis, x0, z, reml)
    dense[dense < 1e-9] = 0.0
    null = core.null_design(basis, factor, reml, dropped)
    draws = core.simulate_null(null, 20_000, rng)
    assert stats.ks_2samp(dense, draws).pvalue > 0.01
    # rounding does not make zeros positive
    assert not ((draws > 0.0) & (draws < 1e-12)).any()
    # what asymptotic theory says is told apart by the same test
    mixture = stats.chi2.rvs(dropped, size=20_000, random_state=rng) if dropped else 0.0
    zeros = rng.uniform(size=20_000) < 0.5
    mixture = mixture + np.where(zeros, 0.0, rng.chisquare(1, size=20_000))
    assert stats.ks_2samp(dense, mixture).pvalue < 1e-3


def test_draws_do_not_depend_on_memory(monkeypatch):
    basis, factor, _ = design_of("slopes")
    design = core.null_design(basis, factor, True)
    expected = core.simulate_null(design, 500, np.random.default_rng(1))
    monkeypatch.setattr(core, "ENTRIES", 700)
    found = core.simulate_null(design, 500, np.random.default_rng(1))
    assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


# the statistic ---------------------------------------------------------------


def own_draw(result, column, restricted=None):
    """The statistic of the data from its own chi-squared variables."""
    model = result.model
    root = np.ones(N) if model.weights is None else np.sqrt(model.weights)
    x = model.exog * root[:, None]
    basis = np.linalg.svd(x, full_matrices=False)
    basis = basis[0][:, basis[1] > 1e-8]
    codes = sample()["g"].str[1:].astype(int).to_numpy()
    z = (root * column)[:, None] * (codes[:, None] == np.arange(10))
    offset = 0.0 if model.offset is None else model.offset
    y = away_from(basis, root * (model.endog - offset))
    u, s, _ = np.linalg.svd(away_from(basis, z), full_matrices=False)
    keep = s > 1e-8
    w = (u[:, keep].T @ y) ** 2
    mu = s[keep] ** 2
    xi = mu if result.reml else (z**2).sum(axis=0)
    ones = np.ones(len(xi), dtype=int)
    nu = N - basis.shape[1] * result.reml
    design = core.NullDesign(nu, mu, np.ones(len(mu), int), 0, xi, ones, 0)
    dropped = 0.0
    if restricted is not None:
        dropped = np.log(restricted.ssr / (y @ y)) * nu
    return slow_maximum(design, w, y @ y - w.sum()) + dropped


@pytest.mark.filterwarnings("ignore::statsmodels_lmm.exceptions.RankWarning")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("formula", "kwargs"),
    [
        ("x + f + (1 | g)", {}),
        ("x + f + (0 + x | g)", {}),
        ("x + (1 | g)", {"weights": "w", "offset": "o"}),
        ("x + I(2 * x) + (0 + x | g)", {"weights": "w"}),
        ("0 + (1 | g)", {}),
    ],
)
def test_statistic_of_the_only_variance(formula, kwargs, reml):
    result = fit(formula, reml, **kwargs)
    test = exact_lr_test(result, nsim=99, rng=0)
    column = sample()["x"].to_numpy() if "0 + x" in formula else np.ones(N)
    assert_allclose(test.statistic, own_draw(result, column), rtol=1e-6, atol=1e-6)
    assert test.statistic > 0.1
    assert test.name == ("RLRT" if reml else "LRT")
    assert test.effect == ("g: x" if "0 + x" in formula else "g: Intercept")


@pytest.mark.parametrize("reml", [True, False])
def test_restricted_fit_of_least_squares(reml):
    full = fit("x + f + (1 | g)", reml)
    expected = exact_lr_test(full, nsim=200, rng=3)
    for restricted in (
        smf.ols("y ~ x + f", sample()).fit(),
        smf.ols("y ~ 0 + f + x", sample()).fit()._results,
    ):
        test = exact_lr_test(full, restricted, nsim=200, rng=3)
        assert_allclose(test.statistic, expected.statistic, rtol=1e-8)
        assert_array_equal(test.draws, expected.draws)
        assert test.pvalue == expected.pvalue
    weighted = fit("x + (1 | g)", reml, weights="w")
    restricted = smf.wls("y ~ x", sample(), weights=sample()["w"]).fit()
    test = exact_lr_test(weighted, restricted, nsim=200, rng=3)
    expected = exact_lr_test(weighted._results, nsim=200, rng=3)
    assert_allclose(test.statistic, expected.statistic, rtol=1e-8)


def test_fixed_effects_tested_too():
    full, restricted = fit("x + f + (1 | g)", False), smf.ols("y ~ x", sample()).fit()
    test = exact_lr_test(full, restricted, nsim=5000, rng=1)
    expected = own_draw(full, np.ones(N), restricted)
    assert_allclose(test.statistic, expected, rtol=1e-7)
    assert test.zero_share == 0.0
    one = exact_lr_test(full, nsim=5000, rng=1)
    assert test.draws.mean() > one.draws.mean() + 1.5
    # the same with another variance in both models
    full = fit("x + f + (1 | g) + (1 | h)", False)
    restricted = fit("x + (1 | h)", False)
    test = exact_lr_test(full, restricted, nsim=5000, rng=1)
    assert_allclose(test.statistic, 2 * (full.llf - restricted.llf), rtol=1e-10)
    assert test.draws.mean() > one.draws.mean() + 1.5


# full, restricted, the effect, a model with that effect only
SEVERAL = {
    "other factor": ("x + (1 | g) + (1 | h)", "x + (1 | h)", "g: Intercept", "1"),
    "slope": ("x + (x || g)", "x + (1 | g)", "g: x", "0 + x"),
    "intercept": ("x + (x || g)", "x + (0 + x | g)", "g: Intercept", "1"),
    "correlated other term": (
        "x + (1 | h) + (0 + z | g) + (0 + x + f | g)",
        "x + (0 + x + f | g) + (1 | h)",
        "g: z",
        "0 + z",
    ),
    "slope in other units": (
        "x + (x || g) + (1 | h)",
        "x + (1 | g) + (1 | h)",
        "g: x",
        "0 + x",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SEVERAL)
def test_several_variances(name, reml):
    """The null distribution is that of the model with the tested effect alone."""
    full, restricted, effect, only = SEVERAL[name]
    full, restricted = fit(full, reml), fit(restricted, reml)
    test = exact_lr_test(full, restricted, nsim=300, rng=9)
    difference = 2 * (full.llf - restricted.llf)
    assert_allclose(test.statistic, difference, rtol=1e-9, atol=1e-9)
    assert test.effect == effect
    alone = exact_lr_test(fit(f"x + ({only} | g)", reml), nsim=300, rng=9)
    assert_allclose(test.draws, alone.draws, rtol=1e-9, atol=1e-9)


def test_coding_of_the_fixed_effects():
    """Restricted likelihoods of other codings differ by a constant, the test not."""
    full = fit("x + f + (1 | g) + (1 | h)")
    expected = exact_lr_test(full, fit("x + f + (1 | h)"), nsim=10, rng=0)
    recoded = fit("C(f, Sum) + I(5 * x - 3) + (1 | h)")
    assert abs(recoded.llf - fit("x + f + (1 | h)").llf) > 0.1
    found = exact_lr_test(full, recoded, nsim=10, rng=0)
    assert_allclose(found.statistic, expected.statistic, rtol=1e-8)


def test_invariances():
    expected = exact_lr_test(fit("x + (1 | g)"), nsim=200, rng=4)
    data = sample()
    others = {
        "y ~ x + (1 | g)": data.sample(frac=1.0, random_state=0),
        "y ~ 1 + x + (1 | k)": data.assign(k="level " + data["g"].str[::-1]),
        "I(1e6 + 1e-3 * y) ~ I(x * 1e4 + 1e6) + (1 | g)": data,
    }
    for formula, frame in others.items():
        test = exact_lr_test(crossedmixedlm(formula, frame).fit(), nsim=200, rng=4)
        assert_allclose(test.statistic, expected.statistic, rtol=1e-6)
        assert_allclose(test.draws, expected.draws, rtol=1e-6, atol=1e-8)


def test_models_from_arrays():
    data = sample()
    x = sm.add_constant(data[["x"]].to_numpy())
    y = data["y"].to_numpy()
    full = CrossedMixedLM(y, x, random={"g": data["g"], "h": data["h"]}).fit()
    restricted = CrossedMixedLM(y, x, random={"h": data["h"]}).fit()
    found = exact_lr_test(full, restricted, nsim=100, rng=2)
    full, restricted = fit("x + (1 | g) + (1 | h)"), fit("x + (1 | h)")
    expected = exact_lr_test(full, restricted, nsim=100, rng=2)
    assert_allclose(found.statistic, expected.statistic, rtol=1e-9)
    assert_allclose(found.draws, expected.draws, rtol=1e-9, atol=1e-9)


def test_singular_fit():
    """A variance of zero has the statistic zero, which every draw reaches."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"x": rng.uniform(size=48), "g": np.arange(48) % 6})
    # residuals whose means by group are all zero
    noise = rng.standard_normal(48)
    frame["y"] = noise - pd.Series(noise).groupby(frame["g"]).transform("mean")
    for reml in (True, False):
        test = exact_lr_test(crossedmixedlm("y ~ x + (1 | g)", frame).fit(reml=reml))
        assert test.statistic == 0.0
        assert test.pvalue == 1.0
        assert 0.4 < test.zero_share < 0.8


@pytest.mark.filterwarnings("ignore")
def test_effect_that_the_fixed_effects_explain():
    test = exact_lr_test(fit("0 + C(g) + (1 | g)"), nsim=50, rng=0)
    assert (test.statistic, test.pvalue, test.zero_share) == (0.0, 1.0, 1.0)


# other tests and packages ----------------------------------------------------


def test_balanced_one_way_layout():
    """There the statistic is a function of F: the F test is the same test."""
    data = load("dyestuff")
    full = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    nsim = 200_000
    test = exact_lr_test(full, nsim=nsim, rng=0)
    anova = sm.stats.anova_lm(smf.ols("Yield ~ C(Batch)", data).fit())
    exact = anova["PR(>F)"].iloc[0]
    assert abs(test.pvalue - exact) < 4 * np.sqrt(exact * (1 - exact) / nsim)
    zero = stats.f.cdf(1.0, *anova["df"])
    assert abs(test.zero_share - zero) < 4 * np.sqrt(zero * (1 - zero) / nsim)


# exactRLRT and exactLRT of RLRsim 3.1-8, nsim = 200000, set.seed(1): statistic, share
# of zeros, quantiles at 80, 90, 95 and 99 percent
RLRSIM = {
    "intercept": (107.198578, 0.5391850, [0.5630307, 1.4208343, 2.4181070, 5.0218733]),
    "slope": (42.7957918, 0.5402150, [0.5514597, 1.4022096, 2.4072282, 5.0151850]),
    "intercept, ML": (
        106.214413,
        0.5945200,
        [0.3746772, 1.1281453, 2.0417450, 4.4888850],
    ),
    "intercept and Days": (
        166.970309,
        0.0,
        [2.263945, 3.501184, 4.758665, 7.838647],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RLRSIM)
def test_rlrsim(name):
    statistic, zero, quantiles = RLRSIM[name]
    data = load("sleepstudy")
    full = sleepstudy("Days + (1 | Subject)", reml="ML" not in name)
    restricted = None
    if name == "slope":
        full, restricted = sleepstudy("Days + (Days || Subject)"), full
    elif "and Days" in name:
        full = sleepstudy("Days + (1 | Subject)", reml=False)
        restricted = smf.ols("Reaction ~ 1", data).fit()
    nsim = 50_000
    test = exact_lr_test(full, restricted, nsim=nsim, rng=0)
    assert_allclose(test.statistic, statistic, rtol=1e-7)
    assert test.pvalue == 1 / (nsim + 1)
    # both sides are simulated
    noise = 1 / nsim + 1 / 200_000
    tolerance = 4 * np.sqrt(noise * zero * (1 - zero))
    assert_allclose(test.zero_share, zero, atol=tolerance)
    for share, quantile in zip([0.8, 0.9, 0.95, 0.99], quantiles):
        error = np.sqrt(noise * share * (1 - share))
        assert abs(np.mean(test.draws <= quantile) - share) < 4 * error


# arguments -------------------------------------------------------------------


def test_result():
    full = fit("x + (1 | g)")
    test = exact_lr_test(full, nsim=400, rng=np.random.default_rng(6))
    again = exact_lr_test(full, nsim=400, rng=6)
    assert_array_equal(test.draws, again.draws)
    assert (exact_lr_test(full, nsim=400, rng=7).draws != again.draws).any()
    assert (test.nsim, test.draws.shape) == (400, (400,))
    assert test.zero_share == np.mean(test.draws == 0)
    reached = (test.draws >= test.statistic).sum()
    assert test.pvalue == (reached + 1) / 401
    assert repr(test).endswith("from 400 draws>")
    assert type(test.statistic) is type(test.pvalue) is float
    assert exact_lr_test(full).nsim == 10_000


BAD = [
    ("x + (x | g)", "x + (1 | g)", "method='bootstrap'"),
    ("x + (x | g)", "x + (x || g)", "method='bootstrap'"),
    ("x + (x || g) + (1 | h)", "x + (1 | g)", "method='bootstrap'"),
    ("x + (x | g) + (1 | h)", "x + (1 | h)", "method='bootstrap'"),
    ("x + (x | g) + (1 | h)", "x + (x | g) + (0 + I(2 * x) | g)", "method='bootstrap'"),
    ("x + (x | g)", None, "method='bootstrap'"),
    ("x + (x || g)", None, "several variances; pass the fit"),
    ("x + (1 | g)", "x + (1 | g)", "no variance to test"),
    ("x + (1 | g)", "x + (1 | h)", r"not nested.*\(Intercept \| h\)"),
    ("x + (1 | g) + (1 | h)", "z + (1 | g)", "not nested.*fixed effects"),
    ("x + (1 | g) + (1 | h)", "1 + (1 | g)", "same fixed effects.*reml=False"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("full", "restricted", "match"), BAD)
def test_models_that_do_not_fit_together(full, restricted, match):
    restricted = None if restricted is None else fit(restricted)
    with pytest.raises(DataError, match=match):
        exact_lr_test(fit(full), restricted, nsim=10)


def test_fits_that_do_not_compare():
    full, data = fit("x + (1 | g)"), sample()
    for restricted, match in (
        (smf.ols("y ~ 1", data).fit(), "same fixed effects.*reml=False"),
        (smf.ols("y ~ z", data).fit(), "not nested"),
        (smf.ols("z ~ x", data).fit(), "different responses"),
        (smf.ols("y ~ x", data[:80]).fit(), "120 and 80 rows"),
        (smf.wls("y ~ x", data, weights=data["w"]).fit(), "different weights"),
        (smf.gls("y ~ x", data, sigma=data["w"]).fit(), "a fit of GLS"),
        (smf.glm("y ~ x", data).fit(), "a fit of GLM"),
    ):
        with pytest.raises(DataError, match=match):
            exact_lr_test(full, restricted, nsim=10)
    with pytest.raises(DataError, match="fitted by REML and the restricted one by ML"):
        exact_lr_test(fit("x + (x || g)"), fit("x + (1 | g)", False))
    with pytest.raises(DataError, match="must be fitted by CrossedMixedLM"):
        exact_lr_test(smf.ols("y ~ x", data).fit(), full)
    for nsim in (0, -5, 10.0, "many"):
        with pytest.raises(ValueError, match="nsim must be a positive whole number"):
            exact_lr_test(full, nsim=nsim)


def test_data_that_were_removed():
    full = crossedmixedlm("y ~ x + (1 | g) + (1 | h)", sample()).fit()
    restricted = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    restricted.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        exact_lr_test(full, restricted)
    full.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        exact_lr_test(full, fit("x + (1 | g)"))
