"""Known relationships among the levels of a grouping factor."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import linalg, sparse

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.core.rows.level_covariance import Precision, Relationship
from statsmodels_lmm.exceptions import DataError, DataWarning, warn
from statsmodels_lmm.inputs.alignment import aligned
from statsmodels_lmm.inputs.plain_arrays import numeric
from statsmodels_lmm.random.random_effects import LevelKeys
from statsmodels_lmm.relationship.labeled import (
    LabeledMatrix,
    check_unique,
    quoted,
    require_square,
)

SYMMETRIC = 1e-8
"""Asymmetry, relative to the largest entry, that counts as rounding error."""

DEFINITE = 1e-10
"""Negative eigenvalue, relative to the largest variance, that counts as rounding."""

CLIPPED = 1e-6
"""Negative eigenvalue, relative to the largest variance, that may be set to zero."""

NO_PIVOT = 1e-13
"""Pivot, relative to the diagonal, at or below which an inverse is singular."""

DENSE_LEVELS = 2000
"""Number of levels up to which inverting an inverse to a dense matrix is faster."""


@dataclass(frozen=True)
class KnownLevels:
    """
    The levels of a grouping factor and their relationship.

    Parameters
    ----------
    name : str
        Name of the factor.
    labels : Index
        The levels, including those without data.
    relationship : Relationship or Precision
        Covariances of the levels, in the order of `labels`.
    """

    name: str
    labels: pd.Index
    relationship: Relationship | Precision

    def place(self, codes, levels, keys=None):
        """
        Match the levels of the data with the known levels.

        Parameters
        ----------
        codes : ndarray
            Level of each row, shape (n,).
        levels : Index
            The levels of the data.
        keys : tuple of LevelKeys, optional
            How the levels are formed from the values of columns.

        Returns
        -------
        codes : ndarray
            Position of each row's level in `labels`.
        levels : Index
            The labels.
        keys : tuple of LevelKeys
            How the labels are formed.

        Raises
        ------
        DataError
            If a level of the data is not one of the labels.
        """
        positions = self.labels.get_indexer(levels)
        if (positions < 0).any():
            raise DataError(self._missing(levels[positions < 0], levels))
        if keys is not None and len(keys) == 1:
            keys = (LevelKeys(self.labels, np.arange(len(self.labels))),)
        elif keys is not None:
            # a label without rows is not a combination of values
            every = [-2 - np.arange(len(self.labels)) for _ in keys]
            for all_codes, key in zip(every, keys):
                all_codes[positions] = key.codes
            keys = tuple(LevelKeys(k.uniques, c) for k, c in zip(keys, every))
        return positions[codes], self.labels, keys

    def _missing(self, absent, levels):
        count = f"{len(absent)} of {len(levels)} levels of {self.name}"
        text = f"the relationship has no row for {count}: {quoted(absent)}"
        if len(absent) == len(levels) and levels.dtype != self.labels.dtype:
            text += (
                f"; the levels are {levels.inferred_type}, its labels "
                f"{self.labels.inferred_type}, such as {self.labels[0]!r}"
            )
        return text


def known_levels(relationship, relationship_inverse, factors):
    """
    Read the relationships given by the user.

    Parameters
    ----------
    relationship, relationship_inverse : dict or None
        Labeled matrices, or their inverses, by grouping factor: a DataFrame, a
        LabeledMatrix, or a pair of a matrix, dense or sparse, and its labels.
        KnownLevels are used unchanged.
    factors : sequence of str
        Names of the grouping factors.

    Returns
    -------
    dict of KnownLevels
        The known levels by grouping factor.

    Raises
    ------
    DataError
        If a matrix or its labels cannot be used; the message names the labels.
    """
    known: dict = {}
    pairs = (
        ("relationship", relationship),
        ("relationship_inverse", relationship_inverse),
    )
    for what, given in pairs:
        if given is None:
            continue
        if not isinstance(given, dict):
            raise TypeError(
                f"{what} must be a dict from grouping factor to matrix, such as "
                f"{{{factors[0]!r}: K}}, not {type(given).__name__}"
            )
        for name, matrix in given.items():
            if name not in factors:
                raise DataError(
                    f"{what} of {name!r}: no such grouping factor; the model has "
                    + ", ".join(factors)
                )
            if name in known:
                raise DataError(f"{name} has a relationship and an inverse; give one")
            if isinstance(matrix, KnownLevels):
                known[name] = matrix
                continue
            read = _inverse if what == "relationship_inverse" else _relationship
            subject = f"{what} of {name}"
            known[name] = read(str(name), subject, *_labeled(subject, matrix))
    return known


def _labeled(what, given):
    """A symmetric matrix, its labels and its log-determinant, if known."""
    log_determinant = None
    if isinstance(given, pd.DataFrame):
        if {"sire", "dam"} <= {str(column).lower() for column in given.columns}:
            factor = what.rpartition(" of ")[2]
            raise DataError(
                f"the {what} is a pedigree; write `crossedmixedlm(formula, data, "
                f"relationship={{{factor!r}: numerator_relationship(pedigree)}})`; the "
                "function is in statsmodels_lmm.relationship"
            )
        matrix, labels = _of_frame(what, given)
    elif isinstance(given, LabeledMatrix):
        matrix, labels = given.matrix, given.labels
        log_determinant = given.log_determinant
    elif isinstance(given, tuple) and len(given) == 2:
        matrix, labels = given[0], pd.Index(given[1])
        if isinstance(matrix, pd.DataFrame):
            rows, columns = f"rows of the {what}", f"columns of the {what}"
            matrix = aligned(matrix, labels, rows)
            matrix = aligned(matrix.T, labels, columns).T
    else:
        raise DataError(
            f"the {what} has no labels; give a DataFrame with the levels as index, or "
            "a pair (matrix, labels)"
        )
    check_unique(labels, f"label in the {what}:")
    matrix = _numbers(matrix, f"the {what}")
    if matrix.shape != (len(labels),) * 2:
        raise DataError(
            f"the {what} has shape {matrix.shape} and {len(labels)} labels; it must be "
            "square with one label per row"
        )
    return _symmetric(what, matrix, labels), labels, log_determinant


def _numbers(matrix, what):
    """A copy of a matrix in double precision, sparse if the matrix is."""
    if not sparse.issparse(matrix):
        return numeric(matrix, what)
    matrix = matrix.tocsc(copy=True)
    matrix.data = numeric(matrix.data, what)
    return matrix


def _of_frame(what, frame):
    """Values and labels of a DataFrame, with its columns in the order of the rows."""
    labels = frame.index
    for axis in (labels, frame.columns):
        check_unique(axis, f"label in the {what}:")
    if not frame.columns.equals(labels):
        order = frame.columns.get_indexer(labels)
        if len(frame.columns) != len(labels) or (order < 0).any():
            absent = (
                labels[order < 0]
                if (order < 0).any()
                else frame.columns.difference(labels)
            )
            raise DataError(
                f"rows and columns of the {what} have different labels: "
                + quoted(absent)
            )
        frame = frame.iloc[:, order]
    return frame, labels


def _symmetric(what, matrix, labels):
    """The matrix made exactly symmetric."""
    values = matrix.data if sparse.issparse(matrix) else matrix
    if not np.isfinite(values).all():
        bad = matrix.tocoo() if sparse.issparse(matrix) else None
        rows = (
            np.flatnonzero(~np.isfinite(matrix).all(axis=1))
            if bad is None
            else np.unique(bad.row[~np.isfinite(bad.data)])
        )
        raise DataError(
            f"the {what} has missing or infinite values for {quoted(labels[rows])}"
        )
    size = np.abs(values).max(initial=0.0)
    difference = abs(matrix - matrix.T)
    if difference.size and difference.max() > SYMMETRIC * size:
        if sparse.issparse(difference):
            worst = difference.tocoo()
            largest = worst.data.argmax()
            pair = worst.row[largest], worst.col[largest]
        else:
            pair = np.unravel_index(difference.argmax(), difference.shape)
        one, other = matrix[pair[0], pair[1]], matrix[pair[1], pair[0]]
        raise DataError(
            f"the {what} is not symmetric: {one:.6g} for "
            f"{quoted(labels[list(pair)])} but {other:.6g} in the reverse order"
        )
    return 0.5 * (matrix + matrix.T)


def _relationship(name, what, matrix, labels, log_determinant):
    """Known covariances of the levels."""
    if sparse.issparse(matrix):
        require_square(len(labels), f"the {what}, as a dense matrix")
        matrix = matrix.toarray()
    _check_definite(what, matrix, labels)
    return KnownLevels(name, labels, Relationship(matrix))


def _inverse(name, what, matrix, labels, log_determinant):
    """Covariances of the levels given by their inverse."""
    diagonal = np.asarray(matrix.diagonal())
    if (diagonal <= 0.0).any():
        raise DataError(
            f"the {what} is singular or not the inverse of a covariance matrix: "
            f"its diagonal is not positive for {quoted(labels[diagonal <= 0.0])}"
        )
    singular = (
        f"the {what} is singular or has negative eigenvalues, so it is not the inverse "
        "of a covariance matrix"
    )
    if sparse.issparse(matrix) and len(labels) > DENSE_LEVELS:
        precision = Precision(sparse.csc_array(matrix), log_determinant)
        try:
            pivots = precision.root.pivots()
        except np.linalg.LinAlgError:
            raise DataError(singular) from None
        if (pivots <= NO_PIVOT * diagonal).any():
            raise DataError(singular)
        return KnownLevels(name, labels, precision)
    dense = as_array(matrix)
    try:
        root = linalg.cho_factor(dense, lower=True, check_finite=False)
    except linalg.LinAlgError:
        raise DataError(singular) from None
    if (np.diagonal(root[0]) ** 2 <= NO_PIVOT * diagonal).any():
        raise DataError(singular)
    covariance = linalg.cho_solve(root, np.eye(len(labels)), check_finite=False)
    return KnownLevels(name, labels, Relationship(0.5 * (covariance + covariance.T)))


def _check_definite(what, matrix, labels):
    """Reject a matrix that is not positive semi-definite, naming the levels."""
    diagonal = np.diagonal(matrix)
    if (diagonal < 0.0).any():
        raise DataError(
            f"the {what} has a negative variance for {quoted(labels[diagonal < 0.0])}"
        )
    largest = diagonal.max(initial=0.0)
    shifted = matrix + DEFINITE * largest * np.eye(len(matrix))
    if not linalg.lapack.dpotrf(shifted, lower=1, overwrite_a=1)[1]:
        return
    values, vectors = linalg.eigh(matrix, subset_by_index=[0, 0])
    lowest = float(values[0])
    if lowest >= -DEFINITE * largest:
        return
    weights = np.abs(vectors[:, 0])
    worst = labels[
        np.argsort(-weights)[: min(5, (weights > 0.1 * weights.max()).sum())]
    ]
    text = (
        f"the {what} has an eigenvalue of {lowest:.2g}, mainly due to {quoted(worst)}"
    )
    if lowest < -CLIPPED * largest:
        raise DataError(f"{text}; a covariance matrix has none below zero")
    warn(f"{text}; the negative part is set to zero", DataWarning)
