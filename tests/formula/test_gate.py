"""Formulas from strangers: what passes, what does not, and that nothing runs."""

import sys

import numpy as np
import pandas as pd
import patsy
import pytest
from samples import load

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.api import crossedmixedlm
from statsmodels_lmm.formula.gate import check_formula
from statsmodels_lmm.formula.parser import parse

COLUMNS = ["y", "x", "z", "f", "g", "h", "a", "b", "größe", "the x", "open"]

HONEST = {
    "y ~ x + (1 | g)": "y x g",
    "y ~ x * z + (x | g) + (1 | h)": "y x z g h",
    "y ~ x + (x || g)": "y x g",
    "y ~ 1 + (1 | a/b) - 1": "y a b",
    "y ~ (x + z + a)**2 + (1 | g)": "y x z a g",
    "y ~ I(x**2) + I(x / 1000000 - 2.5e-3) + (1 | g)": "y x g",
    "y ~ I(2**x) + I(x**-0.5) + (1 | g)": "y x g",
    "y ~ I((x > 0) & (z != 1)) + (1 | g)": "y x z g",
    "log(y) ~ np.log1p(x) + (1 | g)": "y x g",
    "y ~ np.where(x > 0, x, 0) + (1 | g)": "y x g",
    "y ~ bs(x, df=4, degree=3) + cr(z, 5) + (1 | g)": "y x z g",
    "y ~ bs(x, knots=[1.5, -2]) + (1 | g)": "y x g",
    "y ~ bs(x, 5, None, 2) + cc(z, df=4) + (1 | g)": "y x z g",
    "y ~ bs(x, knots=(1,), lower_bound=-3, upper_bound=4) + (1 | g)": "y x g",
    "y ~ bs(x, df=50, degree=5, include_intercept=True) + (1 | g)": "y x g",
    "y ~ te(cr(x, df=9), te(cr(z, df=9), cc(a, df=9))) + (1 | g)": "y x z a g",
    "y ~ bs(x, df=9) * bs(z, df=9) + (1 | g)": "y x z g",
    "y ~ np.round(x, 2) + np.clip(z, 0, 1) + (1 | g)": "y x z g",
    "y ~ scale(x, ddof=1) + poly(z, 2, raw=False) + (1 | g)": "y x z g",
    "y ~ te(cr(x, df=4), cr(z, df=4)) + (1 | g)": "y x z g",
    "y ~ cr(x, df=4, constraints='center') + (1 | g)": "y x g",
    "y ~ poly(x, 2) + scale(z) + center(a) + (1 | g)": "y x z a g",
    "y ~ C(f, Treatment('low')) + C(a, Sum) + (1 | g)": "y f a g",
    "y ~ C(f, Treatment(reference='low')) + (1 | g)": "y f g",
    "y ~ C(f, levels=['low', 'top']) + (1 | g)": "y f g",
    "y ~ C(f, contr.treatment('low')) + (1 | g)": "y f g",
    "y ~ factor(f) + offset(log(x)) + (1 | g)": "y f x g",
    "y ~ `the x` + Q('the x'):z + (1 | g)": "y the x z g",
    "y ~ größe + (größe | g)": "y größe g",
    "y ~ open + (1 | g)": "y open g",
    "y ~ x + cs(1 + x | g, hom=TRUE) + ar1(0 + C(f) | h)": "y x g f h",
    "y ~ x + diag(0 + f | g)": "y x f g",
    "y ~ x * pi + (1 | g:h)": "y x g h",
    "y\n ~ x\n + (1 | g)": "y x g",
}
"""A formula and the columns that it uses."""

ATTACKS = {
    "y ~ __import__('os').system('true') + (1 | g)": "__import__",
    "y ~ I(__import__('os')) + (1 | g)": "__import__",
    "y ~ x - __import__('os') + (1 | g)": "__import__",
    "__import__('os') ~ x + (1 | g)": "__import__",
    "y ~ x + (__import__('os') | g)": "__import__",
    "y ~ x + (0 + x:open('f') || g)": "open",
    "y ~ x + diag(open('f') | g)": "open",
    "y ~ x + offset(open('f')) + (1 | g)": "open",
    "y ~ x + (1 | open('f'))": "open",
    "y ~ (x + open('f'))**2 + (1 | g)": "open",
    "y ~ open('f') + (1 | g)": "open",
    "y ~ log(open('f')) + (1 | g)": "open",
    "y ~ eval('1') + (1 | g)": "eval",
    "y ~ exec('1') + (1 | g)": "exec",
    "y ~ getattr(np, 'load') + (1 | g)": "getattr",
    "y ~ np.load('f') + (1 | g)": "np.load",
    "y ~ np.fromfile('f') + (1 | g)": "np.fromfile",
    "y ~ np.zeros(99) + (1 | g)": "np.zeros",
    "y ~ np.log.__class__ + (1 | g)": "np.log.__class__",
    "y ~ np.lib.npyio.os.system('true') + (1 | g)": "np.lib.npyio.os.system",
    "y ~ np . load('f') + (1 | g)": "np",
    "y ~ I(np) + (1 | g)": "np",
    "y ~ x.to_csv('f') + (1 | g)": "x.to_csv",
    "y ~ x.values + (1 | g)": "x.values",
    "y ~ ().__class__ + (1 | g)": "(",
    "y ~ (1).__class__ + (1 | g)": "(",
    "y ~ I('a'.join) + (1 | g)": "'a'",
    "y ~ x['__class__'] + (1 | g)": "x",
    "y ~ I(x[0]) + (1 | g)": "x",
    "y ~ [x for x in z] + (1 | g)": "[",
    "y ~ I([i for i in x]) + (1 | g)": "[",
    "y ~ I(lambda: 1) + (1 | g)": "lambda",
    "y ~ (lambda: x)() + (1 | g)": "(lambda: x)()",
    "y ~ I(x if z else a) + (1 | g)": "x",
    "y ~ I(y := x) + (1 | g)": "I(y := x)",
    "y ~ I(await x) + (1 | g)": "await",
    "y ~ log(*x) + (1 | g)": "*",
    "y ~ log(**x) + (1 | g)": "log",
    "y ~ I(f'{x}') + (1 | g)": "f'{x}'",
    "y ~ I(rb'x') + (1 | g)": "rb'x'",
    "y ~ I('%s' % x) + (1 | g)": "'%s'",
    "y ~ I('{0.__class__}'.format(x)) + (1 | g)": "'{0.__class__}'",
    "y ~ Q('__builtins__') + (1 | g)": "Q('__builtins__')",
    "y ~ Q(x) + (1 | g)": "Q",
    "y ~ Q('the x' + open('f')) + (1 | g)": "Q",
    "y ~ Q('''the x''') + (1 | g)": "'the x'",
    "y ~ Q('the ' 'x') + (1 | g)": "'x'",
    "y ~ Q('\\x7a\\x7a') + (1 | g)": "Q('\\x7a\\x7a')",
    "y ~ C(f, Treatment('\\x79')) + (1 | g)": "\\",
    "y ~ x # + open('f') + (1 | g)": "#",
    "y ~ x + \uff4f\uff50\uff45\uff4e('f') + (1 | g)": "\uff4f\uff50\uff45\uff4e",
    "y ~ np.\uff4c\uff4f\uff41\uff44('f') + (1 | g)": "np.\uff4c\uff4f\uff41\uff44",
    "y ~ \u202ex + (1 | g)": "\u202e",
    "y ~ \x00x + (1 | g)": "\x00",
    "y ~ x @ z + (1 | g)": "x",
    "y ~ I(x << 9999) + (1 | g)": "I(x << 9999)",
    "y ~ I(x**10**10**10) + (1 | g)": "10",
    "y ~ I(10**10**10) + (1 | g)": "10",
    "y ~ I(x * 9**9999999) + (1 | g)": "9",
    "y ~ I((1 + 1)**(9 * 9)) + (1 | g)": "(",
    "y ~ I(x**99999) + (1 | g)": "99999",
    "y ~ (x + z)**99999999 + (1 | g)": "(x + z)**99999999",
    "y ~ (x + z)**2**9 + (1 | g)": "(x + z)**2**9",
    "y ~ x + ((x + z)**99999999 | g)": "(x + z)**99999999",
    "y ~ poly(x, 99999999) + (1 | g)": "99999999",
    "y ~ bs(x, df=99999999) + (1 | g)": "99999999",
    "y ~ bs(x, df=9 * 9) + (1 | g)": "9",
    "y ~ bs(x, df=50, degree=49) + (1 | g)": "49",
    "y ~ bs(x, df=50, degree=6) + (1 | g)": "6",
    "y ~ bs(x, df=50, degree=-1) + (1 | g)": "-",
    "y ~ bs(x, df=50, degree=True) + (1 | g)": "True",
    "y ~ bs(x, df=50, degree=x) + (1 | g)": "x",
    "y ~ bs(x, 50, None, 49) + (1 | g)": "49",
    "y ~ bs(x, 50, [0], 3 + 3) + (1 | g)": "3",
    "y ~ te(bs(x, df=9, degree=9), z) + (1 | g)": "9",
    "y ~ x + (bs(x, df=9, degree=9) | g)": "9",
    "y ~ cr(x, 51) + (1 | g)": "51",
    "y ~ poly(x, 0) + (1 | g)": "0",
    "y ~ cc(x, df=51) + (1 | g)": "51",
    "y ~ bs(x, knots=x) + (1 | g)": "x",
    "y ~ bs(x, knots=[1, x]) + (1 | g)": "[",
    "y ~ bs(x, knots=[1e999]) + (1 | g)": "[",
    "y ~ cr(x, knots=['a']) + (1 | g)": "[",
    "y ~ cr(x, knots=[0" + ", 0" * 50 + "]) + (1 | g)": "[",
    "y ~ bs(x, df=4, lower_bound=z) + (1 | g)": "z",
    "y ~ bs(x, df=4, upper_bound=1e999) + (1 | g)": "1e999",
    "y ~ bs(x, knots=[2], lower_bound=3) + (1 | g)": "bs",
    "y ~ bs(x, df=4, lower_bound=3, upper_bound=2) + (1 | g)": "bs",
    "y ~ bs(x, df=4, include_intercept=z) + (1 | g)": "z",
    "y ~ bs(x, df=4, extrapolation='extend') + (1 | g)": "bs",
    "y ~ np.log(x, z) + (1 | g)": "np.log",
    "y ~ np.log(x, out=z) + (1 | g)": "np.log",
    "y ~ np.clip(x, 0, 1, z) + (1 | g)": "np.clip",
    "y ~ center(x, _state=z) + (1 | g)": "center",
    "y ~ I(x * 1e999) + (1 | g)": "1e999",
    "y ~ C(f, levels=[open('f')]) + (1 | g)": "[",
    "y ~ C(f, open) + (1 | h) + (1 | nope)": "nope",
    "y ~ unknown + (1 | g)": "unknown",
    "y ~ True + x(1) + (1 | g)": "True",
    "y ~ print + (1 | g)": "print",
    "y ~ x + (x | g)}": "}",
    "y ~ x) + (x | g": ")",
}
"""A formula and the place that its error points at."""


@pytest.mark.parametrize("formula", HONEST)
def test_honest(formula):
    used = check_formula(formula, COLUMNS)
    expected = HONEST[formula].replace("the x", "the_x").split()
    assert used == [name.replace("the_x", "the x") for name in expected]


@pytest.mark.parametrize("formula", ATTACKS)
def test_attack(formula):
    with pytest.raises(FormulaError) as caught:
        check_formula(formula, COLUMNS)
    place = ATTACKS[formula].replace("\n", " ")
    start, stop = caught.value.span
    assert formula[start:stop] == place
    assert "^" in str(caught.value)


def test_what_passes_is_what_patsy_evaluates():
    """The pieces of Python that patsy cuts out all pass on their own."""
    for formula in HONEST:
        parsed = parse(formula)
        texts = [parsed.fixed_formula, *(t.effects for t in parsed.random)]
        texts += [f"0 + I({offset})" for offset in parsed.offsets]
        for text in texts:
            description = patsy.ModelDesc.from_formula(text)
            for term in description.lhs_termlist + description.rhs_termlist:
                for factor in term.factors:
                    check_formula(f"y ~ {factor.code} + (1 | g)", COLUMNS)


def test_nothing_runs(tmp_path):
    """What the formula engine would run, the gate does not."""
    file = tmp_path / "ran"
    call = f"open('{file.as_posix()}', 'w').close()"
    for formula in (f"y ~ I({call}) + (1 | g)", f"y ~ x + (0 + I({call}) | g)"):
        with pytest.raises(FormulaError):
            check_formula(formula, COLUMNS)
    assert not file.exists()
    patsy.dmatrix(f"I({call} or x)", {"x": [1.0]})
    assert file.exists()


WIDE = [
    "te(bs(x,df=50),te(bs(x,df=50),te(bs(x,df=50),bs(x,df=50))))",
    "te(bs(x, df=50), bs(z, df=21))",
    "te(te(x, te(cr(x, 40), z)), scale(cc(z, df=40)))",
    "bs(x, df=50):bs(z, df=50)",
    "bs(x, df=50) * bs(z, df=50)",
    "(bs(x, df=50) + z) * (bs(a, df=40) + b)",
    "(bs(x, df=50) + bs(z, df=50))**2",
    "poly(poly(x, 50), 50)",
    "x + (0 + bs(x, df=50):bs(z, df=50) | h)",
    "x + diag(0 + cr(x, 40):cr(z, 40) | h)",
]


@pytest.mark.parametrize("terms", WIDE)
def test_columns_are_counted_before_anything_is_built(terms):
    with pytest.raises(FormulaError, match="more than 1000 columns, counting a factor"):
        check_formula(f"y ~ {terms} + (1 | g)", COLUMNS)


BOMBS = {
    "nested powers": "y ~ (((x + z + a + b)**20)**20)**20 + (1 | g)",
    "long": "y ~ x" + " + x" * 1000 + " + (1 | g)",
    "deep": "y ~ " + "(" * 500 + "x" + ")" * 500 + " + (1 | g)",
    "deep call": "y ~ " + "log(" * 100 + "x" + ")" * 100 + " + (1 | g)",
    "deep grouping": "y ~ x + (1 | " + "(" * 200 + "g" + ")" * 200 + ")",
    "crossed": "y ~ " + "*".join("xzabfgh" * 3) + " + (1 | g)",
    "crossed effects": "y ~ x + (" + "*".join("xzabfgh" * 3) + " | g)",
    "crossed groups": "y ~ x + (1 | " + "/".join("abfgh" * 5) + ")",
    "power": "y ~ (x + z + a + b + f + g + h + open)**8 * (x + z) + (1 | g)",
    "product": "y ~ " + ":".join(["(x + z + a)"] * 9) + " + (1 | g)",
    "number": "y ~ I(x + " + "9" * 1900 + "**2) + (1 | g)",
    "sum": "y ~ I(x" + "+x" * 900 + ") + (1 | g)",
    "minus": "y ~ I(" + "-" * 1900 + "x) + (1 | g)",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name):
    """Evaluated, they would take all memory or never end."""
    with pytest.raises(FormulaError):
        check_formula(BOMBS[name], COLUMNS)


def test_limits_stand_in_the_message():
    with pytest.raises(FormulaError, match="2019 characters; at most 2000"):
        check_formula("y ~ x + (1 | g)" + " " * 2004, COLUMNS)
    with pytest.raises(FormulaError, match="more than 500 terms"):
        check_formula(BOMBS["product"], COLUMNS)
    with pytest.raises(FormulaError, match="more than 20 deep"):
        check_formula(f"y ~ {'(' * 30}x{')' * 30} + (1 | g)", COLUMNS)


def test_errors_of_grammar_are_the_parsers():
    for formula in ("y ~ x", "y ~ x + 1 | g", "y ~ x + sprite(1 | g)"):
        with pytest.raises(FormulaError) as caught:
            check_formula(formula, COLUMNS)
        with pytest.raises(FormulaError) as expected:
            parse(formula)
        assert str(caught.value) == str(expected.value)
    check_formula("y ~ x + sprite(1 | g)", COLUMNS, structures={"sprite"})


@pytest.mark.parametrize("formula", ["", "**", "~", "y ~ **:x + (1 | g)", "y ~ x +"])
def test_fragments(formula):
    with pytest.raises(FormulaError):
        check_formula(formula, COLUMNS)


def test_no_string():
    with pytest.raises(FormulaError, match="must be a string, not int"):
        check_formula(3, COLUMNS)


def test_columns_of_other_kinds():
    frame = pd.DataFrame({"y": [1.0], 1: [2.0], "__x": [3.0], "g": [0]})
    assert check_formula("y ~ Q(1) + (1 | g)", frame.columns) == ["y", 1, "g"]
    with pytest.raises(FormulaError, match="'__x' is not a column"):
        check_formula("y ~ __x + (1 | g)", frame.columns)


def test_a_function_is_no_column():
    with pytest.raises(FormulaError, match="'log' is not a column"):
        check_formula("y ~ log + (1 | g)", ["y", "g"])
    with pytest.raises(FormulaError, match="'x' is not a function on the list"):
        check_formula("y ~ x(1) + (1 | g)", COLUMNS)


def test_a_formula_that_passed_fits_without_names_of_the_caller():
    data = load("sleepstudy")
    formula = "log(Reaction) ~ scale(Days) + np.sqrt(Days) + (1 | Subject)"
    assert check_formula(formula, data) == ["Reaction", "Days", "Subject"]
    result = crossedmixedlm(formula, data, eval_env=-1).fit()
    assert np.isfinite(result.llf)


def test_recursion_limit_does_not_matter():
    """The deepest formula allowed needs little of the stack."""
    formula = "y ~ " + "(" * 20 + "x" + ")" * 20 + " + (1 | g)"
    limit = sys.getrecursionlimit()
    depth = 0
    frame = sys._getframe()
    while frame:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 150)
    try:
        assert check_formula(formula, COLUMNS) == ["y", "x", "g"]
    finally:
        sys.setrecursionlimit(limit)


# errors ----------------------------------------------------------------------


def test_texts_of_errors_pass():
    told = {"residual": "ar1(`the x` | g:h, by=f)", "dispersion": "~ log(a) * b"}
    used = check_formula("y ~ z", COLUMNS, subset="open > 1", **told)
    assert used == ["y", "z", "the x", "g", "h", "f", "a", "b", "open"]
    with pytest.raises(FormulaError, match="no random-effects term"):
        check_formula("y ~ z", COLUMNS)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"residual": "ar1(eval('x') | g)"}, "left of the bar"),
        ({"residual": "ar1(x | other)"}, "'other' is not a column on the list"),
        ({"residual": "ar1(x | x.__class__)"}, "not a column on the list"),
        ({"residual": "ar1(x | g) # more"}, "'#' is not allowed"),
        ({"residual": "arma(x | g, q=31)"}, "larger than 30"),
        ({"residual": 3}, "not a text"),
        ({"residual": f"ar1(x | {'g' * 3000})"}, "at most 2000"),
        ({"dispersion": "~ x.__class__"}, "__class__"),
        ({"dispersion": "~ __import__('os')"}, "'__import__' is not a function"),
        ({"dispersion": "~ (1 | g)"}, "no bar"),
    ],
    ids=str,
)
def test_texts_of_errors_that_do_not(told, said):
    with pytest.raises(FormulaError, match=said):
        check_formula("y ~ z + (1 | g)", COLUMNS, **told)
