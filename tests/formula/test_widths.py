"""How many columns a formula makes is known before they are made."""

import ast

import numpy as np
import pandas as pd
import pytest
from patsy import dmatrix

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula import widths
from statsmodels_lmm.formula.api import crossedmixedlm, mixedlm
from statsmodels_lmm.formula.widths import expression_width, require_columns

rng = np.random.default_rng(0)
N = 400
DATA = pd.DataFrame({"x": rng.random(N), "z": rng.random(N), "y": rng.random(N)})
DATA["g"] = np.arange(N) % 12
for name in "abcd":
    DATA[name] = rng.integers(0, 300, N).astype(str)


@pytest.mark.parametrize(
    "term",
    [
        "x",
        "I(x * z)",
        "bs(x, df=7)",
        "bs(x, 7, degree=2)",
        "bs(x, knots=[0.2, 0.4], degree=2, include_intercept=True)",
        "cr(x, df=5)",
        "cc(x, df=5)",
        "cr(x, knots=[0.5])",
        "te(cr(x, df=5), cc(z, df=4))",
        "te(bs(x, df=5), te(cr(z, 4), x))",
        "scale(bs(x, df=6))",
        "I(bs(x, df=6) * 2)",
    ],
)
def test_widths_are_those_of_patsy(term):
    found = expression_width(ast.parse(term, mode="eval").body)
    width = dmatrix(f"0 + {term}", DATA).shape[1]
    slack = "knots" in term
    assert width <= found <= width + slack


BOMBS = [
    "a:b:c:d",
    "a * b * c",
    "C(x):C(z):C(y)",
    "(a + b + c)**3",
    "a:b:bs(x, df=50)",
    "Q('a'):`b`:c",
]


@pytest.mark.parametrize("engine_free", BOMBS)
def test_interactions_that_do_not_fit(monkeypatch, engine_free):
    monkeypatch.setattr(widths, "available_bytes", lambda: 2**33)
    for formula in (f"y ~ {engine_free} + (1 | g)", f"y ~ x + ({engine_free} | g)"):
        with pytest.raises(DataError, match=r"makes about [\d,]+ columns; the design"):
            crossedmixedlm(formula, DATA)
    with pytest.raises(DataError, match="8 GiB are free"):
        mixedlm(f"y ~ {engine_free}", DATA, groups="g")


@pytest.mark.parametrize(
    "term", ["a", "x:z", "C(g):x", "C(x > 0.5):a", "np.where(a == '1', x, 0):b", "1"]
)
def test_estimates_are_not_above_what_is_built(monkeypatch, term):
    """What patsy builds in so much memory is let pass."""
    p = dmatrix(f"0 + {term}", DATA).shape[1]
    monkeypatch.setattr(widths, "available_bytes", lambda: 8 * p * (2 * N + p))
    require_columns(f"0 + {term}", dict(DATA), len(DATA))


def test_nothing_is_refused_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(widths, "available_bytes", lambda: None)
    require_columns("a:b:c:d", dict(DATA), len(DATA))
