"""Updates of a formula, as text and as models."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from statsmodels_lmm import CrossedMixedLM
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.updating import updated

OLD = parse("log(y) ~ x * f + offset(o) + (x | g) + ar1(0 + t | h)")
REST = "offset(o) + (x | g) + ar1(0 + t | h)"

CHANGES = {
    ". ~ .": f"log(y) ~ x * f + {REST}",
    "~ . + z:x": f"log(y) ~ x * f + z:x + {REST}",
    ". ~ . - f:x": f"log(y) ~ x + f + {REST}",
    ". ~ . - 1 - x": f"log(y) ~ 0 + f + x:f + {REST}",
    ". ~ . - x * f": f"log(y) ~ 1 + {REST}",
    ". ~ . + 0 - x - f - x:f": f"log(y) ~ 0 + {REST}",
    ". ~ . - 1 - 0": f"log(y) ~ 0 + x + f + x:f + 1 + {REST}",
    ". ~ . * z": f"log(y) ~ (x * f) * z + {REST}",
    "exp(.) ~ z + (1 | g)": "exp((log(y))) ~ z + (1 | g)",
    "y ~ (1 | g)": "y ~ 1 + (1 | g)",
    ". ~ . - (x | g) + (1 | k)": (
        "log(y) ~ x * f + offset(o) + ar1(0 + t | h) + (1 | k)"
    ),
    ". ~ . - ar1(0 + t | h)": "log(y) ~ x * f + offset(o) + (x | g)",
    ". ~ . - offset(o) + offset(p)": (
        "log(y) ~ x * f + offset(p) + (x | g) + ar1(0 + t | h)"
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes(change):
    assert updated(OLD, change) == CHANGES[change]


def test_a_single_name_needs_no_parentheses():
    old = parse("y ~ x + (x || g)")
    assert updated(old, "exp(.) ~ . * z") == ("exp(y) ~ x * z + (1 | g) + (0 + x | g)")
    assert updated(old, ". ~ . - (x || g) + (1 | h)") == "y ~ x + (1 | h)"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (". + z", "a tilde and terms"),
        (". ~", "a tilde and terms"),
        (". ~ z - .", "'.' cannot be subtracted"),
        (". ~ . - z", "z cannot be removed.*; there are 1, x, f, x:f"),
        (". ~ . - (1 | g)", r"there are \(x \| g\), ar1"),
        (". ~ . - (x | h)", r"there are \(x \| g\), ar1"),
        (". ~ . - (0 + t | h)", r"there are \(x \| g\), ar1"),
        (". ~ . - offset(p)", r"there are offset\(o\)"),
        ("y ~ x - offset(p)", "there is none of its kind"),
        (3, "is a string such as"),
    ],
)
def test_what_cannot_be_changed(change, said):
    with pytest.raises(FormulaError, match=said):
        updated(OLD, change)


def test_what_is_not_there_is_shown_with_backticks():
    with pytest.raises(FormulaError, match=r"^`c d` cannot .* there are 1, `a b`\n"):
        updated(parse("y ~ `a b` + (1 | g)"), ". ~ . - `c d`")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"g": np.arange(60) % 6, "x": rng.normal(size=60)})
    frame["y"] = frame["x"] + rng.normal(size=6)[frame["g"]] + rng.normal(size=60)
    frame["z"], frame["w"] = rng.normal(size=60), rng.uniform(1.0, 2.0, 60)
    frame.loc[5, "x"], frame.loc[7, "z"] = np.nan, np.nan
    return frame


def test_a_model_keeps_its_weights_and_rows(data):
    model = crossedmixedlm("y ~ x + (1 | g)", data, weights="w")
    shifted = lambda v: v + 1.0  # noqa: E731
    assert shifted(0.0) == 1.0
    longer = model.update(". ~ . + shifted(z)", data.sample(frac=1.0, random_state=1))
    by_hand = crossedmixedlm("y ~ x + shifted(z) + (1 | g)", data, weights="w")
    assert longer.formula_full == by_hand.formula_full
    assert_array_equal(longer.exog, by_hand.exog)
    assert_array_equal(longer.weights, by_hand.weights)
    assert longer.n_dropped == by_hand.n_dropped == 2
    assert model.update(". ~ . - x").nobs == 59  # rows in which x is missing stay out


def test_a_model_keeps_another_response(data):
    model = crossedmixedlm("y ~ x + offset(w) + (1 | g)", data)
    other = model.with_response(model.endog + data["x"].dropna())
    shorter = other.update(". ~ . - x - offset(w)")
    assert_array_equal(shorter.endog, other.endog)
    assert shorter.offset is None


def test_another_response_is_not_read_from_the_data(data):
    """Whether its column is transformed or becomes a predictor."""
    data = data.assign(y=np.exp(data["y"]))
    model = crossedmixedlm("y ~ w + x + (1 | g)", data)
    other = model.with_response(2.0 * model.endog)
    for each in (other, other.update(". ~ . - x")):
        assert_allclose(each.update("log(.) ~ .").endog, np.log(2.0 * model.endog))
    fitted = other.fit().drop_fixed("x").model
    assert_allclose(fitted.update("log(.) ~ .").endog, np.log(2.0 * model.endog))
    assert_array_equal(other.update("w ~ y + (1 | g)").exog[:, 1], 2.0 * model.endog)
    logged = crossedmixedlm("log(y) ~ w + x + (1 | g)", data)
    logged = logged.with_response(model.endog)
    assert_array_equal(logged.update(". ~ 1 + (1 | g)").endog, model.endog)
    with pytest.raises(DataError, match=r"log\(y\) was replaced by with_response"):
        logged.update("y ~ .")


def test_data_by_position(data):
    model = crossedmixedlm("y ~ w + (1 | g)", data)
    moved = data.set_axis(np.arange(60) + 1000)
    assert_array_equal(
        model.update(". ~ . + z", moved).exog, model.update(". ~ . + z", data).exog
    )
    with pytest.raises(DataError, match="30 rows, the model 60"):
        model.update(". ~ . + z", moved.head(30))
    with pytest.raises(DataError, match=r"for z give the data.*'\. ~ \. \+ z', data"):
        model.update(". ~ . + z")


def test_a_generalized_model_and_arrays(data):
    counts = data.assign(n=np.arange(60) % 4)
    model = crossedmixedglm(
        "n + (5 - n) ~ w + (1 | g)", counts, family="binomial", offset="w"
    )
    shorter = model.update(". ~ . - w")
    by_hand = crossedmixedglm(
        "n + (5 - n) ~ 1 + (1 | g)", counts, family="binomial", offset="w"
    )
    assert shorter.fit().llf == by_hand.fit().llf
    arrays = CrossedMixedLM(data["y"], np.ones((60, 1)), {"g": data["g"]})
    with pytest.raises(FormulaError, match="from a formula, not from arrays"):
        arrays.update(". ~ .")
