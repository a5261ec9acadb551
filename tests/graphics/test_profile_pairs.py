"""Contours of pairs of parameters, against ellipses and the likelihood itself."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from samples import load
from scipy import stats
from scipy.optimize import minimize_scalar

from statsmodels_lmm.formula.api import crossedmixedlm

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

from statsmodels_lmm.graphics.profile_pairs import (  # noqa: E402
    _continued,
    contour,
    plot_profile_pairs,
)

LABELS = ["Intercept", "Batch: sd Intercept", "sigma"]


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    formula = "Yield ~ 1 + (1 | Batch)"
    return crossedmixedlm(formula, load("dyestuff")).fit(reml=False)


def drawn(panel):
    """The contours, and the traces of y and of x."""
    *contours, of_y, of_x = (line.get_xydata().T for line in panel.lines)
    return contours, of_y, of_x


@pytest.mark.parametrize("correlation", [-0.7, 0.0, 0.95, 1.0])
def test_a_gaussian_likelihood_has_ellipses(correlation):
    height = 2.4
    x, y = contour(height, *[lambda zeta: correlation * zeta] * 2)
    form = x**2 - 2.0 * correlation * x * y + y**2
    assert_allclose(form, (1.0 - correlation**2) * height**2, atol=3e-5)
    assert_allclose([x.max(), y.min()], [height, -height], rtol=2e-3)
    assert_allclose([x[0], y[0]], [x[-1], y[-1]])


def test_a_contour_touches_its_extremes_on_the_traces():
    height = 1.5

    def of_y(zeta):
        return 0.3 * zeta + 0.1 * zeta**2

    def of_x(zeta):
        return 0.2 * zeta - 0.1 * zeta**2

    points = contour(height, of_y, of_x, 20_001)
    for side in (height, -height):
        for row, other in ((0, of_y(side)), (1, of_x(side))):
            gap = points[row] - side, points[1 - row] - other
            assert np.hypot(*gap).min() < 1e-3


def test_a_trace_continues_as_a_line():
    zeta = np.linspace(-1.0, 1.0, 9)
    trace = _continued(np.array([zeta, zeta**2]))
    assert_allclose(trace(zeta), zeta**2)
    beyond = trace(np.array([1.0, 1.5, 2.0]))
    assert_allclose(np.diff(beyond), beyond[1] - beyond[0])
    assert 0.5 < np.diff(beyond)[0] < 1.0


def test_traces_are_the_estimates_given_the_other(result):
    profile = result.profile()
    axes = plot_profile_pairs(profile).axes
    assert [axes[6 + i].get_xlabel() for i in range(3)] == LABELS
    assert [axes[3 * i].get_ylabel() for i in range(3)] == ["zeta", *LABELS[1:]]
    for i, x in enumerate(LABELS):
        for j, y in enumerate(LABELS[i + 1 :], i + 1):
            _, of_y, of_x = drawn(axes[3 * j + i])
            for given, trace in ((x, of_y), (y, of_x[::-1])):
                rows = profile.curves[profile.curves["parameter"] == given]
                other = y if given == x else x
                inside = np.isfinite(trace).all(axis=0)
                assert inside.sum() > 8
                assert_allclose(trace[0, inside], rows["value"][inside], rtol=1e-6)
                expected = rows[other][inside]
                assert_allclose(trace[1, inside], expected, rtol=1e-3, atol=0.05)
            # above the diagonal the same on the scale of zeta
            given = drawn(axes[3 * i + j])[1][0]
            zeta = profile.curves.loc[profile.curves["parameter"] == y, "zeta"]
            assert_allclose(given[np.isfinite(given)], zeta[np.isfinite(given)])


def rise(result, mean, sd):
    """Root of the rise of the deviance given two parameters, over sigma."""
    groups = load("dyestuff").groupby("Batch")["Yield"]
    means, within = groups.mean() - mean, groups.apply(lambda v: v.var() * 4).sum()

    def deviance(log_sigma):
        residual = np.exp(2.0 * log_sigma)
        between = residual + 5.0 * sd**2
        logs = 24 * np.log(residual) + 6 * np.log(between)
        return logs + within / residual + 5.0 * (means**2).sum() / between

    lowest = minimize_scalar(deviance, (3.0, 5.0)).fun + 30 * np.log(2.0 * np.pi)
    return np.sqrt(lowest + 2.0 * result.llf)


def test_contours_have_the_height_of_the_likelihood(result):
    panel = plot_profile_pairs(result, LABELS[:2], levels=[0.5, 0.8, 0.99]).axes[2]
    contours, _, _ = drawn(panel)
    for level, tolerance, found in zip([0.5, 0.8], [0.03, 0.05], contours):
        height = np.sqrt(stats.chi2.ppf(level, 2))
        heights = [rise(result, *point) for point in found.T[::50]]
        assert_allclose(heights, height, rtol=tolerance)
    # where the standard deviation reaches 0 the contour ends
    outer = contours[2]
    assert np.isnan(outer).any()
    assert 0.0 <= np.nanmin(outer[1]) < 3.0
    assert np.isfinite(contours[0]).all()


def test_what_is_no_pair(result):
    with pytest.raises(ValueError, match="has 2 to 12 parameters, not 1"):
        plot_profile_pairs(result, "sigma")
    with pytest.raises(ValueError, match="level must be between 0 and 1, not 95"):
        plot_profile_pairs(result, levels=[95])
    figure, own = plt.subplots(2, 2)
    assert plot_profile_pairs(result, LABELS[:2], ax=own) is figure
    # on the boundary half of the curve is there
    flat = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff2")).fit()
    for found in drawn(plot_profile_pairs(flat, LABELS[1:]).axes[2])[0]:
        assert 0.0 <= np.nanmin(found[0]) < 0.02
        assert np.isnan(found[0]).mean() > 0.3
