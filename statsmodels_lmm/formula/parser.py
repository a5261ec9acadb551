"""lme4's formula language: text to terms, without data."""

import re
from dataclasses import dataclass
from itertools import zip_longest

from patsy import ModelDesc, PatsyError

from statsmodels_lmm.exceptions import FormulaError

STRUCTURES = ("us", "diag", "cs", "ar1")
"""Covariance structures that may stand before a term: ``diag(x | g)``."""

LOGICAL = {"TRUE": True, "T": True, "True": True}
LOGICAL |= {"FALSE": False, "F": False, "False": False}
"""What may follow ``hom =``, in the words of R and of Python."""

TRANSFORMS = {
    *("C", "I", "Q", "abs", "bs", "center", "cr", "exp", "log", "log10", "log1p"),
    *("log2", "np", "poly", "scale", "sqrt", "standardize", "te"),
}

TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<backtick>`[^`]*`)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
      | (?P<percent>%\w+%)
      | (?P<operator>\|\||\*\*|//|==|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """A piece of a formula; `text` is as the formula engine reads it."""

    kind: str
    text: str
    start: int
    stop: int


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
        "us", unstructured, "diag", "cs", "ar1" or a name that the user gave.
    effect_terms : frozenset of str
        Names of the terms in `effects`.
    double_bar : bool
        Whether the term is one part of an expanded ``(effects || grouping)``.
    hom : bool or None
        Whether all effects have the same variance, None if the term does not say.
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
        return self.written(self.group)

    def written(self, group):
        """The term with its grouping factor in other words."""
        prefix = "" if self.structure == "us" else self.structure
        ending = "" if self.hom is None else f", hom={self.hom}"
        return f"{prefix}({self.effects} | {group}{ending})"


@dataclass(frozen=True)
class ModelFormula:
    """
    A formula of a linear mixed model, taken apart.

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
    def grouping_columns(self):
        """Columns used for grouping, each once."""
        return tuple(dict.fromkeys(c for t in self.random for c in t.grouping))

    @property
    def by_factor(self):
        """The random terms of each grouping factor, lists; a:b is b:a."""
        found: dict = {}
        for term in self.random:
            found.setdefault(frozenset(term.grouping), []).append(term)
        return list(found.values())


def parse(text, structures=()):
    """
    Take a formula apart.

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
        With a caret under the place in question.
    """
    if not isinstance(text, str):
        raise FormulaError(f"the formula must be a string, not {type(text).__name__}")
    tokens = tokenize(text)
    _check_operators(tokens, text)
    _check_parentheses(tokens, text)
    left, right = _split_sides(tokens, text)
    fixed: list = []
    offsets: list = []
    random: list = []
    for sign, piece in _split_terms(right, text):
        if any(t.text in ("|", "||") for t in piece):
            if sign == "-":
                raise FormulaError(
                    "a random-effects term cannot be subtracted", text, _span(piece)
                )
            for term in _random_terms(piece, text, structures):
                _check_new(term, random, text, _span(piece))
                random.append(term)
        elif piece[0].text == "offset" and _is_call(piece):
            offsets.append(_join(piece[2:-1]))
        else:
            fixed.append((sign, _join(piece)))
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
    return ModelFormula(text, _join(left), fixed_text, tuple(random), tuple(offsets))


def tokenize(text):
    """
    Cut a formula into tokens; blanks are dropped, backticks become ``Q``.

    Parameters
    ----------
    text : str
        A formula.

    Returns
    -------
    list of Token
    """
    tokens = []
    for match in TOKEN.finditer(text):
        kind, piece = str(match.lastgroup), match.group()
        if kind == "space":
            continue
        if piece == "`":
            raise FormulaError("unclosed backtick", text, match.span())
        if kind == "backtick":
            kind, piece = "name", f"Q({piece[1:-1]!r})"
        if piece == "factor" and text[match.end() :].lstrip().startswith("("):
            piece = "C"  # R's word for it
        tokens.append(Token(kind, piece, *match.span()))
    return tokens


def names_in(text):
    """Names and quoted column names that occur in a piece of formula."""
    tokens = tokenize(text)
    names = set()
    for token, following in zip_longest(tokens, tokens[1:]):
        if token.kind == "name":
            if following is not None and following.text == "=":
                continue  # the name of an argument
            names.add(token.text.split(".")[0])
            names.update(re.findall(r"^Q\(['\"](.*)['\"]\)$", token.text))
        elif token.kind == "string":
            names.add(token.text[1:-1])
    return names


def _span(tokens):
    return tokens[0].start, tokens[-1].stop


def _join(tokens):
    """Text of some tokens, spaced as a person would."""
    out = ""
    for before, token in zip([None, *tokens], tokens):
        spaced = before is not None and (
            token.text in ("+", "-", "*", "/", "|", "||", "~")
            or before.text in ("+", "-", "*", "/", "|", "||", "~", ",")
            or (before.kind in ("name", "number") and token.kind in ("name", "number"))
        )
        out += (" " if spaced else "") + token.text
    return out


def _depths(tokens):
    """Depth of parentheses at each token; a parenthesis counts as outside."""
    depth, out = 0, []
    for token in tokens:
        if token.text in (")", "]", "}"):
            depth -= 1
        out.append(depth)
        if token.text in ("(", "[", "{"):
            depth += 1
    return out


def _check_parentheses(tokens, text):
    stack = []
    closing = {")": "(", "]": "[", "}": "{"}
    for token in tokens:
        if token.text in ("(", "[", "{"):
            stack.append(token)
        elif token.text in closing:
            if not stack or stack.pop().text != closing[token.text]:
                raise FormulaError("unmatched parenthesis", text, _span([token]))
    if stack:
        raise FormulaError("unmatched parenthesis", text, _span(stack[-1:]))


def _check_operators(tokens, text):
    """Refuse what only R understands, with the Python spelling."""
    for before, token, depth in zip([None, *tokens], tokens, _depths(tokens)):
        spelling = None
        if token.text == "^":
            spelling = "'^' is R's power; write '**'"
        elif token.text == "%in%":
            spelling = "'%in%' is R's nesting; write 'a:b' or 'a/b'"
        elif token.text == "." and (
            before is None or before.text in ("~", "+", "-", "*", ":", "/", "(")
        ):
            spelling = "'.' is R's 'all other columns'; name the columns"
        elif depth == 0 and (
            token.text == "=" or (token.text == "-" and _is_arrow(before, token))
        ):
            spelling = "write '~' between response and terms"
            start = before if token.text == "-" else token
            raise FormulaError(spelling, text, (start.start, token.stop))
        elif token.text == "as.factor":
            spelling = "'as.factor()' is R's; write 'C(...)'"
        elif token.text.startswith("as."):
            spelling = f"'{token.text}()' is R's; convert the column before"
        if spelling:
            raise FormulaError(spelling, text, _span([token]))


def _is_arrow(before, token):
    return before is not None and before.text == "<" and before.stop == token.start


def _split_sides(tokens, text):
    tildes = [i for i, t in enumerate(tokens) if t.text == "~"]
    if len(tildes) > 1:
        raise FormulaError("a formula has one '~'", text, _span([tokens[tildes[1]]]))
    if not tildes or tildes[0] == 0:
        raise FormulaError(
            "the formula needs a response: 'response ~ terms'", text, (0, 1)
        )
    left, right = tokens[: tildes[0]], tokens[tildes[0] + 1 :]
    if not right:
        raise FormulaError(
            "nothing stands to the right of '~'", text, _span([tokens[-1]])
        )
    for token in left:
        if token.text in ("|", "||"):
            raise FormulaError("a bar in the response", text, _span([token]))
    if left[0].text == "cbind":
        raise FormulaError(
            "a response of several columns is not a linear mixed model",
            text,
            _span(left),
        )
    return left, right


def _split_terms(tokens, text):
    """Signs and tokens of the terms that are joined by + and - at depth 0."""
    sign = "+"
    piece: list = []
    pieces: list = []
    for token, depth in zip(tokens, _depths(tokens)):
        if depth == 0 and token.text in ("+", "-"):
            unary = not piece and not pieces and sign == "+"
            if not piece and not unary:
                raise FormulaError("a term is missing", text, _span([token]))
            if piece:
                pieces.append((sign, piece))
            sign, piece = token.text, []
        else:
            piece.append(token)
    if not piece:
        raise FormulaError("a term is missing", text, _span([tokens[-1]]))
    return [*pieces, (sign, piece)]


def _is_call(piece):
    """Whether a piece is ``name(...)`` and nothing more."""
    if len(piece) < 3 or piece[0].kind != "name" or piece[1].text != "(":
        return False
    return _closes_at_end(piece[1:])


def _closes_at_end(piece):
    """Whether the parenthesis that opens a piece closes at its very end."""
    depths = _depths(piece)
    return piece[-1].text == ")" and all(d > 0 for d in depths[1:-1])


def _random_terms(piece, text, structures):
    """Random-effects terms of a piece that has a bar in it."""
    structure, hom = "us", None
    bars = [t for t in piece if t.text in ("|", "||")]
    depths = dict(zip(piece, _depths(piece)))
    if any(depths[bar] == 0 for bar in bars):
        raise FormulaError(
            "a random-effects term needs parentheses, "
            f"write ({_join(piece)}) if that is the term",
            text,
            _span(piece),
        )
    inner = piece
    if _is_call(piece):
        name = piece[0].text
        known = [*STRUCTURES, *(s for s in structures if s not in STRUCTURES)]
        nested = depths[bars[0]] > 1 and name not in known
        if name in TRANSFORMS or "." in name or nested:
            raise FormulaError("a bar inside a call", text, _span(piece))
        if name not in known:
            raise FormulaError(
                f"unknown covariance structure '{name}'; known are "
                + ", ".join(known)
                + ". One of your own is given as structures={name: Structure}",
                text,
                _span(piece[:1]),
            )
        structure = name
        inner, hom = _without_hom(piece[1:], name, text)
    while inner[0].text == "(" and len(inner) > 2 and _closes_at_end(inner):
        inner = inner[1:-1]
    depths = dict(zip(inner, _depths(inner)))
    if len(inner) == len(piece) or any(depths[bar] > 0 for bar in bars):
        raise FormulaError(
            "a random-effects term stands alone between '+' signs; "
            "it cannot be part of another term",
            text,
            _span(piece),
        )
    if len(bars) > 1:
        raise FormulaError("a term has one bar", text, _span(bars[1:2]))
    at = inner.index(bars[0])
    left, right = inner[:at], inner[at + 1 :]
    if not left or not right:
        raise FormulaError(
            "write (effects | grouping factor), (1 | g) for an intercept",
            text,
            _span(piece),
        )
    effects = _effect_terms(left, text)
    groupings = _grouping(right, text)
    double = bars[0].text == "||"
    if double and structure != "us":
        raise FormulaError(f"use either {structure}( | ) or ( || )", text, _span(bars))
    parts = [(_join(left), frozenset(effects))]
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


def _without_hom(inner, name, text):
    """A parenthesis without ``, hom = TRUE`` at its end, and what that says."""
    commas = [
        i
        for i, (t, d) in enumerate(zip(inner, _depths(inner)))
        if t.text == "," and d == 1
    ]
    if not commas:
        return inner, None
    option = inner[commas[0] + 1 : -1]
    words = [t.text for t in option]
    said = len(words) == 3 and words[:2] == ["hom", "="] and words[2] in LOGICAL
    if not said or name == "us" or name not in STRUCTURES:
        raise FormulaError(
            "a term may end in ', hom=True' or ', hom=False' after diag, cs and ar1",
            text,
            _span(option or inner[commas[0] : commas[0] + 1]),
        )
    return [*inner[: commas[0]], inner[-1]], LOGICAL[words[2]]


def term_names(text):
    """
    Names of the terms of a piece of formula.

    Parameters
    ----------
    text : str
        Right-hand side without random-effects terms, such as "1 + x * z".

    Returns
    -------
    list of str
        In the order of the text, those of fewer factors first, the constant as "1".
    """
    names = _effect_terms(tokenize(text), text) if text != "0" else []
    return sorted(names, key=_degree)


def _degree(name):
    """How many factors a term has."""
    tokens = tokenize(name)
    joints = sum(t.text == ":" and d == 0 for t, d in zip(tokens, _depths(tokens)))
    return 0 if name == "1" else 1 + joints


def _effect_terms(tokens, text):
    """Names of the terms of the left side of a bar, the intercept as "1"."""
    try:
        terms = ModelDesc.from_formula(_join(tokens)).rhs_termlist
    except PatsyError as error:
        raise FormulaError(error.message, text, _span(tokens)) from None
    names = [t.name() if t.factors else "1" for t in terms]
    if not names:
        raise FormulaError("the term has no effects", text, _span(tokens))
    return names


def _grouping(tokens, text):
    """
    Groupings of the right side of a bar.

    ``a/b`` gives a and a:b, ``a*b`` gives a, b and a:b; ``:`` binds first.
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
            tokens.pop(0)
            return groups
        if token.text in ("Q", "C") and tokens and tokens[0].text == "(":
            closing = [t.text for t in tokens].index(")")
            inside = tokens[1:closing]
            del tokens[: closing + 1]
            return [(inside[0].text.strip("\"'"),)]
        if token.text.startswith("Q("):
            return [(token.text[3:-2],)]
        if token.kind != "name" or "." in token.text:
            raise FormulaError(
                "a grouping factor is a column, or columns joined by ':' or '/'",
                text,
                _span([token]),
            )
        return [(token.text,)]

    last = _span(tokens[-1:])
    groups = product()
    if tokens:
        raise FormulaError(
            "a grouping factor is a column, or columns joined by ':', '/' or '*'; "
            "write a term for each grouping factor",
            text,
            _span(tokens[:1]),
        )
    return list(dict.fromkeys(groups))


def _check_new(term, random, text, span):
    """Refuse an effect that its grouping factor has already."""
    if term.hom:  # with one variance for several effects it is another effect
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
            f"the same random effect twice: {what} by {term.group}", text, span
        )
