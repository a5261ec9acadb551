from dataclasses import replace

import numpy as np
import pytest

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums
from statsmodels_lmm.core.rows.summed_rows import SummedRows


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_are_those_of_shifted_and_weighted_columns(weighted):
    rng, n = np.random.default_rng(1), 50
    x, z = rng.normal(5.0, 1.0, n), rng.normal(-3.0, 1.0, (n, 3))
    exog = np.column_stack([np.full(n, 2.0), x])
    y, w = rng.normal(9.0, 1.0, n), rng.uniform(0.5, 3.0, n)
    codes = np.arange(n) % 6
    effects = np.column_stack([z[:, 0], np.ones(n), z[:, 1:]])
    terms = [GroupedEffects(codes, 6, effects, (2, 2))]
    found = SummedRows.of(y, exog, terms, w if weighted else None)
    assert found.has_weights == weighted
    expected = np.log(w).sum() if weighted else 0.0
    np.testing.assert_allclose(found.log_weights, expected)
    np.testing.assert_allclose(found.shift, [0.0, x.mean(), y.mean()])
    np.testing.assert_allclose(found.effect_shifts[0], [z[:, 0].mean(), 0.0, 0.0, 0.0])
    assert found.constants == ((1, None),)
    root = np.sqrt(w)[:, None] if weighted else np.ones((n, 1))
    columns = np.column_stack([np.ones(n), exog - [0.0, x.mean()], y - y.mean()]) * root
    np.testing.assert_allclose(
        found.triangle.T @ found.triangle, columns.T @ columns, atol=1e-10
    )
    assert not np.tril(found.triangle, -1).any()
    moved = terms[0].at(codes, (effects - found.effect_shifts[0]) * root)
    expected = PairSums.of([moved], Rows(None, columns))
    np.testing.assert_allclose(found.sums.level_sums[0], expected.level_sums[0])
    np.testing.assert_allclose(found.sums.diagonal[0], expected.diagonal[0])
    assert found.terms[0].n_rows == 0
    assert found.terms[0].blocks == (2, 2)
    plain = found.unweighted
    alone = SummedRows.of(y, exog, terms)
    np.testing.assert_allclose(plain.triangle, alone.triangle, atol=1e-12)
    centered = effects - found.effect_shifts[0]
    moments = centered.T @ centered
    np.testing.assert_allclose(plain.effect_moments[0], moments, atol=1e-11)
    expected = (1 / w).sum() if weighted else n
    np.testing.assert_allclose(plain.inverse_weights, expected)


def test_weighted_sums_alone_do_not_tell_the_unweighted_ones():
    exog, y = np.ones((4, 1)), np.arange(4.0)
    terms = [GroupedEffects(np.arange(4) % 2, 2, np.ones((4, 1)), (1,))]
    found = SummedRows.of(y, exog, terms, np.arange(1.0, 5.0))
    assert replace(found, plain=None).unweighted is None


def test_fewer_rows_than_columns_have_a_square_triangle():
    exog = np.eye(2)
    terms = [GroupedEffects(np.arange(2), 2, np.ones((2, 1)), (1,))]
    found = SummedRows.of(np.ones(2), exog, terms)
    assert found.triangle.shape == (4, 4)


def test_rows_per_level():
    codes = np.array([0, 0, 1, 2, 2, 2])
    y, exog = np.arange(6.0), np.ones((6, 1))
    ones = GroupedEffects(codes, 3, np.column_stack([y, exog]), (1, 1))
    slopes = GroupedEffects(codes, 3, y[:, None], (1,))
    found = SummedRows.of(y, exog, [ones, slopes])
    assert found.rows_per_level(0).tolist() == [2, 1, 3]
    assert found.rows_per_level(1) is None
    assert SummedRows.of(y, exog, [ones], y + 1.0).rows_per_level(0) is None


def of_parts(weighted, columns=(0, 1, 2), parts=((0, (0, 1, 2)), (1, (0,)))):
    rng, n = np.random.default_rng(4), 60
    exog = np.column_stack([np.ones(n), rng.normal(3.0, 1.0, (n, 2))])
    z = np.column_stack([rng.normal(2.0, 1.0, n), np.ones(n), rng.standard_normal(n)])
    terms = [
        GroupedEffects(rng.permutation(np.arange(n) % 7), 7, z, (2, 1)),
        GroupedEffects(np.arange(n) % 5, 5, z[:, 1:2], (1,)),
    ]
    y, w = rng.standard_normal(n), rng.uniform(0.5, 2.0, n)
    kept = []
    for i, effects_kept in parts:
        effects = terms[i].effects[:, list(effects_kept)]
        inside = [
            [j for j in effects_kept if s.start <= j < s.stop]
            for s in terms[i].block_slices
        ]
        sizes = tuple(len(part) for part in inside if part)
        kept.append(GroupedEffects(terms[i].codes, terms[i].n_levels, effects, sizes))
    return SummedRows.of(y, exog[:, list(columns)], kept, w if weighted else None)


def assert_same(one, other):
    close = {"atol": 1e-11}
    np.testing.assert_allclose(np.abs(one.triangle), np.abs(other.triangle), **close)
    assert all(f.n_rows == 0 for f in one.terms)
    np.testing.assert_allclose(one.shift, other.shift)
    assert one.constants == other.constants
    assert [f.blocks for f in one.terms] == [f.blocks for f in other.terms]
    plain, given = one.unweighted, other.unweighted
    np.testing.assert_allclose(np.abs(plain.triangle), np.abs(given.triangle), **close)
    assert plain.inverse_weights == pytest.approx(given.inverse_weights)
    for i in range(len(one.terms)):
        np.testing.assert_allclose(one.effect_shifts[i], other.effect_shifts[i])
        np.testing.assert_allclose(
            plain.effect_moments[i], given.effect_moments[i], **close
        )
        np.testing.assert_allclose(
            one.sums.level_sums[i], other.sums.level_sums[i], **close
        )
        np.testing.assert_allclose(
            one.sums.diagonal[i], other.sums.diagonal[i], **close
        )
    assert one.sums.links.keys() == other.sums.links.keys()
    for pair, link in one.sums.links.items():
        np.testing.assert_allclose(link.blocks, other.sums.links[pair].blocks, **close)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [(0, 2), (1,), ()])
def test_some_of_the_columns(weighted, columns):
    found = of_parts(weighted).with_columns(columns)
    assert_same(found, of_parts(weighted, columns))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "parts",
    [((0, (0,)),), ((0, (1,)), (1, (0,))), ((1, (0,)),), ((1, (0,)), (0, (1,)))],
)
def test_some_of_the_effects(weighted, parts):
    found = of_parts(weighted).with_effects(parts)
    assert_same(found, of_parts(weighted, parts=parts))
