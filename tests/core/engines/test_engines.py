"""What every engine promises: gather, take, sums of products, solve and project."""

from functools import cache

import numpy as np
import pytest
from dense_twin import SHAPES, covariances, design, roots_of
from numpy.testing import assert_allclose
from scipy import sparse
from test_sparse_elimination import CASES, data, relative

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.engines import block_engine, sparse_engine
from statsmodels_lmm.core.engines.block_engine import BlockEngine
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.engines.sparse_engine import SparseEngine
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.row_transforms import RowWeights
from statsmodels_lmm.core.search.newton import minimize
from statsmodels_lmm.core.structures.relative_factor import (
    pivoted_factor,
    starting_factor,
)

CROSSED = ["2 crossed", "2 crossed, 2 effects each", "3 crossed", "chain and tail"]
ROTATED = ["kinship", "kinship and crossed", "raw matrix"]
DESIGNS = [*SHAPES, *(f"{name}, sparsely" for name in CROSSED), *ROTATED, *CASES]
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def rotated(name):
    """Designs of the block engine whose levels are related or that have a matrix."""
    base = design("2 crossed")
    rng = np.random.default_rng(5)
    root = rng.standard_normal((7, 7))
    first, second = base.factors
    known = Relationship(root @ root.T)
    kin = GroupedEffects(second.codes, 7, second.effects, (1,), (), known)
    factors = {
        "kinship": [kin],
        "kinship and crossed": [first, kin],
        "raw matrix": [RawEffects(rng.standard_normal((len(base.endog), 9))), first],
    }[name]
    return base.endog, base.exog, factors


@cache
def case(name):
    """Rows, factors, the engine and covariances in the order of the plan."""
    plain, _, sparsely = name.partition(", sparsely")
    is_sparse = name.endswith("sparsely")
    plain = name.removesuffix(", sparsely")
    with pytest.MonkeyPatch.context() as patch:
        if is_sparse:
            patch.setattr(block_engine, "DENSE_ENTRIES", 0)
            patch.setattr(block_engine, "DENSE_SHARE", 1e9)
        patch.setattr(sparse_engine, "MANY_COLUMNS", 5)
        if plain in CASES:
            endog, exog, pairs = data(plain)
            factors = [f for f, _ in pairs]
        elif plain in ROTATED:
            endog, exog, factors = rotated(plain)
        else:
            found = design(plain)
            endog, exog, factors = found.endog, found.exog, found.factors
        engine = engine_for(factors, len(endog))
    return Rows(endog, exog), factors, engine


def roots(name, kind="regular"):
    """L of each factor in the order of the plan."""
    plain = name.removesuffix(", sparsely")
    if plain in CASES:
        pairs = zip(relative(plain, kind), data(plain)[2])
        found = [pivoted_factor(s, f.block_slices).matrix for s, (f, _) in pairs]
    elif plain in ROTATED:
        scale = {"regular": 0.8, "zero": 0.0, "singular": 0.0}[kind]
        found = [np.array([[scale]])] * len(case(name)[1])
    else:
        source = design(plain)
        found = [r.matrix for r in roots_of(source, covariances(source, kind))]
    return [found[i] for i in case(name)[2].plan.order]


def dense(factor):
    """The model matrix of independent levels."""
    unit = np.eye(factor.n_columns).reshape(-1, factor.n_levels, factor.k_effects)
    return factor.times(unit).T


def whole_system(products, levels):
    """Z, S and V^-1 with the model matrices of independent levels."""
    factors = products.plan.factors
    z = np.hstack([dense(f) for f in factors])
    s = [np.kron(np.eye(f.n_levels), m @ m.T) for f, m in zip(factors, levels)]
    s = sparse.block_diag(s).toarray()
    return z, s, np.linalg.inv(np.eye(len(z)) + z @ s @ z.T)


def same_elimination(one, other):
    assert_allclose(one.logdet, other.logdet, **CLOSE)
    assert_allclose(one.gram, other.gram, **CLOSE)
    for mine, yours in zip(one.solve(), other.solve(), strict=True):
        assert_allclose(mine, yours, **CLOSE)
    pairs = one.selected_inverse().level_sums, other.selected_inverse().level_sums
    for mine, yours in zip(*pairs, strict=True):
        assert_allclose(mine, yours, rtol=1e-7, atol=1e-7)


def chunks(n, seed):
    """The rows in parts of any size, in any order, one of them a single row."""
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.choice(np.arange(2, n), rng.integers(1, 6), replace=False))
    order = rng.permutation(n)
    return np.split(order, [1, *cuts])


def test_which_engine(monkeypatch):
    for name in DESIGNS:
        kind = SparseEngine if name in CASES else BlockEngine
        assert type(case(name)[2]) is kind
    for name in CROSSED:
        assert case(name)[2].is_dense
        assert not case(f"{name}, sparsely")[2].is_dense


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
    assert all(f.n_rows == 0 for f in total.plan.factors)
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
    factors = whole.plan.factors
    start = [starting_factor(f, 0.5 * np.eye(f.k_effects)) for f in factors]
    one, _ = minimize(Profiled(whole, True), start)
    other, _ = minimize(Profiled(halves[0] + halves[1], True), start)
    assert_allclose(other.value, one.value, rtol=1e-10)
    for mine, yours in zip(one.factors, other.factors, strict=True):
        assert_allclose(mine.covariance, yours.covariance, rtol=1e-5, atol=1e-7)


def test_products_of_two_engines_are_not_added():
    one, other = (case(n)[2].gather(case(n)[0]) for n in ("2 crossed", "3 crossed"))
    with pytest.raises(ValueError, match="of one engine"):
        one + other
    dense_one = case("2 x 2 nested")[2].gather(case("2 x 2 nested")[0])
    with pytest.raises(ValueError, match="of one engine"):
        dense_one + other


def test_couplings_of_two_patterns_are_not_added():
    rows, factors, engine = case("2 crossed, sparsely")
    one = engine.gather(rows).coupling[0]
    cut = one.matrix.copy()
    cut.data[:3] = 0.0
    cut.eliminate_zeros()
    with pytest.raises(ValueError, match="of one engine"):
        one + type(one)(cut, one.k_effects)


@pytest.mark.parametrize("name", DESIGNS)
def test_weights_on_a_kept_plan(name):
    """The plan and its pattern stay; the products are those of weighted data."""
    rows, factors, engine = case(name)
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
        z, s, inverse = whole_system(found, levels)
        elimination = found.eliminate(levels)
        assert_allclose(elimination.gram, w.T @ inverse @ w, rtol=1e-8, atol=1e-8)
        # the levels are related as before
        before, s, _ = whole_system(engine.gather(rows), levels)
        variance = root[:, None] * (before @ s @ before.T) * root
        v = np.eye(len(w)) + variance
        assert_allclose(elimination.logdet, np.linalg.slogdet(v)[1], **CLOSE)
        assert_allclose(elimination.gram, w.T @ np.linalg.solve(v, w), **CLOSE)
    if name in SHAPES:
        own = [f.transformed(transform) for f in factors]
        anew = engine_for(own, len(root)).gather(Rows(*weighted))
        for one, other in zip(found.diagonal, anew.diagonal, strict=True):
            assert_allclose(one, other, rtol=1e-13)
        for pair, block in anew.nested.items():
            assert_allclose(found.nested[pair], block, rtol=1e-12, atol=1e-12)
        assert_allclose(found.tail, anew.tail, rtol=1e-12, atol=1e-12)
        for one, other in zip(found.coupling, anew.coupling, strict=True):
            if one is not None:
                assert_allclose(one.values, other.values, rtol=1e-12, atol=1e-12)
        for one, other in zip(found.plan.factors, anew.plan.factors, strict=True):
            assert_allclose(one.effects, other.effects)


@pytest.mark.parametrize("name", ["chain of 3", "chain and tail", "one factor"])
def test_weights_reach_what_is_read_from_the_rows(name):
    """Digits that large covariances cost come from weighted rows."""
    rows, _, engine = case(name)
    transform = RowWeights(np.linspace(0.5, 1.5, len(rows.endog)))
    found = engine.gather(rows, transform)
    levels = roots(name)
    one, other = found.eliminate(levels), found.eliminate(levels, closely=True)
    assert other.gram is not one.gram
    assert_allclose(one.gram, other.gram, **CLOSE)


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


@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", DESIGNS)
def test_solve_and_project(name, kind):
    """M C and C - Z'Z M C for any sums, by default Z'W."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name, kind)
    elimination = products.eliminate(levels)
    z, s, inverse = whole_system(products, levels)
    columns = np.random.default_rng(3).standard_normal((len(z), 3))
    factors = products.plan.factors
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
    factors = products.plan.factors
    sums = [rng.standard_normal((f.n_levels, f.k_effects, 2)) for f in factors]
    right = np.concatenate([c.reshape(-1, 2) for c in sums])
    expected = np.linalg.solve(np.eye(len(s)) + s @ z.T @ z, s @ right)
    found = products.eliminate(levels).solve(sums)
    flat = np.concatenate([m.reshape(-1, 2) for m in found])
    assert_allclose(flat, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("name", DESIGNS)
def test_modes_are_those_of_the_selected_inverse(name):
    rows, _, engine = case(name)
    elimination = engine.gather(rows).eliminate(roots(name))
    inverse = elimination.selected_inverse()
    for one, other in zip(elimination.solve(), inverse.modes, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    for one, other in zip(elimination.project(), inverse.projected, strict=True):
        assert_allclose(one, other, rtol=1e-12, atol=1e-13)


def test_a_direct_engine_is_as_precise_as_arithmetic():
    for name in ("chain and tail", "levels"):
        rows, _, engine = case(name)
        assert engine.gather(rows).eliminate(roots(name)).precision == 1e-14


@pytest.mark.parametrize("with_fixed", [True, False])
@pytest.mark.parametrize("name", [*SHAPES, "3 crossed, sparsely", *ROTATED])
def test_traces(name, with_fixed):
    """Tr(K D_a K D_b) from the whole of K."""
    rows, _, engine = case(name)
    products, levels = engine.gather(rows), roots(name)
    elimination = products.eliminate(levels)
    z, _, inverse = whole_system(products, levels)
    kernel, factors = z.T @ inverse @ z, products.plan.factors
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
    monkeypatch.setattr(
        "statsmodels_lmm.core.algebra.memory.available_bytes", lambda: 10
    )
    one.require_projection("It", "leave it")
    with pytest.raises(MemoryError, match="It needs a dense matrix .* 11 x 11.*leave"):
        several.require_projection("It", "leave it")
    stays = case("levels")[2].gather(case("levels")[0])
    assert not stays.projection_is_affordable(10**9)
    assert stays.eliminate(roots("levels")).projection() is None
    with pytest.raises(MemoryError, match="It .* kept sparse here; leave it"):
        stays.require_projection("It", "leave it")
