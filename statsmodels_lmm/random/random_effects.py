"""The random effects of one grouping factor, with names."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.exceptions import DataError


@dataclass(frozen=True)
class Quantity:
    """
    A standard deviation, a correlation or another parameter of a covariance block.

    Parameters
    ----------
    kind : {"sd", "cor", ""}
        A deviation, a correlation or another parameter.
    first, second : int or None
        Positions in the block of the effects concerned; None if it concerns all of
        them. In a block with a structure `first` is None except for deviations.
    effect1, effect2 : str
        Names of these effects in tables.
    label : str
        Name in tables of parameters, without the grouping factor.
    """

    kind: str
    first: int | None
    second: int | None
    effect1: str
    effect2: str
    label: str


@dataclass(frozen=True)
class RandomEffects:
    """
    The random effects of one grouping factor, with names.

    Parameters
    ----------
    name : str
        Name of the grouping factor, such as "batch:cask".
    levels : Index
        The l levels, in the order of their codes.
    effect_names : tuple of str
        Names of the k effect columns.
    grouped : GroupedEffects or RawEffects
        Codes, effect columns and covariance blocks.
    columns : tuple of str
        Columns of the data whose observed combinations are the levels; empty
        for a model from arrays.
    terms : tuple
        (term, number of columns) for each formula term.
    keys : tuple
        Levels of each of `columns`.
    """

    name: str
    levels: pd.Index
    effect_names: tuple
    grouped: GroupedEffects | RawEffects
    columns: tuple = ()
    terms: tuple = ()
    keys: tuple = ()

    @property
    def n_levels(self):
        """Number of levels."""
        return self.grouped.n_levels

    @property
    def block_names(self):
        """Effect names of each covariance block."""
        return [self.effect_names[s] for s in self.grouped.block_slices]

    @property
    def blocks(self):
        """(columns, names, structure or None) of each covariance block."""
        return list(
            zip(self.grouped.block_slices, self.block_names, self.grouped.structures)
        )

    @property
    def quantities(self):
        """Deviations, correlations and parameters of each block: lists of Quantity."""
        found, taken = [], []
        for _, names, structured in self.blocks:
            if structured is None:
                found.append(_of_unstructured(names))
            else:
                name = structured.structure.name
                taken.append(name)
                again = taken.count(name)
                name += str(again) if again > 1 else ""
                found.append(_of_structure(structured, name))
        return found

    @property
    def theta_labels(self):
        """Names of the relative covariance parameters."""
        labels = []
        for (_, names, structured), quantities in zip(self.blocks, self.quantities):
            if structured is None:
                column, row = np.triu_indices(len(names))
                labels += [
                    names[r] if r == c else f"{names[r]}.{names[c]}"
                    for r, c in zip(row, column)
                ]
            else:
                labels += [
                    q.effect1 if q.kind == "sd" else f"{q.effect1}.{q.effect2}"
                    for q in quantities
                ]
        return [f"{self.name}.{label}" for label in labels]

    def split_theta(self, theta):
        """Split the parameters of all blocks into those of each."""
        ends = np.cumsum(self.grouped.parameter_counts)[:-1]
        return np.split(theta, ends)

    def without_data(self):
        """A copy without the arrays that have one entry per row."""
        return replace(self, grouped=self.grouped.take(slice(0, 0)))


def _of_unstructured(names):
    """Deviations, then correlations below the diagonal, row by row."""
    found = [Quantity("sd", a, None, n, "", n) for a, n in enumerate(names)]
    for a in range(len(names)):
        for b in range(a):
            label = f"{names[a]}, {names[b]}"
            found.append(Quantity("cor", a, b, names[b], names[a], label))
    return found


def _of_structure(structured, name):
    """The parameters of a structure under a given name."""
    found = []
    for p in structured.parameters:
        if p.kind == "sd":
            own = name if p.name == structured.structure.name else p.name
            effect = own if p.effect is None else structured.effects[p.effect]
            found.append(Quantity("sd", p.effect or 0, None, effect, "", effect))
        else:
            found.append(Quantity(p.kind, None, None, name, p.name, f"{name} {p.name}"))
    return found


@dataclass(frozen=True)
class LevelKeys:
    """
    How the levels of a factor derive from the values of one column.

    Parameters
    ----------
    uniques : Index
        Distinct values of the column.
    codes : ndarray
        Position in `uniques` for each level of the factor.
    """

    uniques: pd.Index
    codes: np.ndarray


def group_levels(columns):
    """
    Observed combinations of the values of columns.

    Parameters
    ----------
    columns : list of Series
        Columns without missing values.

    Returns
    -------
    codes : ndarray
        Level of each row, int64.
    levels : Index
        The levels; those of several columns are joined by ":".
    keys : tuple of LevelKeys
        For each column, how the levels derive from it.
    """
    factorized = [_factorize(c) for c in columns]
    if len(columns) == 1:
        codes, uniques = factorized[0]
        return codes, uniques, (LevelKeys(uniques, np.arange(len(uniques))),)
    combined = factorized[0][0]
    for codes, uniques in factorized[1:]:
        pairs = combined * np.int64(len(uniques)) + codes
        _, first, combined = np.unique(pairs, return_index=True, return_inverse=True)
    keys = tuple(LevelKeys(uniques, codes[first]) for codes, uniques in factorized)
    labels = [k.uniques.astype(str).to_numpy()[k.codes] for k in keys]
    levels = pd.Index([":".join(parts) for parts in zip(*labels)])
    if not levels.is_unique:
        levels = pd.Index(list(zip(*labels)), tupleize_cols=False)
    return combined.astype(np.int64), levels, keys


def _factorize(column):
    """Codes and distinct values of a column, sorted if possible."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.cat.remove_unused_categories()
        codes, uniques = used.cat.codes.to_numpy(), used.cat.categories
    else:
        try:
            codes, uniques = pd.factorize(column, sort=True)
        except TypeError:
            codes, uniques = factorize_unsorted(column)
    if (codes < 0).any():
        raise DataError(f"grouping factor {column.name} has missing values")
    return codes.astype(np.int64), pd.Index(uniques)


def factorize_unsorted(column):
    """Codes and distinct values of a column that cannot be sorted."""
    try:
        return pd.factorize(column)
    except TypeError:
        kinds = sorted({type(v).__name__ for v in column if not _is_hashable(v)})
        raise DataError(
            f"grouping factor {column.name} has values that cannot be levels, such as "
            f"a {' or '.join(kinds)}; convert them to text or tuples"
        ) from None


def _is_hashable(value):
    try:
        hash(value)
    except TypeError:
        return False
    return True
