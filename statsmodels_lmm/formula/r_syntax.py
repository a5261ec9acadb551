"""R's formula syntax, rewritten for the formula engines or rejected with advice."""

from dataclasses import replace

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.pieces import depths, factors, join, span


def check_operators(tokens, text):
    """Reject R's syntax, and suggest Python's."""
    for before, token, depth in zip([None, *tokens], tokens, depths(tokens)):
        spelling = None
        if token.text == "^" and token.inside:
            spelling = "'^' is the power in R; write '**'"
        elif token.text == "." and (
            before is None or before.text in ("~", "+", "-", "*", ":", "/", "(")
        ):
            spelling = "'.' for all other columns is R syntax; name the columns"
        elif depth == 0 and (
            token.text == "=" or (token.text == "-" and _is_arrow(before, token))
        ):
            spelling = "write '~' between the response and the terms"
            start = before if token.text == "-" else token
            raise FormulaError(spelling, text, (start.start, token.stop))
        elif depth == 0 and token.text == ",":
            spelling = (
                "the formula must end here; options go outside it, as in "
                "crossedmixedlm(formula, data).fit(reml=False)"
            )
        elif token.text == "$":
            spelling = (
                "'$' is R syntax; write only the column, and pass its table as data"
            )
        elif token.text == "as.factor":
            spelling = "'as.factor()' is an R function; write 'C(...)'"
        elif token.text.startswith("as."):
            spelling = f"'{token.text}()' is an R function; convert the column first"
        if spelling:
            raise FormulaError(spelling, text, span([token]))


def _is_arrow(before, token):
    return before is not None and before.text == "<" and before.stop == token.start


def in_python_words(tokens, text):
    """Rewrite R's ``^`` and ``%in%`` outside calls for the formula engines."""
    out: list = []
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if token.inside or token.text not in ("^", "**", "%in%"):
            out.append(token)
        elif token.text == "%in%":
            out.append(replace(token, kind="operator", text=":"))
            nest = _parenthesis(tokens[position:])
            # what precedes is nested in all of them together, not in each
            out += [
                replace(t, text=":") if t.text in ("+", "*", "/", "%in%") else t
                for t in nest
            ]
            position += len(nest)
        else:
            exponent = _power(out, token, tokens[position : position + 1], text)
            out += [replace(token, text="**"), exponent]
            position += 1
    return out


def _parenthesis(tokens):
    """The tokens of the parenthesis that opens at the first token, if any."""
    if not tokens or tokens[0].text != "(" or tokens[0].inside:
        return []
    for position, (token, depth) in enumerate(zip(tokens, depths(tokens))):
        if position and depth == 0 and token.text == ")":
            return tokens[: position + 1]
    return []


def _power(before, operator, after, text):
    """The exponent of a sum of terms; a power of a single term is rejected."""
    base: list = []
    depth = 0
    for token in reversed(before):
        depth += (token.text == ")") - (token.text == "(")
        if depth < 0 or (depth == 0 and token.separates and token.text != "("):
            break
        base.insert(0, token)
        if depth == 0 and token.text == "(" and not token.inside:
            break
    exponent = after[0].text if after else ""
    terms = {join(f) for f in factors(base) if f[0].kind != "number"}
    if len(terms) < 2:
        what = join(base) or "x"
        raise FormulaError(
            f"'{operator.text}' crosses terms, and {what} crossed with itself is just "
            f"{what}; write I({what}**{exponent or 2})",
            text,
            span([operator]),
        )
    if not exponent.isdecimal() or int(exponent) < 1:
        raise FormulaError(
            "the power of a sum of terms must be a whole number, such as (a + b)**2",
            text,
            span([operator, *after]),
        )
    return replace(after[0], text=str(min(int(exponent), len(terms))))
