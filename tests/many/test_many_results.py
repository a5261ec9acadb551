"""Tables, tests and files of many fits."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from test_fit_many import frame, genes, model

from statsmodels_lmm.core.many.moderation import prior_of, robust_prior_of
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.many.many_results import ManyResults
from statsmodels_lmm.many.storage import ParquetFile

COMBINED = "x - f[T.b] = 0.5"


@pytest.fixture(scope="module")
def many():
    return model().fit_many(genes())


@pytest.fixture(scope="module")
def single():
    """Fits of the complete and of an incomplete response."""
    return {
        n: crossedmixedlm("y ~ x + f + (x | g)", frame().assign(y=genes()[n])).fit(
            df_method="satterthwaite", tol=1e-14
        )
        for n in ("gene0", "gene4", "gene7")
    }


def test_every_table_has_a_row_for_each_response(many):
    for name in ("params", "bse", "df", "theta", "tvalues", "pvalues", "certificates"):
        table = getattr(many, name)
        assert table.index.equals(genes().columns)
    for name in ("scale", "scale_df", "llf", "nobs", "converged", "singular", "reason"):
        assert getattr(many, name).index.equals(genes().columns)
    assert many.theta.columns.tolist() == ["g.Intercept", "g.x.Intercept", "g.x"]
    assert many.converged.all()
    assert len(many) == 12


def test_one_of_them_is_an_ordinary_result(many, single):
    for name, one in single.items():
        found = many[name]
        assert found.model.endog_names == name
        np.testing.assert_allclose(found.params, one.params, rtol=1e-7)
        np.testing.assert_allclose(found.pvalues, many.pvalues.loc[name], rtol=1e-5)
        assert found.converged


def test_contrasts(many, single):
    coefficient, combined = many.t_test("x"), many.t_test(COMBINED)
    for name, one in single.items():
        test = one.t_test(COMBINED)
        row = combined.loc[name]
        np.testing.assert_allclose(row["effect"], test.effect[0], rtol=1e-6)
        np.testing.assert_allclose(row["se"], test.sd.item(), rtol=1e-6)
        np.testing.assert_allclose(row["df"], test.df_denom.item(), rtol=1e-5)
        np.testing.assert_allclose(row["p"], test.pvalue.item(), rtol=1e-4)
        np.testing.assert_allclose(coefficient["p"][name], one.pvalues["x"], rtol=1e-5)
    expected = multipletests(coefficient["p"], method="fdr_bh")[1]
    np.testing.assert_allclose(coefficient["p_adjusted"], expected)
    scaled = many.t_test([0.0, 0.0, -2.0])
    np.testing.assert_allclose(scaled["effect"], -2.0 * coefficient["effect"])
    np.testing.assert_allclose(scaled["se"], 2.0 * coefficient["se"])
    np.testing.assert_allclose(scaled["p"], coefficient["p"])
    with pytest.raises(ValueError, match="takes one contrast"):
        many.t_test("x = 0, f[T.b] = 0")
    with pytest.raises(TypeError, match=r"needs a contrast; write .*t_test\("):
        many.t_test(None)


def test_joint_tests(many, single):
    both = many.f_test("x = 0.1, f[T.b] = 0")
    for name, one in single.items():
        test = one.f_test("x = 0.1, f[T.b] = 0")
        row = both.loc[name]
        np.testing.assert_allclose(row["F"], test.fvalue, rtol=1e-6)
        np.testing.assert_allclose(row["df_denom"], test.df_denom, rtol=1e-5)
        np.testing.assert_allclose(row["p"], test.pvalue, rtol=1e-4)
    assert (both["df_num"] == 2).all()
    term, coefficient = many.f_test("f"), many.t_test("f[T.b]")
    np.testing.assert_allclose(term["F"], coefficient["t"] ** 2, rtol=1e-9)
    np.testing.assert_allclose(term["p"], coefficient["p"], rtol=1e-7)


def test_other_degrees_of_freedom(many):
    normal, residual = many.t_test("x", "z"), many.t_test("x", "residual")
    np.testing.assert_allclose(normal["p"], 2 * stats.norm.sf(abs(normal["t"])))
    assert residual["df"]["gene0"] == 117
    assert residual["df"]["gene4"] == 114
    assert np.isinf(many.t_test(COMBINED, "asymptotic")["df"]).all()
    joint = many.f_test("f", "asymptotic")
    np.testing.assert_allclose(joint["p"], stats.chi2.sf(joint["F"], 1))
    fitted = model().fit_many(genes(), df_method="z")
    np.testing.assert_allclose(fitted.pvalues["x"], normal["p"])


@pytest.mark.parametrize("how", [True, "robust"])
def test_moderated_variances(many, how):
    usual, found = many.t_test("x"), many.t_test("x", moderated=how)
    s2, d = many.scale.to_numpy(), many.scale_df.to_numpy()
    prior = (prior_of if how is True else robust_prior_of)(s2, d)
    d0, s0 = prior.df, prior.variance
    posterior = (d0 * s0 + d * s2) / (d0 + d)
    np.testing.assert_allclose(found["se"], usual["se"] * np.sqrt(posterior / s2))
    df = np.minimum(usual["df"] + d0, d.sum())
    np.testing.assert_allclose(found["df"], df)
    p = 2.0 * stats.t.sf(abs(usual["effect"] / found["se"]), df)
    np.testing.assert_allclose(found["p"], p)
    joint = many.f_test("f", moderated=how)
    np.testing.assert_allclose(joint["F"], many.f_test("f")["F"] * s2 / posterior)
    with pytest.raises(ValueError, match="Satterthwaite"):
        many.t_test("x", "z", moderated=how)
    with pytest.raises(ValueError, match="moderated must be"):
        many.t_test("x", moderated="maybe")


def test_equal_variances_have_the_degrees_of_freedom_of_all():
    y = genes()["gene0"]
    found = model().fit_many(pd.DataFrame({"a": y, "b": -y, "c": y + 1.0}))
    table = found.t_test("x", moderated=True)
    np.testing.assert_allclose(table["df"], found.scale_df.sum())
    np.testing.assert_allclose(table["se"], found.bse["x"], rtol=0.1)


def test_residual_df_are_those_within_groups():
    data = frame()
    y = genes().iloc[:, [0, 3, 6]]
    found = crossedmixedlm("~ 1 + (1 | g)", data).fit_many(y)
    within = ~found.singular
    assert within.any()
    np.testing.assert_allclose(found.scale_df[within], 12 * 9, rtol=1e-6)
    np.testing.assert_allclose(found.scale_df[~within], 119, rtol=1e-6)


def test_likelihood_ratios(single):
    large = model().fit_many(genes(), reml=False)
    small = model("~ f + (x | g)").fit_many(genes(), reml=False)
    test = large.compare_lr_test(small)
    ml = crossedmixedlm("y ~ x + f + (x | g)", frame().assign(y=genes()["gene0"]))
    null = ml.update(". ~ . - x").fit(reml=False)
    expected = 2.0 * (ml.fit(reml=False).llf - null.llf)
    np.testing.assert_allclose(test["lr"]["gene0"], expected, rtol=1e-6)
    np.testing.assert_allclose(test["p"], stats.chi2.sf(test["lr"], 1))
    variances = model("~ x + f + (1 | g)").fit_many(genes())
    assert (model().fit_many(genes()).compare_lr_test(variances)["df"] == 2).all()
    by_reml, fewer = model().fit_many(genes()), model("~ f + (x | g)").fit_many(genes())
    for one, other, message in [
        (large, variances, "by REML"),
        (by_reml, fewer, "REML likelihoods of different"),
        (small, large, "not in the larger"),
        (large, large, "not larger"),
        (large, model().fit_many(genes(3), reml=False), "same responses"),
    ]:
        with pytest.raises(ValueError, match=message):
            one.compare_lr_test(other)


def test_variance_components(many, single):
    table = many.variance_components()
    for name, one in single.items():
        expected = np.array(one.variance_components()["sd"], dtype=float)
        found = table.loc[name].to_numpy()
        if found[:2].min() == 0.0:  # of no variance is no correlation
            assert np.isnan(found[2])
            expected[2] = found[2]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert table.columns.tolist() == [
        "g: sd Intercept", "g: sd x", "g: cor x, Intercept", "sigma",
    ]  # fmt: skip


def test_summary_counts(many):
    table = many.summary(level=0.2)
    assert table.index.tolist() == ["Intercept", "f[T.b]", "x"]
    below = (many.t_test("x")["p_adjusted"] < 0.2).sum()
    assert table.loc["x", "fdr_bh < 0.2"] == below
    np.testing.assert_allclose(table.loc["x", "median"], many.params["x"].median())
    assert "12 responses" in repr(many)
    assert "<table" in many._repr_html_()


def test_files(many, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "many.parquet"
    y = genes()
    y["none"] = np.nan
    whole = model().fit_many(y)
    file = model().fit_many(y, to=path, chunk_size=5)
    assert isinstance(file, ParquetFile)
    assert [len(part) for part in file] == [5, 5, 3]
    assert len(file) == 13
    read = ManyResults.from_parquet(path, model())
    assert read.reason["none"] == "all values are missing"
    for name in ("params", "df", "theta", "certificates"):
        one, other = getattr(read, name) * 1.0, getattr(whole, name) * 1.0
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
    with pytest.raises(DataError, match="needs the responses"):
        read["gene0"]
    given = read.with_responses(y)
    np.testing.assert_allclose(given["gene4"].llf, whole.llf["gene4"])
    again = tmp_path / "again.parquet"
    whole.to_parquet(again)
    pd.testing.assert_frame_equal(
        ManyResults.from_parquet(again, model()).params, whole.params, check_names=False
    )
    with pytest.raises(DataError, match="another model"):
        list(ParquetFile(path, model("~ x + (1 | g)")))


def test_pictures(many):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    volcano = many.plot_volcano("x", moderated=True)
    table = many.t_test("x", moderated=True)
    points = np.concatenate([c.get_offsets() for c in volcano.axes[0].collections])
    np.testing.assert_allclose(np.sort(points[:, 0]), np.sort(table["effect"]))
    figure = many.plot_pvalues("x")
    (line,) = [each for each in figure.axes[0].lines if each.get_marker() == "."]
    expected = -np.log10(np.sort(many.t_test("x")["p"]))
    np.testing.assert_allclose(line.get_ydata(), expected)
    pyplot.close("all")


def test_adjustments_by_the_names_of_r(many):
    table = many.t_test("x", adjust="BH")
    pd.testing.assert_frame_equal(table, many.t_test("x", adjust="fdr_bh"))
    plain = many.t_test("x", adjust="none")
    np.testing.assert_array_equal(plain["p"], plain["p_adjusted"])
    with pytest.raises(ValueError, match=r"adjust must be None, .*'best'"):
        many.t_test("x", adjust="best")


def test_the_volcano_takes_its_level_and_number_of_names(many):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure = many.plot_volcano("x", level=1.0, labels=2)
    assert len(figure.axes[0].texts) == 2
    pyplot.close("all")


def test_the_summary_shows_every_column(many):
    assert "..." not in repr(many.summary())


def small_model(formula="~ x + (1 | g)"):
    rng = np.random.default_rng(0)
    data = pd.DataFrame({"g": np.arange(40) // 5, "x": rng.normal(size=40)})
    data["h"] = np.arange(40) % 7
    return crossedmixedlm(formula, data), pd.DataFrame(rng.normal(size=(40, 4)))


def test_responses_are_found_as_in_a_dict():
    model, y = small_model()
    many = model.fit_many(y.set_axis(list("abcd"), axis=1))
    assert list(many) == list("abcd")
    assert "a" in many
    assert "z" not in many
    assert ["a"] not in many
    assert many.at(-1).llf == many["d"].llf
    advice = {"of one response": (["a", "b"], slice(1, 3)), r"many\.at\(3\)": (3,)}
    for text, names in advice.items():
        for name in names:
            with pytest.raises(KeyError, match=f"no response is named .*{text}"):
                many[name]
    with pytest.raises(IndexError, match="4 responses, and no position 9"):
        many.at(9)


def test_a_text_that_is_no_contrast_is_answered_with_calls_of_many():
    model, y = small_model("~ x * h + (1 | g)")
    many = model.fit_many(y)
    with pytest.raises(FormulaError, match=r"many\.t_test\('x:h'\).*'x', 'h', 'x:h'"):
        many.t_test("h:x")
    with pytest.raises(FormulaError, match=r"`many\.f_test` takes a term"):
        many.f_test("z")


def test_the_volcano_names_the_responses_that_are_asked_for(many):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    chosen = [many.names[7], many.names[0]]
    figure = many.plot_volcano("x", labels=chosen)
    tests = many.t_test("x")
    texts = {t.get_text(): t.xy for t in figure.axes[0].texts}
    assert set(texts) == {str(name) for name in chosen}
    for name in chosen:
        place = tests.loc[name, "effect"], -np.log10(tests.loc[name, "p"])
        assert np.allclose(texts[str(name)], place)
    single = many.plot_volcano("x", labels=chosen[0]).axes[0].texts
    assert [t.get_text() for t in single] == [str(chosen[0])]
    with pytest.raises(DataError, match="no response with a test is named absent"):
        many.plot_volcano("x", labels=["absent"])
    pyplot.close("all")


def test_contrasts_of_nothing():
    model, y = small_model()
    many = model.fit_many(y)
    for test in (many.t_test, many.f_test):
        with pytest.raises(ValueError, match="it tests nothing"):
            test([[0.0, 0.0]])
        with pytest.raises(ValueError, match="missing or infinite coefficients"):
            test([[0.0, np.nan]])
        with pytest.raises(ValueError, match="adjust must be None, 'bonferroni'"):
            test("x", adjust="tukey")


def test_comparisons_with_what_is_no_smaller_model():
    model, y = small_model()
    many = model.fit_many(y, reml=False)
    with pytest.raises(TypeError, match=r"`fit_many` of the smaller model.*not int"):
        many.compare_lr_test(3)
    smaller = small_model("~ 1 + (1 | g)")[0].fit_many(y, reml=False)
    with pytest.raises(ValueError, match=r"`larger.compare_lr_test\(smaller\)`"):
        smaller.compare_lr_test(many)
    slopes = small_model("~ x + (x | g)")[0].fit_many(y, reml=False)
    other = small_model("~ x + (1 | h)")[0].fit_many(y, reml=False)
    assert (slopes.compare_lr_test(many)["df"] == 2).all()
    with pytest.raises(ValueError, match="random effects of h in the smaller"):
        slopes.compare_lr_test(other)


@pytest.mark.parametrize(
    "names", [["a", 1, "b", "c"], pd.MultiIndex.from_product([["a", "b"], [1, 2]])]
)
def test_names_that_a_file_does_not_take(names, tmp_path):
    pytest.importorskip("pyarrow")
    model, y = small_model()
    many = model.fit_many(y.set_axis(names, axis=1))
    with pytest.raises(DataError, match="write others as text"):
        many.to_parquet(tmp_path / "fits.parquet")


def test_intervals_and_the_long_table(many, single):
    limits, table = many.conf_int(0.1), many.tidy(0.1)
    assert table.columns[:2].tolist() == ["response", "term"]
    for name, one in single.items():
        np.testing.assert_allclose(limits.loc[name], one.conf_int(0.1), rtol=1e-6)
        own = table[table["response"] == name]
        known = one.tidy()
        known = known[known["effect"] == "fixed"]
        for column in ("estimate", "std_error", "statistic", "df", "p_value"):
            np.testing.assert_allclose(own[column], known[column], rtol=1e-5)
        np.testing.assert_array_equal(own[["conf_low", "conf_high"]], limits.loc[name])
        assert own["term"].tolist() == known["term"].tolist()
    assert len(table) == many.params.size
    with pytest.raises(ValueError, match="alpha"):
        many.conf_int(1.5)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("topTable", r"many.t_test\('x'\).sort_values\('p'\)"),
        ("eBayes", "moderated=True"),
        ("decideTests", "< 0.05"),
        ("p_adjust", "adjust='BH'"),
        ("to_frame", "many.tidy"),
        ("random_effects", r"many\[response\].random_effects"),
        ("other", "no attribute 'other'"),
    ],
)
def test_attributes_of_other_packages_are_answered(many, name, told):
    with pytest.raises(AttributeError, match=told):
        getattr(many, name)


def test_an_incomplete_response_keeps_its_formula(many, single):
    found, one = many["gene4"], single["gene4"]
    assert found.model.formula_full == "~ x + f + (x | g)"
    assert found.nobs == one.nobs == 117
    new = frame().head(4)
    np.testing.assert_allclose(found.predict(new), one.predict(new), rtol=1e-6)
    means = [r.marginal_means("f").summary_frame()["mean"] for r in (found, one)]
    np.testing.assert_allclose(*means, rtol=1e-6)
    drops = [r.drop1()["aic"] for r in (found, one)]
    np.testing.assert_allclose(*drops, rtol=1e-7)
    assert (
        found.model.update(". ~ . - x").formula_full.split() == "~ f + (x | g)".split()
    )


def test_columns_that_depend_on_all_rows_stay():
    y = genes(5)
    many = crossedmixedlm("~ center(x) + f + (x | g)", frame()).fit_many(y)
    np.testing.assert_allclose(many["gene4"].params, many.params.loc["gene4"])
