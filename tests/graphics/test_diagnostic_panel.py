"""The panel of four pictures, against the pictures."""

import pytest
from generalized_samples import fitted
from numpy.testing import assert_array_equal
from samples import load, quiet, sleepstudy

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm import graphics  # noqa: E402
from statsmodels_lmm.graphics.diagnostic_panel import plot_diagnostics  # noqa: E402


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def content(ax):
    """Points and curves of axes."""
    points = [c.get_offsets() for c in ax.collections]
    return [*points, *(line.get_xydata() for line in ax.lines)]


def same(found, expected):
    assert (found.get_xlabel(), found.get_ylabel()) == (
        expected.get_xlabel(),
        expected.get_ylabel(),
    )
    for a, b in zip(content(found), content(expected), strict=True):
        assert_array_equal(a, b)


def test_a_linear_model():
    result = sleepstudy()
    axes = plot_diagnostics(result).axes
    names = ("plot_residuals", "plot_residuals_qq", "plot_scale_location")
    for ax, name in zip(axes, names):
        same(ax, getattr(graphics, name)(result).axes[0])
    alone = graphics.plot_random_effects_qq(result).axes
    drawn = [line for line in axes[3].lines if line.get_marker() in "os"]
    assert len(drawn) == len(alone) == 2
    for line, ax in zip(drawn, alone):
        assert_array_equal(line.get_xydata(), ax.lines[-1].get_xydata())
    texts = [t.get_text() for t in axes[3].get_legend().get_texts()]
    assert texts == [ax.get_title() for ax in alone]


@pytest.mark.parametrize(
    ("sample", "name"), [("binary", "binned_residuals"), ("binomial", "residuals")]
)
def test_a_generalized_model(sample, name):
    result = fitted(sample)
    own = plt.subplots(2, 2)[1]
    figure = plot_diagnostics(result, 40, 3, ax=own)
    assert figure is own[0, 0].get_figure()
    same(figure.axes[0], getattr(graphics, f"plot_{name}")(result).axes[0])
    expected = graphics.plot_simulated_residuals(result, 40, 3).axes
    for ax, other in zip(figure.axes[2:], expected, strict=True):
        same(ax, other)


def test_a_variance_of_zero():
    ax = plot_diagnostics(quiet("Yield ~ 1 + (1 | Batch)", load("dyestuff2"))).axes[3]
    assert [t.get_text() for t in ax.texts] == ["Batch: Intercept: variance 0"]
    assert ax.get_legend() is None
    assert (ax.get_xlim(), ax.get_ylim()) == ((-2.0, 2.0), (-2.0, 2.0))


def test_more_effects_than_colors():
    data = load("machines")
    data = data.assign(k=data.index % 9, h=data.index % 4)
    formula = "score ~ 1 + (0 + Machine | Worker) + (Machine | k) + (1 | h)"
    ax = plot_diagnostics(quiet(formula, data)).axes[3]
    assert ax.get_xlabel() == "normal quantile, first 6 of 7 effects"
