"""Errors at their limits: names of visits, and variances that a fit cannot follow."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM, datasets
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm


@pytest.fixture(scope="module")
def growth():
    data = datasets.orthodont.load_pandas().data
    return data.assign(visit=(data["age"] - 8) // 2)


# names of visits ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [lambda age: age, lambda age: age.astype("float32"), pd.Categorical],
    ids=["float64", "float32", "categorical"],
)
def test_whole_numbers_are_printed_as_whole_numbers(growth, change):
    data = growth.assign(age=change(growth["age"].astype(float)))
    result = crossedmixedlm("distance ~ 1", data, residual="us(age | Subject)").fit()
    assert result.residual_table().index[0] == "us (8, 10)"
    assert result.residual_table().index[-1] == "log sd 14"
    assert result.residual_covariance().index.tolist() == [8, 10, 12, 14]
    assert "8.0" not in str(result.residual_covariance()) + result.summary().as_text()
    assert np.isfinite(result.predict(data.head(3), include_residual=True)).all()


def test_large_numbers_of_visits_are_told_apart(growth):
    data = growth.assign(age=growth["age"] + 1234560.0)
    model = crossedmixedlm("distance ~ 1", data, residual="ad(age | Subject)")
    assert model.residual.parameter_names[-1] == "log sd 1234574"


def test_other_numbers_keep_their_digits(growth):
    data = growth.assign(age=growth["age"] / 4)
    model = crossedmixedlm("distance ~ 1", data, residual="us(age | Subject)")
    assert model.residual.parameter_names[0] == "us (2, 2.5)"


def test_dates_and_sets_of_parameters_are_printed_short(growth):
    date = pd.Timestamp("2020-01-01") + pd.to_timedelta(30 * growth["visit"], "D")
    data = growth.assign(day=date, arm=(growth["Sex"] == "Male") * 1.0)
    model = crossedmixedlm(
        "distance ~ 1", data, residual="ad(day | Subject, by=arm, hom=True)"
    )
    names = model.residual.parameter_names
    assert names[0] == "ad (2020-01-01, 2020-01-31) [0]"
    assert names[-1] == "log sd 1"
    result = model.fit()
    rows = data.head(2).assign(arm=[1.0, 0.0])
    sd = result.get_prediction(rows, interval="prediction").summary_frame()
    assert sd["obs_ci_upper"].nunique() == 2


@pytest.mark.parametrize("residual", ["ad(word | Subject)", "toep(word | Subject)"])
def test_the_order_of_text_is_not_that_of_numbers(growth, residual):
    data = growth.assign(word=growth["age"].map("week {:.0f}".format))
    with pytest.raises(
        DataError, match=r"'word' is text, in which week 10, .*, week 8"
    ):
        crossedmixedlm("distance ~ 1", data, residual=residual)
    word = [f"week {age}" for age in (8, 10, 12, 14)]
    ordered = data.assign(word=pd.Categorical(data["word"], word, ordered=True))
    found = crossedmixedlm("distance ~ 1", ordered, residual=residual).fit()
    expected = residual.replace("word", "age")
    expected = crossedmixedlm("distance ~ 1", growth, residual=expected).fit()
    assert_allclose(found.llf, expected.llf, rtol=1e-10)


def test_times_in_other_types(growth):
    elapsed = pd.to_timedelta(growth["age"], "D")
    origin = pd.Timestamp("2020-01-01")
    found = crossedmixedlm(
        "distance ~ 1", growth.assign(d=elapsed), residual="car1(d | Subject)"
    ).fit()
    expected = crossedmixedlm("distance ~ 1", growth, residual="car1(age | Subject)")
    assert_allclose(found.llf, expected.fit().llf, rtol=1e-10)
    dates = growth.assign(d=(origin + elapsed).dt.date)
    with pytest.raises(DataError, match=r"pd\.to_datetime"):
        crossedmixedlm("distance ~ 1", dates, residual="car1(d | Subject)")
    periods = growth.assign(d=(origin + elapsed).dt.to_period("D"))
    with pytest.raises(DataError, match=r"to_timestamp\(\)"):
        crossedmixedlm("distance ~ 1", periods, residual="car1(d | Subject)")


def test_steps_much_longer_than_the_unit(growth):
    date = pd.Timestamp("2020-01-01") + pd.to_timedelta(30 * growth["visit"], "D")
    with pytest.raises(DataError, match=r"after 30 units .* write `car1\(d \| Subject"):
        crossedmixedlm(
            "distance ~ 1", growth.assign(d=date), residual="ar1(d | Subject)"
        )


# dispersions --------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["~ 0 + Sex", "~ Sex - 1", "~ -1 + Sex"])
def test_a_dispersion_without_a_constant_says_what_sigma_is(growth, text):
    with pytest.raises(FormulaError, match=r'sigma .*write `dispersion="~ Sex"`'):
        crossedmixedlm("distance ~ 1", growth, dispersion=text)
    with pytest.raises(FormulaError, match="leave out dispersion="):
        crossedmixedlm("distance ~ 1", growth, dispersion="~ 0")


def steep(rate):
    x = np.linspace(-0.5, 0.5, 200)
    endog = np.random.default_rng(1).normal(size=200) * np.exp(rate * x)
    return pd.DataFrame({"y": endog, "x": x, "g": np.arange(200) // 10})


def test_deviations_over_many_orders_of_magnitude():
    rate, residual = 24.0, "cs(1 | g)"
    model = crossedmixedlm("y ~ 1", steep(rate), residual=residual, dispersion="~ x")
    result = model.fit()
    assert result.converged
    gamma = result.residual_params[-1]
    # the standard error of gamma is the root of 1 / (2 sum (x - mean)^2)
    assert abs(gamma - rate) < 3.0 * np.sqrt(0.5 * 12.0 / 200.0)
    assert result.residual_share > 1e-3
    assert "almost 0" not in result.summary().as_text()
    # all rows times their own exp(-gamma x): the same model in moderate numbers
    scaled = steep(rate)
    scaled["w"] = np.exp(-gamma * scaled["x"])
    scaled["y"] *= scaled["w"]
    same = crossedmixedlm("y ~ 0 + w", scaled, residual=residual).fit()
    assert_allclose(same.scale, result.scale, rtol=1e-5)
    assert_allclose(same.params.iloc[0], result.params.iloc[0], rtol=1e-5)


def test_deviations_beyond_floating_point_numbers_are_named():
    message = "variance of the errors goes to zero in the rows with x from -0.5"
    with pytest.raises(DataError, match=message):
        crossedmixedlm("y ~ 1", steep(60.0), dispersion="~ x").fit()


@pytest.mark.parametrize("origin", [-2000.0, 2000.0])
def test_a_sigma_far_from_all_rows_is_refused(growth, origin):
    data = growth.assign(x=growth["age"] + origin)
    with pytest.raises(DataError, match=r"sigma is .* write `I\(x [+-] \d+\)`"):
        crossedmixedlm("distance ~ Sex + (1 | Subject)", data, dispersion="~ x").fit()


@pytest.mark.parametrize("origin", [-150.0, 100.0])
def test_inference_does_not_depend_on_the_origin_of_a_covariate(growth, origin):
    fits = [
        crossedmixedlm(
            "distance ~ Sex + (1 | Subject)",
            growth.assign(x=growth["age"] + shift),
            dispersion="~ x",
        ).fit(df_method="kenward-roger")
        for shift in (0.0, origin)
    ]
    assert_allclose(fits[1].llf, fits[0].llf, rtol=1e-10)
    assert_allclose(fits[1].bse, fits[0].bse, rtol=1e-6)
    assert_allclose(fits[1].df_resid_inference, fits[0].df_resid_inference, rtol=1e-6)


def constant(growth, level):
    """A sex, a subject or an age whose rows all have the same response."""
    column, value = level
    response = growth["distance"].where(growth[column] != value, 25.0)
    return growth.assign(distance=response)


@pytest.mark.parametrize("effects", ["", " + (1 | Subject)"])
@pytest.mark.parametrize("sex", ["Male", "Female"])
def test_a_level_without_variance_is_named(growth, sex, effects):
    data = constant(growth, ("Sex", sex))
    model = crossedmixedlm("distance ~ Sex" + effects, data, dispersion="~ Sex")
    with pytest.raises(DataError, match=f"in the rows with Sex = {sex}, and the"):
        model.fit()


@pytest.mark.parametrize("structure", ["us", "ad"])
def test_a_visit_without_variance_is_named(growth, structure):
    data = constant(growth, ("age", 8))
    model = crossedmixedlm(
        "distance ~ C(age)", data, residual=f"{structure}(age | Subject)"
    )
    with pytest.raises(DataError, match="in the rows with age = 8, and the"):
        model.fit()


def test_rows_of_arrays_without_variance_are_named(growth):
    data = constant(growth, ("Subject", "M01"))
    one = np.asarray(data["Subject"] == "M01", dtype=float)
    model = CrossedMixedLM(
        data["distance"], np.column_stack([1.0 - one, one]), dispersion=one
    )
    rows = ", ".join(map(str, np.flatnonzero(one)))
    with pytest.raises(DataError, match=f"in the rows {rows}, and the"):
        model.fit()


@pytest.mark.parametrize("structure", ["cs(1", "ar1(visit", "car1(age", "exp(age"])
def test_groups_without_differences(growth, structure):
    means = growth.groupby("Subject")["distance"].transform("mean")
    model = crossedmixedlm(
        "distance ~ Sex",
        growth.assign(distance=means),
        residual=f"{structure} | Subject)",
    )
    with pytest.raises(DataError, match=r"perfectly correlated .* without bound"):
        model.fit()


# fitted values ------------------------------------------------------------------------


def test_powers_of_one_value(growth):
    model = crossedmixedlm("distance ~ 1", growth, power_of_fitted=True)
    with pytest.raises(DataError, match="all fitted values are the same"):
        model.fit()
    model = crossedmixedlm(
        "distance ~ Sex", growth, dispersion="~ Sex", power_of_fitted=True
    )
    with pytest.raises(DataError, match="coefficients of log"):
        model.fit()


def test_effects_and_offsets_tell_fitted_values_apart(growth):
    formula = "distance ~ 1 + (1 | Subject)"
    result = crossedmixedlm(formula, growth, power_of_fitted=True).fit()
    assert result.converged
    again = crossedmixedlm(
        formula, growth.assign(f=np.log(result.fittedvalues)), dispersion="~ f"
    ).fit()
    assert_allclose(again.llf, result.llf, rtol=1e-8)
    alone = crossedmixedlm(
        "distance ~ 1", growth, offset=growth["age"], power_of_fitted=True
    ).fit()
    assert alone.converged


# correlations -------------------------------------------------------------------------


def few_complete(n_complete, n_visits, seed=0):
    """Groups with all visits beside groups with one."""
    rng, rows = np.random.default_rng(seed), []
    for group in range(n_complete + 27):
        visits = range(n_visits) if group < n_complete else [rng.integers(n_visits)]
        level = rng.normal()
        rows += [(group, visit, level + rng.normal()) for visit in visits]
    return pd.DataFrame(rows, columns=["g", "t", "y"])


@pytest.mark.parametrize("n_visits", [3, 4])
def test_too_few_groups_with_all_visits(n_visits):
    data = few_complete(2, n_visits)
    model = crossedmixedlm("y ~ C(t)", data, residual="us(t | g)")
    with pytest.raises(DataError, match=r"in the 2 groups of g .* visits .*1, 2"):
        model.fit()


def test_two_visits_that_are_the_same(growth):
    last = growth["distance"][growth["age"] == 14].to_numpy()
    data = growth.copy()
    data.loc[data["age"] == 10, "distance"] = last
    model = crossedmixedlm("distance ~ C(age)", data, residual="us(age | Subject)")
    with pytest.raises(DataError, match=r"27 groups .* visits 10, 14, a combination"):
        model.fit()


def test_a_strong_correlation_is_found_in_few_evaluations():
    data = few_complete(5, 4, seed=1)
    result = crossedmixedlm("y ~ C(t)", data, residual="us(t | g)").fit()
    assert result.converged
    assert np.abs(result.residual_params[:6]).max() > 0.99
    assert result.optimum.evaluations < 40
