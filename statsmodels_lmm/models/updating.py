"""A model with some of its terms changed, on the same rows."""

import pandas as pd

from statsmodels_lmm.exceptions import DataError, FormulaError
from statsmodels_lmm.formula.backend import caller_scope
from statsmodels_lmm.formula.names import CODINGS, columns_in, names_in
from statsmodels_lmm.formula.parser import parse
from statsmodels_lmm.formula.random_terms import TRANSFORMS
from statsmodels_lmm.formula.residual_terms import errors_after, with_errors
from statsmodels_lmm.formula.transforms import default_scope
from statsmodels_lmm.formula.updating import updated
from statsmodels_lmm.inference.comparison.reduced_models import with_formula
from statsmodels_lmm.inference.requirements import require_data
from statsmodels_lmm.inputs.tables import to_frame


def update(model, formula, data, eval_env, errors, depth):
    """
    Create a model whose formula is changed.

    Parameters
    ----------
    model, formula, data, eval_env
        As for `MixedModel.update`.
    errors : tuple
        Its arguments residual and dispersion.
    depth : int
        Number of stack frames between this function and the user.

    Returns
    -------
    MixedModel
    """
    require_data(model, "an update")
    old = model._parsed
    if old is None:
        raise FormulaError("an update needs a model from a formula, not from arrays")
    text = updated(old, formula, model.structures)
    errors = errors_after(old, *errors)
    family = getattr(model.family, "name", None)
    parsed = parse(
        text, model.structures, family, any(errors), one_sided=not old.response
    )
    parsed = with_errors(parsed, *errors)
    names = [names_in(piece) for piece in parsed.pieces]
    called = {name for each in names for name in each.called}
    wanted = {name for each in names for name in each.read} | called
    wanted |= set(parsed.grouping_columns)
    old_frame, known = model.data.frame, TRANSFORMS | CODINGS
    frame = _with_response(model, parsed, names)
    if data is not None:
        frame = _with_columns(model, frame, to_frame(data, wanted), wanted)
    free = wanted - set(frame.columns)
    scope = caller_scope(free, known, eval_env, depth + 1) | dict(model.data.scope)
    unknown = (free - called) - scope.keys() - default_scope(model.data.engine).keys()
    if unknown and data is None:
        raise DataError(
            f"the model keeps the columns of its formula alone; for "
            f"{', '.join(map(str, sorted(unknown)))} give the data as well: "
            f"update({formula!r}, data)"
        )
    complete = frame.drop(columns=old_frame.columns).notna().all(axis=1).to_numpy()
    frame = frame[complete]
    other = with_formula(model, text, parsed.random, frame, scope, complete, errors)
    other.n_dropped += model.n_dropped + int((~complete).sum())
    if parsed.response == old.response:
        # after a refit the frame still has the old response
        other = other._with_endog(model.endog[complete])
        other._has_other_response = model._has_other_response
        other._has_response = model._has_response
    return other


def _with_response(model, parsed, names):
    """The data of the model, with its response if that was replaced after the fit."""
    frame, old = model.data.frame, model._parsed.response
    kept = parsed.response == old
    if kept or not model._has_other_response:
        return frame
    columns = columns_in(old, frame.columns)
    if not {name for each in names for name in each.read} & set(columns):
        return frame
    if names_in(old).alone != tuple(columns) or model.family is not None:
        raise DataError(
            f"the response {old} was replaced by with_response, so that the columns it "
            "is computed from have other values; create a model of new data"
        )
    return frame.assign(**{columns[0]: model.endog})


def _with_columns(model, frame, data, wanted):
    """The rows of the model with the columns of other data that it lacks."""
    new = [name for name in data.columns if name in wanted - set(frame.columns)]
    if data.index.is_unique and frame.index.isin(data.index).all():
        rows = data.loc[frame.index, new]
    elif len(data) == len(frame):
        rows = data[new].set_axis(frame.index)
    else:
        raise DataError(
            f"the data have {len(data)} rows, the model {len(frame)}, and the labels "
            "of the rows do not tell which are the same: give the data of the model"
        )
    return pd.concat([frame, rows], axis=1)
