"""When rows were observed: levels in order, units of time, visits with too few rows."""

from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import DataError, DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(1)
    root = np.linalg.cholesky(0.3 ** np.abs(np.subtract.outer(range(6), range(6))))
    data = pd.DataFrame({"g": np.repeat(range(20), 6), "t": np.tile(range(6), 20)})
    data["y"] = (rng.normal(size=(20, 6)) @ root.T).ravel()
    return data


def fit(data, text, formula="y ~ 1"):
    return crossedmixedlm(formula, data, residual=text).fit()


@pytest.mark.parametrize("formula", ["y ~ 1", "y ~ order"])
def test_a_level_that_was_never_observed_is_a_step(data, formula):
    names = list("abcdef")
    order = pd.Categorical.from_codes(data["t"], names, ordered=True)
    gap = data.assign(order=order)[data["t"] != 2].copy()
    with pytest.warns(match="levels of") if "order" in formula else nullcontext():
        found = fit(gap, "ar1(order | g)", formula)
    gap["order"] = gap["order"].cat.remove_unused_categories()
    assert_allclose(found.llf, fit(gap, "ar1(t | g)", formula).llf, rtol=1e-9)


@pytest.mark.parametrize("unit", [1e7, 0.1, 0.02])
def test_the_unit_of_time_does_not_matter(data, unit):
    scaled = data.assign(t=data["t"] * unit)
    power, exponential = fit(scaled, "car1(t | g)"), fit(scaled, "exp(t | g)")
    assert power.converged
    assert_allclose(power.llf, exponential.llf, rtol=1e-10)
    rho, reach = power.residual_params[0], exponential.residual_params[0]
    assert_allclose(np.log(rho), -1.0 / reach, rtol=1e-6)


def test_a_unit_of_time_too_long_for_car1(data):
    years = data.assign(t=data["t"] / 365.0)
    with pytest.raises(DataError, match=r"shorter units, or write `exp\(t \| g\)`"):
        fit(years, "car1(t | g)")


@pytest.mark.parametrize("text", ["us(t | g)", "ar1(t | g, hom=False)", "cs(t | g)"])
def test_a_visit_with_one_row_has_no_variance(data, text):
    few = data[(data["t"] < 2) | ((data["t"] == 4) & (data["g"] == 0))]
    with pytest.raises(DataError, match=r"one row .* t 4.* hom=True"):
        fit(few, text)


def test_places_have_no_variances_of_their_own(data):
    data = data.assign(east=data["t"] + 0.1 * data["g"])
    with pytest.raises(DataError, match="one column left of the bar"):
        fit(data, "exp(t + east | g, hom=False)")


def test_what_a_model_without_random_effects_has_none_of(data):
    data = data[data["t"] < 3]
    result = fit(data, "us(t | g)")
    table = result.random_effects_table()
    assert list(table) == ["group", "effect", "level", "mode", "sd"]
    assert table.empty
    with pytest.raises(ValueError, match="no grouping factor g; there are none"):
        result.derive("var(g)")
    limits = result.profile(["sigma", "us (1, 2)", "log sd 1"]).conf_int()
    assert (limits["lower"] < limits["upper"]).all()
    for name in ("", "_qq", "_correlation"):
        with pytest.raises(DataError, match="needs random effects"):
            getattr(result, f"plot_random_effects{name}")()
    for plot in (result.plot_shrinkage, result.plot_groups):
        with pytest.raises(DataError, match="needs random effects"):
            plot()
    result.remove_data()
    with pytest.raises(DataError, match="removed"):
        _ = result.resid


REFUSED = [
    ({"residual": "car1(far | g)"}, "'far' is infinite in row 3"),
    ({"residual": "exp(t | g, nugget=2)"}, "nugget must be True or False, not 2"),
    ({"residual": "us(t | g, hom=True, hom=False)"}, "hom is given twice"),
    ({"residual": "sp_gau(t | g)"}, r'spelled gau here: `residual="gau\(t \| g\)"`'),
    ({"dispersion": "~ one"}, "one value in all rows"),
    (
        {"residual": "us(t | g)", "dispersion": "~ t"},
        r"among them the variances that us\(t \| g\) has already",
    ),
]


@pytest.mark.parametrize(("told", "match"), REFUSED)
def test_refusals(data, told, match):
    data = data.assign(far=data["t"].where(data.index != 3, np.inf), one=1.0)
    with pytest.raises(ValueError, match=match):
        crossedmixedlm("y ~ 1", data, **told)


def test_equal_variances_with_any_correlations_contain_an_intercept(data):
    with pytest.raises(DataError, match="already contains the random effects"):
        fit(data, "us(t | g, hom=True)", "y ~ 1 + (1 | g)")


def test_a_missing_time_is_not_that_of_a_grouping_column(data):
    data = data.assign(late=data["t"].where(data["t"] != 5))
    with pytest.warns(match="20 rows dropped: no value in column 'late'"):
        fit(data, "ar1(late | g)")


@pytest.mark.parametrize("method", ["containment", "between-within"])
def test_degrees_of_freedom_that_follow_from_the_formula(data, method):
    with pytest.raises(ValueError, match=r"formula and not from the data.*satterth"):
        fit(data, "ar1(t | g)").with_df_method(method)


def test_a_range_beyond_all_distances(data):
    one = data.head(30).assign(g=0, t=range(30))
    one["y"] = one["t"] + 0.3 * one["y"]
    model = crossedmixedlm("y ~ 1", one, residual="exp(t | g, nugget=True)")
    with pytest.warns(DataWarning, match="do not determine .* exp range"):
        result = model.fit()
    assert result.residual_params[0] > 1e4 * 29
