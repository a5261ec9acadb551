"""Combinations that stay finite where coefficients are infinite."""

import numpy as np
from numpy.testing import assert_allclose

from statsmodels_lmm.core.uncertainty.recession import speeds, without_motion

DIRECTIONS = np.array([[1.0], [-1.0], [0.0], [-1e-3]])


def test_speeds():
    balanced = 1, 0.999, 0, 1 + 1e-10
    rows = np.array([[1, 1, 5, 0], balanced, [0, 1, 0, 0], [0, 0, 1, 0]])
    assert_allclose(speeds(rows, DIRECTIONS).ravel(), [0.0, 0.0, -1.0, 0.0])
    assert speeds(np.array([1e-14, 0, 1, 0]), DIRECTIONS) == 0.0
    assert speeds(rows, DIRECTIONS[:, :0]).shape == (4, 0)


def test_without_motion():
    """Finite rows stand alone; others leave combinations of any units."""
    rows = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1e6]])
    combine = without_motion(rows, DIRECTIONS)
    assert_allclose(combine[0], [0, 1, 0])
    assert combine.shape == (2, 3)
    assert_allclose(combine @ rows @ DIRECTIONS, 0.0, atol=1e-15)
    assert_allclose(combine[1] / combine[1, 0], [1, 0, -1e-3], atol=1e-15)
    assert_allclose(without_motion(rows, DIRECTIONS[:, :0]), np.eye(3))
