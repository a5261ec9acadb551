"""
The trellis of groups: panels, points and lines against the model's own numbers.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load, quiet

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm import CrossedMixedLM  # noqa: E402
from statsmodels_lmm.exceptions import DataError  # noqa: E402
from statsmodels_lmm.graphics.canvas import COLORS  # noqa: E402
from statsmodels_lmm.graphics.groups import plot_groups  # noqa: E402
from statsmodels_lmm.random.terms import matrix_effects  # noqa: E402

N = 120


@pytest.fixture(autouse=True)
def closed():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(12)
    g, h = rng.integers(0, 5, N), rng.integers(0, 9, N)
    frame = pd.DataFrame({"g": [f"g{i}" for i in g], "h": h, "x": rng.normal(size=N)})
    frame["f"], frame["t"] = rng.choice(list("abc"), N), rng.integers(0, 4, N)
    frame["o"], frame["w"] = rng.uniform(0, 9, N), rng.uniform(0.5, 2.0, N)
    u, v = rng.standard_normal((5, 2)), rng.standard_normal(9)
    mean = 2.0 + frame["x"] + u[g, 0] + u[g, 1] * frame["x"] + v[h] + frame["o"]
    frame["y"] = mean + 0.5 * rng.standard_normal(N)
    return frame


@pytest.fixture(scope="module")
def sleep():
    frame = load("sleepstudy")
    return quiet("Reaction ~ Days + (Days | Subject)", frame)


def shown(figure):
    """Panels by their titles."""
    return {ax.get_title(): ax for ax in figure.axes if ax.get_visible()}


def line(ax, label):
    (found,) = (p for p in ax.lines if p.get_label() == label)
    return found


def points(ax):
    return ax.collections[0].get_offsets()


def by_mode(result, group):
    table = result.random_effects_table().query(f"group == '{group}'")
    first = table[table["effect"] == table["effect"].iloc[0]]
    return [str(level) for level in first.sort_values("mode")["level"]]


def test_sleepstudy(sleep):
    figure = plot_groups(sleep)
    panels = shown(figure)
    assert list(panels) == by_mode(sleep, "Subject")
    assert figure.get_supxlabel() == "Days"
    assert figure.get_supylabel() == "Reaction"
    frame = load("sleepstudy")
    for level, ax in panels.items():
        own = frame[frame["Subject"] == level]
        assert_allclose(points(ax), own[["Days", "Reaction"]])
        for label, b in (
            ("Subject", sleep.random_effects["Subject"].loc[level].to_numpy()),
            ("population", 0.0),
        ):
            intercept, slope = sleep.params.to_numpy() + b
            x, y = line(ax, label).get_data()
            assert (x.min(), x.max()) == (0.0, 9.0)
            assert_allclose(y, intercept + slope * x, rtol=1e-10)
        assert line(ax, "population").get_linestyle() == "--"
        assert line(ax, "Subject").get_linestyle() == "-"
    labels = [t.get_text() for t in figure.legends[0].get_texts()]
    assert labels == ["data", "population", "Subject"]


@pytest.mark.slow
def test_arrays_give_the_same_picture(sleep):
    frame = load("sleepstudy")
    x = frame["Days"].to_numpy(float)
    effects = np.column_stack([np.ones(180), x])
    groups = frame["Subject"].to_numpy()
    model = CrossedMixedLM(frame["Reaction"].to_numpy(), effects, [(groups, effects)])
    figure = plot_groups(model.fit())
    assert figure.get_supxlabel() == "x1"
    expected = shown(plot_groups(sleep))
    panels = shown(figure)
    assert list(panels) == list(expected)
    for level, ax in panels.items():
        x, y = line(ax, "Group").get_data()
        assert_array_equal(x, np.arange(10.0))
        whole = line(expected[level], "Subject").get_data()
        assert_allclose(y, np.interp(x, *whole), rtol=1e-6)


def test_values_of_the_rows_used(data):
    result = quiet("y ~ x + (1 | g)", data)
    own = pd.Series(np.arange(N)[::-1], name="minutes")
    figure = plot_groups(result, x=own)
    assert figure.get_supxlabel() == "minutes"
    for level, ax in shown(figure).items():
        here = (data["g"] == level).to_numpy()
        x, y = line(ax, "g").get_data()
        assert_array_equal(x, np.sort(own[here]))
        assert_allclose(y, result.fittedvalues[here].to_numpy()[::-1])
    with pytest.raises(ValueError, match="x has 3 values but the model 120 rows"):
        plot_groups(result, x=[1, 2, 3])
    with pytest.raises(ValueError, match="minutes has missing values"):
        plot_groups(result, x=own.where(own > 3))


def test_other_columns_are_at_a_value_of_the_group(data):
    result = quiet("y ~ np.exp(x) + w + f + (w | g) + (1 | h)", data)
    panels = shown(plot_groups(result, x="x", group="g"))
    p, often = result.params, data["f"].value_counts()
    assert often.iloc[0] > often.iloc[1]
    for level, ax in panels.items():
        own = data[data["g"] == level]
        w = np.sort(own["w"])[(len(own) - 1) // 2]
        f = next(each for each in often.index if (own["f"] == each).any())
        fixed = p["Intercept"] + p["w"] * w
        fixed += p.get(f"f[T.{f}]", 0.0)
        x, population = line(ax, "population").get_data()
        assert (x.min(), x.max()) == (own["x"].min(), own["x"].max())
        assert_allclose(population, fixed + p["np.exp(x)"] * np.exp(x))
        # the effects of h are left out
        b = result.random_effects["g"].loc[level]
        assert_allclose(
            line(ax, "g").get_ydata() - population, b["Intercept"] + b["w"] * w
        )


def test_levels_that_are_as_frequent_are_the_same_in_every_group(data):
    """So that the lines of the population agree, whatever the order of the rows."""
    turned = data.assign(k=np.arange(len(data)) % 2 ^ (data["g"].factorize()[0] % 2))
    turned["k"] = turned["k"].map({0: "u", 1: "v"})
    turned = turned.groupby(["g", "k"]).head(turned.value_counts(["g", "k"]).min())
    result = quiet("y ~ k + x + (1 | g)", turned)
    p = result.params
    for ax in shown(plot_groups(result, x="x", group="g")).values():
        x, population = line(ax, "population").get_data()
        first = p["k[T.v]"] * (turned["k"].iloc[0] == "v")
        assert_allclose(population, p["Intercept"] + first + p["x"] * x)


def test_offsets(data):
    inside = quiet("y ~ x + offset(o) + (x | g)", data)
    outside = quiet("y ~ x + (x | g)", data, offset="o")
    assert_allclose(inside.params, outside.params)
    a, b = shown(plot_groups(inside)), shown(plot_groups(outside))
    for level in a:
        o = data["o"][data["g"] == level]
        lower = np.sort(o)[(len(o) - 1) // 2]
        difference = line(b[level], "g").get_ydata() - line(a[level], "g").get_ydata()
        assert_allclose(difference, o.mean() - lower)


def test_a_factor_stands_at_positions(data):
    result = quiet("y ~ f + (1 | g)", data)
    figure = plot_groups(result)
    assert figure.get_supxlabel() == "f"
    for at, (level, ax) in enumerate(shown(figure).items()):
        # three in a row; only the last of each column names the positions
        labels = [t.get_text() for t in ax.get_xticklabels()]
        assert labels == ([] if at < 2 else ["a", "b", "c"])
        own = data[data["g"] == level]
        codes = own["f"].map({"a": 0, "b": 1, "c": 2})
        drawn = points(ax)[:, 0]
        assert_array_equal(np.rint(drawn), codes)
        # rows of a category side by side, a single one in its place
        alone = ~codes.duplicated(keep=False).to_numpy()
        assert_array_equal(drawn == codes, alone)
        assert np.unique(drawn).size == len(own)
        x, y = line(ax, "g").get_data()
        b = result.random_effects["g"].loc[level, "Intercept"]
        cells = result.params["Intercept"] + b
        cells += np.array([0.0, result.params["f[T.b]"], result.params["f[T.c]"]])
        assert_allclose(y, cells[x.astype(int)])
        assert line(ax, "g").get_linestyle() == "-"


def test_a_second_variable_has_colors_and_lines_of_its_own(data):
    result = quiet("y ~ x * f + (x | g)", data)
    figure = plot_groups(result, by="f")
    names = ["f = a", "f = b", "f = c"]
    texts = [t.get_text() for t in figure.legends[0].get_texts()]
    assert sorted(texts) == sorted(["population", "g", *names])
    for level, ax in shown(figure).items():
        for name, color in zip("abc", COLORS):
            own = data[(data["g"] == level) & (data["f"] == name)].sort_values("x")
            drawn = [c for c in ax.collections if c.get_label() == f"f = {name}"]
            found = drawn[0].get_offsets()
            assert_allclose(np.sort(found, 0), np.sort(own[["x", "y"]], 0))
            dashes, solid = (li for li in ax.lines if li.get_color() == color)
            assert (dashes.get_linestyle(), solid.get_linestyle()) == ("--", "-")
            x = dashes.get_xdata()
            assert (x.min(), x.max()) == (own["x"].min(), own["x"].max())
            at = pd.DataFrame({"x": x, "f": name, "g": level})
            expected = result.predict(at, random_effects=False)
            assert_allclose(dashes.get_ydata(), expected)
            assert_allclose(solid.get_ydata(), result.predict(at, random_effects=True))


def test_a_second_variable_beside_a_factor(data):
    result = quiet("y ~ f * t + (1 | g)", data)
    own = np.where(data["t"] > 1, "late", "early")
    figure = plot_groups(result, x="f", by=pd.Series(own, name="time"), levels="g1")
    (ax,) = shown(figure).values()
    for name, dodge in (("early", -0.1), ("late", 0.1)):
        (cloud,) = (c for c in ax.collections if c.get_label() == f"time = {name}")
        codes = data["f"].map({"a": 0, "b": 1, "c": 2})
        rows = (data["g"] == "g1") & (own == name)
        at = cloud.get_offsets()[:, 0]
        assert_allclose(at, codes[rows] + dodge, atol=0.0801)
    with pytest.raises(ValueError, match="y has 120 values, too many for colors"):
        plot_groups(result, by="y")
    with pytest.raises(ValueError, match="has missing values"):
        plot_groups(result, by=pd.Series(own).where(own == "late"))


def test_effects_of_other_factors_are_left_out_in_the_rows_of_the_data(data):
    result = quiet("y ~ f + (1 | g) + (1 | h)", data)
    for level, ax in shown(plot_groups(result)).items():
        b = result.random_effects["g"].loc[level, "Intercept"]
        found = line(ax, "g").get_ydata() - line(ax, "population").get_ydata()
        assert_allclose(found, b)


def test_values_that_are_no_function_are_not_joined(data):
    result = quiet("y ~ f + x + (1 | g)", data)
    for level, ax in shown(plot_groups(result, x=data["f"])).items():
        here = (data["g"] == level).to_numpy()
        found = line(ax, "g")
        assert found.get_linestyle() == "None"
        assert found.get_marker() == "_"
        expected = np.sort(result.fittedvalues[here])
        assert_allclose(np.sort(found.get_ydata()), expected)
    # a column of the formula has one value per category, at the median of the others
    for level, ax in shown(plot_groups(result, x="f")).items():
        own = data[data["g"] == level]
        x = np.sort(own["x"])[(len(own) - 1) // 2]
        at = pd.DataFrame({"f": list("abc"), "x": x, "g": level})
        found = line(ax, "g")
        assert_allclose(found.get_xdata(), [0, 1, 2])
        assert_allclose(found.get_ydata(), result.predict(at, random_effects=True))
        assert found.get_linestyle() == "-"


@pytest.mark.parametrize(
    ("formula", "name"),
    [
        ("y ~ f + o:x + (1 | g)", "o"),
        ("y ~ f + (0 + x | g)", "x"),
        ("y ~ C(t) + (1 | g)", "t"),
        ("y ~ of_g + x + (1 | g)", "x"),
        ("y ~ of_g + (1 | g)", "Row in g"),
        ("y ~ 0 + (1 | g)", "Row in g"),
    ],
)
def test_what_is_across_by_default(data, formula, name):
    frame = data.assign(of_g=data["g"].str[1].astype(int))
    result = quiet(formula, frame)
    figure = plot_groups(result)
    assert figure.get_supxlabel() == name
    if name.startswith("Row"):
        ax = shown(figure)["g2"]
        own = frame.loc[frame["g"] == "g2", "y"]
        assert_allclose(points(ax), np.column_stack([np.arange(len(own)) + 1, own]))
        assert_allclose(np.ptp(line(ax, "g").get_ydata()), 0.0, atol=1e-12)


def test_variables_of_the_caller(data):
    z = np.cos(np.arange(N))
    result = quiet("y ~ x + z + (1 | g)", data, eval_env={"z": z})
    for level, ax in shown(plot_groups(result)).items():
        here = (data["g"] == level).to_numpy()
        order = np.argsort(data["x"].to_numpy()[here])
        expected = result.fittedvalues.to_numpy()[here][order]
        assert_allclose(line(ax, "g").get_ydata(), expected)


@pytest.mark.slow
def test_redundant_columns_and_variance_zero(data):
    frame = data.assign(f2=data["f"].str.upper())
    result = quiet("y ~ x + f + f2 + (1 | h)", frame)
    assert np.isnan(result.params).sum() == 2
    plain = quiet("y ~ x + f + (1 | h)", frame)
    a, b = shown(plot_groups(result)), shown(plot_groups(plain))
    for level in a:
        assert_allclose(
            line(a[level], "h").get_ydata(), line(b[level], "h").get_ydata()
        )
    result = quiet("Yield ~ 1 + (1 | Batch)", load("dyestuff2"))
    for ax in shown(plot_groups(result)).values():
        same = (line(ax, label).get_ydata() for label in ("Batch", "population"))
        assert_array_equal(*same)


def test_an_even_selection_of_many_groups(sleep):
    figure = plot_groups(sleep, max_groups=4)
    ranked = by_mode(sleep, "Subject")
    assert list(shown(figure)) == [ranked[i] for i in (0, 6, 11, 17)]
    title = figure.legends[0].get_title().get_text()
    assert title == "4 of 18 levels of Subject, evenly by rank"


def test_levels_that_are_chosen(sleep):
    assert list(shown(plot_groups(sleep, levels=["337", "308"]))) == ["337", "308"]
    assert list(shown(plot_groups(sleep, levels="335"))) == ["335"]
    assert list(shown(plot_groups(sleep, levels=iter(["337", "308"])))) == [
        "337",
        "308",
    ]
    with pytest.raises(ValueError, match="no rows with level 335"):
        plot_groups(sleep, levels=335)


def test_levels_without_rows_have_no_panel(data):
    names = [f"g{i}" for i in range(7)]
    known = pd.DataFrame(np.eye(7) + 0.5, names, names)
    result = quiet("y ~ x + (1 | g)", data, relationship={"g": known})
    assert sorted(shown(plot_groups(result))) == names[:5]
    with pytest.raises(ValueError, match="g has no rows with level 'g6'"):
        plot_groups(result, levels=["g1", "g6"])


def test_axes_of_the_user(sleep):
    own, axes = plt.subplots(1, 2)
    assert plot_groups(sleep, levels=["308", "309"], ax=axes) is own
    for ax, level in zip(axes, ("308", "309")):
        assert ax.get_title() == level
        assert ax.get_xlabel() == "Days"
        assert len(points(ax)) == 10


def test_a_matrix_has_no_groups(data):
    z = np.random.default_rng(0).standard_normal((N, 9))
    model = CrossedMixedLM(data["y"], np.ones((N, 1)), [matrix_effects(z)])
    with pytest.raises(DataError, match="Z have a model matrix of their own"):
        plot_groups(model.fit())
    both = [matrix_effects(z), data["g"].to_numpy()]
    result = CrossedMixedLM(data["y"], np.ones((N, 1)), both).fit()
    assert len(shown(plot_groups(result))) == 5


def test_errors(sleep, data):
    with pytest.raises(ValueError, match="no column 'days'; there are Reaction, Days"):
        plot_groups(sleep, x="days")
    with pytest.raises(ValueError, match="no grouping factor 'subject'"):
        plot_groups(sleep, group="subject")
    with pytest.raises(ValueError, match="the name of one factor"):
        plot_groups(sleep, group=["Subject"])
    with pytest.raises(ValueError, match="no rows with level 308"):
        plot_groups(sleep, levels=[308])
    with pytest.raises(ValueError, match="max_groups must be at least 1, not 0"):
        plot_groups(sleep, max_groups=0)
    result = quiet("y ~ x + (1 | g)", data)
    result.remove_data()
    with pytest.raises(DataError, match="the data of the model were removed"):
        plot_groups(result)
