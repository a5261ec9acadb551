"""Flat directions against the rank of the matrices V_a themselves."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.level_covariance import Precision, Relationship
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.structures.roots import lower_triangles
from statsmodels_lmm.core.uncertainty import identification as module
from statsmodels_lmm.core.uncertainty.identification import flat_directions

N = 90


def columns():
    rng = np.random.default_rng(31)
    g = np.arange(N) % 9
    return {
        "g": g,
        "same": 8 - g,
        "h": rng.integers(7, size=N),
        "pair": g // 2,
        "row": np.arange(N),
        "x": rng.standard_normal(N),
        "treated": (g % 2).astype(float),
        "dose": rng.standard_normal(9)[g],
        "a": (np.arange(N) // 9 % 3 == 0).astype(float),
        "b": (np.arange(N) // 9 % 3 == 1).astype(float),
        "c": (np.arange(N) // 9 % 3 == 2).astype(float),
    }


def factor(group, effects, blocks=None, relationship=None):
    data = columns()
    values, codes = np.unique(data[group], return_inverse=True)
    one = {"1": np.ones(N), "twice": 2.0 * data["x"]}
    own = np.column_stack([(one | data)[name] for name in effects])
    blocks = (len(effects),) if blocks is None else blocks
    return GroupedEffects(codes, len(values), own, blocks, relationship=relationship)


KINSHIP = 0.3 ** np.abs(np.subtract.outer(np.arange(9), np.arange(9)))

MODELS = {
    # factors and the number of flat directions
    "one factor": ([factor("g", ["1"])], 0),
    "crossed": ([factor("g", ["1", "x"]), factor("h", ["1"])], 0),
    "nested": ([factor("g", ["1"]), factor("pair", ["1"])], 0),
    "the same groups": ([factor("g", ["1"]), factor("same", ["1"])], 1),
    "the same slopes": ([factor("g", ["1", "x"]), factor("same", ["x"])], 1),
    "slopes twice": ([factor("g", ["1", "x"]), factor("same", ["1", "x"])], 3),
    "dummies": ([factor("g", ["1", "a", "b", "c"], (1, 3))], 1),
    "independent dummies": ([factor("g", ["1", "a", "b", "c"], (1, 1, 1, 1))], 0),
    "double column": ([factor("g", ["1", "x", "twice"])], 3),
    "two doses": ([factor("g", ["1", "treated"])], 1),
    "two independent doses": ([factor("g", ["1", "treated"], (1, 1))], 0),
    "many doses": ([factor("g", ["1", "dose"])], 0),
    "a level for every row": ([factor("g", ["1"]), factor("row", ["1"])], 1),
    "related": ([factor("g", ["1"], None, Relationship(KINSHIP))], 0),
    "related and not": (
        [factor("g", ["1"], None, Relationship(KINSHIP)), factor("g", ["1"])],
        0,
    ),
    "related twice": (
        [
            factor("g", ["1", "x"], None, Relationship(KINSHIP)),
            factor("g", ["x"], None, Relationship(KINSHIP)),
        ],
        1,
    ),
    "a matrix": (
        [factor("g", ["1"]), RawEffects(np.eye(9)[columns()["g"]])],
        1,
    ),
}


def matrices(factors, x=None):
    """Every V_a and I, after the projection off X if it is given."""
    rest = np.eye(N)
    if x is not None:
        rest = rest - x @ np.linalg.pinv(x)
    out = []
    for f in factors:
        known = f.relationship
        if isinstance(f, RawEffects):
            out.append(f.matrix @ f.matrix.T)
            continue
        levels = np.eye(f.n_levels)[f.codes]
        among = levels @ (np.eye(f.n_levels) if known is None else known.matrix)
        among = among @ levels.T
        for r, c in zip(*lower_triangles(f.block_slices)):
            moved = np.outer(f.effects[:, r], f.effects[:, c])
            moved = moved + moved.T if r != c else moved
            out.append(among * moved)
    return [rest @ v @ rest for v in [*out, np.eye(N)]]


def design(names=("x",)):
    data = columns()
    return np.column_stack([np.ones(N), *(data[n] for n in names)])


def found_for(factors, reml, x=None, weights=None):
    """Standardized data, the factors in the order of the plan, and directions."""
    x = design() if x is None else x
    y = np.random.default_rng(5).standard_normal(N)
    data = standardize(y, x, factors, weights)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    m = sum(f.n_parameters for f in factors)
    flat = flat_directions(data, products, reml, np.ones(m, dtype=bool))
    return data, [data.terms[i] for i in products.plan.order], flat


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_against_the_matrices(name, reml):
    factors, expected = MODELS[name]
    data, standardized, flat = found_for(factors, reml)
    own = matrices(standardized, data.exog if reml else None)
    flattened = np.array([v.ravel() / np.abs(v).max() for v in own])
    assert flat.shape == (len(own), expected)
    assert np.linalg.matrix_rank(flattened, 1e-8) == len(own) - expected
    assert np.linalg.matrix_rank(flat, 1e-8) == expected
    for direction in flat.T:
        total = sum(c * v for c, v in zip(direction, own))
        size = sum(abs(c) * np.abs(v) for c, v in zip(direction, own))
        assert np.abs(total).max() <= 1e-6 * size.max()


@pytest.mark.parametrize("reml", [True, False])
def test_what_the_fixed_effects_explain(reml):
    """Two groupings that differ in levels which X tells apart."""
    g = columns()["g"]
    other = np.where(g == 8, 9 + np.arange(N) % 2, g)  # level 8 in two parts
    _, codes = np.unique(other, return_inverse=True)
    parts = GroupedEffects(codes, codes.max() + 1, np.ones((N, 1)), (1,))
    x = np.column_stack([np.ones(N), other == 9, other == 10])
    _, _, flat = found_for([factor("g", ["1"]), parts], reml, x)
    assert flat.shape[1] == reml  # the likelihood sees their variances


def test_weights_tell_a_level_for_every_row_from_the_residual():
    factors = [factor("row", ["1"])]
    assert found_for(factors, True)[2].shape[1] == 1
    weights = np.random.default_rng(3).uniform(0.5, 2.0, N)
    assert found_for(factors, True, weights=weights)[2].shape[1] == 0
    assert found_for(factors, True, weights=np.full(N, 3.0))[2].shape[1] == 1


def test_sparse_precisions():
    known = Precision(sparse.csc_array(np.linalg.inv(KINSHIP)))
    one = [factor("g", ["1"], None, known), factor("h", ["1"])]
    assert found_for(one, True)[2].shape[1] == 0
    two = [factor("g", ["1"], None, known), factor("same", ["1"])]
    assert found_for(two, True)[2].shape[1] == 0
    both = [factor("g", ["1", "x"], None, known), factor("g", ["x"], None, known)]
    _, _, flat = found_for(both, True)
    assert flat.shape[1] == 1


def test_parameters_that_are_held():
    factors = [factor("g", ["1"]), factor("same", ["1"])]
    data = standardize(np.sin(np.arange(N)), design(), factors)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    for told, expected in (([True, True], 1), ([True, False], 0)):
        flat = flat_directions(data, products, True, np.array(told))
        assert flat.shape == (3, expected)


@pytest.mark.parametrize("few", [10, 2000])
@pytest.mark.parametrize("chunk", [40, 2**22])
def test_a_few_rows_only_shorten_the_way(few, chunk, monkeypatch):
    monkeypatch.setattr(module, "FEW_ROWS", few)
    monkeypatch.setattr(module, "CHUNK", chunk)
    for name in ("crossed", "slopes twice", "two doses", "related twice"):
        factors, expected = MODELS[name]
        assert found_for(factors, True)[2].shape[1] == expected


def test_a_response_that_says_nothing_decides_nothing():
    """Of a response without variation between groups every image is zero."""
    factors = [factor("g", ["1"]), factor("h", ["1"])]
    g = columns()["g"]
    y = np.random.default_rng(2).standard_normal(N)
    y -= (np.bincount(g, y) / np.bincount(g))[g]
    data = standardize(y, np.ones((N, 1)), factors)
    products = sufficient_statistics(data.endog, data.exog, data.terms)
    flat = flat_directions(data, products, True, np.ones(2, dtype=bool))
    assert_allclose(flat, np.zeros((3, 0)))
