"""Predictions and their standard errors, computed from the estimates by hand."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from numpy.testing import assert_allclose
from samples import load
from scipy import stats

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.api import crossedmixedlm

pytestmark = pytest.mark.usefixtures("engine")

N = 120
FORMULA = "y ~ x + f + (x | g) + (1 | h)"
GAPS = [1, 4]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(6)
    g, h = rng.permutation(np.arange(N) % 10), rng.permutation(np.arange(N) % 12)
    x, z = rng.uniform(1.0, 4.0, (2, N))
    f = rng.integers(3, size=N)
    u, v = rng.standard_normal((10, 2)), rng.standard_normal(12)
    y = 1.0 + np.sin(x) + 0.4 * f + u[g, 0] + 0.5 * u[g, 1] * x + v[h]
    y += 0.6 * rng.standard_normal(N)
    frame = pd.DataFrame({"y": y, "x": x, "z": z, "g": [f"g{i}" for i in g], "h": h})
    frame["f"] = np.array(["a", "b", "c"])[f]
    frame["w"], frame["o"] = rng.uniform(0.5, 2.0, N), rng.standard_normal(N)
    return frame


@pytest.fixture(scope="module")
def fitted(data):
    """The fit by a formula engine; no test changes it."""
    return functools.cache(lambda engine: crossedmixedlm(FORMULA, data).fit())


@pytest.fixture
def result(fitted, engine):
    return fitted(engine)


@pytest.fixture
def new(data):
    """Levels known, rows new, the order of the columns another."""
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"h": [3, 0, 11, 3, 7, 5], "f": list("cabbac")})
    frame["g"] = ["g2", "g9", "g0", "g2", "g5", "g7"]
    frame["x"] = rng.uniform(0.0, 5.0, 6)
    return frame.set_index(pd.Index(["r", "s", "t", "u", "v", "w"], name="row"))


def design(frame):
    """Intercept, f[T.b], f[T.c], x."""
    f = frame["f"].to_numpy()
    return np.column_stack([np.ones(len(f)), f == "b", f == "c", frame["x"]])


def fixed_part(result, frame):
    return design(frame) @ result.params[["Intercept", "f[T.b]", "f[T.c]", "x"]]


def part_of(result, frame, factor, effects=("Intercept", "x")):
    modes = result.random_effects[factor].loc[frame[factor]]
    values = {"Intercept": 1.0, "x": frame["x"].to_numpy()}
    used = [e for e in effects if e in modes]
    return sum(modes[e].to_numpy() * values[e] for e in used)


# point predictions ---------------------------------------------------------


def test_fixed_part(result, new):
    found = result.predict(new)
    assert isinstance(found, pd.Series)
    assert found.index.equals(new.index)
    assert_allclose(found, fixed_part(result, new), rtol=1e-10)
    assert_allclose(result.predict(new, random_effects=False), found, rtol=0)
    # the groups need not be there
    assert_allclose(result.predict(new[["x", "f"]]), found, rtol=1e-14)


def test_data_of_the_fit(result, data):
    assert_allclose(result.predict(), fixed_part(result, data), rtol=1e-10)
    full = result.predict(random_effects=True)
    assert_allclose(full, result.fittedvalues, rtol=1e-12)
    assert full.index.equals(data.index)
    assert_allclose(result.predict(data, random_effects=True), full, rtol=1e-10)


CHOICES = {
    "all": (True, ["g", "h"]),
    "none": ([], []),
    "one name": ("h", ["h"]),
    "list": (["g"], ["g"]),
    "tuple": (("h", "g"), ["g", "h"]),
    "term": (["(x | g)"], ["g"]),
    "term without blanks": ("(1|h)", ["h"]),
    "both": (["(x | g)", "h"], ["g", "h"]),
}


@pytest.mark.parametrize("choice", CHOICES)
def test_random_effects_by_name_and_term(choice, result, data, new):
    asked, factors = CHOICES[choice]
    for frame in (data, new):
        expected = fixed_part(result, frame)
        for factor in factors:
            expected = expected + part_of(result, frame, factor)
        found = result.predict(frame, random_effects=asked)
        assert_allclose(found, expected, rtol=1e-9)
    found = result.predict(random_effects=asked)
    assert_allclose(found, result.predict(data, random_effects=asked), rtol=1e-9)


def test_terms_of_the_same_factor(data, new):
    result = crossedmixedlm("y ~ x + f + (1 | g) + (0 + x | g)", data).fit()
    modes = result.random_effects["g"]
    fixed = fixed_part(result, new)
    for term, name, value in (
        ("(1 | g)", "Intercept", 1.0),
        ("(0 + x | g)", "x", new["x"].to_numpy()),
    ):
        expected = fixed + modes[name].loc[new["g"]].to_numpy() * value
        assert_allclose(result.predict(new, random_effects=term), expected, rtol=1e-9)
    both = fixed_part(result, new)
    both = both + modes["Intercept"].loc[new["g"]].to_numpy()
    both = both + modes["x"].loc[new["g"]].to_numpy() * new["x"].to_numpy()
    assert_allclose(result.predict(new, random_effects="g"), both, rtol=1e-9)


@pytest.mark.parametrize("term", ["(x || g)", "(1 | g / f)"])
def test_terms_as_written_in_the_formula(term, data, new):
    result = crossedmixedlm("y ~ x + " + term, data).fit()
    found = result.predict(data, random_effects=[term])
    assert_allclose(found, result.fittedvalues, rtol=1e-9)


@pytest.mark.parametrize("asked", ["k", ["g", "k"], "(1 | g)", "(x|h)", [3]])
def test_unknown_names_are_refused(asked, result, new):
    with pytest.raises(ValueError, match=r"no random effects .*there are g, h"):
        result.predict(new, random_effects=asked)
    with pytest.raises(ValueError, match="no random effects"):
        result.predict(random_effects=asked)


# new levels, missing values, missing columns -------------------------------


def test_new_levels(result, new):
    fresh = new.copy()
    fresh.loc["s", "g"] = "new"
    fresh.loc[["t", "v"], "h"] = [99, 98]
    is_g, is_h = fresh["g"] != "new", fresh["h"] < 90
    known = fresh.assign(g=new["g"], h=new["h"])
    for asked, factors in ((True, ["g", "h"]), ("g", ["g"]), ("h", ["h"])):
        population = fixed_part(result, fresh)
        ok = np.ones(len(new), dtype=bool)
        for factor, seen in (("g", is_g), ("h", is_h)):
            if factor in factors:
                population += np.where(seen, part_of(result, known, factor), 0.0)
                ok &= seen
        found = result.predict(fresh, True, asked, "population")
        assert_allclose(found, population, rtol=1e-9)
        found = result.predict(fresh, True, asked, new_levels="nan")
        assert_allclose(found, np.where(ok, population, np.nan), rtol=1e-9)
        with pytest.raises(DataError, match=f"new levels of {factors[0]}"):
            result.predict(fresh, random_effects=asked)
    # the fixed part does not ask for levels
    assert_allclose(result.predict(fresh), fixed_part(result, fresh), rtol=1e-10)


def test_new_levels_are_listed(result, new):
    fresh = new.assign(h=[77, 1, 78, 77, 2, 3])
    with pytest.raises(DataError, match=r"new levels of h: 77, 78;.*pop.*nan"):
        result.predict(fresh, random_effects=True)
    with pytest.raises(ValueError, match="new_levels must be"):
        result.predict(fresh, random_effects=True, new_levels="ignore")


@pytest.mark.parametrize("name", ["x", "f"])
def test_missing_values(name, result, new):
    holes = new.astype({"f": object})
    holes.iloc[GAPS, holes.columns.get_loc(name)] = np.nan
    gap = np.isin(np.arange(6), GAPS)
    for asked in (False, True, "h"):
        full = result.predict(new, random_effects=asked)
        found = result.predict(holes, random_effects=asked)
        assert_allclose(found, full.where(~gap), rtol=1e-12)
        assert found.index.equals(new.index)
    frame = result.get_prediction(holes).summary_frame()
    assert frame.isna().all(axis=1).tolist() == gap.tolist()
    expected = result.get_prediction(new).summary_frame()
    assert_allclose(frame[~gap], expected[~gap], rtol=1e-12)


def test_missing_groups(result, new):
    holes = new.astype({"g": object})
    holes.iloc[GAPS, holes.columns.get_loc("g")] = None
    gap = np.isin(np.arange(6), GAPS)
    full = result.predict(new, random_effects=True)
    for new_levels in ("error", "nan"):
        found = result.predict(holes, random_effects=True, new_levels=new_levels)
        assert_allclose(found, full.where(~gap), rtol=1e-12)
    found = result.predict(holes, random_effects="h")
    assert_allclose(found, result.predict(new, random_effects="h"), rtol=1e-12)


def test_all_rows_missing_and_no_rows(result, new):
    found = result.predict(new.assign(x=np.nan), random_effects=True)
    assert found.isna().all()
    assert found.index.equals(new.index)
    assert len(result.predict(new[:0], random_effects=True)) == 0
    assert len(result.predict(new[:0])) == 0


@pytest.mark.parametrize("name", ["x", "f", "g", "h"])
def test_missing_columns(name, result, new):
    part = new.drop(columns=name)
    with pytest.raises(DataError, match=f"'{name}'"):
        result.predict(part, random_effects=True)
    if name in "xf":
        for call in (result.predict, result.get_prediction):
            with pytest.raises(DataError, match=f"no column '{name}'"):
                call(part)
    else:
        other = "h" if name == "g" else "g"
        assert_allclose(
            result.predict(part, random_effects=other),
            result.predict(new, random_effects=other),
            rtol=1e-14,
        )


def test_new_level_of_a_fixed_effect(result, new):
    with pytest.raises(DataError, match="new levels of 'f': zz"):
        result.predict(new.assign(f="zz"))


def test_one_level_of_a_fixed_effect(result, new):
    """The columns of the design are those of the fit."""
    some = new.assign(f="b")
    assert_allclose(result.predict(some), fixed_part(result, some), rtol=1e-10)
    categorical = some.assign(f=pd.Categorical(some["f"]))
    assert_allclose(result.predict(categorical), fixed_part(result, some), rtol=1e-10)


# offsets -------------------------------------------------------------------


def test_offset_as_argument(result, data, new):
    offset = np.linspace(-1.0, 1.0, 6)
    for given in (offset, list(offset), pd.Series(offset, index=new.index)):
        found = result.predict(new, offset=given)
        assert_allclose(found, fixed_part(result, new) + offset, rtol=1e-9)
    found = result.predict(new, random_effects=True, offset=offset)
    expected = result.predict(new, random_effects=True) + offset
    assert_allclose(found, expected, rtol=1e-12)
    frame = result.get_prediction(new, offset=offset).summary_frame()
    plain = result.get_prediction(new).summary_frame()
    assert_allclose(frame["predicted"], plain["predicted"] + offset, rtol=1e-12)
    assert_allclose(frame["se"], plain["se"], rtol=1e-14)
    with pytest.raises(DataError, match=r"offset.*\(3,\).*6 rows"):
        result.predict(new, offset=np.ones(3))


def test_offset_in_the_formula(data, new):
    result = crossedmixedlm("y ~ x + f + offset(2 * o) + (1 | g)", data).fit()
    new = new.assign(o=np.arange(6.0))
    expected = fixed_part(result, new) + 2 * new["o"]
    assert_allclose(result.predict(new), expected, rtol=1e-10)
    found = result.predict(new, offset=np.ones(6))
    assert_allclose(found, expected + 1.0, rtol=1e-10)
    assert_allclose(result.get_prediction(new).predicted, expected, rtol=1e-10)
    assert_allclose(result.predict(), fixed_part(result, data) + 2 * data["o"])
    with pytest.raises(DataError, match="no column 'o'"):
        result.predict(new.drop(columns="o"))


def test_offset_of_the_fit(data):
    """It belongs to the rows of the fit; new rows bring their own."""
    result = crossedmixedlm("y ~ x + f + (1 | g)", data, offset="o").fit()
    fixed = fixed_part(result, data)
    assert_allclose(result.predict(), fixed + data["o"], rtol=1e-10)
    assert_allclose(result.predict(data), fixed, rtol=1e-10)
    found = result.predict(data, random_effects=True, offset=data["o"])
    assert_allclose(found, result.fittedvalues, rtol=1e-10)
    full = result.predict(random_effects=True)
    assert_allclose(full, result.fittedvalues, rtol=1e-12)


def test_offset_beside_that_of_the_formula_without_new_data(data):
    result = crossedmixedlm("y ~ x + f + offset(o) + (1 | g)", data).fit()
    more = np.ones(N)
    assert_allclose(result.predict(offset=more), result.predict(data, offset=more))


# combinations of groups ----------------------------------------------------


KINDS = {
    "text": lambda c: "k" + c.astype(str),
    "numbers": lambda c: c + 1,
    "categorical": lambda c: pd.Categorical(c + 1, categories=range(30)),
    "text categorical": lambda c: pd.Categorical(c.astype(str)),
    "floats": lambda c: c / 2,
    "booleans": lambda c: c % 2 == 0,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", ["a:b", "b:a"])
def test_combinations(kind, groups, data):
    """Levels 1:11 and 11:1 are two, a combination that was not seen is new."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(20, size=N), rng.integers(3, size=N)
    frame = data.assign(a=KINDS[kind](pd.Series(a)), b=b)
    result = crossedmixedlm(f"y ~ x + (1 | {groups})", frame).fit()
    rows = rng.permutation(N)[:30]
    found = result.predict(frame.iloc[rows], random_effects=True)
    assert_allclose(found, result.fittedvalues.iloc[rows], rtol=1e-9)
    assert found.index.equals(frame.index[rows])
    cells = frame[["a", "b"]].astype(str).agg(":".join, axis=1)
    absent = frame.assign(b=(b + 1) % 3)
    other = absent[["a", "b"]].astype(str).agg(":".join, axis=1)
    unseen = ~other.isin(set(cells)).to_numpy()
    if kind == "booleans":
        return
    assert 0 < unseen.sum() < N
    with pytest.raises(DataError, match=f"new levels of {groups}"):
        result.predict(absent, random_effects=True)
    found = result.predict(absent, random_effects=True, new_levels="nan")
    assert found.isna().tolist() == unseen.tolist()
    found = result.predict(absent, random_effects=True, new_levels="population")
    assert_allclose(found[unseen], result.predict(absent)[unseen], rtol=1e-12)


def test_combinations_are_not_joined_text():
    rng = np.random.default_rng(2)
    pairs = [("1", "1:1"), ("1:1", "1"), ("a", "b"), ("b", "a"), ("1", "11")]
    pairs += [("11", "1")]
    a, b = zip(*pairs * 6)
    frame = pd.DataFrame({"a": a, "b": b, "x": rng.standard_normal(36)})
    frame["y"] = np.tile(np.arange(6.0), 6) + rng.standard_normal(36) / 9
    result = crossedmixedlm("y ~ x + (1 | a:b)", frame).fit()
    found = result.predict(frame[::-1], random_effects=True)
    assert_allclose(found[::-1], result.fittedvalues, rtol=1e-10)
    assert len(found.round(1).unique()) >= 6


def test_nested_groups(data):
    frame = data.assign(c=np.arange(N) % 3)
    result = crossedmixedlm("y ~ x + (1 | g / c)", frame).fit()
    inner = result.random_effects["g:c"]["Intercept"]
    outer = result.random_effects["g"]["Intercept"]
    part = frame.sample(15, random_state=0)
    fixed = result.params["Intercept"] + result.params["x"] * part["x"]
    by_inner = inner.loc[part["g"] + ":" + part["c"].astype(str)].to_numpy()
    by_outer = outer.loc[part["g"]].to_numpy()
    for asked, expected in (
        ("g:c", fixed + by_inner),
        ("(1 | g:c)", fixed + by_inner),
        ("g", fixed + by_outer),
        (True, fixed + by_inner + by_outer),
    ):
        found = result.predict(part, random_effects=asked)
        assert_allclose(found, expected, rtol=1e-9)
    # of an unseen level within a known one remains the outer part
    fresh = part.assign(c=9)
    found = result.predict(fresh, random_effects=True, new_levels="population")
    assert_allclose(found, fixed + by_outer, rtol=1e-9)


@pytest.mark.parametrize("kind", ["float", "Int64", "category", "object", "int8"])
def test_numbers_as_levels_in_other_types(kind, result, new):
    expected = result.predict(new, random_effects=True)
    found = result.predict(new.astype({"h": kind}), random_effects=True)
    assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["category", "object", "string", "str"])
def test_text_as_levels_in_other_types(kind, result, new):
    expected = result.predict(new, random_effects=True)
    found = result.predict(new.astype({"g": kind, "f": kind}), random_effects=True)
    assert_allclose(found, expected, rtol=1e-12)


def test_categories_in_another_order(data, new):
    frame = data.astype({"g": "category", "f": "category"})
    result = crossedmixedlm(FORMULA, frame).fit()
    expected = result.predict(new, random_effects=True)
    f = pd.Categorical(new["f"], categories=["c", "b", "a"])
    g = pd.Categorical(new["g"], categories=sorted(set(new["g"]), reverse=True))
    found = result.predict(new.assign(f=f, g=g), random_effects=True)
    assert_allclose(found, expected, rtol=1e-12)


def test_text_is_no_number(result, new):
    """The text "3" is not the level 3: an error, and no silent guess."""
    with pytest.raises(DataError, match="new levels of h"):
        result.predict(new.assign(h=new["h"].astype(str)), random_effects=True)


# terms whose columns depend on the data ------------------------------------


@pytest.mark.filterwarnings("ignore:the fixed effects are not linearly")
@pytest.mark.parametrize(
    "term",
    [
        "bs(x, df=4)",
        "bs(x, knots=(2.0, 3.0), degree=2)",
        "cr(x, df=3)",
        "scale(x)",
        "center(x)",
        "poly(x, 2)",
        "np.log(x)",
        "I(x ** 2)",
        "C(f, Sum)",
        "bs(x, df=4) * f",
        "scale(x):f",
    ],
)
def test_new_data_have_the_basis_of_the_fit(term, data):
    result = crossedmixedlm(f"y ~ {term} + (1 | g)", data).fit()
    rows = data["x"].between(2.0, 3.0).to_numpy() & (data["f"] != "a").to_numpy()
    assert 5 < rows.sum() < 60
    part = data[rows]
    assert_allclose(result.predict(part), result.predict()[rows], rtol=1e-9)
    one = part.iloc[[0]]
    assert_allclose(result.predict(one), result.predict()[rows][:1], rtol=1e-9)
    found = result.predict(part, random_effects=True)
    assert_allclose(found, result.fittedvalues[rows], rtol=1e-9)
    se = np.asarray(result.get_prediction().se)[rows]
    assert_allclose(result.get_prediction(part).se, se, rtol=1e-8)


@pytest.mark.parametrize("effects", ["scale(x)", "center(x)", "poly(x, 2)", "f"])
def test_random_effects_have_the_basis_of_the_fit(effects, data):
    result = crossedmixedlm(f"y ~ x + ({effects} | g)", data).fit()
    rows = data["x"].between(2.0, 3.0).to_numpy() & (data["f"] != "a").to_numpy()
    found = result.predict(data[rows], random_effects=True)
    assert_allclose(found, result.fittedvalues[rows], rtol=1e-9)


def test_scaling_by_the_data_of_the_fit(data, new):
    result = crossedmixedlm("y ~ center(x) + (1 | g)", data).fit()
    intercept, slope = result.params
    expected = intercept + slope * (new["x"] - data["x"].mean())
    assert_allclose(result.predict(new), expected, rtol=1e-10)


# standard errors -----------------------------------------------------------


def dense_prediction(result, frame):
    """Mean and standard errors from (X' V^-1 X)^-1 for crossed g and h."""
    model, data = result.model, result.model.data.frame
    v = result.scale * np.eye(N)
    for factor, columns in (("g", ["1", "x"]), ("h", ["1"])):
        z = np.column_stack([np.ones(N) if c == "1" else data[c] for c in columns])
        same = data[factor].to_numpy()[:, None] == data[factor].to_numpy()
        v += z @ result.cov_re[factor].to_numpy() @ z.T * same
    x = design(data)
    cov = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    beta = cov @ x.T @ np.linalg.solve(v, model.endog)
    rows = design(frame)
    return rows @ beta, np.sqrt(np.diag(rows @ cov @ rows.T))


@pytest.mark.parametrize("alpha", [0.05, 0.2])
def test_get_prediction(alpha, result, data, new):
    for frame in (new, data):
        mean, se = dense_prediction(result, frame)
        prediction = result.get_prediction(frame)
        assert_allclose(prediction.predicted, mean, rtol=1e-8)
        assert_allclose(prediction.se, se, rtol=1e-8)
        half = stats.norm.isf(alpha / 2) * se
        interval = np.column_stack([mean - half, mean + half])
        assert_allclose(prediction.conf_int(alpha=alpha), interval, rtol=1e-7)
        table = prediction.summary_frame(alpha=alpha)
        assert list(table) == ["predicted", "se", "ci_lower", "ci_upper"]
        assert table.index.equals(frame.index)
        expected = np.column_stack([mean, se, interval])
        assert_allclose(table, expected, rtol=1e-7)


def test_get_prediction_of_the_data(result, data):
    found = result.get_prediction().summary_frame()
    expected = result.get_prediction(data).summary_frame()
    assert_allclose(found, expected, rtol=1e-10)
    assert found.index.equals(data.index)


def test_labels_of_predictions(result, new):
    labels = ["k", "l", "m", "n", "o", "p"]
    table = result.get_prediction(new, row_labels=labels).summary_frame()
    assert list(table.index) == labels


def test_get_prediction_needs_no_groups(result, new):
    found = result.get_prediction(new[["x", "f"]]).summary_frame()
    assert_allclose(found, result.get_prediction(new).summary_frame(), rtol=1e-14)


def test_designs_instead_of_data(result, new):
    rows = design(new)
    order = [
        ["Intercept", "f[T.b]", "f[T.c]", "x"].index(n) for n in result.params.index
    ]
    found = result.predict(rows[:, order], transform=False)
    assert_allclose(found, result.predict(new), rtol=1e-12)
    found = result.get_prediction(rows[:, order], transform=False)
    assert_allclose(found.se, result.get_prediction(new).se, rtol=1e-10)
    with pytest.raises(ValueError, match="random effects at new rows need"):
        result.predict(rows, transform=False, random_effects=True)


# one row, other containers -------------------------------------------------


@pytest.mark.parametrize("asked", [False, True])
def test_one_row_as_a_series(asked, result, new):
    expected = result.predict(new, random_effects=asked)
    for label in ("r", "v"):
        found = result.predict(new.loc[label], random_effects=asked)
        assert_allclose(np.ravel(found), expected[[label]], rtol=1e-12)
        assert list(found.index) == [label]


def test_standard_error_of_one_row_as_a_series(result, new):
    expected = result.get_prediction(new).summary_frame().loc[["t"]]
    found = result.get_prediction(new.loc["t"]).summary_frame()
    assert_allclose(found, expected, rtol=1e-12)


def test_one_row_as_a_frame_is_silent(result, new):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = result.predict(new.loc[["t"]], random_effects=True)
    assert_allclose(found, result.predict(new, random_effects=True)[["t"]], rtol=1e-14)


def test_mappings(result, new):
    found = result.predict(new.to_dict("list"), random_effects=True)
    assert_allclose(found, result.predict(new, random_effects=True), rtol=1e-14)


def array_result(data, columns=2):
    exog = sm.add_constant(data["x"].to_numpy())[:, :columns]
    random = {"g": data["g"].to_numpy()}
    return CrossedMixedLM(data["y"].to_numpy(), exog, random=random).fit()


def test_models_from_arrays(data):
    result = array_result(data)
    rows = np.array([[1.0, 2.0], [1.0, -3.0], [0.0, 1.0]])
    assert_allclose(result.predict(rows), rows @ result.params, rtol=1e-12)
    assert_allclose(result.predict(rows.tolist()), rows @ result.params, rtol=1e-12)
    frame = pd.DataFrame(rows, index=["a", "b", "c"])
    found = result.predict(frame)
    assert list(found.index) == ["a", "b", "c"]
    prediction = result.get_prediction(rows)
    se = np.sqrt(np.diag(rows @ result.cov_params() @ rows.T))
    assert_allclose(prediction.se, se, rtol=1e-10)
    table = prediction.summary_frame()
    assert_allclose(table["ci_upper"], rows @ result.params + 1.959964 * se, rtol=1e-6)
    shifted = result.predict(rows, offset=[1.0, 2.0, 3.0])
    assert_allclose(shifted, rows @ result.params + [1.0, 2.0, 3.0], rtol=1e-12)
    with pytest.raises(ValueError, match="random effects at new rows need"):
        result.predict(rows, random_effects=True)


def test_one_row_of_a_model_from_arrays(data):
    """As OLS: one row is a vector of all columns, the answer has one entry."""
    result = array_result(data)
    row = np.array([1.0, 2.0])
    ols = sm.OLS(result.model.endog, result.model.exog).fit()
    found = result.predict(row)
    assert np.shape(found) == np.shape(ols.predict(row)) == (1,)
    assert_allclose(found, row @ result.params, rtol=1e-12)
    prediction = result.get_prediction(row)
    se = np.sqrt(row @ result.cov_params() @ row)
    assert_allclose(prediction.se, [se], rtol=1e-10)


def test_one_column_of_a_model_from_arrays(data):
    result = array_result(data, 1)
    ols = sm.OLS(result.model.endog, result.model.exog).fit()
    values = np.array([1.0, 2.0, 0.5])
    assert np.shape(ols.predict(values)) == (3,)
    assert_allclose(result.predict(values), values * result.params[0], rtol=1e-12)


def test_the_new_data_stay_as_they_are(result, new):
    before = new.copy()
    result.predict(new, random_effects=True)
    result.get_prediction(new)
    pd.testing.assert_frame_equal(new, before)


def test_text_where_the_fit_had_numbers(result, new):
    with pytest.raises(DataError, match="'x' was numeric in the fit"):
        result.predict(new.assign(x=new["x"].astype(str)))


def test_an_offset_remembers_the_data_of_the_fit(data):
    """Rows predicted alone and among others have the same center."""
    result = crossedmixedlm("y ~ offset(5 * center(x)) + (1 | g)", data).fit()
    expected = result.params["Intercept"] + 5.0 * (data["x"] - data["x"].mean())
    for own in (result, pickle.loads(pickle.dumps(result))):
        alone = own.predict(data.iloc[:3], random_effects=False)
        assert_allclose(alone, expected.iloc[:3])


def test_new_levels_of_another_type_are_told_from_others():
    data = load("sleepstudy")
    result = crossedmixedlm("Reaction ~ Days + (Days | Subject)", data).fit()
    new = pd.DataFrame({"Days": [1.0], "Subject": [308]})
    with pytest.raises(
        DataError, match=r"308 \(integer, whereas the model has string "
    ):
        result.predict(new, random_effects=True)
    with pytest.raises(DataError, match="new levels of Subject: 1; new_levels"):
        result.predict(new.assign(Subject="1"), random_effects=True)
