"""
Pictures of the random effects: what is drawn against numbers found another way.
"""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from samples import load, quiet
from scipy import stats

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.colors import to_rgba  # noqa: E402

from statsmodels_lmm import CrossedMixedLM  # noqa: E402
from statsmodels_lmm.exceptions import DataError  # noqa: E402
from statsmodels_lmm.graphics import (  # noqa: E402
    plot_random_effects,
    plot_random_effects_correlation,
    plot_random_effects_qq,
    plot_shrinkage,
)
from statsmodels_lmm.random.terms import matrix_effects  # noqa: E402

N = 150


@pytest.fixture(autouse=True)
def closed():
    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(5)
    g, h = rng.integers(0, 12, N), rng.integers(0, 9, N)
    frame = pd.DataFrame({"g": [f"g{i:02d}" for i in g], "h": h})
    frame["x"], frame["f"] = rng.uniform(1.0, 4.0, N), rng.choice(list("abc"), N)
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    u, v = rng.standard_normal((12, 2)), rng.standard_normal(9)
    mean = 3.0 + frame["x"] + u[g, 0] + 0.6 * u[g, 1] * frame["x"] + v[h]
    frame["y"] = mean + frame["o"] + 0.7 * rng.standard_normal(N)
    frame["noise"] = np.random.default_rng(8).standard_normal(N)
    return frame


@pytest.fixture(scope="module")
def sleep():
    frame = load("sleepstudy")
    return quiet("Reaction ~ Days + (Days | Subject)", frame)


@pytest.fixture(scope="module")
def both(data):
    formula = "y ~ x + f + (x | g) + (1 | h)"
    return quiet(formula, data, weights="w", offset="o")


@pytest.fixture(scope="module")
def line(data):
    """A fit with a correlation of 1 or -1."""
    result = quiet("noise ~ x + (x | g)", data)
    sd = np.sqrt(result.vcomp)
    cov = result.cov_re["g"].iloc[0, 1]
    assert sd.min() > 1e-3
    assert abs(abs(cov / sd.prod()) - 1.0) < 1e-6
    return result


def marks(ax):
    """Offsets of each scatter, by its label."""
    return {c.get_label(): c.get_offsets() for c in ax.collections if has_marks(c)}


def has_marks(collection):
    return isinstance(collection, matplotlib.collections.PathCollection)


def intervals(ax):
    """Left end, right end and height of each interval, sorted by height."""
    found = [
        (*s[:, 0], s[0, 1])
        for c in ax.collections
        if isinstance(c, matplotlib.collections.LineCollection)
        for s in c.get_segments()
    ]
    return np.array(sorted(found, key=lambda row: row[2]))


def words(ax):
    return [t.get_text() for t in ax.texts]


def shown_axes(figure):
    return [ax for ax in figure.axes if ax.get_visible()]


class TestRandomEffects:
    def test_against_lme4(self, sleep):
        intercept, slope = shown_axes(plot_random_effects(sleep))
        names = [t.get_text() for t in intercept.get_yticklabels()]
        # as.data.frame(ranef(lmer(Reaction ~ Days + (Days | Subject), sleepstudy)))
        expected = {
            ("308", 0): (2.258550950, 12.070856951),
            ("337", 0): (34.890486829, 12.070856951),
            ("308", 1): (9.198975766, 2.304839021),
            ("337", 1): (8.628265158, 2.304839021),
        }
        for (level, panel), (mode, sd) in expected.items():
            row = names.index(level)
            left, right, height = intervals((intercept, slope)[panel])[row]
            ends = mode - 1.959963985 * sd, mode + 1.959963985 * sd
            assert_allclose((left, right), ends, rtol=1e-4)
            assert height == row
        assert names[-1] == "337"
        assert intercept.get_title() == "Subject: Intercept"
        assert slope.get_title() == "Subject: Days"

    def test_rows_are_sorted_by_the_first_effect(self, both):
        figure = plot_random_effects(both, "g", level=0.5)
        table = both.random_effects_table().query("group == 'g'")
        first = table[table["effect"] == "Intercept"].set_index("level")
        order = first["mode"].sort_values().index
        assert len(shown_axes(figure)) == 2
        for ax, effect in zip(shown_axes(figure), ("Intercept", "x")):
            own = table[table["effect"] == effect].set_index("level").loc[order]
            half = stats.norm.ppf(0.75) * own["sd"]
            ends = np.column_stack([own["mode"] - half, own["mode"] + half])
            assert_allclose(intervals(ax)[:, :2], ends)
            assert_array_equal(intervals(ax)[:, 2], np.arange(len(own)))
            points = np.concatenate(list(marks(ax).values()))
            points = points[np.argsort(points[:, 1])]
            assert_allclose(points[:, 0], own["mode"])
        names = [t.get_text() for t in shown_axes(figure)[0].get_yticklabels()]
        assert names == list(order)

    def test_filled_marks_exclude_zero(self, both):
        ax = shown_axes(plot_random_effects(both, "g", "x"))[0]
        table = both.random_effects_table().query("group == 'g' and effect == 'x'")
        outside = (table["mode"].abs() > 1.96 * table["sd"]).to_numpy()
        assert 0 < outside.sum() < len(outside)
        found = marks(ax)
        expected = np.sort(table["mode"][outside])
        assert_allclose(np.sort(found["interval excludes 0"][:, 0]), expected)
        faces = {
            c.get_label(): c.get_facecolor()[0] for c in ax.collections if has_marks(c)
        }
        assert_allclose(faces["interval includes 0"], to_rgba("white"))
        assert faces["interval excludes 0"][:3].tolist() != [1.0, 1.0, 1.0]

    def test_order_of_the_levels(self, both):
        ax = shown_axes(plot_random_effects(both, "h", sort=False))[0]
        names = [t.get_text() for t in ax.get_yticklabels()]
        assert names == [str(i) for i in range(9)][::-1]
        table = both.random_effects_table().query("group == 'h'")
        middle = intervals(ax)[:, :2].mean(axis=1)
        assert_allclose(middle, table["mode"].to_numpy()[::-1])

    def test_a_panel_for_each_effect(self, both):
        assert len(shown_axes(plot_random_effects(both))) == 3
        figure = plot_random_effects(both, ["h", "g"], ["Intercept"])
        titles = [ax.get_title() for ax in shown_axes(figure)]
        assert titles == ["h: Intercept", "g: Intercept"]

    def test_order_of_rows_does_not_matter(self, data, both):
        formula = "y ~ x + f + (x | g) + (1 | h)"
        other = quiet(
            formula, data.sample(frac=1, random_state=1), weights="w", offset="o"
        )
        for a, b in zip(
            shown_axes(plot_random_effects(both)),
            shown_axes(plot_random_effects(other)),
        ):
            assert_allclose(intervals(a), intervals(b), atol=1e-6)

    def test_many_levels_have_no_names(self):
        rng = np.random.default_rng(2)
        g = np.repeat(np.arange(800), 3)
        y = rng.standard_normal(800)[g] + rng.standard_normal(2400)
        result = CrossedMixedLM(y, np.ones((2400, 1)), {"school": g}).fit()
        ax = shown_axes(plot_random_effects(result))[0]
        assert not ax.get_yticklabels()
        assert ax.get_ylabel() == "school (800 levels)"
        assert len(intervals(ax)) == 800
        ax = shown_axes(plot_shrinkage(result))[0]
        assert not ax.get_yticklabels()
        assert len(marks(ax)["group alone"]) == 800

    def test_long_names_are_cut(self, data):
        long = data.assign(g="a very long name of a level " + data["g"])
        ax = shown_axes(plot_random_effects(quiet("y ~ x + (1 | g)", long)))[0]
        names = {t.get_text() for t in ax.get_yticklabels()}
        assert "a very lo…evel g03" in names
        assert len(names) == long["g"].nunique()

    def test_variance_zero(self):
        frame = load("dyestuff2")
        result = quiet("Yield ~ 1 + (1 | Batch)", frame)
        ax = shown_axes(plot_random_effects(result))[0]
        assert words(ax) == ["variance 0"]
        assert_array_equal(intervals(ax)[:, :2], np.zeros((6, 2)))

    def test_axes_of_the_user(self, sleep):
        own, axes = plt.subplots(1, 2)
        assert plot_random_effects(sleep, ax=axes) is own
        assert all(len(intervals(ax)) == 18 for ax in axes)
        assert len(own.axes) == 2
        with pytest.raises(ValueError, match="1 axes but the plot 2 panels"):
            plot_random_effects(sleep, ax=axes[0])

    def test_a_matrix_with_a_structure_has_a_row_for_each_effect(self):
        rng = np.random.default_rng(4)
        z = rng.standard_normal((80, 7))
        b = np.cumsum(rng.standard_normal(7))
        y = z @ b + 0.5 * rng.standard_normal(80)
        term = matrix_effects(z, "ar1", names=list("abcdefg"))
        result = CrossedMixedLM(y, np.ones((80, 1)), [term]).fit()
        (ax,) = shown_axes(plot_random_effects(result, sort=False))
        names = [t.get_text() for t in ax.get_yticklabels()]
        assert names == list("gfedcba")
        table = result.random_effects_table()
        middle = intervals(ax)[:, :2].mean(axis=1)
        assert_allclose(middle, table["mode"].to_numpy()[::-1])

    def test_errors(self, sleep):
        with pytest.raises(ValueError, match=r"no grouping factor 'Batch'.*Subject"):
            plot_random_effects(sleep, "Batch")
        with pytest.raises(ValueError, match=r"no effect 'days'.*Intercept, Days"):
            plot_random_effects(sleep, effects="days")
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            plot_random_effects(sleep, level=95)
        with pytest.raises(ValueError, match="is empty: nothing"):
            plot_random_effects(sleep, [])


class TestShrinkage:
    def test_against_lme4(self, sleep):
        (ax,) = shown_axes(plot_shrinkage(sleep))
        found = marks(ax)
        at = sorted(sleep.random_effects["Subject"].index).index("308")
        # coef(lmList(Reaction ~ Days | Subject, sleepstudy)), coef(lmer(...))
        alone, model = (244.1926691, 21.764702424), (253.6636558, 19.66626173)
        assert_allclose(found["group alone"][at], alone, rtol=1e-8)
        assert_allclose(found["model: fixed + mode"][at], model, rtol=1e-6)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("Intercept", "Days")

    def test_against_least_squares_of_each_group(self, data, both):
        ax, rows = shown_axes(plot_shrinkage(both))
        params, modes = both.params, both.random_effects
        beside = (data["f"] == "b") * params["f[T.b]"]
        beside += (data["f"] == "c") * params["f[T.c]"] + data["o"]
        slopes = modes["g"].loc[data["g"]].to_numpy()
        of_g = slopes[:, 0] + slopes[:, 1] * data["x"].to_numpy()
        of_h = modes["h"].loc[data["h"], "Intercept"].to_numpy()
        fixed = params["Intercept"] + params["x"] * data["x"]
        left = {
            "g": data["y"] - beside - of_h,
            "h": data["y"] - beside - of_g - params["x"] * data["x"],
        }
        assert_allclose(both.fittedvalues, fixed + beside + of_g + of_h)
        expected: dict = {"g": [], "h": []}
        for name, own in expected.items():
            for level in sorted(data[name].unique()):
                here = (data[name] == level).to_numpy()
                root = np.sqrt(data["w"][here].to_numpy())
                z = np.column_stack([np.ones(here.sum()), data["x"][here]])
                z = z[:, : modes[name].shape[1]] * root[:, None]
                own.append(np.linalg.lstsq(z, left[name][here] * root)[0])
        assert_allclose(marks(ax)["group alone"], expected["g"], rtol=1e-8)
        model = modes["g"].to_numpy() + params[["Intercept", "x"]].to_numpy()
        assert_allclose(marks(ax)["model: fixed + mode"], model)
        model = modes["h"]["Intercept"].to_numpy() + params["Intercept"]
        order = np.argsort(model)
        found = marks(rows)["group alone"]
        assert_allclose(found[:, 0], np.ravel(expected["h"])[order], rtol=1e-8)
        assert_allclose(marks(rows)["model: fixed + mode"][:, 0], model[order])
        assert [t.get_text() for t in rows.get_yticklabels()] == [
            str(modes["h"].index[i]) for i in order
        ]

    def test_population_is_found_in_any_coding(self):
        frame = load("machines")
        result = quiet("score ~ Machine + (0 + Machine | Worker)", frame)
        axes = shown_axes(plot_shrinkage(result))
        means = frame.groupby("Machine", observed=True)["score"].mean()
        cells = frame.groupby(["Worker", "Machine"], observed=True)["score"].mean()
        cells = cells.unstack().loc[result.random_effects["Worker"].index].to_numpy()
        for ax, pair in zip(axes, ([0, 1], [0, 2], [1, 2])):
            center = next(p for p in ax.lines if p.get_label() == "population")
            # the design is balanced: the population has the means of the cells
            assert_allclose(center.get_xydata()[0], means.iloc[pair], rtol=1e-8)
            assert_allclose(marks(ax)["group alone"], cells[:, pair], rtol=1e-8)

    def test_effects_without_a_fixed_one_have_population_zero(self, data):
        result = quiet("y ~ f + (0 + x | g)", data)
        (ax,) = shown_axes(plot_shrinkage(result))
        modes = result.random_effects["g"]["x"]
        assert_allclose(marks(ax)["model: fixed + mode"][:, 0], np.sort(modes))

    def test_no_fixed_effects_and_redundant_ones(self, data):
        (ax,) = shown_axes(plot_shrinkage(quiet("y ~ 0 + (1 | g)", data)))
        means = data.groupby("g")["y"].mean()
        found = np.sort(marks(ax)["group alone"][:, 0])
        assert_allclose(found, np.sort(means), rtol=1e-8)
        plain = quiet("y ~ x + f + (x | g)", data)
        again = quiet("y ~ x + f + f2 + (x | g)", data.assign(f2=data["f"].str.upper()))
        assert np.isnan(again.params).sum() == 2
        found, expected = (
            marks(shown_axes(plot_shrinkage(r))[0])["group alone"]
            for r in (again, plain)
        )
        assert_allclose(found, expected, rtol=1e-6)

    def test_a_covariate_far_from_zero(self, data):
        near = quiet("y ~ x + (x | g)", data)
        far = quiet("y ~ x + (x | g)", data.assign(x=data["x"] + 2000.0))
        a, b = (marks(shown_axes(plot_shrinkage(r))[0]) for r in (near, far))
        for name in ("group alone", "model: fixed + mode"):
            assert_allclose(a[name][:, 1], b[name][:, 1], rtol=1e-4)

    def test_shrunken_points_of_a_singular_fit_lie_on_a_line(self, line):
        (ax,) = shown_axes(plot_shrinkage(line))
        found = marks(ax)
        spread = np.linalg.svd(
            found["model: fixed + mode"] - line.params.to_numpy(), compute_uv=False
        )
        assert spread[1] < 1e-6 * spread[0]
        alone = found["group alone"] - line.params.to_numpy()
        spread = np.linalg.svd(alone, compute_uv=False)
        assert spread[1] > 0.01 * spread[0]
        sign = np.sign(line.cov_re["g"].iloc[0, 1])
        assert ax.get_title() == f"g\nsingular: correlation {sign:.0f}"

    def test_ellipses_hold_their_share(self, sleep):
        (ax,) = shown_axes(plot_shrinkage(sleep))
        rings = {p.get_label(): p.get_xydata() for p in ax.lines}
        inverse = np.linalg.inv(sleep.cov_re["Subject"])
        for share in (0.5, 0.95):
            off = rings[f"{100 * share:.0f} % of groups"] - sleep.params.to_numpy()
            forms = np.einsum("ij,jk,ik->i", off, inverse, off)
            # a chi-squared variable of two degrees of freedom is exponential
            assert_allclose(forms, -2.0 * np.log(1.0 - share), rtol=1e-6)

    def test_levels_that_say_too_little_are_left_out(self, data):
        few = data[(data["g"] != "g03") | ~data["g"].duplicated()]
        (ax,) = shown_axes(plot_shrinkage(quiet("y ~ x + (x | g)", few)))
        assert len(marks(ax)["group alone"]) == 11
        assert ax.get_title() == "g\nleft out: 1 of 12 levels"

    def test_variance_zero(self):
        frame = load("dyestuff2")
        result = quiet("Yield ~ 1 + (1 | Batch)", frame)
        (ax,) = shown_axes(plot_shrinkage(result))
        assert ax.get_title() == "Batch\nvariance 0: Intercept"
        found = marks(ax)
        assert_allclose(found["model: fixed + mode"][:, 0], frame["Yield"].mean())
        means = frame.groupby("Batch", observed=True)["Yield"].mean()
        assert_allclose(found["group alone"][:, 0], means, rtol=1e-8)

    def test_pairs_of_effects(self, data):
        many = data.assign(t=np.arange(N) % 5)
        result = quiet("y ~ C(t) + cs(0 + C(t) | h)", many)
        assert len(shown_axes(plot_shrinkage(result))) == 4
        names = ["C(t)[4]", "C(t)[1]"]
        (ax,) = shown_axes(plot_shrinkage(result, effects=names))
        assert [ax.get_xlabel(), ax.get_ylabel()] == names

    def test_axes_of_the_user(self, both):
        own, axes = plt.subplots(1, 2)
        assert plot_shrinkage(both, ax=axes) is own
        assert all("group alone" in marks(ax) for ax in axes)

    def test_errors(self, data):
        rng = np.random.default_rng(0)
        term = matrix_effects(rng.standard_normal((N, 10)))
        result = CrossedMixedLM(data["y"], np.ones((N, 1)), [term]).fit()
        with pytest.raises(DataError, match="Z have a model matrix of their own"):
            plot_shrinkage(result)
        result = CrossedMixedLM(
            data["y"], np.ones((N, 1)), [term, data["g"].to_numpy()]
        ).fit()
        assert len(shown_axes(plot_shrinkage(result))) == 1
        constant = quiet(
            "y ~ k + (k | g)", data.assign(k=data["g"].str[-1].astype(int))
        )
        with pytest.raises(DataError, match="no level of g determines"):
            plot_shrinkage(constant)
        constant.remove_data()
        assert plot_random_effects(constant)
        with pytest.raises(DataError, match="a plot of shrinkage needs them"):
            plot_shrinkage(constant)


class TestQQ:
    def test_modes_are_divided_by_their_deviations(self, data, both):
        axes = shown_axes(plot_random_effects_qq(both))
        z = {}
        for name, columns in (("g", ["one", "x"]), ("h", ["one"])):
            values = data.assign(one=1.0)[columns].to_numpy()
            codes = pd.factorize(data[name], sort=True)[0]
            z[name] = np.eye(codes.max() + 1)[codes][:, :, None] * values[:, None, :]
        total = np.diag(both.scale / data["w"].to_numpy())
        for name, own in z.items():
            total += np.einsum("ilj,jk,mlk->im", own, both.cov_re[name], own)
        at = 0
        for name, own in z.items():
            sigma = both.cov_re[name].to_numpy()
            for j in range(len(sigma)):
                # modes are C V^-1 (y - X beta), C their covariance with y
                c = np.einsum("k,mlk->lm", sigma[j], own)
                sd = np.sqrt(np.diag(c @ np.linalg.solve(total, c.T)))
                modes = both.random_effects[name].to_numpy()[:, j]
                points = axes[at].lines[-1].get_xydata()
                assert_allclose(points[:, 1], np.sort(modes / sd), rtol=1e-6)
                at += 1
        assert at == len(axes)

    def test_band(self, sleep):
        ax = shown_axes(plot_random_effects_qq(sleep))[0]
        points = ax.lines[-1].get_xydata()
        edge = ax.collections[0].get_paths()[0].vertices
        m = len(points)
        for i, x in enumerate(points[:, 0]):
            lower, upper = np.sort(edge[np.isclose(edge[:, 0], x), 1])[[0, -1]]
            # the (i + 1)-th value is below c if at least i + 1 values are
            for value, share in ((lower, 0.025), (x, 0.5), (upper, 0.975)):
                p = stats.norm.cdf(value)
                assert_allclose(stats.binom.sf(i, m, p), share, rtol=1e-8)

    def test_related_levels(self, data):
        names = sorted(data["g"].unique())
        known = np.diag(np.linspace(1.0, 3.0, 12)) + 0.2
        frame = pd.DataFrame(known, names, names)
        result = quiet("y ~ x + (1 | g)", data, relationship={"g": frame})
        (ax,) = shown_axes(plot_random_effects_qq(result))
        table = result.random_effects_table()
        prior = result.vcomp.iloc[0] * np.diag(known)
        expected = np.sort(table["mode"] / np.sqrt(prior - table["sd"] ** 2))
        assert_allclose(ax.lines[-1].get_ydata(), expected, rtol=1e-8)

    def test_variance_zero(self):
        frame = load("dyestuff2")
        (ax,) = shown_axes(
            plot_random_effects_qq(quiet("Yield ~ 1 + (1 | Batch)", frame))
        )
        assert words(ax) == ["variance 0"]
        assert not len(ax.lines[-1].get_xdata())

    def test_axes_of_the_user(self, sleep):
        own, axes = plt.subplots(1, 2)
        assert plot_random_effects_qq(sleep, "Subject", ax=axes) is own
        assert axes[1].get_title() == "Subject: Days"


class TestCorrelation:
    def test_numbers(self, sleep):
        figure = plot_random_effects_correlation(sleep)
        ax, bar = shown_axes(figure)
        covariance = sleep.cov_re["Subject"].to_numpy()
        r = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
        assert_allclose(ax.images[0].get_array(), [[1.0, r], [r, 1.0]])
        assert ax.images[0].get_clim() == (-1.0, 1.0)
        assert words(ax) == ["1.00", f"{r:.2f}", f"{r:.2f}", "1.00"]
        assert [t.get_text() for t in ax.get_xticklabels()] == ["Intercept", "Days"]
        assert bar.get_ylabel() == "Correlation"

    def test_ar1(self):
        frame = load("sleepstudy")
        result = quiet("Reaction ~ Days + ar1(0 + C(Days) | Subject)", frame)
        ax = shown_axes(plot_random_effects_correlation(result))[0]
        table = result.variance_components().set_index("effect2")
        lags = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
        rho = table["sd"].filter(regex="^(rho|cor)").iloc[0]
        assert 0.5 < rho < 1.0
        assert_allclose(ax.images[0].get_array(), rho**lags, rtol=1e-8)
        assert len(words(ax)) == 100

    def test_variance_zero_is_empty(self, data):
        # what the groups could explain is taken away
        groups = pd.get_dummies(data["g"], dtype=float).to_numpy()
        groups = np.column_stack([groups, groups * data[["x"]].to_numpy()])
        noise = data["noise"] - groups @ np.linalg.lstsq(groups, data["noise"])[0]
        result = quiet("noise ~ x + (x | g)", data.assign(noise=noise))
        assert_allclose(result.vcomp, 0.0, atol=1e-12)
        ax = shown_axes(plot_random_effects_correlation(result))[0]
        assert words(ax) == ["variance 0", "variance 0"]
        assert np.ma.filled(ax.images[0].get_array(), np.nan) == pytest.approx(
            np.full((2, 2), np.nan), nan_ok=True
        )

    def test_a_panel_for_each_term(self, data):
        result = quiet("y ~ x + f + (x | g) + (1 | h) + (0 + f | h)", data)
        figure = plot_random_effects_correlation(result)
        titles = [ax.get_title() for ax in figure.axes if ax.images]
        assert titles == ["g", "h"]
        own, ax = plt.subplots()
        assert plot_random_effects_correlation(result, "h", ax=ax) is own
        assert ax.images[0].get_array().shape == (3, 3)

    def test_one_effect(self, data):
        with pytest.raises(DataError, match="no term has two or more random effects"):
            plot_random_effects_correlation(quiet("y ~ x + (x || g)", data))
