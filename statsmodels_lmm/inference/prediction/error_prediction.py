"""
Predictions of the errors of new rows from those of the fit.

With r the covariances of a new error with those observed in its residual group, and R
the covariance of the latter, the best prediction is r'R^-1 e at e = y - X beta - Z b,
which is kriging in space and a forecast in time. Since e* - r'R^-1 e is independent of
the data, the variance of the whole prediction is

    [a d] K [a d]' + R** - r'R^-1 r,    a = x - X'R^-1 r,    d = z - Z'R^-1 r,

in units of sigma^2, with K the inverse of Henderson's equations.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from statsmodels_lmm.core.residuals.layout import lay_out
from statsmodels_lmm.core.rows.spread_effects import SpreadEffects
from statsmodels_lmm.core.uncertainty.mixed_model_inverse import error_variances
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.backend import design_matrices
from statsmodels_lmm.formula.columns import plain_column
from statsmodels_lmm.formula.frame import find_column
from statsmodels_lmm.formula.new_rows import codes_of
from statsmodels_lmm.inference.prediction.prediction_rows import EffectRows
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.random.random_effects import group_levels
from statsmodels_lmm.residual.covariance import ErrorRows, error_rows


@dataclass(frozen=True)
class PredictedErrors:
    """
    Predictions of the errors of new rows.

    Parameters
    ----------
    mean : ndarray
        Shape (m,).
    share : csr_array
        r'R^-1, what each observed error contributes, shape (m, n).
    left : ndarray
        R** - r'R^-1 r, the variance left, over sigma^2, shape (m,).
    """

    mean: np.ndarray
    share: sparse.csr_array
    left: np.ndarray


def rows_of_errors(results, rows):
    """
    Place the complete rows of a prediction among the errors of a fit.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    rows : PredictionRows
        The rows.

    Returns
    -------
    ErrorRows

    Raises
    ------
    DataError
        If a row cannot be placed.
    """
    errors = results.model.residual
    if rows.of_fit:
        return ErrorRows(errors.codes, errors.where, errors.parts, errors.log_sd)
    if rows.data is None:
        if not errors.log_sd_names:
            n = len(rows.design)
            empty = np.zeros((n, 0))
            return ErrorRows(np.full(n, -1), np.zeros(n), np.zeros(n, int), empty)
        raise DataError(
            "the variances of the errors of new rows follow from columns of the data, "
            "so they need a model from a formula"
        )
    frame = rows.data[rows.complete]
    values, codes, columns = {}, None, None
    if errors.term is not None:
        term = errors.term
        for name in (*term.when, *term.group, *(term.by or ())):
            values[name] = _column(results, frame, name)
            if values[name].isna().any():
                raise DataError(f"the new data have rows without a value of '{name}'")
        named = frame.assign(**{str(n): v for n, v in values.items()})
        codes = codes_of(errors, named)
    if errors.dispersion:
        data = results.model.data
        spec = data.column_specs[errors.dispersion]
        _, design, _ = design_matrices(
            spec, frame, data.scope, data.engine, prediction=True
        )
        known = [name for name in design.columns if name in errors.log_sd_names]
        columns = design[known]
    return error_rows(errors, codes, values, columns)


def new_whitening(results, rows, placed):
    """
    The covariance of the errors of new rows, whatever the errors observed.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    rows : PredictionRows
        The rows, from data for a formula.
    placed : ErrorRows
        The same among the errors of the fit.

    Returns
    -------
    Whitening

    Raises
    ------
    DataError
        If a row is at a visit that the fit has not seen.
    """
    errors, of_fit = results.model.residual, results.at_optimum.whitening
    row_variances(results, placed)
    codes = np.arange(len(placed.parts))
    relative = False
    if errors.term is not None:
        frame = rows.data[rows.complete]
        columns = [_column(results, frame, name) for name in errors.term.group]
        codes, relative = group_levels(columns)[0], not errors.structure.of_visits
        if errors.visits and (placed.where < 0).any():
            raise DataError(
                f"row {int(np.argmin(placed.where))} of the new data is at a visit "
                "that the fit has not seen, so that its correlations are not known"
            )
    layout = lay_out(codes, placed.where, placed.parts, relative=relative)
    model = replace(
        of_fit.model, layout=layout, log_sd=placed.log_sd, is_centered=False
    )
    return model.at(of_fit.x)


def _column(results, frame, name):
    """A column of new data, or the expression of that name."""
    if name in results.model.data.groupings:
        return results.model.data.groupings[name].values(frame)
    try:
        column = find_column(frame, name)
    except DataError:
        message = f"the new data have no column {name!r}, which the errors depend on"
        raise DataError(message) from None
    plain = plain_column(frame[column], name, {"group", "when"})
    return frame[column].__class__(plain, index=frame.index, name=name)


def row_variances(results, placed):
    """Variances of the errors of rows over sigma^2, without weights, shape (m,)."""
    gamma = results.at_optimum.whitening.model.split(results.residual_params)[1]
    found = np.exp(2.0 * placed.log_sd @ gamma)
    if np.isnan(found).any():
        raise DataError(
            "the fit says nothing of the variance of errors at the visit of row "
            f"{int(np.argmax(np.isnan(found)))} of the new data, which it has not seen"
        )
    return found


def predicted_errors(results, placed, variances):
    """
    Predict the errors of rows from those of their residual groups.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    placed : ErrorRows
        The rows.
    variances : ndarray
        Variances of the errors of these rows over sigma^2, shape (m,).

    Returns
    -------
    PredictedErrors
    """
    require_data(results.model, "a prediction of errors")
    errors, model = results.model.residual, results.model
    deviations = np.sqrt(variances)
    m, n = len(deviations), len(errors.codes)
    left = deviations**2
    if errors.term is None:
        return PredictedErrors(np.zeros(m), sparse.csr_array((m, n)), left)
    _check_visits(errors, placed)
    whitening = results.at_optimum.whitening
    observed = np.exp(whitening.log_deviations)
    if model.weights is not None:
        observed = observed / np.sqrt(model.weights)
    phi, _ = whitening.model.split(results.residual_params)
    order = np.argsort(errors.codes, kind="stable")
    ends = np.searchsorted(errors.codes[order], np.arange(errors.codes.max() + 2))
    rows, columns, shares = [], [], []
    for code in np.unique(placed.codes[placed.codes >= 0]):
        new = np.flatnonzero(placed.codes == code)
        old = order[ends[code] : ends[code + 1]]
        where = np.concatenate([errors.where[old], placed.where[new]])
        part = phi[errors.parts[old[0]]]
        whole = errors.structure.correlation(part, where[None])[0]
        inside, across = whole[: len(old), : len(old)], whole[len(old) :, : len(old)]
        weights = np.linalg.solve(inside, across.T).T
        left[new] *= 1.0 - (weights * across).sum(axis=1)
        rows.append(np.repeat(new, len(old)))
        columns.append(np.tile(old, len(new)))
        shares.append((deviations[new][:, None] * weights / observed[old]).ravel())
    empty = [np.zeros(0, dtype=int)]
    row, column = np.concatenate(rows or empty), np.concatenate(columns or empty)
    values = np.concatenate(shares or [np.zeros(0)])
    share = sparse.csr_array((values, (row, column)), (m, n))
    return PredictedErrors(share @ results.resid, share, np.maximum(left, 0.0))


def _check_visits(errors, placed):
    """Reject new visits of known groups, whose correlations are not known."""
    if not errors.structure.of_visits:
        return
    unknown = (placed.where < 0) & (placed.codes >= 0)
    if unknown.any():
        raise DataError(
            f"the fit says nothing of correlations with the visit of row "
            f"{int(np.argmax(unknown))} of the new data, which it has not seen; ar1 "
            "and car1 reach beyond the visits of the fit"
        )


def variances_with_errors(results, rows, parts, predicted):
    """
    Variances of predictions that include those of the errors, over sigma^2.

    The variance left in the errors themselves is not included.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    rows : PredictionRows
        The rows.
    parts : list of EffectRows
        The factors in these rows.
    predicted : PredictedErrors
        The errors.

    Returns
    -------
    ndarray
        Shape (m,).
    """
    units, model, share = results._units, results.model, predicted.share
    design = rows.design - share @ model.exog
    if not model.random:
        half = units.beta_root(results.at_optimum.fixed_root)
        return ((design[:, units.data.kept] @ half) ** 2).sum(axis=1)
    of_fit = [
        EffectRows(
            e.grouped.codes,
            e.grouped.effects,
            np.ones(e.grouped.k_effects, bool),
            "error",
        )
        for e in model.random
    ]
    terms = [
        SpreadEffects(
            sparse.csr_array(new.indicator() - share @ old.indicator()),
            term.n_levels,
            term.k_effects,
            term.blocks,
            term.structures,
        )
        for term, new, old in zip(
            units.plan.terms, units.rows(parts), units.rows(of_fit)
        )
    ]
    return error_variances(results.at_optimum, units.fixed(design), terms)
