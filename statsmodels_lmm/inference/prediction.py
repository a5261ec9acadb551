"""Predictions, with and without the random effects."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.base._prediction_inference import PredictionResultsBase

from statsmodels_lmm.compat import design_matrices, to_pandas
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.columns import like_known, plain_column
from statsmodels_lmm.formula.design import evaluate_offset
from statsmodels_lmm.formula.frame import columns_in, find_column
from statsmodels_lmm.formula.parser import parse


@dataclass(frozen=True)
class Rows:
    """
    The rows to predict.

    Parameters
    ----------
    design : ndarray
        Fixed design of the complete rows, shape (m, p).
    offset : ndarray or None
        Offset of all rows, NaN in incomplete ones, shape (n,).
    complete : ndarray
        Which rows are complete, shape (n,).
    labels : Index or None
        Labels of all rows.
    frame : DataFrame or None
        New data of the complete rows; None for the data of the model.
    """

    design: np.ndarray
    offset: np.ndarray | None
    complete: np.ndarray
    labels: object
    frame: pd.DataFrame | None

    def fixed_part(self, params):
        """Linear predictor without random effects, NaN in incomplete rows."""
        mean = np.full(len(self.complete), np.nan)
        mean[self.complete] = self.design @ np.nan_to_num(np.asarray(params))
        return mean if self.offset is None else mean + self.offset


def predict(results, exog, transform, random_effects, new_levels, offset):
    """
    Predict the response, see `CrossedMixedLMResults.predict`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : DataFrame, array_like or None
        New data.
    transform : bool
        Whether `exog` is data for the formula.
    random_effects : bool or list of str
        Which conditional modes to add.
    new_levels : {"error", "population", "nan"}
        What unseen levels contribute.
    offset : array_like or None
        Offset of the new rows.

    Returns
    -------
    Series or ndarray
    """
    if new_levels not in ("error", "population", "nan"):
        raise ValueError(
            f"new_levels must be 'error', 'population' or 'nan', not {new_levels!r}"
        )
    wanted = _wanted(results, random_effects)
    used = [e for e, take in zip(results.model.random, wanted) if any(take)]
    rows = new_rows(results, exog, transform, used, offset)
    mean = rows.fixed_part(results.params)
    for effects, modes, take in zip(results.model.random, results._modes, wanted):
        if any(take):
            part = _random_part(results, effects, modes, rows, take, new_levels)
            mean[rows.complete] += part
    if isinstance(rows.labels, pd.Index):
        return pd.Series(mean, index=rows.labels)
    return mean


def get_prediction(results, exog, transform, row_labels, offset):
    """
    Predict the fixed part, see `CrossedMixedLMResults.get_prediction`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : DataFrame, array_like or None
        New data.
    transform : bool
        Whether `exog` is data for the formula.
    row_labels : array_like or None
        Labels of the rows.
    offset : array_like or None
        Offset of the new rows.

    Returns
    -------
    PredictionResultsBase
    """
    rows = new_rows(results, exog, transform, [], offset)
    covariance = np.nan_to_num(results.normalized_cov_params * results.scale)
    variance = np.full(len(rows.complete), np.nan)
    variance[rows.complete] = ((rows.design @ covariance) * rows.design).sum(axis=1)
    return PredictionResultsBase(
        rows.fixed_part(results.params),
        variance,
        df=results.df_resid,
        row_labels=rows.labels if row_labels is None else row_labels,
    )


def new_rows(results, exog, transform, used, offset):
    """
    The rows to predict, see `CrossedMixedLMResults.predict`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : DataFrame, array_like or None
        New data, None for those of the model.
    transform : bool
        Whether `exog` is data for the formula.
    used : list of RandomEffects
        The factors whose conditional modes are wanted.
    offset : array_like or None
        Offset of the rows besides that of the formula.

    Returns
    -------
    Rows
    """
    model, frame, total = results.model, None, None
    if exog is None:
        design, labels = model.exog, model.data.row_labels
        complete = np.ones(len(design), dtype=bool)
        total = model.offset if offset is None else model.formula_offset
    elif getattr(model, "_parsed", None) is None or not transform:
        if used:
            raise ValueError(
                "random effects at new rows need a model from a formula and its data"
            )
        design, labels = np.asarray(exog, dtype=float), getattr(exog, "index", None)
        if design.ndim == 1:
            design = design[:, None] if len(results.params) == 1 else design[None, :]
            labels = None
        complete = np.ones(len(design), dtype=bool)
    else:
        is_row = isinstance(exog, pd.Series)
        data = exog.to_frame().T.infer_objects() if is_row else to_pandas(exog)
        labels = data.index
        terms = [term for e in used for term, _ in e.terms]
        frame, complete = new_frame(results, data, terms)
        design, known = _fixed_design(results, frame)
        if known is not None:
            total = np.full(len(complete), np.nan)
            total[complete] = known
    if offset is not None:
        offset = np.asarray(offset, dtype=float)
        if offset.shape != complete.shape:
            raise DataError(
                f"offset has shape {offset.shape}, the data have {len(complete)} rows"
            )
        total = offset if total is None else total + offset
    return Rows(design, total, complete, labels, frame)


def _random_part(results, effects, modes, rows, take, new_levels):
    """Contribution of one factor to the complete rows."""
    if rows.frame is None:
        columns, codes = effects.grouped.effects, effects.grouped.codes
    else:
        data = results.model.data
        codes = effects.codes_of(rows.frame)
        columns = effects.effects_of(
            rows.frame, data.effect_specs, data.scope, data.engine
        )
    if (codes == -1).any() and new_levels == "error":
        values = rows.frame[[find_column(rows.frame, c) for c in effects.columns]]
        unseen = values[codes == -1].drop_duplicates().astype(str)
        listed = ", ".join(unseen.agg(":".join, axis=1).head(5))
        raise DataError(
            f"new levels of {effects.name}: {listed}; new_levels='population' "
            "predicts them by the fixed effects, 'nan' gives NaN"
        )
    chosen = modes[np.maximum(codes, 0)][:, take] * (codes >= 0)[:, None]
    part = (columns[:, take] * chosen).sum(axis=1)
    if new_levels != "population":
        part[codes < 0] = np.nan
    return part


def new_frame(results, data, terms):
    """
    Rows of new data that are complete, with plain types.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    data : DataFrame
        New data.
    terms : list of RandomTerm
        Random-effects terms that are to be predicted.

    Returns
    -------
    frame : DataFrame
        Complete rows.
    complete : ndarray
        Which rows these are.
    """
    model = results.model
    formula, known = model._parsed, model.data.frame
    specs = [model.data.model_spec]
    specs += [model.data.effect_specs[t.effects] for t in terms if t.effects != "1"]
    if any(spec is None for spec in specs):
        raise DataError(
            "the formula uses names that could not be pickled with the model: "
            + ", ".join(model.data.lost)
        )
    texts = [formula.fixed, *formula.offsets, *(t.effects for t in terms)]
    columns = {}
    for name in {c: 0 for text in texts for c in columns_in(text, known.columns)}:
        if name not in data.columns:
            raise DataError(f"the new data have no column '{name}'")
        values = plain_column(data[name], name, {"fixed"})
        columns[name] = like_known(values, known[name], name)
    frame = pd.DataFrame(columns, index=data.index)
    complete = ~frame.isna().to_numpy().any(axis=1)
    for term in terms:
        for name in term.grouping:
            column = find_column(data, name)
            if column not in frame:
                frame[column] = plain_column(data[column], name, {"group"})
    return frame[complete], complete


def _fixed_design(results, frame):
    """Fixed design and offset of new rows."""
    model = results.model
    scope, engine = model.data.scope, model.data.engine
    _, exog, _ = design_matrices(
        model.data.model_spec, frame, scope, engine, prediction=True
    )
    return (
        exog.to_numpy(float),
        evaluate_offset(model._parsed.offsets, frame, scope, engine),
    )


def _wanted(results, random_effects):
    """For each factor, which of its effect columns to predict with."""
    factors = results.model.random
    if isinstance(random_effects, bool | np.bool_):
        return [np.full(len(e.effect_names), bool(random_effects)) for e in factors]
    if isinstance(random_effects, str):
        random_effects = [random_effects]
    known = {e.name for e in factors} | {_key(t) for e in factors for t, _ in e.terms}
    asked = set()
    for name in random_effects:
        terms = parse(f"y ~ {name}").random if "|" in str(name) else ()
        keys = {_key(t) for t in terms} or {name}
        if not keys <= known:
            raise ValueError(
                f"no random effects {name}; there are "
                + ", ".join(e.name for e in factors)
            )
        asked |= keys
    out = []
    for effects in factors:
        take = np.full(len(effects.effect_names), effects.name in asked)
        start = 0
        for term, size in effects.terms:
            take[start : start + size] |= _key(term) in asked
            start += size
        out.append(take)
    return out


def _key(term):
    """What makes two terms the same, however they are written."""
    return term.effect_terms, frozenset(term.grouping)
