"""Names as people write them: RT (ms) rather than Q('RT (ms)')."""

import ast
import re

QUOTED = re.compile(
    r"""(?<![\w.])Q\(\s*(?P<literal>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\d+)\s*\)"""
)
"""A column quoted in Python's way."""

QUOTE = re.compile(QUOTED.pattern + r"|`(?P<name>[^`]+)`")
"""A column quoted in Python's way or R's."""

BETWEEN = re.compile(r"[-+*/=,\s]+")
"""What stands between the names of a hypothesis such as "a - b = 0"."""


def plain_names(names):
    """
    Take the quotes off the columns in names, wherever that leaves no doubt.

    Parameters
    ----------
    names : sequence of str
        Names of all columns of a design, or of all its terms, such as
        "Q('word freq'):x".

    Returns
    -------
    list of str
        Such as "word freq:x". A column keeps its quotes if its name is a number or has
        a colon, a quoted name or white space at an end, so that it could be taken for
        something else, and if two names would be the same or one would read as a sum of
        others.
    """
    plain = [QUOTED.sub(_bare, str(name)) for name in names]
    known = set(plain)
    return [
        str(name) if plain.count(new) > 1 or _is_sum(new, known) else new
        for name, new in zip(names, plain)
    ]


def unquoted(text, names=()):
    """
    Take the quotes off the columns in what a user wrote.

    Parameters
    ----------
    text : str
        Such as "`word freq` = 0".
    names : iterable of str, optional
        Names from `plain_names`; columns that keep their quotes in them do so here,
        spelled in the same way.

    Returns
    -------
    str
        Such as "word freq = 0".
    """
    kept = {_column(match) for name in names for match in QUOTED.finditer(str(name))}

    def spelled(match):
        column = _column(match)
        return f"Q({column!r})" if column in kept else str(column)

    return QUOTE.sub(spelled, text)


def in_backticks(text):
    """
    Quote the columns of a formula in R's way.

    Parameters
    ----------
    text : str
        Such as "1 + Q('word freq')".

    Returns
    -------
    str
        Such as "1 + `word freq`", the same formula.
    """
    return QUOTED.sub(_backticked, text)


def _column(match):
    """The column that is quoted."""
    literal = match["literal"]
    if literal is None:
        return match["name"]
    return ast.literal_eval(literal.replace("\n", "\\n"))


def _bare(match):
    """The column without quotes if it cannot be taken for anything else."""
    column = _column(match)
    is_name = isinstance(column, str) and column.isprintable() and ":" not in column
    if not is_name or column != column.strip() or not re.match(r"\w", column):
        return match[0]
    if QUOTE.search(column):
        return match[0]
    return match[0] if re.fullmatch(r"[\d.eE]+", column) else column


def _is_sum(name, known):
    """Whether a name such as "a-b" is also an expression of other names."""
    parts = BETWEEN.split(name)
    return len(parts) > 1 and known.issuperset(parts)


def _backticked(match):
    column = _column(match)
    has_name = isinstance(column, str) and column.isprintable()
    return f"`{column}`" if has_name and column and "`" not in column else match[0]
