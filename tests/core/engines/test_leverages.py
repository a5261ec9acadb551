"""Quadratic forms of the engine's own rows, from blocks of the inverse."""

import numpy as np
import pytest
from engine_cases import DESIGNS, case, roots, whole_system
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines.leverages import row_by_row
from statsmodels_lmm.core.rows.row_transforms import RowWeights


@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", DESIGNS)
def test_leverages_of_the_rows(name, kind):
    """The diagonal of Z M Z' = I - V^-1."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name, kind)
    inverse = whole_system(products, levels)[2]
    elimination = products.eliminate(levels)
    expected = 1.0 - np.diag(inverse)
    blocks = elimination.selected_inverse()
    assert_allclose(blocks.leverages(engine.plan.terms), expected, atol=1e-9)
    assert_allclose(row_by_row(elimination, engine.plan.terms), expected, atol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_rows_other_than_those_gathered(name):
    """M from weighted rows, z without weights."""
    rows, _, engine = case(name)
    weights = np.linspace(0.5, 2.0, len(rows.endog))
    levels = roots(name, "regular")
    elimination = engine.gather(rows, RowWeights(np.sqrt(weights))).eliminate(levels)
    blocks = elimination.selected_inverse()
    weighted = blocks.leverages(elimination.products.plan.terms)
    assert_allclose(blocks.leverages(engine.plan.terms) * weights, weighted, atol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_products_can_be_subtracted(name):
    """What is added with a negative sign leaves the rest."""
    rows, _, engine = case(name)
    size = np.linspace(0.5, 2.0, len(rows.endog))
    levels = roots(name, "regular")
    whole = engine.gather(rows, RowWeights(np.sqrt(1.0 + size)))
    part = engine.gather(rows, RowWeights(np.sqrt(size)))
    rest = (whole + -part).eliminate(levels)
    expected = engine.gather(rows).eliminate(levels)
    assert_allclose(rest.logdet, expected.logdet, rtol=1e-9)
    assert_allclose(rest.gram, expected.gram, rtol=1e-8, atol=1e-8)
