"""Whitening by neighbors, against dense blocks and against the definition."""

from dataclasses import replace

import numpy as np
import pytest
from correlated_cases import criterion_of, differences, somewhere
from numpy.testing import assert_allclose
from scipy import sparse

from statsmodels_lmm.core.criteria import projection_forms
from statsmodels_lmm.core.residuals import whitening
from statsmodels_lmm.core.residuals.antedependence import AnteDependence
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.residuals.spatial import Exponential
from statsmodels_lmm.core.residuals.whitening import ResidualCovariance

CASES = [
    # structure, unequal variances, sets of parameters, effects within groups, crossed
    (Autoregressive(), False, 1, 2, 0),
    (ContinuousAutoregressive(), True, 2, 0, 1),
    (AnteDependence(), True, 2, 1, 0),
    (AnteDependence(), False, 1, 0, 0),
    (Exponential(), True, 1, 1, 2),
]
BY_CASE = pytest.mark.parametrize(
    "case", CASES, ids=["ar1", "car1", "ad by part", "ad", "exp"]
)


@pytest.fixture
def by_neighbors(monkeypatch):
    """Groups of any length count as long."""
    monkeypatch.setattr(whitening, "LONG", 1)


def by_blocks(criterion):
    """The same criterion with dense blocks, whatever the length of the groups."""
    model = replace(criterion.model)
    model.__dict__["chain"] = None
    return replace(criterion, model=model)


@BY_CASE
@pytest.mark.parametrize("reml", [True, False])
def test_neighbors_and_blocks(case, reml, by_neighbors):
    criterion = criterion_of(case, reml)
    point = somewhere(criterion)
    here, there = criterion.evaluate(point), by_blocks(criterion).evaluate(point)
    assert criterion.model.chain is not None
    assert there.whitening.model.chain is None
    assert_allclose(here.value, there.value, rtol=1e-13)
    for exact in (False, True):
        own, other = here.derivatives(exact), there.derivatives(exact)
        size = np.abs(other.curvature).max()
        assert_allclose(own.gradient, other.gradient, atol=1e-12 * size)
        assert_allclose(own.curvature, other.curvature, atol=1e-12 * size)


def test_differences(by_neighbors):
    criterion = criterion_of(CASES[2])
    point = somewhere(criterion)
    slopes = criterion.evaluate(point).derivatives(True)
    gradient, hessian = differences(criterion, point, len(slopes.gradient))
    assert_allclose(slopes.gradient, gradient, atol=1e-7 * np.abs(gradient).max())
    assert_allclose(slopes.curvature, hessian, atol=1e-7 * np.abs(hessian).max())


@BY_CASE
def test_products_with_rows(case, by_neighbors):
    model = criterion_of(case).model
    x = model.start() + 0.2
    roots = model.at(x).roots
    n = model.layout.n_rows
    columns = np.random.default_rng(1).standard_normal((n, 3))
    v = roots.whiten(np.eye(n))
    covariance = by_blocks_of(model).at(x).roots
    inverse = np.linalg.inv(covariance.color(covariance.color(np.eye(n)).T))
    assert_allclose(v.T @ v, inverse, atol=1e-11)
    assert_allclose(v @ roots.color(columns), columns, atol=1e-12)
    assert_allclose(roots.whiten_transposed(columns), v.T @ columns, atol=1e-12)
    assert_allclose(v.T @ roots.color_transposed(columns), columns, atol=1e-12)
    assert_allclose(roots.log_determinant, -np.linalg.slogdet(v.T @ v)[1], atol=1e-11)
    z = sparse.random_array((n, 6), density=0.3, rng=1).tocsr()
    assert_allclose(roots.whiten(z).toarray(), v @ z.toarray(), atol=1e-13)


def by_blocks_of(model):
    model = replace(model)
    model.__dict__["chain"] = None
    return model


def series(n, structure, times=None):
    """A single group of n rows."""
    times = np.arange(float(n)) if times is None else times
    layout = lay_out(np.zeros(n, dtype=int), times, relative=True)
    return ResidualCovariance(structure, layout, n, 1, np.zeros((n, 0)), np.ptp(times))


def test_long_groups_are_whitened_by_neighbors():
    assert series(whitening.LONG, Autoregressive()).chain is None
    assert series(whitening.LONG + 1, Autoregressive()).chain is not None
    places = np.random.default_rng(1).random((50, 2))
    layout = lay_out(np.zeros(50, dtype=int), places, relative=True)
    plane = ResidualCovariance(Exponential(), layout, 50, 1, np.zeros((50, 0)), 1.0)
    assert plane.chain is None
    assert series(50, Exponential()).chain is not None
    assert series(50, Exponential(nugget=True)).chain is None


def test_a_series_of_many_rows():
    # y_t = rho y_(t-1) + sqrt(1 - rho^2) w_t, whatever the order of the rows
    n, rho = 3000, 0.9
    order = np.random.default_rng(2).permutation(n)
    model = series(n, Autoregressive(), order.astype(float))
    errors = model.at(model.fold([rho]))
    w = np.random.default_rng(3).standard_normal(n)
    y = np.empty(n)
    y[0] = w[0]
    for t in range(1, n):
        y[t] = rho * y[t - 1] + np.sqrt(1.0 - rho**2) * w[t]
    assert_allclose(errors.colored(w[order]), y[order], atol=1e-11)
    assert_allclose(errors.apply(y[order]), w[order], atol=1e-10)
    assert_allclose(errors.log_determinant, (n - 1) * np.log(1.0 - rho**2), rtol=1e-10)


def test_steps_that_differ():
    # 1,000 rows with gaps of 1 or 2 have two different steps
    gaps = 1.0 + np.arange(999) % 2
    chain = series(1000, Autoregressive(), np.append(0.0, gaps.cumsum())).chain
    assert sorted(set(chain.after[chain.step[chain.follows]])) == [1.0, 2.0]
    assert len(chain.after) <= 3


def test_a_correlation_of_one_is_no_covariance():
    times = np.append(np.arange(50.0), 49.0)  # the last two rows at one time
    model = series(51, ContinuousAutoregressive(), times)
    with pytest.raises(np.linalg.LinAlgError, match="neighbors is 1"):
        model.at(model.start()).apply(np.ones(51))


def test_few_rows_at_a_time(by_neighbors, monkeypatch):
    criterion = criterion_of(CASES[4])
    point = somewhere(criterion)
    whole = criterion.evaluate(point).form.neighbors
    monkeypatch.setattr(projection_forms, "ENTRIES", 5)
    few = criterion.evaluate(point).form.neighbors
    follows = criterion.model.chain.follows
    assert_allclose(few.whitened, whole.whitened, rtol=1e-12)
    assert_allclose(few.across[follows], whole.across[follows], atol=1e-12)
    assert_allclose(few.before[follows], whole.before[follows], rtol=1e-12)
