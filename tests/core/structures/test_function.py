"""Structures that are functions of theta."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.structures.checks import check_structure
from statsmodels_lmm.core.structures.function import RelativeFactorFunction


def factor(theta):
    return np.array([[theta[0], 0.0], [theta[1], 2.0]])


def slopes(theta):
    return np.array([[[1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [1.0, 0.0]]])


def test_relative_factor_function():
    given = RelativeFactorFunction(factor, [1.0, 0.5], [0.0, -np.inf], None, ["a", "b"])
    slope = RelativeFactorFunction(factor, [1.0, 0.5], derivative=slopes)
    theta = np.array([0.7, -0.4])
    root = factor(theta)
    expected = np.array([d @ root.T + root @ d.T for d in slopes(theta)])
    assert_allclose(given.covariance(theta, 2), root @ root.T, rtol=1e-15)
    assert_allclose(given.derivative(theta, 2), expected, atol=1e-9)
    assert_allclose(slope.derivative(theta, 2), expected, atol=1e-15)
    assert_allclose(
        given.second_derivative(theta, 2), slope.second_derivative(theta, 2), atol=1e-6
    )
    assert [p.name for p in given.parameters("xy")] == ["a", "b"]
    assert given.ranges(2) == [(0.0, np.inf), (-np.inf, np.inf)]
    assert_array_equal([p.initial for p in given.parameters("xy")], [1.0, 0.5])
    for structure in (given, slope):
        check_structure(structure, "xy")
    wrong = RelativeFactorFunction(
        factor, [1.0, 0.5], derivative=lambda t: slopes(t)[::-1]
    )
    with pytest.raises(ValueError, match="derivative of theta"):
        check_structure(wrong, "xy")
