"""Conditions on rows as text."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import check_formula
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm

LIMIT = 4

DATA = pd.DataFrame(
    {
        "y": np.random.default_rng(3).normal(size=60),
        "n": np.random.default_rng(4).poisson(2.0, size=60),
        "x": np.tile([1.0, 2.0, 3.0, 4.0, 5.0, np.nan], 10),
        "z": np.arange(60) % 2,
        "f": np.array(["a", "b", "c"])[np.arange(60) % 3],
        "my x": np.arange(60) % 5,
        "g": np.arange(60) // 12,
    }
)
DATA["h"] = pd.Categorical(DATA["f"])
DATA["date"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(30 * DATA["g"], unit="D")

FORMULA = "y ~ 1 + (1 | g)"


CONDITIONS = {
    "x > 2": lambda r: r.x > 2,
    "x > LIMIT and f == 'b'": lambda r: r.x > 4 and r.f == "b",
    "x > 2 & f != 'a' | z == 1": lambda r: (r.x > 2 and r.f != "a") or r.z == 1,
    "x > 2 && !(f == 'a') || z == 1": lambda r: (r.x > 2 and r.f != "a") or r.z == 1,
    "1 < x <= 3": lambda r: 1 < r.x <= 3,
    "f in ['a', 'b'] and h not in ['b']": lambda r: r.f == "a",
    "f %in% ['a', 'b']": lambda r: r.f in "ab",
    "not z": lambda r: not r.z,
    "h == 'c'": lambda r: r.f == "c",
    # what is missing is neither above nor below, as in R
    "x != 2": lambda r: r.x == r.x and r.x != 2,
    "not x > 2": lambda r: r.x <= 2,
    "`my x` > 3 or date.dt.month == 2": lambda r: r[5] > 3 or r.date.month == 2,
    "np.sqrt(x + z) > 2": lambda r: r.x + r.z > 4,
}


@pytest.mark.parametrize("condition", CONDITIONS)
def test_rows_in_which_a_condition_holds(condition):
    holds = CONDITIONS[condition]
    expected = [i for i, r in enumerate(DATA.itertuples(index=False)) if holds(r)]
    assert 0 < len(expected) < 60
    model = crossedmixedlm(FORMULA, DATA, subset=condition)
    assert model.data.frame.index.tolist() == expected
    if "LIMIT" not in condition:
        used = check_formula(FORMULA, DATA.columns, subset=condition)
        assert used[:2] == ["y", "g"]
        assert len(used) > 2


def test_generalized_models_and_weights():
    weights = np.arange(1.0, 61.0)
    model = crossedmixedglm(
        "n ~ 1 + (1 | g)", DATA, family="poisson", subset="z == 1", weights=weights
    )
    assert model.weights.tolist() == weights[1::2].tolist()


ERRORS = {
    "x = 2": "write '==' for a comparison",
    "nope > 2": "column 'nope' not in data",
    "x + 1": "is not a condition",
    "x > 200": "no row satisfies",
    "x >": "not valid Python",
    " ": "subset= is empty",
    "z == TRUE": "write True",
    "f in c('a')": r"write \[1, 2\]",
}


@pytest.mark.parametrize("condition", ERRORS)
def test_errors(condition):
    with pytest.raises((DataError, FormulaError), match=ERRORS[condition]):
        crossedmixedlm(FORMULA, DATA, subset=condition)


REFUSED = {
    "open('f') == 1": "'open' is not a function on the list",
    "f.str.len() > 2": "only listed functions may be called",
    "f in open('f')": "'open' is not a function on the list",
    "y > 1 or __import__('os')": "not a function on the list",
    "not y.__class__": "only functions of np",
    "y > hidden": "'hidden' is not a column",
    "f == 'a' # '": "is not allowed",
    "x > 2" + " " * 2000: "characters",
    "": "subset= is empty",
}


@pytest.mark.parametrize("condition", REFUSED)
def test_conditions_of_strangers(condition):
    with pytest.raises(FormulaError, match=REFUSED[condition]):
        check_formula(FORMULA, DATA.columns, subset=condition)
