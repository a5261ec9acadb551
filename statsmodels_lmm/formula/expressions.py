"""The Python expressions of untrusted formulas, held against the allow-list."""

import ast
from dataclasses import dataclass, field
from itertools import accumulate
from math import isnan, nan

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.allow_list import (
    ACCESSORS,
    ATTRIBUTES,
    CODINGS,
    FUNCTIONS,
    KEYWORDS,
    MAX_BASIS,
    MAX_POWER,
    OPERATORS,
    SEVERAL,
)
from statsmodels_lmm.formula.pieces import span
from statsmodels_lmm.formula.splines import MAX_DEGREE
from statsmodels_lmm.formula.widths import (
    ARGUMENTS,
    basis_arguments,
    expression_width,
)

MAX_TOKENS = 150
LARGEST = 1e150


def check_expression(tokens, text, columns):
    """
    Reject an expression that uses anything but columns and listed functions.

    Parameters
    ----------
    tokens : list of Token
        A piece of a formula that Python reads.
    text : str
        The formula.
    columns : collection of str
        Names of the columns that the formula may use.

    Returns
    -------
    used : list of str
        The columns that the expression uses, in the order of the text.
    width : int
        A bound on its number of columns.

    Raises
    ------
    FormulaError
        With carets under what is not on the list.
    """
    if len(tokens) > MAX_TOKENS:
        raise FormulaError("the expression is too long", text, span(tokens))
    words = [token.python for token in tokens]
    try:
        tree = ast.parse(" ".join(words), mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise FormulaError("this is not an expression", text, span(tokens)) from None
    # where each token starts, in bytes as Python counts
    starts = list(accumulate((len(w.encode()) + 1 for w in words), initial=0))
    expression = _Expression(text, columns, tokens, starts)
    expression.value(tree.body)
    return expression.used, expression_width(tree.body)


@dataclass
class _Expression:
    """A walk through one expression; `used` collects the columns."""

    text: str
    columns: list
    tokens: list
    starts: list
    used: list = field(default_factory=list)

    def refuse(self, message, node):
        """Raise an error with carets under the first token of a node."""
        first = max(i for i, s in enumerate(self.starts) if s <= node.col_offset)
        raise FormulaError(message, self.text, span([self.tokens[first]]))

    def value(self, node):
        """Check a node whose value is a column or a number."""
        if isinstance(node, ast.Name):
            self.column(node.id, node)
        elif isinstance(node, ast.Constant):
            self.constant(node)
        elif isinstance(node, ast.Attribute):
            self.part(node)
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
        elif isinstance(node, ast.BoolOp):
            for part in node.values:
                self.value(part)
        elif isinstance(node, ast.Compare) and all(
            isinstance(op, OPERATORS) for op in node.ops
        ):
            for part in (node.left, *node.comparators):
                self.compared(part)
        else:
            self.refuse("not allowed in an untrusted formula", node)

    def compared(self, node):
        """Check a side of a comparison: a value, a level, or a list of them."""
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
        for item in items:
            if not (isinstance(item, ast.Constant) and isinstance(item.value, str)):
                self.value(item)

    def constant(self, node):
        """Check a number, a boolean or None."""
        if not isinstance(node.value, int | float | None):
            self.refuse("a string must be a name in Q() or a level of a factor", node)
        if not isinstance(node.value, bool | None) and isnan(_number(node)):
            self.refuse("the number is too large", node)

    def column(self, name, node):
        """Record a column, or reject a name that is not one."""
        if name not in self.columns or str(name).startswith("__"):
            if name != "pi":
                self.refuse(f"'{name}' is not a column", node)
            return
        self.used.append(name)

    def part(self, node):
        """Check a part of a date, such as ``date.dt.year``."""
        home = node.value
        if not isinstance(home, ast.Attribute) or node.attr not in ACCESSORS.get(
            home.attr, ()
        ):
            self.refuse("only functions of np, and .dt.year, may follow a dot", node)
        if isinstance(home.value, ast.Call) and self.function(home.value.func) == "Q":
            self.quoted(home.value)
        elif isinstance(home.value, ast.Name):
            self.column(home.value.id, home.value)
        else:
            self.refuse(f"'.{home.attr}' follows the name of a column", node)

    def exponent(self, node):
        """Reject powers that would take too long."""
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
            elif name == "breaks" and isinstance(argument, ast.List | ast.Tuple):
                self.numbers(argument, several=True)
            elif name == "breaks":
                self.count(argument, 2, MAX_BASIS)
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
        """Reject anything but None or a literal whole number within limits."""
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
