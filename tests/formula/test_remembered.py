"""Grouping factors that are computed from columns, and ``cut``."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import check_formula, from_json
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.formula.transforms import cut_points, intervals


def frame(n=120):
    rng = np.random.default_rng(5)
    data = pd.DataFrame({"x": rng.normal(size=n), "g": np.arange(n) % 6})
    data["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(
        np.arange(n) * 17, unit="D"
    )
    data["my x"] = data["x"]
    year = rng.normal(size=6)[data["date"].dt.year - 2020]
    data["y"] = year + (data["x"] > 0.3) + rng.normal(size=n)
    data["count"] = rng.poisson(np.exp(0.3 * year))
    return data


DATA = frame()

COMPUTED = {
    "cut(x, 3)": lambda d: cut_like_r(d["x"]),
    "date.dt.year": lambda d: d["date"].dt.year,
    "C(date.dt.year)": lambda d: d["date"].dt.year,
    "C(x + g > 2)": lambda d: d["x"] + d["g"] > 2,
    "cut(scale(x), [-9, 0, 9]):g": lambda d: (d["x"] > DATA["x"].mean()) * 10 + d["g"],
    "np.floor(Q('my x'))": lambda d: np.floor(d["my x"]),
}


def cut_like_r(x):
    """Three intervals of equal length over the data of the fit."""
    low, high = DATA["x"].min(), DATA["x"].max()
    inner = low + (high - low) * np.array([1, 2]) / 3
    return np.searchsorted(inner, x)


@pytest.mark.parametrize("expression", COMPUTED)
def test_it_is_the_factor_of_a_column(expression):
    """In the fit, and in predictions of the fit, of its pickle and of its JSON."""
    column = COMPUTED[expression]
    fit = crossedmixedlm(f"y ~ x + (1 | {expression})", DATA).fit()
    twin = crossedmixedlm("y ~ x + (1 | t)", DATA.assign(t=column(DATA))).fit()
    assert fit.llf == pytest.approx(twin.llf, abs=1e-8)
    new = DATA.sample(9, random_state=1).drop(columns="y")
    expected = twin.predict(new.assign(t=column(new)), random_effects=True)
    for each in (fit, pickle.loads(pickle.dumps(fit)), from_json(fit.to_json())):
        assert_allclose(each.predict(new, random_effects=True), expected, rtol=1e-8)


def test_generalized_models_and_formulaic():
    formula = "count ~ cut(x, 3) + (1 | date.dt.year)"
    data = DATA.assign(t=DATA["date"].dt.year)
    twin = crossedmixedglm("count ~ cut(x, 3) + (1 | t)", data, family="poisson").fit()
    for engine in ("patsy", "formulaic"):
        with formula_engine(engine):
            fit = crossedmixedglm(formula, data, family="poisson").fit()
            assert_allclose(fit.params, twin.params, rtol=1e-8)
            expected = twin.predict(data[:5], random_effects=True)
            found = fit.predict(data[:5], random_effects=True)
            assert_allclose(found, expected, rtol=1e-8)


FIT = crossedmixedlm("y ~ 1 + (1 | cut(x, 3)) + (1 | date.dt.year)", DATA).fit()


def test_new_rows():
    """A row outside all intervals has no level; a year that is new is a new level."""
    new = DATA[:3].assign(x=[0.0, 99.0, np.nan])
    assert FIT.predict(new, random_effects=True).isna().tolist() == [False, True, True]
    later = DATA[:1].assign(date=pd.Timestamp("2090-01-01"))
    with pytest.raises(DataError, match=r"new levels of date\.dt\.year: 2090"):
        FIT.predict(later, random_effects=True, new_levels="error")
    with pytest.raises(DataError, match="new data have no column 'date'"):
        FIT.predict(DATA[["x"]], random_effects=True)
    assert FIT.predict(DATA[[]]).notna().all()  # the fixed part needs no column


def test_it_has_its_name_everywhere():
    assert list(FIT.cov_re) == ["cut(x, 3)", "date.dt.year"]
    assert "(1 | cut(x, 3))" in FIT.ranova().index
    assert FIT.simulate(2, rng=1, exog=DATA[:4]).shape == (4, 2)
    robust = FIT.with_cov_type("CR0", groups="date.dt.year")
    assert robust.bse.notna().all()


ERRORS = {
    "cut(x, 1)": "two or more intervals, not 1",
    "cut(x, [0])": "two different breaks",
    "cut(x, [0, 1])": "has no value in rows",
    "g.dt.year": "dates that were read as text become dates by pd.to_datetime",
    "cut(nope, 3)": "column 'nope' not in data",
    "np.outer(x, x)": "other than one value per row",
    "log(x)": "both called log",
}


@pytest.mark.parametrize("expression", ERRORS)
def test_errors(expression):
    data = DATA.assign(**{"log(x)": 1})
    with pytest.raises((DataError, FormulaError), match=ERRORS[expression]):
        crossedmixedlm(f"y ~ 1 + (1 | {expression})", data)


def test_the_intervals_are_those_of_r():
    """Levels of ``cut(c(1, 2, 2.5, 10), 3)`` and of breaks in R 4.2.2."""
    x = [1.0, 2.0, 2.5, 10.0]
    found = intervals(x, cut_points(x, 3))
    assert list(found.categories) == ["(0.991,4]", "(4,7]", "(7,10]"]
    assert found.codes.tolist() == [0, 0, 0, 2]
    found = intervals([*x, np.nan], cut_points(x, [10, 1, 2]))
    assert list(found.categories) == ["(1,2]", "(2,10]"]
    assert found.codes.tolist() == [-1, 0, 1, 1, -1]
    found = intervals(x, cut_points(x, [1, 2, 10]), right=False)
    assert list(found.categories) == ["[1,2)", "[2,10)"]
    assert found.codes.tolist() == [0, 1, 1, -1]
    near = intervals([0.0], np.array([100000.1, 100000.2, 100000.3]))
    assert list(near.categories) == ["(100000.1,100000.2]", "(100000.2,100000.3]"]
    with pytest.raises(ValueError, match="values that differ"):
        cut_points([1.0, 1.0], 2)


REFUSED = {
    "date.dt.tz_localize": "only functions of np, and .dt.year",
    "date.__class__": "only functions of np",
    "date.dt.year.real": "only functions of np",
    "(date).dt.year": "grouping factor",
    "abs(x).dt.year": "follows the name of a column",
    "np.dt.year": "'np' is not a column",
    "cut(x, 300)": "whole number from 2 to 50",
    "cut(x, g)": "whole number from 2 to 50",
    "cut(x, [g, 1])": "numbers",
    "open('f')": "not a function on the list",
}


@pytest.mark.parametrize("expression", REFUSED)
def test_expressions_of_strangers(expression):
    with pytest.raises(FormulaError, match=REFUSED[expression]):
        check_formula(f"y ~ 1 + (1 | {expression})", DATA.columns)


def test_what_strangers_may_write():
    formula = "y ~ Q('my x') + (1 | cut(x, [0, 1], right=False):date.dt.month)"
    assert check_formula(formula, DATA.columns) == ["y", "my x", "x", "date"]


def test_a_damaged_state_is_refused():
    saved = json.loads(FIT.to_json())
    (name,) = saved["groupings"]["cut(x, 3)"]
    saved["groupings"]["cut(x, 3)"][name]["_breaks"] = [0.0, 0.0, 1.0]
    with pytest.raises(DataError, match="state of Cut is damaged"):
        from_json(json.dumps(saved))
