"""A formula for rows in batches: its names, and the columns that it needs."""

import numpy as np
import pandas as pd

from statsmodels_lmm.batches.complete_rows import Wanted, levels_only
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import caller_scope, current_engine
from statsmodels_lmm.formula.codings import with_contrasts
from statsmodels_lmm.formula.frame import check_names, column_roles
from statsmodels_lmm.formula.names import CODINGS, SYNTAX, columns_in, names_in
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.quoting import quotes_told
from statsmodels_lmm.formula.random_terms import TRANSFORMS, checked_structures
from statsmodels_lmm.formula.subsets import condition_of
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.row_values import row_values

IN_MEMORY = "read the rows into memory, `data.collect()` or `pd.read_parquet(path)`"
"""How to do what batches cannot."""


def read_names(
    formula,
    names,
    *,
    weights,
    offset,
    subset,
    missing,
    contrasts,
    structures,
    eval_env,
    depth,
):
    """
    Parse a formula, look up its names, and find the columns that it needs.

    Parameters
    ----------
    formula, weights, offset, subset, missing, contrasts, structures, eval_env
        As for `RowSums.of`.
    names : list
        Names of the columns.
    depth : int
        Stack frames between this function and the user.

    Returns
    -------
    formula : str
        The formula with its codings.
    parsed : ModelFormula
        The parsed formula.
    structures : dict
        The user's covariance structures.
    wanted : Wanted
        What is to be taken from a batch.
    """
    if missing not in ("none", "drop", "raise"):
        raise ValueError(f"missing must be 'drop' or 'raise', not {missing!r}")
    if current_engine() != "patsy":
        raise NotImplementedError(
            "formulas of batches are evaluated by patsy, because formulaic needs all "
            "rows at once: `statsmodels.formula.options.formula_engine = 'patsy'`, or "
            f"{IN_MEMORY}"
        )
    sides = {"weights": weights, "offset": offset}
    for what, value in sides.items():
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"{what}= is the name of a column if rows come in batches, not "
                f"{type(value).__name__}; {IN_MEMORY} for one value per row"
            )
    if subset is not None and not isinstance(subset, str):
        raise TypeError(
            "subset= is a condition such as \"x > 2 and f != 'a'\" if rows come in "
            f"batches, not {type(subset).__name__}"
        )
    structures = checked_structures(structures)
    formula, matrices = with_contrasts(formula, contrasts)
    parsed = parse(formula, structures)
    data = pd.DataFrame(columns=pd.Index(names, dtype=object))
    texts = list(parsed.pieces)
    if subset is not None:
        texts.append(condition_of(subset))
    found = [names_in(text) for text in texts]
    read = {name for each in found for name in each.read}
    called = {name for each in found for name in each.called}
    free = (called - SYNTAX) | (read - set(data.columns))
    scope = caller_scope(free, TRANSFORMS | CODINGS, eval_env, depth + 1) | matrices
    known = {*default_scope("patsy"), *scope}
    with quotes_told(formula, data):
        roles = column_roles(data, parsed, known)
    for what, name in sides.items():
        if name is not None and name not in data.columns:
            row_values(name, data, what)  # raises the error
    needed = dict.fromkeys([*roles, *(n for n in sides.values() if n is not None)])
    if subset is not None:
        check_names(texts[-1], data, subset, known)
        needed |= dict.fromkeys(columns_in(texts[-1], data.columns))
    coded = levels_only(parsed, data.columns) - set(sides.values())
    missing = "drop" if missing == "drop" else "raise"
    wanted = Wanted(roles, coded, sides, subset, missing, scope, list(needed))
    return formula, parsed, structures, wanted


def variable_of_rows(scope, counts):
    """
    The error for a variable of the caller that has one value per row.

    Parameters
    ----------
    scope : dict
        Names that are not columns.
    counts : iterable of int
        Numbers of rows of a batch and of all data, or None.

    Returns
    -------
    DataError or None
        None if there is no such variable.
    """
    counts = {n for n in counts if n is not None and n > 1}
    for name, value in scope.items():
        is_array = isinstance(value, np.ndarray | pd.Series | pd.Categorical | list)
        if is_array and np.ndim(value) == 1 and len(value) in counts:
            return DataError(
                f"the variable '{name}' in the formula has a value for each of "
                f"{len(value)} rows; if rows come in batches, make it a column of them"
            )
    return None
