"""Sums of batches equal those of all rows, in any order and about any shift."""

import numpy as np
import pytest

from statsmodels_lmm.core.rows.growing_links import (
    changed,
    linked_blocks,
    links_of,
    pushed,
    renumbered,
    total,
)
from statsmodels_lmm.core.rows.growing_sums import GrowingSums, shift_of_effects

RNG = np.random.default_rng(5)
N, LEVELS = 90, (7, 11)
COLUMNS = np.column_stack([np.ones(N), RNG.normal(size=(N, 3)) + [3.0, 0.0, 50.0]])
CODES = [np.sort(RNG.integers(0, count, N)) for count in LEVELS]
EFFECTS = [np.column_stack([np.ones(N), RNG.normal(size=N) + 4.0]), np.ones((N, 1))]
NONE = [np.zeros(2), np.zeros(1)]
WEIGHTS = RNG.uniform(0.5, 2.0, N)
INTERCEPT = np.array([0, 0])


def sums_of(rows, weights=None, shifts=NONE, columns=COLUMNS):
    """Sums over rows, with as many levels as they have seen."""
    codes = [c[rows] for c in CODES]
    levels = [c.max() + 1 for c in codes]
    weights = None if weights is None else weights[rows]
    effects = [e[rows] for e in EFFECTS]
    return GrowingSums.of(columns[rows], codes, levels, effects, shifts, weights)


def assert_same(one, other, atol=1e-12):
    assert one.nobs == other.nobs
    gram = [sums.triangle.T @ sums.triangle for sums in (one, other)]
    np.testing.assert_allclose(*gram, rtol=1e-12, atol=atol)
    pairs = zip(
        (*one.level_sums, *one.diagonal, one.lowest, one.highest, one.log_weights),
        (*other.level_sums, *other.diagonal, other.lowest, other.highest)
        + (other.log_weights,),
    )
    for left, right in pairs:
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=atol)
    for left, right in zip(one.ones, other.ones):
        np.testing.assert_array_equal(left, right)
    assert (one.plain is None) == (other.plain is None)
    if one.plain is not None:
        (r, moments, inverse), (s, others, inverses) = one.plain, other.plain
        np.testing.assert_allclose(r.T @ r, s.T @ s, rtol=1e-12, atol=atol)
        assert inverse == pytest.approx(inverses, rel=1e-13)
        for left, right in zip(moments, others):
            np.testing.assert_allclose(left, right, rtol=1e-12, atol=atol)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_sums_are_those_of_dense_matrices(weights):
    sums, effects = sums_of(slice(None), weights)
    root = np.ones(N) if weights is None else np.sqrt(weights)
    whole = COLUMNS * root[:, None]
    for codes, count, e, given, s, d in zip(
        CODES, LEVELS, EFFECTS, effects, sums.level_sums, sums.diagonal
    ):
        np.testing.assert_allclose(given, e * root[:, None])
        for level in range(count):
            rows = codes == level
            np.testing.assert_allclose(s[level], given[rows].T @ whole[rows])
            np.testing.assert_allclose(d[level], given[rows].T @ given[rows])
    np.testing.assert_allclose(sums.triangle.T @ sums.triangle, whole.T @ whole)
    assert sums.log_weights == (0.0 if weights is None else np.log(weights).sum())
    np.testing.assert_array_equal(sums.lowest, COLUMNS.min(axis=0))
    np.testing.assert_array_equal(sums.highest, COLUMNS.max(axis=0))
    assert [o.tolist() for o in sums.ones] == [[True, False], [True]]
    if weights is None:
        assert sums.plain is None
        return
    triangle, moments, inverse = sums.plain
    np.testing.assert_allclose(triangle.T @ triangle, COLUMNS.T @ COLUMNS)
    for e, moment in zip(EFFECTS, moments):
        np.testing.assert_allclose(moment, e.T @ e)
    assert inverse == pytest.approx((1.0 / WEIGHTS).sum())


@pytest.mark.parametrize("size", [1, 7, N])
def test_sums_of_batches_add_up(size):
    parts = [sums_of(slice(i, i + size), WEIGHTS)[0] for i in range(0, N, size)]
    added = parts[0]
    for part in parts[1:]:
        added = added.plus(part)
    assert_same(added, sums_of(slice(None), WEIGHTS)[0])
    backwards = parts[-1]
    for part in parts[-2::-1]:
        backwards = backwards.plus(part)
    assert_same(added, backwards)


def test_a_column_that_is_once_not_one_is_no_column_of_ones():
    effects = [np.ones((2, 1)), np.array([[1.0], [2.0]])]
    none = np.zeros(2, dtype=int)
    parts = [
        GrowingSums.of(np.ones((2, 2)), [none], [1], [e], [np.zeros(1)])[0]
        for e in effects
    ]
    assert parts[0].plus(parts[0]).ones[0].all()
    assert not parts[0].plus(parts[1]).ones[0].any()


def test_shifts_change_nothing_but_the_origin():
    by = np.array([0.0, 2.0, -1.0, 30.0])
    before, after = np.array([0.0, 1.5]), np.array([0.0, 4.0])
    shifted, _ = sums_of(slice(None), WEIGHTS, [before, NONE[1]], COLUMNS - by)
    changes = [shift_of_effects(before, after, INTERCEPT), np.eye(1)]
    moved = shifted.moved(by, changes)
    assert_same(moved, sums_of(slice(None), WEIGHTS, [after, NONE[1]])[0], 1e-10)
    np.testing.assert_allclose(np.tril(moved.triangle, -1), 0.0)


def test_an_effect_without_intercept_keeps_its_place():
    same = shift_of_effects(np.zeros(2), np.zeros(2), np.array([-1, -1]))
    np.testing.assert_array_equal(same, np.eye(2))


def test_levels_are_numbered_anew():
    sums, _ = sums_of(slice(None))
    orders = [RNG.permutation(count + 1)[:count] for count in LEVELS]
    placed = sums.numbered(orders, [count + 1 for count in LEVELS])
    for order, old, new in zip(orders, sums.level_sums, placed.level_sums):
        np.testing.assert_array_equal(new[order], old)
        absent = np.setdiff1d(np.arange(len(new)), order)
        assert not new[absent].any()
    for order, old, new in zip(orders, sums.diagonal, placed.diagonal):
        np.testing.assert_array_equal(new[order], old)


# links --------------------------------------------------------------------


def dense(codes, count, effects):
    """The model matrix of a term."""
    z = np.zeros((len(codes), count * effects.shape[1]))
    for j, column in enumerate(effects.T):
        z[np.arange(len(codes)), codes * effects.shape[1] + j] = column
    return z


def term(i, rows=slice(None)):
    codes = CODES[i][rows]
    return codes, int(codes.max()) + 1, EFFECTS[i][rows]


CROSS = dense(*term(0)).T @ dense(*term(1))


def test_links_are_cross_products():
    links = links_of(term(0), term(1))
    assert links.has_sorted_indices
    np.testing.assert_allclose(links.toarray(), CROSS)
    alone = links_of(term(1), term(1))
    np.testing.assert_allclose(
        alone.toarray(), dense(*term(1)).T @ dense(*term(1)), rtol=1e-14
    )


@pytest.mark.parametrize("size", [1, 7, N])
def test_links_of_batches_add_up(size):
    pending: tuple = ()
    for i in range(0, N, size):
        rows = slice(i, i + size)
        pending = pushed(pending, links_of(term(0, rows), term(1, rows)))
        counts = [part.nnz for part in pending]
        assert all(a > 2 * b for a, b in zip(counts, counts[1:]))
    before = [part.shape for part in pending]
    np.testing.assert_allclose(total(pending).toarray(), CROSS)
    assert [part.shape for part in pending] == before


def test_links_with_other_numbers_of_levels():
    links = links_of(term(0), term(1))
    first, second = RNG.permutation(9)[:7], RNG.permutation(11)
    placed = renumbered(links, (2, 1), first, second, (9, 11))
    assert placed.has_sorted_indices
    expected = np.zeros((9, 2, 11))
    expected[first[:, None], :, second] = CROSS.reshape(7, 2, 11).transpose(0, 2, 1)
    np.testing.assert_allclose(placed.toarray(), expected.reshape(18, 11))
    same = renumbered(links, (2, 1), np.arange(7), np.arange(11), (7, 11))
    np.testing.assert_array_equal(same.toarray(), links.toarray())


def test_links_that_grew_are_numbered_with_the_levels_of_later_batches():
    links = links_of((CODES[0][:5], 3, np.ones((5, 1))), term(1, slice(5)))
    first, second = RNG.permutation(7), RNG.permutation(11)
    placed = renumbered(links, (1, 1), first, second, (7, 11)).toarray()
    n_second = links.shape[1]
    back = placed[first][:, second][: links.shape[0], :n_second]
    np.testing.assert_array_equal(back, links.toarray())


def test_blocks_of_links():
    blocks = linked_blocks(links_of(term(0), term(1)), (2, 1))
    assert blocks.blocks.shape[1:] == (2, 1)
    assert blocks.first.dtype == blocks.second.dtype == np.int32
    np.testing.assert_allclose(blocks.matrix(*LEVELS).toarray(), CROSS)
    pairs = list(zip(blocks.first.tolist(), blocks.second.tolist()))
    assert pairs == sorted(set(pairs))
    alone = linked_blocks(links_of(term(1), term(1)), (1, 1))
    np.testing.assert_array_equal(alone.first, alone.second)
    np.testing.assert_array_equal(
        alone.blocks[:, 0, 0], np.bincount(CODES[1])[np.bincount(CODES[1]) > 0]
    )


def test_links_of_changed_effects():
    links = links_of(term(0), term(1))
    left, right = RNG.normal(size=(2, 2)), RNG.normal(size=(1, 1))
    found = changed(links, left, right)
    every = np.kron(np.eye(7), left).T @ CROSS @ np.kron(np.eye(11), right)
    np.testing.assert_allclose(found.toarray(), every, rtol=1e-12, atol=1e-12)
    assert changed(links, np.eye(2), np.eye(1)) is links
