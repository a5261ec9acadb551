"""Interpolation on windows of variance ratios."""

import numpy as np
import pytest

from statsmodels_lmm.core.scans.windows import (
    NODES,
    Window,
    Windows,
    lowest,
    weights,
)

NODE_PLACES = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_weights_reproduce_polynomials_and_their_derivatives(order):
    rng = np.random.default_rng(0)
    polynomial = np.polynomial.Polynomial(rng.normal(size=NODES))
    x = rng.uniform(-1.0, 1.0, 7)
    found = weights(x, order) @ polynomial(NODE_PLACES)
    assert np.allclose(found, polynomial.deriv(order)(x), atol=1e-10)


def test_an_analytic_function_of_the_ratio_has_ten_digits():
    window, x = Window(0.3), np.linspace(-1.0, 1.0, 9)
    for value in (0.01, 1.0, 40.0):
        at_nodes = np.log1p(value * window.nodes)
        exact = np.log1p(value * window.ratio(x))
        assert np.abs(weights(x) @ at_nodes - exact).max() < 1e-10


def test_lowest_finds_minima_inside_and_says_where_others_are():
    x = NODE_PLACES
    inside = (x - 0.37) ** 2 + 5.0
    up, down = np.exp(-x), np.exp(x)
    bumpy = np.cos(3.0 * (x - 0.2))  # a maximum at 0.2, minima at both ends
    place, side = lowest(np.array([inside, up, down, -bumpy]))
    assert np.isclose(place[0], 0.37, atol=1e-12)
    assert np.isclose(place[3], 0.2, atol=1e-8)
    assert side.tolist() == [0, 1, -1, 0]
    assert place[1:3].tolist() == [1.0, -1.0]


def test_a_minimum_at_the_end_of_a_window_is_not_beyond_it():
    place, side = lowest(((NODE_PLACES - 1.0) ** 2)[None])
    assert np.isclose(place[0], 1.0, atol=1e-7)
    assert side[0] in (0, 1)


@pytest.mark.parametrize("ratio", [0.0, 1e-9, 1e-4, 0.02, 1.0, 700.0, 1e9, 1e12])
@pytest.mark.parametrize("largest", [1e-3, 1.0, 1e5])
def test_windows_overlap_from_zero_upwards(ratio, largest):
    windows = Windows.around(ratio, largest)
    ends = np.array([w.ratio(np.array([-1.0, 1.0])) for w in windows.each])
    assert ends[0, 0] == 0.0
    assert (ends[1:, 0] < ends[:-1, 1]).all()
    assert (ends[1:, 0] > ends[:-1, 0]).all()
    assert ends[-1, 1] > 1e11
    low, high = ends[windows.first]
    assert low <= ratio < high
    if windows.first:
        inner = windows.each[windows.first]
        assert ratio <= inner.ratio(0.0) * (1.0 + 1e-9)
    # V is almost I in the lowest window
    assert ends[0, 1] * largest < 1.0
    assert windows.each[0].from_zero
    assert not any(w.from_zero for w in windows.each[1:])
