"""Bounds on the number of columns of a formula, from its text alone."""

import ast
from functools import lru_cache
from math import prod

from patsy import ModelDesc, PatsyError

from statsmodels_lmm.core.algebra.memory import available_bytes
from statsmodels_lmm.exceptions import DataError

ARGUMENTS = {
    "bs": ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound"),
    "cr": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
    "cc": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
    "cut": ("breaks", "right"),
    "ns": ("df", "knots"),
    "poly": ("degree", "raw"),
}
"""Arguments after the variable in the call of a basis function."""


def basis_arguments(node):
    """
    Arguments of a basis function other than its variable, by name.

    Parameters
    ----------
    node : Call
        A call of one of `ARGUMENTS`.

    Returns
    -------
    dict
        Nodes by argument; positional ones beyond the signature are left out.
    """
    names = ARGUMENTS[node.func.id]
    given = dict(zip(names, node.args[1:]))
    return given | {k.arg: k.value for k in node.keywords}


def expression_width(node):
    """
    Bound the number of columns of an expression in numeric columns.

    Parameters
    ----------
    node : AST
        A Python expression.

    Returns
    -------
    int
        The bound; names and nonliteral numbers of columns count as 1.
    """
    parts = [
        expression_width(part)
        for part in ast.iter_child_nodes(node)
        if isinstance(part, ast.expr) and not isinstance(part, ast.Constant)
    ]
    if not _is_call(node):
        return max([1, *parts])
    name, arguments = node.func.id, parts[1:]
    if name == "te":
        return prod(arguments)
    width = _basis_width(node) if name in ARGUMENTS else 1
    return width * max([1, *arguments])


def _is_call(node):
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _basis_width(node):
    given = basis_arguments(node)
    count = _whole(given.get("degree" if node.func.id == "poly" else "df"))
    knots = given.get("knots")
    if count is None and isinstance(knots, ast.List | ast.Tuple):
        degree = _whole(given.get("degree", ast.Constant(3)))
        is_bs = node.func.id == "bs"
        count = len(knots.elts) + ((degree or 0) + 1 if is_bs else 2)
    return max(1, count or 1)


def _whole(node):
    """The value of a literal whole number, else None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    return None


@lru_cache(maxsize=64)
def model_terms(text):
    """
    The terms of a formula as patsy reads it.

    Parameters
    ----------
    text : str
        A formula, or its right-hand side.

    Returns
    -------
    ModelDesc
    """
    return ModelDesc.from_formula(text)


def require_columns(text, columns, n_rows):
    """
    Reject a formula whose design would not fit in memory, before it is built.

    Parameters
    ----------
    text : str
        A formula, or its right-hand side.
    columns : dict of Series
        The data by name, whose levels are counted.
    n_rows : int
        Number of rows.

    Raises
    ------
    DataError
        The message names the term with the most columns.
    """
    try:
        terms = model_terms(text).rhs_termlist
        widths = {
            term.name(): prod(_factor_width(f.code, columns) for f in term.factors)
            for term in terms
        }
    except (PatsyError, SyntaxError, AttributeError, RecursionError):
        return  # the formula engine reports what is wrong
    p = sum(widths.values())
    needed, available = 8 * p * (2 * n_rows + p), available_bytes()
    if available is not None and needed > available:
        widest = max(widths, key=widths.__getitem__)
        raise DataError(
            f"'{widest}' makes about {widths[widest]:,} columns; the design needs "
            f"{needed / 2**30:,.0f} GiB, and {available / 2**30:,.0f} GiB are free. A "
            "factor with many levels belongs to the right of the bar of a random effect"
        )


def _factor_width(code, columns):
    """A lower bound on the number of columns of one factor, given the data by name."""
    if code in columns and columns[code].dtype.kind in "biuf":
        return 1
    node = ast.parse(code, mode="eval").body
    is_coded = _is_call(node) and node.func.id == "C" and bool(node.args)
    column = node.args[0] if is_coded else node
    if _is_call(column) and column.func.id == "Q" and len(column.args) == 1:
        name = getattr(column.args[0], "value", None)
    else:
        name = getattr(column, "id", None)
    if name not in columns:
        return 1 if is_coded else expression_width(node)
    if not is_coded and columns[name].dtype.kind in "biuf":
        return 1
    return max(1, columns[name].nunique() - 1)
