"""What every engine promises of gather, take and sums of products."""

import numpy as np
import pytest
from engine_cases import (
    CLOSE,
    DESIGNS,
    case,
    chunks,
    roots,
    same_elimination,
    whole_system,
)
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.row_transforms import RowWeights
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.structures.relative_factor import starting_factor


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", DESIGNS)
def test_parts_add_up(name, seed):
    rows, _, engine = case(name)
    whole = engine.gather(rows)
    total = None
    for part in chunks(len(rows.endog), seed):
        own = engine.take(part).gather(Rows(rows.endog[part], rows.exog[part]))
        assert own.nobs == len(part)
        total = own if total is None else total + own
    assert total.nobs == whole.nobs
    assert total.rows is None
    assert all(f.n_rows == 0 for f in total.plan.terms)
    for one, other in zip(total.level_sums, whole.level_sums, strict=True):
        assert_allclose(one, other, **CLOSE)
    for one, other in zip(total.squares, whole.squares, strict=True):
        assert_allclose(one, other, **CLOSE)
    for kind in ("regular", "singular"):
        levels = roots(name, kind)
        same_elimination(total.eliminate(levels), whole.eliminate(levels))


@pytest.mark.parametrize("name", ["3 crossed, sparsely", "chain and tail", "levels"])
def test_the_sum_has_the_same_fit(name):
    rows, _, engine = case(name)
    whole = engine.gather(rows)
    halves = [
        engine.take(part).gather(Rows(rows.endog[part], rows.exog[part]))
        for part in (slice(0, None, 2), slice(1, None, 2))
    ]
    factors = whole.plan.terms
    start = [starting_factor(f, 0.5 * np.eye(f.k_effects)) for f in factors]
    one, _ = minimize(Profiled(whole, True), start)
    other, _ = minimize(Profiled(halves[0] + halves[1], True), start)
    assert_allclose(other.value, one.value, rtol=1e-10)
    for mine, yours in zip(one.factors, other.factors, strict=True):
        assert_allclose(mine.covariance, yours.covariance, rtol=1e-5, atol=1e-7)


def test_products_of_two_engines_are_not_added():
    one, other = (case(n)[2].gather(case(n)[0]) for n in ("2 crossed", "3 crossed"))
    with pytest.raises(ValueError, match="of the same engine"):
        one + other
    rows, _, engine = case("kinship")
    part = engine.take(slice(None)).gather(rows)
    with pytest.raises(ValueError, match="of the same engine"):
        part + engine.gather(rows)


@pytest.mark.parametrize("name", DESIGNS)
def test_weights_on_a_kept_plan(name):
    """The plan and its pattern stay; the products are those of weighted data."""
    rows, _, engine = case(name)
    draw = np.random.default_rng(11)
    for _ in range(2):
        transform = RowWeights(draw.uniform(0.3, 2.0, len(rows.endog)))
        found = engine.gather(rows, transform)
        root = transform.root
        weighted = rows.endog * root, rows.exog * root[:, None]
        w = np.column_stack([weighted[1], weighted[0]])
        assert_allclose(found.rows.columns(), w)
        assert_allclose(found.gram, w.T @ w, **CLOSE)
        assert found.plan.order == engine.plan.order
        levels = roots(name)
        inverse = whole_system(found, levels)[2]
        elimination = found.eliminate(levels)
        assert_allclose(elimination.gram, w.T @ inverse @ w, rtol=1e-8, atol=1e-8)
        # the levels are related as before
        before, s, _ = whole_system(engine.gather(rows), levels)
        variance = root[:, None] * (before @ s @ before.T) * root
        v = np.eye(len(w)) + variance
        assert_allclose(elimination.logdet, np.linalg.slogdet(v)[1], **CLOSE)
        assert_allclose(elimination.gram, w.T @ np.linalg.solve(v, w), **CLOSE)


@pytest.mark.parametrize("name", DESIGNS)
def test_some_rows(name):
    """The engine of some rows gathers their products, with levels that lack rows."""
    rows, _, engine = case(name)
    part = np.array([3, 1, 17])
    found = engine.take(part).gather(Rows(rows.endog[part], rows.exog[part]))
    levels = roots(name)
    z, s, _ = whole_system(engine.gather(rows), levels)
    v = np.eye(3) + z[part] @ s @ z[part].T
    w = rows.columns()[part]
    elimination = found.eliminate(levels)
    assert_allclose(elimination.logdet, np.linalg.slogdet(v)[1], **CLOSE)
    assert_allclose(elimination.gram, w.T @ np.linalg.solve(v, w), **CLOSE)
