"""Errors of the formula engines, told in the words of the formula."""

import re
from contextlib import contextmanager

import pandas as pd
from formulaic.errors import FormulaicError
from patsy import PatsyError

from statsmodels_lmm.display import unquoted
from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.codings import coding_advice
from statsmodels_lmm.formula.dialects import readable
from statsmodels_lmm.formula.names import SYNTAX, coded_column, columns_in
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.row_values import listed
from statsmodels_lmm.inputs.text_values import is_text, numbers_in, reading_advice

EVALUATION_ERRORS = (
    *(ArithmeticError, AttributeError, FormulaicError, LookupError, NameError),
    *(PatsyError, RecursionError, SyntaxError, TypeError, ValueError),
)


@contextmanager
def told_of(text, frame, engine):
    """
    Turn the errors of an evaluation into FormulaErrors.

    Parameters
    ----------
    text : str
        What is evaluated.
    frame : DataFrame
        The data.
    engine : {"patsy", "formulaic"}
        Formula engine.
    """
    try:
        yield
    except (FormulaError, DataError):
        raise
    except EVALUATION_ERRORS as error:
        reason = coding_advice(text) or _reason(error, text, frame, engine)
        shown = unquoted(text, "`")
        raise FormulaError(f"{shown} cannot be evaluated: {reason}") from error


def _reason(error, text, frame, engine):
    """Why a formula cannot be evaluated."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    reason = readable(str(error), engine)
    reason = reason.removeprefix("Error evaluating factor: ")
    reason = reason.removeprefix("NameError: ")
    if "str" in reason or "numeric" in reason:
        for name in columns_in(text, frame.columns):
            if is_text(frame[name]) and numbers_in(frame[name], comma=True).any():
                return f"'{name}' is text: {reading_advice(frame[name], name)}"
    called = {*default_scope(engine), *SYNTAX}
    hidden = [name for name in frame.columns if name in called]
    if hidden and "'Series' object" in reason:
        return (
            f"the column '{hidden[0]}' hides the function of the same name; rename the "
            "column"
        )
    mismatched = re.search(r"Mismatched contrast matrix.*EvalFactor\('(.*)'\)", reason)
    column = mismatched and coded_column(mismatched[1])
    if column in frame:
        levels = pd.Categorical(frame[column]).remove_unused_categories().categories
        return (
            f"a matrix of contrasts needs a row for each of the {len(levels)} levels "
            f"of '{column}': {listed(levels)}"
        )
    if ".dt accessor" in reason:
        return f"{reason}; dates that were read as text become dates by pd.to_datetime"
    return reason
