"""Adaptive quadrature: one node is Laplace's, and many are the integral."""

from dataclasses import replace

import numpy as np
import pytest
from generalized_twin import (
    COEFFICIENTS,
    EXTRA,
    FAMILIES,
    away,
    conditional,
    evaluation,
    factors_of,
    gradient_slope_away,
    loglike,
    slope_away,
)
from numpy.testing import assert_allclose
from scipy import integrate
from scipy.special import logsumexp

from statsmodels_lmm.core.criteria import quadrature
from statsmodels_lmm.core.criteria.laplace import Place
from statsmodels_lmm.core.criteria.quadrature import Quadrature, product_grid


def at(name, family, n_nodes, observed=True, tolerance=1e-14):
    criterion = Quadrature(conditional(name, family), observed, n_nodes=n_nodes)
    point = criterion.point(COEFFICIENTS, factors_of(name), EXTRA.get(family))
    return criterion.at(Place(point, COEFFICIENTS), tolerance)


def names():
    from dense_twin import SHAPES

    found = []
    for name in SHAPES:
        model = conditional(name, "logit")
        if quadrature.can_be_integrated(model):
            found.append(name)
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", names())
def test_one_node_is_laplace(name, family):
    one, laplace = at(name, family, 1), evaluation(name, family)
    assert_allclose(float(one.value), float(laplace.value), rtol=1e-12)
    assert_allclose(one.first.gradient, laplace.first.gradient, atol=1e-7)


@pytest.mark.parametrize("family", ["logit", "poisson", "gamma"])
def test_many_nodes_are_the_integral(family):
    """Level by level, by a quadrature of another kind."""
    name = "one factor"
    model, extra = conditional(name, family), EXTRA.get(family)
    (term,), (factor,) = model.terms, factors_of(name)
    deviation, total = float(factor.matrix[0, 0]), 0.0
    for g in range(term.n_levels):
        rows = np.flatnonzero(term.codes == g)
        own = quadrature._of_rows(model, rows)
        fixed = own.exog @ COEFFICIENTS + own.offset

        def log_density(u, own=own, rows=rows, fixed=fixed):
            eta = fixed + term.effects[rows, 0] * deviation * u
            return loglike(own, eta, extra) - 0.5 * u**2 - 0.5 * np.log(2.0 * np.pi)

        peak = max(map(log_density, np.linspace(-8.0, 8.0, 81)))
        area, _ = integrate.quad(
            lambda u, top=peak: np.exp(log_density(u) - top),
            *(-9.0, 9.0),
            limit=200,
            epsabs=1e-12,
        )
        total += peak + np.log(area)
    assert_allclose(float(at(name, family, 41).value), -2.0 * total, rtol=1e-9)


def test_two_effects_by_a_fixed_grid():
    """A wide grid that is not adapted."""
    (name,) = [n for n in names() if conditional(n, "logit").terms[0].k_effects == 2][
        :1
    ]
    model = conditional(name, "logit")
    (term,), (factor,) = model.terms, factors_of(name)
    nodes, log_weights = product_grid(60, 2)
    log_weights = log_weights - 0.5 * (nodes**2).sum(axis=1)
    total = 0.0
    for g in range(term.n_levels):
        rows = np.flatnonzero(term.codes == g)
        own = quadrature._of_rows(model, rows)
        fixed = own.exog @ COEFFICIENTS + own.offset
        eta = fixed + (nodes @ factor.matrix.T) @ term.effects[rows].T
        each = -(own.half_deviances(eta) + own.family.saturated(own.endog, own.weights))
        total += logsumexp(each.sum(axis=1) + log_weights)
    assert_allclose(float(at(name, "logit", 25).value), -2.0 * total, rtol=1e-8)


def check_gradient(found):
    """In a direction that moves every parameter."""
    gradient = found.first.gradient
    size = np.abs(gradient).max()
    assert_allclose(gradient @ away(found), slope_away(found), rtol=0, atol=1e-8 * size)


@pytest.mark.parametrize("n_nodes", [3, 7])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", names())
def test_gradient(name, family, n_nodes):
    check_gradient(at(name, family, n_nodes))


@pytest.mark.parametrize("family", ["probit", "gaussian, log"])
def test_gradient_with_expected_weights(family):
    check_gradient(at(names()[0], family, 5, observed=False))


def costly_once():
    """Every family, but only one with the many nodes that three effects have."""
    three = [n for n in names() if conditional(n, "logit").terms[0].k_effects == 3]
    pairs = [(name, family) for name in names() for family in FAMILIES]
    return [(n, f) for n, f in pairs if n not in three or f == "logit"]


@pytest.mark.parametrize(("name", "family"), costly_once())
def test_louis_curvature_is_the_hessian_with_many_nodes(name, family):
    errors = []
    for n_nodes in (5, 15):
        found = at(name, family, n_nodes)
        expected = gradient_slope_away(found)
        error = np.abs(found.first.curvature @ away(found) - expected).max()
        errors.append(error / np.abs(expected).max())
    assert errors[1] < max(2e-4, 0.2 * errors[0])


@pytest.mark.parametrize("name", names())
def test_hessian(name):
    found = at(name, "negative binomial", 3)
    size = np.abs(found.hessian).max()
    slope = gradient_slope_away(found)
    assert_allclose(found.hessian @ away(found), slope, rtol=0, atol=3e-7 * size)
    assert_allclose(found.hessian, found.hessian.T)


@pytest.mark.parametrize("name", names())
def test_the_dual_is_the_slope_in_the_covariance(name):
    found = at(name, "logit", 15)
    (factor,), (dual,) = found.factors, found.first.duals
    slope = found.first.gradient[2:]
    assert_allclose(factor.slope(dual), slope, atol=1e-4 * np.abs(slope).max())


def test_levels_in_batches(monkeypatch):
    whole = at("one factor", "logit", 9)
    monkeypatch.setattr(quadrature, "ENTRIES", 100)
    parts = at("one factor", "logit", 9)
    assert len(parts.criterion.batches) > 3
    assert_allclose(float(parts.value), float(whole.value), rtol=1e-14)
    assert_allclose(parts.first.gradient, whole.first.gradient, atol=1e-10)
    assert_allclose(parts.first.curvature, whole.first.curvature, atol=1e-9)


def test_more_than_one_factor_is_refused():
    with pytest.raises(ValueError, match="one grouping factor"):
        Quadrature(conditional("2 crossed", "logit"), n_nodes=5)


def test_repeats():
    model = conditional("one factor", "poisson")
    repeats = 1.0 + (np.arange(len(model.endog)) % 2)
    criterion = Quadrature(replace(model, repeats=repeats), n_nodes=9)
    found = criterion.at_parameters(COEFFICIENTS, factors_of("one factor"))
    plain = Quadrature(model, n_nodes=9)
    other = plain.at_parameters(COEFFICIENTS, factors_of("one factor"))
    assert float(found.value) > float(other.value) + 1.0
