"""Texts to trees: values, names, ranges and errors."""

import numpy as np
import pytest

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.inference.derived.parameter_expressions import (
    ANYTHING,
    CORRELATION,
    POSITIVE,
    SHARE,
    near,
    parse,
)


class Given:
    """Parameters that echo what they are asked for."""

    numbers = {"g": 2.0, "x | a:b": 3.0, "x, z | g": -0.5, "my g": 5.0}

    def __getattr__(self, kind):
        return lambda name: self.numbers[name.strip("` ")]


def value(text):
    (tree,) = parse(text).values()
    return tree.value(Given())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4 / 8", 6.5),
        ("7 - 2 - 1", 4.0),
        ("8 / 4 / 2", 1.0),
        ("-2 ** 2", -4.0),
        ("2 ^ 3 ** 2", 512.0),
        ("2 ** -1", 0.5),
        ("+(1.5e1)", 15.0),
        ("var(g) * sd(x | a:b)", 6.0),
        ("cor(x, z | g) + b['g'] + b[\"my g\"] + b[`g`]", 8.5),
        ("cov(x, z | g) - var(`my g`) + g + `my g`", 1.5),
        ("sqrt(4) + exp(0) + log(1) + tanh(0) + atanh(0) + abs(-3)", 6.0),
        ("logit(expit(0.25)) + pi - pi", 0.25),
    ],
)
def test_values(text, expected):
    assert value(text) == pytest.approx(expected)


def test_names_and_lines():
    trees = parse(
        """
        total = var(g) + 2
        `my share` = var(g) / (
            total
        )
        var(g)  -  1
        """
    )
    assert list(trees) == ["total", "my share", "var(g) - 1"]
    assert [t.value(Given()) for t in trees.values()] == [4.0, 0.5, 1.0]
    assert trees["my share"].range == SHARE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("var(g) / (sd(g) + var(g) + 1)", SHARE),
        ("(var(g) + sd(g)) / (sd(g) + sigma + var(g))", SHARE),
        ("1 - var(g) / (var(g) + sigma)", SHARE),
        ("var(g) / (var(h) + sigma)", POSITIVE),
        ("4 * var(g)", POSITIVE),
        ("var(g) / (var(g) + cov(x, z | g))", ANYTHING),
        ("var(g) - var(h)", ANYTHING),
        ("-var(g)", (-np.inf, 0.0)),
        ("cor(x, z | g)", CORRELATION),
        ("cor(x, z | g) - cor(x, z | h)", (-2.0, 2.0)),
        ("`g: cor x, z`", CORRELATION),
        ("`g: sd x` + alpha", POSITIVE),
        ("`g: ar1 rho`", ANYTHING),
        ("b['x'] ** 2", POSITIVE),
        ("b['x'] ** 3", ANYTHING),
        ("sd(g) ** b['x']", POSITIVE),
        ("exp(b['x']) * abs(b['x'])", POSITIVE),
        ("log(var(g))", ANYTHING),
        ("expit(b['x'])", SHARE),
        ("b['x'] / b['z']", ANYTHING),
    ],
)
def test_ranges(text, expected):
    (tree,) = parse(text).values()
    assert tree.range == expected


@pytest.mark.parametrize(
    ("text", "message", "marked"),
    [
        ("1 +", "a number, a parameter", (3, 4)),
        ("1 + * 2", "a number, a parameter", (4, 5)),
        ("1 2", "an operator should stand here", (2, 3)),
        ("(1 + 2", r"'\)' is missing", (6, 7)),
        ("log(1", r"'\)' is missing", (5, 6)),
        ("var(g", r"'\)' is missing", (5, 6)),
        ("2 * vra(g)", "no function vra; did you mean var?", (4, 7)),
        ("b[x] + 1", r"write a fixed effect as b\['name'\]", (0, 4)),
        ("(" * 60 + "1" + ")" * 60, "nested more than 50 deep", (50, 51)),
    ],
)
def test_errors_show_the_place(text, message, marked):
    with pytest.raises(FormulaError, match=message) as caught:
        parse(text)
    assert caught.value.span == marked


def test_other_errors():
    with pytest.raises(FormulaError, match="name a is given twice"):
        parse("a = 1\na = 2")
    with pytest.raises(FormulaError, match="no expression"):
        parse(" \n ")
    with pytest.raises(FormulaError, match="501 symbols; at most"):
        parse("+".join(["1"] * 251))
    assert near("q", ["x", "z"]) == "; there are x, z"
    assert near("q", ["x"] * 20).endswith("x, ...")


def test_the_factors_of_an_interaction_may_be_given_in_another_order():
    names = ["N", "f[T.b]", "f[T.b]:N"]
    assert near("N:f[T.b] ", names) == "; did you mean f[T.b]:N?"
    assert near("f[T.c]", names) == "; did you mean f[T.b]?"
