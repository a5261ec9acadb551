"""Products from sums over pairs of levels are those gathered from the rows."""

import numpy as np
import pytest
from dense_twin import SHAPES, design
from scipy import sparse

from statsmodels_lmm.core.engines import block_engine
from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.block_sums import products_of_sums
from statsmodels_lmm.core.engines.choice import sufficient_statistics_of_sums
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.pair_sums import PairSums

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(params=[False, True], ids=["densely", "sparsely"])
def sparsely(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
        monkeypatch.setattr(block_engine, "DENSE_SHARE", 1e9)
    return request.param


def both(endog, exog, terms):
    """Products from the rows and from sums over them."""
    rows = Rows(endog, exog)
    gathered = BlockEngine.of(terms, len(endog)).gather(rows)
    without = [f.take(slice(0)) for f in terms]
    sums = PairSums.of(terms, rows)
    return gathered, products_of_sums(sums, without)


def coupled(coupling):
    """The coupling as an array of two dimensions."""
    if coupling.is_sparse:
        return coupling.matrix.toarray()
    return coupling.values.reshape(-1, coupling.values.shape[-1])


def as_array(matrix):
    return matrix if isinstance(matrix, np.ndarray) else matrix.toarray()


@pytest.mark.parametrize("name", SHAPES)
def test_products_mean_the_same(name, sparsely):
    data = design(name)
    expected, found = both(data.endog, data.exog, data.terms)
    plan, mine = expected.plan, found.plan
    assert (mine.order, mine.n_chain) == (plan.order, plan.n_chain)
    assert all(map(np.array_equal, mine.relabel, plan.relabel))
    assert mine.parents.keys() == plan.parents.keys() == found.nested.keys()
    assert found.nobs == expected.nobs
    assert found.rows is None
    assert all(f.n_rows == 0 for f in mine.terms)
    np.testing.assert_allclose(found.gram, expected.gram, **CLOSE)
    for one, other in zip(found.level_sums, expected.level_sums):
        np.testing.assert_allclose(one, other, **CLOSE)
    assert len(found.diagonal) == len(expected.diagonal)
    for one, other in zip(found.diagonal, expected.diagonal):
        np.testing.assert_allclose(one, other, **CLOSE)
    for pair, blocks in expected.nested.items():
        assert np.array_equal(mine.parents[pair], plan.parents[pair])
        np.testing.assert_allclose(found.nested[pair], blocks, **CLOSE)
    np.testing.assert_allclose(as_array(found.tail), as_array(expected.tail), **CLOSE)
    for one, other in zip(found.coupling, expected.coupling):
        if other is None:
            assert one is None
            continue
        assert one.is_sparse == other.is_sparse == sparsely
        np.testing.assert_allclose(coupled(one), coupled(other), **CLOSE)
        if sparsely:
            assert np.array_equal(one.matrix.indices, other.matrix.indices)
            assert isinstance(one.matrix, sparse.csr_array)
    assert isinstance(found.tail, np.ndarray) == isinstance(expected.tail, np.ndarray)


@pytest.mark.parametrize("name", SHAPES)
def test_eliminations_agree(name, sparsely):
    data = design(name)
    expected, found = both(data.endog, data.exog, data.terms)
    roots = [0.7 * np.eye(f.k_effects) for f in expected.plan.terms]
    one, other = found.eliminate(roots), expected.eliminate(roots)
    np.testing.assert_allclose(one.logdet, other.logdet, rtol=1e-11)
    np.testing.assert_allclose(one.gram, other.gram, rtol=1e-10, atol=1e-10)
    inverse, expected = one.selected_inverse(), other.selected_inverse()
    for a, b in zip(inverse.level_sums, expected.level_sums):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_many_rows_of_few_pairs_are_coupled_sparsely(monkeypatch):
    """Pairs of levels decide, and rows only bound their number."""
    monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
    head = np.repeat(np.arange(40), 50)
    tail = np.where(np.arange(2000) % 50 < 25, head // 2, (head + 7) // 2 % 20)
    terms = [
        GroupedEffects(codes, size, np.ones((2000, 1)), (1,))
        for codes, size in ((head, 40), (tail, 20))
    ]
    rng = np.random.default_rng(0)
    y, x = rng.standard_normal(2000), np.ones((2000, 1))
    gathered, found = both(y, x, terms)
    assert not gathered.is_coupled_sparsely
    assert found.is_coupled_sparsely
    np.testing.assert_allclose(
        coupled(found.coupling[0]), coupled(gathered.coupling[0])
    )


def test_the_choice_of_an_engine_for_sums():
    data = design("2 crossed")
    sums = PairSums.of(data.terms, Rows(data.endog, data.exog))
    found = sufficient_statistics_of_sums(sums, data.terms)
    np.testing.assert_array_equal(found.gram, sums.gram)


def test_memory_is_checked_first(monkeypatch):
    data = design("2 crossed")
    sums = PairSums.of(data.terms, Rows(data.endog, data.exog))
    checked = []
    monkeypatch.setattr(block_engine, "check_memory", lambda *a: checked.append(a))
    products_of_sums(sums, data.terms)
    (((plan, densely)),) = checked
    assert densely
    assert plan.n_tail == 4
