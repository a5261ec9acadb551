"""
Standardized coefficients are those of R's effectsize, and of standardized data.

The references are of effectsize 0.8.3, standardize_parameters(m, method = ..., two_sd =
...), for lmer(Reaction ~ Days * age + (Days | Subject), sleepstudy) and glmer(slow ~
Days + age + (1 | Subject), sleepstudy, family = binomial), with age 20 plus the number
of the subject and slow for reaction times above 300.
"""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from samples import load, quiet

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

LINEAR = {
    ("refit", False): [0.0, 0.53523023, 0.17061743, 0.083227695],
    ("basic", False): [0.063309003, 0.040587393, 0.496493522],
    ("pseudo", False): [0.080573711, 0.065614613, 0.631890000],
    ("refit", True): [0.0, 1.0704605, 0.34123485, 0.33291078],
    ("pseudo", True): [0.16114742, 0.13122923, 1.26378000],
}
LOGIT = {
    ("refit", False): [-0.57381469, 1.68666457, 0.56026804],
    ("basic", False): [1.68665931, 0.56026561],
    ("pseudo", False): [1.68665931, 0.57490492],
    ("pseudo", True): [3.3733186, 1.1498098],
}


def data():
    rows = load("sleepstudy")
    order = rows["Subject"].astype(str).rank(method="dense").astype(int)
    return rows.assign(age=20 + order, slow=1.0 * (rows["Reaction"] > 300))


@functools.cache
def linear():
    return crossedmixedlm("Reaction ~ Days * age + (Days | Subject)", data()).fit()


@functools.cache
def logit():
    formula = "slow ~ Days + age + (1 | Subject)"
    return crossedmixedglm(formula, data()).fit()


@pytest.mark.parametrize(("asked", "expected"), LINEAR.items())
def test_a_linear_model_as_in_r(asked, expected):
    table = linear().standardized(asked[0], two_sd=asked[1])
    assert_allclose(table["estimate"], expected, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize(("asked", "expected"), LOGIT.items())
def test_a_generalized_model_as_in_r(asked, expected):
    table = logit().standardized(asked[0], two_sd=asked[1])
    assert_allclose(table["estimate"], expected, rtol=2e-5)


def test_a_refit_is_a_fit_to_standardized_data():
    """With the same kind of intervals."""
    rows = data()
    for name in ("Reaction", "Days", "age"):
        rows[name] = (rows[name] - rows[name].mean()) / rows[name].std()
    formula = "Reaction ~ Days * age + (Days | Subject)"
    expected = crossedmixedlm(formula, rows).fit(df_method="residual")
    table = linear().with_df_method("residual").standardized(alpha=0.1)
    assert_allclose(table["estimate"], expected.params, atol=1e-9)
    assert_allclose(table["std err"], expected.bse, rtol=1e-6)
    ends = expected.conf_int(0.1).to_numpy()
    assert_allclose(table[["lower", "upper"]], ends, rtol=1e-6)


def test_without_interactions_all_methods_agree():
    """Up to the indicators, which a refit leaves alone."""
    fit = quiet("y ~ x + z + f + (1 | g)")
    refit, basic = fit.standardized(), fit.standardized("basic")
    assert_allclose(refit.loc[["x", "z"]], basic.loc[["x", "z"]], rtol=1e-6)
    spread = np.std(fit.model.endog, ddof=1)
    assert_allclose(refit.loc["f[T.b]", "estimate"], fit.params["f[T.b]"] / spread)
    assert refit.attrs["unchanged"] == []


def test_a_constant_slope_of_groups():
    """A column between groups is scaled by its group means."""
    rows = data()
    table = linear().standardized("pseudo")
    null = crossedmixedlm("Reaction ~ 1 + (1 | Subject)", rows).fit()
    age = rows.groupby("Subject", observed=True)["age"].first()
    factor = age.std() / np.sqrt(null.vcomp.iloc[0])
    assert_allclose(table.loc["age", "estimate"], linear().params["age"] * factor)
    within = rows["Days"].std() / np.sqrt(null.scale)
    assert_allclose(table.loc["Days", "std err"], linear().bse["Days"] * within)


def test_what_is_refused():
    with pytest.raises(ValueError, match="'refit', 'basic' or 'pseudo'"):
        linear().standardized("posthoc")
    with pytest.raises(ValueError, match="name one of the grouping factors"):
        quiet("y ~ x + (1 | g) + (1 | h)").standardized("pseudo")
    with pytest.raises(DataError, match="offset"):
        quiet("y ~ x + (1 | g)", offset="o").standardized()
    with pytest.raises(TypeError, match="medians"):
        linear().standardized(robust=True)
    model = linear().model
    arrays = CrossedMixedLM(model.endog, model.exog, model.random).fit()
    with pytest.raises(DataError, match="method='basic'"):
        arrays.standardized()
    basic = arrays.standardized("basic")["estimate"]
    assert_allclose(basic, LINEAR["basic", False], rtol=1e-5)


def test_columns_inside_functions_stay_as_they_are():
    """So does the frame of the fit."""
    fit = quiet("y ~ log(x) + z + (z | g)")
    table = fit.standardized()
    assert table.attrs["unchanged"] == ["x"]
    spread = np.std(fit.model.endog, ddof=1)
    assert_allclose(table.loc["log(x)", "estimate"], fit.params["log(x)"] / spread)
    assert fit.model.data.frame["x"].mean() > 1.0


@pytest.mark.parametrize("effects", [" + (1 | Subject)", ""])
@pytest.mark.parametrize(
    "errors",
    [{"dispersion": "~ log(Days)"}, {"residual": "ar1(Days | Subject)"}],
)
def test_errors_keep_the_columns_that_describe_them(errors, effects):
    """Times and sizes are those of the fit, as log(Days) of a score would not be."""
    rows = data().assign(Days=lambda d: d["Days"] + 1.0)
    fit = crossedmixedlm("Reaction ~ Days" + effects, rows, **errors).fit()
    ratio = rows["Days"].std() / rows["Reaction"].std()
    found = fit.standardized().loc["Days"]
    assert_allclose(found["estimate"], ratio * fit.params["Days"], rtol=1e-6)
    assert_allclose(found["std err"], ratio * fit.bse["Days"], rtol=1e-5)
    basic = fit.standardized("basic")["estimate"]
    assert_allclose(basic, ratio * fit.params[["Days"]])


def test_errors_that_follow_the_fitted_values():
    rows = data()
    model = crossedmixedlm("Reaction ~ Days", rows, power_of_fitted=True)
    with pytest.raises(DataError, match="follow the fitted values"):
        model.fit().standardized()
