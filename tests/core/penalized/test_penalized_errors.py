"""Penalized fits with a covariance of errors, against dense ones and differences."""

import numpy as np
import pytest
from correlated_cases import design, differences, somewhere
from scipy import optimize

from statsmodels_lmm.core.criteria.correlated import Correlated, spread_if_crossed
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.penalized.objective import OBJECTIVES
from statsmodels_lmm.core.penalized.path import PenalizedProblem, weighted_residuals
from statsmodels_lmm.core.penalized.refits import refit
from statsmodels_lmm.core.penalized.wide_columns import WideColumns
from statsmodels_lmm.core.residuals.autoregressive import (
    Autoregressive,
    ContinuousAutoregressive,
)
from statsmodels_lmm.core.residuals.compound import CompoundSymmetry
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.core.search.correlated import search_correlated
from statsmodels_lmm.core.search.newton import Settings
from statsmodels_lmm.core.structures.free_parameters import FreeParameters
from statsmodels_lmm.regularized.lasso import lasso

CASES = {
    # structure, unequal variances, sets of parameters, effects within groups, crossed
    "ar1": (Autoregressive(), False, 1, 1, 0),
    "csh": (CompoundSymmetry(), True, 1, 0, 0),
    "car1": (ContinuousAutoregressive(), True, 2, 1, 1),
    "crossed": (Autoregressive(), False, 1, 0, 1),
    "sd": (None, True, 1, 1, 1),
}


def problem(case, p, objective="scaled", l1=1.0):
    """A PenalizedProblem of which three columns matter, its columns and terms."""
    endog, _, terms, model = design(*CASES[case])
    n = len(endog)
    x = np.random.default_rng(8).normal(size=(n, p))
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = endog + x[:, :3] @ [5.0, -4.0, 3.0]
    terms = [spread_if_crossed(term, model.layout) for term in terms]
    task = PenalizedProblem(
        y,
        np.ones((n, 1)),
        WideColumns.of(x),
        engine_for(terms, n),
        np.linspace(0.8, 1.2, p),
        OBJECTIVES[objective],
        lasso,
        l1,
        errors=model,
    )
    return task, x, terms


def dense_covariance(task, terms, point):
    *factors, phi = point
    whitening = task.errors.at(phi.values)
    v = whitening.colored(whitening.colored(np.eye(len(task.endog))).T).T
    for i, term in enumerate(terms):
        factor = factors[task.engine.plan.order.index(i)]
        z = term.indicator().toarray()
        v = v + z @ np.kron(np.eye(term.n_levels), factor.covariance) @ z.T
    return v


def dense_objective(task, x, v, log_r, fixed, b, s, amount):
    """The scaled objective, or that of lmmlasso, by its definition."""
    r, n = task.endog - fixed - x @ b, len(task.endog)
    size = b
    if task.objective.name == "scaled":
        size = b / (s * np.exp(log_r / (2 * n)))
    weighted = amount * task.weights
    penalty = weighted @ (task.l1 * np.abs(size) + 0.5 * (1.0 - task.l1) * size**2)
    squares = r @ np.linalg.solve(v, r) / s**2
    logs = np.linalg.slogdet(v)[1] + n * np.log(2.0 * np.pi * s**2)
    return 0.5 * (logs + squares) + penalty


def fitted(task, share):
    null = task.without_columns()
    largest = task.largest_amount(null)
    return null, task.at(share * largest, null, 20, previous=largest)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("name", "l1"), [("scaled", 1.0), ("lmmlasso", 1.0), ("scaled", 0.7)]
)
def test_a_fit_meets_the_conditions_for_a_minimum(case, name, l1):
    task, x, terms = problem(case, 70 if name == "scaled" else 15, name, l1)
    _, fit = fitted(task, 0.87 if name == "scaled" else 0.5)
    assert fit.is_proved
    assert fit.optimum.certified
    assert len(fit.chosen)
    assert fit.violation < 1e-8
    v, s = dense_covariance(task, terms, fit.deviance.point), np.sqrt(fit.scale)
    b = np.zeros(x.shape[1])
    b[fit.chosen] = fit.coefficients
    log_r = fit.whitening.log_determinant
    value = dense_objective(task, x, v, log_r, fit.unpenalized[0], b, s, fit.amount)
    assert value == pytest.approx(0.5 * fit.value, rel=1e-10)
    r = np.linalg.solve(v, task.endog - fit.unpenalized[0] - x @ b)
    np.testing.assert_allclose(weighted_residuals(fit.deviance), r, atol=1e-9)
    spread = s * np.exp(log_r / (2.0 * len(r)))
    unit = s**2 / (spread if name == "scaled" else 1.0)
    limit = fit.amount * task.weights
    size = b / spread if name == "scaled" else b
    pull, held = x.T @ r / unit - limit * (1.0 - l1) * size, l1 * limit
    assert (np.abs(pull) <= held * (1.0 + 1e-7)).all()
    np.testing.assert_allclose(
        pull[fit.chosen], (held * np.sign(b))[fit.chosen], rtol=1e-8
    )


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_slopes_and_hessian_are_those_of_the_minimum(case, name):
    task, _, _ = problem(case, 15, name, 0.8 if name == "scaled" else 1.0)
    null = task.without_columns()
    working = np.arange(15)
    start = np.zeros(16), null.scale
    criterion = task._criterion(working, 0.4 * task.largest_amount(null), start)
    plain = Correlated(task.engine, Rows(task.endog, task.exog), task.errors, False)
    point = somewhere(plain)
    here = criterion.evaluate(point)
    assert 0 < np.count_nonzero(here.coefficients[1:]) < 15
    gradient, hessian = differences(criterion, point, len(here.units))
    exact = here.derivatives(exact=True)
    np.testing.assert_allclose(exact.gradient, gradient, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(exact.curvature, hessian, rtol=1e-4, atol=1e-3)


def test_no_dense_search_finds_a_lower_value():
    task, x, terms = problem("ar1", 4)
    null, fit = fitted(task, 0.6)
    assert 0 < len(fit.chosen) < 4

    def objective(values):
        root, phi, log_s, fixed = values[:4]
        factor = fit.deviance.factors[0]
        moved = factor.moved(np.array([root - factor.matrix[0, 0]]))
        v = dense_covariance(task, terms, [moved, FreeParameters(np.array([phi]))])
        b = values[4:8] - values[8:]
        log_r = task.errors.at(np.array([phi])).log_determinant
        return dense_objective(task, x, v, log_r, fixed, b, np.exp(log_s), fit.amount)

    begin = [0.5, task.errors.start()[0], 0.5 * np.log(null.scale), null.unpenalized[0]]
    found = optimize.minimize(
        objective,
        [*begin, *np.full(8, 0.1)],
        bounds=[(0.0, None), *[(None, None)] * 3, *[(0.0, None)] * 8],
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.fun == pytest.approx(0.5 * fit.value, rel=1e-6)
    assert 0.5 * fit.value <= found.fun + 1e-9
    b = np.zeros(4)
    b[fit.chosen] = fit.coefficients
    np.testing.assert_allclose(found.x[4:8] - found.x[8:], b, atol=1e-2)


@pytest.mark.parametrize("case", ["ar1", "csh", "crossed", "sd"])
def test_without_a_penalty_and_without_columns_it_is_the_ml_fit(case):
    task, x, _ = problem(case, 4)
    null = task.without_columns()
    for fit, exog in (
        (null, task.exog),
        (task.at(1.0000001 * task.largest_amount(null), null), task.exog),
        (task.at(1e-10, null), np.column_stack([task.exog, x])),
    ):
        plain = Correlated(task.engine, Rows(task.endog, exog), task.errors, False)
        expected, _ = search_correlated(plain, Settings())
        assert fit.value == pytest.approx(float(expected.value), rel=1e-8)
        found = np.append(fit.unpenalized, fit.coefficients)
        np.testing.assert_allclose(found, expected.coefficients, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(
            fit.deviance.whitening.parameters,
            expected.whitening.parameters,
            atol=1e-4,
        )
    again = refit(task, np.arange(4))
    assert again.value == pytest.approx(float(expected.value), rel=1e-9)
    np.testing.assert_allclose(again.coefficients, expected.coefficients[1:], rtol=1e-5)


def test_sizes_of_random_pulls_are_those_of_dense_matrices():
    task, x, terms = problem("csh", 15)
    null = task.without_columns()
    v = dense_covariance(task, terms, null.deviance.point)
    one = np.linalg.solve(v, np.ones(len(x)))
    inside = np.linalg.inv(v) - np.outer(one, one) / one.sum()
    some = np.array([1, 4, 9])
    expected = np.sqrt(np.diag(x[:, some].T @ inside @ x[:, some]))
    expected *= np.exp(null.whitening.log_determinant / (2.0 * len(x)))
    np.testing.assert_allclose(task.sizes(null, some), expected, rtol=1e-9)
