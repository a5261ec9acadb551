"""Pictures of profiles and of the bootstrap, against the numbers behind them."""

import functools
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.replicates.bootstrap_intervals import interval

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.graphics.profiles import (  # noqa: E402
    LEVELS,
    plot_bootstrap,
    plot_profile,
    plot_profile_density,
)

FITS = {
    "sleepstudy": ("Reaction ~ Days + (Days | Subject)", False),
    "dyestuff": ("Yield ~ 1 + (1 | Batch)", True),
    "dyestuff2": ("Yield ~ 1 + (1 | Batch)", True),
}


@pytest.fixture(autouse=True)
def closed():
    """Figures are closed after each test."""
    yield
    plt.close("all")


@functools.cache
def fit(name):
    formula, reml = FITS[name]
    data = load(name)
    return crossedmixedlm(formula, data).fit(reml=reml)


@functools.cache
def profiled(name):
    return fit(name).profile()


@functools.cache
def replicates(name):
    return fit(name).bootstrap(400, rng=5)


@functools.cache
def idle():
    """A fit with a correlation that nothing depends on, and a dropped column."""
    rng = np.random.default_rng(2)
    x, g = rng.standard_normal(60), np.repeat(np.arange(6), 10)
    # within each group nothing but noise, so that both deviations are 0
    noise = rng.standard_normal(60)
    design = np.column_stack([np.ones(60), x])
    for i in range(6):
        own = design[g == i]
        noise[g == i] -= own @ np.linalg.lstsq(own, noise[g == i])[0]
    frame = pd.DataFrame({"y": x + noise, "x": x, "twice": 2.0 * x, "g": g})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return crossedmixedlm("y ~ x + twice + (x | g)", frame).fit()


def curve(panel):
    """The line of a panel that is no marker and no axis."""
    return max(panel.lines, key=lambda line: len(line.get_xdata())).get_data()


def marks(panel):
    """Position and signed height of each vertical line of a profile."""
    found = [s for c in panel.collections for s in c.get_segments()]
    return sorted((s[0, 0], s[np.argmax(np.abs(s[:, 1])), 1]) for s in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_zeta_is_that_of_the_profile_and_marks_are_its_intervals(name):
    found = profiled(name)
    panels = plot_profile(found).axes
    assert [p.get_xlabel() for p in panels] == [p.label for p in found.parameters]
    assert panels[0].get_ylabel() == "zeta"
    for panel, parameter in zip(panels, found.parameters):
        rows = found.curves[found.curves["parameter"] == parameter.label]
        value, zeta = curve(panel)
        assert_allclose(np.interp(rows["value"], value, zeta), rows["zeta"], atol=1e-9)
        seen = {round(height, 6): at for at, height in marks(panel)}
        reached = rows["zeta"].min(), rows["zeta"].max()
        count = 0
        for level in LEVELS:
            ends = found.conf_int(1.0 - level).loc[parameter.label]
            for side, end in ((-1.0, "lower"), (1.0, "upper")):
                height = side * stats.norm.ppf(0.5 + level / 2.0)
                if reached[0] <= height <= reached[1]:
                    count += 1
                    width = ends["upper"] - ends["lower"]
                    at = seen[round(height, 6)]
                    assert_allclose(at, ends[end], atol=2e-3 * width)
        assert len(seen) == count >= len(LEVELS)


def test_a_curve_that_stops_at_a_bound_ends_in_a_circle():
    panels = plot_profile(profiled("dyestuff")).axes
    circles = [
        [tuple(*line.get_xydata()) for line in p.lines if len(line.get_xydata()) == 1]
        for p in panels
    ]
    rows = profiled("dyestuff").curves
    lowest = rows.loc[rows["parameter"] == "Batch: sd Intercept", "zeta"].min()
    assert circles[0] == circles[2] == []
    assert_allclose(circles[1], [(0.0, lowest)], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_zeta_between_the_points_is_that_of_the_refits(name):
    found = profiled(name)
    panels = plot_profile(found).axes
    for panel, parameter in zip(panels, found.parameters):
        own = parameter.curve
        for low, high in zip(own.points[:-1], own.points[1:]):
            middle = own.point(0.5 * (low.at + high.at), low)
            drawn = np.interp(parameter.to_user(middle.at), *curve(panel))
            assert_allclose(abs(drawn), middle.height, atol=5e-3)


def test_zeta_near_a_deviation_of_0_with_a_correlation():
    # the criterion has a slope there, as the correlation is free
    rng = np.random.default_rng(0)
    x, noise, g = *rng.standard_normal((2, 240)), np.arange(240) // 12
    b = 0.25 * rng.standard_normal(20)
    frame = pd.DataFrame({"y": (0.4 + x) * b[g] + noise, "x": x, "g": g})
    result = crossedmixedlm("y ~ x + (x | g)", frame).fit()
    found = result.profile("g: sd Intercept")
    own = found.parameters[0].curve
    low, high = own.points[:2]
    assert result.is_singular
    assert low.at == 0.0
    (panel,) = plot_profile(found).axes
    near = own.point(0.05 * high.at, high)
    assert (low.height - near.height) / near.at > 1.0
    for share in (0.05, 0.2, 0.5, 0.8):
        middle = own.point(share * high.at, high)
        drawn = np.interp(found.parameters[0].to_user(middle.at), *curve(panel))
        assert_allclose(abs(drawn), middle.height, atol=5e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FITS)
def test_density_is_the_derivative_of_the_probability(name):
    found = profiled(name)
    panels = plot_profile_density(found).axes
    for panel, parameter in zip(panels, found.parameters):
        rows = found.curves[found.curves["parameter"] == parameter.label]
        value, density = curve(panel)
        between = np.diff(stats.norm.cdf(rows["zeta"])).sum()
        assert_allclose(np.trapezoid(density, value), between, atol=2e-3)
        # at the points the slopes of zeta are known
        sign = -1.0 if parameter.kind == "cor" else 1.0
        for point in parameter.curve.points[1:-1]:
            if not point.height:
                continue
            near = 1e-5 * parameter.curve.step
            above, below = map(parameter.to_user, (point.at + near, point.at - near))
            per_unit = (above - below) / (2.0 * near)
            slope = point.optimum.slope / (2.0 * point.height) / per_unit
            expected = stats.norm.pdf(point.height) * abs(sign * slope)
            drawn = np.interp(parameter.to_user(point.at), value, density)
            assert_allclose(drawn, expected, atol=0.01 * density.max())


def test_profile_of_a_variance_on_the_boundary():
    # of a normal deviate half the probability is below an estimate of 0
    for scale in ("sd", "var"):
        panel = plot_profile_density(fit("dyestuff2"), "random", scale=scale).axes[0]
        assert [t.get_text() for t in panel.texts] == ["50%"]
        (spike,) = panel.collections[-1].get_segments()
        assert_allclose(spike[:, 0], 0.0)
        value, density = curve(panel)
        assert value.min() >= 0.0
        # the density of a variance has no limit at 0, and the picture ends before
        assert (panel.get_ylim()[1] < density.max()) == (scale == "var")
        rows = fit("dyestuff2").profile("random").curves
        above = stats.norm.cdf(rows["zeta"].iloc[:7].max()) - 0.5
        assert_allclose(np.trapezoid(density, value), above, atol=0.01)


@pytest.mark.slow
def test_profile_of_what_the_likelihood_does_not_depend_on():
    found = idle().profile()
    label = "g: cor x, Intercept"
    for plot in (plot_profile, plot_profile_density):
        (panel,) = plot(found, label).axes
        assert [t.get_text() for t in panel.texts] == [
            "the likelihood\ndoes not depend\non this parameter"
        ]
    (panel,) = plot_profile(found, label).axes
    assert_allclose(panel.lines[1].get_ydata(), 0.0)
    assert {p.get_xlabel() for p in plot_profile(found).axes} >= {label, "x"}


@pytest.mark.slow
def test_chosen_parameters():
    found = profiled("sleepstudy")
    names = [["Intercept", "Days"], "sigma", ["sigma", "Days"]]
    for which, expected in zip(("fixed", *names[1:]), names):
        expected = [expected] if isinstance(expected, str) else expected
        for plot in (plot_profile, plot_profile_density):
            axes = plot(found, which).axes
            assert [a.get_xlabel() for a in axes] == expected
    assert len(plot_profile(found, "random").axes) == 4
    figure = plot_profile(fit("sleepstudy"), "Days")
    expected = curve(plot_profile(found, "Days").axes[0])
    assert_allclose(curve(figure.axes[0]), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"no parameter 'day'; choose from .*'Days'"):
        plot_profile(found, "day")
    with pytest.raises(TypeError, match="scale: results is already a profile"):
        plot_profile(found, scale="var")


def test_axes_of_the_user():
    _, own = plt.subplots(1, 2)
    before = dict(matplotlib.rcParams)
    for plot in (plot_profile, plot_profile_density):
        figure = plot(profiled("sleepstudy"), "fixed", ax=own)
        assert figure is own[0].get_figure()
        assert own[1].get_xlabel() == "Days"
    figure = plot_bootstrap(replicates("sleepstudy"), "fixed", ax=own)
    assert figure is own[0].get_figure()
    assert "400 replicates" in own[0].get_title()
    assert dict(matplotlib.rcParams) == before
    for plot, found in (
        (plot_profile, profiled("dyestuff")),
        (plot_profile_density, profiled("dyestuff")),
        (plot_bootstrap, replicates("dyestuff")),
    ):
        with pytest.raises(ValueError, match="2 axes but the plot 3 panels"):
            plot(found, ax=own)


# bootstrap -------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_bootstrap(name, method):
    found = replicates(name)
    panels = plot_bootstrap(found, method=method, level=0.9).axes
    labels = [p.get_xlabel() for p in panels]
    assert labels == [n for n in found.draws if not n.startswith(("se ", "theta "))]
    for panel, label in zip(panels, labels):
        draws = found.draws[label].dropna().to_numpy()
        at = found.draws.columns.get_loc(label)
        limits = found.ranges[at]
        spikes = {
            float(segment[0, 0]): float(segment[1, 1])
            for c in panel.collections
            for segment in c.get_segments()
        }
        expected = {x: np.mean(np.abs(draws - x) < 1e-7) for x in limits}
        expected = {x: share for x, share in expected.items() if share}
        assert spikes == pytest.approx(expected)
        texts = [t.get_text() for t in panel.texts]
        assert texts == [
            f"{x:.1%}" if x < 0.1 else f"{x:.0%}" for x in expected.values()
        ]
        *bars, band = panel.patches
        inside = sum(bar.get_height() for bar in bars)
        assert_allclose(inside + sum(expected.values()), 1.0, rtol=1e-9)
        assert limits[0] <= bars[0].get_x()
        assert bars[-1].get_x() + bars[-1].get_width() <= limits[1]
        free = draws[~np.isin(draws, list(expected)) & (np.abs(draws) > 1e-7)]
        for bar in bars[1:-1]:
            left, right = bar.get_x(), bar.get_x() + bar.get_width()
            share = np.sum((free >= left) & (free < right)) / len(draws)
            assert_allclose(bar.get_height(), share, atol=2.5 / len(draws))
        errors = found.draw_errors[label].to_numpy()
        estimate, error = found.estimates[label], found.errors[label]
        ends = interval(
            method, estimate, error, found.draws[label].to_numpy(), errors, 0.1
        )
        ends = np.clip(ends, *limits)
        seen = band.get_x(), band.get_x() + band.get_width()
        assert_allclose(seen, ends, rtol=1e-9)
        (line,) = (li for li in panel.lines if len(li.get_xdata()) == 2)
        assert_allclose(line.get_xdata(), estimate)
    text = panels[0].get_figure().get_supxlabel()
    assert text.startswith("400 replicates, parametric bootstrap\n")
    assert text.endswith(f"90% {method} interval")


def test_bootstrap_says_how_many_failed():
    found = replace(replicates("dyestuff"), n_failed=1234)
    text = plot_bootstrap(found).get_supxlabel()
    assert text.startswith("400 replicates, parametric bootstrap, 1,234 failed\n")
    _, own = plt.subplots(1, 3)
    plot_bootstrap(found, ax=own)
    assert "1,234 failed" in own[0].get_title()


def test_bootstrap_of_statistics():
    """They have panels of their own, without a range."""
    found = replicates("dyestuff")
    drawn = 2.0 * found.draws[["sigma"]].set_axis([0], axis=1)
    own = pd.Series([2.0 * found.estimates["sigma"]])
    with_own = replace(found, statistics=drawn, own_statistics=own)
    labels = [p.get_xlabel() for p in plot_bootstrap(with_own).axes]
    assert labels[-2:] == ["sigma", "statistic 0"]


def test_bootstrap_of_chosen_parameters():
    found = replicates("sleepstudy")
    names = ["se Days", "theta Subject.Days"]
    axes = plot_bootstrap(found, names).axes
    assert [a.get_xlabel() for a in axes] == names
    assert len(plot_bootstrap(found, "fixed").axes) == 2
    with pytest.raises(ValueError, match="no parameter 'Day'"):
        plot_bootstrap(found, "Day")
    with pytest.raises(ValueError, match="method must be one of wald, basic"):
        plot_bootstrap(found, method="all")
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 95"):
        plot_bootstrap(found, level=95)


def test_bootstrap_without_intervals_or_draws():
    found = idle().bootstrap(100, rng=1)
    labels = [a.get_xlabel() for a in plot_bootstrap(found, "fixed").axes]
    assert labels == ["Intercept", "x"]
    (panel,) = plot_bootstrap(found, "twice").axes
    assert [t.get_text() for t in panel.texts] == ["not defined in any replicate"]
    assert not panel.patches
    # no standard error, no Wald interval
    counts = []
    for method in ("wald", "percentile"):
        (panel,) = plot_bootstrap(found, "se x", method=method).axes
        counts.append(len(panel.patches))
    assert counts[0] == counts[1] - 1


@pytest.mark.slow
def test_no_fixed_effects():
    data = load("dyestuff")
    raw = crossedmixedlm("Yield ~ 0 + (1 | Batch)", data).fit()
    labels = ["Batch: sd Intercept", "sigma"]
    for found, plot in (
        (raw.profile(), plot_profile),
        (raw.profile(), plot_profile_density),
        (raw.bootstrap(100, rng=1), plot_bootstrap),
    ):
        assert [a.get_xlabel() for a in plot(found).axes] == labels
        with pytest.raises(ValueError, match="no parameters to plot for which='fixed'"):
            plot(found, "fixed")
