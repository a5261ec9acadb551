"""The criterion with one parameter held, against differences and dense minima."""

import numpy as np
import pytest
from dense_twin import dense_z, design, products_of, starts
from numpy.testing import assert_allclose
from scipy.optimize import minimize as minimize_dense

from statsmodels_lmm.core.criteria.deviance import Profiled
from statsmodels_lmm.core.search.constrained import minimize_constrained
from statsmodels_lmm.core.search.constraints import (
    Correlation,
    FixedEffect,
    ResidualDeviation,
    StandardDeviation,
)
from statsmodels_lmm.core.search.newton import Settings, minimize

STEP = 1e-4
# values are exact to about 1e-10 and the third derivatives are of the order of n
DIFFERENCES = 1e-4

DESIGNS = (
    "one factor, 2 effects",
    "one factor, 3 effects",
    "one factor, blocks 1 and 2",
    "2 crossed, 2 effects each",
    "chain and tail",
)


def unit(*entries):
    return np.array(entries) / np.linalg.norm(entries)


def fitted(name, reml):
    products = products_of(design(name, n=60))
    start = starts(products, [np.eye(f.k_effects) for f in products.plan.terms])
    deviance, _ = minimize(Profiled(products, reml), start, Settings(tol=1e-12))
    return products, deviance, (deviance.factors, float(deviance.scale) ** -0.5)


def constraints_of(products):
    """Every kind of parameter of every block, oblique directions included."""
    p = products.k_fixed
    out = [ResidualDeviation(), FixedEffect(np.eye(p)[1])]
    out.append(FixedEffect(unit(*np.arange(1.0, p + 1))))
    for i, factor in enumerate(products.plan.terms):
        for block in factor.block_slices:
            k = block.stop - block.start
            out.append(StandardDeviation(i, block, unit(*np.arange(1.0, k + 1))))
            if k > 1:
                first, second = np.eye(k)[0], unit(*np.arange(1.0, k + 1)[::-1])
                out.append(Correlation(i, block, first, second))
    return out


def estimate_of(constraint, deviance, start):
    return constraint.estimate(deviance.coefficients, *start)


CASES = [
    (name, at, reml)
    for name in DESIGNS
    for at in range(9)
    for reml in (False, True)
    if at < len(constraints_of(products_of(design(name, n=60))))
]


@pytest.mark.parametrize(("name", "which", "reml"), CASES)
def test_value_slope_and_constraint(name, which, reml):
    products, deviance, start = fitted(name, reml)
    constraint = constraints_of(products)[which]
    estimate = estimate_of(constraint, deviance, start)
    if np.isnan(estimate):
        pytest.skip("the parameter means nothing at this optimum")

    criterion = Profiled(products, reml)

    def held(at, start=start):
        return minimize_constrained(criterion, constraint, at, start, 1e-12)

    for change in (0.07, 0.2):
        at = estimate + change if estimate < 2.5 else estimate - change
        found = held(at)
        coefficients = found.deviance.coefficients
        back = constraint.estimate(coefficients, found.factors, found.tau)
        if not np.isnan(back):
            assert_allclose(back, at, rtol=1e-9)
        near = (found.factors, found.tau)
        rise = held(at + STEP, near).value - held(at - STEP, near).value
        difference = rise / (2 * STEP)
        assert_allclose(found.slope, difference, atol=DIFFERENCES, rtol=1e-6)
        if not (isinstance(constraint, FixedEffect) and reml):
            assert found.value > deviance.value - 1e-9
    assert found.evaluations < 25


@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("name", ["one factor, 2 effects", "chain and tail"])
def test_at_the_estimate_nothing_moves(name, reml):
    products, deviance, start = fitted(name, reml)
    for constraint in constraints_of(products):
        if isinstance(constraint, FixedEffect) and reml:
            continue
        at = estimate_of(constraint, deviance, start)
        found = minimize_constrained(Profiled(products, reml), constraint, at, start)
        assert_allclose(found.value, deviance.value, atol=1e-9)
        assert_allclose(found.slope, 0.0, atol=1e-4)


@pytest.mark.parametrize("name", ["one factor, 2 effects", "2 crossed"])
@pytest.mark.parametrize("reml", [False, True])
def test_second_derivative(name, reml):
    products, deviance, start = fitted(name, reml)
    criterion = Profiled(products, reml)
    for constraint in constraints_of(products):
        if isinstance(constraint, FixedEffect):
            continue
        at = estimate_of(constraint, deviance, start)
        slopes = [
            minimize_constrained(criterion, constraint, x, start, 1e-13).slope
            for x in (at + STEP, at - STEP)
        ]
        found = minimize_constrained(Profiled(products, reml), constraint, at, start)
        expected = (slopes[0] - slopes[1]) / (2 * STEP)
        assert_allclose(found.second_derivative, expected, rtol=1e-4)


def dense_criterion(data, reml):
    """The criterion of one factor with two effects, in (S, sigma)."""
    z = dense_z(data.terms[0])
    y, x = data.endog, data.exog
    n, p = x.shape
    levels = data.terms[0].n_levels

    def value(covariance, sigma):
        v = z @ np.kron(np.eye(levels), covariance) @ z.T + sigma**2 * np.eye(n)
        inverse, logdet = np.linalg.inv(v), np.linalg.slogdet(v)[1]
        xvx = x.T @ inverse @ x
        r = y - x @ np.linalg.solve(xvx, x.T @ inverse @ y)
        total = logdet + r @ inverse @ r + (n - p * reml) * np.log(2 * np.pi)
        return total + reml * np.linalg.slogdet(xvx)[1]

    return value


@pytest.mark.slow
@pytest.mark.parametrize("reml", [False, True])
@pytest.mark.parametrize("kind", ["sd", "correlation", "sigma"])
def test_dense_minima(kind, reml):
    """Three points of a profile by a minimizer without derivatives."""
    data = design("one factor, 2 effects", n=60)
    products, _, start = fitted("one factor, 2 effects", reml)
    value = dense_criterion(data, reml)
    block = slice(0, 2)
    if kind == "sd":
        constraint = StandardDeviation(0, block, np.array([1.0, 0.0]))
        points = (0.2, 1.0, 2.5)

        def dense(z, at):
            root = np.array([[at, 0.0], [z[0], z[1]]])
            return value(root @ root.T, np.exp(z[2]))

    elif kind == "sigma":
        constraint = ResidualDeviation()
        points = (-0.3, 0.0, 0.3)

        def dense(z, at):
            root = np.array([[z[2], 0.0], [z[0], z[1]]])
            return value(root @ root.T, np.exp(at))

    else:
        constraint = Correlation(0, block, np.array([1.0, 0.0]), np.array([0.0, 1.0]))
        points = (0.5, 1.2, 2.4)

        def dense(z, at):
            a, b = np.exp(z[:2])
            c = a * b * np.cos(at)
            return value(np.array([[a * a, c], [c, b * b]]), np.exp(z[2]))

    for at in points:
        found = minimize_constrained(Profiled(products, reml), constraint, at, start)
        best = min(
            minimize_dense(
                dense,
                guess,
                (at,),
                "Nelder-Mead",
                options={"xatol": 1e-6, "fatol": 1e-10, "maxfev": 3000},
            ).fun
            for guess in ([0.1, 0.5, 0.3], [0.5, -0.4, 0.1])
        )
        assert_allclose(found.value, best, atol=1e-7)


@pytest.mark.parametrize("at", [0.0, 0.1, np.pi])
def test_a_deviation_that_a_correlation_drives_to_zero(at):
    """Lengths must not turn negative: that would be the opposite correlation."""
    rng = np.random.default_rng(5)
    levels, n = 40, 400
    codes = np.arange(n) % levels
    x = np.tile(np.repeat([-1.0, 1.0], levels), n // levels // 2)
    u = rng.standard_normal(levels)
    # the truth is a correlation of -1, or of 1 after the turn
    slope = -0.7 * u if at < 2.0 else 0.7 * u
    y = u[codes] + slope[codes] * x + 0.3 * rng.standard_normal(n)
    data = design("one factor, 2 effects")
    effects = np.column_stack([np.ones(n), x])
    factor = type(data.terms[0])(codes, levels, effects, (2,))
    data = type(data)(y, np.ones((n, 1)), (factor,))
    products = products_of(data)
    deviance, _ = minimize(Profiled(products, False), starts(products, [np.eye(2)]))
    start = (deviance.factors, float(deviance.scale) ** -0.5)
    pair = Correlation(0, slice(0, 2), *np.eye(2))
    found = minimize_constrained(Profiled(products, False), pair, at, start)
    deviations = np.linalg.norm(found.factors[0].matrix, axis=1)
    # the best is no correlation at all: the smaller of the two effects vanishes
    alone = StandardDeviation(0, slice(0, 2), np.eye(2)[1])
    without = minimize_constrained(Profiled(products, False), alone, 0.0, start)
    assert deviations[1] == 0.0
    assert_allclose(found.value, without.value, atol=1e-8)
