"""Single factors of a formula, evaluated on data and again on new rows."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from patsy import EvalEnvironment, EvalFactor

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.dialects import engine_text
from statsmodels_lmm.formula.engine_errors import told_of
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.inputs.row_values import named_rows


@dataclass(frozen=True)
class RememberedFactor:
    """
    An expression with what its transforms remember of the data of a fit.

    Parameters
    ----------
    text : str
        The expression, a single factor of a formula.
    columns : tuple
        The columns that it reads.
    factor : EvalFactor
        patsy's form of it, for any formula engine.
    state : dict
        What its transforms remember, and the names that are not columns.
    """

    text: str
    columns: tuple
    factor: EvalFactor
    state: dict = field(repr=False)

    @classmethod
    def blank(cls, text, columns, scope=None):
        """
        An expression that has seen no data.

        Parameters
        ----------
        text : str
            The expression.
        columns : iterable
            Names of the columns of the data.
        scope : dict, optional
            Names that are not columns.

        Returns
        -------
        remembered : RememberedFactor
        passes : int
            Number of passes over the data that its transforms need.
        """
        names = {name: checked(value) for name, value in (scope or {}).items()}
        known = EvalEnvironment([{**default_scope("patsy"), **names}])
        factor = EvalFactor(engine_text(text, "patsy"))
        state: dict = {}
        passes = factor.memorize_passes_needed(state, known)
        used = tuple(columns_in(text, pd.Index(columns)))
        return cls(text, used, factor, state), passes

    @classmethod
    def of(cls, text, frame, scope):
        """
        An expression whose transforms have seen the data.

        Parameters
        ----------
        text : str
            The expression.
        frame : DataFrame
            The data.
        scope : dict
            Names that are not columns.

        Returns
        -------
        RememberedFactor
        """
        with told_of(text, frame, "patsy"):
            remembered, passes = cls.blank(text, frame.columns, scope)
            for i in range(passes):
                remembered.memorize(frame, i)
                remembered.factor.memorize_finish(remembered.state, i)
        return remembered

    def memorize(self, frame, i):
        """Let the transforms see some rows in pass i over the data."""
        self.factor.memorize_chunk(self.state, i, self._data(frame))

    def values(self, frame):
        """
        The values of the expression.

        Parameters
        ----------
        frame : DataFrame
            Rows of data.

        Returns
        -------
        Series
            One value per row, with the labels of `frame`.

        Raises
        ------
        FormulaError
            If it cannot be evaluated, or has other than one value per row.
        """
        with told_of(self.text, frame, "patsy"):
            found = self.factor.eval(self.state, self._data(frame))
        if np.ndim(found) == 2 and np.shape(found)[1] == 1:
            found = np.asarray(found)[:, 0]
        if np.ndim(found) != 1 or len(found) != len(frame):
            raise FormulaError(f"{self.text} has other than one value per row")
        if isinstance(found, pd.Series):
            found = found.array
        return pd.Series(found, index=frame.index, name=str(self.text))

    def _data(self, frame):
        """The columns as patsy looks them up, with the default index."""
        return {n: frame[n].reset_index(drop=True) for n in self.columns}


def grouping_factors(formula, frame, scope):
    """
    Evaluate the grouping factors that are expressions.

    Parameters
    ----------
    formula : ModelFormula
        The parsed formula.
    frame : DataFrame
        The complete rows of the columns that the formula uses.
    scope : dict
        Names that are not columns.

    Returns
    -------
    groupings : dict of RememberedFactor
        The expressions, by their text.
    values : dict of Series
        Their values.

    Raises
    ------
    DataError
        If an expression has no value in some row.
    """
    groupings, values = {}, {}
    for text in formula.grouping_expressions:
        groupings[text] = RememberedFactor.of(text, frame, scope)
        values[text] = complete_values(text, groupings[text], frame)
    return groupings, values


def complete_values(text, remembered, frame):
    """
    The values of a grouping factor that is an expression.

    Parameters
    ----------
    text : str
        The expression.
    remembered : RememberedFactor
        How it is evaluated.
    frame : DataFrame
        The rows.

    Returns
    -------
    Series

    Raises
    ------
    DataError
        If it has no value in some row.
    """
    values = remembered.values(frame)
    missing = values.isna().to_numpy()
    if missing.any():
        raise DataError(
            f"the grouping factor {text} has no value in "
            f"{named_rows(frame.index[missing])}; leave them out with subset="
        )
    return values
