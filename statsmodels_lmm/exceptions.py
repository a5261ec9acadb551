"""Errors and warnings."""

import re
import sys
import types
import warnings
from pathlib import Path

from statsmodels.tools.sm_exceptions import ConvergenceWarning, ModelWarning

__all__ = [
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "FormulaError",
    "RankWarning",
    "warn",
]

LONGEST = 300
"""Largest number of characters of a formula that an error shows."""

PACKAGE = str(Path(__file__).parent)


def warn(message, category):
    """
    Issue a warning attributed to the first calling line outside this package.

    Parameters
    ----------
    message : str
        What happened and what to do about it.
    category : type
        Class of the warning.
    """
    frame: types.FrameType | None = sys._getframe()
    level = 1
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


class FormulaError(ValueError):
    """
    A formula that cannot be understood.

    Parameters
    ----------
    message : str
        What is wrong and what to write instead.
    text : str, optional
        The whole formula.
    span : tuple of int, optional
        Start and end (exclusive) of the characters in question.
    """

    def __init__(self, message, text=None, span=None):
        self.text, self.span = text, span
        if text is not None:
            text = re.sub(r"\s", " ", text)
            start, stop = span or (0, len(text))
            if len(text) > LONGEST:
                left = max(0, min(start - LONGEST // 4, len(text) - LONGEST))
                text = text[left : left + LONGEST]
                start, stop = start - left, min(stop - left, LONGEST)
            carets = " " * start + "^" * max(1, stop - start)
            message = f"{message}\n    {text}\n    {carets}"
        super().__init__(message)


class DataError(ValueError):
    """Data that a model cannot be fitted to."""


class DataWarning(ModelWarning):
    """Data that were changed, or that carry less information than they seem to."""


class RankWarning(ModelWarning):
    """Redundant columns of the fixed effects that were dropped."""
