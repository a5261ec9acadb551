"""Autocorrelation of residuals within groups, against nlme and plain sums."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load, quiet, sleepstudy

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.exceptions import DataError  # noqa: E402
from statsmodels_lmm.graphics.autocorrelation import (  # noqa: E402
    autocorrelation,
    plot_autocorrelation,
)

LOST = [2, 24, 25, 76, 119]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def gaps():
    """Some days are missing, and the rows in no order."""
    data = load("sleepstudy").drop(LOST).sample(frac=1.0, random_state=1)
    return quiet("Reaction ~ Days + (1 | Subject)", data.reset_index(drop=True))


def drawn(ax):
    """Lags and heights of the points."""
    (line,) = (li for li in ax.lines if li.get_marker() == "o")
    return line.get_data()


def test_rows_in_order_as_in_nlme(gaps):
    # nlme 3.1-162, R 4.2.2: ACF(lme(Reaction ~ Days, random = ~ 1 | Subject,
    # sleepstudy[-c(3, 25, 26, 77, 120), ]), maxLag = 3), whose lags count rows
    expected = [0.35738478952, 0.05948412974, -0.13599668602]
    times = np.exp(0.1 * gaps.model.data.frame["Days"]).rename("irregular")
    (ax,) = plot_autocorrelation(gaps, times, max_lag=3).axes
    lags, heights = drawn(ax)
    assert_array_equal(lags, [1, 2, 3])
    assert_allclose(heights, expected, rtol=1e-5)
    lower, upper = (li.get_ydata() for li in ax.lines if li.get_linestyle() == "--")
    assert_allclose(upper, 1.959964 / np.sqrt([157, 139, 121]), rtol=1e-6)
    assert_array_equal(lower, -upper)
    assert ax.get_xlabel() == "lag, in rows by irregular"
    assert ax.get_ylabel() == "autocorrelation within Subject\nPearson residual"


def test_missing_times_leave_gaps(gaps):
    (ax,) = plot_autocorrelation(gaps, "Days", "Subject", level=0.9).axes
    frame = gaps.model.data.frame.assign(e=gaps.resid_pearson)
    table = frame.pivot(index="Subject", columns="Days", values="e").to_numpy()
    lags, heights = drawn(ax)
    assert_array_equal(lags, np.arange(1, 10))
    for lag, height in zip(lags, heights):
        pairs = table[:, lag:] * table[:, :-lag]
        assert_allclose(height, np.nanmean(pairs) / np.nanmean(table**2))
    bound = ax.lines[-1].get_ydata()[8]
    assert_allclose(bound, 1.644854 / np.sqrt(np.isfinite(pairs).sum()), rtol=1e-6)
    assert ax.get_xlabel() == "lag, in steps of 1 of Days"
    # dates in the same steps
    dates = pd.Timestamp("2024-02-27") + pd.to_timedelta(frame["Days"], unit="D")
    (ax,) = plot_autocorrelation(gaps, dates).axes
    assert_allclose(drawn(ax)[1], heights)


def test_order_of_the_rows_and_rows_without_residual():
    result = sleepstudy()
    (ax,) = plot_autocorrelation(result).axes
    assert ax.get_xlabel() == "lag, in rows"
    (by_days,) = plot_autocorrelation(result, "Days").axes
    assert_allclose(drawn(ax)[1], drawn(by_days)[1])
    residuals = np.array([1.0, np.nan, -2.0, 3.0, 1.0])
    found, pairs = autocorrelation(residuals, np.array([0, 0, 0, 1, 1]), np.arange(5))
    assert_array_equal(pairs, [4, 1])
    assert_allclose(found, [1.0, 3.0 / (15.0 / 4.0)])


def test_what_has_no_autocorrelation():
    result = sleepstudy()
    days = result.model.data.frame["Days"].replace({1: 2})
    for time, message in (
        (days, "'308' has two rows at the same time 2: choose"),
        ("day", "no column 'day' in the model, which has Reaction"),
        ([1, 2, 3], "time has 3 values but the model 180 rows"),
        (np.full(180, np.nan), "time has missing values"),
    ):
        with pytest.raises(ValueError, match=message):
            plot_autocorrelation(result, time)
    with pytest.raises(DataError, match="no level of groups has two rows at most 0"):
        plot_autocorrelation(result, groups=np.arange(180))
