"""Keywords with two names, and what is given by name only."""

import inspect
import re
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm import (
    CrossedMixedLM,
    compare_criteria,
    compare_table,
    datasets,
    from_json,
    report,
)
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.keywords import (
    OF_FIT,
    R_ARGUMENTS,
    R_FUNCTIONS,
    renamed,
    scale_of,
)
from statsmodels_lmm.relationship import numerator_relationship

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
    listed = "'asymptotic', 'residual', 'satterthwaite' or 'kenward-roger', not 'kn'"
    with pytest.raises(ValueError, match=f"df_method must be .*{listed}"):
        MODEL.fit(df_method="kn")


def test_short_names_of_methods():
    assert MODEL.fit(df_method="KR").df_method == "kenward-roger"
    assert RESULT.with_df_method("Satterthwaite").df_method == "satterthwaite"
    expected = RESULT.anova(df_method="kenward-roger")
    pd.testing.assert_frame_equal(RESULT.anova(df_method="Kenward-Roger"), expected)
    frames = [
        RESULT.get_prediction(df_method=name).summary_frame()
        for name in ("KR", "kenward-roger")
    ]
    pd.testing.assert_frame_equal(*frames)


def test_the_number_of_nodes_as_in_lme4():
    data = SLEEP.assign(slow=SLEEP["Reaction"] > 300)
    model = crossedmixedglm("slow ~ Days + (1 | Subject)", data, family="binomial")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(nAGQ=0).method == model.fit(nagq=0).method
    with pytest.raises(TypeError, match="nAGQ is called nagq: give one of them"):
        model.fit(nAGQ=0, nagq=1)


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


FIRST_GUESSES = {
    "REML= is spelled reml= here": lambda u: u.model.fit(REML=True),
    "REML= is spelled reml= ": lambda u: u.lm(u.formula, u.data, REML=False),
    "REML= is for linear models": lambda u: u.counts.fit(REML=False),
    "control= is not needed here": lambda u: u.model.fit(control=None),
    "re_form= is spelled random_effects=": lambda u: u.result.predict(re_form="~0"),
    "allow_new_levels= is spelled new_levels='population'": lambda u: u.result.predict(
        u.data, allow_new_levels=True
    ),
    "newdata= is spelled exog=": lambda u: u.result.get_prediction(newdata=u.data),
    "random_effects= here: 'new' for NA": lambda u: u.result.simulate(re_form=None),
    "ddf= is spelled df_method=": lambda u: u.result.anova(ddf="Kenward-Roger"),
    "ddf= is spelled df_method= ": lambda u: u.result.summary(ddf="Kenward-Roger"),
    "ddf= is spelled df_method= here": lambda u: u.model.fit(ddf="Kenward-Roger"),
    "level= is spelled alpha=": lambda u: u.result.conf_int(level=0.9),
    "seed= is spelled rng=": lambda u: u.result.bootstrap(seed=1),
    "seed= is spelled rng= ": lambda u: u.result.simulated_residuals(seed=1),
    "n= is spelled nsim= here": lambda u: u.result.simulated_residuals(n=9),
    "kind= here: 'parametric' for NA": lambda u: u.result.simulated_residuals(
        re_form=None
    ),
    "method= is not needed here.*ML is": lambda u: u.model.fit(method="powell"),
    "method= belongs to fit": lambda u: u.lm(u.formula, u.data, method="ML"),
    "method= is not needed": lambda u: u.counts.fit(method="powell"),
    "optimizer= is not needed here": lambda u: u.model.fit(optimizer="bobyqa"),
    "nagq= is for generalized models": lambda u: u.model.fit(nagq=3),
    "nAGQ= is spelled nagq=": lambda u: u.glm(
        "n ~ x + (1 | g)", u.data, family="poisson", nAGQ=9
    ),
    "start= is spelled start_params=": lambda u: u.model.fit(start=[1.0]),
    "factors= is not needed here": lambda u: u.model.fit(factors={"f": ["a", "b"]}),
    "verbose= is not needed here": lambda u: u.counts.fit(verbose=True),
    "cluster= is spelled groups=": lambda u: u.result.with_cov_type("CR2", cluster=0),
    "test= is not needed here: anova has Wald": lambda u: u.result.anova(test="F"),
    "test= is not needed .* drop1 likelihood": lambda u: u.result.drop1(test="Chisq"),
    "random= is part of the formula": lambda u: u.lm("y ~ x", u.data, random="~ 1 | g"),
    "correlation= is spelled residual= here": lambda u: u.lm(
        u.formula, u.data, correlation="AR1"
    ),
    "dispformula= is spelled dispersion= here": lambda u: u.lm(
        u.formula, u.data, dispformula="~ x"
    ),
    "weights=varIdent.* is spelled dispersion= .*dispersion='~ f'": lambda u: u.lm(
        u.formula, u.data, weights="varIdent(form = ~ 1 | f)"
    ),
    "weights=varFixed.* is the column 1 / v": lambda u: u.lm(
        u.formula, u.data, weights="varFixed(~ v)"
    ),
    "reml= is an argument of fit": lambda u: u.lm(u.formula, u.data, reml=False),
    "df_method= is an argument of fit": lambda u: u.lm(
        u.formula, u.data, df_method="KR"
    ),
    "family= belongs to a generalized model": lambda u: u.lm(
        u.formula, u.data, family="poisson"
    ),
    "link= belongs to the family": lambda u: u.glm(
        "n ~ x + (1 | g)", u.data, family="poisson", link="sqrt"
    ),
    "na_action= is spelled missing=": lambda u: u.lm(
        u.formula, u.data, na_action="na.omit"
    ),
    "pedigree= is spelled relationship=": lambda u: u.lm(
        u.formula, u.data, pedigree=u.pedigree
    ),
    "relationship of g is a pedigree": lambda u: u.lm(
        u.formula, u.data, relationship={"g": u.pedigree}
    ),
    "not the name of a file": lambda u: u.lm(u.formula, "data.csv"),
    "must be a string, not DataFrame; it comes before": lambda u: u.lm(
        u.data, u.formula
    ),
    "is true/false": lambda u: u.lm("I(y > 3) ~ x + (1 | g)", u.data),
    "is true/false: ": lambda u: u.lm("y > 3 ~ x + (1 | g)", u.data),
    "strata of R's aov": lambda u: u.lm("y ~ x + Error(g/f) + z", u.data),
    "for this coding": lambda u: u.lm("y ~ C(f, contr.sum) + (1 | g)", u.data),
    "for this coding write": lambda u: u.lm("y ~ C(f, sum) + (1 | g)", u.data),
    "for this coding write ": lambda u: u.lm("y ~ C(f, helmert) + (1 | g)", u.data),
    "write `my.x`": lambda u: u.lm("y ~ my.x + (1 | g)", u.data),
    "write `my.g`": lambda u: u.lm("y ~ x + (1 | my.g)", u.data),
    r"write `RT \(ms\)`": lambda u: u.lm("log(RT (ms)) ~ x + (1 | g)", u.data),
    "write `word length`": lambda u: u.glm(
        "n ~ word length + (1 | g)", u.data, family="poisson"
    ),
    "disp= is not needed here": lambda u: u.model.fit(disp=0),
    "full_output= is not needed here": lambda u: u.counts.fit(full_output=True),
    "weight= is spelled weights=": lambda u: u.lm(u.formula, u.data, weight="w"),
    "sample_weight= is spelled weights=": lambda u: u.glm(
        "n ~ x + (1 | g)", u.data, family="poisson", sample_weight="w"
    ),
    "freq_weights= is for generalized": lambda u: u.lm(
        u.formula, u.data, freq_weights="w"
    ),
    "exposure= is for counts": lambda u: u.lm(u.formula, u.data, exposure="w"),
    "cluster= chooses a covariance": lambda u: u.model.fit(cluster="g"),
    "subset must be .* not a function": lambda u: u.lm(
        u.formula, u.data, subset=lambda d: d["x"] > 0
    ),
    "subset is 0 or 1 in every row": lambda u: u.lm(
        u.formula, u.data, subset=(u.data["x"] > 0).astype(float)
    ),
    "subset holds decimal numbers": lambda u: u.lm(
        u.formula, u.data, subset=u.data["x"]
    ),
    "what is computed is not text: ": lambda u: u.lm(
        u.formula, u.data, weights="1 / w**2"
    ),
    r"column 'W' not in data; did you mean w\?": lambda u: u.lm(
        u.formula, u.data, weights="W"
    ),
    "row for each of the 3 levels of 'f': a, b, c$": lambda u: u.lm(
        u.formula, u.data, contrasts={"f": np.eye(2)}
    ),
    r"write f in place of C\(f\)": lambda u: u.lm(
        "y ~ C(f) + (1 | g)", u.data, contrasts={"f": "sum"}
    ),
    "fits are given one by one; put a star": lambda u: compare_table([u.result]),
    "before the dict, as in": lambda u: compare_criteria({"a": u.result}),
    "is not a fitted model; call its fit": lambda u: report(u.model),
    "labels must be a dict": lambda u: compare_table(u.result, labels=["a"]),
    "decimals must be a whole number from 0, not -1": lambda u: compare_table(
        u.result, decimals=-1
    ),
    "a model has no summary": lambda u: u.model.summary(),
    "a model has no ranef": lambda u: u.counts.ranef,
    "a model has no params": lambda u: u.model.params,
}
"""Part of the answer, and what a user of other packages types first."""


@pytest.fixture(scope="module")
def user():
    """What a user has at hand; the names are those of the lines in answers."""
    rng = np.random.default_rng(8)
    data = pd.DataFrame({"x": rng.normal(size=60), "g": np.arange(60) % 6 + 1})
    data["f"] = np.array(["a", "b", "c"])[np.arange(60) // 20]
    data["t"], data["z"] = np.arange(60) // 6 % 4, rng.normal(size=60)
    data["y"] = data["x"] + rng.normal(size=6)[data["g"] - 1] + rng.normal(size=60)
    data["n"], data["yes"] = rng.poisson(3.0, size=60), data["y"] > 0
    data["my.x"], data["word length"], data["my.g"] = data["x"], data["z"], data["g"]
    data["RT (ms)"], data["w"] = np.exp(data["y"]), 1.0 + data["t"]
    data["v"], data["visit"] = 1.0 + data["x"] ** 2, np.arange(60) // 6
    formula = "y ~ x + f + (1 | g)"
    pedigree = pd.DataFrame({"animal": range(1, 7), "Sire": [0, 0, 1, 1, 3, 3]})
    pedigree["Dam"] = [0, 0, 2, 2, 4, 4]
    pedigree = pedigree.rename(columns=str.lower)
    model = crossedmixedlm(formula, data)
    counts = crossedmixedglm("n ~ x + (1 | g)", data, family="poisson")
    small = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    return SimpleNamespace(
        data=data,
        formula=formula,
        pedigree=pedigree,
        model=model,
        counts=counts,
        result=model.fit(),
        small=small,
        lm=crossedmixedlm,
        glm=crossedmixedglm,
    )


class Fits(list):
    """A list and, in what it is asked for here, a dict."""

    values = list.copy


def run(line, user):
    """Run a line of an answer: Python, or a formula, or a piece of one."""
    if "~" in line.partition("(")[0]:
        return crossedmixedlm(line, user.data)
    known = {**vars(user), "sm": sm, "pd": pd, "compare_table": compare_table}
    known |= {"subset": (user.data["x"] > 0) * 1, "fits": Fits([user.result])}
    known |= {"crossedmixedlm": crossedmixedlm, "crossedmixedglm": crossedmixedglm}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anova of REML fits says that it refits
        return eval(line, known | {"numerator_relationship": numerator_relationship})


def lines_of(message):
    """The lines of an answer that can be run."""
    return re.findall("`([^`]+)`", message)


@pytest.mark.parametrize("said", FIRST_GUESSES)
def test_first_guesses_are_answered(said, user, tmp_path, monkeypatch):
    """By an error with the line to write, which runs."""
    monkeypatch.chdir(tmp_path)
    user.data.to_csv("data.csv")
    with pytest.raises((TypeError, ValueError, AttributeError), match=said) as caught:
        FIRST_GUESSES[said](user)
    message = str(caught.value)
    for line in lines_of(message):
        if line in user.data:
            crossedmixedlm(f"y ~ `{line}` + (1 | g)", user.data)
        elif line.startswith("C("):
            crossedmixedlm(f"y ~ {line} + (1 | g)", user.data)
        elif line.startswith(("subset=", "weights=")):
            run(f"lm(formula, data, {line})", user)
        elif "family='binomial'" in line:
            crossedmixedglm("I(y > 3) ~ x + (1 | g)", user.data, family="binomial")
        else:
            run(line, user)


@pytest.mark.parametrize("name", R_ARGUMENTS)
def test_lines_for_arguments(name, user):
    for line in lines_of(R_ARGUMENTS[name]):
        run(line, user)


@pytest.mark.parametrize("name", OF_FIT)
def test_arguments_of_fit_have_values_that_fit(name, user):
    result = user.result
    given = eval(f"dict({name}={OF_FIT[name]})", {"result": result})
    fitted = user.counts if name == "nagq" else user.model
    assert fitted.fit(**given).converged


def test_mixedlm_refuses_arguments_of_r():
    """It would ignore them like those of optimizers."""
    with pytest.raises(TypeError, match="reml= here"):
        mixedlm("Reaction ~ Days", SLEEP, groups="Subject").fit(REML=False)


@pytest.mark.parametrize("name", R_FUNCTIONS)
def test_functions_of_a_fit_elsewhere_are_answered_with_ours(name, user):
    with pytest.raises(AttributeError, match=f"there is no {name} here: ") as caught:
        getattr(user.result, name)
    lines = lines_of(str(caught.value))
    assert lines
    for line in lines:
        run(line, user)


def test_other_names_are_unknown():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = RESULT.nonsense
    assert not hasattr(RESULT, "ranef")
