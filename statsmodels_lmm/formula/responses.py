"""Evaluation of the response of a generalized model."""

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import categorical_factors, design_matrices
from statsmodels_lmm.formula.names import names_in
from statsmodels_lmm.formula.plain_names import plain_names
from statsmodels_lmm.inputs.responses import coded_response


def evaluate_response(formula, frame, scope, family):
    """
    Evaluate the response of a generalized model.

    Parameters
    ----------
    formula : ModelFormula
        The parsed formula.
    frame : DataFrame
        Columns and rows from `prepare_frame`.
    scope : dict
        Names that are not columns.
    family : Family
        The family.

    Returns
    -------
    endog : DataFrame
        Numbers, shape (n, 1), or (n, 2) for successes and failures.
    event : object
        The level coded as 1, see `coded_response`.

    Raises
    ------
    DataError
        If the response has other than two levels, or the family needs numbers.
    FormulaError
        If it cannot be evaluated.
    """
    texts = formula.response_columns
    names = [formula.response] if len(texts) == 1 else list(map(_bare, texts))
    names = plain_names(names)
    is_binary = len(texts) == 1 and family.name == "Binomial"
    values = [_values(text, frame, scope) for text in texts]
    coded = [coded_response(v, is_binary, n) for v, n in zip(values, names)]
    columns = np.column_stack([np.asarray(column, float) for column, _ in coded])
    return pd.DataFrame(columns, frame.index, names), coded[0][1]


def _bare(text):
    """A factor without the I() around it."""
    return text[2:-1] if text.startswith("I(") else text


def _values(text, frame, scope):
    """The values of a column or an expression, which may be categorical."""
    alone = names_in(text).alone
    if alone and alone[0] in frame:
        return frame[alone[0]]
    # patsy for any engine: formulaic does not tell true and false from 1 and 0
    _, columns, spec = design_matrices(f"0 + {text}", frame, scope, "patsy")
    factors = categorical_factors(spec, "patsy")
    columns = columns.to_numpy(float)
    if columns.shape[1] != len(next(iter(factors.values()), [text])):
        raise DataError(f"the response '{_bare(text)}' has several columns")
    if not factors:
        return pd.Series(columns[:, 0], frame.index)
    (levels,) = factors.values()
    codes = columns.argmax(axis=1)
    if [repr(level) for level in levels] == ["False", "True"]:
        return pd.Series(codes == 1, frame.index)
    return pd.Series(pd.Categorical.from_codes(codes, levels), frame.index)
