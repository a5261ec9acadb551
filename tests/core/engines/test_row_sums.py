"""The cross-products of another response are those formed from the start."""

import numpy as np
import pytest
from dense_twin import SHAPES, dense_z, design
from engine_cases import DESIGNS, case
from numpy.testing import assert_allclose
from sparse_cases import CASES, data

from statsmodels_lmm.core.engines import block_engine
from statsmodels_lmm.core.engines.choice import engine_for, sufficient_statistics
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize

SHARED = {
    True: ("plan", "matrix", "precision", "symbolic"),
    False: ("plan", "diagonal", "nested", "coupling", "tail"),
}


def arrays(name):
    """Response, fixed design and factors of a case of either engine."""
    if name in CASES:
        endog, exog, pairs = data(name)
        return endog, exog, [f for f, _ in pairs]
    found = design(name)
    return found.endog, found.exog, found.terms


@pytest.mark.parametrize("coupling", ["dense", "sparse"])
@pytest.mark.parametrize("name", [*SHAPES, *CASES])
def test_another_response(name, coupling, monkeypatch):
    if coupling == "sparse":
        monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
        monkeypatch.setattr(block_engine, "DENSE_SHARE", 2.0)
    endog, exog, factors = arrays(name)
    first = standardize(endog, exog, factors)
    products = sufficient_statistics(first.endog, first.exog, first.terms)
    own = first.with_response(np.sin(np.arange(len(endog))) + exog[:, 1])
    found = products.with_response(own)
    expected = sufficient_statistics(own.endog, own.exog, own.terms)
    close = {"rtol": 1e-12, "atol": 1e-12 * len(endog)}
    assert_allclose(found.gram, expected.gram, **close)
    for one, other in zip(found.level_sums, expected.level_sums, strict=True):
        assert_allclose(one, other, **close)
    for part in SHARED[isinstance(found, SparseProducts)]:
        assert getattr(found, part) is getattr(products, part)


def test_one_of_many():
    endog, exog, factors = arrays("chain and tail")
    own = standardize(endog, exog, factors)
    products = sufficient_statistics(own.endog, own.exog, own.terms)
    many = products.with_responses(own, np.array([own.endog, -own.endog]))
    one = many.select(1)
    assert_allclose(one.gram[-1], -products.gram[-1] * [1, 1, 1, -1], atol=1e-12)
    assert many.select(slice(1)).gram.shape == (1, *products.gram.shape)


@pytest.mark.parametrize("name", DESIGNS)
def test_other_columns(name):
    """Products of [X y] times a matrix, also where they are read from the rows."""
    rows, _, engine = case(name)
    products = engine.gather(rows)
    change = np.random.default_rng(6).standard_normal((products.k_fixed + 1, 2))
    found, w = products.turned(change), rows.columns() @ change
    assert found.k_fixed == 1
    assert_allclose(found.gram, w.T @ w, rtol=1e-11, atol=1e-10)
    for f, sums in zip(products.plan.terms, found.level_sums, strict=True):
        assert_allclose(sums, f.level_sums(w), rtol=1e-10, atol=1e-10)
    assert_allclose(found.rows.columns(), w)
    assert (products + products).turned(change).rows is None


def test_what_fixed_effects_leave():
    """All of effects across X, nothing of those within it or of zeros."""
    rows, (first, second), _ = case("2 crossed")
    n = len(rows.endog)
    codes = np.arange(n) % 2
    exog = np.sqrt(2.0) * (codes[:, None] == np.arange(2))
    inside = GroupedEffects(codes, 2, np.ones((n, 1)), (1,))
    zeros = GroupedEffects(second.codes, second.n_levels, np.zeros((n, 1)), (1,))
    engine = engine_for([first, inside, zeros], n)
    products = engine.gather(Rows(rows.endog, exog))
    shares = dict(zip(products.plan.order, products.left_by_fixed()))
    projected = exog @ (exog.T @ dense_z(first)) / n
    wanted = 1.0 - (projected**2).sum() / (dense_z(first) ** 2).sum()
    assert shares[0] == pytest.approx(wanted)
    assert shares[1] == pytest.approx(0.0, abs=1e-12)
    assert shares[2] == 0.0


def test_sums_of_earlier_versions():
    """They were pickled with the sums of the tail as one matrix."""
    rows, _, engine = case("3 crossed")
    products = engine.gather(rows)
    tail, state = products.tail_sums, dict(products.__dict__)
    sums = state.pop("level_sums")
    state |= {"fixed": sums[: products.plan.n_chain], "tail_fixed": tail}
    found = object.__new__(type(products))
    found.__setstate__(state)
    for one, other in zip(found.level_sums, sums, strict=True):
        assert_allclose(one, other, rtol=0)
    assert not hasattr(found, "fixed")
