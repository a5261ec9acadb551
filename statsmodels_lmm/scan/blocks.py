"""The work on one block of candidates, whichever process or thread does it."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from statsmodels_lmm.core.scans.estimates import EMPTY, MISSING, Estimates
from statsmodels_lmm.core.scans.forms import independent_part
from statsmodels_lmm.scan.candidates import Candidates

ROUNDING = 1e-14
"""Spread, relative to the mean, of a constant."""

UNIT_EXPONENT = 200
"""Binary exponent up to which a candidate is squared without scaling."""


@dataclass(frozen=True)
class Scanned:
    """
    A block after its scan.

    Parameters
    ----------
    estimates : Estimates
        In standardized units, of candidates divided by `units`.
    means : ndarray
        Mean of the rows used, shape (r,).
    n_missing : ndarray
        Number of missing values, shape (r,).
    units : ndarray
        Powers of two, shape (r,).
    """

    estimates: Estimates
    means: np.ndarray
    n_missing: np.ndarray
    units: np.ndarray


@dataclass(frozen=True, eq=False)
class Scanner:
    """
    What is done with a block of candidates.

    Parameters
    ----------
    model : RotatedModel or EliminatedModel
        The model in standardized units.
    candidates : Candidates
        All candidates.
    root_weights : ndarray or None
        Square roots of the weights, shape (n,); None for equal ones.
    has_constant : bool
        Whether X spans a constant, so that candidates may be centered.
    is_exact : bool
        Whether variances are estimated for each candidate.
    drops : bool
        Whether rows with a missing value are left out; else the mean stands for it.
    """

    model: Any
    candidates: Candidates
    root_weights: np.ndarray | None
    has_constant: bool
    is_exact: bool
    drops: bool

    def __call__(self, which):
        """The Scanned of the candidates at the given positions."""
        block = self.candidates.block(which)
        columns, missing = block.values, block.missing
        units = _units(self.candidates, columns)
        n_missing = np.zeros(len(which), dtype=int)
        if missing is not None:
            n_missing = missing.sum(axis=0)
        means = self._center(columns, missing, n_missing, units)
        if self.drops and missing is not None:
            complete = np.flatnonzero(n_missing == 0)
            out = Estimates.nothing(len(which), 1, 0, 0)
            if len(complete):
                out.put(complete, self._found(self.model, columns[:, complete]))
            for j in np.flatnonzero(n_missing):
                left = self._left(missing[:, j])
                if left is None:
                    out.reason[j] = EMPTY
                else:
                    out.put([j], self._found(left, columns[:, [j]]))
        else:
            out = self._found(self.model, columns)
        out.reason[n_missing == len(columns)] = MISSING
        unusable = block.reason > 0
        out.reason[unusable] = block.reason[unusable]
        means[unusable] = np.nan
        units = np.ones(len(which)) if units is None else units
        return Scanned(out, means * units, n_missing, units)

    def of_set(self, which):
        """
        Estimates of some candidates together.

        Parameters
        ----------
        which : ndarray
            Positions of the candidates.

        Returns
        -------
        estimates : Estimates
            Of one set, of its columns that do not depend on others.
        n_missing : int
            Number of rows with a missing value.
        """
        block = self.candidates.block(which)
        columns, missing, model = block.values, block.missing, self.model
        if block.reason.any():
            return _nothing(block.reason.max()), 0
        incomplete = np.zeros(len(columns), dtype=bool)
        if missing is not None:
            incomplete = missing.any(axis=1)
            if self.drops:
                missing = np.repeat(incomplete[:, None], len(which), axis=1)
        counts = np.zeros(len(which)) if missing is None else missing.sum(axis=0)
        self._center(columns, missing, counts, _units(self.candidates, columns))
        if self.drops and incomplete.any():
            model = self._left(incomplete)
            if model is None:
                return _nothing(EMPTY), int(incomplete.sum())
        exog = model.exog
        rest = columns - exog @ (exog.T @ columns / len(exog))
        norms = np.sqrt((columns**2).sum(axis=0))
        kept = independent_part(rest, norms)
        if not len(kept):
            kept = norms.argmax()[None]
        found = model.estimates(columns[:, kept], self.is_exact, is_set=True)
        return found, int(incomplete.sum())

    def _left(self, incomplete):
        """The model without incomplete rows; None if too few are left."""
        rows = np.flatnonzero(incomplete)
        if len(incomplete) - len(rows) <= self.model.k_fixed:
            return None
        return self.model.left_out(rows)

    def _found(self, model, columns):
        return model.estimates(columns, self.is_exact)

    def _center(self, columns, missing, n_missing, units):
        """
        Center candidates and weight their rows, in place.

        Missing values become the mean, or zero if their rows are left out. The means
        are returned.
        """
        if units is not None:
            columns /= units
        if missing is not None:
            columns[missing] = 0.0
        known = np.maximum(len(columns) - n_missing, 1)
        means = columns.sum(axis=0) / known
        if self.has_constant:
            columns -= means
            if missing is not None:
                columns[missing] = 0.0
            size = np.sqrt(np.einsum("nr,nr->r", columns, columns) / known)
            columns[:, size <= ROUNDING * np.abs(means)] = 0.0
        elif missing is not None and not self.drops:
            np.copyto(columns, means, where=missing)
        if self.root_weights is not None:
            columns *= self.root_weights[:, None]
        return np.where(n_missing < len(columns), means, np.nan)


def _nothing(code):
    """Estimates of one set that has none, for a reason."""
    nothing = Estimates.nothing(1, 1, 0, 0)
    nothing.reason[:] = code
    return nothing


def _units(candidates, columns):
    """Powers of two that keep squares of candidates within range, None if all 1."""
    if candidates.are_counts:
        return None
    with np.errstate(invalid="ignore"):
        largest = np.fmax.reduce(np.abs(columns), axis=0)
    exponents = np.frexp(np.nan_to_num(largest))[1] - 1
    if np.abs(exponents).max() <= UNIT_EXPONENT:
        return None
    return np.ldexp(1.0, np.where(np.abs(exponents) > UNIT_EXPONENT, exponents, 0))
