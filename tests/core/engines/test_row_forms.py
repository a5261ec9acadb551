"""Quadratic forms of the rows of the design against the inverse of V."""

import numpy as np
import pytest
from dense_twin import SHAPES
from engine_cases import CROSSED, case, roots, whole_system
from numpy.testing import assert_allclose

from statsmodels_lmm.core.algebra.dense import as_array


@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", [*SHAPES, *(f"{name}, sparsely" for name in CROSSED)])
def test_rows_of_the_design(name, kind):
    """Z M Z' = I - V^-1."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name, kind)
    inverse = whole_system(products, levels)[2]
    pairs = products.eliminate(levels).row_forms(products.plan.terms)
    found = sum(as_array(left @ right.T) for left, right in pairs)
    assert_allclose(found, np.eye(len(inverse)) - inverse, rtol=1e-9, atol=1e-9)
