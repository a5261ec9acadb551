"""Pictures of residuals and influence: what is drawn, against the numbers."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import dyestuff, load, sleepstudy
from scipy import stats

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.collections import LineCollection, PolyCollection  # noqa: E402
from statsmodels.nonparametric.smoothers_lowess import lowess  # noqa: E402

from statsmodels_lmm import CrossedMixedLM  # noqa: E402
from statsmodels_lmm.exceptions import DataError  # noqa: E402
from statsmodels_lmm.formula.api import crossedmixedlm  # noqa: E402
from statsmodels_lmm.graphics import diagnostics  # noqa: E402
from statsmodels_lmm.graphics.diagnostics import (  # noqa: E402
    plot_residuals,
    plot_residuals_qq,
    plot_scale_location,
    plot_simulated_residuals,
)
from statsmodels_lmm.graphics.influence import plot_influence  # noqa: E402
from statsmodels_lmm.inference.replicates.simulated_residuals import (  # noqa: E402
    simulated_residuals,
)
from statsmodels_lmm.random.terms import random_effects  # noqa: E402

PICTURES = [
    plot_residuals,
    plot_scale_location,
    plot_residuals_qq,
    plot_influence,
]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@functools.cache
def sample(n=6000, groups=60):
    rng = np.random.default_rng(2)
    g, x = np.arange(n) % groups, rng.uniform(size=n)
    y = x + rng.standard_normal(groups)[g] + rng.standard_normal(n)
    frame = pd.DataFrame({"y": y, "x": x, "x2": 2.0 * x})
    frame["g"] = [f"a long name of the school with the number {i}" for i in g]
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, n), rng.standard_normal(n)
    return frame


@functools.cache
def simulated(n=6000, groups=60):
    return crossedmixedlm("y ~ x + (1 | g)", sample(n, groups)).fit()


def points(ax, at=0):
    return np.asarray(ax.collections[at].get_offsets())


def lines(ax, width):
    return [line for line in ax.lines if line.get_linewidth() == width]


def marked(ax):
    """Where the diamonds are."""
    found = [line for line in ax.lines if line.get_marker() == "D"]
    assert len(found) == 1
    return np.column_stack(found[0].get_data())


# residuals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "label"),
    [
        ("pearson", "resid_pearson", "Pearson residual"),
        ("response", "resid", "residual of Reaction"),
    ],
)
def test_residuals_are_where_they_are(kind, name, label):
    result = sleepstudy()
    ax = plot_residuals(result, kind).axes[0]
    expected = np.column_stack([result.fittedvalues, getattr(result, name)])
    assert_array_equal(points(ax), expected)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("fitted Reaction", label)


def test_residuals_of_lme4():
    drawn = points(plot_residuals(sleepstudy()).axes[0])[[0, 56, 59, 179]]
    # R 4.2, lme4: fitted(m), residuals(m, type = "pearson", scaled = TRUE)
    fitted = [253.6636558, 321.6153265, 352.2006534, 369.4814693]
    residuals = [-0.1603504437, 5.1792603734, -3.8424913397, -0.2093588641]
    assert_allclose(drawn, np.column_stack([fitted, residuals]), rtol=1e-5)


def test_studentized_residuals():
    data = sleepstudy().model.data.frame
    result = crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    x = np.column_stack([np.ones(180), data["Days"]])
    z = pd.get_dummies(data["Subject"]).to_numpy(float)
    ratio = float(result.cov_re["Subject"].iloc[0, 0] / result.scale)
    inverse = np.linalg.inv(np.eye(180) + ratio * z @ z.T)
    fixed = x @ np.linalg.solve(x.T @ inverse @ x, x.T @ inverse)
    hat = fixed + ratio * z @ z.T @ inverse @ (np.eye(180) - fixed)
    expected = result.resid_pearson / np.sqrt(1.0 - np.diag(hat))
    drawn = points(plot_residuals(result, "studentized").axes[0])
    assert_allclose(drawn[:, 1], expected, rtol=1e-6)


def test_smoother_is_lowess():
    result = sleepstudy()
    (curve,) = lines(plot_residuals(result).axes[0], 2.0)
    x, y = curve.get_data()
    fitted, residuals = result.fittedvalues.to_numpy(), result.resid_pearson.to_numpy()
    assert (x.min(), x.max()) == (fitted.min(), fitted.max())
    exact = lowess(residuals, fitted, frac=2 / 3, it=3, delta=0.0)
    assert_allclose(np.interp(exact[:, 0], x, y), exact[:, 1], atol=0.02)
    assert np.ptp(exact[:, 1]) > 0.2


def test_many_rows_are_counted():
    result = simulated()
    figure = plot_residuals(result)
    ax, bar = figure.axes
    hexagons, _ = ax.collections
    assert isinstance(hexagons, PolyCollection)
    counts, single = hexagons.get_array(), points(ax, 1)
    assert counts.min() == diagnostics.FEW_ROWS
    assert counts.sum() + len(single) == 6000
    rows = np.column_stack([result.fittedvalues, result.resid_pearson])
    assert set(map(tuple, single)) <= set(map(tuple, rows))
    # the outermost are seen one by one
    assert np.abs(single[:, 1]).max() == np.abs(result.resid_pearson).max()
    assert bar.get_ylabel() == "rows"
    (curve,) = lines(ax, 2.0)
    assert np.abs(curve.get_ydata()).max() < 0.5


def test_scale_and_location():
    result = sleepstudy()
    ax = plot_scale_location(result).axes[0]
    assert_allclose(points(ax)[:, 1] ** 2, np.abs(result.resid_pearson))
    assert ax.get_ylim()[0] == 0.0
    assert ax.get_ylabel() == "square root of |Pearson residual|"


def test_weights_are_in_pearson_residuals():
    frame = sample(300, 20)
    options = {"weights": "w", "offset": "o"}
    result = crossedmixedlm("y ~ x + (1 | g)", frame, **options).fit()
    fitted, residuals = points(plot_residuals(result).axes[0]).T
    expected = (frame["y"] - fitted) * np.sqrt(frame["w"] / result.scale)
    assert_allclose(residuals, expected)


def test_normal_quantiles():
    result = sleepstudy()
    ax = plot_residuals_qq(result).axes[0]
    x, y = ax.lines[1].get_data()
    assert_array_equal(y, np.sort(result.resid_pearson))
    assert_allclose(stats.norm.cdf(x), (np.arange(1, 181) - 0.5) / 180)
    line_x, line_y = ax.lines[0].get_data()
    quartiles = np.quantile(result.resid_pearson, [0.25, 0.75])
    through = np.interp(stats.norm.ppf([0.25, 0.75]), line_x, line_y)
    assert_allclose(through, quartiles, rtol=1e-6)


def test_band_holds_95_percent_of_each_order_statistic():
    result = sleepstudy()
    ax = plot_residuals_qq(result).axes[0]
    edge = ax.collections[0].get_paths()[0].vertices
    slope, middle = np.polyfit(*ax.lines[0].get_data(), 1)
    draws = np.random.default_rng(3).standard_normal((4000, 180))
    draws = np.sort(middle + slope * draws, axis=1)
    x = ax.lines[1].get_xdata()
    for k in (0, 3, 90, 179):
        near = edge[np.abs(edge[:, 0] - x[k]) < 0.03]
        inside = (draws[:, k] > near[:, 1].min()) & (draws[:, k] < near[:, 1].max())
        # a sampling error of 0.0034, and the width of what is near
        assert abs(inside.mean() - 0.95) < 0.02


# influence -----------------------------------------------------------------------


def test_influence_of_rows():
    ax = plot_influence(sleepstudy()).axes[0]
    stems = np.array(ax.collections[0].get_segments())
    expected = sleepstudy().get_influence().cooks_distance[0]
    assert_array_equal(stems[:, 0], np.column_stack([np.arange(180), np.zeros(180)]))
    assert_array_equal(stems[:, 1, 1], expected)
    # R 4.2, lme4: sort(cooks.distance(m), decreasing = TRUE)[1:3]
    assert_allclose(marked(ax)[:, 1], [4.3321637, 2.1198891, 1.8076837], rtol=1e-4)
    assert [text.get_text() for text in ax.texts] == ["59", "56", "7"]
    assert ax.get_xlabel() == "row"


def test_influence_of_few_groups_names_all():
    ax = plot_influence(sleepstudy(), "Subject", n_labels=2).axes[0]
    distances = sleepstudy().get_influence(group="Subject").cooks_distance[0]
    distances = distances.sort_values(ascending=False)
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert names == [str(label) for label in distances.index]
    bars = np.array(ax.collections[0].get_segments())
    assert_array_equal(bars[:, 1, 0], distances)
    # R 4.2, lme4: cooks.distance(influence(m, "Subject")), which is 16/18 of these
    largest = np.array([0.13202080, 0.11509368]) * 18 / 16
    assert_allclose(marked(ax)[:, 0], largest, rtol=1e-4)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Cook's distance", "Subject")


@pytest.mark.slow
def test_influence_of_many_groups_names_the_largest():
    result = simulated(2400, 800)
    figure = plot_influence(result, "g")
    ax = figure.axes[0]
    distances = result.get_influence(group="g").cooks_distance[0]
    distances = distances.sort_values(ascending=False)
    stems = np.array(ax.collections[0].get_segments())
    assert_array_equal(stems[:, 1, 1], distances)
    texts = [text.get_text() for text in ax.texts]
    assert len(texts) == 3
    for text, label in zip(texts, distances.index):
        assert len(text) <= 24
        assert label.endswith(text[-5:])
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in ax.texts]
    for i, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:i])


def test_influence_that_is_known_already():
    found = dyestuff().get_influence(group="Batch", refit=True)
    ax = plot_influence(found).axes[0]
    bars = np.array(ax.collections[0].get_segments())
    expected = found.cooks_distance[0].sort_values(ascending=False)
    assert_array_equal(bars[:, 1, 0], expected)


def test_groups_that_cannot_be_left_out():
    frame = sample(300, 20)
    first = frame["g"] == frame["g"].iloc[0]
    frame = frame.assign(only=first.astype(float))
    result = crossedmixedlm("y ~ x + only + (1 | g)", frame).fit()
    with pytest.warns(UserWarning, match="without g"):
        ax = plot_influence(result, "g").axes[0]
    assert len(ax.collections[0].get_segments()) == 19
    assert "(1 without which the fit is not estimable)" in ax.get_xlabel()


def test_no_fixed_effects():
    data = load("dyestuff")
    result = crossedmixedlm("Yield ~ 0 + (1 | Batch)", data).fit()
    with pytest.raises(DataError, match="no fixed effects"):
        plot_influence(result)
    assert_array_equal(
        points(plot_residuals(result).axes[0])[:, 0], result.fittedvalues
    )


# simulated residuals --------------------------------------------------------------


def test_simulated_residuals_and_their_tests():
    found = simulated_residuals(sleepstudy(), 100, rng=4)
    left, right = plot_simulated_residuals(sleepstudy(), 100, rng=4).axes
    x, y = left.lines[1].get_data()
    assert_array_equal(y, np.sort(found.residuals))
    assert_allclose(x, (np.arange(180) + 0.5) / 180)
    told = left.texts[0].get_text().split("\n")
    tests = found.uniformity_test(), found.dispersion_test(), found.outlier_test()
    for line, test in zip(told, tests):
        assert line.endswith(f"p = {test.pvalue:.3f}")
    assert told[0].startswith(f"Kolmogorov-Smirnov {tests[0].statistic:.3f}")
    order = np.argsort(found.predicted, kind="stable")
    assert_array_equal(points(right)[:, 1], found.residuals.iloc[order])
    (crosses,) = [line for line in right.lines if line.get_marker() == "X"]
    assert_array_equal(
        np.sort(crosses.get_ydata()), sorted(found.residuals[found.outliers])
    )


def test_quartiles_of_few_predictions_are_theirs():
    found = simulated_residuals(sleepstudy(), 100, rng=5)
    days = sleepstudy().model.data.frame["Days"].to_numpy()
    right = plot_simulated_residuals(found).axes[1]
    drawn = [np.column_stack(line.get_data()) for line in lines(right, 1.5)]
    drawn = [piece for piece in drawn if len(piece) == 2]
    assert len(drawn) == 30
    for day in range(10):
        levels = np.quantile(found.residuals[days == day], [0.25, 0.5, 0.75])
        for piece, level in zip(drawn[3 * day : 3 * day + 3], levels):
            assert_allclose(piece, [[day / 10, level], [(day + 1) / 10, level]])


def test_running_quartiles():
    found = simulated_residuals(simulated(), 60, rng=6)
    right = plot_simulated_residuals(found).axes[1]
    curves = [line for line in lines(right, 1.5) if len(line.get_xdata()) == 60]
    values = found.residuals.to_numpy()[np.argsort(found.predicted)]
    assert [c.get_linestyle() for c in curves] == ["--", "-", "-."]
    for curve, level in zip(curves, (0.25, 0.5, 0.75)):
        x, y = curve.get_data()
        row = round(x[30] * 6000 - 0.5)
        assert_allclose(y[30], np.quantile(values[row - 900 : row + 901], level))
        assert_allclose(y[0], np.quantile(values[:901], level))
    # spread evenly, hardly any shares a hexagon with two others
    assert len(points(right)) == 6000


def test_two_axes_are_needed():
    with pytest.raises(ValueError, match="ax has 1 axes but the plot 2 panels"):
        plot_simulated_residuals(dyestuff(), 5, ax=plt.subplots()[1])


# all ------------------------------------------------------------------------------


@pytest.mark.parametrize("plot", PICTURES)
def test_axes_of_the_user(plot):
    figure, axes = plt.subplots(1, 2)
    assert plot(dyestuff(), ax=axes[1]) is figure
    assert axes[1].has_data()
    assert not axes[0].has_data()
    assert len(plt.get_fignums()) == 1


def test_two_axes_of_the_user():
    figure, axes = plt.subplots(2)
    assert plot_simulated_residuals(dyestuff(), 20, rng=1, ax=axes) is figure
    assert all(ax.has_data() for ax in axes)


@functools.cache
def odd(name):
    frame = sample(240, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if name == "one fitted value":
            return dyestuff("dyestuff2")
        if name == "dropped column":
            return crossedmixedlm("y ~ x + x2 + (x || g)", frame).fit(reml=False)
        if name == "ar1":
            frame = frame.assign(t=np.arange(240) // 12)
            return crossedmixedlm("y ~ x + ar1(0 + t | g)", frame).fit()
        term = random_effects(frame["g"].to_numpy())
        exog = np.column_stack([np.ones(240), frame["x"]])
        return CrossedMixedLM(frame["y"].to_numpy(), exog, random=[term]).fit()


@pytest.mark.parametrize(
    "name", ["one fitted value", "dropped column", "ar1", "arrays"]
)
@pytest.mark.parametrize("plot", [*PICTURES, plot_simulated_residuals])
def test_odd_models(plot, name):
    figure = plot(odd(name))
    figure.canvas.draw()
    for ax in figure.axes:
        assert ax.get_xlabel()
        assert ax.get_ylabel()
        drawn = [line.get_ydata() for line in ax.lines if len(line.get_ydata())]
        assert drawn or ax.collections
        assert all(np.isfinite(np.asarray(y, dtype=float)).all() for y in drawn)
        for each in ax.collections:
            if isinstance(each, LineCollection):
                assert np.isfinite(np.array(each.get_segments())).all()


@pytest.mark.parametrize(
    "plot", [plot_residuals, plot_scale_location, plot_residuals_qq]
)
def test_kinds(plot):
    with pytest.raises(ValueError, match="'normalized', 'response', not 'deviance'"):
        plot(dyestuff(), kind="deviance")


@pytest.mark.parametrize("plot", [*PICTURES, plot_simulated_residuals])
def test_removed_data(plot):
    data = load("dyestuff")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    result.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        plot(result)
    assert not plt.get_fignums()


def test_settings_are_left_alone():
    before = dict(matplotlib.rcParams)
    plot_residuals(dyestuff())
    plot_simulated_residuals(dyestuff(), 20, rng=1)
    assert dict(matplotlib.rcParams) == before


def test_nothing_to_scale():
    result = dyestuff()._results
    kept = result.scale
    try:
        result.scale = 0.0
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises(DataError, match="kind='response'"):
                diagnostics.plot_residuals(result)
    finally:
        result.scale = kept
