"""What is refused, what is changed with a warning, and what works all the same."""

import datetime
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from numpy.testing import assert_allclose
from samples import load
from scipy import stats
from statsmodels_twin import gain_left, mixedlm_at

from statsmodels_lmm.core.algebra import memory
from statsmodels_lmm.exceptions import (
    DataError,
    DataWarning,
    FormulaError,
    RankWarning,
)
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.models.linear import CrossedMixedLM
from statsmodels_lmm.random.random_effects import group_levels

pytestmark = pytest.mark.filterwarnings("error")  # no warning but those expected

N_GROUPS, PER_GROUP = 12, 6
N = N_GROUPS * PER_GROUP


def sample(seed=0):
    """Three covariates, a factor and random intercepts and slopes by g."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(N_GROUPS), PER_GROUP)
    x, z = rng.normal(size=(2, N))
    f = np.array(list("abc"))[rng.integers(0, 3, N)]
    u = rng.normal(size=(N_GROUPS, 2))
    y = 2 + 0.5 * x + 0.3 * (f == "b") + u[g, 0] + 0.7 * u[g, 1] * x
    y = y + rng.normal(size=N)
    h = rng.permutation(np.arange(N) % 7)
    return pd.DataFrame({"y": y, "x": x, "z": z, "f": f, "g": g, "h": h})


@pytest.fixture
def data():
    return sample()


def fit(formula, data, reml=True, **kwargs):
    return crossedmixedlm(formula, data, **kwargs).fit(reml=reml)


def numbers(result):
    parts = [result.params, result.bse, result.theta, [result.scale, result.llf]]
    return np.concatenate([np.asarray(p, dtype=float) for p in parts])


def assert_same(result, expected, rtol=1e-10):
    assert result.nobs == expected.nobs
    assert_allclose(numbers(result), numbers(expected), rtol=rtol, atol=1e-13)


def dense_llf(result, y, x, z, weights=None, reml=True):
    """(Restricted) log-likelihood of one factor's fit, from the dense V."""
    (k,) = map(np.asarray, result.cov_re.values())
    levels = z.shape[1] // len(k)
    residual = np.ones(len(y)) if weights is None else 1 / np.asarray(weights)
    v = z @ np.kron(np.eye(levels), k) @ z.T + result.scale * np.diag(residual)
    inverse = np.linalg.inv(v)
    information = x.T @ inverse @ x
    r = y - x @ np.linalg.solve(information, x.T @ inverse @ y)
    n, p = x.shape
    minus_two = np.linalg.slogdet(v)[1] + r @ inverse @ r
    if reml:
        minus_two += np.linalg.slogdet(information)[1]
        n -= p
    return -0.5 * (minus_two + n * np.log(2 * np.pi))


# formulas ------------------------------------------------------------------


def pointed(error):
    """The part of the formula that the carets stand under."""
    *_, line, carets = str(error).split("\n")
    assert set(carets) <= {" ", "^"}
    return line[carets.index("^") : carets.rindex("^") + 1]


BAD_FORMULAS = {
    "no random term": ("y ~ x", r"smf\.ols", "y ~ x"),
    "no response": ("~ x + (1|g)", "needs a response", "~"),
    "no tilde": ("x + (1|g)", "needs a response", "x"),
    "nothing": ("", "needs a response", None),
    "no terms": ("y ~", "side of '~' is empty", "~"),
    "two tildes": ("y ~ x ~ (1|g)", "one '~'", None),
    "no parentheses": ("y ~ x + 1|g", r"\(1 \| g\)", "1|g"),
    "only bar": ("y ~ x | g", r"\(x \| g\)", "x | g"),
    "interaction": ("y ~ x:(1|g)", "stand alone", "x:(1|g)"),
    "interaction before": ("y ~ x + (1|g):x", "stand alone", "(1|g):x"),
    "product": ("y ~ x*(1|g)", "stand alone", "x*(1|g)"),
    "inside a sum": ("y ~ (x + (1|g))", "stand alone", "(x + (1|g))"),
    "number 2": ("y ~ x + (1|2)", "grouping factor is a column", "2"),
    "number 1": ("y ~ x + (1|1)", "grouping factor is a column", "1"),
    "call as group": ("y ~ x + (1|abs(2))", "grouping factor is a column", None),
    "sum of groups": ("y ~ x + (1|g + h)", "one term per", "+"),
    "unclosed": ("y ~ (x + (1|g)", "unmatched parenthesis", "("),
    "unopened": ("y ~ x) + (1|g)", "unmatched parenthesis", ")"),
    "crossed brackets": ("y ~ I(x] + (1|g)", "unmatched parenthesis", "]"),
    "unclosed backtick": ("y ~ `x + (1|g)", "backtick", "`"),
    "same term": ("y ~ (1|g) + x + (1|g)", "twice", "(1|g)"),
    "same slope": ("y ~ (x|g) + (0 + x|g)", "twice.*x", "(0 + x|g)"),
    "same groups": ("y ~ (1|g:h) + (1|h:g)", "twice", "(1|h:g)"),
    "nested again": ("y ~ (1|g/h) + (1|g)", "twice", "(1|g)"),
    "intercept twice": ("y ~ (1|g) + (x|g)", r"\(0 \+ x \| g\)", "(x|g)"),
    "intercept again": ("y ~ (x|g) + (1|g)", "twice.*intercept", "(1|g)"),
    "structure": ("y ~ x + foo(x|g)", "'foo'.*us, diag", "foo"),
    "call": ("y ~ x + C(x|g) + (1|g)", "inside a call", "C(x|g)"),
    "function": ("y ~ np.exp(x|g) + (1|g)", "inside a call", "np.exp(x|g)"),
    "identity": ("y ~ I(x|g) + (1|g)", "inside a call", "I(x|g)"),
    "bar in response": ("y|x ~ (1|g)", "response", "|"),
    "two bars": ("y ~ x + (1|g|h)", "one bar", "|"),
    "no effects": ("y ~ x + (|g)", r"\(1 \| g\)", "(|g)"),
    "empty effects": ("y ~ x + (0|g)", "no effects", "0"),
    "no group": ("y ~ x + (1|)", r"\(1 \| g\)", "(1|)"),
    "group missing": ("y ~ x + (1|g:)", "grouping factor is missing", ":"),
    "subtracted": ("y ~ x - (1|g)", "subtracted", "(1|g)"),
    "term missing": ("y ~ x + + (1|g)", "term is missing", "+"),
    "plus at end": ("y ~ (1|g) +", "term is missing", "+"),
    "diag and bars": ("y ~ diag(x||g)", "either", "||"),
    "power": ("y ~ x^2 + (1|g)", r"I\(x\*\*2\)", "^"),
    "power in Python's spelling": ("y ~ x + x**3 + (1|g)", r"I\(x\*\*3\)", "**"),
    "random power": ("y ~ x + (x + x**2|g)", r"I\(x\*\*2\)", "**"),
    "response of terms": ("y:x ~ z + (1|g)", "arithmetic", ":"),
    "too many terms": ("y ~ " + "+".join(["x"] * 5000) + "+ (1|g)", "500 terms", None),
    "far too many": ("y ~ " + "+".join(["x"] * 30000) + "+ (1|g)", "characters", None),
    "product of many": (
        "y ~ " + "*".join(["x"] * 25) + "+ (1|g)",
        "more than 2000 terms",
        None,
    ),
    "deep": (f"y ~ x + (1|{'(' * 2000}g{')' * 2000})", "50 deep", None),
    "dot": ("y ~ . + (1|g)", "name the columns", "."),
    "dot last": ("y ~ x + . + (1|g)", "name the columns", "."),
    "equals": ("y = x + (1|g)", "write '~'", "="),
    "arrow": ("y <- x + (1|g)", "write '~'", "<-"),
    "dollar": ("y ~ d$x + (1|g)", "'\\$' is R syntax", "$"),
    "options": ("y ~ x + (1|g), REML = FALSE", "the formula must end here", ","),
    "call of lmer": ("lmer(y ~ x + (1|g))", "pass its arguments", "l"),
    "as.factor": ("y ~ as.factor(f) + (1|g)", r"C\(", "as.factor"),
    "as.numeric": ("y ~ as.numeric(f) + (1|g)", "as.numeric", "as.numeric"),
    "cbind": ("cbind(y, x) ~ z + (1|g)", "several columns", "cbind(y, x)"),
}


@pytest.mark.parametrize(
    ("formula", "message", "place"), BAD_FORMULAS.values(), ids=BAD_FORMULAS
)
def test_formula_is_refused(formula, message, place):
    with pytest.raises(FormulaError, match=message) as caught:
        parse(formula)
    assert isinstance(caught.value, ValueError)
    if place is not None:
        assert pointed(caught.value) == place


@pytest.mark.parametrize(
    ("formula", "span"),
    [
        ("y ~ x ~ (1|g)", (6, 7)),
        ("y ~ (1|g) + x + (1|g)", (16, 21)),
        ("y ~ x + (1|g|h)", (12, 13)),
        ("y ~ x + + (1|g)", (8, 9)),
        ("y ~ x + (1|g) + x^2", (17, 18)),
        ("y ~ (1|g) + x | h", (12, 17)),
        ("  y ~ x) + (1|g)", (7, 8)),
    ],
)
def test_carets_stand_at_the_second_of_two(formula, span):
    with pytest.raises(FormulaError) as caught:
        parse(formula)
    assert caught.value.span == span
    carets = str(caught.value).split("\n")[-1]
    start, stop = span
    assert carets == " " * (4 + start) + "^" * (stop - start)


def test_carets_in_a_formula_of_several_lines():
    with pytest.raises(FormulaError, match="unknown covariance structure") as caught:
        parse("y ~ x\n    + foo(x | g)")
    before, after = str(caught.value).split("foo(", 1)
    column = len(before.split("\n")[-1])
    assert after.split("\n")[1].index("^") == column


@pytest.mark.parametrize("formula", [None, 1, b"y ~ (1|g)", ["y ~ (1|g)"]])
def test_formula_must_be_text(formula, data):
    with pytest.raises(FormulaError, match="must be a string"):
        crossedmixedlm(formula, data)


def test_advice_for_the_intercept_can_be_followed(data):
    with pytest.raises(FormulaError, match="write") as caught:
        parse("y ~ x + (1|g) + (x|g)")
    advice = str(caught.value).split("write ")[1].split(" for")[0]
    result = fit(f"y ~ x + (1|g) + {advice}", data)
    assert_same(result, fit("y ~ x + (x||g)", data))


@pytest.mark.parametrize(
    ("formula", "name", "close"),
    [
        ("y ~ xx + (1|g)", "xx", "x"),
        ("y ~ X + (1|g)", "X", "x"),
        ("yy ~ x + (1|g)", "yy", "y"),
        ("y ~ np.log(zz) + (1|g)", "zz", "z"),
        ("y ~ x + (1 + xx|g)", "xx", "x"),
        ("y ~ x + offset(zz) + (1|g)", "zz", "z"),
        ("y ~ x + (1|gg)", "gg", "g"),
        ("y ~ x + (1|g:hh)", "hh", "h"),
    ],
)
def test_missing_column(formula, name, close, data):
    message = f"column '{name}' not in data; did you mean .*{close}"
    with pytest.raises(FormulaError, match=message) as caught:
        crossedmixedlm(formula, data)
    assert pointed(caught.value) == name


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ nofunction(x) + (1|g)", "nofunction"),
        ("y ~ x $ z + (1|g)", r"\$"),
        ("y ~ x z + (1|g)", "x z"),
        ("y ~ x * + (1|g)", r"x \*"),
        ("y ~ log(x z) + (1|g)", "not valid Python"),
        (f"y ~ I({'-' * 5000}x) + (1|g)", "too deeply"),
        (f"y ~ I(x{'.a' * 3000}) + (1|g)", "too deeply"),
        ("y ~ ifelse(x > 0, 1, 0) + (1|g)", r"write np\.where"),
        ("y ~ poly(x, 2, raw=TRUE) + (1|g)", "'TRUE' is an R constant; write True"),
        ("y ~ pmax(x, 0) + (1|g)", r"write np\.maximum"),
        ("y ~ rcs(x, 3) + (1|g)", r"write ns\(x, 3\)"),
        ("y ~ x + yield + (1|g)", "'yield' not in data"),
        ("y ~ x + True + (1|g)", "'True' not in data"),
    ],
)
def test_fixed_part_that_cannot_be_evaluated(formula, message, data):
    with pytest.raises(FormulaError, match=message):
        crossedmixedlm(formula, data)


@pytest.mark.parametrize("name", ["my.column", "Yield (kg)"])
@pytest.mark.parametrize("formula", ["y ~ {} + (1|g)", "y ~ ({}|g)"])
def test_name_that_needs_quotes(name, formula, data):
    data = data.assign(**{name: data["x"]})
    with pytest.raises(FormulaError, match=re.escape(f"write `{name}`, because")):
        crossedmixedlm(formula.format(name), data)


def test_less_than_minus(data):
    """``x<-1`` inside a call is a comparison with -1, not R's arrow."""
    data = data.assign(low=(data["x"] < -1).astype(float))
    result = fit("y ~ I((x<-1) * 1.0) + (1|g)", data)
    assert_same(result, fit("y ~ low + (1|g)", data))


@pytest.mark.parametrize("formula", ["y ~ x+(1|g)", "y~x+(1 | (g))", "y ~ x + ((1|g))"])
def test_bar_is_no_bitwise_or(formula, data):
    result = fit(formula, data)
    model = smf.mixedlm("y ~ x", data, groups="g")
    expected = mixedlm_at(model, result)
    assert_allclose(result.params, expected.fe_params, rtol=1e-8)
    assert_allclose(result.llf, expected.llf, rtol=1e-10)
    assert abs(gain_left(model, result)) < 1e-12


@pytest.mark.parametrize("quote", ["`{}`", "Q('{}')", 'Q("{}")'])
def test_names_in_quotes(quote, data):
    expected = fit("y ~ x + (x|g)", data)
    renamed = data.rename(columns={"y": "the y", "x": "x, in %", "g": "a group's"})
    if quote == "Q('{}')":
        renamed = renamed.rename(columns={"a group's": "a group"})
    y, x, g = map(quote.format, renamed.columns[[0, 1, 4]])
    result = fit(f"{y} ~ {x} + ({x}|{g})", renamed)
    assert_same(result, expected)
    assert_allclose(
        result.predict(renamed, random_effects=True), expected.fittedvalues, rtol=1e-10
    )


@pytest.mark.parametrize("name", ["class", "lambda", "in", "None"])
def test_words_of_python(name, data):
    renamed = data.rename(columns={"x": name})
    for spelling in (name, f"`{name}`", f"Q('{name}')"):
        result = fit(f"y ~ z + {spelling} + (1|g)", renamed)
        assert_same(result, fit("y ~ z + x + (1|g)", data))
        assert result.params.index[2] == name


def test_word_of_python_as_group(data):
    result = fit("y ~ x + (1|class)", data.rename(columns={"g": "class"}))
    assert_same(result, fit("y ~ x + (1|g)", data))


def test_column_named_intercept(data):
    renamed = data.rename(columns={"x": "Intercept"})
    with pytest.raises(DataError, match=r"'Intercept'.*rename"):
        crossedmixedlm("y ~ Intercept + (1|g)", renamed)
    assert_same(fit("y ~ z + (1|g)", renamed), fit("y ~ z + (1|g)", data))


@pytest.mark.parametrize("name", ["y", "x", "g"])
def test_duplicated_column(name, data):
    twice = pd.concat([data, data[[name]]], axis=1)
    with pytest.raises(DataError, match=f"'{name}' appears twice"):
        crossedmixedlm("y ~ x + (1|g)", twice)


def test_duplicated_column_that_is_not_used(data):
    twice = pd.concat([data, data[["z"]]], axis=1)
    assert_same(fit("y ~ x + (1|g)", twice), fit("y ~ x + (1|g)", data))


def test_columns_with_two_levels(data):
    data.columns = pd.MultiIndex.from_product([["a"], data.columns])
    with pytest.raises(ValueError, match=r"column|y"):
        crossedmixedlm("y ~ x + (1|g)", data)


@pytest.mark.parametrize("reml", [True, False])
def test_no_fixed_effects(reml):
    """As in lme4, whose criterion is the deviance by either method."""
    data = load("sleepstudy")
    result = crossedmixedlm("Reaction ~ 0 + (Days | Subject)", data).fit(reml=reml)
    assert -2 * result.llf == pytest.approx(1832.7813643679, abs=1e-6)
    assert len(result.params) == 0
    assert "Fixed effects" not in str(result.summary())
    np.testing.assert_allclose(result.predict(data.head(2)), 0.0)
    plates = load("penicillin")
    result = crossedmixedlm("diameter ~ 0 + (1 | plate) + (1 | sample)", plates).fit()
    assert -2 * result.llf == pytest.approx(362.95169327, abs=1e-6)


# missing values ------------------------------------------------------------

GAPS = [3, 10, 50]


def with_gaps(data, name, value, dtype=None):
    column = data[name].astype(dtype or object)
    column.iloc[GAPS] = value
    return data.assign(**{name: column})


MISSING = {
    "y": ("y", np.nan, float),
    "y Float64": ("y", pd.NA, "Float64"),
    "x": ("x", np.nan, float),
    "x Float64": ("x", pd.NA, "Float64"),
    "text None": ("f", None, object),
    "text NaN": ("f", np.nan, object),
    "text NA": ("f", pd.NA, "string"),
    "str": ("f", None, "str"),
    "categorical": ("f", None, "category"),
    "group float": ("g", np.nan, float),
    "group Int64": ("g", pd.NA, "Int64"),
    "group object": ("g", None, object),
    "group categorical": ("g", None, "category"),
}


@pytest.mark.parametrize(
    ("name", "value", "dtype"), MISSING.values(), ids=MISSING.keys()
)
def test_missing_values(name, value, dtype, data):
    formula = "y ~ x + f + (1|g)"
    holes = with_gaps(data, name, value, dtype)
    expected = fit(formula, data.drop(index=GAPS))
    if name == "g":
        with pytest.warns(DataWarning, match=r"3 rows.*'g'"):
            result = fit(formula, holes)
    else:
        result = fit(formula, holes)
    assert_same(result, expected)
    assert result.model.n_dropped == 3
    assert "3 incomplete rows were dropped" in str(result.summary())
    assert list(result.resid.index) == list(data.index.drop(GAPS))
    with pytest.raises(DataError, match=rf"missing values in {name} \(3\)"):
        crossedmixedlm(formula, holes, missing="raise")


def test_missing_values_in_a_column_that_is_not_used(data):
    result = fit("y ~ x + (1|g)", with_gaps(data, "z", np.nan, float))
    assert_same(result, fit("y ~ x + (1|g)", data))
    assert result.model.n_dropped == 0
    assert "dropped" not in str(result.summary())


def test_missing_values_in_a_random_effect(data):
    holes = with_gaps(data, "z", np.nan, float)
    expected = fit("y ~ x + (0 + z|g)", data.drop(index=GAPS))
    assert_same(fit("y ~ x + (0 + z|g)", holes), expected)


def test_missing_groups_keep_large_keys_apart(data):
    """Identifiers above 2**53 are not rounded because one of them is missing."""
    large = data.assign(g=data["g"] + 2**53)
    holes = with_gaps(large, "g", pd.NA, "Int64")
    with pytest.warns(DataWarning, match="'g'"):
        result = fit("y ~ x + (1|g)", holes)
    assert result.model.random[0].n_levels == N_GROUPS
    assert_same(result, fit("y ~ x + (1|g)", data.drop(index=GAPS)))


def test_all_rows_missing(data):
    with pytest.raises(DataError, match=rf"no complete row.*x \({N}\)"):
        crossedmixedlm("y ~ x + (1|g)", data.assign(x=np.nan))
    odd = np.arange(N) % 2 == 1
    holes = data.assign(x=data["x"].mask(odd), y=data["y"].mask(~odd))
    with pytest.raises(DataError, match=r"no complete row") as caught:
        crossedmixedlm("y ~ x + (1|g)", holes)
    for name in "xy":
        assert f"{name} ({N // 2})" in str(caught.value)


@pytest.mark.parametrize("what", ["weights", "offset"])
def test_missing_weights_or_offset(what, data):
    values = np.linspace(0.5, 2.0, N)
    formula = "y ~ x + (1|g)"
    kept = np.delete(np.arange(N), GAPS)
    expected = fit(formula, data.iloc[kept], **{what: values[kept]})
    values[GAPS] = np.nan
    with pytest.raises(DataError, match=f"{what} has missing.*rows 3, 10, 50"):
        crossedmixedlm(formula, data, **{what: values})
    result = fit(formula, data.assign(v=values), **{what: "v"})
    assert_same(result, expected)
    assert result.model.n_dropped == 3
    with pytest.raises(DataError, match=r"missing values in v \(3\)"):
        crossedmixedlm(formula, data.assign(v=values), missing="raise", **{what: "v"})


def test_rows_of_missing_weights_are_those_of_the_data(data):
    weights = np.ones(N)
    weights[20] = np.nan
    holes = with_gaps(data, "y", np.nan, float)
    with pytest.raises(DataError, match=r"rows 20\b"):
        crossedmixedlm("y ~ x + (1|g)", holes, weights=weights)


# values that cannot be used ------------------------------------------------


@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("name", ["y", "x"])
def test_infinite_values(name, value, data):
    data[name] = data[name].where(data.index != 7, value)
    data.index = [f"row{i}" for i in range(N)]
    with pytest.raises(DataError, match=rf"'{name}'.* in row row7$"):
        crossedmixedlm("y ~ x + (1|g)", data)


@pytest.mark.parametrize(
    ("formula", "term"),
    [
        ("np.log(w) ~ x + (1|g)", r"np\.log\(w\)"),
        ("y ~ np.log(w) + (1|g)", r"np\.log\(w\)"),
        ("y ~ x + (np.log(w)|g)", r"np\.log\(w\)"),
        ("y ~ x + offset(np.log(w)) + (1|g)", r"np\.log\(w\)"),
        ("log(w) ~ x + (1|g)", r"log\(w\)"),
    ],
)
@pytest.mark.parametrize("value", [0.0, -1.0])
def test_logarithm_of_zero(formula, term, value, data):
    w = data["x"].abs().where(data.index != 7, value)
    message = rf"{term}.* infinite.* row 7"
    with pytest.warns(RuntimeWarning), pytest.raises(DataError, match=message):
        crossedmixedlm(formula, data.assign(w=w))


@pytest.mark.parametrize("data", [pd.DataFrame(columns=[*"yxg"]), sample()[:0]])
def test_no_rows(data):
    with pytest.raises(DataError, match="no rows"):
        crossedmixedlm("y ~ x + (1|g)", data)


@pytest.mark.parametrize(("n", "formula"), [(1, "y ~ x"), (2, "y ~ x"), (3, "y ~ x*z")])
def test_too_few_rows(n, formula, data):
    p = 2 if formula == "y ~ x" else 4
    rows = data.assign(g=data["g"] // 6 + np.arange(N) % 2)[:n]
    with pytest.raises(DataError, match=f"{n} rows.*too few.*{p} fixed effects"):
        crossedmixedlm(f"{formula} + (1|g)", rows)


def test_more_columns_than_rows():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=10), rng.normal(size=(10, 15))
    with pytest.raises(DataError, match=r"10 rows.*15 fixed effects.*fit_regularized"):
        CrossedMixedLM(y, x, random={"g": np.arange(10) % 3}).fit()


def test_one_level(data):
    with pytest.raises(DataError, match=r"g has 1 level.*at least 2"):
        crossedmixedlm("y ~ x + (1|g)", data.assign(g="only"))


def test_a_level_for_each_row(data):
    data = data.assign(g=np.arange(N))
    with pytest.raises(DataError, match=r"g has as many levels.*check_levels=False"):
        crossedmixedlm("y ~ x + (1|g)", data)
    x = np.column_stack([np.ones(N), data["x"]])
    with pytest.warns(
        DataWarning, match="cannot be distinguished from the residual variance"
    ):
        result = fit("y ~ x + (1|g)", data, check_levels=False)
    # any split of the total variance is as good: that of least squares
    total = sm.OLS(data["y"], x).fit().scale
    assert_allclose(result.scale + result.cov_re["g"].iloc[0, 0], total, rtol=1e-7)
    assert_allclose(result.llf, dense_llf(result, data["y"], x, np.eye(N)), rtol=1e-9)


def test_a_level_for_each_row_with_weights(data):
    rng = np.random.default_rng(4)
    weights = np.exp(np.linspace(-3, 3, N))
    y = data["x"] + rng.normal(size=N) + rng.normal(size=N) / np.sqrt(weights)
    data = data.assign(g=np.arange(N), y=y)
    result = fit("y ~ x + (1|g)", data, weights=weights)
    assert not result.is_singular
    x = np.column_stack([np.ones(N), data["x"]])
    expected = dense_llf(result, data["y"], x, np.eye(N), weights)
    assert_allclose(result.llf, expected, rtol=1e-9)


@pytest.mark.parametrize("formula", ["y ~ 1 + (x|g)", "y ~ 1 + (f|g)"])
def test_as_many_random_effects_as_rows(formula, data):
    size = 2 if "x" in formula else 3
    groups = N // size
    data = data.assign(g=np.arange(N) % groups)
    with pytest.raises(DataError, match=f"{N} rows.*{N} random.*by g.*check_levels"):
        crossedmixedlm(formula, data)


def test_as_many_random_effects_as_rows_all_the_same(data):
    data = data.assign(g=np.arange(N) % (N // 2))
    with pytest.warns(DataWarning, match="reproduce any response"):
        result = fit("y ~ 1 + (x|g)", data, check_levels=False)
    assert not result.converged
    assert "nothing remains to" in str(result.summary())
    member = np.eye(N // 2)[data["g"]]
    z = member[:, :, None] * np.column_stack([np.ones(N), data["x"]])[:, None, :]
    expected = dense_llf(result, data["y"], np.ones((N, 1)), z.reshape(N, -1))
    assert_allclose(result.llf, expected, rtol=1e-9)


def test_few_levels(data):
    data = data.assign(few=data["g"] % 3)
    text = str(fit("y ~ x + (1|few)", data).summary())
    assert "Fewer than 5 levels" in text
    assert "poorly known: few" in text
    assert "Fewer than 5" not in str(fit("y ~ x + (1|g)", data).summary())


def test_unused_category_of_a_group(data):
    g = pd.Categorical(data["g"], categories=range(-1, N_GROUPS + 3))
    result = fit("y ~ x + (1|g)", data.assign(g=g))
    assert_same(result, fit("y ~ x + (1|g)", data))
    assert list(result.random_effects["g"].index) == list(range(N_GROUPS))


def dropped_category(data):
    return data.assign(f=pd.Categorical(data["f"], categories=list("xabyc")))


@pytest.mark.parametrize("term", ["f", "C(f)", "x*f", "0 + f", "C(f, Sum)"])
def test_unused_category_of_a_fixed_effect(term, data):
    formula = f"y ~ {term} + (1|g)"
    expected = fit(formula, data)
    with pytest.warns(DataWarning, match="'f' without observations dropped: x, y"):
        result = fit(formula, dropped_category(data))
    assert_same(result, expected)
    assert list(result.params.index) == list(expected.params.index)


def test_unused_category_after_incomplete_rows(data):
    formula = "y ~ f + (1|g)"
    holes = data.assign(
        y=data["y"].where(data["f"] != "b"), f=data["f"].astype("category")
    )
    with pytest.warns(DataWarning, match="'f' without observations dropped: b"):
        result = fit(formula, holes)
    assert_same(result, fit(formula, data[data["f"] != "b"]))


@pytest.mark.parametrize("change", ["same", "used", "one", "reversed", "text"])
def test_predict_after_an_unused_category(change, data):
    formula = "y ~ f + (1|g)"
    with pytest.warns(DataWarning, match="without observations"):
        result = fit(formula, dropped_category(data))
    expected = fit(formula, data).predict(data)
    new = dropped_category(data)
    if change == "used":
        new["f"] = new["f"].cat.remove_unused_categories()
    elif change == "one":
        new = new[new["f"] == "b"]
        new["f"] = new["f"].cat.remove_unused_categories()
    elif change == "reversed":
        new["f"] = new["f"].cat.reorder_categories(list("cybax"))
    elif change == "text":
        new["f"] = new["f"].astype(str)
    predicted = result.predict(new)
    assert_allclose(predicted, expected[new.index], rtol=1e-10)


# dependent columns ---------------------------------------------------------


def test_collinear_columns(data):
    data = data.assign(w=data["x"] - 2 * data["z"] + 3)
    with pytest.warns(RankWarning, match="dropped: w$"):
        result = fit("y ~ x + z + w + (1|g)", data)
    expected = fit("y ~ x + z + (1|g)", data)
    assert np.isnan(result.params["w"])
    assert np.isnan(result.bse["w"])
    for name in ("params", "bse", "pvalues"):
        kept = getattr(result, name).drop("w")
        assert_allclose(kept, getattr(expected, name), rtol=1e-10)
    assert_allclose(result.llf, expected.llf, rtol=1e-10)
    assert result.df_resid == expected.df_resid
    assert "Redundant columns dropped: w" in str(result.summary())
    assert_allclose(result.predict(data), expected.predict(data), rtol=1e-10)
    new = sample(1).assign(w=lambda d: d["x"] - 2 * d["z"] + 3)
    assert_allclose(result.predict(new), expected.predict(new), rtol=1e-10)
    assert_allclose(
        result.get_prediction(new).summary_frame(),
        expected.get_prediction(new).summary_frame(),
        rtol=1e-10,
    )
    # a row without the relation shows what the dropped column would have done
    new.loc[new.index[:2], "w"] = 100.0
    with pytest.warns(RankWarning, match=f"2 of {len(new)} rows are NaN.*here w$"):
        predicted = result.predict(new)
    assert np.isnan(predicted.iloc[:2]).all()
    assert_allclose(predicted[2:], expected.predict(new)[2:], rtol=1e-10)


def test_collinear_columns_may_be_an_error(data):
    data = data.assign(w=2 * data["x"])
    with pytest.raises(DataError, match=r"linearly independent.*\bw$"):
        fit("y ~ x + w + (1|g)", data, rank="raise")
    assert_same(fit("y ~ x + (1|g)", data, rank="raise"), fit("y ~ x + (1|g)", data))
    with pytest.raises(ValueError, match="rank must be"):
        crossedmixedlm("y ~ x + (1|g)", data, rank="fail")


def test_empty_cell(data):
    """An interaction without observations in one cell."""
    data = data.assign(
        k=np.where(data["f"] == "c", "p", np.where(data["x"] > 0, "p", "q"))
    )
    with pytest.warns(RankWarning, match=r"dropped: f\[T\.c\]:k\[T\.q\]$"):
        result = fit("y ~ f*k + (1|g)", data)
    cells = data.assign(cell=data["f"] + data["k"])
    expected = fit("y ~ cell + (1|g)", cells)
    assert_allclose(result.llf, expected.llf, rtol=1e-10)
    assert_allclose(result.fittedvalues, expected.fittedvalues, rtol=1e-8)


@pytest.mark.parametrize("value", [1.0, 3.7, 0.0])
def test_constant_column(value, data):
    with pytest.warns(RankWarning, match="dropped: w$"):
        result = fit("y ~ w + x + (1|g)", data.assign(w=value))
    expected = fit("y ~ x + (1|g)", data)
    assert_allclose(result.params.drop("w"), expected.params, rtol=1e-10)
    assert_allclose(result.llf, expected.llf, rtol=1e-10)


@pytest.mark.parametrize("term", ["C(g)", "0 + C(g)"])
def test_group_as_fixed_and_random(term, data):
    with pytest.warns(DataWarning, match=r"\bg\b.*set to 0"):
        result = fit(f"y ~ x + {term} + (1|g)", data)
    expected = smf.ols(f"y ~ x + {term}", data).fit()
    assert result.cov_re["g"].iloc[0, 0] == 0
    assert_allclose(result.params, expected.params[result.params.index], rtol=1e-9)
    assert_allclose(result.scale, expected.scale, rtol=1e-10)


@pytest.mark.parametrize("value", [0, 1.0, 2.7, 1e9])
def test_constant_response(value, data):
    with pytest.raises(DataError, match="response is constant"):
        fit("y ~ x + (1|g)", data.assign(y=value))


@pytest.mark.parametrize("expression", ["x", "2 * x + 1", "1e6 + 0.1 * x - 3 * z"])
def test_exact_fit(expression, data):
    with pytest.raises(DataError, match="residual variance is zero"):
        fit("y ~ x + z + (1|g)", data.assign(y=data.eval(expression)))


def test_exact_fit_with_random_effects(data):
    means = data.groupby("g")["y"].transform("mean")
    with pytest.raises(DataError, match="residual variance is zero"):
        fit("y ~ x + (1|g)", data.assign(y=means + 2 * data["x"]))


# the boundary --------------------------------------------------------------


def test_zero_variance(data):
    within = data["y"] - data.groupby("g")["y"].transform("mean")
    data = data.assign(y=within)
    result = fit("y ~ 1 + (1|g)", data)
    expected = smf.ols("y ~ 1", data).fit()
    assert result.cov_re["g"].iloc[0, 0] == 0
    assert result.is_singular
    assert result.converged
    assert_allclose(result.params, expected.params, atol=1e-12)
    assert_allclose(result.bse, expected.bse, rtol=1e-10)
    assert_allclose(result.scale, expected.scale, rtol=1e-10)
    assert "estimated as 0 for Intercept by g" in str(result.summary())


@pytest.mark.parametrize("sign", [1, -1])
def test_perfect_correlation(sign):
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(8), 30)
    x = np.tile(np.linspace(-1, 1, 30), 8)
    noise = rng.normal(size=240)
    design = np.column_stack([np.ones(240), x])
    for level in range(8):  # noise that says nothing about intercepts and slopes
        own = design[g == level]
        noise[g == level] -= own @ np.linalg.lstsq(own, noise[g == level])[0]
    u = 3 * rng.normal(size=8)
    data = pd.DataFrame({"y": u[g] * (1 + sign * x / 2) + noise, "x": x, "g": g})
    result = fit("y ~ x + (x|g)", data)
    covariance = result.cov_re["g"].to_numpy()
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    assert_allclose(correlation, sign, rtol=1e-7)
    assert result.converged
    assert result.boundary_table().loc[0, ["group", "rank", "singular"]].tolist() == [
        *("g", 1, True)
    ]
    assert "Intercept, x by g has rank 1 of 2" in str(result.summary())
    assert_allclose(result.re_pca()["cumulative"], 1.0, rtol=1e-7)


# scales --------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1e12, 1e-12])
def test_scale_of_the_response(factor, data):
    result = fit("y ~ x + (x|g)", data.assign(y=data["y"] * factor))
    expected = fit("y ~ x + (x|g)", data)
    assert_allclose(result.theta, expected.theta, rtol=1e-7)
    assert_allclose(result.params, expected.params * factor, rtol=1e-9)
    assert_allclose(result.bse, expected.bse * factor, rtol=1e-9)
    assert_allclose(result.scale, expected.scale * factor**2, rtol=1e-8)
    shift = (N - 2) * np.log(factor)
    assert_allclose(result.llf, expected.llf - shift, rtol=1e-10)


def test_large_mean_of_the_response(data):
    shifted = data["y"] + 1e9
    data = data.assign(y=shifted - 1e9)  # what is left after rounding, exactly
    result = fit("y ~ x + (x|g)", data.assign(y=shifted))
    expected = fit("y ~ x + (x|g)", data)
    assert_allclose(result.theta, expected.theta, rtol=1e-6)
    assert_allclose(result.llf, expected.llf, rtol=1e-9)
    assert_allclose(result.params["x"], expected.params["x"], rtol=1e-7)
    assert_allclose(result.params["Intercept"] - 1e9, expected.params["Intercept"])


@pytest.mark.parametrize("factor", [1e9, 1e-9])
def test_scale_of_a_covariate(factor, data):
    result = fit("y ~ x + (x|g)", data.assign(x=data["x"] * factor))
    expected = fit("y ~ x + (x|g)", data)
    units = np.array([1, factor])
    assert_allclose(result.params * units, expected.params, rtol=1e-9)
    found = result.cov_re["g"] * np.outer(units, units)
    assert_allclose(found, expected.cov_re["g"], rtol=1e-7)
    assert_allclose(result.llf, expected.llf - np.log(factor), rtol=1e-10)


def test_large_mean_of_a_covariate(data):
    shifted = data["x"] + 1e8
    data = data.assign(x=shifted - 1e8)
    result = fit("y ~ x + (x|g)", data.assign(x=shifted))
    expected = fit("y ~ x + (x|g)", data)
    assert_allclose(result.params["x"], expected.params["x"], rtol=1e-6)
    assert_allclose(
        result.cov_re["g"].iloc[1, 1], expected.cov_re["g"].iloc[1, 1], rtol=1e-6
    )
    assert_allclose(result.scale, expected.scale, rtol=1e-6)
    assert_allclose(result.llf, expected.llf, rtol=1e-8)
    assert_allclose(result.fittedvalues, expected.fittedvalues, rtol=1e-4)


# types ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["y", "x"])
def test_integers_that_lose_digits(name, data):
    large = (data[name] * 1e15).astype("int64") + 2**53
    with pytest.warns(DataWarning, match=rf"'{name}'.*2\*\*53"):
        result = fit("y ~ x + (1|g)", data.assign(**{name: large}))
    rounded = data.assign(**{name: large.astype(float)})
    assert_same(result, fit("y ~ x + (1|g)", rounded))


def test_large_integers_as_groups(data):
    result = fit("y ~ x + (1|g)", data.assign(g=data["g"] + 2**53))
    assert_same(result, fit("y ~ x + (1|g)", data))


START = pd.Timestamp("2024-01-01")


def days(n=N):
    return pd.Series(pd.date_range(START, periods=n))


RESPONSES = {
    "complex": (lambda y: y + 1j, "complex"),
    "text": (lambda y: np.where(y > 2, "high", "low"), "numeric"),
    "text object": (lambda y: pd.Series(["a"] * N, dtype=object), "numeric"),
    "digits": (lambda y: y.astype(str), "numeric"),
    "mixed": (lambda y: pd.Series([*y[:-1], "a"], dtype=object), "numeric|mixes"),
    "bool": (lambda y: y > 2, "logistic"),
    "boolean": (lambda y: (y > 2).astype("boolean"), "logistic"),
    "bool object": (lambda y: (y > 2).astype(object), "true/false"),
    "categorical": (lambda y: pd.cut(y, 3), "categorical"),
    "numeric categorical": (lambda y: y.round().astype("category"), "categorical"),
    "dates": (lambda y: days(), "dates.*convert"),
    "dates with zone": (lambda y: days().dt.tz_localize("UTC"), "dates.*convert"),
    "durations": (lambda y: days() - START, "times.*convert"),
    "periods": (lambda y: days().dt.to_period("D"), "dates.*convert"),
}


@pytest.mark.parametrize(
    ("convert", "message"), RESPONSES.values(), ids=RESPONSES.keys()
)
def test_response_is_refused(convert, message, data):
    data = data.assign(y=convert(data["y"]))
    with pytest.raises(DataError, match=f"'y'.*({message})"):
        crossedmixedlm("y ~ x + (1|g)", data)


COVARIATES = {
    "complex": (lambda x: x + 1j, "complex"),
    "mixed": (lambda x: pd.Series([*x[:-1], "a"], dtype=object), "mixes"),
    "mostly text": (lambda x: pd.Series(["a"] * 50 + [1] * 22, dtype=object), "mixes"),
    "dates": (lambda x: days(), "dates.*convert"),
    "dates with zone": (lambda x: days().dt.tz_localize("UTC"), "dates.*convert"),
    "durations": (lambda x: days() - START, "times.*convert"),
    "date objects": (lambda x: days().dt.date, "dates.*convert"),
    "timestamp objects": (lambda x: days().astype(object), "dates.*convert"),
    "periods": (lambda x: days().dt.to_period("D"), "dates.*convert"),
    "arrow dates": (lambda x: days().astype("timestamp[ns][pyarrow]"), "dates.*conv"),
}


@pytest.mark.parametrize("formula", ["y ~ x + (1|g)", "y ~ 1 + (0 + x|g)"])
@pytest.mark.parametrize(
    ("convert", "message"), COVARIATES.values(), ids=COVARIATES.keys()
)
def test_covariate_is_refused(convert, message, formula, data):
    data = data.assign(x=convert(data["x"]))
    with pytest.raises(DataError, match=f"'x'.*({message})"):
        crossedmixedlm(formula, data)


@pytest.mark.parametrize("name", ["y", "x"])
@pytest.mark.parametrize("kind", [float, Decimal, np.float64])
def test_numbers_as_objects(kind, name, data):
    objects = pd.Series([kind(v) for v in data[name]], dtype=object)
    objects[GAPS] = None
    with pytest.warns(DataWarning, match=f"'{name}'.*converted to floats"):
        result = fit("y ~ x + (1|g)", data.assign(**{name: objects}))
    assert_same(result, fit("y ~ x + (1|g)", data.drop(index=GAPS)))


def test_number_as_objects_in_groups(data):
    result = fit("y ~ x + (1|g)", data.assign(g=data["g"].astype(object)))
    assert_same(result, fit("y ~ x + (1|g)", data))


KEYS = {
    "float": lambda i: i / 8,
    "text": lambda i: f"level {i:02d}",
    "tuple": lambda i: (i // 4, i % 4),
    "interval": lambda i: pd.Interval(i, i + 1),
    "timestamp": lambda i: START + pd.Timedelta(days=i),
    "zone": lambda i: pd.Timestamp("2024-01-01", tz="UTC") + pd.Timedelta(hours=i),
    "timedelta": lambda i: pd.Timedelta(hours=i),
    "period": lambda i: pd.Period("2024-01", freq="M") + i,
    "date": lambda i: datetime.date(2024, 1, 1 + i),
    "decimal": lambda i: Decimal(i) / 10,
    "mixed": lambda i: i if i % 2 else str(i),
    "large": lambda i: 2**64 + i,
}


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_keys_of_groups(key, data):
    keys = [key(i) for i in data["g"]]
    new = data.assign(g=pd.Series(keys))
    result = fit("y ~ x + (1|g)", new)
    expected = fit("y ~ x + (1|g)", data)
    assert result.model.random[0].n_levels == N_GROUPS
    assert_same(result, expected)
    modes = result.random_effects["g"]
    for i, mode in expected.random_effects["g"].iterrows():
        assert_allclose(modes.xs(key(i)), mode, rtol=1e-9)
    part = new[::5]
    predicted = result.predict(part, random_effects=True)
    assert_allclose(predicted, expected.fittedvalues[::5], rtol=1e-9)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())
def test_keys_of_nested_groups(key, data):
    new = data.assign(g=pd.Series([key(i) for i in data["g"]]), h=data["x"] > 0)
    result = fit("y ~ x + (1|g:h)", new)
    expected = fit("y ~ x + (1|gh)", data.assign(gh=data["g"] * 2 + new["h"]))
    assert_same(result, expected)
    predicted = result.predict(new[::5], random_effects=True)
    assert_allclose(predicted, expected.fittedvalues[::5], rtol=1e-9)


@pytest.mark.parametrize("key", [int, str, float])
@pytest.mark.parametrize("values", [[True, False], [1, 0]])
def test_two_groups(key, values, data):
    groups = [key(values[i % 2]) for i in range(N)]
    result = fit("y ~ x + (1|g)", data.assign(g=groups))
    assert_same(result, fit("y ~ x + (1|g)", data.assign(g=1 - np.arange(N) % 2)))


def test_decimal_numbers_as_groups(data):
    data = data.assign(g=np.minimum(np.arange(N), 50) / 7)
    with pytest.warns(DataWarning, match=r"'g'.*distinct decimal"):
        crossedmixedlm("y ~ x + (1|g)", data)


def test_levels_that_look_alike(data):
    """Joined labels may agree where the combinations differ."""
    a = np.array(["p:q", "p"])[data["g"] % 2]
    b = np.array(["r", "q:r"])[data["g"] % 2]
    b = pd.Series(b) + np.where(data["x"] > 0, "", "s")
    data = data.assign(a=a, b=b)
    result = fit("y ~ x + (1|a:b)", data)
    assert result.model.random[0].n_levels == 4
    expected = fit(
        "y ~ x + (1|c)", data.assign(c=2 * (data["g"] % 2) + (data["x"] > 0))
    )
    assert_allclose(result.llf, expected.llf, rtol=1e-10)


def test_combinations_beyond_32_bits():
    rng = np.random.default_rng(0)
    n = 150_000
    a, b = rng.integers(0, 100_000, n), rng.integers(0, 100_000, n)
    codes, levels, keys = group_levels([pd.Series(a), pd.Series(b)])
    assert len(keys[0].uniques) * len(keys[1].uniques) > 2**32
    _, expected = np.unique(a * 100_000 + b, return_inverse=True)
    assert codes.dtype == np.int64
    assert len(levels) == expected.max() + 1
    assert (codes == expected).all()


def test_more_memory_than_there_is(monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 10 * 2**30)
    rng = np.random.default_rng(0)
    n = 400_000
    data = pd.DataFrame({"y": rng.normal(size=n)})
    data["a"], data["b"] = rng.integers(0, 200_000, (2, n))
    with pytest.raises(MemoryError, match=r"GiB.*krylov"):
        crossedmixedlm("y ~ 1 + (1|a) + (1|b)", data).fit(engine="exact")


# weights and offset --------------------------------------------------------


def test_negative_weights(data):
    weights = np.ones(N)
    weights[[4, 9]] = -1
    for given in (weights, "w"):
        with pytest.raises(DataError, match=r"weights.* negative .*rows 4, 9"):
            crossedmixedlm("y ~ x + (1|g)", data.assign(w=weights), weights=given)


@pytest.mark.parametrize("by_name", [True, False])
def test_zero_weights(by_name, data):
    weights = np.linspace(0.5, 2, N)
    weights[GAPS] = 0
    kept = np.flatnonzero(weights)
    given = "w" if by_name else weights
    with pytest.warns(DataWarning, match=r"3 rows.*weight (0|zero)"):
        result = fit("y ~ x + (1|g)", data.assign(w=weights), weights=given)
    expected = fit("y ~ x + (1|g)", data.iloc[kept], weights=weights[kept])
    assert_same(result, expected)
    assert list(result.resid.index) == kept.tolist()


def test_all_weights_zero(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with pytest.raises(DataError, match=r"weight|no rows"):
            fit("y ~ x + (1|g)", data, weights=np.zeros(N))


def test_zero_and_negative_weights(data):
    weights = np.ones(N)
    weights[[2, 5]] = 0, -1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with pytest.raises(DataError, match=r"weights.* negative .*rows 5"):
            crossedmixedlm("y ~ x + (1|g)", data, weights=weights)


@pytest.mark.parametrize("what", ["weights", "offset"])
@pytest.mark.parametrize("n", [N - 1, N + 1, 1])
def test_wrong_number_of_weights_or_offsets(n, what, data):
    with pytest.raises(DataError, match=rf"{what} has shape \({n},\).*{N} rows"):
        crossedmixedlm("y ~ x + (1|g)", data, **{what: np.ones(n)})


@pytest.mark.parametrize("what", ["weights", "offset"])
def test_column_of_weights_or_offset_missing(what, data):
    with pytest.raises(DataError, match=f"{what}: column 'nope' not in data"):
        crossedmixedlm("y ~ x + (1|g)", data, **{what: "nope"})


@pytest.mark.parametrize("what", ["weights", "offset"])
def test_text_as_weights_or_offset(what, data):
    with pytest.raises(DataError, match=f"{what}|'f'"):
        crossedmixedlm("y ~ x + (1|g)", data, **{what: "f"})


@pytest.mark.parametrize("what", ["weights", "offset"])
def test_infinite_weights_or_offset(what, data):
    values = np.ones(N)
    values[6] = np.inf
    with pytest.raises(DataError, match=f"{what}.*infinite.*rows 6"):
        crossedmixedlm("y ~ x + (1|g)", data, **{what: values})


# options -------------------------------------------------------------------


@pytest.mark.parametrize("reml", ["yes", "REML", 1, None])
def test_reml_must_be_true_or_false(reml, data):
    with pytest.raises(ValueError, match="reml must be"):
        crossedmixedlm("y ~ x + (1|g)", data).fit(reml=reml)


@pytest.mark.parametrize("maxiter", [0, -1, 2.5, "many", None])
def test_maxiter(maxiter, data):
    with pytest.raises(ValueError, match="maxiter"):
        crossedmixedlm("y ~ x + (1|g)", data).fit(maxiter=maxiter)


@pytest.mark.parametrize("start", [[1.0], [1.0, 0.0], [1.0, 0.0, 1.0, 1.0], 1.0, []])
def test_start_of_wrong_length(start, data):
    with pytest.raises(ValueError, match="3 entries"):
        crossedmixedlm("y ~ x + (x|g)", data).fit(start_params=start)


def test_start_must_be_finite(data):
    with pytest.raises(ValueError, match="finite"):
        crossedmixedlm("y ~ x + (1|g)", data).fit(start_params=[np.nan])


def test_unknown_arguments(data):
    with pytest.raises(TypeError, match="weigths"):
        crossedmixedlm("y ~ x + (1|g)", data, weigths="z")
    with pytest.raises(TypeError, match="REML"):
        crossedmixedlm("y ~ x + (1|g)", data).fit(REML=True)
    with pytest.raises(ValueError, match=r"missing must be.*'ignore'"):
        crossedmixedlm("y ~ x + (1|g)", data, missing="ignore")
    with pytest.raises(TypeError, match="control"):
        CrossedMixedLM(data["y"], data[["x"]], {"g": data["g"]}, control=1)


@pytest.mark.parametrize(
    "formula",
    [
        "np.column_stack([y, x]) ~ z + (1|g)",
        "np.array([y, x]).T ~ z + (1|g)",
    ],
)
def test_response_of_two_columns(formula, data):
    with pytest.raises(DataError, match="several columns"):
        crossedmixedlm(formula, data)


# arrays --------------------------------------------------------------------


def arrays(data):
    x = np.column_stack([np.ones(N), data["x"]])
    return data["y"].to_numpy(copy=True), x, {"g": data["g"].to_numpy()}


def test_arrays(data):
    y, x, random = arrays(data)
    assert_same(CrossedMixedLM(y, x, random).fit(), fit("y ~ x + (1|g)", data))


@pytest.mark.parametrize("which", ["y", "x", "weights", "offset"])
def test_missing_values_in_arrays(which, data):
    y, x, random = arrays(data)
    values = {"weights": np.linspace(1, 2, N), "offset": np.linspace(0, 1, N)}
    kept = np.delete(np.arange(N), GAPS)
    clean = {k: v[kept] for k, v in values.items()}
    expected = CrossedMixedLM(y[kept], x[kept], {"g": random["g"][kept]}, **clean).fit()
    if which in "yx":
        {"y": y, "x": x[:, 1]}[which][GAPS] = np.nan
    else:
        values[which][GAPS] = np.nan
    with pytest.raises(DataError, match=r"missing.*rows 3, 10, 50"):
        CrossedMixedLM(y, x, random, **values)
    result = CrossedMixedLM(y, x, random, **values, missing="drop").fit()
    assert_same(result, expected)
    assert result.model.n_dropped == 3
    with pytest.raises(Exception, match="missing values"):
        CrossedMixedLM(y, x, random, **values, missing="raise")


@pytest.mark.parametrize("missing", ["none", "drop"])
def test_missing_groups_in_arrays(missing, data):
    y, x, _ = arrays(data)
    g = data["g"].to_numpy(float, copy=True)
    g[GAPS] = np.nan
    if missing == "none":
        with pytest.raises(DataError, match=r"\bg\b.*missing|missing.*\bg\b"):
            CrossedMixedLM(y, x, {"g": g})
    else:
        result = CrossedMixedLM(y, x, {"g": g}, missing="drop").fit()
        assert_same(result, fit("y ~ x + (1|g)", data.drop(index=GAPS)))


BAD_ARRAYS = {
    "short x": (lambda y, x, g: (y, x[1:], g), f"endog has {N} rows, exog has {N - 1}"),
    "short groups": (
        lambda y, x, g: (y, x, {"g": g["g"][1:]}),
        f"the random effects g have {N - 1} rows, endog has {N}",
    ),
    "short effects": (
        lambda y, x, g: (y, x, {"g": (g["g"], x[1:])}),
        f"the effects by g have {N - 1} rows, the groups {N}",
    ),
    "two responses": (lambda y, x, g: (np.c_[y, y], x, g), "one column"),
    "no effects": (lambda y, x, g: (y, x, {}), "at least one random effect"),
    "text": (lambda y, x, g: (y.astype(str), x, g), "response must be numeric"),
    "text x": (lambda y, x, g: (y, x.astype(str), g), "fixed effects must be numeric"),
    "complex": (lambda y, x, g: (y + 1j, x, g), "response must be real"),
    "complex x": (lambda y, x, g: (y, x + 1j, g), "fixed effects must be real"),
    "bool": (lambda y, x, g: (y > 0, x, g), "logistic"),
    "infinite": (lambda y, x, g: (np.where(y == y[2], np.inf, y), x, g), "rows 2$"),
    "infinite effects": (
        lambda y, x, g: (y, x, {"g": (g["g"], np.where(x == x[2, 1], np.inf, x))}),
        "random effects by g are not finite",
    ),
    "one group": (lambda y, x, g: (y, x, {"g": np.zeros(N)}), "g has 1 level"),
    "no rows": (lambda y, x, g: (y[:0], x[:0], {"g": g["g"][:0]}), "rows"),
}


@pytest.mark.parametrize(
    ("change", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS.keys()
)
def test_arrays_are_refused(change, message, data):
    with pytest.raises(DataError, match=message):
        CrossedMixedLM(*change(*arrays(data)))


# prediction ----------------------------------------------------------------


@pytest.mark.parametrize("levels", [[99], [99, 98], ["new"]])
def test_new_levels(levels, data):
    result = fit("y ~ x + (x|g)", data)
    new = sample(1)[:8].assign(g=pd.Series([0] * 8, dtype=object))
    new.loc[: len(levels) - 1, "g"] = levels
    is_new = np.arange(8) < len(levels)
    listed = ", ".join(map(str, levels))
    message = f"new levels of g: {listed}; new_levels='population'.*'nan'"
    with pytest.raises(DataError, match=message):
        result.predict(new, random_effects=True)
    fixed = result.params["Intercept"] + result.params["x"] * new["x"]
    assert_allclose(result.predict(new), fixed, rtol=1e-12)
    u = result.random_effects["g"].loc[0]
    full = fixed + u["Intercept"] + u["x"] * new["x"]
    population = result.predict(new, random_effects=True, new_levels="population")
    assert_allclose(population, np.where(is_new, fixed, full), rtol=1e-10)
    unknown = result.predict(new, random_effects=True, new_levels="nan")
    assert_allclose(unknown, np.where(is_new, np.nan, full), rtol=1e-10)
    with pytest.raises(ValueError, match="new_levels must be"):
        result.predict(new, random_effects=True, new_levels="zero")


def test_new_level_of_nested_groups(data):
    result = fit("y ~ x + (1|g/f)", data)
    new = data[:6].assign(f="d")
    with pytest.raises(DataError, match="new levels of g:f: 0:d"):
        result.predict(new, random_effects=True)


def test_new_level_of_a_fixed_effect(data):
    result = fit("y ~ f + (1|g)", data)
    with pytest.raises(DataError, match=r"'?f'?.*new|new.*f"):
        result.predict(data[:6].assign(f="new"))


@pytest.mark.parametrize("name", ["x", "f", "z"])
@pytest.mark.parametrize("method", ["predict", "get_prediction"])
def test_column_missing_in_new_data(method, name, data):
    result = fit("y ~ x + f + offset(z) + (1|g)", data)
    with pytest.raises(DataError, match=f"no column '{name}'"):
        getattr(result, method)(data.drop(columns=name))


def test_group_missing_in_new_data(data):
    result = fit("y ~ x + (1|g)", data)
    new = data.drop(columns=["g", "y"])
    assert_allclose(result.predict(new), result.predict(data), rtol=1e-12)
    with pytest.raises(DataError, match="'g'"):
        result.predict(new, random_effects=True)


@pytest.mark.parametrize("name", ["x", "f", "z"])
def test_missing_values_in_new_data(name, data):
    result = fit("y ~ x + f + offset(z) + (x|g)", data)
    holes = with_gaps(data, name, np.nan, object if name == "f" else float)
    gap = np.isin(np.arange(N), GAPS)
    for random_effects in (False, True):
        full = result.predict(data, random_effects=random_effects)
        found = result.predict(holes, random_effects=random_effects)
        assert_allclose(found, full.where(~gap), rtol=1e-10)
        assert list(found.index) == list(data.index)
    frame = result.get_prediction(holes).summary_frame()
    expected = result.get_prediction(data).summary_frame()
    assert_allclose(frame[~gap], expected[~gap], rtol=1e-10)
    assert frame[gap].isna().all(axis=None)


@pytest.mark.parametrize("value", [np.nan, None, pd.NA])
@pytest.mark.parametrize("new_levels", ["error", "nan"])
def test_missing_group_in_new_data(value, new_levels, data):
    result = fit("y ~ x + (1|g)", data)
    holes = with_gaps(data, "g", value, object)
    found = result.predict(holes, random_effects=True, new_levels=new_levels)
    gap = np.isin(np.arange(N), GAPS)
    assert_allclose(found, result.fittedvalues.where(~gap), rtol=1e-10)


def test_unknown_random_effects(data):
    result = fit("y ~ x + (1|g)", data)
    with pytest.raises(ValueError, match="no random effects h; there are g; True"):
        result.predict(data, random_effects=["h"])


def test_wrong_offset_in_prediction(data):
    result = fit("y ~ x + (1|g)", data)
    with pytest.raises(ValueError, match=r"offset.*\(5,\).*72 rows"):
        result.predict(data, offset=np.ones(5))


@pytest.mark.parametrize(
    "part", [slice(0, 0), slice(0, 1), slice(5, None, 7), slice(None, None, -1)]
)
def test_any_rows_can_be_predicted(part, data):
    result = fit("y ~ x + f + (x|g)", data)
    predicted = result.predict(data[part], random_effects=True)
    assert_allclose(predicted, result.fittedvalues[part], rtol=1e-10)
    assert list(predicted.index) == list(data[part].index)


# comparison ----------------------------------------------------------------


def test_compare_different_rows(data):
    full = fit("y ~ x + (1|g)", data)
    with pytest.raises(DataError, match=f"{N} and {N - 1} rows"):
        full.compare_lr_test(fit("y ~ 1 + (1|g)", data[1:]))


def test_compare_different_responses(data):
    full = fit("y ~ x + (1|g)", data)
    other = fit("y ~ 1 + (1|g)", data.assign(y=data["y"] + data["z"]))
    with pytest.raises(DataError, match="different responses"):
        full.compare_lr_test(other)


def test_compare_models_that_are_not_nested(data):
    full = fit("y ~ x + (1|g)", data, reml=False)
    with pytest.raises(DataError, match="not nested"):
        full.compare_lr_test(fit("y ~ z + (1|g)", data, reml=False))
    with pytest.raises(DataError, match="as many parameters"):
        full.compare_lr_test(fit("y ~ x + (1|g)", data, reml=False))


def test_compare_refits_reml(data):
    formulas = ["y ~ x + z + (1|g)", "y ~ x + (1|g)"]
    with pytest.warns(DataWarning, match="refitted by maximum likelihood"):
        test = fit(formulas[0], data).compare_lr_test(fit(formulas[1], data))
    ml = [fit(formula, data, reml=False) for formula in formulas]
    statistic = 2 * (ml[0].llf - ml[1].llf)
    assert test.refitted
    assert_allclose(test[0], statistic, rtol=1e-5)
    assert_allclose(test[1], stats.chi2.sf(statistic, 1), rtol=1e-5)
    assert test[2] == 1


def test_compare_keeps_reml_for_the_same_fixed_effects(data):
    full, restricted = fit("y ~ x + (x|g)", data), fit("y ~ x + (1|g)", data)
    test = full.compare_lr_test(restricted)
    assert not test.refitted
    assert_allclose(test[0], 2 * (full.llf - restricted.llf), rtol=1e-10)


# where warnings point ------------------------------------------------------


WARNINGS = {
    "missing group": lambda d: fit("y ~ x + (1|g)", with_gaps(d, "g", None, object)),
    "unused category": lambda d: fit("y ~ f + (1|g)", dropped_category(d)),
    "dependent": lambda d: fit("y ~ x + I(2 * x) + (1|g)", d),
    "fixed group": lambda d: fit("y ~ x + C(g) + (1|g)", d),
    "objects": lambda d: fit("y ~ x + (1|g)", d.assign(x=d["x"].astype(object))),
    "large": lambda d: fit("y ~ x + (1|g)", d.assign(x=2**60 + 1000 * d["h"])),
    "float keys": lambda d: crossedmixedlm(
        "y ~ x + (1|g)", d.assign(g=np.minimum(np.arange(N), 50) / 7)
    ),
    "bars": lambda d: fit("y ~ x + (0 + f||g)", d),
    "same groups": lambda d: fit("y ~ x + (1|g) + (1|k)", d.assign(k=-d["g"])),
    "compare": lambda d: fit("y ~ x + (1|g)", d).compare_lr_test(
        fit("y ~ 1 + (1|g)", d)
    ),
}


@pytest.mark.parametrize("run", WARNINGS.values(), ids=WARNINGS.keys())
def test_warnings_point_to_the_caller(run, data):
    with pytest.warns((DataWarning, RankWarning)) as caught:
        run(data)
    assert [w.filename for w in caught] == [__file__] * len(caught)
    assert len(caught) == 1


def test_errors_are_value_errors():
    assert issubclass(FormulaError, ValueError)
    assert issubclass(DataError, ValueError)


def test_a_response_whose_digits_went_into_a_constant(data):
    """At 1e15 numbers are 0.125 apart: the fit is that of the rounded response."""
    shifted = data.assign(y=data["y"] + 1e15)
    with pytest.warns(DataWarning, match=r"as large as 1e\+15.*Subtract a constant"):
        result = crossedmixedlm("y ~ x + (1 | g)", shifted).fit()
    expected = fit("y ~ x + (1 | g)", shifted.assign(y=shifted["y"] - 1e15))
    assert_allclose(result.scale, expected.scale, rtol=1e-6)
    assert_allclose(result.params["x"], expected.params["x"], rtol=1e-6)
    assert_allclose(result.scale, fit("y ~ x + (1 | g)", data).scale, rtol=0.05)
    with pytest.raises(DataError, match="residual variance is zero"):
        crossedmixedlm("y ~ x + (1 | g)", data.assign(y=data["x"] + 1e15)).fit()
