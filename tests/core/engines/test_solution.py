"""Modes and projections of any sums against the dense system."""

import numpy as np
import pytest
from dense_twin import SHAPES
from engine_cases import (
    DESIGNS,
    ROTATED,
    case,
    roots,
    whole_system,
)
from numpy.testing import assert_allclose


@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", DESIGNS)
def test_solve_and_project(name, kind):
    """M C and C - Z'Z M C for any sums, by default Z'W."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name, kind)
    elimination = products.eliminate(levels)
    z, s, inverse = whole_system(products, levels)
    columns = np.random.default_rng(3).standard_normal((len(z), 3))
    factors = products.plan.terms
    for a, sums in (
        (columns, [f.level_sums(columns) for f in factors]),
        (rows.columns(), None),
    ):
        projected = z.T @ inverse @ a
        found = [p.reshape(-1, a.shape[1]) for p in elimination.project(sums)]
        assert_allclose(np.concatenate(found), projected, rtol=1e-7, atol=1e-8)
        found = elimination.solve(sums)
        shapes = [(f.n_levels, f.k_effects, a.shape[1]) for f in factors]
        assert [m.shape for m in found] == shapes
        flat = np.concatenate([m.reshape(-1, a.shape[1]) for m in found])
        assert_allclose(flat, s @ projected, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", [*SHAPES, "3 crossed, sparsely", *ROTATED])
def test_sums_that_are_of_no_columns(name):
    """C need not be Z'A: the prior of a mode may shift it."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name)
    z, s, _ = whole_system(products, levels)
    rng = np.random.default_rng(9)
    factors = products.plan.terms
    sums = [rng.standard_normal((f.n_levels, f.k_effects, 2)) for f in factors]
    right = np.concatenate([c.reshape(-1, 2) for c in sums])
    expected = np.linalg.solve(np.eye(len(s)) + s @ z.T @ z, s @ right)
    found = products.eliminate(levels).solve(sums)
    flat = np.concatenate([m.reshape(-1, 2) for m in found])
    assert_allclose(flat, expected, rtol=1e-8, atol=1e-9)
