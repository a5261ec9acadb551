"""Products of matrices with few frequent columns, against dense ones."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from statsmodels_lmm.core.algebra import threads
from statsmodels_lmm.core.engines import column_split as module
from statsmodels_lmm.core.engines.column_split import (
    ColumnSplit,
    column_split,
    lower_product,
)


def with_frequent_columns(n=300, q=40, frequent=(3, 17, 39), seed=1):
    """A matrix with some nearly full columns and others with few entries."""
    rng = np.random.default_rng(seed)
    share = np.full(q, 0.03)
    share[list(frequent)] = 0.9
    return sparse.csr_array(rng.standard_normal((n, q)) * (rng.random((n, q)) < share))


@pytest.mark.parametrize("step", [1, 7, 300])
@pytest.mark.parametrize("dense", [(), (3, 17, 39), tuple(range(40))])
def test_gram(dense, step):
    left = with_frequent_columns()
    right = left.copy()
    right.data *= np.repeat(np.linspace(-1.0, 2.0, 300), np.diff(left.indptr))
    rest = np.setdiff1d(np.arange(40), dense)
    split = ColumnSplit(np.array(dense, dtype=int), rest, step)
    wanted = left.toarray().T @ right.toarray()
    found = split.gram(left, right)
    assert_allclose(np.tril(found), np.tril(wanted), rtol=1e-12, atol=1e-13)


def test_threads_change_no_bit(monkeypatch):
    matrix = with_frequent_columns()
    split = ColumnSplit(
        np.array([3, 17, 39]), np.setdiff1d(np.arange(40), [3, 17, 39]), 50
    )
    alone = split.gram(matrix, matrix)
    monkeypatch.setattr(threads, "WORTH", 0.0)
    monkeypatch.setattr(threads, "thread_count", lambda: 3)
    assert_array_equal(split.gram(matrix, matrix), alone)


@pytest.mark.parametrize("q", [1, 5, 9])
def test_few_columns(q):
    matrix = with_frequent_columns(30, q, frequent=[0])
    found = column_split(matrix).gram(matrix, matrix)
    wanted = matrix.toarray().T @ matrix.toarray()
    assert_allclose(np.tril(found), np.tril(wanted), rtol=1e-12, atol=1e-13)


def test_frequent_columns_are_dense(monkeypatch):
    """The cheapest split by the price of each kind of multiplication."""
    matrix = with_frequent_columns(3000, 500, frequent=range(0, 500, 8))
    split = column_split(matrix)
    assert set(range(0, 500, 8)) <= set(split.dense.tolist())
    assert len(split.dense) < 250
    assert sorted([*split.dense, *split.rest]) == list(range(500))
    monkeypatch.setattr(module, "DENSE", 1e3)
    assert not len(column_split(matrix).dense)


def test_no_entries():
    matrix = sparse.csr_array((4, 3))
    assert not column_split(matrix).gram(matrix, matrix).any()


@pytest.mark.parametrize("at_once", [1, 3, 512])
def test_lower_product(at_once, monkeypatch):
    monkeypatch.setattr(module, "ROWS_AT_ONCE", at_once)
    one, other = np.random.default_rng(2).standard_normal((2, 8, 8))
    wanted = ((one + one.T) * (other + other.T)).sum()
    lower = np.tril(one + one.T), np.tril(other + other.T)
    upper = [a + np.triu(np.full((8, 8), 7.0), 1) for a in lower]
    assert lower_product(*upper) == pytest.approx(wanted, rel=1e-13)
