"""Tokens of a formula, including columns of any name."""

import ast
import keyword
import re
import unicodedata
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache

from statsmodels_lmm.exceptions import FormulaError

MAX_LENGTH = 50_000
MAX_DEPTH = 50

OPERATOR_WORDS = {
    *("and", "else", "for", "if", "in", "is", "lambda", "not", "or"),
    *("False", "None", "True"),
}
"""Words with a meaning in Python inside a call."""

SEPARATORS = {
    *("+", "-", "*", "/", ":", "**", "^", "%in%", "|", "||", "~", ",", "(", ")")
}
"""Operators between the factors of a formula, outside calls."""

TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<string>(?:\b[rRuUbBfF]{1,2})?(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'))
      | (?P<backtick>`[^`]*`)
      | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)
      | (?P<percent>%\w+%)
      | (?P<operator>\|\||\*\*|//|==|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Token:
    """
    A piece of a formula.

    Parameters
    ----------
    kind : str
        "name", "number", "string", "attribute" or "operator".
    text : str
        Text shown in terms and tables.
    start, stop : int
        Position in the formula.
    column : str, int or None
        The column that the token names, if Python would read the text differently.
    inside : bool
        Whether the token is inside a call such as ``log(x)``, which Python reads.
    """

    kind: str
    text: str
    start: int
    stop: int
    column: str | int | None = None
    inside: bool = False

    @property
    def python(self):
        """The text for Python, where a column of any name is ``Q('name')``."""
        return self.text if self.column is None else f"Q({self.column!r})"

    @property
    def separates(self):
        """Whether the token stands outside calls and separates factors."""
        return not self.inside and self.text in SEPARATORS

    @property
    def is_word(self):
        """Whether the token is a name, a number or a string."""
        return self.kind in ("name", "number", "string")

    @property
    def starts_operand(self):
        """Whether an operand may start with the token."""
        return self.is_word or self.text in ("(", "[", "{")

    @property
    def ends_operand(self):
        """Whether an operand may end with the token."""
        return self.is_word or self.text in (")", "]", "}")


class Expression(str):
    """A grouping factor computed from columns, as written, such as ``cut(x, 3)``."""


def is_python_name(name):
    """
    Whether a column name can be used in Python unchanged.

    Parameters
    ----------
    name : str
        Name of a column.

    Returns
    -------
    bool
        False for Python keywords, for letters that Python replaces by others, and for
        those that formula engines do not accept, such as vowel signs.
    """
    plain = _is_one_word(name) and not keyword.iskeyword(name)
    return plain and unicodedata.normalize("NFKC", name) == name


def _is_one_word(name):
    """Whether patsy and formulaic, like Python, read a name as one token."""
    return name.isidentifier() and re.fullmatch(r"\w+", name) is not None


def written(column, inside=False):
    """
    Spell the name of a column as in a formula.

    Parameters
    ----------
    column : str or int
        The name.
    inside : bool, optional
        Whether the name is inside a call.

    Returns
    -------
    str
        Such as "x", "yield" or "Q('my column')"; an expression is returned unchanged.
    """
    if isinstance(column, Expression):
        return column
    bare = isinstance(column, str) and _is_one_word(column)
    if bare and not (inside and column in OPERATOR_WORDS):
        return column
    return f"Q({column!r})"


@lru_cache(maxsize=64)
def tokenize(text):
    """
    Split a formula into tokens, dropping blanks.

    Parameters
    ----------
    text : str
        A formula, or a piece of one.

    Returns
    -------
    tuple of Token

    Raises
    ------
    FormulaError
        If the formula is too long, or its parentheses are nested too deeply.
    """
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text)} characters; at most {MAX_LENGTH} are read. "
            "Pass a design with so many columns as an array to CrossedMixedLM"
        )
    tokens = []
    for match in TOKEN.finditer(_with_marks(text)):
        kind, piece = str(match.lastgroup), text[slice(*match.span())]
        if kind == "space":
            continue
        if piece == "`":
            raise FormulaError("unclosed backtick", text, match.span())
        column = piece[1:-1] if kind == "backtick" else None
        if column is not None:
            kind, piece = "name", f"Q({column!r})"
        if piece == "factor" and text[match.end() :].lstrip().startswith("("):
            piece = "C"  # R's name for it
        tokens.append(Token(kind, piece, *match.span(), column))
    return tuple(_with_words(_in_calls(_with_quoted(tokens), text)))


def _with_marks(text):
    """A text with letters for accents and vowel signs, as in Python names."""
    if text.isascii():
        return text
    is_mark = [unicodedata.category(c) in ("Mn", "Mc") for c in text]
    return "".join("_" if mark else c for c, mark in zip(text, is_mark))


def _with_quoted(tokens):
    """Tokens with each ``Q('name')`` as one."""
    out: list = []
    position = 0
    while position < len(tokens):
        four = tokens[position : position + 4]
        token = four[0]
        after_dot = bool(out) and out[-1].text == "."
        if [t.text for t in (four[0], *four[1::2])] == [
            "Q",
            "(",
            ")",
        ] and not after_dot:
            column = _literal(four[2])
            if column is not None:
                text = f"Q({column!r})"
                token = Token("name", text, token.start, four[3].stop, column)
                position += 3
        out.append(token)
        position += 1
    return out


def _literal(token):
    """The string or whole number that a token stands for, else None."""
    if token.kind not in ("string", "number"):
        return None
    text = token.text.replace("\n", "\\n").replace("\r", "\\r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of escapes such as "\d"
        try:
            value = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return None
    return value if isinstance(value, str | int) else None


def _in_calls(tokens, text):
    """The tokens, with those inside calls marked."""
    with_bar: set = set()
    opened: list = []
    for position, token in enumerate(tokens):
        if token.text in ("(", "[", "{"):
            opened.append(position)
        elif token.text in (")", "]", "}") and opened:
            opened.pop()
        elif token.text in ("|", "||") and opened:
            with_bar.add(opened[-1])
        if len(opened) > MAX_DEPTH:
            raise FormulaError(
                f"parentheses are nested more than {MAX_DEPTH} deep",
                text,
                (token.start, token.stop),
            )
    out: list = []
    calls: list = []
    for position, token in enumerate(tokens):
        inside = bool(calls) and calls[-1]
        if token.text in ("(", "[", "{"):
            follows = position > 0 and tokens[position - 1].ends_operand
            called = token.text != "(" or (follows and position not in with_bar)
            inside = inside or called
            calls.append(inside)
        elif token.text in (")", "]", "}") and calls:
            inside = calls.pop()
        out.append(replace(token, inside=True) if inside else token)
    return out


def _with_words(tokens):
    """Tokens with columns named like Python keywords distinguished from keywords."""
    out: list = []
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None]):
        if token.kind != "name" or (before is not None and before.text in (".", "=")):
            out.append(token)
            continue
        if token.column is not None:
            bare = isinstance(token.column, str) and token.column.isidentifier()
            if bare and not is_python_name(token.column):
                token = replace(token, text=written(token.column, token.inside))
            out.append(token)
            continue
        name, dot, rest = token.text.partition(".")
        is_argument = token.inside and after is not None and after.text == "="
        is_called = after is not None and after.text == "(" and after.inside
        word = keyword.iskeyword(name)
        if (
            is_python_name(name)
            or is_argument
            or (dot and name == "as")  # R's as.factor, rejected later
            or (is_called and not word)
            or (word and not dot and _is_operator(before, token, after))
        ):
            out.append(token)
            continue
        middle = token.start + len(name)
        text = written(name, token.inside)
        out.append(Token("name", text, token.start, middle, name, token.inside))
        if dot:
            rest = f".{rest}"
            out.append(Token("attribute", rest, middle, token.stop, None, token.inside))
    return out


def _is_operator(before, token, after):
    """Whether a Python keyword is an operator: between operands, or in a call."""
    word = token.text
    follows = after is not None and after.starts_operand
    if word not in OPERATOR_WORDS:
        return follows and after.text not in ("(", "[", "{")
    if word == "lambda":
        is_name = after is not None and after.kind == "name"
        return is_name or (
            token.inside and after is not None and after.text in (":", "*", "**")
        )
    if token.inside:
        return True
    if word in ("True", "False", "None"):
        return False
    return follows and (word == "not" or (before is not None and before.ends_operand))
