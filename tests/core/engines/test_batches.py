"""Which designs are fitted to many responses at once."""

import pytest
from dense_twin import design, products_of

from statsmodels_lmm.core.engines import batches
from statsmodels_lmm.core.engines.batches import is_batchable


@pytest.mark.parametrize("limit", ["MAX_BATCHED_TAIL", "MAX_BATCHED_EFFECTS"])
def test_large_designs_are_not(limit, monkeypatch):
    products = products_of(design("chain and tail"))
    assert is_batchable(products)
    plan = products.plan
    sizes = {
        "MAX_BATCHED_TAIL": plan.n_tail,
        "MAX_BATCHED_EFFECTS": sum(f.n_columns for f in plan.terms),
    }
    monkeypatch.setattr(batches, limit, sizes[limit])
    assert is_batchable(products)
    monkeypatch.setattr(batches, limit, sizes[limit] - 1)
    assert not is_batchable(products)
