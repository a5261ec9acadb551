"""Designs for every engine, dense systems of them, and what is compared."""

from functools import cache

import numpy as np
import pytest
from dense_twin import SHAPES, covariances, design, roots_of
from numpy.testing import assert_allclose
from scipy import sparse
from sparse_cases import CASES, data, relative

from statsmodels_lmm.core.engines import block_engine, sparse_engine
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Relationship
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.structures.relative_factor import pivoted_factor

CROSSED = ["2 crossed", "2 crossed, 2 effects each", "3 crossed", "chain and tail"]
ROTATED = ["kinship", "kinship and crossed", "raw matrix"]
DESIGNS = [*SHAPES, *(f"{name}, sparsely" for name in CROSSED), *ROTATED, *CASES]
CLOSE = {"rtol": 1e-9, "atol": 1e-9}


def rotated(name):
    """Designs of the block engine whose levels are related or that have a matrix."""
    base = design("2 crossed")
    rng = np.random.default_rng(5)
    root = rng.standard_normal((7, 7))
    first, second = base.terms
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
            endog, exog, factors = found.endog, found.exog, found.terms
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
    factors = products.plan.terms
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
