"""Formulas changed as by R's ``update``, such as ``. ~ . + z - (1 | item)``."""

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.parser import split_terms
from statsmodels_lmm.formula.pieces import is_call, join, sides, span, term_key
from statsmodels_lmm.formula.plain_names import in_backticks
from statsmodels_lmm.formula.random_terms import random_terms, term_names
from statsmodels_lmm.formula.tokens import tokenize


def updated(parsed, text, structures=()):
    """
    The formula of a model after an update.

    Parameters
    ----------
    parsed : ModelFormula
        The formula of the model.
    text : str
        The update. A dot is what stood on that side; terms are added by ``+`` and
        removed by ``-``. Without a left-hand side the response is kept.
    structures : collection of str, optional
        Names of the user's covariance structures.

    Returns
    -------
    str
        The new formula, to be parsed.

    Raises
    ------
    FormulaError
        If a term to be removed is not in the formula.
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"an update is a string such as '. ~ . + x', not {type(text).__name__}"
        )
    tokens = list(tokenize(text))
    left, right = sides(tokens)
    if len(left) + len(right) == len(tokens) or not right:
        raise FormulaError("an update has a tilde and terms: '. ~ . + x'", text)
    response = parsed.response
    if left and not (len(left) == 1 and _is_dot(left[0])):
        response = _without_dots(left, response)
    terms = _Terms(text, structures)
    for sign, piece in split_terms(right, text):
        if any(_is_dot(t) and not t.inside for t in piece):
            if sign == "-":
                raise FormulaError("'.' cannot be subtracted", text, span(piece))
            terms.take(parsed, piece)
        elif sign == "+":
            terms.add(piece)
        else:
            terms.remove(piece)
    return in_backticks(f"{response} ~ " + " + ".join(terms.texts))


class _Terms:
    """The right-hand side of a formula while it is changed."""

    def __init__(self, text, structures):
        self.text, self.structures = text, structures
        self.fixed, self.offsets, self.random = "", [], []

    @property
    def texts(self):
        """The terms as text, the fixed effects first."""
        offsets = [f"offset({each})" for each in self.offsets]
        return [self.fixed or "1", *offsets, *map(str, self.random)]

    def take(self, parsed, piece):
        """Add the old terms; in a product the dot stands for the fixed effects."""
        fixed = parsed.fixed if len(piece) == 1 else _without_dots(piece, parsed.fixed)
        self._add_fixed(fixed)
        self.offsets += parsed.offsets
        self.random += parsed.random

    def add(self, piece):
        """Add a piece of the update."""
        if _has_bar(piece):
            self.random += random_terms(piece, self.text, self.structures)
        elif _is_offset(piece):
            self.offsets.append(join(piece[2:-1]))
        else:
            self._add_fixed(join(piece))

    def remove(self, piece):
        """Remove a piece of the update."""
        if _has_bar(piece):
            for term in random_terms(piece, self.text, self.structures):
                self._remove_random(term, piece)
        elif _is_offset(piece):
            expression = join(piece[2:-1])
            if expression not in self.offsets:
                raise self._unknown(piece, map("offset({})".format, self.offsets))
            self.offsets.remove(expression)
        elif piece[0].text == "0" and len(piece) == 1:
            self._add_fixed("1")  # as in R
        else:
            self._remove_fixed(piece)

    def _add_fixed(self, text):
        self.fixed = f"{self.fixed} + {text}" if self.fixed else text

    def _remove_fixed(self, piece):
        names = term_names(self.fixed or "1")
        removed = ["1"]
        if join(piece) != "1":
            removed = term_names(f"0 + {join(piece)}")
        keys = set(map(term_key, removed))
        if not keys <= set(map(term_key, names)):
            raise self._unknown(piece, names)
        left = [name for name in names if term_key(name) not in keys]
        others = [name for name in left if name != "1"]
        if "1" not in left:
            others.insert(0, "0")
        self.fixed = " + ".join(others or left)

    def _remove_random(self, term, piece):
        for other in self.random:
            alike = set(other.grouping) == set(term.grouping)
            alike &= other.structure == term.structure
            if alike and other.effect_terms == term.effect_terms:
                self.random.remove(other)
                return
        raise self._unknown(piece, map(str, self.random))

    def _unknown(self, piece, known):
        listed = ", ".join(known)
        there = f"there are {listed}" if listed else "there is none of its kind"
        said = f"{join(piece)} cannot be removed, as it is not in the formula; {there}"
        return FormulaError(
            in_backticks(said),
            self.text,
            span(piece),
        )


def _is_dot(token):
    return token.text == "." and token.kind == "operator"


def _has_bar(piece):
    return any(t.text in ("|", "||") for t in piece)


def _is_offset(piece):
    return piece[0].text == "offset" and is_call(piece)


def _without_dots(tokens, text):
    """Tokens as text, with the dots replaced by a text, in parentheses if needed."""
    text = text if len(tokenize(text)) == 1 else f"({text})"
    return join(tokens, lambda t: text if _is_dot(t) else t.text)
