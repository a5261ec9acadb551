"""A dict whose values are made when they are asked for is a dict in all else."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.results import level_dict
from statsmodels_lmm.results.level_dict import LevelDict

LEVELS = ["a", 2, ("b", 1), "d"]


@pytest.fixture
def made():
    """Levels whose values were made, in order."""
    return []


@pytest.fixture
def lazy(made):
    def make(level, at):
        made.append(level)
        return pd.Series([at, 0.5], ["Intercept", "x"], name=level)

    return LevelDict(LEVELS, make)


def plain():
    return {
        level: pd.Series([at, 0.5], ["Intercept", "x"], name=level)
        for at, level in enumerate(LEVELS)
    }


def same(found, expected=None):
    expected = plain() if expected is None else expected
    assert list(found) == list(expected)
    for level, value in expected.items():
        pd.testing.assert_series_equal(found[level], value)


def test_a_value_is_made_once(lazy, made):
    assert made == []
    assert lazy[2] is lazy[2]
    assert lazy.get(2) is lazy[2]
    assert made == [2]
    assert len(list(lazy.values())) == len(list(lazy.items())) == 4
    assert sorted(map(str, made)) == sorted(map(str, LEVELS))


def test_levels_make_no_values(lazy, made):
    assert isinstance(lazy, dict)
    assert len(lazy) == 4
    assert bool(lazy)
    assert list(lazy) == list(lazy.keys()) == LEVELS
    assert list(reversed(lazy)) == LEVELS[::-1]
    assert "a" in lazy
    assert "c" not in lazy
    assert lazy.get("c") is None
    assert lazy.get("c", 1) == 1
    with pytest.raises(KeyError, match=r"no level 'c': there are 'a', 2, \('b', 1\)"):
        lazy["c"]
    assert lazy.copy().keys() == lazy.keys()
    assert len(lazy.values()) == len(lazy.items()) == 4
    assert made == []


def test_a_label_of_another_type_is_told():
    text = LevelDict(["308", "309"], lambda level, at: at)
    with pytest.raises(KeyError, match=r"no level 308: the labels are text, .*'308'"):
        text[308]
    numbers = LevelDict(range(30), lambda level, at: at)
    with pytest.raises(KeyError, match=r"no level '7': the labels are not text, .* 7"):
        numbers["7"]
    with pytest.raises(KeyError, match=r"no level 31: there are 0, 1, .* and 20 more"):
        numbers[31]


def test_one_level_makes_one_value(lazy, made):
    level, value = next(iter(lazy.items()))
    pd.testing.assert_series_equal(value, plain()[level])
    assert made == [level]


@pytest.mark.parametrize(
    "change",
    [
        dict,
        copy.copy,
        copy.deepcopy,
        LevelDict.copy,
        lambda lazy: {**lazy},
        lambda lazy: lazy | {},
        lambda lazy: {} | lazy,
        lambda lazy: dict(lazy.items()),
        lambda lazy: dict(zip(lazy, lazy.values())),
        lambda lazy: pickle.loads(pickle.dumps(lazy)),
        lambda lazy: {k: lazy.pop(k) for k in list(lazy)},
        lambda lazy: dict([lazy.popitem() for _ in LEVELS][::-1]),
        lambda lazy: {k: lazy.setdefault(k) for k in lazy},
    ],
)
@pytest.mark.parametrize("asked", [(), ("a",), LEVELS])
def test_other_dicts_of_it(lazy, asked, change):
    for level in asked:
        _ = lazy[level]
    same(change(lazy))


def test_updates(lazy):
    other = {"z": 1}
    other.update(lazy)
    same({k: v for k, v in other.items() if k != "z"})
    one = pd.Series([9.0])
    lazy["a"] = lazy["e"] = one
    assert lazy["a"] is one
    assert list(lazy) == [*LEVELS, "e"]
    assert lazy.setdefault("f", 5) == 5
    lazy |= {"d": 7}
    lazy.update(g=8)
    assert (lazy["d"], lazy["g"]) == (7, 8)
    del lazy["a"], lazy["d"]
    assert "a" not in lazy
    assert lazy.pop("a", None) is None
    with pytest.raises(KeyError):
        lazy.pop("a")
    lazy.clear()
    assert not lazy
    with pytest.raises(KeyError):
        lazy.popitem()


def test_a_copy_is_another_dict(lazy):
    other = lazy.copy()
    del other["a"]
    other[2] = None
    same(lazy)


def test_equal_values_are_equal(lazy):
    assert lazy == lazy
    assert lazy == plain()
    assert plain() == lazy
    assert not lazy != plain()
    assert lazy != {}
    assert lazy != "a"
    other = plain()
    other["a"].iloc[0] = 7.0
    assert lazy != other
    assert lazy != {**plain(), "z": 1}
    with pytest.raises(TypeError, match="unhashable"):
        hash(lazy)


def test_what_pandas_makes_of_it(lazy):
    pd.testing.assert_frame_equal(pd.DataFrame(lazy), pd.DataFrame(plain()))
    pd.testing.assert_series_equal(pd.concat(lazy), pd.concat(plain()))
    rows = pd.DataFrame.from_dict(lazy, orient="index")
    pd.testing.assert_frame_equal(rows, pd.DataFrame.from_dict(plain(), orient="index"))
    assert pd.Series(["a", "d"]).map(lazy).iloc[1].name == "d"
    assert np.shape(list(lazy.values())) == (4, 2)


def test_it_is_printed_in_short(made):
    lazy = LevelDict(range(125_066), lambda level, at: made.append(level) or at + 0.5)
    text = repr(lazy)
    assert text.startswith("{0: 0.5,\n1: 1.5,\n")
    assert text.endswith(",\nand 125,056 more}")
    assert len(made) == level_dict.SHOWN
    assert repr(LevelDict(["a"], lambda level, at: at + 0.0)) == "{'a': 0.0}"
    assert repr(LevelDict()) == "{}"
