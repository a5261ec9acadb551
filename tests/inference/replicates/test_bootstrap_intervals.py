"""Intervals of the bootstrap, against formulas written out and order statistics."""

import functools
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates.bootstrap_intervals import (
    INTERVALS,
    interval,
    quantiles,
)

NORMAL = NormalDist()


def literal_quantile(draws, a):
    """Equation 5.8 of Davison and Hinkley, by hand."""
    t = sorted(draws)
    r = len(t)
    k = int(np.floor((r + 1) * a + 1e-9))
    if k < 1:
        return t[0]
    if k >= r:
        return t[-1]
    if abs((r + 1) * a - k) < 1e-9:
        return t[k - 1]
    z, z0 = NORMAL.inv_cdf(a), NORMAL.inv_cdf(k / (r + 1))
    z1 = NORMAL.inv_cdf((k + 1) / (r + 1))
    return t[k - 1] + (z - z0) / (z1 - z0) * (t[k] - t[k - 1])


def literal_interval(method, t, se, draws, errors, alpha):
    a = alpha / 2.0
    z = NORMAL.inv_cdf(1.0 - a)
    r = len(draws)
    mean = sum(draws) / r
    if method == "wald":
        return t - z * se, t + z * se
    if method == "basic":
        low, high = literal_quantile(draws, 1.0 - a), literal_quantile(draws, a)
        return 2.0 * t - low, 2.0 * t - high
    if method == "normal":
        sd = np.sqrt(sum((x - mean) ** 2 for x in draws) / (r - 1))
        middle = t - (mean - t)
        return middle - z * sd, middle + z * sd
    if method == "studentized":
        ratios = [(x - t) / s for x, s in zip(draws, errors)]
        low, high = literal_quantile(ratios, 1.0 - a), literal_quantile(ratios, a)
        return t - se * low, t - se * high
    return literal_quantile(draws, a), literal_quantile(draws, 1.0 - a)


def numbers(count, seed=1):
    """A skewed sample and standard errors that grow with it."""
    rng = np.random.default_rng(seed)
    draws = rng.gamma(3.0, size=count)
    return draws, 0.2 + 0.3 * draws


# quantiles -----------------------------------------------------------------


@pytest.mark.parametrize("count", [99, 999])
@pytest.mark.parametrize("alpha", [0.1, 0.05, 0.02])
def test_whole_ranks_are_order_statistics(count, alpha):
    draws = np.random.default_rng(2).permutation(np.arange(1.0, count + 1.0)) ** 2
    for a in (alpha / 2.0, 1.0 - alpha / 2.0):
        rank = (count + 1) * a
        if abs(rank - round(rank)) < 1e-9:
            assert quantiles(draws, np.array([a]))[0] == round(rank) ** 2


def test_some_ranks_by_hand():
    """R = 99: order statistics 5 and 95; R = 999: 25 and 975."""
    first = np.arange(1.0, 100.0)[::-1]
    assert interval("percentile", 0.0, 1.0, first, first, 0.1) == (5.0, 95.0)
    second = np.arange(1.0, 1000.0)
    assert interval("percentile", 0.0, 1.0, second, second, 0.05) == (25.0, 975.0)
    assert interval("basic", 10.0, 1.0, second, second, 0.1) == (-930.0, -30.0)


@pytest.mark.parametrize("count", [2, 3, 7, 40, 200, 1000])
def test_quantiles_between_order_statistics(count):
    draws, _ = numbers(count)
    tails = np.array([0.001, 0.013, 0.1, 0.37, 0.5, 0.77, 0.9, 0.975, 0.9999])
    expected = [literal_quantile(draws, a) for a in tails]
    assert_allclose(quantiles(draws, tails), expected, rtol=1e-12)


def test_ranks_beyond_the_draws():
    draws = np.array([3.0, 1.0, 2.0])
    assert_array_equal(quantiles(draws, np.array([1e-6, 1.0 - 1e-6])), [1.0, 3.0])
    assert np.isnan(quantiles(draws[:1], np.array([0.5]))).all()
    assert np.isnan(quantiles(draws[:0], np.array([0.1, 0.9]))).all()


def test_quantiles_of_normal_scores_are_normal():
    """On the scale of the normal distribution the interpolation is exact."""
    count = 30
    draws = [NORMAL.inv_cdf(i / (count + 1)) for i in range(1, count + 1)]
    tails = np.array([0.05, 0.21, 0.5, 0.93])
    expected = [NORMAL.inv_cdf(a) for a in tails]
    assert_allclose(quantiles(np.array(draws), tails), expected, atol=1e-12)


# intervals -----------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1, 0.32, 0.9])
@pytest.mark.parametrize("count", [2, 10, 99, 500])
@pytest.mark.parametrize("method", INTERVALS)
def test_formulas(method, count, alpha):
    draws, errors = numbers(count)
    found = interval(method, 2.5, 0.7, draws, errors, alpha)
    expected = literal_interval(method, 2.5, 0.7, draws, errors, alpha)
    assert_allclose(found, expected, rtol=1e-12)
    assert found[0] < found[1]


def test_by_hand():
    """Five draws of which everything can be worked out on paper."""
    draws, errors = np.array([4.0, 1.0, 2.0, 3.0, 5.0]), np.full(5, 2.0)
    # (5 + 1) / 6 = 1 and 5: the extremes
    alpha = 1.0 / 3.0
    assert_allclose(interval("percentile", 2.0, 0.5, draws, errors, alpha), (1.0, 5.0))
    assert_allclose(interval("basic", 2.0, 0.5, draws, errors, alpha), (-1.0, 3.0))
    # ratios (t* - 2) / 2 from -0.5 to 1.5
    expected = (2.0 - 0.5 * 1.5, 2.0 + 0.5 * 0.5)
    assert_allclose(interval("studentized", 2.0, 0.5, draws, errors, alpha), expected)
    z = NORMAL.inv_cdf(5.0 / 6.0)
    half = z * np.sqrt(2.5)
    expected = (1.0 - half, 1.0 + half)
    assert_allclose(interval("normal", 2.0, 0.5, draws, errors, alpha), expected)
    expected = (2.0 - 0.5 * z, 2.0 + 0.5 * z)
    assert_allclose(interval("wald", 2.0, 0.5, draws, errors, alpha), expected)


def test_basic_and_studentized_are_the_same_only_for_equal_errors():
    draws, errors = numbers(99)
    basic = interval("basic", 2.5, 0.7, draws, errors, 0.1)
    same = interval("studentized", 2.5, 0.7, draws, np.full(99, 0.7), 0.1)
    assert_allclose(same, basic)
    different = interval("studentized", 2.5, 0.7, draws, errors, 0.1)
    assert np.abs(np.subtract(different, basic)).min() > 0.1


@pytest.mark.parametrize("method", INTERVALS)
def test_draws_that_are_not_numbers(method):
    """They are left out, wherever they stand."""
    draws, errors = numbers(99)
    expected = interval(method, 2.5, 0.7, draws, errors, 0.1)
    at = [0, 5, 50]
    found = interval(
        method,
        2.5,
        0.7,
        np.insert(draws, at, np.nan),
        np.insert(errors, at, [1.0, np.nan, 2.0]),
        0.1,
    )
    assert found == expected


def test_errors_that_are_not_numbers():
    """A replicate without a standard error has no ratio, but is a draw."""
    draws, errors = numbers(99)
    for nothing in (np.nan, 0.0):
        some = np.insert(errors, [3, 40], nothing)
        more = np.insert(draws, [3, 40], 9.0)
        assert interval("studentized", 2.5, 0.7, more, some, 0.1) == interval(
            "studentized", 2.5, 0.7, draws, errors, 0.1
        )
        assert interval("percentile", 2.5, 0.7, more, some, 0.1) == interval(
            "percentile", 2.5, 0.7, more, np.ones(101), 0.1
        )
    for method in ("wald", "studentized"):
        assert np.isnan(interval(method, 2.5, np.nan, draws, errors, 0.1)).all()


@pytest.mark.parametrize("method", ["basic", "normal", "studentized", "percentile"])
@pytest.mark.parametrize("count", [0, 1])
def test_too_few_draws(method, count):
    draws = np.append(np.full(4, np.nan), np.ones(count))
    assert np.isnan(interval(method, 1.0, 1.0, draws, np.ones(len(draws)), 0.05)).all()


@pytest.mark.parametrize("method", INTERVALS)
def test_equivariance(method):
    """Another unit and origin; a change of sign swaps the ends."""
    draws, errors = numbers(200)
    low, high = interval(method, 2.5, 0.7, draws, errors, 0.05)
    moved = interval(method, 25.0 - 4.0, 7.0, 10.0 * draws - 4.0, 10.0 * errors, 0.05)
    assert_allclose(moved, (10.0 * low - 4.0, 10.0 * high - 4.0))
    assert_allclose(interval(method, -2.5, 0.7, -draws, errors, 0.05), (-high, -low))


# results -------------------------------------------------------------------


@functools.cache
def one_way(reml=True):
    data = load("dyestuff")
    return crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit(reml=reml)


@functools.cache
def sleep_bootstrap():
    data = load("sleepstudy")
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    return result, result.bootstrap(199, rng=1)


@functools.cache
def one_way_bootstrap():
    return one_way().bootstrap(499, rng=2)


@pytest.mark.parametrize("method", INTERVALS)
def test_table_is_the_formula_for_each_parameter(method):
    _, boot = sleep_bootstrap()
    table = boot.conf_int(method, alpha=0.1, every=True)
    assert list(table.columns) == ["lower", "upper"]
    assert list(table.index) == list(boot.draws.columns)
    for name in table.index:
        ends = interval(
            method,
            boot.estimates[name],
            boot.errors[name],
            boot.draws[name].to_numpy(),
            boot.draw_errors[name].to_numpy(),
            0.1,
        )
        if ": cor " in name:
            ends = np.clip(ends, -1.0, 1.0)
        elif not name.startswith(("Intercept", "Days", "theta Subject.Days.Int")):
            ends = np.maximum(ends, 0.0)
        assert_array_equal(table.loc[name], ends)


def test_wald_intervals_are_those_of_the_fit():
    result, boot = sleep_bootstrap()
    found = boot.conf_int("wald", 0.1)
    expected = result.conf_int(0.1)
    assert_allclose(found.loc[["Intercept", "Days"]], expected, rtol=1e-12)


def test_all_methods():
    _, boot = sleep_bootstrap()
    table = boot.conf_int("all")
    assert table.columns.names == ["method", "end"]
    assert list(table.columns.get_level_values("method")[::2]) == list(INTERVALS)
    for method in INTERVALS:
        pd.testing.assert_frame_equal(
            table[method], boot.conf_int(method), check_names=False
        )


def test_default_is_percentile_at_95():
    _, boot = sleep_bootstrap()
    expected = boot.conf_int("percentile", 0.05)
    pd.testing.assert_frame_equal(boot.conf_int(), expected)


@pytest.mark.parametrize("method", INTERVALS)
def test_ends_are_within_the_range(method):
    """Standard deviations from 0, correlations from -1 to 1, though formulas leave."""
    boot = one_way_bootstrap()
    ends = boot.conf_int(method, 0.001, every=True).drop(index="se Intercept")
    if method not in ("wald", "studentized"):
        ends = boot.conf_int(method, 0.001, every=True)
    deviations = ends.filter(like="sd", axis=0)
    assert (deviations["lower"] == 0.0).all() or method in ("percentile", "studentized")
    assert (ends.drop(index="Intercept") >= 0.0).all().all()
    _, boot = sleep_bootstrap()
    ends = boot.conf_int(method, 1e-7)
    correlation = ends.filter(like=": cor ", axis=0)
    assert len(correlation) == 1
    assert (correlation.abs() <= 1.0).all().all()
    if method in ("wald", "normal"):
        assert_array_equal(correlation, [[-1.0, 1.0]])
    # fixed effects and the covariances among theta may be negative
    wide = boot.conf_int("normal", 1e-15, every=True)
    assert wide.loc["Days", "lower"] < 0.0
    assert wide.loc["theta Subject.Days.Intercept", "lower"] < 0.0


@pytest.mark.parametrize("method", INTERVALS)
def test_smaller_alpha_is_wider(method):
    boot = one_way_bootstrap()
    tables = [boot.conf_int(method, a, every=True) for a in (0.5, 0.2, 0.1, 0.05, 0.01)]
    for narrow, wide in zip(tables, tables[1:]):
        rows = narrow.notna().all(axis=1)
        assert rows.sum() >= 4
        assert (wide.loc[rows, "lower"] <= narrow.loc[rows, "lower"]).all()
        assert (wide.loc[rows, "upper"] >= narrow.loc[rows, "upper"]).all()
        assert (wide.loc["sigma"] != narrow.loc["sigma"]).all()


def test_one_way_layout():
    """Balanced: fixed effect and sigma have known distributions."""
    result, boot = one_way(), one_way_bootstrap()
    ends = boot.conf_int("percentile", 0.1)
    # the mean is normal with the standard error of the fit
    half = NORMAL.inv_cdf(0.95) * result.bse["Intercept"]
    middle = result.params["Intercept"]
    error = 0.15 * half
    assert_allclose(ends.loc["Intercept"], (middle - half, middle + half), atol=error)
    # sigma^2 is the mean square within, 24 degrees of freedom, unless at the boundary
    interior = boot.draws[boot.draws["Batch: sd Intercept"] > 0.0]["sigma"]
    assert_allclose((interior**2).mean(), result.scale, rtol=0.05)


def test_replicates_without_a_value():
    """They are left out of the intervals of that parameter alone."""
    _, boot = sleep_bootstrap()
    name, draws = "Subject: cor Days, Intercept", boot.draws.copy()
    draws.loc[[3, 50, 120], name] = np.nan
    some = replace(boot, draws=draws)
    left = boot.draws[name].drop(index=[3, 50, 120])
    for method in ("percentile", "basic", "normal"):
        expected = interval(method, boot.estimates[name], 1.0, left, left, 0.3)
        found, whole = some.conf_int(method, 0.3), boot.conf_int(method, 0.3)
        assert_allclose(found.loc[name], expected, rtol=1e-12)
        assert_array_equal(found.drop(index=name), whole.drop(index=name))
    row = some.summary().loc[name]
    assert_allclose(row["bias"], left.mean() - boot.estimates[name])
    assert_allclose(row["std err"], left.std(ddof=1))


def test_bad_arguments():
    _, boot = sleep_bootstrap()
    for alpha in (0.0, 1.0, -0.1, 95, np.nan):
        with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
            boot.conf_int(alpha=alpha)
        with pytest.raises(ValueError, match="alpha must be between 0 and 1"):
            boot.conf_int("all", alpha)
    with pytest.raises(ValueError, match=r"wald, basic, .* or all, not 'bca'"):
        boot.conf_int("bca")


def test_summary():
    _, boot = sleep_bootstrap()
    table = boot.summary("basic", 0.1, every=True)
    assert list(table.columns) == ["estimate", "bias", "std err", "lower", "upper"]
    pd.testing.assert_series_equal(table["estimate"], boot.estimates, check_names=False)
    assert_allclose(table["bias"], boot.draws.mean() - boot.estimates)
    assert_allclose(table["std err"], np.std(boot.draws.to_numpy(), axis=0, ddof=1))
    pd.testing.assert_frame_equal(
        table[["lower", "upper"]], boot.conf_int("basic", 0.1, every=True)
    )
    assert table.attrs["nsim"] == 199
    assert table.attrs["kind"] == "parametric"
    text = str(boot)
    assert text.startswith("Parametric bootstrap, 199 replicates\n")
    assert "0 failed" in text
    assert "Subject: cor Days, Intercept" in text


def test_summary_has_one_kind_of_interval():
    _, boot = sleep_bootstrap()
    with pytest.raises(ValueError, match="method must be one of wald, basic"):
        boot.summary("all")


# as a method of a fit ------------------------------------------------------


@pytest.mark.parametrize("method", ["basic", "normal", "studentized", "percentile"])
def test_method_of_a_fit(method):
    result, boot = one_way(), one_way_bootstrap()
    found = result.conf_int(0.1, method=method, nsim=499, rng=2)
    pd.testing.assert_frame_equal(found, boot.conf_int(method, 0.1))


def test_all_methods_of_a_fit():
    found = one_way().conf_int(method="all", nsim=499, rng=2)
    pd.testing.assert_frame_equal(found, one_way_bootstrap().conf_int("all"))


def test_bad_arguments_of_a_fit():
    with pytest.raises(ValueError, match="percentile or all, not 'bca'"):
        one_way().conf_int(method="bca")
    with pytest.raises(TypeError, match="nsim"):
        one_way().conf_int(nsim=10)


# names ---------------------------------------------------------------------


def test_a_fixed_effect_called_sigma():
    """Its interval is its own, not that of the residual standard deviation."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"sigma": rng.standard_normal(60), "g": np.arange(60) % 6})
    data["y"] = -3.0 * data["sigma"] + rng.standard_normal(60)
    data["y"] += rng.standard_normal(6)[data["g"]]
    result = crossedmixedlm("y ~ sigma + (1 | g)", data).fit()
    ends = result.bootstrap(99, rng=1).conf_int("percentile")
    lower, upper = ends.iloc[1]
    assert lower < result.params["sigma"] < upper < -2.0


def test_names_with_dots():
    """Diagonal entries of theta end at 0 whatever the names are."""
    rng = np.random.default_rng(4)
    data = pd.DataFrame({"x.1": rng.standard_normal(60), "g": np.arange(60) % 6})
    data["y"] = rng.standard_normal(60) + rng.standard_normal(6)[data["g"]]
    result = crossedmixedlm("y ~ 1 + (0 + Q('x.1') | g)", data).fit()
    ends = result.bootstrap(49, rng=1).conf_int("normal", 1e-9, every=True)
    names = [n for n in ends.index if n.startswith("theta")]
    assert len(names) == 1
    assert ends.loc[names[0], "lower"] == 0.0
