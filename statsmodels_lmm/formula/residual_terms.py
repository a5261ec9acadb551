"""Parser of structures of errors, such as ``ar1(trial | subject, by=arm)``."""

from dataclasses import replace

from statsmodels_lmm.core.residuals.by_name import RESIDUALS
from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.parser import split_terms
from statsmodels_lmm.formula.pieces import depths, is_call, join, span
from statsmodels_lmm.formula.random_terms import LOGICAL, grouping
from statsmodels_lmm.formula.tokens import tokenize, written
from statsmodels_lmm.residual.terms import Residual, unknown_structure

FORM = "write it as `ar1(trial | subject)`: a structure, when or where, and the groups"


def with_errors(parsed, residual, dispersion):
    """
    A formula with what is said of its errors.

    Parameters
    ----------
    parsed : ModelFormula
        The formula.
    residual : str, Residual or None
        The correlations.
    dispersion : str or None
        One-sided formula of the logarithms of the standard deviations.

    Returns
    -------
    ModelFormula

    Raises
    ------
    FormulaError
        If either cannot be read.
    """
    if residual is not None:
        residual = residual_term(residual)
    changes = {"residual": residual, "dispersion": dispersion_formula(dispersion)}
    return replace(parsed, **changes)


def residual_term(residual):
    """
    Parse a structure of errors.

    Parameters
    ----------
    residual : str or Residual
        Its text, or an object with names of columns.

    Returns
    -------
    Residual
        With `when`, `group` and `by` as tuples of names.

    Raises
    ------
    FormulaError
    """
    if isinstance(residual, Residual):
        if isinstance(residual.group, tuple):
            return residual
        return replace(_read(str(residual), residual.structure), hom=residual.hom)
    if not isinstance(residual, str):
        raise FormulaError(
            f"residual must be a text or a Residual, not {type(residual).__name__}: "
            '`residual="ar1(trial | subject)"`'
        )
    return _read(residual)


def _read(text, structure=None):
    tokens = tokenize(text)
    if not is_call(tokens) or tokens[0].kind != "name":
        raise FormulaError(f"this is no structure of errors; {FORM}", text)
    name, inner = tokens[0].text, tokens[2:-1]
    if structure is None and name not in RESIDUALS:
        raise FormulaError(unknown_structure(name), text, span(tokens[:1]))
    first, *options = _at_commas(inner)
    bars = [i for i, (t, d) in enumerate(zip(first, depths(first))) if t.text == "|"]
    if len(bars) != 1 or not first[: bars[0]] or not first[bars[0] + 1 :]:
        raise FormulaError(f"one bar parts time and groups; {FORM}", text, span(tokens))
    when, right = first[: bars[0]], first[bars[0] + 1 :]
    groups = grouping(right, text)
    if len(groups) != 1:
        raise FormulaError(
            "errors are correlated within the levels of one factor; write a:b for "
            "their combinations",
            text,
            span(right),
        )
    own = {}
    hom = by = None
    for option in options:
        key, value = _option(option, text)
        if key == "hom" and value in LOGICAL:
            hom = LOGICAL[value]
        elif key == "by":
            by = grouping(option[2:], text)[0]
        else:
            own[key] = _number(value, option, text)
    if structure is None:
        try:
            structure = RESIDUALS[name](**own)
        except TypeError:
            raise FormulaError(
                f"{name}() has no option {', '.join(own)}", text, span(tokens)
            ) from None
    places = _places(when, text)
    if structure.needs_place and not places:
        group = ":".join(map(written, groups[0]))
        raise FormulaError(
            f"{name} needs to know when or where the rows of a group were observed: "
            f"write `{name}(time | {group})`, where time is a column. The order of the "
            "rows does not tell, because one may be missing",
            text,
            span(when),
        )
    return Residual(structure, places, groups[0], by, hom)


def _at_commas(tokens):
    """Pieces between commas that stand in no parentheses."""
    pieces: list = [[]]
    for token, depth in zip(tokens, depths(tokens)):
        if token.text == "," and depth == 0:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces


def _option(tokens, text):
    if len(tokens) < 3 or tokens[1].text != "=":
        raise FormulaError(
            "after the groups come options such as hom=False and by=arm",
            text,
            span(tokens) if tokens else None,
        )
    return tokens[0].text, join(tokens[2:])


def _number(value, tokens, text):
    """The value of an option of a structure."""
    if value in LOGICAL:
        return LOGICAL[value]
    try:
        number = float(value)
    except ValueError:
        raise FormulaError(
            f"{value} is not the value of an option", text, span(tokens[2:])
        ) from None
    return int(number) if number == int(number) else number


def _places(tokens, text):
    """Names of the columns to the left of the bar; none for a constant."""
    if [t.text for t in tokens] in (["1"], ["0"]):
        return ()
    names = []
    for sign, piece in split_terms(tokens, text):
        if sign == "+" and [t.text for t in piece] == ["0"]:
            continue  # glmmTMB's ar1(0 + t | g)
        first = piece[0]
        if sign == "-" or len(piece) > 1 or first.kind != "name" or "." in first.text:
            raise FormulaError(
                "left of the bar stands the column that tells when a row was observed, "
                "or two joined by + that tell where; compute it before if need be",
                text,
                span(piece),
            )
        names.append(first.text if first.column is None else str(first.column))
    return tuple(names)


def dispersion_formula(text):
    """
    The right-hand side of a formula of standard deviations.

    Parameters
    ----------
    text : str or None
        One-sided formula, such as "~ sex + log(x)".

    Returns
    -------
    str
        Empty without a formula.

    Raises
    ------
    FormulaError
    """
    if text is None:
        return ""
    if not isinstance(text, str) or not text.strip().startswith("~"):
        raise FormulaError(
            "dispersion is a formula of the logarithms of the standard deviations that "
            'starts with ~: `dispersion="~ sex"`',
            text if isinstance(text, str) else None,
        )
    right = text.strip()[1:].strip()
    if any(t.text in ("|", "||", "~") for t in tokenize(right)):
        raise FormulaError("dispersion has fixed effects only, no bar and one ~", text)
    if not right:
        raise FormulaError("dispersion is empty after the ~", text)
    return right
