"""Designs that do not fit are refused before they are built."""

import numpy as np
import pandas as pd
import pytest

from statsmodels_lmm.core import memory
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.size import require_design

N = 600
RNG = np.random.default_rng(2)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "g": RNG.integers(20, size=N),
        "a": pd.Categorical(RNG.integers(100, size=N)),
        "b": RNG.integers(100, size=N).astype(str),
        "n": RNG.integers(100, size=N),
    }
)
MEBIBYTE = 2**20


@pytest.fixture
def small(monkeypatch):
    """A machine with room for about 180 columns, three times."""
    monkeypatch.setattr(memory, "available_bytes", lambda: 2.5 * MEBIBYTE)


@pytest.mark.parametrize(
    ("formula", "columns", "term"),
    [
        ("a:b", 99 * 99 + 1, "a:b"),
        ("a * b", 100**2, "a:b"),
        ("x + C(a, Sum):b", 99 * 99 + 2, r"C\(a, Sum\):b"),
        ("C(n) + a", 199, r"C\(n\)"),
        ("a + b + x:b", 1 + 3 * 99, "a"),
    ],
)
def test_wide_designs(small, formula, columns, term):
    text = rf"the design: 600 rows of at least {columns:,} columns, most of them of "
    with pytest.raises(MemoryError, match=f"{text}{term}: about"):
        require_design(formula, DATA, "the design")


@pytest.mark.parametrize("formula", ["a", "n + x", "b + np.log(n + 1)", "0 + a", "x:a"])
def test_designs_that_fit(small, formula):
    require_design(formula, DATA, "the design")


def test_both_parts_of_a_formula(small):
    with pytest.raises(MemoryError, match="the design of the fixed effects: 600 rows"):
        crossedmixedlm("y ~ a:b + (1 | g)", DATA)
    with pytest.raises(MemoryError, match=r"the effects of \(0 \+ a:b \| g\): 600"):
        crossedmixedlm("y ~ x + (0 + a:b | g)", DATA)
