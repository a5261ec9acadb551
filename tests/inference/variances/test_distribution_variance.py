"""Shares of variance of generalized models, against performance and by hand."""

import numpy as np
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose
from reference.frames import frame
from samples import load
from scipy.special import polygamma

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.inference.prediction.population_mean import population_mean
from statsmodels_lmm.inference.variances import distribution_variance
from statsmodels_lmm.inference.variances.distribution_variance import of_observations

PROBIT = sm.families.Binomial(sm.families.links.Probit())
CBPP = "cbind(incidence, size - incidence) ~ period + (1|herd)"


# r2_nakagawa of performance 0.10.2 on fits by lme4 1.1-31, marginal and conditional
AS_IN_PERFORMANCE = {
    "logit": (CBPP, cbpp, {}, [0.08541606709, 0.18731453851]),
    "rows": (f"{CBPP} + (1|obs)", cbpp, {}, [0.10544889095, 0.11279967142]),
    "probit": (CBPP, cbpp, {"family": PROBIT}, [0.07647162512, 0.17115748305]),
    "counts, rows": (
        "y ~ Base * trt + Age + V4 + (1|subject) + (1|obs)",
        lambda: frame("epil2"),
        {"family": "poisson"},
        [0.5396016030233048, 0.7235529147200261],
    ),
}


@pytest.mark.parametrize("name", AS_IN_PERFORMANCE)
def test_performance(name):
    """Up to the tolerance of lme4's optimum."""
    formula, data, how, expected = AS_IN_PERFORMANCE[name]
    fit = crossedmixedglm(formula, data(), **how).fit(hessian="expected")
    assert_allclose(fit.r_squared(), expected, rtol=1e-5)
    assert list(fit.icc(by_group=True).index) == [formula.split("|")[1].split(")")[0]]


def parts(fit):
    """Variance of the fixed part, and of random intercepts."""
    return np.var(fit.model.exog @ fit.params, ddof=1), fit.vcomp.iloc[0]


def null(name):
    """Constant and variance of a model with a constant, and the extra parameter."""
    fit = fitted(name)
    formula = f"{fit.model.endog_names} ~ 1 + (1|herd)"
    how = {"binomial": {"weights": "size"}}.get(name, {"exposure": "size"})
    other = crossedmixedglm(formula, cbpp(), family=name, **how).fit()
    return other.params.iloc[0], other.vcomp.iloc[0], fit.extra


def residual(name, method, average):
    constant, variance, extra = null(name)
    family, offset = fitted(name).family, 0.0
    if average:
        offset = np.zeros(56) if name == "binomial" else np.log(cbpp()["size"])
        eta = constant + offset
        means = population_mean(family, np.asarray(eta), np.full(56, variance))
        weights = cbpp()["size"] if name == "binomial" else None
        mean = np.average(means, weights=weights)
    else:
        mean = family.mean(constant)
    if name == "binomial":
        return 1.0 / (mean * (1.0 - mean))
    spread = 1.0 / mean + (extra or 0.0)
    return {
        "lognormal": np.log1p(spread),
        "delta": spread,
        "trigamma": polygamma(1, 1.0 / spread),
    }[method]


@pytest.mark.parametrize(
    ("name", "method", "average"),
    [
        ("binomial", "delta", False),
        ("binomial", "delta", "average"),
        ("poisson", "delta", "average"),
        ("poisson", "trigamma", False),
        ("negativebinomial", "lognormal", False),
    ],
)
def test_the_variance_by_hand(name, method, average):
    fit = fitted(name)
    fixed, random = parts(fit)
    total = fixed + random + residual(name, method, average)
    how = {"method": method, "random_effects": average}
    shares = fit.r_squared(**how)
    assert_allclose(shares, np.array([fixed, fixed + random]) / total, rtol=1e-5)
    expected = [random / (total - fixed), random / total]
    assert_allclose(fit.icc(**how), expected, rtol=1e-5)
    assert_allclose(fit.repeatability(**how).loc["herd"], expected, rtol=1e-5)


def test_a_gamma_variable_needs_no_mean(monkeypatch):
    monkeypatch.setattr(distribution_variance, "fit_like", None)  # nor another fit
    fit = fitted("log gamma")
    fixed, random = parts(fit)
    of_log = {
        None: np.log1p(fit.scale),
        "delta": fit.scale,
        "trigamma": polygamma(1, 1.0 / fit.scale),
    }
    for method, v in of_log.items():
        expected = np.array([fixed, fixed + random]) / (fixed + random + v)
        assert_allclose(fit.r_squared(method), expected)


def test_gamma_with_an_inverse_link_and_random_slopes():
    fit = fitted("gamma")
    z = fit.model.random[0].grouped.effects
    random = np.einsum("rk,kl,rl->r", z, fit.cov_re["Subject"], z).mean()
    alone = "Reaction ~ 1 + (Days|Subject)"
    mean = 1.0 / crossedmixedglm(alone, load("sleepstudy"), family="gamma").fit().params
    fixed, v = parts(fit)[0], fit.scale / mean.iloc[0] ** 2
    expected = np.array([fixed, fixed + random]) / (fixed + random + v)
    assert_allclose(fit.r_squared(), expected, rtol=1e-5)


def test_weights_are_rows_or_divide_the_dispersion():
    data = load("sleepstudy")
    family = sm.families.Gamma(sm.families.links.Log())
    formula, weights = "Reaction ~ Days + (1|Subject)", 1.0 + np.arange(180) % 2
    fit = crossedmixedglm(formula, data, family=family, weights=weights).fit()
    fixed, random = parts(fit)
    v = np.mean(np.log1p(fit.scale / weights))
    assert_allclose(fit.r_squared().iloc[0], fixed / (fixed + random + v))
    twice = crossedmixedglm(formula, data, family=family, freq_weights=weights).fit()
    rows = data.loc[data.index.repeat(weights.astype(int))].reset_index(drop=True)
    written = crossedmixedglm(formula, rows, family=family).fit()
    assert_allclose(twice.r_squared(), written.r_squared(), rtol=1e-6)


def test_rows_that_stand_for_several():
    data, repeats = cbpp(), 1 + np.arange(56) % 3
    formula, how = "incidence ~ 1 + (1|herd)", {"family": "poisson", "exposure": "size"}
    fit = crossedmixedglm(formula, data, freq_weights=repeats, **how).fit(nagq=0)
    rows = data.loc[data.index.repeat(repeats)].reset_index(drop=True)
    written = crossedmixedglm(formula, rows, **how).fit(nagq=0)
    found, expected = (f.icc(random_effects="average") for f in (fit, written))
    assert_allclose(found, expected, rtol=1e-6)


def test_what_is_overdispersion():
    for formula, expected in (("(1|herd) + (1|obs)", [0, 1]), ("(0 + size|obs)", [0])):
        model = crossedmixedglm(f"incidence ~ {formula}", cbpp(), family="poisson")
        assert [of_observations(effects) for effects in model.random] == expected


def test_methods_that_are_not_defined():
    logit, gamma = fitted("binomial"), fitted("gamma")
    with pytest.raises(ValueError, match="link logit; there is 'theoretical', 'delta'"):
        logit.r_squared("lognormal")
    with pytest.raises(ValueError, match="link inverse_power; there is 'delta'"):
        gamma.icc(method="trigamma")
    with pytest.raises(ValueError, match="method must be 'theoretical'"):
        gamma.icc(method="exact")
    with pytest.raises(ValueError, match="random_effects must be False or 'average'"):
        logit.r_squared(random_effects=True)
    linear = crossedmixedlm("Reaction ~ Days + (1|Subject)", load("sleepstudy")).fit()
    with pytest.raises(ValueError, match="method and random_effects are for general"):
        linear.icc(method="delta")


def test_infinite_coefficients_and_removed_data():
    data = cbpp()
    data.loc[data["period"] == "4", "incidence"] = 0
    with pytest.warns(match="infinite"):
        fit = crossedmixedglm(CBPP, data).fit()
    assert np.isnan(fit.r_squared()).all()
    assert np.isnan(fit.icc()).all()
    fit.remove_data()
    with pytest.raises(DataError, match="a share of variance needs them"):
        fit.r_squared()
