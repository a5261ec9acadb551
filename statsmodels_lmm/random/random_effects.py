"""The random effects of one grouping factor, with names."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.core.rows.grouped_effects import GroupedEffects
from statsmodels_lmm.core.rows.raw_effects import RawEffects
from statsmodels_lmm.display import Brief, groups_of
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.tables import has_all_levels


@dataclass(frozen=True, repr=False)
class RandomEffects(Brief):
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

    def _brief(self):
        return [f"{groups_of([self])}; {', '.join(map(str, self.effect_names))}"]

    @property
    def has_groups(self):
        """Whether each row belongs to one level, unlike those of a model matrix."""
        return self.grouped.of_user.is_grouped

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
        """(columns, names, CovarianceModel) of each covariance block."""
        return list(
            zip(self.grouped.block_slices, self.block_names, self.grouped.structures)
        )

    @property
    def term_slices(self):
        """(formula term, its effects) of each formula term."""
        slices = consecutive(size for _, size in self.terms)
        return [(term, part) for (term, _), part in zip(self.terms, slices)]

    @property
    def quantities(self):
        """Standard deviations, correlations and parameters of each block, as lists."""
        out, taken = [], []
        for _, names, model in self.blocks:
            taken.append(model.name)
            again = taken.count(model.name)
            title = f"{model.name}{again}" if again > 1 else model.name
            out.append(model.quantities(names, title))
        return out

    @property
    def theta_labels(self):
        """Names of the relative covariance parameters."""
        triples = zip(self.grouped.structures, self.block_names, self.quantities)
        return [
            f"{self.name}.{label}"
            for model, names, quantities in triples
            for label in model.theta_labels(names, quantities)
        ]

    def split_theta(self, theta):
        """Split the parameters of all blocks into those of each block."""
        return [theta[part] for part in consecutive(self.grouped.parameter_counts)]

    def without_data(self):
        """A copy without the arrays that have one entry per row."""
        return replace(self, grouped=self.grouped.take(slice(0, 0)))


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
    Observed combinations of column values.

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
    return combined.astype(np.int64), joined_levels(keys), keys


def joined_levels(keys):
    """
    The levels of a factor from those of its columns.

    Parameters
    ----------
    keys : tuple of LevelKeys
        For each column, how the levels derive from it.

    Returns
    -------
    Index
        The values of one column; those of several are joined by ":".
    """
    if len(keys) == 1:
        return keys[0].uniques[keys[0].codes]
    labels = [k.uniques.astype(str).to_numpy()[k.codes] for k in keys]
    levels = pd.Index([":".join(parts) for parts in zip(*labels)])
    if not levels.is_unique:
        levels = pd.Index(list(zip(*labels)), tupleize_cols=False)
    return levels


def _factorize(column):
    """Codes and distinct values of a column, sorted if possible."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        used = column.array
        if not has_all_levels(used):
            used = used.remove_unused_categories()
        codes, uniques = used.codes, used.categories
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


def are_built(random):
    """Whether these are random effects already built by a model."""
    return isinstance(random, tuple) and all(
        isinstance(r, RandomEffects) for r in random
    )
