"""Sums over levels with equal weights are formed once, and are those of all levels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm.core.engines import equal_weights
from statsmodels_lmm.core.engines.column_split import column_split
from statsmodels_lmm.core.engines.coupling import SparseCoupling
from statsmodels_lmm.core.engines.equal_weights import EqualWeights

RNG = np.random.default_rng(4)
L, Q = 400, 12
MATRIX = sparse.random_array((L, Q), density=0.3, rng=RNG, format="csr")
SIZES = RNG.choice([1, 2, 5, 9], L, p=[0.1, 0.2, 0.3, 0.4])


def coupling():
    """A coupling that forms its products afresh each time."""
    return SparseCoupling(MATRIX, 1, max_pairs=0)


def assert_is_sum(found, weights, matrix=MATRIX):
    dense = matrix.toarray()
    expected = dense.T @ (weights[:, None] * dense)
    assert_allclose(np.tril(found), np.tril(expected), atol=1e-13)


def without_products(monkeypatch, allowed):
    """Products of sparse matrices may be formed of so many rows from now on."""
    split = type(column_split(MATRIX))
    gram = split.gram

    def few(self, left, right):
        assert left.shape[0] <= allowed
        return gram(self, left, right)

    monkeypatch.setattr(split, "gram", few)


def test_products_are_formed_once(monkeypatch):
    ours = coupling()
    assert_is_sum(ours.gram((1.0 / SIZES)[:, None, None]), 1.0 / SIZES)
    without_products(monkeypatch, 0)
    for weights in (1.0 / (SIZES + 0.3), SIZES / (2.0 + SIZES) ** 2, 0.0 * SIZES):
        assert_is_sum(ours.gram(weights[:, None, None]), weights)
    weights = 1.0 / (1.0 + SIZES) * (1.0 + 2e-16 * RNG.choice([-1, 1], L))
    assert_is_sum(ours.gram(weights[:, None, None]), weights)


def test_the_smallest_classes_are_not_kept(monkeypatch):
    monkeypatch.setattr(equal_weights, "MOST", 16 * Q**2)
    ours = coupling()
    assert_is_sum(ours.gram((1.0 / SIZES)[:, None, None]), 1.0 / SIZES)
    without_products(monkeypatch, np.count_nonzero(SIZES < 5))
    assert_is_sum(ours.gram((1.0 / SIZES)[:, None, None]), 1.0 / SIZES)


def test_classes_follow_the_weights():
    ours = coupling()
    equal = np.ones(L)
    for weights in (equal, 1.0 / SIZES, RNG.random(L), equal, SIZES / 3.0):
        assert_is_sum(ours.gram(weights[:, None, None]), weights)


def test_other_couplings_have_classes_of_their_own():
    ours, weights = coupling(), 1.0 / SIZES
    ours.gram(weights[:, None, None])
    twice = ours + ours
    assert_is_sum(twice.gram(weights[:, None, None]), weights, 2.0 * MATRIX)


def test_numbers_of_rows_take_little_space():
    counts = MATRIX.copy()
    counts.data = RNG.integers(1, 40, len(counts.data)).astype(float)
    known = EqualWeights.of(counts, 1.0 / SIZES, column_split(counts))
    assert {gram.dtype for gram in known.grams} <= {np.dtype("i2"), np.dtype("i4")}
    assert_is_sum(known.gram(counts, 1.0 / SIZES), 1.0 / SIZES, counts)
    known = EqualWeights.of(MATRIX, 1.0 / SIZES, column_split(MATRIX))
    assert {gram.dtype for gram in known.grams} == {np.dtype(float)}


@pytest.mark.parametrize("weights", [RNG.random(L), np.repeat(RNG.random(L // 2), 2)])
def test_different_weights_have_no_classes(weights, monkeypatch):
    monkeypatch.setattr(equal_weights, "MOST", 400 * Q**2)
    assert EqualWeights.of(MATRIX, weights, column_split(MATRIX)) is None
