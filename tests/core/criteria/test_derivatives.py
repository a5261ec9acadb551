"""Derivatives against central differences of the criterion."""

from dataclasses import replace

import numpy as np
import pytest
from dense_twin import SHAPES, covariances, design, evaluate, products_of, roots_of

from statsmodels_lmm.core.criteria import derivatives as derivatives_module
from statsmodels_lmm.core.engines import projection

STEP = 1e-5
# STEP^2 of truncation and 1e-16 x 200 / STEP of rounding, with a margin of 100
DIFFERENCES = 3e-7


def moved(roots, at, step):
    """The factors with the entry number `at` of all of them moved."""
    out = []
    for root in roots:
        change = np.zeros(root.n_free)
        if 0 <= at < len(change):
            change[at] = step
        at -= len(change)
        out.append(root.moved(change))
    return out


def in_order_of_plan(products, roots):
    return [roots[i] for i in products.plan.order]


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kind", ["regular", "singular"])
@pytest.mark.parametrize("name", SHAPES)
def test_differences(name, kind, reml):
    data = design(name)
    products = products_of(data)
    roots = roots_of(data, covariances(data, kind))
    found = evaluate(products, roots, reml)
    slope = found.derivatives(exact=True)

    gradient, hessian = [], []
    # moving the plan's factors moves the parameters in the plan's order
    planned = in_order_of_plan(products, roots)
    back = np.argsort(products.plan.order)
    for at in range(sum(r.n_free for r in roots)):
        sides = []
        for step in (STEP, -STEP):
            factors = moved(planned, at, step)
            sides.append(evaluate(products, [factors[i] for i in back], reml))
        up, down = sides
        gradient.append((up.value - down.value) / (2 * STEP))
        change = up.derivatives().gradient - down.derivatives().gradient
        hessian.append(change / (2 * STEP))
    size = 1.0 + np.abs(slope.curvature).max()
    assert np.abs(slope.gradient - gradient).max() < DIFFERENCES * size
    assert np.abs(slope.curvature - hessian).max() < DIFFERENCES * size


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", ["2 crossed", "3 crossed", "chain and tail"])
def test_hessian_of_large_models(name, reml, monkeypatch):
    """Where Z'V^-1 Z cannot be formed the gradient is differenced."""
    data = design(name)
    roots = roots_of(data, covariances(data, "regular"))
    found = evaluate(products_of(data), roots, reml)
    exact = found.derivatives(exact=True).curvature
    monkeypatch.setattr(derivatives_module, "MAX_DENSE_COLUMNS", 0)
    differenced = found.derivatives(exact=True).curvature
    assert not np.array_equal(differenced, exact)
    # differences over 1e-4 truncate at 1e-8
    assert np.abs(differenced - exact).max() < 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_levels_with_many_effects(name, reml, monkeypatch):
    """Without the squares of K, whose size is k^4."""
    data = design(name)
    found = evaluate(
        products_of(data), roots_of(data, covariances(data, "regular")), reml
    )
    exact = found.derivatives(exact=True).curvature
    monkeypatch.setattr(projection, "WIDE", 0)
    wide = found.derivatives(exact=True).curvature
    assert np.abs(wide - exact).max() < 1e-10 * np.abs(exact).max()


@pytest.mark.slow
def test_average_information_is_expected_hessian():
    """
    Averaged over responses, average information and Hessian agree.

    At the true covariances both have the information as expectation, less what
    profiling the residual variance takes; 4,000 responses leave 5 % of noise.
    """
    data = design("2 crossed", n=60)
    relative = covariances(data, "regular")
    roots = roots_of(data, relative)
    rng = np.random.default_rng(5)
    average, exact = 0.0, 0.0
    draws = 400
    for _ in range(draws):
        y = rng.standard_normal(len(data.endog))
        for f, root in zip(data.terms, roots):
            b = rng.standard_normal((f.n_levels, f.k_effects)) @ root.matrix.T
            y = y + (f.effects * b[f.codes]).sum(axis=1)
        found = evaluate(products_of(replace(data, endog=y)), roots, True)
        slope = found.derivatives()
        average = average + slope.curvature / draws
        exact = exact + found.derivatives(exact=True).curvature / draws
    assert np.abs(average - exact).max() < 0.15 * np.abs(exact).max()
