"""Parser of lme4's formula language, from text to terms, without data."""

from functools import lru_cache

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.model_formula import ModelFormula
from statsmodels_lmm.formula.pieces import depths, is_call, join, sides, span
from statsmodels_lmm.formula.r_syntax import check_operators, in_python_words
from statsmodels_lmm.formula.random_terms import check_new, random_terms
from statsmodels_lmm.formula.response_terms import response_columns, response_text
from statsmodels_lmm.formula.size import check_size
from statsmodels_lmm.formula.tokens import tokenize


def parse(text, structures=(), family=None, alone=False, one_sided=False):
    """
    Parse a formula.

    Parameters
    ----------
    text : str
        A formula such as ``"y ~ x + (x | g) + (1 | h)"``.
    structures : collection of str, optional
        Names of covariance structures besides `STRUCTURES`.
    family : str, optional
        Name of the family of a generalized model. ``a + b`` and ``cbind(a, b)`` are
        the successes and failures of a response of family "Binomial".
    alone : bool, optional
        Whether the fixed effects may stand alone, because the errors are correlated or
        of unequal variance.
    one_sided : bool, optional
        Whether the response may be left out, as in ``"~ x + (1 | g)"``.

    Returns
    -------
    ModelFormula

    Raises
    ------
    FormulaError
        With carets under the place in question.
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"the formula must be a string, not {type(text).__name__}; it comes before "
            "the data: `crossedmixedlm(formula, data)`"
        )
    return _parsed(text, tuple(structures), family, alone, one_sided)


@lru_cache(maxsize=64)
def _parsed(text, structures, family, alone, one_sided):
    tokens = tokenize(text)
    check_operators(tokens, text)
    _check_parentheses(tokens, text)
    check_size(tokens)
    left, right = _split_sides(tokens, text, one_sided)
    columns = response_columns(left, text, family) if left else ()
    right = in_python_words(right, text)
    fixed: list = []
    offsets: list = []
    random: list = []
    for sign, piece in split_terms(right, text):
        if any(t.text in ("|", "||") for t in piece):
            if sign == "-":
                raise FormulaError(
                    "a random-effects term cannot be subtracted", text, span(piece)
                )
            for term in random_terms(piece, text, structures):
                check_new(term, random, text, span(piece))
                random.append(term)
        elif piece[0].text == "Error" and is_call(piece):
            start, stop = span(piece)
            strata = f"(1 | {join(piece[2:-1])})"
            raise FormulaError(
                "strata of R's aov are random effects here: write "
                f"`{text[:start]}{strata}{text[stop:]}`",
                text,
                (start, stop),
            )
        elif piece[0].text == "offset" and is_call(piece):
            if sign == "-":
                raise FormulaError(
                    "an offset cannot be subtracted; write offset(-(...))",
                    text,
                    span(piece),
                )
            offsets.append(join(piece[2:-1]))
        else:
            fixed.append((sign, join(piece)))
    if not random and not alone:
        instead = "ols" if family is None else "glm"
        raise FormulaError(
            "the formula has no random-effects term such as (1 | g); "
            f"for a model without random effects use statsmodels' smf.{instead}"
            + (", and with correlated errors residual=" if family is None else ""),
            text,
        )
    joined = " ".join(f"{sign} {piece}" for sign, piece in fixed)
    fixed_text = joined.removeprefix("+ ") or "1"
    if fixed_text.startswith("- "):
        fixed_text = f"1 {fixed_text}"
    response = response_text(left, text) if left else ""
    return ModelFormula(
        text, response, fixed_text, tuple(random), tuple(offsets), columns
    )


def _check_parentheses(tokens, text):
    stack = []
    closing = {")": "(", "]": "[", "}": "{"}
    for token in tokens:
        if token.text in ("(", "[", "{"):
            stack.append(token)
        elif token.text in closing:
            if not stack or stack.pop().text != closing[token.text]:
                raise FormulaError("unmatched parenthesis", text, span([token]))
    if stack:
        raise FormulaError("unmatched parenthesis", text, span(stack[-1:]))


def _split_sides(tokens, text, one_sided):
    tildes = [t for t in tokens if t.text == "~" and not t.inside]
    if len(tildes) > 1:
        raise FormulaError("a formula has only one '~'", text, span(tildes[1:2]))
    left, right = sides(tokens)
    if not left and not (one_sided and tokens and tokens[0].text == "~"):
        message = "the formula needs a response: 'response ~ terms'"
        if tokens and tokens[0].text in ("lmer", "lme", "lm"):
            message = (
                f"'{tokens[0].text}()' is an R function; pass its arguments: "
                "crossedmixedlm('y ~ x + (1 | g)', data)"
            )
        raise FormulaError(message, text, (0, 1))
    if not right:
        raise FormulaError(
            "the right-hand side of '~' is empty", text, span([tokens[-1]])
        )
    for token in left:
        if token.text in ("|", "||") and not token.inside:
            raise FormulaError("a bar in the response", text, span([token]))
    return left, right


def split_terms(tokens, text):
    """Signs and tokens of the terms joined by + and - at depth 0."""
    sign = "+"
    piece: list = []
    pieces: list = []
    for token, depth in zip(tokens, depths(tokens)):
        if depth == 0 and token.text in ("+", "-"):
            unary = not piece and not pieces and sign == "+"
            if not piece and not unary:
                raise FormulaError("a term is missing", text, span([token]))
            if piece:
                pieces.append((sign, piece))
            sign, piece = token.text, []
        else:
            piece.append(token)
    if not piece:
        raise FormulaError("a term is missing", text, span([tokens[-1]]))
    return [*pieces, (sign, piece)]
