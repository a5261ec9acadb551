"""Parser of random-effects terms, such as ``(1 + x | g)``."""

from patsy import PatsyError

from statsmodels_lmm.core.structures.base import Structure
from statsmodels_lmm.core.structures.by_name import STRUCTURES, WITH_HOM
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.model_formula import RandomTerm
from statsmodels_lmm.formula.names import names_in
from statsmodels_lmm.formula.pieces import (
    closes_at_end,
    depths,
    factors,
    is_call,
    join,
    span,
)
from statsmodels_lmm.formula.tokens import Expression, tokenize
from statsmodels_lmm.formula.widths import model_terms

LOGICAL = {"TRUE": True, "T": True, "True": True}
LOGICAL |= {"FALSE": False, "F": False, "False": False}
"""Values of ``hom =``, as spelled in R and in Python."""

TRANSFORMS = {
    *("C", "I", "Q", "abs", "bs", "cc", "center", "cr", "cut", "exp", "log", "log10"),
    *("log1p", "log2", "np", "ns", "poly", "scale", "sqrt", "standardize", "te"),
}


def random_terms(piece, text, structures):
    """Random-effects terms of a piece with a bar."""
    structure, hom = "us", None
    bars = [t for t in piece if t.text in ("|", "||")]
    depth = dict(zip(piece, depths(piece)))
    if any(depth[bar] == 0 for bar in bars):
        raise FormulaError(
            "a random-effects term needs parentheses: "
            f"write ({join(piece)}) if that is the term",
            text,
            span(piece),
        )
    inner = piece
    if is_call(piece):
        nested = depth[bars[0]] > 1
        structure, inner, hom = _structure(piece, nested, text, structures)
    while inner[0].text == "(" and len(inner) > 2 and closes_at_end(inner):
        inner = inner[1:-1]
    depth = dict(zip(inner, depths(inner)))
    if len(inner) == len(piece) or any(depth[bar] > 0 for bar in bars):
        raise FormulaError(
            "a random-effects term must stand alone between '+' signs; "
            "it cannot be part of another term",
            text,
            span(piece),
        )
    if len(bars) > 1:
        raise FormulaError("a term has only one bar", text, span(bars[1:2]))
    place = inner.index(bars[0])
    left, right = inner[:place], inner[place + 1 :]
    if not left or not right:
        raise FormulaError(
            "write (effects | grouping factor), such as (1 | g) for an intercept",
            text,
            span(piece),
        )
    effects = _effect_terms(left, text)
    groupings = grouping(right, text)
    double = bars[0].text == "||"
    if double and structure != "us":
        raise FormulaError(f"use either {structure}( | ) or ( || )", text, span(bars))
    parts = [(join(left), frozenset(effects))]
    if double:
        parts = [
            (name if name == "1" else f"0 + {name}", frozenset([name]))
            for name in effects
        ]
    return [
        RandomTerm(formula, grouping, structure, names, double, hom)
        for grouping in groupings
        for formula, names in parts
    ]


def _structure(piece, nested, text, structures):
    """Name of a covariance structure, its term, and ``hom``."""
    name = piece[0].text
    known = [*STRUCTURES, *(s for s in structures if s not in STRUCTURES)]
    if name in TRANSFORMS or "." in name or (nested and name not in known):
        raise FormulaError("a bar inside a call", text, span(piece))
    if name not in known:
        raise FormulaError(
            f"unknown covariance structure '{name}'; known are "
            + ", ".join(known)
            + ". Pass your own as structures={name: Structure}",
            text,
            span(piece[:1]),
        )
    return name, *_without_hom(piece[1:], name, text)


def _without_hom(inner, name, text):
    """A parenthesis without the option ``, hom = TRUE``, and the option's value."""
    commas = [
        i
        for i, (t, d) in enumerate(zip(inner, depths(inner)))
        if t.text == "," and d == 1
    ]
    if not commas:
        return inner, None
    option = inner[commas[0] + 1 : -1]
    words = [t.text for t in option]
    said = len(words) == 3 and words[:2] == ["hom", "="] and words[2] in LOGICAL
    if not said or name not in WITH_HOM:
        raise FormulaError(
            "a term may end in ', hom=True' or ', hom=False' after "
            f"{', '.join(WITH_HOM[:-1])} and {WITH_HOM[-1]}",
            text,
            span(option or inner[commas[0] : commas[0] + 1]),
        )
    return [*inner[: commas[0]], inner[-1]], LOGICAL[words[2]]


def term_names(text):
    """
    Names of the terms of a piece of a formula.

    Parameters
    ----------
    text : str
        Right-hand side without random-effects terms, such as "1 + x * z".

    Returns
    -------
    list of str
        The names in the order of the text, terms of fewer factors first, the constant
        as "1".
    """
    names = _effect_terms(tokenize(text), text) if text != "0" else []
    return sorted(names, key=lambda n: n != "1" and len(factors(tokenize(n))))


def _effect_terms(tokens, text):
    """Names of the terms to the left of a bar, the intercept as "1"."""
    try:
        terms = model_terms(join(tokens)).rhs_termlist
    except PatsyError as error:
        raise FormulaError(error.message, text, span(tokens)) from None
    except RecursionError:
        raise FormulaError("the formula is nested too deeply", text) from None
    names = [t.name() if t.factors else "1" for t in terms]
    if not names:
        raise FormulaError("the term has no effects", text, span(tokens))
    return names


def grouping(tokens, text):
    """
    Grouping factors to the right of a bar.

    ``a/b`` gives a and a:b, ``a*b`` gives a, b and a:b; ``:`` binds tightest.
    """
    tokens = list(tokens)

    def product():
        groups = interaction()
        while tokens and tokens[0].text in ("/", "*"):
            operator = tokens.pop(0).text
            right = interaction()
            if operator == "/":
                crossed = [tuple(dict.fromkeys(groups[-1] + r)) for r in right]
                groups = groups + crossed
            else:
                crossed = [tuple(dict.fromkeys(g + r)) for g in groups for r in right]
                groups = groups + right + crossed
        return groups

    def interaction():
        groups = atom()
        while tokens and tokens[0].text == ":":
            tokens.pop(0)
            right = atom()
            groups = [tuple(dict.fromkeys(g + r)) for g in groups for r in right]
        return groups

    def atom():
        if not tokens:
            raise FormulaError("a grouping factor is missing", text, last)
        if tokens[0].text == "(" and not tokens[0].inside:
            del tokens[0]
            groups = product()
            if tokens:
                del tokens[0]
            return groups
        size = next((i for i, t in enumerate(tokens) if t.separates), len(tokens))
        factor = tokens[: max(size, 1)]
        del tokens[: len(factor)]
        return [(_grouping_factor(factor, text),)]

    last = span(tokens[-1:])
    groups = product()
    if tokens:
        raise FormulaError(
            "a grouping factor is a column, or columns joined by ':', '/' or '*'; "
            "write one term per grouping factor",
            text,
            span(tokens[:1]),
        )
    return list(dict.fromkeys(groups))


def _grouping_factor(tokens, text):
    """The name of a column, or an expression; ``C(g)`` is g."""
    place = span(tokens)
    if tokens[0].text == "C" and is_call(tokens) and len(tokens) > 3:
        tokens = tokens[2:-1]
    first = tokens[0]
    if first.kind == "name" and len(tokens) == 1:
        if first.column is not None:
            return str(first.column)
        return Expression(first.text) if "." in first.text else first.text
    whole = all(not t.separates for t in tokenize(join(tokens)))
    expression = join(tokens) if whole else f"I({join(tokens)})"
    if not names_in(expression).read:
        raise FormulaError(
            "a grouping factor is a column, or columns joined by ':' or '/'",
            text,
            place,
        )
    return Expression(expression)


def check_new(term, random, text, span):
    """Reject an effect that its grouping factor already has."""
    if term.hom:  # with a common variance it is a different effect
        return
    same = [t for t in random if set(t.grouping) == set(term.grouping) and not t.hom]
    twice = term.effect_terms & {name for t in same for name in t.effect_terms}
    if twice == {"1"} and term.effect_terms != {"1"}:
        rest = term.effects.removeprefix("1 + ")
        raise FormulaError(
            f"the intercept occurs twice for {term.group}; write (0 + {rest} | "
            f"{term.group}) for the slope alone",
            text,
            span,
        )
    if twice:
        what = "the intercept" if twice == {"1"} else ", ".join(sorted(twice))
        raise FormulaError(
            f"a random effect occurs twice: {what} by {term.group}", text, span
        )


def checked_structures(structures):
    """
    The user's covariance structures.

    Parameters
    ----------
    structures : dict or None
        Structures by the names that precede a term.

    Returns
    -------
    dict

    Raises
    ------
    TypeError, ValueError
        If one is no structure, or its name has a meaning already.
    """
    structures = dict(structures or {})
    for name, structure in structures.items():
        if not isinstance(structure, Structure):
            raise TypeError(
                f"structures={{{name!r}: ...}} must be an object of a subclass of "
                f"statsmodels_lmm.Structure, not {structure!r}"
            )
        reserved = {*STRUCTURES, *TRANSFORMS, "factor", "offset"}
        if not str(name).isidentifier() or name in reserved:
            raise ValueError(f"{name!r} cannot be the name of a custom structure")
    return structures
