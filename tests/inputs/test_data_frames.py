"""Every kind of frame and column gives the numbers of plain floats and text."""

import datetime
import re
from decimal import Decimal
from itertools import cycle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataWarning
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.columns import plain_column

pytestmark = pytest.mark.filterwarnings("error")

FORMULA = "y ~ x + b + f + I((x - 4) ** 2) + (x | g) + (1 | h)"
N = 120


def sample(seed=0):
    """Whole numbers from 0 to 127, text, and two crossed factors."""
    rng = np.random.default_rng(seed)
    g, h = np.arange(N) // 10, rng.permutation(np.arange(N) % 6)
    x = rng.integers(0, 12, N)
    f = np.array(["low", "mid", "top"])[rng.integers(0, 3, N)]
    slopes, own = rng.normal(size=12), 8 * rng.normal(size=(2, 12))
    y = 60 + (2 + slopes[g]) * x + own[0, g] + own[1, h] + 3 * (f == "mid")
    y = np.clip(np.round(y + 4 * rng.normal(size=N)), 0, 127)
    b = (rng.uniform(size=N) > 0.5).astype(float)
    plain = {"y": y, "x": x.astype(float), "b": b, "f": f, "g": g, "h": h}
    return pd.DataFrame(plain).astype({"f": object})


DATA = sample()
EXPECTED = crossedmixedlm(FORMULA, DATA).fit()


def numbers(result):
    parts = [result.params, result.bse, result.theta, [result.scale, result.llf]]
    return np.concatenate([np.asarray(p, dtype=float) for p in parts])


def check(data, formula=FORMULA, expected=EXPECTED, new=None):
    """Compare a fit, its random effects and its predictions with the plain ones."""
    result = crossedmixedlm(formula, data).fit()
    assert result.converged
    assert result.nobs == expected.nobs
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)
    table, plain = result.random_effects_table(), expected.random_effects_table()
    for name in ("mode", "sd"):
        found, wanted = (np.sort(t[name].astype(float)) for t in (table, plain))
        assert_allclose(found, wanted, rtol=1e-8, atol=1e-10)
    fitted = np.asarray(expected.fittedvalues)
    assert_allclose(np.asarray(result.fittedvalues), fitted, rtol=1e-9)
    new = data if new is None else new
    predicted = np.asarray(result.predict(new, random_effects=True))
    assert_allclose(predicted, fitted, rtol=1e-9)
    return result


def test_the_plain_frame_does_not_fit_by_chance():
    assert EXPECTED.converged
    assert not EXPECTED.is_singular
    other = crossedmixedlm(FORMULA, sample(1)).fit()
    assert (np.abs(numbers(other) / numbers(EXPECTED) - 1) > 1e-6).all()


# columns -------------------------------------------------------------------

NUMBERS = [
    *("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"),
    *("float16", "float32", "float64"),
    *("Int8", "UInt8", "Int32", "Int64", "UInt64", "Float32", "Float64"),
    pd.SparseDtype(float, 0.0),
    pd.SparseDtype(float, np.nan),
    pd.SparseDtype("int64", 0),
    *(pd.ArrowDtype(t) for t in (pa.int8(), pa.uint8(), pa.int64(), pa.uint64())),
    *(pd.ArrowDtype(t) for t in (pa.float16(), pa.float32(), pa.float64())),
    pd.ArrowDtype(pa.decimal128(10, 2)),
]


def as_number(column, kind):
    if str(kind).startswith("decimal"):
        return column.map(Decimal).astype(kind)
    return column.astype(kind)


@pytest.mark.parametrize(("kind", "name"), list(zip(NUMBERS, cycle("yxbg"))), ids=str)
def test_numbers(kind, name):
    check(DATA.assign(**{name: as_number(DATA[name], kind)}))


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_all_numbers_at_once(kind):
    check(DATA.assign(**{name: as_number(DATA[name], kind) for name in "yxbgh"}))


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "Int8", "UInt8"])
def test_small_integers_do_not_wrap_around(kind):
    formula = "y ~ I(x**3) + I(0 - x) + (1 | g)"
    expected = crossedmixedlm(
        "y ~ x3 + m + (1 | g)", DATA.assign(x3=DATA["x"] ** 3, m=-DATA["x"])
    ).fit()
    check(DATA.astype({"x": kind, "y": kind}), formula, expected)


@pytest.mark.parametrize("kind", ["uint64", "UInt64", pd.ArrowDtype(pa.uint64())])
def test_unsigned_integers_may_become_negative(kind):
    data = DATA.assign(x=DATA["x"].astype(kind))
    expected = crossedmixedlm("y ~ z + (1 | g)", DATA.assign(z=(DATA["x"] - 4) ** 3))
    check(data, "y ~ I((x - 4)**3) + (1 | g)", expected.fit())


AS_TEXT = crossedmixedlm(
    FORMULA, DATA.assign(b=np.where(DATA["b"] == 1, "yes", "no"))
).fit()
"""A true/false column is a factor with the reference False."""

BOOLEANS = ["bool", "boolean", "bool[pyarrow]", pd.SparseDtype(bool)]


@pytest.mark.parametrize("kind", BOOLEANS, ids=str)
def test_booleans(kind):
    result = check(DATA.assign(b=(DATA["b"] == 1).astype(kind)), expected=AS_TEXT)
    assert_allclose(result.params["b[T.True]"], EXPECTED.params["b"], rtol=1e-9)


def test_boolean_objects():
    check(DATA.assign(b=(DATA["b"] == 1).astype(object)), expected=AS_TEXT)


@pytest.mark.parametrize("kind", BOOLEANS[:3], ids=str)
def test_booleans_as_random_effects_and_groups(kind):
    data = DATA.assign(b=(DATA["b"] == 1).astype(kind))
    formula = "y ~ x + (0 + b | g) + (1 | h:b)"
    expected = crossedmixedlm(formula, DATA.assign(b=DATA["b"] == 1)).fit()
    check(data, formula, expected)


ARROW_DICTIONARY = pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string()))
TEXTS = [
    *("str", "object", "category", "string[python]", "string[pyarrow]"),
    *(pd.ArrowDtype(t) for t in (pa.string(), pa.large_string())),
    ARROW_DICTIONARY,
    pd.CategoricalDtype(["low", "mid", "top"], ordered=True),
    pd.SparseDtype(object, "low"),
]


def as_text(column, kind):
    """Text of some type; the first category of a dictionary is the reference."""
    if kind != ARROW_DICTIONARY:
        return column.astype(kind)
    words = sorted(column.dropna().unique())
    codes = pa.array(column.map({word: i for i, word in enumerate(words)}), pa.int32())
    array = pa.DictionaryArray.from_arrays(codes, pa.array(words))
    return pd.Series(pd.arrays.ArrowExtensionArray(array), index=column.index)


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_text_in_the_fixed_effects(kind):
    result = check(DATA.assign(f=as_text(DATA["f"], kind)))
    assert list(result.params.index) == list(EXPECTED.params.index)


@pytest.mark.parametrize("kind", TEXTS, ids=str)
def test_text_in_the_random_effects(kind):
    formula = "y ~ x + (0 + f | g)"
    expected = crossedmixedlm(formula, DATA).fit()
    check(DATA.assign(f=as_text(DATA["f"], kind)), formula, expected)


@pytest.mark.parametrize("kind", [*TEXTS[:8], "category of text"], ids=str)
@pytest.mark.parametrize("formula", [FORMULA, "y ~ x + (1 | g:h)", "y ~ x + (1 | h/g)"])
def test_text_as_groups(kind, formula):
    text = DATA["g"].map("level {:02}".format)
    if kind == "category of text":
        text, kind = text.astype("string[pyarrow]"), "category"
    expected = EXPECTED
    if formula != FORMULA:
        expected = crossedmixedlm(formula, DATA).fit()
    check(DATA.assign(g=as_text(text, kind)), formula, expected)


MISSING = [None, np.nan, pd.NA]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [*(("object", m) for m in MISSING), *zip(TEXTS[:8], cycle(MISSING))],
    ids=str,
)
@pytest.mark.parametrize("name", ["f", "g"])
def test_missing_text(name, kind, missing):
    text = DATA[name].map("level {}".format).astype(object)
    text[5] = missing
    expected = crossedmixedlm(FORMULA, DATA.drop(index=5)).fit()
    data = DATA.assign(**{name: as_text(text, kind)})
    if name == "g":
        with pytest.warns(DataWarning, match="grouping column 'g'"):
            result = crossedmixedlm(FORMULA, data).fit()
    else:
        result = crossedmixedlm(FORMULA, data).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)


HAVE_MISSING = [k for k in NUMBERS if not re.match(r"u?int\d+$|Sparse.int", str(k))]


@pytest.mark.parametrize("kind", HAVE_MISSING, ids=str)
def test_missing_numbers(kind):
    column = DATA["x"].astype(object)
    if str(kind).startswith("decimal"):
        column = column.map(Decimal)
    column[5] = None if isinstance(kind, pd.ArrowDtype) else np.nan
    data = DATA.assign(x=column.astype(kind))
    expected = crossedmixedlm(FORMULA, DATA.drop(index=5)).fit()
    result = crossedmixedlm(FORMULA, data).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)
    predicted = result.predict(data)
    assert np.flatnonzero(np.isnan(predicted)).tolist() == [5]


@pytest.mark.parametrize("kind", ["boolean", "bool[pyarrow]", object], ids=str)
def test_missing_booleans(kind):
    column = (DATA["b"] == 1).astype(object)
    column[5] = None
    text = DATA.assign(b=column.map({True: "yes", False: "no"}))
    expected = crossedmixedlm(FORMULA, text.drop(index=5)).fit()
    result = crossedmixedlm(FORMULA, DATA.assign(b=column.astype(kind))).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)


def test_order_of_categories():
    """The first category is the reference, whether ordered or not."""
    codes = DATA["f"].map({"top": "1", "low": "2", "mid": "3"})
    expected = crossedmixedlm(FORMULA, DATA.assign(f=codes)).fit()
    for ordered in (False, True):
        kind = pd.CategoricalDtype(["top", "low", "mid"], ordered=ordered)
        result = check(DATA.assign(f=DATA["f"].astype(kind)), FORMULA, expected)
        assert "f[T.low]" in result.params.index
        assert "f[T.top]" not in result.params.index


def test_unused_categories_of_groups():
    g = pd.Categorical(DATA["g"], categories=[*range(20, 10, -1), *range(-5, 11)])
    result = check(DATA.assign(g=g))
    assert len(result.random_effects["g"]) == 12


def test_categories_of_groups_in_new_data():
    data = DATA.assign(g=DATA["g"].astype("category"))
    result = crossedmixedlm(FORMULA, data).fit()
    new = data[data["g"].isin([3, 7])]
    new = new.assign(g=new["g"].cat.remove_unused_categories())
    predicted = result.predict(new, random_effects=True)
    assert_allclose(predicted, EXPECTED.fittedvalues[new.index], rtol=1e-9)
    renamed = new.assign(g=new["g"].astype(int).astype(object))
    predicted = result.predict(renamed, random_effects=True)
    assert_allclose(predicted, EXPECTED.fittedvalues[new.index], rtol=1e-9)


START = pd.Timestamp("2024-01-01")
TIMES = [
    *("datetime64[ns]", "datetime64[s]", "datetime64[ns, UTC]", "period[D]", object),
    *(pd.ArrowDtype(t) for t in (pa.timestamp("ns"), pa.timestamp("s", "UTC"))),
    *(pd.ArrowDtype(t) for t in (pa.date32(), pa.date64())),
]


def as_times(days, kind):
    times = START + pd.to_timedelta(days, unit="D")
    if kind is object:
        return pd.Series(times.dt.date, dtype=object)
    if "date32" in str(kind) or "date64" in str(kind):
        return pd.Series(pd.array(list(times.dt.date), dtype=kind))
    if "UTC" in str(kind):
        return times.dt.tz_localize("UTC").astype(kind)
    if kind == "period[D]":
        return times.dt.to_period("D")
    return times.astype(kind)


@pytest.mark.parametrize("kind", TIMES, ids=str)
@pytest.mark.parametrize("formula", [FORMULA, "y ~ x + (1 | g:h)"])
def test_times_as_groups(kind, formula):
    expected = EXPECTED
    if formula != FORMULA:
        expected = crossedmixedlm(formula, DATA).fit()
    check(DATA.assign(g=as_times(DATA["g"], kind)), formula, expected)


@pytest.mark.parametrize("kind", ["timedelta64[ns]", pd.ArrowDtype(pa.duration("s"))])
def test_durations_as_groups(kind):
    durations = pd.to_timedelta(DATA["g"], unit="h").astype("timedelta64[s]")
    check(DATA.assign(g=durations.astype(kind)))


def test_dates_as_groups():
    dates = [datetime.date(2024, 1, 1 + i) for i in DATA["g"]]
    check(DATA.assign(g=pd.Series(dates, dtype=object)))


@pytest.mark.parametrize(
    "kind", ["numpy_nullable", "pyarrow", "sparse numbers", "convert_dtypes"]
)
def test_all_columns_at_once(kind):
    data = DATA.copy()
    if kind == "convert_dtypes":
        data = data.convert_dtypes()
    elif kind == "sparse numbers":
        data = data.astype(dict.fromkeys("yxb", pd.SparseDtype(float, 0.0)))
    else:
        data = data.convert_dtypes(dtype_backend=kind)
    check(data)


# rows and names ------------------------------------------------------------

INDEXES = {
    "duplicated": np.arange(N) % 7,
    "all the same": np.zeros(N, dtype=int),
    "text": [f"row{i}" for i in range(N)],
    "missing": [np.nan, *range(1, N)],
    "backwards": np.arange(N)[::-1],
    "dates": pd.date_range("2024", periods=N),
    "two levels": pd.MultiIndex.from_arrays([np.arange(N) % 3, np.arange(N) // 5]),
    "named y": pd.Index(np.arange(N)[::-1] * 1.0, name="y"),
    "named x": pd.Index(np.arange(N)[::-1] * 1.0, name="x"),
    "named g": pd.Index(np.arange(N) % 5, name="g"),
    "levels named x, g": pd.MultiIndex.from_arrays(
        [np.arange(N) % 3, np.arange(N) // 5], names=["x", "g"]
    ),
}


@pytest.mark.parametrize("index", INDEXES.values(), ids=INDEXES.keys())
def test_index(index):
    data = DATA.set_axis(pd.Index(index) if isinstance(index, list) else index)
    result = check(data)
    for values in (result.resid, result.fittedvalues, result.predict(data)):
        pd.testing.assert_index_equal(values.index, data.index)
    weights = np.linspace(1, 2, N)
    plain = crossedmixedlm(FORMULA, DATA, weights=weights).fit()
    found = crossedmixedlm(FORMULA, data, weights=weights).fit()
    assert_allclose(numbers(found), numbers(plain), rtol=1e-10)


@pytest.mark.parametrize("index", ["duplicated", "two levels", "named x"])
def test_index_and_incomplete_rows(index):
    data = DATA.set_axis(INDEXES[index])
    gaps = [4, 5, 60]
    keep = ~np.isin(np.arange(N), gaps)
    data = data.assign(x=data["x"].where(keep))
    result = crossedmixedlm(FORMULA, data).fit()
    expected = crossedmixedlm(FORMULA, DATA[keep]).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)
    pd.testing.assert_index_equal(result.resid.index, data.index[keep])


def test_index_is_no_column():
    data = DATA.set_index("x")
    with pytest.raises(ValueError, match="column 'x' not in data"):
        crossedmixedlm(FORMULA, data)


NAMES = {
    "unicode": ("größe", "温度", "école"),
    "Greek": ("ψ", "Δx", "λ_1"),
    "engines": ("C", "Q", "I"),
    "np": ("np", "te", "poly"),
    "functions": ("log", "exp", "offset"),
    "builtins": ("sum", "id", "len"),
    "ours": ("us", "diag", "scale"),
    "coding": ("Treatment", "Sum", "Poly"),
    "underscore": ("_y", "__x__", "_"),
    "frame": ("index", "columns", "shape"),
    "parts": ("Group", "Residual", "Const"),
}


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_names(names):
    y, x, g = names
    expected = crossedmixedlm("y ~ x + (x | g)", DATA).fit()
    data = DATA.rename(columns=dict(zip("yxg", names)))
    formula = f"{y} ~ {x} + ({x} | {g})"
    result = check(data, formula, expected)
    assert list(result.params.index) == ["Intercept", x]
    assert list(result.cov_re[g].index) == ["Intercept", x]
    check(data, f"{g} ~ {x} + ({x} | h)", crossedmixedlm("g ~ x + (x | h)", DATA).fit())


def test_names_with_a_dot():
    data = DATA.rename(columns={"x": "x.1", "g": "the.group"})
    expected = crossedmixedlm("y ~ x + (x | g)", DATA).fit()
    formula = "y ~ Q('x.1') + (Q('x.1') | Q('the.group'))"
    check(data, formula, expected)
    check(data, formula.replace("Q('", "`").replace("')", "`"), expected)


def test_whole_numbers_as_names():
    data = DATA[["y", "x", "g", "h"]].set_axis(range(4), axis=1)
    expected = crossedmixedlm("y ~ x + (x | g) + (1 | h)", DATA).fit()
    check(data, "Q(0) ~ Q(1) + (Q(1) | Q(2)) + (1 | Q(3))", expected)


def test_whole_numbers_as_names_keep_missing_rows():
    data = DATA[["y", "x", "g"]].set_axis(range(3), axis=1)
    data[1] = data[1].where(data.index != 5)
    expected = crossedmixedlm("y ~ x + (1 | g)", DATA.drop(index=5)).fit()
    result = crossedmixedlm("Q(0) ~ Q(1) + (1 | Q(2))", data).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)


def test_the_data_are_not_changed():
    data = DATA.assign(f=DATA["f"].astype("category"))
    before = data.copy(deep=True)
    crossedmixedlm(FORMULA, data).fit().predict(data, random_effects=True)
    pd.testing.assert_frame_equal(data, before)


# frames --------------------------------------------------------------------

POLARS = pl.from_pandas(DATA.astype({"f": "str"}))


ENUM = pl.Enum(["low", "mid", "top"])


def with_text(kind):
    return POLARS.with_columns(pl.col("f").cast(kind))


FRAMES = {
    "polars": lambda: POLARS,
    "polars lazy": lambda: POLARS.lazy(),
    "polars enum": lambda: with_text(ENUM),
    "polars small": lambda: POLARS.with_columns(
        pl.col("y").cast(pl.Int8), pl.col("x").cast(pl.UInt8), pl.col("g").cast(pl.Int8)
    ),
    "polars float32": lambda: POLARS.with_columns(
        pl.col("y").cast(pl.Float32), pl.col("x").cast(pl.Float32)
    ),
    "polars text groups": lambda: POLARS.with_columns(
        (pl.col("g") + 10).cast(pl.String).cast(pl.Categorical)
    ),
    "polars dates": lambda: (
        POLARS.with_columns(pl.date(2024, 1, 1) + pl.duration(days="g"))
        .drop("g")
        .rename({"date": "g"})
    ),
    "pyarrow": lambda: POLARS.to_arrow(),
    "pyarrow dictionary": lambda: with_text(ENUM).to_arrow(),
    "pyarrow chunks": lambda: pa.concat_tables(
        [POLARS[:50].to_arrow(), POLARS[50:].to_arrow()]
    ),
    "dict of lists": lambda: DATA.to_dict("list"),
    "dict of arrays": lambda: {name: DATA[name].to_numpy() for name in DATA},
    "dict of Series": lambda: {name: DATA[name] for name in DATA},
    "recarray": lambda: DATA.to_records(index=False),
    "recarray with index": lambda: DATA.to_records(),
    "structured array": lambda: np.array(
        list(DATA.itertuples(index=False, name=None)),
        dtype=[(n, "U3" if n == "f" else "f4" if n == "y" else "i4") for n in DATA],
    ),
}


IN_MEMORY = {name: make for name, make in FRAMES.items() if name != "polars lazy"}
"""A lazy frame is read in batches, whose rows are not kept."""


@pytest.mark.parametrize("make", IN_MEMORY.values(), ids=IN_MEMORY.keys())
def test_frames(make):
    check(make())


@pytest.mark.parametrize("make", FRAMES.values(), ids=FRAMES.keys())
def test_fit_to_pandas_predict_from_others(make):
    predicted = EXPECTED.predict(make())
    assert_allclose(np.asarray(predicted), EXPECTED.predict(DATA), rtol=1e-10)


def test_polars_without_pyarrow(monkeypatch):
    """The line of the message gives what the model needs."""

    def to_pandas(self):
        raise ModuleNotFoundError("No module named 'pyarrow'", name="pyarrow")

    monkeypatch.setattr(pl.DataFrame, "to_pandas", to_pandas)
    data = pl.DataFrame({"y": [1.0, 2.0, 4.0, 3.0], "g": ["a", "a", "b", "b"]})
    with pytest.raises(ImportError, match="`pip install pyarrow`, or pass") as caught:
        crossedmixedlm("y ~ 1 + (1 | g)", data)
    line = re.findall("`([^`]+)`", str(caught.value))[1]
    crossedmixedlm("y ~ 1 + (1 | g)", eval(line))


def test_polars_categorical():
    """Its categories stand in the order of the data; the first is the reference."""
    data = with_text(pl.Categorical)
    order = list(dict.fromkeys(data["f"].to_list()))
    kind = pd.CategoricalDtype(order)
    expected = crossedmixedlm(FORMULA, DATA.assign(f=DATA["f"].astype(kind))).fit()
    check(data, expected=expected)
    check(data.to_arrow(), expected=expected)
    assert_allclose(EXPECTED.predict(data), EXPECTED.predict(DATA), rtol=1e-10)


def test_polars_boolean():
    check(POLARS.with_columns(pl.col("b") == 1), expected=AS_TEXT)


@pytest.mark.parametrize("kind", [pl.Decimal(10, 2), pl.Decimal(20, 4)])
def test_polars_decimal(kind):
    data = POLARS.with_columns(pl.col("x").cast(kind))
    with pytest.warns(DataWarning, match="'x'.*converted to floats"):
        check(data)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("name", ["y", "x", "b", "f"])
def test_null_in_polars(name, lazy):
    missing = pl.when(pl.int_range(pl.len()) == 5).then(None).otherwise(pl.col(name))
    data = POLARS.with_columns(missing.alias(name))
    assert data[name].null_count() == 1
    result = crossedmixedlm(FORMULA, data.lazy() if lazy else data).fit()
    expected = crossedmixedlm(FORMULA, DATA.drop(index=5)).fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)
    assert result.model.n_dropped == 1


def test_weights_of_other_kinds():
    weights = np.linspace(1, 2, N)
    expected = crossedmixedlm(FORMULA, DATA, weights=weights).fit()
    for given in (weights.tolist(), pl.Series(weights), pa.array(weights)):
        result = crossedmixedlm(FORMULA, POLARS, weights=given).fit()
        assert_allclose(numbers(result), numbers(expected), rtol=1e-10)
    data = POLARS.with_columns(w=pl.Series(weights))
    result = crossedmixedlm(FORMULA, data, weights="w").fit()
    assert_allclose(numbers(result), numbers(expected), rtol=1e-10)


@pytest.mark.parametrize("data", [None, 1, "data.csv", [1, 2, 3]])
def test_no_frame(data):
    with pytest.raises((ValueError, TypeError)):
        crossedmixedlm(FORMULA, data)


@pytest.mark.parametrize("kind", ["str", "string[python]", "string[pyarrow]"])
def test_text_as_groups_is_not_made_objects(kind):
    """Which takes as long as all else; labels are those of objects."""
    text = DATA["g"].map("level {}".format).astype(object)
    text.iloc[3] = None
    values = plain_column(text.astype(kind), "g", {"group"})
    assert values.dtype == pd.Index(["text"]).dtype
    assert pd.isna(values).nonzero()[0].tolist() == [3]
    with pytest.warns(DataWarning, match="1 row dropped"):
        found, expected = (
            CrossedMixedLM.from_formula("y ~ x + (1 | g)", DATA.assign(g=g)).random[0]
            for g in (text.astype(kind), text)
        )
    pd.testing.assert_index_equal(found.levels, expected.levels)
    assert [type(v) for v in found.levels] == [type(v) for v in expected.levels]
    np.testing.assert_array_equal(found.keys[0].codes, expected.keys[0].codes)
