"""What a separated response is told."""

import numpy as np
import pandas as pd
import pytest
from patsy import dmatrix

from statsmodels_lmm.core.uncertainty.separation import separation, signs
from statsmodels_lmm.models.separation import separation_sentence

FRAME = pd.DataFrame(
    {
        "t": np.repeat(["a", "b", "c"], 10),
        "u": np.tile(["x", "y"], 15),
        "z": np.tile(np.arange(10.0), 3),
        "half": np.tile([0, 0, 1, 1, 0], 6),
    },
    index=[f"row{i}" for i in range(30)],
)
"""Each combination of t and u has both values of half."""

ALTERNATING = np.tile([0.0, 0.0, 1.0, 1.0], 8)[:30]


def sentence(formula, y, family="Binomial", link="logit"):
    exog = dmatrix(formula, FRAME, return_type="dataframe")
    sign = signs(family, link, np.asarray(y, float))
    found = separation(exog.to_numpy(), sign)
    names = list(exog.columns)
    return separation_sentence(found, exog.to_numpy(), sign, names, FRAME.index)


def test_a_level():
    y = np.where(FRAME["t"] == "b", 0.0, ALTERNATING)
    assert sentence("t", y) == (
        "the response is constant where t = b (10 rows): its coefficient is infinite"
    )


def test_a_level_of_a_coded_factor():
    y = np.where(FRAME["t"] == "a", 1.0, ALTERNATING)
    assert "where t = a (10 rows)" in sentence("C(t, Treatment('c')) + u", y)


def test_two_levels():
    y = np.where(FRAME["t"] == "a", ALTERNATING, FRAME["t"] == "b")
    assert sentence("t", y) == (
        "the response is constant where t = b (10 rows) and t = c (10 rows): "
        "their coefficients are infinite"
    )


def test_a_combination_of_levels():
    inside = (FRAME["t"] == "c") & (FRAME["u"] == "y")
    y = np.where(inside, 0, np.tile([1, 2, 0, 3, 4], 6))
    assert sentence("t * u", y, "Poisson", "log") == (
        "the response is constant where t = c and u = y (5 rows): "
        "its coefficient is infinite"
    )


def test_an_interval_as_a_level():
    frame = FRAME.assign(cut=pd.cut(FRAME["z"], [-1, 4, 9]).astype(str))
    exog = dmatrix("cut", frame, return_type="dataframe")
    sign = signs("Binomial", "logit", np.where(FRAME["z"] > 4, 1.0, ALTERNATING))
    found = separation(exog.to_numpy(), sign)
    said = separation_sentence(
        found, exog.to_numpy(), sign, list(exog.columns), FRAME.index
    )
    assert "where cut = (4, 9] (15 rows)" in said


def test_the_reference_level():
    y = np.where(FRAME["t"] == "a", 1.0, ALTERNATING)
    assert sentence("t", y) == (
        "Intercept, t[T.b] and t[T.c] together predict the response without error in "
        "rows row0, row1, row2, row3, row4, ... (10 in all); their coefficients are "
        "infinite"
    )


@pytest.mark.parametrize("formula", ["z", "z + u"])
def test_a_predictor_of_every_row(formula):
    said = sentence(formula, FRAME["z"] > 4)
    assert said.startswith("Intercept")
    assert "together predict the response without error in every row; " in said


def test_a_predictor_without_a_constant():
    z = FRAME["z"] - 4.5
    y = np.where(FRAME["z"] == 3, ALTERNATING, z > 0)
    said = sentence("0 + np.where(z == 3, 0, z - 4.5)", y)
    assert said.endswith(
        "predicts the response without error in rows row0, row1, row2, row4, row5, "
        "... (27 in all); its coefficient is infinite"
    )


def test_a_number_that_is_not_an_indicator():
    y = np.where(FRAME["z"] == 9, 0.0, ALTERNATING)
    assert sentence("I((z == 9) * 2.5)", y).startswith(
        "the response is constant where I((z == 9) * 2.5) is not 0 (3 rows)"
    )


def test_names_that_are_not_those_of_a_formula():
    exog = np.column_stack([np.ones(30), FRAME["t"] == "b"])
    sign = signs("Binomial", "logit", np.where(FRAME["t"] == "b", 0.0, ALTERNATING))
    found = separation(exog, sign)
    for name, said in (("x1", "x1 is not 0"), ("my t[b]", "my t = b")):
        names = ["const", name]
        told = separation_sentence(found, exog, sign, names, FRAME.index)
        assert f"where {said} (10 rows)" in told
