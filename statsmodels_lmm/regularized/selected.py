"""Ordinary fits of chosen columns, which know that these were chosen."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from statsmodels_lmm.display import Brief
from statsmodels_lmm.formula.updating import updated
from statsmodels_lmm.inference.comparison.reduced_models import with_formula
from statsmodels_lmm.regularized.parts import with_columns, without_empty_levels
from statsmodels_lmm.regularized.results import RegularizedResults


@dataclass(frozen=True, repr=False)
class Selection(Brief):
    """
    How the columns of a fit were chosen.

    Parameters
    ----------
    method : str
        "ebic", "cv" and so on; "alpha" for a given penalty.
    chosen : Index
        Names of the chosen columns.
    n_candidates : int
        Number of penalized columns.
    alpha : float
        The penalty; NaN for stability selection.
    path : RegularizedPath or None
        The path.
    table : DataFrame or None
        The errors of a cross-validation or the frequencies of stability selection.
    apart : tuple of int or None
        With ``selection="split"``, the number of groups for the choice and for the fit.
    """

    method: str
    chosen: pd.Index
    n_candidates: int
    alpha: float
    path: Any = None
    table: Any = None
    apart: Any = None

    def _brief(self):
        return [self.note]

    def __getstate__(self):
        """Pickle without the path, which holds all columns."""
        return {**self.__dict__, "path": None}

    @property
    def note(self) -> str:
        """A sentence for the reader of a summary."""
        how = [] if self.method == "alpha" else [self.method]
        if not np.isnan(self.alpha):
            how.append(f"alpha={self.alpha:.3g}")
        chosen = (
            f"{len(self.chosen)} of {self.n_candidates:,} columns were chosen "
            f"({', '.join(how)})"
        )
        if self.apart is None:
            return (
                f"{chosen} on the same rows: standard errors, tests and intervals "
                "ignore this choice and are too optimistic."
            )
        return (
            f"{chosen} on {self.apart[0]} other groups; the fit is of {self.apart[1]}: "
            "tests and intervals are not affected by the choice."
        )


def results_at(path, place, method, refit, fit_kwds, table=None):
    """
    The results at one point of a path.

    Parameters
    ----------
    path : RegularizedPath
        The path.
    place : int
        The point.
    method : str
        How it was chosen.
    refit : bool
        Whether to fit the chosen columns without a penalty.
    fit_kwds : dict
        Arguments of `CrossedMixedLM.fit`.
    table : DataFrame, optional
        Errors of a cross-validation.

    Returns
    -------
    CrossedMixedLMResults or RegularizedResults
    """
    point, penalized = path.points[place], path._penalized
    selection = Selection(
        method=method,
        chosen=path.names[point.estimate.chosen],
        n_candidates=penalized.n_penalized,
        alpha=point.alpha,
        path=path,
        table=table,
    )
    if refit:
        return fit_chosen(penalized, point.estimate.chosen, selection, fit_kwds)
    if fit_kwds:
        names = ", ".join(f"{name}=" for name in fit_kwds)
        raise TypeError(f"{names} is for a refit of the chosen columns, refit=True")
    return RegularizedResults(penalized, point, selection)


def fit_chosen(penalized, chosen, selection, fit_kwds, drop_levels=False):
    """
    Fit chosen columns without a penalty.

    Parameters
    ----------
    penalized : PenalizedModel
        The model.
    chosen : ndarray
        Penalized columns, shape (m,).
    selection : Selection
        How they were chosen.
    fit_kwds : dict
        Arguments of `CrossedMixedLM.fit`.
    drop_levels : bool, optional
        Whether some levels have no rows.

    Returns
    -------
    CrossedMixedLMResultsWrapper
    """
    model = penalized.model
    columns = penalized.columns.take(chosen, penalized.rows)
    names = penalized.columns.names[chosen]
    if model.penalized is not None and _has_formula(model, names):
        other = _by_formula(model, columns, names)
    else:
        base = penalized.base
        other = with_columns(
            model,
            np.column_stack([base.exog, columns]),
            [*base.exog_names, *names],
        )
        other = without_empty_levels(other) if drop_levels else other
    fitted = other.fit(**fit_kwds)
    fitted._results.selection = selection
    return fitted


def _has_formula(model, names):
    """Whether the chosen columns can become terms of the model's formula."""
    if model._parsed is None or model._has_other_response or model.data.lost:
        return False
    bad = [n for n in names if n in model.data.frame.columns or "`" in n]
    return not bad and all(name.isprintable() for name in names)


def _by_formula(model, columns, names):
    """The model with chosen columns as terms of its formula."""
    plain = copy(model)
    plain.penalized = plain.penalized_rows = None
    frame = model.data.frame
    more = pd.DataFrame(columns, frame.index, columns=list(names))
    text = updated(
        model._parsed, ". ~ . " + "".join(f" + `{n}`" for n in names), model.structures
    )
    whole = pd.concat([frame, more], axis=1)
    return with_formula(
        plain, text, model._parsed.random, whole, dict(model.data.scope)
    )
