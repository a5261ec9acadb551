"""Random parts of which the data determine a sum: what is known, and what is said."""

import functools
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm


@functools.cache
def sample(seed=0):
    rng = np.random.default_rng([7, seed])
    g = np.repeat(np.arange(20), 8)
    data = pd.DataFrame({"g": g, "x": rng.standard_normal(len(g))})
    data["again"] = data["g"].map("level {}".format)
    data["f"] = np.tile(list("abcd"), 40)
    data["site"] = g // 2
    data["only"] = "p"
    data["treated"], data["dose"] = g % 2 * 1.0, rng.standard_normal(20)[g]
    data["row"], data["kind"] = np.arange(len(g)), np.where(g % 2, "new", "old")
    u = rng.standard_normal(20)[g] * (1.0 + data["treated"])
    return data.assign(y=u + rng.standard_normal(len(g)))


def fit(random, seed=0, reml=True, **options):
    """A fit, and the messages of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = crossedmixedlm(f"y ~ x + {random}", sample(seed), **options)
        result = model.fit(reml=reml)
    assert all(issubclass(w.category, DataWarning) for w in caught)
    return result, [str(w.message) for w in caught]


OPEN = {
    # the model, one that says the same, what is named, parameters that are open
    "the same groups": (
        "(1 | g) + (1 | again)",
        "(1 | g)",
        r"covariances of \(1 \| g\) and \(1 \| again\) cannot be distinguished",
        1,
    ),
    "nested one in one": (
        "(1 | g) + (1 | g:only)",
        "(1 | g)",
        r"\(1 \| g\) and \(1 \| g:only\)|\(1 \| g:only\) and \(1 \| g\)",
        1,
    ),
    "dummies": (
        "(1 | g) + (0 + f | g)",
        "(0 + f | g)",
        r"\(1 \| g\) and \(0 \+ f \| g\)",
        1,
    ),
    "double column": (
        "(x + I(2 * x) | g)",
        "(x | g)",
        r"\(x \+ I\(2 \* x\) \| g\) is only partly determined",
        3,
    ),
    "two doses": (
        "(treated | g)",
        None,
        r"\(treated \| g\) is only partly determined",
        1,
    ),
    "kinds of levels": (
        "(0 + kind | g)",
        "diag(0 + kind | g)",
        r"in the same level.* diag\(0 \+ kind \| g\) omits the correlations",
        1,
    ),
    "a level for each row": (
        "(1 | g) + (1 | row)",
        "(1 | g)",
        r"\(1 \| row\) cannot be distinguished from the residual variance",
        1,
    ),
}


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("name", OPEN)
def test_what_is_said(name, reml):
    random, same, message, n_open = OPEN[name]
    result, messages = fit(random, reml=reml, check_levels=False)
    assert len(messages) == 1
    assert re.search(message, messages[0])
    assert "standard errors are NaN" in messages[0]
    text = " ".join(str(result.summary()).split())
    assert "Not determined: the covariance" in text
    assert result.identification.idle == n_open
    if same is None:
        return
    one, nothing = fit(same, reml=reml)
    assert not nothing
    assert "Not determined" not in str(one.summary())
    assert_allclose(result.llf, one.llf, rtol=1e-9)
    assert result.n_params == one.n_params
    assert_allclose([result.aic, result.bic], [one.aic, one.bic], rtol=1e-9)


IDENTIFIED = [
    "(1 | g)",
    "(x | g)",
    "(f | g)",
    "(x || g)",
    "(dose | g)",
    "(1 | site / g)",
    "(1 | g) + (1 | f)",
    "cs(0 + f | g)",
    "ar1(0 + f | g) + (1 | g)",
    "diag(0 + f | g) + (1 | g)",
]


@pytest.mark.parametrize("random", IDENTIFIED)
def test_what_is_determined_is_not_mentioned(random):
    result, messages = fit(random)
    assert not messages
    assert result.identification.idle == 0
    assert result.n_params == 3 + len(result.theta)


def test_structures():
    """A variance common to all effects and an intercept are the same."""
    result, messages = fit("cs(0 + f | g, hom=True) + (1 | g)")
    assert len(messages) == 1
    assert "cs(0 + f | g" in messages[0]
    errors = result.variance_parameters()["std err"]
    assert np.isnan(errors.drop("sigma")).all()
    one, _ = fit("cs(0 + f | g, hom=True)")
    assert_allclose(errors["sigma"], one.variance_parameters()["std err"]["sigma"])
    assert result.n_params == one.n_params


@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("the same groups", ["sigma"]),
        ("dummies", ["sigma"]),
        ("double column", ["g: sd Intercept", "sigma"]),
        ("a level for each row", ["g: sd Intercept"]),
    ],
)
def test_standard_errors(name, known, reml):
    """Those of what is determined are those of the model that says the same."""
    random, same, _, _ = OPEN[name]
    result, _ = fit(random, reml=reml, check_levels=False)
    one, _ = fit(same, reml=reml)
    for scale in ("sd", "var", "log_sd"):
        found = result.variance_parameters(scale)
        expected = one.variance_parameters(scale)
        labels = [k.replace("sd ", f"{scale} ") for k in known if k != "sigma"]
        if "sigma" in known:
            labels.append(found.index[-1])
        assert np.isfinite(found["std err"])[labels].all()
        assert found["std err"].drop(labels).isna().all()
        assert_allclose(found.loc[labels], expected.loc[labels], rtol=1e-5)
        covariance = result.cov_variance_parameters(scale)
        inside = covariance.loc[labels, labels]
        other = one.cov_variance_parameters(scale).loc[labels, labels]
        assert_allclose(inside, other, rtol=1e-4, atol=1e-9)
        assert covariance.drop(columns=labels).isna().all(axis=None)


def test_doses_that_do_not_vary_within_levels():
    """Two determine the variances at both, and the intercept is one of them."""
    result, _ = fit("(treated | g)")
    errors = result.variance_parameters()["std err"]
    assert np.isfinite(errors).tolist() == [True, False, False, True]
    # many determine the variance as a function of the dose
    errors = fit("(dose | g)")[0].variance_parameters()["std err"]
    assert np.isfinite(errors).all()


def test_fixed_effects_do_not_care():
    two, one = fit("(1 | g) + (1 | again)")[0], fit("(1 | g)")[0]
    for method in ("satterthwaite", "kenward-roger"):
        a, b = two.with_df_method(method), one.with_df_method(method)
        assert_allclose(a.df_resid_inference, b.df_resid_inference, rtol=1e-5)
        assert_allclose(a.bse, b.bse, rtol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_profile_of_a_variance_of_which_the_sum_is_determined(seed):
    """From nothing to the upper end of all, on whichever side the estimate is."""
    names = ["g: sd Intercept", "again: sd Intercept"]
    two, one = fit("(1 | g) + (1 | again)", seed)[0], fit("(1 | g)", seed)[0]
    expected = one.profile(which=names[0]).conf_int().loc[names[0], "upper"]
    found = two.profile(which=names).conf_int()
    assert_allclose(found["lower"], 0.0, atol=0.0)
    assert_allclose(found["upper"], expected, rtol=1e-6)


@pytest.mark.parametrize("seed", [5, 12])
def test_profile_along_a_valley(seed):
    """The criterion falls and rises by rounding only, which is no slope to follow."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(24), 16)
    data = pd.DataFrame({"g": g, "x": rng.standard_normal(384)})
    data["k"] = data["g"].map("{}@home".format)
    data["y"] = rng.standard_normal(24)[g] + rng.standard_normal(384)
    one = crossedmixedlm("y ~ x + (1 | g)", data).fit()
    with pytest.warns(DataWarning, match="cannot be distinguished"):
        two = crossedmixedlm("y ~ x + (1 | g) + (1 | k)", data).fit()
    names = ["g: sd Intercept", "k: sd Intercept"]
    found = two.profile(which=names).conf_int()
    expected = one.profile(which=names[:1]).conf_int()["upper"].item()
    assert_allclose(found["upper"], expected, rtol=1e-6)
    assert_allclose(found["lower"], 0.0, atol=0.0)


def test_profile_that_ends_early(monkeypatch):
    from statsmodels_lmm.core.search import profile_curve

    result, _ = fit("(1 | g)")
    monkeypatch.setattr(profile_curve, "MAX_POINTS", 1)
    name = "g: sd Intercept"
    profiled = result.profile(which=[name, "x"])
    with pytest.warns(DataWarning, match="could not be followed .* of g: sd Intercept"):
        table = profiled.conf_int()
    assert table.loc[name].isna().all()
    assert profiled.curves["parameter"].eq(name).sum() == 3


def test_likelihood_ratios():
    two, one = fit("(1 | g) + (1 | again)")[0], fit("(1 | g)")[0]
    test = two.compare_lr_test(one)
    assert test.df_diff == 0
    assert_allclose(test.statistic, 0.0)
    assert np.isnan([test.pvalue, test.pvalue_mixture]).all()
    # one variance more of which nothing is on the boundary
    doses = fit("(treated | g)")[0]
    test = doses.compare_lr_test(one)
    assert test.df_diff == 1
    assert test.pvalue_mixture == test.pvalue
    table = doses.anova(one)
    assert table["n_params"].tolist() == [4, 5]
    for table in (two.ranova(), two.anova(one)):
        assert (table["n_params"] == 4).all()


def test_a_factor_that_the_fixed_effects_tell_apart_does_not_count():
    data = sample()
    with pytest.warns(DataWarning, match="set to 0"):
        result = crossedmixedlm("y ~ C(f) + (1 | g) + (1 | f)", data).fit()
    one = crossedmixedlm("y ~ C(f) + (1 | g)", data).fit()
    assert result.n_params == one.n_params
    assert_allclose(result.aic, one.aic, rtol=1e-9)


def test_bootstrap():
    two, _ = fit("(1 | g) + (1 | again)")
    table = two.bootstrap(nsim=12, rng=1).conf_int("studentized")
    assert table.loc[["g: sd Intercept", "again: sd Intercept"]].isna().all(axis=None)
    assert table.loc[["x", "sigma"]].notna().all(axis=None)


def test_models_from_arrays_and_mixedlm():
    data = sample()
    x = np.column_stack([np.ones(len(data)), data["x"]])
    random = {"one": data["g"].to_numpy(), "two": data["again"].to_numpy()}
    with pytest.warns(DataWarning, match=r"of \(1 \| one\) and \(1 \| two\) cannot"):
        result = CrossedMixedLM(data["y"].to_numpy(), x, random=random).fit()
    assert np.isnan(result.variance_parameters()["std err"]).tolist() == [1, 1, 0]
    with pytest.warns(DataWarning, match="only partly determined"):
        result = mixedlm("y ~ x", data, groups="g", re_formula="~treated").fit()
    assert np.isfinite(result.bse_re).tolist() == [True, False, False]
    assert "Not determined" in str(result.summary())


def test_shares_of_variance():
    two, one = fit("(1 | g) + (1 | again)")[0], fit("(1 | g)")[0]
    assert_allclose(two.r_squared(), one.r_squared(), rtol=1e-7)
    assert_allclose(two.icc(), one.icc(), rtol=1e-7)
    assert two.icc(by_group=True).isna().all(axis=None)
    more = fit("(1 | g) + (1 | again) + (1 | f)")[0]
    shares = more.repeatability().notna().all(axis=1)
    assert shares.to_dict() == {"g": False, "again": False, "f": True}
    # what a level for each row has is not told from the residual
    rows = fit("(1 | g) + (1 | row)", check_levels=False)[0]
    assert rows.r_squared().isna().tolist() == [False, True]
    assert_allclose(rows.r_squared()["marginal"], one.r_squared()["marginal"])
    assert rows.icc().isna().all()
    known = rows.icc(by_group=True).notna().all(axis=1)
    assert known.to_dict() == {"g": True, "row": False}
    assert_allclose(rows.icc(by_group=True).loc["g"], one.icc(), rtol=1e-7)
    labels = sample()["row"]
    related = {"row": pd.DataFrame(2.0 * np.eye(len(labels)), labels, labels)}
    rows = fit("(1 | g) + (1 | row)", relationship=related, check_levels=False)[0]
    assert rows.r_squared().isna().tolist() == [False, True]
    assert_allclose(rows.r_squared()["marginal"], one.r_squared()["marginal"])
    # the variance at the doses that were seen is known
    doses = fit("(treated | g)")[0]
    assert np.isfinite([*doses.icc(), *doses.r_squared()]).all()
    weights = np.linspace(0.5, 2.0, len(sample()))
    two, one = (
        fit(random, weights=weights)[0]
        for random in ("(x | g) + (1 | again)", "(x | g)")
    )
    assert_allclose(two.icc(), one.icc(), rtol=1e-6)


def test_fits_without_their_data():
    result, _ = fit("(1 | g) + (1 | again)")
    count = result.n_params
    again = pickle.loads(pickle.dumps(result))
    again.remove_data()
    assert again.n_params == count
    assert "Not determined" in str(again.summary())


def test_correlated_effects_of_their_own_variances_beside_the_residual():
    """One row for each effect: from three effects on, products of correlations tell."""
    rng = np.random.default_rng(17)
    sizes = np.array([1.0, 2.0, 3.0, 1.5])
    y = (rng.standard_normal((40, 1)) + rng.standard_normal((40, 4))) * sizes
    data = pd.DataFrame({"g": np.repeat(np.arange(40), 4), "t": np.tile([*"abcd"], 40)})
    data["y"] = (y + rng.standard_normal((40, 4))).ravel()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = crossedmixedlm("y ~ t + cs(0 + t | g)", data).fit()
    assert np.isfinite(result.variance_parameters()["std err"]).all()
    for random, some in (
        ("cs(0 + t | g)", data[data["t"] < "c"]),
        ("cs(0 + t | g, hom=True)", data),
    ):
        with pytest.warns(
            DataWarning, match="distinguished from the residual variance"
        ):
            crossedmixedlm(f"y ~ t + {random}", some).fit()
