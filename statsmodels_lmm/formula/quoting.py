"""Columns whose names a formula must quote."""

from collections.abc import Mapping
from contextlib import contextmanager

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.names import names_in
from statsmodels_lmm.formula.tokens import is_python_name, tokenize


@contextmanager
def quotes_told(text, data):
    """
    Explain an error by a column that is not quoted, if there is one.

    Parameters
    ----------
    text : str
        The formula.
    data : DataFrame, mapping or table
        The data.

    Raises
    ------
    FormulaError
        With the name in backticks.
    """
    try:
        yield
    except (FormulaError, DataError):
        names = data if isinstance(data, Mapping) else getattr(data, "columns", ())
        column, place = _unquoted(text, list(names))
        if column is None:
            raise
        quoted = f"Q({column!r})" if "`" in column else f"`{column}`"
        message = f"write {quoted}, because it is not a Python name"
        raise FormulaError(message, text, place) from None


def _unquoted(text, columns):
    """The longest such column and its place in the formula, (None, None) if none."""
    try:
        tokens = tokenize(text)
    except (FormulaError, TypeError):
        return None, None
    starts = {t.start for t in tokens if t.column is None and t.kind != "string"}
    stops = {t.stop for t in tokens}
    names = [c for c in columns if isinstance(c, str) and c and not is_python_name(c)]
    for column in sorted(names, key=len, reverse=True):
        start = text.find(column)
        while start >= 0:
            stop = start + len(column)
            if start in starts and stop in stops and not _is_formula(column, columns):
                return column, (start, stop)
            start = text.find(column, start + 1)
    return None, None


def _is_formula(column, columns):
    """Whether a name such as "a:b" is also a term of other columns."""
    try:
        read = names_in(column).read
    except FormulaError:
        return False
    return set(read) <= set(columns)
