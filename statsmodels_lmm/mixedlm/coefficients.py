"""The random effects of each group, in MixedLM's order and under its names."""

from dataclasses import dataclass

import numpy as np

from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inference.requirements import require_data


@dataclass(frozen=True)
class GroupCoefficients:
    """
    Random effects group by group: the correlated effects, then the components.

    Parameters
    ----------
    factors, levels, columns : ndarray
        For each random effect the position of its factor in the model, its level and
        its effect column, shape (m,).
    names : ndarray
        MixedLM's name for each random effect, shape (m,).
    ends : ndarray
        Start of each group and end of the last, shape (groups + 1,).
    """

    factors: np.ndarray
    levels: np.ndarray
    columns: np.ndarray
    names: np.ndarray
    ends: np.ndarray

    def of(self, group):
        """The slice of the random effects of the group at a position."""
        return slice(self.ends[group], self.ends[group + 1])

    def names_of(self, group):
        """Names of the random effects of a group, as a tuple."""
        return tuple(self.names[self.of(group)])

    def values(self, modes):
        """
        Conditional modes in the order of the groups.

        Parameters
        ----------
        modes : list of ndarray
            The modes of each factor, shapes (l, k).

        Returns
        -------
        ndarray
            Shape (m,).
        """
        out = np.empty(len(self.factors))
        for i, of_factor in enumerate(modes):
            concerned = self.factors == i
            out[concerned] = of_factor[self.levels[concerned], self.columns[concerned]]
        return out


def group_coefficients(model):
    """
    Find the random effects of each group.

    Parameters
    ----------
    model : MixedLM
        The model.

    Returns
    -------
    GroupCoefficients

    Raises
    ------
    DataError
        If there are several grouping factors, or the data have been removed.
    """
    layout = model.layout
    if layout.further:
        raise DataError(
            "random effects by group need a single grouping factor; use "
            "random_effects_table(), or CrossedMixedLM, whose random_effects "
            "has one table per factor"
        )
    require_data(model, "random effects by group")
    places = [(None, layout.effects)] if layout.effects else []
    parts = [_part(model, *place) for place in (*places, *layout.components.items())]
    groups, factors, levels, columns, names = map(np.concatenate, zip(*parts))
    order = np.argsort(groups, kind="stable")
    ends = np.searchsorted(groups[order], np.arange(len(model.group_labels) + 1))
    return GroupCoefficients(
        factors[order], levels[order], columns[order], names[order], ends
    )


def _part(model, component, place):
    """Groups, factors, levels, columns and names of the random effects of one kind."""
    i, block = place
    layout, effects = model.layout, model.random[i]
    inside = effects.grouped.block_slices[block]
    if component is None:
        inside = layout.columns(model)
    columns = np.arange(inside.start, inside.stop)
    names = [effects.effect_names[c] for c in columns]
    if component is None:
        names = layout.effect_names(model)
    group_of = np.zeros(effects.n_levels, dtype=np.intp)
    group_of[effects.grouped.codes] = model._group_codes
    factor, k = layout.factors.get(component), len(columns)
    if factor is None:
        levels = np.repeat(np.arange(effects.n_levels), k)
        columns = np.tile(columns, effects.n_levels)
        if component is not None:
            names = [_named(component, n) for n in names]
        labels = np.tile(np.array(names, dtype=object), effects.n_levels)
    else:
        key = effects.keys[-1]
        order = np.lexsort((key.codes, group_of))
        levels, columns = np.tile(order, k), np.repeat(columns, len(order))
        endings = ["" if n == "Intercept" else f":{n}" for n in names]
        known = [
            [_named(component, f"{factor}[{u}]{ending}") for u in key.uniques]
            for ending in endings
        ]
        labels = np.array(known, dtype=object)[:, key.codes[order]].ravel()
    return group_of[levels], np.full(len(levels), i), levels, columns, labels


def _named(component, column):
    """MixedLM's name for a coefficient of a variance component."""
    known = column == component or column.startswith(f"{component}[")
    return column if known and "[" in column else f"{component}[{column}]"
