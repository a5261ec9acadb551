"""Left-hand sides of generalized models."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import Logit
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.backend import formula_engine
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.inputs.responses import response_data
from statsmodels_lmm.models.from_formula import read_formula

BINOMIAL, POISSON = Binomial(Logit()), Poisson(Log())

DATA = pd.DataFrame(
    {
        "cases": [0, 1, 2, 3, 0, 1, 2, 5],
        "size": [5, 5, 5, 5, 4, 4, 4, 6],
        "x": np.arange(8.0),
        "g": list("aabbccdd"),
        "ill": list("ynynynny"),
        "ill?": list("ynynynny"),
        "three": list("abcabcab"),
        "ordered": pd.Categorical(list("ynynynny"), ["y", "n", "?"]),
        "true": [True, False] * 4,
        "maybe": pd.array([True, False, None, True] * 2, "boolean"),
        "text": pd.array([*"ynynynn", None], "string"),
        "if": [0, 1] * 4,
        "person years": [1.0, 2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0],
        "nobody": [1.0, 0.0, 4.0, 8.0, 1.0, 2.0, np.nan, 8.0],
    },
    index=[f"row{i}" for i in range(8)],
)
PROPORTIONS = (DATA["cases"] / DATA["size"]).to_numpy()
YES = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
TRUE = np.tile([1.0, 0.0], 4)

engines = pytest.mark.parametrize("engine", ["patsy", "formulaic"])


def arguments(formula, family=None, engine="patsy", subset=None, eval_env=-1, **sides):
    """The arguments of a model from a formula."""
    with formula_engine(engine):
        return read_formula(
            formula,
            DATA,
            subset=subset,
            sides={"weights": None, "offset": None, **sides},
            missing="drop",
            relationship=None,
            relationship_inverse=None,
            structures=None,
            eval_env=eval_env,
            depth=0,
            family=family,
        )


def read(left, family=BINOMIAL, engine="patsy", right="x + (1 | g)", **given):
    """The response of a formula, and the arguments of its model."""
    found = arguments(f"{left} ~ {right}", family, engine, **given)
    name = found["source"].parsed.response
    response = response_data(
        found["endog"], family, found["weights"], name, found["event"]
    )
    return response, found


@engines
@pytest.mark.parametrize(
    "left",
    [
        "cbind(cases, size - cases)",
        "cases + I(size - cases)",
        "cases + (size - cases)",
        "(cases + (size - cases))",
        "I(2 * cases / 2) + I(size - cases)",
        "cbind(Q('cases'), abs(cases - size))",
    ],
)
def test_successes_and_failures(left, engine):
    response, found = read(left, engine=engine)
    assert_allclose(response.y, PROPORTIONS, rtol=1e-15)
    assert_array_equal(response.weights, DATA["size"])
    assert response.event is None
    assert found["endog"].shape == (8, 2)
    assert list(found["exog"].columns) == ["Intercept", "x"]


def test_the_name_is_as_written():
    assert read("cases+(size-cases)")[0].name == "cases + (size - cases)"


def test_patsy_reads_two_columns_as_well():
    source = read("cbind(cases, size - cases)")[1]["source"]
    assert source.fixed_text == "cases + I(size - cases) ~ x"
    assert read("if + size")[1]["source"].fixed_text == "Q('if') + size ~ x"


LEVELS = {
    "ill": (YES, "y"),
    "Q('ill?')": (YES, "y"),
    "ordered": (1.0 - YES, "n"),
    "true": (TRUE, True),
    "x > 3": (DATA["x"] > 3, True),
    "I(x > 3)": (DATA["x"] > 3, True),
    "three == 'a'": (DATA["three"] == "a", True),
    "np.where(x > 2, 'high', 'low')": (DATA["x"] <= 2, "low"),
    "C(Q('if'))": (1.0 - TRUE, 1),
    "C(x > 3, levels=[True, False])": (DATA["x"] <= 3, False),
    "if": (1.0 - TRUE, None),
    "1 - if": (TRUE, None),
    "maybe": (np.array([1.0, 0.0, 1.0, 1.0, 0.0, 1.0]), True),
    "text": (YES[:7], "y"),
}


@engines
@pytest.mark.parametrize("left", LEVELS)
def test_events(left, engine):
    response, _ = read(left, engine=engine)
    y, event = LEVELS[left]
    assert_array_equal(response.y, y)
    assert response.event == event
    assert response.weights is None


@engines
@pytest.mark.parametrize("right", ["1", "0 + x", "C(three)", "x - 1"])
def test_the_fixed_effects_are_those_of_a_linear_model(right, engine):
    exog = arguments(f"ill ~ {right} + (1 | g)", BINOMIAL, engine)["exog"]
    linear = arguments(f"cases ~ {right} + (1 | g)", engine=engine)["exog"]
    pd.testing.assert_frame_equal(exog, linear)


@engines
def test_a_proportion_and_its_trials(engine):
    response, _ = read("cases / size", engine=engine, weights="size")
    assert_array_equal(response.y, PROPORTIONS)
    assert_array_equal(response.weights, DATA["size"])


@pytest.mark.parametrize(
    ("left", "y"),
    [
        ("cases", DATA["cases"]),
        ("I(cases + size)", DATA["cases"] + DATA["size"]),
        ("size - cases", DATA["size"] - DATA["cases"]),
        ("true", TRUE),
    ],
)
def test_counts(left, y):
    assert_array_equal(read(left, POISSON)[0].y, y)


@pytest.mark.parametrize("values", [YES, YES == 1.0, list("ynynynny")])
def test_a_variable_of_the_caller(values):
    scope = {"outcome": np.array(values)}
    found = arguments("outcome ~ x + (1 | g)", BINOMIAL, eval_env=scope)
    assert_array_equal(found["endog"]["outcome"], YES)


def test_a_sum_is_a_sum_in_a_linear_model():
    assert parse("cases + size ~ x + (1 | g)").response_columns == ()


@pytest.mark.parametrize(
    ("left", "family", "said"),
    [
        ("cases + size", POISSON, r"write I\(cases \+ size\)"),
        ("cbind(cases, size)", POISSON, "a Poisson response has neither"),
        ("cases + size - cases", BINOMIAL, r"successes \+ failures"),
        ("cases + size + x", BINOMIAL, r"write I\(a \+ b\)"),
        ("cases +", BINOMIAL, r"successes \+ failures"),
        ("cbind(cases)", BINOMIAL, r"successes \+ failures"),
        ("cbind(cases, size, x)", BINOMIAL, r"successes \+ failures"),
        ("cbind(cases, size) / 2", BINOMIAL, "is the whole response"),
        ("1 - cbind(cases, size)", BINOMIAL, "is the whole response"),
        ("x:cases", BINOMIAL, "joins terms"),
    ],
)
def test_formulas_that_are_refused(left, family, said):
    with pytest.raises(FormulaError, match=said):
        read(left, family)


@engines
@pytest.mark.parametrize(
    ("left", "family", "said"),
    [
        ("three", BINOMIAL, "'three' has 3 levels: a, b, c; a binary"),
        ("C(three)", BINOMIAL, r"'C\(three\)' has 3 levels"),
        ("ill", POISSON, "the response 'ill' must be numeric, but it is text"),
        ("cbind(cases, ill)", BINOMIAL, "'ill' must be numeric, but it is text"),
        ("cbind(cases, 2 - cases)", BINOMIAL, "'2 - cases' are negative.* row3, row7;"),
        ("poly(x, 2)", BINOMIAL, "has several columns"),
        ("cases + poly(x, 2)", BINOMIAL, "has several columns"),
        (
            "np.log(x)",
            POISSON,
            r"'np.log\(x\)' is infinite or undefined in row row0",
        ),
        ("cases", BINOMIAL, "outside 0 and 1 in rows row2, row3, row6, row7"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_values_that_are_refused(left, family, said, engine):
    with pytest.raises(DataError, match=said):
        read(left, family, engine)


def test_an_exposure_is_positive():
    exposure = DATA["person years"].iloc[::-1]
    found = arguments("cases ~ x + (1 | g)", POISSON, exposure=exposure)
    assert_array_equal(found["exposure"], DATA["person years"])
    said = "exposure column 'nobody' has values that are not positive in rows row1"
    with pytest.raises(DataError, match=said):
        read("cases", POISSON, exposure="nobody")
    rest = DATA.index[2:]
    _, found = read("cases", POISSON, exposure="nobody", subset=rest)
    assert list(found["endog"].index) == ["row2", "row3", "row4", "row5", "row7"]


class TestUntrusted:
    """The list of what may be evaluated."""

    columns = ("cases", "size", "x", "g")

    def check(self, text, family="Binomial"):
        return check_formula(text, self.columns, family=family)

    def test_cbind(self):
        text = "cbind(cases, size - cases) ~ x + (1 | g)"
        assert self.check(text) == ["cases", "size", "x", "g"]
        text = "cbind(np.clip(cases, 0, 9), size) ~ log(x) + (1 | g)"
        assert self.check(text) == ["cases", "size", "x", "g"]

    @pytest.mark.parametrize(
        "text",
        [
            "cbind(open('f'), size) ~ x + (1 | g)",
            "cbind(cases, size, open('f')) ~ x + (1 | g)",
            "cbind(cases, size)(open) ~ x + (1 | g)",
            "cbind(cases, size) ~ cbind(x) + (1 | g)",
            "cbind(cases, size).x ~ x + (1 | g)",
            "cbind(cases) ~ x + (1 | g)",
            "cbind() ~ x + (1 | g)",
            "cbind ~ x + (1 | g)",
        ],
    )
    def test_refused(self, text):
        with pytest.raises(FormulaError):
            self.check(text)

    def test_a_linear_model_has_no_cbind(self):
        with pytest.raises(FormulaError, match="not a function on the list"):
            check_formula("cbind(cases, size) ~ x + (1 | g)", self.columns)
