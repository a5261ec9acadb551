"""The left-hand side of a formula."""

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.pieces import (
    closes_at_end,
    depths,
    is_call,
    join,
    span,
    split,
)


def response_text(tokens, text):
    """
    Text of the response, which is an arithmetic expression.

    Parameters
    ----------
    tokens : list of Token
        The left-hand side.
    text : str
        The formula, for messages.

    Returns
    -------
    str
    """
    for token in tokens:
        if not token.inside and token.text in (":", "%in%", ","):
            raise FormulaError(
                f"the response is an arithmetic expression, but '{token.text}' joins "
                "terms; for a product write '*'",
                text,
                span([token]),
            )
    joined = join(tokens)
    return f"-{joined[2:]}" if joined.startswith("- ") else joined


def response_columns(tokens, text, family):
    """
    The columns of the response of a generalized model.

    Parameters
    ----------
    tokens : list of Token
        The left-hand side.
    text : str
        The formula, for messages.
    family : str or None
        Name of the family; None for a linear model.

    Returns
    -------
    tuple of str
        A formula for each column; empty for a linear model.
    """
    if family is None:
        if tokens[0].text == "cbind":
            raise FormulaError(
                "a linear mixed model has a single response, not several columns",
                text,
                span(tokens),
            )
        return ()
    while tokens[0].text == "(" and len(tokens) > 2 and closes_at_end(tokens):
        tokens = tokens[1:-1]
    is_bound = tokens[0].text == "cbind" and is_call(tokens)
    if is_bound:
        columns = split(tokens[2:-1], (",",))
    else:
        columns = split(tokens, ("+",))
    inner = [t for t in tokens[is_bound:] if t.text == "cbind" and t.column is None]
    if inner:
        raise FormulaError(
            "cbind(successes, failures) is the whole response or none of it",
            text,
            span(inner),
        )
    if not is_bound and len(columns) == 1:
        return (_as_factor(tokens),)
    if family != "Binomial":
        total = "" if is_bound else f"; for their sum write I({join(tokens)})"
        raise FormulaError(
            f"{join(tokens)} are successes and failures, and a {family} response has "
            f"neither{total}",
            text,
            span(tokens),
        )
    at_top = [t for t, depth in zip(tokens, depths(tokens)) if depth == 0]
    if len(columns) != 2 or not all(columns) or any(t.text == "-" for t in at_top):
        raise FormulaError(
            "a binomial response is successes + failures, such as "
            "cases + (size - cases); for a sum of columns write I(a + b)",
            text,
            span(tokens),
        )
    return tuple(map(_as_factor, columns))


def _as_factor(tokens):
    """An arithmetic expression as a single factor of a formula."""
    text = join(tokens, lambda t: "**" if t.text == "^" else t.python)
    return text if len(tokens) == 1 or is_call(tokens) else f"I({text})"
