"""
Packages that read the results of statsmodels read ours.

Where a package may be missing, what it reads is read here as well, in the words of its
source, so that the contract is kept without it.
"""

import copy
import io
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import patsy
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm, mixedlm
from statsmodels_lmm.inference.tidy import augment, glance, tidy

N = 120


def sample():
    rng = np.random.default_rng(8)
    g, h = np.arange(N) % 12, rng.permutation(np.arange(N) % 6)
    f = rng.integers(3, size=N)
    x = rng.normal(size=N)
    y = 2.0 + x + 0.5 * f + rng.normal(size=12)[g] * (1 + 0.7 * x)
    y += rng.normal(size=6)[h] + 0.8 * rng.normal(size=N)
    # marginaleffects takes no column of plain strings
    columns = {"y": y, "x": x, "f": pd.Categorical(np.array(["a", "b", "c"])[f])}
    return pd.DataFrame(columns | {"g": [f"g{i:02d}" for i in g], "h": h})


DATA = sample()
FORMULAS = {
    "crossed": "y ~ x * f + (x | g) + (1 | h)",
    "structure": "y ~ x * f + cs(0 + f | g)",
}


def fit_of(kind):
    if kind == "ols":
        return smf.ols("y ~ x * f", DATA).fit()
    if kind == "statsmodels":
        return smf.mixedlm("y ~ x * f", DATA, groups="g").fit()
    if kind == "mixedlm":
        return mixedlm("y ~ x * f", DATA, groups="g", re_formula="~x").fit()
    if kind == "singular":
        data = DATA.assign(y=np.random.default_rng(1).normal(size=N))
        return crossedmixedlm("y ~ x * f + (x | g)", data).fit()
    if kind == "arrays":
        exog = sm.add_constant(DATA[["x"]])
        return CrossedMixedLM(DATA["y"], exog, random={"g": DATA["g"]}).fit()
    return crossedmixedlm(FORMULAS[kind], DATA).fit()


OURS = ["crossed", "mixedlm", "structure", "singular"]


@pytest.fixture(scope="module")
def fits():
    return {kind: fit_of(kind) for kind in [*OURS, "ols", "statsmodels", "arrays"]}


@pytest.fixture(params=OURS)
def result(request, fits):
    return fits[request.param]


def test_the_singular_fit_is_singular(fits):
    assert fits["singular"].is_singular
    assert not fits["crossed"].is_singular


# summary_col ---------------------------------------------------------------


def stars(p):
    return "***" if p < 0.01 else "**" if p < 0.05 else "*" if p < 0.1 else ""


def expected_cells(fit, name):
    coefficient = f"{fit.params[name]:.4f}{stars(fit.pvalues[name])}"
    return coefficient, f"({fit.bse[name]:.4f})"


@pytest.mark.parametrize("kind", [*OURS, "arrays"])
def test_summary_col_beside_ols_and_mixedlm(fits, kind):
    models = [fits["ols"], fits["statsmodels"], fits[kind]]
    table = summary_col(
        models,
        stars=True,
        model_names=["OLS", "MixedLM", "ours"],
        info_dict={
            "N": lambda fit: f"{int(fit.nobs)}",
            "AIC": lambda f: f"{f.aic:.2f}",
        },
    )
    frame = table.tables[0]
    assert list(frame.columns) == ["OLS", "MixedLM", "ours"]
    for label, fit in zip(frame.columns, models):
        for name in fit.params.index:
            row = list(frame.index).index(name)
            assert tuple(frame[label].iloc[[row, row + 1]]) == expected_cells(fit, name)
        assert frame.loc["N", label] == "120"
        assert frame.loc["AIC", label] == f"{fit.aic:.2f}"
    # our rows are the fixed effects only: variances are no coefficients
    assert frame["ours"].loc["g Var"] == ""


def test_summary_col_as_latex_and_html(fits):
    table = summary_col([fits["ols"], fits["crossed"]], stars=True, float_format="%.3f")
    latex, html = table.as_latex(), table.as_html()
    for name in fits["crossed"].params.index:
        cell = (
            f"{fits['crossed'].params[name]:.3f}{stars(fits['crossed'].pvalues[name])}"
        )
        assert cell in latex
        assert cell in html
    assert_latex(latex)


def test_summary_col_follows_the_degrees_of_freedom(fits):
    adjusted = fits["crossed"].with_df_method("kenward-roger")
    frame = summary_col([adjusted], stars=True).tables[0]
    row = list(frame.index).index("x")
    assert tuple(frame.iloc[[row, row + 1], 0]) == expected_cells(adjusted, "x")
    assert adjusted.bse["x"] > fits["crossed"].bse["x"]
    assert adjusted.pvalues["x"] > fits["crossed"].pvalues["x"]


# tables --------------------------------------------------------------------

SPECIAL = re.compile(r"(?<!\\)[_%#^]")
"""Characters that mean something else in LaTeX, unless they are escaped."""


def assert_latex(text):
    """No stray special character, and every environment ends where it should."""
    open_ones = []
    for line in text.splitlines():
        if line.lstrip().startswith("%"):
            continue
        assert not SPECIAL.search(line), line
        for what, name in re.findall(r"\\(begin|end)\{(\w+)\}", line):
            if what == "begin":
                open_ones.append(name)
            else:
                assert open_ones.pop() == name
    assert not open_ones


def awkward():
    """Names with an underscore, in fixed and random effects."""
    data = DATA.rename(columns={"x": "x_1", "g": "g_1"})
    return data.assign(y_1=data["y"])


@pytest.mark.parametrize("df_method", ["asymptotic", "kenward-roger"])
@pytest.mark.parametrize("kind", ["summary", "summary2"])
def test_summaries_as_latex_html_and_text(kind, df_method):
    fit = crossedmixedlm("y_1 ~ x_1 + f + (x_1 | g_1)", awkward()).fit()
    table = getattr(fit, kind)(df_method=df_method)
    latex, html, text = table.as_latex(), table.as_html(), table.as_text()
    assert_latex(latex)
    errors = fit.with_df_method(df_method).bse
    digits = {"summary": ".3f", "summary2": ".4f"}[kind]
    for wanted in (
        f"{fit.scale:.4f}",
        f"{fit.params['x_1']:.4f}",
        f"{errors['x_1']:{digits}}",
        f"{fit.cov_re['g_1'].loc['x_1', 'x_1']:.4f}",
        f"{fit.llf:.4f}",
    ):
        assert wanted in latex
        assert wanted in html
        assert wanted in text
    assert r"x\_1" in latex
    assert r"g\_1 (12)" in latex
    assert "g_1 (12)" in html
    assert html.count("<table") == html.count("</table>") >= 3


def test_summary_in_the_words_of_mixedlm_as_html_and_text(fits):
    fit = fits["mixedlm"]
    table = fit.summary()
    for text in (table.as_html(), table.as_text(), table.as_latex()):
        for name in ("g Var", "g x x Cov", "x Var", f"{fit.bse_re['g Var']:.3f}"):
            assert name in text
    assert fit._repr_html_().count("<table") == 2


@pytest.mark.parametrize("kind", ["summary", "summary2", "mixedlm"])
def test_text_below_the_tables_as_latex(kind):
    data = awkward().assign(y_1=np.random.default_rng(1).normal(size=N))
    if kind == "mixedlm":
        fit = mixedlm("y_1 ~ x_1", data, groups="g_1").fit()
        assert_latex(fit.summary().as_latex())
        return
    fit = crossedmixedlm("y_1 ~ x_1 + (x_1 | g_1)", data).fit()
    assert fit.is_singular
    assert_latex(getattr(fit, kind)().as_latex())


def tables_of(fit):
    """Every table that a fit gives, by name."""
    smaller = crossedmixedlm("y ~ x * f + (1 | g)", DATA).fit()
    found = {
        "variance_components": fit.variance_components(),
        "variance_parameters": fit.variance_parameters(),
        "vcomp": fit.vcomp.to_frame(),
        "theta": fit.theta.to_frame(),
        "cov_params": fit.cov_params(),
        "conf_int": fit.conf_int(),
        "conf_int, bootstrap": fit.conf_int(method="basic", nsim=39, rng=1),
        "profile": fit.profile(which="fixed").conf_int(),
        "random_effects_table": fit.random_effects_table(),
        "boundary_table": fit.boundary_table(),
        "re_pca": fit.re_pca(),
        "anova": fit.anova(),
        "anova of models": smaller.anova(fit),
        "drop1": fit.drop1(),
        "random_effect_tests": fit.random_effect_tests(),
        "fixed_effect_tests": fit.fixed_effect_tests(),
        "icc": fit.icc(by_group=True),
        "r_squared": fit.r_squared().to_frame(),
        "get_prediction": fit.get_prediction(DATA.head(3)).summary_frame(),
        "dfbetas": fit.get_influence(group="g").dfbetas,
        "tidy": tidy(fit, conf_int=True),
        "glance": glance(fit),
        "augment": augment(fit).head(),
        "wald_test_terms": fit.wald_test_terms(scalar=True).summary_frame(),
        "t_test": fit.t_test("x = 0").summary_frame(),
        "t_test_pairwise": fit.t_test_pairwise("f").result_frame,
    }
    return found


@pytest.mark.slow
def test_every_table_in_pandas_formats(fits):
    pytest.importorskip("jinja2")
    for name, table in tables_of(fits["crossed"]).items():
        frame = pd.DataFrame(table)
        assert len(frame), name
        latex = frame.to_latex(escape=True, float_format="%.3f")
        assert_latex(latex)
        # one line for each row, none for what a row holds inside
        body = latex.split(r"\midrule")[-1].split(r"\bottomrule")[0]
        assert body.count(r"\\") == len(frame), name
        styled = frame.reset_index().style.format(precision=3, na_rep="none")
        html = styled.to_html()
        assert html.count("<tr>") == len(frame) + 1, name
        assert styled.to_latex().count(r"\\") == len(frame) + 1, name
        back = pd.read_csv(io.StringIO(frame.to_csv()))
        assert len(back) == len(frame), name
        numbers = frame.select_dtypes("number")
        for column in numbers:
            if isinstance(column, str):
                assert_allclose(back[column], numbers[column], err_msg=name)


def test_prints_of_tests_as_latex_and_html(fits):
    fit = fits["crossed"]
    for answer in (fit.t_test("x = 0"), fit.t_test_pairwise("f")):
        table = answer.summary() if hasattr(answer, "summary") else answer.result_frame
        html = table.as_html() if hasattr(table, "as_html") else table.to_html()
        assert "<table" in html


# maketables ----------------------------------------------------------------


@pytest.mark.slow
def test_maketables(fits):
    maketables = pytest.importorskip("maketables")
    models = [fits[kind] for kind in ("ols", "statsmodels", "crossed", "singular")]
    table = maketables.ETable(models, model_stats=["N", "ll", "aic"])
    for kind in ("tex", "html"):
        text = str(table.make(type=kind))
        for fit in (fits["crossed"], fits["singular"]):
            for name in ("Intercept", "x"):
                assert f"{fit.params[name]:.3f}" in text
                assert f"{fit.bse[name]:.3f}" in text
            assert f"{fit.llf:.3f}" in text
            assert f"{fit.aic:.3f}" in text


def test_what_maketables_reads(result):
    """Series by name, a frame of two columns, plain numbers and names."""
    names = list(result.params.index)
    for attribute in ("params", "bse", "tvalues", "pvalues"):
        values = pd.Series(getattr(result, attribute), index=result.params.index)
        assert values.notna().all()
    z = result.params / result.bse
    assert_allclose(result.tvalues, z)
    assert_allclose(result.pvalues, 2 * stats.norm.sf(np.abs(z)))
    ends = result.conf_int(alpha=0.1)
    assert list(ends.index) == names
    assert list(ends.columns) == [0, 1]
    reach = stats.norm.isf(0.05) * result.bse
    assert_allclose(ends[1] - result.params, reach)
    assert int(result.nobs) == N
    assert result.cov_type == "nonrobust"
    assert result.model.endog_names == "y"
    assert isinstance(result.model.data.frame, pd.DataFrame)
    for name in ("llf", "aic", "bic", "df_model", "df_resid"):
        assert np.isfinite(getattr(result, name))


# marginaleffects -----------------------------------------------------------


def marginaleffects():
    """The package, if it works with the polars that is here."""
    polars = pytest.importorskip("polars")
    package = pytest.importorskip("marginaleffects")
    if int(polars.__version__.split(".")[0]) >= 2:
        pytest.skip("marginaleffects 0.6 does not work with polars 2")
    return package


def fixed_design(result, data):
    """The design by patsy, as marginaleffects makes it of ``model.formula``."""
    return np.asarray(patsy.dmatrix(result.model.formula.split("~")[1], data))


def by_hand(result, rows):
    rows = np.atleast_2d(rows)
    covariance = result.cov_params().to_numpy()
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    return rows @ result.params.to_numpy(), errors


def averages(result):
    """Contrasts of what is asked of marginaleffects below."""
    levels = [pd.Categorical([level] * N, categories=list("abc")) for level in "abc"]
    whole = [fixed_design(result, DATA.assign(f=f)) for f in levels]
    step = 1e-3
    there, here = (
        fixed_design(result, DATA.assign(x=DATA["x"] + s)) for s in (step, 0)
    )
    return {
        "means": np.array([x.mean(axis=0) for x in whole]),
        "differences": np.array([(x - whole[0]).mean(axis=0) for x in whole[1:]]),
        "slope": ((there - here) / step).mean(axis=0),
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", OURS)
def test_marginaleffects(fits, kind):
    package, result = marginaleffects(), fits[kind]
    rows = averages(result)
    found = {
        "means": package.avg_predictions(
            result, variables={"f": ["a", "b", "c"]}, by="f"
        ),
        "differences": package.avg_comparisons(result, variables="f"),
        "slope": package.avg_slopes(result, variables="x"),
    }
    for name, table in found.items():
        estimates, errors = by_hand(result, rows[name])
        assert_allclose(table["estimate"].to_numpy(), estimates, rtol=1e-4, atol=1e-6)
        assert_allclose(table["std_error"].to_numpy(), errors, rtol=1e-3)


@pytest.mark.slow
def test_marginaleffects_takes_the_adjusted_covariance(fits):
    package = marginaleffects()
    adjusted = fits["crossed"].with_df_method("kenward-roger")
    found = package.avg_slopes(adjusted, variables="x")
    _, errors = by_hand(adjusted, averages(adjusted)["slope"])
    assert_allclose(found["std_error"].to_numpy(), errors, rtol=1e-3)
    assert errors[0] > by_hand(fits["crossed"], averages(adjusted)["slope"])[1][0]


def test_what_marginaleffects_reads(result):
    """The fixed part alone: names, formula, covariance, and a linear prediction."""
    assert "statsmodels" in str(type(result))
    model = result.model
    assert "|" not in model.formula
    assert model.formula.split("~")[0].strip() == model.endog_names
    covariance = np.array(result.cov_params())
    assert covariance.shape == (len(result.params),) * 2
    assert isinstance(result.df_resid, float)
    frame = model.data.frame
    assert {"x", "f"} <= set(frame.columns)
    design = fixed_design(result, frame)
    assert_allclose(design, model.exog)
    values = np.array(result.params)
    assert_allclose(model.predict(values, design), design @ values)
    assert_allclose(model.predict(values, design), result.predict(frame))


# marginal means ------------------------------------------------------------


def grid_means(result, factor):
    """
    Marginal means by what pymmeans reads of a result, and no more.

    ``fe_params``, the labels of ``cov_params()``, the data and patsy's description of
    the design, which statsmodels 0.14 called ``design_info``.
    """
    beta = result.fe_params
    covariance = result.cov_params().loc[beta.index, beta.index].to_numpy()
    spec, frame = result.model.data.design_info, result.model.data.frame
    infos = {f.name(): info for f, info in spec.factor_infos.items()}
    assert infos["f"].type == "categorical"
    assert infos["f"].categories == ("a", "b", "c")
    grid = pd.DataFrame({factor: infos[factor].categories, "x": frame["x"].mean()})
    (rows,) = patsy.build_design_matrices([spec], grid)
    rows = np.asarray(rows)
    errors = np.sqrt(np.diag(rows @ covariance @ rows.T))
    return rows @ beta.to_numpy(), errors


def test_what_pymmeans_reads(result):
    means, errors = grid_means(result, "f")
    grid = pd.DataFrame({"f": list("abc"), "x": DATA["x"].mean()})
    prediction = result.get_prediction(grid)
    assert_allclose(means, prediction.predicted)
    assert_allclose(errors, prediction.se)
    assert result.model.data.model_spec.column_names == list(result.params.index)


@pytest.mark.parametrize("kind", OURS)
def test_pymmeans(fits, kind):
    pymmeans = pytest.importorskip("pymmeans")
    result = fits[kind]
    found = pymmeans.emmeans(result, "f").frame
    means, errors = grid_means(result, "f")
    assert_allclose(found["emmean"], means, rtol=1e-6)
    assert_allclose(found["SE"], errors, rtol=1e-6)


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger"])
def test_degrees_of_freedom_that_others_cannot_read(fits, method):
    """No errors of small samples go with infinite degrees of freedom in silence."""
    result = fits["crossed"].with_df_method(method)
    with pytest.warns(DataWarning, match=f"{method}.* are not in fe_params"):
        assert_allclose(result.fe_params, result.params)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fits["crossed"].with_df_method("residual").fe_params  # noqa: B018


# storing and copying -------------------------------------------------------


def through_pickle(result, folder):
    return pickle.loads(pickle.dumps(result))


def through_save(result, folder):
    result.save(str(folder / "fit.pickle"))
    return sm.load(str(folder / "fit.pickle"))


def through_joblib(result, folder):
    joblib = pytest.importorskip("joblib")
    joblib.dump(result, folder / "fit.joblib", compress=3)
    return joblib.load(folder / "fit.joblib")


def through_cloudpickle(result, folder):
    cloudpickle = pytest.importorskip("cloudpickle")
    return cloudpickle.loads(cloudpickle.dumps(result))


def through_copy(result, folder):
    return copy.copy(result)


def through_deepcopy(result, folder):
    return copy.deepcopy(result)


WAYS = {
    function.__name__.removeprefix("through_"): function
    for function in (
        through_pickle,
        through_save,
        through_joblib,
        through_cloudpickle,
        through_copy,
        through_deepcopy,
    )
}


def answers(result):
    """What should survive, also what is found anew from the data."""
    found = {
        "params": result.params,
        "bse": result.bse,
        "cov_re": result.cov_re,
        "vcomp": result.vcomp,
        "fitted": result.fittedvalues,
        "modes": result.random_effects_table(),
        "variances": result.variance_parameters(),
        "summary": str(result.summary()),
        "adjusted": result.with_df_method("kenward-roger").bse,
        "refit": result.model.fit(reml=result.reml).llf,
    }
    if hasattr(result.model, "formula"):
        found["predictions"] = result.predict(DATA.head(4), random_effects=True)
        found["terms"] = str(result.wald_test_terms(scalar=True))
    if hasattr(result, "packed_params"):
        found["packed"] = result.packed_params
        found["random effects"] = pd.DataFrame(result.random_effects)
        found["groups"] = result.model.group_labels
    return found


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        other = found[name]
        if isinstance(value, pd.DataFrame | pd.Series):
            check = (
                pd.testing.assert_frame_equal
                if isinstance(value, pd.DataFrame)
                else pd.testing.assert_series_equal
            )
            check(other, value, rtol=1e-12)
        elif isinstance(value, float):
            assert other == pytest.approx(value, rel=1e-12)
        else:
            assert str(other) == str(value), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", [*OURS, "arrays"])
def test_storing_and_copying(fits, kind, way, tmp_path):
    result = fits[kind]
    other = WAYS[way](result, tmp_path)
    assert type(other) is type(result)
    assert type(other._results) is type(result._results)
    assert_same(answers(other), answers(result))


def test_a_deep_copy_is_apart(fits):
    result = fit_of("mixedlm")
    other = copy.deepcopy(result)
    expected = answers(other)
    result.remove_data()
    result._results.params[:] = 0.0
    assert_same(answers(other), expected)


def predictions(result, data):
    return result.predict(data, random_effects=True)


def test_workers_of_joblib(fits):
    joblib = pytest.importorskip("joblib")
    result = fits["crossed"]
    parts = [DATA.iloc[:60], DATA.iloc[60:]]
    run = joblib.Parallel(n_jobs=2, prefer="threads")
    found = run(joblib.delayed(predictions)(result, part) for part in parts)
    assert_allclose(pd.concat(found), result.fittedvalues, rtol=1e-12)


def test_a_function_of_the_session_is_taken_along():
    cloudpickle = pytest.importorskip("cloudpickle")
    space = {"crossedmixedlm": crossedmixedlm, "DATA": DATA}
    code = "def half(x):\n    return x / 2\n\n\n"
    code += "fit = crossedmixedlm('y ~ half(x) + (1 | g)', DATA).fit()\n"
    exec(code, space)
    result = space["fit"]
    assert_allclose(result.predict(DATA.head(3)), result.predict().head(3))
    other = cloudpickle.loads(cloudpickle.dumps(result))
    assert_allclose(other.fittedvalues, result.fittedvalues, rtol=1e-12)
    assert_allclose(other.predict(DATA.head(3)), result.predict().head(3))


# generalized models ----------------------------------------------------------------


@pytest.fixture(scope="module")
def risks():
    data = DATA.assign(high=(DATA["y"] > DATA["y"].median()) * 1.0)
    return crossedmixedglm("high ~ x + f + (1|g)", data).fit(nagq=0)


def test_the_link_that_others_read(risks):
    """Pymmeans takes the name of its class, and what statsmodels' links have."""
    link, theirs = risks.model.family.link, sm.families.links.Logit()
    assert type(link).__name__ == type(theirs).__name__
    eta, mu = np.array([-2.0, 0.3]), np.array([0.2, 0.7])
    assert_allclose(link(mu), theirs(mu))
    assert_allclose(link.deriv(mu), theirs.deriv(mu))
    assert_allclose(link.inverse(eta), theirs.inverse(eta))
    assert_allclose(link.inverse_deriv(eta), theirs.inverse_deriv(eta))
    design = fixed_design(risks, risks.model.data.frame)
    means = risks.model.predict(np.array(risks.params), design)
    assert_allclose(means, risks.predict(risks.model.data.frame))


def test_pymmeans_on_the_scale_of_the_response(risks):
    pymmeans = pytest.importorskip("pymmeans")
    found = pymmeans.emmeans(risks, "f", type="response").frame
    expected = risks.marginal_means("f").frame
    names = ["emmean", "SE", "lower_cl", "upper_cl"]
    assert_allclose(found[names], expected[["mean", "std err", "ci_lower", "ci_upper"]])


@pytest.mark.slow
def test_marginaleffects_on_the_scale_of_the_response(risks):
    found = marginaleffects().avg_predictions(risks)
    assert_allclose(found["estimate"][0], risks.predict().mean(), rtol=1e-6)
