"""Parameters that a search moves beside covariances."""

import numpy as np
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.structures.free_parameters import FreeParameters, SquareRoots


def test_parameters_without_bounds():
    part = FreeParameters(np.array([1.0, -2.0]))
    assert part.n_free == 2
    step = np.array([-3.0, 1.0])
    for moved in (part.moved(step), part.stepped(step)):
        assert_array_equal(moved.values, [-2.0, -1.0])
    assert part.snapped() is part
    assert part.is_near(FreeParameters(np.array([1.01, -2.03])), 0.03)
    assert not part.is_near(FreeParameters(np.array([1.2, -2.0])), 0.03)


def test_many_values():
    part = FreeParameters(np.array([1.0, 2.0])).broadcast(3)
    other = FreeParameters(np.arange(6.0).reshape(3, 2))
    chosen = part.where(np.array([False, True, False]), other)
    assert_array_equal(chosen.values, [[1.0, 2.0], [2.0, 3.0], [1.0, 2.0]])
    assert_array_equal(chosen.take([1]).values, [[2.0, 3.0]])
    near = other.is_near(FreeParameters(other.values + [[0.0], [0.5], [0.0]]), 0.03)
    assert_array_equal(near, [True, False, True])


def test_roots_stay_on_one_side():
    part = SquareRoots(np.array([0.3]))
    step = np.array([-0.5])
    assert_array_equal(part.stepped(step).values, [0.2])
    assert_array_equal(part.moved(step).values, [-0.2])
    assert isinstance(part.stepped(step), SquareRoots)


def test_roots_that_are_almost_zero():
    part = SquareRoots(np.array([1e-9, 0.3]))
    assert_array_equal(part.snapped(1e-6).values, [0.0, 0.3])
    for kept in (SquareRoots(np.array([0.3])), SquareRoots(np.array([0.0]))):
        assert kept.snapped(1e-6) is kept
