"""Parser of lme4's formula language, from text to terms, without data."""

from dataclasses import dataclass, replace
from functools import lru_cache

from patsy import PatsyError

from statsmodels_lmm.core.structures.by_name import STRUCTURES, WITH_HOM
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.size import check_size
from statsmodels_lmm.formula.tokens import (
    depths,
    factors,
    join,
    sides,
    span,
    tokenize,
    written,
)
from statsmodels_lmm.formula.widths import model_terms

LOGICAL = {"TRUE": True, "T": True, "True": True}
LOGICAL |= {"FALSE": False, "F": False, "False": False}
"""Values of ``hom =``, as spelled in R and in Python."""

TRANSFORMS = {
    *("C", "I", "Q", "abs", "bs", "cc", "center", "cr", "exp", "log", "log10", "log1p"),
    *("log2", "np", "ns", "poly", "scale", "sqrt", "standardize", "te"),
}


@dataclass(frozen=True)
class RandomTerm:
    """
    One random-effects term, ``structure(effects | grouping)``.

    Parameters
    ----------
    effects : str
        Formula of the effect columns, such as "1 + x".
    grouping : tuple of str
        Columns whose observed combinations are the levels.
    structure : str
        "us" (unstructured), "diag", "cs", "ar1" or a user-defined name.
    effect_terms : frozenset of str
        Names of the terms in `effects`.
    double_bar : bool
        Whether the term is part of an expanded ``(effects || grouping)``.
    hom : bool or None
        Whether all effects have the same variance, None if not specified.
    """

    effects: str
    grouping: tuple
    structure: str
    effect_terms: frozenset
    double_bar: bool = False
    hom: bool | None = None

    @property
    def group(self):
        """Name of the grouping factor, such as "batch:cask"."""
        return ":".join(self.grouping)

    def __str__(self):
        return self.written(":".join(map(written, self.grouping)))

    def written(self, group):
        """The term with its grouping factor written differently."""
        prefix = "" if self.structure == "us" else self.structure
        ending = "" if self.hom is None else f", hom={self.hom}"
        return f"{prefix}({self.effects} | {group}{ending})"


@dataclass(frozen=True)
class ModelFormula:
    """
    A parsed formula of a linear mixed model.

    Parameters
    ----------
    text : str
        The whole formula as given.
    response : str
        Left-hand side.
    fixed : str
        Fixed part of the right-hand side.
    random : tuple of RandomTerm
        Random-effects terms in the order of the text.
    offsets : tuple of str
        Arguments of ``offset(...)``.
    """

    text: str
    response: str
    fixed: str
    random: tuple
    offsets: tuple

    @property
    def fixed_formula(self):
        """The formula without its random part."""
        return f"{self.response} ~ {self.fixed}"

    @property
    def fixed_pieces(self):
        """The formulas of the fixed effects and offsets."""
        return [self.fixed, *map(offset_formula, self.offsets)]

    @property
    def pieces(self):
        """All formulas to be evaluated."""
        effects = [term.effects for term in self.random]
        return [self.response, *self.fixed_pieces, *effects]

    @property
    def grouping_columns(self):
        """Columns used for grouping, each once."""
        return tuple(dict.fromkeys(c for t in self.random for c in t.grouping))

    @property
    def by_factor(self):
        """Lists of the random terms of each grouping factor; a:b is the same as b:a."""
        terms: dict = {}
        for term in self.random:
            terms.setdefault(frozenset(term.grouping), []).append(term)
        return list(terms.values())


def offset_formula(expression):
    """The formula whose single column is the offset."""
    return f"0 + I({expression})"


def parse(text, structures=()):
    """
    Parse a formula.

    Parameters
    ----------
    text : str
        A formula such as ``"y ~ x + (x | g) + (1 | h)"``.
    structures : collection of str, optional
        Names of covariance structures besides `STRUCTURES`.

    Returns
    -------
    ModelFormula

    Raises
    ------
    FormulaError
        With carets under the place in question.
    """
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be a string, not {type(text).__name__}")
    return _parsed(text, tuple(structures))


@lru_cache(maxsize=64)
def _parsed(text, structures):
    tokens = tokenize(text)
    _check_operators(tokens, text)
    _check_parentheses(tokens, text)
    check_size(tokens)
    left, right = _split_sides(tokens, text)
    right = _in_python_words(right, text)
    fixed: list = []
    offsets: list = []
    random: list = []
    for sign, piece in _split_terms(right, text):
        if any(t.text in ("|", "||") for t in piece):
            if sign == "-":
                raise FormulaError(
                    "a random-effects term cannot be subtracted", text, span(piece)
                )
            for term in _random_terms(piece, text, structures):
                _check_new(term, random, text, span(piece))
                random.append(term)
        elif piece[0].text == "offset" and _is_call(piece):
            if sign == "-":
                raise FormulaError(
                    "an offset cannot be subtracted; write offset(-(...))",
                    text,
                    span(piece),
                )
            offsets.append(join(piece[2:-1]))
        else:
            fixed.append((sign, join(piece)))
    if not random:
        raise FormulaError(
            "the formula has no random-effects term such as (1 | g); "
            "for a model without random effects use statsmodels' smf.ols",
            text,
        )
    joined = " ".join(f"{sign} {piece}" for sign, piece in fixed)
    fixed_text = joined.removeprefix("+ ") or "1"
    if fixed_text.startswith("- "):
        fixed_text = f"1 {fixed_text}"
    return ModelFormula(
        text, _response(left, text), fixed_text, tuple(random), tuple(offsets)
    )


def _check_parentheses(tokens, text):
    stack = []
    closing = {")": "(", "]": "[", "}": "{"}
    for token in tokens:
        if token.text in ("(", "[", "{"):
            stack.append(token)
        elif token.text in closing:
            if not stack or stack.pop().text != closing[token.text]:
                raise FormulaError("unmatched parenthesis", text, span([token]))
    if stack:
        raise FormulaError("unmatched parenthesis", text, span(stack[-1:]))


def _check_operators(tokens, text):
    """Refuse R's syntax, and suggest Python's."""
    for before, token, depth in zip([None, *tokens], tokens, depths(tokens)):
        spelling = None
        if token.text == "^" and token.inside:
            spelling = "'^' is the power in R; write '**'"
        elif token.text == "." and (
            before is None or before.text in ("~", "+", "-", "*", ":", "/", "(")
        ):
            spelling = "'.' for all other columns is R syntax; name the columns"
        elif depth == 0 and (
            token.text == "=" or (token.text == "-" and _is_arrow(before, token))
        ):
            spelling = "write '~' between the response and the terms"
            start = before if token.text == "-" else token
            raise FormulaError(spelling, text, (start.start, token.stop))
        elif depth == 0 and token.text == ",":
            spelling = (
                "the formula must end here; options go outside it, as in "
                "crossedmixedlm(formula, data).fit(reml=False)"
            )
        elif token.text == "$":
            spelling = (
                "'$' is R syntax; write only the column, and pass its table as data"
            )
        elif token.text == "as.factor":
            spelling = "'as.factor()' is an R function; write 'C(...)'"
        elif token.text.startswith("as."):
            spelling = f"'{token.text}()' is an R function; convert the column first"
        if spelling:
            raise FormulaError(spelling, text, span([token]))


def _is_arrow(before, token):
    return before is not None and before.text == "<" and before.stop == token.start


def _split_sides(tokens, text):
    tildes = [t for t in tokens if t.text == "~" and not t.inside]
    if len(tildes) > 1:
        raise FormulaError("a formula has only one '~'", text, span(tildes[1:2]))
    left, right = sides(tokens)
    if not left:
        message = "the formula needs a response: 'response ~ terms'"
        if tokens and tokens[0].text in ("lmer", "lme", "lm"):
            message = (
                f"'{tokens[0].text}()' is an R function; pass its arguments: "
                "crossedmixedlm('y ~ x + (1 | g)', data)"
            )
        raise FormulaError(message, text, (0, 1))
    if not right:
        raise FormulaError(
            "the right-hand side of '~' is empty", text, span([tokens[-1]])
        )
    for token in left:
        if token.text in ("|", "||") and not token.inside:
            raise FormulaError("a bar in the response", text, span([token]))
    if left[0].text == "cbind":
        raise FormulaError(
            "a linear mixed model has a single response, not several columns",
            text,
            span(left),
        )
    return left, right


def _response(tokens, text):
    """Text of the response, which is an arithmetic expression."""
    for token in tokens:
        if not token.inside and token.text in (":", "%in%", ","):
            raise FormulaError(
                f"the response is an arithmetic expression, but '{token.text}' joins "
                "terms; for a product write '*'",
                text,
                span([token]),
            )
    joined = join(tokens)
    return f"-{joined[2:]}" if joined.startswith("- ") else joined


def _in_python_words(tokens, text):
    """R's powers and nesting outside calls, as the formula engines write them."""
    out: list = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.inside or token.text not in ("^", "**", "%in%"):
            out.append(token)
        elif token.text == "%in%":
            out.append(replace(token, kind="operator", text=":"))
            nest = _parenthesis(tokens[position:])
            # what precedes is nested in all of them together, not in each
            out += [
                replace(t, text=":") if t.text in ("+", "*", "/", "%in%") else t
                for t in nest
            ]
            position += len(nest)
        else:
            exponent = _power(out, token, tokens[position : position + 1], text)
            out += [replace(token, text="**"), exponent]
            position += 1
    return out


def _parenthesis(tokens):
    """The tokens of the parenthesis that opens at the first token, if any."""
    if not tokens or tokens[0].text != "(" or tokens[0].inside:
        return []
    for position, (token, depth) in enumerate(zip(tokens, depths(tokens))):
        if position and depth == 0 and token.text == ")":
            return tokens[: position + 1]
    return []


def _power(before, operator, after, text):
    """The exponent of a sum of terms; a power of a single term is refused."""
    base: list = []
    depth = 0
    for token in reversed(before):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0 or (depth == 0 and token.separates and token.text != "("):
            break
        base.insert(0, token)
        if depth == 0 and token.text == "(" and not token.inside:
            break
    exponent = after[0].text if after else ""
    terms = {join(f) for f in factors(base) if f[0].kind != "number"}
    if len(terms) < 2:
        what = join(base) or "x"
        raise FormulaError(
            f"'{operator.text}' crosses terms, and {what} crossed with itself is just "
            f"{what}; write I({what}**{exponent or 2})",
            text,
            span([operator]),
        )
    if not exponent.isdecimal() or int(exponent) < 1:
        raise FormulaError(
            "the power of a sum of terms must be a whole number, such as (a + b)**2",
            text,
            span([operator, *after]),
        )
    return replace(after[0], text=str(min(int(exponent), len(terms))))


def _split_terms(tokens, text):
    """Signs and tokens of the terms joined by + and - at depth 0."""
    sign = "+"
    piece: list = []
    pieces: list = []
    for token, depth in zip(tokens, depths(tokens)):
        if depth == 0 and token.text in ("+", "-"):
            unary = not piece and not pieces and sign == "+"
            if not piece and not unary:
                raise FormulaError("a term is missing", text, span([token]))
            if piece:
                pieces.append((sign, piece))
            sign, piece = token.text, []
        else:
            piece.append(token)
    if not piece:
        raise FormulaError("a term is missing", text, span([tokens[-1]]))
    return [*pieces, (sign, piece)]


def _is_call(piece):
    """Whether a piece is just ``name(...)``."""
    if len(piece) < 3 or piece[0].kind != "name" or piece[1].text != "(":
        return False
    return _closes_at_end(piece[1:])


def _closes_at_end(piece):
    """Whether the parenthesis that opens a piece closes at its very end."""
    inner = depths(piece)
    return piece[-1].text == ")" and all(d > 0 for d in inner[1:-1])


def _random_terms(piece, text, structures):
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
    if _is_call(piece):
        nested = depth[bars[0]] > 1
        structure, inner, hom = _structure(piece, nested, text, structures)
    while inner[0].text == "(" and len(inner) > 2 and _closes_at_end(inner):
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
    groupings = _grouping(right, text)
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
    """Name of a covariance structure, the term that it is of, and ``hom``."""
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
    """Names of the terms left of a bar, the intercept as "1"."""
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


def _grouping(tokens, text):
    """
    Groupings on the right side of a bar.

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
        token = tokens.pop(0)
        if token.text == "(":
            groups = product()
            if tokens:
                tokens.pop(0)
            return groups
        called = [t.text for t in tokens[:3:2]] == ["(", ")"]
        if token.text == "C" and called and tokens[1].kind == "name":
            token = tokens[1]
            del tokens[:3]
        if token.kind != "name" or (token.column is None and "." in token.text):
            message = "a grouping factor is a column, or columns joined by ':' or '/'"
            if token.kind == "name":
                message += f"; quote a name with dots: Q('{token.text}')"
            raise FormulaError(message, text, span([token]))
        return [(token.text if token.column is None else str(token.column),)]

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


def _check_new(term, random, text, span):
    """Refuse an effect that its grouping factor already has."""
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
