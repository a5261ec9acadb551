"""Random effects at new rows of a model without a formula."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from statsmodels_lmm.core.algebra.dense import as_array
from statsmodels_lmm.exceptions import DataError
from statsmodels_lmm.random.terms import MatrixTerm, as_terms


@dataclass(frozen=True)
class RawRows:
    """
    Like `EffectRows`, for a factor with its own model matrix.

    Parameters
    ----------
    matrix : ndarray or sparse array
        Z for the complete rows, shape (m, l).
    is_taken : bool
        Whether the conditional modes enter the prediction.
    """

    matrix: np.ndarray
    is_taken: bool

    @property
    def drawn(self):
        """Zeros, as no random effect is new, shape (m, 1)."""
        return np.zeros((self.matrix.shape[0], 1))

    @property
    def left_out(self):
        """One if the modes are left out, shape (m, 1)."""
        return self.drawn + (not self.is_taken)

    def at(self, term, levels, change):
        """The rows in the units of the elimination, see `EffectRows`."""
        rows = self.matrix * (float(change[0, 0]) * self.is_taken)
        return term.over(replace(term.of_user, matrix=rows))

    def left_over(self, factor):
        """Indicator of the rows to draw, and the variance that the modes leave out."""
        if not self.is_taken:
            return self.drawn, 0.0
        left = replace(factor.of_user, matrix=self.matrix).forms()
        explained = np.asarray(self.matrix @ factor.root)
        return self.drawn + 1.0, np.maximum(left - (explained**2).sum(axis=1), 0.0)

    def prior_variances(self, grouped):
        """Variances of the rows of Z b relative to that of b, shape (m,)."""
        return replace(grouped, matrix=self.matrix).forms()

    def mean(self, modes):
        """Contribution of the conditional modes, shape (m,)."""
        return np.asarray(self.matrix @ modes[:, 0]) * self.is_taken


def new_terms(random, names, every, n_rows, labels=None):
    """
    Read the random effects of new rows.

    Parameters
    ----------
    random : dict, sequence or None
        Groups, effects or matrices for the new rows, in the form of ``random`` of
        `CrossedMixedLM`: keyed by factor name, or in the order of the factors.
    names : list of str
        Names of the factors needed.
    every : list of str
        All factors of the model, in order.
    n_rows : int
        Number of new rows.
    labels : Index, optional
        Labels of the new rows.

    Returns
    -------
    dict
        GroupTerm or MatrixTerm by name.

    Raises
    ------
    ValueError
        If `random` is needed but None.
    DataError
        If a factor is missing or has a different number of rows.
    """
    if random is None:
        raise ValueError(
            "random effects at new rows need a model from a formula and its data, or "
            f"random= with the groups or matrices of {', '.join(names)}"
        )
    if not isinstance(random, dict):
        random = list(random)
        if len(random) != len(every):
            raise DataError(
                f"random has {len(random)} elements, but the model has {len(every)} "
                f"factors: {', '.join(every)}"
            )
        random = dict(zip(every, random))
    unknown = [str(n) for n in random if n not in every]
    if unknown:
        raise DataError(
            f"random has unknown factors {', '.join(unknown)}; the factors are "
            f"{', '.join(every)}"
        )
    absent = [n for n in names if n not in random]
    if absent:
        raise DataError(f"random lacks {', '.join(absent)}")
    terms = {t.name: t for t in as_terms({n: random[n] for n in names})}
    terms = {name: term.aligned(labels) for name, term in terms.items()}
    for name, term in terms.items():
        if term.n_rows != n_rows:
            raise DataError(f"{name} has {term.n_rows} rows but exog has {n_rows}")
        if term.incomplete().any():
            raise DataError(f"{name} has missing values")
    return terms


def term_rows(effects, term):
    """
    Effect columns and levels of new rows.

    Parameters
    ----------
    effects : RandomEffects
        The factor of the model.
    term : GroupTerm or MatrixTerm
        The new rows.

    Returns
    -------
    grouped : GroupedEffects or RawEffects
        Effect columns, or the model matrix.
    codes : ndarray
        Level of each row, -1 if new, shape (m,).
    """
    known, zeros = effects.grouped, np.zeros(term.n_rows, dtype=np.intp)
    raw = isinstance(term, MatrixTerm)
    columns = term.matrix if raw else term.effects
    wanted = known.k_effects if effects.has_groups else known.n_levels
    fits = (not raw or known.n_levels == 1) if effects.has_groups else raw
    if not fits or columns.shape[1] != wanted:
        kind = "effects" if effects.has_groups else "a matrix"
        raise DataError(f"{effects.name} needs {kind} of {wanted} columns")
    if not effects.has_groups:
        return replace(known, matrix=columns), zeros
    if raw:
        return known.at(zeros, as_array(columns)), zeros
    codes = effects.levels.get_indexer(pd.Index(term.groups))
    return known.at(codes, columns), codes
