"""What a notebook and a prompt show of what is returned, and what they complete."""

import html
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from samples import load

import statsmodels_lmm
from statsmodels_lmm import crossedmixedglm, crossedmixedlm, from_json
from statsmodels_lmm.display import ResultTable, unquoted
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula import api
from statsmodels_lmm.relationship import numerator_relationship_inverse

pytestmark = pytest.mark.filterwarnings("ignore")

BINOMIAL = "incidence / size ~ period + (1 | herd)"
SLOPES = "Reaction ~ Days + (Days | Subject)"


@pytest.fixture(scope="module")
def fits():
    sleep, cbpp = load("sleepstudy"), load("cbpp")
    hostile = sleep.rename(columns={"Subject": "<b>"})
    return {
        "linear": crossedmixedlm(SLOPES, sleep).fit(),
        "hostile": crossedmixedlm("Reaction ~ Days + (1 | Q('<b>'))", hostile).fit(),
        "binomial": crossedmixedglm(
            BINOMIAL, cbpp, family="binomial", weights="size"
        ).fit(),
        "mixedlm": api.mixedlm("Reaction ~ Days", sleep, groups="Subject").fit(),
    }


def test_the_doors_are_at_the_top():
    for name in ("crossedmixedlm", "crossedmixedglm"):
        assert getattr(statsmodels_lmm, name) == getattr(api, name)
        assert name in statsmodels_lmm.__all__


# what each object is, in lines that say it without the numbers of the data
SHOWN = {
    "linear": f"<CrossedMixedLMResults: {SLOPES}\n "
    "180 rows; groups: Subject (18); REML>",
    "binomial": f"<CrossedMixedGLMResults: {BINOMIAL}\n 56 rows; groups: herd (15)\n "
    "Binomial family, logit link; ML (Laplace)>",
    "mixedlm": "<MixedLMResults: Reaction ~ Days + (1 | Subject)\n "
    "180 rows; groups: Subject (18); REML>",
}


@pytest.mark.parametrize("name", SHOWN)
def test_models_and_results(fits, name):
    assert repr(fits[name]) == repr(fits[name]._results) == SHOWN[name]
    model = SHOWN[name].replace("Results", "").rpartition(";")[0] + ">"
    assert repr(fits[name].model) == model
    assert fits[name].model._repr_html_() == f"<pre>{html.escape(model)}</pre>"


def test_a_fit_without_a_proof_or_a_formula():
    y, g = np.random.default_rng(0).normal(size=20), np.arange(20) % 5
    model = statsmodels_lmm.CrossedMixedLM(y, np.ones((20, 1)), {"g": g})
    lines = repr(model.fit(maxiter=1)).split("\n")
    assert lines[0] == "<CrossedMixedLMResults: a model from arrays"
    assert lines[1] == " 20 rows; groups: g (5); REML, no optimum proved>"
    given = model.fit(start_params=[1.0], maxiter=0)
    assert repr(given).endswith("groups: g (5); REML, parameters as given>")


PARTS = {
    "bootstrap": lambda fit: fit.bootstrap(40, rng=1),
    "profile": lambda fit: fit.profile(["sigma"]),
    "prediction": lambda fit: fit.get_prediction(),
    "influence": lambda fit: fit.get_influence("Subject"),
    "rows": lambda fit: fit.get_influence(),
    "simulated residuals": lambda fit: fit.simulated_residuals(20, rng=1),
    "optimum": lambda fit: fit.optimum,
    "inference": lambda fit: fit.inference,
    "random effects of a model": lambda fit: fit.model.random[0],
    "groups": lambda fit: statsmodels_lmm.random_effects(np.arange(4) // 2, name="g"),
    "matrix": lambda fit: statsmodels_lmm.matrix_effects(np.eye(4)),
    "relationship": lambda fit: numerator_relationship_inverse(
        pd.DataFrame({"animal": [1, 2, 3], "sire": [0, 0, 1], "dam": [0, 0, 2]})
    ),
}
BRIEF = {
    "bootstrap": "<BootstrapResults: Parametric bootstrap, 40 replicates\n 0 failed, ",
    "profile": "<ProfileLikelihood: ",
    "prediction": "<MixedPredictionResults: means of 180 rows, see summary_frame()>",
    "influence": f"<MixedInfluence: 18 deletions from {SLOPES}\n see summary_frame()>",
    "rows": f"<RowInfluence: 180 deletions from {SLOPES}\n see summary_frame()>",
    "simulated residuals": "<SimulatedResiduals: 180 rows, 20 simulations, parametric>",
    "optimum": "<Optimum: proved, 6 evaluations, gradient ",
    "inference": "<FixedInference: asymptotic, 2 fixed effects>",
    "random effects of a model": "<RandomEffects: Subject (18); Intercept, Days>",
    "groups": "<GroupTerm: g, 4 rows; Intercept>",
    "matrix": "<MatrixTerm: Z, 4 rows, 4 columns>",
    "relationship": "<LabeledMatrix: 3 levels, 9 entries>",
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_in_a_prompt(fits, name):
    text = repr(PARTS[name](fits["linear"]))
    assert text.startswith(BRIEF[name])
    assert text.count("\n") < 3
    assert text.endswith(">")


TESTS = {
    "t": (lambda f, s: f.t_test("Days = 0"), r" +Test for Constraints"),
    "chi2": (
        lambda f, s: f.wald_test("Days"),
        r"<Wald test: chi2=45\.853, p=1\.\d+e-11",
    ),
    "F": (
        lambda f, s: f.with_df_method("satterthwaite").wald_test("Days"),
        r"<F test: F=45\.853, p=3\.\d+e-06, df_num=1, df_denom=17>$",
    ),
    "ratio": (
        lambda f, s: f.compare_lr_test(s),
        r"<LikelihoodRatioResult: statistic = 42\.8\d+, df = 2, p = .* "
        r"\(chi-squared\)\n"
        " p = .* from a mixture, since variances of 0 are on the boundary>$",
    ),
    "exact": (
        lambda f, s: s.exact_lr_test(nsim=99, rng=1),
        r"<ExactLRTestResult: RLRT of the variance of Subject: Intercept\n statistic = "
        r"107\.2, p = 0\.01 from 99 draws>$",
    ),
    "determined": (
        lambda f, s: f.identification,
        "<Identification: the data determine every variance>$",
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_tests_in_a_prompt_and_a_notebook(fits, small, name):
    make, expected = TESTS[name]
    shown = make(fits["linear"], small)
    assert re.match(expected, repr(shown))
    assert "<table" in shown._repr_html_() or "<pre>&lt;" in shown._repr_html_()
    assert repr(pickle.loads(pickle.dumps(shown))) == repr(shown)


def test_what_is_infinite_and_what_is_not_determined(fits):
    assert repr(fits["binomial"].unbounded) == "<Unbounded: every estimate is finite>"
    data = load("sleepstudy").assign(k=lambda d: d["Subject"])
    two = "Reaction ~ Days + (1 | Subject) + (1 | k)"
    lines = repr(crossedmixedlm(two, data).fit().identification).split("\n")
    assert len(lines) == 1
    assert "Subject" in lines[0]
    assert "one choice of many" in lines[0]


def test_fitted_values_need_data():
    fit = crossedmixedlm("Reaction ~ Days + (1 | Subject)", load("sleepstudy")).fit()
    fit.remove_data()
    for name in ("resid", "fittedvalues", "resid_pearson"):
        with pytest.raises(DataError, match="a fitted value needs them"):
            getattr(fit, name)


def test_new_observations(fits):
    prediction = fits["linear"].get_prediction(interval="prediction")
    assert "means and new observations of 180" in repr(prediction)


@pytest.fixture(scope="module")
def small(fits):
    return fits["linear"].drop_random("(Days | Subject)", "Days")


def test_tables_in_a_prompt_and_a_notebook(fits, small):
    fit = fits["linear"]
    legend = {"m0": "Reaction ~ Days + (1 | Subject)", "m1": SLOPES}
    with pd.option_context("display.max_columns", 0, "display.width", 80):
        tests = small.anova(fit), fit.random_effect_tests()
        variances = fit.variance_components(), fit.cov_variance_parameters()
        for table in (*tests, fit.tidy(), *variances):
            assert isinstance(table.round(2), ResultTable)
            text = str(table)
            assert all(name in text for name in table)
            assert max(map(len, text.split("\n"))) <= 80
    table = pickle.loads(pickle.dumps(fit.anova(small)))
    assert list(table.index) == ["m0", "m1"]
    assert table.attrs["models"] == legend
    lines = [f"{label}: {formula}" for label, formula in legend.items()]
    assert str(table.round(2)).split("\n")[-2:] == lines
    table.attrs["models"]["m1"] = "<b>"
    end = f"<p>{lines[0]}<br>m1: &lt;b&gt;</p>"
    assert table._repr_html_().endswith(end)
    assert fit.tidy()._repr_html_().endswith("</div>")
    with pd.option_context("display.notebook_repr_html", False):
        assert table._repr_html_() is None


def test_dicts_by_factor(fits):
    fit = fits["linear"]
    assert repr(fit.cov_re) == f"Subject:\n{fit.cov_re['Subject']!r}"
    assert fit.cov_re._repr_html_().startswith("<p>Subject</p><div>")
    shown = fits["hostile"].random_effects_cov._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;</p><pre>" in shown


def test_a_fit_without_data_in_a_notebook(fits):
    saved = from_json(fits["hostile"].to_json())
    text = html.escape(saved.summary())
    assert saved._repr_html_() == f"<pre>{text}</pre>"


HIDDEN = {"initialize", "k_constant"}
INHERITED = {"cov_params_default", "mle_settings", "normalized_cov_params"}


@pytest.mark.parametrize("name", SHOWN)
def test_completion_leaves_out_what_statsmodels_needs(fits, name):
    fit = fits[name]
    assert not (HIDDEN | INHERITED) & {*dir(fit)}
    assert not HIDDEN & {*dir(fit.model)}
    assert {"params", "bootstrap", "plot_residuals"} < {*dir(fit)}
    assert {"fit", "endog", "random"} < {*dir(fit.model)}
    # what is left out works as before
    assert all(hasattr(fit, name) for name in fit._hidden)


@pytest.mark.parametrize("own", [False, True], ids=["new", "ax"])
def test_a_figure_is_shown_once(own, fits):
    plt = pytest.importorskip("matplotlib.pyplot")
    formatters = pytest.importorskip("IPython.core.formatters")
    plt.close("all")
    before = plt.get_backend()
    plt.switch_backend("module://matplotlib_inline.backend_inline")
    try:
        figure = fits["linear"].plot_residuals(ax=plt.subplots()[1] if own else None)
        # at the end of its cell, or by plt.show()
        assert plt.figure(plt.get_fignums()[0]) is figure
        # as the value of its cell, and then not at its end
        for _ in range(2):
            formats, _ = formatters.DisplayFormatter().format(figure)
            assert formats["text/plain"].startswith("<Figure")
            assert not plt.get_fignums()
    finally:
        plt.close("all")
        plt.switch_backend(before)


def test_other_backends_keep_their_figures(fits):
    plt = pytest.importorskip("matplotlib.pyplot")
    fit = fits["linear"]
    figures = [fit.plot_residuals_qq(), fit.plot_shrinkage()]
    figures.append(fit.plot_shrinkage(ax=plt.subplots()[1]))
    assert [figure._repr_mimebundle_() for figure in figures] == [{}] * 3
    assert all(plt.fignum_exists(figure.number) for figure in figures)
    plt.close("all")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("log(Q('RT (ms)'))", "log(RT (ms))"),
        ("Q('it\\'s'):Q(\"a b\")[T.x]", "it's:a b[T.x]"),
        ("SQ('x') + Q(x)", "SQ('x') + Q(x)"),
    ],
)
def test_names_for_reading(name, shown):
    assert unquoted(name) == shown


def test_titles_and_pictures_have_names_for_reading():
    names = {"Reaction": "RT (ms)", "Days": "lost (d)"}
    data = load("sleepstudy").rename(columns=names)
    formula = "log(`RT (ms)`) ~ `lost (d)` + (1 | Subject)"
    fit = crossedmixedlm(formula, data).fit()
    means = fit.marginal_means("lost (d)", at={"lost (d)": [0, 9]})
    assert "Marginal means of log(RT (ms)) " in str(means)
    assert "On the scale of log(RT (ms))." in str(means)
    slopes = fit.marginal_slopes("lost (d)", which="mean")
    assert "Slopes in lost (d) of RT (ms) " in str(slopes)
    assert unquoted(formula.replace("`RT (ms)`", "Q('RT (ms)')"), "`") == formula
    pytest.importorskip("matplotlib")
    from matplotlib import pyplot as plt

    assert fit.plot_residuals().axes[0].get_xlabel() == "fitted log(RT (ms))"
    plt.close("all")
