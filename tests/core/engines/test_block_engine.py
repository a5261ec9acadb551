"""Blocks that a kept plan gathers against those of a plan of their own."""

import numpy as np
import pytest
from dense_twin import SHAPES, design, products_of
from engine_cases import CROSSED, case
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.engines.coupling import DenseCoupling
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.row_transforms import RowWeights


@pytest.mark.parametrize("name", SHAPES)
def test_weighted_blocks(name):
    rows, factors, engine = case(name)
    root = np.random.default_rng(11).uniform(0.3, 2.0, len(rows.endog))
    transform = RowWeights(root)
    found = engine.gather(rows, transform)
    own = [f.transformed(transform) for f in factors]
    weighted = Rows(rows.endog * root, rows.exog * root[:, None])
    anew = engine_for(own, len(root)).gather(weighted)
    for one, other in zip(found.diagonal, anew.diagonal, strict=True):
        assert_allclose(one, other, rtol=1e-13)
    for pair, block in anew.nested.items():
        assert_allclose(found.nested[pair], block, rtol=1e-12, atol=1e-12)
    assert_allclose(found.tail, anew.tail, rtol=1e-12, atol=1e-12)
    for one, other in zip(found.coupling, anew.coupling, strict=True):
        if one is not None:
            assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-12)
    for one, other in zip(found.plan.terms, anew.plan.terms, strict=True):
        assert_allclose(one.effects, other.effects)


def test_dense_coupling_is_the_default():
    for name in CROSSED:
        products = products_of(design(name))
        assert all(isinstance(c, DenseCoupling) for c in products.coupling)
