"""How wide a design will be, before it is evaluated."""

import math
import re

import pandas as pd
from patsy import ModelDesc

from statsmodels_lmm.core.memory import require_memory
from statsmodels_lmm.formula.frame import columns_in

CATEGORICAL = re.compile(r"^(?:\w+|Q\(.*\)|(?:C|factor)\(.*\))$", re.DOTALL)
"""Factors of a term that have a column for each level: a name, or C(...)."""


def require_design(formula, frame, what):
    """
    Refuse a design that does not fit in memory.

    Parameters
    ----------
    formula : str
        The right-hand side of a formula.
    frame : DataFrame
        The data.
    what : str
        What has the design.

    Raises
    ------
    MemoryError
        Names the widest term.
    """
    if not len(frame.columns):
        return
    try:
        terms = ModelDesc.from_formula(f"~ {formula}").rhs_termlist
    except Exception:  # the engine that evaluates it says what is wrong
        return
    levels: dict = {}
    widths = [_width(term, frame, levels) for term in terms]
    total = sum(widths)
    widest = terms[widths.index(max(widths))].name() if terms else ""
    require_memory(
        3 * 8 * len(frame) * total,
        f"{what}: {len(frame):,} rows of at least {total:,} columns, most of them of "
        f"{widest}",
        "A factor with so many levels is a random effect rather, as in (1 | g)",
    )


def _width(term, frame, levels):
    """Columns of a term at least."""
    return math.prod(max(1, _levels(f.name(), frame, levels) - 1) for f in term.factors)


def _levels(factor, frame, levels):
    """Levels of a factor of a term, 1 for a number."""
    if factor not in levels:
        levels[factor] = 1
        named = columns_in(factor, frame.columns) if CATEGORICAL.match(factor) else []
        if named:
            column = frame[named[0]]
            if not pd.api.types.is_numeric_dtype(column) or factor.startswith(
                ("C(", "factor(")
            ):
                levels[factor] = column.nunique()
    return levels[factor]
