"""Limits on the size of formulas, which would exhaust the stack or never finish."""

from math import comb, prod

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.pieces import split

MAX_OPERATORS = 500
MAX_TERMS = 2_000


def check_size(tokens):
    """
    Reject a formula that is too large for the formula engines.

    Parameters
    ----------
    tokens : list of Token
        The formula.

    Raises
    ------
    FormulaError
        If the formula joins too many terms or expands to too many.
    """
    operators = sum(t.separates and t.text not in ("(", ")") for t in tokens)
    if operators > MAX_OPERATORS:
        raise FormulaError(
            f"the formula joins more than {MAX_OPERATORS} terms; pass a design with so "
            "many columns as an array to CrossedMixedLM"
        )
    if _n_terms(tokens) > MAX_TERMS:
        raise FormulaError(
            f"the formula expands to more than {MAX_TERMS} terms; write out only those "
            "that you need"
        )


def _n_terms(tokens):
    """An upper bound on the number of terms."""
    pieces = split(tokens, ("~", "+", "-", "|", "||", ","))
    if len(pieces) > 1:
        return sum(map(_n_terms, pieces))
    for operators, joined in ((("*", "/"), 1), ((":", "%in%"), 0)):
        pieces = split(tokens, operators)
        if len(pieces) > 1:
            return prod(_n_terms(piece) + joined for piece in pieces)
    base, *exponents = split(tokens, ("**", "^"))
    if exponents:
        n, digits = _n_terms(base), "".join(t.text for t in exponents[0])
        power = min(int(digits), n) if digits.isdecimal() and len(digits) < 9 else n
        return sum(comb(n, i) for i in range(1, power + 1))
    opening = [i for i, t in enumerate(tokens) if t.text == "(" and not t.inside]
    return _n_terms(tokens[opening[0] + 1 : -1]) if opening else 1
