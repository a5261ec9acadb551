"""Trust-region steps, the search and its certificate."""

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

from statsmodels_lmm.core.criteria.deviance import Profiled, profiled_deviance
from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.rows.standardize import standardize
from statsmodels_lmm.core.search.newton import Settings, minimize
from statsmodels_lmm.core.search.trust_region import trust_region_step
from statsmodels_lmm.core.structures.relative_factor import full_factor


def quadratic(gradient, curvature, steps):
    """G's + s'H s / 2 for each row s."""
    return steps @ gradient + 0.5 * ((steps @ curvature) * steps).sum(axis=1)


def by_brute_force(gradient, curvature, radius):
    """Largest decrease among very many points of the ball."""
    m = len(gradient)
    if m == 2:
        angle = np.linspace(0.0, 2.0 * np.pi, 4001)
        sphere = np.column_stack([np.cos(angle), np.sin(angle)])
    else:  # a spiral that covers the sphere evenly
        i = np.arange(20_000) + 0.5
        z = 1.0 - i / 10_000
        angle = np.pi * (1.0 + 5.0**0.5) * i
        flat = np.sqrt(1.0 - z**2)
        sphere = np.column_stack([flat * np.cos(angle), flat * np.sin(angle), z])
    # along each ray the best length in closed form
    slope = sphere @ gradient
    bend = ((sphere @ curvature) * sphere).sum(axis=1)
    inside = np.where(bend > 0, -slope / np.where(bend > 0, bend, 1.0), radius)
    length = np.clip(inside, 0.0, radius)
    return -quadratic(gradient, curvature, sphere * length[:, None]).min()


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("signs", ["positive", "indefinite", "negative"])
def test_step_is_the_best(m, signs):
    """
    No point of the ball is better by more than 1 %.

    The radius is met to 1e-3 only, and the points of brute force are that dense.
    Slopes along negative curvature are at least 2 % of the whole: smaller ones are
    put off, see below.
    """
    rng = np.random.default_rng(3)
    for _ in range(60):
        values = rng.uniform(0.1, 3.0, m)
        if signs == "negative":
            values = -values
        elif signs == "indefinite":
            values[0] *= -1.0
        vectors = np.linalg.qr(rng.standard_normal((m, m)))[0]
        curvature = (vectors * values) @ vectors.T
        slope = rng.standard_normal(m)
        slope += 0.02 * np.linalg.norm(slope) * np.sign(slope)
        gradient = vectors @ slope
        radius = rng.uniform(0.1, 3.0)
        step, promised = trust_region_step(gradient, curvature, radius)
        assert np.linalg.norm(step) <= 1.0011 * radius
        value = quadratic(gradient, curvature, step[None])[0]
        assert promised == pytest.approx(-value, rel=1e-9)
        best = by_brute_force(gradient, curvature, radius)
        assert 0.99 * best <= promised <= 1.01 * best


def test_hard_case():
    """No slope along the lowest curvature: the step uses it to the full radius."""
    curvature = np.diag([-1.0, 2.0])
    step, promised = trust_region_step(np.zeros(2), curvature, 0.5)
    np.testing.assert_allclose(np.abs(step), [0.5, 0.0], atol=1e-12)
    assert promised == pytest.approx(0.125)
    # the other slope promises next to nothing
    step, promised = trust_region_step(np.array([0.0, 1e-5]), curvature, 0.5)
    assert abs(step[0]) == pytest.approx(0.5, rel=1e-3)
    assert promised == pytest.approx(0.125, rel=1e-3)


def test_idle_negative_curvature_is_put_off():
    curvature = np.diag([-1.0, 2.0])
    step, promised = trust_region_step(np.array([0.0, 1.0]), curvature, 1.0)
    np.testing.assert_allclose(step, [0.0, -0.5], atol=1e-12)
    assert promised == pytest.approx(0.25)
    # but not for ever: x^4 / 4 - x^2 / 2 + y^2 has its minima at x = 1 and -1
    x, y = 0.0, 1.0
    for _ in range(30):
        gradient = np.array([x**3 - x, 2 * y])
        step, _ = trust_region_step(gradient, np.diag([3 * x**2 - 1, 2.0]), 0.3)
        x, y = x + step[0], y + step[1]
    assert abs(x) == pytest.approx(1.0)
    assert y == pytest.approx(0.0, abs=1e-9)


def test_flat_direction_is_left_alone():
    gradient, curvature = np.array([1e-9, -1.0]), np.diag([1e-12, 1.0])
    step, promised = trust_region_step(gradient, curvature, 10.0)
    np.testing.assert_allclose(step, [0.0, 1.0], atol=1e-12)
    assert promised == pytest.approx(0.5)


def test_no_parameter_moves_at_a_minimum():
    step, promised = trust_region_step(np.zeros(2), np.eye(2), 1.0)
    assert not step.any()
    assert promised == 0.0


def standardized(data):
    found = standardize(data.endog, data.exog, data.factors)
    return Design(found.endog, found.exog, found.factors)


def zeros(products):
    return [np.zeros((f.k_effects,) * 2) for f in products.plan.factors]


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
    roots = [
        full_factor(f.matrix, d.block_slices) for f, d in zip(factors, data.factors)
    ]
    twin = DenseTwin(data.endog, data.exog, data.factors, roots, reml)
    assert float(deviance.value) == pytest.approx(twin.value, abs=1e-9)
    for i, f in enumerate(data.factors):
        dual, root = twin.dual(i), roots[i].matrix
        for block in f.block_slices:
            information = np.trace(twin.level_sum(i)[block, block])
            own = dual[block, block]
            assert np.abs(own @ root[block, block]).max() < 1e-4
            assert lowest(own) > -1e-5 * information
    reported = user_order(products, optimum.dual_eigenvalues, levels=False)
    for i, f in enumerate(data.factors):
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
    roots = [
        full_factor(s, f.block_slices) for s, f in zip(start, products.plan.factors)
    ]
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
    z = dense_z(data.factors[0])
    noise = np.random.default_rng(2).standard_normal(48)
    noise -= z @ np.linalg.lstsq(z, noise)[0]
    data = standardized(Design(noise, np.ones((48, 1)), data.factors))
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
    start = [100.0 * np.eye(f.k_effects) for f in products.plan.factors]
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
    start = starts(
        products, [100.0 * np.eye(f.k_effects) for f in products.plan.factors]
    )
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
    factor = design("one factor").factors[0]
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
