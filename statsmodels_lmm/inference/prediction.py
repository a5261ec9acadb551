"""Predictions, with and without the random effects."""

import numpy as np
import pandas as pd
from statsmodels.base._prediction_inference import PredictionResultsBase

from statsmodels_lmm.compat import design_matrices, to_pandas
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.columns import like_known, plain_column
from statsmodels_lmm.formula.design import evaluate_offset
from statsmodels_lmm.formula.frame import columns_in, find_column


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
    model = results.model
    if exog is None:
        mean = model.predict(results.params, offset=offset)
        for effects, modes, take in zip(model.random, results._modes, wanted):
            if any(take):
                rows = effects.grouped.effects * modes[effects.grouped.codes]
                mean = mean + rows[:, take].sum(axis=1)
        return _labelled(mean, model.data.row_labels)
    formula = getattr(model, "_parsed", None)
    if formula is None or not transform:
        if any(any(take) for take in wanted):
            raise ValueError(
                "random effects at new rows need a model from a formula and its data"
            )
        labels = getattr(exog, "index", None)
        return _labelled(model.predict(results.params, exog, offset=offset), labels)
    used = [e for e, take in zip(model.random, wanted) if any(take)]
    frame, complete = new_frame(
        results, exog, [term for e in used for term, _ in e.terms]
    )
    mean = np.full(len(complete), np.nan)
    fixed, total_offset = _fixed_design(results, frame)
    mean[complete] = model.predict(results.params, fixed, offset=total_offset)
    if offset is not None:
        offset = np.asarray(offset, dtype=float)
        if offset.shape != mean.shape:
            raise DataError(
                f"offset has shape {offset.shape}, the data have {len(mean)} rows"
            )
        mean = mean + offset
    scope, engine = model.data.scope, model.data.engine
    for effects, modes, take in zip(model.random, results._modes, wanted):
        if not any(take):
            continue
        codes = effects.codes_of(frame)
        if (codes == -1).any() and new_levels == "error":
            values = frame[[find_column(frame, c) for c in effects.columns]]
            unseen = values[codes == -1].drop_duplicates().astype(str)
            listed = ", ".join(unseen.agg(":".join, axis=1).head(5))
            raise DataError(
                f"new levels of {effects.name}: {listed}; new_levels='population' "
                "predicts them by the fixed effects, 'nan' gives NaN"
            )
        columns = effects.effects_of(frame, model.data.effect_specs, scope, engine)
        columns = columns[:, take]
        part = np.where(
            (codes >= 0)[:, None], columns * modes[np.maximum(codes, 0)][:, take], 0.0
        ).sum(axis=1)
        if new_levels == "nan":
            part[codes < 0] = np.nan
        elif new_levels == "error":
            part[codes == -2] = np.nan
        mean[complete] += part
    return _labelled(mean, to_pandas(exog).index)


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
    model = results.model
    mean = predict(results, exog, transform, False, "error", offset)
    if exog is None:
        design, complete = model.exog, np.ones(len(model.exog), dtype=bool)
    elif getattr(model, "_parsed", None) is None or not transform:
        design = np.asarray(exog, dtype=float)
        complete = np.ones(len(design), dtype=bool)
    else:
        frame, complete = new_frame(results, exog, [])
        design, _ = _fixed_design(results, frame)
    covariance = np.nan_to_num(results.normalized_cov_params * results.scale)
    variance = np.full(len(complete), np.nan)
    variance[complete] = np.einsum("ij,jk,ik->i", design, covariance, design)
    labels = getattr(mean, "index", None) if row_labels is None else row_labels
    return PredictionResultsBase(
        np.asarray(mean), variance, df=results.df_resid, row_labels=labels
    )


def new_frame(results, exog, terms):
    """
    Rows of new data that are complete, with plain types.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    exog : DataFrame
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
    data = to_pandas(pd.DataFrame([exog]) if isinstance(exog, pd.Series) else exog)
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
    asked = (
        [random_effects] if isinstance(random_effects, str) else list(random_effects)
    )
    plain = {name: str(name).replace(" ", "") for name in asked}
    used = set()
    out = []
    for effects in factors:
        take = np.full(len(effects.effect_names), effects.name in asked)
        used |= {effects.name}
        start = 0
        for term, size in effects.terms:
            text = str(term).replace(" ", "")
            if text in plain.values():
                take[start : start + size] = True
                used |= {name for name, short in plain.items() if short == text}
            start += size
        out.append(take)
    unknown = [str(name) for name in asked if name not in used]
    if unknown:
        raise ValueError(
            f"no random effects {', '.join(unknown)}; there are "
            + ", ".join(e.name for e in factors)
        )
    return out


def _labelled(values, labels):
    if labels is None or not isinstance(labels, pd.Index):
        return values
    return pd.Series(values, index=labels)
