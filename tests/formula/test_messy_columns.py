"""Columns as they come out of a messy file: text for numbers, levels spelled twice."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from statsmodels_lmm.exceptions import DataError, DataWarning, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    data = pd.DataFrame({"g": np.arange(40) % 5, "y": rng.normal(size=40)})
    data["my f"] = np.array(["a", "b"])[np.arange(40) // 20]
    data["h"] = np.array(["u", "v", "w"])[np.arange(40) % 3]
    return data.set_axis(data.index + 100)


def run(line, data):
    exec(line, {"data": data, "pd": pd})


RESPONSES = {
    "text": (lambda d: d["y"].astype(str), "it is text; convert it, `"),
    "few": (
        lambda d: d["y"].astype(str).replace(str(d["y"].iloc[3]), "n.a."),
        "it is text: 'n.a.' in row 103. `",
    ),
    "many": (
        lambda d: d["y"].map("{:.3f}".format).str.replace(".", ","),
        r"in row 100, '.*' in row 101, '.*' in row 102 and 37 more\. `.*decimal point$",
    ),
    "commas": (
        lambda d: (
            d["y"].map("{:.3f}".format).str.replace(".", ",").where(d["h"] > "u", "-")
        ),
        "decimal point; the rest becomes missing$",
    ),
    "categories": (
        lambda d: d["y"].astype(str).astype("category"),
        "it is categorical; convert it, `",
    ),
}


@pytest.mark.parametrize("kind", RESPONSES)
def test_a_response_of_text_says_where(kind, data):
    """Its line converts it, so that the model can be created."""
    make, said = RESPONSES[kind]
    data["text"] = make(data)
    for model in (crossedmixedlm, crossedmixedglm):
        family = {} if model is crossedmixedlm else {"family": "gamma"}
        with pytest.raises(DataError, match=said) as caught:
            model("text ~ 1 + (1 | g)", data, **family)
    (line,) = re.findall("`([^`]+)`", str(caught.value))
    run(line, data)
    assert data["text"].dtype == float
    assert data["text"].isna().sum() == {"few": 1, "commas": 14}.get(kind, 0)
    np.testing.assert_allclose(
        data["text"].dropna(), data["y"][data["text"].notna()], atol=1e-3
    )


@pytest.mark.parametrize("last", ["1,234,000", "-", "0,5"])
def test_commas_that_may_group_thousands(last, data):
    data["text"] = (1e5 + np.arange(len(data))).astype(int)
    data["text"] = [*data["text"].map("{:,}".format)[:-1], last]
    data.index = data["g"]
    with pytest.raises(DataError, match="decimal point") as caught:
        crossedmixedlm("text ~ 1 + (1 | g)", data)
    groups = "if it groups thousands, replace it by '' instead" in str(caught.value)
    assert groups == (last != "0,5")


@pytest.mark.parametrize("transform", ["log", "scale"])
def test_numbers_that_were_read_as_text_in_a_transform(transform, data):
    """A factor beside them, which is text by right, is not blamed."""
    formula = f"y ~ {transform}(`my x`) + `my f` + (1 | g)"
    data["my x"] = data["y"].abs().astype(str).where(data["h"] > "u", "timeout")
    with pytest.raises(
        FormulaError, match="'my x' is text: 'timeout' in row"
    ) as caught:
        crossedmixedlm(formula, data)
    (line,) = re.findall("`(data[^`]+)`", str(caught.value))
    run(line, data)
    crossedmixedlm(formula, data)


PREDICTORS = {
    "gaps": (
        lambda x: x.replace({x[100]: "?", x[103]: "n/a"}),
        "'?' in row 100, 'n/a'",
    ),
    "numbers": (lambda x: x, "but all are numbers: convert it, `"),
    "commas": (
        lambda x: x.str.replace(".", ","),
        "all are numbers: '.*,.*' in row 100",
    ),
    "limit": (lambda x: x.replace(x[100], "<0.1"), "numbers except '<0.1' in row 100"),
}


@pytest.mark.parametrize("kind", PREDICTORS)
def test_a_predictor_of_text_that_was_meant_as_numbers(kind, data):
    """Its line makes it numeric; C() keeps the levels."""
    make, said = PREDICTORS[kind]
    data["my x"] = make(data["y"].round(4).where(data.index < 130).ffill().astype(str))
    with pytest.warns(DataWarning, match=said) as told:
        model = crossedmixedlm("y ~ `my x` + (1 | g)", data)
    message = str(told[0].message)
    assert model.exog.shape[1] > 28
    assert message.endswith(". If levels are meant, write C(`my x`)")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crossedmixedlm("y ~ C(`my x`) + (1 | g)", data)
        run(re.findall("`(data[^`]+)`", message)[0], data)
        assert crossedmixedlm("y ~ `my x` + (1 | g)", data).exog.shape[1] == 2


@pytest.mark.parametrize(
    "values",
    [
        [f"{i % 12 + 1}" for i in range(40)],
        [f"{i % 10}" if i % 10 < 9 else "9+" for i in range(40)],
        [f"{i % 12}" if i % 12 < 11 else "11+" for i in range(40)],
        [f"{i % 4}" if i else "?" for i in range(40)],
        [f"A{i % 30}" for i in range(40)],
        [f"{i % 30:03}" for i in range(40)],
        pd.Categorical([str(i % 30) for i in range(40)]),
    ],
)
def test_levels_that_look_like_numbers_are_levels(values, data):
    data["k"] = values
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        crossedmixedlm("y ~ k + (1 | g)", data)
        crossedmixedlm("y ~ 1 + (1 | k:g)", data, check_levels=False)


def test_text_without_a_number_is_not_made_missing(data):
    with pytest.raises(DataError, match=r"and 37 more; none is a number$"):
        crossedmixedlm("h ~ 1 + (1 | g)", data)


def test_a_name_with_white_space_around_it(data):
    padded = data.rename(columns={"h": " h "})
    with pytest.raises(FormulaError, match="white space around it") as caught:
        crossedmixedlm("y ~ h + (1 | g)", padded)
    (line,) = re.findall("`(data[^`]+)`", str(caught.value))
    run(line, padded)
    assert padded.columns.tolist() == data.columns.tolist()


def test_a_new_level_with_white_space_is_quoted(data):
    result = crossedmixedlm("y ~ h + (1 | g)", data).fit()
    with pytest.raises(DataError, match="'h': 'u '; the levels in the fit are u, v, w"):
        result.predict(data.head(2).assign(h=["u ", "u"]))


def test_two_levels_are_those_of_a_logistic_model(data):
    with pytest.raises(DataError, match="levels 'a' and 'b', a logistic model suits"):
        crossedmixedlm("Q('my f') ~ 1 + (1 | g)", data)


LEVELS = {
    "case": ("my f", {103: "A"}, "y ~ Q('my f') + (1 | g)", "'A', 'a'"),
    "space": ("h", {103: "u ", 104: "u  "}, "y ~ C(h) + (1 | g)", "'u', 'u ', 'u  '"),
    "group": ("h", {103: "\tv"}, "y ~ 1 + (1 | h)", r"'\\tv', 'v'"),
    "both": ("h", {103: "W"}, "y ~ h + (h | g) + (1 | h:g)", "'W', 'w'"),
}
CASE = {"case", "both"}


@pytest.mark.parametrize("kind", LEVELS)
def test_levels_that_are_spelled_in_two_ways(kind, data):
    """A single warning, whose line joins them; no warning thereafter."""
    column, changed, formula, said = LEVELS[kind]
    data.loc[list(changed), column] = list(changed.values())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        crossedmixedlm(formula, data, check_levels=False)
    (message,) = [str(w.message) for w in caught if w.category is DataWarning]
    assert re.search(f"levels of '{column}' differ by .* only: {said}", message)
    (line,) = re.findall("`([^`]+)`", message)
    assert (
        ("case" in message.split(" only")[0]) == ("casefold" in line) == (kind in CASE)
    )
    run(line, data)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        crossedmixedlm(formula, data, check_levels=False)


@pytest.mark.parametrize("text", ["log(x) + `log(x)`", "`log(x)` + log(x)"])
def test_an_expression_is_not_a_column_of_its_name(text):
    frame = pd.DataFrame({"x": np.arange(1.0, 9.0), "g": [*"aabbccdd"]})
    frame["log(x)"] = frame["y"] = frame["x"] ** 2
    model = crossedmixedlm(f"y ~ {text} + (1 | g)", frame)
    names = model.exog_names
    assert_array_equal(model.exog[:, names.index("log(x)")], np.log(frame["x"]))
    assert_array_equal(model.exog[:, names.index("Q('log(x)')")], frame["y"])
