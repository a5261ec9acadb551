"""Responses of a model without a fit, drawn at parameters that are told."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

BOTH = {"g": np.array([[2.0, -0.6], [-0.6, 0.5]]), "h": 1.5}


def frame():
    rng = np.random.default_rng(2)
    g, h = np.divmod(np.arange(24), 4)
    data = pd.DataFrame({"g": g, "h": h, "x": rng.normal(size=24)})
    return data.assign(y=rng.normal(size=24) + g).set_index(data.index + 100)


def crossed(**options):
    return crossedmixedlm("~ x + (x | g) + (1 | h)", frame(), **options)


def moments_agree(drawn, mean, covariance):
    """Means and covariances of many draws, within five of their standard errors."""
    count = drawn.shape[1]
    sd = np.sqrt(np.diag(covariance))
    assert (np.abs(drawn.mean(axis=1) - mean) < 5.0 * sd / count**0.5).all()
    error = np.sqrt((np.outer(sd, sd) ** 2 + covariance**2) / count)
    assert (np.abs(np.cov(drawn.to_numpy()) - covariance) < 5.0 * error).all()


def test_draws_have_the_covariance_that_was_told():
    data, weights = frame(), np.linspace(0.5, 2.0, 24)
    offset = np.linspace(0.0, 9.0, 24)
    model = crossed(weights=weights, offset=offset)
    drawn = model.simulate({"x": 0.5, "Intercept": 3.0}, BOTH, 0.7, nsim=20_000, rng=1)
    assert drawn.index.equals(data.index)
    same_g = data["g"].to_numpy()[:, None] == data["g"].to_numpy()
    same_h = data["h"].to_numpy()[:, None] == data["h"].to_numpy()
    z = np.column_stack([np.ones(24), data["x"]])
    covariance = same_g * (z @ BOTH["g"] @ z.T) + 1.5 * same_h + np.diag(0.7 / weights)
    moments_agree(drawn, 3.0 + 0.5 * data["x"] + offset, covariance)


def test_related_levels():
    root = np.random.default_rng(3).normal(size=(6, 6))
    known = pd.DataFrame(root @ root.T, range(6), range(6))
    data = frame()
    model = crossedmixedlm("~ 1 + (1 | g)", data, relationship={"g": known})
    drawn = model.simulate([0.0], {"g": 2.0}, 1.0, nsim=20_000, rng=1)
    g = data["g"].to_numpy()
    moments_agree(drawn, 0.0, 2.0 * known.to_numpy()[np.ix_(g, g)] + np.eye(24))


def test_the_estimates_of_a_fit_draw_what_the_fit_draws():
    result = crossedmixedlm("y ~ x + (1 | g) + (1 | h)", frame()).fit()
    told = result.params, result.cov_re, result.scale
    drawn = result.model.simulate(*told, nsim=3, rng=5)
    pd.testing.assert_frame_equal(drawn, result.simulate(3, rng=5), rtol=1e-9)


def test_responses_are_those_of_fit_many():
    model = crossed()
    many = model.fit_many(model.simulate([3.0, 0.5], BOTH, 0.7, nsim=4, rng=1))
    assert many.converged.all()
    assert many[3].nobs == 24


@pytest.mark.parametrize(
    ("changed", "error", "told"),
    [
        ({"params": [1.0]}, ValueError, r"shape \(1,\).*2 fixed effects: Intercept, x"),
        ({"params": {"x": 1.0}}, ValueError, "params are of x.*Intercept, x"),
        ({"cov_re": 2.0}, TypeError, "dict from grouping factor.*g, h; not float"),
        ({"cov_re": {"g": 1.0}}, ValueError, "cov_re is of g, and.*of g, h"),
        ({"cov_re": BOTH | {"g": 1.0}}, ValueError, r"shape \(1, 1\).*it is 2 x 2"),
        ({"cov_re": BOTH | {"h": -1.0}}, ValueError, "of h is not positive semi-def"),
        ({"cov_re": BOTH | {"h": np.nan}}, ValueError, "of h has missing or infin"),
        ({"cov_re": BOTH | {"g": np.tri(2)}}, ValueError, "of g is not symmetric"),
        (
            {"cov_re": BOTH | {"g": pd.DataFrame(BOTH["g"])}},
            ValueError,
            "labels of Intercept, x",
        ),
        ({"scale": -1.0}, ValueError, "scale is the residual variance, a positive"),
        ({"nsim": 0}, ValueError, "nsim must be a positive whole number"),
        ({"seed": 1}, TypeError, "seed= is spelled rng="),
        ({"newparams": {}}, TypeError, "three arguments here"),
    ],
)
def test_what_was_told_is_checked(changed, error, told):
    arguments = {"params": [3.0, 0.5], "cov_re": BOTH, "scale": 0.7} | changed
    with pytest.raises(error, match=told):
        crossed().simulate(**arguments)


def test_effects_that_the_formula_makes_independent():
    model = crossedmixedlm("~ x + (x || g)", frame())
    with pytest.raises(ValueError, match="the formula makes independent"):
        model.simulate([3.0, 0.5], {"g": BOTH["g"]}, 0.7)
    alone = {"g": np.diag([1.0, 0.0])}
    assert model.simulate([3.0, 0.5], alone, 0.7).shape == (24, 1)


def test_models_that_have_no_such_draws():
    model = crossedmixedlm("y ~ x + (1 | g)", frame(), dispersion="~ x")
    with pytest.raises(NotImplementedError, match=r"use `result.simulate\(\)`"):
        model.simulate([3.0, 0.5], {"g": 1.0}, 0.7)
    counts = frame().assign(y=frame()["h"])
    model = crossedmixedglm("y ~ x + (1 | g)", counts, family="poisson")
    with pytest.raises(AttributeError, match="its fit has"):
        model.simulate([3.0, 0.5], {"g": 1.0}, 0.7)
    with pytest.raises(DataError, match=r"model.simulate\(params, cov_re, scale\)"):
        crossed().fit()
