"""Average information of variances and covariances, against n x n matrices."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import (
    SHAPES,
    DenseTwin,
    covariances,
    design,
    evaluate,
    products_of,
    roots_of,
)
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.criteria.deviance import profiled_deviance
from statsmodels_lmm.core.structures.relative_factor import full_factor, pivoted_factor
from statsmodels_lmm.core.structures.roots import lower_triangles
from statsmodels_lmm.core.uncertainty.variance_information import (
    average_information,
    inverse_information,
    observed_information,
)


def directions_of(twin, order):
    """dV / d(parameter), n x n, factors in the order of the plan, sigma^2 last."""
    out = []
    for i in order:
        factor = twin.terms[i]
        for row, column in zip(*lower_triangles(factor.block_slices)):
            unit = np.zeros((factor.k_effects,) * 2)
            unit[row, column] = unit[column, row] = 1.0
            out.append(twin.through_levels(i, unit))
    return [*out, np.eye(len(twin.py))]


def dense_information(twin, order):
    """y'P V_r P V_s P y / (2 sigma^6); P and Py of `DenseTwin` are sigma^2 times."""
    moved = [v @ twin.py / twin.scale for v in directions_of(twin, order)]
    p = twin.p / twin.scale
    return 0.5 * np.array([[a @ p @ b for b in moved] for a in moved])


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", SHAPES)
def test_dense_average_information(name, kind, reml):
    data = design(name)
    roots = roots_of(data, covariances(data, kind))
    products = products_of(data)
    found = average_information(evaluate(products, roots, reml))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    expected = dense_information(twin, products.plan.order)
    size = np.sqrt(np.diag(expected))
    both = np.outer(size, size)
    assert found.shape == expected.shape
    assert_allclose(found / both, expected / both, atol=1e-9)
    assert_allclose(found, found.T, atol=1e-12 * both.max())


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["regular", "zero", "singular"])
@pytest.mark.parametrize("name", SHAPES)
def test_dense_observed_information(name, kind, reml):
    """Twice the average less half of tr(K V_r K V_s), K = P or V^-1."""
    data = design(name)
    roots = roots_of(data, covariances(data, kind))
    products = products_of(data)
    found = observed_information(evaluate(products, roots, reml))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    order = products.plan.order
    moved = [twin.kernel @ v / twin.scale for v in directions_of(twin, order)]
    traces = np.array([[(a * b.T).sum() for b in moved] for a in moved])
    average = dense_information(twin, order)
    expected = 2.0 * average - 0.5 * traces
    size = np.sqrt(np.diag(average + traces))
    both = np.outer(size, size)
    assert_allclose(found / both, expected / both, atol=1e-9)


@pytest.mark.parametrize("name", ["2 crossed, 2 effects each", "chain and tail"])
def test_average_of_observed_and_expected(name):
    """Where the second derivatives of the dense REML criterion stand for themselves."""
    data = design(name)
    relative = covariances(data, "regular")
    roots = roots_of(data, relative)
    products = products_of(data)
    found = average_information(evaluate(products, roots, True))
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, True)
    slopes = directions_of(twin, products.plan.order)
    v = twin.scale * np.linalg.inv(twin.v_inverse)

    def loglike(step):
        total = v + sum(s * d for s, d in zip(step, slopes))
        inverse = np.linalg.inv(total)
        gram = data.exog.T @ inverse @ data.exog
        half = data.exog.T @ inverse @ data.endog
        r = data.endog @ inverse @ data.endog - half @ np.linalg.solve(gram, half)
        logs = np.linalg.slogdet(total)[1] + np.linalg.slogdet(gram)[1]
        return -0.5 * (logs + r)

    m, h = len(slopes), 5e-4
    unit = h * np.eye(m)
    observed = np.empty((m, m))
    for a in range(m):
        for b in range(m):
            ends = (1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)
            values = [s * t * loglike(s * unit[a] + t * unit[b]) for s, t in ends]
            observed[a, b] = -sum(values) / (4.0 * h**2)
    p = twin.p / twin.scale
    expected = 0.5 * np.array(
        [[np.trace(p @ a @ p @ b) for b in slopes] for a in slopes]
    )
    size = np.sqrt(np.diag(found))
    both = np.outer(size, size)
    average = 0.5 * (observed + expected)
    assert_allclose(average / both, found / both, atol=2e-5)
    own = observed_information(evaluate(products, roots, True))
    assert_allclose(observed / both, own / both, atol=4e-5)
    # a test of the average only if the two differ
    assert np.abs(observed / both - expected / both).max() > 0.05


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["one factor, 3 effects", "chain and tail"])
def test_a_batch(name, reml):
    """Many responses and covariances at once are a loop over them."""
    data = design(name)
    rng = np.random.default_rng(5)
    kinds = ("regular", "singular", "zero")
    many, roots = [], []
    for seed, kind in enumerate(kinds):
        noise = rng.standard_normal(len(data.endog))
        many.append(products_of(replace(data, endog=data.endog + noise)))
        found = roots_of(data, covariances(data, kind, seed=seed))
        roots.append([found[i] for i in many[0].plan.order])
    stacked = replace(
        many[0],
        level_sums=tuple(np.stack(s) for s in zip(*(m.level_sums for m in many))),
        gram=np.stack([m.gram for m in many]),
    )
    factors = [
        pivoted_factor(np.stack([r.covariance for r in rs]), rs[0].slices)
        for rs in zip(*roots)
    ]
    together = average_information(profiled_deviance(stacked, factors, reml))
    for i, (products, root) in enumerate(zip(many, roots)):
        one = average_information(profiled_deviance(products, root, reml))
        assert_allclose(together[i], one, rtol=1e-9, atol=1e-9 * np.abs(one).max())


def test_unit_changes():
    blocks = [slice(0, 2), slice(2, 3)]
    found = full_factor(np.eye(3), blocks).unit_changes(1.0)
    expected = np.zeros((4, 3, 3))
    expected[0, 0, 0] = expected[2, 1, 1] = expected[3, 2, 2] = 1.0
    expected[1, 0, 1] = expected[1, 1, 0] = 1.0
    assert_array_equal(found, expected)


# the inverse ---------------------------------------------------------------


def positive(size, seed=1):
    root = np.random.default_rng(seed).standard_normal((size, size + 2))
    return root @ root.T


def test_inverse_of_a_regular_matrix():
    matrix = positive(4)
    assert_allclose(inverse_information(matrix), np.linalg.inv(matrix), rtol=1e-9)
    many = np.stack([matrix, positive(4, 2), positive(4, 3)])
    assert_allclose(inverse_information(many), np.linalg.inv(many), rtol=1e-8)


def test_inverse_in_other_units():
    """Parameters of very different sizes lose nothing."""
    units = np.diag([1e-9, 1.0, 1e8, 3.0])
    matrix = positive(4)
    expected = units @ np.linalg.inv(matrix) @ units
    inverse = np.linalg.inv(units)
    found = inverse_information(inverse @ matrix @ inverse)
    assert_allclose(found, expected, rtol=1e-8)


def test_inverse_without_information_about_a_parameter():
    """The others have the inverse of their own part; this one has no direction."""
    matrix = np.zeros((4, 4))
    at = np.ix_([0, 2, 3], [0, 2, 3])
    matrix[at] = positive(3)
    found = inverse_information(matrix)
    assert_allclose(found[at], np.linalg.inv(positive(3)), rtol=1e-9)
    assert_array_equal(found[1], 0.0)
    assert_array_equal(found[:, 1], 0.0)


def test_inverse_of_a_matrix_without_full_rank():
    """A contrast that the data do not see has no part in it."""
    root = np.random.default_rng(3).standard_normal((4, 2))
    matrix = root @ root.T
    found = inverse_information(matrix)
    size = np.diag(1.0 / np.sqrt(np.diag(matrix)))
    expected = size @ np.linalg.pinv(size @ matrix @ size, 1e-10) @ size
    assert_allclose(found, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(matrix @ found @ matrix, matrix, atol=1e-9)
    many = inverse_information(np.stack([matrix, positive(4)]))
    assert_allclose(many[0], found, atol=1e-9)
    assert_allclose(many[1], np.linalg.inv(positive(4)), rtol=1e-8)
