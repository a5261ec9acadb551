"""An allow-list for untrusted formulas, applied before they are evaluated."""

import ast
import unicodedata
from dataclasses import dataclass, replace
from math import comb, isnan, nan, prod

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.allow_list import (
    ATTRIBUTES,
    CODINGS,
    FUNCTIONS,
    KEYWORDS,
    MAX_BASIS,
    OPERATORS,
    SEVERAL,
)
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.splines import MAX_DEGREE
from statsmodels_lmm.formula.tokens import tokenize
from statsmodels_lmm.formula.widths import (
    ARGUMENTS,
    basis_arguments,
    expression_width,
)

MAX_LENGTH = 2_000
MAX_DEPTH = 20
MAX_TERMS = 500
MAX_TOKENS = 150
MAX_POWER = 20
MAX_COLUMNS = 1_000
LARGEST = 1e150


def check_formula(formula, columns, structures=()):
    """
    Refuse a formula that uses anything but columns and listed functions.

    Parameters
    ----------
    formula : str
        A mixed-model formula from an untrusted source.
    columns : iterable of str
        Names of the columns that the formula may use.
    structures : collection of str, optional
        Names of user-defined covariance structures.

    Returns
    -------
    list
        The columns that the formula uses, in the order of the text.

    Raises
    ------
    FormulaError
        With carets under what is not on the list.

    Notes
    -----
    The list comprises columns, numbers, arithmetic, comparisons, the functions in
    `FUNCTIONS` and `ATTRIBUTES`, codings of factors, and strings that are names or
    levels. A formula has at most 2,000 characters and expands to at most 500 terms and
    1,000 columns, counting a factor as one; parentheses are nested at most 20 deep, an
    expression has at most 150 tokens, and powers are at most 20 and never of constants.
    A spline or polynomial has at most 50 columns, a B-spline at most degree 5, both as
    literal numbers, and at most 50 finite knots. Nothing is evaluated.

    This is a second line of defense, not a sandbox: it does not bound time or memory
    (it does not know the levels; an interaction of factors that does not fit in memory
    is refused when the model is created), and does not vouch for the data or for the
    libraries that evaluate the formula. Names are looked up where the formula is
    evaluated, so fit it with ``eval_env=-1``, which hides your own variables.

    Examples
    --------
    >>> check_formula("log(y) ~ x + (x | g)", ["y", "x", "g", "z"])
    ['y', 'x', 'g']
    >>> check_formula("y ~ open('f') + (1 | g)", ["y", "g"])
    Traceback (most recent call last):
    ...
    statsmodels_lmm.exceptions.FormulaError: 'open' is not a function on the list
        y ~ open('f') + (1 | g)
            ^^^^
    """
    if isinstance(formula, str):
        _check_length(formula)
        tokens = [_in_python(token) for token in tokenize(formula)]
        _check_text(formula, tokens)
        _check_tokens(tokens, formula)
        gate = _Gate(formula, list(columns))
        gate.size(tokens)
    parse(formula, structures)
    return list(dict.fromkeys(gate.used))


# text and tokens -------------------------------------------------------------


def _in_python(token):
    """R's powers and nesting outside calls, as they will be evaluated."""
    operator = None if token.inside else {"^": "**", "%in%": ":"}.get(token.text)
    return token if operator is None else replace(token, text=operator)


def _check_length(text):
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        )


def _check_text(text, tokens):
    """Refuse characters that could hide something, except in column names."""
    named = {i for t in tokens if t.column is not None for i in range(t.start, t.stop)}
    for i, character in enumerate(text):
        if i in named:
            continue
        if character in "#\\" or not (character.isprintable() or character in "\n\t"):
            raise FormulaError(
                f"character {character!r} is not allowed", text, (i, i + 1)
            )


def _check_tokens(tokens, text):
    """Refuse strings that Python may split differently, disguised letters and depth."""
    depth = 0
    for before, token in zip([None, *tokens], tokens):
        span = token.start, token.stop
        if token.kind == "string":
            glued = before is not None and before.kind in ("string", "name", "number")
            if glued or "\n" in token.text:
                raise FormulaError("a string must stand alone, on one line", text, span)
        elif token.column is None:
            if unicodedata.normalize("NFKC", token.text) != token.text:
                raise FormulaError(
                    "letters that Python would read as other letters", text, span
                )
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth > MAX_DEPTH:
            raise FormulaError(
                f"parentheses are nested more than {MAX_DEPTH} deep", text, span
            )
        if depth < 0 or token.text in ("{", "}"):
            raise FormulaError("unmatched parenthesis", text, span)
    if depth:
        raise FormulaError("unmatched parenthesis", text)


def _split(tokens, operators):
    """Pieces between the given operators, outside parentheses."""
    depth = 0
    pieces: list = [[]]
    for token in tokens:
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth == 0 and token.text in operators:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _inside(tokens):
    """The tokens inside a parenthesis that encloses all of them, else None."""
    if len(tokens) < 2 or tokens[0].text != "(" or len(_split(tokens, ")")) != 2:
        return None
    return tokens[1:-1] if tokens[-1].text == ")" else None


def _number(node):
    """The value of a literal number, possibly signed; NaN for anything else."""
    sign = 1.0
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -1.0 if isinstance(node.op, ast.USub) else 1.0
        node = node.operand
    value: object = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return nan
    return sign * value if abs(value) <= LARGEST else nan


# terms and what they are made of ---------------------------------------------


@dataclass
class _Gate:
    """A walk through one formula; `used` collects the columns."""

    text: str
    columns: list

    def __post_init__(self):
        self.used = []

    # numbers of terms and columns --------------------------------------------

    def size(self, tokens):
        """Bounds on the numbers of terms and columns; checks every piece."""
        if not tokens:
            return 0, 0
        counts = self.unchecked_size(tokens)
        for count, largest, what in zip(
            counts,
            (MAX_TERMS, MAX_COLUMNS),
            ("terms", "columns, counting a factor as one"),
        ):
            if count > largest:
                place = tokens[0].start, tokens[-1].stop
                raise FormulaError(f"more than {largest} {what}", self.text, place)
        return counts

    def unchecked_size(self, tokens):
        """Bounds that may exceed the limits."""
        pieces = _split(tokens, ("~", "+", "-", "|", "||"))
        if len(pieces) > 1:
            return tuple(map(sum, zip(*map(self.size, pieces))))
        for operators, joined in ((("*", "/"), 1), ((":",), 0)):
            pieces = _split(tokens, operators)
            if len(pieces) > 1:
                sizes = [self.size(piece) for piece in pieces]
                return tuple(prod(n + joined for n in each) for each in zip(*sizes))
        pieces = _split(tokens, ("**",))
        if len(pieces) > 1:
            return self.power(pieces)
        inner = _inside(tokens)
        if inner is None and tokens[0].kind == "name":
            inner = _inside(tokens[1:])
            if inner is not None and len(_split(inner, ("|", "||"))) > 1:
                return self.size(_split(inner, (",",))[0])
            inner = None
        if inner is not None:
            return self.size(inner)
        return 1, self.python(tokens)

    def power(self, pieces):
        """Terms and columns of ``(a + b)**k``."""
        base, *exponents = pieces
        words = [t.text for piece in exponents for t in piece]
        if not base:
            raise FormulaError("'**' needs terms before it", self.text)
        if len(words) != 1 or not words[0].isdecimal() or int(words[0]) > MAX_POWER:
            place = [t for piece in pieces for t in piece]
            raise FormulaError(
                f"a power of terms must be a whole number up to {MAX_POWER}",
                self.text,
                (place[0].start, place[-1].stop),
            )
        n, p = self.size(base)
        degrees = range(1, int(words[0]) + 1)
        terms = sum(comb(n, i) for i in degrees)
        # the sum of products of i out of n widths of sum p is largest if all are p / n
        columns = sum(-(-comb(n, i) * p**i // n**i) for i in degrees if n)
        return terms, columns

    # expressions -------------------------------------------------------------

    def python(self, tokens):
        """Check one piece of Python and bound its number of columns."""
        span = tokens[0].start, tokens[-1].stop
        if len(tokens) > MAX_TOKENS:
            raise FormulaError("the expression is too long", self.text, span)
        code = " ".join(t.python for t in tokens)
        self.tokens, self.starts = tokens, []
        start = 0
        for token in tokens:
            self.starts.append(start)
            start += len(token.python.encode()) + 1
        try:
            tree = ast.parse(code, mode="eval")
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise FormulaError("this is not an expression", self.text, span) from None
        self.value(tree.body)
        return expression_width(tree.body)

    def refuse(self, message, node):
        """Raise an error with carets under the first token of a node."""
        first = max(i for i, s in enumerate(self.starts) if s <= node.col_offset)
        token = self.tokens[first]
        raise FormulaError(message, self.text, (token.start, token.stop))

    def value(self, node):
        """Check a node whose value is a column or a number."""
        if isinstance(node, ast.Name):
            self.column(node.id, node)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Attribute):
            self.refuse("only functions of np may follow a dot", node)
        elif isinstance(node, ast.Call):
            self.call(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            self.value(node.left)
            self.value(node.right)
            self.exponent(node)
        elif isinstance(node, ast.BinOp) and isinstance(node.op, OPERATORS):
            self.value(node.left)
            self.value(node.right)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, OPERATORS):
            self.value(node.operand)
        elif isinstance(node, ast.Compare) and all(
            isinstance(op, OPERATORS) for op in node.ops
        ):
            for part in (node.left, *node.comparators):
                self.value(part)
        else:
            self.refuse("not allowed in an untrusted formula", node)

    def constant(self, node):
        """Check a number, a boolean or None."""
        if not isinstance(node.value, int | float | None):
            self.refuse("a string must be a name in Q() or a level of a factor", node)
        if not isinstance(node.value, bool | None) and isnan(_number(node)):
            self.refuse("the number is too large", node)

    def column(self, name, node):
        """Record a column, or refuse a name that is not one."""
        if name not in self.columns or str(name).startswith("__"):
            if name != "pi":
                self.refuse(f"'{name}' is not a column", node)
            return
        self.used.append(name)

    def exponent(self, node):
        """Refuse powers that would take too long."""
        varies = [
            any(isinstance(n, ast.Name) for n in ast.walk(side))
            for side in (node.left, node.right)
        ]
        number = node.right
        if isinstance(number, ast.UnaryOp):
            number = number.operand
        if not any(varies):
            self.refuse("a power of constants; write out the number", node)
        small = (
            isinstance(number, ast.Constant)
            and isinstance(number.value, int | float)
            and abs(number.value) <= MAX_POWER
        )
        if not varies[1] and not small:
            self.refuse(f"an exponent must be a number up to {MAX_POWER}", node.right)

    # calls -------------------------------------------------------------------

    def call(self, node):
        """Check a call of a listed function."""
        name = self.function(node.func)
        if name == "Q":
            return self.quoted(node)
        if len(node.args) > SEVERAL.get(name, 1):
            self.refuse(f"{name}() has too many arguments", node)
        for keyword in node.keywords:
            if keyword.arg is None:
                self.refuse("'**' is not allowed before arguments", node)
            if keyword.arg not in KEYWORDS.get(name, ()):
                self.refuse(f"{name}() takes no argument '{keyword.arg}' here", node)
        if name in ARGUMENTS:
            return self.basis(node)
        for argument in node.args:
            self.argument(argument, name)
        for keyword in node.keywords:
            self.argument(keyword.value, name, keyword.arg)
        return None

    def function(self, node):
        """The name of a listed function."""
        if isinstance(node, ast.Name):
            if node.id not in FUNCTIONS:
                self.refuse(f"'{node.id}' is not a function on the list", node)
            return node.id
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            home = node.value.id
            if node.attr in ATTRIBUTES.get(home, ()):
                return "Treatment" if home == "contr" else node.attr
            self.refuse(f"'{home}.{node.attr}' is not a function on the list", node)
        return self.refuse("only listed functions may be called", node)

    def argument(self, node, name, keyword=None):
        """Check an argument: a coding, a level, a list of numbers or a value."""
        takes_levels = name == "C" or name in CODINGS or keyword == "constraints"
        if isinstance(node, ast.List | ast.Tuple):
            for item in node.elts:
                if not isinstance(item, ast.Constant | ast.UnaryOp):
                    self.refuse("a list must hold numbers or levels", node)
                self.argument(item, name)
        elif takes_levels and isinstance(node, ast.Name) and node.id in CODINGS:
            return
        elif not (
            takes_levels
            and isinstance(node, ast.Constant)
            and isinstance(node.value, str)
        ):
            self.value(node)

    # splines and polynomials -------------------------------------------------

    def basis(self, node):
        """Check a call of a spline or polynomial, whose arguments set its size."""
        for argument in node.args[:1]:
            self.value(argument)
        given = basis_arguments(node)
        bounds = []
        for name, argument in given.items():
            if name in ("df", "degree"):
                of_spline = name == "degree" and node.func.id == "bs"
                limits = (0, MAX_DEGREE) if of_spline else (1, MAX_BASIS)
                self.count(argument, *limits)
            elif name in ("knots", "lower_bound", "upper_bound"):
                bounds.append((name, self.numbers(argument, name == "knots")))
            elif name == "constraints":
                self.argument(argument, "te", name)
            elif not isinstance(argument, ast.Constant) or not isinstance(
                argument.value, bool
            ):
                self.refuse(f"'{name}' must be True or False", argument)
        inside = dict(bounds)
        lower, upper = inside.get("lower_bound"), inside.get("upper_bound")
        knots = [*(lower or []), *sorted(inside.get("knots") or []), *(upper or [])]
        if knots != sorted(knots):
            self.refuse("knots must lie between lower_bound and upper_bound", node)

    def count(self, node, least, largest):
        """Refuse anything but None or a literal whole number within limits."""
        value: object = node.value if isinstance(node, ast.Constant) else ""
        if value is None:
            return
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or not least <= _number(node) <= largest:
            self.refuse(f"expected a whole number from {least} to {largest}", node)

    def numbers(self, node, several):
        """The values of a literal list of numbers, or of a single number."""
        if isinstance(node, ast.Constant) and node.value is None:
            return []
        items = [node]
        if several:
            items = node.elts if isinstance(node, ast.List | ast.Tuple) else [None]
        values = [_number(item) for item in items]
        if len(values) > MAX_BASIS or any(map(isnan, values)):
            what = f"a list of up to {MAX_BASIS} numbers" if several else "a number"
            self.refuse(f"expected {what}", node)
        return values

    def quoted(self, node):
        """Check ``Q("my column")``."""
        names = [a.value for a in node.args if isinstance(a, ast.Constant)]
        if len(names) != 1 or len(node.args) != 1 or node.keywords:
            self.refuse("Q() takes the name of a column", node)
        self.column(names[0], node)
