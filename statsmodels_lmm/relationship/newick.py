"""Trees in the Newick format."""

import re
from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.exceptions import DataError

TOKEN = re.compile(
    r"(?P<skip>\s+|\[[^\]]*\])"
    r"|(?P<mark>[(),:;])"
    r"|'(?P<quoted>(?:[^']|'')*)'"
    r"|(?P<plain>[^\s()\[\]':;,]+)"
)

ALLOWED = {
    "start": ("(", "a name"),
    "closed": ("a name", ":", ",", ")", ";"),
    "named": (":", ",", ")", ";"),
    "length": ("a number",),
    "measured": (",", ")", ";"),
    "end": (),
}
"""What may come at the start of a branch, after ")", a name, ":", a length, ";"."""


@dataclass(frozen=True)
class Tree:
    """
    A rooted tree with its nodes in the order of the text, parents before children.

    Parameters
    ----------
    parents : ndarray
        Position of the parent of each node, -1 for the root, which comes first.
    lengths : ndarray
        Length of the branch above each node, nonnegative; NaN for a root without one.
    names : list of str
        Names of the nodes, "" for an unnamed inner node.
    is_tip : ndarray
        Whether each node is a tip.
    """

    parents: np.ndarray
    lengths: np.ndarray
    names: list
    is_tip: np.ndarray


def read_newick(text):
    """
    Read one tree with branch lengths.

    Names may be in single quotes, with a quote inside doubled; they are kept as
    written, including underscores. Comments in square brackets are skipped. A node may
    have any number of children, an inner node a name and the root a length. The final
    semicolon is optional.

    Parameters
    ----------
    text : str
        The tree, such as ``((A:1,B:1):0.5,C:1.5);``.

    Returns
    -------
    Tree

    Raises
    ------
    DataError
        If the text is not a tree or a branch has no length; the message says where.

    References
    ----------
    Felsenstein, J. (1986). The Newick tree format.
    https://phylipweb.github.io/phylip/newicktree.html
    """
    if not isinstance(text, str):
        raise DataError("a Newick tree must be text, such as '((A:1,B:1):0.5,C:1.5);'")
    parents: list[int] = []
    lengths: list[float] = []
    names: list[str] = []
    tips: list[bool] = []
    parent, node, state = -1, -1, "start"

    def add(name, is_tip):
        parents.append(parent)
        lengths.append(np.nan)
        names.append(name)
        tips.append(is_tip)
        return len(parents) - 1

    for kind, value, position in _tokens(text):
        expected = ALLOWED[state]
        if kind == "plain" and state == "length":
            lengths[node], state = _length(value, text, position), "measured"
            continue
        what = value if kind == "mark" else "a name"
        if what not in expected:
            raise _unexpected(state, text, position)
        if what in (",", ")", ";") and (parent < 0) != (what == ";"):
            problem = "'(' is not closed" if what == ";" else "')' without '('"
            raise _error(problem if what != "," else "',' outside '()'", text, position)
        if what in (",", ")") and np.isnan(lengths[node]):
            name = f" of '{names[node]}'" if names[node] else ""
            raise _error(f"the branch{name} has no length", text, position)
        if what == "(":
            parent = add("", False)
        elif what == ")":
            node, parent, state = parent, parents[parent], "closed"
        elif what == "a name":
            if state == "start":
                node = add(value, True)
            else:
                names[node] = value
            state = "named"
        else:
            state = {":": "length", ",": "start", ";": "end"}[what]
    if state in ("start", "length"):
        raise _unexpected(state, text, len(text))
    if parent >= 0:
        raise _error("'(' is not closed", text, len(text))
    return Tree(np.array(parents), np.array(lengths), names, np.array(tips))


def _tokens(text):
    """Kind, value and position of each mark and name."""
    position = 0
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise _error(f"{text[position]} is not matched", text, position)
        kind = match.lastgroup or "skip"
        if kind != "skip":
            value = match[kind]
            if kind == "quoted":
                value = value.replace("''", "'")
            yield kind, value, position
        position = match.end()


def _length(value, text, position):
    """A branch length."""
    try:
        length = float(value)
    except ValueError:
        length = np.nan
    if not 0 <= length < np.inf:
        raise _error(f"'{value}' is not a branch length", text, position)
    return length


def _unexpected(state, text, position):
    """The error for an unexpected mark or name."""
    expected = " or ".join(ALLOWED[state]) or "the end of a single tree"
    return _error(f"expected {expected}", text, position)


def _error(message, text, position):
    """An error with its position and the text around it."""
    around = text[max(0, position - 20) : position + 20].replace("\n", " ")
    return DataError(
        f"Newick tree, character {position + 1}, near {around!r}: {message}"
    )
