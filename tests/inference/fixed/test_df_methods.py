"""
The switch of degrees of freedom: what follows it, and what stays.

Expected numbers are computed by hand from covariance and degrees of freedom of
`inference`, which have tests of their own, and from scipy's distributions.
"""

import copy
import functools
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import ENGINES, N, quiet, sample
from scipy import stats
from statsmodels.iolib.summary2 import summary_col

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.inference.fixed.degrees_of_freedom import DF_METHODS, inference

SMALL = ("satterthwaite", "kenward-roger")
NAMES = ["Intercept", "f[T.b]", "f[T.c]", "x"]


@functools.cache
def fit(right="x + f + (x | g) + (1 | h)", reml=True, engine="patsy"):
    with formula_engine(engine):
        return quiet(f"y ~ {right}", sample(), reml)


def by(method, **kwargs):
    return fit(**kwargs).with_df_method(method)


def redundant():
    """x and f twice."""
    return quiet("y ~ x + f + same + twice + (1 | g)")


def by_hand(rows, method, result=None):
    """Estimates, standard errors and degrees of freedom of some contrasts."""
    result = fit() if result is None else result
    found = inference(result, method)
    rows = np.atleast_2d(rows)
    estimates = rows @ np.nan_to_num(result.params)
    covariance = np.nan_to_num(found.covariance)
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    return estimates, errors, np.array([found.df(row) for row in rows])


ROWS = {
    "one": np.array([[0.0, 0.0, 0.0, 1.0]]),
    "two": np.array([[0.0, 1.0, -1.0, 0.0], [1.0, 0.0, 0.0, 2.0]]),
    "all": np.eye(4),
    "many": np.random.default_rng(5).standard_normal((6, 4)),
}


# one row for each coefficient -----------------------------------------------


@pytest.mark.parametrize("method", DF_METHODS)
def test_coefficients(method):
    plain, other = fit(), by(method)
    found = inference(plain, method)
    assert other.df_method == method
    assert other.use_t is (method != "asymptotic")
    for name in ("params", "scale", "llf", "cov_re", "fittedvalues", "theta"):
        one, two = getattr(plain, name), getattr(other, name)
        if isinstance(one, dict):
            assert all((one[k] == two[k]).all(axis=None) for k in one)
        else:
            assert np.array_equal(one, two)
    estimates, errors, df = by_hand(np.eye(4), method)
    assert_allclose(other.bse, errors)
    assert_allclose(other.tvalues, estimates / errors)
    if method == "asymptotic":
        pvalues, quantile = 2 * stats.norm.sf(abs(estimates / errors)), stats.norm.ppf
    else:
        pvalues = 2 * stats.t.sf(abs(estimates / errors), df)
        quantile = functools.partial(stats.t.ppf, df=df)
    assert_allclose(other.pvalues, pvalues)
    for alpha in (0.05, 0.2):
        half = quantile(1.0 - alpha / 2.0) * errors
        ends = np.column_stack([estimates - half, estimates + half])
        assert_allclose(other.conf_int(alpha), ends)
        assert_allclose(plain.conf_int(alpha, df_method=method), ends)
    assert_allclose(other.cov_params(), found.covariance)
    for table in (other.params, other.bse, other.pvalues, other.tvalues):
        assert isinstance(table, pd.Series)
        assert list(table.index) == NAMES
    assert list(other.conf_int().index) == list(other.cov_params().index) == NAMES
    assert isinstance(other, type(plain))


@pytest.mark.parametrize("method", DF_METHODS)
def test_the_fit_itself_stays(method):
    result = fit()
    before = result.bse.copy(), result.pvalues.copy(), result.cov_params().copy()
    result.with_df_method(method)
    result.t_test("x", df_method=method)
    result.summary(df_method=method)
    result.anova(df_method=method)
    assert result.df_method == "asymptotic"
    assert result.use_t is False
    after = result.bse, result.pvalues, result.cov_params()
    for one, two in zip(before, after):
        assert np.array_equal(one, two)


@pytest.mark.parametrize("first", DF_METHODS)
@pytest.mark.parametrize("second", DF_METHODS)
def test_from_one_method_to_another(first, second):
    direct, way = by(second), by(first).with_df_method(second)
    assert way.df_method == second
    assert_allclose(way.bse, direct.bse)
    assert_allclose(way.cov_params(), direct.cov_params())
    assert_allclose(way.pvalues, direct.pvalues)
    assert_allclose(way.conf_int(), direct.conf_int())
    ours, theirs = (
        by(first).t_test("x", df_method=second),
        fit().t_test("x", df_method=second),
    )
    assert_allclose(ours.pvalue, theirs.pvalue)
    assert_allclose(ours.sd, theirs.sd)
    one, two = (
        r.wald_test("f[T.b] = f[T.c] = 0", scalar=True, df_method=second)
        for r in (by(first), fit())
    )
    assert_allclose(one.pvalue, two.pvalue)


@pytest.mark.parametrize("first", DF_METHODS)
@pytest.mark.parametrize("second", DF_METHODS)
def test_tables_do_not_depend_on_the_method_before(first, second):
    expected = fit().anova(df_method=second)
    pd.testing.assert_frame_equal(by(first).anova(df_method=second), expected)
    expected = fit().fixed_effect_tests(second)
    pd.testing.assert_frame_equal(by(first).fixed_effect_tests(second), expected)


@pytest.mark.parametrize("first", DF_METHODS)
def test_wald_tests_of_terms_do_not_depend_on_the_method_before(first):
    expected = fit().fixed_effect_tests("wald")
    pd.testing.assert_frame_equal(by(first).fixed_effect_tests("wald"), expected)


FOLLOWERS = {
    "anova": lambda r, **how: r.anova(**how),
    "summary": lambda r, **how: r.summary2(**how).tables[2],
    "conf_int": lambda r, **how: r.conf_int(**how),
    "t_test": lambda r, **how: r.t_test("x", **how).summary_frame(),
    "t_test_pairwise": lambda r, **how: r.t_test_pairwise("f", **how).result_frame,
    "wald_test_terms": lambda r, **how: r.wald_test_terms(**how).summary_frame(),
    "marginal_means": lambda r, **how: r.marginal_means("f", **how).frame,
    "marginal_slopes": lambda r, **how: r.marginal_slopes("x", **how).frame,
    "get_prediction": lambda r, **how: r.get_prediction(**how).summary_frame(),
    "tidy": lambda r, **how: r.tidy(conf_int=True, **how),
    "refit": lambda r, **how: r.refit(r.model.endog).anova(**how),
}


@pytest.mark.parametrize("method", DF_METHODS)
@pytest.mark.parametrize("name", FOLLOWERS)
def test_every_table_follows_the_fit(name, method):
    ask = FOLLOWERS[name]
    follows = ask(fit().model.fit(df_method=method))
    pd.testing.assert_frame_equal(follows, ask(fit(), df_method=method))


@pytest.mark.parametrize("method", DF_METHODS)
def test_tests_of_terms_follow_the_fit(method):
    expected = fit().fixed_effect_tests(method)
    pd.testing.assert_frame_equal(by(method).fixed_effect_tests(), expected)


def test_anova_of_a_fit_without_a_method_is_satterthwaites():
    expected = fit().anova(df_method="satterthwaite")
    pd.testing.assert_frame_equal(fit().anova(), expected)


@pytest.mark.parametrize("method", DF_METHODS)
def test_copies_and_pickles(method):
    result = by(method)
    for other in (
        pickle.loads(pickle.dumps(result)),
        copy.copy(result._results),
        copy.deepcopy(result),
    ):
        assert other.df_method == method
        assert_allclose(other.pvalues, result.pvalues)
        assert_allclose(other.conf_int(), result.conf_int())
        assert_allclose(other.t_test("x").pvalue, result.t_test("x").pvalue)
        one, two = (r.wald_test(np.eye(4)[:2], scalar=True) for r in (other, result))
        assert_allclose(one.pvalue, two.pvalue)


@pytest.mark.parametrize("method", SMALL)
def test_after_the_data_were_removed(method):
    result = pickle.loads(pickle.dumps(by(method)))
    expected = result.t_test("x").pvalue, result.pvalues
    result.remove_data()
    assert_allclose(result.t_test("x").pvalue, expected[0])
    assert_allclose(result.pvalues, expected[1])
    assert "Degrees of freedom" in str(result.summary())
    plain = crossedmixedlm("y ~ x + (1 | g)", sample()).fit()
    plain.remove_data()
    with pytest.raises(DataError, match="data of the model were removed"):
        plain.with_df_method(method)


@pytest.mark.parametrize("method", DF_METHODS)
def test_other_packages_see_it(method):
    text = summary_col([by(method)], float_format="%.5f").as_text()
    for value in by(method).bse:
        assert f"({value:.5f})" in text
    pvalues = by(method).pvalues
    starred = summary_col([by(method)], stars=True, float_format="%.5f").as_text()
    body = starred.split("Standard errors")[0]
    assert body.count("*") == sum((pvalues < c).sum() for c in (0.1, 0.05, 0.01))


def test_asymptotic_is_what_it_was():
    result = fit()
    errors = np.sqrt(np.diag(result.cov_params()))
    assert_allclose(result.bse, errors)
    assert_allclose(result.pvalues, 2.0 * stats.norm.sf(abs(result.params / errors)))
    test = result.wald_test(np.eye(4)[1:3], scalar=True)
    assert test.distribution == "chi2"
    e, v = result.params.to_numpy()[1:3], result.cov_params().to_numpy()[1:3, 1:3]
    assert_allclose(test.statistic, e @ np.linalg.solve(v, e))
    assert_allclose(test.pvalue, stats.chi2.sf(test.statistic, 2))
    single = result.t_test("x")
    assert single.distribution == "norm"
    f = result.f_test(np.eye(4)[1:3])
    assert_allclose(f.pvalue, stats.f.sf(test.statistic / 2.0, 2, result.df_resid))
    again = result.with_df_method("asymptotic")
    for name in ("bse", "pvalues", "tvalues"):
        assert_allclose(getattr(again, name), getattr(result, name), rtol=1e-13)
    assert "t " not in str(result.summary().tables[2]).split("\n")[2]


# contrasts -----------------------------------------------------------------


@pytest.mark.parametrize("method", DF_METHODS)
@pytest.mark.parametrize("name", ROWS)
def test_t_test(name, method):
    rows = ROWS[name]
    values = np.arange(len(rows)) / 10.0
    estimates, errors, df = by_hand(rows, method)
    t = (estimates - values) / errors
    for test in (
        by(method).t_test((rows, values)),
        fit().t_test((rows, values), df_method=method),
        by(method)._results.t_test((rows, values)),
    ):
        assert_allclose(np.ravel(test.effect), estimates)
        assert_allclose(np.ravel(test.sd), errors)
        assert_allclose(np.ravel(test.tvalue), t)
        small = method != "asymptotic"
        pvalues = 2.0 * (stats.t.sf(abs(t), df) if small else stats.norm.sf(abs(t)))
        assert_allclose(np.ravel(test.pvalue), pvalues)
        quantile = stats.t.ppf(0.95, df) if small else stats.norm.ppf(0.95)
        ends = np.column_stack(
            [estimates - quantile * errors, estimates + quantile * errors]
        )
        assert_allclose(test.conf_int(alpha=0.1), ends)
        assert "Test for Constraints" in str(test.summary())
        frame = test.summary_frame()
        assert len(frame) == len(rows)
        assert_allclose(frame["std err"], errors)
    if method in SMALL:
        assert_allclose(np.ravel(test.df_denom), df)


@pytest.mark.parametrize("method", DF_METHODS)
def test_the_same_constraints_in_other_words(method):
    rows, values = np.eye(4)[[3, 1]], np.array([0.5, 0.0])
    result = by(method)
    expected = result.t_test((rows, values))
    for words in (
        "x = 0.5, f[T.b] = 0",
        ["x = 0.5", "f[T.b]"],
        (rows, values[:, None]),
    ):
        found = result.t_test(words)
        assert_allclose(found.tvalue, expected.tvalue)
        assert_allclose(found.pvalue, expected.pvalue)
    joint = result.wald_test((rows, values), scalar=True)
    for words in ("x = 0.5, f[T.b] = 0", ["x = 0.5", "f[T.b]"]):
        assert_allclose(result.wald_test(words, scalar=True).pvalue, joint.pvalue)
    single = result.t_test("x")
    assert_allclose(result.t_test(np.eye(4)[3]).pvalue, single.pvalue)
    assert_allclose(np.ravel(single.pvalue), result.pvalues["x"])


@pytest.mark.parametrize("method", DF_METHODS)
@pytest.mark.parametrize("values", [[0.0, 0.0], [0.5, -1.0]])
def test_joint_tests(method, values):
    rows = ROWS["two"]
    found, small = inference(fit(), method), method != "asymptotic"
    expected = found.f_test(rows, values)
    e = rows @ fit().params.to_numpy() - values
    wald = e @ np.linalg.solve(rows @ found.covariance @ rows.T, e)
    if method != "kenward-roger":  # its F is scaled
        assert_allclose(expected.statistic, wald / 2.0)
    if method == "residual":
        assert expected.df_denom == N - 4
    results = [(by(method), {}), (fit(), {"df_method": method})]
    for result, options_ in results:
        for scalar in (True, False):
            test = result.wald_test((rows, values), scalar=scalar, **options_)
            assert np.shape(test.statistic) == (() if scalar else (1, 1))
            assert test.distribution == ("F" if small else "chi2")
            factor = 1.0 if small else 2.0
            assert_allclose(np.ravel(test.statistic), factor * expected.statistic)
            assert_allclose(np.ravel(test.pvalue), expected.pvalue)
            if small:
                assert test.df_num == 2
                assert_allclose(test.df_denom, expected.df_denom)
            assert str(test)
        f = result.f_test((rows, values), **options_)
        assert f.distribution == "F"
        assert np.shape(f.statistic) == ()
        assert_allclose(f.statistic, expected.statistic)
        df = expected.df_denom if small else fit().df_resid
        assert_allclose(f.pvalue, stats.f.sf(expected.statistic, 2, df))
        assert_allclose(f.df_denom, df)


@pytest.mark.parametrize("method", SMALL)
def test_one_constraint_is_a_squared_t(method):
    for row in ROWS["many"]:
        t, f = by(method).t_test(row), by(method).f_test(row)
        assert_allclose(f.statistic, t.tvalue.item() ** 2)
        assert_allclose(f.pvalue, t.pvalue.item())


@pytest.mark.parametrize("method", DF_METHODS)
def test_a_given_covariance_is_used_as_it_is(method):
    given = np.diag([1.0, 2.0, 3.0, 4.0])
    rows = ROWS["two"]
    result, e = by(method), rows @ fit().params.to_numpy()
    middle = rows @ given @ rows.T
    errors = np.sqrt(np.diag(middle))
    for test in (result.t_test(rows, cov_p=given), result.t_test(rows, given)):
        assert_allclose(test.sd, errors)
        assert_allclose(test.tvalue, e / errors)
    single = result.t_test(rows[0], cov_p=given)
    assert_allclose(np.ravel(single.sd), errors[0])
    assert np.size(single.pvalue) == 1
    wald = e @ np.linalg.solve(middle, e)
    tests = [
        result.wald_test(rows, cov_p=given, scalar=True),
        result.wald_test(rows, given, scalar=True),
        result.wald_test(rows, invcov=np.linalg.inv(middle), scalar=True),
        result.f_test(rows, cov_p=given),
    ]
    for test in tests:
        factor = 2.0 if test.distribution == "F" else 1.0
        assert_allclose(factor * test.statistic, wald)
        assert np.size(test.pvalue) == 1
        assert str(test)


# dropped columns -----------------------------------------------------------


@pytest.mark.parametrize("method", DF_METHODS)
def test_contrasts_of_dropped_columns(method):
    result = redundant()
    kept = np.isfinite(result.params.to_numpy())
    assert 0 < kept.sum() < len(kept)
    other = result.with_df_method(method)
    assert np.array_equal(np.isfinite(other.bse), kept)
    assert np.array_equal(np.isfinite(other.pvalues), kept)
    assert np.isfinite(other.conf_int()).all(axis=1).tolist() == kept.tolist()
    unit = np.eye(len(kept))
    for test in (other.t_test(unit), result.t_test(unit, df_method=method)):
        for name in ("effect", "sd", "tvalue", "pvalue"):
            assert np.array_equal(np.isfinite(getattr(test, name)), kept)
        assert_allclose(test.pvalue, other.pvalues, rtol=1e-12)
    some = unit[[0, *np.flatnonzero(~kept)[:1]]]
    assert np.isfinite(other.t_test(some).pvalue).tolist() == [True, False]
    # constraints that cannot be tested are left out
    inside = unit[kept][1:3]
    everything = np.vstack([inside, unit[~kept]])
    one, two = (other.wald_test(r, scalar=True) for r in (everything, inside))
    assert_allclose(one.pvalue, two.pvalue)
    assert one.distribution == two.distribution
    nothing = other.wald_test(unit[~kept], scalar=True)
    assert np.isnan(nothing.statistic)
    assert str(other.summary())


@pytest.mark.parametrize("method", ["asymptotic", "residual", *SMALL])
def test_predictions_with_dropped_columns(method):
    """Predictions need no coefficients of columns that are left out."""
    result = redundant()
    plain = crossedmixedlm("y ~ x + f + (1 | g)", sample()).fit()
    one = result.get_prediction(df_method=method).summary_frame()
    two = plain.get_prediction(df_method=method).summary_frame()
    assert np.isfinite(two).all(axis=None)
    assert_allclose(one, two, rtol=1e-6)


# terms and pairs ------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", DF_METHODS)
def test_wald_test_terms(method, engine):
    plain = fit(engine=engine)
    for table in (
        plain.wald_test_terms(scalar=True, df_method=method).table,
        plain.with_df_method(method).wald_test_terms(scalar=True).table,
    ):
        names = list(plain.params.index)
        for term, columns in {"f": names[1:3], "x": ["x"]}.items():
            at = [names.index(c) for c in names if c.startswith(term)]
            assert len(at) == len(columns)
            rows = np.eye(4)[at]
            test = plain.wald_test(rows, scalar=True, df_method=method)
            assert_allclose(table.loc[term, "statistic"], test.statistic)
            assert_allclose(table.loc[term, "pvalue"], test.pvalue)
            assert table.loc[term, "df_constraint"] == len(at)
            if method != "asymptotic":
                assert_allclose(table.loc[term, "df_denom"], test.df_denom)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", DF_METHODS)
def test_t_test_pairwise(method, engine):
    plain = fit(engine=engine)
    names = list(plain.params.index)
    unit = np.zeros((3, 4))
    unit[1, names.index("f[T.b]")] = unit[2, names.index("f[T.c]")] = 1.0
    for pairs in (
        plain.t_test_pairwise("f", df_method=method),
        plain.with_df_method(method).t_test_pairwise("f"),
    ):
        frame = pairs.result_frame
        assert list(frame.index) == ["b-a", "c-a", "c-b"]
        for label, a, b in (("b-a", 1, 0), ("c-a", 2, 0), ("c-b", 2, 1)):
            single = plain.t_test(unit[a] - unit[b], df_method=method)
            assert_allclose(frame.loc[label, "coef"], np.ravel(single.effect)[0])
            assert_allclose(frame.loc[label, "std err"], np.ravel(single.sd)[0])
            letter = "z" if method == "asymptotic" else "t"
            assert_allclose(
                frame.loc[label, f"P>|{letter}|"], np.ravel(single.pvalue)[0]
            )
            ends = np.ravel(single.conf_int())
            assert_allclose(
                frame.loc[label, ["Conf. Int. Low", "Conf. Int. Upp."]].astype(float),
                ends,
            )


# predictions ---------------------------------------------------------------


@pytest.mark.parametrize("method", DF_METHODS)
def test_predictions(method):
    new = pd.DataFrame({"x": [1.0, 2.5, 2.5], "f": ["a", "c", "b"]})
    rows = np.array([[1.0, 0, 0, 1.0], [1, 0, 1, 2.5], [1, 1, 0, 2.5]])
    estimates, errors, df = by_hand(rows, method)
    for prediction in (
        by(method).get_prediction(new),
        fit().get_prediction(new, df_method=method),
    ):
        assert_allclose(prediction.predicted, estimates)
        assert_allclose(prediction.se, errors)
        quantile = stats.t.ppf(0.9, df) if method != "asymptotic" else 1.2815515655446
        ends = np.column_stack(
            [estimates - quantile * errors, estimates + quantile * errors]
        )
        assert_allclose(prediction.conf_int(alpha=0.2), ends)
        frame = prediction.summary_frame(alpha=0.2)
        assert_allclose(frame[["ci_lower", "ci_upper"]], ends)


@pytest.mark.parametrize("first", DF_METHODS)
@pytest.mark.parametrize("second", DF_METHODS)
def test_predictions_do_not_depend_on_the_method_before(first, second):
    new = sample()[:4]
    one = by(first).get_prediction(new, df_method=second)
    two = fit().get_prediction(new, df_method=second)
    assert_allclose(one.se, two.se)
    assert_allclose(one.conf_int(), two.conf_int())


@pytest.mark.parametrize("method", ["asymptotic", "residual"])
@pytest.mark.parametrize(
    "how",
    [{"interval": "prediction"}, {"random_effects": True}],
    ids=["prediction", "conditional"],
)
def test_other_predictions_follow_where_they_can(method, how):
    new = sample()[:4]
    one = by(method).get_prediction(new, **how)
    two = fit().get_prediction(new, df_method=method, **how)
    assert_allclose(one.conf_int(), two.conf_int())


@pytest.mark.parametrize("method", SMALL)
def test_prediction_intervals_of_new_observations_are_those_of_the_fit(method):
    new = sample()[:4]
    one = by(method).get_prediction(new, interval="prediction")
    two = fit().get_prediction(new, interval="prediction")
    assert_allclose(one.se_obs, two.se_obs)
    assert_allclose(one.conf_int(), two.conf_int())


# tables --------------------------------------------------------------------


@pytest.mark.parametrize("method", DF_METHODS)
def test_summaries(method):
    for result, kwargs in ((by(method), {}), (fit(), {"df_method": method})):
        first, second = result.summary(**kwargs), result.summary2(**kwargs)
        for text in (str(first), str(second)):
            letter = "z" if method == "asymptotic" else "t"
            assert f"P>|{letter}|" in text
            noted = f"Degrees of freedom: {method}" in text
            assert noted is (method != "asymptotic")
        assert all((first.as_html(), first.as_latex(), first.as_csv()))
        for name in NAMES:
            assert name in str(first)
        other = by(method)
        for p, t in zip(other.pvalues, other.tvalues):
            assert f"{p:.3f}" in str(first.tables[2])
            assert f"{t:.3f}" in str(first.tables[2])
        if method in SMALL:
            for df in by_hand(np.eye(4), method)[2]:
                assert f"{df:.1f}" in str(first.tables[2])
    assert by(method)._repr_html_()


def test_level_and_names_of_the_table():
    names = ["one", "two", "three", "four"]
    text = str(by("satterthwaite").summary(alpha=0.1, xname=names))
    assert all(end in text for end in ("0.05", "0.95"))
    assert all(name in text for name in names)


# what is refused -----------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda r, m: r.with_df_method(m),
        lambda r, m: r.t_test("x", df_method=m),
        lambda r, m: r.wald_test("x", df_method=m, scalar=True),
        lambda r, m: r.f_test("x", df_method=m),
        lambda r, m: r.wald_test_terms(df_method=m, scalar=True),
        lambda r, m: r.t_test_pairwise("f", df_method=m),
        lambda r, m: r.conf_int(df_method=m),
        lambda r, m: r.summary(df_method=m),
        lambda r, m: r.summary2(df_method=m),
        lambda r, m: r.anova(df_method=m),
        lambda r, m: r.get_prediction(df_method=m),
    ],
)
def test_unknown_methods_and_kenward_roger_after_ml(call):
    for wrong in ("Satterthwate", "krr", 3):
        with pytest.raises(ValueError, match=r"df_method must be .*'kenward-roger'"):
            call(fit(), wrong)
    with pytest.raises(DataError, match="refit with reml=True"):
        call(fit(reml=False), "kenward-roger")
    call(fit(reml=False), "satterthwaite")


@pytest.mark.parametrize("method", DF_METHODS)
def test_models_from_arrays_and_without_fixed_effects(method):
    data = sample()
    x = np.column_stack([np.ones(N), data["x"]])
    model = CrossedMixedLM(data["y"].to_numpy(), x, random={"g": data["g"].to_numpy()})
    array, formula = model.fit(), crossedmixedlm("y ~ x + (1 | g)", data).fit()
    one, two = (r.with_df_method(method) for r in (array, formula))
    assert_allclose(one.pvalues, two.pvalues)
    assert_allclose(one.t_test("x1").pvalue, two.t_test("x").pvalue)
    empty = crossedmixedlm("y ~ 0 + (1 | g)", data).fit().with_df_method(method)
    assert len(empty.pvalues) == 0
    assert "g (10)" in str(empty.summary())
