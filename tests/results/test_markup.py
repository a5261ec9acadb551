"""Names and levels are text in HTML and LaTeX, whatever characters they have."""

import html
import pickle
import re
import warnings
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import CrossedMixedLM, MixedLM
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.plain_names import unquoted

TAG = "<img src=x onerror=alert('{0}')>&<b>{0}</b>"
RESPONSE, COLUMN, GROUP, LEVEL = map(TAG.format, ("y", "x", "g", "f"))
LATEX_NAME = "a_b%c&d#e$f{g}h^i|j<k>l"
IN_LATEX = (
    r"a\_b\%c\&d\#e\$f\{g\}h"
    r"\textasciicircum{}i\textbar{}j\textless{}k\textgreater{}l"
)
ALLOWED = {"table", "tr", "td", "th", "caption", "br"}


def sample(response, column, group, level, members):
    rng = np.random.default_rng(0)
    n = 60
    data = pd.DataFrame({column: rng.normal(size=n), group: np.repeat(members, 10)})
    data["f"] = pd.Categorical(rng.choice([level, "b"], n), [level, "b"])
    data[response] = data[column] + (data["f"] == "b") + rng.normal(size=n)
    return data


def fits(response, column, group, level, members):
    """The three ways to a fit, each with hostile names wherever it takes names."""
    data = sample(response, column, group, level, members)
    formula = f"`{response}` ~ `{column}` + C(f, Sum)"
    y, x = data[response], data[[column]].assign(const=1.0)
    return {
        "formula": crossedmixedlm(
            f"`{response}` ~ `{column}` + f + (`{column}` | `{group}`) + (1 | f)", data
        ).fit(),
        "arrays": CrossedMixedLM(y, x, random={group: data[group]}).fit(),
        "mixedlm": MixedLM.from_formula(formula, data, groups=group).fit(),
    }


def summaries(found):
    """Everything of a fit that knows HTML or LaTeX, by name."""
    out = {}
    for kind, fit in found.items():
        names = {"title": fit.model.endog_names, "yname": fit.model.endog_names}
        out[f"{kind} summary"] = fit.summary()
        out[f"{kind} summary with names"] = fit.summary(**names)
        if kind == "mixedlm":
            continue
        out[f"{kind} summary2"] = fit.summary2(**names)
        out[f"{kind} kenward-roger"] = fit.summary(df_method="kenward-roger")
    means = found["formula"].marginal_means("f")
    slopes = found["formula"].marginal_slopes(
        unquoted(found["formula"].model.exog_names[-1]), by="f"
    )
    out["means"], out["slopes"] = means.summary(), slopes.summary()
    out["contrasts"] = means.contrasts().summary()
    own = {LEVEL: [1, -1]}
    out["own contrasts"] = means.contrasts(own).summary()
    return out


@pytest.fixture(scope="module")
def hostile():
    """The fits are singular, and some say so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return fits(RESPONSE, COLUMN, GROUP, LEVEL, [TAG.format(i) for i in range(6)])


def assert_html(text):
    """No tag but those of tables, and nothing escaped twice."""
    tags = re.findall(r"<\s*/?\s*([^\s/>]*)", text)
    assert set(tags) <= ALLOWED, set(tags) - ALLOWED
    assert not re.search(r"&amp;(lt|gt|amp|quot|#)", text)
    assert not re.search(r"&(?!(lt|gt|amp|quot|#x27);)", text)


def test_summaries_in_html(hostile):
    for name, summary in summaries(hostile).items():
        for text in (summary.as_html(), summary._repr_html_()):
            assert_html(text)
            if "contrasts" not in name:
                shown = html.unescape(text)
                assert TAG[:4] in shown, name


def test_results_in_html(hostile):
    for fit in (*hostile.values(), hostile["formula"]._results):
        text = fit._repr_html_()
        assert_html(text)
        assert html.escape(fit.model.endog_names) in text
    assert "P&gt;|z|" in hostile["formula"]._repr_html_()
    means = hostile["formula"].marginal_means("f")
    for part in (means, means.contrasts(), means.contrasts({LEVEL: [1, -1]})):
        assert_html(part._repr_html_())
        assert html.escape(LEVEL) in part._repr_html_()


def test_tables_of_replicates_and_influence_in_html(hostile):
    fit = hostile["formula"]
    draws = {"rng": 1, "n_jobs": 1}
    shown = [fit.bootstrap(39, **draws), fit.profile(n_points=1), fit.get_influence()]
    for part in (*shown, fit.simulated_residuals(10, rng=1), fit.get_prediction()):
        text = part._repr_html_()
        assert text.startswith("<")
        assert "<table" in text
        assert "<img" not in text
    many = fit.get_influence()._repr_html_()
    assert many.count("<tr") < 70
    assert "rows" in many


def test_single_tables_of_a_summary_in_html(hostile):
    """A notebook shows ``fit.summary().tables[1]`` on its own, too."""
    for name, summary in summaries(hostile).items():
        for table in summary.tables:
            text = table._repr_html_()
            if isinstance(table, pd.DataFrame):
                assert "<img" not in text, name
            else:
                assert_html(text)
    for copied in (deepcopy, lambda s: pickle.loads(pickle.dumps(s))):
        summary = copied(hostile["formula"].summary())
        assert_html(summary.as_html())
        assert summary.as_text() == hostile["formula"].summary().as_text()


def test_frames_in_html(hostile):
    fit = hostile["formula"]
    means = fit.marginal_means("f")
    frames = {
        "variance_components": fit.variance_components(),
        "variance_parameters": fit.variance_parameters(),
        "random_effects_table": fit.random_effects_table(),
        "boundary_table": fit.boundary_table(),
        "cov_params": fit.cov_params(),
        "anova": fit.anova(),
        "means": means.frame,
        "contrasts": means.contrasts().frame,
        "joint_test": means.joint_test(),
        "t_test": fit.t_test(np.eye(3)).summary_frame(xname=[COLUMN] * 3),
        "terms": fit.wald_test_terms(scalar=True).summary_frame(),
    }
    for name, frame in frames.items():
        for text in (frame._repr_html_(), frame.to_html()):
            assert "<img" not in text, name


def test_text_is_as_it_was(hostile):
    """Only HTML and LaTeX escape."""
    for summary in (hostile["formula"].summary(), hostile["formula"].summary2()):
        before = summary.as_text()
        assert COLUMN in before
        summary.as_html(), summary.as_latex()
        assert summary.as_text() == before
        assert html.escape(COLUMN) not in before


def assert_latex(text):
    """No special character but those of tables."""
    text = re.sub(r"(?m)^%.*$", "", text)
    assert not re.search(r"(?<!\\)[$#_~^%|<>]", re.sub(r"\\\\", "", text))
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        assert depth >= 0
    assert depth == 0
    known = r"text\w+|begin|end|\w+rule|hline|newline|caption|label|bigskip"
    for word in re.findall(r"\\([a-z]+)", text):
        assert re.fullmatch(known, word), word


def test_summaries_in_latex():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = fits(
            LATEX_NAME, LATEX_NAME + "x", LATEX_NAME + "g", LATEX_NAME, list("abcdef")
        )
    for name, summary in summaries(found).items():
        text = summary.as_latex()
        assert_latex(text)
        if "contrasts" not in name:
            assert IN_LATEX in text, name


def test_a_backslash_and_a_tilde_in_latex():
    data = sample("y", r"\input~{x}", "g", "a", list("abcdef"))
    y, x = data["y"], data[[r"\input~{x}"]]
    fit = CrossedMixedLM(y, x, random={r"\g": data["g"]}).fit()
    for text in (fit.summary().as_latex(), fit.summary2().as_latex()):
        assert_latex(text)
        assert r"\textbackslash{}input\textasciitilde{}\{x\}" in text
        assert r"\textbackslash{}g (6)" in text


def test_rows_of_latex_that_start_with_a_bracket():
    r"""After the ``\\`` of a row LaTeX takes ``[`` for a length and ``*`` for more."""
    data = sample("y", "x", "g", "[0, 1)", list("abcdef"))
    data["f"] = data["f"].cat.rename_categories({"b": "*"})
    fit = crossedmixedlm("y ~ x + f + (1 | g)", data).fit()
    text = fit.marginal_means("f").summary().as_latex()
    assert "{[}0, 1)" in text
    assert "{*}" in text
    assert not re.search(r"\\\\\s*[\[*]", text)


def test_line_breaks_in_names():
    data = sample("y", "x", "g", "two\nlines", list("pqrstu"))
    fit = crossedmixedlm("y ~ x + C(f, Treatment('b')) + (1 | g)", data).fit()
    for summary in (fit.summary(), fit.summary2()):
        (line,) = [s for s in summary.as_text().splitlines() if "two" in s]
        assert re.search(r"two lines\] +-?\d", line)
    named = fit.get_prediction(data.head(2), row_labels=["<b>", "c"])
    assert "&lt;b&gt;" in named._repr_html_()
