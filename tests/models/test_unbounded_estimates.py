"""Fits without a finite maximum likelihood estimate."""

import functools
import pickle

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import ConvergenceWarning, DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedglm
from statsmodels_lmm.inference.comparison.anova import _constrained
from statsmodels_lmm.models.separation import effect_sentence, unlimited_names
from statsmodels_lmm.results.saving import from_json

links = sm.families.links

FAMILIES = {
    "logit": sm.families.Binomial(),
    "probit": sm.families.Binomial(links.Probit()),
    "cloglog": sm.families.Binomial(links.CLogLog()),
    "cauchy": sm.families.Binomial(links.Cauchy()),
    "poisson": sm.families.Poisson(),
    "negative binomial": sm.families.NegativeBinomial(alpha=0.5),
}


def rows():
    """Rows in which the response is constant at one level of t."""
    rng = np.random.default_rng(0)
    n = 300
    data = pd.DataFrame({"x": rng.normal(size=n), "g": rng.integers(0, 15, n)})
    data["t"] = rng.choice(list("abc"), n)
    eta = 0.5 * data["x"] + 0.7 * rng.normal(size=15)[data["g"]]
    at_b = data["t"] == "b"
    binary = (rng.random(n) < 1.0 / (1.0 + np.exp(-eta))) * 1
    count = rng.poisson(np.exp(eta))
    return data.assign(y=binary.where(~at_b, 1), c=np.where(at_b, 0, count))


def fitted(name, data, formula="x + t + (1|g)", **how):
    response = "y" if FAMILIES[name].__class__.__name__ == "Binomial" else "c"
    return crossedmixedglm(f"{response} ~ {formula}", data, family=FAMILIES[name]).fit(
        **how
    )


@functools.cache
def separated(name="logit"):
    with pytest.warns(DataWarning, match=r"constant where t = b \(\d+ rows\): its"):
        return fitted(name, rows())


@pytest.mark.parametrize("name", FAMILIES)
def test_other_coefficients_are_those_without_the_separated_rows(name):
    fit, data = separated(name), rows()
    without = fitted(name, data[data["t"] != "b"])
    kept = ["Intercept", "t[T.c]", "x"]
    assert_allclose(fit.params[kept], without.params[kept], atol=1e-4)
    assert_allclose(fit.bse[kept], without.bse[kept], rtol=1e-3)
    assert_allclose(fit.theta, without.theta, rtol=1e-3)
    for values in (fit.bse, fit.tvalues, fit.pvalues, *fit.conf_int().T.to_numpy()):
        assert list(np.isnan(values)) == [False, True, False, False]


@pytest.mark.parametrize("how", [{"nagq": 0}, {"nagq": 5}, {"cov_type": "rx"}])
def test_standard_errors_of_every_kind(how):
    data = rows()
    with pytest.warns(DataWarning, match="its coefficient is infinite"):
        fit = fitted("logit", data, **how)
    without = fitted("logit", data[data["t"] != "b"], **how)
    kept = ["Intercept", "t[T.c]", "x"]
    assert_allclose(fit.bse[kept], without.bse[kept], rtol=1e-3)
    assert np.isnan(fit.bse["t[T.b]"])


def test_the_summary_says_so():
    text = " ".join(str(separated().summary()).split())
    assert not separated().converged
    assert "Not finite: the response is constant where t = b" in text
    assert "Local optimum NOT proved" in text


def test_tests_of_contrasts():
    fit = separated()
    assert np.isnan(fit.t_test("t[T.b] = 0").pvalue)
    assert_allclose(fit.t_test("t[T.c] = 0").sd, fit.bse["t[T.c]"])
    both = fit.wald_test("t[T.b] = 0, t[T.c] = 0", scalar=True)
    assert_allclose(both.statistic, fit.tvalues["t[T.c]"] ** 2)
    with pytest.warns(DataWarning, match="what is infinite of t: the response is"):
        table = fit.anova()
    assert_allclose(table["df"], [1, 1])
    assert_allclose(table["statistic"], fit.tvalues[["x", "t[T.c]"]] ** 2)
    joint = fit.joint_covariance().to_numpy()
    assert_allclose(np.isnan(joint).all(axis=0), np.arange(len(joint)) == 1)


@functools.cache
def recoded():
    """The same model with the separated level as the reference."""
    with pytest.warns(DataWarning, match="their coefficients are infinite"):
        return fitted("logit", rows(), "x + C(t, Treatment('b')) + (1|g)")


def test_what_is_finite_does_not_depend_on_the_coding():
    one, other = separated(), recoded()
    assert list(np.isnan(other.bse)) == [True, True, True, False]
    c_minus_a = other.t_test([0, -1, 1, 0])
    assert_allclose(c_minus_a.effect, one.params["t[T.c]"], rtol=1e-5)
    assert_allclose(c_minus_a.sd, one.bse["t[T.c]"], rtol=1e-5)
    with pytest.warns(DataWarning, match="1 of 2 contrasts cannot .* infinite: Inter"):
        two = other.t_test([[0, -1, 1, 0], [1, 1, 1, 0.5]])
    assert list(np.isnan(two.pvalue)) == [False, True]
    with pytest.warns(DataWarning, match="what is infinite of C"):
        table = other.anova()
    with pytest.warns(DataWarning, match="what is infinite of t"):
        assert_allclose(table, one.anova(), rtol=1e-4)


@pytest.mark.parametrize(
    ("which", "average"), [("linear", False), ("mean", False), ("mean", "average")]
)
def test_marginal_means(which, average):
    """Those of other levels, and their test, are the same; that of b is NaN."""
    how = {"which": which, "random_effects": average}
    means = [fit.marginal_means("t", **how) for fit in (separated(), recoded())]
    one, other = (m.frame.drop(columns="t").to_numpy() for m in means)
    assert_allclose(one, other, rtol=1e-4)
    assert list(np.isnan(one[:, 0])) == [False, True, False]
    assert_allclose(means[0].contrasts().frame["estimate"].isna(), [True, False, True])
    tests = [m.joint_test().iloc[0] for m in means]
    assert_allclose(tests[0], tests[1], rtol=1e-4)
    assert tests[0]["df"] == 1
    assert "NaN: infinite or not determined by the data." in str(means[0])


def test_likelihood_ratios_name_the_columns_of_the_formula():
    with pytest.warns(DataWarning, match=r"constant where t = b \(\d+ rows\): its"):
        separated().fixed_effect_tests("lrt")
    with pytest.warns(DataWarning, match="under the hypothesis"):
        fit = _constrained(recoded()._results, np.array([[0.0, -1.0, 1.0, 0.0]]))
    assert [n.endswith("hypothesis") for n in fit.model.exog_names] == [0, 1, 0]
    assert fit.model.exog_names[::2] == ["Intercept", "x"]


@pytest.mark.parametrize("effects", [False, True, "average"])
def test_predictions(effects):
    new = pd.DataFrame({"x": 0.0, "t": list("abc"), "g": [1, 2, 3]})
    table = separated().get_prediction(new, random_effects=effects).summary_frame()
    assert_allclose(table["predicted"].iloc[1], 1.0, atol=1e-6)
    assert list(np.isnan(table["se"])) == [False, True, False]


def test_saved_fits():
    fit = separated()
    for other in (from_json(fit.to_json()), pickle.loads(pickle.dumps(fit))):
        assert_allclose(other.bse, fit.bse)
        assert not other.converged


def test_a_covariate_that_separates_all_rows():
    data = rows()
    data["y"] = (data["x"] > 0.0) * 1
    with pytest.warns(DataWarning, match="error in every row; their coefficients are"):
        fit = fitted("logit", data, "x + (1|g)")
    assert np.isnan(fit.bse).all()


SLOPES = {
    "(0 + x|g)": "within every level of g, x predicts the response without error: the "
    "variance of this effect is not",
    "(0 + z|g)": "",
    "(0 + t|g)": "of g, t[a] and t[b] predict the response without error: the "
    "variances of these effects are not",
    "cs(0 + t|g)": "",
    "(x|g:t)": "within every level of g:t, x predicts",
}


@pytest.mark.parametrize("formula", SLOPES)
def test_slopes_that_predict(formula):
    """In every level; t[c] does not, and cs has one correlation for all."""
    data = rows()
    flip, up = data["g"] % 2 == 0, data["x"] > 0.0
    y = up ^ flip
    if "t|" in formula and "x" not in formula:
        y = (flip ^ (data["t"] == "a")).where(data["t"] != "c", y)
    model = crossedmixedglm(
        f"y ~ {formula}", data.assign(y=y * 1, z=np.where(data.index == 7, -1.0, 1.0))
    )
    names = unlimited_names(model.random[0], 2.0 * model.endog - 1.0)
    found = effect_sentence(model.random[0].name, names) if names else ""
    assert SLOPES[formula] in found
    assert bool(found) == bool(SLOPES[formula])


def test_a_slope_that_predicts():
    data = rows()
    data["y"] = ((data["x"] > 0.0) ^ (data["g"] % 2 == 0)) * 1
    with pytest.warns(DataWarning, match="of g, x predicts the response without error"):
        fit = fitted("logit", data, "1 + (0 + x|g)")
    assert not fit.converged
    assert np.isnan(fit.bse).all()


def test_a_response_without_error():
    data, family = rows().head(40), sm.families.Gamma(links.Log())
    with pytest.warns(ConvergenceWarning, match="the dispersion tends to 0"):
        fit = crossedmixedglm("np.exp(x) ~ x + (1|g)", data, family=family).fit()
    assert not fit.converged


def test_levels_without_variation():
    data = rows()
    one = data.assign(y=data["y"].where(data["g"] != 3, 1))
    assert fitted("logit", one, "x + (1|g)").converged
    every = data.assign(y=data["g"] % 2)
    with pytest.warns(DataWarning, match="constant within every level of g: the var"):
        fit = fitted("logit", every, "x + (1|g)")
    assert np.isnan(fit.bse).all()
    assert fit.variance_parameters()["std err"].isna().all()
    with pytest.raises(DataError, match="no maximum from which to profile: the resp"):
        fit.profile()
    assert not fit.converged
    with pytest.raises(DataError, match="to estimate the dispersion from"):
        crossedmixedglm(
            "I(g + 1) ~ x + (1|g)", data, family=sm.families.Gamma(links.Log())
        ).fit()
