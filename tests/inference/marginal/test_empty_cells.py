"""Means that the data do not determine name the combinations without rows."""

import warnings

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm import crossedmixedlm
from statsmodels_lmm.inference.marginal.empty_cells import empty_cells
from statsmodels_lmm.inference.marginal.reference_grid import ReferenceGrid


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    codes = np.indices((3, 2, 2, 4)).reshape(4, -1)
    data = pd.DataFrame(codes.T, columns=["f", "k", "h", "g"]).astype(str)
    data["f"], data["y"] = "f" + data["f"], rng.normal(size=len(data))
    return data.assign(dose=[0.5, 2.0] * (len(data) // 2))


def notes(data, formula, names, dropped):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the column that is dropped
        fit = crossedmixedlm(f"y ~ {formula} + (1 | g)", data.query(f"not ({dropped})"))
        return str(fit.fit().marginal_means(names))


@pytest.mark.parametrize(
    ("formula", "names", "dropped", "said"),
    [
        ("f * k", ["f", "k"], "f == 'f1' and k == '0'", "f = f1, k = 0."),
        ("f * k + h", ["f"], "f == 'f1' and k == '0'", "f = f1, k = 0."),
        ("f * h + k * h", ["h"], "k == '1' and h == '1'", "k = 1, h = 1."),
        (
            "f * k * h",
            ["k"],
            "f == 'f1' and k == '0' and h == '1' or f == 'f2' and k == '1'",
            "f = f2, k = 1.",
        ),
        (
            "f * k * h",
            ["k"],
            "h == g and f == 'f1' or f == 'f1' and k == '0' and h == '1'",
            "f = f1, k = 0, h = 1.",
        ),
    ],
)
def test_the_smallest_empty_combination_is_named(data, formula, names, dropped, said):
    text = notes(data, formula, names, dropped)
    assert f"The data have no rows with {said}\nDegrees" in text
    assert "NaN: not determined by the data." in text


def test_many_combinations_are_counted():
    """Only those of which nothing is known; a covariate is no factor."""
    levels = {"f": pd.Index(list("abc")), "x": pd.Index([1.5]), "k": pd.Index([1, 2])}
    counts = np.array([[[0.0, 0.0]], [[0.0, 5.0]], [[0.0, 0.0]]])
    grid = ReferenceGrid(levels, np.zeros((3, 1, 2, 1)), np.zeros((3, 1, 2)), counts)
    assert empty_cells(grid, counts > 0.0) == "f = a; f = c; k = 1"
    known = np.array([[[True, False]], [[False, True]], [[False, True]]])
    assert empty_cells(grid, known) == "f = a, k = 2; f = b, k = 1; f = c, k = 1"
    known = np.array([[[True, False]], [[False, True]], [[True, True]]])
    assert empty_cells(grid, known) == "f = a, k = 2; f = b, k = 1"
    assert empty_cells(grid, np.ones((3, 1, 2), bool)) == ""
    levels["k"], counts = pd.Index([1, 2, 3, 4]), np.zeros((3, 1, 4))
    grid = ReferenceGrid(levels, np.zeros((3, 1, 4, 1)), counts, counts)
    some = np.tile([True, False, False], (4, 1)).T[:, None]
    some[1, 0, :2], some[2, 0, 0] = True, True
    assert empty_cells(grid, some) == (
        "f = b, k = 3; f = b, k = 4; f = c, k = 2 and 2 other combinations"
    )


def test_nothing_is_said_of_means_that_are_determined(data):
    empty = "f == 'f1' and k == '0'"
    assert "no rows with" not in notes(data, "f + k", ["f"], empty)
    assert "no rows with" not in notes(data, "f * k", ["f"], "f == 'f5'")
