"""Names that fit a plot and remain those of different things."""

import re

from statsmodels_lmm.display import unquoted
from statsmodels_lmm.graphics.canvas import plain

LENGTH = 28
"""Number of characters of a line."""

BREAKS = (r"(?<=:)", r"(?=\[)", r"(?<=[\s_,])", r"(?s)(?<=.)")
"""Where a line may end: after colons, else before levels, at spaces, anywhere."""


def short(text, length=LENGTH):
    """
    Shorten a name to fit a plot, `plain` and without its middle if too long.

    Parameters
    ----------
    text : object
        The name.
    length : int, optional
        Number of characters kept.

    Returns
    -------
    str
    """
    return plain(_elided(unquoted(text), length))


def distinct(names, length=LENGTH):
    """
    Shorten names without giving two of them the same label.

    Parameters
    ----------
    names : iterable
        The names.
    length : int, optional
        Number of characters to which a name is shortened, without its middle. Names
        that would then be the same keep more.

    Returns
    -------
    list of str
        The labels, `plain`, in the order of the names.
    """
    return [plain(label) for label in _distinct(names, length)]


def wrapped(names, length=LENGTH, lines=3):
    """
    Break names into lines, at the colons of interactions if possible.

    Parameters
    ----------
    names : iterable
        The names.
    length : int, optional
        Largest number of characters of a line.
    lines : int, optional
        Number of lines to which names are shortened, as by `distinct`.

    Returns
    -------
    list of str
        The labels, `plain`, in the order of the names.
    """
    return [
        plain("\n".join(_lines(label, length)))
        for label in _distinct(names, lines * length)
    ]


def _distinct(names, length):
    """Shortened names, of which two are the same only if the names are."""
    names = [unquoted(name) for name in names]
    lengths = dict.fromkeys(names, length)
    while True:
        shared: dict = {}
        for name, kept in lengths.items():
            shared.setdefault(_elided(name, kept), []).append(name)
        same = [name for alike in shared.values() if len(alike) > 1 for name in alike]
        if not same:
            return [_elided(name, lengths[name]) for name in names]
        for name in same:
            lengths[name] += 4


def _elided(name, length):
    """A name without its middle if it is too long."""
    half = (length - 1) // 2
    if len(name) <= length:
        return name
    return f"{name[: length - 1 - half]}\N{HORIZONTAL ELLIPSIS}{name[-half:]}"


def _lines(text, length, breaks=BREAKS):
    """Lines of a text, as few as its breaks allow."""
    if len(text) <= length:
        return [text]
    lines = [""]
    for piece in re.split(breaks[0], text):
        if len(piece) > length:
            lines += _lines(piece, length, breaks[1:])
        elif len(lines[-1]) + len(piece) > length:
            lines.append(piece)
        else:
            lines[-1] += piece
    return [line for line in lines if line]
