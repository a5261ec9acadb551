"""Profiles of generalized models, against lme4, refits and the likelihood itself."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from generalized_samples import cbpp, fitted, model
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm
from statsmodels_lmm.inference.variances.profile import profile
from statsmodels_lmm.models.generalized import CrossedMixedGLM

TABLES = Path(__file__).parents[2] / "reference" / "tables.json"

# Roots in lme4 1.1-31's deviance function (R 4.2.2); its confint() interpolates between
# points and misses them by up to 2e-4:
#     f <- glmer(formula, cbpp, binomial, glmerControl(tolPwrss = 1e-13),
#                devFunOnly = TRUE)
#     best <- nlminb(start, f, control = list(rel.tol = 1e-14))
#     held <- function(j, v) nlminb(best$par[-j], function(r) f(append(r, v, j - 1)),
#                                   control = list(rel.tol = 1e-14))$objective
#     uniroot(function(v) held(j, v) - best$objective - qchisq(0.95, 1), ends,
#             tol = 1e-9)
CBPP = {
    "Intercept": (-1.90118783265, -0.947787822911),
    "period[T.2]": (-1.6167661769, -0.407780173653),
    "period[T.3]": (-1.80100712066, -0.511553427664),
    "period[T.4]": (-2.50075744811, -0.800756925077),
    "herd: sd Intercept": (0.346091881533, 1.09995584031),
}

# confint(m, method = "profile") of the same; a lower end of 0 is exact
SEEDS = {
    "gen:extract": (0.034958853418, 1.622481516453),
    "plate: sd Intercept": (0.0, 0.481582626953),
}


def seeds():
    """Germinated seeds (Crowder 1978)."""
    columns = json.loads(TABLES.read_text())["crowder_seeds"]
    gen, extract = (np.array(columns[name]["codes"]) for name in ("gen", "extract"))
    data = pd.DataFrame({name: columns[name] for name in ("germ", "n")})
    data = data.assign(gen=gen, extract=extract, plate=range(21))
    formula = "cbind(germ, n - germ) ~ gen * extract + (1|plate)"
    return crossedmixedglm(formula, data, family="binomial").fit()


@pytest.mark.parametrize(
    ("fit", "expected", "error"),
    [(lambda: fitted("binomial"), CBPP, 1e-6), (seeds, SEEDS, 1e-4)],
    ids=["cbpp", "seeds"],
)
def test_limits_of_lme4(fit, expected, error):
    # one point on each side suffices, since limits are not interpolated
    found = profile(fit(), list(expected), alpha_max=0.05, n_points=1).conf_int()
    assert list(found.index) == list(expected)
    ends = np.array(list(expected.values()))
    assert_allclose(found, ends, atol=error)
    assert ((found["lower"] == 0.0) == (ends[:, 0] == 0.0)).all()


# refits --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "nagq"),
    [("negativebinomial", 1), pytest.param("binomial", 3, marks=pytest.mark.slow)],
)
def test_fixed_effects_are_refits_with_an_offset(name, nagq):
    fit = fitted(name) if nagq == 1 else model(name).fit(nagq)
    own, column = fit.model, fit.model.exog_names[-1]
    curves = fit.profile(column, n_points=1).curves
    assert curves["zeta"].min() < -2.5 < 2.5 < curves["zeta"].max()
    sides = {s: getattr(own, s) for s in own._sides if s != "offset"}
    for _, row in curves.iterrows():
        refit = CrossedMixedGLM(
            own.endog,
            own.exog[:, :-1],
            random=own.random,
            family=own.family,
            offset=row["value"] * own.exog[:, -1],
            **sides,
        ).fit(nagq)
        assert_allclose(row["deviance"], -2.0 * refit.llf, atol=1e-7)
        assert_allclose(row["zeta"] ** 2, 2.0 * (fit.llf - refit.llf), atol=1e-6)
        others = row[own.exog_names[:-1]].to_numpy(float)
        assert_allclose(others, refit.params, atol=1e-4)
        estimates = refit.variance_parameters()["estimate"]
        assert_allclose(row[estimates.index].to_numpy(float), estimates, atol=1e-4)


def deviance(name):
    """-2 log-likelihood as a function of the parameters in the columns of `curves`."""
    fit = fitted(name)
    p = len(fit.params)

    def function(point):
        beta, rest = point[:p], list(point[p:])
        if name == "negativebinomial":
            theta = rest
        else:
            sigma = rest.pop()
            theta = [*rest, 2.0 * np.log(sigma)]
        if name == "gamma":
            first, second, cor = rest
            theta[:3] = first, cor * second, np.sqrt(1.0 - cor**2) * second
        return -2.0 * fit.model.loglike(np.concatenate([beta, theta]))

    return function


VARIANCES = [
    ("negativebinomial", "alpha"),
    ("gamma", "Subject: sd Intercept"),
    ("gamma", "Subject: cor Days, Intercept"),
    ("log gamma", "sigma"),
    ("structure", "Subject: cor ar1 rho"),
]


@pytest.mark.parametrize(("name", "which"), VARIANCES)
def test_at_every_point_the_likelihood_falls_in_one_parameter_only(name, which):
    """A point of a profile is stationary in all parameters but the one held."""
    function, fit = deviance(name), fitted(name)
    curves = fit.profile(which, n_points=2).curves
    names = list(curves.columns[4:])
    steps = 1e-4 * np.r_[fit.bse, fit.variance_parameters()["std err"]]
    inside = curves[curves["zeta"].abs().between(0.5, 5.0) & (curves["value"] != 0.0)]
    assert inside["zeta"].min() < 0.0 < inside["zeta"].max()
    for _, row in inside.iloc[[1, -2]].iterrows():
        point = row[names].to_numpy(float)
        assert_allclose(row["deviance"], function(point), atol=1e-7)
        assert_allclose(row["zeta"] ** 2, row["deviance"] + 2.0 * fit.llf, atol=1e-6)
        ends = [(function(point + m), function(point - m)) for m in np.diag(steps)]
        # changes of the deviance by one standard error
        slopes = np.array([(above - below) / 2e-4 for above, below in ends])
        held = names.index(which)
        assert np.sign(slopes[held]) == np.sign(row["zeta"])
        assert abs(slopes[held]) > 1.0
        assert_allclose(np.delete(slopes, held), 0.0, atol=2e-3)


# limits ----------------------------------------------------------------------


def test_limits_are_where_the_likelihood_has_fallen_so_far():
    fit = fitted("negativebinomial")
    how = {"method": "profile", "which": ["alpha"], "n_points": 1}
    found = fit.conf_int(**how)
    assert_allclose(fit.conf_int(scale="var", **how), found)
    own = fit.model
    for alpha in found.loc["alpha"]:
        known = type(own.family)(own.family.link_function, float(alpha))
        rows = own.endog, own.exog, own.random, known
        refit = CrossedMixedGLM(*rows, exposure=own.exposure).fit()
        assert_allclose(2.0 * (fit.llf - refit.llf), 3.841458820694, atol=1e-6)


def test_an_alpha_of_zero_has_an_upper_limit():
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"y": rng.binomial(8, 0.5, 60), "g": np.arange(60) % 10})
    fit = crossedmixedglm("y ~ 1 + (1|g)", data, family="negativebinomial").fit()
    assert fit.alpha == 0.0
    found = fit.profile("random", n_points=2)
    limits = found.conf_int()
    assert (limits["lower"] == 0.0).all()
    assert 0.0 < limits.loc["alpha", "upper"] < 1.0
    assert found.curves.groupby("parameter")["value"].min().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_infinite_coefficient_has_one_limit(sign):
    data = cbpp().assign(z=lambda d: sign * (d["incidence"] == 0))
    formula, how = "prop ~ z + (1|herd)", {"family": "binomial", "weights": "size"}
    data.loc[data["period"] != "4", "z"] = 0.0
    with pytest.warns(match="its coefficient is infinite"):
        fit = crossedmixedglm(formula, data, **how).fit()
    limits = fit.profile("z", n_points=1).conf_int().loc["z"]
    assert limits["lower" if sign > 0.0 else "upper"] == -sign * np.inf
    limit = limits["upper" if sign > 0.0 else "lower"]
    offset = limit * data["z"]
    refit = crossedmixedglm("prop ~ 1 + (1|herd)", data, offset=offset, **how).fit()
    assert_allclose(2.0 * (fit.llf - refit.llf), 3.841458820694, atol=1e-6)


def test_what_has_no_profile():
    with pytest.raises(ValueError, match="with nagq=0 the fixed effects are not"):
        model("binomial").fit(nagq=0).profile()
    fit = model("binomial").fit(nagq=0)
    fit.remove_data()
    with pytest.raises(DataError, match="a profile of the likelihood needs them"):
        fit.profile()
