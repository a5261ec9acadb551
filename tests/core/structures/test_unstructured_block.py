"""Unstructured blocks."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.structures.roots import lower_entries, lower_root
from statsmodels_lmm.core.structures.unstructured_block import (
    SNAP,
    UnstructuredBlock,
    UnstructuredCovariance,
    lowest_unused,
    pivoted_triangle,
    row_units,
)


def semidefinite(size, rank, seed):
    root = np.random.default_rng(seed).standard_normal((size, rank))
    return root @ root.T


@pytest.mark.parametrize("size", [1, 2, 3])
def test_pivoted(size):
    """One by one or many at once, whatever the rank."""
    s = np.array([semidefinite(size, r, r) for r in range(size + 1)])
    many = UnstructuredBlock.pivoted(s)
    assert_allclose(many.covariance, s, atol=1e-14)
    for i, each in enumerate(s):
        one = UnstructuredBlock.pivoted(each)
        assert one.n_free == one.n_parameters == size * (size + 1) // 2
        assert_allclose(one.matrix, many.matrix[i], atol=1e-7)
        assert np.linalg.matrix_rank(one.matrix, 1e-6) == i
        outside = one.matrix.copy()
        outside[one.rows, one.columns] = 0.0
        assert not outside.any()


def test_full():
    matrix = np.arange(9.0).reshape(3, 3)
    block = UnstructuredBlock.full(matrix)
    assert block.n_free == 9
    step = np.arange(9.0)
    assert_array_equal(block.moved(step).matrix, 2.0 * matrix)


def test_small_pivots_become_zero():
    s = np.diag([1.0, (0.5 * SNAP) ** 2])
    block = UnstructuredBlock.pivoted(s)
    assert block.snapped().matrix[1].tolist() == [0.0, 0.0]
    regular = UnstructuredBlock.pivoted(np.eye(2))
    assert regular.snapped() is regular
    one = UnstructuredBlock.pivoted(s[1:, 1:])
    assert one.snapped().matrix.tolist() == [[0.0]]


def test_many_values():
    """Every verb of a search on many values is that on each."""
    rng = np.random.default_rng(1)
    s = np.array([semidefinite(3, r, r) for r in (3, 2, 3, 1)])
    many = UnstructuredBlock.pivoted(s)
    dual = rng.standard_normal((4, 3, 3))
    dual = dual + dual.swapaxes(1, 2)
    step, precision = rng.standard_normal((4, 6)), rng.uniform(0.1, 2.0, (4, 3))
    for i in range(4):
        one = many.take(i)
        assert_allclose(many.slope(dual)[i], one.slope(dual[i]), atol=1e-13)
        assert_allclose(many.curvature(dual)[i], one.curvature(dual[i]), atol=1e-13)
        assert_allclose(many.directions[i], one.directions, atol=1e-15)
        assert_allclose(many.units(precision)[i], one.units(precision[i]))
        moved = many.moved(step)
        assert_allclose(moved.matrix[i], one.moved(step[i]).matrix)
        assert_allclose(many.stepped(step).covariance[i], moved.covariance[i])
    assert many.is_singular.tolist() == [False, True, False, True]


def test_choices_among_many_values():
    s = np.array([semidefinite(2, 2, seed) for seed in range(6)])
    old, new = UnstructuredBlock.pivoted(s[:3]), UnstructuredBlock.pivoted(s[3:])
    chosen = old.where(np.array([True, False, True]), new)
    assert_array_equal(chosen.matrix[[0, 2]], new.matrix[[0, 2]])
    assert_array_equal(chosen.rows[[0, 2]], new.rows[[0, 2]])
    assert_array_equal(chosen.matrix[1], old.matrix[1])
    assert_array_equal(chosen.rows[1], old.rows[1])
    some = old.take(np.array([False, True, True]))
    assert_array_equal(some.covariance, old.covariance[1:])
    again = old.take(0).broadcast(5)
    assert again.matrix.shape == (5, 2, 2)
    assert again.rows.shape == (5, 3)
    assert_array_equal(old.broadcast(3).matrix, old.matrix)


def test_correlations_and_nothing():
    block = UnstructuredBlock.pivoted(semidefinite(2, 1, 0))
    assert block.correlated(0.9) is block
    assert not block.nothing().covariance.any()
    assert_allclose(block.lifted(0.2).covariance, block.covariance + 0.2 * np.eye(2))
    assert block.may_be_elsewhere
    assert block.rank() == 1
    assert not block.lifted(0.2).may_be_elsewhere


def test_certificates():
    """The smallest slope of all, and of the directions that S does not use."""
    block = UnstructuredBlock.pivoted(np.diag([1.0, 0.0]))
    dual, information = np.diag([-3.0, -2.0]), np.diag([4.0, 6.0])
    assert block.certificates(dual, information) == ([-0.3], [-0.2])
    assert block.certificates(-dual, information) == ([0.2], [0.0])
    assert block.certificates(dual, np.zeros((2, 2))) == ([0.0], [0.0])
    many = UnstructuredBlock.pivoted(np.stack([np.diag([1.0, 0.0])] * 2))
    (smallest,), (unused,) = many.certificates(np.stack([dual, -dual]), information)
    assert smallest.tolist() == [-0.3, 0.2]
    assert unused.tolist() == [-0.2, 0.0]
    assert lowest_unused(dual, np.diag([1.0, 1.0])) == 0.0


def test_units_of_rows():
    precision = np.array([4.0, 0.25])
    assert row_units(precision, np.array([1, 0, 1])).tolist() == [2.0, 1.0, 2.0]
    many = row_units(np.stack([precision, precision[::-1]]), np.array([[0, 1], [0, 1]]))
    assert many.tolist() == [[1.0, 2.0], [2.0, 1.0]]


def test_pivoted_triangle():
    rows = np.random.default_rng(2).standard_normal((3, 5))
    root, at_row, at_column = pivoted_triangle(rows)
    assert_allclose(root @ root.T, rows @ rows.T, atol=1e-13)
    root[at_row, at_column] = 0.0
    assert not root.any()
    zero, at_row, _ = pivoted_triangle(np.zeros((2, 2)))
    assert not zero.any()
    assert len(at_row) == 3


def test_model():
    model = UnstructuredCovariance(2)
    assert (model.n_parameters, model.n_structured, model.parameters) == (3, 0, ())
    assert model.in_units(np.eye(2)) is model
    change = np.array([[2.0, -0.5], [0.0, 1.5]])
    s = semidefinite(2, 2, 4)
    theta = lower_entries(lower_root(change @ s @ change.T))
    for pivoted in (False, True):
        block = model.at(theta, change, pivoted)
        assert_allclose(block.covariance, s, rtol=1e-12)
        assert_allclose(block.theta(change), theta, rtol=1e-12)
        assert block.n_free == (3 if pivoted else 4)
    assert_allclose(model.start(s).covariance, s)
    singular = model.is_singular(np.array([s, np.ones((2, 2))]), np.zeros((2, 0)))
    assert singular.tolist() == [False, True]


def test_change_of_units():
    model, s = UnstructuredCovariance(3), semidefinite(3, 3, 5)
    back = np.random.default_rng(6).standard_normal((3, 3))
    moved = model.unit_change(back, 0.7) @ lower_entries(s)
    assert_allclose(moved, lower_entries(0.7 * back @ s @ back.T), rtol=1e-12)
