"""What a generalized model accepts of levels, weights, exposures and responses."""

import numpy as np
import pandas as pd
import pytest
from generalized_samples import cbpp, fitted, frame, model
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError
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
    with pytest.raises(DataError, match="exposure not positive in rows 3"):
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
        ({"nAGQ": 9}, "nAGQ= is spelled nagq="),
        ({"control": None}, "one optimizer"),
    ],
)
def test_arguments_of_other_fits(arguments, words):
    data = pd.DataFrame({"y": [0, 1, 1, 0] * 5, "g": np.repeat(np.arange(5), 4)})
    one = CrossedMixedGLM.from_formula("y ~ 1 + (1 | g)", data)
    with pytest.raises(TypeError, match=words):
        one.fit(**arguments)
