"""Codings of factors beside the formula."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.api import crossedmixedglm, crossedmixedlm
from statsmodels_lmm.formula.codings import with_contrasts

FORMULA = "y ~ x * f + C(f, Sum):x + (f | g) + (1 | f:g)"

REWRITTEN = {
    ("f", "sum"): "y ~ x * C(f, Sum) + C(f, Sum):x + (f | g) + (1 | f:g)",
    ("f", "contr.treatment"): FORMULA.replace("* f", "* C(f, Treatment)"),
    ("f", "Helmert"): FORMULA.replace("* f", "* C(f, Helmert)"),
    ("f", "contr_poly"): FORMULA.replace("* f", "* C(f, Poly)"),
    ("x", "sdif"): FORMULA.replace("x * f", "C(x, Diff) * f").replace(
        ":x", ":C(x, Diff)"
    ),
}


@pytest.mark.parametrize(("factor", "coding"), REWRITTEN)
def test_formulas(factor, coding):
    """Fixed effects are coded; random effects and other calls are as they were."""
    assert with_contrasts(FORMULA, {factor: coding}) == (
        REWRITTEN[factor, coding],
        {},
    )


def test_names_that_are_quoted():
    text = "f ~ `my f` + Q('h') - 1 + (1 | g)"
    found, _ = with_contrasts(text, {"my f": "sum", "h": "sum"})
    assert found == "f ~ C(Q('my f'), Sum) + C(h, Sum) - 1 + (1 | g)"
    assert with_contrasts(text, {"`my f`": "sum", "Q('h')": "sum"})[0] == found
    assert with_contrasts(text, None) == (text, {})


def test_a_matrix_and_the_effects_of_codings():
    rng = np.random.default_rng(2)
    data = pd.DataFrame({"f": np.array(list("abc"))[np.arange(90) % 3]})
    data["g"], data["y"] = np.arange(90) // 15, rng.normal(size=90)
    data["n"] = rng.poisson(3.0, size=90)
    text = "y ~ f + (1 | g)"
    coded = crossedmixedlm(text, data, contrasts={"f": "sum"}).fit()
    matrix = np.array([[1, 0], [0, 1], [-1, -1]])
    own = crossedmixedlm(text, data, contrasts={"f": matrix}).fit()
    plain = crossedmixedlm(text, data).fit()
    assert_allclose(own.params, coded.params)
    means = plain.params.iloc[0] + np.array([0, *plain.params[1:]])
    assert_allclose(coded.params, [means.mean(), *(means - means.mean())[:2]])
    assert_allclose(own.predict(data[:3]), plain.predict(data[:3]))
    counts = crossedmixedglm(
        "n ~ f + (1 | g)", data, family="poisson", contrasts={"f": "sum"}
    )
    with pytest.raises(FormulaError, match=r"'n' is numeric; .*astype\('category'\)"):
        crossedmixedlm("y ~ f + n + (1 | g)", data, contrasts={"n": "sum"})
    assert counts.exog_names == ["Intercept", "C(f, Sum)[S.a]", "C(f, Sum)[S.b]"]


ERRORS = {
    "absent": ({"h": "sum"}, FormulaError, "names 'h', which is not a factor"),
    "unknown": ({"f": "best"}, FormulaError, "no coding 'best'; there are 'diff'"),
    "no matrix": ({"f": [1, 2]}, FormulaError, "an array with a row for each level"),
    "labels": ({"f": pd.DataFrame([[1]])}, FormulaError, "an array with a row"),
    "no dict": ("sum", TypeError, "contrasts= is a dict"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    contrasts, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        with_contrasts("y ~ f + (h | g)", contrasts)
