"""How large a formula is, from its text alone."""

import pytest

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula import size
from statsmodels_lmm.formula.size import check_size
from statsmodels_lmm.formula.tokens import tokenize

TERMS = {
    # bounds: response and groups count as terms, and the product of no factors
    "y ~ x": 2,
    "a + b - c": 3,
    "a * b": 4,
    "a * b * c": 8,
    "a / b": 4,
    "a:b:c": 1,
    "a %in% b": 1,
    "(a + b):(c + d + e)": 6,
    "(a + b) * (c + d)": 9,
    "(a * b) + c": 5,
    "(a + b) + (c * d) + e": 7,
    "(a + b + c)**2": 6,
    "(a + b + c)^2": 6,
    "(a + b + c)**9": 7,
    "(a + b + c)**k": 7,
    "log(a + b) * c": 4,
    "y[0] + a": 2,
    "x + (a * b | g)": 6,
    "(a || g) + x": 3,
    "cs(0 + a, b)": 1,
}


@pytest.mark.parametrize(("text", "count"), TERMS.items())
def test_number_of_terms(text, count, monkeypatch):
    tokens = tokenize(text)
    monkeypatch.setattr(size, "MAX_TERMS", count)
    check_size(tokens)
    monkeypatch.setattr(size, "MAX_TERMS", count - 1)
    with pytest.raises(FormulaError, match="expands to more than"):
        check_size(tokens)


def test_number_of_operators(monkeypatch):
    tokens = tokenize("y ~ (a + b) * log(c - d) + (x | g)")
    monkeypatch.setattr(size, "MAX_OPERATORS", 5)
    check_size(tokens)
    monkeypatch.setattr(size, "MAX_OPERATORS", 4)
    with pytest.raises(FormulaError, match="joins more than 4 terms"):
        check_size(tokens)


def test_what_would_take_forever_is_refused_at_once():
    columns = " + ".join(f"x{i}" for i in range(40))
    with pytest.raises(FormulaError, match="expands to more than"):
        check_size(tokenize(f"y ~ ({columns})**20"))
    with pytest.raises(FormulaError, match="expands to more than"):
        check_size(tokenize(f"y ~ ({columns})**{'9' * 4000}"))
    with pytest.raises(FormulaError, match="joins more than"):
        check_size(tokenize(" + ".join(["x"] * 1000)))
