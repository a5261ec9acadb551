"""Blocks of the inverse, and products with that of V, against dense algebra."""

import numpy as np
import pandas as pd
import pytest
from engine_cases import CROSSED, DESIGNS, case, roots, whole_system
from numpy.testing import assert_allclose

from statsmodels_lmm.core.engines import block_engine
from statsmodels_lmm.core.engines.level_pairs import LevelPairs
from statsmodels_lmm.formula.api import crossedmixedlm


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


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize(
    "formula", ["(1 | a) + (1 | b)", "(x | a) + (x | b) + (1 | c)"]
)
def test_blocks_are_left_for_later(formula, kept, monkeypatch):
    """A fit whose products are not kept finds the levels' blocks when asked for."""
    rng = np.random.default_rng(9)
    n = 400
    levels = {name: rng.integers(size, size=n) for name, size in zip("abc", (40, 9, 5))}
    data = pd.DataFrame({**levels, "x": rng.standard_normal(n)})
    slopes = rng.standard_normal(40)[data["a"]] * data["x"]
    data["y"] = slopes + rng.standard_normal(9)[data["b"]] + rng.standard_normal(n)
    dense = crossedmixedlm(f"y ~ x + {formula}", data).fit()
    monkeypatch.setattr(block_engine, "DENSE_ENTRIES", 0)
    monkeypatch.setattr(block_engine, "DENSE_SHARE", 2.0)
    monkeypatch.setattr(LevelPairs, "fit", lambda pairs, most: kept)
    fitted = crossedmixedlm(f"y ~ x + {formula}", data).fit()
    assert (None in fitted._estimates.level_blocks) is not kept
    assert fitted.llf == pytest.approx(dense.llf, rel=1e-12)
    assert_allclose(fitted.theta, dense.theta, rtol=0, atol=1e-8)
    for name, covariances in dense.random_effects_cov.items():
        for level, wanted in covariances.items():
            found = fitted.random_effects_cov[name][level]
            assert_allclose(found, wanted, rtol=1e-7, atol=1e-10)
