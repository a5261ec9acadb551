"""Fixed effects as ratios, in tables and summaries."""

import numpy as np
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted
from numpy.testing import assert_allclose
from samples import load

from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.inference.fixed.ratios import ratio_name, ratios
from statsmodels_lmm.models.generalized import CrossedMixedGLM

NAMES = {
    "binomial": "odds ratio",
    "poisson": "rate ratio",
    "negativebinomial": "rate ratio",
    "log gamma": "mean ratio",
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name):
    assert ratio_name(fitted(name)) == NAMES[name]


@pytest.mark.parametrize(
    ("link", "name"), [("cloglog", "hazard ratio"), ("log", "risk ratio")]
)
def test_other_links_of_proportions(link, name):
    links = {"cloglog": sm.families.links.CLogLog(), "log": sm.families.links.Log()}
    model = CrossedMixedGLM.from_formula(
        "prop ~ period + (1|herd)",
        cbpp(),
        family=sm.families.Binomial(links[link]),
        weights="size",
    )
    assert ratio_name(model.fit()) == name


def test_ratios():
    fit = fitted("binomial")
    found = ratios(fit, alpha=0.1)
    assert_allclose(found["ratio"], np.exp(fit.params))
    assert_allclose(found["std err"], np.exp(fit.params) * fit.bse)
    assert_allclose(found[["lower", "upper"]], np.exp(fit.conf_int(0.1)))
    assert found.index.tolist() == fit.model.exog_names
    assert found.equals(fit.ratios(0.1))


def test_tidy_ratios_have_the_tests_of_the_coefficients():
    fit = fitted("binomial")
    plain = fit.tidy(conf_int=True)
    found = fit.tidy(conf_int=True, exponentiate=True)
    fixed = plain["effect"] == "fixed"
    for name in ("estimate", "conf_low", "conf_high"):
        assert_allclose(found.loc[fixed, name], np.exp(plain.loc[fixed, name]))
    assert_allclose(found.loc[fixed, "std_error"], ratios(fit)["std err"])
    for name in ("statistic", "p_value"):
        assert_allclose(found.loc[fixed, name], plain.loc[fixed, name])
    rest = ~fixed
    assert found[rest].equals(plain[rest])


def test_summaries_with_ratios():
    fit = fitted("poisson")
    text = str(fit.summary(exponentiate=True))
    assert "Fixed effects as rate ratios" in text
    assert "rate ratio" in text
    assert f"{np.exp(fit.params.iloc[1]):.4f}" in text
    table = fit.summary2(exponentiate=True).tables[1]
    assert next(iter(table)) == "rate ratio"
    assert_allclose(table.iloc[:, 0].astype(float), np.exp(fit.params), atol=1e-4)


def test_other_links_are_refused():
    linear = crossedmixedlm("Reaction ~ Days + (1|Subject)", load("sleepstudy")).fit()
    message = "exponentiate needs a link .* the link of this model is"
    with pytest.raises(ValueError, match=f"{message} inverse_power"):
        fitted("gamma").summary(exponentiate=True)
    for fit in (fitted("gamma"), linear):
        for effects in ("fixed", "ran_pars"):
            with pytest.raises(ValueError, match=message):
                fit.tidy(effects, exponentiate=True)
