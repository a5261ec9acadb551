"""Candidates from arrays, sparse matrices, tables and files, a block at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from statsmodels_lmm.core.scans.estimates import CODE, INFINITE, NONE
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.inputs.alignment import SHOWN, row_positions
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.inputs.tables import to_frame
from statsmodels_lmm.scan.plink import open_plink

BED_MISSING = -127
"""The code of a missing genotype in int8 arrays of bed-reader."""

LARGEST_COUNT = 2
"""Largest number of copies of an allele in a genotype."""


@dataclass(frozen=True)
class Block:
    """
    Some of the candidates.

    Parameters
    ----------
    values : ndarray
        NaN where missing, shape (n, r).
    missing : ndarray or None
        Where values are missing, shape (n, r); None if nowhere.
    reason : ndarray
        Code of the reason why a candidate cannot be used, see `core.scans.estimates`,
        shape (r,); its values are zero.
    """

    values: np.ndarray
    missing: np.ndarray | None
    reason: np.ndarray

    @classmethod
    def of(cls, values, missing, unusable, code):
        """
        The block, with zeros for candidates with unusable values.

        Parameters
        ----------
        values, missing : ndarray
            Shape (n, r).
        unusable : ndarray
            Where values cannot be used, shape (n, r).
        code : int
            The reason.
        """
        bad = unusable.any(axis=0)
        values[:, bad] = 0.0
        missing[:, bad] = False
        reason = np.where(bad, code, NONE)
        return cls(values, missing if missing.any() else None, reason)


@dataclass(frozen=True, eq=False)
class Candidates:
    """
    Candidates that are read a block at a time.

    Parameters
    ----------
    source : object
        Anything two-dimensional with a shape and slices of columns.
    names : Index
        Names of the candidates, shape (m,).
    rows : ndarray or None
        Position in the source of each row of the model; None if they are in order.
    are_counts : bool
        Whether values are copies of an allele, 0 to 2.
    missing_code : int, optional
        The number that stands for a missing value.
    positions : DataFrame, optional
        Chromosome and position of each candidate, if the source has them.
    """

    source: Any
    names: pd.Index
    rows: np.ndarray | None
    are_counts: bool
    missing_code: int | None
    positions: pd.DataFrame | None = None

    def __len__(self):
        return len(self.names)

    def block(self, which):
        """
        Read some candidates.

        Parameters
        ----------
        which : ndarray
            Their positions, ascending.

        Returns
        -------
        Block
        """
        values = _columns(self.source, which)
        if not self.are_counts:
            first, last = self.names[which[[0, -1]]]
            values = numeric(values, f"the candidates {first} to {last}")
        if self.rows is not None:
            values = values[self.rows]
        if self.are_counts:
            return self._of_counts(np.asarray(values))
        if self.missing_code is not None:
            values[values == self.missing_code] = np.nan
        return Block.of(values, np.isnan(values), np.isinf(values), INFINITE)

    def _of_counts(self, counts):
        """Counts as numbers, checked."""
        values = counts.astype(float)
        inside = (counts >= 0) & (counts <= LARGEST_COUNT)
        if inside.all():
            return Block(values, None, np.zeros(values.shape[1], dtype=int))
        missing = counts == self.missing_code
        values[missing] = np.nan
        return Block.of(values, missing, ~(inside | missing), CODE)


def read_candidates(given, model, names=None, missing_code=None, by=None):
    """
    Find out what the candidates are, without reading them.

    Parameters
    ----------
    given : array_like, sparse array, DataFrame, str or path
        See `scan_predictors`.
    model : CrossedMixedLM
        The model, for its rows.
    names : sequence, optional
        Names of the candidates.
    missing_code : int, optional
        The code of a missing count.
    by : str, optional
        The grouping factor whose levels are the rows of the candidates.

    Returns
    -------
    Candidates

    Raises
    ------
    DataError
        If rows do not match those of the model, or a name appears twice.
    ImportError
        If a file needs a package that is not installed.
    """
    labels = positions = None
    if isinstance(given, str | PathLike):
        given, labels, own, positions = open_plink(fspath(given))
        missing_code = BED_MISSING
    elif isinstance(given, pd.DataFrame):
        own, labels = given.columns, given.index
    elif sparse.issparse(given):
        own, given = None, given.tocsc()
    else:
        own = None
        if _is_table(given):
            given = to_frame(given)
            own = given.columns
        elif not hasattr(given, "shape"):
            given = numeric(given, "the candidates")
    shape = given.shape
    if len(shape) != 2:
        raise DataError(
            f"the candidates have shape {tuple(shape)}; give one column for each, "
            "shape (rows, candidates)"
        )
    if names is None:
        names = pd.RangeIndex(shape[1]) if own is None else own
    if isinstance(names, str):
        raise TypeError(f"names are a sequence of texts, not the text {names!r}")
    names = pd.Index(names)
    if len(names) != shape[1]:
        raise DataError(f"there are {len(names)} names for {shape[1]} candidates")
    if not names.is_unique:
        twice = names[names.duplicated()].unique()
        listed = ", ".join(map(str, twice[:SHOWN]))
        raise DataError(
            f"names of candidates appear twice: {listed}"
            + (", ..." if len(twice) > SHOWN else "")
        )
    rows = _rows(labels, shape[0], model, by)
    are_counts = _is_int8(given)
    if are_counts and missing_code is None:
        missing_code = BED_MISSING
    return Candidates(given, names, rows, are_counts, missing_code, positions)


def _is_table(given):
    """Whether candidates are a table of polars, Arrow or another library."""
    has_columns = hasattr(given, "columns") or isinstance(given, Mapping)
    stream = hasattr(given, "__arrow_c_stream__") and len(given.shape) == 2
    return has_columns or stream


def _columns(source, which):
    """Columns of a source, by a slice where they are adjacent."""
    adjacent = which[-1] - which[0] + 1 == len(which)
    where = slice(int(which[0]), int(which[-1]) + 1) if adjacent else which
    if isinstance(source, pd.DataFrame):
        part = source.iloc[:, where]
        return part.to_numpy() if _is_int8(source) else part
    part = source[:, where]
    return part.toarray() if sparse.issparse(part) else part


def _is_int8(source):
    """Whether values are stored as genotypes are."""
    if isinstance(source, pd.DataFrame):
        return bool(len(source.columns)) and all(d == np.int8 for d in source.dtypes)
    return getattr(source, "dtype", None) == np.int8


def _rows(labels, count, model, by):
    """Positions among the rows of the candidates of each row of the model."""
    if by is None:
        by = _labeled_by(labels, model)
    if by is not None:
        return _rows_by(labels, count, model, by)
    own = model.data.row_labels
    positions = row_positions(labels, own, "the candidates")
    if positions is None and count != model.nobs:
        advice = ""
        factors = [e.name for e in model.random if len(e.levels) == count]
        if model.n_dropped and count == model.nobs + model.n_dropped:
            advice = (
                f"; {model.n_dropped} incomplete rows of the data are not in the "
                "model: give a DataFrame with the index of the data"
            )
        elif factors:
            advice = f"; if they are the levels of {factors[0]}, by={factors[0]!r}"
        raise DataError(
            f"the candidates have {count} rows but the model {model.nobs}{advice}"
        )
    return positions


def _labeled_by(labels, model):
    """The only factor whose levels label the candidates, if the rows are unlabeled."""
    own = model.data.row_labels
    if labels is None or not labels.is_unique:
        return None
    if pd.RangeIndex(len(labels)).equals(labels):
        return None
    if own is not None and not _is_default(own):
        return None
    if own is not None and labels.isin(own).any():
        return None
    found = [e.name for e in model.random if pd.Index(e.levels).isin(labels).all()]
    return found[0] if len(found) == 1 else None


def _is_default(labels):
    """Whether labels can be numbers of rows, possibly without some left out."""
    return pd.api.types.is_integer_dtype(labels) and labels.is_monotonic_increasing


def _rows_by(labels, count, model, by):
    """Positions of rows by the levels of a grouping factor."""
    factors = {effects.name: effects for effects in model.random}
    if by not in factors:
        raise DataError(
            f"by={by!r} is no grouping factor; the model has {', '.join(factors)}"
        )
    effects = factors[by]
    codes = effects.grouped.codes
    if labels is None:
        if count != len(effects.levels):
            raise DataError(
                f"the candidates have {count} rows but {by} has "
                f"{len(effects.levels)} levels"
            )
        return codes
    if not labels.is_unique:
        raise DataError(f"a level of {by} has several rows among the candidates")
    positions = labels.get_indexer(effects.levels)[codes]
    if (positions < 0).any():
        absent = effects.levels[np.unique(codes[positions < 0])]
        listed = ", ".join(map(str, absent[:SHOWN]))
        raise DataError(
            f"the candidates have no row for {len(absent)} levels of {by}: {listed}"
            + (", ..." if len(absent) > SHOWN else "")
        )
    return positions
