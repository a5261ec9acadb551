"""The cross-products of another response are those formed from the start."""

import numpy as np
import pytest
from dense_twin import SHAPES, design
from numpy.testing import assert_allclose
from test_sparse_elimination import CASES, data

from statsmodels_lmm.core.engines import block_engine
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.engines.sparse_products import SparseProducts
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
    return found.endog, found.exog, found.factors


@pytest.mark.parametrize("coupling", ["dense", "sparse"])
@pytest.mark.parametrize("name", [*SHAPES, *CASES])
def test_another_response(name, coupling, monkeypatch):
    if coupling == "sparse":
        monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
        monkeypatch.setattr(block_engine, "DENSE_SHARE", 2.0)
    endog, exog, factors = arrays(name)
    first = standardize(endog, exog, factors)
    products = sufficient_statistics(first.endog, first.exog, first.factors)
    own = first.with_response(np.sin(np.arange(len(endog))) + exog[:, 1])
    found = products.with_response(own)
    expected = sufficient_statistics(own.endog, own.exog, own.factors)
    close = {"rtol": 1e-12, "atol": 1e-12 * len(endog)}
    assert_allclose(found.gram, expected.gram, **close)
    for one, other in zip(found.level_sums, expected.level_sums, strict=True):
        assert_allclose(one, other, **close)
    for part in SHARED[isinstance(found, SparseProducts)]:
        assert getattr(found, part) is getattr(products, part)


def test_one_of_many():
    endog, exog, factors = arrays("chain and tail")
    own = standardize(endog, exog, factors)
    products = sufficient_statistics(own.endog, own.exog, own.factors)
    many = products.with_responses(own, np.array([own.endog, -own.endog]))
    one = many.select(1)
    assert_allclose(one.gram[-1], -products.gram[-1] * [1, 1, 1, -1], atol=1e-12)
    assert many.select(slice(1)).gram.shape == (1, *products.gram.shape)
