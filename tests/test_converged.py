"""
What ``converged`` promises: that no covariance matrices near by are better.

A point where the criterion has no slope is not yet an optimum: at a variance of zero it
never has one in the standard deviation. There the dual matrix decides.
"""

import warnings

import numpy as np
import pandas as pd
import pytest
from samples import load
from scipy import optimize

from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

SLEEP = load("sleepstudy")


def stopped_at(model, theta, reml=True, maxiter=1, **options):
    """The fit that evaluates the criterion at theta and, by default, nowhere else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(reml, start_params=theta, maxiter=maxiter, **options)


def one_way(f_statistic, groups=20, rows=6):
    """Balanced groups of which the F statistic is given."""
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(groups), rows)
    means = rng.standard_normal(groups)
    means = (means - means.mean())[g]
    within = rng.standard_normal(len(g))
    within -= (np.bincount(g, within) / rows)[g]
    mean_squares = [
        (means**2).sum() / (groups - 1),
        (within**2).sum() / (groups * (rows - 1)),
    ]
    means *= np.sqrt(f_statistic * mean_squares[1] / mean_squares[0])
    return pd.DataFrame({"g": g, "y": 3.0 + means + within})


@pytest.mark.parametrize("f_statistic", [10.0, 2.0, 1.1, 1.01, 1.003])
def test_zero_that_is_not_the_optimum(f_statistic):
    """REML of balanced data is above zero where F is above one."""
    model = crossedmixedlm("y ~ 1 + (1 | g)", one_way(f_statistic))
    best, at_zero = model.fit(), stopped_at(model, [0.0])
    assert best.theta.iloc[0] ** 2 == pytest.approx((f_statistic - 1) / 6, rel=1e-6)
    assert best.converged
    assert 2.0 * (best.llf - at_zero.llf) > 1e-6
    assert at_zero.theta.iloc[0] == 0.0
    assert at_zero.optimum.gradient_norm < 1e-12
    assert at_zero.boundary_table()["dual"].iloc[0] < 0.0
    assert not at_zero.converged
    assert not at_zero.optimum.certified


def nested(f_statistic, residual, groups=20, cells=5, rows=3):
    """
    Balanced cells in groups, of which F is given; the residuals are small.

    What the data tell of the groups is little next to 1 / sigma^2, and so is the slope
    of the criterion: only relative to the information it is seen.
    """
    rng = np.random.default_rng(5)
    a, b = np.divmod(np.repeat(np.arange(groups * cells), rows), cells)
    means, inner = rng.standard_normal(groups), rng.standard_normal((groups, cells))
    means = means - means.mean()
    inner -= inner.mean(axis=1, keepdims=True)
    between = cells * (means**2).sum() / (groups - 1)
    within = (inner**2).sum() / (groups * (cells - 1))
    means *= np.sqrt(f_statistic * within / between)
    noise = rng.standard_normal((groups, cells, rows))
    noise -= noise.mean(axis=2, keepdims=True)
    y = means[a] + inner[a, b] + residual * noise.ravel()
    return pd.DataFrame({"a": a, "b": b, "y": y})


def nested_optimum(data):
    """Relative deviations of groups and cells by the mean squares, none of zero."""
    y = data.groupby(["a", "b"])["y"]
    cells, rows = y.mean().unstack(), y.size().iloc[0]
    groups = cells.mean(axis=1)
    k, m = cells.shape
    error = y.var().mean()
    inner = rows * cells.sub(groups, axis=0).pow(2).sum(axis=None) / (k * (m - 1))
    outer = rows * m * groups.var()
    assert outer > inner > error
    relative = np.array([(outer - inner) / m, inner - error]) / (rows * error)
    return np.sqrt(relative)


SMALL_RESIDUALS = [(1.003, 1e-3), (1.1, 1e-4), (3.0, 1e-5)]


@pytest.mark.parametrize(("f_statistic", "residual"), SMALL_RESIDUALS)
def test_zero_next_to_a_large_variance(f_statistic, residual):
    data = nested(f_statistic, residual)
    model = crossedmixedlm("y ~ 1 + (1 | a) + (1 | a:b)", data)
    alone = crossedmixedlm("y ~ 1 + (1 | a:b)", data).fit()
    found = stopped_at(model, [0.0, alone.theta.iloc[0]])
    assert 2.0 * (model.loglike(nested_optimum(data)) - found.llf) > 2e-5
    assert found.boundary_table()["dual"].iloc[0] < -1e-3
    assert not found.converged


def test_few_groups_next_to_thousands_of_cells():
    """
    A step promises nothing: next to the curvature of the cells that of the groups is
    none. The dual, relative to what the data tell of the groups, is not zero.
    """
    data = nested(1.002, 1e-2, groups=4, cells=5000, rows=2)
    model = crossedmixedlm("y ~ 1 + (1 | a) + (1 | a:b)", data)
    best = nested_optimum(data)
    found = stopped_at(model, [0.0, best[1]])
    assert 2.0 * (model.loglike(best) - found.llf) > 2e-6
    assert found.optimum.promised < 1e-8
    assert -1e-2 < found.boundary_table()["dual"].iloc[0] < -1e-3
    assert not found.converged


@pytest.mark.parametrize(
    ("f_statistic", "residual"),
    [(1.003, 1.0), (3.0, 0.1), (3.0, 1e-2), *SMALL_RESIDUALS],
)
def test_what_is_proved_is_the_optimum_next_to_a_large_variance(f_statistic, residual):
    data = nested(f_statistic, residual)
    model = crossedmixedlm("y ~ 1 + (1 | a) + (1 | a:b)", data)
    found = stopped_at(model, None, maxiter=200)
    best = model.loglike(nested_optimum(data))
    # the data have lost so many digits of the residuals
    rounding = 1e-13 / residual**2
    assert not found.converged or 2.0 * (best - found.llf) < 1e-6 + rounding
    if residual > 1e-3:
        assert found.converged
        np.testing.assert_allclose(found.theta, nested_optimum(data), rtol=1e-5)


@pytest.mark.parametrize("left", [1e-7, 1e-5])
def test_how_near_is_near(left):
    """An optimum is proved where another step would gain less than 1e-6."""
    model = crossedmixedlm("y ~ 1 + (1 | g)", one_way(3.0))
    best = model.fit()
    bend = -2.0 * model.hessian(best.theta)[0, 0]
    found = stopped_at(model, best.theta + np.sqrt(2.0 * left / bend))
    assert 2.0 * (best.llf - found.llf) == pytest.approx(left, rel=0.1)
    assert found.optimum.promised == pytest.approx(left, rel=0.1)
    assert found.converged == (left < 1e-6)


@pytest.mark.parametrize("f_statistic", [0.999, 0.9, 0.3])
def test_zero_that_is(f_statistic):
    model = crossedmixedlm("y ~ 1 + (1 | g)", one_way(f_statistic))
    at_zero = stopped_at(model, [0.0])
    assert at_zero.boundary_table()["dual"].iloc[0] > 0.0
    assert at_zero.converged
    assert model.fit().theta.iloc[0] == 0.0


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("kept", [0, 1])
def test_one_of_two_variances_at_zero(kept, reml):
    """The other one at its best: no slope, and yet no optimum."""
    terms = ["(1 | Subject)", "(0 + Days | Subject)"]
    model = crossedmixedlm(f"Reaction ~ Days + {' + '.join(terms)}", SLEEP)
    alone = crossedmixedlm(f"Reaction ~ Days + {terms[kept]}", SLEEP).fit(reml)
    theta = np.zeros(2)
    theta[kept] = alone.theta.iloc[0]
    found = stopped_at(model, theta, reml)
    assert found.llf == pytest.approx(alone.llf, abs=1e-8)
    assert found.optimum.gradient_norm < 1e-4
    duals = found.boundary_table()["dual"]
    assert duals[1 - kept] < -1e-3
    assert abs(duals[kept]) < 1e-5
    assert not found.converged


def test_the_best_correlation_of_one_is_not_the_optimum():
    """Of rank one it has no slope; the direction that is not used shows the way."""
    model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", SLEEP)
    best = optimize.minimize(
        lambda theta: -model.loglike([*theta, 0.0]), [1.0, 0.2], options={"gtol": 1e-7}
    )
    found = stopped_at(model, [*best.x, 0.0])
    assert found.optimum.gradient_norm < 1e-4
    assert found.boundary_table()["dual"].iloc[0] < -1e-3
    assert not found.converged
    assert model.fit().llf > found.llf + 1e-2


def test_almost_zero_is_put_to_zero_only_where_that_is_no_worse():
    """A search that may stop at once stays where it is."""
    model = crossedmixedlm("y ~ 1 + (1 | g)", one_way(1e4, groups=20, rows=50))
    found = stopped_at(model, [1e-5], maxiter=5, tol=1e12)
    assert model.loglike([1e-5]) - model.loglike([0.0]) > 1e-6
    assert found.theta.iloc[0] == pytest.approx(1e-5)
    assert found.llf == pytest.approx(model.loglike([1e-5]), abs=1e-9)
    assert not found.converged


# given parameters ----------------------------------------------------------------


@pytest.mark.filterwarnings("error")
def test_planned_parameters():
    """They are kept, whatever the response; fits to draws from them are searches."""
    g, x = np.divmod(np.arange(60), 6)
    data = pd.DataFrame({"y": x % 2, "g": g, "x": x})
    model = crossedmixedglm("y ~ x + (x | g)", data, family="negativebinomial")
    params = np.array([1.0, 0.1, 0.4, -0.1, 0.2, 0.3])
    planned = model.fit(start_params=params, maxiter=0)
    found = np.concatenate([planned.params, planned.theta, [planned.alpha]])
    np.testing.assert_allclose(found, params)
    np.testing.assert_allclose(planned.llf, model.loglike(params))
    assert not planned.converged
    assert "NOT proved: parameters as given; 1 start; 1 evaluation:" in str(
        planned.summary()
    )
    drawn = planned.simulate(1, rng=0)[0]
    again = planned.refit(drawn)
    best = crossedmixedglm(
        "y ~ x + (x | g)", data.assign(y=drawn), family="negativebinomial"
    ).fit()
    np.testing.assert_allclose(again.llf, best.llf, rtol=1e-7)
    with pytest.raises(ValueError, match="maxiter=0 stays at start_params"):
        model.fit(maxiter=0)


def test_given_theta_of_a_linear_model():
    model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", SLEEP)
    theta = [1.0, 0.0, 0.3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        given = model.fit(start_params=theta, maxiter=0)
    np.testing.assert_allclose(given.theta, theta, atol=1e-12)
    np.testing.assert_allclose(given.llf, model.loglike(theta))
    assert "parameters as given" in str(given.summary())
    fixed = pd.Series(given.params)
    with pytest.raises(ValueError, match="maxiter=0 stays"):
        model.fit(start_params=fixed, maxiter=0)
