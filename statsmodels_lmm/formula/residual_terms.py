"""Parser of structures of errors, such as ``ar1(trial | subject, by=arm)``."""

import re
from dataclasses import replace

from statsmodels_lmm.core.residuals.by_name import RESIDUALS
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.parser import split_terms
from statsmodels_lmm.formula.pieces import depths, is_call, join, span, split
from statsmodels_lmm.formula.random_terms import LOGICAL, grouping
from statsmodels_lmm.formula.tokens import tokenize, written
from statsmodels_lmm.keywords import VARIANCE_FUNCTIONS
from statsmodels_lmm.residual.covariance import ErrorCovariance
from statsmodels_lmm.residual.terms import (
    Residual,
    structure_options,
    unknown_structure,
)

FORM = "write it as `ar1(trial | subject)`: a structure, when or where, and the groups"


ROLES = ("when", "group", "by")


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
    if isinstance(residual, ErrorCovariance):  # a clone's
        residual, dispersion = errors_after(residual, dispersion=dispersion)
    if residual is not None:
        residual = residual_term(residual)
    changes = {"residual": residual, "dispersion": dispersion_formula(dispersion)}
    return replace(parsed, **changes)


def errors_of(parsed):
    """
    Arguments from which `with_errors` reads the errors of a formula again.

    Parameters
    ----------
    parsed : ModelFormula or ErrorCovariance
        The formula, or its errors.

    Returns
    -------
    residual : Residual or None
    dispersion : str or None
    """
    name = "term" if isinstance(parsed, ErrorCovariance) else "residual"
    spread = f"~ {parsed.dispersion}" if parsed.dispersion else None
    return getattr(parsed, name), spread


def errors_after(parsed, residual=None, dispersion=None):
    """
    The errors of a formula after an update.

    Parameters
    ----------
    parsed : ModelFormula or ErrorCovariance
        The formula before, or its errors.
    residual, dispersion : optional
        The change: False or "" for none, None for those of the formula.

    Returns
    -------
    residual : str, Residual or None
    dispersion : str or None
    """
    before = errors_of(parsed)
    pairs = zip((residual, dispersion), before)
    return tuple(old if new is None else new or None for new, old in pairs)


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
        for role in ROLES:
            names = getattr(residual, role)
            if not isinstance(names, str | None):
                raise FormulaError(
                    f"with a formula {role} of a Residual names columns; it is a "
                    f"{type(names).__name__}: `Residual('ar1', when='t', group='g')`"
                )
        options = {role: _as_written(getattr(residual, role)) for role in ROLES}
        text = str(replace(residual, **options))
        return replace(_read(text, residual.structure), hom=residual.hom)
    if not isinstance(residual, str):
        raise FormulaError(
            f"residual must be a text or a Residual, not {type(residual).__name__}: "
            '`residual="ar1(trial | subject)"`'
        )
    return _read(residual)


def written_residual(term):
    """
    The text of a structure of errors, from which `residual_term` reads it again.

    Parameters
    ----------
    term : Residual
        As returned by `residual_term`.

    Returns
    -------
    str

    Raises
    ------
    DataError
        If the structure is of the user's own class, which has no text.
    """
    structure = term.structure
    if RESIDUALS.get(structure.name) is not type(structure):
        raise DataError(
            f"{type(structure).__name__} is a structure of errors of your own and "
            "cannot be saved as text; use pickle"
        )
    when = " + ".join(map(written, term.when)) or "1"
    parts = [f"{when} | {':'.join(map(written, term.group))}"]
    parts += [f"{name}={v}" for name, v in structure_options(structure).items()]
    parts += [] if term.hom is None else [f"hom={term.hom}"]
    parts += [f"by={':'.join(map(written, term.by))}"] if term.by else []
    return f"{structure.name}({', '.join(parts)})"


def _as_written(names):
    """Names of columns as in a formula; a single name with blanks is quoted."""
    if names is None or any(sign in names for sign in "+:`(") or not names.strip():
        return names
    return written(names)


def _read(text, structure=None):
    tokens = tokenize(text)
    if not is_call(tokens) or tokens[0].kind != "name":
        raise FormulaError(f"this is no structure of errors; {FORM}", text)
    name, inner = tokens[0].text, tokens[2:-1]
    if structure is None and name not in RESIDUALS:
        message = unknown_structure(name, _form_of(inner))
        raise FormulaError(message, text, span(tokens[:1]))
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
    told: set = set()
    for option in options:
        key, value = _option(option, text)
        if key in told:
            raise FormulaError(f"{key} is given twice", text, span(option))
        told.add(key)
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
        except ValueError as error:
            raise FormulaError(str(error), text, span(tokens)) from None
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


def _form_of(tokens):
    """Time and groups of nlme's ``corAR1(form = ~ t | g)``, for a message."""
    for piece in _at_commas(tokens):
        sides = split(piece, "|")
        if len(sides) == 2 and all(sides):
            tilde = [i for i, t in enumerate(sides[0]) if t.text == "~"]
            when = sides[0][tilde[-1] + 1 if tilde else 0 :]
            if when:
                return f"({join(when)} | {join(sides[1])})"
    return "(time | group)"


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
            raise FormulaError(_no_column(piece), text, span(piece))
        names.append(first.text if first.column is None else str(first.column))
    return tuple(names)


def _like_nlme(text):
    """The formula of a variance function of nlme, or an example."""
    found = re.fullmatch(r"\s*(\w+)\(\s*(?:form\s*=)?\s*~(.+)\)\s*", str(text))
    if found is None or found[1] not in VARIANCE_FUNCTIONS:
        return "~ sex"
    column = found[2].rpartition("|")[2].strip()
    return re.sub(r"\b[fx]\b", lambda _: column, VARIANCE_FUNCTIONS[found[1]])


def _no_column(tokens):
    """What is wrong with what stands left of the bar, and what to write."""
    advice = (
        "left of the bar stands the column that tells when a row was observed, "
        "or two joined by + that tell where"
    )
    words = [t.text for t in tokens]
    if words[0] == "~" and len(words) == 2:
        return f"{advice}, without ~: write {words[1]}"
    if words[0] in ("C", "factor"):
        return f"{advice}; write its name alone: us, toep and ad take visits anyway"
    return (
        f"{advice}; compute it before: "
        f"`data = data.eval('time = {join(tokens).removeprefix('I')}')`"
    )


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
            f'starts with ~: `dispersion="{_like_nlme(text)}"`',
            text if isinstance(text, str) else None,
        )
    right = text.strip()[1:].strip()
    if any(t.text in ("|", "||", "~") for t in tokenize(right)):
        raise FormulaError("dispersion has fixed effects only, no bar and one ~", text)
    if not right:
        raise FormulaError("dispersion is empty after the ~", text)
    if right == "1":  # one standard deviation for all rows
        return ""
    _check_constant(right, text)
    return right


def _check_constant(right, text):
    """Reject a dispersion without its constant, which is the logarithm of sigma."""
    pairs = [(sign, join(piece)) for sign, piece in split_terms(tokenize(right), text)]
    kept = [pair for pair in pairs if pair not in (("+", "0"), ("-", "1"))]
    if len(kept) == len(pairs):
        return
    rest = "".join(f" {sign} {term}" for sign, term in kept).removeprefix(" + ")
    advice = "leave out dispersion= if all rows have one standard deviation"
    if rest:
        advice = (
            f'write `dispersion="~ {rest}"`; sigma is that of a row where these terms '
            "are zero, such as one of the first level, to which the coefficients "
            "compare the others"
        )
    raise FormulaError(
        "a dispersion without its constant would have no sigma: the standard deviation "
        f"of a row is sigma times exp of these terms, and sigma is estimated; {advice}",
        text,
    )
