"""Random effects from MixedLM's arrays: groups, effects and variance components."""

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import VCSpec

from statsmodels_lmm.core.structures.correlated import Diagonal
from statsmodels_lmm.exceptions import DataError, warn
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.plain_arrays import group_values, numeric
from statsmodels_lmm.random.terms import GroupTerm


def group_term(groups, exog_re=None, exog_vc=None):
    """
    Build the random effects from MixedLM's arguments.

    Parameters
    ----------
    groups : array_like
        Group of each row, shape (n,).
    exog_re : array_like, optional
        Correlated random effects, shape (n, k). Default is an intercept if there are
        no variance components.
    exog_vc : VCSpec or dict, optional
        Design matrices of variance components, group by group. A dict of dicts is
        deprecated.

    Returns
    -------
    GroupTerm
        A single factor; its parts are the correlated effects, if any, and the
        variance components, sorted by name.
    """
    name = getattr(groups, "name", None) or "Group"
    labels, groups = labels_of(groups), group_values(groups, "groups")
    spec = _as_spec(exog_vc)
    columns: list = []
    parts: list = []
    if exog_re is not None or not spec.names:
        effects, names = _correlated(exog_re, labels, len(groups))
        columns.append(effects)
        parts.append((None, names))
    for i in np.argsort(spec.names):
        component = str(spec.names[i])
        matrix, names = _component(component, spec, i, groups)
        columns.append(matrix)
        parts.append((None if matrix.shape[1] == 1 else Diagonal(True), names))
    effects = np.column_stack(columns)
    return GroupTerm(
        str(name),
        tuple(parts),
        groups,
        effects,
        labels,
        labels_of(exog_re) if labels is None and not spec.names else None,
    )


def _as_spec(exog_vc):
    """MixedLM's specification of variance components, also from a dict."""
    if exog_vc is None:
        return VCSpec([], [], [])
    if isinstance(exog_vc, VCSpec):
        return exog_vc
    if not isinstance(exog_vc, dict):
        raise DataError("exog_vc must be statsmodels' VCSpec or a dict of dicts")
    warn(
        "Using deprecated variance components format, a dict of dicts; give a VCSpec",
        FutureWarning,
    )
    names = sorted(exog_vc)
    labels = sorted(set().union(*(exog_vc[n] for n in names)))
    mats = [[np.asarray(exog_vc[n][g]) for g in labels] for n in names]
    columns = [
        [
            list(getattr(exog_vc[n][g], "columns", map(str, range(m.shape[1]))))
            for g, m in zip(labels, of_name)
        ]
        for n, of_name in zip(names, mats)
    ]
    return VCSpec(names, columns, mats)


def _correlated(exog_re, labels, n):
    """Effect columns and their names."""
    if exog_re is None:
        return np.ones((n, 1)), ("Intercept",)
    names = getattr(exog_re, "columns", None)
    if isinstance(exog_re, pd.Series) and exog_re.name is not None:
        names = [exog_re.name]
    effects = numeric(aligned(exog_re, labels, "exog_re"), "exog_re")
    effects = effects[:, None] if effects.ndim == 1 else effects
    if len(effects) != n:
        raise DataError(f"exog_re has {len(effects)} rows but groups has {n}")
    if names is None:
        names = [f"x_re{j + 1}" for j in range(effects.shape[1])]
    return effects, tuple(map(str, names))


def _component(name, spec, i, groups):
    """Columns of one variance component; smaller groups are padded with zeros."""
    labels = pd.unique(pd.Series(groups).dropna())
    try:
        labels = sorted(labels)
    except TypeError:
        pass
    mats = spec.mats[i]
    if len(mats) != len(labels):
        raise DataError(
            f"variance component {name} has matrices for {len(mats)} groups instead of "
            f"{len(labels)}"
        )
    width = max(m.shape[1] for m in mats)
    out = np.zeros((len(groups), width))
    for label, matrix in zip(labels, mats):
        rows = np.flatnonzero(groups == label)
        if matrix.shape[0] != len(rows):
            raise DataError(
                f"variance component {name} has {matrix.shape[0]} rows for group "
                f"{label}, which has {len(rows)} rows"
            )
        columns = numeric(matrix, f"variance component {name}")
        out[rows, : matrix.shape[1]] = columns
    if width == 1:
        return out, (name,)
    longest = max(spec.colnames[i], key=len)
    return out, tuple(f"{name}[{c}]" for c in longest)
