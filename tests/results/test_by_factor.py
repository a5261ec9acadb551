"""What is a dict by grouping factor answers for its only value, and says so."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from statsmodels_lmm import datasets, from_json
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.results.by_factor import ByFactor

SLEEP = datasets.sleepstudy.load_pandas().data
ONE = crossedmixedlm("Reaction ~ Days + (Days | Subject)", SLEEP).fit()
TWO = crossedmixedlm(
    "Reaction ~ 1 + (1 | Subject) + (1 | Days)", SLEEP.astype({"Days": str})
).fit()
NAMES = ["cov_re", "random_effects", "random_effects_cov"]


@pytest.mark.parametrize("name", NAMES)
def test_one_type_whatever_the_number_of_factors(name):
    one, two = getattr(ONE, name), getattr(TWO, name)
    assert type(one) is type(two) is ByFactor
    assert list(one) == ["Subject"]
    assert list(two) == ["Subject", "Days"]
    assert type(one["Subject"]) is type(two["Subject"]) is type(two["Days"])


@pytest.mark.parametrize(
    ("ask", "write", "expected"),
    [
        (lambda r: r.cov_re.iloc[0, 1], r"cov_re\['Subject'\]\.iloc", None),
        (lambda r: r.cov_re.loc["Days"], r"cov_re\['Subject'\]\.loc", None),
        (lambda r: r.cov_re.shape, r"cov_re\['Subject'\]\.shape", (2, 2)),
        (lambda r: r.cov_re.to_numpy(), r"cov_re\['Subject'\]\.to_numpy", None),
        (lambda r: np.asarray(r.cov_re), r"cov_re\['Subject'\]$", None),
        (lambda r: r.cov_re["Days"], r"cov_re\['Subject'\]\.loc\['Days'\]", None),
        (lambda r: r.cov_re / 2.0, r"cov_re\['Subject'\]$", None),
        (lambda r: 2.0 * r.cov_re, r"cov_re\['Subject'\]$", None),
        (lambda r: r.cov_re * 2.0, r"cov_re\['Subject'\]$", None),
        (lambda r: r.cov_re @ np.eye(2), r"cov_re\['Subject'\]$", None),
        (lambda r: np.eye(2) @ r.cov_re, r"cov_re\['Subject'\]$", None),
        (
            lambda r: r.random_effects["308"],
            r"random_effects\['Subject'\]\.loc\['308'\]",
            ONE.random_effects["Subject"].loc["308"],
        ),
        (
            lambda r: r.random_effects_cov["308"],
            r"random_effects_cov\['Subject'\]\['308'\]",
            ONE.random_effects_cov["Subject"]["308"],
        ),
    ],
)
def test_the_only_value_is_asked_as_before(ask, write, expected):
    with pytest.warns(DeprecationWarning, match=write) as caught:
        found = ask(ONE)
    assert [w.filename for w in caught] == [__file__]
    if expected is None:  # what the DataFrame itself answers

        class Before:
            cov_re = ONE.cov_re["Subject"]

        expected = ask(Before)
    assert_array_equal(found, expected)
    assert getattr(found, "name", None) == getattr(expected, "name", None)


def test_a_level_that_is_a_tuple():
    levels = pd.Index([("a", 1), ("b", 2)], tupleize_cols=False)
    frame = pd.DataFrame({"Intercept": [1.0, 2.0], "x": [3.0, 4.0]}, levels)
    with pytest.warns(DeprecationWarning, match="is a dict by grouping factor"):
        found = ByFactor({"g": frame}, "random_effects")["b", 2]
    assert found.tolist() == [2.0, 4.0]


@pytest.mark.parametrize("name", NAMES)
def test_what_nobody_knows_is_refused_without_a_warning(name):
    for each in (getattr(ONE, name), getattr(TWO, name)):
        with pytest.raises(KeyError, match="nobody"):
            each["nobody"]
        with pytest.raises(AttributeError, match="nothing"):
            _ = each.nothing
        assert not hasattr(each, "_repr_latex_")


def test_several_values_have_no_shape():
    assert not hasattr(TWO.cov_re, "iloc")
    with pytest.raises(KeyError):
        TWO.cov_re["Intercept"]
    with pytest.raises(TypeError):
        TWO.cov_re / 2.0
    assert np.asarray(TWO.cov_re).shape == ()


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_pickles_are_the_same(name):
    found = getattr(ONE, name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        others = copy.copy(found), copy.deepcopy(found)
        others += (pickle.loads(pickle.dumps(found)),)
    for other in others:
        assert type(other) is ByFactor
        assert list(other) == ["Subject"]
        assert other._name == name


def test_a_fit_from_json_has_the_same():
    for fit in (ONE, TWO):
        light = from_json(fit.to_json())
        for name in fit.random_effects:
            pd.testing.assert_frame_equal(
                light.random_effects[name],
                fit.random_effects[name],
                check_index_type=False,
            )
            assert light.random_effects_cov[name] == fit.random_effects_cov[name]
        pd.testing.assert_frame_equal(
            light.random_effects_table(), fit.random_effects_table()
        )


FORWARDED = {
    "values": lambda r: r.cov_re.values[0, 0] == r.cov_re["Subject"].iloc[0, 0],
    "attribute of values": lambda r: r.cov_re.values.shape == (2, 2),
    "arithmetic": lambda r: (2.0 - (-r.cov_re + 1.0)).equals(
        2.0 - (-r.cov_re["Subject"] + 1.0)
    ),
    "comparison": lambda r: (r.cov_re > 0.0).to_numpy().all(),
    "in": lambda r: "308" in r.random_effects,
    "get": lambda r: r.random_effects.get("308").name == "308",
    "get of covariances": lambda r: r.random_effects_cov.get("308").shape == (2, 2),
}


@pytest.mark.parametrize("use", FORWARDED)
def test_everyday_uses_of_one_value(use):
    """What was written for a DataFrame, or a dict by level, still works."""
    with pytest.warns(DeprecationWarning, match="is a dict by grouping factor"):
        assert FORWARDED[use](ONE)


@pytest.mark.parametrize("result", [ONE, TWO])
def test_still_a_dict(result):
    by_factor = result.cov_re
    assert len(by_factor.values()) == len(by_factor)
    assert all(isinstance(value, pd.DataFrame) for value in by_factor.values())
    assert type(by_factor.copy()) is ByFactor
    assert by_factor.copy() == by_factor
    assert by_factor != {"h": by_factor["Subject"]}
    assert by_factor != {k: 2.0 * v for k, v in by_factor.items()}
    assert "h" not in by_factor
    assert by_factor.get("h", 1.0) == 1.0
    with pytest.raises(KeyError):
        by_factor["h"]
    with pytest.raises(AttributeError):
        _ = by_factor.nothing


@pytest.mark.parametrize("name", ["random_effects", "random_effects_cov"])
def test_a_missing_level_is_told(name):
    with pytest.raises(KeyError, match=r"in 'Subject', the labels are text, .*'308'"):
        getattr(ONE, name)[308]
    with pytest.raises(
        KeyError, match=r"no grouping .* 308: there are 'Subject', 'Days"
    ):
        getattr(TWO, name)[308]
    assert getattr(ONE, name).get(308) is None


def test_nothing_shows_itself_as_an_empty_dict():
    assert repr(ByFactor()) == "{}"
