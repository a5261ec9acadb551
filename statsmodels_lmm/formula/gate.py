"""An allow-list for untrusted formulas, applied before they are evaluated."""

import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from math import comb, prod

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.allow_list import MAX_POWER
from statsmodels_lmm.formula.expressions import check_expression
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.pieces import depths, span, split
from statsmodels_lmm.formula.residual_terms import dispersion_formula, residual_term
from statsmodels_lmm.formula.subsets import condition_tokens
from statsmodels_lmm.formula.tokens import tokenize
from statsmodels_lmm.residual.terms import structure_options

MAX_LENGTH = 2_000
MAX_DEPTH = 20
MAX_TERMS = 500
MAX_COLUMNS = 1_000
MAX_ORDER = 30


def check_formula(
    formula: str,
    columns: Iterable[str],
    structures: Collection[str] = (),
    family: str | None = None,
    subset: str | None = None,
    residual: str | None = None,
    dispersion: str | None = None,
) -> list[str]:
    """
    Reject a formula that uses anything but columns and listed functions.

    Parameters
    ----------
    formula : str
        A mixed-model formula from an untrusted source.
    columns : iterable of str
        Names of the columns that the formula may use.
    structures : collection of str, optional
        Names of user-defined covariance structures.
    family : str, optional
        Name of the family of a generalized model.
    subset : str, optional
        A condition on the rows from the same source.
    residual, dispersion : str, optional
        Structure of the errors and formula of their standard deviations, from the same
        source. The formula may then have no random effects.

    Returns
    -------
    list
        The columns that the formula uses, in the order of the text, and then those of
        the errors and of the condition.

    Raises
    ------
    FormulaError
        With carets under what is not on the list.

    Notes
    -----
    The list comprises columns, numbers, arithmetic, comparisons, the functions in
    `FUNCTIONS` and `ATTRIBUTES`, codings of factors, and strings that are names or
    levels. A formula has at most 2,000 characters and expands to at most 500 terms and
    1,000 columns, counting a factor as one; parentheses are nested at most 20 deep, an
    expression has at most 150 tokens, and powers are at most 20 and never of constants.
    A spline or polynomial has at most 50 columns, a B-spline at most degree 5, both as
    literal numbers, and at most 50 finite knots. Errors are placed and grouped by
    columns themselves; the orders of ``arma`` are at most 30. Nothing is evaluated.

    This is a second line of defense, not a sandbox: it does not bound time or memory
    (it does not know the levels; an interaction of factors that does not fit in memory
    is rejected when the model is created), and does not vouch for the data or for the
    libraries that evaluate the formula. Names are looked up where the formula is
    evaluated, so fit it with ``eval_env=-1``, which hides your own variables.

    Examples
    --------
    >>> check_formula("log(y) ~ x + (x | g)", ["y", "x", "g", "z"])
    ['y', 'x', 'g']
    >>> check_formula("y ~ open('f') + (1 | g)", ["y", "g"])
    Traceback (most recent call last):
    ...
    statsmodels_lmm.exceptions.FormulaError: 'open' is not a function on the list
        y ~ open('f') + (1 | g)
            ^^^^
    """
    columns, used = list(columns), []
    if isinstance(formula, str):
        tokens = _checked_tokens(formula)
        terms = _Terms(formula, columns)
        terms.size(_without_cbind(tokens) if family else tokens)
        used = terms.used
    parse(formula, structures, family, alone=bool(residual or dispersion))
    used += _of_errors(residual, dispersion, columns)
    return list(dict.fromkeys([*used, *_of_condition(subset, columns)]))


def _checked_tokens(formula):
    """The tokens of a formula without anything hidden."""
    _check_length(formula)
    tokens = [_in_python(token) for token in tokenize(formula)]
    _check_text(formula, tokens)
    _check_tokens(tokens, formula)
    return tokens


def _of_errors(residual, dispersion, columns):
    """The columns of the errors, each a column itself or in a formula that passes."""
    used = []
    if residual is not None:
        if not isinstance(residual, str):
            raise FormulaError(f"residual is not a text: {residual!r}")
        _checked_tokens(residual)
        term = residual_term(residual)
        orders = structure_options(term.structure).values()
        if any(order > MAX_ORDER for order in orders):
            raise FormulaError(f"an option is larger than {MAX_ORDER}", residual)
        used += [*term.when, *term.group, *(term.by or ())]
        for name in used:
            if name not in columns:
                raise FormulaError(f"'{name}' is not a column on the list", residual)
    if dispersion is not None:
        right = dispersion_formula(dispersion)
        terms = _Terms(right, columns)
        terms.size(_checked_tokens(right))
        used += terms.used
    return used


def _of_condition(text, columns):
    """The columns of a condition on the rows, which must pass as a formula must."""
    if text is None:
        return []
    _check_length(text)
    tokens = condition_tokens(text)
    _check_text(text, tokens)
    _check_tokens(tokens, text)
    return check_expression(tokens, text, columns)[0]


# text and tokens -------------------------------------------------------------


def _in_python(token):
    """A token with R's ``^`` or ``%in%`` outside calls in Python's form."""
    operator = None if token.inside else {"^": "**", "%in%": ":"}.get(token.text)
    return token if operator is None else replace(token, text=operator)


def _without_cbind(tokens):
    """Tokens with the columns of a response ``cbind(a, b)`` joined by +."""
    if [t.text for t in tokens[:2]] != ["cbind", "("]:
        return tokens
    out: list = []
    for token, depth in zip(tokens[2:], depths(tokens[1:])[1:]):
        if depth == 0:
            return [*out, *tokens[len(out) + 3 :]]
        is_comma = depth == 1 and token.text == ","
        out.append(replace(token, text="+") if is_comma else token)
    return tokens


def _check_length(text):
    if len(text) > MAX_LENGTH:
        raise FormulaError(
            f"the formula has {len(text)} characters; at most {MAX_LENGTH} are allowed"
        )


def _check_text(text, tokens):
    """Reject characters that could hide something, except in column names."""
    named = {i for t in tokens if t.column is not None for i in range(t.start, t.stop)}
    for i, character in enumerate(text):
        if i in named:
            continue
        if character in "#\\" or not (character.isprintable() or character in "\n\t"):
            raise FormulaError(
                f"character {character!r} is not allowed", text, (i, i + 1)
            )


def _check_tokens(tokens, text):
    """Reject strings Python may split differently, look-alike letters, deep nesting."""
    depth = 0
    for before, token in zip([None, *tokens], tokens):
        place = span([token])
        if token.kind == "string":
            glued = before is not None and before.is_word
            if glued or "\n" in token.text:
                message = "a string must stand alone, on one line"
                raise FormulaError(message, text, place)
        elif token.column is None:
            if unicodedata.normalize("NFKC", token.text) != token.text:
                raise FormulaError(
                    "letters that Python would read as other letters", text, place
                )
        depth += (token.text in ("(", "[")) - (token.text in (")", "]"))
        if depth > MAX_DEPTH:
            raise FormulaError(
                f"parentheses are nested more than {MAX_DEPTH} deep", text, place
            )
        if depth < 0 or token.text in ("{", "}"):
            raise FormulaError("unmatched parenthesis", text, place)
    if depth:
        raise FormulaError("unmatched parenthesis", text)


def _inside(tokens):
    """The tokens inside a parenthesis that encloses all of them, else None."""
    if len(tokens) < 2 or tokens[0].text != "(" or len(split(tokens, ")")) != 2:
        return None
    return tokens[1:-1] if tokens[-1].text == ")" else None


# terms -----------------------------------------------------------------------


@dataclass
class _Terms:
    """The terms of one formula; `used` collects their columns."""

    text: str
    columns: list
    used: list = field(default_factory=list)

    def size(self, tokens):
        """Bounds on the numbers of terms and columns; checks every piece."""
        if not tokens:
            return 0, 0
        counts = self.unchecked_size(tokens)
        for count, largest, what in zip(
            counts,
            (MAX_TERMS, MAX_COLUMNS),
            ("terms", "columns, counting a factor as one"),
        ):
            if count > largest:
                message = f"more than {largest} {what}"
                raise FormulaError(message, self.text, span(tokens))
        return counts

    def unchecked_size(self, tokens):
        """Bounds that may exceed the limits."""
        pieces = split(tokens, ("~", "+", "-", "|", "||"))
        if len(pieces) > 1:
            return tuple(map(sum, zip(*map(self.size, pieces))))
        for operators, joined in ((("*", "/"), 1), ((":",), 0)):
            pieces = split(tokens, operators)
            if len(pieces) > 1:
                sizes = [self.size(piece) for piece in pieces]
                return tuple(prod(n + joined for n in each) for each in zip(*sizes))
        pieces = split(tokens, ("**",))
        if len(pieces) > 1:
            return self.power(pieces)
        inner = _inside(tokens)
        if inner is None and tokens[0].kind == "name":
            inner = _inside(tokens[1:])
            if inner is not None and len(split(inner, ("|", "||"))) > 1:
                return self.size(split(inner, (",",))[0])
            inner = None
        if inner is not None:
            return self.size(inner)
        return 1, self.expression(tokens)

    def power(self, pieces):
        """Terms and columns of ``(a + b)**k``."""
        base, *exponents = pieces
        words = [t.text for piece in exponents for t in piece]
        if not base:
            raise FormulaError("'**' needs terms before it", self.text)
        if len(words) != 1 or not words[0].isdecimal() or int(words[0]) > MAX_POWER:
            raise FormulaError(
                f"a power of terms must be a whole number up to {MAX_POWER}",
                self.text,
                span([t for piece in pieces for t in piece]),
            )
        n, p = self.size(base)
        degrees = range(1, int(words[0]) + 1)
        terms = sum(comb(n, i) for i in degrees)
        # the sum of products of i out of n widths of sum p is largest if all are p / n
        columns = sum(-(-comb(n, i) * p**i // n**i) for i in degrees if n)
        return terms, columns

    def expression(self, tokens):
        """Check one piece of Python and bound its number of columns."""
        used, width = check_expression(tokens, self.text, self.columns)
        self.used += used
        return width
