"""Factors by blocks against those of dense matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra import bordered_cholesky
from statsmodels_lmm.core.algebra.bordered_cholesky import (
    DenseCholesky,
    bordered_pattern,
)

SIZE = 900


def scattered(n_groups, n_shared, seed=1):
    """Values of a matrix of groups that are linked through shared columns only."""
    rng = np.random.default_rng(seed)
    group = rng.integers(n_groups, size=SIZE)
    group[rng.choice(SIZE, n_shared, replace=False)] = -1
    linked = (group[:, None] == group) | (group[:, None] < 0) | (group < 0)
    occupied = linked & (rng.random((SIZE, SIZE)) < 0.4) | np.eye(SIZE, dtype=bool)
    values = np.where(occupied, 0.1 * rng.standard_normal((SIZE, SIZE)), 0.0)
    lower = np.tril(values) + 10.0 * np.eye(SIZE)
    cells = np.flatnonzero(np.tril(occupied))
    whole = lower + np.tril(lower, -1).T
    return cells, lower.reshape(-1)[cells], whole + np.eye(SIZE)


@pytest.fixture(scope="module", params=[(24, 40), (40, 0)])
def factor(request):
    """With a border, and with blocks alone."""
    cells, values, whole = scattered(*request.param)
    pattern = bordered_pattern(cells, SIZE)
    return pattern.factorize(values), pattern, cells, whole


def test_blocks(factor):
    """Every column belongs to one block or the border; blocks are not linked."""
    _, pattern, _, whole = factor
    assert len(pattern.blocks) > 1
    assert np.array_equal(np.sort(pattern.order), np.arange(SIZE))
    places = [block.columns for block in pattern.blocks]
    assert [p.start for p in places] == [0, *(p.stop for p in places[:-1])]
    assert pattern.border == slice(places[-1].stop, SIZE)
    ordered = whole[np.ix_(pattern.order, pattern.order)]
    most = bordered_cholesky.LARGEST_BLOCK * SIZE
    for block in pattern.blocks:
        here = ordered[:, block.columns]
        assert here.shape[1] <= most
        linked = np.flatnonzero(here.any(axis=1))
        outside = linked[
            (linked < block.columns.start) | (linked >= block.columns.stop)
        ]
        assert np.array_equal(outside - pattern.border.start, block.rows)


@pytest.mark.parametrize("sizes", [(24, 40), (40, 0)])
def test_blas_has_nothing_to_say(sizes, capfd):
    """It prints, without Python's knowledge, of matrices without columns."""
    cells, values, _ = scattered(*sizes)
    bordered_pattern(cells, SIZE).factorize(values).inverse(whole=False)
    assert capfd.readouterr() == ("", "")


def test_solutions(factor):
    root, _, _, whole = factor
    right = np.random.default_rng(2).standard_normal((SIZE, 3))
    half, wanted = root.half_solve(right), np.linalg.solve(whole, right)
    assert_allclose(half.T @ half, right.T @ wanted, rtol=1e-12, atol=1e-12)
    assert_allclose(root.back_solve(half), wanted, rtol=1e-11, atol=1e-13)
    assert_allclose(root.logdet, np.linalg.slogdet(whole)[1], rtol=1e-13)


def test_inverse(factor):
    root, _, cells, whole = factor
    wanted = np.linalg.inv(whole)
    assert_allclose(root.inverse(whole=True), wanted, rtol=1e-10, atol=1e-13)
    found = root.inverse(whole=False)
    assert_allclose(found.flat[cells], wanted.flat[cells], rtol=1e-10, atol=1e-13)


def test_pivots(factor):
    """A pivot is what a column leaves when those before it are eliminated."""
    root, pattern, _, whole = factor
    order = pattern.order
    dense = np.linalg.cholesky(whole[np.ix_(order, order)])
    assert_allclose(root.pivots()[order], np.diagonal(dense) ** 2, rtol=1e-11)


def test_not_positive_definite():
    cells, values, _ = scattered(24, 40)
    pattern = bordered_pattern(cells, SIZE)
    for part in (pattern.blocks[0].columns, pattern.border):
        column = pattern.order[part][-1]
        wrong = np.where(cells == column * (SIZE + 1), -2.0, values)
        with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
            pattern.factorize(wrong)


def test_dense_matrices():
    """Dense matrices, and those without blocks, are factorized as a whole."""
    cells, _, _ = scattered(1, 0)
    assert len(cells) < bordered_cholesky.SPARSE * SIZE**2 / 2
    assert bordered_pattern(cells, SIZE) is None
    assert bordered_pattern(np.flatnonzero(np.tri(SIZE)), SIZE) is None


@pytest.mark.parametrize("batch", [(), (2,)])
def test_dense_factor(batch):
    """The same methods, with batch axes."""
    rng = np.random.default_rng(3)
    half = rng.standard_normal((*batch, 6, 6))
    whole = half @ half.swapaxes(-1, -2) + np.eye(6)
    root = DenseCholesky(np.linalg.cholesky(whole))
    right = rng.standard_normal((*batch, 6, 2))
    wanted = np.linalg.solve(whole, right)
    assert_allclose(root.back_solve(root.half_solve(right)), wanted, rtol=1e-10)
    assert_allclose(root.logdet, np.linalg.slogdet(whole)[1], rtol=1e-12)
    assert_allclose(np.log(root.pivots()).sum(axis=-1), root.logdet, rtol=1e-12)
    inverse = np.linalg.inv(whole)
    assert_allclose(root.inverse(whole=True), inverse, rtol=1e-9, atol=1e-12)
    found = np.tril(root.inverse(whole=False))
    assert_allclose(found, np.tril(inverse), rtol=1e-9, atol=1e-12)
