"""What a generalized model accepts of levels, weights, exposures and responses."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from generalized_samples import cbpp, fitted, frame, model
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.models.generalized import CrossedMixedGLM


def of_rows(formula, family, **arguments):
    data = frame("gamma") if "Reaction" in formula or "slow" in formula else cbpp()
    data["obs"] = np.arange(len(data))
    return CrossedMixedGLM.from_formula(
        f"{formula} + (1|obs)", data, family=family, **arguments
    )


@pytest.mark.parametrize(
    ("formula", "family", "arguments"),
    [
        ("prop ~ period", "binomial", {"weights": "size"}),
        ("prop ~ period", "binomial", {"var_weights": "size"}),
        ("incidence ~ period", "poisson", {}),
        ("incidence ~ period", "negativebinomial", {}),
    ],
)
def test_a_level_for_each_row_is_legal(formula, family, arguments):
    assert of_rows(formula, family, **arguments).random[0].n_levels == len(cbpp())


def test_a_dispersion_is_confounded_with_a_level_for_each_row():
    with pytest.raises(DataError, match="variance and the dispersion are confounded"):
        of_rows("Reaction ~ Days", "gamma")
    with pytest.raises(DataError, match=r"do not exceed the 358 random effects"):
        CrossedMixedGLM.from_formula(
            "Reaction ~ 1 + (Days|g)",
            frame("gamma").assign(g=np.arange(180) % 179),
            family="gamma",
        )


def test_single_zeros_and_ones_do_not_vary_by_row():
    with pytest.raises(DataError, match="rows of 0 or 1 say nothing about its"):
        of_rows("slow ~ Days", "binomial")
    with pytest.raises(DataError, match="rows of 0 or 1 say nothing about its"):
        of_rows("slow ~ Days", "binomial", weights=np.ones(180))
    assert of_rows("slow ~ Days", "binomial", check_levels=False).check_levels is False


def test_one_level_is_never_enough():
    data = cbpp().assign(one="a")
    with pytest.raises(DataError, match="needs at least 2"):
        CrossedMixedGLM.from_formula(
            "incidence ~ period + (1|one)", data, family="poisson"
        )


def test_weights_are_given_once():
    with pytest.raises(DataError, match="weights and var_weights are the same"):
        CrossedMixedGLM.from_formula(
            "prop ~ period + (1|herd)", cbpp(), weights="size", var_weights="size"
        )
    other = CrossedMixedGLM.from_formula(
        "prop ~ period + (1|herd)", cbpp(), var_weights="size"
    )
    assert_allclose(other.fit().llf, fitted("binomial").llf, atol=1e-9)


def test_an_exposure_is_positive():
    with pytest.raises(
        DataError, match="exposure has values that are not positive in rows 3"
    ):
        CrossedMixedGLM.from_formula(
            "incidence ~ period + (1|herd)",
            cbpp(),
            family="poisson",
            exposure=np.where(np.arange(56) == 3, 0.0, 1.0),
        )


def test_the_model_predicts_with_its_offset_and_exposure():
    fit = fitted("poisson")
    x, size = fit.model.exog, cbpp()["size"].to_numpy()
    expected = np.exp(x @ fit.params) * size
    assert_allclose(fit.model.predict(fit.params), expected)
    assert_allclose(fit.model.predict(fit.params, x, exposure=size), expected)
    doubled = fit.model.predict(fit.params, exposure=2.0 * size)
    assert_allclose(doubled, 2.0 * expected)
    with pytest.raises(DataError, match="the model has an exposure, which exposure="):
        fit.model.predict(fit.params, x)


def test_another_response():
    old = model("binomial")
    assert old.fit().llf == old.fit().llf
    y = np.flip(old.endog * cbpp()["size"].to_numpy()) // 3
    y = np.minimum(y, cbpp()["size"]) / cbpp()["size"]
    found = old.with_response(y.to_numpy()).fit()
    expected = CrossedMixedGLM.from_formula(
        "prop ~ period + (1|herd)", cbpp().assign(prop=y), weights="size"
    ).fit()
    assert_allclose(found.llf, expected.llf, atol=1e-8)
    assert_allclose(found.params, expected.params, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("binomial", lambda y: y + 1.0, "values outside 0 and 1 in rows 0, 1"),
        ("binomial", lambda y: 0.9 * y, "not a whole number of successes in rows"),
        ("poisson", lambda y: y - 5.0, "has negative values in rows 0"),
        ("gamma", lambda y: -y, "has values that are not positive in rows 0, 1"),
    ],
)
def test_a_response_that_the_family_excludes(name, change, message):
    old = model(name)
    with pytest.raises(DataError, match=f"the response .*{message}"):
        old.with_response(change(old.endog))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"reml": True}, "reml= is for linear models"),
        ({"REML": False}, "REML= is for linear models"),
        ({"df_method": "satterthwaite"}, "z tests"),
        ({"control": None}, "one optimizer"),
    ],
)
def test_arguments_of_other_fits(arguments, words):
    data = pd.DataFrame({"y": [0, 1, 1, 0] * 5, "g": np.repeat(np.arange(5), 4)})
    one = CrossedMixedGLM.from_formula("y ~ 1 + (1 | g)", data)
    with pytest.raises(TypeError, match=words):
        one.fit(**arguments)


def test_an_exposure_is_for_a_log_link():
    """Also for one that the user has derived from it."""
    data = cbpp()
    formula = "incidence ~ period + (1|herd)"

    class Other(sm.families.links.Log):
        pass

    other = sm.families.Poisson(Other())
    own = CrossedMixedGLM.from_formula(formula, data, family=other, exposure="size")
    assert own.exposure is not None
    with pytest.raises(ValueError, match="with the sqrt link use offset="):
        CrossedMixedGLM.from_formula(
            formula,
            data,
            family=sm.families.Poisson(sm.families.links.Sqrt()),
            exposure="size",
        )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("link", r"link= belongs to the family: `sm\.families\.Binomial\("),
        ("alpha", r"NegativeBinomial\(alpha=1\.0\)`"),
        ("ziformula", "zero inflation is not available"),
        ("dispformula", "dispersion= here, for linear models"),
    ],
)
def test_arguments_of_other_programs(name, words):
    with pytest.raises(TypeError, match=words):
        CrossedMixedGLM.from_formula("prop ~ (1|herd)", cbpp(), **{name: 1})


def test_a_formula_without_random_effects():
    with pytest.raises(FormulaError, match=r"use statsmodels' smf\.glm"):
        CrossedMixedGLM.from_formula("prop ~ period", cbpp())


@pytest.mark.parametrize("hessian", ["observed", "expected"])
@pytest.mark.parametrize("alpha", [0.0, 0.3])
def test_derivatives_in_alpha(alpha, hessian):
    """Also at zero, where a search moves its root."""
    old = model("negativebinomial")
    point = np.append([-1.3, -1.0, -1.1, -1.5, 0.6], alpha)
    last = np.arange(6) == 5

    def value(step):
        return old.loglike(point + step * last, hessian=hessian)

    def score(step):
        return old.score(point + step * last, hessian=hessian)

    def forward(function, size):
        ends = [function(step * size) for step in range(5)]
        return np.dot([-25.0, 48.0, -36.0, 16.0, -3.0], ends) / (12.0 * size)

    assert_allclose(score(0.0)[-1], forward(value, 1e-3), rtol=1e-6)
    found = old.hessian(point, hessian=hessian)
    assert_allclose(found[-1], forward(score, 1e-3), rtol=1e-5)
    assert_allclose(found, found.T)


def test_parameters_outside_their_range():
    counts = model("negativebinomial")
    with pytest.raises(ValueError, match=r"alpha, at least 0, not -0\.5"):
        counts.loglike([-1.0, -1.0, -1.0, -1.0, 0.5, -0.5])
    for nagq in (-1, 2.5, 101):
        with pytest.raises(ValueError, match="nagq must be"):
            counts.loglike([-1.0, -1.0, -1.0, -1.0, 0.5, 0.5], nagq=nagq)
    with pytest.raises(
        DataError,
        match="these are not parameters at which the inverse_power link keeps",
    ):
        model("gamma").score([-1.0, 0.0, 0.0, 0.0, 0.0, 0.0])


def test_large_counts_without_overdispersion():
    """Alpha is known to within 1e-8 there, and the search moves it on that scale."""
    rng, g = np.random.default_rng(1), np.repeat(np.arange(12), 10)
    x = rng.normal(size=120)
    mean = np.exp(np.log(1e6) + 0.3 * x + 0.5 * rng.normal(size=12)[g])
    data = pd.DataFrame({"y": rng.poisson(mean), "x": x, "g": g})
    fits = [
        CrossedMixedGLM.from_formula("y ~ x + (1|g)", data, family=family).fit()
        for family in ("negativebinomial", "poisson")
    ]
    assert fits[0].converged
    assert fits[0].optimum.evaluations <= 60
    assert fits[0].alpha < 1e-10
    assert_allclose(fits[0].llf, fits[1].llf, rtol=0, atol=1e-5)
