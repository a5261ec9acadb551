"""What to say of errors whose likelihood has no maximum."""

import numpy as np
import pandas as pd

from statsmodels_lmm.core.residuals.degenerate import (
    NO_VARIANCE,
    ROUNDING,
    dependent_visits,
    has_dependent_errors,
    without_variance,
)
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.formula.names import names_in
from statsmodels_lmm.inputs.row_values import listed, named_rows

FAR = -9.0, 14.0
"""
Logarithms of usual standard deviations over sigma up to which no digits are lost:
random effects relative to a huge sigma would count as zero.
"""

FEW = 3
"""Number of values of a column up to which all of them are named."""


def check_bounded(model, deviance, certified):
    """
    Reject errors in whose direction the likelihood grows without bound.

    Parameters
    ----------
    model : CrossedMixedLM
        The model.
    deviance : CorrelatedDeviance
        The criterion where a search stopped.
    certified : bool
        Whether that is an optimum, if only among what rounding left of a response.

    Raises
    ------
    DataError
        If errors have no variance there, or a combination of them has none.
    """
    whitening = deviance.whitening
    limit = ROUNDING if certified else NO_VARIANCE
    rows = without_variance(whitening, float(deviance.scale), limit)
    if rows.any():
        raise DataError(_no_variance(model, np.flatnonzero(rows)))
    if certified or model.residual.structure is None:
        return
    if has_dependent_errors(whitening, float(deviance.scale)):
        raise DataError(_no_share(model.residual, whitening))


def check_origin(errors, whitening):
    """
    Reject a sigma that is that of a row far away from all rows.

    Parameters
    ----------
    errors : ErrorCovariance
        The errors.
    whitening : Whitening
        Their covariance at the optimum.

    Raises
    ------
    DataError
        If sigma and the usual standard deviations differ by many orders of magnitude.
    """
    far = whitening.mean_log_deviation
    if FAR[0] <= far <= FAR[1] or errors.follows_fitted:
        return
    _, gamma = whitening.model.split(whitening.parameters)
    means = errors.log_sd.mean(axis=0)
    j = int(np.argmax(np.abs(means * gamma)))
    name, sign = errors.log_sd_names[j], "-" if means[j] > 0.0 else "+"
    power = f"1e{far / np.log(10.0):.0f}"
    raise DataError(
        f"sigma is the standard deviation of an error where {name} = 0, but {name} is "
        f"about {means[j]:.4g}, where standard deviations are {power} times as large: "
        f"write `I({name} {sign} {abs(means[j]):.4g})` in the dispersion"
    )


def _no_variance(model, rows):
    """The sentence for rows whose errors have no variance."""
    found, advice = _described(model, rows)
    return (
        f"the variance of the errors goes to zero in the {found}, and the likelihood "
        "has no maximum that could be computed: the model reproduces the response "
        f"there to its last digit. Leave these rows out, or {advice}"
    )


def _described(model, rows):
    """Rows by a column that sets their variance, and what to do with this column."""
    errors, frame = model.residual, getattr(model.data, "frame", None)
    names = list(names_in(errors.dispersion).read) if errors.dispersion else []
    if errors.term is not None:
        names += [*(errors.term.when or ()), *(errors.term.by or ())]
    inside = np.zeros(len(errors.log_sd), dtype=bool)
    inside[rows] = True
    for name in names:
        if frame is None or name not in frame:
            continue
        column = pd.Series(frame[name].to_numpy())
        values = column[inside].unique()
        if column[~inside].isin(values).any():
            continue
        if len(values) <= FEW:
            each = ", ".join(
                f"{v:g}" if isinstance(v, float) else str(v) for v in values
            )
            return f"rows with {name} = {each}", "give them the variance of other rows"
        if pd.api.types.is_numeric_dtype(column):
            return (
                f"rows with {name} from {values.min():g} to {values.max():g}, of "
                f"{column.min():g} to {column.max():g}",
                f"let the variance depend on a function of {name} that varies less, "
                f"such as log({name})",
            )
    labels = model.data.row_labels
    found = rows if labels is None else labels[rows]
    return named_rows(found), "give them the variance of other rows"


def _no_share(errors, whitening):
    """The sentence for errors of which a combination has no variance."""
    structure, term = errors.structure, errors.term
    group = ":".join(map(str, term.group))
    ending = "the likelihood grows without bound as its variance goes to zero"
    if not structure.of_visits:
        return (
            f"errors of a group of {group} are perfectly correlated in {structure}, so "
            f"that a combination of them has no variance: {ending}. Leave out "
            "residual=, or the effects that reproduce the differences within groups"
        )
    phi, _ = whitening.model.split(whitening.parameters)
    visits = np.arange(len(errors.visits))
    matrices = [structure.correlation(each, visits[None])[0] for each in phi]
    part = int(np.argmin([np.linalg.eigvalsh(matrix)[0] for matrix in matrices]))
    involved = dependent_visits(matrices[part])
    seen = np.zeros((errors.codes.max() + 1, len(visits)), dtype=bool)
    of_part = errors.parts == part
    seen[errors.codes[of_part], errors.where[of_part]] = True
    count = int(seen[:, involved].all(axis=1).sum())
    arm = f" [{errors.part_names[part]}]" if errors.part_names[part] else ""
    names = listed([errors.visits[i] for i in involved])
    return (
        f"in the {count} groups of {group}{arm} that have all of the visits {names}, a "
        f"combination of their errors does not vary: {ending}. Use a structure with "
        "fewer parameters, such as ad, cs or ar1, or leave out a visit"
    )
