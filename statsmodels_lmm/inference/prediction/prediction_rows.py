"""Design, levels and effect columns of the rows to predict."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError, RankWarning, warn
from statsmodels_lmm.formula.backend import design_matrices
from statsmodels_lmm.formula.columns import like_known, plain_column
from statsmodels_lmm.formula.design import evaluate_offset
from statsmodels_lmm.formula.frame import check_columns, find_column
from statsmodels_lmm.formula.model_formula import offset_formula
from statsmodels_lmm.formula.names import columns_in
from statsmodels_lmm.formula.new_rows import codes_of, effects_of
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.inference.fixed.terms import has_formula
from statsmodels_lmm.inference.prediction.array_rows import (
    RawRows,
    new_terms,
    term_rows,
)
from statsmodels_lmm.inference.requirements import names_lost, rows_summed
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.tables import to_frame


@dataclass(frozen=True)
class PredictionRows:
    """
    The rows to predict.

    Parameters
    ----------
    design : ndarray
        Fixed-effects design of the complete rows, shape (m, p).
    offset : ndarray or None
        Offset of all rows, NaN in incomplete ones, shape (n,).
    complete : ndarray
        Mask of the complete rows, shape (n,).
    labels : Index or None
        Labels of all rows.
    frame : DataFrame or None
        New data in the complete rows; None for the data of the model.
    data : DataFrame or None
        New data as given; None for the data of the model or a design.
    random : dict or None
        Random effects in the rows of a design, by factor; see `array_rows`.
    of_fit : bool
        Whether these are the rows of the fit, whose means the data determine.
    """

    design: np.ndarray
    offset: np.ndarray | None
    complete: np.ndarray
    labels: object
    frame: pd.DataFrame | None
    data: pd.DataFrame | None = None
    random: dict | None = None
    of_fit: bool = False

    def fixed_part(self, results):
        """
        Compute the linear predictor without random effects, NaN in incomplete rows.

        It is also NaN, with a warning, where the data do not determine it.

        Parameters
        ----------
        results : CrossedMixedLMResults or LightResults
            A fit.

        Returns
        -------
        ndarray
            Shape (n,).
        """
        mean = np.full(len(self.complete), np.nan)
        mean[self.complete] = determined_means(
            self.design,
            np.asarray(results.params),
            None if self.of_fit else results._estimability,
            results.model.exog_names,
        )
        return mean if self.offset is None else mean + self.offset

    def labeled(self, values):
        """Values of the rows, as a Series if the rows have labels."""
        labels = self.labels
        return pd.Series(values, labels) if isinstance(labels, pd.Index) else values


def determined_means(design, params, estimability, names):
    """
    Compute X beta, NaN in rows that depend on an undetermined coefficient.

    Parameters
    ----------
    design : ndarray
        Rows of X, shape (m, p).
    params : ndarray
        Fixed effects, NaN for dropped columns, shape (p,).
    estimability : Estimability or None
        Relations among the columns; None if all rows satisfy them.
    names : list of str
        Names of the columns.

    Returns
    -------
    ndarray
        Shape (m,).

    Warns
    -----
    RankWarning
        If some means are NaN for this reason.
    """
    mean = design @ np.nan_to_num(params)
    if estimability is None or estimability.kept.all():
        return mean
    outside = estimability.outside(design) != 0.0
    unknown = outside.any(axis=1)
    if unknown.any():
        lost = np.array(names, dtype=object)[~estimability.kept]
        warn(
            f"{int(unknown.sum())} of {len(mean)} rows are NaN: the data do not "
            "determine their means, which depend on which redundant columns are "
            f"dropped, here {', '.join(map(str, lost[outside.any(axis=0)]))}",
            RankWarning,
        )
    return np.where(unknown, np.nan, mean)


@dataclass(frozen=True)
class EffectRows:
    """
    One factor in the complete rows.

    Parameters
    ----------
    codes : ndarray
        Level of each row, -1 if new, -2 if missing, shape (m,).
    columns : ndarray
        Effect columns, shape (m, k).
    take : ndarray
        Mask of the effect columns whose conditional modes enter the prediction; the
        others are left out, shape (k,).
    new_levels : {"error", "population", "nan"}
        Treatment of levels not in the fit.
    """

    codes: np.ndarray
    columns: np.ndarray
    take: np.ndarray
    new_levels: str

    @property
    def known(self):
        """Whether the level of each row is in the fit, shape (m,)."""
        return self.codes >= 0

    @property
    def undefined(self):
        """Whether a row has no prediction, shape (m,)."""
        if self.new_levels == "population":
            return np.zeros(len(self.codes), dtype=bool)
        return self.take.any() & ~self.known

    @property
    def taken(self):
        """Effect columns, zero where no mode is added, shape (m, k)."""
        return self.columns * self.take * self.known[:, None]

    @property
    def drawn(self):
        """Effect columns, zero where a mode is added or left out, shape (m, k)."""
        return self.columns * self.take * ~self.known[:, None]

    @property
    def left_out(self):
        """Effect columns, with those of `take` set to zero, shape (m, k)."""
        return self.columns * ~self.take

    def at(self, term, levels, change):
        """
        The rows in the units and with the levels of the elimination.

        Parameters
        ----------
        term : GroupedEffects or OfLevels
            The factor in the elimination.
        levels : ndarray
            The plan's level for each of the user's levels, shape (l,).
        change : ndarray
            Conversion of standardized effects to those of the data, shape (k, k).
        """
        codes = np.where(self.known, levels[np.maximum(self.codes, 0)], 0)
        return term.at(codes, self.taken @ change)

    def left_over(self, factor):
        """Effect columns, and the variance of levels given the related ones."""
        return self.taken, factor.left_over[np.maximum(self.codes, 0)]

    def prior_variances(self, grouped):
        """Variances of the levels by their relationship, 1 if new, shape (m,)."""
        if grouped.relationship is None:
            return 1.0
        known = grouped.relationship.variances[np.maximum(self.codes, 0)]
        return np.where(self.known, known, 1.0)

    def mean(self, modes):
        """Contribution of the conditional modes, shape (m,)."""
        part = (self.taken * modes[np.maximum(self.codes, 0)]).sum(axis=1)
        part[self.undefined] = np.nan
        return part


def wanted_effects(results, random_effects):
    """
    Choose the effect columns of each factor that enter the prediction.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    random_effects : bool, str or list of str
        All, none, or names of factors and terms.

    Returns
    -------
    list of ndarray
        Masks of shape (k,).
    """
    factors = results.model.random
    if isinstance(random_effects, bool | np.bool_):
        return [np.full(len(e.effect_names), bool(random_effects)) for e in factors]
    if isinstance(random_effects, str):
        random_effects = [random_effects]
    if not isinstance(random_effects, list | tuple | set | pd.Index):
        raise TypeError(
            "random_effects must be True, False or names of factors or terms, not "
            f"{random_effects!r}"
        )
    known = {e.name for e in factors} | {_key(t) for e in factors for t, _ in e.terms}
    asked, structures = set(), results.model.structures
    for name in random_effects:
        is_term = "|" in str(name)
        terms = parse(f"y ~ {name}", structures).random if is_term else ()
        keys = {_key(t) for t in terms} or {name}
        if not keys <= known:
            raise ValueError(
                f"no random effects {name}; there are "
                + ", ".join(e.name for e in factors)
                + "; True takes all, False none"
            )
        asked |= keys
    out = []
    for effects in factors:
        take = np.full(len(effects.effect_names), effects.name in asked)
        for term, part in effects.term_slices:
            take[part] |= _key(term) in asked
        out.append(take)
    return out


def _key(term):
    """Key of a term, the same for equivalent spellings."""
    return term.effect_terms, frozenset(term.grouping)


def new_rows(results, exog, transform, used, offset, drawn=(), random=None):
    """
    Prepare the rows to predict; see `CrossedMixedLMResults.predict`.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    exog : DataFrame, array_like or None
        New data; None for those of the model.
    transform : bool
        Whether `exog` is data for the formula.
    used : list of RandomEffects
        Factors whose conditional modes are needed.
    offset : array_like or None
        Offset of the rows, in addition to that of the formula.
    drawn : list of RandomEffects, optional
        Factors of which only the effect columns are needed.
    random : dict or sequence, optional
        Random effects in the rows of a design; see `array_rows.new_terms`.

    Returns
    -------
    PredictionRows
    """
    model = results.model
    if random is not None and (exog is None or has_formula(model)):
        raise ValueError(
            "random is for new rows of a model without a formula; a formula takes the "
            "groups from the new data"
        )
    if exog is None:
        rows = _rows_of_fit(model, offset is not None)
    elif getattr(model, "_parsed", None) is None or not transform:
        rows = _rows_of_design(results, exog, [*used, *drawn], random)
    else:
        rows = _rows_of_data(results, exog, used, drawn)
    if offset is None:
        return rows
    offset = numeric(aligned(offset, rows.labels, "offset"), "offset")
    if offset.shape != rows.complete.shape:
        raise DataError(
            f"offset has shape {offset.shape}, the data have {len(rows.complete)} rows"
        )
    return replace(rows, offset=offset + (0.0 if rows.offset is None else rows.offset))


def _rows_of_fit(model, has_offset):
    """The rows of the model with its offset, or only its formula's if one is given."""
    if getattr(model, "summed", None) is not None:
        raise rows_summed("a prediction without new data")
    if model.exog is None:
        raise DataError("the data of the model were removed; pass exog")
    offset = model.formula_offset if has_offset else model._offset
    complete = np.ones(len(model.exog), dtype=bool)
    labels = model.data.row_labels
    return PredictionRows(model.exog, offset, complete, labels, None, of_fit=True)


def _rows_of_design(results, exog, wanted, random):
    """Rows of a fixed design, and of the random effects that are wanted."""
    design, labels = numeric(exog, "exog"), labels_of(exog)
    if design.ndim == 1:
        design = design[:, None] if len(results.params) == 1 else design[None, :]
        labels = None
    terms = None
    if wanted:
        names, every = (
            [e.name for e in each] for each in (wanted, results.model.random)
        )
        terms = new_terms(random, names, every, len(design), labels)
    complete = np.ones(len(design), dtype=bool)
    return PredictionRows(design, None, complete, labels, None, random=terms)


def _rows_of_data(results, exog, used, drawn):
    """Rows of data for the formula, with the offset of the formula."""
    is_row = isinstance(exog, pd.Series)
    data = exog.to_frame().T.infer_objects() if is_row else to_frame(exog)
    terms, only_effects = (
        [term for effects in each for term, _ in effects.terms]
        for each in (used, drawn)
    )
    frame, complete = new_frame(results, data, terms, only_effects)
    design, known = _fixed_design(results, frame)
    offset = None
    if known is not None:
        offset = np.full(len(complete), np.nan)
        offset[complete] = known
    return PredictionRows(design, offset, complete, data.index, frame, data)


def new_frame(results, data, terms, only_effects=()):
    """
    Select the complete rows of new data, converted to plain types.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit from a formula.
    data : DataFrame
        New data.
    terms : list of RandomTerm
        Random-effects terms to predict.
    only_effects : list of RandomTerm, optional
        Terms of which only the effect columns are needed, not the levels.

    Returns
    -------
    frame : DataFrame
        Complete rows.
    complete : ndarray
        Mask of these rows.
    """
    model = results.model
    formula, known = model._parsed, model.data.frame
    effects = [t.effects for t in [*terms, *only_effects]]
    specs = [model.data.model_spec]
    specs += [model.data.column_specs[e] for e in effects if e != "1"]
    specs += [model.data.column_specs[offset_formula(e)] for e in formula.offsets]
    named = dict.fromkeys(name for term in terms for name in term.grouping)
    groupings = [g for name, g in model.data.groupings.items() if name in named]
    specs += groupings
    if any(spec is None for spec in specs):
        raise names_lost(model)
    check_columns(data)
    texts = [*formula.fixed_pieces, *effects]
    columns = {}
    for name in {c: 0 for text in texts for c in columns_in(text, known.columns)}:
        values = plain_column(_column_of(data, name), name, {"fixed"})
        columns[name] = like_known(values, known[name], name)
    for name in {c: 0 for grouping in groupings for c in grouping.columns}:
        if name not in columns:
            columns[name] = plain_column(_column_of(data, name), name, {"fixed"})
    frame = pd.DataFrame(columns, index=data.index)
    complete = ~frame.isna().to_numpy().any(axis=1)
    for name in named:
        if name in model.data.groupings:
            continue
        column = find_column(data, name)
        if column not in frame:
            frame[column] = plain_column(data[column], name, {"group"})
    frame = frame[complete]
    values = {g.text: g.values(frame) for g in groupings}
    return frame.assign(**values) if values else frame, complete


def _column_of(data, name):
    """A column of new data."""
    if name in data.columns:
        return data[name]
    hint = "; it is their index: use reset_index()" if name in data.index.names else ""
    raise DataError(f"the new data have no column '{name}'{hint}")


def _fixed_design(results, frame):
    """Fixed-effects design and offset of new rows."""
    model = results.model
    scope, engine = model.data.scope, model.data.engine
    _, exog, _ = design_matrices(
        model.data.model_spec, frame, scope, engine, prediction=True
    )
    return (
        exog.to_numpy(float),
        evaluate_offset(
            model._parsed.offsets, frame, scope, engine, model.data.column_specs
        ),
    )


def effect_rows(results, effects, rows, take, new_levels):
    """
    One factor in the complete rows.

    Parameters
    ----------
    results : CrossedMixedLMResults
        A fit.
    effects : RandomEffects
        The factor.
    rows : PredictionRows
        The rows, with the columns of the factor in the frame.
    take : ndarray
        Mask of the effect columns whose conditional modes enter the prediction. If
        none do, only the effect columns are read, and every level counts as new.
    new_levels : {"error", "population", "nan"}
        Treatment of levels not in the fit.

    Returns
    -------
    EffectRows

    Raises
    ------
    DataError
        If there are new levels and `new_levels` is "error".
    """
    if rows.random is not None:
        grouped, codes = term_rows(effects, rows.random[effects.name])
        unseen = effects.name if (codes == -1).any() else None
        if unseen and take.any() and new_levels == "error":
            raise DataError(
                f"new levels of {unseen}; new_levels='population' predicts them from "
                "the fixed effects, 'nan' gives NaN"
            )
        if not effects.has_groups:
            return RawRows(grouped.matrix, bool(take.all()))
        return EffectRows(codes, grouped.effects, take, new_levels)
    if rows.frame is None:
        if not effects.has_groups:
            return RawRows(effects.grouped.matrix, bool(take.all()))
        columns, codes = effects.grouped.effects, effects.grouped.codes
        return EffectRows(codes, columns, take, new_levels)
    data = results.model.data
    columns = effects_of(
        effects, rows.frame, data.column_specs, data.scope, data.engine
    )
    if not take.any():
        return EffectRows(np.full(len(columns), -1), columns, take, new_levels)
    codes = codes_of(effects, rows.frame)
    if (codes == -1).any() and new_levels == "error":
        values = rows.frame[[find_column(rows.frame, c) for c in effects.columns]]
        unseen = values[codes == -1].drop_duplicates()
        texts = unseen.astype(str).agg(":".join, axis=1)
        text = f"new levels of {effects.name}: {', '.join(texts.head(5))}"
        if texts.isin(effects.levels.astype(str)).any():
            kinds = {pd.Index(unseen[c]).inferred_type for c in unseen}
            text += (
                f" ({', '.join(sorted(kinds))}, whereas the model has "
                f"{effects.levels.inferred_type} of the same spelling)"
            )
        raise DataError(
            f"{text}; new_levels='population' predicts them from the fixed effects, "
            "'nan' gives NaN"
        )
    return EffectRows(codes, columns, take, new_levels)


def no_effects(effects, rows):
    """
    A factor that is left out of the prediction.

    Parameters
    ----------
    effects : RandomEffects
        The factor.
    rows : PredictionRows
        The rows.

    Returns
    -------
    EffectRows
        The factor with effect columns of zeros.
    """
    m, k = len(rows.design), len(effects.effect_names)
    take = np.zeros(k, dtype=bool)
    return EffectRows(np.full(m, -1), np.zeros((m, k)), take, "population")
