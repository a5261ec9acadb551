"""Codings of factors given beside the formula, as in R's ``contrasts``."""

import re

import numpy as np
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.pieces import depths, sides
from statsmodels_lmm.formula.plain_names import in_backticks, unquoted
from statsmodels_lmm.formula.tokens import tokenize, written

CODINGS_OF_R = {
    "diff": "Diff",
    "helmert": "Helmert",
    "poly": "Poly",
    "sdif": "Diff",
    "sum": "Sum",
    "treatment": "Treatment",
}
"""R's names of codings, without "contr.", and those of a formula."""

R_CODING = re.compile(
    r"\bC\(([^(),]+|Q\([^()]*\)), *['\"]?(?:contr[._])?"
    rf"({'|'.join(CODINGS_OF_R)})['\"]?\)"
)


def with_contrasts(text, contrasts):
    """
    A formula with the codings of some of its factors.

    Parameters
    ----------
    text : str
        The formula.
    contrasts : dict or None
        For each factor the name of a coding, as in R or in a formula, or a matrix with
        a row for each level.

    Returns
    -------
    text : str
        The formula with ``C(f, Sum)`` in place of f among the fixed effects. As in
        lme4, random effects keep treatment coding.
    matrices : dict of ndarray
        The matrices, by their names in the formula.

    Raises
    ------
    FormulaError
        If a factor is not a term of the fixed effects, or a coding is unknown.
    """
    if contrasts is None:
        return text, {}
    if not isinstance(contrasts, dict):
        raise TypeError("contrasts= is a dict, such as `contrasts={'f': 'sum'}`")
    codings: dict = {}
    matrices: dict = {}
    for factor, coding in _by_factor(contrasts).items():
        codings[factor] = name = _coding(factor, coding, len(matrices))
        if not isinstance(coding, str):
            matrices[name] = np.asarray(coding, dtype=float)
    places = [t for t in _fixed(text) if _column(t) in codings]
    absent = codings.keys() - {_column(token) for token in places}
    if absent:
        factor = sorted(absent, key=str)[0]
        match = re.search(rf"\bC\(\s*{re.escape(written(factor))}\s*[,)]", text)
        name = in_backticks(written(factor))
        hint = f"; write {name} in place of C({name})" if match else ""
        raise FormulaError(
            f"contrasts= names {factor!r}, which is not a factor among the fixed "
            f"effects{hint}",
            text,
        )
    for token in reversed(places):
        coded = f"C({written(_column(token))}, {codings[_column(token)]})"
        text = text[: token.start] + coded + text[token.stop :]
    return text, matrices


def _by_factor(contrasts):
    """Codings by the names of columns, without quotes."""
    return {unquoted(k) if isinstance(k, str) else k: c for k, c in contrasts.items()}


def check_factors(contrasts, data):
    """
    Reject the coding of a numeric column, which would silently become a factor.

    Parameters
    ----------
    contrasts : dict or None
        As for `with_contrasts`.
    data : DataFrame
        The data.

    Raises
    ------
    FormulaError
    """
    for factor in _by_factor(contrasts or {}):
        kind = data[factor].dtype
        if is_numeric_dtype(kind) and not is_bool_dtype(kind):
            raise FormulaError(
                f"contrasts= codes factors, but {factor!r} is numeric; make it one: "
                f"`data[{factor!r}] = data[{factor!r}].astype('category')`"
            )


def coding_advice(text):
    """
    What to write for a coding by R's name.

    Parameters
    ----------
    text : str
        A piece of a formula.

    Returns
    -------
    str or None
        None if there is none such as ``C(f, contr.sum)``.
    """
    match = R_CODING.search(text)
    if match is None:
        return None
    return f"for this coding write `C({match[1]}, {CODINGS_OF_R[match[2]]})`"


def _coding(factor, coding, n_matrices):
    """A coding as written in a formula."""
    if not isinstance(coding, str):
        if np.ndim(coding) != 2 or hasattr(coding, "columns"):
            raise FormulaError(
                f"the contrasts of {factor!r} are the name of a coding, or an array "
                "with a row for each level and a column for each contrast"
            )
        own = str(factor).isidentifier()
        return f"contrasts_of_{factor}" if own else f"contrasts_{n_matrices + 1}"
    name = coding.lower().removeprefix("contr.").removeprefix("contr_")
    if name not in CODINGS_OF_R:
        raise FormulaError(
            f"there is no coding {coding!r}; there are "
            + ", ".join(map(repr, CODINGS_OF_R))
        )
    return CODINGS_OF_R[name]


def _column(token):
    """The column that a token names."""
    return token.text if token.column is None else token.column


def _fixed(text):
    """The names on the right-hand side outside calls and random-effects terms."""
    _, right = sides(tokenize(text))
    pieces: list = [[]]
    for token, depth in zip(right, depths(right)):
        if depth == 0 and token.text in ("+", "-"):
            pieces.append([])
        pieces[-1].append(token)
    for piece in pieces:
        if any(t.text in ("|", "||") for t in piece):
            continue
        yield from (t for t in piece if t.kind == "name" and not t.inside)
