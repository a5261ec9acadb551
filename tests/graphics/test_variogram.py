"""The semivariogram: its pairs, its classes and the curve of the model."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.graphics.variogram import binned, pairs_of, plot_variogram

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 12)
    x, y = rng.uniform(0.0, 10.0, (2, len(group)))
    apart = np.hypot(x[:, None] - x, y[:, None] - y)
    covariance = np.exp(-apart / 2.0) * (group[:, None] == group)
    z = np.linalg.cholesky(covariance) @ rng.standard_normal(len(group))
    data = pd.DataFrame({"z": z, "x": x, "y": y, "g": group})
    return crossedmixedlm("z ~ 1", data, residual="exp(x + y | g)").fit()


def test_pairs_are_of_one_group():
    residuals = np.array([1.0, 5.0, 2.0, np.nan, 4.0])
    codes, where = np.array([0, 1, 0, 1, 1]), np.array([0.0, 1.0, 3.0, 9.0, 5.0])
    distances, halves = pairs_of(residuals, codes, where)
    assert_allclose(distances, [3.0, 4.0])
    assert_allclose(halves, [0.5, 0.5])


def test_classes_have_about_as_many_pairs():
    distances = np.arange(100.0)
    means, heights = binned(distances, 2.0 * distances, 4)
    assert_allclose(means, [12.0, 37.0, 62.0, 87.0], atol=1.0)
    assert_allclose(heights, 2.0 * means)


def test_few_distances_are_classes_of_their_own():
    means, heights = binned(np.array([1.0, 2.0, 1.0]), np.array([1.0, 5.0, 3.0]), 15)
    assert_allclose(means, [1.0, 2.0])
    assert_allclose(heights, [2.0, 5.0])


def test_the_curve_is_that_of_the_model(result):
    (ax,) = plot_variogram(result).axes
    distance, curve = ax.lines[1].get_data()
    (reach,) = result.residual_params
    assert_allclose(curve, 1.0 - np.exp(-distance / reach))
    assert ax.get_xlabel() == "distance in x and y"


def test_normalized_residuals_are_level(result):
    (ax,) = plot_variogram(result, kind="normalized").axes
    points, line = ax.lines
    assert list(line.get_ydata()) == [1.0, 1.0]
    assert_allclose(np.mean(points.get_ydata()), 1.0, atol=0.2)


def test_errors_without_places(result):
    data = result.model.data.frame
    other = crossedmixedlm("z ~ 1", data, residual="cs(1 | g)").fit()
    with pytest.raises(DataError, match="times or places"):
        plot_variogram(other)
    with pytest.raises(DataError, match="at most 1e-09"):
        plot_variogram(result, max_distance=1e-9)
