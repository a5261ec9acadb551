"""Pieces of formulas: lists of tokens, split, joined and compared."""

from statsmodels_lmm.formula.tokens import OPERATOR_WORDS, is_python_name, tokenize


def span(tokens):
    """Start and stop of a sequence of tokens."""
    return tokens[0].start, tokens[-1].stop


def join(tokens, spelled=None):
    """
    Join tokens to text, with natural spacing.

    Parameters
    ----------
    tokens : list of Token
        The tokens.
    spelled : callable, optional
        How to write a token; default is its text.

    Returns
    -------
    str
    """
    out = ""
    for before, token in zip([None, *tokens], tokens):
        spaced = before is not None and (
            token.text in ("+", "-", "*", "/", "|", "||", "~")
            or before.text in ("+", "-", "*", "/", "|", "||", "~", ",")
            or (before.is_word and token.is_word)
            or _beside_word(before, token)
        )
        out += (" " if spaced else "") + (spelled(token) if spelled else token.text)
    return out


def _beside_word(before, token):
    """Whether a Python keyword needs a blank, as in ``(x) if z else 0``."""
    words = [t.column is None and t.text in OPERATOR_WORDS for t in (before, token)]
    if before.text in (".", "("):
        return False
    return (words[0] and token.starts_operand) or (words[1] and before.ends_operand)


def depths(tokens):
    """Depth of parentheses at each token; parentheses themselves count as outside."""
    depth, out = 0, []
    for token in tokens:
        if token.text in (")", "]", "}"):
            depth -= 1
        out.append(depth)
        if token.text in ("(", "[", "{"):
            depth += 1
    return out


def split(tokens, operators):
    """Pieces between the given operators, outside parentheses."""
    pieces: list = [[]]
    for token, depth in zip(tokens, depths(tokens)):
        if depth == 0 and token.text in operators:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def factors(tokens):
    """
    Split a piece of a formula into factors at its operators.

    Parameters
    ----------
    tokens : list of Token
        A piece of a formula without structure names before random-effects terms.

    Returns
    -------
    list of list of Token
        The factors, including numbers.
    """
    pieces: list = [[]]
    for token in tokens:
        if token.separates:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]


def sides(tokens):
    """The tokens left and right of the first tilde; without one, all are right."""
    tildes = [i for i, t in enumerate(tokens) if t.text == "~" and not t.inside]
    if not tildes:
        return [], tokens
    return tokens[: tildes[0]], tokens[tildes[0] + 1 :]


def is_call(piece):
    """Whether a piece is just ``name(...)``."""
    if len(piece) < 3 or piece[0].kind != "name" or piece[1].text != "(":
        return False
    return closes_at_end(piece[1:])


def closes_at_end(piece):
    """Whether the parenthesis that opens a piece closes at its very end."""
    inner = depths(piece)
    return piece[-1].text == ")" and all(d > 0 for d in inner[1:-1])


def term_key(name):
    """
    Key of a term name, the same for any order and spelling of its factors.

    Parameters
    ----------
    name : str
        Such as "x:z" or "`my x`:z".

    Returns
    -------
    frozenset of str
    """
    return frozenset(
        "".join(map(_spelled_once, piece)) for piece in factors(tokenize(name))
    )


def _spelled_once(token):
    column = token.column
    plain = isinstance(column, str) and is_python_name(column)
    return column if plain else token.python


def has_bar(text):
    """
    Whether a formula has a random-effects term.

    Parameters
    ----------
    text : str or None
        A formula, or a piece of one.

    Returns
    -------
    bool
    """
    if not isinstance(text, str) or "|" not in text:
        return False
    return any(t.text in ("|", "||") and not t.inside for t in tokenize(text))
