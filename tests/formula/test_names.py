"""What a formula reads, by names of every kind: the fit is that of plain names."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from samples import ENGINES

from statsmodels_lmm import from_json
from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.formula.dialects import engine_text, readable
from statsmodels_lmm.formula.names import columns_in, names_in
from statsmodels_lmm.formula.tokens import tokenize
from statsmodels_lmm.inference.comparison.reduced_models import drop_fixed, drop_random

N = 120

ODD = [
    *("Yield\n(kg)", "Dose\t(mg)", "a\\'b", "_x", "a|b~c:d", 'ward "B"', "it's"),
    *("x (a", "b)", "{c} #h", "a.b", "1", "µg", "class", "in", "None", "np"),
    *("ऊँचाई", "cafe\N{COMBINING ACUTE ACCENT}", "x\N{COMBINING MACRON}"),
]
"""Names that headers of tables have."""

READ = {
    "C(f, Treatment('x'))": "f",
    "C(f, Sum)": "f",
    "x > z": "x z",
    "I(1 * (f == 'x'))": "f",
    "np.where(f == 'x', x, 0)": "f x",
    "f.isin(['x', 'z'])": "f",
    "f.map({'x': z})": "f z",
    "scale(x)": "x",
    "bs(x, df=4, degree=z)": "x z",
    "I(f.map(lambda x: x))": "f",
    "I(f.map(lambda v, w=x: v + z))": "f x z",
    "I([x for x in f if x])": "f",
    "I({x: z for x, z in f})": "f",
    "I(sum(x for v in f for x in v))": "f",
    "x.rank() + f.cat.z": "x f",
    "Q('x')": "x",
    "Q(1) + Q('1')": "1",
    "log(Q('x') + z)": "x z",
    "C(np)": "np",
    "np.log(x)": "x",
    "I(x if z else f)": "x z f",
    "log(class) + in:x": "x class in",
    "I(x in in)": None,
    "`in` + I(f'{x}')": "in x",
    "I(x ** 2) + (z + f)**2": "x z f",
}
"""A piece of formula, and the columns that it reads."""


@functools.cache
def frame():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame({"x": rng.normal(size=N), "z": rng.uniform(1, 2, N)})
    frame["g"], frame["f"] = (
        np.arange(N) % 12,
        np.array(list("abc"))[np.arange(N) // 40],
    )
    effects = rng.normal(size=(2, 12))[:, frame["g"]]
    frame["y"] = 9 + frame["x"] + effects[0] + effects[1] * frame["x"]
    frame["y"] += rng.normal(size=N)
    return frame


@pytest.fixture
def data():
    return frame()


def fit(formula, data, reml=True, **kwargs):
    return crossedmixedlm(formula, data, **kwargs).fit(reml=reml)


@functools.cache
def plain(formula, engine, reml=True):
    """The fit of plain names by one of the engines."""
    with formula_engine(engine):
        return fit(formula, frame(), reml)


def assert_same(result, expected):
    assert result.nobs == expected.nobs
    assert_allclose(result.llf, expected.llf, rtol=1e-9)
    found, wanted = (np.sort(np.abs(r.params)) for r in (result, expected))
    assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("text", READ)
def test_columns_that_are_read(text):
    columns = ["x", "z", "f", "np", "w", "v", "Sum", "scale", "T", "class", "in", 1]
    if READ[text] is None:
        with pytest.raises(FormulaError, match="not valid Python"):
            names_in(text)
        return
    found = columns_in(text, columns)
    assert sorted(map(str, found)) == sorted(READ[text].split())


def test_gaps_elsewhere_drop_no_rows(data, engine):
    """Text, functions and arguments that are also names of columns."""
    gaps = {n: np.where(np.arange(N) % 2, np.nan, 1.0) for n in ("a", "scale", "df")}
    holes = data.assign(**gaps)
    for text in ("C(f, Treatment('a')) + scale(x)", "I(1 * (f == 'a')) + bs(x, df=3)"):
        result = fit(f"y ~ {text} + (1 | g)", holes)
        assert_same(result, fit(f"y ~ {text} + (1 | g)", data))
        assert sorted(result.model.data.frame) == ["f", "g", "x", "y"]
        new = data[["x", "f"]].head(3)
        assert_allclose(result.predict(new), result.predict()[:3], rtol=1e-10)


def test_a_function_of_the_caller_and_a_column_of_its_name(data, engine):
    def double(values):
        return 2 * values

    model = crossedmixedlm("y ~ double(x) + (1 | g)", data.assign(double=np.nan))
    assert_same(model.fit(), fit("y ~ I(2 * x) + (1 | g)", data))


def test_variables_of_the_caller_do_not_hide_the_language(data, engine):
    def other(*arguments):
        raise AssertionError("the caller's function is called")

    C = I = Q = other  # noqa: E741
    scale, Sum = 1, 2
    formula = "y ~ C(f, Sum) + I(x**2) + scale(z) + Q('x') + (1 | g)"
    model = crossedmixedlm(formula, data)
    assert {C, I, Q, scale, Sum} == {other, 1, 2}
    assert_same(model.fit(), fit(formula, data, eval_env=-1))


def spellings(name):
    bare = [name] if name.isidentifier() else []
    return [*bare, f"Q({name!r})", f"`{name}`"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_any_name_in_any_role(name, data, engine):
    """Each name in each role by one of the engines, each role in each spelling."""
    expected = plain("y ~ x + f + (x | g)", engine)
    predicted = expected.predict(data.head(4), random_effects=True)
    first = ODD.index(name)
    for at, role in enumerate("yxfg", first):
        if at % 2 != ENGINES.index(engine):
            continue
        renamed = data.rename(columns={role: name})
        spelling = spellings(name)[at % len(spellings(name))]
        words = {r: spelling if r == role else r for r in "yxfg"}
        formula = "{y} ~ {x} + {f} + ({x} | {g})".format(**words)
        result = fit(formula, renamed)
        assert_same(result, expected)
        new = renamed.head(4)
        same = [pickle.loads(pickle.dumps(result))]
        if engine == "patsy":
            same.append(from_json(result.to_json()))
        for each in same:
            found = each.predict(new, random_effects=True)
            assert_allclose(found, predicted, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Yield\n(kg)", "a~b", "it's", "in", "a:b|c"])
def test_any_name_where_the_formula_is_read_again(name, data, engine):
    expected = plain("y ~ x + f + (x | g)", engine, False)
    without_f, without_x = drop_fixed(expected, "f"), drop_random(expected, "g", "x")
    anova, theirs = expected.anova(), expected.marginal_means("f")
    for role in "xfg":
        renamed = data.rename(columns={role: name})
        words = {r: f"Q({name!r})" if r == role else r for r in "xfg"}
        result = fit("y ~ {x} + {f} + ({x} | {g})".format(**words), renamed, False)
        text = str(result.summary())
        assert "\n(kg)" not in text or role == "g"
        dropped = drop_fixed(result, words["f"])
        assert_allclose(dropped.llf, without_f.llf, rtol=1e-9)
        term = str(result.model._parsed.random[0])
        dropped = drop_random(result, term, words["x"])
        assert_allclose(dropped.llf, without_x.llf, rtol=1e-8)
        assert_allclose(result.anova()["F"], anova["F"], rtol=1e-6)
        specs = name if role == "f" else "f"
        means = result.marginal_means(specs)
        assert_allclose(means.frame["mean"], theirs.frame["mean"], rtol=1e-6)


@pytest.mark.slow
def test_words_of_python(data, engine):
    new = dict(zip("yxzgf", ["yield", "from", "lambda", "is", "class"]))
    renamed = data.rename(columns=new)
    for words, plain in {
        "yield ~ class * from + (from | is)": "y ~ f * x + (x | g)",
        "log(yield) ~ C(class) + I(from**2) + (1|is)": "log(y) ~ f + I(x**2) + (1|g)",
        "yield ~ lambda:from + scale(from) + (1 | is)": "y ~ z:x + scale(x) + (1 | g)",
        "yield ~ (from + lambda)^2 + (from || is)": "y ~ x * z + (x || g)",
        "yield ~ from + offset(lambda) + (1 | is)": "y ~ x + offset(z) + (1 | g)",
        "yield ~ from + cs(0 + class|is, hom = True)": "y ~ x + cs(0 + f|g, hom=True)",
        "yield - from ~ class + (1 | is)": "I(y - x) ~ f + (1 | g)",
    }.items():
        result, expected = fit(words, renamed), fit(plain, data)
        assert_same(result, expected)
        assert not any("Q(" in name for name in result.params.index)
        assert_allclose(
            result.predict(renamed.tail(5), random_effects=True),
            expected.predict(data.tail(5), random_effects=True),
        )
    assert fit("yield ~ from + (1 | is)", renamed).model.endog_names == "yield"
    # inside of a call Python reads its own words, a name in quotes is the column
    named = data.rename(columns={"z": "if"})
    result = fit("y ~ I(x if 1 < 2 else 0) + log(`if`) + (1 | g)", named)
    assert_same(result, fit("y ~ I(x) + log(z) + (1 | g)", data))


def test_numbers_in_the_byte_order_of_another_machine(data):
    foreign = data.assign(g=data["g"].astype(">i4"), x=data["x"].astype(">f8"))
    assert_same(fit("y ~ x + (x | g)", foreign), fit("y ~ x + (x | g)", data))


# arithmetic and terms -----------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["y - x", "y + x", "y * z", "y / z", "y ** 2", "-y", "log(y) - 1", "(y - x) / z"],
)
def test_response_is_arithmetic(text, data, engine):
    values = data.eval(text, local_dict={})
    expected = fit("v ~ f + (1 | g)", data.assign(v=values))
    for spelling in (text, text.replace(" ", ""), text.replace("**", "^")):
        result = fit(f"{spelling} ~ f + (1 | g)", data)
        assert_allclose(result.model.endog, values)
        assert_same(result, expected)
    assert result.model.endog_names == text.replace(" ** ", "^").replace("**", "^")
    assert_same(fit(result.model.formula_full, data), expected)
    means = result.marginal_means("f")
    assert f"On the scale of {result.model.endog_names}." in str(means)
    left = drop_fixed(result, "f")
    assert_same(left, fit("v ~ 1 + (1 | g)", data.assign(v=values)))


@pytest.mark.parametrize(
    ("of_r", "expected"),
    {
        "(x + z + f)^2": "x * z + x:f + z:f + f",
        "(x + z)**7": "x * z",
        "f + x %in% f": "f/x",
        "f + z + x %in% (f + z)": "f + z + f:x:z",
        "x + (x + z)^2": "x * z",
    }.items(),
)
def test_operators_of_r(of_r, expected, data, engine):
    result = fit(f"y ~ {of_r} + (1 | g)", data)
    assert_allclose(result.llf, fit(f"y ~ {expected} + (1 | g)", data).llf, rtol=1e-9)
    one = fit("y ~ x + (1 | f %in% g)", data)
    assert_same(one, fit("y ~ x + (1 | g:f)", data))


def test_response_is_any_expression_of_python(data, engine):
    """Operators that formula engines read otherwise or not at all."""
    values = {
        "y // 2": data["y"] // 2,
        "y % 3": data["y"] % 3,
        "(y > 0) * x": (data["y"] > 0) * data["x"],
        "y.rank()": data["y"].rank(),
    }
    for text, expected in values.items():
        result = fit(f"{text} ~ f + (1 | g)", data)
        assert_allclose(result.model.endog, expected)


def test_natural_splines(engine):
    """R 4.2.2, ``splines::ns``."""
    x = np.array([0, 1, 1, 2, 3.5, 4, 4, 4, 7, 9.5])
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"x": np.repeat(x, 4), "g": np.tile(np.arange(4), 10)})
    frame["y"] = np.sin(frame["x"]) + frame["g"] + rng.normal(size=40)
    result = fit("y ~ 0 + ns(x, 3) + (1 | g)", frame)
    basis = [
        [0, 0, 0],
        [-0.144862592149952, 0.591206318287446, -0.341080568242757],
        [-0.161448140900196, 0.381604696673190, 0.779843444227006],
    ]
    assert_allclose(result.model.exog[[0, 12, 36]], basis, atol=1e-14)
    beyond = [
        [0.163214408826342, -0.385779511771354, 0.222565102945012],
        [0.463564929307603, 0.407563364133313, -0.103664178608380],
        [-0.763209393346380, 0.440313111545988, 1.322896281800391],
    ]
    new = result.predict(pd.DataFrame({"x": [-1, 5, 12]}))
    assert_allclose(new, beyond @ result.params.to_numpy(), rtol=1e-12)
    knots = fit("y ~ 0 + ns(x, knots=[2, 5]) + (1 | g)", frame)
    row = [0.124879610874505, -0.333012295665348, 0.208132684790842]
    new = knots.predict(pd.DataFrame({"x": [-1]}))
    assert_allclose(new, row @ knots.params.to_numpy(), rtol=1e-11)
    with pytest.raises(FormulaError, match=r"whole number of columns, not 1\.5"):
        fit("y ~ ns(x, 1.5) + (1 | g)", frame)


# dates ---------------------------------------------------------------------


def with_dates(data):
    days = pd.Series(np.arange(N) * 37 % 400)
    date = pd.Timestamp("2023-01-15") + pd.to_timedelta(days, unit="D")
    return data.assign(
        date=date,
        period=date.dt.to_period("M"),
        span=date - date.min(),
        day=date.dt.date,
        days=days.astype(float),
        month=date.dt.month,
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    {
        "I((date - date.min()).dt.days) + (1 | g)": "days + (1 | g)",
        "date.dt.month + (1 | g)": "month + (1 | g)",
        "C(date.dt.month) + (1 | g)": "C(month) + (1 | g)",
        "period.dt.month + (1 | g)": "month + (1 | g)",
        "I(span.dt.days) + (1 | g)": "days + (1 | g)",
        "pd.to_datetime(day).dt.month + (1 | g)": "month + (1 | g)",
        "x + (date.dt.month | g)": "x + (month | g)",
        "x + offset(date.dt.month) + (1 | g)": "x + offset(month) + (1 | g)",
    }.items(),
)
def test_dates_in_expressions(text, plain, data, engine):
    data = with_dates(data)
    result, expected = fit(f"y ~ {text}", data), fit(f"y ~ {plain}", data)
    assert_same(result, expected)
    again = result.predict(data, random_effects=True)
    assert_allclose(again, expected.fittedvalues, rtol=1e-6)
    name = next(n for n in ("period", "span", "(day", "date") if n in text).strip("(")
    new = data.assign(**{name: "2023-05-01"})
    with pytest.raises(DataError, match="held dates or times in the fit"):
        result.predict(new, random_effects=True)


@pytest.mark.parametrize("name", ["date", "period", "span", "day"])
def test_dates_as_terms(name, data, engine):
    data = with_dates(data)
    with pytest.raises(DataError, match=f"'{name}' holds dates or times") as caught:
        fit(f"y ~ x + {name} + (1 | g)", data)
    advice = str(caught.value).rpartition(": ")[2]
    number = eval(advice, {"pd": pd, name: data[name]})
    assert pd.api.types.is_numeric_dtype(number)
    assert fit(f"y ~ x + I({advice}) + (1 | g)", data).nobs == N
    with pytest.raises((DataError, FormulaError), match="date"):
        fit(f"y ~ x + I({name}) + (1 | g)", data)


def test_dates_in_marginal_means(data):
    data = with_dates(data)
    result = fit("y ~ f + date.dt.month + (1 | g)", data)
    expected = fit("y ~ f + month + (1 | g)", data)
    middle = data["date"].sort_values().iloc[(N - 1) // 2].month
    means = result.marginal_means("f").frame["mean"]
    theirs = expected.marginal_means("f", at={"month": [middle]}).frame["mean"]
    assert_allclose(means, theirs, rtol=1e-9)
    means = result.marginal_means("f", at={"date": ["2023-05-03"]}).frame["mean"]
    theirs = expected.marginal_means("f", at={"month": [5]}).frame["mean"]
    assert_allclose(means, theirs, rtol=1e-9)
    with pytest.raises(ValueError, match="'date' holds dates"):
        result.marginal_slopes("date")


# factors of one level -------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    ["y ~ f * x + (1 | g)", "y ~ x + (f | g)", "y ~ C(f) + x + (1 | g)"],
)
def test_factor_with_one_level(formula, data, engine):
    name = "C(f)" if "C(" in formula else "f"
    holes = data.assign(x=data["x"].where(data["f"] == "a"))
    frames = [(holes, None), (data, data["f"] == "a")]
    for frame, subset in frames:
        with pytest.warns(DataWarning) as caught:
            crossedmixedlm(formula, frame, subset=subset)
        said = [str(c.message) for c in caught]
        assert said == [
            f"'{name.replace(chr(39), '')}' has only one level, 'a', in the rows used: "
            "its effects are left out"
        ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crossedmixedlm("y ~ 0 + f + x + (1 | g)", holes)
    with pytest.raises(DataError, match="'f' has only one level"):
        crossedmixedlm("y ~ x + (f || g)", holes)


# the pieces -----------------------------------------------------------------


@pytest.mark.parametrize("engine", ["patsy", "formulaic"])
def test_names_come_back(engine):
    for name in ODD:
        text = engine_text(f"`{name}`", engine)
        assert "~" not in text
        shown = tokenize(readable(text, engine))
        assert [t.column or t.text for t in shown] == [name]


@pytest.mark.parametrize(
    ("of_patsy", "shown"),
    [
        ("Q('in')", "in"),
        ("Q('in')[T.b]", "in[T.b]"),
        ("x:Q('in'):Q('is')", "x:in:is"),
        ("Q('class').abs()", "class.abs()"),
        ("Q('in').abs()", "Q('in').abs()"),
        ("center(Q('in'))", "center(Q('in'))"),
        ("I(x * Q('in'))[b]", "I(x * Q('in'))[b]"),
        ("Q('my x')", "Q('my x')"),
    ],
)
def test_words_of_python_are_quoted_inside_of_expressions(of_patsy, shown):
    assert readable(of_patsy, "patsy") == shown


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("I", "y ~ I + I(x**2) + (1 | g)"),
        ("Q", "y ~ `Q` + `x y` + (1 | g)"),
        ("C", "y ~ C + C(g) + (1 | g)"),
        ("log", "y ~ log + log(x) + (1 | g)"),
    ],
)
def test_columns_that_hide_what_the_formula_calls(name, formula):
    x = np.linspace(1.0, 2.0, 24)
    columns = {"y": x**3, "x": x, "x y": x[::-1] ** 2, "g": np.arange(24) % 4}
    data = pd.DataFrame({**columns, name: np.cos(9 * x)})
    message = f"column '{name}' hides"
    with formula_engine("patsy"), pytest.raises(FormulaError, match=message):
        crossedmixedlm(formula, data)
    renamed = formula.replace(f"~ {name}", "~ z").replace(f"`{name}`", "z")
    crossedmixedlm(renamed, data.rename(columns={name: "z"}))
