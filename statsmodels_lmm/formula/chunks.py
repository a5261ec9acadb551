"""Designs of formulas whose data come in chunks, by patsy."""

from dataclasses import dataclass

import numpy as np
from patsy import EvalEnvironment, NAAction, build_design_matrices
from patsy.build import design_matrix_builders

from statsmodels_lmm.exceptions import FormulaError
from statsmodels_lmm.formula.backend import term_columns
from statsmodels_lmm.formula.dialects import engine_text, readable
from statsmodels_lmm.formula.engine_errors import told_of
from statsmodels_lmm.formula.plain_names import in_backticks, plain_names
from statsmodels_lmm.formula.splines import checked
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.formula.widths import model_terms

ALONE = 1e-9
"""Relative change of the values of some rows, without the others, that is rounding."""


@dataclass(frozen=True)
class ChunkDesigns:
    """
    Designs of several formulas that can be evaluated chunk by chunk.

    Parameters
    ----------
    infos : dict of DesignInfo
        What patsy knows of each, by its formula.
    """

    infos: dict

    def matrices(self, frame, text):
        """
        Evaluate all formulas on a chunk.

        Parameters
        ----------
        frame : DataFrame
            Complete rows.
        text : str
            The whole formula, for messages.

        Returns
        -------
        dict of ndarray
            Designs by formula, shapes (n, columns).

        Raises
        ------
        FormulaError
        """
        data = frame.reset_index(drop=True)
        with told_of(text, frame, "patsy"):
            found = build_design_matrices(
                list(self.infos.values()), data, NAAction("raise", NA_types=[])
            )
        return dict(zip(self.infos, map(np.asarray, found)))

    def column_names(self, formula):
        """Names of the columns of a design."""
        names = self.infos[formula].column_names
        return plain_names([readable(str(name), "patsy") for name in names])


def response_formula(response):
    """
    The formula whose columns are a response.

    Parameters
    ----------
    response : str
        The left-hand side of a formula, such as "post - pre".

    Returns
    -------
    str
        Such as "0 + I(post - pre)".
    """
    terms = model_terms(engine_text(f"{response} ~ 1", "patsy")).lhs_termlist
    return " + ".join(["0", *(term.name() for term in terms)])


def environment(scope):
    """Names that are not columns, with those predefined in formulas, for patsy."""
    own = {name: checked(value) for name, value in scope.items()}
    return EvalEnvironment([{**default_scope("patsy"), **own}])


def remembering_factors(formulas, scope):
    """
    The factors whose transforms remember the data, such as ``center(x)``.

    Parameters
    ----------
    formulas : iterable of str
        Right-hand sides.
    scope : dict
        Names that are not columns.

    Returns
    -------
    dict of int
        Number of passes over the data that each needs before it can be evaluated.
    """
    passes = {}
    for text in formulas:
        for term in model_terms(engine_text(text, "patsy")).rhs_termlist:
            for factor in term.factors:
                with told_of(text, {}, "patsy"):
                    count = factor.memorize_passes_needed({}, environment(scope))
                if count:
                    passes[readable(factor.name(), "patsy")] = count
    return passes


def learn_designs(formulas, chunks, scope):
    """
    Prepare designs by passes over chunks of the data.

    Parameters
    ----------
    formulas : iterable of str
        Right-hand sides.
    chunks : callable
        Called without arguments for each pass; returns an iterator of DataFrames.
        After as many passes as the transforms need, one more finds the types and
        levels of the factors; it ends as soon as these are known, which is after the
        first chunk unless ``C(x)`` or an expression makes levels of values.
    scope : dict
        Names that are not columns.

    Returns
    -------
    ChunkDesigns
    """
    texts = list(dict.fromkeys(formulas))
    terms = [model_terms(engine_text(text, "patsy")).rhs_termlist for text in texts]

    def data():
        for chunk in chunks():
            yield chunk.reset_index(drop=True)

    infos = design_matrix_builders(
        terms, data, environment(scope), NAAction("raise", NA_types=[])
    )
    return ChunkDesigns(dict(zip(texts, infos)))


def check_row_by_row(designs, frame, text):
    """
    Reject expressions in which the value of a row depends on other rows.

    Parameters
    ----------
    designs : ChunkDesigns
        The designs.
    frame : DataFrame
        Some rows.
    text : str
        The whole formula.

    Raises
    ------
    FormulaError
        It names the term.
    """
    whole = designs.matrices(frame, text)
    for part in (slice(0, len(frame) // 2), slice(len(frame) // 2, None)):
        rows = frame.iloc[part]
        alone = designs.matrices(rows, text) if len(rows) else {}
        for formula, found in alone.items():
            expected = whole[formula]
            allowed = ALONE * np.nanmax(np.abs(expected), axis=0, initial=0.0)
            undefined = np.isnan(found) & np.isnan(expected[part])
            with np.errstate(invalid="ignore"):
                near = np.abs(found - expected[part]) <= allowed
            same = (near | undefined | (found == expected[part])).all(axis=0)
            for name, columns, _ in term_columns(designs.infos[formula], "patsy"):
                if not same[columns].all():
                    raise FormulaError(
                        f"{in_backticks(name)} has values that depend on other rows, "
                        "which are not all at hand in batches: write center(x) for "
                        "x - x.mean() and scale(x) for (x - x.mean()) / x.std(), or "
                        "make it a column of the data",
                        text,
                    )
