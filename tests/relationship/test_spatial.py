"""Correlations by distance against closed forms and an integral."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.special import gamma

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.relationship import spatial_covariance

KINDS = ["exponential", "gaussian", "matern"]


@pytest.fixture(scope="module")
def places():
    xy = np.random.default_rng(2).uniform(0, 10, (25, 2))
    return pd.DataFrame(xy, [f"p{i}" for i in range(25)], ["x", "y"])


def distances(places):
    xy = places.to_numpy()
    return np.sqrt(((xy[:, None] - xy) ** 2).sum(axis=2))


def test_exponential_and_gaussian(places):
    d = distances(places)
    found = spatial_covariance(places, range=3.0)
    assert_allclose(found, np.exp(-d / 3.0), rtol=1e-13)
    assert found.index.equals(places.index)
    assert found.columns.equals(places.index)
    gaussian = spatial_covariance(places, "gaussian", range=3.0)
    assert_allclose(gaussian, np.exp(-(d**2) / 18.0), rtol=1e-13)


def test_matern_closed_forms(places):
    d = distances(places) / 2.5
    three, five = np.sqrt(3) * d, np.sqrt(5) * d
    forms = {
        0.5: np.exp(-d),
        1.5: (1 + three) * np.exp(-three),
        2.5: (1 + five + five**2 / 3) * np.exp(-five),
    }
    for smoothness, expected in forms.items():
        found = spatial_covariance(places, "matern", range=2.5, smoothness=smoothness)
        assert_allclose(found, expected, rtol=1e-12)
    assert_allclose(spatial_covariance(places, "matern", range=2.5), forms[1.5])


@pytest.mark.parametrize("smoothness", [0.1, 0.8, 2.0, 7.3])
def test_matern_as_an_integral(smoothness):
    # K_v(x) = integral of exp(-x cosh t) cosh(v t), t > 0
    for d in (0.05, 0.7, 3.0):
        x = np.sqrt(2 * smoothness) * d
        k, _ = quad(
            lambda t, x=x: np.exp(-x * np.cosh(t)) * np.cosh(smoothness * t), 0, 12
        )
        expected = 2 ** (1 - smoothness) / gamma(smoothness) * x**smoothness * k
        found = spatial_covariance(
            [0.0, 2 * d], "matern", range=2.0, smoothness=smoothness
        )
        assert_allclose(found.loc[0, 1], expected, rtol=1e-7)


@pytest.mark.parametrize("smoothness", [0.01, 0.5, 1.0, 1.5, 10.0, 50.0])
def test_matern_near_and_far(smoothness):
    near = np.concatenate([[0.0], np.logspace(-300, 0, 200), [1e3, 1e9, 1e300]])
    row = spatial_covariance(near, "matern", range=1.0, smoothness=smoothness).loc[0]
    assert np.isfinite(row).all()
    assert row[0] == 1.0
    assert (np.diff(row) <= 1e-12).all()
    assert row.iloc[-1] == 0.0
    if smoothness >= 1.5:
        assert_allclose(row[near < 1e-7], 1.0, rtol=1e-12)


def test_smooth_matern_is_nearly_gaussian(places):
    matern = spatial_covariance(places, "matern", range=3.0, smoothness=50.0)
    gaussian = spatial_covariance(places, "gaussian", range=3.0)
    assert 1e-4 < np.abs(matern - gaussian).to_numpy().max() < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_invariances(places, kind):
    expected = spatial_covariance(places, kind, range=3.0)
    scaled = spatial_covariance(1000 * places + 7.0, kind, range=3000.0)
    assert_allclose(scaled, expected, rtol=1e-9)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = spatial_covariance(places.to_numpy() @ turn, kind, range=3.0)
    assert_allclose(turned, expected, rtol=1e-9)
    shuffled = places.sample(frac=1, random_state=0)
    found = spatial_covariance(shuffled, kind, range=3.0)
    assert_allclose(found.loc[places.index, places.index], expected)
    assert np.linalg.eigvalsh(expected)[0] > -1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_same_place_twice(kind):
    found = spatial_covariance([[1.0, 2.0], [1.0, 2.0], [4.0, 6.0]], kind, range=2.0)
    assert found.loc[0, 1] == 1.0
    assert found.loc[0, 2] < 1.0


def test_labels(places):
    times = spatial_covariance([1, 2, 4], range=1.0, labels=["a", "b", "c"])
    assert_allclose(times.loc["a", "c"], np.exp(-3))
    series = spatial_covariance(pd.Series([1, 2], ["u", "v"]), range=1.0)
    assert series.index.tolist() == ["u", "v"]
    with pytest.raises(DataError, match="2 labels given for 25 rows"):
        spatial_covariance(places, range=1.0, labels=["a", "b"])
    with pytest.raises(DataError, match="label 'a' appears more than once"):
        spatial_covariance([1, 2, 4], range=1.0, labels=["a", "b", "a"])


def test_errors(places):
    with pytest.raises(ValueError, match="exponential, gaussian, matern"):
        spatial_covariance(places, "spherical", range=1.0)
    for wrong in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="range must be a positive number"):
            spatial_covariance(places, range=wrong)
    for wrong in (0.0, 51.0, np.nan):
        with pytest.raises(ValueError, match="smoothness must be positive"):
            spatial_covariance(places, "matern", range=1.0, smoothness=wrong)
    holes = places.mask(places["x"] == places.loc["p4", "x"])
    with pytest.raises(DataError, match="place 'p4' has missing"):
        spatial_covariance(holes, range=1.0)
