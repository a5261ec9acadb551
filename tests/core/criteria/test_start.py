"""Starting values by the method of moments."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import dense_z, design, products_of

from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.engines.choice import sufficient_statistics
from statsmodels_lmm.core.engines.sparse_engine import SparseEngine
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.rows.standardize import standardize


def started(data):
    """Standardized data and their start in the user's order."""
    found = standardize(data.endog, data.exog, data.terms)
    products = sufficient_statistics(found.endog, found.exog, found.terms)
    start = [f.covariance for f in moment_start(products)]
    out = [None] * len(start)
    for at, i in enumerate(products.plan.order):
        out[i] = start[at]
    return found, out


def one_way(levels, rows, sd, seed=1):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(levels), rows)
    y = 5.0 + sd * rng.standard_normal(levels)[codes] + rng.standard_normal(len(codes))
    return y, codes, GroupedEffects(codes, levels, np.ones((len(codes), 1)), (1,))


@pytest.mark.parametrize("sd", [1.0, 5.0])
def test_balanced_one_way_is_anova(sd):
    """The ANOVA estimates, the sum of squares between over l rather than l - 1."""
    levels, rows = 7, 5
    y, codes, factor = one_way(levels, rows, sd)
    means = np.bincount(codes, y) / rows
    within = ((y - means[codes]) ** 2).sum() / (levels * (rows - 1))
    between = rows * ((means - means.mean()) ** 2).sum() / levels
    _, start = started(
        replace(design("one factor"), endog=y, exog=np.ones((35, 1)), terms=(factor,))
    )
    assert start[0][0, 0] == pytest.approx((between / within - 1.0) / rows, rel=1e-12)


def test_floor():
    """No variance starts at zero, where the criterion is stationary."""
    y, codes, factor = one_way(8, 4, 0.0)
    y = y - (np.bincount(codes, y) / 4)[codes]  # less between than by chance
    data = replace(
        design("one factor"), endog=y, exog=np.ones((32, 1)), terms=(factor,)
    )
    start = started(data)[1][0][0, 0]
    # a tenth of sigma^2 over the rows of a level
    assert start == pytest.approx(0.1 / 4)


@pytest.mark.parametrize("sparsely", [False, True])
@pytest.mark.parametrize(
    "name", ["2 crossed, 2 effects each", "3 crossed", "chain and tail", "chain of 3"]
)
def test_equations(name, sparsely, monkeypatch):
    """The moment equations, from whole model matrices."""
    if sparsely and name == "chain of 3":
        pytest.skip("no coupling")
    data = design(name, n=60)
    found = standardize(data.endog, data.exog, data.terms)
    products = products_of(
        replace(data, endog=found.endog, exog=found.exog, terms=found.terms),
        monkeypatch if sparsely else None,
    )
    start = [f.covariance for f in moment_start(products)]

    columns, label = [], []
    for f in products.plan.terms:
        columns.append(dense_z(f))
        first = max(label, default=-1) + 1
        label += (first + np.tile(np.arange(f.k_effects), f.n_levels)).tolist()
    z, label = np.hstack(columns), np.array(label)
    gram, t = z.T @ z, z.T @ found.endog
    a = np.diag(gram)
    width, n = label.max() + 1, len(z)
    system, right = np.zeros((width + 1, width + 1)), np.zeros(width + 1)
    for c in range(width):
        mine = label == c
        right[c] = (t[mine] ** 2 / a[mine]).sum()
        for d in range(width):
            block = gram[np.ix_(mine, label == d)]
            system[c, d] = (block**2 / a[mine][:, None]).sum()
        system[c, -1] = mine.sum()
        system[-1, c] = a[mine].sum()
    system[-1, -1], right[-1] = n, (found.endog**2).sum()
    solution = np.linalg.solve(system, right)
    residual = max(solution[-1], 0.05 * right[-1] / n)
    floor = 0.1 * system[:-1, -1] / system[-1, :-1]
    wanted = np.maximum(solution[:-1] / residual, floor)
    got = np.concatenate([np.diag(s) for s in start])
    np.testing.assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize("name", ["2 crossed, 2 effects each", "chain and tail"])
def test_the_same_from_the_whole_of_the_cross_products(name):
    """Where no factor is eliminated before another, Z'Z is one sparse matrix."""
    data = design(name, n=60)
    found, wanted = started(data)
    engine = SparseEngine.of(found.terms, len(found.endog))
    products = engine.gather(Rows(found.endog, found.exog))
    got = [f.covariance for f in moment_start(products)]
    for own, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9)
