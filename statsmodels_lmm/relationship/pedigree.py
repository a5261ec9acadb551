"""Relationships by descent, from a pedigree."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.core.algebra.dense import consecutive
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.alignment import aligned, labels_of
from statsmodels_lmm.inputs.text_values import alike, near_levels
from statsmodels_lmm.relationship.labeled import (
    LabeledMatrix,
    check_unique,
    quoted,
    recursive_precision,
    require_square,
)

UNKNOWN = (0, "0", "", ".")
"""Values that stand for an unknown parent, besides missing ones."""

ENTRIES = 2**22
"""Largest number of array elements held in memory while inbreeding is computed."""


@dataclass(frozen=True)
class Pedigree:
    """
    Animals and their parents.

    Parameters
    ----------
    labels : Index
        The animals: first those named only as parents, which are founders, then those
        with a row, in the order of the rows, shape (n,).
    parents : ndarray
        Positions of sire and dam, -1 if unknown, shape (n, 2).
    generation : ndarray
        Length of the longest line of ancestors of each animal, shape (n,). Parents
        belong to an earlier generation than their progeny.
    """

    labels: pd.Index
    parents: np.ndarray
    generation: np.ndarray

    @cached_property
    def generations(self):
        """Positions of the animals of each generation, founders first."""
        order = np.argsort(self.generation, kind="stable")
        return [order[part] for part in consecutive(np.bincount(self.generation))]

    @cached_property
    def transmission(self):
        """Share of genes that each animal receives from each parent, sparse (n, n)."""
        progeny, side = np.nonzero(self.parents >= 0)
        places = progeny, self.parents[progeny, side]
        shape = (len(self.labels),) * 2
        return sparse.csr_array((np.full(len(progeny), 0.5), places), shape=shape)


def numerator_relationship(
    pedigree: Any, animal: str = "animal", sire: str = "sire", dam: str = "dam"
) -> pd.DataFrame:
    """
    Additive genetic relationship matrix of the animals in a pedigree.

    The tabular method, generation by generation: an animal j with parents s and d has
    a_ij = (a_is + a_id) / 2 with every earlier animal i, and a_jj = 1 + F_j with
    inbreeding coefficient F_j = a_sd / 2. Unknown parents are taken to be unrelated
    and not inbred.

    Parameters
    ----------
    pedigree : DataFrame, mapping of columns, or array_like
        One row per animal, in any order. An array has the columns animal, sire and
        dam, shape (n, 3). Missing values, 0, "0", "" and "." stand for an unknown
        parent. Parents without a row of their own are founders. Sire and dam may be
        the same animal, and an animal may be a sire in one row and a dam in another.
    animal, sire, dam : str, optional
        Names of the columns.

    Returns
    -------
    DataFrame
        A, symmetric, shape (n, n), labeled by animal: first the founders without a
        row, then the rows of the pedigree.

    Raises
    ------
    DataError
        If a row names no animal, an animal has two rows, or an animal is its own
        ancestor.
    MemoryError
        If the matrix does not fit in memory; its inverse is sparse.

    Warns
    -----
    DataWarning
        If names of animals differ by white space or case only.

    References
    ----------
    Henderson, C. R. (1976). A simple method for computing the inverse of a
    numerator relationship matrix used in prediction of breeding values.
    Biometrics 32, 69-83.
    """
    family = read_pedigree(pedigree, animal, sire, dam)
    n = len(family.labels)
    require_square(n, "the relationship matrix")
    # the last row and column stand for unknown parents
    a = np.zeros((n + 1, n + 1))
    for members in family.generations:
        sires, dams = family.parents[members].T
        rows = 0.5 * (a[sires] + a[dams])
        rows[:, members] = 0.5 * (rows[:, sires] + rows[:, dams])
        rows[np.arange(len(members)), members] = 1.0 + 0.5 * a[sires, dams]
        a[members], a[:, members] = rows, rows.T
    return pd.DataFrame(a[:n, :n], family.labels, family.labels)


def numerator_relationship_inverse(
    pedigree: Any, animal: str = "animal", sire: str = "sire", dam: str = "dam"
) -> LabeledMatrix:
    """
    Sparse inverse of the numerator relationship matrix.

    Henderson's rules with inbreeding: A^-1 = (I - P)' D^-1 (I - P), where P has 1/2
    for each known parent, and D holds the Mendelian sampling variances
    d = 1 - sum of (1 + F) / 4 over the known parents. The matrix A is never formed.

    Parameters
    ----------
    pedigree : DataFrame, mapping of columns, or array_like
        One row per animal; see `numerator_relationship`.
    animal, sire, dam : str, optional
        Names of the columns.

    Returns
    -------
    LabeledMatrix
        A^-1, labeled and ordered as in `numerator_relationship`. Its log-determinant
        is exactly -sum(log d).

    Raises
    ------
    DataError
        As for `numerator_relationship`; also if both parents of an animal are
        completely inbred, which makes A singular.

    References
    ----------
    Henderson, C. R. (1976). A simple method for computing the inverse of a
    numerator relationship matrix used in prediction of breeding values.
    Biometrics 32, 69-83.
    Quaas, R. L. (1976). Computing the diagonal elements and inverse of a large
    numerator relationship matrix. Biometrics 32, 949-953.
    """
    family = read_pedigree(pedigree, animal, sire, dam)
    variances = _mendelian_variances(family.parents, _inbreeding(family))
    fixed = variances <= 0
    if fixed.any():
        raise DataError(
            f"animal {quoted(family.labels[fixed])} has no Mendelian sampling variance "
            "as its parents are completely inbred: the relationship matrix is singular"
        )
    return recursive_precision(family.transmission, variances, family.labels)


def inbreeding(
    pedigree: Any, animal: str = "animal", sire: str = "sire", dam: str = "dam"
) -> pd.Series:
    """
    Inbreeding coefficients of the animals in a pedigree.

    F = a_sd / 2 is half the relationship of the parents. The relationships come from
    A[:, s] = T D T' e_s, generation by generation, for the sires (or the dams, if
    fewer), by one pass up and one pass down the pedigree of their ancestors. Memory
    grows only with the number of animals.

    Parameters
    ----------
    pedigree : DataFrame, mapping of columns, or array_like
        One row per animal; see `numerator_relationship`.
    animal, sire, dam : str, optional
        Names of the columns.

    Returns
    -------
    Series
        F between 0 and 1, labeled and ordered as in `numerator_relationship`.

    Raises
    ------
    DataError
        As for `numerator_relationship`.

    References
    ----------
    Colleau, J.-J. (2002). An indirect approach to the extensive calculation of
    relationship coefficients. Genetics Selection Evolution 34, 409-421.
    Meuwissen, T. H. E. and Luo, Z. (1992). Computing inbreeding coefficients in
    large populations. Genetics Selection Evolution 24, 305-313.
    """
    family = read_pedigree(pedigree, animal, sire, dam)
    return pd.Series(_inbreeding(family), family.labels, name="inbreeding")


def read_pedigree(pedigree, animal="animal", sire="sire", dam="dam"):
    """
    Read a pedigree from its columns; see `numerator_relationship`.

    Returns
    -------
    Pedigree
    """
    columns = _columns(pedigree, (animal, sire, dam))
    unnamed = np.flatnonzero(pd.isna(columns[0]))
    if len(unnamed):
        raise DataError(
            f"rows {', '.join(str(i) for i in unnamed[:5])} of the pedigree name no "
            f"animal in column '{animal}' (0, '' and '.' stand for unknown parents)"
        )
    check_unique(pd.Index(columns[0], dtype=object), "animal")
    codes, labels = pd.factorize(np.concatenate(columns))
    text = np.array([isinstance(label, str) for label in labels])
    if text.any() and not text.all():
        raise DataError(
            f"some animals are text ({quoted(labels[text])}) and others numbers "
            f"({quoted(labels[~text])}); use the same type in all columns"
        )
    n_rows, n = len(columns[0]), len(labels)
    if near := near_levels(labels):
        names = [animal, sire, dam]
        warn(
            "animals of the pedigree differ by white space or case only: "
            f"{alike(near)}. If they are the same, write `pedigree[{names}] = "
            f"pedigree[{names}].apply(lambda names: names.str.strip().str.upper())`",
            DataWarning,
        )
    # founders without a row come first
    codes = np.where(codes >= 0, (codes + n - n_rows) % n, -1)
    labels = [_whole(label) for label in (*labels[n_rows:], *labels[:n_rows])]
    labels = pd.Index(labels, tupleize_cols=False)
    parents = np.full((n, 2), -1)
    parents[n - n_rows :] = codes[n_rows:].reshape(2, -1).T
    return Pedigree(labels, parents, _generations(parents, labels))


def _columns(pedigree, names):
    """Animals, sires and dams as objects, None where unknown."""
    if not hasattr(pedigree, "keys") and not hasattr(pedigree, "columns"):
        table = np.asarray(_unmasked(pedigree), dtype=object)
        if table.ndim != 2 or table.shape[1] != 3:
            raise DataError(
                "a pedigree without column names must have three columns: "
                "animal, sire and dam"
            )
        pedigree = dict(zip(names, table.T))
    present = pedigree.columns if hasattr(pedigree, "columns") else pedigree
    missing = [name for name in names if name not in present]
    if missing:
        raise DataError(
            f"the pedigree has no column {quoted(missing)}; name its columns, as in "
            "`numerator_relationship(pedigree, animal='ID', sire='Sire', dam='Dam')`"
        )
    first = labels_of(pedigree[names[0]])
    columns = [aligned(pedigree[n], first, f"column {n} of a pedigree") for n in names]
    columns = [pd.Series(_unmasked(c), dtype=object) for c in columns]
    if len({len(c) for c in columns}) > 1:
        raise DataError("the columns of the pedigree have different lengths")
    if not len(columns[0]):
        raise DataError("the pedigree has no rows")
    return [c.mask(c.isna() | _is_blank(c), None).to_numpy() for c in columns]


def _is_blank(column):
    """Where an unknown parent is written, white space aside."""
    stripped = column.map(lambda v: v.strip() if isinstance(v, str) else v)
    return stripped.isin(UNKNOWN)


def _unmasked(values):
    """Values as a list, None where masked."""
    return (
        np.ma.asarray(values, dtype=object).tolist()
        if np.ma.isMaskedArray(values)
        else list(values)
    )


def _whole(label):
    """A label as an int if missing values had turned it into a float."""
    is_whole = isinstance(label, float) and label.is_integer()
    return int(label) if is_whole else label


def _generations(parents, labels):
    """Length of the longest line of ancestors of each animal."""
    unplaced = -2
    # the last entry stands for unknown parents
    generation = np.full(len(parents) + 1, unplaced)
    generation[-1] = -1
    waiting = np.arange(len(parents))
    while len(waiting):
        above = generation[parents[waiting]]
        ready = (above != unplaced).all(axis=1)
        if not ready.any():
            raise _loop_error(parents, generation == unplaced, labels)
        generation[waiting[ready]] = above[ready].max(axis=1) + 1
        waiting = waiting[~ready]
    return generation[:-1]


def _loop_error(parents, unplaced, labels):
    """An error that traces unplaced ancestors until the line closes on itself."""
    line = [int(np.flatnonzero(unplaced)[0])]
    while len(set(line)) == len(line):
        line.append(next(int(p) for p in parents[line[-1]] if unplaced[p]))
    loop = line[line.index(line[-1]) :]
    names = " < ".join(f"'{labels[i]}'" for i in loop)
    return DataError(
        f"animal '{labels[loop[0]]}' is its own ancestor (progeny < parent: {names})"
    )


def _mendelian_variances(parents, coefficients):
    """Genetic variance given the parents, relative to that of the base population."""
    return 1.0 - 0.25 * ((parents >= 0) * (1.0 + coefficients[parents])).sum(axis=-1)


def _inbreeding(family):
    """Inbreeding coefficient of each animal; see `inbreeding`."""
    coefficients = np.zeros(len(family.labels))
    variances = np.ones(len(family.labels))
    for members in family.generations[1:]:
        parents = family.parents[members]
        both = (parents >= 0).all(axis=1)
        coefficients[members[both]] = 0.5 * _related(family, variances, parents[both])
        variances[members] = _mendelian_variances(parents, coefficients)
    return coefficients


def _related(family, variances, pairs):
    """Relationships of pairs of animals given as an array of shape (m, 2)."""
    first, second = sorted(pairs.T, key=lambda side: len(np.unique(side)))
    result = np.empty(len(pairs))
    order = np.argsort(first, kind="stable")
    starts = np.flatnonzero(np.diff(first[order], prepend=-1))
    step = max(1, ENTRIES // len(variances))
    for start, stop in pairwise([*starts[::step], len(order)]):
        some = order[start:stop]
        result[some] = _related_at_once(family, variances, first[some], second[some])
    return result


def _related_at_once(family, variances, first, second):
    """Relationships a_ij through common ancestors, i and j paired from two arrays."""
    ancestors, generations = _ancestors(family, np.concatenate([first, second]))
    position = np.empty(len(variances), dtype=np.intp)
    position[ancestors] = np.arange(len(ancestors))
    down = family.transmission[ancestors][:, ancestors]
    up = sparse.csr_array(down.T)
    columns, column = np.unique(first, return_inverse=True)
    a = np.zeros((len(ancestors), len(columns)))
    a[position[columns], np.arange(len(columns))] = 1.0
    for members in generations[-2::-1]:
        a[members] += up[members] @ a
    a *= variances[ancestors, None]
    for members in generations[1:]:
        a[members] += down[members] @ a
    return a[position[second], column]


def _ancestors(family, animals):
    """Animals and their ancestors by generation, and the slice of each generation."""
    seen = np.zeros(len(family.labels) + 1, dtype=bool)
    seen[-1] = True
    while len(animals):
        seen[animals] = True
        animals = np.unique(family.parents[animals])
        animals = animals[~seen[animals]]
    ancestors = np.flatnonzero(seen[:-1])
    ancestors = ancestors[np.argsort(family.generation[ancestors], kind="stable")]
    return ancestors, consecutive(np.bincount(family.generation[ancestors]))
