"""Factors of one or several covariance blocks."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import block_diag

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.structures.correlated import AutoRegressive, CompoundSymmetry
from statsmodels_lmm.core.structures.relative_factor import (
    RelativeFactor,
    block_diagonal,
    factor_at,
    full_factor,
    generic_factor,
    pivoted_factor,
    split_step,
    starting_factor,
    structured_parameters,
)
from statsmodels_lmm.core.structures.roots import SINGULAR
from statsmodels_lmm.core.structures.structured_block import (
    StructuredBlock,
    StructuredCovariance,
)
from statsmodels_lmm.core.structures.unstructured_block import (
    UnstructuredBlock,
    UnstructuredCovariance,
)

EFFECTS = ("a", "b", "c")
UNIT = np.array([2.0, 0.5, 1.25])


def symmetric(seed, k=3):
    matrix = np.random.default_rng(seed).standard_normal((k, k))
    return matrix + matrix.T


# unstructured blocks --------------------------------------------------------


def test_pivoted_factor():
    s = np.diag([1.0, 4.0, 9.0]) + 0.5
    s[2, :2] = s[:2, 2] = 0.0
    factor = pivoted_factor(s, [slice(0, 2), slice(2, 3)])
    # the larger variance first; entries below its pivots are free
    assert factor.matrix[1, 0] == pytest.approx(np.sqrt(4.5))
    assert factor.matrix[1, 1] == 0.0
    entries = {(1, 0), (0, 0), (0, 1), (2, 2)}
    assert_allclose(factor.covariance, s, atol=1e-14)
    step = np.array([0.1, 0.2, 0.3, 0.4])
    changed = factor.moved(step).matrix - factor.matrix
    assert set(zip(*np.nonzero(changed))) == entries
    assert_allclose(np.sort(changed[changed != 0.0]), step)


def test_small_pivots_become_zero():
    s = np.diag([1.0, 1e-12])
    assert pivoted_factor(s, [slice(0, 2)], 1e-5).matrix[1].tolist() == [0.0, 0.0]
    assert pivoted_factor(s, [slice(0, 2)]).matrix[1, 1] == pytest.approx(1e-6)
    blocks = [slice(0, 1), slice(1, 2)]
    assert pivoted_factor(s, blocks, 1e-5).matrix[1, 1] == 0.0


def test_full_factor():
    factor = full_factor(np.eye(3), [slice(0, 2), slice(2, 3)])
    assert factor.n_free == 5
    assert factor.slices == (slice(0, 2), slice(2, 3))


def test_one_block_is_the_factor():
    """Nothing is copied where there is nothing to put together."""
    s, dual = symmetric(1) + 6 * np.eye(3), symmetric(2)
    factor = pivoted_factor(s, [slice(0, 3)])
    (block,) = factor.blocks
    assert factor.matrix is block.matrix
    assert factor.covariance is block.covariance
    assert factor.directions is block.directions
    assert_array_equal(factor.slope(dual), block.slope(dual))


SLICES = [slice(0, 2), slice(2, 3)]


def many_values(seeds):
    roots = [np.random.default_rng(seed).standard_normal((3, 3)) for seed in seeds]
    s = np.array([r @ r.T for r in roots])
    s[:, 2, :2] = s[:, :2, 2] = 0.0
    return s


def test_many_values_at_once():
    rng, s = np.random.default_rng(0), many_values(range(4))
    many = pivoted_factor(s, SLICES)
    assert_allclose(many.covariance, s, atol=1e-13)
    dual = np.array([symmetric(i) for i in range(4)])
    step, precision = rng.standard_normal((4, 4)), rng.uniform(0.1, 2.0, (4, 3))
    for i in range(4):
        one = many.take(i)
        assert_array_equal(one.matrix, many.matrix[i])
        assert_array_equal(one.directions, many.directions[i])
        assert_allclose(many.slope(dual)[i], one.slope(dual[i]), atol=1e-13)
        assert_allclose(many.curvature(dual)[i], one.curvature(dual[i]), atol=1e-13)
        assert_allclose(many.units(precision)[i], one.units(precision[i]))
        moved = many.moved(step).matrix[i]
        assert_allclose(moved, one.moved(step[i]).matrix, atol=1e-15)


def test_choices_among_many_values():
    old, new = (
        pivoted_factor(many_values(seeds), SLICES) for seeds in (range(3), range(3, 6))
    )
    chosen = old.where(np.array([False, True, False]), new)
    assert_array_equal(chosen.matrix[1], new.matrix[1])
    assert_array_equal(chosen.matrix[[0, 2]], old.matrix[[0, 2]])
    step = 0.1 * np.ones((3, 4))
    expected = np.where([[[False]], [[True]], [[False]]], new.moved(step).matrix, 0.0)
    assert_array_equal(chosen.moved(step).matrix[1], expected[1])
    assert_array_equal(old.take([2, 0]).covariance, old.covariance[[2, 0]])
    again = old.take(1).broadcast(4)
    assert again.moved(np.zeros((4, 4))).matrix.shape == (4, 3, 3)
    assert_array_equal(old.broadcast(3).matrix, old.matrix)


def test_block_diagonal():
    parts = [np.ones((2, 1, 3)), 2.0 * np.ones((2, 2, 0)), 3.0 * np.ones((2, 1, 1))]
    expected = block_diag(*(p[1] for p in parts))
    assert_array_equal(block_diagonal(parts)[1], expected)


def test_steps_of_blocks():
    factor = pivoted_factor(np.eye(3), SLICES)
    step = np.arange(6.0)
    parts = split_step(step, [*factor.blocks])
    assert [p.tolist() for p in parts] == [[0.0, 1.0, 2.0], [3.0]]
    assert split_step(step, []) == []


def test_pickles_of_one_matrix():
    """A factor was once L and the places of its free parameters."""
    factor = pivoted_factor(many_values([1])[0], SLICES)
    rows = [b.rows + s.start for b, s in zip(factor.blocks, factor.slices)]
    columns = [b.columns + s.start for b, s in zip(factor.blocks, factor.slices)]
    state = {
        "matrix": factor.matrix,
        "rows": np.concatenate(rows),
        "columns": np.concatenate(columns),
        "slices": tuple(SLICES),
        "selection": None,
    }
    again = pickle.loads(pickle.dumps(factor))
    assert_array_equal(again.matrix, factor.matrix)
    one, several = (object.__new__(RelativeFactor) for _ in range(2))
    one.__setstate__(state)
    assert_array_equal(one.matrix, factor.matrix)
    step = np.arange(4.0)
    assert_array_equal(one.moved(step).matrix, factor.moved(step).matrix)
    structured = StructuredCovariance(AutoRegressive(True), ("u", "v")).block(
        [0.7, 0.1]
    )
    several.__setstate__({"parts": (one, structured), "matrix": np.eye(5)})
    assert len(several.blocks) == 3
    assert_array_equal(several.matrix, block_diag(factor.matrix, structured.matrix))


# several blocks -------------------------------------------------------------


def mixed():
    """An unstructured block of two effects beside two with a structure."""
    lower = np.array([[0.8, 0.0], [0.3, 0.5]])
    free = pivoted_factor(lower @ lower.T, [slice(0, 2)])
    cs = StructuredCovariance(CompoundSymmetry(False), EFFECTS).block(
        [0.4, 0.6, 0.9, 0.3]
    )
    ar = StructuredCovariance(AutoRegressive(True), ("u", "v")).block([0.7, -0.4])
    return lower, RelativeFactor((*free.blocks, cs, ar))


def test_several_blocks():
    lower, factor = mixed()
    cs = CompoundSymmetry(False).covariance([0.4, 0.6, 0.9, 0.3], 3)
    ar = AutoRegressive(True).covariance([0.7, -0.4], 2)
    expected = block_diag(lower @ lower.T, cs, ar)
    assert_allclose(factor.covariance, expected, atol=1e-14)
    assert_allclose(factor.matrix @ factor.matrix.T, expected, atol=1e-14)
    assert factor.slices == (slice(0, 2), slice(2, 5), slice(5, 7))
    assert factor.n_free == 3 + 4 + 2
    assert_allclose(factor.structured_theta, [0.4, 0.6, 0.9, 0.3, 0.7, -0.4])
    back = block_diag([[1.0, -2.0], [0.0, 3.0]], np.eye(5))
    root = np.linalg.cholesky(back[:2, :2] @ lower @ lower.T @ back[:2, :2].T)
    theta = factor.theta(back)
    assert_allclose(theta[:3], [root[0, 0], root[1, 0], root[1, 1]], rtol=1e-12)
    assert_allclose(theta[3:], factor.structured_theta, rtol=1e-14)
    assert_array_equal(structured_parameters([factor, factor]), np.tile(theta[3:], 2))


def test_derivatives_of_several_blocks():
    _, factor = mixed()
    dual, h = symmetric(5, 7), 1e-5
    steps = h * np.eye(factor.n_free)

    def value(step):
        return (dual * factor.moved(step).covariance).sum()

    first = [(value(s) - value(-s)) / (2 * h) for s in steps]
    assert_allclose(factor.slope(dual), first, atol=1e-7)
    along = [(dual * d).sum() for d in factor.directions]
    assert_allclose(along, first, atol=1e-7)
    slopes = [
        (factor.moved(s).slope(dual) - factor.moved(-s).slope(dual)) / (2 * h)
        for s in steps
    ]
    assert_allclose(factor.curvature(dual), slopes, atol=1e-6)


def test_verbs_of_several_blocks():
    _, factor = mixed()
    assert factor.snapped() is factor
    assert (factor.nothing().covariance == 0.0).all()
    lifted = factor.nothing().lifted(0.1)
    assert np.linalg.eigvalsh(lifted.covariance)[0] > SINGULAR**2
    step = 0.05 * np.random.default_rng(0).standard_normal(9)
    assert_allclose(
        factor.stepped(step).covariance, factor.moved(step).covariance, atol=1e-12
    )
    smallest, unused = factor.certificates(np.eye(7), np.eye(7))
    assert len(smallest) == 3
    assert min(unused) == 0.0


def test_parameters_of_several_blocks():
    _, factor = mixed()
    dual, inner = symmetric(5, 7), symmetric(6, 7)
    n = factor.n_parameters
    assert n == 3 + 4 + 2
    for joined, of_block in (
        (factor.bend(dual), lambda b, g: b.bend(g)),
        (factor.theta_jacobian(dual), lambda b, g: b.theta_jacobian(g)),
    ):
        pairs = zip(factor.blocks, factor.slices)
        assert_array_equal(
            joined, block_diag(*(of_block(b, dual[s, s]) for b, s in pairs))
        )
    changes = factor.unit_changes(1.0)
    assert changes.shape == (n, 7, 7)
    assert_allclose(
        factor.traces(inner), (changes * inner).sum(axis=(1, 2)), rtol=1e-12
    )
    own = np.tensordot(factor.scale_slopes(), changes, 1)
    assert_allclose(own[:2, :2], factor.covariance[:2, :2])
    assert not own[2:].any()
    generic = generic_factor(grouped((2, 3), (UnstructuredCovariance(2), CS)))
    assert generic.n_parameters == 3 + 4


CS = StructuredCovariance(CompoundSymmetry(False), EFFECTS, UNIT)


def grouped(blocks, structures):
    rng = np.random.default_rng(2)
    codes, k = np.arange(20) % 5, sum(blocks)
    return GroupedEffects(codes, 5, rng.standard_normal((20, k)), blocks, structures)


def test_factor_from_theta_and_back():
    cs = StructuredCovariance(CompoundSymmetry(False), EFFECTS, UNIT)
    factor = grouped((2, 3), (UnstructuredCovariance(2), cs))
    back = block_diag([[2.0, -0.5], [0.0, 1.5]], np.diag(UNIT))
    theta = np.array([0.9, -0.2, 0.4, 1.0, 0.5, 0.8, 0.3])
    lower = np.array([[0.9, 0.0], [-0.2, 0.4]])
    own = CompoundSymmetry(False).covariance(theta[3:], 3)
    expected = block_diag(lower @ lower.T, own)
    for pivoted in (False, True):
        found = factor_at(factor, theta, back, pivoted)
        assert isinstance(found.blocks[0], UnstructuredBlock)
        assert isinstance(found.blocks[1], StructuredBlock)
        assert_allclose(back @ found.covariance @ back.T, expected, atol=1e-13)
        assert_allclose(found.theta(back), theta, rtol=1e-12)


def test_start_of_a_factor():
    cs = StructuredCovariance(CompoundSymmetry(False), EFFECTS, UNIT)
    covariance = block_diag([[1.0, 0.2], [0.2, 0.5]], symmetric(3) + 6 * np.eye(3))
    found = starting_factor(
        grouped((2, 3), (UnstructuredCovariance(2), cs)), covariance
    )
    assert_allclose(found.covariance[:2, :2], covariance[:2, :2], atol=1e-14)
    assert_allclose(np.diag(found.covariance), np.diag(covariance), rtol=1e-12)
    plain = starting_factor(grouped((2, 3), ()), covariance)
    assert all(isinstance(b, UnstructuredBlock) for b in plain.blocks)
