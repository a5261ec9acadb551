"""Tests of generalized models, against R's packages and against statsmodels' GLM."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose
from published import FORMULAS, fit

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm
from statsmodels_lmm.inference.comparison.likelihood_ratio import compare_models

TESTS = Path(__file__).parents[2]
PATH = TESTS / "reference" / "generalized_comparisons.json"
REFERENCE = json.loads(PATH.read_text())

OTHERS = {
    "cbpp": {"period + ": "1 + ", "herd)": "herd) + (1|obs)"},
    "contraception": {"1|district": "urban|district"},
    "grouseticks": {"LOCATION)": "LOCATION) + (1|INDEX)"},
    "carrots": {"trt": "1", "gen)": "gen) + (1|gen:trt)"},
    "epil": {"*": "+"},
    "rats": {"*": "+", "Rat)": "Rat) + (0 + Time|Rat)"},
}
"""Changes to the formula of the models that a model is compared with."""

SLOW = pytest.param("grouseticks", marks=pytest.mark.slow)
NAMES = [SLOW if name == "grouseticks" else name for name in OTHERS]


def others(name):
    changes = OTHERS[name].items()
    return [fit(name, FORMULAS[name].replace(*change)) for change in changes]


# lme4's conditional modes leave up to 1e-5 of -2 log L, its Hessian 1e-4 of a statistic
CRITERION, STATISTIC = {"atol": 2e-5, "rtol": 1e-9}, {"rtol": 2e-4}


@pytest.mark.parametrize("name", NAMES)
def test_likelihood_ratios(name):
    expected = REFERENCE[name]
    table = fit(name).anova(*others(name))
    for column in ("n_params", "llf", "aic", "bic"):
        assert_allclose(table[column], expected[column], **CRITERION)
    tests = table.iloc[1:]
    for column in ("statistic", "df", "pvalue"):
        assert_allclose(tests[column], np.ravel(expected[column]), **CRITERION)


@pytest.mark.parametrize("name", NAMES)
def test_terms(name):
    expected, full = REFERENCE[name], fit(name)
    if "type1" in expected:  # of lme4, with known variances
        first = full.with_cov_type("rx").anova(type=1)
        assert_allclose(first["statistic"], np.ravel(expected["type1"]), **STATISTIC)
    for kind in (2, 3):
        table = full.anova(type=kind)
        values = np.ravel(expected[f"type{kind}"])
        if name == "rats":  # in SAS, but not in car, Time:Diet does not contain Diet
            values[1] = expected["type3"][1]
        assert_allclose(table["statistic"], values, **STATISTIC)
        assert table["df"].tolist() == np.ravel(expected["term_df"]).tolist()
    dropped = full.drop1().iloc[1:]
    assert_allclose(dropped["aic"], np.ravel(expected["dropped_aic"]), **CRITERION)
    assert_allclose(dropped["statistic"], np.ravel(expected["dropped"]), **CRITERION)


# without random effects --------------------------------------------------------------


def glm(name, **other):
    """Statsmodels' fit of a model without its random effects."""
    fit, data = fitted(name), cbpp()
    how = {
        "binomial": {"family": sm.families.Binomial()},
        "poisson": {"family": sm.families.Poisson(), "exposure": data["size"]},
        "log gamma": {"family": sm.families.Gamma(sm.families.links.Log())},
    }[name]
    endog = fit.model.endog
    if name == "binomial":
        endog = np.column_stack([data["incidence"], data["size"] - data["incidence"]])
    given = {"endog": endog, "exog": fit.model.exog, **how, **other}
    return sm.GLM(**given).fit()


def test_a_generalized_linear_model_as_in_lme4():
    expected = REFERENCE["cbpp_glm"]
    table = fit("cbpp").anova(glm("binomial"))
    for column in ("n_params", "llf", "aic", "bic"):
        assert_allclose(table[column], expected[column], **CRITERION)
    assert_allclose(table["statistic"].iloc[1], expected["statistic"], **CRITERION)
    assert table.attrs["models"]["m0"] == "GLM, 4 parameters"


@pytest.mark.parametrize("name", ["binomial", "poisson", "log gamma"])
def test_a_generalized_linear_model_is_the_model_of_no_random_effects(name):
    fit, table = fitted(name), fitted(name).ranova()
    alone = glm(name)
    test = fit.compare_lr_test(alone, method="mixture")
    assert_allclose(test.statistic, table["statistic"].iloc[1], atol=1e-6)
    assert_allclose(test.pvalue, table["pvalue_mixture"].iloc[1], rtol=1e-6)
    assert test.df_diff == 1
    found = compare_models(alone, fit)
    assert_allclose(found["llf"], table["llf"][::-1], atol=1e-6)
    assert_allclose(found["n_params"], table["n_params"][::-1])
    if name != "log gamma":  # whose dispersion statsmodels does not estimate by ML
        assert_allclose(found["llf"].iloc[0], alone.llf, atol=1e-8)
    without = fit.drop_random("Subject" if name == "log gamma" else "herd")
    assert_allclose(without.params, alone.params, atol=1e-6)
    assert_allclose(without.llf, alone.llf, atol=1e-6)
    assert without.params.index.tolist() == fit.params.index.tolist()
    assert fit.compare_lr_test(without).statistic == pytest.approx(test.statistic)


def test_fewer_fixed_effects_and_no_random_ones():
    fit, alone = fitted("poisson"), glm("poisson", exog=np.ones(56))
    test = fit.compare_lr_test(alone)
    assert_allclose(test.statistic, 2.0 * (fit.llf - alone.llf), atol=1e-6)
    assert test.df_diff == 4


def test_weights_of_a_generalized_linear_model():
    data, one = cbpp(), np.ones(56)
    often = np.arange(56) % 3 + 1.0
    formula = "incidence ~ 1 + (1|herd)"

    def mixed(family="poisson", **how):
        return crossedmixedglm(formula, data, family=family, **how).fit()

    def plain(family=None, **how):
        family = sm.families.Poisson() if family is None else family
        return sm.GLM(data["incidence"], one, family=family, **how).fit()

    # frequencies and weights are the same without a dispersion
    fit, kinds = mixed(freq_weights=often), ("freq_weights", "var_weights")
    for kind in kinds:
        alone = plain(**{kind: often})
        statistic = fit.compare_lr_test(alone).statistic
        assert_allclose(statistic, 2.0 * (fit.llf - alone.llf), atol=1e-6)
    with pytest.raises(DataError, match="fitted with different weights"):
        fit.compare_lr_test(plain())
    data["incidence"] += 1
    log = sm.families.Gamma(sm.families.links.Log())
    gamma = mixed(log, var_weights=often)
    with pytest.raises(DataError, match="fitted with different weights"):
        gamma.compare_lr_test(plain(log, freq_weights=often))
    with pytest.raises(DataError, match="fitted with different freq_weights"):
        gamma.compare_lr_test(plain(log, freq_weights=often, var_weights=often))


def test_rows_that_two_mixed_models_name_differently():
    data = cbpp().assign(often=np.arange(56) % 3 + 1.0)
    rate = data["incidence"] / data["size"]
    data = data.assign(rate=rate, trials=data["size"] * data["often"])

    def fit(formula, **how):
        return crossedmixedglm(formula + " + (1|herd)", data, **how).fit()

    binomial, poisson = {"family": "binomial"}, {"family": "poisson"}
    counted = fit("cbind(incidence, size - incidence) ~ period", **binomial)
    proportion = fit("rate ~ 1", weights="size", **binomial)
    statistic = 2.0 * (counted.llf - proportion.llf)
    assert_allclose(counted.compare_lr_test(proportion).statistic, statistic)
    exposed = fit("incidence ~ period", exposure="size", **poisson)
    logarithm = fit("incidence ~ 1 + offset(np.log(size))", **poisson)
    statistic = 2.0 * (exposed.llf - logarithm.llf)
    assert_allclose(exposed.compare_lr_test(logarithm).statistic, statistic)
    with pytest.raises(DataError, match="different offsets"):
        exposed.compare_lr_test(fit("incidence ~ 1", **poisson))

    # the binomial coefficients of several rows are not that of their sum
    repeated = fit("rate ~ period", weights="size", freq_weights="often", **binomial)
    with pytest.raises(DataError, match="different weights"):
        repeated.compare_lr_test(fit("rate ~ 1", weights="trials", **binomial))


def test_what_is_no_restriction_of_a_generalized_mixed_model():
    fit, data = fitted("poisson"), cbpp()
    with pytest.raises(DataError, match="different offsets"):
        fit.compare_lr_test(glm("poisson", exposure=None))
    with pytest.raises(DataError, match="different responses"):
        fit.compare_lr_test(glm("poisson", endog=data["incidence"] + 1))
    others = (
        sm.families.Gaussian(),
        sm.families.NegativeBinomial(alpha=1.0),
        sm.families.Binomial(),
    )
    for family in others:
        with pytest.raises(DataError, match=r"families .* can be compared by aic"):
            fit.compare_lr_test(sm.GLM(fit.model.endog, np.ones(56), family).fit())
    ols = sm.OLS(data["incidence"], np.ones(56)).fit()
    with pytest.raises(DataError, match="with CrossedMixedGLM or GLM"):
        fit.compare_lr_test(ols)
    with pytest.raises(DataError, match="not nested: the restricted one has fixed"):
        fit.compare_lr_test(glm("poisson", exog=data[["size"]]))
    with pytest.raises(DataError, match="does not estimate the alpha"):
        fitted("negativebinomial").drop_random("herd")


def test_a_known_alpha_without_random_effects():
    known = sm.families.NegativeBinomial(alpha=0.5)
    model = crossedmixedglm("incidence ~ 1 + (1|herd)", cbpp(), family=known)
    fit = model.fit()
    without = fit.drop_random("herd")
    alone = sm.GLM(cbpp()["incidence"], np.ones(56), family=known).fit()
    assert_allclose(without.llf, alone.llf, atol=1e-8)
    statistic = fit.compare_lr_test(alone).statistic
    assert_allclose(statistic, 2.0 * (fit.llf - alone.llf), atol=1e-6)


@pytest.mark.filterwarnings("ignore:The Log link function does not respect")
@pytest.mark.parametrize("link", ["CLogLog", "Cauchy", "Log"])
def test_statsmodels_family_of_a_link(link):
    family = sm.families.Binomial(getattr(sm.families.links, link)())
    data = cbpp().assign(y=lambda d: (d["incidence"] > 4) * 1.0)
    fit = crossedmixedglm("y ~ 1 + (1|herd)", data, family=family).fit()
    without = fit.drop_random("(1|herd)")
    assert_allclose(without.fittedvalues, data["y"].mean(), rtol=1e-6)
    assert type(without.model.family.link).__name__ == link


# terms -------------------------------------------------------------------------------


def seeds():
    """Germinated seeds (Crowder 1978), a two-way design."""
    columns = json.loads((PATH.parent / "tables.json").read_text())["crowder_seeds"]
    gen, extract = (np.array(columns[name]["codes"]) for name in ("gen", "extract"))
    data = pd.DataFrame({name: columns[name] for name in ("germ", "n")})
    data = data.assign(gen=gen, extract=extract, plate=range(21))
    formula = "cbind(germ, n - germ) ~ C(gen) * C(extract) + (1|plate)"
    return crossedmixedglm(formula, data, family="binomial").fit()


def test_types_1_and_2_are_those_of_the_information():
    """Of fits by generalized least squares with the information for weights."""
    fit = seeds()
    information = np.linalg.inv(fit.cov_params())
    beta = fit.params.to_numpy()

    def explained(columns):
        part = information[np.ix_(columns, columns)]
        score = (information @ beta)[columns]
        return score @ np.linalg.solve(part, score)

    first, second = fit.anova(type=1)["statistic"], fit.anova(type=2)["statistic"]
    sizes = [explained(c) for c in ([0], [0, 1], [0, 1, 2], [0, 1, 2, 3])]
    assert_allclose(first, np.diff(sizes), rtol=1e-8)
    # a main effect after the other one, but not after their interaction
    assert_allclose(second.iloc[0], sizes[2] - explained([0, 2]), rtol=1e-8)
    assert_allclose(second.iloc[1:], first.iloc[1:], rtol=1e-8)


def test_likelihood_ratios_of_terms():
    fit = seeds()
    table = fit.fixed_effect_tests("lrt")
    dropped = fit.drop1().loc["C(gen):C(extract)"]
    assert_allclose(table["statistic"].iloc[2], dropped["statistic"], atol=1e-7)
    assert table["df"].tolist() == [1, 1, 1]


def test_small_sample_tests_are_refused():
    fit = fitted("binomial")
    with pytest.raises(ValueError, match="use df_method='asymptotic', or fixed"):
        fit.with_df_method("kenward-roger")
    for ask in (fit.exact_lr_test, lambda: fit.random_effect_tests("exact")):
        with pytest.raises(ValueError, match=r"use random_effect_tests\(\), or"):
            ask()


def test_hessians_differ_only_if_the_link_is_not_canonical():
    data = cbpp()

    def fit(link, formula, hessian):
        family = sm.families.Binomial(getattr(sm.families.links, link)())
        model = crossedmixedglm(formula, data, family=family, weights="size")
        return model.fit(hessian=hessian)

    full, restricted = "prop ~ period + (1|herd)", "prop ~ 1 + (1|herd)"
    test = fit("Logit", full, "expected").compare_lr_test(
        fit("Logit", restricted, "observed")
    )
    assert_allclose(test.statistic, REFERENCE["cbpp"]["statistic"][0], **CRITERION)
    with pytest.raises(DataError, match="hessian='expected' and 'observed'"):
        fit("Probit", full, "expected").compare_lr_test(
            fit("Probit", restricted, "observed")
        )


def test_terms_of_a_separated_fit():
    """The infinite coefficient has no Wald test; the others keep theirs."""
    data = cbpp()
    apart = (data["period"] == "4") & (data["incidence"] == 0)
    data = data.assign(z=apart * 1.0)
    with pytest.warns(match="its coefficient is infinite"):
        fit = crossedmixedglm(
            "prop ~ z + size + (1|herd)", data, family="binomial", weights="size"
        ).fit()
    for kind in (2, 3):
        table = fit.anova(type=kind)
        assert np.isnan(table.loc["z", "statistic"])
        expected = (fit.params["size"] / fit.bse["size"]) ** 2
        assert_allclose(table.loc["size", "statistic"], expected, rtol=1e-6)
