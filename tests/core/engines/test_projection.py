"""Traces of products with K against the whole matrix."""

import numpy as np
import pytest
from dense_twin import SHAPES
from engine_cases import (
    ROTATED,
    case,
    roots,
    whole_system,
)
from numpy.testing import assert_allclose
from scipy import sparse


@pytest.mark.parametrize("with_fixed", [True, False])
@pytest.mark.parametrize("name", [*SHAPES, "3 crossed, sparsely", *ROTATED])
def test_traces(name, with_fixed):
    """Tr(K D_a K D_b) from the whole of K."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name)
    elimination = products.eliminate(levels)
    z, _, inverse = whole_system(products, levels)
    kernel, factors = z.T @ inverse @ z, products.plan.terms
    scores = None
    if with_fixed:
        x = rows.exog
        y = z.T @ inverse @ x
        y = y @ np.linalg.inv(np.linalg.cholesky(x.T @ inverse @ x)).T
        kernel = kernel - y @ y.T
        scores = [
            y[part].reshape(f.n_levels, f.k_effects, -1)
            for f, part in zip(factors, products.plan.slices)
        ]
    rng = np.random.default_rng(2)
    changes = [rng.standard_normal((3, f.k_effects, f.k_effects)) for f in factors]
    changes = [c + c.swapaxes(-1, -2) for c in changes]
    moved = []
    for m in range(3):
        each = [np.kron(np.eye(f.n_levels), c[m]) for f, c in zip(factors, changes)]
        moved.append(kernel @ sparse.block_diag(each).toarray())
    expected = [[np.trace(a @ b) for b in moved] for a in moved]
    found = elimination.projection(scores).trace_products(changes)
    assert_allclose(found, expected, rtol=1e-8, atol=1e-8 * np.abs(expected).max())


def test_what_projections_cost(monkeypatch):
    one = case("one factor")[2].gather(case("one factor")[0])
    assert one.projection_is_affordable(0)
    one.require_projection("It", "leave it")
    several = case("2 crossed")[2].gather(case("2 crossed")[0])
    assert several.projection_is_affordable(11)
    assert not several.projection_is_affordable(10)
    stays = case("levels")[2].gather(case("levels")[0])
    assert not stays.projection_is_affordable(10**9)
    assert stays.eliminate(roots("levels")).projection() is None
    monkeypatch.setattr(
        "statsmodels_lmm.core.algebra.memory.available_bytes", lambda: 10
    )
    one.require_projection("It", "leave it")
    with pytest.raises(MemoryError, match=r"It needs a dense matrix .* 11 x 11.*leave"):
        several.require_projection("It", "leave it")
    with pytest.raises(MemoryError, match=r"It .* kept sparse here; leave it"):
        stays.require_projection("It", "leave it")
