"""Conditions on rows given as text, such as ``"Days > 2 and group == 'a'"``."""

import ast
from dataclasses import replace
from functools import reduce

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.names import syntax
from statsmodels_lmm.formula.remembered import RememberedFactor
from statsmodels_lmm.formula.tokens import tokenize

WORDS = {"&": "and", "|": "or", "||": "or", "!": "not", "~": "not", "%in%": "in"}
"""Operators of R and of pandas, in Python's words."""


def condition_tokens(text):
    """
    Tokens of a condition, with its operators in Python's words.

    Parameters
    ----------
    text : str
        A condition in the words of Python, R or ``DataFrame.query``.

    Returns
    -------
    list of Token
        ``and``, ``or`` and ``not`` bind less tightly than comparisons.
    """
    tokens = [
        replace(t, kind="name", text=WORDS[t.text]) if t.text in WORDS else t
        for t in tokenize(text)
        if t.text != "&" or not _repeats(t, text)
    ]
    if not tokens:
        raise FormulaError("subset= is empty")
    return tokens


def _repeats(token, text):
    """Whether this is the second character of ``&&``."""
    return text[token.start - 1 : token.start] == "&"


def condition_of(text):
    """
    A condition on rows as a factor of a formula, which holds for each row.

    Parameters
    ----------
    text : str
        The condition.

    Returns
    -------
    str
        Such as ``"I((Days > 2) & (f == 'a'))"``.

    Raises
    ------
    FormulaError
        If the text is not an expression.
    """
    tokens = condition_tokens(text)
    for token in tokens:
        if token.text == "=" and not token.inside:
            place = token.start, token.stop
            raise FormulaError("write '==' for a comparison", text, place)
    return f"I({ast.unparse(_by_row(syntax(tokens, text)))})"


def _by_row(node):
    """An expression of Python's logic as one that holds for each row."""
    if isinstance(node, ast.BoolOp):
        parts = list(map(_truth, node.values))
        if isinstance(node.op, ast.And):
            return _all(parts)
        return _not(_all(map(_not, parts)))  # a bar would be that of a random effect
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _not(_truth(node.operand))
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        pairs = zip(sides, node.ops, sides[1:])
        return _all(_compared(*pair) for pair in pairs)
    return node


def _all(nodes):
    return reduce(lambda left, right: ast.BinOp(left, ast.BitAnd(), right), nodes)


def _not(node):
    return ast.UnaryOp(ast.Invert(), node)


def _truth(node):
    """A condition, or whether a number is not zero."""
    found = _by_row(node)
    if found is node:
        return ast.Compare(node, [ast.NotEq()], [ast.Constant(0)])
    return found


def _compared(left, operator, right):
    if not isinstance(operator, ast.In | ast.NotIn):
        return ast.Compare(left, [operator], [right])
    found = ast.Call(ast.Attribute(left, "isin"), [right], [])
    return found if isinstance(operator, ast.In) else _not(found)


def rows_where(condition, text, data, scope):
    """
    The rows in which a condition is true.

    Parameters
    ----------
    condition : str
        From `condition_of`.
    text : str
        The condition as written, for messages.
    data : DataFrame
        The data.
    scope : dict
        Names that are not columns.

    Returns
    -------
    ndarray
        Booleans, shape (n,). As in R, a row whose missing values leave it open whether
        the condition holds is not among the rows.

    Raises
    ------
    DataError
        If the expression is not a condition, or no row satisfies it.
    """
    chosen = rows_that_hold(condition, text, data, scope)
    if not chosen.any():
        raise no_row_holds(text)
    return chosen


def rows_that_hold(condition, text, data, scope):
    """The rows in which a condition is true, possibly none; see `rows_where`."""
    remembered, _ = RememberedFactor.blank(condition, data.columns, scope)
    columns = {name: _nullable(data[name]) for name in remembered.columns}
    frame = pd.DataFrame(columns, index=data.index)
    values = remembered.values(frame)
    if not pd.api.types.is_bool_dtype(values.dtype):
        raise DataError(
            f"subset={text!r} is not a condition, such as 'x > 2' or \"f == 'a'\""
        )
    return np.asarray(values.to_numpy(dtype=bool, na_value=False))


def no_row_holds(text):
    """The error for a condition that no row satisfies."""
    return DataError(f"no row satisfies subset={text!r}")


def _nullable(column):
    """A column in whose comparisons a missing value stays missing."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    return column.convert_dtypes()
