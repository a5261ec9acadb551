"""Responses of generalized models: numbers, levels and counts, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from statsmodels_lmm.core.families.binomial import Binomial
from statsmodels_lmm.core.families.gamma import Gamma
from statsmodels_lmm.core.families.inverse_gaussian import InverseGaussian
from statsmodels_lmm.core.families.links import Log
from statsmodels_lmm.core.families.negative_binomial import NegativeBinomial
from statsmodels_lmm.core.families.poisson import Poisson
from statsmodels_lmm.core.families.probability_links import Logit
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.responses import coded_response, response_data

BINOMIAL = Binomial(Logit())
POISSON = Poisson(Log())
NEGATIVE_BINOMIAL = NegativeBinomial(Log())
GAMMA = Gamma(Log())
INVERSE_GAUSSIAN = InverseGaussian(Log())

LEVELS = {
    "list of text": (["no", "yes", "no", "yes"], "yes"),
    "array of text": (np.array(["b", "c", "b", "c"]), "c"),
    "objects": (np.array(["no", "yes", "no", "yes"], dtype=object), "yes"),
    "column of text": (np.array([["b"], ["c"], ["b"], ["c"]]), "c"),
    "booleans": (np.array([False, True, False, True]), True),
    "boolean objects": (np.array([False, True, False, True], dtype=object), True),
    "list of booleans": ([False, True, False, True], True),
    "nullable booleans": (pd.array([False, True, False, True]), True),
    "categorical": (pd.Categorical(["z", "a", "z", "a"], ["z", "a", "b"]), "a"),
    "numbers as levels": (pd.Categorical([2, 1, 2, 1], [2, 1]), 1),
    "boolean levels": (pd.Categorical([False, True, False, True]), True),
    "one column": (pd.DataFrame({"y": ["no", "yes", "no", "yes"]}), "yes"),
}


@pytest.mark.parametrize(("values", "event"), LEVELS.values(), ids=LEVELS)
def test_the_second_level_is_the_event(values, event):
    coded, found = coded_response(values, is_binary=True)
    assert_array_equal(coded, [0.0, 1.0, 0.0, 1.0])
    assert found == event
    assert type(found) is type(event)


GAPS = {
    "text": ["no", None, "no", "yes"],
    "missing text": np.array(["no", np.nan, "no", "yes"], dtype=object),
    "text of pandas": pd.array(["no", pd.NA, "no", "yes"], dtype="string"),
    "masked text": np.ma.array(["no", "?", "no", "yes"], mask=[0, 1, 0, 0]),
    "booleans": pd.array([False, None, False, True], dtype="boolean"),
    "boolean objects": np.array([False, None, False, True], dtype=object),
    "masked booleans": np.ma.array([False, True, False, True], mask=[0, 1, 0, 0]),
    "categorical": pd.Categorical(["no", None, "no", "yes"]),
}


@pytest.mark.parametrize("values", GAPS.values(), ids=GAPS)
def test_missing_values_stay_missing(values):
    coded, _ = coded_response(values, is_binary=True)
    assert_array_equal(coded, [0.0, np.nan, 0.0, 1.0])


def test_labels_and_names_stay():
    series = pd.Series(["no", "yes"], index=["a", "b"], name="ill")
    coded, _ = coded_response(series, is_binary=True)
    assert coded.name == "ill"
    assert list(coded.index) == ["a", "b"]


@pytest.mark.parametrize("values", [[0, 1], [[1, 2], [3, 4]], [0.25, 0.5], [5, 9]])
def test_numbers_stay(values):
    values = np.array(values)
    coded, event = coded_response(values, is_binary=True)
    assert coded is values
    assert event is None


def test_booleans_are_numbers_of_other_families():
    coded, event = coded_response([True, False], is_binary=False)
    assert_array_equal(coded, [1.0, 0.0])
    assert event is None


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (list("abca"), "the response 'ill' has 3 levels: a, b, c; a binary"),
        (list("aaa"), "the response 'ill' has 1 level: a; a binary"),
        (list("abcdefg"), "has 7 levels: a, b, c, d, e, ...; a binary"),
    ],
)
def test_other_numbers_of_levels(levels, said):
    with pytest.raises(DataError, match=said):
        coded_response(pd.Series(levels, name="ill"), is_binary=True)


@pytest.mark.parametrize(
    ("values", "said"), [(list("ab"), "text"), (pd.Categorical([1, 2]), "categorical")]
)
def test_other_families_have_no_levels(values, said):
    with pytest.raises(DataError, match=f"'count' must be numeric, but it is {said}"):
        coded_response(pd.Series(values, name="count"), is_binary=False)


def test_successes_and_failures():
    counts = pd.DataFrame({"cases": [1, 0, 4], "healthy": [3, 2, 0]}, list("abc"))
    found = response_data(counts, BINOMIAL)
    assert_array_equal(found.y, [0.25, 0.0, 1.0])
    assert_array_equal(found.weights, [4, 2, 4])
    assert_array_equal(found.trials, [4, 2, 4])
    assert found.name == "cases + healthy"
    again = response_data(found.y, BINOMIAL, found.weights)
    assert_array_equal(again.y, found.y)
    assert_array_equal(again.weights, found.weights)
    weighted = response_data(counts.to_numpy(), BINOMIAL, np.array([0.5, 2.0, 1.0]))
    assert_array_equal(weighted.weights, [2, 4, 4])
    assert_array_equal(weighted.trials, [4, 2, 4])


def test_proportions():
    y, trials = np.array([0.1, 1 / 3, 0.7]), np.array([10.0, 3.0, 30.0])
    found = response_data(y, BINOMIAL, trials, name="p")
    assert_array_equal(found.y, y)
    assert_array_equal(found.weights, trials)
    assert found.trials is None
    assert found.name == "p"


def test_binary_rows_may_have_any_weights():
    y, weights = np.array([0.0, 1.0, 1.0]), np.array([0.5, 1.7, 3.0])
    assert_array_equal(response_data(y, BINOMIAL, weights).weights, weights)


def test_a_column():
    values = pd.DataFrame({"count": [0, 3]}, ["a", "b"])
    found = response_data(values, POISSON)
    assert_array_equal(found.y, [0.0, 3.0])
    assert found.name == "count"
    assert found.weights is None
    assert response_data(np.array([2.0, 2.0]), POISSON).name == "y"


ROWS = [f"row{i}" for i in range(4)]


def series(*values):
    return pd.Series(values, ROWS, name="y")


def columns(successes, failures):
    return pd.DataFrame({"cases": successes, "size - cases": failures}, ROWS)


REFUSED = {
    "negative": (POISSON, series(0, -1, 2, -3), "'y' has negative .* row1, row3"),
    "fraction": (POISSON, series(0, 1, 2.5, 3), "not whole numbers in row row2"),
    "negative NB": (
        NEGATIVE_BINOMIAL,
        series(0, -1, 2, 3),
        "negative values in row row1",
    ),
    "infinite": (
        POISSON,
        series(0, np.inf, 2, 3),
        "is missing or infinite in row row1",
    ),
    "NaN": (POISSON, series(0, 1, np.nan, 3), "is missing or infinite in row row2"),
    "Gamma": (GAMMA, series(1, 0, -2, 3), "not positive in rows row1, row2"),
    "inverse": (INVERSE_GAUSSIAN, series(1, 0, 2, 3), "not positive in row row1"),
    "above 1": (BINOMIAL, series(0, 1, 2, 3), "outside 0 and 1 in rows row2, row3"),
    "below 0": (BINOMIAL, series(0, 1, -0.5, 0), "outside 0 and 1 in row row2"),
    "NaN proportion": (BINOMIAL, series(0, 1, np.nan, 0), "missing .* row row2$"),
    "no trials": (
        BINOMIAL,
        series(0, 0.5, 0.25, 1),
        "not a whole number of successes in rows row1, row2; a proportion needs its "
        "number of trials in weights, .* other counts family='poisson'$",
    ),
    "zeros": (POISSON, series(0, 0, 0, 0), "'y' is 0 in every row, so"),
    "zeros NB": (NEGATIVE_BINOMIAL, series(0, 0, 0, 0), "'y' is 0 in every row, so"),
    "failures": (BINOMIAL, series(0, 0, 0, 0), "'y' is 0 in every row, so"),
    "successes": (BINOMIAL, series(1, 1, 1, 1), "'y' is 1 in every row, so"),
    "constant": (GAMMA, series(2, 2, 2, 2), "'y' is constant, so"),
    "no failures": (
        BINOMIAL,
        columns([3, 2, 4, 1], [0, 0, 0, 0]),
        r"'cases \+ size - cases' is 1 in every row, so",
    ),
    "negative failures": (
        BINOMIAL,
        columns([3, 2, 4, 1], [0, -1, 2, -2]),
        "the failures 'size - cases' are negative in rows row1, row3; there are "
        "more successes than trials",
    ),
    "negative successes": (
        BINOMIAL,
        columns([3, -2, 4, 1], [0, 1, 2, 2]),
        "the successes 'cases' are negative in row row1$",
    ),
    "broken successes": (
        BINOMIAL,
        columns([3, 2.5, 4, 1], [0, 1, 2, 2]),
        "the successes 'cases' are not whole numbers in row row1",
    ),
    "missing failures": (
        BINOMIAL,
        columns([3, 2, 4, 1], [0, 1, np.nan, 2]),
        "the failures 'size - cases' are missing or infinite in row row2",
    ),
    "nobody": (
        BINOMIAL,
        columns([3, 0, 0, 1], [0, 0, 2, 2]),
        r"the response 'cases \+ size - cases' has no trials in row row1; leave",
    ),
    "two columns": (
        POISSON,
        columns([3, 2, 4, 1], [0, 1, 1, 2]),
        r"a Poisson response has one column; its shape is \(4, 2\)",
    ),
    "three columns": (
        BINOMIAL,
        np.ones((4, 3)),
        r"one column, or two: successes and failures; its shape is \(4, 3\)",
    ),
    "unnamed columns": (
        BINOMIAL,
        np.array([[1, 2], [1, -1]]),
        "^failures are negative in row 1; there are more",
    ),
}


@pytest.mark.parametrize(("family", "values", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(family, values, said):
    with pytest.raises(DataError, match=said):
        response_data(values, family)


@pytest.mark.parametrize(("value", "said"), [(0.0, "never yes"), (1.0, "always yes")])
def test_an_event_that_never_or_always_happens(value, said):
    with pytest.raises(DataError, match=f"the response 'ill' is {said}, so"):
        response_data(np.full(4, value), BINOMIAL, name="ill", event="yes")


def test_a_response_of_two_other_numbers():
    said = r"outside 0 and 1 in rows row1, row3; if 2 is the event, write ill == 2$"
    with pytest.raises(DataError, match=said):
        response_data(series(1.0, 2.0, 1.0, 2.0), BINOMIAL, name="ill")


def test_what_is_constant_but_has_an_estimate():
    assert response_data(np.full(4, 3.0), POISSON).y[0] == 3.0
    assert response_data(np.full(4, 0.5), BINOMIAL, np.full(4, 2.0)).y[0] == 0.5


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ([4, -4, 4, 4], "weights has negative values in rows row1"),
        ([4, np.nan, 4, 4], "weights has missing or infinite values in rows row1"),
        ([4, 4, 3, 4], "number of successes in row row2"),
        ([4, 4, 4.5, 4], "number of successes in row row2"),
    ],
)
def test_weights_that_are_refused(weights, said):
    y = series(0.25, 0.5, 0.75, 1.0)
    with pytest.raises(DataError, match=said):
        response_data(y, BINOMIAL, np.array(weights, float))
