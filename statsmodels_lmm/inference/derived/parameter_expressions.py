"""
Expressions such as ``h2 = var(animal) / (var(animal) + var(Residual))``.

They are read by a parser of their own and never evaluated as Python.
"""

import difflib
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import expit, logit

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.tokens import TOKEN

FUNCTIONS = {
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "atanh": np.arctanh,
    "abs": np.absolute,
    "logit": logit,
    "expit": expit,
}

PARAMETERS = ("var", "sd", "cov", "cor")

OPERATORS = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.true_divide,
    "**": np.power,
}

MAX_TOKENS = 400
"""Longest expression read."""

MAX_DEPTH = 50
"""Deepest nesting of parentheses and signs."""

ANYTHING, POSITIVE = (-np.inf, np.inf), (0.0, np.inf)
SHARE, CORRELATION = (0.0, 1.0), (-1.0, 1.0)

RANGES = {"var": POSITIVE, "sd": POSITIVE, "cov": ANYTHING, "cor": CORRELATION}
RANGES |= {"sqrt": POSITIVE, "exp": POSITIVE, "abs": POSITIVE, "tanh": CORRELATION}
RANGES |= {"expit": SHARE, "b": ANYTHING, "sigma": POSITIVE, "alpha": POSITIVE}
"""Ranges of parameters and functions, if not all numbers."""


# trees ---------------------------------------------------------------------


@dataclass(frozen=True)
class Number:
    """A number."""

    number: float

    def value(self, parameters):
        """The number."""
        return self.number

    @property
    def range(self):
        """The number alone."""
        return self.number, self.number


@dataclass(frozen=True)
class Place:
    """Where an expression names a parameter: the whole text, start and stop."""

    text: str
    start: int
    stop: int

    def error(self, message):
        """An error that shows the place."""
        return FormulaError(message, self.text, (self.start, self.stop))


@dataclass(frozen=True)
class Parameter:
    """
    A parameter by name.

    Parameters
    ----------
    kind : {"var", "sd", "cov", "cor", "b", "label"}
        Kind of parameter, a method of `NamedParameters`.
    name : str
        Which of them.
    place : Place
        Where it was written.
    """

    kind: str
    name: str
    place: Place = field(compare=False, repr=False)

    def value(self, parameters):
        """The parameter."""
        try:
            return getattr(parameters, self.kind)(self.name)
        except FormulaError as error:
            raise self.place.error(str(error)) from None

    @property
    def range(self):
        """Its range."""
        kind = self.kind
        if kind == "label":
            match = re.search(r"(?:^|: )(sd|cor|sigma|alpha)\b", self.name)
            kind = (
                {"sigma": "sd", "alpha": "var"}.get(k := match[1], k) if match else ""
            )
        return RANGES.get(kind, ANYTHING)


@dataclass(frozen=True)
class Call:
    """A function of one argument."""

    function: str
    argument: Any

    def value(self, parameters):
        """The function's value."""
        return FUNCTIONS[self.function](self.argument.value(parameters))

    @property
    def range(self):
        """Range of the function."""
        return RANGES.get(self.function, ANYTHING)


@dataclass(frozen=True)
class Negative:
    """An expression with its sign changed."""

    argument: Any

    def value(self, parameters):
        """The value."""
        return -self.argument.value(parameters)

    @property
    def range(self):
        """The reflected range."""
        lower, upper = self.argument.range
        return -upper, -lower


@dataclass(frozen=True)
class Operation:
    """Two expressions joined by an operator."""

    operator: str
    left: Any
    right: Any

    def value(self, parameters):
        """The value."""
        left, right = (e.value(parameters) for e in (self.left, self.right))
        return OPERATORS[self.operator](left, right)

    @property
    def range(self):
        """
        A range that holds for all values of the parameters.

        A ratio is a share if the denominator has the terms of the numerator, and
        others, and none is negative.
        """
        (low, high), (least, most) = self.left.range, self.right.range
        if self.operator == "+":
            return low + least, high + most
        if self.operator == "-":
            return low - most, high - least
        if self.operator == "/" and self._is_share:
            return SHARE
        if self.operator == "**":
            return POSITIVE if low >= 0.0 or self.right == Number(2.0) else ANYTHING
        return POSITIVE if low >= 0.0 and least >= 0.0 else ANYTHING

    @property
    def _is_share(self):
        part, whole = _summands(self.left), _summands(self.right)
        for term in part:
            if term not in whole:
                return False
            whole.remove(term)
        return all(term.range[0] >= 0.0 for term in (*part, *whole))


def _summands(tree):
    """The terms of a sum."""
    if isinstance(tree, Operation) and tree.operator == "+":
        return [*_summands(tree.left), *_summands(tree.right)]
    return [tree]


# parsing -------------------------------------------------------------------


def parse(text):
    """
    Read expressions.

    Parameters
    ----------
    text : str
        One expression, or several in lines of their own. Each may have a name, as in
        ``name = expression``, that those after it may use. A line break inside
        parentheses does not end an expression.

    Returns
    -------
    dict
        The trees by name; the name of an expression without one is its text.

    Raises
    ------
    FormulaError
        With a caret below what cannot be understood.
    """
    trees: dict = {}
    for piece in _lines(text):
        match = re.match(r"\s*([^\W\d]\w*|`[^`]+`)\s*=(?!=)", piece)
        start = match.end() if match else 0
        name = match.group(1).strip("`") if match else " ".join(piece.split())
        if name in trees:
            raise FormulaError(f"the name {name} is given twice", text)
        trees[name] = Parser(piece, start, trees).tree()
    if not trees:
        raise FormulaError("there is no expression to evaluate")
    return trees


def _lines(text):
    """Pieces of a text between the line breaks outside parentheses."""
    pieces, depth = [""], 0
    for match in TOKEN.finditer(text):
        token = match.group()
        depth += (token in ("(", "[")) - (token in (")", "]"))
        if match.lastgroup == "space" and "\n" in token and depth <= 0:
            pieces.append("")
        else:
            pieces[-1] += token
    return [piece for piece in pieces if piece.strip()]


class Parser:
    """
    A parser of one expression.

    Parameters
    ----------
    text : str
        The text.
    start : int
        Where the expression starts in it.
    known : dict
        Expressions that it may use by name.
    """

    def __init__(self, text, start, known):
        self.text, self.known = text, known
        found = [m for m in TOKEN.finditer(text, start) if m.lastgroup != "space"]
        self.tokens = [(m.lastgroup, m.group(), m.start(), m.end()) for m in found]
        self.tokens.append(("end", "", len(text), len(text)))
        if len(self.tokens) > MAX_TOKENS:
            raise FormulaError(
                f"the expression has {len(found)} symbols; at most {MAX_TOKENS} are "
                "read. Write a function of the parameters instead"
            )
        self.at = self.depth = 0

    def tree(self):
        """The whole expression."""
        tree = self._sum()
        if self._next[0] != "end":
            raise self._error("an operator should stand here")
        return tree

    @property
    def _next(self):
        return self.tokens[self.at]

    def _error(self, message, first=None):
        """An error at the next token, or from an earlier one to the next."""
        start = self.tokens[self.at if first is None else first][2]
        return FormulaError(message, self.text, (start, max(start + 1, self._next[3])))

    def _take(self, *texts):
        """The text of the next token, if it is one of these; else None."""
        kind, text, *_ = self._next
        if kind == "end" or text not in texts:
            return None
        self.at += 1
        return text

    def _expect(self, text):
        if not self._take(text):
            raise self._error(f"{text!r} is missing here")

    def _sum(self):
        tree = self._product()
        while operator := self._take("+", "-"):
            tree = Operation(operator, tree, self._product())
        return tree

    def _product(self):
        tree = self._signed()
        while operator := self._take("*", "/"):
            tree = Operation(operator, tree, self._signed())
        return tree

    def _signed(self):
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"the expression is nested more than {MAX_DEPTH} deep")
        if sign := self._take("+", "-"):
            tree = self._signed()
            tree = Negative(tree) if sign == "-" else tree
        else:
            tree = self._atom()
            if self._take("**", "^"):
                tree = Operation("**", tree, self._signed())
        self.depth -= 1
        return tree

    def _atom(self):
        kind, text, start, stop = self._next
        if self._take("("):
            tree = self._sum()
            self._expect(")")
            return tree
        if kind not in ("number", "name", "backtick"):
            raise self._error(
                "a number, a parameter or a parenthesis should stand here"
            )
        self.at += 1
        follows = self._next[1]
        if kind == "number":
            return Number(float(text))
        if kind == "backtick":
            return Parameter("label", text[1:-1], Place(self.text, start, stop))
        if follows == "(":
            return self._called(text)
        if follows == "[" and text == "b":
            return self._coefficient()
        if text in self.known:
            return self.known[text]
        if text == "pi":
            return Number(np.pi)
        return Parameter("label", text, Place(self.text, start, stop))

    def _called(self, name):
        """What stands after the name of a function or of a kind of parameter."""
        first = self.at - 1
        if name in FUNCTIONS:
            self._expect("(")
            tree = self._sum()
            self._expect(")")
            return Call(name, tree)
        if name not in PARAMETERS:
            self.at = first
            every = [*PARAMETERS, *FUNCTIONS]
            raise self._error(f"there is no function {name}{near(name, every)}")
        inside = self._inside("(", ")")
        place = Place(self.text, self.tokens[first][2], self.tokens[self.at - 1][3])
        return Parameter(name, inside, place)

    def _coefficient(self):
        """The fixed effect ``b['x']``."""
        first = self.at - 1
        inside = self._inside("[", "]").strip()
        if not re.fullmatch(r"(['\"`]).+\1", inside, re.DOTALL):
            self.at -= 1
            raise self._error("write a fixed effect as b['name']", first)
        place = Place(self.text, self.tokens[first][2], self.tokens[self.at - 1][3])
        return Parameter("b", inside[1:-1], place)

    def _inside(self, left, right):
        """The text up to the closing bracket, which may contain others."""
        start, depth = self._next[3], 0
        while self._next[0] != "end":
            _, text, stop, _ = self._next
            depth += (text == left) - (text == right)
            self.at += 1
            if not depth:
                return self.text[start:stop]
        raise self._error(f"{right!r} is missing here")


def near(name, names):
    """
    What to suggest in place of an unknown name.

    Parameters
    ----------
    name : str
        The name.
    names : sequence of str
        Those that there are.

    Returns
    -------
    str
        The end of a sentence.
    """
    if not names:
        return "; there are none"
    factors = sorted(name.strip().split(":"))
    close = [other for other in names if sorted(other.split(":")) == factors]
    close = close or difflib.get_close_matches(name.strip(), names, n=1)
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    if not close:
        return f"; there are {listed}"
    found = close[0]
    # a blank outside parentheses and brackets ends a name unless it is quoted
    quoted = " " in re.sub(r"\(.*\)|\[.*\]", "", found)
    return f"; did you mean {f'`{found}`' if quoted else found}?"
