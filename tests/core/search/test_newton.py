"""The search and its certificate."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import (
    SHAPES,
    DenseTwin,
    Design,
    dense_z,
    design,
    products_of,
    starts,
    user_order,
)
from numpy.testing import assert_allclose

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.structures.relative_factor import full_factor, pivoted_factor


def standardized(data):
    found = standardize(data.endog, data.exog, data.terms)
    return Design(found.endog, found.exog, found.terms)


def zeros(products):
    return [np.zeros((f.k_effects,) * 2) for f in products.plan.terms]


def lowest(matrix):
    return np.linalg.eigvalsh(matrix)[0]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_optimum_by_the_dense_twin(name, reml):
    """
    First-order conditions over the cone of covariances, from dense matrices.

    G L = 0 and G positive semi-definite, block by block, relative to the
    information; the search stops at a promised decrease of 1e-10, that is at
    slopes of some 1e-5, and the certificate grants 1e-5.
    """
    data = standardized(design(name, n=80))
    products = products_of(data)
    deviance, optimum = minimize(Profiled(products, reml), moment_start(products))
    assert optimum.certified
    factors = user_order(products, deviance.factors, levels=False)
    roots = [full_factor(f.matrix, d.block_slices) for f, d in zip(factors, data.terms)]
    twin = DenseTwin(data.endog, data.exog, data.terms, roots, reml)
    assert float(deviance.value) == pytest.approx(twin.value, abs=1e-9)
    for i, f in enumerate(data.terms):
        dual, root = twin.dual(i), roots[i].matrix
        for block in f.block_slices:
            information = np.trace(twin.level_sum(i)[block, block])
            own = dual[block, block]
            assert np.abs(own @ root[block, block]).max() < 1e-4
            assert lowest(own) > -1e-5 * information
    reported = user_order(products, optimum.dual_eigenvalues, levels=False)
    for i, f in enumerate(data.terms):
        for block, value in zip(f.block_slices, reported[i]):
            own = twin.dual(i)[block, block]
            information = np.trace(twin.level_sum(i)[block, block])
            assert value == pytest.approx(lowest(own) / information, abs=1e-7)


@pytest.mark.parametrize("name", SHAPES)
def test_escape_from_zero(name):
    """Theta = 0 is stationary, but G is negative there and shows the way out."""
    data = standardized(design(name, n=80))
    products = products_of(data)
    start = zeros(products)
    roots = [full_factor(s, f.block_slices) for s, f in zip(start, products.plan.terms)]
    at_zero = profiled_deviance(products, roots, True)
    slope = at_zero.derivatives()
    assert not slope.gradient.any()
    assert min(lowest(d) for d in slope.duals) < 0.0
    stuck, optimum = minimize(Profiled(products, True), starts(products, start))
    usual, _ = minimize(Profiled(products, True), moment_start(products))
    assert optimum.certified
    assert stuck.value < at_zero.value - 1.0
    assert float(stuck.value) == pytest.approx(float(usual.value), abs=1e-8)


def test_zero_is_kept_where_it_is_best():
    """Group means that differ less than by chance: G is positive at zero."""
    data = design("one factor", n=48)
    z = dense_z(data.terms[0])
    noise = np.random.default_rng(2).standard_normal(48)
    noise -= z @ np.linalg.lstsq(z, noise)[0]
    data = standardized(Design(noise, np.ones((48, 1)), data.terms))
    products = products_of(data)
    deviance, optimum = minimize(Profiled(products, True), moment_start(products))
    assert optimum.theta.tolist() == [0.0]
    assert optimum.certified
    assert optimum.dual_eigenvalues[0][0] > 0.0
    assert deviance.factors[0].matrix[0, 0] == 0.0


@pytest.mark.parametrize("maxiter", [1, 2, 3])
def test_no_certificate_when_stopped(maxiter):
    data = standardized(design("3 crossed", n=80))
    products = products_of(data)
    start = [100.0 * np.eye(f.k_effects) for f in products.plan.terms]
    _, optimum = minimize(
        Profiled(products, True), starts(products, start), Settings(maxiter=maxiter)
    )
    assert not optimum.certified
    assert optimum.evaluations <= maxiter + 1
    assert optimum.promised > 1e-6


def test_the_criterion_never_rises():
    products = products_of(standardized(design("3 crossed", n=80)))
    for start in (moment_start(products), starts(products, zeros(products))):
        _, optimum = minimize(Profiled(products, False), start)
        values = [value for value, *_ in optimum.trace]
        assert (np.diff(values) < 0.0).all()


@pytest.mark.parametrize("name", ["one factor", "3 crossed", "chain of 3"])
def test_a_search_that_nears_a_known_optimum_is_given_up(name):
    products = products_of(standardized(design(name, n=80)))
    best, optimum = minimize(Profiled(products, True), moment_start(products))
    start = starts(products, [100.0 * np.eye(f.k_effects) for f in products.plan.terms])
    assert minimize(Profiled(products, True), start, known=best) == (None, None)
    # not for a place that is no optimum
    at_zero = profiled_deviance(products, [f.nothing() for f in best.factors], True)
    found, again = minimize(Profiled(products, True), start, known=at_zero)
    assert float(found.value) == pytest.approx(float(best.value), abs=1e-8)
    assert again.certified
    np.testing.assert_allclose(again.theta, optimum.theta, atol=1e-6)


@pytest.mark.parametrize("tol", [1e-6, 1e-10, 1e-14, 1e-20])
def test_a_smaller_tolerance_is_not_worse(tol):
    """
    Balanced one-way data, for which the optimum is known in closed form.

    A tolerance below the rounding of the criterion cannot be met by comparing
    its values; it must not cost digits. The last Newton step leaves 1e-10 and
    better in theta.
    """
    levels, rows = 9, 21
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(levels), rows)
    y = 0.3 * rng.standard_normal(levels)[codes] + rng.standard_normal(len(codes))
    factor = design("one factor").terms[0]
    factor = type(factor)(codes, levels, np.ones((len(codes), 1)), (1,))
    data = standardized(Design(y, np.ones((len(codes), 1)), (factor,)))
    products = products_of(data)
    _, optimum = minimize(
        Profiled(products, True), moment_start(products), Settings(tol=tol)
    )
    means = np.bincount(codes, y) / rows
    within = ((y - means[codes]) ** 2).sum() / (levels * (rows - 1))
    between = rows * ((means - means.mean()) ** 2).sum() / (levels - 1)
    theta = np.sqrt((between / within - 1.0) / rows)
    tolerance = 1e-4 if tol == 1e-6 else 1e-10
    assert optimum.theta[0] == pytest.approx(theta, rel=tolerance)


def copies(products, count):
    """The same response many times."""

    def many(array):
        return np.repeat(array[None], count, axis=0)

    level_sums = tuple(map(many, products.level_sums))
    return replace(products, level_sums=level_sums, gram=many(products.gram), rows=None)


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_many_copies_are_searched_like_one(name, reml):
    """The same optima and certificates, by average information instead of Hessians."""
    products = products_of(standardized(design(name, n=80)))
    start = moment_start(products)
    alone, optimum = minimize(Profiled(products, reml), start)
    together, optima = minimize(Profiled(copies(products, 3), reml), start)
    assert together.value.shape == optima.certified.shape == (3,)
    assert_allclose(together.value, alone.value, rtol=1e-10)
    assert optima.certified.all() == optimum.certified
    assert (optima.promised < 1e-6).all()
    assert_allclose(optima.theta, np.tile(optimum.theta, (3, 1)), atol=1e-4)
    for many, one in zip(optima.dual_eigenvalues, optimum.dual_eigenvalues):
        assert_allclose(many, np.tile(one, (3, 1)), atol=1e-5)
    for many, one in zip(optima.duals, optimum.duals):
        size = np.abs(one).max()
        assert_allclose(many, np.stack([one] * 3), atol=1e-3 + 1e-4 * size)
    assert optima.trace == ()


@pytest.mark.parametrize("name", ["one factor, 2 effects", "3 crossed"])
def test_many_starts_end_where_each_does(name):
    """Searches of one response that differ in where they start, and when they end."""
    products = products_of(standardized(design(name, n=80)))
    sizes = (0.01, 1.0, 9.0, 100.0)
    each = [
        starts(products, [s * np.eye(f.k_effects) for f in products.plan.terms])
        for s in sizes
    ]
    together = [
        pivoted_factor(np.stack([f.covariance for f in factors]), factors[0].slices)
        for factors in zip(*each)
    ]
    criterion = Profiled(products, True)
    best, optima = minimize(criterion, together)
    assert len(set(optima.evaluations.tolist())) > 1
    assert optima.certified.all()
    for i, start in enumerate(each):
        alone, _ = minimize(criterion, start)
        assert_allclose(best.value[i], alone.value, rtol=1e-10)
        for many, one in zip(best.factors, alone.factors):
            assert_allclose(many.covariance[i], one.covariance, atol=1e-4, rtol=1e-4)


def test_a_criterion_undefined_at_the_start():
    products = products_of(standardized(design("one factor", n=80)))
    nothing = replace(products, gram=np.full_like(products.gram, np.nan))
    for many in (nothing, copies(nothing, 2)):
        with pytest.raises(np.linalg.LinAlgError):
            minimize(Profiled(many, True), moment_start(products))
