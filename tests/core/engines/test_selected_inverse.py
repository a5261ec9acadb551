"""Blocks of the inverse, and products with that of V, against dense algebra."""

import numpy as np
import pytest
from engine_cases import CROSSED, DESIGNS, case, roots, whole_system
from numpy.testing import assert_allclose


@pytest.mark.parametrize("kind", ["regular", "singular"])
@pytest.mark.parametrize("name", [*CROSSED, *(f"{name}, sparsely" for name in CROSSED)])
def test_block_of_the_tail(name, kind):
    """The lower triangle of M = S - S Z'V^-1 Z S among the columns of the tail."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name, kind)
    z, s, inverse = whole_system(products, levels)
    whole = s - s @ z.T @ inverse @ z @ s
    q = products.plan.n_tail
    found = products.eliminate(levels).selected_inverse().tail
    assert_allclose(np.tril(found), np.tril(whole[-q:, -q:]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_modes_are_those_of_the_selected_inverse(name):
    rows, _, engine = case(name)
    elimination = engine.gather(rows).eliminate(roots(name))
    inverse = elimination.selected_inverse()
    for one, other in zip(elimination.solve(), inverse.modes, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    for one, other in zip(elimination.project(), inverse.projected, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)
