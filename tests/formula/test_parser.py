"""Text to terms: lme4's language without data."""

import pytest

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.parser import parse

RANDOM = {
    "(1 | g)": ["1 | g"],
    "((1 | g))": ["1 | g"],
    "(x | g)": ["x | g"],
    "(1 + x | g)": ["1 + x | g"],
    "us(x | g)": ["x | g"],
    "(0 + x | g)": ["0 + x | g"],
    "(-1 + x | g)": ["- 1 + x | g"],
    "(x - 1 | g)": ["x - 1 | g"],
    "(x || g)": ["1 | g", "0 + x | g"],
    "(1 + x || g)": ["1 | g", "0 + x | g"],
    "(0 + x || g)": ["0 + x | g"],
    "(1 || g)": ["1 | g"],
    "(x * z | g)": ["x * z | g"],
    "(x * z || g)": ["1 | g", "0 + x | g", "0 + z | g", "0 + x:z | g"],
    "(f || g)": ["1 | g", "0 + f | g"],
    "diag(f | g)": ["diag f | g"],
    "diag(0 + f | g)": ["diag 0 + f | g"],
    "(1 | a:b)": ["1 | a:b"],
    "(1 | a/b)": ["1 | a", "1 | a:b"],
    "(1 | a/b/c)": ["1 | a", "1 | a:b", "1 | a:b:c"],
    "(x | a/b)": ["x | a", "x | a:b"],
    "(x || a/b)": ["1 | a", "0 + x | a", "1 | a:b", "0 + x | a:b"],
    "diag(x | a/b)": ["diag x | a", "diag x | a:b"],
    "(1 | a*b)": ["1 | a", "1 | b", "1 | a:b"],
    "(1 | a:b/c)": ["1 | a:b", "1 | a:b:c"],
    "(1 | (a:b)/c)": ["1 | a:b", "1 | a:b:c"],
    "(1 | a/b:c)": ["1 | a", "1 | a:b:c"],
    "(1 | a/(b/c))": ["1 | a", "1 | a:b", "1 | a:b:c"],
    "(1 | C(g))": ["1 | g"],
    "(1 | Q('the g'))": ["1 | the g"],
    "(1 | `the g`)": ["1 | the g"],
    "(1 | `the g`:h)": ["1 | the g:h"],
    "(`the x` | g)": ["Q('the x') | g"],
    "(np.log(x) | g)": ["np.log(x) | g"],
    "(I(x**2) + z | g)": ["I(x**2) + z | g"],
    "(poly(x, 2) | g)": ["poly(x, 2) | g"],
    "(1 | g) + (0 + x | g)": ["1 | g", "0 + x | g"],
    "(0 + x | g) + (1 | g)": ["0 + x | g", "1 | g"],
    "(1 | b) + (1 | a)": ["1 | b", "1 | a"],
    "(1 | a:b) + (0 + x | b:a)": ["1 | a:b", "0 + x | b:a"],
}
"""Random part of a formula: its terms."""

FIXED = {
    "y ~ (1 | g)": ("y", "1"),
    "y ~ 1 + (1 | g)": ("y", "1"),
    "y ~ x + (1 | g)": ("y", "x"),
    "y ~ (1 | g) + x": ("y", "x"),
    "y~x+z+(1|g)": ("y", "x + z"),
    "y ~ + x + (1 | g)": ("y", "x"),
    "y ~ 0 + x + (1 | g)": ("y", "0 + x"),
    "y ~ x - 1 + (1 | g)": ("y", "x - 1"),
    "y ~ -1 + x + (1 | g)": ("y", "1 - 1 + x"),
    "y ~ x * z + (1 | g) - x:z": ("y", "x * z - x:z"),
    "y ~ (x + z)**2 + (1 | g)": ("y", "(x + z)**2"),
    "log(y) ~ log(x) + (1 | g)": ("log(y)", "log(x)"),
    "`the y` ~ `the x` + (1 | g)": ("Q('the y')", "Q('the x')"),
    "Q('the y') ~ x + (1 | g)": ("Q('the y')", "x"),
    "y ~ bs(x, df=4, degree=3) + (1 | g)": ("y", "bs(x, df=4, degree=3)"),
    "y ~ C(f, Sum) + (1 | g)": ("y", "C(f, Sum)"),
    "y ~ I(x > 0) + (1 | g)": ("y", "I(x>0)"),
    "y ~ f['a + (b']\n + (1 | g)": ("y", "f['a + (b']"),
}
"""A formula: its response and its fixed part."""

ERRORS = {
    "y ~ x": ("smf.ols", "y ~ x"),
    "~ x + (1 | g)": ("needs a response", "~"),
    "x + (1 | g)": ("needs a response", "x"),
    "y ~": ("is empty", "~"),
    "y ~ x ~ (1 | g)": ("one '~'", "~"),
    "y ~ x + 1 | g": ("needs parentheses", "1 | g"),
    "y ~ x + (1 | g": ("unmatched parenthesis", "("),
    "y ~ x) + (1 | g)": ("unmatched parenthesis", ")"),
    "y ~ `x + (1 | g)": ("unclosed backtick", "`"),
    "y ~ x + + (1 | g)": ("term is missing", "+"),
    "y ~ (1 | g) +": ("term is missing", "+"),
    "y ~ x - (1 | g)": ("cannot be subtracted", "(1 | g)"),
    "y ~ x - offset(z) + (1 | g)": ("write offset(-(...))", "offset(z)"),
    "y ~ x * (1 | g)": ("stand alone", "x * (1 | g)"),
    "y ~ log((1 | g))": ("inside a call", "log((1 | g))"),
    "y ~ toep(x | g)": ("unknown covariance structure 'toep'", "toep"),
    "y ~ cs(x | g, hom=2)": ("may end in ', hom=True'", "hom=2"),
    "y ~ cs(x | g,)": ("may end in ', hom=True'", ","),
    "y ~ us(x | g, hom=TRUE)": ("may end in ', hom=True'", "hom=TRUE"),
    "y ~ ar1(x | g, TRUE)": ("may end in ', hom=True'", "TRUE"),
    "y ~ cs(x || g)": ("use either cs( | ) or ( || )", "||"),
    "y ~ diag(x || g)": ("diag", "||"),
    "y ~ (x | g | h)": ("one bar", "|"),
    "y ~ (| g)": ("for an intercept", "(| g)"),
    "y ~ (x |)": ("for an intercept", "(x |)"),
    "y ~ (0 | g)": ("no effects", "0"),
    "y ~ (1 | g + h)": ("per grouping factor", "+"),
    "y ~ (1 | log(2))": ("a grouping factor is a column", "log(2)"),
    "y ~ (1 | 2)": ("a grouping factor is a column", "2"),
    "y ~ (1 | a:)": ("grouping factor is missing", ":"),
    "y ~ (1 | g) + (1 | g)": ("the intercept by g", "(1 | g)"),
    "y ~ (1 | g) + (x | g)": ("write (0 + x | g)", "(x | g)"),
    "y ~ (x || g) + (0 + x | g)": ("twice: x by g", "(0 + x | g)"),
    "y ~ (1 | a/b) + (1 | b:a)": ("the intercept by b:a", "(1 | b:a)"),
    "y ~ x^2 + (1 | g)": ("write I(x**2)", "^"),
    "y ~ x + log(x)**3 + (1 | g)": ("write I(log(x)**3)", "**"),
    "y ~ (x)**2 + (1 | g)": ("write I((x)**2)", "**"),
    "y ~ (1 + x)^2 + (1 | g)": ("write I((1 + x)**2)", "^"),
    "y ~ x + (x + x^2 | g)": ("write I(x**2)", "^"),
    "y ~ x + cs(x + `the z`**2 | g)": ("write I(Q('the z')**2)", "**"),
    "y ~ (x + z)^k + (1 | g)": ("whole number", "^k"),
    "y ~ (x + z)^ + (1 | g)": ("whole number", "^ +"),
    "y ~ I(x^2) + (1 | g)": ("write '**'", "^"),
    "y:x ~ (1 | g)": ("the response is an arithmetic", ":"),
    "y | x ~ (1 | g)": ("bar in the response", "|"),
    "y ~ . + (1 | g)": ("name the columns", "."),
    "y ~ as.factor(x) + (1 | g)": ("write 'C(...)'", "as.factor"),
    "y ~ as.numeric(x) + (1 | g)": ("as.numeric", "as.numeric"),
    "cbind(a, b) ~ (1 | g)": ("several columns", "cbind(a, b)"),
}
"""A formula that cannot be read: part of the message, and what the carets mark."""


def spelled(term):
    prefix = "" if term.structure == "us" else f"{term.structure} "
    return f"{prefix}{term.effects} | {term.group}"


@pytest.mark.parametrize("text", RANDOM)
def test_random_terms(text):
    parsed = parse(f"y ~ x + {text}")
    assert [spelled(term) for term in parsed.random] == RANDOM[text]
    assert (parsed.response, parsed.fixed, parsed.offsets) == ("y", "x", ())
    assert all(t.double_bar == ("||" in text) for t in parsed.random)


@pytest.mark.parametrize("text", FIXED)
def test_fixed_part(text):
    parsed = parse(text)
    assert (parsed.response, parsed.fixed) == FIXED[text]
    assert parsed.fixed_formula == " ~ ".join(FIXED[text])
    assert [spelled(term) for term in parsed.random] == ["1 | g"]
    assert parsed.text == text


def test_offsets():
    parsed = parse("y ~ offset(log(n)) + x + offset(2 * z) + (1 | g)")
    assert parsed.offsets == ("log(n)", "2 * z")
    assert parsed.fixed == "x"
    assert parse("y ~ offset(n) + (1 | g)").fixed == "1"


def test_effect_terms():
    (term,) = parse("y ~ (x * z | g)").random
    assert term.effect_terms == {"1", "x", "z", "x:z"}
    assert str(term) == "(x * z | g)"
    assert str(parse("y ~ diag(f|a:b)").random[0]) == "diag(f | a:b)"


def test_grouping_columns():
    parsed = parse("y ~ (1 | a/b) + (1 | c) + (0 + x | a)")
    assert parsed.grouping_columns == ("a", "b", "c")


@pytest.mark.parametrize("text", ERRORS)
def test_errors_mark_the_place(text):
    message, marked = ERRORS[text]
    with pytest.raises(FormulaError) as caught:
        parse(text)
    assert message in str(caught.value).splitlines()[0]
    start, stop = caught.value.span or (0, len(text))
    assert text[start:stop] == marked
    shown, carets = str(caught.value).splitlines()[1:]
    assert shown.endswith(text)
    at = len(shown) - len(text) + start
    assert carets == " " * at + "^" * (stop - start)


def test_only_text():
    with pytest.raises(FormulaError, match="must be a string, not list"):
        parse(["y ~ (1 | g)"])
