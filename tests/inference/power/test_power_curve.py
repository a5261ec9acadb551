"""A curve of power, the size that it promises, and how it is shown."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from statsmodels_lmm.inference.power.power_curve import PowerCurve
from statsmodels_lmm.inference.power.power_fit import fitted_power

SIZES = [10, 20, 30, 40, 60]


def curve(rejected, sizes=SIZES, nsim=1000, separated=0):
    """A curve with given numbers of rejections."""
    pvalues = {}
    for n, k in zip(sizes, rejected):
        counts = k, separated, nsim - k - separated
        pvalues[n] = np.repeat([0.01, np.nan, 0.5], counts)
    rows = pd.Series(4 * np.array(sizes), sizes)
    lost = pd.Series(separated, sizes)
    return PowerCurve(
        "x", "0.3", "Wald test", "levels of g", 0.05, nsim, rows, pvalues, lost
    )


def of_z_test(shift, nsim=1000, exponent=0.5):
    """The rejections of a z test whose noncentrality is a multiple of a power of n."""
    power = stats.norm.cdf(shift * np.array(SIZES) ** exponent - 1.96)
    return np.round(nsim * power).astype(int)


def test_the_table():
    table = curve([100, 300, 500, 700, 900], separated=50).table
    assert_allclose(table["power"], [0.1, 0.3, 0.5, 0.7, 0.9])
    lower = stats.beta.ppf(0.025, 300, 701)
    upper = stats.beta.ppf(0.975, 301, 700)
    assert_allclose(table.loc[20, ["lower", "upper"]].astype(float), [lower, upper])
    assert (table["separated"] == 50).all()
    assert (table["failed"] == 0).all()
    assert list(table["rows"]) == [40, 80, 120, 160, 240]
    assert table.index.name == "levels of g"


def test_intervals():
    found = curve([100, 300, 500, 700, 900]).conf_int(0.1, "wilson")
    expected = proportion_confint(300, 1000, 0.1, "wilson")
    assert_allclose(found.loc[20], expected)
    with pytest.raises(ValueError, match="'exact' or 'wilson'"):
        curve([1, 2, 3, 4, 5]).conf_int(method="wald")


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_the_size_for_a_power(exponent):
    shift = (1.96 + stats.norm.ppf(0.8)) / 33.5**exponent
    found = curve(of_z_test(shift, exponent=exponent))
    assert found.fit.best.exponent == exponent
    size = found.n_for(0.8)
    assert size.n == 34.0
    assert size.lower < 34.0 < size.upper
    assert size.reason == ""
    assert found.n_for(0.8, alpha=0.01).upper > size.upper - 1e-9


def test_fieller_limits_are_where_the_test_of_the_probit_is_at_its_level():
    fit = fitted_power(np.array(SIZES, float), of_z_test(0.5), np.full(5, 1000))
    n, lower, upper = fit.inverse(0.8416, 1.96)
    assert_allclose(fit.power(n), stats.norm.cdf(0.8416))
    for line in fit.close:
        for end in line.limits(0.8416, 1.96):
            assert lower <= end <= upper
            row = np.array([1.0, end**line.exponent])
            away = row @ line.params - 0.8416
            assert_allclose(abs(away), 1.96 * np.sqrt(row @ line.covariance @ row))


def test_coverage_of_the_size():
    """Fieller's interval has its level."""
    rng, inside = np.random.default_rng(0), 0
    shift = (1.96 + stats.norm.ppf(0.8)) / np.sqrt(30.0)
    power = stats.norm.cdf(shift * np.sqrt(SIZES) - 1.96)
    studies = np.full(5, 200)
    for _ in range(30):
        drawn = rng.binomial(200, power)
        fit = fitted_power(np.array(SIZES, float), drawn, studies)
        _, lower, upper = fit.inverse(stats.norm.ppf(0.8), 1.96)
        inside += lower <= 30.0 <= upper
    assert inside >= 26


@pytest.mark.parametrize(
    ("rejected", "sizes", "words"),
    [
        ([100, 500], [10, 20], "needs at least three sizes"),
        ([900, 700, 500, 300, 100], SIZES, "does not increase"),
        ([0, 0, 0, 0, 0], SIZES, "does not increase"),
        (
            [100, 150, 200, 250, 300],
            SIZES,
            "with 60 levels of g; add larger",
        ),
        ([900, 950, 970, 990, 995], SIZES, "with 10 levels of g; add smaller"),
        ([100, 900, 100, 900, 950], SIZES, "no increasing curve fits"),
    ],
)
def test_why_there_is_no_size(rejected, sizes, words):
    size = curve(rejected, sizes).n_for()
    assert np.isnan(size.n)
    assert words in size.reason


def test_how_it_is_shown():
    found = curve([100, 300, 500, 700, 900])
    lines = str(found).splitlines()
    assert lines[0] == "Power to detect x, planned as 0.3"
    assert lines[1] == "Wald test, level 0.05; 1,000 studies of each size"
    assert "separated" not in str(found)
    assert "<table" in found._repr_html_()
    hostile = replace(found, effect="<b>")
    assert "<b>" not in hostile._repr_html_()
    assert repr(found).startswith("<PowerCurve: Power to detect x")


def test_the_plot():
    found = curve(of_z_test(0.5))
    figure = found.plot()
    axes = figure.axes[0]
    assert axes.get_xlabel() == "Number of levels of g"
    points = axes.containers[0].lines[0].get_xydata()
    assert_allclose(points[:, 0], SIZES)
    assert_allclose(points[:, 1], found.table["power"])
    drawn = axes.lines[-1].get_xydata()
    assert_allclose(drawn[:, 0], found.n_for(0.8).n)
    ax = plt.figure().add_subplot()
    assert curve([1, 2], [2, 3]).plot(power=None, ax=ax) is ax.get_figure()
    plt.close("all")
