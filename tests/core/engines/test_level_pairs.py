"""Products of two entries of a level, one pair of columns after another."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm.core.engines import level_pairs
from statsmodels_lmm.core.engines.coupling import SparseCoupling
from statsmodels_lmm.core.engines.level_pairs import LevelPairs


def coupling(k, share=0.6, seed=1):
    """A coupling of 6 levels with 5 columns, one level without entries."""
    rng = np.random.default_rng(seed)
    occupied = rng.random((6, 1, 5)) < share
    occupied[2] = False
    values = np.where(occupied, rng.standard_normal((6, k, 5)), 0.0)
    pattern = np.broadcast_to(occupied, values.shape).reshape(-1, 5)
    matrix = sparse.csr_array(pattern.astype(float))
    matrix.data = values.reshape(-1, 5)[pattern]
    return values, matrix


@pytest.mark.parametrize("at_once", [1, 4, 2**18])
@pytest.mark.parametrize(("share", "is_full"), [(0.6, True), (0.2, False)])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_products(k, share, is_full, at_once, monkeypatch):
    monkeypatch.setattr(level_pairs, "AT_ONCE", at_once)
    values, matrix = coupling(k, share)
    pairs = LevelPairs(matrix.indices, matrix.indptr, k, 5)
    found = pairs.products(matrix.data)
    assert pairs.is_full == is_full
    cells = np.arange(25)[pairs.cells]
    assert (np.diff(cells) > 0).all()
    row, column = np.divmod(cells, 5)
    assert is_full or (row >= column).all()
    first = pairs.by_effect(matrix.data)
    levels = np.arange(6)[:, None] == pairs.levels
    assert len(found) == k
    for b, products in enumerate(found):
        for a in range(k):
            of_level = products.toarray() * first[a] @ levels.T
            crossed = values[:, a, row] * values[:, b, column] * (row >= column)
            assert_allclose(of_level, crossed.T, atol=1e-15)


@pytest.mark.parametrize("at_once", [1, 4, 2**18])
@pytest.mark.parametrize("share", [0.6, 0.2])
@pytest.mark.parametrize("k", [1, 2])
def test_through(k, share, at_once, monkeypatch):
    monkeypatch.setattr(level_pairs, "AT_ONCE", at_once)
    values, matrix = coupling(k, share)
    pairs = LevelPairs(matrix.indices, matrix.indptr, k, 5)
    middle = np.random.default_rng(5).standard_normal((5, 5))
    middle = middle + middle.T
    wanted = matrix.copy()
    wanted.data = pairs.through(matrix.data, np.tril(middle))
    occupied = matrix.copy()
    occupied.data[:] = 1.0
    whole = values.reshape(-1, 5) @ middle * occupied.toarray()
    assert_allclose(wanted.toarray(), whole, atol=1e-14)


@pytest.mark.parametrize("share", [0.6, 0.2])
@pytest.mark.parametrize("k", [1, 2])
def test_a_pattern_is_kept(k, share):
    """Other values on the same pattern are as good as a coupling of their own."""
    values, matrix = coupling(k, share)
    pairs = LevelPairs(matrix.indices, matrix.indptr, k, 5)
    rng = np.random.default_rng(4)
    middle, weights = rng.standard_normal((5, 5)), rng.standard_normal((6, k, k))
    middle, weights = middle + middle.T, weights + weights.swapaxes(1, 2)
    for scale in (1.0, 2.5):
        other = matrix.copy()
        other.data = scale * matrix.data
        found = SparseCoupling(other, k, pairs=pairs)
        whole = scale**2 * np.einsum("gai,gab,gbj->ij", values, weights, values)
        assert_allclose(np.tril(found.gram(weights)), np.tril(whole), atol=1e-12)
        levels = scale**2 * values @ middle @ values.swapaxes(1, 2)
        assert_allclose(found.quadratic(np.tril(middle)), levels, atol=1e-12)


def test_how_many_fit():
    _, matrix = coupling(2)
    pairs = LevelPairs(matrix.indices, matrix.indptr, 2, 5)
    sizes = np.diff(matrix.indptr)[::2]
    count = 2 * int((sizes * (sizes + 1) // 2).sum())
    assert pairs.fit(count)
    assert not pairs.fit(count - 1)


def test_no_entries():
    matrix = sparse.csr_array((4, 3))
    found = SparseCoupling(matrix, 1)
    assert not found.gram(np.ones((4, 1, 1))).any()
    assert not found.quadratic(np.eye(3)).any()
