"""Profiles of functions against those of parameters, a dense search and lme4."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp
from numpy.testing import assert_allclose
from samples import load, sample
from scipy import optimize, stats
from scipy.special import expit

from statsmodels_lmm.core.search.held_function import HeldFunction
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.models import linear

LME4 = {
    # d <- lmer(Yield ~ 1 + (1 | Batch), Dyestuff, REML = reml, devFunOnly = TRUE), with
    # roots of d(theta) - min - qchisq(0.95, 1) by uniroot, as theta^2 / (1 + theta^2);
    # R 4.2.2, lme4 1.1-31
    True: (0.41848741, 0.06861372, 0.81874987),
    False: (0.36158435, 0.04163297, 0.75979117),
}
LOG_GAMMA = sm.families.Gamma(sm.families.links.Log())
ICC = "var(Batch) / (var(Batch) + var(Residual))"


@pytest.mark.parametrize("reml", LME4)
def test_intraclass_correlation_of_dyestuff(reml):
    fit = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff")).fit(reml=reml)
    found = fit.derive(ICC, "profile").summary_frame()
    assert list(found.columns) == ["estimate", "lower", "upper"]
    assert_allclose(found.iloc[0], LME4[reml], atol=1e-6)


@pytest.mark.parametrize("rows", [120, 60])
def test_correlations(rows):
    """Limits are those of `profile`, also where the estimate is at an end."""
    data = sample().iloc[:rows].assign(y=lambda d: 1e3 * d["y"])
    fit = crossedmixedlm("y ~ x + (x | g)", data).fit()
    assert fit.is_singular == (rows == 60)
    found = fit.derive("cor(1, x | g)", "profile")
    own = fit.profile("g: cor x, Intercept", n_points=1)
    for alpha in (0.05, 0.5):
        assert_allclose(found.conf_int(alpha), own.conf_int(alpha), rtol=1e-6)


def test_a_dense_search():
    """At the limits the minimum of the dense deviance has risen by the quantile."""
    data = sample()
    fit = crossedmixedlm("y ~ x + (x | g) + (1 | h)", data).fit(reml=False)
    both = "var(x | g) + var(h)"
    text = f"({both}) / ({both} + var(Residual))"
    lower, upper = fit.derive(text, "profile").conf_int().iloc[0]
    x = np.column_stack([np.ones(len(data)), data["x"]])
    same = [np.equal.outer(*[data[n].to_numpy()] * 2).astype(float) for n in "gh"]
    y = data["y"].to_numpy()

    def deviance(at, share):
        first, across, residual = *at[:2], np.exp(at[3])
        second, h = share / (1.0 - share) * residual * expit([at[2], -at[2]])
        # the slopes have this variance, of which the intercepts explain a part
        turned = np.array([[first, 0.0], [np.sin(across), np.cos(across)]])
        root = turned * np.array([[1.0], [np.sqrt(second)]])
        v = same[0] * (x @ root @ root.T @ x.T) + h * same[1]
        v = v + residual * np.eye(len(y))
        half = np.linalg.cholesky(v)
        z = np.linalg.solve(half, np.column_stack([x, y]))
        rest = np.linalg.lstsq(z[:, :2], z[:, 2])[1][0]
        return 2.0 * np.log(np.diag(half)).sum() + rest + len(y) * np.log(2.0 * np.pi)

    start = np.array([1.5, 0.5, 0.0, 0.5])
    for share in (lower, upper):
        found = optimize.minimize(deviance, start, share, "BFGS", tol=1e-6)
        rise = found.fun + 2.0 * fit.llf
        assert_allclose(rise, stats.chi2.ppf(0.95, 1), atol=1e-6)


def test_a_singular_fit():
    """An end of the range is a limit if the likelihood does not exclude it."""
    fit = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff2")).fit()
    found = fit.derive(f"{ICC}\nsd(Batch)\nb['Intercept']\n2", "profile")
    (_, upper) = fit.profile("Batch: sd Intercept", n_points=2).conf_int().iloc[0]
    ends = found.conf_int()
    assert ends["lower"].iloc[:2].tolist() == [0.0, 0.0]
    assert_allclose(ends["upper"].iloc[1], upper, rtol=1e-6)
    assert ends.iloc[2:].isna().all().all()
    assert found.notes.iloc[:2].tolist() == ["", ""]
    assert "involves fixed effects" in found.notes.iloc[2]


def test_generalized_models():
    """Differences of fixed effects are parameters after relabelling."""
    data = cbpp()
    fit = crossedmixedglm(
        "prop ~ period + (1 | herd)", data, family="binomial", weights=data["size"]
    ).fit()
    other = crossedmixedglm(
        "prop ~ C(period, Treatment('2')) + (1 | herd)",
        data,
        family="binomial",
        weights=data["size"],
    ).fit()
    found = fit.derive("b['period[T.3]'] - b['period[T.2]']\nsd(herd)", "profile")
    names = [other.params.index[2], "herd: sd Intercept"]
    assert_allclose(
        found.conf_int(), other.profile(names, n_points=2).conf_int(), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("family", "name"), [("negativebinomial", "alpha"), (LOG_GAMMA, "sigma")]
)
def test_extra_parameters(family, name):
    data = cbpp().assign(y=lambda d: d["incidence"] + 1.0 * (name == "sigma"))
    fit = crossedmixedglm("y ~ 1 + (1 | herd)", data, family=family).fit()
    found = fit.derive(name, "profile").conf_int()
    assert_allclose(found, fit.profile(name, n_points=2).conf_int(), rtol=1e-6)


def test_structures():
    fit = crossedmixedlm("y ~ x + ar1(0 + f | g)", sample()).fit()
    name = fit.variance_parameters().index[1]
    found = fit.derive(f"`{name}`", "profile").conf_int()
    assert_allclose(found, fit.profile(name, n_points=2).conf_int(), rtol=1e-6)


def test_values_out_of_reach():
    hold = HeldFunction(lambda point: (1.0, np.ones(2)), True)
    fit = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff")).fit()
    with pytest.raises(np.linalg.LinAlgError, match="does not reach"):
        hold.place(fit.at_optimum.factors, 1.0, 2.0)


@pytest.mark.filterwarnings("ignore:fixed and random effects together reproduce")
@pytest.mark.parametrize("width", [5.0, 10.0])
def test_a_share_of_one_has_no_profile(width, monkeypatch):
    """Related levels of one row each, whose residual variance is estimated as zero."""
    monkeypatch.setattr(linear, "NOTHING_LEFT", 0.0)  # which rounding may reach or not
    i = np.arange(15.0)
    related = pd.DataFrame(np.exp(-np.abs(i[:, None] - i) / width))
    data = pd.DataFrame({"g": np.arange(15), "y": np.sin(i / 2.0)})
    model = crossedmixedlm("y ~ 1 + (1 | g)", data, relationship={"g": related})
    found = model.fit().heritability(conf_int="profile")
    assert found.estimates.iloc[0] > 1.0 - 1e-12
    assert found.conf_int().isna().all(axis=None)
    assert found.notes.iloc[0].endswith("use bootstrap")
