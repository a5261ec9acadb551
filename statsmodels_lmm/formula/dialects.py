"""Translation of formulas for patsy and formulaic, and of their names back."""

import re
from functools import lru_cache

from statsmodels_lmm.formula.pieces import join, sides
from statsmodels_lmm.formula.tokens import is_python_name, tokenize, written

QUOTED = re.compile(r"Q\('([^'\\]*)'\)")

ENCODED = re.compile(r"(?<!\w)Q_((?:[0-9a-f]{2})*)_(?!\w)")

ESCAPED = re.compile(r"\\x(28|29|5b|5d|60|7b|7d|7e)")
"""Characters inside strings that formulaic or statsmodels would interpret."""


@lru_cache(maxsize=64)
def engine_text(text, engine):
    """
    Translate a formula, or one side of it, for a formula engine.

    Parameters
    ----------
    text : str
        Text without random effects, such as "post - pre ~ yield".
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    str
        Such as "I(post - pre) ~ Q('yield')": the response is arithmetic, and columns
        that are not Python names are quoted.
    """
    left, right = sides(tokenize(text))
    spelled = _by_factor(right) if engine == "formulaic" else join(right, _for_patsy)
    if not left:
        return spelled
    spell = _for_formulaic if engine == "formulaic" else _for_patsy
    response = join(left, lambda t: "**" if t.text == "^" else spell(t))
    bare = engine == "formulaic" and not _is_simple(left)
    if bare or any(token.separates for token in left):
        response = f"I({response})"
    return f"{response} ~ {spelled}"


def response_of(text):
    """
    The response of a formula.

    Parameters
    ----------
    text : str
        Text with a tilde.

    Returns
    -------
    str
        The text to the left of the tilde.
    """
    left, _ = sides(tokenize(text))
    return text[left[0].start : left[-1].stop]


def _for_patsy(token):
    # statsmodels infers from a tilde that there is a response
    quoted = token.column is not None or _is_string(token)
    return token.python.replace("~", "\\x7e") if quoted else token.python


def _is_string(token):
    return token.kind == "string" and token.text[0] in "'\""


def _for_formulaic(token):
    if isinstance(token.column, str):
        return engine_column(token.column, "formulaic")
    if _is_string(token):
        return re.sub(r"[][(){}`~]", lambda m: f"\\x{ord(m[0]):02x}", token.text)
    return token.text


def _by_factor(tokens):
    """Text for formulaic, which reads only names and calls as Python."""
    out, piece = [], []
    for token in [*tokens, None]:
        if token is not None and not token.separates:
            piece.append(token)
            continue
        if piece:
            text = join(piece, _for_formulaic)
            out.append(text if _is_simple(piece) else f"I({text})")
            piece = []
        if token is not None:
            out.append(token.text)
    return " ".join(out)


def _is_simple(piece):
    """Whether a factor is a number, a name or one call."""
    if len(piece) == 1:
        return (
            piece[0].column is not None
            or "." not in piece[0].text
            or (piece[0].kind == "number")
        )
    opened = 0
    for token in piece[1:-1]:
        opened += (token.text in ("(", "[", "{")) - (token.text in (")", "]", "}"))
        if opened <= 0:
            return False
    return piece[0].kind == "name" and piece[-1].text == ")"


def engine_column(name, engine):
    """
    Name of a column for a formula engine.

    Parameters
    ----------
    name : hashable
        Name of a column.
    engine : {"patsy", "formulaic"}
        Formula engine. formulaic's ``Q`` does not accept every name in quotes.

    Returns
    -------
    hashable
    """
    if engine == "patsy" or not isinstance(name, str) or is_python_name(name):
        return name
    return f"Q_{name.encode('utf-8', 'surrogatepass').hex()}_"


def readable(name, engine):
    """
    Translate a formula engine's name of a term, a factor or a column back.

    Parameters
    ----------
    name : str
        Such as "Q('yield')[T.b]".
    engine : {"patsy", "formulaic"}
        Formula engine.

    Returns
    -------
    str
        As in the user's formula, such as "yield[T.b]".
    """
    if engine == "formulaic":
        name = ENCODED.sub(_decoded, name)
    name = ESCAPED.sub(lambda m: chr(int(m[1], 16)), name)
    return QUOTED.sub(_bare, name)


def _decoded(match):
    return f"Q({bytes.fromhex(match[1]).decode('utf-8', 'surrogatepass')!r})"


def _bare(match):
    name, whole = match[1], match.string
    if is_python_name(name):
        return match[0]
    alone = whole[: match.start()][-1:] in ("", ":") and whole[match.end() :][:1] in (
        "",
        ":",
        "[",
    )
    return written(name, inside=not alone) if name.isidentifier() else match[0]
