"""Sentences about a fit: those of R's report, and what has to be said."""

import platform
import re

import numpy as np
import pandas as pd
import pytest
import scipy
import statsmodels
import statsmodels.formula.api as smf
from samples import load

import statsmodels_lmm
from statsmodels_lmm import CrossedMixedLM, from_json, report
from statsmodels_lmm.exceptions import (
    ConvergenceWarning,
    DataError,
    DataWarning,
    RankWarning,
)
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm

# https://github.com/easystats/report, tests/testthat/_snaps/report.lmer.md, with the
# residual degrees of freedom n - p of this package instead of n - 6
PUBLISHED = [
    "251.41 (95% CI [237.94, 264.87], t(174) = 36.84, p < .001).",
    "10.47, 95% CI [7.42, 13.52], t(174) = 6.77, p < .001",
]


@pytest.fixture(scope="module")
def sleep():
    formula = "Reaction ~ Days + (Days | Subject)"
    return crossedmixedlm(formula, load("sleepstudy")).fit()


@pytest.fixture(scope="module")
def contraception():
    data = load("contraception").assign(far=lambda d: d["age"] > 15.0)
    formula = "use ~ far + age + (1 | district)"
    return crossedmixedglm(formula, data, family="binomial").fit()


def paragraphs(fit, **options):
    return report(fit, **options).text.split("\n\n")


def test_sentences_as_in_report(sleep):
    model, within, effects, random, methods, references = paragraphs(
        sleep.with_df_method("residual")
    )
    assert model == (
        "We fitted a linear mixed model by restricted maximum likelihood (REML) to "
        "predict Reaction from Days (formula: Reaction ~ Days + (Days | Subject)). The "
        "model has random effects of Subject (18 levels: Intercept and Days); there "
        "are 180 observations. The model explains a share of 0.80 of the variance "
        "(conditional R2), its fixed effects alone 0.28 (marginal R2). The intercept "
        "is " + PUBLISHED[0].replace("174", "178")
    )
    assert within == "Within this model:"
    assert effects == (
        "- The effect of Days is positive and statistically significant (b = "
        + PUBLISHED[1].replace("174", "178")
        + ")."
    )
    assert random == (
        "The parameters of the random effects are SD (Intercept | Subject) = 24.74, "
        "SD (Days | Subject) = 5.92, Cor (Intercept, Days | Subject) = 0.07 and "
        "SD (Residual) = 25.59."
    )
    assert methods.startswith(
        "95% confidence intervals (CI) and p-values are Wald's, from t distributions "
        "with residual degrees of freedom. The search ended at a proved local optimum. "
    )
    for name, version in {
        "Python": platform.python_version(),
        "statsmodels_lmm": statsmodels_lmm.__version__,
        "statsmodels": statsmodels.__version__,
        "NumPy": np.__version__,
        "SciPy": scipy.__version__,
    }.items():
        assert re.search(rf"\b{name}( with)? {re.escape(version)}\b", methods)
    assert references.count("\n- ") == 2
    assert f"statsmodels. Python package, version {statsmodels_lmm.__version__}." in (
        references
    )


def test_degrees_of_freedom_and_level(sleep):
    text = report(sleep, alpha=0.1).text
    assert "90% CI [7.92, 13.01], z = 6.77, p < .001" in text
    assert "from the normal distribution." in text
    text = report(sleep.with_df_method("satterthwaite")).text
    assert "t(17.0) = 6.77" in text
    assert "from t distributions with Satterthwaite's degrees of freedom." in text


def test_a_generalized_model_is_told_in_ratios(contraception):
    model, _, effects, random, *_ = paragraphs(contraception)
    assert model.startswith(
        "We fitted a generalized linear mixed model (binomial, logit link) by maximum "
        "likelihood (Laplace approximation) to predict use (the event is Y) from far "
    )
    assert "of the variance on the scale of the linear predictor (cond" in model
    params, ends = contraception.params, contraception.conf_int()
    low, high = ends.loc["Intercept"]
    assert (
        f"intercept is {params['Intercept']:.2f} (95% CI [{low:.2f}, {high:.2f}]"
        in (model)
    )
    far, age = effects.split("\n")
    ratio, (low, high) = np.exp(params["far[T.True]"]), np.exp(ends.loc["far[T.True]"])
    assert f"odds ratio = {ratio:.2f}, 95% CI [{low:.2f}, {high:.2f}], z = " in far
    sign = "positive" if params["age"] > 0 else "negative"
    is_significant = contraception.pvalues["age"] < 0.05
    verdict = "" if is_significant else "not "
    assert age.startswith(f"- The effect of age is {sign} and {verdict}statistically s")
    assert "Residual" not in random


def test_approximations_and_families():
    data = load("sleepstudy")[:60].astype({"Subject": str})
    model = crossedmixedglm("Reaction ~ Days + (1 | Subject)", data, family="gamma")
    text = report(model.fit(nagq=2)).text
    assert "(gamma, inverse power link)" in text
    assert "(adaptive Gauss-Hermite quadrature with 2 nodes)" in text
    assert "significant (b = " in text
    faster = paragraphs(model.fit(nagq=0))[0]
    assert (
        "(Laplace approximation at penalized estimates of the fixed effects)" in faster
    )


def test_markdown_is_escaped():
    data = load("sleepstudy").rename(columns={"Days": "a*b <c>"})
    fit = crossedmixedlm("Reaction ~ `a*b <c>` + (`a*b <c>` | Subject)", data).fit()
    told = report(fit)
    assert told._repr_markdown_() == told.markdown
    assert str(told) == repr(told)
    assert str(told).split() == told.text.split()
    assert max(map(len, str(told).split("\n"))) <= 79
    assert "\n\n- The effect" in str(told)
    model, _, effects, random, *_ = told.markdown.split("\n\n")
    assert "(formula: `` Reaction ~ `a*b <c>` + (`a*b <c>` | Subject) ``)" in model
    assert "(conditional *R*\u00b2)" in model
    assert effects.startswith("- The effect of `a*b <c>` is positive")
    assert (
        "(*b* = 10.47, 95% CI \\[7.44, 13.50\\], *z* = 6.77, *p* \\< .001)" in effects
    )
    assert "SD (a\\*b \\<c\\> \\| Subject) = 5.92" in random


def test_a_spline_is_tested_as_a_whole():
    data = load("sleepstudy").assign(late=lambda d: np.where(d["Days"] > 4, "y", "n"))
    formula = "Reaction ~ bs(Days, df=3) + {} + (1 | Subject)"
    fit = crossedmixedlm(formula.format("late"), data).fit()
    late, spline = paragraphs(fit)[2].split("\n")
    assert late.startswith("- The effect of late[T.y] is ")
    own = np.arange(2, 5)
    b, covariance = fit.params.iloc[own], fit.cov_params().iloc[own, own]
    chi2 = b @ np.linalg.solve(covariance, b)
    assert spline == (
        "- The effect of bs(Days, df=3) is statistically significant "
        f"(chi2(3) = {chi2:.2f}, p < .001)."
    )
    small = fit.with_df_method("satterthwaite")
    row = small.anova().loc["bs(Days, df=3)"]
    assert f"(F(3, {row['df_denom']:.1f}) = {row['F']:.2f}, p" in report(small).text
    assert "*F*(3, " in report(small).markdown
    both = crossedmixedlm(formula.format("bs(Days, df=3):late"), data).fit()
    assert "- The effect of bs(Days, df=3):late is " in report(both).text
    assert "[T.y]" not in paragraphs(both)[2]


def test_labels_take_the_place_of_names():
    data = load("sleepstudy").rename(columns={"Reaction": "RT (ms)"})
    fit = crossedmixedlm("log(`RT (ms)`) ~ Days + (1 | Subject)", data).fit()
    assert "to predict log(RT (ms)) from Days (formula: log(`RT (ms)`) ~" in (
        report(fit).text
    )
    labels = {"log(RT (ms))": "speed*", "Days": "sleep lost", "SD (Residual)": None}
    model, _, effects, random, *_ = paragraphs(fit, labels=labels)
    assert "to predict speed* from sleep lost (formula: log(`RT" in model
    assert effects.startswith("- The effect of sleep lost is positive")
    assert random.startswith(
        "The parameter of the random effects is SD (Intercept | Subject) = "
    )
    assert "to predict speed\\* from sleep lost" in report(fit, labels=labels).markdown
    less = report(fit, labels=dict.fromkeys(["Days", "SD (Intercept | Subject)"])).text
    assert "effect of" not in less
    assert "of log(RT (ms)) without predictors" not in less


def test_what_limits_the_numbers_is_said():
    fit = crossedmixedlm("Yield ~ 1 + (1 | Batch)", load("dyestuff2")).fit()
    model, random, limits, *_ = paragraphs(fit)
    assert model.startswith(
        "We fitted a linear mixed model by restricted maximum likelihood (REML) of "
        "Yield without predictors (formula: Yield ~ 1 + (1 | Batch)). "
    )
    assert "SD (Intercept | Batch) = 0.00 and" in random
    assert limits == (
        "On the boundary: the variance is estimated as 0 for Intercept by Batch."
    )
    data = load("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    model = crossedmixedlm("Reaction ~ Days + twice + (Days | Subject)", data)
    with pytest.warns(RankWarning), pytest.warns(ConvergenceWarning):
        early = model.fit(maxiter=1)
    text = report(early).text
    assert "- The effect of twice was dropped as redundant." in text
    assert "No local optimum was proved, so the numbers are provisional." in text
    assert "proved local optimum" not in text


@pytest.mark.parametrize(
    ("unit", "intercept", "days"),
    [
        (1e-3, "is 0.251 (95% CI [0.238, 0.265]", "b = 0.010, 95% CI [0.007, 0.013]"),
        (1e-6, "is 0.000251 (95% CI [0.000238,", "b = 0.000010, 95% CI [0.000007, "),
        (1e-9, "is 2.51e-07 (95% CI [2.38e-07,", "b = 1e-08, 95% CI [7.4e-09, 1.3e-08"),
        (1e3, "is 251405.10 (95% CI [238029.22", "b = 10467.29, 95% CI [7437."),
    ],
)
def test_decimals_are_those_that_the_errors_need(unit, intercept, days):
    data = load("sleepstudy").assign(Reaction=lambda d: unit * d["Reaction"])
    fit = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    model, _, effects, random, *_ = paragraphs(fit)
    assert intercept in model
    assert days in effects
    if unit == 1e-3:
        assert (
            "SD (Intercept | Subject) = 0.025, SD (Days | Subject) = 0.0059, Cor"
            in random
        )
        assert "Subject) = 0.07 and SD (Residual) = 0.026." in random


def test_the_poisson_limit_is_said():
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"n": rng.binomial(9, 0.5, 60), "g": np.arange(60) // 10})
    fit = crossedmixedglm("n ~ 1 + (1 | g)", data, family="negativebinomial").fit()
    assert fit.alpha == 0.0
    assert "alpha is estimated as 0, the Poisson limit." in report(fit).text


def test_separation_is_said():
    data = load("sleepstudy").assign(slow=lambda d: (d["Days"] > 4) * 1.0)
    model = crossedmixedglm("slow ~ Days + (1 | Subject)", data, family="binomial")
    with pytest.warns(DataWarning):
        fit = model.fit()
    text = report(fit).text
    assert "- The effect of Days has no finite estimate." in text
    assert "Not finite: " in text
    assert "The explained variance (R2) is not determined." in text


def test_a_coefficient_of_a_single_cluster_has_no_standard_error():
    data = load("sleepstudy")
    data["one"] = (data["Subject"].astype(str) == "308") * 1.0
    formula = "Reaction ~ Days + one + (1 | Subject)"
    groups = {"groups": "Subject"}
    with pytest.warns(DataWarning, match="standard error for one"):
        fit = crossedmixedlm(formula, data).fit(cov_type="CR0", cov_kwds=groups)
    assert "- The effect of one has no standard error." in report(fit).text


def test_mixedlm_and_arrays():
    data = load("sleepstudy")
    first = paragraphs(mixedlm("Reaction ~ Days", data, groups="Subject").fit())[0]
    assert "from Days (formula: Reaction ~ Days + (1 | Subject)). " in first
    groups = {"Subject": data["Subject"].to_numpy()}
    x = np.column_stack([np.ones(len(data)), data["Days"]])
    arrays = CrossedMixedLM(data["Reaction"].to_numpy(), x, groups).fit()
    again = paragraphs(arrays)[0]
    assert "to predict y from x1. The model has" in again
    assert again.partition("levels")[2] == first.partition("levels")[2]


def test_known_relationships_are_said():
    data = load("sleepstudy").astype({"Subject": str})
    names = data["Subject"].unique()
    kin = pd.DataFrame(0.5 + 0.5 * np.eye(len(names)), names, names)
    formula = "Reaction ~ Days + (1 | Subject)"
    fit = crossedmixedlm(formula, data, relationship={"Subject": kin}).fit()
    assert "Subject (18 levels with known relationships: Intercept)" in report(fit).text


def test_many_effects_are_counted():
    data = load("sleepstudy").assign(third=lambda d: d["Days"] // 2)
    formula = "Reaction ~ Days + cs(0 + C(third) | Subject)"
    fit = crossedmixedlm(formula, data).fit()
    assert "Subject (18 levels: 5 effects)" in paragraphs(fit)[0]


def test_what_is_refused(sleep):
    ols = smf.ols("Reaction ~ Days", load("sleepstudy")).fit()
    with pytest.raises(TypeError, match="mixed models, not OLSResults"):
        report(ols)
    with pytest.raises(ValueError, match="alpha must be between"):
        report(sleep, alpha=5)
    bare = crossedmixedlm("Reaction ~ Days + (1 | Subject)", load("sleepstudy")).fit()
    bare.remove_data()
    with pytest.raises(DataError, match="were removed; a report needs them"):
        report(bare)
    with pytest.raises(DataError, match="loaded from JSON has no data; a report"):
        report(from_json(bare.to_json()))
