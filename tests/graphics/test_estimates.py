"""Pictures of fixed effects and of effects of predictors, against the numbers."""

import functools
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load, quiet

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.graphics.canvas import COLORS  # noqa: E402
from statsmodels_lmm.graphics.coefficients import plot_coefficients  # noqa: E402
from statsmodels_lmm.graphics.effects import plot_effects  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed after each test."""
    yield
    plt.close("all")


@functools.cache
def sample(n=240):
    rng = np.random.default_rng(8)
    frame = pd.DataFrame(rng.standard_normal((n, 2)), columns=["x", "z"])
    frame["f"] = pd.Categorical(rng.choice(["c", "a", "b"], n), ["c", "a", "b"])
    frame["g"], frame["twice"] = np.arange(n) % 12, 2.0 * frame["x"]
    frame["two"] = np.where(rng.random(n) < 0.4, 1.0, 3.0)
    frame["m"] = [f"level {i:03d}" for i in rng.integers(0, 40, n)]
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, n), rng.standard_normal(n)
    y = frame["x"] * frame["z"] + (frame["f"] == "a") * frame["x"] + frame["two"]
    frame["y"] = y + rng.standard_normal(12)[frame["g"]] + rng.standard_normal(n)
    return frame


@functools.cache
def fit(formula, **options):
    return quiet(formula, sample(), **options)


def intervals(ax, color):
    """Rows of (position, lower, upper) of the horizontal intervals of a color."""
    rgb = matplotlib.colors.to_rgb(color)
    found = [
        (segment[0, 1], *segment[:, 0])
        for c in ax.collections
        if np.allclose(c.get_edgecolor()[0][:3], rgb)
        for segment in c.get_segments()
    ]
    return np.array(found)


def points(ax, color):
    """Line of markers or of means of a color."""
    found = [
        line
        for line in ax.lines
        if line.get_color() == color and line.get_alpha() is None
    ]
    return found[0]


def tick_names(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


# coefficients ----------------------------------------------------------------


@pytest.mark.parametrize("df_method", [None, "satterthwaite"])
def test_coefficients(df_method):
    result = fit("y ~ x * f + (1 | g)")
    (ax,) = plot_coefficients(result, level=0.9, df_method=df_method).axes
    names = [n for n in result.model.exog_names if n != "Intercept"]
    assert tick_names(ax.yaxis) == names
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    line = points(ax, COLORS[0])
    assert_allclose(line.get_xdata(), result.params[names])
    ends = result.conf_int(0.1, df_method=df_method).loc[names]
    expected = np.column_stack([np.arange(len(names)), ends])
    assert_allclose(intervals(ax, COLORS[0]), expected)
    assert ax.get_legend() is None
    assert ax.get_xlabel() == "estimate and 90% interval"


def test_coefficients_of_several_results():
    ours = fit("y ~ x * f + (1 | g)")
    ols = smf.ols("y ~ x + z", sample()).fit()
    mixed = smf.mixedlm("y ~ x + f", sample(), groups=sample()["g"]).fit()
    names = ["crossed", "OLS", "MixedLM"]
    (ax,) = plot_coefficients(ours, ols, mixed, names=names).axes
    labels = tick_names(ax.yaxis)
    assert labels == [*ours.params.index[1:], "z"]
    markers = set()
    positions = []
    for color, result, estimates in zip(
        COLORS, (ours, ols, mixed), (ours.params, ols.params, mixed.fe_params)
    ):
        own = estimates.drop("Intercept")
        line = points(ax, color)
        markers.add(line.get_marker())
        assert_allclose(line.get_xdata(), own)
        at = line.get_ydata()
        assert [labels[i] for i in np.rint(at).astype(int)] == list(own.index)
        ends = result.conf_int().loc[own.index]
        assert_allclose(intervals(ax, color), np.column_stack([at, ends]))
        positions.append(at - np.rint(at))
    assert len(markers) == 3
    offsets = [np.unique(p.round(9)) for p in positions]
    assert [len(o) for o in offsets] == [1, 1, 1]
    assert_allclose(np.diff(np.ravel(offsets)), 0.28)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == names


def test_default_names_and_more_results_than_colors():
    result = fit("y ~ x + (1 | g)")
    (ax,) = plot_coefficients(*[result] * 8).axes
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == [f"model {i}" for i in range(1, 9)]
    looks = {(line.get_color(), line.get_marker()) for line in ax.lines[1:]}
    assert len(looks) == 8


def test_the_intercept():
    result = fit("y ~ x + (1 | g)")
    for plot_it, expected in ((True, ["Intercept", "x"]), (False, ["x"])):
        (ax,) = plot_coefficients(result, intercept=plot_it).axes
        assert tick_names(ax.yaxis) == expected
    # nothing else to draw
    (ax,) = plot_coefficients(fit("y ~ 1 + (1 | g)")).axes
    assert tick_names(ax.yaxis) == ["Intercept"]


def test_dropped_columns_are_named():
    result, other = fit("y ~ x + twice + z + (1 | g)"), fit("y ~ twice + (1 | g)")
    (ax,) = plot_coefficients(result).axes
    assert tick_names(ax.yaxis) == ["x", "z"]
    assert ax.get_xlabel().endswith("\nnot estimated: twice")
    (ax,) = plot_coefficients(result, other).axes
    assert tick_names(ax.yaxis) == ["x", "z", "twice"]
    assert ax.get_xlabel().endswith("\nnot estimated: twice (model 1)")


def test_other_intervals():
    result = fit("y ~ x + twice + z + (1 | g)")
    (ax,) = plot_coefficients(result, method="profile").axes
    ends = result.profile(["x", "z"]).conf_int()
    assert_allclose(intervals(ax, COLORS[0])[:, 1:], ends, rtol=1e-7)
    (ax,) = plot_coefficients(result, method="basic", nsim=99, rng=3).axes
    ends = result.bootstrap(99, rng=3).conf_int("basic").loc[["x", "z"]]
    assert_allclose(intervals(ax, COLORS[0])[:, 1:], ends)


def test_models_from_arrays_and_of_mixedlm():
    frame = sample()
    exog = np.column_stack([np.ones(len(frame)), frame["x"]])
    groups = {"g": frame["g"].to_numpy()}
    result = CrossedMixedLM(frame["y"].to_numpy(), exog, groups).fit()
    (ax,) = plot_coefficients(result).axes
    assert_allclose(points(ax, COLORS[0]).get_xdata(), np.asarray(result.params)[1:])
    with pytest.raises(DataError, match="need the factors of a formula"):
        plot_effects(result, "x1")
    ours = MixedLM.from_formula("y ~ x", frame, groups="g").fit()
    (ax,) = plot_coefficients(ours).axes
    assert_allclose(points(ax, COLORS[0]).get_xdata(), ours.params[["x"]])
    plot_effects(ours, "x")


def test_many_coefficients():
    heights = []
    for formula in ("y ~ x + (1 | g)", "y ~ m + (1 | g)"):
        figure = plot_coefficients(fit(formula))
        heights.append(figure.get_figheight())
    assert len(tick_names(figure.axes[0].yaxis)) == 39
    assert heights[1] > 3.0 * heights[0]
    # in axes of the user there is room for fewer names
    _, own = plt.subplots(figsize=(4.0, 3.0))
    assert plot_coefficients(fit("y ~ m + (1 | g)"), ax=own) is own.get_figure()
    assert 5 < len(tick_names(own.yaxis)) < 20
    assert len(points(own, COLORS[0]).get_xdata()) == 39


def test_what_cannot_be_drawn():
    result = fit("y ~ x + (1 | g)")
    none = fit("y ~ 0 + (1 | g)")
    with pytest.raises(DataError, match="no fixed effects"):
        plot_coefficients(none)
    with pytest.raises(DataError, match="no fixed effects"):
        plot_effects(none, "x")
    with pytest.raises(ValueError, match="1 names for 2 results"):
        plot_coefficients(result, result, names=["one"])
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 95"):
        plot_coefficients(result, level=95)
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 0"):
        plot_effects(result, "x", level=0)
    with pytest.raises(ValueError, match="'z' is not a column of the fixed effects"):
        plot_effects(result, "z")
    with pytest.raises(ValueError, match="'g' is not a column of the fixed effects"):
        plot_effects(result, "x", by="g")
    with pytest.raises(ValueError, match="'x' is given twice"):
        plot_effects(result, "x", by="x")


# effects ---------------------------------------------------------------------


def expected_means(result, quantile=1.959963984540054, **values):
    """Mean, lower and upper end from predictions, averaged over f."""
    size = max(np.size(v) for v in values.values())
    levels = [values["f"]] if "f" in values else ["c", "a", "b"]
    grids = [design(size, {**values, "f": level}) for level in levels]
    rows = np.mean(grids, axis=0)
    covariance = result.cov_params().to_numpy()
    mean = rows @ result.params.to_numpy()
    error = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    return mean, mean - quantile * error, mean + quantile * error


def design(size, values):
    """Design of ``y ~ x * z + x * f`` written out by hand."""
    x = np.broadcast_to(values.get("x", sample()["x"].mean()), size)
    z = np.broadcast_to(values.get("z", sample()["z"].mean()), size)
    a, b = (np.broadcast_to(values["f"] == level, size) for level in "ab")
    columns = {"Intercept": np.ones(size), "f[T.a]": a, "f[T.b]": b, "x": x, "z": z}
    columns |= {"x:z": x * z, "x:f[T.a]": x * a, "x:f[T.b]": x * b}
    order = fit(FULL).params.index
    return np.column_stack([columns[name] for name in order]).astype(float)


FULL = "y ~ x * z + x * f + (1 | g)"


def band(ax, at):
    """Lower and upper ends of the bands of a panel, sorted by position."""
    found = []
    for collection in ax.collections:
        if isinstance(collection, matplotlib.collections.FillBetweenPolyCollection):
            vertices = collection.get_paths()[0].vertices
            inside = [vertices[np.isclose(vertices[:, 0], v), 1] for v in at]
            found.append([(v.min(), v.max()) for v in inside])
    return np.array(found)


def test_effect_of_a_covariate():
    result = fit(FULL)
    (ax,) = plot_effects(result, "x").axes
    x = points(ax, COLORS[0]).get_xdata()
    assert (x.min(), x.max()) == (sample()["x"].min(), sample()["x"].max())
    mean, lower, upper = expected_means(result, x=x)
    assert_allclose(points(ax, COLORS[0]).get_ydata(), mean, rtol=1e-8, atol=1e-10)
    ends = band(ax, x)
    assert_allclose(ends[0], np.column_stack([lower, upper]), rtol=1e-7, atol=1e-9)
    data = [line for line in ax.lines if line.get_alpha() is not None]
    assert_allclose(data[0].get_xydata(), sample()[["x", "y"]])
    assert ax.get_xlabel() == "x"
    assert ax.get_ylabel() == "y\nmean and 95% interval"
    z = sample()["z"].mean()
    assert ax.get_title() == f"Averaged over f (weights: equal). At z = {z:.3g}."
    assert len(plot_effects(result, "x", data=False).axes[0].lines) == 1


def test_effect_of_a_factor():
    result = fit(FULL)
    (ax,) = plot_effects(result, "f", level=0.9).axes
    assert tick_names(ax.xaxis) == ["c", "a", "b"]
    line = points(ax, COLORS[0])
    assert_allclose(line.get_xdata(), [0, 1, 2])
    assert line.get_linestyle() == "None"
    bars = [s for c in ax.collections for s in c.get_segments()]
    for i, level in enumerate("cab"):
        mean, lower, upper = expected_means(result, 1.6448536269514722, f=level)
        assert_allclose(line.get_ydata()[i], mean[0], rtol=1e-8)
        assert_allclose(bars[i], [[i, lower[0]], [i, upper[0]]], rtol=1e-7)
    data = next(li for li in ax.lines if li.get_alpha() is not None)
    codes = sample()["f"].cat.codes
    assert_allclose(data.get_xdata(), codes, atol=0.051)
    assert_allclose(data.get_ydata(), sample()["y"])


def test_two_covariates():
    result = fit(FULL)
    (ax,) = plot_effects(result, "x", by="z").axes
    z = sample()["z"]
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    lines = set()
    for i, value in enumerate(np.sort(z)[[24, 120, 215]]):
        line = points(ax, COLORS[i])
        lines.add(line.get_linestyle())
        mean, _, _ = expected_means(result, x=line.get_xdata(), z=value)
        assert_allclose(line.get_ydata(), mean, rtol=1e-8, atol=1e-10)
        assert texts[i] == f"z = {value:.3g}"
    assert len(lines) == 3
    # the data belong to none of the values
    data = [li for li in ax.lines if li.get_alpha() is not None]
    assert [len(d.get_xdata()) for d in data] == [len(sample())]


def test_a_covariate_by_a_factor():
    result = fit(FULL)
    (ax,) = plot_effects(result, "x", by="f", at={"z": 2.0}).axes
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        "f = c",
        "f = a",
        "f = b",
    ]
    for color, level in zip(COLORS, "cab"):
        line = points(ax, color)
        mean, _, _ = expected_means(result, x=line.get_xdata(), f=level, z=2.0)
        assert_allclose(line.get_ydata(), mean, rtol=1e-8, atol=1e-10)
        own = sample().loc[sample()["f"] == level, ["x", "y"]]
        data = [
            li
            for li in ax.lines
            if li.get_alpha() is not None and li.get_color() == color
        ]
        assert_allclose(data[0].get_xydata(), own)


def test_three_predictors():
    result = fit(FULL)
    figure = plot_effects(result, "x", by="z", facet="f")
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title() for ax in shown] == ["f = c", "f = a", "f = b"]
    z = np.sort(sample()["z"])[[24, 120, 215]]
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert texts == [f"z = {value:.3g}" for value in z]
    for ax, level in zip(shown, "cab"):
        for color, value in zip(COLORS, z):
            line = points(ax, color)
            mean, _, _ = expected_means(result, x=line.get_xdata(), z=value, f=level)
            assert_allclose(line.get_ydata(), mean, rtol=1e-8, atol=1e-10)
        own = sample().loc[sample()["f"] == level, ["x", "y"]]
        (data,) = (li for li in ax.lines if li.get_alpha() is not None)
        assert_allclose(data.get_xydata(), own)
    # the rows belong to none of the quantiles
    shown = plot_effects(result, "f", by="x", facet="z").axes[:3]
    assert [ax.get_title() for ax in shown] == texts
    x = np.sort(sample()["x"])[[24, 120, 215]]
    for ax, value in zip(shown, z):
        assert all(line.get_alpha() is None for line in ax.lines)
        for color, at in zip(COLORS, x):
            expected = [expected_means(result, x=at, z=value, f=f)[0] for f in "cab"]
            assert_allclose(points(ax, color).get_ydata(), np.ravel(expected))
    with pytest.raises(ValueError, match="'f' is given twice"):
        plot_effects(result, "x", by="f", facet="f")
    at = {"z": np.arange(7.0)}
    with pytest.raises(ValueError, match=r"'z' has 7 values.*at=\{'z': \[\.\.\.\]\}"):
        plot_effects(result, "x", by="z", facet="f", at=at)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean", "ci_lower", "ci_upper", "df"])
def test_predictors_called_as_a_column_of_the_means(name):
    """The picture is that of the same predictors under other names."""
    for of, arguments in (("f", (name, "x")), ("x", (name, "f")), ("f", ("x", name))):
        formula, data = "y ~ x * f + (1 | g)", sample().rename(columns={of: name})
        own = tuple(of if a == name else a for a in arguments)
        renamed = crossedmixedlm(formula.replace(of, name), data).fit()
        (expected,) = plot_effects(fit(formula), own[0], own[1]).axes
        (found,) = plot_effects(renamed, *arguments).axes
        for a, b in zip(expected.lines, found.lines, strict=True):
            assert_allclose(b.get_xydata(), a.get_xydata(), rtol=1e-7, atol=1e-9)


def test_values_that_were_chosen():
    result = fit(FULL)
    at = {"x": [-1.0, 0.0, 0.5], "f": ["b", "c"]}
    (ax,) = plot_effects(result, "x", by="f", at=at).axes
    assert_allclose(points(ax, COLORS[0]).get_xdata(), at["x"])
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert texts == ["f = b", "f = c"]
    # other levels are not in the picture
    (ax,) = plot_effects(result, "x", at={"f": "a"}).axes
    data = next(li for li in ax.lines if li.get_alpha() is not None)
    assert len(data.get_xdata()) == (sample()["f"] == "a").sum()


def test_a_covariate_of_two_values_has_points():
    result = fit("y ~ two * f + (1 | g)")
    (ax,) = plot_effects(result, "two", by="f", df_method="kenward-roger").axes
    assert tick_names(ax.xaxis) == ["1", "3"]
    means = result.marginal_means(["two"], by="f", df_method="kenward-roger").frame
    for color, level in zip(COLORS, "cab"):
        line, own = points(ax, color), means[means["f"] == level]
        assert_allclose(line.get_ydata(), own["mean"])
        assert_allclose(np.rint(line.get_xdata()), [0, 1])
        assert line.get_linestyle() != "None"


@pytest.mark.slow
def test_many_levels():
    result = fit("y ~ x + m + (1 | g)")
    (ax,) = plot_effects(result, "m").axes
    assert len(points(ax, COLORS[0]).get_xdata()) == 40
    names = tick_names(ax.xaxis)
    assert 10 < len(names) < 40
    assert ax.xaxis.get_ticklabels()[0].get_rotation() == 90.0
    positions = ax.get_xticks()
    assert names == [f"level {int(i):03d}" for i in positions]
    figure = plot_effects(result, "x", by="m")
    shown = [a for a in figure.axes if a.get_visible()]
    assert [a.get_title() for a in shown] == [f"m = level {i:03d}" for i in range(40)]
    level = sample()["m"] == "level 007"
    data = next(li for li in shown[7].lines if li.get_alpha() is not None)
    assert_allclose(data.get_xydata(), sample().loc[level, ["x", "y"]])
    _, own = plt.subplots()
    with pytest.raises(ValueError, match="1 axes but the plot 40 panels"):
        plot_effects(result, "x", by="m", ax=own)


@pytest.mark.slow
def test_too_many_panels():
    n = 300
    codes = np.arange(n) % 70
    frame = pd.DataFrame({"k": [f"k{i}" for i in codes], "g": np.arange(n) // 15})
    frame["x"], frame["y"] = np.random.default_rng(4).standard_normal((2, n))
    result = crossedmixedlm("y ~ x + k + (1 | g)", frame).fit()
    with pytest.raises(ValueError, match=r"'k' has 70 values.*at=\{'k': \[\.\.\.\]\}"):
        plot_effects(result, "x", by="k")
    figure = plot_effects(result, "x", by="k", at={"k": [f"k{i}" for i in range(7)]})
    shown = [a for a in figure.axes if a.get_visible()]
    assert len(shown) == 7
    # three in a row, the axis is labeled where nothing is below
    assert [a.get_xlabel() for a in shown] == ["", "", "", "", "x", "x", "x"]
    assert [bool(a.get_ylabel()) for a in shown] == [i % 3 == 0 for i in range(7)]


def test_means_that_the_data_do_not_determine():
    frame = sample()
    frame = frame[~((frame["f"] == "a") & (frame["two"] == 1.0))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = crossedmixedlm("y ~ C(two) * f + (1 | g)", frame).fit()
    (ax,) = plot_effects(result, "two", by="f").axes
    title = ax.get_title().replace("\n", " ")
    assert "no rows with f = a, two = 1. 1 of 6 means cannot be estimated." in title
    seen = points(ax, COLORS[1]).get_ydata()
    assert np.isnan(seen).tolist() == [True, False]


def test_weights_offset_and_a_transformed_response():
    result = fit("y ~ x * f + (1 | g)", weights="w", offset="o")
    (ax,) = plot_effects(result, "x").axes
    line = points(ax, COLORS[0])
    at = {"x": line.get_xdata()}
    means = result.marginal_means(["x"], at=at).frame["mean"]
    assert_allclose(line.get_ydata(), means)
    result = fit("np.exp(y) ~ x + (1 | g)")
    (ax,) = plot_effects(result, "x").axes
    assert ax.get_ylabel().startswith("np.exp(y)\n")
    data = next(li for li in ax.lines if li.get_alpha() is not None)
    assert_allclose(data.get_ydata(), np.exp(sample()["y"]))


def test_axes_of_the_user_and_large_data():
    _, own = plt.subplots()
    before = dict(matplotlib.rcParams)
    assert plot_effects(fit(FULL), "x", by="f", ax=own) is own.get_figure()
    assert own.get_xlabel() == "x"
    assert dict(matplotlib.rcParams) == before
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"x": rng.standard_normal(6000), "g": np.arange(6000) % 20})
    frame["y"] = frame["x"] + rng.standard_normal(6000)
    (ax,) = plot_effects(crossedmixedlm("y ~ x + (1 | g)", frame).fit(), "x").axes
    assert all(line.get_alpha() is None for line in ax.lines)


def test_singular_fit():
    data = load("dyestuff2")
    result = crossedmixedlm("Yield ~ 1 + (1 | Batch)", data).fit()
    (ax,) = plot_coefficients(result).axes
    assert_allclose(points(ax, COLORS[0]).get_xdata(), data["Yield"].mean())


def test_names_of_several_lines_are_all_there():
    names = {"x": "a_covariate_with_a_name_of_some_length", "z": "and_another_one"}
    data = sample().rename(columns=names)
    first, second = names.values()
    result = quiet(f"y ~ {first} * {second} * f + (1 | g)", data)
    (ax,) = plot_coefficients(result).axes
    labels = tick_names(ax.yaxis)
    assert [label.replace("\n", "") for label in labels] == list(
        result.params.index[1:]
    )
    assert max(label.count("\n") for label in labels) == 1
