"""Penalized fits against dense minimizations, differences and conditions."""

import warnings

import numpy as np
import pytest
from scipy import optimize

from statsmodels_lmm.core.criteria.start import moment_start
from statsmodels_lmm.core.engines.choice import engine_for
from statsmodels_lmm.core.penalized.criterion import Penalized
from statsmodels_lmm.core.penalized.objective import OBJECTIVES, Penalty
from statsmodels_lmm.core.penalized.path import PenalizedProblem, weighted_residuals
from statsmodels_lmm.core.penalized.wide_columns import WideColumns
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.model_rows import Rows
from statsmodels_lmm.regularized.lasso import lasso


def sample(seed=0, n_groups=12, size=5, p=90, crossed=False, slopes=False):
    """Response, X, terms: more columns than rows, three of them true."""
    rng = np.random.default_rng(seed)
    n = n_groups * size
    groups = np.repeat(np.arange(n_groups), size)
    x = rng.normal(size=(n, p))
    effects = np.column_stack([np.ones(n), x[:, 0]]) if slopes else np.ones((n, 1))
    k = effects.shape[1]
    terms = [GroupedEffects(groups, n_groups, effects, (k,))]
    u = rng.normal(size=(n_groups, k)) * 0.8
    y = 1.0 + x[:, :3] @ [1.5, -1.0, 0.8] + (effects * u[groups]).sum(axis=1)
    if crossed:
        other = np.tile(np.arange(size), n_groups)
        terms.append(GroupedEffects(other, size, np.ones((n, 1)), (1,)))
        y += 0.7 * rng.normal(size=size)[other]
    return y + 0.5 * rng.normal(size=n), x, terms


def problem(y, x, terms, objective="scaled", l1=1.0, weights=None, **standardize):
    n, p = x.shape
    columns = WideColumns.of(x, **standardize)
    engine = engine_for(terms, n)
    weights = np.ones(p) if weights is None else weights
    chosen = OBJECTIVES[objective]
    return PenalizedProblem(
        y, np.ones((n, 1)), columns, engine, weights, chosen, lasso, l1
    )


def dense_covariance(evaluation, terms, order):
    v = np.eye(terms[0].n_rows)
    for place, i in enumerate(order):
        z = terms[i].indicator().toarray()
        s = evaluation.factors[place].covariance
        v += z @ np.kron(np.eye(terms[i].n_levels), s) @ z.T
    return v


def dense_objective(fit, y, x, terms, order, name, weights, l1):
    """The objective by its definition, from dense matrices."""
    v = dense_covariance(fit.deviance, terms, order)
    r = y - fit.unpenalized[0] - x[:, fit.chosen] @ fit.coefficients
    s2, b = fit.scale, fit.coefficients
    if name == "scaled":
        b = b / np.sqrt(s2)
    w = fit.amount * weights[fit.chosen]
    penalty = (w * (l1 * np.abs(b) + 0.5 * (1.0 - l1) * b**2)).sum()
    squares = r @ np.linalg.solve(v, r) / s2
    n = len(y)
    return (
        0.5 * (np.linalg.slogdet(v)[1] + n * np.log(2 * np.pi * s2) + squares) + penalty
    )


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("l1", [1.0, 0.7])
@pytest.mark.parametrize("crossed", [False, True])
def test_a_fit_is_the_minimum_of_the_objective(name, l1, crossed):
    # the plain objective needs more rows than columns
    p = 90 if name == "scaled" else 20
    y, x, terms = sample(seed=3, crossed=crossed, p=p)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    weights = np.random.default_rng(1).uniform(0.5, 2.0, x.shape[1])
    task = problem(y, x, terms, name, l1, weights)
    null = task.without_columns()
    share = 0.45 if name == "scaled" else 0.6
    amount = share * task.largest_amount(null)
    fit = task.at(amount, null, previous=task.largest_amount(null))
    order = task.engine.plan.order
    assert fit.is_proved
    assert fit.optimum.certified
    assert len(fit.chosen)
    value = dense_objective(fit, y, x, terms, order, name, weights, l1)
    assert value == pytest.approx(0.5 * fit.value, rel=1e-10)
    # the conditions for a minimum in all coefficients, from dense matrices
    v = dense_covariance(fit.deviance, terms, order)
    r = y - fit.unpenalized[0] - x[:, fit.chosen] @ fit.coefficients
    unit = np.sqrt(fit.scale) if name == "scaled" else fit.scale
    pull = x.T @ np.linalg.solve(v, r) / unit
    limit, b = amount * weights, np.zeros(x.shape[1])
    b[fit.chosen] = fit.coefficients / (np.sqrt(fit.scale) if name == "scaled" else 1.0)
    expected = limit * (l1 * np.sign(b) + (1.0 - l1) * b)
    np.testing.assert_allclose(pull[fit.chosen], expected[fit.chosen], rtol=1e-8)
    outside = b == 0.0
    assert (np.abs(pull[outside]) <= l1 * limit[outside] * (1 + 1e-7)).all()
    assert fit.violation < 1e-8
    # neither s nor the variances can be improved
    for place in range(len(terms)):
        for change in (0.97, 1.03):
            factors = list(fit.deviance.factors)
            root = factors[place].matrix[0, 0]
            factors[place] = factors[place].moved(np.array([root * (change - 1.0)]))
            assert fit.deviance.elsewhere(factors).value >= fit.deviance.value - 1e-9


@pytest.mark.parametrize(
    ("name", "l1"), [("scaled", 1.0), ("scaled", 0.6), ("lmmlasso", 1.0)]
)
def test_derivatives_are_those_of_the_minimum(name, l1):
    y, x, terms = sample(seed=5, p=20, slopes=True, n_groups=20)
    exog = np.column_stack([np.ones(len(y)), x])
    engine = engine_for(terms, len(y))
    penalty = Penalty(9.0, np.append(0.0, np.linspace(0.5, 1.5, 20)), l1)
    start = np.zeros(21), float(y.var())
    products = engine.gather(Rows(y, exog))
    criterion = Penalized(products, OBJECTIVES[name], penalty, lasso, start)
    factors = moment_start(engine.gather(Rows(y - y.mean(), exog[:, :0])))
    here = criterion.evaluate(factors)
    assert 0 < np.count_nonzero(here.coefficients[1:]) < 20
    slopes, h = here.derivatives(exact=True), 1e-5
    for a, step in enumerate(np.eye(3) * h):
        up, down = (criterion.evaluate([factors[0].moved(d)]) for d in (step, -step))
        slope = (up.value - down.value) / (2 * h)
        assert slope == pytest.approx(slopes.gradient[a], rel=1e-6, abs=1e-6)
        bend = (up.derivatives().gradient - down.derivatives().gradient) / (2 * h)
        np.testing.assert_allclose(slopes.curvature[a], bend, rtol=2e-5, atol=2e-4)


def test_least_squares_without_a_penalty_are_the_ml_fit():
    y, x, terms = sample(seed=2, p=4)
    task = problem(y, x, terms, center=False, scale=False)
    fit = task.at(1e-12, task.without_columns())
    v = dense_covariance(fit.deviance, terms, [0])
    exog = np.column_stack([np.ones(len(y)), x])
    gram = exog.T @ np.linalg.solve(v, exog)
    b = np.linalg.solve(gram, exog.T @ np.linalg.solve(v, y))
    np.testing.assert_allclose(
        np.append(fit.unpenalized, fit.coefficients), b, rtol=1e-8
    )
    r = y - exog @ b
    assert fit.scale == pytest.approx(r @ np.linalg.solve(v, r) / len(y), rel=1e-8)

    def deviance(log_sd):
        w = np.eye(len(y)) + np.exp(2 * log_sd) * np.kron(np.eye(12), np.ones((5, 5)))
        g = exog.T @ np.linalg.solve(w, exog)
        e = y - exog @ np.linalg.solve(g, exog.T @ np.linalg.solve(w, y))
        s2 = e @ np.linalg.solve(w, e) / len(y)
        return np.linalg.slogdet(w)[1] + len(y) * (1 + np.log(2 * np.pi * s2))

    best = optimize.minimize_scalar(deviance, (-1.0, 1.0), tol=1e-12)
    assert fit.value == pytest.approx(best.fun, rel=1e-9)


def test_the_scaled_path_does_not_depend_on_the_unit_of_the_response():
    y, x, terms = sample(seed=7)
    paths = []
    for unit in (1.0, 1e3):
        task = problem(unit * y, x, terms)
        null = task.without_columns()
        amounts = task.largest_amount(null) * np.logspace(0, -0.6, 12)
        paths.append(list(task.path(amounts, null=null)))
    for one, other in zip(*paths):
        assert one.amount == pytest.approx(other.amount, rel=1e-10)
        np.testing.assert_array_equal(one.chosen, other.chosen)
        np.testing.assert_allclose(
            1e3 * one.coefficients, other.coefficients, rtol=1e-7
        )
    assert len(paths[0][-1].chosen) >= 3
    assert {0, 1, 2} <= set(paths[0][-1].chosen.tolist())
    assert all(f.optimum.certified and f.violation < 1e-8 for f in paths[0])


def test_a_long_step_and_columns_never_chosen():
    y, x, terms = sample(seed=7)
    weights = np.ones(x.shape[1])
    weights[1] = np.inf
    task = problem(y, x, terms, weights=weights)
    null = task.without_columns()
    largest = task.largest_amount(null)
    fit = task.at(0.3 * largest, null, previous=largest)
    assert fit.deviance.elimination.gram.shape[0] < x.shape[1] / 2
    assert 1 not in fit.chosen
    *_, stepwise = task.path(largest * np.array([0.8, 0.6, 0.4, 0.3]), null=null)
    np.testing.assert_array_equal(fit.chosen, stepwise.chosen)
    np.testing.assert_allclose(fit.coefficients, stepwise.coefficients, rtol=1e-6)


def test_equal_columns_are_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 8))
    x[:, 6], x[:, 7], x[:, 5] = 3.0 - 2.0 * x[:, 1], x[:, 1], 4.0
    x[:, 4] = x[:, 2] + 1e-6 * x[:, 3]
    assert WideColumns.of(x).equal_columns == [(1, 6), (1, 7)]
    assert WideColumns.of(x, center=False).equal_columns == [(1, 7)]


def test_a_path_ends_at_the_largest_number_of_columns():
    y, x, terms = sample(seed=7)
    task = problem(y, x, terms)
    null = task.without_columns()
    amounts = task.largest_amount(null) * np.logspace(0, -3, 40)
    fits = list(task.path(amounts, largest=8, null=null))
    assert 0 < len(fits) < 40
    assert max(len(f.chosen) for f in fits) <= 8


@pytest.mark.parametrize("kind", ["sparse", "int8", "rows"])
def test_columns_of_every_kind_are_the_same(kind):
    from scipy import sparse

    rng = np.random.default_rng(4)
    raw = rng.binomial(2, 0.3, size=(60, 25)).astype(np.int8)
    raw[:, 3] = 1
    plain = WideColumns.of(raw.astype(float))
    if kind == "sparse":
        other = WideColumns.of(sparse.csr_array(raw.astype(float)))
    elif kind == "int8":
        other = WideColumns.of(raw)
    else:
        more = np.vstack([np.full((2, 25), 9), raw]).astype(np.int8)
        other = WideColumns.of(more, rows=np.arange(2, 62))
    v, some = rng.normal(size=60), np.array([0, 4, 20])
    np.testing.assert_allclose(other.transposed_times(v), plain.transposed_times(v))
    np.testing.assert_allclose(other.take(some), plain.take(some))
    direct = (raw - raw.mean(axis=0)) / np.where(raw.std(axis=0), raw.std(axis=0), 1.0)
    np.testing.assert_allclose(plain.transposed_times(v), direct.T @ v, atol=1e-12)
    np.testing.assert_allclose(plain.take(some), direct[:, some], atol=1e-12)
    assert plain.transposed_times(v)[3] == 0.0
    raw_b, constant = plain.unstandardized(np.array([1.0, -2.0, 0.5]), some)
    fitted = raw[:, some] @ raw_b + constant
    np.testing.assert_allclose(fitted, direct[:, some] @ [1.0, -2.0, 0.5], atol=1e-12)


def test_columns_that_are_not_finite_are_named():
    x = np.ones((5, 3))
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match=r"\[1\]"):
        WideColumns.of(x)


def test_weighted_residuals_are_those_of_dense_matrices():
    y, x, terms = sample(seed=1, crossed=True)
    task = problem(y, x, terms)
    fit = task.without_columns()
    v = dense_covariance(fit.deviance, terms, task.engine.plan.order)
    expected = np.linalg.solve(v, y - fit.unpenalized[0])
    np.testing.assert_allclose(weighted_residuals(fit.deviance), expected, rtol=1e-9)


def test_the_way_back_finds_lower_minima():
    y, x, terms = sample(seed=11, p=40)
    task = problem(y, x, terms, "lmmlasso")
    null = task.without_columns()
    amounts = task.largest_amount(null) * np.logspace(0, -0.5, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        down = list(task.path(amounts, largest=30, null=null))
    both = list(task.back(amounts[len(down) - 2 :: -1], down[-1], largest=30))[::-1]
    assert len(both) == len(down) - 1
    gains = np.array([a.value - b.value for a, b in zip(down, both)])
    assert gains.max() > 1.0
    assert all(b.optimum.certified and b.violation < 1e-8 for b in both)
