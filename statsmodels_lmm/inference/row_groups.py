"""Groups of rows, given by name or by value."""

import numpy as np
import pandas as pd

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.plain_arrays import group_values
from statsmodels_lmm.random.random_effects import group_levels


def row_groups(model, group, argument="group"):
    """
    Group of each row, and the labels of the groups.

    Parameters
    ----------
    model : MixedModel
        The model.
    group : str or array_like
        A grouping factor such as "Subject" or "batch:cask", a column of the data that
        the formula uses, or one label per row used. A Series is aligned with the rows
        if it has their labels.
    argument : str, optional
        Name of the argument, for messages.

    Returns
    -------
    codes : ndarray
        Shape (n,).
    labels : Index
        The groups, named after the factor.

    Raises
    ------
    DataError
        If the groups do not match the rows or are missing in some.
    ValueError
        If there is no such group.
    """
    if isinstance(group, str):
        for effects in model.random:
            if effects.name == group and not effects.has_groups:
                raise DataError(
                    f"{group} is a matrix of random effects, not groups of rows; pass "
                    "the group of each row"
                )
            if effects.name == group:
                index = pd.Index(effects.levels, name=group)
                return effects.grouped.codes, index
        frame = getattr(model.data, "frame", None)
        known = [] if frame is None else list(map(str, frame.columns))
        names = [group] if group in known else group.split(":")
        if not set(names) <= set(known):
            factors = [e.name for e in model.random]
            listed = ", ".join(dict.fromkeys([*factors, *known]))
            raise ValueError(
                f"no grouping factor or column '{group}' in the model; there are "
                f"{listed}. Pass other groups by value, as {argument}=data[...]"
            )
        columns = [model.data.frame[n] for n in names]
    else:
        columns = [_label_values(model, group, argument)]
    codes, levels, _ = group_levels(columns)
    name = group if isinstance(group, str) else columns[0].name
    return codes, pd.Index(levels, name=name)


def _label_values(model, group, argument):
    """Labels of the rows used, as a Series."""
    group = aligned(group, model.data.row_labels, argument)
    name = getattr(group, "name", None)
    values = group.array if hasattr(group, "array") else group
    if not isinstance(values, pd.api.extensions.ExtensionArray):
        values = group_values(values, argument) if np.ndim(values) == 1 else values
    if np.ndim(values) != 1 or len(values) != model.nobs:
        verb = "have" if argument.endswith("s") else "has"
        raise DataError(
            f"{argument} {verb} shape {np.shape(values)} but the model {model.nobs} "
            "rows; a Series with the labels of the data would be aligned with them"
        )
    return pd.Series(values, name=argument if name is None else name)
