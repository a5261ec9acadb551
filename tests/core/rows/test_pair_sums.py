import numpy as np
import pytest

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums


@pytest.fixture
def design():
    rng = np.random.default_rng(1)
    n = 60
    terms = [
        GroupedEffects(rng.permutation(np.arange(n) % size), size, effects, blocks)
        for size, effects, blocks in (
            (7, rng.standard_normal((n, 2)), (2,)),
            (5, np.ones((n, 1)), (1,)),
            (9, rng.standard_normal((n, 3)), (1, 2)),
        )
    ]
    return terms, rng.standard_normal((n, 4))


def assert_sums_of(sums, terms, columns):
    z = [term.indicator().toarray() for term in terms]
    np.testing.assert_allclose(sums.gram, columns.T @ columns, atol=1e-12)
    for term, matrix, level_sums, squares in zip(
        terms, z, sums.level_sums, sums.diagonal
    ):
        flat = level_sums.reshape(-1, columns.shape[1])
        np.testing.assert_allclose(flat, matrix.T @ columns, atol=1e-12)
        whole = (matrix.T @ matrix).reshape(*squares.shape[:2], *squares.shape[::2][:2])
        at = np.arange(term.n_levels)
        np.testing.assert_allclose(squares, whole[at, :, at], atol=1e-12)
    for (i, j), link in sums.links.items():
        found = link.matrix(terms[i].n_levels, terms[j].n_levels)
        assert found.has_sorted_indices
        np.testing.assert_allclose(found.toarray(), z[i].T @ z[j], atol=1e-12)
        assert link.shape == (terms[i].k_effects, terms[j].k_effects)
        key = link.first.astype(int) * terms[j].n_levels + link.second
        assert (np.diff(key) > 0).all()


def test_sums_are_cross_products(design):
    terms, columns = design
    sums = PairSums.of(terms, Rows(None, columns))
    assert sums.nobs == len(columns)
    assert_sums_of(sums, terms, columns)


def test_a_change_of_columns_is_a_change_of_the_sums(design):
    terms, columns = design
    rng = np.random.default_rng(2)
    fixed = rng.standard_normal((4, 3))
    changes = [rng.standard_normal((f.k_effects,) * 2) for f in terms]
    moved = [f.at(f.codes, f.effects @ c) for f, c in zip(terms, changes)]
    found = PairSums.of(terms, Rows(None, columns)).changed(fixed, changes)
    assert_sums_of(found, moved, columns @ fixed)


def test_terms_and_levels_in_another_order(design):
    terms, columns = design
    rng, order = np.random.default_rng(3), (2, 0, 1)
    relabel = [rng.permutation(terms[i].n_levels) for i in order]
    moved = [
        terms[i].at(new[terms[i].codes], terms[i].effects)
        for i, new in zip(order, relabel)
    ]
    found = PairSums.of(terms, Rows(None, columns)).ordered(order, relabel)
    assert_sums_of(found, moved, columns)


def test_no_rows_have_no_pairs(design):
    terms, columns = design
    none = [term.take(slice(0)) for term in terms]
    sums = PairSums.of(none, Rows(None, columns[:0]))
    assert sums.nobs == 0
    assert all(not len(link.first) for link in sums.links.values())
