"""The names that a formula reads as data, and those that it only calls."""

import ast
from dataclasses import dataclass
from functools import lru_cache

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.pieces import factors, join, span
from statsmodels_lmm.formula.tokens import tokenize

CODINGS = {"Diff", "Helmert", "Poly", "Sum", "Treatment", "contr"}
"""Names that the formula engines define inside ``C(f, ...)``."""

SYNTAX = {"C", "I", "Q"}
"""Functions of the formula language, whatever the caller means by these names."""

MODULES = {"contr", "np"}
"""Modules that every formula knows."""


@dataclass(frozen=True)
class Names:
    """
    Free names in a piece of a formula.

    Parameters
    ----------
    read : tuple of str or int
        Names of data: columns or variables of the caller.
    called : tuple of str
        Names of functions, modules and codings.
    alone : tuple of str or int
        Names that form a factor by themselves.
    """

    read: tuple
    called: tuple
    alone: tuple


@lru_cache(maxsize=512)
def names_in(text):
    """
    Find the names in a piece of a formula, parsing its factors as Python.

    Parameters
    ----------
    text : str
        A piece of a formula without random effects. Nothing is evaluated.

    Returns
    -------
    Names
        Each name once, in the order of the text. Strings, names of arguments and
        attributes, and variables of a lambda or a comprehension do not count.

    Raises
    ------
    FormulaError
        If a factor is not valid Python.
    """
    read: dict = {}
    called: dict = {}
    alone: dict = {}
    for piece in factors(tokenize(text)):
        for name, is_called in _free_names(syntax(piece, text)):
            (called if is_called else read)[name] = None
        if len(piece) == 1 and piece[0].kind == "name":
            name = piece[0].text if piece[0].column is None else piece[0].column
            alone[name] = None
    return Names(tuple(read), tuple(called), tuple(alone))


def columns_in(text, columns):
    """
    Columns that a piece of a formula reads as data; ``Q(1)`` is a column named 1.

    Parameters
    ----------
    text : str
        A piece of a formula.
    columns : Index
        Names of the columns.

    Returns
    -------
    list
        Names of the columns read, in the order of `columns`.
    """
    names = names_in(text).read
    return [c for c in dict.fromkeys(columns) if c in names]


def coded_column(factor):
    """
    Column of a factor ``C(column, ...)``.

    Parameters
    ----------
    factor : str
        Name of a factor.

    Returns
    -------
    str, int or None
        Name of the column, None if the factor is something else.
    """
    node = syntax(tokenize(factor), factor)
    if not _calls(node, "C") or not node.args:
        return None
    first = node.args[0]
    return first.id if isinstance(first, ast.Name) else _quoted(first)


def syntax(tokens, text):
    """
    Parse one factor.

    Parameters
    ----------
    tokens : list of Token
        The factor.
    text : str
        The whole formula, for messages.

    Returns
    -------
    expr

    Raises
    ------
    FormulaError
        If the factor is not a Python expression.
    """
    place = span(tokens) if tokens[-1].stop <= len(text) else None
    try:
        return ast.parse(join(tokens, lambda t: t.python), mode="eval").body
    except (RecursionError, MemoryError):
        raise FormulaError("an expression is nested too deeply", text, place) from None
    except (SyntaxError, ValueError):
        what = " ".join(t.text for t in tokens)
        raise FormulaError(
            f"'{what}' cannot be evaluated: it is not valid Python", text, place
        ) from None


def _free_names(root):
    """(name, whether it is only called) for each free name of a syntax tree."""
    waiting: list = [(root, frozenset())]
    while waiting:
        node, bound = waiting.pop()
        if isinstance(node, ast.Name):
            if node.id not in bound and isinstance(node.ctx, ast.Load):
                yield node.id, False
            continue
        if (column := _quoted(node)) is not None:
            yield column, False
            continue
        inner: list = []
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id not in bound:
                yield node.func.id, True
            else:
                inner.append((node.func, bound))
            for argument in [*node.args, *(k.value for k in node.keywords)]:
                coding = argument.id if isinstance(argument, ast.Name) else None
                first = bool(node.args) and argument is node.args[0]
                if coding in CODINGS and _calls(node, "C") and not first:
                    yield coding, True
                else:
                    inner.append((argument, bound))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id in MODULES - bound:
                yield node.value.id, True
            else:
                inner.append((node.value, bound))
        elif isinstance(node, ast.Lambda):
            of = node.args
            inner += [(n, bound) for n in [*of.defaults, *of.kw_defaults] if n]
            every = [*of.posonlyargs, *of.args, *of.kwonlyargs, of.vararg, of.kwarg]
            inner.append((node.body, bound | {a.arg for a in every if a}))
        elif isinstance(
            node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
        ):
            for each in node.generators:
                inner.append((each.iter, bound))
                targets = ast.walk(each.target)
                bound = bound | {n.id for n in targets if isinstance(n, ast.Name)}
                inner += [(condition, bound) for condition in each.ifs]
            if isinstance(node, ast.DictComp):
                inner += [(node.key, bound), (node.value, bound)]
            else:
                inner.append((node.elt, bound))
        else:
            inner += [(child, bound) for child in ast.iter_child_nodes(node)]
        waiting += reversed(inner)


def _calls(node, name):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == name
    )


def _quoted(node):
    """The column in ``Q("column")``, else None."""
    if not _calls(node, "Q") or len(node.args) != 1 or node.keywords:
        return None
    value = getattr(node.args[0], "value", None)
    is_constant = isinstance(node.args[0], ast.Constant)
    return value if is_constant and isinstance(value, str | int) else None
