"""Several models side by side: modelsummary's published table, and every format."""

import json
import re
import sys
import warnings
from io import StringIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from statsmodels.iolib.summary2 import summary_col

from statsmodels_lmm import compare_table, from_json
from statsmodels_lmm.exceptions import ConvergenceWarning, RankWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.reporting.model_columns import labeled

PATH = Path(__file__).parents[1] / "reference" / "reporting.json"
FIXED, RANDOM, FIT = "Fixed effects", "Random effects", "Fit"


@pytest.fixture(scope="module")
def iris():
    """The models of modelsummary's tests: one by OLS, three mixed."""
    data = pd.DataFrame(json.loads(PATH.read_text())["iris"])
    data = data.set_axis(["sepal", "width", "length", "petal_width"], axis=1)
    data["species"] = np.repeat(["setosa", "versicolor", "virginica"], 50)
    formulas = ["length + (1 | species)", "length + (length | species)"]
    formulas.append("length + petal_width + (length | species)")
    mixed = [crossedmixedlm(f"width ~ {f}", data).fit() for f in formulas]
    return [smf.ols("width ~ length + petal_width", data).fit(), *mixed]


@pytest.fixture(scope="module")
def sleep():
    data = load("sleepstudy")
    return [
        crossedmixedlm("Reaction ~ Days + (1 | Subject)", data).fit(),
        crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit(),
    ]


@pytest.fixture(scope="module")
def counts():
    data = load("cbpp").astype({"period": str})
    formula = "incidence ~ period + (1 | herd)"
    family = sm.families.NegativeBinomial(alpha=0.5)
    return [
        crossedmixedglm(formula, data, family="negativebinomial").fit(),
        smf.glm("incidence ~ period", data, family=family).fit(),
    ]


def test_a_published_table_of_modelsummary(iris):
    fits = [fit.with_df_method("residual") for fit in iris[1:]]
    cells = compare_table(iris[0], *fits, uncertainty="conf_int").frame
    # https://github.com/vincentarelbundock/modelsummary/issues/494, estimate and
    # interval, whose degrees of freedom are 146 to 143 instead of 148 or 147
    published = [
        ["1.998", "[0.888, 3.109]", "0.282", "[0.165, 0.399]", "", "", "0.892"],
        ["1.993", "[0.890, 3.096]", "0.286", "[0.164, 0.408]", "", "", "0.885"],
        ["1.762", "[0.439, 3.084]", "0.160", "[0.027, 0.292]"],
    ]
    published[2] += ["0.610", "[0.341, 0.878]", "1.096"]
    for name, column in zip(("(2)", "(3)", "(4)"), published):
        assert cells[name].tolist()[:7] == column
    # the order that its test demands: inst/tinytest/test-pkg-lme4.R, issue 496
    rows = [row for row in cells.index.get_level_values("row") if row]
    assert rows[:7] == [
        "Intercept",
        "length",
        "petal_width",
        "SD (Intercept | species)",
        "SD (length | species)",
        "Cor (Intercept, length | species)",
        "SD (Residual)",
    ]


def test_rows_and_their_order(sleep):
    ols = smf.ols("Reaction ~ Days", load("sleepstudy")).fit()
    table = compare_table(ols, *sleep, names=["ols", "one", "two"])
    assert list(table.frame.loc[FIT].index) == [
        *("N", "N (Subject)", "R2", "R2 marginal", "R2 conditional", "ICC"),
        *("Log-likelihood", "AIC", "BIC", "Estimation"),
    ]
    fit = table.numbers.xs("estimate", level="value").loc[FIT]
    two = sleep[1]
    expected = [180, 18, np.nan, *two.r_squared(), two.icc()["adjusted"]]
    assert_allclose(fit["two"], [*expected, two.llf, two.aic, two.bic])
    assert_allclose(fit["ols"].dropna(), [180, ols.rsquared, ols.llf, ols.aic, ols.bic])
    assert list(table.frame.loc[(FIT, "Estimation")]) == ["OLS", "REML", "REML"]
    assert list(table.frame.loc[(FIT, "N (Subject)")]) == ["", "18", "18"]
    sd = table.numbers["two"].xs(RANDOM)
    assert_allclose(sd, two.variance_components()["sd"].iloc[[0, 1, 2, 3]])
    days = table.numbers["two"].xs(FIXED).xs("Days")
    assert list(days.index) == ["estimate", "std err", "p", "lower", "upper"]
    ends = two.conf_int().loc["Days"]
    expected = [two.params["Days"], two.bse["Days"], two.pvalues["Days"], *ends]
    assert_allclose(days, expected)
    assert table.notes == [
        "Standard errors in parentheses.",
        "Log-likelihood, AIC and BIC of fits by REML are restricted.",
    ]


def test_models_without_some_of_the_rows():
    data = load("sleepstudy").assign(third=lambda d: d["Days"] // 4)
    formula = "Reaction ~ 0 + ar1(0 + C(third) | Subject)"
    frame = compare_table(
        smf.logit("I(1.0 * (third > 1)) ~ Reaction", data).fit(disp=False),
        smf.rlm("Reaction ~ 1", data).fit(),
        crossedmixedlm(formula, data).fit(),
        names=["logit", "rlm", "ar1"],
    ).frame
    assert list(frame.loc[FIT].index[:4]) == [
        *("N", "N (Subject)", "Pseudo R2", "R2 marginal")
    ]
    told = {name: list(frame[name].loc[FIT]) for name in frame}
    assert told["rlm"] == ["180", *8 * [""], "RLM"]
    assert told["logit"][2] != "" == told["logit"][1]
    assert list(frame.loc[RANDOM].index) == [
        *("SD (ar1 | Subject)", "ar1 rho (Subject)", "SD (Residual)")
    ]
    assert (frame["ar1"].loc[FIXED] == "").all()


def test_a_table_reads_nothing_that_other_packages_misread(sleep):
    """`fe_params` warns that it leaves out degrees of freedom."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compare_table(*(fit.with_df_method("satterthwaite") for fit in sleep))


def test_restricted_likelihoods_of_other_fixed_effects(iris):
    said = "restricted, and not comparable if the fixed effects differ."
    assert compare_table(*iris[1:]).notes[1].endswith(said)
    assert not any("comparable" in note for note in compare_table(*iris[:3]).notes)


def test_a_new_row_follows_its_predecessor():
    data = load("sleepstudy").assign(z=lambda d: np.cos(d["Days"]))
    formulas = ["Days", "z + Days", "0 + z"]
    fits = [smf.ols(f"Reaction ~ {f}", data).fit() for f in formulas]
    for order, rows in (
        (fits, ["Intercept", "z", "Days"]),
        (fits[::-1], ["Intercept", "z", "Days"]),
        (fits[2:] + fits[:1], ["Intercept", "Days", "z"]),
    ):
        frame = compare_table(*order, uncertainty=None).frame
        assert list(frame.loc[FIXED].index) == rows


def test_generalized_models_as_ratios(counts):
    table = compare_table(*counts, exponentiate=True, stars=True)
    fit, glm = counts
    term = "period[T.2]"
    found = table.numbers.xs(FIXED).xs(term)
    ratio = np.exp(fit.params[term])
    expected = [ratio, ratio * fit.bse[term], fit.pvalues[term]]
    assert_allclose(found["(1)"], [*expected, *np.exp(fit.conf_int().loc[term])])
    assert_allclose(found.loc["estimate", "(2)"], np.exp(glm.params[term]))
    assert "(1), (2): Coefficients are rate ratios." in table.notes
    random = table.frame.loc[RANDOM, "(1)"]
    assert random["Alpha"] == f"{fit.alpha:.3f}"
    assert_allclose(table.numbers.loc[(FIT, "BIC", "estimate"), "(2)"], glm.bic_llf)
    assert re.fullmatch(r"0\.\d{3}\*\*", table.frame.loc[(FIXED, term), "(1)"])
    assert "* p < 0.05, ** p < 0.01, *** p < 0.001." in table.notes
    identity = smf.glm("incidence ~ 1", fit.model.data.frame).fit()
    with pytest.raises(ValueError, match="the link of this model is identity"):
        compare_table(identity, exponentiate=True)
    yes = fit.model.data.frame.assign(ill=lambda d: 1.0 * (d["incidence"] > 0))
    plain = smf.logit("ill ~ period", yes).fit(disp=False)
    same = smf.glm("ill ~ period", yes, family=sm.families.Binomial()).fit()
    table = compare_table(plain, same, exponentiate=True)
    assert table.notes[-1] == "(1), (2): Coefficients are odds ratios."
    assert_allclose(*table.numbers.xs(FIXED).to_numpy().T, rtol=1e-4)


def test_what_limits_the_numbers_stands_below(iris):
    data = load("sleepstudy").assign(twice=lambda d: 2 * d["Days"])
    with pytest.warns(RankWarning):
        less = crossedmixedlm("Reaction ~ Days + twice + (1 | Subject)", data).fit()
    table = compare_table(iris[3], less, iris[3].with_df_method("residual"))
    singular, dropped, residual = table.notes[2:]
    assert singular.startswith("(1), (3): On the boundary: the covariance matrix of")
    assert dropped == "(2): Redundant columns dropped: twice."
    assert residual == "(3): Degrees of freedom: residual."
    assert table.frame.loc[(FIXED, "twice"), "(2)"] == "NaN"
    assert table.frame.loc[(FIXED, "Days"), "(1)"] == ""


def test_a_fit_that_has_not_converged_is_told():
    model = crossedmixedlm("Reaction ~ Days + (Days | Subject)", load("sleepstudy"))
    with pytest.warns(ConvergenceWarning):
        early = model.fit(maxiter=1)
    assert "(1): No local optimum was proved" in compare_table(early).as_text()


def test_without_data_the_shares_of_variance_are_missing():
    fit = crossedmixedlm("Reaction ~ Days + (1 | Subject)", load("sleepstudy")).fit()
    before = compare_table(fit).frame["(1)"]
    fit.remove_data()
    after = compare_table(fit)
    same = before == after.frame["(1)"]
    lost = ["R2 marginal", "R2 conditional", "ICC"]
    assert list(before.index[~same].get_level_values("row")) == lost
    assert (after.frame["(1)"][~same] == "NaN").all()
    assert after.notes[-1] == "(1): R2 and ICC need the data, which were removed."


def test_mixedlm_here_and_in_statsmodels():
    data = load("sleepstudy")
    theirs = smf.mixedlm("Reaction ~ Days", data, groups="Subject").fit()
    ours = mixedlm("Reaction ~ Days", data, groups="Subject").fit()
    table = compare_table(theirs, ours)
    numbers = table.numbers.loc[FIXED]
    assert_allclose(numbers["(1)"], numbers["(2)"], rtol=1e-4, atol=1e-12)
    assert table.notes[-1].startswith("(1): The variances of statsmodels' MixedLM")
    assert list(table.frame.loc[(FIT, "AIC")]) == ["", f"{ours.aic:.1f}"]
    assert table.frame.loc[(RANDOM, "SD (Residual)"), "(2)"] == "30.991"


def test_labels_and_decimals(sleep):
    data = load("sleepstudy")
    arrays = sm.OLS(data["Reaction"], sm.add_constant(data["Days"] * 1e7)).fit()
    labels = {"const": "Intercept", "ICC": "Share", "Estimation": "By"}
    table = compare_table(sleep[0], arrays, labels=labels, decimals=2)
    rows = table.frame.index.get_level_values("row")
    assert {"Share", "By"} <= set(rows)
    assert not {"const", "ICC", "Estimation"} & set(rows)
    assert table.frame.loc[(FIXED, "Intercept"), "(2)"] == "251.41"
    assert table.frame.loc[(FIXED, "Days"), "(2)"] == "1e-06"
    assert "& 1e-06 \\\\" in table.as_latex()
    assert table.frame.loc[(FIT, "Share"), "(1)"] == "0.59"
    assert table.frame.loc[(FIT, "BIC"), "(1)"] == "1807.2"
    with pytest.raises(ValueError, match="two rows of a model are labeled 'Days'"):
        compare_table(sleep[0], labels={"Intercept": "Days"})


def test_rows_that_are_left_out_and_names_for_reading():
    data = load("sleepstudy").rename(columns={"Days": "lost (d)"})
    fit = crossedmixedlm("Reaction ~ `lost (d)` + (1 | Subject)", data).fit()
    assert list(compare_table(fit).numbers.loc[FIXED].index.unique("row")) == [
        *("Intercept", "lost (d)")
    ]
    for name in ("lost (d)", "Q('lost (d)')"):
        labels = {"Intercept": None, name: "Days", "ICC": None}
        frame = compare_table(fit, labels=labels).frame
        assert list(frame.loc[FIXED].index) == ["Days", ""]
        assert "ICC" not in frame.loc[FIT].index


@pytest.mark.parametrize("key", ["a b", "`a b`", "Q('a b')"])
@pytest.mark.parametrize("name", ["a b", "Q('a b')"])
def test_a_label_of_a_quoted_name(name, key):
    assert labeled(name, {key: 3}) == "3"
    assert labeled(name, {key: None}) is None
    assert labeled(name, {1: "one"}) == "a b"


def test_every_format_is_escaped(sleep):
    labels = {"Days": "[a] <b>_&"}
    table = compare_table(sleep[1], names=["<1>"], title="One & all", labels=labels)
    text = str(table)
    assert text == repr(table) == table.as_text()
    lines = text.splitlines()
    assert len({len(line) for line in lines if set(line) <= set("=-")}) == 1
    assert lines[0].strip() == "One & all"
    assert [line[-7:] for line in lines[2:3] + lines[4:8]] == [
        *("    <1>", "251.405", "(6.825)", " 10.467", "(1.546)")
    ]
    assert max(map(len, lines[:-2])) == len(lines[1])
    html = table._repr_html_()
    assert html == table.as_html()
    read = pd.read_html(StringIO(html), index_col=0)[0]
    assert read.loc["[a] <b>_&", "<1>"] == "10.467"
    assert html.count("<tbody>") == 3
    assert "<b>" not in html
    assert "<caption>One &amp; all</caption>" in html
    latex = table.as_latex()
    assert "\\\\\n{}[a] \\textless{}b\\textgreater{}\\_\\& & 10.467 \\\\" in latex
    assert latex.startswith("\\begin{table}\n\\centering\n\\caption{One \\& all}")
    assert latex.count("\\midrule") == 3
    assert "Log-likelihood & $-$871.8 \\\\" in latex
    assert "Standard errors in parentheses.\\par" in latex
    untitled = compare_table(sleep[1])
    assert untitled.as_latex().startswith("\\begin{tabular}{lr}\n\\toprule\n")
    assert untitled.as_text().startswith("=====")
    assert "caption" not in untitled.as_html()


@pytest.mark.slow
def test_word(sleep, tmp_path):
    pytest.importorskip("maketables")
    table = compare_table(*sleep, title="Reaction times")
    table.to_word(tmp_path / "table.docx")
    text = ZipFile(tmp_path / "table.docx").read("word/document.xml").decode()
    for part in ("251.405", "(6.825)", "SD (Residual)", "Standard errors", "Reaction"):
        assert part in text


def test_word_without_maketables(sleep, monkeypatch):
    monkeypatch.setitem(sys.modules, "maketables", None)
    with pytest.raises(ImportError, match=r"statsmodels_lmm\[tables\]"):
        compare_table(*sleep).to_maketables()


def test_summary_col_of_statsmodels_shows_the_variances(sleep):
    table = compare_table(*sleep)
    columns = summary_col(sleep, info_dict=table.info_dict()).tables[0]
    found = columns.loc[table.frame.loc[[RANDOM, FIT]].index.get_level_values("row")]
    assert found.to_numpy().tolist() == table.frame.loc[[RANDOM, FIT]].values.tolist()


def test_what_cannot_be_a_column_is_refused(sleep):
    with pytest.raises(TypeError, match="LightResults has no pvalues"):
        compare_table(from_json(sleep[0].to_json()))
    data = load("sleepstudy")
    third = sm.MNLogit(data["Days"] // 4, sm.add_constant(data["Reaction"] / 100))
    with pytest.raises(TypeError, match="MultinomialResults has several equations"):
        compare_table(third.fit(disp=False))
    with pytest.raises(TypeError, match="at least one"):
        compare_table()
    with pytest.raises(ValueError, match="2 different names, not "):
        compare_table(*sleep, names=["a", "a"])
    with pytest.raises(ValueError, match="2 different names, not "):
        compare_table(*sleep, names=["a"])
    with pytest.raises(ValueError, match="uncertainty must be 'std err'"):
        compare_table(*sleep, uncertainty="se")
    with pytest.raises(ValueError, match="alpha must be between"):
        compare_table(*sleep, alpha=95)
