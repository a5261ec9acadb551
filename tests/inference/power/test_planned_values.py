"""The results of a plan have the planned parameters and no others."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from samples import sleepstudy

from statsmodels_lmm import planned
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.power.planned_values import Plan, at_plan


def frame():
    rows = pd.MultiIndex.from_product([range(6), range(5)], names=["g", "x"])
    return rows.to_frame(index=False).assign(h=lambda d: (d["g"] + d["x"]) % 4)


LOG_GAMMA = sm.families.Gamma(sm.families.links.Log())
FIXED = {"Intercept": 2.0, "x": -0.1}
SLOPES = {"var(1 | g)": 0.5, "sd(x | g)": 0.3, "cor(1, x | g)": 0.25}


def test_a_linear_plan():
    """Estimates, their covariance and the variances are those of the parameters."""
    values = FIXED | SLOPES | {"var(h)": 0.2, "var(Residual)": 1.5}
    plan = planned("y ~ x + (x | g) + (1 | h)", frame(), values)
    assert_allclose(plan.params, [2.0, -0.1], rtol=1e-9)
    assert_allclose(plan.scale, 1.5)
    off = 0.25 * np.sqrt(0.5) * 0.3
    covariance = np.array([[0.5, off], [off, 0.09]])
    assert_allclose(plan.cov_re["g"], covariance)
    assert_allclose(plan.cov_re["h"], [[0.2]])
    data = frame()
    z, h = np.eye(6)[data["g"]], np.eye(4)[data["h"]]
    x = np.column_stack([np.ones(30), data["x"]])
    rows = (z[:, :, None] * x[:, None, :]).reshape(30, -1)
    v = rows @ np.kron(np.eye(6), covariance) @ rows.T + 0.2 * h @ h.T
    v += 1.5 * np.eye(30)
    expected = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    assert_allclose(plan.cov_params(), expected, rtol=1e-8)
    assert plan.method == "REML"
    ml = planned("y ~ x + (x | g) + (1 | h)", frame(), values, reml=False)
    assert_allclose(ml.scale, 1.5)
    assert ml.method == "ML"


@pytest.mark.parametrize(
    ("family", "further"),
    [
        ("poisson", {}),
        ("binomial", {}),
        (LOG_GAMMA, {"sigma": 0.5}),
        ("negativebinomial", {"alpha": 0.7}),
    ],
)
def test_a_generalized_plan(family, further):
    values = FIXED | SLOPES | further
    plan = planned("y ~ x + (x | g)", frame(), values, family=family)
    assert_allclose(plan.params, [2.0, -0.1])
    assert_allclose(np.diag(plan.cov_re["g"]), [0.5, 0.09])
    assert_allclose(plan.cov_re["g"].iloc[0, 1], 0.25 * np.sqrt(0.5) * 0.3)
    if "sigma" in further:
        assert_allclose(plan.scale, 0.25)
    if "alpha" in further:
        assert_allclose(plan.alpha, 0.7)
    drawn = plan.simulate(200, rng=0)
    assert drawn.shape == (30, 200)


def test_a_covariance_structure():
    """Its parameters are relative, and stay absolute when sigma is planned."""
    values = {"Intercept": 0.0, "g.ar1": 0.5, "g.ar1.rho": 0.6, "sigma": 2.0}
    plan = planned("y ~ 1 + ar1(0 + C(x) | g)", frame(), values)
    lags = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    assert_allclose(plan.cov_re["g"], 4.0 * 0.25 * 0.6**lags)
    changed = Plan.of(plan)
    changed.set(plan.model, {"sigma": 1.0})
    again = at_plan(plan.model, changed, {})
    assert_allclose(
        again.cov_re["g"] if hasattr(again, "cov_re") else 0, plan.cov_re["g"]
    )
    with pytest.raises(ValueError, match="plan its parameters, g"):
        changed.set(plan.model, {"var(C(x)[0] | g)": 1.0})


def test_some_values_of_a_fit():
    """The others stay at their estimates; correlations too."""
    fit = sleepstudy()
    plan = Plan.of(fit)
    told = plan.set(fit.model, {"Days": 5.0, "var(Days | Subject)": 100.0})
    assert told == {"Days", "var(Days | Subject)"}
    changed = at_plan(fit.model, plan, {})
    assert_allclose(changed.params, [fit.params["Intercept"], 5.0])
    old, new = fit.cov_re["Subject"].to_numpy(), changed.cov_re["Subject"].to_numpy()
    assert_allclose(new[1, 1], 100.0)
    correlation = [c[0, 1] / np.sqrt(c[0, 0] * c[1, 1]) for c in (old, new)]
    assert_allclose(*correlation)
    assert_allclose(changed.scale, fit.scale)


def test_the_response_does_not_matter():
    """It may be missing, constant or anything."""
    values = FIXED | {"var(g)": 1.0, "sigma": 1.0}
    formula, data = "y ~ x + (1 | g)", frame()
    noise = np.random.default_rng(0).normal(size=30)
    every = [data, data.assign(y=0.0), data.assign(y=noise)]
    every.append(data.assign(y=np.where(noise > 0.0, np.nan, noise)))
    fits = [planned(formula, each, values) for each in every]
    fits.append(planned("`y (ms)` ~ x + (1 | g)", data, values))
    for fit in fits[1:]:
        assert_allclose(fit.cov_params(), fits[0].cov_params(), rtol=1e-9)
        assert_allclose(fit.params, fits[0].params)


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({}, ValueError, "Intercept, x, var\\(g\\), var\\(Residual\\) have no planned"),
        (
            {"var(g)": 1.0, "sigma": 1.0, "x": 1.0},
            ValueError,
            "Intercept has no planned",
        ),
        (
            {"z": 1.0},
            ValueError,
            "no parameter z; there are Intercept, x, var",
        ),
        ({"x": "large"}, ValueError, "planned value of x must be a finite number"),
        ({"x": np.nan}, ValueError, "must be a finite number"),
        ({"sigma": 0.0}, ValueError, "the residual variance must be positive"),
        ({"alpha": 1.0}, ValueError, "there is no parameter alpha"),
        ({"cor(1, x | g)": 0.5}, ValueError, "there is no effect by g x"),
        ({"x": 1.0, "b['x']": 0.0}, ValueError, r"x is planned twice; leave out b\['x"),
        ({"sd(g)": 1.0, "var(g)": 0.0}, ValueError, r"var\(g\) is planned twice"),
        ("x", TypeError, "values must be a dict .* {'x': 0.5}, not 'x'"),
        ({"2 * x": 1.0}, ValueError, "there is no parameter 2 \\* x"),
    ],
)
def test_what_is_refused(values, error, words):
    with pytest.raises(error, match=words):
        planned("y ~ x + (1 | g)", frame(), values)


def test_contradictions():
    values = FIXED | SLOPES | {"sigma": 1.0, "cor(1, x | g)": -1.2}
    with pytest.raises(DataError, match="by g is not positive semi-definite"):
        planned("y ~ x + (x | g)", frame(), values)
    with pytest.raises(ValueError, match="not freely correlated"):
        planned("y ~ x + (x || g)", frame(), values)
    with pytest.raises(ValueError, match="Poisson model has no residual variance"):
        planned("y ~ x + (x | g)", frame(), values, family="poisson")


@pytest.mark.parametrize("seed", range(3))
def test_a_column_drawn_with_any_seed(seed):
    design = pd.DataFrame({"a b": np.random.default_rng(seed).standard_normal(20)})
    design["g"] = np.arange(20) % 5
    values = {"Intercept": 0.0, "`a b`": 0.5, "var(g)": 1.0, "sigma": 1.0}
    plan = planned("y ~ `a b` + (1 | g)", design, values)
    assert_allclose(plan.params, [0.0, 0.5], atol=1e-12)
    assert plan.power("`a b`", nsim=2).effect == "`a b`"
