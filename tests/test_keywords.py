"""Keywords with two names, and what is given by name only."""

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm import CrossedMixedLM, datasets, from_json
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.keywords import R_FUNCTIONS, renamed, scale_of

SLEEP = datasets.sleepstudy.load_pandas().data
MODEL = crossedmixedlm("Reaction ~ Days + (Days | Subject)", SLEEP)
RESULT = MODEL.fit()
LOGGED = crossedmixedlm("np.log(Reaction) ~ Days + (1 | Subject)", SLEEP).fit()


@renamed(old="new")
def function(a, new=1, *, other=2):
    return a, new, other


def test_an_old_name_is_taken_with_a_warning():
    with pytest.warns(DeprecationWarning, match="old is now called new") as caught:
        assert function(0, old=5, other=3) == (0, 5, 3)
    assert [w.filename for w in caught] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(0, 4) == function(0, new=4) == (0, 4, 2)
    assert list(inspect.signature(function).parameters) == ["a", "new", "other"]
    with pytest.raises(TypeError, match="give one of them"):
        function(0, old=1, new=2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'older'"):
        function(0, older=1)


def test_scales():
    assert scale_of("mean") == scale_of("linear", "response") == "mean"
    assert scale_of("linear") == scale_of("mean", "link") == "linear"
    with pytest.raises(ValueError, match="which must be 'mean' or 'linear'"):
        scale_of("response")
    with pytest.raises(ValueError, match="type must be 'response' or 'link'"):
        scale_of("mean", "mean")


LIGHT = from_json(RESULT.to_json())

PREDICTIONS = {
    "model": lambda **how: MODEL.predict(RESULT.params, **how),
    "mixedlm": lambda **how: (
        mixedlm("Reaction ~ Days", SLEEP, groups="Subject")
        .fit()
        .predict(SLEEP.head(), **how)
    ),
    "results": lambda **how: RESULT.predict(SLEEP.head(), **how),
    "results with modes": lambda **how: RESULT.predict(random_effects=True, **how),
    "light": lambda **how: LIGHT.predict(SLEEP.head(), **how),
    "intervals": lambda **how: RESULT.get_prediction(**how).summary_frame(),
    "means": lambda **how: RESULT.marginal_means(at={"Days": [1]}, **how).frame,
    "slopes": lambda **how: RESULT.marginal_slopes("Days", **how).frame,
}


@pytest.mark.parametrize("name", PREDICTIONS)
def test_the_scale_of_predictions(name):
    predicted = PREDICTIONS[name]
    plain = predicted()
    for how in (
        {"which": "mean"},
        {"which": "linear"},
        {"type": "response"},
        {"type": "link"},
    ):
        assert_array_equal(predicted(**how), plain)
    with pytest.raises(ValueError, match="which must be 'mean' or 'linear'"):
        predicted(which="response")
    with pytest.raises(ValueError, match="type must be 'response' or 'link'"):
        predicted(type="terms")


def test_only_means_that_are_asked_for_are_transformed_back():
    expected = LOGGED.marginal_means().frame
    for how in ({"type": "link"}, {"which": "linear"}):
        assert_array_equal(LOGGED.marginal_means(**how).frame, expected)
    back = LOGGED.marginal_means(type="response").frame["mean"]
    assert_allclose(back, np.exp(expected["mean"]))
    slope = LOGGED.marginal_slopes("Days").frame["slope"]
    found = LOGGED.marginal_slopes("Days", which="mean").frame["slope"]
    assert_allclose(found, back * slope, rtol=1e-6)


def test_the_kind_of_bootstrap_was_a_type():
    expected = RESULT.bootstrap(3, rng=1, kind="semiparametric", n_jobs=1)
    with pytest.warns(DeprecationWarning, match="type is now called kind"):
        found = RESULT.bootstrap(3, rng=1, type="semiparametric", n_jobs=1)
    assert found.kind == expected.kind == "semiparametric"
    pd.testing.assert_frame_equal(found.draws, expected.draws)


def test_only_reml_is_given_by_position():
    assert MODEL.fit(False).method == "ML"
    with pytest.raises(TypeError, match="positional"):
        MODEL.fit(True, [1.0, 0.0, 1.0])
    theirs = mixedlm("Reaction ~ Days", SLEEP, groups="Subject")
    assert theirs.fit(None, False, 0, True).method == "ML"


@pytest.mark.parametrize("method", ["residual", "satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_of_a_fit(method):
    expected = RESULT.with_df_method(method)
    theirs = mixedlm("Reaction ~ Days", SLEEP, groups="Subject", re_formula="~Days")
    for model in (MODEL, theirs):
        found = model.fit(df_method=method)
        assert type(found) is type(model.fit())
        assert found.df_method == method
        np.testing.assert_allclose(found.bse, expected.bse, rtol=1e-9)
        np.testing.assert_allclose(found.pvalues, expected.pvalues, rtol=1e-6)
        np.testing.assert_allclose(found.conf_int(), expected.conf_int(), rtol=1e-6)


def test_unknown_degrees_of_freedom_are_refused_before_the_search(monkeypatch):
    monkeypatch.setattr(CrossedMixedLM, "_sufficient_statistics", None)
    listed = "'asymptotic', 'residual', 'satterthwaite' or 'kenward-roger', not 'kr'"
    with pytest.raises(ValueError, match=f"df_method must be .*{listed}"):
        MODEL.fit(df_method="kr")


def test_kenward_and_roger_need_reml():
    with pytest.raises(DataError, match="reml=True"):
        MODEL.fit(reml=False, df_method="kenward-roger")


def test_asymptotic_is_the_default():
    for found in (MODEL.fit(df_method="asymptotic"), MODEL.fit(df_method=None)):
        assert found.df_method == "asymptotic"
        assert found.use_t is False
        assert_array_equal(found.pvalues, RESULT.pvalues)


def test_methods_have_signatures():
    """What `help` says of a method names its arguments, but for passed options."""
    theirs = mixedlm("Reaction ~ Days", SLEEP, groups="Subject").fit()
    for fit in (RESULT, theirs):
        methods = inspect.getmembers(fit, inspect.ismethod)
        names = [
            n for n, method in methods if "*args" in str(inspect.signature(method))
        ]
        assert [n for n in names if not n.startswith("_")] == []
    signature = inspect.signature(RESULT.conf_int)
    assert list(signature.parameters) == ["alpha", "method", "df_method", "options"]
    assert "One minus the level" in inspect.getdoc(RESULT.conf_int)
    # Sphinx omits the first argument of a method
    assert list(inspect.signature(type(RESULT._results).anova).parameters)[:2] == [
        "results",
        "others",
    ]


def test_a_wald_test_is_a_number_as_in_statsmodels():
    """Whether asked for by position or by name."""
    chi2 = RESULT.wald_test("Days = 0")
    assert chi2.statistic == pytest.approx(RESULT.tvalues["Days"] ** 2)
    assert np.shape(chi2.statistic) == ()
    assert np.shape(RESULT.wald_test("Days = 0", scalar=False).statistic) == (1, 1)
    assert RESULT.wald_test("Days = 0", None, None, True).distribution == "F"


R_WORDS = {
    "REML= is spelled reml= here": lambda: MODEL.fit(REML=True),
    "control= is not needed here": lambda: MODEL.fit(control=None),
    "re_form= is spelled random_effects=": lambda: RESULT.predict(re_form="~0"),
    "allow_new_levels= is spelled new_levels='population'": lambda: RESULT.predict(
        SLEEP, allow_new_levels=True
    ),
    "newdata= is spelled exog=": lambda: RESULT.get_prediction(newdata=SLEEP),
    "random_effects= here: 'new' for NA": lambda: RESULT.simulate(re_form=None),
    "ddf= is spelled df_method=": lambda: RESULT.anova(ddf="Kenward-Roger"),
    "ddf= is spelled df_method= ": lambda: RESULT.summary(ddf="Kenward-Roger"),
    "level= is spelled alpha=": lambda: RESULT.conf_int(level=0.9),
    "seed= is spelled rng=": lambda: RESULT.bootstrap(seed=1),
    "seed= is spelled rng= ": lambda: RESULT.simulated_residuals(seed=1),
    "n= is spelled nsim= here": lambda: RESULT.simulated_residuals(n=9),
    "kind= here: 'parametric' for NA": lambda: RESULT.simulated_residuals(re_form=None),
    "method= is not needed here": lambda: MODEL.fit(method="powell"),
    "optimizer= is not needed here": lambda: MODEL.fit(optimizer="bobyqa"),
    "cluster= is spelled groups=": lambda: RESULT.with_cov_type("CR2", cluster=0),
    "test= is not needed here: anova has Wald": lambda: RESULT.anova(test="F"),
    "test= is not needed .* drop1 likelihood": lambda: RESULT.drop1(test="Chisq"),
    "REML= is spelled reml= here, in fit": lambda: crossedmixedlm(
        "Reaction ~ Days + (1 | Subject)", SLEEP, REML=False
    ),
    "random= is part of the formula": lambda: crossedmixedlm(
        "Reaction ~ Days", SLEEP, random="~ 1 | Subject"
    ),
    "reml= is an argument of fit": lambda: crossedmixedlm(
        "Reaction ~ Days + (1 | Subject)", SLEEP, reml=False
    ),
}


@pytest.mark.parametrize("said", R_WORDS)
def test_arguments_of_r_are_answered_with_ours(said):
    with pytest.raises(TypeError, match=said):
        R_WORDS[said]()


def test_mixedlm_refuses_arguments_of_r():
    """It would ignore them like those of optimizers."""
    with pytest.raises(TypeError, match="reml= here"):
        mixedlm("Reaction ~ Days", SLEEP, groups="Subject").fit(REML=False)


@pytest.mark.parametrize("name", R_FUNCTIONS)
def test_functions_of_r_are_answered_with_ours(name):
    with pytest.raises(AttributeError, match=f"{name} is R's name: here it is"):
        getattr(RESULT, name)
    here = R_FUNCTIONS[name].partition("(")[0].partition(",")[0]
    assert hasattr(RESULT, here)


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = RESULT.nonsense
    assert not hasattr(RESULT, "ranef")
